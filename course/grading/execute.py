"""Run a job: the student's cells in their kernel, the checks in ours, the verdict by us alone.

Cells that no grade depends on are spared. Before a point is lost, everything above its check runs as well, and what comes of that
counts: a lesson is read and executed from the top, so that nothing below a check could have given the point.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_locked, is_solution

from course.grading.bridge import wire
from course.grading.checker.check import LINE_BYTES
from course.grading.checker.trusted import TrustedServer
from course.grading.kernel import (
    Budget,
    KernelGone,
    MachineFault,
    StudentKernel,
    TooSlow,
    late,
    student_kernel,
)
from course.grading.outputs import Outputs, clean, error_output, output_of, pictures_within
from course.grading.slice import PARSING, grade_id, only_untouched_stubs, tags
from course.grading.stand_ins import NAME as GIVEN_UP
from course.grading.stand_ins import in_its_place, told
from course.grading.watch import killed_for_memory
from course.model import Job, Limits, Outcome, Verdict

SERVER = TrustedServer()
NOT_RUN = "not run for the grade"
UNPAINTED = "run for the grade, without its output"
HANDED_IN = "; above stands what was handed in"
PAINT_NOTHING = "__import__('sys').modules['bridge.studentside'].unpainted()"
CHECK = "_check"  # what the name of a check adds to that of its exercise
PULSE = 0.1  # seconds between two looks at whether to stop
PATIENCE = 10  # how much longer than its computing a check may be silent before the machine is to blame


# How the hint begins where an answer raises NotImplementedError (`helpers.checks.core.call`).
UNBEGUN = "There is no answer here yet"


class Stopped(Exception):
    """Grading was stopped before this job came to its end."""


def run(job: Job, stop: threading.Event | None = None) -> Outcome:
    """Execute a job; where a check does not pass and cells above it were spared, once more with these.

    Args:
        job: all that the outcome depends on. Cells of the submission with a grade_id of the key take the key's role; all its other
            code is the student's.
        stop: set it, and the job ends at once.

    Returns:
        The outcome; where this machine failed, it says so and holds no verdict.

    Raises:
        Stopped: if it was stopped.
    """
    outcome = once(job, stop)
    above = () if outcome.machine_fault or _is_settled(outcome) else _above_a_loss(outcome)
    if not above:
        return outcome
    spared = tuple(position for position in job.spared if position not in above)
    whole = once(replace(job, spared=spared), stop, unpainted=above)
    return replace(
        whole,
        job=job,
        kernels=outcome.kernels + whole.kernels,
        seconds=round(outcome.seconds + whole.seconds, 2),
        cpu_seconds=round(outcome.cpu_seconds + whole.cpu_seconds, 2),
    )


def _lost(outcome: Outcome) -> dict[str, Verdict]:
    """The verdicts of the checks that lost a point, but for answers that were given up."""
    return {
        name: v
        for name, v in outcome.verdicts.items()
        if v.name != GIVEN_UP and (not v.passed or v.score is not None)
    }


def _is_settled(outcome: Outcome) -> bool:
    """Whether cells that were spared cannot give a point back: none is lost, or only for answers never begun."""
    lost = _lost(outcome).values()
    blank = all(v.hint.startswith(UNBEGUN) and not v.detail for v in lost)
    return blank and not outcome.left_out and (not lost or only_untouched_stubs(outcome.job))


def _above_a_loss(outcome: Outcome) -> tuple[int, ...]:
    """Positions of the cells that were spared above the last check that lost a point, or the last cell that was left out."""
    cells = nbformat.reads(outcome.job.submission.notebook.decode("utf-8"), as_version=4).cells
    lost = _lost(outcome)
    places = [at for at, cell in enumerate(cells) if grade_id(cell) in lost]
    last = max([*places, *outcome.left_out], default=-1)
    return tuple(position for position in outcome.spared if position < last)


def once(job: Job, stop: threading.Event | None = None, unpainted: Sequence[int] = ()) -> Outcome:
    """Execute a job, once and as it says.

    Args:
        job, stop: as for `run`.
        unpainted: positions of cells that run, but paint no figure: they show what they were handed in with.

    Returns:
        The outcome.

    Raises:
        Stopped: if it was stopped.
    """
    execution, stop = _Execution(job, unpainted), stop or threading.Event()
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        running = thread.submit(asyncio.run, execution.until(stop))
        try:
            return running.result()
        except KeyboardInterrupt:  # else it would go on to its limits, and be waited for
            stop.set()
            raise


def is_check(cell: NotebookNode) -> bool:
    """Tell whether a cell is graded by running it."""
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def is_setup(cell: NotebookNode) -> bool:
    """Tell whether a cell is locked code whose names both the student and the checks use."""
    return cell.cell_type == "code" and is_locked(cell) and not is_grade(cell) and "setup" in tags(cell)


def twice(job: Job, stop: threading.Event | None = None) -> Outcome:
    """Execute a job; where this machine fails, once more. Arguments and errors are those of `run`."""
    outcome = _guarded(job, stop)
    return _guarded(job, stop) if outcome.machine_fault else outcome


def _guarded(job: Job, stop: threading.Event | None) -> Outcome:
    """Run a job; an error that nobody thought of is no fault of the student's and does not stop the class."""
    try:
        return run(job, stop)
    except Stopped:
        raise
    except Exception as error:
        return Outcome(job, machine_fault=f"{type(error).__name__}: {error}")


