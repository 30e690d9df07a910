"""Which sandbox stands on this machine, and what to do where none does."""

from __future__ import annotations

import functools
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from course.grading import sandboxes
from course.grading.sandboxes import Sandbox
from course.grading.sandboxes.places import BRIDGE, LARGE_PAGES, imported_by_lessons, put_fonts
from course.model import Confinement, CourseError, Limits

TRYING = threading.Lock()
ROOM = "sk-"  # how the folder of a kernel begins


class SandboxUnavailable(CourseError):
    """No sandbox stands here; the message says why and what to do."""


def available() -> dict[str, Sandbox]:
    """All kinds of sandbox by name, the best first."""
    modules = [
        importlib.import_module(f"{sandboxes.__name__}.{m.name}")
        for m in pkgutil.iter_modules(sandboxes.__path__)
    ]
    found = [module.SANDBOX for module in modules if hasattr(module, "SANDBOX")]
    return {s.name: s for s in sorted(found, key=lambda s: (s.rank is None, s.rank or 0, s.name))}


def confinement(name: str = "", warm: bool = False) -> Confinement:
    """Give the sandbox to use: the named one, else the best that stands.

    Args:
        name: of one; one without a rank, such as "unsafe", is only taken by its name.
        warm: whether kernels are to be forked from a template, where this kind can.

    Returns:
        A sandbox that has been tried on this machine.

    Raises:
        SandboxUnavailable: if it does not stand.
    """
    known = available()
    if name and name not in known:
        raise SandboxUnavailable(
            f"there is no sandbox {name!r}: COURSE_SANDBOX should be one of {', '.join(known)}"
        )
    if sys.platform != "linux":
        raise SandboxUnavailable(
            f"students' code is graded in a sandbox of Linux, and this is {sys.platform}: run `course grade` on Linux, "
            "in WSL 2 or in a container (.devcontainer holds one)"
        )
    troubles = []
    for choice in [known[name]] if name else [s for s in known.values() if s.rank is not None]:
        trouble, words = _try(choice)
        if not trouble:
            return Confinement(choice.name, words, warm)
        troubles.append(f"{choice.name}: {trouble}")
    raise SandboxUnavailable(
        "Students' code cannot be confined here, so nothing is graded. "
        + "; ".join(troubles)
        + ". Install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap) and allow "
        "unprivileged user namespaces, or use Linux 5.13 or newer with Landlock and libseccomp2. "
        "If you trust every submission, --unsafe grades without walls."
    )


def _try(sandbox: Sandbox, modules: tuple[str, ...] = ()) -> tuple[str, str]:
    """Put up walls around a process that does nothing but import.

    Args:
        sandbox: which.
        modules: what it imports.

    Returns:
        What went wrong ("" if nothing), and the walls in words.
    """
    try:
        return _tried(sandbox, modules)
    except (OSError, subprocess.TimeoutExpired) as error:  # which may pass, and is not remembered
        return str(error), ""


@functools.cache
def _tried(sandbox: Sandbox, modules: tuple[str, ...]) -> tuple[str, str]:
    words = sandbox.words()
    if sandbox.rank is None:
        return "", words
    with kernel_folder() as room:
        (room / "spec.json").write_text(json.dumps(spec(sandbox.name, room, Limits()) | {"probe": modules}))
        put_fonts(room / "files")
        run = subprocess.run(
            command(sandbox.name, room, Limits()),
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            env=environment(room),
        )
    if run.stdout.strip() != "confined":
        return (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[-1], ""
    return "", words


def hidden_from_lessons(walls: Confinement) -> str:
    """Tell what lessons import and cannot, behind these walls: then no grade from there is worth anything.

    Args:
        walls: which.

    Returns:
        The error, "" if there is none.
    """
    with TRYING:  # once, and not once a worker
        trouble, _ = _try(available()[walls.name], tuple(imported_by_lessons()))
    return trouble


@contextmanager
def kernel_folder(top: Path | None = None) -> Iterator[Path]:
    """Make the folder of one kernel.

    Args:
        top: the template's folder, if it is to lie there.

    Yields:
        The folder; it is removed afterwards.
    """
    room = new_folder(top or Path("/tmp"))
    try:
        for name in ("work", "files"):
            (room / name).mkdir()
        yield room
    finally:
        remove(room)


def new_folder(place: Path) -> Path:
    """Make a folder that nobody can guess, and that `sweep` removes when this process is gone and did not."""
    folder = Path(tempfile.mkdtemp(prefix=ROOM, dir=place))
    (folder / "owner").write_text(f"{os.getpid()}\n")
    return folder


def remove(room: Path) -> None:
    """Remove a kernel's or a template's folder, however deep a student nested it."""
    # Not shutil.rmtree: it gives up on folders nested deeper than Python's stack.
    subprocess.run(["rm", "-rf", "--", str(room)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sweep() -> int:
    """Remove the folders of kernels whose grader was killed; give their number."""
    swept = 0
    for room in Path("/tmp").glob(f"{ROOM}*"):
        try:
            owner = int((room / "owner").read_text())
            if room.lstat().st_uid == os.getuid() and not Path(f"/proc/{owner}").exists():
                remove(room)
                swept += 1
        except (OSError, ValueError):
            continue  # being made, or somebody else's
    return swept


def spec(name: str, room: Path, limits: Limits) -> dict[str, Any]:
    """Tell the launcher what to take on.

    Args:
        name: of the sandbox.
        room: the kernel's folder.
        limits: how much it may use.

    Returns:
        Plain values, for JSON.
    """
    return {
        "confinement": name,
        "limits": limits.rlimits(),
        "work": f"{room}/work",
        **available()[name].spec(room),
    }


def command(name: str, room: Path, limits: Limits) -> list[str]:
    """Give the command that starts the launcher behind these walls."""
    argv = [sys.executable, "-I", str(BRIDGE / "launcher.py"), f"{room}/spec.json"]
    return available()[name].command(argv, room, limits)


def environment(room: Path) -> dict[str, str]:
    """Give the whole environment of a kernel: nothing of the grader's is handed on."""
    work = f"{room}/work"
    return {
        "HOME": work,
        "TMPDIR": work,
        "IPYTHONDIR": f"{work}/.ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{work}/.matplotlib",
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **LARGE_PAGES,
    }
