"""Run a submission: the student's cells in their kernel, the checks in ours, the verdict by us alone.

`execute` is a pure function from two notebooks to an executed one. `TrustedExecute` is that function as nbgrader's
preprocessor, so that `nbgrader autograde`, the Formgrader's button and `course grade` all take the same way.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_locked, is_solution
from traitlets import Any, Instance, default

from course.grading.bridge import wire
from course.grading.checker.trusted import LINE_BYTES, TrustedServer, Verdict
from course.grading.kernel import Budget, GradingError, KernelGone, StudentKernel, TooSlow, student_kernel
from course.grading.limits import Limits, limits_in_force
from course.grading.outputs import clean, error_output
from course.grading.sandboxes.choose import Confinement, confinement

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
    run = _Run(notebook, key, limits or limits_in_force(), walls or confinement(), files)
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        thread.submit(asyncio.run, run.everything()).result()
    return run.notebook, run.report


def is_check(cell: NotebookNode) -> bool:
    """Tell whether a cell is graded by running it."""
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def is_setup(cell: NotebookNode) -> bool:
    """Tell whether a cell is locked code whose names both the student and the checks use."""
    return cell.cell_type == "code" and is_locked(cell) and not is_grade(cell) and "setup" in _tags(cell)


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
        self._steps: list[tuple[int, NotebookNode, str]] = []
        for position, cell in enumerate(self.notebook.cells):
            original = known.get(_grade_id(cell), cell)
            if original.cell_type != "code":
                continue
            cell.cell_type, cell.outputs, cell.execution_count = "code", [], None  # also what became prose
            if original is not cell and is_check(original):
                self._checks.append((cell, original))
                self._steps.append((position, cell, ""))
                continue
            ours = original if original is not cell and is_locked(original) else cell
            if str(ours.source).strip() and "skip-execution" not in _tags(ours):
                self._steps.append((position, cell, str(ours.source)))

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
            try:
                kernel = await self._fresh(stack)
            except KernelGone as gone:
                return None, str(gone)
            for position, cell, source in self._steps:
                if position in self.report.left_out:
                    continue
                try:
                    if source:
                        cell.outputs, _ = await kernel.run(source)
                    else:
                        await self._snapshot(kernel, cell)
                except KernelGone as gone:
                    why = str(gone)
                    self.report.left_out[position] = why
                    cell.outputs = [error_output("KernelDied", f"This cell was left out: {why}.")]
                    break
            else:
                return kernel, ""
            self.report.cpu_seconds += kernel.cpu
        return None, why

    async def _fresh(self, stack: AsyncExitStack) -> StudentKernel:
        """Start a kernel in the place of the last one; a machine that fails once gets a second chance.

        Raises:
            GradingError: if it does not start.
            KernelGone: if the notebook's time is up.
        """
        await stack.aclose()
        again = True
        while True:
            try:
                return await stack.enter_async_context(
                    student_kernel(self._walls, self._limits, self._files, self._deadline)
                )
            except GradingError:
                if not again:
                    raise
                again = False

    async def _snapshot(self, kernel: StudentKernel, check: NotebookNode) -> None:
        """Let the student's process keep what its names mean where a check stands: checks run after all other cells.

        Raises:
            KernelGone: if the kernel died meanwhile.
        """
        request = wire.dumps({"do": "snapshot", "check": _grade_id(check)}, list, LINE_BYTES)
        with suppress(TooSlow):
            await kernel.ask(request, kernel.budget())

    async def _check(self, kernel: StudentKernel, cell: NotebookNode, original: NotebookNode) -> bool:
        """Run one check and write its verdict into the cell.

        Returns:
            Whether the kernel was lost.
        """
        gone = False
        try:
            verdict = await self._verdict(kernel, _grade_id(original), original.source)
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

    async def _verdict(self, kernel: StudentKernel, name: str, source: str) -> Verdict:
        """Let a trusted process run a check and pass its questions on to the kernel.

        Raises:
            TooSlow, KernelGone: from the kernel.
        """
        reader, writer = await asyncio.open_connection(sock=SERVER.open_check(), limit=LINE_BYTES)
        try:
            job = {
                "name": name,
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


def _tags(cell: NotebookNode) -> list:
    """A cell's tags, whatever a submission put there."""
    tags = cell.metadata.get("tags")
    return tags if isinstance(tags, list) else []


def _grade_id(cell: NotebookNode) -> str:
    """A cell's grade_id, "" if it has none."""
    words = cell.metadata.get("nbgrader")
    grade_id = words.get("grade_id") if isinstance(words, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


class TrustedExecute(NbGraderPreprocessor):
    """nbgrader's `Execute`, replaced: same place in the list of steps, same outputs, another way to get them."""

    ahead = Any(help="(executed notebook, report) of this very submission, where `execute` ran before").tag(
        config=True
    )
    limits = Instance(Limits, help="how much a submission may use").tag(config=True)

    @default("limits")
    def _default_limits(self) -> Limits:
        return limits_in_force()

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Execute a submission and note how beside it, in execution.json.

        Args:
            nb: the sanitised submission.
            resources: nbgrader's, for the names of assignment and notebook.

        Returns:
            The executed notebook, and the resources as they were.

        Raises:
            FileNotFoundError: if it is executed here and the instructor's notebook is missing.
        """
        names = resources["nbgrader"]
        course = self.parent.coursedir if hasattr(self.parent, "coursedir") else self.parent.parent.coursedir
        if self.ahead:
            executed, report = self.ahead
        else:
            key, files = key_and_files(
                Path(course.format_path(course.source_directory, ".", names["assignment"])),
                Path(course.format_path(course.release_directory, ".", names["assignment"])),
            )
            executed, report = execute(nb, key, self.limits, files=files)
        for cell, done in zip(nb.cells, executed.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = done.get("outputs", []), done.get("execution_count")
            if is_check(cell) and _grade_id(cell) not in report.checks:  # no verdict, no points
                cell.outputs = [error_output("NotChecked", "This check did not run.")]
        self.log.info("%s: %s", names["notebook"], report.confinement)
        folder = Path(resources["metadata"]["path"])
        (folder / "execution.json").write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
        return nb, resources


def key_and_files(solution: Path, release: Path) -> tuple[NotebookNode, list[Path]]:
    """Find what a lesson's submissions are executed with.

    Args:
        solution: the folder of the instructor's notebook.
        release: the folder that students were given.

    Returns:
        The instructor's notebook, and the data files that lie beside the student edition.

    Raises:
        FileNotFoundError: if the instructor's notebook is missing.
    """
    path = solution / f"{solution.name}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: checks are taken from the instructor's notebook; build the lesson first"
        )
    files = [p for p in sorted(release.glob("*")) if p.is_file() and p.suffix not in (".ipynb", ".py")]
    return nbformat.read(path, as_version=4), files
