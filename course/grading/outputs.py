"""What a student's cell shows: text and small pictures, within limits, whatever the kernel claims to send."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from nbformat import NotebookNode

from course.model import Limits

PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
CUT = "\n... more output was cut off ...\n"


def clean(text: Any) -> str:
    """Make text that can be stored and shown: no lone surrogates, no control characters but those of layout and colour."""
    text = "".join(map(str, text)) if isinstance(text, list) else str(text)
    return UNWANTED.sub("", text.encode("utf-8", "replace").decode("utf-8"))


def output_of(kind: str, **words: Any) -> NotebookNode:
    """An output as a notebook has it. nbformat's `new_output` would hold each against the schema; the whole notebook is, when it is written."""
    return NotebookNode(output_type=kind, **words)


def error_output(name: str, text: str) -> NotebookNode:
    """An error as a notebook shows it, with its text for a traceback."""
    return output_of("error", ename=clean(name), evalue=clean(text), traceback=[clean(text)])


class Outputs:
    """Outputs of one cell, gathered from the kernel's messages."""

    def __init__(self, limits: Limits):
        self.cells: list[NotebookNode] = []
        self._limits = limits
        self._bytes_left = limits.output
        self._pieces_left = limits.outputs
        self._cut = False

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Add what a message shows; anything malformed or too large is left out.

        Args:
            kind: type of the message, for example "stream".
            content: its content.
        """
        if kind == "stream":
            self._stream("stderr" if content["name"] == "stderr" else "stdout", clean(content["text"]))
        elif kind in ("display_data", "execute_result"):
            data = self._bundle(content["data"])
            if data:
                extra = {"execution_count": None} if kind == "execute_result" else {}
                self._append(output_of(kind, data=data, metadata=NotebookNode(), **extra))
        elif kind == "error":
            traceback = [self._afford(clean(line)) for line in content["traceback"][:200]]
            name, value = clean(content["ename"])[:200], clean(content["evalue"])[:2000]
            self._append(output_of("error", ename=name, evalue=value, traceback=traceback))
        elif kind == "clear_output":
            self.cells.clear()

    def _stream(self, name: str, text: str) -> None:
        last = self.cells[-1] if self.cells else None
        text = self._afford(text)
        if last and last.output_type == "stream" and last.name == name:
            last.text += text
        elif text:
            self._append(output_of("stream", name=name, text=text))

    def _bundle(self, data: dict[str, Any]) -> NotebookNode:
        """The kinds of data that may stay."""
        kept = NotebookNode()
        if "text/plain" in data:
            kept["text/plain"] = self._afford(clean(data["text/plain"]))
        for kind, magic in PICTURES.items():
            if kind in data:
                try:
                    picture = base64.b64decode(clean(data[kind]).replace("\n", ""), validate=True)
                except binascii.Error:
                    continue
                if picture.startswith(magic) and len(picture) <= self._limits.image:
                    kept[kind] = base64.b64encode(picture).decode("ascii")
        return kept

    def _append(self, output: NotebookNode) -> None:
        if self._pieces_left > 0:
            self._pieces_left -= 1
            self.cells.append(output)

    def _afford(self, text: str) -> str:
        """As much of the text as may still be shown."""
        if len(text) > self._bytes_left:
            text = text[: self._bytes_left] + ("" if self._cut else CUT)
            self._bytes_left, self._cut = 0, True
        else:
            self._bytes_left -= len(text)
        return text


def pictures_within(notebook: NotebookNode, budget: int) -> None:
    """Keep a notebook's pictures up to so many bytes in all, in place; each one after them is named instead."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind in PICTURES.keys() & output.get("data", {}).keys():
                budget -= len(output.data[kind])
                if budget < 0:
                    del output.data[kind]
                    output.data["text/plain"] = "(a picture was left out: this notebook holds too many)"
