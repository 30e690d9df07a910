"""Fake a pass: points for answers that are wrong. Success is always the same: a score above zero."""

from __future__ import annotations

import copy

from nbformat import NotebookNode
from nbformat.v4 import new_output

from tests.attacks import Attack

WRONG = """
def double(x):
    return 0 * x

def greet(name):
    return ""

def extremes(values):
    return 0, 0
"""


def _checks(notebook: NotebookNode) -> list[NotebookNode]:
    return [
        cell
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("_check")
    ]


def _forge_outputs(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.outputs = [new_output("execute_result", data={"text/plain": "3.0"}, execution_count=1)]


def _skip_checks(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.metadata.tags = ["skip-execution"]


def _prose_checks(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.cell_type = "markdown"
        del cell["outputs"], cell["execution_count"]


def _raw_points(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.metadata.nbgrader.update(points=0.0, solution=True)


def _empty_checks(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.source = "3.0"


def _twin_checks(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        twin = copy.deepcopy(cell)
        twin.source, twin.id = "pass", f"{cell.id}-twin"
        twin.metadata.nbgrader.update(locked=False)
        notebook.cells.append(twin)


def _own_setup(notebook: NotebookNode) -> None:
    """A cell that claims to be one of the instructor's setup cells, to run in the trusted process."""
    cell = copy.deepcopy(notebook.cells[1])
    cell.id = "own-setup"
    cell.source = (
        "import helpers.checks.core as core\ncore.close = core.equal = close = equal = lambda *a, **k: None"
    )
    cell.metadata.nbgrader.update(grade_id="own_setup")
    cell.metadata.tags = ["setup"]
    notebook.cells.insert(2, cell)


ATTACKS = [
    Attack(
        "isclose_patched",
        "np.isclose says yes to everything",
        WRONG + "np.isclose = np.allclose = lambda *a, **k: np.array(True)\n",
    ),
    Attack(
        "core_patched",
        "the words of the checks do nothing",
        WRONG
        + """
import helpers.checks.core as core
import helpers.checks as checks
for module in (core, checks):
    for word in ("close", "equal", "expect", "call", "raises"):
        setattr(module, word, lambda *a, **k: None)
close = equal = lambda *a, **k: None
""",
    ),
    Attack(
        "failure_is_no_failure",
        "CheckFailed cannot be raised",
        WRONG
        + """
import helpers.checks.core as core
class Quiet(Exception):
    def __new__(cls, *args):
        raise KeyboardInterrupt
core.CheckFailed = Quiet
""",
    ),
    Attack(
        "reads_the_truth_from_the_caller",
        "the expected value is found in the frames of the check",
        """
import sys
def find(*_):
    frame = sys._getframe()
    while frame:
        for name in ("truth", "expected"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
class Lazy:
    def __array__(self, *a, **k):
        return np.asarray(find())
    def __eq__(self, other):
        return True
    dtype, shape = np.dtype(float), (3,)
def double(x): return Lazy()
def greet(name): return find()
def extremes(values): return find()
""",
    ),
    Attack(
        "equal_to_everything",
        "an object that is equal and close to everything",
        """
class Yes(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __abs__ = __sub__
    __hash__ = float.__hash__
class YesText(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
class YesTuple(tuple):
    def __eq__(self, other): return True
    def __len__(self): return 2
    def __iter__(self): return iter([Yes(1), Yes(3)])
def double(x): return Yes(1)
def greet(name): return YesText("no")
def extremes(values): return YesTuple()
""",
    ),
    Attack(
        "array_that_agrees",
        "an ndarray subclass whose comparisons all hold",
        """
class Agrees(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return np.array(True)
    def astype(self, *a, **k): return self
    def __array_function__(self, *a, **k): return np.array(True)
def double(x): return np.zeros(x.shape).view(Agrees)
def greet(name): return np.zeros(3).view(Agrees)
extremes = greet
""",
    ),
    Attack(
        "claims_memory",
        "an __array_interface__ that points into the checker's memory",
        """
class Memory:
    __array_interface__ = {"shape": (3,), "typestr": "<f8", "data": (4096, False), "version": 3}
    __array_struct__ = 1
    def detach(self): return self
    def cpu(self): return self
    def numpy(self): return self
    @property
    def dtype(self): return self
    kind, shape = "f", (3,)
    def astype(self, *a): return self
def double(x): return Memory()
greet = extremes = double
""",
    ),
    Attack(
        "displayhook_pays",
        "a forged value is read as partial credit",
        WRONG
        + """
from IPython import get_ipython
shell = get_ipython()
def pay(*_):
    from IPython.core.displayhook import DisplayHook
    shell.displayhook(3.0)
shell.events.register("pre_run_cell", pay)
shell.set_custom_exc((Exception,), lambda *a, **k: None)
""",
    ),
    Attack(
        "exceptions_swallowed",
        "IPython handles every exception by doing nothing",
        WRONG
        + "get_ipython().set_custom_exc((BaseException,), lambda *a, **k: [])\nget_ipython().showtraceback = lambda *a, **k: None\n",
    ),
    Attack(
        "cells_become_empty",
        "an input transformer drops what checks say",
        WRONG + "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])\n",
    ),
    Attack(
        "tree_pruned",
        "an AST transformer drops calls",
        WRONG
        + """
import ast
class Prune(ast.NodeTransformer):
    def visit_Expr(self, node): return ast.Pass()
    def visit_For(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Prune())
""",
    ),
    Attack(
        "kernel_says_ok",
        "the kernel answers ok without running anything",
        WRONG
        + """
import sys
kernel = get_ipython().kernel
async def ok(*a, **k):
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
async def ended(*a):
    return "ended"
if "bridge.shell" in sys.modules:
    sys.modules["bridge.shell"]._run = ended
else:
    type(kernel).do_execute = lambda self, *a, **k: ok()
kernel.do_execute = ok
""",
    ),
    Attack(
        "kernel_sends_a_score",
        "forged messages carry a score on the kernel's own socket",
        WRONG
        + """
session = get_ipython().display_pub.session
original = session.send
def send(stream, kind, content=None, parent=None, *a, **k):
    name = kind if isinstance(kind, str) else kind["header"]["msg_type"]
    if name == "error":
        return original(stream, "execute_result", {"data": {"text/plain": "3.0"}, "metadata": {}, "execution_count": 1}, parent, *a, **k)
    if name == "execute_reply" and isinstance(content, dict):
        content = {**content, "status": "ok"}
    return original(stream, kind, content, parent, *a, **k)
session.send = send
""",
    ),
    Attack(
        "outputs_cleared",
        "a hook clears the error out of the check's outputs",
        WRONG
        + """
from IPython.display import clear_output
get_ipython().events.register("post_run_cell", lambda *_: clear_output())
get_ipython().showtraceback = lambda *a, **k: None
get_ipython()._showtraceback = lambda *a, **k: None
""",
    ),
    Attack(
        "the_bridge_passes",
        "our own side of the bridge answers in the checker's language",
        WRONG
        + """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("studentside"):
        module.serve = lambda message: '["dict", ["passed", "score"], [true, 3.0]]'
""",
    ),
    Attack(
        "answers_ahead",
        "answers that are not the bridge's arrive before the questions",
        WRONG
        + """
line = get_ipython().display_pub.session._connection
for answer in ('["tuple", ["value", true]]', '["tuple", ["value", ["dict", [], []]]]', '["tuple", ["value", null]]') * 50:
    line.sendall(len(answer).to_bytes(4, "big") + answer.encode())
""",
    ),
    Attack(
        "lines_in_a_reply",
        "a reply smuggles in a verdict on a line of its own",
        WRONG
        + """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("studentside"):
        module.serve = lambda message: '["tuple", ["value", null]]\\n{"passed": true, "score": 3.0}\\n'
""",
    ),
    Attack(
        "code_across_the_wire",
        "a reply makes the checker import and call something",
        WRONG
        + """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("studentside"):
        module.serve = lambda message: '["tuple", ["value", ["dict", ["double"], [["import", "builtins", "exit"]]]]]'
""",
    ),
    Attack(
        "builtins_over_the_wire",
        "names of the check itself are replaced by the student's process",
        WRONG
        + """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("studentside"):
        original = module._OPERATIONS["names"]
        def names(**k):
            return {"close": lambda *a, **b: None, "call": lambda *a, **b: None, "equal": print, "np": np, "__builtins__": {}}
        module._OPERATIONS["names"] = names
""",
    ),
    Attack(
        "exception_of_the_checker",
        "an exception that the checker takes for something else",
        """
class CheckPassed(BaseException): pass
def double(x): raise SystemExit(0)
def greet(name): raise GeneratorExit
def extremes(values): raise StopIteration
""",
    ),
    Attack(
        "true_as_a_handle",
        "an object that is true and compares as it should by itself",
        """
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __len__(self): return 3
    def __getitem__(self, i): return self
    def __float__(self): return 1.0
double = greet = extremes = Anything()
""",
    ),
    Attack(
        "names_of_the_checks",
        "answers named like the words of the checks",
        WRONG
        + "call = lambda f, *a: None\nclose = equal = lambda *a, **k: None\nprint = len = isinstance = lambda *a: True\n",
    ),
    Attack(
        "patient_thread",
        "a thread waits for the checks and then changes what they compare with",
        WRONG
        + """
import sys, threading, time
def patch():
    while True:
        time.sleep(0.01)
        core = sys.modules.get("helpers.checks.core")
        core._near = core._same = lambda *a, **k: True
threading.Thread(target=patch, daemon=True).start()
""",
    ),
    Attack(
        "tracing",
        "a trace function returns early from every check",
        WRONG
        + """
import sys
def trace(frame, event, arg):
    if "helpers/checks" in frame.f_code.co_filename:
        frame.f_globals["_same"] = frame.f_globals["_near"] = lambda *a, **k: True
    return trace
sys.settrace(trace)
get_ipython().events.register("pre_run_cell", lambda *_: sys.settrace(trace))
""",
    ),
    Attack(
        "score_as_a_result",
        "what an answer returns is read as partial credit",
        WRONG + "get_ipython().events.register('post_run_cell', lambda *_: get_ipython().displayhook(3.0))\n"
        "import atexit, os\n"
        "get_ipython().showtraceback = lambda *a, **k: get_ipython().displayhook(3.0)\n",
    ),
    Attack(
        "config_rewritten",
        "the grader's own settings are replaced on its disk",
        WRONG
        + """
import pathlib
text = 'c = get_config()\\nc.Autograde.autograde_preprocessors = []\\n'
for name in ("nbgrader_config.py", "solutions/01_toy/01_toy.ipynb", "notebooks/01_toy/01_toy.ipynb"):
    try:
        pathlib.Path("@ROOT@", name).write_text(text)
    except OSError:
        pass
""",
    ),
    Attack("forged_outputs", "outputs that came with the file are kept", notebook=_forge_outputs),
    Attack("checks_skipped", "a tag keeps the checks from being run", notebook=_skip_checks),
    Attack("checks_become_prose", "the checks are prose and cannot fail", notebook=_prose_checks),
    Attack("checks_become_answers", "the checks are answers with points of their own", notebook=_raw_points),
    Attack("checks_replaced", "the source of the checks is replaced", notebook=_empty_checks),
    Attack("checks_doubled", "a second cell stands for each check", notebook=_twin_checks),
    Attack("own_setup", "a cell of the student's runs as the instructor's", WRONG, notebook=_own_setup),
]
