"""A day with an incident: the market within the day beside drivers who follow the news and beside hindsight, over many seeds.

    python -m benchmarks.queue_incident [--seeds 20]

The bundled scenario `incident` with another demand of the same size in each seed (departures are drawn anew), and another
street: a link drawn among the twenty that carry most on the learned day is closed for ten minutes in the middle of the
departures. Compared are, on the same luck: drivers who stay on the way that they have learned; shares of drivers who follow
the news while it lasts; the market, whose baseline is the share that does best of these on average (0.4); and the best day
found in hindsight, by a search that knows of the incident in the morning. Differences are paired by seed, with the 95 %
interval of Student's t.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
from scipy.stats import t as student

from sim.experiments.build import build_scenario
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.queue_incident import with_incidents, within_day_rules
from sim.experiments.queue_market import close_window, members_of, registrations_of, worth_of
from sim.experiments.queue_solve import learned_day
from sim.experiments.scenarios import find_scenario
from sim.experiments.work import Work
from sim.mechanisms.within_day import WithinDay, selfish_day
from sim.rng import stream
from sim.spec_incidents import IncidentSpec
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.optimum import OptimumRules, best_found

SHARES = (0.2, 0.4, 0.6, 1.0)
BASELINE_SHARE = 0.4
BUSY_LINKS = 20


def busy_link(queues: BuiltQueues, learned: DrivenDay, seed: int) -> IncidentSpec:
    """Return the closure of one of the links that carry most."""
    use = np.diff(learned.records.start)
    busiest = np.argsort(-use, kind="stable")[:BUSY_LINKS]
    link = int(busiest[stream(seed, "incident").integers(0, BUSY_LINKS)])
    name = queues.network.link_id[link]
    middle_s = queues.period_s / 2.0
    return IncidentSpec(link=name if isinstance(name, str) else int(name), from_s=middle_s - 300.0, to_s=middle_s + 300.0)


def one_seed(seed: int) -> dict[str, float]:
    """Return seconds a trip of each day, and what became of the money."""
    settings = ["demand.profile.shape=peak", f"traffic.reactive_share={BASELINE_SHARE}"]
    spec, folder = find_scenario("incident", settings, seed)
    plain = build_queues(build_scenario(spec, folder))
    learned = learned_day(plain, work=Work(), say=lambda _: None).driven
    there = spec.model_copy(update={"incident": (busy_link(plain, learned, seed),)})
    queues = with_incidents(replace(plain, built=replace(plain.built, spec=there)))
    n_travellers, trips = queues.population.n_travellers, learned.trips
    found = {"learned": learned.total_time_s, "stay": drive(queues.network, trips).total_time_s}
    for share in SHARES:
        day = selfish_day(
            queues.network, queues.finder, trips, share=share, every_s=queues.settings.reroute_every_s, seed=spec.seed
        )
        found[f"news {share:g}"] = day.total_time_s
    registrations = registrations_of(queues, 5)
    worth = worth_of(queues)
    market = WithinDay(
        queues.network, queues.finder, trips, members_of(registrations, len(worth)), worth, within_day_rules(queues), spec.seed
    )
    found["market"] = market.driven.total_time_s
    # Hindsight starts from the market's day, too: whatever anybody found, it could have found.
    starts = [market.baseline, market.driven]
    found["hindsight"] = min(
        best_found(queues.finder, start, OptimumRules(walk_days=20, rounds=40), spec.seed).driven.total_time_s for start in starts
    )
    per_trip = {name: total_s / n_travellers for name, total_s in found.items()}
    content = close_window(queues, market.agreement, registrations).content
    per_trip["contracts"] = content["contracts"]
    per_trip["below"] = content["below_baseline"]
    per_trip["balance"] = content["transfers_sum_micro"] + content["fees_micro"]
    per_trip["called off"] = float(market.called_off)
    return per_trip


def interval(values: list[float]) -> str:
    """Return mean and 95 % interval of the mean."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(student.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))
    return f"{mean:8.2f}  [{mean - half:.2f}, {mean + half:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    rows = []
    for seed in range(1, asked.seeds + 1):
        rows.append(one_seed(seed))
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.1f}" for name, value in rows[-1].items()), flush=True)
    if len(rows) < 2:
        return
    print("\nseconds a trip, mean and 95 % interval over seeds")
    for name in ("learned", "stay", *(f"news {share:g}" for share in SHARES), "market", "hindsight"):
        print(f"  {name:12s}{interval([row[name] for row in rows])}")
    print("market minus, paired by seed")
    for name in ("stay", *(f"news {share:g}" for share in SHARES), "hindsight"):
        print(f"  {name:12s}{interval([row['market'] - row[name] for row in rows])}")
    baseline = f"news {BASELINE_SHARE:g}"
    closed = [
        (row[baseline] - row["market"]) / (row[baseline] - row["hindsight"]) for row in rows if row[baseline] > row["hindsight"]
    ]
    print(f"share of the gap from the news to hindsight that the market closes: {interval([100.0 * one for one in closed])} %")
    print(
        f"contracts {sum(row['contracts'] for row in rows):,.0f}, below baseline {sum(row['below'] for row in rows):.0f}, "
        f"transfers + fees {sum(abs(row['balance']) for row in rows):.0f}, "
        f"days called off {sum(row['called off'] for row in rows):.0f} of {len(rows)}"
    )


if __name__ == "__main__":
    main()
