"""A window's contracts as escrows in one ledger: deposits, offers, collateral, claims, and what becomes of the money.

Instants are whole seconds of the window. Everybody signs at 0; all claims are handed in at one instant, once the last
promised arrival is over, so that they can be driven as columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts_model import Batch, Book, Outcome, State, Terms
from contracts_model.kernels.layout import ESCROWS, FREE, STAKED
from sim.arrays import BoolColumn, CodeColumn, IndexColumn, OffsetColumn
from sim.errors import RunFailedError
from sim.settlement.accounts import Accounts, open_accounts
from sim.settlement.clearing import Contracts
from sim.settlement.money import MICRO_PER_CREDIT
from sim.settlement.parties import parties_of
from sim.spec import ContractRules

SIGNED_AT_S: Final = 0
"""When everybody signs."""
_LIVE: Final = (int(State.CLAIMED), int(State.APPEALABLE), int(State.REPLAY), int(State.ACTIVE), int(State.OFFERED))
"""States that a time-out alone can end, without anybody's vote."""


@dataclass(frozen=True, eq=False)
class StateChange:
    """Contracts that entered a state at an instant."""

    time_s: int
    contract: OffsetColumn
    state: CodeColumn


class Escrows:
    """The escrows of a window, contract k in escrow k.

    Parameters
    ----------
    contracts
        Cleared contracts of the window.
    collateral_micro
        What each mover locks, shape (n_contracts,).
    claim_at_s
        When claims are handed in.
    rules
        Panels, bonds, windows.
    seed
        Seed of the panel draws.

    Attributes
    ----------
    book, batch, accounts, payers, payees
        The ledger, its columnar interface, who has an account, and both sides of the escrows.
    brought_micro
        What each actor brought to the ledger from outside, or was entrusted with, by actor.
    changes
        Changes of state in the order in which they came.
    """

    def __init__(
        self, contracts: Contracts, collateral_micro: OffsetColumn, claim_at_s: int, rules: ContractRules, seed: int
    ) -> None:
        self.contracts = contracts
        self.collateral_micro = collateral_micro
        self.claim_at_s = claim_at_s
        self.rules = rules
        self.book = Book(seed)
        self.batch = Batch(self.book)
        self.accounts: Accounts = open_accounts(self.book, contracts, rules.validators)
        self.payers, self.payees = parties_of(contracts, self.accounts)
        self.brought_micro = np.zeros(len(self.book.actor_names), np.int64)
        self.changes: list[StateChange] = []
        self._last_state: CodeColumn = np.zeros(contracts.n_contracts, np.uint8)
        self._account_of = {
            (mover, 0): account
            for mover, account in zip(contracts.mover.tolist(), self.accounts.performers.tolist(), strict=True)
        }
        self.asset = self.book.add_asset("credit", self.accounts.pool).idx
        self._add_terms()

    @property
    def n_contracts(self) -> int:
        """Number of contracts."""
        return self.contracts.n_contracts

    @property
    def clock_s(self) -> int:
        """Instant of the last operation."""
        return self.book.clock

    def _add_terms(self) -> None:
        rules, accounts = self.rules, self.accounts
        terms = Terms(
            asset=self.asset,
            bond_asset=self.asset,
            fee_account=accounts.fees,
            treasury=accounts.treasury,
            challenge_window=rules.challenge_window_s,
            commit_window=rules.commit_window_s,
            reveal_window=rules.reveal_window_s,
            appeal_window=rules.appeal_window_s,
            replay_window=rules.replay_window_s,
            panel=rules.panel,
            rounds=rules.rounds,
            seat_stake=micro(rules.stake),
            juror_fee=micro(rules.juror_fee),
            bond=micro(rules.bond),
            bond_growth=rules.bond_growth,
            challenger_ppm=round(rules.bounty * 1_000_000),
            reserve_appeals=rules.enforcement,
        )
        outcome, self.terms = self.book.add_terms(terms)
        if outcome is not Outcome.OK:
            raise RunFailedError(f"the ledger refused the terms of the contracts: {outcome.name}")

    @property
    def appeal_budget_micro(self) -> int:
        """What a side sets aside for its appeals: bond * (growth + growth^2 + ... + growth^rounds)."""
        rules = self.rules
        return micro(rules.bond) * sum(int(rules.bond_growth**round_idx) for round_idx in range(1, rules.rounds + 1))

    # -- money from outside ------------------------------------------------------------------------------------------

    def bring(self, actors: OffsetColumn, amounts_micro: OffsetColumn) -> None:
        """Let actors bring money to the ledger; amounts of 0 are left out."""
        chosen = amounts_micro > 0
        if not chosen.any():
            return
        pool = self.accounts.pool
        outcomes = self.batch.issue(pool, actors[chosen], self.asset, amounts_micro[chosen], now=self.clock_s)
        require_done(outcomes, "bring money to the ledger")
        np.add.at(self.brought_micro, actors[chosen], amounts_micro[chosen])

    def transfer(self, debtors: OffsetColumn | int, creditors: OffsetColumn | int, amounts_micro: OffsetColumn) -> None:
        """Move free money; amounts of 0 are left out."""
        chosen = amounts_micro > 0
        if not chosen.any():
            return
        sides = [side if isinstance(side, int) else side[chosen] for side in (debtors, creditors)]
        outcomes = self.batch.transfer(sides[0], sides[1], self.asset, amounts_micro[chosen], now=self.clock_s)
        require_done(outcomes, "move money")

    def entrust(self, actors: OffsetColumn, amounts_micro: OffsetColumn) -> None:
        """Let the members' pool bring money and fill accounts with it that act for the members."""
        pool = np.array([self.accounts.pool])
        self.bring(pool, np.array([amounts_micro.sum()]))
        self.transfer(self.accounts.pool, actors, amounts_micro)
        self.brought_micro[pool] -= amounts_micro.sum()
        np.add.at(self.brought_micro, actors, amounts_micro)

    def hand_back(self, actors: OffsetColumn) -> None:
        """Move what accounts hold for the members to the members' pool, gains and losses included."""
        self.transfer(actors, self.accounts.pool, self.free_micro(actors))
        self.brought_micro[self.accounts.pool] += self.brought_micro[actors].sum()
        self.brought_micro[actors] = 0

    def add_actors(self, names: list[str]) -> OffsetColumn:
        """Open further accounts; return their numbers."""
        actors = np.asarray(self.book.add_actors(names), np.int64)
        self.brought_micro = np.concatenate((self.brought_micro, np.zeros(len(actors), np.int64)))
        return actors

    def accounts_of(self, traveller: IndexColumn, nth: IndexColumn | None = None) -> OffsetColumn:
        """Return the accounts of travellers, opening those that are not there yet.

        Parameters
        ----------
        traveller
            Shape (n,).
        nth
            Which of his identities, from 0; the first is the one that signs contracts. None for the first of each.
        """
        numbers = [0] * len(traveller) if nth is None else nth.tolist()
        keys = list(zip(traveller.tolist(), numbers, strict=True))
        without = [key for key in dict.fromkeys(keys) if key not in self._account_of]
        names = [f"t:{row}/{number}" if number else f"t:{row}" for row, number in without]
        self._account_of.update(zip(without, self.add_actors(names).tolist(), strict=True))
        return np.array([self._account_of[key] for key in keys], np.int64)

    @property
    def latest_end_s(self) -> int:
        """An instant that no contract of the window outlives."""
        rules = self.rules
        of_a_round = rules.commit_window_s + rules.reveal_window_s + rules.appeal_window_s
        windows = rules.claim_window_s + rules.challenge_window_s + (rules.rounds + 1) * of_a_round + rules.replay_window_s
        return self.claim_at_s + 2 * windows + 1

    def free_micro(self, actors: OffsetColumn) -> OffsetColumn:
        """Return the free balances of actors."""
        return np.asarray(self.book.tables.balances[actors, self.asset, FREE])

    def position_micro(self, actors: OffsetColumn) -> OffsetColumn:
        """Return what actors have received minus what they have paid: balance and stake minus what they brought."""
        balances = self.book.tables.balances[actors, self.asset]
        return np.asarray(balances[:, FREE] + balances[:, STAKED] - self.brought_micro[actors])

    # -- a window's life ---------------------------------------------------------------------------------------------

    def sign(self, conditions: OffsetColumn, claim_by_s: int) -> None:
        """Open, fund and accept every escrow.

        Parameters
        ----------
        conditions
            Digest of what each mover promises, shape (n_contracts, 4).
        claim_by_s
            When claims end.

        Raises
        ------
        RunFailedError
            The ledger refuses an operation: amounts or parties beyond its bounds.
        """
        self._deposit()
        payers, payees, accounts = self.payers, self.payees, self.accounts
        self.book.reserve(escrows=self.n_contracts, parties=len(payers.actor) + len(payees.actor))
        opened = self.batch.open(
            accounts.performers,
            terms=self.terms,
            performers=accounts.performers,
            prices=payees.totals(),
            fees=self.contracts.fee_micro,
            collaterals=self.collateral_micro,
            accept_by=SIGNED_AT_S + 1,
            claim_by=claim_by_s,
            payers=payers.actor,
            dues=payers.amount_micro,
            payer_start=payers.start,
            payees=payees.actor,
            weights=payees.amount_micro,
            payee_start=payees.start,
            conditions=conditions,
            now=SIGNED_AT_S,
        )
        require_done(opened.outcomes, "open an escrow")
        everyone = np.arange(self.n_contracts)
        require_done(self.batch.fund(payers.actor, payers.contract, payers.amount_micro, now=SIGNED_AT_S), "fund an escrow")
        require_done(self.batch.accept(accounts.performers, everyone, now=SIGNED_AT_S), "accept an escrow")
        self.note()

    def _deposit(self) -> None:
        """Bring what the window needs: the pool fills the funds and the clearing account, movers bring their own."""
        payers, accounts = self.payers, self.accounts
        due = np.zeros(len(self.brought_micro), np.int64)
        np.add.at(due, payers.actor, payers.amount_micro)
        fillable = np.append(accounts.funds, accounts.clearing)
        self.entrust(fillable, due[fillable])
        purses = accounts.purses[accounts.purses >= 0]
        self.bring(purses, due[purses])
        budget = self.appeal_budget_micro if self.rules.enforcement else 0
        self.bring(accounts.performers, self.collateral_micro + budget)

    def claim(self, digests: OffsetColumn) -> None:
        """Hand in every mover's claim, by the digest of its evidence, shape (n_contracts, 4)."""
        everyone = np.arange(self.n_contracts)
        require_done(self.batch.claim(self.accounts.performers, everyone, digests, now=self.claim_at_s), "claim")
        self.note()

    def run_until(self, time_s: int | None = None) -> None:
        """Trigger every time-out that falls due before `time_s` (all of them without), each at its instant."""
        while True:
            rows = self.book.tables.escrows[: self.book.tables.counters[ESCROWS]]
            waiting = np.flatnonzero(np.isin(rows["state"], _LIVE))
            if len(waiting) == 0:
                return
            due_s = int(rows["deadline"][waiting].min())
            if time_s is not None and due_s > time_s:
                return
            due = waiting[rows["deadline"][waiting] == due_s]
            require_done(self.batch.advance(due, now=max(due_s, self.clock_s)), "end by time-out")
            self.note()

    def note(self) -> None:
        """Write down which contracts have changed their state since the last time."""
        state = self.states()
        changed = np.flatnonzero(state != self._last_state)
        if len(changed):
            self.changes.append(StateChange(self.clock_s, changed, state[changed]))
            self._last_state = state

    def states(self) -> CodeColumn:
        """Return the state of each contract (`State` numbers)."""
        return self.book.tables.escrows["state"][: self.n_contracts].astype(np.uint8)

    def mover_money_micro(self) -> OffsetColumn:
        """Return what each mover has received minus what he has paid under his contract, purse included."""
        accounts = self.accounts
        money = self.position_micro(accounts.performers)
        has_purse: BoolColumn = accounts.purses >= 0
        money[has_purse] += self.position_micro(accounts.purses[has_purse])
        return money


def micro(credits: float) -> int:
    """Return an amount of the rules in micro-credits, rounded to the nearest."""
    return round(credits * MICRO_PER_CREDIT)


def require_done(outcomes: OffsetColumn, what: str) -> None:
    """Raise RunFailedError, naming the first refusal, unless every operation was carried out."""
    refused = np.flatnonzero(outcomes != int(Outcome.OK))
    if len(refused):
        first = int(refused[0])
        raise RunFailedError(
            f"the ledger refused to {what}: {Outcome(int(outcomes[first])).name} (row {first}, {len(refused)} refusals in all)"
        )
