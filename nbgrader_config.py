"""For `nbgrader` and the Formgrader, started in the checkout: the settings of the `course` command (course/config.py)."""

from pathlib import Path

from course.config import grader_config, load_course

c = get_config()  # noqa: F821 - nbgrader provides it
c.merge(grader_config(load_course(Path(__file__).parent)))
