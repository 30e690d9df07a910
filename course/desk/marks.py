"""What every reader gave, in an append-only file of the classroom; the gradebook holds the mark that counts.

nbgrader has one manual score an answer. A second reader's mark, what a mark replaced and who settled a difference are
kept in `marks.jsonl`, a line each. Nothing in it is ever changed: a mark that is taken back gets a line that says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from course.store import LOG, append

FILE = "marks.jsonl"
PAUSE = 600.0  # seconds after which a reader was away, not reading
A_WHILE = 60.0  # seconds an answer, before a reader's own pace is known
ENOUGH = 4  # answers after which it is


@dataclass(frozen=True)
class Entry:
    """What the gradebook holds of an answer: the manual score, whether it waits for one, the comment."""

    score: float | None
    waiting: bool
    comment: str | None


@dataclass(frozen=True)
class Mark:
    """One reader's mark of one answer.

    Args:
        batch: marks given by one keystroke share it.
        time: when, in UTC, ISO 8601.
        reader: who.
        lesson, question, student: of what.
        score, comment: what was given.
        settles: given to decide between readers who differ.
        counted: it was written to the gradebook.
        digest: of the answer that was read; one that was handed in anew has another.
        before: what stood there until then.
    """

    batch: str
    time: str
    reader: str
    lesson: str
    question: str
    student: str
    score: float
    comment: str
    settles: bool
    counted: bool
    digest: str
    before: Entry

    @property
    def answer(self) -> tuple[str, str, str]:
        """What it is a mark of."""
        return (self.lesson, self.question, self.student)


def now() -> str:
    """This moment, as marks note it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def note(classroom: Path, marks: Sequence[Mark]) -> None:
    """Write marks down, together or not at all."""
    append(classroom / FILE, [json.dumps(asdict(mark), ensure_ascii=False) for mark in marks])


def take_back(classroom: Path, batch: str, reader: str) -> None:
    """Write down that a batch of marks does not stand."""
    append(
        classroom / FILE,
        [json.dumps({"undo": batch, "reader": reader, "time": now()}, ensure_ascii=False)],
    )


def standing(classroom: Path) -> list[Mark]:
    """Read the marks that were not taken back, in the order in which they were given.

    A line that cannot be read, as a full disk leaves one, is named in the log and left out.
    """
    path = classroom / FILE
    if not path.is_file():
        return []
    found: dict[str, list[Mark]] = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(
        text.split("\n"), 1
    ):  # JSON leaves other ends of lines in a comment as they are
        if not line.strip():
            continue
        try:
            said: dict[str, Any] = json.loads(line)
            if "undo" in said:
                _forget(found, said["undo"])
            else:
                mark = Mark(**{**said, "before": Entry(**said["before"])})
                found.setdefault(mark.batch, []).append(mark)
        except (ValueError, TypeError, KeyError):
            LOG.warning("%s, line %d is no mark and is left out: %.80r", path, number, line)
    return [mark for batch in found.values() for mark in batch]


def _forget(found: dict[str, list[Mark]], batch: str) -> None:
    """Leave a batch out, in place; what stood before it stood, then, before the marks that replaced it."""
    gone = {mark.answer: mark for mark in found.pop(batch, [])}
    for other, marks in found.items():
        found[other] = [
            replace(mark, before=gone[mark.answer].before)
            if mark.answer in gone and mark.before.score == gone[mark.answer].score
            else mark
            for mark in marks
        ]


def latest(
    marks: Iterable[Mark], lesson: str, question: str, digests: Mapping[str, str] | None = None
) -> dict[str, dict[str, Mark]]:
    """Sort the marks of a question.

    Args:
        marks: in the order in which they were given.
        lesson, question: of what.
        digests: of the answers as they are now, by student; marks of others are left out. None keeps all.

    Returns:
        student -> reader -> the reader's last mark, the last one last.
    """
    found: dict[str, dict[str, Mark]] = {}
    for mark in marks:
        now = digests is None or digests.get(mark.student) == mark.digest
        if (mark.lesson, mark.question) == (lesson, question) and now:
            by_reader = found.setdefault(mark.student, {})
            by_reader.pop(mark.reader, None)
            by_reader[mark.reader] = mark
    return found


def by_student(marks: Iterable[Mark], lesson: str, question: str) -> dict[str, list[Mark]]:
    """Sort all marks of a question by student, those of earlier texts, too; each student's in their order."""
    found: dict[str, list[Mark]] = {}
    for mark in marks:
        if (mark.lesson, mark.question) == (lesson, question):
            found.setdefault(mark.student, []).append(mark)
    return found


@dataclass(frozen=True)
class Agreement:
    """How two readers agree on the answers that both have read.

    Args:
        readers: whose marks.
        answers: how many both have read.
        equal: how many got one mark from both.
        kappa: Cohen's; None where it says nothing, since all marks of both are one and the same.
    """

    readers: tuple[str, str]
    answers: int
    equal: int
    kappa: float | None


def agreements(given: Mapping[str, Mapping[str, Mark]]) -> list[Agreement]:
    """Compare all readers, two by two. A mark that settles is nobody's own reading, and is left out.

    Args:
        given: student -> reader -> mark.

    Returns:
        For each two who read at least one answer both.
    """
    own = {
        student: {reader: mark.score for reader, mark in marks.items() if not mark.settles}
        for student, marks in given.items()
    }
    readers = sorted({reader for marks in own.values() for reader in marks})
    found = []
    for at, one in enumerate(readers):
        for other in readers[at + 1 :]:
            pairs = [(m[one], m[other]) for m in own.values() if one in m and other in m]
            if pairs:
                equal = sum(a == b for a, b in pairs)
                found.append(Agreement((one, other), len(pairs), equal, kappa(pairs)))
    return found


def kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Cohen's kappa: how far two readers agree beyond what their habits alone would bring about.

    Args:
        pairs: both marks of each answer; at least one.

    Returns:
        1 for full agreement, 0 for chance; None if both gave one mark only, and the same.

    Source: J. Cohen, "A coefficient of agreement for nominal scales" (1960).
    """
    count = len(pairs)
    observed = sum(a == b for a, b in pairs) / count
    ones, others = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(ones[mark] * others[mark] for mark in ones) / count**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def pace(marks: Iterable[Mark], reader: str) -> float:
    """Tell how many seconds a reader takes for an answer: the median time between two keystrokes, breaks left out."""
    times = sorted({mark.batch: mark.time for mark in marks if mark.reader == reader}.values())
    gaps = [
        (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
        for earlier, later in pairwise(times)
    ]
    reading = [gap for gap in gaps if 0 <= gap < PAUSE]
    return median(reading) if len(reading) >= ENOUGH else A_WHILE
