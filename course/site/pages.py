"""What the website is made of: a folder of sources that mirrors the repository, so that its links and buttons lead where they say.

A lesson's page is the student edition's text with the outputs that the build kept in the instructor edition; nothing is executed.
"""

from __future__ import annotations

import base64
import html
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from course.editions.build import cpu_seconds
from course.editions.source import is_role, minutes, points
from course.model import Course, CourseError, Lesson
from course.site.glossary import anchored, lessons
from helpers.checks.predictions import NOTHING_YET

# The pages beside the lessons: the parts of the table of contents, and what each page is called in it.
PARTS = {
    "Start": {"docs/starts.md": "Places to work"},
    "Look up": {
        "docs/glossary.md": "Glossary",
        "docs/notation.md": "Notation",
        "docs/references.md": "Sources",
        "docs/replication.md": "Replication",
    },
    "Teach": {
        "docs/guide.md": "Guide for instructors",
        "docs/grading.md": "Grading a class",
        "docs/threat-model.md": "Threat model",
    },
    "Change": {
        "docs/words.md": "Words of the code",
        "CHANGELOG.md": "Changelog",
    },
}
# For who may see solutions: its example of an exercise is one of the course's.
CONTRIBUTING = {"CONTRIBUTING.md": "Contributing"}
HOME = "docs/site/index.md"
EXTRA = "extra"  # copied into the site as it is
HERO = "Size of a gradient on its way back through 100 layers: it falls to 1e-40 in plain networks with torch's default weights, stays between 0.03 and 4 with He's weights, and grows to about 30 in residual networks."
PICTURES = "docs/pictures"
REGION = re.compile(r"^### BEGIN SOLUTION\n(.*?)\n### END SOLUTION$", re.MULTILINE | re.DOTALL)
SCHEME = re.compile(r"^=== BEGIN MARK SCHEME ===\n(.*?)\n=== END MARK SCHEME ===$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"\n*^### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def assemble(course: Course, folder: Path, with_solutions: bool = False) -> None:
    """Write all sources of the site.

    Args:
        course: a checkout whose notebooks are built.
        folder: where; it should be empty.
        with_solutions: whether answers, their checks' outputs and mark schemes are on the pages, folded.

    Raises:
        CourseError: if a lesson's editions are missing or do not fit each other.
    """
    parts = PARTS | {"Change": CONTRIBUTING | PARTS["Change"]} if with_solutions else PARTS
    beside = [name for part in parts.values() for name in part]
    shown = {*beside, *(notebook_name(course, lesson) for lesson in course.written)}
    for lesson in course.written:
        notebook = page(course, lesson, with_solutions)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = relinked(course, cell.source, notebook_name(course, lesson), shown)
        _write(folder / notebook_name(course, lesson), nbformat.writes(notebook))
        _write(
            folder / EXTRA / notebook_name(course, lesson), course.release(lesson).read_text(encoding="utf-8")
        )
        if thumbnail := first_figure(notebook):
            target = folder / EXTRA / "figures" / f"{lesson.name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(thumbnail)
    for name in beside:
        text = relinked(course, (course.root / name).read_text(encoding="utf-8"), name, shown)
        if name == "docs/glossary.md":
            text = anchored(text)
        if name == "docs/replication.md":
            for lesson in course.written:
                text = text.replace(f"## {lesson.name}\n", f"## {lesson.number} · {lesson.title}\n")
        _write(folder / name, text)
    home = (course.root / HOME).read_text(encoding="utf-8")
    for word, value in home_values(course, parts).items():
        home = home.replace("{{" + word + "}}", value)
    _write(folder / "index.md", home)
    for picture in sorted((course.root / PICTURES).glob("*.png")):
        target = folder / EXTRA / "pictures" / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture.read_bytes())


def notebook_name(course: Course, lesson: Lesson) -> str:
    """Where a lesson's student edition lies in the repository, and its page in the site."""
    return course.release(lesson).relative_to(course.root).as_posix()


