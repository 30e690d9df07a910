"""The verbs of a class: collect, grade, read, report, hand back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from course.commands.options import (
    Database,
    Jobs,
    Lessons,
    Scheduler,
    Students,
    chosen,
    chosen_backend,
    console,
    of_lessons,
    say,
    show,
    used,
)
from course.config import gradebook_name
from course.model import Course, CourseError
from course.store import Store, write_text

app = typer.Typer()


@app.command("collect")
def collect_command(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="zips, folders or notebooks; left out, what was kept is looked at again"),
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="class list, CSV or .xlsx: id, first_name, last_name, email")
    ] = None,
    student: Annotated[
        str, typer.Option(help="whose work PATHS are, where no name tells; it replaces what came before")
    ] = "",
    lesson: Annotated[str, typer.Option(help="with --student: which lesson")] = "",
    confirm_zero: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDENT:LESSON",
            help="grade an unreadable file all the same: what cannot be read of it is blank",
        ),
    ] = None,
    looked_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDENT:LESSON",
            help="you have looked at what should be looked at: the file counts as it is",
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOWNLOAD",
            help="put aside what was collected by mistake, by its name; or a submitted/STUDENT/LESSON that nothing gives any more; nothing is deleted",
        ),
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
            confirm_zero=[_pair(course, pair) for pair in confirm_zero or ()],
            looked_at=[_pair(course, pair) for pair in looked_at or ()],
            forget=[_folder(course, name) for name in forget or ()],
            zone=course.zone,
            told=bar.told,
        )
        triage.write(classroom)
        withdrawn: dict[tuple[str, str], Path] = {}
        if (classroom / "forgotten").is_dir():
            from course.grading.gradebook import withdraw

            withdrawn = withdraw(course)
    console.print(triage.on_screen())
    if triage.assumes:
        _say_zone(course)
    for name in forget or ():
        say(
            f"{name} was put aside in {classroom / 'forgotten'}"
            + (
                ""
                if "submitted" in Path(name).parts
                else "; collect it again to bring it back (by hand: with --student)"
            )
        )
    _say_withdrawn(withdrawn)
    if Store(classroom).gradebook.is_file():
        from course.grading.gradebook import outgrown

        for changed in outgrown(course):
            say(
                f"{changed.name} has other graded cells than when it was graded: `course amend {changed.number}` before you grade again",
                "yellow",
            )
    say(f"The same as a table: {classroom / 'triage.csv'}, as a page: {classroom / 'triage.html'}")


def _say_withdrawn(withdrawn: Mapping[tuple[str, str], Path]) -> None:
    """Say whose grades were taken back, and how marks given by hand are given again."""
    for (who, what), table in withdrawn.items():
        say(
            f"{who}, {what}: the grade was taken back, and is kept in {table}; marks given by hand are not given again by themselves",
            "yellow",
        )
    if withdrawn:
        say(
            "To give them again: once the work counts again and is graded, `course read` shows what each answer of the same student (under the same id) was given there; the table has the rest, and the comments, for the Formgrader."
        )


def _say_zone(course: Course) -> None:
    """Say which zone is assumed where times name none."""
    ours = f'this machine\'s zone, {datetime.now().astimezone():%Z}: where that is not yours, write zone = "Europe/Berlin" below [tool.course] in pyproject.toml'
    say(f"Times that name no zone were read in {course.zone or ours}")


def _pair(course: Course, pair: str) -> str:
    """A "student:lesson" with the lesson's whole name."""
    student, colon, lesson = pair.rpartition(":")
    return f"{student}:{course.lesson(lesson).name}" if colon and lesson else pair


def _folder(course: Course, name: str) -> str:
    """A `submitted/STUDENT/LESSON` with the lesson's whole name."""
    parts = Path(name).parts
    leftover = len(parts) > 2 and parts[-3] == "submitted"
    return str(Path(*parts[:-1], course.lesson(parts[-1]).name)) if leftover else name


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
    from course.desk.lost import lost
    from course.grading.grade import grade
    from course.grading.gradebook import withdraw
    from course.grading.sandboxes.choose import confinement
    from course.progress import Progress
    from course.reports.ledger import read_ledger

    known, backend = used(ctx, db), chosen_backend(jobs, dask)
    course = replace(known, sandbox="unsafe" if unsafe else known.sandbox, cold=cold, full=full)
    say(f"sandbox: {confinement(course.sandbox)}")
    if (course.classroom / "forgotten").is_dir():
        with Store(course.classroom).writing():
            _say_withdrawn(withdraw(course))
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
    if missing := lost(course):
        say(missing, "yellow")
    if any(result.state == "failed" for result in results):
        say("Nothing was recorded for the submissions that failed; mend the cause and grade again.", "red")
        raise typer.Exit(1)


