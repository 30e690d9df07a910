"""Hand hostile submissions in to a toy course beside honest ones, grade them, and look for harm."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from course.config import grader_config
from course.grading.backends.local import Local
from course.grading.grade import grade
from course.intake.collecting import collect
from course.model import Course, Job, Limits, Outcome
from course.store import RECEIPT
from tests.attacks import Attack, breaking, faking, network, reading
from tests.toy_course import solve, toy_course

GROUPS = {"faking": faking, "reading": reading, "breaking": breaking, "network": network}
ATTACKS = [
    replace(attack, name=f"{group}-{attack.name}", group=group)
    for group, module in GROUPS.items()
    for attack in module.ATTACKS
]
HONEST = ("aaron", "mia", "zoe")  # graded before, between and after the others
FULL = 10.0
LIMITS = {
    "cell_cpu": 3,
    "cell_wall": 6,
    "notebook_wall": 40,
    "interrupted": 1,
    "memory": 1 << 30,
    "restarts": 2,
}
# Who meets no limit gets ample ones: what a busy machine needs for them is told as what they did.
TIMED = ("breaking-", "reading-open_files")
PATIENT = Limits(**LIMITS | {"cell_cpu": 30, "cell_wall": 60, "notebook_wall": 200, "interrupted": 20})
BUDGET = 60.0  # seconds a hostile submission may take, the limits' 40 and what starting and ending costs on a busy machine
STOCK_TIMEOUT = 5


class Patient(Local):
    """The local backend; the first, honest submission goes alone, so that what warms up is no time of the others'."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        jobs = (
            job if job.submission.student.startswith(TIMED) else replace(job, limits=PATIENT) for job in jobs
        )
        yield from super().run(islice(jobs, 1))
        yield from super().run(jobs)


@dataclass
class Field:
    """A course to attack, with all that an attack may reach for."""

    course: Course
    port: int
    unix: str
    victim: subprocess.Popen
    settings: bytes
    heard: list[bytes] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def field_of_attack(root: Path) -> Iterator[Field]:
    """Put up a toy course with secrets, decoys, a process to kill and sockets to reach.

    Args:
        root: an empty folder; its name should be short.

    Yields:
        What was put up.
    """
    (root / "private.key").write_text("CANARY-private-key")
    course = toy_course(root)
    with Gradebook(grader_config(course).CourseDirectory.db_url, "skip-connections") as gradebook:
        gradebook.update_or_create_student("secretive", first_name="CANARY-gradebook")
    heard: list[bytes] = []
    with contextlib.ExitStack() as stack:
        port = _listen(stack, heard, root)
        victim = subprocess.Popen(["sleep", "86399"])
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        os.environ["CANARY_PASSWORD"] = "CANARY-environment"
        stack.callback(os.environ.pop, "CANARY_PASSWORD")
        yield Field(course, port, f"{root}/s", victim, (root / "nbgrader_config.py").read_bytes(), heard)


