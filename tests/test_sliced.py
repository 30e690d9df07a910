"""A lesson's slice earns what the whole of it earns: wrong answers the same hints; before a point is lost, all above runs.

That right answers earn full marks by it is seen where they are graded (test_grading.py).
"""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest

from course.grading import execute
from course.grading.execute import once, run
from course.grading.job import key_and_files
from course.grading.kernel import MachineFault
from course.grading.sandboxes.choose import confinement
from course.model import Limits
from tests.bank import COURSE, bank, exercises
from tests.jobs import job_of, sliced, told
from tests.sample_class import filled

pytestmark = pytest.mark.kernel


def job(lesson, answers):
    """A lesson's submission with these answers."""
    content, files = key_and_files(COURSE.solution(lesson).parent, COURSE.release(lesson).parent)
    made = job_of(filled(lesson, answers), nbformat.reads(content.decode(), as_version=4), Limits(), files)
    return replace(made, sandbox=confinement(warm=True))  # many kernels: one import for all


def wrong_classes():
    """(lesson, n): every exercise answered by its n-th wrong answer; three of them in the first lesson, one in each other."""
    return [
        pytest.param(lesson, n, id=f"{lesson.name}-{n}")
        for lesson in COURSE.written
        for n in range(3 if lesson is COURSE.written[0] else 1)
    ]


@pytest.mark.parametrize(("lesson", "number"), wrong_classes())
def test_wrong_answers_are_told_the_same_with_the_slice_and_with_all_cells(lesson, number):
    wrong = bank(lesson).wrong
    whole = job(lesson, {name: wrong[name][number % len(wrong[name])].source for name in exercises(lesson)})
    part = sliced(whole)
    hints = told(once(part))
    assert hints == told(once(whole, unpainted=part.spared))
    assert "passed" not in hints.values()


SETUP = {"locked": True, "grade": False, "solution": False, "schema_version": 3, "task": False}


def tiny(answer):
    """A lesson whose check passes if the demonstration has run; its place is 1."""
    from nbformat.v4 import new_code_cell, new_notebook

    def cell(source, name, **role):
        mark = {**SETUP, **role, "grade_id": name, "cell_type": "code"}
        return new_code_cell(source, id=name, metadata={"nbgrader": mark})

    key = new_notebook(
        cells=[
            cell("box = []", "setup"),
            new_code_cell("box.append(1)", id="demo"),
            cell(
                "def f():\n    ### BEGIN SOLUTION\n    return len(box)\n    ### END SOLUTION",
                "f",
                locked=False,
                solution=True,
            ),
            cell("assert f() == 1, 'empty'", "f_check", grade=True, points=1),
        ]
    )
    key.cells[0].metadata.tags = ["setup"]
    notebook = nbformat.from_dict(key)
    handed_in = nbformat.reads(nbformat.writes(notebook), as_version=4)
    handed_in.cells[2].source = answer
    return job_of(handed_in, key)


ANSWER = "def f():\n    return len(box)"
RAISES = 'raise NotImplementedError("replace this line with your answer")'
STUB = f"def f():\n    # YOUR CODE HERE\n    {RAISES}"


def test_before_a_point_is_lost_everything_above_runs():
    """Even where a cell was wrongly spared."""
    wrongly = replace(tiny(ANSWER), spared=(1,))
    assert told(once(wrongly)) == {"f_check": "empty"}
    outcome = run(wrongly)
    assert told(outcome) == {"f_check": "passed"}
    assert (outcome.spared, outcome.kernels, outcome.job) == ((), 2, wrongly)


def test_below_the_last_lost_point_nothing_runs_once_more():
    """A check that stands above a cell was passed or failed before it, in stock nbgrader too."""
    notebook, answer = (
        nbformat.reads(text.decode(), as_version=4)
        for text in (tiny(ANSWER).key, tiny("def f():\n    return 7").submission.notebook)
    )
    for made in (notebook, answer):
        made.cells.append(nbformat.v4.new_code_cell("print('below')", id="below"))
    job = job_of(answer, notebook)
    outcome = run(replace(job, spared=(1, 4)))
    assert (told(outcome), outcome.kernels, outcome.spared) == ({"f_check": "empty"}, 2, (4,))
    cells = nbformat.reads(outcome.notebook.decode(), as_version=4).cells
    assert cells[4].outputs[-1].text == "(not run for the grade)\n"
    assert run(replace(job, spared=(4,))).kernels == 1


