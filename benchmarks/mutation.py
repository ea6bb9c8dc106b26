"""Mutation testing of contracts_model's ledger, escrow and dispute.

    python -m benchmarks.mutation [--sample N] [--seed S] [--only NAME]

Why not mutmut: version 3 leaves every decorated function out and runs mutants through trampolines, which compiled kernels cannot
pass. Here each mutant is one change of the syntax tree of one module (comparison, arithmetic, constant, condition, negation,
statement left out), put in place of the module by an import hook in a forked child that runs the tests uncompiled
(NUMBA_DISABLE_JIT) until the first failure. Survivors are printed with their line.

Left out as equivalent: docstrings, annotations, imports, and `room(...)` with its arguments, which are capacities (too large a
capacity changes nothing that can be observed).
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parent.parent
TARGETS = (
    *(f"contracts_model.kernels.{name}" for name in ("ledger", "escrow", "payout", "dispute", "voting", "verdict", "panel")),
    *(f"contracts_model.{name}" for name in ("ledger", "escrow", "disputes")),
)
FIRST_TESTS = ("test_contract_format",)
TESTS = (
    "test_contract_table",
    "test_contract_money",
    "test_contract_faults",
    "test_contract_conditions",
    "test_contract_exhaustive",
)
SLOW_TESTS = ("test_machine", "test_contract_panel", "test_contract_batch")
TIME_LIMIT_S = 90

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult}


@dataclass(frozen=True)
class Mutant:
    """One change: node number `node` of the module's tree, variant `variant`."""

    module: str
    node: int
    variant: int
    line: int
    what: str


def variants(node: ast.AST, in_room: bool) -> list[tuple[str, ast.AST | None]]:
    """List the changes of one node; `None` leaves a statement out."""
    found: list[tuple[str, ast.AST | None]] = []
    if in_room:
        return found
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        changed = deepcopy(node)
        changed.ops = [_COMPARE[type(node.ops[0])]()]
        found.append((f"{type(node.ops[0]).__name__} -> {type(changed.ops[0]).__name__}", changed))
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        operated = deepcopy(node)
        operated.op = _ARITHMETIC[type(node.op)]()
        found.append((f"{type(node.op).__name__} -> {type(operated.op).__name__}", operated))
    if isinstance(node, ast.BoolOp):
        joined = deepcopy(node)
        joined.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        found.append(("and <-> or", joined))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        found.append(("not left out", node.operand))
    if isinstance(node, ast.Constant) and type(node.value) is int:
        found.append((f"{node.value} -> {node.value + 1}", ast.Constant(node.value + 1)))
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        found.append((f"{node.value} -> {not node.value}", ast.Constant(not node.value)))
    if isinstance(node, ast.If):
        for value in (True, False):
            forced = deepcopy(node)
            forced.test = ast.Constant(value)
            found.append((f"if {ast.unparse(node.test)[:50]} -> if {value}", forced))
    if isinstance(node, ast.Assign | ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        found.append((f"left out: {ast.unparse(node)[:60]}", None))
    return found


def is_room_call(node: ast.AST) -> bool:
    """Tell whether a node asks for capacity, or acts on the answer."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "room"


class Changer(ast.NodeTransformer):
    """Numbers every node in visiting order; lists the mutants, or makes one."""

    def __init__(self, module: str, wanted: tuple[int, int] | None = None) -> None:
        self.module, self.wanted, self.number = module, wanted, 0
        self.found: list[Mutant] = []
        self.room = 0

    def visit(self, node: ast.AST) -> ast.AST | None:
        """Visit one node, whatever its type."""
        if isinstance(node, ast.Import | ast.ImportFrom | ast.arguments):
            return node
        number = self.number
        self.number += 1
        changes = variants(node, self.room > 0 or self.asks_for_room(node))
        if self.wanted is None:
            line = getattr(node, "lineno", 0)
            self.found += [Mutant(self.module, number, nth, line, what) for nth, (what, _) in enumerate(changes)]
        elif self.wanted[0] == number:
            replacement = changes[self.wanted[1]][1]
            return ast.copy_location(ast.Pass(), node) if replacement is None else ast.copy_location(replacement, node)
        self.room += self.asks_for_room(node)
        self.generic_visit(node)
        self.room -= self.asks_for_room(node)
        return node

    @staticmethod
    def asks_for_room(node: ast.AST) -> bool:
        """Tell whether a statement only asks for capacity."""
        if isinstance(node, ast.FunctionDef) and node.name in ("settlement_entries",):
            return True
        return is_room_call(node) or (isinstance(node, ast.Assign) and is_room_call(node.value))


def source_path(module: str) -> Path:
    """File of a module of the project."""
    return ROOT / (module.replace(".", "/") + ".py")


def all_mutants(modules: Sequence[str]) -> list[Mutant]:
    """Every mutant of some modules."""
    found: list[Mutant] = []
    for module in modules:
        changer = Changer(module)
        changer.visit(ast.parse(source_path(module).read_text()))
        found += changer.found
    return found


class Replacement(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports one module from changed code."""

    def __init__(self, module: str, code: CodeType) -> None:
        self.module, self.code = module, code

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """Answer for the changed module alone."""
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, source_path(fullname), loader=self)  # type: ignore[arg-type]

    def get_source(self, fullname: str) -> str | None:
        """Hide the source: it is not what runs."""
        return None

    def get_code(self, fullname: str) -> CodeType:
        """Hand the changed code over."""
        return self.code


