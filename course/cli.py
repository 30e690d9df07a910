"""The `course` command: one verb a module."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from course.config import database, gradebook_name, load_course
from course.model import Course, CourseError, Lesson
from course.store import LOG, Store, write_text

if TYPE_CHECKING:
    from course.grading.backends import Backend
    from course.reports.ledger import Ledger

app = typer.Typer(
    help="Build, collect, grade and report: the instructor's side of the course.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, markup=False)


def say(text: str | Text, style: str = "") -> None:
    """Print a line as it is: brackets in it are no markup."""
    console.print(text if isinstance(text, Text) else Text(text, style=style), soft_wrap=True)


@app.callback()
def start(
    ctx: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the log on the screen, too")] = False,
) -> None:
    """Build, collect, grade and report: the instructor's side of the course."""
    course = ctx.obj = load_course()
    if course.classroom.is_dir():
        Store(course.classroom).log(verbose)


Lessons = Annotated[list[str] | None, typer.Argument(help="names or numbers of lessons; all if left out")]
Students = Annotated[list[str] | None, typer.Option("--student", help="only this student; may be repeated")]
Jobs = Annotated[
    int | None, typer.Option(help="how many submissions are executed at once; one a core if left out")
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


@app.command("collect")
def collect_command(
    ctx: typer.Context,
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
    """Take in what students handed in: repair it, say what became of every file, place it for grading.

    Example: course collect ~/Downloads/assignment.zip --roster class.csv
    """
    from course.intake import collect
    from course.progress import Count

    course: Course = ctx.obj
    classroom = course.classroom
    named = course.lesson(lesson).name if lesson else ""
    with Store(classroom).writing(), Count(console, "files read") as bar:
        triage = collect(
            paths,
            course.root / "notebooks",
            classroom,
            roster,
            student=student,
            lesson=named,
            confirm_zero=confirm_zero or (),
            forget=forget or (),
            told=bar.told,
        )
        triage.write(classroom)
    console.print(triage.on_screen())
    for name in forget or ():
        say(f"{name} was put aside in {classroom / 'forgotten'}; collect it again to bring it back")
    if (classroom / "gradebook.db").is_file():
        from course.grading.gradebook import outgrown

        for changed in outgrown(course):
            say(
                f"{changed.name} has other graded cells than when it was graded: `course amend {changed.number}` before you grade again",
                "yellow",
            )
    say(f"The same as a table: {classroom / 'triage.csv'}, as a page: {classroom / 'triage.html'}")


@app.command("grade")
def grade_command(
    ctx: typer.Context,
    lessons: Lessons = None,
    student: Students = None,
    force: Annotated[bool, typer.Option("--force", help="grade again what has not changed, too")] = False,
    jobs: Jobs = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="run learners' code without a sandbox: only for code you trust")
    ] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="start every kernel by itself instead of from a warm template")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="run every cell, also those that no check depends on")
    ] = False,
    dask: Scheduler = "",
    db: Database = "",
) -> None:
    """Execute the submissions in a sandbox, check them outside of it, and fill the gradebook.

    Example: course grade 1 5 --jobs 4
    """
    from course.grading.grade import grade
    from course.grading.sandboxes.choose import confinement
    from course.progress import Progress
    from course.reports.ledger import read_ledger

    known, backend = used(ctx, db), chosen_backend(jobs, dask)
    course = replace(known, sandbox="unsafe" if unsafe else known.sandbox, cold=cold, full=full)
    say(f"sandbox: {confinement(course.sandbox)}")
    try:
        with Progress(console) as bar:
            results = grade(course, chosen(course, lessons), student, force, backend, bar.told, bar.expected)
    except KeyboardInterrupt:
        say(
            "Stopped. What is listed as graded is recorded; the same command goes on with the rest.", "yellow"
        )
        raise typer.Exit(130) from None
    if not results:
        raise CourseError(
            f"there is nothing{of_lessons(course, lessons)} to grade in {course.classroom}: run `course collect`, which says what became of every file"
        )
    show(read_ledger(course))
    if any(result.state == "failed" for result in results):
        say("Nothing was recorded for the submissions that failed; mend the cause and grade again.", "red")
        raise typer.Exit(1)


