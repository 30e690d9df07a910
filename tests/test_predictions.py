"""Predictions: what counts as right, what is said, and what the student edition does not give away."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course.editions.lint import _prediction_problems, _reading_problems, code_lines
from course.editions.replicate import _unjudged
from course.editions.source import minutes
from course.editions.students import has_assert, without_asserts
from helpers.checks import predictions
from helpers.checks.predictions import NOTHING_YET, Predictions


@pytest.fixture
def said(monkeypatch):
    """What a notebook would show, line by line."""
    lines = []
    monkeypatch.setattr(predictions, "say", lines.append)
    return lines


@pytest.mark.parametrize(
    ("guess", "found", "room", "line"),
    [
        (100, 362, {}, "You said 100; it is 362."),
        (362, 362, {}, "You said 362, and it is 362: right."),
        (100, 362, {"factor": 2}, "You said 100; it is 362 (181 to 724 counts as right)."),
        (181, 362, {"factor": 2}, "You said 181; it is 362: right (181 to 724 counts)."),
        (180, 362, {"factor": 2}, "You said 180; it is 362 (181 to 724 counts as right)."),
        (0.55, 0.5, {"within": 0.05}, "You said 0.55; it is 0.5: right (0.45 to 0.55 counts)."),
        (-2, -4, {"factor": 2}, "You said -2; it is -4: right (-8 to -2 counts)."),
        (float("inf"), 362, {"factor": 2}, "You said inf; it is 362 (181 to 724 counts as right)."),
        (0.3331, 1 / 3, {}, "You said 0.333; it is 0.333."),
        (
            1e6,
            2e6,
            {"factor": 10},
            "You said 1,000,000; it is 2,000,000: right (200,000 to 20,000,000 counts).",
        ),
    ],
)
def test_a_number_is_answered_in_a_line(said, guess, found, room, line):
    made = Predictions()
    made.predict("x", guess)
    made.reveal("x", found, **room)
    assert said == [line]
    assert made.right(["x"]) == ("right (" in line or line.endswith(": right.")) and made.missing(["x"]) == 0


def test_words_are_chosen_from_a_list(said):
    made = Predictions()
    for guess in ("bend", 3, True):
        made.predict("x", guess, ["straight", "bends down", "levels off"])
        assert said.pop() == (
            f'Your prediction is {guess!r}, and it should be one of "straight", "bends down" or "levels off".'
        )
    made.predict("x", " Bends  down ", ["straight", "bends down", "levels off"])
    made.reveal("x", "straight")
    assert said == ['You said "bends down"; it is "straight".'] and made.right(["x"]) == 0


@pytest.mark.parametrize("guess", ["a lot", [1], True, float("nan"), "nan"])
def test_where_a_number_is_asked_nothing_else_is_taken(said, guess):
    made = Predictions()
    made.predict("x", guess)
    assert said[0].endswith("and it should be a number.") and made.missing(["x"]) == 1


def test_without_a_prediction_the_line_says_where_to_put_one(said):
    made = Predictions()
    made.predict("x", ...)
    made.reveal("x", 3)
    assert said == [NOTHING_YET] and len(NOTHING_YET) <= 80
    made.predict("x", 3)  # as the line asks for
    made.reveal("x", 3)
    assert made.right(["x", "y"]) == 1 and made.missing(["x", "y"]) == 1


def test_who_has_seen_the_result_predicts_no_more(said):
    made = Predictions()
    made.predict("x", 1)
    made.predict("x", 2)  # a change of mind
    made.reveal("x", 3)
    made.predict("x", 2)  # run again
    made.predict("x", 3)
    made.reveal("x", 3)
    assert said == [
        "You said 2; it is 3.",
        "You said 2 before you saw the result, and that one counts.",
        "You said 2; it is 3.",
    ]
    assert made.right(["x"]) == 0


@pytest.mark.parametrize(
    ("source", "rest"),
    [
        ("x = 1\nassert x == 1", "x = 1"),
        ("x = 1\nassert (\n    x == 1\n), 'no'\nreveal('x', x)", "x = 1\nreveal('x', x)"),
        ("for x in y:\n    print(x)\n    assert x  # so", "for x in y:\n    print(x)"),
        ("for x in y:\n    assert x\nprint(1)", "print(1)"),
        ("if a:\n    assert b\nelse:\n    assert c\nd = 1", "d = 1"),
        ("if a:\n    assert b\nelse:\n    c = 2", "if a:\n    pass\nelse:\n    c = 2"),
        ("def f():\n    assert a\n    return 1", "def f():\n    return 1"),
        ("def f():\n    assert a", "def f():\n    pass"),
        ("with a:\n    for b in c:\n        assert b", ""),
        ("text = 'assert that'", "text = 'assert that'"),
        ("try:\n    assert a\nexcept ValueError:\n    pass", "try:\n    pass\nexcept ValueError:\n    pass"),
        ("assert a; b = 1", "pass; b = 1"),
        ("é = 1; assert é, 'ü'", "é = 1; pass"),
        ("match a:\n    case 1:\n        assert b", "match a:\n    case 1:\n        pass"),
    ],
)
def test_the_student_edition_is_the_same_program_without_its_asserts(source, rest):
    assert without_asserts(source) == rest and not has_assert(rest)


def test_predictions_are_no_part_of_what_is_replicated():
    cell = new_code_cell("x = 3\nassert x == 3\nreveal('x', x, factor=2)")
    assert _unjudged(cell) == "x = 3\nassert x == 3"
    assert _unjudged(new_code_cell('predict("x", ..., ["a", "b"])')) == ""
    setup = "from helpers import figures\nfrom helpers.checks import predict, progress, reveal\nimport math"
    assert _unjudged(new_code_cell(setup)) == "from helpers import figures\nimport math"


# What the build refuses


def lesson(*cells):
    """A notebook of cells: prose, predictions, code."""
    made = new_notebook()
    for at, source in enumerate(cells):
        if source.startswith("**"):
            made.cells.append(new_markdown_cell(source, id=f"m-{at}"))
        elif source.startswith("predict("):
            name = source.partition(",")[0][9:-1]
            made.cells.append(
                new_code_cell(source, id=f"prediction-{name}", metadata={"tags": ["prediction"]})
            )
        else:
            made.cells.append(new_code_cell(source, id=f"c-{at}"))
    return made


ASK, CELL, RESULT = "**Predict.** How many?", 'predict("x", ...)', 'x = 3\nreveal("x", x)'


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((ASK, CELL, RESULT), ""),
        ((ASK, RESULT), "behind **Predict** comes its cell"),
        ((ASK,), "behind **Predict** comes its cell"),
        ((ASK, CELL, "x = 3"), "is never revealed"),
        ((RESULT, ASK, CELL), "no cell above asks for it"),
        ((ASK, 'predict("x", 362)', RESULT), "a prediction is one line"),
        ((ASK, 'predict("x", ...)\nprint(362)', RESULT), "a prediction is one line"),
        ((ASK, CELL, ASK, CELL, RESULT), "is asked for twice"),
        ((ASK, CELL, "x = 3", 'y = 2\nreveal("x", x)'), "uses 'x', which its cell does not need"),
        ((ASK, CELL, "x = 3", 'print(x)\nreveal("x", x)'), ""),
    ],
)
def test_a_prediction_without_its_cell_or_its_result_is_refused(cells, said):
    found = " ".join(_prediction_problems(lesson(*cells)))
    assert said in found and bool(found) == bool(said)


def test_cells_are_short_and_narrow_or_say_why_not():
    long = "\n".join(f"x{i} = {i}" for i in range(13))
    made = lesson(long, "y = 1  # " + "x" * 110)
    found = list(_reading_problems(made))
    assert [problem.split(":")[0] for problem in found] == [
        "cell 'c-0' has 13 lines; 12 are read at a glance",
        "cell 'c-1'",
    ]
    made.cells[0].metadata.long = "one table"
    assert len(list(_reading_problems(made))) == 1


def test_lines_are_counted_as_a_learner_reads_them():
    source = "# why\n\nx = 1\nassert x\nfigures.show(\n    fig,\n    alt='a'\n    'b'\n    'c',\n)\n"
    assert code_lines(new_code_cell(source)) == 5


def test_a_lesson_ends_with_three_questions_to_oneself():
    made = lesson("**x")
    made.cells.append(new_markdown_cell("## What we have learnt"))
    assert "three questions" in " ".join(_reading_problems(made))
    made.cells.append(new_markdown_cell("## Check yourself\n" + 3 * "<details>a</details>"))
    assert not list(_reading_problems(made))


def test_minutes_are_those_of_exercises_words_and_cells_without_what_is_optional():
    words = "word " * 1000  # five minutes
    made = lesson(f"**{words}")
    assert minutes(made) == 5
    made.cells.append(new_markdown_cell("### Exercise 1 · It (4 points, easy, about 10 minutes)\n"))
    made.cells.append(new_markdown_cell(f"<details>{words}</details>"))
    assert minutes(made) == 15
    made.cells.append(new_markdown_cell(f"## 3 · More (optional)\n{words}\n### A part of it\n{words}"))
    assert minutes(made) == 15
    made.cells.append(new_markdown_cell(f"## 4 · Again\n{words}"))
    assert minutes(made) == 20
    made.cells.append(new_markdown_cell(f"## References\n{words}"))
    assert minutes(made) == 20
