"""The whole way of a submission: kept, opened, repaired, matched to student and lesson, rebuilt, placed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePosixPath

from course.csvfile import read_csv, write_csv
from course.intake.archive import BY_HAND, Found, Limits, keep, walk
from course.intake.claim import Claim, Notes
from course.intake.decode import read_sheet
from course.intake.edition import Edition, aliases, find_lesson, read_editions
from course.intake.names import lesson_named
from course.intake.rebuild import Rebuilt, rebuild
from course.intake.roster import Roster, read_roster, safe_id, student_ids
from course.intake.sheet import Sheet, Unreadable
from course.intake.suspicion import reaches
from course.intake.triage import IGNORED, OLDER, REPAIRED, TAKEN, UNREADABLE, Row, Triage
from course.intake.whose import Layout, acquainted, identify, is_side_file, read_side_files, wrappers
from course.model import CourseError
from course.store import notebook_text, write_text

_NOTEBOOK = (
    ".ipynb",
    ".ipynb.txt",
    ".ipynb.json",
    ".py",
    ".json",
    ".zip",
    ".crdownload",
    ".part",
    ".download",
)


@dataclass(frozen=True)
class _Opened:
    """One file of a download, read: either a sheet or the reason why not."""

    found: Found
    digest: str
    sheet: Sheet | None
    problem: str


@dataclass(frozen=True)
class _Download:
    """One download: its files, read, and what it says beside them."""

    root: Path
    by_hand: bool
    files: list[_Opened]
    notes: Notes

    @property
    def paths(self) -> list[PurePosixPath]:
        """Of all its files, from the download's name on."""
        return [file.found.path for file in self.files]


@dataclass(frozen=True)
class _Attempt:
    """One file as one sender's attempt at one lesson."""

    claim: Claim
    path: str
    download: Path
    lesson: str
    time: datetime | None
    digest: str
    sheet: Sheet | None
    problem: str
    is_work: bool
    salvage: Sheet | None = None  # what is left of a file that lost answers on its way

    @property
    def order(self) -> tuple:
        """What makes an attempt later than another; a checkpoint that Jupyter kept is never later."""
        when = self.time or _kept_time(self.download)
        return (
            self.claim.by_hand,
            ".ipynb_checkpoints" not in self.path,
            when,
            self.claim.serial,
            self.path,
        )


