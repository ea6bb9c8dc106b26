"""Present ways for many vehicles at once: everybody bound for a destination goes down the same tree.

One search against the links serves all vehicles with the same destination, wherever they are. Destinations are shared out among
threads; a way depends on the times and its two ends alone.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels.paths_pair import reverse_star
from sim.kernels.queue_ways import ways_to_destinations
from sim.parallel import over_rows
from sim.traffic.loading import Loading
from sim.traffic.queue_network import QueueNetwork


class TreeWays:
    """Searches on the network of queues by link times that change; turns are open (their bans need the split graph).

    Parameters
    ----------
    network
        The queues.
    passable
        Nodes that may be passed, shape (n_nodes,); all if not given.
    """

    def __init__(self, network: QueueNetwork, passable: BoolColumn | None = None) -> None:
        self.network = network
        self._passable = np.ones(network.n_nodes, dtype=np.bool_) if passable is None else passable
        self._order = np.argsort(network.tail_idx, kind="stable").astype(np.int32)
        start = np.zeros(network.n_nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(network.tail_idx, minlength=network.n_nodes), out=start[1:])
        in_start, in_tail, in_place = reverse_star(start, network.head_idx[self._order])
        self._in_start, self._in_tail, self._in_link = in_start, in_tail, self._order[in_place]

    def ways(
        self, time_s: FloatColumn, node_idx: IndexColumn, destination_idx: IndexColumn
    ) -> tuple[IndexColumn, OffsetColumn, IndexColumn]:
        """Return the fastest ways at given link times.

        Parameters
        ----------
        time_s
            Of each link, 0 or above; inf closes it.
        node_idx, destination_idx
            Ends of each way, shape (n_ways,).

        Returns
        -------
        order, path_start, path_link
            The ways sorted by destination: way k is that of entry `order[k]`, empty where there is none or none is needed.
        """
        order = np.argsort(destination_idx, kind="stable").astype(np.int32)
        node = np.ascontiguousarray(node_idx[order], dtype=np.int32)
        destination, first = np.unique(destination_idx[order], return_index=True)
        destination = destination.astype(np.int32)
        vehicle_start = np.append(first, len(order)).astype(np.int64)
        length = np.zeros(len(order), dtype=np.int32)
        found: dict[int, IndexColumn] = {}

        def work(first_row: int, past_row: int) -> None:
            begin, past = vehicle_start[first_row], vehicle_start[past_row]
            found[first_row] = ways_to_destinations(
                destination[first_row:past_row],
                vehicle_start[first_row : past_row + 1] - begin,
                node[begin:past],
                self._in_start,
                self._in_tail,
                self._in_link,
                time_s,
                self.network.head_idx,
                self._passable,
                length[begin:past],
            )

        over_rows(len(destination), work)
        start = np.zeros(len(order) + 1, dtype=np.int64)
        np.cumsum(length, out=start[1:])
        pieces = [found[row] for row in sorted(found)]
        return order, start, np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)


def reroute_all(loading: Loading, trees: TreeWays, time_s: FloatColumn, destination_idx: IndexColumn, until_s: float) -> int:
    """Give everybody on a link, and all who have not entered and depart before `until_s`, the fastest way by these link times.

    Vehicles that no way leads on keep theirs.

    Parameters
    ----------
    time_s
        Of each link.
    destination_idx
        Of every vehicle, shape (n_vehicles,).

    Returns
    -------
    n_vehicles
        How many got a way.
    """
    vehicle, node = loading.next_nodes(until_s)
    order, start, links = trees.ways(time_s, node, destination_idx[vehicle])
    length = np.diff(start)
    has_way = length > 0
    chosen = vehicle[order[has_way]]
    loading.reroute(chosen, np.concatenate([[0], np.cumsum(length[has_way])]), links)
    return len(chosen)
