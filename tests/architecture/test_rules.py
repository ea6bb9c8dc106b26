"""Rules of the house that import-linter cannot check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("sim", "contracts_model", "dashboard")
MOST_LINES = 500


def modules(root: Path, *packages: str) -> Iterator[tuple[str, str]]:
    """Yield (name relative to the checkout, source) of every module of the packages."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            if "_bundled" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of every module that is imported anywhere in the source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def attribute_chains(tree: ast.AST) -> Iterator[str]:
    """Yield dotted expressions such as "np.random.default_rng"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_the_walk_sees_the_house(project_root: Path) -> None:
    names = {name for name, _ in modules(project_root, *PACKAGES)}
    assert {"sim/cli.py", "sim/kernels/_jit.py", "contracts_model/ledger.py", "dashboard/__init__.py"} <= names


def test_no_module_is_longer_than_a_reader_bears(project_root: Path) -> None:
    long = {name: source.count("\n") for name, source in modules(project_root, *PACKAGES) if source.count("\n") > MOST_LINES}
    assert long == {}


def test_every_module_says_what_it_is(project_root: Path) -> None:
    silent = [name for name, source in modules(project_root, *PACKAGES) if ast.get_docstring(ast.parse(source)) is None]
    assert silent == []


@pytest.mark.parametrize(
    ("package", "own"), [("sim/kernels", ("sim.kernels", "sim.arrays")), ("contracts_model/kernels", ("contracts_model",))]
)
def test_kernels_know_numbers_and_their_compiler_alone(project_root: Path, package: str, own: tuple[str, ...]) -> None:
    # llvmlite is the part of numba in which an instruction that numba does not offer (a prefetch) is written.
    allowed = {"numpy", "numba", "llvmlite", "math", "typing", "collections", "enum", "__future__"}
    strangers = [
        (name, module)
        for name, source in modules(project_root, package)
        if not name.endswith("/_jit.py")
        for module in imported(ast.parse(source))
        if module.partition(".")[0] not in allowed and not module.startswith(own)
    ]
    assert strangers == []


def test_only_jit_modules_name_flags_of_numba(project_root: Path) -> None:
    """Nobody else calls numba's decorators or reads its configuration, so that the flags stand in one place a package."""
    decorators = {"jit", "njit", "vectorize", "guvectorize", "cfunc", "stencil", "config"}
    strangers = []
    for name, source in modules(project_root, *PACKAGES):
        if name in ("sim/kernels/_jit.py", "contracts_model/_jit.py"):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module == "numba":
                strangers += [(name, alias.name) for alias in node.names if alias.name in decorators]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("numba", "nb"):
                strangers += [(name, node.attr)] if node.attr in decorators else []
    assert strangers == []


def test_only_rng_draws_random_numbers(project_root: Path) -> None:
    """Every draw in sim is named by (seed, purpose, id, day); another generator would depend on the order of calls."""
    strangers = []
    for name, source in modules(project_root, "sim"):
        if name == "sim/rng.py":
            continue
        tree = ast.parse(source)
        strangers += [(name, module) for module in imported(tree) if module.startswith(("random", "numpy.random", "secrets"))]
        chains = [chain for chain in attribute_chains(tree) if chain.startswith(("np.random.", "numpy.random."))]
        # A type is named where a generator of sim.rng is handed on; it draws nothing.
        strangers += [(name, chain) for chain in chains if not chain.endswith(".Generator")]
    assert strangers == []


def test_nobody_prints_but_the_console(project_root: Path) -> None:
    """Results go through `sim.console`, so that standard output holds what was asked for and nothing else."""
    printers = {
        name
        for name, source in modules(project_root, "sim", "contracts_model")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printers == {"sim/console.py", "sim/process.py"}


def test_no_module_is_a_heap_of_helpers(project_root: Path) -> None:
    heaps = {"util.py", "utils.py", "helper.py", "helpers.py", "common.py", "misc.py"}
    assert [name for name, _ in modules(project_root, *PACKAGES) if name.rpartition("/")[2] in heaps] == []


def test_no_clock_in_contracts(project_root: Path) -> None:
    """Time is an argument there: the same calls give the same journal whenever they are made."""
    clocks = [
        (name, module)
        for name, source in modules(project_root, "contracts_model")
        for module in imported(ast.parse(source))
        if module.partition(".")[0] in ("time", "datetime", "random", "uuid", "secrets")
    ]
    assert clocks == []
