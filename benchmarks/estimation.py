"""How well demand is recovered from noisy link counts: Sioux Falls, whose demand is known.

    python -m benchmarks.estimation --data DIR [--seeds N]

DIR holds the TNTP folder SiouxFalls. Counts stand on every link and are wrong by 5 % (normal); the prior has 80 % of the trips
and every cell off by a lognormal factor of spread 0.2. Two scales: the table as it is, and a tenth of trips and capacities, an
hour of the day that the table describes (the same equilibrium; GEH is defined for hourly flows and grows with the root of the
scale).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import solve
from sim.assignment.od_estimation import estimate_demand
from sim.assignment.problem import Principle, make_problem
from sim.demand.link_counts import LinkCounts
from sim.demand.od import od_from_tntp
from sim.demand.population import OdMatrix
from sim.metrics import geh
from sim.network.tntp import read_tntp_network
from sim.network.turns import turn_graph
from sim.spec_counts import Counts

NOISE, LEVEL, SPREAD = 0.05, 0.8, 0.2
GOOD_GEH = 5.0


def run(folder: Path, scale: float, seed: int) -> list[str]:
    network = read_tntp_network(folder / "SiouxFalls_net.tntp", time_unit_s=60.0, length_unit_m=1000.0)
    graph = turn_graph(network.replace(capacity_vph=network.capacity_vph * scale))
    truth = od_from_tntp(folder / "SiouxFalls_trips.tntp", network).scaled(scale)
    flow = solve(make_problem(graph.network, truth), Principle.USER_EQUILIBRIUM, gap=1e-9).flow_vph
    luck = np.random.default_rng(seed)
    counted = np.maximum(0.0, flow * (1.0 + NOISE * luck.standard_normal(len(flow))))
    factor = LEVEL * np.exp(SPREAD * luck.standard_normal(truth.n_cells) - SPREAD**2 / 2)
    prior = OdMatrix(truth.zone_id, truth.origin_zone_idx, truth.destination_zone_idx, truth.demand_vph * factor)
    counts = LinkCounts(np.arange(len(flow), dtype=np.int32), counted)
    begin = time.process_time()
    fit = estimate_demand(graph, prior, counts, Counts(file="counts"))
    seconds = time.process_time() - begin
    total = fit.od.total_vph / truth.total_vph - 1.0
    shares = [_good(fit.prior_flow_vph, counted), _good(fit.flow_vph, counted), _good(fit.flow_vph, flow), _good(flow, counted)]
    return [f"{scale:g}", str(seed), f"{total:+.2%}", *(f"{share:.1%}" for share in shares), f"{seconds:.1f}"]


def _good(flow_vph: FloatColumn, count_vph: FloatColumn) -> float:
    return float(np.mean(geh(flow_vph, count_vph) < GOOD_GEH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print("scale  seed  total off  GEH<5: prior/counts  estimate/counts  estimate/truth  truth/counts  CPU s")
    for scale in (0.1, 1.0):
        for seed in range(1, asked.seeds + 1):
            print("  ".join(run(asked.data / "SiouxFalls", scale, seed)))


if __name__ == "__main__":
    main()
