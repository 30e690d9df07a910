"""Answers that are alike: a copy is found under other names and layout, what everybody was given is not, and nobody is judged."""

from __future__ import annotations

import nbformat
import pytest

from course.config import load_course
from course.intake import collect
from course.reports.ledger import Ledger, read_ledger
from course.reports.similar import Pair, alike, fingerprints, line, page, similar, words_of
from tests.test_class_report import Elements
from tests.test_feedback import HOSTILE
from tests.toy_course import hand_in, toy_course

SOLUTION = "def widths(k0, k, L):\n    return [k0 + k * i for i in range(L + 1)]\n"
STUB = 'def widths(k0, k, L):\n    """Give them."""\n    raise NotImplementedError\n'
ODD = """
def widths(k0, k, L):
    found = []
    seen = {0: k0}
    while len(found) < L + 1:
        step = len(found)
        seen[step + 1] = seen[step] + sum([k] * 1)
        if step % 2 == 0 and seen[step] >= 0:
            found.append(int(abs(seen[step])))
        else:
            found.extend([seen.get(step, None)])
    return list(reversed(found[::-1]))
"""
COPIED = '''
# my own work
def widths(k0, k, L):
    """A text of mine."""
    out = []
    memo = {0: k0}

    while len(out) < L + 1:  # go on
        n = len(out)
        memo[n + 1] = memo[n] + sum([k]*1)
        if n % 2 == 0 and memo[n] >= 0:
            out.append(int(abs(memo[n])))
        else: out.extend([memo.get(n, None)])
    return list(reversed(out[::-1]))
'''
OTHER = """
import numpy as np
def widths(k0, k, L):
    total = np.zeros(L + 1, dtype=int)
    total[:] = k
    total[0] = k0
    return np.cumsum(total).tolist()
"""


def test_names_comments_and_layout_are_taken_out():
    assert words_of(ODD, True) == words_of(COPIED, True) != words_of(OTHER, True)
    assert words_of("def f(:", True) == []
    assert words_of("Because the Gradient,", False) == ["because", "the", "gradient"]


def test_a_copy_under_other_names_is_found_and_independent_work_is_not():
    (pair,) = alike("widths", {"ada": ODD, "bo": COPIED, "cy": OTHER}, [SOLUTION, STUB])
    assert (pair.one, pair.other) == ("ada", "bo") and pair.share == 1.0
    assert pair.texts == (ODD, COPIED)


def test_what_the_course_gave_tells_nothing():
    both = {"ada": SOLUTION, "bo": SOLUTION.replace("i", "j"), "cy": STUB, "di": STUB}
    assert alike("widths", both, [SOLUTION, STUB]) == []


def test_what_much_of_the_class_writes_is_nobodys():
    crowd = {f"s{n}": OTHER for n in range(20)}
    assert alike("widths", crowd, [SOLUTION, STUB]) == []
    (pair,) = alike("widths", crowd | {"ada": ODD, "bo": COPIED}, [SOLUTION, STUB])
    assert pair.one == "ada"


def test_what_is_moved_is_found_again():
    marks = fingerprints(words_of(ODD, True))
    moved = fingerprints(words_of(OTHER + ODD, True))
    assert len(marks & moved) > 0.8 * len(marks)


def test_answers_of_a_class_side_by_side(tmp_path):
    course = toy_course(tmp_path, registered=False)
    (lesson,) = course.lessons
    name = code_answers(course)[0]
    answers = {"ada": {name: ODD}, "bo": {name: COPIED}, "cy": {name: OTHER}, "di": None}
    collect([hand_in(course, tmp_path / "in", answers)], course.root / "notebooks", course.classroom)
    (pair,) = similar(course, lesson)
    assert {pair.one, pair.other} == {"ada", "bo"}
    ledger = read_ledger(course)
    assert "100 % of what is their own" in line(lesson, pair, ledger)
    html = page([(lesson, [pair])], ledger)
    assert "It is no mark and no verdict" in html and "# my own work" in html


def code_answers(course) -> list[str]:
    """Names of the toy's answer cells of code."""
    cells = nbformat.read(course.release(course.lessons[0]), as_version=4).cells
    return [
        c.metadata.nbgrader.grade_id
        for c in cells
        if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("solution")
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_an_answer_acts_on_the_page(text):
    lesson = load_course().lessons[0]
    found = Elements(page([(lesson, [Pair(text, text, text, 1.0, 9, (text, text))])], Ledger((), ())))
    assert not {tag for tag, _ in found.found} & {
        "script",
        "iframe",
        "img",
        "svg",
        "form",
        "input",
        "link",
        "a",
    }
    assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
