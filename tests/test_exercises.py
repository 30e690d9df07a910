"""Exercises as data: what is recorded is what is declared, nothing importable is an answer, and the checks notice mutants."""

import ast
import functools
import importlib
import importlib.util
import json
import pkgutil
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import helpers
import helpers.checks
from course.config import load_course
from course.editions import exercises as recording
from course.editions import mutation, skeleton
from course.editions.lint import lint
from course.editions.mutants import mutants
from course.editions.skeleton import new_exercise
from course.editions.solved import Solved, quiet, visible
from course.editions.source import read_lesson
from course.exercises import Exercise, Mistake, Right, case, conduct, listed, rewritten, told, unchanged
from course.exercises import exercises as declared
from course.grading import job
from course.model import CourseError
from helpers.checks import probes
from helpers.checks.exercise import Checks, Known, ask, judge, sketch
from helpers.checks.values import Made, decode, encode, made
from tests.toy_course import toy_course

COURSE = load_course()
ALL = pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.topic)
HEARD = 20  # letters that a hint has at least: no bare "wrong"


@functools.cache
def solved_lesson(lesson):
    """A lesson is read and solved once for all questions about it."""
    return Solved(COURSE, lesson)


# What is recorded ----------------------------------------------------------------------------------------------------


@pytest.mark.kernel  # seconds a lesson: what `course build` and `course mutate` do in whole
@ALL
def test_what_is_recorded_is_what_the_declarations_give_here(lesson):
    solved = solved_lesson(lesson)
    fresh = {
        name: recording._data(visible(each, lesson.topic, solved))
        for name, each in declared(lesson.topic).items()
    }
    kept = json.loads(recording.recorded_path(COURSE, lesson).read_text())["exercises"]
    assert recording.drifted(COURSE, lesson) == []
    assert recording._nearly(kept, json.loads(json.dumps(fresh)))


@pytest.mark.kernel  # seconds a lesson: what `course build` and `course mutate` do in whole
@ALL
def test_the_checks_notice_what_is_wrong(lesson):
    solved = solved_lesson(lesson)
    count = dict.fromkeys(("visibly", "hidden", ""), 0)
    for name, exercise in declared(lesson.topic).items():
        found = mutation.who_notices(exercise, getattr(helpers.checks, lesson.topic).exercises[name], solved)
        assert sorted(found[""]) == sorted(exercise.equivalent), name
        count = {key: count[key] + len(found[key]) for key in count if key} | {"": 0}
    total = sum(count.values())
    assert 100 * count["visibly"] >= mutation.VISIBLE * total
    assert 100 * (count["visibly"] + count["hidden"]) >= mutation.HIDDEN * total


def test_without_a_timer_no_mutant_is_taken_for_noticed(monkeypatch):
    monkeypatch.delattr(mutation.signal, "setitimer")
    with pytest.raises(CourseError, match="in WSL 2"):
        next(mutation.scores(COURSE, COURSE.written[0]))


@pytest.mark.slow
@ALL
def test_fresh_draws_of_the_hidden_cases_accept_what_is_right(lesson):
    solved = solved_lesson(lesson)
    for name, exercise in declared(lesson.topic).items():
        for source in (
            solved.solutions[name],
            *(a.source(name, solved.solutions[name]) for a in exercise.right),
        ):
            answer = solved.defined(name, source)
            with quiet():
                assert [exercise.hidden_hint(answer, seed) for seed in (1, 2)] == ["", ""], source


@functools.cache
def importable():
    """Whatever can be called in `helpers`, under the name that it was defined by."""
    things = {}
    for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if callable(thing) and getattr(thing, "__module__", "").startswith("helpers"):
                things[f"{thing.__module__}.{name}"] = thing
    return things


@pytest.mark.kernel  # seconds a lesson
@ALL
def test_class_25_nothing_that_a_learner_can_import_is_an_answer(lesson):
    """Each is asked until it shows something else than expected; which mistake that looks like is of no interest here."""
    with quiet():
        right = [
            (name, path)
            for name, check in getattr(helpers.checks, lesson.topic).exercises.items()
            for path, thing in importable().items()
            if not judge(thing, check.cases, check.expected)
        ]
    assert right == []


