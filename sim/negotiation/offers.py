"""The offers of a window, one message a contract, made when somebody looks at one.

A city's window has tens of thousands of contracts, which live in columns; the messages that say the same are drawn up on
demand, for whoever wants to read one (`RunResult.offers`). The same contract always gives the same bytes: id and
signature follow from the content.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.problem import AssignmentProblem
from sim.demand.population import Population
from sim.negotiation.baseline import Baseline
from sim.negotiation.messages import (
    BaselinePath,
    Composite,
    Condition,
    Harmed,
    Leaf,
    Offer,
    Payer,
    SimulatedKeys,
    TargetPath,
    Validators,
    digest_of,
)

_DAY_S = 86_400


class ContractColumns(Protocol):
    """What an offer needs of a window's contracts; see `sim.settlement.clearing.Contracts`."""

    @property
    def mover(self) -> IndexColumn:
        """Traveller of each contract."""
        ...

    @property
    def price_micro(self) -> OffsetColumn:
        """What the mover gets (negative: pays)."""
        ...

    @property
    def fee_micro(self) -> OffsetColumn:
        """What the validators get."""
        ...

    @property
    def start(self) -> OffsetColumn:
        """Rows of contract k: `start[k]` to `start[k + 1]`."""
        ...

    @property
    def link(self) -> IndexColumn:
        """Link of each row, in the problem's order."""
        ...

    @property
    def fund_pays_micro(self) -> OffsetColumn:
        """What the link's fund pays (negative: receives)."""
        ...

    @property
    def clearing_pays_micro(self) -> OffsetColumn:
        """What the clearing account pays into each contract (negative: receives)."""
        ...


@dataclass(frozen=True, eq=False)
class OfferTerms:
    """What all offers of a window have in common.

    Attributes
    ----------
    window_start_s, window_end_s
        Clock of the window in seconds after midnight; the end is after the start.
    collateral_micro
        Of each contract, shape (n_contracts,).
    max_delay_s
        Most seconds later than on the baseline, by contract, at least 0.
    accept_by_s, claim_by_s, challenge_by_s
        Instants in seconds after the start of the window, not decreasing.
    panel, rounds, stake_micro, trap_rate
        Of the validators.
    pool
        Name of the validators' pool.
    """

    window_start_s: int
    window_end_s: int
    collateral_micro: OffsetColumn
    max_delay_s: FloatColumn
    accept_by_s: int
    claim_by_s: int
    challenge_by_s: int
    panel: int
    rounds: int
    stake_micro: int
    trap_rate: float
    pool: str = "A"


