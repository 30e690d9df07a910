"""From the bytes of a file to the cells of a notebook, however it was saved, cut off or bent on its way."""

from __future__ import annotations

import ast
import bz2
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Any

from course.intake.python import to_python
from course.intake.scripts import prose_of_magic, split_script
from course.intake.sheet import CUT_OFF, Cell, Sheet, Unreadable

LARGEST = 64 * 1024 * 1024
XZ_MEMORY = 256 * 1024 * 1024  # bytes that unpacking may take
DAMAGED = 200  # cells that may be damaged before the rest of a file counts as cut off
_STRAY = str.maketrans(
    {
        "\u00a0": " ",
        "\u202f": " ",
        "\u2007": " ",
        "\u3000": " ",
        "\ufeff": None,
        "\u200b": None,
        "\u200e": None,
        "\u00ad": None,
    }
    | dict.fromkeys("“”„«»", '"')
    | dict.fromkeys("‘’‚", "'")
    | dict.fromkeys("−–—", "-")
)
_MAGIC = {
    b"%PDF": "a PDF document, not a notebook",
    b"\x89PNG": "a picture, not a notebook",
    b"\xff\xd8\xff": "a picture, not a notebook",
    b"GIF8": "a picture, not a notebook",
    b"\xd0\xcf\x11\xe0": "an office document, not a notebook",
    b"{\\rtf": "an RTF document, not a notebook",
    b"Rar!": "a RAR archive: unpack it and collect the folder",
    b"7z\xbc\xaf": "a 7z archive: unpack it and collect the folder",
    b"bplist": "a macOS bookmark, not a notebook",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive: unpack it and collect the folder",
}


def read_sheet(data: bytes) -> Sheet:
    """Read a handed-in file as a notebook.

    Args:
        data: its bytes.

    Returns:
        Its cells, at least one.

    Raises:
        Unreadable: with the reason, if there is no notebook in it.
    """
    repairs: list[str] = []
    data = _plain(data, repairs)
    text = _decode(data, repairs)
    _refuse_other_texts(text)
    if text.lstrip()[:1] in ("{", "[", '"') and not text.lstrip().startswith('"""'):
        content = _parse(text, repairs)
        raw = list(_raw_cells(content, repairs))
        is_script = False
    else:
        raw, is_script = split_script(text), True
        repairs.append("read as a Python script")
    if not raw:
        raise Unreadable("a notebook without a single cell")
    sheet = Sheet([], repairs, is_script=is_script)
    personal = 0
    for cell in raw:
        sheet.cells.append(_cell(cell, repairs))
        personal += "executionInfo" in _mapping(cell.get("metadata"))
    if personal:
        sheet.notes.append("Colab's record of who ran which cell was left out")
    sheet.repairs = list(dict.fromkeys(repairs))
    return sheet


def _gunzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return file.read(LARGEST + 1)


_PACKED = {
    b"\x1f\x8b": ("gzip", _gunzip),
    b"BZh": ("bzip2", lambda data: bz2.BZ2Decompressor().decompress(data, LARGEST + 1)),
    b"\xfd7zXZ\0": (
        "xz",
        lambda data: lzma.LZMADecompressor(memlimit=XZ_MEMORY).decompress(data, LARGEST + 1),
    ),
}


def _plain(data: bytes, repairs: list[str]) -> bytes:
    """Unpack gzip, bzip2 and xz; refuse what is known by its first bytes to be something else."""
    for magic, (name, opened) in _PACKED.items():
        if data.startswith(magic):
            try:
                data = opened(data)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise Unreadable(f"a damaged {name} file: {error}") from error
            if len(data) > LARGEST:
                raise Unreadable(f"a {name} file that unpacks to more than the limit")
            repairs.append(f"unpacked from {name}")
            break
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise Unreadable(what)
    if not data.strip(b"\0 \t\r\n"):
        raise Unreadable(
            "the file is empty" if not data.strip(b" \t\r\n") else "the file holds nothing but zero bytes"
        )
    return data


