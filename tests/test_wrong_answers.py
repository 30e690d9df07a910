"""Each wrong answer of the bank is rejected with the hint that fits it; each right one, however written, passes.

Each is judged once in the notebook's own process and once from afar, as grading does it: behind proxies the checks say the same.
"""

import pytest

from course.exercises import ENOUGH_MISTAKES, ENOUGH_RIGHT
from course.exercises import exercises as declared
from tests.bank import COURSE, bank, cells, exercises, judge, judge_from_afar

WRONG = [
    (lesson, name, number)
    for lesson in COURSE.written
    for name, exercise in declared(lesson.topic).items()
    for number in range(len(exercise.mistakes))
]
RIGHT = [
    (lesson, name, number)
    for lesson in COURSE.written
    for name, exercise in declared(lesson.topic).items()
    for number in range(len(exercise.right))
]


def _name(value):
    return getattr(value, "topic", None) or str(value)


@pytest.mark.parametrize(("lesson", "exercise", "number"), WRONG, ids=_name)
def test_wrong_answer_gets_its_hint(lesson, exercise, number):
    answer = bank(lesson).wrong[exercise][number]
    hint = judge(lesson, exercise, answer.source)
    assert hint, "the check accepts it"
    assert hint.startswith(answer.hint)
    assert judge_from_afar(lesson, exercise, answer.source) == hint


@pytest.mark.parametrize(("lesson", "exercise", "number"), RIGHT, ids=_name)
def test_right_answer_passes(lesson, exercise, number):
    answer = bank(lesson).right[exercise][number]
    assert judge(lesson, exercise, answer.source) == ""
    assert judge_from_afar(lesson, exercise, answer.source) == ""


@pytest.mark.parametrize("lesson", COURSE.written, ids=_name)
def test_every_exercise_has_enough_answers(lesson):
    answers = bank(lesson)
    assert set(answers.wrong) == set(answers.right) == set(exercises(lesson))
    assert all(len(found) >= ENOUGH_MISTAKES for found in answers.wrong.values())
    assert all(len(found) >= ENOUGH_RIGHT for found in answers.right.values())


@pytest.mark.parametrize("lesson", COURSE.written, ids=_name)
def test_the_solution_passes_and_the_stub_is_told_where_to_begin(lesson):
    for role, exercise, source in cells(lesson):
        if role == "answer" and exercise in exercises(lesson):
            assert judge(lesson, exercise, source) == ""
