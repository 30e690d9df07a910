"""Marks given by hand that the gradebook does not hold, as one that was filled anew, and who knows them still."""

from __future__ import annotations

from course.desk.marks import FILE, standing
from course.grading.gradebook import marks
from course.model import Course
from course.store import Store


def lost(course: Course) -> str:
    """Say that a gradebook holds no mark given by hand where some were given, and how to have them back.

    Args:
        course: the checkout and its classroom. Of a database on a server there are no backups here.

    Returns:
        A sentence; "" if the gradebook holds such marks, or nothing knows of any.
    """
    if any(mark.by_hand is not None for mark in marks(course)):
        return ""
    store = Store(course.classroom)
    noted = len({mark.answer for mark in standing(course.classroom) if mark.counted})
    backup, held = (None, 0) if course.database else store.fullest_backup()
    known, ways = [], []
    if held:
        known.append(f"{backup} holds {held}")
        ways.append(
            f"end every desk, copy that backup over {store.gradebook} and run `course grade --force` to have them back"
        )
    if noted:
        known.append(f"{course.classroom / FILE} holds those that {noted} answers were given at the desk")
        ways.append(
            "give them again in `course read`, which shows at each answer that is still the same what it was given"
        )
    if not known:
        return ""
    return f"The gradebook holds no mark given by hand, as one that is new, but {', and '.join(known)}: {'; or '.join(ways)}."
