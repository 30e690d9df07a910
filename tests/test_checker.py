"""The trusted checker: what crosses the wire, what stands in for the student's objects, and how a notebook is judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import nbformat
import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from course.config import load_course
from course.grading import template
from course.grading.bridge import studentside, wire
from course.grading.checker.check import LINE_BYTES, calls_declared_checks, check, set_up
from course.grading.checker.proxy import Channel, Proxy, StudentError
from course.grading.checker.trusted import TrustedServer
from course.grading.execute import SERVER, Stopped, _Execution, is_check, is_setup, once, run
from course.grading.kernel import StudentKernel, TooSlow, student_kernel
from course.grading.sandboxes.choose import confinement
from course.model import Confinement, Limits
from helpers.checks import CheckFailed, beside, call, close, equal, gradient
from helpers.checks.probes import conduct_beside
from tests.bank import bank
from tests.jobs import graded, job_of, ran
from tests.sample_class import filled, solutions

LIMIT = 10_000_000


def there_and_back(value):
    return wire.loads(wire.dumps(value, _none, LIMIT), _none, LIMIT)


def _none(*parts):
    raise wire.WireError(f"not plain: {parts}")


class Student:
    """A student's process that is this one: the same bridge, without a kernel between."""

    def __init__(self, source: str = ""):
        self.names: dict = {}
        exec(source, self.names)
        studentside._snapshots["here"] = self.names
        self.channel = Channel(studentside.serve)
        known = [name for name in self.names if name != "__builtins__"]
        self._proxies = self.channel.request("names", check="here", names=known) if known else {}

    def __getitem__(self, name: str):
        return self._proxies[name]


def reply(text: str):
    """What the checker makes of a reply."""
    return Channel(lambda _: text).request("call")


# --- the wire ---------------------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.slow
@given(PLAIN)
@settings(deadline=None, max_examples=200)
def test_plain_values_cross_with_their_types(value):
    back = there_and_back(value)
    assert back == value
    assert repr(back) == repr(value)  # 1, 1.0, True and -0.0 are told apart


@given(
    hnp.arrays(
        st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0, max_side=4), elements=st.just(1)
    )
)
@settings(deadline=None)
def test_arrays_cross_with_dtype_and_shape(array):
    back = there_and_back(array)
    assert type(back) is np.ndarray and back.dtype == array.dtype and back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_cross_with_dtype_and_shape(dtype, shape):
    tensor = torch.ones(shape).to(getattr(torch, dtype))
    back = there_and_back(tensor)
    assert type(back) is torch.Tensor and back.dtype == tensor.dtype and back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_tensors_of_other_layouts_cross_as_they_are():
    crossed = there_and_back(torch.arange(6.0).reshape(2, 3).T)
    assert torch.equal(crossed, torch.arange(6.0).reshape(2, 3).T)
    assert torch.equal(there_and_back(torch.tensor([1 + 2j]).conj()), torch.tensor([1 - 2j]))
    assert there_and_back(torch.nn.Parameter(torch.ones(2))).requires_grad
    assert there_and_back(torch.ones(2).half().requires_grad_()).dtype == torch.float16


@pytest.mark.parametrize(
    "value",
    [
        np.float16(1.5),
        np.int8(-3),
        np.bool_(True),
        np.complex64(1j),
        np.dtype("float16"),
        torch.bfloat16,
        slice(1, None, 2),
        range(3, 9, 2),
        ...,
        frozenset({1, 2}),
        {1, "a"},
        1 + 2j,
        {(1, 2): [np.float32(0.5)]},
        10**300,
    ],
)
def test_the_rest_of_the_plain_values(value):
    back = there_and_back(value)
    assert type(back) is type(value) and back == value


