"""Dynamic equilibrium, best day and lower bound: the default city's peak, or Sioux Falls.

    python -m benchmarks.queue_equilibrium city
    python -m benchmarks.queue_equilibrium siouxfalls --data FOLDER   (with SiouxFalls_net.tntp and SiouxFalls_trips.tntp)

Each line of the equilibrium shows the day, the mean time, the gap of those searched and the seconds so far, wall and process.
Seconds include compiling unless --warm drives a small part first. The city: 60,000 vehicles that depart in two hours, most in
the middle. Sioux Falls: its table as about 20,000 vehicles that each stand for 18.03 (capacities are divided by that),
departures over five hours, most in the middle: over fewer its queues spill back until hardly anything moves. `--profile`
changes the shape of the departures (uniform: all two hours alike), `--optimum no` stops at the equilibrium.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from sim.arrays import FloatColumn
from sim.demand.build import build_demand
from sim.demand.od import od_from_tntp
from sim.demand.population import Population
from sim.demand.travellers import make_population
from sim.experiments.build import build_network
from sim.experiments.scenarios import find_scenario
from sim.network.road_network import RoadNetwork
from sim.network.tntp import read_tntp_network
from sim.network.turns import turn_graph
from sim.spec import Profile, ValueOfTime
from sim.traffic.bound import BoundRules, lower_bound
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import DayRecord, EquilibriumRules, find_equilibrium
from sim.traffic.night import incremental_trips
from sim.traffic.optimum import OptimumRules, best_found
from sim.traffic.price import dynamic_price
from sim.traffic.queue_network import QueueNetwork, QueueRules, queue_network
from sim.traffic.search_graph import search_graph, with_wide_connectors
from sim.traffic.timed_paths import PathFinder, TripEnds

SIOUX_GRAIN = 18.03
SIOUX_PERIOD_S = 5 * 3600.0


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its travellers, and how hard to look."""

    name: str
    network: QueueNetwork
    finder: PathFinder
    departure_s: FloatColumn
    equilibrium: EquilibriumRules
    optimum: OptimumRules
    bound: BoundRules


def city(shape: str) -> Case:
    spec, folder = find_scenario("city", ["demand.profile.period_s=7200", f"demand.profile.shape={shape}"])
    network, _ = build_network(spec.network, folder)
    demand = build_demand(spec.demand, network, folder, spec.seed)
    return case_of(
        "city", demand.network, demand.population, EquilibriumRules(gap=0.03, most_days=60),
        OptimumRules(walk_days=8, rounds=4),
        BoundRules(rounds=60, cell_s=4, last_cell_s=2, slot_s=60, step_s=30, most_priced=60),
    )  # fmt: skip


def sioux_falls(data: Path, shape: Literal["peak", "uniform"]) -> Case:
    network = read_tntp_network(data / "SiouxFalls_net.tntp", time_unit_s=60)
    od = od_from_tntp(data / "SiouxFalls_trips.tntp", network)
    population = make_population(od, SIOUX_GRAIN, ValueOfTime(), Profile(shape=shape, period_s=SIOUX_PERIOD_S), 1)
    return case_of(
        "Sioux Falls", network.replace(capacity_vph=network.capacity_vph / SIOUX_GRAIN), population,
        EquilibriumRules(gap=0.002, most_days=150, rounds=800), OptimumRules(walk_days=60, rounds=100),
        BoundRules(rounds=60, cell_s=2, last_cell_s=1, slot_s=60, step_s=30),
    )  # fmt: skip


def case_of(
    name: str, network: RoadNetwork, population: Population, equilibrium: EquilibriumRules, optimum: OptimumRules,
    bound: BoundRules,
) -> Case:  # fmt: skip
    queues = queue_network(with_wide_connectors(network), QueueRules())
    node = network.zone_node_idx
    ends = TripEnds(node[population.origin_zone_idx], node[population.destination_zone_idx])
    finder = PathFinder(search_graph(queues, turn_graph(network)), ends)
    return Case(name, queues, finder, population.departure_s, equilibrium, optimum, bound)


