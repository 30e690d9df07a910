"""Whose work is it: every platform's way of packing, unknown ones, late zips, and nobody speaking for another."""

import ast
import datetime
import random
import time
from dataclasses import astuple, replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.intake import claim, collect, platforms
from course.intake.archive import Found
from course.intake.claim import Notes, moment
from course.intake.platforms.gradescope import _people
from course.intake.roster import Person, Roster, read_roster
from course.intake.senders import student_ids
from course.intake.triage import ANONYMOUS, UNLISTED
from course.intake.whose import acquainted, identify, is_side_file, read_side_files, wrappers
from course.model import CourseError
from tests.damage import platforms as packed
from tests.damage.paper import tiny_paper, tiny_score
from tests.damage.recipes import written

LESSON = "01_doubling"
LESSONS = {LESSON: [LESSON, "doubling", "lesson_1"]}
CLASS = "id,first_name,last_name,email,github_username\na01,Anna,Müller,anna@example.org,annam\na02,José,Núñez,jose@example.org,nunez-jose\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Two tiny released lessons."""
    folder = tmp_path_factory.mktemp("release")
    tiny_paper(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(release):
    """The first tiny lesson."""
    return tiny_paper(release)


@pytest.fixture(scope="module")
def work(tiny):
    """The solved lesson."""
    return written(tiny.solved())


@pytest.fixture(scope="module")
def blank(tiny):
    """The lesson as released."""
    return written(tiny.blank())


@pytest.fixture
def roster(tmp_path):
    """A class of two."""
    path = tmp_path / "class.csv"
    path.write_text(CLASS, encoding="utf-8")
    return path


@pytest.fixture
def look(release, roster, tmp_path):
    """Collect a download with the roster of two; times are in UTC."""
    return lambda *downloads: collect(list(downloads), release, tmp_path / "room", roster, zone=datetime.UTC)


def statuses(triage) -> list[tuple]:
    """Student and status of every row."""
    return sorted((row.student, row.status) for row in triage.rows)


def right(room: Path, student: str) -> bool:
    """Whether the solved notebook was placed for a student."""
    import json

    path = room / "submitted" / student / LESSON / f"{LESSON}.ipynb"
    return all(tiny_score(json.loads(path.read_text(encoding="utf-8"))).values())


def told(triage) -> str:
    """All warnings."""
    return "\n".join(triage.warnings)


def claims_of(names, people=(), known=True, texts=None):
    """Claims of each path of one download, and the ids: no file is read."""
    paths = [PurePosixPath("z.zip", name) for name in names]
    roster = Roster([Person(*p) for p in people])
    notes = read_side_files(
        [Found(PurePosixPath("z.zip", n), t, None) for n, t in (texts or {}).items()], LESSONS, datetime.UTC
    )
    named = acquainted([(paths, notes)], roster.named) if known else roster.named
    layout = wrappers(paths, notes, named)
    claims = [each for path in paths for each in identify(path, layout)]
    ids, warnings = student_ids(claims, [("z", LESSON)] * len(claims), roster)
    return claims, ids, warnings


# Class 8: the platforms


def test_class_08_brightspace_the_later_of_two_attempts_counts(look, work, blank, tmp_path):
    triage = look(packed.brightspace(tmp_path / "Lesson 1 Download.zip", LESSON, work, blank))
    assert statuses(triage) == [
        ("", "ignored"),
        ("Sam_Lee", "taken"),
        ("a01", "older"),
        ("a01", "taken"),
        ("a02", "taken"),
    ]
    assert right(tmp_path / "room", "a01")
    times = {row.student: f"{row.time:%m-%d %H:%M}" for row in triage.rows if row.counts}
    assert times == {"a01": "03-02 09:05", "a02": "02-28 00:05", "Sam_Lee": "03-01 12:00"}


def test_class_08_ilias(look, work, blank, tmp_path):
    triage = look(packed.ilias(tmp_path / "multi.zip", LESSON, work, blank))
    assert statuses(triage) == [
        ("Lee_Sam", "taken"),
        ("a01", "older"),
        ("a01", "taken"),
        ("a02", "taken"),
    ]
    assert right(tmp_path / "room", "a01")


def test_class_08_moodle_with_groups(look, work, tmp_path):
    triage = look(packed.moodle_groups(tmp_path / "m.zip", LESSON, work))
    assert statuses(triage) == [
        ("Mo-Di-Mi-Eva-Lena_Groß", "taken"),
        ("a01", "taken"),
        ("a02", "taken"),
    ]
    assert "taken for groups' names: 'Default group', 'Gruppe 3'" in told(triage)


def test_class_08_a_double_name_is_no_group():
    people = [("a01", "Anna-Lena", "Müller"), ("a02", "Lena", "Müller")]
    names = [
        "Anna-Lena Müller_1_assignsubmission_file_/x.ipynb",
        "Lena Müller_2_assignsubmission_file_/x.ipynb",
    ]
    _, ids, warnings = claims_of(names, people)
    assert ids == ["a01", "a02"] and not warnings


def test_class_08_two_accounts_are_never_one_student():
    names = [f"{name}_assignsubmission_file_/x.ipynb" for name in ("G-Anna-Lena Müller_1", "G-Lena Müller_2")]
    _, ids, warnings = claims_of(names, [("a02", "Lena", "Müller")])
    assert len(set(ids)) == 2 and "a02" not in ids and "keeps them apart" in "\n".join(warnings)


def test_class_08_moodle_blind_in_any_language(look, work, tmp_path):
    triage = look(packed.moodle_blind(tmp_path / "m.zip", LESSON, work))
    assert len({row.student for row in triage.counted}) == 5
    assert "anonymous senders: 5" in told(triage) and not triage.waiting
    assert all(ANONYMOUS in row.notes for row in triage.counted)


def test_class_08_sakai(look, work, tmp_path):
    triage = look(packed.sakai(tmp_path / "bulk.zip", LESSON, work))
    assert statuses(triage) == [("", "ignored"), ("a01", "taken"), ("a02", "taken")]
    assert {row.student: f"{row.time:%m-%d %H:%M:%S}" for row in triage.counted} == {
        "a01": "03-01 22:59:59",
        "a02": "03-02 08:00:00",
    }


def test_class_08_teams_counts_versions_as_numbers_and_says_what_was_not_turned_in(
    look, work, blank, tmp_path
):
    triage = look(packed.teams(tmp_path / "t.zip", LESSON, work, blank))
    assert statuses(triage) == [
        ("a01", "ignored"),
        ("a01", "older"),
        ("a01", "taken"),
        ("a02", "taken"),
    ]
    assert right(tmp_path / "room", "a01")
    assert told(triage) == "José Núñez: in Teams there is only a draft, it was not turned in"


@pytest.mark.parametrize("pack", [packed.classroom, packed.clones, packed.homes])
def test_class_08_classroom_clones_and_homes(look, work, tmp_path, pack):
    triage = look(pack(tmp_path / "z.zip", LESSON, work))
    assert statuses(triage) == [("a01", "taken"), ("a02", "taken")] and not triage.warnings


def test_class_08_an_unknown_platform_is_read_by_the_people_in_its_names(look, work, tmp_path):
    triage = look(packed.nobody_knows(tmp_path / "z.zip", LESSON, work))
    assert sorted(row.student for row in triage.counted) == ["a01", "a02"]
    (stranger,) = [row for row in triage.rows if not row.counts]
    assert stranger.student == "0003_Zoë_Stranger_try_1" and UNLISTED in stranger.doubts[0]


def test_class_08_several_folders_of_one_person_are_told(look, work, blank, tmp_path):
    files = {
        f"class/Anna Müller/{LESSON}.ipynb": (blank, packed.MORNING),
        f"class/mueller_anna (nachgereicht)/{LESSON}.ipynb": work,
        f"class/José Núñez/{LESSON}.ipynb": work,
    }
    triage = look(packed.write_zip(tmp_path / "z.zip", files))
    assert statuses(triage) == [("a01", "older"), ("a01", "taken"), ("a02", "taken")]
    assert told(triage).startswith(
        "Anna Müller (a01): all of 'Anna Müller', 'mueller_anna (nachgereicht)' are taken for this one person's"
    )


def test_class_08_two_people_in_one_name_are_neither(look, work, tmp_path):
    triage = look(
        packed.write_zip(
            tmp_path / "z.zip", {f"c/Anna Müller + José Núñez/{LESSON}.ipynb": work, "c/x/y": b""}
        )
    )
    assert [row.student for row in triage.counted] == ["Anna_Müller_José_Núñez"]
    assert "2 people of the roster may be meant" in told(triage)


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("Gruppe 3 - Müller, Anna (late)", {"a01"}),
        ("0001#jose@example.org#2", {"a02"}),
        ("Anna", set()),
        ("Version 1 of 12", set()),
        ("Anna Müller, José Núñez", {"a01", "a02"}),
        ("MUELLER_anna-01_doubling.ipynb", {"a01"}),
        ("Anna Müllerin", set()),
    ],
)
def test_class_08_who_stands_in_a_name(name, people):
    roster = Roster(
        [
            Person("a01", "Anna", "Müller", "anna.m@example.org", aliases=("1",)),
            Person("a02", "José", "Núñez", "jose@example.org", aliases=("12",)),
        ]
    )
    assert roster.named(name) == people


