"""A class whose open questions are to be read: written into the gradebook without a kernel, so that a test has it in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from course.config import load_course
from course.grading.gradebook import opened, register
from course.model import Course
from course.store import Store, notebook_text

LESSON, QUESTION = "05_skip_connection", "fitting"
ANSWERS = {
    "ada": "A residual block fits $F(x) = H(x) - x$, so the identity costs only $F = 0$.",
    "blaise": "It learns the difference.",
    "carl": "it learns **the difference**",
    "dora": "*Replace this line with your answer.*",
    "emmy": "A residual block fits $F(x) = H(x) - x$ so that the identity costs only $F=0$.",
    "felix": "The residual is the training error.",
}


def reading_class(folder: Path, answers: Mapping[str, str] = ANSWERS, lesson: str = LESSON) -> Course:
    """Put answers to all open questions of a lesson into a new classroom; what was left as it came scores by itself.

    Args:
        folder: an empty one.
        answers: by student.
        lesson: name of the lesson.

    Returns:
        This checkout with that classroom.
    """
    course = replace(load_course(), classroom=folder / "classroom")
    register(course, course.lesson(lesson))
    released = json.loads(course.release(course.lesson(lesson)).read_text(encoding="utf-8"))
    stubs = {}
    with opened(course) as gradebook:
        for student, text in answers.items():
            notebook = json.loads(json.dumps(released))
            for cell in notebook["cells"]:
                grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
                if grade_id.endswith("_response"):
                    stubs[grade_id] = "".join(cell["source"])
                    cell["source"] = text
            path = Store(course.classroom).graded(student, lesson) / f"{lesson}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(notebook_text(notebook), encoding="utf-8")
            gradebook.add_student(student)
            submission = gradebook.add_submission(lesson, student)
            for grade in submission.notebooks[0].grades:
                is_open = grade.name.endswith("_response")
                blank = is_open and text == stubs[grade.name]
                grade.auto_score = None if is_open and not blank else 0.0
                grade.needs_manual_grade = is_open and not blank
        gradebook.db.commit()
    return course
