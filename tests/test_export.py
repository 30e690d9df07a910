"""Grades out: a platform's gradebook comes back with other marks in it, and not another byte changed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from course.intake.roster import Person
from course.model import CourseError, Lesson
from course.reports.exports import Rules, beside, fill
from course.reports.exports.platforms import BLACKBOARD, BRIGHTSPACE, CANVAS, MOODLE, Target
from course.reports.exports.spreadsheet import read_spreadsheet
from course.reports.ledger import Entry, Ledger, Status, read_ledger
from tests.large_class import large_class, people

FIRST, FIFTH = Lesson("01_toy", "The signal that dies", 1), Lesson("05_joy", "The exercise", 1)
CLASS = [
    Person("a01", "Anna", "Müller", "amueller@example.org", ("a01", "amueller")),
    Person("a02", "Sam", "O'Neil-Lee", "slee@example.org", ("a02", "slee")),
    Person("a03", "José", "Núñez", "jnunez@example.org", ("a03", "jnunez")),
    Person("a04", "Zoe", "Nobody", "zoe@example.org", ("a04", "zoe")),
    Person("a05", "Bo", "Unread", "bo@example.org", ("a05", "bo")),
]


def entry(student: str, status: Status, mark: float | None = None, lesson: Lesson = FIRST) -> Entry:
    name = next(person.name for person in CLASS if person.id == student)
    return Entry(student, name, lesson.name, status, mark, 18.0)


MARKS = Ledger(
    (FIRST, FIFTH),
    (
        entry("a01", Status.GRADED, 12.5),
        entry("a02", Status.GRADED, 0.0),
        entry("a03", Status.READING, 7.0),
        entry("a04", Status.MISSING),
        entry("a05", Status.UNREADABLE),
        entry("a01", Status.GRADED, 3.0, FIFTH),
    ),
)

SLOT = "¤"  # stands in the files below for a field that may take a mark
CANVAS_FILE = '''\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Lesson 1 (123),Lesson 10 (124),Final Score\r
,,,,,Manual Posting,,\r
    Points Possible,,,,,18.00,5,(read only)\r
"Müller, Anna",4711,a01,amueller,"Sec ""A""",¤,4,81.2\r
"O'Neil-Lee, Sam",4712,a02,slee,Sec 1,5.00,,\r
"Núñez, José",4713,a03,jnunez,Sec 1,¤,=1+1,\r
"Nobody, Zoe",4714,a04,zoe,Sec 1,¤,,\r
"Unread, Bo",4715,a05,bo,Sec 1,¤,,\r
"Guest, Gina",4716,x99,gina,Sec 1,¤,,\r
"Student, Test",99,,abcdef,Sec 1,¤,,'''
MOODLE_FILE = """\ufeffVorname;Nachname;ID-Nummer;E-Mail-Adresse;"Aufgabe: Lektion 1 (Punkte)";"Aufgabe: Lektion 5 (Punkte)";"Kurs gesamt (Punkte)"
Anna;Müller;a01;amueller@example.org;¤;-;"81,2"
Sam;O'Neil-Lee;;slee@example.org;"5,00";-;-
José;Núñez;a03;jnunez@example.org;¤;-;-
Zoe;Nobody;a04;zoe@example.org;¤;-;-
"""
WORKSHEET = """ID,"Vollständiger Name",E-Mail-Adresse,Status,Bewertung,"Höchste Bewertung","Bewertung kann geändert werden","Feedback als Kommentar"
Teilnehmer/in11,"Anna Müller",amueller@example.org,Abgegeben,¤,"18,00",Ja,"a, b"
Teilnehmer/in12,"Sam O'Neil-Lee",slee@example.org,Abgegeben,"5,00","18,00",Ja,
Teilnehmer/in13,"José Núñez",jnunez@example.org,Abgegeben,¤,"18,00",Nein,
"""
BLACKBOARD_FILE = (
    '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Lesson 1 [Total Pts: 18 Score] |12345"\t"Weighted Total [Total Pts: 100 Percentage] |9"\n'
    '"Müller"\t"Anna"\t"amueller"\t"a01"\t"¤"\t"81"\n"O\'Neil-Lee"\t"Sam"\t"slee"\t"a02"\t"5.00"\t""'
)
BRIGHTSPACE_FILE = """OrgDefinedId,Username,Lesson 1 Points Grade <Numeric MaxPoints:18 Weight:10>,Calculated Final Grade Numerator,End-of-Line Indicator
#a01,#amueller,¤,81,#
#a02,#slee,5.00,,#
"""
FILES: dict[str, tuple[Target, str, str, tuple[str, str], tuple[str, str]]] = {
    "canvas": (CANVAS, CANVAS_FILE, "utf-8", ("12.5", ""), ("5.00", "0")),
    "canvas, Windows' text": (CANVAS, CANVAS_FILE[1:], "cp1252", ("12.5", ""), ("5.00", "0")),
    "moodle, German": (MOODLE, MOODLE_FILE, "utf-8", ("12,5", ""), ('"5,00"', '"0"')),
    "moodle, worksheet": (MOODLE, WORKSHEET, "utf-8", ('"12,5"', ""), ('"5,00"', '"0"')),
    "blackboard": (BLACKBOARD, "\ufeff" + BLACKBOARD_FILE, "utf-16-le", ("12.5", ""), ("5.00", "0")),
    "brightspace": (BRIGHTSPACE, BRIGHTSPACE_FILE, "utf-8", ("12.5", ""), ("5.00", "0")),
}


def filled(tmp_path, target, text, encoding="utf-8", lessons=(FIRST,), rules=Rules(), ledger=MARKS):  # noqa: B008
    path = tmp_path / "grades.csv"
    path.write_bytes(text.replace(SLOT, "").encode(encoding))
    content, done = fill(read_spreadsheet(path), target, ledger, CLASS, lessons, rules)
    return content.decode(encoding), done


@pytest.mark.parametrize("what", FILES)
def test_nothing_but_the_marks_changes_to_the_byte(tmp_path, what):
    target, text, encoding, (mark, empty), (before, after) = FILES[what]
    found, (done,) = filled(tmp_path, target, text, encoding)
    expected = text.replace(SLOT, mark, 1).replace(SLOT, empty).replace(before, after)  # the first is Anna's
    assert found == expected
    assert done.new == 1 and len(done.changed) == 1 and done.changed[0][0].startswith("Sam O'Neil-Lee")


def test_it_is_said_what_was_done_and_what_was_not(tmp_path):
    _, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE)
    assert done.unknown == ["Gina Guest"] and not done.absent
    assert done.left == {"waiting for a person": 1, "missing": 1, "unreadable": 1}
    lines = "\n".join(done.lines())
    assert "Sam O'Neil-Lee (a02): 5.00 -> 0" in lines
    assert (
        "1 waiting for a person (`course read`; or --partial" in lines
        and "1 missing (a zero by --zeros)" in lines
    )
    _, (other,) = filled(tmp_path, BRIGHTSPACE, BRIGHTSPACE_FILE.replace("#a01,#amueller", "#x,#y"))
    assert other.absent == ["Anna Müller (a01)", "José Núñez (a03)"]  # his points so far, too


def test_moodles_dash_is_no_mark_that_could_be_changed_or_kept(tmp_path):
    text = MOODLE_FILE.replace(SLOT, "-")
    content, (done,) = filled(tmp_path, MOODLE, text)
    assert content == text.replace("org;-", "org;12,5", 1).replace('"5,00"', '"0"')
    assert done.new == 1 and [who for who, *_ in done.changed] == ["Sam O'Neil-Lee (a02)"]
    assert not any("kept" in why for why in done.left)


def test_zeros_and_marks_that_are_not_complete_go_out_where_they_are_asked_for_and_unreadable_never(tmp_path):
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, rules=Rules(zeros=True, partial=True))
    rows = {row[0]: row for row in csv.reader(io.StringIO(text))}
    assert [rows[name][5] for name in ("Núñez, José", "Nobody, Zoe", "Unread, Bo")] == ["7", "0", ""]
    assert done.left == {"unreadable": 1}


def test_nobody_gets_a_zero_for_what_is_not_due_yet(tmp_path):
    early = Ledger(
        MARKS.lessons, tuple(replace(e, in_time=e.status is Status.MISSING) for e in MARKS.entries)
    )
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, rules=Rules(zeros=True), ledger=early)
    assert next(row for row in csv.reader(io.StringIO(text)) if row[0] == "Nobody, Zoe")[5] == ""
    assert "  left as it was: 1 not due yet" in done.lines()


def test_nobody_gets_a_zero_while_a_file_is_nobodys_and_a_lesson_that_nobody_has_begun_makes_nobody_unknown(
    tmp_path,
):
    unsure = Ledger(MARKS.lessons, tuple(replace(e, stray=e.status is Status.MISSING) for e in MARKS.entries))
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, rules=Rules(zeros=True), ledger=unsure)
    assert next(row for row in csv.reader(io.StringIO(text)) if row[0] == "Nobody, Zoe")[5] == ""
    assert any(
        "1 nothing of theirs, while a file may be anybody's (`course report` names" in x for x in done.lines()
    )
    fresh = Ledger((FIFTH,), MARKS.entries[-1:])  # of lesson 1 there is nothing at all
    _, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, ledger=fresh)
    assert done.unknown == ["Gina Guest"] and done.left == {"nothing was collected from anybody": 5}


@pytest.mark.parametrize(
    ("target", "text", "said"),
    [
        (CANVAS, CANVAS_FILE.replace("Lesson 10 (124)", "Lesson 1 again (124)").replace("Lesson 1 (", "My lesson 1 ("), r"several columns .*'Lesson 1 again \(124\)'.*--column"),
        (CANVAS, CANVAS_FILE.replace("Lesson 1 (123)", "Homework (123)"), r"no column .*'lesson 1' .*'Homework \(123\)'"),
        (CANVAS, CANVAS_FILE.replace("18.00", "20"), "worth 20 points, lesson 1 is worth 18.*--scale"),
        (CANVAS, CANVAS_FILE.replace('"Núñez, José"', "Núñez, José"), "line 6 has 9 fields, the header names 8"),
        (CANVAS, CANVAS_FILE.replace("4712,a02,slee", "4712,a01,amueller").replace("O'Neil-Lee, Sam", "Müller, Anna"), "lines 4 and 5 are both taken for Anna Müller"),
        (BRIGHTSPACE, CANVAS_FILE, "no column that takes marks as Brightspace writes them"),
        (CANVAS, 'Student,ID,"Lesson 1 (1)"x\n', "line 1: something stands behind a closing quote"),
        (CANVAS, "\n", "is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_named(tmp_path, target, text, said):
    with pytest.raises(CourseError, match=said):
        filled(tmp_path, target, text)


def test_a_mark_on_work_that_a_person_should_look_at_goes_out_and_is_named(tmp_path):
    """Also one in which answers have still to be read, where it goes out."""
    entries = [replace(e, doubt="old.ipynb holds answers that this one lacks: f") if e.student in ("a01", "a03") else e for e in MARKS.entries]  # fmt: skip
    unsure = replace(MARKS, entries=tuple(entries))
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, ledger=unsure)
    assert ',a01,amueller,"Sec ""A""",12.5,' in text
    anna = "  to be looked at: Anna Müller (a01): old.ipynb holds answers that this one lacks: f"
    assert list(done.lines())[-2:] == [anna, "  (who has looked says so: `course collect --looked-at STUDENT:LESSON`)"]  # fmt: skip
    _, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, rules=Rules(partial=True), ledger=unsure)
    assert [look.split(" (")[0] for look in done.looks] == ["Anna Müller", "José Núñez"]
    assert filled(tmp_path, CANVAS, CANVAS_FILE)[1][0].looks == []


def test_a_line_whose_id_and_name_are_two_people_is_left(tmp_path):
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE.replace("4711,a01,amueller", "4711,a03,jnunez").replace("4713,a03,jnunez", "4713,x,y"))  # fmt: skip
    assert done.doubts[0] == "line 4: the id is that of José Núñez, the name that of Anna Müller"
    assert '"Müller, Anna",4711,a03,jnunez,"Sec ""A""",,4' in text


def test_a_line_that_leaves_out_a_first_name_is_whose_id_it_has(tmp_path, monkeypatch):
    """Also where somebody else has that name and no other."""
    people = [replace(CLASS[0], first_name="Anna Eva"), replace(CLASS[1], first_name="Anna", last_name="Müller"), *CLASS[2:]]  # fmt: skip
    monkeypatch.setattr("tests.test_export.CLASS", people)
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE)
    assert ',a01,amueller,"Sec ""A""",12.5,' in text
    assert not done.doubts


def test_a_number_of_canvas_own_is_nobodys_here_whose_name_is_another(tmp_path):
    guest = CANVAS_FILE.replace('"Guest, Gina",4716,x99,gina', '"Guest, Gina",a01,,')
    text, (done,) = filled(
        tmp_path, CANVAS, guest.replace('"Müller, Anna",4711,a01,amueller', '"Elsewhere, Eve",1,y,z')
    )
    assert '"Guest, Gina",a01,,,Sec 1,,' in text and done.absent == ["Anna Müller (a01)"]
    assert done.doubts == ["line 9: Gina Guest has the number a01 there, Anna Müller has it here"]
    text, (done,) = filled(tmp_path, CANVAS, guest.replace("Guest, Gina", "Müller-Lüdenscheidt, A.").replace('"Müller, Anna",4711,a01,amueller', '"Elsewhere, Eve",1,y,z'))  # fmt: skip
    assert ",a01,,,Sec 1,12.5," in text and not done.doubts


def test_a_lesson_without_a_deadline_that_was_not_named_gives_no_zeros(tmp_path):
    """One student's lesson 3 in the folder of lesson 1 was a zero for the rest of the class."""
    rules = Rules(zeros=True, undue=[FIRST.name])
    text, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE, rules=rules)
    assert (
        "4714,a04,zoe,Sec 1,,," in text
        and done.left["nothing handed in for a lesson without a deadline"] == 1
    )
    assert any("where the lesson is named: `course export LESSON ...`" in line for line in done.lines())
    assert "4714,a04,zoe,Sec 1,0,," in filled(tmp_path, CANVAS, CANVAS_FILE, rules=Rules(zeros=True))[0]


def test_whom_the_platform_excused_gets_neither_mark_nor_zero(tmp_path):
    excused = CANVAS_FILE.replace("zoe,Sec 1,¤", "zoe,Sec 1,EX").replace('"Sec ""A""",¤', '"Sec ""A""",EX')
    text, (done,) = filled(tmp_path, CANVAS, excused, rules=Rules(zeros=True))
    assert text.count(",EX,") == 2 and done.left["excused on the platform (EX)"] == 2
    unsure = Ledger(MARKS.lessons, tuple(replace(e, stray=e.status is Status.MISSING) for e in MARKS.entries))
    assert filled(tmp_path, CANVAS, excused, ledger=unsure)[1][0].left["excused on the platform (EX)"] == 2


def test_whose_grade_moodle_locked_is_said_to_be_so_and_not_to_be_missing(tmp_path):
    locked = WORKSHEET.replace(
        'amueller@example.org,Abgegeben,¤,"18,00",Ja', 'amueller@example.org,Abgegeben,¤,"18,00",Nein'
    )
    text, (done,) = filled(tmp_path, MOODLE, locked)
    assert text.splitlines()[1] == locked.splitlines()[1].replace(SLOT, "") and not done.absent
    assert done.left == {"locked, says the file": 2}


def test_lesson_one_and_a_half_is_not_lesson_one(tmp_path):
    with pytest.raises(CourseError, match=r"no column .* is called after 'lesson 1'"):
        filled(tmp_path, CANVAS, CANVAS_FILE.replace("Lesson 1 (123)", "Lesson 1.5 (123)"))
    _, (done,) = filled(tmp_path, CANVAS, CANVAS_FILE.replace("Lesson 1 (123)", "Lesson 1 (2026) (123)"))
    assert done.heading == "Lesson 1 (2026) (123)"


def test_no_lessons_marks_are_written_over_anothers(tmp_path):
    both = CANVAS_FILE.replace("Lesson 1 (123)", "Lesson 1 and lesson 5 (123)")
    with pytest.raises(CourseError, match=r"'Lesson 1 and lesson 5 \(123\)' .* lesson 1 and of lesson 5"):
        filled(tmp_path, CANVAS, both, lessons=(FIRST, FIFTH))


def test_a_column_by_name_and_other_points(tmp_path):
    other = CANVAS_FILE.replace("Lesson 1 (123)", "Homework (123)").replace("18.00", "36.00")
    text, _ = filled(tmp_path, CANVAS, other, rules=Rules(column="Homework", scale=True))
    assert '"Sec ""A""",25,4' in text


def test_lessons_find_their_own_columns(tmp_path):
    text, done = filled(tmp_path, MOODLE, MOODLE_FILE, lessons=(FIRST, FIFTH))
    assert [filled.heading for filled in done] == [
        "Aufgabe: Lektion 1 (Punkte)",
        "Aufgabe: Lektion 5 (Punkte)",
    ]
    assert 'amueller@example.org;12,5;3;"81,2"' in text


def test_a_file_of_excel_is_refused(tmp_path):
    path = tmp_path / "grades.csv"
    path.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(CourseError, match="as CSV"):
        read_spreadsheet(path)
    assert beside(path).name == "grades.filled.csv"


def of_three_hundred(name: str) -> tuple[Target, str, str]:
    """The gradebook of the large class as a platform would write it."""
    out = io.StringIO()
    if name == "canvas":
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(
            ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Lesson 1 (7)", "Lesson 5 (8)"]
        )
        writer.writerow(["    Points Possible", "", "", "", "", "18", "27"])
        for n, p in enumerate(people()):
            writer.writerow([f"{p['last_name']}, {p['first_name']}", 9000 + n, p["id"], p["id"], "A", "", ""])
        return CANVAS, "\ufeff" + out.getvalue(), "utf-8"
    if name == "moodle":
        writer = csv.writer(out, delimiter=";", lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(
            ["Vorname", "Nachname", "ID-Nummer", "Aufgabe: Lektion 1 (Punkte)", "Aufgabe: Lektion 5 (Punkte)"]
        )
        writer.writerows([p["first_name"], p["last_name"], p["id"], "", ""] for p in people())
        return MOODLE, "\ufeff" + out.getvalue(), "utf-8"
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["OrgDefinedId", "Username", "Lesson 1 Points Grade <Numeric MaxPoints:18>", "Lesson 5 Points Grade <Numeric MaxPoints:27>", "End-of-Line Indicator"])  # fmt: skip
    writer.writerows([f"#{p['id']}", f"#{p['id']}", "", "", "#"] for p in people())
    return BRIGHTSPACE, out.getvalue(), "utf-8"


@pytest.mark.slow
def test_a_large_class_goes_out_whole(tmp_path):
    course = large_class(tmp_path / "classroom")
    ledger = read_ledger(course)
    for name in ("canvas", "moodle", "brightspace"):
        target, text, encoding = of_three_hundred(name)
        path = tmp_path / f"{name}.csv"
        path.write_bytes(text.encode(encoding))
        content, done = fill(read_spreadsheet(path), target, ledger, (), ledger.lessons, Rules(partial=True))
        assert [filled.new for filled in done] == [270, 270]
        assert not any(filled.unknown or filled.absent or filled.doubts or filled.changed for filled in done)
        rows = [list(csv.reader(io.StringIO(t), delimiter=";" if name == "moodle" else ",")) for t in (text, content.decode())]  # fmt: skip
        grades = [at for at, heading in enumerate(rows[0][0]) if "1" in heading or "5" in heading]
        for before, after in zip(*rows, strict=True):
            assert [v for at, v in enumerate(before) if at not in grades] == [v for at, v in enumerate(after) if at not in grades]  # fmt: skip
        marks = {e.student: e.mark for e in ledger.of(ledger.lessons[1].name)}
        written = {
            next(v for v in row if v.lstrip("#").startswith("s0")).lstrip("#"): row[grades[1]]
            for row in rows[1]
            if any(v.lstrip("#").startswith("s0") for v in row)
        }
        assert {s: float(v) if v else None for s, v in written.items()} == marks
