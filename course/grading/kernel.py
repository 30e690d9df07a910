"""Talk with a student's kernel: run a cell, ask a question, stop what takes too long.

Nothing that comes from the kernel is trusted: messages may be forged, malformed, huge or missing. Each wait ends by
itself, because a limit of CPU time or of the wall clock ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nbformat import NotebookNode

from course.grading.bridge import wire
from course.grading.bridge.studentside import REPLY_BYTES
from course.grading.outputs import Outputs, error_output
from course.grading.process import KernelProcess, Started
from course.grading.sandboxes.choose import hidden_from_lessons, kernel_folder
from course.grading.sandboxes.places import put_fonts
from course.grading.template import TEMPLATES, Template, greeting
from course.grading.watch import Process, excess, family
from course.model import Confinement, Limits

T = TypeVar("T")
PULSE = 0.1  # seconds between two looks at the limits
BRIEF = 0.003  # seconds, message and reply included, of a cell that left no time to overdo anything: 500 files take about 4 ms
STARVED = 10  # times as long as a piece of work may take it may wait for a processor
FROZEN = 20.0  # seconds between two looks: the grader itself was stopped, and has no say on time
SMALL, HEARD = (
    1_000,
    64_000_000,
)  # bytes that a message of what a cell shows counts besides its own, and that are read of all of them
HUNG_UP = 1.0  # second in which a kernel that does not listen any more may turn out to be dead
SOON = 0.005  # seconds between two looks at a kernel that was killed


class KernelGone(Exception):
    """The kernel is dead or had to be killed; the message says why."""


class TooSlow(Exception):
    """What was asked took too long and was interrupted; the kernel is still there."""


class MachineFault(Exception):
    """Something failed on this machine: never the student's fault, and never a score."""


@dataclass
class Budget:
    """CPU and wall seconds for a piece of work, counted from its start; in those that the kernel starves, the clock stands still."""

    cpu: float
    wall: float
    cpu_start: float
    starved_start: float = 0.0
    wall_start: float = field(default_factory=time.monotonic)

    def spent(self, cpu_now: float, starved_now: float) -> str:
        """Say which limit is reached, "" if none.

        Raises:
            MachineFault: if the kernel has starved for far too long.
        """
        starved = starved_now - self.starved_start
        if starved > STARVED * self.wall:
            raise MachineFault(
                f"this machine is too busy: the kernel waited {starved:.0f} seconds for a processor; run fewer at once (--jobs)"
            )
        if cpu_now - self.cpu_start > self.cpu:
            return f"it took more than {self.cpu:g} seconds of computing"
        if time.monotonic() - self.wall_start - starved > self.wall:
            return f"it took more than {self.wall:g} seconds"
        return ""