def _listen(stack: contextlib.ExitStack, heard: list[bytes], root: Path) -> int:
    """Listen on TCP, UDP, two socket files and an abstract socket; what arrives is put into `heard`."""
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = tcp.getsockname()[1]
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", port))
    datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(f"{root}/sd")
    streams = [tcp]
    for address in (f"{root}/s", f"\0{root}/s"):
        streams.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
        streams[-1].bind(address)
        streams[-1].listen()

    def accept(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                client.settimeout(2)
                with client, contextlib.suppress(OSError):
                    heard.append(client.recv(1000) or b"a connection")

    def receive(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                heard.append(server.recv(1000))

    for server in streams:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
    for server in (udp, datagrams):
        threading.Thread(target=receive, args=(server,), daemon=True).start()
    return port


def hand_in(ground: Field, attack: Attack | None, student: str) -> None:
    """Write a submission: the attack's, or an honest one if it is None."""
    (lesson,) = ground.course.lessons
    notebook = nbformat.read(ground.course.release(lesson), as_version=4)
    if attack is None:
        solve(notebook, nbformat.read(ground.course.solution(lesson), as_version=4))
    elif attack.source:
        answer = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "double")
        answer.source = _filled(ground, attack)
    if attack is not None and attack.notebook:
        attack.notebook(notebook)
    path = ground.course.root / "handed" / student / f"{lesson.name}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(notebook))
    decoys = _decoys(ground, student)
    decoys.mkdir(parents=True)
    (decoys / "file").write_text("a file of the grader's")
    os.utime(decoys / "file", (10**9, 10**9))


def _decoys(ground: Field, student: str) -> Path:
    return ground.course.root / "decoys" / student


def _nap(name: str) -> str:
    """A number of seconds to sleep that tells whose sleep it is."""
    return f"{3000 + [a.name for a in ATTACKS].index(name)}.25"


def _filled(ground: Field, attack: Attack) -> str:
    """An attack's source with the real paths and numbers."""
    places = {
        "ROOT": ground.course.root,
        "DECOYS": _decoys(ground, attack.name),
        "PORT": ground.port,
        "UNIX": ground.unix,
        "PID": ground.victim.pid,
        "NAP": _nap(attack.name),
        "NAME": f"_{attack.name}_",
    }
    return re.sub("@([A-Z]+)@", lambda match: str(places[match[1]]), attack.source)


def grade_all(ground: Field, jobs: int = 2, cold: bool = False) -> None:
    """Collect and grade everything that was handed in, by `course collect` and `course grade`, with --cold or without."""
    collect(ground.course.root / "handed", ground.course.root / "notebooks", ground.course.classroom)
    course = replace(ground.course, limits=Limits(**LIMITS), cold=cold)
    for graded in grade(course, list(course.lessons), backend=Patient(jobs)):
        ground.reasons[graded.student] = graded.reason


def grade_all_stock(ground: Field) -> None:
    """Grade everything that was handed in, by nbgrader as it comes."""
    (lesson,) = ground.course.lessons
    for folder in (ground.course.root / "handed").iterdir():
        shutil.copytree(folder, ground.course.classroom / "submitted" / folder.name / lesson.name)
    config = grader_config(ground.course)
    del config["Autograde"]
    config.Execute.timeout = STOCK_TIMEOUT
    config.CourseDirectory.assignment_id = ground.course.lessons[0].name
    with contextlib.suppress(Exception, SystemExit):
        Autograde(coursedir=CourseDirectory(config=config), config=config).start()


def harm(ground: Field, student: str) -> list[str]:
    """Say what harm a hostile submission did: one phrase each, none if it did not succeed."""
    found = []
    score = score_of(ground, student)
    if score is None:
        found.append(f"it is left ungraded: {ground.reasons.get(student, 'no reason known')}")
    elif score > 0:
        found.append(f"it got {score:g} points")
    shown = json.dumps(outputs_of(ground, student))
    if leaks := set(re.findall("CANARY-[a-z-]+", shown)):
        found.append(f"it saw {', '.join(sorted(leaks))}")
    if greedy := set(re.findall(r"GOT ([^\\\"]+)", shown)):
        found.append(f"it got {', '.join(sorted(greedy))}")
    if any(f"_{student}_".encode() in message for message in ground.heard):
        found.append("it was heard on the network")
    if "network-zmq" in student and b"a connection" in b"".join(m[:12] for m in ground.heard):
        found.append("it made a connection")
    found += _changed(ground, student)
    if (seconds := _seconds(ground, student)) > BUDGET:
        found.append(f"it took {seconds:.0f} seconds")
    if student in {a.name for a in ATTACKS} and _nap(student).encode() in _command_lines():
        found.append("it left a process behind")
    return found


def _changed(ground: Field, student: str) -> list[str]:
    """What happened to the decoys and the victim."""
    decoy = _decoys(ground, student) / "file"
    found = []
    try:
        status = decoy.stat()
        intact = decoy.read_text() == "a file of the grader's" and [
            p.name for p in decoy.parent.iterdir()
        ] == ["file"]
        intact = (
            intact
            and status.st_mtime == 10**9
            and status.st_mode & 0o777
            and decoy.parent.stat().st_mode & 0o777 != 0o777
        )
        if not intact or os.listxattr(decoy):
            found.append("a file of the grader's was changed")
    except OSError:
        found.append("a file of the grader's is gone")
    if (
        ground.victim.poll() is not None
        or Path(f"/proc/{ground.victim.pid}/stat").read_text().split()[2] == "T"
    ):
        found.append("a process of the grader's was killed")
    elif os.getpriority(os.PRIO_PROCESS, ground.victim.pid) != os.getpriority(os.PRIO_PROCESS, 0):
        found.append("a process of the grader's was slowed")
    return found


def class_harm(ground: Field) -> list[str]:
    """Say what harm the class as a whole suffered: honest work not graded in full, files of the course changed."""
    found = [
        f"{student} should have {FULL:g} points and has {score_of(ground, student)}"
        for student in HONEST
        if (ground.course.root / "handed" / student).is_dir() and score_of(ground, student) != FULL
    ]
    if (ground.course.root / "nbgrader_config.py").read_bytes() != ground.settings:
        found.append("the settings were changed")
    if "CANARY-solution" not in ground.course.solution(ground.course.lessons[0]).read_text():
        found.append("the solutions were changed")
    return found


def score_of(ground: Field, student: str) -> float | None:
    """A student's score as the gradebook has it, None if ungraded."""
    (lesson,) = ground.course.lessons
    with Gradebook(grader_config(ground.course).CourseDirectory.db_url, "skip-connections") as gradebook:
        try:
            grades = gradebook.find_submission_notebook(lesson.name, lesson.name, student).grades
        except Exception:
            return None
        if any(g.auto_score is None and g.manual_score is None for g in grades):
            return None
        return sum(g.score for g in grades)


def outputs_of(ground: Field, student: str) -> list:
    """All outputs of a graded submission: what its student may get to see."""
    (lesson,) = ground.course.lessons
    path = ground.course.classroom / "autograded" / student / lesson.name / f"{lesson.name}.ipynb"
    try:
        return [cell.get("outputs", []) for cell in json.loads(path.read_text())["cells"]]
    except (OSError, ValueError):
        return []


def _seconds(ground: Field, student: str) -> float:
    """How long a submission ran, as our grader notes it beside the grades; stock nbgrader notes nothing."""
    (lesson,) = ground.course.lessons
    note = ground.course.classroom / "autograded" / student / lesson.name / RECEIPT
    return json.loads(note.read_text())["seconds"] if note.is_file() else 0.0


def _command_lines() -> bytes:
    """The command lines of all processes."""
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += path.read_bytes() + b"\n"
    return found
