"""The classroom on disk: whole files or none, one writer at a time, and a log of what was done.

```
classroom/
  downloaded/  submitted/<student>/<lesson>/  autograded/<student>/<lesson>/  feedback/...
  gradebook.db   backups/   marks.jsonl   course.log   .lock  .marks.lock  .backups.lock
```
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from course.model import CourseError, Job, Lesson, Submission, short_digest

RECEIPT = "graded.json"
STAMP = "%Y-%m-%d %H:%M:%S.%f"
BACKUPS = 5
PENCIL = 10.0  # seconds that a reader waits for another
LOG = logging.getLogger("course")
LOG.addHandler(
    logging.NullHandler()
)  # before a classroom is known nothing is logged, least of all twice on the screen


def notebook_text(notebook: Any) -> str:
    """A notebook as text, keys sorted, one newline at the end."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stamp_text(time: datetime) -> str:
    """A time as nbgrader's timestamp.txt holds it."""
    return f"{time.astimezone(UTC):{STAMP}} UTC\n"


def write_text(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file only where its text changes; the old one stays until the new one is whole.

    Args:
        path: of the file; its folder is made.
        text: the whole content, written as UTF-8, line ends as they are.
        mode: who may read and write it.

    Returns:
        Whether the file changed.
    """
    return write_bytes(path, text.encode("utf-8"), mode)


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> bool:
    """The same for bytes."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name[:40]}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(fresh, mode)
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    return True


def append(path: Path, lines: Sequence[str]) -> None:
    """Add lines to the end of a file, all in one write that has reached the disk before this returns.

    Args:
        path: of the file; its folder is made. What a crash left without a line's end gets one first.
        lines: without their ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+") as file:
        torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write(("\n" * bool(torn) + "".join(f"{line}\n" for line in lines)).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


ASIDE = "placed"  # in a folder of `forgotten/`: what a download had given to grading, until it is withdrawn
WITHDRAWN = "withdrawn"  # and from then on


@dataclass(frozen=True)
class Store:
    """One classroom.

    Args:
        root: its folder.
    """

    root: Path

    @property
    def gradebook(self) -> Path:
        """nbgrader's database."""
        return self.root / "gradebook.db"

    def placed(self, student: str, lesson: str) -> Path:
        """The folder of what was collected."""
        return self.root / "submitted" / student / lesson

    def graded(self, student: str, lesson: str) -> Path:
        """The folder of what was graded."""
        return self.root / "autograded" / student / lesson

    def forgotten(self) -> dict[tuple[str, str], Path]:
        """Whose work was put aside and not withdrawn yet, where nothing came in its place or it is what was graded.

        Returns:
            (student, lesson) -> the folder in `forgotten/`.
        """
        found: dict[tuple[str, str], Path] = {}
        for path in sorted(self.root.glob(f"forgotten/*/{ASIDE}/*/*")):
            pair = path.parent.name, path.name
            graded = self.parts(*pair).get("submission")
            aside, ready = (_digest(place / f"{path.name}.ipynb") for place in (path, self.placed(*pair)))
            if graded and aside == graded != ready:
                found[pair] = path.parents[2]
            elif not self.placed(*pair).exists():
                found.setdefault(pair, path.parents[2])
        return found

    def withdrawn(self) -> None:
        """Note that all that was put aside is withdrawn: what is graded from now on is none of its business."""
        for path in self.root.glob(f"forgotten/*/{ASIDE}"):
            path.rename(path.with_name(WITHDRAWN))

    def submissions(self, lesson: Lesson, students: Sequence[str] | None = None) -> list[Submission]:
        """Read what was collected for a lesson.

        Args:
            lesson: which.
            students: which students, as far as they handed something in; all if None.

        Returns:
            By student.

        Raises:
            CourseError: if a folder holds no notebook.
        """
        folders = sorted(self.root.joinpath("submitted").glob(f"*/{lesson.name}"))
        if students is not None:
            folders = [folder for folder in folders if folder.parent.name in students]
        return [self._submission(folder) for folder in folders]

    def _submission(self, folder: Path) -> Submission:
        student, lesson = folder.parent.name, folder.name
        path = folder / f"{lesson}.ipynb"
        if not path.is_file():
            raise CourseError(
                f"{path} does not exist, and there is a folder for it: run `course collect`, or take {folder} away"
            )
        received = None
        with contextlib.suppress(OSError, ValueError):
            text = (folder / "timestamp.txt").read_text(encoding="utf-8").strip()
            received = datetime.strptime(text, f"{STAMP} UTC").replace(tzinfo=UTC)
        return Submission(student, lesson, path.read_bytes(), received)

    def receipt(self, student: str, lesson: str) -> dict[str, Any]:
        """The note beside a graded notebook; empty if there is none."""
        try:
            found = json.loads((self.graded(student, lesson) / RECEIPT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def parts(self, student: str, lesson: str) -> dict[str, str]:
        """What a grade was made of, by its receipt (`model.Job.parts`); empty if nothing says so."""
        return dict(self.receipt(student, lesson).get("parts", {}))

    def is_graded(self, job: Job) -> bool:
        """Tell whether a job's receipt is there: that it came to its end in the same way before."""
        path = self.graded(job.submission.student, job.submission.lesson) / RECEIPT
        try:
            return bool(json.loads(path.read_text(encoding="utf-8")).get("digest") == job.digest)
        except (OSError, ValueError, AttributeError):
            return False

    def place(self, made: Path, target: Path) -> None:
        """Put a finished folder where another may stand, in one move; that one is removed afterwards.

        Args:
            made: the folder; stays as it is.
            target: its place in the classroom.
        """
        fresh, old = (target.parent / f".{target.name}.{word}" for word in ("fresh", "old"))
        for path in (fresh, old):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(made, fresh)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the classroom's only pen; what a killed run left is swept first.

        Raises:
            CourseError: if another run holds it, or nothing can be written here.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.root / ".lock", timeout=0)
            with lock:
                self._sweep()
                yield
        except filelock.Timeout as error:
            raise CourseError(
                f"another `course` command is at work in {self.root}: wait for its end, or use another classroom (COURSE_CLASSROOM)"
            ) from error

    @contextmanager
    def marking(self) -> Iterator[None]:
        """Hold the readers' pencil while one mark is written; another reader's takes milliseconds, so it is waited for.

        Raises:
            CourseError: if it does not come free.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.root / ".marks.lock", timeout=PENCIL):
                yield
        except filelock.Timeout as error:
            raise CourseError(
                f"another reader has held {self.root / '.marks.lock'} for {PENCIL:g} seconds: nothing was marked; try again"
            ) from error

    def _sweep(self) -> None:
        """Remove the beginnings that a killed run left; put back what it had moved aside."""
        rooms = [self.root / name for name in ("submitted", "autograded", "feedback")]
        for path in [*self.root.glob(".*.tmp"), *(p for room in rooms for p in room.rglob(".*.tmp"))]:
            path.unlink(missing_ok=True)
        for old in self.root.glob("autograded/*/.*.old"):
            target = old.parent / old.name.removeprefix(".").removesuffix(".old")
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(target)
        for fresh in self.root.glob("autograded/*/.*.fresh"):
            shutil.rmtree(fresh, ignore_errors=True)

    def fullest_backup(self) -> tuple[Path | None, int]:
        """Find the copy of the gradebook that holds the most marks given by hand, the newest of equals.

        Returns:
            It, None if there is no copy; and how many it holds.
        """
        counts = {path: _by_hand(path) for path in self._backups()}
        path = max(counts, key=lambda path: (counts[path], path), default=None)
        return path, counts[path] if path else 0

    def _backups(self) -> list[Path]:
        """The copies of the gradebook, the newest last."""
        return sorted(self.root.glob("backups/gradebook-*.db"))

    def back_up(self) -> None:
        """Keep a copy of the gradebook: the newest few, and the one that holds the most marks given by hand, which are nowhere else."""
        if not self.gradebook.is_file() or not self.gradebook.stat().st_size:
            return
        folder = self.root / "backups"
        folder.mkdir(exist_ok=True)
        fresh = folder / ".gradebook.tmp"
        with filelock.FileLock(self.root / ".backups.lock"):  # a desk may open while a run begins
            fresh.unlink(missing_ok=True)
            with closing(sqlite3.connect(self.gradebook)) as source, closing(sqlite3.connect(fresh)) as copy:
                source.backup(copy)
            fresh.replace(folder / f"gradebook-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.db")
            fullest, _ = self.fullest_backup()
            for path in self._backups()[:-BACKUPS]:
                if path != fullest:
                    path.unlink(missing_ok=True)

    def log(self, verbose: bool = False) -> None:
        """Let the log of this command go to `course.log`, and to the screen where it is asked for."""
        LOG.setLevel(logging.DEBUG)
        for handler in [h for h in LOG.handlers if not isinstance(h, logging.NullHandler)]:
            LOG.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()
        self.root.mkdir(parents=True, exist_ok=True)
        file = _LogFile(
            self.root / "course.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True
        )
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(file)
        if verbose:
            LOG.addHandler(logging.StreamHandler())


class _LogFile(logging.handlers.RotatingFileHandler):
    """The log; where the machine does not let it grow, on a full disk say, the command itself says so, in its one sentence."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave out what cannot be written; another error is a fault of ours, and shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _by_hand(gradebook: Path) -> int:
    """How many marks given by hand a gradebook holds; a file that is none holds no marks."""
    try:
        with closing(sqlite3.connect(gradebook)) as database:
            (count,) = database.execute("SELECT count(manual_score) FROM grade").fetchone()
            return int(count)
    except sqlite3.Error:
        return 0


def _digest(path: Path) -> str:
    """Characters that tell a file's content from another's; "" if there is no such file."""
    return short_digest(path.read_bytes()) if path.is_file() else ""
