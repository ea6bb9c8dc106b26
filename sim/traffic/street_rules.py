"""What the map says of turns and signals, in the form that queues take.

Turns. Bans of two links and delays become the table of turns of the queues. Longer bans ("via ways") are honoured by the ways
that are searched (`sim.network.turns`), but not checked again while a path is driven.

Signals. The map's reader lowers the capacity of a lane to the saturation flow of 1,900 vehicles an hour times the green share of
its class where signals stand at the end of a link (`sim.network.infer`); no other rule of that table gives the same value (a test
keeps it so), which is how links with signals are told from others. With red and green phases such a link gets its cycle and the
green share of its class. At a junction the links that come from about the same axis as the first one show green together, the
others half a cycle later; each junction starts its cycle at a time of its own, drawn by lot. Lights are not coordinated along a
street. What leaves in green comes in platoons, so that all links then take vehicles in at the saturation flow of their lanes; the
capacity of a link without signals limits what leaves it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.arrays import BoolColumn, FloatColumn
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.infer import SATURATION_FLOW_VPH, STREET_DEFAULTS
from sim.network.road_network import Provenance, RoadNetwork
from sim.rng import uniforms
from sim.traffic.queue_network import QueueNetwork, Signals, TurnTable
from sim.units import SECONDS_PER_HOUR

_SAME = 1e-9
_AXIS_DEGREES = 45.0


def street_turns(network: RoadNetwork) -> TurnTable | None:
    """Return the bans of two links (infinite penalty) and the delays of turns; None where there are none."""
    penalty_s = network.turns.delays() | {(ban[0], ban[1]): np.inf for ban in network.turns.bans() if len(ban) == 2}
    if not penalty_s:
        return None
    turns = sorted(penalty_s)
    before = np.array([turn[0] for turn in turns], dtype=np.int64)
    start = np.zeros(network.n_links + 1, dtype=np.int64)
    np.cumsum(np.bincount(before, minlength=network.n_links), out=start[1:])
    return TurnTable(start, np.array([turn[1] for turn in turns], dtype=np.int32), np.array([penalty_s[turn] for turn in turns]))


def green_share(network: RoadNetwork) -> FloatColumn:
    """Return the green share of each link with signals, 0 where there are none; shape (n_links,)."""
    share = np.array([STREET_DEFAULTS[name].green_share if name in STREET_DEFAULTS else 0.0 for name in network.link_classes])
    share_of_link = share[network.link_class_code]
    with np.errstate(divide="ignore", invalid="ignore"):
        lane_vph = network.capacity_vph / network.lanes
    inferred = (network.capacity_source == Provenance.CLASS_DEFAULT) | (network.capacity_source == Provenance.OVERRIDE)
    at_signal = np.abs(lane_vph - SATURATION_FLOW_VPH * share_of_link) < _SAME * SATURATION_FLOW_VPH
    return np.asarray(np.where(inferred & at_signal & (share_of_link > 0), share_of_link, 0.0))


def street_signals(network: RoadNetwork, cycle_s: float, seed: int) -> Signals | None:
    """Return the signals of a network whose map has some; None otherwise."""
    share = green_share(network)
    lit = share > 0
    if not lit.any():
        return None
    node = network.head_idx
    own_start_s = uniforms(seed, "signal_offset", np.arange(network.n_nodes)) * cycle_s
    offset_s = own_start_s[node] + np.where(_crosses_first(network, lit), 0.5 * cycle_s, 0.0)
    return Signals(np.where(lit, cycle_s, 0.0), np.where(lit, share * cycle_s, 0.0), np.where(lit, offset_s, 0.0))


def with_platoons(queues: QueueNetwork, lanes: FloatColumn) -> QueueNetwork:
    """Return the queues with entries at the saturation flow of their lanes, shape (n_links,); 0 lanes are unknown."""
    saturated_s = np.divide(SECONDS_PER_HOUR / SATURATION_FLOW_VPH, lanes, out=np.full(queues.n_links, np.inf), where=lanes > 0)
    return replace(queues, entry_headway_s=np.minimum(queues.entry_headway_s, saturated_s))


def _crosses_first(network: RoadNetwork, lit: BoolColumn) -> BoolColumn:
    """Return which links come to their junction across the axis of its first link with signals, shape (n_links,)."""
    first = np.full(network.n_nodes, -1, dtype=np.int64)
    links = np.flatnonzero(lit)[::-1]
    first[network.head_idx[links]] = links
    axis = _arrival_degrees(network)
    reference = first[network.head_idx]
    turned = np.abs((axis - axis[reference] + 90.0) % 180.0 - 90.0)
    return np.asarray(lit & (turned > _AXIS_DEGREES))


def _arrival_degrees(network: RoadNetwork) -> FloatColumn:
    points, link_of_point = network.all_link_points()
    last = np.searchsorted(link_of_point, np.arange(1, network.n_links + 1)) - 1
    step = points[last] - points[last - 1]
    stretch = np.cos(np.radians(np.nanmean(points[:, 1]))) if network.crs == GEOGRAPHIC_CRS else 1.0
    return np.nan_to_num(np.degrees(np.arctan2(step[:, 1], step[:, 0] * stretch)))
