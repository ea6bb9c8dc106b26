"""Two recorded runs, paired: the same travellers, OD pairs and links, and what the second run changes for each of them.

Every difference is second minus first. Intervals are bootstrap intervals over the units (travellers, OD pairs or links): they say
how steady a mean is among the people or streets of these two runs, not what other seeds would give; for that there are sweeps
with replications.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn
from sim.errors import InputError
from sim.experiments.bootstrap import MeanInterval, mean_interval
from sim.experiments.record import RecordedRun, read_run

SAME_S = 1.0
"""Travellers whose cost changes by less than this, in seconds, count as unchanged."""
N_LISTED = 15
"""OD pairs and links that are listed one by one."""


@dataclass(frozen=True, eq=False)
class TravellerChange:
    """What the second run changes for the same travellers; weights (vehicles) are those of the first.

    Attributes
    ----------
    cost_s
        Change of generalised cost a vehicle.
    better, same, worse
        Shares of the vehicles.
    money_micro
        Change of money received a vehicle, micro-credits; None where neither world moves any.
    by_od
        The mean of the OD pairs' means, each pair weighing what its travellers weigh; pairs are resampled whole.
    pairs
        The OD pairs whose vehicles together change most.
    """

    n_travellers: int
    cost_s: MeanInterval
    better: float
    same: float
    worse: float
    money_micro: MeanInterval | None
    n_pairs: int
    by_od: MeanInterval
    pairs: tuple[PairChange, ...]


@dataclass(frozen=True)
class PairChange:
    """One OD pair: vehicles, mean change of cost in seconds with its interval over the pair's travellers, vehicle-seconds."""

    origin_zone_id: Any
    destination_zone_id: Any
    vehicles: float
    cost_s: MeanInterval
    total_s: float


@dataclass(frozen=True)
class LinkChange:
    """One link: its flow in both worlds, and the change of the vehicle-seconds spent on it in an hour."""

    link_id: Any
    first_flow_vph: float
    second_flow_vph: float
    total_s: float


@dataclass(frozen=True, eq=False)
class LinkChanges:
    """What the second run changes on the same links: vehicle-seconds an hour on a link, and the links that change most."""

    n_links: int
    total_s: MeanInterval
    mean_absolute_flow_vph: float
    links: tuple[LinkChange, ...]


