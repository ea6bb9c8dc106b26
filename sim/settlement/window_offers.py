"""The messages of a window that was carried out: each contract as the offer that its parties signed.

The offer says what the contracts say (routes, price, who pays and who is compensated, fee, collateral, instants, panel), and its
condition is the one that the escrow is judged by: whoever rebuilds it from the message finds the digest in the ledger.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from contracts_model import conditions as contract_conditions
from sim.assignment.problem import AssignmentProblem
from sim.demand.population import Population
from sim.negotiation.baseline import Baseline
from sim.negotiation.messages import Composite, Condition, Leaf
from sim.negotiation.offers import Offers, OfferTerms, offers_of
from sim.settlement.arbiter import arrived_before, condition_of, route_hashes
from sim.settlement.escrows import SIGNED_AT_S, micro
from sim.settlement.outcome import Enforcement


def window_offers(
    enforcement: Enforcement,
    problem: AssignmentProblem,
    population: Population,
    baseline: Baseline,
    *,
    period_s: float,
    seed: int,
) -> Offers:
    """Return the offers of a window in static traffic, one a contract, each made when it is asked for.

    Parameters
    ----------
    enforcement
        The window, links in the network's order.
    problem, population, baseline
        What the market ran on, and where it started.
    period_s
        Length of the window; its clock starts at 00:00.
    seed
        Of the scenario.
    """
    contracts, detours, evidence, escrows = enforcement.contracts, enforcement.detours, enforcement.evidence, enforcement.escrows
    rules, mover = escrows.rules, contracts.mover
    in_solver = np.empty(len(problem.link_order), np.int32)
    in_solver[problem.link_order] = np.arange(len(problem.link_order), dtype=np.int32)
    lengths = np.zeros(population.n_travellers, np.int64)
    lengths[mover] = np.diff(detours.target_start)
    promised_s = evidence.deadline_ms / 1000.0 - detours.departure_s
    claim_by_s = escrows.claim_at_s + rules.claim_window_s
    terms = OfferTerms(
        window_start_s=0,
        window_end_s=math.ceil(period_s),
        collateral_micro=enforcement.collateral_micro,
        max_delay_s=np.maximum(promised_s - baseline.cost_s[mover], 0.0),
        accept_by_s=SIGNED_AT_S + 1,
        claim_by_s=claim_by_s,
        challenge_by_s=claim_by_s + rules.challenge_window_s,
        panel=rules.panel,
        rounds=rules.rounds,
        stake_micro=micro(rules.stake),
        trap_rate=rules.trap_rate,
    )
    return offers_of(
        replace(contracts, link=in_solver[contracts.link]),
        problem,
        population,
        baseline,
        np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
        in_solver[detours.target_link],
        terms,
        seed=seed,
        condition_of=lambda contract: _as_message(promised(enforcement, contract)),
    )


def promised(enforcement: Enforcement, contract: int) -> contract_conditions.Condition:
    """Return the condition of a contract, as its escrow is judged by it."""
    detours = enforcement.detours
    whole = np.array([0, 1], np.int64)
    target, baseline = (
        route_hashes(whole * len(links), links)[0] for links in (detours.target_of(contract), detours.baseline_of(contract))
    )
    in_time = arrived_before(int(enforcement.evidence.deadline_ms[contract]))
    return condition_of(target, baseline, in_time, int(enforcement.escrows.accounts.performers[contract]))


def _as_message(condition: contract_conditions.Condition) -> Condition:
    if isinstance(condition, contract_conditions.Leaf):
        return Leaf(arbiter=condition.arbiter, terms=dict(condition.terms))
    need = condition.need if condition.operator == "threshold" else None
    parts = tuple(map(_as_message, condition.children))
    return Composite.model_validate({"op": condition.operator, "args": parts, "need": need})
