"""The map of the course in README.md: a generated table between two marks."""

from __future__ import annotations

from course.editions.build import cpu_seconds
from course.editions.source import minutes, points, read_lesson
from course.model import Course, CourseError

BEGIN, END = "<!-- map: course build writes this table -->", "<!-- end of map -->"


def table(course: Course) -> str:
    """The written lessons as a markdown table: title, minutes, CPU seconds, points, badge."""
    rows = ["| | lesson | minutes | CPU s | points | open |", "|---|---|---|---|---|---|"]
    for lesson in course.written:
        path = course.release(lesson).relative_to(course.root).as_posix()
        notebook = read_lesson(course, lesson)
        rows.append(
            f"| {lesson.number} | [{lesson.title}]({path}) | {minutes(notebook)} "
            f"| {cpu_seconds(course, lesson):g} | {points(notebook):g} | {course.badge(lesson)} |"
        )
    return "\n".join(rows)


def with_map(course: Course, text: str | None = None) -> str:
    """README.md with the table brought up to date.

    Args:
        course: the checkout.
        text: of README.md; what is on disk if left out.

    Returns:
        The text.

    Raises:
        CourseError: if README.md has lost one of the marks.
    """
    path = course.root / "README.md"
    before, begin, rest = (path.read_text(encoding="utf-8") if text is None else text).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise CourseError(f"{path} has lost {BEGIN!r} or {END!r}: put both back where the map belongs")
    return f"{before}{BEGIN}\n{table(course)}\n{END}{after}"
