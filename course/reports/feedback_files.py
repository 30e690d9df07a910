"""Feedback pages as files for other places: a zip that a platform hands out to the students, and PDFs for paper."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from course.intake.archive import is_by_hand
from course.intake.triage import OLDER
from course.model import Course, CourseError, Lesson
from course.reports.feedback import all_triage_rows, triage_rows

# Moodle looks for `name_number_plugintype_plugin`, and gives what follows it to the student of that number; with or without
# a folder (assignfeedback_file_zip_importer::is_valid_filename_for_import).
_MOODLE = re.compile(r"[^_]+_\d+_assignsubmission_[a-z]+_?")
# Canvas takes the first two numbers between underscores for the student's and the upload's, and leaves everything else alone
# (Assignment#infer_comment_context_from_filename).
_CANVAS = re.compile(r"[^_]+(?:_LATE)?_\d+_\d+_.+")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PRINTING = 120.0  # seconds for a page


def moodle_name(file: str, lesson: str) -> str:
    """Name a page as Moodle's "Upload multiple feedback files in a zip" wants it: in the folder of the downloaded submission.

    Args:
        file: the path of the submission in the download.
        lesson: name of the lesson.

    Returns:
        A path for the zip; empty if the path is none of Moodle's.
    """
    for part in _parts(file):
        if found := _MOODLE.match(part):
            return f"{found[0]}/{lesson}_feedback.html"
    return ""


def canvas_name(file: str, lesson: str) -> str:
    """Name a page as Canvas's "Upload Submissions" wants it: as the downloaded file, but for its ending.

    Args:
        file: the path of the submission in the download.
        lesson: name of the lesson.

    Returns:
        A name for the zip; empty if the path is none of Canvas's.
    """
    for part in _parts(file):
        if _CANVAS.fullmatch(part):
            return f"{PurePosixPath(part).stem}.html"
    return ""


def _parts(file: str) -> tuple[str, ...]:
    """The names in which a platform may have said whose a file is: as in collecting, a download's own is none, unless it is all there is."""
    parts = PurePosixPath(file).parts
    return parts[1:] or parts


PLATFORMS: dict[str, Callable[[str, str], str]] = {"moodle": moodle_name, "canvas": canvas_name}


def pack(course: Course, lesson: Lesson, platform: str, pages: Iterable[Path]) -> tuple[Path, list[str]]:
    """Put a lesson's pages into a zip to be uploaded.

    What else lies in `feedback/` stays out: it may say what was true in an earlier week, of a file that has come since, say.

    Args:
        course: the checkout.
        lesson: which.
        platform: one of `PLATFORMS`.
        pages: that were written now; those of other lessons are left alone.

    Returns:
        The zip, `feedback-<lesson>-<platform>.zip` in the classroom, and whose page is not in it, since nothing came by that
        platform from them, or from them alone.

    Raises:
        CourseError: for a platform that there is not, or if no page can be named.
    """
    if platform not in PLATFORMS:
        raise CourseError(f"there is no zip for {platform!r}; there are: {', '.join(PLATFORMS)}")
    files: dict[str, str] = {}
    downloads = course.classroom / "downloaded"
    of = _lessons_of_downloads(all_triage_rows(course))
    rows = [
        row for row in triage_rows(course, lesson) if row["lesson"] or of.get(_download(row)) == lesson.name
    ]
    for row in sorted(rows, key=lambda row: bool(row["lesson"])):  # what is of a known lesson last: it counts
        name = PLATFORMS[platform](row["file"], lesson.name)
        if (
            name
            and not is_by_hand(row["file"], downloads)  # its name may be that of another's upload
            and (row["status"] != OLDER or row["student"] not in files)
        ):
            files[row["student"]] = name
    written = {path.parent.parent.name: path for path in pages if path.stem == lesson.name}
    uses = Counter(files.values())  # a group's upload: the platform would give one member's page to another
    named = {student: files[student] for student in written if student in files and uses[files[student]] == 1}
    if not named:
        raise CourseError(
            f"no page of {lesson.name} can go to {platform}: its zip names pages as the download of the submissions does, and "
            f"none of what was collected came from there. Collect the zip that {platform} gave, as it came"
        )
    target = course.classroom / f"feedback-{lesson.name}-{platform}.zip"
    handle, fresh = tempfile.mkstemp(prefix=".feedback-", suffix=".tmp", dir=course.classroom)
    os.close(handle)
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            for student, name in sorted(named.items()):
                archive.write(written[student], name)
        os.chmod(fresh, 0o644)
        os.replace(fresh, target)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    return target, sorted(set(written) - set(named))


def _lessons_of_downloads(rows: Iterable[dict[str, str]]) -> dict[str, str]:
    """The lesson of most files of each download: a picture beside them tells none, and is handed in for that."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        if row["lesson"] and row["file"]:
            counts.setdefault(_download(row), Counter())[row["lesson"]] += 1
    return {download: count.most_common(1)[0][0] for download, count in counts.items()}


def _download(row: dict[str, str]) -> str:
    """The name of the download in which a file came."""
    return row["file"].partition("/")[0]


def browser() -> str:
    """Find a browser that prints.

    Raises:
        CourseError: if there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise CourseError(
            "no Chromium is installed, so no PDF can be made: install `chromium`, or open the pages in any browser and print them there"
        )
    return found


def print_pages(pages: Iterable[Path]) -> Iterator[Path]:
    """Print pages with Chromium, each to a PDF beside it.

    Args:
        pages: HTML files.

    Yields:
        Each PDF as it is made.

    Raises:
        CourseError: if there is no browser, or it prints nothing.
    """
    command = [
        *(browser(), "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--no-pdf-header-footer"),
        # As root its sandbox does not start; the page holds no script and loads nothing.
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
    with tempfile.TemporaryDirectory(prefix="course-print-", ignore_cleanup_errors=True) as profile:
        for page in pages:
            target = page.with_suffix(".pdf")
            fresh = Path(profile) / "page.pdf"
            fresh.unlink(missing_ok=True)
            words = [f"--user-data-dir={profile}/profile", f"--print-to-pdf={fresh}", page.resolve().as_uri()]
            try:
                run = subprocess.run(
                    [*command, *words], capture_output=True, text=True, errors="replace", timeout=PRINTING
                )
                said = run.stderr.strip().splitlines()
            except subprocess.TimeoutExpired:
                said = [f"it took more than {PRINTING:g} seconds"]
            if not fresh.is_file():
                raise CourseError(
                    f"{page} could not be printed: {command[0]} says {(said or ['nothing'])[-1]}; open the page in a browser and print it there"
                )
            shutil.copyfile(fresh, target)
            yield target