def _decode(data: bytes, repairs: list[str]) -> str:
    """Make text of bytes: UTF-8, UTF-16 or UTF-32, with or without a mark, else Windows text."""
    marks = {
        b"\xef\xbb\xbf": "utf-8",
        b"\xff\xfe\0\0": "utf-32",
        b"\0\0\xfe\xff": "utf-32",
        b"\xff\xfe": "utf-16",
        b"\xfe\xff": "utf-16",
    }
    for mark, encoding in marks.items():
        if data.startswith(mark):
            repairs.append(
                "byte order mark removed" if encoding == "utf-8" else f"{encoding.upper()} turned into UTF-8"
            )
            return data.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace").strip("\0")
    head = data[:4]
    if head.count(0) >= 2 or (len(head) > 1 and head[:2].count(0) == 1):
        width = 32 if head.count(0) == 3 else 16
        encoding = f"utf-{width}-{'be' if head[0] == 0 else 'le'}"
        repairs.append(f"UTF-{width} turned into UTF-8")
        return data.decode(encoding, "replace").strip("\0")
    if b"\0" in data:
        data = data.replace(b"\0", b"")
        repairs.append("zero bytes removed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        if re.search(r"[^\x00-\x7f\ufffd]", text) or text.count("\ufffd") == 1 == len(text) - text.rfind(
            "\ufffd"
        ):
            repairs.append("damaged characters replaced")
        else:
            text = data.decode("cp1252", "replace")
            repairs.append("Windows text turned into UTF-8")
    if text.startswith("ï»¿"):
        text = text[3:]
        repairs.append("byte order mark removed")
    return text


def _refuse_other_texts(text: str) -> None:
    """Refuse text that is plainly something else, by its beginning."""
    head = text.lstrip()[:2000]
    lowered = head.lower()
    if lowered.startswith(("<!doctype html", "<html", "<head", "<!--")) or "<html" in lowered[:500]:
        link = re.search(r"https?://(?:colab|drive|docs)\.[\w./?=&%#-]+", text)
        raise Unreadable(
            f"a link to {link[0]}, not the notebook itself" if link else "a web page, not the notebook itself"
        )
    if lowered.startswith("<"):
        raise Unreadable("an XML or HTML file, not a notebook")
    if _is_link(head):
        raise Unreadable(f"a link, not the notebook itself: {' '.join(head.split())[:120]}")
    if head.startswith("version https://git-lfs"):
        raise Unreadable("a Git LFS pointer, not the notebook itself")
    if re.search(r"^(<{7}|>{7}) ", text, re.M) and re.search(r"^={7}[ \t\r]*$", text, re.M):
        raise Unreadable("it holds an unresolved merge conflict: only its author can tell which side counts")


def _is_link(text: str) -> bool:
    """Whether a text is an internet shortcut, or one address and nothing else."""
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if first.lower() == "[internetshortcut]":
        return True
    return not rest and bool(re.fullmatch(r"https?://\S+", first, re.I))


def _parse(text: str, repairs: list[str]) -> Any:
    """Make values of JSON text, mending what can be mended."""
    try:
        content = _load(text, repairs)
        if isinstance(content, str) and content.lstrip()[:1] in ("{", "["):
            repairs.append("JSON within JSON unwrapped")
            content = _load(content, repairs)
    except RecursionError:
        raise Unreadable("its JSON is nested too deeply") from None
    return content


def _load(text: str, repairs: list[str]) -> Any:
    """Try, in this order: JSON, JSON with more behind it, with trailing commas, a Python literal, the cells before a cut."""
    text = text.strip()
    decoder = json.JSONDecoder(strict=False)
    try:
        try:
            content, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            content, end = decoder.raw_decode(text)
            repairs.append("control characters in JSON accepted")
        if text[end:].strip():
            repairs.append("text after the end of the notebook left out")
        return content
    except json.JSONDecodeError as error:
        where = error
    except ValueError as error:  # an integer of thousands of digits
        raise Unreadable(f"not valid JSON: {error}") from error
    mended = _without_trailing_commas(text)
    if mended != text:
        try:
            content = decoder.decode(mended)
            repairs.append("trailing commas in JSON removed")
            return content
        except json.JSONDecodeError:
            pass
    if re.match(r"[{\[]\s*'", text) and len(text) < 5_000_000:
        try:
            content = ast.literal_eval(text)
            repairs.append("a Python literal read as JSON")
            return content
        except (ValueError, SyntaxError, MemoryError):
            pass
    cells = list(_whole_cells(text, decoder))
    if not cells:
        raise Unreadable(
            f"not valid JSON ({where.msg} at line {where.lineno}), and no whole cell before that place"
        )
    repairs.append(f"{CUT_OFF}: its {len(cells)} whole cells were taken")
    return {"cells": cells, "nbformat": 4}


# A string, or what an unclosed one leaves, is passed over in one go, and so are the blanks behind a comma: linear.
_COMMAS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)?|,(?=\s*+[}\]])', re.S)


def _without_trailing_commas(text: str) -> str:
    """Drop commas before a closing bracket; what stands within strings is left alone."""
    return _COMMAS.sub(lambda found: "" if found[0][0] == "," else found[0], text)


