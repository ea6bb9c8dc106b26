"""Speed and memory of contracts_model on one core: `python -m benchmarks.contracts [--lives N] [--entries N]`.

A life is: open (three payers, one payee, fee, collateral), fund by the three payers, accept, claim, collect; amounts are drawn at
random between 1 and 10 million minor units. Everything that a user would call is inside the clock, the sealing of the journal by
SHA-256 included; preparing actors and money, compiling and the caller's own columns are outside. Each part runs in a process of
its own, so that the first run of a part meets memory that is new to its process. `reserve` (memory taken beforehand) is timed
apart.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

import numpy as np

from contracts_model import Batch, Book, Offer, Outcome, State, Terms
from contracts_model.outcomes import BLOCK_ENTRIES

_Answer = TypeVar("_Answer")

ACTORS = 2_000
CREDIT = 0
FEE = 50_000
JOURNAL_BYTES_A_LIFE = 320
"""What to reserve; a life of this benchmark takes about 270 bytes of packed journal."""


class Spent(NamedTuple):
    """Seconds of one measurement: on the clock, and of the processor."""

    clock_s: float
    processor_s: float


class Runs(NamedTuple):
    """Measurements of a part, nanoseconds a life; peak memory of its process, GB."""

    first_ns: Spent
    steady_ns: Spent
    reserve_ns: Spent
    peak_gb: float


class Watch:
    """Stop-watch for clock and processor; other work on the machine disturbs the latter less."""

    def __init__(self) -> None:
        self.clock, self.processor = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """Seconds since it was made."""
        return Spent(time.perf_counter() - self.clock, time.process_time() - self.processor)


def peak_gb() -> float:
    """Greatest memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def per_life(spent: Spent, lives: int) -> Spent:
    """Nanoseconds a life."""
    return Spent(spent.clock_s * 1e9 / lives, spent.processor_s * 1e9 / lives)


def new_book() -> Book:
    """Book with rich actors and one set of terms."""
    book = Book(seed=1)
    bank = book.add_actor("bank")
    people = book.add_actors([f"a{i}" for i in range(ACTORS)])
    asset = book.add_asset("credit", bank).idx
    for actor in people:
        book.issue(bank, actor, asset, 10**14, now=0)
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


