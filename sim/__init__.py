"""routepact's simulator: road networks, demand, traffic, worlds and their comparison.

The names below are the public interface (`sim.api`); they are loaded when first used, so that ``import sim`` takes no time.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.api import (
        Assignment,
        BuiltScenario,
        InputError,
        OdMatrix,
        QueueRunResult,
        RecordedRun,
        RoadNetwork,
        RunResult,
        Scenario,
        Search,
        assign,
        load_scenario,
        open_run,
        problem_of,
        read_demand,
        read_network,
        run,
    )

try:
    __version__ = version("routepact")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "Assignment", "BuiltScenario", "InputError", "OdMatrix", "QueueRunResult", "RecordedRun", "RoadNetwork", "RunResult",
    "Scenario", "Search", "assign", "load_scenario", "open_run", "problem_of", "read_demand", "read_network", "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("sim.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
