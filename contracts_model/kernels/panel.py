"""Committee draw and the settlement of the seats.

Draw: the eligible validators (enough stake of the right asset, no party of the case, no seat in it before) are listed in the
order of their first stake, then a partial Fisher-Yates shuffle takes `size` of them: without replacement, every subset
equally likely. The numbers come from splitmix64 (Steele, Lea and Flood 2014), seeded from the book's seed, the escrow and the
round, so that the draw can be repeated by anybody.
"""

from __future__ import annotations

import numpy as np

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    KIND_JUROR_FEE,
    KIND_SEAT,
    KIND_SEAT_BACK,
    KIND_SEAT_LOST,
    KIND_SEAT_REWARD,
    NOBODY,
    POT_BONDS,
    POT_SEATS,
    STANDING_NEUTRAL,
    STANDING_RIGHT,
    STANDING_WRONG,
    VERDICT_NOT_FINAL,
)
from contracts_model.kernels.layout import EPOCH, POOL, SEATS, SEED, STAKED, Ints, Tables, share, write
from contracts_model.kernels.payout import credit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1 = np.uint64(30)
_SHIFT_2 = np.uint64(27)
_SHIFT_3 = np.uint64(31)


@helper
def mix(state: np.uint64) -> np.uint64:
    """Finalise one splitmix64 state."""
    z = (state ^ (state >> _SHIFT_1)) * _MIX_1
    z = (z ^ (z >> _SHIFT_2)) * _MIX_2
    return z ^ (z >> _SHIFT_3)


@kernel
def draw(seed: int, escrow: int, round_idx: int, candidates: Ints, count: int, size: int) -> None:
    """Shuffle so that candidates[:size] is the drawn panel.

    Uniform over the subsets of candidates[:count] (modulo bias below count / 2^64).
    """
    state = mix(mix(mix(np.uint64(seed) + _GAMMA) ^ np.uint64(escrow)) + np.uint64(round_idx))
    for at in range(size):
        state = state + _GAMMA
        other = at + np.int64(mix(state) % np.uint64(count - at))
        chosen = candidates[other]
        candidates[other] = candidates[at]
        candidates[at] = chosen


@helper
def mark(t: Tables, actor: int) -> None:
    """Keep `actor` out of the present draw."""
    if actor >= 0:
        t.marks[actor] = t.counters[EPOCH]


@helper
def eligible(t: Tables, escrow: int, barred: int) -> int:
    """List in `scratch` who may sit on the next panel of a case (the actor `barred` may not); returns how many.

    `barred` is who posts the bond that is about to be recorded; earlier posters, the challenger first, stand in the rounds.
    """
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    t.counters[EPOCH] += 1
    mark(t, barred)
    mark(t, row["performer"])
    for i in range(row["first_party"], row["first_party"] + row["payers"] + row["payees"]):
        mark(t, t.parties[i]["actor"])
    for r in range(row["first_round"], row["first_round"] + row["bonds"]):
        mark(t, t.rounds[r]["poster"])
        for s in range(t.rounds[r]["first_seat"], t.rounds[r]["first_seat"] + t.rounds[r]["seats"]):
            mark(t, t.seats[s]["juror"])
    count = 0
    for i in range(t.counters[POOL]):
        validator = t.pool[i]
        if t.marks[validator] != t.counters[EPOCH] and t.balances[validator, terms["bond_asset"], STAKED] >= terms["seat_stake"]:
            t.scratch[count] = validator
            count += 1
    return count


@helper
def seat_panel(t: Tables, now: int, escrow: int, round_idx: int, count: int, size: int) -> None:
    """Draw `size` of the `count` candidates in `scratch` and move one seat's stake of each into the pot of the escrow."""
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    draw(t.counters[SEED], escrow, round_idx, t.scratch, count, size)
    first = t.counters[SEATS]
    record = t.rounds[row["first_round"] + round_idx]
    record["first_seat"] = first
    record["seats"] = size
    amount = terms["seat_stake"]
    for i in range(size):
        juror = t.scratch[i]
        seat = t.seats[first + i]
        seat["juror"] = juror
        t.balances[juror, terms["bond_asset"], STAKED] -= amount
        write(t, now, KIND_SEAT, escrow, terms["bond_asset"], round_idx, juror, POT_SEATS, amount, first + i)
    row["pot_seats"] += size * amount
    t.counters[SEATS] = first + size


