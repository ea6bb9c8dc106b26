"""The journal on disk: Parquet, with the chain of seals in the file, and a digest of the whole file beside it.

Two forms. `write_journal` writes one finished file (under a temporary name, renamed when whole) and `<name>.sha256` in the
format of `sha256sum`. A `JournalFolder` follows a running book: each `append` adds the blocks that have been filled since, in
segments of 64 blocks, and lists them in `SHA256SUMS`. A crash can tear the last segment alone; `read_journal` recognises
that, keeps every block before it and says so.

The digest of the file finds a flipped bit anywhere, also in bytes that Parquet does not look at; the chain proves the entries
without it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contracts_model.journal import CARRIES_DIGEST, GENESIS, Block, gather, sealed_copy
from contracts_model.kernels.layout import ENTRY, Ints, Rows
from contracts_model.outcomes import BLOCK_ENTRIES
from contracts_model.store import Store

SEGMENT_BLOCKS: Final = 64
FORMAT: Final = b"contracts-journal/2"
_COLUMNS: Final = tuple(ENTRY.names or ())
_SUMS: Final = "SHA256SUMS"


class JournalStatus(IntEnum):
    """What a reading found."""

    WHOLE = 0
    TORN_TAIL = 1
    CORRUPT = 2
    MISSING = 3


@dataclass(frozen=True, slots=True)
class JournalReading:
    """Everything up to the first damage.

    Attributes
    ----------
    status
        `WHOLE`, or what kind of damage follows the blocks that were kept.
    blocks
        Verified blocks from the beginning on.
    message
        What is wrong, and where; empty for `WHOLE`.
    """

    status: JournalStatus
    blocks: tuple[Block, ...]
    message: str = ""

    def entries(self) -> tuple[Rows, Ints]:
        """Entries and digests of the verified blocks."""
        return gather(iter(self.blocks))

    @property
    def head(self) -> bytes:
        """Seal of the last verified block."""
        return self.blocks[-1].seal if self.blocks else GENESIS


def _table(blocks: Sequence[Block]) -> pa.Table:
    entries, digests = gather(iter(blocks))
    columns: dict[str, Any] = {name: np.ascontiguousarray(entries[name]) for name in _COLUMNS}
    carries = CARRIES_DIGEST[entries["kind"]]
    column: list[bytes | None] = [None] * len(entries)
    raw = digests.tobytes()
    for nth, at in enumerate(np.flatnonzero(carries).tolist()):
        column[at] = raw[32 * nth : 32 * nth + 32]
    arrays = {name: pa.array(values) for name, values in columns.items()}
    arrays["digest"] = pa.array(column, pa.binary(32))
    metadata = {
        b"format": FORMAT,
        b"first_block": str(blocks[0].number).encode(),
        b"seals": b",".join(block.seal.hex().encode() for block in blocks),
    }
    return pa.table(arrays).replace_schema_metadata(metadata)


def _schema() -> pa.Schema:
    fields = [(name, pa.from_numpy_dtype(ENTRY[name])) for name in _COLUMNS]
    return pa.schema([*fields, ("digest", pa.binary(32))])


def _write_partial(path: Path, blocks: Iterable[Block]) -> tuple[Path, str]:
    """Write blocks under a temporary name; returns that name and the SHA-256 of the file (hex)."""
    partial = path.with_name(path.name + ".partial")
    seals: list[bytes] = []
    first = 0
    source = iter(blocks)
    with pq.ParquetWriter(partial, _schema(), compression="zstd", write_page_checksum=True) as writer:
        while group := list(islice(source, SEGMENT_BLOCKS)):
            first = group[0].number if not seals else first
            seals += [block.seal for block in group]
            writer.write_table(_table(group).cast(_schema()))
        # ARROW:schema is written by the writer itself; these three are what verification needs.
        metadata = {"format": FORMAT.decode(), "first_block": str(first), "seals": ",".join(seal.hex() for seal in seals)}
        writer.add_key_value_metadata(metadata)
    digest = file_digest(partial)
    with partial.open("rb") as handle:
        os.fsync(handle.fileno())
    return partial, digest


def file_digest(path: Path) -> str:
    """SHA-256 of a file (hex)."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_journal(book: Store, path: Path) -> str:
    """Write the whole journal of a book into one Parquet file, its digest into `<name>.sha256`; returns the digest (hex)."""
    partial, digest = _write_partial(path, book.journal.blocks(book.tables))
    partial.replace(path)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return digest


