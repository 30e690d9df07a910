"""`python -m tests.bench`: how fast a class is graded, against stock nbgrader on the same submissions.

Stock is `nbgrader autograde` in a plain nbgrader course that is made from the same lessons; ours is `course grade`, with cells that no grade
depends on spared, with all cells (`--full`), and, where `--ways` names it, without the warm template (`--cold`). They take turns, so that a
busy moment of the machine meets all of them. CPU seconds are the whole machine's (/proc/stat). The floor is what the cells cost by themselves, in an
interpreter that has imported everything, with as many such interpreters at work as there are cores: grading keeps them all busy, and
cores that share their parts are slower together. For `--full` these are the cells of what the class hands in. It takes its turn beside the classes of `--full`: it, too,
varies, and ratios are of what one round measured. The scores must be equal, cell by cell.

All takes hours. What was measured of this very code on this machine is kept in build/, and a run that was stopped goes on from there; the page is written after each round.

    python -m tests.bench --lessons 1 --rounds 1 --sizes 2 4 --growth --elsewhere 0      # a part of it
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from course.config import CLASSROOM, STUB, grader_config, load_course
from course.editions.source import is_role
from course.grading.job import code_hash
from course.grading.slice import spared
from course.model import Course, Lesson
from course.store import notebook_text, write_text
from tests import bench_shortcut
from tests.anatomy import anatomy
from tests.cluster import cluster
from tests.postgres import server
from tests.sample_class import RECIPES, filled, solutions

COURSE = load_course()
WAYS = {"stock": [], "sliced": [], "full": ["--full"], "cold": ["--cold"]}
# Who hands in, again and again: mostly right work, one half done, one blank, one with a wrong answer.
# The second's cells take about what the class's do on the average, never much more: they are stock's difference.
CLASS = ("ada", "blaise", "henri", "lea", "grace", "dora", "wrong", "ada")
# Submissions of the smaller and of the larger class. Ours differ by whole CLASSes, so that who hands in is the same in the difference.
# Stock does one after the other; for it one more says as much.
SIZES = {"stock": (1, 2), "sliced": (8, 24), "full": (2, 10), "cold": (2, 10)}
BOTH = ("wall", "cpu")
_, DASK, POSTGRES = PLACES = (
    "a process a core, SQLite",
    "a Dask worker a core, SQLite",
    "a process a core, PostgreSQL",
)
STUDENTS, LESSONS = 300, 10  # of the course that is projected
PLAIN = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.course_id = "plain"
c.ClearMarkScheme.enforce_metadata = False
c.ClearSolutions.code_stub = {{"python": {code!r}}}
c.ClearSolutions.text_stub = {text!r}
c.ExecutePreprocessor.timeout = 600
"""


@dataclass(frozen=True)
class Run:
    """One run: what it took on the clock, of the machine's computing, of the run's own processes' as far as they were waited for,
    and the score of each cell."""

    wall: float
    cpu: float
    own: float
    scores: dict[str, float | None]


def one_wrong(lesson: Lesson):
    """All right but for the first exercise."""
    from tests.bank import bank, exercises

    first = exercises(lesson)[0]
    return filled(lesson, solutions(lesson) | {first: bank(lesson).wrong[first][0].source})


def handed_in(lesson: Lesson, number: int, people: Sequence[str]) -> str:
    """The submission of a student: no two that answer anything are alike."""
    who = people[number % len(people)]
    notebook = one_wrong(lesson) if who == "wrong" else RECIPES[who](lesson)
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_role(cell, "answer") and STUB[-1] not in cell.source:
            cell.source += f"\n# student {number}"
    return notebook_text(notebook)


