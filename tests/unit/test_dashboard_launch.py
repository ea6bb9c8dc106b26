"""The launcher: ports, addresses, and bad usage in one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dashboard.launch import address_of, bind, main, what_to_show
from dashboard.wishes import RUNS_VARIABLE, SCENARIO_VARIABLE
from sim.errors import InputError


def test_a_free_port_is_found_and_answers_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_taken_port_a_port_out_of_range_and_a_strange_host_are_bad_usage() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(InputError, match="cannot listen"):
        bind("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(InputError, match="70000"):
        bind("127.0.0.1", 70000)
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0)


def test_everywhere_is_shown_as_this_machine() -> None:
    with bind("0.0.0.0", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")


def test_an_unknown_scenario_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-scenario", "--no-open"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "no-such-scenario" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "some/run"], "without a first run"),
        (["braess", "--with", "no/such/run"], "no such run folder"),
        (["braess", "--visitors", "0"], "--visitors"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--no-open"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err


def test_a_folder_with_a_manifest_is_a_run_and_anything_else_a_scenario(tmp_path: Path) -> None:
    assert what_to_show(None, None) == {}
    assert what_to_show("braess", None) == {SCENARIO_VARIABLE: "braess"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text('{"kind": "routepact run", "format": 1, "files": {}}')
    one, other = str(tmp_path / "a"), str(tmp_path / "b")
    assert what_to_show(one, None) == {RUNS_VARIABLE: one}
    assert what_to_show(one, other) == {RUNS_VARIABLE: f"{one}\n{other}"}
