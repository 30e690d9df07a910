"""Everyone has a row: the class list by the lessons, and where each student's lesson stands.

Zero points, nothing handed in and a file that nobody can read are three things, on the screen as in every file that is written from here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from course.csvfile import read_csv
from course.deadlines import Deadlines, read_deadlines, shown
from course.grading.changes import read_faults
from course.grading.gradebook import MadeOf, full_marks, made_of, returned, scores
from course.intake.roster import Person, Roster, read_roster
from course.intake.triage import (
    ANONYMOUS,
    IGNORED,
    OLDER,
    REPAIRED,
    TAKEN,
    UNLISTED,
    UNREADABLE,
    WAITING,
    WHOSE,
)
from course.model import Course, Lesson, Score, short_digest
from course.store import Store

Pair = tuple[str, str]  # student, lesson


class Status(StrEnum):
    """Where one student's lesson stands."""

    GRADED = "graded"
    READING = "waiting for a person"
    UNREADABLE = "unreadable"
    COLLECTED = "not graded yet"
    FAULT = "machine fault"
    MISSING = "missing"


@dataclass(frozen=True)
class Entry:
    """One student's one lesson.

    Args:
        student, name: id, and full name (the id where no name is known).
        lesson: name of the lesson.
        status: where it stands.
        score: points of the gradebook; None where there are none, which is not zero.
        max_score: what the lesson is worth; None where no gradebook says it.
        penalty: points taken off for lateness.
        late: by how much it came late, in words; empty if it did not, or nothing says so.
        reason: what a person should know: why there is no score, or what waits.
        doubt: what a person should look at although there are points; empty if nothing.
        in_time: nothing came, and it is not due yet.
        stray: nothing came, but a file may be theirs: nobody can tell whose it is, or its sender is not on the class list.
    """

    student: str
    name: str
    lesson: str
    status: Status
    score: float | None = None
    max_score: float | None = None
    penalty: float = 0.0
    late: str = ""
    reason: str = ""
    doubt: str = ""
    in_time: bool = False
    stray: bool = False

    @property
    def mark(self) -> float | None:
        """The points that count: the score without the penalty; None where there is no score, or it is of another file than the one that counts."""
        if self.score is None or self.status not in (Status.GRADED, Status.READING):
            return None
        return max(0.0, self.score - self.penalty)

    @property
    def outdated(self) -> bool:
        """Whether its points are those of another file than the one that counts."""
        return self.score is not None and self.status is Status.COLLECTED

    @property
    def final(self) -> bool:
        """Whether the mark is complete: graded, with nothing left to read."""
        return self.status is Status.GRADED and self.score is not None


@dataclass(frozen=True)
class Ledger:
    """The whole class.

    Args:
        lessons: the columns, in order.
        entries: one a student and lesson, by name.
        nobodys: files of which nobody can tell whose they are, or whose sender is not on the class list, with the reason.
    """

    lessons: tuple[Lesson, ...]
    entries: tuple[Entry, ...]
    nobodys: tuple[str, ...] = ()

    def of(self, lesson: str) -> list[Entry]:
        """The entries of one lesson."""
        return [entry for entry in self.entries if entry.lesson == lesson]

    def rows(self) -> dict[str, dict[str, Entry]]:
        """Student -> lesson -> entry, in the order of the entries."""
        table: dict[str, dict[str, Entry]] = {}
        for entry in self.entries:
            table.setdefault(entry.student, {})[entry.lesson] = entry
        return table

    def counts(self, lesson: str) -> Counter[Status]:
        """How many entries of a lesson have which status."""
        return Counter(entry.status for entry in self.of(lesson))


@dataclass(frozen=True)
class Sources:
    """What the classroom says, as it was read.

    Args:
        people: the class list; those who are not on it and handed in all the same get a row, too.
        scores: the gradebook's rows.
        triage: rows of `triage.csv`.
        placed: submissions that lie ready for grading -> whether nothing says that another file of theirs was graded.
        faults: submissions at which the machine failed -> why.
        full: lesson -> its points.
        deadlines: of the class.
    """

    people: Sequence[Person] = ()
    scores: Sequence[Score] = ()
    triage: Sequence[Mapping[str, str]] = ()
    placed: Mapping[Pair, bool] = field(default_factory=dict)
    faults: Mapping[Pair, str] = field(default_factory=dict)
    full: Mapping[str, float] = field(default_factory=dict)
    deadlines: Deadlines = field(default_factory=Deadlines)


