"""TNTP trip tables."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sim.errors import InputError
from sim.network.tntp import TripTable, read_tntp_trips

HEADER = "<NUMBER OF ZONES> 3\n<TOTAL OD FLOW> 10.5\n<END OF METADATA>\n\n"
CELLS = "Origin 1\n 1 : 0.0;  2 : 4.5; 3:1;\n\nORIGIN\t3 \n~ note\n1 : 2; \n 2\t:\t3.0;\n"


def read(tmp_path: Path, text: str) -> TripTable:
    path = tmp_path / "made_trips.tntp"
    path.write_text(text, encoding="utf-8")
    return read_tntp_trips(path)


def test_cells_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + CELLS)
    assert (table.n_zones, table.total_stated, table.warnings) == (3, 10.5, ())
    assert table.origin_zone_id.tolist() == [1, 1, 1, 3, 3]
    assert table.destination_zone_id.tolist() == [1, 2, 3, 1, 2]
    assert table.demand.tolist() == [0.0, 4.5, 1.0, 2.0, 3.0]


def test_gzip_and_no_stated_total(tmp_path: Path) -> None:
    path = tmp_path / "t.tntp.gz"
    path.write_bytes(gzip.compress((HEADER.replace("<TOTAL OD FLOW> 10.5\n", "") + CELLS).encode()))
    assert read_tntp_trips(path).total_stated is None


def test_repeated_pairs_are_added_up_with_a_warning(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + CELLS + "Origin 1\n2 : 0.5;\n 3 : 1.5;")
    assert table.origin_zone_id.tolist() == [1, 1, 1, 3, 3]
    assert table.demand.tolist() == [0.0, 5.0, 2.5, 2.0, 3.0]
    assert "1 to 2" in table.warnings[0]


def test_a_total_that_differs_is_a_warning(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER.replace("10.5", "21") + CELLS)
    assert "states a total of 21 and its cells add up to 10.5" in table.warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2 : 4.5", "2 : -4.5", "line 6: demand '-4.5'"),
        ("2 : 4.5", "2 : nan", "line 6: demand 'nan'"),
        ("2 : 4.5", "2 : few", "line 6: demand 'few'"),
        ("2 : 4.5", "2 : ", "line 6: demand ''"),
        ("2 : 4.5;", "2 : 4.5", "line 6: demand"),
        ("2 : 4.5", "4 : 4.5", "line 6: zone '4' (allowed: a zone from 1 to 3"),
        ("2 : 4.5", "two : 4.5", "zone 'two'"),
        ("2 : 4.5", "2 4.5", "line 6: '2 4.5'"),
        ("ORIGIN\t3", "Origin 7", "line 8: zone '7'"),
        ("ORIGIN\t3", "Origin", "line 8: zone ''"),
        ("Origin 1\n", "", "stands before the first origin"),
        ("3.0;\n", "3.", "line 11: the file is cut in"),
        ("ORIGIN\t3 \n~ note\n1 : 2; \n 2\t:\t3.0;\n", "", "the file is cut"),
        (CELLS, "", "the trip table is empty"),
        ("10.5", "ten", "<TOTAL OD FLOW> is 'ten'"),
        ("<NUMBER OF ZONES> 3\n", "", "<NUMBER OF ZONES> is missing"),
    ],
)
def test_bad_input_names_file_line_and_value(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = (HEADER + CELLS).replace(old, new, 1)
    assert text != HEADER + CELLS
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert expected in str(raised.value)
    assert "made_trips.tntp" in str(raised.value)
