"""Known answers: closed forms that always run, and published benchmark networks where their files are at hand.

Pigou (1920): with linear congestion the Price of Anarchy is 4/3; with power p it is 1 / (1 - p (p + 1) ** (-(p + 1) / p))
(Roughgarden and Tardos 2002), 2.1505 for p = 4. Braess (1968): 552 selfish and 498 optimal for demand 6. The totals of the TNTP
networks were solved to a relative gap of 1e-12 and checked with an independent shortest-path search.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import InputError
from sim.experiments.assign import AssignRequest, assign
from sim.experiments.progress import Say, say_nothing
from sim.experiments.run import run
from sim.spec import parse_scenario

TOTAL_TOLERANCE = 1e-6
RATIO_TOLERANCE = 2e-6
_GAP = 1e-8


@dataclass(frozen=True)
class Check:
    """One figure against its reference; `difference` and `tolerance` are shares of the reference."""

    case: str
    figure: str
    found: float
    reference: float
    tolerance: float

    @property
    def difference(self) -> float:
        """|found - reference| / reference."""
        return abs(self.found - self.reference) / self.reference

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class _Benchmark:
    name: str
    net: str
    trips: str
    selfish_total: float
    optimum_total: float
    price_of_anarchy: float
    toll_weight: float = 0.0
    distance_weight: float = 0.0


BENCHMARKS = (
    _Benchmark("Braess", "Braess_net", "Braess_trips", 552.0, 498.0, 552.0 / 498.0),
    _Benchmark("Sioux Falls", "SiouxFalls_net", "SiouxFalls_trips", 7_480_225.3449, 7_194_256.0529, 1.0397496683),
    _Benchmark("Eastern Massachusetts", "EMA_net", "EMA_trips", 28_181.423167, 27_323.932257, 1.0313824124),
    _Benchmark("Anaheim", "Anaheim_net", "Anaheim_trips", 1_419_913.8511, 1_395_015.0867, 1.0178483836),
    _Benchmark(
        "Chicago Sketch", "ChicagoSketch_net", "ChicagoSketch_trips", 18_935_450.2615, 18_518_575.8057, 1.0225111510, 0.02, 0.04
    ),
    _Benchmark("Berlin Center", "berlin-center_net", "berlin-center_trips", 21_275_629.8737, 21_145_067.4555, 1.0061746040),
)


def closed_forms() -> Iterator[Check]:
    """Yield the Price of Anarchy of Pigou's and Braess's networks beside their closed forms."""
    yield Check("Pigou, power 1", "Price of Anarchy", _synthetic_ratio({"kind": "pigou"}), 4.0 / 3.0, RATIO_TOLERANCE)
    power = 4.0
    reference = 1.0 / (1.0 - power * (power + 1.0) ** (-(power + 1.0) / power))
    yield Check(
        "Pigou, power 4",
        "Price of Anarchy",
        _synthetic_ratio({"kind": "pigou", "pigou_power": power}),
        reference,
        RATIO_TOLERANCE,
    )
    yield Check("Braess", "Price of Anarchy", _synthetic_ratio({"kind": "braess"}), 552.0 / 498.0, RATIO_TOLERANCE)


def _synthetic_ratio(network: dict[str, object]) -> float:
    table = {
        "name": "verify",
        "network": {"source": "synthetic", **network},
        "demand": {"source": "synthetic", "vehicles_per_traveller": 0.1},
        "traffic": {"gap": _GAP, "days": 1},
    }
    price = run(parse_scenario(table), Path()).price
    assert price is not None  # both worlds run by default
    return price.ratio if price.ratio is not None else float("nan")


def benchmarks(folder: Path, say: Say = say_nothing) -> Iterator[Check]:
    """Yield the totals of every benchmark network found in `folder` or below it beside the references.

    Raises
    ------
    InputError
        The folder does not exist or holds none of the networks.
    """
    if not folder.is_dir():
        raise InputError("no such folder", source=folder)
    found_any = False
    for case in BENCHMARKS:
        net, trips = _find(folder, case.net), _find(folder, case.trips)
        if net is None or trips is None:
            say(f"{case.name}: no files in {folder}")
            continue
        found_any = True
        request = AssignRequest(net, trips, gap=_GAP, toll_weight=case.toll_weight, distance_weight=case.distance_weight)
        content = assign(request, say=say).content()
        yield Check(case.name, "selfish total", content["ue"]["tstt"], case.selfish_total, TOTAL_TOLERANCE)
        yield Check(case.name, "optimum total", content["so"]["tstt"], case.optimum_total, TOTAL_TOLERANCE)
        ratio = content["price_of_anarchy"]
        yield Check(
            case.name, "Price of Anarchy", float("nan") if ratio is None else ratio, case.price_of_anarchy, RATIO_TOLERANCE
        )
    if not found_any:
        names = ", ".join(f"{case.net}.tntp" for case in BENCHMARKS)
        raise InputError("holds none of the benchmark networks", source=folder, allowed=names)


def _find(folder: Path, stem: str) -> Path | None:
    for ending in (".tntp", ".tntp.gz", ".txt", ".txt.gz"):
        matches = sorted(folder.rglob(stem + ending))
        if matches:
            return matches[0]
    return None


def verification_content(checks: Sequence[Check]) -> dict[str, Any]:
    """Return what `routepact verify --json` prints; a figure that was withheld is null."""
    rows = [
        {
            "case": check.case,
            "figure": check.figure,
            "found": check.found if math.isfinite(check.found) else None,
            "reference": check.reference,
            "tolerance": check.tolerance,
            "passed": check.passed,
        }
        for check in checks
    ]
    return {"checks": rows, "passed": all(check.passed for check in checks)}
