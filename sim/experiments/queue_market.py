"""The coalition in queue traffic: trade before each day, drive the last one, carry its contracts out, settle on what was driven.

The market itself is `sim.mechanisms.day_ahead`. It starts from the converged selfish day; everybody's baseline is what that day
cost him. Utility = baseline cost - cost + money in credits, with the cost of another departure in the cost.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.experiments.market import misses_of
from sim.experiments.progress import Say
from sim.experiments.queue_build import BuiltQueues
from sim.mechanisms.agreement import Agreement
from sim.mechanisms.day_ahead import DayAhead, DayAheadRules, MarketDay
from sim.mechanisms.driving import FollowPlan
from sim.negotiation.entitlement import Registrations, register_trips
from sim.negotiation.plan_deals import Charges, PlanDeals, plan_deals
from sim.negotiation.shares import equal_shares, externality_shares
from sim.queue_model import QueueCityModel
from sim.rng import uniforms
from sim.settlement.adversaries import defects, plays
from sim.settlement.clearing import Contracts, clear
from sim.settlement.enforcement import enforce
from sim.settlement.members import MemberSettlement, in_parts, settle_members
from sim.settlement.money import to_micro
from sim.settlement.netting import RouteStakes
from sim.settlement.offices import others_net_micro
from sim.settlement.outcome import Enforcement
from sim.settlement.queue_times import agreed_times, driven_times, plans_on, queue_detours
from sim.settlement.tables import account_table, contract_table
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import chosen_paths
from sim.traffic.passages import charge_at, path_times_s
from sim.traffic.price import WIDEST_GAP
from sim.traffic.timed_paths import path_costs, with_paths
from sim.traffic.trips import Trips
from sim.units import SECONDS_PER_HOUR

WORLD = "coalition"


class Phase(Protocol):
    """Times a phase by its name."""

    def __call__(self, name: str) -> AbstractContextManager[None]:
        """Return what times a block."""
        ...


@dataclass(frozen=True, eq=False)
class QueueMarket:
    """The coalition's world of a run, driven and settled.

    Attributes
    ----------
    world
        The world at the end of the day carried out.
    baseline
        The selfish day.
    is_member
        Who takes part, shape (n_travellers,).
    worth
        What a second is worth to each, credits.
    cost_s
        What the day cost each in seconds, another departure included.
    money_micro
        What each received minus what he paid.
    content
        Keys of this world in poa.json beside its totals and ratio.
    enforcement
        Contracts and ledger.
    days
        What was carried out on each day of the market.
    missed
        Promises that were not kept, in words.
    """

    world: QueueCityModel
    baseline: DrivenDay
    is_member: BoolColumn
    worth: FloatColumn
    cost_s: FloatColumn
    money_micro: OffsetColumn
    content: dict[str, Any]
    enforcement: Enforcement
    days: tuple[MarketDay, ...]
    missed: tuple[str, ...]

    @classmethod
    def of(
        cls,
        world: QueueCityModel,
        agreement: Agreement,
        closed: ClosedWindow,
        content: dict[str, Any],
        days: tuple[MarketDay, ...],
    ) -> QueueMarket:
        """Return the world of a market that has been closed; `content` says how the market went."""
        if world.driven.total_time_s != closed.driven.total_time_s:
            raise RuntimeError("the coalition's world drove another day than the one that was settled")
        content = closed.content | content
        cost_s = closed.driven.travel_time_s + agreement.shift_costs_s(closed.driven.trips)
        return cls(
            world,
            agreement.baseline,
            agreement.is_member,
            agreement.worth,
            cost_s,
            closed.money_micro,
            content,
            closed.enforcement,
            days,
            misses_of(WORLD, content),
        )

    @property
    def tables(self) -> dict[str, pa.Table]:
        """Contracts and accounts, as a run folder has them."""
        return {"contracts": contract_table(self.enforcement), "accounts": account_table(self.enforcement)}

    @property
    def total_cost_s(self) -> float:
        """Seconds of everybody's travel, the cost of other departures included."""
        return float(self.cost_s.sum())

    @property
    def baseline_cost_micro(self) -> int:
        """What the baseline costs everybody."""
        return int(to_micro(self.worth * self.baseline.travel_time_s).sum())


