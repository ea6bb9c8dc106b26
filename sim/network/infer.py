"""Free speed, lanes and capacity of a street from its OpenStreetMap tags, with where each value comes from.

`STREET_DEFAULTS` is the one table of assumptions. It follows the practice of open city models (M. Zilske, A. Neumann, K. Nagel,
*OpenStreetMap for traffic simulation*, 2011: the class values of MATSim's reader) inside the bounds of the Highway Capacity
Manual (TRB, 6th edition, 2016): a motorway lane carries about 2000 vehicles an hour in mixed traffic, and a lane of a city
street less the more its junctions take from it, which the class value of an untagged junction already contains. Where traffic
signals are mapped at the head of a link, a lane carries no more than the saturation flow of 1900 vehicles an hour (HCM chapter
19, base value) times the green share of its class.

OpenStreetMap counts `lanes` over both directions of a two-way street, so half of them belong to a link; less than one lane is
read as one, because single-track streets work in the direction that needs them. Lanes by default are the medians of the tagged
streets of five cities (London, Baltimore, Porto Alegre, Porto, Coquimbo; one-way and two-way apart), one lower where few are
tagged, because mappers tag wide streets first. A value that stands for several parts of a link (a list) gives the mean speed
and the fewest lanes; of several classes the one with the smallest capacity counts.

Conventions of the tags: wiki.openstreetmap.org, Key:maxspeed, Key:lanes, Default_speed_limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sim.errors import InputError
from sim.network.road_network import Provenance
from sim.units import KILOMETRES_PER_MILE

SATURATION_FLOW_VPH: Final = 1900.0
"""Vehicles that one lane sends over a stop line in an hour of green (Highway Capacity Manual, 6th edition, base value)."""
BPR_ALPHA: Final = 0.15
BPR_BETA: Final = 4.0
"""The Bureau of Public Roads' own values (Traffic Assignment Manual, 1964), for every class."""
OTHER_CLASS: Final = "other"
"""Class of streets whose `highway` value is not in the table."""


class StreetDefaults(NamedTuple):
    """What is assumed of a class of streets where tags are silent."""

    free_speed_kph: float
    lanes_one_way: float
    """Lanes of a link on a one-way street or carriageway."""
    lanes_two_way: float
    """Lanes of a link (one direction) on a two-way street."""
    capacity_per_lane_vph: float
    green_share: float
    """Share of the time that signals at its head give the link."""


STREET_DEFAULTS: Final[Mapping[str, StreetDefaults]] = {
    "motorway": StreetDefaults(100.0, 2.0, 2.0, 2000.0, 0.60),
    "motorway_link": StreetDefaults(60.0, 1.0, 1.0, 1500.0, 0.50),
    "trunk": StreetDefaults(80.0, 2.0, 1.0, 1800.0, 0.55),
    "trunk_link": StreetDefaults(50.0, 1.0, 1.0, 1300.0, 0.45),
    "primary": StreetDefaults(60.0, 2.0, 1.0, 1000.0, 0.50),
    "primary_link": StreetDefaults(50.0, 1.0, 1.0, 900.0, 0.40),
    "secondary": StreetDefaults(50.0, 2.0, 1.0, 900.0, 0.45),
    "secondary_link": StreetDefaults(40.0, 1.0, 1.0, 800.0, 0.35),
    "tertiary": StreetDefaults(45.0, 1.0, 1.0, 700.0, 0.35),
    "tertiary_link": StreetDefaults(40.0, 1.0, 1.0, 600.0, 0.30),
    "unclassified": StreetDefaults(40.0, 1.0, 1.0, 600.0, 0.30),
    "residential": StreetDefaults(35.0, 1.0, 1.0, 500.0, 0.25),
    "living_street": StreetDefaults(15.0, 1.0, 1.0, 300.0, 0.15),
    "road": StreetDefaults(40.0, 1.0, 1.0, 500.0, 0.25),
    OTHER_CLASS: StreetDefaults(30.0, 1.0, 1.0, 500.0, 0.25),
}

