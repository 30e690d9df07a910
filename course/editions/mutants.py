"""Small changes to a solution, each of which a check should notice.

Written with `ast`, because the libraries that mutate change files and run test suites: here a function in a notebook is
changed, and besides operators and constants what goes wrong in this course: a path detached, an axis, a dtype, a skip
that is dropped, a loop one round too long.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

BINARY: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
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
NAMES = {
    left: right
    for pair in ("sin cos", "min max", "floor ceil", "sum mean", "any all", "zeros ones", "log log2", "zeros_like ones_like", "tanh sigmoid", "argmin argmax")
    for left, right in (pair.split(), pair.split()[::-1])
}  # fmt: skip

BLOCKS = (
    "body",
    "orelse",
    "finalbody",
    "handlers",
    "type_ignores",
)  # of statements: their own statements are visited
MARKS = (ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)  # no expressions
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Mutant:
    """A changed solution: its source, and the changed statement, by which it is called."""

    change: str
    source: str


# In front of every mutant: changes that matter for some values only note in `_effects` whether they changed anything.
PRELUDE = """
_effects = []

def _detached(value):
    if getattr(value, "requires_grad", False):
        _effects.append("detached")
        return value.detach()
    return value

def _rounded(value):
    if str(getattr(value, "dtype", "")).endswith("float64"):
        _effects.append("rounded")
        return value.float() if hasattr(value, "detach") else value.astype("float32")
    return value

def _without_gradients(function):
    import functools, torch

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        owned = [each for arg in args if hasattr(arg, "parameters") for each in arg.parameters()]
        if any(getattr(each, "requires_grad", False) for each in [*args, *kwargs.values(), *owned]):
            _effects.append("without gradients")
        with torch.no_grad():
            return function(*args, **kwargs)

    return wrapped
"""
CONDITIONAL = ("_detached(", "_rounded(", "computed without gradients")


def mutants(source: str) -> list[Mutant]:
    """List the mutants of a solution.

    Args:
        source: it defines one function or class, perhaps with helpers beside it.

    Returns:
        One mutant a change, no two alike.
    """
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    given = {arg.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for arg in node.args}
    for statement, path in _statements(tree):
        for change in _changes(statement, given):
            mutated = copy.deepcopy(tree)
            parent, field, index = _at(mutated, path)
            getattr(parent, field)[index] = change
            text = ast.unparse(ast.fix_missing_locations(mutated))
            if text != ast.unparse(tree):
                new = " ".join(ast.unparse(change).split("\n")[0].split())
                old = " ".join(ast.unparse(statement).split("\n")[0].split())
                found.setdefault(text, Mutant(f"{old}  ->  {new}", PRELUDE + text + "\n"))
    for text, how in _decorated(tree):
        found.setdefault(text, Mutant(how, PRELUDE + text + "\n"))
    return list(found.values())


Path = tuple[tuple[str, int], ...]


def _statements(tree: ast.AST, path: Path = ()) -> Iterator[tuple[ast.stmt, Path]]:
    """All statements inside of functions, with the way to each; docstrings and imports are left alone."""
    for field in ("body", "orelse", "finalbody"):
        for index, statement in enumerate(getattr(tree, field, [])):
            if not isinstance(statement, ast.stmt):
                continue
            here = (*path, (field, index))
            docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            definition = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
            if (
                path
                and not docstring
                and not definition
                and not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass))
            ):
                yield statement, here
            yield from _statements(statement, here)


def _at(tree: ast.AST, path: Path) -> tuple[ast.AST, str, int]:
    """Parent, field and index at the end of a way."""
    for field, index in path[:-1]:
        tree = getattr(tree, field)[index]
    return tree, *path[-1]


def _changes(statement: ast.stmt, given: set[str]) -> Iterator[ast.stmt]:
    """The statement with one thing changed, in every way; what the caller has `given` may be written into."""
    if not isinstance(statement, (ast.Return, ast.Raise)):
        yield ast.Pass()
    if isinstance(statement, ast.Return) and statement.value is not None:
        for name in ("_detached", "_rounded"):
            yield ast.Return(ast.Call(ast.Name(name, ast.Load()), [copy.deepcopy(statement.value)], []))
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.BinOp(left=ast.Name(id=left), op=op, right=right)
        ) if name == left and name in given:
            yield ast.AugAssign(ast.Name(name, ast.Store()), op, copy.deepcopy(right))
        case ast.AugAssign(target=target, value=value):
            yield ast.Assign([copy.deepcopy(target)], copy.deepcopy(value), lineno=0)
    yield from _inside(statement, BLOCKS)
    if isinstance(statement, ast.AugAssign):
        for operator in BINARY.get(type(statement.op), ()):
            yield ast.AugAssign(copy.deepcopy(statement.target), operator(), copy.deepcopy(statement.value))


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """An expression with one thing changed somewhere inside it."""
    yield from _here(node)
    yield from _inside(node)


def _inside(node: Node, besides: tuple[str, ...] = ()) -> Iterator[Node]:
    """A node with one of its expressions changed; the fields `besides` are left alone."""
    for field, value in ast.iter_fields(node):
        for position, child in enumerate(value if isinstance(value, list) else [value]):
            if field in besides or not isinstance(child, ast.AST) or isinstance(child, MARKS):
                continue
            for changed in _within(child):
                new = copy.deepcopy(node)
                if isinstance(value, list):
                    getattr(new, field)[position] = changed
                else:
                    setattr(new, field, changed)
                yield new


def _here(node: ast.AST) -> Iterator[ast.AST]:
    """An expression with its own top changed."""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            for operator in BINARY.get(type(op), ()):
                yield ast.BinOp(left, operator(), right)
            yield left
            yield right
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
            yield ast.Compare(left, [COMPARISONS[type(op)]()], [right])
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.Constant(value=value):
            yield from (ast.Constant(other) for other in _other(value))
        case ast.Call(func=function, args=[first, second, *rest], keywords=keywords):
            yield ast.Call(function, [second, first, *rest], keywords)
        case ast.Call(args=[ast.expr() as only], keywords=[]) if not isinstance(
            only, (ast.Starred, ast.GeneratorExp)
        ):
            yield only
        case ast.Call(func=ast.Attribute(value=value), args=[]):
            yield value
    match node:
        case ast.Call(func=ast.Name(id="range") as function, args=bounds, keywords=[]) if len(bounds) < 3:
            for by in (ast.Add(), ast.Sub()):
                yield ast.Call(function, [*bounds[:-1], ast.BinOp(bounds[-1], by, ast.Constant(1))], [])
    match node:
        case ast.Attribute(value=value, attr=name):
            if name in NAMES:
                yield ast.Attribute(value, NAMES[name], ast.Load())
            if name in ("T", "mT", "real", "data"):
                yield value
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.Subscript(value=value, slice=ast.Slice(step=ast.UnaryOp())):
            yield value
        case ast.Call(func=function, args=args, keywords=[_, *_] as keywords):
            for index in range(len(keywords)):
                yield ast.Call(function, args, keywords[:index] + keywords[index + 1 :])


def _other(value: object) -> Iterator[bool | int | float]:
    """Other constants in the place of one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, float):
        yield value * 1.1 if value else 0.1


def _decorated(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The solution computed without gradients: each function, or a class's methods but `__init__`."""
    new = copy.deepcopy(tree)
    decorator = ast.Name("_without_gradients", ast.Load())
    for node in ast.walk(new):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__" and not node.decorator_list:
            node.decorator_list = [decorator]
    yield ast.unparse(ast.fix_missing_locations(new)), "computed without gradients"
