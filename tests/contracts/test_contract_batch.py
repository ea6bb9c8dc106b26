"""Two ways in, one behaviour: the same operations, row by row through objects and by columns.

Give the same journal, byte for byte.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from contract_scenes import (
    BANK,
    BONDS,
    CHALLENGER,
    CLAIM,
    CREDIT,
    FIRST_JUROR,
    PAYER,
    PAYER2,
    PERFORMER,
    STRANGER,
    offer,
    populate,
    salt,
    world,
)

from contracts_model import Batch, Book, Outcome, State, Verdict
from contracts_model.audit import check_book
from contracts_model.batch import digest_column
from contracts_model.kernels.layout import ESCROWS
from contracts_model.packed import PAGE_BYTES
from contracts_model.validators import answer_digest

ROWS = 60


class Pair:
    """One book driven by objects, one by columns; every call goes to both."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.objects, self.columns = world(jurors=30, seed=seed), world(jurors=30, seed=seed)
        self.batch = Batch(self.columns)

    def pick(self, values, rows: int = ROWS) -> np.ndarray:
        return self.random.choice(np.array(values, np.int64), rows)

    def same(self, outcomes: np.ndarray, rows: list) -> np.ndarray:
        single = [row if isinstance(row, Outcome) else row.outcome for row in rows]
        assert outcomes.tolist() == [int(outcome) for outcome in single]
        assert self.objects.journal_head() == self.columns.journal_head()
        return outcomes

    def call(self, name: str, *columns, now: int, **flags) -> np.ndarray:
        outcomes = getattr(self.batch, name)(*columns, now=now, **flags)
        wide = np.broadcast_arrays(*columns)
        rows = [getattr(self.objects, name)(*map(int, row), now=now, **flags) for row in zip(*wide, strict=True)]
        return self.same(outcomes, rows)


def money_moves(pair: Pair) -> None:
    people, assets = [BANK, PAYER, PAYER2, STRANGER, -1, 99], [CREDIT, BONDS, 2]
    amounts = [1, 5, 10**6, 0, -1, 1 << 62]
    pair.call("issue", pair.pick([BANK, BANK, PAYER]), pair.pick(people), pair.pick(assets), pair.pick(amounts), now=1)
    pair.call("transfer", pair.pick(people), pair.pick(people), pair.pick(assets), pair.pick(amounts), now=2)
    pair.call("stake", pair.pick(people), pair.pick(assets), pair.pick(amounts), now=3)
    pair.call("unstake", pair.pick(people), pair.pick(assets), pair.pick(amounts), now=3)
    arguments = [pair.pick(c) for c in (people, people, assets, amounts, people, [4, 5, 9])]
    made = pair.batch.hold(*arguments[:4], controllers=arguments[4], expires=arguments[5], now=4)
    rows = []
    for debtor, creditor, asset, amount, controller, expires in zip(*map(np.ndarray.tolist, arguments), strict=True):
        rows.append(pair.objects.hold(debtor, creditor, asset, amount, controller=controller, expires=expires, now=4))
    pair.same(made.outcomes, rows)
    assert made.idx.tolist() == [row.idx for row in rows]
    holds = [*range(-1, 12)]
    pair.call("post", pair.pick(people), pair.pick(holds), pair.pick(amounts), now=4)
    pair.call("void", pair.pick(people), pair.pick(holds), now=5)
    pair.call("expire", pair.pick(holds), now=6)


