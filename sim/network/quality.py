"""What in an imported network deserves a second look: components, dead ends, lengths, speeds, capacities, defaults, turn bans.

A doubt is no error. Bounds are generous: what falls outside them is rare on real streets, so that a list of doubts is worth
reading. Connectors of zones are left out everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.network.distance import GEOGRAPHIC_CRS, distance_m
from sim.network.road_network import Provenance, RoadNetwork
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

SPEED_RANGE_KPH: Final = (5.0, 140.0)
LENGTH_RANGE_M: Final = (2.0, 30_000.0)
LANE_CAPACITY_RANGE_VPH: Final = (100.0, 2600.0)
MOST_LANES: Final = 8.0
SHAPE_SHARE: Final = 0.1
SHAPE_M: Final = 10.0
"""A length may differ from that of the shape by the larger of this and `SHAPE_SHARE` of it."""
_EXAMPLES: Final = 5


@dataclass(frozen=True, eq=False)
class Doubt:
    """Links that share a doubt.

    Attributes
    ----------
    name
        A word or two.
    meaning
        What was found, with the bound.
    link_idx
        Positions of the links, at least one.
    """

    name: str
    meaning: str
    link_idx: IndexColumn


@dataclass(frozen=True, eq=False)
class QualityReport:
    """What was found; counts are of nodes and links that are no connectors.

    Attributes
    ----------
    n_links
        Streets.
    strong_components, weak_components, links_outside_largest
        Parts of the network that are connected in both directions (in any), and links that do not lie in the largest of the first
        kind.
    dead_ends
        Nodes from which one can only turn back.
    one_way_ends
        Nodes that nobody can leave or reach, zones left out.
    default_share
        Share of links whose speed, lanes and capacity follow their class.
    bans, delays
        Turns that are banned, and that take time.
    restrictions
        Turn restrictions of the source by what became of them.
    doubts
        What deserves a second look, the most links first.
    """

    n_links: int
    strong_components: int
    weak_components: int
    links_outside_largest: int
    dead_ends: int
    one_way_ends: int
    default_share: Mapping[str, float]
    bans: int
    delays: int
    restrictions: Mapping[str, int]
    doubts: tuple[Doubt, ...]

    def doubts_of_links(self, n_links: int) -> FloatColumn:
        """Return how many doubts concern each link, shape (n_links,)."""
        total = np.zeros(n_links)
        for doubt in self.doubts:
            total[doubt.link_idx] += 1.0
        return total

    def content(self, network: RoadNetwork) -> dict[str, Any]:
        """Return the report ready for JSON; doubts with the ids of their first links."""
        plain = {name: value for name, value in self.__dict__.items() if name not in ("doubts", "default_share", "restrictions")}
        return {
            **plain,
            "default_share": {name: round(share, 4) for name, share in self.default_share.items()},
            "restrictions": dict(self.restrictions),
            "doubts": [
                {
                    "name": doubt.name,
                    "meaning": doubt.meaning,
                    "links": len(doubt.link_idx),
                    "examples": network.link_id[doubt.link_idx[:_EXAMPLES]].tolist(),
                }
                for doubt in self.doubts
            ],
        }


def quality_of(network: RoadNetwork) -> QualityReport:
    """Return what in a network deserves a second look."""
    streets = ~network.is_connector
    n_strong, strong = _components(network, streets, "strong")
    n_weak, _ = _components(network, streets, "weak")
    largest = strong == np.argmax(np.bincount(strong[network.tail_idx[streets]], minlength=n_strong))
    outside = streets & ~(largest[network.tail_idx] & largest[network.head_idx])
    dead_end, one_way_end = _ends(network, streets)
    found = [
        _doubt("not connected", "outside the largest part that is connected in both directions", outside),
        _doubt(
            "way into nowhere", "leads to (or from) a node that nobody can leave (or reach)", _at(network, one_way_end) & streets
        ),
        *_length_doubts(network, streets),
        *_speed_doubts(network, streets),
        *_lane_doubts(network, streets),
    ]
    n_streets = max(int(streets.sum()), 1)
    sources = {"free_speed": network.speed_source, "lanes": network.lanes_source, "capacity": network.capacity_source}
    counts = network.cleaning.counts
    doubts = sorted((doubt for doubt in found if len(doubt.link_idx)), key=lambda doubt: -len(doubt.link_idx))
    return QualityReport(
        n_links=int(streets.sum()),
        strong_components=len(np.unique(strong[_touched(network, streets)])),
        weak_components=n_weak - int((~_touched(network, streets)).sum()),
        links_outside_largest=int(outside.sum()),
        dead_ends=int(dead_end.sum()),
        one_way_ends=int(one_way_end.sum()),
        default_share={
            name: float((column[streets] == Provenance.CLASS_DEFAULT).sum()) / n_streets for name, column in sources.items()
        },
        bans=network.turns.n_bans,
        delays=network.turns.n_delays,
        restrictions={key.removeprefix("turn_restrictions_"): n for key, n in counts.items() if key.startswith("turn_restr")},
        doubts=tuple(doubts),
    )


def _doubt(name: str, meaning: str, concerned: BoolColumn) -> Doubt:
    return Doubt(name, meaning, np.flatnonzero(concerned).astype(np.int32))


def _touched(network: RoadNetwork, streets: BoolColumn) -> BoolColumn:
    touched = np.zeros(network.n_nodes, dtype=np.bool_)
    touched[network.tail_idx[streets]] = touched[network.head_idx[streets]] = True
    return touched


def _at(network: RoadNetwork, nodes: BoolColumn) -> BoolColumn:
    return np.asarray(nodes[network.tail_idx] | nodes[network.head_idx])


def _components(network: RoadNetwork, streets: BoolColumn, kind: Literal["strong", "weak"]) -> tuple[int, IndexColumn]:
    ends = (network.tail_idx[streets], network.head_idx[streets])
    matrix = csr_array((np.ones(int(streets.sum()), dtype=np.int8), ends), shape=(network.n_nodes, network.n_nodes))
    count, component = connected_components(matrix, directed=True, connection=kind)
    return int(count), component


def _ends(network: RoadNetwork, streets: BoolColumn) -> tuple[BoolColumn, BoolColumn]:
    """Return nodes with one neighbour, and nodes without a way in or out that stand for no zone and are joined to none."""
    n_nodes = network.n_nodes
    tail, head = network.tail_idx[streets], network.head_idx[streets]
    neighbours = np.unique(np.column_stack([np.minimum(tail, head), np.maximum(tail, head)]), axis=0)
    one_neighbour = np.bincount(neighbours.ravel(), minlength=n_nodes) == 1
    n_out, n_in = np.bincount(network.tail_idx, minlength=n_nodes), np.bincount(network.head_idx, minlength=n_nodes)
    stranded = ((n_out == 0) != (n_in == 0)) & _touched(network, streets)
    stranded[network.zone_node_idx] = False
    return one_neighbour & (n_out > 0) & (n_in > 0), stranded


def _length_doubts(network: RoadNetwork, streets: BoolColumn) -> list[Doubt]:
    shortest_m, longest_m = LENGTH_RANGE_M
    found = [
        _doubt("very short", f"below {shortest_m:g} m", streets & (network.length_m < shortest_m)),
        _doubt("very long", f"above {longest_m / METRES_PER_KILOMETRE:g} km", streets & (network.length_m > longest_m)),
    ]
    if network.crs == GEOGRAPHIC_CRS:
        points, link_of_point = network.all_link_points()
        step_m = distance_m(network.crs, points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
        within = link_of_point[:-1] == link_of_point[1:]
        drawn_m = np.bincount(link_of_point[:-1][within], weights=step_m[within], minlength=network.n_links)
        # What was lengthened on purpose is in the counts of the reader.
        allowed_m = np.maximum(SHAPE_M, SHAPE_SHARE * drawn_m)
        differs = np.isfinite(drawn_m) & (np.abs(network.length_m - drawn_m) > allowed_m)
        found.append(
            _doubt("length and shape", f"the length differs from the drawn one by more than {SHAPE_SHARE:.0%}", streets & differs)
        )
    return found


def _speed_doubts(network: RoadNetwork, streets: BoolColumn) -> list[Doubt]:
    takes_time = network.free_flow_time_s > 0
    speed_kph = np.full(network.n_links, np.nan)
    np.divide(
        network.length_m / METRES_PER_KILOMETRE, network.free_flow_time_s / SECONDS_PER_HOUR, out=speed_kph, where=takes_time
    )
    slowest, fastest = SPEED_RANGE_KPH
    known = streets & takes_time & (network.length_m > 0)
    # A short link with a long wait at its end is no slow street.
    driven_kph = np.where(network.free_speed_kph > 0, network.free_speed_kph, speed_kph)
    return [
        _doubt("takes no time", "a free-flow time of 0", streets & ~takes_time),
        _doubt("very slow", f"below {slowest:g} km/h when empty", known & (driven_kph < slowest)),
        _doubt("very fast", f"above {fastest:g} km/h when empty", known & (speed_kph > fastest)),
    ]


def _lane_doubts(network: RoadNetwork, streets: BoolColumn) -> list[Doubt]:
    known = streets & (network.lanes > 0)
    per_lane = np.full(network.n_links, np.nan)
    np.divide(network.capacity_vph, network.lanes, out=per_lane, where=known)
    least, most = LANE_CAPACITY_RANGE_VPH
    return [
        _doubt("low capacity", f"below {least:g} vehicles an hour and lane", known & (per_lane < least)),
        _doubt("high capacity", f"above {most:g} vehicles an hour and lane", known & (per_lane > most)),
        _doubt("many lanes", f"more than {MOST_LANES:g} lanes in one direction", known & (network.lanes > MOST_LANES)),
    ]