class Columns:
    """Columns of one batch of lives, made once: they belong to the caller."""

    def __init__(self, rows: int) -> None:
        random = np.random.default_rng(1)
        self.rows = rows
        self.base = 1 + np.arange(rows, dtype=np.int64) % (ACTORS - 8)
        self.payers = (self.base[:, None] + np.arange(3)).ravel()
        self.prices = random.integers(1_000_000, 10_000_000, rows)
        self.collaterals = random.integers(1_000_000, 10_000_000, rows)
        first, second = self.prices // 3, self.prices // 4
        self.dues = np.stack([first, second, self.prices + FEE - first - second], axis=1).ravel()
        self.payer_start = np.arange(rows + 1) * 3
        self.payee_start = np.arange(rows + 1)
        self.performers = self.base + 3
        self.digests = random.integers(-(1 << 63), (1 << 63) - 1, (rows, 4))

    def live(self, batch: Batch, now: int) -> None:
        """One whole life of every row."""
        opened = batch.open(
            self.base,
            terms=0,
            performers=self.performers,
            prices=self.prices,
            fees=FEE,
            collaterals=self.collaterals,
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


def object_lives(lives: int) -> Runs:
    """Lives through the object interface, three times."""
    columns = Columns(4_000)
    condition, evidence = bytes(range(32)), bytes(range(32, 64))
    parts = zip(columns.base, columns.prices, columns.collaterals, columns.dues.reshape(-1, 3), strict=True)
    deals = [(int(a), int(price), int(collateral), [int(due) for due in dues]) for a, price, collateral, dues in parts]

    def live(book: Book, first: int, count: int) -> None:
        for i in range(first, first + count):
            a, price, collateral, dues = deals[i % len(deals)]
            payers = list(zip((a, a + 1, a + 2), dues, strict=True))
            offer = Offer(
                terms=0,
                performer=a + 3,
                price=price,
                fee=FEE,
                collateral=collateral,
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

    spent = []
    for _ in range(3):
        book = new_book()
        live(book, 0, 100)
        watch = Watch()
        live(book, 100, lives)
        spent.append(per_life(watch.spent(), lives))
        states = book.tables.escrows["state"][: lives + 100]
        if not bool(np.all(states == int(State.PAID))):
            raise SystemExit("object lives did not all end paid")
    return Runs(spent[0], min(spent[1:], key=lambda s: s.processor_s), Spent(0.0, 0.0), peak_gb())


def batch_lives(lives: int, reserved: bool, rows: int = 4_000) -> Runs:
    """Lives through the batch interface, five times; with memory taken beforehand or not."""
    columns = Columns(rows)
    columns.live(Batch(new_book()), 0)
    spent, reserving = [], []
    for _ in range(5):
        book = new_book()
        watch = Watch()
        if reserved:
            book.reserve(escrows=lives, parties=4 * lives, journal_bytes=JOURNAL_BYTES_A_LIFE * lives)
        reserving.append(per_life(watch.spent(), lives))
        batch = Batch(book)
        watch = Watch()
        for step in range(lives // rows):
            columns.live(batch, step * 20)
        spent.append(per_life(watch.spent(), lives // rows * rows))
        del book, batch
    return Runs(spent[0], min(spent[1:], key=lambda s: s.processor_s), reserving[0], peak_gb())


def touch_ns(size: int = 1 << 28) -> float:
    """Processor time of the first write to memory that is new to the process, nanoseconds a byte."""
    watch = Watch()
    np.empty(size, np.uint8)[::4096] = 0
    return watch.spent().processor_s * 1e9 / size


def journal_memory(entries: int, rows: int = 10_000) -> tuple[int, int, float]:
    """Entries written by whole lives until there are at least `entries`, their packed bytes, the peak memory in GB."""
    batch = Batch(new_book())
    columns = Columns(rows)
    step = 0
    while batch.book.journal.sealed * BLOCK_ENTRIES < entries:
        columns.live(batch, step * 20)
        step += 1
    return batch.book.journal.sealed * BLOCK_ENTRIES, batch.book.journal.packed_size, peak_gb()


def apart(part: Callable[..., _Answer], *arguments: object) -> _Answer:
    """Run a part in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        answer: _Answer = pool.submit(part, *arguments).result()
    return answer


def show(name: str, spent: Spent, remark: str = "") -> None:
    """Print one line of the table: lives a second by both clocks, processor time of a life."""
    print(f"{name:34}{1e9 / spent.clock_s:12,.0f}{1e9 / spent.processor_s:12,.0f}{spent.processor_s:10,.0f} ns  {remark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lives", type=int, default=100_000, help="lives through the object interface (the batch runs ten times as many)"
    )
    parser.add_argument("--entries", type=int, default=10_000_000, help="journal entries to hold in memory")
    options = parser.parse_args()
    print(f"{'lives a second':34}{'clock':>12}{'processor':>12}{'a life':>10}")
    objects = apart(object_lives, options.lives)
    show("object interface, first run", objects.first_ns, "target 20,000")
    show("object interface, best of two more", objects.steady_ns)
    for reserved in (True, False):
        runs = apart(batch_lives, 10 * options.lives, reserved)
        name = "batch, memory reserved" if reserved else "batch, nothing reserved"
        show(f"{name}, first", runs.first_ns, "target 1,000,000")
        show(f"{name}, best of four", runs.steady_ns, f"peak {runs.peak_gb:.2f} GB")
        if reserved:
            print(f"{'  reserving, before the first':34}{'':24}{runs.reserve_ns.processor_s:10,.0f} ns a life, once")
    written, packed, peak = apart(journal_memory, options.entries)
    print(f"this machine's price of new memory: {apart(touch_ns):.2f} ns a byte (a life of the batch writes about 650 bytes)")
    print(
        f"journal: {written:,} entries, {packed / written:.1f} bytes each with their digests; peak of the process {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
