"""What the parties of a paid detour say to each other: typed, versioned messages as JSON, from the offer to the settlement.

An offer names who should drive which route instead of which, who pays and who is compensated, until when, and on what
condition. The others refer to it by its id: counter (other terms), accept (the mover), fund (a payer has paid in), commit
(everything is funded, the mover is bound), claim (done, with evidence), challenge, vote, appeal, settle. Amounts are integer
micro-credits, instants whole seconds after the start of the period; a negative price is paid by the mover.

Every message has one canonical text: UTF-8 JSON with sorted keys and no spaces, whole numbers without a decimal point. An
offer's id is the SHA-256 of its canonical text without id and signature; a signature is an HMAC over the canonical text without
signature, under a simulated key of who sends it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from sim.errors import InputError
from sim.spec_problems import shown_value

MOST_DEPTH: Final = 8
MOST_CHILDREN: Final = 16
MOST_LEAVES: Final = 64
"""Bounds of a condition; those of the contracts that judge it."""
_MOST_MICRO = 2**53 - 1
_LEAF_TAG, _NAME_TAG, _COMPOSITE_TAG = "a leaf", "a name", "a composite"

_Micro: TypeAlias = Annotated[int, Field(ge=0, le=_MOST_MICRO)]
_SignedMicro: TypeAlias = Annotated[int, Field(ge=-_MOST_MICRO, le=_MOST_MICRO)]
_Instant: TypeAlias = Annotated[int, Field(ge=0, le=_MOST_MICRO, description="seconds after the start of the period")]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Clock: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{2}:[0-5][0-9](:[0-5][0-9])?$", description="HH:MM or HH:MM:SS")]
_Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9A-Za-z.]{1,64}$", description="SHA-256 in hexadecimal digits")]
_Traveller: TypeAlias = Annotated[str, Field(pattern=r"^t:[0-9]{1,18}$", description="t: and the traveller's number")]
_Fund: TypeAlias = Annotated[
    str, Field(pattern=r"^(link:[^\s]{1,64}|clearing)$", description="link: and the link's id, or clearing")
]
_Actor: TypeAlias = Annotated[str, Field(pattern=r"^[a-z]+(:[^\s]{1,64})?$", description="kind:number, for example t:123")]
_ExternalId: TypeAlias = int | str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Leaf(_Part):
    """A question for one arbiter, with its terms."""

    arbiter: Annotated[str, Field(min_length=1, max_length=64)]
    terms: dict[str, int | str | tuple[int, ...] | tuple[str, ...]] = {}


class Composite(_Part):
    """All, any, not, or at least `need` (threshold) of the parts."""

    op: Literal["all", "any", "not", "threshold"]
    args: Annotated[tuple[Condition, ...], Field(max_length=MOST_CHILDREN)]
    need: Annotated[int, Field(ge=0, le=MOST_CHILDREN)] | None = None
    """threshold: how many parts must hold."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Composite:
        if (self.need is not None) != (self.op == "threshold"):
            raise ValueError("need belongs to threshold, and threshold needs it")
        if self.need is not None and self.need > len(self.args):
            raise ValueError(f"need = {self.need} of {len(self.args)} parts can never hold")
        if self.op == "not" and len(self.args) != 1:
            raise ValueError(f"not has one part, not {len(self.args)}")
        return self


def _kind_of_condition(value: Any) -> str:
    if isinstance(value, str):
        return _NAME_TAG
    has_arbiter = "arbiter" in value if isinstance(value, Mapping) else isinstance(value, Leaf)
    return _LEAF_TAG if has_arbiter else _COMPOSITE_TAG


Condition: TypeAlias = Annotated[
    Annotated[str, Field(min_length=1, max_length=64), Tag(_NAME_TAG)]
    | Annotated[Leaf, Tag(_LEAF_TAG)]
    | Annotated[Composite, Tag(_COMPOSITE_TAG)],
    Discriminator(_kind_of_condition),
]
"""A composite, a leaf, or the bare name of an arbiter."""


