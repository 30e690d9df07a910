"""`course collect`: every file accounted for, every answer found, nobody speaking for another."""

import ast
import contextlib
import copy
import csv
import datetime
import io
import json
import os
import random
import shutil
import stat
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from course.csvfile import escape, read_csv, unescape, write_csv
from course.intake import Limits, collect
from course.intake.archive import is_by_hand
from course.intake.collecting import NEWER
from course.intake.decode import read_sheet
from course.intake.rebuild import rebuild
from course.intake.roster import read_roster, safe_id
from course.intake.sheet import Unreadable, even
from course.intake.suspicion import reaches
from course.intake.triage import COLUMNS
from course.intake.workers import Workers
from course.model import CourseError
from course.store import Store
from tests import golden
from tests.damage import platforms
from tests.damage.paper import paper_of, tiny_paper, tiny_score
from tests.damage.recipes import UNGRADED, damages, written
from tests.test_roster import ANNA, workbook

LESSON = "01_doubling"
ROSTER = 'Student;SIS User ID;Email\n"Müller, Anna";a01;anna@example.org\n"Núñez, José";a02;jose@example.org\n"Absent, Al";a09;al@example.org\n'


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Two tiny released lessons."""
    folder = tmp_path_factory.mktemp("release")
    tiny_paper(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(release):
    """The first tiny lesson, solved."""
    return tiny_paper(release)


@pytest.fixture(scope="session")
def work(tiny):
    """The bytes of the solved tiny notebook."""
    return written(tiny.solved())


@pytest.fixture
def classroom(tmp_path):
    """An empty classroom."""
    return tmp_path / "classroom"


@pytest.fixture
def roster(tmp_path):
    """A class list as Canvas exports it, saved by a German Excel."""
    path = tmp_path / "class.csv"
    path.write_text(ROSTER, encoding="utf-8")
    return path


def hand_in(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def halved(release: Path) -> bytes:
    """The second tiny notebook with its answer."""
    notebook = json.loads((release / "02_halving/02_halving.ipynb").read_bytes())
    notebook["cells"][3]["source"] = "def halve(n):\n    return n / 2"
    return written(notebook)


def placed(classroom: Path, student: str, lesson: str = LESSON) -> dict:
    """The canonical notebook of a student."""
    return json.loads(
        (classroom / "submitted" / student / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    )


def said(row) -> str:
    """All that the triage says of a file."""
    return "; ".join([*row.repairs, *row.notes, row.reason])


# The damage suite


@pytest.fixture(scope="session", params=["tiny", "01_iterated_convolution"])
def suite(request, tmp_path_factory, release, tiny, course):
    """The whole suite collected as one class: damages, triage, classroom."""
    if request.param == "tiny":
        paper, released = tiny, release
    else:
        paper, released = paper_of(course, course.lesson(request.param)), course.root / "notebooks"
    folder = tmp_path_factory.mktemp("damage")
    cases = {f"student-{i:03}": damage for i, damage in enumerate(damages(paper))}
    hand_in(
        folder / "class", {f"{student}/{damage.file}": damage.content for student, damage in cases.items()}
    )
    return paper, cases, collect(folder / "class", released, folder / "classroom"), folder / "classroom"


@pytest.mark.slow
def test_every_damaged_file_gets_the_expected_triage(suite):
    _, cases, triage, _ = suite
    rows = {row.student: row for row in triage.rows}
    assert len(cases) >= 90 and len(triage.rows) == len(cases) == len(rows)
    wrong = [
        f"{damage.name}: {rows[student].status} ({said(rows[student])}), expected {damage.status} ({damage.mention})"
        for student, damage in cases.items()
        if rows[student].status != damage.status or damage.mention not in said(rows[student])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_the_damage_suite_is_sorted_as_it_was(suite):
    paper, _, triage, _ = suite
    assert golden.frozen(f"damage_{paper.lesson}", {"triage": golden.triage_of(triage)}) == ""


def test_nothing_is_placed_for_what_cannot_be_read(suite):
    paper, cases, _, classroom = suite
    for student, damage in cases.items():
        there = (classroom / "submitted" / student / paper.lesson / f"{paper.lesson}.ipynb").exists()
        assert there == (damage.expected_score != UNGRADED), damage.name


@pytest.mark.slow
def test_whatever_arrives_the_released_cells_stand_unchanged(suite):
    paper, cases, _, classroom = suite
    answers = {place.ids[0] for place in paper.edition.answers}
    released = {cell["id"]: cell for cell in paper.edition.notebook["cells"]}
    for student, damage in cases.items():
        if damage.expected_score == UNGRADED:
            continue
        notebook = placed(classroom, student, paper.lesson)
        kept = [cell for cell in notebook["cells"] if cell["id"] in released]
        assert [cell["id"] for cell in kept] == list(released), damage.name
        for cell in kept:
            original = released[cell["id"]]
            assert cell["metadata"] == original["metadata"] and cell["cell_type"] == original["cell_type"], (
                damage.name
            )
            assert cell["id"] in answers or cell["source"] == original["source"], damage.name
        extra = [cell for cell in notebook["cells"] if cell["id"] not in released]
        assert all(set(cell["metadata"]) == {"id"} and not cell.get("outputs") for cell in extra), damage.name
        assert {key: notebook[key] for key in ("metadata", "nbformat", "nbformat_minor")} == {
            key: paper.edition.notebook[key] for key in ("metadata", "nbformat", "nbformat_minor")
        }


@pytest.mark.slow
def test_damaged_files_score_as_expected(tiny, release, tmp_path):
    for number, damage in enumerate(damages(tiny)):
        room = tmp_path / str(number)
        triage = collect(
            hand_in(room / "class", {f"s/{damage.file}": damage.content}), release, room / "classroom"
        )
        waiting = "; ".join(triage.rows[0].doubts)
        if damage.expected_score == UNGRADED:
            assert not (room / "classroom/submitted").exists(), damage.name
            continue
        for answer, right in tiny_score(placed(room / "classroom", "s")).items():
            waits = answer.endswith("_response") and answer in waiting  # text that a person has to look at
            assert right == (damage.earns(answer) or waits), f"{damage.name}: {answer}"


def test_the_score_of_the_suite_can_fail(tiny):
    blank, solved = tiny_score(tiny.blank()), tiny_score(tiny.solved())
    assert len(blank) == 5 and not any(blank.values()) and all(solved.values())


@pytest.mark.slow
def test_nbgrader_accepts_the_canonical_notebook(suite):
    import nbformat

    paper, cases, _, classroom = suite
    for student, damage in cases.items():
        if damage.expected_score != UNGRADED:
            nbformat.validate(placed(classroom, student, paper.lesson), version=4)


def test_no_personal_data_of_colab_is_kept(tiny, release, classroom, tmp_path):
    colab = next(damage for damage in damages(tiny) if damage.name == "saved by colab")
    assert b"Jane Doe" in colab.content
    collect(hand_in(tmp_path / "class", {"s/x.ipynb": colab.content}), release, classroom)
    text = json.dumps(placed(classroom, "s"))
    for trace in ("Jane Doe", "0451", "executionInfo", "view-in-github", "outputId", "hello", "file_id"):
        assert trace not in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_cells_in_any_order_with_any_lost_or_copied_never_break_the_release(tiny, seed):
    rng = random.Random(seed)
    notebook = tiny.solved()
    cells = [copy.deepcopy(rng.choice(notebook["cells"])) for _ in range(rng.randrange(1, 30))]
    for cell in cells:
        if rng.random() < 0.3:
            cell["metadata"] = {}
        if rng.random() < 0.3:
            cell.pop("id")
        if rng.random() < 0.2:
            cell["source"] = "".join(cell["source"])[: rng.randrange(60)]
        if rng.random() < 0.1:
            cell["cell_type"] = rng.choice(["code", "markdown", "raw"])
    made = rebuild(tiny.edition, read_sheet(written(notebook | {"cells": cells})))
    ids = [cell["id"] for cell in made.notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert [i for i in ids if not i.startswith("extra-")] == [
        cell["id"] for cell in tiny.edition.notebook["cells"]
    ]
    everything = "\n".join(even(cell["source"]) for cell in made.notebook["cells"])
    for place in tiny.exercises:
        solved = even(tiny.answers[place.grade_id])
        if any(even(cell["source"]) == solved for cell in cells):
            assert solved in everything


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_damage_to_the_bytes_is_read_or_refused_with_a_reason(work, seed):
    rng = random.Random(seed)
    data = bytearray(work)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(3)
        data[at : at + (0 if what == 0 else rng.randrange(40))] = (
            rng.randbytes(rng.randrange(4)) if what < 2 else b""
        )
    try:
        assert read_sheet(bytes(data)).cells
    except Unreadable as reason:
        assert str(reason)


# Platforms


def table(triage, *columns) -> list[tuple]:
    """Columns of the rows that count or cannot be read."""
    return sorted(tuple(getattr(row, column) for column in columns) for row in triage.rows)


def test_moodle_in_folders(release, classroom, roster, work, tmp_path):
    download = platforms.moodle_folders(tmp_path / "ML-Lesson 1-77.zip", LESSON, work)
    triage = collect(download, release, classroom, roster, zone=datetime.UTC)
    assert table(triage, "student", "status") == [
        ("Kim_Text", "unreadable"),
        ("Sam_Lee_1004", "taken"),
        ("Sam_Lee_1005", "taken"),
        ("Zoë_O_Brien-Łukasz_Jr", "ignored"),
        ("Zoë_O_Brien-Łukasz_Jr", "taken"),
        ("a01", "ignored"),
        ("a01", "taken"),
        ("a02", "ignored"),
        ("a02", "taken"),
    ]
    assert [person.id for person in triage.absent[LESSON]] == ["a09"]
    assert "several people" in "\n".join(triage.warnings)
    asked = {row.student for row in triage.rows if any("not on the class list" in x for x in row.doubts)}
    assert asked == {"Kim_Text", "Sam_Lee_1004", "Sam_Lee_1005", "Zoë_O_Brien-Łukasz_Jr"}
    stamp = (classroom / f"submitted/a01/{LESSON}/timestamp.txt").read_text()
    assert stamp == "2026-03-01 12:00:00.000000 UTC\n"


def test_a_class_list_from_excel_is_kept_as_csv_and_read_again(release, classroom, work, tmp_path):
    table = tmp_path / "class.xlsx"
    table.write_bytes(workbook([["id", "first_name", "last_name"], ["0815", *ANNA], ["4711", "Sam", "Lee"]]))
    collect(hand_in(tmp_path / "one", {"0815/x.ipynb": work}), release, classroom, table)
    assert "\n0815,Anna,Müller\n" in (classroom / "roster.csv").read_text(encoding="utf-8")
    triage = collect(hand_in(tmp_path / "two", {"0815/x.ipynb": work}), release, classroom)
    assert [(person.id, person.name) for person in triage.absent[LESSON]] == [("4711", "Sam Lee")]


def test_moodle_flat_and_blind(release, classroom, roster, work, tmp_path):
    triage = collect(platforms.moodle_flat(tmp_path / "flat.zip", LESSON, work), release, classroom, roster)
    assert table(triage, "student", "status") == [
        ("Kim_Text", "unreadable"),
        ("Participant_77", "taken"),
        ("a01", "taken"),
        ("a02", "taken"),
    ]
    assert any("anonymous" in warning for warning in triage.warnings)


def test_canvas_late_anonymous_resubmitted(release, classroom, roster, tiny, work, tmp_path):
    download = platforms.canvas(tmp_path / "submissions.zip", LESSON, work, written(tiny.blank()))
    triage = collect(download, release, classroom, roster)
    assert table(triage, "student", "status", "late") == [
        ("a01", "older", False),
        ("a01", "taken", False),
        ("a02", "taken", True),
        ("anon_aBc12", "taken", False),
        ("anon_xYz99", "taken", True),
        ("leekim_4714", "unreadable", False),
        ("leesam_4713", "unreadable", False),
    ]
    assert tiny_score(placed(classroom, "a01"))["double"]
    assert not (classroom / f"submitted/a01/{LESSON}/timestamp.txt").exists()


def test_blackboard_attempts(release, classroom, roster, tiny, work, tmp_path):
    download = platforms.blackboard(tmp_path / "gradebook.zip", LESSON, work, written(tiny.blank()))
    triage = collect(download, release, classroom, roster, zone=datetime.UTC)
    assert table(triage, "student", "status") == [
        ("a01", "older"),
        ("a01", "taken"),
        ("jnunez", "taken"),
        ("slee", "taken"),
    ]
    assert tiny_score(placed(classroom, "a01"))["double"]
    assert (classroom / f"submitted/a01/{LESSON}/timestamp.txt").read_text().startswith("2026-03-02 10:15:00")


def test_a_machine_elsewhere_reads_local_times_in_the_zone_of_the_course(
    course, release, classroom, work, tmp_path, monkeypatch
):
    from course import cli

    (tmp_path / "notebooks").symlink_to(release)
    lesson = replace(course.lessons[0], name=LESSON)
    berlin = ZoneInfo("Europe/Berlin")
    there = replace(course, root=tmp_path, classroom=classroom, lessons=(lesson,), zone=berlin)
    monkeypatch.setattr(cli, "load_course", lambda: there)
    name = f"Lesson 1_jdoe_attempt_2026-12-01-23-30-00_{LESSON}.ipynb"
    zipped = platforms.write_zip(tmp_path / "gradebook.zip", {name: work})
    for source in ([str(zipped)], []):
        ran = CliRunner().invoke(cli.app, ["collect", *source])
        assert ran.output.count("Times that name no zone were read in Europe/Berlin") == 1, ran.output
        assert [row["time"] for row in read_csv(classroom / "triage.csv")] == ["2026-12-01 22:30 UTC"]
    folder = hand_in(tmp_path / "class", {"jane/x.ipynb": work})
    monkeypatch.setattr(cli, "load_course", lambda: replace(there, classroom=tmp_path / "other"))
    ran = CliRunner().invoke(cli.app, ["collect", str(folder)])  # a disk's times are the same everywhere
    assert ran.exit_code == 0 and "no zone" not in ran.output


@pytest.mark.parametrize("seconds", [2**35 * 10, 0, -(2**40)])
def test_a_file_of_a_year_that_cannot_be_told_has_no_time(release, classroom, work, tmp_path, seconds):
    folder = hand_in(tmp_path / "class", {"jane/x.ipynb": work})
    packed = tmp_path / "late.tar"
    with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("jo/x.ipynb")
        info.size, info.mtime = len(work), seconds
        archive.addfile(info, io.BytesIO(work))
    for path in (folder / "jane/x.ipynb", packed):
        with contextlib.suppress(OSError):  # not every disk keeps such a time
            os.utime(path, (seconds, seconds))
    rows = {row.student: row for row in collect([folder, packed], release, classroom).counted}
    assert {*rows} == {"jane", "jo"} and rows["jo"].time is None


def test_gradescope_with_a_group(release, classroom, roster, work, tmp_path):
    triage = collect(platforms.gradescope(tmp_path / "export.zip", LESSON, work), release, classroom, roster)
    counted = sorted(row.student for row in triage.counted)
    assert counted == ["a01", "a02", "a03"]
    lost = [row for row in triage.rows if not row.student]
    assert len(lost) == 1 and "submission_503" in lost[0].file and "--student" in lost[0].reason


def test_drive_and_colab_names(release, classroom, roster, work, tmp_path):
    triage = collect(
        platforms.drive(tmp_path / "Homework-2026.zip", LESSON, work), release, classroom, roster
    )
    assert sorted(row.student for row in triage.counted) == ["Sam_Lee", "a01", "a02"]


def test_names_in_file_names(release, tmp_path, roster, work):
    download = platforms.file_names(tmp_path / "mail.zip", LESSON, work)
    alone = collect(download, release, tmp_path / "one")
    assert table(alone, "student", "status") == [
        ("", "unreadable"),
        ("Jose_Nunez", "taken"),
        ("anna_mueller", "taken"),
    ]
    listed = collect(download, release, tmp_path / "two", roster)
    assert table(listed, "student", "status") == [("", "unreadable"), ("a01", "taken"), ("a02", "taken")]


def test_nbgraders_own_folders(release, classroom, tiny, work, tmp_path):
    download = platforms.nbgrader(tmp_path / "exchange.zip", LESSON, work, written(tiny.blank()))
    triage = collect(download, release, classroom)
    assert table(triage, "student", "status") == [("amueller", "older"), ("amueller", "taken")]
    assert tiny_score(placed(classroom, "amueller"))["double"]


def test_nobody_can_speak_for_another(release, classroom, tiny, work, tmp_path):
    """Names below a student's own folder or zip were chosen by the student and are not believed."""
    forged = written(tiny.blank())
    names = (
        f"Anna Müller_1001_assignsubmission_file_/{LESSON}.ipynb",
        f"anna_4711_90001_{LESSON}.ipynb",
        f"Lesson 1_anna_attempt_2030-01-01-00-00-00_{LESSON}.ipynb",
        f"anna+{LESSON}+2030-01-01 00:00:00 UTC+x/{LESSON}.ipynb",
        f"../anna/{LESSON}.ipynb",
    )
    files = {f"Anna Müller_1001_assignsubmission_file_/{LESSON}.ipynb": work}
    for number, name in enumerate(names):
        if ".." not in name:
            files[f"Eve_{2000 + number}_assignsubmission_file_/{name}"] = forged
        files[f"Mallory_{3000 + number}_assignsubmission_file_/work.zip"] = platforms.zipped({name: forged})
    triage = collect(platforms.write_zip(tmp_path / "moodle.zip", files), release, classroom)
    students = {row.student for row in triage.rows}
    assert "Anna_Müller" in students and all(
        s.startswith(("Anna_Müller", "Eve", "Mallory")) for s in students
    )
    assert [row.file for row in triage.rows if row.student == "Anna_Müller"] == [
        f"moodle.zip/Anna Müller_1001_assignsubmission_file_/{LESSON}.ipynb"
    ]
    assert tiny_score(placed(classroom, "Anna_Müller"))["double"]


