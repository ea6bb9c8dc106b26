"""The tabs about money: what happens in the market, the ledger, and the whole life of one contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import reacton.ipyvuetify as rv
from reacton import use_memo, use_state
from solara.core import component

from dashboard import figures
from dashboard.books import Event, LedgerPage, LedgerRow, instant, ledger_kinds
from dashboard.elements import InputText, Select, text_button, words
from dashboard.figures import Row
from dashboard.scene import City, Scene
from dashboard.sheet import cell, rows_table, sheet
from sim.experiments import report_format as text
from sim.settlement.money import MICRO_PER_CREDIT

_EVENTS_SHOWN = 60
_CONTRACTS_SHOWN = 12
_PAYERS_SHOWN = 12
_ANY = "any kind"
_KINDS = {"all": "All", "offer": "Offers", "deal": "Deals", "claim": "Claims", "dispute": "Disputes", "ruling": "Rulings"}
_ALIKE = {"vote": "dispute", "paid": "ruling"}

OpenContract = Callable[[int], None]


@component
def MarketTab(scene: Scene, open_contract: OpenContract) -> None:
    """Show what happens in the market, and the contracts that are worth most."""
    kind, set_kind = use_state("all")
    with rv.Html(tag="div", class_="rp-tab rp-market"):
        rows_table(figures.market_rows(scene))
        with rv.Html(tag="div", class_="rp-group", attributes={"role": "group", "aria-label": "Kinds of events"}):
            for name, shown in _KINDS.items():
                text_button(shown, partial(set_kind, name), f"rp-is-{name}", chosen=name == kind)
        shown_events = [event for event in scene.feed if kind in ("all", event.kind, _ALIKE.get(event.kind))]
        lines = [_event(event) for event in shown_events[:_EVENTS_SHOWN]] or [["Nothing of this kind yet."]]
        sheet(lines, look="rp-feed", on_open=open_contract)
        if scene.books is not None and scene.books.n_contracts:
            words("h2", "", "Contracts worth most, disputed ones first")
            dearest = [cell(f"#{contract}", opens=contract) for contract in scene.books.dearest(_CONTRACTS_SHOWN)]
            sheet([dearest[:6], dearest[6:]], look="rp-openers", on_open=open_contract)


def _event(event: Event) -> list[Any]:
    opener = "" if event.contract is None else cell(f"#{event.contract}", opens=event.contract, title="Open this contract")
    return [cell(event.when, "rp-when"), cell(event.words, f"rp-words rp-event-{event.kind}"), opener]


@component
def LedgerTab(scene: Scene, open_contract: OpenContract) -> None:
    """Show the ledger, searched by account, contract and kind."""
    wanted, set_wanted = use_state("")
    kind, set_kind = use_state(_ANY)
    books = scene.books
    chosen = None if kind == _ANY else kind
    page = use_memo(lambda: LedgerPage((), 0, "") if books is None else books.search(wanted, chosen), [id(books), wanted, chosen])
    with rv.Html(tag="div", class_="rp-tab rp-ledger"):
        if books is None:
            words("p", "rp-remark", "The ledger is here once a window of the market is settled. Play until the market rests.")
            return
        with rv.Html(tag="div", class_="rp-search"):
            InputText(
                "Account (t:4711, link:88, validator) or #contract", value=wanted, on_value=set_wanted, continuous_update=True
            )
            Select(label="Kind", value=kind, values=[_ANY, *ledger_kinds()], on_value=set_kind, dense=True)
        words("p", "rp-remark rp-found", f"{text.whole(page.n_found)} entries, {page.moved} moved; newest first")
        _ledger_rows(page.rows, open_contract)


def _ledger_rows(rows: tuple[LedgerRow, ...], open_contract: OpenContract | None) -> None:
    lines = [
        [row.when, row.kind, row.debit, row.credit, cell(row.amount, "rp-amount"), _opener(row.contract, open_contract)]
        for row in rows
    ]
    sheet(lines, look="rp-entries", head=("At", "What", "From", "To", "Credits", ""), on_open=open_contract)


def _opener(contract: int | None, open_contract: OpenContract | None) -> Any:
    return "" if contract is None or open_contract is None else cell(f"#{contract}", opens=contract, title="Open this contract")


@component
def ContractView(scene: Scene, contract: int, close: Callable[[], None], follow: Callable[[int], None]) -> None:
    """Show one contract from the offer to the last payment; its two ways are on the map."""
    books, city = scene.books, scene.city
    with rv.Html(tag="div", class_="rp-tab rp-contract"):
        with rv.Html(tag="div", class_="rp-contract-head"):
            words("h2", "", f"Contract #{contract}")
            text_button("Close", close, "rp-contract-close", hint="Back to the list (Escape)")
        if books is None or city is None or not 0 <= contract < books.n_contracts:
            words("p", "rp-remark", "There is no such contract.")
            return
        row = books.row(contract)
        mover = int(row["traveller_id"])
        rows_table(contract_rows(row, city))
        text_button(f"Follow traveller {mover} on the map", lambda: follow(mover), "rp-follow")
        words("h2", "", "Who pays")
        rows_table(payer_rows(row, city))
        words("h2", "", "Its whole life in the ledger")
        _ledger_rows(books.life(contract), None)


def contract_rows(row: dict[str, Any], city: City) -> list[Row]:
    """Return what a contract promised, what the evidence says and what became of it."""
    states = ", ".join(f"{state} {instant(time_s)}" for state, time_s in zip(row["states"], row["state_times_s"], strict=True))
    rows = [
        Row("Traveller", (str(row["traveller_id"]),)),
        Row("Gets", (_credits(row["price_micro"]),), "Price of the detour; negative where the mover himself pays."),
        Row("Fee to validators", (_credits(row["fee_micro"]),)),
        Row("Collateral", (_credits(row["collateral_micro"]),), "Lost where the promise is broken."),
        Row("Usual way", (_way(row["baseline_path"], city),), "Dashed on the map."),
        Row("Promised way", (_way(row["target_path"], city),), "Solid on the map."),
        Row("Roadside on promised", (f"{row['target_reads']} of {row['target_units']} units read him",)),
        Row("Roadside on usual", (f"{row['baseline_reads']} of {row['baseline_units']} units read him",)),
    ]
    if row["gps_log_ratio"] is not None:
        rows.append(Row("Position fixes", (f"speak for the {'promised' if row['gps_log_ratio'] >= 0 else 'usual'} way",)))
    rows.append(Row("Evidence says", (_verdict(row["evidence"]),)))
    rows.append(Row("Challenged", ("by nobody" if row["challenged_by"] is None else f"by the {row['challenged_by']}",)))
    for number, panel in enumerate(row["votes"] or (), start=1):
        rows.append(Row(f"Votes of panel {number}", (_votes(panel),), "Validator and vote."))
    if row["challenged_by"] is not None:
        rows.append(Row("Ruling", (_verdict(row["ruling"]),)))
    rows.append(Row("Drove the promised way", ("yes" if row["drove_target"] else "no",), "The truth, which no ruling has seen."))
    rows.append(Row("States", (states,)))
    rows.append(Row("Mover ends with", (_credits(row["mover_money_micro"]),)))
    return rows


def payer_rows(row: dict[str, Any], city: City) -> list[Row]:
    """Return who pays a contract: the funds of the streets that the detour relieves, those that receive, the clearing account."""
    pairs = sorted(zip(row["fund_pays_micro"], row["fund_link"], strict=True), key=lambda pair: -abs(pair[0]))
    rows = [
        Row(f"Users of {city.street(link)}", (_credits(micro),), f"link {city.built.network.link_id[link]}")
        for micro, link in pairs
    ]
    shown = rows[:_PAYERS_SHOWN]
    if len(rows) > _PAYERS_SHOWN:
        rest = sum(micro for micro, _ in pairs[_PAYERS_SHOWN:])
        shown.append(Row(f"{len(rows) - _PAYERS_SHOWN} more streets", (_credits(rest),)))
    if row["clearing_pays_micro"]:
        shown.append(
            Row("Clearing account", (_credits(row["clearing_pays_micro"]),), "Balances what funds owe each other; ends at 0.")
        )
    return shown


def _votes(panel: list[dict[str, Any]]) -> str:
    return ", ".join(f"{cast['validator']} {cast['vote']}" for cast in panel)


def _way(links: list[int], city: City) -> str:
    names = list(dict.fromkeys(filter(None, (city.built.network.street_name(link) for link in links))))
    length = figures.length_text(float(city.built.network.length_m[links].sum())) if links else ""
    shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
    return f"{len(links)} links, {length}{': ' if shown else ''}{shown}"


def _credits(micro: int) -> str:
    return text.credits(micro / MICRO_PER_CREDIT)


def _verdict(name: str | None) -> str:
    return {"accepted": "the mover is right", "rejected": "the mover is wrong"}.get(name or "", "undecided")
