"""The worlds with money of a run, one after another, and what a report wants beside them: further levels, controls, cheats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sim.assignment.equilibrium import Assignment
from sim.experiments.build import BuiltScenario
from sim.experiments.coalition import cheating_account, close_coalition
from sim.experiments.market import (
    DIRECT,
    MarketOutcome,
    MarketSetting,
    close_market,
    make_market_world,
    market_setting,
    misses_of,
    setting_from,
)
from sim.experiments.progress import Say
from sim.experiments.scenarios import MARKET_WORLDS
from sim.model import CityModel
from sim.negotiation.baseline import MOST_WARM_UP_DAYS
from sim.negotiation.entitlement import Extortion, extortion_rent
from sim.spec import Adversaries, Report

Live: TypeAlias = Callable[[BuiltScenario, CityModel, int], CityModel]
Phase: TypeAlias = Callable[[str], AbstractContextManager[None]]
_CONTROLS = (*DIRECT, "random_control")
LEVERS = ("participation", "fee_per_vehicle")
"""What is varied for the report, by its key in the scenario's market section."""


@dataclass(frozen=True)
class Level:
    """The coalition at another level of participation or of the fee.

    Attributes
    ----------
    lever
        One of `LEVERS`.
    level
        Its value.
    total_time_s
        Vehicle-seconds of everybody.
    content
        What the coalition at the scenario's own level has in poa.json.
    """

    lever: str
    level: float
    total_time_s: float
    content: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class MarketRun:
    """What the worlds with money of a run found.

    Attributes
    ----------
    setting
        What they started from.
    worlds, outcomes
        By name, at rest and settled.
    levels
        The coalition at further levels, in the scenario's order.
    extortion
        What self-declared baselines could extort; known where a negative control ran.
    missed
        Promises that were not kept, in words.
    """

    setting: MarketSetting
    worlds: dict[str, CityModel]
    outcomes: dict[str, MarketOutcome]
    levels: tuple[Level, ...]
    extortion: Extortion | None
    missed: tuple[str, ...]


def run_market(built: BuiltScenario, solved: Mapping[str, Assignment], *, live: Live, phase: Phase, say: Say) -> MarketRun | None:
    """Run the worlds with money that a scenario asks for; None where it asks for none.

    Parameters
    ----------
    solved
        Equilibrium and optimum, by their worlds.
    live
        Lets a world live its days, up to a number of them.
    phase
        Times a phase by its name.
    """
    spec = built.spec
    names = [name for name in MARKET_WORLDS if name in spec.worlds.run]
    if not names:
        return None
    most_days = max(spec.traffic.days, spec.market.rounds + 2)
    with phase("baseline"):
        say("drawing everybody's baseline route")
        setting = market_setting(built, solved["selfish"], solved["optimum"])
    worlds: dict[str, CityModel] = {}
    outcomes: dict[str, MarketOutcome] = {}
    for name in names:
        with phase(f"live {name}"):
            worlds[name] = live(built, make_market_world(built, name, setting, _moves(worlds)), most_days)
        with phase(f"settle {name}"):
            say(f"{name}: settling")
            close = close_coalition if name == "coalition" else close_market
            outcomes[name] = close(built, worlds[name], setting)
    missed: tuple[str, ...] = ()
    if not setting.baseline.at_rest:
        missed = (f"baseline: some travellers still gained by changing after {MOST_WARM_UP_DAYS} days of warm-up",)
    levels: tuple[Level, ...] = ()
    if "coalition" in outcomes:
        if spec.adversaries != Adversaries():
            with phase("the honest window"):
                outcomes["coalition"] = _with_cheats(built, worlds["coalition"], setting, outcomes["coalition"])
        missed += misses_of("coalition", outcomes["coalition"].content)
        if spec.report != Report():
            with phase("further levels"):
                levels = _levels(built, setting, live, most_days)
        for level in levels:
            missed += misses_of(f"coalition at {level.lever} {level.level:g}", level.content)
    extortion = None
    if any(name in _CONTROLS for name in names):
        extortion = extortion_rent(built.problem, solved["selfish"], solved["optimum"].total_cost_s)
    return MarketRun(setting, worlds, outcomes, levels, extortion, missed)


def _with_cheats(built: BuiltScenario, world: CityModel, setting: MarketSetting, outcome: MarketOutcome) -> MarketOutcome:
    """Return the coalition's outcome with what cheating earned."""
    account = cheating_account(built, world, setting, outcome)
    return replace(outcome, content=outcome.content | {"adversaries": account})


def _moves(worlds: Mapping[str, CityModel]) -> int:
    """Return how many travellers the coalition moved away from where it started."""
    if "coalition" not in worlds:
        return 0
    world = worlds["coalition"]
    mechanism: Any = world.mechanism
    return int((world.traffic.route_of_traveller != mechanism.baseline_route).sum())


def _levels(built: BuiltScenario, setting: MarketSetting, live: Live, most_days: int) -> tuple[Level, ...]:
    """Run the coalition at the levels that the report asks for; baseline and lots are those of the run."""
    wanted = zip(LEVERS, (built.spec.report.participation, built.spec.report.fees), strict=True)
    levels = []
    for lever, values in wanted:
        for value in values:
            market = built.spec.market.model_copy(update={lever: value})
            there = replace(built, spec=built.spec.model_copy(update={"market": market}))
            setting_there = setting_from(there, setting.baseline, setting.toll_s)
            world = live(there, make_market_world(there, "coalition", setting_there, 0), most_days)
            outcome = close_coalition(there, world, setting_there)
            levels.append(Level(lever, value, world.traffic.total_cost_s, outcome.content))
            world.close()
    return tuple(levels)
