"""environment.yml asks for what pyproject.toml asks for, under conda-forge's names."""

import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

from course.config import load_course

ROOT = load_course().root
CONDA_NAMES = {
    "torch": "pytorch-cpu",
    "matplotlib": "matplotlib-base",
    "jupyter-client": "jupyter_client",
    "dask": "dask-core",
}
PROJECT, COURSE = (
    tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]
    for path in ("pyproject.toml", "course/pyproject.toml")
)
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


def conda_specs():
    return {
        spec.name.normalized: spec for spec in map(MatchSpec, (e for e in ENVIRONMENT if isinstance(e, str)))
    }


def pip_lines():
    return next(e["pip"] for e in ENVIRONMENT if isinstance(e, dict))


def requirements():
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"], *COURSE["dependencies"]]
    lines += [line for extra in COURSE["optional-dependencies"].values() for line in extra]
    return {r.name: r for r in map(Requirement, lines) if r.name != PROJECT["name"]}


@pytest.mark.parametrize("name", sorted(requirements()))
def test_each_requirement_has_its_conda_twin(name):
    specifier = str(requirements()[name].specifier)
    pip = [line.replace(" ", "") for line in pip_lines()]
    if f"{name}{specifier}" in pip:
        return
    spec = conda_specs()[CONDA_NAMES.get(name, name)]
    assert str(spec.version) == specifier


def test_nothing_else_is_asked_for():
    aliases = {CONDA_NAMES.get(name, name) for name in requirements()}
    assert set(conda_specs()) - aliases == {"python", "pip"}


def test_python_versions_agree():
    assert conda_specs()["python"].version == f"{PROJECT['requires-python']},<3.14"


def test_a_learner_installs_helpers_alone_and_an_instructor_every_room():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert setup["packages"]["find"]["include"] == ["helpers*", "stand_ins"]  # a folder of data, without code
    assert setup["package-data"]["stand_ins"] == ["*.txt"]
    assert {path.suffix for path in (ROOT / "stand_ins").iterdir()} == {".txt"}
    packages = tomllib.loads((ROOT / "course/pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]
    rooms = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "course").rglob("*.py")}
    assert set(packages["packages"]) == rooms
    assert COURSE["version"] == PROJECT["version"]


def test_constraints_pin_what_pyproject_asks_for():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {
        canonicalize_name(n): v
        for n, _, v in (line.partition("==") for line in lines if not line.startswith("#"))
    }
    for name, requirement in requirements().items():
        assert requirement.specifier.contains(Version(pins[canonicalize_name(name)])), name
