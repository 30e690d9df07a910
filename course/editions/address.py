"""Where the repository is published: stated once in pyproject.toml, repeated in generated notebooks and in a few documents.

`course retarget` changes it everywhere without executing a notebook: what a lesson prints does not depend on its address.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from course.editions import build, overview
from course.model import Course, CourseError, Lesson
from course.store import write_text

MAIN = "main"  # the branch that a clone has without being asked
SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
REF = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+-]|[./](?=[A-Za-z0-9_+-])){0,199}")
# What repeats the address beside the notebooks. The changelog's links are of the history that was published under the old one.
DOCUMENTS = (
    "README.md",
    "CITATION.cff",
    "docs/**/*.md",
    "binder/**/*",
    ".devcontainer/*",
    ".github/**/*.yml",
)


def parsed(target: str) -> tuple[str, str]:
    """Take OWNER/NAME or OWNER/NAME@REF apart.

    Args:
        target: as written on the command line.

    Returns:
        The repository and the branch, tag or commit; `main` where none is named.

    Raises:
        CourseError: if GitHub knows no such names.
    """
    repository, at, ref = target.partition("@")
    if not SLUG.fullmatch(repository) or repository.endswith(".git"):
        raise CourseError(
            f"{repository!r} is no repository of GitHub: write OWNER/NAME, such as ada/skips, without https:// and .git; letters, digits, "
            "hyphens, and in NAME also dots and underscores"
        )
    if at and (not REF.fullmatch(ref) or ref.endswith(".lock")):
        raise CourseError(
            f"{ref!r} is no branch, tag or commit: write OWNER/NAME@REF, such as ada/skips@term-2027; letters, digits, . _ - + and /"
        )
    return repository, ref if at else MAIN


def readdressed(text: str, old: Course, new: Course) -> str:
    """Replace one address by another wherever a text names it.

    Args:
        text: markdown, YAML, or whatever holds links.
        old, new: the course under the address that the text names, and under the other one.

    Returns:
        The text: links to files and badges with their branch, to the repository, its site, and the lines that clone it.
    """
    (was, at), (now, to) = (re.escape(old.repository), re.escape(old.ref)), (new.repository, new.ref)
    end = r"(?![\w.-]*\w)"  # the whole name: ada/skips is not in ada/skips-2
    folder = new.repository.partition("/")[2]
    branch = "" if to == MAIN else f"--branch {to} "
    for pattern, other in (
        (rf"git clone (?:--branch \S+ )?https://github\.com/{was}{end}", f"git clone {branch}{new.address}"),
        (rf"((?:^|&& )cd ){re.escape(old.repository.partition('/')[2])}$", rf"\g<1>{folder}"),
        (rf"((?:github\.com|/github)/){was}/(blob|tree|raw)/{at}{end}", rf"\g<1>{now}/\g<2>/{to}"),
        (rf"((?:raw\.githubusercontent\.com|mybinder\.org/v2/gh)/){was}/{at}{end}", rf"\g<1>{now}/{to}"),
        (rf"(github\.com/){was}@{at}{end}", rf"\g<1>{now}@{to}"),
        (rf"((?:github\.com|/github|mybinder\.org/v2/gh)/){was}{end}", rf"\g<1>{now}"),
        (re.escape(old.site) + end, new.site),
    ):
        text = re.sub(pattern, other, text, flags=re.MULTILINE)
    return text


def retarget(course: Course, target: str, told: Callable[[Lesson], None] = lambda lesson: None) -> list[Path]:
    """Let badges, bootstrap cells and documents name another repository or another branch, tag or commit of it.

    Args:
        course: the checkout, every written lesson built.
        target: OWNER/NAME or OWNER/NAME@REF.
        told: is told each lesson when its notebooks are made.

    Returns:
        The files that changed; everything is made before the first one is written.

    Raises:
        CourseError: if the target makes no sense, or a lesson would have to be executed.
    """
    repository, ref = parsed(target)
    new = replace(course, repository=repository, ref=ref)
    project = course.root / "pyproject.toml"
    texts = {project: _stated(project, new)}
    for lesson in course.written:
        told(lesson)
        try:
            texts[course.solution(lesson)], texts[course.release(lesson)] = build.editions(new, lesson)
        except build.Drifted as error:
            raise CourseError(
                f"{error}: run `course build {lesson.number}` first; nothing was changed"
            ) from error
    for pattern in DOCUMENTS:
        for path in sorted(course.root.glob(pattern)):
            if path.is_file() and (text := _read(path)) is not None:
                texts[path] = readdressed(text, course, new)
    readme = course.root / "README.md"
    if readme in texts:
        texts[readme] = overview.with_map(new, texts[readme])
    return [path for path, text in texts.items() if write_text(path, text)]


def _stated(project: Path, new: Course) -> str:
    """pyproject.toml with the address in `[tool.course]` replaced."""
    text = project.read_text(encoding="utf-8")
    head, table, rest = text.partition("[tool.course]\n")
    own, following, more = rest.partition("\n[")
    for key, value in (("repository", new.repository), ("ref", new.ref)):
        own, found = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', own, flags=re.MULTILINE)
        if found != 1:
            raise CourseError(
                f'{project}: [tool.course] should state {key} = "..." once, on a line of its own'
            )
    return head + table + own + following + more


def _read(path: Path) -> str | None:
    """A file's text; None where it is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
