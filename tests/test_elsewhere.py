"""Where things are otherwise: folders with odd names, machines that are no Linux, a classroom in the wrong place."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from course import doctor, literal
from course.config import grader_config, load_course, run_quietly
from course.editions import build
from course.grading.grade import grade
from course.grading.gradebook import scores
from course.intake.collecting import collect
from course.model import CourseError, Score
from course.reports.feedback import feedback
from tests.toy_course import FULL, hand_in, toy_course

COURSE = load_course()
FOLDERS = ["Kurs (2026)", "C++ Kurs", "Klasse [WS26]", "Übung 100% x%20y", "it's #1", "{a} *", "a?b|c^d$"]
EVERYTHING = "C++ Kurs (2026) [WS26], Übung 100% #1 it's {a}"


@pytest.fixture
def odd(tmp_path, monkeypatch, request):
    """A toy course in a folder with an odd name, temporary files included."""
    root = tmp_path / request.param
    (root / "tmp").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(root / "tmp"))
    course = toy_course(root, registered=False)
    hand_in(course, root / "class", {"ada": None, "ben [2]": {}})
    return course


def _place(course):
    """Put what was handed in where nbgrader looks for it."""
    (lesson,) = course.lessons
    for folder in (course.root / "class").iterdir():
        shutil.copytree(folder, course.classroom / "submitted" / folder.name / lesson.name)


@pytest.mark.kernel
@pytest.mark.parametrize("odd", [EVERYTHING], indirect=True)
def test_class_13_a_class_is_graded_in_a_folder_with_an_odd_name(odd):
    (lesson,) = odd.lessons
    collect([odd.root / "class"], odd.root / "notebooks", odd.classroom)
    results = grade(odd, [lesson])
    assert [r.state for r in results] == ["graded"] * 2, results
    expected = [Score("ada", lesson.name, FULL, FULL, False), Score("ben_2", lesson.name, 0.0, FULL, False)]
    assert [s.score for s in scores(odd)] == [s.score for s in expected]
    pages = list(feedback(odd, [lesson]))
    assert all("<b>10</b> of 10 points" in p.read_text(encoding="utf-8") for p in pages if "ada" in p.parts)
    assert len(pages) == 2
    assert [r.state for r in grade(odd, [lesson])] == ["unchanged"] * 2
    assert build.release(odd, lesson, odd.solution(lesson).read_text()) == odd.release(lesson).read_text()


@pytest.mark.kernel
@pytest.mark.parametrize("odd", [EVERYTHING], indirect=True)
def test_class_13_nbgraders_own_button_works_in_a_folder_with_an_odd_name(odd):
    (lesson,) = odd.lessons
    _place(odd)
    build.generate(odd, lesson, odd.root, database=True)
    config = grader_config(odd)
    config.CourseDirectory.assignment_id, config.CourseDirectory.student_id = lesson.name, "ada"
    run_quietly(Autograde(coursedir=CourseDirectory(config=config), config=config), "ada")
    assert {s.student: s.score for s in scores(odd)} == {"ada": FULL}
    assert not list(odd.classroom.glob("autograded/ada/*/*.py"))  # the solutions' text is not copied along


@pytest.mark.slow
@pytest.mark.parametrize("odd", FOLDERS, indirect=True)
def test_class_13_nbgrader_finds_lessons_and_students_in_a_folder_with_an_odd_name(odd):
    (lesson,) = odd.lessons
    _place(odd)
    api = NbGraderAPI(CourseDirectory(config=grader_config(odd)))
    assert api.get_source_assignments() == {lesson.name}
    assert api.get_submitted_students(lesson.name) == {"ada", "ben [2]"}
    build.generate(odd, lesson, odd.root, database=True)
    assert "points" in odd.release(lesson).read_text()
    assert {a.name for a in api.gradebook.assignments} == {lesson.name}


@pytest.mark.parametrize("folder", [*FOLDERS, EVERYTHING])
def test_a_pattern_of_nbgraders_gives_back_the_names_that_went_in(tmp_path, folder):
    directory = CourseDirectory(root=str(tmp_path / folder))
    path = directory.format_path("submitted", "ada", "01_toy")
    pattern = directory.format_path("submitted", "(?P<student>.*)", "(?P<lesson>.*)", escape=True)
    assert re.fullmatch(pattern, path).groupdict() == {"student": "ada", "lesson": "01_toy"}
    outside = directory.format_path(f"/else/{folder}", "(?P<student>.*)", ".", escape=True)
    assert re.fullmatch(outside, f"/else/{folder}/ben/.")["student"] == "ben"


def test_wildcards_are_still_wildcards(tmp_path):
    room = tmp_path / "Klasse [WS26]"
    for name in ("a.ipynb", "b.ipynb", "c.txt"):
        room.mkdir(exist_ok=True)
        (room / name).touch()
    assert sorted(literal.glob_below(f"{room}/*.ipynb")) == [f"{room}/a.ipynb", f"{room}/b.ipynb"]
    assert literal.glob_below(f"{tmp_path}/*/c.txt") == [f"{room}/c.txt"]
    assert literal.glob_below(f"{room}/none.ipynb") == []


@pytest.mark.kernel
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_class_17_all_but_grading_runs_where_there_is_no_linux(tmp_path, platform):
    run = subprocess.run(
        [sys.executable, "-m", "tests.no_linux", platform, str(tmp_path)],
        cwd=COURSE.root,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    windows = platform == "win32"
    seen = {"fcntl": not windows, "proc": False, "sysconf": not windows, "linux": False}
    assert said.pop("seen") == seen  # the disguise holds
    assert said.pop("imports") == []
    assert {verb: words["crash"] for verb, words in said.items() if words["crash"]} == {}
    refused = {"grade", "unsafe", "doctor"}
    assert {verb for verb, words in said.items() if words["code"]} == refused
    assert "not graded yet" in said["early report"]["said"]
    assert "1 taken" in said["collect"]["said"] and "ada" in said["report"]["said"]
    page = Path(said["feedback"]["said"].replace("\n", ""))
    assert "Handed in by ada" in page.read_text(encoding="utf-8")
    for verb in ("grade", "unsafe"):
        assert said[verb]["said"] == (
            f"students' code is graded in a sandbox of Linux, and this is {platform}: run `course grade` on Linux, "
            "in WSL 2 or in a container (.devcontainer holds one)"
        )
    table = " ".join(said["doctor"]["said"].replace("│", " ").split())
    assert f"this is {platform}" in table and table.count("missing") == 1 + table.count("course build")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["/usr/local/marks", f"{sys.prefix}/marks"])
def test_a_classroom_that_students_code_could_read_is_refused(tmp_path, place):
    course = replace(toy_course(tmp_path, registered=False), classroom=Path(place))
    sentence = rf"could read {re.escape(place)}: it lies in .*COURSE_CLASSROOM names another classroom"
    with pytest.raises(CourseError, match=sentence):
        grade(course, list(course.lessons))
    (finding,) = [f for f in doctor.examine(replace(COURSE, classroom=Path(place))) if f.what == "classroom"]
    assert not finding.ok and re.search(sentence, finding.remedy)
    assert not Path(place).exists()


def test_solutions_that_students_code_could_read_are_refused(tmp_path):
    course = toy_course(tmp_path, registered=False)
    (tmp_path / "helpers").unlink()
    with pytest.raises(CourseError, match=r"could read .*solutions: it lies in .*helpers"):
        grade(replace(course, root=COURSE.root / "helpers"), [])


def test_an_empty_classroom_variable_is_refused():
    for value in ("", "  "):
        with pytest.raises(CourseError, match=r"COURSE_CLASSROOM is set, but empty.*classroom"):
            load_course(environment={"COURSE_CLASSROOM": value})


def course_command(*words, classroom):
    """Run the `course` command as a shell does; give exit code and all that it printed."""
    run = subprocess.run(
        [sys.executable, "-c", "from course.cli import main; main()", *words],
        env={**os.environ, "COURSE_CLASSROOM": str(classroom), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return run.returncode, run.stdout + run.stderr


@pytest.mark.kernel  # `course doctor` tries what lessons import in each sandbox
def test_class_16_brackets_are_printed_as_they_are(tmp_path):
    classroom = tmp_path / "marks [bold] of[" / "old]"
    code, said = course_command("doctor", classroom=classroom)
    assert str(classroom) in said.replace("\n", ""), said
    code, said = course_command("report", classroom=classroom)
    assert code == 1 and str(classroom) in said and "Traceback" not in said
    assert "`course collect` and `course grade` first" in said
