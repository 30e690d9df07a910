"""An exercise as its check sees it: questions to the answer, what belongs there, and the known mistakes.

All of it is data, recorded by `course build` in `recorded/<topic>.json`: expected values, and of each known mistake what
it gives for each question. Nothing here can compute a right answer, so nothing here can be handed in as one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from helpers.checks import notebook, probes
from helpers.checks.core import CheckFailed, close, dtype_of, equal, expect, lines_of, say, shown
from helpers.checks.stand_ins import GivenUp, stands_in
from helpers.checks.values import build, decode
from helpers.giving_up import TOLD

WEIGHTS = 3  # weighted sums that an array is recognised by


@dataclass(frozen=True)
class Case:
    """One question to an answer: a probe, its arguments, and how closely what comes back has to agree."""

    args: tuple[Any, ...]
    probe: Callable[..., Any] = probes.output
    what: str = ""
    rtol: float = 1e-9
    atol: float = 0.0
    dtype: bool = False  # whether the dtype has to be the expected one
    hints: Mapping[str, str] = field(default_factory=dict)  # part -> what to say if no known mistake fits


@dataclass(frozen=True)
class Seen:
    """What a case brought to light: the parts that the probe gave, or what is to be said instead."""

    parts: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    raised: str = ""  # class of the exception behind it, and how its text begins


@dataclass(frozen=True)
class Known:
    """A known mistake: its hint, and what each case shows of it (`sketch`)."""

    hint: str
    seen: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Exercise:
    """The visible check of one exercise."""

    topic: str
    name: str
    cases: Sequence[Case]
    expected: Sequence[Mapping[str, Any]]
    known: Sequence[Known]
    idea: str = ""  # what who passes has shown, in a sentence
    number: int = 0
    points: float = 0.0
    next: str = ""  # the heading of what comes next

    def __call__(self, answer: Any) -> None:
        """Check the learner's answer in a notebook.

        Args:
            answer: the learner's function or class.

        Raises:
            CheckFailed: with a hint, if it is not right yet; `GivenUp`, if it is a stand-in.
        """
        if stands_in(answer):
            raise GivenUp(TOLD.format(name=self.name))
        expect(not (hint := notebook.outdated(self.name, answer)), hint)
        expect(not (hint := self.hint(answer)), hint)
        say(self.praise())

    def praise(self) -> str:
        """What is said of an answer that passes: its points, the idea, what comes next."""
        worth = f" ({self.points:g} point{'s' if self.points != 1 else ''})" if self.points else ""
        lines = [f"✓ {self.name}: every visible check passes{worth}.", self.idea]
        lines.append(f"Next: {self.next}" if self.next else "")
        return "\n".join(line for text in lines for line in lines_of(text))

    def hint(self, answer: Any) -> str:
        """Judge an answer.

        Args:
            answer: the learner's function or class, here or in another process.

        Returns:
            The hint; empty if it passes.
        """
        if stands_in(answer):
            return TOLD.format(name=self.name)
        if not callable(answer):
            return (
                f"`{self.name}` should be something to call, but it is {shown(answer)}. "
                "Was the name assigned again further up?"
            )
        return judge(answer, self.cases, self.expected, self.known)


class Checks:
    """The checks of one lesson; each exercise is an attribute. With them its open questions and its predictions."""

    def __init__(self, topic: str, recorded: str):
        self.topic = topic
        data = json.loads(recorded)
        lesson = data.get("lesson", {})
        self.questions = [(title, float(points)) for title, points in lesson.get("questions", [])]
        self.predictions: list[str] = lesson.get("predictions", [])
        self.exercises = {
            name: _exercise(topic, name, each, lesson.get("exercises", {}).get(name, {"number": number}))
            for number, (name, each) in enumerate(data["exercises"].items(), 1)
        }

    def __getattr__(self, name: str) -> Exercise:
        try:
            return self.__dict__["exercises"][name]
        except KeyError:
            raise AttributeError(f"lesson {self.topic!r} has no exercise {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted(self.exercises)


def _exercise(topic: str, name: str, data: Mapping[str, Any], place: Mapping[str, Any]) -> Exercise:
    cases = [
        Case(**{**case, "args": tuple(decode(case["args"])), "probe": decode(case["probe"])})
        for case in data["cases"]
    ]
    known = [Known(**mistake) for mistake in data["known"]]
    expected = [decode(parts) for parts in data["expected"]]
    return Exercise(topic, name, cases, expected, known, data.get("idea", ""), **place)


def judge(
    answer: Any, cases: Sequence[Case], expected: Sequence[Mapping[str, Any]], known: Sequence[Known] = ()
) -> str:
    """Put the cases to an answer until one shows something else than expected.

    Args:
        answer: the learner's function or class.
        cases: the questions.
        expected: for each case, part -> value.
        known: mistakes to recognise.

    Returns:
        The hint: of the known mistake that shows the same, else what does not agree; empty if all agrees.
    """
    for index, (case, truth) in enumerate(zip(cases, expected, strict=True)):
        seen = ask(answer, case)
        part, says = difference(case, truth, seen)
        if says:
            alike = [
                mistake for mistake in known if _shows(case, mistake.seen[index], seen, part, truth.get(part))
            ]
            if len({mistake.hint for mistake in alike}) > 1:
                alike = _most_alike(answer, cases, expected, alike)
            return alike[0].hint + _raised(seen) if alike else says
    return ""


def ask(answer: Any, case: Case) -> Seen:
    """Put one case to an answer; whatever goes wrong is part of what is seen."""
    try:
        args = [build(answer, value) for value in copy.deepcopy(case.args)]  # it may change them
        given = case.probe(answer, *args)
        return Seen(given if isinstance(given, dict) else {"": given})
    except CheckFailed as failure:
        cause = failure.__cause__
        words = " ".join(str(cause).split()[:3])
        return Seen(says=str(failure), raised=f"{type(cause).__name__}: {words}" if cause else "")
    except Exception as error:  # the probe meets something that it cannot take apart
        kind = type(error).__name__
        return Seen(
            says=f"What {case.what} gives cannot be taken apart ({kind}): is it what the exercise asks for?"
        )


def difference(case: Case, expected: Mapping[str, Any], seen: Seen) -> tuple[str, str]:
    """Find the first part that is not as expected.

    Args:
        case: the question.
        expected: part -> value.
        seen: what the answer showed.

    Returns:
        The part and what to say of it; two empty strings if all agrees.
    """
    if seen.says:
        return "", seen.says
    for part, truth in expected.items():
        what = f"{part} of {case.what}" if part else case.what
        try:
            expect(part in seen.parts, f"{what} is missing.")
            compare(seen.parts[part], truth, what, case)
        except CheckFailed as failure:
            return part, case.hints.get(part) or probes.CONDUCT.get(part) or str(failure)
        except Exception as error:  # an object that answers every question with an error of its own
            return part, f"{what} cannot be compared ({type(error).__name__}): is it made of plain numbers?"
    return "", ""


def compare(actual: Any, expected: Any, what: str, case: Case) -> None:
    """Compare one part: whole numbers, text and None exactly, other numbers within the case's tolerance.

    Raises:
        CheckFailed: naming the value and what belongs there.
    """
    if isinstance(expected, (list, tuple)):
        items = _items(actual, what)
        if len(items) != len(expected):
            raise CheckFailed(
                f"{what} should hold {len(expected)} values, but yours holds {len(items)}: {shown(actual)}."
            )
        if all(isinstance(each, int) for each in expected):
            equal([_whole(each) for each in items], list(expected), what)
        else:
            for index, (item, truth) in enumerate(zip(items, expected, strict=True)):
                compare(item, truth, f"{what}, entry {index},", case)
    elif isinstance(expected, dict):
        for key, truth in expected.items():
            expect(isinstance(actual, Mapping) and key in actual, f"{what} should have an entry {key!r}.")
            compare(actual[key], truth, f"{what}, entry {key!r},", case)
    elif expected is None or isinstance(expected, (bool, int, str)):
        equal(_whole(actual), expected, what)
    else:
        dtype = getattr(expected, "dtype", None) if case.dtype else None
        close(actual, expected, what, rtol=case.rtol, atol=case.atol, dtype=dtype)


def _items(value: Any, what: str) -> list[Any]:
    """The entries of a list, tuple, range, array or tensor."""
    if not isinstance(value, (list, tuple, range, np.ndarray)) and not hasattr(value, "detach"):
        raise CheckFailed(f"{what} should be a list of values, but yours is {shown(value)}.")
    expect(
        np.ndim(value) > 0 if hasattr(value, "shape") else True, f"{what} should be a list, not one number."
    )
    return list(value)


def _whole(value: Any) -> Any:
    """A whole number that comes as an array or tensor of no dimension, as a plain one."""
    if getattr(value, "shape", None) == () and not isinstance(value, np.generic):
        return value.item()
    return value


def sketch(case: Case, seen: Seen, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what a mistake shows in a case, in few numbers.

    Args:
        case: the question.
        seen: what the mistake showed.
        expected: part -> the right value.

    Returns:
        What `judge` recognises it by: {"says": ...}, {"raised": ...}, or part -> a few numbers, for parts that differ.
    """
    if seen.says:
        return {"raised": seen.raised} if seen.raised else {"says": seen.says}
    parts = {}
    for part, truth in expected.items():
        alone = Seen({part: seen.parts[part]} if part in seen.parts else {})
        if difference(case, {part: truth}, alone)[1]:
            parts[part] = _described(seen.parts.get(part), truth)
    return {"parts": parts}