CALLED = [
    ("anna", "Anna", "Doe"),
    ("jdoe", "Jane", "Doe", "jane@x.org"),
    ("s123456", "Bo", "Abel"),
    ("mr7", "Max", "Roe"),
]


@pytest.mark.parametrize(
    "name",
    ["Anna Roe", "Ann A. Roe", "anna-roe (late)", "jane roe", "Roe_s123456", "Anna R", "Roe, Bob jdoe"],
)
def test_class_08_a_stranger_in_whose_name_an_id_stands_is_not_taken_for_its_owner(name):
    """Not by one word of a name that has others: that would be somebody else's mark."""
    names = [f"class/{name}/x.ipynb", "class/jdoe/x.ipynb", f"class/Anna Doe/{name}.ipynb"]
    _, ids, warnings = claims_of(names, CALLED)
    assert ids[1:] == ["jdoe", "anna"] and ids[0] not in ("", "anna", "jdoe", "s123456")
    (said,) = warnings
    assert said.startswith(f"{name}: not taken for ") and said.endswith("; collect it with --student ID")
    for form in ("{} 01_doubling.ipynb", "{} - 01_doubling.ipynb", "{}.zip/01_doubling.ipynb"):
        _, ids, _ = claims_of([form.format(name)], CALLED)
        assert ids[0] not in ("anna", "jdoe", "s123456"), form


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("lesson01_jdoe", "jdoe"),
        ("jdoe-notebook-final", "jdoe"),
        ("jane jdoe try 2", "jdoe"),
        ("J. Doe (jane) late", "jdoe"),
        ("0001#jane@x.org#Montag", "jdoe"),
        ("s123456_lesson1", "s123456"),
        ("jdoe_tuesday", "jdoe"),  # nobody's name, and no name in the class beside it
        ("s123456 Praktikum", "s123456"),
        ("s123456 - doubling v2 (1)", "s123456"),
        ("Gruppe B 3 - Doe, Anna (nachgereicht)", "anna"),
    ],
)
def test_class_08_an_id_beside_remarks_and_its_owners_own_words_is_its_owners(name, student):
    for form in ("{}.ipynb", "{}/x.ipynb", "{}.zip/01_doubling.ipynb"):
        _, ids, warnings = claims_of([form.format(name)], CALLED)
        assert ids == [student] and not [w for w in warnings if "not taken" in w], form


