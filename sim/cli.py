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
from sim.errors import InputError, RoutepactError
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
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep checkpoints in this new folder until the run is recorded.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the checkpoints in this folder: same scenario, same settings.")
    ] = None,
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
        work = None
        if checkpoint is not None or resume is not None:
            from sim.experiments.checkpoint import checkpointed

            work = checkpointed(spec, folder, new=checkpoint, there=resume)
        result = run(spec, folder, say=say, work=work)
        path = record(result, out, overwrite=overwrite, say=say)
        if work is not None:
            work.remove()
    network = result.built.network
    if as_json:
        console.print_json(result.poa())
    else:
        print_run(
            result.poa(),
            n_links=network.n_links,
            has_fixed_cost=bool((network.fixed_cost_s > 0).any()),
            notes=result.notes,
            report=path / "report.html",
        )
    _tell_and_leave(result.built.warnings, result.missed)


@app.command("assign")
def assign_command(
    network: Annotated[Path, typer.Option("--network", metavar="NET", help="Network file (TNTP, plain or .gz).")],
    trips: Annotated[Path, typer.Option("--trips", metavar="TRIPS", help="Trip table (TNTP, plain or .gz).")],
    principle: Annotated[
        str, typer.Option(help="ue (user equilibrium), so (system optimum), both, or mixed (both, and a mixed equilibrium).")
    ] = "both",
    share: Annotated[
        float | None, typer.Option(help="With mixed: share of the demand that counts what it causes to one another, 0 to 1.")
    ] = None,
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
        from sim.experiments.assign import AssignRequest, assign, record_assignment, require_recordable
        from sim.experiments.run_place import require_room
        from sim.printout import print_assignment

        request = AssignRequest(network, trips, principle, gap, demand_scale, toll_weight, distance_weight, max_iterations, share)
        if out is not None:
            require_recordable(request)
            require_room(out, overwrite=overwrite)
        result = assign(request, say=say)
        path = None if out is None else record_assignment(result, out, overwrite=overwrite, say=say)
    if as_json:
        console.print_json(result.content())
    else:
        print_assignment(result.content(), None if path is None else path / "report.html")
    _tell_and_leave(result.warnings, result.missed)


@app.command()
def validate(
    scenario: _Scenario,
    settings: _Settings = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the quality of the network as a page (.html), here.")] = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Read a scenario with all its files, check it, and say what is in it and what is doubtful; nothing runs."""
    with console.progress(quiet=quiet) as say:
        say("reading the scenario")
        from sim.experiments.scenarios import find_scenario

        spec, folder = find_scenario(scenario, settings or ())
        from sim.experiments.build import build_scenario, validation_content
        from sim.printout import print_validation

        built = build_scenario(spec, folder)
        content = validation_content(built)
        if out is not None:
            from sim.experiments.quality_page import write_quality_page
            from sim.network.quality import quality_of

            say("writing the page")
            write_quality_page(built.network, quality_of(built.network), out, notes=built.notes)
    if as_json:
        console.print_json(content)
    else:
        print_validation(content)
    _tell_and_leave(built.warnings, ())


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="RUN | SCENARIO | SWEEP", help="A run's or sweep's folder, or a scenario.")],
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="File (gpkg, csv, parquet) or new folder (gmns, tntp).")],
    kind: Annotated[str | None, typer.Option("--format", help="gpkg, gmns or tntp (default: gpkg where PATH ends so).")] = None,
    settings: _Settings = None,
    quiet: _Quiet = False,
) -> None:
    """Write a run's links with their results, a scenario's network and demand, or a sweep's runs, in a format of other programs.

    A sweep's runs go to one file, a row a run, whose name ends in .csv or .parquet.
    """
    from sim.experiments.sweep_store import is_sweep

    if is_sweep(Path(source)):
        from sim.experiments.sweep_results import export_runs

        console.line(f"Wrote {to}: {export_runs(Path(source), to):,} runs")
        return
    with console.progress(quiet=quiet) as say:
        say("reading")
        from sim.errors import InputError
        from sim.experiments.export import FORMATS, export_run, export_scenario

        wanted = kind or ("gpkg" if to.suffix.lower() == ".gpkg" else "")
        if wanted not in FORMATS:
            raise InputError(f"{kind or to.name!r}", source="--format", allowed=", ".join(FORMATS))
        if Path(source).is_dir():
            from sim.experiments.record import read_run

            if wanted != "gpkg":
                raise InputError(f"{wanted!r}", source="--format", allowed="gpkg for a run; gmns and tntp need a scenario")
            notes = export_run(read_run(Path(source)), to)
        else:
            from sim.experiments.build import build_scenario
            from sim.experiments.scenarios import find_scenario

            spec, folder = find_scenario(source, settings or ())
            notes = export_scenario(build_scenario(spec, folder), to, wanted)
    console.line(f"Wrote {to}")
    _tell_and_leave(notes, ())