def test_every_hint_says_something_and_gives_nothing_away():
    for lesson in COURSE.written:
        solutions = solved_lesson(lesson).solutions
        for name, exercise in declared(lesson.topic).items():
            lines = {line.strip() for line in solutions[name].splitlines() if len(line.strip()) > HEARD}
            said = [each.hint for each in exercise.mistakes if each.hint]
            said += [hint for each in exercise.cases for hint in each.hints.values()]
            for hint in said:
                assert len(hint) > HEARD and hint.rstrip()[-1] in ".?:)!*`'\"", (name, hint)
                assert not any(line in hint for line in lines), (name, hint)


def test_a_grade_is_stamped_with_what_is_asked_visibly_and_hidden(tmp_path, monkeypatch):
    for lesson in COURSE.written:
        declaration = COURSE.root / "course" / "exercises" / f"{lesson.topic}.py"
        for file in (declaration, recording.recorded_path(COURSE, lesson)):
            assert any(folder in file.parents for folder in (COURSE.root / "course", COURSE.root / "helpers"))
    monkeypatch.setattr(job, "COURSE", tmp_path)
    version = job.checker_version.__wrapped__
    seen = {version()}
    for name, text in (
        ("asked.py", "1"),
        ("asked.py", "2"),
        ("recorded.json", "{}"),
        ("recorded.json", "[]"),
        ("reports/page.py", "1"),  # what comes after a grade does not change it
        ("cli.py", "1"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        seen.add(version())
    assert len(seen) == 5


def test_whatever_judges_is_part_of_the_stamp():
    """In a fresh process that holds all of a grade's code, no module is of a room that is left out of it."""
    modules = ("course.grading.execute", "course.grading.slice", "course.grading.checker.check", "course.grading.checker.proxy", "course.exercises")  # fmt: skip
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; print(*(m for m in sys.modules if m.startswith('course.')))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=COURSE.root)
    rooms = {name.split(".")[1] for name in run.stdout.split()}
    assert {"grading", "exercises", "model"} <= rooms and not rooms & job.BESIDE, run.stderr


# How an answer is judged ---------------------------------------------------------------------------------------------


def toy(**changes):
    """An exercise with two mistakes that differ in the second case only."""
    words = {
        "oracle": lambda x: x + 1,
        "cases": [case(0.0), case(2.0), conduct(3.0)],
        "hidden": lambda rng: [case(float(rng.normal()))],
        "mistakes": [
            Mistake("doubles", "return 2 * x + 2", hint="It doubles, and should add."),
            Mistake("squares", "return x * x + 2", hint="It squares, and should add."),
        ],
        "right": [],
    } | changes
    return Exercise(**words).named("add_one")


class Names:
    """What `visible` needs of a solved lesson."""

    solutions = {"add_one": "def add_one(x):\n    return x + 1\n"}  # noqa: RUF012

    def defined(self, name, source):
        names = {"np": np}
        exec(source, names)
        return names[name]


def check(**changes):
    return visible(toy(**changes), "toy", Names())


def test_a_mistake_is_recognised_by_all_that_it_shows():
    assert check().hint(lambda x: x + 1) == ""
    assert check().hint(lambda x: 2 * x + 2) == "It doubles, and should add."
    assert check().hint(lambda x: x**2 + 2) == "It squares, and should add."
    assert check().hint(lambda x: x + 7) == "add_one(0.0) should be 1, but yours is 7."


def test_what_is_raised_is_said_too():
    wrong = Mistake("divides", "return 1 / x", hint="There is nothing to divide.")
    hint = check(mistakes=[wrong]).hint(lambda x: 3 / x)
    assert hint.startswith("There is nothing to divide. (") and "ZeroDivisionError" in hint
    assert "TypeError" in check(mistakes=[wrong]).hint(lambda x: x["a"])


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("the printed text", lambda x: print("here") or x + 1),
        ("the random state", lambda x: x + 1 + 0 * np.random.rand()),  # noqa: NPY002
        ("the random state", lambda x: x + 1 + 0 * torch.rand(()).item()),
        ("the settings", lambda x: torch.set_default_dtype(torch.float64) or x + 1),
        ("the second call", lambda x, seen=[]: seen.append(x) or (x + 1 if len(seen) < 4 else 0.0)),
    ],
)
def test_conduct(part, answer):
    before = torch.get_default_dtype()
    try:
        assert check().hint(answer) == probes.CONDUCT[part]
    finally:
        torch.set_default_dtype(before)


