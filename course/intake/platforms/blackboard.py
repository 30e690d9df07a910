"""Blackboard: `Lesson 1_jdoe_attempt_2026-03-01-23-59-59_x.ipynb`, with a note `Lesson 1_jdoe_attempt_2026-03-01-23-59-59.txt`."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

from course.intake.claim import Claim, Notes, Place, Platform

_NAME = re.compile(r"(?P<before>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)", re.S)
_NOTE = re.compile(r"\s*Name:[ \t]*(?P<name>[^\r\n]*?)[ \t]*\((?P<user>[^()\s]+)\)[ \t]*(?:[\r\n]|$)")


class Blackboard(Platform):
    """One flat folder; a note beside each attempt says who it is, since a user's name may hold underscores."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if not found:
            return []
        try:
            time = notes.zoned(datetime.strptime(found["time"], "%Y-%m-%d-%H-%M-%S"))
        except ValueError:
            return []
        note = _NOTE.match(
            notes.texts.get(place.above / f"{found['before']}_attempt_{found['time']}.txt", "")
        )
        user, name = (note["user"], note["name"]) if note else (found["before"].rpartition("_")[2], "")
        return [Claim("Blackboard", user, user, found["file"] or place.part, (user, name), time=time)]

    def is_note(self, path: PurePosixPath) -> bool:
        """See `Platform.is_note`."""
        note = _NAME.fullmatch(path.name)
        return bool(note and not note["file"])


PLATFORM = Blackboard()
