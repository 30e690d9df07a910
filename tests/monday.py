"""`python -m tests.monday FOLDER [STUDENTS]`: a Monday morning, with every command typed and every submission executed.

A class of 300 from the recipes of the sample class hands lesson 1 in through Canvas. It is collected and graded, 20 answers are read at
the desk, the report is written, and the marks go into the gradebook files of three platforms. Each of these is compared with what came,
line by line: only marks may differ. Ends with an error where that is not so, or where somebody is lost.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from rich.console import Console

from course.config import CLASSROOM
from course.csvfile import write_csv
from tests.large_class import people, what_came
from tests.sample_class import LESSONS, submission

LESSON = LESSONS[0]
READ = 20
console = Console(highlight=False, markup=False, soft_wrap=True)
Row = dict[str, str]


def canvas_zip(path: Path, rows: list[Row]) -> Path:
    """Write the class's work as Canvas hands it out: one flat folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, row in enumerate(rows):
            if came := what_came(row):
                text = (
                    submission("ada", LESSON)[:20_000] if came == "unreadable" else submission(came, LESSON)
                )
                text = text.replace(
                    "a second way back", f"a second way back, as I, number {number % 40}, see it"
                )
                archive.writestr(f"{row['id']}_{1000 + number}_{9000 + number}_{LESSON.name}.ipynb", text)
    return path


def canvas_file(rows: list[Row]) -> str:
    """The gradebook as Canvas exports it, with a mark that somebody typed in before."""
    head = f"Student,ID,SIS User ID,SIS Login ID,Section,Lesson {LESSON.number} (123),Final Score\r\n"
    head += "    Points Possible,,,,,18.00,(read only)\r\n"
    lines = (
        f'"{row["last_name"]}, {row["first_name"]}",{1000 + n},{row["id"]},{row["id"]},"Sec ""A""",{"7" if n == 0 else ""},\r\n'
        for n, row in enumerate(rows)
    )
    return "\ufeff" + head + "".join(lines) + '"Student, Test",99,,abcdef,Sec 1,,\r\n'


def moodle_file(rows: list[Row]) -> str:
    """The grade export of a German Moodle: semicolons, decimal commas."""
    head = f'Vorname;Nachname;ID-Nummer;E-Mail-Adresse;"Aufgabe: Lektion {LESSON.number} (Punkte)";"Kurs gesamt (Punkte)"\n'
    lines = (f'{row["first_name"]};{row["last_name"]};{row["id"]};{row["email"]};-;"0,00"\n' for row in rows)
    return "\ufeff" + head + "".join(lines)


def brightspace_file(rows: list[Row]) -> str:
    """The grades as Brightspace exports them: a # before everything that Excel might change."""
    head = f"OrgDefinedId,Username,Lesson {LESSON.number} Points Grade <Numeric MaxPoints:18 Weight:10>,Calculated Final Grade Numerator,End-of-Line Indicator\r\n"
    return head + "".join(f"#{row['id']},#{row['id']},,,#\r\n" for row in rows)


FILES: dict[str, Callable[[list[Row]], str]] = {
    "canvas": canvas_file,
    "moodle": moodle_file,
    "brightspace": brightspace_file,
}


def course(*words: object, **environment: str) -> str:
    """Type a command, say how long it took, and give what it said.

    Raises:
        SystemExit: if it fails.
    """
    start = time.monotonic()
    line = [str(Path(sys.executable).with_name("course")), *map(str, words)]
    done = subprocess.run(line, env={**os.environ, **environment}, capture_output=True, text=True)
    console.print(f"course {' '.join(map(str, words))}: {time.monotonic() - start:.0f} s")
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def read_some(environment: dict[str, str]) -> int:
    """Sit down at the desk as a browser does, and mark; give how many answers were marked."""
    line = [str(Path(sys.executable).with_name("course")), "read", str(LESSON.number), "--as", "monday"]
    desk = subprocess.Popen(line, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    try:
        assert desk.stdout is not None
        address = next(line.strip() for line in desk.stdout if line.strip().startswith("http"))
        site = address.partition("/?")[0]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        browser.open(address).read()

        def ask(where: str, said: Any = None) -> Any:
            body = None if said is None else json.dumps(said).encode()
            headers = {"Content-Type": "application/json", "Origin": site} if body else {}
            return json.loads(browser.open(urllib.request.Request(site + where, body, headers)).read())

        done = 0
        for row in ask("/api/questions")["questions"]:
            sheet = ask(f"/api/question?lesson={row['lesson']}&question={row['question']}")
            for answer in sheet["answers"]:
                if done < READ:
                    mark = {
                        "lesson": row["lesson"],
                        "question": row["question"],
                        "answers": {answer["id"]: answer["digest"]},
                        "score": sheet["levels"][-1]["points"],
                        "comment": "Which way, exactly?",
                    }
                    ask("/api/mark", mark)
                    done += 1
        return done
    finally:
        desk.terminate()
        desk.wait()


def changed(before: str, after: str) -> list[tuple[str, str]]:
    """Pairs of lines that differ.

    Raises:
        SystemExit: if a line is new, gone or in another place.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) != len(new):
        raise SystemExit(f"{len(old)} lines became {len(new)}")
    return [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]


def only_a_mark(old: str, new: str) -> bool:
    """Whether two lines differ in one run of characters that is a mark."""
    parts = [
        (old[a:b], new[c:d])
        for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if kind != "equal"
    ]
    return all(set(x + y) <= set('0123456789.,-"') for x, y in parts)


def main(folder: Path, count: int = 300) -> None:
    """Let it be Monday."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = people(count)
    write_csv(folder / "roster.csv", ["id", "first_name", "last_name", "email"], rows)
    room = {CLASSROOM: str(folder / "classroom")}
    handed_in = canvas_zip(folder / "submissions.zip", rows)
    console.print(course("collect", handed_in, "--roster", folder / "roster.csv", **room))
    console.print(course("grade", LESSON.number, **room).splitlines()[-1])
    console.print(f"{read_some(room)} answers read")
    console.print(course("report", "--html", **room).splitlines()[-1])
    for platform, write in FILES.items():
        path = folder / f"{platform}.csv"
        path.write_text(write(rows), encoding="utf-8", newline="")
        console.print(course("export", LESSON.number, f"--{platform}", path, "--partial", **room))
        (filled,) = (p for p in folder.glob(f"{platform}*.csv") if p != path)
        with path.open(encoding="utf-8", newline="") as one, filled.open(encoding="utf-8", newline="") as two:
            pairs = changed(one.read(), two.read())
        strange = [pair for pair in pairs if not only_a_mark(*pair)]
        console.print(f"{platform}: {len(pairs)} lines differ, {len(strange)} of them in more than a mark")
        if strange or not pairs:
            raise SystemExit(f"{strange[:3]}")
    lost = {row["id"] for row in rows} - {
        line.split(",")[0] for line in (folder / "classroom" / "grades.csv").read_text().splitlines()
    }
    if lost:
        raise SystemExit(f"without a row: {sorted(lost)}")
    console.print(f"{len(rows)} students, each with a row")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
