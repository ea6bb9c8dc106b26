"""The scenario: what a TOML file may say, with every default, unit and bound.

Unknown keys are errors, numbers must be numbers, units stand in the key names. Names (of worlds, files, cities) are resolved in
`sim.experiments.build`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, ValidationError, model_validator

from sim.errors import InputError
from sim.spec_counts import Counts
from sim.spec_incidents import IncidentSpec
from sim.spec_networks import NetworkSpec
from sim.spec_problems import first_problem, shown_value
from sim.spec_section import AtLeastZero as _AtLeastZero
from sim.spec_section import FileName as _FileName
from sim.spec_section import Fraction as _Fraction
from sim.spec_section import Positive as _Positive
from sim.spec_section import Section
from sim.spec_traffic import StaticSettings, Traffic


class _Section(Section, BaseModel):
    """Names pydantic's class again, by which ruff knows that defaults here may be tables."""


class ValueOfTime(_Section):
    """Values of time of the travellers, in credits an hour."""

    distribution: Literal["constant", "lognormal", "classes"] = "constant"
    mean_per_h: _Positive = 3600.0
    """Mean; the default makes one credit one vehicle-second."""
    sigma: _AtLeastZero = 0.6
    """lognormal: standard deviation of the logarithm."""
    classes: dict[str, _Positive] = {}
    """classes: value of time of each class."""
    shares: dict[str, _Positive] = {}
    """classes: share of each class; rescaled to sum to 1."""

    @model_validator(mode="after")
    def _classes_match(self) -> ValueOfTime:
        if self.distribution == "classes" and not self.classes:
            raise ValueError("classes needs a table of values of time by class")
        if set(self.classes) != set(self.shares):
            raise ValueError("classes and shares must name the same classes")
        return self


class Profile(_Section):
    """When travellers depart inside the period."""

    shape: Literal["uniform", "peak", "plateau", "even"] = "uniform"
    """peak: a triangle that is highest in the middle of the period; plateau: rises and falls in the first and the last eighth
    (57 % in the middle half); even: the travellers of a cell leave at equal distances."""
    period_s: _Positive = 3600.0


class _Demand(_Section):
    vehicles_per_traveller: _Positive = 1.0
    """The grain: a cell of d vehicles becomes max(1, round(d / grain)) travellers of weight d / n each."""
    scale: _Positive = 1.0
    """Every cell is multiplied by this."""
    counts: Counts | None = None
    """Counted flows of links, by which the demand is corrected."""
    value_of_time: ValueOfTime = ValueOfTime()
    profile: Profile = Profile()


class TntpDemand(_Demand):
    """A trip table in the TNTP format, plain or gzipped."""

    source: Literal["tntp"]
    trips: _FileName


class OdDemand(_Demand):
    """A CSV matrix with the columns origin, destination, demand_vph.

    Origins and destinations are ids of zones, or of nodes where the network has no zones.
    """

    source: Literal["od"]
    file: _FileName


class GmnsDemand(_Demand):
    """A table of GMNS tools with the columns o_zone_id, d_zone_id, volume."""

    source: Literal["gmns"]
    file: _FileName


class OmxDemand(_Demand):
    """A matrix of an OMX file (Open Matrix); needs the extra `omx`."""

    source: Literal["omx"]
    file: _FileName
    matrix: str | None = None
    """Name of the matrix; left out, the file must hold one alone."""
    zone_mapping: str | None = None
    """Name of the mapping with the ids of the zones; left out, rows follow the order of the network's zones."""


class _TripList(_Demand):
    start_s: _AtLeastZero = 0.0
    """Trips that depart earlier are left out."""
    end_s: _Positive | None = None
    """Trips that depart then or later are left out; with it, vehicles between start_s and end_s become vehicles an hour."""

    @model_validator(mode="after")
    def _every_row_travels(self) -> _TripList:
        if self.vehicles_per_traveller != 1.0:
            raise ValueError("vehicles_per_traveller does not apply to a list of trips, in which every row is a traveller")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("end_s must be above start_s")
        return self


class TripsDemand(_TripList):
    """A list of trips, CSV or Parquet: origin, destination, and perhaps departure_s, weight and vot_per_h.

    Origins and destinations are ids of zones, or of nodes where the network has no zones; every row becomes a traveller.
    """

    source: Literal["trips"]
    file: _FileName


class MatsimDemand(_TripList):
    """The selected plans of a MATSim population (plans.xml, plain or gzipped): every leg of one mode becomes a traveller."""

    source: Literal["matsim"]
    file: _FileName
    mode: str = "car"


