"""The command line: parsing and printing only.

Exit status: 0 done, 1 failed, 2 bad usage or input, 3 finished but a gap or a promise was missed, 4 download, 130 interrupted
(and as the shell has it for other signals: `sim.process`).

What a command needs is imported inside it: numba, SciPy, Mesa and matplotlib take seconds, which nobody waits for to read --help.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import sim
from sim import console
from sim.process import Interrupted, exit_status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.experiments.verify import Check

MISSED_STATUS = 3
_SECONDS_TO_LEAVE = 5.0

app = typer.Typer(
    name="routepact",
    help="City traffic in which travellers pay each other for better routes: selfish and coordinated worlds on the same streets, "
    "and the Price of Anarchy between them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

_Scenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file (.toml), or the name of a bundled scenario.")]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the scenario, e.g. traffic.gap=1e-4; may be repeated."),
]
_Seed = Annotated[int | None, typer.Option(help="Seed, instead of the scenario's.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
_Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
_Out = Annotated[Path | None, typer.Option("--out", help="The run folder itself (default: runs/SCENARIO/TIME-HASH).")]
_AssignOut = Annotated[Path | None, typer.Option("--out", help="Write a run folder with flows and report, here.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run folder if there is one.")]
_Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        console.line(f"routepact {sim.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options that every command shares."""


def _tell_and_leave(warnings: Sequence[str], missed: Sequence[str]) -> None:
    for text in (*warnings, *missed):
        console.warn(text)
    if missed:
        raise typer.Exit(MISSED_STATUS)


