"""Grading on a Dask cluster: what this machine gives, whatever becomes of a worker; a stranger gets no work; nothing is left behind."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

import helpers
from course import cli
from course.commands.options import chosen_backend
from course.grading.backends import dask
from course.grading.backends.dask import Dask
from course.grading.backends.fingerprint import difference, fingerprint
from course.grading.grade import grade
from course.grading.gradebook import scores
from course.grading.job import jobs
from course.intake import collect
from course.model import Course, CourseError, Limits
from course.store import RECEIPT, Store
from tests.cluster import Cluster, cluster
from tests.kills import ENDLESS, GREET
from tests.toy_course import hand_in, toy_course

ROOT = Path(__file__).parents[1]
SLOW = "import time\ntime.sleep(3)\ndef double(x):\n    return 2 * x"
CLASS = {"ada": None, "bo": {"greet": GREET, "double": SLOW}, "cy": {"double": SLOW}, "di": {"double": SLOW}, "ed": {}, "flo": None}  # fmt: skip


def apart(test):
    """Mark a test that starts a cluster."""
    return pytest.mark.kernel(pytest.mark.xdist_group("cluster")(test))


def class_of(root: Path, answers: dict[str, dict[str, str] | None]) -> Course:
    """A toy course whose class has handed in."""
    made = toy_course(root, registered=False)
    hand_in(made, root / "handed", answers)
    collect([root / "handed"], made.root / "notebooks", made.classroom)
    return made


def changed(folder: Path, package: str, file: str) -> Path:
    """A folder with a copy of a package, one of whose files got one more line."""
    shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / package / file).open("a") as opened:
        opened.write("# a change\n")
    return folder


def rows(course: Course) -> dict[str, object]:
    """The gradebook, and what each check said."""
    receipts = {path.parts[-3]: json.loads(path.read_text()) for path in course.classroom.rglob(RECEIPT)}
    verdicts = {student: (r["digest"], r["verdicts"]) for student, r in receipts.items()}
    return {"scores": scores(course), "verdicts": verdicts}


@pytest.fixture
def ground() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@apart
def test_a_worker_is_killed_in_mid_run_and_the_scores_are_those_of_this_machine(ground, tmp_path):
    course = class_of(tmp_path, CLASS)
    elsewhere = replace(course, classroom=tmp_path / "elsewhere")
    shutil.copytree(course.classroom / "submitted", elsewhere.classroom / "submitted")
    lessons = list(course.lessons)
    assert {r.state for r in grade(course, lessons)} == {"graded"}

    addresses = {name: ground.work(name) for name in ("one", "two")}
    left, said = [], []

    def told(_) -> None:
        """Kill the first worker that is at work."""
        if len(ground.processes) == 3:
            with Client(ground.address, set_as_default=False) as client:
                busy = [name for name, address in addresses.items() if client.processing()[address]]
            assert ground.started_by(busy[0])
            left.extend(ground.end(busy[0], signal.SIGKILL))

    results = grade(elsewhere, lessons, backend=Dask(ground.address, said.append), told=told)
    assert len(ground.processes) == 2 and left == [] and said == []
    assert sorted((r.student, r.state) for r in results) == [(name, "graded") for name in CLASS]
    assert rows(elsewhere) == rows(course) and {s.student for s in scores(course)} == set(CLASS)
    assert [r.state for r in grade(elsewhere, lessons, backend=Dask(ground.address))] == ["unchanged"] * len(
        CLASS
    )

    (remaining,) = ground.processes.keys() - {"scheduler"}
    pid = ground.processes[remaining].pid
    assert len(ground.started_by(remaining)) >= 2  # a template and a checker, warm
    assert ground.end(remaining) == []
    assert [p for p in Path("/tmp").glob("sk-*/owner") if p.read_text().strip() == str(pid)] == []


@apart
def test_a_stranger_gets_no_work(ground, tmp_path, monkeypatch, capsys):
    course = class_of(tmp_path, {"ada": None, "bo": {}})
    copy = changed(tmp_path / "changed", "course", "model.py")
    strange = ground.work("strange", PYTHONPATH=str(copy))

    monkeypatch.setattr(cli, "load_course", lambda: course)
    monkeypatch.setattr(sys, "argv", ["course", "grade", "--dask", ground.address])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert end.value.code == 1 and said.err.count("\n") == 1 and scores(course) == []
    for text in (said.out, said.err):
        assert f"worker {strange} is refused: course is " in text

    ground.work("known")
    refused = []
    results = grade(course, list(course.lessons), backend=Dask(ground.address, refused.append))
    assert [r.state for r in results] == ["graded", "graded"]
    assert len(refused) == 1 and strange in refused[0]
    assert ground.started_by("strange") == []  # no kernel, no checker


@apart
def test_whoever_stops_listening_stops_what_runs_on_a_worker_and_where_all_are_gone_the_run_ends(
    ground, tmp_path, monkeypatch
):
    """The endless submission would hold the only worker for an hour."""
    course = class_of(tmp_path, {"ada": {"greet": ENDLESS}, "bo": None})
    course = replace(course, limits=replace(course.limits, cell_cpu=3600, cell_wall=3600, notebook_wall=3600))
    (lesson,) = course.lessons
    ground.work("one")
    endless, right = jobs(course, lesson, Store(course.classroom).submissions(lesson))
    outcomes = Dask(ground.address).run([right, endless])
    assert next(outcomes).job.submission.student == "bo"
    outcomes.close()
    (outcome,) = Dask(ground.address).run([right])
    assert not outcome.machine_fault and all(v.passed for v in outcome.verdicts.values())

    monkeypatch.setattr(dask, "PATIENCE", 2.0)
    results = []

    def told(result) -> None:
        results.append((result.student, result.state))
        ground.end("one", signal.SIGKILL)

    hand_in(
        course,
        tmp_path / "handed",
        {"ab": None, "bo": {"double": "import time\ntime.sleep(60)\ndouble = abs"}},
    )
    collect([tmp_path / "handed"], course.root / "notebooks", course.classroom)
    shutil.rmtree(Store(course.classroom).placed("ada", lesson.name))
    with pytest.raises(CourseError, match=r"no worker at .* has been there for 2 seconds: start some"):
        grade(course, [lesson], backend=Dask(ground.address), told=told)
    assert results == [("ab", "graded")] and [s.student for s in scores(course)] == ["ab"]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_scheduler_that_does_not_answer_is_one_sentence(course, monkeypatch):
    monkeypatch.setattr(dask, "CONNECTING", 1)
    address = f"tcp://127.0.0.1:{closed_port()}"
    with pytest.raises(CourseError, match=f"no Dask scheduler answers at {address}"):
        list(Dask(address).run([object()]))
    assert list(Dask(address).run([])) == []  # nothing to do: nobody is asked


@pytest.mark.parametrize("address", ["8786", "tcp://host", "http://host:1", "tcp://:8786", "tcp://host:port"])
def test_what_is_no_address_is_said_so(address):
    with pytest.raises(CourseError, match="write tcp://HOST:PORT"):
        Dask(address)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CourseError, match=r"pip install -e 'course\[dask\]'"):
        Dask("tcp://127.0.0.1:8786")


def test_jobs_at_once_are_said_to_workers(course, monkeypatch):
    with pytest.raises(CourseError, match="--jobs 3 is for this machine"):
        chosen_backend(3, "tcp://127.0.0.1:8786")


def test_what_differs_is_named():
    here = {"Python": "3.11.4", "numpy": "2.4.6", "helpers": "ab"}
    assert difference(here, dict(here)) == ""
    assert difference(here, here | {"numpy": "2.3.0"}) == "numpy is 2.4.6 here and 2.3.0 there"
    assert difference(here, {"Python": "3.11.4", "helpers": "cd"}) == (
        "numpy is 2.4.6 here and missing there, and 1 other thing differs (helpers)"
    )


def test_helpers_that_differ_by_a_line_are_other_helpers(tmp_path, monkeypatch):
    here = fingerprint.__wrapped__("unsafe", Limits())
    copy = changed(tmp_path, "helpers", "checks/core.py")
    monkeypatch.setattr(helpers, "__path__", [str(copy / "helpers")])
    there = fingerprint.__wrapped__("unsafe", Limits())
    assert {name for name in here if here[name] != there[name]} == {"helpers"}
    assert here["sandbox"] and "missing" not in here.values()
