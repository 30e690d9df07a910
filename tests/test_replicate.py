"""Claims replicate: a toy lesson whose claims hold, sometimes hold, or raise; and each lesson once, elsewhere."""

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import jupytext
import pytest
from nbformat import NotebookNode
from typer.testing import CliRunner

from course import cli
from course.config import load_course
from course.editions import replicate
from course.editions.claims import Code, Result, Script, run
from course.editions.lint import _nameless_claims, lint
from course.editions.source import read_lesson
from course.model import CourseError

COURSE = load_course()
ALL = pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)

TOY = """\
# %% [markdown]
# # Toy {{badge}}

# %% bootstrap=true

# %% setup="imports"
import numpy as np

# %% parameters=true
SEED = 0  # all draws
DRAWS = 50

# %% claim="holds" effect="gap"
rng = np.random.default_rng(SEED)
gap = 1 + 0.1 * rng.normal(size=DRAWS)
assert gap.mean() > 0.5

# %% claim="holds_sometimes" effect="parity"
parity = SEED // 1000 % 2
assert parity == 0, "odd"
assert DRAWS == 50

# %% live=true
raise RuntimeError("a panel needs a browser")
"""
RAISES = """
# %% claim="raises"
assert 1 + 1 == 2
raise ValueError("no such luck")
"""
JUDGED = """
# %% setup="helpers"
from helpers import statistics
from helpers.checks import progress
from helpers.checks import (
    skip_connection as check,
)

# %% answer="answer"
def answer():
    '''{words}'''
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION

# %% check="answer" points=1
{check}

# %% claim="depends_on_the_answer"
assert answer() == 1

# %%
progress(check, globals())
"""


