"""The graph that honours bans and delays of turns: junctions are split only where a turn is banned or takes time.

**Choice.** A search from link to link would honour turns everywhere, but every kernel (trees, bushes, hierarchies) would need a
second form, and a city has three to four times as many turns as links. Few junctions have a ban. So the network is rewritten
once, at those junctions alone, into an ordinary network that every kernel takes as it is (local form of the "line graph" of
T. Caldwell 1961, *On finding minimum routes in a network with turn penalties*).

**States.** A ban of three or more links counts for those who came a certain way, so its inner links must remember. Let P be the
set of all beginnings of such bans with two links or more, the whole ban left out. A state is a link, or an element of P (which
stands for being on its last link, having come that way). From a state with history p (of a plain link: the link itself), link f
leads to the longest end of p + f that lies in P, or else to the plain state of f; it is banned where an end of p + f is a ban
(the automaton of A. Aho and M. Corasick 1975; for paths that must not hold certain sequences: D. Villeneuve and G. Desaulniers
2005, *The shortest path problem with forbidden paths*).

**Junctions.** At a junction every state that arrives has a row and every state that leaves a column; a cell holds the delay of
the turn, infinite where it is banned. Equal rows share a node and so do equal columns; a turn link of that delay joins them.
Where a turn link without delay is the only one that leaves its row (or the only one that enters its column), its two nodes are
one: a single ban costs one node and one turn link. A junction that stands for a zone keeps a node of its own that no path may
pass through, since whoever starts or ends there has no turn.

**Copies.** A link with several states is several links in the graph, and a flow on one does not slow down the other. Its capacity
is therefore divided among them in proportion to the capacities of the links that feed each state: every stream has its lanes.
Flows in those proportions give exactly the undivided link's time; flows far from them a longer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from sim.arrays import FloatColumn, IdColumn, IndexColumn, OffsetColumn
from sim.network.connectors import CONNECTOR_CAPACITY_VPH, new_link_ids, new_node_ids
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.turn_table import TurnTable

TURN_CLASS: Final = "turn"
"""Class of the artificial links inside split junctions."""
NO_STREET: Final = -1


@dataclass(frozen=True, eq=False)
class TurnGraph:
    """A network and its form in which every path honours the turns.

    Attributes
    ----------
    streets
        The network as people know it.
    network
        What kernels and solvers take: the links of `streets` at the same positions, then further states of links, then turn
        links. Zones have the same positions and nodes. It is `streets` itself where no turn is banned or takes time.
    street_idx
        Link of `streets` for every link of `network`, -1 for turn links; shape (network.n_links,).
    delayed_idx, delayed_start, delayed_from
        Turn links that take time, and the links of `network` that lead into each: those of turn link `delayed_idx[k]` are
        `delayed_from[delayed_start[k]:delayed_start[k + 1]]`.
    """

    streets: RoadNetwork
    network: RoadNetwork
    street_idx: IndexColumn
    delayed_idx: IndexColumn
    delayed_start: OffsetColumn
    delayed_from: IndexColumn

    @property
    def is_plain(self) -> bool:
        """Whether the graph is the network itself."""
        return self.network is self.streets

    def flow_on_streets(self, flow: FloatColumn) -> FloatColumn:
        """Return the flow of each link of `streets` from a column of `network`: the sum over its states."""
        if self.is_plain:
            return flow
        return self._summed(flow)

    def time_on_streets(self, flow: FloatColumn, time_s: FloatColumn) -> FloatColumn:
        """Return the mean seconds that vehicles spend on each link of `streets`, with the delay of the turn at its end.

        States are weighted by their flows (without any, the plain state counts), so that flow times time sums to the same total.
        Where several links share a turn link, each has the mean delay of all of them.
        """
        if self.is_plain:
            return time_s
        spent = flow * (time_s + self._mean_delay_s(flow, time_s))
        result = time_s[: self.streets.n_links].copy()
        flow_vph = self._summed(flow)
        np.divide(self._summed(spent), flow_vph, out=result, where=flow_vph > 0)
        return result

    def paths_on_streets(self, start: OffsetColumn, link_idx: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
        """Return paths of `network` (path i is `link_idx[start[i]:start[i + 1]]`) as paths of `streets` in the same form."""
        if self.is_plain:
            return start, link_idx
        street = self.street_idx[link_idx]
        kept = street != NO_STREET
        before = np.concatenate([[0], np.cumsum(kept)])
        return before[start], street[kept]

    def _summed(self, column: FloatColumn) -> FloatColumn:
        on_street = self.street_idx != NO_STREET
        total = np.bincount(self.street_idx[on_street], weights=column[on_street], minlength=self.streets.n_links)
        return total.astype(np.float64)

    def _mean_delay_s(self, flow: FloatColumn, time_s: FloatColumn) -> FloatColumn:
        """Return the mean delay behind each link of `network`, seconds."""
        mean_s = np.zeros(len(flow))
        counts = np.diff(self.delayed_start)
        row = np.repeat(np.arange(len(counts)), counts)
        spent = (flow * time_s)[self.delayed_idx]
        # The links into a turn link are those into its junction's row; several turn links leave the same row.
        entered = np.bincount(row, weights=flow[self.delayed_from], minlength=len(counts))
        share = np.divide(spent, entered, out=np.zeros(len(counts)), where=entered > 0)
        np.add.at(mean_s, self.delayed_from, share[row])
        return mean_s


class _State(NamedTuple):
    """A link and how it was reached."""

    link: int
    history: tuple[int, ...]


class _TurnLink(NamedTuple):
    tail: int
    head: int
    delay_s: float
    entering: tuple[int, ...]
    """Links of the graph that lead to its tail."""


def turn_graph(network: RoadNetwork) -> TurnGraph:
    """Return the graph that honours the turns of a network."""
    if network.turns.is_empty:
        return _plain(network)
    return _Expansion(network).graph()


def _plain(network: RoadNetwork) -> TurnGraph:
    nothing = np.zeros(0, dtype=np.int32)
    every = np.arange(network.n_links, dtype=np.int32)
    return TurnGraph(network, network, every, nothing, np.zeros(1, dtype=np.int64), nothing)


class _Expansion:
    """The making of one graph."""

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network
        bans = network.turns.bans()
        self.bans = set(bans)
        self.longest = max((len(ban) for ban in bans), default=1)
        self.delays = network.turns.delays()
        beginnings = sorted({ban[:size] for ban in bans for size in range(2, len(ban))}, key=lambda path: (len(path), path))
        # A beginning that holds a ban is never reached.
        self.states = [_State(path[-1], path) for path in beginnings if not self._is_banned(path)]
        self.state_of = {state.history: network.n_links + place for place, state in enumerate(self.states)}
        self.tail_idx = np.concatenate([network.tail_idx, network.tail_idx[self._copied()]])
        self.head_idx = np.concatenate([network.head_idx, network.head_idx[self._copied()]])
        self.states_of_link: dict[int, list[int]] = defaultdict(list)
        for place, state in enumerate(self.states):
            self.states_of_link[state.link].append(network.n_links + place)
        self.fed_vph: dict[int, float] = defaultdict(float)
        self.passable = network.node_passable.tolist()
        self.new_nodes: list[int] = []
        self.turn_links: list[_TurnLink] = []

    def _copied(self) -> OffsetColumn:
        return np.array([state.link for state in self.states], dtype=np.int64)

    def _is_banned(self, path: tuple[int, ...]) -> bool:
        return any(path[-size:] in self.bans for size in range(2, len(path) + 1))

    def _next(self, state: int, link: int) -> int | None:
        """Return the state after `link`, None where that is banned."""
        n_links = self.network.n_links
        path = (*((state,) if state < n_links else self.states[state - n_links].history), link)[-self.longest :]
        if self._is_banned(path):
            return None
        return next((self.state_of[path[at:]] for at in range(len(path) - 1) if path[at:] in self.state_of), link)

    def _link(self, state: int) -> int:
        return state if state < self.network.n_links else self.states[state - self.network.n_links].link

    def _nodes(self) -> list[int]:
        """Return the junctions where a turn is banned, takes time, or changes the state."""
        network = self.network
        involved = {int(network.tail_idx[ban[-1]]) for ban in self.bans}
        involved |= {int(network.tail_idx[out_idx]) for _, out_idx in self.delays}
        involved |= {int(node) for state in self.states for node in (network.tail_idx[state.link], network.head_idx[state.link])}
        return sorted(node for node in involved if network.node_passable[node])

    def graph(self) -> TurnGraph:
        """Split every junction that needs it and return the graph."""
        in_start, in_link = self.network.in_rows
        out_start, out_link = self.network.out_rows
        at_zone = set(self.network.zone_node_idx.tolist())
        for node in self._nodes():
            arriving = self._with_states(in_link[in_start[node] : in_start[node + 1]].tolist())
            leaving_links = out_link[out_start[node] : out_start[node + 1]].tolist()
            self._split(node, arriving, leaving_links, is_zone=node in at_zone)
        return self._finished()

    def _with_states(self, links: Iterable[int]) -> list[int]:
        return [state for link in links for state in (link, *self.states_of_link.get(link, ()))]

    def _split(self, node: int, arriving: list[int], leaving_links: list[int], *, is_zone: bool) -> None:
        """Give the states at a junction their nodes and turn links."""
        leaving = self._with_states(leaving_links)
        rows: dict[int, dict[int, float]] = {}
        for state in arriving:
            link = self._link(state)
            turns = (
                (follows, self.delays.get((link, out), 0.0))
                for out in leaving_links
                if (follows := self._next(state, out)) is not None
            )
            rows[state] = dict(turns)
            for follows in rows[state]:
                # A connector's boundless capacity says nothing; no link brings more than the next one takes.
                self.fed_vph[follows] += float(
                    min(self.network.capacity_vph[link], self.network.capacity_vph[self._link(follows)])
                )
        in_classes = _classes({state: tuple(sorted(row.items())) for state, row in rows.items()})
        columns = {state: tuple((at, rows[states[0]].get(state)) for at, states in enumerate(in_classes)) for state in leaving}
        out_classes = _classes(
            {state: tuple(cell for cell in column if cell[1] is not None) for state, column in columns.items()}
        )
        cells = {
            (at, to): rows[arrived[0]][left[0]]
            for at, arrived in enumerate(in_classes)
            for to, left in enumerate(out_classes)
            if left[0] in rows[arrived[0]]
        }
        place_in, place_out = _merged(len(in_classes), len(out_classes), cells)
        node_of_place = self._nodes_of_places(node, [*place_in, *place_out], is_zone=is_zone)
        for at, states in enumerate(in_classes):
            self.head_idx[states] = node_of_place[place_in[at]]
        for to, states in enumerate(out_classes):
            self.tail_idx[states] = node_of_place[place_out[to]]
        for (at, to), delay_s in cells.items():
            if place_in[at] != place_out[to]:
                ends = node_of_place[place_in[at]], node_of_place[place_out[to]]
                self.turn_links.append(_TurnLink(*ends, delay_s, tuple(in_classes[at])))
        if is_zone and set(node_of_place.values()) != {node}:
            self.passable[node] = False
            first = {node_of_place[place_out[to]] for to, states in enumerate(out_classes) if min(states) < self.network.n_links}
            last = {node_of_place[place] for place in place_in}
            self.turn_links += [_TurnLink(node, start, 0.0, ()) for start in sorted(first)]
            self.turn_links += [_TurnLink(end, node, 0.0, ()) for end in sorted(last)]

    def _nodes_of_places(self, node: int, places: list[int], *, is_zone: bool) -> dict[int, int]:
        """Return a node for each place; one of them is the junction's own unless that is a zone's and there are several."""
        found: dict[int, int] = {}
        distinct = list(dict.fromkeys(places))
        for number, place in enumerate(distinct):
            if number == 0 and not (is_zone and len(distinct) > 1):
                found[place] = node
            else:
                found[place] = self.network.n_nodes + len(self.new_nodes)
                self.new_nodes.append(node)
        return found

    def _shares(self) -> FloatColumn:
        """Return what part of its street's capacity each link of the graph has (turn links left out)."""
        n_links = self.network.n_links
        share = np.ones(n_links + len(self.states))
        for link, states in self.states_of_link.items():
            fed = np.array([self.fed_vph.get(state, 0.0) for state in (link, *states)])
            # A state that nothing feeds carries nobody, or only those who start here; it takes nothing away from the others.
            share[[link, *states]] = np.where(fed > 0, fed / max(fed.sum(), 1e-300), 1.0)
        return share

    def _finished(self) -> TurnGraph:
        network, turns = self.network, self.turn_links
        n_states, n_turns = len(self.states), len(turns)
        copied = self._copied()
        columns = {name: _extended(getattr(network, name), copied, n_turns, filler) for name, filler in _FILLERS.items()}
        delay_s = np.array([turn.delay_s for turn in turns])
        columns["free_flow_time_s"][network.n_links + n_states :] = delay_s
        columns["capacity_vph"][: network.n_links + n_states] *= self._shares()
        classes = network.link_classes if TURN_CLASS in network.link_classes else (*network.link_classes, TURN_CLASS)
        columns["link_class_code"][network.n_links + n_states :] = classes.index(TURN_CLASS)
        columns["link_id"] = _extended_ids(network, n_states + n_turns)
        if len(network.street_name_code):
            filler = network.street_names.index("")
            columns["street_name_code"] = _extended(network.street_name_code, copied, n_turns, filler)
        columns["tail_idx"] = np.concatenate([self.tail_idx, [turn.tail for turn in turns]]).astype(np.int32)
        columns["head_idx"] = np.concatenate([self.head_idx, [turn.head for turn in turns]]).astype(np.int32)
        columns |= self._shapes(copied, n_turns) | self._node_columns()
        graph = network.replace(**columns, link_classes=classes, turns=TurnTable())
        street_idx = np.concatenate([np.arange(network.n_links), copied, np.full(n_turns, NO_STREET)]).astype(np.int32)
        delayed = [place for place, turn in enumerate(turns) if turn.delay_s > 0]
        return TurnGraph(
            streets=network,
            network=graph,
            street_idx=street_idx,
            delayed_idx=np.array(delayed, dtype=np.int32) + network.n_links + n_states,
            delayed_start=np.concatenate([[0], np.cumsum([len(turns[place].entering) for place in delayed], dtype=np.int64)]),
            delayed_from=np.array([link for place in delayed for link in turns[place].entering], dtype=np.int32),
        )

    def _node_columns(self) -> dict[str, Any]:
        network, origin = self.network, np.array(self.new_nodes, dtype=np.int64)
        names = [str(number) for number in range(1, len(origin) + 1)]
        return {
            "node_id": np.concatenate([network.node_id, new_node_ids(network, names, TURN_CLASS)]),
            "node_x": np.concatenate([network.node_x, network.node_x[origin]]),
            "node_y": np.concatenate([network.node_y, network.node_y[origin]]),
            "node_passable": np.concatenate([self.passable, np.ones(len(origin), dtype=np.bool_)]),
        }

    def _shapes(self, copied: OffsetColumn, n_turns: int) -> dict[str, Any]:
        """Return the shapes: those of the links again for their further states, none for turn links."""
        start, points = self.network.geometry_start, self.network.geometry_xy
        pieces = [points[start[link] : start[link + 1]] for link in copied.tolist()]
        counts = np.concatenate([np.diff(start), [len(piece) for piece in pieces], np.zeros(n_turns)]).astype(np.int64)
        return {"geometry_start": np.concatenate([[0], np.cumsum(counts)]), "geometry_xy": np.concatenate([points, *pieces])}