@app.command("amend")
def amend_command(
    ctx: typer.Context, lesson: Annotated[str, typer.Argument(help="name or number of the changed lesson")]
) -> None:
    """Let the gradebook follow a lesson that was changed in mid-term: what is new is added, marks given by hand stay.

    Example: course build 5, course amend 5, course grade 5
    """
    from course.grading.gradebook import amend
    from course.intake import collect

    course: Course = ctx.obj
    which = course.lesson(lesson)
    store = Store(course.classroom)
    with store.writing():
        if not course.database:
            store.back_up()
        done = amend(course, which)
        triage = collect(
            None, course.root / "notebooks", course.classroom
        )  # the new cells come into what was handed in
        triage.write(course.classroom)
    for words, names in (("new", done.added), ("gone", done.removed)):
        say(f"{words}: {', '.join(names) or 'nothing'}")
    say(
        f"The gradebook was backed up first. `course grade {which.number}` grades again; `course report --html` shows whose points changed."
    )


@app.command("all")
def all_command(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="zips, folders or notebooks")],
    roster: Annotated[Path | None, typer.Option(help="class list: CSV or Excel")] = None,
    jobs: Jobs = None,
    dask: Scheduler = "",
    db: Database = "",
) -> None:
    """Collect, grade and write the feedback in one go: what arrived on Monday morning.

    Example: course all ~/Downloads/assignment.zip --roster class.csv
    """
    from course.grading.sandboxes.choose import confinement
    from course.progress import Progress
    from course.reports.ledger import read_ledger
    from course.way import way

    course, backend = used(ctx, db), chosen_backend(jobs, dask)
    with Progress(console) as bar:
        went = way(course, paths, roster, backend, bar.told, bar.expected)
    console.print(went.triage.on_screen())
    say(f"sandbox: {confinement(course.sandbox)}")
    show(read_ledger(course))
    say(f"{len(went.pages)} pages of feedback in {course.classroom / 'feedback'}")
    if any(result.state == "failed" for result in went.results):
        raise typer.Exit(1)


@app.command("read")
def read_command(
    ctx: typer.Context,
    lesson: Annotated[str | None, typer.Argument(help="name or number of the lesson to begin with")] = None,
    question: Annotated[str | None, typer.Argument(help="name of its open question")] = None,
    reader: Annotated[
        str,
        typer.Option("--as", metavar="NAME", help="under which your marks are kept; your login if left out"),
    ] = "",
    share: Annotated[
        str,
        typer.Option(
            help="waiting: what nobody has marked; all: everything, for a second reading; 1/2 or 2/2: a half"
        ),
    ] = "waiting",
    port: Annotated[int, typer.Option(min=0, max=65535, help="on which to listen; 0 for any")] = 0,
    browse: Annotated[bool, typer.Option("--open", help="open the page in this machine's browser")] = False,
    db: Database = "",
) -> None:
    """Read the open questions in a browser: one answer at a time, marked by a key, into nbgrader's gradebook.

    Example: course read 5
    """
    import asyncio
    import getpass
    import webbrowser

    from course.desk.desk import Desk
    from course.desk.server import serve
    from course.grading.gradebook import opened

    course = used(ctx, db)
    store = Store(course.classroom)
    if not (course.database or store.gradebook.is_file()):
        raise CourseError(f"there is nothing to read in {course.classroom}: run `course grade` first")
    if not course.database:
        with store.marking():
            store.back_up()
    with opened(course) as gradebook:
        desk = Desk(course, gradebook, reader or getpass.getuser(), share)
        first = desk.first(course.lesson(lesson).name if lesson else None, question)

        def ready(address: str) -> None:
            say(f"{desk.reader} reads {desk.means}: open\n\n  {address}\n")
            say("Marks are written as you give them. Ctrl-C ends it.")
            if browse:
                webbrowser.open(address)

        asyncio.run(serve(desk, port, first, ready))
        left = sum(row["of"] - row["read"] for row in desk.overview())
    say(f"Ended. {left} answers are still to be read." if left else "Ended. Every answer is read.")


