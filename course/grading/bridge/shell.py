"""Be the student's kernel: ipykernel's shell, on one socket to the grader in place of Jupyter's five.

Cells run as they do in a notebook. Over the socket comes one request at a time: a JSON object {"run": source}, or a question that
`studentside` serves. What is shown meanwhile goes back ahead of the answer, as JSON objects {"kind": ..., "content": ...} with the words of
Jupyter's messages; no question and no answer is an object. Jupyter's own way, six signed messages for a cell, over as many sockets and
threads, costs several times what most cells do.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import getpass
import io
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ipykernel.compiler import XCachingCompiler
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.error import StdinNotImplementedError
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session
from traitlets.config import Config

from . import studentside, wire

HELLO = b"ready"
FULL, SOON = 8_192, 0.05  # characters of text, and seconds, that may wait until they are shown
PIECE = 300_000  # characters of text in one message, which then has less than `wire.SHOWN_BYTES`
LOG = 1  # number of the file into which programs, and what the student forks, write; the grader shows it where it has grown
TOO_LARGE = "(an output that is too large to be shown)\n"


class Shell(ZMQInteractiveShell):
    """What runs the cells."""

    exits = False  # whether a cell asked to end the kernel

    def enable_gui(self, gui: Any = None) -> None:
        """Open no window, whatever is asked for."""

    def ask_exit(self) -> None:
        """Note that a cell asks to end the kernel."""
        self.exits = not self.keepkernel_on_exit


# By these names libraries, and students, ask whether they are in a notebook.
Shell.__name__ = Shell.__qualname__ = ZMQInteractiveShell.__name__
Shell.__module__ = ZMQInteractiveShell.__module__


def made() -> Shell:
    """Make the shell; it can be made before a fork."""
    config = Config()
    config.HistoryManager.enabled = False
    shell: Shell = Shell.instance(config=config, compiler_class=XCachingCompiler)
    return shell


class Line(Session):
    """The line to the grader, as the session in which the shell shows things.

    A thread of its own sends, since a handler of any signal may raise or print in the main one: no message is torn by it.
    """

    def __init__(self, connection: socket.socket):
        super().__init__()
        self.serving = False  # whether an interrupt is of use
        self.cell: asyncio.Task[Any] | None = None  # one that may wait for something
        self._process = os.getpid()
        self._connection = connection
        self._messages: queue.SimpleQueue[tuple[str, threading.Lock]] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._text: list[str] = []
        self._stream = ""  # whose the text is
        self._length = 0
        self._shown = 0.0
        self._logged = os.fstat(LOG).st_size
        threading.Thread(target=self._send, daemon=True).start()

    @property
    def here(self) -> bool:
        """Whether this is the kernel itself: a process that the student started has no say."""
        return os.getpid() == self._process

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *_: Any, **__: Any) -> None:
        """Pass on what the shell publishes."""
        if isinstance(msg_or_type, dict):
            msg_or_type, content = msg_or_type["msg_type"], msg_or_type["content"]
        self.flush()
        self._show(msg_or_type, content)

    def write(self, stream: str, text: str) -> None:
        """Show text soon: most is written line by line."""
        if not self.here:
            os.write(LOG, text.encode("utf-8", "replace"))
            return
        with self._lock:
            if stream != self._stream or self._programs_wrote():
                self.flush()
            self._stream = stream
            self._text.append(text)
            self._length += len(text)
            if self._length > FULL or time.monotonic() - self._shown > SOON:
                self.flush()

    def flush(self) -> None:
        """Show what waits, and after it what programs have written since."""
        if not self.here:
            return
        with self._lock:
            text, self._text, self._length = "".join(self._text), [], 0
            self._shown = time.monotonic()
            for start in range(0, len(text), PIECE):
                self._show("stream", {"name": self._stream, "text": text[start : start + PIECE]})
            if self._programs_wrote():
                self._logged = os.fstat(LOG).st_size
                self._show("log", {"size": self._logged})

    def _programs_wrote(self) -> bool:
        with contextlib.suppress(OSError):  # the student closed it
            return os.fstat(LOG).st_size != self._logged
        return False

    def _show(self, kind: str, content: dict[str, Any]) -> None:
        message = json.dumps({"kind": kind, "content": content}, default=_plain)
        if len(message) > wire.SHOWN_BYTES:
            return self._show("stream", {"name": "stderr", "text": TOO_LARGE})
        self.tell(message)

    def tell(self, message: str) -> None:
        """Send a message, and wait until it is sent: whoever says too much is slowed, and nobody's memory fills."""
        if self.here:
            sent = threading.Lock()
            sent.acquire()
            self._messages.put((message, sent))
            sent.acquire()

    def _send(self) -> None:
        while True:
            message, sent = self._messages.get()
            try:
                wire.send(self._connection, message)
            except OSError:  # nobody listens any more
                os._exit(1)
            sent.release()

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """Stop what is being served: a cell that waits for other tasks is cancelled, since an error in one of them would end the loop."""
        if self.cell and asyncio.current_task(self.cell.get_loop()) is not self.cell:
            self.cell.get_loop().call_soon_threadsafe(self.cell.cancel)
        elif self.serving:
            raise KeyboardInterrupt