def test_conduct_of_arrays_and_tensors():
    def in_place(x):
        x += 1
        return x

    def marked(x):
        x.requires_grad_()
        return x.detach() + 1

    array, tensor = np.zeros(3), torch.zeros(3)
    for argument, answer, part in (
        (array, in_place, "the arguments"),
        (tensor, marked, "the marks of autograd"),
    ):
        asked = check(cases=[conduct(argument)], mistakes=[])
        assert asked.hint(answer) == probes.CONDUCT[part]
        assert asked.hint(lambda x: x + 1) == ""


@pytest.mark.parametrize(
    ("expected", "given", "fits"),
    [
        (3, np.int64(3), True),
        (3, torch.tensor(3), True),
        (3, np.array(3), True),
        (3, 3.0, False),
        (1, True, False),
        (True, np.bool_(True), True),
        (None, None, True),
        (None, 0, False),
        ([1, 2], (1, 2), True),
        ([1, 2], range(1, 3), True),
        ([1, 2], np.array([1, 2]), True),
        ([1, 2], [1.0, 2.0], False),
        ([1, 2], [1, 2, 3], False),
        (0.5, torch.tensor(0.5), True),
        (0.5, np.array(0.5 + 1e-12), True),
        (0.5, 0.5 + 1e-8, False),
        (np.arange(3.0), [0, 1, 2], True),
        (np.arange(3.0), torch.arange(3), True),
        (np.arange(3.0), np.zeros((3, 1)), False),
        (np.arange(3.0), [torch.ones((), requires_grad=True)] * 3, False),
        (0.5, float("nan"), False),
        ("relu", "relu", True),
    ],
)
def test_what_agrees_with_what(expected, given, fits):
    asked = check(oracle=lambda x: expected, cases=[case(0.0)], mistakes=[])
    hint = asked.hint(lambda x: given)
    assert (hint == "") == fits, hint


def test_digits_that_look_alike_come_with_their_relative_error():
    hint = check(oracle=lambda x: 1 / 3, cases=[case(0.0)], mistakes=[]).hint(lambda x: 1 / 3 + 1e-8)
    assert "a relative error of 3e-08" in hint


def test_an_object_that_answers_everything_with_an_error_is_a_hint():
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError(name)

    assert check().hint(lambda x: Hostile())
    tensors = check(oracle=lambda x: [0.5, 0.5], cases=[case(0.0)], mistakes=[])
    assert tensors.hint(lambda x: [torch.ones((), requires_grad=True)] * 2)


def test_a_sketch_forgets_the_values_and_knows_them_again():
    asked = toy().cases[0]
    big = np.random.default_rng(0).normal(size=(30, 30))
    known = [Known("known", [sketch(asked, ask(lambda x: big, asked), {"": 1.0})])]
    assert len(json.dumps(known[0].seen)) < 400
    for other, same in (
        (big * (1 + 1e-13), True),
        (big[::-1], False),
        (big.T, False),
        (-big, False),
        (big + 1e-3, False),
    ):
        hint = judge(lambda x, other=other: other, [asked], [{"": 1.0}], known)
        assert (hint == "known") == same, hint


@pytest.mark.parametrize(
    "value",
    [
        [None, True, 3, 0.1, float("inf"), "text"],
        ((1, 2), {"a": (3,)}, range(2, 9, 3)),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([0.1, np.nan]),
        np.float16(0.1),
        torch.tensor([[0.1, -2.0]]),
        made(np.linspace, 0, 1, 5),
        np.linalg.norm,
    ],
)
def test_values_survive_json(value):
    again = decode(json.loads(json.dumps(encode(value))))
    if isinstance(value, (np.ndarray, np.generic)):
        np.testing.assert_array_equal(again, value)
        assert again.dtype == value.dtype
    elif isinstance(value, torch.Tensor):
        assert torch.equal(again, value) and again.dtype == value.dtype
    else:
        assert again == value and type(again) is type(value)
    assert not isinstance(value, Made) or repr(value) == "linspace(0, 1, 5)"


def test_what_cannot_be_recorded_is_named():
    with pytest.raises(TypeError, match="cannot be recorded"):
        encode(lambda x: x)


