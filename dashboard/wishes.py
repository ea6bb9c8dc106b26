"""What a visitor asks for, and the address that says it, so that a view can be shared.

An address comes from outside: only scenarios and runs on offer and numbers within bounds count. Whatever else it asks for is
left out, and said on the page.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import parse_qs, urlencode

from sim.bundled import bundled_scenarios
from sim.spec import Adversaries, ScenarioSpec
from sim.spec_changes import Close

SCENARIO_VARIABLE = "ROUTEPACT_DASHBOARD_SCENARIO"
"""Environment variable in which `launch` leaves the scenario that the command line names."""
RUNS_VARIABLE = "ROUTEPACT_DASHBOARD_RUNS"
"""The same for the run folders, one or two, a line each."""
DEFAULT_SCENARIO = "city"

LEAST_DEMAND, MOST_DEMAND = 0.25, 2.0
"""Bounds of the demand that a visitor may ask for, as a multiple of the scenario's own."""
_MOST_CLOSED = 50
_MOST_SEED = 2**63 - 1

View: TypeAlias = Literal["worlds", "difference"]
Colour: TypeAlias = Literal["load", "speed", "external"]

MECHANISMS: Mapping[str, tuple[str, str]] = {
    "coalition": ("Market", "travellers pay each other for detours, through contracts"),
    "optimum": ("Optimum", "a plan that costs the city least, obeyed by everybody"),
    "learning": ("Learning", "selfish drivers who start from empty streets and learn day by day"),
    "pools": ("Pools", "detours paid at once out of pools by street, without contracts"),
    "pairwise": ("Pairs", "one driver pays one other, whoever else is harmed"),
    "pairwise_compensated": ("Pairs, fair", "one driver pays one other and everybody who is harmed"),
    "toll": ("Toll", "everybody pays what he costs the others; nothing is given back"),
    "toll_uniform": ("Toll, shared", "the same toll, given back in equal parts"),
}
"""What may run on the right map: (title, what it is in a few words)."""
CHEATS: Mapping[str, str] = {
    "defectors": "Break their promise",
    "extortionists": "Demand all they can",
    "baseline_liars": "Lie about their route",
    "lazy_validators": "Validators: never look",
    "colluding_validators": "Validators: bribed",
    "griefers": "Challenge the honest",
}
"""Adversaries whose share a visitor may choose: key in the scenario, words on the page."""


@dataclass(frozen=True)
class Wish:
    """What the visitor wants to see.

    Attributes
    ----------
    scenario
        Name or file.
    demand_scale
        Demand as a multiple of the scenario's own.
    mechanism
        World of the right map (`MECHANISMS`).
    participation, seed
        Instead of the scenario's; None keeps them.
    cheats
        Shares of adversaries (`CHEATS`), instead of the scenario's; those that are left out keep theirs.
    closed
        Ids of links that are closed.
    runs
        Run folders to replay, one or two; then everything else comes from them.
    worlds
        In a replay: names of the worlds of the left and of the right map; None for the favourites.
    """

    scenario: str
    demand_scale: float = 1.0
    mechanism: str = "coalition"
    participation: float | None = None
    seed: int | None = None
    cheats: tuple[tuple[str, float], ...] = ()
    closed: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    worlds: tuple[str, str] | None = None

    def applied_to(self, spec: ScenarioSpec) -> ScenarioSpec:
        """Return a scenario as this visitor wants it."""
        demand = spec.demand.model_copy(update={"scale": spec.demand.scale * self.demand_scale})
        changed: dict[str, object] = {"demand": demand}
        if self.participation is not None:
            changed["market"] = spec.market.model_copy(update={"participation": self.participation})
        if self.seed is not None:
            changed["seed"] = self.seed
        if self.cheats:
            changed["adversaries"] = Adversaries(**{**spec.adversaries.model_dump(), **dict(self.cheats)})
        if self.closed:
            close = Close(action="close", links=self.closed)
            changed["network"] = spec.network.model_copy(update={"change": (*spec.network.change, close)})
        return spec.model_copy(update=changed)


