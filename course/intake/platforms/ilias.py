"""ILIAS: `Lesson 1/Abgaben/Doe_Anna_adoe_1234/20260301120000_x.ipynb`, the login and the user's number last."""

from __future__ import annotations

import re

from course.intake.claim import Claim, Notes, Place, Platform

_FOLDERS = ("abgaben", "submissions", "multi_submission", "multi_feedback")
_NAME = re.compile(r"(?P<names>.+)_(?P<user>[^_]+)_(?P<number>\d+)", re.S)
_TIME = re.compile(r"(20\d{12})_.+", re.S)


class Ilias(Platform):
    """One folder a student below one for all; a file's name may begin with the time of its upload."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if place.is_file or not found or not place.above.name.lower().startswith(_FOLDERS):
            return []
        name = found["names"].replace("_", " ")
        uploaded = _TIME.fullmatch(place.below[-1])  # orders one student's files; who knows who wrote it
        claim = Claim(
            "ILIAS",
            found["user"],
            name,
            hints=(found["user"], name),
            within=(f"{name} {found['user']}",),  # a login may hold an underscore
            number=found["number"],
            serial=(int(uploaded[1]),) if uploaded else (),
        )
        return [claim]

    def wraps(self, folder: str) -> bool:
        """See `Platform.wraps`."""
        return folder.lower() in _FOLDERS


PLATFORM = Ilias()