def test_class_08_a_name_without_accents_that_is_one_persons_may_be_anothers_with_them():
    people = [("t1", "Trang", "Pham"), ("t2", "Trang", "Phạm"), ("t3", "Trang", "Phàm")]
    _, ids, warnings = claims_of(["class/Trang Pham/x.ipynb"], people)
    assert ids == ["t1"] and "so may be called Trang Phạm (t2), Trang Phàm (t3)" in warnings[-1]
    _, ids, warnings = claims_of(["class/Trang Phạm/x.ipynb"], people)
    assert ids == ["t2"] and not [w for w in warnings if "may be called" in w]  # nobody adds an accent
    _, ids, warnings = claims_of(["class/Trang Pham/x.ipynb", "class/Trang Phạm/x.ipynb"], people[:2])
    assert ids == ["t1", "t2"] and not [w for w in warnings if "may be called" in w]


CANVAS = (
    'Student,ID,SIS User ID,SIS Login ID,Section\n"Doe, Jane",4711,90210,jd,1\n"Abel, Bo",4712,4713,ba,1\n'
)


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("roeanna_90210_1001_x.ipynb", "roeanna_90210"),  # by chance Jane's id at the school
        ("roeanna_4711_1001_x.ipynb", "90210"),  # Canvas's number of Jane, says Canvas's own gradebook
        ("doejanemarie_90210_1001_x.ipynb", "90210"),  # not Canvas's number, but her name
        ("doejane_4713_1001_x.ipynb", "90210"),  # a whole name, whoever has the number
        ("L/Abgaben/Roe_Anna_aroe_90210/x.ipynb", "Roe_Anna"),
    ],
)
def test_class_08_a_platforms_number_is_not_the_schools(tmp_path, name, student):
    (tmp_path / "class.csv").write_text(CANVAS)
    people = [astuple(person) for person in read_roster(tmp_path / "class.csv").people]
    _, ids, warnings = claims_of([name, name.replace("_x.ipynb", "_y.ipynb")], people)
    assert set(ids) == {student} and not warnings


def test_class_08_a_class_list_of_ids_alone_may_hold_canvas_numbers():
    assert claims_of(["roeanna_90210_1001_x.ipynb"], [("90210",)])[1] == ["90210"]


def test_class_08_an_id_and_a_name_of_two_people_are_said():
    people = [("jdoe", "Jane", "Doe"), ("aroe", "Anna", "Roe")]
    names = ["Roe, Anna(jdoe)/x.ipynb", "G-Anna Roe_1_assignsubmission_file_/x.ipynb"]
    assert claims_of(names[1:], people)[1:] == (["aroe"], ["taken for groups' names: 'G'"])
    _, ids, (said,) = claims_of(names[:1], people)
    assert ids == ["jdoe"]
    assert "taken for Jane Doe's (jdoe) by 'jdoe', but 'Anna Roe' is Anna Roe's (aroe)" in said


def test_class_08_a_first_name_that_is_one_students_id_and_anothers_name_is_said():
    people = [("a1", "Anna", "Doe", "anna@x.org"), ("a2", "Ánna", "Roe"), ("bo", "Bo", "Abel")]
    names = ["class/Anna/x.ipynb", "class/bo/x.ipynb", "class/Anna Doe/y.ipynb"]
    _, ids, warnings = claims_of(names, people)
    assert ids == ["a1", "bo", "a1"]
    assert warnings[0].startswith(
        "Anna: taken for Anna Doe's (a1), whose id it is, but so are called Ánna Roe (a2)"
    )
    lees = [("x1", "Min", "Lee"), ("x2", "Min Lee", "Park")]
    assert (
        "(x1), whose name it is, but so are called Min Lee Park"
        in claims_of(["Min Lee/x.ipynb", "Bo/x.ipynb"], lees)[2][0]
    )
    alone = [*people, ("x1", "Cher", "")]
    assert not claims_of(["Anna Doe.zip/01_doubling.ipynb"], alone)[2]
    assert not claims_of(["submitted/anna/01_doubling/x.ipynb"], people)[2]  # nbgrader knows ids alone


JANS = [("jan", "Jan", "Novák"), ("jp", "Jan Peter", "Novák"), ("a1", "Văn An", "Nguyễn"), ("a2", "Văn An", "Nguyễn")]  # fmt: skip


