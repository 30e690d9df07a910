"""Cells that no answer and no check can notice are not run for a grade; whatever they could notice is run."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.config import load_course
from course.grading.facts import RELATED, facts
from course.grading.slice import spared

COURSE = load_course()
SETUP = {"grade": False, "solution": False, "locked": True}
ANSWER = {"grade": False, "solution": True, "locked": False}
CHECK = {"grade": True, "solution": False, "locked": True, "points": 1}


def cell(name, source, role=None, tags=()):
    mark = {"nbgrader": {**role, "grade_id": name}} if role else {}
    return {"cell_type": "code", "id": name, "source": source, "metadata": {**mark, "tags": list(tags)}}


def notebook(*cells):
    return json.dumps({"cells": list(cells)}).encode()


def lesson(*demonstrations, setup="import numpy as np", answer="def f(n):\n    return n", check="f(1)"):
    """A lesson: setup, demonstrations, the answer, its check."""
    demos = [cell(f"demo-{i}", source) for i, source in enumerate(demonstrations)]
    return [
        cell("setup", setup, SETUP, ["setup"]),
        *demos,
        cell("f", answer, ANSWER),
        cell("f_check", check, CHECK),
    ]


def left_out(cells, handed_in=None):
    """Names of the cells that do not run."""
    handed_in = cells if handed_in is None else handed_in
    return {handed_in[at]["id"] for at in spared(notebook(*cells), notebook(*handed_in))}


@pytest.mark.parametrize(
    "demo",
    [
        "x = f(3)\nprint(x)",
        "values = [f(n) for n in range(5)]\nvalues.append(3)",
        "y = np.ones(3)\ny[0] = 2\ny *= 3",
        "f(np.arange(3).sum())",
        "for k in range(3):\n    print(f'{f(k)}')",
        "with np.errstate(over='ignore'):\n    print(np.sqrt(KERNEL))",
        "def g(n):\n    return f(n) + KERNEL.sum()\ng(2)",
        "peaks = [KERNEL.max()]\npeaks.append(1.0)",
        "copied = KERNEL.copy() * 2\ncopied += 1\ncopied[0] = 7",
        "import math\nprint(math.pi)",
        "np.random.seed(1)\nnp.random.rand(3)",  # nothing that runs draws
        "torch.set_flush_denormal(True)\ntorch.set_flush_denormal(False)",
    ],
)
def test_what_nobody_notices_is_spared(demo):
    setup = "import numpy as np\nimport torch\nKERNEL = np.ones(3)"
    answer = "def f(n):\n    return KERNEL * n"
    assert left_out(lesson(demo, setup=setup, answer=answer)) == {"demo-0"}


@pytest.mark.parametrize(
    "demo",
    [
        "KERNEL = 3",
        "KERNEL += 1",
        "KERNEL[0] = 5",
        "KERNEL.flat[0] = 5",
        "KERNEL.name = 'k'",
        "KERNEL.fill(0)",
        "KERNEL.sort()",
        "del KERNEL",
        "for KERNEL in range(3):\n    pass",
        "with open('x') as KERNEL:\n    pass",
        "import numpy as KERNEL",
        "def KERNEL():\n    pass",
        "(KERNEL := 3)",
        "def change():\n    global KERNEL\n    KERNEL = 3\nchange()",
        "def change(x):\n    x[0] = 3\nchange(KERNEL)",
        "def change():\n    KERNEL[0] = 3\nchange()",
        "change = lambda: KERNEL.fill(3)\nchange()",
        "other = KERNEL\nother[0] = 3",
        "other = KERNEL[1:]\nother += 3",
        "other = KERNEL.reshape(3, 1)\nother[0] = 3",
        "other = np.asarray(KERNEL)\nother.fill(3)",
        "box = [KERNEL]\nbox[0][0] = 3",
        "box = {'k': KERNEL}\nfor value in box.values():\n    value[0] = 3",
        "box = []\nbox.append(KERNEL)\nbox[0].fill(3)",
        "box = [1] + [KERNEL]\nbox[1].fill(3)",
        "def give():\n    return KERNEL\ngive()[0] = 3",
        "np.copyto(KERNEL, 3)",
        "np.add(1, 1, out=KERNEL)",
        "np.fill_diagonal(KERNEL, 3)",
        "f(KERNEL)",  # whatever the student's function does with it
        "np.random.shuffle(KERNEL)",
        "f = print",
        "f.limit = 3",
        "sum = 3",  # which a running cell uses
        "np.sqrt = None",
        "np.seterr(over='raise')",
        "import warnings\nwarnings.simplefilter('error')",
        "import matplotlib\nmatplotlib.rcParams['font.size'] = 3",
        "import torch\ntorch.set_default_dtype(torch.float64)",
        "import torch\ntorch.set_flush_denormal(True)",
        "open('notes.txt', 'w').write('x')",
        "import os\nos.environ['X'] = '1'",
        "import sys\nsys.path.append('x')",
        "exec('KERNEL = 3')",
        "globals()['KERNEL'] = 3",
        "setattr(KERNEL, 'x', 3)",
        "from os import *",
        "%matplotlib inline",
        "KERNEL = (",
    ],
)
def test_what_somebody_may_notice_runs(demo):
    setup = "import numpy as np\nKERNEL = np.ones(3)"
    answer = "def f(n):\n    return KERNEL * n + sum([1])"
    assert left_out(lesson(demo, setup=setup, answer=answer)) == set()


def test_what_a_running_cell_needs_is_found_through_other_cells():
    cells = lesson("base = 2", "double = base * 2", "other = 5", answer="def f(n):\n    return double * n")
    assert left_out(cells) == {"demo-2"}


def test_a_later_cell_counts_too_for_a_function_reads_its_names_when_it_is_called():
    cells = lesson(answer="def f(n):\n    return factor * n")
    cells.insert(2, cell("late", "factor = 3"))
    assert left_out(cells) == set()


def test_a_function_that_remembers_keeps_the_cells_that_call_it():
    demos = "f(3)", "print(1)"
    for answer in (
        "seen = {}\ndef f(n):\n    seen[n] = 1\n    return n",
        "def f(n, seen=[]):\n    seen.append(n)\n    return n",
        "calls = 0\ndef f(n):\n    global calls\n    calls += 1\n    return n",
        "class Box:\n    count = 0\ndef f(n):\n    Box.count += 1\n    return n",
    ):
        assert left_out(lesson(*demos, answer=answer)) == {"demo-1"}, answer
    calls_it_for_them = "seen = {}\ndef g(n):\n    seen[n] = 1\ndef f(n):\n    return g(n)"
    assert left_out(lesson(*demos, answer=calls_it_for_them)) == {"demo-1"}


def test_seeds_run_where_a_running_cell_draws():
    seeds = "np.random.seed(1)"
    assert left_out(lesson(seeds)) == {"demo-0"}
    assert left_out(lesson(seeds, setup="import numpy as np\nnoise = np.random.normal(size=3)")) == set()
    draws_when_called = "def g():\n    return np.random.rand()\ndef f(n):\n    return n\nstart = g()"
    assert left_out(lesson(seeds, answer=draws_when_called)) == set()


def test_whatever_a_student_wrote_or_changed_runs():
    cells = lesson("print(1)", "print(2)", "print(3)")
    theirs = copy.deepcopy(cells)
    theirs[1]["source"] = "print('mine')"
    theirs.insert(3, cell("extra-1", "print('my own')"))
    theirs.insert(4, copy.deepcopy(theirs[2]))  # the lesson's cell once more, by its own id
    found = spared(notebook(*cells), notebook(*theirs))
    assert [theirs[at]["source"] for at in found] == ["print(2)", "print(3)"]


@pytest.mark.parametrize(
    "own",
    [
        "exec('x')",
        "globals()",
        "get_ipython()",
        "_",
        "_i3",
        "Out[2]",
        "%timeit f(1)",
        "from a import *",
        "eval('x')",
        "x = (",
        "\n" * 60_000,
        "-" * 500 + "1",
        ",".join(f"a{n}" for n in range(200)) + "=" + ",".join(f"b{n}" for n in range(200)),
        "x = " + "f(" * 50 + ",".join(f"b{n}" for n in range(200)) + ")" * 50,
    ],
)
def test_where_a_students_cell_cannot_be_judged_everything_runs(own):
    cells = lesson("print(1)", "x = 2")
    assert left_out(cells) == {"demo-0", "demo-1"}
    assert left_out(cells, [*cells, cell("extra-1", own)]) == set()


def test_what_a_cell_tells_takes_little_memory():
    """Each name on the left may have to do with each one on the right: 50 kB of that took gigabytes."""
    left, right = (",".join(f"{side}{n}" for n in range(4_000)) for side in "ab")
    made = facts(f"{left} = {right}")
    assert not made.judged and len(made.reach) <= RELATED
    often = facts(f"x = f({'a, ' * 200}b)")  # many words, few names: none is lost
    assert often.judged and {"a", "b"} <= {name for _, _, name, _ in often.reach}


def test_a_network_has_modules_too():
    """`net.modules()` is no way to other cells; Python's own list of modules is one."""
    cells = lesson("print(1)", "x = 2")
    own = "def norms(net):\n    return [m for m in net.modules()]"
    assert left_out(cells, [*cells, cell("extra-1", own)]) == {"demo-0", "demo-1"}
    assert left_out(cells, [*cells, cell("extra-1", own.replace("()", ".values()"))]) == set()


