"""The whole way of a submission: kept, read, told whose it is, settled which counts, placed for grading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from course.csvfile import read_csv, read_table, write_csv
from course.intake.archive import BY_HAND, COPYING, Limits, keep, put_aside, sweep, vacant
from course.intake.attempts import Attempt, Download, Own, attempts_of, read_download
from course.intake.edition import Edition, read_editions
from course.intake.rebuild import rebuild
from course.intake.roster import Person, Roster, read_roster, safe_id
from course.intake.senders import student_ids
from course.intake.settle import Decision, settle
from course.intake.sheet import Sheet
from course.intake.triage import (
    ANONYMOUS,
    IGNORED,
    REPAIRED,
    TAKEN,
    UNLISTED,
    UNREADABLE,
    WAITING,
    WHOSE,
    Row,
    Triage,
)
from course.intake.whose import acquainted, wrappers
from course.intake.workers import Workers, shared_workers
from course.model import CourseError, short_digest
from course.store import ASIDE, Store, notebook_text, stamp_text, write_text

TABLES = (".csv", ".tsv", ".xls", ".xlsx")
ZEROS = "confirmed_zeros.csv"
LOOKED_AT = "looked_at.csv"
NEWER = "a zero was confirmed, but not for this file: confirm it again if it stands"
# In a folder of `forgotten/`: what was collected; what was collected by hand is in BY_HAND.
DOWNLOAD = "download"
Zeros = Mapping[tuple[str, str], frozenset[str]]  # student, lesson -> digests of what could not be read


def collect(
    source: Path | Sequence[Path] | None,
    release: Path,
    classroom: Path,
    roster: Path | None = None,
    *,
    student: str = "",
    lesson: str = "",
    confirm_zero: Sequence[str] = (),
    looked_at: Sequence[str] = (),
    forget: Sequence[str] = (),
    workers: Workers[Any] | None = None,
    zone: tzinfo | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    told: Callable[[str], None] = lambda _: None,
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
        confirm_zero: "student:lesson" whose unreadable files are to be graded as a blank notebook. With another one it is asked again.
        looked_at: "student:lesson" whose doubts a person has looked at: what counts is to count. With other files it is said again.
        forget: downloads that were collected by mistake, by name, or folders of `submitted/` that nothing collected gives any more; they
            are put aside in `classroom/forgotten/`.
        workers: who reads; None takes those of this process.
        zone: time zone of times that tell none; None is this machine's.
        limits: what may be read.
        told: called with the name of each file that was read.

    Returns:
        What became of every file. Reports are not written here.

    Raises:
        CourseError: if `source` or the release is missing, `source` is a table, the roster cannot be read, there is nothing to confirm, to
            look at or to forget, or something cannot be written.
    """
    editions = read_editions(release)
    downloads = classroom / "downloaded"
    if lesson and lesson not in editions:
        raise CourseError(f"there is no released lesson {lesson!r}; there are: {', '.join(editions)}")
    sources = [source] if isinstance(source, Path) else source or []
    for path in sources:
        if path.suffix.lower() in TABLES and not student:
            raise CourseError(
                f"{path} is a table, and no work to be graded: a class list comes after --roster, `--roster {path}`"
            )
        if path.is_dir() and not any(found.is_file() for found in path.rglob("*")):
            raise CourseError(f"there is no file in {path}")
    if lesson and not student:
        raise CourseError("--lesson goes with --student: a lesson is told by what is in a file")
    sweep(downloads)
    for path in sources:
        keep(path, downloads, _spelled(safe_id(student), classroom) if student else "", lesson)
    people = _class_list(roster, classroom)
    workers, own = workers or shared_workers(), Own.of(release.parent)
    kept = [
        read_download(root, by_hand, release, editions, own, workers, zone, limits, told)
        for root, by_hand in _downloads(downloads)
    ]
    leftovers = {name: pair for name in forget if (pair := _leftover(name, editions))}
    named = [_named(name, kept, classroom) for name in forget if name not in leftovers]
    aside = [download for download in kept if any(download is fit for fit in named)]
    before = _survey(kept, people, own)
    found = _survey([d for d in kept if d not in aside], people, own) if aside else before
    zeros, over = _confirmed(classroom, confirm_zero, before.decisions, found.decisions, editions)
    rows = [_row(decision, people) for decision in found.decisions]
    for pair in leftovers.values():
        if came := [row.file for row in rows if row.counts and (row.student, row.lesson) == pair]:
            raise CourseError(f"submitted/{'/'.join(pair)} comes from {came[0]}, which counts: forget that")
        placed = classroom.joinpath("submitted", *pair)
        if not placed.is_dir() and not any(p.parts[-2:] == pair for p in classroom.glob("forgotten/*/*/*/*")):
            raise CourseError(f"there is no folder {placed}: nothing was put aside")
    looked = [*zip(found.decisions, rows, strict=True)]
    seen = _looked_at(classroom, looked_at, looked)
    rows = [_without_doubts(row) if _files(decision, row) in seen else row for decision, row in looked]
    try:
        moves = _taken_out(aside, before.decisions, over, classroom)
        over |= zeros.keys() & {*leftovers.values()}
        zeros = {pair: files for pair, files in zeros.items() if pair not in over}
        for student, lesson in leftovers.values():
            placed = classroom / "submitted" / student / lesson
            if placed.is_dir():
                put_aside(placed, vacant(classroom / "forgotten" / student) / ASIDE / student)
        if looked_at:
            _keep(classroom / LOOKED_AT, ("student", "lesson", "files"), seen)
        if confirm_zero or over:
            _keep(
                classroom / ZEROS,
                ("student", "lesson", "files"),
                ((*pair, " ".join(sorted(files))) for pair, files in zeros.items()),
            )
        for folder, place in moves:  # last: who is interrupted before forgets it once more
            folder.replace(place)
        for decision in found.decisions:
            if decision.counts:
                _place(decision.attempt.reading.text, decision.student, decision.attempt, classroom)
        standing = _standing(zeros, found.decisions)
        rows = _place_zeros(standing, rows, found.decisions, editions, classroom)
        _clear(rows, zeros, classroom)
    except OSError as error:
        raise CourseError(
            f"{error.filename or classroom} cannot be written ({error.strerror or error}): what was handed in is kept; mend that and run the same command again"
        ) from error
    warnings = [*found.warnings, *workers.remarks, *_strangers(classroom, rows, standing)]
    return Triage(_in_order(rows), _absent(people, rows), warnings)


