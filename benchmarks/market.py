"""The market at full participation: how close it brings a city to its optimum, over many seeds.

`python -m benchmarks.market --data DIR` prints a row a network: the largest ratio to the optimum over the seeds, travellers below
their baseline, whether the transfers add up to minus the fees, the payments as a share of all time cost, and the processor time.
DIR holds the TNTP benchmark networks, which are not part of the project; the default city runs without.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.experiments.run import run
from sim.experiments.scenarios import find_scenario
from sim.settlement.money import MICRO_PER_CREDIT
from sim.spec import ScenarioSpec, parse_scenario


@dataclass(frozen=True)
class Case:
    """A network of the benchmark: files by their stem, the grain, its unit of time, and the largest ratio that was promised."""

    name: str
    net: str
    trips: str
    vehicles_per_traveller: float
    time_unit_s: float = 60.0
    promised_ratio: float = 1.001
    promised_payments: float | None = 0.05
    toll_weight: float = 0.0
    distance_weight: float = 0.0


CASES = (
    Case("Braess", "Braess_net", "Braess_trips", 0.1),
    Case("Sioux Falls", "SiouxFalls_net", "SiouxFalls_trips", 100.0, time_unit_s=36.0),
    Case("Eastern Massachusetts", "EMA_net", "EMA_trips", 20.0, time_unit_s=3600.0),
    Case("Anaheim", "Anaheim_net", "Anaheim_trips", 40.0),
    Case("Chicago Sketch", "ChicagoSketch_net", "ChicagoSketch_trips", 20.0, toll_weight=0.02, distance_weight=0.04),
)
CITY = Case("default city", "", "", 1.0, promised_ratio=1.003, promised_payments=None)


def find(folder: Path, stem: str) -> Path:
    """Return the file of this name in or below a folder, plain or gzipped."""
    found = sorted(path for ending in (".tntp", ".tntp.gz") for path in folder.rglob(stem + ending))
    if not found:
        raise SystemExit(f"{folder}: holds no {stem}.tntp")
    return found[0]


def tntp_scenario(case: Case, data: Path, **sections: dict[str, Any]) -> ScenarioSpec:
    """Return the scenario of a TNTP network with its coalition; `sections` extend or replace keys of the scenario's tables."""
    table: dict[str, dict[str, Any]] = {
        "network": {
            "source": "tntp",
            "net": str(find(data, case.net)),
            "time_unit_s": case.time_unit_s,
            "length_unit_m": 1000.0,
            "toll_weight": case.toll_weight,
            "distance_weight": case.distance_weight,
        },
        "demand": {
            "source": "tntp",
            "trips": str(find(data, case.trips)),
            "vehicles_per_traveller": case.vehicles_per_traveller,
        },
        "worlds": {"run": ["selfish", "optimum", "coalition"]},
    }
    for key, content in sections.items():
        table[key] = table.get(key, {}) | content
    return parse_scenario({"name": case.name.replace(" ", "_"), **table})


def city_scenario() -> tuple[ScenarioSpec, Path]:
    """Return the default city with its coalition, and where its relative paths start."""
    return find_scenario("city", ['worlds.run=["selfish","optimum","coalition"]'])


@dataclass(frozen=True)
class Figures:
    """What one run of a market ended with."""

    travellers: int
    ratio: float
    below_baseline: int
    unbalanced_micro: int
    payments_share: float
    contracts: int
    called_off: int
    cpu_s: float


def measure(spec: ScenarioSpec, folder: Path) -> Figures:
    """Run a scenario and return its coalition's figures."""
    begin = time.process_time()
    result = run(spec, folder)
    cpu_s = time.process_time() - begin
    poa = result.poa()
    world = poa["worlds"]["coalition"]
    return Figures(
        travellers=poa["travellers"],
        ratio=world["ratio"],
        below_baseline=world["below_baseline"],
        unbalanced_micro=world["transfers_sum_micro"] + world["fees_micro"],
        payments_share=world["payments_micro"] / MICRO_PER_CREDIT / world["total_time_s"],
        contracts=world["contracts"],
        called_off=world["called_off"],
        cpu_s=cpu_s,
    )


def over_seeds(spec: ScenarioSpec, folder: Path, seeds: int) -> Iterator[Figures]:
    """Yield the figures of the seeds 1 to `seeds`; one run before them compiles the kernels and is not counted."""
    measure(spec, folder)
    for seed in range(1, seeds + 1):
        yield measure(spec.model_copy(update={"seed": seed}), folder)


def row(case: Case, figures: list[Figures]) -> str:
    """Return a network's line of the table."""
    ratio, payments = max(f.ratio for f in figures), max(f.payments_share for f in figures)
    below, unbalanced = sum(f.below_baseline for f in figures), sum(f.unbalanced_micro != 0 for f in figures)
    met = ratio <= case.promised_ratio and below == 0 and unbalanced == 0
    met = met and (case.promised_payments is None or payments <= case.promised_payments)
    return (
        f"| {case.name} | {figures[0].travellers:,} | {len(figures)} | {min(f.ratio for f in figures):.6f} | {ratio:.6f} | "
        f"{case.promised_ratio} | {below} | {unbalanced} | {payments:.2%} | {max(f.contracts for f in figures):,} | "
        f"{sum(f.called_off for f in figures)} | {sum(f.cpu_s for f in figures) / len(figures):.1f} | {'yes' if met else 'NO'} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="folder of the TNTP benchmark networks; without it the city alone runs")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", help="name of one network")
    options = parser.parse_args()
    print(
        "| network | travellers | seeds | least ratio | largest ratio | promised | below baseline | unbalanced runs "
        "| largest payments | contracts | called off | CPU s a run | met |\n" + "|---" * 13 + "|",
        flush=True,
    )
    for case in (*(CASES if options.data else ()), CITY):
        if options.only not in (None, case.name):
            continue
        spec, folder = city_scenario() if case is CITY else (tntp_scenario(case, options.data), Path())
        print(row(case, list(over_seeds(spec, folder, options.seeds))), flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
