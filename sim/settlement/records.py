"""The evidence of one claim in full: signed and chained link records, roadside reads, the sealed unit's word on its fixes.

A mover signs one record a link {vehicle, link, time in, time out}, chained by hash; a roadside unit countersigns the record
of a vehicle that it reads. What the roadside reads elsewhere it signs on its own account, and so does the sealed on-board
unit with the likelihood ratio of its fixes. Who forges can sign for himself alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from contracts_model.evidence import Fulfilment, KeyRing, Record, append_record
from sim.arrays import BoolColumn, FloatColumn, IndexColumn

_TRAVERSAL = struct.Struct("<qqqq")
_RATIO = struct.Struct("<qd")


@dataclass(frozen=True)
class Traversal:
    """One vehicle on one link; times in milliseconds of the window."""

    vehicle: int
    link: int
    in_ms: int
    out_ms: int

    def packed(self) -> bytes:
        """Body of a record."""
        return _TRAVERSAL.pack(self.vehicle, self.link, self.in_ms, self.out_ms)


def traversal_of(record: Record) -> Traversal | None:
    """Read the body of a record, None where it is no traversal."""
    return Traversal(*_TRAVERSAL.unpack(record.body)) if len(record.body) == _TRAVERSAL.size else None


def ratio_body(vehicle: int, log_ratio: float, target: str, baseline: str) -> bytes:
    """Body of the sealed unit's record: the log likelihood ratio of one route (hash in hex) against another."""
    return _RATIO.pack(vehicle, log_ratio) + bytes.fromhex(target) + bytes.fromhex(baseline)


def ratio_of(record: Record, vehicle: int, target: str, baseline: str) -> float | None:
    """Read the sealed unit's record; None where it is about something else."""
    if record.body[_RATIO.size :] != bytes.fromhex(target) + bytes.fromhex(baseline):
        return None
    about, log_ratio = _RATIO.unpack(record.body[: _RATIO.size])
    return float(log_ratio) if about == vehicle else None


def times_ms(entry_s: float, time_s: FloatColumn, arrival_ms: int | None = None) -> list[tuple[int, int]]:
    """Return (time in, time out) of links driven one after another, `time_s` on each, the first one entered at `entry_s`."""
    clock = np.round((entry_s + np.concatenate((np.zeros(1), np.cumsum(time_s)))) * 1000.0).astype(np.int64)
    if arrival_ms is not None:
        clock[-1] = arrival_ms
    return list(zip(clock[:-1].tolist(), clock[1:].tolist(), strict=True))


def chain_of_traversals(
    keys: KeyRing, vehicle: int, roadside: int, links: IndexColumn, times: list[tuple[int, int]], countersigned: BoolColumn
) -> tuple[Record, ...]:
    """Return a vehicle's records of its claimed links; the roadside countersigns where it did read the vehicle."""
    chain: tuple[Record, ...] = ()
    for link, (in_ms, out_ms), read in zip(links.tolist(), times, countersigned.tolist(), strict=True):
        chain = append_record(chain, keys, vehicle, Traversal(vehicle, link, in_ms, out_ms).packed(), roadside if read else -1)
    return chain


def roadside_exhibit(
    keys: KeyRing, vehicle: int, roadside: int, links: IndexColumn, times: list[tuple[int, int]], read: BoolColumn
) -> Fulfilment:
    """Return all reads of a vehicle, signed by the roadside."""
    chain: tuple[Record, ...] = ()
    for link, (in_ms, out_ms), was_read in zip(links.tolist(), times, read.tolist(), strict=True):
        if was_read:
            chain = append_record(chain, keys, roadside, Traversal(vehicle, link, in_ms, out_ms).packed())
    return Fulfilment(records=chain)


def fixes_exhibit(keys: KeyRing, vehicle: int, sealed_unit: int, log_ratio: float, target: str, baseline: str) -> Fulfilment:
    """Return the sealed unit's word on the position fixes of a vehicle."""
    return Fulfilment(records=append_record((), keys, sealed_unit, ratio_body(vehicle, log_ratio, target, baseline)))