def open_offers(pair: Pair, now: int) -> list[int]:
    offers = []
    for _ in range(ROWS):
        price = int(pair.random.choice([1000, 10, 7]))
        payers = [(PAYER, price), (PAYER2, 3)] if pair.random.random() < 0.9 else [(PAYER, price)]
        payees = [(PERFORMER, 2), (STRANGER, 1)][: int(pair.random.integers(1, 3))]
        digest = hashlib.sha256(pair.random.bytes(4)).digest()
        offers.append(
            offer(price=price, fee=3, payers=payers, payees=payees, condition=digest, accept_by=now + 9, claim_by=now + 20)
        )
    flat_payers, flat_payees = [p for o in offers for p in o.payers], [p for o in offers for p in o.payees]
    made = pair.batch.open(
        BANK,
        terms=0,
        performers=PERFORMER,
        prices=np.array([o.price for o in offers]),
        fees=3,
        collaterals=333,
        accept_by=now + 9,
        claim_by=now + 20,
        payers=np.array([p for p, _ in flat_payers]),
        dues=np.array([d for _, d in flat_payers]),
        payer_start=np.cumsum([0] + [len(o.payers) for o in offers]),
        payees=np.array([p for p, _ in flat_payees]),
        weights=np.array([w for _, w in flat_payees]),
        payee_start=np.cumsum([0] + [len(o.payees) for o in offers]),
        conditions=digest_column([o.condition for o in offers]),
        now=now,
    )
    rows = [pair.objects.open(BANK, o, now=now) for o in offers]
    pair.same(made.outcomes, rows)
    assert made.idx.tolist() == [row.idx for row in rows]
    return made.idx[made.idx >= 0].tolist()


def lives(pair: Pair, now: int) -> None:
    escrows = open_offers(pair, now)
    some = [*escrows, *escrows, -1, 10**6]
    due = np.array([int(pair.objects.parties(e)["value"][0]) for e in escrows])
    pair.call("fund", PAYER, np.array(escrows), due, now=now)
    pair.call(
        "fund",
        pair.pick([PAYER2, PAYER2, PAYER, STRANGER], 4 * ROWS),
        pair.pick(some, 4 * ROWS),
        pair.pick([3, 1, 2, 0], 4 * ROWS),
        now=now,
    )
    pair.call("accept", pair.pick([PERFORMER, PERFORMER, PAYER], 2 * ROWS), pair.pick(some, 2 * ROWS), now=now)
    performers, targets = pair.pick([PERFORMER, PERFORMER, PERFORMER, PAYER], 3 * ROWS), pair.pick(some, 3 * ROWS)
    outcomes = pair.batch.claim(performers, targets, digest_column([CLAIM] * 3 * ROWS), now=now + 1)
    pair.same(
        outcomes,
        [pair.objects.claim(p, e, CLAIM, now=now + 1) for p, e in zip(performers.tolist(), targets.tolist(), strict=True)],
    )
    pair.call("challenge", pair.pick([CHALLENGER, STRANGER, PERFORMER], ROWS), pair.pick(some), now=now + 2, with_reserve=1)
    pair.call("collect", pair.pick(some), now=now + 5)
    for step in range(6):
        vote(pair, now + 2 + 200 * step)
        lost = [e for e in escrows if pair.objects.state(e) is State.APPEALABLE]
        if lost:
            at = pair.objects.clock
            pair.call(
                "appeal", pair.pick([PERFORMER, CHALLENGER, STRANGER], 20), pair.pick(lost, 20), now=at, from_reserve=step % 2
            )
            pair.call("execute", pair.pick(lost, 9), now=at + 10)
    pair.call("reclaim", np.array(escrows), now=pair.objects.clock)
    for _ in range(3):
        pair.call("advance", np.array([*escrows, -1]), now=pair.objects.clock + 25)


def vote(pair: Pair, now: int) -> None:
    """Sealed votes of everybody who is asked, some of them false, then the count; some cases are replayed."""
    books, clock = pair.objects, pair.objects.clock
    asked = [(e, j) for e in range(int(books.tables.counters[ESCROWS])) if books.state(e) is State.VOTING for j in books.panel(e)]
    if asked:
        escrows, jurors = (np.array(column) for column in zip(*asked, strict=True))
        votes = pair.pick([1, 1, 1, 2, 2, 0], len(asked))
        salts = [salt(j) for j in jurors.tolist()]
        sealed = pair.batch.seal_votes(escrows, jurors, votes, salts)
        jurors[0] = STRANGER
        args = list(zip(jurors.tolist(), escrows.tolist(), sealed, strict=True))
        outcomes = pair.batch.commit(jurors, escrows, sealed, now=clock)
        pair.same(outcomes, [books.commit(j, e, s.tobytes(), now=clock) for j, e, s in args])
        begin = int(books.tables.escrows["commit_end"][escrows].max())
        claims = list(zip(jurors.tolist(), escrows.tolist(), votes.tolist(), salts, strict=True))
        outcomes = pair.batch.reveal(jurors, escrows, votes, salts, now=begin)
        pair.same(outcomes, [books.reveal(j, e, Verdict(v), s, now=begin) for j, e, v, s in claims])
        pair.call("tally", np.unique(escrows), now=begin + 5)
    stuck = [e for e in range(int(books.tables.counters[ESCROWS])) if books.state(e) is State.REPLAY]
    if stuck:
        at, verdicts = books.clock, pair.pick([0, 1, 2], len(stuck))
        outcomes = pair.batch.replay(np.array(stuck), verdicts, digest_column([CLAIM] * len(stuck)), now=at)
        rows = [books.replay_verdict(e, Verdict(v), CLAIM, now=at) for e, v in zip(stuck, verdicts.tolist(), strict=True)]
        pair.same(outcomes, rows)
        pair.call("lapse", np.array(stuck), now=at + 19)


