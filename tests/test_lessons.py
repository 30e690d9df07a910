"""Each lesson as its readers meet it: Run All on the blank notebook, the stub's hint, the panel, the open questions."""

import importlib
import inspect
import pkgutil
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

import helpers.checks
from course.config import load_course
from course.editions.source import is_role, minutes, points, read_lesson
from course.editions.students import has_assert
from course.grading.execute import UNBEGUN
from course.grading.slice import spared
from helpers.checks import core
from helpers.checks.standing import Progress, Row
from helpers.figures import png
from tests.bank import cells, exercises, judge
from tests.jobs import EMPTIED

COURSE = load_course()
ALL = pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)

LEVEL = r"^[\s*-]*(\d(?:\.5)?)[\s*]*(?:points?)?[\s*]*[:–-]"  # "- 2: ..." or "**2** - ..."


def prose(lesson):
    return "\n".join(c.source for c in read_lesson(COURSE, lesson).cells if c.cell_type == "markdown")


def needs_an_answer(cell):
    """Tell whether the build marked a cell as one that fails while an answer is blank; the table of progress never does."""
    return "raises-exception" in cell.metadata.get("tags", []) and "globals()" not in cell.source


def without_idle(lesson):
    """The blank notebook, without what neither needs an answer nor is needed by a cell that does: nbval runs that, in the solution."""
    blank, asked = (nbformat.read(COURSE.release(lesson), as_version=4) for _ in range(2))
    for cell in asked.cells:  # as if a student had written what needs an answer: it runs in any case
        if needs_an_answer(cell):
            cell.id = f"own-{cell.id}"[:64]
    key = nbformat.writes(read_lesson(COURSE, lesson)).encode()
    idle = spared(key, nbformat.writes(asked).encode())
    blank.cells = [
        cell
        for at, cell in enumerate(blank.cells)
        if at not in idle or "raises-exception" in cell.metadata.get("tags", [])
    ]
    return blank


