"""Who is stuck gives an exercise up: the rest of the lesson keeps its points, and nobody gets points for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import helpers.checks
from course.config import load_course
from course.editions.exercises import solutions, stand_ins_path
from course.editions.source import is_role, read_lesson
from course.grading.execute import run
from course.grading.job import jobs
from course.grading.sandboxes.places import readable
from course.grading.slice import spared
from course.grading.stand_ins import in_its_place
from course.intake.edition import read_editions
from course.intake.rebuild import rebuild
from course.intake.sheet import Cell, Sheet
from course.model import Submission
from helpers.checks.stand_ins import GivenUp, stands_in, unpacked
from helpers.giving_up import given_up
from tests.bank import exercises

COURSE = load_course()
LESSON = COURSE.lessons[0]
FIRST, SECOND, THIRD, FOURTH = "spectral_radius", "predict_death", "iterate", "overflow_iteration"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('f = give_up("f")', (1, 1)),
        ("# what now?\nf = give_up('f')  # later", (2, 2)),
        ('def f(n):\n    return n\n\nf = give_up("f")', (4, 4)),
        ('f = give_up(\n    "f"\n)\nx = 3', (1, 3)),
        ('f = give_up("f"); x = 3', None),
        ('x = 3; f = give_up("f")', None),
        ('f = give_up("f")\ndef f(n):\n    return n', None),
        ('f = give_up("f")\nif True:\n    f = print', None),
        ('f = give_up("f")\nimport math as f', None),
        ('f = give_up("g")', None),
        ('g = give_up("f")', None),
        ('f = g = give_up("f")', None),
        ('f = lambda *a: give_up("f")(*a)', None),
        ('f = checks.give_up("f")', None),
        ('f = give_up(name="f")', None),
        ('if True:\n    f = give_up("f")', None),
        ('def f(n):\n    return give_up("f")(n)', None),
        ("f = give_up(", None),
        ("", None),
    ],
)
def test_the_line_that_gives_up_is_found_in_the_text(source, lines):
    assert given_up("f", source) == lines


def test_the_keys_solution_takes_the_place_of_that_line_alone():
    key = "def f(n):\n    ### BEGIN SOLUTION\n    return 2 * n\n    ### END SOLUTION"
    assert (
        in_its_place("f", 'x = 1\nf = give_up("f")\ny = 2', key)
        == "x = 1\ndef f(n):\n    return 2 * n\ny = 2"
    )
    assert in_its_place("f", "def f(n):\n    return n", key) == "def f(n):\n    return n"


@pytest.mark.slow
def test_stand_ins_are_the_solutions_each_under_a_name_of_its_own():
    names = [name for lesson in COURSE.written for name in exercises(lesson)]
    assert len(set(names)) == len(names)
    text = stand_ins_path(COURSE, LESSON).read_text()
    assert unpacked(text) == solutions(read_lesson(COURSE, LESSON))
    assert "def " not in text and "spectral" not in text


def test_a_stand_in_works_and_its_check_says_that_it_earns_nothing():
    names: dict = {}
    for cell in read_lesson(COURSE, LESSON).cells:
        if cell.cell_type == "code" and is_role(cell, "setup"):
            exec(cell.source, names)
    exec(f'{FIRST} = give_up("{FIRST}")', names)
    assert names[FIRST](8) == pytest.approx(0.752481, abs=1e-6) and stands_in(names[FIRST])
    check = getattr(helpers.checks, LESSON.topic)
    with pytest.raises(GivenUp, match="is given up for now: no points"):
        check.spectral_radius(names[FIRST])
    row = helpers.checks.progress(check, names).rows[0]
    assert row.hint.startswith(f"`{FIRST}` is given up for now")


def test_an_edition_without_stand_ins_says_whom_to_ask(monkeypatch, tmp_path):
    monkeypatch.setattr("helpers.checks.stand_ins.FOLDER", tmp_path)
    with pytest.raises(GivenUp, match="ask whoever gave you this notebook"):
        helpers.checks.give_up(FIRST)


def test_stand_ins_lie_where_no_kernel_looks():
    folder = stand_ins_path(COURSE, LESSON).parent.resolve()
    assert folder.is_dir()
    assert not any(path == folder or path in folder.parents for path in readable())


# Handed in


def handed_in(answers: dict[str, str], own: str = "") -> bytes:
    """The student edition with these answers, and the solutions in the place of all others."""
    notebook = nbformat.read(COURSE.release(LESSON), as_version=4)
    right = solutions(read_lesson(COURSE, LESSON))
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_role(cell, "answer"):
            name = cell.metadata.nbgrader.grade_id
            cell.source = answers.get(name, right[name])
    if own:
        notebook.cells.insert(3, nbformat.v4.new_code_cell(own, id="own"))
    return nbformat.writes(notebook).encode()


def outcome_of(notebook: bytes):
    (job,) = jobs(COURSE, LESSON, [Submission("ada", LESSON.name, notebook)])
    return run(job)


@pytest.mark.kernel
def test_a_given_up_exercise_costs_its_own_points_alone():
    """Exercise 2 may use what Exercise 1 defines: it is graded with the key's."""
    uses_it = (
        "def predict_death(n, exponent):\n"
        "    threshold = math.log(2.5) - exponent * math.log(2)\n"
        "    return math.ceil((threshold - math.log(convolution.peak_amplitude(n))) / math.log(spectral_radius(n)))\n"
    )
    outcome = outcome_of(handed_in({FIRST: f'{FIRST} = give_up("{FIRST}")', SECOND: uses_it}))
    passed = {name.removesuffix("_check"): verdict.passed for name, verdict in outcome.verdicts.items()}
    assert passed == {FIRST: False, SECOND: True, THIRD: True, FOURTH: True}
    verdict = outcome.verdicts[f"{FIRST}_check"]
    assert verdict.name == "GivenUp" and "given up for now: no points" in verdict.hint
    assert outcome.kernels == 1  # it is settled: nothing runs a second time
    assert verdict.score is None


