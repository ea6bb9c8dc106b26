"""The market below full participation, beside the mixed equilibrium that the assignment solver computes independently.

`python -m benchmarks.participation --data DIR` prints a row a network and level: the share of the gap between the selfish city
and the optimum that the market closes (mean over the seeds) and that the mixed equilibrium closes, what the members save in both,
windows called off, and members below their baseline. DIR holds the TNTP benchmark networks.

Where the mixed equilibrium leaves the members with less than they had (a negative saving), a market that keeps its promise cannot
rest there: the difference between the two shares is what the look-ahead costs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.market import CASES, tntp_scenario
from sim.assignment.mixed import mixed_equilibrium
from sim.assignment.problem import AssignmentProblem
from sim.experiments.build import build_scenario
from sim.experiments.run import run
from sim.spec import ScenarioSpec

LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 11))
NETWORKS = ("Sioux Falls", "Eastern Massachusetts")
PROMISED_DISTANCE = 0.05


@dataclass(frozen=True)
class Level:
    """What happens at one level of participation; shares are means over the seeds, counts are sums."""

    closed: float
    members_save: float
    called_off: int
    below_baseline: int


def market_at(spec: ScenarioSpec, participation: float, seeds: int) -> Level:
    """Return what the market reaches at this level."""
    closed, saved, called_off, below = [], [], 0, 0
    market = spec.market.model_copy(update={"participation": participation})
    for seed in range(1, seeds + 1):
        poa = run(spec.model_copy(update={"seed": seed, "market": market}), Path()).poa()
        world, before = poa["worlds"]["coalition"], poa["baseline"]["ratio"]
        closed.append((before - world["ratio"]) / (before - 1.0))
        saved.append(world["members_saving_share"])
        called_off += world["called_off"]
        below += world["below_baseline"]
    return Level(float(np.mean(closed)), float(np.mean(saved)), called_off, below)


def mixed_at(problem: AssignmentProblem, participation: float, selfish_s: float, optimum_s: float) -> tuple[float, float]:
    """Return (share of the gap closed, saving of the members) at the mixed equilibrium."""
    found = mixed_equilibrium(problem, participation)
    before = participation * selfish_s
    return (selfish_s - found.total_cost_s) / (selfish_s - optimum_s), 1.0 - found.members.total_cost_s / before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the TNTP benchmark networks")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    print(
        "| network | participation | market closes | mixed equilibrium closes | distance | members save "
        "| at the mixed equilibrium | called off | below baseline | within 5 points |\n" + "|---" * 10 + "|",
        flush=True,
    )
    for case in CASES:
        if case.name not in NETWORKS:
            continue
        spec = tntp_scenario(case, options.data)
        problem = build_scenario(spec, Path()).problem
        selfish_s, optimum_s = (mixed_equilibrium(problem, share).total_cost_s for share in (0.0, 1.0))
        for level in LEVELS:
            market = market_at(spec, level, options.seeds)
            closed, saved = mixed_at(problem, level, selfish_s, optimum_s)
            distance = market.closed - closed
            within = "yes" if distance >= -PROMISED_DISTANCE else "NO"
            print(
                f"| {case.name} | {level} | {market.closed:.3f} | {closed:.3f} | {distance:+.3f} "
                f"| {market.members_save:.3%} | {saved:.3%} "
                f"| {market.called_off} of {options.seeds} | {market.below_baseline} | {within} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
