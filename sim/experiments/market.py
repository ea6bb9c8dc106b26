"""The worlds in which money moves: what they start from, how they are made, and what each traveller ends with.

All of them start from one baseline and are compared with it. Money is counted in credits: a credit is a vehicle-second
(numeraire "time") or a unit of the travellers' own values of time (numeraire "money").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, OffsetColumn
from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import Principle, refresh_costs
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline, draw_baseline
from sim.negotiation.conduct import Conduct
from sim.negotiation.strategies import cast_strategies
from sim.rng import uniforms
from sim.settlement.adversaries import defects
from sim.settlement.clearing import clear
from sim.settlement.detours import detours_of
from sim.settlement.enforcement import enforce
from sim.settlement.members import believed_costs, settle_members
from sim.settlement.money import MICRO_PER_CREDIT, split_micro, to_micro
from sim.settlement.netting import where_members_stand
from sim.settlement.outcome import Enforcement
from sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from sim.experiments.build import BuiltScenario
    from sim.model import CityModel


@dataclass(frozen=True, eq=False)
class MarketSetting:
    """What the market's worlds of a run share.

    Attributes
    ----------
    baseline
        Where everybody starts.
    is_member
        Who takes part in the market, shape (n_travellers,).
    value
        Value of time of each traveller in credits a second and vehicle, shape (n_travellers,).
    toll_s
        Marginal external cost of each link at the optimum in seconds, in the problem's link order.
    conduct
        The members' strategies.
    """

    baseline: Baseline
    is_member: BoolColumn
    value: FloatColumn
    toll_s: FloatColumn
    conduct: Conduct


@dataclass(frozen=True, eq=False)
class MarketOutcome:
    """What a world with money ended with.

    Attributes
    ----------
    money_micro
        What each traveller received minus what he paid, shape (n_travellers,).
    content
        Keys of this world in poa.json beside its totals and ratio.
    enforcement
        Contracts and ledger; None where the world has none.
    """

    money_micro: OffsetColumn
    content: dict[str, Any]
    enforcement: Enforcement | None = None


def market_setting(built: BuiltScenario, equilibrium: Assignment, optimum: Assignment) -> MarketSetting:
    """Draw the baseline and the members, and compute the tolls."""
    population, spec, n_travellers = built.population, built.spec, built.population.n_travellers
    links = built.problem.links(Principle.USER_EQUILIBRIUM)
    links.flow[:] = optimum.flow_vph[built.problem.link_order]
    refresh_costs(links)
    baseline = draw_baseline(built.problem, population, equilibrium.origin_flows, spec.seed)
    value = np.ones(n_travellers) if spec.market.numeraire == "time" else population.vot_per_h / SECONDS_PER_HOUR
    cast = cast_strategies(spec.market.strategies, n_travellers, spec.seed, built.folder)
    conduct = Conduct(cast, population, baseline, value, spec.seed, spec.market.who_gives_way)
    admitted = uniforms(spec.seed, "participation", np.arange(n_travellers)) < spec.market.participation
    # A link without flow charges nothing, however steep its cost starts.
    toll = np.zeros(len(links.flow))
    np.multiply(links.flow, links.cost_slope, out=toll, where=links.flow > 0.0)
    return MarketSetting(baseline, conduct.members(admitted), value, toll, conduct)


def make_market_world(built: BuiltScenario, name: str, setting: MarketSetting, n_moves: int) -> CityModel:
    """Return a market world before its first day; `n_moves` is how many the random control moves."""
    from sim.mechanisms.coalition import Coalition
    from sim.mechanisms.pairwise import Pairwise
    from sim.mechanisms.random_control import RandomControl
    from sim.mechanisms.toll import Refund, Toll
    from sim.model import CityModel

    spec, baseline = built.spec, setting.baseline
    if name == "coalition":
        coalition = Coalition(spec.market, baseline, setting.is_member, setting.value, spec.seed, setting.conduct)
        return CityModel(built.problem, built.population, coalition, spec.seed)
    if name == "pairwise":
        pairwise = Pairwise(spec.market, baseline, setting.is_member, setting.value, spec.seed)
        return CityModel(built.problem, built.population, pairwise, spec.seed)
    if name == "random_control":
        return CityModel(built.problem, built.population, RandomControl(baseline, n_moves, spec.seed), spec.seed)
    toll = Toll(Refund(name), baseline, spec.seed, spec.traffic.atomic_gap)
    return CityModel(built.problem, built.population, toll, spec.seed, toll_s=setting.toll_s)


def close_market(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> MarketOutcome:
    """Settle a market world that has come to rest; in the coalition, those who break their promise drive once more first."""
    name = world.mechanism.world
    if name == "coalition":
        return _close_coalition(built, world, setting)
    if name == "pairwise":
        money, content = _pairwise_money(world)
    elif name == "random_control":
        money, content = np.zeros(built.population.n_travellers, np.int64), {}
    else:
        money, content = _toll_money(world)
    return MarketOutcome(money, content | _common(built, world, setting, money))


def market_misses(outcomes: Mapping[str, MarketOutcome]) -> tuple[str, ...]:
    """Return what the coalition promised its members and did not keep, in words."""
    if "coalition" not in outcomes:
        return ()
    content = outcomes["coalition"].content
    missed = []
    if content["honest_below_baseline"]:
        missed.append(f"coalition: {content['honest_below_baseline']:,} honest members end below their baseline")
    if content["shortfall_micro"]:
        missed.append(
            f"coalition: {content['shortfall_micro'] / MICRO_PER_CREDIT:,.0f} credits are missing for the promise to the members"
        )
    if content["open"]:
        missed.append(f"coalition: {content['open']:,} contracts are still open")
    return tuple(missed)


def _common(built: BuiltScenario, world: CityModel, setting: MarketSetting, money: OffsetColumn) -> dict[str, Any]:
    utility = _utility_micro(built, world, setting, money)
    # Outside the coalition nobody was promised anything.
    below = (utility < -1) & (setting.is_member if world.mechanism.world in ("coalition", "pairwise") else True)
    return {
        "below_baseline": int(below.sum()),
        "below_baseline_share": float(below.mean()),
        "transfers_sum_micro": int(money.sum()),
        "days": len(world.days),
        "stopped_because": world.stopped_because,
    }


def _close_coalition(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> MarketOutcome:
    spec, traffic, population, problem = built.spec, world.traffic, built.population, built.problem
    mechanism: Any = world.mechanism
    promised = traffic.route_of_traveller.copy()
    standing = where_members_stand(traffic, mechanism.place.members, setting.value)
    cleared = clear(mechanism.book, population.weight, built.network.n_links, spec.market.fee_per_vehicle, standing)
    contracts, detours = detours_of(traffic, cleared, mechanism.baseline_route, promised, setting.value)
    agreed_time_s = problem.in_network_order(traffic.links.cost) - built.network.fixed_cost_s
    keeps = setting.conduct.keeps_promise(
        contracts.mover, contracts.price_micro / MICRO_PER_CREDIT, promised, mechanism.baseline_route, traffic
    )
    drove_target = keeps & ~defects(contracts.mover, spec.adversaries, spec.seed)
    defectors = contracts.mover[~drove_target]
    if len(defectors):
        world.drive_once_more(RouteChanges(defectors, mechanism.baseline_route[defectors]))
    link_cost = problem.in_network_order(traffic.links.cost)
    enforcement = enforce(
        contracts,
        detours,
        drove_target,
        network=built.network,
        agreed_time_s=agreed_time_s,
        link_time_s=link_cost - built.network.fixed_cost_s,
        rules=spec.contracts,
        adversaries=spec.adversaries,
        seed=spec.seed,
    )
    money, settled = _settle_coalition(world, setting, enforcement, link_cost)
    content = _savings(built, world, setting) | enforcement.totals() | settled
    content |= {
        "called_off": int(mechanism.called_off),
        "deals": mechanism.book.n_deals,
        "members": int(setting.is_member.sum()),
    }
    content |= _common(built, world, setting, money)
    honest = setting.is_member.copy()
    honest[defectors] = False
    content["honest_below_baseline"] = int((_utility_micro(built, world, setting, money)[honest] < -1).sum())
    return MarketOutcome(money, content, enforcement)


def _utility_micro(built: BuiltScenario, world: CityModel, setting: MarketSetting, money: OffsetColumn) -> OffsetColumn:
    """Return baseline cost - cost + money of every traveller."""
    weighted = setting.value * built.population.weight
    return to_micro(weighted * setting.baseline.cost_s) - to_micro(weighted * world.traffic.traveller_costs_s()) + money


def _settle_coalition(
    world: CityModel, setting: MarketSetting, enforcement: Enforcement, link_cost_s: FloatColumn
) -> tuple[OffsetColumn, dict[str, Any]]:
    mechanism: Any = world.mechanism
    members = mechanism.place.members
    money = np.zeros(len(setting.value), np.int64)
    if len(members) == 0:
        return money, {"true_up_micro": 0, "shortfall_micro": 0}
    believed = believed_costs(enforcement, mechanism.place.trip_costs(), link_cost_s)
    saved = float(mechanism.baseline_cost[members].sum() - believed[members].sum())
    share = mechanism.shares(world.traffic, saved - enforcement.fees_micro / MICRO_PER_CREDIT)
    settlement = settle_members(enforcement, members, mechanism.baseline_cost[members], believed[members], share)
    money[members] = settlement.money_micro
    return money, {
        "true_up_micro": settlement.true_up_micro,
        "shortfall_micro": settlement.shortfall_micro,
    }


def _savings(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> dict[str, Any]:
    weight = built.population.weight
    saved = weight * (setting.baseline.cost_s - world.traffic.traveller_costs_s())
    before = weight * setting.baseline.cost_s

    def share(of: BoolColumn) -> float | None:
        return float(saved[of].sum() / before[of].sum()) if of.any() else None

    return {"members_saving_share": share(setting.is_member), "others_saving_share": share(~setting.is_member)}


def _pairwise_money(world: CityModel) -> tuple[OffsetColumn, dict[str, Any]]:
    mechanism: Any = world.mechanism
    money = to_micro(mechanism.money)
    return money, {"deals": mechanism.n_deals, "fees_micro": int(-money.sum()), "payments_micro": int(-money[money < 0].sum())}


def _toll_money(world: CityModel) -> tuple[OffsetColumn, dict[str, Any]]:
    mechanism: Any = world.mechanism
    paid, refund = mechanism.paid_and_refunded(world.traffic)
    paid_micro = to_micro(paid)
    revenue = int(paid_micro.sum())
    if refund is None:
        return -paid_micro, {"toll_revenue_micro": revenue, "refund_micro": 0}
    # Refunds may be negative for some: split what all get above the lowest, so that they add up to the revenue exactly.
    floor = to_micro(np.minimum(refund, 0.0))
    refund_micro = floor + split_micro(revenue - int(floor.sum()), np.maximum(refund, 0.0))
    return refund_micro - paid_micro, {"toll_revenue_micro": revenue, "refund_micro": int(refund_micro.sum())}
