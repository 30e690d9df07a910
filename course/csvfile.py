"""CSV files that a spreadsheet opens without running anything, and that give back what was written.

A spreadsheet takes a field that begins with = + - @ for a formula. Such a field gets an
apostrophe in front, which a spreadsheet shows as plain text and `read_csv` takes off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course.model import CourseError

_FORMULA = re.compile(r"'*[\s\x00]*[=+\-@＝＋－＠\t\r\n\x00]")
_ESCAPED = re.compile(r"'" + _FORMULA.pattern)


def escape(field: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula.

    Args:
        field: any value; only text is changed, numbers keep their minus.

    Returns:
        The field, safe to write.

    Source: OWASP, "CSV Injection".
    """
    return f"'{field}" if isinstance(field, str) and _FORMULA.match(field) else field


def unescape(field: str) -> str:
    """Take off the apostrophe that `escape` put there."""
    return field[1:] if _ESCAPED.match(field) else field


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows with every field escaped, in UTF-8 with the mark by which Excel knows it.

    Args:
        path: the file; its folder is made if need be.
        columns: the header, and the order of the fields.
        rows: one mapping a line; a missing key is an empty field.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(escape, columns))
        writer.writerows([escape(row.get(column, "")) for column in columns] for row in rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as people save them: comma, semicolon or tab, UTF-8, UTF-16 or Windows text.

    Args:
        path: the file; its first line names the columns.

    Returns:
        One mapping a line, escapes taken off, blank lines left out.

    Raises:
        CourseError: if there is no such file or it has no header.
    """
    if not path.is_file():
        raise CourseError(f"there is no file {path}")
    data = path.read_bytes()
    encodings = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise CourseError(f"{path} is neither UTF-8 nor Windows text: save it as CSV in UTF-8")
    header = text.partition("\n")[0]
    if not header.strip():
        raise CourseError(f"{path} is empty: its first line must name the columns")
    delimiter = max(",;\t", key=header.count)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval="")
    rows = [
        {unescape(key).strip(): unescape(value).strip() for key, value in line.items() if key}
        for line in lines
    ]
    return [row for row in rows if any(row.values())]