def test_not_finite_numbers_cross():
    back = there_and_back([math.inf, -math.inf, math.nan, np.array([np.nan, np.inf]), np.float32("nan")])
    assert back[:2] == [math.inf, -math.inf] and math.isnan(back[2]) and math.isnan(back[4])
    np.testing.assert_array_equal(back[3], [np.nan, np.inf])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null\nnot base64!",
        "[" * 100_000,
        "{}",
        '{"passed": true}',
        "[]",
        "[5]",
        '["nothing"]',
        '["import", "os", "system"]',
        '["array", "<f8", [1000000000000], 0]\nAAAA',
        '["array", "<f8", [-1, -1], 0]\nAAAAAAAAAAA=',
        '["array", "|O", [1], 0]\nAAAAAAAAAAA=',
        '["array", "<f8", [1], 7]\nAAAAAAAAAAA=',
        '["array", "<f8", [1], -1]\nAAAAAAAAAAA=',
        '["array", "|b1", [1], 0]\nBw==',
        '["array", "<f8", [true], 0]\nAAAAAAAAAAA=',
        '["scalar", "<f8", [1], 0]\nAAAAAAAAAAA=',
        '["tensor", "float64", [2], 0, true]\nAAAAAAAAAAA=',
        '["tensor", "__class__", [1], 0, true]\nAAAAAAAAAAA=',
        '["torch.dtype", "load"]',
        '["dtype", "O"]',
        '["dict", [["list", []]], [1]]',
        '["dict", [1, 2], [1]]',
        '["set", [["list", []]]]',
        '["complex", "1", 2]',
        '["range", [0, 1, 0]]',
        '["range", [0, 1.5, 1]]',
        '["slice", [1]]',
        '["list", 5]',
        "1" * 10_000,
    ],
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(wire.WireError):
        wire.loads(text, _none, LIMIT)


@pytest.mark.slow
@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.text(max_size=8)
        | st.sampled_from(["list", "dict", "array", "tensor", "object", "slice"]),
        lambda s: st.lists(s, max_size=5),
        max_leaves=20,
    )
)
@settings(deadline=None, max_examples=300)
def test_any_json_is_a_value_or_a_wire_error(tree):
    with contextlib.suppress(wire.WireError):
        wire.loads(json.dumps(tree) + "\nAAAAAAAAAAA=", _none, LIMIT)


@pytest.mark.slow
def test_size_and_depth_are_limited():
    deep: list = []
    for _ in range(100):
        deep = [deep]
    for value in (deep, np.zeros(LIMIT), torch.zeros(LIMIT), "x" * 9_000_000, [0.1] * 2_000_000):
        with pytest.raises(wire.WireError):
            wire.dumps(value, _none, LIMIT)
    with pytest.raises(wire.WireError):
        wire.loads("0" * (LIMIT + 1), _none, LIMIT)


# --- proxies ----------------------------------------------------------------------------------------------------------

LEARNER = """
import numpy as np, torch

def double(x): return 2 * x
def kind(x): return f"{type(x).__module__}.{type(x).__name__} {getattr(x, 'dtype', '')}"
def apply(f, x): return f(x)
def fail(name): raise {"ValueError": ValueError, "KeyError": KeyError, "Own": Own, "Exit": SystemExit, "Stop": StopIteration,
                       "Unicode": lambda _: UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")}[name]("the text")
def grow(x): x += 1
class Own(ValueError): pass
class Layer:
    alpha = 0.5
    _Proxy__number = 5
    def __init__(self, n): self.n = n
    def __call__(self, x): return x * self.n
    def __len__(self): return 3
    def __getitem__(self, i): return i * 10
    def again(self): return self
    def __repr__(self): return f"Layer({self.n})"
answer = 42
numbers = (n for n in range(4))
endless = iter(int, 1)
plain = object()
"""


@pytest.fixture(scope="module")
def student() -> Student:
    return Student(LEARNER)


def test_calls_attributes_and_items_reach_the_object(student):
    layer = call(student["Layer"], 3)
    assert isinstance(layer, Proxy) and type(layer).__name__ == "Layer"
    assert layer(2.0) == 6.0 and layer.alpha == 0.5 and layer.n == 3
    assert len(layer) == 3 and layer[4] == 40 and repr(layer) == "Layer(3)"
    assert layer.again()(1) == 3
    assert student["double"].__name__ == "double" and student["answer"] == 42
    assert list(student["numbers"]) == [0, 1, 2, 3]
    assert callable(layer) and not callable(student["plain"])
    assert not hasattr(layer, "nothing") and not hasattr(layer, "__array_interface__")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.ones(2, np.float16), "numpy.ndarray float16"),
        (torch.ones(2, dtype=torch.bfloat16), "torch.Tensor torch.bfloat16"),
        (np.float32(1), "numpy.float32 float32"),
        ((1, 2), "builtins.tuple "),
        (np.float32, "builtins.type <attribute 'dtype' of 'numpy.generic' objects>"),
        (torch.float16, "torch.dtype "),
    ],
)
def test_arguments_arrive_as_what_they_are(student, value, told):
    assert student["kind"](value) == told


def test_functions_cross_by_import_path_only(student):
    for function in (math.sqrt, np.sqrt, abs):
        assert student["apply"](function, 1.0) == 1.0
    for function in (torch.sqrt, torch.nn.functional.relu):
        assert student["apply"](function, torch.ones(1)) == 1.0
    assert student["apply"](student["double"], 4) == 8
    with pytest.raises(TypeError, match="another process"):
        student["apply"](lambda x: x, 1)


