"""Messages: what parses, what is refused in which words, canonical text, ids, signatures, the schema, offers on demand."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.small_markets import SmallMarket, random_market

from contracts_model import conditions as judged
from sim.errors import InputError
from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation import messages
from sim.negotiation.messages import (
    MESSAGE_TYPES,
    AnyMessage,
    Offer,
    SimulatedKeys,
    canonical_text,
    digest_of,
    parse_message,
    require_true_id,
)
from sim.negotiation.offers import Offers, OfferTerms, clock, offers_of, route_digest
from sim.negotiation.schema import message_schema
from sim.settlement.clearing import clear
from sim.spec import Market

EXAMPLE = """
{"type": "reroute.offer/1", "offer_id": "sha256", "window": ["08:10", "08:15"], "mover": "t:123", "od": [12, 40],
 "baseline": {"path": [], "rule": "ue-lottery", "seed": "..", "state_root": ".."},
 "target": {"path": [], "max_delay_s": 240},
 "payers": [{"fund": "link:17", "cap": 4100}], "harmed": [{"fund": "link:33", "comp": 900}],
 "price": 3050, "fee": 50, "collateral": 1200, "t_accept": 0, "t_claim": 0, "t_challenge": 0,
 "validators": {"pool": "A", "panel": 3, "rounds": 3, "stake": 40, "trap_rate": 0.05},
 "condition": {"op": "all", "args": ["RouteFollowed", "ArrivedBefore", "Recipient"]}, "nonce": 1, "sig": ".."}