def test_what_fails_in_full_too_has_failed():
    outcome = run(replace(tiny("def f():\n    return 7"), spared=(1,)))
    assert told(outcome) == {"f_check": "empty"} and outcome.spared == ()


PAINTS = """
import io, matplotlib.pyplot as plt
picture = io.BytesIO()
plt.gcf().add_subplot().figure.savefig(picture)
box.append(len(picture.getvalue()))
"""


def test_what_runs_for_a_lost_point_alone_paints_nothing_and_shows_what_was_handed_in():
    wrongly = tiny(f"{PAINTS}\nplt.show()\nprint(box[0] == 0 < box[1])\ndef f():\n    return 7")
    key = nbformat.reads(wrongly.key.decode(), as_version=4)
    notebook = nbformat.reads(wrongly.submission.notebook.decode(), as_version=4)
    key.cells[1].source = notebook.cells[1].source = PAINTS
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="mine")]
    job = job_of(notebook, key)
    outcome = run(replace(job, spared=(1,)))
    assert not outcome.verdicts["f_check"].passed and outcome.spared == ()
    _, demo, answer, _ = nbformat.reads(outcome.notebook.decode(), as_version=4).cells
    assert [o.text for o in demo.outputs] == [
        "mine",
        "(run for the grade, without its output; above stands what was handed in)\n",
    ]
    assert "True\n" in [o.get("text") for o in answer.outputs]
    assert any("image/png" in o.get("data", {}) for o in answer.outputs)
    notebook.cells[1].source = key.cells[1].source = f"{PAINTS}\nraise ValueError(7)"
    outcome = run(replace(job_of(notebook, key), spared=(1,)))
    demo = nbformat.reads(outcome.notebook.decode(), as_version=4).cells[1]
    assert [o.ename for o in demo.outputs if o.output_type == "error"] == ["ValueError"]


def test_an_answer_that_nobody_began_is_not_run_twice():
    outcome = run(replace(tiny(STUB), spared=(1,)))
    assert outcome.kernels == 1 and not outcome.verdicts["f_check"].passed
    begun = run(replace(tiny(f"def f():\n    if box: return 1\n    {RAISES}"), spared=(1,)))
    assert told(begun) == {"f_check": "passed"}


def test_a_machine_that_fails_in_the_second_run_fails_no_student(monkeypatch):
    runs = []
    original = execute._Execution._everything

    async def second_fails(self):
        runs.append(self)
        if len(runs) == 2:
            raise MachineFault("no memory")
        await original(self)

    monkeypatch.setattr(execute._Execution, "_everything", second_fails)
    outcome = run(replace(tiny("def f():\n    return 7"), spared=(1,)))
    assert outcome.machine_fault == "no memory" and outcome.verdicts == {}


def test_what_was_handed_in_is_shown_within_limits_and_cleaned():
    wrongly = tiny(ANSWER)
    notebook = nbformat.reads(wrongly.submission.notebook.decode(), as_version=4)
    notebook.cells[1].outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="mine\x07"),
        nbformat.v4.new_output("display_data", data={"text/html": "<script>", "image/png": "bm8="}),
        nbformat.v4.new_output("error", ename="E", evalue="v", traceback=["t"]),
    ]
    text = nbformat.writes(notebook).encode()
    outcome = once(replace(wrongly, submission=replace(wrongly.submission, notebook=text), spared=(1,)))
    shown = nbformat.reads(outcome.notebook.decode(), as_version=4).cells[1].outputs
    assert [o.output_type for o in shown] == ["stream", "error", "stream"]
    assert shown[0].text == "mine" and "above stands what was handed in" in shown[-1].text


def test_the_digest_knows_of_spared_cells_where_there_are_any():
    whole = tiny(ANSWER)
    assert replace(whole, spared=()).digest == whole.digest != replace(whole, spared=(1,)).digest
