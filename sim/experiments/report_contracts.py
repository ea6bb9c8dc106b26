"""What the report says of the contracts and their ledger, from contracts.parquet and ledger.parquet alone.

Files that are not the ones that the run wrote are reported as damaged and not read any further: what they say is worth nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.record import RecordedRun, verify_run
from sim.experiments.report_market import COALITION
from sim.experiments.report_sections import SELFISH
from sim.settlement.ledger_file import LedgerCheck, check_ledger
from sim.settlement.money import MICRO_PER_CREDIT
from sim.units import SECONDS_PER_MINUTE

CONTRACTS, LEDGER = "contracts", "ledger"
_FILES: Final = (f"{LEDGER}.parquet", f"{LEDGER}.parquet.sha256", f"{CONTRACTS}.parquet")
_SAMPLES: Final = 10
_DISPUTED_SAMPLES: Final = 5
_PAYERS_SHOWN: Final = 6
_STATE_NAMES: Final = {
    "paid": ("Paid", "the detour was driven, or nobody could tell otherwise"),
    "slashed": ("Convicted", "the mover lost the collateral, the payers have their money back"),
    "refunded": ("Refunded", "the contract did not come about, the payers have their money back"),
}
_COUNTED: Final = (
    "traveller_id",
    "price_micro",
    "state",
    "challenged_by",
    "evidence",
    "ruling",
    "drove_target",
    "detection",
    "false_conviction",
)
_SAMPLED: Final = (
    "contract",
    "escrow",
    "traveller_id",
    "baseline_path",
    "target_path",
    "price_micro",
    "collateral_micro",
    "fund_link",
    "fund_pays_micro",
    "target_units",
    "target_reads",
    "baseline_units",
    "baseline_reads",
    "gps_log_ratio",
    "evidence",
    "challenged_by",
    "votes",
    "ruling",
    "state",
    "mover_money_micro",
    "states",
    "state_times_s",
)


@dataclass(frozen=True)
class Route:
    """A route in words: how many links and minutes, and the ids of the links."""

    summary: str
    links: str


@dataclass(frozen=True)
class ContractRow:
    """One contract, so that it can be traced: who, what instead of which, price, who paid, evidence, ruling."""

    contract: str
    escrow: str
    traveller: str
    baseline: Route
    target: Route
    price: str
    collateral: str
    payers: str
    payer_list: str
    evidence: str
    dispute: str
    ruling: str
    outcome: str
    history: str


@dataclass(frozen=True)
class ContractsSection:
    """Counts of the contracts, samples of them, and what the check of the ledger found.

    Attributes
    ----------
    states
        (final state, how many and what it means) in falling order.
    facts
        (name, text).
    samples
        Contracts with the largest prices, disputed ones first.
    ledger
        A sentence on the ledger that holds; empty where it does not.
    problems
        What is damaged; empty when all holds.
    defectors
        Travellers (rows of trips) who broke their contract, in truth; None where the contracts cannot be read.
    """

    states: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    samples: tuple[ContractRow, ...]
    ledger: str
    problems: tuple[str, ...]
    defectors: frozenset[int] | None


def check_run_ledger(run: RecordedRun) -> LedgerCheck | None:
    """Recompute the ledger of a run from its files, and compare it with the contracts; None where the run recorded neither.

    Files that do not have the checksum in the manifest count as damaged.
    """
    if not (run.has_table(LEDGER) or run.has_table(CONTRACTS)):
        return None
    changed = {check.name: check.state for check in verify_run(run.path) if check.name in _FILES and check.state != "ok"}
    # A file that somebody else wrote may hold anything; the ledger guards itself, the contracts beside it do not.
    sound = run.has_table(CONTRACTS) and f"{CONTRACTS}.parquet" not in changed
    found = check_ledger(run.path / f"{LEDGER}.parquet", run.path / f"{CONTRACTS}.parquet" if sound else None)
    problems = tuple(f"{name}: {state} since the run was written" for name, state in changed.items())
    return LedgerCheck(
        found.entries,
        found.head,
        problems + found.problems,
        found.issued_micro,
        found.paid_micro,
        found.fees_micro,
        found.refunded_micro,
        found.collateral_lost_micro,
    )


def ledger_sentence(check: LedgerCheck) -> str:
    """Return what a ledger that holds was checked for; empty for one that does not."""
    if not check.holds:
        return ""
    return (
        f"The ledger verifies: {text.whole(check.entries)} entries, the hash chain and all balances recomputed from the file, "
        f"and the contracts agree with it (seal {check.head[:16]}…)."
    )


def contracts_section(run: RecordedRun, links: Mapping[str, Any], check: LedgerCheck | None = None) -> ContractsSection | None:
    """Return the section, or None where the run has neither contracts nor ledger.

    Parameters
    ----------
    links
        Columns of link_performance; empty without such a table.
    check
        What `check_run_ledger` found, where that is known already.

    Raises
    ------
    InputError
        The contracts lack a column or name a link that does not exist.
    """
    check = check_run_ledger(run) if check is None else check
    if check is None:
        return None
    damaged = any(problem.startswith(f"{CONTRACTS}.parquet: ") for problem in check.problems)
    if damaged or not run.has_table(CONTRACTS):
        return ContractsSection((), (), (), ledger_sentence(check), check.problems, None)
    table = run.table(CONTRACTS, _COUNTED)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    columns["disputed"] = table["challenged_by"].is_valid().to_numpy()
    states = Counter(columns["state"].tolist()).most_common()
    rows = _samples(columns)
    details = run.table(CONTRACTS, _SAMPLED).take(rows).to_pylist()
    return ContractsSection(
        states=tuple(_state(str(state), count) for state, count in states),
        facts=tuple(_facts(columns)),
        samples=tuple(_row(run, detail, links) for detail in details),
        ledger=ledger_sentence(check),
        problems=check.problems,
        defectors=frozenset(columns["traveller_id"][~columns["drove_target"].astype(np.bool_)].tolist()),
    )


def _samples(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the rows of the disputed contracts with the largest prices (five, or more if the others are few), then of others."""
    disputed = columns["disputed"]
    by_price = np.argsort(-columns["price_micro"], kind="stable")
    in_dispute, others = by_price[disputed[by_price]], by_price[~disputed[by_price]]
    n_disputed = min(len(in_dispute), max(_DISPUTED_SAMPLES, _SAMPLES - len(others)))
    return np.concatenate((in_dispute[:n_disputed], others[: _SAMPLES - n_disputed]))


