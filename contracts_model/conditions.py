"""Conditions: (arbiter, terms) leaves under AllOf, AnyOf, Not and Threshold, judged in three values.

Silence is not a rejection: `NOT_FINAL` is the unknown of Kleene's three-valued logic. AllOf is rejected as soon as one part
is, accepted when all are, open otherwise; AnyOf is its mirror image; Threshold(k) is accepted with k accepted parts, rejected
when k cannot be reached any more. AllOf of nothing holds, AnyOf of nothing does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from contracts_model.outcomes import Outcome, State, Verdict

if TYPE_CHECKING:
    from contracts_model.evidence import Fulfilment

MAX_DEPTH: Final = 8
MAX_CHILDREN: Final = 16
MAX_LEAVES: Final = 64

TermsValue = int | str | tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an arbiter may know besides fulfilment and terms; all of it follows from the journal.

    Attributes
    ----------
    escrow, performer
        Numbers of the escrow and of its performer.
    claimed_at, now
        Instant of the claim and of the judgement.
    exhibits
        Further evidence that the parties submitted in the dispute, in the order of the journal.
    state_of
        State of another escrow, `None` where there is none.
    decision_of
        A trusted oracle's write-once decision: (oracle, subject) to a verdict, `NOT_FINAL` while it is silent.
    """

    escrow: int
    performer: int
    claimed_at: int
    now: int
    exhibits: tuple[Fulfilment, ...]
    state_of: Callable[[int], State | None]
    decision_of: Callable[[int, str], Verdict]


class Arbiter(Protocol):
    """Judge of one kind of fulfilment; an asset type brings its own."""

    @property
    def name(self) -> str:
        """Name that conditions refer to; part of their digest."""
        ...

    def check(self, fulfilment: Fulfilment, terms: Mapping[str, TermsValue], circumstances: Circumstances) -> Verdict:
        """Judge; the same arguments give the same verdict, whoever asks."""
        ...


@dataclass(frozen=True)
class Leaf:
    """One question for one arbiter."""

    arbiter: str
    terms: tuple[tuple[str, TermsValue], ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical text."""
        text = json.dumps(["leaf", self.arbiter, sorted(self.terms)], separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Composite:
    """A combination: accepted when at least `need` children are (for `not`: when the only child is rejected)."""

    operator: str
    children: tuple[Condition, ...]
    need: int

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over operator, threshold and the children's digests, in their order."""
        state = hashlib.sha256(f"{self.operator}:{self.need}:{len(self.children)}:".encode())
        for child in self.children:
            state.update(child.digest)
        return state.digest()


Condition = Leaf | Composite


def leaf(arbiter: str, **terms: TermsValue) -> Leaf:
    """Name an arbiter and its terms."""
    return Leaf(arbiter, tuple(sorted(terms.items())))


def all_of(*children: Condition) -> Composite:
    """Require every part; nothing at all is accepted."""
    return Composite("all", children, len(children))


def any_of(*children: Condition) -> Composite:
    """Require one part; nothing at all is rejected."""
    return Composite("any", children, 1)


def threshold(need: int, *children: Condition) -> Composite:
    """Require `need` parts, 0 <= need <= number of parts."""
    return Composite("threshold", children, need)


def negate(child: Condition) -> Composite:
    """Accept what the part rejects; silence stays silence."""
    return Composite("not", (child,), 1)


def check_shape(condition: Condition) -> Outcome:
    """`OK`, or the bound that a condition breaks; walks without recursion, so that no depth can exhaust the interpreter."""
    leaves = 0
    pending: list[tuple[Condition, int]] = [(condition, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            return Outcome.CONDITION_TOO_DEEP
        if isinstance(node, Leaf):
            if not _is_written_well(node):
                return Outcome.CONDITION_MALFORMED
            leaves += 1
            if leaves > MAX_LEAVES:
                return Outcome.CONDITION_TOO_WIDE
            continue
        if not isinstance(node, Composite) or type(node.need) is not int or type(node.children) is not tuple:
            return Outcome.CONDITION_MALFORMED
        if len(node.children) > MAX_CHILDREN:
            return Outcome.CONDITION_TOO_WIDE
        count = len(node.children)
        allowed = {"all": node.need == count, "any": node.need == 1, "not": count == 1, "threshold": 0 <= node.need <= count}
        if not allowed.get(node.operator, False):
            return Outcome.CONDITION_MALFORMED
        pending.extend((child, depth + 1) for child in node.children)
    return Outcome.OK


def _is_written_well(node: Leaf) -> bool:
    """Tell whether a leaf has a name and named terms of the kinds that every book writes down alike."""
    if type(node.arbiter) is not str or type(node.terms) is not tuple:
        return False
    for term in node.terms:
        if type(term) is not tuple or len(term) != 2 or type(term[0]) is not str:
            return False
        values = term[1] if type(term[1]) is tuple else (term[1],)
        if any(type(value) is bool or not isinstance(value, (int, str)) for value in values):
            return False
    return True


def judge(
    condition: Condition, arbiters: Mapping[str, Arbiter], fulfilment: Fulfilment, circumstances: Circumstances
) -> Verdict | Outcome:
    """Evaluate a condition whose shape has been checked.

    Every leaf is asked, in order, so that the same questions are put whatever the answers.

    Returns
    -------
    Verdict | Outcome
        A verdict, or `UNKNOWN_ARBITER` / `ARBITER_INVALID` (an arbiter that answered with something else).
    """
    if isinstance(condition, Leaf):
        arbiter = arbiters.get(condition.arbiter)
        if arbiter is None:
            return Outcome.UNKNOWN_ARBITER
        verdict = arbiter.check(fulfilment, dict(condition.terms), circumstances)
        return verdict if isinstance(verdict, Verdict) else Outcome.ARBITER_INVALID
    accepted = rejected = 0
    for child in condition.children:
        verdict_or_fault = judge(child, arbiters, fulfilment, circumstances)
        if isinstance(verdict_or_fault, Outcome):
            return verdict_or_fault
        accepted += verdict_or_fault is Verdict.ACCEPTED
        rejected += verdict_or_fault is Verdict.REJECTED
    if condition.operator == "not":
        accepted, rejected = rejected, accepted
    if accepted >= condition.need:
        return Verdict.ACCEPTED
    if len(condition.children) - rejected < condition.need:
        return Verdict.REJECTED
    return Verdict.NOT_FINAL
