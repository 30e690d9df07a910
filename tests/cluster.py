"""A Dask cluster for tests: a scheduler and workers as processes of their own, in folders of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from course.grading.watch import family

HOST = "127.0.0.1"
BARE = f"""
import sys
sys.path.append({str(Path(__file__).parents[1])!r})
from tests.bare import make_bare
make_bare()
"""
ENDING = 60  # seconds until what a process left behind counts as left behind


@dataclass
class Cluster:
    """A scheduler and its workers."""

    room: Path
    address: str = ""
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *words: str, **environment: str) -> subprocess.Popen:
        """Start a program of Dask's in an empty folder, which is its home, too."""
        folder = self.room / name
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *words, "--host", HOST],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.processes[name]

    def schedule(self) -> None:
        """Start the scheduler and learn its address."""
        file = self.room / "scheduler.json"
        words = ("--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        process = self.start("scheduler", "distributed.cli.dask_scheduler", *words)
        while not self.address:
            assert process.poll() is None, (self.room / "scheduler/log").read_text()
            time.sleep(0.1)
            if file.is_file() and file.read_text():  # it is made first and written then
                self.address = json.loads(file.read_text())["address"]

    def work(self, name: str, bare: bool = True, **environment: str) -> str:
        """Start a worker for one job at a time, without what lessons import if it is to be bare; give its address."""
        words = (self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name)
        words += ("--preload", BARE) if bare else ()
        process = self.start(name, "distributed.cli.dask_worker", *words, **environment)
        log = self.room / name / "log"
        while "Start worker at:" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        return log.read_text().split("Start worker at:")[1].split()[0]

    def started_by(self, name: str) -> list[psutil.Process]:
        """What a worker started, and what that started."""
        pid = self.processes[name].pid
        found = []
        for other in {p.pid for p in family(pid)} - {pid}:
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile
                found.append(psutil.Process(other))
        return found

    def end(self, name: str, number: int = signal.SIGTERM) -> list[psutil.Process]:
        """End a worker; give what is left of what it had started."""
        started = self.started_by(name)
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait()
        _, left = psutil.wait_procs(started, ENDING)
        return left


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster without workers; all of it ends in the end."""
    with tempfile.TemporaryDirectory(prefix="cluster-", dir="/tmp") as folder:
        made = Cluster(Path(folder))
        try:
            made.schedule()
            yield made
        finally:
            for name in [n for n in made.processes if n != "scheduler"]:
                made.end(name, signal.SIGKILL)
            made.processes["scheduler"].kill()
            made.processes["scheduler"].wait()