def _whole_cells(text: str, decoder: json.JSONDecoder) -> Iterator[dict[str, Any]]:
    """Decode the items of the first "cells" list that are whole; behind a damaged one go on with the next."""
    start = re.search(r'"cells"\s*:\s*\[', text)
    at = start.end() if start else len(text)
    damaged = 0
    gap, opening = re.compile(r"[\s,]*"), re.compile(r'\{\s*"(?:cell_type|attachments)"\s*:')
    while at < len(text):
        if blanks := gap.match(text, at):
            at = blanks.end()
        try:
            cell, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            another = opening.search(text, at + 1)
            damaged += 1
            if another is None or damaged > DAMAGED:
                return
            at = another.start()
            continue
        if isinstance(cell, dict):
            yield cell


def _raw_cells(content: Any, repairs: list[str]) -> Iterator[dict[str, Any]]:
    """The cells of a notebook of any format, as they are."""
    if isinstance(content, list) and any(
        isinstance(cell, dict) and {"source", "input"} & set(cell) for cell in content
    ):
        repairs.append("a bare list of cells read as a notebook")
        content = {"cells": content, "nbformat": 4}
    if not isinstance(content, dict):
        raise Unreadable("valid JSON, but not a notebook")
    if not isinstance(content.get("cells"), list) and not isinstance(content.get("worksheets"), list):
        if {"url", "doc_id", "resource_id"} & set(content):
            raise Unreadable("a link to a file in Google Drive, not the file itself")
        if isinstance(content.get("content"), dict):
            repairs.append("unwrapped from Jupyter's contents API")
            yield from _raw_cells(content["content"], repairs)
            return
        raise Unreadable("valid JSON, but not a notebook: it has no cells")
    version = content.get("nbformat")
    if version != 4 or not isinstance(content.get("nbformat_minor", 0), int):
        repairs.append(
            f"nbformat {version} read as 4" if version is not None else "missing nbformat filled in"
        )
    groups = content["cells"] if isinstance(content.get("cells"), list) else None
    for sheet in [{"cells": groups}] if groups is not None else content["worksheets"]:
        for cell in _mapping(sheet).get("cells") or []:
            if isinstance(cell, dict):
                yield cell
            else:
                repairs.append("entries that are no cells left out")


def _cell(raw: dict[str, Any], repairs: list[str]) -> Cell:
    """Read one cell, whatever its fields were named and typed."""
    metadata = _mapping(raw.get("metadata"))
    kind = raw.get("cell_type")
    source = next((raw[key] for key in ("source", "input", "code", "text") if raw.get(key) is not None), "")
    if isinstance(source, list):
        source = "".join(map(str, source))
    if not isinstance(source, str):
        source = str(source)
        repairs.append("a cell whose source was no text")
    if kind == "heading":
        level = raw.get("level", 1)
        source = f"{'#' * (level if level in range(1, 7) else 1)} {source}"
    if kind not in ("code", "markdown", "raw"):
        if kind not in ("heading", "text", "html"):
            repairs.append("missing types of cells filled in")
        kind = (
            "markdown"
            if kind in ("heading", "text", "html") or metadata.get("colab_type") == "text"
            else "code"
        )
    if kind == "code" and (prose := prose_of_magic(source)) is not None:
        kind, source = "markdown", prose
        repairs.append("cells of code that hold prose (%md) read as prose")
    source = _clean(source, kind, repairs)
    ids = tuple(dict.fromkeys(i for i in (raw.get("id"), metadata.get("id")) if isinstance(i, str) and i))
    grade_id = _mapping(metadata.get("nbgrader")).get("grade_id")
    return Cell(
        kind, source, ids, grade_id if isinstance(grade_id, str) else "", _pictures(raw.get("attachments"))
    )


def _clean(source: str, kind: str, repairs: list[str]) -> str:
    """Even out line ends and characters; touch typography in code only where that makes it compile."""
    if "\r" in source:
        source = source.replace("\r\n", "\n").replace("\r", "\n")
        repairs.append("line ends evened out")
    if "\0" in source:
        source = source.replace("\0", "")
        repairs.append("zero bytes removed")
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        source = source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        repairs.append("damaged characters replaced")
    if kind == "code" and not source.isascii() and to_python(source) is None:
        typed = source.translate(_STRAY)
        if to_python(typed) is not None:
            source = typed
            repairs.append(
                "characters of a word processor (non-breaking spaces, curly quotes) turned back into code"
            )
    return source


def _pictures(raw: Any) -> dict[str, dict[str, str]]:
    """Keep pasted PNG and JPEG pictures of up to 2 MB each."""
    kept: dict[str, dict[str, str]] = {}
    for name, types in _mapping(raw).items():
        for mime, data in _mapping(types).items():
            small = isinstance(data, str) and len(data) < 2_800_000
            if mime in ("image/png", "image/jpeg") and small and re.fullmatch(r"[A-Za-z0-9+/=\s]*", data):
                kept.setdefault(str(name), {})[mime] = data
    return kept


def _mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