def test_a_hint_calls_a_function_from_there_as_the_notebook_does(student):
    told = []
    for names in (student, student.names):
        with pytest.raises(CheckFailed) as hint:
            call(names["apply"], names["double"], None)
        told.append(str(hint.value))
    assert told[0] == told[1] and told[0].startswith("apply(double, None) raised TypeError: ")


def test_beside_runs_there_and_arguments_come_back(student):
    assert beside(student["double"], math.hypot, 3.0, 4.0) == 5.0
    np.testing.assert_array_equal(gradient(student["double"], np.ones(3)), np.full(3, 2.0))
    ((after,), *_) = beside(student["grow"], conduct_beside, student["grow"], [np.zeros(2)])
    np.testing.assert_array_equal(after, [1.0, 1.0])


def test_exceptions_are_raised_here_under_their_names(student):
    for name in ("ValueError", "Own"):  # a subclass counts, too
        with pytest.raises(ValueError):
            student["fail"](name)
    with pytest.raises(KeyError, match=r"^'the text'$"):
        student["fail"]("KeyError")
    for name, shown in {
        "Own": "Own",
        "Exit": "SystemExit",
        "Stop": "StopIteration",
        "Unicode": "UnicodeDecodeError",
    }.items():
        with pytest.raises(StudentError) as caught:
            student["fail"](name)
        assert type(caught.value).__name__ == shown


def test_a_proxy_is_never_a_value(student):
    layer = student["Layer"](1)
    for use in (
        bool,
        float,
        int,
        np.asarray,
        lambda p: p == 1,
        lambda p: p != 1,
        lambda p: p < 1,
        lambda p: 1 in p,
    ):
        with pytest.raises(CheckFailed, match="plain value or an array"):
            use(layer)
    for compare in (
        lambda: close(layer, 1.0, "it"),
        lambda: equal(layer, 1, "it"),
        lambda: close(layer, np.ones(3), "it"),
    ):
        with pytest.raises(CheckFailed):
            compare()
    with pytest.raises(AttributeError, match="only reads"):
        layer.alpha = 1
    with pytest.raises(ValueError, match="more than"):
        list(student["endless"])


@pytest.mark.parametrize(
    "text",
    [
        '["tuple", ["value", ["object", -1, true, "x"]]]',
        '["tuple", ["value", ["object", "0", true, "x"]]]',
        '["tuple", ["value", ["import", "os", "system"]]]',
        '["tuple", ["passed"]]',
        '["dict", ["passed"], [true]]',
        "true",
        "",
        '["tuple", ["error", 1, 2, 3]]',
        '["tuple", ["error", "CheckFailed", "SystemExit", "x"]]',
        '["tuple", ["error", "a b", "eval", "x"]]',
        '["tuple", ["error", "StopIteration", "StopIteration", "x"]]',
    ],
)
def test_a_hostile_reply_is_a_student_error(text):
    with pytest.raises(StudentError):
        reply(text)


def test_a_name_from_there_cannot_replace_one_of_ours():
    verdict = check(
        "here",
        ["x = 1"],
        "assert x == 1 and f == 2",
        lambda _: '["tuple", ["value", ["dict", ["x", "f"], [5, 2]]]]',
    )
    assert not verdict.passed


# --- verdicts ---------------------------------------------------------------------------------------------------------


def judge(
    source: str, learner: str = LEARNER, setup: str = "import numpy as np\nfrom helpers.checks import *"
):
    """Run a check on a learner's names, without a kernel between."""
    studentside._snapshots["check"] = Student(learner).names
    return check("check", [setup], source, studentside.serve)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("close(call(double, 2.0), 5.0, 'double(2)')", "double(2) should be 5"),
        ("nowhere(1)", "`nowhere` is not defined"),
        ("double()", "Your code raised TypeError"),
        ("assert double(1) == 3, 'the test says so'", "the test says so"),
        ("assert double(1) == 3", "hidden test"),
        ("1 / 0", "could not make sense"),
        ("this is no Python", "could not make sense"),
        ("call(fail, 'Exit')", "raised SystemExit"),
        ("import sys; sys.exit(0)", "could not make sense"),
        ("double(3.5)", "could not make sense"),  # the student's number as a score
        ("double(2)", "could not make sense"),
        ("a, = [double(1.5)]\na", "could not make sense"),
        ("call(double, [1.5])[0]", "could not make sense"),
        ("float('nan')", "could not make sense"),
    ],
)
def test_a_check_that_does_not_pass_says_why(source, hint):
    verdict = judge(source)
    assert not verdict.passed and hint in verdict.hint
    assert "no Python" not in verdict.hint and "/" not in verdict.hint.replace("/ 0", "")


