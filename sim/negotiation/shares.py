"""How the members divide what they gained together.

Every rule returns shares that are at least 0 and add up to 1, so that whoever gets a share of a gain that is at least 0 is never
below its baseline. None of them promises a stable coalition: the core of the grand coalition is often empty.

Shapley and least core divide inside groups of trips of the same OD pair alone. A group's part of the whole is the sum of its
members' externality shares; inside, the part goes in proportion to the values of the group's own game
(`sim.negotiation.od_savings`), which are at least 0 (`sim.negotiation.cooperative` says how). A group that could save nothing
on its own is divided by externality. Splitting a trip into several identities is neutral under externality and equal shares,
which are linear in weight; under the other two it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.negotiation.cooperative import Counts, least_core, shapley_values
from sim.negotiation.od_savings import OdSavings
from sim.rng import stream

ShareRule: TypeAlias = Literal["externality", "equal", "shapley", "least_core"]


@dataclass(frozen=True, eq=False)
class MemberFacts:
    """What the rules look at, one row a member.

    Attributes
    ----------
    member
        Number of each traveller.
    od_idx
        Its OD cell.
    weight
        Vehicles.
    external_cost
        What its baseline trip costs the others, credits, at least 0.
    savings
        The games of the OD pairs; needed by shapley and least_core alone.
    seed
        Draws the orders of large games.
    """

    member: IndexColumn
    od_idx: IndexColumn
    weight: FloatColumn
    external_cost: FloatColumn
    savings: OdSavings | None = None
    seed: int = 0


def equal_shares(weight: FloatColumn) -> FloatColumn:
    """Return the same share for every vehicle: weight / sum of weights."""
    return np.asarray(weight / weight.sum())


def externality_shares(external_cost: FloatColumn, weight: FloatColumn) -> FloatColumn:
    """Return shares in proportion to the external cost of each member's baseline trip.

    External cost of a trip = weight * sum over its links of v t'(v) at the baseline's flows: what it costs the others, and,
    since everybody on a crowded link bears it, what it suffers from them. Where nothing is congested the shares are equal.

    Parameters
    ----------
    external_cost
        Credits, at least 0, shape (n_members,).
    weight
        Vehicles, shape (n_members,).
    """
    total = external_cost.sum()
    return np.asarray(external_cost / total) if total > 0.0 else equal_shares(weight)


def member_shares(rule: ShareRule, facts: MemberFacts) -> FloatColumn:
    """Return the members' shares under a rule of the scenario (`market.shares`), at least 0, sum 1, shape (n_members,).

    Raises
    ------
    ValueError
        shapley or least_core without the games of the OD pairs.
    """
    return np.asarray(_RULES[rule](facts))


def honour_surcharges(share: FloatColumn, surcharge: FloatColumn, gain: float) -> FloatColumn:
    """Return the shares that give each member the surcharge of its deals first and its share of what is left.

    share' = (surcharge + share * (gain - sum of surcharges)) / gain. Where the gain does not cover the surcharges, it is
    divided in proportion to them; where there is none, the shares stay.

    Parameters
    ----------
    share
        Shares of the gain, at least 0, sum 1, shape (n_members,).
    surcharge
        Credits that the deals promise each on top of its loss, at least 0.
    gain
        Credits that the members gained together, fees paid.
    """
    promised = float(surcharge.sum())
    if promised == 0.0 or gain <= 0.0:
        return share
    if gain < promised:
        return np.asarray(surcharge / promised)
    return np.asarray((surcharge + share * (gain - promised)) / gain)


def _equal(facts: MemberFacts) -> FloatColumn:
    return equal_shares(facts.weight)


def _externality(facts: MemberFacts) -> FloatColumn:
    return externality_shares(facts.external_cost, facts.weight)


_GameSolution: TypeAlias = Callable[[tuple[int, ...], Callable[[Counts], float], np.random.Generator], FloatColumn]


def _by_od_games(facts: MemberFacts, solve: _GameSolution) -> FloatColumn:
    savings = facts.savings
    if savings is None:
        raise ValueError("shares by Shapley or least core need the savings of the OD pairs")
    share = _externality(facts)
    order = np.argsort(facts.od_idx, kind="stable")
    bounds = np.flatnonzero(np.diff(facts.od_idx[order])) + 1
    for group in np.split(order, bounds):
        if len(group) < 2:
            continue
        members = facts.member[group]
        _, kind = np.unique(savings.kinds(members), return_inverse=True)
        if kind.max() == 0:
            # Alike members share alike, whatever the game.
            share[group] = share[group].sum() / len(group)
            continue
        rows = [members[kind == number] for number in range(kind.max() + 1)]
        rng = stream(facts.seed, "od game", int(facts.od_idx[group[0]]))

        def worth(counts: Counts, rows: list[IndexColumn] = rows) -> float:
            chosen = [row[:count] for row, count in zip(rows, counts, strict=True)]
            return savings.saving(np.sort(np.concatenate(chosen)).astype(np.int32))

        value = solve(tuple(map(len, rows)), worth, rng)[kind]
        if value.sum() > 0.0:
            share[group] = share[group].sum() * value / value.sum()
    return np.asarray(share / share.sum())


def _shapley(facts: MemberFacts) -> FloatColumn:
    return _by_od_games(facts, shapley_values)


def _least_core(facts: MemberFacts) -> FloatColumn:
    return _by_od_games(facts, least_core)


_RULES: Final[dict[ShareRule, Callable[[MemberFacts], FloatColumn]]] = {
    "externality": _externality,
    "equal": _equal,
    "shapley": _shapley,
    "least_core": _least_core,
}
