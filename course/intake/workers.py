"""A few processes that read what was handed in: each file under a deadline and a memory limit of its own.

A file that breaks or stalls its process costs that process, is said, and the next file gets a new one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from course.intake.worker import FAILED, Words, receive, send
from course.model import CourseError

READ = "course.intake.reading:answer"
SECONDS = 10.0  # of CPU for one file
BUSY = 6  # times as long by the clock, on a machine that has other things to do
MEMORY = 1024 * 1024 * 1024  # bytes of address space of one process

Item = TypeVar("Item")


class Failed(Exception):
    """One file could not be read, and what happened; the process that tried is gone or as new."""


@dataclass
class _Process:
    """One worker."""

    popen: subprocess.Popen[bytes]
    limits: Words

    def ask(self, words: Words, body: bytes, deadline: float) -> tuple[dict[str, Any], bytes, bool]:
        """Have one file read; the last value tells whether the clock ran out."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.popen.kill()

        timer = threading.Timer(deadline, end)
        timer.daemon = True
        timer.start()
        try:
            assert self.popen.stdin and self.popen.stdout
            send(self.popen.stdin, words, body)
            answer, made = receive(self.popen.stdout)
            return answer, made, False
        except (OSError, EOFError, ValueError):
            self.close()
            return {}, b"", late.is_set() or self._ran_out_of_cpu()
        finally:
            timer.cancel()

    def _ran_out_of_cpu(self) -> bool:
        number = getattr(signal, "SIGPROF", None)
        return number is not None and self.popen.returncode == -number

    def close(self) -> None:
        """End it; one that is at work is killed."""
        if self.popen.stdin:
            with contextlib.suppress(OSError):
                self.popen.stdin.close()
        try:
            self.popen.wait(0.5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        if self.popen.stdout:
            self.popen.stdout.close()


@dataclass
class Workers(Generic[Item]):
    """A pool of them, started when they are needed and kept for the next files.

    Args:
        task: "module:function" that takes words and bytes and gives both.
        count: how many at once.
        seconds: of CPU for one file.
        memory: bytes of one process.
    """

    task: str = READ
    count: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))
    seconds: float = SECONDS
    memory: int = MEMORY
    _idle: list[_Process] = field(default_factory=list, repr=False)
    _busy: list[_Process] = field(default_factory=list, repr=False)
    _limits: dict[str, bool] = field(default_factory=dict, repr=False)

    @property
    def remarks(self) -> list[str]:
        """What this system cannot do, if anything was read yet."""
        if self._limits.get("memory", True):
            return []
        return ["this system sets no memory limit for a program: a file made to fill the memory would do so"]

    def map(self, items: Iterable[tuple[Item, Words, bytes]]) -> Iterator[tuple[Item, Words, bytes]]:
        """Read files, several at once.

        Args:
            items: (what it is to the caller, words, bytes), taken a few ahead.

        Yields:
            (the same, words, bytes) in the same order; words are {"failed": why} where it could not be read.
        """
        with ThreadPoolExecutor(self.count) as threads:
            stop = threading.Event()
            ahead: deque[tuple[Item, Future[tuple[Words, bytes]]]] = deque()
            try:
                for item, words, body in items:
                    ahead.append((item, threads.submit(self._guarded, words, body, stop)))
                    if len(ahead) > 2 * self.count:
                        first, future = ahead.popleft()
                        yield (first, *future.result())
                for first, future in ahead:
                    yield (first, *future.result())
            except BaseException:  # Ctrl-C: nobody waits for what is being read
                stop.set()
                for _, future in ahead:
                    future.cancel()
                for process in list(self._busy):
                    process.popen.kill()
                raise

    def _guarded(self, words: Words, body: bytes, stop: threading.Event) -> tuple[Words, bytes]:
        try:
            return self.ask(words, body, stop)
        except Failed as failed:
            return {FAILED: str(failed)}, b""

    def ask(
        self, words: Words, body: bytes = b"", stop: threading.Event | None = None
    ) -> tuple[Words, bytes]:
        """Have one file read; a process that died is given a second chance.

        Args:
            words, body: what the task takes.
            stop: if it is set meanwhile, nobody wants the answer any more.

        Raises:
            Failed: if it broke twice, took too long or too much memory, or the task raised an error.
            CourseError: if no process can be started.
        """
        process = None
        for _ in range(2):
            process = self._take()
            deadline = self.seconds * BUSY if process.limits.get("cpu") else self.seconds
            self._busy.append(process)
            if stop and stop.is_set():  # looked at only now: `map` kills what is busy after it said so
                self._busy.remove(process)
                self._give_back(process, worn=False)
                raise Failed("stopped")
            answer, made, late = process.ask(words, body, deadline)
            self._busy.remove(process)
            if answer:
                self._give_back(process, bool(answer.pop("worn", False)))
                if FAILED in answer:
                    raise Failed(self._why(answer[FAILED]))
                return answer, made
            if late:
                raise Failed(f"reading it took longer than {self.seconds:g} seconds")
        code = process.popen.returncode if process else None
        raise Failed(f"reading it broke the program that reads, twice ({_end(code)})")

    def _why(self, said: str) -> str:
        if said == "memory":
            return f"reading it takes more than {self.memory // 1024 // 1024} MB of memory"
        return f"it could not be read: {said}"

    def _take(self) -> _Process:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        start = "import sys; from course.intake.worker import main; main(*sys.argv[1:])"
        command = [sys.executable, "-c", start, self.task, str(self.seconds), str(self.memory)]
        try:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            )
            assert popen.stdout
            limits, _ = receive(popen.stdout)
        except (OSError, EOFError) as error:
            raise CourseError(
                f"no process could be started to read what was handed in ({error}): nothing was changed; free memory and collect again"
            ) from error
        self._limits = limits
        return _Process(popen, limits)

    def _give_back(self, process: _Process, worn: bool) -> None:
        if worn:
            process.close()
        else:
            self._idle.append(process)

    def close(self) -> None:
        """End all that are idle."""
        while self._idle:
            self._idle.pop().close()


def _end(code: int | None) -> str:
    """How a process ended, in words."""
    return f"killed by signal {-code}" if code is not None and code < 0 else f"it ended with code {code}"


@cache
def shared_workers() -> Workers[Any]:
    """The workers of this process, kept from one collecting to the next."""
    workers: Workers[Any] = Workers()
    atexit.register(workers.close)
    return workers
