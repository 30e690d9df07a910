"""Brightspace: `10234-556677 - Anna Doe - Mar 1, 2026 1107 PM/x.ipynb`, or flat with ` - x.ipynb` behind it."""

from __future__ import annotations

import re
from datetime import datetime

from course.intake.claim import Claim, Notes, Place, Platform

_NAME = re.compile(
    r"(?P<user>\d+)-\d+ - (?P<name>.+?) - (?P<when>(?:[^\W\d]+\.? \d{1,2}|\d{1,2}\.? [^\W\d]+\.?),? (?P<year>\d{4}) (?P<hour>\d{1,2})[:.]?(?P<minute>\d\d)"
    r"(?: ?(?P<half>[AP])\.?M\.?)?)(?: - (?P<file>.+))?",
    re.S | re.I,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Brightspace(Platform):
    """One folder an attempt, with the number of the user, the name and the local time."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if found:
            name, user = found["name"], found["user"]
            time = _when(found, notes)
            return [Claim("Brightspace", name, name, found["file"] or "", (name,), number=user, time=time)]
        if place.is_file and place.part == "index.html" and notes.any_beside(place, _NAME):
            return [Claim("Brightspace", "", "", sure=False, aside="Brightspace's list of the submissions")]
        return []


def _when(found: re.Match[str], notes: Notes) -> datetime | None:
    """The time of an attempt; None where the month is in a language that is not known here."""
    words = {word[:3].lower() for word in re.findall(r"[^\W\d]+", found["when"])}
    month = next((number for number, name in enumerate(_MONTHS, 1) if name in words), 0)
    day = next((int(n) for n in re.findall(r"\d+", found["when"])[:1]), 0)
    hour, half = int(found["hour"]), (found["half"] or "").upper()
    if half:
        hour = hour % 12 + 12 * (half == "P")
    try:
        return notes.zoned(datetime(int(found["year"]), month, day, hour, int(found["minute"])))
    except ValueError:
        return None


PLATFORM = Brightspace()