def collect(
    source: Path | Sequence[Path] | None,
    release: Path,
    classroom: Path,
    roster: Path | None = None,
    *,
    student: str = "",
    lesson: str = "",
    confirm_zero: Sequence[str] = (),
    zone: tzinfo | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Triage:
    """Keep what was downloaded and place the latest readable attempt of each student and lesson for grading.

    Everything under `classroom/downloaded/` is looked at each time, so collecting in several steps,
    or the same zip twice, gives what collecting at once gives.

    Args:
        source: a folder, a file, or a platform's zip, or several of these; None looks at what was kept before.
        release: folder of the released notebooks.
        classroom: `downloaded/` and `submitted/` are here.
        roster: CSV class list, kept as `classroom/roster.csv`; None takes the one kept there.
        student: everything in `source` was handed in by this student, and replaces what came before.
        lesson: with `student`, the lesson it is for.
        confirm_zero: "student:lesson" whose unreadable file is to be graded as a blank notebook.
        zone: time zone of times that tell none; None is this machine's.
        limits: what may be read.

    Returns:
        What became of every file. Reports are not written here.

    Raises:
        CourseError: if `source` or the release is missing, the roster cannot be read, or there is nothing to confirm.
    """
    editions = read_editions(release)
    downloads = classroom / "downloaded"
    if lesson and lesson not in editions:
        raise CourseError(f"there is no released lesson {lesson!r}; there are: {', '.join(editions)}")
    for path in [source] if isinstance(source, Path) else source or []:
        keep(path, downloads, safe_id(student) if student else "", lesson)
    people = read_roster(_roster_file(roster, classroom))
    kept = [_read(root, by_hand, editions, zone, limits) for root, by_hand in _downloads(downloads)]
    known = acquainted(
        [(download.paths, download.notes) for download in kept if not download.by_hand], people.named
    )
    attempts = [
        a
        for download in kept
        for a in _attempts(download, wrappers(download.paths, download.notes, known), editions)
    ]
    contexts = [(str(attempt.download), attempt.lesson) for attempt in attempts]
    ids, warnings = student_ids([attempt.claim for attempt in attempts], contexts, people)
    groups: dict[tuple[str, str], list[_Attempt]] = {}
    for attempt, student_id in zip(attempts, ids, strict=True):
        groups.setdefault((student_id, attempt.lesson), []).append(attempt)
    zeros = _confirmed(classroom, confirm_zero, groups)
    worked = {(s, a.download) for a, s in zip(attempts, ids, strict=True) if a.sheet is not None}
    rows: list[Row] = []
    for (student_id, named), group in groups.items():
        group = _once(sorted(group, key=lambda attempt: attempt.order))
        counts = next((a for a in reversed(group) if a.sheet is not None and student_id), None)
        for attempt in group:
            row = _decide(
                _row(student_id, people, attempt), attempt, counts, (student_id, attempt.download) in worked
            )
            rows.append(_take(row, attempt, editions[named], classroom) if attempt is counts else row)
    left = {(s, a.lesson): a.salvage for a, s in zip(attempts, ids, strict=True) if a.salvage}
    rows = _place_zeros(zeros, rows, editions, classroom, left)
    return Triage(_in_order(rows), _absent(people, rows), [*warnings, *_strangers(classroom, rows, zeros)])


def _roster_file(roster: Path | None, classroom: Path) -> Path | None:
    """The class list; one that was given once is kept for the next time."""
    kept = classroom / "roster.csv"
    if roster and roster.is_file() and roster.resolve() != kept.resolve():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(roster, kept)
    return roster or (kept if kept.is_file() else None)


def _downloads(downloads: Path) -> Iterator[tuple[Path, bool]]:
    """What was kept, and whether an instructor named the student."""
    if not downloads.is_dir():
        return
    for folder in sorted(downloads.iterdir()):
        if folder.name == BY_HAND:
            yield from ((kept, True) for kept in sorted(folder.iterdir()))
        elif folder.is_dir():
            yield from ((kept, False) for kept in sorted(folder.iterdir()) if kept.name != ".copying")


def _read(
    root: Path, by_hand: bool, editions: Mapping[str, Edition], zone: tzinfo | None, limits: Limits
) -> _Download:
    """Read every file of one download."""
    notes = read_side_files(walk(root, limits, zone, wanted=is_side_file), aliases(editions), zone)
    opened = [_open(found) for found in walk(root, limits, zone) if not is_side_file(found.path.name)]
    return _Download(root, by_hand, opened, notes)


def _attempts(download: _Download, layout: Layout, editions: Mapping[str, Edition]) -> list[_Attempt]:
    """Tell whose each file of a download is, and which lesson."""
    attempts = [
        _attempt(file, claim, download.root, editions, download.notes.lessons)
        for file in download.files
        for claim in identify(file.found.path, layout, download.by_hand)
    ]
    lessons = {attempt.lesson for attempt in attempts if attempt.sheet is not None}
    if len(lessons) != 1:
        return attempts
    (only,) = lessons  # a platform packs one lesson a zip: what tells no lesson is of this one
    return [replace(attempt, lesson=attempt.lesson or only) for attempt in attempts]


def _open(found: Found) -> _Opened:
    """Read one file; its bytes are not kept. Whatever it holds, the class goes on."""
    data = found.data
    digest = hashlib.sha256(data or str(found.path).encode("utf-8", "surrogateescape")).hexdigest()
    sheet, problem = None, found.problem
    if data is not None:
        try:
            sheet = read_sheet(data)
        except Unreadable as reason:
            problem = str(reason)
        except Exception as error:
            problem = f"it could not be read: {type(error).__name__}: {error}"
    return _Opened(replace(found, data=None), digest, sheet, problem)


def _attempt(
    file: _Opened,
    claim: Claim,
    root: Path,
    editions: Mapping[str, Edition],
    names: Mapping[str, Sequence[str]],
) -> _Attempt:
    """Tell the lesson of one file, by its cells if it has any, else by its name."""
    by_name = next((lesson for hint in claim.lesson_hints if (lesson := lesson_named(hint, names))), "")
    lesson = find_lesson(file.sheet, editions, claim.lesson_hints, names) if file.sheet else ""
    sheet, problem = (file.sheet, file.problem) if lesson else (None, file.problem)
    foreign = file.sheet is not None and not lesson
    if foreign:
        problem = f"it can be read, but none of its cells belongs to {by_name or 'a lesson of this course'}"
    time = claim.time or (None if claim.untimed else file.found.time)
    is_work = claim.file.lower().endswith(_NOTEBOOK) and not (foreign and not by_name)
    path = str(file.found.path).encode("utf-8", "replace").decode()
    salvage = None
    if sheet and sheet.cut_off and (lost := rebuild(editions[lesson], sheet).unanswered):
        salvage, sheet = sheet, None
        problem = f"cut off or damaged: no answer is left for {', '.join(lost)}; ask for the file again"
    return _Attempt(claim, path, root, lesson or by_name, time, file.digest, sheet, problem, is_work, salvage)


def _kept_time(download: Path) -> datetime:
    """When a download was made, for platforms that write no time of hand-in."""
    return datetime.fromtimestamp(download.lstat().st_mtime, UTC)


def _row(student: str, people: Roster, attempt: _Attempt) -> Row:
    """An attempt as a row of the report, not judged yet."""
    name = people.name(student) or attempt.claim.label
    row = Row(student, name, attempt.lesson, attempt.path, UNREADABLE, time=attempt.time)
    return replace(row, late=attempt.claim.late, reason=attempt.problem)


def _decide(row: Row, attempt: _Attempt, counts: _Attempt | None, has_work: bool) -> Row:
    """Give an attempt its status.

    Args:
        row: not judged yet.
        attempt: what it is about.
        counts: the latest readable attempt of this student at this lesson.
        has_work: whether the student has a readable notebook in the same download.
    """
    if attempt.claim.aside:
        return replace(row, status=IGNORED, reason=attempt.claim.aside)
    if not row.student:
        return replace(
            row, reason=_join(row.reason, "whose it is cannot be told: collect it with --student ID")
        )
    if attempt.sheet is None and not attempt.is_work and has_work:
        return replace(
            row, status=IGNORED, reason=_join(row.reason, "a notebook of this student lies beside it")
        )
    if counts and attempt.order < counts.order:
        return replace(row, status=OLDER, reason=_join(row.reason, f"a later attempt counts: {counts.path}"))
    if counts and attempt is not counts:
        return replace(row, reason=_join(row.reason, f"graded meanwhile: {counts.path}"))
    return row


def _join(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))