def _state_name(state: str) -> str:
    return _STATE_NAMES[state][0] if state in _STATE_NAMES else state.capitalize()


def _state(state: str, count: int) -> tuple[str, str]:
    meaning = _STATE_NAMES[state][1] if state in _STATE_NAMES else "not over when the window ended"
    return _state_name(state), f"{text.whole(count)}: {meaning}"


def _facts(columns: Mapping[str, NDArray[Any]]) -> list[tuple[str, str]]:
    n_contracts = len(columns["state"])
    if n_contracts == 0:
        return [("Contracts", "none")]
    by = Counter(columns["challenged_by"].tolist())
    watch, griefers = by.get("watch", 0), by.get("griefer", 0)
    disputed = watch + griefers
    honest = columns["drove_target"].astype(np.bool_)
    paid, convicted = columns["state"] == "paid", columns["state"] == "slashed"
    against_evidence = int((columns["disputed"] & (columns["ruling"] != columns["evidence"])).sum())
    against_truth = paid != honest
    n_misled = int((against_truth & ((columns["evidence"] == "accepted") != honest)).sum())
    facts = [
        ("Contracts", text.whole(n_contracts)),
        ("Disputed", _of(disputed, n_contracts, f"{text.whole(watch)} by the watch, {text.whole(griefers)} by griefers")),
        ("Against the evidence", _of(against_evidence, disputed) if disputed else "none, nothing was disputed"),
        ("Against the truth", _of(int(against_truth.sum()), n_contracts, f"the evidence misled in {text.whole(n_misled)}")),
        ("Honest movers convicted", _of(int((honest & convicted).sum()), int(honest.sum())) if honest.any() else "none"),
        (
            "Defectors convicted",
            _of(int((~honest & convicted).sum()), int((~honest).sum())) if not honest.all() else "no defectors",
        ),
    ]
    detection, false_conviction = columns["detection"], columns["false_conviction"]
    return [
        *facts,
        ("Detection", f"a defector is convicted with {text.small_percent(float(detection.mean()))} on average, before the drive"),
        ("False conviction", f"an honest mover with {text.small_percent(float(false_conviction.mean()))} on average"),
    ]


def _of(count: int, total: int, detail: str = "") -> str:
    if count == 0:
        return f"none of {text.whole(total)}"
    return f"{text.whole(count)} of {text.whole(total)} ({text.percent(count / total)}){'; ' if detail else ''}{detail}"