@pytest.mark.parametrize(
    ("source", "score"),
    [
        ("equal(call(double, 2), 4, 'it')", None),
        ("2.5", 2.5),
        ("n = 0\nfor i in range(3):\n    n += call(double, i) == 2 * i\nfloat(n)", 3.0),
        ("double", None),
        ("'3.0'", None),
    ],
)
def test_a_check_that_passes_may_give_a_score_of_its_own(source, score):
    verdict = judge(source)
    assert verdict.passed and verdict.score == score


def test_what_a_check_displays_is_kept_and_stderr_is_not():
    verdict = judge(
        "import sys\nprint('a'); print('b', file=sys.stderr)\nfrom IPython.display import display\ndisplay({'text/plain': 'c'}, raw=True)"
    )
    assert verdict.passed and verdict.shown == ("c", "a\n")


# --- whole notebooks --------------------------------------------------------------------------------------------------

QUICK = Limits(cell_cpu=2, cell_wall=40, notebook_wall=200, interrupted=1, restarts=2, memory=600 << 20)


def lesson(**answers: str) -> NotebookNode:
    """A lesson with a setup cell and, for each answer f, its cell and a check that f() is 1."""

    def cell(source, name, **words):
        meta = {
            "grade": False,
            "solution": False,
            "locked": True,
            "schema_version": 3,
            "task": False,
            "grade_id": name,
        } | words
        return new_code_cell(
            source, metadata={"nbgrader": meta, "tags": ["setup"] if name == "setup" else []}
        )

    cells = [cell("from helpers.checks import call, equal", "setup")]
    for name, source in answers.items():
        cells.append(cell(source, name, solution=True, locked=False))
        cells.append(cell(f"equal(call({name}), 1, '{name}()')", f"{name}_check", grade=True, points=2.0))
    return new_notebook(cells=cells)


def grades(**answers: str) -> tuple[dict[str, float], object, NotebookNode]:
    """Scores of a submission with these answers."""
    submission = lesson(**answers)
    report = ran(submission, lesson(**dict.fromkeys(answers, "")), QUICK)
    checks = {c.metadata.nbgrader.grade_id: c for c in report.notebook.cells if c.metadata.nbgrader.grade}
    return (
        {name.removesuffix("_check"): determine_grade(c)[0] for name, c in checks.items()},
        report,
        report.notebook,
    )


@pytest.mark.kernel
def test_each_answer_gets_its_own_verdict():
    scores, report, executed = grades(
        right="def right(): return 1",
        wrong="def wrong(): return 2",
        missing="",
        broken="def broken(: return 1",
        late="def late(): return 1\nprint('x')",
        early="def early(): return 1",
        later="early = lambda: 2\ndef later(): return 1",
    )
    assert scores == {"right": 2, "wrong": 0, "missing": 0, "broken": 0, "late": 2, "early": 2, "later": 2}
    assert report.told["right_check"] == "passed" and "should be 1" in report.told["wrong_check"]
    assert "`missing` is not defined" in report.told["missing_check"]
    assert executed.cells[9].outputs == [{"output_type": "stream", "name": "stdout", "text": "x\n"}]
    assert report.outcome.kernels == 1 and not report.outcome.left_out


@pytest.mark.kernel
def test_cells_that_kill_or_hang_the_kernel_are_left_out_and_the_others_count():
    scores, report, _ = grades(
        first="def first(): return 1",
        killer="import os\nos._exit(0)",
        deaf="import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        last="def last(): return 1",
    )
    assert scores == {"first": 2, "killer": 0, "deaf": 0, "last": 2}
    assert report.outcome.kernels == 3 and sorted(report.outcome.left_out) == [3, 5]
    assert "could not be interrupted" in report.outcome.left_out[5]
    assert "cell 4 was left out: it ended the kernel" in report.told["killer_check"]


@pytest.mark.kernel
@pytest.mark.parametrize("files", [520, 1000])  # 520 are more than may be, made in some 4 ms
def test_what_a_cell_overdoes_at_its_end_is_its_own_and_no_later_cells(files):
    quick = "def {0}():\n    return 1"
    scores, report, _ = grades(
        litter=f"for i in range({files}):\n    open(f'{{i}}', 'w').close()",
        **{name: quick.format(name) for name in "abcd"},
    )
    assert scores == {"litter": 0, "a": 2, "b": 2, "c": 2, "d": 2}
    assert list(report.outcome.left_out) == [1] and report.outcome.kernels == 2
    assert "files" in report.outcome.left_out[1]


