"""The verbs of the lessons: build them, measure them, publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course.commands.options import (
    Lessons,
    chosen,
    console,
    say,
)
from course.model import Course, CourseError
from course.store import write_text

app = typer.Typer()


@app.command("build")
def build_command(
    ctx: typer.Context,
    lessons: Lessons = None,
    check: Annotated[
        bool, typer.Option("--check", help="only tell whether the generated notebooks are up to date")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="execute even where nothing has changed")] = False,
) -> None:
    """Make both editions of the notebooks from the lessons' texts.

    Example: course build 5
    """
    from course.editions import build, exercises, overview

    course: Course = ctx.obj
    drifted = []
    for lesson in chosen(course, lessons):
        if check:
            found = exercises.drifted(course, lesson) + build.check(course, lesson)
            drifted += found
            say(f"{lesson.name}: {'drifted' if found else 'up to date'}", "red" if found else "")
            continue
        with console.status(f"{lesson.name}: building"):
            exercises.record(course, lesson)
            built = build.build(course, lesson, force=force)
        over = built.cpu_seconds > lesson.cpu_seconds
        state = "written" if built.changed else "unchanged"
        cost = f"{built.cpu_seconds:g} of {lesson.cpu_seconds:g} CPU s{' over budget' if over else ''}"
        say(f"{lesson.name}: {state}, {cost}", "red" if over else "")
    readme = course.root / "README.md"
    if not check:
        readme.write_text(overview.with_map(course), encoding="utf-8")
    elif readme.read_text(encoding="utf-8") != overview.with_map(course):
        drifted.append(f"the map in {readme} is out of date")
    for sentence in drifted:
        say(sentence, "red")
    if drifted:
        say("`course build` makes them anew from the texts in solutions/.")
        raise typer.Exit(1)


@app.command("publish")
def publish_command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="where to: a new folder, or an earlier publication")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="OWNER/NAME[@REF]",
            help="if learners find it under another address than pyproject.toml states; `course collect` then notes their first cells as edited",
        ),
    ] = "",
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="also the data that lets a learner give an exercise up")
    ] = False,
) -> None:
    """Write the student edition as a repository of its own, after a look at whether it gives any solution away.

    Example: course retarget ada/skips-students, course publish ../skips-students
    """
    from course.editions.publish import publish

    course: Course = ctx.obj
    with console.status("publishing") as status:
        done = publish(course, folder, target, stand_ins, lambda lesson: status.update(lesson.name))
    looked = ", ".join(f"{count} {kind}s" for kind, count in done.secrets.items())
    say(f"{done.files} files looked at for {looked}: none of them is there")
    for words, names in (("added", done.added), ("changed", done.changed), ("removed", done.removed)):
        if len(names) < done.files:  # the first time, all are new
            for name in names:
                say(f"  {words}: {name}")
    if done.left_out:
        say(
            f"left out, since they hold solutions: {', '.join(done.left_out)} (--stand-ins takes them along)",
            "yellow",
        )
    for name in done.others:
        say(f"not ours, left as it is: {name}", "yellow")
    say(f"{folder}: {len(done.added)} files added, {len(done.changed)} changed, {len(done.removed)} removed")


@app.command("retarget")
def retarget_command(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="OWNER/NAME[@REF]", help="the repository, and a branch, tag or commit of it"),
    ],
) -> None:
    """Let badges, bootstrap cells and documents name a fork, or one tag for a whole term; nothing is executed.

    Example: course retarget ada/skips@term-2027
    """
    from course.editions.address import retarget

    course: Course = ctx.obj
    with console.status("retargeting") as status:
        changed = retarget(course, target, lambda lesson: status.update(lesson.name))
    for path in changed:
        say(f"  changed: {path.relative_to(course.root)}")
    say(
        f"{len(changed)} files changed. Commit them; a term that is pinned to a tag needs the tag on that commit."
    )


@app.command("site")
def site_command(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="where; build/site in the checkout if left out")
    ] = None,
    with_solutions: Annotated[
        bool, typer.Option("--with-solutions", help="answers and mark schemes, too, folded: not for learners")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="print the whole course as one PDF, too")] = False,
) -> None:
    """Build the website from the notebooks as they are: nothing is executed, and no page asks another server for anything.

    Example: course site --with-solutions build/answers
    """
    from course.site.build import build

    course: Course = ctx.obj
    if pdf and with_solutions:
        raise CourseError("the book is for learners: give --pdf or --with-solutions, not both")
    target = folder or course.root / "build" / "site"
    with console.status("reading the lessons' pages"):
        pages = build(course, target, with_solutions)
    say(f"{len(pages)} pages, all links of which lead somewhere: {target / 'index.html'}")
    if pdf:
        from course.site.book import FILE, print_book

        with console.status("printing"):
            count = print_book(course, target)
        say(f"{count} sheets: {target / FILE}")


@app.command("new-exercise")
def new_exercise_command(
    ctx: typer.Context,
    lesson: Annotated[str, typer.Argument(help="name or number of the lesson")],
    name: Annotated[str, typer.Argument(help="name of the function that learners are to write")],
) -> None:
    """Write the skeleton of an exercise: a section of the lesson's text, and its declaration.

    Example: course new-exercise 5 branch_gain
    """
    from course.editions.skeleton import new_exercise

    course: Course = ctx.obj
    for place in new_exercise(course, course.lesson(lesson), name):
        say(place)
    say(
        f"Fill in what says TODO, then `course build {course.lesson(lesson).number}`; it says what is still missing."
    )


@app.command("mutate")
def mutate_command(
    ctx: typer.Context,
    lessons: Lessons = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="fresh draws of the hidden cases for every right answer")
    ] = 200,
) -> None:
    """Measure the checks: every declared answer, every small change to a solution, and fresh hidden cases.

    Example: course mutate 5 --seeds 50
    """
    from course.editions import mutation

    course: Course = ctx.obj
    found = []
    for lesson in chosen(course, lessons):
        for score in mutation.scores(course, lesson, seeds):
            found.append(score)
            say(f"{lesson.name} {score.exercise}: {score.mutants} mutants, {len(score.survivors)} unnoticed")
    console.print(mutation.table(found))
    problems = [problem for score in found for problem in score.problems]
    for sentence in problems:
        say(sentence, "red")
    if problems:
        raise typer.Exit(1)


@app.command("replicate")
def replicate_command(
    ctx: typer.Context,
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
    markdown: Annotated[
        Path | None, typer.Option(help="write the tables of these lessons into this page too")
    ] = None,
) -> None:
    """Run the lessons' claims with other seeds and as older processors compute.

    Example: course replicate 8 --sets 3 --processors plain,baseline
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from course.editions import replicate

    course: Course = ctx.obj
    names = list(replicate.PROCESSORS) if processors == "all" else processors.split(",")
    environments = replicate.processors(names)
    numbers = range(first, first + sets)
    runs = replicate.plan(course, chosen(course, lessons), numbers, environments)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replicating", total=len(runs))

        def ended(run: replicate.Run) -> None:
            bar.update(task, advance=1, description=f"{run.lesson}, set {run.number}, {run.processor}")

        kept = out or course.root / "build" / "replicate" / "results.jsonl"
        done = replicate.replicate(course, runs, environments, kept, jobs, ended)
    found = replicate.standings(done)
    console.print(replicate.table(found, environments))
    for sentence in replicate.failures(done):
        say(sentence, "red")
    if markdown:
        before = markdown.read_text(encoding="utf-8") if markdown.is_file() else ""
        write_text(markdown, replicate.markdown(done, environments, before))
        say(f"written to {markdown}")
    if not replicate.passed(done):
        say("A claim has to hold in 19 of 20 sets, on every processor.", "red")
        raise typer.Exit(1)
