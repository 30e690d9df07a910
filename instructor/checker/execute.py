"""Run a submission: the student's cells in their kernel, the checks in ours, the verdict by us alone.

`execute` is a pure function from two notebooks to an executed one. `TrustedExecute` is that function as nbgrader's
preprocessor, so that `nbgrader autograde`, the Formgrader's button and `course grade` all take the same way.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_locked, is_solution
from traitlets import Any, Instance

from instructor.checker.trusted import LINE_BYTES, TrustedServer, Verdict
from instructor.sandbox.choose import Confinement, confinement
from instructor.sandbox.kernel import Budget, KernelGone, StudentKernel, TooSlow, student_kernel
from instructor.sandbox.limits import Limits
from instructor.sandbox.outputs import clean, error_output

SERVER = TrustedServer()


@dataclass
class Report:
    """How a submission ran: for the record, beside the grades.

    checks: grade_id -> "passed", or what the student was told. details: grade_id -> traceback, for the instructor.
    left_out: cell position -> why it was left out.
    """

    confinement: str
    checks: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    kernels: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def execute(
    notebook: NotebookNode,
    key: NotebookNode,
    limits: Limits | None = None,
    walls: Confinement | None = None,
    files: Sequence[Path] = (),
) -> tuple[NotebookNode, Report]:
    """Execute a submission.

    Args:
        notebook: the submission. Its cells with a grade_id of the key take the key's role; all its other code is the student's.
        key: the instructor's notebook: checks and setup cells are taken from it alone.
        limits: how much the submission may use.
        walls: which walls stand around the student's kernel; the best there are if None.
        files: data files that lie in the kernel's work folder.

    Returns:
        A copy of the notebook with fresh outputs, and a report. Each check cell ends with an error unless it passed.

    Raises:
        SandboxUnavailable: if no walls can be put up.
        GradingError: if a kernel does not even start.
    """
    run = _Run(notebook, key, limits or Limits(), walls or confinement(), files)
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        thread.submit(asyncio.run, run.everything()).result()
    return run.notebook, run.report


def is_check(cell: NotebookNode) -> bool:
    """Tell whether a cell is graded by running it."""
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def is_setup(cell: NotebookNode) -> bool:
    """Tell whether a cell is locked code whose names both the student and the checks use."""
    return (
        cell.cell_type == "code"
        and is_locked(cell)
        and not is_grade(cell)
        and "setup" in cell.metadata.get("tags", [])
    )


class _Run:
    """One submission on its way through kernel and checks."""

    def __init__(
        self,
        notebook: NotebookNode,
        key: NotebookNode,
        limits: Limits,
        walls: Confinement,
        files: Sequence[Path],
    ):
        self.notebook = copy.deepcopy(notebook)
        self.report = Report(str(walls))
        self._limits, self._walls, self._files = limits, walls, files
        self._deadline = time.monotonic() + limits.notebook_wall
        known = {_grade_id(cell): cell for cell in key.cells if _grade_id(cell)}
        self._setup = [cell.source for cell in key.cells if is_setup(cell)]
        self._checks: list[tuple[NotebookNode, NotebookNode]] = []
        self._theirs: list[tuple[int, NotebookNode, str]] = []
        for position, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code":
                continue
            cell.outputs, cell.execution_count = [], None
            original = known.get(_grade_id(cell))
            if original is not None and is_check(original):
                self._checks.append((cell, original))
            elif cell.source.strip() and "skip-execution" not in cell.metadata.get("tags", []):
                locked = original is not None and is_locked(original)
                self._theirs.append((position, cell, original.source if locked else cell.source))

    async def everything(self) -> None:
        """Run the student's cells, then the checks; note what it took."""
        start = time.monotonic()
        SERVER.start()
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
                    self.report.cpu_seconds += kernel.cpu
                    kernel = None
            self.report.cpu_seconds = round(self.report.cpu_seconds + (kernel.cpu if kernel else 0), 2)
        self.report.seconds = round(time.monotonic() - start, 2)

    async def _kernel(self, stack: AsyncExitStack) -> tuple[StudentKernel | None, str]:
        """Start a kernel and run the student's cells in it, without those that took an earlier one along.

        Returns:
            The kernel, or None and the reason why there will be none.
        """
        why = "the notebook stopped its kernel too often"
        while self.report.kernels <= self._limits.restarts:
            if time.monotonic() > self._deadline:
                return None, why if self.report.kernels else "its time is up"
            self.report.kernels += 1
            await stack.aclose()
            kernel = await stack.enter_async_context(
                student_kernel(self._walls, self._limits, self._files, self._deadline)
            )
            for position, cell, source in self._theirs:
                if position in self.report.left_out:
                    continue
                try:
                    cell.outputs, _ = await kernel.run(source)
                except KernelGone as gone:
                    why = str(gone)
                    self.report.left_out[position] = why
                    cell.outputs = [error_output("KernelDied", f"This cell was left out: {why}.")]
                    break
            else:
                return kernel, ""
            self.report.cpu_seconds += kernel.cpu
        return None, why

    async def _check(self, kernel: StudentKernel, cell: NotebookNode, original: NotebookNode) -> bool:
        """Run one check and write its verdict into the cell.

        Returns:
            Whether the kernel was lost.
        """
        gone = False
        try:
            verdict = await self._verdict(kernel, original.source)
        except TooSlow as slow:
            verdict = Verdict(
                False, name="CellTimeoutError", hint=f"Your code was stopped during this check: {slow}."
            )
        except KernelGone as lost:
            gone = True
            verdict = Verdict(
                False, name="KernelDied", hint=f"Your code stopped the kernel during this check: {lost}."
            )
        if verdict.score is not None and verdict.score > float(original.metadata.nbgrader.points):
            verdict = Verdict(
                False, name="ValueError", hint="This check is broken: it gives more points than it has."
            )
        if verdict.name == "NameError" and self.report.left_out:
            reasons = "; ".join(
                f"cell {at + 1} was left out: {why}" for at, why in self.report.left_out.items()
            )
            verdict = Verdict(
                False, name=verdict.name, hint=f"{verdict.hint} ({reasons})", detail=verdict.detail
            )
        self._close(cell, verdict)
        return gone

    async def _verdict(self, kernel: StudentKernel, source: str) -> Verdict:
        """Let a trusted process run a check and pass its questions on to the kernel.

        Raises:
            TooSlow, KernelGone: from the kernel.
        """
        reader, writer = await asyncio.open_connection(sock=SERVER.open_check(), limit=LINE_BYTES)
        try:
            job = {
                "setup": self._setup,
                "source": source,
                "seconds": int(self._limits.cell_wall) + 60,
                "address_space": self._limits.address_space,
            }
            budget: Budget = kernel.budget()
            writer.write(json.dumps(job).encode() + b"\n")
            while line := await reader.readline():
                said = json.loads(line)
                if "ask" not in said:
                    return Verdict(**said)
                answer = await kernel.ask(said["ask"], budget)
                writer.write(json.dumps({"answer": answer}).encode() + b"\n")
            return Verdict(
                False,
                name="CheckDied",
                hint="The check could not make sense of what your code gives: it took too long.",
            )
        finally:
            writer.close()

    def _close(self, cell: NotebookNode, verdict: Verdict) -> None:
        """Write a verdict as the outputs that nbgrader reads a score from."""
        grade_id = _grade_id(cell)
        self.report.checks[grade_id] = "passed" if verdict.passed else clean(verdict.hint)
        if verdict.detail:
            self.report.details[grade_id] = clean(verdict.detail)
        cell.outputs = [
            new_output("stream", name="stdout", text=clean(text).rstrip("\n") + "\n")
            for text in verdict.shown
        ]
        if not verdict.passed:
            cell.outputs = [error_output(verdict.name, verdict.hint)]
        elif verdict.score is not None:
            data = {"text/plain": repr(verdict.score)}
            cell.outputs.append(new_output("execute_result", data=data, execution_count=None))


