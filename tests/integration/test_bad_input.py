"""Bad input gets one clear line on standard error and exit status 2; nothing is written and no traceback is shown."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_line import NET, SCENARIO, TRIPS, Outcome, call, entries, spawn, write_small_city
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ASSIGN = ("assign", "--network", "small_net.tntp", "--trips", "small_trips.tntp")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a sound scenario."""
    monkeypatch.chdir(tmp_path)
    write_small_city(tmp_path)
    return tmp_path


def assert_refused(outcome: Outcome, *fragments: str) -> None:
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("routepact: ")
    for fragment in fragments:
        assert fragment in lines[0], (fragment, lines[0])


def test_the_small_city_itself_is_sound(folder: Path) -> None:
    assert call("validate", "small.toml").status == 0
    assert call(*ASSIGN, "--quiet").status == 0


LINK = "1 3 10 1 1 0.15 4 0 0 1 ;"


@pytest.mark.parametrize(
    ("name", "old", "new", "fragments"),
    [
        pytest.param("net", LINK, "1 3 -10 1 1 0.15 4 0 0 1 ;", ("line 7", "capacity", "-10", "above 0"), id="negative capacity"),
        pytest.param("net", LINK, "1 3 nan 1 1 0.15 4 0 0 1 ;", ("line 7", "capacity", "nan"), id="capacity not a number"),
        pytest.param("net", LINK, "1 3 0 1 1 0.15 4 0 0 1 ;", ("line 7", "capacity", "0", "above 0"), id="capacity zero"),
        pytest.param("net", LINK, "1 3 inf 1 1 0.15 4 0 0 1 ;", ("line 7", "capacity", "inf"), id="capacity infinite"),
        pytest.param(
            "net", LINK, "1 3 ten 1 1 0.15 4 0 0 1 ;", ("line 7", "capacity", "'ten'", "a number"), id="capacity a text"
        ),
        pytest.param("net", LINK, "1 3 10 1 -1 0.15 4 0 0 1 ;", ("line 7", "free-flow time", "-1"), id="negative time"),
        pytest.param("net", LINK, "1 9 10 1 1 0.15 4 0 0 1 ;", ("line 7", "head", "9", "1 to 4"), id="node that does not exist"),
        pytest.param("net", LINK, "1 3 10 1 1 ;", ("line 7", "5 values", "10 values"), id="broken line"),
        pytest.param("net", NET[NET.index("2 1 10") :], "2 1 10 1 1 0.", ("line 12", "cut"), id="cut line"),
        pytest.param("net", LINK + "\n", "", ("line 4", "states 6 links", "has 5"), id="missing line"),
        pytest.param("net", "<NUMBER OF NODES> 4\n", "", ("NUMBER OF NODES", "missing"), id="missing header"),
        pytest.param("net", "<NUMBER OF NODES> 4", "<NUMBER OF NODES> four", ("line 2", "'four'"), id="text in the header"),
        pytest.param("net", NET, "", ("empty",), id="empty network file"),
        pytest.param("net", NET[NET.index("~") :], "", ("states 6 links",), id="network without links"),
        pytest.param("trips", "2 : 20;", "2 : -20;", ("line 5", "'-20'", "0 or above"), id="negative demand"),
        pytest.param("trips", "2 : 20;", "2 : many;", ("line 5", "'many'"), id="demand a text"),
        pytest.param("trips", "2 : 20;", "2 : nan;", ("line 5", "'nan'"), id="demand not a number"),
        pytest.param("trips", "2 : 20;", "7 : 20;", ("line 5", "'7'", "1 to 2"), id="zone that does not exist"),
        pytest.param("trips", "Origin 1", "Origin 0", ("line 4", "'0'", "1 to 2"), id="origin that does not exist"),
        pytest.param("trips", "ZONES> 2", "ZONES> 3", ("3 zones", "2"), id="more zones than the network has"),
        pytest.param("trips", TRIPS, "", ("empty",), id="empty trip file"),
        pytest.param("trips", TRIPS[TRIPS.index("Origin 1") :], "", ("empty", "Origin i"), id="empty trip table"),
        pytest.param("trips", "2 : 20;\nOrigin 2\n1 : 5;", "2 : 0;", ("line 5", "cut"), id="cut trip table"),
        pytest.param("trips", "25\n", "0\n", ("",), id="only zero trips"),
        pytest.param("net", "2 1 10", "3 1 10", ("no path from zone 2 to zone 1",), id="unconnected zones"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_broken_tntp_files(
    folder: Path, name: str, old: str, new: str, fragments: tuple[str, ...], packed: bool, request: pytest.FixtureRequest
) -> None:
    path = folder / f"small_{name}.tntp"
    text = path.read_text().replace(old, new)
    if "only zero trips" in request.node.callspec.id:
        text = text.replace("20;", "0;").replace(" 5;", " 0;")
        fragments = ("no trips between different zones",)
    assert text != path.read_text()
    arguments = list(ASSIGN)
    if packed:
        path.unlink()
        path = folder / f"{path.name}.gz"
        path.write_bytes(gzip.compress(text.encode()))
        arguments = [argument.replace(f"small_{name}.tntp", path.name) for argument in ASSIGN]
    else:
        path.write_text(text)
    where = "" if "unconnected" in request.node.callspec.id else path.name
    before = entries(folder)
    assert_refused(call(*arguments, "--out", "run"), where, *fragments)
    assert entries(folder) == before


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("run", "nowhere"), ("'nowhere'", "braess", "city")),
        (("run", "nowhere.toml"), ("nowhere.toml", "no such file")),
        (("validate", "small"), ("'small'", "'small.toml'")),
        (("run", "."), ("no scenario '.'",)),
        (("run", "folder.toml"), ("folder.toml", "directory")),
        (("run", "x" * 400), ("no scenario",)),
        (("run", "small.toml", "--out", "folder.toml"), ("folder.toml", "exists already", "--overwrite")),
        (("run", "small.toml", "--out", "small_net.tntp", "--overwrite"), ("small_net.tntp", "is a file")),
        (("run", "small.toml", "--out", "folder.toml/inner", "--overwrite", "--set", "traffic.gap=0"), ("traffic.gap: 0",)),
        (("run", "small.toml", "--out", "keep", "--overwrite"), ("keep", "manifest.json")),
        (("run", "small.toml", "--out", "small_net.tntp/inner"), ("small_net.tntp/inner", "written")),
        (("run", "small.toml", "--out", "x" * 400), ("cannot make the folder", "too long")),
        (("run", "small.toml", "--seed", "-1"), ("--seed", "-1", "from 0")),
        (("run", "small.toml", "--seed", "9" * 30), ("--seed", "999", "below 9,223,372,036,854,775,808")),
        (("run", "small.toml", "--set", "traffic.gap"), ("--set", "'traffic.gap'", "key=value")),
        (("run", "small.toml", "--set", "=3"), ("--set", "'=3'", "key=value")),
        (("run", "small.toml", "--set", "traffic.gap=nan"), ("--set traffic.gap=nan", "traffic.gap: nan", "above 0 and below 1")),
        (("run", "small.toml", "--set", "demand.scale=inf"), ("--set demand.scale=inf", "demand.scale: inf", "above 0")),
        (("run", "small.toml", "--set", "traffic.gap=tiny"), ("traffic.gap: 'tiny'", "a number above 0")),
        (("run", "small.toml", "--set", "traffic.days=1.5"), ("traffic.days: 1.5", "a whole number from 1 to 10,000")),
        (("run", "small.toml", "--set", "traffic.gpa=1e-4"), ("traffic.gpa: unknown key", "max_iterations", "atomic_gap")),
        (("run", "small.toml", "--set", "demand.profile.shap=peak"), ("demand.profile.shap: unknown key", "shape, period_s")),
        (("run", "small.toml", "--set", "network.nets=a"), ("network.nets: unknown key", "time_unit_s")),
        (("run", "small.toml", "--set", "trafic.gap=1e-4"), ("trafic: unknown key", "name, description, seed, network")),
        (("run", "small.toml", "--set", "name.first=x"), ("--set name.first=x", "name is 'small' and no section")),
        (("run", "small.toml", "--set", "traffic=fast"), ("traffic: 'fast'", "a section")),
        (("run", "small.toml", "--set", "network.source=shp"), ("network.source: 'shp'", '"osm"', '"tntp"')),
        (("run", "small.toml", "--set", "network.source=bundled"), ("network.city: missing",)),
        (("run", "small.toml", "--set", "demand.source=gravity"), ("demand.trips_per_h: missing", "a number above 0")),
        (("run", "small.toml", "--set", "worlds.run=[]"), ("--set worlds.run=[]", "worlds.run: []", "selfish", "optimum")),
        (("run", "small.toml", "--set", 'worlds.run=["heaven"]'), ("worlds.run", "'heaven'", "selfish", "optimum")),
        (("run", "small.toml", "--set", 'worlds.run=["selfish", "selfish"]'), ("worlds.run", "each once")),
        (("run", "small.toml", "--set", "worlds.run=selfish"), ("worlds.run: 'selfish'", "a list")),
        (("run", "small.toml", "--set", "worlds.run=[1]"), ("worlds.run[1]: 1", "a text")),
        (("run", "small.toml", "--set", "name=a/b"), ("name: 'a/b'", "letters, digits")),
        (("run", "small.toml", "--set", "network.net=other.tntp"), ("other.tntp", "no such file")),
        (("run", "small.toml", "--set", "network.net=folder.toml"), ("folder.toml", "directory")),
        (("run", "small.toml", "--set", 'network.net="a\\u0000b"'), ("network.net", "the name of a file")),
        (("run", "small.toml", "--set", f"network.net={'x' * 400}"), ("too long",)),
        (("run", "small.toml", "--set", "demand.vehicles_per_traveller=1e-9"), ("demand.vehicles_per_traveller", "50,000,000")),
        (("run", "city", "--set", "network.city=rome"), ("network.city", "'rome'", "coquimbo")),
        (("run", "braess", "--set", "network.kind=maze"), ("network.kind: 'maze'", '"braess"', '"grid"')),
        (("run", "grid", "--set", "network.rows=1"), ("network.rows: 1", "from 2 to 1,000")),
        (("run", "city", "--set", "demand.zones=9999"), ("demand.zones: 9999", "from 2 to 5,000")),
        ((*ASSIGN, "--gap", "nan"), ("--gap: nan", "above 0 and below 1")),
        ((*ASSIGN, "--gap", "0"), ("--gap: 0.0", "above 0 and below 1")),
        ((*ASSIGN, "--demand-scale", "inf"), ("--demand-scale: inf", "above 0")),
        ((*ASSIGN, "--demand-scale", "-1"), ("--demand-scale: -1.0", "above 0")),
        ((*ASSIGN, "--demand-scale", "1e300"), ("small", "demand")),
        ((*ASSIGN, "--toll-weight", "-inf"), ("--toll-weight: -inf", "from 0")),
        ((*ASSIGN, "--distance-weight", "nan"), ("--distance-weight: nan", "from 0")),
        ((*ASSIGN, "--max-iterations", "0"), ("--max-iterations: 0", "from 1")),
        ((*ASSIGN, "--principle", "chaos"), ("--principle: 'chaos'", "ue, so, both")),
        (("assign", "--network", "no.tntp", "--trips", "small_trips.tntp"), ("no.tntp", "no such file")),
        (("assign", "--network", "folder.toml", "--trips", "small_trips.tntp"), ("folder.toml", "directory")),
        (("assign", "--network", "small_trips.tntp", "--trips", "small_trips.tntp"), ("small_trips.tntp", "NUMBER OF NODES")),
        (("report", "nothing"), ("nothing", "no such run folder")),
        (("report", "folder.toml"), ("folder.toml", "manifest.json")),
        (("report", "small.toml"), ("small.toml", "is a file")),
        (("verify", "--data", "nothing"), ("nothing", "no such folder")),
        (("verify", "--data", "folder.toml"), ("folder.toml", "SiouxFalls_net")),
        (("init", "new", "--file", "nothing.osm"), ("nothing.osm", "no such file")),
        (("init", "new", "--file", "small.toml"), ("small.toml", "'.toml'", ".osm.pbf")),
        (("init", "new", "--file", "a.osm", "--place", "Delft"), ("--file", "--place", "one of the two")),
        (("init", "small"), ("small.toml", "exists already")),
        (("init", "a/b"), ("'a/b'", "letters, digits")),
    ],
    ids=lambda value: " ".join(value)[:60] if value and value[0] in {"run", "assign", "init", "report", "verify"} else None,
)
def test_bad_words(folder: Path, arguments: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    (folder / "folder.toml").mkdir()
    (folder / "keep").mkdir()
    (folder / "keep" / "mine.txt").write_text("mine")
    before = entries(folder)
    assert_refused(call(*arguments), *fragments)
    assert entries(folder) == before


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("nowhere",), ("'nowhere'", "braess")),
        (("grid", "--with", "nowhere"), ("grid", "run folder")),
        (("--with", "nowhere"), ("--with",)),
    ],
)
def test_bad_words_of_the_dashboard(folder: Path, arguments: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    # The page is a process of its own, whose words no redirection in this one catches.
    assert_refused(spawn("dashboard", *arguments, "--no-open", folder=folder), *fragments)


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b'name = "x"\n', ("network, demand: missing",)),
        (b"", ("name, network, demand: missing",)),
        (b"name = \n", ("is not TOML", "line 1")),
        (b'name = "x"\nname = "y"\n', ("is not TOML", "line 2")),
        (b"\xff\xfe\x00", ("no text in UTF-8", "byte 1")),
        (b'name = "M\xfcnchen"\n', ("no text in UTF-8", "byte 10")),
        (b"a = " + b"[" * 5000, ("is not TOML",)),
        (b"seed = " + b"9" * 5000, ("is not TOML",)),
        (SCENARIO.replace("seed = 1", 'seed = "one"').encode(), ("seed: 'one'", "a whole number from 0")),
        (SCENARIO.replace("seed = 1", "seed = true").encode(), ("seed: true", "a whole number")),
        (SCENARIO.replace("seed = 1", "seed = " + "9" * 4000).encode(), ("seed: 999", "below 9,223")),
        (SCENARIO.replace("time_unit_s = 60", "time_unit_s = " + "9" * 4000).encode(), ("network.time_unit_s", "above 0")),
        (SCENARIO.replace('"tntp"', '"tntp"\nspeed = 3', 1).encode(), ("network.speed: unknown key", "toll_weight")),
        (SCENARIO.replace('source = "tntp"\n', "", 1).encode(), ("network.source: missing", '"osm"')),
        (SCENARIO.replace("[network]", "[[network]]").encode(), ("network",)),
        (SCENARIO.replace("seed = 1", "seed = 2026-01-01").encode(), ("seed",)),
    ],
    ids=range(16),
)
def test_bad_scenario_files(folder: Path, content: bytes, fragments: tuple[str, ...]) -> None:
    (folder / "bad.toml").write_bytes(content)
    before = entries(folder)
    assert_refused(call("run", "bad.toml"), "bad.toml", *fragments)
    assert entries(folder) == before


