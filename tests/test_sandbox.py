"""The walls around the student's kernel: each kind that this machine allows, from inside and from outside."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from course import doctor
from course.config import load_course
from course.grading import kernel as kernels
from course.grading import template
from course.grading.bridge import launcher
from course.grading.kernel import KernelGone, MachineFault, student_kernel
from course.grading.outputs import Outputs, clean
from course.grading.sandboxes import choose
from course.grading.sandboxes.choose import SandboxUnavailable, confinement, kernel_folder
from course.grading.sandboxes.places import BRIDGE, COURSE, readable, without
from course.grading.template import Forked, Templates
from course.grading.watch import excess, family
from course.model import Confinement, CourseError, Limits

ROOT = COURSE.parent
QUICK = Limits(cell_cpu=3, cell_wall=10, notebook_wall=300, interrupted=1, memory=500 << 20)


def standing() -> list[str]:
    """The walls that this machine allows."""
    found = []
    for name in (s.name for s in choose.available().values() if s.rank is not None):
        try:
            found.append(confinement(name).name)
        except SandboxUnavailable:
            continue
    return found


WALLS = standing()
WAYS = [f"{walls} {how}" for walls in WALLS for how in ("cold", "warm")]


def test_some_walls_stand_here():
    assert WALLS, "neither bubblewrap nor Landlock works on this machine"
    assert confinement().name == WALLS[0]


def run(way: str, *cells: str, limits: Limits = QUICK) -> list[str]:
    """Run cells behind walls, such as "landlock warm"; give the text that each of them shows."""
    walls, how = way.split()

    async def session() -> list[str]:
        shown = []
        async with student_kernel(
            confinement(walls, how == "warm"), limits, [], limits.notebook_wall
        ) as kernel:
            assert isinstance(kernel._process, Forked) == (how == "warm")
            for cell in cells:
                outputs, _ = await kernel.run(cell)
                shown.append(
                    "".join(
                        o.get("text", "") or o.get("evalue", "") or o.get("data", {}).get("text/plain", "")
                        for o in outputs
                    )
                )
        return shown

    return asyncio.run(session())


@pytest.fixture(scope="module", params=WAYS)
def told(request, tmp_path_factory) -> dict:
    """What code behind one kind of walls finds out, asked once."""
    (tmp_path_factory.mktemp("secret") / "file").write_text("secret")
    (shown,) = run(request.param, PROBE.replace("@ROOT@", str(ROOT)))
    return json.loads(shown)


PROBE = """
import ctypes, errno, json, os, signal, socket, sys

def outcome(action, *args):
    try:
        action(*args)
        return "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")

def syscall(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(*map(ctypes.c_long, args))
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]

