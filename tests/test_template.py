"""Templates: what a kernel forked from one is like, how one ends, and what happens where one fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from course.config import load_course
from course.grading import kernel as kernels
from course.grading import template as templates
from course.grading.execute import run
from course.grading.job import key_and_files
from course.grading.kernel import MachineFault, student_kernel
from course.grading.sandboxes import places
from course.grading.sandboxes.choose import confinement, sweep
from course.grading.template import Templates
from course.model import Confinement, Job, Limits, Submission
from course.store import notebook_text
from tests.jobs import sliced
from tests.test_sandbox import WALLS

QUICK = Limits(cell_cpu=20, cell_wall=60, notebook_wall=300)


@pytest.fixture
def own(monkeypatch) -> Iterator[Templates]:
    """Templates of this test alone."""
    found = Templates()
    monkeypatch.setattr(kernels, "TEMPLATES", found)
    yield found
    found.close()


async def said(walls: Confinement, *cells: str) -> tuple[bool, list[str]]:
    """Whether a kernel is warm, and what its cells print."""
    async with student_kernel(walls, QUICK, [], 300) as kernel:
        outputs = [(await kernel.run(cell))[0] for cell in cells]
        warm = isinstance(kernel._process, templates.Forked)
    return warm, ["".join(o.get("text", "") for o in cell) for cell in outputs]


@pytest.fixture
def bare(own, monkeypatch) -> None:
    """Templates that import numpy alone, in a fraction of the time: for what does not depend on what they hold."""
    monkeypatch.setattr(templates, "imported_by_lessons", lambda: ["numpy"])


def only(found: Templates) -> templates.Template:
    (template,) = found._living.values()
    return template


def process_of(template: templates.Template) -> subprocess.Popen[bytes]:
    return template.close.peek()[2][2]


def killed(template: templates.Template) -> None:
    """Kill a template and all that it holds, as a machine that runs out of memory would."""
    os.killpg(process_of(template).pid, signal.SIGKILL)
    process_of(template).wait()


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_a_dead_template_is_replaced_and_two_dead_ones_mean_a_cold_start(
    walls, own, bare, monkeypatch, caplog
):
    sandbox = confinement(walls, warm=True)
    assert asyncio.run(said(sandbox, "print(1)")) == (True, ["1\n"])
    first = only(own)
    killed(first)
    assert asyncio.run(said(sandbox, "print(2)")) == (True, ["2\n"])
    assert only(own) is not first
    assert "a new one is started" in caplog.text
    killed(only(own))
    monkeypatch.setattr(templates, "KERNEL", ("no_such_module",))
    assert asyncio.run(said(sandbox, "print(3)")) == (False, ["3\n"])
    assert "kernels start cold from here on" in caplog.text and "no_such_module" in caplog.text


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_a_template_that_dies_under_a_kernel_is_the_machines_fault(walls, own, bare):
    async def session() -> None:
        async with student_kernel(confinement(walls, warm=True), QUICK, [], 300) as kernel:
            await kernel.run("x = 1")
            killed(only(own))
            with pytest.raises(MachineFault, match="the warm template died"):
                await kernel.run("import time; time.sleep(30)")

    asyncio.run(session())


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_a_false_request_gets_no_kernel_and_harms_no_template(walls, own, bare):
    sandbox = confinement(walls, warm=True)
    assert asyncio.run(said(sandbox, "print(1)")) == (True, ["1\n"])
    template = only(own)
    control = template._control
    with open(os.devnull) as null:
        for request in (
            b"{",
            b"[]",
            b"nothing",
            b'{"spec": {}}',
            b'{"spec": 5, "environment": []}',
            b"x" * 60_000,
        ):
            for fds in ([], [null.fileno()], [null.fileno()] * 2):
                socket.send_fds(control, [request], fds)
    assert asyncio.run(said(sandbox, "print(2)")) == (True, ["2\n"])
    assert only(own) is template


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_nothing_outlives_a_grader_that_is_killed(walls):
    nap = f"{9000 + os.getpid()}.25"
    grader = f"""
import asyncio, time
from course.grading import template
from course.grading.kernel import student_kernel
from course.grading.sandboxes.choose import confinement, sweep
from course.model import Limits
template.imported_by_lessons = lambda: ["numpy"]  # it is there in a fraction of the time
async def session():
    async with student_kernel(confinement({walls!r}, True), Limits(), [], 300) as kernel:
        await kernel.run("import subprocess; p = subprocess.Popen(['sleep', '{nap}'])")
        print(kernel._process.template.folder, flush=True)
        await kernel.run("import time; time.sleep(80)")