@app.command("feedback")
def feedback_command(
    ctx: typer.Context,
    lessons: Lessons = None,
    student: Students = None,
    packed: Annotated[
        list[str] | None,
        typer.Option("--zip", metavar="moodle|canvas", help="also a zip a lesson, to be uploaded there"),
    ] = None,
    printed: Annotated[bool, typer.Option("--print", help="also a PDF beside each page")] = False,
    db: Database = "",
) -> None:
    """Write one page a submission: the work, the scores, the hints; and one for who has no grade.

    Example: course feedback 5 --student ada
    """
    from course.grading.gradebook import enter_deadlines
    from course.progress import Count
    from course.reports import feedback, feedback_files

    course = used(ctx, db)
    if printed:
        feedback_files.browser()
    if strange := [name for name in packed or () if name not in feedback_files.PLATFORMS]:
        raise CourseError(
            f"there is no zip for {strange[0]!r}; there are: {', '.join(feedback_files.PLATFORMS)}"
        )
    with Store(course.classroom).writing():
        enter_deadlines(course)
        pages = []
        which = chosen(course, lessons)
        found = [path for x in which for path in course.classroom.glob(f"autograded/*/{x.name}")]
        total = sum(student is None or path.parent.name in student for path in found)
        with Count(console, "pages written", total) as bar:
            for path in feedback.feedback(course, which, student):
                pages.append(path)
                bar.told(path.parent.parent.name)
                if not console.is_terminal:
                    say(str(path))
        if console.is_terminal:
            say(f"{len(pages)} pages in {course.classroom / 'feedback'}")
        if printed:
            for path in feedback_files.print_pages(pages):
                say(str(path))
        for platform in packed or ():
            for lesson in which:
                if any(path.stem == lesson.name for path in pages):
                    target, left = feedback_files.pack(course, lesson, platform)
                    say(f"{target}: upload it to {platform}")
                    if left:
                        say(
                            f"not in it, since nothing of theirs came from {platform}: {', '.join(left)}",
                            "yellow",
                        )


@app.command("report")
def report_command(
    ctx: typer.Context,
    csv: Annotated[
        Path | None, typer.Option(help="where the CSV goes; grades.csv in the classroom if left out")
    ] = None,
    db: Database = "",
    html: Annotated[
        bool, typer.Option("--html", help="write the class report, too: a page with plots")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="with --html: where it goes; report.html in the classroom if left out")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="with --html: assumed for reading one answer")] = 2.0,
) -> None:
    """Show where everyone stands, in every lesson, and write it to a CSV; with --html a page for the whole class.

    Example: course report --html
    """
    from course.reports import report
    from course.reports.ledger import read_ledger

    course = used(ctx, db)
    ledger = read_ledger(course)
    if not ledger.entries:
        raise CourseError(
            f"there is nobody to report on in {gradebook_name(course)}: run `course collect` and `course grade` first"
        )
    show(ledger)
    path = csv or course.classroom / "grades.csv"
    report.write_long(ledger, path)
    say(f"written to {path}")
    if html:
        from course.reports import class_facts, class_page

        target = to or course.classroom / "report.html"
        facts = class_facts.read_class(course, ledger, minutes)
        write_text(target, class_page.page(facts, datetime.now().astimezone()))
        say(f"written to {target}")


