"""Exercises as data: one declaration each, in a module named after its lesson.

A declaration says what an answer is asked (`Case`), what right looks like (`oracle`: a right answer that is independent
of the lesson's solution), which wrong answers learners give and what each is told (`Mistake`), and which others are right
(`Right`). From it come the visible check (recorded by `course build` as values, without any code that is right), the
hidden tests, the bank of answers that the checks are tested with, the page of hints and the report of a class.
"""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from types import ModuleType
from typing import Any

import numpy as np

from helpers.checks import probes
from helpers.checks.core import CheckFailed
from helpers.checks.exercise import Case, ask, judge
from helpers.checks.exercise import Exercise as Visible
from helpers.checks.values import made as made

ENOUGH_MISTAKES, ENOUGH_RIGHT = 3, 2
Asked = tuple[list[Case], list[Mapping[str, Any]]]
SEED = 2015  # of the hidden cases: everybody is asked the same


@dataclass(frozen=True)
class Written:
    """An answer as a learner would write it.

    Args:
        title: what is special about it, in a few words.
        body: Python source: the whole definition, or the body alone, which is then put under the solution's header.
        edits: instead of a body: (old, new) in the solution's source; each `old` must stand there exactly once.
    """

    title: str
    body: str = ""
    edits: Sequence[tuple[str, str]] = ()

    def source(self, name: str, solution: str) -> str:
        """Write it out.

        Args:
            name: of the exercise.
            solution: source of the reference solution.

        Returns:
            Source that defines the exercise's name.

        Raises:
            ValueError: if an edit does not fit.
        """
        text = solution
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(
                    f"{name}, {self.title!r}: {old!r} stands {text.count(old)} times in the solution, not once"
                )
            text = text.replace(old, new)
        if self.edits:
            return text
        body = textwrap.dedent(self.body).strip("\n")
        if any(line.startswith((f"def {name}", f"class {name}", f"{name} =")) for line in body.splitlines()):
            return body + "\n"
        return f"{_header(name, solution)}\n{textwrap.indent(body, '    ')}\n"


@dataclass(frozen=True)
class Mistake(Written):
    """A wrong answer and what it is told.

    Args:
        hint: the likely mistake, then the idea, never the solution; empty where what the check says by itself is enough.
        special: it looks at the visible cases only, and the hidden ones find it out.
    """

    hint: str = ""
    special: bool = False


@dataclass(frozen=True)
class Right(Written):
    """A right answer that is not the solution."""


