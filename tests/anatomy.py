"""Where the time of grading a submission goes: what `tests.bench` says of it, stage by stage."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from course.grading import grade
from course.grading.backends.local import Local
from course.grading.execute import _Execution
from course.grading.kernel import StudentKernel
from course.grading.template import Template
from course.model import Course, Lesson

# Stages that do not overlap: what stands in each column, and the method that does it.
STAGES = {
    "fork a kernel": (Template, "fork"),
    "its first answer": (StudentKernel, "start"),
    "cells": (StudentKernel, "run"),
    "names kept for the checks": (_Execution, "_snapshot"),
    "checks": (_Execution, "_check"),
    "end the kernel": (StudentKernel, "stop"),
    "record": (grade, "_record"),
}
WARM_UP = 2  # submissions, in which template, checker and caches come up


def anatomy(course: Course, lesson: Lesson) -> dict[str, float]:
    """Grade a lesson's submissions one after the other, and measure.

    Args:
        course: a classroom of more than `WARM_UP` submissions.
        lesson: whose.

    Returns:
        Stage -> seconds on the clock for one submission; "the rest" is what no stage has, "all" is from one to the next.
    """
    spent: Counter[str] = Counter()
    ends: list[float] = []

    def told(_: object) -> None:
        ends.append(time.monotonic())
        if len(ends) == WARM_UP:
            spent.clear()

    with ExitStack() as stack:
        for name, (owner, method) in STAGES.items():
            stack.enter_context(patch.object(owner, method, _timed(getattr(owner, method), name, spent)))
        grade.grade(course, [lesson], None, False, Local(1), told)
    count = len(ends) - WARM_UP
    every = (ends[-1] - ends[WARM_UP - 1]) / count
    found = {name: spent[name] / count for name in STAGES}
    return found | {"the rest": every - sum(found.values()), "all": every}


def _timed(method: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    """A function or coroutine function that counts its seconds."""

    @contextmanager
    def counted() -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            spent[name] += time.monotonic() - start

    async def later(*words: Any, **more: Any) -> Any:
        with counted():
            return await method(*words, **more)

    def now(*words: Any, **more: Any) -> Any:
        with counted():
            return method(*words, **more)

    return now if name == "record" else later
