"""Who is to blame: what the machine or the trusted side does is never a student's zero, and never stops a class."""

from __future__ import annotations

import ast
import asyncio
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat import NotebookNode

from course.grading import execute, kernel
from course.grading.execute import _Execution, run, twice
from course.grading.job import _spared
from course.grading.kernel import Budget, KernelGone, MachineFault, StudentKernel
from course.grading.sandboxes import choose
from course.grading.slice import spared
from course.grading.watch import Process, excess, family
from course.model import Limits, Submission
from course.store import notebook_text
from tests.jobs import job_of, ran
from tests.test_checker import lesson

QUICK = Limits(cell_cpu=20, cell_wall=4, notebook_wall=100, startup=200)


def checked(answer: str, check: str) -> NotebookNode:
    """A notebook of one answer and this check."""
    notebook = lesson(f=answer)
    notebook.cells[2].source = check
    return notebook


def bare(folder: Path, **more) -> StudentKernel:
    """A kernel that has no process."""
    process = SimpleNamespace(pid=os.getpid(), poll=lambda: 0, kill=lambda: None, orphaned=False)
    made = StudentKernel(process, None, folder, Limits(), 1e12)
    vars(made).update(more)
    return made


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_the_time_that_a_check_takes_by_itself_is_not_the_answers():
    """The check is silent for longer than all that it asks may take; then the answer takes longer than one look at the clock."""
    slow = "import time\ntime.sleep(6)\nassert call(f) == 1"
    handed_in = checked("import time\ndef f():\n    time.sleep(0.5)\n    return 1", slow)
    assert ran(handed_in, checked("", slow), QUICK).told == {"f_check": "passed"}


def test_the_clocks_of_a_kernel_that_waits_for_us_stand_still(tmp_path):
    student, budget = bare(tmp_path, deadline=100.0), Budget(1, 1, 0, wall_start=50.0)
    with student.waiting(budget):
        assert student._waits
        time.sleep(0.05)
    assert not student._waits
    assert student.deadline - 100.0 == pytest.approx(budget.wall_start - 50.0) and student.deadline > 100.04


@pytest.mark.kernel
def test_the_time_that_a_kernel_takes_to_start_is_not_its_students(monkeypatch):
    """As on a busy machine whose template still imports what lessons import."""
    hello = StudentKernel._hello

    async def late(student: StudentKernel) -> int:
        await asyncio.sleep(5)
        return await hello(student)

    monkeypatch.setattr(StudentKernel, "_hello", late)
    handed_in = checked("def f():\n    return 1", "assert call(f) == 1")
    assert ran(handed_in, handed_in, replace(QUICK, notebook_wall=4)).told == {"f_check": "passed"}


@pytest.mark.kernel
@pytest.mark.parametrize("limit", [{"cell_wall": 3}, {"notebook_wall": 6}])
@pytest.mark.parametrize("wants", [True, False])
def test_the_clock_stands_still_for_who_wants_a_processor_and_gets_none(wants, limit, monkeypatch):
    """As on a machine with thirty others at work: what computes is seen wanting, time and again, and has computed next to nothing."""
    monkeypatch.setattr(
        kernel,
        "family",
        lambda leader: [replace(p, cpu=p.cpu / 30, own=p.own / 30, wants=wants) for p in family(leader)],
    )
    slow, check = "import time\ntime.sleep(9)\ndef f():\n    return 1", "assert call(f) == 1"
    told = ran(checked(slow, check), checked("", check), replace(QUICK, **limit)).told
    assert (told == {"f_check": "passed"}) is wants


def test_a_machine_that_gives_no_processor_for_far_too_long_is_told():
    budget = Budget(cpu=30, wall=2, cpu_start=0, starved_start=5, wall_start=time.monotonic() - 26)
    assert budget.spent(1, 24.9) == "it took more than 2 seconds"
    assert (
        Budget(cpu=30, wall=2, cpu_start=0, starved_start=5, wall_start=time.monotonic() - 20).spent(1, 24.9)
        == ""
    )
    with pytest.raises(MachineFault, match=r"too busy: the kernel waited 20 seconds .*--jobs"):
        budget.spent(1, 25.1)


HIDDEN = """
import os, select, signal, time
if {ignored}: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    out, end = os.pipe()
    if not os.fork():
        until = time.monotonic() + 0.4
        while time.monotonic() < until: pass
        os._exit(0)
    os.close(end); select.select([out], [], []); os.close(out)
f = 1"""


@pytest.mark.kernel
@pytest.mark.parametrize("ignored", [True, False])
def test_what_children_compute_that_nobody_waits_for_is_no_want_of_a_processor(ignored):
    """Whose computing no parent is told looked like a kernel that wants a processor all the time and gets none."""
    outcome = run(job_of(checked(HIDDEN.format(ignored=ignored), "f"), checked("", "f"), replace(QUICK, cell_cpu=2, cell_wall=8)))  # fmt: skip
    assert not outcome.machine_fault and not any(v.passed for v in outcome.verdicts.values())
    assert "2 seconds of computing" in outcome.notebook.decode()


def test_who_computed_or_wanted_a_processor_for_a_moment_has_not_waited(tmp_path):
    student = bare(tmp_path)

    def look(*processes: Process) -> tuple[float, float]:
        student._looked -= 1.0  # a second ago
        student._account(processes)
        return round(student.cpu, 1), round(student._starved, 1)

    def process(pid: int, own: float, wants: bool = True, began: int = 1) -> Process:
        return Process(pid, own, 1, 1, wants, own, began)

    assert look(process(7, 1.0)) == (1.0, 0.0)  # nobody knows since when it has wanted one
    assert look(process(7, 2.0)) == (2.0, 0.0)
    assert look(process(7, 2.1)) == (2.1, 0.9)
    assert look(process(7, 2.1, wants=False), process(8, 0.1)) == (2.2, 0.9)
    assert look(process(7, 2.1), process(8, 0.1, began=2)) == (2.3, 0.9)  # another of the same number
    assert look(process(7, 2.1)) == (2.3, 1.9)  # what is gone has computed all the same


