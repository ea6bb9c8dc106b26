"""contracts.parquet: one row a contract, so that each can be traced.

Who, what route instead of which, price, who paid, evidence, votes, ruling, money.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contracts_model import State, Verdict
from sim.arrays import CodeColumn, IndexColumn, OffsetColumn
from sim.network.turns import TurnGraph
from sim.settlement.outcome import Enforcement

_VOTES = pa.list_(pa.list_(pa.struct([("validator", pa.int32()), ("vote", pa.string())])))
_STATES = {int(state): state.name.lower() for state in State}
_VERDICTS = {int(verdict): verdict.name.lower() for verdict in Verdict}


def contract_table(enforcement: Enforcement, graph: TurnGraph | None = None) -> pa.Table:
    """Return contracts: one row a contract in the order of the movers.

    Where the market ran on a turn graph, its links become those of the streets; turn links, whose costs do not depend on traffic
    and whose funds therefore pay nothing, are left out.

    `traveller_id` is the row in trips, links are rows in link_performance, `escrow` and `mover_account` point into
    ledger.parquet. Money is in micro-credits; what a fund pays is negative where it receives. `evidence` is what the
    evidence implies, `ruling` the final decision of a dispute, `drove_target` the simulator's truth. Times are seconds of
    the window.
    """
    contracts, detours, evidence, escrows = (
        enforcement.contracts,
        enforcement.detours,
        enforcement.evidence,
        enforcement.escrows,
    )
    n_contracts = contracts.n_contracts
    baseline, target = (detours.baseline_start, detours.baseline_link), (detours.target_start, detours.target_link)
    fund_start, fund_link, fund_pays_micro = contracts.start, contracts.link, contracts.fund_pays_micro
    if graph is not None and not graph.is_plain:
        fund_pays_micro = fund_pays_micro[graph.street_idx[fund_link] >= 0]
        fund_start, fund_link = graph.paths_on_streets(fund_start, fund_link)
        baseline, target = graph.paths_on_streets(*baseline), graph.paths_on_streets(*target)
    columns: dict[str, Any] = {
        "contract": pa.array(np.arange(n_contracts, dtype=np.int64)),
        "escrow": pa.array(np.arange(n_contracts, dtype=np.int64)),
        "traveller_id": pa.array(contracts.mover, pa.int64()),
        "mover_account": pa.array(escrows.accounts.performers, pa.int64()),
        "baseline_path": _lists(*baseline, pa.int32()),
        "target_path": _lists(*target, pa.int32()),
        "price_micro": pa.array(contracts.price_micro),
        "fee_micro": pa.array(contracts.fee_micro),
        "clearing_pays_micro": pa.array(contracts.clearing_pays_micro),
        "fund_link": _lists(fund_start, fund_link, pa.int32()),
        "fund_pays_micro": _lists(fund_start, fund_pays_micro, pa.int64()),
        "collateral_micro": pa.array(enforcement.collateral_micro),
        "detection": pa.array(enforcement.detection),
        "false_conviction": pa.array(enforcement.false_conviction),
        "deadline_s": pa.array(evidence.deadline_ms / 1000.0),
        "arrival_s": pa.array(evidence.arrival_ms / 1000.0),
    }
    for name in ("target_units", "target_reads", "baseline_units", "baseline_reads"):
        columns[name] = pa.array(getattr(evidence, name), pa.int32())
    columns |= {
        "gps_log_ratio": pa.array(evidence.gps_log_ratio, mask=~evidence.has_fixes),
        "evidence": _named(_VERDICTS, evidence.verdict),
        "drove_target": pa.array(enforcement.drove_target),
        "challenged_by": _named(
            {0: None, 1: "watch", 2: "griefer"}, enforcement.challenged.astype(np.uint8) + enforcement.griefed
        ),
        "votes": _votes(enforcement),
        "ruling": _named(_VERDICTS, enforcement.ruling, keep=enforcement.challenged),
        "state": _named(_STATES, enforcement.state),
        "paid_micro": pa.array(enforcement.paid_micro),
        "collateral_lost_micro": pa.array(enforcement.collateral_lost_micro),
        "bounty_micro": pa.array(enforcement.bounty_micro),
        "mover_money_micro": pa.array(enforcement.mover_money_micro),
    }
    columns["states"], columns["state_times_s"] = _history(enforcement)
    return pa.table(columns)


def account_table(enforcement: Enforcement) -> pa.Table:
    """Return accounts: number in ledger.parquet, name, and what each received minus what it paid, in micro-credits."""
    escrows = enforcement.escrows
    names = escrows.book.actor_names
    positions = escrows.position_micro(np.arange(len(names)))
    return pa.table({"account": pa.array(np.arange(len(names), dtype=np.int64)), "name": names, "position_micro": positions})


def _lists(start: OffsetColumn, values: NDArray[Any], kind: Any) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(start, pa.int32()), pa.array(values, kind))


def _named(names: dict[int, Any], codes: CodeColumn | IndexColumn, keep: NDArray[np.bool_] | None = None) -> pa.Array:
    texts = [names[code] for code in codes.tolist()]
    if keep is not None:
        texts = [text if kept else None for text, kept in zip(texts, keep.tolist(), strict=True)]
    return pa.array(texts, pa.string())


def _votes(enforcement: Enforcement) -> pa.Array:
    """Votes of each round of each dispute, with the validators' numbers from 0."""
    tables, first = enforcement.escrows.book.tables, int(enforcement.escrows.accounts.validators[0])
    cells: list[list[list[dict[str, Any]]]] = [[] for _ in range(enforcement.contracts.n_contracts)]
    for contract in np.flatnonzero(enforcement.challenged).tolist():
        row = tables.escrows[contract]
        for record in tables.rounds[row["first_round"] : row["first_round"] + row["votes"]]:
            seats = tables.seats[record["first_seat"] : record["first_seat"] + record["seats"]]
            pairs: Iterable[tuple[int, int]] = zip(seats["juror"].tolist(), seats["vote"].tolist(), strict=True)
            cells[contract].append([{"validator": juror - first, "vote": _VERDICTS[vote]} for juror, vote in pairs])
    return pa.array(cells, _VOTES)


def _history(enforcement: Enforcement) -> tuple[pa.Array, pa.Array]:
    """States of each contract and the instants at which it entered them."""
    changes = enforcement.escrows.changes
    contract = np.concatenate([change.contract for change in changes] or [np.zeros(0, np.int64)])
    state = np.concatenate([change.state for change in changes] or [np.zeros(0, np.uint8)])
    time_s = np.repeat([change.time_s for change in changes], [len(change.contract) for change in changes]).astype(np.int64)
    order = np.argsort(contract, kind="stable")
    start = np.searchsorted(contract[order], np.arange(enforcement.contracts.n_contracts + 1))
    names = pa.array([_STATES[code] for code in state[order].tolist()], pa.string())
    offsets = pa.array(start, pa.int32())
    return pa.ListArray.from_arrays(offsets, names), pa.ListArray.from_arrays(offsets, pa.array(time_s[order], pa.int64()))
