"""nbgrader: its exchange, `adoe+01_tanh+2026-03-01 10:00:00.000000 UTC+hash/`, and `submitted/adoe/01_tanh/timestamp.txt`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from course.intake.claim import Claim, Notes, Place, Platform, moment

_EXCHANGE = re.compile(
    r"(?P<user>[^+]+)\+(?P<lesson>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)(?: (?P<zone>\w+))?(?:\+.*)?"
)
_SUBMITTED = "submitted"


class Nbgrader(Platform):
    """One folder an attempt in the exchange; one a student and lesson in the course's own `submitted/`."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        if place.is_file:
            return []
        if found := _EXCHANGE.fullmatch(place.part):
            time = moment(f"{found['time']} {found['zone'] or 'UTC'}")
            return [Claim("nbgrader", found["user"], found["user"], hints=(found["user"],), time=time)]
        lesson = place.below[0] if len(place.below) > 1 else ""
        if place.above.name.lower() != _SUBMITTED or lesson not in notes.lessons:
            return []
        time = moment(notes.texts.get(place.here / lesson / "timestamp.txt", ""))
        return [Claim("nbgrader", place.part, place.part, hints=(place.part,), time=time)]

    def wraps(self, folder: str) -> bool:
        """See `Platform.wraps`."""
        return folder.lower() == _SUBMITTED

    def is_note(self, path: PurePosixPath) -> bool:
        """See `Platform.is_note`."""
        return path.name == "timestamp.txt"


PLATFORM = Nbgrader()