@dataclass(frozen=True)
class _Found:
    """What was found in all downloads together."""

    decisions: list[Decision]
    warnings: list[str]


def _survey(kept: Sequence[Download], people: Roster, own: Own) -> _Found:
    """Tell whose each file is, and which of each student's count."""
    known = acquainted([(d.paths, d.notes) for d in kept if not d.by_hand], people.named)
    attempts = [a for d in kept for a in attempts_of(d, wrappers(d.paths, d.notes, known), own)]
    contexts = [(str(attempt.download), attempt.lesson) for attempt in attempts]
    ids, warnings = student_ids([attempt.claim for attempt in attempts], contexts, people)
    listed = {person.id for person in people.people}
    may_be = {
        student: people.may_be(attempt.claim.hints)
        for attempt, student in zip(attempts, ids, strict=True)
        if student and student not in listed
    }
    decisions = settle(attempts, ids, listed, may_be)
    return _Found(decisions, [*warnings, *_shared(decisions)])


def _shared(decisions: Iterable[Decision]) -> list[str]:
    """Say which files were collected by hand for several students: a group's, or one for the wrong student before."""
    whose: dict[str, set[str]] = {}
    for decision in decisions:
        if decision.counts and decision.attempt.claim.by_hand:
            whose.setdefault(decision.attempt.digest, set()).add(decision.student)
    return [
        f"one file was collected by hand for each of {', '.join(sorted(students))}: where that is a mistake, put it aside by --forget"
        for students in whose.values()
        if len(students) > 1
    ]


