"""What-if edits of a network: what each does, what it leaves alone, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.small_networks import network_of

from sim.errors import InputError
from sim.network.changes import apply_changes, without_links
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.synthetic import grid
from sim.network.turn_table import turn_table
from sim.spec import parse_scenario
from sim.spec_changes import NetworkChange
from sim.units import travel_time_s

LINK_COLUMNS = ("link_id", "tail_idx", "head_idx", "length_m", "free_flow_time_s", "capacity_vph", "fixed_cost_s", "lanes")


def street() -> RoadNetwork:
    """Two nodes joined both ways, a third one behind them; links 1: a->b, 2: b->a, 3: b->c, 4: c->b."""
    rows = [
        (0, 1, 10.0, 100.0, 0.15, 4.0),
        (1, 0, 10.0, 100.0, 0.15, 4.0),
        (1, 2, 5.0, 50.0, 0.15, 4.0),
        (2, 1, 5.0, 50.0, 0.15, 4.0),
    ]
    return network_of(rows, zones=[0, 2])


def changes(*tables: dict[str, Any]) -> Sequence[NetworkChange]:
    """Return changes as a scenario file would give them."""
    table = {
        "name": "x",
        "network": {"source": "synthetic", "kind": "braess", "change": list(tables)},
        "demand": {"source": "synthetic"},
    }
    return parse_scenario(table).network.change


def test_closing_takes_the_link_and_nothing_else() -> None:
    network = street()
    closed = apply_changes(network, changes({"action": "close", "links": [2]}))
    assert closed.link_ids == ((2,),)
    assert closed.network.link_id.tolist() == [1, 3, 4]
    assert network.n_links == 4
    for name in LINK_COLUMNS:
        assert getattr(closed.network, name).tolist() == getattr(network, name)[[0, 2, 3]].tolist()
    assert closed.network.node_id.tolist() == network.node_id.tolist()


def test_links_are_chosen_by_their_nodes_and_both_ways() -> None:
    one = apply_changes(street(), changes({"action": "close", "between": [[2, 3]]}))
    both = apply_changes(street(), changes({"action": "close", "between": [["2", "3"]], "both_ways": True}))
    assert one.link_ids == ((3,),)
    assert both.link_ids == ((3, 4),)


def test_one_way_keeps_what_is_named_and_closes_the_way_back() -> None:
    changed = apply_changes(street(), changes({"action": "one_way", "links": [1]}))
    assert changed.network.link_id.tolist() == [1, 3, 4]
    with pytest.raises(InputError, match="one-way already"):
        apply_changes(changed.network, changes({"action": "one_way", "links": [1]}))


def test_capacity_speed_and_toll() -> None:
    network = grid(2, 2, block_m=500.0, free_speed_kph=50.0, capacity_vph=900.0)
    link_id = int(network.link_id[0])
    found = apply_changes(
        network,
        changes(
            {"action": "widen", "links": [link_id], "lanes": 3},
            {"action": "set_speed", "links": [link_id], "free_speed_kph": 30},
            {"action": "toll", "links": [link_id], "fixed_cost_s": 12.5},
        ),
    ).network
    assert found.capacity_vph[0] == network.capacity_vph[0] * 3 / network.lanes[0]
    assert found.lanes[0] == 3
    assert found.free_flow_time_s[0] == pytest.approx(travel_time_s(500.0, 30.0), rel=1e-12)
    assert found.fixed_cost_s[0] == network.fixed_cost_s[0] + 12.5
    assert found.speed_source[0] == found.capacity_source[0] == Provenance.OVERRIDE
    for name in LINK_COLUMNS:
        assert getattr(found, name)[1:].tolist() == getattr(network, name)[1:].tolist()


def test_what_a_link_takes_beyond_driving_stays_when_its_speed_changes() -> None:
    network = grid(2, 2, block_m=500.0, free_speed_kph=50.0, capacity_vph=900.0)
    waiting = network.replace(free_flow_time_s=network.free_flow_time_s + 20.0)
    link = changes({"action": "set_speed", "links": [int(network.link_id[0])], "free_speed_kph": 25})
    assert apply_changes(waiting, link).network.free_flow_time_s[0] == pytest.approx(travel_time_s(500.0, 25.0) + 20.0, rel=1e-12)


def test_a_new_link_has_the_distance_of_its_nodes_unless_told() -> None:
    network = street()
    add = {"action": "add", "tail": 1, "head": 3, "both_ways": True, "capacity_vph": 10, "free_speed_kph": 36}
    found = apply_changes(network, changes(add))
    assert found.link_ids == ((5, 6),)
    new = found.network
    straight_m = float(np.hypot(new.node_x[2] - new.node_x[0], new.node_y[2] - new.node_y[0]))
    assert new.length_m[4:].tolist() == [straight_m] * 2
    assert new.free_flow_time_s[4:] == pytest.approx([straight_m / 10.0] * 2, rel=1e-12)
    assert (new.tail_idx[4:].tolist(), new.head_idx[4:].tolist()) == ([0, 2], [2, 0])
    assert new.link_classes[new.link_class_code[4]] == "added"
    told = apply_changes(network, changes(add | {"length_m": 7.0, "both_ways": False})).network
    assert (told.n_links, told.length_m[4]) == (5, 7.0)


def test_changes_build_on_each_other() -> None:
    found = apply_changes(
        street(),
        changes(
            {"action": "add", "tail": 1, "head": 3, "capacity_vph": 10, "free_flow_time_s": 3, "length_m": 1},
            {"action": "close", "links": [5]},
        ),
    ).network
    assert found.link_id.tolist() == street().link_id.tolist()


@pytest.mark.parametrize(
    ("table", "place", "words"),
    [
        ({"action": "close", "links": [9]}, "network.change[1].links[1]", "link '9' does not exist"),
        ({"action": "close", "between": [[1, 9]]}, "network.change[1].between[1]", "node '9' does not exist"),
        ({"action": "close", "between": [[1, 3]]}, "network.change[1].between[1]", "no link leads from node 1 to node 3"),
        ({"action": "close", "links": [1, 2, 3, 4]}, None, "0 links"),
        ({"action": "widen", "links": [1], "lanes": 2}, "network.change[1].lanes", "states no lanes"),
        ({"action": "add", "tail": 9, "head": 1, "capacity_vph": 1, "free_speed_kph": 1}, "network.change[1].tail", "'9'"),
    ],
)
def test_what_cannot_be_is_refused(table: dict[str, Any], place: str | None, words: str) -> None:
    with pytest.raises(InputError) as error:
        apply_changes(street(), changes(table))
    assert words in str(error.value)
    assert place is None or error.value.where == place


def test_turns_of_closed_links_go_with_them_and_the_others_keep_theirs() -> None:
    bans, delays = [(0, 2), (3, 1)], {(0, 2): 4.0, (3, 1): 6.0}
    network = street().replace(turns=turn_table(bans, delays))
    closed = apply_changes(network, changes({"action": "close", "links": [1]})).network
    assert closed.turns.bans() == [(2, 0)]  # links 4 and 2, which now stand at these positions
    assert closed.turns.delays() == {(2, 0): 6.0}


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 23), max_size=23))
def test_shapes_and_columns_stay_together(closed: set[int]) -> None:
    base = grid(3, 3, block_m=100.0, free_speed_kph=50.0, capacity_vph=900.0)
    points = [np.array([[link, 0.0], [link, 1.0], [link, 2.0]])[: 2 + link % 2] for link in range(base.n_links)]
    start = np.concatenate([[0], np.cumsum([len(shape) for shape in points])])
    network = base.replace(geometry_start=start, geometry_xy=np.concatenate(points))
    assert network.n_links == 24
    mask = np.isin(np.arange(network.n_links), list(closed))
    found = without_links(network, mask)
    kept = np.flatnonzero(~mask)
    assert found.link_id.tolist() == network.link_id[kept].tolist()
    for place, link in enumerate(kept.tolist()):
        assert found.link_points(place).tolist() == network.link_points(link).tolist()
