"""From a window's contracts to money that has moved: escrow, evidence, challenges, rulings.

Collateral. A mover who earns P, would save kappa by driving his baseline, is convicted of that with probability d and
wrongly with f, keeps his promise iff C >= kappa / (d - f) - P. Each contract's d and f follow from its own two routes
(`sim.settlement.evidence`); the scenario's multiple is on top. Where evidence can tell the routes apart too rarely, no
collateral that anybody could post deters; it is then that of `LEAST_POWER`, and the contract counts as undeterred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts_model import Verdict
from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.negotiation.entitlement import Registrations
from sim.network.road_network import RoadNetwork
from sim.settlement.adversaries import grieved, tempers
from sim.settlement.bonds import Bonds, lock_bonds, return_bonds
from sim.settlement.claims import CaseFile, Promises, audited, claim_digests, draw_up_case
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours
from sim.settlement.disputes import Disputes, Docket
from sim.settlement.escrows import Escrows, micro
from sim.settlement.evidence import (
    Evidence,
    Separation,
    compare,
    deadlines_ms,
    gather_evidence,
    rates_of_conviction,
    roadside_units,
    separations,
)
from sim.settlement.money import to_micro
from sim.settlement.outcome import Enforcement
from sim.settlement.timetables import Passages, RouteTimes, Times, all_finite, baseline_passages, target_passages
from sim.settlement.validation import PlantedCases
from sim.spec import Adversaries, ContractRules

LEAST_POWER: Final = 0.01
"""Least detection minus false conviction that a collateral is computed for."""


@dataclass(frozen=True, eq=False)
class _Prospect:
    """What is known of a window's contracts before anybody drives; columns of shape (n_contracts,).

    `counts` already says what the units will read, which shows after the drive alone; `differs` is false where the mover
    ended on his baseline and has no promise to break.
    """

    has_unit: BoolColumn
    counts: IndexColumn
    separation: Separation
    detection: FloatColumn
    false_conviction: FloatColumn
    differs: BoolColumn
    collateral_micro: OffsetColumn
    deadline_ms: OffsetColumn

    @property
    def claim_at_s(self) -> int:
        """When all claims are handed in: after the last deadline."""
        return int(self.deadline_ms.max(initial=0)) // 1000 + 1


def enforce(
    contracts: Contracts,
    detours: Detours,
    drove_target: BoolColumn,
    *,
    network: RoadNetwork,
    agreed_time_s: Times,
    link_time_s: Times,
    rules: ContractRules,
    adversaries: Adversaries,
    seed: int,
    window: int = 0,
    registrations: Registrations | None = None,
) -> Enforcement:
    """Carry the contracts of a window out: sign, drive, claim, challenge, vote, settle.

    Parameters
    ----------
    contracts, detours
        Cleared contracts and their routes, in the network's link positions (`sim.settlement.detours.detours_of`).
    drove_target
        The truth by contract: whether the mover drove the detour (else his baseline); `sim.settlement.adversaries.defects`
        draws it. Where both routes are the same there is no promise to break, and the truth is that it was kept.
    agreed_time_s, link_time_s
        Times when trading closed, and as driven: by link, shape (n_links,), or the movers' own; finite.
    rules, adversaries
        Sections of the scenario.
    seed, window
        Name every draw; the same give the same bytes.
    registrations
        Trips for which a bond is locked; None for a window without bonds.

    Raises
    ------
    RunFailedError
        The ledger refuses an operation: amounts or parties beyond its bounds.
    ValueError
        A link time is not finite, or the contracts do not balance.
    """
    if not (all_finite(agreed_time_s) and all_finite(link_time_s)):
        raise ValueError("link times must be finite")
    prospect = _prospect(contracts, detours, drove_target, network, agreed_time_s, rules, seed, window)
    kept_promise: BoolColumn = drove_target | ~prospect.differs
    escrows = Escrows(contracts, prospect.collateral_micro, prospect.claim_at_s, rules, seed)
    bonds = None if registrations is None else lock_bonds(escrows, registrations)
    promises = Promises(detours, prospect.deadline_ms, escrows.accounts, prospect.has_unit, rules, seed)
    escrows.sign(promises.digests(), prospect.claim_at_s + rules.claim_window_s)

    promises.driven = link_time_s
    separation = prospect.separation
    if isinstance(link_time_s, RouteTimes):
        # How many fixes there are on a link depends on how long the vehicle was there.
        separation = separations(network, detours, np.ascontiguousarray(prospect.counts[:, 6]), link_time_s, rules)
    evidence = gather_evidence(
        detours,
        contracts.mover,
        prospect.counts,
        separation,
        kept_promise,
        link_time_s,
        prospect.deadline_ms,
        rules,
        seed,
        window,
    )
    docket = _docket(contracts, evidence, rules, adversaries, seed, window)
    audits: BoolColumn = audited(contracts.mover, rules, seed, window) & rules.enforcement
    cases: dict[int, CaseFile] = {}
    for contract in np.union1d(docket.challenged, np.flatnonzero(audits)).tolist():
        mover, kept = int(contracts.mover[contract]), bool(kept_promise[contract])
        cases[contract] = draw_up_case(
            promises, contract, mover, evidence, kept, prospect.has_unit, link_time_s, rules.hit_rate, seed, window
        )
    escrows.claim(claim_digests(promises, evidence, cases))
    temper = tempers(rules.validators, adversaries, seed)
    disputes = Disputes(escrows, promises, evidence, cases, temper, seed, window)
    planted = disputes.run(docket)
    escrows.run_until()
    if bonds is not None:
        return_bonds(escrows, bonds)
    return _outcome(detours, evidence, escrows, kept_promise, prospect, docket, audits, planted, temper, bonds)


def _prospect(
    contracts: Contracts,
    detours: Detours,
    drove_target: BoolColumn,
    network: RoadNetwork,
    agreed_time_s: Times,
    rules: ContractRules,
    seed: int,
    window: int,
) -> _Prospect:
    has_unit = roadside_units(network.n_links, rules.roadside_units, seed, window)
    counts = compare(detours, contracts.mover, drove_target, has_unit, rules, seed, window)
    separation = separations(network, detours, np.ascontiguousarray(counts[:, 6]), agreed_time_s, rules)
    detection, false_conviction = rates_of_conviction(counts, separation, rules)
    differs = np.asarray(counts[:, :2].any(axis=1))
    power = detection - false_conviction
    return _Prospect(
        has_unit=has_unit,
        counts=counts,
        separation=separation,
        detection=detection,
        false_conviction=false_conviction,
        differs=differs,
        collateral_micro=_collateral_micro(contracts, detours, agreed_time_s, differs, power, rules),
        deadline_ms=deadlines_ms(detours, agreed_time_s, rules),
    )


def _collateral_micro(
    contracts: Contracts,
    detours: Detours,
    agreed_time_s: Times,
    differs: BoolColumn,
    power: FloatColumn,
    rules: ContractRules,
) -> OffsetColumn:
    """Return each mover's collateral; `power` is detection minus false conviction.

    A mover who sold his detour on and ended on his baseline (`differs` is false) has no promise to break.
    """
    if not rules.enforcement:
        return np.zeros(contracts.n_contracts, np.int64)
    bound = extra_cost(detours, agreed_time_s) / np.maximum(power, LEAST_POWER) - contracts.price_micro / micro(1.0)
    return to_micro(np.where(differs, rules.collateral * np.maximum(bound, rules.bond), 0.0))


def extra_cost(detours: Detours, times: Times) -> FloatColumn:
    """Return kappa: what each mover saves by driving his baseline instead of the target at these times, in credits."""
    if isinstance(times, RouteTimes):
        return detours.credits_per_s * times.extra_s
    target, baseline = target_passages(detours, times), baseline_passages(detours, times)
    return detours.credits_per_s * (_sums(target) - _sums(baseline))


def _sums(passages: Passages) -> FloatColumn:
    n_routes = len(passages.entry_s)
    route = np.repeat(np.arange(n_routes), np.diff(passages.start))
    return np.asarray(np.bincount(route, weights=passages.time_s, minlength=n_routes), np.float64)


def _docket(
    contracts: Contracts, evidence: Evidence, rules: ContractRules, adversaries: Adversaries, seed: int, window: int
) -> Docket:
    """Return who is challenged: whom the evidence does not support, and whom griefers pick."""
    if not rules.enforcement:
        return Docket(np.zeros(0, np.int64), np.zeros(0, np.bool_))
    supported = evidence.verdict == int(Verdict.ACCEPTED)
    griefed = grieved(contracts.mover, supported, adversaries, seed, window)
    challenged = np.flatnonzero(~supported | griefed)
    return Docket(challenged, griefed[challenged])


def _outcome(
    detours: Detours,
    evidence: Evidence,
    escrows: Escrows,
    kept_promise: BoolColumn,
    prospect: _Prospect,
    docket: Docket,
    audits: BoolColumn,
    planted: PlantedCases,
    temper: CodeColumn,
    bonds: Bonds | None,
) -> Enforcement:
    n_contracts = escrows.n_contracts
    rows = escrows.book.tables.escrows[:n_contracts]
    challenged, griefed = np.zeros(n_contracts, np.bool_), np.zeros(n_contracts, np.bool_)
    challenged[docket.challenged] = True
    griefed[docket.challenged] = docket.griefing
    power = prospect.detection - prospect.false_conviction
    return Enforcement(
        contracts=escrows.contracts,
        detours=detours,
        evidence=evidence,
        escrows=escrows,
        drove_target=kept_promise,
        detection=prospect.detection,
        false_conviction=prospect.false_conviction,
        undeterred=np.asarray(prospect.differs & (power < LEAST_POWER)),
        state=escrows.states(),
        ruling=rows["final"].astype(np.uint8),
        challenged=challenged,
        griefed=griefed,
        votes=rows["votes"].astype(np.int32),
        mover_money_micro=escrows.mover_money_micro(),
        collateral_micro=prospect.collateral_micro,
        audited=np.asarray(audits & ~challenged),
        planted=planted,
        temper=temper,
        bonds=bonds,
    )
