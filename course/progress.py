"""How far a command is: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from course.grading.grade import Graded
from course.intake.triage import printable

STYLES = {"graded": "green", "failed": "red"}


class Progress:
    """Shows what becomes of submissions, with the rate, the time that is left and the slowest.

    Args:
        console: where to; on a terminal only what failed gets a line of its own.
    """

    def __init__(self, console: Console):
        self._console = console
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("starting", total=None)
        self._all = self._done = self._executed = 0
        self._slowest: Graded | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def expected(self, count: int) -> None:
        """Take note of how many there are; from here on the clock runs."""
        self._all, self._start = count, time.monotonic()
        self._bar.update(self._task, total=count)

    def told(self, result: Graded) -> None:
        """Show what became of one."""
        self._done += 1
        self._executed += result.state != "unchanged"
        if self._slowest is None or result.seconds > self._slowest.seconds:
            self._slowest = result
        self._bar.update(self._task, advance=1, description=self.pace())
        if result.state == "failed" or not self._console.is_terminal:
            state = Text(result.state, style=STYLES.get(result.state, ""))
            rest = f"  {result.reason}" if result.reason else ""
            rest += f"  {result.seconds:.1f} s" if result.seconds else ""
            line = Text.assemble(
                f"{self._done}/{self._all}  {result.student}  {result.lesson}  ", state, rest
            )
            self._console.print(line, soft_wrap=True)

    def pace(self) -> str:
        """Say how fast it goes and who took longest."""
        rate = self._executed / max(time.monotonic() - self._start, 1e-9) * 60
        slow = self._slowest
        longest = (
            f"slowest {slow.student} ({slow.lesson}) {slow.seconds:.1f} s" if slow and slow.seconds else ""
        )
        return "  ".join(filter(None, [f"{rate:.0f} a minute", longest]))


class Count:
    """Counts what a command goes through, with the rate, the time that is left and what took longest.

    Args:
        console: where to.
        what: is counted, in the plural.
        total: how many there are; None if nobody knows before the end.
        every: off a terminal each so many get a line.
    """

    def __init__(self, console: Console, what: str, total: int | None = None, every: int = 100):
        self._console, self._what, self._total, self._every = console, what, total, every
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(f"{what}: starting", total=total)
        self._done, self._slowest, self._longest = 0, "", 0.0
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Self:
        self._start = self._last = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def told(self, name: str) -> None:
        """Count one, by its name."""
        now = time.monotonic()
        if now - self._last > self._longest:
            self._slowest, self._longest = name, now - self._last
        self._done, self._last = self._done + 1, now
        self._bar.update(self._task, advance=1, description=self.pace())
        if not self._console.is_terminal and self._done % self._every == 0:
            of = f" of {self._total}" if self._total else ""
            self._console.print(Text(f"{self._done}{of} {self.pace()}"), soft_wrap=True)

    def pace(self) -> str:
        """Say how fast it goes and what took longest."""
        rate = self._done / max(self._last - self._start, 1e-9) * 60
        slow = f"  slowest {printable(self._slowest)} {self._longest:.1f} s" if self._longest >= 1 else ""
        return f"{self._what}, {rate:.0f} a minute{slow}"
