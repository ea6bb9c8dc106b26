"""A small world explored exhaustively: two payers, panels of three and seven (votes by their counts), two rounds and the
replay.

Every reachable state of one escrow is visited on the real book, with time moving to each instant that matters (now, the last
instant before a deadline, the deadline). Each state is identified by the rows of all tables but the journal, with times
relative to the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache

import numpy as np
from contract_scenes import (
    BONDS,
    CHALLENGER,
    CLAIM,
    CREDIT,
    PAYER,
    PAYER2,
    PERFORMER,
    make_terms,
    offer,
    salt,
    world,
)

from contracts_model import Outcome, State, Verdict

A, R = Verdict.ACCEPTED, Verdict.REJECTED
FINAL = (State.PAID, State.REFUNDED, State.SLASHED)
TERMS = {"challenge_window": 3, "commit_window": 3, "reveal_window": 3, "appeal_window": 3, "replay_window": 3}

# What a panel can do, by counts (accept, reject; the rest never reveals): every ruling, tie, quorum just met and just missed.
PANELS = {
    3: [(3, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 3), (1, 0), (0, 0)],
    7: [(7, 0), (4, 3), (4, 0), (2, 2), (3, 0), (0, 4), (3, 4), (0, 7), (0, 0)],
}


class World:
    """A book that can be put back to an earlier moment."""

    def __init__(self) -> None:
        self.book = world(jurors=12, seat_stake=40, reserve_appeals=True, **TERMS)
        self.terms = make_terms(**TERMS)
        outcome, self.escrow = self.book.open(PAYER, offer(accept_by=4, claim_by=8), now=1)
        assert outcome is Outcome.OK

    def save(self) -> tuple:
        return tuple(table.copy() for name, table in self.book.tables._asdict().items() if name not in ("journal", "digests"))

    def load(self, saved: tuple) -> None:
        names = [name for name in self.book.tables._fields if name not in ("journal", "digests")]
        self.book.tables = self.book.tables._replace(**{name: table.copy() for name, table in zip(names, saved, strict=True)})

    def key(self) -> bytes:
        row = self.book.escrow_row(self.escrow)
        clock = self.book.clock
        for name in ("accept_by", "claim_by", "commit_end", "deadline", "claimed_at"):
            row[name] = max(row[name] - clock, -1)
        t = self.book.tables
        parts = [t.balances, t.parties, t.rounds, t.seats["juror"], t.seats["revealed"], t.seats["vote"]]
        return repr(row).encode() + b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def moments(self) -> list[int]:
        deadline, clock = self.book.deadline(self.escrow), self.book.clock
        return sorted({clock, max(deadline - 1, clock), max(deadline, clock)})

    def hold_vote(self, accepts: int, rejects: int) -> Outcome:
        """A whole vote by counts, from commitment to count."""
        book, escrow = self.book, self.escrow
        commit_end, deadline = book.escrow_row(escrow)["commit_end"], book.deadline(escrow)
        if book.clock >= commit_end:
            return Outcome.TOO_LATE
        ballots = list(zip(book.panel(escrow), [A] * accepts + [R] * rejects, strict=False))
        for juror, ballot in ballots:
            assert book.commit(juror, escrow, book.seal_vote(escrow, juror, ballot, salt(juror)), now=book.clock) is Outcome.OK
        for juror, ballot in ballots:
            assert book.reveal(juror, escrow, ballot, salt(juror), now=deadline - 1) is Outcome.OK
        return book.tally(escrow, now=deadline)

    def moves(self) -> Iterator[tuple[str, object]]:
        book, e = self.book, self.escrow
        for now in self.moments():
            for payer, due in ((PAYER, 700), (PAYER2, 350)):
                yield f"fund {payer} {now}", lambda p=payer, d=due, n=now: book.fund(p, e, d, now=n)
            yield f"accept {now}", lambda n=now: book.accept(PERFORMER, e, now=n)
            yield f"claim {now}", lambda n=now: book.claim(PERFORMER, e, CLAIM, now=n)
            for reserve in (True, False):
                yield f"challenge {reserve} {now}", lambda r=reserve, n=now: book.challenge(CHALLENGER, e, now=n, with_reserve=r)
                for poster in (PERFORMER, CHALLENGER):
                    yield (
                        f"appeal {poster} {reserve} {now}",
                        lambda p=poster, r=reserve, n=now: book.appeal(p, e, now=n, from_reserve=r),
                    )
            for verdict in (A, R):
                yield f"replay {verdict.name} {now}", lambda v=verdict, n=now: book.replay_verdict(e, v, CLAIM, now=n)
            yield f"advance {now}", lambda n=now: book.advance(e, now=n)
        if book.state(e) is State.VOTING:
            for counts in PANELS[len(book.panel(e))]:
                yield f"vote {counts}", lambda c=counts: self.hold_vote(*c)


@cache
def explore() -> tuple[dict[bytes, tuple], dict[bytes, list[tuple[str, bytes]]], World]:
    """Every reachable state, and the moves between them."""
    small = World()
    start = small.save()
    start_key = small.key()
    states, edges = {start_key: start}, {}
    pending = deque([start_key])
    while pending:
        key = pending.popleft()
        edges[key] = []
        small.load(states[key])
        for name, move in list(small.moves()):
            small.load(states[key])
            if move() is not Outcome.OK:
                continue
            reached = small.key()
            edges[key].append((name, reached))
            if reached not in states:
                states[reached] = small.save()
                pending.append(reached)
    return states, edges, small


def wealth(small: World, actor: int) -> int:
    return small.book.free(actor, CREDIT) + small.book.free(actor, BONDS)


def test_every_state_can_be_left_and_no_settlement_happens_twice() -> None:
    states, edges, small = explore()
    assert len(states) > 500
    found = set()
    for key, saved in states.items():
        small.load(saved)
        state = small.book.state(small.escrow)
        found.add(state)
        names = [name for name, _ in edges[key]]
        if state in FINAL:
            assert names == []  # settled once, for good
            row = small.book.escrow_row(small.escrow)
            assert all(value == 0 for name, value in row.items() if name.startswith("pot_"))
        else:
            assert any(name.startswith("advance") for name in names)  # anybody, by waiting
    assert found == {*FINAL, State.OFFERED, State.ACTIVE, State.CLAIMED, State.VOTING, State.APPEALABLE, State.REPLAY}
    supply = {asset: small.book.supply(asset) for asset in (CREDIT, BONDS)}
    for saved in states.values():
        small.load(saved)
        row = small.book.escrow_row(small.escrow)
        bonded = sum(value for name, value in row.items() if name.startswith("pot_") and name != "pot_price")
        balances = small.book.tables.balances
        assert int(balances[:, CREDIT].sum()) + row["pot_price"] == supply[CREDIT]
        assert int(balances[:, BONDS].sum()) + bonded == supply[BONDS]
        assert int(balances.min()) >= 0


def longest_chain(edges: dict[bytes, list[tuple[str, bytes]]], states: dict[bytes, tuple], small: World) -> int:
    """Time-outs that lead from a state to its end, the most over all states."""
    most = 0
    for key in states:
        steps, at = 0, key
        while True:
            exits = [reached for name, reached in edges[at] if name.startswith("advance")]
            if not exits:
                break
            steps, at = steps + 1, exits[-1]
        most = max(most, steps)
    small.load(states[at])
    assert small.book.state(small.escrow) in FINAL
    return most


def test_waiting_alone_ends_everything_in_three_steps() -> None:
    states, edges, small = explore()
    assert longest_chain(edges, states, small) <= 3


def worst(edges, values, mine, truth: str, start: bytes) -> int:
    """Least final wealth of a player who follows a strategy, whatever everybody else does: a game of one against all, solved
    backwards.

    `mine(state_key)` gives the names of the moves the player would make at once, if any is possible; the others choose
    everything else.
    """
    memory: dict[bytes, int] = {}

    def value(key: bytes) -> int:
        if key not in memory:
            forced = mine(key)
            options = [(name, reached) for name, reached in edges[key] if _possible(name, truth)]
            chosen = [reached for name, reached in options if any(name.startswith(prefix) for prefix in forced)]
            nexts = chosen[:1] if chosen else [reached for _, reached in options]
            memory[key] = min((value(reached) for reached in nexts), default=values[key])
        return memory[key]

    return value(start)


def _possible(name: str, truth: str) -> bool:
    """The replay of the evidence finds the truth; everything else is in the adversary's hands."""
    return not name.startswith("replay") or name.startswith(f"replay {truth}")


