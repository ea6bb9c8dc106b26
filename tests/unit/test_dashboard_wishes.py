"""What an address may ask for, and what it does to the scenario."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.wishes import (
    CHEATS,
    MECHANISMS,
    RUNS_VARIABLE,
    SCENARIO_VARIABLE,
    Address,
    Wish,
    read_address,
    runs_on_show,
    scenario_choices,
)
from sim.errors import InputError
from sim.experiments.scenarios import find_scenario

CHOICES = ["braess", "grid"]
shares = st.sampled_from([0.0, 0.05, 0.3, 0.5])
wishes = st.builds(
    Wish,
    scenario=st.sampled_from(CHOICES),
    demand_scale=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    mechanism=st.sampled_from(list(MECHANISMS)),
    participation=st.none() | shares,
    seed=st.none() | st.integers(0, 2**62),
    cheats=st.sets(st.sampled_from(list(CHEATS))).map(lambda names: tuple((name, 0.3) for name in CHEATS if name in names)),
    closed=st.lists(st.sampled_from(["1", "2", "a-b", "7"]), unique=True, max_size=3).map(tuple),
)


@given(wishes, st.sampled_from(["worlds", "difference"]), st.sampled_from(["load", "speed", "external"]), st.none() | st.just(7))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_an_address_says_the_whole_view(wish: Wish, view: str, colour: str, follow: int | None) -> None:
    address = Address(wish, view, colour, follow)  # type: ignore[arg-type]
    assert read_address(address.query()[1:], CHOICES) == (address, ())


@pytest.mark.parametrize(
    ("query", "left_out"),
    [
        ("scenario=/etc/passwd", "scenario '/etc/passwd' is not on offer"),
        ("demand=1e9", "demand '1e9' is no number from 0.25 to 2"),
        ("demand=nan", "demand 'nan' is no number"),
        ("seed=-1", "seed '-1' is no whole number"),
        ("seed=99999999999999999999", "no whole number"),
        ("mechanism=magic", "mechanism 'magic' is not on offer"),
        ("lazy_validators=0.8&colluding_validators=0.5", "exceed 1 together"),
        ("closed=" + "+".join(map(str, range(60))), "more than 50 links"),
        ("view=<script>", "view '<script>' is not on offer"),
        ("what=ever", "'what' means nothing here"),
    ],
)
def test_what_an_address_may_not_ask_for_is_left_out_and_said(query: str, left_out: str) -> None:
    address, said = read_address(query, CHOICES)
    assert address == Address(Wish("braess")) or query.startswith("lazy")
    assert len(said) == 1 and left_out in said[0]


def test_nothing_asked_is_the_first_choice() -> None:
    for query in (None, ""):
        assert read_address(query, CHOICES) == (Address(Wish("braess")), ())


def test_the_command_line_s_scenario_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCENARIO_VARIABLE, "mine.toml")
    choices = scenario_choices()
    assert choices[:2] == ["mine.toml", "city"] and "braess" in choices


def test_in_a_replay_only_worlds_and_looks_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNS_VARIABLE, "a\nb")
    runs = runs_on_show()
    assert runs == ("a", "b")
    address, said = read_address("left=selfish&right=toll&scenario=grid&view=difference", CHOICES, runs)
    assert address.wish == Wish("grid", runs=runs, worlds=("selfish", "toll")) and address.view == "difference" and said == ()
    assert "scenario" not in address.query() and read_address(address.query()[1:], CHOICES, runs)[0].wish.worlds == (
        "selfish",
        "toll",
    )


def test_a_wish_changes_the_scenario_and_nothing_else() -> None:
    spec, _ = find_scenario("braess")
    assert Wish("braess").applied_to(spec) == spec
    wish = Wish("braess", 0.5, "coalition", 0.3, 9, (("defectors", 0.1),), ("3",))
    changed = wish.applied_to(spec)
    assert changed.demand.scale == 0.5 * spec.demand.scale and changed.market.participation == 0.3 and changed.seed == 9
    assert changed.adversaries.defectors == 0.1 and changed.network.change[-1].links == ("3",)
    with pytest.raises((InputError, ValueError)):
        Wish("braess", cheats=(("defectors", 2.0),)).applied_to(spec)