_FILLERS: Final[dict[str, float]] = {
    "length_m": 0.0,
    "free_flow_time_s": 0.0,
    "capacity_vph": CONNECTOR_CAPACITY_VPH,
    "bpr_alpha": 0.0,
    "bpr_beta": 1.0,
    "fixed_cost_s": 0.0,
    "toll": 0.0,
    "free_speed_kph": 0.0,
    "lanes": 0.0,
    "link_class_code": 0,
    "speed_source": Provenance.CLASS_DEFAULT,
    "lanes_source": Provenance.CLASS_DEFAULT,
    "capacity_source": Provenance.CLASS_DEFAULT,
}
"""What turn links have in the columns of links."""


def _extended(column: IdColumn, copied: OffsetColumn, n_turns: int, filler: float) -> IdColumn:
    return np.concatenate([column, column[copied], np.full(n_turns, filler, dtype=column.dtype)])


def _extended_ids(network: RoadNetwork, n_more: int) -> IdColumn:
    return np.concatenate([network.link_id, new_link_ids(network, n_more, TURN_CLASS)])


def _classes(kinds: dict[int, tuple[Any, ...]]) -> list[list[int]]:
    """Return the states of each kind, kinds in the order of their first state."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for state, kind in kinds.items():
        found.setdefault(kind, []).append(state)
    return list(found.values())


def _merged(n_in: int, n_out: int, cells: dict[tuple[int, int], float]) -> tuple[list[int], list[int]]:
    """Return a place for each class of arriving and of leaving states; two that only a free turn link joins share one."""
    of_in: dict[int, list[int]] = defaultdict(list)
    of_out: dict[int, list[int]] = defaultdict(list)
    for at, to in cells:
        of_in[at].append(to)
        of_out[to].append(at)
    place_in, place_out = list(range(n_in)), list(range(n_in, n_in + n_out))
    taken_in: set[int] = set()
    for to in range(n_out):
        for at in of_out[to]:
            lone = len(of_in[at]) == 1 or len(of_out[to]) == 1
            if lone and cells[at, to] == 0.0 and at not in taken_in and place_out[to] >= n_in:
                place_out[to] = place_in[at]
                taken_in.add(at)
    return place_in, place_out
