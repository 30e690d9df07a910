"""The gradebook in PostgreSQL: the rows of the classroom's own, two graders at once, one sentence for what a server refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from course.commands import classes
from course.grading.grade import grade
from course.grading.gradebook import made_of, scores
from course.intake import collect
from course.model import Course
from course.store import Store
from tests.postgres import HOST, PASSWORD, QUOTED, USER, Server, binaries, server
from tests.test_store import Canned, command, graded, points
from tests.toy_course import FULL, hand_in, toy_course

ROOT = Path(__file__).parents[1]
CLASS = ("ada", "bo", "cy", "di", "ed", "flo")
pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture(autouse=True)
def no_password(monkeypatch) -> None:
    """What a URL's password leaves in the environment ends with the test."""
    monkeypatch.setenv("PGPASSWORD", "")


@pytest.fixture
def course(tmp_path, postgres) -> Course:
    """A toy course with six submissions, and an empty database."""
    made = toy_course(tmp_path, registered=False)
    hand_in(made, tmp_path / "handed", dict.fromkeys(CLASS))
    collect([tmp_path / "handed"], made.root / "notebooks", made.classroom)
    return replace(made, database=postgres.url(postgres.fresh()))


def name(course: Course) -> str:
    """Of the database."""
    return course.database.rpartition("/")[2]


def held(postgres: Server, course: Course) -> list[tuple[object, ...]]:
    """Every score of every cell, with whose it is; a doubled one would be there twice."""
    with postgres.connect(name(course)) as connection:
        return connection.execute(
            "SELECT student_id, base_cell.name, auto_score, manual_score FROM grade"
            " JOIN base_cell ON grade.cell_id = base_cell.id"
            " JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id"
            " JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id ORDER BY 1, 2"
        ).fetchall()


def test_the_same_is_recorded_as_in_a_classroom_of_its_own(course, postgres, monkeypatch, capsys):
    own = replace(course, classroom=course.root / "own", database="")
    collect([course.root / "handed"], own.root / "notebooks", own.classroom)
    for each in (course, own):
        assert set(graded(each, fails=["bo"]).values()) == {"graded"}
        assert set(graded(each, fails=["bo"]).values()) == {"unchanged"}
    assert scores(course) == scores(own) and points(course)["bo"] == 0 and points(course)["ada"] > 0
    assert made_of(course) == made_of(own)
    assert made_of(own).keys() == {(student, "01_toy") for student in CLASS}
    assert not Store(course.classroom).gradebook.exists() and not (course.classroom / "backups").exists()

    url, plain = course.database, replace(course, database="")
    for words in (["report", "--db", url], ["feedback", "--db", url]):
        code, said = command(plain, monkeypatch, capsys, *words)
        assert code == 0, said
    pages = list(course.classroom.glob("feedback/*/*/*.html"))
    assert len(pages) == len(CLASS) and (course.classroom / "grades.csv").is_file()


def test_nbgrader_and_the_formgrader_see_it_and_no_password_is_seen(course, postgres):
    assert set(graded(course).values()) == {"graded"}
    script = (
        "import logging; from traitlets.config import Application; from nbgrader.apps.nbgraderapp import NbGraderApp;"
        "app = NbGraderApp(); app.load_config_file(); from nbgrader.coursedir import CourseDirectory;"
        "from nbgrader.apps.api import NbGraderAPI; print(app.config);"
        "api = NbGraderAPI(CourseDirectory(config=app.config), config=app.config);"
        "print(sorted(s['id'] for s in api.get_students()), api.get_assignment('01_toy')['num_submissions'])"
    )
    environment = {**os.environ, "COURSE_DB": course.database, "COURSE_CLASSROOM": str(course.classroom)}
    for words in (
        ["-c", script],
        ["-m", "nbgrader", "db", "upgrade"],
        ["-m", "nbgrader", "db", "student", "list"],
    ):
        run = subprocess.run(
            [sys.executable, *words], cwd=course.root, env=environment, capture_output=True, text=True
        )
        said = run.stdout + run.stderr
        assert run.returncode == 0, said
        assert PASSWORD not in said and QUOTED not in said
        if words[0] == "-c":
            assert f"{sorted(CLASS)} {len(CLASS)}" in said and "postgresql+psycopg://grader@" in said
    assert "ada" in said and "flo" in said


def test_marks_given_by_hand_survive(course, postgres):
    graded(course)
    with postgres.connect(name(course)) as connection:
        connection.execute("UPDATE grade SET manual_score = 1.5")
    before = points(course)
    course = replace(course, limits=replace(course.limits, cell_cpu=31))
    assert set(graded(course).values()) == {"graded"} and points(course) == before != {"ada": FULL}


