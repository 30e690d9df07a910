"""Walls by Landlock and seccomp, for machines where bubblewrap is missing or forbidden.

The process takes them on itself (`course.grading.bridge.launcher`), so there is nothing to install: Landlock is in
Linux since 5.13, libseccomp.so.2 in every usual distribution. Compared with bubblewrap, the student's process can
still see that a path exists and how many processes run; it cannot read, signal or reach them.
"""

from __future__ import annotations

from pathlib import Path

from course.grading.sandboxes.places import readable

NAME = "landlock"
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
PROC = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
)


def rules(base: Path) -> dict[str, list[str]]:
    """Give the paths to leave open.

    Args:
        base: the kernel's folder: `sockets` and `work` in it are writable, the rest readable.

    Returns:
        Lists of paths: "read" and "write".
    """
    return {
        "read": [*map(str, readable()), *PROC, str(base)],
        "write": [*DEVICES, f"{base}/sockets", f"{base}/work"],
    }
