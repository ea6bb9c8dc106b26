"""Turn restrictions, turn times and signs of small OpenStreetMap files, checked turn by turn.

The town is a cross with a short way between two of its junctions::

        5       6
        |       |
    1 - 2 ----- 3 - 4
        |       |
        7       8
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.infer import STREET_DEFAULTS
from sim.network.junctions import JunctionRules
from sim.network.osm import read_osm, read_osm_restrictions
from sim.network.road_network import RoadNetwork
from sim.network.store import load_network, save_network
from sim.spec_networks import Junctions

NODES = {1: (0, 1), 2: (1, 1), 3: (2, 1), 4: (3, 1), 5: (1, 2), 6: (2, 2), 7: (1, 0), 8: (2, 0), 9: (1.8, 1)}
WAYS = {10: "1 2", 20: "2 3", 30: "3 4", 40: "5 2", 50: "2 7", 60: "6 3", 70: "3 8"}
Members = list[tuple[str, str, int]]


def node(role: str, ref: int) -> tuple[str, str, int]:
    return ("node", role, ref)


def way(role: str, ref: int) -> tuple[str, str, int]:
    return ("way", role, ref)


LEFT = [way("from", 10), node("via", 2), way("to", 40)]


def written(
    tmp_path: Path,
    relations: list[tuple[dict[str, str], Members]],
    *,
    ways: dict[int, str] | None = None,
    way_tags: dict[int, dict[str, str]] | None = None,
    node_tags: dict[int, dict[str, str]] | None = None,
) -> Path:
    root = ElementTree.Element("osm", version="0.6")
    for node_id, (x, y) in NODES.items():
        element = ElementTree.SubElement(root, "node", id=str(node_id), lon=str(x / 1000), lat=str(y / 1000), version="1")
        add_tags(element, (node_tags or {}).get(node_id, {}))
    for way_id, node_ids in (ways or WAYS).items():
        element = ElementTree.SubElement(root, "way", id=str(way_id), version="1")
        for node_id in node_ids.split():
            ElementTree.SubElement(element, "nd", ref=node_id)
        add_tags(element, {"highway": "residential", **(way_tags or {}).get(way_id, {})})
    for place, (tags, members) in enumerate(relations):
        element = ElementTree.SubElement(root, "relation", id=str(100 + place), version="1")
        for kind, role, ref in members:
            ElementTree.SubElement(element, "member", type=kind, ref=str(ref), role=role)
        add_tags(element, {"type": "restriction", **tags})
    path = tmp_path / "town.osm"
    path.write_text(ElementTree.tostring(root, encoding="unicode"), encoding="utf-8")
    return path


def add_tags(element: ElementTree.Element, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        ElementTree.SubElement(element, "tag", k=key, v=value)


def bans(network: RoadNetwork) -> list[tuple[int, ...]]:
    """Return the bans as the nodes that they go through."""
    tail, head = network.node_id[network.tail_idx].tolist(), network.node_id[network.head_idx].tolist()
    return sorted((tail[ban[0]], *(head[link] for link in ban)) for ban in network.turns.bans())


def one(tmp_path: Path, tags: dict[str, str], members: Members, **more: dict[int, dict[str, str]]) -> tuple[str, str]:
    _, outcomes = read_osm_restrictions(written(tmp_path, [(tags, members)], **more))
    assert [outcome.relation_id for outcome in outcomes] == [100]
    return outcomes[0].outcome, outcomes[0].reason


def test_a_banned_turn(tmp_path: Path) -> None:
    network, outcomes = read_osm_restrictions(written(tmp_path, [({"restriction": "no_left_turn"}, LEFT)]))
    assert bans(network) == [(1, 2, 5)] and outcomes[0].outcome == "applied"
    assert network.cleaning.counts["turn_restrictions"] == network.cleaning.counts["turn_restrictions_applied"] == 1


def test_conditions_are_reported_and_left_out(tmp_path: Path) -> None:
    tags = {"restriction": "no_left_turn", "restriction:conditional": "none @ (22:00-06:00)"}
    network = read_osm(written(tmp_path, [(tags, LEFT), ({"restriction": "no_exit"}, LEFT)]))
    assert bans(network) == [(1, 2, 5)]
    assert network.cleaning.counts["turn_restrictions with conditions that are left out"] == 1


def test_a_prescribed_turn_bans_all_others_and_turning_back(tmp_path: Path) -> None:
    network = read_osm(written(tmp_path, [({"restriction": "only_left_turn"}, LEFT)]))
    assert bans(network) == [(1, 2, 1), (1, 2, 3), (1, 2, 7)]


def test_ways_via(tmp_path: Path) -> None:
    members = [way("from", 40), way("via", 20), way("to", 60)]
    assert bans(read_osm(written(tmp_path, [({"restriction": "no_u_turn"}, members)]))) == [(5, 2, 3, 6)]
    only = read_osm(written(tmp_path, [({"restriction": "only_straight_on"}, members)]))
    assert bans(only) == [(5, 2, 1), (5, 2, 3, 2), (5, 2, 3, 4), (5, 2, 3, 8), (5, 2, 5), (5, 2, 7)]


def test_ways_via_in_any_order_and_direction(tmp_path: Path) -> None:
    members = [way("from", 40), way("via", 21), way("via", 20), way("to", 60)]
    ways = {**{k: v for k, v in WAYS.items() if k != 20}, 20: "9 2", 21: "9 3"}
    path = written(tmp_path, [({"restriction": "no_left_turn"}, members)], ways=ways)
    # 9 is a bend: the two ways via are one link.
    assert bans(read_osm(path)) == [(5, 2, 3, 6)]


def test_entries_and_exits_may_have_several_ways(tmp_path: Path) -> None:
    entry = [way("from", 10), way("from", 40), node("via", 2), way("to", 50)]
    assert bans(read_osm(written(tmp_path, [({"restriction": "no_entry"}, entry)]))) == [(1, 2, 7), (5, 2, 7)]
    leaving = [way("from", 10), node("via", 2), way("to", 50), way("to", 40)]
    assert bans(read_osm(written(tmp_path, [({"restriction": "no_exit"}, leaving)]))) == [(1, 2, 5), (1, 2, 7)]


@pytest.mark.parametrize(
    ("tags", "members", "outcome", "reason"),
    [
        ({"restriction": "no_left_turn", "except": "bus; psv"}, LEFT, "applied", ""),
        ({"restriction": "no_left_turn", "except": "bus;motorcar"}, LEFT, "refused", "exempts cars"),
        ({"restriction:hgv": "no_left_turn"}, LEFT, "refused", "other vehicles"),
        ({"restriction:motorcar": "no_left_turn"}, LEFT, "applied", ""),
        ({"restriction:conditional": "no_left_turn @ (Mo-Fr 07:00-09:00)"}, LEFT, "unsupported", "conditions"),
        ({"restriction": "no_left_turn", "hour_on": "07:00", "hour_off": "09:00"}, LEFT, "unsupported", "conditions"),
        ({"restriction": "no_waltz"}, LEFT, "unsupported", "kind is unknown"),
        ({"restriction": "no_left_turn"}, LEFT[:2], "refused", "lacks a member"),
        ({"restriction": "no_left_turn"}, [*LEFT, way("to", 50)], "refused", "several members"),
        ({"restriction": "no_left_turn"}, [*LEFT, node("via", 3)], "unsupported", "neither one node nor ways"),
        ({"restriction": "no_left_turn"}, [*LEFT, way("via", 20)], "unsupported", "neither one node nor ways"),
        ({"restriction": "no_left_turn"}, [node("from", 1), *LEFT[1:]], "refused", "no way"),
        ({"restriction": "no_left_turn"}, [way("from", 99), *LEFT[1:]], "refused", "no drivable street"),
        ({"restriction": "no_left_turn"}, [way("from", 30), *LEFT[1:]], "refused", "do not meet"),
        ({"restriction": "no_left_turn"}, [way("from", 10), way("via", 30), way("to", 40)], "refused", "do not meet"),
    ],
)
def test_what_becomes_of_relations(tmp_path: Path, tags: dict[str, str], members: Members, outcome: str, reason: str) -> None:
    found, why = one(tmp_path, tags, members)
    assert found == outcome and reason in why and bool(why) == (outcome != "applied")


def test_turns_that_nobody_can_make_are_refused(tmp_path: Path) -> None:
    one_way = {40: {"oneway": "yes"}}  # from 5 to 2 alone
    loop = {10: "1 2", 20: "2 3", 40: "5 2", 41: "3 6 5"}
    path = written(tmp_path, [({"restriction": "no_left_turn"}, LEFT)], ways=loop, way_tags=one_way)
    _, outcomes = read_osm_restrictions(path)
    assert outcomes[0].outcome == "refused" and "nobody can drive there" in outcomes[0].reason


def test_a_way_that_runs_on_through_the_junction_leaves_the_turn_open(tmp_path: Path) -> None:
    ways = {10: "1 2 3", 30: "3 4", 40: "5 2", 50: "2 7", 60: "6 3", 70: "3 8"}
    path = written(tmp_path, [({"restriction": "no_left_turn"}, LEFT)], ways=ways)
    assert "runs on" in read_osm_restrictions(path)[1][0].reason


def test_restrictions_that_cut_off_streets_are_refused(tmp_path: Path) -> None:
    # From 5 only back to 5, and nobody else may enter there: the street to 5 would be lost.
    relations = [
        ({"restriction": "only_u_turn"}, [way("from", 40), node("via", 2), way("to", 40)]),
        ({"restriction": "no_left_turn"}, LEFT),
        ({"restriction": "no_right_turn"}, [way("from", 60), node("via", 3), way("to", 70)]),
    ]
    network, outcomes = read_osm_restrictions(written(tmp_path, relations))
    assert [found.outcome for found in outcomes] == ["refused", "refused", "applied"]
    assert "cut off" in outcomes[0].reason and bans(network) == [(6, 3, 8)]


def test_restrictions_can_be_left_out_and_are_saved(tmp_path: Path) -> None:
    path = written(tmp_path, [({"restriction": "no_left_turn"}, LEFT)])
    assert read_osm(path, turn_restrictions=False).turns.is_empty
    save_network(read_osm(path), tmp_path / "town.npz")
    assert bans(load_network(tmp_path / "town.npz")) == [(1, 2, 5)]
    assert read_osm(tmp_path / "town.npz", turn_restrictions=False).turns.is_empty


def between(network: RoadNetwork, tail: int, head: int) -> int:
    found = np.flatnonzero((network.node_id[network.tail_idx] == tail) & (network.node_id[network.head_idx] == head))
    assert len(found) == 1
    return int(found[0])


def turn(network: RoadNetwork, first: int, middle: int, last: int) -> float:
    key = between(network, first, middle), between(network, middle, last)
    return network.turns.delays().get(key, 0.0)


def test_turns_take_time_by_their_angle(tmp_path: Path) -> None:
    path = written(tmp_path, [({"restriction": "no_right_turn"}, [way("from", 10), node("via", 2), way("to", 50)])])
    network = read_osm(path, junctions=JunctionRules())
    assert [turn(network, 1, 2, other) for other in (3, 5, 7, 1)] == [0.0, 5.4, 0.0, 27.5]
    left_hand = read_osm(path, junctions=JunctionRules(drives_on="left"))
    assert [turn(left_hand, 3, 2, other) for other in (1, 5, 7, 3)] == [0.0, 5.4, 2.1, 27.5]
    assert bans(network) == [(1, 2, 7)]


def test_default_times_of_turns_are_those_of_osrm() -> None:
    def curve_s(degrees: float, bias: float) -> float:
        return 7.5 / (1.0 + math.exp(-(13.0 * bias * degrees / 180.0 - 6.5 / bias)))

    rules = JunctionRules()
    assert rules.left_s == pytest.approx(curve_s(90.0, 1.075), abs=0.05)
    assert rules.right_s == pytest.approx(curve_s(90.0, 1 / 1.075), abs=0.05)
    assert rules.u_turn_s == pytest.approx(20.0 + curve_s(180.0, 1 / 1.075), abs=0.05)
    assert max(curve_s(45.0, 1.075), curve_s(45.0, 1 / 1.075)) < 0.55
    assert Junctions().model_dump() == rules._asdict()


def test_bends_take_no_time(tmp_path: Path) -> None:
    # Between 2 and 4 two streets bend at 9: a node of two neighbours that stays because its streets differ is no junction.
    network = read_osm(written(tmp_path, []), junctions=JunctionRules(left_s=7.0))
    assert turn(network, 2, 3, 6) == 7.0
    assert turn(network, 2, 5, 2) == 27.5


def test_signs_count_for_those_who_drive_to_the_nearer_junction(tmp_path: Path) -> None:
    ways = {**WAYS, 20: "2 9 3"}
    for tags, towards_3, towards_2 in (
        ({"highway": "stop"}, "stop", None),
        ({"highway": "stop", "direction": "backward"}, None, "stop"),
        ({"highway": "give_way", "direction": "forward"}, "give_way", None),
    ):
        path = written(tmp_path, [], ways=ways, node_tags={9: tags})
        plain, timed = read_osm(path), read_osm(path, junctions=JunctionRules())
        for ends, sign in (((2, 3), towards_3), ((3, 2), towards_2)):
            link = between(plain, *ends)
            more_s = {None: 0.0, "stop": 5.0, "give_way": 2.5}[sign]
            assert timed.free_flow_time_s[link] == pytest.approx(plain.free_flow_time_s[link] + more_s)


def test_controls_at_junctions(tmp_path: Path) -> None:
    primary = {place: {"highway": "primary"} for place in WAYS}
    tags = {2: {"highway": "traffic_signals"}, 3: {"highway": "stop", "stop": "all"}}
    path = written(tmp_path, [], way_tags=primary, node_tags=tags)
    plain, timed = read_osm(path), read_osm(path, junctions=JunctionRules(cycle_s=100.0))
    green = STREET_DEFAULTS["primary"].green_share
    into_signals, into_stop = between(plain, 1, 2), between(plain, 4, 3)
    more_s = timed.free_flow_time_s - plain.free_flow_time_s
    assert more_s[into_signals] == pytest.approx(50.0 * (1 - green) ** 2)
    assert more_s[into_stop] == pytest.approx(5.0)
    assert timed.capacity_vph[into_stop] == pytest.approx(3600 / 7.0)
    assert plain.capacity_vph[into_stop] == 1000.0
    assert timed.capacity_vph[into_signals] == plain.capacity_vph[into_signals]
    unclear = read_osm(written(tmp_path, [], node_tags={3: {"highway": "stop"}}), junctions=JunctionRules())
    assert unclear.capacity_vph[between(unclear, 4, 3)] == 500.0


def test_junctions_need_an_extract(tmp_path: Path) -> None:
    save_network(read_osm(written(tmp_path, [])), tmp_path / "town.npz")
    with pytest.raises(InputError, match="cannot be timed"):
        read_osm(tmp_path / "town.npz", junctions=JunctionRules())
