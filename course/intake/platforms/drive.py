"""Google Classroom and Drive: files of many in one folder, `Anna Doe - x.ipynb`, the name first."""

from __future__ import annotations

import re

from course.intake.claim import Claim, Notes, Place, Platform
from course.intake.names import left_over, lesson_named

_NAME = re.compile(r"(?P<name>[^\W\d_][^\d_]*? [^\d_]*?[^\W\d_]\.?) - (?P<file>.+)", re.S)


class Drive(Platform):
    """A flat folder; what stands before the dash is only a file's name, so a roster is asked where there is one."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if not place.is_file or not found:
            return []
        name = found["name"]
        if lesson_named(name, notes.lessons) or left_over(name, notes.lessons) != name:
            return []
        return [Claim("Drive", name, name, found["file"], (name,), within=(name,), sure=False)]


PLATFORM = Drive()
