"""Teams: `Submitted files/Anna Doe/Lesson 1/Version 2/x.ipynb`; what was not turned in lies in `Working files/`."""

from __future__ import annotations

from course.intake.claim import Claim, Notes, Place, Platform

_SUBMITTED, _WORKING = "submitted files", "working files"


class Teams(Platform):
    """One folder a student; the platform counts the versions below it."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        kind = place.above.name.lower()
        if place.is_file or kind not in (_SUBMITTED, _WORKING):
            return []
        name, aside, doubt = place.part, "", ""
        if kind == _WORKING:
            turned_in = any(
                folder.name.lower() == _SUBMITTED and name in names for folder, names in notes.beside.items()
            )
            aside = "a draft in Teams, another was turned in" if turned_in else ""
            doubt = "" if turned_in else f"{name}: in Teams there is only a draft, it was not turned in"
        return [Claim("Teams", name, name, hints=(name,), within=(name,), aside=aside, doubt=doubt)]

    def wraps(self, folder: str) -> bool:
        """See `Platform.wraps`."""
        return folder.lower() in (_SUBMITTED, _WORKING, "student work")


PLATFORM = Teams()
