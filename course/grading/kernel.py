"""Talk with a student's kernel: run a cell, ask a question, stop what takes too long.

Nothing that comes from the kernel is trusted: messages may be forged, malformed, huge or missing. Each wait ends by
itself, because a limit of CPU time or of the wall clock ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode

from course.grading.bridge import wire
from course.grading.bridge.studentside import REPLY_BYTES
from course.grading.outputs import Outputs, error_output
from course.grading.provisioner import SandboxProvisioner
from course.grading.sandboxes.choose import hidden_from_lessons, kernel_folder
from course.grading.sandboxes.places import put_fonts
from course.grading.template import TEMPLATES, Template
from course.grading.watch import Process, excess, family
from course.model import Confinement, Limits

T = TypeVar("T")
PULSE = 0.1  # seconds between two looks at the limits
KNOCK = (
    0.03  # seconds between two questions whether the kernel is there: the answer to an early one may be lost
)
OVERLOOKED = 1.0  # second without any computing after which a kernel that owes an answer is knocked at
BRIEF = 0.003  # seconds, message and reply included, of a cell that left no time to overdo anything: 500 files take about 4 ms
STARVED = 10  # times as long as a piece of work may take it may wait for a processor
FROZEN = 20.0  # seconds between two looks: the grader itself was stopped, and has no say on time
SETTLE = 10.0  # seconds that a finished cell's last outputs may take to arrive
HUNG_UP = 1.0  # second in which a kernel that does not listen any more may turn out to be dead
ATTEND = "__import__('sys').modules['bridge.studentside'].attend()"


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
        manager: AsyncKernelManager,
        questions: socket.socket,
        base: Path,
        limits: Limits,
        deadline: float,
    ):
        self.cpu = 0.0
        self.lost_to_memory = False  # it was killed, not by us: by itself, or for want of memory
        self.deadline = deadline  # `time.monotonic()` at which it is killed in any case
        self._manager, self._base, self._limits = manager, base, limits
        self._looked = time.monotonic()
        self._starved = 0.0  # seconds in which it wanted a processor and had none
        self._seen: dict[tuple[int, int], Process] = {}  # its processes at the last look
        self._computed: dict[tuple[int, int], float] = {}  # CPU seconds of all that were ever seen
        self._waits = False
        self._questions = questions
        self._attending: asyncio.Future[dict[str, Any]] | None = None  # while it waits for questions
        self._gone = ""
        self._orphaned = False
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._cell: tuple[str, Outputs, asyncio.Event] | None = None

    @property
    def gone(self) -> bool:
        """Whether it is dead, as far as has been noticed."""
        return bool(self._gone)

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
        outputs, idle, budget = Outputs(self._limits), asyncio.Event(), self.budget()
        if attending := self._attending:
            self._attending = None
            self._answers[1].write(wire.framed(""))
            # ipykernel may overlook a request that comes before its last reply.
            with contextlib.suppress(TooSlow):
                await self._in_time(attending, budget)
        request = self._request(code=source, silent=False, store_history=True)
        self._cell = (request["header"]["msg_id"], outputs, idle)
        try:
            reply = await self._in_time(self._sent(request), budget)
            if _asks_to_exit(reply):
                await self._kill("it ended the kernel")
                raise KernelGone(self._gone)
            if time.monotonic() - budget.wall_start > BRIEF:  # what it overdid at its end is no later cell's
                await self._look()
                if self._gone:
                    raise self._lost()
            stopped = ""
        except TooSlow as slow:
            stopped = str(slow)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE if not stopped else PULSE):
                await idle.wait()
        self._cell = None
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
        if not self._attending:
            request = self._request(code="", silent=True, user_expressions={"attend": ATTEND})
            self._attending = self._sent(request)
            self._attending.add_done_callback(self._attended)
        answer = asyncio.create_task(self._answer(message))
        try:
            said = await self._in_time(answer, budget)
        finally:
            answer.cancel()
        if said is None:
            raise self._lost()
        return said

    def _attended(self, attending: asyncio.Future[dict[str, Any]]) -> None:
        """Wait for no answer of a kernel that stops attending by itself."""
        if self._attending is attending:
            self._answers[1].close()

    async def _answer(self, message: str) -> str | None:
        """Send a question and wait for its answer; kill a kernel that does not keep to that order, and give None."""
        reader, writer = self._answers
        try:
            writer.write(wire.framed(message))
            size = int.from_bytes(await reader.readexactly(wire.LENGTH), "big")
            if size <= REPLY_BYTES:
                return (await reader.readexactly(size)).decode("ascii", "replace")
            await self._kill(f"it sent an answer of more than {REPLY_BYTES:,} bytes")
        except (ConnectionError, EOFError):
            await asyncio.sleep(HUNG_UP)  # if it is dead, that is seen meanwhile
            # It may have been: a machine that has no memory left tells late how a process ended.
            self.lost_to_memory = True
            await self._kill("it stopped listening to what is asked of it")
        return None

    def _request(self, **content: Any) -> dict[str, Any]:
        """A request of Jupyter's to execute something."""
        words = {"store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
        made: dict[str, Any] = self._client.session.msg("execute_request", words | content)
        return made

    def _sent(self, request: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Send a request; give what will be the content of its reply."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        key = request["header"]["msg_id"]
        self._replies[key] = future
        future.add_done_callback(lambda _: self._replies.pop(key))
        self._send("shell", request)
        return future

    def _send(self, channel: str, message: dict[str, Any]) -> None:
        """Send a message through the channel's own socket.

        `channel.send` of jupyter_client sends behind its back; the socket is then not told of what has arrived meanwhile, and waits
        for it, and for all that follows, for ever.
        """
        socket: zmq.asyncio.Socket = getattr(self._client, f"{channel}_channel").socket
        socket.send_multipart(self._client.session.serialize(message))

    async def _in_time(self, future: asyncio.Future[T], budget: Budget) -> T:
        """Wait for a result as long as budget and limits allow; then interrupt the kernel, and where that does not help, kill it."""
        reason = await self._until(future, budget)
        if not reason:
            return future.result()
        self._send("control", self._client.session.msg("interrupt_request", {}))
        if await self._until(future, Budget(1e9, self._limits.interrupted, self.cpu, self._starved)):
            await self._kill(f"{reason} and could not be interrupted")
            raise KernelGone(self._gone)
        raise TooSlow(reason)

    async def _until(self, future: asyncio.Future[Any], budget: Budget) -> str:
        """Wait for a result; give "" once it is there, else why not to wait longer.

        ipykernel 7 before 7.4 may overlook a request until the next message comes (its issue 1554), and the student's time would run out.

        Raises:
            KernelGone: if there will be none.
            MachineFault: if that is this machine's fault.
        """
        cpu, moved = self.cpu, time.monotonic()
        while not future.done():
            looked = time.monotonic()
            await asyncio.wait({future}, timeout=PULSE)
            self._still(looked)
            if self.cpu > cpu:
                cpu, moved = self.cpu, looked
            elif looked - moved > OVERLOOKED:
                self._knock()
                moved = looked
            if self._gone and not future.done():
                raise self._lost()
            if not future.done() and (reason := budget.spent(self.cpu, self._starved)):
                return reason
        return ""

    def _lost(self) -> Exception:
        """What to raise of a kernel that is gone."""
        return MachineFault(self._gone) if self._orphaned else KernelGone(self._gone)

    async def start(self) -> None:
        """Start the kernel and wait until it answers.

        Raises:
            MachineFault: if it does not.
            KernelGone: if the notebook's time is up.
        """
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.MAXMSGSIZE, self._limits.message)
        context.setsockopt(zmq.RCVHWM, 4)  # messages that may wait, each as large as that
        context.setsockopt(zmq.SNDHWM, 0)  # any number may wait: `Session.send` would block all of this loop
        context.setsockopt(zmq.RECONNECT_IVL, 20)
        context.setsockopt(zmq.LINGER, 0)
        self._context = context
        log = self._base / "log"
        try:
            with log.open("wb") as stream:
                await self._manager.start_kernel(stdout=stream, stderr=stream)
        except OSError as error:  # no process, no memory, no disk
            raise MachineFault(f"the kernel did not start: {error}") from error
        self._answers = await asyncio.open_connection(sock=self._questions)
        self._client = self._manager.client(context=context)
        self._client.start_channels(stdin=False, hb=False)
        self._tasks = [
            asyncio.create_task(self._pump(self._client.shell_channel.get_msg, self._on_shell)),
            asyncio.create_task(self._pump(self._client.iopub_channel.get_msg, self._on_iopub)),
            asyncio.create_task(self._watch()),
        ]
        self._heard = asyncio.Event()
        end = time.monotonic() + self._limits.startup
        while not self._heard.is_set():
            looked = time.monotonic()
            self._knock()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KNOCK):
                    await self._heard.wait()
            self._still(looked)
            if time.monotonic() > self.deadline and not self._orphaned:
                raise KernelGone(late(self._limits))
            if self._gone or time.monotonic() > end:
                said = log.read_text(errors="replace").strip()[-2000:]
                raise MachineFault(f"the kernel did not start ({self._gone or 'no answer'}): {said}")
        (self._base / "sockets").chmod(
            0o500
        )  # the sockets are there: nothing else is to be written on our disk

    def _knock(self) -> None:
        """Send a message whose answer nobody needs."""
        self._send("shell", self._client.session.msg("kernel_info_request", {}))

    async def stop(self) -> None:
        """Kill the kernel and everything it started."""
        for task in getattr(self, "_tasks", []):
            task.cancel()
        if hasattr(self, "_client"):
            self._client.stop_channels()
            self._answers[1].close()
        await self._kill("")
        with contextlib.suppress(Exception):
            await self._manager._async_cleanup_resources()
        self._context.destroy(linger=0)

    async def _kill(self, reason: str) -> None:
        self._gone = self._gone or reason
        provisioner = self._manager.provisioner
        if provisioner and provisioner.has_process:
            await provisioner.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await provisioner.wait()

    async def _pump(self, receive: Callable[..., Any], handle: Callable[[dict[str, Any]], None]) -> None:
        """Pass messages on; forged and malformed ones are dropped."""
        while True:
            try:
                handle(await receive(timeout=None))
            except Exception:
                await asyncio.sleep(0.001)

    def _on_shell(self, message: dict[str, Any]) -> None:
        future = self._replies.get(message["parent_header"]["msg_id"])
        if future and not future.done() and isinstance(message["content"], dict):
            future.set_result(message["content"])

    def _on_iopub(self, message: dict[str, Any]) -> None:
        self._heard.set()
        if not self._cell:
            return
        key, outputs, idle = self._cell
        if message["parent_header"]["msg_id"] != key:
            return
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            idle.set()
        else:
            outputs.take(kind, content)

    async def _watch(self) -> None:
        """Look after the limits that no single cell has."""
        while not self._gone:
            await self._look()
            looked = time.monotonic()
            await asyncio.sleep(PULSE)
            self._still(looked)

    def _still(self, since: float) -> None:
        """Give the kernel up if this process was stopped since it looked last: nobody knows what the kernel did meanwhile."""
        still = time.monotonic() - since
        if still > FROZEN and not self._gone:
            self._orphaned, self._gone = True, f"the grader stood still for {still:.0f} seconds"

    async def _look(self) -> None:
        """Look at memory, processes, disk and the notebook's time once; who cannot be looked after is not graded."""
        provisioner: Any = self._manager.provisioner
        try:
            processes = family(provisioner.pid)
            self._account(processes)
            reason = excess(processes, self._writable(processes), self._limits)
            ended = await provisioner.poll()
            if self._gone:  # meanwhile
                return
            if ended is not None:
                self.lost_to_memory = ended in (-signal.SIGKILL, 128 + signal.SIGKILL)
                self._orphaned = provisioner.orphaned
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
        sockets, work = str(self._base / "sockets"), str(self._base / "work")
        inner = [f"/proc/{process.pid}/root{work}" for process in processes[-1:]]
        with contextlib.suppress(OSError):  # it has just ended, or hides; our own folder counts in any case
            inner = [folder for folder in inner if not os.path.samefile(folder, work)]
        return [sockets, work, *inner]