def _row(run: RecordedRun, contract: Mapping[str, Any], links: Mapping[str, Any]) -> ContractRow:
    payers, payer_list = _payers(run, contract, links)
    votes = [[cast["vote"] for cast in panel] for panel in contract["votes"] or ()]
    challenger = contract["challenged_by"]
    return ContractRow(
        contract=str(contract["contract"]),
        escrow=str(contract["escrow"]),
        traveller=str(contract["traveller_id"]),
        baseline=_route(run, contract["baseline_path"], links),
        target=_route(run, contract["target_path"], links),
        price=_credits(contract["price_micro"]),
        collateral=_credits(contract["collateral_micro"]),
        payers=payers,
        payer_list=payer_list,
        evidence=_evidence(contract),
        dispute=_dispute(challenger, votes),
        ruling="not disputed" if challenger is None else _verdict(contract["ruling"]),
        outcome=f"{_state_name(contract['state']).lower()}; the mover ends with {_credits(contract['mover_money_micro'])}",
        history=", ".join(
            f"{state} at {text.duration(float(time_s))}"
            for state, time_s in zip(contract["states"], contract["state_times_s"], strict=True)
        ),
    )


def _credits(micro: int) -> str:
    return text.credits(micro / MICRO_PER_CREDIT)


def _verdict(name: str | None) -> str:
    return {"accepted": "mover is right", "rejected": "mover is wrong"}.get(name or "", "undecided")


def _link_names(run: RecordedRun, positions: Sequence[int], links: Mapping[str, Any]) -> list[str]:
    if not links:
        return [f"row {position}" for position in positions]
    ids = links["link_id"]
    if positions and not 0 <= min(positions) <= max(positions) < len(ids):
        source = run.path / f"{CONTRACTS}.parquet"
        raise InputError(
            "names a link that does not exist", source=source, allowed=f"rows 0 to {len(ids) - 1} of link_performance"
        )
    return [str(ids[position]) for position in positions]


def _route(run: RecordedRun, positions: Sequence[int], links: Mapping[str, Any]) -> Route:
    names = _link_names(run, positions, links)
    world = next((name for name in (COALITION, SELFISH) if f"{name}_travel_time_s" in links), None)
    summary = f"{len(names)} link{'' if len(names) == 1 else 's'}"
    if world is not None:
        time_s: FloatColumn = links[f"{world}_travel_time_s"]
        summary += f", {text.significant(float(time_s[list(positions)].sum()) / SECONDS_PER_MINUTE, 3)} min"
    return Route(summary, " → ".join(names))


def _payers(run: RecordedRun, contract: Mapping[str, Any], links: Mapping[str, Any]) -> tuple[str, str]:
    """Return who paid, in a few words and in full: the funds of links that the detour relieves, or the mover himself."""
    names = _link_names(run, contract["fund_link"], links)
    pays = sorted(((-micro, name) for name, micro in zip(names, contract["fund_pays_micro"], strict=True) if micro > 0))
    receivers = sum(micro < 0 for micro in contract["fund_pays_micro"])
    if pays:
        largest = f"link {pays[0][1]} ({_credits(-pays[0][0])})"
        summary = f"fund of {largest}" if len(pays) == 1 else f"{len(pays)} funds, most: {largest}"
    else:
        summary = "the mover himself" if contract["price_micro"] < 0 else "the clearing account"
    listed = [f"link {name} {_credits(-micro)}" for micro, name in pays[:_PAYERS_SHOWN]]
    if len(pays) > _PAYERS_SHOWN:
        rest = -sum(micro for micro, _ in pays[_PAYERS_SHOWN:])
        listed.append(f"{len(pays) - _PAYERS_SHOWN} more links together {_credits(rest)}")
    if receivers:
        listed.append(f"{receivers} link{'s' if receivers > 1 else ''} with heavier traffic received compensation")
    return summary, "; ".join(listed) or summary


def _evidence(contract: Mapping[str, Any]) -> str:
    reads = (
        f"roadside units read {contract['target_reads']} of {contract['target_units']} on the detour, "
        f"{contract['baseline_reads']} of {contract['baseline_units']} on the old route"
    )
    ratio = contract["gps_log_ratio"]
    if ratio is not None:
        reads += f"; position fixes speak for the {'detour' if ratio >= 0 else 'old route'}"
    return f"{reads}: {_verdict(contract['evidence'])}"


def _dispute(challenger: str | None, votes: Sequence[Sequence[str]]) -> str:
    if challenger is None:
        return ""
    rounds = [f"{sum(vote == 'accepted' for vote in panel)} of {len(panel)} for the mover" for panel in votes]
    return f"challenged by the {challenger}" + (f"; votes: {', then '.join(rounds)}" if rounds else "; no votes")
