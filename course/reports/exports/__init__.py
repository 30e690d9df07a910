"""`course export`: the marks, written into the gradebook that a platform gave, and into nothing else of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course.intake.names import slug
from course.intake.roster import Person, Roster, person_of
from course.intake.triage import printable
from course.model import CourseError, Lesson
from course.reports.exports.platforms import Column, Target
from course.reports.exports.spreadsheet import Field, Row, Spreadsheet, value_of
from course.reports.ledger import Entry, Ledger, Status

_LESSON = ("lesson", "lektion", "lezione", "lección", "leçon", "les", "unit", "assignment", "aufgabe")

# What stands where an assignment was taken off a student, or never given to them (Canvas: N/A): a mark in its place would put it on again.
_EXCUSED = ("ex", "n/a", "excused", "exempt", "befreit", "entschuldigt")

_UNDUE = "nothing handed in for a lesson without a deadline"

# What gives those a mark who have none.
_WAYS = {
    Status.READING: "`course read`; or --partial, for the points so far",
    Status.UNREADABLE: "`course report` says why",
    Status.COLLECTED: "`course grade`",
    Status.FAULT: "`course grade` once more",
    Status.MISSING: "a zero by --zeros",
    _UNDUE: "a zero by --zeros where the lesson is named: `course export LESSON ...`",
    "nothing of theirs": "`course report` names the file; `course collect FILE --student ID`, or --looked-at where its sender is somebody else; or --forget it",
}


@dataclass(frozen=True)
class Rules:
    """What counts as a mark.

    Args:
        zeros: who handed in nothing gets a zero; else nothing is written.
        partial: answers that a person has still to read count nothing meanwhile; else such a mark is not written.
        scale: a column of other points than the lesson's gets the same share of its own.
        column: heading of the column, where neither number nor title of the lesson tells.
        undue: lessons without a deadline that nobody named: they may not have begun, so that nothing is no zero.
    """

    zeros: bool = False
    partial: bool = False
    scale: bool = False
    column: str = ""
    undue: Collection[str] = ()


@dataclass
class Filled:
    """What was done to one lesson's column.

    Args:
        lesson, heading: which lesson, and the column as the file calls it.
        new: marks where there was none.
        changed: whose, from and to.
        same: marks that stood there already.
        left: why how many students of ours got no mark.
        unknown: lines of the file that are nobody of ours.
        absent: students with points who are not in the file.
        doubts: lines that were left as they were, and why.
        looks: whose mark stands on work that a person should look at, and why.
        cells: the fields to write anew.
    """

    lesson: Lesson
    heading: str
    new: int = 0
    changed: list[tuple[str, str, str]] = field(default_factory=list)
    same: int = 0
    left: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    cells: dict[Field, str] = field(default_factory=dict, repr=False)

    def lines(self) -> Iterator[str]:
        """What was done, for people."""
        yield (
            f"lesson {self.lesson.number} -> {printable(self.heading)}: {self.new} filled, {len(self.changed)} changed, "
            f"{self.same} were there already"
        )
        for who, before, after in self.changed:
            yield f"  changed: {printable(who)}: {printable(before)} -> {after}"
        for why, count in sorted(self.left.items()):
            way = next((way for status, way in _WAYS.items() if why.startswith(status)), "")
            yield f"  left as it was: {count} {why}" + (f" ({way})" if way else "")
        for title, names in (
            ("of the file, unknown here", self.unknown),
            ("of ours, not in the file", self.absent),
        ):
            if names:
                shown = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
                yield f"  {len(names)} {title}: {shown}"
        yield from (f"  {printable(doubt)}" for doubt in self.doubts)
        yield from (f"  to be looked at: {printable(look)}" for look in self.looks)
        if self.looks:
            yield "  (who has looked says so: `course collect --looked-at STUDENT:LESSON`)"


def fill(
    sheet: Spreadsheet,
    target: Target,
    ledger: Ledger,
    people: Sequence[Person],
    lessons: Sequence[Lesson],
    rules: Rules = Rules(),
) -> tuple[bytes, list[Filled]]:
    """Write marks into a platform's gradebook.

    Args:
        sheet: the gradebook, as it came.
        target: the platform.
        ledger: where everyone stands.
        people: the class list; who is in the ledger alone is known by id and name.
        lessons: whose marks; those that have no column are left out, if at least one has.
        rules: what counts as a mark.

    Returns:
        The file's new bytes, and what was done, lesson by lesson.

    Raises:
        CourseError: if no column fits or several do, one fits several lessons, its points are not the lesson's, or two lines are
            one student's.
    """
    columns = target.columns(sheet)
    if not columns:
        raise CourseError(
            f"{sheet.path} has no column that takes marks as {target.name} writes them; its columns are: {_listed(sheet.header.values)}"
        )
    if rules.column and len(lessons) != 1:
        raise CourseError("--column names one column: name the one lesson, too, whose marks belong there")
    chosen = {
        lesson.name: _column(sheet, columns, lesson, ledger.lessons, rules, len(lessons) == 1)
        for lesson in lessons
    }
    if not any(chosen.values()):
        raise CourseError(
            f"no column of {sheet.path} is called after {_listed([f'lesson {x.number}' for x in lessons])} or its title; name it by --column; "
            f"there are: {_listed([sheet.header.values[c.at] for c in columns])}"
        )
    known = {person.id for person in people}
    more = [
        Person(e.student, e.name)
        for e in {e.student: e for e in ledger.entries}.values()
        if e.student not in known
    ]
    _one_each(sheet, chosen, lessons)
    owners = _owners(sheet, target, Roster([*people, *more]))
    locked = {row for row in owners if target.locked(sheet, row)}
    done = [
        _fill(
            sheet,
            target,
            column,
            lesson,
            {e.student: e for e in ledger.of(lesson.name)},
            owners,
            locked,
            rules,
        )
        for lesson in lessons
        if (column := chosen[lesson.name])
    ]
    cells: dict[Field, str] = {}
    for filled in done:
        cells |= filled.cells
    return sheet.written(cells), done


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(printable(name)) for name in names) or "none"


def _column(
    sheet: Spreadsheet,
    columns: Sequence[Column],
    lesson: Lesson,
    lessons: Sequence[Lesson],
    rules: Rules,
    alone: bool,
) -> Column | None:
    """The column of a lesson: by its heading, else by the title or the number in it; None if there is none."""
    heading = {column.at: sheet.header.values[column.at] for column in columns}
    if rules.column:
        fits = [c for c in columns if rules.column.strip() in (heading[c.at].strip(), c.title)]
        if not fits:
            raise CourseError(
                f"no column of {sheet.path} that takes marks is called {rules.column!r}; there are: {_listed(list(heading.values()))}"
            )
    elif alone and len(columns) == 1 and not columns[0].title:
        fits = list(columns)  # the worksheet of one assignment says nowhere of which
    else:
        titles = {
            c: slug(re.sub(r"(?<=\d)[.,](?=\d)", "point", c.title)) for c in columns
        }  # Lesson 1.5 is not lesson 1
        fits = [c for c, title in titles.items() if title in _names(lesson)] or [
            c
            for c, title in titles.items()
            if any(f"_{name}_" in f"_{title}_" for name in _names(lesson))
            and not any(title in _names(other) for other in lessons if other != lesson)
        ]
    if len(fits) > 1:
        raise CourseError(
            f"several columns of {sheet.path} may be that of lesson {lesson.number}: {_listed([heading[c.at] for c in fits])}; "
            "name one by --column"
        )
    return fits[0] if fits else None


def _one_each(sheet: Spreadsheet, chosen: Mapping[str, Column | None], lessons: Sequence[Lesson]) -> None:
    """Make sure that no lesson's marks are written over another's.

    Raises:
        CourseError: if one column is taken for that of two lessons.
    """
    whose: dict[Column, Lesson] = {}
    for lesson in lessons:
        if column := chosen[lesson.name]:
            first = whose.setdefault(column, lesson)
            if first != lesson:
                raise CourseError(
                    f"the column {printable(sheet.header.values[column.at])!r} of {sheet.path} may be that of lesson {first.number} and of "
                    f"lesson {lesson.number}: give each a column on the platform, or export one lesson alone"
                )


def _names(lesson: Lesson) -> set[str]:
    """What a column of a lesson may be called."""
    numbers = {f"{slug(word)}_{form}" for word in _LESSON for form in (lesson.number, f"{lesson.number:02}")}
    return {slug(lesson.name), slug(lesson.topic), slug(lesson.title), *numbers} - {""}


def _owners(sheet: Spreadsheet, target: Target, roster: Roster) -> dict[Row, tuple[str, str, str]]:
    """For each line that takes a mark: the student, what the line calls them, and why it is nobody's for sure.

    Raises:
        CourseError: if two lines are one student's.
    """
    owners: dict[Row, tuple[str, str, str]] = {}
    lines: dict[str, int] = {}
    for row in sheet.rows:
        if not target.takes(sheet, row):
            continue
        person = person_of(
            {c.strip(): v.strip() for c, v in zip(sheet.header.values, row.values, strict=True) if c.strip()}
        )
        if person is None:
            continue
        named = [f"{person.first_name} {person.last_name}".strip()]
        own = target.number(sheet, row)
        student, count = roster.find([*(i for i in person.aliases if i != own), person.email, *named])
        numbered = not count and bool(
            own
        )  # the platform's number of somebody may be the school's of somebody else
        if numbered:
            student, count = roster.find([own])
        other, _ = roster.find(named)
        doubt = (
            f"line {row.line}: {person.name} may be {count} people of ours"
            if not student and count > 1
            else ""
        )
        if student and numbered and not _may_be(person.name, student, roster):
            doubt = f"line {row.line}: {person.name} has the number {own} there, {roster.name(student)} has it here"
        if student and other not in ("", student) and student not in roster.also(named[0], other):
            doubt = f"line {row.line}: the id is that of {roster.name(student)}, the name that of {roster.name(other)}"
        if student and not doubt and student in lines:
            raise CourseError(
                f"{sheet.path}: lines {lines[student]} and {row.line} are both taken for {roster.name(student)} ({student}); "
                "nothing was written: correct the class list or the file"
            )
        if student and not doubt:
            lines[student] = row.line
        owners[row] = (student, person.name, doubt)
    return owners


def _may_be(name: str, student: str, roster: Roster) -> bool:
    """Whether a name may be that of a student of ours: they share a word, or ours is not known."""
    known = roster.name(student)
    return known == student or bool({*slug(name).split("_")} & {*slug(known).split("_")})


def _fill(
    sheet: Spreadsheet,
    target: Target,
    column: Column,
    lesson: Lesson,
    entries: Mapping[str, Entry],
    owners: Mapping[Row, tuple[str, str, str]],
    locked: Collection[Row],
    rules: Rules,
) -> Filled:
    """Fill one column."""
    filled = Filled(lesson, sheet.header.values[column.at])
    full = next((entry.max_score for entry in entries.values() if entry.max_score), None)
    factor = 1.0
    if full and column.points is not None and column.points != full:
        if not rules.scale:
            raise CourseError(
                f"{sheet.path}: {filled.heading!r} is worth {column.points:g} points, lesson {lesson.number} is worth {full:g}: "
                f"set the column to {full:g} on the platform, or convert the marks by --scale"
            )
        factor = column.points / full
    seen = set()
    for row, (student, label, doubt) in owners.items():
        if doubt:
            filled.doubts.append(doubt)
        elif not student:
            filled.unknown.append(label)
        elif student not in entries:
            filled.left["nothing was collected from anybody"] += 1
        else:
            seen.add(student)
            if row in locked:
                filled.left["locked, says the file"] += 1
                continue
            _write(sheet, target, row, column, entries[student], factor, rules, filled)
    filled.absent += [
        f"{entry.name} ({student})"
        for student, entry in entries.items()
        if student not in seen and entry.mark is not None
    ]
    return filled


def _write(
    sheet: Spreadsheet,
    target: Target,
    row: Row,
    column: Column,
    entry: Entry,
    factor: float,
    rules: Rules,
    filled: Filled,
) -> None:
    """Put one mark into its field, if there is one and it says something new."""
    mark, old = _mark(entry, rules), row.fields[column.at]
    if old.value.strip().casefold() in _EXCUSED:
        filled.left[f"excused on the platform ({old.value.strip()})"] += 1
        return
    if mark is None:
        kept = "" if target.empty(old.value) else "; a mark of the file was kept"
        why = "nothing of theirs, while a file may be anybody's" if entry.stray else entry.status
        if entry.status is Status.MISSING and not entry.stray and entry.lesson in rules.undue:
            why = _UNDUE
        filled.left[f"{'not due yet' if entry.in_time else why}{kept}"] += 1
        return
    if entry.doubt:
        filled.looks.append(f"{entry.name} ({entry.student}): {entry.doubt}")
    new = sheet.number(mark * factor)
    before = value_of(old.value)
    if before is not None and abs(before - (value_of(new) or 0.0)) < 0.005:
        filled.same += 1
        return
    filled.cells[old] = new
    if target.empty(old.value):
        filled.new += 1
    else:
        filled.changed.append((f"{entry.name} ({entry.student})", old.value, new))


def _mark(entry: Entry, rules: Rules) -> float | None:
    """The mark that goes out, if one does."""
    if entry.final or (rules.partial and entry.status is Status.READING):
        return entry.mark
    nothing = entry.status is Status.MISSING and not entry.in_time and not entry.stray
    return 0.0 if rules.zeros and nothing and entry.lesson not in rules.undue else None


def beside(path: Path) -> Path:
    """Where the filled file goes: next to the one that came, which stays as it is."""
    return path.with_name(f"{path.stem}.filled{path.suffix}")
