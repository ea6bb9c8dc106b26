"""Mutants of a module: one change of its syntax tree each, and how a changed tree takes the place of the module's functions.

Changes: comparison, arithmetic, constant, condition forced, `and`/`or`, negation, statement left out. No mutants are made of
docstrings, annotations, default values and imports, nor of `room(...)`, its arguments and the arithmetic of `settlement_entries`.
These are capacities: too large a capacity changes nothing that can be observed, and that one too small would be noticed is what
`test_an_operation_that_finds_no_room_is_repeated_whole` is for.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

ROOT = Path(__file__).resolve().parent.parent

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
    function: str
    """Qualified name of the outermost function around the change, empty at module level."""
    node: int
    variant: int
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} ({self.function}): {self.what}"


def variants(node: ast.AST) -> list[tuple[str, ast.AST | None]]:
    """List the changes of one node; `None` leaves a statement out."""
    found: list[tuple[str, ast.AST | None]] = []
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


def asks_for_room(node: ast.AST) -> bool:
    """Tell whether a node only computes or asks for capacity."""
    if isinstance(node, ast.FunctionDef) and node.name == "settlement_entries":
        return True
    value = node.value if isinstance(node, ast.Assign) else node
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "room"


def _skipped(statement: ast.AST) -> ast.AST:
    """Keep a statement from running; it stays in sight of the compiler, so that the variables of its function stay the same."""
    assert isinstance(statement, ast.stmt)
    return ast.If(ast.Constant(False), [statement], [])


class Changer(ast.NodeTransformer):
    """Numbers every node in visiting order; lists the mutants, or makes one."""

    def __init__(self, module: str, wanted: tuple[int, int] | None = None) -> None:
        self.module, self.wanted, self.number = module, wanted, 0
        self.found: list[Mutant] = []
        self.scope: list[str] = []

    def visit(self, node: ast.AST) -> ast.AST:
        """Visit one node, whatever its type."""
        if isinstance(node, ast.Import | ast.ImportFrom | ast.arguments) or asks_for_room(node):
            return node
        number = self.number
        self.number += 1
        if self.wanted is None:
            line = getattr(node, "lineno", 0)
            function = ".".join(self.scope)
            self.found += [Mutant(self.module, function, number, n, line, what) for n, (what, _) in enumerate(variants(node))]
        elif self.wanted[0] == number:
            return ast.copy_location(variants(node)[self.wanted[1]][1] or _skipped(node), node)
        named = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.scope.append(node.name)
        self.generic_visit(node)
        if named:
            self.scope.pop()
        return node


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


def changed_code(mutant: Mutant) -> CodeType:
    """Code of the mutant's module."""
    path = source_path(mutant.module)
    tree = Changer(mutant.module, (mutant.node, mutant.variant)).visit(ast.parse(path.read_text()))
    assert isinstance(tree, ast.Module)
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


def _code_objects(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _code_objects(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Functions and methods that a module defines."""
    for thing in list(vars(module).values()):
        inner = list(vars(thing).values()) if isinstance(thing, type) and thing.__module__ == module.__name__ else [thing]
        for one in inner:
            unwrapped = one.fget if isinstance(one, property) else one
            if isinstance(unwrapped, FunctionType) and unwrapped.__module__ == module.__name__:
                yield unwrapped


def install(name: str, code: CodeType, *, constants: bool) -> None:
    """Give the functions of a loaded module the bodies that `code`, another version of the module, has for them.

    Whoever has imported a function holds the same function object, so that nobody keeps the old body. With `constants` the
    module's own constants are taken over as well.

    Raises
    ------
    LookupError
        When a function is missing in `code`.
    """
    module = importlib.import_module(name)
    bodies = {found.co_qualname: found for found in _code_objects(code)}
    for function in _functions(module):
        if function.__qualname__ not in bodies:
            raise LookupError(f"{name}: {function.__qualname__} is not in the new version")
        function.__code__ = bodies[function.__qualname__]
    if constants:
        fresh = ModuleType(name)
        exec(code, vars(fresh))  # our own source, changed at one place
        for key in set(vars(module)) - set(vars(fresh)):
            delattr(module, key)
        for key, value in vars(fresh).items():
            if not key.startswith("__") and not callable(value) and not isinstance(value, ModuleType):
                setattr(module, key, value)