def test_the_same_operations_give_the_same_bytes() -> None:
    states: set[State | None] = set()
    for seed in range(4):
        pair = Pair(seed)
        money_moves(pair)
        lives(pair, 10)
        lives(pair, pair.objects.clock + 1)
        planted_cases(pair)
        blocks = [[(b.number, b.entries, b.digests, b.seal) for b in book.blocks()] for book in (pair.objects, pair.columns)]
        assert blocks[0] == blocks[1]
        assert sum(len(b[1]) for b in blocks[0]) > 40 * 1000
        assert check_book(pair.columns) == []
        states |= {pair.columns.state(e) for e in range(int(pair.columns.tables.counters[ESCROWS]))}
    assert {State.PAID, State.SLASHED, State.REFUNDED, State.CLOSED} <= states


def planted_cases(pair: Pair) -> None:
    now = pair.objects.clock + 1
    answers = [answer_digest(CLAIM, CLAIM, Verdict(1 + i % 2), b"s") for i in range(6)]
    digests = digest_column([CLAIM] * 6)
    operators = np.array([PAYER, PAYER, 99, PAYER, PAYER, PAYER])
    made = pair.batch.plant(operators, 0, digests, digests, digest_column(answers), now=now)
    rows = [pair.objects.plant(o, 0, CLAIM, CLAIM, answers[i], now=now) for i, o in enumerate(operators.tolist())]
    pair.same(made.outcomes, rows)
    assert made.idx.tolist() == [row.idx for row in rows]
    cases = made.idx[made.idx >= 0]
    pair.call("tally", cases, now=now + 10)
    verdicts = np.full(len(cases), 1)
    sealed = digest_column([answer_digest(CLAIM, CLAIM, Verdict.ACCEPTED, b"s")] * len(cases))
    outcomes = pair.batch.replay(cases, verdicts, digest_column([CLAIM] * len(cases)), now=now + 10, answers=sealed)
    pair.same(outcomes, [pair.objects.open_answer(e, Verdict.ACCEPTED, b"s", now=now + 10) for e in cases.tolist()])
    assert set(outcomes.tolist()) <= {Outcome.OK, Outcome.WRONG_REVEAL}


def test_evidence_nonces_and_checked_claims() -> None:
    pair = Pair(9)
    escrows = open_offers(pair, 10)
    due = np.array([int(pair.objects.parties(e)["value"][0]) for e in escrows])
    pair.call("fund", PAYER, np.array(escrows), due, now=10)
    pair.call("fund", PAYER2, np.array(escrows), 3, now=10)
    pair.call("accept", PERFORMER, np.array(escrows), now=10)
    nonces = np.arange(len(escrows)) // 2 + 500  # every second one has been used
    digests = digest_column([CLAIM] * len(escrows))
    outcomes = pair.batch.claim(PERFORMER, np.array(escrows), digests, now=11, nonces=nonces)
    rows = [pair.objects.claim(PERFORMER, e, CLAIM, now=11, nonce=int(n)) for e, n in zip(escrows, nonces, strict=True)]
    pair.same(outcomes, rows)
    assert {Outcome.OK, Outcome.NONCE_REPLAYED} <= set(outcomes.tolist())
    head = pair.columns.journal_head()
    refused = pair.batch.claim(PERFORMER, np.array(escrows), digests, now=12, verdicts=2)
    waiting = [pair.columns.state(e) is State.ACTIVE for e in escrows]
    assert {True, False} == set(waiting)
    assert refused.tolist() == [Outcome.CONDITION_REJECTED if waits else Outcome.WRONG_STATE for waits in waiting]
    assert pair.columns.journal_head() == head
    some = pair.pick(escrows)
    outcomes = pair.batch.submit_evidence(PAYER, some, digest_column([CLAIM] * ROWS), now=12)
    pair.same(outcomes, [pair.objects.submit_evidence(PAYER, e, CLAIM, now=12) for e in some.tolist()])