def ledger(lessons: Sequence[Lesson], sources: Sources, now: datetime) -> Ledger:
    """Give every student an entry in every lesson that has begun: that somebody handed in, or whose deadline is over.

    Args:
        lessons: of the course, in order.
        sources: what the classroom says.
        now: with a time zone.
    """
    told: dict[Pair, list[Mapping[str, str]]] = defaultdict(list)
    for row in sources.triage:
        told[row.get("student", ""), row.get("lesson", "")].append(row)
    scored = {(score.student, score.lesson): score for score in sources.scores}
    begun = {lesson for _, lesson in [*scored, *told, *sources.placed, *sources.faults]}
    begun |= {lesson for lesson, due in sources.deadlines.lessons.items() if due <= now}
    names = _names(sources)
    columns = tuple(lesson for lesson in lessons if lesson.name in begun)
    entries = [
        _entry(student, name, lesson, scored.get((student, lesson.name)), told, sources, now)
        for student, name in names.items()
        for lesson in columns
    ]
    strays = [(row, why) for row in sources.triage if (why := _why_stray(row))]
    masked = Counter(row.get("lesson", "") for row in sources.triage if ANONYMOUS in row.get("notes", ""))
    of = {row.get("lesson", "") for row, _ in strays} | set(masked)
    entries = [
        replace(entry, stray=True)
        if entry.status is Status.MISSING and not entry.in_time and {entry.lesson, ""} & of
        else entry
        for entry in entries
    ]
    nobodys = [f"{row.get('file', '')}: {why}" for row, why in strays]
    nobodys += [
        f"{lesson}: {n} anonymous senders; who is missing cannot be told; once the names are out, collect them and --forget this download"
        for lesson, n in masked.items()
    ]
    return Ledger(columns, tuple(entries), tuple(nobodys))


def _why_stray(row: Mapping[str, str]) -> str:
    """Why a file of the triage may be anybody's; "" if it is not."""
    if not row.get("student"):
        return row.get("reason", "") if row.get("status") in (UNREADABLE, WAITING) else ""
    return row["doubts"] if any(word in row.get("doubts", "") for word in (UNLISTED, WHOSE)) else ""


def _names(sources: Sources) -> dict[str, str]:
    """Everyone's id and name: the class list, and who handed in without standing on it; by family name."""
    listed = {person.id: person for person in sources.people}
    names = {person.id: (person.last_name.casefold(), person.name) for person in sources.people}
    came = [*((row.get("student", ""), row.get("name", "")) for row in sources.triage)]
    came += [(score.student, "") for score in sources.scores]
    came += [(student, "") for student, _ in [*sources.placed, *sources.faults]]
    for student, name in came:
        if student and student not in listed and not names.get(student, ("", ""))[1].strip():
            names[student] = ("", name)
    return {
        student: name or student
        for student, (_, name) in sorted(names.items(), key=lambda it: (it[1][0] or it[0].casefold(), it[0]))
    }