def _class_list(roster: Path | None, classroom: Path) -> Roster:
    """The class list; one that was given once, and could be read, is kept for the next time, as CSV whatever it came as."""
    kept = classroom / "roster.csv"
    people = read_roster(roster or (kept if kept.is_file() else None))
    if roster and roster.resolve() != kept.resolve():
        table = read_table(roster)
        write_csv(kept, table.columns, (row for _, row in table.rows))
    return people


def _spelled(student: str, classroom: Path) -> str:
    """An id as it is spelled here already: on a disk that knows no case, two spellings are one folder."""
    there = [path.name for path in sorted((classroom / "submitted").glob("*"))]
    alike = [name for name in there if name.casefold() == student.casefold()]
    return student if student in alike or not alike else alike[0]


def _downloads(downloads: Path) -> Iterator[tuple[Path, bool]]:
    """What was kept, and whether an instructor named the student."""
    if not downloads.is_dir():
        return
    for folder in sorted(downloads.iterdir()):
        if folder.name == BY_HAND:
            yield from ((kept, True) for kept in sorted(folder.iterdir()))
        elif folder.is_dir() and not folder.name.startswith(COPYING):
            yield from ((kept, False) for kept in sorted(folder.iterdir()) if not kept.name.startswith("."))


def _named(name: str, kept: Sequence[Download], classroom: Path) -> Download | None:
    """Find a download by its name, with or without the mark that keeping it added; None if it was put aside before.

    Raises:
        CourseError: if none or several have it.
    """
    wanted = Path(name).name
    by_folder = {_folder(download.root, download.by_hand).name: download for download in kept}
    fits = [f for f, d in by_folder.items() if _is_called(wanted, f, _original(d.root, d.by_hand))]
    if len(fits) == 1:
        return by_folder[fits[0]]
    attic = [(root, False) for root in classroom.glob(f"forgotten/*/{DOWNLOAD}/*")]
    attic += [(root, True) for root in classroom.glob(f"forgotten/*/{BY_HAND}")]
    if not fits and any(
        _is_called(wanted, _folder(root, by_hand).parent.name, _original(root, by_hand))
        for root, by_hand in attic
    ):
        return None
    listed = ", ".join(_told(folder, by_folder[folder]) for folder in fits or by_folder) or "none"
    raise CourseError(
        f"several downloads are called {name!r}, forget one of: {listed}"
        if fits
        else f"no download is called {name!r}; there are: {listed}"
    )


