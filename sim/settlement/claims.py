"""Conditions and claims of a window: what each mover promised, and the evidence that he hands in for it.

A claim that is challenged or audited comes with its whole chain of records, and its digest is that of the chain. All others
are claimed by the digest of the same evidence in summary: 30,000 chains of 60 signed records would cost minutes, and nobody
would read them.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np

from contracts_model import Verdict
from contracts_model.arbiters import Recipient
from contracts_model.batch import digest_column
from contracts_model.conditions import Arbiter, Circumstances, Condition, judge
from contracts_model.evidence import Fulfilment, KeyRing
from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.errors import RunFailedError
from sim.rng import uniforms
from sim.settlement.accounts import Accounts
from sim.settlement.arbiter import RouteFollowed, arrived_before, condition_of, road_arbiters, route_hashes
from sim.settlement.detours import Detours
from sim.settlement.evidence import Evidence, lost_records, would_read
from sim.settlement.records import chain_of_traversals, fixes_exhibit, roadside_exhibit, times_ms
from sim.settlement.timetables import Times, baseline_passages, target_passages
from sim.spec import ContractRules

_SUMMARY = struct.Struct("<qqqqqqdqq")


@dataclass(frozen=True)
class CaseFile:
    """Full evidence of one claim: what the mover hands in, what roadside and sealed unit add."""

    fulfilment: Fulfilment
    exhibits: tuple[Fulfilment, ...]


class Promises:
    """What the movers of a window promise, and the arbiters who judge it.

    Parameters
    ----------
    detours, deadline_ms
        Routes, and the instants by which the movers promise to arrive. Where a promise is one of another time on the same links,
        the baseline's hash names these links at their other time.
    accounts
        The movers' accounts and the signers of evidence.
    has_unit
        Links with a roadside unit in this window.
    rules, seed
        Rules of evidence; seed of the keys.

    Attributes
    ----------
    driven
        Times as driven, known after the drive: by them reads on a link that both routes use are told apart.
    """

    def __init__(
        self,
        detours: Detours,
        deadline_ms: OffsetColumn,
        accounts: Accounts,
        has_unit: BoolColumn,
        rules: ContractRules,
        seed: int,
    ) -> None:
        self.detours = detours
        self.accounts = accounts
        self.keys = KeyRing(seed)
        self.rules = rules
        self._places = detours.baseline_places(len(has_unit))
        targets = route_hashes(detours.target_start, detours.target_link)
        self._hashes = list(zip(targets, route_hashes(detours.baseline_start, self._places), strict=True))
        self.driven: Times | None = None
        # Deadlines are whole minutes, so that many movers share one.
        in_time = {deadline: arrived_before(deadline) for deadline in np.unique(deadline_ms).tolist()}
        self.conditions: list[Condition] = [
            condition_of(target, baseline, in_time[deadline], performer)
            for (target, baseline), deadline, performer in zip(
                self._hashes, deadline_ms.tolist(), accounts.performers.tolist(), strict=True
            )
        ]
        self._routes: dict[str, IndexColumn] = {}
        self._passed_ms: dict[str, dict[int, int]] = {}
        followed = RouteFollowed(
            self.keys, accounts.roadside, accounts.sealed_unit, has_unit, self._routes, rules, self._passed_ms
        )
        self.arbiters: dict[str, Arbiter] = road_arbiters(followed, Recipient())

    def hashes_of(self, contract: int) -> tuple[str, str]:
        """Return the hashes (target, baseline) of a contract's routes."""
        return self._hashes[contract]

    def baseline_places_of(self, contract: int) -> IndexColumn:
        """Return the places of a contract's baseline."""
        start = self.detours.baseline_start
        return self._places[start[contract] : start[contract + 1]]

    def _write_timetable(self, contract: int, target: str, baseline: str) -> None:
        """Tell the arbiter when either route passes its places, where times tell them apart; the routes' hashes are shared."""
        if self.driven is None or self.detours.baseline_apart is None:
            return
        for route, passages, places in (
            (target, target_passages(self.detours, self.driven), self.detours.target_of(contract)),
            (baseline, baseline_passages(self.detours, self.driven), self.baseline_places_of(contract)),
        ):
            _, time_s, entry_s = passages.of(contract)
            into_ms = [into for into, _ in times_ms(entry_s, time_s)]
            self._passed_ms[route] = dict(zip(places.tolist(), into_ms, strict=True))

    def digests(self) -> OffsetColumn:
        """Return the digests of the conditions, shape (n_contracts, 4)."""
        return digest_column([condition.digest for condition in self.conditions])

    def judge(self, contract: int, case: CaseFile, claimed_at_s: int, now_s: int) -> Verdict:
        """Replay the evidence of a claim.

        Raises
        ------
        RunFailedError
            A condition names no arbiter that there is.
        """
        target, baseline = self._hashes[contract]
        self._routes[target] = self.detours.target_of(contract)
        self._routes[baseline] = self.baseline_places_of(contract)
        self._write_timetable(contract, target, baseline)
        circumstances = Circumstances(
            escrow=contract,
            performer=int(self.accounts.performers[contract]),
            claimed_at=claimed_at_s,
            now=now_s,
            exhibits=case.exhibits,
            state_of=lambda _: None,
            decision_of=lambda _oracle, _subject: Verdict.NOT_FINAL,
        )
        verdict = judge(self.conditions[contract], self.arbiters, case.fulfilment, circumstances)
        if not isinstance(verdict, Verdict):
            raise RunFailedError(f"the evidence of contract {contract} cannot be judged: {verdict.name}")
        return verdict


