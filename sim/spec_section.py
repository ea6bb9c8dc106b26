"""What the sections of a scenario are made of: strictness, and the kinds of values that several of them hold."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeastZero: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
FileName: TypeAlias = Annotated[
    str, Field(pattern=r"^[^\x00]+$", description="the name of a file, relative to the scenario file")
]


def _id_text(value: object) -> object:
    """Return a whole number as the text that the network's own id has; anything else as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ExternalId: TypeAlias = Annotated[
    str,
    BeforeValidator(_id_text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "an id: a text or a whole number"}),
]
"""Id of a node or link as the network writes it; kept as text."""


class Section(BaseModel):
    """A table of a scenario: frozen, without unknown keys, without conversions between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
