"""The `course` command."""

from __future__ import annotations

import errno
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from course.commands import classes, lessons
from course.commands.options import console, say
from course.config import load_course
from course.model import CourseError
from course.store import LOG, Store

app = typer.Typer(
    help="Build, collect, grade and report: the instructor's side of the course.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.registered_commands += [*lessons.app.registered_commands, *classes.app.registered_commands]


@app.callback()
def start(
    ctx: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the log on the screen, too")] = False,
) -> None:
    """Build, collect, grade and report: the instructor's side of the course."""
    course = ctx.obj = load_course()
    if course.classroom.is_dir():
        Store(course.classroom).log(verbose)


@app.command("doctor")
def doctor_command(ctx: typer.Context) -> None:
    """Say what is missing on this machine and how to get it.

    Example: course doctor
    """
    from course import doctor

    findings = list(doctor.examine(ctx.obj))
    table = Table("", "what", "found", "what to do")
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("missing", "red")
        table.add_row(mark, *map(Text, (finding.what, finding.found, "" if finding.ok else finding.remedy)))
    console.print(table)
    if missing := [finding.what for finding in findings if not finding.ok]:
        say(f"to be mended: {', '.join(missing)}", "red")
        raise typer.Exit(1)
    say("Nothing is missing.")


def main() -> None:
    """Run the command; what the instructor can mend is one red sentence, not a traceback."""
    try:
        app()
    except CourseError as error:
        fail(str(error))
    except OSError as error:
        fail(of_the_machine(error))


def of_the_machine(error: OSError) -> str:
    """Say what this machine refused, and the way out."""
    where = f" ({error.filename})" if error.filename else ""
    remedies = {
        errno.ENOSPC: "the disk is full: make room and run the same command again; nothing is lost",
        errno.EDQUOT: "your share of the disk is full: make room and run the same command again; nothing is lost",
        errno.EACCES: "it may not be read or written: change its permissions, or name another classroom by COURSE_CLASSROOM",
        errno.EPERM: "it may not be read or written: change its permissions, or name another classroom by COURSE_CLASSROOM",
        errno.EROFS: "it lies on a disk that is read-only: name another classroom by COURSE_CLASSROOM",
    }
    return f"{error.strerror or error}{where}: " + remedies.get(
        error.errno or 0, "mend that, then run the same command again"
    )


def fail(sentence: str) -> NoReturn:
    """End with one red sentence."""
    LOG.error(sentence)
    Console(stderr=True, highlight=False, markup=False).print(Text(sentence, style="red"), soft_wrap=True)
    raise SystemExit(1) from None