def busy() -> float:
    """Seconds that this machine's processors have been at work since it was started, but for programs of lower priority."""
    user, _, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def children() -> float:
    """CPU seconds of all processes that this one has started and waited for, their children included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(words: list[str], folder: Path, **environment: str) -> tuple[float, float, float]:
    """Run a command; give seconds on the clock, of the whole machine, and of its own processes.

    Raises:
        RuntimeError: with what it said, if it fails.
    """
    start, cpu, own = time.monotonic(), busy(), children()
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    took = time.monotonic() - start, busy() - cpu, children() - own
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {(done.stdout + done.stderr)[-3000:]}")
    return took


def tool(name: str) -> str:
    """The path of a command of this environment."""
    return str(Path(sys.executable).with_name(name))


@dataclass(frozen=True)
class Bench:
    """Two courses with the same submissions of one lesson, ready to be graded.

    Args:
        lesson: which.
        plain, ours: nbgrader's plain course, and our classroom; both registered and not graded.
    """

    lesson: Lesson
    plain: Path
    ours: Path

    def run(self, way: str, count: int, scheduler: str = "", database: str = "") -> Run:
        """Grade the first `count` submissions, in a copy; execute and record elsewhere, where it is said."""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            room = Path(folder, "room")
            shutil.copytree(self.plain if way == "stock" else self.ours, room)
            for student in sorted((room / "submitted").iterdir())[count:]:
                shutil.rmtree(student)
            if way == "stock":
                write_text(room / "nbgrader_config.py", plain_config(room))
                words = [tool("nbgrader"), "autograde", self.lesson.name]
                took = timed(words, room)
            else:
                words = [tool("course"), "grade", self.lesson.name, *WAYS[way]]
                words += ["--dask", scheduler] if scheduler else []
                words += ["--db", database] if database else []
                took = timed(words, COURSE.root, **{CLASSROOM: str(room)})
            found = scores(replace(COURSE, classroom=room, database=database))
        if len({cell.split()[0] for cell in found}) != count:
            raise RuntimeError(f"{way}: {len(found)} scores of {count} submissions")
        return Run(*took, found)


def scores(course: Course) -> dict[str, float | None]:
    """The automatic score of each graded cell: "student grade_id" -> points."""
    from nbgrader.api import Gradebook

    with Gradebook(grader_config(course).CourseDirectory.db_url) as gradebook:
        return {
            f"{submission.student.id} {grade.name}": grade.auto_score
            for assignment in gradebook.assignments
            for submission in assignment.submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def plain_config(room: Path) -> str:
    """The settings of a plain course: nbgrader's own but for what an unanswered cell holds, which is in the submissions."""
    stubs = grader_config(COURSE).ClearSolutions
    return PLAIN.format(root=str(room), code=stubs.code_stub["python"], text=stubs.text_stub)


def prepared(folder: Path, lesson: Lesson, count: int, people: Sequence[str] = CLASS) -> Bench:
    """Hand the same work in to both courses."""
    from course.grading.gradebook import register

    plain, ours = folder / "plain", folder / "ours"
    course: Course = load_course(classroom=ours)
    for number in range(count):
        text = handed_in(lesson, number, people)
        for room in (plain, ours):
            write_text(room / "submitted" / f"s{number:03d}" / lesson.name / f"{lesson.name}.ipynb", text)
    register(course, lesson)
    write_text(plain / "nbgrader_config.py", plain_config(plain))
    source = plain / "source" / lesson.name / f"{lesson.name}.ipynb"
    write_text(source, COURSE.solution(lesson).read_text(encoding="utf-8"))
    timed([tool("nbgrader"), "generate_assignment", lesson.name], plain)
    return Bench(lesson, plain, ours)


