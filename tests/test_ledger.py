"""Everyone has a row: zero points, nothing and unreadable are three things on the screen and in every file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from rich.console import Console

from course.csvfile import read_csv
from course.deadlines import Deadlines
from course.intake.roster import Person
from course.intake.triage import UNLISTED, WHOSE
from course.model import Lesson, Score
from course.reports import report
from course.reports.ledger import Ledger, Sources, Status, duration, ledger, read_ledger
from tests.large_class import large_class, people, what_came

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FIRST = Lesson("01_toy", "Toy", 1)
SECOND = Lesson("02_joy", "Joy", 1)
CLASS = [Person("ada", "Ada", "Zuse"), Person("bo", "Bo", "Abel"), Person("cy"), Person("di"), Person("ed")]


def row(student: str, status: str, **more: str) -> dict[str, str]:
    return {"student": student, "lesson": FIRST.name, "status": status, **more}


def of(student: str, **sources):
    """The one entry of a student in the first lesson."""
    made = ledger([FIRST], Sources(people=CLASS, full={FIRST.name: 10.0}, **sources), NOW)
    return made.rows()[student][FIRST.name]


def shown(made: Ledger, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report.on_screen(made, width))
    return console.export_text()


@pytest.mark.parametrize(
    ("sources", "status", "mark"),
    [
        ({"scores": [Score("ada", FIRST.name, 0.0, 10.0, False)]}, Status.GRADED, 0.0),
        ({"scores": [Score("ada", FIRST.name, 7.0, 10.0, True)]}, Status.READING, 7.0),
        ({"scores": [Score("ada", FIRST.name, 7.0, 10.0, False, penalty=2.0)]}, Status.GRADED, 5.0),
        ({"triage": [row("ada", "unreadable", reason="cut off")]}, Status.UNREADABLE, None),
        (
            {
                "triage": [row("ada", "unreadable", reason="cut off", confirmed="zero")],
                "scores": [Score("ada", FIRST.name, 0.0, 10.0, False)],
            },
            Status.GRADED,
            0.0,
        ),
        (  # what a student calls a file confirms nothing
            {
                "triage": [row("ada", "taken"), row("ada", "unreadable", reason="cut off; graded meanwhile: zero confirmed: x.ipynb")],
                "scores": [Score("ada", FIRST.name, 0.0, 10.0, False)],
            },
            Status.READING,
            0.0,
        ),
        (  # a later file of which nobody can tell the lesson
            {
                "triage": [row("ada", "unreadable", confirmed="zero"), row("ada", "unreadable", lesson="", reason="a picture")],
                "scores": [Score("ada", FIRST.name, 0.0, 10.0, False)],
            },
            Status.READING,
            0.0,
        ),
        ({"triage": [row("ada", "waiting", reason="a tie")]}, Status.READING, None),
        ({"triage": [row("ada", "taken")], "placed": {("ada", FIRST.name): True}}, Status.COLLECTED, None),
        (
            {"scores": [Score("ada", FIRST.name, 3.0, 10.0, False)], "placed": {("ada", FIRST.name): False}},
            Status.COLLECTED,
            None,
        ),
        ({"triage": [row("ada", "taken")]}, Status.COLLECTED, None),
        ({"triage": [row("ada", "repaired")]}, Status.COLLECTED, None),
        ({"faults": {("ada", FIRST.name): "no memory"}}, Status.FAULT, None),
        ({"triage": [row("bo", "taken")]}, Status.MISSING, None),
        ({"triage": [row("ada", "nothing"), row("bo", "taken")]}, Status.MISSING, None),
        ({"triage": [row("ada", "older"), row("ada", "taken")], "faults": {("ada", FIRST.name): "no memory"}}, Status.FAULT, None),
        (
            {
                "triage": [row("ada", "taken"), row("ada", "unreadable", reason="cut off; graded meanwhile: x")],
                "scores": [Score("ada", FIRST.name, 3.0, 10.0, False)],
            },
            Status.READING,
            3.0,
        ),
    ],
)  # fmt: skip
def test_where_a_lesson_stands(sources, status, mark):
    entry = of("ada", **sources)
    assert (entry.status, entry.mark, entry.name) == (status, mark, "Ada Zuse")
    assert entry.final == (status is Status.GRADED)


@pytest.mark.parametrize(
    ("more", "granted", "late"),
    [
        (
            {},
            {},
            "marked late",
        ),  # Canvas tells no time: its word is all that is known, with a deadline as without
        ({"time": "2026-11-18 10:00 UTC"}, {}, ""),  # here the deadline decides
        ({"time": "2026-11-19 12:00 UTC"}, {}, "12 h"),
        ({}, {("ada", FIRST.name): NOW}, ""),  # the platform does not know of the time granted here
    ],
)
def test_where_a_platform_tells_no_time_its_word_stands_beside_a_deadline(more, granted, late):
    deadlines = Deadlines({FIRST.name: NOW - timedelta(days=1)}, granted)
    assert of("ada", triage=[row("ada", "taken", late="late", **more)], deadlines=deadlines).late == late


def test_a_file_that_tells_no_lesson_is_not_taken_for_nothing():
    stray = {"student": "ada", "lesson": "", "status": "unreadable", "reason": "an empty file"}
    entry = of("ada", triage=[stray, row("bo", "taken")])
    assert entry.status is Status.UNREADABLE and "an empty file" in entry.reason


def test_everyone_has_a_row_and_lessons_that_began_a_column():
    due, later = Lesson("03_due", "Due", 1), Lesson("04_later", "Later", 1)
    deadlines = Deadlines({due.name: NOW - timedelta(days=1), later.name: NOW + timedelta(days=1)})
    guest = row("zoe", "taken", name="Zoe Guest")
    made = ledger([FIRST, SECOND, due, later], Sources(CLASS, triage=[guest], deadlines=deadlines), NOW)
    assert [lesson.name for lesson in made.lessons] == [FIRST.name, due.name]
    assert list(made.rows()) == ["bo", "cy", "di", "ed", "zoe", "ada"]  # by family name, else by id
    assert made.rows()["zoe"][FIRST.name].name == "Zoe Guest"
    assert {entry.status for entry in made.of(due.name)} == {Status.MISSING}


@pytest.mark.parametrize(
    ("granted", "in_time"), [({}, False), ({("bo", FIRST.name): NOW + timedelta(days=1)}, True)]
)
def test_what_is_missing_is_in_time_until_ones_own_deadline(granted, in_time):
    deadlines = Deadlines({FIRST.name: NOW - timedelta(days=1)}, granted)
    entry = of("bo", triage=[row("ada", "taken")], deadlines=deadlines)
    assert entry.status is Status.MISSING and (entry.in_time, bool(entry.reason)) == (in_time, in_time)


def test_whose_file_nobody_can_tell_is_said():
    lost = {
        "student": "",
        "lesson": FIRST.name,
        "status": "unreadable",
        "file": "x.ipynb",
        "reason": "whose?",
    }
    made = ledger([FIRST], Sources(CLASS, triage=[lost]), NOW)
    assert made.nobodys == ("x.ipynb: whose?",) and "x.ipynb" in shown(made)
    assert all(entry.stray for entry in made.entries)  # anybody's
    for other, theirs in (
        ({"lesson": ""}, True),
        ({"lesson": SECOND.name}, False),
        ({"status": "older"}, False),
    ):
        made = ledger([FIRST], Sources(CLASS, triage=[lost | other, {"lesson": FIRST.name}]), NOW)
        assert {entry.stray for entry in made.entries} == {theirs}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (True, f"Ghost Rider is {UNLISTED}: put them there"),
        (True, f"Bo Abel may be Bo Abel (b1) or Bo Abel (b2): {WHOSE}"),
        (False, f"Ghost Rider is {UNLISTED}: put them there"),
    ],
)
def test_nobody_is_said_to_have_handed_in_nothing_while_a_file_is_of_somebody_who_is_not_on_the_class_list(
    held, said
):
    """It may be theirs, under a name that the list does not know; until a person has looked."""
    came = row("ghost", "taken", file="x.ipynb", name="Ghost Rider", **{"doubts" if held else "notes": said})
    made = ledger([FIRST, SECOND], Sources(CLASS, triage=[came, row("bo", "taken"), {"lesson": SECOND.name}]), NOW)  # fmt: skip
    assert {(e.student, e.lesson) for e in made.entries if e.stray} == (
        {(name, FIRST.name) for name in ("ada", "cy", "di", "ed")} if held else set()
    )
    assert (said in " ".join(shown(made).split())) == held


def test_a_file_of_no_lesson_for_which_a_zero_is_confirmed_is_asked_about_in_no_other_lesson():
    """Whoever confirmed it has said of which lesson it is."""
    came = [row("ada", "unreadable", lesson="", reason="a page", confirmed="zero"), row("bo", "taken", lesson=SECOND.name)]  # fmt: skip
    made = ledger(
        [FIRST, SECOND], Sources(CLASS[:2], [Score("ada", FIRST.name, 0.0, 10.0, False)], came), NOW
    )
    assert [e.status for e in made.entries if e.student == "ada"] == [Status.GRADED, Status.MISSING]


def doubtful() -> Ledger:
    """Two marks that a person should look at, one of them with answers to read; and one that is as it is."""
    scores = [Score(name, FIRST.name, 3.0, 10.0, name == "bo") for name in ("ada", "bo", "cy")]
    told = [row(name, "taken", doubts="old.ipynb holds more") for name in ("ada", "bo")]
    return ledger([FIRST], Sources(CLASS[:3], scores, [*told, row("cy", "taken")]), NOW)


def test_a_mark_that_a_person_should_look_at_says_so_wherever_it_stands(tmp_path):
    text = shown(doubtful())
    for said in ("3?", "3*?", "3", "a person should look at it"):
        assert said in text
    assert "should look" not in shown(sorts())
    assert {e.student: e.doubt for e in doubtful().entries} == dict.fromkeys(["ada", "bo"], "old.ipynb holds more") | {"cy": ""}  # fmt: skip
    report.write_wide(doubtful(), tmp_path / "wide.csv")
    assert {r["student"]: r["01_toy status"] for r in read_csv(tmp_path / "wide.csv")} == {
        "ada": "graded, to be looked at",
        "bo": "waiting for a person, to be looked at",
        "cy": "graded",
    }


def sorts() -> Ledger:
    """One of each kind: zero, unreadable, nothing, points with answers to read, a machine's fault."""
    scores = [Score("ada", FIRST.name, 0.0, 10.0, False), Score("di", FIRST.name, 4.5, 10.0, True)]
    told = [row("bo", "unreadable", reason="cut off"), row("ada", "taken", late="late")]
    faults = {("ed", FIRST.name): "no memory"}
    return ledger([FIRST], Sources(CLASS, scores, told, faults=faults), NOW)


