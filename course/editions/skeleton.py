"""`course new-exercise`: the skeleton of an exercise, in the lesson's text and among its declarations."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from course.editions.source import is_role, read_lesson
from course.model import Course, CourseError, Lesson

END = "# ## What we have learnt"
USED = ("Exercise", "Mistake", "Right", "case", "conduct")

TEXT = '''\
# %% [markdown]
# ### Exercise {number} · TODO (2 points, medium, about 10 minutes)
#
# TODO: what `{name}` gives, why we want it, what it may take for granted.
#
# <details><summary>Hint 1: a nudge</summary>
#
# TODO: where to look.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# TODO: what to do there, in words.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# TODO: code whose decisive lines are left out.
#
# </details>


# %% answer="{name}"
def {name}(x: float) -> float:
    """TODO: what it gives, in one line.

    Args:
        x: TODO: shape, dtype, unit.

    Returns:
        TODO.
    """
    ### BEGIN SOLUTION
    return x + 1
    ### END SOLUTION


# %% check="{name}" points=2
check.{name}({name})

'''

DECLARATION = '''

# {name} {line}


def _{name}_otherwise(x):
    """A right answer by another way than the solution's: autograd, a closed form, brute force, a paper's table."""
    return sum([x, 1])


{name} = Exercise(
    idea="TODO: what who passes has shown, in one sentence.",
    oracle=_{name}_otherwise,
    cases=[case(2.0), case(-1.0), conduct(2.0)],
    hidden=lambda rng: [case(x) for x in rng.normal(size=3).tolist()],
    mistakes=[
        Mistake("TODO: forgets the one", edits=[("x + 1", "x")], hint="TODO: the likely mistake, then the idea."),
        Mistake("TODO: the wrong way", edits=[("x + 1", "x - 1")], hint="TODO: never the solution."),
        Mistake("TODO: twice as much", "return 2 * (x + 1)", hint="TODO: {enough} mistakes are the least."),
    ],
    right=[Right("TODO: the other order", "return 1 + x"), Right("TODO: numpy", "return np.add(x, 1)")],
)
'''


def new_exercise(course: Course, lesson: Lesson, name: str) -> list[str]:
    """Write the skeleton of an exercise; what is still to be done says TODO, and `course build` refuses it until then.

    Args:
        course: the checkout.
        lesson: where it goes.
        name: of the function that learners are to write.

    Returns:
        Where it was written, one place a line.

    Raises:
        CourseError: if the name is no name or taken, or the lesson's text has no end to put it before.
    """
    text, declarations = course.source(lesson), course.root / "course" / "exercises" / f"{lesson.topic}.py"
    taken = [c for c in read_lesson(course, lesson).cells if c.cell_type == "code" and is_role(c, "answer")]
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise CourseError(f"{name!r} is no name for an exercise: it becomes the name of a function")
    if name in {cell.metadata.nbgrader.grade_id for cell in taken}:
        raise CourseError(f"lesson {lesson.name} has an exercise {name!r} already")
    source = text.read_text(encoding="utf-8")
    place = source.rfind("# %% [markdown]\n" + END)
    if place < 0:
        raise CourseError(
            f"{text} has no cell that begins with {END.removeprefix('# ')!r}: where should it go?"
        )
    number = len(re.findall(r"^# ### Exercise \d+", source, re.MULTILINE)) + 1
    text.write_text(source[:place] + TEXT.format(number=number, name=name) + source[place:], encoding="utf-8")
    _append(declarations, DECLARATION.format(name=name, line="-" * (116 - len(name)), enough=3))
    return [f"{text}: Exercise {number}, before {END.removeprefix('# ## ')!r}", f"{declarations}: {name}"]


def _append(path: Path, text: str) -> None:
    """Add a declaration to a module; the first one makes it."""
    if not path.is_file():
        imports = f"import numpy as np\n\nfrom course.exercises import {', '.join(USED)}\n"
        path.write_text(f'"""Exercises of this lesson."""\n\n{imports}', encoding="utf-8")
    module = _importing(path.read_text(encoding="utf-8"))
    path.write_text(module.rstrip("\n") + "\n" + text, encoding="utf-8")


def _importing(module: str) -> str:
    """A module of declarations that imports what the skeleton uses: other exercises of a lesson may have done without."""
    for node in ast.parse(module).body:
        if isinstance(node, ast.ImportFrom) and node.module == "course.exercises":
            old = [alias.name for alias in node.names]
            names = old + [name for name in USED if name not in old]
            if names == old:
                return module
            names.sort(key=lambda name: (name.islower(), name))  # as ruff sorts them
            line = f"from course.exercises import {', '.join(names)}"
            if len(line) > 110:
                listed = "".join(f"    {name},\n" for name in names)
                line = f"from course.exercises import (\n{listed})"
            lines = module.splitlines()
            return "\n".join([*lines[: node.lineno - 1], line, *lines[node.end_lineno :]])
    return module
