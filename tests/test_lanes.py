"""The lanes: hosted CI runs each of them, what they compare with is what is stated, and a version that is too new is named."""

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from course.config import load_course

COURSE = load_course()
LANES = COURSE.root / "lanes"


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"lane_{name}", LANES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hosted_ci_and_the_readme_name_every_lane():
    job = yaml.safe_load((COURSE.root / ".github/workflows/lanes.yml").read_text(encoding="utf-8"))["jobs"][
        "lane"
    ]
    scripts = {path.stem for path in LANES.glob("*.sh")} - {"all"}
    assert set(job["strategy"]["matrix"]["lane"]) == scripts
    assert "lanes=(lowest colab no_bubblewrap conda debian)" in (LANES / "all.sh").read_text(encoding="utf-8")
    readme = (LANES / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{lane}` |" in readme and os.access(LANES / f"{lane}.sh", os.X_OK) for lane in scripts)


@pytest.mark.parametrize("script", sorted(LANES.glob("*.sh")), ids=lambda path: path.stem)
def test_scripts_are_read_by_bash(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_learners_requirements_hold_in_colab():
    lines = (LANES / "colab.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    stated = tomllib.loads((COURSE.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {r.name: r.specifier for r in map(Requirement, stated["dependencies"])}
    assert {name for name in asked if name in pins} == set(asked) - {
        "torch",
        "mnist1d",
    }  # which come by other ways
    assert [name for name in pins if name in asked and not asked[name].contains(pins[name])] == []


def test_a_version_above_its_stated_bound_is_named(tmp_path):
    here = Version(version("numpy"))
    project = tmp_path / "pyproject.toml"
    project.write_text(f'[project]\ndependencies = ["numpy>={here.major}.{here.minor}"]\n')
    bounds = loaded("bounds")
    assert bounds.above(project) == []
    project.write_text(f'[project]\ndependencies = ["numpy>={here.major}.{here.minor - 1}"]\n')
    assert bounds.above(project) == [
        f"numpy: no version {here.major}.{here.minor - 1} can be had; {project} should state {here}"
    ]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The script of the table, which looks for results in an empty folder."""
    script = loaded("table")
    monkeypatch.setattr(script, "ROOM", tmp_path)
    return script


def note(folder, name, **facts):
    (folder / f"{name}.json").write_text(
        json.dumps({"lane": name.split("-")[0], "date": "2026-11-01", **facts})
    )


def test_the_table_names_what_a_lane_found(tmp_path, table, capsys):
    assert table.main() == 1  # no lane ran
    ran = {lesson.name: {"solved": [], "blank": []} for lesson in COURSE.written}
    note(tmp_path, "lowest", versions={"numpy": "2.1.0"}, ran=ran, imports=[])
    assert table.main() == 0
    for less in ({"ran": ran}, {"ran": {"01_x": {"solved": [], "blank": []}}, "imports": []}):
        note(tmp_path, "lowest", **less)
        assert table.main() == 1  # somebody stopped it
    note(tmp_path, "lowest", versions={"numpy": "2.1.0"}, ran={"01_x": {"solved": [], "blank": ["no"]}})
    assert table.main() == 1
    said = capsys.readouterr().out
    assert "2.1.0" in said and "lowest: 01_x, blank: no" in said
    assert "without a result here: colab, conda, debian, no_bubblewrap" in said


def test_a_lane_that_could_not_run_has_not_passed(tmp_path, table, monkeypatch):
    note(tmp_path, "no_bubblewrap-grading", sandbox="walls", graded=["01_x"], problems=[])
    note(tmp_path, "debian", not_run="no archive")
    lanes = table.results()
    assert [table.outcome(lane, 10) for lane in lanes.values()] == ["could not run", "passed"]
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}old\n{table.END}after\n")
    monkeypatch.setattr(table, "README", readme)
    monkeypatch.setattr(sys, "argv", ["table.py", "--write"])
    assert table.main() == 0
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| outcome | could not run | passed |" in text and "- debian: no archive" in text


def test_parts_of_a_lane_stand_in_one_column(tmp_path, table):
    note(tmp_path, "debian", versions={"numpy": "2"}, ran={"01_x": {"solved": [], "blank": []}})
    note(
        tmp_path,
        "debian-grading",
        versions={"numpy": "2"},
        sandbox="walls",
        graded=["01_x"],
        problems=["a zero"],
    )
    lanes = table.results()
    assert list(lanes) == ["debian"] and table.problems(lanes["debian"]) == ["a zero"]
    assert table.rows(lanes, 10)["lessons graded, solved and blank"] == ["1 of 10 (walls)"]


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_lane_that_cannot_run_fails_in_ci_alone(tmp_path, ci, code):
    for name, does in (("all.sh", (LANES / "all.sh").read_text()), ("x.sh", "exit 77"), ("y.sh", "exit 0")):
        path = tmp_path / "lanes" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(does if name == "all.sh" else f"#!/bin/bash\n{does}\n")
        path.chmod(0o755)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/bash\n")
    python.chmod(0o755)
    run = subprocess.run(
        [tmp_path / "lanes/all.sh", "x", "y"], env={**os.environ, "CI": ci}, capture_output=True, text=True
    )
    assert (run.returncode, "could not run here: x" in run.stdout) == (code, True), run.stdout + run.stderr


def test_a_stopped_lane_goes_on_with_the_same_versions_alone(tmp_path):
    earlier = loaded("lessons").earlier
    path = tmp_path / "lowest.json"
    assert earlier(path, {"numpy": "2.1.0"}) == {}
    path.write_text(json.dumps(result := {"versions": {"numpy": "2.1.0"}, "ran": {"01_x": {}}}))
    assert earlier(path, {"numpy": "2.1.0", "mnist1d": "0.0.2"}) == result  # which a first cell installed
    assert earlier(path, {"numpy": "2.2.0"}) == {}


def test_a_solved_lesson_has_the_answers_and_nothing_else_of_the_solution():
    lesson = COURSE.written[0]
    blank = nbformat.read(COURSE.release(lesson), as_version=4)
    solved = loaded("lessons").solved(COURSE, lesson)
    differ = [a.id for a, b in zip(solved.cells, blank.cells, strict=True) if a.source != b.source]
    assert differ == ["spectral-radius", "predict-death", "iterate", "overflow-iteration"]
    code = "\n".join(cell.source for cell in solved.cells if cell.cell_type == "code")
    assert not any(words in code for words in ("NotImplementedError", "### ", "course.exercises"))


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("1 + 1", []),
        ("1 / 0", ["ZeroDivisionError"]),
        ("import warnings; warnings.warn('old', DeprecationWarning, stacklevel=1)", ["DeprecationWarning"]),
        (
            "import warnings; warnings.warn_explicit('not ours', UserWarning, 'x.py', 1, module='elsewhere')",
            [],
        ),
    ],
)
def test_a_cell_that_fails_or_warns_is_found(tmp_path, monkeypatch, source, found):
    lessons = loaded("lessons")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    lessons._kernelspec(tmp_path, sys.executable)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    problems = list(lessons.run(notebook, False, tmp_path))
    assert [problem.split(": ")[1] for problem in problems] == found
