"""What `course build` refuses: slips in a lesson's text that would leak an answer or break grading."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from course.config import PREDICTION
from course.editions.source import KERNELSPEC, LONG, is_role, names_defined, names_needed
from course.editions.students import without_asserts
from course.model import Course, Lesson

MARKERS = {
    "### BEGIN SOLUTION": "### END SOLUTION",
    "### BEGIN HIDDEN TESTS": "### END HIDDEN TESTS",
    "=== BEGIN MARK SCHEME ===": "=== END MARK SCHEME ===",
}
HEADING = re.compile(
    r"^### Exercise (\d+) · .+ \((\d+) points?, (?:easy|medium|hard), about \d+ minutes\)$", re.MULTILINE
)
LADDER = ("Hint 1: a nudge", "Hint 2: the idea", "Hint 3: a skeleton")
LOOKS_LIKE_A_MARKER = re.compile(
    r"\b(begin|end)\b[\s_-]*\b(solutions?|hidden|marks?|marking)\b", re.IGNORECASE
)

DESK = {"give_up", "predict", "reveal"}  # what the setup of a lesson imports for its learner
MOST_LINES = 12  # of a cell, that are read at a glance
WIDEST = 110  # characters that fit without scrolling


def lint(course: Course, lesson: Lesson, notebook: NotebookNode) -> list[str]:
    """Find what is wrong with a solution notebook before anything is generated from it.

    Args:
        course: the checkout.
        lesson: the lesson the notebook is of.
        notebook: the dressed solution notebook; outputs are looked at where there are any.

    Returns:
        One sentence a problem, naming the cell; empty if all is well.
    """
    problems = [
        *_notebook_problems(course, lesson, notebook),
        *_claim_problems(notebook),
        *_nameless_claims(notebook),
        *_exercise_problems(notebook),
        *_prediction_problems(notebook),
        *_reading_problems(notebook),
    ]
    if (setup := _made_by_setup(notebook)) & DESK:
        problems += [f"no setup cell imports {name!r} from helpers.checks" for name in sorted(DESK - setup)]
    for cell in notebook.cells:
        problems += [f"cell {cell.id!r}: {problem}" for problem in _cell_problems(cell)]
    return problems


def _notebook_problems(course: Course, lesson: Lesson, notebook: NotebookNode) -> Iterator[str]:
    kernel = notebook.metadata.get("kernelspec", {})
    if kernel.get("name") != KERNELSPEC["name"] or kernel.get("display_name") != KERNELSPEC["display_name"]:
        yield f"the kernelspec must be {KERNELSPEC}, it is {dict(kernel)}: a private kernel's name would reach every student"
    if not any(course.badge(lesson) in cell.source for cell in notebook.cells[:1]):
        yield f"the first cell must hold the Colab badge {course.badge(lesson)}"
    for label, key in (
        ("grade_id", lambda c: c.metadata.get("nbgrader", {}).get("grade_id")),
        ("cell id", lambda c: c.id),
    ):
        seen: set[str] = set()
        for name in filter(None, map(key, notebook.cells)):
            if name in seen:
                yield f"the {label} {name!r} is used twice"
            seen.add(name)
    if not any(cell.id == "bootstrap" for cell in notebook.cells):
        yield "no cell is marked `# %% bootstrap=true`"
    yield from _names_across_the_process_border(notebook)


def _names_across_the_process_border(notebook: NotebookNode) -> Iterator[str]:
    """Check cells may use setup names, exercise names and their own: the rest does not exist where they are graded."""
    allowed = {
        name for cell in notebook.cells if is_role(cell, "setup") for name in names_defined(cell.source)
    }
    allowed |= {
        name
        for cell in notebook.cells
        if cell.cell_type == "code" and is_role(cell, "answer")
        for name in names_defined(cell.source)
    }
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_role(cell, "check"):
            for name in sorted(names_needed(cell.source) - allowed):
                yield f"cell {cell.id!r}: uses {name!r}, which no setup or answer cell defines; graded, it would not exist"


def _claim_problems(notebook: NotebookNode) -> Iterator[str]:
    """Claims are told apart by name, their effects exist, and what is drawn derives from the parameters alone."""
    parameters = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(parameters) > 1:
        yield f"{len(parameters)} cells are marked `parameters=true`; a lesson has one"
    for cell in parameters:
        yield from (f"cell {cell.id!r}: {problem}" for problem in _parameter_problems(cell.source))
    claimed: set[str] = set()
    for cell in notebook.cells:
        claim = cell.metadata.get("claim", {})
        name, effect = claim.get("claim"), claim.get("effect")
        if name in claimed:
            yield f"the claim {name!r} is made twice; each needs a name of its own"
        claimed |= {name} - {None}
        if claim and (not isinstance(name, str) or cell.cell_type != "code"):
            yield f"cell {cell.id!r}: a claim is a code cell marked " + '`# %% claim="name"`'
        elif effect and effect not in names_defined(cell.source):
            yield f"cell {cell.id!r}: the effect {effect!r} of the claim {name!r} is not defined in its cell"
        elif effect and not parameters:
            yield f"cell {cell.id!r}: the claim {name!r} has an effect, but no cell is marked `parameters=true`: what is drawn?"


def _parameter_problems(source: str) -> Iterator[str]:
    """A parameters cell assigns literals to names, `SEED` among them, and does nothing else."""
    names = set()
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_literal(value):
                names.add(name)
            case _:
                yield f"`{ast.unparse(statement)}` is no `NAME = literal`: a parameters cell holds nothing else"
    if "SEED" not in names:
        yield "a parameters cell sets SEED, from which every draw of the lesson derives"


def _is_literal(value: ast.expr) -> bool:
    """Whether an expression is a plain value, written out."""
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def _nameless_claims(notebook: NotebookNode) -> Iterator[str]:
    """What a lesson asserts outside of its checks has a name, so that `course replicate` counts it."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or is_role(cell, "check") or "claim" in cell.metadata:
            continue
        if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source))):
            yield f"cell {cell.id!r}: an assert is a claim, and needs a name: " + '`# %% claim="name"`'


