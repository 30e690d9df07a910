"""The `course` command: one verb a module."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from instructor.course import Course, CourseError, Lesson, load_course

app = typer.Typer(
    help="Build, collect, grade and report: the instructor's side of the course.", no_args_is_help=True
)
console = Console()

Lessons = Annotated[list[str] | None, typer.Argument(help="names or numbers of lessons; all if left out")]


def chosen(course: Course, names: list[str] | None) -> list[Lesson]:
    """The lessons named on the command line, or all that are written."""
    return [course.lesson(name) for name in names] if names else list(course.written)


@app.command("build")
def build_command(
    lessons: Lessons = None,
    check: Annotated[
        bool, typer.Option("--check", help="only tell whether the generated notebooks are up to date")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="execute even where nothing has changed")] = False,
) -> None:
    """Make both editions of the notebooks from the lessons' texts."""
    from instructor import build

    course = load_course()
    drifted = []
    for lesson in chosen(course, lessons):
        if check:
            found = build.check(course, lesson)
            drifted += found
            console.print(f"{lesson.name}: {'up to date' if not found else '[red]drifted[/red]'}")
            continue
        with console.status(f"{lesson.name}: building"):
            built = build.build(course, lesson, force=force)
        over = built.cpu_seconds > lesson.cpu_seconds
        console.print(
            f"{lesson.name}: {'written' if built.changed else 'unchanged'}, {built.cpu_seconds:g} of {lesson.cpu_seconds:g} CPU s"
            + (" [red]over budget[/red]" if over else "")
        )
    for sentence in drifted:
        console.print(f"[red]{sentence}[/red]")
    if drifted:
        console.print("`course build` makes them anew from the texts in solutions/.")
        raise typer.Exit(1)


def main() -> None:
    """Run the command; what the instructor can mend is one red sentence, not a traceback."""
    try:
        app()
    except CourseError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise SystemExit(1) from None
