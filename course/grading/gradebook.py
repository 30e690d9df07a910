"""nbgrader's gradebook: opened, registered, amended and read; `recording` writes outcomes there."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC
from pathlib import Path
from typing import Any
from unittest.mock import patch

from nbformat import NotebookNode
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    MissingEntry,
    SourceCell,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import autograde
from nbgrader.plugins import BasePlugin
from nbgrader.preprocessors import (
    latesubmissions,
    overwritecells,
    overwritekernelspec,
    saveautogrades,
)
from nbgrader.utils import is_grade, is_locked, is_solution
from sqlalchemy import Column, MetaData, String, Table, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable
from traitlets import Dict

from course.config import gradebook_name, grader_config
from course.csvfile import write_csv
from course.deadlines import read_deadlines, utc
from course.editions.build import as_registered, generate
from course.grading.changes import note_faults, read_faults
from course.grading.slice import grade_id
from course.intake.archive import put_aside, vacant
from course.model import (
    Course,
    CourseError,
    LatePolicy,
    Lesson,
    Mark,
    Score,
    Submission,
    short_digest,
)
from course.store import WITHDRAWN, Store

# What a grade was made of stands in the transaction of the grade: beside a gradebook that was put back, receipts are newer than the grades.
MADE_OF = Table(
    "made_of",
    MetaData(),
    Column("notebook_id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("submission", String(16), nullable=False),
)
TO_ANOTHER = "To an earlier file: "  # begins a comment that a person gave to that
# Advisory locks of a PostgreSQL database, for graders that share it from several machines: who holds one, makes the tables or writes.
TABLES, PEN = 0x5C1D_0001, 0x5C1D_0002
# What PostgreSQL says, and the way out.
REMEDIES = {
    "authentication failed": "the user or the password is wrong: put the right ones into --db, ~/.pgpass or PGPASSWORD",
    "no password supplied": "it wants a password: put it into ~/.pgpass or PGPASSWORD",
    "role ": "there is no such user: name another in --db, or make it by `createuser`",
    "database ": "make it by `createdb`, or name another in --db",
    "permission denied": "the user must be allowed to make tables there and write to them",
    "connection ": "is the server running, and are host and port right? Then run the same command again",
}
# What SQLite says where the machine refuses, and the file is as it was.
REFUSED = ("is full", "is locked", "readonly", "unable to open", "disk I/O")


@contextmanager
def in_one(gradebook: Gradebook) -> Iterator[None]:
    """Let nbgrader's steps, each of which opens the gradebook and commits often, use an open one, in one transaction.

    Where graders share a database, the transaction waits for its turn first: what it reads there nobody changes meanwhile.
    """
    modules = (autograde, overwritecells, overwritekernelspec, saveautogrades, latesubmissions)
    session, commit = gradebook.db, gradebook.db.commit
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(patch.object(module, "Gradebook", _Lent(gradebook)))
        stack.enter_context(patch.object(session, "commit", session.flush))
        try:
            if gradebook.engine.dialect.name == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": PEN})
            yield
            commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.expunge_all()


class _Lent:
    """Stands where nbgrader opens a gradebook: gives the one that is open, and leaves it open."""

    def __init__(self, gradebook: Gradebook):
        self._gradebook = gradebook

    def __call__(self, *_: Any) -> _Lent:
        return self

    def __enter__(self) -> Gradebook:
        return self._gradebook

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gradebook, name)


@dataclass(frozen=True)
class MadeOf:
    """What a grade was made of: the digest of its job, and the short one of the submission; "" where nothing says so."""

    digest: str = ""
    submission: str = ""


def make_room(gradebook: Gradebook) -> None:
    """Make the table of what grades are made of where there is none; another command may do so at the same moment."""
    if not inspect(gradebook.engine).has_table(MADE_OF.name):
        with gradebook.engine.begin() as connection:
            connection.execute(CreateTable(MADE_OF, if_not_exists=True))


def by_receipt(found: Mapping[str, Any]) -> MadeOf:
    """What a grade was made of whose gradebook does not say so: the receipt tells it if it is of a version that wrote it nowhere else."""
    if found.get("in_gradebook"):
        return MadeOf()
    return MadeOf(found.get("digest", ""), found.get("parts", {}).get("submission", ""))


def register(course: Course, lesson: Lesson) -> None:
    """Record a lesson's graded cells, hidden tests included, in the gradebook, unless they are there as they are.

    Raises:
        CourseError: if the lesson is not built, or its exercises changed under submissions that were graded already.
    """
    if not course.solution(lesson).is_file():
        raise CourseError(f"{course.solution(lesson)} does not exist: run `course build {lesson.name}` first")
    with readable(course), _locked(course, PEN):
        if not _is_registered(course, lesson):
            _register(course, lesson)


def _register(course: Course, lesson: Lesson) -> None:
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        copy = Path(folder, "solutions", lesson.name, f"{lesson.name}.ipynb")
        copy.parent.mkdir(parents=True)
        shutil.copy(course.solution(lesson), copy)
        try:
            generate(course, lesson, Path(folder), database=True)
        except CourseError as error:
            if "would invalidate" in str(error) or "submissions" in str(error):
                raise CourseError(
                    f"{lesson.name} was changed after it had been graded: its graded cells are no longer those of the gradebook. "
                    f"`course amend {lesson.number}` adds what is new and keeps what persons gave; or restore the lesson"
                ) from error
            raise


def back_up(course: Course) -> None:
    """Keep a copy of a classroom's own gradebook; a server has backups of its own."""
    if not course.database:
        with readable(course):
            Store(course.classroom).back_up()


