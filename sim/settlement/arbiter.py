"""Arbiters of a road: whether the promised route was driven, and in time.

They see evidence and public facts, never the simulator's truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import numpy as np

from contracts_model import Verdict
from contracts_model.conditions import Arbiter, Circumstances, Condition, Leaf, TermsValue, all_of, leaf
from contracts_model.evidence import EvidenceFault, Fulfilment, KeyRing, Record, check_chain
from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.settlement.evidence import LEAST_RECORDED, followed_verdicts
from sim.settlement.records import Traversal, ratio_of, traversal_of
from sim.spec import ContractRules

_Terms = Mapping[str, TermsValue]


def route_hashes(start: OffsetColumn, link: IndexColumn) -> list[str]:
    """Return the SHA-256 of each route's link positions (32 bits each, little-endian), in hex."""
    octets = memoryview(np.ascontiguousarray(link, "<i4").tobytes())
    bounds = (4 * start).tolist()
    return [hashlib.sha256(octets[first:last]).hexdigest() for first, last in pairwise(bounds)]


def arrived_before(deadline_ms: int) -> Leaf:
    """Return the promise to arrive before an instant."""
    return leaf("arrived_before", deadline_ms=deadline_ms)


def condition_of(target: str, baseline: str, in_time: Leaf, performer: int) -> Condition:
    """Return what a mover promises: this route instead of that one (hashes), in time, in person."""
    return all_of(leaf("route_followed", target=target, baseline=baseline), in_time, leaf("recipient", actor=performer))


class RouteFollowed:
    """Terms `target` and `baseline` (hashes of routes): the vehicle drove the target and not the baseline.

    Parameters
    ----------
    keys
        Everybody's keys.
    roadside, sealed_unit
        Actors who sign for the roadside units and for the sealed on-board units.
    has_unit
        Links with a roadside unit in this window, shape (n_links,).
    routes
        Routes by their hash, as places: link a, or a + n_links for link a at the other time of a baseline.
    passed_ms
        Where times tell two routes apart: when either passes its places on the day as it was driven, by the route's hash.
    rules
        Hit rate and odds of a conviction.
    """

    name = "route_followed"

    def __init__(
        self,
        keys: KeyRing,
        roadside: int,
        sealed_unit: int,
        has_unit: BoolColumn,
        routes: Mapping[str, IndexColumn],
        rules: ContractRules,
        passed_ms: Mapping[str, Mapping[int, int]] | None = None,
    ) -> None:
        self._keys = keys
        self._roadside = roadside
        self._sealed_unit = sealed_unit
        self._has_unit = has_unit
        self._routes = routes
        self._rules = rules
        self._passed_ms = {} if passed_ms is None else passed_ms

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by reads, fixes and records, in this order of weight."""
        target, baseline = cast(str, terms["target"]), cast(str, terms["baseline"])
        vehicle = circumstances.performer
        claimed = self._sound_claim(fulfilment.records, vehicle)
        read = {self._place(step, target, baseline) for step, record in claimed if record.witness == self._roadside}
        log_ratio = 0.0
        heard: set[bytes] = set()
        for exhibit in circumstances.exhibits:
            if not exhibit.records or check_chain(exhibit.records, self._keys) is not EvidenceFault.NONE:
                continue
            for record in exhibit.records:
                step = traversal_of(record)
                if record.author == self._roadside and step is not None and step.vehicle == vehicle:
                    read.add(self._place(step, target, baseline))
                # Whoever hands the same record in again adds no fix to it.
                if record.author == self._sealed_unit and record.digest not in heard:
                    heard.add(record.digest)
                    log_ratio += ratio_of(record, vehicle, target, baseline) or 0.0
        wanted, other = self._routes[target], self._routes[baseline]
        whole = names_enough([step.link for step, _ in claimed], wanted.tolist())
        of_target, of_baseline = np.setdiff1d(wanted, other), np.setdiff1d(other, wanted)
        seen = np.array(sorted(read), np.int64)

        def one(number: int) -> IndexColumn:
            return np.array([number], np.int32)

        verdicts = followed_verdicts(
            one(int(self._has_unit[of_target % len(self._has_unit)].sum())),
            one(int(self._has_unit[of_baseline % len(self._has_unit)].sum())),
            one(int(np.isin(of_target, seen).sum())),
            one(int(np.isin(of_baseline, seen).sum())),
            np.array([log_ratio]),
            np.array([whole]),
            self._rules,
        )
        return Verdict(int(verdicts[0]))

    def _place(self, step: Traversal, target: str, baseline: str) -> int:
        """Return where somebody was read: on the link, or on it at the other time, whichever plan's time is nearer."""
        other = step.link + len(self._has_unit)
        of_target, of_baseline = self._passed_ms.get(target, {}), self._passed_ms.get(baseline, {})
        if step.link not in of_target or other not in of_baseline:
            return step.link
        return other if abs(step.in_ms - of_baseline[other]) < abs(step.in_ms - of_target[step.link]) else step.link

    def _sound_claim(self, records: Sequence[Record], vehicle: int) -> list[tuple[Traversal, Record]]:
        """Return the claimed links with their records; nothing where the chain is unsound or somebody else's."""
        if check_chain(records, self._keys) is not EvidenceFault.NONE:
            return []
        claimed = [(step, record) for record in records if (step := traversal_of(record)) is not None and step.vehicle == vehicle]
        mine = len(claimed) == len(records) and all(record.author == vehicle for record in records)
        return claimed if mine else []


def names_enough(claimed: Sequence[int], wanted: Sequence[int]) -> bool:
    """Return whether the claimed links are those of a route in their order, at most the allowed part of them missing."""
    ahead = iter(wanted)
    in_order = all(link in ahead for link in claimed)
    return in_order and len(claimed) > 0 and len(claimed) >= LEAST_RECORDED * len(wanted)


class ArrivedBefore:
    """Term `deadline_ms`: the last record ends before this instant; no records are silence."""

    name = "arrived_before"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the last record of the claim."""
        last = traversal_of(fulfilment.records[-1]) if fulfilment.records else None
        if last is None:
            return Verdict.NOT_FINAL
        return Verdict.ACCEPTED if last.out_ms < cast(int, terms["deadline_ms"]) else Verdict.REJECTED


def road_arbiters(followed: RouteFollowed, recipient: Arbiter) -> dict[str, Arbiter]:
    """Return the arbiters that `condition_of` names."""
    return {arbiter.name: arbiter for arbiter in (followed, ArrivedBefore(), recipient)}
