"""A Hypothesis machine: random legal and illegal operations at random times, on a book and on its slow twin.

I1-I12 after every step.
"""

from __future__ import annotations

from random import Random

import numpy as np
from contract_scenes import (
    BANK,
    BONDS,
    CHALLENGER,
    CLAIM,
    CONDITION,
    CREDIT,
    FIRST_JUROR,
    PAYER,
    PAYER2,
    PERFORMER,
    STRANGER,
    TREASURY,
    make_terms,
    offer,
    populate,
    salt,
)
from contract_twin import FINAL_STATES, Twin
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts_model import Book, Outcome, State, Verdict
from contracts_model.audit import check_book
from contracts_model.kernels.layout import ESCROWS, FREE, STAKED
from contracts_model.validators import answer_digest


def uniform(low: int, high: int) -> st.SearchStrategy[int]:
    """Evenly spread integers: Hypothesis prefers small ones, and deep states need variety more than they need small numbers."""
    return st.integers(0, 2**32 - 1).map(lambda seed: Random(seed).randint(low, high))


small = uniform(0, 63)
PEOPLE = (PERFORMER, PAYER, PAYER2, CHALLENGER, STRANGER, BANK, TREASURY, FIRST_JUROR, -1, 99)
AMOUNTS = (1, 2, 350, 700, 1000, 0, -1, 10**6 + 1, 1 << 61, (1 << 61) + 1, (1 << 63) - 1)
VERDICTS = (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL)


TIME_OUTS = {
    State.OFFERED: "reclaim",
    State.ACTIVE: "reclaim",
    State.CLAIMED: "collect",
    State.VOTING: "tally",
    State.APPEALABLE: "execute",
    State.REPLAY: "lapse",
}