@pytest.mark.kernel
@ALL
def test_run_all_on_the_blank_notebook_reaches_the_end(lesson, plain_kernel):
    notebook = without_idle(lesson)
    notebook.cells.insert(0, new_code_cell(EMPTIED))
    client = NotebookClient(notebook, km=plain_kernel, timeout=120)
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    assert notebook.cells.pop(0).outputs == []
    errors = {
        cell.id: [o.ename for o in cell.outputs if o.output_type == "error"]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    wrong = {name: found for name, found in errors.items() if found}
    checks = [c.id for c in notebook.cells if c.cell_type == "code" and is_role(c, "check")]
    # No traceback: what needs an answer says so in a line.
    assert list(wrong) == checks and all(found == ["CheckFailed"] for found in wrong.values())
    lines = {
        cell.id: [
            output.data["text/plain"]
            for output in cell.outputs
            if "cell waits for" in output.get("data", {}).get("text/plain", "")
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    waiting = {name: found for name, found in lines.items() if found}
    said = {f"This cell waits for Exercise {at} ({name})." for at, name in enumerate(exercises(lesson), 1)}
    assert all(len(found) == 1 and said.issuperset(found) for found in waiting.values())
    # Those that wait are what the build marks; in a lesson whose demonstrations need no answer, none is.
    marked = {cell.id for cell in notebook.cells if needs_an_answer(cell)} - set(checks)
    assert marked.issuperset(waiting) and bool(marked) == bool(waiting)


@ALL
def test_the_student_edition_gives_no_prediction_away(lesson):
    release = nbformat.read(COURSE.release(lesson), as_version=4)
    assert not [c.id for c in release.cells if c.cell_type == "code" and has_assert(c.source)]


@ALL
def test_the_stub_is_told_where_to_begin(lesson):
    release = nbformat.read(COURSE.release(lesson), as_version=4)
    stubs = {c.metadata.nbgrader.grade_id: c.source for c in release.cells if is_role(c, "answer")}
    for exercise in exercises(lesson):
        assert judge(lesson, exercise, stubs[exercise]).startswith(UNBEGUN)


@ALL
def test_three_to_five_exercises_and_open_questions_with_a_rubric(lesson):
    assert 3 <= len(exercises(lesson)) <= 5
    notebook = read_lesson(COURSE, lesson)
    questions = [
        c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id", "").endswith("_question")
    ]
    responses = [c for c in notebook.cells if is_role(c, "response")]
    assert 1 <= len(questions) <= 3 and len(questions) == len(responses)
    for question, response in zip(questions, responses, strict=True):
        scheme = question.source.partition("=== BEGIN MARK SCHEME ===")[2]
        levels = {float(x) for x in re.findall(LEVEL, scheme, re.MULTILINE)}
        assert {0.0, float(response.metadata.nbgrader.points)} <= levels, question.id
        assert "isconception" in scheme
        assert len(response.source) > 200


@ALL
def test_the_frame_of_a_lesson(lesson):
    text = prose(lesson)
    notebook = read_lesson(COURSE, lesson)
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    for word in (
        "Objectives",
        "Prerequisites",
        f"about {minutes(notebook)} minutes",
        f"{points(notebook):g}",
        "notation.md",
        "glossary.md",
    ):
        assert word in first, word
    assert re.search(r"arXiv[: ]*\d{4}\.\d{4,5}|doi|10\.\d{4,}/", last, re.IGNORECASE), (
        "references belong at the end"
    )
    assert len(re.findall(r"\bpredict", text, re.IGNORECASE)) >= 3
    assert any("progress(check, globals())" in c.source for c in notebook.cells)


def test_helpers_hold_no_answer_under_an_importable_name():
    answers = {name for lesson in COURSE.written for name in exercises(lesson)}
    for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
        if not module.name.startswith("helpers.checks"):
            assert not answers & set(vars(importlib.import_module(module.name))), module.name


def test_public_helpers_are_documented_and_typed():
    for info in pkgutil.walk_packages(helpers.__path__, "helpers."):
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        for name, thing in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(thing) or thing.__module__ != info.name:
                continue
            assert thing.__doc__, f"{info.name}.{name} has no docstring"
            missing = [p for p in inspect.signature(thing).parameters.values() if p.annotation is p.empty]
            assert not missing, f"{info.name}.{name}: {missing} without a type"


@ALL
def test_every_exercise_has_a_check_of_its_name(lesson):
    assert list(getattr(helpers.checks, lesson.topic).exercises) == exercises(lesson)
    for role, name, source in cells(lesson):
        if role == "check":
            assert source.startswith(f"check.{name}({name})\n")


def test_a_figure_is_the_same_bytes_twice():
    def draw(slope):
        from helpers.figures import canvas

        figure, axis = canvas("a line", "x", "y")
        axis.plot([0, slope], color="red")
        return figure

    assert png(draw(1)) == png(draw(1)) != png(draw(2))


@pytest.mark.parametrize(
    ("value", "truth", "word"),
    [
        (None, 1.0, "None"),
        ("text", 1.0, "made of numbers"),
        (np.array([]), np.ones(3), "shape"),
        (np.full(3, np.nan), np.ones(3), "not finite"),
        (float("nan"), 1.0, "not finite"),
        (float("inf"), 1.0, "not finite"),
        (np.ones((3, 1)), np.ones(3), "shape"),
        (1.0 + 1e-6, 1.0, "should be 1"),
        (1.0 + 1e-6, 1.0, "a relative error of 1e-06"),
        (np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), "index [2]"),
        ([[1, 2], [3]], np.ones((2, 2)), "made of numbers"),
        (np.array(["a"]), np.ones(1), "made of numbers"),
    ],
)
def test_close_says_what_is_wrong(value, truth, word):
    with pytest.raises(core.CheckFailed, match=re.escape(word)):
        core.close(value, truth, "x")


def test_close_tells_dtypes_apart_and_knows_mistakes():
    core.close(np.ones(2, np.float32), np.ones(2), "x", dtype=np.dtype("float32"))
    with pytest.raises(core.CheckFailed, match="float32"):
        core.close(np.ones(2), np.ones(2), "x", dtype="float32")
    with pytest.raises(core.CheckFailed, match="should be inf"):
        core.close(float("nan"), float("inf"), "x")
    core.close(float("inf"), float("inf"), "x")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(True, 1), (1, True), (1.0, 1), (None, 0), (0, None), ((1, 2, 3), (1, 2)), ("1", 1)],
)
def test_equal_is_exact(actual, expected):
    with pytest.raises(core.CheckFailed):
        core.equal(actual, expected, "x")


