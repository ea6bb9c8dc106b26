"""Who may sell a detour at all: verified trips, bonds, and why nobody may name its own baseline.

Baselines are computed, never declared (`sim.negotiation.baseline`). To be entitled to one, a traveller needs a history of
verified trips of that OD pair: in a run, the days of the selfish warm-up. With each trip a bond is locked, which comes back when
the trip has been completed.

Theorems that the tests hold to:

- Phantom trips do not pay: whoever declares a trip that it does not need must drive it to be paid, and then gains refund - toll -
  cost of the drive, which is below 0 while the refund is at most the toll; undriven it gets nothing and loses the bond.
- Splitting into several identities is neutral: the funds pay, and externality and equal shares divide, in proportion to weight *
  value of time, so that the parts of a trip get together what the whole gets.
- Self-declared baselines extort: see `extortion_rent`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
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


@dataclass(frozen=True, eq=False)
class BondReturn:
    """Where the bonds of a window go, micro-credits; each is in one of the two columns, shapes (n_trips,)."""

    returned_micro: OffsetColumn
    kept_micro: OffsetColumn


def return_bonds(bond_micro: OffsetColumn, completed: BoolColumn) -> BondReturn:
    """Return the bonds of completed trips to those who drove; the others are kept.

    Parameters
    ----------
    bond_micro
        Bond of each trip, at least 0.
    completed
        Whether the vehicle was verified to arrive.
    """
    returned = np.where(completed, bond_micro, 0)
    return BondReturn(returned, bond_micro - returned)


def phantom_profit(
    refund: FloatColumn, toll: FloatColumn, driving_cost: FloatColumn, bond: FloatColumn, driven: BoolColumn
) -> FloatColumn:
    """Return what a trip earns that was declared for the refund's sake alone, credits, shape (n_trips,).

    Parameters
    ----------
    refund, toll
        What the mechanism pays to, and takes from, the trip when it is driven.
    driving_cost, bond
        What the drive costs the driver; what is lost if nobody drives. At least 0.
    driven
        Whether somebody drives it; nobody is paid for not travelling.
    """
    return np.asarray(np.where(driven, refund - toll - driving_cost, -bond))


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
