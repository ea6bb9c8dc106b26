"""What the movers of a window promised to drive instead of what, in the network's own link positions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.settlement.clearing import Contracts


@dataclass(frozen=True, eq=False)
class Detours:
    """Routes and trips of the contracts' movers, one entry a contract; links are positions in the network.

    Attributes
    ----------
    baseline_start, baseline_link
        The baseline of contract k: links `baseline_link[baseline_start[k]:baseline_start[k + 1]]`.
    target_start, target_link
        The route that is paid for, in the same form.
    departure_s
        Departure of the mover, shape (n_contracts,).
    credits_per_s
        What a second of the mover's trip is worth: value of time * weight.
    baseline_apart
        Rows of the baselines that stand for another time than the target's on the same link: a read there tells which of the two
        was driven. None where times tell nothing apart (static traffic).
    """

    baseline_start: OffsetColumn
    baseline_link: IndexColumn
    target_start: OffsetColumn
    target_link: IndexColumn
    departure_s: FloatColumn
    credits_per_s: FloatColumn
    baseline_apart: BoolColumn | None = None

    def baseline_places(self, n_links: int) -> IndexColumn:
        """Return the rows of the baselines as places: link a is place a, and a + n_links at its other time."""
        if self.baseline_apart is None:
            return self.baseline_link
        return (self.baseline_link + n_links * self.baseline_apart).astype(np.int32)

    @property
    def n_contracts(self) -> int:
        """Number of contracts."""
        return len(self.departure_s)

    def baseline_of(self, contract: int) -> IndexColumn:
        """Return the links of a contract's baseline."""
        return self.baseline_link[self.baseline_start[contract] : self.baseline_start[contract + 1]]

    def target_of(self, contract: int) -> IndexColumn:
        """Return the links of a contract's target."""
        return self.target_link[self.target_start[contract] : self.target_start[contract + 1]]


def route_sums(start: OffsetColumn, link: IndexColumn, of_link: FloatColumn) -> FloatColumn:
    """Return the sum of a link column over each route, shape (n_routes,)."""
    route = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return np.asarray(np.bincount(route, weights=of_link[link], minlength=len(start) - 1), np.float64)


def detours_of(
    traffic: StaticTraffic, contracts: Contracts, baseline_route: IndexColumn, target_route: IndexColumn, value: FloatColumn
) -> tuple[Contracts, Detours]:
    """Return the contracts and their detours in the network's link positions.

    Parameters
    ----------
    traffic
        The world that knows the routes.
    contracts
        Contracts in the solver's link order, as `clear` gives them.
    baseline_route, target_route
        Route numbers of every traveller, shape (n_travellers,).
    value
        Value of time in credits a second, shape (n_travellers,).
    """
    order = traffic.problem.link_order
    baseline_start, baseline_link = _paths(traffic, baseline_route[contracts.mover])
    target_start, target_link = _paths(traffic, target_route[contracts.mover])
    population = traffic.population
    detours = Detours(
        baseline_start,
        order[baseline_link],
        target_start,
        order[target_link],
        np.ascontiguousarray(population.departure_s[contracts.mover]),
        np.asarray(value[contracts.mover] * population.weight[contracts.mover]),
    )
    return replace(contracts, link=order[contracts.link]), detours


def routes_driven(detours: Detours, drove_target: BoolColumn) -> tuple[OffsetColumn, IndexColumn]:
    """Return what was driven, in compressed rows: the target where `drove_target`, else the baseline."""
    lengths = np.where(drove_target, np.diff(detours.target_start), np.diff(detours.baseline_start))
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
    of_target = np.repeat(drove_target, lengths)
    link = np.empty(start[-1], np.int32)
    for chosen, first, links in (
        (of_target, detours.target_start, detours.target_link),
        (~of_target, detours.baseline_start, detours.baseline_link),
    ):
        link[chosen] = links[np.repeat(first[:-1], lengths)[chosen] + within[chosen]]
    return start, link


def _paths(traffic: StaticTraffic, route: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
    columns = traffic.routes.columns
    length = columns.start[route + 1] - columns.start[route]
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(length)))
    place = np.arange(start[-1]) + np.repeat(columns.start[route] - start[:-1], length)
    return start, columns.link[place]