def _entry(
    student: str,
    name: str,
    lesson: Lesson,
    score: Score | None,
    told: Mapping[Pair, Sequence[Mapping[str, str]]],
    sources: Sources,
    now: datetime,
) -> Entry:
    """Where one student's lesson stands. What only a person can decide goes before a score, a score before what is left to say."""
    pair = (student, lesson.name)
    entry = Entry(
        student, name, lesson.name, Status.MISSING, max_score=score.max_score if score else sources.full.get(lesson.name)
    )  # fmt: skip
    rows = [row for row in told.get(pair, ()) if row.get("status") not in (OLDER, IGNORED, "nothing")]
    if score:
        doubt = "; ".join(row["doubts"] for row in rows if row.get("doubts"))
        entry = replace(entry, score=score.score, penalty=score.penalty, doubt=doubt)
    entry = replace(entry, late=_late(pair, score, rows, sources.deadlines))
    if pair in sources.faults:
        return replace(entry, status=Status.FAULT, reason=sources.faults[pair])
    strays = [
        row
        for row in told.get((student, ""), ())
        if row.get("status") in (UNREADABLE, WAITING) and not row.get("confirmed")
    ]
    came = any(row.get("status") in (TAKEN, REPAIRED) for row in rows)
    asked = rows if came or not score else [*rows, *strays]  # a confirmed zero is of what was there
    open_rows = [
        row for row in asked if row.get("status") in (UNREADABLE, WAITING) and not row.get("confirmed")
    ]
    if pair in sources.placed and not (score and sources.placed[pair]):
        why = (
            "another file counts now than the one that was graded, or nothing says which one that was"
            if score
            else ""
        )
        return replace(entry, status=Status.COLLECTED, reason=why)
    if open_rows:
        row = open_rows[-1]
        unread = row.get("status") == UNREADABLE and not score
        return replace(
            entry, status=Status.UNREADABLE if unread else Status.READING, reason=row.get("reason", "")
        )
    if score:
        reason = "; ".join(filter(None, [entry.doubt, "answers to read" if score.waiting else ""]))
        return replace(entry, status=Status.READING if score.waiting else Status.GRADED, reason=reason)
    if strays:
        return replace(
            entry,
            status=Status.UNREADABLE,
            reason=f"{strays[-1].get('reason', '')} (no lesson could be told)",
        )
    if rows:  # a file came, and was taken
        return replace(
            entry,
            status=Status.COLLECTED,
            reason="what was collected is not in the classroom: collect it again",
        )
    due = sources.deadlines.of(*pair)
    return replace(entry, reason=f"due {shown(due)}", in_time=True) if due and due > now else entry


def _late(pair: Pair, score: Score | None, rows: Sequence[Mapping[str, str]], deadlines: Deadlines) -> str:
    """By how much a submission came late: by the deadline and its time, else by the platform's word.

    Canvas tells no times. There its word is all that is known, but of those who were granted more time here.
    """
    times = [time for row in rows if (time := row.get("time"))]
    seconds = score.seconds_late if score else deadlines.seconds_late(*pair, _time(max(times, default="")))
    if seconds > 0:
        return duration(seconds)
    if deadlines.of(*pair) and (times or pair in deadlines.granted):
        return ""
    return "marked late" if any(row.get("late") for row in rows) else ""


def _time(text: str) -> datetime | None:
    """A time of the triage's table; None where there is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def duration(seconds: float) -> str:
    """A time in its two largest units: `2 d 3 h`, `5 min`; a begun minute is one."""
    minutes = max(1, int(-(-seconds // 60)))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "min")) if n]
    return " ".join(parts[:2])


def read_ledger(course: Course, now: datetime | None = None) -> Ledger:
    """Read all that the classroom says, and give everyone a row.

    Args:
        course: the checkout and its classroom.
        now: which deadlines are over; the present if None.
    """
    return ledger(course.lessons, read_sources(course), now or datetime.now(UTC))


def read_sources(course: Course) -> Sources:
    """Read what the classroom says: class list, gradebook, triage, what lies ready, what failed."""
    graded = made_of(course)
    forgotten = returned(course, graded)
    kept, triage = course.classroom / "roster.csv", course.classroom / "triage.csv"
    people = read_roster(kept) if kept.is_file() else Roster([])
    return Sources(
        people.people,
        [score for score in scores(course) if (score.student, score.lesson) not in forgotten],
        read_csv(triage) if triage.is_file() else (),
        {
            (folder.parent.name, folder.name): _may_be_what_was_graded(graded, folder)
            for folder in sorted(course.classroom.glob("submitted/*/*"))
            if folder.joinpath(f"{folder.name}.ipynb").is_file()
        },
        read_faults(Store(course.classroom)),
        full_marks(course),
        read_deadlines(course),
    )


def _may_be_what_was_graded(graded: Mapping[tuple[str, str], MadeOf], folder: Path) -> bool:
    """Whether the grade was made of the notebook that lies ready, or nothing says of which.

    Where the receipt says that the gradebook knows it, and it does not, another gradebook was put in its place.
    """
    pair = folder.parent.name, folder.name
    if submission := graded.get(pair, MadeOf()).submission:
        return submission == short_digest((folder / f"{folder.name}.ipynb").read_bytes())
    return not Store(folder.parents[2]).receipt(*pair).get("in_gradebook")