@pytest.fixture
def toy(tmp_path):
    """A checkout whose only lesson is the toy, and a function that adds to its text."""
    shutil.copytree(
        COURSE.root / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__")
    )
    for package in {replicate.__name__.partition(".")[0]}:
        shutil.copytree(
            COURSE.root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    lesson = replace(COURSE.lessons[0], name="01_toy", cpu_seconds=1)
    course = replace(COURSE, root=tmp_path, lessons=(lesson,))
    course.source(lesson).parent.mkdir(parents=True)
    course.source(lesson).write_text(TOY, encoding="utf-8")

    def add(text):
        with course.source(lesson).open("a", encoding="utf-8") as file:
            file.write(text)

    return course, add


def ran(course, sets=range(2), names=("plain",), told=lambda run: None):
    runs = replicate.plan(course, course.written, sets, names)
    out = course.root / "build" / "results.jsonl"
    return replicate.replicate(course, runs, replicate.processors(names), out, 2, told)


def test_a_claim_is_counted_over_sets(toy):
    course, _ = toy
    done = ran(course, range(4))
    holds, sometimes = replicate.standings(done)
    assert (holds.claim, holds.held, holds.stands) == ("holds", {"plain": (4, 4)}, True)
    assert (sometimes.claim, sometimes.held, sometimes.stands) == (
        "holds_sometimes",
        {"plain": (2, 4)},
        False,
    )
    assert len(holds.effects) == 4 and 0.9 < holds.lowest < holds.highest < 1.1
    assert sometimes.effects == (0.0, 1.0, 0.0, 1.0) and sometimes.span == "0 to 1"
    assert sometimes.effect.startswith("0.5 [-")
    assert not replicate.passed(done)
    assert next(iter(replicate.failures(done))) == (
        "01_toy, set 1 (SEED = 1000), plain: holds_sometimes: not parity == 0"
    )


def test_nineteen_of_twenty_are_enough():
    verdict = replicate.Standing("toy", "claim", {"plain": (19, 20), "avx2": (20, 20)})
    assert verdict.stands
    assert not replace(verdict, held={"plain": (20, 20), "avx2": (18, 20)}).stands
    assert not replace(verdict, held={"plain": (18, 19)}).stands
    assert replace(verdict, held={"plain": (1, 1)}).stands


def test_a_claim_that_raises_does_not_hold_and_stops_nothing(toy):
    course, add = toy
    add(RAISES + '\n# %% claim="after"\nassert True\n')
    done = ran(course, [0])
    held = {verdict.claim: verdict.stands for verdict in replicate.standings(done)}
    assert held == {"holds": True, "holds_sometimes": True, "raises": False, "after": True}
    assert "cell 'raises' raised ValueError: no such luck" in " ".join(replicate.failures(done))


def test_a_cell_beside_the_claims_that_raises_is_a_failure(toy):
    course, add = toy
    done = ran(course, [0])
    assert replicate.passed(done)
    add("\n# %%\nundefined\n")
    assert not replicate.passed(ran(course, [0]))


def test_what_has_ended_is_not_run_again(toy, monkeypatch):
    course, add = toy
    out = course.root / "build" / "results.jsonl"
    first = ran(course)
    with out.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut off')
    told = []
    with monkeypatch.context() as patch:
        patch.setattr(replicate.subprocess, "run", None)  # a run would fail
        assert ran(course, told=told.append) == first
    assert len(told) == 2
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3
    add("\n# %% [markdown]\n# Prose changes nothing.\n")
    keys = {run.key for run in replicate.plan(course, course.written, range(2), ["plain"])}
    assert keys <= set(replicate.recorded(out))
    add("\n# %%\nanother = 1\n")
    assert not keys & {run.key for run in replicate.plan(course, course.written, range(2), ["plain"])}


def test_a_helper_that_changes_is_run_again(toy):
    course, add = toy
    add("\n# %%\nfrom helpers import statistics\n")
    before = replicate.plan(course, course.written, [0], ["plain"])
    path = course.root / "helpers" / "statistics.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
    assert before[0].key != replicate.plan(course, course.written, [0], ["plain"])[0].key


@pytest.mark.slow
def test_what_no_claim_depends_on_starts_nothing_over(toy):
    course, add = toy
    add(JUDGED.format(check="assert answer() == 1", words="Gives one."))
    [before] = replicate.plan(course, course.written, [0], ["plain"])
    for module in (course.root / "helpers" / "checks").glob("*.py"):
        module.write_text("raise ImportError('no claim imports me')\n", encoding="utf-8")
    statistics = course.root / "helpers" / "statistics.py"
    text = statistics.read_text(encoding="utf-8")
    assert text.startswith('"""')
    statistics.write_text('"""Other words' + text[3:] + "# a comment\n", encoding="utf-8")
    course.source(course.lessons[0]).write_text(TOY, encoding="utf-8")
    add(
        "\n# %% [markdown]\n# Prose shifts what follows."
        + JUDGED.format(check="raise SystemExit", words="Gives the number one.")
    )
    [after] = replicate.plan(course, course.written, [0], ["plain"])
    assert after.key == before.key
    [done] = ran(course, [0])  # it imports no check: they would raise
    assert done.outcome.errors == {} and done.outcome.claims["depends_on_the_answer"].held
    add("\n# %%\nlater = answer()\n")
    assert before.key != replicate.plan(course, course.written, [0], ["plain"])[0].key


def test_an_answer_is_part_of_the_key(toy):
    course, add = toy
    add(JUDGED.format(check="pass", words="Gives one."))
    [before] = replicate.plan(course, course.written, [0], ["plain"])
    path = course.source(course.lessons[0])
    path.write_text(path.read_text(encoding="utf-8").replace("return 1", "return 1 + 0"), encoding="utf-8")
    assert before.key != replicate.plan(course, course.written, [0], ["plain"])[0].key


@pytest.mark.slow
@ALL
def test_no_check_runs_when_a_lesson_is_replicated(lesson):
    cells = replicate.script(read_lesson(COURSE, lesson), None).cells
    assert not [cell.id for cell in cells if "HIDDEN TESTS" in cell.source or "helpers.checks" in cell.source]
    assert [cell.id for cell in cells if "BEGIN SOLUTION" in cell.source]


def test_a_lesson_without_a_draw_runs_once(toy):
    course, _ = toy
    path = course.source(course.lessons[0])
    text = path.read_text(encoding="utf-8").replace("# %% parameters=true", "# %%")
    path.write_text(text, encoding="utf-8")
    assert [run.number for run in replicate.plan(course, course.written, range(5), ["plain"])] == [0]


def test_a_process_that_dies_is_told_and_not_recorded(toy):
    course, add = toy
    add("\n# %%\nimport os\n\nos._exit(3)\n")
    with pytest.raises(CourseError, match="01_toy, set 0, plain: the process died with status 3"):
        ran(course, [0])
    assert replicate.recorded(course.root / "build" / "results.jsonl") == {}


def test_asserts_are_recorded_in_functions_and_loops_too():
    source = "def f(x):\n    assert x > 0, boom()\n    return x\nvalues = [f(x) for x in (1, -1)]\nassert len(values) == 2"
    outcome = run(Script((Code("c", source, "c", "values"),)))
    assert outcome == Result.from_json(
        json.dumps(
            {
                "claims": {"c": {"held": False, "failed": ["x > 0"], "effect": [1.0, -1.0]}},
                "errors": {},
                "seconds": 0.0,
            }
        )
    )
    outside = run(Script((Code("plain", "assert False"),)))
    assert outside.errors == {"plain": "AssertionError: "}


def test_the_seed_is_assigned_behind_the_parameters(toy):
    course, _ = toy
    cells = [cell.id for cell in replicate.script(read_lesson(course, course.lessons[0]), 3000).cells]
    assert cells[:3] == ["imports", "parameters", "injected-parameters"]
    assert "bootstrap" not in cells and len(cells) == 5


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="emulates x86 processors")
def test_a_processor_is_an_environment_that_numpy_obeys():
    assert replicate.processors(["plain"]) == {"plain": {}}
    environment = replicate.processors(["baseline"])["baseline"]
    before = os.environ.get(replicate.SWITCH, "").split()
    assert set(environment.get(replicate.SWITCH, "").split()) - set(before) == set(replicate.numpy_features())
    look = (
        "from numpy._core import _multiarray_umath as core; import torch;"
        "print([f for f in core.__cpu_dispatch__ if core.__cpu_features__[f]], torch.backends.cpu.get_cpu_capability())"
    )
    command = [sys.executable, "-W", "error", "-c", look]
    shown = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert (shown.stdout, shown.stderr) == ("[] DEFAULT\n", "")


