"""`make bench`: every benchmark of the project, one after another; peers that are not installed are named and left out."""

from __future__ import annotations

import importlib.util
import runpy

BENCHMARKS = (
    "benchmarks.contracts",
    "benchmarks.shortest_paths",
    "benchmarks.assignment",
    "benchmarks.networks",
    "benchmarks.queue_loading",
)


def main() -> None:
    """Run the benchmarks that are there."""
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        if importlib.util.find_spec(name) is None:
            print("not there")
            continue
        runpy.run_module(name, run_name="__main__")


if __name__ == "__main__":
    main()