def test_the_size_of_a_batch_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables grow, blocks are sealed and pages begin at other moments: the journal is the same."""
    heads = []
    for rows, reserved, page in ((18_000, 0, PAGE_BYTES), (18_000, 18_000, PAGE_BYTES), (1_000, 6_000, 1 << 19)):
        monkeypatch.setattr("contracts_model.journal.PAGE_BYTES", page)
        book = populate(Book(3))
        book.reserve(escrows=reserved, parties=10 * reserved, journal_bytes=600 * reserved)
        batch = Batch(book)
        for _ in range(18_000 // rows):
            made = batch.open(
                BANK,
                terms=0,
                performers=PERFORMER,
                prices=5,
                accept_by=100,
                claim_by=200,
                payers=np.tile([PAYER, PAYER2, STRANGER, CHALLENGER, BANK], rows),
                dues=1,
                payer_start=np.arange(rows + 1) * 5,
                payees=np.tile(
                    [PERFORMER, PAYER, PAYER2, STRANGER, BANK, CHALLENGER, *range(FIRST_JUROR, FIRST_JUROR + 4)], rows
                ),
                weights=1,
                payee_start=np.arange(rows + 1) * 10,
                conditions=np.zeros((rows, 4), np.int64),
                now=10,
            )
            assert not made.outcomes.any()
        heads.append(book.journal_head())
        assert book.journal.sealed == 18_000 * 18 // 4096
        assert check_book(book) == []
    assert heads[0] == heads[1] == heads[2]


@pytest.mark.parametrize("column", [np.array([1.0]), np.array([True]), np.array([1], np.uint64), np.array(["1"])])
def test_columns_of_the_wrong_type_are_a_type_error(column: np.ndarray) -> None:
    with pytest.raises(TypeError, match="integers of at most 64 bits"):
        Batch(world()).transfer(PAYER, PAYER2, CREDIT, column, now=1)


def test_columns_of_the_wrong_shape_are_a_value_error() -> None:
    batch = Batch(world())
    with pytest.raises(ValueError, match="is needed"):
        batch.transfer(np.array([PAYER, PAYER]), PAYER2, CREDIT, np.array([1, 2, 3]), now=1)
    with pytest.raises(ValueError, match="of int64 is needed"):
        batch.claim(PERFORMER, 0, np.zeros((1, 3), np.int64), now=1)
    with pytest.raises(ValueError, match="32 bytes"):
        digest_column([b"short"])
    with pytest.raises(ValueError, match="starts must rise"):
        batch.open(
            BANK,
            terms=0,
            performers=PERFORMER,
            prices=5,
            accept_by=100,
            claim_by=200,
            payers=PAYER,
            dues=5,
            payer_start=np.array([0, 2]),
            payees=PERFORMER,
            weights=1,
            payee_start=np.array([0, 1]),
            conditions=np.zeros((1, 4), np.int64),
            now=10,
        )


def test_a_batch_at_a_bad_time_is_refused_whole() -> None:
    batch = Batch(world())
    assert batch.transfer(np.array([PAYER, PAYER]), PAYER2, CREDIT, 1, now=-1).tolist() == [Outcome.BAD_TIME] * 2
    assert batch.transfer(np.array([PAYER, PAYER]), PAYER2, CREDIT, 1, now=1 << 63).tolist() == [Outcome.NUMBER_OUT_OF_RANGE] * 2
    assert batch.transfer(PAYER, PAYER2, CREDIT, 1, now=1.5).tolist() == [Outcome.NOT_AN_INTEGER]
