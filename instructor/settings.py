"""nbgrader's configuration file, read the way nbgrader itself reads it."""

from __future__ import annotations

from traitlets.config import Config, PyFileConfigLoader

from instructor.course import Course


def grader_config(course: Course) -> Config:
    """Load nbgrader_config.py of the checkout.

    Args:
        course: the checkout.

    Returns:
        A configuration of its own, free to be changed.
    """
    return PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config()
