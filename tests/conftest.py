"""Fixtures that several tests share."""

import pytest

from course.model import Course, load_course


@pytest.fixture(scope="session")
def course() -> Course:
    """This checkout."""
    return load_course()