class Stream(io.TextIOBase):
    """What cells print to."""

    encoding = "UTF-8"

    def __init__(self, name: str, number: int, line: Line):
        self.name, self._number, self._line = name, number, line

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Give the number of the file that programs write to."""
        return self._number

    def write(self, text: str) -> int:
        """Show text.

        Raises:
            TypeError: if it is none.
        """
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._line.write(self.name, text)
        return len(text)

    def flush(self) -> None:
        """Show all of it."""
        self._line.flush()


def serve(requests: int) -> NoReturn:
    """Serve requests until the grader hangs up.

    Args:
        requests: number of the socket; no program that is started from here gets it.
    """
    connection = socket.socket(fileno=requests)
    connection.set_inheritable(False)
    shell: Any = Shell.instance() if Shell.initialized() else made()
    line = Line(connection)
    shell.display_pub.session = shell.displayhook.session = line
    sys.stdout, sys.stderr = Stream("stdout", LOG, line), Stream("stderr", 2, line)
    sys.argv = [""]
    installed = [at for at, path in enumerate(sys.path) if path.endswith("-packages")]
    sys.path.insert(min(installed, default=0), "")  # the work folder, where ipykernel has it
    shell.init_environment()  # anew: that of a template is not this one's
    shell.user_ns["_dh"][:] = [Path.cwd()]
    builtins.input = getpass.getpass = _no_input
    connection.sendall(HELLO)
    loop = asyncio.new_event_loop()
    while True:
        serving = loop.create_task(_serve(connection, shell, line))
        while not serving.done():
            with contextlib.suppress(BaseException):  # from a handler of the student's, between two cells
                loop.run_until_complete(serving)
        if not serving.cancelled() and not serving.exception():
            os._exit(0)


def _plain(value: Any) -> Any:
    """What stands in a message for something that is no JSON: of bytes their base64, as Jupyter has it."""
    try:
        return json_default(value)
    except TypeError:
        return repr(value)


def _no_input(*_: Any, **__: Any) -> NoReturn:
    """Say what ipykernel says where nobody can be asked."""
    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


async def _serve(connection: socket.socket, shell: Any, line: Line) -> None:
    """Serve one request after the other, until there will be none; what cells left running goes on between them."""
    loop = asyncio.get_running_loop()
    while True:
        waiting = loop.create_future()
        try:
            loop.add_reader(connection, waiting.set_result, None)
            await waiting
            loop.remove_reader(connection)
            message = wire.receive(connection)
        except (EOFError, OSError, ValueError):  # the last: the student closed it
            return
        signal.signal(signal.SIGINT, line.interrupted)  # a cell may have put its own there
        try:
            line.serving = True
            if message.startswith("{"):
                answer = await _run(shell, json.loads(message)["run"], line)
            else:
                answer = studentside.serve(message)
                if pyplot := sys.modules.get("matplotlib.pyplot"):
                    pyplot.close("all")  # as after each cell
            line.flush()
        except (
            BaseException
        ) as error:  # around the code that ran: an interrupt too late, a hook of the student's
            answer = studentside.failed(error)
        finally:
            line.serving = False
        if not line.here:  # a fork that the student did not end
            os._exit(0)
        line.tell(answer)


async def _run(shell: Any, source: str, line: Line) -> str:
    """Run a cell as ipykernel does."""
    shell.exits = False
    try:
        transformed, trouble = shell.transform_cell(source), None
    except Exception:
        transformed, trouble = source, sys.exc_info()
    words: dict[str, Any] = {"transformed_cell": transformed, "preprocessing_exc_tuple": trouble}
    if shell.should_run_async(source, **words):
        line.cell = asyncio.create_task(shell.run_cell_async(source, store_history=True, **words))
        try:
            result = await line.cell
        finally:
            line.cell = None
            shell.events.trigger("post_execute")
        shell.events.trigger("post_run_cell", result)
    else:
        shell.run_cell(source, store_history=True)
    return wire.EXITS if shell.exits else wire.ENDED
