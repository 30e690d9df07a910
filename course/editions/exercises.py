"""From declarations to what a learner's copy holds, and to the page of hints that an instructor reads.

`helpers/checks/recorded/<topic>.json` holds the visible cases as values: the questions, what belongs there (from the
oracle), and of every known mistake what it shows. The learner's side compares; it holds no code that gives a right
answer. `docs/hints/<topic>.md` lists what is said to whom, and `stand_ins/<topic>.txt` holds the solutions, packed, for
learners who give an exercise up.
"""

from __future__ import annotations

import hashlib
import json
import re
import traceback
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from nbformat import NotebookNode

from course.config import PREDICTION
from course.editions.build import helpers_imported
from course.editions.names import exercise_names
from course.editions.solved import Solved
from course.editions.source import is_role, read_lesson
from course.editions.students import without_markers
from course.editions.trial import Trial, trials
from course.exercises import Exercise, Mistake, exercises
from course.model import Course, CourseError, Lesson
from course.store import write_text
from helpers.checks import probes
from helpers.checks.exercise import Case
from helpers.checks.exercise import Exercise as Visible
from helpers.checks.stand_ins import packed, unpacked
from helpers.checks.values import encode

STAMPS = ("made_from", "digest", "page")
# Recorded values may differ by so much between processors, relative to the largest of an array: float32 sums of a hundred
# terms, added up in another order, are off by 100 * 2**-24.
CLOSE = 1e-5


def recorded_path(course: Course, lesson: Lesson) -> Path:
    """Where a lesson's recorded checks lie."""
    return course.root / "helpers" / "checks" / "recorded" / f"{lesson.topic}.json"


def hints_path(course: Course, lesson: Lesson) -> Path:
    """Where the page of a lesson's hints lies."""
    return course.root / "docs" / "hints" / f"{lesson.topic}.md"


def stand_ins_path(course: Course, lesson: Lesson) -> Path:
    """Where a lesson's stand-ins lie: outside of `helpers`, all of which students' code may read when it is graded."""
    return course.root / "stand_ins" / f"{lesson.topic}.txt"


def record(course: Course, lesson: Lesson) -> bool:
    """Write a lesson's recorded checks, its page of hints and its stand-ins, if what they are made from has changed.

    Args:
        course: the checkout.
        lesson: which lesson; one whose checks bring all their tests in the text has nothing to record.

    Returns:
        Whether a file was written.

    Raises:
        CourseError: if a declaration is missing or not finished, or an answer is not judged as it says.
    """
    notebook = read_lesson(course, lesson)
    if not _drifted(course, lesson, notebook):
        return False
    path = recorded_path(course, lesson)
    old = _read(path)
    stamps, data = {key: old.get(key) for key in STAMPS}, old.get("exercises", {})
    written = []
    if _checks_drifted(course, lesson, notebook):
        found = _judged(course, lesson, declared(notebook))
        data = {trial.exercise.name: _data(trial.visible) for trial in found}
        if _nearly(_asked(old.get("exercises", {})), _asked(data)):  # but for the processor's last digits
            data = {name: old["exercises"][name] | {"idea": each["idea"]} for name, each in data.items()}
        page = _page(lesson, found)
        written.append(write_text(hints_path(course, lesson), page))
        stamps = {
            "made_from": _made_from(course, lesson, notebook),
            "digest": _digest(data),
            "page": _digest(page),
        }
    written.append(write_text(path, _text(stamps | {"lesson": _lesson(notebook)}, data)))
    if _stand_ins(course, lesson) != (sources := solutions(notebook)):
        written.append(write_text(stand_ins_path(course, lesson), packed(sources)))
    return any(written)


def solutions(notebook: NotebookNode) -> dict[str, str]:
    """The sources of a lesson's solutions, without their marks, by exercise."""
    return {
        cell.metadata.nbgrader.grade_id: without_markers(cell.source)
        for cell in notebook.cells
        if cell.cell_type == "code" and is_role(cell, "answer")
    }


def _stand_ins(course: Course, lesson: Lesson) -> dict[str, str]:
    """A lesson's stand-ins as they lie there; none if they cannot be read."""
    try:
        return unpacked(stand_ins_path(course, lesson).read_text(encoding="utf-8"))
    except (OSError, ValueError, zlib.error):
        return {}


