"""Attacks from one submission on another: a first one that attacks, and a second that would betray it.

Kernels of one template share its memory until they write to it, a user namespace and a folder; what must not follow is tried here. `first`
runs in a kernel of its own. `second` then runs in another while the first lives, and once more after it ended; it is handed what the first
printed (`told`), as if the two had met, and prints BETRAYED if it got, saw or felt something. Nothing harms where it succeeds.

Most attacks leave each other in peace: those go in company, one kernel for all firsts, one for all seconds. That each of them works in this
company is tried where nothing stands in their way (`betrayed_alone`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course.grading.kernel import KernelGone, StudentKernel, student_kernel
from course.grading.sandboxes.choose import confinement
from course.model import Limits

LIMITS = Limits(cell_cpu=20, cell_wall=60, interrupted=2, memory=1 << 30)
BEGIN = """
import ctypes, errno, glob, json, os, random, re, signal, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action, *args):
    try:
        return action(*args)
    except Exception:
        return None
def betrayed(how):
    print("BETRA" + "YED:", how)
def places():
    deep = [path for stars in ("sk-*", "sk-*/*", "sk-*/*/*") for path in glob.glob(f"/tmp/{stars}")]
    return {".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/dev/mqueue", *deep} if WALLS else {"."}
def look(path):
    text = attempt(lambda: open(path, "rb").read(100_000)) or b""
    if MARK.encode() in text:
        betrayed(path)
"""


@dataclass(frozen=True)
class Across:
    """One attack across submissions.

    name, goal: what success would be. first, second: sources. alone: whether the two, run in one process without walls, would succeed;
    what reaches for processes is not tried there. company: whether it shares its kernels with others; not what takes, breaks or kills
    something there.
    """

    name: str
    goal: str
    first: str
    second: str
    alone: bool = True
    company: bool = True


ATTACKS = [
    Across(
        "files",
        "a file is left where the next one finds it",
        """
for place in places():
    attempt(lambda: open(f"{place}/left-by-the-first", "w").write(MARK))
""",
        """
for place in places():
    look(f"{place}/left-by-the-first")
""",
    ),
    Across(
        "rooms",
        "a file in the other's own folder is read by its full path",
        """
open("secret", "w").write(MARK)
print(os.path.abspath("secret"))
""",
        """
path = told.split()[0]
for root in ("", *glob.glob("/proc/[0-9]*/root"), "/proc/self/root/proc/1/root"):
    look(root + path)
for place in glob.glob("/proc/[0-9]*/cwd"):
    look(place + "/secret")
if attempt(os.listdir, os.path.dirname(path)) or attempt(os.stat, path) and WALLS != "landlock":
    betrayed("the other's folder is in sight")
""",
    ),
    Across(
        "caches",
        "something that the next one will import or read is changed",
        """
import helpers, numpy
own = [os.path.expanduser("~"), os.environ.get("MPLCONFIGDIR", ".")]
for folder in [*helpers.__path__, *numpy.__path__, sys.prefix, *sys.path, *own] if WALLS else ["."]:
    for name in ("sitecustomize.py", "matplotlibrc", "__pycache__/training.cpython-311.pyc"):
        attempt(lambda: open(f"{folder}/{name}", "a").write(f"#{MARK}"))
""",
        """
import helpers, numpy
own = [os.path.expanduser("~"), os.environ.get("MPLCONFIGDIR", ".")]
for folder in [*helpers.__path__, *numpy.__path__, sys.prefix, *sys.path, *own] if WALLS else ["."]:
    for name in ("sitecustomize.py", "matplotlibrc", "__pycache__/training.cpython-311.pyc"):
        look(f"{folder}/{name}")
""",
    ),
    Across(
        "shared_memory",
        "POSIX shared memory carries a message",
        """
from multiprocessing import shared_memory
def go():
    global block
    block = shared_memory.SharedMemory("left-in-shared-memory", create=True, size=100)
    block.buf[:len(MARK)] = MARK.encode()
attempt(go)
attempt(lambda: open("/dev/shm/left-in-shared-memory-too", "w").write(MARK))
""",
        """