@pytest.mark.parametrize("taught", COURSE.written, ids=lambda taught: taught.name)
def test_of_a_solved_lesson_hardly_anything_runs_but_answers_and_checks(taught):
    """A name that a demonstration has by chance in common with a cell that runs would cost a class hours."""
    key = COURSE.solution(taught).read_bytes()
    ours = [
        at
        for at, found in enumerate(json.loads(key)["cells"])
        if found["cell_type"] == "code"
        and "nbgrader" not in found["metadata"]
        and "skip-execution" not in found["metadata"].get("tags", [])
    ]
    assert len(set(ours) - set(spared(key, key))) <= (taught.number == 1)


def test_a_check_reads_names_and_has_no_others():
    """What a check binds is its own: it runs elsewhere."""
    assert left_out(lesson("x = 1", check="x = 3\nf(x)")) == {"demo-0"}
    assert left_out(lesson("x = 1", check="f(x)")) == set()


def test_cells_that_are_never_run_count_for_nothing():
    live = cell("live", "globals()", tags=["skip-execution"])
    assert left_out([*lesson("print(1)"), live]) == {"demo-0"}


NAMES = st.sampled_from("abcd")
VALUES = st.one_of(
    st.sampled_from(["1", "[1]", "[[1], [2]]", "{}"]),
    NAMES,
    st.builds("[{}, {}]".format, NAMES, NAMES),
    st.builds("{}[0]".format, NAMES),
    st.builds("{} + {}".format, NAMES, NAMES),
    st.builds("len({})".format, NAMES),
    st.builds("list({})".format, NAMES),
    st.builds("(lambda: {})".format, NAMES),
    st.builds("{}()".format, NAMES),
    st.builds("[x for x in {}]".format, NAMES),
)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("{} += {}".format, NAMES, VALUES),
    st.builds("{}[0] = {}".format, NAMES, VALUES),
    st.builds("{}[0][0] = {}".format, NAMES, VALUES),
    st.builds("{}.append({})".format, NAMES, VALUES),
    st.builds("{}[0].append({})".format, NAMES, VALUES),
    st.builds("del {}".format, NAMES),
    st.builds("for {} in {}:\n    {}.append(7)".format, NAMES, VALUES, NAMES),
    st.builds("def {}():\n    return {}".format, NAMES, VALUES),
    st.builds("def {}():\n    {}.append(8)\n    return {}".format, NAMES, NAMES, VALUES),
    st.builds("def {}():\n    global {}\n    {} = 9".format, NAMES, NAMES, NAMES),
    st.builds("def {}(x={}):\n    x.append(8)\n    return x".format, NAMES, VALUES),
    st.builds("{}()".format, NAMES),
)
SOURCES = st.lists(st.lists(STATEMENTS, min_size=1, max_size=3).map("\n".join), min_size=2, max_size=6)


