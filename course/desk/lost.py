"""Marks given by hand that the gradebook does not hold, as one that was filled anew, and who knows them still."""

from __future__ import annotations

from course.csvfile import read_csv
from course.desk.marks import FILE, standing
from course.grading.gradebook import is_there, marks
from course.model import Course
from course.store import Store


def lost(course: Course) -> str:
    """Say that a gradebook lacks marks given by hand that it should hold, and how to have them back.

    What was taken back with the work that it was given for is not lost.

    Args:
        course: the checkout and its classroom. Of a database on a server there are no backups here.

    Returns:
        A sentence; "" if nothing is lost.
    """
    store = Store(course.classroom)
    tables = {
        (path.parent.name, path.stem): read_csv(path)
        for path in course.classroom.glob("forgotten/*/marks/*/*.csv")
    }
    taken_back = sum(bool(row.get("by_hand")) for rows in tables.values() for row in rows)
    held = {(mark.student, mark.lesson, mark.cell): mark.by_hand for mark in marks(course)}
    present = sum(given is not None for given in held.values())
    given = {
        (mark.student, mark.lesson, f"{mark.question}_response")
        for mark in standing(course.classroom)
        if mark.counted and (mark.student, mark.lesson) not in tables
    }
    noted = sum(held.get(answer, 0.0 if is_there(course) else None) is None for answer in given)
    backup, most = (None, 0) if course.database else store.fullest_backup()
    fuller = backup if most > present + taken_back else None
    if not noted and (present or not fuller):
        return ""
    known, ways = [], []
    if fuller:
        known.append(f"{fuller} holds {most}")
        ways.append(
            f"end every desk, copy that backup over {store.gradebook} and run `course grade` to have them back, without those given since"
        )
    if noted:
        known.append(f"{course.classroom / FILE} knows those of {noted} answers that it lacks")
        ways.append(
            "give them again in `course read`, which shows at each answer that is still the same what it was given"
        )
    return f"The gradebook holds {present or 'no'} marks given by hand, but {', and '.join(known)}: {'; or '.join(ways)}."
