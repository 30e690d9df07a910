"""`course feedback`: one page a submission that shows the learner's work, the scores and the hints.

A page is made of escaped text, sanitised markdown and small bitmaps. It holds no script, asks for nothing over the
network (a content security policy says so to the browser as well), and shows neither hidden tests nor mark
schemes nor where things lie on the grader's machine.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment
from nbconvert.exporters import Exporter
from nbconvert.filters import markdown2html, strip_ansi
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import GetGrades
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from traitlets import Dict

from course.config import grader_config, run_quietly
from course.markup import hide_paths, prose, sanitised
from course.model import Course, CourseError, Lesson

OUTPUT_CHARACTERS = 10_000
SOURCE_CHARACTERS = 50_000
HIGHLIGHTED = 20_000  # characters of a cell; the highlighter takes time squared for blank lines
PICTURE_BYTES = 500_000
SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
REGIONS = {
    "### BEGIN HIDDEN TESTS": "### END HIDDEN TESTS",
    "=== BEGIN MARK SCHEME ===": "=== END MARK SCHEME ===",
}
MARGIN = 4096  # characters beyond a cut that are looked at, so that no path is cut before it is hidden
FORMATTER = HtmlFormatter(nowrap=True, noclasses=True, style="default")


class GradesAndState(GetGrades):
    """nbgrader's preprocessor that adds scores and comments, and whether a person has still to read an answer."""

    def _get_score(self, cell: NotebookNode, resources: Any) -> None:
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        cell.metadata.nbgrader.waiting = grade.needs_manual_grade


class FeedbackExporter(Exporter):
    """Renders a graded notebook to a page; nbgrader's generate_feedback uses it through nbgrader_config.py."""

    file_extension = ".html"
    titles = Dict(help="lesson -> what its pages are headed").tag(config=True)
    releases = Dict(help="lesson -> its student edition").tag(config=True)

    def from_notebook_node(  # type: ignore[override]  # a page, as nbconvert's own HTMLExporter gives
        self, nb: NotebookNode, resources: Any = None, **kw: Any
    ) -> tuple[str, Any]:
        """Run the preprocessors (nbgrader adds the scores), then render."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        lesson = resources["nbgrader"]["assignment"]
        released = {cell.id for cell in nbformat.read(self.releases[lesson], as_version=4).cells}
        return page(nb, self.titles[lesson], resources["nbgrader"], released), resources


@dataclass
class Budget:
    """What a whole page may still hold, however many cells share it: bytes of pictures, characters of text."""

    pictures: int = 8_000_000
    text: int = 1_000_000


def page(notebook: NotebookNode, title: str, grading: dict[str, Any], released: set[str]) -> str:
    """Render a graded notebook.

    Args:
        notebook: cells carry `score`, `points`, `waiting` and `comment` in their nbgrader metadata.
        title: of the lesson.
        grading: student, score, max_score, late_penalty.
        released: ids of the cells that the student edition came with; other cells are the learner's own.

    Returns:
        A whole HTML page that loads nothing.
    """
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("course.reports").joinpath("templates/feedback.html").read_text(encoding="utf-8")
    )
    cells = list(_shown_cells(notebook, released, Budget()))
    waiting = sum(cell["points"] for cell in cells if cell["waiting"])
    return template.render(title=title, cells=cells, waiting=waiting, **grading)


def _shown_cells(notebook: NotebookNode, released: set[str], left: Budget) -> Iterator[dict[str, Any]]:
    """What the page shows of each cell: the learner's cells, the checks and the questions; not the lesson's own text."""
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        graded, theirs = meta.get("grade", False), meta.get("solution", False)
        question = meta.get("locked", False) and str(meta.get("grade_id", "")).endswith("_question")
        if not (graded or theirs or question) and cell.get("id") in released:
            continue
        source = without_regions(cell.source) if meta.get("locked") else cell.source
        yield {
            "id": meta.get("grade_id", ""),
            "name": _name(str(meta.get("grade_id", ""))),
            "kind": "check"
            if graded and not theirs
            else "answer"
            if theirs
            else "question"
            if question
            else "extra",
            "source": (prose if cell.cell_type == "markdown" else code)(
                _afford(source, SOURCE_CHARACTERS, left)
            ),
            "markdown": cell.cell_type == "markdown",
            "outputs": list(_outputs(cell, left)),
            "graded": graded,
            "score": meta.get("score"),
            "points": meta.get("points"),
            "waiting": meta.get("waiting", False),
            "comment": prose(meta.get("comment") or ""),
        }


def _name(grade_id: str) -> str:
    """What a learner calls the exercise or question of this cell."""
    return re.sub(r"_(check|question|response)$", "", grade_id).replace("_", " ")


def without_regions(source: str) -> str:
    """Leave out hidden tests and mark schemes, their markers included."""
    kept, closing = [], ""
    for line in source.splitlines():
        if not closing and line.strip() in REGIONS:
            closing = REGIONS[line.strip()]
        elif closing and line.strip() == closing:
            closing = ""
        elif not closing:
            kept.append(line)
    return "\n".join(kept).rstrip()


def formgrader_prose(markdown: str) -> str:
    """Render markdown for the Formgrader, which puts raw HTML into a page of the grader's own Jupyter server.

    Formulas stay as they are for MathJax, but for its command that makes a link of anything.
    """
    return sanitised(markdown2html(markdown)).replace(r"\href", r"\ href")


def code(source: str) -> str:
    """Highlight Python source; the highlighter escapes it. A very long one is escaped alone."""
    if len(source) > HIGHLIGHTED:
        return html.escape(source)
    return highlight(source, PythonLexer(stripnl=False), FORMATTER).rstrip("\n")


def _outputs(cell: NotebookNode, left: Budget) -> Iterator[dict[str, Any]]:
    """Text and small bitmaps of a code cell, while the page's budget lasts; everything else is named, not shown."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield {"text": _text(output.text, left)}
        elif output.output_type == "error":
            yield {"text": _text(_error(output), left), "error": True}
        else:
            data = output.get("data", {})
            picture = next(filter(None, (_picture(kind, data.get(kind)) for kind in SIGNATURES)), None)
            if picture and len(picture) <= left.pictures:
                left.pictures -= len(picture)
                yield {
                    "picture": picture,
                    "alt": str(output.get("metadata", {}).get("image/png", {}).get("alt", "figure"))[:500],
                }
            elif picture:
                left.pictures = 0
                yield {"text": "(a figure is not shown: this notebook's figures are too large together)"}
            elif "text/plain" in data:
                yield {"text": _text(data["text/plain"], left)}
            else:
                kinds = ", ".join(sorted(map(str, data)))[:200]
                yield {"text": f"(an output of kind {kinds} is not shown)"}
        if not left.text:
            yield {"text": "(further outputs are not shown: this notebook shows too much text)"}
            return