class JournalFolder:
    """A journal on disk that grows with its book.

    Parameters
    ----------
    folder
        Made when absent; a folder that already holds a journal is refused with `FileExistsError`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder}: not empty; a journal is never written over another")
        self.folder = folder
        self._sums: dict[str, list[str]] = {}
        self._written = 0

    def append(self, book: Store) -> int:
        """Write the blocks filled since the last call and the unfinished one; returns how many entries are on disk now.

        The segment that was not full yet is written anew; all segments before it stay as they are.
        """
        start = self._written - self._written % SEGMENT_BLOCKS
        source = book.journal.blocks(book.tables, start)
        while group := list(islice(source, SEGMENT_BLOCKS)):
            name = f"blocks-{group[0].number:08d}.parquet"
            self._replace_segment(self.folder / name, group)
        self._written = book.journal.sealed
        return int(book.journal.sealed * BLOCK_ENTRIES + book.unsealed_entries())

    def _replace_segment(self, path: Path, group: Sequence[Block]) -> None:
        """Write a segment; its new digest is listed beside the old one before the rename.

        So that a crash at any point leaves a match.
        """
        partial, digest = _write_partial(path, group)
        before = self._sums.get(path.name, [])
        self._sums[path.name] = [*before, digest]
        self._write_sums()
        partial.replace(path)
        self._sums[path.name] = [digest]
        self._write_sums()

    def _write_sums(self) -> None:
        partial = self.folder / (_SUMS + ".partial")
        partial.write_text("".join(f"{digest}  {name}\n" for name in sorted(self._sums) for digest in self._sums[name]))
        partial.replace(self.folder / _SUMS)


def _blocks_of(path: Path, number: int, seal: bytes) -> Iterator[Block]:
    """Blocks of one file, each verified against the chain that ends with block `number` - 1 and its seal.

    Raises
    ------
    ValueError, pyarrow.ArrowException, OSError
        At the first damage.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        metadata = file.metadata.metadata or {}
        if metadata.get(b"format") != FORMAT:
            raise ValueError(f"format {metadata.get(b'format')!r}, {FORMAT!r} is needed")
        if metadata.get(b"first_block") != str(number).encode():
            raise ValueError(f"first block {metadata.get(b'first_block')!r}, {number} is needed")
        seals = [bytes.fromhex(text) for text in metadata.get(b"seals", b"").decode().split(",") if text]
        if [field.name for field in file.schema_arrow] != [*_COLUMNS, "digest"]:
            raise ValueError(f"columns {file.schema_arrow.names}")
        if file.metadata.num_rows > len(seals) * BLOCK_ENTRIES or file.metadata.num_rows <= (len(seals) - 1) * BLOCK_ENTRIES:
            raise ValueError(f"{file.metadata.num_rows} entries under {len(seals)} seals")
        expected = iter(seals)
        for batch in _rows_by_block(file):
            entries = np.zeros(batch.num_rows, ENTRY)
            for name in _COLUMNS:
                entries[name] = batch.column(name).to_numpy()
            digests = batch.column("digest").to_pylist()
            if [digest is not None for digest in digests] != CARRIES_DIGEST[entries["kind"]].tolist():
                raise ValueError(f"block {number}: digests stand at the wrong entries")
            raw = b"".join(digest for digest in digests if digest is not None)
            block = sealed_copy(seal, number, entries, np.frombuffer(raw, np.int64).reshape(-1, 4))
            if block.seal != next(expected):
                raise ValueError(f"block {number}: its seal does not fit its entries")
            yield block
            number, seal = number + 1, block.seal


def _rows_by_block(file: pq.ParquetFile) -> Iterator[pa.Table]:
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        for start in range(0, table.num_rows, BLOCK_ENTRIES):
            yield table.slice(start, BLOCK_ENTRIES).combine_chunks()


def _read_file(path: Path, expected: Sequence[str], kept: list[Block]) -> str:
    """Read a file after the blocks in `kept`; returns what is wrong, empty for nothing."""
    number, seal = (kept[-1].number + 1, kept[-1].seal) if kept else (0, GENESIS)
    try:
        if expected and file_digest(path) not in expected:
            return f"{path.name}: the file's SHA-256 is not the recorded one"
        fresh = list(_blocks_of(path, number, seal))
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        return f"{path.name}: {error}"
    kept.extend(fresh)
    return ""


def read_journal(path: Path) -> JournalReading:
    """Read a journal file or folder and verify its chain from the first block on.

    The digest beside the file (or in `SHA256SUMS`) is verified where there is one.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        return JournalReading(JournalStatus.MISSING, (), f"{path.name}: no such file")
    sidecar = path.with_name(path.name + ".sha256")
    expected = [sidecar.read_text(errors="replace").split(" ")[0]] if sidecar.exists() else []
    kept: list[Block] = []
    wrong = _read_file(path, expected, kept)
    if not wrong:
        return JournalReading(JournalStatus.WHOLE, tuple(kept))
    torn = path.read_bytes()[-4:] != b"PAR1"
    return JournalReading(JournalStatus.TORN_TAIL if torn else JournalStatus.CORRUPT, tuple(kept), wrong)


def _listed(folder: Path) -> dict[str, list[str]]:
    """Segments and their digests as `SHA256SUMS` lists them (two where the crash came in between)."""
    path = folder / _SUMS
    listed: dict[str, list[str]] = {}
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        digest, _, name = line.partition("  ")
        listed.setdefault(name, []).append(digest)
    return listed


def _read_folder(folder: Path) -> JournalReading:
    listed = _listed(folder)
    present = {path.name for path in folder.glob("blocks-*.parquet")}
    names = sorted(present | set(listed))
    kept: list[Block] = []
    for name in names:
        path = folder / name
        if name not in present:
            wrong, cut = f"{name}: listed, but missing", True
        elif name not in listed:
            wrong, cut = f"{name}: not listed in {_SUMS}", False
        else:
            wrong = _read_file(path, listed[name], kept)
            cut = path.read_bytes()[-4:] != b"PAR1"
        if wrong:
            torn = cut and name == names[-1]
            return JournalReading(JournalStatus.TORN_TAIL if torn else JournalStatus.CORRUPT, tuple(kept), wrong)
    if not names:
        return JournalReading(JournalStatus.MISSING, (), f"{folder.name}: no journal")
    return JournalReading(JournalStatus.WHOLE, tuple(kept))