def outgrown(course: Course) -> list[Lesson]:
    """Find the lessons whose graded cells are others than those of the gradebook, though submissions were graded."""
    if not is_there(course):
        return []
    known: dict[str, set[str]] = {}
    for mark in marks(course):
        known.setdefault(mark.lesson, set()).add(mark.cell)
    return [
        lesson
        for lesson in course.written
        if lesson.name in known
        and course.solution(lesson).is_file()
        and known[lesson.name] != _graded_cells(course, lesson)
    ]


def _graded_cells(course: Course, lesson: Lesson) -> set[str]:
    """Names of the cells that a lesson gives points for."""
    cells = json.loads(course.solution(lesson).read_text(encoding="utf-8"))["cells"]
    metas = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    return {meta["grade_id"] for meta in metas if meta.get("grade")}


@dataclass(frozen=True)
class Amended:
    """What became of a lesson's graded cells in the gradebook: names of those that are new, and of those that are gone."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def amend(course: Course, lesson: Lesson) -> Amended:
    """Let the gradebook follow a lesson that was changed after submissions were graded; marks that persons gave stay.

    Args:
        course: the checkout; the lesson is built.
        lesson: which.

    Raises:
        CourseError: if nothing of it was graded, a cell is gone for which a person gave marks or comments, or one is worth less
            than a person gave for it.
    """
    made = as_registered(course, lesson)
    cells = {grade_id(cell): cell for cell in made.cells if grade_id(cell)}
    with opened(course) as gradebook, in_one(gradebook):
        try:
            known = gradebook.find_notebook(lesson.name, lesson.name)
        except MissingEntry as error:
            raise CourseError(
                f"{lesson.name} is not in the gradebook: `course grade {lesson.number}` needs no amending"
            ) from error
        kinds = (
            (known.grade_cells, is_grade, gradebook.update_or_create_grade_cell, _worth),
            (known.solution_cells, is_solution, gradebook.update_or_create_solution_cell, _nothing),
            (known.source_cells, bool, gradebook.update_or_create_source_cell, _typed),
        )
        gone = [
            cell
            for old, belongs, _, _ in kinds
            for cell in list(old)
            if cell.name not in cells or not belongs(cells[cell.name])
        ]
        given = {cell.name for cell in gone if _by_persons(cell)}
        if given:
            raise CourseError(
                f"{lesson.name}: persons gave marks or comments for {', '.join(sorted(given))}, which the lesson no longer has: put the cell back, "
                "or keep this class in the classroom it was graded in"
            )
        for cell in set(known.grade_cells) - set(gone):
            worth = _worth(cells[cell.name])["max_score"]
            over = sorted(
                g.student.id for g in cell.grades if worth < (g.manual_score or 0.0) <= cell.max_score
            )
            if over:
                raise CourseError(
                    f"{lesson.name}: persons gave more than the {worth:g} points that {cell.name} is worth now to {', '.join(over)}: "
                    "give these another mark first, at the desk or in the Formgrader"
                )
        removed = {cell.name for cell in gone if isinstance(cell, GradeCell)}
        for cell in gone:
            for row in [*getattr(cell, "grades", ()), *getattr(cell, "comments", ())]:
                gradebook.db.delete(row)
            gradebook.db.delete(cell)
        gradebook.db.flush()
        gradebook.db.expire(known)
        added = set()
        for old, belongs, enter, words in kinds:
            before = {cell.name for cell in old} - {cell.name for cell in gone}
            for name, cell in cells.items():
                if not belongs(cell) or name in before:
                    continue
                entered = enter(name, lesson.name, lesson.name, **words(cell))
                gradebook.db.flush()
                for submitted in known.submissions:
                    if isinstance(entered, GradeCell):
                        gradebook.db.add(Grade(cell_id=entered.id, notebook_id=submitted.id))
                    elif not isinstance(entered, SourceCell):
                        gradebook.db.add(Comment(cell_id=entered.id, notebook_id=submitted.id))
                if isinstance(entered, GradeCell):
                    added.add(name)
    register(course, lesson)
    return Amended(tuple(sorted(added)), tuple(sorted(removed)))


def _by_persons(cell: Any) -> bool:
    """Whether a person gave a mark, extra points or a comment for a cell of the gradebook."""
    marks = any(g.manual_score is not None or g.extra_credit for g in getattr(cell, "grades", ()))
    return marks or any(comment.manual_comment for comment in getattr(cell, "comments", ()))


def _worth(cell: NotebookNode) -> dict[str, Any]:
    return {"max_score": float(cell.metadata.nbgrader.points), "cell_type": cell.cell_type}


def _nothing(cell: NotebookNode) -> dict[str, Any]:
    return {}


def _typed(cell: NotebookNode) -> dict[str, Any]:
    return {
        "cell_type": cell.cell_type,
        "locked": is_locked(cell),
        "source": cell.source,
        "checksum": cell.metadata.nbgrader.get("checksum"),
    }


def _is_registered(course: Course, lesson: Lesson) -> bool:
    """Whether the gradebook's cells are those that nbgrader would record: the same names, points, sources and checksums."""
    if not is_there(course):
        return False
    with opened(course) as gradebook:
        try:
            known = gradebook.find_notebook(lesson.name, lesson.name)
        except MissingEntry:
            return False
        grades = {c.name: (c.max_score, c.cell_type) for c in known.grade_cells}
        solutions = {c.name for c in known.solution_cells}
        sources = {c.name: (c.cell_type, c.locked, c.source, c.checksum) for c in known.source_cells}
        kernel, tasks = json.loads(known.kernelspec or "null"), list(known.task_cells)
    made = as_registered(course, lesson)
    cells = {grade_id(cell): cell for cell in made.cells if grade_id(cell)}
    return (
        not tasks
        and kernel == made.metadata.get("kernelspec", {})
        and grades
        == {n: (float(c.metadata.nbgrader.points), c.cell_type) for n, c in cells.items() if is_grade(c)}
        and solutions == {name for name, cell in cells.items() if is_solution(cell)}
        and sources
        == {
            n: (c.cell_type, is_locked(c), c.source, c.metadata.nbgrader.get("checksum"))
            for n, c in cells.items()
        }
    )


