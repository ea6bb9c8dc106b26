"""What the page shows at one moment: immutable, so that any thread may read it while the worlds go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dashboard.books import Books, Event
from dashboard.paint import Scale
from dashboard.streets import Streets
from dashboard.wishes import Wish
from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.experiments.build import BuiltScenario
from sim.metrics import PriceOfAnarchy


class Phase(StrEnum):
    """How far the controller has come with what the visitor asked for."""

    READING = "reading"
    SOLVING = "solving"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class City:
    """A built scenario and its streets as the map draws them.

    Attributes
    ----------
    built, streets
        What runs, and its picture.
    end_s
        Length of the day that the clock runs through, seconds.
    """

    built: BuiltScenario
    streets: Streets
    end_s: float

    @cached_property
    def link_class(self) -> IndexColumn:
        """Name of each link's class, shape (n_links,)."""
        return np.asarray(self.built.network.link_classes)[self.built.network.link_class_code]

    def street(self, link_idx: int) -> str:
        """Return the name by which people know a link."""
        network = self.built.network
        return network.street_name(link_idx) or f"Link {network.link_id[link_idx]}"


@dataclass(frozen=True)
class Progress:
    """Work that takes a while: what, how far on a scale of 0 to 1 (None: unknown), and a remark."""

    task: str
    share: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Solved:
    """What the ratios of the page are measured by.

    Attributes
    ----------
    price
        The Price of Anarchy at equilibrium, with its interval.
    optimum_s, optimum_bound_s
        Vehicle-seconds of the optimum (the best that is known), and what no plan can fall below.
    optimum_words
        What the optimum is: solved, or the best found.
    scale
        Scale of volume over capacity that suits the city's loads.
    """

    price: PriceOfAnarchy
    optimum_s: float
    optimum_bound_s: float
    scale: Scale
    optimum_words: str = "optimum"


@dataclass(frozen=True)
class Day:
    """One day of a world: vehicle-seconds of everybody, who changed the route, the relative gap where it means something."""

    day: int
    total_s: float
    moved: int = 0
    relative_gap: float | None = None


class Itineraries(Protocol):
    """Which way each traveller goes."""

    def paths(self, rows: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
        """Return the ways of some travellers in compressed rows, as links of the streets."""
        ...


@dataclass(frozen=True, eq=False)
class LinkState:
    """Traffic on each link of the streets, shapes (n_links,).

    Attributes
    ----------
    flow_vph
        Vehicles in the period, or an hour.
    time_s
        Travel time.
    external_s
        What one more vehicle there costs the others, seconds; None where that is not known.
    places_taken
        Vehicles over the places there are, in queue traffic.
    """

    flow_vph: FloatColumn
    time_s: FloatColumn
    external_s: FloatColumn | None = None
    places_taken: FloatColumn | None = None


@dataclass(frozen=True, eq=False)
class Bins:
    """A number of each link by bins of time, shape (n_links, n_bins)."""

    bin_s: float
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WorldView:
    """A world after its latest day.

    Attributes
    ----------
    key, title, remark
        Its name in poa.json, on the page, and what it is in a few words.
    days
        All days so far.
    links
        Its traffic; None where the traffic changes with the clock.
    routes
        Everybody's way.
    cost_s
        Generalised cost of each traveller's trip in seconds, shape (n_travellers,).
    stopped_because
        Why no further day follows, or None.
    money_micro
        What each traveller received minus what he paid, once a window is settled.
    under_contract
        Travellers who changed their way under a contract.
    co2_kg
        Kilograms an hour; None where it cannot be told.
    below_baseline
        Members who ended below their baseline, once that is known.
    flow_by_day
        Flow of each link on every day so far, where it is kept.
    flow_by_bin
        Vehicles on each link through the day, in queue traffic.
    departure_s
        When its travellers leave, where they are not the city's own.
    """

    key: str
    title: str
    remark: str
    days: tuple[Day, ...]
    links: LinkState | None
    routes: Itineraries
    cost_s: FloatColumn
    stopped_because: str | None = None
    money_micro: OffsetColumn | None = None
    under_contract: BoolColumn | None = None
    co2_kg: float | None = None
    below_baseline: int | None = None
    flow_by_day: tuple[NDArray[np.float32], ...] = ()
    flow_by_bin: Bins | None = None
    departure_s: FloatColumn | None = None

    @property
    def today(self) -> Day:
        """The latest day."""
        return self.days[-1]


@dataclass(frozen=True)
class MarketState:
    """What the market has come to.

    Attributes
    ----------
    members, deals
        How many there are.
    paid_credits
        What has changed hands in the deals so far.
    fees_credits
        What goes to the validators.
    settled
        Whether the window is closed, the contracts carried out and the members paid.
    content
        The world's entry in poa.json, once it is settled.
    """

    members: int = 0
    deals: int = 0
    paid_credits: float = 0.0
    fees_credits: float = 0.0
    settled: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)


class Stage(Protocol):
    """Traffic within the day, by the clock; used by one thread alone."""

    def at(self, clock_s: float) -> Moment:
        """Return the traffic at a time."""
        ...


@dataclass(frozen=True, eq=False)
class VehiclesNow:
    """Vehicles on the road, shapes (n_vehicles,): traveller, link of the streets, part of the link that is driven (0..1)."""

    traveller: IndexColumn
    link_idx: IndexColumn
    fraction: FloatColumn


@dataclass(frozen=True, eq=False)
class PaneNow:
    """One map at one time.

    Attributes
    ----------
    vehicles, links
        What is on the road, and the traffic of the links.
    links_version
        Differs whenever `links` does.
    under_way
        Vehicles that have left and not arrived; None in static traffic.
    """

    vehicles: VehiclesNow
    links: LinkState
    links_version: int
    under_way: int | None = None


@dataclass(frozen=True, eq=False)
class Moment:
    """The traffic of all maps at one time of the day.

    Attributes
    ----------
    spent_s
        Vehicle-seconds that everybody who has left has spent so far, in the worlds of the maps and in the optimum; None in
        static traffic, which knows no moment.
    """

    clock_s: float
    panes: tuple[PaneNow, ...]
    spent_s: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """One moment of a visitor's session.

    Attributes
    ----------
    city
        There once the scenario is built.
    progress
        There while something takes long.
    solved
        There once the ratios can be told.
    left, right
        The worlds of the two maps; there from the first day on.
    stage
        Vehicles and traffic by the clock.
    market, books, feed
        The market's state, its contracts and ledger, its latest events (newest first).
    last_day
        In a replay: the last day there is.
    playing
        Whether the clock runs.
    facts
        What is told of recorded runs: (name, first run, second run).
    recorded
        Worlds that may be shown on the left and on the right map of a replay.
    error
        What went wrong, in words, when the phase is FAILED.
    """

    wish: Wish
    phase: Phase = Phase.READING
    city: City | None = None
    progress: Progress | None = None
    solved: Solved | None = None
    left: WorldView | None = None
    right: WorldView | None = None
    stage: Stage | None = None
    market: MarketState | None = None
    books: Books | None = None
    feed: tuple[Event, ...] = ()
    last_day: int | None = None
    playing: bool = False
    facts: tuple[tuple[str, str, str], ...] = ()
    recorded: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    error: str | None = None

    @property
    def at_rest(self) -> bool:
        """Whether no further day follows."""
        return self.right is not None and self.right.stopped_because is not None

    @property
    def is_queue(self) -> bool:
        """Whether vehicles queue and spill back within the day."""
        return self.city is not None and self.city.built.spec.traffic.model == "queue"
