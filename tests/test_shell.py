"""The kernel in which grading runs cells: they show what they show in Jupyter, and nothing that they do tears its messages."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from course.grading.bridge.shell import TOO_LARGE
from course.grading.kernel import KernelGone, student_kernel
from course.grading.outputs import Outputs
from course.grading.sandboxes.choose import confinement
from course.model import Limits

pytestmark = pytest.mark.kernel
QUICK = Limits(cell_cpu=20, cell_wall=60, notebook_wall=300, interrupted=20)
CELLS = """
print("a", end=""); print("b"); 3
---
import sys; print("e", file=sys.stderr)
---
import warnings; warnings.warn("careful")
---
import logging; logging.warning("careful")
---
1 / 0
---
def f(:
---
%nosuchmagic
---
raise KeyError("x")
---
class Odd:
    def __repr__(self): raise ValueError("no text")
Odd()
---
[1, 2];
---
_ + 1
---
class Both:
    def __repr__(self): return "plain"
    def _repr_html_(self): return "<b>html</b>"
    def _repr_png_(self): return bytes.fromhex("89504e470d0a1a0a")
Both()
---
from IPython.display import clear_output, display, Image, Markdown
display(Markdown("**gone**")); clear_output(); display(Both(), 5)
---
Image(bytes.fromhex("89504e470d0a1a0a"))
---
import asyncio
await asyncio.sleep(0)
print("waited")
1 / 0
---
print(asyncio.get_running_loop().is_running())
waiting = asyncio.sleep(0)
try: asyncio.run(waiting)
except RuntimeError as error: print(error)
waiting.close()
later = asyncio.create_task(asyncio.sleep(0, "later"))
---
await later
---
%%capture out
print(1)
display(2)
3
---
out.stdout, len(out.outputs)
---
import matplotlib.pyplot as plt
plt.plot([1, 2]);
---
plt.figure(); plt.title("shown"); plt.show(); print("after", plt.get_fignums())
---
%matplotlib inline
plt.plot([2, 1])
---
len?
---
sys.exit("over")
---
type(get_ipython()), sys.stdout.name, _dh == [__import__("pathlib").Path.cwd()]
---
input("?")
---
import os
[os.environ[name] for name in ("FORCE_COLOR", "PAGER", "MPLBACKEND", "TERM")], "" in sys.path, __name__, get_ipython().execution_count
---
def inner(): raise Both.nothing
inner()
""".strip().split("\n---\n")


def bare(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without what differs from process to process, and without the frames of whoever says that nobody can be asked."""
    for output in outputs:
        if "text" in output:
            output.text = re.sub(r"\S*/(ipykernel_)\d+/", r"\1", output.text)
        if "data" in output and "text/plain" in output.data:
            output.data["text/plain"] = re.sub(" at 0x[0-9a-f]+", "", output.data["text/plain"])
        if output.get("ename") == "StdinNotImplementedError":
            output.traceback = []
    return outputs


def shown(*cells: str, limits: Limits = QUICK) -> list[list[NotebookNode]]:
    """What cells show in a warm kernel behind walls."""

    async def session() -> list[list[NotebookNode]]:
        async with student_kernel(confinement(warm=True), limits, [], 300) as kernel:
            return [(await kernel.run(cell))[0] for cell in cells]

    return asyncio.run(session())


def text_of(outputs: list[NotebookNode]) -> str:
    return "".join(
        o.get("text", "") or o.get("data", {}).get("text/plain", "") or o.get("ename", "") for o in outputs
    )


def test_cells_show_what_they_show_in_jupyter():
    """In a kernel that has run nothing else: what one lesson sets for its figures would show in another's."""
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, kernel_name="python3", timeout=120, allow_errors=True).execute()
    theirs = []
    for cell in notebook.cells:
        kept = Outputs(QUICK)
        for output in cell.outputs:
            kept.take(output.output_type, output)
        theirs.append(kept.cells)
    for cell, ours, expected in zip(CELLS, shown(*CELLS), theirs, strict=True):
        assert bare(ours) == bare(expected), cell


