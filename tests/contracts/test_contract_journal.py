"""The journal: chain, files, torn tails, flipped bits, and that it explains every escrow."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from contract_scenes import (
    CLAIM,
    CREDIT,
    PAYER,
    PAYER2,
    PERFORMER,
    appealable,
    claimed,
    opened,
    replaying,
    vote,
    voting,
    world,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts_model import Batch, Book, Outcome, Verdict
from contracts_model.audit import check_book, check_entries
from contracts_model.journal import GENESIS, Block, explain, seal_block
from contracts_model.journal_files import JournalFolder, JournalStatus, read_journal, write_journal
from contracts_model.kernels.layout import ENTRY
from contracts_model.outcomes import DIGEST_KINDS, Kind
from contracts_model.packed import Page, packed_bytes, unpack_columns


def transfers(book: Book, count: int) -> None:
    assert not Batch(book).transfer(PAYER, PAYER2, CREDIT, np.ones(count, np.int64), now=book.clock).any()


def eventful(entries: int = 9000) -> Book:
    book = world()
    for scene in (claimed, voting, appealable, replaying):
        scene(book, now=book.clock + 10, accept_by=10**6, claim_by=10**7, collateral=5)
    transfers(book, entries)
    opened(book, now=book.clock, accept_by=10**8, claim_by=10**9)
    return book


def packed_by_hand(columns: list[list[int]]) -> bytes:
    """Slow twin of `kernels.packing`, written from its description: plain integers, no arrays."""
    head, body = b"", b""
    for numbers in columns:
        least, span = min(numbers), max(numbers) - min(numbers)
        width = next(w for w in (0, 1, 2, 4, 8) if span < 256**w)
        head += least.to_bytes(8, "little", signed=True) + width.to_bytes(8, "little")
        body += b"".join((number - least).to_bytes(width, "little") for number in numbers)
        body += bytes(-len(body) % 8)
    return head + body


def columns_by_hand(block: Block) -> list[list[int]]:
    return [block.rows()[name].tolist() for name in ENTRY.names or ()]


SPANS = st.sampled_from([0, 1, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**62, 2**63, 2**64 - 1])


@st.composite
def entry_columns(draw: st.DrawFn) -> list[list[int]]:
    """Nine columns of a few entries, each with a span at or beside one of the bounds between two widths."""
    entries = draw(st.integers(1, 9))
    columns = []
    for _ in range(9):
        span = draw(SPANS)
        least = draw(st.integers(-(2**63), 2**63 - 1 - span))
        offsets = st.one_of(st.sampled_from([0, span]), st.integers(0, span))
        columns.append([least + draw(offsets) for _ in range(entries)])
    return columns


@settings(max_examples=300, deadline=None, derandomize=True)
@given(entry_columns(), st.integers(0, 3), st.integers(0, 5))
def test_packing_is_its_slow_twin_and_can_be_undone(columns: list[list[int]], digests: int, before: int) -> None:
    numbers = np.array(columns, np.int64)
    sealed = np.arange(4 * digests, dtype=np.int64).reshape(digests, 4) - 5
    page = Page(4096)
    page.views[0][:] = 0xEE
    page.used = 8 * before
    wider = np.concatenate([np.full((9, before), 77), numbers, np.full((9, 2), -77)], axis=1)
    body = page.add(wider, before, before + numbers.shape[1], sealed)
    assert bytes(body) == packed_by_hand(columns) + sealed.tobytes()
    assert page.used == 8 * before + len(body)
    got, got_digests = unpack_columns(body, numbers.shape[1])
    np.testing.assert_array_equal(got, numbers)
    np.testing.assert_array_equal(got_digests, sealed)
    assert bytes(packed_bytes(numbers, sealed)) == bytes(body)


def test_the_chain_by_hand() -> None:
    book = eventful()
    blocks = book.blocks()
    assert [b.number for b in blocks] == [0, 1, 2]
    assert [len(b.entries) for b in blocks[:2]] == [40 * 4096] * 2
    previous = bytes(32)
    for block in blocks:
        header = block.number.to_bytes(8, "little") + (len(block.entries) // 40).to_bytes(8, "little")
        header += (len(block.digests) // 32).to_bytes(8, "little")
        previous = hashlib.sha256(previous + header + packed_by_hand(columns_by_hand(block)) + block.digests).digest()
        assert block.seal == previous
    assert book.journal_head() == previous
    assert seal_block(GENESIS, 0, 0, b"", 0) == hashlib.sha256(bytes(32) + bytes(24)).digest()
    for nth, block in enumerate(blocks):
        carriers = sum(int(kind) in {int(k) for k in DIGEST_KINDS} for kind in block.rows()["kind"])
        assert carriers * 32 == len(block.digests), nth


def test_entries_are_immutable() -> None:
    rows = eventful().blocks()[0].rows()
    with pytest.raises(ValueError, match="read-only"):
        rows["amount"][0] = 7


def test_a_file_is_read_back_whole(tmp_path: Path) -> None:
    book = eventful()
    path = tmp_path / "ledger.parquet"
    digest = write_journal(book, path)
    reading = read_journal(path)
    assert (reading.status, reading.message) == (JournalStatus.WHOLE, "")
    assert [(b.number, b.entries, b.digests, b.seal) for b in reading.blocks] == [
        (b.number, b.entries, b.digests, b.seal) for b in book.blocks()
    ]
    assert reading.head == book.journal_head()
    assert check_entries(reading.entries()[0]) == []
    assert (tmp_path / "ledger.parquet.sha256").read_text() == f"{digest}  ledger.parquet\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.parquet", "ledger.parquet.sha256"]
    again = tmp_path / "again.parquet"
    write_journal(eventful(), again)
    assert again.read_bytes() == path.read_bytes()


def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    """Every bit of every byte of a small file would be 100,000 readings: one bit in each of 1,500 places.

    And both ends whole.
    """
    book = world(jurors=3)
    voting(book)
    path = tmp_path / "ledger.parquet"
    write_journal(book, path)
    good = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    places = {*range(16), *range(len(good) - 400, len(good)), *random.integers(0, len(good), 1500).tolist()}
    for place in sorted(places):
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        path.write_bytes(bad)
        assert read_journal(path).status is not JournalStatus.WHOLE, place
    path.write_bytes(good)
    assert read_journal(path).status is JournalStatus.WHOLE


@pytest.mark.parametrize("column", ["time", "escrow", "kind", "asset", "leg", "debit", "credit", "amount", "reference", "digest"])
def test_the_chain_alone_finds_a_changed_entry(tmp_path: Path, column: str) -> None:
    """Somebody who rewrites the file and its digest, but cannot change the seals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    book = eventful(5000)
    path = tmp_path / "ledger.parquet"
    write_journal(book, path)
    (tmp_path / "ledger.parquet.sha256").unlink()
    file = pq.ParquetFile(path)
    table, metadata = file.read(), file.metadata.metadata
    values = table.column(column).to_pylist()
    at = 4500 if column != "digest" else max(i for i, v in enumerate(values) if v)
    values[at] = values[at] ^ 1 if column != "digest" else bytes([values[at][0] ^ 1]) + values[at][1:]
    position = table.schema.get_field_index(column)
    changed = table.set_column(position, column, pa.array(values, table.schema.field(column).type))
    keep = {k: v for k, v in metadata.items() if k in (b"format", b"first_block", b"seals")}
    pq.write_table(changed.replace_schema_metadata(keep), path)
    reading = read_journal(path)
    assert reading.status is JournalStatus.CORRUPT and "block" in reading.message
    assert len(reading.blocks) == 0