def _once(group: list[_Attempt]) -> list[_Attempt]:
    """Leave out what is the same file again: of one time, or the same download collected twice."""
    seen: dict[tuple, _Attempt] = {}
    for file in group:
        seen[file.digest, file.claim.file, file.time] = file
    return list(seen.values())


def _take(row: Row, attempt: _Attempt, edition: Edition, classroom: Path) -> Row:
    """Rebuild the attempt that counts and place it."""
    sheet = attempt.sheet
    made = rebuild(edition, sheet)
    repairs = [*sheet.repairs, *made.repairs]
    _place(made, edition, row.student, classroom, row.time)
    return replace(
        row,
        status=REPAIRED if repairs else TAKEN,
        repairs=tuple(repairs),
        notes=(*sheet.notes, *made.notes),
        findings=tuple(reaches(made.own)),
        unanswered=tuple(made.unanswered),
    )


def _place(made: Rebuilt, edition: Edition, student: str, classroom: Path, time: datetime | None) -> None:
    """Write a canonical notebook and nbgrader's timestamp; bytes that are there already are not touched."""
    folder = classroom / "submitted" / student / edition.lesson
    write_text(folder / f"{edition.lesson}.ipynb", notebook_text(made.notebook))
    if time:
        write_text(folder / "timestamp.txt", f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC\n")
    else:
        (folder / "timestamp.txt").unlink(missing_ok=True)


def _confirmed(
    classroom: Path, asked: Sequence[str], groups: Mapping[tuple[str, str], list[_Attempt]]
) -> set[tuple[str, str]]:
    """Zeros that an instructor has confirmed, now or before; kept in a file that a person can edit.

    Raises:
        CourseError: if there is nothing unreadable to confirm.
    """
    kept = classroom / "confirmed_zeros.csv"
    zeros = (
        {(row.get("student", ""), row.get("lesson", "")) for row in read_csv(kept)}
        if kept.is_file()
        else set()
    )
    for pair in asked:
        student, _, lesson = pair.rpartition(":")
        unreadable = [
            f for key in ((student, lesson), (student, "")) for f in groups.get(key, []) if f.sheet is None
        ]
        if not unreadable or not lesson:
            known = sorted(
                {
                    f"{s}:{n or 'LESSON'}"
                    for (s, n), files in groups.items()
                    if s and all(f.sheet is None for f in files)
                }
            )
            raise CourseError(
                f"there is no unreadable file {pair!r} whose zero could be confirmed; there are: {', '.join(known) or 'none'}"
            )
        zeros.add((student, lesson))
    if asked:
        write_csv(kept, ["student", "lesson"], [{"student": s, "lesson": n} for s, n in sorted(zeros)])
    return zeros


def _place_zeros(
    zeros: Iterable[tuple[str, str]],
    rows: list[Row],
    editions: Mapping[str, Edition],
    classroom: Path,
    left: Mapping[tuple[str, str], Sheet],
) -> list[Row]:
    """Place what is left of a file, or a blank notebook, for each confirmed zero that no readable attempt made needless."""
    graded = {(row.student, row.lesson) for row in rows if row.counts}
    standing = {(s, n) for s, n in set(zeros) - graded if n in editions}
    for student, lesson in standing:
        sheet = left.get((student, lesson), Sheet([]))
        _place(rebuild(editions[lesson], sheet, zero=True), editions[lesson], student, classroom, None)
    students = {student for student, _ in standing}
    return [
        replace(row, confirmed=True)
        if row.status == UNREADABLE
        and ((row.student, row.lesson) in standing or (not row.lesson and row.student in students))
        else row
        for row in rows
    ]


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(
        rows,
        key=lambda row: (row.lesson, row.student, row.time or datetime.min.replace(tzinfo=UTC), row.file),
    )


def _absent(people: Roster, rows: Sequence[Row]) -> dict[str, list]:
    """For each lesson, who on the roster handed in nothing at all; a file of no known lesson counts for every one."""
    lessons = sorted({row.lesson for row in rows if row.lesson})
    came = {lesson: {row.student for row in rows if row.lesson in (lesson, "")} for lesson in lessons}
    return {
        lesson: [person for person in people.people if person.id not in came[lesson]] for lesson in lessons
    }


def _strangers(classroom: Path, rows: Sequence[Row], zeros: Iterable[tuple[str, str]]) -> list[str]:
    """Say which folders under `submitted/` come from nothing that was collected."""
    known = {(row.student, row.lesson) for row in rows if row.counts} | set(zeros)
    folders = sorted((classroom / "submitted").glob("*/*"))
    return [
        f"{folder} was not placed by collecting"
        for folder in folders
        if folder.is_dir() and (folder.parent.name, folder.name) not in known
    ]