def is_there(course: Course) -> bool:
    """Whether there is a gradebook that can be asked; one in PostgreSQL is made when it is opened."""
    return bool(course.database) or Store(course.classroom).gradebook.is_file()


@contextmanager
def _locked(course: Course, lock: int) -> Iterator[None]:
    """Let no other grader do the same meanwhile. A classroom's own gradebook needs no more than the classroom's pen."""
    if not course.database:
        yield
        return
    engine = create_engine(grader_config(course).CourseDirectory.db_url, poolclass=NullPool)
    with engine.connect() as connection:  # which ends with the lock, however it ends
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": lock})
        yield


@contextmanager
def answering(course: Course) -> Iterator[None]:
    """Say in one sentence what a database server refuses. It names no password.

    Raises:
        CourseError: then.
    """
    try:
        yield
    except DatabaseError as error:
        if not course.database:
            raise
        why = " ".join(str(error.orig or error).split())
        remedy = next(
            (way for said, way in REMEDIES.items() if said in why),
            "mend that, and run the same command again",
        )
        raise CourseError(
            f"{gradebook_name(course)} cannot be used ({why}): {remedy}; nothing is lost"
        ) from error
    except ImportError as error:
        if not course.database:
            raise
        raise CourseError(
            f"--db needs a package that is not installed ({error.name or error}): run `pip install -e 'course[postgresql]'` in the checkout"
        ) from error


