from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from sim.rng import stream, uniforms

IDS = np.arange(20_000)


def test_a_draw_depends_on_its_own_id_alone() -> None:
    everybody = uniforms(1, "turn", IDS, 3)
    chosen = np.array([19_999, 5, 5, 700])
    assert uniforms(1, "turn", chosen, 3).tolist() == everybody[chosen].tolist()
    assert uniforms(1, "turn", IDS[::-1], 3).tolist() == everybody[::-1].tolist()


def test_the_numbers_never_change() -> None:
    # Runs of earlier versions can be repeated only if these stay.
    assert uniforms(1, "turn", np.array([0, 1]), 0).tolist() == uniforms(1, "turn", np.array([0, 1], np.uint64)).tolist()
    assert uniforms(7, "plan lottery", np.array([0, 1, 2**63], np.uint64)).tolist() == [
        0.6353710552105845,
        0.19777750656519577,
        0.3257583297182245,
    ]
    assert stream(7, "plan lottery", 3, 2).random(2).tolist() == [0.46899078068701483, 0.8403082814734492]


@pytest.mark.parametrize("other", [(2, "turn", 3), (1, "Turn", 3), (1, "turn", 4), (2**63 - 1, "turn", 3)])
def test_other_keys_give_other_luck(other: tuple[int, str, int]) -> None:
    here, there = uniforms(1, "turn", IDS, 3), uniforms(other[0], other[1], IDS, other[2])
    assert not np.isclose(here, there, atol=1e-9).any()
    assert abs(np.corrcoef(here, there)[0, 1]) < 4.0 / np.sqrt(len(IDS))
    assert stream(1, "turn", 0, 3).random() != stream(other[0], other[1], 0, other[2]).random()


@pytest.mark.parametrize("step", [1, 2**32, 2**40 + 1])
def test_uniform_whatever_the_ids(step: int) -> None:
    drawn = uniforms(5, "departure", IDS.astype(np.uint64) * np.uint64(step))
    assert drawn.min() >= 0.0 and drawn.max() < 1.0
    assert len(np.unique(drawn)) == len(IDS)
    assert kstest(drawn, "uniform").pvalue > 1e-3
    # Neighbouring ids know nothing of each other.
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4.0 / np.sqrt(len(IDS))


def test_streams_of_neighbours_differ() -> None:
    first = [stream(1, "purpose", number).random() for number in range(200)]
    assert len(set(first)) == 200
    assert kstest(first, "uniform").pvalue > 1e-3
    assert stream(1, "purpose", 3).random() == first[3]