class Payer(_Part):
    """A fund and the most it pays."""

    fund: _Fund
    cap: _Micro


class Harmed(_Part):
    """A fund and the compensation its members get."""

    fund: _Fund
    comp: _Micro


class BaselinePath(_Part):
    """The route that would have been driven, and the public draw that says so."""

    path: tuple[_ExternalId, ...]
    """Link ids from the origin on."""
    rule: Literal["ue-lottery"]
    seed: str
    state_root: str
    """Digest of all baseline routes of the window."""


class TargetPath(_Part):
    """The route to drive."""

    path: tuple[_ExternalId, ...]
    max_delay_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Most seconds later than on the baseline."""


class Validators(_Part):
    """Who judges a dispute."""

    pool: Annotated[str, Field(min_length=1, max_length=64)]
    panel: Annotated[int, Field(ge=1)]
    rounds: Annotated[int, Field(ge=0)]
    stake: _Micro
    trap_rate: _Share


class Message(_Part):
    """What all messages have; `sent_by` names the key under which it is signed."""

    offer_id: _Digest
    nonce: Annotated[int, Field(ge=0, le=_MOST_MICRO)]
    sig: str = ""

    unsigned: ClassVar[frozenset[str]] = frozenset({"sig"})
    """Fields that are no part of the digest."""

    @property
    def sent_by(self) -> str:
        """Actor who signs."""
        raise NotImplementedError


class Offer(Message):
    """A detour and its price; made by the clearing account in the name of the payers."""

    type: Literal["reroute.offer/1"] = "reroute.offer/1"
    window: tuple[_Clock, _Clock]
    mover: _Traveller
    od: tuple[_ExternalId, _ExternalId]
    baseline: BaselinePath
    target: TargetPath
    payers: tuple[Payer, ...]
    harmed: tuple[Harmed, ...]
    price: _SignedMicro
    fee: _Micro
    collateral: _Micro
    t_accept: _Instant
    t_claim: _Instant
    t_challenge: _Instant
    validators: Validators
    condition: Condition

    unsigned: ClassVar[frozenset[str]] = frozenset({"sig", "offer_id"})

    @property
    def sent_by(self) -> str:
        """Actor who signs."""
        return "clearing"

    @field_validator("condition")
    @classmethod
    def _bounded(cls, condition: Condition) -> Condition:
        depth, leaves = _extent(condition)
        if depth > MOST_DEPTH or leaves > MOST_LEAVES:
            raise ValueError(f"a condition {depth} deep with {leaves} leaves; at most {MOST_DEPTH} deep and {MOST_LEAVES} leaves")
        return condition

    @model_validator(mode="after")
    def _adds_up(self) -> Offer:
        if self.window[0] >= self.window[1]:
            raise ValueError(f"the window ends at {self.window[1]}, not after its start at {self.window[0]}")
        if not self.t_accept <= self.t_claim <= self.t_challenge:
            raise ValueError("t_accept, t_claim and t_challenge must not decrease")
        for role, funds in (("payers", [row.fund for row in self.payers]), ("harmed", [row.fund for row in self.harmed])):
            if len(set(funds)) != len(funds):
                raise ValueError(f"a fund is named twice among the {role}")
        caps, due = sum(payer.cap for payer in self.payers), self.price + self.fee + sum(row.comp for row in self.harmed)
        if caps < due:
            raise ValueError(f"the payers' caps add up to {caps}, less than price, fee and compensation together, {due}")
        return self


class _FromActor(Message):
    by: _Actor

    @property
    def sent_by(self) -> str:
        """Actor who signs."""
        return self.by


class Counter(_FromActor):
    """Other terms for an offer."""

    type: Literal["reroute.counter/1"] = "reroute.counter/1"
    price: _SignedMicro
    max_delay_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    t_accept: _Instant


class Accept(_FromActor):
    """The mover takes the offer and locks the collateral."""

    type: Literal["reroute.accept/1"] = "reroute.accept/1"
    collateral: _Micro


class Fund(_FromActor):
    """A payer has paid in; `by` is the fund."""

    type: Literal["reroute.fund/1"] = "reroute.fund/1"
    amount: _Micro


class Commit(_FromActor):
    """Everything is funded: from now on the mover is bound to this condition."""

    type: Literal["reroute.commit/1"] = "reroute.commit/1"
    condition: _Digest


class Claim(_FromActor):
    """The mover says it is done."""

    type: Literal["reroute.claim/1"] = "reroute.claim/1"
    condition: _Digest
    evidence: _Digest
    """Digest of the records handed in."""
    n_records: Annotated[int, Field(ge=0)]
    at: _Instant


class Challenge(_FromActor):
    """Somebody doubts a claim and locks a bond."""

    type: Literal["reroute.challenge/1"] = "reroute.challenge/1"
    claim_id: _Digest
    bond: _Micro
    reason: str = ""


class Vote(_FromActor):
    """A validator's vote on (claim, condition): first its commitment, later verdict and salt."""

    type: Literal["reroute.vote/1"] = "reroute.vote/1"
    claim_id: _Digest
    condition: _Digest
    round: Annotated[int, Field(ge=1)]
    commitment: _Digest | None = None
    verdict: Literal["accepted", "rejected"] | None = None
    salt: _Digest | None = None

    @model_validator(mode="after")
    def _one_phase(self) -> Vote:
        commits, reveals = self.commitment is not None, self.verdict is not None and self.salt is not None
        if commits == reveals or (commits and (self.verdict is not None or self.salt is not None)):
            raise ValueError("a vote is either a commitment, or a verdict with its salt")
        return self