class _Execution:
    """One job on its way through kernel and checks."""

    def __init__(self, job: Job, unpainted: Sequence[int] = ()):
        self._job, self._limits = job, job.limits
        self._notebook = nbformat.reads(job.submission.notebook.decode("utf-8"), as_version=4)
        key = _read_key(job.key)
        self._verdicts: dict[str, Verdict] = {}
        self._left_out: dict[int, str] = {}
        self._kernels = 0
        self._cpu_seconds = 0.0
        self._seconds_left = self._limits.notebook_wall
        known = {grade_id(cell): cell for cell in key.cells if grade_id(cell)}
        self._setup = [cell.source for cell in key.cells if is_setup(cell)]
        self._checks: list[tuple[NotebookNode, NotebookNode]] = []
        self._steps: list[tuple[int, NotebookNode, str]] = []
        self._given_up: set[str] = set()  # the checks of answers that were
        self._checker: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._shown: dict[int, list[NotebookNode]] = {}  # what is shown of cells that paint nothing
        for position, cell in enumerate(self._notebook.cells):
            original = known.get(grade_id(cell), cell)
            if original.cell_type != "code":
                continue
            handed_in = cell.get("outputs", [])
            cell.cell_type, cell.outputs, cell.execution_count = "code", [], None  # also what became prose
            if position in job.spared:
                cell.outputs = _as_handed_in(handed_in, self._limits, NOT_RUN)
                continue
            if position in unpainted:
                self._shown[position] = _as_handed_in(handed_in, self._limits, UNPAINTED)
            if original is not cell and is_check(original):
                self._checks.append((cell, original))
                self._steps.append((position, cell, ""))
                continue
            ours = original if original is not cell and is_locked(original) else cell
            source = str(ours.source)
            if original is not cell and is_solution(original) and not is_grade(original):
                with PARSING:
                    source = in_its_place(grade_id(original), source, original.source)
                if source != ours.source:
                    self._given_up.add(f"{grade_id(original)}{CHECK}")
            if source.strip() and "skip-execution" not in tags(ours):
                self._steps.append((position, cell, source))

    async def until(self, stop: threading.Event) -> Outcome:
        """Do everything, unless `stop` is set meanwhile.

        Raises:
            Stopped: then.
        """
        start = time.monotonic()
        work = asyncio.create_task(self._everything())
        work.add_done_callback(lambda _: self._dismiss_checker())
        while not work.done():
            await asyncio.wait({work}, timeout=PULSE)
            if stop.is_set():
                work.cancel()
                await asyncio.wait({work})
                raise Stopped
        fault = ""
        try:
            work.result()
        except (MachineFault, OSError) as error:
            fault = str(error) or type(error).__name__
        pictures_within(self._notebook, self._limits.pictures)
        return Outcome(
            self._job,
            json.dumps(self._notebook).encode(),
            {} if fault else self._verdicts,
            self._left_out,
            self._job.spared,
            self._kernels,
            round(time.monotonic() - start, 2),
            round(self._cpu_seconds, 2),
            fault,
        )

    async def _everything(self) -> None:
        """Run the student's cells, then the checks.

        Raises:
            MachineFault: if this machine failed.
        """
        SERVER.start(self._setup)  # it warms up meanwhile, beside the template
        async with AsyncExitStack() as stack:
            kernel, waiting = None, list(self._checks)
            while waiting:
                why = ""
                if kernel is None:
                    kernel, why = await self._kernel(stack)
                if kernel is None:
                    for cell, _ in waiting:
                        self._close(
                            cell, Verdict(False, name="KernelDied", hint=f"Nothing could be checked: {why}.")
                        )
                    break
                if await self._check(kernel, *waiting.pop(0)):
                    self._used(kernel)
                    kernel = None
            if kernel:
                self._used(kernel)

    async def _kernel(self, stack: AsyncExitStack) -> tuple[StudentKernel | None, str]:
        """Start a kernel and run the student's cells in it, without those that took an earlier one along.

        Returns:
            The kernel, or None and the reason why there will be none.
        """
        why = "the notebook stopped its kernel too often"
        while self._kernels <= self._limits.restarts:
            if self._seconds_left < 0:
                return None, late(self._limits)
            self._kernels += 1
            kernel = await self._fresh(stack)
            for position, cell, source in self._steps:
                if position in self._left_out:
                    continue
                try:
                    if source:
                        cell.outputs = await self._run(kernel, position, source)
                    else:
                        await self._snapshot(kernel, cell)
                except KernelGone as gone:
                    self._blame(kernel)
                    why = str(gone)
                    self._left_out[position] = why
                    cell.outputs = [error_output("KernelDied", f"This cell was left out: {why}.")]
                    break
            else:
                return kernel, ""
            self._used(kernel)
        return None, why

    def _used(self, kernel: StudentKernel) -> None:
        """Note what a kernel has used of what its notebook may."""
        self._cpu_seconds += kernel.cpu
        self._seconds_left = kernel.seconds_left

    async def _run(self, kernel: StudentKernel, position: int, source: str) -> list[NotebookNode]:
        """Run a cell; give what it shows.

        Raises:
            KernelGone: if it took the kernel with it.
        """
        if position not in self._shown:
            return (await kernel.run(source))[0]
        outputs, _ = await kernel.run(f"{PAINT_NOTHING}\n{source}")
        failed = any(output.output_type == "error" for output in outputs)
        return outputs if failed else self._shown[position]

    async def _fresh(self, stack: AsyncExitStack) -> StudentKernel:
        """Start a kernel in the place of the last one.

        Raises:
            MachineFault: if it does not start.
        """
        await stack.aclose()
        self._killed = killed_for_memory()
        job = self._job
        return await stack.enter_async_context(
            student_kernel(job.sandbox, self._limits, job.files, self._seconds_left)
        )

    def _blame(self, kernel: StudentKernel) -> None:
        """Tell a kernel that this machine killed for want of memory from one that its student ended.

        Raises:
            MachineFault: if this machine did.
        """
        if kernel.lost_to_memory and killed_for_memory() > self._killed:
            raise MachineFault("this machine ran out of memory and killed the kernel")

    async def _snapshot(self, kernel: StudentKernel, check: NotebookNode) -> None:
        """Let the student's process keep what its names mean where a check stands: checks run after all other cells.

        Raises:
            KernelGone: if the kernel died meanwhile.
        """
        request = wire.dumps({"do": "snapshot", "check": grade_id(check)}, list, LINE_BYTES)
        with suppress(TooSlow):
            await kernel.ask(request, kernel.budget())

    async def _check(self, kernel: StudentKernel, cell: NotebookNode, original: NotebookNode) -> bool:
        """Run one check and write its verdict into the cell.

        Returns:
            Whether the kernel was lost.
        """
        name = grade_id(original)
        if name in self._given_up:
            self._close(cell, Verdict(False, name=GIVEN_UP, hint=told(name.removesuffix(CHECK))))
            return False
        gone = False
        try:
            verdict = await self._verdict(kernel, name, original.source)
        except TooSlow as slow:
            verdict = Verdict(
                False, name="CellTimeoutError", hint=f"Your code was stopped during this check: {slow}."
            )
        except KernelGone as lost:
            self._blame(kernel)
            gone = True
            verdict = Verdict(
                False, name="KernelDied", hint=f"Your code stopped the kernel during this check: {lost}."
            )
        if verdict.score is not None and verdict.score > float(original.metadata.nbgrader.points):
            verdict = Verdict(
                False, name="ValueError", hint="This check is broken: it gives more points than it has."
            )
        if verdict.name == "NameError" and self._left_out:
            reasons = "; ".join(f"cell {at + 1} was left out: {why}" for at, why in self._left_out.items())
            verdict = Verdict(
                False, name=verdict.name, hint=f"{verdict.hint} ({reasons})", detail=verdict.detail
            )
        self._close(cell, verdict)
        return gone

    async def _verdict(self, kernel: StudentKernel, name: str, source: str) -> Verdict:
        """Let a trusted process run a check; if that dies without a verdict, once more.

        Raises:
            TooSlow, KernelGone: from the kernel.
            MachineFault: if the trusted process died twice, or the kernel meanwhile.
        """
        try:
            return await self._ask_checker(kernel, name, source)
        except MachineFault:
            if kernel.gone:  # meanwhile: what it does not answer now is no fault of its student's
                raise
            return await self._ask_checker(kernel, name, source)

    async def _ask_checker(self, kernel: StudentKernel, name: str, source: str) -> Verdict:
        """Let a trusted process run a check, the one that ran the check before if that left nothing behind, and pass its questions on to the kernel.

        Raises:
            TooSlow, KernelGone: from the kernel.
            MachineFault: if the trusted process dies without a verdict.
        """
        limits, verdict, last = self._limits, None, True
        try:
            reader, writer = self._checker = self._checker or await asyncio.open_connection(
                sock=SERVER.open_checks(self._setup), limit=LINE_BYTES
            )
        except OSError as error:
            raise MachineFault(f"{name}: no checker can be had ({error})") from error
        try:
            task: dict[str, Any] = {"name": name, "source": source}
            task |= {"cpu": limits.check_cpu, "memory": limits.check_memory}
            budget: Budget = kernel.budget()
            writer.write(json.dumps(task).encode() + b"\n")
            while verdict is None:
                with kernel.waiting(budget):
                    async with asyncio.timeout(PATIENCE * limits.check_cpu):
                        line = await reader.readline()
                if not line:
                    raise MachineFault(f"{name}: the checker is gone")
                said: dict[str, Any] = json.loads(line)
                if "ask" in said:
                    answer = await kernel.ask(said["ask"], budget)
                    writer.write(json.dumps({"answer": answer}).encode() + b"\n")
                elif "slow" in said:
                    hint = f"Your answer makes this check compute for more than {2 * limits.check_cpu:g} seconds."
                    verdict = Verdict(False, name="CellTimeoutError", hint=hint)
                elif "fault" in said:
                    raise MachineFault(f"{name}: {said['fault']}")
                else:
                    last = said.pop("last")
                    verdict = Verdict(**said | {"shown": tuple(said["shown"])})
        except (TimeoutError, ConnectionError, ValueError) as error:  # the last: of half a line
            raise MachineFault(
                f"{name}: the checker does not answer ({error or type(error).__name__})"
            ) from error
        finally:
            if last:
                self._dismiss_checker()
        return verdict

    def _dismiss_checker(self) -> None:
        """End the process that checks, if there is one; what the next check finds is a new one."""
        if self._checker:
            self._checker[1].close()
        self._checker = None

    def _close(self, cell: NotebookNode, verdict: Verdict) -> None:
        """Write a verdict as the outputs that nbgrader reads a score from."""
        self._verdicts[grade_id(cell)] = replace(
            verdict, hint=clean(verdict.hint), detail=clean(verdict.detail)
        )
        cell.outputs = [
            output_of("stream", name="stdout", text=clean(text).rstrip("\n") + "\n") for text in verdict.shown
        ]
        if not verdict.passed:
            cell.outputs = [error_output(verdict.name, verdict.hint)]
        elif verdict.score is not None:
            data = NotebookNode({"text/plain": repr(verdict.score)})
            cell.outputs.append(
                output_of("execute_result", data=data, metadata=NotebookNode(), execution_count=None)
            )


@functools.lru_cache(maxsize=16)
def _read_key(key: bytes) -> NotebookNode:
    """Read an instructor's notebook, once for all that are graded with it; nobody changes it."""
    made: NotebookNode = nbformat.reads(key.decode("utf-8"), as_version=4)
    return made


def _as_handed_in(outputs: list[NotebookNode], limits: Limits, note: str) -> list[NotebookNode]:
    """What a cell shows that is not run, or paints nothing: what it showed, as far as an output may, and a note."""
    shown = Outputs(limits)
    for output in outputs:
        with suppress(KeyError, TypeError, AttributeError):  # a file can hold anything
            shown.take(output["output_type"], output)
    text = f"({note}{HANDED_IN if shown.cells else ''})\n"
    return [*shown.cells, output_of("stream", name="stdout", text=text)]
