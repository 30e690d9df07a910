"""`course feedback`: one page a submission that shows the learner's work, the scores and the hints.

A page is made of escaped text, sanitised markdown and small bitmaps. It holds no script, asks for nothing over the
network (a content security policy says so to the browser as well), and shows neither hidden tests nor mark
schemes nor where things lie on the grader's machine.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, Environment, Template
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
from course.csvfile import read_table
from course.editions.names import exercise_names
from course.grading.gradebook import opened
from course.intake.triage import UNREADABLE, WAITING
from course.markup import hide_paths, prose, sanitised
from course.model import Course, CourseError, Lesson
from course.store import write_text

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
    """nbgrader's preprocessor that adds scores and comments, whether a person has still to read an answer, and the student's name.

    Points that a person gave to an earlier text of such an answer count nothing (`gradebook.marks`).
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Add what the gradebook says of a submission."""
        self._given_before = 0.0
        nb, resources = super().preprocess(nb, resources)
        with self.gradebook:
            known = self.gradebook.find_student(self.student_id)
            resources["nbgrader"]["name"] = " ".join(filter(None, (known.first_name, known.last_name)))
        resources["nbgrader"]["score"] -= self._given_before
        return nb, resources

    def _get_score(self, cell: NotebookNode, resources: Any) -> None:
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        cell.metadata.nbgrader.waiting = grade.needs_manual_grade
        if grade.needs_manual_grade:
            self._given_before += grade.score - (grade.auto_score or 0.0)


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
        release = nbformat.read(self.releases[lesson], as_version=4).cells
        released, names = {cell.id for cell in release}, exercise_names(release)
        return page(nb, self.titles[lesson], resources["nbgrader"], released, names), resources


@dataclass
class Budget:
    """What a whole page may still hold, however many cells share it: bytes of pictures, characters of text."""

    pictures: int = 8_000_000
    text: int = 1_000_000


@dataclass
class Part:
    """An exercise or a question on the page, under the name that people use, or cells of the learner's own.

    Args:
        name: empty for cells of their own.
        id: of its place on the page.
        cells: as `_shown_cells` gives them.
    """

    name: str
    id: str
    cells: list[dict[str, Any]]

    @property
    def graded(self) -> dict[str, Any] | None:
        """The cell that carries the points."""
        return next((cell for cell in self.cells if cell["graded"]), None)

    @property
    def state(self) -> str:
        """A word for the style: what became of its points."""
        graded = self.graded
        if graded is None:
            return "own" if not self.name else ""
        if graded["waiting"]:
            return "waiting"
        return "full" if (graded["score"] or 0) >= graded["points"] else "part" if graded["score"] else "none"


def page(
    notebook: NotebookNode,
    title: str,
    grading: dict[str, Any],
    released: set[str],
    names: Mapping[str, str] | None = None,
) -> str:
    """Render a graded notebook.

    Args:
        notebook: cells carry `score`, `points`, `waiting` and `comment` in their nbgrader metadata.
        title: of the lesson.
        grading: student, name (empty where none is known), score, max_score, late_penalty.
        released: ids of the cells that the student edition came with; other cells are the learner's own.
        names: what people call the exercises, by grade_id; those of the notebook's own headings if None.

    Returns:
        A whole HTML page that loads nothing.
    """
    known = exercise_names(notebook.cells) if names is None else names
    parts = _parts(_shown_cells(notebook, released, Budget(), known))
    waiting = sum(part.graded["points"] for part in parts if part.graded and part.graded["waiting"])
    return _template("feedback.html").render(title=title, parts=parts, waiting=waiting, **grading)


def notice(title: str, student: str, status: str, reason: str = "") -> str:
    """Render the page of a submission that there is no grade for.

    Args:
        title: of the lesson.
        student: whose.
        status: unreadable, waiting or nothing, as the triage calls it.
        reason: why, for the student to read.

    Returns:
        A whole HTML page that loads nothing.
    """
    return _template("notice.html").render(
        title=title, student=student, status=status, reason=hide_paths(reason)
    )


@cache
def _template(name: str) -> Template:
    folder = files("course.reports").joinpath("templates")
    texts = {
        each: folder.joinpath(each).read_text(encoding="utf-8")
        for each in ("feedback.html", "notice.html", "feedback.css", "frame.html")
    }
    return Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=DictLoader(texts)
    ).get_template(name)


def _parts(cells: Iterable[dict[str, Any]]) -> list[Part]:
    """Put cells that follow each other under one name together."""
    parts: list[Part] = []
    for cell in cells:
        if not parts or parts[-1].name != cell["name"]:
            parts.append(Part(cell["name"], f"part-{len(parts) + 1}", []))
        parts[-1].cells.append(cell)
    return parts


def _shown_cells(
    notebook: NotebookNode, released: set[str], left: Budget, names: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What the page shows of each cell: the learner's cells, the checks and the questions; not the lesson's own text."""
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        graded, theirs = meta.get("grade", False), meta.get("solution", False)
        question = meta.get("locked", False) and str(meta.get("grade_id", "")).endswith("_question")
        if not (graded or theirs or question) and cell.get("id") in released:
            continue
        source = without_regions(cell.source) if meta.get("locked") else cell.source
        kind = "answer" if theirs else "check" if graded else "question" if question else "extra"
        yield {
            "name": names.get(str(meta.get("grade_id", "")), "") if kind != "extra" else "",
            "kind": kind,
            # What a check calls is the lesson's own; what it says stands in its outputs.
            "source": ""
            if kind == "check"
            else (prose if cell.cell_type == "markdown" else code)(
                _afford(_without_heading(source) if question else source, SOURCE_CHARACTERS, left)
            ),
            "markdown": cell.cell_type == "markdown",
            "outputs": list(_outputs(cell, left)),
            "graded": graded,
            "score": meta.get("score"),
            "points": meta.get("points"),
            "waiting": meta.get("waiting", False),
            "comment": prose(meta.get("comment") or ""),
        }


