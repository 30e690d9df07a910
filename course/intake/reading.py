"""Everything done for one file: decoded, its lesson told, matched, rebuilt, looked at. Nothing here touches a disk."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from course.intake.decode import read_sheet
from course.intake.edition import Edition, aliases, find_lesson, read_editions
from course.intake.python import forget
from course.intake.rebuild import Rebuilt, rebuild
from course.intake.sheet import Unreadable, even
from course.intake.suspicion import Finding, reaches
from course.store import notebook_text

OURS, OURS_CHANGED = "the course's own solution", "the instructor's edition, changed"
_MARKED = re.compile(r"^[ \t#]*### BEGIN SOLUTION", re.M)


@dataclass(frozen=True)
class Reading:
    """What came of reading one file.

    Args:
        problem: why it gives nothing to grade; empty if it does.
        lesson: whose cells it holds; empty if none.
        foreign: it can be read, but belongs to no lesson.
        repairs, notes, findings, unanswered, doubts: see `Rebuilt`.
        answers: grade_id -> digest of each answer that was found.
        written: those of them that a person marks.
        kin: how many cells of the lesson, answers apart, it holds.
        is_script: it is a script.
        ours: it is the course's own, and how much of it; else empty.
        notebook: the canonical notebook, packed; of a file that lost answers on its way, what is left.
    """

    problem: str = ""
    lesson: str = ""
    foreign: bool = False
    repairs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    kin: int = 0
    is_script: bool = False
    ours: str = ""
    notebook: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """The canonical notebook."""
        return zlib.decompress(self.notebook).decode("utf-8")


def read(
    data: bytes,
    hints: Sequence[str],
    editions: Mapping[str, Edition],
    names: Mapping[str, Sequence[str]],
    solutions: Mapping[str, Mapping[str, str]],
) -> Reading:
    """Read one file that was handed in.

    Args:
        data: its bytes.
        hints: names on its path that may tell the lesson, the nearest first.
        editions: the lessons as released.
        names: from `aliases`.
        solutions: from `read_solutions`.
    """
    try:
        sheet = read_sheet(data)
    except Unreadable as reason:
        return Reading(problem=str(reason))
    lesson = find_lesson(sheet, editions, hints, names)
    if not lesson:
        return Reading(foreign=True, is_script=sheet.is_script)
    made = rebuild(editions[lesson], sheet)
    problem = ""
    if sheet.cut_off and made.unanswered:
        problem = (
            f"cut off or damaged: no answer is left for {', '.join(made.unanswered)}; ask for the file again"
        )
        made = rebuild(editions[lesson], sheet, zero=True)
    return Reading(
        problem,
        lesson,
        repairs=(*sheet.repairs, *made.repairs),
        notes=(*sheet.notes, *made.notes),
        findings=tuple(_looked_at(made)),
        answers={name: sha256(even(text).encode()).hexdigest()[:16] for name, text in made.answered.items()},
        written=tuple(made.written),
        unanswered=tuple(made.unanswered),
        doubts=tuple(made.doubts),
        kin=made.kin,
        is_script=sheet.is_script,
        ours=_ours(made, solutions.get(lesson, {})),
        notebook=zlib.compress(notebook_text(made.notebook).encode("utf-8"), 1),
    )


def _looked_at(made: Rebuilt) -> list[Finding]:
    """The lint for a human; it never costs anybody an answer."""
    try:
        return reaches(made.own)
    except Exception as error:
        return [Finding("the whole", 1, "cannot be looked through", type(error).__name__)]


def _ours(made: Rebuilt, solution: Mapping[str, str]) -> str:
    """Whether the answers stand between the marks that only the instructor's edition has."""
    marked = {name: text for name, text in made.answered.items() if _MARKED.search(text)}
    if 2 * len(marked) <= len(made.answered) or not marked:
        return ""
    same = all(even(text) == solution.get(name) for name, text in marked.items())
    return OURS if same and len(marked) == len(made.answered) else OURS_CHANGED


def read_solutions(folder: Path) -> dict[str, dict[str, str]]:
    """For each lesson the answers of the instructor's edition, `<lesson>/<lesson>.ipynb`; those that can be read."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*/*.ipynb")):
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            found[path.stem] = {
                grader["grade_id"]: even("".join(cell["source"]))
                for cell in cells
                if (grader := cell["metadata"].get("nbgrader", {})).get("solution")
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


# In a process of its own


def answer(words: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Read one file for another process; see `ask`."""
    editions, names, solutions = _room(words["release"], words["solutions"], words["version"])
    try:
        reading = asdict(read(body, words["hints"], editions, names, solutions))
    finally:
        forget()
    return reading, reading.pop("notebook")


@lru_cache(maxsize=2)
def _room(release: str, solutions: str, version: str) -> tuple[Any, Any, Any]:
    editions = read_editions(Path(release))
    return editions, aliases(editions), read_solutions(Path(solutions))


def question(hints: Sequence[str], release: Path, solutions: Path) -> dict[str, Any]:
    """What a worker has to know besides the bytes."""
    files = [*sorted(release.glob("*/*.ipynb")), *sorted(solutions.glob("*/*.ipynb"))]
    version = sha256(repr([(str(f), (s := f.stat()).st_mtime_ns, s.st_size) for f in files]).encode())
    return {
        "hints": list(hints),
        "release": str(release.resolve()),
        "solutions": str(solutions.resolve()),
        "version": version.hexdigest(),
    }


def from_answer(words: Mapping[str, Any], body: bytes) -> Reading:
    """The reading that a worker made."""
    if "failed" in words:
        return Reading(problem=words["failed"])
    tuples = {key: tuple(words[key]) for key in ("repairs", "notes", "written", "unanswered", "doubts")}
    findings = tuple(Finding(**finding) for finding in words["findings"])
    return Reading(**{**words, **tuples, "findings": findings, "notebook": body})
