"""What real downloads did to `course collect`, class by class (numbers as in the survey of faults): each with inputs of its own."""

import bz2
import copy
import io
import json
import lzma
import os
import random
import shutil
import tarfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from course.intake import collect
from course.intake.archive import keep
from course.intake.decode import read_sheet
from course.intake.edition import read_editions
from course.intake.rebuild import NO_ANSWER, NO_CELL, rebuild
from course.intake.suspicion import reaches
from course.intake.triage import Row, Triage
from course.intake.workers import Failed, Workers
from course.model import CourseError
from course.store import Store
from tests.damage import platforms
from tests.damage.dialects import DIALECTS, percent
from tests.damage.paper import paper_of, tiny_paper, tiny_score
from tests.damage.recipes import written

LESSON = "01_doubling"
NOON, LATER = platforms.NOON, (2026, 3, 1, 12, 0, 2)
ALL = {"double", "Tally", "last", "why_response", "when_response"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A tiny course: releases, the instructor's edition as text and notebook, helpers, tests."""
    root = tmp_path_factory.mktemp("checkout")
    paper = tiny_paper(root / "notebooks")
    solution = paper.solved()
    for slot in paper.edition.answers:
        lines = paper.answers[slot.grade_id].splitlines()
        head = lines[:1] if slot.kind == "code" else []
        body = [*head, "    ### BEGIN SOLUTION", *lines[len(head) :], "    ### END SOLUTION"]
        if slot.kind == "markdown":
            body = ["### BEGIN SOLUTION", *lines, "### END SOLUTION"]
        solution["cells"][slot.index]["source"] = "\n".join(body)
    for slot in paper.edition.slots:
        if slot.is_check:
            hidden = "\n### BEGIN HIDDEN TESTS\nassert True\n### END HIDDEN TESTS"
            solution["cells"][slot.index]["source"] += hidden
    folder = root / "solutions" / LESSON
    folder.mkdir(parents=True)
    (folder / f"{LESSON}.ipynb").write_bytes(written(solution))
    (folder / f"{LESSON}.py").write_text(percent(solution), encoding="utf-8")
    for name, text in {
        "helpers/lists.py": "def last(values):\n    return values[0]\n",
        "tests/test_lists.py": "def double(n):\n    return n\n\n\ndef test_it():\n    assert double(1)\n",
    }.items():
        (root / name).parent.mkdir()
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def release(checkout):
    """The tiny lessons as released."""
    return checkout / "notebooks"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The first tiny lesson, solved."""
    return tiny_paper(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def classroom(tmp_path):
    """An empty classroom."""
    return tmp_path / "classroom"


def solved_in_part(paper, *answers: str) -> bytes:
    """The notebook with these answers only."""
    notebook = paper.blank()
    for slot in paper.edition.answers:
        if slot.grade_id in answers:
            notebook["cells"][slot.index]["source"] = paper.answers[slot.grade_id]
    return written(notebook)


def hand_in(folder: Path, files: dict[str, bytes], at: float = 1_700_000_000) -> Path:
    """Write files below a folder, all of one time."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (at, at))
    return folder


def placed(classroom: Path, student: str, lesson: str = LESSON) -> dict:
    """The canonical notebook of a student."""
    path = classroom / "submitted" / student / lesson / f"{lesson}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def right(classroom: Path, student: str) -> set[str]:
    """The answers that count for a student."""
    return {name for name, good in tiny_score(placed(classroom, student)).items() if good}


def text_of(notebook: dict, grade_id: str) -> str:
    """What stands in an answer's cell."""
    return next(
        cell["source"]
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def rows_of(triage, student: str) -> dict[str, tuple[str, str]]:
    """File -> (status, reason) of one student."""
    return {Path(row.file).name: (row.status, row.reason) for row in triage.rows if row.student == student}


# 1: the whole repository


def whole_copy(checkout: Path, **others: bytes) -> bytes:
    """A zip of the whole checkout as a student downloads it, with some files replaced."""
    files = {
        f"skip-main/{path.relative_to(checkout).as_posix()}": path.read_bytes()
        for path in sorted(checkout.rglob("*"))
        if path.is_file()
    }
    return platforms.zipped({**files, **{f"skip-main/{name}": data for name, data in others.items()}})


def test_class_01_the_whole_repository_is_nobodys_work(checkout, release, classroom, tmp_path):
    download = platforms.write_zip(
        tmp_path / f"{LESSON}.zip", {"X_1001_assignsubmission_file_/skip.zip": whole_copy(checkout)}
    )
    triage = collect(download, release, classroom)
    (blank,) = triage.counted
    assert blank.lesson == LESSON and set(blank.unanswered) == ALL and "notebooks/01_doubling" in blank.file
    assert right(classroom, "X") == set()
    said = "; ".join(row.reason for row in triage.rows if row.status == "ignored")
    assert "the course's own solution, helpers or tests (4 files): nobody's work" in said
    assert "part of a copy of the whole course" in said  # the untouched notebook of lesson 2
    assert not triage.waiting


def test_class_01_another_version_of_the_solution_is_not_taken_for_work(
    checkout, release, classroom, tmp_path
):
    other = {
        f"solutions/{LESSON}/{LESSON}{ending}": checkout.joinpath(f"solutions/{LESSON}/{LESSON}{ending}")
        .read_bytes()
        .replace(b"2 * n", b"n + n")
        .replace(b"return STEP * n", b"return n * STEP")
        .replace(b"\n", b"\r\n" if ending == ".py" else b"\n")
        for ending in (".py", ".ipynb")
    }
    other["tests/test_lists.py"] = b"def double(n):\n    return 2 * n\n"
    download = platforms.write_zip(
        tmp_path / f"{LESSON}.zip", {"X_1001_assignsubmission_file_/skip.zip": whole_copy(checkout, **other)}
    )
    triage = collect(download, release, classroom)
    assert right(classroom, "X") == set()
    changed = [row for row in triage.rows if row.status == "waiting"]
    assert len(changed) == 2 and all("the instructor's edition" in row.reason for row in changed)
    named = hand_in(tmp_path, {"hers.ipynb": other[f"solutions/{LESSON}/{LESSON}.ipynb"]}) / "hers.ipynb"
    triage = collect(named, release, classroom, student="X")
    assert {row.student for row in triage.counted} == {"X"}  # a person has said it: nothing waits any more
    assert not [row for row in triage.rows if row.status == "waiting"]


def test_class_01_work_in_a_whole_copy_counts_and_untouched_notebooks_replace_none(
    checkout, release, classroom, tiny, tmp_path
):
    first = hand_in(tmp_path / "first", {f"x/{LESSON}.ipynb": written(tiny.solved()), "y/z.txt": b""})
    collect(first, release, classroom)
    second = read_editions(release)["02_halving"].notebook
    halved = copy.deepcopy(second)
    halved["cells"][3]["source"] = "def halve(n):\n    return n / 2"
    work = whole_copy(checkout, **{"notebooks/02_halving/02_halving.ipynb": written(halved)})
    later = hand_in(tmp_path / "later", {"x/skip.zip": work, "y/z.txt": b""}, at=1_800_000_000)
    triage = collect(later, release, classroom)
    assert right(classroom, "x") == ALL
    assert {row.lesson for row in triage.counted if row.student == "x"} == {LESSON, "02_halving"}


def test_class_01_a_page_beside_an_untouched_notebook_of_a_whole_copy_is_not_the_courses(
    checkout, release, classroom, tmp_path
):
    halved = copy.deepcopy(read_editions(release)["02_halving"].notebook)
    halved["cells"][3]["source"] = "def halve(n):\n    return n / 2"
    others = {
        "notebooks/02_halving/02_halving.ipynb": written(halved),
        f"notebooks/{LESSON}/{LESSON}.pdf": b"%PDF-1.4",
        "stand_ins/doubling.txt": b"packed",
    }
    folder = hand_in(tmp_path / "02_halving", {"x/skip.zip": whole_copy(checkout, **others), "y/z": b""})
    triage = collect(folder, release, classroom)
    assert [row.lesson for row in triage.counted] == ["02_halving"]
    assert [row.file for row in triage.unreadable if row.student == "x"] == [
        f"02_halving/x/skip.zip/skip-main/notebooks/{LESSON}/{LESSON}.pdf"
    ]


def test_class_01_nothing_but_our_solution_waits_for_a_person(checkout, release, classroom, tmp_path):
    solution = checkout.joinpath(f"solutions/{LESSON}/{LESSON}.ipynb")
    resaved = json.dumps(json.loads(solution.read_text()) | {"metadata": {"colab": {}}}).encode()
    triage = collect(hand_in(tmp_path / "c", {"x/a.ipynb": resaved, "y/b.ipynb": b""}), release, classroom)
    row = next(row for row in triage.rows if row.student == "x")
    assert row.status == "unreadable" and "nobody's work; ask for the student's own notebook" in row.reason
    assert not (classroom / "submitted/x").exists()
    named = collect(
        solution, release, classroom, student="test", lesson=LESSON
    )  # an instructor's word is believed
    assert [row.student for row in named.counted] == ["test"]


def test_a_zero_for_our_solution_with_other_answers_is_asked_for_once(
    checkout, release, classroom, tiny, tmp_path
):
    changed = json.loads(checkout.joinpath(f"solutions/{LESSON}/{LESSON}.ipynb").read_text())
    for cell in changed["cells"]:
        cell["source"] = "".join(cell["source"]).replace("return", "return 0 +")
    files = {"x/a.ipynb": json.dumps(changed).encode(), "y/b.ipynb": written(tiny.solved())}
    folder = hand_in(tmp_path / "c", files)
    assert [row.student for row in collect(folder, release, classroom).waiting] == ["x"]
    for asked in ([f"x:{LESSON}"], []):
        triage = collect(None, release, classroom, confirm_zero=asked)
        assert not triage.waiting and [row.student for row in triage.rows if row.confirmed] == ["x"]


def test_class_01_our_solution_of_one_lesson_beside_work_of_another_waits_for_a_person(
    checkout, release, classroom, tiny, tmp_path
):
    solution = checkout.joinpath(f"solutions/{LESSON}/{LESSON}.ipynb").read_bytes()
    halved = copy.deepcopy(read_editions(release)["02_halving"].notebook)
    halved["cells"][3]["source"] = "def halve(n):\n    return n / 2"
    helper = checkout.joinpath("helpers/lists.py").read_bytes()
    files = {f"x/{LESSON}.ipynb": solution, "x/b.ipynb": written(halved), "x/lists.py": helper}
    files |= {
        "y/c.ipynb": written(tiny.solved()),
        f"y/{LESSON}.ipynb": solution,
        "y/helpers/lists.py": helper,
    }
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    assert [(row.student, row.lesson) for row in triage.unreadable] == [("x", LESSON)]
    assert {(row.student, row.lesson) for row in triage.counted} == {("x", "02_halving"), ("y", LESSON)}


@pytest.mark.slow
def test_class_01_this_course_handed_in_whole(course, tmp_path):
    name = "01_iterated_convolution"
    files = {
        f"s/skip/{path.relative_to(course.root).as_posix()}": path.read_bytes()
        for folder in ("notebooks", "solutions", "helpers", "tests", "stand_ins", ".devcontainer", "")
        for path in sorted((course.root / folder).rglob("*") if folder else course.root.glob("*.*"))
        if path.suffix in (".py", ".ipynb", ".json", ".txt", ".md") and path.stat().st_size < 8_000_000
    }
    files[f"t/{name}.ipynb"] = written(paper_of(course, course.lesson("1")).solved())
    triage = collect(
        platforms.write_zip(tmp_path / "class.zip", files), course.root / "notebooks", tmp_path / "c"
    )
    assert [(row.student, row.lesson) for row in triage.counted] == [("s", name), ("t", name)]
    assert triage.counted[0].unanswered and not triage.waiting


# 2: equal times


@pytest.mark.parametrize(
    "beside",
    [
        "my_functions.py",
        "zz.py",
        f"{LESSON}_empty.ipynb",
        f"original/{LESSON}.ipynb",
        "a.ipynb",
        f"{LESSON}-Copy1.ipynb",
    ],
)
def test_class_02_work_beats_blank_and_a_notebook_a_script(release, classroom, tiny, tmp_path, beside):
    lesser = b"def double(n):\n    return 0\n" if beside.endswith(".py") else written(tiny.blank())
    files = {f"x/{LESSON}.ipynb": written(tiny.solved()), f"x/{beside}": lesser, "y/z.txt": b""}
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    assert right(classroom, "x") == ALL and not [row for row in triage.waiting if row.student == "x"]
    status, reason = next(r for f, r in rows_of(triage, "x").items() if r[0] != "taken")
    assert status == "older" and ("has some and counts" in reason or "a script, the notebook" in reason)


def test_class_02_work_in_a_copy_beats_the_blank_original(release, classroom, tiny, tmp_path):
    files = {f"x/{LESSON}.ipynb": written(tiny.blank()), f"x/{LESSON}-Copy1.ipynb": written(tiny.solved())}
    collect(hand_in(tmp_path / "c", files | {"y/z.txt": b""}), release, classroom)
    assert right(classroom, "x") == ALL


def test_class_02_a_script_saved_later_beside_the_notebook_does_not_count(release, classroom, tiny, tmp_path):
    files = {
        f"x/{LESSON}.ipynb": (written(tiny.solved()), NOON),
        "x/double.py": (b"def double(n):\n    return 0\n", LATER),
    }
    triage = collect(platforms.write_zip(tmp_path / "c.zip", files | {"y/z": b""}), release, classroom)
    assert right(classroom, "x") == ALL
    assert "a script beside the notebook" in rows_of(triage, "x")["double.py"][1]


@pytest.mark.parametrize("choice", ["a", "b"])
def test_class_02_a_true_tie_is_said_and_waits(release, classroom, tiny, tmp_path, choice):
    other = tiny.solved()
    other["cells"][tiny.exercises[0].index]["source"] = "def double(n):\n    return n + n  # other"
    files = {"x/a.ipynb": written(tiny.solved()), "x/b.ipynb": written(other), "y/z": b""}
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    rows = rows_of(triage, "x")
    assert {status for status, _ in rows.values()} == {"waiting"}
    assert "b.ipynb" in rows["a.ipynb"][1] and f"--student x --lesson {LESSON}" in rows["a.ipynb"][1]
    assert not (classroom / "submitted/x").exists() and len(triage.waiting) == 3
    chosen = collect(tmp_path / f"c/x/{choice}.ipynb", release, classroom, student="x", lesson=LESSON)
    assert ("# other" in (classroom / f"submitted/x/{LESSON}/{LESSON}.ipynb").read_text()) == (choice == "b")
    assert [row.student for row in chosen.counted] == ["x"] and not [
        r for r in chosen.waiting if r.student == "x"
    ]


def test_class_02_what_holds_the_other_and_more_is_no_tie(release, classroom, tiny, tmp_path):
    files = {
        "x/a.ipynb": written(tiny.solved()),
        "x/b.ipynb": solved_in_part(tiny, "double", "last"),
        "y/z": b"",
    }
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    assert right(classroom, "x") == ALL and rows_of(triage, "x")["b.ipynb"][0] == "older"


def test_class_02_numbers_sort_as_numbers(release, classroom, tiny, tmp_path):
    files = {
        f"x/Version {n}/{LESSON}.ipynb": solved_in_part(tiny, *ids)
        for n, ids in {2: ["double"], 9: ["last"], 10: ["last", "Tally"]}.items()
    }
    collect(hand_in(tmp_path / "c", files | {"y/z": b""}), release, classroom)
    assert right(classroom, "x") == {"last", "Tally"}


def test_class_02_answers_that_only_the_other_file_holds_are_said(release, classroom, tiny, tmp_path):
    files = {
        f"x/{LESSON}.ipynb": solved_in_part(tiny, "double"),
        "x/rest.py": tiny.answers["last"].encode(),
        "y/z": b"",
    }
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    (row,) = triage.counted
    assert row.doubts == ("c/x/rest.py holds answers that this one lacks: last",) and row in triage.waiting


# 3: scripts


@pytest.mark.parametrize("dialect", DIALECTS)
def test_class_03_every_answer_of_a_script_is_found(release, classroom, tiny, tmp_path, dialect):
    script = DIALECTS[dialect](tiny.solved()).encode()
    triage = collect(hand_in(tmp_path / "c", {"x/my.py": script, "y/z": b""}), release, classroom)
    assert right(classroom, "x") == ALL
    for name in ("why_response", "when_response"):
        assert text_of(placed(classroom, "x"), name).strip() == tiny.answers[name], name
    assert not [row for row in triage.waiting if row.student == "x"]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_class_03_every_answer_of_a_real_lesson_is_found(course, dialect):
    paper = paper_of(course, course.lesson("1"))
    made = rebuild(paper.edition, read_sheet(DIALECTS[dialect](paper.solved()).encode()))
    lost = {slot.grade_id for slot in paper.edition.answers} - set(made.answered)
    assert not lost or (lost == set(made.doubts) and dialect == "jupytext bare")
    blank = rebuild(paper.edition, read_sheet(DIALECTS[dialect](paper.blank()).encode()))
    assert not set(blank.answered) & {slot.grade_id for slot in paper.exercises}


def test_class_03_prose_cells_of_databricks_in_a_notebook(tiny):
    notebook = tiny.solved()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell.update(
                cell_type="code", source=f"%md\n{cell['source']}", outputs=[], metadata={}, id=f"d{id(cell)}"
            )
    made = rebuild(tiny.edition, read_sheet(written(notebook)))
    assert set(made.answered) == ALL and "read as prose" in "; ".join(read_sheet(written(notebook)).repairs)


def test_class_03_no_cell_found_is_not_left_blank(release, classroom, tiny, tmp_path):
    code = "\n\n".join(tiny.answers[slot.grade_id] for slot in tiny.exercises)
    files = {"x/my.py": code.encode(), "y/full.ipynb": written(tiny.solved())}
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    row = next(row for row in triage.counted if row.student == "x")
    assert "why_response, when_response: no answer where it should stand" in row.doubts[0]
    assert row in triage.waiting and "1 needs a person" in triage.summary()
    for name in ("why_response", "when_response"):  # changed text: nbgrader leaves its mark to a person
        assert NO_CELL in text_of(placed(classroom, "x"), name)


def test_class_03_prose_that_may_be_the_answer_waits_with_the_answer(release, classroom, tiny, tmp_path):
    notebook = tiny.solved()
    words = "Adding is what doubling does; I write it at the end."
    for slot in tiny.responses:
        notebook["cells"][slot.index]["source"] = slot.source
    notebook["cells"].append({"cell_type": "code", "metadata": {}, "source": f"# {words}", "outputs": []})
    triage = collect(
        hand_in(tmp_path / "c", {"x/a.ipynb": written(notebook), "y/z": b""}), release, classroom
    )
    assert NO_ANSWER in text_of(placed(classroom, "x"), "why_response")
    assert words in text_of(placed(classroom, "x"), "why_response") and triage.counted[0].doubts


def test_class_03_a_script_that_does_not_compile_keeps_its_good_answers(release, classroom, tiny, tmp_path):
    code = "\n\n".join([*(tiny.answers[s.grade_id] for s in tiny.exercises), "def broken(:\n    return 1\n"])
    collect(hand_in(tmp_path / "c", {"x/my.py": code.encode(), "y/z": b""}), release, classroom)
    assert right(classroom, "x") >= {"double", "Tally", "last"}


def test_class_03_the_code_of_a_script_is_looked_through(tiny, release, classroom, tmp_path):
    code = DIALECTS["marimo"](tiny.solved()).replace("return STEP * n", "import os; return STEP * n")
    triage = collect(hand_in(tmp_path / "c", {"x/my.py": code.encode(), "y/z": b""}), release, classroom)
    assert "operating system" in {f.reach for f in triage.counted[0].findings}


# 7: a written answer taken back


def test_class_07_a_written_answer_taken_back_is_said(release, classroom, tiny, tmp_path):
    first = hand_in(tmp_path / "first", {"x/a.ipynb": written(tiny.solved()), "y/z": b""})
    later = {"x/a.ipynb": solved_in_part(tiny, "double", "Tally", "last", "when_response"), "y/z": b""}
    triage = collect([first, hand_in(tmp_path / "later", later, at=1_800_000_000)], release, classroom)
    (row,) = triage.counted
    assert row.doubts == ("first/x/a.ipynb holds answers that this one lacks: why_response",)


# 10 and 26: archives, litter


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    """A tar, packed or not."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_772_366_400
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize(
    ("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]
)
def test_class_10_tars_are_gone_through(release, classroom, tiny, tmp_path, ending, mode):
    inner = tarred(
        {"sub/a.ipynb": written(tiny.solved()), "../../up.ipynb": b"x", "sub/.DS_Store": b"x"}, mode
    )
    whole = tarred({f"class/anna/hw.{ending}": inner, "class/ben/b.ipynb": written(tiny.solved())}, mode)
    (tmp_path / f"class.{ending}").write_bytes(whole)
    triage = collect(tmp_path / f"class.{ending}", release, classroom)
    assert {row.student for row in triage.counted} == {"anna", "ben"} and right(classroom, "anna") == ALL
    assert any("leads out of the tar" in row.reason for row in triage.rows)
    assert not (tmp_path / "up.ipynb").exists()


@pytest.mark.slow
def test_class_10_a_tar_can_fill_neither_memory_nor_time(release, classroom, tiny, tmp_path):
    from course.intake import Limits

    files = {
        "e/bomb.tar.xz": tarred({f"{i}.ipynb": b" " * 200_000 for i in range(9)}, "w:xz"),
        "a/a.ipynb": written(tiny.solved()),
    }
    hostile = lzma.compress(
        b"x" * 1000, preset=9
    )  # its header asks for 65 MB; a dictionary of 1 GB is refused
    files["f/big.tar.xz"] = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}])
    triage = collect(
        hand_in(tmp_path / "c", files | {"g/g.xz": hostile}),
        release,
        classroom,
        limits=Limits(student_bytes=500_000),
    )
    assert [row.student for row in triage.counted] == ["a"]
    assert any("more than the limit" in row.reason for row in triage.rows if row.student == "e")


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("hw.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        ("hw.rar", b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        ("hw.tar.zst", b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    ],
)
def test_class_10_other_archives_are_named(release, classroom, tiny, tmp_path, name, head, said):
    files = {f"x/{name}": head + b"x" * 99, "y/a.ipynb": written(tiny.solved())}
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    (status, reason) = rows_of(triage, "x")[name]
    assert status == "unreadable" and f"{said}: unpack it and collect the folder" in reason


@pytest.mark.parametrize("packed", [bz2.compress, lzma.compress])
def test_class_10_a_packed_notebook_is_unpacked(release, classroom, tiny, tmp_path, packed):
    files = {"x/a.ipynb": packed(written(tiny.solved())), "y/z": b""}
    collect(hand_in(tmp_path / "c", files), release, classroom)
    assert right(classroom, "x") == ALL


def test_class_26_checkpoints_are_nobody(release, classroom, tiny, tmp_path):
    files = {
        f"{LESSON}_anna.ipynb": written(tiny.solved()),
        f".ipynb_checkpoints/{LESSON}-checkpoint.ipynb": written(tiny.blank()),
        f"ben/.ipynb_checkpoints/{LESSON}-checkpoint.ipynb": written(tiny.blank()),
        f"ben/{LESSON}.ipynb": written(tiny.solved()),
    }
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    assert {row.student for row in triage.rows if row.student} == {"anna", "ben"}
    assert right(classroom, "ben") == ALL and not triage.waiting


def test_class_26_anagrams_of_a_cell_cost_nothing(tiny):
    """Counted, not timed: cheap to compare, and none is taken for the cell."""
    notebook = tiny.solved()
    slot = max((s for s in tiny.edition.slots if not s.is_answer), key=lambda s: len(s.source))
    rng = random.Random(1)
    letters = list(slot.source * 20)
    anagrams = []
    for _ in range(300):
        rng.shuffle(letters)
        anagrams.append({"cell_type": slot.kind, "metadata": {}, "source": "".join(letters)})
    del notebook["cells"][slot.index]
    notebook["cells"] += anagrams
    before = time.process_time()
    made = rebuild(tiny.edition, read_sheet(written(notebook)))
    assert time.process_time() - before < 6  # seconds of CPU, 12.6 before
    assert set(made.answered) == ALL


# 11: forgotten downloads, and what is printed


def test_class_11_a_download_can_be_forgotten_and_brought_back(release, classroom, tiny, tmp_path):
    wrong = hand_in(tmp_path, {"README.md": b"# Read me"}) / "README.md"
    good = hand_in(
        tmp_path / "one", {"x/a.ipynb": solved_in_part(tiny, "double"), "z/z.ipynb": written(tiny.solved())}
    )
    late = hand_in(
        tmp_path / "two",
        {"x/a.ipynb": written(tiny.solved()), "y/a.ipynb": written(tiny.solved())},
        at=1_800_000_000,
    )
    collect([wrong, good, late], release, classroom)
    assert right(classroom, "x") == ALL
    without = collect(None, release, classroom, forget=["README.md"])
    assert not [row for row in without.rows if "README" in row.file]
    without = collect(None, release, classroom, forget=["two"])
    assert right(classroom, "x") == {"double"} and {row.student for row in without.rows} == {"x", "z"}
    assert not (classroom / "submitted/y").joinpath(LESSON).exists()
    (kept,) = (classroom / "forgotten").glob("two-*")
    assert Store(classroom).forgotten() == {("y", LESSON): kept}  # x has another
    assert (kept / "download/two/y/a.ipynb").is_file()
    assert (kept / f"placed/y/{LESSON}/{LESSON}.ipynb").is_file()
    collect(None, release, classroom, forget=["two"])  # once more, since something else had gone wrong
    collect(late, release, classroom)
    assert right(classroom, "x") == ALL == right(classroom, "y") and Store(classroom).forgotten() == {}
    for name in (
        "nonsense",
        "y",
        LESSON,
        "a.ipynb",
        "placed",
        "download",
    ):  # of what lies in `forgotten/`, too
        with pytest.raises(CourseError, match=f"no download is called '{name}'; there are: one-"):
            collect(None, release, classroom, forget=[name])


@pytest.mark.slow
def test_class_11_with_a_large_class_only_what_needs_a_person_is_printed(release, classroom, tiny, tmp_path):
    files = {f"s{i:03}/a.ipynb": written(tiny.solved()) for i in range(60)} | {
        "s007/a.ipynb": b"",
        "s008/a.ipynb": b"\x89PNG",
    }
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(triage.on_screen())
    shown = console.export_text()
    assert "s007" in shown and "s008" in shown and "s009" not in shown
    assert "58 more files need nobody: all are in the table and on the page" in shown
    assert "60 files: 58 taken, 2 unreadable; 2 need a person" in shown
    triage.write_html(tmp_path / "t.html")
    assert "s009" in (tmp_path / "t.html").read_text(encoding="utf-8")


def test_a_narrow_terminal_breaks_names_and_cuts_none():
    file = "submissions.zip/lovelaceada_101_9001_03_tanh_chain.ipynb"
    row = Row("101", "Ada Lovelace", "03_tanh_chain", file, "taken", notes=("no answer: vanishing_response",))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(Triage([row]).on_screen())
    cells = [line.split("│") for line in console.export_text().splitlines() if line.startswith("│")]
    assert "".join(cell[4].strip() for cell in cells) == file
    assert "vanishing_response" in "".join(cell[5].strip() for cell in cells)


# 12 and 21: files that stopped the class

HANGS = {
    "exponential shortcut": b"[InternetShortcut]\n" + b"a=\n" * 60 + b"!",
    "quadratic commas": b"{" + b'"\\"' * 200_000,
    "blanks behind commas": b"{" + b", " * 50_000 + b" " * 200_000,
    "openings of cells": b'{"cells": [' + b'{"cell_type":' * 60_000,
    "501 shell lines": "\n".join(["!true"] * 501),
    "an honest typo": "x =%'''",
    "600 attributes": "np" + ".a" * 600 + " = 1",
    "60 000 brackets": "(" * 60_000,
    "a tower of minuses": "-" * 100_000 + "1",
    "a heading of a huge level": {
        "cell_type": "heading",
        "level": 300_000_000,
        "source": "x",
        "metadata": {},
    },
    "shuffled prose of 20 KB": "".join(random.Random(2).choices("abcdefgh \n", k=20_000)),
}


def handed_in(paper, what) -> bytes:
    """Bytes as they are; a source or cell within a solved notebook."""
    if isinstance(what, bytes):
        return what
    notebook = paper.solved()
    cell = (
        what
        if isinstance(what, dict)
        else {"cell_type": "code", "metadata": {}, "source": what, "outputs": []}
    )
    notebook["cells"].append(cell)
    return written(notebook)


@pytest.mark.slow
def test_class_12_and_21_no_file_stops_the_class(release, classroom, tiny, tmp_path):
    files = {f"x{i}/a.ipynb": handed_in(tiny, what) for i, what in enumerate(HANGS.values())}
    files["good/a.ipynb"] = written(tiny.solved())
    triage = collect(hand_in(tmp_path / "c", files), release, classroom)
    rows = {row.student: row for row in triage.rows}
    assert len(rows) == len(HANGS) + 1 and right(classroom, "good") == ALL
    for i, (name, what) in enumerate(HANGS.items()):
        row = rows[f"x{i}"]
        assert "longer than" not in row.reason and "memory" not in row.reason, (
            name
        )  # read in time, not given up
        assert row.counts == (not isinstance(what, bytes)), name
        if row.counts:
            assert right(classroom, f"x{i}") >= ALL - {"why_response"}, name


def test_class_21_an_edited_setup_cell_nested_deeply_is_kept_or_said(tiny):
    notebook = tiny.solved()
    setup = next(s for s in tiny.edition.slots if s.grade_id == "imports")
    notebook["cells"][setup.index]["source"] = setup.source + "\ndeep = np" + ".a" * 600
    made = rebuild(tiny.edition, read_sheet(written(notebook)))
    assert set(made.answered) == ALL and "imports" in "; ".join(made.notes)
    assert reaches([("cell", "import numpy as np\nnp" + ".a" * 600 + " = 1")])


def test_a_copy_of_another_version_of_the_lesson_is_said_in_a_line(course):
    paper = paper_of(course, course.lesson("1"))
    notebook = paper.solved()
    edited = [s for s in paper.edition.slots if not (s.is_answer or s.is_check or s.is_prediction)]
    for slot in edited:
        notebook["cells"][slot.index]["source"] += (
            "\n<!-- as it was before -->" if slot.kind != "code" else "\n# as before"
        )
    made = rebuild(paper.edition, read_sheet(written(notebook)))
    (said,) = [note for note in made.notes if note.startswith("edited cells")]
    assert said.endswith(f" and {len(edited) - 5} more: was it made from another version of the lesson?")
    assert set(made.answered) == {slot.grade_id for slot in paper.edition.answers}


@contextmanager
def stubborn_workers(**limits):
    """Workers with that reader."""
    workers = Workers("tests.fuzz.stubborn:stubborn", **limits)
    try:
        yield workers
    finally:
        workers.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"loop", "took longer than 0.5 seconds"),
        (b"memory", "more than 1024 MB of memory"),
        (b"crash", r"broke the program that reads, twice \(it ended with code 9\)"),
        (b"signal", r"broke the program that reads, twice \(killed by signal 11\)"),
        (b"deep", "RecursionError"),
    ],
)
def test_class_21_whatever_befalls_a_reader_the_next_file_is_read(body, said):
    with stubborn_workers(count=1, seconds=0.5) as workers:
        with pytest.raises(Failed, match=said):
            workers.ask({}, body)
        assert workers.ask({}, b"fine") == ({"read": 4}, b"fine")


def test_class_21_a_reader_that_died_once_is_given_a_second_chance(tmp_path):
    with stubborn_workers(count=1) as workers:
        assert workers.ask({"flag": str(tmp_path / "flag")}, b"once") == ({"read": 4}, b"once")


def test_class_21_what_is_printed_does_not_end_up_between_the_answers():
    with stubborn_workers(count=1) as workers:
        assert workers.ask({}, b"prints")[0] == {"read": 6}


@pytest.mark.slow
def test_class_21_results_come_in_order_whatever_breaks():
    bodies = [b"a", b"crash", b"bb", b"deep", b"ccc"] * 4
    with stubborn_workers(count=3) as workers:
        found = list(workers.map((i, {}, body) for i, body in enumerate(bodies)))
    assert [i for i, _, _ in found] == list(range(20))
    assert [words.get("read") for _, words, _ in found] == [1, None, 2, None, 3] * 4


def test_class_21_who_stops_collecting_does_not_wait_for_a_file_that_hangs():
    def files():
        yield 0, {}, b"loop"
        yield 1, {}, b"loop"
        raise KeyboardInterrupt

    with stubborn_workers(count=2, seconds=100_000) as workers:
        with pytest.raises(KeyboardInterrupt):  # at once: else this test does not end
            list(workers.map(files()))
        assert workers.ask({}, b"fine") == ({"read": 4}, b"fine")


def test_class_21_a_machine_without_limits_says_so_once(release, classroom, tiny, tmp_path):
    class Unlimited(Workers):
        @property
        def remarks(self):
            self._limits = {"memory": False, "cpu": False}
            return super().remarks

    workers = Unlimited()
    triage = collect(
        hand_in(tmp_path / "c", {"x/a.ipynb": written(tiny.solved()), "y/z": b""}),
        release,
        classroom,
        workers=workers,
    )
    workers.close()
    assert sum("no memory limit" in warning for warning in triage.warnings) == 1


# 14: a source that cannot be written or read


@contextmanager
def as_nobody(*folders: Path):
    """Without root's right to ignore permissions."""
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, 65534, 65534)
    for parent in folders[0].parents:
        if parent != Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of POSIX")
def test_class_14_a_read_only_folder_is_copied_and_a_broken_copy_swept(tmp_path):
    folder = hand_in(tmp_path / "c", {"x/a.ipynb": b"one", "y/b.ipynb": b"two"})
    downloads = tmp_path / "downloads"
    left = downloads / "c-12345678" / ".copying"
    left.joinpath("c/x").mkdir(parents=True)
    os.chmod(left / "c/x", 0o500)
    for path in [folder / "x/a.ipynb", folder / "x", folder / "y", folder]:
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    with as_nobody(folder, downloads):
        kept = keep(folder, downloads)
        assert (kept / "x/a.ipynb").read_bytes() == b"one" and kept == keep(folder, downloads)
        assert (kept / "x/a.ipynb").stat().st_mtime == 1_700_000_000
        assert not left.exists() and not list(downloads.rglob(".copying*"))
    for path in (folder, folder / "x", folder / "y"):
        os.chmod(path, 0o755)


@pytest.mark.parametrize("how", [{}, {"student": "jo"}, {"student": "jo", "lesson": LESSON}])
def test_class_14_what_a_killed_collect_had_begun_to_copy_is_not_read(
    release, classroom, tiny, tmp_path, monkeypatch, how
):
    work = written(tiny.solved())
    collect(hand_in(tmp_path / "first", {"ann/x.ipynb": work, "bo/y.ipynb": work}), release, classroom)
    second = hand_in(tmp_path / "second", {"jo/x.ipynb": work, "cy/y.ipynb": work})
    source = second / "jo/x.ipynb" if how else second

    def killed(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:-400])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", killed)
        broken.setattr(shutil, "rmtree", lambda *args, **more: None)
        with pytest.raises(KeyboardInterrupt):
            collect(source, release, classroom, **how)
    downloads = classroom / "downloaded"
    assert list(downloads.rglob(".copying*"))
    for place in (
        ".copying1",
        "first/.copying2",
        "by hand/x-1/jo/.copying3",
        f"by hand/x-2/jo/{LESSON}/.copying4",
    ):
        hand_in(downloads, {f"{place}/x.ipynb": work[:-400]})  # as older versions left them, too
    triage = collect(None, release, classroom)
    assert {row.student for row in triage.rows} == {"ann", "bo"} and not list(downloads.rglob(".copying*"))
    assert "jo" in {row.student for row in collect(source, release, classroom, **how).counted}


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of POSIX")
def test_class_14_what_cannot_be_read_is_named_and_nothing_taken_in_part(tmp_path):
    folder = hand_in(tmp_path / "c", {"x/a.ipynb": b"one"})
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with as_nobody(folder, downloads):
        os.chmod(folder / "x/a.ipynb", 0)
        with pytest.raises(CourseError, match=r"a\.ipynb cannot be read \(Permission denied\)"):
            keep(folder, downloads)
        assert not list(downloads.iterdir())
        os.chmod(folder / "x/a.ipynb", 0o600)
        os.chmod(downloads, 0o500)
        with pytest.raises(CourseError, match="cannot be copied to"):
            keep(folder, downloads)
        os.chmod(downloads, 0o700)
        assert keep(folder, downloads).is_dir()
    shutil.rmtree(downloads)


def test_a_zip_with_a_programs_litter_is_not_too_many_files(release, classroom, tiny, tmp_path):
    files = {f".venv/lib/{i}.py": b"x" for i in range(2500)} | {"a.ipynb": written(tiny.solved())}
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x/hw.zip", platforms.zipped(files))
        archive.writestr("y/z", b"")
    collect(tmp_path / "c.zip", release, classroom)
    assert right(classroom, "x") == ALL
