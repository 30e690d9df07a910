"""Binder, Codespaces, Kaggle: their files ask for what learners need, and name what there is."""

import json
import os
import re
import subprocess
import sys
import tomllib

import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec

from course.config import load_course
from course.site.pages import starts
from tests.test_environment import CONDA_NAMES, PROJECT

COURSE = load_course()
ROOT = COURSE.root


def test_binder_has_what_learners_need_and_nothing_else():
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]]
    entries = yaml.safe_load((ROOT / "binder/environment.yml").read_text(encoding="utf-8"))["dependencies"]
    specs = {spec.name.normalized: str(spec.version) for spec in map(MatchSpec, (e for e in entries if isinstance(e, str)))}  # fmt: skip
    pip = {r.name: str(r.specifier) for r in map(Requirement, next(e["pip"] for e in entries if isinstance(e, dict)))}  # fmt: skip
    expected = {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in map(Requirement, wanted)}
    assert {name: v for name, v in (specs | pip).items() if name not in ("python", "pip")} == expected


def test_binders_last_step_installs_the_helpers(tmp_path):
    """The script itself, with a Python that writes down what it is told to do."""
    script = ROOT / "binder/postBuild"
    assert os.access(script, os.X_OK)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    (tmp_path / "python").chmod(0o755)
    subprocess.run([script], check=True, cwd=ROOT, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == "-m pip install --no-deps --editable ." and "import helpers" in said[1]


def test_the_devcontainer_makes_what_the_makefile_makes():
    text = (ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    targets = re.findall(r"make (\S+)", settings["postCreateCommand"])
    made = re.findall(r"^([.\w/-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets and set(targets) <= set(made)
    series = settings["image"].rpartition(":")[2].partition("-")[0]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    assert Requirement(f"python{declared}").specifier.contains(f"{series}.0")


def test_kaggles_cell_installs_this_course_and_the_lesson_then_finds_it():
    text = (ROOT / "docs/starts.md").read_text(encoding="utf-8")
    cell = re.search(r"```python\n%pip (.*)\n```", text)[1]
    assert (
        cell == f"install --quiet --no-deps git+https://github.com/{COURSE.repository}@{COURSE.ref} mnist1d"
    )
    run = [sys.executable, "-m", "pip", *cell.split(), "--dry-run", "--help"]
    assert subprocess.run(run, capture_output=True).returncode == 0  # pip knows these words


def test_a_lessons_page_opens_it_in_all_places():
    lesson = COURSE.written[0]
    line = starts(COURSE, lesson)
    path = f"notebooks/{lesson.name}/{lesson.name}.ipynb"
    for address in (
        f"https://colab.research.google.com/github/{COURSE.repository}/blob/{COURSE.ref}/{path}",
        f"https://mybinder.org/v2/gh/{COURSE.repository}/{COURSE.ref}?urlpath=lab/tree/{path}",
        f'href="{lesson.name}.ipynb" download',
    ):
        assert address in line
    assert COURSE.release(lesson).is_file()


def test_the_site_is_published_as_it_was_built():
    jobs = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))["jobs"]
    steps = jobs["build"]["steps"]
    assert {"run": "make pdf"} in steps and jobs["publish"]["needs"] == "build"
    assert (
        next(step["with"]["path"] for step in steps if "upload-pages" in step.get("uses", "")) == "build/site"
    )


def test_what_the_readme_shows_and_links_is_there_and_small():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = set(re.findall(r'(?:src|srcset)="([^"]+)"', text))
    assert pictures == {f"docs/pictures/{path.name}" for path in (ROOT / "docs/pictures").glob("*.png")}
    assert all((ROOT / name).stat().st_size < 100_000 for name in pictures)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 15 and [link for link in links if not (ROOT / link).exists()] == []
    # The first command stands on the first screen: what is before it is a title, a picture and two paragraphs.
    before = text.partition("```sh")[0].splitlines()
    assert len(before) < 25
