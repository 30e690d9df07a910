"""Zips as Moodle, Canvas, Blackboard, Gradescope, Drive and nbgrader hand them out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

NOON = (2026, 3, 1, 12, 0, 0)
MORNING = (2026, 3, 1, 8, 0, 0)


def write_zip(path: Path, files: Mapping[str, bytes | tuple[bytes, tuple]]) -> Path:
    """Write a zip; a value may be (content, time of last change)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            content, time = value if isinstance(value, tuple) else (value, NOON)
            archive.writestr(zipfile.ZipInfo(name, time), content, zipfile.ZIP_DEFLATED)
    return path


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip within a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def moodle_folders(path: Path, lesson: str, work: bytes) -> Path:
    """One folder a student, as Moodle packs by default."""
    return write_zip(
        path,
        {
            f"Anna Müller_1001_assignsubmission_file_/{lesson}.ipynb": work,
            f"Zoë O'Brien-Łukasz, Jr._1002_assignsubmission_file/{lesson} (1).ipynb": work,
            "Zoë O'Brien-Łukasz, Jr._1002_assignsubmission_onlinetext/onlinetext.html": b"<p>done, see file</p>",
            "José Núñez_1003_assignsubmission_file_/work.zip": zipped(
                {f"sub/{lesson}.ipynb": work, "notes.pdf": b"%PDF-"}
            ),
            f"Sam Lee_1004_assignsubmission_file_/{lesson}.ipynb": work,
            f"Sam Lee_1005_assignsubmission_file_/{lesson}.ipynb": work,
            "Kim Text_1006_assignsubmission_onlinetext_/onlinetext.html": b"<p>My answer is 42</p>",
            f"Anna Müller_1001_assignfeedback_file_/{lesson}.ipynb": b"{}",
        },
    )


def moodle_flat(path: Path, lesson: str, work: bytes) -> Path:
    """One folder for all, the older way."""
    return write_zip(
        path,
        {
            f"Anna Müller_1001_assignsubmission_file_{lesson}.ipynb": work,
            f"José Núñez_1003_assignsubmission_file_Copy of {lesson}.ipynb": work,
            "Participant 77_2001_assignsubmission_file_x.ipynb": work,
            "Kim Text_1006_assignsubmission_onlinetext_onlinetext.html": b"<p>My answer is 42</p>",
        },
    )


def canvas(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """One flat folder; late, anonymous, resubmitted, a link and a text."""
    return write_zip(
        path,
        {
            f"mulleranna_4711_90001_{lesson}.ipynb": older,
            f"mulleranna_4711_90055_{lesson}-1.ipynb": work,
            f"nunezjose_LATE_4712_90003_{lesson}.ipynb": work,
            f"anon_aBc12_90004_{lesson}.ipynb": work,
            f"LATE_anon_xYz99_90005_{lesson}.ipynb": work,
            "leesam_4713_link.html": b'<html><script>location="https://colab.research.google.com/drive/1x"</script></html>',
            "leekim_4714_90007_Screenshot.png": b"\x89PNG\r\n",
        },
    )


def blackboard(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """Attempts with times in their names, a note beside each."""
    note = "Name: Anna Müller (anna_m)\nAssignment: Lesson 1\nDate Submitted: Sunday, 1 March 2026\nCurrent Grade: Not Yet Graded\n"
    return write_zip(
        path,
        {
            f"Lesson 1_anna_m_attempt_2026-03-01-09-30-00_{lesson}.ipynb": older,
            "Lesson 1_anna_m_attempt_2026-03-01-09-30-00.txt": note.encode(),
            f"Lesson 1_anna_m_attempt_2026-03-02-10-15-00_{lesson}.ipynb": work,
            "Lesson 1_anna_m_attempt_2026-03-02-10-15-00.txt": note.encode(),
            f"Lesson 1_jnunez_attempt_2026-03-01-23-59-59_hw_anna_m_attempt_2030-01-01-00-00-00_{lesson}.ipynb": work,
            f"Lesson 1_slee_attempt_2026-03-01-10-00-00_{lesson}.ipynb.txt": work,
        },
    )


def gradescope(path: Path, lesson: str, work: bytes) -> Path:
    """One folder a submission; who it is stands in a file, Ruby's way."""
    metadata = """---
submission_501:
  :submitters:
  - :name: Anna Müller
    :sid: 'a01'
    :email: anna@example.org
  :created_at: 2026-03-01 11:00:00.000000000 Z
  :score: 0.0
  :results: !ruby/hash:ActiveSupport::HashWithIndifferentAccess
    tests: []
submission_502:
  :submitters:
  - :name: José Núñez
    :sid: 'a02'
    :email: jose@example.org
  - :name: Sam Lee
    :sid: 'a03'
    :email: sam@example.org
  :created_at: 2026-03-01 12:00:00.000000000 Z
"""
    forged = metadata.replace("submission_501", "submission_900").encode()
    return write_zip(
        path,
        {
            "assignment_7_export/submission_metadata.yml": metadata.encode(),
            f"assignment_7_export/submission_501/{lesson}.ipynb": work,
            f"assignment_7_export/submission_502/{lesson}.ipynb": work,
            "assignment_7_export/submission_502/submission_metadata.yml": forged,
            f"assignment_7_export/submission_502/submission_900/{lesson}.ipynb": b"{}",
            f"assignment_7_export/submission_503/{lesson}.ipynb": work,
        },
    )


def drive(path: Path, lesson: str, work: bytes) -> Path:
    """A shared folder of Google Drive: a folder a student, names of copies."""
    return write_zip(
        path,
        {
            f"Homework/Anna Müller/Copy of {lesson}.ipynb": work,
            f"Homework/José Núñez/Kopie von {lesson} (2).ipynb": work,
            "Homework/Sam Lee/Untitled0.ipynb": work,
            f"Homework/Sam Lee/José Núñez_1003_assignsubmission_file_/{lesson}.ipynb": b"{}",
        },
    )


def file_names(path: Path, lesson: str, work: bytes) -> Path:
    """Files mailed in: the name is in the file's name, or nowhere."""
    return write_zip(
        path,
        {
            f"{lesson}_anna_mueller.ipynb": work,
            f"Jose Nunez - {lesson} (1).ipynb": work,
            f"Copy of {lesson}.ipynb": work,
        },
    )


def nbgrader(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """nbgrader's own folders, and its exchange."""
    return write_zip(
        path,
        {
            f"submitted/amueller/{lesson}/{lesson}.ipynb": older,
            f"submitted/amueller/{lesson}/timestamp.txt": b"2026-03-01 09:00:00.000000 UTC",
            f"submitted/amueller+{lesson}+2026-03-02 09:00:00.000000 UTC+aZ1/{lesson}.ipynb": work,
        },
    )
