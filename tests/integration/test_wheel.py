"""The built wheel, installed elsewhere, carries scenarios and data and runs one of them without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def python(*arguments: str, folder: Path, **environment: str) -> str:
    """Run Python and return its standard output; the test fails with what it said where it fails."""
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project_root), folder=folder)
    (built,) = folder.glob("routepact-*.whl")
    return built


def test_the_wheel_holds_packages_scenarios_and_data(wheel: Path, project_root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"sim/cli.py", "sim/experiments/templates/report.html.jinja", "contracts_model/__init__.py"}
    wanted |= {f"sim/_bundled/scenarios/{path.name}" for path in (project_root / "scenarios").glob("*.toml")}
    wanted |= {
        "sim/_bundled/data/README.md",
        "sim/_bundled/data/coquimbo/network.npz",
        "sim/_bundled/data/examples/gmns/link.csv",
        "sim/_bundled/scenarios/README.md",
    }
    assert wanted <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"sim", "contracts_model", "dashboard", "routepact"}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or "__pycache__" in name]


def test_the_installed_wheel_runs_a_bundled_scenario(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel), folder=elsewhere)
    # -P keeps the working folder off the path; PYTHONPATH holds the installed wheel alone.
    code = (
        "import pathlib, sys, sim, sim.bundled; "
        f"assert pathlib.Path(sim.__file__).is_relative_to({str(target)!r}), sim.__file__; "
        f"assert all(path.is_relative_to({str(target)!r}) for path in sim.bundled.bundled_scenarios().values()); "
        f"assert all(path.is_relative_to({str(target)!r}) for path in sim.bundled.bundled_cities().values()); "
        "from sim.cli import main; sys.argv[0] = 'routepact'; main()"
    )
    run = ("-P", "-c", code)
    environment = {"PYTHONPATH": str(target)}
    words = ("run", "braess", "--json", "--quiet", "--set", "demand.vehicles_per_traveller=0.1")
    poa = json.loads(python(*run, *words, folder=elsewhere, **environment))
    assert abs(poa["price_of_anarchy"] - 552 / 498) < 1e-5
    assert [path.name for path in (elsewhere / "runs").iterdir()] == ["braess"]
    assert "pigou is sound." in python(*run, "validate", "pigou", folder=elsewhere, **environment)
