"""The book of deals that members have struck in a window, as columns that grow."""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels.deals import Deals, trade_in_turn
from sim.kernels.routes import Routes
from sim.kernels.segments import Links

LEAST_SURPLUS = 1e-9
"""Share of his trip's cost that a detour must be worth to everybody together; above rounding, so that trading ends."""


class DealBook:
    """Deals in the order they were struck; amounts in credits.

    A deal names its mover, the route left and the route taken, the mover's loss, the surplus, his surcharge, what he gets, and
    what the fund of each link that is relieved or loaded pays (negative: receives).
    """

    def __init__(self) -> None:
        self.n_deals = 0
        self.columns = _room(1024, 32 * 1024)

    def trade(
        self,
        turn: IndexColumn,
        cell_of_traveller: IndexColumn,
        route_of_traveller: IndexColumn,
        weight: FloatColumn,
        value: FloatColumn,
        routes: Routes,
        links: Links,
        stake: FloatColumn,
        *,
        fee_per_vehicle: float,
        surplus_to_mover: float,
        ask: FloatColumn | None = None,
        rival_ask: FloatColumn | None = None,
    ) -> int:
        """Let the members in `turn` sell their best detour one after another; return how many did.

        Flows, costs and slopes of `links`, `stake` (n_links,) and `route_of_traveller` follow.

        Parameters
        ----------
        ask
            Credits a vehicle that each traveller wants on top of his loss, at least 0, shape (n_travellers,); None for nothing.
        rival_ask
            Credits a vehicle at which the next seller would do it (`sim.negotiation.conduct`, the price of an auction); None pays
            everybody his own ask.
        """
        ask = np.zeros(len(weight)) if ask is None else ask
        rival_ask = ask if rival_ask is None else rival_ask
        before, done = self.n_deals, 0
        while done < len(turn):
            done, self.n_deals = trade_in_turn(
                done, turn, cell_of_traveller, route_of_traveller, weight, value, ask, rival_ask,
                routes, links, stake, fee_per_vehicle, surplus_to_mover, LEAST_SURPLUS, self.columns, self.n_deals,
            )  # fmt: skip
            if done < len(turn):
                self._grow()
        return self.n_deals - before

    def forget_from(self, n_deals: int) -> None:
        """Take back the deals from position `n_deals` on."""
        self.n_deals = n_deals

    def _grow(self) -> None:
        old, n_deals = self.columns, self.n_deals
        rows = int(old.start[n_deals])
        self.columns = _room(2 * len(old.traveller), 2 * len(old.link))
        for name in ("traveller", "from_route", "to_route", "loss", "surplus", "surcharge", "to_mover"):
            getattr(self.columns, name)[:n_deals] = getattr(old, name)[:n_deals]
        self.columns.start[: n_deals + 1] = old.start[: n_deals + 1]
        self.columns.link[:rows] = old.link[:rows]
        self.columns.fund_pays[:rows] = old.fund_pays[:rows]

    @property
    def traveller(self) -> IndexColumn:
        """Mover of each deal, shape (n_deals,)."""
        return self.columns.traveller[: self.n_deals]

    @property
    def to_mover(self) -> FloatColumn:
        """Credits that the mover of each deal gets (negative: pays)."""
        return self.columns.to_mover[: self.n_deals]

    @property
    def surplus(self) -> FloatColumn:
        """Surplus of each deal in credits."""
        return self.columns.surplus[: self.n_deals]

    @property
    def surcharge(self) -> FloatColumn:
        """Credits that the mover of each deal gets on top of his loss."""
        return self.columns.surcharge[: self.n_deals]

    @property
    def start(self) -> OffsetColumn:
        """Rows of deal d: `start[d]` to `start[d + 1]`."""
        return self.columns.start[: self.n_deals + 1]

    @property
    def link(self) -> IndexColumn:
        """Link of each row."""
        return self.columns.link[: self.columns.start[self.n_deals]]

    @property
    def fund_pays(self) -> FloatColumn:
        """Credits that the link's fund pays in each row (negative: receives)."""
        return self.columns.fund_pays[: self.columns.start[self.n_deals]]


def _room(n_deals: int, n_rows: int) -> Deals:
    return Deals(
        traveller=np.empty(n_deals, np.int32),
        from_route=np.empty(n_deals, np.int32),
        to_route=np.empty(n_deals, np.int32),
        loss=np.empty(n_deals),
        surplus=np.empty(n_deals),
        surcharge=np.empty(n_deals),
        to_mover=np.empty(n_deals),
        start=np.zeros(n_deals + 1, np.int64),
        link=np.empty(n_rows, np.int32),
        fund_pays=np.empty(n_rows),
    )
