"""Those who serve the market as Mesa agents: the funds of links, and the validators; thin, with their state in columns.

They appear when a window closes, and only those who had something to do: links whose fund paid or received, validators who sat on
a panel. An author finds them as `world.link_funds` and `world.validators`, or by their type among `world.agents`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa

from sim.settlement.adversaries import Temper

if TYPE_CHECKING:
    from sim.model import World
    from sim.settlement.offices import FundColumns, ValidatorColumns


class LinkFund(mesa.Agent):  # type: ignore[misc]  # mesa carries no types
    """The fund of one link, row `row` of the columns of all funds."""

    def __init__(self, model: World, columns: FundColumns, row: int) -> None:
        super().__init__(model)
        self.columns = columns
        self.row = row

    @property
    def link_idx(self) -> int:
        """Its link, as a position in the network."""
        return int(self.columns.link_idx[self.row])

    @property
    def account(self) -> int:
        """Its number in the ledger."""
        return int(self.columns.account[self.row])

    @property
    def paid_micro(self) -> int:
        """What it paid under contracts that were paid out, micro-credits."""
        return int(self.columns.paid_micro[self.row])

    @property
    def received_micro(self) -> int:
        """What it received for its members' heavier traffic, micro-credits."""
        return int(self.columns.received_micro[self.row])


class Validator(mesa.Agent):  # type: ignore[misc]  # mesa carries no types
    """One validator who sat on a panel, row `row` of the columns of all of them."""

    def __init__(self, model: World, columns: ValidatorColumns, row: int) -> None:
        super().__init__(model)
        self.columns = columns
        self.row = row

    @property
    def account(self) -> int:
        """Its number in the ledger."""
        return int(self.columns.account[self.row])

    @property
    def temper(self) -> Temper:
        """How it votes."""
        return Temper(int(self.columns.temper[self.row]))

    @property
    def seats(self) -> int:
        """Seats it had, planted cases included."""
        return int(self.columns.seats[self.row])

    @property
    def money_micro(self) -> int:
        """What it received minus what it lost, micro-credits."""
        return int(self.columns.money_micro[self.row])