def run_queue_market(queues: BuiltQueues, baseline: DrivenDay, *, warm_up_days: int, phase: Phase, say: Say) -> QueueMarket:
    """Trade, drive and settle the coalition's days.

    Parameters
    ----------
    baseline
        The converged selfish day.
    warm_up_days
        Days that everybody drove until then: the history of verified trips.
    phase
        Times a phase by its name.
    """
    spec = queues.built.spec
    worth = worth_of(queues)
    registrations = registrations_of(queues, warm_up_days)
    is_member = members_of(registrations, len(worth))
    market = DayAhead(queues.finder, baseline, is_member, worth, day_ahead_rules(queues), spec.seed)
    with phase("live coalition"):
        market.run(lambda day: say(_day_told(day, queues.population.n_travellers)))
    with phase("settle coalition"):
        say("coalition: settling")
        closed = close_window(queues, market.agreement, registrations)
    with phase("drive coalition"):
        plan = FollowPlan(WORLD, closed.driven.trips)
        world = QueueCityModel(queues.network, queues.population, plan, spec.seed, rules=queues.day_rules)
        world.run_day()
        world.open_offices(closed.enforcement)
    content = {
        "called_off": int(market.called_off),
        "days_without_gain": sum(not day.improved for day in market.days),
        "days": len(market.days),
        "stopped_because": "the window was called off" if market.called_off else "all days of the market were driven",
    }
    return QueueMarket.of(world, market.agreement, closed, content, tuple(market.days))


def day_ahead_rules(queues: BuiltQueues) -> DayAheadRules:
    """Return the rules of trade of a scenario."""
    market = queues.built.spec.market
    return DayAheadRules(
        days=market.days,
        rehearsals=market.rehearsals,
        memory=market.broadcast_memory,
        step_s=market.broadcast_step_s,
        shift_s=market.departure_shift_s,
        shift_step_s=market.departure_step_s,
        early=market.earlier_cost,
        late=market.later_cost,
        fee=market.fee_per_vehicle * queues.weight,
        most_gap=WIDEST_GAP,
        patience_s=queues.settings.patience_s,
    )


@dataclass(frozen=True, eq=False)
class ClosedWindow:
    """The last day of the market, driven and settled.

    Attributes
    ----------
    driven
        What was driven: the day that was agreed on, but for those who broke their promise.
    deals, enforcement, settlement
        What was agreed, what became of it, and what the members ended with.
    money_micro, content
        As in `QueueMarket`.
    """

    driven: DrivenDay
    deals: PlanDeals
    enforcement: Enforcement
    settlement: MemberSettlement | None
    money_micro: OffsetColumn
    content: dict[str, Any]


