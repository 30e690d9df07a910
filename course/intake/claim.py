"""A claim: what the path of a file tells of who handed it in, when, and under which name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import PurePosixPath
from typing import Protocol
from zoneinfo import ZoneInfo

from course.zone import YEARS, zoned

NOTE_BYTES = 8_000_000  # of a file that a platform lays beside the submissions
_MOMENT = re.compile(
    r"(?P<local>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?P<part>\.\d{1,9})?(?: ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d|[A-Z]\w+(?:/[A-Z][\w-]+){0,2}))?"
)
_COMPACT = re.compile(r"20\d{12}(\d{3})?")


@dataclass(frozen=True)
class Claim:
    """What is known of one file before it is opened.

    Args:
        platform: whose way of naming it is.
        key: tells senders apart within the platform; empty if the path names none.
        label: readable name of the sender.
        file: the name that the student gave.
        hints: ids, e-mails and names by which a roster may know the sender, each the whole of it.
        within: names in which somebody of the roster may stand beside other words, the nearest first.
        number: the platform's number of the sender; two numbers are two accounts.
        lesson_hints: names on the path that may tell the lesson, the nearest first.
        time: when it was handed in, if the platform says so: in UTC, or in the zone that was assumed.
        untimed: the platform tells no times, not even in its zip.
        late: the platform marked it as late.
        serial: later uploads at the same time have higher ones.
        by_hand: an instructor collected it for this student.
        sure: False if the sender's name is only a guess from a file's name.
        anonymous: the platform hid who it is.
        aside: why nothing is handed in by this file, if it is the platform's own.
        doubt: what a person should know of how it was told whose it is.
    """

    platform: str
    key: str
    label: str
    file: str = ""
    hints: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    number: str = ""
    lesson_hints: tuple[str, ...] = ()
    time: datetime | None = None
    untimed: bool = False
    late: bool = False
    serial: tuple[int, ...] = ()
    by_hand: bool = False
    sure: bool = True
    anonymous: bool = False
    aside: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Place:
    """A file's path, and which part of it tells whose it is.

    Args:
        path: from the download's name on.
        at: the part that tells; what follows it was named by the student.
    """

    path: PurePosixPath
    at: int

    @property
    def part(self) -> str:
        """The name that tells."""
        return self.path.parts[self.at]

    @property
    def above(self) -> PurePosixPath:
        """The folder in which it stands."""
        return PurePosixPath(*self.path.parts[: self.at])

    @property
    def here(self) -> PurePosixPath:
        """The path down to the part that tells."""
        return PurePosixPath(*self.path.parts[: self.at + 1])

    @property
    def below(self) -> tuple[str, ...]:
        """What the student named, or a platform within the student's folder."""
        return self.path.parts[self.at + 1 :]

    @property
    def is_file(self) -> bool:
        """Whether the file itself tells, not a folder or archive round it."""
        return not self.below


@dataclass(frozen=True)
class Notes:
    """What a download says beside its submissions.

    Args:
        texts: of the platform's own files, by path.
        lessons: for each lesson the slugs by which it may be called.
        zone: of times that tell none; None is this machine's.
        beside: for each folder the names in it.
    """

    texts: Mapping[PurePosixPath, str] = field(default_factory=dict)
    lessons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    zone: tzinfo | None = None
    beside: Mapping[PurePosixPath, tuple[str, ...]] = field(default_factory=dict)

    def any_beside(self, place: Place, pattern: re.Pattern[str]) -> bool:
        """Whether a name in the same folder has this form."""
        return any(pattern.fullmatch(name) for name in self.beside.get(place.above, ()))

    def zoned(self, local: datetime) -> datetime:
        """A platform's local time with its zone; raises ValueError where it can be none."""
        return zoned(local, self.zone)


class Platform(Protocol):
    """One platform's way of packing what was handed in. A module of `platforms/` with a `PLATFORM` is all it takes."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """Tell whose a file is, from the part of its path that tells.

        Args:
            place: the path, and the part.
            notes: what else the download says.

        Returns:
            One claim; several for a group's file; none if the name is not of this platform.
        """
        ...

    def wraps(self, folder: str) -> bool:
        """Whether this platform keeps the students' work below a folder of this name."""
        return False

    def is_note(self, path: PurePosixPath) -> bool:
        """Whether the platform wrote this file to say something of the others."""
        return False


def moment(text: str) -> datetime | None:
    """Read a time as platforms write it, in UTC unless it says otherwise.

    Args:
        text: `2026-03-01 23:59:59.000000 UTC`, with a zone or an offset, or Sakai's `20260301235959000`.

    Returns:
        The time in UTC; None if it is anything else.
    """
    time = _moment(text.strip())
    return time if time and time.year in YEARS else None


def _moment(text: str) -> datetime | None:
    """The same, of any year."""
    try:
        if _COMPACT.fullmatch(text):
            return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        found = _MOMENT.fullmatch(text)
        if not found:
            return None
        local = datetime.fromisoformat(found["local"])
        fraction = timedelta(microseconds=int(float(found["part"] or 0) * 1_000_000))
        zone = found["zone"] or "UTC"
        if zone in ("Z", "UTC"):
            return local.replace(tzinfo=UTC) + fraction
        if zone[0] in "+-":
            return datetime.fromisoformat(f"{found['local']}{zone}").astimezone(UTC) + fraction
        return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) + fraction
    except (ValueError, OverflowError, LookupError, OSError):
        return None
