"""The end of the coalition's window: contracts are carried out, members settled, and what cheating earned is told apart.

Everybody's utility is baseline cost - cost + money in credits, with the baseline that the lottery drew, whatever was declared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, OffsetColumn
from sim.experiments.market import (
    CHEATS,
    MarketOutcome,
    MarketSetting,
    common_content,
    make_market_world,
    setting_from,
    utility_micro,
)
from sim.mechanisms.protocol import RouteChanges
from sim.settlement.adversaries import Temper, defects, plays
from sim.settlement.clearing import clear
from sim.settlement.detours import detours_of
from sim.settlement.enforcement import enforce
from sim.settlement.members import believed_costs, in_parts, settle_members
from sim.settlement.money import MICRO_PER_CREDIT
from sim.settlement.netting import where_members_stand
from sim.settlement.offices import others_net_micro
from sim.settlement.outcome import Enforcement
from sim.spec import Adversaries

if TYPE_CHECKING:
    from sim.experiments.build import BuiltScenario
    from sim.model import CityModel


def close_coalition(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> MarketOutcome:
    """Carry the contracts out and settle the members; those who break their promise drive once more first."""
    spec, traffic, population, problem = built.spec, world.traffic, built.population, built.problem
    mechanism: Any = world.mechanism
    promised = traffic.route_of_traveller.copy()
    standing = where_members_stand(traffic, mechanism.place.members, setting.value)
    cleared = clear(mechanism.book, population.weight, problem.network.n_links, spec.market.fee_per_vehicle, standing)
    contracts, detours = detours_of(traffic, cleared, mechanism.baseline_route, promised, setting.value)
    agreed_time_s = problem.in_network_order(traffic.links.cost) - problem.network.fixed_cost_s
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
        network=problem.network,
        agreed_time_s=agreed_time_s,
        link_time_s=link_cost - problem.network.fixed_cost_s,
        rules=spec.contracts,
        adversaries=spec.adversaries,
        seed=spec.seed,
        registrations=setting.registrations,
    )
    world.open_offices(enforcement)
    money, settled = _settle(world, setting, enforcement, link_cost)
    content = _savings(built, world, setting) | enforcement.totals() | settled
    content |= {
        "called_off": int(mechanism.called_off),
        "deals": mechanism.book.n_deals,
        "members": int(setting.is_member.sum()),
        "refused_trips": setting.registrations.refused,
    }
    content |= common_content(built, world, setting, money)
    utility = utility_micro(built, world, setting, money)
    honest = setting.is_member & ~_cheats(built, setting)
    honest[defectors] = False
    content["honest_below_baseline"] = int((utility[honest] < -1).sum())
    return MarketOutcome(money, content, enforcement)


def _cheats(built: BuiltScenario, setting: MarketSetting) -> BoolColumn:
    """Return who cheats before anybody drives, as far as the market lets him."""
    sybils = plays("sybils", built.population.n_travellers, built.spec.adversaries.sybils, built.spec.seed)
    demands_all = setting.conduct.demands_all
    return sybils if demands_all is None else sybils | demands_all


def _settle(
    world: CityModel, setting: MarketSetting, enforcement: Enforcement, link_cost_s: FloatColumn
) -> tuple[OffsetColumn, dict[str, Any]]:
    mechanism: Any = world.mechanism
    members = mechanism.place.members
    money = np.zeros(len(setting.value), np.int64)
    if len(members) == 0:
        return money, {"true_up_micro": 0, "shortfall_micro": 0, "others_net_micro": {}}
    believed = believed_costs(enforcement, mechanism.place.trip_costs(), link_cost_s)
    saved = float(mechanism.baseline_cost[members].sum() - believed[members].sum())
    registrations = setting.registrations
    share = mechanism.shares(world.traffic, saved - enforcement.fees_micro / MICRO_PER_CREDIT, registrations)
    rows = registrations.taking_part
    member, part = registrations.traveller[rows], registrations.part[rows]
    place = np.searchsorted(members, member).astype(np.int32)
    baseline_cost, cost = (in_parts(column[members], member, place, part) for column in (mechanism.baseline_cost, believed))
    settlement = settle_members(enforcement, member, baseline_cost, cost, share, registrations.nth[rows])
    np.add.at(money, member, settlement.money_micro)
    if enforcement.bonds is not None:
        money -= enforcement.bonds.forfeits_micro(len(money))
    return money, {
        "true_up_micro": settlement.true_up_micro,
        "shortfall_micro": settlement.shortfall_micro,
        "others_net_micro": others_net_micro(enforcement),
    }


def _savings(built: BuiltScenario, world: CityModel, setting: MarketSetting) -> dict[str, Any]:
    weight = built.population.weight
    saved = weight * (setting.baseline.cost_s - world.traffic.traveller_costs_s())
    before = weight * setting.baseline.cost_s

    def share(of: BoolColumn) -> float | None:
        return float(saved[of].sum() / before[of].sum()) if of.any() else None

    return {"members_saving_share": share(setting.is_member), "others_saving_share": share(~setting.is_member)}


@dataclass(frozen=True, eq=False)
class _Case:
    """One coalition, settled: who did what, and what everybody ended with in micro-credits."""

    enforcement: Enforcement
    utility_micro: OffsetColumn


def cheating_account(
    built: BuiltScenario, world: CityModel, setting: MarketSetting, outcome: MarketOutcome
) -> list[dict[str, Any]]:
    """Return what each class of adversaries ended with, beside the same people in the same window when nobody cheats.

    The honest window is run for it, baseline and lots being the same. One row a class: `class`, `count`, `per` (what a mean is
    taken over), `mean_micro`, `honest_mean_micro`, `gain_micro`. Travellers are counted by their utility and by vehicle,
    validators and griefers by their accounts.
    """
    adversaries = built.spec.adversaries
    assert outcome.enforcement is not None  # every coalition has one
    found = _Case(outcome.enforcement, utility_micro(built, world, setting, outcome.money_micro))
    honest = _honest_case(built, setting)
    weight = built.population.weight
    rows = []
    contracts, drove = found.enforcement.contracts, found.enforcement.drove_target
    roles: dict[str, BoolColumn] = {
        role: plays(role, len(weight), getattr(adversaries, role), built.spec.seed) & setting.is_member for role in CHEATS
    }
    roles["defectors"] = np.zeros(len(weight), np.bool_)
    roles["defectors"][contracts.mover[~drove]] = True
    roles["honest_members"] = setting.is_member & ~np.any(list(roles.values()), axis=0)
    for role, who in roles.items():
        if who.any() and (role == "honest_members" or getattr(adversaries, role) > 0.0):
            rows.append(
                _row(role, "vehicle", int(who.sum()), weight[who].sum(), *(c.utility_micro[who] for c in (found, honest)))
            )
    temper, accounts = found.enforcement.temper, found.enforcement.escrows.accounts
    for role, kind in (("lazy_validators", Temper.LAZY), ("colluding_validators", Temper.COLLUDING)):
        chosen = accounts.validators[temper == int(kind)]
        if len(chosen):
            # Validators have the same numbers in both windows.
            positions = [
                c.enforcement.escrows.position_micro(c.enforcement.escrows.accounts.validators[temper == int(kind)])
                for c in (found, honest)
            ]
            rows.append(_row(role, "validator", len(chosen), len(chosen), *positions))
    if adversaries.griefers > 0.0:
        cases = int(found.enforcement.griefed.sum())
        if cases:
            lost = found.enforcement.escrows.position_micro(accounts.griefers)
            rows.append(_row("griefers", "challenge", cases, cases, lost, np.zeros_like(lost)))
    return rows


def _row(role: str, per: str, count: int, size: float, found: OffsetColumn, honest: OffsetColumn) -> dict[str, Any]:
    mean, honest_mean = float(found.sum() / size), float(honest.sum() / size)
    return {
        "class": role,
        "count": count,
        "per": per,
        "mean_micro": mean,
        "honest_mean_micro": honest_mean,
        "gain_micro": mean - honest_mean,
    }


def _honest_case(built: BuiltScenario, setting: MarketSetting) -> _Case:
    """Run the coalition as it would be if nobody cheated."""
    spec = built.spec.model_copy(update={"adversaries": Adversaries()})
    honest_built = replace(built, spec=spec)
    honest_setting = setting_from(honest_built, setting.baseline, setting.toll_s)
    world = make_market_world(honest_built, "coalition", honest_setting, 0)
    world.run_days(spec.market.rounds + 2)
    closed = close_coalition(honest_built, world, honest_setting)
    assert closed.enforcement is not None  # every coalition has one
    case = _Case(closed.enforcement, utility_micro(honest_built, world, honest_setting, closed.money_micro))
    world.close()
    return case