def page(course: Course, lesson: Lesson, with_solutions: bool = False) -> NotebookNode:
    """Make the notebook of a lesson's page.

    Args:
        course: the checkout.
        lesson: which lesson.
        with_solutions: whether answers and mark schemes are shown, folded.

    Returns:
        A notebook that no learner gets: what is shown in it depends on the tags of its cells.

    Raises:
        CourseError: if an edition is missing, or they do not have the same cells.
    """
    student, solved = (_read(path) for path in (course.release(lesson), course.solution(lesson)))
    if [cell.id for cell in student.cells] != [cell.id for cell in solved.cells]:
        raise CourseError(
            f"{course.release(lesson)} and {course.solution(lesson)} do not have the same cells: `course build {lesson.number}`"
        )
    cells: list[NotebookNode] = []
    for cell, full in zip(student.cells, solved.cells, strict=True):
        cells.extend(_shown(cell, full, with_solutions))
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(course.badge(lesson), starts(course, lesson))
    student.cells = cells
    return student


def _read(path: Path) -> NotebookNode:
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
    except Exception as error:
        raise CourseError(f"{path} cannot be read ({error}): `course build` makes it anew") from error
    return notebook


def _shown(cell: NotebookNode, full: NotebookNode, with_solutions: bool) -> Iterator[NotebookNode]:
    """One cell of both editions as it stands on the page, dressed for it."""
    meta = cell.metadata.get("nbgrader", {})
    tags = cell.metadata.get("tags", [])
    cell.metadata = NotebookNode(tags=[])
    if cell.cell_type == "markdown":
        if with_solutions and meta:
            cell.source = REGION.sub(_fold("Sample answer"), SCHEME.sub(_fold("Mark scheme"), full.source))
        yield cell
        return
    roles = {role for role in ("answer", "check") if is_role(full, role)}
    if with_solutions and roles:
        # The answer stands as it was handed out; behind it, folded, how it may be solved.
        if "answer" in roles:
            yield cell
            cell = NotebookNode(full, id=f"{full.id}-solved"[:64], metadata=NotebookNode(tags=["hide-input"]))
            cell.source = "\n".join(
                line for line in full.source.splitlines() if not line.strip().startswith("### ")
            )
            cell.metadata.mystnb = {"code_prompt_show": "A solution", "code_prompt_hide": "Fold the solution"}
        else:
            cell.outputs = full.outputs
            cell.source = HIDDEN.sub("", full.source).rstrip()
    elif not roles and "progress(" not in cell.source:  # it tells a learner's progress; here nobody has any
        cell.outputs = [output for output in full.outputs if not _asks_for_a_prediction(output)]
    if "setup" in tags and "import helpers" in cell.source:
        _folded(cell, "How the notebook finds the course's helpers")
    if "skip-execution" in tags:
        _folded(cell, "In the notebook this cell makes the figure above a panel with sliders and menus")
    for output in cell.outputs:
        # Figures carry their text alternative; the page's maker looks for it at the cell.
        if alt := _alt(output):
            cell.metadata.mystnb = {**cell.metadata.get("mystnb", {}), "image": {"alt": alt}}
    yield cell


def _asks_for_a_prediction(output: NotebookNode) -> bool:
    """Whether an output only says that no prediction was made: on a page, nobody can."""
    return bool(output.get("data", {}).get("text/plain") == NOTHING_YET)


def _folded(cell: NotebookNode, words: str) -> None:
    cell.metadata.tags.append("hide-input")
    cell.metadata.mystnb = {"code_prompt_show": words, "code_prompt_hide": words}


