"""Fixtures that several tests share."""

import pytest

from course.config import load_course
from course.model import Course


@pytest.fixture(scope="session")
def course() -> Course:
    """This checkout."""
    return load_course()