def test_class_08_a_whole_name_is_its_bearers_where_others_leave_out_a_first_name():
    """On Moodle and Canvas everybody stands with the whole name: no week should begin with a warning for that."""
    both = [f"{first}Novák_1_assignsubmission_file_/x.ipynb" for first in ("Jan ", "Jan Peter ")]
    assert claims_of(both, JANS)[1:] == (["jan", "jp"], [])
    _, ids, (said,) = claims_of(both[:1], JANS)
    assert ids == ["jan"] and "taken for Jan Novák's (jan), whose name it is, but so may be called Jan Peter Novák (jp)" in said  # fmt: skip
    assert claims_of(["Novak, Jan (jan).zip/x.ipynb"], JANS)[1:] == (["jan"], [])
    assert claims_of(["Novák, Jan(jp)/x.ipynb", "Bo(bo)/x.ipynb"], JANS)[1:] == (["jp", "Bo_bo"], [])  # Sakai
    assert claims_of(["jan novák 01_doubling.ipynb"], [("jannovák", "Ann", "J"), JANS[1]])[1] != ["jannovák"]  # fmt: skip


@pytest.mark.parametrize("name", ["a1 Văn An Nguyễn", "Nguyen Van An (A1) late", "G3-Nguyễn, Văn An a1"])
def test_class_08_an_id_tells_which_of_two_with_one_name_it_is(name):
    for form in ("{} 01_doubling.ipynb", "{}/x.ipynb", "{}.zip/01_doubling.ipynb"):
        people = [(i + "23456", *names) for i, *names in JANS]
        _, ids, warnings = claims_of([form.format(name.replace("1", "123456"))], people)
        assert (ids, warnings) == (["a123456"], []), form


def test_class_08_a_word_that_several_write_beside_their_ids_is_a_remark():
    """Also beside ids that are names; unless somebody of the class is called so."""
    people = [("anna", "Anna", "Doe"), ("jan", "Jan", "Novák"), ("kim", "Kim", "Lee"), ("eva", "Eva", "Roe")]
    names = [
        f"{name} {word} 01_doubling.ipynb" for word in ("montag", "roe") for name in ("anna", "jan", "kim")
    ]
    _, ids, warnings = claims_of(names, people)
    assert ids == ["anna", "jan", "kim", "", "", ""]
    assert warnings[0] == "'montag' stands beside the ids of 3 students and in no name of the class list: taken for a remark"  # fmt: skip
    assert sum("not taken for" in said for said in warnings) == 3
    assert claims_of(names[:2], people)[1] == ["", ""]


def test_class_08_who_has_the_name_of_two_is_not_called_unlisted(look, work, tmp_path):
    (tmp_path / "class.csv").write_text("id,first_name,last_name\nb1,Bo,Berg\nb2,Bo,Berg\n")
    triage = look(
        packed.write_zip(tmp_path / "z.zip", {f"Bo Berg_7_assignsubmission_file_/{LESSON}.ipynb": work})
    )
    (row,) = triage.rows
    assert row.doubts == ("Bo Berg may be Bo Berg (b1) or Bo Berg (b2): collect this for whose it is with --student ID",)  # fmt: skip


def test_class_08_a_blank_notebook_that_is_collected_for_one_of_two_settles_no_guests(
    look, release, blank, tmp_path
):
    """Blank notebooks are the same file: one that is collected by hand was taken for the first stranger's, and her page went to him."""
    (tmp_path / "class.csv").write_text("id,first_name,last_name\nb1,Bo,Berg\nb2,Bo,Berg\n")
    senders = ("Amy Guest_1", "Bo Berg_2", "Bo Berg_3")
    look(packed.write_zip(tmp_path / "z.zip", {f"{s}_assignsubmission_file_/{LESSON}.ipynb": blank for s in senders}))  # fmt: skip
    (file := tmp_path / "x.ipynb").write_bytes(blank)
    room = tmp_path / "room"
    for student in ("b1", "b2"):
        triage = collect(file, release, room, student=student)
    assert statuses(triage) == [
        ("Amy_Guest", "taken"),
        *((s, w) for s in ("b1", "b2") for w in ("older", "taken")),
    ]


def test_class_08_what_may_be_two_peoples_is_not_kept_under_the_id_of_one():
    """Where it says so, a person collects it by hand: with an id, which is one student's."""
    people = [("anna", "Anna", "Doe"), ("ar", "Ann", "Roe", "anna@x.org"), ("bo", "Bo", "Abel")]
    _, ids, (said,) = claims_of(["class/Anna/x.ipynb", "class/bo/x.ipynb"], people)
    assert ids == ["", "bo"] and said.startswith("Anna: 2 people of the roster may be meant")
    by_hand = identify(PurePosixPath("x-1", "Anna", "x.ipynb"), wrappers([], Notes(), frozenset), True)
    roster = Roster([Person(*p) for p in people])
    assert student_ids(by_hand, [("x", LESSON)], roster) == (["anna"], [])


def test_class_08_a_remark_in_brackets_is_no_login_of_sakai():
    """Sakai writes no blank before its bracket; else all who are late would be one student."""
    _, ids, _ = claims_of(["Doe, Jane (late)/x.ipynb", "Abel, Bo (late)/x.ipynb"])
    assert ids == ["Doe_Jane_late", "Abel_Bo_late"]