SCENARIO_OF_ENDING = {
    **dict.fromkeys(
        (".osm", ".osm.gz", ".osm.pbf", ".graphml", ".graphml.gz", ".npz"), '[network]\nsource = "osm"\nfile = "junk{}"\n'
    ),
    **dict.fromkeys((".tntp", ".tntp.gz"), '[network]\nsource = "tntp"\nnet = "junk{}"\n'),
}
OD_SCENARIO = 'name = "j"\n[network]\nsource = "synthetic"\nkind = "grid"\n[demand]\nsource = "od"\nfile = "junk.csv"\n'


def junk(number: int, ending: str) -> bytes:
    """Return random bytes: plain, behind the first bytes that the format begins with, or none at all."""
    draw = np.random.default_rng(number)
    noise = draw.integers(0, 256, 2000, dtype=np.uint8).tobytes()
    if number == 0:
        return noise
    if number == 1:
        return b"" if not ending.endswith(".gz") else gzip.compress(b"")
    if ending.endswith(".gz"):
        return gzip.compress(noise) if number == 2 else gzip.compress(noise)[:500]
    start = {
        ".osm": b'<?xml version="1.0"?><osm version="0.6"><node id="1" lat="1" lon="1"/>',
        ".osm.pbf": b"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18\x7c",
        ".graphml": b'<?xml version="1.0"?><graphml><graph edgedefault="directed">',
        ".npz": b"PK\x03\x04",
        ".tntp": NET.encode()[:120],
        ".toml": SCENARIO.encode()[:60],
        ".csv": b"origin,destination,demand_vph\n",
    }[ending]
    return start + noise


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("ending", [*SCENARIO_OF_ENDING, ".csv", ".toml"])
def test_random_bytes_in_every_format(folder: Path, ending: str, number: int) -> None:
    (folder / f"junk{ending}").write_bytes(junk(number, ending))
    scenario = "junk.toml" if ending == ".toml" else "scenario.toml"
    if ending == ".csv":
        (folder / scenario).write_text(OD_SCENARIO)
    elif ending != ".toml":
        head, tail = 'name = "j"\n', '[demand]\nsource = "gravity"\ntrips_per_h = 100\n'
        (folder / scenario).write_text(head + SCENARIO_OF_ENDING[ending].format(ending) + tail)
    before = entries(folder)
    assert_refused(call("run", scenario), f"junk{ending}")
    assert entries(folder) == before