class ContractMachine(RuleBasedStateMachine):
    """Each rule carries the same operation out on both and compares outcome, state and money."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.checked_final: dict[int, int] = {}

    @initialize(rounds=uniform(0, 2), jurors=uniform(2, 12), reserve=st.booleans(), growth=uniform(1, 3), ppm=small)
    def start(self, rounds: int, jurors: int, reserve: bool, growth: int, ppm: int) -> None:
        changes = {
            "rounds": rounds,
            "reserve_appeals": reserve,
            "bond_growth": growth,
            "challenger_ppm": min(ppm * 16_000, 10**6),
        }
        self.book = populate(Book(jurors), jurors, **changes)
        self.twin = populate(Twin(jurors), jurors, **changes)
        for both in (self.book, self.twin):
            both.add_terms(make_terms(asset=BONDS, panel=1, rounds=1, challenge_window=0, appeal_window=0, juror_fee=0))
        self.supply = [self.book.supply(CREDIT), self.book.supply(BONDS)]
        self.jurors = jurors
        for stage in range(4):  # one escrow each that is offered, active, claimed and disputed, so that deep states are near
            clock = self.twin.clock
            self.both("open", BANK, offer(accept_by=clock + 9, claim_by=clock + 30), now=clock)
            if stage > 0:
                for actor, due in offer().payers:
                    self.both("fund", actor, stage, due, now=clock)
                self.both("accept", PERFORMER, stage, now=clock)
            if stage > 1:
                self.both("claim", PERFORMER, stage, CLAIM, now=clock)
            if stage > 2:
                self.both("challenge", CHALLENGER, stage, now=clock, with_reserve=reserve)

    # -- helpers

    def both(self, name: str, *arguments, **named) -> Outcome:
        fast = getattr(self.book, name)(*arguments, **named)
        slow = getattr(self.twin, name)(*arguments, **named)
        assert fast == slow, f"{name}{arguments}{named}: book {fast!r}, twin {slow!r}"
        self.steps += 1
        return fast if isinstance(fast, Outcome) else fast.outcome

    def escrow(self, pick: int) -> int:
        cases = self.twin.cases
        if pick == 0:
            return -1
        if pick == 1 or not cases:
            return len(cases)
        living = [e for e, case in enumerate(cases) if case["state"] not in FINAL_STATES]
        if pick > 6 and living:
            return living[-1 - pick % min(4, len(living))]
        return pick % len(cases)

    def now(self, pick: int, escrow: int) -> int:
        clock = self.twin.clock
        case = self.twin.cases[escrow] if 0 <= escrow < len(self.twin.cases) else {}
        deadline, commit_end = case.get("deadline", clock + 1), case.get("commit_end", clock)
        special = (clock - 1, -1, deadline, deadline - 1, deadline + 1, commit_end, commit_end - 1, (1 << 60) + 1)
        if pick < len(special):
            return special[pick]
        return clock if pick < 55 else clock + (pick - 55) % 4

    def nonce(self, pick: int, actor: int) -> int:
        used = self.twin.nonce[actor]
        return {0: used, 1: used + 1, 2: used + 3, 3: -1, 4: (1 << 60) + 1, 5: max(used - 1, 0)}.get(pick, 0)

    # -- rules

    @rule(kind=uniform(0, 5), a=small, b=small, amount=small, when=small, n=small)
    def ledger(self, kind: int, a: int, b: int, amount: int, when: int, n: int) -> None:
        actor, other = PEOPLE[a % len(PEOPLE)], PEOPLE[b % len(PEOPLE)]
        asset = (CREDIT, BONDS, 2, -1)[(a + b) % 4 if a > 50 else b % 2]
        value = AMOUNTS[amount % len(AMOUNTS)]
        common = {"now": self.now(when, -1), "nonce": self.nonce(n, actor)}
        if kind == 0:
            self.both("transfer", actor, other, asset, value, **common)
        elif kind == 1:
            if (
                self.both("issue", BANK if a < 40 else actor, other, asset, min(value, 5) if a < 50 else value, **common)
                is Outcome.OK
            ):
                self.supply = [self.twin.supply[CREDIT], self.twin.supply[BONDS]]
        elif kind == 2:
            self.both("stake", actor, asset, value, **common)
        elif kind == 3:
            self.both("unstake", FIRST_JUROR + a % self.jurors, asset, value, **(common | {"nonce": 0}))
        else:
            expires = common["now"] + (0, 1, 3, 1 << 61)[n % 4]
            self.both("hold", actor, other, asset, value, controller=PEOPLE[n % 7], expires=expires, **common)

    @rule(kind=uniform(0, 2), pick=small, a=small, amount=small, when=small)
    def second_phase(self, kind: int, pick: int, a: int, amount: int, when: int) -> None:
        if not self.twin.holds:
            self.both("hold", PAYER, PAYER2, CREDIT, 9, controller=BANK, expires=self.twin.clock + 2, now=self.twin.clock)
        open_holds = [h for h, record in enumerate(self.twin.holds) if record["open"]]
        hold = open_holds[-1] if open_holds and pick < 40 else pick % (len(self.twin.holds) + 2) - 1
        known = 0 <= hold < len(self.twin.holds)
        record = self.twin.holds[hold] if known else {"controller": BANK, "creditor": BANK, "expires": 0, "amount": 1}
        actor = (record["controller"], record["creditor"], PEOPLE[a % len(PEOPLE)])[a % 3]
        now = max(record["expires"] + when % 3 - 1, self.twin.clock) if when < 20 else self.twin.clock
        if kind == 0:
            self.both("post", actor, hold, (record["amount"], 1, record["amount"] + 1, 0)[amount % 4], now=now)
        elif kind == 1:
            self.both("void", actor, hold, now=now)
        else:
            self.both("expire", hold, now=now)

    @rule(shape=small, when=small, price=small, a=small)
    def open(self, shape: int, when: int, price: int, a: int) -> None:
        clock = self.twin.clock
        value = (1000, 1, 7, 999, 0, -1, (1 << 61))[price % 7 if price > 50 else price % 4]
        changes: dict = {"price": value, "fee": a % 3, "accept_by": clock + 1 + a % 8, "claim_by": clock + 10 + a % 8}
        changes["payers"] = [(PAYER, value - value // 3), (PAYER2, value // 3 + a % 3)]
        odd = {
            0: {"payers": [(PAYER, value + a % 3)]},
            1: {"payers": [(PAYER, value)] * 2},
            2: {"payers": []},
            3: {"payees": []},
            4: {"payees": [(PERFORMER, 0)]},
            5: {"payees": [(PERFORMER, 1), (PERFORMER, 2)]},
            6: {"performer": PAYER},
            7: {"performer": 99},
            8: {"terms": 7},
            9: {"terms": 1},
            10: {"terms": 1},
            11: {"claim_by": clock + 1},
            12: {"accept_by": clock},
            13: {"collateral": -1},
            14: {"payees": [(PERFORMER, 3), (STRANGER, 3), (99, 1)]},
            15: {"payers": [(99, value + a % 3)]},
            16: {"collateral": 1 << 61},
            17: {"claim_by": 1 << 60},
        }
        self.both("open", PEOPLE[a % len(PEOPLE)], offer(**(changes | odd.get(shape, {}))), now=self.now(when, -1))

    @rule(pick=small, a=small, amount=small, when=small, n=small)
    def fund(self, pick: int, a: int, amount: int, when: int, n: int) -> None:
        e = self.escrow(pick)
        actor = (PAYER, PAYER2, PEOPLE[a % len(PEOPLE)])[a % 3]
        value = AMOUNTS[amount % len(AMOUNTS)]
        if amount > 20 and 0 <= e < len(self.twin.cases) and self.twin.cases[e]["offer"] is not None:
            case = self.twin.cases[e]
            value = dict(case["offer"].payers).get(actor, 0) - case["paid"].get(actor, 0) + (1 if amount == 21 else 0)
        self.both("fund", actor, e, value, now=self.now(when, e), nonce=self.nonce(n, actor))

    @rule(pick=small, when=small)
    def make_active(self, pick: int, when: int) -> None:
        """The plain way, so that later states are reached often enough."""
        e = self.escrow(pick)
        if self.twin.state(e) is State.OFFERED:
            case = self.twin.cases[e]
            for actor, due in case["offer"].payers:
                self.both("fund", actor, e, due - case["paid"][actor], now=self.twin.clock)
            self.both("accept", PERFORMER, e, now=self.now(when, e))

    @rule(pick=small, a=small, when=small, n=small, kind=uniform(0, 3))
    def performer(self, pick: int, a: int, when: int, n: int, kind: int) -> None:
        e = self.escrow(pick)
        actor = PERFORMER if a < 55 else PEOPLE[a % len(PEOPLE)]
        common = {"now": self.now(when, e), "nonce": self.nonce(n, actor)}
        if kind == 0:
            self.both("accept", actor, e, **common)
        else:
            self.both("claim", actor, e, CLAIM, **common)

    @rule(pick=small, a=small, when=small, n=small, flag=st.booleans(), kind=uniform(0, 4))
    def dispute(self, pick: int, a: int, when: int, n: int, flag: bool, kind: int) -> None:
        e = self.escrow(pick)
        actor = (CHALLENGER, PERFORMER, CHALLENGER, PEOPLE[a % len(PEOPLE)])[a % 4]
        suited = {State.CLAIMED: 0, State.APPEALABLE: 2}.get(self.twin.state(e))
        kind = suited if suited is not None and n % 4 else kind
        common = {"now": self.now(when, e), "nonce": self.nonce(n, actor)}
        if kind < 2:
            self.both("challenge", actor, e, with_reserve=flag, **common)
        elif kind < 4:
            self.both("appeal", actor, e, from_reserve=flag, **common)
        else:
            self.both("submit_evidence", actor, e, CLAIM, **common)

    @rule(pick=small, a=small, v=small, when=small, reveal=st.booleans())
    def ballot(self, pick: int, a: int, v: int, when: int, reveal: bool) -> None:
        e = self.escrow(pick)
        panel = self.book.panel(e) if self.book.state(e) is not None else []
        juror = panel[a % len(panel)] if panel and a < 60 else FIRST_JUROR + a % self.jurors
        verdict = VERDICTS[v % 3]
        now = self.now(when, e)
        if reveal:
            self.both("reveal", juror, e, verdict, salt(juror if v < 60 else 0), now=now)
        elif panel and self.twin.cases[e]["rounds"]:
            sealed = self.book.seal_vote(e, juror, verdict, salt(juror))
            assert sealed == self.twin.seal_vote(e, juror, verdict, salt(juror))
            self.both("commit", juror, e, sealed, now=now)

    @rule(pick=small, votes=uniform(0, 4**7 - 1))
    def whole_vote(self, pick: int, votes: int) -> None:
        """A vote from end to end, so that appeals and replays are reached often enough."""
        e = self.escrow(pick)
        state, clock = self.twin.state(e), self.twin.clock
        if state is State.CLAIMED and clock < self.twin.cases[e]["deadline"] and self.twin.cases[e]["terms"].rounds:
            self.both("challenge", CHALLENGER, e, now=clock, with_reserve=votes % 5 < 3)
        elif state is State.APPEALABLE and clock < self.twin.cases[e]["deadline"]:
            loser = PERFORMER if self.twin.cases[e]["ruling"] is Verdict.REJECTED else CHALLENGER
            self.both("appeal", loser if votes % 7 else STRANGER, e, now=clock, from_reserve=votes % 5 < 3)
        elif state is not State.VOTING:
            e = len(self.twin.cases)
            self.both("open", BANK, offer(accept_by=clock + 9, claim_by=clock + 30), now=clock)
            for actor, due in offer().payers:
                self.both("fund", actor, e, due, now=clock)
            self.both("accept", PERFORMER, e, now=clock)
            self.both("claim", PERFORMER, e, CLAIM, now=clock)
            self.both("challenge", CHALLENGER, e, now=clock, with_reserve=votes % 5 < 3)
        if self.twin.state(e) is not State.VOTING or self.twin.clock >= self.twin.cases[e]["commit_end"]:
            return
        case = self.twin.cases[e]
        united = votes % 3 > 0
        ballots = [(juror, votes % 2 if united else (votes >> 2 * (i % 7)) % 4) for i, juror in enumerate(self.book.panel(e))]
        for juror, ballot in ballots:
            if ballot < 3:
                sealed = self.book.seal_vote(e, juror, VERDICTS[ballot], salt(juror))
                self.both("commit", juror, e, sealed, now=self.twin.clock)
        for juror, ballot in ballots:
            if ballot < 3:
                now = max(case["commit_end"], self.twin.clock)
                self.both("reveal", juror, e, VERDICTS[ballot], salt(juror), now=now)
        self.both("tally", e, now=case["deadline"])

    @rule(pick=small, when=small, kind=uniform(0, 7), v=small)
    def time_out(self, pick: int, when: int, kind: int, v: int) -> None:
        e = self.escrow(pick)
        now = self.now(when, e)
        state = self.twin.state(e)
        if v % 4 and state is not None and state not in FINAL_STATES:
            now = max(self.twin.cases[e]["deadline"] + (0, 0, 0, -1, 1)[when % 5], self.twin.clock)
            if state is State.REPLAY and v % 8 < 5:
                claim = self.twin.cases[e]["claim"] if when % 9 else CONDITION
                now = self.twin.clock if when % 5 else self.twin.cases[e]["deadline"]
                if self.twin.cases[e]["planted"]:
                    self.both("open_answer", e, VERDICTS[kind % 2], b"s", now=now)
                else:
                    self.both("replay_verdict", e, VERDICTS[kind % 3], claim, now=now)
                return
            self.both(TIME_OUTS[state], e, now=now)
        elif kind < 5:
            self.both(("collect", "reclaim", "tally", "execute", "lapse")[kind], e, now=now)
        elif kind == 5:
            if self.twin.cases and 0 <= e < len(self.twin.cases) and v < 40:
                name = TIME_OUTS.get(self.twin.state(e))
                expected = getattr(self.twin, name)(e, now=now) if name else Outcome.WRONG_STATE
                assert self.book.advance(e, now=now) is expected
        else:
            self.both("replay_verdict", e, VERDICTS[v % 3], CLAIM if v < 50 else CONDITION, now=now)

    @rule(v=small, terms=uniform(0, 2), when=small, pick=small, bring=st.booleans())
    def planted(self, v: int, terms: int, when: int, pick: int, bring: bool) -> None:
        answer = VERDICTS[v % 2]
        if bring:
            sealed = answer_digest(CONDITION, CLAIM, answer, b"s")
            self.both("plant", STRANGER, terms, CONDITION, CLAIM, sealed, now=self.now(when, -1))
        else:
            e = self.escrow(pick)
            self.both("open_answer", e, answer, b"s", now=self.now(when, e))

    # -- invariants

    @invariant()
    def same_money(self) -> None:
        if not hasattr(self, "book"):
            return
        t, twin = self.book.tables, self.twin
        actors = len(twin.actor_names)
        free = [[twin.balance.get((a, asset), 0) for asset in (0, 1)] for a in range(actors)]
        staked = [[twin.stakes.get((a, asset), 0) for asset in (0, 1)] for a in range(actors)]
        assert t.balances[:actors, :2, FREE].tolist() == free
        assert t.balances[:actors, :2, STAKED].tolist() == staked
        assert t.counters[0] == twin.clock

    @invariant()
    def conserved(self) -> None:
        """I1, I2, I3, I4, I10 and I12 from the tables alone."""
        if not hasattr(self, "book"):
            return
        t = self.book.tables
        rows = t.escrows[: t.counters[ESCROWS]]
        pots = {name: rows[name] for name in rows.dtype.names if name.startswith("pot_")}
        assert all(bool(np.all(values >= 0)) for values in pots.values())
        total = [0, 0]
        for e in range(len(rows)):
            row = rows[e]
            terms = self.twin.cases[e]["terms"]
            total[terms.asset] += int(row["pot_price"])
            bonded = sum(int(values[e]) for name, values in pots.items() if name != "pot_price")
            total[terms.bond_asset] += bonded
            if self.twin.cases[e]["state"] in FINAL_STATES:
                assert int(row["pot_price"]) + bonded == 0  # I3
                assert self.checked_final.setdefault(e, int(row["state"])) == row["state"]  # I4, I10
            assert State(int(row["state"])) is self.twin.state(e)
        for asset in (0, 1):
            held = sum(h["amount"] for h in self.twin.holds if h["open"] and h["asset"] == asset)
            everything = int(t.balances[:, asset].sum()) + held + total[asset]
            assert everything == self.supply[asset] == int(t.assets[asset, 1])  # I1, I2, I12

    def teardown(self) -> None:
        if hasattr(self, "book"):
            assert check_book(self.book) == []  # I1-I4, I7, I10 from the journal alone
            self.leave_by_time_out()

    def leave_by_time_out(self) -> None:
        """I5: from wherever the run stopped, anybody can end every escrow by waiting."""
        for e in range(len(self.twin.cases)):
            for _ in range(4):
                if self.book.state(e) in FINAL_STATES:
                    break
                now = max(self.book.deadline(e), self.book.clock)
                assert self.book.advance(e, now=now) is Outcome.OK
            assert self.book.state(e) in FINAL_STATES
        assert check_book(self.book) == []
