"""The whole way of a class, and that honest work scores what stock nbgrader gives, cell by cell."""

import copy
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook
from nbgrader.preprocessors import Execute
from nbgrader.utils import determine_grade

from course.config import grader_config, load_course
from course.editions.source import is_role
from course.grading.execute import UNBEGUN, is_check
from course.grading.grade import grade
from course.grading.gradebook import scores
from course.grading.job import key_and_files
from course.grading.sandboxes.choose import confinement
from course.grading.slice import spared
from course.intake import collect
from course.model import Limits
from course.reports.feedback import feedback
from course.reports.ledger import Status, read_ledger
from course.store import notebook_text
from tests import golden
from tests.bank import bank, exercises
from tests.damage.paper import paper_of
from tests.damage.recipes import damages
from tests.jobs import EMPTIED, job_of, sliced
from tests.jobs import graded as graded_alone
from tests.sample_class import (
    ENDLESS,
    LESSONS,
    RECIPES,
    SCORES,
    filled,
    messy_zip,
    roster,
    solutions,
    submission,
)

COURSE = load_course()


def by_cell(notebook):
    """Score of each check cell, by nbgrader's own reading of its outputs."""
    return {c.metadata.nbgrader.grade_id: determine_grade(c)[0] for c in notebook.cells if is_check(c)}


def by_stock(kernel, notebook, key):
    """Scores that stock nbgrader gives: everything in the student's kernel, hidden tests included.

    Cells that no grade depends on are left out: nbval runs them, in the solutions. Of what never ends the end is not waited for long.
    """
    locked = {
        c.metadata.nbgrader.grade_id: c.source
        for c in key.cells
        if c.metadata.get("nbgrader", {}).get("locked")
    }
    left_out = spared(notebook_text(key).encode(), notebook_text(notebook).encode())
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        cell.source = locked.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    made.cells = [new_code_cell(EMPTIED), *(cell for at, cell in enumerate(made.cells) if at not in left_out)]
    stock = Execute(timeout_func=lambda cell: 3 if ENDLESS in cell.source else 60)
    executed, _ = stock.preprocess(made, {"metadata": {"path": str(COURSE.root)}}, km=kernel)
    assert executed.cells[0].outputs == []
    return by_cell(executed)


def full_marks(key):
    return {c.metadata.nbgrader.grade_id: float(c.metadata.nbgrader.points) for c in key.cells if is_check(c)}


def honest(lesson):
    """A solved notebook, and after it the first and the second alternative of every exercise with its check: one kernel for all.

    Returns:
        The notebook, and its key; the grade_ids of the alternatives end with a number.
    """
    key = nbformat.read(COURSE.solution(lesson), as_version=4)
    notebook = filled(lesson, solutions(lesson))
    for number in (1, 2):
        alternatives = {name: bank(lesson).right[name][number - 1].source for name in exercises(lesson)}
        for made, whole in (
            (filled(lesson, solutions(lesson) | alternatives), notebook),
            (nbformat.read(COURSE.solution(lesson), as_version=4), key),
        ):
            for cell in made.cells:
                if cell.cell_type == "code" and (is_role(cell, "answer") or is_check(cell)):
                    cell.metadata.nbgrader.grade_id += f"_{number}"
                    cell.id = f"{cell.id[:60]}-{number}"
                    whole.cells.append(cell)
    return notebook, key


def scored_by_slice(notebook, key):
    """Grade what earns full marks by its slice alone, without the second run in whole that comes before a point is lost.

    Returns:
        Scores by cell, and the positions of the cells that were spared.
    """
    alone = graded_alone(notebook, key)
    outcome, scored = alone.outcome, by_cell(alone.notebook)
    assert scored == full_marks(key) and set(alone.told.values()) == {"passed"}
    assert (outcome.kernels, outcome.left_out) == (1, {}) and len(outcome.spared) > 10
    shown = [alone.notebook.cells[at].outputs[-1].text for at in outcome.spared]
    assert all("not run for the grade" in text for text in shown)
    assert outcome.job.digest != replace(outcome.job, spared=()).digest
    return scored, outcome.spared


@pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)
def test_honest_work_scores_full_marks_by_its_slice_as_under_stock_nbgrader(lesson, plain_kernel):
    notebook, key = honest(lesson)
    scored, left_out = scored_by_slice(notebook, key)
    assert len(scored) == 3 * len(exercises(lesson))
    assert scored == by_stock(plain_kernel, notebook, key)
    # The solution's own slice is what has run, unless the alternatives need more.
    own = filled(lesson, solutions(lesson)), nbformat.read(COURSE.solution(lesson), as_version=4)
    if left_out != sliced(job_of(*own)).spared:
        assert len(scored_by_slice(*own)[0]) == len(exercises(lesson))


@pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)
def test_a_blank_notebook_scores_zero(lesson):
    content, files = key_and_files(COURSE.solution(lesson).parent, COURSE.release(lesson).parent)
    key = nbformat.reads(content.decode(), as_version=4)
    alone = graded_alone(nbformat.read(COURSE.release(lesson), as_version=4), key, Limits(), files)
    assert by_cell(alone.notebook) == dict.fromkeys(full_marks(key), 0)
    assert all(hint.startswith(UNBEGUN) for hint in alone.told.values())
    assert alone.outcome.kernels == 1 and alone.outcome.spared  # it is not run in whole for what nobody began


