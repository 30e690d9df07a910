"""GitHub Classroom's clones, `lesson-1-submissions/lesson-1-octocat/`, and homes of a JupyterHub, `home/jupyter-anna/`."""

from __future__ import annotations

from course.intake.claim import Claim, Notes, Place, Platform

_CLONES, _HUB = "-submissions", "jupyter-"


class GitHub(Platform):
    """One clone a student, called after the assignment and the user."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        above, user = place.above.name.lower().removesuffix(".zip"), ""
        if place.is_file:
            return []
        if above.endswith(_CLONES) and place.part.lower().startswith(above.removesuffix("submissions")):
            user = place.part[len(above) - len("submissions") :]
        elif above == "home" and place.part.startswith(_HUB):
            user = place.part.removeprefix(_HUB)
        return [Claim("GitHub", user, user, hints=(user,))] if user else []

    def wraps(self, folder: str) -> bool:
        """See `Platform.wraps`."""
        return folder.lower().endswith(_CLONES) or folder == "home"


PLATFORM = GitHub()
