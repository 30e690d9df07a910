"""`course collect`: from whatever was handed in to one canonical notebook a student and lesson.

Nobody gets a silent zero: every file is listed as taken, repaired (how) or unreadable (why), and
an unreadable one is not graded until it is replaced or a zero is confirmed.
"""

from course.intake.archive import Limits
from course.intake.collecting import collect
from course.intake.triage import Row, Triage

__all__ = ["Limits", "Row", "Triage", "collect"]