class Appeal(_FromActor):
    """A loser asks for a larger panel."""

    type: Literal["reroute.appeal/1"] = "reroute.appeal/1"
    claim_id: _Digest
    round: Annotated[int, Field(ge=1)]
    bond: _Micro


class Transfer(_Part):
    """What an actor received on balance (negative: paid)."""

    actor: _Actor
    amount: _SignedMicro


class Settle(_FromActor):
    """How it ended, and every transfer; they add up to minus the fee."""

    type: Literal["reroute.settle/1"] = "reroute.settle/1"
    outcome: Literal["paid", "slashed", "refunded"]
    fee: _Micro
    transfers: tuple[Transfer, ...]

    @model_validator(mode="after")
    def _balances(self) -> Settle:
        total = sum(transfer.amount for transfer in self.transfers)
        if total != -self.fee:
            raise ValueError(f"the transfers add up to {total}, not to minus the fee of {self.fee}")
        return self


AnyMessage: TypeAlias = Offer | Counter | Accept | Fund | Commit | Claim | Challenge | Vote | Appeal | Settle
MESSAGE_TYPES: Final[dict[str, type[Message]]] = {
    kind.model_fields["type"].default: kind
    for kind in (Offer, Counter, Accept, Fund, Commit, Claim, Challenge, Vote, Appeal, Settle)
}
"""Models by the value of `type`."""

_Kind = TypeVar("_Kind", bound=Message)


def parse_message(text: str | bytes, *, source: str | None = None) -> AnyMessage:
    """Return the message that a JSON text holds.

    Raises
    ------
    InputError
        The text is no JSON object, its type is unknown, or it breaks the rules of its type.
    """
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON message: {error}", source=source) from None
    if not isinstance(content, dict):
        raise InputError(f"is {shown_value(content)} and no JSON object", source=source, allowed="a message")
    known = MESSAGE_TYPES.get(content.get("type", "")) if isinstance(content.get("type"), str) else None
    if known is None:
        shown = shown_value(content["type"]) if "type" in content else "missing"
        raise InputError(shown, source=source, where="type", allowed=", ".join(MESSAGE_TYPES))
    try:
        message: Any = known.model_validate(_tuples(content))
    except ValidationError as error:
        raise _first_problem(error, known, source) from None
    except RecursionError:
        raise InputError("nested too deeply", source=source, where="condition", allowed=f"at most {MOST_DEPTH} levels") from None
    return message  # type: ignore[no-any-return]