@contextmanager
def readable(course: Course) -> Iterator[None]:
    """Say in one sentence that a gradebook is damaged or does not answer, whoever stumbles over it."""
    if course.database:
        with answering(course):
            yield
        return
    path = Store(course.classroom).gradebook
    if path.is_file() and path.stat().st_size:
        try:
            with closing(sqlite3.connect(path)) as database:
                found = database.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise _damaged(path, found)
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise _damaged(path, str(getattr(error, "orig", None) or error)) from error


def _damaged(path: Path, why: str) -> CourseError:
    """What to do where SQLite refuses: a machine that refuses is no damage, and a backup in its place would lose marks."""
    if any(said in why for said in REFUSED):
        return CourseError(
            f"{path} cannot be used now ({why.splitlines()[0]}): make room, let it be written, or end the program that holds it; "
            "then run the same command again. Nothing is lost"
        )
    if "no such column" in why:
        return CourseError(
            f"{path} is of an older nbgrader ({why.splitlines()[0]}): run `nbgrader db upgrade` once"
        )
    return CourseError(
        f"{path} cannot be used ({why.splitlines()[0]}): copy the newest of {path.parent / 'backups'} over it, or move it away; "
        "then `course grade` fills it from what was collected (marks given by hand are in the backup only)"
    )


@contextmanager
def opened(course: Course) -> Iterator[Gradebook]:
    """Open the gradebook; an empty one is made where there is none."""
    settings = grader_config(course).CourseDirectory
    with readable(course):
        with _locked(course, TABLES):
            gradebook = Gradebook(settings.db_url, settings.course_id)
            make_room(gradebook)
        with gradebook:
            yield gradebook


def enter_names(course: Course, people: Sequence[Any], students: set[str]) -> None:
    """Give students the names of the roster, for the Formgrader's lists.

    Args:
        course: the checkout.
        people: with id, first_name, last_name and email.
        students: ids of those who handed in.
    """
    with opened(course) as gradebook, in_one(gradebook):
        known = {student.id: student for student in gradebook.students}
        for person in people:
            names = {field: getattr(person, field) for field in ("first_name", "last_name", "email")}
            if person.id in students and (
                person.id not in known or any(getattr(known[person.id], f) != v for f, v in names.items())
            ):
                gradebook.update_or_create_student(person.id, **names)


def made_of(course: Course) -> dict[tuple[str, str], MadeOf]:
    """Tell what the grades in the gradebook were made of.

    Returns:
        (student, lesson) -> it; without a digest where an automatic score is missing, so that it is graded again.
    """
    if not is_there(course):
        return {}
    store = Store(course.classroom)
    with opened(course) as gradebook:
        rows = (
            gradebook.db.query(
                SubmittedAssignment.student_id, Assignment.name, MADE_OF.c.digest, MADE_OF.c.submission
            )
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .outerjoin(MADE_OF, MADE_OF.c.notebook_id == SubmittedNotebook.id)
        )
        unscored = (
            rows.join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(GradeCell, GradeCell.id == Grade.cell_id)
            .filter(Grade.auto_score.is_(None), Grade.manual_score.is_(None), GradeCell.cell_type == "code")
        )
        found = {
            (student, lesson): MadeOf(digest, submission)
            if digest
            else by_receipt(store.receipt(student, lesson))
            for student, lesson, digest, submission in rows
        }
        return found | {
            (student, lesson): replace(found[student, lesson], digest="") for student, lesson, *_ in unscored
        }


def returned(course: Course, known: Mapping[tuple[str, str], MadeOf]) -> dict[tuple[str, str], Path]:
    """Find the grades of forgotten files that a backup brought back, where nothing is collected in their place.

    Args:
        course: the checkout and its classroom. Of a database on a server there are no backups here.
        known: what the grades were made of.

    Returns:
        (student, lesson) -> the folder in `forgotten/`.
    """
    found = {}
    for path in sorted(course.classroom.glob(f"forgotten/*/{WITHDRAWN}/*/*/*.ipynb")):
        pair = path.parts[-3], path.parts[-2]
        if pair not in known or course.database or Store(course.classroom).placed(*pair).exists():
            continue
        if known[pair].submission == short_digest(path.read_bytes()):
            found[pair] = path.parents[3]
    return found


