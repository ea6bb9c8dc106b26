"""What-if: edits of a network that a scenario names under `[[network.change]]`, applied in order by `sim.network.changes`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from sim.spec_section import AtLeastZero, ExternalId, Positive, Section


class _Chosen(Section):
    """Links by their ids, or all links from one node to another; at least one of the two."""

    links: tuple[ExternalId, ...] = ()
    """Ids of links."""
    between: tuple[tuple[ExternalId, ExternalId], ...] = ()
    """Pairs of node ids, [from, to]: every link that leads from the one straight to the other."""

    @model_validator(mode="after")
    def _something(self) -> _Chosen:
        if not self.links and not self.between:
            raise ValueError("names no link: give links (ids), or between ([from, to] pairs of node ids)")
        return self


class _ChosenBothWays(_Chosen):
    both_ways: bool = False
    """Also the links that lead the opposite way between the same two nodes."""


class Close(_ChosenBothWays):
    """Close links to all traffic."""

    action: Literal["close"]


class Widen(_ChosenBothWays):
    """Change the capacity of links; exactly one of the three keys."""

    action: Literal["widen"]
    capacity_factor: Positive | None = None
    """Capacity becomes so many times what it was; below 1 it narrows."""
    capacity_vph: Positive | None = None
    lanes: Positive | None = None
    """Lanes from now on; capacity grows in proportion (the links must state their lanes)."""

    @model_validator(mode="after")
    def _one(self) -> Widen:
        if sum(value is not None for value in (self.capacity_factor, self.capacity_vph, self.lanes)) != 1:
            raise ValueError("widen needs exactly one of capacity_factor, capacity_vph and lanes")
        return self


class SetSpeed(_ChosenBothWays):
    """Change the free speed of links; exactly one of the two keys."""

    action: Literal["set_speed"]
    free_speed_kph: Positive | None = None
    """Free speed from now on; what a free-flow time holds beyond length / speed (a signal) stays. The links need a length."""
    speed_factor: Positive | None = None
    """Free speed becomes so many times what it was, and the free-flow time is divided by this."""

    @model_validator(mode="after")
    def _one(self) -> SetSpeed:
        if (self.free_speed_kph is None) == (self.speed_factor is None):
            raise ValueError("set_speed needs exactly one of free_speed_kph and speed_factor")
        return self


class OneWay(_Chosen):
    """Make streets one-way: the links that are named stay, those that lead the opposite way close."""

    action: Literal["one_way"]


class Toll(_ChosenBothWays):
    """Charge for links; everybody counts the toll as the same time."""

    action: Literal["toll"]
    fixed_cost_s: Positive
    """What the toll is worth to a driver, in seconds; added to the link's fixed cost."""


class Add(Section):
    """Build a link between two nodes that exist; exactly one of `free_speed_kph` and `free_flow_time_s`."""

    action: Literal["add"]
    tail: ExternalId
    """Node it starts from."""
    head: ExternalId
    """Node it leads to."""
    both_ways: bool = False
    """Build one in each direction."""
    capacity_vph: Positive
    """Of each direction."""
    free_speed_kph: Positive | None = None
    free_flow_time_s: AtLeastZero | None = None
    length_m: AtLeastZero | None = None
    """Left out: the straight distance between the nodes, which then need coordinates."""
    lanes: AtLeastZero = 0.0
    """0 where it does not matter."""
    bpr_alpha: AtLeastZero = 0.15
    bpr_beta: AtLeastZero = 4.0
    link_class: Annotated[str, Field(pattern=r"^\S.*$", description="a text that does not start with a blank")] = "added"

    @model_validator(mode="after")
    def _one(self) -> Add:
        if (self.free_speed_kph is None) == (self.free_flow_time_s is None):
            raise ValueError("add needs exactly one of free_speed_kph and free_flow_time_s")
        if self.tail == self.head:
            raise ValueError(f"tail and head are both {self.tail}")
        return self


NetworkChange: TypeAlias = Annotated[Close | Widen | SetSpeed | OneWay | Toll | Add, Field(discriminator="action")]