def run_child(mutant: Mutant, tests: Sequence[str]) -> None:
    """Replace the module and run the tests; the exit status is theirs. Never returns."""
    import pytest

    if mutant.module != "none":
        changer = Changer(mutant.module, (mutant.node, mutant.variant))
        tree = ast.fix_missing_locations(changer.visit(ast.parse(source_path(mutant.module).read_text())) or ast.Module([], []))
        sys.meta_path.insert(0, Replacement(mutant.module, compile(tree, str(source_path(mutant.module)), "exec")))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    files = [str(ROOT / "tests" / "contracts" / f"{name}.py") for name in tests]
    os._exit(int(pytest.main([*files, "-x", "-q", "-m", "not nightly", "-p", "no:cacheprovider", "-p", "no:warnings"])))


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Fork, run, wait; a mutant that runs into the time limit is killed."""
    child = os.fork()
    if child == 0:
        run_child(mutant, tests)
    deadline = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def chosen(arguments: argparse.Namespace) -> Iterator[Mutant]:
    """Mutants of this run, in a random order that the seed repeats."""
    modules = [module for module in TARGETS if arguments.only in module]
    mutants = all_mutants(modules)
    random.Random(arguments.seed).shuffle(mutants)
    print(
        f"{len(mutants)} mutants of {len(modules)} modules; running {min(arguments.sample or len(mutants), len(mutants))}",
        flush=True,
    )
    yield from mutants[: arguments.sample or None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="number of mutants, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a module's name")
    arguments = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path.insert(0, str(ROOT))
    import hypothesis.stateful
    import numba
    import pyarrow.parquet
    import pytest

    del hypothesis, numba, pyarrow, pytest  # loaded once, inherited by every child
    if survives(Mutant("none", -1, 0, 0, ""), TESTS) is False:
        raise SystemExit("the tests fail without any mutant")
    killed, survivors = 0, []
    for nth, mutant in enumerate(chosen(arguments), start=1):
        if survives(mutant, FIRST_TESTS) and survives(mutant, TESTS) and survives(mutant, SLOW_TESTS):
            survivors.append(mutant)
            print(f"survived: {mutant.module}:{mutant.line}: {mutant.what}", flush=True)
        else:
            killed += 1
        if nth % 25 == 0:
            print(f"{nth}: {killed} killed, {len(survivors)} survived", flush=True)
    print(f"killed {killed} of {killed + len(survivors)} ({100 * killed / max(1, killed + len(survivors)):.1f} %)")


if __name__ == "__main__":
    main()