def test_missing_files(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "nothing.parquet").status is JournalStatus.MISSING
    assert read_journal(tmp_path).status is JournalStatus.MISSING
    assert read_journal(tmp_path).head == GENESIS


def grown(folder: Path) -> tuple[Book, list[bytes]]:
    """A journal of three segments, written while its book ran."""
    book = eventful()
    writer = JournalFolder(folder)
    heads = []
    for count in (0, 3, 250_000, 5, 280_000):
        transfers(book, count + 1)
        assert writer.append(book) == sum(len(b.entries) for b in book.blocks()) // 40
        heads.append(book.journal_head())
        reading = read_journal(folder)
        assert (reading.status, reading.head) == (JournalStatus.WHOLE, heads[-1])
    return book, heads


def test_a_folder_follows_its_book_and_survives_a_torn_tail(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    book, _ = grown(folder)
    names = sorted(p.name for p in folder.glob("*.parquet"))
    assert names == ["blocks-00000000.parquet", "blocks-00000064.parquet", "blocks-00000128.parquet"]
    sealed = [b.seal for b in book.blocks()]
    good = (folder / names[2]).read_bytes()
    for kept in (0, 100, len(good) - 1):
        (folder / names[2]).write_bytes(good[:kept])
        reading = read_journal(folder)
        assert reading.status is JournalStatus.TORN_TAIL and names[2] in reading.message
        assert [b.seal for b in reading.blocks] == sealed[:128]
    (folder / names[2]).unlink()
    assert read_journal(folder).status is JournalStatus.TORN_TAIL
    (folder / names[2]).write_bytes(good)
    assert read_journal(folder).status is JournalStatus.WHOLE
    # damage in the middle is no torn tail
    middle = (folder / names[1]).read_bytes()
    (folder / names[1]).write_bytes(middle[:-9])
    reading = read_journal(folder)
    assert reading.status is JournalStatus.CORRUPT and len(reading.blocks) == 64
    (folder / names[1]).write_bytes(bytes([*middle[:5000], middle[5000] ^ 4, *middle[5001:]]))
    assert read_journal(folder).status is JournalStatus.CORRUPT
    (folder / names[1]).unlink()
    reading = read_journal(folder)
    assert reading.status is JournalStatus.CORRUPT and len(reading.blocks) == 64
    (folder / names[1]).write_bytes(middle)
    sums = (folder / "SHA256SUMS").read_text()
    for place in range(0, len(sums), 31):
        flipped = sums[:place] + chr(ord(sums[place]) ^ 1) + sums[place + 1 :]
        (folder / "SHA256SUMS").write_text(flipped)
        assert read_journal(folder).status is not JournalStatus.WHOLE, place


def test_a_crash_between_list_and_segment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new digest is listed before the segment is renamed: whichever of both versions stands there is recognised."""
    folder = tmp_path / "journal"
    book = eventful(10)
    writer = JournalFolder(folder)
    writer.append(book)
    before = book.journal_head()
    transfers(book, 10)

    def crash(self: Path, target: Path) -> Path:
        if target.suffix == ".parquet":
            raise OSError("power cut")
        return Path(shutil.move(self, target))

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        writer.append(book)
    monkeypatch.undo()
    reading = read_journal(folder)
    assert (reading.status, reading.head) == (JournalStatus.WHOLE, before)


def test_a_journal_is_never_written_over_another(tmp_path: Path) -> None:
    JournalFolder(tmp_path / "j").append(eventful(1))
    with pytest.raises(FileExistsError, match="never written over"):
        JournalFolder(tmp_path / "j")


def test_a_life_is_explained_by_the_journal_alone(tmp_path: Path) -> None:
    book = world(jurors=14)
    escrow = voting(book)
    panel = book.panel(escrow)
    vote(book, escrow, [Verdict.REJECTED, Verdict.REJECTED, Verdict.ACCEPTED])
    assert book.appeal(PERFORMER, escrow, now=book.clock, from_reserve=True) is Outcome.OK
    vote(book, escrow, [Verdict.ACCEPTED] * 7)
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    path = tmp_path / "ledger.parquet"
    write_journal(book, path)
    told = explain(*read_journal(path).entries(), escrow)
    assert told == book.explain(escrow)
    expected = [
        r"10 open: offered by actor 5: price 1000 of asset 0, to be accepted before 100 \[[0-9a-f]{16}\]",
        r"10 promise_fee: fee 50 for actor 0; terms 0",
        r"10 promise_collateral: performer is actor 1; collateral 333 of asset 1, to be claimed before 200",
        r"10 promise_payer: actor 2 is to pay 700",
        r"10 fund: 700 of asset 0 from actor 2 to pot price",
        rf"10 claim: actor 1 claims fulfilment \[{CLAIM.hex()[:16]}\]",
        rf"10 seat: 40 of asset 1 from actor {panel[0]} to pot seats",
        rf"19 reveal: actor {panel[2]} votes accepted in round 0",
        r"20 tally: round 0 rules rejected",
        r"20 bond_from_reserve: 202 of asset 1 from pot reserve to pot bonds",
        r"30 tally: round 1 rules accepted",
        r"40 final: final decision: accepted",
        r"40 pay: 666 of asset 0 from pot price to actor 1",
        r"40 settled: ends paid",
    ]
    at = -1
    for line in expected:
        at = next(i for i in range(at + 1, len(told)) if re.fullmatch(line, told[i]))
    assert at == len(told) - 1


def test_the_audit_finds_what_is_wrong() -> None:
    """Each check of the audit, by an entry that breaks it."""
    book = world()
    assert book.collect(claimed(book), now=20) is Outcome.OK
    entries, _ = book.entries()
    assert check_book(book) == check_entries(entries) == []

    def first(kind: Kind) -> int:
        return int(np.flatnonzero(entries["kind"] == kind)[0])

    def altered(at: int, **values: int) -> list[str]:
        changed = entries.copy()
        for name, value in values.items():
            changed[name][at] = value
        return check_entries(changed)

    def appended(times: int = 1, **values: int) -> list[str]:
        row = np.zeros(times, ENTRY)
        row["time"], row["debit"], row["credit"] = 99, -1, -1
        for name, value in values.items():
            row[name] = value
        return check_entries(np.concatenate([entries, row]))

    assert any("I3" in w for w in altered(first(Kind.PAY), amount=665))
    assert any("I7" in w for w in altered(first(Kind.PAY), amount=665))
    assert any("I7" in w for w in altered(first(Kind.PROMISE_FEE), amount=49))
    assert any("negative" in w for w in altered(first(Kind.FUND), amount=1_000_001))
    assert any("backwards" in w for w in altered(first(Kind.PAY), time=5))
    assert any("I4" in w for w in appended(kind=Kind.SETTLED))
    assert any("I10" in w for w in appended(2, kind=Kind.FINAL))
    book.tables.balances[PAYER, CREDIT, 0] += 1
    assert any("balances" in w for w in check_book(book))