class Offers(Sequence[Offer]):
    """Offers of a window in the order of its contracts; each is made, named and signed when it is asked for.

    Parameters
    ----------
    contracts
        Of the window.
    problem, population, baseline
        Streets, travellers, and the routes that they would have driven.
    target_start, target_link
        Routes to drive, compressed rows by traveller, links in the problem's order.
    terms
        What all offers have in common.
    seed
        Of the scenario: names the lottery and derives the simulated keys.
    condition_of
        What a contract is judged by, by its number; None asks what every road asks: route followed, in time, in person.
    """

    def __init__(
        self,
        contracts: ContractColumns,
        problem: AssignmentProblem,
        population: Population,
        baseline: Baseline,
        target_start: OffsetColumn,
        target_link: IndexColumn,
        terms: OfferTerms,
        seed: int,
        condition_of: Callable[[int], Condition] | None = None,
    ) -> None:
        self._contracts = contracts
        self._link_id = problem.network.link_id[problem.link_order]
        self._population = population
        self._baseline = baseline
        self._target = (target_start, target_link)
        self._terms = terms
        self._seed = seed
        self._condition_of = condition_of
        self._keys = SimulatedKeys(seed)
        self._state_root = state_root(baseline)

    def __len__(self) -> int:
        return len(self._contracts.mover)

    def __iter__(self) -> Iterator[Offer]:
        return (self._offer(number) for number in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Offer: ...
    @overload
    def __getitem__(self, index: slice) -> list[Offer]: ...
    def __getitem__(self, index: int | slice) -> Offer | list[Offer]:
        numbers = range(len(self))[index]
        return self._offer(numbers) if isinstance(numbers, int) else [self._offer(number) for number in numbers]

    def _offer(self, number: int) -> Offer:
        contracts, terms, od = self._contracts, self._terms, self._population.od
        mover = int(contracts.mover[number])
        cell = int(self._population.od_idx[mover])
        target = self._path(*self._target, mover)
        judged_by = self._condition_of
        payers, harmed = self._funds(number)
        # A generalised cost is at least the time.
        latest_s = self._population.departure_s[mover] + self._baseline.cost_s[mover] + terms.max_delay_s[number]
        return self._keys.sign(
            Offer(
                offer_id="unnamed",
                window=(clock(terms.window_start_s), clock(terms.window_end_s)),
                mover=f"t:{mover}",
                od=(_external(od.zone_id[od.origin_zone_idx[cell]]), _external(od.zone_id[od.destination_zone_idx[cell]])),
                baseline=BaselinePath(
                    path=self._path(self._baseline.path_start, self._baseline.path_link, mover),
                    rule="ue-lottery",
                    seed=str(self._seed),
                    state_root=self._state_root,
                ),
                target=TargetPath(path=target, max_delay_s=float(terms.max_delay_s[number])),
                payers=payers,
                harmed=harmed,
                price=int(contracts.price_micro[number]),
                fee=int(contracts.fee_micro[number]),
                collateral=int(terms.collateral_micro[number]),
                t_accept=terms.accept_by_s,
                t_claim=terms.claim_by_s,
                t_challenge=terms.challenge_by_s,
                validators=Validators(
                    pool=terms.pool, panel=terms.panel, rounds=terms.rounds, stake=terms.stake_micro, trap_rate=terms.trap_rate
                ),
                condition=_condition(target, math.ceil(latest_s), mover) if judged_by is None else judged_by(number),
                nonce=number,
            )
        )

    def _path(self, start: OffsetColumn, link: IndexColumn, mover: int) -> tuple[int | str, ...]:
        return tuple(_external(self._link_id[idx]) for idx in link[start[mover] : start[mover + 1]])

    def _funds(self, number: int) -> tuple[tuple[Payer, ...], tuple[Harmed, ...]]:
        contracts = self._contracts
        rows = slice(contracts.start[number], contracts.start[number + 1])
        pays = [
            (f"link:{self._link_id[idx]}", amount)
            for idx, amount in zip(contracts.link[rows].tolist(), contracts.fund_pays_micro[rows].tolist(), strict=True)
        ]
        pays.append(("clearing", int(contracts.clearing_pays_micro[number])))
        # A mover who gains by his own detour pays: the price is negative, and the funds' caps stand for what they pay alone.
        return (
            tuple(Payer(fund=fund, cap=amount) for fund, amount in pays if amount > 0),
            tuple(Harmed(fund=fund, comp=-amount) for fund, amount in pays if amount < 0),
        )


def offers_of(
    contracts: ContractColumns,
    problem: AssignmentProblem,
    population: Population,
    baseline: Baseline,
    target_start: OffsetColumn,
    target_link: IndexColumn,
    terms: OfferTerms,
    *,
    seed: int,
    condition_of: Callable[[int], Condition] | None = None,
) -> Offers:
    """Return the offers of a window's contracts, made lazily; parameters as for `Offers`."""
    return Offers(contracts, problem, population, baseline, target_start, target_link, terms, seed, condition_of)


def state_root(baseline: Baseline) -> str:
    """Return the digest (SHA-256) of everybody's baseline route, to which all offers of a window refer."""
    digest = hashlib.sha256(np.ascontiguousarray(baseline.path_start, "<i8").tobytes())
    digest.update(np.ascontiguousarray(baseline.path_link, "<i4").tobytes())
    return digest.hexdigest()


def route_digest(path: Sequence[int | str]) -> str:
    """Return the digest of a route's link ids, by which a condition names it."""
    return digest_of(Leaf(arbiter="Route", terms={"path": tuple(str(link) for link in path)}))


def clock(seconds: int) -> str:
    """Return an instant after midnight as HH:MM, or HH:MM:SS where it is no whole minute; hours go on after 24."""
    if not 0 <= seconds < 4 * _DAY_S:
        raise ValueError(f"{seconds} s after midnight cannot be written as HH:MM")
    minutes, rest = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{rest:02d}" if rest else text


def _condition(target: tuple[int | str, ...], arrive_by_s: int, mover: int) -> Condition:
    return Composite(
        op="all",
        args=(
            Leaf(arbiter="RouteFollowed", terms={"route": route_digest(target)}),
            Leaf(arbiter="ArrivedBefore", terms={"instant_s": arrive_by_s}),
            Leaf(arbiter="Recipient", terms={"actor": f"t:{mover}"}),
        ),
    )


def _external(value: object) -> int | str:
    return int(value) if isinstance(value, np.integer | int) else str(value)
