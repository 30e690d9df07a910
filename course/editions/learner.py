"""The student edition as a repository of its own: what is in it, made from what the checkout states.

Nothing is written twice by hand: the learner's README, Makefile, pyproject.toml and environment.yml are the parts of the checkout's own
that concern learners.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course.editions import build, exercises, overview
from course.editions.address import readdressed
from course.model import Course, CourseError, Lesson

AS_THEY_ARE = (".gitignore", "LICENSE", "LICENSE-text", "constraints.txt")
STAND_INS = "stand_ins"  # solutions, packed: what a learner's `give_up` takes
LEARNERS_SECTION = "what learners need"  # of environment.yml
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")
SENTENCE = re.compile(r"(?<=[.!?])(\s+)(?=[A-Z])")


def repository(
    course: Course,
    repository: str,
    ref: str,
    told: Callable[[Lesson], None] = lambda lesson: None,
    stand_ins: bool = False,
) -> dict[str, bytes]:
    """Make the learners' repository, in memory.

    Args:
        course: the checkout, every written lesson built.
        repository, ref: where it will be published: what badges and bootstrap cells name.
        told: is told each lesson when its notebook is made.
        stand_ins: whether what a learner's `give_up` takes is part of it.

    Returns:
        Path -> content.

    Raises:
        CourseError: if a lesson is not built, or a file lacks the part that concerns learners.
    """
    new = replace(course, repository=repository, ref=ref)
    texts: dict[str, str] = {}
    for lesson in course.written:
        told(lesson)
        texts[_name(course, lesson)] = _notebook(new, lesson)
    texts |= _pages(course, texts)
    makefile = _makefile(course, "lab")
    names = [*AS_THEY_ARE, *_helpers(course), *_started(course, makefile)]
    names += standing_in(course) if stand_ins else []
    texts |= {
        "pyproject.toml": _tables(course, ("build-system", "project", "tool.setuptools")),
        "environment.yml": _environment(course),
        "Makefile": makefile,
    }
    readme = texts["README.md"] = _readme(new, {*texts, *names}, makefile)
    names += dict.fromkeys(re.findall(r'src(?:set)?="([^":]+)"', readme))  # its pictures
    files = {name: (course.root / name).read_bytes() for name in names}
    return files | {name: readdressed(text, course, new).encode() for name, text in texts.items()}


def _name(course: Course, lesson: Lesson) -> str:
    return course.release(lesson).relative_to(course.root).as_posix()


def _notebook(course: Course, lesson: Lesson) -> str:
    """The student edition under the course's address; what would have to be executed is refused."""
    try:
        _, student = build.editions(course, lesson)
    except build.Drifted as error:
        raise CourseError(f"{error}: run `course build {lesson.number}` first") from error
    if drifted := exercises.drifted(course, lesson):
        raise CourseError(drifted[0])
    return student


def _helpers(course: Course) -> Iterator[str]:
    """The files of `helpers` that an installation has: modules, and what pyproject.toml lists as data."""
    project = tomllib.loads((course.root / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]["helpers"]
    for pattern in ("**/*.py", *data):
        for path in sorted((course.root / "helpers").glob(pattern)):
            yield path.relative_to(course.root).as_posix()


def standing_in(course: Course) -> list[str]:
    """The files that stand in for answers; none if the checkout has no such folder."""
    return sorted(
        p.relative_to(course.root).as_posix() for p in (course.root / STAND_INS).glob("*") if p.is_file()
    )


def _started(course: Course, makefile: str) -> list[str]:
    """The scripts of the checkout's top that a rule starts."""
    found = dict.fromkeys(re.findall(r"(?<![\w./-])[\w-]+\.py\b", makefile))
    return [name for name in found if (course.root / name).is_file()]


def _pages(course: Course, notebooks: dict[str, str]) -> dict[str, str]:
    """The pages that the notebooks link to, and those that these link to: notation, glossary, sources.

    Raises:
        CourseError: if a notebook links to something that is no page of docs/ and no lesson.
    """
    pages: dict[str, str] = {}
    waiting = [
        (name, cell["source"])
        for name, text in notebooks.items()
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "markdown"
    ]
    while waiting:
        name, text = waiting.pop()
        for _, _, target in LINK.findall(text):
            path = _target(name, target)
            if path in (*pages, *notebooks) or not path:
                continue
            if PurePosixPath(path).match("docs/*.md") and (course.root / path).is_file():
                pages[path] = (course.root / path).read_text(encoding="utf-8")
                waiting.append((path, pages[path]))
            elif name in notebooks:
                raise CourseError(
                    f"{name} links to {target}: learners get the lessons and pages of docs/, so name one of these"
                )
    known = {*pages, *notebooks, *AS_THEY_ARE}
    return {name: _unlinked(text, name, known) for name, text in pages.items()}


def _target(name: str, target: str) -> str:
    """The path in the repository that a file links to; empty if it is somewhere else."""
    address = target.partition("#")[0]
    if not address or re.match(r"[a-z][a-z0-9+.-]*:", address):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), address))


def _unlinked(text: str, name: str, known: set[str]) -> str:
    """A page whose links to what learners do not get are words; pictures of that kind are left out."""

    def kept(link: re.Match[str]) -> str:
        path = _target(name, link[3])
        return link[0] if not path or path in known else "" if link[1] else link[2]

    return LINK.sub(kept, text)


