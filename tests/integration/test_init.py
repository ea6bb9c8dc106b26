"""New scenarios: written whole, sound, and ready to run on real extracts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from command_line import call, entries

from sim.errors import DownloadError
from sim.experiments import new_scenario as module
from sim.network import osm
from sim.spec import load_scenario

RESULTS = ("poa.json", "convergence.parquet", "link_performance.parquet", "trips.parquet")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_default_city_is_taken(folder: Path) -> None:
    outcome = call("init", "mine")
    assert outcome.status == 0
    assert entries(folder) == {"mine.toml"}
    assert "Wrote mine.toml" in outcome.out
    assert "Assumed: the streets are those of the default city, coquimbo" in outcome.out
    assert outcome.out.endswith("Next: routepact run mine.toml\n")
    spec = load_scenario(folder / "mine.toml")
    assert (spec.name, spec.network.source, spec.demand.source) == ("mine", "bundled", "gravity")
    assert call("validate", "mine.toml").status == 0


def test_names_in_use_are_refused(folder: Path) -> None:
    (folder / "a.network.npz").write_bytes(b"mine")
    (folder / "b.toml").write_text("mine")
    for name in ("a", "b"):
        outcome = call("init", name)
        assert outcome.status == 2
        assert "exists already" in outcome.err
    assert entries(folder) == {"a.network.npz", "b.toml"}


def test_a_place_without_a_connection_gives_status_4(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(place: str, **options: object) -> None:
        raise DownloadError(f"the streets of {place!r} could not be downloaded")

    monkeypatch.setattr(osm, "download_place", fail)
    outcome = call("init", "delft", "--place", "Delft, Netherlands")
    assert (outcome.status, outcome.out) == (4, "")
    assert outcome.err == "routepact: the streets of 'Delft, Netherlands' could not be downloaded\n"
    assert entries(folder) == set()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyError("a fault")], ids=["full disk", "a fault"])
def test_a_failure_while_writing_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """The scenario comes last; what was there before it is taken back."""
    before = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.suffix == ".toml":
            raise failure
        return before(self, target)

    network = module.load_city("coquimbo")
    monkeypatch.setattr(module, "_read", lambda *arguments: network)
    monkeypatch.setattr(Path, "rename", rename)
    if isinstance(failure, OSError):
        outcome = call("init", "mine", "--file", "any.osm")
        assert outcome.status == 2
        assert "No space left on device" in outcome.err
    else:
        with pytest.raises(KeyError):
            call("init", "mine", "--file", "any.osm")
    assert entries(folder) == set()


def run_of_extract(shared_data: Path, folder: Path, file: str, *settings: str) -> dict[str, object]:
    outcome = call("init", "extract", "--file", shared_data / "osm" / file, "--quiet")
    assert outcome.status == 0, outcome.err
    assert entries(folder) == {"extract.toml", "extract.network.npz"}
    table = tomllib.loads((folder / "extract.toml").read_text())
    assert table["demand"]["trips_per_h"] > 100
    changes = [word for setting in settings for word in ("--set", setting)]
    outcome = call("run", "extract.toml", *changes, "--out", "run", "--json", "--quiet")
    assert outcome.status == 0, outcome.err
    poa: dict[str, object] = json.loads(outcome.out)
    return poa


@pytest.mark.shared_data
def test_london_runs_to_the_same_bytes_on_one_and_two_threads(
    shared_data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTEPACT_THREADS", "1")
    poa = run_of_extract(shared_data, folder, "london.osm.pbf")
    assert poa["price_of_anarchy"] >= 1.0
    monkeypatch.setenv("ROUTEPACT_THREADS", "2")
    assert call("run", "extract.toml", "--out", "again", "--quiet").status == 0
    for name in RESULTS:
        assert (folder / "run" / name).read_bytes() == (folder / "again" / name).read_bytes(), name


@pytest.mark.shared_data
def test_baltimore_runs(shared_data: Path, folder: Path) -> None:
    poa = run_of_extract(shared_data, folder, "baltimore.osm.pbf", "demand.trips_per_h=3000", "demand.zones=20")
    assert poa["travellers"] == 3000


@pytest.mark.shared_data
@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", ["poa_osm.pbf", "porto_portugal.osm.pbf"])
def test_large_extracts_run(shared_data: Path, folder: Path, file: str) -> None:
    poa = run_of_extract(shared_data, folder, file)
    assert poa["price_of_anarchy"] >= 1.0
