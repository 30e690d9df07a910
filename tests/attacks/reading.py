"""Read secrets: hidden tests, solutions, the gradebook, other submissions, the grader's environment and memory.

Each secret carries the word CANARY and a name; success is that such a word appears in an output that the student gets to see.
"""

from __future__ import annotations

from tests.attacks import Attack

SHOW = """
import glob, os, re, sys
def show(text):
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for word in set(re.findall("CANA" + "RY-[a-z-]+", str(text))):
        print("found", word)
def double(x): return None
def attempt(action, *args):
    try:
        return action(*args)
    except Exception as error:
        print(type(error).__name__)
"""
READ = "def read(path):\n    show(open(path, 'rb').read())\n"


def _attack(name: str, goal: str, source: str) -> Attack:
    return Attack(name, goal, SHOW + READ + source)


ATTACKS = [
    _attack(
        "history",
        "hidden tests stand in the kernel's history",
        """
def greet(name):
    shell = get_ipython()
    show(shell.user_ns.get("In"))
    show(list(shell.history_manager.get_range(output=False)))
    return "no"
def peek(*_):
    show(get_ipython().user_ns.get("In"))
    show(getattr(get_ipython().kernel, "_parent_header", ""))
get_ipython().events.register("post_run_cell", peek)
""",
    ),
    _attack(
        "cell_as_it_comes",
        "a hook sees the source of every cell before it runs",
        "get_ipython().events.register('pre_run_cell', lambda info: show(info.raw_cell))\n",
    ),
    _attack(
        "message_as_it_comes",
        "the kernel's session sees every message",
        """
session = get_ipython().kernel.session
original = session.deserialize
def deserialize(*a, **k):
    message = original(*a, **k)
    show(message)
    return message
session.deserialize = deserialize
unpack = session.unpack
session.unpack = lambda s: (show(s), unpack(s))[1]
""",
    ),
    _attack(
        "frames",
        "the frames of the check hold its names and its source",
        """
def greet(name):
    import inspect, linecache
    frame = sys._getframe()
    while frame:
        show(frame.f_locals)
        show(frame.f_globals.get("hidden"))
        show(attempt(inspect.getsource, frame))
        frame = frame.f_back
    show(linecache.cache)
    raise ValueError("no")
double = extremes = greet
""",
    ),
    _attack(
        "memory_of_objects",
        "an object of the checker's is found by the garbage collector",
        """
def greet(name):
    import gc
    for thing in gc.get_objects():
        if isinstance(thing, (dict, list)):
            show(attempt(repr, thing))
    return "no"
""",
    ),
    _attack(
        "notebook_beside",
        "the notebook with the hidden tests lies in the work folder",
        "for path in glob.glob('**', recursive=True) + glob.glob('../**/*.ipynb', recursive=True):\n    attempt(read, path)\n",
    ),
    _attack(
        "solutions",
        "the solutions are read from the disk",
        "for path in glob.glob('@ROOT@/solutions/**', recursive=True) + ['@ROOT@/solutions/01_toy/01_toy.py']:\n    attempt(read, path)\n",
    ),
    _attack(
        "gradebook", "the gradebook is read from the disk", "attempt(read, '@ROOT@/classroom/gradebook.db')\n"
    ),
    _attack(
        "other_submission",
        "another student's work is read from the disk",
        "attempt(read, '@ROOT@/classroom/submitted/zoe/01_toy/01_toy.ipynb')\n",
    ),
    _attack("key_file", "a private file of the grader's is read", "attempt(read, '@ROOT@/private.key')\n"),
    _attack(
        "environment",
        "a password in the grader's environment is handed on",
        "show(os.environ)\nattempt(read, '/proc/self/environ')\n",
    ),
    _attack(
        "environment_of_others",
        "the environment of the grader's processes is read from /proc",
        "for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n    attempt(read, path)\n",
    ),
    _attack(
        "root_of_others",
        "the grader's disk is reached through /proc/PID/root or its open files",
        """
for path in glob.glob('/proc/[0-9]*/root@ROOT@/private.key') + ['/proc/self/root@ROOT@/private.key', '/proc/1/root@ROOT@/private.key']:
    attempt(read, path)
for path in glob.glob('/proc/[0-9]*/cwd/private.key') + glob.glob('/proc/[0-9]*/fd/*')[:2000]:
    if attempt(os.path.isfile, path):
        attempt(read, path)
""",
    ),
    _attack(
        "link",
        "a link to a secret is read in its place",
        "attempt(os.symlink, '@ROOT@/private.key', 'a')\nattempt(read, 'a')\nattempt(os.link, '@ROOT@/private.key', 'b')\nattempt(read, 'b')\n",
    ),
    _attack(
        "shell",
        "a program reads what Python may not",
        "import subprocess\nfor path in ('private.key', 'classroom/gradebook.db', 'solutions/01_toy/01_toy.py'):\n    show(attempt(subprocess.getoutput, 'cat @ROOT@/' + path))\nshow(attempt(subprocess.getoutput, 'env; ps auxwwe'))\n",
    ),
    _attack(
        "libc",
        "libc opens what Python may not",
        """
import ctypes
libc = ctypes.CDLL(None)
for path in (b"@ROOT@/private.key", b"@ROOT@/solutions/01_toy/01_toy.py"):
    fd = libc.open(path, 0)
    buffer = ctypes.create_string_buffer(100000)
    libc.read(fd, buffer, 100000)
    show(buffer.raw)
""",
    ),
    _attack(
        "memory_of_the_parent",
        "the grader's memory is read through ptrace, process_vm_readv or /proc/PID/mem",
        """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in (os.getppid(), @PID@):
    print(libc.ptrace(16, pid, 0, 0))
    for line in attempt(lambda: open(f"/proc/{pid}/maps").read().splitlines()) or []:
        if "[heap]" in line:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(start)
                show(memory.read(end - start))
""",
    ),
    _attack(
        "mounts",
        "the grader's disk is mounted or its namespace entered",
        """
import ctypes, subprocess
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), libc.unshare(0x00020000))
os.makedirs("m", exist_ok=True)
print(libc.mount(b"@ROOT@", b"m", None, 4096, None))
for pid in (1, os.getppid(), @PID@):
    fd = attempt(os.open, f"/proc/{pid}/ns/mnt", 0)
    if fd is not None:
        print(libc.setns(fd, 0))
show(attempt(subprocess.getoutput, "unshare -rm cat @ROOT@/private.key; nsenter -t @PID@ -m cat @ROOT@/private.key"))
attempt(read, "@ROOT@/private.key")
attempt(read, "m/private.key")
""",
    ),
    _attack(
        "chroot",
        "the walls are left by chroot and ..",
        "attempt(os.chroot, '/')\nattempt(os.chdir, '/')\nfor _ in range(50):\n    attempt(os.chdir, '..')\nattempt(read, '.@ROOT@/private.key')\n",
    ),
    _attack(
        "imports",
        "the instructor's modules and tests are imported",
        "for name in ('course.grading.checker.trusted', 'tests.attacks.toy', 'tests.attacks.reading', 'course.grading.grade'):\n    try:\n        module = __import__(name, fromlist=['x'])\n        attempt(read, module.__file__)\n        print(module.__name__, 'CANA' + 'RY-imported' if name.startswith(('tests', 'course.grading.g')) else '')\n    except Exception as error:\n        print(type(error).__name__)\n",
    ),
    _attack(
        "hint",
        "an exception carries the check's source into the hint",
        "import traceback\ndef greet(name):\n    raise ValueError(''.join(traceback.format_stack()) + str(sys._getframe(1).f_globals.get('hidden')))\ndouble = extremes = greet\n",
    ),
    _attack(
        "open_files",
        "a file that the grader has open is inherited",
        """
for fd in range(3, 256):
    try:
        os.lseek(fd, 0, 0)
        show(os.read(fd, 1000000))
    except OSError:
        pass
""",
    ),
]