@pytest.mark.kernel
def test_a_slow_cell_is_stopped_and_a_deadly_answer_costs_only_its_own_points():
    scores, report, _ = grades(
        slow="while True: pass",
        hangs="def hangs():\n    while True: pass",
        dies="import os\ndef dies(): os._exit(0)",
        greedy="import time\ndef greedy():\n    kept = bytearray(7 * 10 ** 8)\n    time.sleep(20)\n    return 1",
        good="def good(): return 1",
    )
    assert scores == {"slow": 0, "hangs": 0, "dies": 0, "greedy": 0, "good": 2}
    assert "seconds of computing" in report.told["hangs_check"]
    assert "it ended the kernel" in report.told["dies_check"]
    assert "MiB of memory" in report.told["greedy_check"]


@pytest.mark.kernel
def test_without_a_kernel_all_is_zero_and_nothing_ungraded():
    scores, report, _ = grades(**{f"k{i}": "import os; os._exit(0)" for i in range(4)})
    assert set(scores.values()) == {0}
    assert all("kernel" in text for text in report.told.values())


@pytest.mark.kernel
def test_checks_and_setup_come_from_the_key_alone():
    key = lesson(f="")
    submission = lesson(f="def f(): return 2")
    submission.cells[0].source = "call = equal = lambda *a: None"
    submission.cells[2].source = "pass"
    submission.cells[2].cell_type = "markdown"
    extra = lesson().cells[0]
    extra.metadata.nbgrader.grade_id = "mine"
    extra.source = "import helpers.checks.core as c\nc.equal = equal = lambda *a, **k: None"
    submission.cells.insert(1, extra)
    report = ran(submission, key, QUICK)
    executed = report.notebook
    assert "should be 1" in report.told["f_check"]
    assert executed.cells[3].outputs[0].output_type == "error"


@pytest.mark.kernel
def test_partial_credit_comes_from_the_check_alone():
    key = lesson(f="")
    key.cells[2].source = "float(call(f) == 1)"
    executed = ran(lesson(f="def f(): return 1"), key, QUICK).notebook
    assert determine_grade(executed.cells[2]) == (1.0, 2.0)
    # More than there are points, and an integer, which could be the answer's own.
    for value, said in (("9.0", "broken"), ("1 + 1", "could not make sense")):
        key.cells[2].source = value
        report = ran(lesson(f="def f(): return 1"), key, QUICK)
        executed = report.notebook
        assert determine_grade(executed.cells[2]) == (0, 2.0) and said in report.told["f_check"]


def asked(do: str, **words: object) -> str:
    """A question to a kernel; an object stands for the first one that it gave a number."""
    return wire.dumps({"do": do, **words}, lambda _: ["object", 0], LIMIT)


@asynccontextmanager
async def kernel(cell_cpu: float = 30) -> AsyncIterator[StudentKernel]:
    # Several start at once, each by itself, and import what lessons import.
    limits = replace(QUICK, startup=200, cell_wall=100, cell_cpu=cell_cpu, interrupted=20)
    async with student_kernel(confinement("unsafe"), limits, (), 400) as started:
        yield started


@pytest.mark.kernel
def test_what_a_kernel_computes_to_start_is_no_cells():
    async def one() -> float:
        async with kernel() as student:
            return student.budget().cpu_start

    assert asyncio.run(one()) > 0.1  # it starts cold, and imports


@pytest.mark.kernel
def test_a_kernel_that_is_asked_between_its_cells_overlooks_none_of_them_however_busy_the_machine_is():
    async def one() -> str:
        async with kernel() as student:
            for n in range(30):
                assert await student.run(f"n = {n}") == ([], "")
                await student.ask(asked("snapshot", check="c"), student.budget())
            return await student.ask(asked("names", check="c", names=["n"]), student.budget())

    async def side_by_side() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(4)))

    assert asyncio.run(side_by_side()) == 4 * [wire.dumps(("value", {"n": 29}), list, LIMIT)]


@pytest.mark.kernel
def test_an_answer_that_takes_too_long_is_interrupted_and_the_next_one_is_its_own():
    async def told() -> list[str]:
        async with kernel(cell_cpu=2) as student:
            await student.run("def endless():\n    while True: pass\nmany = [1, 2]")
            await student.ask(asked("names", check="c", names=["endless"]), student.budget())
            with pytest.raises(TooSlow, match="more than 2 seconds of computing"):
                await student.ask(asked("call", target=object(), args=(), kwargs={}), student.budget())
            names = await student.ask(asked("names", check="c", names=["many"]), student.budget())
            return [names, *await student.run("many")]

    names, outputs, stopped = asyncio.run(told())
    assert names == wire.dumps(("value", {"many": [1, 2]}), list, LIMIT)
    assert outputs[0]["data"]["text/plain"] == "[1, 2]" and not stopped


