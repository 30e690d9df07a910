"""`make lab` lays the lessons out for a learner: what was worked on is never written over."""

import json
import subprocess

import pytest

from lab import ROOT, lay_out

LESSON = "notebooks/01_first/01_first.ipynb"


def course(root, text="released"):
    """A checkout with one lesson that links to a page."""
    path = root / LESSON
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [text, "[words](../../docs/words.md)"]}))
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs/words.md").write_text("words")
    (root / "docs/guide.md").write_text("for instructors")
    return path


def test_a_learner_works_on_a_copy_that_is_never_written_over(tmp_path):
    root, own = tmp_path / "checkout", tmp_path / "own"
    released = course(root)
    assert lay_out(root, own) == []
    mine = own / LESSON
    assert mine.read_bytes() == released.read_bytes()
    assert (own / "docs/words.md").is_file() and not (own / "docs/guide.md").exists()

    mine.write_text("my work")
    assert lay_out(root, own) == [] and mine.read_text() == "my work"  # no new release

    course(root, "a newer release")
    said = "01_first.ipynb has a newer release: it lies beside yours, as 01_first-newer.ipynb."
    assert lay_out(root, own) == [said] and lay_out(root, own) == []
    newer = mine.with_name("01_first-newer.ipynb")
    assert newer.read_bytes() == released.read_bytes() and mine.read_text() == "my work"

    newer.write_text("my work in the newer one")
    course(root, "the newest")
    assert lay_out(root, own)[0].endswith("as 01_first-newer-2.ipynb.")
    assert newer.read_text() == "my work in the newer one"


def test_what_nobody_has_touched_is_brought_up_to_date(tmp_path):
    root, own = tmp_path / "checkout", tmp_path / "own"
    course(root)
    lay_out(root, own)
    released = course(root, "a newer release")
    assert lay_out(root, own) == []
    assert (own / LESSON).read_bytes() == released.read_bytes()
    assert [path.name for path in (own / LESSON).parent.iterdir()] == ["01_first.ipynb"]


def test_who_deletes_a_copy_gets_a_fresh_one(tmp_path):
    root, own = tmp_path / "checkout", tmp_path / "own"
    released = course(root)
    lay_out(root, own)
    (own / LESSON).unlink()
    lay_out(root, own)
    assert (own / LESSON).read_bytes() == released.read_bytes()


def test_the_real_lessons_and_every_page_they_link_to_are_laid_out(tmp_path):
    lay_out(ROOT, tmp_path)
    laid_out = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"docs/notation.md", "docs/glossary.md", "docs/references.md"} <= laid_out
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*/*.ipynb")} <= laid_out
    assert not [name for name in laid_out if name.startswith("solutions")]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "my-lessons/" in ignored


@pytest.fixture
def begun(tmp_path):
    """A folder with the Makefile, and a function that makes .venv with a Python that only says what it is asked: exit code, words."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    def program(path, checks):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'''#!/bin/sh
echo "{path.name}: $*" | tr '\\n' ' ' >> {tmp_path}/asked
case "$1" in -c) exit {checks};; -V) echo "Python 3.9.6";; esac
''')
        path.chmod(0o755)
        return path

    def make(system, there=None):
        if there is not None:
            program(tmp_path / ".venv/bin/python", there)
        python = program(tmp_path / "system", system)
        run = subprocess.run(
            ["make", ".venv/learner", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
        )
        return run.returncode, run.stdout, (tmp_path / "asked").read_text()

    return make


def test_an_old_python_is_named_and_makes_no_environment(begun):
    code, said, asked = begun(system=1)
    assert code and "is Python 3.9.6, and the course needs Python 3.11 or newer" in said
    assert "`make PYTHON=python3.12 lab`" in said and "-m venv" not in asked


def test_an_environment_that_was_left_unfinished_is_made_anew(begun):
    assert "system: -m venv --clear .venv" in begun(system=0, there=1)[2]


def test_a_good_environment_is_kept(begun):
    code, _, asked = begun(system=1, there=0)
    assert code == 0 and "-m venv" not in asked and "python: -m pip install" in asked
