"""Collect and grade two submissions of every lesson, one solved and one blank, in the sandbox that stands here.

python lanes/grading.py LANE [--sandbox NAME] [--only NUMBER ...]

The solved one has to reach all points that checks give, the blank one none. The result is build/lanes/LANE-grading.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
from lessons import solved, versions, write

from course.config import load_course
from course.grading.grade import grade
from course.grading.gradebook import marks
from course.grading.sandboxes.choose import confinement
from course.intake import collect
from course.model import Course, Lesson


def main() -> int:
    """Grade; 0 if everyone got what belongs to them, and no check was left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lane")
    parser.add_argument("--sandbox", default="", help="that has to stand here")
    parser.add_argument("--only", nargs="*", default=[])
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lane-") as folder:
        course = load_course(classroom=Path(folder, "classroom"))
        sandbox = confinement(course.sandbox)
        print(f"lane {words.lane}: sandbox {sandbox}")
        if words.sandbox and sandbox.name != words.sandbox:
            sys.exit(f"this lane is for the sandbox {words.sandbox}, and {sandbox.name} stands here")
        lessons = [x for x in course.written if not words.only or str(x.number) in words.only]
        for lesson in lessons:
            hand_in(course, lesson, Path(folder, "class"))
        collect([Path(folder, "class")], course.root / "notebooks", course.classroom)
        results = grade(replace(course, sandbox=words.sandbox), lessons)
        problems = [f"{r.student}, {r.lesson}: {r.state} {r.reason}" for r in results if r.state != "graded"]
        found = marks(course)
        for lesson in lessons:
            for student in ("solved", "blank"):
                given = [
                    m for m in found if (m.student, m.lesson) == (student, lesson.name) and not m.written
                ]
                reached, most = sum(m.score for m in given), sum(m.max_score for m in given)
                print(
                    f"{lesson.name}, {student}: {reached:g} of {most:g} points in {len(given)} exercises",
                    flush=True,
                )
                if not given or reached != (most if student == "solved" else 0):
                    problems.append(f"{lesson.name}, {student}: {reached:g} of {most:g} points")
    write(
        words.lane,
        "-grading",
        versions=versions(sys.executable),
        sandbox=sandbox.name,
        graded=[lesson.name for lesson in lessons],
        problems=problems,
    )
    print("\n".join(problems))
    return bool(problems)


def hand_in(course: Course, lesson: Lesson, folder: Path) -> None:
    """Write the two submissions: the student edition as it is, and with every answer in place."""
    for student, notebook in (
        ("blank", nbformat.read(course.release(lesson), as_version=4)),
        ("solved", solved(course, lesson)),
    ):
        path = folder / student / f"{lesson.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