# Which attempt counts


def test_the_latest_attempt_counts_and_all_are_listed(release, classroom, tiny, work, tmp_path):
    folder = hand_in(tmp_path / "class", {"jane/a.ipynb": written(tiny.blank()), "jane/b.ipynb": work})
    os.utime(folder / "jane/a.ipynb", (1_700_000_000,) * 2)
    os.utime(folder / "jane/b.ipynb", (1_800_000_000,) * 2)
    triage = collect(folder, release, classroom)
    assert [(Path(row.file).name, row.status) for row in triage.rows] == [
        ("a.ipynb", "older"),
        ("b.ipynb", "taken"),
    ]
    assert all(tiny_score(placed(classroom, "jane")).values())
    os.utime(folder / "jane/a.ipynb", (1_900_000_000,) * 2)
    later = collect(folder, release, tmp_path / "another")
    assert [(Path(row.file).name, row.status) for row in later.rows] == [
        ("b.ipynb", "older"),
        ("a.ipynb", "taken"),
    ]


def test_a_later_file_that_cannot_be_read_is_listed_and_the_one_before_graded(
    release, classroom, work, tmp_path
):
    folder = hand_in(tmp_path / "class", {f"jane/{LESSON}.ipynb": work, f"jane/{LESSON} (1).ipynb": b""})
    os.utime(folder / f"jane/{LESSON}.ipynb", (1_700_000_000,) * 2)
    triage = collect(folder, release, classroom)
    bad = next(row for row in triage.rows if row.status == "unreadable")
    assert "empty" in bad.reason and "graded meanwhile" in bad.reason and triage.unreadable == [bad]
    assert all(tiny_score(placed(classroom, "jane")).values())