@pytest.mark.kernel
def test_figures_of_one_answer_are_gone_before_the_next_question():
    async def told() -> list[str]:
        async with kernel() as student:
            await student.run(
                "from matplotlib import pyplot\ndef figures():\n    pyplot.figure()\n    return pyplot.get_fignums()"
            )
            await student.ask(asked("names", check="c", names=["figures"]), student.budget())
            draw = asked("call", target=object(), args=(), kwargs={})
            return [await student.ask(draw, student.budget()) for _ in range(2)]

    assert asyncio.run(told()) == 2 * [wire.dumps(("value", [1]), list, LIMIT)]


@pytest.mark.kernel
def test_data_files_lie_in_the_work_folder():
    report = ran(
        lesson(f="text = open('data.csv').read()\ndef f(): return int(text)"),
        lesson(f=""),
        QUICK,
        (("data.csv", b"1"),),
    )
    assert report.told["f_check"] == "passed"


@pytest.mark.kernel
def test_when_the_notebooks_time_is_up_the_rest_is_zero_with_the_reason():
    submission = lesson(slow="import time\ntime.sleep(60)", good="def good(): return 1")
    report = ran(submission, lesson(slow="", good=""), Limits(notebook_wall=4))
    executed = report.notebook
    assert [determine_grade(c)[0] for c in executed.cells if c.metadata.nbgrader.grade] == [0, 0]
    assert all("more than 4 seconds in all" in text for text in report.told.values())


# --- a machine's fault is never a score ---------------------------------------------------------------------------------

LIMITED = Limits(cell_cpu=5, check_cpu=2, check_memory=200 << 20)


def test_class_24_a_large_range_is_refused_before_it_is_unrolled():
    with pytest.raises(wire.WireError, match="range of more than 1,000,000"):
        wire.loads('["range", [0, 50000000, 1]]', lambda *_: None, 10_000)
    assert wire.loads('["range", [0, 10, 3]]', lambda *_: None, 10_000) == range(0, 10, 3)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("source", "mention"),
    [
        ("np.ones(10**9).sum(); equal(call(f), 1, 'f()')", "more memory than it may"),
        ("n = 0\nwhile True: n += 1", "compute for too long"),
    ],
)
def test_a_check_has_limits_of_its_own_and_says_so(source, mention):
    key = lesson(f="")
    key.cells[0].source += "\nimport numpy as np"
    key.cells[2].source = source
    assert mention in ran(lesson(f="def f(): return 1"), key, LIMITED).told["f_check"]


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b'"'])
def test_an_answer_of_any_bytes_is_one_line_to_its_check(byte):
    """As the grader reads it from the kernel, and hands it on."""
    each = len(json.dumps(byte.decode("ascii", "replace"))) - len('""')
    assert len('{"answer": ""}\n') + each * studentside.REPLY_BYTES <= LINE_BYTES


SIX = load_course().lesson("6")


@pytest.mark.kernel
@pytest.mark.parametrize(("wrong", "processes"), [("", 1), ("adjoint_gap", 2), ("option_a", 1)])
def test_declared_checks_share_a_process_up_to_one_that_does_not_pass(wrong, processes, monkeypatch):
    """Of five checks; what follows the fourth, wrong, gets a new process."""
    opened, open_checks = [], SERVER.open_checks
    monkeypatch.setattr(SERVER, "open_checks", lambda setup: opened.append(1) or open_checks(setup))
    answers = solutions(SIX)
    if wrong:
        answers |= {wrong: bank(SIX).wrong[wrong][0].source}
    key = nbformat.read(load_course().solution(SIX), as_version=4)
    told = graded(filled(SIX, answers), key).told
    assert len(opened) == processes * (2 if wrong else 1)  # before a point is lost, everything runs
    assert {name for name, hint in told.items() if hint != "passed"} == (
        {f"{wrong}_check"} if wrong else set()
    )


@pytest.mark.parametrize("name", [lesson.name for lesson in load_course().written])
def test_all_checks_of_the_lessons_call_declared_checks(name):
    notebook = nbformat.read(load_course().solution(load_course().lesson(name)), as_version=4)
    space = set_up([cell.source for cell in notebook.cells if is_setup(cell)])
    sources = [cell.source for cell in notebook.cells if is_check(cell)]
    assert sources and all(calls_declared_checks(source, space) for source in sources)


