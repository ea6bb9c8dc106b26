"""The routes that travellers know, as columns that grow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels.routes import NO_ROUTE, Routes, add_paths, add_tree_paths, route_costs


class KnownRoutes:
    """Routes by OD cell; each route is a sequence of links (positions in the problem's link order), known once.

    Parameters
    ----------
    n_cells
        Number of OD cells.
    """

    def __init__(self, n_cells: int) -> None:
        self.n_routes = 0
        self.columns = Routes(
            start=np.zeros(2 * n_cells + 2, np.int64),
            link=np.empty(64 * n_cells + 64, np.int32),
            next_of_cell=np.full(2 * n_cells + 1, NO_ROUTE, np.int32),
            first_of_cell=np.full(n_cells, NO_ROUTE, np.int32),
        )

    def add_paths(self, cell_of_path: IndexColumn, path_start: OffsetColumn, path_link: IndexColumn) -> IndexColumn:
        """Add paths in compressed rows; return the route of each, shape (n_paths,)."""
        route_of_path = np.empty(len(cell_of_path), np.int32)

        def add(first: int) -> tuple[int, int]:
            done, n_routes = add_paths(first, cell_of_path, path_start, path_link, self.columns, self.n_routes, route_of_path)
            return int(done), int(n_routes)

        self._add_all(len(cell_of_path), add)
        return route_of_path

    def add_tree_paths(
        self,
        origin_of_cell: IndexColumn,
        origin_node: IndexColumn,
        cell_node: IndexColumn,
        tree_link: IndexColumn,
        tail: IndexColumn,
    ) -> IndexColumn:
        """Add the path of each cell on its origin's tree; return the route of each cell, shape (n_cells,)."""
        route_of_cell = np.empty(len(cell_node), np.int32)

        def add(first: int) -> tuple[int, int]:
            done, n_routes = add_tree_paths(
                first, origin_of_cell, origin_node, cell_node, tree_link, tail, self.columns, self.n_routes, route_of_cell
            )
            return int(done), int(n_routes)

        self._add_all(len(cell_node), add)
        return route_of_cell

    def _add_all(self, n_paths: int, add: Callable[[int], tuple[int, int]]) -> None:
        done, self.n_routes = add(0)
        while done < n_paths:
            self._grow()
            done, self.n_routes = add(done)

    def _grow(self) -> None:
        old = self.columns
        start = np.zeros(2 * len(old.start), np.int64)
        start[: len(old.start)] = old.start
        link = np.empty(2 * len(old.link), np.int32)
        link[: len(old.link)] = old.link
        next_of_cell = np.full(2 * len(old.next_of_cell) + 2, NO_ROUTE, np.int32)
        next_of_cell[: len(old.next_of_cell)] = old.next_of_cell
        self.columns = Routes(start, link, next_of_cell, old.first_of_cell)

    def costs(self, link_cost: FloatColumn) -> FloatColumn:
        """Return the cost of every route at the given link costs, shape (n_routes,)."""
        cost = np.empty(self.n_routes)
        route_costs(self.columns, self.n_routes, link_cost, cost)
        return cost

    def links_of(self, route: int) -> IndexColumn:
        """Return the links of one route, from its origin on."""
        return self.columns.link[self.columns.start[route] : self.columns.start[route + 1]]

    def by_cell(self) -> list[list[int]]:
        """Return the routes of each OD cell, the latest first."""
        following = self.columns.next_of_cell.tolist()
        result = []
        for route in self.columns.first_of_cell.tolist():
            routes = []
            while route != NO_ROUTE:
                routes.append(route)
                route = following[route]
            result.append(routes)
        return result