def _without_heading(source: str) -> str:
    """A question without the heading that its part of the page has already."""
    return re.sub(r"\A### .*\n*", "", source)


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
    """Write the pages of all graded submissions, through nbgrader's generate_feedback; where there is no grade, a page that says so.

    Args:
        course: the checkout.
        lessons: which lessons.
        students: which students; all if None.

    Yields:
        Each page as soon as it is written, by lesson and student.

    Raises:
        CourseError: if there is nothing to write for; or, after all others were written, naming the pages that could not be.
    """
    classroom = course.classroom
    folders = {
        lesson: sorted(classroom.joinpath("autograded").glob(f"*/{lesson.name}")) for lesson in lessons
    }
    graded = [
        (lesson, folder.parent.name)
        for lesson in lessons
        for folder in folders[lesson]
        if students is None or folder.parent.name in students
    ]
    others = [
        (lesson, row)
        for lesson in lessons
        if folders[lesson]
        for row in ungraded(course, lesson)
        if students is None or row["student"] in students
    ]
    if not graded and not others:
        whose = f" of {', '.join(students)}" if students else ""
        which = (
            ""
            if len(lessons) == len(course.written)
            else f" (lesson {', '.join(str(x.number) for x in lessons)})"
        )
        raise CourseError(
            f"nothing{whose} in {course.classroom / 'autograded'} to write feedback for{which}: run `course grade` first"
        )
    with opened(course):
        pass  # one that does not answer is one sentence, not one a page
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
            yield place(course, student, lesson)
    for lesson, row in others:
        path = place(course, row["student"], lesson)
        title = f"Lesson {lesson.number} · {lesson.title}"
        reason = _for_the_student(row["reason"], course.release(lesson))
        write_text(path, notice(title, row["name"] or row["student"], row["status"], reason))
        yield path
    if troubles:
        raise CourseError(
            f"{len(troubles)} of {len(graded)} pages could not be written; the others were.\n"
            + "\n".join(troubles)
        )


def _for_the_student(reason: str, release: Path) -> str:
    """A reason of the triage without what it tells the instructor to do, exercises under the names that people use."""
    names = exercise_names(nbformat.read(release, as_version=4).cells)
    words = re.sub(r"\w+", lambda found: names.get(found[0], found[0]), reason)
    return re.sub(r"[;:,] ask for (?:it|the file) again.*", "", words)


def place(course: Course, student: str, lesson: Lesson) -> Path:
    """Where a student's page for a lesson lies."""
    return course.classroom / "feedback" / student / lesson.name / f"{lesson.name}.html"


def ungraded(course: Course, lesson: Lesson) -> list[dict[str, str]]:
    """Tell who has no grade for a lesson, as the triage of `course collect` found: unreadable, waiting, or nothing handed in.

    Returns:
        Rows of triage.csv, one a student.
    """
    found: dict[str, dict[str, str]] = {}
    # A file of no known lesson counts for every lesson, as it does in the triage: its student is not named as missing there.
    for row in sorted(triage_rows(course, lesson), key=lambda row: row["lesson"] == ""):
        student = row["student"]
        if row["status"] not in (UNREADABLE, WAITING, "nothing") or student in found:
            continue
        if not (course.classroom / "autograded" / student / lesson.name).is_dir():
            found[student] = row
    return [found[student] for student in sorted(found)]


def triage_rows(course: Course, lesson: Lesson) -> list[dict[str, str]]:
    """What `course collect` said of the files of a lesson, or of none that is known, whose student is; nothing where nothing was collected."""
    return [row for row in all_triage_rows(course) if row["lesson"] in (lesson.name, "") and row["student"]]


def all_triage_rows(course: Course) -> list[dict[str, str]]:
    """What `course collect` said of all files."""
    path = course.classroom / "triage.csv"
    if not path.is_file():
        return []
    table = read_table(path)
    if missing := {"student", "name", "lesson", "status", "file", "reason"} - {*table.columns}:
        raise CourseError(
            f"{path} has no column {min(missing)!r} any more: `course collect` writes the table anew"
        )
    return [row for _, row in table.rows]
