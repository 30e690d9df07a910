"""What a kernel and everything it started use together, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course.model import Limits

DEEP = 1000  # characters of a path


@dataclass(frozen=True)
class Process:
    """One process: its number, CPU seconds (of its ended children, too), threads, bytes in memory, whether it wants a processor now,
    CPU seconds of its own, and when it began (by which a number is told from the same one used again)."""

    pid: int
    cpu: float
    threads: int
    resident: int
    wants: bool = False
    own: float = 0.0
    began: int = 0


def family(leader: int) -> list[Process]:
    """Find the process `leader`, all its descendants and everything in its process group.

    Args:
        leader: number of a process that leads its group. (The sandbox lets nothing leave the group.)

    Returns:
        The living processes; empty where there is no /proc.
    """
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    found: dict[int, list[bytes]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            if not entry.isdigit() or os.getpgid(int(entry)) == 0:  # Linux's own threads, which are many
                continue
            with open(f"/proc/{entry}/stat", "rb", buffering=0) as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if fields[0] not in (b"Z", b"X"):
            found[int(entry)] = fields
    parents = {pid: int(fields[1]) for pid, fields in found.items()}
    members = {leader, *(pid for pid, fields in found.items() if leader in map(int, fields[2:4]))}
    while children := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= children
    return [
        Process(
            pid,
            sum(map(int, fields[11:15])) / tick,
            int(fields[17]),
            int(fields[21]) * page,
            fields[0] == b"R",
            sum(map(int, fields[11:13])) / tick,
            int(fields[19]),
        )
        for pid, fields in sorted(found.items())
        if pid in members
    ]


def excess(processes: list[Process], folders: list[str], limits: Limits) -> str:
    """Tell which limit is exceeded.

    Args:
        processes: from `family`.
        folders: where the processes may write.
        limits: how much they may use.

    Returns:
        A phrase such as "it used more than 2048 MiB of memory", or "".
    """
    if len(processes) > limits.processes:
        return f"it started more than {limits.processes} processes"
    if sum(p.threads for p in processes) > limits.threads:
        return f"it started more than {limits.threads} threads"
    resident = sum(p.resident for p in processes)
    if resident > limits.memory and sum(map(_proportional, processes)) > limits.memory:
        return f"it used more than {limits.memory >> 20} MiB of memory"
    size = count = 0
    for path, blocks in [*_deleted(processes, folders), *_files(folders, limits)]:
        size, count = size + blocks, count + 1
        if len(path) > DEEP:
            return "it nested folders too deep"
        if count > limits.files:
            return f"it wrote more than {limits.files} files"
        if size > limits.disk:
            return f"it wrote more than {limits.disk >> 20} MiB to disk"
    return ""


def _proportional(process: Process) -> int:
    """Bytes in memory, what is shared divided among the sharers."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return 0
    except OSError:
        pass
    return process.resident


def _files(folders: list[str], limits: Limits) -> Iterator[tuple[str, int]]:
    """Paths and bytes on disk of everything in the folders, links not followed, up to a little more than the limit."""
    waiting = list(folders)
    found = 0
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                found += 1
                if found > limits.files + 1:
                    return
                try:
                    yield entry.path, entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                except OSError:
                    continue


def _deleted(processes: list[Process], folders: list[str]) -> Iterator[tuple[str, int]]:
    """Files in the folders that are deleted but still open: they take space and no folder shows them."""
    for process in processes:
        try:
            for number in os.listdir(f"/proc/{process.pid}/fd"):
                link = f"/proc/{process.pid}/fd/{number}"
                target = os.readlink(link)
                if target.endswith(" (deleted)") and target.startswith(tuple(folders)):
                    yield "", os.stat(link).st_blocks * 512
        except OSError:
            continue


def killed_for_memory() -> int:
    """Count the processes that this machine's Linux has killed because memory ran out, since it was started."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    except (OSError, StopIteration):
        return 0
