"""Mutation testing of contracts_model's ledger, escrow and dispute.

    python -m benchmarks.mutation [--sample N] [--seed S] [--only NAME] [--lines MODULE:LINE ...]
    python -m benchmarks.mutation --faults

Why not mutmut: version 3 leaves every decorated function out and runs mutants through trampolines, which compiled kernels cannot
pass. Here (`mutants.py`) each mutant is one change of the syntax tree of one module. One pytest session, uncompiled
(NUMBA_DISABLE_JIT), collects the tests and forks a child for every mutant; the child puts the changed bodies into the loaded
functions and runs the tests that call the changed function, those first that have killed its neighbours, until one fails.

Controls, both before the first mutant: every test passes untouched, which also shows how long it takes; every test passes after
the unchanged sources have been put in place by the same way as a mutant, which also shows what it calls. A mutant counts as
killed when a test fails, or when it uses ten times the test's own processor time and three seconds more. Tests that take longer
than `--longest` seconds uncompiled are left out: that can only add survivors.

`--faults` brings back each fault that public escrow systems of this kind have shipped and runs the test that is named after it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import pytest

from benchmarks.mutants import ROOT, Mutant, all_mutants, changed_code, install, source_path

TARGETS = (
    *(f"contracts_model.kernels.{name}" for name in ("ledger", "escrow", "payout", "dispute", "voting", "verdict", "panel")),
    *(f"contracts_model.{name}" for name in ("ledger", "escrow", "disputes")),
)
TESTS = ("format", "edges", "table", "money", "faults", "verdicts", "conditions", "exhaustive", "panel", "batch")
_WHY = "because: "
FACTOR, GRACE_S = 10.0, 3.0
"""A test of a mutant may use FACTOR times the processor time of the control and GRACE_S more."""


@dataclass(frozen=True)
class Fault:
    """A shipped fault, how to bring it back, and the test that is named after it."""

    what: str
    module: str
    before: str
    after: str
    test: str


FAULTS = (
    Fault(
        "a time-out that neither pays nor refunds",
        "contracts_model.kernels.escrow",
        "    refund_price(t, now, escrow)\n    if offered:",
        "    if offered:",
        "test_fault_a_time_out_always_pays_or_refunds",
    ),
    Fault(
        "one time-out refunding another deal's collateral",
        "contracts_model.kernels.payout",
        '    total = row["pot_collateral"]\n',
        '    total = t.escrows["pot_collateral"].sum()\n    t.escrows["pot_collateral"][:] = 0\n',
        "test_fault_a_time_out_refunds_no_collateral_of_another_deal",
    ),
    Fault(
        "balances per account instead of per deal",
        "contracts_model.kernels.escrow",
        'row["pot_price"] == row["price"] + row["fee"]:',
        't.escrows["pot_price"].sum() >= row["price"] + row["fee"]:',
        "test_fault_balances_are_kept_per_deal",
    ),
    Fault(
        "votes tallied by claim alone",
        "contracts_model.validators",
        "head + condition + claim +",
        "head + claim +",
        "test_fault_an_outsider_cannot_vote_with_a_list_of_its_own",
    ),
    Fault(
        "an outsider votes with a voter list of its own",
        "contracts_model.kernels.voting",
        "    at = find_seat(t, escrow, juror)\n    if at == NOBODY:\n        return NOT_ON_PANEL\n    seat = t.seats[at]\n"
        '    if seat["committed"] == 1:',
        '    at = find_seat(t, escrow, juror)\n    seat = t.seats[at]\n    if seat["committed"] == 1:',
        "test_fault_an_outsider_cannot_vote_with_a_list_of_its_own",
    ),
    Fault(
        "an escrow with no expiry that can never be reclaimed",
        "contracts_model.kernels.escrow",
        "    if accept_by <= now or claim_by <= accept_by or claim_by > MAX_TIME // 2:\n        return BAD_DEADLINES\n",
        "",
        "test_fault_every_escrow_has_an_expiry",
    ),
    Fault(
        "a silent oracle taken for a rejection",
        "contracts_model.kernels.verdict",
        "        return CONDITION_NOT_FINAL\n",
        "        verdict = VERDICT_REJECTED\n",
        "test_fault_a_silent_oracle_is_no_rejection",
    ),
)


@dataclass
class Control:
    """What the control says of one test: processor seconds, and the functions it calls as `module:function`."""

    seconds: float
    calls: frozenset[str]


class Session:
    """The pytest plugin: in place of running the collected tests it runs `work`."""

    def __init__(self, work: Callable[[Session], None]) -> None:
        self.work = work
        self.items: list[pytest.Item] = []
        self.control: dict[str, Control] = {}
        self._failed = False
        self.why = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take over after collection."""
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the tests could not be collected")
        self.items = session.items
        gc.freeze()  # children would otherwise copy every page that the collector touches
        self.work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice a failure in any phase of a test."""
        if report.failed:
            self._failed = True
            crash = getattr(report.longrepr, "reprcrash", None)
            self.why = str(getattr(crash, "message", report.longrepr)).split("\n")[0]

    def run(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        """Run one test in this process; tells whether it passed."""
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self._failed

    def in_child(self, job: Callable[[Callable[[str], None]], bool]) -> tuple[int, list[str]]:
        """Fork and do a job there; returns the child's exit code (0: True, 1: False, negative: signal) and what it has told."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            status = 70
            try:
                status = 0 if job(lambda line: _tell(writing, line)) else 1
            finally:
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading) as lines:
            told = lines.read().splitlines()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told

    def run_all(self, items: Sequence[pytest.Item], prepare: Callable[[], None], tell: Callable[[str], None]) -> bool:
        """Put a change in place, then run tests until one fails, each under its limit of processor time."""
        prepare()
        for item, following in zip(items, [*items[1:], None], strict=True):
            tell(item.name)
            limit = FACTOR * self.control[item.nodeid].seconds + GRACE_S
            signal.setitimer(signal.ITIMER_PROF, limit)  # its signal ends the process
            if not self.run(item, following):
                tell(f"{_WHY}{self.why}")
                return False
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        return True

    def check_untouched(self) -> None:
        """First control: every test passes; notes how long it takes."""

        def job(tell: Callable[[str], None]) -> bool:
            for item, following in zip(self.items, [*self.items[1:], None], strict=True):
                started = time.process_time()
                passed = self.run(item, following)
                tell(json.dumps([item.nodeid, time.process_time() - started]))
                if not passed:
                    return False
            return True

        status, told = self.in_child(job)
        if status != 0:
            pytest.exit(f"the tests fail without any mutant: {told[-1:]}", 1)
        self.control = {name: Control(seconds, frozenset()) for name, seconds in map(json.loads, told)}

    def check_harness(self) -> None:
        """Second control: unchanged sources put in place like a mutant; notes which functions a test calls."""
        files = {str(source_path(module)): module for module in TARGETS}
        calls: set[str] = set()

        def note(frame: FrameType, event: str, argument: object) -> None:
            code: CodeType = frame.f_code
            module = files.get(code.co_filename)
            if module is not None:
                calls.add(f"{module}:{code.co_qualname.split('.<locals>')[0]}")

        def job(tell: Callable[[str], None]) -> bool:
            for path, module in files.items():
                install(module, compile(source_path(module).read_text(), path, "exec"), constants=True)
            for item, following in zip(self.items, [*self.items[1:], None], strict=True):
                calls.clear()
                sys.settrace(note)
                passed = self.run(item, following)
                sys.settrace(None)
                tell(json.dumps([item.nodeid, sorted(calls)]))
                if not passed:
                    return False
            return True

        status, told = self.in_child(job)
        if status != 0:
            pytest.exit(f"the tests fail after the unchanged sources have been put in place: {told[-1:]}", 1)
        for name, called in map(json.loads, told):
            self.control[name].calls = frozenset(called)


