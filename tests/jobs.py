"""Jobs as tests need them: notebooks in, an executed notebook and what each check said out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nbformat
from nbformat import NotebookNode

from course.grading.execute import run
from course.grading.job import checker_version
from course.grading.sandboxes.choose import confinement
from course.grading.slice import spared
from course.model import Job, Limits, Outcome, Submission
from course.store import notebook_text

# Nothing of one notebook is left to the next one in the same kernel; what is imported stays imported, but for the checks: a lesson's
# tell the kernel which answers its cells wait for when they are imported.
EMPTIED = """%reset -f
for _name in [_name for _name in __import__("sys").modules if _name.startswith("helpers.checks")]:
    del __import__("sys").modules[_name]
assert {name for name in globals() if name[0] != "_"} <= {"In", "Out", "exit", "get_ipython", "open", "quit"}
"""


@dataclass(frozen=True)
class Ran:
    """An outcome with its notebook read, and `told`: grade_id -> "passed" or the hint."""

    outcome: Outcome
    notebook: NotebookNode
    told: dict[str, str]


def job_of(
    notebook: NotebookNode,
    key: NotebookNode,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    files: tuple[tuple[str, bytes], ...] = (),
) -> Job:
    """A job on this machine's best sandbox, its kernel forked from a template."""
    submission = Submission("somebody", "some_lesson", notebook_text(notebook).encode())
    return Job(
        submission, notebook_text(key).encode(), files, limits, confinement(warm=True), checker_version()
    )


def sliced(job: Job) -> Job:
    """The same without the cells that its grade does not depend on."""
    return replace(job, spared=spared(job.key, job.submission.notebook))


def told(outcome: Outcome) -> dict[str, str]:
    """grade_id -> "passed" or the hint."""
    assert not outcome.machine_fault, outcome.machine_fault
    return {name: "passed" if v.passed else v.hint for name, v in outcome.verdicts.items()}


def ran(notebook: NotebookNode, key: NotebookNode, *more) -> Ran:
    """Execute all cells; the arguments are those of `job_of`."""
    return _ran(job_of(notebook, key, *more))


def graded(notebook: NotebookNode, key: NotebookNode, *more) -> Ran:
    """Execute as `course grade` does: what the grade depends on, and everything before a point is lost."""
    return _ran(sliced(job_of(notebook, key, *more)))


def _ran(job: Job) -> Ran:
    outcome = run(job)
    return Ran(outcome, nbformat.reads(outcome.notebook.decode(), as_version=4), told(outcome))
