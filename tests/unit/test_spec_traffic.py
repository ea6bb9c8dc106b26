"""The `[traffic]` section: two models, each with keys of its own, and what is said of the others."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from sim.errors import InputError
from sim.spec import parse_scenario, scenario_schema
from sim.spec_traffic import QueueSettings, StaticSettings, require_queue, require_static

TEXTBOOK = {"name": "x", "network": {"source": "synthetic", "kind": "grid"}, "demand": {"source": "synthetic"}}
SOUND: list[dict[str, Any]] = [
    {},
    {"gap": 1e-4},
    {"model": "static", "days": 3},
    {"model": "queue"},
    {"model": "queue", "tick_s": 7},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tick_s": 3.0}, "traffic.tick_s: unknown key with model = \"static\" (known with 'queue')"),
    ({"model": "queue", "max_iterations": 3}, "traffic.max_iterations: unknown key with model = \"queue\" (known with 'static')"),
    ({"model": "queue", "nonsense": 3}, "traffic.nonsense: unknown key (allowed"),
    ({"model": "fluid"}, 'traffic.model: \'fluid\' (allowed: "queue", "static")'),
    ({"model": "queue", "tick_s": 0}, "traffic.tick_s: 0 (allowed: a number above 0)"),
    ({"model": "queue", "tick_s": float("nan")}, "traffic.tick_s: nan"),
    ({"model": "queue", "capacity_drop": 1.0}, "traffic.capacity_drop: 1.0"),
    ({"model": "queue", "gap": 1.0}, "traffic.gap: 1.0"),
    ({"model": "queue", "signals": 1}, "traffic.signals: 1 (allowed: true or false)"),
    ({"model": "queue", "departure_choice": {}}, "traffic.departure_choice.desired_arrival_s: missing"),
]


@pytest.mark.parametrize("traffic", SOUND)
def test_what_is_allowed_is_allowed_by_the_schema_too(traffic: dict[str, Any]) -> None:
    scenario = {**TEXTBOOK, "traffic": traffic}
    assert parse_scenario(scenario).traffic.model == traffic.get("model", "static")
    jsonschema.validate(scenario, scenario_schema())


@pytest.mark.parametrize(("traffic", "message"), WRONG)
def test_what_is_wrong_is_named(traffic: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as found:
        parse_scenario({**TEXTBOOK, "traffic": traffic})
    assert message in str(found.value)


def test_who_needs_one_model_refuses_the_other() -> None:
    static, queue = StaticSettings(), QueueSettings(model="queue")
    assert require_static(static, "tolls") is static
    assert require_queue(queue, "queues") is queue
    with pytest.raises(InputError, match="tolls"):
        require_static(queue, "tolls")
    with pytest.raises(InputError, match="queues"):
        require_queue(static, "queues")