@dataclass(frozen=True, eq=False)
class WorldChange:
    """A world of the first run beside a world of the second; parts that cannot be paired are None."""

    first_world: str
    second_world: str
    totals: dict[str, tuple[float, float]]
    travellers: TravellerChange | None
    links: LinkChanges | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs side by side.

    Attributes
    ----------
    first, second
        The runs.
    changed_keys
        Keys of the scenario that differ, with both values (None where a run has no such key).
    worlds
        What was compared.
    remarks
        What could not be paired, and why.
    """

    first: RecordedRun
    second: RecordedRun
    changed_keys: dict[str, tuple[Any, Any]]
    price_of_anarchy: tuple[float | None, float | None]
    worlds: tuple[WorldChange, ...]
    remarks: tuple[str, ...]

    def content(self) -> dict[str, Any]:
        """Return what `compare --json` prints."""
        first_price, second_price = self.price_of_anarchy
        known = first_price is not None and second_price is not None
        return {
            "first": _identity(self.first),
            "second": _identity(self.second),
            "changed_keys": {key: {"first": a, "second": b} for key, (a, b) in self.changed_keys.items()},
            "price_of_anarchy": {
                "first": first_price,
                "second": second_price,
                "difference": second_price - first_price if known else None,  # type: ignore[operator]  # known says so
            },
            "worlds": [_world_content(world) for world in self.worlds],
            "remarks": list(self.remarks),
        }


def compare(first: Path, second: Path, *, world: str | None = None, against: str | None = None) -> Comparison:
    """Compare two run folders.

    Parameters
    ----------
    world
        World of the first run; all worlds that both runs have unless given.
    against
        World of the second run that `world` is compared with; the same unless given.

    Raises
    ------
    InputError
        A folder is no run, a world is missing, or the runs have no world in common.
    """
    runs = read_run(first), read_run(second)
    pairs = _world_pairs(*runs, world, against)
    links = [_links_of(run) for run in runs]
    trips = [_trips_of(run) for run in runs]
    remarks = []
    same_links = _same(links[0], links[1], ("link_id", "from_node_id", "to_node_id"))
    if not same_links:
        remarks.append("The runs have different networks: links are not paired.")
    same_travellers = _same(trips[0], trips[1], ("traveller_id", "origin_zone_id", "destination_zone_id"))
    if not same_travellers:
        without = [str(run.path) for run, columns in zip(runs, trips, strict=True) if not columns]
        reason = f"{without[0]} records no travellers" if without else "the runs have different travellers"
        remarks.append(f"Travellers and OD pairs are not paired: {reason}.")
    elif not np.array_equal(trips[0]["weight"], trips[1]["weight"]):
        remarks.append("Travellers stand for different numbers of vehicles in the two runs; those of the first count.")
    return Comparison(
        runs[0],
        runs[1],
        dict(_changed_keys(runs[0].scenario, runs[1].scenario)),
        (runs[0].poa.get("price_of_anarchy"), runs[1].poa.get("price_of_anarchy")),
        tuple(
            WorldChange(
                one,
                other,
                _totals(runs[0], one, runs[1], other),
                _traveller_change(trips[0], one, trips[1], other) if same_travellers else None,
                _link_changes(links[0], one, links[1], other) if same_links else None,
            )
            for one, other in pairs
        ),
        tuple(remarks),
    )


def _world_pairs(first: RecordedRun, second: RecordedRun, world: str | None, against: str | None) -> list[tuple[str, str]]:
    have = [list(run.poa.get("worlds", {})) for run in (first, second)]
    if world is None and against is not None:
        raise InputError("names the second world without the first", source="--against", allowed="together with --world")
    if world is None:
        common = [name for name in have[0] if name in have[1]]
        if not common:
            raise InputError(
                f"the runs have no world in common: {', '.join(have[0])}; {', '.join(have[1])}",
                source=second.path,
                allowed="two worlds by --world and --against",
            )
        return [(name, name) for name in common]
    pair = (world, world if against is None else against)
    for run, name, names in zip((first, second), pair, have, strict=True):
        if name not in names:
            raise InputError(f"has no world {name!r}", source=run.path, allowed=", ".join(names))
    return [pair]


def _links_of(run: RecordedRun) -> dict[str, NDArray[Any]]:
    return _columns(run.table("link_performance")) if run.has_table("link_performance") else {}


def _trips_of(run: RecordedRun) -> dict[str, NDArray[Any]]:
    if not run.has_table("trips"):
        return {}
    # Paths are long and nothing here needs them.
    return _columns(run.table("trips", [name for name in run.columns("trips") if not name.endswith("_path")]))


def _columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names}


def _same(first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]], keys: tuple[str, ...]) -> bool:
    return all(key in first and key in second and np.array_equal(first[key], second[key]) for key in keys)


def _totals(first: RecordedRun, one: str, second: RecordedRun, other: str) -> dict[str, tuple[float, float]]:
    """Return the numbers that both worlds have in poa.json, side by side."""
    a, b = first.poa["worlds"][one], second.poa["worlds"][other]
    return {key: (a[key], b[key]) for key in a if key in b and _is_number(a[key]) and _is_number(b[key])}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _traveller_change(
    first: Mapping[str, NDArray[Any]], one: str, second: Mapping[str, NDArray[Any]], other: str
) -> TravellerChange | None:
    columns = f"{one}_cost_s", f"{other}_cost_s"
    if columns[0] not in first or columns[1] not in second:
        return None
    change: FloatColumn = second[columns[1]] - first[columns[0]]
    travels = np.isfinite(change)
    if not travels.any():
        return None
    change, weight = change[travels], first["weight"][travels]
    origin, destination = first["origin_zone_id"][travels], first["destination_zone_id"][travels]

    def share(of: BoolColumn) -> float:
        return float(weight[of].sum() / weight.sum())

    money = _money_change(first, one, second, other)
    pair_of = _pair_numbers(origin, destination)
    vehicles, total_s = (np.bincount(pair_of, column).astype(np.float64) for column in (weight, weight * change))
    first_row = np.unique(pair_of, return_index=True)[1]
    return TravellerChange(
        n_travellers=len(change),
        cost_s=mean_interval(change, weight),
        better=share(change < -SAME_S),
        same=share(np.abs(change) <= SAME_S),
        worse=share(change > SAME_S),
        money_micro=None if money is None else mean_interval(money[travels] / weight, weight),
        n_pairs=len(vehicles),
        by_od=mean_interval(total_s / vehicles, vehicles),
        pairs=tuple(
            PairChange(
                origin[first_row[pair]],
                destination[first_row[pair]],
                float(vehicles[pair]),
                mean_interval(change[pair_of == pair], weight[pair_of == pair]),
                float(total_s[pair]),
            )
            for pair in np.argsort(-np.abs(total_s), kind="stable")[:N_LISTED]
        ),
    )


def _pair_numbers(origin: NDArray[Any], destination: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of each traveller's OD pair; the same pair has the same number."""
    codes = [np.unique(column.astype(str), return_inverse=True)[1].astype(np.int64) for column in (origin, destination)]
    return np.unique(codes[0] * (codes[1].max() + 1) + codes[1], return_inverse=True)[1].astype(np.int64)