@app.command("export")
def export_command(
    ctx: typer.Context,
    lessons: Lessons = None,
    canvas: Annotated[Path | None, typer.Option(help="the gradebook as Canvas exported it")] = None,
    moodle: Annotated[
        Path | None, typer.Option(help="Moodle's grade export or an assignment's grading worksheet")
    ] = None,
    blackboard: Annotated[Path | None, typer.Option(help="the Grade Center as downloaded")] = None,
    brightspace: Annotated[Path | None, typer.Option(help="the grades as Brightspace exported them")] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="a table of our own: one line a student and lesson")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="with --csv: one line a student")] = False,
    column: Annotated[
        str, typer.Option(help="heading of the column, where the lesson's name does not tell")
    ] = "",
    zeros: Annotated[bool, typer.Option("--zeros", help="who handed in nothing gets a zero")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="also marks in which answers have still to be read")
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="convert, where the column is worth other points than the lesson")
    ] = False,
) -> None:
    """Write the marks into a platform's own gradebook file, beside the one that came; only marks change in it.

    Example: course export 1 --canvas ~/Downloads/grades.csv
    """
    from course.intake.roster import read_roster
    from course.reports import exports, report
    from course.reports.exports import platforms
    from course.reports.exports.spreadsheet import read_spreadsheet
    from course.reports.ledger import read_ledger
    from course.store import write_bytes

    course: Course = ctx.obj
    ways = {
        platforms.CANVAS: canvas,
        platforms.MOODLE: moodle,
        platforms.BLACKBOARD: blackboard,
        platforms.BRIGHTSPACE: brightspace,
    }
    given = {target: path for target, path in ways.items() if path}
    if len(given) + csv != 1:
        raise CourseError(
            "name one of --canvas FILE, --moodle FILE, --blackboard FILE, --brightspace FILE, --csv"
        )
    ledger = read_ledger(course)
    if not ledger.entries:
        raise CourseError(
            f"there are no marks in {course.classroom}: run `course collect` and `course grade` first"
        )
    if csv:
        path = course.classroom / ("marks-wide.csv" if wide else "marks.csv")
        (report.write_wide if wide else report.write_long)(ledger, path)
        say(f"written to {path}")
        return
    ((target, path),) = given.items()
    kept = course.classroom / "roster.csv"
    people = read_roster(kept if kept.is_file() else None).people
    which = chosen(course, lessons) if lessons else list(ledger.lessons)
    content, done = exports.fill(
        read_spreadsheet(path), target, ledger, people, which, exports.Rules(zeros, partial, scale, column)
    )
    for filled in done:
        for line in filled.lines():
            say(line)
    for name in sorted({x.name for x in which} - {filled.lesson.name for filled in done}):
        say(f"{name}: no column of its own in the file", "yellow")
    write_bytes(exports.beside(path), content)
    say(f"written to {exports.beside(path)}; {path} is as it was")


@app.command("similar")
def similar_command(ctx: typer.Context, lessons: Lessons = None) -> None:
    """List answers that are alike once names and layout are taken out: for a person to read, never a mark.

    Example: course similar 5
    """
    from course.reports import similar
    from course.reports.ledger import read_ledger

    course: Course = ctx.obj
    ledger = read_ledger(course)
    which = chosen(course, lessons) if lessons else list(ledger.lessons)
    if not any(entry.lesson in {lesson.name for lesson in which} for entry in ledger.entries):
        raise CourseError(
            f"there is nothing{of_lessons(course, lessons)} to compare in {course.classroom}: run `course collect` first"
        )
    found = [(lesson, similar.similar(course, lesson)) for lesson in which]
    for lesson, pairs in found:
        for pair in pairs:
            say(similar.line(lesson, pair, ledger))
    target = course.classroom / "similar.html"
    write_text(target, similar.page(found, ledger))
    total = sum(len(pairs) for _, pairs in found)
    say(
        f"{total} pair{'' if total == 1 else 's'}, side by side in {target}. Read them: being alike is no verdict, and changes no mark."
    )


@app.command("deadlines")
def deadlines_command(
    ctx: typer.Context,
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="CSV or .xlsx with student, lesson, deadline (no student: everybody); kept from now on",
        ),
    ] = None,
) -> None:
    """Show when lessons are due, and for whom later; the gradebook is told.

    Example: course deadlines --from extensions.csv
    """
    from course.deadlines import DEADLINES, read_deadlines, shown
    from course.grading.gradebook import enter_deadlines
    from course.reports.ledger import read_ledger

    course: Course = ctx.obj
    if table:
        read_deadlines(course, table)  # what cannot be read is not kept
        with Store(course.classroom).writing():
            shutil.copyfile(table, course.classroom / DEADLINES)
    deadlines = read_deadlines(course)
    if course.classroom.is_dir():
        with Store(course.classroom).writing():
            enter_deadlines(course)
    if not deadlines.lessons:
        say(
            "No lesson has a deadline: write one beside the lesson in pyproject.toml, or hand a table over by --from."
        )
        return
    for lesson in course.lessons:
        if due := deadlines.lessons.get(lesson.name):
            say(f"{lesson.name}: {shown(due)}")
            for (student, name), own in sorted(deadlines.granted.items()):
                if name == lesson.name:
                    say(f"  {student}: {shown(own)}")
    known = read_ledger(course).rows()
    if known and (strangers := sorted({student for student, _ in deadlines.granted} - known.keys())):
        say(f"nobody here is called {', '.join(strangers)}: what is granted there holds for no one", "yellow")
    say(f"{str(course.late).capitalize()}.")


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
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


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