def test_a_coordinate_that_is_none(folder: Path) -> None:
    (folder / "junk.osm").write_text('<?xml version="1.0"?><osm version="0.6"><node id="1" lat="x" lon="1"/></osm>')
    assert_refused(call("init", "new", "--file", "junk.osm"), "junk.osm")


def test_random_bytes_as_trips(folder: Path) -> None:
    for number, name in ((0, "junk.tntp"), (2, "junk.tntp.gz"), (3, "junk.tntp.gz")):
        (folder / name).write_bytes(junk(number, name[4:]))
        assert_refused(call("assign", "--network", "small_net.tntp", "--trips", name), name)


def test_random_bytes_as_streets_of_a_new_scenario(folder: Path) -> None:
    for ending in (".osm", ".osm.pbf", ".graphml", ".npz"):
        (folder / f"junk{ending}").write_bytes(junk(0, ending))
    before = entries(folder)
    for ending in (".osm", ".osm.pbf", ".graphml", ".npz"):
        assert_refused(call("init", "new", "--file", f"junk{ending}"), f"junk{ending}")
    assert entries(folder) == before


def test_a_damaged_network_of_our_own(folder: Path) -> None:
    (folder / "bad.npz").write_bytes(b"")
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        archive.writestr("about.npy", b"\x93NUMPY not quite")
    assert_refused(call("init", "new", "--file", "bad.npz"), "bad.npz")


