"""Designs: what stands at which point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.errors import InputError
from sim.experiments.sweep_design import make_design
from sim.sweep_spec import Factor, SweepSpec, find_sweep


def sweep(*factors: dict[str, Any], **keys: Any) -> SweepSpec:
    return SweepSpec.model_validate({"name": "x", "base": "braess", "factor": factors, **keys})


@settings(derandomize=True, max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_grid_holds_every_combination_once_and_the_last_factor_is_the_fastest(sizes: list[int]) -> None:
    spec = sweep(*({"key": f"a.b{k}", "values": tuple(range(size))} for k, size in enumerate(sizes)))
    design = make_design(spec)
    points = [design.values(point) for point in range(design.n_points)]
    assert points == sorted(points)
    assert len(set(points)) == len(points) == np.prod(sizes)


def test_steps_of_a_range_are_the_numbers_that_people_type() -> None:
    design = make_design(sweep({"key": "a.b", "low": 0.1, "high": 1.0, "steps": 10}))
    assert [design.values(point)[0] for point in range(10)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_a_logarithmic_range_has_equal_ratios() -> None:
    design = make_design(sweep({"key": "a.b", "low": 1.0, "high": 1000.0, "steps": 4, "distribution": "log_uniform"}))
    assert [design.values(point)[0] for point in range(4)] == [1.0, 10.0, 100.0, 1000.0]


def test_a_list_goes_through_all_factors_together() -> None:
    design = make_design(sweep({"key": "a.b", "values": (1, 2)}, {"key": "a.c", "values": ("x", "y")}, design="list"))
    assert [design.values(point) for point in range(design.n_points)] == [(1, "x"), (2, "y")]


def test_a_latin_hypercube_has_one_point_in_each_part_of_each_factor() -> None:
    spec = sweep(
        {"key": "a.b", "low": 0.0, "high": 1.0}, {"key": "a.c", "low": 5.0, "high": 7.0}, design="latin_hypercube", points=40
    )
    design = make_design(spec)
    values = np.array([design.values(point) for point in range(40)])
    for column, low, width in ((values[:, 0], 0.0, 1.0), (values[:, 1], 5.0, 2.0)):
        assert sorted(np.floor((column - low) / width * 40).astype(int)) == list(range(40))


@pytest.mark.parametrize(
    ("keys", "distribution"),
    [
        ({"mean": 3.0, "sd": 2.0, "distribution": "normal"}, stats.norm(3.0, 2.0)),
        ({"mean": 3.0, "sd": 0.5, "distribution": "lognormal"}, stats.lognorm(0.5, scale=3.0 * np.exp(-0.125))),
        ({"low": 1.0, "high": 9.0, "distribution": "log_uniform"}, stats.loguniform(1.0, 9.0)),
        ({"low": -1.0, "high": 9.0}, stats.uniform(-1.0, 10.0)),
    ],
)
def test_ranges_follow_their_distribution(keys: dict[str, Any], distribution: Any) -> None:
    design = make_design(sweep({"key": "a.b", **keys}, design="latin_hypercube", points=400))
    values = [design.values(point)[0] for point in range(400)]
    # A Latin hypercube is never further from its distribution than one part in its number of points.
    assert stats.kstest(values, distribution.cdf).statistic <= 1 / 400 + 1e-9


def test_levels_take_equal_parts_of_a_sampled_design() -> None:
    design = make_design(sweep({"key": "a.b", "values": ("x", "y", "z")}, design="latin_hypercube", points=30))
    assert sorted(design.values(point)[0] for point in range(30)) == ["x"] * 10 + ["y"] * 10 + ["z"] * 10


def test_saltellis_design_has_two_points_more_than_factors_for_each_sample() -> None:
    spec = sweep(*({"key": f"a.b{k}", "low": 0.0, "high": 1.0} for k in range(3)), design="sobol", points=16)
    assert make_design(spec).n_points == 16 * (3 + 2)
    again = make_design(spec)
    assert [again.values(point) for point in range(80)] == [make_design(spec).values(point) for point in range(80)]


def test_whole_ranges_give_whole_numbers() -> None:
    design = make_design(sweep({"key": "a.b", "low": 1, "high": 4, "steps": 4, "whole": True}))
    values = [design.values(point)[0] for point in range(4)]
    assert values == [1, 2, 3, 4]
    assert all(isinstance(value, int) for value in values)


def test_a_design_that_nobody_can_run_is_refused() -> None:
    with pytest.raises(InputError, match="at most 10,000,000"):
        make_design(sweep(*({"key": f"a.b{k}", "low": 0.0, "high": 1.0, "steps": 1000} for k in range(3))))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "factor"),
        ('[[factor]]\nkey = "seed"\nvalues = [1]\n', "seed is no factor"),
        ('[[factor]]\nkey = "a.b"\n', "give values, or high and low"),
        ('[[factor]]\nkey = "a.b"\nvalues = [1]\nlow = 2\n', "either values or a range"),
        ('[[factor]]\nkey = "a.b"\nlow = 2\nhigh = 1\n', "low must be below high"),
        ('[[factor]]\nkey = "a.b"\nlow = 0\nhigh = 1\ndistribution = "log_uniform"\n', "above 0"),
        ('design = "sobol"\npoints = 12\n[[factor]]\nkey = "a.b"\nlow = 0\nhigh = 1\n', "power of two"),
        ('design = "sobol"\n[[factor]]\nkey = "a.b"\nlow = 0\nhigh = 1\n', "which need it"),
        ('design = "list"\n[[factor]]\nkey = "a.b"\nvalues = [1]\n[[factor]]\nkey = "a.c"\nvalues = [1, 2]\n', "as many values"),
        ('colour = "red"\n[[factor]]\nkey = "a.b"\nvalues = [1]\n', "unknown key"),
        ("replications = 0\n[[factor]]\nkey = 'a.b'\nvalues = [1]\n", "replications"),
    ],
)
def test_a_bad_sweep_is_told_in_one_message(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "bad"\nbase = "braess"\n{text}')
    with pytest.raises(InputError, match=words) as raised:
        find_sweep(str(path))
    assert "bad.toml" in str(raised.value)


def test_a_missing_sweep_names_what_there_is() -> None:
    with pytest.raises(InputError, match="participation_demand"):
        find_sweep("no_such_sweep")


def test_the_label_is_the_key_unless_given() -> None:
    assert Factor(key="a.b", values=(1,)).name == "a.b"
    assert Factor(key="a.b", values=(1,), label="b").name == "b"
