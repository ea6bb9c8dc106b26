"""A made-up run with a market: real contracts, evidence, disputes and a real ledger on invented flows.

The movers are those whose route differs between two invented worlds. Each contract is paid for by the funds of the links that
the detour leaves. Everything behind it (enforcement, settlement, files) is the program's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from made_run import (
    MadeWorld,
    driven_world,
    grid_network,
    grid_population,
    made_convergence,
    made_facts,
    made_paths,
    made_poa,
    made_spec,
    made_world,
)

from sim.arrays import BoolColumn, FloatColumn, OffsetColumn
from sim.demand.population import Population
from sim.experiments.record import RunFolder
from sim.experiments.record_tables import LinkColumns, TripColumns, convergence_table, link_table, trips_table
from sim.network.road_network import RoadNetwork
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours, route_sums
from sim.settlement.enforcement import enforce
from sim.settlement.ledger_file import write_ledger
from sim.settlement.members import believed_costs, settle_members
from sim.settlement.money import to_micro
from sim.settlement.outcome import Enforcement
from sim.settlement.tables import account_table, contract_table
from sim.spec import Adversaries, ContractRules, ScenarioSpec

N_MOVERS = 60


@dataclass(frozen=True, eq=False)
class MadeMarket:
    """A coalition that has been settled; `utility_micro` is baseline cost - cost + money of each traveller."""

    world: MadeWorld
    enforcement: Enforcement
    is_member: BoolColumn
    money_micro: OffsetColumn
    utility_micro: OffsetColumn
    content: dict[str, Any]


def _rows(routes: list[list[int]]) -> tuple[OffsetColumn, Any]:
    start = np.concatenate(([0], np.cumsum([len(route) for route in routes]))).astype(np.int64)
    return start, np.array([link for route in routes for link in route], np.int32)


def _contracts(mover: list[int], detours: Detours, kappa: FloatColumn, weight: FloatColumn) -> Contracts:
    """Return contracts in balance: links that are left share price, fee and the compensation of the first loaded link."""
    price, fee = to_micro(np.maximum(kappa, 1.0)), to_micro(weight)
    start, link, pays = [0], [], []
    for contract in range(len(mover)):
        own, other = set(detours.baseline_of(contract).tolist()), set(detours.target_of(contract).tolist())
        relieved, loaded = sorted(own - other), sorted(other - own)[:1]
        need = int(price[contract] + fee[contract]) + 500_000 * len(loaded)
        parts = np.full(len(relieved), need // len(relieved))
        parts[0] += need - int(parts.sum())
        link += relieved + loaded
        pays += parts.tolist() + [-500_000] * len(loaded)
        start.append(len(link))
    return Contracts(
        mover=np.array(mover, np.int32),
        price_micro=price,
        fee_micro=fee,
        start=np.array(start, np.int64),
        link=np.array(link, np.int32),
        fund_pays_micro=np.array(pays, np.int64),
        clearing_pays_micro=np.zeros(len(mover), np.int64),
    )


def made_market(
    network: RoadNetwork,
    population: Population,
    selfish: MadeWorld,
    *,
    spec: ScenarioSpec,
    participation: float = 1.0,
    n_movers: int = N_MOVERS,
) -> MadeMarket:
    """Let up to `n_movers` members leave the selfish paths for others under contracts, and settle the window."""
    draw = np.random.default_rng(8)
    is_member = draw.random(population.n_travellers) < participation
    before = made_paths(network, population, spread=0.0)
    wanted = made_paths(network, population, spread=0.9)
    differs = [k for k in np.flatnonzero(is_member).tolist() if set(wanted[k]) != set(before[k])]
    mover = sorted(draw.permutation(differs)[:n_movers].tolist())
    credits_per_s = population.weight * (1.0 if spec.market.numeraire == "time" else population.vot_per_h / 3600.0)
    detours = Detours(
        *_rows([before[k] for k in mover]),
        *_rows([wanted[k] for k in mover]),
        departure_s=population.departure_s[mover],
        credits_per_s=credits_per_s[mover],
    )
    drove_target = draw.random(len(mover)) >= 0.2
    paths = list(before)
    for traveller, drove in zip(mover, drove_target, strict=True):
        paths[traveller] = wanted[traveller] if drove else before[traveller]
    world = driven_world(network, population, paths)
    time_s = world.links.travel_time_s
    kappa = detours.credits_per_s * (
        route_sums(detours.target_start, detours.target_link, time_s)
        - route_sums(detours.baseline_start, detours.baseline_link, time_s)
    )
    enforcement = enforce(
        _contracts(mover, detours, kappa, population.weight[mover]),
        detours,
        drove_target,
        network=network,
        agreed_time_s=time_s,
        link_time_s=time_s,
        rules=ContractRules(),
        adversaries=Adversaries(griefers=0.1, colluding_validators=0.2),
        seed=1,
    )
    assert selfish.trips.travel_time_s is not None
    assert world.trips.travel_time_s is not None
    baseline, cost = credits_per_s * selfish.trips.travel_time_s, credits_per_s * world.trips.travel_time_s
    members = np.flatnonzero(is_member).astype(np.int32)
    believed = believed_costs(enforcement, cost, time_s)[members]
    settled = settle_members(enforcement, members, baseline[members], believed, population.weight[members])
    money = np.zeros(population.n_travellers, np.int64)
    money[members] = settled.money_micro
    utility = to_micro(baseline) - to_micro(cost) + money
    below = int((is_member & (utility < -1)).sum())

    def saving(of: BoolColumn) -> float | None:
        return float((baseline - cost)[of].sum() / baseline[of].sum()) if of.any() else None

    content = enforcement.totals() | {
        "members": len(members),
        "members_saving_share": saving(is_member),
        "others_saving_share": saving(~is_member),
        "deals": len(mover),
        "called_off": 0,
        "true_up_micro": settled.true_up_micro,
        "below_baseline": below,
        "below_baseline_share": below / len(members),
        "transfers_sum_micro": int(money.sum()),
        "days": 3,
        "stopped_because": "nobody trades",
    }
    return MadeMarket(world, enforcement, is_member, money, utility, content)


def toll_money(population: Population, world: MadeWorld) -> tuple[OffsetColumn, dict[str, Any]]:
    """Return what an invented toll of a third of the trip's time takes from everybody, and its keys in poa.json."""
    assert world.trips.travel_time_s is not None
    paid = to_micro(population.weight * world.trips.travel_time_s / 3.0)
    total = int(paid.sum())
    return -paid, {"toll_revenue_micro": total, "refund_micro": 0, "transfers_sum_micro": -total}