def test_a_cell_that_prints_without_end_is_interrupted_between_two_messages():
    """It is sending nearly all of its time: an interrupt in the midst of a message would leave the grader with half of it."""
    endless = "n = 0\nwhile True:\n    n += 1\n    print('x' * 20_000)"
    for stopped, after in zip(*2 * [iter(shown(*8 * (endless, "n > 0"), limits=replace(QUICK, cell_wall=0.3)))], strict=True):  # fmt: skip
        assert [o.ename for o in stopped[1:]] == ["KeyboardInterrupt", "CellTimeoutError"]
        assert text_of(after) == "True"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import asyncio\nawait asyncio.sleep(60)", "CancelledError"),
        ("import asyncio\nawait asyncio.sleep(0)\nwhile True: pass", "KeyboardInterrupt"),
        ("import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')", "caught\n"),
        ("import signal\nsignal.signal(signal.SIGINT, lambda *_: 1 / 0)\nwhile True: pass", "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_whatever_a_cell_waits_for_it_is_interrupted_and_the_next_one_runs(cell, said):
    stopped, after = shown(cell, "1 + 1", limits=replace(QUICK, cell_wall=3.0))
    assert text_of(stopped[:1]) == said and stopped[-1].ename == "CellTimeoutError"
    assert text_of(after) == "2"


def test_what_programs_and_forks_and_threads_print_is_shown_and_tears_nothing():
    threads = "import sys, threading\nmany = [threading.Thread(target=lambda: [sys.stdout.write('x' * 99 + '\\n') for _ in range(1000)]) for _ in range(4)]\nfor t in many: t.start()\nfor t in many: t.join()"
    fork = "import os\npid = os.fork()\nprint('child' if pid == 0 else 'parent')\nif pid: os.waitpid(pid, 0)"
    program = "import subprocess\nfor n in range(3):\n    print(n)\n    code = subprocess.run('echo program; exit 7', shell=True).returncode\ncode"
    first, second, third, fourth = shown(threads, program, fork, "1 + 1")
    assert sorted(set(text_of(first).split("\n"))) == ["", "x" * 99] and len(text_of(first)) == 400_000
    assert text_of(second) == "0\nprogram\n1\nprogram\n2\nprogram\n7"
    assert sorted(text_of(third).split()) == ["child", "parent"] and text_of(fourth) == "2"


def test_a_thread_that_prints_without_end_holds_up_no_cell_and_no_question():
    thread = "import threading\ndef pour():\n    while True: print('x' * 1000)\nthreading.Thread(target=pour, daemon=True).start()"
    cells = shown(thread, *5 * ("1 + 1",))
    assert all("execute_result" in [o.output_type for o in outputs] for outputs in cells[1:])


def test_an_output_too_large_for_a_message_is_named_and_text_is_cut():
    large = "from IPython.display import display\ndisplay({'text/html': 'x' * 9_000_000}, raw=True)\n1"
    first, second = shown(large, "print('é' * 5_000_000)\n2")
    assert text_of(first) == f"{TOO_LARGE}1"
    assert "was cut off" in text_of(second) and len(text_of(second)) < QUICK.output + 100


ALARMS = """
import signal, time
class Late(Exception): pass
def late(*_):
    print('tick', flush=True)
    {then}
signal.signal(signal.SIGALRM, late)
ticks = 0
for n in range(20):
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        time.sleep(0.018)
        for _ in range(4): print('x' * 450_000)
        time.sleep(0.05)
    except Late: ticks += 1
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize(("then", "ticks"), [("raise Late", "20"), ("pass", "0")])
def test_a_signal_handler_that_raises_or_prints_in_the_midst_of_a_message_tears_none(then, ticks):
    first, second = shown(ALARMS.format(then=then), "ticks", limits=replace(QUICK, output=1_000_000_000))
    assert text_of(second) == ticks
    assert text_of(first).count("tick") == 20


def test_a_handler_that_raises_between_two_cells_ends_no_kernel():
    first = "import signal, asyncio\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late)\nasyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGALRM)"
    assert text_of(shown(first, "await asyncio.sleep(0.1)\n1 + 1", "2 + 2")[2]) == "4"


def test_tasks_that_print_are_interrupted_with_the_cell_that_waits_for_them():
    tasks = "import asyncio\nasync def pour():\n    while True:\n        print(list(range(2500))); await asyncio.sleep(0)\nawait asyncio.gather(pour(), pour())"
    for _ in range(3):
        stopped, after = shown(tasks, "1 + 1", limits=replace(QUICK, cell_wall=0.7))
        assert [o.ename for o in stopped[-2:]] == ["CancelledError", "CellTimeoutError"]
        assert text_of(after) == "2"


@pytest.mark.parametrize(
    "hook", ["get_ipython().run_cell = None", "get_ipython().events.trigger = exit", "raise SystemExit"]
)
def test_a_hook_that_breaks_the_shell_ends_no_kernel(hook):
    assert shown(hook, "1 + 1", "2 + 2")


@pytest.mark.parametrize("cell", ["exit", "exit()", "quit()", "get_ipython().ask_exit()"])
def test_a_cell_that_asks_to_exit_ends_the_kernel(cell):
    with pytest.raises(KernelGone, match="it ended the kernel"):
        shown(cell)


def test_a_cell_may_ask_to_exit_and_to_keep_the_kernel():
    assert text_of(shown("exit(True)", "1 + 1")[1]) == "2"
