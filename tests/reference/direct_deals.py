"""Slow twins of `sim.kernels.pool_deals` and `sim.kernels.pair_deals`: each payment is made when a deal is struck, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reference.deals import Street, worth_of
from reference.travellers import Route


@dataclass
class Purse:
    """Everybody's money, and what was paid and charged in all."""

    money: list[float]
    payments: float = 0.0
    fees: float = 0.0
    deals: int = field(default=0)


def trade_with_pools(
    street: Street, turn: Sequence[int], known: Sequence[Sequence[Route]], fee_per_vehicle: float, theta: float, purse: Purse
) -> Street:
    """Let each in turn sell the detour with the largest G - kappa - fee; the members on relieved links pay, nobody else gets."""
    for mover in turn:
        fee = fee_per_vehicle * street.weight[mover]
        worths = [(worth_of(street, mover, route, fee), route) for route in known[mover] if route != street.driven[mover]]
        if not worths:
            continue
        worth, route = max(worths, key=lambda pair: pair[0].surplus + pair[0].harm)
        surplus = worth.surplus + worth.harm
        if surplus <= 1e-9 * street.trip_credits()[mover]:
            continue
        own_gain, own_loss = max(-worth.loss, 0.0), max(worth.loss, 0.0)
        due = own_loss + fee + theta * surplus
        rho = due / (worth.gains + own_gain)
        before, after = street.link_costs(), street.after(mover, route).link_costs()
        for traveller, driven in enumerate(street.driven):
            if street.is_member[traveller] and traveller != mover:
                relief = sum(before[link] - after[link] for link in worth.gain_of_link if link in driven)
                purse.money[traveller] -= rho * street.value[traveller] * street.weight[traveller] * relief
        purse.money[mover] += own_loss + theta * surplus - rho * own_gain
        purse.payments += due
        purse.fees += fee
        purse.deals += 1
        street = street.after(mover, route)
    return street


def trade_in_pairs(
    street: Street,
    turn: Sequence[int],
    met: Sequence[Sequence[int]],
    known: Sequence[Sequence[Route]],
    fee_per_vehicle: float,
    compensate: bool,
    purse: Purse,
) -> Street:
    """Let each in turn sell to one of those he meets; with `compensate` that one also pays what all other members lose."""
    for mover, others in zip(turn, met, strict=True):
        fee = fee_per_vehicle * street.weight[mover]
        best: tuple[float, int, Route, float, dict[int, float]] | None = None
        before = street.link_costs()
        for route in known[mover]:
            if route == street.driven[mover]:
                continue
            worth = worth_of(street, mover, route, fee)
            after = street.after(mover, route).link_costs()
            loss = max(worth.loss, 0.0)
            change = {link: after[link] - before[link] for link in (*worth.gain_of_link, *worth.harm_of_link)}
            gain, harm = {}, {}
            for person, driven in enumerate(street.driven):
                worth_of_time = street.value[person] * street.weight[person]
                gain[person] = -worth_of_time * sum(change[link] for link in driven if link in change)
                harm[person] = worth_of_time * sum(max(change[link], 0.0) for link in driven if link in change)
            for payer in others:
                if payer == mover:
                    continue
                owed = {
                    person: harm[person]
                    for person in range(len(harm))
                    if compensate and street.is_member[person] and person not in (mover, payer)
                }
                need = loss + fee + sum(owed.values())
                net = gain[payer] - need
                if net > 1e-9 * need and (best is None or net > best[0]) and net > 0.0:
                    best = (net, payer, route, loss, owed)
        if best is None:
            continue
        _, payer, route, loss, owed = best
        purse.money[mover] += loss
        for person, amount in owed.items():
            purse.money[person] += amount
        due = loss + fee + sum(owed.values())
        purse.money[payer] -= due
        purse.payments += due
        purse.fees += fee
        purse.deals += 1
        street = street.after(mover, route)
    return street