class_of_students = pytest.mark.xdist_group("class")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The sample class after collect and grade: course, triage, results; an endless loop may take five CPU seconds."""
    folder = tmp_path_factory.mktemp("class")
    course = load_course(classroom=folder / "classroom")
    archive, students = messy_zip(folder / "class.zip"), roster(folder / "roster.csv")
    triage = collect([archive], course.root / "notebooks", course.classroom, students)
    triage.write(course.classroom)
    course = replace(course, limits=Limits(cell_cpu=5, interrupted=30))
    return course, triage, grade(course, list(LESSONS))


@class_of_students
def test_the_sample_class_scores_what_is_stated_by_hand(graded):
    course, _, results = graded
    assert [r for r in results if r.state != "graded"] == []
    expected = {
        (name, lesson.name): score
        for name, both in SCORES.items()
        for lesson, score in zip(LESSONS, both, strict=True)
    }
    assert {(s.student, s.lesson): s.score for s in scores(course)} == expected


@class_of_students
def test_the_sample_class_is_sorted_scored_and_told_what_it_was(graded):
    course, triage, _ = graded
    found = {
        "scores": {f"{s.student}/{s.lesson}": s.score for s in scores(course)},
        "triage": golden.triage_of(triage),
        "told": golden.told_of(course.classroom),
    }
    assert golden.frozen("sample_class", found) == ""


@class_of_students
def test_the_gradebook_knows_the_names_of_the_roster(graded):
    course, _, _ = graded
    settings = grader_config(course).CourseDirectory
    with Gradebook(settings.db_url, settings.course_id) as gradebook:
        assert {s.id: s.first_name for s in gradebook.students} == {name: name.title() for name in RECIPES}


@class_of_students
def test_nobody_gets_a_silent_zero(graded):
    course, triage, _ = graded
    unreadable = {
        row.student: row.reason
        for row in triage.rows
        if row.file.endswith(".ipynb") and row.status == "unreadable"
    }
    assert set(unreadable) == {"max"} and "cut off" in unreadable["max"]
    assert {person.id for people in triage.absent.values() for person in people} >= {"nora"}
    assert not {"max", "nora"} & {s.student for s in scores(course)}
    assert not (course.classroom / "submitted" / "max").exists()


@class_of_students
def test_open_answers_wait_for_a_person_and_blank_ones_do_not(graded):
    course, _, _ = graded
    waiting = {s.student for s in scores(course) if s.waiting}
    assert waiting == set(RECIPES) - {"dora"}


@class_of_students
@pytest.mark.parametrize(
    "student", ["ada", "blaise", "carl", "dora", "emmy", "felix", "grace", "henri", "kim", "lea"]
)
def test_the_class_scores_what_stock_nbgrader_gives_cell_by_cell(graded, plain_kernel, student):
    """Demonstrations are left out there, and not here: before a point is lost, everything above runs."""
    course, _, _ = graded
    for lesson in LESSONS:
        key = nbformat.read(course.solution(lesson), as_version=4)
        path = course.classroom / "autograded" / student / lesson.name / f"{lesson.name}.ipynb"
        sent = nbformat.reads(submission(student, lesson), as_version=4)
        assert by_cell(nbformat.read(path, as_version=4)) == by_stock(plain_kernel, sent, key)


@class_of_students
def test_grading_again_changes_nothing_and_takes_up_where_it_was_killed(graded):
    course, _, _ = graded
    again = grade(course, list(LESSONS))
    assert [r for r in again if r.state != "unchanged"] == []
    killed = course.classroom / "autograded" / "ada" / LESSONS[0].name / "graded.json"
    killed.unlink()
    states = {(r.student, r.lesson): r.state for r in grade(course, list(LESSONS), ["ada"])}
    assert states == {("ada", LESSONS[0].name): "graded", ("ada", LESSONS[1].name): "unchanged"}


@class_of_students
def test_feedback_has_a_page_for_each_submission_and_keeps_the_secrets(graded):
    course, _, _ = graded
    pages = {
        (p.parts[-3], p.parts[-2]): p.read_text(encoding="utf-8") for p in feedback(course, list(LESSONS))
    }
    assert set(pages) == {
        (student, lesson.name) for student in {*RECIPES, "max", "nora"} for lesson in LESSONS
    }
    for name, why in (("max", "cut off"), ("nora", "")):  # whose file cannot be read, and who sent nothing
        told = [pages[name, lesson.name] for lesson in LESSONS]
        assert all("not a zero" in page for page in told) and any(why in page for page in told)
    key = nbformat.read(course.solution(LESSONS[0]), as_version=4)
    secrets = [
        line.strip()
        for cell in key.cells
        if cell.cell_type == "code" and is_role(cell, "check")
        for line in cell.source.partition("### BEGIN HIDDEN TESTS")[2].splitlines()
        if len(line.strip()) > 25
    ]
    for (student, _), html in pages.items():
        assert "MARK SCHEME" not in html and "HIDDEN TESTS" not in html and "<script" not in html
        assert str(course.root) not in html and str(course.classroom) not in html
        assert student in html.lower()  # by name, where the roster knows one
        assert not [line for line in secrets if line in html]
    assert "kernel" in pages["felix", LESSONS[0].name] or "stopped" in pages["felix", LESSONS[0].name]
    assert "No module named" in pages["emmy", LESSONS[0].name]
    assert "There is no answer here yet" in pages["dora", LESSONS[0].name]


@class_of_students
def test_the_walls_in_force_are_stored_with_the_grades(graded):
    course, _, _ = graded
    for path in course.classroom.glob("autograded/*/*/graded.json"):
        assert confinement().words in path.read_text()


@class_of_students
def test_everyone_stands_in_the_report(graded):
    course, _, _ = graded
    rows = read_ledger(course).rows()
    assert {"max", "nora"} | set(RECIPES) == set(rows)
    assert {e.status for e in rows["max"].values()} == {Status.UNREADABLE}
    assert {e.status for e in rows["nora"].values()} == {Status.MISSING}
    assert {e.mark for e in rows["carl"].values()} == {0.0}


@pytest.mark.xdist_group("damage")
def test_damaged_notebooks_score_as_if_nothing_had_happened(tmp_path):
    """Every file of the damage suite is graded as expected, or was named with its reason and has no grade.

    What was rebuilt to the same code is executed once.
    """
    lesson = COURSE.lessons[0]
    cases = {f"s{i:03d}": damage for i, damage in enumerate(damages(paper_of(COURSE, lesson)))}
    for student, damage in cases.items():
        path = tmp_path / "in" / student / damage.file
        path.parent.mkdir(parents=True)
        path.write_bytes(damage.content)
    course = load_course(classroom=tmp_path / "classroom")
    triage = collect([tmp_path / "in"], course.root / "notebooks", course.classroom)
    placed = {p.parts[-3]: p for p in course.classroom.glob(f"submitted/*/{lesson.name}/*.ipynb")}
    named = {row.student: row for row in triage.rows}
    for student in set(cases) - set(placed):
        assert cases[student].expected_score == "ungraded" and named[student].reason
    alike = {}
    for student, path in sorted(placed.items()):
        code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        alike.setdefault(tuple(code), []).append(student)
    first = {student: students[0] for students in alike.values() for student in students}
    assert {r.state for r in grade(course, [lesson], sorted(set(first.values())))} == {"graded"}
    marks = full_marks(nbformat.read(course.solution(lesson), as_version=4))
    for student, twin in first.items():
        path = course.classroom / "autograded" / twin / lesson.name / f"{lesson.name}.ipynb"
        expected = {
            name: cases[student].earns(name.removesuffix("_check")) * points for name, points in marks.items()
        }
        assert by_cell(nbformat.read(path, as_version=4)) == expected, cases[student].name
