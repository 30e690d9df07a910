"""Jobs on this machine, several at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from course.grading.execute import Stopped, twice
from course.grading.sandboxes.choose import sweep
from course.model import CourseError, Job, Outcome


class Local:
    """Executes on this machine.

    Args:
        jobs: how many at once, at least 1.
    """

    def __init__(self, jobs: int = 2):
        if jobs < 1:
            raise CourseError(f"--jobs {jobs}: at least 1 submission is executed at once")
        self._workers = jobs

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Execute jobs; whoever stops listening stops those that run.

        Args:
            jobs: any number.

        Yields:
            The outcomes, as they finish.
        """
        sweep()
        stop = threading.Event()
        jobs, going = iter(jobs), set[Future[Outcome]]()
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                while True:
                    # One more waits for each worker: nobody idles, and the first begins before the last is put together.
                    free = 2 * self._workers - len(going)
                    going |= {pool.submit(_guarded, job, stop) for job in islice(jobs, free)}
                    if not going:
                        return
                    done, going = wait(going, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                stop.set()
                for future in going:
                    future.cancel()


def _guarded(job: Job, stop: threading.Event) -> Outcome:
    """Execute a job; whatever goes wrong becomes its outcome."""
    try:
        return twice(job, stop)
    except Stopped:
        raise
    except Exception as error:  # whatever it is, it is no fault of the student's and does not stop the class
        return Outcome(job, machine_fault=f"{type(error).__name__}: {error}")
