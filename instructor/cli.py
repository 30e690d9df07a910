"""The `course` command: one verb a module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from instructor.collect.command import collect_command
from instructor.course import Course, CourseError, Lesson, load_course

app = typer.Typer(
    help="Build, collect, grade and report: the instructor's side of the course.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)

Lessons = Annotated[list[str] | None, typer.Argument(help="names or numbers of lessons; all if left out")]
Students = Annotated[list[str] | None, typer.Option("--student", help="only this student; may be repeated")]


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
    from instructor import build, overview

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
        over = " [red]over budget[/red]" if built.cpu_seconds > lesson.cpu_seconds else ""
        state = "written" if built.changed else "unchanged"
        console.print(f"{lesson.name}: {state}, {built.cpu_seconds:g} of {lesson.cpu_seconds:g} CPU s{over}")
    readme = course.root / "README.md"
    if not check:
        readme.write_text(overview.with_map(course), encoding="utf-8")
    elif readme.read_text(encoding="utf-8") != overview.with_map(course):
        drifted.append(f"the map in {readme} is out of date")
    for sentence in drifted:
        console.print(f"[red]{sentence}[/red]")
    if drifted:
        console.print("`course build` makes them anew from the texts in solutions/.")
        raise typer.Exit(1)


app.command("collect")(collect_command)


@app.command("grade")
def grade_command(
    lessons: Lessons = None,
    student: Students = None,
    force: Annotated[bool, typer.Option("--force", help="grade again what has not changed, too")] = False,
    jobs: Annotated[int, typer.Option(help="how many submissions are executed at once")] = 2,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="run learners' code without a sandbox: only for code you trust")
    ] = False,
) -> None:
    """Execute the submissions in a sandbox, check them outside of it, and fill the gradebook."""
    from instructor import grade, report
    from instructor.sandbox.choose import SWITCH, UNSAFE, SandboxUnavailable, confinement

    course = load_course()
    if unsafe:
        os.environ[SWITCH] = UNSAFE
    try:
        console.print(f"sandbox: {confinement()}", soft_wrap=True)
    except SandboxUnavailable as error:
        raise CourseError(str(error)) from error
    marks = {"graded": "[green]graded[/green]", "unchanged": "unchanged", "failed": "[red]failed[/red]"}

    def told(result: grade.Graded) -> None:
        console.print(f"{result.student}  {result.lesson}  {marks[result.state]}  {result.reason}".rstrip())

    results = grade.grade(course, chosen(course, lessons), student, force, jobs, told)
    console.print(report.grade_table(grade.scores(course)))
    if any(result.state == "failed" for result in results):
        console.print(
            "[red]Nothing was recorded for the submissions that failed; mend the cause and grade again.[/red]"
        )
        raise typer.Exit(1)


@app.command("feedback")
def feedback_command(lessons: Lessons = None, student: Students = None) -> None:
    """Write one page a graded submission: the work, the scores, the hints."""
    from instructor import feedback

    course = load_course()
    for path in feedback.feedback(course, chosen(course, lessons), student):
        console.print(path, soft_wrap=True)


@app.command("report")
def report_command(
    csv: Annotated[
        Path | None, typer.Option(help="where the CSV goes; grades.csv in the classroom if left out")
    ] = None,
) -> None:
    """Show the grades and write them to a CSV."""
    from instructor import grade, report

    course = load_course()
    console.print(report.grade_table(grade.scores(course)))
    console.print(f"written to {report.export(course, csv)}", soft_wrap=True)


@app.command("replicate")
def replicate_command(
    lessons: Lessons = None,
    sets: Annotated[int, typer.Option(min=1, help="sets of seeds; set k has SEED = 1000 k")] = 20,
    processors: Annotated[
        str, typer.Option(help="all, or names with commas between: plain, avx2, baseline")
    ] = "all",
    first: Annotated[int, typer.Option(min=0, help="number of the first set")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="how many processes run at once")] = 2,
    out: Annotated[
        Path | None, typer.Option(help="where results are kept; build/replicate/results.jsonl if left out")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="write the table to this page too")] = None,
) -> None:
    """Run the lessons' claims with other seeds and as older processors compute."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from instructor import replicate
    from instructor.files import write_text

    course = load_course()
    names = list(replicate.PROCESSORS) if processors == "all" else processors.split(",")
    environments = replicate.processors(names)
    numbers = range(first, first + sets)
    runs = replicate.plan(course, chosen(course, lessons), numbers, environments)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replicating", total=len(runs))

        def told(run: replicate.Run) -> None:
            bar.update(task, advance=1, description=f"{run.lesson}, set {run.number}, {run.processor}")

        kept = out or course.root / "build" / "replicate" / "results.jsonl"
        done = replicate.replicate(course, runs, environments, kept, jobs, told)
    found = replicate.verdicts(done)
    console.print(replicate.table(found, environments))
    for sentence in replicate.failures(done):
        console.print(f"[red]{escape(sentence)}[/red]", soft_wrap=True)
    if markdown:
        write_text(markdown, replicate.markdown(found, environments, numbers))
        console.print(f"written to {markdown}", soft_wrap=True)
    if not replicate.passed(done):
        console.print("[red]A claim has to hold in 19 of 20 sets, on every processor.[/red]")
        raise typer.Exit(1)


@app.command("doctor")
def doctor_command() -> None:
    """Say what is missing on this machine and how to get it."""
    from instructor import doctor

    findings = list(doctor.examine(load_course()))
    table = Table("", "what", "found", "what to do")
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[red]missing[/red]"
        table.add_row(mark, finding.what, finding.found, "" if finding.ok else finding.remedy)
    console.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command; what the instructor can mend is one red sentence, not a traceback."""
    try:
        app()
    except CourseError as error:
        Console(stderr=True, highlight=False).print(f"[red]{error}[/red]")
        raise SystemExit(1) from None