from multiprocessing import shared_memory
block = attempt(shared_memory.SharedMemory, "left-in-shared-memory")
if block and MARK.encode() in bytes(block.buf):
    betrayed("shared memory")
    block.unlink()
look("/dev/shm/left-in-shared-memory-too")
attempt(os.unlink, "/dev/shm/left-in-shared-memory-too")
""",
    ),
    Across(
        "system_v",
        "System V shared memory, a semaphore or a message queue carries a message",
        """
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(0x5EC0DE, 4096, 0o1666)
address = libc.shmat(number, None, 0)
if number >= 0 and address not in (None, 2**64 - 1):
    ctypes.memmove(address, MARK.encode(), len(MARK))
print(number, libc.semget(0x5EC0DE, 1, 0o1666), libc.msgget(0x5EC0DE, 0o1666))
""",
        """
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(0x5EC0DE, 4096, 0)
if number >= 0 or libc.semget(0x5EC0DE, 1, 0) >= 0 or libc.msgget(0x5EC0DE, 0) >= 0:
    betrayed("System V")
    libc.shmctl(number, 0, None), libc.semctl(libc.semget(0x5EC0DE, 1, 0), 0, 0), libc.msgctl(libc.msgget(0x5EC0DE, 0), 0, None)
""",
    ),
    Across(
        "abstract_socket",
        "a socket without a file is spoken to",
        """
def go():
    global server
    server = socket.socket(socket.AF_UNIX)
    server.bind("\\0left-by-the-first")
    server.listen()
    def answer():
        while True:
            attempt(server.accept()[0].sendall, MARK.encode())
    threading.Thread(target=answer, daemon=True).start()
attempt(go)
""",
        """
def go():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    s.connect("\\0left-by-the-first")
    if s.recv(100):
        betrayed("abstract socket")
attempt(go)
""",
    ),
    Across(
        "file_socket",
        "a socket file or a pipe with a name is spoken to",
        """
def go():
    global server
    server = socket.socket(socket.AF_UNIX)
    server.bind("s")
    server.listen()
    def answer():
        while True:
            attempt(server.accept()[0].sendall, MARK.encode())
    threading.Thread(target=answer, daemon=True).start()
attempt(go)
attempt(os.mkfifo, "fifo")
fifo = attempt(os.open, "fifo", os.O_RDWR)
fifo is not None and os.write(fifo, MARK.encode())
print(os.getcwd())
""",
        """