asyncio.run(session())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", grader], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    folder = process.stdout.readline().strip()
    assert _left(folder, nap)
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while _left(folder, nap) and time.monotonic() < end:
        time.sleep(0.1)
    assert _left(folder, nap) == []
    while Path(folder).exists() and time.monotonic() < end:  # another grader may be about to sweep it
        sweep()
        time.sleep(0.1)
    assert not Path(folder).exists()


def _left(*words: str) -> list[str]:
    """The command lines that hold one of the words."""
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in shown.splitlines() if any(word in line for word in words)]


@pytest.mark.kernel
def test_a_template_holds_the_code_that_stands_on_the_disk(own, bare, monkeypatch):
    sandbox = confinement(warm=True)
    asyncio.run(said(sandbox, "pass"))
    first = only(own)
    asyncio.run(said(sandbox, "pass"))
    assert only(own) is first
    monkeypatch.setattr(templates, "code", lambda: "of another day")
    asyncio.run(said(sandbox, "pass"))
    assert only(own) is not first


def test_the_key_of_a_template_follows_helpers_and_libraries(tmp_path, monkeypatch):
    known = templates.code()
    assert templates.code() == known
    monkeypatch.setattr(templates.helpers, "__path__", [*templates.helpers.__path__, str(tmp_path)])
    (tmp_path / "new.py").write_text("x = 1")
    changed = templates.code()
    (tmp_path / "new.py").write_text("x = 2")
    assert len({known, changed, templates.code()}) == 3
    (tmp_path / "numpy-99.dist-info").mkdir()
    before = templates.code()
    monkeypatch.setattr(templates.sysconfig, "get_path", lambda _: str(tmp_path))
    assert templates.code() != before


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_what_lessons_import_and_cannot_is_the_machines_fault(walls, own, monkeypatch):
    monkeypatch.setattr(places, "LESSONS", ("hidden_from_all", *places.LESSONS))
    with pytest.raises(MachineFault, match="No module named 'hidden_from_all'"):
        asyncio.run(said(confinement(walls, warm=True), "pass"))


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_the_template_holds_what_lessons_import(walls):
    """What a solved lesson's own imports would still load, no student should have to wait for."""
    show = "import sys; print(*sorted(m for m in sys.modules if m.partition('.')[0] in ('numpy', 'scipy', 'torch', 'helpers', 'matplotlib', 'sklearn', 'mnist1d')))"
    course = load_course()
    imports = set()
    for lesson in course.written:
        for line in course.source(lesson).read_text().splitlines():
            if line.startswith(("import ", "from ")):
                imports.add(line)
    cell = "\n".join(
        f"try:\n    {line}\nexcept ImportError: pass" for line in sorted(imports) if "(" not in line
    )
    cell += "\ndatasets.digits()\ndatasets.mnist1d(examples=10)"  # which import where they are called
    _, (before, _, after) = asyncio.run(said(confinement(walls, warm=True), show, cell, show))
    assert {"helpers.training", "torch", "scipy.signal"} <= {*before.split()}
    files = {"sklearn.datasets.data", "sklearn.datasets.descr"}  # folders of data, no code
    assert {*after.split()} - {*before.split()} <= files


@pytest.mark.kernel
@pytest.mark.parametrize("number", ["1"])
def test_warm_and_cold_give_one_outcome(number):
    """Verdicts, hints and outputs of a lesson, behind each kind of walls: solved in whole, blank by the cells that a grade depends on."""
    course = load_course()
    lesson = course.lesson(number)
    key, files = key_and_files(course.solution(lesson).parent, course.release(lesson).parent)
    solved = nbformat.reads(key.decode(), as_version=4)
    blank = nbformat.read(course.release(lesson), as_version=4)
    for walls in WALLS:
        for notebook in (solved, blank):
            submission = Submission("ada", lesson.name, notebook_text(notebook).encode())
            found = []
            digests = set()
            for warm in (False, True):
                job = Job(submission, key, files, Limits(), confinement(walls, warm), "checker")
                if notebook is blank:  # the rest shows what it shows in the solved one
                    job = sliced(job)
                outcome = run(job)
                assert outcome.machine_fault == ""
                digests.add(job.digest)
                found.append((outcome.verdicts, outcome.left_out, outcome.notebook))
            assert found[0] == found[1]
            assert len(digests) == 1
            assert any(v.passed for v in found[0][0].values()) == (notebook is solved)