def test_an_honest_performer_with_its_appeal_budget_never_loses() -> None:
    """It claims in time, appeals every ruling against it from its reserve and asks for the replay.

    Panels and others do their worst.
    """
    states, edges, small = explore()
    values, kinds = {}, {}
    for key, saved in states.items():
        small.load(saved)
        values[key] = wealth(small, PERFORMER)
        kinds[key] = (small.book.state(small.escrow), small.book.escrow_row(small.escrow)["ruling"])
    start = next(iter(states))
    start_wealth = values[start]

    def honest(key: bytes) -> list[str]:
        state, ruling = kinds[key]
        if state is State.ACTIVE:
            return ["claim"]
        if state is State.APPEALABLE and ruling == R:
            return [f"appeal {PERFORMER} True"]
        return ["replay ACCEPTED"] if state is State.REPLAY else []

    assert worst(edges, values, honest, "ACCEPTED", start) >= start_wealth

    def without_budget(key: bytes) -> list[str]:
        return ["claim"] if kinds[key][0] is State.ACTIVE else []

    assert worst(edges, values, without_budget, "ACCEPTED", start) < start_wealth  # the reserve is what protects it


def test_an_honest_challenger_with_its_appeal_budget_never_loses() -> None:
    """It challenges a false claim with its reserve, appeals every ruling for the cheat and asks for the replay."""
    states, edges, small = explore()
    values, kinds = {}, {}
    for key, saved in states.items():
        small.load(saved)
        values[key] = wealth(small, CHALLENGER)
        row = small.book.escrow_row(small.escrow)
        kinds[key] = (small.book.state(small.escrow), row["ruling"])
    start = next(iter(states))

    def honest(key: bytes) -> list[str]:
        state, ruling = kinds[key]
        if state is State.CLAIMED:
            return ["challenge True"]
        if state is State.APPEALABLE and ruling == A:
            return [f"appeal {CHALLENGER} True"]
        return ["replay REJECTED"] if state is State.REPLAY else []

    assert worst(edges, values, honest, "REJECTED", start) >= values[start]