# What is declared ----------------------------------------------------------------------------------------------------


def test_an_edit_that_does_not_fit_is_named():
    answer = Right("another", edits=[("x - 1", "x")])
    with pytest.raises(
        ValueError, match=r"add_one, 'another': 'x - 1' stands 0 times in the solution, not once"
    ):
        answer.source("add_one", Names.solutions["add_one"])


def test_answers_are_read_from_tables_and_from_code():
    """What each row means, written out."""
    table = r"""
        adds two | 1 | 2
        adds three | 1 | 3
            Adds too much,
            you see.
        instead of x + 1:
        doubles | 2 * x
            It doubles.
        forgets the sum | + 1 | | x | \n  x
        instead of it all:
        hard-coded | x = 1\nreturn x
            Is x used?
        says nothing | + |
        | 1 | x
    """
    many = "Adds too much, you see."
    assert listed(table) == [
        Mistake("adds two", edits=[("1", "2")], hint=many),
        Mistake("adds three", edits=[("1", "3")], hint=many),
        Mistake("doubles", edits=[("x + 1", "2 * x")], hint="It doubles."),
        Mistake("forgets the sum", edits=[("+ 1", ""), ("x", "\n  x")], hint="Is x used?"),
        Mistake("hard-coded", "x = 1\nreturn x", hint="Is x used?"),
        Mistake("says nothing", edits=[("+", ""), ("1", "x")]),
    ]
    assert rewritten("turned round | x + 1 | 1 + x") == [Right("turned round", edits=[("x + 1", "1 + x")])]
    assert unchanged("return float(x) | float(x) | x\n  a number") == {
        "return float(x)  ->  return x": "a number"
    }
    code = """
        # doubles
        #     It doubles, and
        #     should add.
        return 2 * x
        # squares
        return x * x
    """
    assert told(code) == [
        Mistake("doubles", "return 2 * x\n", hint="It doubles, and should add."),
        Mistake("squares", "return x * x\n"),
    ]
    with pytest.raises(ValueError, match=r"'It doubles\.' is neither a row"):
        listed("doubles | x + 1 | 2 * x\nIt doubles.")


def test_an_unfinished_declaration_says_what_is_missing():
    assert toy().unfinished() == [
        "add_one: 2 mistakes have a hint of their own; 3 are the least",
        "add_one: 0 right answers beside the solution; 2 are the least",
        "add_one: `idea` says in a sentence what the exercise has shown, for who passes",
    ]


def test_mutants_are_named_by_what_was_changed_and_all_differ():
    source = "def f(x, n):\n    for i in range(n):\n        x = x + 2\n    return np.sin(x) < 0.5\n"
    found = mutants(source)
    changes = [mutant.change for mutant in found]
    assert len({mutant.source for mutant in found}) == len(found)
    for change in (
        "x = x + 2  ->  x = x - 2",
        "x = x + 2  ->  x += 2",
        "x = x + 2  ->  pass",
        "for i in range(n):  ->  for i in range(n - 1):",
        "return np.sin(x) < 0.5  ->  return np.cos(x) < 0.5",
        "return np.sin(x) < 0.5  ->  return np.sin(x) <= 0.5",
        "return np.sin(x) < 0.5  ->  return _detached(np.sin(x) < 0.5)",
        "computed without gradients",
    ):
        assert change in changes
    for mutant in found:
        compile(mutant.source, "<mutant>", "exec")


