"""Tables from files, CSV (plain or gzipped) and Parquet, read column by column with messages that name the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from sim.arrays import FloatColumn, IdColumn
from sim.errors import InputError
from sim.network.source_file import read_source_bytes
from sim.network.tntp_text import number, shown

_BLANK: Final = ("", "NaN", "nan")
"""What stands for no value (missingValues of the GMNS schemas)."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file as texts; row i stands on line `i + first_line`.

    Attributes
    ----------
    path
        What messages name.
    columns
        Texts by name, without blanks around them; a missing value is "".
    n_rows
        Number of rows.
    first_line
        Line of the first row; 0 where the file has no lines (Parquet) and rows are counted from 1 instead.
    """

    path: Path
    columns: dict[str, pa.ChunkedArray]
    n_rows: int
    first_line: int

    def where(self, row: int) -> str:
        """Return how a message names a row."""
        return f"line {row + self.first_line}" if self.first_line else f"row {row + 1}"

    def has(self, name: str) -> bool:
        """Return whether the column is there and holds at least one value."""
        return name in self.columns and bool(pc.any(pc.not_equal(self.columns[name], "")).as_py())

    def require(self, names: Sequence[str]) -> None:
        """Raise InputError unless all these columns are there."""
        for name in names:
            if name not in self.columns:
                where = "line 1" if self.first_line else None
                allowed = "the columns " + ", ".join(names)
                raise InputError(f"the column {name} is missing", source=self.path, where=where, allowed=allowed)

    def texts(self, name: str) -> list[str]:
        """Return a column as texts, all "" where it is missing."""
        if name not in self.columns:
            return [""] * self.n_rows
        found: list[str] = self.columns[name].to_pylist()
        return found

    def ids(self, name: str) -> IdColumn:
        """Return a column of ids: whole numbers where all are, texts otherwise; InputError where one is blank."""
        self.require([name])
        column = self.columns[name]
        blank = pc.index(column, "").as_py()
        if blank >= 0:
            raise InputError(f"{name} is blank", source=self.path, where=self.where(blank), allowed="an id")
        whole = pc.all(pc.match_substring_regex(column, r"^-?[0-9]{1,18}(\.0)?$")).as_py()
        if whole:
            return np.asarray(pc.cast(pc.cast(column, pa.float64()), pa.int64())) if _has_point(column) else _whole(column)
        return np.array(column.to_pylist(), dtype=np.str_)

    def numbers(
        self, name: str, *, blank: float | None = None, at_least: float | None = None, above: float | None = None
    ) -> FloatColumn:
        """Return a column of finite numbers.

        Parameters
        ----------
        blank
            What a blank value (or a missing column) becomes; None allows neither.
        at_least, above
            Bounds of the values that are there.

        Raises
        ------
        InputError
            A value is no finite number or outside its bounds; its line is named.
        """
        if blank is None:
            self.require([name])
        elif name not in self.columns:
            return np.full(self.n_rows, blank)
        column = self.columns[name]
        is_blank = np.asarray(pc.equal(column, ""))
        try:
            values: FloatColumn = pc.cast(pc.if_else(pc.equal(column, ""), "0", column), pa.float64()).to_numpy().copy()
        except pa.ArrowInvalid:
            values = self._slowly(name, is_blank)
        bad = ~np.isfinite(values) | (is_blank if blank is None else False)
        if at_least is not None:
            bad |= ~is_blank & (values < at_least)
        if above is not None:
            bad |= ~is_blank & (values <= above)
        if bad.any():
            row = int(np.argmax(bad))
            raise self._number_error(name, row, at_least, above)
        values[is_blank] = 0.0 if blank is None else blank
        return values

    def _slowly(self, name: str, is_blank: Any) -> FloatColumn:
        """Return numbers one by one, NaN where there is none: Arrow knows fewer ways to write a number than Python."""
        found = (number(text) for text in self.columns[name].to_pylist())
        values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
        values[is_blank] = 0.0
        return values

    def _number_error(self, name: str, row: int, at_least: float | None, above: float | None) -> InputError:
        bounds = f", {at_least:g} or above" if at_least is not None else f" above {above:g}" if above is not None else ""
        text = shown(str(self.columns[name][row].as_py()))
        return InputError(f"{name} is {text}", source=self.path, where=self.where(row), allowed=f"a finite number{bounds}")


def read_table(path: Path, names: Sequence[str] = (), *, nan_is_blank: bool = True) -> Table:
    """Read a table: Parquet where the name ends in .parquet, CSV with a header otherwise.

    Parameters
    ----------
    names
        Columns to read where they are there; all where empty.
    nan_is_blank
        Whether "NaN" stands for no value, as in GMNS; otherwise it is a number that is none.

    Raises
    ------
    InputError
        The file is missing, empty, damaged, no table, or names a column twice.
    """
    path = Path(path)
    is_parquet = path.name.lower().endswith(".parquet")
    table = _parquet(path, names) if is_parquet else _csv(path)
    present = [name.strip() for name in table.column_names]
    twice = next((name for name in present if name and present.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"the column {twice} is there {present.count(twice)} times", source=path, where="line 1")
    columns = {}
    for place, name in enumerate(present):
        if name and (not names or name in names):
            texts = pc.fill_null(pc.utf8_trim_whitespace(pc.cast(table.column(place), pa.string())), "")
            columns[name] = pc.if_else(pc.is_in(texts, pa.array(_BLANK)), "", texts) if nan_is_blank else texts
    return Table(path, columns, table.num_rows, 0 if is_parquet else 2)


def _csv(path: Path) -> pa.Table:
    content = read_source_bytes(path)
    header = content.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").rstrip("\r")
    names = [name.strip().strip('"') for name in header.split(",")]
    # A column without a name (a comma at the end of the lines) is kept apart under a name of its own.
    names = [name or f" {place}" for place, name in enumerate(names)]
    if b"\0" in content[:4096]:
        raise InputError("is not a text file", source=path, allowed="CSV")
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise InputError(f"is no table: {_first_line(error)}", source=path, allowed="CSV with a header") from None


def _parquet(path: Path, names: Sequence[str]) -> pa.Table:
    try:
        known = pq.read_schema(path).names
        return pq.read_table(path, columns=[name for name in known if name in names] if names else None)
    except FileNotFoundError:
        raise InputError("no such file", source=path) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"is no Parquet file: {_first_line(error)}", source=path) from None


def _first_line(error: Exception) -> str:
    text = str(error).split("\n")[0].removeprefix("CSV parse error: ")
    return text if len(text) <= 160 else text[:157] + "..."


def _has_point(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring(column, ".")).as_py())


def _whole(column: pa.ChunkedArray) -> IdColumn:
    return np.asarray(pc.cast(column, pa.int64()))