def test_an_unknown_processor_and_another_machine(monkeypatch):
    with pytest.raises(CourseError, match="no processor is called 'z80'"):
        replicate.processors(["z80"])
    monkeypatch.setattr(replicate.platform, "machine", lambda: "arm64")
    assert replicate.processors() == {"plain": {}}


def test_the_page_is_dated_and_says_what_was_run(toy):
    course, _ = toy
    done = ran(course, range(2))
    page = replicate.markdown(done, ["plain"], today=datetime.date(2026, 1, 2))
    for words in (
        "## 01_toy\n\n2026-01-02, ",
        "Sets 0 to 1: SEED = 0 to 1000 in steps of 1000 (2 sets).",
        replicate.processor_model(),
        *replicate.libraries(),
        "| claim | plain | effect, mean over sets [95 %] | range of runs |",
        "| holds sometimes | 1/2 | 0.5 [",
        "- 01_toy, set 1 (SEED = 1000), plain: holds_sometimes: not parity == 0",
    ):
        assert words in page, words


def test_a_lesson_replaces_its_own_section_of_the_page(toy):
    course, _ = toy
    done = ran(course, [0])
    other = [replace(run, lesson="02_other") for run in done]
    first = replicate.markdown(done + other, ["plain"], today=datetime.date(2026, 1, 2))
    page = replicate.markdown(ran(course, [2]), ["plain"], first, datetime.date(2026, 3, 4))
    assert page.count("# Do the claims hold") == 1 and page.count("\n## ") == 2
    toy_part, other_part = page.split("\n## ")[1:]
    assert toy_part.startswith("01_toy\n\n2026-03-04, ") and "Set 2: SEED = 2000." in toy_part
    assert other_part.startswith("02_other\n\n2026-01-02, ") and "Set 0: SEED = 0." in other_part
    assert replicate.markdown([], [], page) == page


def test_the_command(toy, monkeypatch):
    course, _ = toy
    monkeypatch.setattr(cli, "load_course", lambda: course)
    page = course.root / "docs" / "replication.md"
    words = ["replicate", "--processors", "plain", "--sets", "2", "--markdown", str(page)]
    failed = CliRunner().invoke(cli.app, words)
    assert failed.exit_code == 1, failed.output
    assert "1/2" in failed.output and "not parity == 0" in failed.output
    assert (course.root / "build" / "replicate" / "results.jsonl").is_file()
    assert "holds sometimes" in page.read_text(encoding="utf-8")
    passed = CliRunner().invoke(
        cli.app, ["replicate", "1", "--processors", "plain", "--sets", "1", "--first", "4"]
    )
    assert passed.exit_code == 0, passed.output


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('\n# %% claim="holds"\nassert True\n', "the claim 'holds' is made twice"),
        (
            '\n# %% claim="new" effect="nowhere"\nassert gap.any()\n',
            "the effect 'nowhere' of the claim 'new' is not",
        ),
        ("\n# %% parameters=true\nSEED = 1\n", "2 cells are marked `parameters=true`"),
        ("\n# %% parameters=true\nMORE = DRAWS\n", "`MORE = DRAWS` is no `NAME = literal`"),
        ("\n# %% parameters=true\nMORE = 2\n", "a parameters cell sets SEED"),
    ],
)
def test_the_lint_refuses(toy, text, sentence):
    course, add = toy
    assert not [p for p in problems(course) if "claim" in p or "parameters" in p]
    add(text)
    assert any(sentence in problem for problem in problems(course)), problems(course)


def problems(course):
    lesson = course.lessons[0]
    return lint(course, lesson, read_lesson(course, lesson))


def test_the_lint_wants_parameters_where_there_is_an_effect(toy):
    course, _ = toy
    path = course.source(course.lessons[0])
    path.write_text(
        path.read_text(encoding="utf-8").replace("# %% parameters=true", "# %%"), encoding="utf-8"
    )
    assert any("the claim 'holds' has an effect, but no cell" in problem for problem in problems(course))


def test_an_assert_without_a_name_is_found():
    cells = jupytext.reads("# %%\nassert True\n\n# %%\nx = 1\n", fmt="py:percent").cells
    for place, cell in enumerate(cells):
        cell.id = str(place)
    assert len(list(_nameless_claims(NotebookNode(cells=cells)))) == 1


@pytest.mark.kernel
@ALL
def test_class_20_a_fresh_set_on_another_processor(lesson):
    """Set 20 is none of those that the lessons were written with; processors alternate."""
    name = ("avx2", "baseline")[lesson.number % 2]
    environments = replicate.processors([name]) or replicate.processors(["plain"])
    runs = replicate.plan(COURSE, [lesson], [20], environments)
    out = COURSE.root / "build" / "replicate" / "results.jsonl"
    done = replicate.replicate(COURSE, runs, environments, out, 1)
    assert replicate.passed(done), "\n".join(replicate.failures(done))
