"""How the pots of an escrow are emptied.

Each function takes from the pots of this one escrow alone and writes an entry for every move. Remainder rule, the only one:
an amount T is split over weights w_1..w_n by cumulated floors, part i = floor(T W_i / W) - floor(T W_(i-1) / W) with W_i =
w_1 + .. + w_i. The parts add up to T exactly and each differs from its exact share by less than one minor unit.
"""

from __future__ import annotations

from contracts_model._jit import helper
from contracts_model.kernels.codes import (
    KIND_COLLATERAL_BACK,
    KIND_COLLATERAL_LOST,
    KIND_FEE,
    KIND_PAY,
    KIND_REFUND,
    KIND_RESERVE_BACK,
    KIND_SETTLED,
    NOBODY,
    POT_COLLATERAL,
    POT_PRICE,
    POT_RESERVE,
    SIDE_CHALLENGER,
    SIDE_PERFORMER,
)
from contracts_model.kernels.layout import CLOCK, FREE, Tables, share, write
from contracts_model.outcomes import PPM


@helper
def credit(t: Tables, now: int, kind: int, escrow: int, asset: int, leg: int, pot: int, actor: int, amount: int) -> None:
    """Give `amount` from a pot to the free balance of `actor`; nothing is written for nothing."""
    if amount > 0:
        t.balances[actor, asset, FREE] += amount
        write(t, now, kind, escrow, asset, leg, pot, actor, amount, 0)


@helper
def pay_price(t: Tables, now: int, escrow: int) -> None:
    """Price to the payees by weight, fee to the fee account."""
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    asset = terms["asset"]
    first = row["first_party"] + row["payers"]
    whole = 0
    for leg in range(row["payees"]):
        whole += t.parties[first + leg]["value"]
    before = 0
    weight = 0
    for leg in range(row["payees"]):
        party = t.parties[first + leg]
        weight += party["value"]
        upto = share(row["price"], weight, whole)
        credit(t, now, KIND_PAY, escrow, asset, leg, POT_PRICE, party["actor"], upto - before)
        before = upto
    credit(t, now, KIND_FEE, escrow, asset, 0, POT_PRICE, terms["fee_account"], row["fee"])
    row["pot_price"] = 0


@helper
def refund_price(t: Tables, now: int, escrow: int) -> None:
    """Give every payer exactly what it paid."""
    row = t.escrows[escrow]
    asset = t.terms[row["terms"]]["asset"]
    first = row["first_party"]
    for leg in range(row["payers"]):
        party = t.parties[first + leg]
        credit(t, now, KIND_REFUND, escrow, asset, leg, POT_PRICE, party["actor"], party["paid"])
    row["pot_price"] = 0


@helper
def return_collateral(t: Tables, now: int, escrow: int) -> None:
    """Give the collateral back to the performer."""
    row = t.escrows[escrow]
    asset = t.terms[row["terms"]]["bond_asset"]
    credit(t, now, KIND_COLLATERAL_BACK, escrow, asset, 0, POT_COLLATERAL, row["performer"], row["pot_collateral"])
    row["pot_collateral"] = 0


@helper
def forfeit_collateral(t: Tables, now: int, escrow: int) -> None:
    """Give the collateral to the victims: the challenger's share first (leg 0).

    The rest to the payers in proportion to what they paid.
    """
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    total = row["pot_collateral"]
    bounty = 0
    if row["challenger"] >= 0:
        bounty = share(total, terms["challenger_ppm"], PPM)
        credit(t, now, KIND_COLLATERAL_LOST, escrow, asset, 0, POT_COLLATERAL, row["challenger"], bounty)
    rest = total - bounty
    whole = row["price"] + row["fee"]
    first = row["first_party"]
    before = 0
    paid = 0
    for leg in range(row["payers"]):
        party = t.parties[first + leg]
        paid += party["paid"]
        upto = share(rest, paid, whole)
        credit(t, now, KIND_COLLATERAL_LOST, escrow, asset, leg + 1, POT_COLLATERAL, party["actor"], upto - before)
        before = upto
    row["pot_collateral"] = 0


@helper
def return_reserves(t: Tables, now: int, escrow: int) -> None:
    """Give unused appeal budgets back to the side that set them aside."""
    row = t.escrows[escrow]
    asset = t.terms[row["terms"]]["bond_asset"]
    credit(t, now, KIND_RESERVE_BACK, escrow, asset, SIDE_PERFORMER, POT_RESERVE, row["performer"], row["pot_reserve_performer"])
    credit(
        t, now, KIND_RESERVE_BACK, escrow, asset, SIDE_CHALLENGER, POT_RESERVE, row["challenger"], row["pot_reserve_challenger"]
    )
    row["pot_reserve_performer"] = 0
    row["pot_reserve_challenger"] = 0


@helper
def close(t: Tables, now: int, escrow: int, state: int) -> None:
    """Enter a terminal state; the last entry of an escrow's life."""
    t.escrows[escrow]["state"] = state
    t.counters[CLOCK] = now
    write(t, now, KIND_SETTLED, escrow, 0, 0, NOBODY, NOBODY, 0, state)