def _described(value: Any, truth: Any) -> dict[str, Any]:
    """What a wrong value is recognised by; the dtype belongs to it where (nearly) nothing else is wrong."""
    described = _numbers(value)
    loose = Case((), rtol=1e-3, atol=1e-3)
    return described | ({"dtype": dtype_of(value)} if _alike(loose, described, _numbers(truth)) else {})


def _numbers(value: Any) -> dict[str, Any]:
    """Shape and a few weighted sums of numbers; for anything else its type and text."""
    if type(value) in (list, tuple) and not _plain(value):
        return {"items": [_numbers(each) for each in value]}
    if isinstance(value, Mapping):
        return {"entries": {str(key): _numbers(each) for key, each in value.items()}}
    try:
        plain = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
        if plain.dtype.kind not in "iufc":
            raise TypeError
    except (TypeError, ValueError, RuntimeError):
        return {"text": f"{type(value).__name__} {shown(value)}"}
    kind = "whole" if plain.dtype.kind in "iu" else "real"
    flat = plain.astype(complex if plain.dtype.kind == "c" else float).ravel()
    finite = np.where(np.isfinite(flat), flat, 0)
    places = np.arange(1, flat.size + 1)
    sums = [
        float(abs(finite @ np.cos(k * places + k)) if k else abs(finite).max(initial=0))
        for k in range(WEIGHTS + 1)
    ]
    sums.append(float(finite.real.sum()))
    return {
        "kind": kind,
        "shape": list(plain.shape),
        "sums": sums,
        "lost": int(flat.size - np.isfinite(flat).sum()),
    }