import helpers.checks
answers = {
    "read": {p: outcome(open, "@ROOT@/" + p) for p in ("pyproject.toml", "solutions", "tests/test_sandbox.py", "course/grading/grade.py", "nbgrader_config.py")},
    "list": {p: outcome(os.listdir, p) for p in ("@ROOT@", "@ROOT@/tests", "/root", "/home", "/tmp", "/var", "/etc/ssh")},
    "write": {p: outcome(open, p, "w") for p in ("@ROOT@/helpers/new.py", "/usr/new", "/tmp/new", "@ROOT@/new", "/etc/new", sys.prefix + "/new", "../new", "../log")},
    "own": outcome(open, "own.txt", "w"),
    "helpers": open(helpers.checks.__file__).read(10) != "",
    "environment": sorted(os.environ),
    "sockets": {str(f): outcome(socket.socket, f, k) for f, k in ((2, 1), (2, 2), (10, 1), (16, 3), (17, 3), (40, 1), (1, 2), (1, 5))},
    "pair": outcome(socket.socketpair),
    "calls": {name: syscall(*numbers) for name, numbers in {
        "ptrace": (101, 16, os.getppid(), 0, 0), "mount": (165, 0, 0, 0, 0, 0), "unshare": (272, 0x10000000), "bpf": (321, 0, 0, 0),
        "keyctl": (250, 0, 0, 0, 0), "io_uring": (425, 1, 0), "userfaultfd": (323, 0), "memfd": (319, 0, 0), "connect": (42, 0, 0, 0),
        "setsid": (112,), "shmget": (29, 0, 4096, 0o600), "pidfd": (434, 1, 0), "clone_newuser": (56, 0x10000011, 0, 0, 0, 0),
        "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "perf": (298, 0, 0, 0, 0, 0), "setns": (308, 0, 0), "setown": (72, 0, 8, 1), "tiocsti": (16, 0, 0x100005412, 0), "chroot": (161, 0),
    }.items()} if os.uname().machine == "x86_64" else {},
    "signal": outcome(os.kill, @PID@, signal.SIGCONT),
    "myself": outcome(os.kill, os.getpid(), 0),
    "machine": {p: outcome(open, "/proc/" + p, "w") for p in ("sys/kernel/core_pattern", "sys/vm/overcommit_memory", "sysrq-trigger")},
    "modes": (outcome(os.chmod, "own.txt", 0o600)),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")],
    "no_new_privileges": next(line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")),
}
print(json.dumps(answers))
""".replace("@PID@", str(os.getpid()))


def test_files_of_the_course_cannot_be_read_or_listed_but_helpers_can(told):
    assert set(told["read"].values()) <= {"ENOENT", "EACCES"}
    assert set(told["list"].values()) <= {"ENOENT", "EACCES", "done"}
    if "done" in told["list"].values():  # bubblewrap shows its own, almost empty folders of these names
        assert WALLS[0] == "bubblewrap"
    assert told["helpers"]


def test_only_the_work_folder_can_be_written(told):
    assert set(told["write"].values()) <= {"ENOENT", "EACCES", "EROFS"}
    assert told["own"] == told["modes"] == "done"
    assert not (ROOT / "helpers" / "new.py").exists()


def test_the_environment_of_the_grader_is_not_handed_on(told):
    ours = {"PATH", "HOME", "LANG", "USER", "PWD"} | set(choose.environment(Path("/tmp")))
    strangers = set(told["environment"]) - ours
    assert strangers <= {
        n
        for n in strangers
        if n.startswith(
            (
                "PYDEVD",
                "JPY",
                "MPL",
                "TERM",
                "CLICOLOR",
                "PAGER",
                "GIT_PAGER",
                "FORCE_COLOR",
                "COLUMNS",
                "LINES",
                "TORCH",
                "KMP",
                "LC_",
            )
        )
    }
    assert not strangers & {
        "COURSE_SANDBOX",
        "COURSE_CLASSROOM",
        "VIRTUAL_ENV",
        "SSH_AUTH_SOCK",
        "JPY_PARENT_PID",
    }


def test_there_is_no_network_and_no_socket_that_reaches_out(told):
    assert set(told["sockets"].values()) == {"ENOTSUP"}  # as on a machine without network
    assert told["pair"] == "done"


def test_system_calls_that_lead_out_are_refused(told):
    assert {name: code for name, code in told["calls"].items() if code != "EPERM"} == {}


def test_what_belongs_to_the_whole_machine_cannot_be_changed(told):
    assert set(told["machine"].values()) <= {"EROFS", "EACCES", "ENOENT"}


def test_processes_outside_cannot_be_signalled(told):
    assert told["signal"] in ("EPERM", "ESRCH") and told["myself"] == "done"


def test_nothing_is_left_of_roots_powers(told):
    assert {int(c, 16) for c in told["capabilities"]} == {0} and told["no_new_privileges"] == "1"


@pytest.mark.parametrize("walls", WAYS)
def test_honest_work_runs_as_usual(walls):
    shown = run(
        walls,
        "import matplotlib.pyplot as plt, numpy as np, scipy.linalg, threading, tempfile, subprocess, shutil, pickle, io",
        "np.linalg.eigvalsh(np.eye(3)).sum()",
        "plt.plot([1, 2]); plt.show()",
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()",
        "f = tempfile.NamedTemporaryFile(); f.write(b'x'); f.flush(); shutil.copy(f.name, 'copy'); print(open('copy').read())",
        "print(subprocess.run(['echo', 'program'], capture_output=True, text=True).stdout)",
        "np.save('a.npy', np.ones(3)); np.load('a.npy').sum()",
        "input('?')",
        limits=Limits(),
    )
    assert shown[1] == "np.float64(3.0)" and "Figure" in shown[2] and shown[3] == "thread\n"
    assert shown[4] == "x\n" and shown[5] == "program\n\n" and shown[6] == "np.float64(3.0)"
    assert "raw_input was called" in shown[7]


@pytest.mark.parametrize("walls", WAYS)
def test_torch_runs_as_usual(walls):
    shown = run(
        walls,
        "import torch",
        "x = torch.ones(3, requires_grad=True); (x ** 2).sum().backward(); x.grad",
        "torch.save(x, 'x.pt'); torch.load('x.pt').sum().item()",
        limits=Limits(),
    )
    assert shown[1:] == ["tensor([2., 2., 2.])", "3.0"]


@pytest.mark.parametrize("walls", WAYS)
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("import os; os._exit(3)", "it ended the kernel"),
        ("exit()", "it ended the kernel"),
        (
            "b = [bytearray(50_000_000) for _ in range(12)]\nimport time; time.sleep(3)",
            "more than 500 MiB of memory",
        ),
        (
            "import os, time\nfor _ in range(80):\n    if os.fork() == 0: time.sleep(60); os._exit(0)\ntime.sleep(3)",
            "more than 64 processes",
        ),
        (
            "import time\nfor i in range(1000): open(str(i), 'w').close()\ntime.sleep(3)",
            "more than 500 files",
        ),
        (
            "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
            "and could not be interrupted",
        ),
    ],
)
def test_a_cell_over_a_limit_takes_the_kernel_along_and_the_reason_is_told(walls, cell, reason):
    # On a busy machine 64 forks take their seconds, and half a gigabyte, which takes its own: not the limits that are tried here.
    limits = (
        replace(QUICK, cell_cpu=30, cell_wall=60) if "processes" in reason or "memory" in reason else QUICK
    )
    limits = replace(limits, memory=2 << 30) if "processes" in reason else limits
    with pytest.raises(KernelGone, match=reason.replace("(", r"\(")):
        run(walls, cell, limits=limits)


@pytest.mark.parametrize("walls", WAYS)
def test_a_slow_cell_is_interrupted_and_the_kernel_goes_on(walls):
    shown = run(
        walls,
        "while True: pass",
        "1 + 1",
        limits=Limits(cell_cpu=1, interrupted=30),
    )
    assert "1 seconds of computing" in shown[0] and shown[1] == "2"
    shown = run(walls, "import time; time.sleep(100)", "1 + 1", limits=Limits(cell_wall=3, interrupted=30))
    assert "more than 3 seconds" in shown[0] and shown[1] == "2"


@pytest.mark.parametrize("walls", WAYS)
def test_nothing_outlives_the_kernel(walls):
    nap = f"{7000 + os.getpid()}.5"
    run(
        walls,
        f"import subprocess; subprocess.Popen(['sleep', '{nap}']); subprocess.getoutput('setsid sleep {nap} &')",
    )
    time.sleep(0.3)
    assert nap not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not any(
        folder.stat().st_mtime > time.time() - 2
        for folder in Path("/tmp").glob("sk-*/spec.json")
        if nap in folder.read_text()
    )


def test_unsafe_is_never_chosen_by_itself(monkeypatch):
    assert confinement("unsafe").name == "unsafe" and "NONE" in str(confinement("unsafe"))
    with pytest.raises(SandboxUnavailable, match="nonsense"):
        confinement("nonsense")
    monkeypatch.setattr(choose, "_try", lambda sandbox: ("it is missing", ""))
    with pytest.raises(SandboxUnavailable, match="apt install bubblewrap"):
        confinement()


def test_without_bubblewrap_landlock_is_taken(monkeypatch):
    monkeypatch.setattr(
        choose, "_try", lambda sandbox: ("missing", "") if sandbox.name == "bubblewrap" else ("", "Landlock")
    )
    assert confinement().name == "landlock"


def test_a_program_that_is_missing_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(choose, "_tried", choose._tried.__wrapped__)  # whatever was found out before
    trouble, _ = choose._try(choose.available()["bubblewrap"])
    assert "bwrap" in trouble


@pytest.mark.kernel
@pytest.mark.parametrize("walls", WALLS)
def test_a_sandbox_that_hides_helpers_is_the_machines_fault(walls, monkeypatch):
    monkeypatch.setattr(
        f"course.grading.sandboxes.{walls}.readable",
        lambda: [p for p in readable() if p.name != "helpers"],
    )
    # What else lessons import has no say in it, and takes seconds.
    for place in (choose, template):
        monkeypatch.setattr(place, "imported_by_lessons", lambda: ["helpers.checks"])
    monkeypatch.setattr(kernels, "TEMPLATES", templates := Templates())
    # What is found out here is forgotten, and what other tests found out is not.
    monkeypatch.setattr(choose, "_tried", functools.cache(choose._tried.__wrapped__))
    # Behind bubblewrap there is no such folder; behind Landlock it is there, and cannot be read.
    why = {
        "bubblewrap": "No module named 'helpers'",
        "landlock": "PermissionError: .*/helpers/__init__.py",
    }[walls]
    try:
        with pytest.raises(MachineFault, match=why):
            run(f"{walls} cold", "1")
        warm = f"{walls} warm"
        if walls == "landlock":
            # Its template is an ordinary process: what lessons import was imported before the walls stood, and is there.
            assert run(warm, "import helpers\nprint(helpers.__name__)") == ["helpers\n"]
        else:
            with pytest.raises(MachineFault, match=why):
                run(warm, "1")
        # Whatever a warm kernel has: some kernel may have to start cold, so grading refuses to begin.
        (finding,) = [f for f in doctor.examine(replace(load_course(), sandbox=walls)) if f.what == "sandbox"]
        assert not finding.ok and re.search(why, finding.found)
    finally:
        templates.close()


TOY = """
from course.model import Limits
class Toy:
    name, rank = "toy", None
    def words(self): return "a toy"
    def spec(self, room): return {}
    def command(self, argv, room, limits): return ["env", "TOY=1", *argv]
SANDBOX = Toy()
"""


def test_a_new_sandbox_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(choose.sandboxes, "__path__", [*choose.sandboxes.__path__, str(tmp_path)])
    assert list(choose.available())[:2] == ["bubblewrap", "landlock"]
    assert confinement("toy") == Confinement("toy", "a toy")
    assert choose.command("toy", tmp_path, Limits())[:2] == ["env", "TOY=1"]


def test_elsewhere_one_sentence_says_what_grading_needs(monkeypatch):
    monkeypatch.setattr(choose.sys, "platform", "darwin")
    with pytest.raises(
        SandboxUnavailable, match="this is darwin: run `course grade` on Linux, in WSL 2 or in a container"
    ):
        confinement("unsafe")


def test_the_folder_of_a_killed_grader_is_swept_and_a_living_ones_is_not():
    dead = subprocess.Popen(["true"])
    dead.wait()
    with kernel_folder() as mine, kernel_folder() as left:
        (left / "owner").write_text(f"{dead.pid}\n")
        choose.sweep()
        assert mine.exists() and not left.exists()


@pytest.mark.parametrize("own_processes", [True, False])
def test_the_filter_lets_signals_out_only_if_they_cannot_leave(own_processes):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import launcher; launcher.prctl(38, 1)\n"
        f"launcher.refuse_system_calls(own_processes={own_processes})\n"
        "try: os.kill(os.getppid(), 0); print('reached')\n"
        "except PermissionError: print('refused')\n"
        "os.kill(os.getpid(), 0); print('me')"
    )
    run = subprocess.run([sys.executable, "-c", code, str(BRIDGE)], capture_output=True, text=True)
    assert run.stdout.split() == ["reached" if own_processes else "refused", "me"], run.stderr


def test_the_switches_are_read_once_and_refused_where_they_make_no_sense(tmp_path):
    course = load_course(environment={})
    assert (course.limits, course.sandbox, course.classroom) == (Limits(), "", ROOT / "classroom")
    switches = {
        "COURSE_LIMITS": '{"cell_cpu": 60}',
        "COURSE_SANDBOX": "landlock",
        "COURSE_CLASSROOM": str(tmp_path),
    }
    course = load_course(environment=switches)
    assert (course.limits.cell_cpu, course.sandbox, course.classroom) == (60.0, "landlock", tmp_path)
    for wrong in ("{", '{"cellcpu": 1}', "[]", '{"cell_cpu": "much"}'):
        with pytest.raises(CourseError, match="COURSE_LIMITS"):
            load_course(environment={"COURSE_LIMITS": wrong})
    with pytest.raises(CourseError, match="COURSE_CLASSROOM is set, but empty"):
        load_course(environment={"COURSE_CLASSROOM": " "})


@pytest.mark.kernel
def test_a_kernel_that_is_killed_for_want_of_memory_is_told_from_one_that_kills_itself():
    async def session() -> tuple[bool, bool]:
        found = []
        for cell in ("import os; os.kill(os.getpid(), 9)", "import os; os._exit(0)"):
            async with student_kernel(confinement(), QUICK, [], 300) as kernel:
                with pytest.raises(KernelGone):
                    await kernel.run(cell)
                found.append(kernel.lost_to_memory)
        return tuple(found)

    assert asyncio.run(session()) == (True, False)


def test_places_leave_secrets_out(tmp_path):
    for name in ("a/b/secret/x", "a/b/open/x", "a/c"):
        (tmp_path / name).mkdir(parents=True)
    found = [str(p.relative_to(tmp_path)) for p in without(tmp_path / "a", [tmp_path / "a/b/secret"])]
    assert found == ["a/b/open", "a/c"]
    assert list(without(tmp_path / "a/c", [tmp_path / "a/c"])) == []
    assert not any(path == COURSE or path in COURSE.parents for path in readable())
    assert BRIDGE in readable()


@pytest.mark.slow
def test_a_kernels_folder_is_removed_however_deep():
    with kernel_folder() as base:
        _deep(base / "work", 1500)
    assert not base.exists()


def _deep(folder: Path, depth: int) -> None:
    """Nest folders deeper than a path can be long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_the_watch_counts_the_whole_family(tmp_path):
    sleeper = "import subprocess, sys, time; subprocess.Popen(['sleep', '30']); x = bytearray(50_000_000); print(flush=True); time.sleep(30)"
    leader = subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True, stdout=subprocess.PIPE)
    try:
        leader.stdout.readline()
        members = family(leader.pid)
        assert len(members) == 2 and sum(p.resident for p in members) > 50_000_000
        assert excess(members, [], Limits()) == ""
        assert "memory" in excess(members, [], Limits(memory=40_000_000))
        assert "processes" in excess(members, [], Limits(processes=1))
        assert "threads" in excess(members, [], Limits(threads=1))
        (tmp_path / "f").write_bytes(bytes(100_000))
        assert "disk" in excess(members, [str(tmp_path)], Limits(disk=50_000))
        for i in range(600):
            (tmp_path / str(i)).touch()
        assert "files" in excess(members, [str(tmp_path)], Limits())
        _deep(tmp_path, 600)
        assert "deep" in excess(members, [str(tmp_path)], Limits(files=10_000))
    finally:
        os.killpg(leader.pid, 9)
        leader.wait()


