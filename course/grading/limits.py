"""How much a submission may use: all limits of grading in one place.

The environment variable COURSE_LIMITS changes single ones, for example COURSE_LIMITS='{"cell_cpu": 60}' on a slow machine.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

MIB = 1 << 20
SWITCH = "COURSE_LIMITS"


@dataclass(frozen=True)
class Limits:
    """Limits of one submission. CPU seconds count, so that a busy machine fails nobody; the wall clock is a backstop.

    Time: `cell_cpu` and `cell_wall` are for one cell, and for all that one check asks of the student's code; `notebook_wall` is
    for the whole submission, restarts included. `interrupted` is how long an interrupted cell has to come to rest.
    Memory: `memory` sums all processes of the kernel and what they keep in /tmp; `address_space` bounds each of them.
    """

    cell_cpu: float = 30.0  # seconds
    cell_wall: float = 90.0  # seconds
    notebook_wall: float = 600.0  # seconds
    startup: float = 60.0  # seconds
    interrupted: float = 3.0  # seconds
    restarts: int = 3  # kernels after the first
    memory: int = 2048 * MIB  # bytes
    address_space: int = 16384 * MIB  # bytes
    processes: int = 64
    threads: int = 512  # of all processes together
    open_files: int = 512
    disk: int = 64 * MIB  # bytes in the work folder; also the largest file
    files: int = 500  # in the work folder
    output: int = 1 * MIB  # bytes of text a cell may show
    outputs: int = 200  # pieces of output a cell may show
    image: int = 1 * MIB  # bytes of one picture
    message: int = 48 * MIB  # bytes of one message from the kernel

    def rlimits(self) -> dict[str, int]:
        """What the operating system itself enforces for each process: names of RLIMIT_ constants and their values."""
        return {
            "AS": self.address_space,
            "CORE": 0,
            "CPU": int(self.notebook_wall),
            "FSIZE": self.disk,
            "MEMLOCK": 0,
            "NOFILE": self.open_files,
        }


def limits_in_force() -> Limits:
    """Give the limits to use: the defaults, changed by COURSE_LIMITS.

    Returns:
        The limits.

    Raises:
        ValueError: if the variable is no JSON object of known limits.
    """
    text = os.environ.get(SWITCH) or "{}"
    try:
        return Limits(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{SWITCH}={text!r} should be JSON of limits such as {{"cell_cpu": 60}}: {error}'
        ) from error