def withdraw(course: Course) -> dict[tuple[str, str], Path]:
    """Take back the grades and pages of what was put aside; called again, it does what was left undone.

    Others may keep their marks in the same gradebook: a grade is taken back if this classroom has given it. What a backup brought back
    is taken back once more.

    Args:
        course: the checkout and its classroom.

    Returns:
        (student, lesson) of those who had a grade -> the table that holds it now, with the comments that persons gave.
    """
    store = Store(course.classroom)
    again = returned(course, made_of(course)) if (store.root / "forgotten").is_dir() else {}
    gone = again | store.forgotten()
    graded = {pair for pair in gone if pair in again or store.graded(*pair).is_dir()}
    held: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks(course) if graded else ():
        if (mark.student, mark.lesson) in graded:
            held.setdefault((mark.student, mark.lesson), []).append(mark)
    kept = {}
    for student, lesson in held:
        tables = gone[student, lesson] / "marks"
        if (student, lesson) in again:  # the table of the first time may hold more
            tables = vacant(tables)
        kept[student, lesson] = tables / student / f"{lesson}.csv"
    said = _comments(course) if held else {}
    for pair, table in kept.items():
        of = said.get(pair, {})
        rows = [vars(mark) | {"comment": of.pop(mark.cell, "")} for mark in held[pair]]
        # Of an exercise the check has the mark and the answer the comment, which gets a line of its own.
        rows += [{"student": pair[0], "lesson": pair[1], "cell": cell, "comment": of[cell]} for cell in of]
        write_csv(table, [*(field.name for field in fields(Mark)), "comment"], rows)
    if held:  # else a backup that holds marks would make way for one that holds no others
        back_up(course)
        with store.marking(), opened(course) as gradebook, in_one(gradebook):
            for student, lesson in held:
                gradebook.remove_submission(lesson, student)
    for student, lesson in graded:
        for room in ("feedback", "autograded"):  # last what says that this classroom has graded it
            made = course.classroom / room / student / lesson
            if made.is_dir():
                put_aside(made, gone[student, lesson] / room / student)
    faults = read_faults(store)
    if faults.keys() & gone.keys():
        note_faults(store, {pair: why for pair, why in faults.items() if pair not in gone})
    store.withdrawn()
    return kept


def marks(course: Course) -> list[Mark]:
    """Read what the gradebook holds of every graded cell of every submission.

    Args:
        course: the checkout.

    Returns:
        By lesson and student, the cells in no order; what a person gave goes before what a check gave, unless it waits to be given
        again: then it was given to another text, and counts nothing.
    """
    if not is_there(course):
        return []
    with opened(
        course
    ) as gradebook:  # one query for all: nbgrader's own properties ask several times a submission
        rows = (
            gradebook.db.query(
                SubmittedAssignment.student_id,
                Assignment.name,
                GradeCell.name,
                Grade.auto_score,
                Grade.manual_score,
                Grade.extra_credit,
                Grade.needs_manual_grade,
                GradeCell.max_score,
                GradeCell.cell_type,
            )
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(GradeCell, GradeCell.id == Grade.cell_id)
            .order_by(Assignment.name, SubmittedAssignment.student_id)
        )
        return [
            Mark(
                student,
                lesson,
                cell,
                auto or 0.0 if waiting else _points(auto, manual, extra),
                most,
                waiting,
                kind == "markdown",
                manual,
            )
            for student, lesson, cell, auto, manual, extra, waiting, most, kind in rows
        ]


def _comments(course: Course) -> dict[tuple[str, str], dict[str, str]]:
    """Read the comments that persons gave: (student, lesson) -> name of the cell -> comment."""
    with opened(course) as gradebook:
        rows = (
            gradebook.db.query(
                SubmittedAssignment.student_id, Assignment.name, BaseCell.name, Comment.manual_comment
            )
            .select_from(Comment)
            .join(SubmittedNotebook, Comment.notebook_id == SubmittedNotebook.id)
            .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .join(BaseCell, Comment.cell_id == BaseCell.id)
            .filter(Comment.manual_comment != "")
            .order_by(BaseCell.name)
        )
        found: dict[tuple[str, str], dict[str, str]] = {}
        for student, lesson, cell, comment in rows:
            found.setdefault((student, lesson), {})[cell] = comment
        return found