def test_a_checkpoint_counts_only_where_there_is_nothing_else(release, tiny, work, tmp_path):
    copy_ = f".ipynb_checkpoints/{LESSON}-checkpoint.ipynb"
    both = collect(
        hand_in(tmp_path / "a", {f"x/{copy_}": written(tiny.blank()), f"x/{LESSON}.ipynb": work, "y/z": b""}),
        release,
        tmp_path / "ra",
    )
    assert {Path(row.file).name: row.status for row in both.rows if row.student == "x"} == {
        f"{LESSON}-checkpoint.ipynb": "older",
        f"{LESSON}.ipynb": "taken",
    }
    alone = collect(hand_in(tmp_path / "b", {f"x/{copy_}": work, "y/z": b""}), release, tmp_path / "rb")
    assert [row.student for row in alone.counted] == ["x"]


def test_collecting_twice_or_in_steps_changes_nothing(release, classroom, work, tmp_path):
    one = platforms.moodle_flat(tmp_path / "one.zip", LESSON, work)
    two = platforms.drive(tmp_path / "two.zip", LESSON, work)
    collect(one, release, classroom)
    first = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in classroom.rglob("*.*")
        if path.is_file()
    }
    again = collect(one, release, classroom)
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in classroom.rglob("*.*")
        if path.is_file()
    } == first
    steps = collect(two, release, classroom)
    at_once = collect([one, two], release, tmp_path / "another")
    assert len(steps.rows) == len(at_once.rows) > len(again.rows)
    assert [row.fields() for row in steps.rows] == [row.fields() for row in at_once.rows]
    assert collect(None, release, classroom).summary() == steps.summary()


