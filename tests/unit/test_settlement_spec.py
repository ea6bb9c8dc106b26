"""The scenario's sections [contracts] and [adversaries]: defaults, bounds, messages."""

from __future__ import annotations

from typing import Any

import pytest

from sim.errors import InputError
from sim.spec import Adversaries, ContractRules, parse_scenario


def scenario(**sections: dict[str, Any]) -> dict[str, Any]:
    plain = {"source": "synthetic", "kind": "braess"}
    return {"name": "x", "network": plain, "demand": {"source": "synthetic"}, **sections}


def test_sections_may_be_left_out() -> None:
    spec = parse_scenario(scenario())
    assert spec.contracts == ContractRules() and spec.adversaries == Adversaries()
    assert set(spec.adversaries.model_dump().values()) == {0.0} and spec.contracts.enforcement


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("contracts", "panel", 64, "63"),
        ("contracts", "rounds", 6, "5"),
        ("contracts", "trap_rate", 1.0, "0.9"),
        ("contracts", "bond", 0.0, "0.001"),
        ("contracts", "gps_noise_m", -1.0, "0"),
        ("contracts", "collaterall", 1.0, "collateral"),
        ("adversaries", "defectors", 1.5, "1"),
    ],
)
def test_bad_values_are_named(section: str, key: str, value: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_scenario(scenario(**{section: {key: value}}))
    assert f"{section}.{key}" in str(caught.value) and words in str(caught.value)


def test_validators_cannot_be_more_than_all() -> None:
    with pytest.raises(InputError, match="lazy_validators and colluding_validators together exceed 1"):
        parse_scenario(scenario(adversaries={"lazy_validators": 0.6, "colluding_validators": 0.5}))
