"""What junctions cost beside the links: turns by their angle, and controls (signals, stop and give-way signs) by their kind.

**Turns.** The turn from one link into the next takes a fixed time by its angle: straight on (less than 45 degrees) none, left and
right by the side on which people drive, more than 150 degrees or back along the same street as a U-turn. Bends, where streets
only run on, take none. Default times are those of OSRM's car profile (Project OSRM, profiles/car.lua, `process_turn`, with its
penalty 7.5 s, bias 1.075 and 20 s more for a U-turn). Its curve, 7.5 / (1 + exp(-(13 a b - 6.5 / b))) at the angle 180 a degrees
with b = 1.075 across oncoming traffic and 1 / 1.075 to the near side, gives 5.4 s and 2.1 s at a right angle, and 7.5 + 20 s
straight back. Judgements of ours: one time for all turns of a kind instead of the curve; 45 degrees, below which the curve gives
0.5 s and less; and 150.

**Controls.** A link that ends in a control takes longer when it is empty, and carries no more than the control lets through (HCM:
Highway Capacity Manual, TRB, 6th edition 2016):

- signals: the HCM's uniform delay (chapter 19) at zero flow, C (1 - g)^2 / 2 with cycle C and the green share g of the link's
  class; `sim.network.infer` lowers the capacity whether or not delays are asked for. The cycle of 90 s and the green shares are
  judgements: cycles in towns lie between 60 and 120 s (Signal Timing Manual, NCHRP Report 812, 2015);
- stop sign: 5 s, the constant of the HCM's control delay (chapter 20), its allowance for braking and starting; a lane carries
  3600 / 7.0 vehicles an hour, by the base headway of an all-way stop where two of the three other approaches are occupied
  (chapter 21, degree-of-conflict case 4, one lane each). That this is the typical case is a judgement: the cases go from 3.9 s
  (nobody there) to 9.6 s (all three);
- give way: 2.5 s, the HCM's start-up lost time of an approach with a yield sign (chapter 18), and a lane carries 3600 / 4.0, by
  the base follow-up headway of those who go straight on from a minor street (chapter 20). That everybody loses those 2.5 s is a
  judgement: in the HCM only those do who meet somebody.

The delay of a control joins the link's free-flow time, so the volume-delay function of the link acts on it as well.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, NamedTuple

import numpy as np

from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.infer import STREET_DEFAULTS
from sim.network.road_network import RoadNetwork
from sim.network.turn_table import turn_table
from sim.units import SECONDS_PER_HOUR

STRAIGHT_DEGREES: Final = 45.0
"""Smaller angles are no turn."""
U_TURN_DEGREES: Final = 150.0
"""Larger ones lead back."""
STOP_HEADWAY_S: Final = 7.0
"""Between two vehicles that leave a stop line; HCM chapter 21, case 4."""
GIVE_WAY_HEADWAY_S: Final = 4.0
"""Between two vehicles that use the same gap; HCM chapter 20, straight on from a minor street."""


class Control(IntEnum):
    """What stands where a link ends, the strictest first where there are several."""

    NONE = 0
    GIVE_WAY = 1
    STOP = 2
    SIGNALS = 3


class JunctionRules(NamedTuple):
    """Times of turns and controls, seconds; see the module for the defaults."""

    left_s: float = 5.4
    right_s: float = 2.1
    u_turn_s: float = 27.5
    drives_on: Literal["right", "left"] = "right"
    """Side of the road; on the left, left and right turns change their times."""
    cycle_s: float = 90.0
    stop_s: float = 5.0
    give_way_s: float = 2.5


def with_junctions(network: RoadNetwork, control: CodeColumn, rules: JunctionRules) -> RoadNetwork:
    """Return the network with the delays of its turns and controls and the capacities that signs leave.

    Parameters
    ----------
    control
        `Control` at the end of each link, shape (n_links,).
    """
    delay_s = np.zeros(network.n_links)
    delay_s[control == Control.STOP] = rules.stop_s
    delay_s[control == Control.GIVE_WAY] = rules.give_way_s
    green = np.array([STREET_DEFAULTS[name].green_share for name in network.link_classes])[network.link_class_code]
    signals = control == Control.SIGNALS
    delay_s[signals] = rules.cycle_s * (1.0 - green[signals]) ** 2 / 2.0
    capacity_vph = network.capacity_vph.copy()
    for kind, headway_s in ((Control.STOP, STOP_HEADWAY_S), (Control.GIVE_WAY, GIVE_WAY_HEADWAY_S)):
        limit_vph = network.lanes * SECONDS_PER_HOUR / headway_s
        capacity_vph = np.where(control == kind, np.minimum(capacity_vph, limit_vph), capacity_vph)
    bans = network.turns.bans()
    delays = _turn_delays(network, rules)
    for ban in bans:
        if len(ban) == 2:
            delays.pop((ban[0], ban[1]), None)
    return network.replace(
        free_flow_time_s=network.free_flow_time_s + delay_s, capacity_vph=capacity_vph, turns=turn_table(bans, delays)
    )


def turn_angles(network: RoadNetwork) -> tuple[IndexColumn, IndexColumn, FloatColumn]:
    """Return every turn of a network: link in, link out, and the angle in degrees, left positive, 180 or -180 for straight back.

    Shapes (n_turns,); an angle is NaN where a link has no direction.
    """
    start, leaving = network.out_rows
    counts = np.diff(start)[network.head_idx]
    in_idx = np.repeat(np.arange(network.n_links, dtype=np.int32), counts)
    first = np.cumsum(counts) - counts
    place = np.arange(int(counts.sum())) - np.repeat(first, counts)
    out_idx = leaving[start[network.head_idx[in_idx]] + place]
    begin, end = _bearings(network)
    with np.errstate(invalid="ignore"):
        turned = np.degrees(begin[out_idx] - end[in_idx])
        return in_idx, out_idx, np.asarray((turned + 180.0) % 360.0 - 180.0)


def _bearings(network: RoadNetwork) -> tuple[FloatColumn, FloatColumn]:
    """Return the directions in which each link starts and ends, radians against the clock from east."""
    points, link_of_point = network.all_link_points()
    if network.crs == GEOGRAPHIC_CRS:
        points = points * np.array([np.cos(np.radians(np.nanmean(points[:, 1]))), 1.0])
    at = np.searchsorted(link_of_point, np.arange(network.n_links + 1))
    first, last = at[:-1], at[1:] - 1
    steps = [points[first + 1] - points[first], points[last] - points[last - 1]]
    begin, end = (np.where((step == 0).all(axis=1), np.nan, np.arctan2(step[:, 1], step[:, 0])) for step in steps)
    return begin, end


def _turn_delays(network: RoadNetwork, rules: JunctionRules) -> dict[tuple[int, int], float]:
    in_idx, out_idx, angle = turn_angles(network)
    left_s, right_s = (rules.left_s, rules.right_s) if rules.drives_on == "right" else (rules.right_s, rules.left_s)
    size = np.abs(angle)
    delay_s = np.where(size < STRAIGHT_DEGREES, 0.0, np.where(angle > 0, left_s, right_s))
    delay_s[~is_junction(network)[network.head_idx[in_idx]] | np.isnan(angle)] = 0.0
    is_back = network.tail_idx[in_idx] == network.head_idx[out_idx]
    delay_s[(size > U_TURN_DEGREES) & is_back] = rules.u_turn_s
    delay_s[(size > U_TURN_DEGREES) & ~is_back & (delay_s > 0)] = rules.u_turn_s
    kept = delay_s > 0
    turns = zip(in_idx[kept].tolist(), out_idx[kept].tolist(), strict=True)
    return dict(zip(turns, delay_s[kept].tolist(), strict=True))


def is_junction(network: RoadNetwork) -> BoolColumn:
    """Return which nodes have three neighbours or more, shape (n_nodes,)."""
    one, other = np.minimum(network.tail_idx, network.head_idx), np.maximum(network.tail_idx, network.head_idx)
    ends = np.unique(np.column_stack([one, other]), axis=0)
    return np.asarray(np.bincount(ends.ravel(), minlength=network.n_nodes) > 2)
