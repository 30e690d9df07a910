"""What a grade depends on: which cells of a lesson neither an answer nor a check can notice.

Whatever a student wrote or changed runs, and so do setup cells and checks. A cell that came with the lesson and is as it came - a
demonstration, a figure, a training run - is spared if nothing that runs could notice it: it binds no name, changes no object and sets no
state that a running cell may use, in whatever order. What cannot be judged from its text runs. Here text is read; nothing is executed.

A wrong guess costs nobody a point: where a check does not pass, everything above it runs (`execute.run`).
"""

from __future__ import annotations

import builtins
import functools
import json
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from course.config import STUB
from course.editions.students import without_asserts
from course.grading.facts import DRAWING, PART, PURE_METHODS, SAME, SHOWS, Call, Effects, Facts, Path, facts
from course.grading.stand_ins import in_its_place
from course.model import Job

EVERYTHING = "<everything>"  # what cannot be judged may read and change all there is
RANDOM = "<random>"  # the generators that everybody draws from: those of random, numpy and torch
WORLD = "<world>"  # files, settings, modules: whatever runs may notice them
DRAWN = "<drawn>"  # a call of it draws from a generator that everybody draws from

# Held while text is parsed: Python counts how deep a syntax tree is in one place for all threads, and two that parse at once may break
# each other off with a SystemError (https://github.com/python/cpython/issues/106905).
PARSING = threading.Lock()
HISTORY = re.compile(r"_+|_i+|_i?\d+|_[oid]h|In|Out")  # IPython's memory of other cells
# Packages whose functions leave their arguments and the world alone, but for those whose names say otherwise.
PURE = {"IPython", "cmath", "collections", "contextlib", "copy", "dataclasses", "decimal", "fractions", "functools", "helpers", "itertools", "math", "matplotlib", "mnist1d", "numpy", "operator", "random", "re", "scipy", "sklearn", "statistics", "string", "textwrap", "time", "torch", "typing"}  # fmt: skip
CHANGES_ARGUMENTS = re.compile(r".*[^_]_|.*train.*|fit.*|step|shuffle|copyto|put.*|place|fill_diagonal|at|load_.*|register_.*|backward|vector_to_parameters")  # fmt: skip
SETS_STATE = re.compile(r"set_.*|use.*|rc|rcdefaults|rc_file.*|i?on|ioff|switch_backend|seterr.*|save.*|.*write.*|dump|enable_.*|disable_.*|register.*")  # fmt: skip
SEEDS = re.compile(r"seed|manual_seed.*|set_state|set_rng_state|setstate")
DRAWS = re.compile(r"rand.*|(standard_)?normal.*|uniform.*|shuffle|choices?|permutation|bernoulli|multinomial|sample|random_|.*_init_?|(kaiming|xavier)_.*|(Bi)?[lL]inear|Conv.*|Embedding|LSTM|GRU|RNN|Dropout.*|dropout.*|Transformer.*|MultiheadAttention|reset_parameters")  # fmt: skip
PURE_BUILTINS = {"abs", "all", "any", "bool", "bytes", "callable", "complex", "dict", "display", "divmod", "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hash", "id", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "pow", "print", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "super", "tuple", "type", "zip"}  # fmt: skip
NEW_BUILTINS = {"abs", "all", "any", "bool", "bytes", "callable", "complex", "display", "divmod", "float", "format", "hash", "id", "int", "isinstance", "issubclass", "len", "pow", "print", "range", "repr", "round", "str", "sum", "type"}  # fmt: skip
OUTWARD = {"breakpoint", "exit", "help", "input", "open", "quit"}
# What comes back may be the argument, a part of it, or hold it: a view, a container, an object (its class begins with a capital).
SHARES = re.compile(r"[A-Z].*|as(any|contiguous|fortran)?array|as_.*|from_.*|get|items|values|copy|parameters|ravel|reshape|view|squeeze|unsqueeze|transpose|permute|swapaxes|diagonal|detach|numpy|cpu|broadcast.*|atleast.*|partial|chain|cycle|repeat|islice|product|T|flat|expand.*|requires_grad_|to|real|imag|tensor_split|split|chunk|unbind|narrow|select")  # fmt: skip
# What changes a list, a dict or a set, and not what is in it.
SHALLOW = {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update"}  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """A code cell: its place, its facts, and whether it runs in any case; a check only reads."""

    position: int
    facts: Facts
    runs: bool
    check: bool


def spared(key: bytes, submitted: bytes) -> tuple[int, ...]:
    """Find the cells that a grade does not depend on.

    Args:
        key: the instructor's notebook, as JSON.
        submitted: the student's, in canonical form, as JSON.

    Returns:
        Positions in the submitted notebook, ascending.
    """
    with PARSING:
        steps = _steps(key, submitted)
    return tuple(sorted({s.position for s in steps if not s.runs} - running(steps)))


def _steps(key: bytes, submitted: bytes) -> list[_Step]:
    """Read a submission's code cells."""
    released = _released(key)
    steps, seen = [], set()
    for position, cell in enumerate(json.loads(submitted)["cells"]):
        name = grade_id(cell)
        original = released.get(name) if name else None
        mark = (original or {}).get("metadata", {}).get("nbgrader", {})
        check = bool(mark.get("grade") and not mark.get("solution"))
        taken = original if original and mark.get("locked") else cell
        text = _source(taken)
        if original and mark.get("solution") and not mark.get("grade"):
            text = in_its_place(name, text, _source(original))
        if (original or cell)["cell_type"] != "code" or "skip-execution" in tags(taken):
            continue
        twin = None if name else released.get(("id", cell.get("id")))
        ours = twin is not None and cell.get("id") not in seen and _source(cell) in _editions(_source(twin))
        seen.add(cell.get("id"))
        steps.append(_Step(position, facts(text), not ours, check))
    return steps


@functools.lru_cache(maxsize=32)
def _released(key: bytes) -> dict[Any, dict[str, Any]]:
    """The key's cells: those with a role by grade_id, the lesson's other code by ("id", id)."""
    found: dict[Any, dict[str, Any]] = {}
    for cell in json.loads(key)["cells"]:
        if name := grade_id(cell):
            found[name] = cell
        elif cell["cell_type"] == "code":
            found["id", cell.get("id")] = cell
    return found


@functools.lru_cache(maxsize=4096)
def _editions(source: str) -> tuple[str, str]:
    """A cell of the lesson's as the student edition shows it, and as the instructor's does."""
    return without_asserts(source), source


def grade_id(cell: dict[str, Any]) -> str:
    """A cell's grade_id, "" if it has none."""
    mark = cell["metadata"].get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else ""


def tags(cell: dict[str, Any]) -> list[Any]:
    """A cell's tags, whatever a submission put there."""
    found = cell["metadata"].get("tags")
    return found if isinstance(found, list) else []


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def only_untouched_stubs(job: Job) -> bool:
    """Tell whether what is still to be answered in a submission was never begun: each stub stands in a cell as it was released."""
    released = _released(job.key)
    for cell in json.loads(job.submission.notebook)["cells"]:
        if STUB[-1] in _source(cell) and cell["cell_type"] == "code":
            original = released.get(grade_id(cell))
            if original is None or _source(cell).strip() != without_solution(_source(original)).strip():
                return False
    return True


def without_solution(source: str) -> str:
    """An answer's cell as students get it: nbgrader's stub in place of each solution."""
    kept: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() == "### BEGIN SOLUTION":
            inside = True
            kept += [line[: len(line) - len(line.lstrip())] + stub for stub in STUB]
        elif line.strip() == "### END SOLUTION":
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def running(steps: Sequence[_Step]) -> set[int]:
    """Positions of the steps that run: those that do in any case, and what they may notice, until nothing is added."""
    whole = _Notebook([s.facts for s in steps if not s.check])
    runs = {s.position for s in steps if s.runs}
    needed = {WORLD}.union(*(whole.needs(s.facts, s.check) for s in steps if s.runs))
    does = {s.position: whole.effects(s.facts) for s in steps if not s.runs}
    waiting = [s for s in steps if not s.runs]
    while found := [
        s for s in waiting if EVERYTHING in needed | does[s.position] or does[s.position] & needed
    ]:
        runs |= {s.position for s in found}
        needed.update(*(whole.needs(s.facts) for s in found))
        waiting = [s for s in waiting if s.position not in runs]
    return runs


class _Notebook:
    """All cells together: what each name may stand for."""

    def __init__(self, cells: Sequence[Facts]):
        self._cells = cells
        bound = {name for cell in cells for name in cell.binds}
        self._solid = {name for name in bound if all(name in c.solid for c in cells if name in c.binds)}
        self._imports: dict[str, set[tuple[str, str]]] = {}
        for name in bound:
            if all(name in c.imports for c in cells if name in c.binds):
                self._imports[name] = {c.imports[name] for c in cells if name in c.binds}
        self._bound = bound
        self._kinds: dict[str, dict[str, set[str]]] = {}
        self._reach: dict[str, set[str]] = {}
        for cell in cells:
            for name, how, other, calls in cell.reach:
                if other not in self._solid and not any(map(self._gives_new, calls)):
                    self._reach.setdefault(name, set()).add(other)
                    self._kinds.setdefault(how, {}).setdefault(name, set()).add(other)
        self._later = self._what_calls_do()

    def needs(self, cell: Facts, check: bool = False) -> set[str]:
        """What a cell that runs may notice. A check runs elsewhere: of this notebook it reads names, nothing more."""
        if check:
            return cell.needs - cell.binds
        unbound = cell.needs - self._bound
        if not cell.judged or cell.shows or any(map(HISTORY.fullmatch, unbound)):
            return {EVERYTHING}
        draws = any(self._draws(call) for call in cell.now.calls)
        draws = draws or any(DRAWN in self._later.get(name, ()) for name in self._closure(cell.now.mentions))
        return cell.needs | ({RANDOM} if draws else set())

    def effects(self, cell: Facts) -> set[str]:
        """What a cell that runs may bind, change or set."""
        if not cell.judged or (cell.shows and self._package(SHOWS) != {"helpers"}):
            return {EVERYTHING}
        return cell.binds | self._done(cell.now)

    def _what_calls_do(self) -> dict[str, set[str]]:
        """Name -> what a call of it may change, set or draw from, functions that it calls included."""
        self._later = {}
        pending = [(name, effects) for cell in self._cells for name, effects in cell.later.items()]
        while True:
            before = {name: set(done) for name, done in self._later.items()}
            for name, effects in pending:
                done = self._done(effects)
                if any(map(self._draws, effects.calls)):
                    done.add(DRAWN)
                self._later.setdefault(name, set()).update(done)
            if self._later == before:
                return self._later

    def _done(self, effects: Effects) -> set[str]:
        shallow = {name for name, deep in effects.stores if not deep}
        touched, done = {name for name, deep in effects.stores if deep}, set()
        restored: set[Path] = set()
        for call in reversed(effects.calls):
            changed, state = self._called(call)
            if len(call.path) == 2 and call.path[0] in changed and call.path[-1] in SHALLOW:
                shallow |= changed
            else:
                touched |= changed
            done |= state if call.path not in restored else set()
            restored |= {call.path} if call.restores else set()
        if (touched | shallow) & self._imports.keys():
            done.add(WORLD)
        for name in self._closure(effects.mentions):
            done |= self._later.get(name, set())
        shallow = self._closure(shallow, self._kinds.get(SAME, {}))
        parts = self._kinds.get(PART, {})
        touched = self._closure(touched.union(*(parts.get(name, ()) for name in shallow)))
        return done | ((touched | shallow) & self._bound)

    def _gives_new(self, path: Path) -> bool:
        """Whether what a call gives back has nothing in common with its arguments."""
        base, last = path[0], path[-1]
        if len(path) == 1 and base not in self._bound:
            return base in NEW_BUILTINS
        if packages := self._package(base):
            names = {last} if len(path) > 1 else {there for _, there in self._imports[base]}
            return packages <= PURE and not any(map(SHARES.fullmatch, names))
        return len(path) > 1 and last in PURE_METHODS and not SHARES.fullmatch(last)

    def _called(self, call: Call) -> tuple[set[str], set[str]]:
        """What a call changes, and which state it sets."""
        arguments = set(call.arguments) - self._solid
        if not call.path or not call.path[0]:
            pure = call.path and call.path[-1] in PURE_METHODS
            return (set() if pure else arguments | (set(call.called) - self._solid)), set()
        base, last = call.path[0], call.path[-1]
        packages = self._package(base)
        if base not in self._bound and len(call.path) == 1 and hasattr(builtins, base):
            kind = getattr(builtins, base)
            pure = base in PURE_BUILTINS or (isinstance(kind, type) and issubclass(kind, BaseException))
            return (set() if pure else arguments), ({WORLD} if base in OUTWARD else set())
        if base not in self._bound or packages - PURE:
            return arguments, {WORLD}
        if packages:
            names = {last} if len(call.path) > 1 else {there for _, there in self._imports[base]}
            changes = call.changes or any(map(CHANGES_ARGUMENTS.fullmatch, names))
            state = {RANDOM} if any(map(SEEDS.fullmatch, names)) else set()
            if any(map(SETS_STATE.fullmatch, names)) and not call.restores and not state:
                state = {WORLD}
            return arguments if changes else set(), state
        if len(call.path) == 1:  # a function of the notebook's own
            return arguments, set()
        if last in PURE_METHODS:
            return set(), set()
        return ({base} if last in SHALLOW or DRAWING.fullmatch(last) else {base} | arguments), set()

    def _package(self, name: str) -> set[str]:
        return {package for package, _ in self._imports.get(name, ())}

    @staticmethod
    def _draws(call: Call) -> bool:
        return any(map(DRAWS.fullmatch, call.path[-1:]))

    def _closure(self, names: Iterable[str], reach: dict[str, set[str]] | None = None) -> set[str]:
        """Names, and those that can be got at from them; or along the given reach alone."""
        reach = self._reach if reach is None else reach
        found, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += reach.get(name, ())
        return found
