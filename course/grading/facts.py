"""What the text of a cell tells: which names it binds and reads, what it changes, what it calls.

Text is read, nothing is executed. What the names stand for only the whole notebook can tell: `course.grading.slice`.
"""

from __future__ import annotations

import ast
import functools
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# Who uses them may read and change what no text names.
UNJUDGED = {"exec", "eval", "compile", "globals", "locals", "vars", "setattr", "delattr", "get_ipython", "__import__", "__builtins__"}  # fmt: skip
UNJUDGED_ATTRIBUTES = {"__dict__", "__globals__", "__builtins__", "__import__", "__setattr__", "exec", "import_module", "modules", "reload", "run_cell", "user_ns", "_getframe"}  # fmt: skip
SHOWS = "progress"  # of helpers.checks: reads all names, changes none
RESTORED = {"set_flush_denormal": False}  # a cell that ends with this setting leaves things as they were
# What leaves its receiver alone; what draws on axes, and leaves alone what it draws.
PURE_METHODS = {"abs", "all", "any", "argmax", "argmin", "argsort", "astype", "clone", "conj", "copy", "count", "cpu", "cumsum", "detach", "diagonal", "dim", "dot", "double", "endswith", "exp", "flatten", "float", "format", "get", "index", "item", "items", "join", "keys", "lower", "max", "mean", "median", "min", "norm", "numel", "numpy", "parameters", "permute", "prod", "ravel", "relu", "repeat", "replace", "reshape", "round", "size", "split", "sqrt", "squeeze", "startswith", "std", "strip", "sum", "tanh", "tolist", "transpose", "unsqueeze", "values", "var", "view"}  # fmt: skip
DRAWING = re.compile(r"plot|scatter|barh?|hist|imshow|pcolormesh|contourf?|fill_between|ax[hv](line|span)|[hv]lines|annotate|text|legend|set|set_[xy]?(label|lim|ticks|ticklabels|scale|title|aspect|bound|axis_on|axis_off|visible).*|tick_params|grid|semilog[xy]|loglog|errorbar|violinplot|boxplot|margins|invert_.*|twin[xy]|add_patch|stem|label_outer|colorbar|suptitle|tight_layout|axis")  # fmt: skip
LONGEST, DEEPEST = 50_000, 100  # characters and nested nodes of a cell that is read; no person writes more
WIDEST, RELATED = 100, 5_000  # names that one value has to do with, and pairs of names in a cell: as above

Path = tuple[str, ...]  # the names of `a.b.c`
SAME, PART, HOLDS = "is", "is part of", "holds"
Share = tuple[
    str, str, frozenset[Path]
]  # a name, what a value has to do with its object, the calls that it came through
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Call:
    """A call, as it is written.

    Args:
        path: what is called: a.b.c; "" stands for anything but a name, nothing at all for what has no name either.
        called: names that are read to find it.
        arguments: names of objects that are handed on.
        changes: whether it says itself that it changes an argument: `out=`, `inplace=`.
        restores: whether it sets back a setting.
    """

    path: Path
    called: frozenset[str]
    arguments: frozenset[str]
    changes: bool
    restores: bool


@dataclass
class Effects:
    """What running a piece of code may do, as far as its text tells."""

    stores: set[tuple[str, bool]] = field(default_factory=set)  # with whether what it holds may change, too
    calls: list[Call] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)


@dataclass
class Facts:
    """What the text of one cell says.

    Args:
        judged: whether it can be judged at all.
        shows: it hands all names to SHOWS.
        binds: names it gives a value, in functions by `global` too.
        solid: those of them that only ever are functions, classes, modules or constants: nothing to change in place.
        imports: name -> the package it comes from, and its name there.
        needs: names whose value it may read, now or when one of its functions is called.
        now: what the cell does.
        later: name -> what calling it may do.
        reach: (name, how, another, calls): what its object may have to do with another's, if the calls give back what they get.
            "f()" stands for what f gives back.
    """

    judged: bool = True
    shows: bool = False
    binds: set[str] = field(default_factory=set)
    solid: set[str] = field(default_factory=set)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    now: Effects = field(default_factory=Effects)
    later: dict[str, Effects] = field(default_factory=dict)
    reach: set[tuple[str, str, str, frozenset[Path]]] = field(default_factory=set)


