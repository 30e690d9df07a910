"""`course build`: text -> executed solution notebook -> student notebook, the same bytes every time.

The solution notebook is executed only when its text, or a helper it imports, has changed; what it
printed and the CPU time it took are kept in it. So a second build changes nothing, and `check`
tells, without running anything, whether a generated file is still what its source says.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveCells

from course.config import grader_config, run_quietly
from course.editions.lint import lint
from course.editions.source import fill, is_role, read_lesson
from course.editions.students import without_asserts
from course.model import Course, CourseError, Lesson
from course.store import notebook_text, write_text

CELL_SECONDS = 120
# What torch and mnist1d import at first use. It is loaded before the clock starts: imports are left out.
LATE_IMPORTS = "import IPython.display, mnist1d.data, sympy, torch._dynamo"
STEADY = 0.5  # timings are noisy: a new CPU time within this share of the printed one leaves it standing


class Drifted(CourseError):
    """A generated notebook is not what its lesson's text says, and only executing it would tell what is."""


@dataclass(frozen=True)
class Built:
    """What building one lesson gave."""

    lesson: Lesson
    changed: bool
    cpu_seconds: float


def build(course: Course, lesson: Lesson, force: bool = False) -> Built:
    """Write a lesson's two notebooks, executing the solution if its text or a helper has changed.

    Args:
        course: the checkout.
        lesson: which lesson.
        force: execute even if nothing has changed.

    Returns:
        Whether a file changed, and the CPU seconds of the solved notebook.

    Raises:
        CourseError: if the lint finds a problem or a cell of the solution fails.
    """
    notebook = read_lesson(course, lesson)
    record = _record(course.solution(lesson))
    same = record.get("fingerprint") == fingerprint(course, lesson)
    if force or not same:
        _refuse(course, lesson, lint(course, lesson, notebook), unfilled_ok=True)
        seconds = execute(notebook, course.root)
        printed = record.get("cpu_seconds")
        if printed is None or (not same and abs(seconds - printed) > STEADY * max(1.0, printed)):
            printed = round(seconds, 1)
        _keep(notebook, fingerprint(course, lesson), printed)
    else:
        _graft(notebook, course.solution(lesson), record)
    fill(notebook, cpu_seconds=f"{notebook.metadata.course.cpu_seconds:g}")
    _refuse(course, lesson, lint(course, lesson, notebook))
    solution = notebook_text(notebook)
    changed = [
        write_text(course.solution(lesson), solution),
        write_text(course.release(lesson), release(course, lesson, solution)),
    ]
    return Built(lesson, any(changed), notebook.metadata.course.cpu_seconds)


def check(course: Course, lesson: Lesson) -> list[str]:
    """Tell where a lesson's generated notebooks are not what its text says, without executing anything.

    Args:
        course: the checkout.
        lesson: which lesson.

    Returns:
        One sentence a file that has drifted; empty if all is well.
    """
    path, student = course.solution(lesson), course.release(lesson)
    missing = [f"{file} does not exist" for file in (path, student) if not file.is_file()]
    if missing:
        return missing
    try:
        expected, expected_student = editions(course, lesson)
    except Drifted as error:
        return [str(error)]
    drifted = (
        [] if path.read_text(encoding="utf-8") == expected else [f"{path} was changed after it was built"]
    )
    if student.read_text(encoding="utf-8") != expected_student:
        drifted.append(f"{student} was changed after it was built")
    return drifted


def editions(course: Course, lesson: Lesson) -> tuple[str, str]:
    """Make both notebooks again from a lesson's text and the outputs that were recorded, without executing anything.

    Args:
        course: the checkout, perhaps under another address than the notebooks on disk.
        lesson: a built one.

    Returns:
        The texts of the instructor's notebook and of the student's.

    Raises:
        Drifted: if what was recorded is of another text or other helpers, or was changed.
    """
    path = course.solution(lesson)
    record = _record(path)
    if record.get("fingerprint") != fingerprint(course, lesson):
        raise Drifted(f"{path} was built from another text or other helpers")
    notebook = read_lesson(course, lesson)
    _graft(notebook, path, record)
    fill(notebook, cpu_seconds=f"{notebook.metadata.course.cpu_seconds:g}")
    solution = notebook_text(notebook)
    return solution, release(course, lesson, solution)


