"""What people call an exercise: "Exercise 3 · The gain factor", where nbgrader knows the id of a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# A heading such as `### Exercise 1 · The spectral radius (4 points, medium, about 12 minutes)`.
_HEADING = re.compile(
    r"^#{2,4} ((?:Exercise \d+|Question(?: \d+)?) · .+?)\s*(?:\(\d[^()]*\))?\s*$", re.MULTILINE
)
_PART = re.compile(r"_(check|question|response)$")


def exercise_names(cells: Iterable[Any]) -> dict[str, str]:
    """Tell the names of a lesson's exercises and questions.

    Args:
        cells: of one of its editions.

    Returns:
        grade_id of each answer, check, question and response -> the heading that it stands under, without its points.
        Where there is none, the id in words. A check and a response are called as what they judge.
    """
    names: dict[str, str] = {}
    heading = ""
    for cell in cells:
        meta = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "markdown" and (not meta or meta.get("locked")):
            found = _HEADING.findall("".join(cell["source"]))
            heading = found[-1] if found else heading
        grade_id = str(meta.get("grade_id", ""))
        if not grade_id or not (meta.get("grade") or meta.get("solution") or grade_id.endswith("_question")):
            continue
        topic = _PART.sub("", grade_id)
        kind = _kind(grade_id)
        same = [known for known in names if _PART.sub("", known) == topic and _kind(known) == kind]
        names[grade_id] = names[same[0]] if same else heading or topic.replace("_", " ")
        if grade_id.endswith(("_check", "_response")):
            heading = ""  # what follows stands under a heading of its own
    return names


def _kind(grade_id: str) -> str:
    return "question" if grade_id.endswith(("_question", "_response")) else "exercise"