@pytest.mark.parametrize("gone", [True, False])
def test_a_checker_that_fails_is_tried_again_unless_the_kernel_died_meanwhile(gone, monkeypatch):
    asked = []

    async def fail(*_):
        asked.append(1)
        raise MachineFault("the checker is gone")

    execution = _Execution(job_of(checked("", ""), checked("", "")))
    monkeypatch.setattr(execution, "_ask_checker", fail)
    with pytest.raises(MachineFault):
        asyncio.run(execution._verdict(SimpleNamespace(gone=gone), "f_check", ""))
    assert len(asked) == (1 if gone else 2)


# --- the machine ------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ConnectionResetError("gone")])
@pytest.mark.parametrize("what", ["start", "open_checks"])
def test_whatever_the_machine_refuses_is_its_fault_and_tried_twice(what, error, monkeypatch):
    tried = []

    def refuse(*_):
        tried.append(1)
        raise error

    monkeypatch.setattr(execute.SERVER, what, refuse)
    outcome = twice(job_of(checked("f = 1", "f"), checked("", "f"), QUICK))
    assert str(error.args[-1]) in outcome.machine_fault and not outcome.verdicts
    assert len(tried) == (2 if what == "start" else 4)  # a check is given two checkers each time


def test_one_thread_at_a_time_parses(monkeypatch):
    """Two threads that make syntax trees at once may break each other off: a SystemError of Python's, and no fault of the student's."""
    inside, most, parse = [], [], ast.parse

    def slow(*words, **more):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return parse(*words, **more)

    monkeypatch.setattr(ast, "parse", slow)
    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            job = job_of(checked(f"f = {number}", "f"), checked("", "f"))
            threads.submit(_Execution, job)
            threads.submit(spared, job.key, job.submission.notebook)
    assert len(most) >= 12 and set(most) == {1}


def test_a_grader_that_was_stopped_and_goes_on_has_no_say_on_time(tmp_path, monkeypatch):
    """As by Ctrl-Z: the event loop stands still, here for a second, and all limits seem to be over."""
    monkeypatch.setattr(kernel, "FROZEN", 0.5)
    student = bare(tmp_path)

    async def until_it_answers() -> None:
        never = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(time.sleep, 1)
        await student._until(never, Budget(cpu=1e9, wall=0.5, cpu_start=0))

    with pytest.raises(MachineFault, match="the grader stood still for 1 seconds"):
        asyncio.run(until_it_answers())


def test_a_kernel_that_cannot_be_looked_after_is_the_machines_fault(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(kernel, "family", fail)
    student = bare(tmp_path)
    asyncio.run(student._watch())
    assert student.gone and isinstance(student._lost(), MachineFault)
    assert "Too many open files" in str(student._lost())


@pytest.mark.parametrize(("killed", "whose"), [(1, MachineFault), (0, KernelGone)])
def test_a_kernel_that_hangs_up_while_memory_runs_out_is_nobodys_zero(killed, whose, tmp_path, monkeypatch):
    """How it ended may be known only later: what counts is whether this machine killed something meanwhile."""

    async def asked() -> None:
        student = bare(tmp_path)
        ours, theirs = socket.socketpair()
        student._reader, student._writer = await asyncio.open_connection(sock=ours)
        theirs.close()
        execution = _Execution(job_of(checked("", ""), checked("", "")))
        execution._killed = 0
        monkeypatch.setattr(execute, "killed_for_memory", lambda: killed)
        try:
            await student.ask("{}", student.budget())
        except KernelGone:
            execution._blame(student)
            raise

    monkeypatch.setattr(kernel, "HUNG_UP", 0.01)
    with pytest.raises(whose):
        asyncio.run(asked())


class Walls(SimpleNamespace):
    """A sandbox that always stands."""

    __hash__ = object.__hash__


def test_a_trial_that_the_machine_stopped_is_made_again(monkeypatch):
    tries = []

    def command(*_):
        tries.append(1)
        if len(tries) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return ["echo", "confined"]

    walls = Walls(name="toy", rank=1, words=lambda: "toy walls")
    monkeypatch.setattr(choose, "command", command)
    monkeypatch.setattr(choose, "spec", lambda *_: {})
    monkeypatch.setattr(choose, "environment", lambda _: None)
    assert "temporarily" in choose._try(walls)[0]
    assert [choose._try(walls), choose._try(walls)] == 2 * [("", "toy walls")]
    assert len(tries) == 2  # what stands is remembered


# --- the class --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"{", b'{"cells": [{"cell_type": "code", "source": "x"}]}', b"[]"])
def test_a_damaged_notebook_spares_nothing_and_stops_nobody(text):
    assert _spared(notebook_text(checked("", "")).encode(), Submission("ada", "lesson", text)) == ()


def test_what_a_kernel_writes_counts_once(tmp_path):
    """Without a mount namespace the work folder that it sees is the one that we see."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data").write_bytes(b"x" * 600_000)
    processes = [Process(os.getpid(), 0.0, 1, 0)]
    folders = bare(tmp_path)._writable(processes)
    assert excess(processes, folders, Limits(disk=1 << 20)) == ""
    (tmp_path / "work" / "more").write_bytes(b"x" * 600_000)
    assert excess(processes, folders, Limits(disk=1 << 20)) == "it wrote more than 1 MiB to disk"
