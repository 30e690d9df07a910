"""Jobs on the workers of a Dask cluster: bytes go there, outcomes come back.

A worker gets work when its fingerprint is this machine's. One that is lost in mid-run has its jobs done again by another. Whatever a worker
keeps warm belongs to its process and ends with it.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from course.grading.backends.fingerprint import difference, fingerprint
from course.grading.backends.local import open_enough
from course.grading.execute import Stopped, twice
from course.grading.sandboxes.choose import sweep
from course.model import CourseError, Job, Limits, Outcome

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

PULSE = 1.0  # seconds between two looks at who is there
CLOSING = 2  # seconds to take leave
CONNECTING = 10  # seconds until a scheduler must have answered
FETCHING = 60  # seconds that an outcome may take on its way
PATIENCE = 60.0  # seconds that a run waits while there is nobody to work for it
LOSSES = (
    3  # how often a job may be given out anew; Dask itself moves it as often to another worker before that
)
LOST = "workers were lost, again and again, while they executed it"


class Stranger(Exception):
    """This worker is not the one that was asked: it was started anew in between."""


class Dask:
    """Executes on the workers of a cluster.

    Args:
        address: of its scheduler, such as tcp://127.0.0.1:8786.
        say: told in one sentence who is refused, and why.

    Raises:
        CourseError: if dask is not installed, or that is no address.
    """

    def __init__(self, address: str, say: Callable[[str], None] = lambda _: None):
        scheme, _, place = address.partition("://")
        host, _, port = place.rpartition(":")
        if scheme not in ("tcp", "tls") or not host or not port.isdigit():
            raise CourseError(
                f"--dask {address}: write tcp://HOST:PORT (or tls://HOST:PORT), as `dask scheduler` prints it"
            )
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise CourseError(
                f"--dask needs a package that is not installed ({error.name}): run `pip install -e 'course[dask]'` in the checkout"
            ) from error
        self._address, self._say = address, say

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Execute jobs; whoever stops listening stops those that run.

        Args:
            jobs: any number, all of one sandbox and one set of limits.

        Yields:
            The outcomes, as they finish.

        Raises:
            CourseError: if the scheduler does not answer, or there is no worker that may be used.
        """
        jobs = iter(jobs)
        for first in jobs:  # none: then nobody is asked for anything
            with _connected(self._address) as client:
                crew = _Crew(client, self._address, first, self._say)
                yield from _outcomes(client, crew, chain([first], jobs))


def introduce(sandbox: str, limits: Limits) -> dict[str, str]:
    """Give the fingerprint of a worker; what killed processes left on its machine is swept.

    Raises:
        CourseError: if nothing can be graded there.
    """
    open_enough()
    sweep()
    return dict(fingerprint(sandbox, limits))


def execute(job: Job, expected: Mapping[str, str]) -> Outcome:
    """Execute a job on a worker.

    Args:
        job: any.
        expected: the grader's fingerprint.

    Returns:
        The outcome; a machine fault names the worker.

    Raises:
        Stranger: if the worker has another.
        Stopped: if nobody wants the outcome any more.
    """
    from distributed import get_worker

    worker = get_worker()
    if fingerprint(job.sandbox.name, job.limits) != expected:
        raise Stranger(worker.address)
    outcome = twice(job, _Unwanted(worker))
    fault = outcome.machine_fault and f"on worker {worker.address}: {outcome.machine_fault}"
    return replace(outcome, machine_fault=fault)


