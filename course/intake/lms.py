"""What the path of a file tells: who handed it in, when, and under which name.

Each learning platform packs submissions in its own way. The first part of a path that is no
wrapper decides; whatever lies below it was named by the student and is not believed.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import PurePosixPath
from typing import Any

import yaml

from course.intake.archive import BY_HAND, Found

FEEDBACK = "Moodle feedback"
_MOODLE = re.compile(
    r"(?P<name>.+?)(?:_(?P<number>\d+))?_assign(?P<kind>submission|feedback)_[a-z]+_?(?P<file>.*)", re.S
)
_CANVAS = re.compile(
    r"(?:(?P<name>.+?)_)??(?P<late>LATE_)?(?P<user>anon_\w+?|[1-9]\d+)_(?:(?P<upload>[1-9]\d+)_(?P<file>.+)|(?:link|text)\.html)",
    re.S,
)
_BLACKBOARD = re.compile(r"(?P<before>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)", re.S)
_GRADESCOPE = re.compile(r"submission_\d+")
_EXCHANGE = re.compile(
    r"(?P<user>[^+]+)\+(?P<lesson>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)(?: \w+)?(?:\+.*)?"
)
_EXPORT = re.compile(r"assignment_\d+_export")
_COUNTER = re.compile(r"(?:[ _]?\((\d{1,3})\)|-(\d{1,2}))$")
_ENDINGS = re.compile(r"(\.(ipynb|json|txt|py|zip|html?|crdownload|part|download))+$", re.I)
_COPY = re.compile(
    r"^(copy of|kopie von|copie de|copia de|cópia de|kopia|kopie|копия|copy)[ _]+|[ _-]+(copy|kopie|的副本)$",
    re.I,
)
_NOISE = re.compile(
    r"copy|of|kopie|von|copie|de|copia|kopia|lesson|notebook|submission|solutions?|solved|answers?|final|finished|done|new|old|"
    r"version|draft|hw|homework|assignment|exercises?|my|the|and|edited|student|ipynb|checkpoint|untitled|v?\d{1,2}"
)


@dataclass(frozen=True)
class Handin:
    """What is known of one file before it is opened.

    Args:
        convention: whose way of naming it is.
        key: tells senders apart within the convention; empty if the path names none.
        label: readable name of the sender.
        hints: ids, e-mails and names by which a roster may know the sender.
        number: tells two senders of one name apart.
        file: the name that the student gave.
        lesson_hints: names on the path that may tell the lesson, the nearest first.
        time: when it was handed in, if the platform says so.
        late: the platform marked it as late.
        serial: later uploads at the same time have higher ones.
        by_hand: an instructor collected it for this student.
        sure: False if the sender's name is only a guess from a file's name.
    """

    convention: str
    key: str
    label: str
    file: str
    hints: tuple[str, ...] = ()
    number: str = ""
    lesson_hints: tuple[str, ...] = ()
    time: datetime | None = None
    late: bool = False
    serial: tuple[int, ...] = ()
    by_hand: bool = False
    sure: bool = True

    @property
    def anonymous(self) -> bool:
        """Whether the platform hid who it is."""
        return (
            self.key.startswith("anon_")
            or re.fullmatch(r"(Participant|Teilnehmer/in|Participante) \d+|Participant", self.label)
            is not None
        )


@dataclass
class Side:
    """What files beside the submissions say: Gradescope's list, Blackboard's notes, nbgrader's times."""

    gradescope: dict[PurePosixPath, dict[str, Any]] = field(default_factory=dict)
    blackboard: dict[str, tuple[str, str]] = field(default_factory=dict)
    times: dict[PurePosixPath, datetime] = field(default_factory=dict)


def is_side_file(name: str) -> bool:
    """Tell whether a file of this name says something of the others."""
    note = _BLACKBOARD.fullmatch(name)
    return name in ("submission_metadata.yml", "timestamp.txt") or bool(note and not note["file"])


def read_side_files(found: Iterable[Found]) -> Side:
    """Read what a platform wrote beside the submissions; what cannot be read is left out."""
    side = Side()
    for file in found:
        if file.data is None:
            continue
        text = file.data[:8_000_000].decode("utf-8-sig", "replace")
        if file.path.name == "submission_metadata.yml":
            side.gradescope[file.path.parent] = _yaml(text)
        elif file.path.name == "timestamp.txt":
            if time := _timestamp(text):
                side.times[file.path.parent] = time
        elif note := re.search(r"^Name:\s*(?P<name>.*?)\s*\((?P<user>[^()\s]+)\)\s*$", text, re.M):
            side.blackboard[file.path.name.removesuffix(".txt")] = (note["user"], note["name"])
    return side


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads YAML whose Ruby tags it does not know as plain values."""


def _untagged(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _untagged)


def _yaml(text: str) -> dict[str, Any]:
    """Read Gradescope's metadata; {} if it is not what it should be."""
    try:
        content = yaml.load(text, Loader=_Loader)  # a SafeLoader: builds plain values only
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _timestamp(text: str) -> datetime | None:
    """Read nbgrader's timestamp.txt, which is in UTC unless it says otherwise."""
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip()).replace(tzinfo=UTC)
    except (ValueError, OverflowError, AttributeError):
        return None