@app.command("run")
def run_command(
    scenario: _Scenario,
    seed: _Seed = None,
    out: _Out = None,
    overwrite: _Overwrite = False,
    settings: _Settings = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Run a scenario: solve its worlds, let the travellers live their days, write the results and a report."""
    with console.progress(quiet=quiet) as say:
        say("starting")
        from sim.experiments.scenarios import find_scenario

        spec, folder = find_scenario(scenario, settings or (), seed)
        from sim.experiments.run import record, require_run_place, run
        from sim.printout import print_run

        require_run_place(spec, out, overwrite=overwrite)  # before the work, not after it
        result = run(spec, folder, say=say)
        path = record(result, out, overwrite=overwrite, say=say)
    network = result.built.network
    if as_json:
        console.print_json(result.poa())
    else:
        print_run(
            result.poa(),
            n_links=network.n_links,
            has_fixed_cost=bool((network.fixed_cost_s > 0).any()),
            notes=result.built.notes,
            report=path / "report.html",
        )
    _tell_and_leave(result.built.warnings, result.missed)


@app.command("assign")
def assign_command(
    network: Annotated[Path, typer.Option("--network", metavar="NET", help="Network file (TNTP, plain or .gz).")],
    trips: Annotated[Path, typer.Option("--trips", metavar="TRIPS", help="Trip table (TNTP, plain or .gz).")],
    principle: Annotated[str, typer.Option(help="ue (user equilibrium), so (system optimum) or both.")] = "both",
    gap: Annotated[float, typer.Option(help="Relative gap to reach, above 0 and below 1.")] = 1e-6,
    demand_scale: Annotated[float, typer.Option(help="Multiply every cell of the trip table.")] = 1.0,
    toll_weight: Annotated[float, typer.Option(help="Time units that one unit of toll is worth.")] = 0.0,
    distance_weight: Annotated[float, typer.Option(help="Time units that one unit of length is worth.")] = 0.0,
    max_iterations: Annotated[int, typer.Option(help="Most iterations of the solver.")] = 500,
    as_json: _Json = False,
    out: _AssignOut = None,
    overwrite: _Overwrite = False,
    quiet: _Quiet = False,
) -> None:
    """Assign a trip table to a network, in the units of the files: user equilibrium, system optimum, or both."""
    with console.progress(quiet=quiet) as say:
        say("starting")
        from sim.experiments.assign import AssignRequest, assign, record_assignment
        from sim.experiments.run_place import require_room
        from sim.printout import print_assignment

        request = AssignRequest(network, trips, principle, gap, demand_scale, toll_weight, distance_weight, max_iterations)
        if out is not None:
            require_room(out, overwrite=overwrite)
        result = assign(request, say=say)
        path = None if out is None else record_assignment(result, out, overwrite=overwrite, say=say)
    if as_json:
        console.print_json(result.content())
    else:
        print_assignment(result.content(), None if path is None else path / "report.html")
    _tell_and_leave(result.warnings, result.missed)


@app.command()
def validate(scenario: _Scenario, settings: _Settings = None, as_json: _Json = False, quiet: _Quiet = False) -> None:
    """Read a scenario with all its files, check it, and say what is in it; nothing runs."""
    with console.progress(quiet=quiet) as say:
        say("reading the scenario")
        from sim.experiments.scenarios import find_scenario

        spec, folder = find_scenario(scenario, settings or ())
        from sim.experiments.build import build_scenario, validation_content
        from sim.printout import print_validation

        built = build_scenario(spec, folder)
        content = validation_content(built)
    if as_json:
        console.print_json(content)
    else:
        print_validation(content)
    _tell_and_leave(built.warnings, ())


@app.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the scenario; NAME.toml is written here.")],
    place: Annotated[str | None, typer.Option(help='Download the streets of a place, e.g. "Delft, Netherlands".')] = None,
    file: Annotated[
        Path | None, typer.Option(help="Take the streets from a file (.osm, .osm.gz, .osm.pbf, .graphml, .npz).")
    ] = None,
    quiet: _Quiet = False,
) -> None:
    """Write a scenario that runs: streets from a file or a place, demand by a gravity model that you can correct."""
    with console.progress(quiet=quiet) as say:
        say("reading the streets")
        from sim.experiments.new_scenario import new_scenario

        new = new_scenario(name, Path(), file=file, place=place)
    for path in (new.scenario, new.network):
        if path is not None:
            console.line(f"Wrote {path}")
    for assumption in new.assumptions:
        console.line(f"Assumed: {assumption}")
    console.line(f"Next: routepact run {new.scenario}")
    _tell_and_leave(new.warnings, ())


@app.command()
def report(run_folder: _Run) -> None:
    """Check a run folder against its checksums and its ledger's own chain, and write its report anew."""
    from sim.experiments.record import verify_run
    from sim.experiments.report import ledger_check, write_report
    from sim.experiments.report_contracts import ledger_sentence

    changed = [check for check in verify_run(run_folder) if check.state != "ok"]
    ledger = ledger_check(run_folder)
    path = write_report(run_folder, ledger)
    console.line(f"Report: {path}")
    if ledger is not None:
        console.line(ledger_sentence(ledger))
    damage = [f"ledger: {problem}" for problem in (ledger.problems if ledger is not None else ())]
    _tell_and_leave((), [f"{run_folder / check.name}: {check.state} since the run was written" for check in changed] + damage)


@app.command()
def verify(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder with TNTP benchmark networks, searched in depth.")
    ] = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Compare with known answers: closed forms, and with --data the published benchmark networks."""
    with console.progress(quiet=quiet) as say:
        say("solving the textbook networks")
        from sim.experiments.verify import benchmarks, closed_forms, verification_content
        from sim.printout import print_checks

        found_benchmarks = () if data is None else benchmarks(data, say)
        checks: list[Check] = [*closed_forms(), *found_benchmarks]
    if as_json:
        console.print_json(verification_content(checks))
    else:
        print_checks(checks)
    _tell_and_leave((), [f"{check.case}: {check.figure} differs from its reference" for check in checks if not check.passed])


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files."""
    from sim.spec import scenario_schema

    console.print_json(scenario_schema())


@app.command()
def dashboard(
    scenario: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO]", help="A scenario file or the name of a bundled one.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; a free one is found when left out.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
) -> None:
    """Open the page in which the worlds converge day by day."""
    # -P: a folder named "dashboard" where the user happens to be is not our page.
    arguments = [sys.executable, "-P", "-m", "dashboard", "--host", host]
    if scenario is not None:
        from sim.experiments.scenarios import find_scenario

        find_scenario(scenario)  # a wrong name is told here, not in a browser
        arguments.append(scenario)
    if port is not None:
        arguments += ["--port", str(port)]
    if no_open:
        arguments.append("--no-open")
    with subprocess.Popen(arguments) as page:
        try:
            status = page.wait()
        except Interrupted:
            page.terminate()
            try:
                page.wait(_SECONDS_TO_LEAVE)
            except subprocess.TimeoutExpired:
                page.kill()
            raise
    raise typer.Exit(status)


def main() -> NoReturn:
    """Run the command line and leave with its exit status."""
    sys.exit(exit_status_of(lambda: app(prog_name="routepact")))
