"""How travellers behave in the market: strategies that decide in columns, registered by name, cast by lot.

A strategy is a class with up to four methods, each about many travellers at once; whoever leaves a method out does what an
honest traveller does. A scenario shares the travellers out to strategies by name, or by import path for a module beside the
scenario file:

    [market.strategies]
    honest = 0.8
    stubborn = 0.1
    "my_module:Patient" = 0.1
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, TypeVar

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.errors import InputError
from sim.rng import uniforms

_KEY = "market.strategies"
_Columns = TypeVar("_Columns", bound="TravellerColumns")
_Class = TypeVar("_Class", bound="type[Strategy]")


@dataclass(frozen=True, eq=False)
class TravellerColumns:
    """What a strategy knows about the travellers who play it, one row each.

    Attributes
    ----------
    traveller
        Their numbers.
    od_idx
        Their OD cell.
    weight
        Vehicles each stands for.
    value
        Value of time, credits a second and vehicle.
    baseline_cost
        What the trip costs on the baseline, credits.
    cost
        What it costs at the present traffic, credits.
    luck
        A number in [0, 1) of its own for each traveller, the same on every day.
    day
        Round of the market, from 1 (0 before the first).
    """

    traveller: IndexColumn
    od_idx: IndexColumn
    weight: FloatColumn
    value: FloatColumn
    baseline_cost: FloatColumn
    cost: FloatColumn
    luck: FloatColumn
    day: int

    def __len__(self) -> int:
        return len(self.traveller)

    def rows(self: _Columns, rows: IndexColumn) -> _Columns:
        """Return these rows alone."""
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: columns[name] if name == "day" else columns[name][rows] for name in columns})


@dataclass(frozen=True, eq=False)
class OfferColumns(TravellerColumns):
    """Offers at the start of a round, one row for each traveller who could sell a detour.

    Attributes
    ----------
    loss
        What the detour costs the traveller, credits (negative: gains).
    price
        What is offered: the loss and the ask, credits.
    surplus
        What the deal is worth to everybody together beyond price and fee, credits.
    """

    loss: FloatColumn
    price: FloatColumn
    surplus: FloatColumn


@dataclass(frozen=True, eq=False)
class PromiseColumns(TravellerColumns):
    """What the movers have promised, one row each, when trading has closed.

    Attributes
    ----------
    price
        What the contract pays for the detour, credits (negative: the mover pays).
    temptation
        What driving the baseline instead would save at the traffic of the promised routes, credits.
    """

    price: FloatColumn
    temptation: FloatColumn


class Strategy:
    """An honest traveller; subclass it and change what yours does otherwise.

    Every method gets columns with one row a traveller and returns one answer a row.
    """

    def joins(self, travellers: TravellerColumns) -> BoolColumn:
        """Return who becomes a member, of those whom the participation lottery admits; asked once."""
        return np.ones(len(travellers), np.bool_)

    def surcharge(self, travellers: TravellerColumns) -> FloatColumn:
        """Return what each wants for a detour on top of its loss, credits a vehicle, at least 0; asked every round."""
        return np.zeros(len(travellers))

    def accepts(self, offers: OfferColumns) -> BoolColumn:
        """Return who sells in this round, seeing the best detour at its start.

        When its turn comes the traffic is another, so the detour may be too; loss and surcharge are always paid in full.
        """
        return np.ones(len(offers), np.bool_)

    def keeps_promise(self, promises: PromiseColumns) -> BoolColumn:
        """Return who drives what was promised; the others drive their baseline and claim the price."""
        return np.ones(len(promises), np.bool_)


_REGISTERED: Final[dict[str, type[Strategy]]] = {}


def strategy(name: str) -> Callable[[_Class], _Class]:
    """Register a `Strategy` class under a name that scenarios can use; the class decorator.

    Raises
    ------
    ValueError
        The name is taken by another class, or contains a colon.
    """

    def register(made: _Class) -> _Class:
        known = _REGISTERED.get(name)
        if ":" in name or (known is not None and (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__)):
            raise ValueError(f"the strategy name {name!r} is taken or has a colon")
        _REGISTERED[name] = made
        return made

    return register


def strategy_names() -> tuple[str, ...]:
    """Return the registered names."""
    return tuple(_REGISTERED)


def find_strategy(name: str, folder: Path | None = None) -> Strategy:
    """Return a new strategy by its name, or by "module:Class".

    Parameters
    ----------
    folder
        Where "module" is looked for first (module.py), before the import path.

    Raises
    ------
    InputError
        There is no such strategy, its module cannot be imported, or it is no `Strategy` that can be made without arguments.
    """
    module_name, colon, class_name = name.partition(":")
    if not colon:
        if name not in _REGISTERED:
            allowed = f"{', '.join(_REGISTERED)}, or module:Class"
            raise InputError(f"there is no strategy {name!r}", where=_KEY, allowed=allowed)
        return _REGISTERED[name]()
    found: Any = getattr(_module(module_name, name, folder), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise InputError(f"{name!r} is no strategy", where=_KEY, allowed="a subclass of sim.negotiation.strategies.Strategy")
    try:
        return found()
    except TypeError as error:
        raise InputError(f"{name!r} cannot be made: {error}", where=_KEY, allowed="a class without arguments") from error


def _module(module_name: str, name: str, folder: Path | None) -> ModuleType:
    beside = None if folder is None else folder / f"{module_name.replace('.', '/')}.py"
    try:
        if beside is None or not beside.is_file():
            return importlib.import_module(module_name)
        described = importlib.util.spec_from_file_location(module_name, beside)
        assert described is not None and described.loader is not None  # a .py file always has a loader
        module = importlib.util.module_from_spec(described)
        # Dataclasses and pickles look their module up there.
        sys.modules[module_name] = module
        described.loader.exec_module(module)
        return module
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InputError(
            f"the module of {name!r} cannot be imported: {what}", where=_KEY, allowed="an importable module"
        ) from error


@strategy("honest")
class Honest(Strategy):
    """Joins, asks for its loss alone, takes every deal, drives what it promised."""


@strategy("outsider")
class Outsider(Strategy):
    """Never joins."""

    def joins(self, travellers: TravellerColumns) -> BoolColumn:
        """Nobody does."""
        return np.zeros(len(travellers), np.bool_)


@strategy("stubborn")
class Stubborn(Strategy):
    """Wants a twentieth of what the trip costs on the baseline, on top of the loss."""

    wanted_share: ClassVar[float] = 0.05

    def surcharge(self, travellers: TravellerColumns) -> FloatColumn:
        """Return the share of the baseline's cost."""
        return np.asarray(self.wanted_share * travellers.baseline_cost / travellers.weight)


