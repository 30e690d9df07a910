"""What collecting found, one row a file: on screen, as CSV, as HTML."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from course.csvfile import write_csv
from course.intake.roster import Person
from course.intake.suspicion import Finding
from course.zone import is_assumed

TAKEN, REPAIRED, UNREADABLE, OLDER, IGNORED = "taken", "repaired", "unreadable", "older", "ignored"
WAITING = "waiting"
ANONYMOUS = "an anonymous sender"  # in a note, where there is a class list
UNLISTED = "not on the class list"  # in a doubt: the sender, who may be somebody who is
WHOSE = "collect this for whose it is with --student ID"  # in a doubt: nobody can tell which student of the list it is
LOOKS = 20  # findings of a file that are told; the others are counted
MANY = 30  # files after which the screen shows only what needs a person
MEANING = {
    TAKEN: "goes to grading as it is",
    REPAIRED: "goes to grading; what was done is said",
    UNREADABLE: "not graded: to be replaced, or confirmed as zero",
    WAITING: "not graded: a person has to say which file counts",
    OLDER: "a later one counts",
    IGNORED: "no notebook, and none was expected in its place",
}
COLUMNS = [
    "student",
    "name",
    "lesson",
    "status",
    "file",
    "done",
    "notes",
    "reason",
    "doubts",
    "look",
    "time",
    "late",
    "confirmed",
]


HEADINGS = ["student", "lesson", "status", "file", "what was done, left out, or why"]


@dataclass(frozen=True)
class Row:
    """One file and what became of it.

    Args:
        student: id, and folder under `submitted/`; empty if nobody could be told.
        name: the name that the platform or the roster gives.
        lesson: empty if none could be told.
        file: path within the download, through archives.
        status: one of `MEANING`.
        repairs: what was done so that the answers count.
        notes: what was left out or is missing.
        reason: why it is unreadable, older or ignored.
        findings: what a human may want to look at; it changes no mark.
        time: when it was handed in; None if unknown.
        late: the platform marked it as late.
        unanswered: exercises and questions without an answer.
        doubts: what a person should look at although it is graded: answers that may be elsewhere.
        confirmed: an instructor has confirmed a zero for it; a blank notebook is graded.
    """

    student: str
    name: str
    lesson: str
    file: str
    status: str
    repairs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    time: datetime | None = None
    late: bool = False
    unanswered: tuple[str, ...] = ()
    confirmed: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def needs_a_person(self) -> bool:
        """Whether something is lost if nobody looks at it."""
        return bool(self.doubts) or (self.status in (UNREADABLE, WAITING) and not self.confirmed)

    @property
    def counts(self) -> bool:
        """Whether it is what will be graded."""
        return self.status in (TAKEN, REPAIRED)

    def fields(self) -> dict[str, str]:
        """The row as text, control characters made visible."""
        stamp = f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if self.time else ""
        reason = self.reason + (
            "; zero confirmed: what can be read of it is graded, the rest is blank" if self.confirmed else ""
        )
        texts = [
            self.student,
            self.name,
            self.lesson,
            self.status,
            self.file,
            "; ".join(self.repairs),
            "; ".join(self.notes),
        ]
        more = len(self.findings) - LOOKS
        texts += [
            reason,
            "; ".join(self.doubts),
            "; ".join([*map(str, self.findings[:LOOKS]), *([f"and {more} more"] if more > 0 else [])]),
            stamp,
            "late" if self.late else "",
            "zero" if self.confirmed else "",
        ]
        return {column: printable(text) for column, text in zip(COLUMNS, texts, strict=True)}

    def told(self) -> list[str]:
        """The row under `HEADINGS`, for people."""
        words = self.fields()
        name = f"\n{words['name']}" if words["name"] not in ("", words["student"]) else ""
        look = f"have a look: {words['look']}" if words["look"] else ""
        doubts = f"a person has to look: {words['doubts']}" if words["doubts"] else ""
        said = [words["late"], words["reason"], doubts, words["done"], words["notes"], look]
        file = f"{words['file']}\n{words['time']}".rstrip()
        return [
            f"{words['student'] or '?'}{name}",
            words["lesson"] or "?",
            self.status,
            file,
            "\n".join(filter(None, said)),
        ]


@dataclass
class Triage:
    """The whole of it.

    Args:
        rows: one a file, in order of lesson, student and time.
        absent: for each lesson that somebody handed in, who on the roster did not.
        warnings: what does not belong to one file.
    """

    rows: list[Row]
    absent: Mapping[str, list[Person]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def counted(self) -> list[Row]:
        """What goes to grading."""
        return [row for row in self.rows if row.counts]

    @property
    def assumes(self) -> bool:
        """Whether some time named no zone."""
        return any(row.time and is_assumed(row.time) for row in self.rows)

    @property
    def unreadable(self) -> list[Row]:
        """What must be replaced or confirmed."""
        return [row for row in self.rows if row.status == UNREADABLE and not row.confirmed]

    @property
    def waiting(self) -> list[Row]:
        """What needs a person."""
        return [row for row in self.rows if row.needs_a_person]

    def summary(self) -> str:
        """One sentence."""
        counts = Counter(row.status for row in self.rows)
        parts = [f"{counts[status]} {status}" for status in MEANING if counts[status]]
        nobody = sum(map(len, self.absent.values()))
        waiting = len(self.waiting)
        return (
            f"{len(self.rows)} files: {', '.join(parts) or 'none'}"
            + (f"; {nobody} missing" if nobody else "")
            + (f"; {waiting} {'needs' if waiting == 1 else 'need'} a person" if waiting else "")
        )

    def on_screen(self) -> Group:
        """A table for rich: every file, of more than `MANY` only those that need a person; who is missing, the warnings, counts."""
        rows, title = self.rows, "What was handed in"
        if len(rows) > MANY:
            rows, title = self.waiting, "What needs a person"
        # A narrow terminal breaks long names; cut, they would not tell one file of a zip from another.
        table = Table(*(Column(heading, overflow="fold") for heading in HEADINGS), title=title)
        style = {
            UNREADABLE: "bold red",
            WAITING: "bold red",
            REPAIRED: "yellow",
            OLDER: "dim",
            IGNORED: "dim",
        }
        for row in rows:
            table.add_row(*map(Text, row.told()), style=style.get(row.status, ""))
        left = len(self.rows) - len(rows)
        looked = sum(bool(row.findings) for row in self.rows if row not in rows) if left else 0
        rest = f"{left} more files need nobody" + (
            f", {looked} of them may be worth a look" if looked else ""
        )
        return Group(
            *([table] if rows or not left else []),
            *([Text(f"{rest}: all are in the table and on the page")] if left else []),
            *(Text(line) for line in [*self.missing_lines(), *map(printable, self.warnings), self.summary()]),
        )

    def missing_lines(self) -> list[str]:
        """One sentence a lesson on who handed in nothing."""
        people = {
            lesson: ", ".join(f"{p.name} ({p.id})" for p in absent)
            for lesson, absent in self.absent.items()
            if absent
        }
        return [printable(f"{lesson}: nothing from {names}") for lesson, names in people.items()]

    def write(self, classroom: Path) -> None:
        """Write `triage.csv` and `triage.html` into the classroom."""
        self.write_csv(classroom / "triage.csv")
        self.write_html(classroom / "triage.html")

    def write_csv(self, path: Path) -> None:
        """Write one line a file, and one for each student on the roster who handed in nothing."""
        rows = [row.fields() for row in self.rows]
        for lesson, people in self.absent.items():
            rows += [{"student": p.id, "name": p.name, "lesson": lesson, "status": "nothing"} for p in people]
        write_csv(path, COLUMNS, rows)

    def write_html(self, path: Path) -> None:
        """Write a page that holds no script and loads nothing."""
        lines = [*self.missing_lines(), *map(printable, self.warnings)]
        body = "\n".join(_html_row(row) for row in self.rows)
        page = _PAGE.format(
            summary=html.escape(self.summary()),
            head="".join(f"<th>{heading}</th>" for heading in HEADINGS),
            body=body,
            lines="\n".join(f"<li>{html.escape(line)}</li>" for line in lines),
            legend="\n".join(
                f"<dt>{status}</dt><dd>{html.escape(text)}</dd>" for status, text in MEANING.items()
            ),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")


def _html_row(row: Row) -> str:
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in row.told())
    return f'<tr class="{row.status}">{cells}</tr>'


def printable(text: str) -> str:
    """Make control and direction characters visible, so that a file's name can neither drive a terminal nor hide."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>What was handed in</title>