@pytest.mark.parametrize(
    "source",
    [
        "check.iterate(seen)",
        "seen.append(check)",
        "kept = check.iterate(iterate)",
        "check.iterate(iterate, later=1)",
        "check.iterate(iterate())",
        "from os import path",
        "def later(): pass",
        "print(iterate)",
        "seen.hidden(iterate)",
    ],
)
def test_a_cell_that_does_more_than_call_declared_checks_may_leave_something_behind(source):
    space = set_up(["from helpers.checks import iterated_convolution as check\nseen = []"])
    assert calls_declared_checks("check.iterate(iterate)", space)
    assert not calls_declared_checks(f"check.iterate(iterate)\n{source}", space)


WITH_FUNCTIONS = """
from numpy.random import default_rng
from helpers.checks import call, equal
seen, rng, calls, size = [], default_rng(0), 0, 3
def counted(f):
    global calls
    calls += 1
    return f()
def of_size(f): return f() + size
def twice(): return 2 * k()
"""
LEAVE = "assert not seen and rng.random() == default_rng(0).random(), 'something of another check'\nseen.append(1)\n"


@pytest.mark.kernel
def test_other_checks_find_nothing_of_each_other_and_live_among_the_names_of_the_setup_cells():
    checks = {
        "f": "assert 'left' not in globals()\nleft = calls\ncounted(f)\nassert calls == left + 1",
        "g": "assert 'left' not in globals()\nleft, size = 1, 8\nequal(of_size(g), 9, 'g() + 8')",
        "k": "assert 'left' not in globals()\nk\nequal(twice(), 2, 'twice()')",
    }
    key = lesson(**dict.fromkeys(checks, ""))
    key.cells[0].source = WITH_FUNCTIONS
    for cell, source in zip(key.cells[2::2], checks.values(), strict=True):
        cell.source = LEAVE + source
    written = lesson(**{name: f"def {name}(): return 1" for name in checks})
    assert ran(written, key, QUICK).told == {f"{name}_check": "passed" for name in checks}


COUNTED_ANEW = """
import time
from course.grading.checker.check import TooMuchComputing, limit_check

def compute(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass

for _ in range(3):
    limit_check(1, 1 << 30)
    compute(0.7)
limit_check(1, 1 << 30)
try: compute(1.5)
except TooMuchComputing: print("too much")
"""


def test_what_one_check_computes_counts_against_no_other():
    run = subprocess.run([sys.executable, "-c", COUNTED_ANEW], capture_output=True, text=True)
    assert run.stdout == "too much\n", run.stderr


@pytest.mark.kernel
def test_class_04_a_checker_that_dies_twice_is_a_machine_fault_and_no_verdict(tmp_path):
    key = lesson(f="", g="")
    key.cells[
        2
    ].source = f"import os\nopen({str(tmp_path / 'tries')!r}, 'a').write('x')\nos.kill(os.getpid(), 9)"
    outcome = run(job_of(lesson(f="def f(): return 1", g="def g(): return 1"), key, QUICK))
    assert "f_check: the checker died (signal 9)" in outcome.machine_fault and not outcome.verdicts
    assert (tmp_path / "tries").read_text() == "xx"


@pytest.mark.kernel
def test_a_checker_that_dies_once_is_asked_again(tmp_path):
    key = lesson(f="")
    key.cells[2].source = (
        f"import os, pathlib\nonce = pathlib.Path({str(tmp_path / 'once')!r})\nif not once.exists():\n"
        "    once.touch()\n    os.kill(os.getpid(), 9)\nequal(call(f), 1, 'f()')"
    )
    assert ran(lesson(f="def f(): return 1"), key, QUICK).told == {"f_check": "passed"}


def test_under_a_narrower_limit_of_the_machine_the_checker_asks_for_no_more():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))\n"
        "from course.grading.checker.check import limit_check; limit_check(60, 16 << 30)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 3 << 30)"
    )
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run_.stdout.split() == ["True"], run_.stderr


def test_class_04_a_machine_that_allows_less_than_the_limits_is_refused_before_anything_is_graded():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
        "from course.grading.job import allowed; from course.model import CourseError, Limits\n"
        "try: allowed(Limits())\nexcept CourseError as error: print(error)\n"
        "print(allowed(Limits(address_space=8 << 30)).cell_cpu)"
    )
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said, after = run_.stdout.splitlines()
    assert "this machine allows 8,589,934,592" in said and "COURSE_LIMITS" in said and after == "30.0"


