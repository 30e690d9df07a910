"""nbgrader's configuration file, read the way nbgrader itself reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from traitlets.config import Config, PyFileConfigLoader

from instructor.course import Course

CLASSROOM = "COURSE_CLASSROOM"


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