def test_numbers_in_tensors_that_remember_their_graph_get_a_hint():
    import torch

    with pytest.raises(core.CheckFailed, match="still remember"):
        core.close([torch.ones((), requires_grad=True)], np.ones(1), "x")


def test_a_gradient_that_was_cut_off_is_zero():
    assert core.gradient(lambda x: x.detach() ** 2, np.array([1.0, 2.0])).tolist() == [0.0, 0.0]


def test_equal_takes_numpy_integers_and_lists_for_tuples():
    core.equal(np.int64(3), 3, "x")
    core.equal([1, np.int32(2)], (1, 2), "x")
    core.equal(None, None, "x")


def test_checks_of_gradients():
    def cube(x):
        return x**3

    assert core.gradient(cube, np.array([1.0, 2.0])).tolist() == [3.0, 12.0]
    assert core.gradient(cube, np.array([1.0, 2.0]), cotangent=np.array([1.0, 0.5])).tolist() == [3.0, 6.0]


def test_a_hint_is_all_that_a_notebook_shows():
    failure = core.CheckFailed("Look at the sign.")
    assert failure._render_traceback_() == ["Not yet. Look at the sign."]


def test_a_long_hint_breaks_between_words():
    lines = core.CheckFailed("word " * 60)._render_traceback_()
    assert len(lines) > 1 and max(map(len, lines)) <= core.LINE
    assert {word for line in lines for word in line.split()} == {"Not", "yet.", "word"}


def test_a_failing_call_is_shown_with_its_arguments():
    def broken(image, n):
        raise ValueError("no")

    with pytest.raises(
        core.CheckFailed, match=r"broken\(<ndarray of shape \(9, 9\)>, 3\) raised ValueError: no"
    ):
        core.call(broken, np.ones((9, 9)), 3)


def test_progress_is_a_table_that_shows_hints_as_text():
    rows = [Row("f", 4, ""), Row("longer_name", 3, "n < 3 & " + "word " * 30)]
    shown = Progress(rows, [("Why <it> is so", 2.0)], "You were right in 1 of 2 predictions.")
    page = shown._repr_html_()
    assert "<td>✓</td>" in page and "n &lt; 3 &amp;" in page and "Why &lt;it&gt; is so" in page
    lines = repr(shown).splitlines()
    assert lines[0].split() == ["✓", "f", "4", "/", "4", "passes"]
    assert lines[1].split()[:6] == ["·", "longer_name", "0", "/", "3", "n"]
    assert " ".join(lines[-3].split()) == "? Why <it> is so of 2 read by a person"
    assert lines[-2:] == [
        "1 of 2 exercises pass their visible checks: 4 of 7 points.",
        "You were right in 1 of 2 predictions.",
    ]
    assert max(map(len, lines)) <= core.LINE


def test_a_long_title_breaks_into_even_lines():
    from helpers.figures import canvas

    figure, axis = canvas("The title of a figure that is just a little too long for its line", "x", "y")
    lines = axis.get_title("left").splitlines()
    plt.close(figure)
    assert len(lines) == 2 and abs(len(lines[0]) - len(lines[1])) < 10
