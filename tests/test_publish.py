"""`course publish`: what is in the learners' repository, what is refused, what a second time does, and that one can begin there."""

import base64
import functools
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import zlib
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from course import cli
from course.config import load_course
from course.editions import leaks, publish
from course.editions.source import is_role, read_lesson
from course.exercises import exercises
from course.model import CourseError
from helpers.checks.values import encode

COURSE = load_course()
LESSON = COURSE.lessons[0]
STAND_IN = f"stand_ins/{LESSON.topic}.txt"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The whole course, published."""
    folder = tmp_path_factory.mktemp("published") / "students"
    return folder, publish.publish(COURSE, folder)


@pytest.fixture
def copy(tmp_path):
    """A checkout of lesson 1 that may be changed, and a folder to publish to."""
    root = tmp_path / "checkout"
    folders = ("helpers", f"solutions/{LESSON.name}", f"notebooks/{LESSON.name}", "docs", "course/exercises")
    for folder in folders:
        shutil.copytree(COURSE.root / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = (
        "pyproject.toml",
        "nbgrader_config.py",
        "README.md",
        "Makefile",
        "environment.yml",
        "constraints.txt",
        "lab.py",
    )
    for file in (*files, ".gitignore", "LICENSE", "LICENSE-text"):
        shutil.copy(COURSE.root / file, root)
    (root / "stand_ins").mkdir()
    shutil.copy(COURSE.root / STAND_IN, root / STAND_IN)
    return load_course(root, tmp_path / "classroom"), tmp_path / "students"


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def region(kind="answer", marker="### BEGIN SOLUTION"):
    """What stands in lesson 1 between two marks."""
    cell = next(c for c in read_lesson(COURSE, LESSON).cells if is_role(c, kind))
    return cell.source.split(marker)[1].split(marker.replace("BEGIN", "END"))[0].strip()


def solution_line():
    """A line of lesson 1 that learners do not see."""
    return max(region().splitlines(), key=len).strip()


@functools.cache
def secrets_of_lesson():
    return leaks.secrets(COURSE, LESSON)


def unmarked(source):
    """The lines of a cell that stand between no marks."""
    return re.sub(r"(###|===) BEGIN (.*)\n(?s:.*?)\1 END \2", "", source).splitlines()


def test_nothing_is_in_it_but_what_learners_need(published):
    folder, done = published
    found = names(folder)
    lessons = {f"notebooks/{x.name}/{x.name}.ipynb" for x in COURSE.written}
    helpers = {
        p.relative_to(COURSE.root).as_posix()
        for p in (COURSE.root / "helpers").rglob("*")
        if p.suffix in (".py", ".json", ".typed")
    }
    rest = {
        "README.md",
        "LICENSE",
        "LICENSE-text",
        "pyproject.toml",
        "environment.yml",
        "constraints.txt",
        "Makefile",
        "lab.py",
    }
    pages = {f"docs/{page}.md" for page in ("notation", "glossary", "references")}
    pictures = {
        f"docs/pictures/{name}-{scheme}.png" for name in ("hero", "hint") for scheme in ("dark", "light")
    }
    assert found == lessons | helpers | rest | pages | pictures | {".gitignore", publish.NOTE}
    assert done.files == len(found) - 1 and set(done.added) == found - {publish.NOTE}
    assert "course" not in tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert "nbgrader" not in (folder / "environment.yml").read_text(encoding="utf-8")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "make lab" in readme and "course grade" not in readme
    assert all(lesson.title in readme and COURSE.badge(lesson) in readme for lesson in COURSE.written)


def test_every_link_in_it_leads_somewhere(published):
    folder, _ = published
    found = names(folder)
    pages = {p: (folder / p).read_text(encoding="utf-8") for p in found if p.endswith(".md")}
    for name in found:
        if name.endswith(".ipynb"):
            cells = nbformat.read(folder / name, as_version=4).cells
            pages[name] = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    links = 0
    for name, text in pages.items():
        for part in text.split("](")[1:]:
            target = part.partition(")")[0].partition("#")[0]
            if target and "://" not in target and " " not in target and "\n" not in target and "/" in target:
                links += 1
                assert (folder / name).parent.joinpath(target).resolve().is_file(), (name, target)
    assert links > 20


def test_no_line_of_a_solution_a_hidden_test_or_a_mark_scheme_is_in_it(published):
    """Told apart by other means than publishing does: every line between two marks that the student edition has not."""
    folder, done = published
    assert done.secrets["solution line"] > 200 and done.secrets["rubric line"] > 100
    everything = [(folder / name).read_text(encoding="utf-8", errors="replace") for name in names(folder)]
    lines = {
        line.strip().strip('"') for text in everything for line in text.replace("\\n", "\n").splitlines()
    }
    for lesson in COURSE.written:
        cells = read_lesson(COURSE, lesson).cells
        shown = {line.strip() for cell in cells for line in unmarked(cell.source)}
        for cell in cells:
            closing = ""
            for line in map(str.strip, cell.source.splitlines()):
                if line[:9] in ("### BEGIN", "=== BEGIN"):
                    closing = line.replace("BEGIN", "END")
                    assert line not in lines
                elif line == closing:
                    closing = ""
                elif closing and len(line) > 45:
                    assert line not in lines or line in {*COURSE.given, *shown}, (lesson.name, line)


def test_what_learners_see_all_the_same_is_a_line_of_a_solution_with_a_reason():
    solutions = "\n".join(COURSE.source(lesson).read_text(encoding="utf-8") for lesson in COURSE.written)
    for line, reason in COURSE.given.items():
        assert line in solutions and len(reason) > 20


def test_a_solution_line_in_a_helper_is_refused_and_nothing_is_written(copy):
    course, folder = copy
    helper = course.root / "helpers" / "transformer.py"  # which lesson 1 does not import
    before = helper.read_text(encoding="utf-8")
    helper.write_text(f"{before}\n{solution_line()}\n", encoding="utf-8")
    number = before.count("\n") + 2
    said = rf"nothing was published(?s:.*)helpers/transformer\.py:{number} holds a solution line of {LESSON.name}: "
    with pytest.raises(CourseError, match=said):
        publish.publish(course, folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "disguise",
    [
        lambda line: f"# {line}",
        lambda line: f"    {line.replace(' ', '   ')}  # as before",
        lambda line: f'ANSWER = "{base64.b64encode(zlib.compress(line.encode())).decode()}"',
        lambda line: f'ANSWER = b"{base64.b85encode(gzip.compress(line.encode())).decode()}"',
        lambda line: f"ANSWER = bytes.fromhex('{line.encode().hex()}')",
        lambda line: json.dumps({"answer": f"x\n\t{line}"}),
    ],
    ids=["comment", "spaces", "base64", "base85", "hex", "json"],
)
def test_a_solution_line_is_found_in_every_disguise(disguise):
    (found,) = leaks.leaks({"x.py": f"x = 1\n{disguise(solution_line())}\n".encode()}, secrets_of_lesson())
    assert (found.line, found.secret.kind, found.secret.lines) == (2, "solution line", (solution_line(),))


def test_a_line_that_goes_on_is_another_line():
    line = "z = self.alpha * x1"
    secret = leaks.Secret("x", leaks.SOLUTION, (line,))
    for text in (f"{line} + self.beta * x2", f"{line}.sum()", f"{line}2"):
        assert leaks.leaks({"x.py": text.encode()}, [secret]) == [], text
    prose = leaks.Secret("x", leaks.RUBRIC, ("both paths and the reason are named",))
    assert leaks.leaks({"x.md": b"- both paths and the reason are named, at least once"}, [prose])


def test_sample_answers_and_hidden_tests_are_found():
    for kind, role, marker in (
        ("solution line", "response", "### BEGIN SOLUTION"),
        ("hidden-test line", "check", "### BEGIN HIDDEN TESTS"),
    ):
        found = leaks.leaks(
            {"docs/glossary.md": f"x\n{region(role, marker)}\n".encode()}, secrets_of_lesson()
        )
        assert {leak.secret.kind for leak in found} == {kind}


def test_a_rubric_line_and_a_right_answer_are_found():
    secrets = secrets_of_lesson()
    scheme = next(c for c in read_lesson(COURSE, LESSON).cells if "BEGIN MARK SCHEME" in c.source)
    level = max(scheme.source.split("=== BEGIN MARK SCHEME ===")[1].splitlines(), key=len)
    right = exercises(LESSON.topic)["spectral_radius"].right[0]
    line = max(right.body.strip().splitlines(), key=len)
    (found, other) = leaks.leaks(
        {"a.ipynb": json.dumps({"source": f"x\n{level}"}).encode(), "b.md": line.encode()}, secrets
    )
    assert (found.file, found.line, found.secret.kind) == ("a.ipynb", 1, "rubric line")
    assert (other.file, other.secret.kind) == ("b.md", "alternative-answer line")


def test_a_hidden_case_among_the_recorded_ones_is_found():
    """The recorded file of an exercise with one of its hidden cases, as the build writes cases."""
    secrets = secrets_of_lesson()
    name = f"{leaks.__name__}.json"
    content = (COURSE.root / "helpers/checks/recorded" / f"{LESSON.topic}.json").read_text(encoding="utf-8")
    assert leaks.leaks({name: content.encode()}, secrets) == []
    exercise = exercises(LESSON.topic)["spectral_radius"]
    asked = [(encode(list(c.args)), encode(c.probe)) for c in exercise.cases]
    drawn = [(encode(list(c.args)), encode(c.probe)) for c in exercise.drawn()]
    args, probe = next(each for each in drawn if each not in asked)
    line = json.dumps({"args": args, "probe": probe})
    leaking = content.replace(
        '"spectral_radius": {\n"cases": [\n', f'"spectral_radius": {{\n"cases": [\n{line},\n'
    )
    (found,) = leaks.leaks({name: leaking.encode()}, secrets)
    assert found.secret.kind == "hidden case" and leaking.splitlines()[found.line - 1].startswith(line)


def test_what_cannot_be_looked_into_is_refused():
    with pytest.raises(CourseError, match=r"x\.bin is no text, and nothing that can be unpacked"):
        leaks.leaks({"x.bin": b"\xff\xfe\x00\x99"}, [])
    secrets = secrets_of_lesson()
    (found,) = leaks.leaks({"x.z": zlib.compress(solution_line().encode())}, secrets)
    assert found.secret.kind == "solution line"


def test_stand_ins_for_answers_are_left_out_unless_asked_for(copy):
    course, folder = copy
    content = (course.root / STAND_IN).read_bytes()
    found = leaks.leaks({STAND_IN: content}, secrets_of_lesson())
    assert "solution line" in {leak.secret.kind for leak in found}  # there is something to leave out
    done = publish.publish(course, folder)
    assert done.left_out == (STAND_IN,) and STAND_IN not in names(folder)
    assert publish.publish(course, folder, stand_ins=True).added == (STAND_IN,)
    assert (folder / STAND_IN).read_bytes() == content
    assert publish.publish(course, folder).removed == (STAND_IN,)


def test_its_readme_promises_nothing_that_is_not_there(copy):
    course, folder = copy
    promised = {"on which processors": False, "Kaggle": False, "a [stand-in](stand_ins) does the work": True}
    whole = (course.root / "README.md").read_text(encoding="utf-8")
    assert all(words in whole for words in promised)
    for stand_ins in (False, True):
        publish.publish(course, folder, stand_ins=stand_ins)
        readme = (folder / "README.md").read_text(encoding="utf-8")
        assert {words: words in readme for words in promised} == {
            words: stand_ins and given for words, given in promised.items()
        }
        assert (
            "[glossary](docs/glossary.md)\nhold for all ten" in readme
            and "a nudge, the idea, a skeleton." in readme
        )


def test_a_stand_in_is_a_leak_wherever_else_it_lies(copy):
    course, folder = copy
    shutil.copy(course.root / STAND_IN, course.root / "helpers" / "data.py")
    with pytest.raises(CourseError, match=rf"helpers/data\.py:\d+ holds a solution line of {LESSON.name}"):
        publish.publish(course, folder, stand_ins=True)
    assert not folder.exists()


def packed(sources):
    """As learners' stand-ins are packed: JSON, zlib, base64 in lines of 100."""
    text = base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
    return "\n".join([*textwrap.wrap(text, 100), ""])