@pytest.mark.kernel
def test_a_job_that_is_stopped_ends_at_once_and_gives_no_outcome():
    stop = threading.Event()
    job = job_of(lesson(f="import time\ntime.sleep(80)\ndef f(): return 1"), lesson(f=""), QUICK)
    threading.Timer(3, stop.set).start()
    with pytest.raises(Stopped):
        run(job, stop)


def test_ctrl_c_stops_a_job_that_nobody_else_could_stop(monkeypatch):
    """As in `nbgrader autograde`, which hands no event over: the job would go on to its limits, and be waited for."""
    stops = []

    async def endless(self, stop):
        stops.append(stop)
        while not stop.is_set():
            await asyncio.sleep(0.01)

    def interrupted(self, timeout=None):
        while not stops:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(_Execution, "until", endless)
    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        once(job_of(lesson(f=""), lesson(f=""), QUICK))
    assert stops[0].is_set()


@pytest.mark.kernel
def test_a_stop_is_not_missed_at_the_moment_when_what_is_waited_for_comes(monkeypatch):
    job = job_of(lesson(f="while True:\n    pass"), lesson(f=""), QUICK)
    readable = template._readable

    async def stopped() -> bool:
        work = asyncio.create_task(_Execution(job)._everything())

        async def readable_and_stopped(ours):
            await readable(ours)
            work.cancel()

        monkeypatch.setattr(template, "_readable", readable_and_stopped)
        await asyncio.wait({work})
        return work.cancelled()

    assert asyncio.run(stopped())


def test_the_digest_changes_with_whatever_a_grade_depends_on():
    job = job_of(lesson(f="def f(): return 1"), lesson(f=""))
    other = replace(job.submission, notebook=job.submission.notebook + b" ")
    changed = [
        replace(job, submission=other),
        replace(job, key=job.key + b" "),
        replace(job, files=(("a", b"b"),)),
        replace(job, files=(("ab", b""),)),
        replace(job, limits=Limits(cell_cpu=31)),
        replace(job, sandbox=Confinement("bubblewrap", "bubblewrap 0.0.1")),
        replace(job, checker="another"),
    ]
    digests = [one.digest for one in [job, *changed]]
    assert len(set(digests)) == len(digests)
    assert replace(job, submission=replace(job.submission, student="another")).digest == job.digest
    assert pickle.loads(pickle.dumps(job)).digest == job.digest


ONE_CHECK = """
import random, sys
import numpy as np, torch
from course.config import load_course
from course.exercises import exercises
from course.grading.bridge import studentside
from course.grading.checker.check import check
from course.grading.checker.trusted import warm_up
warm_up()
studentside._snapshots["c"] = {"f": lambda x: 2 * x}
before = set(sys.modules)
setup = "import numpy as np, torch, scipy.linalg, scipy.signal, scipy.stats\\nfrom helpers import training\\nfrom helpers.checks import call, close"
source = "from IPython.display import display\\ndisplay(1)\\nclose(call(f, np.ones(3)), 2 * np.ones(3), 'f')"
verdict = check("c", [setup], source, studentside.serve)
drawn = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
for topic in (lesson.topic for lesson in load_course().written):
    for exercise in exercises(topic).values():
        exercise.expected(exercise.drawn())
assert drawn == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
print(verdict.passed, verdict.detail, *sorted(set(sys.modules) - before))
"""


@pytest.mark.slow
def test_checks_import_nothing_that_their_server_could_have_and_oracles_leave_the_generators_alone():
    run = subprocess.run([sys.executable, "-c", ONE_CHECK], capture_output=True, text=True)
    assert run.stdout.split()[:20] == ["True"], run.stderr


def computed(process: psutil.Process) -> float:
    """CPU seconds of a process; none of one that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cpu_times().user
    return 0.0


@pytest.mark.slow
def test_a_check_in_mid_computation_ends_with_its_grader():
    """The grader's end of the socket to the check stays open here: what ends the check is that the server's closes."""
    server = TrustedServer()
    task = {"name": "x", "source": "while True: pass", "cpu": 3600, "memory": 1 << 30}
    with server.open_checks([]) as connection:
        connection.sendall(json.dumps(task).encode() + b"\n")
        process = psutil.Process(server._process.pid)
        while max(map(computed, process.children(recursive=True)), default=0) < 3:
            assert process.is_running()
            time.sleep(0.05)
        forked = process.children(recursive=True)
        assert len(forked) == 2  # the lesson's process and the check's
        server._control.close()
        _, left = psutil.wait_procs([process, *forked], 60)
    assert left == []
