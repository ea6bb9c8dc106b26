"""Made windows for the tests of the settlement: a grid city, travellers with a usual route and a detour, contracts in balance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours, route_sums
from sim.settlement.enforcement import enforce
from sim.settlement.money import to_micro
from sim.settlement.outcome import Enforcement
from sim.spec import Adversaries, ContractRules


@dataclass(frozen=True, eq=False)
class Window:
    """A window before it is enforced."""

    network: RoadNetwork
    contracts: Contracts
    detours: Detours
    link_time_s: FloatColumn

    def enforce(
        self,
        rules: ContractRules | None = None,
        adversaries: Adversaries | None = None,
        *,
        drove_target: BoolColumn | None = None,
        seed: int = 1,
        window: int = 0,
        driven_time_s: FloatColumn | None = None,
    ) -> Enforcement:
        """Carry it out; everybody is honest unless told otherwise."""
        return enforce(
            self.contracts,
            self.detours,
            np.ones(self.contracts.n_contracts, np.bool_) if drove_target is None else drove_target,
            network=self.network,
            agreed_time_s=self.link_time_s,
            link_time_s=self.link_time_s if driven_time_s is None else driven_time_s,
            rules=rules or ContractRules(),
            adversaries=adversaries or Adversaries(),
            seed=seed,
            window=window,
        )


def _rows(routes: list[list[int]]) -> tuple[OffsetColumn, IndexColumn]:
    start = np.concatenate(([0], np.cumsum([len(route) for route in routes]))).astype(np.int64)
    return start, np.array([link for route in routes for link in route], np.int32)


def staircases(
    network: RoadNetwork, n_rows: int, n_columns: int, rng: np.random.Generator, count: int
) -> list[tuple[list[int], list[int]]]:
    """Pairs of routes between the same two corners of a block rectangle, each a staircase drawn at random."""
    by_ends = {(int(t), int(h)): link for link, (t, h) in enumerate(zip(network.tail_idx, network.head_idx, strict=True))}

    def one(row: int, column: int, steps: list[str]) -> list[int]:
        links = []
        for step in steps:
            ahead = (row, column + 1) if step == "east" else (row + 1, column)
            links.append(by_ends[(row * n_columns + column, ahead[0] * n_columns + ahead[1])])
            row, column = ahead
        return links

    pairs: list[tuple[list[int], list[int]]] = []
    while len(pairs) < count:
        east, south = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        row, column = int(rng.integers(0, n_rows - south)), int(rng.integers(0, n_columns - east))
        steps = ["east"] * east + ["south"] * south
        first, second = (one(row, column, [str(s) for s in rng.permutation(steps)]) for _ in range(2))
        if first != second:
            pairs.append((first, second))
    return pairs


def made_window(n_contracts: int = 60, seed: int = 5, *, size: int = 12, negative_prices: bool = True) -> Window:
    """A window of `n_contracts` detours on a grid, with contracts that balance as `clear` would leave them."""
    rng = np.random.default_rng(seed)
    network = grid(size, size)
    link_time_s = np.asarray(network.free_flow_time_s * rng.uniform(1.0, 3.0, network.n_links))
    pairs = staircases(network, size, size, rng, n_contracts)
    # Drivers' usual route is the quicker one.
    times = [[float(link_time_s[route].sum()) for route in pair] for pair in pairs]
    ordered = [(b, a) if tb < ta else (a, b) for (a, b), (ta, tb) in zip(pairs, times, strict=True)]
    detours = Detours(
        *_rows([baseline for baseline, _ in ordered]),
        *_rows([target for _, target in ordered]),
        departure_s=np.asarray(rng.uniform(0.0, 3600.0, n_contracts)),
        credits_per_s=np.asarray(rng.uniform(0.5, 2.0, n_contracts)),
    )
    target_s = route_sums(detours.target_start, detours.target_link, link_time_s)
    kappa = detours.credits_per_s * (target_s - route_sums(detours.baseline_start, detours.baseline_link, link_time_s))
    price = to_micro(kappa)
    if negative_prices:
        price[:: max(n_contracts // 6, 1)] = -to_micro(np.array([2.5]))[0]
    fee = to_micro(detours.credits_per_s)
    start, link, pays, clearing = [0], [], [], np.zeros(n_contracts, np.int64)
    for contract in range(n_contracts):
        own, other = (set(r.tolist()) for r in (detours.baseline_of(contract), detours.target_of(contract)))
        owing, owed = sorted(own - other), sorted(other - own)
        received = rng.integers(0, 3_000_000, len(owed))
        need = int(price[contract] + fee[contract] + received.sum())
        shares = rng.dirichlet(np.ones(len(owing)))
        put_in = np.floor(shares * max(need, 0)).astype(np.int64)
        link += owing + owed
        pays += put_in.tolist() + (-received).tolist()
        clearing[contract] = need - int(put_in.sum())
        start.append(len(link))
    # The clearing account ends at zero: the largest payer takes what is left.
    largest = int(np.argmax(pays))
    rest = int(clearing.sum())
    pays[largest] += rest
    clearing[np.searchsorted(start, largest, side="right") - 1] -= rest
    contracts = Contracts(
        mover=np.sort(rng.choice(10 * n_contracts, n_contracts, replace=False)).astype(np.int32),
        price_micro=price,
        fee_micro=fee,
        start=np.array(start, np.int64),
        link=np.array(link, np.int32),
        fund_pays_micro=np.array(pays, np.int64),
        clearing_pays_micro=clearing,
    )
    return Window(network, contracts, detours, link_time_s)
