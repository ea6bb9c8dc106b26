"""What the page shows at one moment: immutable, so that any thread may read it while the worlds go on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dashboard.paint import Scale
from dashboard.streets import Streets
from sim.arrays import FloatColumn
from sim.assignment.equilibrium import Assignment
from sim.experiments.build import BuiltScenario
from sim.metrics import PriceOfAnarchy
from sim.model import CityModel, DayRecord
from sim.network.turns import TurnGraph

LEAST_DEMAND, MOST_DEMAND = 0.25, 2.0
"""Bounds of the demand that a visitor may ask for, as a multiple of the scenario's own."""


class Phase(StrEnum):
    """How far the controller has come with what the visitor asked for."""

    READING = "reading"
    SOLVING = "solving"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Wish:
    """What the visitor wants to see: a scenario (name or file) and its demand as a multiple of the file's own."""

    scenario: str
    demand_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class City:
    """A built scenario and its streets as the map draws them."""

    built: BuiltScenario
    streets: Streets


@dataclass(frozen=True)
class Progress:
    """A solver at work: its principle in words, iteration, first, present and wanted relative gap."""

    task: str
    iteration: int
    first_gap: float
    relative_gap: float
    wanted_gap: float


@dataclass(frozen=True, eq=False)
class Solved:
    """The continuous solutions of the demand, the Price of Anarchy that they prove, and the scale that suits their loads."""

    equilibrium: Assignment
    optimum: Assignment
    price: PriceOfAnarchy
    scale: Scale


@dataclass(frozen=True, eq=False)
class WorldView:
    """A world after its latest day; columns in the network's link order, shapes (n_links,).

    Attributes
    ----------
    days
        All days so far.
    flow_vph
        Vehicles on each link.
    time_s
        Travel time of each link.
    stopped_because
        Why no further day follows, or None.
    """

    days: tuple[DayRecord, ...]
    flow_vph: FloatColumn
    time_s: FloatColumn
    stopped_because: str | None

    @property
    def today(self) -> DayRecord:
        """The latest day."""
        return self.days[-1]


def view_of(world: CityModel, graph: TurnGraph) -> WorldView:
    """Return a copy of what a world shows on the streets of its turn graph after at least one day."""
    problem, links = world.traffic.problem, world.traffic.links
    time_s = problem.in_network_order(links.cost) - problem.network.fixed_cost_s
    flow = problem.in_network_order(links.flow)
    on_streets = graph.flow_on_streets(flow), graph.time_on_streets(flow, time_s)
    return WorldView(tuple(world.days), *on_streets, world.stopped_because)


@dataclass(frozen=True, eq=False)
class Scene:
    """One moment of a visitor's session.

    Attributes
    ----------
    city
        There once the scenario is built.
    progress
        There while a solver works.
    solved
        There once both continuous solutions are.
    selfish, optimum
        There from the first day on.
    playing
        Whether days follow each other by themselves.
    error
        What went wrong, in words, when the phase is FAILED.
    """

    wish: Wish
    phase: Phase = Phase.READING
    city: City | None = None
    progress: Progress | None = None
    solved: Solved | None = None
    selfish: WorldView | None = None
    optimum: WorldView | None = None
    playing: bool = False
    error: str | None = None

    @property
    def at_rest(self) -> bool:
        """Whether the selfish world has come to rest."""
        return self.selfish is not None and self.selfish.stopped_because is not None
