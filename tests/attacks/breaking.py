"""Break the grader: stop it, slow it, fill it, change its files, leave something behind.

Success is one of: a submission that ends later than its budget, a class in which somebody else is not graded in full, a
decoy of the grader's that is changed or gone, a process that outlives grading, or more memory, processes or disk than allowed
at one time. Each attack is bounded by itself, so that it is harmless where it succeeds.
"""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from tests.attacks import Attack

# What a greedy attack reports when it got more than the limits allow.
GREEDY = "def got(what):\n    import pathlib\n    print('G' + 'OT ' + what)\n"


def _attack(name: str, goal: str, source: str) -> Attack:
    return Attack(name, goal, "def double(x): return None\n" + GREEDY + source)


def _huge_metadata(notebook: NotebookNode) -> None:
    notebook.metadata["x"] = {"deep": ["a" * 1000] * 2000}
    cell = new_code_cell("pass")
    cell.metadata = {"tags": 5, "nbgrader": {"grade_id": ["list"]}}
    notebook.cells.append(cell)


def _many_cells(notebook: NotebookNode) -> None:
    notebook.cells += [new_code_cell("x = 1") for _ in range(1500)]


def _terminal_codes(notebook: NotebookNode) -> None:
    cell = new_code_cell("print('\\x1b]0;owned\\x07\\x00')")
    cell.outputs = [new_output("stream", text="\x1b[2J\x1b]0;owned\x07")]
    notebook.cells.append(cell)