def _lesson(notebook: NotebookNode) -> dict[str, Any]:
    """What a learner's copy knows of the lesson: of each exercise its place, the open questions, the predictions."""
    names, cells = exercise_names(notebook.cells), notebook.cells
    wanted, exercises, questions = declared(notebook), dict[str, Any](), list[Any]()
    for at, cell in enumerate(cells):
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        name = grade_id.removesuffix("_check")
        if cell.cell_type == "code" and is_role(cell, "check") and name in wanted:
            below = "\n".join(each.source for each in cells[at + 1 :] if each.cell_type == "markdown")
            heading = re.search(r"^#{2,3} (.+)$", below, re.MULTILINE)
            exercises[name] = {
                "number": len(exercises) + 1,
                "points": cell.metadata.nbgrader.points,
                "next": re.sub(r"\s*\([^()]*\)$", "", heading[1]) if heading else "",
            }
        elif is_role(cell, "response"):
            title = names[grade_id].partition(" · ")[2] or names[grade_id]
            questions.append([title, cell.metadata.nbgrader.points])
    predictions = [
        match[1]
        for cell in cells
        if PREDICTION in cell.metadata.get("tags", [])
        and (match := re.match(r"""predict\(["'](.+?)["']""", cell.source))
    ]
    return {"exercises": exercises, "questions": questions, "predictions": predictions}


def declared(notebook: NotebookNode) -> list[str]:
    """Names of a lesson's exercises whose cases stand in a declaration."""
    return [
        cell.metadata.nbgrader.grade_id.removesuffix("_check")
        for cell in notebook.cells
        if cell.cell_type == "code"
        and is_role(cell, "check")
        and "from course.exercises import hidden" in cell.source
    ]


def _judged(course: Course, lesson: Lesson, wanted: list[str]) -> list[Trial]:
    """Judge all declared answers; refuse what is not finished, in one sentence a problem."""
    file = f"course/exercises/{lesson.topic}.py"
    try:
        found = _read_declarations(lesson)
        problems = [
            *(
                f"{name} is checked in lesson {lesson.name}, and not declared"
                for name in wanted
                if name not in found
            ),
            *(
                f"{name} is declared, and not checked in lesson {lesson.name}"
                for name in found
                if name not in wanted
            ),
            *(problem for exercise in found.values() for problem in exercise.unfinished()),
        ]
        judged = [] if problems else list(trials(Solved(course, lesson)))
        problems += [problem for trial in judged for problem in trial.problems]
    except (LookupError, ValueError) as error:
        problems, judged = [str(error)], []
    if problems:
        raise CourseError(f"{file}:\n  " + "\n  ".join(problems))
    return judged


def _read_declarations(lesson: Lesson) -> dict[str, Exercise]:
    """Read a lesson's declarations; what stops Python there is said with its line, as any other thing to mend."""
    try:
        return exercises(lesson.topic)
    except LookupError:
        raise  # says itself what is missing
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).name == f"{lesson.topic}.py"]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else "?"
        raise ValueError(f"line {line}: {type(error).__name__}: {error}") from error


def drifted(course: Course, lesson: Lesson) -> list[str]:
    """Tell whether a lesson's recorded checks are what its declarations say, without running any.

    Returns:
        One sentence, or nothing.
    """
    return _drifted(course, lesson, read_lesson(course, lesson))


def _drifted(course: Course, lesson: Lesson, notebook: NotebookNode) -> list[str]:
    if not declared(notebook):
        return []
    path, way_out = recorded_path(course, lesson), f"run `course build {lesson.name}`"
    if found := _checks_drifted(course, lesson, notebook):
        return [f"{found}: {way_out}"]
    if _read(path).get("lesson") != _lesson(notebook):
        return [f"{path} knows another text of the lesson: {way_out}"]
    if _stand_ins(course, lesson) != solutions(notebook):
        return [f"{stand_ins_path(course, lesson)} holds other solutions than the lesson: {way_out}"]
    return []


def _checks_drifted(course: Course, lesson: Lesson, notebook: NotebookNode) -> str:
    """Why a lesson's checks have to be recorded anew; empty if they need not."""
    path, page = recorded_path(course, lesson), hints_path(course, lesson)
    old = _read(path)
    if old.get("made_from") != _made_from(course, lesson, notebook):
        return f"{path} was recorded from other declarations"
    if old.get("digest") != _digest(old.get("exercises")):
        return f"{path} was changed after it was recorded"
    if not page.is_file() or old.get("page") != _digest(page.read_text(encoding="utf-8")):
        return f"{page} is not what the declarations say"
    return ""


