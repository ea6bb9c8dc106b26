"""The scenario's `[[incident]]` tables: what befalls links on the day."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from sim.spec_section import AtLeastZero, Positive, Section


class IncidentSpec(Section, BaseModel):
    """Queue traffic: a link that lets nobody, or fewer, out for a time of the day that the worlds drive.

    Drivers have learned their ways on days without it. In the selfish world those who follow the news (`traffic.reactive_share`,
    every `traffic.reroute_every_s`) are re-routed while it lasts; the optimum is found in hindsight.
    """

    link: int | str
    """Id of the link."""
    from_s: AtLeastZero
    """When it begins, after the start of the period."""
    to_s: Positive
    """When it ends."""
    capacity_share: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """What is left of the link's capacity; 0 closes it."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> IncidentSpec:
        if self.to_s <= self.from_s:
            raise ValueError("to_s must be above from_s")
        return self
