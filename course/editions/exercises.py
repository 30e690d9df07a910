"""From declarations to what a learner's copy holds: the visible cases as values, `helpers/checks/recorded/<topic>.json`.

Recorded are the questions, what belongs there (from the oracle), and of every known mistake what it shows: it is run
here, in the names of the solved lesson. The learner's side compares values; it holds no code that gives a right answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import helpers.checks
from course.editions.build import helpers_imported
from course.editions.source import is_role, read_lesson
from course.exercises import Exercise, exercises
from course.model import Course, CourseError, Lesson
from course.store import write_text
from helpers.checks.exercise import Case, Checks, Known, ask, sketch
from helpers.checks.exercise import Exercise as Visible
from helpers.checks.values import encode

CLOSE = 1e-6  # relative; recorded values may differ by so much between processors


def recorded_path(course: Course, lesson: Lesson) -> Path:
    """Where a lesson's recorded checks lie."""
    return course.root / "helpers" / "checks" / "recorded" / f"{lesson.topic}.json"


class Solved:
    """A lesson's names as they are where each exercise stands, and the sources of its solutions."""

    def __init__(self, course: Course, lesson: Lesson):
        self.lesson = lesson
        self.solutions: dict[str, str] = {}
        self._before: dict[str, dict[str, Any]] = {}
        names: dict[str, Any] = {"__name__": "__main__"}
        nothing_yet = {
            lesson.topic: Checks(lesson.topic, '{"exercises": {}}')
        }  # the setup imports what is made here
        for cell in read_lesson(course, lesson).cells:
            if cell.cell_type != "code":
                continue
            if is_role(cell, "setup"):
                with patch.dict(vars(helpers.checks), nothing_yet):
                    _execute(cell.source, names)
            elif is_role(cell, "answer"):
                name = cell.metadata.nbgrader.grade_id
                self.solutions[name] = _without_markers(cell.source)
                self._before[name] = dict(names)
                _execute(cell.source, names)

    def defined(self, exercise: str, source: str) -> Any:
        """What an answer's source defines under the exercise's name, in place of the solution."""
        return self.made(exercise, source)[0]

    def made(self, exercise: str, source: str) -> tuple[Any, dict[str, Any]]:
        """The same, and all names as they are then."""
        names = dict(self._before[exercise])
        _execute(source, names)
        return names[exercise], names


def _execute(source: str, names: dict[str, Any]) -> None:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exec(compile(source, "<lesson>", "exec"), names)


def _without_markers(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.strip().startswith("### ")) + "\n"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run answers as a notebook of finished figures would: no warnings, nothing printed."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def visible(exercise: Exercise, topic: str, solved: Solved) -> Visible:
    """Make the visible check of an exercise: ask its oracle and its mistakes.

    Args:
        exercise: the declaration.
        topic: of its lesson.
        solved: the lesson's names.

    Returns:
        The check, as it will be read back from the recorded file.
    """
    with quiet():
        expected = exercise.expected(exercise.cases)
        known = []
        for mistake in exercise.mistakes:
            if mistake.hint and not mistake.special:
                answer = solved.defined(
                    exercise.name, mistake.source(exercise.name, solved.solutions[exercise.name])
                )
                seen = [ask(answer, case) for case in exercise.cases]
                known.append(
                    Known(
                        mistake.hint,
                        [sketch(*each) for each in zip(exercise.cases, seen, expected, strict=True)],
                    )
                )
    return Visible(topic, exercise.name, exercise.cases, expected, known)


def record(course: Course, lesson: Lesson) -> bool:
    """Write a lesson's recorded checks, if what they are made from has changed.

    Args:
        course: the checkout.
        lesson: which lesson.

    Returns:
        Whether the file was written.

    Raises:
        CourseError: if a declaration does not fit the lesson.
    """
    path, made_from = recorded_path(course, lesson), _made_from(course, lesson)
    old = _read(path)
    if old.get("made_from") == made_from and old.get("digest") == _digest(old.get("exercises")):
        return False
    solved = Solved(course, lesson)
    declared = exercises(lesson.topic)
    if set(declared) != set(solved.solutions):
        missing = sorted(set(declared) ^ set(solved.solutions))
        raise CourseError(
            f"lesson {lesson.name} and course/exercises/{lesson.topic}.py do not have the same exercises: {missing}"
        )
    try:
        data = {name: _data(visible(exercise, lesson.topic, solved)) for name, exercise in declared.items()}
    except ValueError as error:
        raise CourseError(f"course/exercises/{lesson.topic}.py: {error}") from error
    if _nearly(old.get("exercises"), data):
        data = old["exercises"]  # the same but for the processor's last digits
    path.parent.mkdir(exist_ok=True)
    return write_text(path, _text({"made_from": made_from, "digest": _digest(data), "exercises": data}))


def drifted(course: Course, lesson: Lesson) -> list[str]:
    """Tell whether a lesson's recorded checks are what its declarations say, without running any.

    Returns:
        One sentence, or nothing.
    """
    path = recorded_path(course, lesson)
    old = _read(path)
    if old.get("made_from") != _made_from(course, lesson):
        return [f"{path} was recorded from other declarations: run `course build {lesson.name}`"]
    if old.get("digest") != _digest(old.get("exercises")):
        return [f"{path} was changed after it was recorded: run `course build {lesson.name}`"]
    return []


def _made_from(course: Course, lesson: Lesson) -> str:
    """Hash the declarations, the cells that they run in, and the helpers."""
    digest = hashlib.sha256()
    declared = course.root / "course" / "exercises"
    for cell in read_lesson(course, lesson).cells:
        if cell.cell_type == "code" and (is_role(cell, "setup") or is_role(cell, "answer")):
            digest.update(cell.source.encode() + b"\0")
    files = {declared / f"{lesson.topic}.py", declared / "__init__.py"}
    for file in sorted(files | helpers_imported(course, declared / f"{lesson.topic}.py")):
        digest.update(
            file.relative_to(course.root).as_posix().encode()
            + b"\0"
            + file.read_bytes().replace(b"\r\n", b"\n")
        )
    return digest.hexdigest()


def _data(check: Visible) -> dict[str, Any]:
    """A visible check as JSON."""
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
    }


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _text(data: Any) -> str:
    """JSON with a line for each case, value and mistake."""
    lines = [
        "{",
        f'"made_from": {json.dumps(data["made_from"])},',
        f'"digest": {json.dumps(data["digest"])},',
        '"exercises": {',
    ]
    names = list(data["exercises"])
    for name in names:
        lines.append(f"{json.dumps(name)}: {{")
        for key in ("cases", "expected", "known"):
            items = [json.dumps(item, ensure_ascii=False) for item in data["exercises"][name][key]]
            lines += [f'"{key}": [', ",\n".join(items), "]" + ("," if key != "known" else "")]
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


def _nearly(old: Any, new: Any) -> bool:
    """Whether two pieces of JSON are the same but for the last digits of numbers."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_nearly(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_nearly, old, new))
    if isinstance(old, float) and isinstance(new, float):
        return bool(np.isclose(old, new, rtol=CLOSE, atol=1e-12))
    return type(old) is type(new) and bool(old == new)