@functools.lru_cache(maxsize=4096)
def facts(source: str) -> Facts:
    """Read a cell.

    Args:
        source: its text.

    Returns:
        What it says; not judged if it is no plain Python, uses names that the text does not tell, or is more than a person writes.
    """
    if len(source) > LONGEST:
        return Facts(judged=False)
    try:
        return _facts(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a magic, or what no person writes
        return Facts(judged=False)


def _facts(source: str) -> Facts:
    tree = ast.parse(source)
    if _depth(tree) > DEEPEST:
        return Facts(judged=False)
    tables = [symtable.symtable(source, "<cell>", "exec")]
    made, module = Facts(), tables[0]
    made.binds = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
    for table in tables:
        tables.extend(table.get_children())
        if table is module:
            continue
        for symbol in table.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                made.needs.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                made.binds.add(symbol.get_name())
                made.needs.add(symbol.get_name())  # `x += 1` counts as no reference
    made.needs |= _reads(tree.body, set())
    _Reader(made).visit(tree)
    made.solid = made.binds - _soft(tree)
    return made


def _depth(tree: ast.AST) -> int:
    """How deep its nodes are nested."""
    level, depth = [tree], 0
    while level:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return depth


def _reads(body: Sequence[ast.stmt], bound: set[str]) -> set[str]:
    """Names that statements read before they have certainly bound them; `bound` grows."""
    found: set[str] = set()
    for statement in body:
        blocks = [b for word in ("body", "orelse", "finalbody") if (b := getattr(statement, word, None))]
        blocks += [h.body for word in ("handlers", "cases") for h in getattr(statement, word, ())]
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or not blocks:
            found |= set(_loads(statement)) - bound
            bound |= _bound_by(statement)
            continue
        heads = [n for n in ast.iter_child_nodes(statement) if not isinstance(n, (ast.stmt, ast.excepthandler, ast.match_case))]  # fmt: skip
        heads += [n for case in getattr(statement, "cases", ()) for n in (case.pattern, case.guard) if n]
        heads += [h.type for h in getattr(statement, "handlers", ()) if h.type]
        found |= {name for head in heads for name in _loads(head)} - bound
        here = bound | {name for head in heads for name in _bound_by(head)}
        for block in blocks:  # what one of them binds may stay unbound
            found |= _reads(block, set(here))
    return found


def _bound_by(node: ast.AST) -> set[str]:
    """Names that a statement binds whenever it comes to its end."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(a.asname or a.name).partition(".")[0] for a in node.names}
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.AnnAssign) and node.value is None):
        return set()
    return {n.id for n in _shallow(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _shallow(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those below it, but for what happens in scopes of their own."""
    yield node
    if not isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
        for child in ast.iter_child_nodes(node):
            yield from _shallow(child)


def _loads(node: ast.AST) -> frozenset[str]:
    """Names that are read at once, not only when a function is called; noted on the node, for it is asked again."""
    if not hasattr(node, "loads"):
        node.loads = frozenset(_find_loads(node))  # type: ignore[attr-defined]
    return node.loads  # type: ignore[attr-defined, no-any-return]


def _find_loads(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, (ast.Load, ast.Del)):
            yield node.id
        return
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    hidden = {n.id for g in getattr(node, "generators", ()) for n in ast.walk(g.target) if isinstance(n, ast.Name)}  # fmt: skip
    for name, value in ast.iter_fields(node):
        if isinstance(node, _FUNCTIONS) and name == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from (found for found in _loads(child) if found not in hidden)


def _soft(tree: ast.Module) -> set[str]:
    """Names that are given something else than a function, a class, a module or a constant."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_constant(node.value):
            continue
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.withitem, ast.pattern, ast.Delete)):  # fmt: skip
            for below in ast.iter_child_nodes(node):
                if not isinstance(below, ast.stmt):
                    found |= {n.id for n in ast.walk(below) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}  # fmt: skip
            found |= {n for word in ("name", "rest") if isinstance(n := getattr(node, word, None), str)}
    return found


def _is_constant(node: ast.expr) -> bool:
    """A value that cannot be changed in place: a number, a text, a range, or a tuple of such."""
    match node:
        case ast.Constant():
            return True
        case ast.Tuple(elts=parts):
            return all(map(_is_constant, parts))
        case ast.UnaryOp(operand=part):
            return _is_constant(part)
        case ast.BinOp(left=left, right=right):
            return _is_constant(left) and _is_constant(right)
        case ast.Call(func=ast.Name(id="range")):
            return True
    return False


class _Reader(ast.NodeVisitor):
    """Goes through a cell and notes what it does now, and what its functions do when they are called."""

    def __init__(self, made: Facts):
        self._made = made
        self._owners: list[set[str]] = []  # whose call runs what we look at; empty: it runs with the cell
        self._hidden: list[set[str]] = []  # names that are something else here
        self._given: list[set[str]] = []  # names that what we look at is given to

    def visit(self, node: ast.AST) -> None:
        self._note_reach(node)
        if isinstance(node, ast.ClassDef):
            self._definition(node, {node.name})
        elif isinstance(node, ast.Lambda):
            # Whoever it is handed to may call it now, and whoever keeps it later.
            self._function(node, None)
            if self._given and not self._owners:
                self._function(node, self._given[-1])
                self._share([ast.Name(f"{name}()") for name in self._given[-1]], [node.body])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._function(node, {node.name})
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._given.append({name for target in targets for name in _roots(target)})
            super().visit(node)
            self._given.pop()
        elif isinstance(node, _COMPREHENSIONS):
            self._hidden.append({n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)})  # fmt: skip
            self.generic_visit(node)
            self._hidden.pop()
        else:
            super().visit(node)

    def _effects(self) -> list[Effects]:
        """Where a deed is noted."""
        if not self._owners:
            return [self._made.now]
        return [self._made.later.setdefault(name, Effects()) for name in self._owners[0]]

    def _is_ours(self, name: str) -> bool:
        """Whether a name means the notebook's here."""
        return not any(name in names for names in self._hidden)

    def _ours(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(filter(self._is_ours, names))

    def _function(self, node: Function, owner: set[str] | None) -> None:
        """The body runs when it is called; a default that is made once may be changed by each call."""
        arguments = node.args
        defaults = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
        for default in [*defaults, *getattr(node, "decorator_list", ())]:
            self.visit(default)
        names = {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg] if a}  # fmt: skip
        body = node.body if isinstance(node.body, list) else [node.body]
        below = [n for statement in body for n in ast.walk(statement)]
        names |= {n.id for n in below if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        names |= {n.name for n in below if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}  # fmt: skip
        names |= {(n.asname or n.name).partition(".")[0] for n in below if isinstance(n, ast.alias)}
        declared = {name for n in below if isinstance(n, ast.Global) for name in n.names}
        self._owners += [owner] if owner is not None else []
        kept = any(not _is_constant(d) for d in defaults) or any(isinstance(n, ast.Nonlocal) for n in below)
        for effects in self._effects():
            effects.stores |= {(name, False) for name in declared}
            effects.stores |= {(name, True) for name in self._owners[0]} if kept and self._owners else set()
        self._hidden.append(names - declared)
        for statement in body:
            self.visit(statement)
        self._hidden.pop()
        if owner is not None:
            self._owners.pop()

    def _definition(self, node: ast.ClassDef, owner: set[str]) -> None:
        """A class: its body runs at once, its methods when it or what it makes is called."""
        for part in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(part)
        bases = self._ours(name for base in node.bases for name in _loads(base))
        self._owners.append(owner)
        for effects in self._effects():
            effects.mentions |= bases
        self._owners.pop()
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._function(statement, owner)
            else:
                self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self._made.imports[(alias.asname or top)] = (top, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self._made.judged = False
            self._made.imports[alias.asname or alias.name] = ((node.module or "").partition(".")[0], alias.name)  # fmt: skip
            self._judge(alias.name, UNJUDGED | UNJUDGED_ATTRIBUTES)

    def visit_Name(self, node: ast.Name) -> None:
        self._judge(node.id, UNJUDGED)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._judge(node.attr, UNJUDGED_ATTRIBUTES)
        if not isinstance(node.ctx, ast.Load):
            self._note_store(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._note_store(node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._note_store(node.target)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        path = _path(node.func)
        values = [*node.args, *(word.value for word in node.keywords)]
        if path == (SHOWS,) and any(map(_is_all_names, values)):
            self._made.shows = True
            values = [value for value in values if not _is_all_names(value)]
        ours = path if path and (not path[0] or self._is_ours(path[0])) else ()
        default = RESTORED.get(path[-1]) if path else None
        restores = default is not None and [v.value for v in values if isinstance(v, ast.Constant)] == [
            default
        ]
        changes = any(word.arg in ("out", "inplace") for word in node.keywords)
        called = self._ours([*_loads(node.func), *_roots(node.func)])
        arguments = self._ours(name for value in values for name in _handed_on(value))
        if ours or called or arguments or not path:
            for effects in self._effects():
                effects.calls.append(Call(ours, called, arguments, changes, restores))
                effects.mentions |= called | self._ours(name for value in values for name in _loads(value))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "modules" and not values:
            self.visit(node.func.value)  # a network's own; Python's list of modules cannot be called
        else:
            self.visit(node.func)
        for value in values:
            self.visit(value)

    def visit_Compare(self, node: ast.Compare) -> None:
        for part in [node.left, *node.comparators]:
            if _path(part) != (
                "sys",
                "modules",
            ):  # whether a module is there, as the lessons' first cell asks
                self.visit(part)

    def _judge(self, word: str, unjudged: set[str]) -> None:
        if word in unjudged:
            self._made.judged = False

    def _note_store(self, node: ast.expr) -> None:
        for name in filter(self._is_ours, _roots(node)):
            for effects in self._effects():
                effects.stores.add((name, not isinstance(getattr(node, "value", node), ast.Name)))

    def _note_reach(self, node: ast.AST) -> None:
        """What is bound or changed here may share objects with what is given to it."""
        match node:
            case ast.Assign(targets=targets, value=value):
                self._share(targets, [value])
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._share([target], [value])
            case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
                self._share([target], [value])
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._share([target], [value], PART)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._share([target], [value])
            case ast.Call(func=ast.Attribute(value=target, attr=method)) if not DRAWING.fullmatch(method):
                self._share([target], [*node.args, *(word.value for word in node.keywords)], HOLDS)
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                self._share([ast.Name(f"{name}()") for owner in self._owners[:1] for name in owner], [value])

    def _share(self, targets: Sequence[ast.expr], values: Sequence[ast.expr], how: str = SAME) -> None:
        found = {share for value in values for share in _shares(value) if self._is_ours(share[0])}
        for target in targets:
            if isinstance(target, (ast.Tuple, ast.List)):
                self._share(target.elts, values, PART)
                continue
            taken = how if isinstance(target, ast.Name) else HOLDS
            for name in _roots(target):
                self._made.reach |= {(name, _joined(taken, kind), x, calls) for x, kind, calls in found}
                if len(self._made.reach) > RELATED:
                    raise ValueError("too many names have to do with each other")


def _path(node: ast.expr) -> tuple[str, ...]:
    """The names of `a.b.c`; ("", "c") for the c of anything else, () if it has no name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*(_path(node.value) or ("",)), node.attr)
    return ()


def _roots(node: ast.expr) -> Iterator[str]:
    """The name at the root of `a.b[c].d`, or those whose objects may stand there."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        for part in node.elts:
            yield from _roots(part)
    else:
        yield from (name for name, _, _ in _shares(node))


def _joined(outer: str, inner: str) -> str:
    """What x has to do with z, if x (outer) y and y (inner) z: a part of what holds it may be z itself."""
    return inner if outer == SAME else outer


def _shares(node: ast.AST) -> frozenset[Share]:
    """Names with whose objects a value may have to do; noted on the node, for it is asked again."""
    if not hasattr(node, "shares"):
        found = set()
        for share in _find_shares(node):
            found.add(share)
            if len(found) > WIDEST:
                raise ValueError("a value has to do with too many names")
        node.shares = frozenset(found)  # type: ignore[attr-defined]
    return node.shares  # type: ignore[attr-defined, no-any-return]


def _find_shares(node: Any) -> Iterator[Share]:
    match node:
        case ast.Name(id=name):
            yield name, SAME, frozenset()
        case ast.Call(func=function):
            path = _path(function)
            given = [*node.args, *(word.value for word in node.keywords)]
            how = HOLDS if path and path[-1][:1].isupper() else PART
            if isinstance(function, ast.Name):
                yield f"{function.id}()", PART, frozenset()
            else:
                given.append(function)
            for part in given:
                yield from ((name, how, calls | ({path} - {()})) for name, _, calls in _shares(part))
        case ast.BinOp(op=ast.Add(), left=left, right=right):  # of lists: what is in them stays the same
            yield from ((name, HOLDS, calls) for part in (left, right) for name, _, calls in _shares(part))
        case ast.BinOp() | ast.UnaryOp() | ast.Compare() | ast.JoinedStr() | ast.Constant():
            return  # something new
        case ast.Lambda():
            yield from ((name, HOLDS, frozenset()) for name in _loads(node.body))
        case ast.Attribute() | ast.Subscript():
            yield from ((name, PART, calls) for name, _, calls in _shares(node.value))
        case _:
            holds = isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict, *_COMPREHENSIONS))
            for child in ast.iter_child_nodes(node):
                yield from ((n, HOLDS if holds else how, calls) for n, how, calls in _shares(child))


def _handed_on(node: ast.expr) -> Iterator[str]:
    """Names whose objects an argument hands on: what is computed from them is new."""
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Starred)):
        if isinstance(node, ast.Name) or _path_root(node):
            yield from [_path_root(node) or ""]
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for part in node.elts:
            yield from _handed_on(part)
    elif isinstance(node, ast.Dict):
        for part in node.values:
            yield from _handed_on(part)
    elif isinstance(node, (ast.IfExp, ast.BoolOp, ast.NamedExpr, *_COMPREHENSIONS, ast.Lambda)):
        yield from _loads(node)


def _path_root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_all_names(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "globals"
