"""The textbook networks have the textbook's costs and totals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import BRAESS_DEMAND_VPH, PIGOU_DEMAND_VPH, braess, grid, parallel, parallel_demand_vph, pigou


def times_s(network: RoadNetwork, flow_vph: list[float]) -> FloatColumn:
    ratio = np.array(flow_vph) / network.capacity_vph
    return np.asarray(network.free_flow_time_s * (1 + network.bpr_alpha * ratio**network.bpr_beta))


@pytest.mark.parametrize(("power", "expected"), [(1.0, 4 / 3), (4.0, 2.1505)])
def test_pigou_has_its_price_of_anarchy(power: float, expected: float) -> None:
    network = pigou(power)
    selfish = times_s(network, [0.0, PIGOU_DEMAND_VPH]) @ [0.0, PIGOU_DEMAND_VPH]
    share = np.linspace(0, 1, 200_001)
    best = min((1 - share) * 1.0 + share * share**power)
    assert selfish == pytest.approx(1.0, abs=1e-11)
    assert selfish / best == pytest.approx(expected, abs=5e-5)
    assert times_s(network, [0.3, 0.5]) == pytest.approx([1.0, 0.5**power], abs=1e-11)


def test_braess_has_its_totals() -> None:
    network = braess()
    assert times_s(network, [4.0, 2.0, 2.0, 2.0, 4.0]) == pytest.approx([40.0, 52.0, 52.0, 12.0, 40.0], abs=1e-6)
    equilibrium, optimum = [4.0, 2.0, 2.0, 2.0, 4.0], [3.0, 3.0, 3.0, 0.0, 3.0]
    assert times_s(network, equilibrium) @ equilibrium == pytest.approx(552.0, abs=1e-6)
    assert times_s(network, optimum) @ optimum == pytest.approx(498.0, abs=1e-6)
    ends = list(zip(network.node_id[network.tail_idx].tolist(), network.node_id[network.head_idx].tolist(), strict=True))
    assert ends == [(1, 3), (1, 4), (3, 2), (3, 4), (4, 2)] and BRAESS_DEMAND_VPH == 6.0


def test_parallel_routes_differ_in_time_and_width() -> None:
    network = parallel(5)
    assert network.n_links == 5 and set(network.tail_idx.tolist()) == {0} and set(network.head_idx.tolist()) == {1}
    assert len(set(network.free_flow_time_s.tolist())) == len(set(network.capacity_vph.tolist())) == 5
    assert parallel_demand_vph(5) == pytest.approx(network.capacity_vph.sum())


def test_grid_joins_neighbours_in_both_directions() -> None:
    network = grid(3, 4, block_m=100.0, free_speed_kph=36.0, capacity_vph=700.0)
    assert (network.n_nodes, network.n_links) == (12, 2 * (3 * 3 + 2 * 4))
    assert network.length_m == pytest.approx(np.hypot(*(network.link_points(0)[1] - network.link_points(0)[0])))
    assert set(network.free_flow_time_s.tolist()) == {10.0}
    pairs = set(zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True))
    assert all((head, tail) in pairs for tail, head in pairs) and len(pairs) == network.n_links
    assert network.zone_id.tolist() == [1, 4, 9, 12]


@pytest.mark.parametrize(
    ("make", "arguments"),
    [(pigou, {"power": 0.0}), (pigou, {"power": np.nan}), (parallel, {"routes": 1}), (grid, {"rows": 1, "columns": 3})]
    + [
        (grid, {"rows": 2, "columns": 2, name: value})
        for name in ("block_m", "free_speed_kph", "capacity_vph")
        for value in (0.0, np.inf)
    ],
)
def test_meaningless_sizes_are_refused(make: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make(**arguments)