def _fold(summary: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"<details><summary>{summary}</summary>\n\n{found[1].strip()}\n\n</details>"


def _alt(output: NotebookNode) -> str:
    """The text alternative of a figure; empty for other outputs."""
    said: dict[str, Any] = output.get("metadata", {})
    return next((str(what["alt"]) for kind, what in said.items() if "image" in kind and "alt" in what), "")


def first_figure(notebook: NotebookNode) -> bytes:
    """The first figure of a lesson, as PNG; empty if there is none."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                return base64.b64decode(picture)
    return b""


def starts(course: Course, lesson: Lesson) -> str:
    """The line of links that open a lesson: words, since a badge would be asked of another server."""
    name = notebook_name(course, lesson)
    raw = quote(f"https://github.com/{course.repository}/blob/{course.ref}/{name}", safe="")
    places = {
        "Colab": f"https://colab.research.google.com/github/{course.repository}/blob/{course.ref}/{name}",
        "Binder": f"https://mybinder.org/v2/gh/{course.repository}/{course.ref}?urlpath=lab/tree/{name}",
        "Kaggle": f"https://www.kaggle.com/kernels/welcome?src={raw}",
    }
    links = " · ".join(f"[{where}]({address})" for where, address in places.items())
    return f'Open in {links} · <a href="{lesson.name}.ipynb" download>download the notebook</a>'


def relinked(course: Course, text: str, name: str, shown: set[str]) -> str:
    """Turn relative links around: to pages of the site where there is one, else to the repository on the web.

    Args:
        course: for the repository's address.
        text: markdown.
        name: where it stands in the repository.
        shown: the repository's files that are pages of the site.
    """

    def turn(found: re.Match[str]) -> str:
        address = found[2]
        if re.match(r"[a-z]+:|#|/", address):
            return found[0]
        path, hash_, anchor = address.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if target in shown:
            return found[0]
        kind = "tree" if (course.root / target).is_dir() else "blob"
        return f"{found[1]}https://github.com/{course.repository}/{kind}/{course.ref}/{target}{hash_}{anchor}{found[3]}"

    return LINK.sub(turn, text)


def home_values(course: Course, parts: dict[str, dict[str, str]]) -> dict[str, str]:
    """What is filled into the home page: the map of the course, tables of contents, facts."""
    written = course.written
    keys = [_read(course.solution(lesson)) for lesson in written]

    def contents(caption: str, entries: str) -> str:
        return f"```{{toctree}}\n:caption: {caption}\n:hidden:\n:maxdepth: 1\n\n{entries}\n```"

    return {
        "map": '<div class="map">\n' + "\n".join(_card(course, lesson) for lesson in written) + "\n</div>",
        "repository": course.repository,
        "hero": HERO,
        "hours": f"{round(sum(map(minutes, keys)) / 60)}",
        "lessons": str(len(written)),
        "points": f"{sum(map(points, keys)):g}",
        "contents": "\n\n".join(
            [
                contents("Lessons", "\n".join(_docname(notebook_name(course, lesson)) for lesson in written)),
                *(
                    contents(part, "\n".join(f"{title} <{_docname(name)}>" for name, title in pages.items()))
                    for part, pages in parts.items()
                ),
            ]
        ),
    }


def _docname(name: str) -> str:
    """What Sphinx calls a page."""
    return posixpath.splitext(name)[0]


def _card(course: Course, lesson: Lesson) -> str:
    """One lesson on the map: its first figure, its title, what it takes, what comes before it."""
    notebook = _read(course.release(lesson))
    before = [n for n in prerequisites(notebook) if n < lesson.number]
    needs = f"after {', '.join(map(str, before))}" if before else "a start"
    facts = f"{minutes(_read(course.solution(lesson)))} min · {points(notebook):g} points · {needs}"
    address = _docname(notebook_name(course, lesson)) + ".html"
    title = html.escape(lesson.title)
    return (
        f'<a class="lesson" href="{address}" title="{cpu_seconds(course, lesson):g} CPU seconds">'
        f'<img src="figures/{lesson.name}.png" alt="" loading="lazy">'
        f"<strong>{lesson.number} · {title}</strong><span>{facts}</span></a>"
    )


def prerequisites(notebook: NotebookNode) -> tuple[int, ...]:
    """Numbers of the lessons that a lesson's first cell names under its prerequisites."""
    said = re.search(r"\*\*Prerequisites\.\*\*(.*?)(?:\n\s*\n|$)", notebook.cells[0].source, re.DOTALL)
    return lessons(said[1] if said else "")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