home = told.split()[0]
def go(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    s.connect(path)
    if s.recv(100):
        betrayed(path)
for path in (f"{home}/s", *glob.glob("/proc/[0-9]*/cwd/s")):
    attempt(go, path)
fifo = attempt(os.open, f"{home}/fifo", os.O_RDONLY | os.O_NONBLOCK)
if fifo is not None and attempt(os.read, fifo, 100):
    betrayed("pipe")
""",
    ),
    Across(
        "keyring",
        "the kernel's keyring keeps a secret for the next",
        """
for ring in (-1, -2, -3, -4, -5):
    print(libc.syscall(ctypes.c_long(248), b"user", b"left-by-the-first", MARK.encode(), ctypes.c_size_t(len(MARK)), ctypes.c_int(ring)))
""",
        """
buffer = ctypes.create_string_buffer(100)
for ring in (-1, -2, -3, -4, -5):
    key = libc.syscall(ctypes.c_long(250), 10, ctypes.c_int(ring), b"user", b"left-by-the-first", 0)
    if key > 0:
        betrayed(f"keyring {ring}")
        libc.syscall(ctypes.c_long(250), 9, key, ctypes.c_int(ring))
look("/proc/keys")
""",
    ),
    Across(
        "terminal",
        "a terminal of one is read by the other",
        """
import pty
ends = attempt(os.openpty)
if ends:
    import tty
    tty.setraw(ends[1])
    os.write(ends[0], MARK.encode())
    print(os.ttyname(ends[1]))
""",
        """
for path in {*glob.glob("/dev/pts/[0-9]*"), *told.split()}:
    end = attempt(os.open, path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    if end is not None and (attempt(os.read, end, 100) or path in told.split()):
        betrayed(path)
""",
    ),
    Across(
        "memory_of_the_template",
        "what is imported once is changed for all: modules, functions, numbers, hooks",
        """
import builtins, helpers.checks.core as core, numpy as np, torch
builtins.left_by_the_first = np.left_by_the_first = torch.left_by_the_first = core.left_by_the_first = MARK
sys.modules["left_by_the_first"] = sys
sys.path.insert(0, MARK)
os.register_at_fork(after_in_child=lambda: setattr(builtins, "left_by_the_first", MARK))
signal.signal(signal.SIGUSR2, lambda *_: None)
np.seterr(all="raise"), torch.set_default_dtype(torch.float64)
ctypes.c_uint32.from_address(id(251) + 24).value = 252  # where CPython keeps its own 251
np.pi = 3
""",
        """
import builtins, helpers.checks.core as core, numpy as np, torch
for thing in (builtins, np, torch, core):
    if hasattr(thing, "left_by_the_first"):
        betrayed(thing)
if "left_by_the_first" in sys.modules or MARK in sys.path or np.pi == 3 or np.geterr()["over"] == "raise" or torch.get_default_dtype() != torch.float32:
    betrayed("a module's state")
if signal.getsignal(signal.SIGUSR2) not in (signal.SIG_DFL, None):
    betrayed("signal handler")
if str(int("251")) != "251":
    betrayed("a number")
""",
        company=False,
    ),
    Across(
        "mappings",
        "memory that the two still share is written to",
        """
import mmap
anonymous = mmap.mmap(-1, 4096) if not WALLS else None
def shared():
    for line in open("/proc/self/maps"):
        if line.split()[1][1::2] == "ws":
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            yield start, end - start
for start, size in attempt(lambda: list(shared())) or []:
    ctypes.memmove(start, MARK.encode(), len(MARK))
""",
        """
def shared():
    for line in open("/proc/self/maps"):
        if line.split()[1][1::2] == "ws":
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            yield start, end - start
for start, size in attempt(lambda: list(shared())) or []:
    if MARK.encode() in ctypes.string_at(start, size):
        betrayed(hex(start))
""",
        company=False,
    ),
    Across(
        "environment",
        "a variable is handed on",
        """
os.environ["LEFT_BY_THE_FIRST"] = MARK
libc.setenv(b"LEFT_BY_THE_FIRST_IN_C", MARK.encode(), 1)
""",
        """
libc.getenv.restype = ctypes.c_char_p
if MARK in os.environ.values() or libc.getenv(b"LEFT_BY_THE_FIRST_IN_C"):
    betrayed("environment")
for path in glob.glob("/proc/[0-9]*/environ"):
    look(path)
if "CANARY_ACROSS" in os.environ or any(b"CANARY_ACROSS" in (attempt(lambda: open(p, "rb").read()) or b"") for p in glob.glob("/proc/[0-9]*/environ")):
    betrayed("the grader's environment")
""",
    ),
    Across(
        "random_state",
        "unseeded numbers are the same for both",
        """
import numpy as np, tempfile, torch, uuid
torch.rand(1)  # which begins alike in every process, with or without a template
print(*(random.random(), np.random.rand(), np.random.default_rng().random(), os.urandom(4).hex(), uuid.uuid4(), tempfile.mktemp()))
random.seed(1), np.random.seed(1), torch.manual_seed(1)
libc.srand(1)
""",
        """
import numpy as np, tempfile, torch, uuid
same = random.Random(1).random(), np.random.RandomState(1).rand(), torch.rand(1, generator=torch.Generator().manual_seed(1)).item()
draws = random.random(), np.random.rand(), np.random.default_rng().random(), os.urandom(4).hex(), uuid.uuid4(), tempfile.mktemp()
for draw in (*draws, torch.rand(1).item()):
    if str(draw) in told.split() or draw in same:
        betrayed(draw)
""",
    ),
    Across(
        "processes",
        "a process of the one is seen by the other, or outlives its kernel",
        """
program = f"import time; time.sleep({60 if WALLS else 5})  # " + MARK
for options in ({}, {"start_new_session": True}):
    attempt(lambda: subprocess.Popen([sys.executable, "-c", program], **options))
if os.fork() == 0:
    attempt(os.setsid)
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    os._exit(0)
time.sleep(0.5)
""",
        """
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if path.split("/")[2] != str(os.getpid()):
        look(path)
""",
    ),
    Across(
        "signals",
        "the other, the template or the grader can be signalled",
        """
print(os.getpid(), os.getppid(), os.getpgid(0), attempt(os.getpgid, os.getppid()))
""",
        """
tasks = glob.glob("/proc/self/task/*" if WALLS == "landlock" else "/proc/[0-9]*/task/*")
family = {os.getpid(), *(int(os.path.basename(path)) for path in tasks)}
strangers = {*map(int, re.findall("[0-9]+", told)), os.getppid(), *range(2, 400), HOST} - {0, 1}
for pid in strangers - family:
    for action in (
        lambda: os.kill(pid, 0),
        lambda: os.killpg(pid, 0),
        lambda: os.kill(pid, signal.SIGCONT),
        lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 0),
    ):
        try:
            action()
        except OSError:
            continue
        betrayed(f"{pid} can be signalled")
        break
""",
        alone=False,
    ),
    Across(
        "memory_of_others",
        "memory or descriptors of the other, the template or the grader are read",
        """
secret = ctypes.create_string_buffer(MARK.encode())
print(os.getpid(), os.getppid(), ctypes.addressof(secret), len(MARK))
""",
        """
numbers = [int(x) for x in told.split()[:4]]
address, size = numbers[2:]
class Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))
buffer = ctypes.create_string_buffer(size)
for pid in {numbers[0], numbers[1], os.getppid(), HOST} - {os.getpid()}:
    here, there = Piece(ctypes.addressof(buffer), size), Piece(address, size)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0 or MARK.encode() in buffer.raw:
        betrayed(f"process_vm_readv {pid}")
    if libc.ptrace(16, pid, None, None) == 0:
        betrayed(f"ptrace {pid}")
    if pid == 1:  # which is this kernel's own first process
        continue
    for what in ("maps", "environ", "fd/3", "fd/0", "root/bin/sh", "cwd/log"):
        if attempt(lambda: open(f"/proc/{pid}/{what}", "rb").read(1)):
            betrayed(f"/proc/{pid}/{what}")
    if attempt(os.open, f"/proc/{pid}/mem", os.O_RDWR):
        betrayed(f"/proc/{pid}/mem")
    pidfd = libc.syscall(ctypes.c_long(434), pid, 0)
    if pidfd >= 0 and libc.syscall(ctypes.c_long(438), pidfd, 3, 0) >= 0:
        betrayed(f"pidfd_getfd {pid}")