def _points(auto: float | None, manual: float | None, extra: float | None) -> float:
    """The points of a cell, as nbgrader counts them; extra credit comes on top of a mark, never of nothing."""
    given = auto if manual is None else manual
    return 0.0 if given is None else float(given + (extra or 0.0))


def scores(course: Course) -> list[Score]:
    """Read all grades from the gradebook.

    Args:
        course: the checkout.

    Returns:
        One row a submission; `waiting` where a person still has answers to read; lateness and its price by today's deadlines.
    """
    if not is_there(course):
        return []
    of: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks(course):
        of.setdefault((mark.student, mark.lesson), []).append(mark)
    full, deadlines = full_marks(course), read_deadlines(course)
    with opened(course) as gradebook:
        submissions = (
            gradebook.db.query(
                SubmittedAssignment.student_id,
                Assignment.name,
                SubmittedAssignment.timestamp,
            )
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .order_by(Assignment.name, SubmittedAssignment.student_id)
        )
        rows = [tuple(row) for row in submissions]
    found = []
    for student, lesson, handed_in in rows:
        cells = of.get((student, lesson), [])
        score = sum(mark.score for mark in cells)
        came = handed_in and handed_in.replace(tzinfo=UTC)
        late = deadlines.seconds_late(student, lesson, came)
        # The gradebook's own penalty may be of an older policy, or from before a person gave a mark.
        penalty = course.late.penalty(score, deadlines.seconds_charged(student, lesson, came))
        waiting = any(mark.waiting for mark in cells)
        found.append(Score(student, lesson, score, full[lesson], waiting, penalty, late))
    return found


def full_marks(course: Course) -> dict[str, float]:
    """Read what each lesson of the gradebook is worth: lesson -> points."""
    if not is_there(course):
        return {}
    with opened(course) as gradebook:
        return {assignment.name: assignment.max_score for assignment in gradebook.assignments}


def enter_times(course: Course, submissions: Sequence[Submission]) -> None:
    """Write when submissions came into the gradebook, where it says another time: a time may become known, or wrong, after grading.

    Args:
        course: the checkout.
        submissions: as they lie ready; those that are not in the gradebook get their time with their grade.
    """
    if not is_there(course):
        return
    came = {(s.student, s.lesson): utc(s.received) for s in submissions}
    with opened(course) as gradebook, in_one(gradebook):
        rows = gradebook.db.query(SubmittedAssignment, SubmittedAssignment.student_id, Assignment.name).join(
            Assignment, SubmittedAssignment.assignment_id == Assignment.id
        )
        for row, *pair in rows:
            if row.timestamp != came.get(tuple(pair), row.timestamp):
                row.timestamp = came[tuple(pair)]


class LatePenalty(BasePlugin):
    """The course's late policy where nbgrader asks for one: in `nbgrader autograde`, the Formgrader's button and `course grade`."""

    policy = Dict(help="the fields of course.model.LatePolicy").tag(config=True)

    def late_submission_penalty(self, student: str, score: float, seconds_late: float) -> float | None:
        """The points to take off; None for none. Arguments are nbgrader's."""
        return LatePolicy(**self.policy).penalty(score, seconds_late) or None


def enter_deadlines(course: Course) -> None:
    """Write deadlines, what students were granted, and what lateness costs into the gradebook, for all that reads it.

    Args:
        course: the checkout; its deadlines are read anew.
    """
    if not is_there(course):
        return
    deadlines = read_deadlines(course)
    costs = {(score.student, score.lesson): score.penalty or None for score in scores(course)}
    with opened(course) as gradebook, in_one(gradebook):
        for assignment in gradebook.assignments:
            due = deadlines.lessons.get(assignment.name)
            if assignment.duedate != utc(due):
                assignment.duedate = utc(due)
        submissions = gradebook.db.query(
            SubmittedAssignment, SubmittedNotebook, SubmittedAssignment.student_id, Assignment.name
        ).join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        submissions = submissions.join(
            SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id
        )
        for submission, notebook, student, lesson in submissions:
            granted = deadlines.granted.get((student, lesson))
            extension = granted - deadlines.lessons[lesson] if granted else None
            if submission.extension != extension:
                submission.extension = extension
            cost = costs.get((student, lesson))  # none: another grader has only now recorded it
            if notebook.late_submission_penalty != cost:
                notebook.late_submission_penalty = cost