def _made_from(course: Course, lesson: Lesson, notebook: NotebookNode) -> str:
    """Hash the declarations, the cells that they run in, and the helpers; where the course is published changes nothing."""
    digest = hashlib.sha256()
    folder = course.root / "course" / "exercises"
    for cell in notebook.cells:
        if (
            cell.cell_type == "code"
            and cell.id != "bootstrap"
            and (is_role(cell, "setup") or is_role(cell, "answer"))
        ):
            digest.update(cell.source.encode() + b"\0")
    files = {folder / f"{lesson.topic}.py", folder / "__init__.py"}
    for file in sorted(files | helpers_imported(course, folder / f"{lesson.topic}.py")):
        digest.update(
            file.relative_to(course.root).as_posix().encode()
            + b"\0"
            + file.read_bytes().replace(b"\r\n", b"\n")
        )
    return digest.hexdigest()


def _data(check: Visible) -> dict[str, Any]:
    """A visible check as JSON, but for its place in the lesson."""
    plain = {field.name for field in fields(Case)} - {"args", "probe"}
    return {
        "cases": [
            {"args": encode(list(case.args)), "probe": encode(case.probe)}
            | {
                name: value
                for name in sorted(plain)
                if (value := _plain(getattr(case, name))) not in (0.0, False, {})
            }
            for case in check.cases
        ],
        "expected": [encode(dict(parts)) for parts in check.expected],
        "known": [{"hint": known.hint, "seen": list(known.seen)} for known in check.known],
        "idea": check.idea,
    }


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _text(stamps: Mapping[str, Any], data: Any) -> str:
    """JSON with a line for each case, value and mistake."""
    lines = [
        "{",
        *(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in stamps.items()),
        '"exercises": {',
    ]
    names = list(data)
    for name in names:
        lines.append(f"{json.dumps(name)}: {{")
        for key in ("cases", "expected", "known"):
            items = [json.dumps(item, ensure_ascii=False) for item in data[name][key]]
            lines += [f'"{key}": [', ",\n".join(items), "],"]
        lines.append(f'"idea": {json.dumps(data[name]["idea"], ensure_ascii=False)}')
        lines.append("}" + ("," if name != names[-1] else ""))
    return "\n".join([*lines, "}", "}", ""])


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _asked(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked and what belongs there, without what is said to who passes."""
    return {name: {key: each[key] for key in each if key != "idea"} for name, each in data.items()}


def _nearly(old: Any, new: Any) -> bool:
    """Whether two pieces of JSON are the same but for the last digits of numbers."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_nearly(old[key], new[key]) for key in old)
    if isinstance(old, list | float) and isinstance(new, list | float):
        a, b = _numbers(old), _numbers(new)
        if a is not None and b is not None and a.shape == b.shape:
            return bool(
                np.allclose(a, b, rtol=0, atol=CLOSE * np.abs(a).max(initial=0) + 1e-12, equal_nan=True)
            )
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_nearly, old, new))
    return type(old) is type(new) and bool(old == new)


def _numbers(values: Any) -> np.ndarray | None:
    """Nested lists of fractions as an array; None if there is anything else in them."""
    try:
        found = np.array(values, dtype=object)
    except ValueError:  # of different lengths
        return None
    if not found.size or any(type(each) is not float for each in found.flat):
        return None
    return found.astype(float)


def _page(lesson: Lesson, found: Iterable[Trial]) -> str:
    """What is said to whom, exercise by exercise."""
    lines = [
        f"# Hints of lesson {lesson.number}, {lesson.title}",
        "",
        "Made by `course build` from the declarations: every mistake that is known, and what its check says. Where no known",
        "mistake fits, a check names the first value that differs, or the call and what it raised.",
    ]
    for trial in found:
        lines += ["", f"## `{trial.exercise.name}`", "", "| mistake | what is said |", "|---|---|"]
        for judged in trial.judged:
            if isinstance(judged.answer, Mistake):
                late = "" if judged.hint else " (by the hidden cases)"
                lines.append(
                    f"| {_cell(judged.answer.title)}{late} | {_cell(judged.hint or judged.hidden_hint)} |"
                )
        of_parts = [
            f"| {part} | {_cell(hint)} |"
            for case in trial.exercise.cases
            for part, hint in case.hints.items()
            if part
        ]
        lines += dict.fromkeys(of_parts)  # the same in many cases: once
    lines += ["", "## Any exercise", "", "| what is looked at | what is said |", "|---|---|"]
    lines += [f"| {part} | {_cell(hint)} |" for part, hint in probes.CONDUCT.items()]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
