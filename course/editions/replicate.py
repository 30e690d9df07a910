"""`course replicate`: do a lesson's claims hold for other seeds, and on other processors?

Each run is a plain Python process that executes the lesson's code cells with another `SEED` (papermill's convention:
assigned right behind the cell tagged `parameters`) in an environment that lets numpy, OpenBLAS and torch use the
instructions of an older processor. In a claim's cell asserts are counted instead of raised (`claims`). A finished run
is a line of a file; what stands there under the same key is not run again.
"""

from __future__ import annotations

import ast
import datetime
import functools
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nbformat import NotebookNode
from rich.table import Column, Table

from course.editions import claims
from course.editions.build import helpers_imported
from course.editions.claims import Code, Result, Script
from course.editions.source import is_role, read_lesson
from course.model import Course, CourseError, Lesson
from helpers.statistics import interval

STRIDE = 1000  # set k is SEED = 1000 k: sets of up to a thousand seeds do not overlap
ENOUGH = (19, 20)  # a claim has to hold in 19 of 20 sets
CHECKS = "helpers.checks"  # judge learners; no claim needs them
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LIBRARIES = ("numpy", "scipy", "torch")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}

# What makes a library believe in an older processor. numpy's own switch is added on the machine: it knows its names.
PROCESSORS: dict[str, dict[str, str]] = {
    "plain": {},
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "baseline": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}
SWITCH = "NPY_DISABLE_CPU_FEATURES"
BEYOND = {
    "plain": (),
    "avx2": ("X86_V4", "AVX512"),
    "baseline": ("",),
}  # beginnings of the features to switch off

HEAD = """\
# Do the claims hold for other seeds, and on other processors?

Every claim of a lesson is an `assert` in its notebook. Here the lesson was run with other seeds, and as other
processors compute: `plain` with all instructions of the machine that is named, `avx2` with none beyond AVX2, `baseline`
with the oldest code paths of numpy, OpenBLAS and torch. A cell n/m says that the claim held in n of m sets of seeds; 19
of 20 are asked for, on each of the three. A section says which sets and processors it holds; where they are fewer, the
rest has not been run yet. A lesson that draws nothing at random runs once. The effect is the number that the claim is
about, where it has one: its mean over the sets with a 95 % interval, and the smallest and the largest of a single run.

Each section is written by `course replicate LESSON --markdown docs/replication.md`, which leaves the others as they
are; [CONTRIBUTING.md](../CONTRIBUTING.md#claims-that-replicate) says how to repeat it.
"""


@dataclass(frozen=True)
class Run:
    """One run to be made: a lesson's cells with the seeds of one set, on one processor."""

    lesson: str
    number: int  # of the set
    processor: str
    script: Script
    key: str  # hashes all that the outcome depends on


@dataclass(frozen=True)
class Replicated:
    """A run and what it gave."""

    lesson: str
    number: int
    processor: str
    outcome: Result


@dataclass(frozen=True)
class Standing:
    """What all runs together say of one claim: processor -> sets in which it held, of how many; its effect."""

    lesson: str
    claim: str
    held: dict[str, tuple[int, int]]
    effects: tuple[float, ...] = ()  # one a set, the mean over processors and seeds
    lowest: float = float("nan")
    highest: float = float("nan")

    @property
    def stands(self) -> bool:
        """Whether it held in at least 19 of 20 sets on every processor."""
        needed, of = ENOUGH
        return all(held * of >= needed * sets for held, sets in self.held.values())

    @property
    def effect(self) -> str:
        """Mean over the sets, with its 95 % interval where there are two sets or more; empty without an effect."""
        if len(self.effects) > 1:
            return f"{interval(np.array(self.effects)):.3g}"
        return f"{self.effects[0]:.3g}" if self.effects else ""

    @property
    def span(self) -> str:
        """The smallest and the largest effect of a run."""
        return f"{self.lowest:.3g} to {self.highest:.3g}" if self.effects else ""


