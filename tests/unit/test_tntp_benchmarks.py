"""The published TNTP networks: sizes, and totals at the best-known flows (which need every column to be right)."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sim.network.tntp import read_tntp_network, read_tntp_trips

pytestmark = pytest.mark.shared_data


@pytest.mark.parametrize(
    ("net", "zones", "nodes", "links", "duplicates", "closed"),
    [
        ("SiouxFalls/SiouxFalls_net.tntp", 24, 24, 76, 0, 0),
        ("Braess-Example/Braess_net.tntp", 2, 4, 5, 0, 0),
        ("Anaheim/Anaheim_net.tntp", 38, 416, 914, 0, 38),
        ("Eastern-Massachusetts/EMA_net.tntp", 74, 74, 258, 0, 0),
        ("Chicago-Sketch/ChicagoSketch_net.tntp", 387, 933, 2950, 0, 0),
        ("Berlin-Center/berlin-center_net.tntp.gz", 865, 12981, 28376, 6, 865),
        ("chicago-regional/ChicagoRegional_net.tntp.gz", 1790, 12982, 39018, 0, 1790),
        ("Austin_sdb/Austin_sdb_net.txt.gz", 1117, 7466, 18710, 7, 1117),
    ],
)
def test_sizes(shared_data: Path, net: str, zones: int, nodes: int, links: int, duplicates: int, closed: int) -> None:
    network = read_tntp_network(shared_data / "tntp" / net)
    assert (network.n_zones, network.n_nodes, network.n_links) == (zones, nodes, links - duplicates)
    assert network.cleaning.counts["duplicate_links"] == duplicates
    assert int((~network.node_passable).sum()) == closed


@pytest.mark.parametrize(
    ("trips", "total"),
    [
        ("SiouxFalls/SiouxFalls_trips.tntp", 360_600.0),
        ("Anaheim/Anaheim_trips.tntp", 104_694.4),
        ("Eastern-Massachusetts/EMA_trips.tntp", 65_576.375),
        ("Chicago-Sketch/ChicagoSketch_trips.tntp.gz", 1_260_907.44),
        ("Berlin-Center/berlin-center_trips.tntp.gz", 168_222.302),
        ("Austin_sdb/Austin_sdb_trips.txt.gz", 695_013.0),
    ],
)
def test_trip_totals(shared_data: Path, trips: str, total: float) -> None:
    table = read_tntp_trips(shared_data / "tntp" / trips)
    assert table.demand.sum() == pytest.approx(total, rel=1e-8)
    assert table.warnings == ()


@pytest.mark.parametrize(
    ("folder", "toll_weight", "distance_weight", "beckmann", "total_time"),
    [
        ("SiouxFalls/SiouxFalls", 0.0, 0.0, 4_231_335.287107, 7_480_225.344921),
        ("Anaheim/Anaheim", 0.0, 0.0, 1_286_032.171096, 1_419_913.851059),
        ("Chicago-Sketch/ChicagoSketch", 0.02, 0.04, 17_313_018.738748, 18_371_027.719673),
        ("chicago-regional/ChicagoRegional", 0.1, 0.25, 30_792_611.386439, 33_677_061.622760),
    ],
)
def test_totals_at_the_best_known_flows(
    shared_data: Path, folder: str, toll_weight: float, distance_weight: float, beckmann: float, total_time: float
) -> None:
    net = next((shared_data / "tntp").glob(f"{folder}_net.tntp*"))
    network = read_tntp_network(net, toll_weight=toll_weight, distance_weight=distance_weight, time_unit_s=1.0)
    flow = flows(next((shared_data / "tntp").glob(f"{folder}_flow.tntp*")), network.n_nodes)
    flow_vph = np.array(
        [flow[tail + 1, head + 1] for tail, head in zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True)]
    )
    ratio = flow_vph / network.capacity_vph
    time_s = network.free_flow_time_s * (1 + network.bpr_alpha * ratio**network.bpr_beta)
    area = network.free_flow_time_s * flow_vph * (1 + network.bpr_alpha / (network.bpr_beta + 1) * ratio**network.bpr_beta)
    assert float(flow_vph @ time_s) == pytest.approx(total_time, rel=1e-12)
    assert float((area + network.fixed_cost_s * flow_vph).sum()) == pytest.approx(beckmann, rel=1e-12)


def flows(path: Path, n_nodes: int) -> dict[tuple[int, int], float]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [line.replace(":", " ").replace(";", " ").split() for line in text.splitlines()]
    return {
        (int(row[0]), int(row[1])): float(row[2]) for row in rows if len(row) >= 3 and row[0].isdigit() and int(row[0]) <= n_nodes
    }
