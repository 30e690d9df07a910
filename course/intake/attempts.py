"""From a download to attempts: every file read in a worker, then told whose it is and of which lesson."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path, PurePosixPath
from typing import Any

from course.intake.archive import Found, Limits, walk
from course.intake.claim import Claim, Notes
from course.intake.edition import Edition, aliases
from course.intake.names import is_archive, lesson_named
from course.intake.reading import OURS, OURS_CHANGED, Reading, from_answer, question
from course.intake.whose import Layout, identify, is_side_file, read_side_files
from course.intake.workers import Workers
from course.zone import LONG_AGO, stamped

_NOTEBOOK = (".ipynb", ".ipynb.txt", ".ipynb.json", ".py", ".json", ".crdownload", ".part", ".download")
_CHECKOUT = ("solutions", "helpers", "course", "instructor", "tests", "docs", "lanes", "stand_ins", ".devcontainer")  # fmt: skip
_COPY = "part of a copy of the whole course"
_LARGEST = 8_000_000  # bytes of a file of the course that is recognised


@dataclass(frozen=True)
class File:
    """One file of a download, read."""

    path: PurePosixPath
    time: datetime | None
    digest: str
    reading: Reading


@dataclass(frozen=True)
class Download:
    """One download: its files, read, and what it says beside them."""

    root: Path
    by_hand: bool
    files: list[File]
    notes: Notes

    @property
    def paths(self) -> list[PurePosixPath]:
        """Of all its files, from the download's name on."""
        return [file.path for file in self.files]


@dataclass(frozen=True)
class Attempt:
    """One file as one sender's attempt at one lesson.

    Args:
        claim: who handed it in.
        path: within the download.
        download: where it was kept.
        lesson: empty if none could be told.
        time: when it was handed in; None if nothing says so.
        digest: of its bytes.
        reading: what came of it.
        problem: why it cannot be graded; empty if it can.
        is_work: its name is that of a notebook, a script or an archive.
        spare: it is part of a copy of the whole course, and no answer of the student's.
        aside: why nothing is handed in by it, if it can be told from what lies beside it.
        since: when it was there at the latest, where the platform tells no time.
    """

    claim: Claim
    path: str
    download: Path
    lesson: str
    time: datetime | None
    digest: str
    reading: Reading = field(repr=False)
    problem: str = ""
    is_work: bool = True
    spare: bool = False
    aside: str = ""
    since: datetime | None = None

    @property
    def readable(self) -> bool:
        """Whether it can be graded."""
        return bool(self.reading.notebook) and not (
            self.problem or self.aside or self.claim.aside or self.is_ours
        )

    @property
    def is_ours(self) -> bool:
        """Whether it is the course's own and so nobody's work; what an instructor names by hand is believed."""
        return bool(self.reading.ours) and not self.claim.by_hand

    @property
    def is_checkpoint(self) -> bool:
        """Whether Jupyter kept it by itself."""
        return ".ipynb_checkpoints" in self.path

    @property
    def when(self) -> datetime:
        """When it was handed in; where nothing says so, when it was downloaded, and what was named by hand, when it was kept."""
        if (told := self.time or self.since) and not self.claim.by_hand:
            return told
        return stamped(self.download.lstat().st_mtime) or LONG_AGO

    @property
    def sender(self) -> tuple[str, str, Path]:
        """One sender's part of one download."""
        return (self.claim.platform, self.claim.key, self.download)