def _tell(writing: int, line: str) -> None:
    os.write(writing, (line + "\n").encode())


class Campaign:
    """All mutants, one after the other."""

    def __init__(self, mutants: Sequence[Mutant], longest_s: float) -> None:
        self.mutants, self.longest_s = mutants, longest_s
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        self.survivors: list[Mutant] = []
        self.by_test: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def __call__(self, session: Session) -> None:
        """Run controls and mutants."""
        started = time.monotonic()
        session.check_untouched()
        session.items = [item for item in session.items if session.control[item.nodeid].seconds <= self.longest_s]
        session.check_harness()
        spent = sum(session.control[item.nodeid].seconds for item in session.items)
        print(f"{len(session.items)} tests pass both controls ({spent:.0f} s); {len(self.mutants)} mutants", flush=True)
        for nth, mutant in enumerate(self.mutants, start=1):
            self.try_one(session, mutant)
            if nth % 100 == 0 or nth == len(self.mutants):
                killed = nth - len(self.survivors)
                passed = time.monotonic() - started
                print(f"{nth}: killed {killed} ({100 * killed / nth:.1f} %), {passed / 60:.1f} minutes", flush=True)
        print("killed by:", ", ".join(f"{why} {count}" for why, count in self.reasons.most_common(10)))
        for name, count in self.by_test.most_common(12):
            print(f"killed first by {name}: {count}")

    def try_one(self, session: Session, mutant: Mutant) -> None:
        """Run the tests that can notice one mutant."""
        place = f"{mutant.module}:{mutant.function}"
        known = self.killers[place]

        def concerns(item: pytest.Item) -> bool:
            return not mutant.function or place in session.control[item.nodeid].calls

        items = sorted(
            filter(concerns, session.items), key=lambda item: (-known[item.name], session.control[item.nodeid].seconds)
        )
        code = changed_code(mutant)
        status, told = session.in_child(
            lambda tell: session.run_all(items, lambda: install(mutant.module, code, constants=not mutant.function), tell)
        )
        if status == 0:
            self.survivors.append(mutant)
            print(f"survived: {mutant}", flush=True)
            return
        if status not in (1, 70, -signal.SIGPROF):
            pytest.exit(f"{mutant}: the child ended with {status} in {told[-1:]}", 1)
        if status == 70 and mutant.function:
            pytest.exit(f"{mutant}: the child broke off in {told[-1:]}", 1)
        why = told.pop().removeprefix(_WHY) if told and told[-1].startswith(_WHY) else "limit: processor time"
        self.reasons[re.split(r"[: ]", why)[0]] += 1
        killer = told[-1] if told else "putting it in place"
        known[killer] += 1
        self.by_test[killer.split("[")[0]] += 1


