"""The public interface: what `import sim` offers, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import spawn_environment, write_small_city

import sim


def test_every_public_name_is_there_and_documented() -> None:
    for name in sim.__all__:
        assert getattr(sim, name).__doc__, name
    assert set(sim.__all__) <= set(dir(sim))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sim.nothing  # type: ignore[attr-defined]


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    program = "import sys, sim; print(sorted({'numpy', 'numba', 'pandas', 'mesa'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=spawn_environment(), capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_a_scenario_runs_by_name_by_file_and_by_its_keys(tmp_path: Path) -> None:
    by_name = sim.run("pigou", network__pigou_power=4.0)
    keys = {
        "name": "pigou",
        "network": {"source": "synthetic", "kind": "pigou"},
        "demand": {"source": "synthetic", "vehicles_per_traveller": 0.001},
    }
    by_keys = sim.run(keys, network__pigou_power=4.0)
    assert by_name.price is not None and by_keys.price is not None
    assert by_name.price.ratio == by_keys.price.ratio == pytest.approx(2.150502, rel=1e-6)
    assert keys["network"] == {"source": "synthetic", "kind": "pigou"}
    out = tmp_path / "run"
    by_file = sim.run(write_small_city(tmp_path), out=out, seed=4)
    assert sim.open_run(out).poa == by_file.poa()
    assert by_file.built.spec.seed == 4


def test_networks_and_matrices_are_read_by_their_files(tmp_path: Path) -> None:
    write_small_city(tmp_path)
    network = sim.read_network(tmp_path / "small_net.tntp", time_unit_s=60.0, length_unit_m=1000.0)
    demand = sim.read_demand(tmp_path / "small_trips.tntp", network)
    assert (network.n_links, demand.total_vph) == (6, 25.0)
    (tmp_path / "od.csv").write_text("origin,destination,demand_vph\n1,2,20\n2,1,5\n")
    assert sim.read_demand(tmp_path / "od.csv", network).demand_vph.tolist() == demand.demand_vph.tolist()
    selfish, optimum = (sim.assign(network, demand, principle, gap=1e-9) for principle in ("ue", "so"))
    assert optimum.total_cost_s <= selfish.total_cost_s
    assert selfish.flow_vph.shape == (6,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sim.load_scenario("nowhere"), "no scenario 'nowhere'"),
        (lambda: sim.load_scenario("pigou", traffic__gap=0), "traffic.gap: 0"),
        (lambda: sim.load_scenario("pigou", traffic__gap=object()), "traffic.gap"),
        (lambda: sim.run(sim.load_scenario("pigou"), traffic__gap=0.1), "settings"),
        (lambda: sim.load_scenario({"name": "x"}), "network, demand: missing"),
        (lambda: sim.load_scenario({"name": "x"}, name__y=1), "name is 'x' and no section"),
        (lambda: sim.read_network("nowhere.tntp"), "nowhere.tntp"),
        (lambda: sim.open_run("nowhere"), "no such run folder"),
    ],
)
def test_bad_use_is_told_in_words(call: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sim.InputError) as error:
        call()  # type: ignore[operator]
    assert words in str(error.value)


def test_assigning_refuses_other_principles(tmp_path: Path) -> None:
    write_small_city(tmp_path)
    network = sim.read_network(tmp_path / "small_net.tntp", time_unit_s=60.0, length_unit_m=1000.0)
    demand = sim.read_demand(tmp_path / "small_trips.tntp", network)
    with pytest.raises(sim.InputError, match="ue, so"):
        sim.assign(network, demand, "both")
    with pytest.raises(sim.InputError, match="gap"):
        sim.assign(network, demand, gap=0.0)
