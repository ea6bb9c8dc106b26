"""The `[network]` section of a scenario: one class a source, with every default, unit and bound."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, model_validator

from sim.spec_changes import NetworkChange
from sim.spec_section import AtLeastZero as _AtLeastZero
from sim.spec_section import FileName as _FileName
from sim.spec_section import Positive as _Positive
from sim.spec_section import Section


class _Section(Section, BaseModel):
    """Names pydantic's class again, by which ruff knows that defaults here may be tables."""


class _Network(_Section):
    change: tuple[NetworkChange, ...] = ()
    """What-if: edits of the network, in order; the run then reports the network as it was beside the changed one."""


class _Weights(_Network):
    toll_weight: _AtLeastZero = 0.0
    """Source time units that one unit of toll is worth (TNTP: "toll factor")."""
    distance_weight: _AtLeastZero = 0.0
    """Source time units that one unit of length is worth (TNTP: "distance factor")."""


class BundledNetwork(_Network):
    """A city that comes with routepact."""

    source: Literal["bundled"]
    city: str


class Junctions(_Section):
    """Time that turns and controls take; sources of the defaults (OSRM, Highway Capacity Manual) in `sim.network.junctions`."""

    left_s: _AtLeastZero = 5.4
    """Left turn at a junction, where people drive on the right."""
    right_s: _AtLeastZero = 2.1
    """Right turn at a junction, where people drive on the right."""
    u_turn_s: _AtLeastZero = 27.5
    drives_on: Literal["right", "left"] = "right"
    """On the left, left and right turns change their times."""
    cycle_s: _AtLeastZero = 90.0
    """Cycle of signals; an empty link waits cycle_s (1 - green share)^2 / 2."""
    stop_s: _AtLeastZero = 5.0
    """Stop sign; its lanes carry 514 vehicles an hour at most."""
    give_way_s: _AtLeastZero = 2.5
    """Give-way sign; its lanes carry 900 vehicles an hour at most."""


class OsmNetwork(_Network):
    """OpenStreetMap: a local file (.osm, .osm.gz, .osm.pbf, .graphml, .graphml.gz, .npz of our own) or the name of a place.

    A place is downloaded, which needs the network.
    """

    source: Literal["osm"]
    file: _FileName | None = None
    place: str | None = None
    default_speed_kph: dict[str, _Positive] = {}
    """Free speed by link class, for links without `maxspeed`."""
    default_capacity_per_lane_vph: dict[str, _Positive] = {}
    """Capacity of a lane by link class."""
    turn_restrictions: bool = True
    """Whether nobody may drive the turns that the map bans (relations of an extract; bans of a saved network)."""
    junctions: Junctions | None = None
    """Times of turns and controls of an extract; left out, turns take none (signals lower capacities in any case)."""

    @model_validator(mode="after")
    def _one_of_both(self) -> OsmNetwork:
        if (self.file is None) == (self.place is None):
            raise ValueError("name either a file or a place")
        return self


class TntpNetwork(_Weights):
    """A network in the TNTP format, plain or gzipped."""

    source: Literal["tntp"]
    net: _FileName
    nodes: _FileName | None = None
    """Node file with coordinates (TNTP or GeoJSON points)."""
    time_unit_s: _Positive | None = None
    """Seconds in a time unit of the file; TNTP states none, so 60 is assumed with a warning."""
    length_unit_m: _Positive | None = None
    """Metres in a length unit of the file; 1000 is assumed with a warning."""


class GmnsNetwork(_Network):
    """A network in the General Modeling Network Specification: a folder with node.csv and link.csv."""

    source: Literal["gmns"]
    folder: _FileName
    length_unit_m: _Positive | None = None
    """Metres in a unit of length; left out, config.csv says it, or what fits the coordinates is taken with a warning."""
    speed_unit_kph: _Positive | None = None
    """Kilometres an hour in a unit of speed; left out as above."""
    toll_weight_s: _AtLeastZero = 0.0
    """Seconds that one unit of toll is worth."""


class MatsimNetwork(_Network):
    """A network of MATSim (network.xml, plain or gzipped)."""

    source: Literal["matsim"]
    file: _FileName
    crs: str | None = None
    """Coordinate system, as "EPSG:2056"; left out, the file's own statement counts."""


class SumoNetwork(_Network):
    """A network of SUMO (.net.xml, plain or gzipped)."""

    source: Literal["sumo"]
    file: _FileName


class SyntheticNetwork(_Network):
    """A textbook network, made in memory."""

    source: Literal["synthetic"]
    kind: Literal["pigou", "braess", "parallel", "grid"]
    routes: Annotated[int, Field(ge=2, le=1000)] = 3
    """parallel: number of routes."""
    rows: Annotated[int, Field(ge=2, le=1000)] = 10
    """grid: nodes in a column."""
    columns: Annotated[int, Field(ge=2, le=1000)] = 10
    """grid: nodes in a row."""
    block_m: _Positive = 300.0
    """grid: length of a link."""
    free_speed_kph: _Positive = 50.0
    """grid: free speed."""
    capacity_vph: _Positive = 900.0
    """grid: capacity of a lane."""
    arterial_every: Annotated[int, Field(ge=0, le=1000)] = 0
    """grid: every street whose number is a multiple of this is an arterial, 1.5 times as fast and with two lanes; 0 for none."""
    pigou_power: _Positive = 1.0
    """pigou: exponent of the congestible link."""


NetworkSpec: TypeAlias = Annotated[
    BundledNetwork | OsmNetwork | TntpNetwork | GmnsNetwork | MatsimNetwork | SumoNetwork | SyntheticNetwork,
    Field(discriminator="source"),
]