@dataclass(frozen=True)
class Exercise:
    """The declaration of one exercise.

    Args:
        oracle: a right answer, independent of the solution: autograd, a dense operator, brute force, a paper's table.
        cases: the visible questions.
        hidden: draws further questions of the same kinds.
        mistakes: wrong answers; the first whose values are seen gives the hint.
        right: further right answers.
        idea: what who passes has shown: said in one sentence when the check passes.
        probe, rtol, atol, dtype, hints: of every case that says nothing else.
        equivalent: mutants of the solution that are right: what was changed -> why it changes nothing.
        name: filled in from where it stands.
    """

    oracle: Callable[..., Any]
    cases: Sequence[Case]
    hidden: Callable[[np.random.Generator], Iterable[Case]]
    mistakes: Sequence[Mistake]
    right: Sequence[Right]
    idea: str = ""
    probe: Callable[..., Any] = probes.output
    rtol: float = 1e-9
    atol: float = 0.0
    dtype: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    equivalent: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def named(self, name: str) -> Exercise:
        """The same under its name, all cases complete."""
        return replace(self, name=name, cases=[self.completed(each, name) for each in self.cases])

    def completed(self, case: Case, name: str = "") -> Case:
        """Fill in what a case leaves to the exercise."""
        defaults = {key: getattr(self, key) for key in ("probe", "rtol", "atol", "dtype", "hints")}
        given = {key: value for key, value in vars(case).items() if key in defaults and value is not None}
        full = replace(case, **{**defaults, **given})
        return full if full.what else replace(full, what=_called(name or self.name, full.args))

    def unfinished(self) -> list[str]:
        """What is still missing, one sentence each."""
        texts = [each.title + each.body + getattr(each, "hint", "") for each in (*self.mistakes, *self.right)]
        hinted = [each for each in self.mistakes if each.hint]
        found = [
            any("TODO" in text for text in texts) and "a title, an answer or a hint still says TODO",
            len(hinted) < ENOUGH_MISTAKES
            and f"{len(hinted)} mistakes have a hint of their own; {ENOUGH_MISTAKES} are the least",
            len(self.right) < ENOUGH_RIGHT
            and f"{len(self.right)} right answers beside the solution; {ENOUGH_RIGHT} are the least",
            ("TODO" in self.idea or not self.idea.endswith("."))
            and "`idea` says in a sentence what the exercise has shown, for who passes",
        ]
        return [f"{self.name}: {sentence}" for sentence in found if sentence]

    def expected(self, cases: Sequence[Case]) -> list[Mapping[str, Any]]:
        """What the oracle shows in these cases.

        Raises:
            ValueError: if the oracle fails.
        """
        seen = [ask(self.oracle, each) for each in cases]
        for each, found in zip(cases, seen, strict=True):
            if found.says:
                raise ValueError(f"{self.name}: the oracle fails in {each.what}: {found.says}")
        return [found.parts for found in seen]

    def drawn(self, seed: int = SEED) -> list[Case]:
        """The hidden cases of a seed."""
        return [self.completed(each) for each in self.hidden(np.random.default_rng(seed))]

    def hidden_hint(self, answer: Any, seed: int = SEED) -> str:
        """Judge an answer by the hidden cases; gives the hint, empty if it passes."""
        return judge(answer, *self.asked(seed))

    def asked(self, seed: int = SEED) -> Asked:
        """The hidden cases of a seed, and what belongs there; kept, since an oracle takes its time and judges many answers."""
        if seed not in self._asked:
            cases = self.drawn(seed)
            self.keep((cases, self.expected(cases)), seed)
        return self._asked[seed]

    def keep(self, asked: Asked, seed: int = SEED) -> None:
        """Take over what `asked` gave in another process."""
        self._asked[seed] = asked

    @cached_property
    def _asked(self) -> dict[int, Asked]:
        return {}


def case(
    *args: Any,
    probe: Callable[..., Any] | None = None,
    what: str = "",
    rtol: float | None = None,
    atol: float | None = None,
    dtype: bool | None = None,
    hints: Mapping[str, str] | None = None,
) -> Case:
    """Put a question: the arguments of a call, or of another probe; what is left out is the exercise's.

    Args:
        *args: plain values, arrays, tensors, importable functions, and what is `made` beside the answer.
        probe: what is done with the answer.
        what: how a hint names it; the call itself if left out.
        rtol, atol: how closely numbers have to agree.
        dtype: whether the dtype has to agree.
        hints: part -> what to say where it differs and no known mistake fits.

    Returns:
        The case.
    """
    options: dict[str, Any] = {"probe": probe, "rtol": rtol, "atol": atol, "dtype": dtype, "hints": hints}
    return Case(args, what=what, **options)


def conduct(*args: Any, what: str = "the answer", **options: Any) -> Case:
    """Ask how a function behaves beside its result: arguments kept, no marks of autograd, nothing printed, no memory."""
    return case(*args, probe=probes.conduct, what=what, **options)


def changed(*rows: Sequence[str]) -> list[Mistake]:
    """Write down mistakes that change the solution, one a row.

    Args:
        *rows: title, then what stands in the solution and what is put in its place, once or more often, last the hint.

    Returns:
        One mistake a row.
    """
    return [Mistake(title, edits=_pairs(edits), hint=hint) for title, *edits, hint in rows]


def special(title: str, *edits: str) -> Mistake:
    """A mistake that looks at the visible cases only: what it changes in the solution, and what it puts there."""
    return Mistake(title, edits=_pairs(edits), special=True)


def listed(table: str) -> list[Mistake]:
    """Read mistakes from a table in plain text, where hints are long and changes short.

    Args:
        table: for each hint one line or more of "title | old | new" (and perhaps more such pairs), then the hint,
            indented. Below a line "instead of old:" it is enough to say "title | new", and below "instead of it all:"
            the new one is the whole answer. Lines behind the last hint have none. What a line has no room for goes on
            in the next one, behind a bar. A backslash and an n stand for a new line.

    Returns:
        One mistake a line, in order.

    Raises:
        ValueError: if a line is none of these.
    """
    found: list[Mistake] = []
    old = ""
    for (title, *edits), hint in _rows(table):
        if not edits and not title.startswith("instead of "):
            raise ValueError(f"{title!r} is neither a row, which has bars, nor a hint, which is indented")
        if not edits:
            old = title.removeprefix("instead of ").removesuffix(":")
        elif edits[1:] or old != "it all":
            found.append(Mistake(title, edits=_pairs(edits if edits[1:] else (old, *edits)), hint=hint))
        else:
            found.append(Mistake(title, edits[0], hint=hint))
    return found