GRADER = """
import sys
from dataclasses import replace
from pathlib import Path
from course.config import load_course
from tests.test_store import graded
course = load_course(Path(sys.argv[1]), Path(sys.argv[2]), environment={"COURSE_DB": sys.argv[3]})
print("ready", flush=True)
sys.stdin.readline()
for seconds in range(int(sys.argv[4]), int(sys.argv[5])):
    print(graded(replace(course, limits=replace(course.limits, cell_cpu=seconds))))
"""


def at_once(course: Course, rooms: list[Path], first: int, last: int) -> None:
    """Let one grader a classroom grade the whole class, again and again, all at once."""
    graders = [
        subprocess.Popen(
            [sys.executable, "-c", GRADER, str(course.root), str(room), course.database, str(first), str(last)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for room in rooms
    ]  # fmt: skip
    for grader in graders:
        assert grader.stdout and grader.stdout.readline() == "ready\n", grader.communicate()
    for grader in graders:
        assert grader.stdin
        grader.stdin.write("\n")
        grader.stdin.flush()
    for grader in graders:
        out, err = grader.communicate()
        expected = str(dict.fromkeys(CLASS, "graded"))
        assert out.splitlines() == [expected] * (last - first), err


def test_two_graders_at_once_double_and_lose_nothing(course, postgres):
    """On an empty database, in which both make the tables and record the lesson; then again, over marks given by hand."""
    alone = replace(course, database=postgres.url(postgres.fresh()))
    graded(alone)
    rooms = [course.root / "here", course.root / "there"]
    for room in rooms:
        collect([course.root / "handed"], course.root / "notebooks", room)
    at_once(course, rooms, 40, 42)
    assert held(postgres, course) == held(postgres, alone) and scores(course) == scores(alone)
    for each in (course, alone):
        with postgres.connect(name(each)) as connection:
            connection.execute("UPDATE grade SET manual_score = 0.5 WHERE auto_score > 3")
    at_once(course, rooms, 50, 52)
    graded(
        replace(alone, limits=replace(alone.limits, cell_cpu=50))
    )  # nbgrader asks a person to look again at such a mark
    assert held(postgres, course) == held(postgres, alone) and scores(course) == scores(alone)
    assert len({row[:2] for row in held(postgres, course)}) == len(held(postgres, course)) > len(CLASS)


def test_a_server_that_stops_in_mid_run_loses_nothing(course, postgres):
    class Stopping(Canned):
        def run(self, jobs):
            for number, outcome in enumerate(super().run(jobs)):
                if number == 2:
                    postgres.stop()
                yield outcome

    try:
        results = grade(course, list(course.lessons), backend=Stopping())
    finally:
        postgres.start()
    assert [r.state for r in results] == ["graded"] * 2 + ["failed"] * 4
    for result in results[2:]:
        assert "nothing is lost" in result.reason and "\n" not in result.reason and HOST in result.reason
    assert sorted(graded(course).values()) == ["graded"] * 4 + ["unchanged"] * 2
    assert set(points(course)) == set(CLASS)


def test_what_a_server_refuses_is_one_sentence(course, postgres, monkeypatch, capsys):
    plain, database = replace(course, database=""), name(course)
    closed = course.database.replace(f":{postgres.port}/", ":1/")
    cases = {
        postgres.url(database, "wrong-one"): "the user or the password is wrong",
        postgres.url("nowhere"): "make it by `createdb`",
        course.database.replace(USER, "nobody_known"): "the user or the password is wrong",
        closed: "is the server running",
    }
    for url, remedy in cases.items():
        for verb in ("grade", "report"):
            monkeypatch.setattr(classes, "chosen_backend", lambda *_: Canned())
            code, said = command(plain, monkeypatch, capsys, verb, "--db", url)
            assert code == 1 and remedy in said and said.count("\n") == 1, said
            assert (
                f"{HOST}:" in said and "wrong-one" not in said and PASSWORD not in said and QUOTED not in said
            )
    log = (course.classroom / "course.log").read_text()
    assert "wrong-one" not in log and PASSWORD not in log and QUOTED not in log
    monkeypatch.setitem(sys.modules, "psycopg", None)
    code, said = command(plain, monkeypatch, capsys, "report", "--db", course.database)
    assert code == 1 and "pip install -e 'course[postgresql]'" in said and said.count("\n") == 1
    assert len(list(course.classroom.glob("submitted/*/*/*.ipynb"))) == len(CLASS)


def test_without_a_server_it_is_skipped_but_never_in_ci(monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(binaries.__globals__["shutil"], "which", lambda _: None)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="apt install"):
        binaries()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt install"):
        binaries()