def fingerprint(course: Course, lesson: Lesson) -> str:
    """Hash what a solution's outputs depend on: the text as read and the helpers it imports, directly or not.

    Where the course is published, and how its helpers get from there into Colab, changes no output.
    """
    notebook = read_lesson(replace(course, repository="", ref=""), lesson)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "bootstrap"]
    digest = hashlib.sha256(nbformat.writes(notebook).encode())
    for path in sorted(helpers_imported(course, course.source(lesson))):
        # Line ends as in the repository, also where a checkout or a zip came with those of Windows.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(path.relative_to(course.root).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


def helpers_imported(course: Course, source: Path, without: str = "") -> set[Path]:
    """List the files of `helpers` that a Python file reaches through its import statements.

    Args:
        course: the checkout.
        source: the file.
        without: a package that is not entered, such as "helpers.checks"; none if empty.

    Returns:
        Their paths.

    Raises:
        CourseError: if one of the files is no Python.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop()
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            raise CourseError(f"{file} is no Python: {error}") from error
        for name in _imports(tree):
            if without and f"{name}.".startswith(f"{without}."):
                continue
            base = course.root.joinpath(*name.split("."))
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if name.startswith("helpers") and path.is_file() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports; `from a import b` gives both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def execute(notebook: NotebookNode, folder: Path) -> float:
    """Run a solution notebook in place, as nbval will, and measure it.

    Args:
        notebook: the dressed solution notebook.
        folder: where the kernel starts.

    Returns:
        CPU seconds of the kernel from the end of the last setup cell to the end.

    Raises:
        CourseError: if a cell fails.
    """
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        timeout=CELL_SECONDS,
        record_timing=False,
        coalesce_streams=True,  # how a text is cut into messages is a matter of timing
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
    )
    last_setup = max(i for i, cell in enumerate(notebook.cells) if is_role(cell, "setup"))
    start = 0.0
    with client.setup_kernel(env=_quiet_environment()):
        for index, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, index)
            except Exception as error:
                raise CourseError(f"cell {cell.id!r} of the solution fails:\n{error}") from error
            failed = [
                o for o in cell.get("outputs", []) if o.output_type == "error" or o.get("name") == "stderr"
            ]
            if failed:
                what = failed[0].get("text") or f"{failed[0].get('ename')}: {failed[0].get('evalue')}"
                raise CourseError(
                    f"cell {cell.id!r} of the solution fails or writes to stderr (which nbgrader scores as zero): {what}"
                )
            if index == last_setup:
                client.execute_cell(new_code_cell(LATE_IMPORTS), index, store_history=False)
                notebook.cells[index] = cell  # nbclient has put the other cell in its place
                start = _kernel_seconds(client)
        seconds = _kernel_seconds(client) - start
    notebook.metadata.language_info = NotebookNode(name="python")
    return seconds


def _quiet_environment() -> dict[str, str]:
    """The kernel's environment: one thread, so that sums come out the same on every machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _kernel_seconds(client: NotebookClient) -> float:
    """CPU seconds that the kernel's process has used so far."""
    provisioner: Any = client.km and client.km.provisioner
    started = psutil.Process(provisioner.pid)  # on Windows a launcher, and the kernel is its child
    used = [process.cpu_times() for process in (started, *started.children(recursive=True))]
    return float(sum(each.user + each.system for each in used))


def release(course: Course, lesson: Lesson, solution: str) -> str:
    """Make the student edition of a solution notebook with nbgrader's own preprocessors.

    Args:
        course: the checkout.
        lesson: which lesson.
        solution: the text of the solution notebook.

    Returns:
        The text of the student notebook, outputs cleared, without answers, hidden tests, mark schemes and asserts; a cell of
        nothing but asserts is left out.
    """
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        source = Path(folder, "solutions", lesson.name, f"{lesson.name}.ipynb")
        source.parent.mkdir(parents=True)
        source.write_text(solution, encoding="utf-8")
        generate(course, lesson, Path(folder))
        made = nbformat.read(Path(folder, "notebooks", lesson.name, f"{lesson.name}.ipynb"), as_version=4)
    made.metadata.pop("course", None)
    for cell in made.cells:
        cell.metadata.id = cell.id
        if cell.cell_type == "code" and not cell.metadata.get("nbgrader"):
            cell.source = without_asserts(cell.source)
    made.cells = [cell for cell in made.cells if cell.source or cell.cell_type != "code"]
    return notebook_text(made)


