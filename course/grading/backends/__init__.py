"""Where jobs are executed, one file each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from course.model import Job, Outcome


class Backend(Protocol):
    """Something that executes jobs."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Execute jobs.

        Args:
            jobs: any number, each asked for when there is room for it.

        Yields:
            The outcomes, as they finish. One with a machine fault was tried twice.
        """
