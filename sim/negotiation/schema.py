"""The published JSON Schema of the negotiation's messages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from sim.negotiation.messages import AnyMessage


def message_schema() -> dict[str, Any]:
    """Return one JSON Schema (draft 2020-12) for all messages: `oneOf`, told apart by `type`.

    What a schema cannot say (sums, order of instants, depth of a condition, ids) `sim.negotiation.messages.parse_message` checks.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[AnyMessage, Field(discriminator="type")])
    schema = adapter.json_schema()
    for model in schema["$defs"].values():
        # The type of a message is what tells it apart, so a reader must find it, though a Python author need not write it.
        if "type" in model.get("properties", {}) and "const" in model["properties"]["type"]:
            model["properties"]["type"].pop("default", None)
            model["required"] = ["type", *model.get("required", [])]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "routepact negotiation messages", **schema}
