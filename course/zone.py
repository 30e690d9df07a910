"""Times, and the zone of those that name none: one way to read them, for deadlines and for what platforms, archives and disks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from course.model import CourseError

# In these every system can tell every zone; 1970 is what a disk says that knows no time.
YEARS = range(1971, 3000)
LONG_AGO, NEVER = datetime(YEARS.start, 1, 1, tzinfo=UTC), datetime(YEARS.stop, 1, 1, tzinfo=UTC)


def zone_called(name: object, where: str) -> tzinfo | None:
    """Find a time zone.

    Args:
        name: in the tz database, such as Europe/Berlin; None for this machine's.
        where: the setting stands, for the sentence.

    Returns:
        It; None for this machine's.

    Raises:
        CourseError: if this machine knows none of that name.
    """
    try:
        return None if name is None else ZoneInfo(str(name))
    except (LookupError, ValueError, OSError) as error:
        raise CourseError(
            f'{where}: zone = {name!r} is no time zone that this machine knows; write one as "Europe/Berlin" (where that is unknown, too: pip install tzdata)'
        ) from error


def zoned(time: datetime, zone: tzinfo | None) -> datetime:
    """Give a time its zone.

    Args:
        time: with a zone, which counts, or as a clock in `zone` shows it.
        zone: None is this machine's.

    Returns:
        The time in `zone`, with an offset from UTC that is fixed: between two times of one zone Python counts hours by the clock on the wall.

    Raises:
        ValueError: outside of `YEARS`.
    """
    if time.year not in YEARS:
        raise ValueError(f"the year {time.year}")
    told = (time.replace(tzinfo=zone) if zone and not time.tzinfo else time).astimezone(zone)
    return told.replace(tzinfo=timezone(told.utcoffset() or timedelta(), told.tzname() or ""))


def due_at(time: datetime, zone: tzinfo | None) -> datetime:
    """The same for a deadline; one after `YEARS`, such as 9999-12-31, is `NEVER`."""
    return NEVER if time.year >= NEVER.year else zoned(time, zone)


def is_assumed(time: datetime) -> bool:
    """Whether a time named no zone before it was `zoned`; what named one is in UTC."""
    return time.tzinfo is not UTC


def stamped(seconds: float) -> datetime | None:
    """A time as a disk or a tar says it, in UTC; None if it can be none."""
    try:
        time = datetime.fromtimestamp(seconds, UTC)
        return time if time.year in YEARS else None
    except (ValueError, OverflowError, OSError):
        return None