class Clock:
    """Seconds since the start, by the wall and of the process."""

    def __init__(self) -> None:
        self.wall_s, self.process_s = time.perf_counter(), time.process_time()

    def __str__(self) -> str:
        return f"{time.perf_counter() - self.wall_s:.1f} s wall, {time.process_time() - self.process_s:.1f} s process"


def solve(case: Case, days: int | None, with_optimum: bool) -> None:
    clock = Clock()
    n_vehicles = len(case.departure_s)
    free_s = float(case.finder.free_time_s.mean())
    print(f"{case.name}: {n_vehicles:,} vehicles, {case.network.n_links:,} links, free flow {free_s:.1f} s", flush=True)
    trips = incremental_trips(case.network, case.finder, case.departure_s, 1)
    print(f"  first ways ({clock})", flush=True)

    def show(record: DayRecord) -> None:
        if record.day % 10 == 0 or (record.searched == n_vehicles and record.day < rules.most_days):
            mean_s = record.total_time_s / n_vehicles
            asked = f"{record.searched:,} searched"
            print(f"  day {record.day:3d}  {mean_s:.1f} s  gap {record.relative_gap:.3%}, {asked} ({clock})", flush=True)

    rules = case.equilibrium if days is None else replace(case.equilibrium, most_days=days)
    found = find_equilibrium(case.network, case.finder, trips, rules, 1, show)
    equilibrium_s = found.driven.total_time_s
    print(f"  equilibrium {equilibrium_s / n_vehicles:.1f} s, gap {found.relative_gap:.3%} ({clock})", flush=True)
    if not with_optimum:
        return
    best = best_found(case.finder, found.driven, case.optimum, 1)
    print(f"  best found, marginal costs {best.driven.total_time_s / n_vehicles:.1f} s ({clock})", flush=True)
    bound = lower_bound(case.finder, [found.driven, best.driven], case.bound)
    print(
        f"  bound {bound.total_time_s / n_vehicles:.1f} s by {bound.method}, {bound.n_priced} links priced ({clock})", flush=True
    )
    best = best_found(case.finder, best.driven, case.optimum, 2, [bound.tolls])
    print(f"  best found, prices as tolls {best.driven.total_time_s / n_vehicles:.1f} s ({clock})", flush=True)
    report(found.driven, found.relative_gap, best.driven, bound.total_time_s)


def report(equilibrium: DrivenDay, gap: float, best: DrivenDay, bound_s: float) -> None:
    price = dynamic_price(equilibrium.total_time_s, gap, best.total_time_s, bound_s)
    share = (best.total_time_s - bound_s) / equilibrium.total_time_s
    low, high = price.interval
    print(f"  Price of Anarchy in [{low:.3f}, {high:.3f}], width {share:.1%} of the equilibrium; withheld: {price.withheld}")


def warm(case: Case) -> None:
    """Compile everything on the first vehicles."""
    few = np.arange(min(300, len(case.departure_s)))
    ends = TripEnds(case.finder.ends.origin_idx[few], case.finder.ends.destination_idx[few])
    finder = PathFinder(case.finder.graph, ends)
    trips = incremental_trips(case.network, finder, case.departure_s[few], 1)
    found = find_equilibrium(case.network, finder, trips, EquilibriumRules(most_days=3), 1)
    best = best_found(finder, found.driven, OptimumRules(walk_days=1, rounds=1), 1)
    lower_bound(finder, [best.driven], BoundRules(rounds=1, cell_s=20, last_cell_s=20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["city", "siouxfalls"])
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--days", type=int, help="most days of the equilibrium")
    parser.add_argument("--profile", choices=["peak", "uniform"], default="peak", help="shape of the departures")
    parser.add_argument("--optimum", choices=["yes", "no"], default="yes", help="whether to look for the best day and its bound")
    parser.add_argument("--warm", action="store_true", help="compile before the clock starts")
    asked = parser.parse_args()
    case = city(asked.profile) if asked.case == "city" else sioux_falls(asked.data, asked.profile)
    if asked.warm:
        warm(case)
    solve(case, asked.days, asked.optimum == "yes")


if __name__ == "__main__":
    main()