def processors(names: Iterable[str] = PROCESSORS) -> dict[str, dict[str, str]]:
    """Give the environments that can be had on this machine.

    Args:
        names: of `PROCESSORS`.

    Returns:
        name -> variables of the child's environment. Where the machine is no x86, only "plain".

    Raises:
        CourseError: for an unknown name.
    """
    unknown = sorted(set(names) - set(PROCESSORS))
    if unknown:
        raise CourseError(f"no processor is called {unknown[0]!r}; there are {', '.join(PROCESSORS)} and all")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {name: PROCESSORS[name] for name in names if name == "plain"}
    return {name: PROCESSORS[name] | _without(numpy_features(), BEYOND[name]) for name in names}


def numpy_features() -> tuple[str, ...]:
    """Name the instruction sets that numpy has code for, this machine has, and that can be switched off."""
    core: Any = importlib.import_module("numpy._core._multiarray_umath")

    return tuple(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))


def _without(features: Iterable[str], beginnings: tuple[str, ...]) -> dict[str, str]:
    """numpy's switch for those features that begin so, beside those that are off already; no switch where there is none."""
    off = [name for name in features if name.startswith(beginnings)]
    return {SWITCH: " ".join([*os.environ.get(SWITCH, "").split(), *off])} if off else {}


def script(notebook: NotebookNode, seed: int | None) -> Script:
    """Take the cells of a run from a lesson.

    Args:
        notebook: as `read_lesson` gives it.
        seed: what `SEED` is set to behind the parameters; None leaves them alone.

    Returns:
        Its code cells without the bootstrap, the live ones, and all that judges a learner: no claim depends on a check.
    """
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or cell.id == "bootstrap" or "skip-execution" in tags:
            continue
        source = _unjudged(cell)
        if not source:
            continue
        claim = cell.metadata.get("claim", {})
        cells.append(Code(cell.id, source, claim.get("claim", ""), claim.get("effect", "")))
        if "parameters" in tags and seed is not None:
            cells.append(Code("injected-parameters", f"SEED = {seed}"))
    return Script(tuple(cells))


def _unjudged(cell: NotebookNode) -> str:
    """A cell's source without what is for the learner alone: imports of the checks, predictions, progress; of a check nothing."""
    tree = ast.parse(cell.source)
    if is_role(cell, "check") or all(_for_the_learner(node) for node in tree.body):
        return ""
    gone = {
        number
        for node in tree.body
        if _for_the_learner(node)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(cell.source.splitlines(), 1)
    return "\n".join(line for number, line in lines if number not in gone).strip()


def _for_the_learner(node: ast.stmt) -> bool:
    match node:
        case ast.ImportFrom(module=str(module)):
            return module.startswith(CHECKS)
        case ast.Expr(ast.Call(ast.Name("predict" | "reveal" | "progress"))):
            return True
    return False


def has_draw(notebook: NotebookNode) -> bool:
    """Tell whether a lesson has a parameters cell; one without draws nothing, and is run once."""
    return any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)


def plan(course: Course, lessons: Iterable[Lesson], sets: Iterable[int], names: Iterable[str]) -> list[Run]:
    """List the runs that were asked for.

    Args:
        course: the checkout.
        lessons: which.
        sets: their numbers; set k has SEED = 1000 k.
        names: of processors.

    Returns:
        The runs, lesson by lesson, set by set.
    """
    sets, names = list(sets), list(names)
    runs = []
    for lesson in lessons:
        notebook = read_lesson(course, lesson)
        state = _state(course, lesson)
        for number in sets if has_draw(notebook) else [0]:
            cells = script(notebook, STRIDE * number)
            # Without the ids: a cell of prose more shifts those of cells that have no name.
            text = json.dumps([(_plain(cell.source), cell.claim, cell.effect) for cell in cells.cells])
            for name in names:
                key = hashlib.sha256(f"{text}\0{state}\0{name}".encode()).hexdigest()
                runs.append(Run(lesson.name, number, name, cells, key))
    return runs


