"""The escrow-and-validation game: above the derived collateral and trap rate honest behaviour is the equilibrium, below it is
not.

A performer is honest (extra cost kappa) or cheats; a challenger challenges or not; a validator looks (effort e, finds the
truth with probability a) or accepts without looking. A challenged claim is judged by the validator; a cheat is convicted with
probability d = a if somebody looks, an honest performer with f = 1 - a. With a planted case (rate q) a validator who does not
look loses its stake.
"""

from __future__ import annotations

from itertools import product

import pytest

from contracts_model.validators import least_collateral, least_stake

PRICE, KAPPA, ACCURACY, EFFORT, TRAP_RATE = 40.0, 40.0, 0.95, 2.0, 0.05
BOUNTY_SHARE, FALSE_ALARMS = 0.5, 0.05
PERFORMER, CHALLENGER, VALIDATOR = ("honest", "cheat"), ("challenge if suspicious", "never"), ("look", "lazy")


def payoffs(
    performer: str, challenger: str, validator: str, collateral: float, stake: float, bond: float
) -> tuple[float, float, float]:
    """Expected payoffs of one claim; the challenger watches and challenges cheats alone.

    A wrong conviction needs its challenge.
    """
    cheats, looks = performer == "cheat", validator == "look"
    convicted = 0.0
    gain = 0.0
    if challenger == "challenge if suspicious":
        suspicious = 1.0 if cheats else FALSE_ALARMS
        guilty = (ACCURACY if cheats else 1 - ACCURACY) if looks else 0.0
        convicted = suspicious * guilty
        gain = suspicious * (guilty * BOUNTY_SHARE * collateral - (1 - guilty) * bond)
    work = PRICE * (1 - convicted) - collateral * convicted - (0.0 if cheats else KAPPA)
    watched = TRAP_RATE * stake * ((1 - ACCURACY) if looks else 1.0)
    return work, gain, -(EFFORT if looks else 0.0) - watched


def pure_equilibria(collateral: float, stake: float, bond: float = 0.0) -> set[tuple[str, str, str]]:
    """By hand: profiles that nobody gains by leaving alone."""
    found = set()
    for profile in product(PERFORMER, CHALLENGER, VALIDATOR):
        own = payoffs(*profile, collateral, stake, bond)
        stable = True
        for player, choices in enumerate((PERFORMER, CHALLENGER, VALIDATOR)):
            for choice in choices:
                deviation = tuple(choice if p == player else profile[p] for p in range(3))
                stable &= payoffs(*deviation, collateral, stake, bond)[player] <= own[player] + 1e-12
        if stable:
            found.add(profile)
    return found


DETECTION, FALSE_CONVICTION = ACCURACY, FALSE_ALARMS * (1 - ACCURACY)
COLLATERAL = least_collateral(KAPPA, DETECTION, FALSE_CONVICTION, PRICE)
STAKE = least_stake(EFFORT, TRAP_RATE, ACCURACY)
HONEST = ("honest", "challenge if suspicious", "look")

CASES = [(1.0, 1.05, True), (1.0, 0.95, False), (-1.0, 1.05, False), (-1.0, 0.95, False)]
"""(collateral above the floor, stake as a multiple of the floor, whether honesty is an equilibrium)"""


@pytest.mark.parametrize("above, factor, honest", CASES)
def test_thresholds_by_hand(above: float, factor: float, honest: bool) -> None:
    equilibria = pure_equilibria(COLLATERAL + above, STAKE * factor)
    assert (HONEST in equilibria) == honest
    if factor < 1:
        assert all(profile[2] == "lazy" and profile[0] == "cheat" for profile in equilibria)
    if honest:
        assert equilibria == {HONEST}


def test_the_floor_is_positive_so_that_the_test_means_something() -> None:
    assert COLLATERAL > 1 and STAKE > 0


@pytest.mark.parametrize("above, factor, honest", CASES)
def test_thresholds_with_pygambit(above: float, factor: float, honest: bool) -> None:
    gambit = pytest.importorskip("pygambit", reason="pygambit is an optional peer: pip install pygambit")
    game = gambit.Game.new_table([2, 2, 2])
    for at in product(range(2), repeat=3):
        names = (PERFORMER[at[0]], CHALLENGER[at[1]], VALIDATOR[at[2]])
        for player, value in zip(game.players, payoffs(*names, COLLATERAL + above, STAKE * factor, 0.0), strict=True):
            game[at][player] = gambit.Rational(round(value * 10**6), 10**6)
    solved = gambit.nash.enumpure_solve(game).equilibria
    found = set()
    for profile in solved:
        chosen = []
        for player, names in zip(game.players, (PERFORMER, CHALLENGER, VALIDATOR), strict=True):
            weights = [profile[strategy] for strategy in player.strategies]
            chosen.append(names[weights.index(1)])
        found.add(tuple(chosen))
    assert found == pure_equilibria(COLLATERAL + above, STAKE * factor)
    assert (HONEST in found) == honest


def test_a_bond_for_false_alarms_leaves_no_pure_equilibrium() -> None:
    """What is not promised: who pays for a false alarm would rather not watch honest performers.

    As in every inspection game.
    """
    assert pure_equilibria(COLLATERAL + 1, STAKE * 1.05, bond=10.0) == set()