@app.command("amend")
def amend_command(
    ctx: typer.Context, lesson: Annotated[str, typer.Argument(help="name or number of the changed lesson")]
) -> None:
    """Let the gradebook follow a lesson that was changed in mid-term: what is new is added, marks given by hand stay.

    Example: course build 5 && course amend 5 && course grade 5
    """
    from course.grading.gradebook import amend, back_up, withdraw
    from course.intake import collect

    course: Course = ctx.obj
    which = course.lesson(lesson)
    with Store(course.classroom).writing():
        back_up(course)
        done = amend(course, which)
        triage = collect(
            None, course.root / "notebooks", course.classroom, zone=course.zone
        )  # the new cells come into what was handed in
        triage.write(course.classroom)
        withdraw(course)  # what a disturbed forget left
    for words, names in (("new", done.added), ("gone", done.removed)):
        say(f"{words}: {', '.join(names) or 'nothing'}")
    say(f"`course grade {which.number}` grades again; `course report --html` shows whose points changed.")


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
    from course.desk.lost import lost
    from course.grading.sandboxes.choose import confinement
    from course.progress import Progress
    from course.reports.ledger import read_ledger
    from course.way import way

    course, backend = used(ctx, db), chosen_backend(jobs, dask)
    with Progress(console) as bar:
        went = way(course, paths, roster, backend, bar.told, bar.expected)
    console.print(went.triage.on_screen())
    if went.triage.assumes:
        _say_zone(course)
    say(f"sandbox: {confinement(course.sandbox)}")
    show(read_ledger(course))
    if missing := lost(course):
        say(missing, "yellow")
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
    from course.desk.lost import lost
    from course.desk.server import serve
    from course.grading.gradebook import back_up, is_there, opened

    course = used(ctx, db)
    if missing := lost(course):
        say(missing, "yellow")
    if not is_there(course):
        raise CourseError(f"there is nothing to read in {course.classroom}: run `course grade` first")
    with Store(course.classroom).marking():
        back_up(course)
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
    from course.grading.gradebook import enter_deadlines, is_there
    from course.progress import Count
    from course.reports import feedback, feedback_files
    from course.reports.feedback import place
    from course.reports.ledger import read_ledger

    course = used(ctx, db)
    if printed:
        feedback_files.browser()
    if strange := [name for name in packed or () if name not in feedback_files.PLATFORMS]:
        raise CourseError(
            f"there is no zip for {strange[0]!r}; there are: {', '.join(feedback_files.PLATFORMS)}"
        )
    if not is_there(course):
        raise CourseError(f"there is no gradebook in {course.classroom}: run `course grade` first")
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
        for entry in read_ledger(course).entries if pages else ():
            if entry.outdated and place(course, entry.student, course.lesson(entry.lesson)) in pages:
                say(
                    f"{entry.name}, {entry.lesson}: the page is of an earlier file than the one that counts now: `course grade`, then this again",
                    "yellow",
                )
        for platform in packed or ():
            for lesson in which:
                if any(path.stem == lesson.name for path in pages):
                    target, left = feedback_files.pack(course, lesson, platform, pages)
                    say(f"{target}: upload it to {platform}")
                    if left:
                        say(
                            f"not in it, since nothing that is theirs alone came from {platform}: {', '.join(left)}",
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
    from course.csvfile import read_csv
    from course.reports import report
    from course.reports.ledger import read_ledger

    course = used(ctx, db)
    if to and not html:
        raise CourseError(f"--to {to} says where the page goes, and none was asked for: add --html")
    ledger = read_ledger(course)
    if not ledger.entries:
        collected = course.classroom / "triage.csv"
        raise CourseError(
            f"there is nobody to report on in {gradebook_name(course)}: "
            + (
                f"no file that was collected tells whose it is and of which lesson; {collected.with_suffix('.html')} says what is known of each"
                if collected.is_file() and read_csv(collected)
                else "run `course collect` and `course grade` first"
            )
        )
    show(ledger)
    path = csv or course.classroom / "grades.csv"
    report.write_long(ledger, path)
    say(f"written to {path}")
    if html:
        from course.reports import class_facts, class_page

        target = to or course.classroom / "report.html"
        facts = class_facts.read_class(course, ledger, minutes)
        write_text(target, class_page.page(facts, datetime.now(UTC).astimezone(course.zone)))
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
    from course.deadlines import read_deadlines
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
    if csv and (zeros or partial or scale or column or lessons):
        raise CourseError(
            "--csv writes all there is, each mark with where it stands: lessons, --zeros, --partial, --scale and --column are for a platform's file"
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
    due = read_deadlines(course).lessons
    undue = [] if lessons else [lesson.name for lesson in which if lesson.name not in due]
    rules = exports.Rules(zeros, partial, scale, column, undue)
    content, done = exports.fill(read_spreadsheet(path), target, ledger, people, which, rules)
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
    from course.deadlines import DEADLINES, keep_deadlines, read_deadlines, shown
    from course.grading.gradebook import enter_deadlines
    from course.reports.ledger import read_ledger
    from course.reports.report import whose

    course: Course = ctx.obj
    if table:
        with Store(course.classroom).writing():
            for earlier in keep_deadlines(course, table):
                say(earlier, "yellow")
    deadlines = read_deadlines(course)
    if course.classroom.is_dir():
        with Store(course.classroom).writing():
            enter_deadlines(course)
    if not deadlines.lessons:
        say(
            "No lesson has a deadline: write one beside the lesson in pyproject.toml, or hand a table over by --from."
        )
        return
    known = read_ledger(course).rows()
    names = {student: whose(next(iter(entries.values()))) for student, entries in known.items()}
    for lesson in course.lessons:
        if due := deadlines.lessons.get(lesson.name):
            say(f"{lesson.name}: {shown(due)}")
            for (student, name), own in sorted(deadlines.granted.items()):
                if name == lesson.name:
                    say(f"  {names.get(student, student)}: {shown(own)}")
    if known and (strangers := sorted({student for student, _ in deadlines.granted} - known.keys())):
        who = ", ".join(map(repr, strangers))
        say(
            f"nobody here is called {who}: what is granted there holds for no one; correct {course.classroom / DEADLINES}",
            "yellow",
        )
    say(f"{str(course.late).capitalize()}.")
    if not course.zone:  # else each line says it
        _say_zone(course)
