"""Jobs on this machine, several at once."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from course.grading.execute import twice
from course.grading.sandboxes.choose import sweep
from course.model import CourseError, Job, Outcome


class Local:
    """Executes on this machine.

    Args:
        jobs: how many at once, at least 1; if None, as many as there are cores.

    Raises:
        CourseError: for fewer.
    """

    def __init__(self, jobs: int | None = None):
        if jobs is not None and jobs < 1:
            raise CourseError(
                f"--jobs {jobs}: at least 1 submission is executed at once; leave --jobs out for as many as suit the cores"
            )
        self._workers = cores() if jobs is None else jobs

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Execute jobs; whoever stops listening stops those that run.

        Args:
            jobs: any number.

        Yields:
            The outcomes, as they finish.
        """
        sweep()
        open_enough()
        stop = threading.Event()
        jobs, going = iter(jobs), set[Future[Outcome]]()
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                while True:
                    # One more waits for each worker: nobody idles, and the first begins before the last is put together.
                    free = 2 * self._workers - len(going)
                    going |= {pool.submit(twice, job, stop) for job in islice(jobs, free)}
                    if not going:
                        return
                    done, going = wait(going, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                stop.set()
                for future in going:
                    future.cancel()


def open_enough() -> None:
    """Let this process open as many files as the machine allows: each job takes about twenty."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cores(root: Path = Path("/")) -> int:
    """Count the cores that this process may use: those that it is bound to, and no more than its control groups allow.

    Args:
        root: where `proc` and `sys` lie.

    Returns:
        A number, at least 1.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _quota(root))))


def _quota(root: Path) -> float:
    """The cores' worth of time that control groups allow, the narrowest of a group and those above it; endless where none says."""
    found = [math.inf]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, group = line.split(":", 2)
        old = "cpu" in kinds.split(
            ","
        )  # the first version of control groups; the second has one kind, without a name
        if kinds and not old:
            continue
        place = root / "sys/fs/cgroup" / ("cpu" if old else "")
        inside = Path(group.lstrip("/"))
        for folder in (place / inside, *(place / above for above in inside.parents)):
            if old:
                words = [_text(folder / f"cpu.cfs_{word}_us") for word in ("quota", "period")]
            else:
                words = _text(folder / "cpu.max").split()
            if len(words) == 2 and words[0].strip().isdigit():  # not "max", "-1" or missing
                found.append(int(words[0]) / int(words[1]))
    return min(found)


def _text(path: Path) -> str:
    """What stands in a file, "" if there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