@pytest.mark.parametrize(
    ("row", "fragments"),
    [
        ("1,2", ("line 2", "2 fields", "3 fields")),
        ("1,77,5", ("line 2", "'77'", "no such zone")),
        ("1,10,-5", ("line 2", "'-5'", "0 or above")),
        ("1,10,nan", ("line 2", "'nan'", "0 or above")),
        ("1,10,few", ("line 2", "'few'", "0 or above")),
        ("1,1,5", ("no trips between different zones",)),
        ('1,"10,5', ("line",)),
    ],
)
def test_bad_rows_of_a_matrix(folder: Path, row: str, fragments: tuple[str, ...]) -> None:
    (folder / "junk.csv").write_text(f"origin,destination,demand_vph\n{row}\n")
    (folder / "od.toml").write_text(OD_SCENARIO)
    assert_refused(call("run", "od.toml"), "junk.csv", *fragments)


def test_columns_of_a_matrix(folder: Path) -> None:
    (folder / "junk.csv").write_text("from,to,vph\n1,10,5\n")
    (folder / "od.toml").write_text(OD_SCENARIO)
    assert_refused(call("run", "od.toml"), "junk.csv", "line 1", "origin", "demand_vph")


def test_a_class_of_street_that_does_not_exist(folder: Path) -> None:
    (folder / "streets.osm").write_text("<osm/>")
    text = 'name = "j"\n[network]\nsource = "osm"\nfile = "streets.osm"\n[demand]\nsource = "gravity"\ntrips_per_h = 100\n'
    (folder / "osm.toml").write_text(text)
    outcome = call("run", "osm.toml", "--set", "network.default_speed_kph.boulevard=30")
    assert_refused(outcome, "network.default_speed_kph", "'boulevard'", "residential")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everything")
