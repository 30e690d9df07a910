"""Read a lesson's text into a notebook that nbgrader understands.

What a cell is for stands on its `# %%` line (CONTRIBUTING.md has the table). Here those few
words become nbgrader's metadata, ids and tags; nothing of that is written by hand.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

from course.config import PREDICTION
from course.model import Course, CourseError, Lesson

ROLES = (
    "bootstrap",
    "setup",
    "parameters",
    "answer",
    "check",
    "question",
    "response",
    "predict",
    "live",
    "varies",
)
CLAIM = ("claim", "effect")  # words that may stand beside no role or beside `varies`
LONG = "long"  # the reason why a cell is longer than others
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

# What a learner needs, in minutes: for so many words one, for a cell and its output, for a prediction.
WORDS, A_CELL, A_PREDICTION = 200, 0.25, 0.5
# Hints that are folded, and the rubric, which nobody reads on the way.
LEFT_UNREAD = re.compile(
    r"<details>.*?</details>|=== BEGIN MARK SCHEME ===.*?=== END MARK SCHEME ===", re.DOTALL
)

BOOTSTRAP = """\
# Finds the course's helpers. Run this cell first.
try:
    import helpers
except ModuleNotFoundError:
    import subprocess
    import sys

    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(
            "helpers is missing: run `make lab` in the course's folder and open this notebook there"
        ) from None
    home, ref = "https://github.com/{repository}", "{ref}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    installed = subprocess.run([*pip, f"git+{{home}}@{{ref}}", "mnist1d"], capture_output=True, text=True)
    causes = {{  # what git and pip say, and what it means
        "pathspec": f"there is no branch, tag or commit {{ref}} in {{home}}: ask for this lesson's present link",
        "Username": f"{{home}} is private, or is not there: ask whoever gave you this lesson for access",
        "resolve host": "this machine is offline: connect it, then run this cell again",
        "": f"pip says: {{' '.join(installed.stderr.split()[-40:])}}",
    }}
    if installed.returncode:
        why = next(why for word, why in causes.items() if word in installed.stderr)
        raise RuntimeError(f"helpers could not be installed: {{why}}") from None
    import helpers"""

# What stands below the hints of every exercise.
WAY_ON = """
<details><summary>Still stuck? A way on</summary>

Write `{name} = give_up("{name}")` as your answer. A stand-in then does the work, for no points, and the rest of the
lesson runs. Come back any time.

</details>"""

# What follows the visible call of every check, unless its text brings hidden tests of its own.
HIDDEN = """
### BEGIN HIDDEN TESTS
from course.exercises import hidden

hidden(check.{name}, {name})
### END HIDDEN TESTS"""