def close_window(
    queues: BuiltQueues,
    market: Agreement,
    registrations: Registrations,
) -> ClosedWindow:
    """Carry the last day's contracts out and settle the members; those who break their promise drive their baseline."""
    spec, weight, n_links = queues.built.spec, queues.population.weight, queues.network.n_links
    deals = deals_of(market, fee=spec.market.fee_per_vehicle * weight, theta=spec.market.surplus_to_mover)
    contracts = clear(deals, weight, n_links, spec.market.fee_per_vehicle, _standing(market))
    mover = contracts.mover
    drove_target = ~defects(mover, spec.adversaries, spec.seed)
    defectors = mover[~drove_target]
    driven = _driven(market, defectors)
    enforcement = _enforce(queues, market, contracts, drove_target, driven, registrations)
    money = np.zeros(len(weight), np.int64)
    cost = market.costs(driven)
    settlement = _settle(queues, market, enforcement, cost, registrations)
    if settlement is not None:
        np.add.at(money, registrations.traveller[registrations.taking_part], settlement.money_micro)
        if enforcement.bonds is not None:
            money -= enforcement.bonds.forfeits_micro(len(money))
    utility = to_micro(market.costs(market.baseline)) - to_micro(cost) + money
    honest = market.is_member & ~plays("sybils", len(weight), spec.adversaries.sybils, spec.seed)
    honest[defectors] = False
    below = (utility < -1) & market.is_member
    content = _savings(market, driven) | enforcement.totals()
    content |= {
        "true_up_micro": 0 if settlement is None else settlement.true_up_micro,
        "shortfall_micro": 0 if settlement is None else settlement.shortfall_micro,
        "others_net_micro": others_net_micro(enforcement),
        "deals": deals.n_deals,
        "members": int(market.is_member.sum()),
        "refused_trips": registrations.refused,
        "schedule_cost_s": float((weight * market.shift_costs_s(driven.trips)).sum()),
        "departures_moved": int((driven.trips.departure_s != market.baseline.trips.departure_s).sum()),
        "below_baseline": int(below.sum()),
        "below_baseline_share": float(below.mean()),
        "honest_below_baseline": int(((utility < -1) & honest).sum()),
        "transfers_sum_micro": int(money.sum()),
    }
    return ClosedWindow(driven, deals, enforcement, settlement, money, content)


def deals_of(market: Agreement, *, fee: FloatColumn, theta: float) -> PlanDeals:
    """Return the deals behind the day carried out; `fee` in credits, shape (n_travellers,)."""
    day, baseline = market.driven, market.baseline
    mover = np.flatnonzero(market.moved(day.trips)).astype(np.int32)
    own, links = baseline.trips, len(day.network.headway_s)
    stay = chosen_paths(own.path_start, own.path_link, mover)
    stay_s = path_costs(day.day, own.departure_s[mover], *stay)
    cost_s = day.travel_time_s[mover] + market.shift_costs_s(day.trips)[mover]
    loss = market.worth[mover] * (cost_s - stay_s)
    before, after = _charges(market, baseline), _charges(market, day)
    return plan_deals(mover, before, after, loss, fee[mover], surplus_to_mover=theta, n_links=links)


def _charges(market: Agreement, driven: DrivenDay) -> Charges:
    trips = driven.trips
    if market.broadcast is None:
        return Charges(trips.path_start, trips.path_link, np.zeros(len(trips.path_link)))
    _, exit_s = path_times_s(driven)
    return Charges(trips.path_start, trips.path_link, charge_at(market.broadcast, trips.path_link, exit_s))


def _standing(market: Agreement) -> RouteStakes:
    members = np.flatnonzero(market.is_member)
    start, link = chosen_paths(market.driven.trips.path_start, market.driven.trips.path_link, members)
    return RouteStakes(start, link, market.worth[members])


def _driven(market: Agreement, defectors: IndexColumn) -> DrivenDay:
    """Return the day as it was driven."""
    if len(defectors) == 0:
        return market.driven
    own, trips = market.baseline.trips, market.driven.trips
    departure_s = trips.departure_s.copy()
    departure_s[defectors] = own.departure_s[defectors]
    paths = with_paths(trips, defectors, *chosen_paths(own.path_start, own.path_link, defectors))
    trips = Trips(departure_s, paths.path_start, paths.path_link)
    return drive(market.driven.network, trips, market.patience_s)


