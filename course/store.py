"""Files that are there whole, or as they were; notebooks whose bytes depend on nothing but their content."""

from __future__ import annotations

import json
from pathlib import Path

from nbformat import NotebookNode


def notebook_text(notebook: NotebookNode) -> str:
    """A notebook as text, keys sorted, one newline at the end."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> bool:
    """Write a file only where its text changes; the old one stays until the new one is whole.

    Args:
        path: of the file; its folder is made.
        text: the whole content, written as UTF-8.

    Returns:
        Whether the file changed.
    """
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return True