def _plain(value: Any) -> bool:
    """Whether a list or tuple holds numbers alone."""
    return all(isinstance(each, (int, float, np.number)) and not isinstance(each, bool) for each in value)


def _shows(case: Case, known: Mapping[str, Any], seen: Seen, part: str, truth: Any) -> bool:
    """Whether a known mistake shows in this part of the case what the answer shows."""
    if seen.says:
        return seen.says == known.get("says") or (bool(seen.raised) and seen.raised == known.get("raised"))
    there = known.get("parts", {}).get(part)
    return there is not None and _alike(case, there, _described(seen.parts.get(part), truth))


def _alike(case: Case, there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether two descriptions of a value agree as closely as the case asks for."""
    if there.keys() != here.keys():
        return False
    if "items" in there:
        same_length = len(there["items"]) == len(here["items"])
        return same_length and all(
            _alike(case, a, b) for a, b in zip(there["items"], here["items"], strict=True)
        )
    if "entries" in there:
        (a, b) = there["entries"], here["entries"]
        return a.keys() == b.keys() and all(_alike(case, a[key], b[key]) for key in a)
    if "sums" not in there or any(there[key] != here[key] for key in there.keys() - {"sums"}):
        return there == here
    size = max(1, int(np.prod(here["shape"])))
    # Single precision rounds differently from processor to processor.
    rtol = max(case.rtol, 1e-6 if there.get("dtype") == "float32" else 1e-9)
    room = size * (case.atol + rtol * max(there["sums"][0], here["sums"][0]))
    return all(abs(a - b) <= room for a, b in zip(there["sums"], here["sums"], strict=True))


def _most_alike(
    answer: Any, cases: Sequence[Case], expected: Sequence[Mapping[str, Any]], alike: list[Known]
) -> list[Known]:
    """Those mistakes that agree with an answer in most of all cases, right or wrong."""
    found = [sketch(case, ask(answer, case), truth) for case, truth in zip(cases, expected, strict=True)]
    scores = [
        sum(_same(case, *both) for case, *both in zip(cases, mistake.seen, found, strict=True))
        for mistake in alike
    ]
    return [mistake for mistake, score in zip(alike, scores, strict=True) if score == max(scores)]


def _same(case: Case, known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether two sketches of a case show the same."""
    if "parts" not in known or "parts" not in found:
        return known == found
    there, here = known["parts"], found["parts"]
    return there.keys() == here.keys() and all(_alike(case, there[part], here[part]) for part in there)


def _raised(seen: Seen) -> str:
    """What was really raised, behind a hint that was found by it."""
    return f" ({seen.says})" if seen.raised else ""
