"""The build gives the same bytes every time, notices drift, leaks nothing, and refuses what would."""

import re
import shutil
from dataclasses import replace

import nbformat
import pytest

from course.config import load_course
from course.editions import build, overview
from course.editions.lint import lint
from course.editions.source import is_role, read_lesson
from course.model import CourseError

COURSE = load_course()
ALL = pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)


@pytest.fixture
def copy(tmp_path):
    """A checkout that may be damaged: lesson 1 with its notebooks, and what builds it."""
    for folder in ("helpers", "solutions/01_iterated_convolution", "notebooks/01_iterated_convolution"):
        shutil.copytree(COURSE.root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "nbgrader_config.py"):
        shutil.copy(COURSE.root / file, tmp_path)
    return load_course(tmp_path, tmp_path / "classroom")


def both(course):
    lesson = course.lessons[0]
    return [course.solution(lesson).read_bytes(), course.release(lesson).read_bytes()]


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.slow
@ALL
def test_generated_notebooks_are_up_to_date(lesson):
    assert build.check(COURSE, lesson) == []


def test_the_map_in_the_readme_is_up_to_date():
    assert (COURSE.root / "README.md").read_text(encoding="utf-8") == overview.with_map(COURSE)


@pytest.mark.slow
def test_building_again_changes_no_byte(copy):
    before = both(copy)
    assert not build.build(copy, copy.lessons[0]).changed
    assert both(copy) == before


@pytest.mark.kernel
def test_executing_again_changes_no_byte(copy):
    """On one processor: another may round a coordinate of a figure otherwise, so the first build is made here."""
    build.build(copy, copy.lessons[0], force=True)
    before = both(copy)
    assert not build.build(copy, copy.lessons[0], force=True).changed
    assert both(copy) == before


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["solution", "release"])
def test_one_changed_character_is_drift(copy, edition):
    path = getattr(copy, edition)(copy.lessons[0])
    edit(path, "signal", "sigmal")
    assert any(str(path) in sentence for sentence in build.check(copy, copy.lessons[0]))


@pytest.mark.slow
def test_a_changed_output_is_drift(copy):
    edit(copy.solution(copy.lessons[0]), '"output_type": "stream"', '"output_type" : "stream"')
    assert build.check(copy, copy.lessons[0])
    build.build(copy, copy.lessons[0])
    assert build.check(copy, copy.lessons[0]) == []


def test_a_changed_text_or_helper_is_drift(copy):
    edit(copy.root / "helpers" / "convolution.py", '"""', '"""Changed. ')
    assert "other helpers" in build.check(copy, copy.lessons[0])[0]


def test_a_missing_notebook_is_drift(copy):
    copy.release(copy.lessons[0]).unlink()
    assert "does not exist" in build.check(copy, copy.lessons[0])[0]


def hidden_lines(notebook):
    """Lines of solutions, hidden tests and mark schemes that stand nowhere else in the notebook."""
    inside, outside, closing = set(), set(), ""
    for cell in notebook.cells:
        for line in map(str.strip, cell.source.splitlines()):
            if "BEGIN" in line and line[:3] in ("###", "==="):
                closing = line.replace("BEGIN", "END")
            elif line == closing:
                closing = ""
            elif len(line) > 12:
                (inside if closing else outside).add(line)
    return inside - outside


@pytest.mark.slow
@ALL
def test_no_answer_hidden_test_or_mark_scheme_reaches_learners(lesson):
    secrets = hidden_lines(read_lesson(COURSE, lesson))
    assert secrets
    student = nbformat.read(COURSE.release(lesson), as_version=4)
    lines = {line.strip() for cell in student.cells for line in cell.source.splitlines()}
    assert not secrets & lines
    assert not any(
        word in line for line in lines for word in ("BEGIN SOLUTION", "HIDDEN TEST", "MARK SCHEME")
    )
    assert not any(cell.get("outputs") for cell in student.cells)
    assert sorted(p.name for p in COURSE.release(lesson).parent.iterdir() if not p.name.startswith(".")) == [
        f"{lesson.name}.ipynb"
    ]


@ALL
def test_header_prints_the_measured_seconds_within_budget(lesson):
    seconds = build.cpu_seconds(COURSE, lesson)
    assert 0 < seconds <= lesson.cpu_seconds
    assert f"{seconds:g} CPU seconds" in nbformat.read(COURSE.solution(lesson), as_version=4).cells[0].source


@ALL
def test_lint_finds_nothing(lesson):
    assert lint(COURSE, lesson, nbformat.read(COURSE.solution(lesson), as_version=4)) == []


def first(notebook, role):
    return next(c for c in notebook.cells if c.cell_type == "code" and is_role(c, role))


def misspell(notebook):
    cell = first(notebook, "check")
    cell.source = cell.source.replace("### BEGIN HIDDEN TESTS", "### BEGIN HIDDEN TEST")


def unlock_task(notebook):
    first(notebook, "setup").metadata.nbgrader.update(task=True, locked=False)


def rename_kernel(notebook):
    notebook.metadata.kernelspec.name = "my-private-env"


def drop_points(notebook):
    first(notebook, "check").metadata.nbgrader.points = None


def repeat_grade_id(notebook):
    first(notebook, "check").metadata.nbgrader.grade_id = first(notebook, "answer").metadata.nbgrader.grade_id


