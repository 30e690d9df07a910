"""`course collect`: from whatever was handed in to one canonical notebook a student and lesson.

Nobody gets a silent zero: every file is listed as taken, repaired (how) or unreadable (why), and
an unreadable one is not graded until it is replaced or a zero is confirmed.
"""

from instructor.collect.collecting import collect
from instructor.collect.triage import Row, Triage
from instructor.collect.unpack import Limits

__all__ = ["Limits", "Row", "Triage", "collect"]
