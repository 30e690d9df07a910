"""Zips as the learning platforms hand them out."""

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


def brightspace(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """One folder an attempt, with the local time; a list of all beside them."""
    return write_zip(
        path,
        {
            f"10234-556677 - Anna Müller - Mar 1, 2026 1107 PM/{lesson}.ipynb": older,
            f"10234-556677 - Anna Müller - Mar 2, 2026 905 AM/{lesson}.ipynb": work,
            f"10235-556677 - José Núñez - Feb 28, 2026 1205 AM/{lesson} (1).ipynb": work,
            f"10236-556677 - Sam Lee - 27 février 2026 2305/{lesson}.ipynb": work,
            "index.html": b"<html><body>Submissions</body></html>",
        },
    )


def ilias(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """A folder a student below one for all; the login may hold an underscore."""
    return write_zip(
        path,
        {
            f"Übung 3/Abgaben/Müller_Anna_a01_1234/20260301090000_{lesson}.ipynb": older,
            f"Übung 3/Abgaben/Müller_Anna_a01_1234/20260301120000_{lesson}.ipynb": work,
            f"Übung 3/Abgaben/Núñez_José_a_02_1235/{lesson}.ipynb": work,
            f"Übung 3/Abgaben/Lee_Sam_slee_1236/{lesson}.ipynb": work,
        },
    )


def moodle_groups(path: Path, lesson: str, work: bytes) -> Path:
    """The group's name stands before each student's; both may have dashes."""
    return write_zip(
        path,
        {
            f"Gruppe 3-Anna Müller_1001_assignsubmission_file_/{lesson}.ipynb": work,
            f"Default group-José Núñez_1002_assignsubmission_file_/{lesson}.ipynb": work,
            f"Mo-Di-Mi-Eva-Lena Groß_1003_assignsubmission_file_/{lesson}.ipynb": work,
        },
    )


def moodle_blind(path: Path, lesson: str, work: bytes) -> Path:
    """Blind marking, in the words of several languages."""
    words = ("Participant", "Teilnehmer_in", "Participante", "Deltaker", "Участник")
    return write_zip(
        path,
        {f"{word}_{77 + n}_assignsubmission_file_/{lesson}.ipynb": work for n, word in enumerate(words)},
    )


def sakai(path: Path, lesson: str, work: bytes) -> Path:
    """Name and login, the time of hand-in in a file of its own; a student may attach one of that name."""
    return write_zip(
        path,
        {
            f"Homework 3/Müller, Anna(a01)/Submission attachment(s)/{lesson}.ipynb": work,
            "Homework 3/Müller, Anna(a01)/timestamp.txt": b"20260301225959123",
            "Homework 3/Müller, Anna(a01)/Submission attachment(s)/timestamp.txt": b"20010101000000000",
            f"Homework 3/Núñez, José(jn)/Submission attachment(s)/{lesson}.ipynb": work,
            "Homework 3/Núñez, José(jn)/timestamp.txt": b"2026-03-02T08:00:00Z",
            "Homework 3/grades.csv": b"Display ID,ID,Last Name\n",
        },
    )


def teams(path: Path, lesson: str, work: bytes, older: bytes) -> Path:
    """Versions are counted by the platform; a draft that was not turned in lies apart."""
    return write_zip(
        path,
        {
            f"Student Work/Submitted files/Anna Müller/Lesson/Version 2/{lesson}.ipynb": older,
            f"Student Work/Submitted files/Anna Müller/Lesson/Version 10/{lesson}.ipynb": work,
            f"Student Work/Working files/Anna Müller/Lesson/draft {lesson}.ipynb": older,
            f"Student Work/Working files/José Núñez/Lesson/{lesson}.ipynb": work,
        },
    )


def classroom(path: Path, lesson: str, work: bytes) -> Path:
    """Google Classroom's folder in Drive: the files of all, the name before a dash."""
    return write_zip(
        path,
        {
            f"Physics 101/Anna Müller - {lesson}.ipynb": work,
            "Physics 101/José Núñez - Untitled0.ipynb": work,
        },
    )


def clones(path: Path, lesson: str, work: bytes) -> Path:
    """What `gh classroom clone` makes: a repository a student, called after the assignment and the user."""
    return write_zip(
        path,
        {
            f"hw-three-submissions/hw-three-{user}/notebooks/{lesson}/{lesson}.ipynb": work
            for user in ("annam", "nunez-jose")
        },
    )


def homes(path: Path, lesson: str, work: bytes) -> Path:
    """Homes of a JupyterHub into which nbgitpuller cloned the course."""
    return write_zip(
        path,
        {
            f"home/jupyter-a01/skip-connections/notebooks/{lesson}/{lesson}.ipynb": work,
            f"home/jupyter-a02/skip-connections/notebooks/{lesson}/{lesson}.ipynb": work,
        },
    )


def nobody_knows(path: Path, lesson: str, work: bytes) -> Path:
    """A platform that nobody has heard of: numbers and words round the names."""
    return write_zip(
        path,
        {
            f"export 2026/0001#Müller, Anna#try 1/{lesson}.ipynb": work,
            f"export 2026/0002#jose@example.org#try 1/{lesson}.ipynb": work,
            f"export 2026/0003#Zoë Stranger#try 1/Anna Müller/{lesson}.ipynb": b"{}",
        },
    )
