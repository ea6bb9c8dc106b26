"""Netting: nobody pays with one hand what goes into his other.

`by_fund`: a fund that owes in some deals and is owed in others only pays or only receives. `by_member`: what a fund pays comes
from the members on its link, and what it receives is theirs, in proportion to their stakes. On a route with the stake S whose
links' funds pay a and receive b for each unit of stake, S min(a, b) moves in a circle; it is taken off what those funds pay and,
to the same amount, off what they receive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.static_traffic import StaticTraffic


@dataclass(frozen=True, eq=False)
class RouteStakes:
    """Where the members stand: the stake of each route that some of them drive.

    Attributes
    ----------
    start, link
        The links of route r are `link[start[r]:start[r + 1]]`.
    stake
        Sum of value of time * weight of its members, credits a second, shape (n_routes,).
    """

    start: OffsetColumn
    link: IndexColumn
    stake: FloatColumn


def where_members_stand(traffic: StaticTraffic, member: IndexColumn, value: FloatColumn) -> RouteStakes:
    """Return the routes that members drive at present; links in the solver's order, as in a book of deals.

    Parameters
    ----------
    member
        Travellers who are members.
    value
        Value of time of every traveller in credits a second, shape (n_travellers,).
    """
    route, row = np.unique(traffic.route_of_traveller[member], return_inverse=True)
    stake = np.bincount(row, weights=value[member] * traffic.population.weight[member], minlength=len(route))
    columns = traffic.routes.columns
    length = columns.start[route + 1] - columns.start[route]
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(length)))
    place = np.arange(start[-1]) + np.repeat(columns.start[route] - start[:-1], length)
    return RouteStakes(start, columns.link[place], np.asarray(stake, np.float64))


def by_fund(link: IndexColumn, pays: FloatColumn, n_links: int) -> FloatColumn:
    """Return what remains of each row when every fund's payments and receipts (negative) are netted: one factor for each side."""
    owes = np.bincount(link, weights=np.maximum(pays, 0.0), minlength=n_links)
    owed = np.bincount(link, weights=np.maximum(-pays, 0.0), minlength=n_links)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        of_payments = np.where(owes > owed, (owes - owed) / owes, 0.0)
        of_receipts = np.where(owed > owes, (owed - owes) / owed, 0.0)
    return np.asarray(pays * np.where(pays > 0.0, of_payments[link], of_receipts[link]))


def by_member(link: IndexColumn, pays: FloatColumn, n_links: int, standing: RouteStakes) -> FloatColumn:
    """Return what remains of each row when every member's payments and receipts are netted.

    Parameters
    ----------
    link, pays
        Rows of what the funds pay (negative: receive); all rows of a fund have the same sign.
    standing
        The members' routes; a fund whose link nobody drives on keeps its rows.
    """
    net = np.bincount(link, weights=pays, minlength=n_links)
    of_row = np.repeat(np.arange(len(standing.stake)), np.diff(standing.start))
    stake_of_row = standing.stake[of_row]
    stake = np.bincount(standing.link, weights=stake_of_row, minlength=n_links)
    rate = np.divide(net, stake, out=np.zeros(n_links), where=stake > 0.0)[standing.link]
    n_routes = len(standing.stake)
    paid = np.bincount(of_row, weights=np.maximum(rate, 0.0), minlength=n_routes)
    received = np.bincount(of_row, weights=np.maximum(-rate, 0.0), minlength=n_routes)
    circled = np.minimum(paid, received)
    part_paid = np.divide(circled, paid, out=np.zeros(n_routes), where=paid > 0.0)
    part_received = np.divide(circled, received, out=np.zeros(n_routes), where=received > 0.0)
    part = np.where(rate > 0.0, part_paid[of_row], part_received[of_row])
    off = np.bincount(standing.link, weights=stake_of_row * rate * part, minlength=n_links)
    kept = 1.0 - np.divide(off, net, out=np.zeros(n_links), where=net != 0.0)
    # Rounding must not turn a payment that is netted away into a tiny receipt.
    return np.asarray(pays * np.maximum(kept, 0.0)[link])