def _money_change(
    first: Mapping[str, NDArray[Any]], one: str, second: Mapping[str, NDArray[Any]], other: str
) -> FloatColumn | None:
    keys = f"{one}_money_micro", f"{other}_money_micro"
    if keys[0] not in first and keys[1] not in second:
        return None
    none = np.zeros(len(first["weight"]))
    return np.asarray(second.get(keys[1], none) - first.get(keys[0], none), np.float64)


def _link_changes(
    first: Mapping[str, NDArray[Any]], one: str, second: Mapping[str, NDArray[Any]], other: str
) -> LinkChanges | None:
    if f"{one}_flow_vph" not in first or f"{other}_flow_vph" not in second:
        return None
    flows = first[f"{one}_flow_vph"], second[f"{other}_flow_vph"]
    total_s = flows[1] * second[f"{other}_travel_time_s"] - flows[0] * first[f"{one}_travel_time_s"]
    largest = np.argsort(-np.abs(total_s), kind="stable")[:N_LISTED]
    return LinkChanges(
        n_links=len(total_s),
        total_s=mean_interval(total_s),
        mean_absolute_flow_vph=float(np.abs(flows[1] - flows[0]).mean()),
        links=tuple(
            LinkChange(first["link_id"][row], float(flows[0][row]), float(flows[1][row]), float(total_s[row])) for row in largest
        ),
    )


def _changed_keys(first: Any, second: Any, prefix: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the dotted keys at which two scenarios differ."""
    for key in dict.fromkeys([*first, *second]):
        a, b = first.get(key), second.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _changed_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", (a, b)


def _identity(run: RecordedRun) -> dict[str, Any]:
    return {"run": str(run.path), "scenario": run.manifest["scenario"], "seed": run.manifest["seed"]}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _mean_content(found: MeanInterval) -> dict[str, Any]:
    return {"mean": found.mean, "interval": None if found.interval is None else list(found.interval)}


def _world_content(world: WorldChange) -> dict[str, Any]:
    content: dict[str, Any] = {
        "first_world": world.first_world,
        "second_world": world.second_world,
        "totals": {key: {"first": a, "second": b, "difference": b - a} for key, (a, b) in world.totals.items()},
        "travellers": None,
        "od_pairs": None,
        "links": None,
    }
    if world.travellers is not None:
        found = world.travellers
        content["travellers"] = {
            "n": found.n_travellers,
            "cost_s": _mean_content(found.cost_s),
            "better_share": found.better,
            "same_share": found.same,
            "worse_share": found.worse,
            "money_micro": None if found.money_micro is None else _mean_content(found.money_micro),
        }
        content["od_pairs"] = {
            "n": found.n_pairs,
            "cost_s": _mean_content(found.by_od),
            "largest": [
                {
                    "origin_zone_id": _plain(pair.origin_zone_id),
                    "destination_zone_id": _plain(pair.destination_zone_id),
                    "vehicles": pair.vehicles,
                    "cost_s": _mean_content(pair.cost_s),
                    "total_s": pair.total_s,
                }
                for pair in found.pairs
            ],
        }
    if world.links is not None:
        content["links"] = {
            "n": world.links.n_links,
            "total_s": _mean_content(world.links.total_s),
            "mean_absolute_flow_vph": world.links.mean_absolute_flow_vph,
            "largest": [vars(link) | {"link_id": _plain(link.link_id)} for link in world.links.links],
        }
    return content