def test_zero_nothing_and_unreadable_are_three_things_on_the_screen():
    lines = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in shown(sorts()).splitlines() if "│" in line}  # fmt: skip
    assert lines == {
        "Ada Zuse (ada)": "0 L",
        "Bo Abel (bo)": "unread.",
        "cy": "-",
        "di": "4.5*",
        "ed": "fault",
    }


def test_a_narrow_screen_gets_the_same_in_lines():
    text = shown(sorts(), width=24)
    assert "│" not in text
    for said in ("1: 0 L", "1: unread.", "cy:  1: -", "1: 4.5*"):
        assert said in " ".join(text.split()).replace("cy: 1", "cy:  1")


def test_zero_nothing_and_unreadable_are_three_things_in_a_csv(tmp_path):
    report.write_long(sorts(), tmp_path / "long.csv")
    long = {r["student"]: (r["status"], r["mark"]) for r in read_csv(tmp_path / "long.csv")}
    assert (
        long["ada"] == ("graded", "0") and long["bo"] == ("unreadable", "") and long["cy"] == ("missing", "")
    )
    assert long["di"] == ("waiting for a person", "4.5") and long["ed"] == ("machine fault", "")
    report.write_wide(sorts(), tmp_path / "wide.csv")
    wide = {r["student"]: (r["01_toy"], r["01_toy status"]) for r in read_csv(tmp_path / "wide.csv")}
    assert wide == {
        "ada": ("0", "graded, late: marked late"),
        "bo": ("", "unreadable"),
        "cy": ("", "missing"),
        "di": ("4.5", "waiting for a person"),
        "ed": ("", "machine fault"),
    }