def rewritten(table: str) -> list[Right]:
    """Read right answers that change the solution from a table as that of `listed`, without hints."""
    return [Right(title, edits=_pairs(edits)) for (title, *edits), _ in _rows(table)]


def unchanged(table: str) -> dict[str, str]:
    """Read mutants that are right from a table of "line | old | new", and below those that share a reason the reason."""
    return {f"{line}  ->  {line.replace(old, new)}": why for (line, old, new), why in _rows(table)}


def _rows(table: str) -> Iterator[tuple[list[str], str]]:
    """The cells of each row, and the text that is indented below it or below the rows that follow it."""
    unfolded = re.sub(r"\n\|", " |", textwrap.dedent(table).strip("\n")) + "\n"
    for rows, text in re.findall(r"((?:^\S.*\n)+)((?:^ .*\n)*)", unfolded, re.MULTILINE):
        for row in rows.splitlines():
            cells = row.replace("\\n", "\n").split(" |")
            yield [each.removeprefix(" ") for each in cells], " ".join(text.split())


def _pairs(edits: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(edits[::2], edits[1::2], strict=True))


def written(text: str) -> list[Right]:
    """Read right answers from a piece of code.

    Args:
        text: for each answer a line "# title", then its body or its whole definition.

    Returns:
        One right answer a title, in order.
    """
    found = re.split(r"^# (\S.*)\n", textwrap.dedent(text), flags=re.MULTILINE)[1:]
    return [Right(title, body) for title, body in zip(found[::2], found[1::2], strict=True)]


def told(text: str) -> list[Mistake]:
    """Read wrong answers from a piece of code, as `written` does right ones; below its title stands what each is told.

    Args:
        text: for each answer a line "# title", the hint in lines that begin with a # and further spaces, and the answer.

    Returns:
        One mistake a title, in order.
    """
    found = []
    for each in written(text):
        hint, body = re.split(r"^(?!#  )", each.body, maxsplit=1, flags=re.MULTILINE)
        found.append(
            Mistake(each.title, body, hint=" ".join(re.sub("^#", "", hint, flags=re.MULTILINE).split()))
        )
    return found


def _called(name: str, args: Sequence[Any]) -> str:
    """Write a call for a hint, a large argument by its kind."""
    words = []
    for each in args:
        text = " ".join(repr(each).split())
        if hasattr(each, "shape") and (np.ndim(each) > 0 or len(text) > 20):
            text = f"<{'x'.join(map(str, each.shape))} {'tensor' if hasattr(each, 'detach') else 'array'}>"
        elif callable(each) and hasattr(each, "__name__"):
            text = each.__name__
        words.append(text if len(text) <= 40 else f"{text[:39]}…")
    return f"{name}({', '.join(words)})"


def _header(name: str, solution: str) -> str:
    """The `def` line of the solution."""
    for node in ast.parse(solution).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f"def {name}({ast.unparse(node.args)}):"
    raise ValueError(f"the solution of {name} is no function: write the whole definition")


@cache
def exercises(topic: str) -> dict[str, Exercise]:
    """Read the declarations of a lesson.

    Args:
        topic: the lesson's name without its number.

    Returns:
        Name -> exercise, in the order of the module.

    Raises:
        LookupError: if there is no such module.
    """
    try:
        module: ModuleType = importlib.import_module(f"{__name__}.{topic}")
    except ModuleNotFoundError as error:
        raise LookupError(
            f"no exercises are declared for {topic!r}: course/exercises/{topic}.py is missing"
        ) from error
    return {name: each.named(name) for name, each in vars(module).items() if isinstance(each, Exercise)}


def hidden(visible: Visible, answer: Any) -> None:
    """Put the hidden cases to an answer: the second half of every check cell.

    Args:
        visible: the exercise's visible check.
        answer: the learner's function or class.

    Raises:
        CheckFailed: with a hint, if it fails.
    """
    if hint := exercises(visible.topic)[visible.name].hidden_hint(answer):
        raise CheckFailed(hint)
