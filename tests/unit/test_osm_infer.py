"""Tags to free speed, lanes and capacity."""

from __future__ import annotations

from typing import Any

import pytest

from sim.errors import InputError
from sim.network.infer import (
    SATURATION_FLOW_VPH,
    STREET_DEFAULTS,
    InferredLink,
    StreetOverrides,
    infer_link,
    lanes_from_tag,
    speed_from_tag,
)
from sim.network.road_network import Provenance


def infer(
    tags: dict[str, Any], *, one_way: bool = False, signals: bool = False, overrides: StreetOverrides | None = None
) -> InferredLink:
    return infer_link(tags, one_way=one_way, signals=signals, overrides=overrides or StreetOverrides())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50", 50.0),
        (" 50 km/h", 50.0),
        ("50kph", 50.0),
        ("30 mph", 48.28032),
        ("30mph", 48.28032),
        ("10 knots", 18.52),
        ("none", 130.0),
        ("walk", 7.0),
        ("RU:urban", 60.0),
        ("CL:urban", 50.0),
        ("DE:rural", 100.0),
        ("DE:zone:30", 30.0),
        ("DE:zone30", 30.0),
        ("FR:30", 30.0),
        ("GB:nsl_single", 96.56064),
        ("GB:zone20", 32.18688),
        ("50;30", 40.0),
        ("50|30", 40.0),
        ("30-50", 40.0),
        ("50; signals", 50.0),
        ("signals", None),
        ("variable", None),
        ("", None),
        ("0", None),
        ("-50", None),
        ("5000", None),
        ("fast", None),
        ("1e2", None),
        ("nan", None),
        ("XX:nowhere", None),
    ],
)
def test_speeds(text: str, expected: float | None) -> None:
    assert speed_from_tag(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2.0),
        ("3;2", 2.0),
        ("2-3", 2.0),
        ("1.5", 1.5),
        ("", None),
        ("0", None),
        ("many", None),
        ("99", None),
        ("2;many", 2.0),
        ("-2", None),
    ],
)
def test_lanes(text: str, expected: float | None) -> None:
    assert lanes_from_tag(text) == expected


def test_lanes_count_both_directions_of_a_two_way_street() -> None:
    assert infer({"highway": "primary", "lanes": "4"}).lanes == 2.0
    assert infer({"highway": "primary", "lanes": "4"}, one_way=True).lanes == 4.0
    assert infer({"highway": "primary", "lanes": "3"}).lanes == 1.5
    assert infer({"highway": "residential", "lanes": "1"}).lanes == 1.0
    assert infer({"highway": "primary", "lanes": "3", "lanes:direction": "2"}).lanes == 2.0
    assert infer({"highway": "primary", "lanes": ["3", "2"]}, one_way=True).lanes == 2.0


def test_every_value_says_where_it_comes_from() -> None:
    bare = infer({"highway": "secondary"}, one_way=True)
    default = STREET_DEFAULTS["secondary"]
    assert bare == InferredLink(
        "secondary", default.free_speed_kph, 2.0, 2 * default.capacity_per_lane_vph,
        Provenance.CLASS_DEFAULT, Provenance.CLASS_DEFAULT, Provenance.CLASS_DEFAULT, (),
    )  # fmt: skip
    tagged = infer({"highway": "secondary", "maxspeed": "70", "lanes": "2"})
    assert (tagged.free_speed_kph, tagged.speed_source, tagged.lanes_source) == (70.0, Provenance.TAG, Provenance.TAG)
    own = StreetOverrides({"secondary": 44.0}, {"secondary": 750.0})
    overridden = infer({"highway": "secondary"}, overrides=own)
    assert (overridden.free_speed_kph, overridden.speed_source) == (44.0, Provenance.OVERRIDE)
    assert (overridden.capacity_vph, overridden.capacity_source) == (750.0, Provenance.OVERRIDE)
    assert infer({"highway": "secondary", "maxspeed": "70"}, overrides=own).speed_source == Provenance.TAG
    assert infer({"highway": "primary"}, overrides=own).capacity_source == Provenance.CLASS_DEFAULT


def test_unreadable_tags_fall_back_to_the_class_and_are_reported() -> None:
    link = infer({"highway": "tertiary", "maxspeed": "fast", "lanes": ["many", "0"]})
    assert link.unreadable == ("maxspeed", "lanes")
    assert (link.speed_source, link.lanes_source) == (Provenance.CLASS_DEFAULT, Provenance.CLASS_DEFAULT)
    assert infer({"highway": "tertiary", "maxspeed": ["fast", "40"]}).unreadable == ()


def test_joined_links_do_not_depend_on_the_order_of_their_parts() -> None:
    for tags in ({"highway": ["primary", "residential"]}, {"highway": "primary", "maxspeed": ["30", "47 mph", "50.3"]}):
        turned = {key: value[::-1] if isinstance(value, list) else value for key, value in tags.items()}
        assert infer(tags) == infer(turned)
    assert infer({"highway": ["primary", "residential"]}).link_class == "residential"
    assert infer({"highway": "primary", "maxspeed": ["30", "50"]}).free_speed_kph == 40.0


def test_unknown_classes_are_other() -> None:
    for highway in ("busway", None, float("nan"), [], ["busway", "ferry"]):
        assert infer({"highway": highway}).link_class == "other"


@pytest.mark.parametrize("link_class", STREET_DEFAULTS)
def test_signals_lower_the_capacity_of_every_class_by_its_green_share(link_class: str) -> None:
    default = STREET_DEFAULTS[link_class]
    free, signalled = infer({"highway": link_class}), infer({"highway": link_class}, signals=True)
    assert signalled.capacity_vph == pytest.approx(free.lanes * SATURATION_FLOW_VPH * default.green_share)
    assert 0.5 * free.capacity_vph < signalled.capacity_vph < free.capacity_vph


def test_the_table_is_ordered_as_streets_are() -> None:
    for higher, lower in (("motorway", "trunk"), ("trunk", "primary"), ("primary", "secondary"), ("secondary", "tertiary"),
                          ("tertiary", "residential"), ("residential", "living_street")):  # fmt: skip
        assert STREET_DEFAULTS[higher].capacity_per_lane_vph > STREET_DEFAULTS[lower].capacity_per_lane_vph
        assert STREET_DEFAULTS[higher].free_speed_kph > STREET_DEFAULTS[lower].free_speed_kph
    for name, default in STREET_DEFAULTS.items():
        if name.endswith("_link"):
            assert default.capacity_per_lane_vph < STREET_DEFAULTS[name.removesuffix("_link")].capacity_per_lane_vph


def test_overrides_of_unknown_classes_and_values_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown link class 'primry'.*allowed: motorway"):
        StreetOverrides({"primry": 50.0}).require_known_classes()
    with pytest.raises(InputError, match=r"default_capacity_per_lane_vph\.primary"):
        StreetOverrides({}, {"primary": 0.0}).require_known_classes()
