"""The real command line for tests (`call` in this process, `spawn` in one of its own) and small files to give it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from conftest import PROJECT_ROOT

from sim.cli import main

START = [sys.executable, "-c", "from sim.cli import main; main()"]
"""What the installed command does; works in a checkout that is not installed too."""

NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 6
<END OF METADATA>
~ tail head capacity length time b power speed toll type ;
1 3 10 1 1 0.15 4 0 0 1 ;
1 4 10 1 2 0.15 4 0 0 1 ;
3 4 10 1 1 0.15 4 0 0 1 ;
3 2 10 1 2 0.15 4 0 0 1 ;
4 2 10 1 1 0.15 4 0 0 1 ;
2 1 10 1 1 0.15 4 0 0 1 ;
"""
TRIPS = """<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 25
<END OF METADATA>
Origin 1
2 : 20;
Origin 2
1 : 5;
"""
SCENARIO = """name = "small"
seed = 1
[network]
source = "tntp"
net = "small_net.tntp"
time_unit_s = 60
length_unit_m = 1000
[demand]
source = "tntp"
trips = "small_trips.tntp"
"""


@dataclass(frozen=True)
class Outcome:
    """What the command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def call(*arguments: str | Path) -> Outcome:
    """Run the command line in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["routepact", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as leaving:
        assert isinstance(leaving.code, int)
        return Outcome(leaving.code, out.getvalue(), err.getvalue())
    finally:
        sys.argv = before


def spawn(*arguments: str | Path, folder: Path, **environment: str) -> Outcome:
    """Run the command line in a process of its own."""
    finished = subprocess.run(
        [*START, *map(str, arguments)],
        cwd=folder,
        env=spawn_environment(**environment),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout, finished.stderr)


def spawn_environment(**environment: str) -> dict[str, str]:
    """Return the environment of a new process, which imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment}


def write_small_city(folder: Path) -> Path:
    """Write a scenario of two zones and six links with its files and return the scenario's path."""
    (folder / "small_net.tntp").write_text(NET)
    (folder / "small_trips.tntp").write_text(TRIPS)
    scenario = folder / "small.toml"
    scenario.write_text(SCENARIO)
    return scenario


def entries(folder: Path) -> set[str]:
    """Return the names of everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
