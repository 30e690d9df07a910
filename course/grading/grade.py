"""`course grade`: submissions -> gradebook, by nbgrader's own autograder with our sandboxed `Execute` in it.

Several submissions are executed at once; one after the other is written to the gradebook. What a submission was graded with
is noted beside it: a killed run resumes, and what has not changed is not graded again. Whatever goes wrong with one
submission is that submission's problem, told by name, and never stops the class.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from course.config import grader_config, run_quietly
from course.editions.build import fingerprint, generate
from course.grading.execute import Report, execute, key_and_files
from course.intake.roster import read_roster
from course.model import Course, CourseError, Lesson


@dataclass(frozen=True)
class Graded:
    """What became of one submission: "graded", "unchanged" or "failed" with the reason."""

    student: str
    lesson: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class _Key:
    """What all submissions of a lesson are graded with: instructor's notebook, data files, and a hash of their making."""

    notebook: NotebookNode
    files: list[Path]
    made_from: str

    @classmethod
    def of(cls, course: Course, lesson: Lesson) -> _Key:
        notebook, files = key_and_files(course.solution(lesson).parent, course.release(lesson).parent)
        return cls(notebook, files, fingerprint(course, lesson))


def grade(
    course: Course,
    lessons: list[Lesson],
    students: list[str] | None = None,
    force: bool = False,
    jobs: int = 2,
    told: Callable[[Graded], None] = lambda _: None,
) -> list[Graded]:
    """Grade what was collected.

    Args:
        course: the checkout; submissions lie in its classroom.
        lessons: which lessons.
        students: which students; all if None.
        force: grade again what has not changed, too.
        jobs: how many submissions are executed at once.
        told: called with each result as it comes.

    Returns:
        One entry a submission, in the order of lessons and students.

    Raises:
        CourseError: if a named student handed in nothing, or a lesson cannot be recorded in the gradebook.
    """
    waiting = [
        (lesson, folder.parent.name) for lesson in lessons for folder in _submitted(course, lesson, students)
    ]
    keys = {}  # found here: Python 3.11 cannot parse source in several threads at once
    for lesson in dict.fromkeys(lesson for lesson, _ in waiting):
        register(course, lesson)
        keys[lesson] = _Key.of(course, lesson)
    _enter_names(course, {student for _, student in waiting})
    results = []
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        running = [
            (lesson, student, pool.submit(_execute, course, lesson, student, keys[lesson], force))
            for lesson, student in waiting
        ]
        for lesson, student, executed in running:
            results.append(_record(course, lesson, student, keys[lesson], executed))
            told(results[-1])
    return results


def _submitted(course: Course, lesson: Lesson, students: list[str] | None) -> list[Path]:
    """Folders of a lesson's submissions, by student."""
    if students is None:
        return sorted(course.classroom.joinpath("submitted").glob(f"*/{lesson.name}"))
    folders = [course.classroom / "submitted" / student / lesson.name for student in students]
    for folder in folders:
        if not folder.is_dir():
            raise CourseError(
                f"{folder.parent.name} handed in nothing for {lesson.name}: {folder} does not exist; `course collect` first"
            )
    return folders


def register(course: Course, lesson: Lesson) -> None:
    """Record a lesson's graded cells, hidden tests included, in the gradebook.

    Raises:
        CourseError: if the lesson is not built, or its exercises changed under submissions that were graded already.
    """
    if not course.solution(lesson).is_file():
        raise CourseError(f"{course.solution(lesson)} does not exist: run `course build {lesson.name}` first")
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        copy = Path(folder, "solutions", lesson.name, f"{lesson.name}.ipynb")
        copy.parent.mkdir(parents=True)
        shutil.copy(course.solution(lesson), copy)
        generate(course, lesson, Path(folder), database=True)


def _enter_names(course: Course, students: set[str]) -> None:
    """Give students the names of the roster that `course collect` kept, for the Formgrader's lists."""
    roster = course.classroom / "roster.csv"
    if not roster.is_file():
        return
    config = grader_config(course)
    with Gradebook(config.CourseDirectory.db_url, config.CourseDirectory.course_id) as gradebook:
        for person in read_roster(roster).people:
            if person.id in students:
                names = {
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "email": person.email,
                }
                gradebook.update_or_create_student(person.id, **names)


def _execute(
    course: Course, lesson: Lesson, student: str, key: _Key, force: bool
) -> tuple[NotebookNode, Report] | None:
    """Run one submission; None if what it was graded with has not changed."""
    if not force and _read(_receipt(course, lesson, student)).get("stamp") == _stamp(
        course, lesson, student, key
    ):
        return None
    submission = nbformat.read(_submission(course, lesson, student), as_version=4)
    return execute(submission, key.notebook, files=key.files)


def _record(course: Course, lesson: Lesson, student: str, key: _Key, running: Future) -> Graded:
    """Write one executed submission to the gradebook; every failure becomes its result."""
    try:
        executed = running.result()
        if executed is None:
            return Graded(student, lesson.name, "unchanged")
        config = grader_config(course)
        config.CourseDirectory.assignment_id = lesson.name
        config.CourseDirectory.student_id = student
        config.Autograde.force = True
        config.TrustedExecute.ahead = executed
        run_quietly(
            Autograde(coursedir=CourseDirectory(config=config), config=config), f"{student}, {lesson.name}"
        )
        receipt = {
            "stamp": _stamp(course, lesson, student, key),
            "confinement": executed[1].confinement,
        }
        _receipt(course, lesson, student).write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
        return Graded(student, lesson.name, "graded")
    except Exception as error:
        return Graded(student, lesson.name, "failed", f"{type(error).__name__}: {error}")


def _submission(course: Course, lesson: Lesson, student: str) -> Path:
    """The notebook that was collected."""
    return course.classroom / "submitted" / student / lesson.name / f"{lesson.name}.ipynb"


def _receipt(course: Course, lesson: Lesson, student: str) -> Path:
    """The note of what a submission was graded with; it is there only where grading came to its end."""
    return course.classroom / "autograded" / student / lesson.name / "graded.json"


def _stamp(course: Course, lesson: Lesson, student: str, key: _Key) -> str:
    """Hash what a grade depends on: the submission and the lesson."""
    content = _submission(course, lesson, student).read_bytes()
    return hashlib.sha256(content + key.made_from.encode()).hexdigest()


def _read(path: Path) -> dict:
    """A JSON file, or nothing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@dataclass(frozen=True)
class Score:
    """A row of the grade table."""

    student: str
    lesson: str
    score: float
    max_score: float
    waiting: bool


def scores(course: Course) -> list[Score]:
    """Read all grades from the gradebook.

    Args:
        course: the checkout.

    Returns:
        One row a submission; `waiting` where a person still has answers to read.
    """
    config = grader_config(course)
    with Gradebook(config.CourseDirectory.db_url, config.CourseDirectory.course_id) as gradebook:
        return [
            Score(
                submission.student.id,
                assignment.name,
                submission.score,
                submission.max_score,
                submission.needs_manual_grade,
            )
            for assignment in sorted(gradebook.assignments, key=lambda a: a.name)
            for submission in sorted(assignment.submissions, key=lambda s: s.student.id)
        ]