READS_THE_FILE = """\
import base64, glob, json, os, sys, zlib
import helpers
def find():
    folder = os.path.dirname(os.path.dirname(os.path.abspath(helpers.__file__)))
    for path in [f"{folder}/stand_ins/iterated_convolution.txt", *glob.glob(f"{folder}/**/*.txt", recursive=True)]:
        sources = json.loads(zlib.decompress(base64.b64decode(open(path).read())))
        exec(sources["iterate"], globals())
        return globals()["iterate"]
iterate = find()
"""


@pytest.mark.kernel
def test_nobody_gets_points_by_a_stand_in():
    """Wrapped, by getattr, from the file, and one exercise's in the place of another's."""
    outcome = outcome_of(
        handed_in(
            {
                FIRST: f'{FIRST} = lambda *a: give_up("{FIRST}")(*a)',
                SECOND: f'import helpers.checks as c\n{SECOND} = getattr(c, "give" + "_up")("{SECOND}")',
                THIRD: READS_THE_FILE,
                FOURTH: f'{FOURTH} = give_up("{FIRST}")',
            }
        )
    )
    assert {name: verdict.passed for name, verdict in outcome.verdicts.items()} == {
        f"{name}_check": False for name in (FIRST, SECOND, THIRD, FOURTH)
    }


@pytest.mark.kernel
def test_what_a_given_up_cell_leaves_behind_is_no_answer_to_another():
    """The key's function is there under its own name, and only its own exercise asks for that name."""
    outcome = outcome_of(
        handed_in(
            {
                THIRD: f'{THIRD} = give_up("{THIRD}")',
                FOURTH: f"{FOURTH} = {THIRD}",
                FIRST: f"import inspect\n{FIRST} = {THIRD}",
                SECOND: f'{SECOND} = give_up("{SECOND}")\n{THIRD}_again = {SECOND}',
            },
            own=f'{THIRD} = give_up("{THIRD}")',  # not in its cell: it raises
        )
    )
    assert not any(verdict.passed for verdict in outcome.verdicts.values())


def test_what_a_solution_needs_is_not_spared():
    """A cell of the lesson's that the key's solution reads runs, although the student's line does not name it."""
    key = json.dumps(
        {
            "cells": [
                code("setup", "from helpers.checks import give_up", {"locked": True}, ["setup"]),
                code("needed", "factor = 2"),
                code("spare", "other = 3"),
                code(
                    "f",
                    "def f(n):\n    ### BEGIN SOLUTION\n    return factor * n\n    ### END SOLUTION",
                    {"solution": True},
                ),
                code("f_check", "check.f(f)", {"grade": True, "locked": True}),
            ]
        }
    )
    submitted = json.loads(key)
    submitted["cells"][3]["source"] = 'f = give_up("f")'
    assert spared(key.encode(), json.dumps(submitted).encode()) == (2,)


def code(name: str, source: str, role: dict | None = None, tags: tuple | list = ()) -> dict:
    mark = (
        {"nbgrader": {"grade": False, "solution": False, "locked": False, "grade_id": name, **role}}
        if role
        else {}
    )
    return {"cell_type": "code", "id": name, "source": source, "metadata": {**mark, "tags": list(tags)}}


def test_collecting_takes_the_line_as_an_answer_and_a_real_answer_before_it():
    edition = read_editions(COURSE.release(LESSON).parents[1])[LESSON.name]
    line = f'{FIRST} = give_up("{FIRST}")'
    sheet = Sheet([Cell(s.kind, line if s.grade_id == FIRST else s.source, s.ids) for s in edition.slots])
    assert rebuild(edition, sheet).answered[FIRST] == line
    real = f"def {FIRST}(n):\n    return 0.8"
    sheet.cells.append(Cell("code", real))
    assert rebuild(edition, sheet).answered[FIRST] == real


def test_a_prediction_is_the_releases_own_and_nothing_is_said_of_it():
    edition = read_editions(COURSE.release(LESSON).parents[1])[LESSON.name]
    asked = [slot for slot in edition.slots if slot.is_prediction]
    assert asked
    for ids_are_lost in (False, True):
        cells = [
            Cell(
                s.kind,
                s.source.replace("...", "400") if s.is_prediction else s.source,
                () if ids_are_lost else s.ids,
            )
            for s in edition.slots
        ]
        made = rebuild(edition, Sheet(cells))
        assert [made.notebook["cells"][s.index]["source"] for s in asked] == [s.source for s in asked]
        said = " ".join([*made.repairs, *made.notes])
        assert "edited" not in said and "restored" not in said and "of the student's own" not in said


@pytest.mark.kernel
def test_give_up_in_a_notebook_tells_where_it_belongs():
    """In IPython a wrapped stand-in is refused when it is made, and not first when it is graded."""
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "run = lambda cell: print(shell.run_cell(cell, store_history=True).success)\n"
        "run('import math')\n"
        "run('from helpers.checks import give_up')\n"
        "run('f = lambda n: give_up(\"spectral_radius\")(n)')\n"
        "run('f(8)')\n"
        "run('spectral_radius = give_up(\"spectral_radius\")')\n"
        "run('print(round(spectral_radius(8), 6))')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert "stands on a line of its own in" in done.stdout
    assert [line for line in done.stdout.splitlines() if line in ("True", "False", "0.752481")] == [
        "True", "True", "True", "False", "True", "0.752481", "True",
    ]  # fmt: skip
