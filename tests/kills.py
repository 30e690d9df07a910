"""`python -m tests.kills [N]`: kill -9 at random moments of collect, grade and feedback; then the same command again.

Each time the classroom must end as an undisturbed one: the same files placed, the same scores, the same pages; nothing doubled,
nothing left behind. A run of grade is killed twice, the second time when something is recorded: that is not executed again. Then Ctrl-C at
random moments of `course grade`, while a submission runs that never ends: how long it takes until the command has ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from course import cli
from course.config import load_course
from course.grading.grade import grade
from course.grading.gradebook import made_of, scores
from course.intake import collect
from course.model import Course
from course.reports.feedback import feedback
from course.store import Store
from tests.bare import make_bare
from tests.toy_course import hand_in, toy_course

GREET = "def greet(name):\n    return f'Hello, {name}'"
CLASS = {"ada": None, "bo": {"greet": GREET}, "cy": {}, "di": None}
ENDLESS = "def greet(name):\n    return name\nwhile True:\n    pass"
VERBS = ("collect", "grade", "feedback")
INTERRUPTS = 4


def do(course: Course, verb: str) -> None:
    """One verb of the course."""
    lessons = list(course.lessons)
    if verb == "collect":
        with Store(course.classroom).writing():
            collect([course.root / "handed"], course.root / "notebooks", course.classroom)
    elif verb == "command":
        cli.load_course = lambda: course
        sys.argv = ["course", "grade", "--jobs", "2"]
        cli.main()
    elif verb == "grade":
        failed = [r for r in grade(course, lessons) if r.state == "failed"]
        assert not failed, failed
    else:
        with Store(course.classroom).writing():
            assert list(feedback(course, lessons))


def picture(course: Course) -> dict[str, object]:
    """All that must be as if nothing had happened."""
    room = course.classroom
    files = {
        str(path.relative_to(room)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("submitted/*/*/*", "feedback/*/*/*")
        for path in sorted(room.glob(pattern))
    }
    graded = sorted(str(path.relative_to(room)) for path in room.glob("autograded/*/*/*"))
    receipts = {
        str(path.relative_to(room)): {
            name: verdict["passed"] for name, verdict in json.loads(path.read_text())["verdicts"].items()
        }
        for path in sorted(room.glob("autograded/*/*/graded.json"))
    }
    rows = [(s.student, s.lesson, s.score, s.max_score, s.waiting) for s in scores(course)]
    leftovers = [
        str(p)
        for p in room.rglob("*")
        if p.name.endswith((".tmp", ".fresh", ".old")) or p.name.startswith(".copying")
    ]
    return {
        "files": files,
        "graded": graded,
        "receipts": receipts,
        "scores": rows,
        "made of": sorted((*pair, *astuple(it)) for pair, it in made_of(course).items()),
        "leftovers": leftovers,
    }


@dataclass(frozen=True)
class Kill:
    """One kill: of which verb, after how many seconds, whether it still ran then, and what was different in the end.

    `kept` counts the submissions that were graded when it was killed.
    """

    verb: str
    after: float
    hit: bool
    kept: int
    differences: tuple[str, ...]


def kills(root: Path, count: int, seed: int = 0) -> list[Kill]:
    """Kill and repeat.

    Args:
        root: an empty folder.
        count: how many kills, the verbs in turn.
        seed: of the moments.

    Returns:
        What came of each.
    """
    rng = random.Random(seed)
    rooms = root / "toy"
    rooms.mkdir()
    course = toy_course(rooms, registered=False)
    hand_in(course, rooms / "handed", CLASS)
    took = {}
    for verb in VERBS:
        if (root / "undisturbed").exists():
            shutil.copytree(root / "undisturbed", root / f"before-{verb}")
        start = time.monotonic()
        assert _start(course.root, root / "undisturbed", verb).wait() == 0
        took[verb] = time.monotonic() - start
    expected = picture(load_course(course.root, root / "undisturbed"))
    assert len(expected["scores"]) == len(CLASS) and any("feedback" in name for name in expected["files"]), (
        expected
    )
    found = []
    for number in range(count):
        verb, room = VERBS[number % len(VERBS)], root / f"room-{number}"
        if (root / f"before-{verb}").exists():
            shutil.copytree(root / f"before-{verb}", room)
        after, hit, kept = 0.0, False, {}
        for again in range(2 if verb == "grade" else 1):
            process, start = _start(course.root, room, verb), time.monotonic()
            if again:
                while process.poll() is None and not receipts(room):
                    time.sleep(0.02)
                time.sleep(rng.uniform(0.0, 2.0))
            else:
                time.sleep(rng.uniform(0.15, 1.0) * took[verb])
            after, hit = time.monotonic() - start, process.poll() is None
            os.killpg(process.pid, signal.SIGKILL) if hit else None
            process.wait()
            kept |= receipts(room)
        for verb_ in VERBS[VERBS.index(verb) :]:
            assert _start(course.root, room, verb_).wait() == 0
        seen = picture(load_course(course.root, room))
        wrong = tuple(
            f"{what}: {seen[what]} instead of {expected[what]}"
            for what in expected
            if seen[what] != expected[what]
        )
        if repeated := [name for name, when in receipts(room).items() if when != kept.get(name, when)]:
            wrong = (*wrong, f"executed again: {', '.join(repeated)}")
        found.append(Kill(verb, after, hit, len(kept), wrong))
    return found


def receipts(room: Path) -> dict[str, int]:
    """When each receipt was written."""
    return {str(path): path.stat().st_mtime_ns for path in room.glob("autograded/*/*/graded.json")}


def interrupts(root: Path, count: int, seed: int = 0) -> list[tuple[float, float, int]]:
    """Press Ctrl-C while one submission never ends.

    Args:
        root: an empty folder.
        count: how often.
        seed: of the moments.

    Returns:
        After how many seconds of the run, how many seconds it then took to end, and the exit code.
    """
    rng = random.Random(seed)
    (root / "endless").mkdir()
    course = toy_course(root / "endless", registered=False)
    hand_in(course, course.root / "handed", {"ada": None, "bo": {"greet": ENDLESS}, "cy": None})
    do(course, "collect")
    found = []
    for _ in range(count):
        process = _start(course.root, course.classroom, "command", stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()  # the sandbox is named: from here on it grades
        after = rng.uniform(0.0, 10.0)
        time.sleep(after)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait()
        found.append((after, time.monotonic() - start, code))
    return found


def _start(root: Path, classroom: Path, verb: str, **more) -> subprocess.Popen:
    words = [sys.executable, "-m", "tests.kills", "--do", str(root), str(classroom), verb]
    return subprocess.Popen(words, cwd=Path(__file__).parents[1], start_new_session=True, **more)


def main() -> None:
    """Print a line a kill."""
    if sys.argv[1:2] == ["--do"]:
        root, classroom, verb = sys.argv[2:]
        # Ctrl-C reaches it also where the tests run behind a shell's `&`, which lets its children ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        make_bare()
        do(load_course(Path(root), Path(classroom)), verb)
        return
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as folder:
        made = kills(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 20, seed=int(time.time()))
        stopped = interrupts(Path(folder), INTERRUPTS, seed=int(time.time()))
    for kill in made:
        print(
            f"{kill.verb:<9} killed after {kill.after:4.1f} s{'' if kill.hit else ' (had ended)'}, {kill.kept} graded then: {'; '.join(kill.differences) or 'as undisturbed'}"
        )
    left = list(Path("/tmp").glob("sk-*"))
    print(
        f"{len(made)} kills, {sum(k.hit for k in made)} in mid-run: {sum(bool(k.differences) for k in made)} differ; folders of kernels left: {len(left)}"
    )
    for after, took, code in stopped:
        print(f"Ctrl-C after {after:4.1f} s: the command ended {took:.1f} s later with exit code {code}")


if __name__ == "__main__":
    main()