def generate(course: Course, lesson: Lesson, root: Path, database: bool = False) -> None:
    """Run nbgrader's generate_assignment below `root`, quietly, loudly on failure.

    Args:
        course: the checkout, for nbgrader_config.py.
        lesson: the assignment.
        root: folder with `solutions/`; `notebooks/` is made there.
        database: whether the assignment is recorded in the classroom's gradebook.

    Raises:
        CourseError: if nbgrader refuses.
    """
    config = grader_config(course)
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.assignment_id = lesson.name
    config.GenerateAssignment.no_database, config.SaveCells.enabled = not database, database
    config.GenerateAssignment.force = True
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    converter.exporter_class = NotebookExporter
    run_quietly(converter, f"generate_assignment {lesson.name}")


def as_registered(course: Course, lesson: Lesson) -> NotebookNode:
    """Give a lesson's notebook as `generate` hands it to the gradebook.

    Args:
        course: the checkout.
        lesson: a built one.

    Returns:
        The notebook after nbgrader's steps before `SaveCells`: answers cleared, cells locked, checksums written.
    """
    config = grader_config(course)
    config.CourseDirectory.assignment_id = lesson.name
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    notebook: NotebookNode = nbformat.read(course.solution(lesson), as_version=4)
    resources = {"nbgrader": {"notebook": lesson.name, "assignment": lesson.name}, "metadata": {"path": ""}}
    for step in takewhile(lambda step: step is not SaveCells, converter.preprocessors):
        notebook, resources = step(parent=converter)(notebook, resources)
    return notebook


def cpu_seconds(course: Course, lesson: Lesson) -> float:
    """CPU seconds of the solved notebook, as its header prints them; nan before it is built."""
    return float(_record(course.solution(lesson)).get("cpu_seconds", "nan"))


def _record(path: Path) -> dict[str, Any]:
    """What the build noted in a solution notebook; empty if there is none or it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))["metadata"]["course"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return record if isinstance(record, dict) else {}


def _keep(notebook: NotebookNode, made_from: str, cpu_seconds: float) -> None:
    """Note in the notebook what it was made from, what it cost and what it printed."""
    notebook.metadata.course = NotebookNode(
        cpu_seconds=cpu_seconds, fingerprint=made_from, outputs=_outputs_digest(notebook)
    )


def _outputs_digest(notebook: NotebookNode) -> str:
    """Hash the outputs, so that a later change to one of them is noticed without executing."""
    outputs = [[cell.get("outputs", []), cell.get("execution_count")] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


def _graft(notebook: NotebookNode, path: Path, record: dict[str, Any]) -> None:
    """Take the recorded outputs over into a freshly read notebook, in place.

    Raises:
        Drifted: if the file cannot be read or its outputs are not the recorded ones.
    """
    try:
        built = nbformat.read(path, as_version=4)
    except Exception as error:
        raise Drifted(
            f"{path} cannot be read as a notebook ({error}); `course build --force {path.stem}` makes it anew"
        ) from error
    for cell in notebook.cells:
        old: dict[str, Any] = next((c for c in built.cells if c.get("id") == cell.id), {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = old.get("outputs", []), old.get("execution_count")
    if _outputs_digest(notebook) != record.get("outputs"):
        raise Drifted(
            f"{path}: an output was changed after it was built; `course build --force {path.stem}` makes it anew"
        )
    notebook.metadata.course = NotebookNode(record)


def _refuse(course: Course, lesson: Lesson, problems: list[str], unfilled_ok: bool = False) -> None:
    """Raise one CourseError that lists all problems."""
    if unfilled_ok:
        problems = [problem for problem in problems if "{{cpu_seconds}}" not in problem]
    if problems:
        raise CourseError(f"{course.source(lesson)}:\n  " + "\n  ".join(problems))