def _leftover(name: str, editions: Mapping[str, Edition]) -> tuple[str, str] | None:
    """Whose folder of `submitted/` a name is, and of which lesson; None if it is a download's."""
    parts = Path(name).parts[-3:]
    return (
        (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "submitted" and parts[2] in editions else None
    )


def _told(folder: str, download: Download) -> str:
    """A download's folder, and as whose it was collected by hand."""
    students = [path.name for path in download.root.iterdir() if path.is_dir()] if download.by_hand else []
    return f"{folder} (collected as {', '.join(students)}'s)" if students else folder


def _folder(root: Path, by_hand: bool) -> Path:
    """The folder that `keep` made for it."""
    return root if by_hand else root.parent


def _is_called(wanted: str, folder: str, original: str) -> bool:
    """Whether a person may call a download so: by the folder that keeping it made, or by what was collected."""
    return wanted in (folder, original, Path(original).stem) or Path(wanted).stem == folder


def _original(root: Path, by_hand: bool) -> str:
    """The name of what was collected."""
    if not by_hand:
        return root.name
    return next((p.name for p in sorted(root.glob("*/*")) if p.is_file()), "") or next(
        (p.name for p in sorted(root.glob("*/*/*"))), root.name
    )


def _taken_out(
    aside: Sequence[Download], decisions: Sequence[Decision], over: set[tuple[str, str]], classroom: Path
) -> list[tuple[Path, Path]]:
    """Take what downloads gave out of grading (`Store.forgotten`); of those by hand also what was graded while it counted.

    Returns:
        Each download's folder, and where it is to go.
    """
    moves = []
    for download in aside:
        folder = _folder(download.root, download.by_hand)
        place = vacant(classroom / "forgotten" / folder.name)
        of = [d for d in decisions if d.attempt.download == download.root and d.student]
        gave = {(d.student, d.attempt.lesson) for d in of if d.counts}
        gave |= {pair for pair in over if pair[0] in {d.student for d in of}}
        for student, lesson in gave:
            placed = classroom / "submitted" / student / lesson
            if placed.is_dir():
                put_aside(placed, place / ASIDE / student)
        for d in of:
            pair = d.student, d.attempt.lesson
            if download.by_hand and d.attempt.readable and pair not in gave:
                text = d.attempt.reading.text
                if Store(classroom).parts(*pair).get("submission") == short_digest(text.encode()):
                    write_text(place.joinpath(ASIDE, *pair, f"{pair[1]}.ipynb"), text)
        place.mkdir(parents=True, exist_ok=True)
        moves.append((folder, place / (BY_HAND if download.by_hand else DOWNLOAD)))
    return moves


def _row(decision: Decision, people: Roster) -> Row:
    """A decision as a row of the report."""
    attempt, reading = decision.attempt, decision.attempt.reading
    name = people.name(decision.student) or attempt.claim.label
    unlisted = people.people and decision.student and not people.name(decision.student)
    asks = (
        unlisted
        and not attempt.claim.anonymous
        and (decision.counts or decision.status in (UNREADABLE, WAITING))
    )
    several = people.may_be(attempt.claim.hints) if asks else []
    stranger = (
        f"{name} may be {' or '.join(f'{people.name(s)} ({s})' for s in several[:3])}: {WHOSE}"
        if len(several) > 1
        else f"{name} is {UNLISTED}: put them there, {WHOSE}, or say --looked-at, for a guest"
    )
    row = Row(
        decision.student,
        name,
        attempt.lesson,
        attempt.path,
        decision.status,
        reason=decision.reason,
        time=attempt.time,
        late=attempt.claim.late,
        doubts=(*decision.doubts, *((stranger,) if asks else ())),
    )
    if not decision.counts:
        return row
    return replace(
        row,
        status=REPAIRED if reading.repairs else TAKEN,
        repairs=reading.repairs,
        notes=(*reading.notes, *([ANONYMOUS] if unlisted and attempt.claim.anonymous else [])),
        findings=reading.findings,
        unanswered=reading.unanswered,
    )


def _place(text: str, student: str, attempt: Attempt, classroom: Path) -> None:
    """Write a canonical notebook and nbgrader's timestamp; bytes that are there already are not touched."""
    folder = classroom / "submitted" / student / attempt.lesson
    write_text(folder / f"{attempt.lesson}.ipynb", text)
    if attempt.time:
        write_text(folder / "timestamp.txt", stamp_text(attempt.time))
    else:
        (folder / "timestamp.txt").unlink(missing_ok=True)


def _confirmed(
    classroom: Path,
    asked: Sequence[str],
    before: Sequence[Decision],
    decisions: Sequence[Decision],
    editions: Mapping[str, Edition],
) -> tuple[Zeros, set[tuple[str, str]]]:
    """Zeros that an instructor has confirmed, now or before, with the digests of what could not be read then; and those whose file is forgotten.

    A line that names no file, as older ones do, does not say what the instructor had seen: whatever waits is asked about again.

    Raises:
        CourseError: if there is nothing unreadable to confirm, or no such lesson.
    """
    kept = classroom / ZEROS
    zeros = {
        (row.get("student", ""), row.get("lesson", "")): frozenset(row.get("files", "").split())
        for row in (read_csv(kept) if kept.is_file() else ())
    }
    waiting, waited = _waiting(decisions), _waiting(before)
    over = {
        pair
        for pair, files in zeros.items()
        if _still(pair, files, waited) and not _still(pair, files, waiting)
    }
    settled = {(d.student, d.attempt.lesson) for d in decisions if d.attempt.readable}
    for pair in asked:
        student, _, lesson = pair.rpartition(":")
        files = _files_of(student, lesson, waiting)
        if lesson not in editions or not files:
            known = ", ".join(sorted(f"{s}:{n or 'LESSON'}" for s, n in waiting.keys() - settled))
            raise CourseError(
                f"there is no unreadable file {pair!r} whose zero could be confirmed; there are: {known or 'none'}"
            )
        zeros[student, lesson] = files
    return {pair: files for pair, files in zeros.items() if pair not in over}, over


def _waiting(decisions: Iterable[Decision]) -> Zeros:
    """The digests of what cannot be read, by student and lesson; "" where no lesson can be told."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for d in decisions:
        if d.student and not d.attempt.readable and d.status != IGNORED:
            pair = d.student, d.attempt.lesson
            found[pair] = found.get(pair, frozenset()) | {d.attempt.digest[:16]}
    return found


def _files_of(student: str, lesson: str, waiting: Zeros) -> frozenset[str]:
    """Those that may be of one lesson."""
    return waiting.get((student, lesson), frozenset()) | waiting.get((student, ""), frozenset())


def _standing(zeros: Zeros, decisions: Sequence[Decision]) -> Zeros:
    """Those of students who still have a file of which it was said: by another class list, it may be another's; and those that name no file."""
    waiting = _waiting(decisions)
    return {pair: files for pair, files in zeros.items() if not files or _still(pair, files, waiting)}


def _still(pair: tuple[str, str], files: frozenset[str], waiting: Zeros) -> frozenset[str]:
    """Those of the files of a confirmed zero that wait; any, where it names none."""
    found = _files_of(*pair, waiting)
    return found & files if files else found


def _keep(path: Path, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Write what a person has said to a file that they can edit."""
    write_csv(path, columns, [dict(zip(columns, row, strict=True)) for row in sorted(rows)])


def _looked_at(
    classroom: Path, asked: Sequence[str], found: Sequence[tuple[Decision, Row]]
) -> set[tuple[str, str, str]]:
    """Whose doubts a person has looked at, now or before: student, lesson, and of which files.

    Raises:
        CourseError: if there is no doubt to look at.
    """
    kept = classroom / LOOKED_AT
    seen = {
        (line.get("student", ""), line.get("lesson", ""), line.get("files", ""))
        for line in (read_csv(kept) if kept.is_file() else ())
    }
    doubtful = {f"{row.student}:{row.lesson}": _files(decision, row) for decision, row in found if row.doubts}
    for pair in asked:
        if pair not in doubtful:
            known = ", ".join(sorted(pair for pair, of in doubtful.items() if of not in seen)) or "none"
            raise CourseError(f"there is nothing to look at in {pair!r}; there is in: {known}")
        seen.add(doubtful[pair])
    return seen


def _files(decision: Decision, row: Row) -> tuple[str, str, str]:
    return row.student, row.lesson, decision.files


def _without_doubts(row: Row) -> Row:
    """A row that somebody has looked at: its doubts are notes."""
    return replace(row, doubts=(), notes=(*row.notes, *(f"looked at: {doubt}" for doubt in row.doubts)))


def _place_zeros(
    zeros: Zeros,
    rows: Sequence[Row],
    decisions: Sequence[Decision],
    editions: Mapping[str, Edition],
    classroom: Path,
) -> list[Row]:
    """Place what is left of a file, or a blank notebook, for each confirmed zero that no readable attempt made needless.

    Where something came after it was confirmed, what was placed stays as it is, and the new file waits for a person.
    """
    graded, waiting = {(row.student, row.lesson) for row in rows if row.counts}, _waiting(decisions)
    standing = {pair: files for pair, files in zeros.items() if pair not in graded and pair[1] in editions}
    left = {
        (d.student, d.attempt.lesson): d.attempt.reading.text
        for d in decisions
        if d.attempt.problem and d.attempt.reading.notebook
    }
    for (student, lesson), files in standing.items():
        if not _files_of(student, lesson, waiting) <= files:
            continue
        text = left.get((student, lesson)) or notebook_text(
            rebuild(editions[lesson], Sheet([]), zero=True).notebook
        )
        folder = classroom / "submitted" / student / lesson
        write_text(folder / f"{lesson}.ipynb", text)
        (folder / "timestamp.txt").unlink(missing_ok=True)

    def confirmed(row: Row, decision: Decision) -> Row:
        of = [files for (s, n), files in standing.items() if s == row.student and row.lesson in (n, "")]
        if row.status not in (UNREADABLE, WAITING) or decision.attempt.readable or not of:
            return row
        if decision.attempt.digest[:16] in frozenset().union(*of):
            return replace(row, confirmed=True)
        return replace(row, notes=(*row.notes, NEWER))

    return [confirmed(row, decision) for row, decision in zip(rows, decisions, strict=True)]


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(
        rows,
        key=lambda row: (row.lesson, row.student, row.time or datetime.min.replace(tzinfo=UTC), row.file),
    )


def _absent(people: Roster, rows: Sequence[Row]) -> dict[str, list[Person]]:
    """For each lesson, who on the roster handed in nothing at all; a file of no known lesson counts for every one."""
    lessons = sorted({row.lesson for row in rows if row.lesson})
    came = {lesson: {row.student for row in rows if row.lesson in (lesson, "")} for lesson in lessons}
    return {
        lesson: [person for person in people.people if person.id not in came[lesson]] for lesson in lessons
    }


def _clear(rows: Sequence[Row], zeros: Iterable[tuple[str, str]], classroom: Path) -> None:
    """Put aside what was placed under another name, of a class list that was wrong, say, and never graded, where the same is placed again."""
    counted = {(row.student, row.lesson) for row in rows if row.counts}
    pairs = {(path.parent.name, path.name) for path in (classroom / "submitted").glob("*/*")}
    left = [p for p in sorted(pairs - counted - set(zeros)) if not Store(classroom).graded(*p).exists()]
    here = {(lesson, _placed(classroom, student, lesson)) for student, lesson in counted if left}
    for student, lesson in left:
        if (text := _placed(classroom, student, lesson)) and (lesson, text) in here:
            put_aside(
                classroom / "submitted" / student / lesson,
                vacant(classroom / "forgotten" / student) / ASIDE / student,
            )


def _placed(classroom: Path, student: str, lesson: str) -> str:
    """What tells a placed notebook from others; "" if there is none."""
    path = classroom / "submitted" / student / lesson / f"{lesson}.ipynb"
    return short_digest(path.read_bytes()) if path.is_file() else ""


def _strangers(classroom: Path, rows: Sequence[Row], zeros: Iterable[tuple[str, str]]) -> list[str]:
    """Say which folders under `submitted/` come from nothing that was collected."""
    known = {(row.student, row.lesson) for row in rows if row.counts} | set(zeros)
    folders = sorted((classroom / "submitted").glob("*/*"))
    return [
        f"{folder} was not placed by collecting, or from a file that is another's by now. If the class list is not the right one, give the right one; else `course collect --forget {'/'.join(folder.parts[-3:])}` puts it aside, with its grade"
        for folder in folders
        if folder.is_dir() and (folder.parent.name, folder.name) not in known
    ]