def read_lesson(course: Course, lesson: Lesson) -> NotebookNode:
    """Read a lesson's text and give every cell its id, tags and nbgrader metadata.

    Args:
        course: the checkout.
        lesson: which lesson.

    Returns:
        The solution notebook, not executed; `{{cpu_seconds}}` is still to be filled in.

    Raises:
        CourseError: if the text is missing, a cell's line names two roles, or a cell is no Python.
    """
    path = course.source(lesson)
    if not path.is_file():
        raise CourseError(f"lesson {lesson.name} has no text: {path} does not exist")
    notebook: NotebookNode = jupytext.read(path, fmt="py:percent")
    notebook.metadata = NotebookNode(kernelspec=dict(KERNELSPEC), language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        _dress(course, lesson, cell, position)
        if cell.cell_type == "code":
            _insist_on_python(path, cell, position)
    _tag_cells_that_need_an_answer(notebook)
    _head_answers(notebook)
    fill(
        notebook,
        badge=course.badge(lesson),
        minutes=str(minutes(notebook)),
        points=f"{points(notebook):g}",
    )
    return notebook


def fill(notebook: NotebookNode, **values: str) -> None:
    """Replace `{{name}}` in the prose, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for name, value in values.items():
                cell.source = cell.source.replace("{{" + name + "}}", value)


def points(notebook: NotebookNode) -> float:
    """Sum the points of all graded cells."""
    return float(sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells))


def minutes(notebook: NotebookNode) -> int:
    """Estimate how long a learner takes for a lesson, its optional sections left out.

    Args:
        notebook: a dressed solution notebook.

    Returns:
        What its exercises and questions say, and the time for its words, code cells and predictions; in fives.
    """
    total, optional = 0.0, 0  # the level of the heading that says "optional"; 0 outside of such a section
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if not optional and cell.id != "bootstrap":
                total += A_PREDICTION if PREDICTION in cell.metadata.get("tags", []) else A_CELL
            continue
        if is_role(cell, "response"):
            continue
        for line in LEFT_UNREAD.sub("", cell.source).splitlines():
            if heading := re.match(r"(#+) ", line):
                level = len(heading[1])
                if line.strip() == "## References":
                    return 5 * round(total / 5)
                if not optional or level <= optional:
                    optional = level if "(optional)" in line else 0
                stated = re.search(r"about (\d+) minutes\)", line)
                total += int(stated[1]) if stated and not optional else 0
            total += len(line.split()) / WORDS if not optional else 0
    return 5 * round(total / 5)


def _dress(course: Course, lesson: Lesson, cell: NotebookNode, position: int) -> None:
    """Turn the words of one cell's line into ids, tags and nbgrader metadata, in place."""
    words = dict(cell.metadata)
    roles = [role for role in ROLES if role in words]
    unknown = sorted(set(words) - {*ROLES, *CLAIM, LONG, "points", "lines_to_next_cell"})
    if len(roles) > 1 or unknown:
        what = f"the words {unknown}" if unknown else f"the roles {roles}"
        raise CourseError(
            f"{course.source(lesson)}: cell {position + 1} has {what}; a cell has at most one of {', '.join(ROLES)}"
        )
    role = roles[0] if roles else ""
    name = f"{lesson.topic}-{position:02d}"
    cell.metadata = NotebookNode()
    if role == "bootstrap":
        cell.source = BOOTSTRAP.format(repository=course.repository, ref=course.ref)
        cell.metadata.jupyter = NotebookNode(source_hidden=True)
    if LONG in words:
        cell.metadata.long = words[LONG]
    tags = {
        "bootstrap": ["setup"],
        "setup": ["setup"],
        "parameters": ["parameters"],
        "check": ["raises-exception"],
        "predict": [PREDICTION],
        "live": ["skip-execution", "nbval-skip"],
        "varies": ["nbval-ignore-output"],
    }
    if role in tags:
        cell.metadata.tags = tags[role]
    if role == "check" and "### BEGIN HIDDEN TESTS" not in cell.source:
        cell.source += HIDDEN.format(name=words[role])
    if "claim" in words:
        name = words["claim"]
        cell.metadata.claim = NotebookNode({word: words[word] for word in CLAIM if word in words})
    if role == "parameters":
        name = role
    elif role == "predict":
        name = f"{PREDICTION}-{words[role]}"
    elif role and role not in ("live", "varies"):
        name = (
            "bootstrap"
            if role == "bootstrap"
            else f"{words[role]}_check"
            if role == "check"
            else str(words[role])
        )
        name = f"{name}_{role}" if role in ("question", "response") else name
        cell.metadata.nbgrader = _nbgrader(role, name, words, cell.cell_type)
    cell.id = cell.metadata.id = name.replace("_", "-")[:64]


def _insist_on_python(path: Path, cell: NotebookNode, position: int) -> None:
    """Refuse a cell that is no Python: names are looked up in it, nbval and the checks run it.

    Raises:
        CourseError: naming the file, the cell, and the line as it stands in the file.
    """
    try:
        ast.parse(cell.source)
    except (SyntaxError, ValueError) as error:
        lines = cell.source.splitlines()
        at = min(getattr(error, "lineno", None) or 1, len(lines))
        line = lines[at - 1].strip()
        text = path.read_text(encoding="utf-8").splitlines()
        found = [number for number, there in enumerate(text, 1) if there.removeprefix("# ").strip() == line]
        where = f"{path}:{found[0]}" if len(found) == 1 else str(path)
        magic = line.startswith(("%", "!")) or line.endswith("?")
        why = "magics and shell commands are not used in a lesson" if magic else getattr(error, "msg", error)
        raise CourseError(
            f"{where}: cell {position + 1} ({cell.id}), line {at} is no Python: {line[:80]!r}: {why}"
        ) from error


def _nbgrader(role: str, name: str, words: dict[str, Any], cell_type: str) -> NotebookNode:
    """The metadata that nbgrader's own toolbar would have written for this role."""
    graded = role in ("check", "response")
    metadata = NotebookNode(
        grade=graded,
        grade_id=name,
        locked=role not in ("answer", "response"),
        schema_version=3,
        solution=role in ("answer", "response"),
        task=False,
        cell_type=cell_type,
    )
    if graded:
        metadata.points = words.get("points")
    return metadata


def is_role(cell: NotebookNode, role: str) -> bool:
    """Tell whether a dressed cell is an "answer", a "check", a "response" or a "setup" cell."""
    meta = cell.metadata.get("nbgrader", {})
    if role == "setup":
        return "setup" in cell.metadata.get("tags", [])
    graded, solution = bool(meta.get("grade")), bool(meta.get("solution"))
    return {
        "answer": solution and not graded,
        "check": graded and not solution,
        "response": graded and solution,
    }[role]


def names_defined(source: str) -> set[str]:
    """Names that a cell binds at its top level: assigned, defined or imported."""
    table = symtable.symtable(source, "<cell>", "exec")
    return {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }


def names_needed(source: str) -> set[str]:
    """Names that a cell reads, in functions too, and neither binds itself nor finds among the builtins."""
    tables = [symtable.symtable(source, "<cell>", "exec")]
    used: set[str] = set()
    for table in tables:
        tables.extend(table.get_children())
        used |= {
            s.get_name()
            for s in table.get_symbols()
            if s.is_referenced() and (s.is_global() or table.get_type() == "module")
        }
    return used - names_defined(source) - set(dir(builtins))


def _tag_cells_that_need_an_answer(notebook: NotebookNode) -> None:
    """Tag `raises-exception` on code that fails while an answer is blank, directly or through another cell."""
    waiting: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if is_role(cell, "answer"):
            waiting |= names_defined(cell.source)
        elif names_needed(cell.source) & waiting or "globals" in cell.source:
            cell.metadata.tags = sorted({*cell.metadata.get("tags", []), "raises-exception"})
            if not is_role(cell, "check"):
                waiting |= names_defined(cell.source)


def _head_answers(notebook: NotebookNode) -> None:
    """Begin each answer cell with a line that says what it is, and end its task with the way on for who is stuck."""
    worth = {
        cell.metadata.nbgrader.grade_id.removesuffix("_check"): cell.metadata.nbgrader.get("points")
        for cell in notebook.cells
        if cell.cell_type == "code" and is_role(cell, "check")
    }
    setup = [cell.source for cell in notebook.cells if is_role(cell, "setup")]
    way_on = any("give_up" in names_defined(source) for source in setup)
    number = 0
    for before, cell in pairwise(notebook.cells):
        if cell.cell_type != "code" or not is_role(cell, "answer"):
            continue
        number += 1
        name = cell.metadata.nbgrader.grade_id
        if way_on and before.cell_type == "markdown" and "### Exercise " in before.source:
            before.source += WAY_ON.format(name=name)
        if points := worth.get(name):
            plural = "" if points == 1 else "s"
            head = f"# ===== Your answer to Exercise {number} ({points} point{plural}) ====="
            cell.source = f"{head}\n{cell.source}"
