"""Canvas: `doejane_LATE_123_4567_x-1.ipynb`; anonymous: `anon_aBc12_4567_x.ipynb`, late `LATE_anon_aBc12_4567_x.ipynb`."""

from __future__ import annotations

import re

from course.intake.claim import Claim, Notes, Place, Platform
from course.intake.names import counter

_NAME = re.compile(
    r"(?:(?P<name>.+?)_)??(?P<late>LATE_)?(?P<user>anon_\w+?|[1-9]\d+)_(?:(?P<upload>[1-9]\d+)_(?P<file>.+)|(?:link|text)\.html)",
    re.S,
)


class Canvas(Platform):
    """One flat folder: name, LATE, the user's number, the upload's number, the file's name."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if not found or (not found["name"] and not found["user"].startswith("anon_")):
            return []
        user, name = found["user"], found["name"] or ""
        masked = user.startswith("anon_")
        claim = Claim(
            "Canvas",
            user,
            user if masked else f"{name}_{user}",
            found["file"] or place.part,
            (name, user),
            number=user,
            untimed=True,
            late=bool(found["late"]),
            serial=(int(found["upload"]), counter(found["file"])) if found["upload"] else (0,),
            anonymous=masked,
        )
        return [claim]


PLATFORM = Canvas()
