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
from sim.negotiation.baseline import Baseline, declared_baseline, draw_baseline
from sim.negotiation.conduct import Conduct
from sim.negotiation.entitlement import Registrations, register_trips
from sim.negotiation.strategies import cast_strategies
from sim.rng import uniforms
from sim.settlement.adversaries import plays
from sim.settlement.money import MICRO_PER_CREDIT, round_to_total, split_micro, to_micro
from sim.settlement.outcome import Enforcement
from sim.spec_traffic import require_static
from sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from sim.experiments.build import BuiltScenario
    from sim.model import CityModel

CHEATS = ("baseline_liars", "extortionists", "sybils")
"""Roles of travellers who cheat before anybody drives, by their keys in the scenario."""
PAIRS = ("pairwise", "pairwise_compensated")
DIRECT = ("pools", *PAIRS)
"""Worlds whose deals are paid at once, with neither contract nor settlement."""


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
    registrations
        Trips that were registered for the market.
    declared
        Baseline from which the market starts: the lottery's, unless baselines are declared.
    lies
        Who declared another route than he drives, shape (n_travellers,).
    """

    baseline: Baseline
    is_member: BoolColumn
    value: FloatColumn
    toll_s: FloatColumn
    conduct: Conduct
    registrations: Registrations
    declared: Baseline
    lies: BoolColumn


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
    links = built.problem.links(Principle.USER_EQUILIBRIUM)
    links.flow[:] = optimum.flow_vph[built.problem.link_order]
    refresh_costs(links)
    # A link without flow charges nothing, however steep its cost starts.
    toll = np.zeros(len(links.flow))
    np.multiply(links.flow, links.cost_slope, out=toll, where=links.flow > 0.0)
    return setting_from(built, draw_baseline(built.problem, built.population, equilibrium.origin_flows, built.spec.seed), toll)


def setting_from(built: BuiltScenario, baseline: Baseline, toll_s: FloatColumn) -> MarketSetting:
    """Return the setting of a scenario's market, from a baseline and tolls that are known already."""
    population, spec, n_travellers = built.population, built.spec, built.population.n_travellers
    value = np.ones(n_travellers) if spec.market.numeraire == "time" else population.vot_per_h / SECONDS_PER_HOUR
    cheats = {role: plays(role, n_travellers, getattr(spec.adversaries, role), spec.seed) for role in CHEATS}
    declared, lies = baseline, np.zeros(n_travellers, np.bool_)
    if spec.market.baselines == "declared":
        declared, lies = declared_baseline(built.problem, population, baseline, cheats["baseline_liars"])
    cast = cast_strategies(spec.market.strategies, n_travellers, spec.seed, built.folder)
    demands_all = cheats["extortionists"] | lies
    conduct = Conduct(
        cast, population, declared, value, spec.seed, spec.market.who_gives_way, demands_all if demands_all.any() else None
    )
    admitted = uniforms(spec.seed, "participation", np.arange(n_travellers)) < spec.market.participation
    registrations = register_trips(
        conduct.members(admitted),
        cheats["sybils"],
        population.od_idx,
        days_driven=baseline.warm_up_days + 1,
        history_trips=spec.market.history_trips,
    )
    is_member = np.zeros(n_travellers, np.bool_)
    is_member[registrations.traveller[registrations.taking_part]] = True
    return MarketSetting(baseline, is_member, value, toll_s, conduct, registrations, declared, lies)


