"""Answers that were given up: the key's own cell runs in their place, so that later exercises keep their points.

What counts is the line in the exercise's own cell, read as text and never executed. The file of stand-ins is out of a
kernel's sight, so any other use of `give_up` raises there.
"""

from __future__ import annotations

from course.editions.students import without_markers
from helpers.giving_up import TOLD, given_up

NAME = "GivenUp"  # of the verdict, as of what a notebook shows


def in_its_place(name: str, submitted: str, key: str) -> str:
    """Give the source that runs for an answer's cell.

    Args:
        name: of the exercise.
        submitted: the student's source.
        key: the instructor's.

    Returns:
        The student's, with the solution where it gives the exercise up; as it is if it does not.
    """
    lines = given_up(name, submitted)
    if lines is None:
        return submitted
    first, last = lines
    own = submitted.splitlines()
    return "\n".join([*own[: first - 1], *without_markers(key).splitlines(), *own[last:]])


def told(name: str) -> str:
    """What the student of a given-up exercise is told."""
    return TOLD.format(name=name)
