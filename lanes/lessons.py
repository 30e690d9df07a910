"""Run all lessons, both editions, in the kernels of a certain Python, and write down what came of it.

python lanes/lessons.py LANE [--python PATH] [--only NUMBER ...] [--cwd FOLDER]

This process needs the `course` command; PATH (this Python, if left out) needs what learners have. A solved lesson is the student
edition with every answer in place. Warnings that our own code causes, in helpers or in a lesson, are errors there. The result is build/lanes/LANE.json, written after each lesson, so that a lane
that was stopped goes on with --only; `lanes/table.py` shows all.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell

from course.config import load_course
from course.editions.source import is_role
from course.editions.students import without_markers
from course.model import Course, Lesson

ROOM = Path("build", "lanes")
CELL_SECONDS = 600  # a lane may run beside other work: this only ends what hangs
EXPECTED = {"CheckFailed", "NotImplementedError", "NameError"}  # of a blank notebook
STRICT = """
import warnings
warnings.filterwarnings("error", module=r"helpers|__main__")
"""
EVERYTHING = """
import importlib, pkgutil
import helpers
for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
    importlib.import_module(module.name)
"""
VERSIONS = """
import importlib.metadata, json, platform
names = "numpy scipy torch matplotlib ipython ipykernel ipywidgets scikit-learn mnist1d jupyterlab nbgrader nbclient".split()
found = {"python": platform.python_version()}
for name in names:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def main() -> int:
    """Run the lane; 0 if every lesson is as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lane")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", nargs="*", default=[], metavar="NUMBER")
    parser.add_argument("--cwd", type=Path, help="where the kernels start; the checkout, if left out")
    words = parser.parse_args()
    course = load_course()
    found = versions(words.python)
    print(f"lane {words.lane}: " + ", ".join(f"{name} {version}" for name, version in found.items()))
    result = earlier(course.root / ROOM / f"{words.lane}.json", found) if words.only else {}
    ran: dict[str, dict[str, list[str]]] = result.get("ran", {})
    lessons = [lesson for lesson in course.written if not words.only or str(lesson.number) in words.only]
    with tempfile.TemporaryDirectory() as folder:
        _kernelspec(Path(folder), words.python)
        cwd = words.cwd or course.root
        for lesson in lessons:
            of_lesson = {}
            blank = nbformat.read(course.release(lesson), as_version=4)
            for name, notebook in (("solved", solved(course, lesson)), ("blank", blank)):
                start = time.monotonic()
                problems = list(run(notebook, name == "blank", cwd))
                of_lesson[name] = problems
                took = time.monotonic() - start
                print(f"{lesson.name}, {name}: {'; '.join(problems) or 'ok'} ({took:.0f} s)", flush=True)
            ran[lesson.name] = of_lesson
            write(words.lane, "", versions=found, ran=ran)
        imports = _imports(cwd)
        print("\n".join(imports) or "every module of helpers can be imported")
        # Looked up once more: a lesson's first cell may have installed something.
        write(words.lane, "", versions=versions(words.python), ran=ran, imports=imports)
    return int(any(map(any, (lesson.values() for lesson in ran.values()))) or bool(imports))


def versions(python: str) -> dict[str, str]:
    """What is installed where a Python looks for packages, by name; its own version first."""
    return json.loads(_output(python, VERSIONS))


def earlier(path: Path, found: dict[str, str]) -> dict[str, Any]:
    """The result of an earlier run whose versions are still those that are found; nothing if there is none."""
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return result if result.get("versions", {}).items() <= found.items() else {}


def write(lane: str, part: str, **facts: object) -> None:
    """Write down what a lane found.

    Args:
        lane: its name.
        part: which part of the lane, if it has several; "" for the lessons.
        facts: what `lanes/table.py` shows.
    """
    path = load_course().root / ROOM / f"{lane}{part}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"lane": lane, "date": datetime.date.today().isoformat(), **facts}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def solved(course: Course, lesson: Lesson) -> Any:
    """The notebook of a learner who gave every answer of the solution, and has nothing else of it."""
    right = {
        cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source
        for cell in nbformat.read(course.solution(lesson), as_version=4).cells
    }
    notebook = nbformat.read(course.release(lesson), as_version=4)
    for cell in notebook.cells:
        if is_role(cell, "answer"):
            cell.source = without_markers(right[cell.metadata.nbgrader.grade_id])
    return notebook


def run(notebook: Any, blank: bool, cwd: Path) -> Iterator[str]:
    """Execute one notebook from top to bottom.

    Args:
        notebook: any; its outputs are lost.
        blank: whether nothing is answered in it, so that checks have to say so.
        cwd: where the kernel starts.

    Yields:
        One sentence a cell that is not as it should be.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    for cell in _executed(notebook, cwd):
        failed = [output for output in cell.outputs if output.output_type == "error"]
        names = {output.ename for output in failed}
        said = "".join(output.get("text", "") for output in cell.outputs)
        if names - (EXPECTED if blank else set()):
            yield f"{cell.id}: {failed[0].ename}: {' '.join(str(failed[0].evalue).split())[:300]}"
        elif blank and is_role(cell, "check") and not names and "waits for" not in said:
            yield f"{cell.id}: the check of a blank answer says nothing"
        elif not blank and "waits for" in said:
            yield f"{cell.id}: {' '.join(said.split())[:300]}"


def _executed(notebook: Any, cwd: Path) -> Iterator[Any]:
    """The code cells of a notebook, each when it has run; errors are part of its outputs."""
    notebook.cells.insert(0, new_code_cell(STRICT))
    client = NotebookClient(
        notebook,
        kernel_name="lane",
        timeout=CELL_SECONDS,
        startup_timeout=CELL_SECONDS,
        allow_errors=True,
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(cwd)}},
    )
    with client.setup_kernel(
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    ):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and "skip-execution" not in cell.metadata.get("tags", []):
                with contextlib.suppress(CellExecutionError):  # it stands in the outputs
                    client.execute_cell(cell, index)
                yield cell


def _imports(cwd: Path) -> list[str]:
    """What is wrong with importing every module of helpers."""
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell(EVERYTHING)])
    return [
        f"{output.ename}: {output.evalue}"
        for cell in _executed(notebook, cwd)
        for output in cell.outputs
        if output.output_type == "error"
    ]


def _kernelspec(folder: Path, python: str) -> None:
    """Let Jupyter find kernels of that Python under the name `lane`."""
    spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "lane"}
    path = folder / "kernels" / "lane" / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**spec, "language": "python"}), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(folder)


def _output(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
