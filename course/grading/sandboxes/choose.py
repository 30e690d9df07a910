"""Which walls stand on this machine, and what to do where none can."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course.grading.bridge.launcher import landlock_abi
from course.grading.limits import Limits
from course.grading.sandboxes import bubblewrap, landlock
from course.grading.sandboxes.places import BRIDGE

SWITCH = "COURSE_SANDBOX"
UNSAFE = "unsafe"
CHOICES = (bubblewrap.NAME, landlock.NAME, UNSAFE)


class SandboxUnavailable(Exception):
    """No walls can be put up here; the message says why and what to do."""


@dataclass(frozen=True)
class Confinement:
    """The walls in force: "bubblewrap", "landlock" or "unsafe", and in words for the record."""

    name: str
    words: str

    def __str__(self) -> str:
        return self.words


def confinement(name: str | None = None) -> Confinement:
    """Give the walls to use: the named ones, else bubblewrap, else Landlock with seccomp.

    Args:
        name: one of CHOICES; by default the environment's COURSE_SANDBOX. "unsafe" is never chosen by itself.

    Returns:
        Walls that have been tried on this machine.

    Raises:
        SandboxUnavailable: if they do not stand.
    """
    name = name or os.environ.get(SWITCH) or None
    if name not in (None, *CHOICES):
        raise SandboxUnavailable(f"{SWITCH}={name!r}: it should be one of {', '.join(CHOICES)}")
    if name == UNSAFE:
        return Confinement(
            UNSAFE, "NONE: students' code can read, change and send whatever you can (--unsafe)"
        )
    troubles = []
    for choice in [name] if name else CHOICES[:2]:
        trouble, words = _try(choice)
        if not trouble:
            return Confinement(choice, words)
        troubles.append(f"{choice}: {trouble}")
    raise SandboxUnavailable(
        "Students' code cannot be confined here, so nothing is graded. "
        + "; ".join(troubles)
        + ". Install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap) and allow "
        "unprivileged user namespaces, or use Linux 5.13 or newer with Landlock and libseccomp2. "
        "If you trust every submission, --unsafe grades without walls."
    )


@functools.cache
def _try(name: str) -> tuple[str, str]:
    """Put up walls around a process that does nothing.

    Returns:
        What went wrong ("" if nothing), and the walls in words.
    """
    if sys.platform != "linux":
        return f"needs Linux, this is {sys.platform}", ""
    try:
        words = (
            bubblewrap.version()
            if name == bubblewrap.NAME
            else f"Landlock (ABI {landlock_abi()}) and seccomp"
        )
        with kernel_folder() as base:
            (base / "spec.json").write_text(json.dumps(spec(name, base, Limits()) | {"probe": True}))
            run = subprocess.run(
                command(name, base, Limits()),
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error), ""
    if run.stdout.strip() != "confined":
        return (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[-1], ""
    return "", words


@contextmanager
def kernel_folder() -> Iterator[Path]:
    """Make the folder of one kernel, with a short name: the paths of its sockets may have 107 bytes."""
    base = Path(tempfile.mkdtemp(prefix="sk-", dir="/tmp"))
    try:
        for name in ("sockets", "work", "files"):
            (base / name).mkdir()
        yield base
    finally:
        (base / "sockets").chmod(0o700)
        # Not shutil.rmtree: it gives up on folders nested deeper than Python's stack.
        subprocess.run(["rm", "-rf", "--", str(base)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def spec(name: str, base: Path, limits: Limits) -> dict:
    """Tell the launcher what to take on.

    Args:
        name: which walls.
        base: the kernel's folder.
        limits: how much it may use.

    Returns:
        Plain values, for JSON.
    """
    walls = {bubblewrap.NAME: {}, landlock.NAME: landlock.rules(base), UNSAFE: {}}[name]
    return {
        "confinement": name,
        "limits": limits.rlimits(),
        "work": f"{base}/work",
        "connection_file": f"{base}/connection.json",
        **walls,
    }


def command(name: str, base: Path, limits: Limits) -> list[str]:
    """Give the command that starts the launcher behind these walls."""
    argv = [sys.executable, "-I", str(BRIDGE / "launcher.py"), f"{base}/spec.json"]
    return bubblewrap.command(base, argv, limits) if name == bubblewrap.NAME else argv


def environment(base: Path) -> dict[str, str]:
    """Give the whole environment of a kernel: nothing of the grader's is handed on."""
    work = f"{base}/work"
    return {
        "HOME": work,
        "TMPDIR": work,
        "IPYTHONDIR": f"{work}/.ipython",
        "MPLCONFIGDIR": f"{work}/.matplotlib",
        "JUPYTER_RUNTIME_DIR": f"{work}/.jupyter",
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