ATTACKS = [
    _attack("endless", "a loop never ends", "while True: pass\n"),
    _attack(
        "endless_in_the_answer",
        "an answer never returns",
        "def double(x):\n    while True: pass\ngreet = extremes = double\n",
    ),
    _attack("asleep", "a cell sleeps for hours", "import time\ntime.sleep(36000)\n"),
    _attack(
        "deaf",
        "a loop swallows every interrupt",
        "import time\nwhile True:\n    try:\n        while True: time.sleep(0.01)\n    except BaseException: pass\n",
    ),
    _attack(
        "signals_ignored",
        "interrupts and terminations are ignored",
        "import signal\nfor s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)\nwhile True: pass\n",
    ),
    _attack("busy_in_c", "a computation in C cannot be interrupted", "x = 7 ** (10 ** 8)\n"),
    _attack(
        "stopped",
        "the kernel stops itself without ending",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n",
    ),
    _attack("exit", "the kernel exits", "import os\nos._exit(0)\n"),
    _attack("polite_exit", "the kernel is asked to exit", "exit()\n"),
    _attack(
        "exit_in_the_answer",
        "an answer ends the kernel",
        "import os\ndef double(x): os._exit(0)\ngreet = extremes = double\n",
    ),
    _attack("segfault", "the kernel reads where nothing is", "import ctypes\nctypes.string_at(0)\n"),
    _attack(
        "late_exit",
        "the kernel exits a moment later, in some other cell",
        "import os, threading\nthreading.Timer(0.3, os._exit, [0]).start()\n",
    ),
    _attack(
        "memory",
        "more than 2 GB are taken",
        "blocks = []\nfor _ in range(30):\n    blocks.append(bytearray(100_000_000))\n    if len(blocks) > 20: got('2 GB')\nimport time; time.sleep(1); got('2 GB')\n",
    ),
    _attack(
        "memory_at_once",
        "32 GB are taken in one go",
        "import numpy as np\nx = np.empty(4 * 10 ** 9); got('32 GB')\n",
    ),
    _attack(
        "memory_of_children",
        "ten children take 300 MB each",
        "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        x = bytearray(300_000_000)\n        time.sleep(4)\n        os._exit(0)\ntime.sleep(3)\ngot('3 GB')\n",
    ),
    _attack(
        "memory_in_files",
        "memory is held in files that no process maps",
        "import os\nfor _ in range(25):\n    fd = os.memfd_create('x')\n    for _ in range(10): os.write(fd, bytes(10_000_000))\ngot('2.5 GB')\n",
    ),
    _attack(
        "forks",
        "300 processes run at a time",
        "import os, time\nn = 0\nwhile n < 300:\n    if os.fork() == 0:\n        time.sleep(3)\n        os._exit(0)\n    n += 1\ntime.sleep(0.5)\ngot('300 processes')\n",
    ),
    _attack(
        "threads",
        "1500 threads run at a time",
        "import threading, time\nfor _ in range(1500): threading.Thread(target=time.sleep, args=(3,), daemon=True).start()\ntime.sleep(0.5)\ngot('1500 threads')\n",
    ),
    _attack(
        "disk",
        "500 MB are written",
        "for i in range(50):\n    with open(f'f{i}', 'wb') as f: f.write(bytes(10_000_000))\ngot('500 MB')\n",
    ),
    _attack(
        "disk_unseen",
        "500 MB are written to files that are deleted but open",
        "import os\nheld = []\nfor i in range(50):\n    f = open('f', 'wb'); os.unlink('f'); f.write(bytes(10_000_000)); f.flush(); held.append(f)\nimport time; time.sleep(0.5)\ngot('500 MB')\n",
    ),
    _attack(
        "disk_of_the_log",
        "500 MB are written where programs write what they print",
        "import os\nfor i in range(50): os.write(1, bytes(10_000_000))\ngot('500 MB')\n",
    ),
    _attack(
        "many_files",
        "20,000 files are made",
        "import os, time\nfor i in range(20000): open(f'f{i}', 'w').close()\ntime.sleep(0.5)\ngot('20,000 files')\n",
    ),
    _attack(
        "deep_folders",
        "folders nested so deep that cleaning up fails",
        "import os\nfor i in range(3000):\n    os.mkdir('d'); os.chdir('d')\n",
    ),
    _attack("flood", "50 MB are printed", "for _ in range(5000): print('x' * 10000)\n"),
    _attack("one_large_output", "one output has 60 MB", "print('x' * 60_000_000)\n'y' * 60_000_000\n"),
    _attack(
        "many_outputs",
        "20,000 outputs",
        "from IPython.display import display\nfor i in range(20000): display(i)\n",
    ),
    _attack(
        "surrogates",
        "text that no file can hold",
        "print('\\ud800'); '\\udfff'\nraise ValueError('\\ud800')\n",
    ),
    _attack(
        "surrogates_in_the_answer",
        "the same in a hint",
        "def double(x): raise ValueError('\\ud800\\x00')\ngreet = double\ndef extremes(v): return '\\ud800'\n",
    ),
    _attack(
        "not_messages",
        "messages that are none",
        "session = get_ipython().display_pub.session\nfor content in ([], {}, {'data': 5}, {'name': 5, 'text': []}, {'traceback': None}, {'execution_state': []}):\n    for kind in ('stream', 'error', 'display_data', 'status', 'clear_output', 'comm_open', 'update_display_data', 'nothing'):\n        session.send(None, kind, content)\nfor _ in range(100):\n    for message in ('{', '{}', '{\"kind\": []}', '{' + '[' * 100000, '{\"kind\": \"stream\", \"content\": null}'): session.tell(message)\n",
    ),
    _attack(
        "questions_closed",
        "the grader waits for an answer over a socket that is closed",
        "get_ipython().display_pub.session._connection.close()\n",
    ),
    _attack(
        "questions_swallowed",
        "a thread takes the questions away and answers none",
        "import threading\nline = get_ipython().display_pub.session._connection\ndef swallow():\n    while line.recv(100): pass\nthreading.Thread(target=swallow, daemon=True).start()\n",
    ),
    _attack(
        "answer_without_end",
        "an answer of 4 GB is announced and never comes",
        "get_ipython().display_pub.session._connection.sendall(b'\\xff\\xff\\xff\\xf0' + b'x' * 1000)\n",
    ),
    _attack(
        "half_an_answer",
        "an answer breaks off in the middle",
        "line = get_ipython().display_pub.session._connection\nline.sendall(b'\\0\\0\\1\\0' + b'x' * 100)\nline.shutdown(1)\n",
    ),
    _attack(
        "answers_by_the_gigabyte",
        "answers that nobody asked for fill the grader's memory",
        "import threading\nline = get_ipython().display_pub.session._connection\ndef pour():\n    while True: line.sendall(b'\\0\\0\\0\\4null' * 100_000)\nthreading.Thread(target=pour, daemon=True).start()\n",
    ),
    _attack(
        "deep_reply",
        "a reply nested 100,000 deep",
        "import sys\nfor name, module in list(sys.modules.items()):\n    if name.endswith('studentside'):\n        module.serve = lambda message: '[' * 100000\n",
    ),
    _attack(
        "large_reply",
        "an answer of 2 GB, claimed or real",
        "import numpy as np\ndef double(x): return np.zeros(2 * 10 ** 7)\ndef greet(n): return 'x' * 10 ** 8\ndef extremes(v): return [0] * 10 ** 7\n",
    ),
    _attack(
        "endless_answer",
        "an answer that never ends being read",
        "import itertools\ndef double(x): return itertools.count()\ndef greet(n):\n    class Long:\n        def __len__(self): return 2 ** 31 - 1\n        def __getitem__(self, i): return 0\n    return Long()\nextremes = double\n",
    ),
    _attack(
        "nested_answer",
        "an answer that contains itself",
        "loop = []\nloop.append(loop)\ndef double(x): return loop\ngreet = extremes = double\n",
    ),
    _attack(
        "hostile_exception",
        "an exception whose text raises, and whose name is a page long",
        "class Odd(Exception):\n    def __str__(self): raise MemoryError\nOdd.__name__ = 'x' * 10 ** 6\ndef double(x): raise Odd\ngreet = extremes = double\n",
    ),
    _attack(
        "decoy_deleted",
        "the grader's files are deleted",
        "import shutil, os\nshutil.rmtree('@DECOYS@', ignore_errors=True)\n",
    ),
    _attack(
        "decoy_changed",
        "the grader's files are changed",
        "import os\nfor a in (lambda: open('@DECOYS@/file', 'w').write('owned'), lambda: os.truncate('@DECOYS@/file', 0), lambda: os.rename('@DECOYS@/file', '@DECOYS@/gone')):\n    try: a()\n    except Exception as e: print(type(e).__name__)\n",
    ),
    _attack(
        "decoy_modes",
        "mode and time of the grader's files are changed",
        "import os\nfor a in (lambda: os.chmod('@DECOYS@/file', 0), lambda: os.utime('@DECOYS@/file', (1, 1)), lambda: os.chmod('@DECOYS@', 0o777), lambda: os.setxattr('@DECOYS@/file', 'user.x', b'1')):\n    try: a()\n    except Exception as e: print(type(e).__name__)\n",
    ),
    _attack(
        "decoy_by_program",
        "a program changes the grader's files",
        "import subprocess\nprint(subprocess.getoutput('echo owned > @DECOYS@/file; rm -rf @DECOYS@; touch @DECOYS@/new'))\n",
    ),
    _attack(
        "gradebook_written",
        "grades are written into the gradebook",
        "import sqlite3\ntry:\n    db = sqlite3.connect('@ROOT@/classroom/gradebook.db'); db.execute('update grade set manual_score = 4'); db.commit()\nexcept Exception as e: print(type(e).__name__)\n",
    ),
    _attack(
        "victim_killed",
        "a process of the grader's is killed",
        "import os, signal\nfor a in (lambda: os.kill(@PID@, 9), lambda: os.kill(@PID@, signal.SIGSTOP), lambda: signal.pidfd_send_signal(os.pidfd_open(@PID@), 9)):\n    try: a()\n    except Exception as e: print(type(e).__name__)\n",
    ),
    _attack(
        "survivor",
        "a process outlives grading",
        "import subprocess\nfor options in ({}, {'start_new_session': True}):\n    try: subprocess.Popen(['sleep', '@NAP@'], **options)\n    except Exception as e: print(type(e).__name__)\nsubprocess.getoutput('nohup setsid sleep @NAP@ >/dev/null 2>&1 &')\n",
    ),
    _attack(
        "daemon",
        "a process forked twice outlives grading",
        "import os, time\nif os.fork() == 0:\n    try: os.setsid()\n    except OSError: pass\n    if os.fork() == 0:\n        os.execvp('sleep', ['sleep', '@NAP@'])\n    os._exit(0)\ntime.sleep(0.3)\n",
    ),
    _attack("sockets_taken", "the kernel's own sockets are closed", "import os\nos.closerange(3, 256)\n"),
    _attack(
        "priority",
        "the grader is slowed by its priority",
        "import os\nfor a in (lambda: os.setpriority(os.PRIO_PROCESS, @PID@, 19), lambda: os.sched_setaffinity(@PID@, {0})):\n    try: a()\n    except Exception as e: print(type(e).__name__)\n",
    ),
    Attack("huge_metadata", "metadata that no grader expects", notebook=_huge_metadata),
    Attack("many_cells", "1,500 cells", notebook=_many_cells),
    Attack("terminal_codes", "codes that take over the instructor's terminal", notebook=_terminal_codes),
]
