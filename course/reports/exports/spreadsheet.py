"""A platform's gradebook as it came, byte for byte, of which single fields can be written anew.

A CSV reader and writer between the two would change what nobody asked for: quotes, line ends, the mark at the beginning, a missing last newline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from course.model import CourseError

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_DECIMAL_COMMA, _DECIMAL_POINT = re.compile(r"-?\d+,\d+"), re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Field:
    """One field: where it stands in the text, and what it says."""

    start: int
    end: int
    value: str
    quoted: bool


@dataclass(frozen=True)
class Row:
    """One line, with its number as an editor counts."""

    line: int
    fields: tuple[Field, ...]

    @property
    def values(self) -> list[str]:
        """What its fields say."""
        return [field.value for field in self.fields]

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return not any(value.strip() for value in self.values)


@dataclass(frozen=True)
class Spreadsheet:
    """A file of fields.

    Args:
        path: where it came from, for sentences.
        mark: the bytes before the text.
        encoding: of the text.
        text: all of it.
        delimiter: between fields.
        header: the line that names the columns.
        rows: the lines below it.
    """

    path: Path
    mark: bytes
    encoding: str
    text: str = field(repr=False)
    delimiter: str = ","
    header: Row = field(default=Row(1, ()), repr=False)
    rows: tuple[Row, ...] = field(default=(), repr=False)

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether numbers are written as 12,5: as the file's own are; where it has none, a semicolon between fields tells."""
        values = [value.strip() for row in self.rows for value in row.values]
        comma, point = (
            sum(map(bool, map(kind.fullmatch, values))) for kind in (_DECIMAL_COMMA, _DECIMAL_POINT)
        )
        return comma > point or (comma == point == 0 and self.delimiter == ";")

    def number(self, value: float) -> str:
        """A number as this file writes it, with at most two decimals."""
        text = f"{value:.2f}".rstrip("0").rstrip(".")
        return text.replace(".", ",") if self.decimal_comma else text

    def written(self, changes: Mapping[Field, str]) -> bytes:
        """The file with some fields written anew, all other bytes as they were."""
        parts, at = [], 0
        for old in sorted(changes, key=lambda field: field.start):
            value = changes[old]
            quoted = old.quoted or self.delimiter in value
            parts += [self.text[at : old.start], f'"{value}"' if quoted else value]
            at = old.end
        return self.mark + "".join([*parts, self.text[at:]]).encode(self.encoding)


def value_of(text: str) -> float | None:
    """The number that a field holds; None if it holds none."""
    return float(text.strip().replace(",", ".")) if _NUMBER.fullmatch(text.strip()) else None


def read_spreadsheet(path: Path) -> Spreadsheet:
    """Read a platform's gradebook.

    Args:
        path: of a text file: CSV, or what Blackboard calls .xls, which is text with tabs.

    Raises:
        CourseError: if there is no such file, it is no text, or a line has more or fewer fields than columns have names.
    """
    if not path.is_file():
        raise CourseError(f"there is no file {path}")
    data = path.read_bytes()
    if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise CourseError(f"{path} is an Excel workbook: download the gradebook from the platform as CSV")
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    body = data[len(mark) :]
    text, encoding = _decoded(path, body, _MARKS.get(mark, ""))
    first, skipped = 0, 0
    told = re.match(r"\"?sep=(.)\"?(\r\n|\r|\n)", text)
    if told:
        first, skipped = told.end(), 1
    heading = re.split(r"[\r\n]", text[first:], maxsplit=1)[0]
    bare = re.sub(r'"[^"]*"', "", heading)
    delimiter = told[1] if told else max(",;\t", key=bare.count)
    rows = _rows(path, text, first, skipped, delimiter)
    if not rows or rows[0].blank:
        raise CourseError(f"{path} is empty: its first line must name the columns")
    header, *rest = rows
    for row in rest:
        if not row.blank and len(row.fields) != len(header.fields):
            raise CourseError(
                f"{path}, line {row.line} has {len(row.fields)} fields, the header names {len(header.fields)}: a mark might land in "
                "another column. Download the gradebook again, and do not save it in between"
            )
    return Spreadsheet(path, mark, encoding, text, delimiter, header, tuple(r for r in rest if not r.blank))


def _decoded(path: Path, body: bytes, told: str) -> tuple[str, str]:
    """The text, and an encoding that gives the same bytes back."""
    for encoding in [told] if told else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and text.encode(encoding) == body:
            return text, encoding
    raise CourseError(f"{path} is no text that can be given back as it was: download it again as CSV (UTF-8)")


def _rows(path: Path, text: str, at: int, skipped: int, delimiter: str) -> list[Row]:
    """Take the text apart."""
    sign = re.escape(delimiter)
    pattern = re.compile(rf'(?:"((?:[^"]|"")*+)"|((?!")[^{sign}\r\n]*+))({sign}|\r\n|\r|\n|\Z)')
    rows: list[Row] = []
    fields: list[Field] = []
    line = start = skipped + 1
    while at < len(text) or fields:
        found = pattern.match(text, at)
        if found is None:
            raise CourseError(
                f"{path}, line {line}: something stands behind a closing quote; download the file again"
            )
        quoted = found[1] is not None
        value = found[1].replace('""', '"') if quoted else found[2]
        fields.append(Field(found.start(), found.start(3), value, quoted))
        line += len(re.findall(r"\r\n|\r|\n", found[0]))
        at = found.end()
        if found[3] != delimiter:
            rows.append(Row(start, tuple(fields)))
            fields, start = [], line
    return rows