FLOOR = """
import contextlib, importlib, io, json, os, pkgutil, sys, time, warnings
warnings.simplefilter("ignore")
import matplotlib; matplotlib.use("module://matplotlib_inline.backend_inline")  # figures are drawn, as in a notebook
import matplotlib.pyplot, matplotlib_inline.backend_inline, mnist1d.data, numpy, scipy.signal, sklearn.datasets, sympy, torch, torch._dynamo, helpers
for found in pkgutil.walk_packages(helpers.__path__, "helpers."):
    importlib.import_module(found.name)
torch.set_num_threads(1)
from IPython.core.interactiveshell import InteractiveShell
for cells in json.loads(sys.stdin.read()):
    if os.fork():
        if os.wait()[1]:
            sys.exit("an interpreter died of its cells")
        continue
    shell = InteractiveShell.instance()
    matplotlib_inline.backend_inline.configure_inline_support(shell, matplotlib.get_backend())
    wall, cpu, kinds, failed = time.monotonic(), time.process_time(), {"check": 0.0, "other": 0.0}, []
    for kind, source in cells:
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            result = shell.run_cell(source)
        kinds[kind] += time.process_time() - start
        failed += [] if result.success else [source]
    print(json.dumps([time.monotonic() - wall, time.process_time() - cpu, kinds["check"], failed]))
    sys.stdout.flush()
    os._exit(0)
"""


@dataclass(frozen=True)
class Floor:
    """The cells by themselves: how many, seconds on the clock, of computing, and of computing in checks."""

    cells: int
    wall: float
    cpu: float
    checks: float