@dataclass(frozen=True)
class Own:
    """The course's own files, by content and by path: what a student who hands in the whole repository hands in, too."""

    digests: frozenset[str]
    paths: frozenset[str]

    @classmethod
    def nothing(cls) -> Own:
        """Recognise nothing: what an instructor names is believed."""
        return cls(frozenset(), frozenset())

    @classmethod
    def of(cls, checkout: Path) -> Own:
        """Look at a checkout; the released notebooks are not among it."""
        digests, paths = set(), set()
        beside = sorted(
            path for path in checkout.glob("*.*") if path.suffix in (".py", ".md")
        )  # lab.py, README.md
        inside = [path for folder in _CHECKOUT for path in sorted(checkout.joinpath(folder).rglob("*"))]
        for path in [*beside, *inside]:
            if path.is_file() and not path.is_symlink() and path.stat().st_size < _LARGEST:
                paths.add(path.relative_to(checkout).as_posix())
                if path.stat().st_size:
                    digests.add(_content(path.read_bytes()))
        return cls(frozenset(digests), frozenset(paths))

    def holds(self, path: str) -> bool:
        """Whether the end of a path is that of a file of the course beside the lessons."""
        parts = path.split("/")
        return any(
            "/".join(parts[at:]) in self.paths and parts[at] != "solutions" for at in range(len(parts) - 1)
        )


