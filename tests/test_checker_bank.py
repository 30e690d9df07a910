"""Behind proxies the checks say what they say in a notebook: the whole wrong-answer bank, judged both ways."""

from __future__ import annotations

import contextlib
import io
import warnings

import pytest

from course.grading.bridge import studentside
from course.grading.checker.trusted import check
from course.model import Lesson
from tests.bank import COURSE, bank, cells, judge

ANSWERS = [
    pytest.param(lesson, exercise, answer.source, id=f"{lesson.number}-{exercise}-{kind}-{answer.title}")
    for lesson in COURSE.written
    for kind, answers in (("wrong", bank(lesson).wrong), ("right", bank(lesson).right))
    for exercise, listed in answers.items()
    for answer in listed
]


def judge_from_afar(lesson: Lesson, exercise: str, source: str) -> str:
    """What `bank.judge` does, with the answer on the student's side of the wire; gives the hint."""
    names: dict = {"__name__": "__main__"}
    setup = [text for role, _, text in cells(lesson) if role == "setup"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for role, name, text in cells(lesson):
            if role == "check" and name == exercise:
                studentside._snapshots[exercise] = names
                verdict = check(exercise, setup, text, lambda message: studentside.serve(message).text)
                return "" if verdict.passed else verdict.hint
            if role == "answer":
                exec(source if name == exercise else text, names)
            elif role == "setup":
                exec(text, names)
    raise LookupError(f"lesson {lesson.name} has no exercise {exercise!r}")


@pytest.mark.parametrize(("lesson", "exercise", "source"), ANSWERS)
def test_the_verdict_from_afar_is_the_verdict_in_the_notebook(lesson, exercise, source):
    assert judge_from_afar(lesson, exercise, source) == judge(lesson, exercise, source)
