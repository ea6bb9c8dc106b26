"""`Book`: the whole object interface; ledger, escrows, disputes and validators of one world."""

from __future__ import annotations

from contracts_model.disputes import DisputeDesk


class Book(DisputeDesk):
    """Money and agreements of one world.

    Time is an argument of every operation and never runs backwards; nobody reads a clock. The order of operations, the seed
    and the arguments determine every byte of the journal.

    Examples
    --------
    >>> from contracts_model import Book, Offer, Terms
    >>> book = Book(seed=7)
    >>> bank, ann, bob = book.add_actors(["bank", "ann", "bob"])
    >>> credit = book.add_asset("credit", bank).idx
    >>> book.issue(bank, ann, credit, 100, now=0)
    <Outcome.OK: 0>
    >>> book.transfer(ann, bob, credit, 101, now=1)
    <Outcome.INSUFFICIENT_FUNDS: 40>
    """