def write_market_run(target: Path, *, participation: float = 1.0, numeraire: str = "time", sigma: float = 0.5) -> Path:
    """Write a whole made-up run folder with the worlds selfish, optimum, coalition, toll and random control."""
    network = grid_network()
    population = grid_population(network, vot_sigma=sigma)
    spec = made_spec(market={"numeraire": numeraire, "participation": participation})
    spreads = {"selfish": 0.0, "optimum": 1.2, "toll": 0.9, "random_control": 0.1}
    worlds = {
        name: made_world(network, population, spread=spread, seed=7 if name == "random_control" else 5)
        for name, spread in spreads.items()
    }
    market = made_market(network, population, worlds["selfish"], spec=spec, participation=participation)
    worlds = {name: worlds[name] for name in ("selfish", "optimum")} | {"coalition": market.world} | worlds
    toll, toll_content = toll_money(population, worlds["toll"])
    money = {"coalition": market.money_micro, "toll": toll, "random_control": np.zeros(population.n_travellers, np.int64)}
    content = {"coalition": market.content, "toll": toll_content, "random_control": {"transfers_sum_micro": 0}}
    poa = made_poa(population, worlds)
    for name, keys in content.items():
        ratio = worlds[name].total_time_s / worlds["optimum"].total_time_s
        entry = {key: poa["worlds"][name][key] for key in ("total_time_s", "mean_time_s")}
        poa["worlds"][name] = entry | {"ratio": ratio, "ratio_interval": [ratio, ratio * (1 + 4e-7)]} | keys
    poa["baseline"] = {key: poa["worlds"]["selfish"][key] for key in ("total_time_s", "mean_time_s")} | {
        "ratio": poa["price_of_anarchy"]
    }
    trips = {
        name: TripColumns(
            world.trips.travel_time_s,
            world.trips.cost_s,
            world.trips.path_start,
            world.trips.path_link_idx,
            money_micro=money.get(name),
        )
        for name, world in worlds.items()
    }
    with RunFolder(target) as folder:
        folder.write_lock(spec)
        folder.write_poa(poa)
        folder.write_table("convergence", convergence_table(made_convergence(worlds)))
        links: dict[str, LinkColumns] = {name: world.links for name, world in worlds.items()}
        folder.write_table("link_performance", link_table(network, links))
        baseline_s = worlds["selfish"].trips.cost_s
        folder.write_table("trips", trips_table(population, trips, baseline_cost_s=baseline_s, is_member=market.is_member))
        folder.write_table("contracts", contract_table(market.enforcement))
        folder.write_table("accounts", account_table(market.enforcement))
        write_ledger(market.enforcement, folder.path / "ledger.parquet")
        folder.finish(made_facts(network, population))
    return target