def bring_back_faults(session: Session) -> None:
    """Each fault of `FAULTS` must be noticed by its test."""
    session.check_untouched()
    missed = 0
    for fault in FAULTS:
        items = [item for item in session.items if item.name == fault.test]
        path = source_path(fault.module)
        source = path.read_text()
        if len(items) != 1 or source.count(fault.before) != 1:
            pytest.exit(f"{fault.what}: the test or the place in {fault.module} is not found once", 1)
        code = compile(source.replace(fault.before, fault.after), str(path), "exec")

        def put(module: str = fault.module, code: CodeType = code) -> None:
            install(module, code, constants=False)

        status, told = session.in_child(lambda tell, items=items, put=put: session.run_all(items, put, tell))  # type: ignore[misc]
        missed += status == 0
        end = "SURVIVED" if status == 0 else f"killed, {told[-1]}"
        print(f"{fault.what}: {end} ({fault.test})", flush=True)
    if missed:
        pytest.exit(f"{missed} faults were not noticed", 1)


def chosen(arguments: argparse.Namespace) -> list[Mutant]:
    """Mutants of this run, in a random order that the seed repeats."""
    mutants = all_mutants([module for module in TARGETS if arguments.only in module])
    if arguments.lines:
        mutants = [mutant for mutant in mutants if f"{mutant.module}:{mutant.line}" in arguments.lines]
    random.Random(arguments.seed).shuffle(mutants)
    return mutants[: arguments.sample or None]


def run_session(work: Callable[[Session], None]) -> None:
    """Collect the tests uncompiled and hand over to `work`."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    import hypothesis

    # What a failing example looks like when it is small does not matter here.
    quick: dict[str, Any] = {"phases": (hypothesis.Phase.explicit, hypothesis.Phase.generate), "database": None}
    hypothesis.settings.register_profile("mutation", **quick)
    hypothesis.settings.load_profile("mutation")
    folder = ROOT / "tests" / "contracts"
    files = [*(str(folder / f"test_contract_{name}.py") for name in TESTS), str(folder / "test_machine.py")]
    options = ["-q", "-s", "-m", "not nightly", "-p", "no:cacheprovider", "-p", "no:warnings", "--rootdir", str(ROOT)]
    status = pytest.main([*files, *options], plugins=[Session(work)])
    if status != 0:
        raise SystemExit(int(status))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="number of mutants, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a module's name")
    parser.add_argument("--lines", nargs="*", default=[], help="mutants of these places alone, as contracts_model.escrow:64")
    parser.add_argument("--longest", type=float, default=8.0, help="leave tests out that take longer, seconds")
    parser.add_argument("--faults", action="store_true", help="bring the known faults back instead")
    arguments = parser.parse_args()
    run_session(bring_back_faults if arguments.faults else Campaign(chosen(arguments), arguments.longest))


if __name__ == "__main__":
    main()