def make_market_world(built: BuiltScenario, name: str, setting: MarketSetting, n_moves: int) -> CityModel:
    """Return a market world before its first day; `n_moves` is how many the random control moves."""
    from sim.mechanisms.coalition import Coalition
    from sim.mechanisms.pairwise import Pairwise
    from sim.mechanisms.pools import Pools
    from sim.mechanisms.random_control import RandomControl
    from sim.mechanisms.toll import Refund, Toll
    from sim.model import CityModel

    spec, baseline = built.spec, setting.baseline
    if name == "coalition":
        coalition = Coalition(spec.market, setting.declared, setting.is_member, setting.value, spec.seed, setting.conduct)
        return CityModel(built.problem, built.population, coalition, spec.seed)
    if name == "pools":
        pools = Pools(spec.market, baseline, setting.is_member, setting.value, spec.seed)
        return CityModel(built.problem, built.population, pools, spec.seed)
    if name in PAIRS:
        pairwise = Pairwise(
            spec.market,
            baseline,
            setting.is_member,
            setting.value,
            spec.seed,
            compensates=name == "pairwise_compensated" or spec.market.pairwise_compensates,
            world=name,
        )
        return CityModel(built.problem, built.population, pairwise, spec.seed)
    if name == "random_control":
        return CityModel(built.problem, built.population, RandomControl(baseline, n_moves, spec.seed), spec.seed)
    toll = Toll(Refund(name), baseline, spec.seed, require_static(spec.traffic, "tolls").atomic_gap)
    return CityModel(built.problem, built.population, toll, spec.seed, toll_s=setting.toll_s)


def close_market(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> MarketOutcome:
    """Draw up the money of a world without contracts; `sim.experiments.coalition` settles the one that has them."""
    name = world.mechanism.world
    if name in DIRECT:
        money, content = _direct_money(world)
    elif name == "random_control":
        money, content = np.zeros(built.population.n_travellers, np.int64), {}
    else:
        money, content = _toll_money(world, setting.value)
    return MarketOutcome(money, content | common_content(built, world, setting, money))


def misses_of(name: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a coalition promised its members and did not keep, in words that begin with its name."""
    missed = []
    if content["honest_below_baseline"]:
        missed.append(f"{name}: {content['honest_below_baseline']:,} honest members end below their baseline")
    if content["shortfall_micro"]:
        missed.append(
            f"{name}: {content['shortfall_micro'] / MICRO_PER_CREDIT:,.0f} credits are missing for the promise to the members"
        )
    if content["open"]:
        missed.append(f"{name}: {content['open']:,} contracts are still open")
    return tuple(missed)


def common_content(built: BuiltScenario, world: CityModel, setting: MarketSetting, money: OffsetColumn) -> dict[str, Any]:
    """Return the keys that every world with money has in poa.json."""
    utility = utility_micro(built, world, setting, money)
    # Outside the coalition nobody was promised anything.
    below = (utility < -1) & (setting.is_member if world.mechanism.world in ("coalition", *DIRECT) else True)
    return {
        "below_baseline": int(below.sum()),
        "below_baseline_share": float(below.mean()),
        "transfers_sum_micro": int(money.sum()),
        "days": len(world.days),
        "stopped_because": world.stopped_because,
    }


def utility_micro(built: BuiltScenario, world: CityModel, setting: MarketSetting, money: OffsetColumn) -> OffsetColumn:
    """Return baseline cost - cost + money of every traveller."""
    weighted = setting.value * built.population.weight
    return to_micro(weighted * setting.baseline.cost_s) - to_micro(weighted * world.traffic.traveller_costs_s()) + money


def _direct_money(world: CityModel) -> tuple[OffsetColumn, dict[str, Any]]:
    """Return the money of worlds whose deals are paid at once, without a contract; it adds up to minus the fees exactly."""
    mechanism: Any = world.mechanism
    fees_micro, payments_micro = to_micro(np.array([mechanism.fees, mechanism.payments])).tolist()
    money = round_to_total(mechanism.money, -fees_micro)
    return money, {"deals": mechanism.n_deals, "fees_micro": fees_micro, "payments_micro": payments_micro}


def _toll_money(world: CityModel, value: FloatColumn) -> tuple[OffsetColumn, dict[str, Any]]:
    mechanism: Any = world.mechanism
    paid, refund = mechanism.paid_and_refunded(world.traffic, value)
    paid_micro = to_micro(paid)
    revenue = int(paid_micro.sum())
    if refund is None:
        return -paid_micro, {"toll_revenue_micro": revenue, "refund_micro": 0}
    # Refunds may be negative for some: split what all get above the lowest, so that they add up to the revenue exactly.
    floor = to_micro(np.minimum(refund, 0.0))
    refund_micro = floor + split_micro(revenue - int(floor.sum()), np.maximum(refund, 0.0))
    return refund_micro - paid_micro, {"toll_revenue_micro": revenue, "refund_micro": int(refund_micro.sum())}