def late(limits: Limits) -> str:
    """Say that a notebook's time is up."""
    return f"the notebook took more than {limits.notebook_wall:g} seconds in all"


def _asks_to_exit(reply: dict[str, Any]) -> bool:
    """Tell whether a cell called exit() or quit(): the kernel then ends a moment later."""
    payload = reply.get("payload")
    return isinstance(payload, list) and any(
        isinstance(p, dict) and p.get("source") == "ask_exit" and not p.get("keepkernel") for p in payload
    )


@asynccontextmanager
async def student_kernel(
    walls: Confinement, limits: Limits, files: Sequence[tuple[str, bytes]], deadline: float
) -> AsyncIterator[StudentKernel]:
    """Start a kernel behind walls; kill it at the end.

    Args:
        walls: which, and whether it is forked from a warm template.
        limits: how much it may use.
        files: names and contents of the data files that lie in its work folder.
        deadline: `time.monotonic()` at which it is killed in any case.

    Yields:
        The kernel, ready for the first cell.

    Raises:
        MachineFault: if it does not start, cold neither.
        KernelGone: if the notebook's time is up.
    """
    async with AsyncExitStack() as stack:
        for template in TEMPLATES.tries(walls):
            if template is None and (trouble := hidden_from_lessons(walls)):
                raise MachineFault(f"behind {walls}, what lessons import cannot be imported: {trouble}")
            try:
                kernel = await stack.enter_async_context(_started(template, walls, limits, files, deadline))
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
    deadline: float,
) -> AsyncIterator[StudentKernel]:
    """A kernel in a folder of its own: forked, or started cold if there is no template."""
    with kernel_folder(template.folder if template else None) as base:
        for name, content in files:
            (base / "files" / name).write_bytes(content)
        put_fonts(base / "files")
        shutil.copytree(base / "files", base / "work", dirs_exist_ok=True)
        manager = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(
                kernel_dirs=[]
            ),  # Python's own, and no look at those installed
            transport="ipc",
            ip=f"{base}/sockets/k",
            connection_file=f"{base}/connection.json",
        )
        ours, theirs = socket.socketpair()
        manager.provisioner = SandboxProvisioner(
            kernel_id="student",
            kernel_spec=manager.kernel_spec,
            parent=manager,
            base=base,
            walls=walls,
            limits=limits,
            questions=theirs,
            template=template,
        )
        kernel = StudentKernel(manager, ours, base, limits, deadline)
        with ours:
            try:
                with theirs:
                    await kernel.start()
                yield kernel
            finally:
                await kernel.stop()
