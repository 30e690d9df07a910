"""`course grade`: submissions -> gradebook, by nbgrader's own autograder with our sandboxed `Execute` in it.

Several submissions are executed at once, but one writes the gradebook at a time. What a submission was graded with
is noted beside it: a killed run resumes, and what has not changed is not graded again. Whatever goes wrong with one
submission is that submission's problem, told by name, and never stops the class.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from instructor.build import fingerprint, generate
from instructor.course import Course, CourseError, Lesson
from instructor.settings import grader_config, run_quietly

RECEIPT = "graded.json"
WRITER = threading.Lock()


@dataclass(frozen=True)
class Graded:
    """What became of one submission: "graded", "unchanged" or "failed" with the reason."""

    student: str
    lesson: str
    state: str
    reason: str = ""


@contextmanager
def others_may_write() -> Iterator[None]:
    """Hand the gradebook to another submission while this one's notebook runs."""
    WRITER.release()
    try:
        yield
    finally:
        WRITER.acquire()


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
    for lesson in dict.fromkeys(lesson for lesson, _ in waiting):
        register(course, lesson)
    results = []
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        for result in pool.map(lambda task: _grade_one(course, *task, force), waiting):
            told(result)
            results.append(result)
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


def _grade_one(course: Course, lesson: Lesson, student: str, force: bool) -> Graded:
    """Grade one submission; every failure becomes its result."""
    receipt = course.classroom / "autograded" / student / lesson.name / RECEIPT
    stamp = _stamp(course, lesson, student)
    if not force and _read(receipt).get("stamp") == stamp:
        return Graded(student, lesson.name, "unchanged")
    try:
        with WRITER:
            _autograde(course, lesson, student)
        report = _read(receipt.with_name("execution.json"))
        receipt.write_text(json.dumps({"stamp": stamp, **report}, indent=1) + "\n", encoding="utf-8")
        return Graded(student, lesson.name, "graded")
    except Exception as error:
        return Graded(student, lesson.name, "failed", str(error))


def _stamp(course: Course, lesson: Lesson, student: str) -> str:
    """Hash what a grade depends on: the submission and the lesson."""
    submission = course.classroom / "submitted" / student / lesson.name / f"{lesson.name}.ipynb"
    content = submission.read_bytes() if submission.is_file() else b""
    return hashlib.sha256(content + fingerprint(course, lesson).encode()).hexdigest()


def _read(path: Path) -> dict:
    """A JSON file, or nothing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _autograde(course: Course, lesson: Lesson, student: str) -> None:
    """Run nbgrader's autograder for one submission.

    Raises:
        CourseError: with nbgrader's own log if it fails.
    """
    config = grader_config(course)
    config.CourseDirectory.assignment_id = lesson.name
    config.CourseDirectory.student_id = student
    config.Autograde.force = True
    config.TrustedExecute.meanwhile = others_may_write
    run_quietly(
        Autograde(coursedir=CourseDirectory(config=config), config=config),
        f"grading {student}, {lesson.name}",
    )


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
