"""What a scenario may ask of the market in queue traffic; light, so that a wrong word is told at once."""

from __future__ import annotations

from pathlib import Path

from sim.errors import InputError
from sim.spec import Market, ScenarioSpec
from sim.spec_traffic import QueueSettings

QUEUE_MARKET_KEYS = (
    "days",
    "rehearsals",
    "departure_shift_s",
    "departure_step_s",
    "earlier_cost",
    "later_cost",
    "broadcast_step_s",
    "broadcast_memory",
)
"""Keys of `[market]` that static traffic does not have."""


def require_queue_market(spec: ScenarioSpec, settings: QueueSettings, source: Path | None = None) -> None:
    """Raise InputError where a scenario asks the coalition for what it does not have in queue traffic."""
    market = spec.market
    lottery = '"lottery": in queue traffic everybody\'s baseline is what the selfish day cost him'
    for key, bad, allowed in (
        ("traffic.behaviour", settings.behaviour != "equilibrium", '"equilibrium" with the world coalition'),
        ("market.shares", market.shares not in ("externality", "equal"), '"externality" or "equal" in queue traffic'),
        ("market.who_gives_way", market.who_gives_way != "lot", '"lot" in queue traffic'),
        ("market.strategies", bool(market.strategies), "none in queue traffic"),
        ("market.baselines", market.baselines != "lottery", lottery),
        ("market.rounds", market.rounds != Market().rounds, "days and rehearsals instead, in queue traffic"),
        ("adversaries.extortionists", spec.adversaries.extortionists > 0.0, "0 in queue traffic"),
        ("adversaries.defectors", bool(spec.incident) and spec.adversaries.defectors > 0.0, "0 on a day with incidents"),
        ("report.participation", bool(spec.report.participation), "none in queue traffic"),
        ("report.fees", bool(spec.report.fees), "none in queue traffic"),
    ):
        if bad:
            raise InputError("the market of queue traffic does not have that", source=source, where=key, allowed=allowed)


def require_static_market(spec: ScenarioSpec, source: Path | None = None) -> None:
    """Raise InputError where a static scenario sets what only the market of queue traffic has."""
    for key in QUEUE_MARKET_KEYS:
        if key in spec.market.model_fields_set and getattr(spec.market, key) != getattr(Market(), key):
            allowed = 'traffic.model = "queue"'
            raise InputError("belongs to queue traffic", source=source, where=f"market.{key}", allowed=allowed)