def lose_badge(notebook):
    notebook.cells[0].source = notebook.cells[0].source.replace("/blob/main/", "/blob/other/")


def lose_alt_text(notebook):
    next(
        o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    ).metadata = {}


def forget_solution(notebook):
    cell = first(notebook, "answer")
    cell.source = "\n".join(line for line in cell.source.splitlines() if "SOLUTION" not in line)


def leave_region_open(notebook):
    cell = first(notebook, "answer")
    cell.source = cell.source.replace("### END SOLUTION", "")


def use_a_demo_name(notebook):
    first(notebook, "check").source += "\nassert made_in_a_demo_cell"


def end_with_a_value(notebook):
    first(notebook, "check").source += "\nspectral_radius(3) > 0"


def talk_to_nbval(notebook):
    first(notebook, "answer").source += "\n# NBVAL_IGNORE_OUTPUT (rounding)"


def put_scheme_in_the_open(notebook):
    cell = next(c for c in notebook.cells if c.cell_type == "markdown" and "nbgrader" not in c.metadata)
    cell.source += "\n=== BEGIN MARK SCHEME ===\nall\n=== END MARK SCHEME ==="


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (misspell, "misspelt marker"),
        (unlock_task, "task cell must be locked"),
        (rename_kernel, "kernelspec"),
        (drop_points, "points"),
        (repeat_grade_id, "used twice"),
        (lose_badge, "Colab badge"),
        (lose_alt_text, "alt text"),
        (forget_solution, "needs a region"),
        (leave_region_open, "is missing"),
        (use_a_demo_name, "made_in_a_demo_cell"),
        (end_with_a_value, "partial credit"),
        (talk_to_nbval, "varies=true"),
        (put_scheme_in_the_open, "not of its kind"),
    ],
)
def test_lint_refuses(damage, word):
    lesson = COURSE.lessons[0]
    notebook = nbformat.read(COURSE.solution(lesson), as_version=4)
    damage(notebook)
    assert any(word in problem for problem in lint(COURSE, lesson, notebook))


@pytest.mark.kernel
def test_a_failing_solution_stops_the_build_and_keeps_the_old_notebooks(copy):
    before = both(copy)
    edit(
        copy.source(copy.lessons[0]),
        "### BEGIN SOLUTION\n",
        "### BEGIN SOLUTION\n    raise RuntimeError('broken')\n",
    )
    with pytest.raises(CourseError, match="broken"):
        build.build(copy, copy.lessons[0])
    assert both(copy) == before


def test_two_roles_on_one_line_are_refused(copy):
    edit(copy.source(copy.lessons[0]), "# %% bootstrap=true", '# %% bootstrap=true setup="x"')
    with pytest.raises(CourseError, match="at most one of"):
        read_lesson(copy, copy.lessons[0])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("# %matplotlib inline", "magics and shell commands are not used in a lesson"),
        ("# !pip install skips", "magics and shell commands are not used in a lesson"),
        ("    radius = = 2", "unexpected indent|invalid syntax"),
    ],
)
def test_what_is_no_python_is_named_with_its_cell_and_line(copy, line, why):
    lesson = copy.lessons[0]
    path = copy.source(lesson)
    path.write_text(path.read_text(encoding="utf-8") + f"\n# %%\nx = 1\n{line}\n", encoding="utf-8")
    number = len(path.read_text(encoding="utf-8").splitlines())
    last = len(read_lesson(COURSE, lesson).cells) + 1
    code = re.escape(line.removeprefix("# ").strip())
    for verb in (build.build, build.check):
        with pytest.raises(
            CourseError, match=rf"{path}:{number}: cell {last} \(.*\), line 2 is no Python: '{code}': ({why})"
        ):
            verb(copy, lesson)


def test_a_helper_that_is_no_python_is_named(copy):
    helper = copy.root / "helpers" / "convolution.py"
    helper.write_text(helper.read_text(encoding="utf-8") + "\nx = = 1\n", encoding="utf-8")
    with pytest.raises(CourseError, match=rf"{helper} is no Python: invalid syntax"):
        build.build(copy, copy.lessons[0])


def test_the_line_ends_of_windows_are_no_drift(copy):
    """A zip of the repository, or git without .gitattributes, may bring them."""
    lesson = copy.lessons[0]
    for path in [copy.source(lesson), *copy.root.joinpath("helpers").rglob("*.py")]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert build.check(copy, lesson) == []


def test_slug_and_ref_are_set_once(copy):
    lesson = copy.lessons[0]
    fork = replace(copy, repository="someone/fork", ref="v2")
    notebook = read_lesson(fork, lesson)
    name = "notebooks/01_iterated_convolution/01_iterated_convolution.ipynb"
    assert f"colab.research.google.com/github/someone/fork/blob/v2/{name}" in notebook.cells[0].source
    bootstrap = next(c for c in notebook.cells if c.id == "bootstrap").source
    assert 'home, ref = "https://github.com/someone/fork", "v2"' in bootstrap
    assert build.check(fork, lesson) == [  # it is written again, and not executed
        f"{path(lesson)} was changed after it was built" for path in (fork.solution, fork.release)
    ]


def test_an_unknown_lesson_is_named():
    with pytest.raises(CourseError, match=r"'10_more'.*01_iterated_convolution"):
        COURSE.lesson("10_more")
