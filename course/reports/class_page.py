"""`course report --html`: the class on one page that asks for nothing over the network."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib.resources import files
from statistics import median
from typing import Any

from jinja2 import Environment

from course.intake.triage import printable
from course.reports import class_plots
from course.reports.class_facts import ClassFacts, LessonFacts, needs_a_person
from course.reports.ledger import Entry
from course.reports.report import number, points, summary


def page(facts: ClassFacts, made: datetime) -> str:
    """Render the class report.

    Args:
        facts: what the class did.
        made: when, with a time zone.

    Returns:
        A whole HTML page; its one script, which sorts tables, is allowed by its digest and nothing else is.
    """
    folder = files("course.reports").joinpath("templates")
    script = folder.joinpath("sort.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"n": number, "visible": printable}
    template = environment.from_string(folder.joinpath("class.html").read_text(encoding="utf-8"))
    names = {entry.student: entry.name for entry in facts.ledger.entries}
    return template.render(
        facts=facts,
        made=made,
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        summaries=summary(facts.ledger),
        people=needs_a_person(facts.ledger),
        lessons=[_lesson(lesson) for lesson in facts.lessons],
        rows=[_row(entries) for entries in facts.ledger.rows().values()],
        names=names,
        hours=duration_of(facts.reading),
    )


def duration_of(minutes: float) -> str:
    """Minutes as hours and minutes."""
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _lesson(facts: LessonFacts) -> dict[str, Any]:
    """A lesson with its plots, and what they show in words."""
    judged = [exercise for exercise in facts.exercises if exercise.count]
    by_checks = [exercise for exercise in judged if not exercise.written] or judged
    hardest = min(by_checks, key=lambda e: e.solved / e.count, default=None)
    said = f"Solved least: {hardest.name}, by {hardest.solved} of {hardest.count}." if hardest else ""
    plots = []
    if facts.students:
        strip = f"{len(facts.students)} students in {len(facts.exercises)} exercises. Yellow: all points, dark: none, grey: still to be read."
        plots.append(("Who solved what", class_plots.heat_strip(facts), strip))
    if judged:
        plots.append(("How many solve each exercise", class_plots.success(facts), said))
    if facts.marks or facts.partial:
        marks = f"{len(facts.marks)} complete"
        marks += (
            f", half of them with {median(facts.marks):g} points of {facts.full:g} or more"
            if len(facts.marks) > 1
            else ""
        )
        marks += f"; {len(facts.partial)} with answers still to be read." if facts.partial else "."
        plots.append(("Points", class_plots.distribution(facts), marks))
    return {"facts": facts, "plots": plots}


def _row(entries: dict[str, Entry]) -> dict[str, Any]:
    """A student's line of the table: for each lesson what is shown and by what it is sorted, and the sum."""
    first = next(iter(entries.values()))
    cells = []
    for entry in entries.values():
        key = -1 if entry.mark is None else entry.mark
        cells.append({"text": points(entry) or str(entry.status), "key": key, "status": entry.status.name.lower(), "late": entry.late, "reason": entry.reason})  # fmt: skip
    marks = [entry.mark for entry in entries.values() if entry.mark is not None]
    return {
        "student": first.student,
        "name": first.name,
        "cells": cells,
        "total": sum(marks) if marks else None,
    }