_KPH_PER_KNOT: Final = 1.852
_UNLIMITED_KPH: Final = 130.0
"""`none`: the speed advised on German motorways without a limit."""
_WALK_KPH: Final = 7.0
_SPEED_RANGE_KPH: Final = (3.0, 200.0)
_LANES_RANGE: Final = (0.5, 20.0)
_FEWEST_LANES: Final = 1.0
_ZONE_KPH: Final = {"urban": 50.0, "rural": 90.0, "trunk": 100.0, "motorway": 120.0, "living_street": 20.0, "bicycle_road": 30.0}
_COUNTRY_ZONE_KPH: Final = {
    "at:rural": 100.0, "at:motorway": 130.0, "ch:rural": 80.0, "cz:motorway": 130.0,
    "de:rural": 100.0, "de:motorway": _UNLIMITED_KPH, "de:living_street": _WALK_KPH,
    "fr:rural": 80.0, "fr:motorway": 130.0,
    "gb:nsl_restricted": 30 * KILOMETRES_PER_MILE, "gb:nsl_single": 60 * KILOMETRES_PER_MILE,
    "gb:nsl_dual": 70 * KILOMETRES_PER_MILE,
    "gb:motorway": 70 * KILOMETRES_PER_MILE,
    "it:motorway": 130.0, "nl:rural": 80.0, "nl:motorway": 100.0, "pl:motorway": 140.0, "ru:urban": 60.0, "ru:motorway": 110.0,
}  # fmt: skip
_NUMBER_AND_UNIT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(km/h|kmh|kph|mph|knots)?")
_KPH_PER_UNIT: Final = {"mph": KILOMETRES_PER_MILE, "knots": _KPH_PER_KNOT}
_PART_SEPARATOR: Final = re.compile(r"[;,|]|(?<=\d)\s*-\s*(?=\d)")


class InferredLink(NamedTuple):
    """What is known of a link, each value with its provenance."""

    link_class: str
    free_speed_kph: float
    lanes: float
    capacity_vph: float
    speed_source: Provenance
    lanes_source: Provenance
    capacity_source: Provenance
    unreadable: tuple[str, ...]
    """Tags ("maxspeed", "lanes") that are there and say nothing that can be used."""


class StreetOverrides(NamedTuple):
    """A scenario's own values by class."""

    free_speed_kph: Mapping[str, float] = {}
    """Free speed of links without `maxspeed`."""
    capacity_per_lane_vph: Mapping[str, float] = {}

    def require_known_classes(self) -> None:
        """Raise InputError for a class that is not in the table and for a value that is not above 0."""
        for key, values in (
            ("default_speed_kph", self.free_speed_kph),
            ("default_capacity_per_lane_vph", self.capacity_per_lane_vph),
        ):
            for link_class, value in values.items():
                if link_class not in STREET_DEFAULTS:
                    raise InputError(f"unknown link class {link_class!r}", where=key, allowed=", ".join(STREET_DEFAULTS))
                if not (math.isfinite(value) and value > 0):
                    raise InputError(f"{value}", where=f"{key}.{link_class}", allowed="a finite number above 0")