def _content(data: bytes) -> str:
    """A digest that does not depend on how lines end."""
    return hashlib.sha256(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")).hexdigest()


def read_download(
    root: Path,
    by_hand: bool,
    release: Path,
    editions: Mapping[str, Edition],
    own: Own,
    workers: Workers[Any],
    zone: tzinfo | None,
    limits: Limits,
    told: Callable[[str], None] = lambda _: None,
) -> Download:
    """Read every file of one download.

    Args:
        root: where it was kept.
        by_hand: an instructor named the student.
        release: folder of the released notebooks; the instructor's edition lies beside it, in `solutions/`.
        editions: the lessons as released.
        own: the course's own files.
        workers: who reads.
        zone: of times that tell none.
        limits: what may be read.
        told: called with the name of each file that was read.
    """
    notes = read_side_files(walk(root, limits, zone, wanted=is_side_file), aliases(editions), zone)
    known = question((), release, release.parent / "solutions")
    files: dict[int, File] = {}

    def questions() -> Iterator[tuple[tuple[int, File], Mapping[str, Any], bytes]]:
        for number, found in enumerate(walk(root, limits, zone)):
            if is_side_file(found.path.name):
                continue
            files[number] = _unread(found, Own.nothing() if by_hand else own)
            if found.data is not None and not files[number].reading.ours:
                parts = found.path.parts
                hints = parts[2:] if by_hand else parts[::-1]
                yield (number, files[number]), {**known, "hints": list(hints)}, found.data

    for (number, file), words, body in workers.map(questions()):
        files[number] = replace(file, reading=from_answer(words, body))
        told(str(file.path))
    return Download(root, by_hand, [files[number] for number in sorted(files)], notes)


def _unread(found: Found, own: Own) -> File:
    """A file before it is read; one of the course's own need not be. What has no bytes is told by its place and time: a download may have another name."""
    data = found.data
    place = "/".join(found.path.parts[1:]) + (f"\0{found.time}" if data is None else "")
    digest = hashlib.sha256(data or place.encode("utf-8", "surrogateescape")).hexdigest()
    ours = OURS if data and _content(data) in own.digests else ""
    return File(found.path, found.time, digest, Reading(problem=found.problem, ours=ours))


def attempts_of(download: Download, layout: Layout, own: Own) -> list[Attempt]:
    """Tell whose each file of a download is, and which lesson."""
    attempts = [
        _attempt(file, claim, download.root, download.notes.lessons)
        for file in download.files
        for claim in identify(file.path, layout, download.by_hand)
    ]
    attempts = _helpers_beside(_in_whole_copies(attempts, download, own), download.notes.lessons)
    lessons = {a.lesson for a in attempts if a.readable and not a.spare}
    if len(lessons) != 1:
        return attempts
    (only,) = lessons  # a platform packs one lesson a zip: what tells no lesson is of this one
    return [replace(attempt, lesson=attempt.lesson or only) for attempt in attempts]


def _attempt(file: File, claim: Claim, root: Path, names: Mapping[str, Sequence[str]]) -> Attempt:
    """Tell the lesson of one file, by its cells if it has any, else by its name."""
    by_name = next((lesson for hint in claim.lesson_hints if (lesson := lesson_named(hint, names))), "")
    reading, problem = file.reading, file.reading.problem
    if reading.foreign:
        problem = f"it can be read, but none of its cells belongs to {by_name or 'a lesson of this course'}"
    name = claim.file.lower()
    is_work = (name.endswith(_NOTEBOOK) or is_archive(name)) and not (reading.foreign and not by_name)
    return Attempt(
        claim,
        str(file.path).encode("utf-8", "replace").decode(),
        root,
        reading.lesson or by_name,
        claim.time or (None if claim.untimed or claim.by_hand else file.time),
        file.digest,
        reading,
        problem,
        is_work,
    )


def _in_whole_copies(attempts: list[Attempt], download: Download, own: Own) -> list[Attempt]:
    """Mark what a copy of the whole course brings along: files of the course in other versions, notebooks without an answer."""
    whole = {a.sender for a in attempts if a.is_ours}
    if not whole:
        return attempts
    about = _lesson_of(attempts, whole, download)
    marked = []
    for attempt in attempts:
        if attempt.sender in whole and not attempt.claim.by_hand and not attempt.is_ours:
            if own.holds(attempt.path):
                attempt = replace(attempt, reading=replace(attempt.reading, ours=OURS))
            elif attempt.readable and not attempt.reading.answers and not attempt.reading.doubts:
                strange = bool(about) and attempt.lesson not in about
                attempt = replace(attempt, spare=True, aside=_COPY if strange else "")
            elif (attempt.reading.foreign or not attempt.is_work) and not _beside_lesson(attempt):
                attempt = replace(attempt, spare=True, aside=_COPY)
        marked.append(attempt)
    return marked


def _beside_lesson(attempt: Attempt) -> bool:
    """Whether it lies in the folder of its lesson's notebook, where the course has nothing else."""
    folder = PurePosixPath(attempt.path).parent
    return folder.name == attempt.lesson != "" and folder.parent.name != "solutions"


def _helpers_beside(attempts: list[Attempt], names: Mapping[str, Sequence[str]]) -> list[Attempt]:
    """Mark scripts that lie beside a notebook of another lesson and share no more than a few names with theirs; not one called after it."""
    lessons: dict[tuple[str, str, Path], set[str]] = {}
    for a in attempts:
        if a.readable and not a.reading.is_script:
            lessons.setdefault(a.sender, set()).add(a.lesson)

    def why(a: Attempt) -> str:
        beside, reading = lessons.get(a.sender, set()), a.reading
        few = 2 * len(reading.answers) < len(reading.answers) + len(reading.unanswered)
        if not (a.readable and reading.is_script and beside and few) or reading.kin or a.claim.by_hand:
            return ""
        if a.lesson in beside:
            return ""  # the notebook counts, and says what it lacks
        if a.lesson in (lesson_named(hint, names) for hint in a.claim.lesson_hints[:2]):
            return ""  # handed in as what it is
        defined = ", ".join(reading.answers)
        return f"a script beside a notebook; it defines {defined} of {a.lesson}: if that is handed in, collect it with --student ID"

    return [replace(a, aside=why(a)) if why(a) else a for a in attempts]


def _lesson_of(
    attempts: Iterable[Attempt], whole: set[tuple[str, str, Path]], download: Download
) -> set[str]:
    """The lessons that a download is about: those that its name tells, else those of the others, else those with answers."""
    if named := lesson_named(download.root.name, download.notes.lessons):
        return {named}
    others = {a.lesson for a in attempts if a.readable and a.sender not in whole}
    return others or {a.lesson for a in attempts if a.readable and a.reading.answers}


def is_changed(attempt: Attempt) -> bool:
    """Whether it is the instructor's edition with other answers in it."""
    return attempt.is_ours and attempt.reading.ours == OURS_CHANGED