def slug(text: str) -> str:
    """Letters and digits of a name, the rest as single underscores: `Copy of 01-Tanh (1)` -> `copy_of_01_tanh_1`."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", text).casefold()).strip("_")


def lesson_named(text: str, lessons: Mapping[str, Sequence[str]]) -> str:
    """Find the one lesson that a name speaks of.

    Args:
        text: the name of a file, a folder or a zip.
        lessons: for each lesson the slugs by which it may be called.

    Returns:
        The lesson's name; empty if none or more than one fits.
    """
    name = f"_{slug(text)}_"
    fits = {
        lesson
        for lesson, aliases in lessons.items()
        if any(f"_{alias}_" in name or alias in name.replace("_", "") for alias in aliases)
    }
    return fits.pop() if len(fits) == 1 else ""


def wrappers(
    paths: Iterable[PurePosixPath], lessons: Mapping[str, Sequence[str]]
) -> Callable[[tuple[str, ...]], bool]:
    """Tell folders that only wrap a download from those that stand for a student.

    Args:
        paths: of all files of the download.
        lessons: as for `lesson_named`.

    Returns:
        A test that takes the leading parts of a path and says whether the last one only wraps.
    """
    below: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for depth in range(1, len(path.parts)):
            below.setdefault(path.parts[:depth], set()).add(path.parts[depth])

    def wraps(parts: tuple[str, ...]) -> bool:
        name = parts[-1]
        if parts not in below or name.lower().endswith(".zip") or _is_platforms(name):
            return False
        if _EXPORT.fullmatch(name) or (lesson_named(name, lessons) and not _left_over(name, lessons)):
            return True
        alone = all(len(below[parts[:depth]]) == 1 for depth in range(1, len(parts)))
        holds_students = any((*parts, child) in below or _is_platforms(child) for child in below[parts])
        return alone and len(below[parts]) > 1 and holds_students

    return wraps


def _is_platforms(name: str) -> bool:
    """Whether a platform gave a file or folder its name."""
    return any(pattern.fullmatch(name) for pattern in (_MOODLE, _CANVAS, _BLACKBOARD, _GRADESCOPE, _EXCHANGE))


def identify(
    path: PurePosixPath,
    side: Side,
    lessons: Mapping[str, Sequence[str]],
    wraps: Callable[[tuple[str, ...]], bool],
    zone: tzinfo | None,
    by_hand: bool = False,
) -> list[Handin]:
    """Tell who handed in the file at `path`.

    Args:
        path: from the download's name on.
        side: what the platform wrote beside the submissions.
        lessons: as for `lesson_named`.
        wraps: from `wrappers`.
        zone: of times that tell none.
        by_hand: the part after the download's name is the student whom an instructor named.

    Returns:
        One hand-in; several for a group's file.
    """
    parts = path.parts
    if by_hand:
        hints = tuple(parts[2:])
        return [Handin(BY_HAND, parts[1], parts[1], parts[-1], (parts[1],), lesson_hints=hints, by_hand=True)]
    at = min(1, len(parts) - 1)
    while at < len(parts) - 1 and wraps(parts[: at + 1]):
        at += 1
    part, is_file = parts[at], at == len(parts) - 1
    for platform in (_moodle, _blackboard, _canvas, _gradescope, _exchange):
        if handins := platform(part, parts[:at], side, zone):
            break
    else:
        handins = [_plain(part, is_file, lessons, side.times.get(path.parent))]
    file = (handins[0].file if is_file else "") or parts[-1]
    hints = (file, *reversed(parts[:-1]))
    return [replace(h, file=file, lesson_hints=hints, serial=h.serial or _serial(file)) for h in handins]


def _moodle(part: str, above: tuple[str, ...], side: Side, zone: tzinfo | None) -> list[Handin]:
    """`Full Name_1234_assignsubmission_file_/x.ipynb`, or flat: `Full Name_1234_assignsubmission_file_x.ipynb`."""
    found = _MOODLE.fullmatch(part)
    if not found:
        return []
    name, number = unicodedata.normalize("NFC", found["name"]), found["number"] or ""
    label = f"{name} {number}" if name in ("Participant", "Teilnehmer/in") else name
    convention = "Moodle" if found["kind"] == "submission" else FEEDBACK
    return [Handin(convention, label, label, found["file"], (name,), number)]


def _canvas(part: str, above: tuple[str, ...], side: Side, zone: tzinfo | None) -> list[Handin]:
    """`doejane_LATE_123_4567_x-1.ipynb`; anonymous: `anon_aBc12_4567_x.ipynb`, late `LATE_anon_aBc12_4567_x.ipynb`."""
    found = _CANVAS.fullmatch(part)
    if not found or (not found["name"] and not found["user"].startswith("anon_")):
        return []
    user, name = found["user"], found["name"] or ""
    label = user if user.startswith("anon_") else f"{name}_{user}"
    serial = (int(found["upload"]), *_serial(found["file"])) if found["upload"] else (0,)
    return [
        Handin(
            "Canvas",
            user,
            label,
            found["file"] or part,
            (name, user),
            late=bool(found["late"]),
            serial=serial,
        )
    ]


def _blackboard(part: str, above: tuple[str, ...], side: Side, zone: tzinfo | None) -> list[Handin]:
    """`Lesson 1_jdoe_attempt_2026-03-01-23-59-59_x.ipynb`, with a note `Lesson 1_jdoe_attempt_2026-03-01-23-59-59.txt`."""
    found = _BLACKBOARD.fullmatch(part)
    if not found:
        return []
    user, name = side.blackboard.get(
        f"{found['before']}_attempt_{found['time']}", (found["before"].rpartition("_")[2], "")
    )
    local = datetime.strptime(found["time"], "%Y-%m-%d-%H-%M-%S")
    return [Handin("Blackboard", user, user, found["file"] or part, (user, name), time=_utc(local, zone))]


def _gradescope(part: str, above: tuple[str, ...], side: Side, zone: tzinfo | None) -> list[Handin]:
    """`assignment_1_export/submission_42/x.ipynb`, who and when in `submission_metadata.yml` beside the folders."""
    if not _GRADESCOPE.fullmatch(part):
        return []
    entry = side.gradescope.get(PurePosixPath(*above), {}).get(part)
    if not isinstance(entry, dict):
        return [Handin("Gradescope", "", part, "", sure=False)]
    time = _value(entry, "created_at")
    if isinstance(time, str):
        time = _timestamp(time)
    if isinstance(time, datetime):
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    handins = []
    for person in _value(entry, "submitters") or []:
        if isinstance(person, dict):
            sid, email, name = (str(_value(person, key) or "") for key in ("sid", "email", "name"))
            label = sid or email or name
            late = bool(_value(entry, "late") or _value(entry, "lateness"))
            handins.append(Handin("Gradescope", label, label, "", (sid, email, name), time=time, late=late))
    return handins


def _exchange(part: str, above: tuple[str, ...], side: Side, zone: tzinfo | None) -> list[Handin]:
    """nbgrader's own exchange: `jdoe+01_tanh+2026-03-01 10:00:00.000000 UTC+hash/`."""
    found = _EXCHANGE.fullmatch(part)
    return (
        [
            Handin(
                "nbgrader",
                found["user"],
                found["user"],
                "",
                (found["user"],),
                time=_timestamp(f"{found['time']} UTC"),
            )
        ]
        if found
        else []
    )