@app.command()
def braess(
    scenario: _Scenario,
    top: Annotated[int, typer.Option(help="Most links to name.")] = 10,
    examine: Annotated[int, typer.Option(help="Most streets to try, the most promising first.")] = 150,
    settings: _Settings = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Search for links whose closing lowers what selfish traffic spends in all (Braess's paradox), ranked and confirmed."""
    with console.progress(quiet=quiet) as say:
        say("reading the scenario")
        from sim.experiments.scenarios import find_scenario

        spec, folder = find_scenario(scenario, settings or ())
        from sim.experiments.braess_search import braess_search
        from sim.experiments.build import build_scenario
        from sim.printout import print_paradoxes

        search = braess_search(build_scenario(spec, folder), top=top, examine=examine, say=say)
    (console.print_json if as_json else print_paradoxes)(search.content())
    _tell_and_leave(search.built.warnings, search.missed)


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
    """Check a run folder against its checksums and its ledger's own chain, and write its report anew; or a sweep's report."""
    from sim.experiments.sweep_store import is_sweep

    if is_sweep(run_folder):
        from sim.experiments.report_sweep import write_sweep_report

        console.line(f"Report: {write_sweep_report(run_folder)}")
        return
    from sim.experiments.record import verify_run
    from sim.experiments.report import ledger_check, write_report
    from sim.experiments.report_contracts import ledger_sentence

    changed = [check for check in verify_run(run_folder) if check.state != "ok"]
    ledger = ledger_check(run_folder)
    try:
        path = write_report(run_folder, ledger)
    except RoutepactError:
        raise
    except Exception as error:
        if not changed:
            raise
        # What a damaged file makes of its reader cannot be foreseen.
        named = ", ".join(check.name for check in changed)
        raise InputError(f"changed since the run was written: {named}", source=run_folder) from error
    console.line(f"Report: {path}")
    if ledger is not None:
        console.line(ledger_sentence(ledger))
    damage = [f"ledger: {problem}" for problem in (ledger.problems if ledger is not None else ())]
    _tell_and_leave((), [f"{run_folder / check.name}: {check.state} since the run was written" for check in changed] + damage)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="The run that is compared with.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The run whose changes are told.")],
    world: Annotated[str | None, typer.Option(help="World of the first run (default: every world that both have).")] = None,
    against: Annotated[str | None, typer.Option(help="World of the second run, where it is another one.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The page (default: compare-FIRST-SECOND.html here).")] = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Compare two runs traveller by traveller, OD pair by OD pair and link by link; with --json a page only where --out is."""
    with console.progress(quiet=quiet) as say:
        say("reading the runs")
        from sim.experiments.compare import compare as compare_runs
        from sim.experiments.report_compare import write_comparison
        from sim.printout import print_comparison

        found = compare_runs(first, second, world=world, against=against)
        page = out or Path(f"compare-{first.resolve().name}-{second.resolve().name}.html")
        if out is not None or not as_json:
            say("writing the page")
            write_comparison(found, page)
    if as_json:
        console.print_json(found.content())
    else:
        print_comparison(found.content(), page)


@app.command()
def reproduce(
    run_folder: _Run,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Where the scenario's files are, if they were moved.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the new run, in this folder.")] = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Run a run folder again from its lock file and say whether every byte of the results agrees."""
    with console.progress(quiet=quiet) as say:
        say("starting")
        from sim.experiments.reproduce import reproduce as run_again
        from sim.printout import print_reproduction

        if out is not None:
            from sim.experiments.run_place import require_room

            require_room(out)
        found = run_again(run_folder, folder=folder, out=out, say=say)
    if as_json:
        console.print_json(found.content())
    else:
        print_reproduction(found.content())
    missed = [f"{name}: {entry['state']}" for name, entry in found.content()["files"].items() if entry["state"] != "same"]
    _tell_and_leave((), missed)


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep file (.toml), or the name of a bundled sweep.")],
    jobs: Annotated[int | None, typer.Option(min=1, max=1024, help="Worker processes (default: one a core).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a sweep that was begun.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs already, e.g. tcp://host:8786.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Runs of this session at most, in whole shards.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The sweep's folder (default: sweeps/NAME-HASH).")] = None,
    as_json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Run a scenario at many levels and seeds, in parallel; whatever ends it, --resume goes on."""
    with console.progress(quiet=quiet) as say:
        say("reading the sweep")
        from sim.experiments.sweep_plan import make_plan

        plan = make_plan(name)
        if not dry_run:
            from sim.experiments.sweep import sweep as run_sweep
            from sim.printout import print_sweep

            outcome = run_sweep(plan, out, jobs=jobs, scheduler=scheduler, resume=resume, limit=limit, say=say)
    if dry_run:
        from sim.printout import print_plan

        content = plan.content()
        console.print_json(content) if as_json else print_plan(content)
        return
    if as_json:
        console.print_json(outcome.content())
    else:
        print_sweep(outcome.content(), runs_now=outcome.runs_now, seconds=outcome.seconds)
    counts = outcome.counts or {}
    _tell_and_leave((), [f"{counts[state]:,} runs {state}" for state in ("missed", "failed") if counts.get(state)])


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
def schema(
    messages: Annotated[bool, typer.Option("--messages", help="Of the negotiation's messages instead.")] = False,
    sweeps: Annotated[bool, typer.Option("--sweeps", help="Of sweep files instead.")] = False,
) -> None:
    """Print the JSON Schema of scenario files, of sweep files, or of the messages of the market's negotiation."""
    if sweeps:
        from sim.sweep_spec import sweep_schema

        console.print_json(sweep_schema())
        return
    if messages:
        from sim.negotiation.schema import message_schema

        console.print_json(message_schema())
        return
    from sim.spec import scenario_schema

    console.print_json(scenario_schema())


@app.command()
def dashboard(
    show: Annotated[
        str | None,
        typer.Argument(metavar="[SCENARIO|RUN]", help="A scenario file, the name of a bundled one, or a run folder to replay."),
    ] = None,
    other: Annotated[Path | None, typer.Option("--with", metavar="RUN", help="A second run folder, beside the first.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; a free one is found when left out.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
    visitors: Annotated[int, typer.Option(min=1, help="Most visitors at once; each has worlds of his own.")] = 8,
) -> None:
    """Open the live page: the selfish city beside the one that trades, or a recorded run, or two beside each other."""
    # -P: a folder named "dashboard" where the user happens to be is not our page.
    arguments = [sys.executable, "-P", "-m", "dashboard", "--host", host, "--visitors", str(visitors)]
    arguments += [] if show is None else [show]
    if other is not None:
        arguments += ["--with", str(other)]
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
