"""Conditions in three values, the arbiters, evidence, obligations that refer to each other."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from contract_scenes import CHALLENGER, CREDIT, PAYER, PERFORMER, STRANGER, active, claimed, offer, voting, world
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts_model import Book, Outcome, State, Verdict
from contracts_model.arbiters import standard_arbiters
from contracts_model.conditions import Composite, Leaf, all_of, any_of, check_shape, judge, leaf, negate, threshold
from contracts_model.evidence import EvidenceFault, Fulfilment, KeyRing, Obligation, append_record, check_chain

A, R, N = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL
KEYS = KeyRing(3)
METER = 42


class Fixed:
    """Answers with its own name."""

    def __init__(self, name: str, verdict: Verdict) -> None:
        self.name, self.verdict = name, verdict

    def check(self, fulfilment, terms, circumstances) -> Verdict:
        return self.verdict


FIXED = {v.name: Fixed(v.name, v) for v in Verdict}
TREES = st.recursive(
    st.sampled_from([leaf(name) for name in FIXED]),
    lambda children: st.one_of(
        st.lists(children, max_size=4).map(lambda c: all_of(*c)),
        st.lists(children, max_size=4).map(lambda c: any_of(*c)),
        children.map(negate),
        st.lists(children, max_size=4).flatmap(lambda c: st.integers(0, len(c)).map(lambda k: threshold(k, *c))),
    ),
    max_leaves=12,
)


def completions(condition) -> set[Verdict]:
    """Twin: every way the silent leaves could still turn out; a verdict is final iff they all agree."""
    if isinstance(condition, Leaf):
        return {"ACCEPTED": {A}, "REJECTED": {R}, "NOT_FINAL": {A, R}}[condition.arbiter]
    results = {()}
    for child in condition.children:
        results = {(*so_far, verdict) for so_far in results for verdict in completions(child)}
    votes = {
        "all": lambda r: all(v is A for v in r),
        "any": lambda r: any(v is A for v in r),
        "not": lambda r: r[0] is R,
        "threshold": lambda r: r.count(A) >= condition.need,
    }[condition.operator]
    return {A if votes(result) else R for result in results}


@given(TREES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_verdict_is_final_exactly_when_silence_cannot_change_it(condition) -> None:
    possible = completions(condition)
    expected = possible.pop() if len(possible) == 1 else N
    assert judge(condition, FIXED, Fulfilment(), None) is expected


@pytest.mark.parametrize(
    "condition, expected",
    [
        (all_of(), A),
        (any_of(), R),
        (threshold(0), A),
        (threshold(2, leaf("ACCEPTED"), leaf("NOT_FINAL"), leaf("REJECTED")), N),
        (threshold(2, leaf("ACCEPTED"), leaf("REJECTED"), leaf("REJECTED")), R),
        (negate(leaf("NOT_FINAL")), N),
        (all_of(leaf("REJECTED"), leaf("NOT_FINAL")), R),
        (any_of(leaf("ACCEPTED"), leaf("NOT_FINAL")), A),
    ],
)
def test_composition_by_hand(condition, expected: Verdict) -> None:
    assert judge(condition, FIXED, Fulfilment(), None) is expected


def nested(depth: int):
    condition = leaf("ACCEPTED")
    for _ in range(depth - 1):
        condition = negate(condition)
    return condition


@pytest.mark.parametrize(
    "condition, expected",
    [
        (nested(8), Outcome.OK),
        (nested(9), Outcome.CONDITION_TOO_DEEP),
        (all_of(*[leaf("a")] * 16), Outcome.OK),
        (all_of(*[leaf("a")] * 17), Outcome.CONDITION_TOO_WIDE),
        (all_of(*[all_of(*[leaf("a")] * 16)] * 4), Outcome.OK),
        (all_of(*[all_of(*[leaf("a")] * 16)] * 4, leaf("a")), Outcome.CONDITION_TOO_WIDE),
        (threshold(3, leaf("a"), leaf("b")), Outcome.CONDITION_MALFORMED),
        (threshold(-1, leaf("a")), Outcome.CONDITION_MALFORMED),
        (Composite("not", (), 1), Outcome.CONDITION_MALFORMED),
        (Composite("not", (leaf("a"), leaf("b")), 1), Outcome.CONDITION_MALFORMED),
        (Composite("xor", (leaf("a"),), 1), Outcome.CONDITION_MALFORMED),
        (Composite("all", (leaf("a"),), 0), Outcome.CONDITION_MALFORMED),
        (Composite("any", (leaf("a"),), 0), Outcome.CONDITION_MALFORMED),
        (Composite("all", ("leaf",), 1), Outcome.CONDITION_MALFORMED),
        (Composite("threshold", (leaf("a"),), 1.0), Outcome.CONDITION_MALFORMED),
    ],
)
def test_shapes(condition, expected: Outcome) -> None:
    assert check_shape(condition) is expected
    book = world()
    head = book.journal_head()
    assert book.open(STRANGER, offer(condition=condition), now=10).outcome is expected
    assert (book.journal_head() == head) == (expected is not Outcome.OK)


def test_no_depth_exhausts_the_interpreter() -> None:
    assert check_shape(nested(100_000)) is Outcome.CONDITION_TOO_DEEP


def test_digests_tell_conditions_apart() -> None:
    a, b = leaf("a"), leaf("b")
    different = [
        a,
        b,
        leaf("a", x=1),
        leaf("a", x="1"),
        all_of(a),
        any_of(a),
        negate(a),
        threshold(1, a),
        all_of(a, b),
        all_of(b, a),
    ]
    different += [threshold(0, a), all_of(all_of(a), b), all_of(a, all_of(b))]
    assert len({condition.digest for condition in different}) == len(different)
    assert leaf("a", x=1, y=2).digest == leaf("a", y=2, x=1).digest


def readings(*amounts: int, author: int = METER):
    chain = ()
    for amount in amounts:
        chain = append_record(chain, KEYS, author, amount.to_bytes(8, "little", signed=True))
    return chain


def judged(condition, fulfilment: Fulfilment, now: int = 11) -> Outcome:
    """Outcome of a claim under a condition, in a book with the standard arbiters."""
    book = world()
    book.arbiters = standard_arbiters(KEYS)
    return book.claim(PERFORMER, active(book, condition=condition), fulfilment, now=now)


BLOB = hashlib.sha256(b"blob").hexdigest()
METERED = leaf("metered_quantity", meter=METER, quantity=100, tolerance=5, until=50)


@pytest.mark.parametrize(
    "condition, fulfilment, refused",
    [
        (leaf("blob_delivered", sha256=BLOB), Fulfilment(payload=b"blob"), False),
        (leaf("blob_delivered", sha256=BLOB), Fulfilment(payload=b"blot"), True),
        (leaf("blob_delivered", sha256=BLOB), Fulfilment(), False),  # silence: not final, not rejected
        (METERED, Fulfilment(records=readings(60, 35)), False),
        (METERED, Fulfilment(records=readings(60, 45)), False),
        (METERED, Fulfilment(records=readings(60, 46)), True),
        (METERED, Fulfilment(records=readings(60, 34)), False),  # still metering
        (METERED, Fulfilment(records=readings(60, 40, author=7)), True),
        (METERED, Fulfilment(records=readings(60, 40)[1:]), True),
        (METERED, Fulfilment(), False),
        (leaf("recipient", actor=PERFORMER), Fulfilment(), False),
        (leaf("recipient", actor=PAYER), Fulfilment(), True),
        (leaf("claimed_before", instant=12), Fulfilment(), False),
        (leaf("claimed_before", instant=11), Fulfilment(), True),
        (leaf("not_before", instant=99), Fulfilment(), False),
        (negate(leaf("not_before", instant=11)), Fulfilment(), True),
        (negate(leaf("not_before", instant=12)), Fulfilment(), False),
        (leaf("attester", actor=METER), Fulfilment(records=readings(1)), False),
        (leaf("attester", actor=METER), Fulfilment(records=readings(1, author=7)), True),
        (leaf("attester", actor=METER), Fulfilment(), False),
        (leaf("attester", actor=8), Fulfilment(records=append_record((), KEYS, METER, b"x", witness=8)), False),
        (leaf("references_digest", digest="00" * 32), Fulfilment(references=(bytes(32),)), False),
        (leaf("references_digest", digest="00" * 32), Fulfilment(), True),
        (leaf("references_escrow", escrow=0, state=int(State.PAID)), Fulfilment(), False),  # itself: not ended
        (leaf("references_escrow", escrow=9, state=int(State.PAID)), Fulfilment(), False),  # unknown: not final
        (leaf("trusted_oracle", oracle=STRANGER, subject="s"), Fulfilment(), False),
    ],
)
def test_arbiters(condition, fulfilment: Fulfilment, refused: bool) -> None:
    assert judged(condition, fulfilment) is (Outcome.CONDITION_REJECTED if refused else Outcome.OK)


def test_a_meter_that_stays_short_is_rejected_when_its_time_is_over() -> None:
    assert judged(METERED, Fulfilment(records=readings(60, 34)), now=49) is Outcome.OK
    assert judged(METERED, Fulfilment(records=readings(60, 34)), now=50) is Outcome.CONDITION_REJECTED


def dispute_to_replay(book: Book, escrow: int) -> None:
    assert book.challenge(CHALLENGER, escrow, now=book.clock) is Outcome.OK
    assert book.tally(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.state(escrow) is State.REPLAY


def test_the_replay_sees_the_exhibits() -> None:
    book = world()
    book.arbiters = standard_arbiters(KEYS)
    escrow = active(book, condition=leaf("blob_delivered", sha256=BLOB))
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=11) is Outcome.OK
    dispute_to_replay(book, escrow)
    assert book.replay(escrow, now=book.clock) is Outcome.CONDITION_NOT_FINAL
    assert book.submit_evidence(PERFORMER, escrow, Fulfilment(payload=b"blob"), now=book.clock) is Outcome.OK
    assert book.judge_evidence(escrow, now=book.clock) is A
    assert book.replay(escrow, now=book.clock) is Outcome.OK
    assert book.state(escrow) is State.PAID


def test_the_replay_judges_by_the_instant_of_the_claim() -> None:
    book = world()
    book.arbiters = standard_arbiters(KEYS)
    escrow = active(book, condition=leaf("claimed_before", instant=12))
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=11) is Outcome.OK
    dispute_to_replay(book, escrow)
    assert book.replay(escrow, now=book.clock) is Outcome.OK
    assert book.state(escrow) is State.PAID


def test_an_escrow_that_waits_for_another() -> None:
    book = world()
    book.arbiters = standard_arbiters(KEYS)
    first = claimed(book)
    second = active(book, now=11, condition=leaf("references_escrow", escrow=first, state=int(State.PAID)))
    assert book.claim(PERFORMER, second, Fulfilment(), now=12) is Outcome.OK
    dispute_to_replay(book, second)
    assert book.replay(second, now=book.clock) is Outcome.CONDITION_NOT_FINAL
    assert book.collect(first, now=book.clock) is Outcome.OK
    assert book.replay(second, now=book.clock) is Outcome.OK
    assert book.state(second) is State.PAID


def test_oracle_decisions_are_recorded() -> None:
    book = world()
    assert book.decide(STRANGER, "s", N, now=11) is Outcome.BAD_VOTE
    assert book.decide(99, "s", A, now=11) is Outcome.UNKNOWN_ACTOR
    assert book.decide(STRANGER, "s", R, now=11) is Outcome.OK
    assert book.decide(PAYER, "s", A, now=11) is Outcome.OK  # another oracle, another decision
    entries, digests = book.entries()
    assert digests[-1].tobytes() == hashlib.sha256(b"s").digest()
    assert entries[-1]["debit"] == PAYER and entries[-2]["leg"] == R


def test_obligations_and_fulfilments_refer_to_each_other() -> None:
    """A barter: two promises, each fulfilment points at the other promise, and none opens the other's escrow."""
    book = world()
    book.arbiters = standard_arbiters(KEYS)
    mine = Obligation(PERFORMER, leaf("blob_delivered", sha256=BLOB).digest)
    condition = all_of(leaf("blob_delivered", sha256=BLOB), leaf("references_digest", digest=mine.digest.hex()))
    theirs = Obligation(PERFORMER, condition.digest, references=(mine.digest,))
    assert book.open(STRANGER, offer(condition=condition), now=10, obligation=mine).outcome is Outcome.WRONG_OBLIGATION
    wrong = replace(theirs, promisor=PAYER)
    assert book.open(STRANGER, offer(condition=condition), now=10, obligation=wrong).outcome is Outcome.WRONG_OBLIGATION
    outcome, escrow = book.open(STRANGER, offer(condition=condition), now=10, obligation=theirs)
    assert outcome is Outcome.OK
    assert book.entries()[1][-1].tobytes() == theirs.digest
    for payer, due in offer().payers:
        assert book.fund(payer, escrow, due, now=10) is Outcome.OK
    assert book.accept(PERFORMER, escrow, now=10) is Outcome.OK
    good = Fulfilment(payload=b"blob", obligation=theirs.digest, references=(mine.digest,))
    assert book.claim(PERFORMER, escrow, replace(good, obligation=mine.digest), now=11) is Outcome.WRONG_OBLIGATION
    assert book.claim(PERFORMER, escrow, replace(good, references=()), now=11) is Outcome.CONDITION_REJECTED
    assert book.claim(PERFORMER, escrow, good, now=11) is Outcome.OK
    assert book.free(PERFORMER, CREDIT) == 1_000_000


