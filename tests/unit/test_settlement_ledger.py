"""The ledger on disk: it reads back whole, adds up to the same money, and no byte of it can be changed unnoticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reference.settlement_windows import made_window

from contracts_model.kernels.layout import ENTRY
from contracts_model.outcomes import Kind
from sim.settlement.ledger_file import check_ledger, write_ledger
from sim.settlement.outcome import Enforcement
from sim.settlement.tables import contract_table
from sim.spec import Adversaries


@pytest.fixture(scope="module")
def done() -> Enforcement:
    return made_window(50, 41).enforce(adversaries=Adversaries(griefers=0.2), drove_target=np.arange(50) % 3 > 0)


@pytest.fixture
def folder(done: Enforcement, tmp_path: Path) -> Path:
    write_ledger(done, tmp_path / "ledger.parquet")
    pq.write_table(contract_table(done), tmp_path / "contracts.parquet")
    return tmp_path


def test_what_was_written_is_verified_and_adds_up(done: Enforcement, folder: Path) -> None:
    check = check_ledger(folder / "ledger.parquet", folder / "contracts.parquet")
    assert check.holds and check.problems == ()
    assert check.head == done.escrows.book.journal_head().hex()
    assert check.fees_micro == done.fees_micro
    assert check.collateral_lost_micro == done.collateral_lost_micro.sum() > 0
    # Everybody's payees and the fee account get what the payers of contracts that were paid out put in.
    in_paid = np.isin(done.escrows.payers.contract, np.flatnonzero(done.paid))
    assert check.paid_micro + check.fees_micro == done.escrows.payers.amount_micro[in_paid].sum()
    assert check.refunded_micro == done.escrows.payers.amount_micro[~in_paid].sum() > 0
    assert check.issued_micro == done.escrows.brought_micro.sum()


def test_a_flipped_byte_is_found_wherever_it_is(folder: Path) -> None:
    path = folder / "ledger.parquet"
    whole = path.read_bytes()
    for at in np.linspace(4, len(whole) - 5, 25).astype(int).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        check = check_ledger(path)
        assert not check.holds and "ledger.parquet" in check.problems[0]
    path.write_bytes(whole)
    assert check_ledger(path).holds


def test_without_the_digest_beside_it_the_chain_finds_a_changed_entry(folder: Path) -> None:
    """Somebody rewrites the file with one amount changed, and its digest with it: the seals do not fit."""
    path = folder / "ledger.parquet"
    (folder / "ledger.parquet.sha256").unlink()
    table = pq.read_table(path)
    amount = table["amount"].to_numpy().copy()
    amount[np.flatnonzero(amount)[-1]] += 1
    changed = table.set_column(table.schema.get_field_index("amount"), table.schema.field("amount"), pa.array(amount))
    about = {key: value for key, value in pq.read_metadata(path).metadata.items() if key != b"ARROW:schema"}
    pq.write_table(changed.replace_schema_metadata(about), path)
    check = check_ledger(path)
    assert not check.holds and "its seal does not fit its entries" in check.problems[0]
    # The same rewriting without the change is no damage.
    pq.write_table(table.replace_schema_metadata(about), path)
    assert check_ledger(path).holds


def test_seals_over_false_entries_do_not_hide_them(tmp_path: Path) -> None:
    """The book's own journal is changed before it is sealed and written: the chain is whole, the accounts are not."""
    done = made_window(10, 42).enforce()
    book = done.escrows.book
    fields = (ENTRY.names or ()).index
    journal = book.tables.journal[:, : book.unsealed_entries()]
    assert book.journal.sealed == 0
    paid = np.flatnonzero(journal[fields("kind")] == int(Kind.PAY))[0]
    journal[fields("amount"), paid] += 1
    write_ledger(done, tmp_path / "ledger.parquet")
    problems = check_ledger(tmp_path / "ledger.parquet").problems
    assert any(problem.startswith("I7") for problem in problems)


def test_a_ledger_that_is_missing_or_torn_is_a_finding(folder: Path) -> None:
    path = folder / "ledger.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert "torn_tail" in check_ledger(path).problems[0]
    path.unlink()
    assert "missing" in check_ledger(path).problems[0]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("state", "paid", "ends otherwise"),
        ("paid_micro", 17, "paid otherwise"),
        ("collateral_lost_micro", 5, "collateral in escrow"),
    ],
)
def test_contracts_that_tell_another_story_are_found(
    done: Enforcement, folder: Path, column: str, value: object, words: str
) -> None:
    path = folder / "contracts.parquet"
    table = pq.read_table(path)
    values = table[column].to_pylist()
    convicted = int(np.flatnonzero(done.convicted)[0])
    values[convicted] = value
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type)), path)
    problems = check_ledger(folder / "ledger.parquet", path).problems
    assert any(words in problem and str(convicted) in problem for problem in problems)


def test_contracts_that_cannot_be_read_are_a_finding(folder: Path) -> None:
    (folder / "contracts.parquet").write_bytes(b"PAR1 nothing PAR1")
    check = check_ledger(folder / "ledger.parquet", folder / "contracts.parquet")
    assert len(check.problems) == 1 and check.problems[0].startswith("contracts.parquet:")