def test_originals_are_kept_untouched(release, classroom, work, tmp_path):
    folder = hand_in(
        tmp_path / "class",
        {
            "jane/x.ipynb": b"\xff\xfe" + work.decode().encode("utf-16-le"),
            "jo/notes.txt": b"hi",
            "jo/y.ipynb": b"{",
        },
    )
    before = {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
    collect(folder, release, classroom)
    after = {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
    (kept,) = (classroom / "downloaded").glob("*/class")
    copies = {
        path.relative_to(kept): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in kept.rglob("*")
        if path.is_file()
    }
    assert before == after == copies


# Nobody gets a silent zero


def test_an_unreadable_file_is_graded_only_after_it_is_confirmed_or_replaced(
    release, classroom, work, tmp_path
):
    folder = hand_in(
        tmp_path / "class", {f"jane/{LESSON}.ipynb": b"", "jo/photo.ipynb": b"\x89PNG", "ann/x.ipynb": work}
    )
    first = collect(folder, release, classroom)
    assert sorted(row.student for row in first.unreadable) == ["jane", "jo"]
    assert not (classroom / "submitted/jane").exists() and not (classroom / "submitted/jo").exists()

    second = collect(None, release, classroom, confirm_zero=[f"jane:{LESSON}"])
    assert [row.student for row in second.unreadable] == ["jo"]
    assert (
        "zero confirmed" in second.rows[[row.student for row in second.rows].index("jane")].fields()["reason"]
    )
    assert not any(tiny_score(placed(classroom, "jane")).values())
    assert [row.student for row in collect(None, release, classroom).unreadable] == ["jo"]

    fixed = hand_in(tmp_path, {"fixed.ipynb": work}) / "fixed.ipynb"
    os.utime(fixed, (1_000_000_000,) * 2)
    third = collect(fixed, release, classroom, student="jane", lesson=LESSON)
    assert {row.status for row in third.rows if row.student == "jane"} == {"older", "taken"}
    assert all(tiny_score(placed(classroom, "jane")).values())
    fourth = collect(fixed, release, classroom, student="jo")
    assert not fourth.unreadable and all(tiny_score(placed(classroom, "jo")).values())


@pytest.mark.parametrize(
    "name", [f"{LESSON}.pdf", f"{LESSON}/page.html", f"Lesson 1/{LESSON}.docx", "doubling.txt"]
)
def test_what_cannot_be_read_is_not_passed_over_beside_a_notebook_of_another_lesson(
    release, classroom, work, tmp_path, name
):
    other = "02_halving"
    files = {
        f"jo/{name}": b"%PDF-1.4",
        f"jo/{other}/x.ipynb": halved(release),
        f"ann/{LESSON}/y.ipynb": work,
        "ann/report.pdf": b"%PDF-1.4",
    }
    triage = collect(hand_in(tmp_path / "class", files), release, classroom)
    assert [(row.student, row.lesson) for row in triage.unreadable] == [("jo", LESSON)]
    assert {(row.student, row.lesson) for row in triage.counted} == {("ann", LESSON), ("jo", other)}
    assert [row.file for row in triage.rows if row.status == "ignored"] == ["class/ann/report.pdf"]
    collect(None, release, classroom, confirm_zero=[f"jo:{LESSON}"])
    assert not any(tiny_score(placed(classroom, "jo")).values())


def test_a_page_beside_a_notebook_without_any_answer_is_looked_at(release, classroom, tiny, work, tmp_path):
    """Who saved nothing but printed it has not handed in nothing."""
    files = {"jo/x.ipynb": written(tiny.blank()), "jo/x.pdf": b"%PDF-1.4", "ann/y.ipynb": work}
    (row,) = collect(hand_in(tmp_path / "class", files), release, classroom).unreadable
    assert row.file == "class/jo/x.pdf" and "graded meanwhile: class/jo/x.ipynb" in row.reason


def test_a_script_of_a_lesson_of_which_nothing_else_came_is_no_helper(release, classroom, work, tmp_path):
    script, other = b"def double(n):\n    return 2 * n\n", halved(release)
    files = {"jo/tools.py": script, "jo/x.ipynb": other, f"ann/{LESSON}.py": script, "ann/x.ipynb": other}
    folder = hand_in(tmp_path / "class", files)
    triage = collect(folder, release, classroom)
    (row,) = triage.unreadable
    assert (row.student, row.lesson) == ("jo", LESSON) and "it defines double" in row.reason
    assert tiny_score(placed(classroom, "ann"))["double"]  # called after the lesson, it is the lesson's
    triage = collect(
        hand_in(tmp_path / "first", {"jo/y.ipynb": work, "ann/y.ipynb": work}), release, classroom
    )
    assert {row.file: row.status for row in triage.rows}["class/jo/tools.py"] == "ignored"


def test_what_comes_after_a_file_collected_by_hand_is_not_passed_over(
    tiny, release, classroom, work, tmp_path
):
    mailed = hand_in(tmp_path, {"mailed.ipynb": work}) / "mailed.ipynb"
    collect(mailed, release, classroom, student="jane")
    again = tiny.solved()
    again["cells"][tiny.exercises[0].index]["source"] += "\n# once more"
    week = hand_in(tmp_path / "week", {f"jane/{LESSON}.ipynb": written(again)})
    os.utime(week / f"jane/{LESSON}.ipynb", (2_000_000_000,) * 2)

    def counts(triage):
        (row,) = triage.counted
        return row.file, bool(row.doubts), "# once more" in json.dumps(placed(classroom, "jane"))

    triage = collect(week, release, classroom)
    file, doubted, later = counts(triage)
    assert file.endswith("mailed.ipynb") and doubted and not later
    assert [row.reason for row in triage.rows if row.status == "older"] == [
        f"what was collected by hand counts: {file}"
    ]
    assert counts(collect(week / f"jane/{LESSON}.ipynb", release, classroom, student="jane"))[1:] == (
        False,
        True,
    )
    assert counts(collect(mailed, release, classroom, student="jane"))[2] is False  # it is named once more


def test_a_file_collected_by_hand_came_when_it_came_by_another_way_if_it_did(
    release, classroom, work, tmp_path
):
    mailed = hand_in(tmp_path, {"mailed.ipynb": work}) / "mailed.ipynb"
    os.utime(mailed, (2_000_000_000,) * 2)  # when the instructor saved the attachment
    (row,) = collect(mailed, release, classroom, student="jane").counted
    assert row.time is None and not (classroom / f"submitted/jane/{LESSON}/timestamp.txt").exists()
    week = hand_in(tmp_path / "week", {f"jane/{LESSON}.ipynb": work})
    os.utime(week / f"jane/{LESSON}.ipynb", (1_700_000_000,) * 2)
    (row,) = collect(week, release, classroom).counted
    assert row.file.endswith("mailed.ipynb") and row.time.timestamp() == 1_700_000_000


def test_a_stray_that_is_collected_by_hand_came_when_it_came(release, classroom, work, roster, tmp_path):
    """A file whose name tells nobody's: else to name it badly would be a way to be in time."""
    folder = hand_in(tmp_path / "class", {"solution.ipynb": work})
    os.utime(folder / "solution.ipynb", (1_700_000_000,) * 2)
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", folder)
    (row,) = collect(Path(flat), release, classroom, roster).rows
    assert "whose it is cannot be told" in row.reason and row.time
    mailed = tmp_path / "solution.ipynb"
    mailed.write_bytes(work)
    (taken,) = collect(mailed, release, classroom, student="ada").counted
    assert taken.time == row.time and (classroom / f"submitted/ada/{LESSON}/timestamp.txt").exists()


def test_a_stray_is_settled_once_it_is_collected_by_hand(release, classroom, work, roster, tmp_path):
    """One for each that is named: of two that are alike, another person's may be left."""
    folder = hand_in(tmp_path / "class", {"solution.ipynb": work, "aufgabe.ipynb": work})
    collect(folder, release, classroom, roster)
    mailed = hand_in(tmp_path, {"solution.ipynb": work}) / "solution.ipynb"
    for student, left in (("ada", 1), ("ada", 1), ("grace", 0)):
        triage = collect(mailed, release, classroom, student=student)
        strays = [row for row in triage.rows if not row.student]
        assert sorted(row.status for row in strays) == sorted(["unreadable"] * left + ["older"] * (2 - left))
    assert {row.student for row in triage.counted} == {"ada", "grace"}
    assert any("collected by hand as ada's" in row.reason for row in strays)


def test_the_file_of_somebody_who_is_not_on_the_class_list_is_settled_once_it_is_collected_by_hand(
    release, classroom, work, roster, tmp_path
):
    """It came when it came; without a list, two people handed in. A mistyped id takes nothing away from the right one."""
    folder = hand_in(tmp_path / "class", {"ghost rider/x.ipynb": work, "José Núñez/y.ipynb": b"{"})
    os.utime(folder / "ghost rider/x.ipynb", (1_700_000_000,) * 2)
    mailed = hand_in(tmp_path, {"x.ipynb": work}) / "x.ipynb"
    collect(folder, release, tmp_path / "free")
    free = collect(mailed, release, tmp_path / "free", student="ada")
    assert {row.student for row in free.counted} == {"ghost_rider", "ada"}
    (ghost,) = collect(folder, release, classroom, roster).counted
    assert ghost.needs_a_person and "ghost rider is not on the class list: put them there" in ghost.doubts[0]
    collect(mailed, release, classroom, student="a1")
    triage = collect(mailed, release, classroom, student="a01")
    told = {row.file: (row.student, row.status, row.reason) for row in triage.rows}
    (by_hand,) = triage.counted
    assert told["class/ghost rider/x.ipynb"] == (
        "a01",
        "older",
        f"collected by hand as a01's: {by_hand.file}",
    )
    assert sorted(status for _, status, _ in told.values()) == ["older", "older", "taken", "unreadable"]
    assert by_hand.time.timestamp() == 1_700_000_000 and not by_hand.doubts
    both = hand_in(tmp_path / "both", {"Anna Müller/x.ipynb": work, "ghost/x.ipynb": work})
    assert {row.student for row in collect(both, release, tmp_path / "twice", roster).counted} == {
        "a01",
        "ghost",
    }
    again = collect(mailed, release, tmp_path / "twice", student="a01")
    assert {row.student for row in again.counted} == {
        "a01"
    }  # the same file came from her anyhow: she has two names


def test_what_is_placed_and_another_s_by_now_stays_until_somebody_puts_it_aside(
    release, classroom, work, tmp_path
):
    """A grade may hang on it, with marks by hand: a corrected class list takes none back, nor does a wrong one."""
    folder = hand_in(tmp_path / "class", {"ghost rider/x.ipynb": work, "ada/y.ipynb": work})
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nada,Ada,Zuse\n")
    collect(folder, release, classroom, roster).write(classroom)
    with pytest.raises(CourseError, match=r"submitted/ada/01_doubling comes from class/ada/y.ipynb, which counts"):  # fmt: skip
        collect(None, release, classroom, forget=[f"submitted/ada/{LESSON}"])
    graded = classroom / f"autograded/ghost_rider/{LESSON}"
    graded.mkdir(parents=True)
    roster.write_text("id,first_name,last_name\nada,Ada,Zuse\ng7,Ghost,Rider\n")
    triage = collect(None, release, classroom, roster)
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ada", "g7", "ghost_rider"}
    (said,) = triage.warnings
    assert f"`course collect --forget submitted/ghost_rider/{LESSON}` puts it aside" in said
    for _ in range(2):  # who is interrupted says it again
        left = collect(None, release, classroom, forget=[f"submitted/ghost_rider/{LESSON}"])
        assert not left.warnings and Store(classroom).forgotten().keys() == {("ghost_rider", LESSON)}
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ada", "g7"}


def test_what_was_placed_by_a_wrong_class_list_and_never_graded_goes_with_that(
    release, classroom, work, tmp_path
):
    folder = hand_in(tmp_path / "class", {"Ada Zuse/x.ipynb": work, "Bo Abel/y.ipynb": work})
    right, wrong = tmp_path / "class.csv", tmp_path / "other.csv"
    right.write_text("id,first_name,last_name\nada,Ada,Zuse\nbo,Bo,Abel\n")
    wrong.write_text("id,first_name,last_name\n01,Ada,Zuse\n02,Bo,Abel\n")
    collect(folder, release, classroom, right)
    (classroom / f"autograded/ada/{LESSON}").mkdir(parents=True)
    said = collect(None, release, classroom, wrong).warnings
    assert len(said) == 1 and "If the class list is not the right one, give the right one" in said[0]
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"01", "02", "ada"}
    assert not collect(None, release, classroom, right).warnings
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ada", "bo"}
    with pytest.raises(
        CourseError, match=f"there is no folder .*submitted/adda/{LESSON}: nothing was put aside"
    ):
        collect(None, release, classroom, forget=["class", f"submitted/adda/{LESSON}"])
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ada", "bo"}


def test_a_zero_that_was_confirmed_for_another_name_goes_with_its_folder(release, classroom, work, tmp_path):
    folder = hand_in(tmp_path / "class", {"ghost rider/x.ipynb": b"{", "ada/y.ipynb": work})
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nada,Ada,Zuse\n")
    collect(folder, release, classroom, roster, confirm_zero=[f"ghost_rider:{LESSON}"])
    roster.write_text("id,first_name,last_name\nada,Ada,Zuse\ng7,Ghost,Rider\n")
    collect(None, release, classroom, roster, forget=[f"submitted/ghost_rider/{LESSON}"])
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ada"}
    assert read_csv(classroom / "confirmed_zeros.csv") == []


def test_a_zero_goes_with_its_file_although_another_one_cannot_be_read(release, classroom, work, tmp_path):
    collect(hand_in(tmp_path / "one", {"jo/x.ipynb": b"{", "ann/y.ipynb": work}), release, classroom)
    both = {f"jo/{LESSON}.ipynb": b"[", "ann/y.ipynb": work}
    collect(None, release, classroom, confirm_zero=[f"jo:{LESSON}"])
    triage = collect(hand_in(tmp_path / "two", both), release, classroom)
    assert [row.file for row in triage.unreadable] == [f"two/jo/{LESSON}.ipynb"]
    triage = collect(None, release, classroom, forget=["one"])
    assert [(row.file, row.notes) for row in triage.unreadable] == [(f"two/jo/{LESSON}.ipynb", ())]
    assert not list(classroom.glob("submitted/jo/*")) and read_csv(classroom / "confirmed_zeros.csv") == []


def test_a_zero_is_nobodys_whose_file_is_anothers_by_another_class_list(release, classroom, work, tmp_path):
    """The list gave both each other's id: Bo, who handed in nothing, had the zero of Ann's file."""
    folder = hand_in(tmp_path / "class", {"Ann Lee/x.ipynb": b"{", "jo/y.ipynb": work})
    (roster := tmp_path / "class.csv").write_text(
        "id,first_name,last_name\np1,Ann,Lee\np2,Bo,Hill\njo,Jo,Moe\n"
    )
    collect(folder, release, classroom, roster, confirm_zero=[f"p1:{LESSON}"])
    shutil.rmtree(classroom / "submitted/p1")
    for right in (True, False):
        ann, bo = ("p2", "p1") if right else ("p1", "p2")
        roster.write_text(f"id,first_name,last_name\n{ann},Ann,Lee\n{bo},Bo,Hill\njo,Jo,Moe\n")
        triage = collect(None, release, classroom, roster)
        assert [row.student for row in triage.unreadable] == (["p2"] if right else [])
        assert (classroom / "submitted/p1").is_dir() is not right and not triage.warnings
    roster.write_text("id,first_name,last_name\np2,Ann,Lee\np1,Bo,Hill\njo,Jo,Moe\n")
    (said,) = collect(None, release, classroom, roster).warnings  # what was placed is named
    assert f"`course collect --forget submitted/p1/{LESSON}`" in said


def test_a_file_that_was_collected_by_hand_for_two_students_is_said(release, classroom, work, tmp_path):
    mailed = hand_in(tmp_path, {"x.ipynb": work}) / "x.ipynb"
    assert not collect(mailed, release, classroom, student="ada").warnings
    (said,) = collect(mailed, release, classroom, student="bo").warnings
    assert said.startswith("one file was collected by hand for each of ada, bo")
    with pytest.raises(CourseError, match=r"several downloads are called 'x', forget one of: x-"):
        collect(None, release, classroom, forget=["x"])


def test_what_a_person_has_looked_at_is_a_note_until_something_else_is_to_be_looked_at(
    release, classroom, work, tmp_path
):
    """A later file lacks answers of an earlier one: that may be meant, and a person says so."""
    blank = (release / LESSON / f"{LESSON}.ipynb").read_bytes()
    later = blank.replace(b"raise NotImplementedError", b"return 3", 1)
    for at, content in enumerate([work, later]):
        folder = hand_in(tmp_path / f"week{at}", {"ada/x.ipynb": content, "bo/y.ipynb": work})
        os.utime(folder / "ada/x.ipynb", (1_700_000_000 + at,) * 2)
        triage = collect(folder, release, classroom)
    (doubt,) = next(row for row in triage.counted if row.student == "ada").doubts
    assert doubt.startswith("week0/ada/x.ipynb holds answers that this one lacks: ")
    with pytest.raises(CourseError, match=rf"nothing to look at in 'bo:{LESSON}'; there is in: ada:{LESSON}"):
        collect(None, release, classroom, looked_at=[f"bo:{LESSON}"])
    for looked_at in ([f"ada:{LESSON}"], []):
        triage = collect(None, release, classroom, looked_at=looked_at)
        row = next(row for row in triage.counted if row.student == "ada")
        assert not row.doubts and f"looked at: {doubt}" in row.notes and not triage.waiting
    same = Path(
        shutil.copytree(folder, tmp_path / "week1 (1)")
    )  # as a browser names it that downloads it again
    assert not collect(same, release, classroom).waiting
    again = hand_in(tmp_path / "week2", {"ada/x.ipynb": later + b" ", "bo/y.ipynb": work})
    os.utime(again / "ada/x.ipynb", (1_800_000_000,) * 2)  # another file, of which nobody has said anything
    assert [row.student for row in collect(again, release, classroom).waiting] == ["ada"]


def test_a_guest_who_is_on_no_list_is_looked_at_and_holds_nothing_up(release, classroom, work, tmp_path):
    folder = hand_in(tmp_path / "class", {"guest star/x.ipynb": work, "ada/y.ipynb": work})
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nada,Ada,Zuse\nbo,Bo,Abel\n")
    assert [row.student for row in collect(folder, release, classroom, roster).waiting] == ["guest_star"]
    triage = collect(None, release, classroom, looked_at=[f"guest_star:{LESSON}"])
    assert not triage.waiting and {row.student for row in triage.counted} == {"ada", "guest_star"}
    foreign = json.dumps({"cells": [{"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()  # fmt: skip
    halving = (release / "02_halving/02_halving.ipynb").read_bytes()
    files = {"odd guest/letter.ipynb": foreign, "ada/y.ipynb": work, "bo/z.ipynb": halving}
    letter = hand_in(tmp_path / "more", files)
    (row,) = collect(letter, release, classroom).waiting
    assert (row.lesson, row.status) == (
        "",
        "unreadable",
    )  # a file of which nobody can tell for which lesson it is
    left = collect(None, release, classroom, looked_at=["odd_guest:"])
    assert not any(row.doubts for row in left.rows)


def test_an_upload_that_a_platform_without_times_gives_again_did_not_come_later(
    release, classroom, work, tmp_path
):
    """Canvas tells no times: what was there before a file was collected by hand is there in the next zip, too."""
    files = {"mulleranna_11_901_x.ipynb": work, "zusekonrad_12_902_x.ipynb": work}
    week = hand_in(tmp_path / "files", files)
    mailed = hand_in(tmp_path, {"fixed.ipynb": work.replace(b"return STEP * n", b"return n * STEP")})
    for name, at in (("one", 1_700_000_000), ("two", 2_100_000_000)):
        os.utime(shutil.make_archive(str(tmp_path / name), "zip", week), (at, at))
        triage = collect(tmp_path / f"{name}.zip", release, classroom)
        if name == "one":
            student = triage.counted[0].student
            collect(mailed / "fixed.ipynb", release, classroom, student=student)
    row = next(row for row in triage.counted if row.student == student)
    assert row.file.endswith("fixed.ipynb") and not row.doubts and len(triage.rows) > len(files)


def test_canvas_uploads_count_by_their_numbers_in_whatever_order_downloads_are_collected(
    release, classroom, work, tmp_path
):
    """Canvas tells no times, and a copy of an old zip is a new file."""
    better = work.replace(b"return STEP * n", b"return n * STEP")
    uploads = {"old": ("ableada_901_5001_x.ipynb", work), "new": ("ableada_901_6001_x-1.ipynb", better)}
    for at, name in enumerate(["new", "old"]):  # the older download is collected last, and its copy is newer
        files = dict([uploads[name], (f"zusebo_902_500{at}_x.ipynb", work)])
        path = Path(
            shutil.make_archive(str(tmp_path / name), "zip", hand_in(tmp_path / f"{name} files", files))
        )
        os.utime(path, (1_700_000_000 + at,) * 2)
        triage = collect(path, release, classroom)
    told = {row.file: row.status for row in triage.rows if row.student == "ableada_901"}
    assert told == {
        "new.zip/ableada_901_6001_x-1.ipynb": "taken",
        "old.zip/ableada_901_5001_x.ipynb": "older",
    }


def test_what_is_collected_by_hand_too_is_still_told_as_the_platforms(release, classroom, work, tmp_path):
    week = hand_in(tmp_path / "week", {f"jane/{LESSON}.ipynb": work})
    collect(week, release, classroom)
    triage = collect(week / f"jane/{LESSON}.ipynb", release, classroom, student="jane")
    by_hand = {row.status: is_by_hand(row.file, classroom / "downloaded") for row in triage.rows}
    assert by_hand == {"older": False, "taken": True}
    assert not triage.counted[0].doubts


def test_a_confirmed_zero_goes_with_its_file_and_a_lesson_is_told_by_the_file(
    release, classroom, work, tmp_path
):
    folder = hand_in(
        tmp_path / "class", {f"jane/{LESSON}.ipynb": b"", "jo/photo.ipynb": b"\x89PNG", "ann/x.ipynb": work}
    )
    with pytest.raises(CourseError, match="jo:lesson1"):
        collect(folder, release, classroom, confirm_zero=["jo:lesson1"])
    collect(None, release, classroom, confirm_zero=[f"jane:{LESSON}", f"jo:{LESSON}"])
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ann", "jane", "jo"}
    collect(None, release, classroom, forget=["class"])
    assert list(classroom.glob("submitted/*/*")) == [] and read_csv(classroom / "confirmed_zeros.csv") == []
    assert Store(classroom).forgotten().keys() == {(name, LESSON) for name in ("ann", "jane", "jo")}
    with pytest.raises(CourseError, match="--lesson goes with --student"):
        collect(folder, release, classroom, lesson=LESSON)
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"there is no file in .*empty"):
        collect(tmp_path / "empty", release, classroom)


def test_a_mistyped_student_is_said(release, classroom, work, tmp_path):
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nflo,Flo,Berg\n")
    file = hand_in(tmp_path, {"x.ipynb": work}) / "x.ipynb"
    (row,) = collect(file, release, classroom, roster, student="fol").counted
    assert row.doubts[0].startswith(
        "fol is not on the class list: put them there, collect this for whose it is"
    )
    assert not any("flo is not" in line for line in collect(file, release, classroom, student="flo").warnings)
    with pytest.raises(CourseError, match=r"x-\w+ \(collected as flo's\)"):
        collect(None, release, classroom, forget=["x.ipynb"])


def test_a_name_that_two_people_have_is_not_called_unknown(release, classroom, work, tmp_path):
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nb1,Bo,Berg\nb2,Bo,Berg\n")
    file = hand_in(tmp_path, {"x.ipynb": work}) / "x.ipynb"
    triage = collect(file, release, classroom, roster, student="Bo Berg")
    (said,) = triage.warnings
    assert "2 people of the roster may be meant" in said and not triage.rows[0].doubts
    assert table(triage, "student", "status") == [("", "unreadable")]  # it waits for one of the two


def test_what_is_collected_by_hand_settles_no_other_persons_file(release, classroom, work, tmp_path):
    """The same bytes, of no lesson, from two known people; and a stray beside the file of somebody who is known."""
    page = b"<html>please sign in</html>"
    folder = hand_in(
        tmp_path / "class",
        {"flo/x.ipynb": page, "jo/x.ipynb": page, "ann/a.ipynb": work, "solution.ipynb": work},
    )
    (roster := tmp_path / "class.csv").write_text("id,first_name,last_name\nann,Ann,A\nflo,Flo,F\njo,Jo,J\n")
    other = hand_in(
        tmp_path / "more", {"flo/b.ipynb": (release / "02_halving/02_halving.ipynb").read_bytes()}
    )
    collect([folder, other], release, classroom, roster)
    collect(folder / "flo/x.ipynb", release, classroom, student="flo", lesson=LESSON)
    triage = collect(folder / "ann/a.ipynb", release, classroom, student="ann")
    told = {row.file: row.status for row in triage.rows}
    assert told["class/jo/x.ipynb"] == told["class/solution.ipynb"] == "unreadable"


def test_a_zero_whose_file_and_its_better_are_forgotten_is_over(release, classroom, work, tmp_path):
    broken = hand_in(tmp_path / "class", {f"jane/{LESSON}.ipynb": b"{"})
    collect(broken, release, classroom, confirm_zero=[f"jane:{LESSON}"])
    mailed = hand_in(tmp_path, {"fixed.ipynb": work}) / "fixed.ipynb"
    (kept,) = collect(mailed, release, classroom, student="jane").counted
    assert kept.file.endswith("fixed.ipynb")
    (folder,) = (path.name for path in classroom.glob("downloaded/by hand/*"))
    collect(None, release, classroom, forget=["class", "fixed.ipynb", folder])  # one of them named twice
    assert list(classroom.glob("submitted/*/*")) == [] and read_csv(classroom / "confirmed_zeros.csv") == []


@pytest.mark.parametrize("later", [f"{LESSON}.ipynb", "scan.jpg"])
def test_a_confirmed_zero_is_of_the_files_that_were_there(release, classroom, work, tmp_path, later):
    """Whatever comes later, of this lesson or of none that can be told, is asked about; the same again is not."""
    others = {"ann/x.ipynb": work, "ann/y.ipynb": halved(release)}
    first = hand_in(tmp_path / "first", {f"jo/{LESSON}.ipynb": b"", **others})
    assert not collect(first, release, classroom, confirm_zero=[f"jo:{LESSON}"]).unreadable
    again = Path(shutil.copytree(first, tmp_path / "first (1)"))
    assert not collect(again, release, classroom).unreadable
    triage = collect(hand_in(tmp_path / "more", {f"jo/{later}": b"{", **others}), release, classroom)
    (row,) = triage.unreadable
    assert row.file == f"more/jo/{later}" and row.notes == (NEWER,) and row in triage.waiting
    assert (
        row.fields()["confirmed"] == "" and (classroom / "submitted/jo" / LESSON).is_dir()
    )  # what was graded stays
    assert not triage.warnings
    assert not collect(None, release, classroom, confirm_zero=[f"jo:{LESSON}"]).unreadable
    assert not collect(None, release, classroom, forget=["first", "first (1)"]).unreadable


def test_a_zero_that_names_no_file_was_confirmed_for_none_that_is_known(release, classroom, work, tmp_path):
    """As classrooms of older versions hold it, or a line that somebody wrote."""
    folder = hand_in(tmp_path / "class", {f"jo/{LESSON}.ipynb": b"", "ann/x.ipynb": work})
    write_csv(
        classroom / "confirmed_zeros.csv",
        ("student", "lesson"),
        [{"student": name, "lesson": LESSON} for name in ("jo", "cy")],
    )
    triage = collect(folder, release, classroom)
    assert [row.student for row in triage.unreadable] == ["jo"]
    assert {path.parent.name for path in classroom.glob("submitted/*/*")} == {"ann", "cy"}
    assert not collect(None, release, classroom, confirm_zero=[f"jo:{LESSON}"]).unreadable


def test_a_confirmed_zero_does_not_stay_for_a_file_that_is_no_work(release, classroom, work, tmp_path):
    """Beside jo's notebook lies a text of no lesson; the unreadable file that was taken for jo's is another's."""
    other = "02_halving"
    blank = (release / other / f"{other}.ipynb").read_bytes()
    files = {"jo/x.ipynb": work, "jo/notes.txt": b"see you", "ann/y.ipynb": blank}
    triage = collect(hand_in(tmp_path / "class", files), release, classroom)
    assert table(triage, "lesson", "status") == [("", "ignored"), (LESSON, "taken"), (other, "taken")]
    broken = hand_in(tmp_path, {"broken.ipynb": b"{"}) / "broken.ipynb"
    with pytest.raises(CourseError, match="there are: none"):
        collect(None, release, classroom, confirm_zero=[f"jo:{other}"])
    collect(broken, release, classroom, student="jo", lesson=other, confirm_zero=[f"jo:{other}"])
    assert (classroom / "submitted/jo" / other).is_dir()
    collect(None, release, classroom, forget=["broken.ipynb"])
    assert not (classroom / "submitted/jo" / other).exists()
    assert read_csv(classroom / "confirmed_zeros.csv") == []


@pytest.mark.parametrize("after", range(4))
def test_a_forget_that_is_broken_off_is_finished_by_the_same_command(
    release, classroom, work, tmp_path, monkeypatch, after
):
    """Wherever a folder cannot be moved, since a program holds a file in it."""
    folder = hand_in(
        tmp_path / "class", {"ann/x.ipynb": work, "bo/x.ipynb": work, f"jane/{LESSON}.ipynb": b""}
    )
    collect(folder, release, classroom, confirm_zero=[f"jane:{LESSON}"])
    moved, replace_folder = [], Path.replace

    def held(self, target):
        if self.is_dir() and len(moved) == after:
            raise PermissionError(13, "in use", str(self))
        moved.append(self)
        return replace_folder(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", held)
        with pytest.raises(CourseError, match=r"in use.*run the same command again"):
            collect(None, release, classroom, forget=["class"])
    assert len(collect(None, release, classroom, forget=["class"]).rows) == 0
    assert list(classroom.glob("submitted/*/*")) == [] and read_csv(classroom / "confirmed_zeros.csv") == []
    assert Store(classroom).forgotten().keys() == {(name, LESSON) for name in ("ann", "bo", "jane")}
    assert collect(None, release, classroom).rows == [] and list(classroom.glob("submitted/*/*")) == []


@pytest.mark.parametrize("pair", ["nobody:01_doubling", "ann:01_doubling", "jane", "jane:", ":"])
def test_only_an_unreadable_file_can_be_confirmed(release, classroom, work, tmp_path, pair):
    folder = hand_in(tmp_path / "class", {f"jane/{LESSON}.ipynb": b"", "ann/x.ipynb": work})
    with pytest.raises(CourseError, match=r"jane:01_doubling"):
        collect(folder, release, classroom, confirm_zero=[pair])
    assert not (classroom / "confirmed_zeros.csv").exists()


def test_what_cannot_be_matched_is_kept_as_an_extra_cell_and_said(tiny, release, classroom, tmp_path):
    notebook = tiny.solved()
    cell = notebook["cells"][tiny.exercises[0].index]
    cell["source"], cell["metadata"], cell["id"] = "def dubble(n):\n    return 2 * n", {}, "zz"
    notebook["cells"].insert(
        tiny.exercises[0].index, {"cell_type": "code", "metadata": {}, "source": "note = 1", "outputs": []}
    )
    triage = collect(hand_in(tmp_path / "class", {"s/x.ipynb": written(notebook)}), release, classroom)
    (row,) = triage.rows
    assert row.unanswered == ("double",) and "own: 2" in said(row) and "no cell for it" in said(row)
    assert "def dubble" in json.dumps(placed(classroom, "s"))


def test_pasted_pictures_of_an_answer_are_kept(tiny):
    notebook = tiny.solved()
    pictures = {"a.png": {"image/png": "aGk="}, "b.svg": {"image/svg+xml": "<svg onload=x>"}, "c": 7}
    notebook["cells"][tiny.responses[0].index]["attachments"] = pictures
    made = rebuild(tiny.edition, read_sheet(written(notebook)))
    assert made.notebook["cells"][tiny.responses[0].index]["attachments"] == {"a.png": {"image/png": "aGk="}}


def test_one_hopeless_file_does_not_stop_the_class(release, classroom, work, tmp_path):
    workers = Workers("tests.fuzz.stubborn:explode")
    triage = collect(
        hand_in(tmp_path / "class", {"a/x.ipynb": b"boom", "b/x.ipynb": work}),
        release,
        classroom,
        workers=workers,
    )
    workers.close()
    assert table(triage, "student", "status") == [("a", "unreadable"), ("b", "taken")]
    assert "ZeroDivisionError: boom" in triage.rows[0].reason


# Zips


def test_paths_that_lead_out_and_links_are_refused(release, classroom, work, tmp_path):
    download = tmp_path / "hostile.zip"
    with zipfile.ZipFile(download, "w") as archive:
        for name in (
            f"../../eve/{LESSON}.ipynb",
            f"/etc/{LESSON}.ipynb",
            f"C:\\x\\{LESSON}.ipynb",
            f"..\\..\\eve\\{LESSON}-1.ipynb",
        ):
            archive.writestr(zipfile.ZipInfo(name), work)
        link = zipfile.ZipInfo(f"eve/{LESSON}.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr(f"good/{LESSON}.ipynb", work)
    triage = collect(download, release, classroom)
    assert [row.student for row in triage.counted] == ["good"]
    refused = sorted(row.reason.split(";")[0] for row in triage.unreadable)
    assert (
        refused
        == ["refused, it is a symbolic link or no regular file"]
        + ["refused, its path leads out of the zip"] * 4
    )
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and classroom not in path.parents]
    assert outside == [download]


def test_links_in_a_folder_are_not_followed(release, classroom, work, tmp_path):
    secret = hand_in(tmp_path / "secret", {"x.ipynb": work})
    folder = hand_in(tmp_path / "class", {"good/x.ipynb": work})
    (folder / "eve").mkdir()
    (folder / "eve/x.ipynb").symlink_to(secret / "x.ipynb")
    (folder / "mal").symlink_to(secret)
    triage = collect(folder, release, classroom)
    assert [row.student for row in triage.counted] == ["good"]
    assert all("symbolic link" in row.reason for row in triage.rows if row.student != "good")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(file_bytes=10_000), "too large"),
        (Limits(student_bytes=50_000), "more than the limit"),
        (Limits(student_members=3), "more files than the limit"),
        (Limits(depth=0), "a zip within more than 0 zips"),
    ],
)
def test_a_student_can_fill_neither_memory_nor_time(release, classroom, work, tmp_path, limits, reason):
    bomb = platforms.zipped({f"{i}.ipynb": b" " * 20_000 for i in range(5)})
    files = {
        f"Eve_1_assignsubmission_file_/{LESSON}.zip": bomb,
        f"Ann_2_assignsubmission_file_/{LESSON}.ipynb": work,
    }
    triage = collect(platforms.write_zip(tmp_path / "c.zip", files), release, classroom, limits=limits)
    assert [row.student for row in triage.counted] == ["Ann"]
    assert any(reason in row.reason for row in triage.rows if row.student == "Eve")


def test_a_bomb_is_refused_by_its_ratio(release, classroom, work, tmp_path):
    files = {"eve/x.ipynb": b"\0" * 20_000_000, "ann/x.ipynb": work}
    triage = collect(platforms.write_zip(tmp_path / "c.zip", files), release, classroom)
    assert [row.student for row in triage.counted] == ["ann"] and "200 times its size" in triage.unreadable[
        0
    ].reason


def test_a_zip_of_a_million_names_is_refused_before_they_are_read(release, classroom, work, tmp_path):
    crowd = bytearray(platforms.zipped({"a.ipynb": b"x"}))
    end = crowd.rfind(b"PK\x05\x06")
    crowd[end + 12 : end + 16] = (90_000_000).to_bytes(4, "little")
    triage = collect(
        hand_in(tmp_path / "class", {"eve/w.zip": bytes(crowd), "ann/x.ipynb": work}), release, classroom
    )
    assert [row.student for row in triage.counted] == [
        "ann"
    ] and "more files than the limit" in triage.unreadable[0].reason


def test_zips_damaged_locked_or_nested(release, classroom, work, tmp_path):
    good = platforms.zipped({"x.ipynb": work})
    locked = bytearray(good)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(mark) + at] |= 1
    bent = bytearray(good)
    bent[len(bent) // 3] ^= 0xFF
    files = {"cut/w.zip": good[: len(good) // 2], "locked/w.zip": bytes(locked), "bent/w.zip": bytes(bent)}
    files["nested/w.zip"] = platforms.zipped({"inner.zip": good})
    triage = collect(hand_in(tmp_path / "class", files), release, classroom)
    reasons = {row.student: row.reason for row in triage.rows}
    assert [row.student for row in triage.counted] == ["nested"]
    assert (
        "cannot be read" in reasons["cut"]
        and "password" in reasons["locked"]
        and "damaged" in reasons["bent"]
    )


# Names and the roster


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("Zoë O'Brien, Jr.", "Zoë_O_Brien_Jr"),
        ("Zoe\u0308", "Zoë"),
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("=cmd|calc", "cmd_calc"),
        ("a/b\\c:d", "a_b_c_d"),
        ("王小明", "王小明"),
        ("हिन्दी", "हिन्दी"),
        ("evil\u202egnp", "evil_gnp"),
        ("jane@example.org", "jane@example.org"),
        ("a" * 300, "a" * 80),
    ],
)
def test_safe_ids(label, folder):
    assert safe_id(label) == folder == safe_id(folder)


@pytest.mark.parametrize("label", ["", "..", "///", "con", "NUL.txt", "💥", "\u202e"])
def test_names_of_nothing_get_a_number(label):
    assert safe_id(label).startswith("student-") and safe_id(label) == safe_id(label)


@settings(deadline=None)
@given(st.text())
def test_any_name_becomes_one_harmless_folder(label):
    folder = safe_id(label)
    assert (
        folder == Path(folder).name
        and not folder.startswith((".", "-", "=", "+", "@"))
        and len(folder.encode()) <= 80
    )
    assert safe_id(folder) == folder


def test_names_that_differ_in_nothing_but_case_are_kept_apart(release, classroom, work, tmp_path):
    files = {"Anna/x.ipynb": work, "anna/x.ipynb": work, "An:na/x.ipynb": work, "An;na/x.ipynb": work}
    triage = collect(platforms.write_zip(tmp_path / "c.zip", files), release, classroom)
    assert len({row.student.casefold() for row in triage.counted}) == 4


@pytest.mark.parametrize("first", ["folder", "hand", "both by hand"])
def test_a_student_named_by_hand_in_another_case_is_who_is_there_already(
    release, classroom, work, tmp_path, first
):
    week = hand_in(tmp_path / "week", {"ada/x.ipynb": work, "bo/x.ipynb": work})
    later = hand_in(tmp_path, {"later.ipynb": work + b" "}) / "later.ipynb"
    steps = [(week, ""), (later, "Ada")]
    if first == "both by hand":
        steps[0] = (week / "ada", "ada")
    for source, student in reversed(steps) if first == "hand" else steps:
        triage = collect(source, release, classroom, student=student)
    there = "Ada" if first == "hand" else "ada"
    assert {row.student for row in triage.rows} - {"bo"} == {there} and not triage.warnings
    assert sorted(path.name.casefold() for path in (classroom / "submitted").iterdir()) in (["ada"], ["ada", "bo"])  # fmt: skip
    assert next(row.file for row in triage.counted if row.student == there).endswith("later.ipynb")


def test_composed_and_decomposed_names_are_one_student(release, classroom, work, tmp_path):
    files = {"Zo\u00eb/x.ipynb": work, "Zoe\u0308/y.ipynb": work, "b/x.ipynb": work}
    triage = collect(platforms.write_zip(tmp_path / "c.zip", files), release, classroom)
    assert {row.student for row in triage.rows} == {"Zoë", "b"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "text",
    [
        "id,first_name,last_name,email\na1,Anna,Müller,anna@x.org\n",
        "Vorname;Nachname;Matrikelnummer;E-Mail-Adresse\nAnna;Müller;a1;anna@x.org\n\n;;;\n",
        'Student\tSIS User ID\tEmail\n"Müller, Anna"\ta1\tanna@x.org\n',
    ],
)
def test_rosters_as_people_save_them(tmp_path, text, encoding):
    path = tmp_path / "r.csv"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    (person,) = read_roster(path).people
    assert (person.id, person.first_name, person.last_name, person.email) == (
        "a1",
        "Anna",
        "Müller",
        "anna@x.org",
    )


def test_a_roster_finds_a_person_by_whatever_a_platform_says(roster):
    people = read_roster(roster)
    for hint in (
        "a01",
        "anna@example.org",
        "ANNA",
        "Anna Müller",
        "mülleranna",
        "Mueller Anna",
        "Müller, Anna",
        "mu\u0308ller anna",
    ):
        assert people.find([hint]) == ("a01", 1), hint
    assert people.find(["Bob"]) == ("", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("colour,size\nred,3\n", "line 2"),
        ("id\nx1\nX1\n", "is that of"),
        (None, "there is no file"),
    ],
)
def test_rosters_that_cannot_be_used_are_refused(tmp_path, text, message):
    path = tmp_path / "r.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CourseError, match=message):
        read_roster(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda room: collect(room / "nowhere", room / "release", room / "classroom"), "nothing to collect"),
        (lambda room: collect(None, room / "empty", room / "classroom"), "no released notebook"),
        (lambda room: collect(room, room / "release", room / "classroom", lesson="99"), "no released lesson"),
        (lambda room: collect(room, room / "release", room / "classroom"), "collect from another folder"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, make, message):
    tiny_paper(tmp_path / "release")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match=message):
        make(tmp_path)