def infer_link(tags: Mapping[str, Any], *, one_way: bool, signals: bool, overrides: StreetOverrides) -> InferredLink:
    """Return class, free speed, lanes and capacity of a link.

    Parameters
    ----------
    tags
        `highway`, `maxspeed`, `lanes` (over both directions) and `lanes:direction` (of this direction alone); a value is a
        text, or a list of texts where the link was joined from several ways.
    one_way
        The street has this direction only.
    signals
        Traffic signals stand at the head of the link or along it.
    overrides
        Values of the scenario, which count before those of the table.
    """
    link_class = street_class(tags.get("highway"))
    defaults = STREET_DEFAULTS[link_class]
    speed_kph, unreadable_speed = _known(tags.get("maxspeed"), speed_from_tag)
    own_lanes, unreadable_own = _known(tags.get("lanes:direction"), lanes_from_tag)
    all_lanes, unreadable_all = _known(tags.get("lanes"), lanes_from_tag)
    speed_source = lanes_source = Provenance.TAG
    if speed_kph:
        free_speed_kph = sum(speed_kph) / len(speed_kph)
    elif link_class in overrides.free_speed_kph:
        free_speed_kph, speed_source = overrides.free_speed_kph[link_class], Provenance.OVERRIDE
    else:
        free_speed_kph, speed_source = defaults.free_speed_kph, Provenance.CLASS_DEFAULT
    if own_lanes:
        lanes = max(_FEWEST_LANES, min(own_lanes))
    elif all_lanes:
        lanes = max(_FEWEST_LANES, min(all_lanes) / (1 if one_way else 2))
    else:
        lanes, lanes_source = defaults.lanes_one_way if one_way else defaults.lanes_two_way, Provenance.CLASS_DEFAULT
    overridden = link_class in overrides.capacity_per_lane_vph
    per_lane_vph = overrides.capacity_per_lane_vph[link_class] if overridden else defaults.capacity_per_lane_vph
    if signals:
        per_lane_vph = min(per_lane_vph, SATURATION_FLOW_VPH * defaults.green_share)
    unreadable = ("maxspeed",) * unreadable_speed + ("lanes",) * (unreadable_own or unreadable_all)
    capacity_source = Provenance.OVERRIDE if overridden else Provenance.CLASS_DEFAULT
    return InferredLink(
        link_class, free_speed_kph, lanes, lanes * per_lane_vph, speed_source, lanes_source, capacity_source, unreadable
    )


def street_class(highway: Any) -> str:
    """Return the class of a `highway` value or list of values: of several, the one whose lanes carry least."""
    classes = {text if text in STREET_DEFAULTS else OTHER_CLASS for text in _texts(highway)} or {OTHER_CLASS}
    return min(classes, key=lambda name: (STREET_DEFAULTS[name].capacity_per_lane_vph, name))


@lru_cache(maxsize=4096)
def speed_from_tag(text: str) -> float | None:
    """Return the speed in km/h that a `maxspeed` value states, or None where it states none that can be used.

    Reads km/h, mph and knots, lists and ranges ("50;30", "30-50": their mean), codes of a country and zone ("RU:urban",
    "DE:zone:30"), "none" and "walk". Speeds outside 3 to 200 km/h are typing errors.
    """
    found = [speed for part in _PART_SEPARATOR.split(text.strip().lower()) if (speed := _one_speed(part.strip())) is not None]
    return sum(found) / len(found) if found else None


@lru_cache(maxsize=4096)
def lanes_from_tag(text: str) -> float | None:
    """Return the number of lanes that a `lanes` value states (of several: the fewest), or None where none is from 0.5 to 20."""
    found: list[float] = []
    for part in _PART_SEPARATOR.split(text.strip()):
        match = re.fullmatch(r"\d+(?:\.\d+)?", part.strip())
        if match and _LANES_RANGE[0] <= float(match[0]) <= _LANES_RANGE[1]:
            found.append(float(match[0]))
    return min(found, default=None)


def _one_speed(text: str) -> float | None:
    if text == "none":
        return _UNLIMITED_KPH
    if text == "walk":
        return _WALK_KPH
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match:
        speed_kph = float(match[1]) * _KPH_PER_UNIT.get(match[2] or "", 1.0)
        return speed_kph if _SPEED_RANGE_KPH[0] <= speed_kph <= _SPEED_RANGE_KPH[1] else None
    country, colon, zone = text.partition(":")
    if not colon or len(country) != 2:
        return None
    numbered = re.fullmatch(r"(?:zone:?)?(\d{1,3})", zone)
    if numbered:
        return _one_speed(numbered[1] + (" mph" if country in ("gb", "uk", "us") else ""))
    return _COUNTRY_ZONE_KPH.get(text, _ZONE_KPH.get(zone))


def _known(value: Any, read: Any) -> tuple[list[float], bool]:
    """Return the readable numbers in a tag, and whether the tag is there without one."""
    texts = _texts(value)
    # Sorted, because OSMnx lists the values of joined ways in the order of a hash set; the mean must not depend on it.
    numbers = sorted(number for text in texts if (number := read(text)) is not None)
    return numbers, bool(texts) and not numbers


def _texts(value: Any) -> list[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [str(part) for part in value]
    return [str(value)]