def _grade_id(cell: NotebookNode) -> str:
    """A cell's grade_id, "" if it has none."""
    words = cell.metadata.get("nbgrader")
    grade_id = words.get("grade_id") if isinstance(words, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


class TrustedExecute(NbGraderPreprocessor):
    """nbgrader's `Execute`, replaced: same place in the list of steps, same outputs, another way to get them."""

    meanwhile: Callable = Any(
        nullcontext, help="a context to run in: lets a caller hand on what this step does not need"
    ).tag(config=True)
    limits = Instance(Limits, (), help="how much a submission may use").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Execute a submission and note how beside it, in execution.json.

        Args:
            nb: the sanitised submission.
            resources: nbgrader's, for the names of assignment and notebook.

        Returns:
            The executed notebook, and the resources as they were.

        Raises:
            FileNotFoundError: if the instructor's notebook is missing.
        """
        names = resources["nbgrader"]
        course = self.parent.coursedir if hasattr(self.parent, "coursedir") else self.parent.parent.coursedir
        key = Path(
            course.format_path(course.source_directory, ".", names["assignment"]),
            f"{names['notebook']}.ipynb",
        )
        if not key.is_file():
            raise FileNotFoundError(
                f"{key}: checks are taken from the instructor's notebook; build the lesson first"
            )
        release = Path(course.format_path(course.release_directory, ".", names["assignment"]))
        files = [p for p in sorted(release.glob("*")) if p.is_file() and p.suffix not in (".ipynb", ".py")]
        with self.meanwhile():
            executed, report = execute(nb, nbformat.read(key, as_version=4), self.limits, files=files)
        self.log.info("%s: %s", names["notebook"], report.confinement)
        folder = Path(resources["metadata"]["path"])
        (folder / "execution.json").write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
        return executed, resources