class StudentKernel:
    """A kernel behind walls, from `student_kernel`."""

    def __init__(
        self,
        process: KernelProcess,
        connection: socket.socket,
        base: Path,
        limits: Limits,
        seconds: float,
    ):
        self.cpu = 0.0
        self.lost_to_memory = False  # it was killed, not by us: by itself, or for want of memory
        self.deadline = math.inf  # `time.monotonic()` at which it is killed in any case, once it has started
        self._seconds = seconds
        self._process, self._connection = process, connection
        self._base, self._limits = base, limits
        self._looked = time.monotonic()
        self._starved = 0.0  # seconds in which it wanted a processor and had none
        self._seen: dict[tuple[int, int], Process] = {}  # its processes at the last look
        self._computed: dict[tuple[int, int], float] = {}  # CPU seconds of all that were ever seen
        self._waits = False
        self._gone = ""
        self._orphaned = False
        self._watching: asyncio.Task[None] | None = None
        self._runner = 0  # number of the process that runs the cells
        self._logged = 0  # bytes of its log that have been shown

    @property
    def gone(self) -> bool:
        """Whether it is dead, as far as has been noticed."""
        return bool(self._gone)

    @property
    def seconds_left(self) -> float:
        """What is left of its time, once it has started."""
        return self.deadline - time.monotonic()

    @contextlib.contextmanager
    def waiting(self, budget: Budget) -> Iterator[None]:
        """Stop the clocks while the kernel waits for us: that is no time of the student's."""
        began, self._waits = time.monotonic(), True
        try:
            yield
        finally:
            self._waits = False
            took = time.monotonic() - began
            self.deadline += took
            budget.wall_start += took

    def budget(self) -> Budget:
        """Open the budget of a cell, or of all that one check asks."""
        return Budget(self._limits.cell_cpu, self._limits.cell_wall, self.cpu, self._starved)

    async def run(self, source: str) -> tuple[list[NotebookNode], str]:
        """Execute one of the student's cells.

        Args:
            source: its code.

        Returns:
            Its outputs, and why it was stopped ("" if it ended by itself).

        Raises:
            KernelGone: if it took the kernel with it.
        """
        outputs, budget, heard = Outputs(self._limits), self.budget(), 0

        def show(said: str) -> None:
            nonlocal heard
            heard += len(said) + SMALL
            with contextlib.suppress(Exception):  # it may say anything
                words = json.loads(said if len(said) <= wire.SHOWN_BYTES and heard <= HEARD else "")
                if words["kind"] == "log":
                    self._show_log(outputs, int(words["content"]["size"]))
                else:
                    outputs.take(words["kind"], words["content"])

        try:
            if await self._asked(json.dumps({"run": source}), budget, show) == wire.EXITS:
                await self._kill("it ended the kernel")
                raise KernelGone(self._gone)
            if time.monotonic() - budget.wall_start > BRIEF:  # what it overdid at its end is no later cell's
                await self._look()
                if self._gone:
                    raise self._lost()
            stopped = ""
        except TooSlow as slow:
            stopped = str(slow)
        self._show_log(outputs)
        if stopped:
            outputs.cells.append(error_output("CellTimeoutError", f"This cell was stopped: {stopped}."))
        return outputs.cells, stopped

    async def ask(self, message: str, budget: Budget) -> str:
        """Hand a message to `studentside` and give back its answer.

        Args:
            message: ASCII text.
            budget: what the answer may cost, shared by all questions of a check.

        Returns:
            Text from the student's process: judge it with care.

        Raises:
            TooSlow: if the budget is spent.
            KernelGone: if the kernel died of it.
        """
        return await self._asked(message, budget, lambda _: None)

    async def _asked(self, message: str, budget: Budget, show: Callable[[str], None]) -> str:
        """Send a request, pass on what is shown meanwhile, and give the answer; errors are those of `ask`."""
        answer = asyncio.create_task(self._answer(message, show))
        try:
            said = await self._in_time(answer, budget)
        finally:
            answer.cancel()
        if said is None:
            raise self._lost()
        return said

    async def _answer(self, message: str, show: Callable[[str], None]) -> str | None:
        """Send a request and wait for its answer; kill a kernel that does not keep to that order, and give None."""
        try:
            self._writer.write(wire.framed(message))
            while (size := int.from_bytes(await self._reader.readexactly(wire.LENGTH), "big")) <= REPLY_BYTES:
                said = (await self._reader.readexactly(size)).decode("ascii", "replace")
                if not said.startswith("{"):
                    return said
                show(said)
            await self._kill(f"it sent an answer of more than {REPLY_BYTES:,} bytes")
        except (ConnectionError, EOFError):
            await asyncio.sleep(HUNG_UP)  # if it is dead, that is seen meanwhile
            # It may have been: a machine that has no memory left tells late how a process ended.
            self.lost_to_memory = True
            await self._kill("it stopped listening to what is asked of it")
        return None

    def _show_log(self, outputs: Outputs, size: int = 1 << 62) -> None:
        """Show what programs and libraries have written, past Python, since the last look, up to this size of the log."""
        with (self._base / "log").open("rb") as log:
            since = log.seek(self._logged)
            self._logged = max(since, min(size, os.fstat(log.fileno()).st_size))
            if text := log.read(min(self._logged - since, self._limits.output + 1)):
                outputs.take("stream", {"name": "stdout", "text": text.decode("utf-8", "replace")})

    async def _in_time(self, future: asyncio.Future[T], budget: Budget) -> T:
        """Wait for a result as long as budget and limits allow; then interrupt the kernel, and where that does not help, kill it."""
        reason = await self._until(future, budget)
        if not reason:
            return future.result()
        if self._runner in {process.pid for process in family(self._process.pid)}:  # not another's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._runner, signal.SIGINT)
        if await self._until(future, Budget(1e9, self._limits.interrupted, self.cpu, self._starved)):
            await self._kill(f"{reason} and could not be interrupted")
            raise KernelGone(self._gone)
        raise TooSlow(reason)

    async def _until(self, future: asyncio.Future[T], budget: Budget) -> str:
        """Wait for a result; give "" once it is there, else why not to wait longer.

        Raises:
            KernelGone: if there will be none.
            MachineFault: if that is this machine's fault.
        """
        while not future.done():
            looked = time.monotonic()
            await asyncio.wait({future}, timeout=PULSE)
            self._still(looked)
            if self._gone and not future.done():
                raise self._lost()
            if not future.done() and (reason := budget.spent(self.cpu, self._starved)):
                return reason
        return ""

    def _lost(self) -> Exception:
        """What to raise of a kernel that is gone."""
        return MachineFault(self._gone) if self._orphaned else KernelGone(self._gone)

    async def start(self) -> None:
        """Start the kernel and wait until it answers; its time begins then.

        Raises:
            MachineFault: if it does not.
        """
        end = time.monotonic() + self._limits.startup
        ready, why = asyncio.create_task(self._hello()), ""
        while not (why or ready.done()):
            looked = time.monotonic()
            await asyncio.wait({ready}, timeout=PULSE)
            self._still(looked)
            why = self._gone or ("no answer" if time.monotonic() > end else "")
        try:
            self._runner = ready.result()
        except (OSError, asyncio.InvalidStateError) as error:
            said = (self._base / "log").read_text(errors="replace").strip()[-2000:]
            raise MachineFault(f"the kernel did not start ({why or error}): {said}") from error
        finally:
            ready.cancel()
        self._reader, self._writer = await asyncio.open_connection(sock=self._connection)
        self._show_log(Outputs(self._limits))  # what came before is nobody's
        await self._look()  # what it has computed until here is no cell's
        self.deadline = time.monotonic() + self._seconds
        self._watching = asyncio.create_task(self._watch())

    async def _hello(self) -> int:
        """Wait until the kernel says that it is there, before anything of the student's; give the number of the process that said so.

        Raises:
            OSError: if it hangs up.
        """
        said, pid = await greeting(self._connection)
        if not said:
            raise OSError("it ended")
        return pid

    async def stop(self) -> None:
        """Kill the kernel and everything it started."""
        if self._watching:
            self._watching.cancel()
            self._writer.close()
        await self._kill("")

    async def _kill(self, reason: str) -> None:
        self._gone = self._gone or reason
        self._process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while self._process.poll() is None:
                    await asyncio.sleep(SOON)

    async def _watch(self) -> None:
        """Look after the limits that no single cell has."""
        while not self._gone:
            looked = time.monotonic()
            if looked >= self._looked + PULSE:  # nobody did meanwhile, at the end of a cell
                await self._look()
            await asyncio.sleep(self._looked + PULSE - looked)
            self._still(looked)

    def _still(self, since: float) -> None:
        """Give the kernel up if this process was stopped since it looked last: nobody knows what the kernel did meanwhile."""
        still = time.monotonic() - since
        if still > FROZEN and not self._gone:
            self._orphaned, self._gone = True, f"the grader stood still for {still:.0f} seconds"

    async def _look(self) -> None:
        """Look at memory, processes, disk and the notebook's time once; who cannot be looked after is not graded."""
        try:
            processes = family(self._process.pid)
            self._account(processes)
            reason = excess(processes, self._writable(processes), self._limits)
            ended = self._process.poll()
            if self._gone:  # meanwhile
                return
            if ended is not None:
                self.lost_to_memory = ended in (-signal.SIGKILL, 128 + signal.SIGKILL)
                self._orphaned = self._process.orphaned
                self._gone = (
                    "the warm template died, and its kernels with it"
                    if self._orphaned
                    else "it ended the kernel"
                )
            elif reason:
                await self._kill(reason)
            elif time.monotonic() > self.deadline and not self._waits:
                await self._kill(late(self._limits))
        except Exception as error:
            self._orphaned, self._gone = True, f"the kernel could not be looked after: {error!r}"

    def _account(self, processes: Sequence[Process]) -> None:
        """Add up what its processes computed, and how long one of them wanted a processor and had none.

        No parent tells what an ended child computed that it does not wait for: what was seen of it counts. And only who wanted a
        processor at two looks running has waited in between, but for the time that it computed.
        """
        seen = {(p.pid, p.began): p for p in processes}
        self._computed |= {key: p.own for key, p in seen.items()}
        self.cpu = max(self.cpu, sum(p.cpu for p in processes), sum(self._computed.values()))
        looked, self._looked = self._looked, time.monotonic()
        before, self._seen = self._seen, seen
        still = [(p, before[key]) for key, p in seen.items() if p.wants and key in before]
        waited = [self._looked - looked - (p.own - was.own) for p, was in still if was.wants]
        starved = max([0.0, *waited])
        self._starved += starved
        self.deadline += starved

    def _writable(self, processes: Sequence[Process]) -> list[str]:
        """The folders that it may write in, each once: in a mount namespace the work folder is another than ours."""
        work = str(self._base / "work")
        inner = [f"/proc/{process.pid}/root{work}" for process in processes[-1:]]
        with contextlib.suppress(OSError):  # it has just ended, or hides; our own folder counts in any case
            inner = [folder for folder in inner if not os.path.samefile(folder, work)]
        return [work, *inner]


