"""Slow, obvious twin of a book: dictionaries and Python integers, no table, no journal.

Written from the documents, not from the kernels.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from fractions import Fraction
from math import floor

from contracts_model import Outcome as O
from contracts_model import Result, State, Verdict

MAX_AMOUNT, MAX_TIME = 1 << 61, 1 << 60
MASK = (1 << 64) - 1
FINAL_STATES = (State.PAID, State.REFUNDED, State.SLASHED, State.CLOSED)


def mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def draw(seed: int, escrow: int, round_idx: int, candidates: list[int], size: int) -> list[int]:
    gamma = 0x9E3779B97F4A7C15
    state = mix((mix(mix((seed + gamma) & MASK) ^ escrow) + round_idx) & MASK)
    pool = list(candidates)
    for at in range(size):
        state = (state + gamma) & MASK
        other = at + mix(state) % (len(pool) - at)
        pool[at], pool[other] = pool[other], pool[at]
    return pool[:size]


def split(total: int, weights: list[int]) -> list[int]:
    """Cumulated floors."""
    bounds = [floor(Fraction(total * sum(weights[:i]), sum(weights))) for i in range(len(weights) + 1)]
    return [b - a for a, b in itertools.pairwise(bounds)]


class Twin:
    def __init__(self, seed: int = 0) -> None:
        self.seed, self.clock = seed, 0
        self.actor_names: list[str] = []
        self.issuer: list[int] = []
        self.supply: list[int] = []
        self.terms: list = []
        self.nonce: dict[int, int] = defaultdict(int)
        self.balance: dict[tuple[int, int], int] = defaultdict(int)
        self.stakes: dict[tuple[int, int], int] = defaultdict(int)
        self.pool: list[int] = []
        self.holds: list[dict] = []
        self.cases: list[dict] = []

    # -- set-up and looking
    def add_actors(self, names):
        self.actor_names += names

    def add_asset(self, name, issuer):
        self.issuer.append(issuer)
        self.supply.append(0)
        return Result(O.OK, len(self.issuer) - 1)

    def add_terms(self, terms):
        self.terms.append(terms)
        return Result(O.OK, len(self.terms) - 1)

    def free(self, actor, asset):
        return self.balance[actor, asset]

    def staked(self, actor, asset):
        return self.stakes[actor, asset]

    def state(self, e):
        return self.cases[e]["state"] if 0 <= e < len(self.cases) else None

    # -- common checks
    def _time(self, now):
        if not 0 <= now <= MAX_TIME:
            return O.BAD_TIME
        return O.TIME_REVERSED if now < self.clock else O.OK

    def _message(self, now, actor, nonce):
        if (bad := self._time(now)) is not O.OK:
            return bad
        if not 0 <= actor < len(self.actor_names):
            return O.UNKNOWN_ACTOR
        if not 0 <= nonce <= MAX_TIME:
            return O.BAD_NONCE
        return O.NONCE_REPLAYED if nonce and nonce <= self.nonce[actor] else O.OK

    def _done(self, now, actor=None, nonce=0):
        self.clock = now
        if actor is not None:
            self.nonce[actor] = nonce or self.nonce[actor] + 1
        return O.OK

    def _amount(self, debtor, asset, amount, purse):
        if not 0 <= asset < len(self.issuer):
            return O.UNKNOWN_ASSET
        if not 0 < amount <= MAX_AMOUNT:
            return O.BAD_AMOUNT
        return O.INSUFFICIENT_FUNDS if purse[debtor, asset] < amount else O.OK

    # -- ledger
    def issue(self, issuer, to, asset, amount, *, now, nonce=0):
        if (bad := self._message(now, issuer, nonce)) is not O.OK:
            return bad
        if not 0 <= asset < len(self.issuer):
            return O.UNKNOWN_ASSET
        if not 0 <= to < len(self.actor_names):
            return O.UNKNOWN_ACTOR
        if self.issuer[asset] != issuer:
            return O.WRONG_ACTOR
        if not 0 < amount <= MAX_AMOUNT:
            return O.BAD_AMOUNT
        if self.supply[asset] + amount > MAX_AMOUNT:
            return O.SUPPLY_EXCEEDED
        self.supply[asset] += amount
        self.balance[to, asset] += amount
        return self._done(now, issuer, nonce)

    def transfer(self, debtor, creditor, asset, amount, *, now, nonce=0):
        if (bad := self._message(now, debtor, nonce)) is not O.OK:
            return bad
        if not 0 <= creditor < len(self.actor_names):
            return O.UNKNOWN_ACTOR
        if creditor == debtor:
            return O.SAME_ACCOUNT
        if (bad := self._amount(debtor, asset, amount, self.balance)) is not O.OK:
            return bad
        self.balance[debtor, asset] -= amount
        self.balance[creditor, asset] += amount
        return self._done(now, debtor, nonce)

    def hold(self, debtor, creditor, asset, amount, *, controller, expires, now, nonce=0):
        if (bad := self._message(now, debtor, nonce)) is not O.OK:
            return Result(bad, -1)
        if not (0 <= creditor < len(self.actor_names) and 0 <= controller < len(self.actor_names)):
            return Result(O.UNKNOWN_ACTOR, -1)
        if creditor == debtor:
            return Result(O.SAME_ACCOUNT, -1)
        if not now < expires <= MAX_TIME:
            return Result(O.BAD_DEADLINES, -1)
        if (bad := self._amount(debtor, asset, amount, self.balance)) is not O.OK:
            return Result(bad, -1)
        self.balance[debtor, asset] -= amount
        keys = {
            "debtor": debtor,
            "creditor": creditor,
            "asset": asset,
            "amount": amount,
            "controller": controller,
            "expires": expires,
        }
        self.holds.append(keys | {"open": True})
        self._done(now, debtor, nonce)
        return Result(O.OK, len(self.holds) - 1)

    def _hold(self, hold):
        if not 0 <= hold < len(self.holds):
            return O.UNKNOWN_HOLD
        return O.OK if self.holds[hold]["open"] else O.HOLD_CLOSED

    def _close(self, hold, posted):
        h = self.holds[hold]
        h["open"] = False
        self.balance[h["creditor"], h["asset"]] += posted
        self.balance[h["debtor"], h["asset"]] += h["amount"] - posted

    def post(self, controller, hold, amount, *, now, nonce=0):
        if (bad := self._message(now, controller, nonce)) is not O.OK or (bad := self._hold(hold)) is not O.OK:
            return bad
        h = self.holds[hold]
        if h["controller"] != controller:
            return O.WRONG_ACTOR
        if now >= h["expires"]:
            return O.TOO_LATE
        if not 0 < amount <= h["amount"]:
            return O.BAD_AMOUNT
        self._close(hold, amount)
        return self._done(now, controller, nonce)

    def void(self, actor, hold, *, now, nonce=0):
        if (bad := self._message(now, actor, nonce)) is not O.OK or (bad := self._hold(hold)) is not O.OK:
            return bad
        if actor not in (self.holds[hold]["controller"], self.holds[hold]["creditor"]):
            return O.WRONG_ACTOR
        self._close(hold, 0)
        return self._done(now, actor, nonce)

    def expire(self, hold, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._hold(hold)) is not O.OK:
            return bad
        if now < self.holds[hold]["expires"]:
            return O.TOO_EARLY
        self._close(hold, 0)
        return self._done(now)

    def stake(self, validator, asset, amount, *, now, nonce=0):
        if (bad := self._message(now, validator, nonce)) is not O.OK:
            return bad
        if (bad := self._amount(validator, asset, amount, self.balance)) is not O.OK:
            return bad
        if validator not in self.pool:
            self.pool.append(validator)
        self.balance[validator, asset] -= amount
        self.stakes[validator, asset] += amount
        return self._done(now, validator, nonce)

    def unstake(self, validator, asset, amount, *, now, nonce=0):
        if (bad := self._message(now, validator, nonce)) is not O.OK:
            return bad
        if (bad := self._amount(validator, asset, amount, self.stakes)) is not O.OK:
            return bad
        self.stakes[validator, asset] -= amount
        self.balance[validator, asset] += amount
        return self._done(now, validator, nonce)

    # -- escrow
    def open(self, opener, offer, *, now, nonce=0):
        if (bad := self._message(now, opener, nonce)) is not O.OK:
            return Result(bad, -1)
        bad = self._offer(offer, now)
        if bad is not O.OK:
            return Result(bad, -1)
        self.cases.append(
            {
                "state": State.OFFERED,
                "offer": offer,
                "terms": self.terms[offer.terms],
                "performer": offer.performer,
                "challenger": -1,
                "paid": {payer: 0 for payer, _ in offer.payers},
                "accepted": False,
                "deadline": offer.accept_by,
                "condition": offer.condition,
                "claim": bytes(32),
                "collateral": 0,
                "reserve": {"performer": 0, "challenger": 0},
                "bonds": [],
                "rounds": [],
                "ruling": Verdict.NOT_FINAL,
                "planted": None,
            }
        )
        self._done(now, opener, nonce)
        return Result(O.OK, len(self.cases) - 1)

    def _offer(self, o, now):
        known = range(len(self.actor_names))
        if o.terms not in range(len(self.terms)):
            return O.UNKNOWN_TERMS
        if o.performer not in known:
            return O.UNKNOWN_ACTOR
        if min(o.price, o.fee, o.collateral) < 0 or o.price + o.fee > MAX_AMOUNT or o.collateral > MAX_AMOUNT:
            return O.BAD_AMOUNT
        if not now < o.accept_by < o.claim_by <= MAX_TIME // 2:
            return O.BAD_DEADLINES
        if (o.price and not o.payees) or not o.payers:
            return O.BAD_PARTIES
        left = o.price + o.fee
        for i, (actor, due) in enumerate(o.payers):
            if actor not in known:
                return O.UNKNOWN_ACTOR
            if actor == o.performer:
                return O.ROLE_CONFLICT
            if not 0 < due <= MAX_AMOUNT:
                return O.BAD_AMOUNT
            if due > left:
                return O.DUES_DO_NOT_ADD_UP
            left -= due
            if actor in [a for a, _ in o.payers[:i]]:
                return O.DUPLICATE_PARTY
        if left:
            return O.DUES_DO_NOT_ADD_UP
        for i, (actor, weight) in enumerate(o.payees):
            if actor not in known:
                return O.UNKNOWN_ACTOR
            if not 0 < weight <= MAX_AMOUNT // 1024:
                return O.BAD_AMOUNT
            if actor in [a for a, _ in o.payees[:i]]:
                return O.DUPLICATE_PARTY
        return O.OK

    def _case(self, e, *states):
        if not 0 <= e < len(self.cases):
            return O.UNKNOWN_ESCROW
        return O.OK if self.cases[e]["state"] in states else O.WRONG_STATE

    def _activate(self, c):
        if c["accepted"] and sum(c["paid"].values()) == c["offer"].price + c["offer"].fee:
            c["state"], c["deadline"] = State.ACTIVE, c["offer"].claim_by

    def fund(self, payer, e, amount, *, now, nonce=0):
        if (bad := self._message(now, payer, nonce)) is not O.OK or (bad := self._case(e, State.OFFERED)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if payer not in c["paid"]:
            return O.NOT_A_PAYER
        if not 0 < amount <= MAX_AMOUNT:
            return O.BAD_AMOUNT
        if c["paid"][payer] + amount > dict(c["offer"].payers)[payer]:
            return O.OVERFUNDED
        asset = c["terms"].asset
        if self.balance[payer, asset] < amount:
            return O.INSUFFICIENT_FUNDS
        self.balance[payer, asset] -= amount
        c["paid"][payer] += amount
        self._activate(c)
        return self._done(now, payer, nonce)

    def _budget(self, terms):
        return sum(terms.bond * terms.bond_growth**k for k in range(1, terms.rounds + 1))

    def accept(self, performer, e, *, now, nonce=0):
        if (bad := self._message(now, performer, nonce)) is not O.OK or (bad := self._case(e, State.OFFERED)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if performer != c["performer"]:
            return O.WRONG_ACTOR
        if c["accepted"]:
            return O.ALREADY_ACCEPTED
        budget = self._budget(c["terms"]) if c["terms"].reserve_appeals else 0
        if self.balance[performer, c["terms"].bond_asset] < c["offer"].collateral + budget:
            return O.INSUFFICIENT_FUNDS
        self.balance[performer, c["terms"].bond_asset] -= c["offer"].collateral + budget
        c["collateral"], c["reserve"]["performer"], c["accepted"] = c["offer"].collateral, budget, True
        self._activate(c)
        return self._done(now, performer, nonce)

    def claim(self, performer, e, digest, *, now, nonce=0):
        if (bad := self._message(now, performer, nonce)) is not O.OK or (bad := self._case(e, State.ACTIVE)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if performer != c["performer"]:
            return O.WRONG_ACTOR
        c["claim"], c["state"], c["deadline"] = digest, State.CLAIMED, now + c["terms"].challenge_window
        return self._done(now, performer, nonce)

    def _give(self, actor, asset, amount):
        self.balance[actor, asset] += amount

    def _pay(self, c):
        o, asset = c["offer"], c["terms"].asset
        for (actor, _), part in zip(o.payees, split(o.price, [w for _, w in o.payees]) if o.payees else [], strict=True):
            self._give(actor, asset, part)
        self._give(c["terms"].fee_account, asset, o.fee)
        self._give(c["performer"], c["terms"].bond_asset, c["collateral"])

    def _refund(self, c):
        for actor, paid in c["paid"].items():
            self._give(actor, c["terms"].asset, paid)

    def _slash(self, c):
        self._refund(c)
        bounty = 0
        if c["challenger"] >= 0:
            bounty = c["collateral"] * c["terms"].challenger_ppm // 1_000_000
            self._give(c["challenger"], c["terms"].bond_asset, bounty)
        for actor, part in zip(c["paid"], split(c["collateral"] - bounty, list(c["paid"].values())), strict=True):
            self._give(actor, c["terms"].bond_asset, part)

    def _end(self, c, state, now):
        for side in ("performer", "challenger"):
            if c["reserve"][side]:
                self._give(c[side], c["terms"].bond_asset, c["reserve"][side])
        c["state"] = state
        return self._done(now)

    def collect(self, e, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.CLAIMED)) is not O.OK:
            return bad
        c = self.cases[e]
        if now < c["deadline"]:
            return O.TOO_EARLY
        self._pay(c)
        return self._end(c, State.PAID, now)

    def reclaim(self, e, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.OFFERED, State.ACTIVE)) is not O.OK:
            return bad
        c = self.cases[e]
        if now < c["deadline"]:
            return O.TOO_EARLY
        if c["state"] is State.ACTIVE:
            self._slash(c)
            return self._end(c, State.SLASHED, now)
        self._refund(c)
        self._give(c["performer"], c["terms"].bond_asset, c["collateral"])
        return self._end(c, State.REFUNDED, now)

    # -- dispute
    def _size(self, terms, round_idx):
        if round_idx >= terms.rounds:
            return 0
        size = terms.panel
        for _ in range(round_idx):
            size = 2 * size + 1
        return size

    def _eligible(self, c, barred):
        parties = {barred, c["performer"], c["challenger"]}
        if c["offer"] is not None:
            parties |= {a for a, _ in c["offer"].payers} | {a for a, _ in c["offer"].payees}
        parties |= {bond["poster"] for bond in c["bonds"]} | {seat["juror"] for r in c["rounds"] for seat in r}
        enough = [v for v in self.pool if self.stakes[v, c["terms"].bond_asset] >= c["terms"].seat_stake]
        return [v for v in enough if v not in parties]

    def _stage(self, e, now, candidates):
        c, terms = self.cases[e], self.cases[e]["terms"]
        nth = len(c["bonds"]) - 1
        size = self._size(terms, nth)
        if size == 0 or len(candidates) < size:
            c["state"], c["deadline"] = State.REPLAY, now + terms.replay_window
            return
        panel = draw(self.seed, e, nth, candidates, size)
        for juror in panel:
            self.stakes[juror, terms.bond_asset] -= terms.seat_stake
        c["rounds"].append([{"juror": j, "sealed": None, "vote": None} for j in panel])
        c["state"], c["commit_end"] = State.VOTING, now + terms.commit_window
        c["deadline"] = c["commit_end"] + terms.reveal_window

    def challenge(self, challenger, e, *, now, with_reserve=False, nonce=0):
        if (bad := self._message(now, challenger, nonce)) is not O.OK or (bad := self._case(e, State.CLAIMED)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if challenger == c["performer"] or challenger in dict(c["offer"].payees):
            return O.ROLE_CONFLICT
        terms = c["terms"]
        budget = self._budget(terms) if with_reserve else 0
        if self.balance[challenger, terms.bond_asset] < terms.bond + budget:
            return O.INSUFFICIENT_FUNDS
        self.balance[challenger, terms.bond_asset] -= terms.bond + budget
        c["challenger"], c["reserve"]["challenger"] = challenger, budget
        candidates = self._eligible(c, challenger)
        c["bonds"].append({"side": "challenger", "poster": challenger, "amount": terms.bond})
        self._stage(e, now, candidates)
        return self._done(now, challenger, nonce)

    def submit_evidence(self, actor, e, digest, *, now, nonce=0):
        states = (State.CLAIMED, State.VOTING, State.APPEALABLE, State.REPLAY)
        if (bad := self._message(now, actor, nonce)) is not O.OK or (bad := self._case(e, *states)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if actor not in {c["performer"], c["challenger"]} | (set(c["paid"]) if c["offer"] else set()):
            return O.WRONG_ACTOR
        return self._done(now, actor, nonce)

    def seal_vote(self, e, juror, vote, salt):
        c = self.cases[e]
        head = b"vote" + b"".join(n.to_bytes(8, "little", signed=True) for n in (e, len(c["rounds"]) - 1, juror, int(vote)))
        return hashlib.sha256(head + c["condition"] + c["claim"] + hashlib.sha256(salt).digest()).digest()

    def _seat(self, c, juror):
        return next((seat for seat in c["rounds"][-1] if seat["juror"] == juror), None)

    def commit(self, juror, e, sealed, *, now, nonce=0):
        if (bad := self._message(now, juror, nonce)) is not O.OK or (bad := self._case(e, State.VOTING)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["commit_end"]:
            return O.TOO_LATE
        seat = self._seat(c, juror)
        if seat is None:
            return O.NOT_ON_PANEL
        if seat["sealed"] is not None:
            return O.ALREADY_COMMITTED
        seat["sealed"] = sealed
        return self._done(now, juror, nonce)

    def reveal(self, juror, e, vote, salt, *, now, nonce=0):
        if (bad := self._message(now, juror, nonce)) is not O.OK or (bad := self._case(e, State.VOTING)) is not O.OK:
            return bad
        c = self.cases[e]
        if now < c["commit_end"]:
            return O.TOO_EARLY
        if now >= c["deadline"]:
            return O.TOO_LATE
        seat = self._seat(c, juror)
        if seat is None:
            return O.NOT_ON_PANEL
        if seat["vote"] is not None:
            return O.ALREADY_REVEALED
        if seat["sealed"] != self.seal_vote(e, juror, vote, salt):
            return O.WRONG_REVEAL
        seat["vote"] = vote
        return self._done(now, juror, nonce)

    def tally(self, e, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.VOTING)) is not O.OK:
            return bad
        c = self.cases[e]
        if now < c["deadline"]:
            return O.TOO_EARLY
        votes = [seat["vote"] for seat in c["rounds"][-1] if seat["vote"] is not None]
        counts = {v: votes.count(v) for v in Verdict}
        best = max(counts.values())
        leaders = [v for v, n in counts.items() if n == best]
        quorum = 2 * len(votes) > len(c["rounds"][-1])
        ruling = leaders[0] if quorum and len(leaders) == 1 else Verdict.NOT_FINAL
        if c["planted"] or ruling is Verdict.NOT_FINAL:
            c["state"], c["deadline"] = State.REPLAY, now + c["terms"].replay_window
        else:
            c["ruling"], c["state"], c["deadline"] = ruling, State.APPEALABLE, now + c["terms"].appeal_window
        return self._done(now)

    def appeal(self, poster, e, *, now, from_reserve=False, nonce=0):
        if (bad := self._message(now, poster, nonce)) is not O.OK or (bad := self._case(e, State.APPEALABLE)) is not O.OK:
            return bad
        c, terms = self.cases[e], self.cases[e]["terms"]
        if now >= c["deadline"]:
            return O.TOO_LATE
        loser, winner = ("performer", "challenger") if c["ruling"] is Verdict.REJECTED else ("challenger", "performer")
        if poster == c[winner]:
            return O.ROLE_CONFLICT
        bond = terms.bond * terms.bond_growth ** len(c["bonds"])
        if from_reserve:
            if poster != c[loser]:
                return O.WRONG_ACTOR
            if c["reserve"][loser] < bond:
                return O.INSUFFICIENT_FUNDS
            c["reserve"][loser] -= bond
        else:
            if self.balance[poster, terms.bond_asset] < bond:
                return O.INSUFFICIENT_FUNDS
            self.balance[poster, terms.bond_asset] -= bond
        candidates = self._eligible(c, poster)
        c["bonds"].append({"side": loser, "poster": poster, "amount": bond})
        self._stage(e, now, candidates)
        return self._done(now, poster, nonce)

    def _settle(self, c, final, now):
        terms, asset = c["terms"], c["terms"].bond_asset
        seats = [seat for r in c["rounds"] for seat in r]
        rewarded, slashed = [], 0
        for seat in seats:
            wrong = final and seat["vote"] is not final and (seat["vote"] is not Verdict.NOT_FINAL or c["planted"])
            if seat["vote"] is None or wrong:
                slashed += terms.seat_stake
                continue
            self.stakes[seat["juror"], asset] += terms.seat_stake
            if not final or seat["vote"] is final:
                rewarded.append(seat["juror"])
        winner = {Verdict.ACCEPTED: "performer", Verdict.REJECTED: "challenger"}.get(final)
        losing = 0
        for bond in c["bonds"]:
            if c["planted"] or (winner and bond["side"] != winner):
                losing += bond["amount"]
            else:
                self._give(bond["poster"], asset, bond["amount"])
        fees = losing if c["planted"] and not final else min(losing, terms.juror_fee * len(rewarded))
        if winner or c["planted"]:
            self._give(c["bonds"][0]["poster"] if c["planted"] else c[winner], asset, losing - fees)
        if rewarded:
            for total in (slashed, fees):
                for juror, part in zip(rewarded, split(total, [1] * len(rewarded)), strict=True):
                    self._give(juror, asset, part)
        else:
            self._give(terms.treasury, asset, slashed + fees)
        if c["planted"]:
            return self._end(c, State.CLOSED, now)
        if final is Verdict.ACCEPTED:
            self._pay(c)
            return self._end(c, State.PAID, now)
        if final is Verdict.REJECTED:
            self._slash(c)
            return self._end(c, State.SLASHED, now)
        self._refund(c)
        self._give(c["performer"], asset, c["collateral"])
        return self._end(c, State.REFUNDED, now)

    def execute(self, e, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.APPEALABLE)) is not O.OK:
            return bad
        c = self.cases[e]
        return O.TOO_EARLY if now < c["deadline"] else self._settle(c, c["ruling"], now)

    def replay_verdict(self, e, verdict, claim, *, now, answer=None):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.REPLAY)) is not O.OK:
            return bad
        c = self.cases[e]
        if now >= c["deadline"]:
            return O.TOO_LATE
        if claim != c["claim"]:
            return O.WRONG_EVIDENCE
        if c["planted"] and answer != c["planted"]:
            return O.WRONG_REVEAL
        return O.CONDITION_NOT_FINAL if verdict is Verdict.NOT_FINAL else self._settle(c, verdict, now)

    def lapse(self, e, *, now):
        if (bad := self._time(now)) is not O.OK or (bad := self._case(e, State.REPLAY)) is not O.OK:
            return bad
        c = self.cases[e]
        return O.TOO_EARLY if now < c["deadline"] else self._settle(c, Verdict.NOT_FINAL, now)

    def plant(self, operator, terms, condition, claim, answer, *, now, nonce=0):
        if now > MAX_TIME // 2:
            return Result(O.BAD_TIME, -1)
        if (bad := self._message(now, operator, nonce)) is not O.OK:
            return Result(bad, -1)
        if terms not in range(len(self.terms)):
            return Result(O.UNKNOWN_TERMS, -1)
        t = self.terms[terms]
        bond = t.juror_fee * self._size(t, 0)
        if self.balance[operator, t.bond_asset] < bond:
            return Result(O.INSUFFICIENT_FUNDS, -1)
        case = {
            "offer": None,
            "terms": t,
            "performer": -1,
            "challenger": -1,
            "condition": condition,
            "claim": claim,
            "planted": answer,
        }
        case |= {
            "bonds": [],
            "rounds": [],
            "collateral": 0,
            "reserve": {"performer": 0, "challenger": 0},
            "ruling": Verdict.NOT_FINAL,
        }
        candidates = self._eligible(case, operator)
        if self._size(t, 0) == 0 or len(candidates) < self._size(t, 0):
            return Result(O.NO_PANEL, -1)
        self.balance[operator, t.bond_asset] -= bond
        case["bonds"].append({"side": "none", "poster": operator, "amount": bond})
        self.cases.append(case)
        self._stage(len(self.cases) - 1, now, candidates)
        self._done(now, operator, nonce)
        return Result(O.OK, len(self.cases) - 1)

    def open_answer(self, e, verdict, salt, *, now):
        if not 0 <= e < len(self.cases):
            return O.UNKNOWN_ESCROW
        c = self.cases[e]
        if not c["planted"]:
            return O.WRONG_STATE
        head = b"answer" + int(verdict).to_bytes(8, "little", signed=True)
        digest = hashlib.sha256(head + c["condition"] + c["claim"] + hashlib.sha256(salt).digest()).digest()
        return self.replay_verdict(e, verdict, c["claim"], now=now, answer=digest)
