"""The nouns of the course, and where the files of a checkout lie."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from functools import cached_property
from pathlib import Path

MIB = 1 << 20


class CourseError(Exception):
    """Something the instructor can mend; the message names the thing, the value and the way out."""


@dataclass(frozen=True)
class Lesson:
    """One lesson: its folder's name, title, CPU budget in seconds, and when it is due, if it is."""

    name: str
    title: str
    cpu_seconds: float
    deadline: datetime | None = None

    @property
    def number(self) -> int:
        """Position in the course, from 1."""
        return int(self.name.partition("_")[0])

    @property
    def topic(self) -> str:
        """Name without the number: the name of its module of checks."""
        return self.name.partition("_")[2]


@dataclass(frozen=True)
class LatePolicy:
    """What coming late costs: a share of the points reached, for each day that has begun after the grace.

    Args:
        grace_minutes: that nobody is held to.
        per_day: per cent a day.
        most: per cent that lateness may cost in all.
    """

    grace_minutes: float = 0.0
    per_day: float = 0.0
    most: float = 100.0

    def penalty(self, score: float, seconds_late: float) -> float:
        """The points to take off a score for work that came so late."""
        days = math.ceil((seconds_late - 60 * self.grace_minutes) / 86400)
        return score * min(self.most, self.per_day * max(0, days)) / 100

    def __str__(self) -> str:
        if not self.per_day:
            return "late work is marked as late, and costs nothing"
        grace = f" after {self.grace_minutes:g} minutes of grace" if self.grace_minutes else ""
        return f"{self.per_day:g} % of the points reached are taken off for each day begun{grace}, at most {self.most:g} %"


@dataclass(frozen=True)
class Limits:
    """How much one submission may use. CPU seconds count, so that a busy machine fails nobody; the clock is a backstop.

    Time: `cell_cpu` and `cell_wall` are for one cell, and for all that one check asks of the student's code; `notebook_wall` is
    for one run of the submission, restarts included; where a check does not pass there may be two. What a check takes by itself on the
    trusted side, and what a kernel takes to start (`startup` at most), counts in neither. `interrupted` is how long an interrupted cell has to come to rest.
    Memory: `memory` sums all processes of the kernel and what they keep in /tmp; `address_space` bounds each of them.
    `check_cpu` and `check_memory` are what one check may use on the trusted side, of what a student's answer makes it compute.
    """

    cell_cpu: float = 30.0  # seconds
    cell_wall: float = 90.0  # seconds
    notebook_wall: float = 600.0  # seconds
    startup: float = 60.0  # seconds
    interrupted: float = 3.0  # seconds
    restarts: int = 3  # kernels after the first
    memory: int = 2048 * MIB  # bytes
    address_space: int = 16384 * MIB  # bytes
    check_cpu: float = 60.0  # seconds
    check_memory: int = 1024 * MIB  # bytes on top of what the checker holds before the check
    processes: int = 64
    threads: int = 512  # of all processes together
    open_files: int = 512
    disk: int = 64 * MIB  # bytes in the work folder; also the largest file
    files: int = 500  # in the work folder
    output: int = 1 * MIB  # bytes of text a cell may show
    outputs: int = 200  # pieces of output a cell may show
    image: int = 1 * MIB  # bytes of one picture
    pictures: int = 8 * MIB  # bytes of all pictures of a notebook

    def rlimits(self) -> dict[str, int]:
        """What the operating system itself enforces for each process: names of RLIMIT_ constants and their values."""
        return {
            "AS": self.address_space,
            "CORE": 0,
            "CPU": int(self.notebook_wall),
            "FSIZE": self.disk,
            "MEMLOCK": 0,
            "NOFILE": self.open_files,
        }


@dataclass(frozen=True)
class Course:
    """A checkout of the course and how it is used: read once (`config.load_course`), then handed on.

    Args:
        root: the checkout.
        repository, ref: where it is published.
        lessons: in order.
        classroom: what grading leaves behind: submissions, feedback, the gradebook.
        limits: how much a submission may use.
        sandbox: name of the sandbox to use; empty for the best that stands.
        cold: whether every kernel imports for itself, instead of being forked from a warm template.
        full: whether cells run, too, that no grade depends on.
        database: URL of the PostgreSQL database that is the gradebook, which may hold a password; empty for the classroom's own SQLite.
        late: what coming late costs.
        zone: of times that name none; None is this machine's.
        given: lines of solutions that learners see elsewhere -> why that gives nothing away.
    """

    root: Path
    repository: str
    ref: str
    lessons: tuple[Lesson, ...] = field(repr=False)
    classroom: Path
    limits: Limits = field(default=Limits(), repr=False)
    sandbox: str = ""
    cold: bool = False
    full: bool = False
    database: str = field(default="", repr=False)
    late: LatePolicy = LatePolicy()
    zone: tzinfo | None = None
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    def lesson(self, name: str) -> Lesson:
        """Find a lesson by its name or number.

        Raises:
            CourseError: if there is none.
        """
        for lesson in self.lessons:
            if name in (lesson.name, str(lesson.number), lesson.topic):
                return lesson
        names = ", ".join(lesson.name for lesson in self.lessons)
        raise CourseError(f"there is no lesson {name!r}; the lessons are: {names}")

    def source(self, lesson: Lesson) -> Path:
        """The lesson's text, the one that is written by hand."""
        return self.root / "solutions" / lesson.name / f"{lesson.name}.py"

    def solution(self, lesson: Lesson) -> Path:
        """The instructor edition, built and executed."""
        return self.source(lesson).with_suffix(".ipynb")

    def release(self, lesson: Lesson) -> Path:
        """The student edition."""
        return self.root / "notebooks" / lesson.name / f"{lesson.name}.ipynb"

    @property
    def written(self) -> tuple[Lesson, ...]:
        """The lessons whose text exists."""
        return tuple(lesson for lesson in self.lessons if self.source(lesson).exists())

    @property
    def address(self) -> str:
        """Where the repository is published."""
        return f"https://github.com/{self.repository}"

    @property
    def site(self) -> str:
        """Where the repository's pages are published."""
        owner, _, name = self.repository.partition("/")
        return f"https://{owner.lower()}.github.io/{name}"

    def badge(self, lesson: Lesson) -> str:
        """The markdown of the badge that opens the student edition in Colab."""
        path = self.release(lesson).relative_to(self.root).as_posix()
        address = f"https://colab.research.google.com/github/{self.repository}/blob/{self.ref}/{path}"
        return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


