"""Tables as people save them, and CSV files that a spreadsheet opens without running anything.

A spreadsheet takes a field that begins with = + - @ for a formula; one that separates by semicolons also takes what follows
a semicolon within a field of ours. Such places get an apostrophe, which a spreadsheet shows as plain text and `read_csv` takes off again.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any

from course.model import CourseError
from course.store import write_text

_SIGNS = r"[=+\-@＝＋－＠]"
_FORMULA = re.compile(r"'*[\s\x00]*[=+\-@＝＋－＠\t\r\n\x00]")
_ESCAPED = re.compile(r"'" + _FORMULA.pattern)
_RUN = re.compile(rf"(?<![;'\"\s\x00])[;'\"\s\x00]++(?={_SIGNS})|^[;'\"\s\x00]++(?={_SIGNS})")
_AS_CSV = "open it in the spreadsheet and save it as “CSV UTF-8”"
_FIRST_BYTES = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"%PDF": "a PDF",
    b"{\\rt": "a text document (RTF)",
}


@dataclass(frozen=True)
class Table:
    """A table's columns, and its rows with the numbers of their lines."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def escape(field: Any) -> Any:
    """Put apostrophes where a spreadsheet would take text for a formula.

    Args:
        field: any value; only text is changed, numbers keep their minus.

    Returns:
        The field, safe to write.

    Source: OWASP, "CSV Injection".
    """
    if not isinstance(field, str):
        return field
    inner = _RUN.sub(lambda run: re.sub(r"[;\t\r\n]", r"\g<0>'", run[0]), field)
    return f"'{inner}" if _FORMULA.match(field) else inner


def unescape(field: str) -> str:
    """Take off the apostrophes that `escape` put there."""
    inner = _RUN.sub(lambda run: re.sub(r"([;\t\r\n])'", r"\1", run[0]), field)
    return inner[1:] if _ESCAPED.match(inner) else inner


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows with every field escaped, in UTF-8 with the mark by which Excel knows it; the old file stays until the new one is whole.

    Args:
        path: the file; its folder is made if need be. A person may have named it: a link stays a link, a device such as /dev/stdout a
            device, and who may read an old file may read the new one.
        columns: the header, and the order of the fields.
        rows: one mapping a line; a missing key is an empty field.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape, columns))
    writer.writerows([escape(row.get(column, "")) for column in columns] for row in rows)
    content = f"\ufeff{text.getvalue()}"
    if path.exists() and not path.is_file():
        path.write_text(content, encoding="utf-8", newline="")
        return
    path = path.resolve()
    write_text(path, content, path.stat().st_mode & 0o777 if path.exists() else 0o644)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as people save them: comma, semicolon or tab, UTF-8, UTF-16, Windows or Macintosh text.

    Args:
        path: the file; its first line names the columns.

    Returns:
        One mapping a line, escapes taken off, blank lines left out.

    Raises:
        CourseError: if there is no such file or it has no header.
    """
    return [row for _, row in read_table(path).rows]


def read_table(path: Path) -> Table:
    """Read a CSV file or an Excel workbook's first sheet, whatever its name ends with.

    Args:
        path: the file; its first line names the columns.

    Returns:
        The table, escapes taken off, blank lines left out.

    Raises:
        CourseError: if there is no such file, it has no header, or it is no table.
    """
    if not path.is_file():
        raise CourseError(f"there is no file {path}")
    data = path.read_bytes()
    lines = _workbook(path) if data[:4] == b"PK\x03\x04" else _lines(path, data)
    columns = [unescape(name).strip() for name in lines[0][1]] if lines else []
    if not any(columns):
        raise CourseError(f"{path} is empty: its first line must name the columns")
    rows = []
    for number, fields in lines[1:]:
        fields = [*fields, *[""] * (len(columns) - len(fields))]
        row = {c: unescape(v).strip() for c, v in zip(columns, fields, strict=False) if c}
        if any(row.values()):
            rows.append((number, row))
    return Table(tuple(filter(None, columns)), tuple(rows))


def _lines(path: Path, data: bytes) -> list[tuple[int, list[str]]]:
    """The fields of a CSV file, line by line; Excel's `sep=;` is obeyed."""
    if kind := _FIRST_BYTES.get(data[:4]):
        raise CourseError(f"{path} is {kind}, not a table in CSV: {_AS_CSV}")
    text, skipped = _decoded(path, data), 0
    first, *rest = re.split(r"\r\n|\r|\n", text, maxsplit=1)
    told = re.fullmatch(r"\"?sep=(.)\"?", first.strip(" "))
    if told:
        text, skipped = "".join(rest), 1
    delimiter = told[1] if told else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))  # a field may be as long as it is
    try:
        return [(reader.line_num + skipped, line) for line in reader]
    except csv.Error as error:
        raise CourseError(
            f"{path}, line {reader.line_num + skipped}: no table in CSV ({error}): {_AS_CSV}"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _workbook(path: Path) -> list[tuple[int, list[str]]]:
    """The cells of an Excel workbook's first sheet, as text."""
    from openpyxl import load_workbook

    try:
        with path.open("rb") as file:  # by its content: openpyxl would refuse an .xlsx that is called .csv
            sheet = load_workbook(file, read_only=True, data_only=True).worksheets[0]
            sheet.reset_dimensions()
            rows = [[_cell(cell.value, cell.number_format) for cell in row] for row in sheet.iter_rows()]
    except Exception as error:  # openpyxl, zipfile and the XML parser each raise errors of their own
        raise CourseError(
            f"{path} begins like an Excel workbook and cannot be read as one ({type(error).__name__}): {_AS_CSV}"
        ) from error
    return [(number, row) for number, row in enumerate(rows, start=1) if number == 1 or any(row)]


def _cell(value: Any, shown: str) -> str:
    """A cell as it is seen: 4711 for the number 4711.0, a day alone where the cell's format shows no time."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time() and "h" not in shown.casefold():
        return str(value.date())
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _decoded(path: Path, data: bytes) -> str:
    """A table's text: UTF-8, UTF-16 with or without a mark, else Windows' or the Macintosh's."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = data[start:400:2]
        if half and half.count(0) > 0.7 * len(half):
            return data.decode(encoding, "replace")
    if b"\0" in data:
        raise CourseError(f"{path} is no text: {_AS_CSV}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        windows, macintosh = (data.decode(encoding, "replace") for encoding in ("cp1252", "mac_roman"))
    return min(windows, macintosh, key=_oddity)


def _oddity(text: str) -> int:
    """How unlike names a text is: signs and capitals within words, letters that are rare. Of equals the first is taken."""
    odd = 0
    for before, letter, after in zip(text, text[1:], f"{text[2:]} ", strict=False):
        if letter.isascii():
            continue
        within = before.isalpha() and after.isalpha()
        odd += 3 * ((within and not letter.isalpha()) or letter == "\ufffd")
        odd += 3 * (letter.isupper() and before.islower())
        odd += unicodedata.normalize("NFKD", letter)[0] not in "aeiouyncsAEIOUYNCS" or letter in "ŠšŽžŸ"
        odd += letter.islower() and not before.isalpha()
    return odd
