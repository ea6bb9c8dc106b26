"""The messages of a run say what its contracts say, down to the condition that the ledger knows by its digest."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest

from contracts_model.conditions import Composite as JudgedAll
from contracts_model.conditions import leaf
from sim.errors import InputError
from sim.experiments.run import RunResult, run
from sim.experiments.scenarios import find_scenario
from sim.negotiation.messages import Composite, Leaf, SimulatedKeys, parse_message, require_true_id
from sim.negotiation.schema import message_schema


@pytest.fixture(scope="module")
def result() -> RunResult:
    settings = ["network.rows=4", "network.columns=4", 'worlds.run=["selfish", "optimum", "coalition"]']
    found = run(*find_scenario("defectors", settings))
    assert isinstance(found, RunResult)
    return found


def test_every_contract_has_its_offer(result: RunResult) -> None:
    offers, schema, keys = result.offers(), message_schema(), SimulatedKeys(result.built.spec.seed)
    enforcement = result.market["coalition"].enforcement
    assert enforcement is not None
    contracts, detours = enforcement.contracts, enforcement.detours
    link_id, tables = result.built.problem.network.link_id, enforcement.escrows.book.tables
    assert len(offers) == contracts.n_contracts > 10
    for number in range(0, len(offers), 7):
        offer = offers[number]
        text = offer.model_dump_json(exclude_none=True)
        jsonschema.validate(json.loads(text), schema)
        assert parse_message(text) == offer and keys.verify(offer)
        require_true_id(offer)
        assert offer.mover == f"t:{contracts.mover[number]}" and offer.price == contracts.price_micro[number]
        assert offer.fee == contracts.fee_micro[number] and offer.collateral == enforcement.collateral_micro[number]
        assert list(offer.target.path) == link_id[detours.target_of(number)].tolist()
        assert list(offer.baseline.path) == link_id[detours.baseline_of(number)].tolist()
        rows = slice(contracts.start[number], contracts.start[number + 1])
        pays = dict(zip(link_id[contracts.link[rows]].tolist(), contracts.fund_pays_micro[rows].tolist(), strict=True))
        named = {row.fund: row.cap for row in offer.payers} | {row.fund: -row.comp for row in offer.harmed}
        named.pop("clearing", None)
        assert named == {f"link:{link}": amount for link, amount in pays.items() if amount}
        # Whoever rebuilds the condition from the message finds the digest that everybody signed.
        assert isinstance(offer.condition, Composite) and offer.condition.op == "all"
        parts = [leaf(part.arbiter, **part.terms) for part in offer.condition.args if isinstance(part, Leaf)]
        digest = JudgedAll("all", tuple(parts), len(parts)).digest
        assert np.frombuffer(digest, np.int64).tolist() == tables.conditions[number].tolist()


def test_without_a_coalition_there_are_no_offers() -> None:
    found = run(*find_scenario("braess"))
    assert isinstance(found, RunResult)
    with pytest.raises(InputError, match="coalition"):
        found.offers()
