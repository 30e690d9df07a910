"""Sakai: `Lesson 1/Doe, Anna(adoe)/Submission attachment(s)/x.ipynb`, with a `timestamp.txt` in each student's folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from course.intake.claim import Claim, Notes, Place, Platform, moment

_NAME = re.compile(r"(?P<last>[^,()]+), ?(?P<first>[^()]*[^()\s])\((?P<user>[^()]+)\)")


class Sakai(Platform):
    """One folder a student, name and login; tables of all beside them."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        if place.is_file:
            table = re.fullmatch(r"grades\.(csv|xlsx?)", place.part) and notes.any_beside(place, _NAME)
            return [Claim("Sakai", "", "", sure=False, aside="Sakai's table of grades")] if table else []
        found = _NAME.fullmatch(place.part)
        if not found:
            return []
        user, name = found["user"].strip(), f"{found['first'].strip()} {found['last'].strip()}"
        time = moment(notes.texts.get(place.here / "timestamp.txt", ""))
        return [Claim("Sakai", user, user, hints=(user, name), time=time)]

    def is_note(self, path: PurePosixPath) -> bool:
        """See `Platform.is_note`."""
        return path.name == "timestamp.txt"


PLATFORM = Sakai()
