"""The `[traffic]` section of a scenario: one class a model of traffic, with every default, unit and bound.

Whole numbers of days, rounds and iterations bound the work; no budget is a number of seconds, so that no result depends on how
fast a machine is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from sim.errors import InputError
from sim.spec_section import AtLeastZero as _AtLeastZero
from sim.spec_section import Fraction as _Fraction
from sim.spec_section import Positive as _Positive
from sim.spec_section import Section


class _Section(Section, BaseModel):
    """Names pydantic's class again, by which ruff knows that defaults here may be tables."""


class StaticSettings(_Section):
    """Static traffic: the time of a link grows with its flow (BPR), and the whole period is one state."""

    model: Literal["static"] = "static"
    gap: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 1e-6
    """Relative gap at which user equilibrium and system optimum count as solved."""
    max_iterations: Annotated[int, Field(ge=1)] = 500
    days: Annotated[int, Field(ge=1, le=10_000)] = 60
    """Most days that the travellers of the selfish world get to find their routes."""
    atomic_gap: _AtLeastZero = 1e-4
    """Relative gap of the travellers' own routes at which the days stop (they also stop when nobody can gain)."""


class DepartureChoice(_Section):
    """Travellers choose when to leave, too: Vickrey's costs of time, of early and of late arrival, per hour in one currency."""

    desired_arrival_s: _AtLeastZero
    """When everybody wants to arrive, seconds after the start of the period."""
    spread_s: _AtLeastZero = 0.0
    """Wished arrivals are spread evenly over so many seconds around that time, by lot."""
    alpha_per_h: _Positive = 6.4
    """An hour of travel (the default values are Small's of 1982, as in Arnott, de Palma and Lindsey 1990)."""
    beta_per_h: _Positive = 3.9
    """An hour too early; below alpha, or nobody would ever wait in a queue."""
    gamma_per_h: _Positive = 15.21
    """An hour too late."""
    latest_departure_s: _Positive | None = None
    """End of the time in which people can leave, from 0 on; left out, the demand's period."""

    @model_validator(mode="after")
    def _early_costs_less_than_travel(self) -> DepartureChoice:
        if self.beta_per_h >= self.alpha_per_h:
            raise ValueError("beta_per_h must be below alpha_per_h")
        return self


class QueueSettings(_Section):
    """Queue traffic: every traveller is a vehicle that drives, queues and spills back within the day."""

    model: Literal["queue"]
    behaviour: Literal["equilibrium", "one_shot", "reactive", "given"] = "equilibrium"
    """Selfish drivers: equilibrium, who learn from day to day until hardly anybody can gain; one_shot, who take the way that is
    fastest by the present traffic when they leave; reactive, a share of whom is also re-routed on the road; given, who drive the
    way that the column path of the list of trips states (ids of links, blanks between them)."""
    gap: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.03
    """Relative gap, on experienced times, at which the equilibrium counts as found."""
    days: Annotated[int, Field(ge=1, le=10_000)] = 60
    """Most days that the equilibrium gets."""
    reactive_share: _Fraction = 1.0
    """reactive: share of the drivers who follow the present traffic, drawn by lot; the others keep their free-flow way. With an
    incident: share of those who are re-routed while it lasts; the others keep the way that they have learned."""
    reroute_every_s: _Positive = 300.0
    """one_shot and reactive: time between two pieces of news about the present traffic."""
    departure_choice: DepartureChoice | None = None
    """Left out, everybody leaves when the demand says."""
    tick_s: _Positive = 60.0
    """Time that a step of the world takes; it changes no result."""
    bin_s: _Positive = 300.0
    """Width of the time bins in which the results of links are recorded."""
    backward_wave_kph: _Positive = 18.0
    """Speed at which the gaps of a dissolving queue travel back."""
    jam_density_vpkm: _Positive = 1000.0 / 7.5
    """Vehicles on a kilometre of a lane in a standing queue; the default is one in 7.5 m."""
    capacity_drop: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Share of a link's capacity that is lost while a queue discharges."""
    signals: bool = False
    """Signals with red and green at the links where the map has them; otherwise they lower the capacity alone."""
    cycle_s: _Positive = 90.0
    """Cycle of the signals; the green share is that of the class of the link."""
    gridlock: Literal["rotate", "hold"] = "rotate"
    """What becomes of a circle of full links whose first vehicles wait for each other: rotate moves all of them up by one after
    patience_s; hold leaves them (not with equilibrium, since days need not end then)."""
    patience_s: _Positive = 60.0
    optimum_days: Annotated[int, Field(ge=0, le=10_000)] = 20
    """optimum: days of the walk with which the search for the best day begins, for each kind of tolls."""
    optimum_iterations: Annotated[int, Field(ge=1, le=100_000)] = 40
    """optimum: days tried after that; a worse one is never kept."""
    bound_iterations: Annotated[int, Field(ge=0, le=10_000)] = 100
    """optimum: evaluations of the lower bound; 0 leaves it at free flow."""
    bound_cell_s: Annotated[float, Field(ge=0.001, le=3600, allow_inf_nan=False)] = 4.0
    """Cells of time of the lower bound; the last evaluation has half of that. Smaller ones are tighter and dearer."""
    bound_links: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Links whose capacity the lower bound counts, those with the most waiting first."""

    @model_validator(mode="after")
    def _days_end(self) -> QueueSettings:
        if self.gridlock == "hold" and self.behaviour == "equilibrium":
            raise ValueError('gridlock = "hold" does not go with behaviour = "equilibrium", whose days must end')
        if self.departure_choice is not None and self.behaviour != "equilibrium":
            raise ValueError('departure_choice needs behaviour = "equilibrium"')
        return self


def _with_model(value: Any) -> Any:
    """Return a table that names its model; static is the default."""
    return {"model": "static", **value} if isinstance(value, dict) else value


Traffic: TypeAlias = Annotated[
    Annotated[StaticSettings | QueueSettings, Field(discriminator="model")],
    BeforeValidator(_with_model),
]
"""How congestion works and how exactly it is solved."""


def require_static(traffic: StaticSettings | QueueSettings, what: str) -> StaticSettings:
    """Return the settings of static traffic; InputError where the scenario has queues and `what` has no use for them."""
    if isinstance(traffic, QueueSettings):
        raise InputError('"queue"', where="traffic.model", allowed=f'"static" for {what}')
    return traffic


def require_queue(traffic: StaticSettings | QueueSettings, what: str) -> QueueSettings:
    """Return the settings of queue traffic; InputError where the scenario is static and `what` needs queues."""
    if isinstance(traffic, StaticSettings):
        raise InputError('"static"', where="traffic.model", allowed=f'"queue" for {what}')
    return traffic
