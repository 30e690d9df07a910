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


def test_the_table_names_what_a_lane_found(tmp_path, monkeypatch, capsys):
    table = loaded("table")
    monkeypatch.setattr(table, "ROOM", tmp_path)
    assert table.main() == 1  # no lane ran
    lane = {"lane": "lowest", "versions": {"numpy": "2.1.0"}, "ran": ["01_x"], "problems": {}}
    (tmp_path / "lowest.json").write_text(json.dumps(lane))
    assert table.main() == 0
    (tmp_path / "lowest.json").write_text(json.dumps({**lane, "problems": {"01_x, blank": ["no"]}}))
    assert table.main() == 1
    said = capsys.readouterr().out
    assert "2.1.0" in said and "lowest: 01_x, blank" in said


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
    path = tmp_path / "x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    problems = list(lessons.run(path, False, tmp_path))
    assert [problem.split(": ")[1] for problem in problems] == found
