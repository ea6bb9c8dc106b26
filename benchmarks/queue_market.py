"""The market in moving traffic: how much of the gap between the selfish day and the best found it closes, and what it takes.

    python -m benchmarks.queue_market siouxfalls --data FOLDER [--curve]    (with SiouxFalls_net.tntp and SiouxFalls_trips.tntp)
    python -m benchmarks.queue_market city [--curve]
    python -m benchmarks.queue_market grid [--curve] [--contracts 100000]

Share of the gap: (selfish - coalition) / (selfish - best found), with the cost of other departures in the coalition's total;
beside it the same with the proven lower bound instead of the best found. The first line of the market is ways alone
(departures as they are, which is what the best day found has, too), the second has departures as well. With --curve the market
runs again at participations from 0.1 to 0.9. Money: members below their baseline, what all transfers sum to beside the fees,
and what the ledger's file says when it is read back. Sioux Falls: its table as about 20,000 vehicles that each stand for
18.03, over five hours.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sim.arrays import OffsetColumn
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.queue_market import QueueMarket, run_queue_market
from sim.experiments.queue_solve import BestDay, SelfishDay, learned_day, solve_best
from sim.experiments.scenarios import find_scenario
from sim.experiments.work import Work
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours
from sim.settlement.enforcement import enforce
from sim.settlement.ledger_file import check_ledger, write_ledger
from sim.settlement.queue_times import agreed_times, plans_on
from sim.settlement.timetables import RouteTimes
from sim.spec import Adversaries, ContractRules, ScenarioSpec, parse_scenario

CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIOUX_FALLS = {
    "name": "siouxfalls_queue",
    "network": {"source": "tntp", "net": "SiouxFalls_net.tntp", "time_unit_s": 60},
    "demand": {
        "source": "tntp",
        "trips": "SiouxFalls_trips.tntp",
        "vehicles_per_traveller": 18.03,
        "profile": {"shape": "peak", "period_s": 18000},
    },
    "traffic": {
        "model": "queue",
        "gap": 0.01,
        "days": 200,
        "reroute_every_s": 300,
        "optimum_days": 60,
        "optimum_iterations": 100,
    },
    "worlds": {"run": ["selfish", "optimum", "coalition"]},
}


class Seconds:
    """Seconds by phase, wall and process."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self.process_s: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block."""
        wall_s, process_s = time.perf_counter(), time.process_time()
        yield
        self.wall_s[name] = time.perf_counter() - wall_s
        self.process_s[name] = time.process_time() - process_s


def scenario(name: str, data: Path) -> tuple[ScenarioSpec, Path]:
    if name == "siouxfalls":
        return parse_scenario(SIOUX_FALLS), data
    return find_scenario({"city": "city_queue_market", "grid": "queue_market"}[name])


def with_market(queues: BuiltQueues, **keys: object) -> BuiltQueues:
    """Return the same streets and travellers under other rules of the market."""
    spec = queues.built.spec
    market = spec.market.model_copy(update=keys)
    return replace(queues, built=replace(queues.built, spec=spec.model_copy(update={"market": market})))


def trade(queues: BuiltQueues, selfish: SelfishDay, seconds: Seconds) -> QueueMarket:
    return run_queue_market(
        queues, selfish.driven, warm_up_days=max(1, len(selfish.history)), phase=seconds.phase, say=lambda _: None
    )


def show(label: str, market: QueueMarket, selfish_s: float, best: BestDay, seconds: Seconds) -> None:
    content, n_travellers = market.content, len(market.cost_s)
    saved_s = selfish_s - market.total_cost_s
    of_found = saved_s / (selfish_s - best.found.driven.total_time_s)
    of_bound = saved_s / (selfish_s - best.bound.total_time_s)
    others = content["others_saving_share"]
    others_text = "" if others is None else f", others save {others:.2%}"
    members = content["members_saving_share"]
    print(
        f"  {label:24s} {market.total_cost_s / n_travellers:7.1f} s a trip: {of_found:6.1%} of the gap to the best found, "
        f"{of_bound:6.1%} of that to the bound; members save {0.0 if members is None else members:.2%}{others_text}; "
        f"{content['contracts']:,} contracts, {content['departures_moved']:,} other departures, "
        f"{content['below_baseline']} below baseline, transfers + fees = "
        f"{content['transfers_sum_micro'] + content['fees_micro']}, "
        f"called off {content['called_off']} ({seconds.wall_s['live coalition']:.0f} s wall, "
        f"{seconds.process_s['live coalition']:.0f} s process; settled in {seconds.process_s['settle coalition']:.1f} s)",
        flush=True,
    )