<style>
:root {{ color-scheme: light dark; --ink: #222; --ground: #fff; --line: #ddd; --soft: #666; --bad: #fbe3e0; --mended: #fdf4d8; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e7e9ec; --ground: #15181b; --line: #363c43; --soft: #a7afb8; --bad: #4a2320; --mended: #3a3217; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: var(--ink); background: var(--ground); }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; white-space: pre-line; }}
td {{ overflow-wrap: anywhere; }} td:nth-child(2), td:nth-child(3) {{ white-space: nowrap; }}
td:nth-child(1) {{ min-width: 8rem; }} td:nth-child(4) {{ min-width: 14rem; }} td:nth-child(5) {{ min-width: 20rem; }}
.unreadable, .waiting {{ background: var(--bad); }} .repaired {{ background: var(--mended); }} .older, .ignored {{ color: var(--soft); }}
dt {{ font-weight: 600; }}
@media screen and (max-width: 60rem) {{
  body {{ margin: 1rem; }} thead {{ display: none; }} table {{ width: 100%; }}
  tr {{ display: grid; grid-template-columns: 1fr auto auto; border-bottom: 1px solid var(--line); padding: .3rem 0; }}
  td {{ border: 0; padding: .15rem .4rem; }} td:nth-child(n) {{ min-width: 0; }} td:nth-child(n+4) {{ grid-column: 1 / -1; }}
  td:empty {{ display: none; }}
}}
@page {{ margin: 14mm; }}
@media print {{ :root {{ --ink: #000; --ground: #fff; --line: #bbb; --soft: #444; --bad: #fbe3e0; --mended: #fdf4d8; }} body {{ margin: 0; font-size: 9pt; print-color-adjust: exact; }} td:nth-child(n) {{ min-width: 6rem; }} tr, dl {{ break-inside: avoid; }} thead {{ display: table-header-group; }} }}
</style>
</head>
<body>
<h1>What was handed in</h1>
<p>{summary}</p>
<ul>
{lines}
</ul>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
<dl>
{legend}
</dl>
</body>
</html>
"""
