"""Another address: everything that names it follows, nothing is executed, and the way back leads to the same bytes."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from course import cli
from course.config import load_course
from course.editions import build, overview
from course.editions.address import DOCUMENTS, parsed, readdressed, retarget
from course.model import CourseError

COURSE = load_course()
FORK = "ada-l/deep.skips"


@pytest.fixture
def copy(tmp_path):
    """A checkout of lesson 1 that may be changed."""
    lesson = COURSE.lessons[0].name
    for folder in ("helpers", f"solutions/{lesson}", f"notebooks/{lesson}", "docs"):
        shutil.copytree(COURSE.root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "nbgrader_config.py", "README.md", "CITATION.cff"):
        shutil.copy(COURSE.root / file, tmp_path)
    course = load_course(tmp_path, tmp_path / "classroom")
    (tmp_path / "README.md").write_text(overview.with_map(course), encoding="utf-8")
    return course


def contents(course):
    return {
        path.relative_to(course.root).as_posix(): path.read_bytes()
        for path in course.root.rglob("*")
        if path.is_file() and "classroom" not in path.parts
    }


@pytest.mark.slow
def test_there_and_back_again(copy):
    before = contents(copy)
    changed = retarget(copy, f"{FORK}@term-2027")
    names = {path.relative_to(copy.root).as_posix() for path in changed}
    lesson = copy.lessons[0].name
    notebooks = {f"{room}/{lesson}/{lesson}.ipynb" for room in ("solutions", "notebooks")}
    pages = {"docs/starts.md", "docs/site/index.md"}
    assert names == {"pyproject.toml", "README.md", "CITATION.cff", *pages, *notebooks}
    fork = load_course(copy.root, copy.classroom)
    assert (fork.repository, fork.ref) == (FORK, "term-2027")
    assert not [name for name, content in contents(fork).items() if COURSE.repository.encode() in content]
    readme = (fork.root / "README.md").read_text(encoding="utf-8")
    assert f"git clone --branch term-2027 https://github.com/{FORK} && cd deep.skips\n" in readme
    starts = (fork.root / "docs/starts.md").read_text(encoding="utf-8")
    assert f"git+https://github.com/{FORK}@term-2027 mnist1d\n" in starts
    student = fork.release(fork.lessons[0]).read_text(encoding="utf-8")
    assert f"github/{FORK}/blob/term-2027/notebooks/{lesson}/{lesson}.ipynb" in student
    assert rf"home, ref = \"https://github.com/{FORK}\", \"term-2027\"" in student
    assert build.check(fork, fork.lessons[0]) == []

    assert retarget(fork, f"{FORK}@term-2027") == []  # a second time changes nothing
    retarget(fork, COURSE.repository)
    assert contents(copy) == before


def test_what_would_have_to_be_executed_is_refused_and_nothing_is_changed(copy):
    text = copy.source(copy.lessons[0])
    text.write_text(text.read_text(encoding="utf-8") + "\n# %%\nx = 1\n", encoding="utf-8")
    before = contents(copy)
    with pytest.raises(CourseError, match=r"another text.*run `course build 1` first; nothing was changed"):
        retarget(copy, FORK)
    assert contents(copy) == before


def test_the_address_is_stated_in_one_place_and_repeated_where_retarget_looks():
    listed = subprocess.run(
        ["git", "-C", COURSE.root, "grep", "-l", "--fixed-strings", COURSE.repository],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    generated = {
        f"{room}/{x.name}/{x.name}.ipynb" for room in ("solutions", "notebooks") for x in COURSE.written
    }
    rest = {
        name
        for name in {*listed} - generated - {"pyproject.toml", "CHANGELOG.md"}
        if not any(Path(name).match(pattern.replace("**/", "")) for pattern in DOCUMENTS)
    }
    assert rest == set()


@pytest.mark.parametrize(
    "slug",
    ["", "skips", "ada/", "/skips", "ada/skips/more", "a da/skips", "-ada/skips", "ada-/skips", "a--b/skips", "ada/..",
     "ada/skips.git", "https://github.com/ada/skips", "x" * 40 + "/skips", "ada/skips\n"],
)  # fmt: skip
def test_a_bad_slug_is_refused(slug):
    with pytest.raises(CourseError, match=r"is no repository of GitHub: write OWNER/NAME, such as ada/skips"):
        parsed(slug)


@pytest.mark.parametrize(
    "ref", ["", "a b", "-x", "a..b", "a/", "/a", "a.lock", "a~1", "a:b", "a\\b", 'a"b', "a//b", "a\n"]
)
def test_a_bad_ref_is_refused(ref):
    with pytest.raises(CourseError, match=r"is no branch, tag or commit: write OWNER/NAME@REF"):
        parsed(f"ada/skips@{ref}")


def test_a_good_address():
    assert parsed("ada/skips") == ("ada/skips", "main")
    assert parsed("a1-b/s_k.i-p@term/2027-v1.0") == ("a1-b/s_k.i-p", "term/2027-v1.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://github.com/a/b.", "see https://github.com/c/d."),
        ("https://github.com/a/b/issues", "https://github.com/c/d/issues"),
        ("https://github.com/a/b/blob/main/x.md", "https://github.com/c/d/blob/v1/x.md"),
        ("https://github.com/a/b/blob/mainly/x.md", "https://github.com/c/d/blob/mainly/x.md"),
        ("git+https://github.com/a/b@main", "git+https://github.com/c/d@v1"),
        ("https://mybinder.org/v2/gh/a/b/main?urlpath=lab", "https://mybinder.org/v2/gh/c/d/v1?urlpath=lab"),
        ("https://colab.research.google.com/github/a/b/blob/main/n.ipynb", "https://colab.research.google.com/github/c/d/blob/v1/n.ipynb"),
        ("https://a.github.io/b/lesson.html", "https://c.github.io/d/lesson.html"),
        ("git clone https://github.com/a/b\ncd b\n", "git clone --branch v1 https://github.com/c/d\ncd d\n"),
        ("git clone https://github.com/a/b && cd b\nmake lab\n", "git clone --branch v1 https://github.com/c/d && cd d\nmake lab\n"),
        ("https://github.com/a/b-2 and https://github.com/aa/b", "https://github.com/a/b-2 and https://github.com/aa/b"),
        ("a/b is no address", "a/b is no address"),
    ],
)  # fmt: skip
def test_addresses_in_a_document(text, expected):
    old = replace(COURSE, repository="a/b", ref="main")
    new = replace(COURSE, repository="c/d", ref="v1")
    assert readdressed(text, old, new) == expected
    if "main" not in text and "mainly" not in text:  # a link without a branch gets none; the rest leads back
        assert readdressed(expected, new, old) == text


def test_the_command_says_what_changed(copy, monkeypatch):
    monkeypatch.setattr(cli, "load_course", lambda: copy)
    run = CliRunner().invoke(cli.app, ["retarget", FORK])
    assert run.exit_code == 0, run.output
    assert "  changed: pyproject.toml\n" in run.output and re.search(
        r"^7 files changed\. ", run.output, re.MULTILINE
    )
