"""The verb `course collect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from course.config import load_course
from course.store import Store


def collect_command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="zips, folders or notebooks; none looks again at what was kept"),
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="class list, CSV or .xlsx: id, first_name, last_name, email")
    ] = None,
    student: Annotated[
        str, typer.Option(help="whose work PATHS are, where no name tells; it replaces what came before")
    ] = "",
    lesson: Annotated[str, typer.Option(help="with --student: which lesson")] = "",
    confirm_zero: Annotated[
        list[str] | None, typer.Option(metavar="STUDENT:LESSON", help="grade an unreadable file as blank")
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(metavar="DOWNLOAD", help="put aside what was collected by mistake; nothing is deleted"),
    ] = None,
) -> None:
    """Take in what students handed in: repair it, say what became of every file, place it for grading."""
    from course.intake import collect

    course, console = load_course(), Console(highlight=False, markup=False)
    classroom = course.classroom
    named = course.lesson(lesson).name if lesson else ""
    with Store(classroom).writing(), console.status("reading what was handed in"):
        triage = collect(
            paths,
            course.root / "notebooks",
            classroom,
            roster,
            student=student,
            lesson=named,
            confirm_zero=confirm_zero or (),
            forget=forget or (),
        )
        triage.write(classroom)
    console.print(triage.on_screen())
    for name in forget or ():
        console.print(
            Text(f"{name} was put aside in {classroom / 'forgotten'}; collect it again to bring it back")
        )
    console.print(
        Text(f"The same as a table: {classroom / 'triage.csv'}, as a page: {classroom / 'triage.html'}"),
        soft_wrap=True,
    )
