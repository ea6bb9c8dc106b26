"""Panels: the draw is fair and repeatable, and the error rate is the exact one.

The thresholds of the incentives are where the arithmetic puts them.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from contract_scenes import BONDS, CHALLENGER, CLAIM, FIRST_JUROR, claimed, salt, vote, voting, world
from contract_twin import draw as slow_draw

from contracts_model import Batch, Outcome, State, Verdict
from contracts_model.kernels.panel import draw
from contracts_model.validators import (
    answer_digest,
    least_collateral,
    least_stake,
    least_trap_rate,
    majority_error,
    panel_error,
    panel_error_without_replacement,
)


def drawn(seed: int, escrow: int, round_idx: int, count: int, size: int) -> list[int]:
    candidates = np.arange(count, dtype=np.int64)
    draw(seed, escrow, round_idx, candidates, count, size)
    assert sorted(candidates) == list(range(count))
    return candidates[:size].tolist()


def test_the_draw_equals_its_twin() -> None:
    for seed, escrow, round_idx, count, size in [
        (0, 0, 0, 3, 3),
        (7, 12, 1, 50, 7),
        ((1 << 63) - 1, 10**9, 4, 200, 63),
        (1, 2, 3, 1, 1),
    ]:
        assert drawn(seed, escrow, round_idx, count, size) == slow_draw(seed, escrow, round_idx, list(range(count)), size)


def test_every_subset_is_equally_likely() -> None:
    """Panels of 3 out of 6 in 40,000 escrows: chi-square over the 20 subsets, and over the first seat."""
    panels = [drawn(11, escrow, 0, 6, 3) for escrow in range(40_000)]
    for counts, cells in ((Counter(tuple(sorted(p)) for p in panels), 20), (Counter(p[0] for p in panels), 6)):
        expected = len(panels) / cells
        chi_square = sum((counts[key] - expected) ** 2 / expected for key in counts)
        assert len(counts) == cells
        assert chi_square < cells - 1 + 5 * sqrt(2 * (cells - 1))


def test_seed_escrow_and_round_each_change_the_draw() -> None:
    panels = {tuple(drawn(s, e, r, 1000, 7)) for s in range(3) for e in range(3) for r in range(3)}
    assert len(panels) == 27
    assert drawn(1, 2, 3, 1000, 7) == drawn(1, 2, 3, 1000, 7)


def test_exact_figures_of_the_documents() -> None:
    """The table of the plan (accuracy 0.95), printed there with one to three digits: hence the tolerance."""
    table = {
        0.0: {3: 0.007, 7: 2e-4, 15: 2e-7},
        0.2: {3: 0.145, 7: 0.062, 15: 0.013, 31: 8e-4, 63: 4e-6},
        0.3: {3: 0.26, 7: 0.18, 15: 0.09, 31: 0.028, 63: 0.003},
        0.4: {3: 0.40, 7: 0.35, 15: 0.29, 31: 0.22, 63: 0.13},
    }
    for colluding, row in table.items():
        for panel, figure in row.items():
            assert panel_error(panel, colluding, 0.95) == pytest.approx(figure, rel=0.15, abs=1e-8), (colluding, panel)


def test_majority_error_by_enumeration() -> None:
    wrong = 0.3
    total = sum(wrong**k * 0.7 ** (5 - k) for k in range(3, 6) for _ in combinations(range(5), k))
    assert majority_error(5, wrong) == pytest.approx(total, rel=1e-12)
    # three seats out of four validators, one colluder, no mistakes: never wrong; two colluders: wrong in two of four panels
    assert panel_error_without_replacement(3, 4, 1, 1.0) == 0.0
    assert panel_error_without_replacement(3, 4, 2, 1.0) == pytest.approx(0.5)
    assert panel_error_without_replacement(3, 4, 4, 1.0) == 1.0
    assert panel_error_without_replacement(3, 3, 0, 0.95) == pytest.approx(majority_error(3, 0.05))


@pytest.mark.parametrize("panel", [3, 7, 15, 31, 63])
@pytest.mark.parametrize("percent", [0, 10, 20, 30, 40])
def test_the_error_rate_of_drawn_panels_is_the_exact_one(panel: int, percent: int) -> None:
    """Drawn without replacement from 100 validators by the kernel: within five standard errors of the hypergeometric sum."""
    validators, trials, accuracy = 100, 4_000, 0.95
    random = np.random.default_rng(panel * 100 + percent)
    wrong = 0
    for case in range(trials):
        panel_seats = np.array(drawn(5, case, 0, validators, panel))
        ballots = (panel_seats < percent) | (random.random(panel) > accuracy)
        wrong += 2 * int(ballots.sum()) > panel
    exact = panel_error_without_replacement(panel, validators, percent, accuracy)
    error = sqrt(max(exact * (1 - exact), 1 / trials) / trials)
    assert abs(wrong / trials - exact) < 5 * error


@pytest.mark.parametrize("panel", [3, 7, 15])
@pytest.mark.parametrize("percent", [0, 20, 40])
def test_with_replacement_the_error_rate_is_binomial(panel: int, percent: int) -> None:
    """One seat at a time from the whole pool, so that a validator may sit twice."""
    trials = 4_000
    random = np.random.default_rng(panel + percent)
    wrong = 0
    for case in range(trials):
        seats = np.array([drawn(6, case, seat, 100, 1)[0] for seat in range(panel)])
        wrong += 2 * int(((seats < percent) | (random.random(panel) > 0.95)).sum()) > panel
    exact = panel_error(panel, percent / 100, 0.95)
    assert abs(wrong / trials - exact) < 5 * sqrt(max(exact * (1 - exact), 1 / trials) / trials)


def test_whole_disputes_err_as_often_as_the_arithmetic_says() -> None:
    """600 disputes through challenge, draw, sealed votes and tally: 40 % of the validators vote for the cheat."""
    cases, pool, colluders = 600, 50, 20
    book = world(jurors=pool, seat_stake=1, bond=1, reserve_appeals=False, panel=3)
    batch, random = Batch(book), np.random.default_rng(2)
    escrows = [claimed(book, collateral=0, price=1, fee=0, payers=[(2, 1)], payees=[(1, 1)]) for _ in range(cases)]
    assert not batch.challenge(CHALLENGER, np.array(escrows), now=11).any()
    sealed = []
    for round_seats in range(3):
        jurors = np.array([book.panel(e)[round_seats] for e in escrows])
        wrong = (jurors < FIRST_JUROR + colluders) | (random.random(cases) > 0.95)
        votes = np.where(wrong, int(Verdict.ACCEPTED), int(Verdict.REJECTED))
        salts = [salt(j) for j in jurors.tolist()]
        assert not batch.commit(
            jurors, np.array(escrows), batch.seal_votes(np.array(escrows), jurors, votes, salts), now=12
        ).any()
        sealed.append((jurors, votes, salts))
    for jurors, votes, salts in sealed:
        assert not batch.reveal(jurors, np.array(escrows), votes, salts, now=17).any()
    assert not batch.tally(np.array(escrows), now=21).any()
    error = np.mean([book.escrow_row(e)["ruling"] == Verdict.ACCEPTED for e in escrows])
    exact = panel_error_without_replacement(3, pool, colluders, 0.95)
    assert abs(error - exact) < 5 * sqrt(exact * (1 - exact) / cases)


def test_panels_grow() -> None:
    book = world(jurors=40, rounds=3, panel=3)
    escrow = voting(book)
    sizes, bonds, seen = [], [], set()
    while book.state(escrow) is State.VOTING:
        panel = book.panel(escrow)
        sizes.append(len(panel))
        bonds.append(book.escrow_row(escrow)["pot_bonds"])
        assert not seen & set(panel)
        seen |= set(panel)
        vote(book, escrow, [Verdict.ACCEPTED] * len(panel))
        assert book.appeal(CHALLENGER, escrow, now=book.clock, from_reserve=True) is Outcome.OK
    assert sizes == [3, 7, 15]
    assert bonds == [101, 101 + 202, 101 + 202 + 404]
    assert book.state(escrow) is State.REPLAY


def test_jurors_without_enough_stake_are_not_drawn() -> None:
    book = world(jurors=5)
    for juror in (FIRST_JUROR, FIRST_JUROR + 1):
        assert book.unstake(juror, BONDS, 461, now=1) is Outcome.OK
    assert set(book.panel(voting(book))) == {FIRST_JUROR + 2, FIRST_JUROR + 3, FIRST_JUROR + 4}
    assert book.stake(FIRST_JUROR, BONDS, 1, now=10) is Outcome.OK
    assert book.validators().tolist() == list(range(FIRST_JUROR, FIRST_JUROR + 5))
    # three are seated and still have 460: all four with 40 or more can be drawn again
    assert FIRST_JUROR + 1 not in book.panel(voting(book))


# -- incentives


def lazy_against_diligent(stake: int, traps: int, cases: int, accuracy: float) -> tuple[float, float]:
    """Mean gain a case of a validator who looks (right with `accuracy`) and of one who always accepts, played in a book.

    Panels of one; a planted case's answer is REJECTED, a real one's ACCEPTED; no juror fee.
    """
    gains = []
    for looks in (True, False):
        book = world(jurors=1, panel=1, rounds=1, seat_stake=stake, juror_fee=0, bond=1, reserve_appeals=False)
        random = np.random.default_rng(4)
        start = book.free(FIRST_JUROR, BONDS) + book.staked(FIRST_JUROR, BONDS)
        for case in range(cases):
            right = Verdict.REJECTED if case < traps else Verdict.ACCEPTED
            other = Verdict.ACCEPTED if right is Verdict.REJECTED else Verdict.REJECTED
            if looks:
                ballot = right if random.random() < accuracy else other
            else:
                ballot = Verdict.ACCEPTED
            if case < traps:
                _, escrow = book.plant(2, 0, CLAIM, CLAIM, answer_digest(CLAIM, CLAIM, right, b"s"), now=book.clock)
                vote(book, escrow, [ballot])
                assert book.open_answer(escrow, right, b"s", now=book.clock) is Outcome.OK
        gains.append((book.free(FIRST_JUROR, BONDS) + book.staked(FIRST_JUROR, BONDS) - start) / cases)
    return gains[0], gains[1]


def test_planted_cases_make_looking_pay_at_the_derived_stake() -> None:
    """50 traps in 1,000 cases, stake 8: looking (accuracy 0.9) saves q a S = 0.36 a case.

    So any effort below that is worth it.
    """
    looking, lazy = lazy_against_diligent(stake=8, traps=50, cases=1000, accuracy=0.9)
    saved = looking - lazy
    assert lazy == pytest.approx(-0.05 * 8)
    assert saved == pytest.approx(0.05 * 0.9 * 8, abs=5 * 8 * sqrt(0.09 * 50) / 1000)
    effort = 0.05 * 0.9 * 8
    assert least_stake(effort, 0.05, 0.9) == pytest.approx(8)
    assert least_trap_rate(effort, 8, 0.9) == pytest.approx(0.05)


def test_thresholds_in_closed_form() -> None:
    cost, d, f, price = 30.0, 0.67, 0.02, 40.0
    collateral = least_collateral(cost, d, f, price)

    def honest_minus_cheating(c: float) -> float:
        return price * (1 - f) - c * f - cost - (price * (1 - d) - c * d)

    assert honest_minus_cheating(collateral) == pytest.approx(0, abs=1e-9)
    assert honest_minus_cheating(collateral + 1) > 0 > honest_minus_cheating(collateral - 1)
    with pytest.raises(ValueError, match="must exceed"):
        least_collateral(1.0, 0.1, 0.1, 1.0)
    for arguments in ((1.0, 0.0, 0.9), (1.0, 0.1, 0.0)):
        with pytest.raises(ValueError, match="must be positive"):
            least_stake(*arguments)
