"""The Hypothesis machine: a few thousand steps here, a million in the nightly run."""

from __future__ import annotations

import pytest
from contract_machine import ContractMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "print_blob": True}


def counting(steps: list[int]) -> type[ContractMachine]:
    class Counting(ContractMachine):
        def teardown(self) -> None:
            steps[0] += self.steps
            super().teardown()

    return Counting


def test_random_operations_agree_with_the_twin() -> None:
    steps = [0]
    quick = settings(max_examples=90, stateful_step_count=60, derandomize=True, **QUIET)
    run_state_machine_as_test(counting(steps), settings=quick)
    assert steps[0] >= 3000


@pytest.mark.nightly
def test_a_million_random_operations() -> None:
    steps = [0]
    machine = counting(steps)
    while steps[0] < 1_000_000:
        run_state_machine_as_test(machine, settings=settings(max_examples=500, stateful_step_count=200, **QUIET))
    print(f"{steps[0]:,} operations, every one on the book and on its twin")