def test_a_new_platform_is_one_file(monkeypatch, look, work, tmp_path):
    """A module with a PLATFORM, dropped among the others, is all that a platform takes."""
    (tmp_path / "toy.py").write_text(
        "import re\n"
        "from course.intake.claim import Claim, Platform\n"
        "class Toy(Platform):\n"
        "    def claims(self, place, notes):\n"
        "        found = re.fullmatch(r'toy~(.+)~(.+)', place.part)\n"
        "        return [Claim('Toy', found[1], found[1], found[2], (found[1],))] if found else []\n"
        "PLATFORM = Toy()\n",
        encoding="utf-8",
    )
    files = {f"toy~{who}~{LESSON}.ipynb": work for who in ("zoe", "yan")}
    download = packed.write_zip(tmp_path / "z.zip", files)
    assert not look(download).counted
    monkeypatch.setattr(platforms, "__path__", [*platforms.__path__, str(tmp_path)])
    monkeypatch.setattr(platforms, "PLATFORMS", platforms.found())
    assert statuses(look(download)) == [("yan", "taken"), ("zoe", "taken")]


def test_a_teachers_feedback_is_nobodys_work(look, work, blank, tmp_path):
    """Not even where it is newer and holds all the answers."""
    files = {
        f"Anna Müller_1_assignsubmission_file_/{LESSON}.ipynb": (blank, packed.MORNING),
        f"Anna Müller_1_assignfeedback_file_/{LESSON}.ipynb": work,
        f"José Núñez_2_assignfeedback_file_/{LESSON}.ipynb": work,
    }
    triage = look(packed.write_zip(tmp_path / "m.zip", files))
    assert statuses(triage) == [("a01", "ignored"), ("a01", "taken"), ("a02", "ignored")]
    assert not right(tmp_path / "room", "a01")


def test_class_09_a_class_list_that_cannot_be_read_replaces_none(look, release, work, tmp_path):
    download = packed.moodle_groups(tmp_path / "m.zip", LESSON, work)
    before = look(download)
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(CourseError, match="save it as “CSV UTF-8”"):
        collect(None, release, tmp_path / "room", bad)
    assert statuses(collect(None, release, tmp_path / "room")) == statuses(before)


# Class 6: a late zip with one wrapper folder


def test_class_06_the_roster_knows_which_folder_is_the_student(look, work, blank, tmp_path):
    first = {f"class/{who}/{LESSON}.ipynb": blank for who in ("a01", "a02")}
    late = packed.write_zip(
        tmp_path / "late.zip", {f"class/a01/{LESSON}.ipynb": (work, (2026, 3, 9, 9, 0, 0))}
    )
    look(packed.write_zip(tmp_path / "class.zip", first))
    triage = look(late)
    assert statuses(triage) == [("a01", "older"), ("a01", "taken"), ("a02", "taken")]
    assert right(tmp_path / "room", "a01")
    assert "'class' is nobody's name that is known, so 'a01' is taken for the student" in told(triage)


@pytest.mark.parametrize("at_once", [False, True])
def test_class_06_without_a_roster_earlier_submissions_know(release, work, blank, tmp_path, at_once):
    first = packed.write_zip(
        tmp_path / "class.zip", {f"class/{who}/{LESSON}.ipynb": blank for who in ("anna", "sam")}
    )
    late = packed.write_zip(
        tmp_path / "late.zip", {f"class/anna/{LESSON}.ipynb": (work, (2026, 3, 9, 9, 0, 0))}
    )
    for downloads in [[first, late]] if at_once else [[first], [late]]:
        triage = collect(downloads, release, tmp_path / "room")
    assert statuses(triage) == [("anna", "older"), ("anna", "taken"), ("sam", "taken")]
    assert right(tmp_path / "room", "anna")


def test_class_06_a_known_student_is_no_wrapper():
    """Whatever a known student's folder holds, it is theirs."""
    people = [("a01", "Anna", "Müller"), ("a02", "José", "Núñez")]
    _, ids, _ = claims_of(["José Núñez/Anna Müller/x.ipynb", "José Núñez/a01/x.ipynb"], people)
    assert ids == ["a02", "a02"]


def test_class_06_where_nobody_is_known_the_upper_folder_counts_and_it_is_said():
    _, ids, warnings = claims_of(["zoe/backup2/x.ipynb"])
    assert ids == ["zoe"]
    assert warnings == [
        "z.zip/zoe: 'zoe' is taken for the student's name and 'backup2' for a folder of theirs"
    ]


# Class 10: a copy is nobody


@pytest.mark.parametrize(
    "name",
    [
        f"{LESSON}-Copy1.ipynb",
        f"{LESSON}-Copy1-Copy2.ipynb",
        f"{LESSON}-Kopie2.ipynb",
        f"{LESSON}__20260301120000.ipynb",
        f"{LESSON} - Colaboratory.ipynb",
        "Copy of Lesson 1 (3).ipynb",
        f"{LESSON}-checkpoint.ipynb",
        "Untitled12.ipynb",
    ],
)
def test_class_10_a_loose_copy_is_no_student(name):
    _, ids, _ = claims_of([name])
    assert ids == [""]


def test_class_10_a_copy_with_a_name_is_that_students():
    _, ids, _ = claims_of([f"{LESSON}-Copy1 anna mueller.ipynb"])
    assert ids == ["anna_mueller"]