def _readme(course: Course, known: set[str], makefile: str) -> str:
    """The learner's README: how the course's begins, the map, the section that is for learners, the licences.

    Raises:
        CourseError: if README.md has no such section, or names a goal that the learner's Makefile has not.
    """
    path = course.root / "README.md"
    head, begin, rest = path.read_text(encoding="utf-8").partition(overview.BEGIN)
    cost = re.search(r"^CPU seconds [^\n]*(?:\n[^\n]+)*", rest, re.MULTILINE)
    learn = re.search(r"^## (?:Learn|For learners)\b.*?(?=^## |\Z)", rest, re.MULTILINE | re.DOTALL)
    licence = re.search(r"^[^\n]*\[[^\]]*\]\(LICENSE\)[^\n]*(?:\n[^\n]+)*", rest, re.MULTILINE)
    if not (begin and learn and licence):
        raise CourseError(
            f"{path} should have the map, a section `## Learn` and a line that links LICENSE: the learners' README is made of them"
        )
    parts = [head.strip(), overview.table(course), *([cost[0]] if cost else [])]
    text = "\n\n".join([*parts, learn[0].strip(), "## Licences", licence[0], ""])
    for goal in re.findall(r"\bmake ([a-z]+)`|^make ([a-z]+)\b", text, re.MULTILINE):
        if not re.search(rf"^{''.join(goal)}:", makefile, re.MULTILINE):
            raise CourseError(
                f"{path} tells learners to `make {''.join(goal)}`, which their own Makefile does not know: say that in a section of its own"
            )
    return "\n\n".join(_without(paragraph, known) for paragraph in text.split("\n\n"))


def _without(paragraph: str, known: set[str]) -> str:
    """A paragraph of README.md less the sentences that lead to what learners do not get: there they promise nothing."""
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    parts = SENTENCE.split(paragraph)  # sentences, and the space between them
    kept = [
        sentence + space
        for sentence, space in zip(parts[::2], [*parts[1::2], ""], strict=True)
        if all(_target("README.md", link[2]) in {"", *known, *folders} for link in LINK.findall(sentence))
    ]
    return "".join(kept).rstrip() if len(kept) < len(parts[::2]) else paragraph


def _tables(course: Course, wanted: tuple[str, ...]) -> str:
    """Those tables of pyproject.toml, as they stand there, with their sub-tables."""
    text = (course.root / "pyproject.toml").read_text(encoding="utf-8")
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    found = [
        table for table in tables if any(re.match(rf"\[{re.escape(name)}[\].]", table) for name in wanted)
    ]
    return "".join(found).strip() + "\n"


def _environment(course: Course) -> str:
    """environment.yml without what instructors need besides.

    Raises:
        CourseError: if it does not say which part is the learners'.
    """
    path = course.root / "environment.yml"
    project = tomllib.loads((course.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    head, *sections = re.split(r"^(?=  # )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    learners = [section for section in sections if section.startswith(f"  # {LEARNERS_SECTION}\n")]
    pip = re.search(r"^  - pip:\n((?:      - .*\n?)+)", sections[-1] if sections else "", re.MULTILINE)
    if len(learners) != 1 or pip is None:
        raise CourseError(
            f"{path} should have a section `# {LEARNERS_SECTION}`, and a list `pip:` in its last one"
        )
    lines = [
        line
        for line in pip[1].splitlines()
        if line.split() == ["-", "-e", "."] or canonicalize_name(line.split()[1]) in own
    ]
    return head + learners[0].partition("\n")[2] + "\n".join(["  - pip:", *lines, ""])


def _makefile(course: Course, goal: str) -> str:
    """The rule of one goal, with the rules and variables that it needs and the comments above them.

    Raises:
        CourseError: if there is no such rule.
    """
    path = course.root / "Makefile"
    text = path.read_text(encoding="utf-8")
    rules = {
        match["name"]: match
        for match in re.finditer(
            r"(?:^#.*\n)*^(?P<name>[\w./-]+):(?!=)(?P<needs>[^=\n]*)\n(?:\t.*\n?)+", text, re.MULTILINE
        )
    }
    variables = dict(re.findall(r"^((?:export )?(\w+) *[:?]?=.*)$", text, re.MULTILINE))
    if goal not in rules:
        raise CourseError(f"{path} has no rule `{goal}`, which is how learners begin")
    wanted = [goal]
    for name in wanted:
        wanted += [need for need in rules[name]["needs"].split() if need in rules and need not in wanted]
    body = "\n".join(rules[name][0].strip("\n") + "\n" for name in wanted)
    used = {name for name in variables.values() if f"$({name})" in body}
    while more := {
        name
        for line, name in variables.items()
        if name not in used and any(f"$({name})" in other for other, own in variables.items() if own in used)
    }:
        used |= more
    kept = [line for line, name in variables.items() if name in used or line.startswith("export ")]
    said = re.search(rf"^# make {goal} .*$", text, re.MULTILINE)
    phony = [name for name in wanted if not name.startswith(".")]
    head = [*([said[0], ""] if said else []), *kept, "", f".PHONY: {' '.join(phony)}", "", ""]
    return "\n".join(head) + body
