"""Whose work is it: which folders only wrap a download, which stand for a student, and who claims each file.

The first part of a path that is no wrapper decides; whatever lies below it was named by the student
and is not believed. Which platform packed a folder is told by all names in it together: a student can
give a file a name of another platform's form, but not everybody's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import PurePosixPath

from course.intake import platforms
from course.intake.archive import BY_HAND, Found
from course.intake.claim import NOTE_BYTES, Claim, Notes, Place, Platform
from course.intake.names import (
    LONGEST,
    counter,
    is_archive,
    is_container,
    left_over,
    lesson_named,
    slug,
    without_endings,
)

Named = Callable[[str], frozenset[str]]
_VERSION = re.compile(r"(?:version|attempt|versuch|v)[ _-]?(\d{1,6})", re.I)


def is_side_file(name: str) -> bool:
    """Tell whether a platform gives this name to a file that says something of the others."""
    return any(platform.is_note(PurePosixPath(name)) for platform in platforms.PLATFORMS)


def read_side_files(
    found: Iterable[Found], lessons: Mapping[str, Sequence[str]], zone: tzinfo | None = None
) -> Notes:
    """Keep the text of what a platform wrote beside the submissions, where the platform puts it.

    Args:
        found: files of which `is_side_file` is true.
        lessons: for each lesson the slugs by which it may be called.
        zone: of times that tell none.
    """
    texts = {}
    for file in found:
        if file.data is not None and any(platform.is_note(file.path) for platform in platforms.PLATFORMS):
            texts[file.path] = _decoded(file.data[: NOTE_BYTES + 1])
    return Notes(texts, lessons, zone)


def _decoded(data: bytes) -> str:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if wide else "utf-8-sig", "replace")


class Layout:
    """How one download is laid out.

    Args:
        paths: of all its files, from the download's name on.
        notes: from `read_side_files`.
        named: tells which of the people who are known stand in a name.
    """

    def __init__(self, paths: Iterable[PurePosixPath], notes: Notes, named: Named):
        self._named = named
        self._children: dict[
            tuple[str, ...], dict[str, PurePosixPath]
        ] = {}  # name -> some file at or below it
        for path in paths:
            for depth in range(1, len(path.parts)):
                self._children.setdefault(path.parts[:depth], {}).setdefault(path.parts[depth], path)
        beside = {PurePosixPath(*parts): tuple(names) for parts, names in self._children.items()}
        self.notes = replace(notes, beside=beside)
        self._wraps: dict[tuple[str, ...], bool] = {}
        self._stand: dict[tuple[str, ...], bool | None] = {}
        self._votes: dict[tuple[str, ...], Counter[Platform]] = {}

    def place(self, path: PurePosixPath) -> Place:
        """Find the part of a path that tells whose it is."""
        at = min(1, len(path.parts) - 1)
        while at < len(path.parts) - 1 and self.wraps(path.parts[: at + 1]):
            at += 1
        return Place(path, at)

    def claims(self, path: PurePosixPath) -> list[Claim]:
        """Tell who handed in the file at `path`: one claim, several for a group's file."""
        place = self.place(path)
        claims = self._platforms(place) or [replace(_plain(place, self.notes), doubt=self._doubt(place))]
        file = (claims[0].file if place.is_file else "") or path.name
        hints = (file, *reversed(path.parts[:-1]))
        versions = tuple(int(n[1]) for part in place.below[:-1] if (n := _VERSION.fullmatch(part)))
        serial = (*versions, counter(file))
        return [replace(c, file=file, lesson_hints=hints, serial=c.serial or serial) for c in claims]

    def _doubt(self, place: Place) -> str:
        """What a person should know of a name that no platform gave; empty if it is plain enough."""
        parts = place.here.parts
        above, inside = place.above.parts, [(*parts, child) for child in self._children.get(parts, ())]
        if place.is_file:
            return ""
        if self._is_single(parts) and self._stand.get(above[:-1]) is False:
            return f"{place.here}: {above[-1]!r} is nobody's name that is known, so {parts[-1]!r} is taken for the student"
        people = {
            name: None for each in inside if each not in self._children for name in self._people_in(each)
        }
        if len(people) > 1:
            names = ", ".join(map(repr, people))
            return f"{place.here}: its files are called after several people ({names}), and all are taken for the work of {parts[-1]!r}"
        folders = [each for each in inside if each in self._children]
        if self._is_single(parts) and len(inside) == len(folders) == 1 and not self._named(parts[-1]):
            return f"{place.here}: {parts[-1]!r} is taken for the student's name and {folders[0][-1]!r} for a folder of theirs"
        return ""

    def wraps(self, parts: tuple[str, ...]) -> bool:
        """Tell whether a folder only wraps what others handed in."""
        if parts not in self._wraps:
            self._wraps[parts] = self._is_wrapper(parts)
        return self._wraps[parts]

    def _is_wrapper(self, parts: tuple[str, ...]) -> bool:
        name = parts[-1]
        if parts not in self._children or is_archive(name) or self._claims_of(parts):
            return False
        if self._is_wrapper_by_name(name):
            return True
        if (here := self._students_stand(parts[:-1])) is not None:
            return not here
        if not self._is_single(parts):
            return False
        inside = [(*parts, child) for child in self._children[parts]]
        senders = {person for each in inside for person in self._people_in(each)}
        has_folder = any(each in self._children and not each[-1].startswith(".") for each in inside)
        if is_container(name, self.notes.lessons):
            return has_folder or bool(senders)
        return len(senders) > 1 or (len(inside) > 1 and has_folder)

    def _is_single(self, parts: tuple[str, ...]) -> bool:
        """Whether a folder is alone in its own, and that in its own, and so on up."""
        return len(parts) > 1 and all(
            len(self._children[parts[:depth]]) == 1 for depth in range(1, len(parts))
        )

    def _people_in(self, parts: tuple[str, ...]) -> set[str]:
        """Whom a name is called after: those a platform tells, those who are known, or two words beside a lesson's."""
        lessons, name = self.notes.lessons, parts[-1]
        if claims := self._claims_of(parts):
            return {claim.key for claim in claims if claim.key}
        if people := self._named(name):
            return set(people)
        rest = (
            left_over(name, lessons)
            if name.lower().endswith(".ipynb") and lesson_named(name, lessons)
            else ""
        )
        return {slug(rest)} if len(rest.split()) > 1 else set()

    def _students_stand(self, level: tuple[str, ...]) -> bool | None:
        """Whether the students stand in this folder (True) or one further down (False); None if nobody is known in either."""
        if level not in self._stand:
            inside = [(*level, name) for name in self._children[level]]
            folders = [e for e in inside if e in self._children and not self._is_wrapper_by_name(e[-1])]
            if any(self._named(each[-1]) or self._claims_of(each) for each in inside):
                self._stand[level] = True
            else:
                deeper = 2 * sum(map(self._holds_somebody, folders)) > len(folders)
                self._stand[level] = False if deeper else None
        return self._stand[level]

    def _is_wrapper_by_name(self, name: str) -> bool:
        """Whether a folder can be nobody's: `Lesson 1`, `assignment_7_export`, `.ipynb_checkpoints`."""
        lessons = self.notes.lessons
        return (
            name == ".ipynb_checkpoints"
            or any(platform.wraps(name) for platform in platforms.PLATFORMS)
            or bool(lesson_named(name, lessons) and not left_over(name, lessons))
        )

    def _holds_somebody(self, parts: tuple[str, ...], depth: int = 4) -> bool:
        """Whether people who are known stand right below a folder, or below a chain of single folders."""
        inside = [(*parts, child) for child in self._children.get(parts, ())]
        if any(self._named(each[-1]) for each in inside) or any(
            self._named(hint) for each in inside for claim in self._claims_of(each) for hint in claim.hints
        ):
            return True
        folders = [each for each in inside if each in self._children]
        return depth > 0 and len(folders) == 1 and self._holds_somebody(folders[0], depth - 1)

    def _claims_of(self, parts: tuple[str, ...]) -> list[Claim]:
        """What some platform says of the name that ends these parts."""
        return self._platforms(Place(self._children[parts[:-1]][parts[-1]], len(parts) - 1))

    def _platforms(self, place: Place) -> list[Claim]:
        """The claims of the platform that fits most names beside this one, and of those the one that leaves the student most."""
        if len(place.part) > LONGEST:
            return []
        fits = [(p, claims) for p in platforms.PLATFORMS if (claims := p.claims(place, self.notes))]
        if len(fits) < 2:
            return fits[0][1] if fits else []
        votes = self._votes_in(place.path.parts[: place.at])
        return max(fits, key=lambda fit: (votes[fit[0]], len(fit[1][0].file)))[1]

    def _votes_in(self, level: tuple[str, ...]) -> Counter[Platform]:
        """How many names in a folder each platform may have given."""
        if level not in self._votes:
            places = [Place(path, len(level)) for path in self._children.get(level, {}).values()]
            self._votes[level] = Counter(
                p for p in platforms.PLATFORMS for place in places if p.claims(place, self.notes)
            )
        return self._votes[level]