# Reports


def test_the_reports_run_nothing_and_lose_nothing(release, classroom, tmp_path, work):
    name = '=HYPERLINK("http://x","a"), <script>alert(1)</script>\x1b[31m'
    files = {
        f"{name}/x.ipynb": work,
        "+Ann, Jr./y.ipynb": b"",
        f"b/<img src=x onerror=y>/{LESSON}.ipynb": work,
    }
    triage = collect(hand_in(tmp_path / "class", files), release, classroom)
    triage.write_csv(tmp_path / "t.csv")
    triage.write_html(tmp_path / "t.html")
    rows = read_csv(tmp_path / "t.csv")
    assert len(rows) == 3 and list(rows[0]) == COLUMNS
    raw = (tmp_path / "t.csv").read_text(encoding="utf-8-sig")
    assert "'=HYPERLINK" in raw and '"\'+Ann, Jr."' in raw
    assert {row["name"] for row in rows} == {"b", "+Ann, Jr.", '=HYPERLINK("http:'}
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert (
        "<script" not in page
        and "<img" not in page
        and "default-src 'none'" in page
        and "&lt;script&gt;" in page
    )
    console = Console(width=300, record=True, file=io.StringIO(), force_terminal=True)
    console.print(triage.on_screen())
    assert "\x1b[31m" not in console.export_text(styles=False) and "\\x1b[31m" in raw