""",
        alone=False,
    ),
    Across(
        "descriptors",
        "something that is still open reaches the template, the grader or the other",
        """
import fcntl
for number in (1, 2):  # an open file that both hold has one offset for both
    attempt(os.lseek, number, 12345, 0)
attempt(fcntl.fcntl, 0, fcntl.F_SETFL, os.O_NONBLOCK)
""",
        """
import fcntl
for number in (1, 2):
    if attempt(os.lseek, number, 0, 1) == 12345:
        betrayed("an open file is shared")
if attempt(lambda: fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK):
    betrayed("standard input is shared")
for number in filter(lambda number: attempt(os.fstat, number), range(3, 1024)):
    target = attempt(os.readlink, f"/proc/self/fd/{number}") or ""
    if attempt(os.listdir, number) or stat.S_ISDIR(os.fstat(number).st_mode):  # ".." leads to the others
        betrayed(f"an open folder {target}")
    kind = ctypes.c_int()
    libc.getsockopt(number, socket.SOL_SOCKET, socket.SO_TYPE, ctypes.byref(kind), ctypes.byref(ctypes.c_int(4)))
    if kind.value == socket.SOCK_SEQPACKET:
        betrayed(f"the template's socket {target}")
    if target.endswith("/spec.json") or target.endswith("/log") and target != os.path.abspath("../log"):
        betrayed(target)
""",
    ),
    Across(
        "false_request",
        "the template is asked for a kernel without walls",
        """
