"""What a class did, in numbers: of each exercise how many solved it and what they were told, of each lesson the marks; no plot, no page."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import nbformat

from course.csvfile import read_csv
from course.editions.names import exercise_names
from course.grading.changes import Change, read_changes
from course.grading.gradebook import marks
from course.model import Course, Lesson, Mark
from course.reports.ledger import Ledger, Status
from course.store import Store

MINUTES = 2.0  # assumed for reading one answer
HINTS = 3
LABEL = 40  # characters beside an axis
Z = 1.959963984540054  # the normal distribution's quantile of 97.5 %


@dataclass(frozen=True)
class ExerciseFacts:
    """One graded cell over the class.

    Args:
        cell: its grade_id.
        written: an open question.
        count: how many were judged.
        solved: of these, with full points.
        low, high: Wilson interval of the share that solves it, 95 %.
        mean: of the points, as a share.
        waiting: answers nobody has read yet.
        hints: the most frequent, with the number of students who are stuck there.
        title: its heading in the lesson; empty if that is not known.
    """

    cell: str
    written: bool
    count: int
    solved: int
    low: float
    high: float
    mean: float
    waiting: int
    hints: tuple[tuple[str, int], ...] = ()
    title: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.title or re.sub(r"_(check|question|response)$", "", self.cell).replace("_", " ")

    @property
    def label(self) -> str:
        """Its name beside an axis: `3 · The loop, done properly`; a question has a Q."""
        short = re.sub(r"^Exercise (?=\d)", "", self.name).replace("Question", "Q", 1)
        return textwrap.shorten(short, LABEL, placeholder=" …")


@dataclass(frozen=True)
class LessonFacts:
    """One lesson over the class.

    Args:
        lesson: which.
        full: its points.
        exercises: in the lesson's order where that is known.
        students: ids of those with a score, the best first.
        shares: for each exercise and student the share of its points; None where it waits for a person.
        marks: complete ones.
        partial: points of those whose answers have still to be read.
        cpu: seconds of computing, by student.
    """

    lesson: Lesson
    full: float
    exercises: tuple[ExerciseFacts, ...]
    students: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]
    marks: tuple[float, ...]
    partial: tuple[float, ...] = ()
    cpu: Mapping[str, float] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Answers that nobody has read yet."""
        return sum(exercise.waiting for exercise in self.exercises)

    @property
    def cpu_median(self) -> float:
        """Seconds of computing that the middle submission took."""
        return median(self.cpu.values()) if self.cpu else 0.0

    @property
    def slowest(self) -> list[tuple[str, float]]:
        """The three that took longest."""
        return sorted(self.cpu.items(), key=lambda it: -it[1])[:3]


@dataclass(frozen=True)
class ClassFacts:
    """The class: where everyone stands, each lesson's facts, what a person may look at, what grading again changed."""

    ledger: Ledger
    lessons: tuple[LessonFacts, ...]
    flags: tuple[tuple[str, str, str], ...] = ()
    changes: tuple[Change, ...] = ()
    minutes: float = MINUTES

    @property
    def reading(self) -> float:
        """Minutes of reading that are left."""
        return self.minutes * sum(lesson.waiting for lesson in self.lessons)


def wilson(solved: int, count: int) -> tuple[float, float]:
    """Give the interval in which the share lies, at 95 %.

    Args:
        solved: successes.
        count: trials; 0 leaves everything open.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if not count:
        return 0.0, 1.0
    share, square = solved / count, Z * Z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def common_hints(told: Iterable[str], most: int = HINTS) -> tuple[tuple[str, int], ...]:
    """Count hints; those that differ in nothing but numbers are one, shown as it was said most often."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for hint in told:
        groups[re.sub(r"[-+]?\d[\d.e+-]*", "#", hint)][hint] += 1
    ranked = sorted(groups.values(), key=lambda said: (-said.total(), min(said)))
    return tuple((said.most_common(1)[0][0], said.total()) for said in ranked[:most])