def _exercise_problems(notebook: NotebookNode) -> Iterator[str]:
    """A declared exercise has a heading that says what it is worth and how hard it is, and a ladder of three hints."""
    task, number = "", 0
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "").removesuffix("_check")
        if cell.cell_type == "markdown" and "### Exercise " in cell.source:
            task = cell.source
        elif cell.cell_type == "code" and is_role(cell, "check") and "import hidden" in cell.source:
            heading, number = HEADING.search(task), number + 1
            if heading and int(heading[1]) != number:
                yield f"exercise {name!r}: its heading says Exercise {heading[1]}, and it is the lesson's number {number}"
            if not heading or float(heading[2]) != cell.metadata.nbgrader.get("points"):
                points = cell.metadata.nbgrader.get("points")
                yield f"exercise {name!r}: its heading should end in ({points} points, easy or medium or hard, about N minutes)"
            if tuple(re.findall(r"<details><summary>(Hint.*?)</summary>", task)) != LADDER:
                yield f"exercise {name!r}: its text should end in three folded hints, {', '.join(LADDER)}"
            if "TODO" in task:
                yield f"exercise {name!r}: its text still says TODO"
        elif cell.cell_type == "code" and is_role(cell, "answer") and "TODO" in cell.source:
            yield f"exercise {name!r}: its answer cell still says TODO"


def _prediction_problems(notebook: NotebookNode) -> Iterator[str]:
    """A question to predict has its cell, the cell its result, and no name is used twice."""
    cells, predicted, revealed = notebook.cells, [], set()
    setup = _made_by_setup(notebook)
    for cell, after in zip(cells, [*cells, None][1:], strict=True):
        if cell.cell_type == "markdown" and "**Predict" in cell.source and not _is_prediction(after):
            yield f"cell {cell.id!r}: behind **Predict** comes its cell, " + '`# %% predict="name"`'
        if cell.cell_type != "code":
            continue
        if _is_prediction(cell):
            name = cell.id.removeprefix(f"{PREDICTION}-")
            predicted.append(name)
            if not _asks_for(cell, name):
                yield f"cell {cell.id!r}: a prediction is one line, " + f'`predict("{name}", ...)`'
        for node in ast.parse(cell.source).body:
            match node:
                case ast.Expr(ast.Call(ast.Name("reveal"), [ast.Constant(said), *_])):
                    if str(said).replace("_", "-") not in predicted:
                        yield f"cell {cell.id!r}: {said!r} is revealed, and no cell above asks for it"
                    revealed.add(str(said).replace("_", "-"))
        for name in sorted(_needed_to_reveal_alone(cell.source) - setup):
            yield f"cell {cell.id!r}: `reveal` uses {name!r}, which its cell does not need: a grade would then run what makes it"
    for name in predicted:
        if predicted.count(name) > 1:
            yield f"the prediction {name!r} is asked for twice"
        if name not in revealed:
            yield (
                f"the prediction {name!r} is never revealed: the cell that computes it ends with "
                + f'`reveal("{name}", ...)`'
            )


def _asks_for(cell: NotebookNode, name: str) -> bool:
    """Whether a cell is `predict("name", ...)`, perhaps with choices, and nothing else."""
    match ast.parse(cell.source).body:
        case [ast.Expr(ast.Call(ast.Name("predict"), [ast.Constant(said), ast.Constant(dots), *_]))]:
            return str(said).replace("_", "-") == name and dots is ...
    return False


def _made_by_setup(notebook: NotebookNode) -> set[str]:
    """Names of the cells that always run."""
    return {name for cell in notebook.cells if is_role(cell, "setup") for name in names_defined(cell.source)}


def _needed_to_reveal_alone(source: str) -> set[str]:
    """Names that a cell reads for what it reveals and for nothing else."""
    tree = ast.parse(source)
    kept = [
        node
        for node in tree.body
        if not (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "reveal"
        )
    ]
    if len(kept) == len(tree.body):
        return set()
    rest = ast.unparse(ast.Module(kept, []))
    return names_needed(source) - names_needed(rest) - names_defined(rest) - {"reveal"}


