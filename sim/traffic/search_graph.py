"""The graph in which ways through queue traffic are searched: nodes, queues as links, and turn links between split junctions.

A search keeps one label a node. Where turns are banned or delayed the graph is therefore the one of `sim.network.turns`, in which
every path honours them; several of its links may be one and the same queue, and its turn links are none. Elsewhere it is the
network itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, frozen
from sim.errors import InputError
from sim.kernels.paths_pair import HEAP_ENTRY
from sim.kernels.timed_search import NOT_A_QUEUE, Star, free_times
from sim.network.road_network import RoadNetwork
from sim.network.turns import TurnGraph
from sim.parallel import over_rows
from sim.traffic.queue_network import QueueNetwork

CONNECTOR_VPH: Final = 36_000.0
"""Capacity of a zone's connector in queue traffic: a tenth of a second between two vehicles holds nobody up."""


@dataclass(frozen=True, eq=False)
class SearchGraph:
    """Nodes and links of the search.

    Attributes
    ----------
    tail_idx, head_idx
        Nodes of each link, shape (n_links,).
    queue_idx
        The queue that a link is, -1 for a turn link.
    delay_s
        Free-flow time, or the delay of a turn link, 0 or above.
    passable
        False for nodes that no path may pass through; shape (n_nodes,).
    """

    tail_idx: IndexColumn
    head_idx: IndexColumn
    queue_idx: IndexColumn
    delay_s: FloatColumn
    passable: BoolColumn

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.passable)

    @property
    def n_links(self) -> int:
        """Number of links, turn links included."""
        return len(self.tail_idx)

    @cached_property
    def out_star(self) -> Star:
        """Links by their tails."""
        return self._star(self.tail_idx, self.head_idx)

    @cached_property
    def in_star(self) -> Star:
        """Links by their heads."""
        return self._star(self.head_idx, self.tail_idx)

    def _star(self, by: IndexColumn, other: IndexColumn) -> Star:
        order = np.argsort(by, kind="stable")
        start = np.zeros(self.n_nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(by, minlength=self.n_nodes), out=start[1:])
        return Star(start, other[order], self.queue_idx[order], self.delay_s[order])

    def free_times_to(self, target_idx: IndexColumn) -> FloatColumn:
        """Return the free-flow time from every node to each target, inf where there is no way; shape (n_targets, n_nodes)."""
        time_s = np.empty((len(target_idx), self.n_nodes))

        def work(first: int, past_last: int) -> None:
            heap = np.empty(self.n_links + 1, dtype=HEAP_ENTRY)
            for row in range(first, past_last):
                free_times(target_idx[row], self.in_star, self.passable, time_s[row], heap)

        over_rows(len(target_idx), work)
        return time_s


def search_graph(network: QueueNetwork, turns: TurnGraph | None = None, passable: BoolColumn | None = None) -> SearchGraph:
    """Return the graph of a network of queues.

    Parameters
    ----------
    network
        The queues.
    turns
        The graph that honours the turns of the streets from which the queues were made; without it every turn is open.
    passable
        Without `turns`: nodes that may be passed, all if not given.
    """
    if turns is None or turns.is_plain:
        if turns is not None:
            passable = turns.network.node_passable
        every = np.arange(network.n_links, dtype=np.int32)
        open_nodes = np.ones(network.n_nodes, dtype=np.bool_) if passable is None else passable
        return SearchGraph(network.tail_idx, network.head_idx, every, network.free_flow_time_s, frozen(open_nodes))
    if turns.streets.n_links != network.n_links:
        raise InputError(f"{turns.streets.n_links} streets", source=network.name, where="turns", allowed=f"{network.n_links}")
    graph = turns.network
    queue_idx = turns.street_idx.astype(np.int32)
    on_queue = queue_idx != NOT_A_QUEUE
    delay_s = np.where(on_queue, network.free_flow_time_s[np.maximum(queue_idx, 0)], graph.free_flow_time_s)
    return SearchGraph(graph.tail_idx, graph.head_idx, queue_idx, delay_s, graph.node_passable)


def with_wide_connectors(network: RoadNetwork) -> RoadNetwork:
    """Return a network whose connectors have `CONNECTOR_VPH`; their own capacity means "no limit" and would store millions."""
    if not network.is_connector.any():
        return network
    return network.replace(capacity_vph=np.where(network.is_connector, CONNECTOR_VPH, network.capacity_vph))
