"""What must hold for every file, whatever is in it."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from course.intake import collect
from course.intake.reading import from_answer, question
from course.intake.sheet import even
from course.intake.workers import Workers
from tests.fuzz.mutations import Case


def asked(release: Path) -> dict[str, Any]:
    """What a worker has to know of the release."""
    return question(("a.ipynb",), release, release.parent / "solutions")


def faults(case: Case, words: dict[str, Any], body: bytes) -> list[str]:
    """What is wrong with what a worker made of a file.

    Args:
        case: the file.
        words, body: the worker's answer.

    Returns:
        One sentence a fault; nothing is lost without a word, nothing fails but with a reason.
    """
    reading = from_answer(words, body)
    if "failed" in words:
        return [f"given up: {words['failed']}"]
    if reading.problem:
        return [] if reading.problem.strip() else ["no reason"]
    if reading.foreign:
        return ["answers, but no lesson"] if len(case.whole) > 1 else []
    there = "\n".join(even(cell["source"]) for cell in json.loads(reading.text)["cells"])
    return [f"{name} was taken away" for name, source in case.whole.items() if even(source) not in there]


def told(words: dict[str, Any]) -> str:
    """What became of a file, in a word."""
    if "failed" in words:
        return "given up"
    if words["problem"]:
        return "unreadable, with a reason"
    if words["foreign"]:
        return "of no lesson"
    return "waits for a person" if words["doubts"] else "rebuilt"


def collected(data: bytes, name: str, release: Path, room: Path, workers: Workers[Any]) -> Counter[str]:
    """Collect one download; every row has a status, and what is not graded has a reason."""
    room.mkdir(parents=True)
    (room / name).write_bytes(data)
    before = time.process_time()
    triage = collect(room / name, release, room / "classroom", workers=workers)
    assert time.process_time() - before < 10  # CPU seconds of this process; a file's own are the worker's
    for row in triage.rows:
        assert row.counts or row.reason.strip(), row
    triage.write_csv(room / "t.csv")
    triage.write_html(room / "t.html")
    return Counter(row.status for row in triage.rows)