class _Unwanted(threading.Event):
    """Is set once nobody wants the task of this thread: it was cancelled, its grader is gone, or the worker closes."""

    def __init__(self, worker: Worker):
        super().__init__()
        self._worker, self._key = worker, worker.get_current_task()

    def is_set(self) -> bool:
        """Look at what the worker knows of the task: Dask itself does not stop one that runs."""
        task = self._worker.state.tasks.get(self._key)
        closing = self._worker.status.name in ("closing", "closed", "failed")
        return closing or task is None or task.state == "cancelled"


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect with a scheduler.

    Raises:
        CourseError: if it does not answer.
    """
    from distributed import Client

    logging.getLogger("distributed").setLevel(
        logging.CRITICAL
    )  # what it would say is said here, in a sentence
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of versions that differ: what matters here is in the fingerprint
            client = Client(address, timeout=CONNECTING)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise CourseError(
            f"no Dask scheduler answers at {address} ({_line(error)}): start one by `dask scheduler`, or grade without --dask"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=CLOSING)


@dataclass(frozen=True)
class _Try:
    """A job on its way: whom it was given to, and how often none of them could bring it to its end."""

    job: Job
    to: frozenset[str] = frozenset()
    losses: int = 0


def _outcomes(client: Client, crew: _Crew, jobs: Iterator[Job]) -> Iterator[Outcome]:
    """Hand out jobs to whoever is trusted, and give the outcomes."""
    again: deque[_Try] = deque()
    going: dict[Future[Outcome], _Try] = {}
    try:
        while True:
            crew.look(busy=bool(going))
            for future in [f for f, tried in going.items() if f.done() or crew.has_lost(tried.to)]:
                tried = going.pop(future)
                outcome = _outcome(future, tried.job)
                if outcome is None and tried.losses < LOSSES:
                    client.cancel([future])
                    crew.ask_all_again()
                    again.append(replace(tried, losses=tried.losses + 1))
                else:
                    yield outcome or Outcome(tried.job, machine_fault=LOST)
            while len(going) < crew.room:
                if again:
                    tried = again.popleft()
                elif (job := next(jobs, None)) is not None:
                    tried = _Try(job)
                else:
                    break
                tried = replace(tried, to=frozenset(crew.trusted))
                words = (execute, tried.job, crew.expected)
                going[client.submit(*words, workers=sorted(tried.to), pure=False)] = tried
            if crew.room and not going:
                return
            crew.wait(going)
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.cancel(list(going))


def _outcome(future: Future[Outcome], job: Job) -> Outcome | None:
    """Give the outcome of a job; None if it has to be done again."""
    from distributed.scheduler import KilledWorker

    if future.status == "finished":
        with suppress(Exception):
            return future.result(timeout=FETCHING)
        return None  # who held it is gone, and what is made anew meanwhile may fail as well
    error = future.exception() if future.status == "error" else None
    if error is None or isinstance(error, (Stranger, Stopped)):
        return None
    return Outcome(job, machine_fault=LOST if isinstance(error, KilledWorker) else _line(error))


class _Crew:
    """Who is there, who may be given work, who was asked and has not answered yet.

    Args:
        client: of the scheduler.
        address: of the scheduler.
        job: one of those to come.
        say: told who is refused.
    """

    def __init__(self, client: Client, address: str, job: Job, say: Callable[[str], None]):
        self.expected = fingerprint(job.sandbox.name, job.limits)
        self.trusted: dict[str, int] = {}  # address -> how many jobs at once
        self._here: dict[str, int] = {}
        self._asked: dict[Future[dict[str, str]], str] = {}
        self._refused: dict[str, str] = {}
        self._client, self._address, self._say = client, address, say
        self._words = job.sandbox.name, job.limits
        self._looked, self._alone, self._began = 0.0, time.monotonic(), False

    @property
    def room(self) -> int:
        """How many jobs may be given out: twice as many as run at once, so that no worker waits for the next."""
        return 2 * sum(self.trusted.values())

    def has_lost(self, addresses: frozenset[str]) -> bool:
        """Tell whether none of these workers is there any more."""
        return not addresses & self._here.keys()

    def ask_all_again(self) -> None:
        """Trust nobody who has not answered anew."""
        self.trusted.clear()
        self._looked = 0.0

    def wait(self, futures: Iterable[Future[Any]]) -> None:
        """Wait until one of these futures is done, or somebody answers, for a short while at most."""
        import distributed

        if waiting := [*futures, *self._asked]:
            with suppress(TimeoutError, CancelledError):
                distributed.wait(waiting, PULSE, "FIRST_COMPLETED")
        else:
            time.sleep(PULSE)

    def look(self, busy: bool) -> None:
        """See who came, who went and who answered.

        Args:
            busy: somebody is at work: who does not answer may have no hand free.

        Raises:
            CourseError: if the scheduler is gone, or nobody can work.
        """
        for future in [f for f in self._asked if f.done()]:
            self._judge(self._asked.pop(future), future)
        now = time.monotonic()
        if now - self._looked < PULSE:
            return
        self._looked = now
        try:
            self._here = self._client.nthreads()
        except OSError as error:
            raise CourseError(
                f"the Dask scheduler at {self._address} is gone ({_line(error)}): start it and its workers, and the same command goes on "
                "with the rest"
            ) from error
        self.trusted = {a: self._here[a] for a in self.trusted if a in self._here}
        self._refused = {a: why for a, why in self._refused.items() if a in self._here}
        self._asked = {f: a for f, a in self._asked.items() if a in self._here}
        for address in self._here.keys() - {*self.trusted, *self._refused, *self._asked.values()}:
            future = self._client.submit(introduce, *self._words, workers=[address], pure=False, priority=1)
            self._asked[future] = address
        if self.trusted or (self._asked and (busy or not self._began)):
            self._alone = now
        self._complain(now - self._alone)

    def _judge(self, address: str, future: Future[dict[str, str]]) -> None:
        """Take a worker on, or refuse it."""
        if future.status == "finished":
            try:
                why = difference(self.expected, future.result(timeout=FETCHING))
            except Exception:
                return  # it went before its answer was fetched
        elif future.status == "error":
            why = f"it cannot grade: {_line(future.exception())}"
        else:
            return  # it went meanwhile
        if not why:
            self.trusted[address] = self._here.get(address, 1)
            self._began = True
            return
        self._refused[address] = f"worker {address} is refused: {why}"
        self._say(f"{self._refused[address]}; give it this checkout and this environment, and start it anew")

    def _complain(self, alone: float) -> None:
        """Give up, where there is nobody who could work.

        Raises:
            CourseError: with the reason, and what to do.
        """
        nobody = not self.trusted and not self._asked
        if nobody and self._refused and (not self._began or alone > PATIENCE):
            why = "; ".join(self._refused.values())
            raise CourseError(f"no worker at {self._address} may be given work: {why}")
        if alone > PATIENCE:
            raise CourseError(
                f"no worker at {self._address} has been there for {PATIENCE:g} seconds: start some by `dask worker {self._address}`, and the "
                "same command goes on with the rest"
            )


def _line(error: BaseException | None) -> str:
    """An error in one line."""
    kind = "" if isinstance(error, CourseError) else f"{type(error).__name__}: "
    return f"{kind}{error}".strip().splitlines()[0]
