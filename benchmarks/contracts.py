"""Speed and memory of contracts_model on one core: `python -m benchmarks.contracts [--lives N] [--entries N]`.

A life is: open (three payers, one payee, fee, collateral), fund by the three payers, accept, claim, collect. Everything that
a user would call is inside the clock, the sealing of the journal by SHA-256 included; preparing actors and money, compiling
and the caller's own columns are outside.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from contracts_model import Batch, Book, Offer, Outcome, State, Terms
from contracts_model.outcomes import BLOCK_ENTRIES

ACTORS = 2_000
CREDIT = 0


def new_book() -> Book:
    """Book with rich actors and one set of terms."""
    book = Book(seed=1)
    bank = book.add_actor("bank")
    people = book.add_actors([f"a{i}" for i in range(ACTORS)])
    asset = book.add_asset("credit", bank).idx
    for actor in people:
        book.issue(bank, actor, asset, 10**12, now=0)
    terms = Terms(
        asset=asset,
        bond_asset=asset,
        fee_account=bank,
        treasury=bank,
        challenge_window=10,
        commit_window=10,
        reveal_window=10,
        appeal_window=10,
        replay_window=10,
        panel=3,
        rounds=2,
        seat_stake=40,
        juror_fee=5,
        bond=100,
        reserve_appeals=False,
    )
    book.add_terms(terms)
    return book


def object_lives(lives: int) -> tuple[float, float]:
    """Lives through the object interface, a second on the clock and a second of processor time."""
    book = new_book()
    condition, evidence = bytes(range(32)), bytes(range(32, 64))

    def live(first: int, count: int) -> None:
        for i in range(first, first + count):
            a = 1 + i % (ACTORS - 8)
            payers = [(a, 400), (a + 1, 300), (a + 2, 350)]
            offer = Offer(
                terms=0,
                performer=a + 3,
                price=1000,
                fee=50,
                collateral=200,
                accept_by=1_000_000_000,
                claim_by=2_000_000_000,
                payers=payers,
                payees=[(a + 3, 1)],
                condition=condition,
            )
            _, escrow = book.open(a, offer, now=i * 20)
            for payer, due in payers:
                book.fund(payer, escrow, due, now=i * 20 + 1)
            book.accept(a + 3, escrow, now=i * 20 + 1)
            book.claim(a + 3, escrow, evidence, now=i * 20 + 2)
            book.collect(escrow, now=i * 20 + 12)

    live(0, 100)
    started, worked = time.perf_counter(), time.process_time()
    live(100, lives)
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    states = book.tables.escrows["state"][: lives + 100]
    if not bool(np.all(states == int(State.PAID))):
        raise SystemExit("object lives did not all end paid")
    return lives / seconds, lives / busy


class Columns:
    """Columns of one batch of lives, made once: they belong to the caller."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.base = 1 + np.arange(rows, dtype=np.int64) % (ACTORS - 8)
        self.payers = (self.base[:, None] + np.arange(3)).ravel()
        self.dues = np.tile(np.array([400, 300, 350]), rows)
        self.payer_start = np.arange(rows + 1) * 3
        self.payee_start = np.arange(rows + 1)
        self.performers = self.base + 3
        self.digests = np.arange(4 * rows, dtype=np.int64).reshape(rows, 4)

    def live(self, batch: Batch, now: int) -> None:
        """One whole life of every row."""
        opened = batch.open(
            self.base,
            terms=0,
            performers=self.performers,
            prices=1000,
            fees=50,
            collaterals=200,
            accept_by=now + 100,
            claim_by=now + 200,
            payers=self.payers,
            dues=self.dues,
            payer_start=self.payer_start,
            payees=self.performers,
            weights=1,
            payee_start=self.payee_start,
            conditions=self.digests,
            now=now,
        ).idx
        batch.fund(self.payers, np.repeat(opened, 3), self.dues, now=now + 1)
        batch.accept(self.performers, opened, now=now + 1)
        batch.claim(self.performers, opened, self.digests, now=now + 2)
        outcomes = batch.collect(opened, now=now + 12)
        if bool(np.any(outcomes != int(Outcome.OK))):
            raise SystemExit("batch lives did not all end paid")


def batch_lives(lives: int, rows: int = 4_000) -> tuple[float, float]:
    """Lives through the batch interface, a second on the clock and a second of processor time."""
    book = new_book()
    book.reserve(escrows=lives + rows, parties=4 * (lives + rows))
    batch = Batch(book)
    columns = Columns(rows)
    columns.live(batch, 0)
    started, worked = time.perf_counter(), time.process_time()
    for step in range(1, lives // rows + 1):
        columns.live(batch, step * 20)
    done = (lives // rows) * rows
    return done / (time.perf_counter() - started), done / (time.process_time() - worked)


def journal_memory(entries: int, rows: int = 10_000) -> tuple[int, float]:
    """Entries written by whole lives until there are at least `entries`, and the peak memory of the process in GB."""
    batch = Batch(new_book())
    columns = Columns(rows)
    step = 0
    while batch.book.journal.sealed * BLOCK_ENTRIES < entries:
        columns.live(batch, step * 20)
        step += 1
    return batch.book.journal.sealed * BLOCK_ENTRIES, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lives", type=int, default=100_000, help="lives through the object interface (the batch runs ten times as many)"
    )
    parser.add_argument("--entries", type=int, default=10_000_000, help="journal entries to hold in memory")
    options = parser.parse_args()
    print("lives a second on the clock, and a second of processor time (which other work on the machine disturbs less)")
    clock, processor = (max(column) for column in zip(*(object_lives(options.lives) for _ in range(3)), strict=True))
    print(f"object interface: {clock:12,.0f} {processor:12,.0f}   best of three (target 20,000)")
    runs = [batch_lives(10 * options.lives) for _ in range(5)]
    clock, processor = (max(column) for column in zip(*runs, strict=True))
    print(f"batch interface:  {clock:12,.0f} {processor:12,.0f}   best of five (target 1,000,000)")
    print(f"                  {runs[0][0]:12,.0f} {runs[0][1]:12,.0f}   first run, on memory that is new to the process")
    written, peak_gb = journal_memory(options.entries)
    print(f"journal: {written:,} entries in memory, peak of the process {peak_gb:.2f} GB (target below 2 GB for 10,000,000)")


if __name__ == "__main__":
    main()
