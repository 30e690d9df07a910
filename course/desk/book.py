"""Manual marks in nbgrader's gradebook, read and written as the Formgrader does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    SubmittedAssignment,
    SubmittedNotebook,
)

from course.desk.marks import Entry


@dataclass(frozen=True)
class Written:
    """What the gradebook holds of one student's answer.

    Args:
        entry: what a person gave, or that one is waited for.
        by_itself: it was left as it was handed out, and scores zero unless a person says otherwise.
    """

    entry: Entry
    by_itself: bool


def read(gradebook: Gradebook, lesson: str, grade_id: str) -> dict[str, Written]:
    """Read what stands there for all answers of a question.

    Args:
        gradebook: open.
        lesson: name of the lesson.
        grade_id: of the response.

    Returns:
        By student.
    """
    gradebook.db.rollback()  # what others wrote since
    grades = _of_cell(
        gradebook,
        (
            SubmittedAssignment.student_id,
            Grade.manual_score,
            Grade.auto_score,
            Grade.needs_manual_grade,
        ),
        Grade,
        lesson,
        grade_id,
    )
    comments: dict[str, str | None] = dict(
        _of_cell(
            gradebook, (SubmittedAssignment.student_id, Comment.manual_comment), Comment, lesson, grade_id
        )
    )
    gradebook.db.rollback()
    return {
        student: Written(
            Entry(manual, bool(waiting), comments.get(student)),
            manual is None and automatic is not None and not waiting,
        )
        for student, manual, automatic, waiting in grades
    }


def _of_cell(
    gradebook: Gradebook, columns: tuple[Any, ...], kind: Any, lesson: str, grade_id: str
) -> list[Any]:
    """Rows of grades or comments of one cell, for all who handed the lesson in."""
    rows = (
        gradebook.db.query(*columns)
        .select_from(kind)
        .join(SubmittedNotebook, kind.notebook_id == SubmittedNotebook.id)
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .join(BaseCell, kind.cell_id == BaseCell.id)
        .filter(Assignment.name == lesson, BaseCell.name == grade_id)
    )
    return [tuple(row) for row in rows]


def write(gradebook: Gradebook, lesson: str, grade_id: str, entries: Mapping[str, Entry]) -> None:
    """Write marks as the Formgrader does, all in one transaction.

    Args:
        gradebook: open.
        lesson: name of the lesson.
        grade_id: of the response.
        entries: by student; a score of None is an answer that waits again, unless the autograder has scored it.

    Raises:
        nbgrader.api.MissingEntry: if there is no such answer.
        sqlalchemy.exc.SQLAlchemyError: if the gradebook cannot be written; nothing is then.
    """
    try:
        for student, entry in entries.items():
            grade = gradebook.find_grade(grade_id, lesson, lesson, student)
            grade.manual_score = entry.score
            grade.needs_manual_grade = entry.waiting
            comment = gradebook.find_comment(grade_id, lesson, lesson, student)
            if (comment.manual_comment or "") != (entry.comment or ""):
                comment.manual_comment = entry.comment
        gradebook.db.commit()
    except BaseException:
        gradebook.db.rollback()
        raise