def floor(lesson: Lesson, full: bool) -> Floor:
    """Run cells in interpreters that are forked from one that has imported everything, one a core; give the mean of the notebooks.

    Args:
        lesson: which.
        full: all cells of what a `CLASS` hands in; else, of the solved notebook, those that a grade depends on.

    Raises:
        RuntimeError: if an interpreter dies, or a cell of the solved notebook fails.
    """
    cores = len(os.sched_getaffinity(0))
    key = COURSE.solution(lesson).read_text(encoding="utf-8")
    notebooks = [handed_in(lesson, number, CLASS) for number in range(len(CLASS))] if full else [key] * cores
    skipped = () if full else spared(key.encode(), key.encode())
    cells = [[*runnable(notebook, skipped)] for notebook in notebooks]

    def run(some: list[list[tuple[str, str]]]) -> list[list[float]]:
        words = [sys.executable, "-c", FLOOR]
        done = subprocess.run(words, cwd=COURSE.root, text=True, input=json.dumps(some), capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        took = [json.loads(line) for line in done.stdout.splitlines()]
        if not full and (failed := [source for *_, sources in took for source in sources]):
            raise RuntimeError(f"{lesson.name}: {failed[0]}")
        return [numbers for *numbers, _ in took]

    with ThreadPoolExecutor(cores) as threads:
        shares = threads.map(run, [cells[core::cores] for core in range(cores)])
        each = zip(*(numbers for share in shares for numbers in share), strict=True)
        return Floor(len([*runnable(key, skipped)]), *map(statistics.mean, each))


def runnable(notebook: str, skipped: Sequence[int]) -> Iterator[tuple[str, str]]:
    """The code cells of a notebook that run, each a "check" or "other", and its source."""
    for at, cell in enumerate(json.loads(notebook)["cells"]):
        mark = cell["metadata"].get("nbgrader", {})
        if (
            cell["cell_type"] == "code"
            and "skip-execution" not in cell["metadata"].get("tags", [])
            and at not in skipped
        ):
            kind = "check" if mark.get("grade") and not mark.get("solution") else "other"
            yield kind, "".join(cell["source"])


def stages(lesson: Lesson, person: str, full: bool = False) -> dict[str, float]:
    """Where the time of one of this person's submissions goes, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = prepared(Path(folder), lesson, 6, [person])
        return anatomy(replace(load_course(classroom=bench.ours), full=full), lesson)


def import_seconds() -> float:
    """What importing the command takes on top of Python itself: the least of five."""

    def least(statement: str) -> float:
        def once() -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True, cwd=COURSE.root)
            return time.perf_counter() - start

        return min(once() for _ in range(5))

    return least("import course.cli") - least("pass")


Stages = dict[str, list[dict[str, float]]]  # lesson -> of right work, a wrong answer, all cells
Floors = dict[str, list[tuple[Floor, Floor]]]  # lesson -> a round: all cells, those that its grade needs
Runs = dict[tuple[str, int, str], list[Run]]  # lesson, number of submissions, way -> a run a round
Costs = list[tuple[float, float]]  # a round: seconds on the clock and of computing


class Measuring:
    """What is measured, and kept in a file: the same is not measured again.

    Args:
        kept: the file, of this code on this machine; it may be missing.
        folder: where courses are made ready.
    """

    def __init__(self, kept: Path, folder: Path):
        self._kept, self._folder = kept, folder
        self._known = json.loads(kept.read_text()) if kept.is_file() else {}
        self._benches: dict[tuple[str, int], Bench] = {}
        self._scores: dict[str, float | None] = {}
        self.found: Runs = defaultdict(list)
        self.floors: Floors = defaultdict(list)

    def keep(self, what: str, measure: Callable[..., Any], *about: Any) -> Any:
        """Give what was measured under this name, now if not before; it is of JSON's kinds."""
        if what not in self._known:
            self._known[what] = measure(*about)
            write_text(self._kept, json.dumps(self._known))
        return self._known[what]

    def run(
        self, lesson: Lesson, way: str, count: int, most: int, number: int, where: str = "", *there: str
    ) -> Run:
        """One run of a round; of a class of at most so many, its first submissions. `there` are scheduler and database, as `Bench.run` takes them.

        Raises:
            SystemExit: naming the cells, where two ways score differently.
        """

        def measure() -> dict[str, Any]:
            return asdict(self._bench(lesson, most).run(way, count, *there))

        what = ", ".join(
            filter(None, [lesson.name, f"{count} submissions", f"round {number + 1}", way, where])
        )
        made = Run(**self.keep(what, measure))
        say(f"{what}: {made.wall:.1f} s, {made.cpu:.1f} CPU s of the machine, {made.own:.1f} of its own")
        scored = {f"{lesson.name} {cell}": score for cell, score in made.scores.items()}
        if strange := [
            cell for cell, score in scored.items() if self._scores.setdefault(cell, score) != score
        ]:
            raise SystemExit(f"{what}: scores differ from those of an earlier run: {strange}")
        return made

    def _bench(self, lesson: Lesson, most: int) -> Bench:
        """A class of so many, handed in once."""
        if (lesson.name, most) not in self._benches:
            self._benches[lesson.name, most] = prepared(self._folder / f"{lesson.name} {most}", lesson, most)
        return self._benches[lesson.name, most]

    def floor(self, lesson: Lesson, full: bool, number: int) -> Floor:
        """The floor of a round."""
        what = f"{lesson.name}, round {number + 1}, floor of {'full' if full else 'sliced'}"
        made = Floor(**self.keep(what, lambda: asdict(floor(lesson, full))))
        say(f"{what}: {made.cpu:.2f} CPU s")
        return made

    def round(self, lesson: Lesson, sizes: dict[str, Sequence[int]], number: int) -> None:
        """Let the ways take turns once; each round begins with another, and the floor of all cells stands between the last way's classes."""
        turns = [(way, count) for way, counts in sizes.items() for count in counts]
        most = max(count for _, count in turns)
        part, whole = self.floor(lesson, False, number), None
        first = number % len(turns)
        for way, count in [*turns[first:], *turns[:first]]:
            if (way, count) == turns[-1]:
                whole = self.floor(lesson, True, number)
            self.found[lesson.name, count, way].append(self.run(lesson, way, count, most, number))
        self.floors[lesson.name].append((whole, part))

    def growth(self, lesson: Lesson, ways: Sequence[str], sizes: Sequence[int]) -> Runs:
        """Larger classes, once; without stock, which costs the same for each, one after the other."""
        return {
            (lesson.name, count, way): [self.run(lesson, way, count, max(sizes), 0)]
            for count in sizes
            for way in ways
            if way != "stock"
        }

    def elsewhere(self, lesson: Lesson, rounds: int) -> Runs:
        """The same class, executed by Dask workers of this machine, one a core, and recorded by a PostgreSQL server of it; its place is the way."""
        found: Runs = defaultdict(list)
        few, most = SIZES["sliced"]
        with cluster() as ground, server() as postgres:
            for core in os.sched_getaffinity(0):
                ground.work(f"core {core}", bare=False)
            self._bench(lesson, most).run("sliced", few, ground.address)  # now they are warm
            for number, place, count in itertools.product(range(rounds), PLACES, (few, most)):
                scheduler = ground.address if place == DASK else ""
                database = postgres.url(postgres.fresh()) if place == POSTGRES else ""
                run = self.run(lesson, "sliced", count, most, number, place, scheduler, database)
                found[lesson.name, count, place].append(run)
        return found

    def stages(self, lesson: Lesson, ways: Sequence[str]) -> list[dict[str, float]]:
        """Where the time goes: of right work, of a wrong answer, and of all cells of right work."""
        people = [("ada", False), ("wrong", False), *[("ada", True)] * ("full" in ways)]
        return [
            self.keep(f"{lesson.name}, stages of {who}, full: {full}", stages, lesson, who, full)
            for who, full in people
        ]


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def median(runs: Iterable[Run | Floor], what: str) -> float:
    """Over the rounds."""
    return statistics.median(getattr(run, what) for run in runs)


def middle(floors: Sequence[Floor]) -> Floor:
    """The median of each number."""
    return Floor(floors[0].cells, *(median(floors, what) for what in ("wall", "cpu", "checks")))


def marginal(found: Runs, lesson: str, way: str) -> Costs:
    """What one more submission costs, in each round: the slope over the sizes; the mean where there is one size."""
    sizes = sorted({count for name, count, w in found if name == lesson and w == way})

    def slope(runs: Sequence[Run], what: str) -> float:
        took = [getattr(run, what) for run in runs]
        return statistics.linear_regression(sizes, took).slope if len(sizes) > 1 else took[0] / sizes[0]

    rounds = zip(*(found[lesson, count, way] for count in sizes), strict=True)
    return [(slope(runs, "wall"), slope(runs, "cpu")) for runs in rounds]


def table(header: list[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table in markdown, with empty lines around it."""
    yield ""
    for cells in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(cells) + " |"
    yield ""


def page(
    found: Runs,
    growth: Runs,
    apart: Runs,
    floors: Floors,
    parts: Stages,
    layer: Sequence[Sequence[str]],
    options: argparse.Namespace,
) -> Iterator[str]:
    """The page, line by line."""
    ways = options.ways
    sizes = ", ".join(f"{way} {' and '.join(map(str, sizes_of(options)[way]))}" for way in ways)
    columns = [f"{way}, s / CPU s" for way in ways]
    yield "# How fast a class is graded"
    yield ""
    yield f"Measured on {date.today():%-d %B %Y} by `make bench`: {machine()}. Medians of rounds: {len(next(iter(floors.values())))}. Ours runs as many"
    yield "submissions at once as `course grade` does by itself, stock one after the other, as it does. CPU seconds are the whole machine's. The scores were equal, cell by cell,"
    yield f"in all runs. Importing the command takes {import_seconds():.2f} s."
    yield ""
    yield "## What one more submission costs"
    yield ""
    yield f"From classes of two sizes ({sizes}). Most work is right; of eight submissions one is half done, one blank, and one has a wrong answer,"
    yield "for which everything above its check is run once more."
    ratios = ["stock : sliced", *["full : floor", "full - floor, CPU s"] * ("full" in ways)]
    yield from table(["lesson", *columns, *ratios], costs(found, floors, ways))
    yield "## What a grade depends on"
    yield ""
    yield "Cells by themselves, in an interpreter that has imported everything, one a core at a time: of the solved notebook those that a grade depends on; and, the floor"
    yield "of full, all cells of what one class hands in."
    header = ["lesson", "cells run", "of", "CPU s", "of them checks", "CPU s of all cells"]
    each = {name: [middle(kind) for kind in zip(*rounds, strict=True)] for name, rounds in floors.items()}
    rows = [floor_row(name, [whole], [part]) for name, (whole, part) in each.items()]
    yield from table(header, [*rows, floor_row("all", *zip(*each.values(), strict=True))])
    yield "## Where the time goes"
    yield ""
    yield "Milliseconds of one submission, one after the other: right work; below it work with one wrong answer, which runs twice; and, where all cells"
    yield "were measured, right work of which all cells run. A submission is recorded while the next one begins, so that the rest may be below zero."
    header = ["lesson", *next(iter(parts.values()))[0]]
    yield from table(
        header,
        ([name, *(f"{1e3 * x:.0f}" for x in made.values())] for name, both in parts.items() for made in both),
    )
    for lesson in sorted({name for name, _, _ in growth}):
        ways = sorted({way for _, _, way in growth}, key=list(WAYS).index)
        columns = [f"{way}, s / CPU s" for way in ways]
        counts = sorted({count for _, count, _ in growth})
        yield f"## A larger class, lesson {lesson}"
        yield ""
        yield "A submission, on the average of its class."
        rows = [
            [str(n), *(pair(median(growth[lesson, n, w], x) / n for x in BOTH) for w in ways)] for n in counts
        ]
        rows += [["one more", *(pair(middle_of(marginal(growth, lesson, w))) for w in ways)]]
        yield from table(["submissions", *columns], rows)
        few, many = counts[len(counts) // 3], counts[-1]
        times = (
            f"{way} {median(growth[lesson, many, way], 'wall') / median(growth[lesson, few, way], 'wall'):.1f}"
            for way in ways
        )
        yield f"{many} submissions take as many times what {few} take: {', '.join(times)}."
        yield ""
    for lesson in sorted({name for name, _, _ in apart}):
        few, most = SIZES["sliced"]
        yield f"## Several machines, several graders, lesson {lesson}"
        yield ""
        yield "What `--dask` and `--db` cost by themselves: scheduler, warm workers and server run on this machine, too, and the database is empty."
        yield f"Cells sliced; medians of rounds: {len(next(iter(apart.values())))}."
        rows = [
            [
                place,
                *(pair(median(apart[lesson, n, place], x) for x in BOTH) for n in (few, most)),
                pair(middle_of(marginal(apart, lesson, place))),
            ]
            for place in PLACES
        ]
        header = [
            "executed by, recorded in",
            *(f"{n} submissions, s / CPU s" for n in (few, most)),
            "one more",
        ]
        yield from table(header, rows)
    hours = {
        way: statistics.mean(middle_of(marginal(found, n, way))[0] for n in floors)
        * STUDENTS
        * LESSONS
        / 3600
        for way in options.ways
    }
    yield "## Lesson 6's layer"
    yield ""
    yield "Forward and backward, against the plain formula and against the time in which memory can be copied as often (`tests/bench_shortcut.py`)."
    yield from table(bench_shortcut.HEADER, layer)
    yield "## A course"
    yield ""
    yield (
        f"Projected, {STUDENTS} students and {LESSONS} lessons as these are on average, in hours: "
        + ", ".join(f"{way} {took:.1f}" for way, took in hours.items())
        + "."
    )


def costs(found: Runs, floors: Floors, ways: list[str]) -> Iterator[list[str]]:
    """A row a lesson, and one for all of them: what one more submission costs each way."""
    cores = len(os.sched_getaffinity(0))
    each = {name: {way: marginal(found, name, way) for way in ways} for name in floors}
    for name, rounds in floors.items():
        each[name]["floor"] = [(whole.wall / cores, whole.cpu) for whole, _ in rounds]
    every = [*ways, "floor"]
    each["all"] = {
        way: [
            (sum(wall for wall, _ in lessons), sum(cpu for _, cpu in lessons))
            for lessons in zip(*(cost[way] for cost in each.values()), strict=True)
        ]
        for way in every
    }
    for name, cost in each.items():
        ratios = [ratio(cost, "stock", "sliced")]
        if "full" in ways:
            (_, full), (_, floor) = middle_of(cost["full"]), middle_of(cost["floor"])
            ratios += [ratio(cost, "full", "floor"), f"{full - floor:.2f}"]
        yield [name, *(pair(middle_of(cost[way])) for way in ways), *ratios]


def middle_of(rounds: Costs) -> tuple[float, float]:
    """The median of each number."""
    wall, cpu = (statistics.median(numbers) for numbers in zip(*rounds, strict=True))
    return wall, cpu


def floor_row(name: str, whole: Sequence[Floor], part: Sequence[Floor]) -> list[str]:
    """A row of floors, summed."""
    numbers = [sum(p.cpu for p in part), sum(p.checks for p in part), sum(w.cpu for w in whole)]
    return [
        name,
        str(sum(p.cells for p in part)),
        str(sum(w.cells for w in whole)),
        *(f"{x:.2f}" for x in numbers),
    ]


def pair(numbers: Iterable[float]) -> str:
    """Seconds on the clock and of computing."""
    return " / ".join(f"{x:.2f}" for x in numbers)


def ratio(cost: dict[str, Costs], dear: str, cheap: str) -> str:
    """How many times one way costs what another does, on the clock and in computing: the median of the rounds' ratios."""
    if not {dear, cheap} <= cost.keys():
        return ""
    rounds = zip(cost[dear], cost[cheap], strict=True)
    times = middle_of([(much[0] / little[0], much[1] / little[1]) for much, little in rounds])
    return " / ".join(f"{x:.1f}" if x > 5 else f"{x:.2f}" for x in times)


def machine() -> str:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    packages = ", ".join(f"{name} {version(name)}" for name in ("nbgrader", "torch", "numpy"))
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {memory} GiB, Python {platform.python_version()}, {packages}"


def sizes_of(options: argparse.Namespace) -> dict[str, Sequence[int]]:
    """Way -> how many submissions its classes have."""
    return {way: options.sizes or SIZES[way] for way in options.ways}


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lessons", nargs="+", help="all, where none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", type=int, nargs="+", help=f"submissions of each lesson, whichever way; by itself {SIZES}"
    )
    parser.add_argument(
        "--growth", type=int, nargs="*", default=[8, 16, 32, 64], help="submissions of lesson 1"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["stock", "sliced", "full"])
    parser.add_argument(
        "--elsewhere", type=int, default=3, help="rounds with Dask workers and a PostgreSQL server, lesson 1"
    )
    parser.add_argument(
        "--page", type=Path, help="by itself docs/speed.md for all lessons, build/speed.md for some"
    )
    options = parser.parse_args()
    lessons = [COURSE.lesson(name) for name in options.lessons] if options.lessons else COURSE.written
    target = options.page or COURSE.root / ("build" if options.lessons else "docs") / "speed.md"

    code = code_hash(*(COURSE.root / folder for folder in ("course", "helpers", "solutions")))
    where = hashlib.sha256(f"{code} {machine()}".encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measuring = Measuring(COURSE.root / "build" / f"bench-{where}.json", Path(folder))
        layer = measuring.keep("layer", list, bench_shortcut.rows())
        parts = {lesson.name: measuring.stages(lesson, options.ways) for lesson in lessons}

        def write(growth: Runs, apart: Runs) -> None:
            lines = page(measuring.found, growth, apart, measuring.floors, parts, layer, options)
            write_text(target, "\n".join(lines) + "\n")

        for number in range(options.rounds):
            for lesson in lessons:
                measuring.round(lesson, sizes_of(options), number)
            write({}, {})
        first = COURSE.lesson("1")
        growth = measuring.growth(first, options.ways, options.growth)
        write(growth, measuring.elsewhere(first, options.elsewhere) if options.elsewhere else {})
    print(target.read_text())


if __name__ == "__main__":
    main()