def ledger_holds(market: QueueMarket) -> str:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.parquet"
        contracts = Path(folder) / "contracts.parquet"
        write_ledger(market.enforcement, ledger)
        pq.write_table(market.tables["contracts"], contracts)
        check = check_ledger(ledger, contracts)
    return f"{check.entries:,} entries verify" if check.holds else "; ".join(check.problems)


def carry_out_many(queues: BuiltQueues, market: QueueMarket, count: int) -> str:
    """Carry the window's contracts out as often as makes `count` of them, each copy with movers of its own, and time it."""
    enforcement = market.enforcement
    contracts, detours = enforcement.contracts, enforcement.detours
    copies = -(-count // contracts.n_contracts)
    n_travellers = len(market.cost_s)

    def rows(start: OffsetColumn) -> OffsetColumn:
        return np.concatenate([[0], np.cumsum(np.tile(np.diff(start), copies))])

    movers = np.concatenate([contracts.mover + copy * n_travellers for copy in range(copies)]).astype(np.int32)
    many = Contracts(
        movers, np.tile(contracts.price_micro, copies), np.tile(contracts.fee_micro, copies), rows(contracts.start),
        np.tile(contracts.link, copies), np.tile(contracts.fund_pays_micro, copies),
        np.tile(contracts.clearing_pays_micro, copies),
    )  # fmt: skip
    apart = detours.baseline_apart
    ways = Detours(
        rows(detours.baseline_start), np.tile(detours.baseline_link, copies), rows(detours.target_start),
        np.tile(detours.target_link, copies), np.tile(detours.departure_s, copies), np.tile(detours.credits_per_s, copies),
        None if apart is None else np.tile(apart, copies),
    )  # fmt: skip
    plans = [plans_on(day, contracts.mover) for day in (market.baseline, market.world.driven)]
    times = agreed_times(*plans, np.zeros(contracts.n_contracts))
    agreed = RouteTimes(*(np.tile(column, copies) for column in vars(times).values()))
    begin = time.process_time()
    done = enforce(
        many, ways, np.ones(len(movers), np.bool_), network=queues.built.network, agreed_time_s=agreed, link_time_s=agreed,
        rules=ContractRules(), adversaries=Adversaries(griefers=0.01), seed=1,
    )  # fmt: skip
    seconds = time.process_time() - begin
    totals = done.totals()
    return (
        f"{totals['contracts']:,} contracts signed, claimed, {totals['disputed']:,} disputed, {totals['settled']:,} paid "
        f"in {seconds:.1f} s process"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["siouxfalls", "city", "grid"])
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--curve", action="store_true", help="participations from 0.1 to 0.9 as well")
    parser.add_argument("--contracts", type=int, default=0, help="carry so many contracts out in one window")
    asked = parser.parse_args()
    work = Work()
    spec, folder = scenario(asked.case, asked.data)
    queues = build_queues(work.build(spec, folder))
    n_travellers, seconds = queues.population.n_travellers, Seconds()
    with seconds.phase("selfish"):
        selfish = learned_day(queues, work=work, say=lambda _: None)
    selfish_s = selfish.driven.total_time_s
    print(
        f"{asked.case}: {n_travellers:,} travellers, {queues.network.n_links:,} links; "
        f"selfish {selfish_s / n_travellers:.1f} s a trip, gap {selfish.relative_gap:.2%} "
        f"({seconds.process_s['selfish']:.0f} s process)",
        flush=True,
    )
    with seconds.phase("optimum"):
        best = solve_best(queues, selfish.driven, work=work, say=lambda _: None)
    print(
        f"  best found {best.found.driven.total_time_s / n_travellers:.1f} s, "
        f"bound {best.bound.total_time_s / n_travellers:.1f} s by {best.bound.method} "
        f"({seconds.process_s['optimum']:.0f} s process)",
        flush=True,
    )
    show("ways alone", trade(with_market(queues, departure_shift_s=0.0), selfish, seconds), selfish_s, best, seconds)
    whole = trade(queues, selfish, seconds)
    show("ways and departures", whole, selfish_s, best, seconds)
    print(f"  ledger: {ledger_holds(whole)}", flush=True)
    if asked.contracts:
        print(f"  in one window: {carry_out_many(queues, whole, asked.contracts)}", flush=True)
    for share in CURVE if asked.curve else ():
        some = trade(with_market(queues, participation=share, departure_shift_s=0.0), selfish, seconds)
        show(f"participation {share:g}", some, selfish_s, best, seconds)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  peak memory {peak_gb:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