def test_files_and_folders_that_may_not_be_touched(folder: Path) -> None:
    (folder / "small_net.tntp").chmod(0)
    assert_refused(call("run", "small.toml"), "small_net.tntp", "Permission denied")
    (folder / "small_net.tntp").chmod(0o600)
    (folder / "closed").mkdir(mode=0o500)
    assert_refused(call("run", "small.toml", "--out", "closed/run"), "closed/run", "Permission denied")


def test_a_place_where_nothing_can_be_made(folder: Path) -> None:
    assert_refused(call("run", "small.toml", "--out", "/proc/routepact/run"), "/proc/routepact/run", "may be written to")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "braess", "--seed", "one"),
        ("fly",),
        ("run", "braess", "--fast"),
        (*ASSIGN, "--gap", "small"),
        ("assign",),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_bad_usage(folder: Path, arguments: tuple[str, ...]) -> None:
    outcome = call(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("Usage: routepact")
    assert "Traceback" not in outcome.err


def test_thread_counts_that_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEPACT_THREADS", "many")
    assert_refused(call(*ASSIGN), "ROUTEPACT_THREADS", "'many'", "a whole number from 1")


def test_refusals_in_a_process_of_their_own(folder: Path) -> None:
    """What the other tests see in this process holds for the command itself."""
    for arguments, fragments in (
        (("run", "nowhere.toml"), ("nowhere.toml",)),
        ((*ASSIGN, "--gap", "nan"), ("--gap",)),
        (("run", "small.toml", "--set", "traffic.gap=-1", "--json"), ("traffic.gap",)),
    ):
        assert_refused(spawn(*arguments, folder=folder), *fragments)


SPECIAL = [
    "nan",
    "-1",
    "0",
    "1e999",
    "inf",
    ";",
    ":",
    "~",
    "<",
    ">",
    "Origin",
    "1.5",
    "",
    "9" * 30,
    "\x00",
    "ü",
    "1_0",
    "\n",
    "\t",
    "1e-320",
]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Return a file with up to three of its words exchanged, or lines dropped, doubled or cut."""
    words = text.replace("\n", " \n ").split(" ")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(words) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            words[place] = draw(st.sampled_from(SPECIAL))
        elif kind == 1:
            words[place] = draw(st.text(max_size=4))
        elif kind == 2:
            words = words[:place] + words[place + 1 :] or [""]
        else:
            words = words[: max(1, place)]
    return " ".join(words)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=st.one_of(st.just(NET), damaged(NET)), trips=st.one_of(st.just(TRIPS), damaged(TRIPS)))
def test_damaged_files_never_end_in_a_traceback(folder: Path, net: str, trips: str) -> None:
    (folder / "small_net.tntp").write_text(net, encoding="utf-8")
    (folder / "small_trips.tntp").write_text(trips, encoding="utf-8")
    outcome = call(*ASSIGN, "--quiet", "--max-iterations", "50")
    assert outcome.status in (0, 2, 3)
    if outcome.status == 2:
        assert_refused(outcome)