def test_names_run_nothing_in_a_spreadsheet_and_are_no_markup(tmp_path):
    hostile = [Person("=1+1", "=cmd|' /C calc'!A0", "x"), Person("[red]b[/old]", "a;=1+1")]
    made = ledger([FIRST], Sources(hostile, triage=[row("=1+1", "taken")]), NOW)
    report.write_long(made, tmp_path / "grades.csv")
    text = (tmp_path / "grades.csv").read_text(encoding="utf-8-sig")
    assert "\n'=1+1,'=cmd" in text and "a;'=1+1" in text
    assert {r["name"] for r in read_csv(tmp_path / "grades.csv")} == {"=cmd|' /C calc'!A0 x", "a;=1+1"}
    assert "[red]b[/old]" in shown(made)


def test_a_time_in_its_two_largest_units():
    assert [duration(s) for s in (1, 61, 3600, 90000, 86400 * 3 + 59)] == ["1 min", "2 min", "1 h", "1 d 1 h", "3 d 1 min"]  # fmt: skip


@pytest.mark.slow
def test_nobody_of_a_large_class_is_missing_from_the_report(tmp_path):
    course = large_class(tmp_path / "classroom")
    made = read_ledger(course)
    table = {entry.student: entry.status for entry in made.of("01_iterated_convolution")}
    assert len(made.entries) == 600 and set(table) == {person["id"] for person in people()}
    for person in people():
        came = what_came(person)
        expected = {"": Status.MISSING, "unreadable": Status.UNREADABLE, "dora": Status.GRADED}
        assert table[person["id"]] is expected.get(came, Status.READING), person
    report.write_long(made, tmp_path / "grades.csv")
    assert len(read_csv(tmp_path / "grades.csv")) == 600
    families = [entry.name.split(" ", 1)[1] for entry in made.of("01_iterated_convolution")]
    assert all(a.casefold() <= b.casefold() for a, b in pairwise(families))