def wrappers(paths: Iterable[PurePosixPath], notes: Notes, named: Named) -> Layout:
    """Tell folders that only wrap a download from those that stand for a student; see `Layout`."""
    return Layout(paths, notes, named)


def identify(path: PurePosixPath, layout: Layout, by_hand: bool = False) -> list[Claim]:
    """Tell who handed in the file at `path`.

    Args:
        path: from the download's name on.
        layout: from `wrappers`.
        by_hand: the part after the download's name is the student whom an instructor named.

    Returns:
        One claim; several for a group's file.
    """
    if by_hand:
        parts = path.parts
        hints = tuple(parts[2:])
        return [Claim(BY_HAND, parts[1], parts[1], parts[-1], (parts[1],), lesson_hints=hints, by_hand=True)]
    return layout.claims(path)


def acquainted(downloads: Iterable[tuple[Sequence[PurePosixPath], Notes]], named: Named) -> Named:
    """Add to a roster's people those who handed in before, so that a late zip of one folder finds its student.

    Args:
        downloads: paths and notes of each; those in which two or more students stand tell who there is.
        named: tells which people of the roster stand in a name.

    Returns:
        The same for the people of both.
    """
    senders: dict[str, str] = {}
    for paths, notes in downloads:
        layout = Layout(paths, notes, named)
        labels = {c.label for path in paths for c in layout.claims(path) if c.key and c.sure and not c.aside}
        if len(labels) > 1:
            senders |= {slug(label): label for label in labels}

    def both(name: str) -> frozenset[str]:
        known = senders.get(slug(without_endings(name)))
        return named(name) or (frozenset({known}) if known else frozenset())

    return both


def _plain(place: Place, notes: Notes) -> Claim:
    """A folder or archive with the student's name, or a file whose name holds it beside the lesson's."""
    part, is_file = place.part, place.is_file
    name = without_endings(part) if is_file or is_archive(part) else unicodedata.normalize("NFC", part)
    if lesson_named(name, notes.lessons) or is_file:
        name = left_over(name, notes.lessons)
    if not slug(name) or part.startswith("."):  # what a program keeps for itself is nobody's
        name = ""
    within = (name,) if name else tuple(left_over(p, notes.lessons) for p in reversed(place.above.parts))
    kind = "file name" if is_file else "folder"
    return Claim(kind, name, name, part if is_file else "", (name,), within, sure=not is_file)
