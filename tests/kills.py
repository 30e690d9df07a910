"""`python -m tests.kills [N]`: kill -9 at random moments of collect, grade and feedback; then the same command again.

Each time the classroom must end as an undisturbed one: the same files placed, the same scores, the same pages; nothing doubled,
nothing left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from course.config import load_course
from course.grading.grade import grade
from course.grading.gradebook import recorded, scores
from course.intake import collect
from course.model import Course
from course.reports.feedback import feedback
from course.store import Store
from tests.toy_course import hand_in, toy_course

GREET = "def greet(name):\n    return f'Hello, {name}'"
CLASS = {"ada": None, "bo": {"greet": GREET}, "cy": {}, "di": None}
VERBS = ("collect", "grade", "feedback")


def do(course: Course, verb: str) -> None:
    """One verb of the course."""
    lessons = list(course.lessons)
    if verb == "collect":
        with Store(course.classroom).writing():
            collect([course.root / "handed"], course.root / "notebooks", course.classroom)
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
        str(p) for p in room.rglob("*") if p.name.endswith((".tmp", ".fresh", ".old")) or p.name == ".copying"
    ]
    return {
        "files": files,
        "graded": graded,
        "receipts": receipts,
        "scores": rows,
        "recorded": sorted(recorded(course)),
        "leftovers": leftovers,
    }


@dataclass(frozen=True)
class Kill:
    """One kill: of which verb, after how many seconds, whether it still ran then, and what was different in the end."""

    verb: str
    after: float
    hit: bool
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
        start = time.monotonic()
        _start(course.root, root / "undisturbed", verb).wait()
        took[verb] = time.monotonic() - start
    expected = picture(load_course(course.root, root / "undisturbed"))
    assert len(expected["scores"]) == len(CLASS) and any("feedback" in name for name in expected["files"]), (
        expected
    )
    found = []
    for number in range(count):
        verb, room = VERBS[number % len(VERBS)], root / f"room-{number}"
        for before in VERBS[: VERBS.index(verb)]:
            assert _start(course.root, room, before).wait() == 0
        process = _start(course.root, room, verb)
        after = rng.uniform(0.15, 1.0) * took[verb]
        time.sleep(after)
        hit = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if hit else None
        process.wait()
        for verb_ in VERBS[VERBS.index(verb) :]:
            assert _start(course.root, room, verb_).wait() == 0
        seen = picture(load_course(course.root, room))
        wrong = tuple(
            f"{what}: {seen[what]} instead of {expected[what]}"
            for what in expected
            if seen[what] != expected[what]
        )
        found.append(Kill(verb, after, hit, wrong))
    return found


def _start(root: Path, classroom: Path, verb: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "tests.kills", "--do", str(root), str(classroom), verb]
    return subprocess.Popen(words, cwd=Path(__file__).parents[1], start_new_session=True)


def main() -> None:
    """Print a line a kill."""
    if sys.argv[1:2] == ["--do"]:
        root, classroom, verb = sys.argv[2:]
        do(load_course(Path(root), Path(classroom)), verb)
        return
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as folder:
        made = kills(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 20, seed=int(time.time()))
    for kill in made:
        print(
            f"{kill.verb:<9} killed after {kill.after:4.1f} s{'' if kill.hit else ' (had ended)'}: {'; '.join(kill.differences) or 'as undisturbed'}"
        )
    left = list(Path("/tmp").glob("sk-*"))
    print(
        f"{len(made)} kills, {sum(k.hit for k in made)} in mid-run: {sum(bool(k.differences) for k in made)} differ; folders of kernels left: {len(left)}"
    )


if __name__ == "__main__":
    main()
