"""Trip bonds in the ledger, the costs of a vehicle's identities, and what a market starts from that believes its liars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.settlement_windows import made_window
from reference.small_markets import random_market

from contracts_model.audit import check_book
from contracts_model.outcomes import Kind
from sim.negotiation.baseline import Baseline, declared_baseline
from sim.negotiation.entitlement import Registrations, register_trips
from sim.settlement.enforcement import enforce
from sim.settlement.members import in_parts, settle_members
from sim.settlement.money import to_micro
from sim.settlement.outcome import Enforcement
from sim.spec import Adversaries, ContractRules

WINDOW = made_window(40, 7)
N = 400


def enforced(history_trips: int, bond: float) -> tuple[Registrations, Enforcement]:
    is_sybil = np.arange(N) % 5 == 0
    trips = register_trips(np.ones(N, np.bool_), is_sybil, np.zeros(N, np.int32), days_driven=2, history_trips=history_trips)
    done = enforce(
        WINDOW.contracts, WINDOW.detours, np.ones(40, np.bool_), network=WINDOW.network, agreed_time_s=WINDOW.link_time_s,
        link_time_s=WINDOW.link_time_s, rules=ContractRules(trip_bond=bond), adversaries=Adversaries(), seed=1,
        registrations=trips,
    )  # fmt: skip
    return trips, done


@pytest.mark.parametrize(("history_trips", "bond"), [(1, 5.0), (0, 5.0), (0, 0.0)])
def test_bonds_come_back_or_are_forfeited(history_trips: int, bond: float) -> None:
    trips, done = enforced(history_trips, bond)
    escrows, bonds = done.escrows, done.bonds
    assert check_book(escrows.book) == []
    entries, _ = escrows.book.entries()
    held, voided, posted = (entries[entries["kind"] == int(kind)] for kind in (Kind.HOLD, Kind.VOID, Kind.POST))
    n_phantoms = N // 5 if history_trips == 0 else 0
    micro = int(bond * 1e6)
    assert len(held) == (0 if micro == 0 else len(trips.bonded)) and held["amount"].sum() == bonds.locked_micro
    assert len(posted) == (0 if micro == 0 else n_phantoms) and len(voided) == len(held) - len(posted)
    # Bonds are locked before anybody signs, and go back after the last contract has ended.
    assert micro == 0 or held["time"].max() == 0 < voided["time"].min()
    forfeits = escrows.position_micro(np.array([escrows.accounts.forfeits]))[0]
    assert forfeits == bonds.forfeited_micro == bonds.forfeits_micro(N).sum() == n_phantoms * micro
    assert (bonds.forfeits_micro(N) > 0).sum() == (n_phantoms if micro else 0)
    honest = bonds.account[~bonds.no_show]
    money = escrows.position_micro(honest)
    signs = np.isin(honest, escrows.accounts.performers)
    assert not money[~signs].any()


def test_identities_of_a_vehicle_get_together_what_one_would_get() -> None:
    rng = np.random.default_rng(3)
    baseline, share = rng.uniform(100.0, 900.0, N), rng.uniform(0.0, 1.0, N)
    realised = baseline - rng.uniform(0.0, 40.0, N)
    plain = settle_members(WINDOW.enforce(), np.arange(N, dtype=np.int32), baseline, realised, share)
    trips, done = enforced(1, 5.0)
    rows = trips.taking_part
    member, part = trips.traveller[rows], trips.part[rows]
    costs = [in_parts(column, member, member, part) for column in (baseline, realised)]
    split = settle_members(done, member, *costs, share[member] * part, trips.nth[rows])
    together = np.zeros(N, np.int64)
    np.add.at(together, member, split.money_micro)
    assert split.gain_micro == plain.gain_micro and together.sum() == plain.money_micro.sum() == -done.fees_micro
    assert np.abs(together - plain.money_micro).max() <= 4
    assert check_book(done.escrows.book) == []


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.integers(1, 5)), min_size=1, max_size=20))
@settings(derandomize=True)
def test_parts_are_the_whole_to_the_micro_credit(rows: list[tuple[float, int]]) -> None:
    cost = np.array([row[0] for row in rows])
    member = np.repeat(np.arange(len(rows), dtype=np.int32), [row[1] for row in rows])
    part = np.concatenate([np.full(row[1], 1.0 / row[1]) for row in rows])
    micro = to_micro(in_parts(cost, member, member, part))
    together = np.zeros(len(rows), np.int64)
    np.add.at(together, member, micro)
    np.testing.assert_array_equal(together, to_micro(cost))
    assert np.abs(micro - cost[member] * part * 1e6).max() <= 2.0


@pytest.mark.parametrize("seed", range(6))
def test_liars_name_the_driven_route_that_costs_the_others_most(seed: int) -> None:
    market = random_market(seed, grain=2.0)
    population, true = market.population, market.baseline
    lies = np.random.default_rng(seed).random(population.n_travellers) < 0.5
    declared, named_another = declared_baseline(market.problem, population, true, lies)
    assert not (named_another & ~lies).any()
    traffic = market.traffic()
    links = traffic.links
    external = links.flow * np.where(np.isfinite(links.cost_slope), links.cost_slope, 0.0)

    def path(baseline: Baseline, traveller: int) -> tuple[int, ...]:
        return tuple(baseline.path_link[baseline.path_start[traveller] : baseline.path_start[traveller + 1]].tolist())

    for cell in range(population.od.n_cells):
        travellers = np.flatnonzero(population.od_idx == cell).tolist()
        worth = {path(true, t): float(external[list(path(true, t))].sum()) for t in travellers}
        most = max(worth.values())
        for traveller in travellers:
            told, own = path(declared, traveller), path(true, traveller)
            assert told in worth
            if lies[traveller]:
                assert worth[told] == pytest.approx(most)
                assert named_another[traveller] == (told != own)
            else:
                assert told == own