"""
ID = "ab" * 32
OTHERS: list[dict[str, Any]] = [
    {"type": "reroute.counter/1", "by": "t:1", "price": -5, "max_delay_s": 60, "t_accept": 10},
    {"type": "reroute.accept/1", "by": "t:1", "collateral": 7},
    {"type": "reroute.fund/1", "by": "link:17", "amount": 9},
    {"type": "reroute.commit/1", "by": "t:1", "condition": ID},
    {"type": "reroute.claim/1", "by": "t:1", "condition": ID, "evidence": ID, "n_records": 12, "at": 700},
    {"type": "reroute.challenge/1", "by": "t:9", "claim_id": ID, "bond": 20, "reason": "not seen"},
    {"type": "reroute.vote/1", "by": "validator:3", "claim_id": ID, "condition": ID, "round": 1, "commitment": ID},
    {
        "type": "reroute.vote/1",
        "by": "validator:3",
        "claim_id": ID,
        "condition": ID,
        "round": 1,
        "verdict": "accepted",
        "salt": "s4lt",
    },
    {"type": "reroute.appeal/1", "by": "t:1", "claim_id": ID, "round": 2, "bond": 40},
    {
        "type": "reroute.settle/1",
        "by": "clearing",
        "outcome": "paid",
        "fee": 2,
        "transfers": [{"actor": "t:1", "amount": 3}, {"actor": "link:17", "amount": -5}],
    },
]


def full(content: dict[str, Any]) -> dict[str, Any]:
    return {"offer_id": ID, "nonce": 0, **content}


def offer_with(**changes: Any) -> str:
    return json.dumps(json.loads(EXAMPLE) | changes)


ALL_TEXTS = [EXAMPLE, *(json.dumps(full(content)) for content in OTHERS)]


@pytest.mark.parametrize("text", ALL_TEXTS)
def test_parses_and_comes_back(text: str) -> None:
    message = parse_message(text)
    assert message.type == json.loads(text)["type"]
    assert parse_message(canonical_text(message)) == message
    jsonschema.validate(json.loads(text), message_schema())


def test_there_is_one_type_for_each_step() -> None:
    steps = ["offer", "counter", "accept", "fund", "commit", "claim", "challenge", "vote", "appeal", "settle"]
    assert list(MESSAGE_TYPES) == [f"reroute.{step}/1" for step in steps]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["no JSON message"]),
        ("[" * 5000, ["no JSON message"]),
        ('"offer"', ["no JSON object"]),
        ("{}", ["type", "missing", "reroute.offer/1"]),
        ('{"type": ["reroute.offer/1"]}', ["type", "reroute.offer/1"]),
        ('{"type": "reroute.offer/2"}', ["type", "'reroute.offer/2'", "reroute.offer/1"]),
        (EXAMPLE.replace('"nonce": 1', '"nonce": 1, "nonce": 2'), ["twice"]),
        (EXAMPLE.replace("4100", "NaN"), ["NaN"]),
        (EXAMPLE.replace('"nonce": 1, ', ""), ["nonce", "missing"]),
        (offer_with(price="3050"), ["price", "'3050'", "integer"]),
        (offer_with(fee=-1), ["fee", "-1", "greater than or equal to 0"]),
        (offer_with(pricee=1), ["pricee", "unknown key", "price"]),
        (offer_with(mover="traveller 1"), ["mover", "'traveller 1'"]),
        (offer_with(window=["08:10", "08:10"]), ["window", "08:10"]),
        (offer_with(window=["08:70", "09:00"]), ["window[1]", "'08:70'"]),
        (offer_with(t_accept=5), ["t_accept", "t_claim"]),
        (offer_with(payers=[{"fund": "link:17", "cap": 3999}]), ["3999", "4000"]),
        (offer_with(payers=[{"fund": "link:17", "cap": 2000}] * 2), ["twice", "payers"]),
        (offer_with(condition={"op": "xor", "args": []}), ["condition.op", "'xor'", "threshold"]),
        (offer_with(condition={"op": "all", "args": ["a", {"op": "not", "args": []}]}), ["condition.args[2]", "one part"]),
        (offer_with(condition={"op": "threshold", "args": ["a"]}), ["need"]),
        (offer_with(condition={"op": "threshold", "args": ["a"], "need": 2}), ["need = 2 of 1"]),
        (offer_with(condition={"op": "any", "args": ["a"] * 17}), ["condition.args", "16"]),
        (offer_with(condition={"op": "any", "args": [{"op": "any", "args": ["a"] * 13}] * 5}), ["65 leaves", "64"]),
        (offer_with(condition={"arbiter": "Route", "terms": {"path": [1, "x"]}}), ["condition.terms.path"]),
        (json.dumps(full(OTHERS[6] | {"verdict": "accepted"})), ["commitment, or a verdict"]),
        (json.dumps(full(OTHERS[7] | {"verdict": "maybe"})), ["verdict", "'maybe'", "accepted"]),
        (json.dumps(full(OTHERS[9] | {"fee": 3})), ["-2", "3"]),
    ],
)
def test_bad_messages_are_refused_in_words(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        parse_message(text, source="inbox")
    assert str(raised.value).startswith("inbox")
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize("depth", [8, 9, 400, 20_000])
def test_conditions_are_bounded_in_depth(depth: int) -> None:
    nested = '{"op": "not", "args": [' * (depth - 1) + '"a"' + "]}" * (depth - 1)
    text = EXAMPLE.replace('{"op": "all", "args": ["RouteFollowed", "ArrivedBefore", "Recipient"]}', nested)
    if depth <= 8:
        parse_message(text)
        return
    with pytest.raises(InputError):
        parse_message(text)


def test_bounds_are_those_of_the_contracts() -> None:
    assert (messages.MOST_DEPTH, messages.MOST_CHILDREN, messages.MOST_LEAVES) == (
        judged.MAX_DEPTH,
        judged.MAX_CHILDREN,
        judged.MAX_LEAVES,
    )


def test_canonical_text_by_hand() -> None:
    accept = parse_message(json.dumps(full(OTHERS[1])))
    text = f'{{"by":"t:1","collateral":7,"nonce":0,"offer_id":"{ID}","sig":"","type":"reroute.accept/1"}}'
    assert canonical_text(accept) == text.encode()
    assert canonical_text({"b": 1.0, "a": [0.5, "é"]}) == '{"a":[0.5,"é"],"b":1}'.encode()


@settings(derandomize=True, max_examples=50)
@given(st.randoms(use_true_random=False), st.sampled_from(ALL_TEXTS))
def test_canonical_text_forgets_order_and_spaces(random: Any, text: str) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    again = json.dumps(shuffled(json.loads(text)), indent=random.randint(0, 3))
    assert canonical_text(parse_message(again)) == canonical_text(parse_message(text))


def test_an_id_follows_from_the_content_alone() -> None:
    offer = parse_message(EXAMPLE)
    assert isinstance(offer, Offer)
    named = SimulatedKeys(1).sign(offer)
    assert named.offer_id == digest_of(offer) == digest_of(SimulatedKeys(2).sign(offer))
    require_true_id(named)
    with pytest.raises(InputError, match="offer_id"):
        require_true_id(offer)
    assert digest_of(parse_message(offer_with(nonce=2))) != named.offer_id  # a nonce stops replay


@pytest.mark.parametrize("text", ALL_TEXTS)
def test_a_signature_covers_every_field(text: str) -> None:
    keys = SimulatedKeys(7)
    signed = keys.sign(parse_message(text))
    assert keys.verify(signed) and not SimulatedKeys(8).verify(signed)
    assert keys.sign(signed) == signed
    content = json.loads(canonical_text(signed))
    assert not keys.verify(parse_message(json.dumps(content | {"nonce": 99})))
    for key, value in content.items():
        if isinstance(value, int) and key not in ("nonce", "t_accept", "fee"):
            assert not keys.verify(signed.model_copy(update={key: value + 1})), key
    if "by" in content:
        assert not keys.verify(parse_message(json.dumps(content | {"by": "t:77"})))


def test_the_schema_tells_messages_apart() -> None:
    schema = message_schema()
    assert len(schema["oneOf"]) == len(MESSAGE_TYPES)
    jsonschema.Draft202012Validator.check_schema(schema)
    for bad in (
        offer_with(price="3050"),
        offer_with(extra=1),
        '{"type": "reroute.offer/2"}',
        EXAMPLE.replace('"type": "reroute.offer/1", ', ""),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(bad), schema)


def window() -> tuple[SmallMarket, Coalition, CityModel, Offers]:
    market = random_market(3, grain=1.0)
    mechanism = Coalition(Market(fee_per_vehicle=0.25), market.baseline, market.is_member, market.value, 5)
    world = CityModel(market.problem, market.population, mechanism, 5)
    world.run_days(100)
    contracts = clear(mechanism.book, market.population.weight, market.problem.network.n_links, 0.25)
    n = contracts.n_contracts
    terms = OfferTerms(
        window_start_s=8 * 3600,
        window_end_s=9 * 3600,
        collateral_micro=np.arange(n),
        max_delay_s=np.full(n, 120.0),
        accept_by_s=0,
        claim_by_s=7200,
        challenge_by_s=10_800,
        panel=3,
        rounds=2,
        stake_micro=40,
        trap_rate=0.05,
    )
    made = offers_of(contracts, market.problem, market.population, market.baseline, *world.traffic.paths(), terms, seed=5)
    return market, mechanism, world, made


def test_offers_say_what_the_contracts_say() -> None:
    market, mechanism, world, made = window()
    contracts = clear(mechanism.book, market.population.weight, market.problem.network.n_links, 0.25)
    network, od = market.problem.network, market.population.od
    keys = SimulatedKeys(5)
    assert len(made) == contracts.n_contracts > 5
    for number, offer in enumerate(made):
        mover = int(contracts.mover[number])
        require_true_id(offer)
        assert keys.verify(offer)
        assert parse_message(canonical_text(offer)) == offer
        jsonschema.validate(json.loads(canonical_text(offer)), message_schema())
        assert offer.mover == f"t:{mover}"
        assert sum(row.cap for row in offer.payers) == offer.price + offer.fee + sum(row.comp for row in offer.harmed)
        route = world.traffic.routes.links_of(world.traffic.route_of_traveller[mover])
        assert offer.target.path == tuple(network.link_id[market.problem.link_order[route]].tolist())
        first, last = (int(np.flatnonzero(network.link_id == offer.target.path[end])[0]) for end in (0, -1))
        cell = market.population.od_idx[mover]
        origin, destination = od.origin_zone_idx[cell], od.destination_zone_idx[cell]
        assert offer.od == (od.zone_id[origin], od.zone_id[destination])
        assert network.tail_idx[first] == network.zone_node_idx[origin]
        assert network.head_idx[last] == network.zone_node_idx[destination]
        assert offer.condition.args[0].terms["route"] == route_digest(offer.target.path)
    assert len({offer.offer_id for offer in made}) == len(made)
    assert {offer.baseline.state_root for offer in made} == {made[0].baseline.state_root}


def test_offers_are_a_sequence_and_always_the_same() -> None:
    made, again = window()[3], window()[3]
    assert made[-1] == list(made)[-1] == again[len(made) - 1]
    assert made[1:3] == [made[1], made[2]]
    with pytest.raises(IndexError):
        made[len(made)]


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 29_400, 29_401, 86_400)] == ["00:00", "08:10", "08:10:01", "24:00"]
    with pytest.raises(ValueError, match="-1"):
        clock(-1)


def test_messages_are_frozen() -> None:
    offer: AnyMessage = parse_message(EXAMPLE)
    with pytest.raises(ValueError, match="frozen"):
        offer.nonce = 3