# Class 26: what a student can write is not believed


def test_class_26_a_students_own_timestamp_is_not_believed(look, work, tmp_path):
    forged = b"2001-01-01 00:00:00.000000 UTC"
    files = {}
    for number, who in enumerate(("Anna Müller", "José Núñez")):
        folder = f"{who}_{number + 1}_assignsubmission_file_"
        files |= {
            f"{folder}/{LESSON}.ipynb": work,
            f"{folder}/timestamp.txt": forged,
            f"{folder}/{LESSON}/timestamp.txt": forged,
        }
    triage = look(packed.write_zip(tmp_path / "m.zip", files))
    assert {f"{row.time:%Y-%m-%d %H:%M}" for row in triage.counted} == {"2026-03-01 12:00"}
    plain = {f"class/{who}/{LESSON}.ipynb": work for who in ("a01", "a02")} | {
        "class/a01/timestamp.txt": forged
    }
    triage = look(packed.write_zip(tmp_path / "p.zip", plain))
    assert all(row.time.year == 2026 for row in triage.rows)


def test_class_26_nbgraders_timestamp_is_believed_where_nbgrader_writes_it(release, work, tmp_path):
    stamps = {
        "anna": (b"2026-03-01 09:00:00.000000 UTC", "03-01 09:00"),
        "bob": (b"2026-03-01 23:59:59 Europe/Berlin", "03-01 22:59"),
        "cleo": ("2026-03-01 22:00:00 UTC".encode("utf-16"), "03-01 22:00"),
        "dan": (b"2026-03-01T23:59:59+02:00", "03-01 21:59"),
        "eve": (b"03/04/2026 10:00 PM", "03-01 12:00"),
        "fay": (b"2026-03-01 09:00:00 " * 4000, "03-01 12:00"),
    }
    files = {}
    for who, (stamp, _) in stamps.items():
        files |= {
            f"submitted/{who}/{LESSON}/{LESSON}.ipynb": work,
            f"submitted/{who}/{LESSON}/timestamp.txt": stamp,
            f"submitted/{who}/{LESSON}/mine/timestamp.txt": b"2001-01-01 00:00:00 UTC",
        }
    triage = collect(
        packed.write_zip(tmp_path / "s.zip", files), release, tmp_path / "room", zone=datetime.UTC
    )
    found = {row.student: f"{row.time:%m-%d %H:%M}" for row in triage.counted}
    assert found == {who: time for who, (_, time) in stamps.items()}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01 11:00:00.000000000 Z", "2026-03-01T11:00:00+00:00"),
        ("2026-03-01 11:00:00.5 -0800", "2026-03-01T19:00:00.500000+00:00"),
        ("20260301235959", "2026-03-01T23:59:59+00:00"),
        ("2026-02-30 11:00:00", None),
        ("9999-12-31 23:59:59 -0800", None),
        ("9999-12-31 23:59:59", None),
        ("0001-01-01 00:00:00", None),
        ("2026-03-01 11:00:00 ../../etc/passwd", None),
        ("2026-03-01 11:00:00 Nowhere/City", None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_class_26_times_are_read_in_few_forms(text, time):
    assert moment(text) == (time and datetime.datetime.fromisoformat(time))


@pytest.mark.parametrize("roster_known", [True, False])
@pytest.mark.parametrize("form", ["{} - 01_doubling.ipynb", "01_doubling {}.ipynb"])
def test_class_26_a_folder_with_two_students_files_is_no_student(roster_known, form):
    people = [("a01", "Anna", "Müller"), ("a02", "José", "Núñez")] if roster_known else []
    names = [f"Physics/{form.format(who)}" for who in ("Anna Müller", "José Núñez")]
    _, ids, _ = claims_of(names, people)
    assert ids == (["a01", "a02"] if roster_known else ["Anna_Müller", "José_Núñez"])


def test_class_26_a_group_folder_with_files_of_several_is_told():
    names = [f"{folder}/{who} - {LESSON}.ipynb" for folder in ("Red", "Blue") for who in ("Al Po", "Di Ro")]
    _, ids, warnings = claims_of(names)
    assert set(ids) == {"Red", "Blue"}
    assert "z.zip/Red: its files are called after several people ('Al Po', 'Di Ro')" in "\n".join(warnings)


def test_class_26_checkpoints_at_the_top_are_no_student():
    names = [
        f".ipynb_checkpoints/{LESSON}-checkpoint.ipynb",
        "anna/x.ipynb",
        "bob/x.ipynb",
        ".cache/x/y.ipynb",
    ]
    _, ids, _ = claims_of(names)
    assert ids == ["", "anna", "bob", ""]


# Class 21: side files


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n + 1}: &a{n + 1} {{<<: [{','.join([f'*a{n}'] * 9)}]}}\n" for n in range(9)
)
HOSTILE = {
    "bool": "a: !!bool maybe",
    "timestamp": "a: !!timestamp soon",
    "int": "a: !!int many",
    "python": "a: !!python/object/apply:os.system [ls]",
    "aliases": BOMB,
    "merges": MERGES,
    "deep": "[" * 100_000,
    "keys": "{[a]: b, {c: d}: e}",
    "list": "- a",
    "number": "7",
    "nothing": "",
    "broken": "a: [",
    "controls": "a: \x00\x07",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_class_21_a_students_own_metadata_is_not_read(look, work, tmp_path, text, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the YAML of a student was parsed")

    import yaml

    good = packed.gradescope(tmp_path / "export.zip", LESSON, work)
    files = {
        f"{who}_{number}_assignsubmission_file_/{name}": content
        for number, who in enumerate(("Anna Müller", "José Núñez"))
        for name, content in {f"{LESSON}.ipynb": work, "submission_metadata.yml": text.encode()}.items()
    }
    monkeypatch.setattr(yaml, "parse", refuse)
    monkeypatch.setattr(yaml, "load", refuse)
    triage = look(packed.write_zip(tmp_path / "m.zip", files))
    assert [row.student for row in triage.counted] == ["a01", "a02"]
    _people.cache_clear()  # another test may have had the same list read
    with pytest.raises(AssertionError, match="was parsed"):
        look(good)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_class_21_hostile_metadata_in_its_place_costs_nothing(text):
    began = time.process_time()
    _, ids, warnings = claims_of(
        [f"assignment_1_export/submission_{n}/x.ipynb" for n in (1, 2)],
        texts={"assignment_1_export/submission_metadata.yml": text.encode()},
    )
    assert ids == ["", ""] and time.process_time() - began < 5
    if text in (BOMB, MERGES, HOSTILE["deep"], HOSTILE["broken"], HOSTILE["list"]):
        assert "submission_metadata.yml cannot be read" in warnings[0] and "--student" in warnings[-1]


def test_class_21_scalars_of_the_metadata_are_text():
    text = """
submission_1:
  :submitters:
  - :sid: 007
    :name: yes
    :email: !!int x
  :created_at: !ruby/object:Time 2026-03-01 11:00:00 Z
  :late: false
submission_2:
  :submitters:
  - :sid: 2026-03-01
  - :sid: !!bool maybe
  :late: 1.5
  <<:
    :created_at: 2026-03-01 11:00:00 Z
submission_3:
  :submitters: nobody
"""
    claims, ids, _ = claims_of(
        [f"assignment_1_export/submission_{n}/x.ipynb" for n in (1, 2, 3)],
        texts={"assignment_1_export/submission_metadata.yml": text.encode()},
    )
    assert ids == ["007", "2026-03-01", "maybe", ""]
    assert [c.late for c in claims] == [False, True, True, False]
    assert [c.time and c.time.hour for c in claims] == [11, None, None, None]


def test_class_21_metadata_has_a_limit(monkeypatch):
    monkeypatch.setattr("course.intake.whose.NOTE_BYTES", 100)
    monkeypatch.setattr("course.intake.platforms.gradescope.NOTE_BYTES", 100)
    _, ids, warnings = claims_of(
        ["assignment_1_export/submission_1/x.ipynb"],
        texts={"assignment_1_export/submission_metadata.yml": b"submission_1: {}\n" + b"#" * 200},
    )
    assert ids == [""] and "it is longer than" in warnings[-1]


# Nobody can speak for another

VICTIM, EVE = ("a01", "Anna", "Müller"), ("e66", "Eve", "Sub")
FORGED = [
    "Anna Müller_1001_assignsubmission_file_",
    "mulleranna_4711_90001_",
    "Lesson 1_a01_attempt_2030-01-01-00-00-00_",
    "submission_1",
    "a01+01_doubling+2030-01-01 00:00:00 UTC+x",
    "10234-556677 - Anna Müller - Mar 1, 2030 1107 PM",
    "Müller_Anna_a01_1234",
    "Müller, Anna(a01)",
    "Anna Müller - ",
    "hw-a01",
    "jupyter-a01",
    "Anna Müller",
    "a01",
    "Abgaben",
    "Submitted files",
    "submitted",
    "Submissions",
    "home",
    "hw-submissions",
    "assignment_1_export",
    "Lesson 1",
    ".ipynb_checkpoints",
    "class",
]
# platform -> the two names that it gives, {} is where the student's own names begin
GIVES = {
    "Moodle": ("Anna Müller_1001_assignsubmission_file_/{}", "Eve Sub_1002_assignsubmission_file_/{}"),
    "Moodle, flat": ("Anna Müller_1001_assignsubmission_file_{}", "Eve Sub_1002_assignsubmission_file_{}"),
    "Moodle, groups": (
        "A-Anna Müller_1001_assignsubmission_file_/{}",
        "B-Eve Sub_1002_assignsubmission_file_/{}",
    ),
    "Canvas": ("mulleranna_4711_90001_{}", "subeve_4712_90002_{}"),
    "Blackboard": (
        "Lesson 1_a01_attempt_2026-03-01-09-30-00_{}",
        "Lesson 1_e66_attempt_2026-03-01-09-31-00_{}",
    ),
    "Brightspace": ("1-5 - Anna Müller - Mar 1, 2026 1107 PM/{}", "2-5 - Eve Sub - Mar 1, 2026 1107 PM/{}"),
    "ILIAS": ("Lesson 1/Abgaben/Müller_Anna_a01_1/{}", "Lesson 1/Abgaben/Sub_Eve_e66_2/{}"),
    "Sakai": ("Lesson 1/Müller, Anna(a01)/{}", "Lesson 1/Sub, Eve(e66)/{}"),
    "Teams": ("Submitted files/Anna Müller/{}", "Submitted files/Eve Sub/{}"),
    "GitHub": ("hw-submissions/hw-a01/{}", "hw-submissions/hw-e66/{}"),
    "nbgrader": ("a01+01_doubling+2026-03-01 10:00:00 UTC/{}", "e66+01_doubling+2026-03-01 10:00:00 UTC/{}"),
    "nbgrader, submitted": ("submitted/a01/01_doubling/{}", "submitted/e66/01_doubling/{}"),
    "folders": ("class/Anna Müller/{}", "class/Eve Sub/{}"),
    "unknown": ("x/1#Anna Müller#t/{}", "x/2#Eve Sub#t/{}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("gives", GIVES.values(), ids=GIVES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nobody_can_speak_for_another_on_any_platform(gives, seed):
    """Whatever Eve calls her files and folders: all of hers are hers, Anna's alone are Anna's, alone or together."""
    rng = random.Random(seed)
    victims, eves = gives
    hers = set()
    for _ in range(rng.randrange(1, 8)):
        parts = rng.choices(FORGED, k=rng.randrange(1, 4))
        glue = "" if eves.endswith("_{}") else "/"
        hers.add(eves.format(glue.join(parts) + rng.choice(["/x.ipynb", "x.ipynb"] if glue else ["x.ipynb"])))
    names = [victims.format("x.ipynb"), *sorted(hers)]
    for some in (names, names[1:]):
        claims, ids, _ = claims_of(some, [VICTIM, EVE])
        assert len(claims) == len(some)
        wrong = [(n, i) for n, i in zip(some, ids, strict=True) if i != ("a01" if n == names[0] else "e66")]
        assert not wrong


@pytest.mark.parametrize("gives", [g for n, g in GIVES.items() if n not in ("unknown", "folders")], ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nobody_can_speak_for_another_who_is_not_on_the_roster(gives, seed):
    """The same where the roster lacks Eve: she may become a stranger, never Anna."""
    rng = random.Random(seed)
    victims, eves = gives
    glue = "" if eves.endswith("_{}") else "/"
    hers = sorted({eves.format(glue.join([*rng.choices(FORGED, k=2), "x.ipynb"])) for _ in range(5)})
    names = [victims.format("x.ipynb"), *hers]
    _, ids, _ = claims_of(names, [VICTIM])
    assert ids[0] == "a01" and "a01" not in ids[1:]


def test_a_note_of_blackboard_in_a_students_zip_takes_nothing_from_another():
    """The note lies beside the attempt, not anywhere under its name."""
    note = b"Name: Eve Sub (e66)\n"
    names = [
        "Lesson 1_a01_attempt_2026-03-01-09-30-00_x.ipynb",
        "Lesson 1_e66_attempt_2026-03-01-09-31-00_w.zip/x.ipynb",
    ]
    forged = "Lesson 1_e66_attempt_2026-03-01-09-31-00_w.zip/Lesson 1_a01_attempt_2026-03-01-09-30-00.txt"
    _, ids, _ = claims_of(names, [VICTIM, EVE], texts={forged: note})
    assert ids == ["a01", "e66"]
    beside = "Lesson 1_a01_attempt_2026-03-01-09-30-00.txt"
    _, ids, _ = claims_of(names, [VICTIM, EVE], texts={beside: b"Name: Anna (a01)\n\nName: Eve (e66)\n"})
    assert ids == ["a01", "e66"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(min_size=1, max_size=30).filter(lambda s: "/" not in s and s != "."), min_size=1, max_size=5
    )
)
def test_any_name_is_somebodys_or_nobodys(parts):
    """Whatever the names, the claims of a path are made and never reach above the download."""
    claims, ids, _ = claims_of(["/".join(parts)], [VICTIM])
    assert len(claims) == len(ids) == 1 and "/" not in ids[0]


def test_long_names_take_no_time():
    began = time.process_time()
    for part in (
        "_1",
        "anon_",
        " - ",
        "1-1 - ",
        "_attempt_2026-01-01-01-01-01",
        "_assignsubmission_",
        ".zip",
        "+",
        ", a(",
    ):
        name = (part * 40_000)[:65_000]
        claims_of([f"{name}!", f"{name}!/x.ipynb"], [VICTIM])
    assert time.process_time() - began < 20


def test_side_files_are_known_by_their_names():
    assert is_side_file("submission_metadata.yml") and is_side_file("timestamp.txt")
    assert is_side_file("L_e66_attempt_2026-03-01-09-31-00.txt")
    assert not is_side_file("L_e66_attempt_2026-03-01-09-31-00_x.txt") and not is_side_file("x.ipynb")


def test_no_platform_runs_what_was_handed_in():
    for path in Path(platforms.__file__).parent.glob("*.py"):
        calls = (
            n.func for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)
        )
        assert not {f.id for f in calls if isinstance(f, ast.Name)} & {
            "exec",
            "eval",
            "compile",
            "__import__",
        }


def test_every_platform_is_listed():
    names = {type(platform).__name__ for platform in platforms.PLATFORMS}
    assert (
        len(names) == len(platforms.PLATFORMS) == len(list(Path(platforms.__file__).parent.glob("*.py"))) - 1
    )
    assert all(
        isinstance(p.claims(claim.Place(PurePosixPath("z", "x"), 1), replace(Notes())), list)
        for p in platforms.PLATFORMS
    )
