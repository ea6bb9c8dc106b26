"""The format of the journal, pinned: every kind of entry with every field, compared with `journal_format.txt`.

The file was written by this module (`python test_contract_format.py`) and read by a person; a difference means that old
journals read differently now.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
    active,
    appealable,
    claimed,
    opened,
    populate,
    replaying,
    vote,
    voting,
    world,
)

from contracts_model import Book, Outcome, Verdict
from contracts_model.audit import check_book
from contracts_model.journal import CARRIES_DIGEST
from contracts_model.kernels.layout import ENTRIES, ESCROWS, HOLDS, PARTIES, ROUNDS, SEATS
from contracts_model.outcomes import Kind
from contracts_model.validators import answer_digest

PINNED = Path(__file__).with_name("journal_format.txt")
A, R, N = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL


def everything() -> Book:
    """Every ending of an escrow, every ledger operation, with zero amounts and partial funding among them."""
    book = world(jurors=22)
    late = {"accept_by": 1000, "claim_by": 2000}
    _, hold = book.hold(PAYER, PAYER2, CREDIT, 100, controller=STRANGER, expires=5, now=1)
    book.post(STRANGER, hold, 60, now=2)
    book.void(PAYER, book.hold(PAYER2, PAYER, CREDIT, 7, controller=STRANGER, expires=5, now=2).idx, now=2)
    book.expire(book.hold(PAYER, STRANGER, BONDS, 9, controller=BANK, expires=5, now=3).idx, now=5)
    book.transfer(PAYER, STRANGER, BONDS, 4, now=6, nonce=900)
    book.unstake(FIRST_JUROR, BONDS, 3, now=6)
    book.decide(STRANGER, "subject", R, now=7)
    partial = opened(book)
    book.fund(PAYER, partial, 300, now=10)
    book.fund(PAYER, partial, 1, now=10)
    book.accept(PERFORMER, partial, now=11)
    kept = active(book, now=12)
    book.reclaim(partial, now=100)
    book.reclaim(kept, now=200)
    free_of_charge = claimed(book, 200, fee=0, collateral=0, payers=[(PAYER, 1000)], **late)
    book.collect(free_of_charge, now=210)
    for ruling in (A, R):
        escrow = appealable(book, ruling, now=book.clock, **late)
        book.submit_evidence(PAYER, escrow, CLAIM, now=book.clock)
        book.execute(escrow, now=book.deadline(escrow))
    escrow = voting(book, book.clock, with_reserve=False, **late)
    vote(book, escrow, [R, R, None])
    book.appeal(PERFORMER, escrow, now=book.clock, from_reserve=True)
    vote(book, escrow, [A, A, A, A, R, N, None])
    book.appeal(CHALLENGER, escrow, now=book.clock)
    book.replay_verdict(escrow, A, CLAIM, now=book.clock)
    silent = replaying(book, book.clock, **late)
    book.lapse(silent, now=book.deadline(silent))
    for opening in (True, False):
        _, case = book.plant(PAYER, 0, CLAIM, CLAIM, answer_digest(CLAIM, CLAIM, R, b"s"), now=book.clock)
        vote(book, case, [R, A, N])
        if opening:
            book.open_answer(case, R, b"s", now=book.clock)
        else:
            book.lapse(case, now=book.deadline(case))
    return book


def lines(book: Book) -> list[str]:
    entries, digests = book.entries()
    nth, told = -1, []
    for row in entries:
        carries = bool(CARRIES_DIGEST[row["kind"]])
        nth += carries
        numbers = " ".join(
            str(int(row[name])) for name in ("time", "escrow", "asset", "leg", "debit", "credit", "amount", "reference")
        )
        told.append(f"{Kind(int(row['kind'])).name} {numbers}" + (f" {digests[nth].tobytes().hex()[:12]}" if carries else ""))
    assert nth == len(digests) - 1
    return told


def test_the_journal_has_its_pinned_format() -> None:
    told = lines(everything())
    pinned = PINNED.read_text().splitlines()
    assert {line.split(" ")[0] for line in pinned} == {kind.name for kind in Kind}
    for at, (now, before) in enumerate(zip(told, pinned, strict=False)):
        assert now == before, f"entry {at}"
    assert len(told) == len(pinned)


class Cramped(Book):
    """A book whose tables have no spare row before any operation: each one has to ask for room first."""

    def apply(self, kernel, arguments) -> Outcome:
        t, c = self.tables, self.tables.counters
        used = {"escrows": ESCROWS, "parties": PARTIES, "holds": HOLDS, "rounds": ROUNDS, "seats": SEATS}
        cut = {name: getattr(t, name)[: int(c[at])].copy() for name, at in used.items()}
        cut |= {name: getattr(t, name)[: int(c[ESCROWS])].copy() for name in ("conditions", "claims", "answers")}
        cut["journal"] = t.journal[:, : int(c[ENTRIES])].copy()
        self.tables = t._replace(**cut)
        return super().apply(kernel, arguments)


def test_an_operation_that_finds_no_room_is_repeated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_contract_format.world", lambda jurors: populate(Cramped(5), jurors))
    book = everything()
    assert lines(book) == PINNED.read_text().splitlines()
    assert check_book(book) == []


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(everything())) + "\n")