def _state(course: Course, lesson: Lesson) -> str:
    """What a run depends on beside its cells: the helpers but for the checks, the libraries, the machine."""
    digest = hashlib.sha256()
    for path in sorted(helpers_imported(course, course.source(lesson), without=CHECKS)):
        digest.update(
            f"{path.relative_to(course.root).as_posix()}\0{_plain(path.read_text('utf-8'))}".encode()
        )
    return "\0".join([digest.hexdigest(), *libraries(), processor_model()])


def _plain(source: str) -> str:
    """A source without comments and docstrings: words about code change no outcome."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def replicate(
    course: Course,
    runs: list[Run],
    environments: Mapping[str, Mapping[str, str]],
    out: Path,
    jobs: int = 2,
    told: Callable[[Run], None] = lambda run: None,
) -> list[Replicated]:
    """Make the runs, or take them from the file; each is written to it as soon as it ends.

    Args:
        course: the checkout; the runs start in its folder.
        runs: as `plan` lists them.
        environments: as `processors` gives them.
        out: a file of JSON lines; made if it is not there.
        jobs: how many run at once.
        told: called with each run as it ends, those from the file first.

    Returns:
        The outcomes, in the order of the runs.

    Raises:
        CourseError: if a process dies or does not end in time. What has ended by then is in the file.
    """
    found = recorded(out)
    for run in runs:
        if run.key in found:
            told(run)
    missing = [run for run in runs if run.key not in found]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_run, course, run, environments[run.processor]): run for run in missing}
        try:
            for future in as_completed(waiting):
                run = waiting[future]
                found[run.key] = future.result()
                file.write(json.dumps(_line(run, found[run.key])) + "\n")
                file.flush()
                told(run)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [Replicated(run.lesson, run.number, run.processor, found[run.key]) for run in runs]


def recorded(path: Path) -> dict[str, Result]:
    """Read key -> outcome from a file of JSON lines; a line that was cut off counts as not there."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            words = json.loads(line)
            found[words["key"]] = Result.from_json(json.dumps(words["outcome"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _line(run: Run, outcome: Result) -> dict[str, Any]:
    """What is written of a run: enough to be read by eye, and its key."""
    return {
        "lesson": run.lesson,
        "set": run.number,
        "processor": run.processor,
        "key": run.key,
        "outcome": asdict(outcome),
    }


def _run(course: Course, run: Run, environment: Mapping[str, str]) -> Result:
    """Run one script in a process of its own."""
    seconds = 200 + 60 * course.lesson(run.lesson).cpu_seconds
    where = f"{run.lesson}, set {run.number}, {run.processor}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", claims.__name__],
            input=json.dumps(asdict(run.script)),
            capture_output=True,
            text=True,
            cwd=course.root,
            env={**os.environ, **ONE_THREAD, **environment},
            timeout=seconds,
        )
        return Result.from_json(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise CourseError(f"{where}: not done after {seconds:g} s") from error
    except (ValueError, KeyError, TypeError) as error:
        *_, last = done.stderr.strip().splitlines() or ["it said nothing"]
        raise CourseError(f"{where}: the process died with status {done.returncode}: {last}") from error


def standings(runs: Iterable[Replicated]) -> list[Standing]:
    """Put all runs of each claim together, in the order in which they first appear."""
    seen: dict[tuple[str, str], list[tuple[Replicated, claims.Observed]]] = {}
    for run in runs:
        for name, observed in run.outcome.claims.items():
            seen.setdefault((run.lesson, name), []).append((run, observed))
    return [_verdict(lesson, claim, pairs) for (lesson, claim), pairs in seen.items()]


def _verdict(lesson: str, claim: str, pairs: list[tuple[Replicated, claims.Observed]]) -> Standing:
    held: dict[str, tuple[int, int]] = {}
    by_set: dict[int, list[float]] = {}
    for run, observed in pairs:
        before, sets = held.get(run.processor, (0, 0))
        held[run.processor] = before + observed.held, sets + 1
        if observed.effect:
            by_set.setdefault(run.number, []).append(float(np.mean(observed.effect)))
    single = [value for values in by_set.values() for value in values]
    if not single:
        return Standing(lesson, claim, held)
    means = tuple(float(np.mean(values)) for values in by_set.values())
    return Standing(lesson, claim, held, means, min(single), max(single))


def failures(runs: Iterable[Replicated]) -> Iterator[str]:
    """Say, for each run that went wrong somewhere, what failed: asserts of claims, cells that raised."""
    for run in runs:
        where = f"{run.lesson}, set {run.number} (SEED = {STRIDE * run.number}), {run.processor}"
        for name, observed in run.outcome.claims.items():
            for text in observed.failed:
                yield f"{where}: {name}: not {text}"
        for cell, error in run.outcome.errors.items():
            yield f"{where}: cell {cell!r} raised {error}"


def passed(runs: list[Replicated]) -> bool:
    """Tell whether every claim stands and no cell raised but a claim's (which counts as the claim's failure)."""
    beside = any(set(run.outcome.errors) - _claim_cells(run) for run in runs)
    return not beside and all(verdict.stands for verdict in standings(runs))


def _claim_cells(run: Replicated) -> set[str]:
    return {name.replace("_", "-")[:64] for name in run.outcome.claims}


def table(found: list[Standing], names: Iterable[str]) -> Table:
    """Lay the standings out for a terminal."""
    lesson, claim = (Column(head, overflow="fold") for head in ("lesson", "claim"))
    rows = Table(lesson, claim, *names, "effect [95 %]", "range", title="Sets in which each claim held")
    for row in found:
        cells = [f"{held}/{sets}" for held, sets in (row.held.get(name, (0, 0)) for name in names)]
        style = "" if row.stands else "red"
        rows.add_row(row.lesson, row.claim, *cells, row.effect, row.span, style=style)
    return rows


def markdown(
    runs: list[Replicated], names: Iterable[str], before: str = "", today: datetime.date | None = None
) -> str:
    """Write the standings as a page with one dated section per lesson.

    Args:
        runs: from `replicate`.
        names: of the processors.
        before: the page as it was; sections of lessons that were not run now are kept.
        today: the date; the day of the call if None.

    Returns:
        The text of the page.
    """
    names, today = list(names), today or datetime.date.today()
    _, *kept = before.split("\n## ")
    sections = {section.partition("\n")[0]: section.partition("\n")[2].strip("\n") for section in kept}
    for lesson in dict.fromkeys(run.lesson for run in runs):
        sections[lesson] = _section([run for run in runs if run.lesson == lesson], names, today)
    body = (f"## {lesson}\n\n{text}\n" for lesson, text in sorted(sections.items()))
    return "\n".join([HEAD, *body])


def _section(runs: list[Replicated], names: list[str], today: datetime.date) -> str:
    """Write what one lesson's runs gave: when, where, with which seeds; a row per claim; what failed."""
    head = ["claim", *names, "effect, mean over sets [95 %]", "range of runs"]
    rows = [
        [row.claim.replace("_", " "), *(_of(row.held.get(name)) for name in names), row.effect, row.span]
        for row in standings(runs)
    ]
    failed = [f"- {sentence}" for sentence in failures(runs)]
    return "\n".join(
        [
            f"{today}, {processor_model()} ({' '.join(numpy_features())}); {', '.join(libraries())}. "
            + _seeds({run.number for run in runs}),
            "",
            *(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]),
            *(["", "Where it did not hold:", "", *failed] if failed else []),
        ]
    )


def _seeds(sets: set[int]) -> str:
    """Say which sets of seeds were run."""
    first, last = min(sets), max(sets)
    if first == last:
        return f"Set {first}: SEED = {STRIDE * first}."
    return f"Sets {first} to {last}: SEED = {STRIDE * first} to {STRIDE * last} in steps of {STRIDE} ({len(sets)} sets)."


def _of(held: tuple[int, int] | None) -> str:
    return f"{held[0]}/{held[1]}" if held else "-"


def libraries() -> tuple[str, ...]:
    """Name Python and the numerical libraries with their versions."""
    return (f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES))


@functools.cache
def processor_model() -> str:
    """Name this machine's processor as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