def test_who_handed_in_nothing_is_in_every_report(release, classroom, roster, work, tmp_path):
    triage = collect(
        hand_in(tmp_path / "c", {"Anna Müller/x.ipynb": work, "José Núñez/x.ipynb": b""}),
        release,
        classroom,
        roster,
    )
    assert [person.id for person in triage.absent[LESSON]] == ["a09"]
    triage.write_csv(tmp_path / "t.csv")
    triage.write_html(tmp_path / "t.html")
    assert {"a09", "nothing"} <= set(read_csv(tmp_path / "t.csv")[-1].values())
    assert "nothing from Al Absent (a09)" in (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "1 missing" in triage.summary()


def test_the_command(course, release, classroom, work, tmp_path, monkeypatch):
    from course import cli

    (tmp_path / "notebooks").symlink_to(release)
    lesson = replace(course.lessons[0], name=LESSON)
    tiny_course = replace(course, root=tmp_path, classroom=classroom, lessons=(lesson,))
    monkeypatch.setattr(cli, "load_course", lambda: tiny_course)
    folder = hand_in(tmp_path / "class", {"jane/x.ipynb": work, f"jo/{LESSON}.ipynb": b""})
    ran = CliRunner().invoke(cli.app, ["collect", str(folder)])
    assert ran.exit_code == 0, ran.output
    assert "2 files: 1 taken, 1 unreadable" in ran.output and "the file is empty" in ran.output
    assert (classroom / "triage.csv").is_file() and (classroom / "triage.html").is_file()
    ran = CliRunner().invoke(cli.app, ["collect", "--confirm-zero", f"jo:{LESSON}"])
    assert ran.exit_code == 0 and "zero confirmed" in ran.output.replace("\n", " ")


@settings(deadline=None)
@given(st.text())
def test_escaped_fields_come_back(text):
    assert unescape(escape(text)) == text
    assert escape(text)[:1] not in tuple("=+-@\t\r")


def test_a_field_is_read_however_long_it_is(tmp_path):
    rows = [{"a": "x" * 200_000, "b": "1"}]
    write_csv(tmp_path / "t.csv", ["a", "b"], rows)
    before = csv.field_size_limit()
    assert read_csv(tmp_path / "t.csv") == rows and csv.field_size_limit() == before


def test_csv_keeps_commas_numbers_and_quotes(tmp_path):
    rows = [{"name": 'Doe, Jane "JD"', "score": -1.5, "note": "-1+2\nnext line"}, {"name": "@x", "score": 3}]
    write_csv(tmp_path / "x.csv", ["name", "score", "note"], rows)
    raw = (tmp_path / "x.csv").read_text(encoding="utf-8-sig")
    assert ",-1.5," in raw and "'@x" in raw and "'-1+2" in raw
    back = read_csv(tmp_path / "x.csv")
    assert back == [
        {"name": 'Doe, Jane "JD"', "score": "-1.5", "note": "-1+2\nnext line"},
        {"name": "@x", "score": "3", "note": ""},
    ]


# Lint for a human


@pytest.mark.parametrize(
    ("source", "reach"),
    [
        ("!cat /etc/passwd", "shell"),
        ("files = !ls", "shell"),
        ("%%bash\nls", "shell"),
        ("%sx ls", "shell"),
        ("%%time\nimport socket", "network"),
        ("import os\nos.system('ls')", "shell"),
        ("from os import system", "shell"),
        ("import subprocess as sp", "shell"),
        ("import ctypes", "memory"),
        ("import gc\ngc.get_objects()", "memory"),
        ("import sys\nsys._getframe(1).f_locals", "frames"),
        ("try:\n    f()\nexcept Exception as e:\n    e.__traceback__.tb_frame", "frames"),
        ("import inspect", "frames"),
        ("().__class__.__base__.__subclasses__()", "frames"),
        ("import sys\nsys.modules['helpers.checks.core'] = None", "modules"),
        ("__import__('os')", "modules"),
        ("import builtins\nbuiltins.abs = None", "patched modules"),
        ("import helpers.checks.core as c\nc.close = print", "patched modules"),
        ("from helpers import checks\nsetattr(checks, 'close', print)", "patched modules"),
        ("import numpy as np\nnp.testing.assert_allclose = print", "patched modules"),
        ("from helpers.checks import core", "the checks"),
        ("f.__code__ = g.__code__", "patched functions"),
        ("class A(float):\n    def __eq__(self, other):\n        return True", "patched comparison"),
        ("open('solutions/01/01.ipynb').read()", "the reference solution"),
        ("open('x')", "files"),
        ("from pathlib import Path\nPath('x').read_text()", "files"),
        ("eval('1+1')", "code from text"),
        ("exec(compile('x', '', 'exec'))", "code from text"),
        ("import pickle", "code from data"),
        ("get_ipython().user_ns", "the kernel"),
        ("ip = get_ipython()", "the kernel"),
        ("In[3]", "the kernel"),
        ("import sys\nhook = sys.displayhook", "the kernel"),
        ("import urllib.request", "network"),
        ("import sqlite3", "the gradebook"),
        ("p = '../gradebook.db'", "the gradebook"),
    ],
)
def test_what_reaches_further_is_flagged(source, reach):
    assert reach in {finding.reach for finding in reaches([("cell", source)])}


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nx = np.linalg.eigvalsh(A).max()",
        "class Block(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.kernel = 3\n        self.modules()",
        "class P:\n    def __eq__(self, other):\n        return self.x == other.x",
        "%matplotlib inline\n%timeit f(3)",
        "def f(open_end):\n    '''See https://example.org for -1.'''\n    return open_end",
        "x.data = 3\nself_weights[0] = 1",
        "this does not compile (",
        "",
    ],
)
def test_ordinary_code_is_not_flagged(source):
    assert reaches([("cell", source)]) == []


