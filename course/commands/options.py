"""What the commands share: what they print on, the words that may be typed, and what those mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from course.config import database
from course.model import Course, CourseError, Lesson

if TYPE_CHECKING:
    from course.grading.backends import Backend
    from course.reports.ledger import Ledger

console = Console(highlight=False, markup=False)

Lessons = Annotated[list[str] | None, typer.Argument(help="names or numbers of lessons; all if left out")]
Students = Annotated[list[str] | None, typer.Option("--student", help="only this student; may be repeated")]
Jobs = Annotated[
    int | None,
    typer.Option(help="how many submissions are executed at once; if left out, as many as there are cores"),
]
Scheduler = Annotated[
    str,
    typer.Option(
        "--dask", metavar="ADDRESS", help="execute on the workers of this Dask scheduler, tcp://HOST:PORT"
    ),
]
Database = Annotated[
    str,
    typer.Option(
        "--db", metavar="URL", help="the gradebook's PostgreSQL database; its password belongs into ~/.pgpass"
    ),
]


def say(text: str | Text, style: str = "") -> None:
    """Print a line as it is: brackets in it are no markup."""
    console.print(text if isinstance(text, Text) else Text(text, style=style), soft_wrap=True)


def show(ledger: Ledger) -> None:
    """Print where everyone stands: as wide as it has to be where no terminal sets a width."""
    from course.reports import report

    width = console.width if console.is_terminal else 10_000
    if ledger.entries:
        console.print(
            report.on_screen(ledger, width),
            width=width if console.is_terminal else None,
            soft_wrap=not console.is_terminal,
        )


def chosen(course: Course, names: list[str] | None) -> list[Lesson]:
    """The lessons named on the command line, or all that are written."""
    return [course.lesson(name) for name in names] if names else list(course.written)


def of_lessons(course: Course, names: list[str] | None) -> str:
    """The lessons named on the command line, as a part of a sentence; empty where none is."""
    return f" of lesson {', '.join(str(x.number) for x in chosen(course, names))}" if names else ""


def used(ctx: typer.Context, url: str) -> Course:
    """The course, with the gradebook that the command line names."""
    course: Course = ctx.obj
    return replace(course, database=database(url)) if url else course


def chosen_backend(jobs: int | None, address: str) -> Backend:
    """What executes: this machine, or a cluster."""
    from course.grading.backends.dask import Dask
    from course.grading.backends.local import Local

    if not address:
        return Local(jobs)
    if jobs is not None:
        raise CourseError(
            f"--jobs {jobs} is for this machine, and --dask hands the work to others: `dask worker --nthreads {jobs}` says it to a worker"
        )
    return Dask(address, lambda sentence: say(sentence, "yellow"))