request = json.dumps({"spec": {"confinement": "unsafe", "limits": {}, "work": "/"}, "environment": {"LEFT": MARK}}).encode()
for number in range(0, 1024):
    kind = ctypes.c_int()
    libc.getsockopt(number, socket.SOL_SOCKET, socket.SO_TYPE, ctypes.byref(kind), ctypes.byref(ctypes.c_int(4)))
    if kind.value in (0, socket.SOCK_STREAM):  # not one; or the kernel's own, to which nobody else listens
        continue
    def go():
        with socket.socket(fileno=os.dup(number)) as s:
            a, b = socket.socketpair()
            socket.send_fds(s, [request], [b.fileno(), 2, b.fileno()])
            a.settimeout(1)
            if b"ready" in a.recv(100):
                print("SERVED")
    attempt(go)
for path in glob.glob("/proc/[0-9]*/fd/*"):
    if not path.startswith((f"/proc/{os.getpid()}/", "/proc/self/")):
        attempt(lambda: open(path, "wb", 0).write(request))
""",
        """
if "SERVED" in told:
    betrayed("the template served a student")
""",
        alone=False,
        company=False,
    ),
    Across(
        "template_made_to_die",
        "memory, descriptors or processes run out until the template ends",
        """
held = []
for _ in range(600):
    pair = attempt(os.pipe)
    held += pair or []
for _ in range(60):
    child = attempt(os.fork)
    if child == 0:
        time.sleep(1.5)
        os._exit(0)
blocks = [bytearray(100_000_000) for _ in range(20)]
time.sleep(1)
""",
        "",
        alone=False,
        company=False,
    ),
    Across(
        "limits_of_others",
        "limits, priority or oom score of the template are changed",
        """
import resource
if WALLS:
    attempt(resource.prlimit, os.getppid(), resource.RLIMIT_NOFILE, (10, 10))
    attempt(os.setpriority, os.PRIO_PROCESS, os.getppid(), 19)
    attempt(lambda: open(f"/proc/{os.getppid()}/oom_score_adj", "w").write("1000"))
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
""",
        """
import resource
if resource.getrlimit(resource.RLIMIT_NOFILE) != (512, 512):
    betrayed("the number of open files")
if os.getpriority(os.PRIO_PROCESS, 0) != PRIORITY:
    betrayed("priority")
""",
        company=False,
    ),
    Across(
        "first_process",
        "the first process of the kernel's own world is taken over",
        """
if WALLS == "bubblewrap":
    print(libc.ptrace(16, 1, None, None))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    WALLS == "bubblewrap" and attempt(os.kill, 1, number)
print("alive")
""",
        """
if "alive" not in told or told.split()[0] == "0":
    betrayed("the first process died or was traced")
""",
        alone=False,
        company=False,
    ),
    Across(
        "namespaces",
        "a namespace of the template's or of the other's is entered",
        """
print(*(attempt(os.readlink, f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "net", "ipc", "uts")))
""",
        """
theirs = told.split()
ours = [attempt(os.readlink, f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "net", "ipc", "uts")]
if WALLS == "bubblewrap" and BESIDE and {*ours} & {*theirs}:  # numbers of what is gone are given anew
    betrayed(f"one namespace for both: {({*ours} & {*theirs})}")
for path in glob.glob("/proc/[0-9]*/ns/*"):
    fd = attempt(os.open, path, 0)
    if fd is not None and libc.setns(fd, 0) == 0:
        betrayed(path)
for flag in (0x10000000, 0x20000, 0x40000000):
    if libc.unshare(flag) == 0:
        betrayed(f"unshare {flag:x}")
