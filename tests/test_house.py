"""The house stands as CONTRIBUTING.md says: floors, no circle, nothing of one system alone, habits that name what there is.

`python -m tests.test_house` lists which room imports from which.
"""

import ast
import pkgutil
import re
import subprocess
import tomllib
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
# From the ground up. A room imports from its own floor or from below; what is on no floor is nowhere in the house.
FLOORS = (
    ("model", "store"),
    ("csvfile", "literal", "zone", "config", "markup", "exercises"),
    ("editions", "intake", "deadlines"),
    ("grading",),
    ("reports", "desk", "doctor", "site"),
    ("way", "progress"),
    ("commands",),
    ("cli",),
)
LINUX_ONLY = {"resource", "fcntl", "pwd", "grp", "termios", "pty"}


def modules(package: str) -> dict[str, Path]:
    """Dotted names and files of all modules below a folder of the checkout."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path, name: str, top_level: bool = False) -> set[str]:
    """Dotted names that a module imports, by statements anywhere in it or only by those that run when it is imported."""
    tree = parsed(path)
    found = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    waiting = list(tree.body) if top_level else list(ast.walk(tree))
    for node in waiting:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif top_level and isinstance(node, (ast.Try, ast.With)):
            waiting.extend(node.body)
    return found


def room(name: str) -> str:
    """The room of a module of the course: "grading" of course.grading.checker.proxy."""
    return name.split(".")[1] if "." in name else ""


def arrows() -> dict[str, dict[str, int]]:
    """Which room imports from which, and in how many modules."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    known = modules("course")
    for name, path in known.items():
        for other in {room(n) for n in imports(path, name) if n in known and room(n)} - {room(name), ""}:
            found[room(name)][other] += 1
    return {name: dict(sorted(others.items())) for name, others in sorted(found.items())}


def listing() -> str:
    """The floors from the top, each room with the rooms it imports from."""
    lines, found = [], arrows()
    for number, floor in reversed(list(enumerate(FLOORS))):
        for name in floor:
            others = ", ".join(f"{other} ({count})" for other, count in found.get(name, {}).items())
            lines.append(f"{number}  {name:9} -> {others or '(nothing)'}")
    count = sum(map(len, found.values()))
    return "\n".join([*lines, f"{count} arrows between {sum(map(len, FLOORS))} rooms"])


def test_every_room_is_on_a_floor_and_no_arrow_points_up():
    floor = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    rooms = {room(name) for name in modules("course") if room(name)}
    assert rooms == set(floor)
    up = [(a, b) for a, others in arrows().items() for b in others if floor[b] > floor[a]]
    assert up == [], listing()


def test_no_circle_between_rooms_or_modules():
    tuple(TopologicalSorter(arrows()).static_order())  # raises CycleError
    for package in ("course", "helpers"):
        known = modules(package)
        graph = {}
        for name, path in known.items():
            inside = {n for n in imports(path, name, top_level=True) if n in known}
            # `from package import module` names the package, too: that is no import of what its __init__ imports.
            graph[name] = {n for n in inside if n != name and not name.startswith(n + ".")}
        tuple(TopologicalSorter(graph).static_order())


def test_the_listing_shows_all_arrows():
    said = listing()
    assert re.search(r"^\d  commands +-> .*grading \(\d+\)", said, re.MULTILINE)
    assert re.search(r"^0  model +-> \(nothing\)$", said, re.MULTILINE)


@pytest.mark.parametrize(("package", "forbidden"), [("helpers", {"course", "tests"}), ("course", {"tests"})])
def test_learners_code_knows_no_grading_and_the_course_knows_no_tests(package, forbidden):
    for name, path in modules(package).items():
        assert not {n.partition(".")[0] for n in imports(path, name)} & forbidden, path


@pytest.mark.parametrize("package", ["helpers", "course"])
def test_nothing_of_one_system_is_imported_before_it_is_needed(package):
    for name, path in modules(package).items():
        assert not imports(path, name, top_level=True) & LINUX_ONLY, path


def test_every_console_prints_brackets_as_they_are():
    for path in modules("course").values():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console":
                words = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
                assert words.get("markup") is False, f"{path}:{node.lineno}"


def test_a_checkout_has_the_same_line_ends_on_windows(tmp_path):
    def git(*words):
        run = subprocess.run(["git", "-C", str(tmp_path), *words], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    git("init", "--quiet")
    git("config", "core.autocrlf", "true")  # as Git for Windows comes
    git("config", "core.eol", "crlf")
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    for name in ("lesson.py", "lesson.ipynb", "golden.json", "Makefile", "run", "environment.yml"):
        (tmp_path / name).write_bytes(b"one\ntwo\n")
    git("add", ".")
    for path in tmp_path.glob("*"):
        if path.is_file():
            path.unlink()
    git("checkout", "--", ".")
    assert {
        p.name: p.read_bytes() for p in tmp_path.glob("*") if p.is_file() and b"\r" in p.read_bytes()
    } == {}


def test_the_newest_entry_of_the_changelog_is_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions[0] == project["version"]
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)


def test_the_words_of_the_glossary_are_the_words_of_the_code():
    text = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    places = re.findall(r"`(course(?:\.\w+)+)`", text)
    assert len(places) > 15
    for place in places:
        assert pkgutil.resolve_name(place), place


def test_hosted_ci_runs_with_and_without_bubblewrap():
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {*matrix["bubblewrap"], *(extra["bubblewrap"] for extra in matrix["include"])} == {True, False}
    steps = [step.get("run", "") for step in job["steps"]]
    assert any("install --yes bubblewrap" in step for step in steps) and "bash .ci/run" in steps


if __name__ == "__main__":
    print(listing())