class GravityDemand(_Demand):
    """Doubly constrained gravity model between zones made from the street graph (or the network's own)."""

    source: Literal["gravity"]
    trips_per_h: _Positive
    zones: Annotated[int, Field(ge=2, le=5000)] = 150
    deterrence_km: _Positive = 5.0
    """Length at which the willingness to travel has fallen to 1/e."""
    centre_pull: _AtLeastZero = 1.0
    """Exponent of the intersection density in a zone's attraction; 0 makes attraction follow residents alone."""
    production_grid: _FileName | None = None
    """CSV or Parquet with the columns lon, lat, weight: where trips start (residents), instead of street lengths."""
    attraction_grid: _FileName | None = None
    """The same for where trips end (jobs)."""


class SyntheticDemand(_Demand):
    """Demand that belongs to a synthetic network: one OD pair, or every corner of a grid to every other."""

    source: Literal["synthetic"]
    demand_vph: _Positive | None = None
    """Total; the textbook's own value where left out."""


DemandSpec: TypeAlias = Annotated[
    TntpDemand | OdDemand | GmnsDemand | OmxDemand | TripsDemand | MatsimDemand | GravityDemand | SyntheticDemand,
    Field(discriminator="source"),
]


class Market(_Section):
    """Who takes part in the market for detours, and by what rules money moves."""

    participation: _Fraction = 1.0
    """Share of the travellers who are members, drawn by lot."""
    numeraire: Literal["time", "money"] = "time"
    """time: a credit is a vehicle-second, each minute counts the same; money: a traveller's own value of time counts.

    Fees, bonds, stakes and asks are in credits too: their defaults suit credits of about a second, so with money
    (`demand.value_of_time`) set them yourself.
    """
    fee_per_vehicle: _AtLeastZero = 1.0
    """Credits that the mover's contract pays to the validators for each vehicle he stands for."""
    surplus_to_mover: _Fraction = 0.0
    """Share of a deal's surplus that its contract pays to the mover; the rest is shared out at the window's end."""
    shares: Literal["externality", "equal", "shapley", "least_core"] = "externality"
    """How the members divide their gain at the window's end; shapley and least_core inside groups of the same OD pair."""
    who_gives_way: Literal["lot", "auction"] = "lot"
    """Whom of an OD pair the market asks first: lot, or a reverse auction by what they ask, which pays the next ask."""
    strategies: dict[str, _Positive] = {}
    """Share of the travellers who play each strategy (a name, or "module:Class"), rescaled to sum to 1; empty: all honest."""
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Most rounds of trading in a window."""
    pairwise_compensates: bool = False
    """pairwise: whether the one payer must compensate everybody whom the detour harms (pairwise_compensated: he always must)."""
    baselines: Literal["lottery", "declared"] = "lottery"
    """Who says what a traveller's usual route is: lottery, a public draw from the equilibrium; declared, he himself (a negative
    control: liars among the members then name the route of their pair whose leaving is worth most to others)."""
    history_trips: Annotated[int, Field(ge=0, le=1000)] = 1
    """Verified trips of its OD pair that entitle a vehicle to a baseline; the days of the selfish warm-up are the history."""
    days: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Queue traffic: days of the market; the last one is settled."""
    rehearsals: Annotated[int, Field(ge=1, le=1000)] = 6
    """Queue traffic: days driven in advance, to see what offers do, before each day of the market."""
    departure_shift_s: _AtLeastZero = 600.0
    """Queue traffic: most that a member's departure may move, earlier or later; 0 for ways alone."""
    departure_step_s: _Positive = 60.0
    """Queue traffic: departures move by whole multiples of this."""
    earlier_cost: _AtLeastZero = 0.5
    """Queue traffic: minutes of travel that leaving a minute earlier is worth."""
    later_cost: _AtLeastZero = 0.5
    """Queue traffic: minutes of travel that leaving a minute later (staying longer) is worth."""
    broadcast_step_s: _Positive = 60.0
    """Queue traffic: steps of time of the links' charges."""
    broadcast_memory: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.9
    """Queue traffic: weight of the days before in the links' charges."""


