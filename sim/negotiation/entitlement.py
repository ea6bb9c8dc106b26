"""Who may take part: registered trips, verified history, and why nobody may name its own baseline.

Baselines are computed, never declared (`sim.negotiation.baseline`). Whoever wants one registers a trip: a vehicle and an OD pair.
The vehicle must have a history of verified trips of that pair: in a run, the days of the selfish warm-up. With each trip a bond
is locked, which comes back when the trip has been completed (`sim.settlement.bonds`).

- Splitting into several identities is neutral: the funds pay, and externality and equal shares divide, in proportion to weight *
  value of time, so that the parts of a trip get together what the whole gets. Shapley and least core are not linear in weight;
  there the identities of a vehicle count as one player.
- Phantom trips do not pay: a trip that nobody has driven before has no history and is not admitted; where no history is asked
  for it is admitted, nobody is paid for not travelling, and the bond is lost. Links count vehicles, not registrations, so that a
  phantom trip moves no price.
- Self-declared baselines extort: see `extortion_rent`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem, Principle, refresh_costs
from sim.kernels.named_routes import most_on_used_routes


def verified_trips(record_traveller: IndexColumn, record_od_idx: IndexColumn, claimed_od_idx: IndexColumn) -> IndexColumn:
    """Return how many verified trips of its claimed OD pair each traveller has.

    Parameters
    ----------
    record_traveller, record_od_idx
        Traveller and OD cell of each verified trip, shape (n_records,).
    claimed_od_idx
        OD cell that each traveller claims a baseline for, shape (n_travellers,).
    """
    fits = record_od_idx == claimed_od_idx[record_traveller]
    return np.bincount(record_traveller[fits], minlength=len(claimed_od_idx)).astype(np.int32)


def entitled(n_verified: IndexColumn, needed: int) -> BoolColumn:
    """Return who has at least `needed` verified trips."""
    return np.asarray(n_verified >= needed)


IDENTITIES_OF_A_SYBIL: Final = 3
"""As so many identities a sybil registers its one vehicle."""


@dataclass(frozen=True, eq=False)
class Registrations:
    """Trips that were registered for a window, one row an identity, ascending by traveller, phantoms last of each.

    Attributes
    ----------
    traveller
        Who is behind it.
    nth
        Which of his identities it is, from 0.
    part
        Share of his vehicle that it stands for; the parts of a traveller add up to 1, a phantom has 0.
    is_phantom
        Whether nobody drives that trip.
    admitted
        Whether the vehicle's history entitles it to a baseline.
    """

    traveller: IndexColumn
    nth: IndexColumn
    part: FloatColumn
    is_phantom: BoolColumn
    admitted: BoolColumn

    @property
    def taking_part(self) -> IndexColumn:
        """Rows of the identities with a vehicle that were admitted."""
        return np.flatnonzero(self.admitted & ~self.is_phantom).astype(np.int32)

    @property
    def bonded(self) -> IndexColumn:
        """Rows of all identities that were admitted and locked a bond."""
        return np.flatnonzero(self.admitted).astype(np.int32)

    @property
    def refused(self) -> int:
        """How many were not admitted."""
        return int((~self.admitted).sum())


def register_trips(
    wants: BoolColumn, is_sybil: BoolColumn, od_idx: IndexColumn, *, days_driven: int, history_trips: int
) -> Registrations:
    """Return the trips that those who want to take part register, and who is admitted.

    Every vehicle has driven its own OD pair on each of `days_driven` days; the vehicle of a phantom trip on none.

    Parameters
    ----------
    wants, is_sybil
        Who wants to be a member, and who of them registers as a sybil; shapes (n_travellers,).
    od_idx
        OD cell of each traveller.
    days_driven, history_trips
        Verified days, and how many are needed.
    """
    wanting = np.flatnonzero(wants).astype(np.int32)
    identities = np.where(is_sybil[wanting], IDENTITIES_OF_A_SYBIL + 1, 1)
    traveller = np.repeat(wanting, identities)
    first = np.repeat(np.cumsum(identities) - identities, identities)
    nth = (np.arange(len(traveller)) - first).astype(np.int32)
    is_phantom = nth == IDENTITIES_OF_A_SYBIL
    part = np.where(is_phantom, 0.0, np.where(is_sybil[traveller], 1.0 / IDENTITIES_OF_A_SYBIL, 1.0))
    # A phantom's vehicle has a number of its own, behind those that exist.
    n_travellers = len(od_idx)
    vehicle = np.where(is_phantom, n_travellers + np.cumsum(is_phantom) - 1, traveller)
    claimed = np.concatenate((od_idx, od_idx[traveller[is_phantom]]))
    everybody = np.arange(n_travellers, dtype=np.int32)
    history = verified_trips(np.tile(everybody, days_driven), np.tile(od_idx, days_driven), claimed)
    return Registrations(traveller, nth, part, np.asarray(is_phantom), entitled(history, history_trips)[vehicle])


@dataclass(frozen=True)
class Extortion:
    """What self-declared baselines would cost, seconds a vehicle.

    Attributes
    ----------
    rent_s
        What a driver could extort on average.
    saving_s
        What there is to divide: mean cost at equilibrium - mean cost at the optimum.
    """

    rent_s: float
    saving_s: float


def extortion_rent(problem: AssignmentProblem, equilibrium: Assignment, optimum_total_cost_s: float) -> Extortion:
    """Return the rent that drivers could extort who may name their usual route among those that are used and cost the same.

    Leaving a route is worth its external cost sum v t'(v) to the others. At equilibrium all used routes of an OD pair cost their
    drivers the same, so each can name the used one with the largest external cost e and be paid for leaving it, instead of the
    one that the lottery draws, whose mean is that of the flows: rent = sum over OD cells of d max_p e_p - sum over links of
    v^2 t'(v), per vehicle.

    Parameters
    ----------
    problem, equilibrium
        A solved user equilibrium.
    optimum_total_cost_s
        Total cost of the system optimum, vehicle-seconds.
    """
    links = problem.links(Principle.USER_EQUILIBRIUM)
    links.flow[:] = equilibrium.flow_vph[problem.link_order]
    refresh_costs(links)
    external = links.flow * np.where(np.isfinite(links.cost_slope), links.cost_slope, 0.0)
    flows, most = equilibrium.origin_flows, np.empty(problem.network.n_nodes)
    named = 0.0
    for origin in range(problem.n_origins):
        rows = slice(flows.start[origin], flows.start[origin + 1])
        cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
        most_on_used_routes(
            problem.origin_node[origin], flows.link[rows], flows.flow[rows], problem.tail, problem.head, external, most
        )
        named += float(problem.cell_demand[cells] @ most[problem.cell_node[cells]])
    vehicles = problem.od.total_vph
    drawn = float(links.flow @ external)
    return Extortion((named - drawn) / vehicles, (equilibrium.total_cost_s - optimum_total_cost_s) / vehicles)