def draw_up_case(
    promises: Promises,
    contract: int,
    mover: int,
    evidence: Evidence,
    drove_target: bool,
    has_unit: BoolColumn,
    times: Times,
    hit_rate: float,
    seed: int,
    window: int,
) -> CaseFile:
    """Return the full evidence of a claim: records of the whole target, countersigned where the roadside did read the vehicle.

    Who drove the baseline forges his records at the target's times: on links of the target alone nobody countersigns them.
    """
    detours, accounts, keys = promises.detours, promises.accounts, promises.keys
    vehicle = int(accounts.performers[contract])
    target, target_s, target_entry_s = target_passages(detours, times).of(contract)
    baseline = baseline_passages(detours, times)
    driven, driven_s, entry_s = (target, target_s, target_entry_s) if drove_target else baseline.of(contract)

    def read(links: IndexColumn) -> BoolColumn:
        start = np.array([0, len(links)])
        hit = would_read(np.array([mover], np.int32), start, links, len(has_unit), hit_rate, seed, window)
        return np.asarray(hit & has_unit[links])

    claimed_times = times_ms(target_entry_s, target_s, int(evidence.arrival_ms[contract]))
    driven_places = target if drove_target else promises.baseline_places_of(contract)
    countersigned = read(target) & np.isin(target, driven_places)
    kept = ~lost_records(np.array([mover], np.int32), np.array([0, len(target)]), promises.rules, seed, window)
    claimed_times = [times for times, has_record in zip(claimed_times, kept.tolist(), strict=True) if has_record]
    chain = chain_of_traversals(keys, vehicle, accounts.roadside, target[kept], claimed_times, countersigned[kept])
    exhibits = [roadside_exhibit(keys, vehicle, accounts.roadside, driven, times_ms(entry_s, driven_s), read(driven))]
    if evidence.has_fixes[contract]:
        ratio = float(evidence.gps_log_ratio[contract])
        exhibits.append(fixes_exhibit(keys, vehicle, accounts.sealed_unit, ratio, *promises.hashes_of(contract)))
    fulfilment = Fulfilment(records=chain, references=(promises.conditions[contract].digest,))
    return CaseFile(fulfilment, tuple(exhibits))


def claim_digests(promises: Promises, evidence: Evidence, cases: dict[int, CaseFile]) -> OffsetColumn:
    """Return what each claim is known by, shape (n_contracts, 4).

    The digest of the chain where there is a case file, else of the summary.
    """
    columns = zip(
        promises.accounts.performers.tolist(),
        evidence.target_units.tolist(),
        evidence.target_reads.tolist(),
        evidence.baseline_units.tolist(),
        evidence.baseline_reads.tolist(),
        evidence.has_fixes.tolist(),
        evidence.gps_log_ratio.tolist(),
        evidence.arrival_ms.tolist(),
        evidence.has_chain.tolist(),
        strict=True,
    )
    digests = [
        hashlib.sha256(b"claim" + _SUMMARY.pack(*row) + condition.digest).digest()
        for row, condition in zip(columns, promises.conditions, strict=True)
    ]
    for contract, case in cases.items():
        digests[contract] = case.fulfilment.digest
    return digest_column(digests)


def audited(mover: IndexColumn, rules: ContractRules, seed: int, window: int) -> BoolColumn:
    """Return which claims are audited."""
    return np.asarray(uniforms(seed, "audits", mover, window) < rules.audit_share)