class ContractRules(_Section):
    """How a detour that was paid for is enforced: evidence, validators, stakes and time-outs. Amounts in credits."""

    enforcement: bool = True
    """False pays every mover who claims to have driven the detour; nobody looks."""
    collateral: _AtLeastZero = 2.0
    """Multiple of the smallest collateral that deters: extra cost / (detection - false conviction) - price, at least one bond."""
    roadside_units: _Fraction = 0.3
    """Share of the links with a roadside unit; where they stand is drawn anew for each window."""
    hit_rate: _Fraction = 0.95
    """Probability that a unit reads a vehicle that passes."""
    gps_share: _Fraction = 0.5
    """Share of the trips whose sealed on-board unit has position fixes."""
    gps_noise_m: _Positive = 10.0
    """Standard deviation of a position fix across the road."""
    gps_period_s: _Positive = 10.0
    """Time between two fixes."""
    record_gap: _Fraction = 0.0
    """Probability that the record of a link is missing from a mover's claim; half of the links must be there."""
    clock_noise_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    """Queue traffic: standard deviation of the clocks by which vehicles and roadside units note when a link is passed."""
    conviction_odds: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1e6
    """Likelihood ratio against the mover from which on circumstantial evidence rejects his claim."""
    audit_share: _Fraction = 0.002
    """Share of the claims whose full chain of link records is drawn up although nobody challenges them."""
    validators: Annotated[int, Field(ge=1, le=10_000)] = 50
    accuracy: _Fraction = 0.95
    """Probability that an honest validator sees what the evidence implies."""
    panel: Annotated[int, Field(ge=1, le=63)] = 3
    """Seats of the first panel; each appeal takes 2n + 1."""
    rounds: Annotated[int, Field(ge=0, le=5)] = 3
    """Rounds of votes before the evidence is replayed."""
    trap_rate: Annotated[float, Field(ge=0, le=0.9, allow_inf_nan=False)] = 0.05
    """Share of the cases before the panels that are planted, with a known answer."""
    appeal_share: _Fraction = 1.0
    """Share of those who lost against the evidence who appeal; budgets are reserved."""
    stake: Annotated[float, Field(ge=1e-3, le=1e6, allow_inf_nan=False)] = 40.0
    """Stake of a validator's seat."""
    juror_fee: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 2.0
    """Fee of a rewarded seat, out of the losing bonds."""
    bond: Annotated[float, Field(ge=1e-3, le=1e6, allow_inf_nan=False)] = 20.0
    """Bond of a challenge."""
    bond_growth: Annotated[int, Field(ge=1, le=8)] = 2
    """Factor by which the bond of each appeal exceeds the one before."""
    trip_bond: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 5.0
    """Bond that each member locks in the ledger for each trip it registers; it comes back when the trip is completed."""
    bounty: _Fraction = 0.5
    """Share of a lost collateral that goes to the challenger; the rest goes to the payers."""
    delay_share: _AtLeastZero = 1.0
    """Deadline of arrival: departure + agreed time * (1 + this) + `delay_s`, rounded up to the minute."""
    delay_s: _AtLeastZero = 240.0
    claim_window_s: Annotated[int, Field(ge=1, le=10**9)] = 3600
    challenge_window_s: Annotated[int, Field(ge=1, le=10**9)] = 3600
    commit_window_s: Annotated[int, Field(ge=1, le=10**9)] = 600
    reveal_window_s: Annotated[int, Field(ge=1, le=10**9)] = 600
    appeal_window_s: Annotated[int, Field(ge=1, le=10**9)] = 600
    replay_window_s: Annotated[int, Field(ge=1, le=10**9)] = 600


class Adversaries(_Section):
    """Who does not play fair, as shares of those who could do it."""

    defectors: _Fraction = 0.0
    """Share of the movers who drive the baseline and claim the detour with forged records."""
    baseline_liars: _Fraction = 0.0
    """Share of the travellers who declare another equal-cost route as their usual one, and demand all that leaving it is worth;
    where baselines are drawn by lottery nobody listens."""
    extortionists: _Fraction = 0.0
    """Share of the travellers who sell a detour only for all that it is worth to the others."""
    sybils: _Fraction = 0.0
    """Share of the travellers who register their vehicle as three identities, and beside it a trip that nobody will drive."""
    lazy_validators: _Fraction = 0.0
    """Share of the validators who accept without looking."""
    colluding_validators: _Fraction = 0.0
    """Share of the validators who vote against the evidence, for defectors and for griefers."""
    griefers: _Fraction = 0.0
    """Share of the claims that the evidence supports and that somebody challenges nevertheless."""

    @model_validator(mode="after")
    def _validators_add_up(self) -> Adversaries:
        if self.lazy_validators + self.colluding_validators > 1.0:
            raise ValueError("lazy_validators and colluding_validators together exceed 1")
        return self