def noticed(sources, running, watched, check):
    """What the watched cells raise, and, in the end, what the names meant where the check stands."""
    space, raised, snapshot = {}, [], {}
    for position, source in enumerate(sources):
        if position == check:
            snapshot = dict(space)
        elif position in running:
            try:
                exec(source, space)
            except Exception as error:
                raised += [type(error).__name__] if position in watched else []
    return raised, [shown(snapshot.get(name)) for name in sources[check].split()]


def shown(value, depth=0):
    if callable(value):
        try:
            return ["function", shown(value(), depth + 1)] if depth < 3 else "function"
        except Exception as error:
            return type(error).__name__
    if isinstance(value, list):
        return [shown(x, depth + 1) for x in value] if depth < 6 else "list"
    if isinstance(value, dict):
        return {key: shown(x, depth + 1) for key, x in value.items()} if depth < 6 else "dict"
    return repr(value)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(SOURCES, st.data())
def test_running_cells_notice_nothing_of_those_that_are_spared(sources, data):
    """Random programs: what a student's cells raise and a check reads is the same with the other cells and without."""
    watched = set(data.draw(st.lists(st.integers(0, len(sources) - 1), max_size=2)))
    cells = [cell(f"c{at}", source, ANSWER if at in watched else None) for at, source in enumerate(sources)]
    names = " ".join(data.draw(st.lists(NAMES, min_size=1, max_size=2, unique=True)))
    check = len(sources)
    cells.append(cell("check", ";".join(names.split()), CHECK))
    sources = [*sources, names]
    everything = set(range(check))
    running = everything - set(spared(notebook(*cells), notebook(*cells)))
    assert noticed(sources, running, watched, check) == noticed(sources, everything, watched, check)


def test_a_tag_that_a_student_puts_on_a_locked_cell_changes_nothing():
    cells = lesson("x = 1", setup="y = x")
    theirs = copy.deepcopy(cells)
    theirs[0]["metadata"]["tags"].append("skip-execution")
    assert left_out(cells) == left_out(cells, theirs) == set()