def test_stand_ins_in_any_other_place_are_a_leak():
    secrets = secrets_of_lesson()
    answers = packed({"f": region(), "g": "x" * 300})
    for name, text in {
        "answers.txt": f"# Packed.\n\n{answers}",
        "answers.py": f'"""Packed."""\n\nANSWERS = """\n{answers}"""\n',
        "answers.ipynb": json.dumps({"cells": [{"source": answers}]}, indent=1),
    }.items():
        found = leaks.leaks({name: text.encode()}, secrets)
        assert {leak.secret.kind for leak in found} >= {"solution line"}, name


def test_what_the_learners_makefile_does_not_know_is_not_advised(copy):
    course, folder = copy
    readme = course.root / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(
        text.replace("## Teach", "To read only, `make site` builds it.\n\n## Teach"), encoding="utf-8"
    )
    with pytest.raises(
        CourseError, match=r"tells learners to `make site`, which their own Makefile does not know"
    ):
        publish.publish(course, folder)


def test_scripts_and_pictures_that_learners_need_come_along(copy):
    course, folder = copy
    (course.root / "begin.py").write_text('"""Begin."""\n')
    (course.root / "docs" / "hint.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    makefile, readme = course.root / "Makefile", course.root / "README.md"
    text = makefile.read_text(encoding="utf-8")
    makefile.write_text(
        re.sub(
            r"^lab: .*\n\t.*$",
            "lab: .venv/learner\n\t$(BIN)/python begin.py $(LAB)",
            text,
            flags=re.MULTILINE,
        ),
        encoding="utf-8",
    )
    text = readme.read_text(encoding="utf-8")
    readme.write_text(
        text.replace("## Teach", '<img src="docs/hint.png" alt="a hint">\n\n## Teach'), encoding="utf-8"
    )
    publish.publish(course, folder)
    assert {"begin.py", "docs/hint.png"} <= names(folder)
    assert "begin.py" in (folder / "Makefile").read_text(encoding="utf-8")


def test_a_second_time_says_what_changed_and_keeps_what_is_not_ours(copy):
    course, folder = copy
    (folder / ".git").mkdir(parents=True)  # an empty clone
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    first = publish.publish(course, folder)
    assert len(first.added) == first.files and not first.changed and not first.others
    (folder / "course.ics").write_text("mine")
    again = publish.publish(course, folder)
    assert (again.added, again.changed, again.removed, again.others) == ((), (), (), ("course.ics",))
    page = course.root / "docs" / "notation.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    (course.root / "helpers" / "fresh.py").write_text('"""New."""\n')
    (course.root / "helpers" / "transformer.py").unlink()
    more = publish.publish(course, folder)
    assert (more.added, more.changed, more.removed) == (
        ("helpers/fresh.py",),
        ("docs/notation.md",),
        ("helpers/transformer.py",),
    )
    assert (folder / ".git" / "HEAD").is_file() and (folder / "course.ics").read_text() == "mine"
    assert names(folder) == {*first.added, "helpers/fresh.py", ".git/HEAD", "course.ics", publish.NOTE} - {
        "helpers/transformer.py"
    }


def test_what_was_changed_there_by_hand_is_not_lost(copy):
    course, folder = copy
    publish.publish(course, folder)
    (folder / "README.md").write_text("Room 12, Mondays")
    with pytest.raises(
        CourseError, match=r"README\.md was changed after it was published: take the change over"
    ):
        publish.publish(course, folder)
    assert (folder / "README.md").read_text() == "Room 12, Mondays"
    (folder / "README.md").unlink()
    assert publish.publish(course, folder).added == ("README.md",)


def test_a_folder_that_is_something_else_is_refused(copy):
    course, folder = copy
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(CourseError, match=r"holds something that `course publish` has not written"):
        publish.publish(course, folder)
    assert names(folder) == {"thesis.tex"}
    with pytest.raises(CourseError, match=r"is a file: name a folder"):
        publish.publish(course, folder / "thesis.tex")
    for place in (course.root, course.root.parent):
        with pytest.raises(CourseError, match=r"is the course itself, or holds it"):
            publish.publish(course, place)


def test_stopped_in_the_middle_it_is_finished_by_the_next(copy, monkeypatch):
    course, folder = copy
    publish.publish(course, folder)
    pages = [course.root / "docs" / name for name in ("glossary.md", "notation.md")]
    for page in pages:
        page.write_text(page.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    replace, moved = os.replace, []

    def once(source, target):
        if Path(target).suffix == ".md":
            if moved:
                raise KeyboardInterrupt
            moved.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(publish.os, "replace", once)
        publish.publish(course, folder)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["checkout", "classroom", "students"]
    assert publish.publish(course, folder).changed == ("docs/notation.md",)
    assert all((folder / "docs" / p.name).read_bytes() == p.read_bytes() for p in pages)


def test_it_may_have_another_address_than_the_course(copy):
    course, folder = copy
    publish.publish(course, folder, "ada/skips@term")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "git clone --branch term https://github.com/ada/skips && cd skips\n" in readme
    assert not [n for n in names(folder) if course.repository.encode() in (folder / n).read_bytes()]
    assert course.repository in course.release(LESSON).read_text(encoding="utf-8")


def test_a_lesson_that_is_not_built_is_refused(copy):
    course, folder = copy
    text = course.source(LESSON)
    text.write_text(text.read_text(encoding="utf-8") + "\n# %%\nx = 1\n", encoding="utf-8")
    with pytest.raises(CourseError, match=r"another text.*run `course build 1` first"):
        publish.publish(course, folder)
    assert not folder.exists()


def test_the_command_prints_the_counts(copy, monkeypatch):
    course, folder = copy
    monkeypatch.setattr(cli, "load_course", lambda: course)
    run = CliRunner().invoke(cli.app, ["publish", str(folder)])
    assert run.exit_code == 0, run.output
    counts = leaks.counted(leaks.secrets(course, LESSON))
    assert ", ".join(f"{count} {kind}s" for kind, count in counts.items()) in run.output
    assert f"{folder}: {len(names(folder)) - 1} files added, 0 changed, 0 removed" in run.output


def test_one_can_begin_there(published, tmp_path):
    """`make lab`, but for the network: the packages are this environment's, its own is installed from the published folder."""
    folder, _ = published
    planned = subprocess.run(
        ["make", "-n", "lab"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    install, lab = (
        next(line for line in planned.splitlines() if word in line) for word in ("--editable", "lab.py")
    )
    assert install.endswith("--constraint constraints.txt --editable '.[lab]'")
    assert lab.split() == [".venv/bin/python", "lab.py"]

    site = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    source = shutil.copytree(folder, tmp_path / "clone")
    subprocess.run([*pip, "--target", site, source], check=True, cwd=tmp_path)
    opened = subprocess.run(
        [sys.executable, "lab.py", "--version"], cwd=source, capture_output=True, text=True
    )
    assert opened.returncode == 0, opened.stderr
    assert re.search(r"^\d+\.\d+\.\d+$", opened.stdout, re.MULTILINE)  # JupyterLab was called
    for lesson in COURSE.written:
        name = f"notebooks/{lesson.name}/{lesson.name}.ipynb"
        assert (source / "my-lessons" / name).read_bytes() == (folder / name).read_bytes()
    cells = nbformat.read(folder / f"notebooks/{LESSON.name}/{LESSON.name}.ipynb", as_version=4).cells
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code" and is_role(cell, "check"))
    code = [
        c.source
        for c in cells[: first + 1]
        if c.cell_type == "code" and "skip-execution" not in c.metadata.get("tags", [])
    ]
    script = "import matplotlib; matplotlib.use('agg')\n" + "\n\n".join(code[:-1])
    script += f"\n\ntry:\n    {code[-1]}\nexcept AssertionError as error:\n    print(error)\nimport helpers; print(helpers.__file__)\n"
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "There is no answer here yet" in run.stdout
    assert run.stdout.splitlines()[-1] == str(site / "helpers" / "__init__.py")
