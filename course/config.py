"""What is read once, at the start: the facts of the course, the environment's four switches, nbgrader's settings."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import os
import sys
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from course.model import Course, CourseError, LatePolicy, Lesson, Limits
from course.zone import due_at, zone_called

if TYPE_CHECKING:
    from nbgrader.converters.base import BaseConverter
    from traitlets.config import Config

CLASSROOM, LIMITS, SANDBOX, DB = "COURSE_CLASSROOM", "COURSE_LIMITS", "COURSE_SANDBOX", "COURSE_DB"
CONNECTING = 10  # seconds until a database must have answered
# What an answer holds before it is begun.
STUB = ("# YOUR CODE HERE", 'raise NotImplementedError("replace this line with your answer")')
PREDICTION = "prediction"  # the tag of a cell in which a learner predicts
# SQLAlchemy's, about nbgrader's own queries; harmless.
warnings.filterwarnings("ignore", module="nbgrader")


def load_course(
    root: Path | None = None,
    classroom: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    sandbox: str = "",
) -> Course:
    """Read the course from a checkout, and from the environment how it is used.

    Args:
        root: the checkout; by default the one this package is installed from.
        classroom: where grading works; by default $COURSE_CLASSROOM, else `classroom/` in the checkout.
        environment: COURSE_CLASSROOM, COURSE_LIMITS (JSON of single limits, such as {"cell_cpu": 60}), COURSE_SANDBOX and COURSE_DB (the gradebook's
            database, where it is not the classroom's own; else `database` of `[tool.course]`).
        sandbox: which one to use; by default $COURSE_SANDBOX, else the best that stands.

    Returns:
        The course.

    Raises:
        CourseError: if there is no pyproject.toml with a `[tool.course]` table, or a switch makes no sense.
    """
    root = (root or Path(__file__).resolve().parent.parent).resolve()
    project = root / "pyproject.toml"
    if not project.is_file():
        raise CourseError(
            f"{root} holds no pyproject.toml: run `course` from a checkout, installed by `pip install -e . -e course`"
        )
    try:
        table = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("course")
    except ValueError as error:
        raise CourseError(
            f'{project} cannot be read ({error}): text stands in quotes, zone = "Europe/Berlin"; a number has a point, 7.5; a time is 2026-12-01T23:59:00'
        ) from error
    if table is None:
        raise CourseError(f"{project} has no [tool.course] table")
    if missing := [word for word in ("repository", "ref", "lessons") if word not in table]:
        raise CourseError(f"{project}: [tool.course] lacks {missing[0]}")
    zone = zone_called(table.get("zone"), f"{project}, [tool.course]")
    lessons = tuple(_lesson(entry, project, zone) for entry in table["lessons"])
    if classroom is None:
        named = environment.get(CLASSROOM)
        if named is not None and not named.strip():
            raise CourseError(
                f"{CLASSROOM} is set, but empty: name a folder, or unset it for {root / 'classroom'}"
            )
        classroom = Path(named) if named else root / "classroom"
    return Course(
        root,
        table["repository"],
        table["ref"],
        lessons,
        classroom.resolve(),
        _limits(environment.get(LIMITS, "")),
        sandbox or environment.get(SANDBOX, ""),
        database=database(environment.get(DB) or table.get("database", "")),
        late=_late(table.get("late", {}), project),
        zone=zone,
        given=table.get("given", {}),
    )


def database(url: str) -> str:
    """Check the URL of a gradebook's database; what it holds is never repeated, since it may hold a password.

    Args:
        url: such as postgresql://grader@db.example.org/course; empty for the classroom's own SQLite.

    Returns:
        It.

    Raises:
        CourseError: if it is none of PostgreSQL's.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("postgresql", "postgres") and len(parts.path) > 1 and (parts.port or True)
    except ValueError:
        fits = False
    if url and not fits:
        raise CourseError(
            "the gradebook's database (--db, or COURSE_DB) should be written postgresql://USER@HOST:PORT/DATABASE; a character of a "
            "password that is neither letter nor digit is written as %XX"
        )
    return url


def gradebook_name(course: Course) -> str:
    """Name the gradebook in a sentence: its file, or its database without a password."""
    if not course.database:
        return str(course.classroom / "gradebook.db")
    parts = urlsplit(course.database)
    user, at, host = parts.netloc.rpartition("@")
    return f"postgresql://{user.partition(':')[0]}{at}{host}{parts.path}"


def _lesson(entry: dict[str, Any], project: Path, zone: tzinfo | None) -> Lesson:
    """A lesson of the table; a deadline that names no time zone is meant in the course's."""
    told = entry.get("deadline")
    strange = {*entry, "deadline"} ^ {f.name for f in dataclasses.fields(Lesson)}
    if strange:
        raise CourseError(
            f"{project}: a lesson has a name, a title, cpu_seconds and, if it is due, a deadline; {min(strange)} is missing or unknown in {entry}"
        )
    if told is None:
        return Lesson(**entry)
    try:
        if not isinstance(told, datetime):
            raise ValueError("a day alone, or text")
        return Lesson(**(entry | {"deadline": due_at(told, zone)}))
    except ValueError as error:
        raise CourseError(
            f"{project}: the deadline {told} of {entry['name']} should be a date with a time, such as 2026-12-01T23:59:00"
        ) from error


def _late(table: Any, project: Path) -> LatePolicy:
    """The table [tool.course.late]: numbers that make sense, no other words."""
    known = [f.name for f in dataclasses.fields(LatePolicy)]
    if not isinstance(table, dict):
        raise CourseError(
            f"{project}: late = {table!r} should be a table [tool.course.late] of {', '.join(known)}"
        )
    for name, value in table.items():
        if (
            name not in known
            or isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not 0 <= value < math.inf
        ):
            raise CourseError(
                f"{project}: {name} = {value!r} in [tool.course.late] should be one of {', '.join(known)}, a number from 0 on"
            )
    return LatePolicy(**table)


def _limits(text: str) -> Limits:
    """The default limits, single ones changed by a JSON object."""
    known: dict[str, type[Any]] = {f.name: type(f.default) for f in dataclasses.fields(Limits)}
    try:
        changes = json.loads(text or "{}")
        if strange := [name for name in changes if name not in known]:
            raise ValueError(f"there is no limit {strange[0]!r}; there are {', '.join(known)}")
        return replace(Limits(), **{name: known[name](value) for name, value in changes.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise CourseError(
            f'{LIMITS}={text!r} should be JSON of limits such as {{"cell_cpu": 60}}: {error}'
        ) from error


def grader_config(course: Course) -> Config:
    """Give nbgrader's settings: where things lie, how the student edition is made, how it is graded.

    Args:
        course: the checkout and how it is used.

    Returns:
        A configuration of its own, free to be changed.
    """
    from traitlets.config import Config

    from course import literal

    literal.mend()  # imported here: a command that does not grade should not wait for nbgrader
    # nbgrader starts `alembic` by its bare name, which is not found where .venv is used without being activated.
    tools = str(Path(sys.executable).parent)
    if tools not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = tools + os.pathsep + os.environ["PATH"]
    # The folder of the database has to exist: nbgrader's word for a missing one is a misleading "db upgrade".
    course.classroom.mkdir(parents=True, exist_ok=True)
    c = Config()
    # `root` is set explicitly, else the Formgrader shows an empty list of assignments.
    c.CourseDirectory.root = str(course.root)
    c.CourseDirectory.course_id = "skip-connections"
    c.CourseDirectory.source_directory = "solutions"
    c.CourseDirectory.release_directory = "notebooks"
    c.CourseDirectory.submitted_directory = str(course.classroom / "submitted")
    c.CourseDirectory.autograded_directory = str(course.classroom / "autograded")
    c.CourseDirectory.feedback_directory = str(course.classroom / "feedback")
    c.CourseDirectory.db_url = _db_url(course)
    # Siblings of a solution notebook are copied to every student: the text beside it holds the solutions.
    # What stands beside a graded notebook is for the instructor, not for the feedback.
    c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "*.py", "*.tmp", "graded.json"]

    # The student edition.
    c.ClearSolutions.code_stub = {"python": "\n".join(STUB)}
    c.ClearSolutions.text_stub = "*Replace this line with your answer.*"
    # Our mark schemes stand in the locked question above the answer, where the Formgrader shows them beside it; the build
    # removes them from the student edition all the same.
    c.ClearMarkScheme.enforce_metadata = False

    # Grading: students' code runs behind walls, checks run outside of its reach (docs/threat-model.md). Two steps
    # differ from nbgrader's own list; `nbgrader autograde` and the Formgrader's button take them, too.
    c.Autograde.autograde_preprocessors = [
        "course.grading.recording.TrustedExecute",
        "nbgrader.preprocessors.IgnorePattern",
        "nbconvert.preprocessors.ClearMetadataPreprocessor",
        "nbgrader.preprocessors.LimitOutput",
        "course.grading.recording.SaveGradesAndSource",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.TrustedExecute.limits = asdict(course.limits)
    c.TrustedExecute.sandbox = course.sandbox
    c.AssignLatePenalties.plugin_class = "course.grading.gradebook.LatePenalty"
    c.LatePenalty.policy = asdict(course.late)

    # Feedback: escaped text, sanitised prose and small bitmaps on a page that loads nothing.
    c.GenerateFeedback.exporter_class = "course.reports.feedback.FeedbackExporter"
    c.FeedbackExporter.titles = {x.name: f"Lesson {x.number} · {x.title}" for x in course.lessons}
    c.FeedbackExporter.releases = {x.name: str(course.release(x)) for x in course.lessons}
    c.GenerateFeedback.preprocessors = ["course.reports.feedback.GradesAndState"]

    # The Formgrader shows submissions in a page of the grader's own Jupyter server: no HTML of a learner's may act there.
    c.HTMLExporter.sanitize_html = True
    c.HTMLExporter.filters = {"markdown2html": "course.reports.feedback.formgrader_prose"}
    return c


def _db_url(course: Course) -> str:
    """Give the gradebook's address as SQLAlchemy takes it.

    A password goes by the environment, where libpq looks for it: nbgrader hands the address on, logs it and writes it to files.
    """
    from sqlalchemy import URL, make_url

    if not course.database:
        return URL.create("sqlite", database=str(course.classroom / "gradebook.db")).render_as_string()
    url = make_url(course.database).set(drivername="postgresql+psycopg")
    if password := url.password or url.query.get("password"):
        os.environ["PGPASSWORD"] = str(password)
    url = url._replace(password=None).difference_update_query(["password"])
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(CONNECTING)})
    return url.render_as_string()


def run_quietly(converter: BaseConverter, what: str) -> None:
    """Run one of nbgrader's converters; its log is shown only if it fails.

    Args:
        converter: generate_assignment, autograde or generate_feedback, configured.
        what: names the work in the error.

    Raises:
        CourseError: with nbgrader's own log; or, where the gradebook did not answer, with its word alone.
    """
    from sqlalchemy.exc import OperationalError

    log = io.StringIO()
    converter.log = logging.Logger(type(converter).__name__, logging.ERROR)
    converter.log.addHandler(logging.StreamHandler(log))
    try:
        converter.start()
    except (Exception, SystemExit) as error:
        if isinstance(error.__context__, OperationalError):  # nbgrader would advise to upgrade a full disk
            raise CourseError(
                f"the gradebook does not answer at {what} ({error.__context__.orig}): mend that, then run the same command again"
            ) from error
        raise CourseError(f"nbgrader failed at {what}: {log.getvalue().strip() or error}") from error
