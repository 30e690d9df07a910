"""nbgrader's configuration file, read the way nbgrader itself reads it."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbgrader.converters.base import BaseConverter
from sqlalchemy.exc import SAWarning
from traitlets.config import Config, PyFileConfigLoader

from course.model import Course, CourseError

CLASSROOM = "COURSE_CLASSROOM"
warnings.filterwarnings(
    "ignore", category=SAWarning, module="nbgrader"
)  # about nbgrader's own queries; harmless


def grader_config(course: Course) -> Config:
    """Load nbgrader_config.py of the checkout.

    Args:
        course: the checkout; its classroom is where the settings point.

    Returns:
        A configuration of its own, free to be changed.
    """
    with classroom_in_environment(course.classroom):
        return PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config()


@contextmanager
def classroom_in_environment(classroom: Path) -> Iterator[None]:
    """Point nbgrader_config.py at a classroom, also for processes started meanwhile."""
    before = os.environ.get(CLASSROOM)
    os.environ[CLASSROOM] = str(classroom)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CLASSROOM]
        else:
            os.environ[CLASSROOM] = before


def run_quietly(converter: BaseConverter, what: str) -> None:
    """Run one of nbgrader's converters; its log is shown only if it fails.

    Args:
        converter: generate_assignment, autograde or generate_feedback, configured.
        what: names the work in the error.

    Raises:
        CourseError: with nbgrader's own log.
    """
    log = io.StringIO()
    converter.log = logging.Logger(type(converter).__name__, logging.ERROR)
    converter.log.addHandler(logging.StreamHandler(log))
    try:
        converter.start()
    except (Exception, SystemExit) as error:
        raise CourseError(f"nbgrader failed at {what}: {log.getvalue().strip() or error}") from error