# --- outputs ----------------------------------------------------------------------------------------------------------

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 100).decode()


def take(*messages: tuple[str, dict], limits: Limits = QUICK) -> list:
    outputs = Outputs(limits)
    for kind, content in messages:
        outputs.take(kind, content)
    return outputs.cells


def test_only_text_and_small_pictures_are_kept():
    data = {
        "text/plain": "x",
        "text/html": "<script>",
        "image/svg+xml": "<svg/>",
        "image/png": PNG,
        "application/javascript": "1",
    }
    (output,) = take(("display_data", {"data": data}))
    assert set(output.data) == {"text/plain", "image/png"}
    assert take(("display_data", {"data": {"text/html": "<b>"}})) == []
    for not_a_picture in (
        "AAAA",
        "no base64!",
        base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 2_000_000).decode(),
    ):
        assert take(("display_data", {"data": {"image/png": not_a_picture}})) == []


def test_text_is_cut_and_pieces_are_counted():
    (output,) = take(*[("stream", {"name": "stdout", "text": "x" * 400_000})] * 5)
    assert len(output.text) < 1_100_000 and output.text.count("cut off") == 1
    assert len(take(*[("display_data", {"data": {"text/plain": "x"}})] * 500)) == QUICK.outputs


def test_streams_are_joined_and_cleared():
    first, second = take(
        ("stream", {"name": "stdout", "text": "a"}),
        ("stream", {"name": "stdout", "text": "b"}),
        ("stream", {"name": "stderr", "text": "c"}),
    )
    assert (first.text, second.name) == ("ab", "stderr")
    assert take(("stream", {"name": "stdout", "text": "a"}), ("clear_output", {})) == []


def test_text_can_always_be_written():
    assert clean("a\ud800\x00\x07\x1b[31mb\n\tc\r") == "a?\x1b[31mb\n\tc\r"
    (output,) = take(("error", {"ename": "\ud800", "evalue": "x" * 10**6, "traceback": ["\udfff"] * 1000}))
    json.dumps(output, ensure_ascii=False).encode()
    assert len(output.traceback) == 200 and len(output.evalue) == 2000


def test_the_launcher_knows_this_kernel():
    assert launcher.landlock_abi() >= 1 or "landlock" not in WALLS
