"""A process that reads one file after the other, so that none can take more than its time, its memory, or the class along.

Started by `workers.py`, spoken to over its standard input and output in frames of JSON and bytes.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import IO, Any

Words = Mapping[str, Any]
Task = Callable[[Words, bytes], tuple[Words, bytes]]
_SIZES = struct.Struct("<IQ")
FAILED = "failed"


def send(file: IO[bytes], words: Words, body: bytes = b"") -> None:
    """Write one frame."""
    head = json.dumps(words).encode()
    file.write(_SIZES.pack(len(head), len(body)))
    file.write(head)
    file.write(body)
    file.flush()


def receive(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one frame.

    Raises:
        EOFError: if the other side is gone.
    """
    sizes = _exactly(file, _SIZES.size)
    head, body = _SIZES.unpack(sizes)
    return json.loads(_exactly(file, head)), _exactly(file, body)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("the other side is gone")
    return data


def limit_memory(size: int) -> bool:
    """Let this process have no more than so many bytes; tell whether this system can."""
    try:
        import resource
    except ImportError:
        return False
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ValueError, OSError):
        return False
    return sys.platform == "linux"  # macOS takes the limit and does not keep to it


def limit_cpu(seconds: float) -> bool:
    """Let the system end this process after so many seconds of CPU from now on, 0 lifts it; tell whether it can."""
    if not hasattr(signal, "setitimer"):
        return False
    signal.setitimer(signal.ITIMER_PROF, seconds)
    return True


def serve(task: Task, source: IO[bytes], target: IO[bytes], seconds: float) -> None:
    """Answer until nobody asks any more; after a file that took much memory, end: a fresh process takes over."""
    while True:
        try:
            words, body = receive(source)
        except EOFError:
            return
        limit_cpu(seconds)
        worn = len(body) > 4_000_000
        try:
            answer, made = task(words, body)
        except MemoryError:
            answer, made, worn = {FAILED: "memory"}, b"", True
        except Exception as error:
            answer, made = {FAILED: f"{type(error).__name__}: {str(error)[:300]}"}, b""
        limit_cpu(0)
        send(target, {**answer, "worn": worn}, made)
        if worn:
            return


def main(task: str, seconds: str, memory: str) -> None:
    """Serve.

    Args:
        task: "module:function" that answers.
        seconds: of CPU for one answer.
        memory: bytes of address space.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to handle
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever prints does not end up between the frames
    module, _, name = task.partition(":")
    answer = getattr(import_module(module), name)
    limited = limit_memory(int(memory))
    send(target, {"memory": limited, "cpu": limit_cpu(0)})
    serve(answer, source, target, float(seconds))