@pytest.mark.slow
def test_solutions_of_the_course_are_not_flagged(course):
    for lesson in course.written:
        if course.solution(lesson).is_file():
            paper = paper_of(course, lesson)
            own = [(place.grade_id, paper.answers[place.grade_id]) for place in paper.exercises]
            assert own and reaches(own) == [], lesson.name


def test_findings_change_no_status(tiny, release, classroom, tmp_path):
    notebook = tiny.solved()
    notebook["cells"].append(
        {"cell_type": "code", "metadata": {}, "source": "x = 1\nimport os; os.system('ls')", "outputs": []}
    )
    (row,) = collect(hand_in(tmp_path / "c", {"s/x.ipynb": written(notebook)}), release, classroom).rows
    assert row.status == "taken" and [f.reach for f in row.findings] == ["operating system", "shell"]
    assert str(row.findings[0]) == "extra-1, line 2: operating system (import os)"


def test_of_thousands_of_findings_the_first_are_told(tiny, release, classroom, tmp_path):
    notebook = tiny.solved()
    source = "\n".join(f"open('{n}')" for n in range(5000))
    notebook["cells"].append({"cell_type": "code", "metadata": {}, "source": source, "outputs": []})
    collect(hand_in(tmp_path / "class", {"ada/x.ipynb": written(notebook)}), release, classroom).write(
        classroom
    )
    (row,) = read_csv(classroom / "triage.csv")
    assert row["look"].count("files (open())") == 20 and row["look"].endswith("; and 4980 more")


def test_no_module_of_collecting_runs_what_was_handed_in():
    """Reading a submission must not execute it: no exec, eval, pickle or import by name in the package."""
    for path in Path("course/intake").resolve().parent.glob("intake/*.py"):
        names = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not names & {"exec", "eval", "compile", "__import__"}, path