def late(limits: Limits) -> str:
    """Say that a notebook's time is up."""
    return f"the notebook took more than {limits.notebook_wall:g} seconds in all"


@asynccontextmanager
async def student_kernel(
    walls: Confinement, limits: Limits, files: Sequence[tuple[str, bytes]], seconds: float
) -> AsyncIterator[StudentKernel]:
    """Start a kernel behind walls; kill it at the end.

    Args:
        walls: which, and whether it is forked from a warm template.
        limits: how much it may use.
        files: names and contents of the data files that lie in its work folder.
        seconds: after its start, when it is killed in any case; what it waits for us or for a processor comes on top.

    Yields:
        The kernel, ready for the first cell.

    Raises:
        MachineFault: if it does not start, cold neither.
    """
    async with AsyncExitStack() as stack:
        for template in TEMPLATES.tries(walls):
            if template is None and (trouble := hidden_from_lessons(walls)):
                raise MachineFault(f"behind {walls}, what lessons import cannot be imported: {trouble}")
            try:
                kernel = await stack.enter_async_context(_started(template, walls, limits, files, seconds))
            except MachineFault as fault:
                if template is None:
                    raise
                TEMPLATES.failed(template, fault)
            else:
                if template:
                    TEMPLATES.served(template)
                break
        yield kernel


@asynccontextmanager
async def _started(
    template: Template | None,
    walls: Confinement,
    limits: Limits,
    files: Sequence[tuple[str, bytes]],
    seconds: float,
) -> AsyncIterator[StudentKernel]:
    """A kernel in a folder of its own: forked, or started cold if there is no template."""
    with kernel_folder(template.folder if template else None) as base:
        for name, content in files:
            (base / "files" / name).write_bytes(content)
        put_fonts(base / "files")
        shutil.copytree(base / "files", base / "work", dirs_exist_ok=True)
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            try:
                with theirs, (base / "log").open("ab") as log:
                    process: KernelProcess = (
                        await template.fork(base, limits, log, theirs)
                        if template
                        else Started(walls, base, limits, log, theirs)
                    )
            except OSError as error:  # no process, no memory, no disk
                raise MachineFault(f"the kernel did not start: {error}") from error
            kernel = StudentKernel(process, ours, base, limits, seconds)
            try:
                await kernel.start()
                yield kernel
            finally:
                await kernel.stop()
