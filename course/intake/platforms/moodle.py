"""Moodle: `Full Name_1234_assignsubmission_file_/x.ipynb`, or flat: `Full Name_1234_assignsubmission_file_x.ipynb`."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from course.intake.claim import Claim, Notes, Place, Platform

_NAME = re.compile(
    r"(?P<name>.+?)(?:_(?P<number>\d+))?_assign(?P<kind>submission|feedback)_[a-z]+_?(?P<file>.*)", re.S
)
_MASK = re.compile(  # "participant" in the languages of Moodle: blind marking shows no other name
    r"(participante?|participant_e|teilnehmer([/_ ]in)?|deltaker|deltager|deltagare|участник|учасник|учасниця|partecipante|deelnemer|"
    r"osallistuja|uczestnik|účastník|účastníci|résztvevő|katılımcı|συμμετέχων|participantul|sudionik|osaleja|dalyvis|dalībnieks|"
    r"udeleženec|учесник|参与者|参加者|參與者|참가자|مشارك|משתתף)(?P<number> \d+)?",
    re.I,
)


class Moodle(Platform):
    """One folder a student, or one flat folder for all; a group's name may stand before the student's."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        found = _NAME.fullmatch(place.part)
        if not found:
            return []
        name, number = unicodedata.normalize("NFC", found["name"]), found["number"] or ""
        masked = _MASK.fullmatch(name)
        label = f"{name} {number}" if masked and not masked["number"] else name
        aside = "" if found["kind"] == "submission" else "feedback of a teacher, nothing handed in"
        hints = (name, *_without_group(name, place, notes))
        return [
            Claim(
                "Moodle",
                label,
                label,
                found["file"],
                hints,
                number=number,
                anonymous=bool(masked),
                aside=aside,
            )
        ]


@lru_cache(maxsize=64)
def _have_groups(names: tuple[str, ...]) -> bool:
    """Whether every name in a folder has a dash, as it has where Moodle writes the group before it."""
    return all("-" in other.partition("_")[0] for other in names if _NAME.fullmatch(other))


def _without_group(name: str, place: Place, notes: Notes) -> list[str]:
    """What may be the name after a group's, the longest first: `Group 3-Anna-Lena Doe`."""
    if not _have_groups(notes.beside.get(place.above, ())):
        return []
    return [name[at + 1 :] for at, letter in enumerate(name) if letter == "-"]


PLATFORM = Moodle()
