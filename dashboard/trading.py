"""The deals of a market as they are struck, in words."""

from __future__ import annotations

import numpy as np

from dashboard.books import Event
from dashboard.scene import MarketState
from sim.arrays import FloatColumn
from sim.experiments import report_format as text
from sim.negotiation.deal_book import DealBook

_DEALS_TOLD = 10
_EVENTS_KEPT = 400


class Teller:
    """Tells a visitor about the deals of one world, day after day.

    Parameters
    ----------
    first
        What there is to tell before the first deal.
    members
        How many take part.
    fee_per_vehicle, weight
        Credits a deal costs for each vehicle of the mover, and what each traveller weighs in vehicles.
    """

    def __init__(self, first: Event, members: int, fee_per_vehicle: float, weight: FloatColumn) -> None:
        self._told: tuple[Event, ...] = (first,)
        self._members = members
        self._fee_per_vehicle = fee_per_vehicle
        self._weight = weight
        self._n_told = 0

    @property
    def told(self) -> tuple[Event, ...]:
        """What was told so far, newest first."""
        return self._told

    def tell(self, book: DealBook, day: int) -> tuple[Event, ...]:
        """Tell about the deals of a day, those with the largest surplus first; return everything that was told."""
        # A window that starts again has an empty book.
        first = self._n_told if self._n_told <= book.n_deals else 0
        self._n_told = book.n_deals
        if day > 0:
            headline = Event(f"day {day}", "day", f"{text.whole(book.n_deals - first)} detours sold and bought")
            largest = np.argsort(-book.surplus[first:], kind="stable")[:_DEALS_TOLD] + first
            deals = (event for deal in largest.tolist() for event in _deal(book, deal, day))
            self._told = (headline, *deals, *self._told)[:_EVENTS_KEPT]
        return self._told

    def state(self, book: DealBook) -> MarketState:
        """Return what the market has come to."""
        paid = float(np.maximum(book.to_mover, 0.0).sum())
        fees = self._fee_per_vehicle * float(self._weight[book.traveller].sum())
        return MarketState(self._members, book.n_deals, paid, fees)


def _deal(book: DealBook, deal: int, day: int) -> tuple[Event, Event]:
    mover, when = int(book.traveller[deal]), f"day {day}"
    rows = book.fund_pays[book.start[deal] : book.start[deal + 1]]
    payers = int((rows > 0).sum())
    loss, price = float(book.columns.loss[deal]), float(book.to_mover[deal])
    offer = f"Traveller {mover} would take a detour that costs him {text.credits(loss)}"
    streets = "street" if payers == 1 else "streets"
    deal_words = f"The users of {payers} {streets} pay traveller {mover} {text.credits(price)}; everybody together gains "
    return (
        Event(when, "deal", deal_words + text.credits(float(book.surplus[deal]))),
        Event(when, "offer", offer),
    )