@strategy("hurried")
class Hurried(Strategy):
    """Takes no detour that makes the trip longer by more than a tenth."""

    most_longer: ClassVar[float] = 0.1

    def accepts(self, offers: OfferColumns) -> BoolColumn:
        """Return whether the loss is small enough."""
        return np.asarray(offers.loss <= self.most_longer * offers.baseline_cost)


@strategy("defector")
class Defector(Strategy):
    """Takes the price and drives the old route wherever that is quicker."""

    def keeps_promise(self, promises: PromiseColumns) -> BoolColumn:
        """Return where there is no temptation."""
        return np.asarray(promises.temptation <= 0.0)


@dataclass(frozen=True, eq=False)
class Cast:
    """Which strategy each traveller plays.

    Attributes
    ----------
    names, strategies
        The strategies, in the order of the scenario.
    part
        Position in them of each traveller's strategy, shape (n_travellers,).
    """

    names: tuple[str, ...]
    strategies: tuple[Strategy, ...]
    part: IndexColumn

    @classmethod
    def everybody_honest(cls, n_travellers: int) -> Cast:
        """Return the cast without parts to play."""
        return cls(("honest",), (Honest(),), np.zeros(n_travellers, np.int32))

    def joins(self, travellers: TravellerColumns) -> BoolColumn:
        """Return who of these travellers wants to be a member."""
        return np.asarray(self._ask("joins", travellers, np.ones(len(travellers), np.bool_)))

    def surcharges(self, travellers: TravellerColumns) -> FloatColumn:
        """Return what each of these travellers wants on top of its loss, credits a vehicle."""
        return np.asarray(self._ask("surcharge", travellers, np.zeros(len(travellers))))

    def accepts(self, offers: OfferColumns) -> BoolColumn:
        """Return whose travellers sell in this round."""
        return np.asarray(self._ask("accepts", offers, np.ones(len(offers), np.bool_)))

    def keeps_promise(self, promises: PromiseColumns) -> BoolColumn:
        """Return who of the movers drives what was promised."""
        return np.asarray(self._ask("keeps_promise", promises, np.ones(len(promises), np.bool_)))

    def decides(self, method: str) -> BoolColumn:
        """Return, by traveller, whether its strategy has a `method` of its own."""
        own = [getattr(type(played), method) is not getattr(Strategy, method) for played in self.strategies]
        return np.asarray(np.array(own, np.bool_)[self.part])

    def _ask(self, method: str, travellers: TravellerColumns, answers: Any) -> Any:
        part = self.part[travellers.traveller]
        for number, played in enumerate(self.strategies):
            # What an honest traveller answers stands there already.
            if getattr(type(played), method) is getattr(Strategy, method):
                continue
            rows = np.flatnonzero(part == number).astype(np.int32)
            if len(rows):
                answer = np.asarray(getattr(played, method)(travellers.rows(rows)))
                answers[rows] = _checked(answer, len(rows), answers.dtype, f"{self.names[number]}.{method}")
        return answers


def cast_strategies(shares: Mapping[str, float], n_travellers: int, seed: int, folder: Path | None = None) -> Cast:
    """Draw which traveller plays which strategy.

    Parameters
    ----------
    shares
        Share of each strategy, above 0, rescaled to sum to 1; nothing makes everybody honest.
    seed
        Names the lottery; who plays what depends on a traveller's own number alone.
    folder
        Of the scenario file, for strategies by import path.

    Raises
    ------
    InputError
        As for `find_strategy`.
    """
    if not shares:
        return Cast.everybody_honest(n_travellers)
    strategies = tuple(find_strategy(name, folder) for name in shares)
    bound = np.cumsum(np.fromiter(shares.values(), np.float64))
    lot = uniforms(seed, "strategy", np.arange(n_travellers)) * bound[-1]
    return Cast(tuple(shares), strategies, np.searchsorted(bound[:-1], lot, side="right").astype(np.int32))


def _checked(answer: Any, n_rows: int, kind: Any, name: str) -> Any:
    """Return a strategy's answer, or raise InputError unless it has a fit value for each row."""
    if answer.shape != (n_rows,):
        raise InputError(f"{name} answered with shape {answer.shape}", where=_KEY, allowed=f"one answer a row, shape ({n_rows},)")
    if kind == np.bool_:
        if answer.dtype != np.bool_:
            raise InputError(f"{name} answered with {answer.dtype}", where=_KEY, allowed="true or false")
        return answer
    if answer.dtype.kind not in "iuf" or not (np.isfinite(answer) & (answer >= 0)).all():
        raise InputError(f"{name} asked for less than 0 or no number", where=_KEY, allowed="finite numbers of at least 0")
    return answer
