"""Slow twins of `sim.kernels.routes`: travellers and routes as Python lists, every cost computed from the formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LinkCost = Callable[[int, float], float]
"""Cost of a link at a flow."""
Route = tuple[int, ...]


def flows_of(routes: Sequence[Route], weights: Sequence[float], n_links: int) -> list[float]:
    """Return the flow of every link: the weights of the travellers on it."""
    flow = [0.0] * n_links
    for route, weight in zip(routes, weights, strict=True):
        for link in route:
            flow[link] += weight
    return flow


def could_gain(
    driven: Sequence[Route],
    cell: Sequence[int],
    known: Sequence[Sequence[Route]],
    weights: Sequence[float],
    cost: LinkCost,
    n_links: int,
    least_gain: float,
) -> list[int]:
    """Return the travellers who know a route that is now cheaper than theirs by more than a share of their cost."""
    flow = flows_of(driven, weights, n_links)

    def price(route: Route) -> float:
        return sum(cost(link, flow[link]) for link in route)

    return [
        traveller
        for traveller, own in enumerate(driven)
        if any(price(route) < price(own) * (1.0 - least_gain) for route in known[cell[traveller]])
    ]


def choose_in_turn(
    turn: Sequence[int],
    driven: Sequence[Route],
    cell: Sequence[int],
    known: Sequence[Sequence[Route]],
    weights: Sequence[float],
    cost: LinkCost,
    n_links: int,
    least_gain: float,
) -> list[Route]:
    """Return everybody's route after each traveller in `turn` took the cheapest he knows, counting his own weight there."""
    now = list(driven)
    for traveller in turn:
        others = flows_of([*now[:traveller], *now[traveller + 1 :]], [*weights[:traveller], *weights[traveller + 1 :]], n_links)

        def price(route: Route, others: list[float] = others, weight: float = weights[traveller]) -> float:
            return sum(cost(link, others[link] + weight) for link in route)

        own = now[traveller]
        best = min(known[cell[traveller]], key=price)
        if price(best) < price(own) * (1.0 - least_gain):
            now[traveller] = best
    return now


def rosenthal_potential(driven: Sequence[Route], cost: LinkCost, n_links: int, weight: float) -> float:
    """Return sum over links of cost(weight) + cost(2 weight) + ... for all on it (Rosenthal 1973); all weigh the same."""
    count = [0] * n_links
    for route in driven:
        for link in route:
            count[link] += 1
    return sum(cost(link, weight * number) for link in range(n_links) for number in range(1, count[link] + 1))
