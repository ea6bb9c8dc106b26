"""Properties of networks that hold for any input: round trips, connectivity against a slow twin, and refusal of noise."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.network.connectors import with_zones
from sim.network.osm import read_osm
from sim.network.road_network import RoadNetwork
from sim.network.store import load_network, save_network
from sim.network.synthetic import plain_network
from sim.network.tntp import read_tntp_network, read_tntp_trips, write_tntp_network
from sim.network.validate import check_connected

steady = settings(derandomize=True, deadline=None, max_examples=60)
amounts = st.floats(0, 1e6, allow_subnormal=False)


@st.composite
def networks(draw: st.DrawFn) -> RoadNetwork:
    """Networks of 2 to 7 nodes without parallel links, of which the first two or more are zones that may be closed."""
    n_nodes = draw(st.integers(2, 7))
    pairs = [(tail, head) for tail in range(n_nodes) for head in range(n_nodes) if tail != head]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=14, unique=True))
    n_zones = draw(st.integers(2, n_nodes))
    n_closed = draw(st.integers(0, n_zones))
    columns = {
        name: draw(st.lists(amounts, min_size=len(chosen), max_size=len(chosen))) for name in ("time", "alpha", "beta", "length")
    }
    return plain_network(
        "drawn",
        node_xy=[(float(node), float(node % 3)) for node in range(n_nodes)],
        tail_idx=[tail for tail, _ in chosen],
        head_idx=[head for _, head in chosen],
        free_flow_time_s=columns["time"],
        capacity_vph=draw(st.lists(st.floats(1e-3, 1e6), min_size=len(chosen), max_size=len(chosen))),
        length_m=columns["length"],
        bpr_alpha=columns["alpha"],
        bpr_beta=columns["beta"],
        zone_node_idx=list(range(n_zones)),
        passable=[node >= n_closed for node in range(n_nodes)],
    )


LINK_COLUMNS = ("tail_idx", "head_idx", "capacity_vph", "free_flow_time_s", "length_m", "bpr_alpha", "bpr_beta")


@steady
@given(networks())
def test_tntp_files_hold_the_network_to_the_bit(network: RoadNetwork) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn_net.tntp"
        order = write_tntp_network(network, path)
        again = read_tntp_network(path, time_unit_s=1.0, length_unit_m=1.0)
    assert order.tolist() == list(range(network.n_nodes))
    for column in (*LINK_COLUMNS, "node_passable", "zone_node_idx"):
        assert getattr(again, column).tolist() == getattr(network, column).tolist()


@steady
@given(networks())
def test_own_files_hold_the_network_to_the_bit(network: RoadNetwork) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.npz"
        save_network(network, path)
        first = path.read_bytes()
        again = load_network(path)
        save_network(again, path)
        assert path.read_bytes() == first
    for column in (*LINK_COLUMNS, "node_passable", "zone_node_idx", "node_id", "node_x", "link_id"):
        assert getattr(again, column).tolist() == getattr(network, column).tolist()


def reaches(network: RoadNetwork, origin: int, destination: int) -> bool:
    """The definition, node by node: leave the origin, and go on from a node only if it may be passed."""
    links = list(zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True))
    seen: set[int] = set()
    frontier = [head for tail, head in links if tail == origin]
    while frontier:
        node = frontier.pop()
        if node not in seen:
            seen.add(node)
            frontier += [head for tail, head in links if tail == node and network.node_passable[node]]
    return destination in seen


@steady
@given(networks(), st.data())
def test_connectivity_is_that_of_the_definition(network: RoadNetwork, data: st.DataObject) -> None:
    zone = st.integers(0, network.n_zones - 1)
    pairs = data.draw(st.lists(st.tuples(zone, zone), min_size=1, max_size=8))
    missing = [pair for pair in pairs if pair[0] != pair[1] and not reaches(network, *pair)]
    origin, destination = np.array(pairs).T
    if not missing:
        check_connected(network, origin, destination)
        return
    with pytest.raises(InputError) as raised:
        check_connected(network, origin, destination)
    assert f"no path from zone {missing[0][0] + 1} to zone {missing[0][1] + 1}" in str(raised.value)


@steady
@given(networks(), st.data())
def test_connectors_change_nothing_that_was_there(network: RoadNetwork, data: st.DataObject) -> None:
    streets = network.replace(zone_id=np.zeros(0, dtype=np.int64), zone_node_idx=np.zeros(0, dtype=np.int32))
    nodes = data.draw(st.lists(st.lists(st.integers(0, network.n_nodes - 1), min_size=1, unique=True), min_size=1, max_size=4))
    n_zones = len(nodes)
    joined = with_zones(
        streets, np.arange(n_zones), np.zeros(n_zones), np.ones(n_zones), [np.array(row, dtype=np.int32) for row in nodes]
    )
    for column in (*LINK_COLUMNS, "link_id", "link_class_code"):
        assert getattr(joined, column)[: network.n_links].tolist() == getattr(network, column).tolist()
    assert joined.node_id[: network.n_nodes].tolist() == network.node_id.tolist()
    assert joined.n_links == network.n_links + 2 * sum(map(len, nodes))
    start, link = joined.out_rows
    for centre, row in zip(joined.zone_node_idx.tolist(), nodes, strict=True):
        assert joined.head_idx[link[start[centre] : start[centre + 1]]].tolist() == row


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("n_net.tntp", read_tntp_network),
        ("n_trips.tntp", read_tntp_trips),
        ("n.npz", load_network),
        ("n.osm", read_osm),
        ("n.osm.pbf", read_osm),
        ("n.graphml", read_osm),
    ],
)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_noise_is_refused_in_every_format(name: str, read: Callable[[Path], object], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            read(path)


@steady
@given(st.data())
def test_a_tntp_network_cut_anywhere_is_whole_or_refused(data: st.DataObject) -> None:
    rows = "".join(f"\t{tail}\t{head}\t900\t1.5\t2.5\t0.15\t4\t0\t0\t1\t;\n" for tail, head in ((1, 3), (3, 2), (2, 3), (3, 1)))
    text = f"<NUMBER OF ZONES> 2\n<NUMBER OF NODES> 3\n<FIRST THRU NODE> 3\n<NUMBER OF LINKS> 4\n<END OF METADATA>\n\n{rows}"
    length = data.draw(st.integers(0, len(text)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut_net.tntp"
        path.write_text(text[:length])
        if length >= text.rindex("1\t;") + 1:
            assert read_tntp_network(path).n_links == 4
            return
        with pytest.raises(InputError, match=r"cut_net\.tntp"):
            read_tntp_network(path)