def _enforce(
    queues: BuiltQueues,
    market: Agreement,
    contracts: Contracts,
    drove_target: BoolColumn,
    driven: DrivenDay,
    registrations: Registrations,
) -> Enforcement:
    spec, mover = queues.built.spec, contracts.mover
    worth = market.worth[mover]
    baseline, target = plans_on(market.baseline, mover), plans_on(market.driven, mover)
    detours = queue_detours(baseline, target, worth, queues.network.n_links)
    extra_s = (market.costs(market.driven) - market.costs(market.baseline))[mover] / worth
    agreed = agreed_times(baseline, target, extra_s)
    as_driven = driven_times(
        agreed, detours, plans_on(driven, mover), drove_target, spec.contracts.clock_noise_s, mover, spec.seed
    )
    return enforce(
        contracts,
        detours,
        drove_target,
        network=queues.built.network,
        agreed_time_s=agreed,
        link_time_s=as_driven,
        rules=spec.contracts,
        adversaries=spec.adversaries,
        seed=spec.seed,
        registrations=registrations,
    )


def _settle(
    queues: BuiltQueues, market: Agreement, enforcement: Enforcement, cost: FloatColumn, registrations: Registrations
) -> MemberSettlement | None:
    """Settle the members on what they are believed to have driven; None without members."""
    members = np.flatnonzero(market.is_member)
    if len(members) == 0:
        return None
    believed = cost.copy()
    # Whose claim stood drove the target for all that anybody knows.
    undetected = enforcement.contracts.mover[enforcement.paid & ~enforcement.drove_target]
    believed[undetected] = market.costs(market.driven)[undetected]
    rows = registrations.taking_part
    member, part = registrations.traveller[rows], registrations.part[rows]
    place = np.searchsorted(members, member).astype(np.int32)
    own, ended = (in_parts(column[members], member, place, part) for column in (market.costs(market.baseline), believed))
    external = np.bincount(
        np.repeat(np.arange(len(cost)), np.diff(market.baseline.trips.path_start)),
        weights=_charges(market, market.baseline).charge,
        minlength=len(cost),
    )[member]
    weight = queues.population.weight[member] * part
    by_externality = queues.built.spec.market.shares == "externality"
    share = externality_shares(external * part, weight) if by_externality else equal_shares(weight)
    return settle_members(enforcement, member, own, ended, share, registrations.nth[rows])


def _savings(market: Agreement, driven: DrivenDay) -> dict[str, Any]:
    before, after = market.baseline.travel_time_s, driven.travel_time_s + market.shift_costs_s(driven.trips)

    def share(of: BoolColumn) -> float | None:
        return float((before - after)[of].sum() / before[of].sum()) if of.any() else None

    return {"members_saving_share": share(market.is_member), "others_saving_share": share(~market.is_member)}


def members_of(registrations: Registrations, n_travellers: int) -> BoolColumn:
    """Return who takes part, shape (n_travellers,)."""
    is_member = np.zeros(n_travellers, np.bool_)
    is_member[registrations.traveller[registrations.taking_part]] = True
    return is_member


def worth_of(queues: BuiltQueues) -> FloatColumn:
    """Return what a second is worth to each traveller, credits."""
    population = queues.population
    if queues.built.spec.market.numeraire == "time":
        return np.asarray(population.weight, np.float64)
    return np.asarray(population.weight * population.vot_per_h / SECONDS_PER_HOUR)


def registrations_of(queues: BuiltQueues, warm_up_days: int) -> Registrations:
    """Return the trips that members register; everybody drove `warm_up_days` before."""
    spec, n_travellers = queues.built.spec, queues.population.n_travellers
    return register_trips(
        uniforms(spec.seed, "participation", np.arange(n_travellers)) < spec.market.participation,
        plays("sybils", n_travellers, spec.adversaries.sybils, spec.seed),
        queues.population.od_idx,
        days_driven=warm_up_days,
        history_trips=spec.market.history_trips,
    )


def _day_told(day: MarketDay, n_travellers: int) -> str:
    mean_s = day.total_time_s / n_travellers
    return f"coalition: day {day.day}, {mean_s:.1f} s a trip, {day.movers:,} of {n_travellers:,} travellers off their baseline"