def test_every_change_of_a_chain_is_found() -> None:
    chain = append_record(readings(1, 2), KEYS, METER, b"three", witness=8)
    assert check_chain(chain, KEYS) is EvidenceFault.NONE
    assert check_chain((), KEYS) is EvidenceFault.NONE
    changed = {
        EvidenceFault.BROKEN_CHAIN: [chain[1:], (chain[1], chain[0], chain[2]), (chain[0], chain[2])],
        EvidenceFault.WRONG_SEQUENCE: [(replace(chain[0], sequence=1),)],
        EvidenceFault.BAD_SIGNATURE: [
            (replace(chain[0], body=b"other"),),
            (replace(chain[0], author=7),),
            (replace(chain[0], signature=bytes(32)),),
        ],
        EvidenceFault.BAD_COUNTERSIGNATURE: [(*chain[:2], replace(chain[2], countersignature=bytes(32)))],
    }
    for fault, chains in changed.items():
        for altered in chains:
            assert check_chain(altered, KEYS) is fault
    assert check_chain(chain, KeyRing(4)) is EvidenceFault.BAD_SIGNATURE


def test_fulfilments_that_differ_have_different_digests() -> None:
    records = readings(1)
    different = [
        Fulfilment(),
        Fulfilment(payload=b""),
        Fulfilment(payload=b"x"),
        Fulfilment(records=records),
        Fulfilment(obligation=bytes(32)),
        Fulfilment(references=(bytes(32),)),
        Fulfilment(references=(bytes(32), bytes(32))),
    ]
    assert len({item.digest for item in different}) == len(different)


def test_votes_reach_the_panel_of_the_right_escrow() -> None:
    book = world(jurors=30)
    first, second = voting(book), voting(book)
    assert book.seal_vote(first, 7, A, b"") != book.seal_vote(second, 7, A, b"")
