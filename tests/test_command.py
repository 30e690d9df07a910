"""The `course` command before and while it works: what starting it imports, what it reads, how it says how far it is."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from course import cli
from course.grading import execute
from course.grading.backends import local
from course.grading.backends.local import Local
from course.grading.grade import Graded
from course.model import Confinement, CourseError, Job, Limits, Outcome, Submission
from course.progress import Count, Progress

# What takes a tenth of a second and more to import, and what brings such along.
HEAVY = {"dask", "distributed", "helpers", "psycopg", "IPython", "jupyter_client", "jupytext", "matplotlib", "nbclient", "nbconvert", "nbformat", "nbgrader", "numpy", "openpyxl", "pandas", "rapidfuzz", "scipy", "setuptools", "sklearn", "sqlalchemy", "sympy", "torch", "traitlets", "yaml", "zmq"}  # fmt: skip


def test_starting_the_command_imports_nothing_heavy():
    script = (
        "import sys, json, course.cli; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(json.loads(said.stdout))
    assert imported & HEAVY == set() and "typer" in imported


@pytest.mark.slow
def test_a_command_reads_the_course_once(course, tmp_path, monkeypatch):
    read = []

    def load_course(**more):
        read.append(more)
        return replace(course, classroom=tmp_path)

    monkeypatch.setattr(cli, "load_course", load_course)
    for words in (["report"], ["feedback"], ["build", "--check", "1"], ["grade", "--unsafe", "1"]):
        read.clear()
        CliRunner().invoke(cli.app, words)
        assert len(read) == 1, words


def told(console: Console) -> Progress:
    """A progress after three of four submissions."""
    with Progress(console) as bar:
        bar.expected(4)
        bar.told(Graded("ada", "01_x", "graded", seconds=2.5))
        bar.told(Graded("bo", "01_x", "graded", seconds=9.25))
        bar.told(Graded("cy", "01_x", "failed", "no memory"))
    return bar


def test_elsewhere_than_on_a_terminal_each_submission_is_a_plain_line():
    file = io.StringIO()
    told(Console(file=file, width=200))
    assert file.getvalue().splitlines() == [
        "1/4  ada  01_x  graded  2.5 s",
        "2/4  bo  01_x  graded  9.2 s",
        "3/4  cy  01_x  failed  no memory",
    ]


def test_on_a_terminal_a_bar_says_rate_and_slowest_and_only_failures_get_a_line():
    file = io.StringIO()
    bar = told(Console(file=file, width=200, force_terminal=True, color_system=None))
    assert "a minute" in bar.pace() and "slowest bo (01_x) 9.2 s" in bar.pace()
    assert "3/4  cy  01_x  failed  no memory" in file.getvalue() and "1/4  ada" not in file.getvalue()


def job(name: str) -> Job:
    return Job(Submission(name, "x", b""), b"", (), Limits(), Confinement("none", "none"), "1")


def test_jobs_are_asked_for_when_there_is_room_for_them(monkeypatch):
    """The first is executed while the rest is not yet put together."""
    monkeypatch.setattr(local, "sweep", lambda: None)
    monkeypatch.setattr(local, "twice", lambda job, stop: Outcome(job))
    asked = []

    def jobs():
        for number in range(20):
            asked.append(number)
            yield job(f"s{number}")

    outcomes = Local(2).run(jobs())
    next(outcomes)
    assert len(asked) <= 5
    assert len(list(outcomes)) == 19 and len(asked) == 20


def test_cores_are_those_that_this_process_may_use(tmp_path, monkeypatch):
    """Four that it is bound to; its control group, or one above it, may allow less time than that."""
    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert local.cores(tmp_path) == 4
    groups, fs = tmp_path / "proc/self/cgroup", tmp_path / "sys/fs/cgroup"
    groups.parent.mkdir(parents=True)
    (fs / "a/b").mkdir(parents=True)
    groups.write_text("0::/a/b\n")
    (fs / "a/b/cpu.max").write_text("max 100000\n")
    assert local.cores(tmp_path) == 4
    (fs / "a/cpu.max").write_text("250000 100000\n")
    assert local.cores(tmp_path) == 3
    (fs / "a/b/cpu.max").write_text("20000 100000\n")
    assert local.cores(tmp_path) == 1
    groups.write_text("4:cpuset:/\n3:cpu,cpuacct:/x\n")  # the first version of control groups
    (fs / "cpu/x").mkdir(parents=True)
    for name, text in (("cfs_quota_us", "-1\n"), ("cfs_period_us", "100000\n")):
        (fs / f"cpu/x/cpu.{name}").write_text(text)
    assert local.cores(tmp_path) == 4
    (fs / "cpu/x/cpu.cfs_quota_us").write_text("200000\n")
    assert local.cores(tmp_path) == 2


def test_who_stops_listening_stops_what_runs_and_asks_for_no_more(monkeypatch):
    monkeypatch.setattr(local, "sweep", lambda: None)
    stopped = threading.Event()

    def twice(job: Job, stop: threading.Event) -> Outcome:
        if job.submission.student == "s0":
            return Outcome(job)
        stop.wait()
        stopped.set()
        raise execute.Stopped

    monkeypatch.setattr(local, "twice", twice)
    outcomes = Local(2).run(job(f"s{number}") for number in range(20))
    next(outcomes)
    outcomes.close()
    assert stopped.is_set()


def test_an_error_that_nobody_thought_of_is_a_machine_fault_and_tried_once_more(monkeypatch):
    monkeypatch.setattr(local, "sweep", lambda: None)
    asked = []

    def run(job: Job, stop: threading.Event) -> Outcome:
        asked.append(job.submission.student)
        if job.submission.student == "a" or len(asked) == 3:
            raise RuntimeError("strange")
        return Outcome(job)

    monkeypatch.setattr(execute, "run", run)
    faults = {o.job.submission.student: o.machine_fault for o in Local(1).run([job("a"), job("b")])}
    assert faults == {"a": "RuntimeError: strange", "b": ""}  # two that are done at once come in any order
    assert asked == ["a", "a", "b", "b"]


def test_every_command_shows_an_example():
    for command in cli.app.registered_commands:
        assert re.search(rf"Example: .*course {command.name}\b", command.callback.__doc__ or "")
    said = CliRunner().invoke(cli.app, ["export", "--help"], env={"COLUMNS": "200"})
    assert "course export 1 --canvas" in said.output


def test_no_submissions_at_once_is_refused():
    said = CliRunner().invoke(cli.app, ["grade", "--jobs", "0"])
    assert said.exit_code == 1 and str(said.exception).startswith("--jobs 0: at least 1")


def test_what_is_counted_gets_a_line_now_and_then_off_a_terminal():
    out = io.StringIO()
    with Count(Console(file=out, width=200), "pages written", total=5, every=2) as bar:
        for name in "abcde":
            bar.told(name)
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == [
        "2 of 5 pages written",
        "4 of 5 pages written",
    ]


def test_on_a_terminal_what_is_counted_is_a_bar():
    out = io.StringIO()
    with Count(Console(file=out, width=200, force_terminal=True), "files read") as bar:
        bar.told("\x1b[31mx")
    assert "files read" in out.getvalue() and "\x1b[31mx" not in out.getvalue()


@pytest.mark.slow
def test_what_is_not_there_is_said_of_the_lesson_that_was_named(course, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "load_course", lambda **more: replace(course, classroom=tmp_path, **more))
    for words, said in (
        (["grade", "--unsafe"], "there is nothing to grade in"),
        (["grade", "--unsafe", "2"], "there is nothing of lesson 2 to grade in"),
        (
            ["grade", "--unsafe", "1", "2", "--student", "ada"],
            "ada handed in nothing for 01_iterated_convolution, 02_rescue_or_illusion (a student is named by the id",
        ),
        (
            ["collect", "class.csv"],
            "class.csv is a table, and no work to be graded: a class list comes after --roster",
        ),
        (
            ["all", "class.csv"],
            "class.csv is a table, and no work to be graded: a class list comes after --roster",
        ),
        (["collect", "class.csv", "--confirm-zero", "ada:lesson1"], "there is no lesson 'lesson1'"),
        (["export", "1", "--csv"], "--csv writes all there is"),
        (["export", "--csv", "--zeros"], "--csv writes all there is"),
        (["similar"], "there is nothing to compare in"),
        (["similar", "2", "3"], "there is nothing of lesson 2, 3 to compare in"),
        (["feedback", "2"], "to write feedback for (lesson 2): run"),
        (
            ["report", "--to", "x.html"],
            "--to x.html says where the page goes, and none was asked for: add --html",
        ),
    ):
        ran = CliRunner().invoke(cli.app, words)
        assert isinstance(ran.exception, CourseError) and said in str(ran.exception), words