def _error(output: NotebookNode) -> str:
    """A traceback as the notebook shows it, or the bare message where there is none."""
    lines = [line for line in output.get("traceback", []) if isinstance(line, str)]
    return "\n".join(lines) or f"{output.get('ename')}: {output.get('evalue')}"


def _text(text: Any, left: Budget) -> str:
    """Plain text of an output: joined, colours and paths removed, cut in the middle if long."""
    plain = strip_ansi("".join(map(str, text)) if isinstance(text, list) else str(text))
    return _afford(plain, OUTPUT_CHARACTERS, left, hide_paths)


def _afford(text: str, most: int, left: Budget, seen_through: Callable[[str], str] = str) -> str:
    """Cut text in the middle, to what one cell or output may show and to what the page has left, and say so.

    Args:
        text: any text.
        most: characters that one cell or output may show.
        left: what the page has left; reduced by what is shown.
        seen_through: applied to the parts that are kept, before they are cut to size.
    """
    most = min(most, left.text)
    left.text -= min(len(text), most)
    if len(text) <= most:
        return seen_through(text)
    half = most // 2
    head, tail = (seen_through(part) for part in (text[: half + MARGIN], text[-half - MARGIN :]))
    return f"{head[:half]}\n… {len(text) - 2 * half} characters left out …\n{tail[len(tail) - half :]}"


def _picture(kind: str, data: Any) -> str | None:
    """A data address for a bitmap that is small and what it says it is, else None."""
    try:
        raw = base64.b64decode("".join(data) if isinstance(data, list) else data, validate=False)
    except (TypeError, ValueError):
        return None
    if len(raw) > PICTURE_BYTES or not raw.startswith(SIGNATURES[kind]):
        return None
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def feedback(course: Course, lessons: list[Lesson], students: list[str] | None = None) -> Iterator[Path]:
    """Write the pages of all graded submissions, through nbgrader's generate_feedback.

    Args:
        course: the checkout.
        lessons: which lessons.
        students: which students; all if None.

    Yields:
        Each page as soon as it is written, by lesson and student.

    Raises:
        CourseError: if there is nothing to write for; or, after all others were written, naming the pages that could not be.
    """
    graded = [
        (lesson, folder.parent.name)
        for lesson in lessons
        for folder in sorted(course.classroom.joinpath("autograded").glob(f"*/{lesson.name}"))
        if students is None or folder.parent.name in students
    ]
    if not graded:
        whose = f" of {', '.join(students)}" if students else ""
        raise CourseError(
            f"nothing{whose} in {course.classroom / 'autograded'} to write feedback for: run `course grade` first"
        )
    troubles = []
    for lesson, student in graded:
        config = grader_config(course)
        config.CourseDirectory.assignment_id = lesson.name
        config.CourseDirectory.student_id = student
        config.GenerateFeedback.force = True
        try:
            run_quietly(
                GenerateFeedback(coursedir=CourseDirectory(config=config), config=config),
                f"the feedback of {student}, {lesson.name}",
            )
        except CourseError as error:  # one file never stops a class
            troubles.append(str(error))
        else:
            yield course.classroom / "feedback" / student / lesson.name / f"{lesson.name}.html"
    if troubles:
        raise CourseError(
            f"{len(troubles)} of {len(graded)} pages could not be written; the others were.\n"
            + "\n".join(troubles)
        )