def lesson_facts(lesson: Lesson, of: Sequence[Mark], receipts: Mapping[str, Mapping[str, Any]], ledger: Ledger, names: Mapping[str, str] | None = None) -> LessonFacts:  # fmt: skip
    """Put together what one lesson's marks and receipts say.

    Args:
        lesson: which.
        of: its marks.
        receipts: by student.
        ledger: where everyone stands.
        names: what people call the exercises, by grade_id, in the lesson's order; others come last.
    """
    names = names or {}
    order = {cell: at for at, cell in enumerate(names)}
    by_cell: dict[str, dict[str, Mark]] = defaultdict(dict)
    for mark in of:
        by_cell[mark.cell][mark.student] = mark
    totals: Counter[str] = Counter()
    for mark in of:
        totals[mark.student] += mark.score  # type: ignore[assignment]  # a Counter of points
    students = tuple(sorted(totals, key=lambda student: (-totals[student], student)))
    exercises, shares = [], []
    for cell, given in sorted(
        by_cell.items(),
        key=lambda it: (order.get(it[0], len(order)), next(iter(it[1].values())).written, it[0]),
    ):
        judged = [mark for mark in given.values() if not mark.waiting]
        solved = sum(mark.score >= mark.max_score for mark in judged)
        told = [hint for student in given if (hint := _hint(receipts.get(student, {}), cell))]
        mean = sum(mark.score / mark.max_score for mark in judged if mark.max_score) / max(1, len(judged))
        written = next(iter(given.values())).written
        exercises.append(
            ExerciseFacts(
                cell,
                written,
                len(judged),
                solved,
                *wilson(solved, len(judged)),
                mean,
                len(given) - len(judged),
                common_hints(told),
                names.get(cell, ""),
            )
        )
        shares.append(tuple(_share(given.get(student)) for student in students))
    complete = tuple(e.mark for e in ledger.of(lesson.name) if e.final and e.mark is not None)
    partial = tuple(e.mark for e in ledger.of(lesson.name) if not e.final and e.mark is not None)
    full = next((e.max_score for e in ledger.of(lesson.name) if e.max_score), 0.0)
    cpu = {student: float(r["cpu_seconds"]) for student, r in receipts.items() if r.get("cpu_seconds")}
    return LessonFacts(lesson, full, tuple(exercises), students, tuple(shares), complete, partial, cpu)


def _hint(receipt: Mapping[str, Any], cell: str) -> str:
    """What a check told a student who did not pass."""
    verdict = receipt.get("verdicts", {}).get(cell, {})
    return "" if verdict.get("passed", True) else str(verdict.get("hint") or verdict.get("name") or "")


def _share(mark: Mark | None) -> float | None:
    """The share of a cell's points; None where nothing is decided."""
    if mark is None or mark.waiting or not mark.max_score:
        return None
    return min(1.0, mark.score / mark.max_score)


def read_class(course: Course, ledger: Ledger, minutes: float = MINUTES) -> ClassFacts:
    """Read everything that the class report shows.

    Args:
        course: the checkout and its classroom.
        ledger: where everyone stands.
        minutes: assumed for reading one answer.
    """
    store = Store(course.classroom)
    of: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks(course):
        of[mark.lesson].append(mark)
    lessons = [
        lesson_facts(
            lesson,
            of[lesson.name],
            {
                student: store.receipt(student, lesson.name)
                for student in {m.student for m in of[lesson.name]}
            },
            ledger,
            _names(course, lesson),
        )
        for lesson in ledger.lessons
        if of[lesson.name]
    ]
    triage = course.classroom / "triage.csv"
    rows = read_csv(triage) if triage.is_file() else []
    flags = tuple(
        (row.get("student", ""), row.get("lesson", ""), row["look"]) for row in rows if row.get("look")
    )
    return ClassFacts(ledger, tuple(lessons), flags, tuple(read_changes(store)), minutes)


def _names(course: Course, lesson: Lesson) -> dict[str, str]:
    """What people call the exercises, in the lesson's order; nothing where the student edition is not built."""
    release = course.release(lesson)
    return exercise_names(nbformat.read(release, as_version=4).cells) if release.is_file() else {}


def needs_a_person(ledger: Ledger) -> list[tuple[str, str, Status, str]]:
    """What somebody should look at: name, lesson, status, reason; answers to read are counted elsewhere."""
    return [
        (f"{e.name} ({e.student})", e.lesson, e.status, e.reason)
        for e in ledger.entries
        if e.status in (Status.UNREADABLE, Status.FAULT, Status.COLLECTED)
        or (e.status is Status.READING and e.reason != "answers to read")
        or e.doubt
    ]