""",
    ),
]


def harm(way: str, attacks: Sequence[Across], host: int) -> dict[str, list[str]]:
    """Let a first submission attack, and look for harm in a second one beside it and in a third after it.

    Args:
        way: sandbox, and "warm" or "cold": "landlock warm".
        attacks: which, all by the same first submission, one after the other.
        host: number of a process of the grader's that must not be reached.

    Returns:
        For each attack what was betrayed; empty if nothing was.
    """
    walls, how = way.split()
    marks = {attack.name: f"MARK-{walls}-{how}-{attack.name}-{os.getpid()}" for attack in attacks}
    found: dict[str, list[str]] = {attack.name: [] for attack in attacks}

    async def session() -> None:
        templates = []

        async def enter(stack: contextlib.AsyncExitStack) -> StudentKernel:
            kernel = student_kernel(confinement(walls, how == "warm"), LIMITS, [], LIMITS.notebook_wall)
            entered = await stack.enter_async_context(kernel)
            templates.append(getattr(entered._process, "template", None))
            return entered

        async with contextlib.AsyncExitStack() as life:
            told = dict.fromkeys(marks, "")
            first, alive = await enter(life), ""
            try:
                for attack in attacks:
                    source = begin(marks[attack.name], walls, host) + attack.first
                    told[attack.name] = await _said(first, _apart(source))
                alive = await _said(first, "print('honest', 6 * 7)")
            except KernelGone as gone:
                alive = str(gone)
            if (
                len(attacks) > 1 and "honest 42" not in alive
            ):  # which of them ended it, the others cannot know
                for name in found:
                    found[name].append(f"the first did not come to its end ({alive}): {told[name][-500:]}")
            for beside in (True, False):
                if not beside:
                    await life.aclose()
                where = "beside the first" if beside else "after it"
                async with contextlib.AsyncExitStack() as stack:
                    kernel = await enter(stack)
                    for attack in attacks:
                        name = attack.name
                        second = begin(marks[name], walls, host, beside, told[name]) + attack.second
                        said = await _said(kernel, _apart(f"{second}\nprint('honest', 6 * 7)"))
                        found[name].extend(
                            f"{where}: {line}" for line in said.splitlines() if "BETRAYED" in line
                        )
                        if "honest 42" not in said:
                            found[name].append(f"{where}: the second did not come to its end: {said[-500:]}")
        if how == "warm" and (None in templates or len(set(templates)) > 1):
            for name in found:
                found[name].append("the template died")

    asyncio.run(session())
    lines = _command_lines()
    for name, mark in marks.items():
        if any(mark.encode() in line for line in lines):
            found[name].append("a process was left behind")
    return found


def companies() -> list[tuple[Across, ...]]:
    """The attacks by the kernels that they share: one company, and everyone else alone."""
    return [tuple(a for a in ATTACKS if a.company), *((a,) for a in ATTACKS if not a.company)]


def betrayed_alone(attacks: Sequence[Across]) -> set[str]:
    """Tell which attacks betray themselves where nothing stands between first and second: in one process without walls."""
    marks = {attack.name: f"MARK-alone-{attack.name}-{os.getpid()}" for attack in attacks}
    firsts = {attack.name: begin(marks[attack.name]) + attack.first for attack in attacks}
    seconds = {attack.name: (begin(marks[attack.name]), attack.second) for attack in attacks}
    source = f"""
import contextlib, io
kept, told = [], {{}}
for name, first in {firsts!r}.items():
    with contextlib.redirect_stdout(shown := io.StringIO()):
        exec(first, names := {{}})
    kept.append(names)
    told[name] = shown.getvalue()
for name, (begin, second) in {seconds!r}.items():
    with contextlib.redirect_stdout(shown := io.StringIO()):
        exec(begin + "told = " + repr(told[name]) + second, {{}})
    if "BETRAYED" in shown.getvalue():
        print("this one:", name)
"""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, "-c", source],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    return {attack.name for attack in attacks if f"this one: {attack.name}\n" in run.stdout}


def begin(mark: str, walls: str = "", host: int = 0, beside: bool = True, told: str = "") -> str:
    """What stands before each source: its words, and what it knows."""
    known = {
        "MARK": mark,
        "WALLS": walls,
        "HOST": host,
        "BESIDE": beside,
        "PRIORITY": os.getpriority(os.PRIO_PROCESS, 0),
        "told": told,
    }
    return BEGIN + "".join(f"{name} = {value!r}\n" for name, value in known.items())


def _apart(source: str) -> str:
    """A cell that runs a source among names of its own, which stay: two attacks may call something alike."""
    return f"kept = [*globals().get('kept', ()), {{}}]\nexec({source!r}, kept[-1])"


async def _said(kernel: StudentKernel, source: str) -> str:
    """What a cell prints and raises."""
    outputs, stopped = await kernel.run(source)
    return "".join(o.get("text", "") or json.dumps(o.get("traceback", "")) for o in outputs) + stopped


def _command_lines() -> list[bytes]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return found