def _is_prediction(cell: NotebookNode | None) -> bool:
    return cell is not None and PREDICTION in cell.metadata.get("tags", [])


def _reading_problems(notebook: NotebookNode) -> Iterator[str]:
    """Cells are short and narrow, and a lesson ends with three questions to oneself."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or cell.id == "bootstrap":
            continue
        if (lines := code_lines(cell)) > MOST_LINES and LONG not in cell.metadata:
            yield (
                f"cell {cell.id!r} has {lines} lines; {MOST_LINES} are read at a glance: part it, or say why not by "
                + '`long="why"`'
            )
        if wide := [line for line in cell.source.splitlines() if len(line) > WIDEST]:
            yield f"cell {cell.id!r}: a line has {len(wide[0])} characters, and {WIDEST} fit: break it ({wide[0].strip()[:40]}...)"
    asked = [cell.source for cell in notebook.cells if "## Check yourself" in cell.source]
    if any("## What we have learnt" in cell.source for cell in notebook.cells) and [
        text.count("<details>") for text in asked
    ] != [3]:
        yield "before its end a lesson has a section `## Check yourself` with three questions, their answers folded (<details>)"


def code_lines(cell: NotebookNode) -> int:
    """Lines of code that a learner reads in a cell: no blank ones, no comments, a text alternative as one, no asserts.

    An answer and a check count for nothing: the one is the learner's own, the other one line.
    """
    if cell.metadata.get("nbgrader") and not is_role(cell, "setup"):
        return 0
    source = without_asserts(cell.source)
    lines = {
        n
        for n, line in enumerate(source.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "alt":
            lines -= set(range(node.value.lineno + 1, (node.value.end_lineno or 0) + 1))
    return len(lines)


def _cell_problems(cell: NotebookNode) -> Iterator[str]:
    meta = cell.metadata.get("nbgrader", {})
    yield from _marker_problems(cell, meta)
    if meta.get("task") and not meta.get("locked"):
        yield "a task cell must be locked, else every later grading breaks"
    if meta.get("grade"):
        points = meta.get("points")
        if not isinstance(points, (int, float)) or isinstance(points, bool) or points <= 0:
            yield f"points must be a number above 0, not {points!r}"
    if is_role(cell, "answer") and "### BEGIN SOLUTION" not in cell.source:
        yield "an answer needs a region from ### BEGIN SOLUTION to ### END SOLUTION, else nothing is cleared"
    if is_role(cell, "check") and cell.source.lstrip().startswith("### BEGIN HIDDEN TESTS"):
        yield "a check begins with its visible call; the hidden tests come after it"
    if is_role(cell, "check") and _ends_with_a_value(cell.source):
        yield "a check ends with a call or a statement: nbgrader reads a last value as partial credit"
    if cell.cell_type == "code" and "NBVAL_" in cell.source:
        yield "nbval takes no remark beside its comments: mark the cell `# %% varies=true` instead"
    if cell.cell_type == "code" and re.search(
        r"\bplt\.show\(|get_ipython\(|^\s*[%!]", cell.source, re.MULTILINE
    ):
        yield "plt.show() and magics are not used: figures.show(fig, alt=...) displays with a text alternative"
    if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=)", cell.source):
        yield "an image needs alt text"
    for left in re.findall(r"\{\{\w+\}\}", cell.source if cell.cell_type == "markdown" else ""):
        yield f"{left} is no placeholder that the build fills in"
    for output in cell.get("outputs", []):
        if (
            "image/png" in output.get("data", {})
            and not output.metadata.get("image/png", {}).get("alt", "").strip()
        ):
            yield "a figure has no alt text: display it with figures.show(fig, alt=...)"


def _ends_with_a_value(source: str) -> bool:
    """Tell whether the last line of a cell is an expression other than a call."""
    last = next(reversed(ast.parse(source).body), None)
    return isinstance(last, ast.Expr) and not isinstance(last.value, ast.Call)


def _marker_problems(cell: NotebookNode, meta: dict[str, Any]) -> Iterator[str]:
    """Markers must be spelt exactly, be closed, and stand in a cell where nbgrader clears them."""
    closing = ""
    for line in map(str.strip, cell.source.splitlines()):
        if line in MARKERS:
            if closing:
                yield f"{line!r} opens inside a region that is waiting for {closing!r}"
            closing = MARKERS[line]
        elif line == closing and closing:
            closing = ""
        elif line in MARKERS.values():
            yield f"{line!r} closes nothing"
        elif LOOKS_LIKE_A_MARKER.search(line):
            yield f"{line!r} looks like a misspelt marker, and what it marks would leak; use one of {', '.join(MARKERS)}"
    if closing:
        yield f"a region is not closed: {closing!r} is missing"
    homes = {
        "### BEGIN SOLUTION": meta.get("solution", False),
        "### BEGIN HIDDEN TESTS": meta.get("grade", False) and not meta.get("solution", False),
        "=== BEGIN MARK SCHEME ===": meta.get("locked", False) and cell.cell_type == "markdown",
    }
    for marker, at_home in homes.items():
        if marker in cell.source and not at_home:
            yield f"{marker!r} stands in a cell that is not of its kind, so it would not be handled"