def _plain(part: str, is_file: bool, lessons: Mapping[str, Sequence[str]], time: datetime | None) -> Handin:
    """A folder or zip with the student's name, or a file whose name holds it beside the lesson's."""
    name = unicodedata.normalize(
        "NFC", _ENDINGS.sub("", part) if is_file or part.lower().endswith(".zip") else part
    )
    if lesson_named(name, lessons) or is_file:
        name = _left_over(name, lessons)
    convention = "file name" if is_file else "folder"
    if not slug(name):
        name = ""
    return Handin(convention, name, name, part if is_file else "", (name,), time=time, sure=not is_file)


def _left_over(name: str, lessons: Mapping[str, Sequence[str]]) -> str:
    """What remains of a name without the lesson's, marks of a copy and words that are nobody's name."""
    name = _COUNTER.sub("", _ENDINGS.sub("", unicodedata.normalize("NFC", name)))
    while (shorter := _COUNTER.sub("", _COPY.sub("", name))) != name:
        name = shorter
    for alias in sorted({alias for aliases in lessons.values() for alias in aliases}, key=len, reverse=True):
        name = re.sub(
            r"(?<![^\W_])" + r"[\W_]*".join(map(re.escape, alias.split("_"))) + r"(?![^\W_])",
            " ",
            name,
            flags=re.I,
        )
    words = [w for w in re.split(r"[\s_()\[\]+,;]+| - |(?<=\s)-|-(?=\s)", name) if re.search(r"\w", w)]
    return " ".join(w.strip(" -.") for w in words if not _NOISE.fullmatch(slug(w)))


def _serial(name: str) -> tuple[int, ...]:
    """The counter that a browser or platform appends to a name taken: `x (2).ipynb` and `x-2.ipynb` give (2,)."""
    found = _COUNTER.search(_ENDINGS.sub("", os.path.basename(name)))
    return (int(found[1] or found[2]),) if found else (0,)


def _value(mapping: Mapping, key: str) -> Any:
    """A value of Gradescope's metadata, whose keys are Ruby symbols or plain."""
    return mapping.get(f":{key}", mapping.get(key))


def _utc(local: datetime, zone: tzinfo | None) -> datetime:
    """A platform's local time in UTC; without a zone it is taken for this machine's."""
    return (local.replace(tzinfo=zone) if zone else local.astimezone()).astimezone(UTC)