@pytest.mark.slow
def test_a_new_exercise_is_refused_until_it_is_finished(tmp_path, monkeypatch):
    course = toy_course(tmp_path)
    (lesson,) = course.lessons
    text = course.source(lesson)
    text.write_text(text.read_text() + "\n# %% [markdown]\n# ## What we have learnt\n")
    (tmp_path / "helpers").unlink()
    (tmp_path / "helpers" / "checks").mkdir(parents=True)
    (tmp_path / "course" / "exercises").mkdir(parents=True)
    (tmp_path / "course" / "exercises" / "__init__.py").write_text("")
    assert len(new_exercise(course, lesson, "add_one")) == 2
    for wrong in ("add_one", "2x", "class", "_x"):
        with pytest.raises(CourseError, match=re.escape(repr(wrong))):
            new_exercise(course, lesson, wrong)

    declaration = tmp_path / "course" / "exercises" / "toy.py"

    def load():
        declared.cache_clear()
        spec = importlib.util.spec_from_file_location("course.exercises.toy", declaration)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "course.exercises.toy", module)
        spec.loader.exec_module(module)

    load()
    with pytest.raises(CourseError, match="add_one: a title, an answer or a hint still says TODO"):
        recording.record(course, lesson)
    assert any(
        "'add_one': its text still says TODO" in p for p in lint(course, lesson, read_lesson(course, lesson))
    )
    for file in (text, declaration):
        file.write_text(file.read_text().replace("TODO: ", "").replace("TODO", "Title"))
    load()
    assert recording.record(course, lesson)
    assert recording.drifted(course, lesson) == []
    assert not [p for p in lint(course, lesson, read_lesson(course, lesson)) if "add_one" in p]
    learner = Checks("toy", recording.recorded_path(course, lesson).read_text()).exercises["add_one"]
    assert learner.hint(lambda x: x + 1) == ""
    assert learner.hint(lambda x: x) == "the likely mistake, then the idea."
    assert "| twice as much |" in recording.hints_path(course, lesson).read_text()
    declared.cache_clear()


@pytest.mark.slow
def test_a_new_exercise_brings_what_its_declaration_uses(tmp_path):
    """Most modules of declarations have done without `Right` or `Mistake` so far."""
    folder = COURSE.root / "course" / "exercises"
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    assert len(modules) == len(COURSE.written)
    for path in modules:
        copy = tmp_path / path.name
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        skeleton._append(copy, "\n\nanswer = 42\n")
        lines = [
            node
            for node in ast.parse(copy.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.module == "course.exercises"
        ]
        names = [alias.name for line in lines for alias in line.names]
        assert set(skeleton.USED) <= set(names) and len(names) == len(set(names)), path.name
        formatted = [
            sys.executable,
            "-m",
            "ruff",
            "format",
            "--check",
            "--config",
            COURSE.root / "pyproject.toml",
        ]
        assert subprocess.run([*formatted, copy], capture_output=True).returncode == 0, path.name


def test_what_stops_a_declaration_is_said_with_its_line(tmp_path, monkeypatch):
    module = tmp_path / "iterated_convolution.py"
    for text, where in (
        ("x = 1\ny = Wrong()\n", "line 2: NameError"),
        ("x = 1\n\ny = (\n", "line 3: SyntaxError"),
    ):
        module.write_text(text)
        monkeypatch.setattr(recording, "exercises", lambda topic: runpy.run_path(str(module)))
        with pytest.raises(CourseError, match=rf"course/exercises/iterated_convolution.py:\n  {where}"):
            recording._judged(COURSE, COURSE.lesson("1"), ["x"])


# In a notebook -------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_a_check_judges_no_definition_but_the_last_one():
    lesson = COURSE.lesson("1")
    right = solved_lesson(lesson).solutions["spectral_radius"]
    setup = [c.source for c in read_lesson(COURSE, lesson).cells if "setup" in c.metadata.get("tags", [])]
    ask_it = "check.spectral_radius(spectral_radius)"
    broken = right.replace("return", "return )")
    line = next(number for number, text in enumerate(broken.split("\n"), 1) if "return )" in text)
    cells = [
        *setup,
        ask_it,  # not run yet
        right,
        ask_it,
        broken,
        ask_it,  # the old definition still stands
        "1 / 0\n" + right,
        ask_it,
        "undefined_name",  # any other missing name is shown as ever
        right,
        ask_it,
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120)
    client.execute(cwd=str(COURSE.root))
    said = [
        " ".join(
            str(o.get("text") or o.get("data", {}).get("text/plain") or " ".join(o.get("traceback", [])))
            for o in cell.outputs
        )
        for cell in notebook.cells[len(setup) :]
    ]
    said = [" ".join(text.split()) for text in said]
    assert "`spectral_radius` is not defined yet: run the cell of the exercise, then this one." in said[0]
    assert "Traceback" not in said[0]
    assert said[2].startswith("✓")
    assert f"with a SyntaxError in line {line} (" in said[4] and "✓" not in said[4]
    assert "stopped when it was run last" in said[6]
    assert "NameError" in said[7]
    assert said[9].startswith("✓")