@dataclass(frozen=True)
class Address:
    """The part of a view that its address carries; `follow` is a traveller, or None."""

    wish: Wish
    view: View = "worlds"
    colour: Colour = "load"
    follow: int | None = None

    def query(self) -> str:
        """Return the query, with its question mark."""
        wish = self.wish
        fields: dict[str, str] = {}
        if not wish.runs:
            fields = {"scenario": wish.scenario, "demand": f"{wish.demand_scale:g}", "mechanism": wish.mechanism}
            if wish.participation is not None:
                fields["participation"] = f"{wish.participation:g}"
            if wish.seed is not None:
                fields["seed"] = str(wish.seed)
            fields |= {name: f"{share:g}" for name, share in wish.cheats}
            if wish.closed:
                fields["closed"] = " ".join(wish.closed)
        elif wish.worlds is not None:
            fields = {"left": wish.worlds[0], "right": wish.worlds[1]}
        fields |= {"view": self.view, "colour": self.colour}
        if self.follow is not None:
            fields["follow"] = str(self.follow)
        return "?" + urlencode(fields)


def scenario_choices() -> list[str]:
    """Return the scenarios that a visitor may choose: the one from the command line, then the bundled ones."""
    named = os.environ.get(SCENARIO_VARIABLE)
    bundled = list(bundled_scenarios())
    first = [name for name in (named, DEFAULT_SCENARIO) if name is not None and (name == named or name in bundled)]
    return list(dict.fromkeys([*first, *bundled]))


def runs_on_show() -> tuple[str, ...]:
    """Return the run folders from the command line."""
    return tuple(os.environ.get(RUNS_VARIABLE, "").splitlines())


class _Fields:
    """Reads fields of a query and collects, in words, what it had to leave out."""

    def __init__(self, query: str | None) -> None:
        self.fields = {key: values[-1] for key, values in parse_qs(query or "").items()}
        self.problems: list[str] = []

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        text = self.fields.pop(key, None)
        if text is None or text in choices:
            return default if text is None else text
        self.problems.append(f"{key} {text!r} is not on offer")
        return default

    def number(self, key: str, low: float, high: float) -> float | None:
        text = self.fields.pop(key, None)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return value
        self.problems.append(f"{key} {text!r} is no number from {low:g} to {high:g}")
        return None

    def whole(self, key: str) -> int | None:
        text = self.fields.pop(key, None)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and int(text[:20]) <= _MOST_SEED:
            return int(text)
        self.problems.append(f"{key} {text!r} is no whole number")
        return None

    def words(self, key: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(self.fields.pop(key, "").split()))
        if len(found) > _MOST_CLOSED:
            self.problems.append(f"{key} names more than {_MOST_CLOSED} links")
            return ()
        return found

    def leftovers(self) -> tuple[str, ...]:
        return (*self.problems, *(f"{key!r} means nothing here" for key in self.fields))


def read_address(query: str | None, choices: list[str], runs: tuple[str, ...] = ()) -> tuple[Address, tuple[str, ...]]:
    """Return the view that an address asks for, and what of it was left out, in words."""
    fields = _Fields(query)
    view = fields.choice("view", get_args(View), "worlds")
    colour = fields.choice("colour", get_args(Colour), "load")
    follow = fields.whole("follow")
    scenario = fields.choice("scenario", choices, choices[0])
    demand = fields.number("demand", LEAST_DEMAND, MOST_DEMAND)
    cheats = {name: fields.number(name, 0.0, 1.0) for name in CHEATS}
    if (cheats["lazy_validators"] or 0.0) + (cheats["colluding_validators"] or 0.0) > 1.0:
        fields.problems.append("lazy_validators and colluding_validators exceed 1 together")
        cheats["lazy_validators"] = cheats["colluding_validators"] = None
    wish = Wish(
        scenario,
        1.0 if demand is None else demand,
        fields.choice("mechanism", MECHANISMS, "coalition"),
        fields.number("participation", 0.0, 1.0),
        fields.whole("seed"),
        tuple((name, share) for name, share in cheats.items() if share is not None),
        fields.words("closed"),
    )
    if runs:
        left, right = fields.fields.pop("left", ""), fields.fields.pop("right", "")
        wish = Wish(wish.scenario, runs=runs, worlds=(left, right) if left and right else None)
    return Address(wish, view, colour, follow), fields.leftovers()  # type: ignore[arg-type]  # chosen from their own values