def canonical_text(content: Any) -> bytes:
    """Return the one canonical text of a message, or of what JSON can hold; what is absent is left out."""
    plain = content.model_dump(mode="json", exclude_none=True) if isinstance(content, BaseModel) else content
    return json.dumps(_whole(plain), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(message: Message | Leaf | Composite | str) -> str:
    """Return the SHA-256 (hexadecimal) of a message without its signature (an offer: nor its id), or of a condition."""
    left_out = set(message.unsigned) if isinstance(message, Message) else set()
    if isinstance(message, str):
        return hashlib.sha256(canonical_text(message)).hexdigest()
    content = message.model_dump(mode="json", exclude_none=True, exclude=left_out)
    return hashlib.sha256(canonical_text(content)).hexdigest()


def require_true_id(offer: Offer) -> None:
    """Raise InputError unless the offer's id is the digest of its content."""
    digest = digest_of(offer)
    if offer.offer_id != digest:
        raise InputError(f"{offer.offer_id!r} is not the digest of the offer", where="offer_id", allowed=digest)


class SimulatedKeys:
    """One secret key an actor, derived from a seed; whoever holds the seed can check and could forge.

    Parameters
    ----------
    seed
        Rings of the same seed hold the same keys.
    """

    def __init__(self, seed: int) -> None:
        self._secret = hashlib.sha256(b"message keys" + str(int(seed)).encode()).digest()

    def sign(self, message: _Kind) -> _Kind:
        """Return the message with its sender's signature; an offer gets its id first."""
        named = message.model_copy(update={"offer_id": digest_of(message)}) if isinstance(message, Offer) else message
        return named.model_copy(update={"sig": self._signature(named)})

    def verify(self, message: Message) -> bool:
        """Tell whether the sender signed exactly this."""
        return hmac.compare_digest(self._signature(message).encode(), message.sig.encode())

    def _signature(self, message: Message) -> str:
        key = hmac.digest(self._secret, message.sent_by.encode(), "sha256")
        text = canonical_text(message.model_dump(mode="json", exclude_none=True, exclude={"sig"}))
        return hmac.digest(key, text, "sha256").hex()


def _extent(condition: Condition) -> tuple[int, int]:
    """Return depth and number of leaves; without recursion, so that no depth can exhaust the interpreter."""
    depth = leaves = 0
    pending = [(condition, 1)]
    while pending:
        node, level = pending.pop()
        depth = max(depth, level)
        if isinstance(node, Composite):
            pending.extend((part, level + 1) for part in node.args)
        else:
            leaves += 1
    return depth, leaves


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands there twice")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _tuples(value: Any) -> Any:
    # Strict models take no list for a tuple; JSON knows lists alone.
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _first_problem(error: ValidationError, kind: type[Message], source: str | None) -> InputError:
    first = error.errors()[0]
    key = ""
    for part in first["loc"]:
        if isinstance(part, int):
            key += f"[{part + 1}]"
        elif part not in (_LEAF_TAG, _NAME_TAG, _COMPOSITE_TAG):
            key += f".{part}" if key else part
    if first["type"] == "value_error":
        return InputError(str(first["ctx"]["error"]), source=source, where=key or None)
    if first["type"] == "missing":
        return InputError("missing", source=source, where=key)
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(kind.model_fields) if len(first["loc"]) == 1 else None
        return InputError("unknown key", source=source, where=key, allowed=allowed)
    allowed = first["msg"].removeprefix("Input should be ")
    return InputError(shown_value(first["input"]), source=source, where=key, allowed=allowed)