@dataclass(frozen=True)
class Submission:
    """What a student handed in for a lesson, as it was placed for grading: a canonical notebook."""

    student: str
    lesson: str
    notebook: bytes = field(repr=False)
    received: datetime | None = None


@dataclass(frozen=True)
class Confinement:
    """The sandbox in force: its name, and in words, with its version, for the record.

    A warm one forks its kernels from a template. That is no part of the record: an outcome is the same.
    """

    name: str
    words: str
    warm: bool = False

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Job:
    """All that a grade depends on.

    Args:
        submission: the notebook that is executed, byte for byte.
        key: the instructor's notebook, which checks and setup cells are taken from.
        files: names and contents of the data files that lie beside the notebook.
        limits: how much it may use.
        sandbox: which stands around it.
        checker: version of the code that judges (`grading.job.checker_version`).
        spared: positions of cells that are not run, since no grade depends on them (`grading.slice`).
    """

    submission: Submission
    key: bytes = field(repr=False)
    files: tuple[tuple[str, bytes], ...] = field(repr=False)
    limits: Limits
    sandbox: Confinement
    checker: str
    spared: tuple[int, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The only stamp of a grade: two jobs of one digest have one outcome."""
        digest = hashlib.sha256()
        parts = [self.submission.notebook, self.key, *(part for file in self.files for part in file)]
        parts += [repr(self.spared)] if self.spared else []  # the shown outputs are others
        for part in [*parts, repr(sorted(asdict(self.limits).items())), str(self.sandbox), self.checker]:
            content = part.encode() if isinstance(part, str) else part
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()

    @property
    def parts(self) -> dict[str, str]:
        """What the digest is made of, a short digest each: where two grades of a submission differ, these say why they may."""
        return {
            "submission": short_digest(self.submission.notebook),
            "lesson": short_digest(self.key),
            "data files": short_digest(repr(self.files).encode()),
            "limits": short_digest(repr(sorted(asdict(self.limits).items())).encode()),
            "sandbox": str(self.sandbox),
            "checker": self.checker,
        }


def short_digest(content: bytes) -> str:
    """Sixteen characters that tell one content from another."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Verdict:
    """What a check said.

    Args:
        passed: nothing went wrong.
        score: partial credit, if the check ended with a float of its own.
        name: kind of error.
        hint: what the student is told.
        detail: a traceback where the check itself broke, for the instructor alone.
        shown: text that the check displayed or printed.
    """

    passed: bool
    score: float | None = None
    name: str = ""
    hint: str = ""
    detail: str = ""
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        job: it.
        notebook: the executed notebook; each check cell ends with an error unless it passed.
        verdicts: by grade_id of the check.
        left_out: position of a cell -> why it was left out.
        spared: positions of cells that were not run, since no grade depends on them.
        kernels: how many were started.
        seconds, cpu_seconds: what it took, on the clock and of computing.
        machine_fault: what failed on this machine; such an outcome is never a score. Empty if nothing did.
    """

    job: Job = field(repr=False)
    notebook: bytes = field(default=b"", repr=False)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)
    spared: tuple[int, ...] = ()
    kernels: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    machine_fault: str = ""


@dataclass(frozen=True)
class Score:
    """A row of the gradebook; `waiting` where a person has still answers to read; the penalty is for coming late, and not yet taken off."""

    student: str
    lesson: str
    score: float
    max_score: float
    waiting: bool
    penalty: float = 0.0
    seconds_late: float = 0.0


@dataclass(frozen=True)
class Mark:
    """What the gradebook holds of one graded cell of a submission.

    Args:
        student, lesson, cell: whose, of which lesson, and the cell's grade_id.
        score, max_score: points.
        waiting: a person has still to read it.
        written: an open question, not an exercise.
        by_hand: the points that a person gave; None if nobody did.
    """

    student: str
    lesson: str
    cell: str
    score: float
    max_score: float
    waiting: bool
    written: bool
    by_hand: float | None = None