class Report(_Section):
    """Further levels of the market that a run computes for its report."""

    participation: tuple[_Fraction, ...] = ()
    """The coalition runs again at each of these shares of members; the report shows ratio and savings against them."""
    fees: tuple[_AtLeastZero, ...] = ()
    """And at each of these fees, credits a vehicle."""
    trajectories: Literal["none", "sample", "all"] = "none"
    """Queue traffic: whose entries into links and exits from them go into trajectories.parquet; sample draws a thousand."""


class Worlds(_Section):
    """Which worlds run."""

    run: tuple[str, ...] = ("selfish", "optimum")


class ScenarioSpec(_Section):
    """A whole scenario. Relative paths start at the folder of the scenario file."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
            description="letters, digits, dots, dashes and underscores, at most 64, a letter or digit first",
        ),
    ]
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    network: NetworkSpec
    demand: DemandSpec
    traffic: Traffic = StaticSettings()
    market: Market = Market()
    contracts: ContractRules = ContractRules()
    adversaries: Adversaries = Adversaries()
    report: Report = Report()
    worlds: Worlds = Worlds()
    incident: tuple[IncidentSpec, ...] = ()
    """Queue traffic: what befalls links on the day."""


def load_scenario(path: Path, settings: Sequence[str] = (), seed: int | None = None) -> ScenarioSpec:
    """Read a scenario file and apply `--set key=value` settings and `--seed`.

    Raises
    ------
    InputError
        The file is missing or no TOML, or a key is unknown, has the wrong type or lies outside its bounds. Where the key was set
        on the command line, the message names that instead of the file.
    """
    table = _read_toml(path)
    for setting in settings:
        _apply_setting(table, setting)
    if seed is not None:
        table["seed"] = seed
    with naming_options(settings, seed):
        return parse_scenario(table, source=path)


@contextmanager
def naming_options(settings: Sequence[str], seed: int | None) -> Iterator[None]:
    """Let messages about a key that was set on the command line name that option instead of the scenario file."""
    try:
        yield
    except InputError as error:
        key = error.where or ""
        options = {setting.partition("=")[0].replace(" ", ""): f"--set {setting}" for setting in settings}
        if seed is not None:
            options["seed"] = "--seed"
        for typed_key, option in options.items():
            if (
                key == typed_key
                or key.startswith((f"{typed_key}.", f"{typed_key}["))
                or (key and typed_key.startswith(f"{key}."))
            ):
                raise InputError(error.problem, source=option, where=error.where, allowed=error.allowed) from None
        raise


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ScenarioSpec.model_json_schema()}


def parse_scenario(table: Mapping[str, Any], *, source: str | Path | None = None) -> ScenarioSpec:
    """Check a table of scenario keys and return the frozen spec; InputError names the first bad key."""
    try:
        return ScenarioSpec.model_validate(_tuples(table))
    except ValidationError as error:
        found = first_problem(error, ScenarioSpec.model_json_schema())
        raise InputError(found.problem, source=source, where=found.key or None, allowed=found.allowed) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file", source=path, allowed="a scenario file (.toml)") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path, allowed="a scenario file (.toml)") from None
    except UnicodeDecodeError as error:
        raise InputError("is no text in UTF-8", source=path, where=f"byte {error.start + 1}", allowed="TOML") from None
    try:
        return tomllib.loads(text)
    # Besides its own error (a ValueError) the parser lets through what Python says to numbers of thousands of digits and to
    # brackets in thousands of brackets.
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", source=path) from None


def _tuples(value: Any) -> Any:
    # Strict mode takes no list for a tuple; TOML knows lists alone.
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _apply_setting(table: dict[str, Any], setting: str) -> None:
    """Put one `key=value` into the table."""
    key, equals, text = setting.partition("=")
    keys = [part.strip() for part in key.split(".")]
    if not equals or not all(keys):
        raise InputError(f"{setting!r}", source="--set", allowed="key=value, for example traffic.gap=1e-4")
    inner: Any = table
    for depth, part in enumerate(keys[:-1], start=1):
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            holder = ".".join(keys[:depth])
            raise InputError(
                f"{holder} is {shown_value(inner)} and no section", source=f"--set {setting}", allowed="a key inside a section"
            )
    inner[keys[-1]] = _setting_value(text.strip())


def _setting_value(text: str) -> Any:
    """Return a value as TOML reads it; a bare word is a text, as in a shell."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text