@helper
def standing(revealed: int, vote: int, final: int, planted: int) -> int:
    """`STANDING_RIGHT` for a seat that is rewarded, `_NEUTRAL` for one that gets its stake back, `_WRONG` for one that loses it.

    Not revealing always loses. Without a final verdict whoever revealed is rewarded. With one, the verdict's voters are
    rewarded and the others lose; saying NOT_FINAL is neutral, except in a planted case, whose answer was there to be found.
    """
    if revealed == 0:
        return STANDING_WRONG
    if final == VERDICT_NOT_FINAL or vote == final:
        return STANDING_RIGHT
    if vote == VERDICT_NOT_FINAL and planted == 0:
        return STANDING_NEUTRAL
    return STANDING_WRONG


@helper
def count_rewarded(t: Tables, escrow: int, final: int) -> int:
    """Seats of all rounds that will be rewarded."""
    row = t.escrows[escrow]
    rewarded = 0
    for r in range(row["first_round"], row["first_round"] + row["bonds"]):
        for s in range(t.rounds[r]["first_seat"], t.rounds[r]["first_seat"] + t.rounds[r]["seats"]):
            seat = t.seats[s]
            if standing(seat["revealed"], seat["vote"], final, row["planted"]) == STANDING_RIGHT:
                rewarded += 1
    return rewarded


@helper
def settle_seats(t: Tables, now: int, escrow: int, final: int, rewarded: int, juror_pot: int) -> None:
    """Return stakes; what the losing seats lost and `juror_pot` go to the rewarded ones in equal parts.

    Or to the treasury if there are none.
    """
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    lost = 0
    for r in range(row["first_round"], row["first_round"] + row["bonds"]):
        for s in range(t.rounds[r]["first_seat"], t.rounds[r]["first_seat"] + t.rounds[r]["seats"]):
            seat = t.seats[s]
            if standing(seat["revealed"], seat["vote"], final, row["planted"]) == STANDING_WRONG:
                lost += terms["seat_stake"]
            else:
                t.balances[seat["juror"], asset, STAKED] += terms["seat_stake"]
                write(
                    t,
                    now,
                    KIND_SEAT_BACK,
                    escrow,
                    asset,
                    r - row["first_round"],
                    POT_SEATS,
                    seat["juror"],
                    terms["seat_stake"],
                    s,
                )
    if rewarded == 0:
        credit(t, now, KIND_SEAT_LOST, escrow, asset, 0, POT_SEATS, terms["treasury"], lost)
        credit(t, now, KIND_JUROR_FEE, escrow, asset, 0, POT_BONDS, terms["treasury"], juror_pot)
    else:
        nth = 0
        for r in range(row["first_round"], row["first_round"] + row["bonds"]):
            for s in range(t.rounds[r]["first_seat"], t.rounds[r]["first_seat"] + t.rounds[r]["seats"]):
                seat = t.seats[s]
                if standing(seat["revealed"], seat["vote"], final, row["planted"]) == STANDING_RIGHT:
                    part = share(lost, nth + 1, rewarded) - share(lost, nth, rewarded)
                    credit(t, now, KIND_SEAT_REWARD, escrow, asset, r - row["first_round"], POT_SEATS, seat["juror"], part)
                    part = share(juror_pot, nth + 1, rewarded) - share(juror_pot, nth, rewarded)
                    credit(t, now, KIND_JUROR_FEE, escrow, asset, r - row["first_round"], POT_BONDS, seat["juror"], part)
                    nth += 1
    row["pot_seats"] = 0


@helper
def find_seat(t: Tables, escrow: int, juror: int) -> int:
    """Row of a juror's seat in the present round, or `NOBODY`: only who was drawn has a vote."""
    row = t.escrows[escrow]
    record = t.rounds[row["first_round"] + row["votes"] - 1]
    for s in range(record["first_seat"], record["first_seat"] + record["seats"]):
        if t.seats[s]["juror"] == juror:
            return s
    return NOBODY
