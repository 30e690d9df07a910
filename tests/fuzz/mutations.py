"""What can happen to a file between a student's hands and ours, at random; and what is still whole in it afterwards."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.damage import platforms
from tests.damage.dialects import DIALECTS
from tests.damage.paper import Paper
from tests.damage.recipes import written

NASTY = [
    "(" * 3000,
    "x =%'''",
    "np" + ".a" * 700 + " = 1",
    "\n".join(["!true"] * 501),
    "-" * 20_000 + "1",
    "f'{" * 150,
    "\x00",
    "\ud800",
    "'''",
    "%md",
    "### BEGIN SOLUTION",
    "# %%",
    "@app.cell\ndef _(:",
    "\u202e\u00a0“",
    "def " + "x" * 5000,
    "=" * 9000,
    "\\" * 9000,
    "a = " * 3000,
    "[" * 900 + "]" * 900,
    "\f\v\x1c",
]
VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    300_000_000,
    "",
    "code",
    [],
    {},
    [[]],
    {"a": 1},
    "x" * 5000,
    ["a", 1, None],
    "\ud800",
]


@dataclass(frozen=True)
class Case:
    """One file as it arrives.

    Args:
        data: its bytes.
        name: its name.
        whole: grade_id -> source of the answers that stand in a cell of their own, unchanged, with nothing else that answers the same.
    """

    data: bytes
    name: str
    whole: dict[str, str]


def case(paper: Paper, rng: random.Random) -> Case:
    """Make one."""
    make: Callable[[Paper, random.Random], Case] = rng.choices([cells, script, raw], [5, 3, 2])[0]
    return make(paper, rng)


def cells(paper: Paper, rng: random.Random) -> Case:
    """A notebook whose cells were lost, copied, moved, retyped, emptied, joined by nasty ones."""
    notebook = paper.solved()
    touched: set[str] = set()
    names = {id(c): c["metadata"].get("nbgrader", {}).get("grade_id", "") for c in notebook["cells"]}
    for _ in range(rng.randrange(1, 8)):
        if not notebook["cells"]:
            break
        at = rng.randrange(len(notebook["cells"]))
        cell = notebook["cells"][at]
        name = names.get(id(cell), "")
        what = rng.randrange(9)
        if what == 0:
            del notebook["cells"][at]
            touched.add(name)
        elif what == 1:
            notebook["cells"].insert(rng.randrange(len(notebook["cells"])), copy.deepcopy(cell))
        elif what == 2:
            rng.shuffle(notebook["cells"])
        elif what == 3 and isinstance(cell, dict):
            cell[rng.choice(["metadata", "outputs", "id", "execution_count", "attachments", "level"])] = (
                rng.choice(VALUES)
            )
        elif what == 4 and isinstance(cell, dict):
            cell[rng.choice(["cell_type", "source"])] = rng.choice(VALUES)
            touched.add(name)
        elif what == 5:
            source = rng.choice(NASTY)
            kind = rng.choice(["code", "markdown", "raw", "heading"])
            notebook["cells"].insert(
                at, {"cell_type": kind, "metadata": {}, "source": source, "level": rng.choice(VALUES)}
            )
        elif what == 6:
            notebook["cells"].insert(at, rng.choice(VALUES))
        elif what == 7 and isinstance(cell, dict) and isinstance(cell.get("source"), str):
            cell["source"] += rng.choice(NASTY)
            touched.add(name)
        else:
            notebook[rng.choice(["metadata", "nbformat", "nbformat_minor", "worksheets", "x"])] = rng.choice(
                VALUES
            )
    return Case(_dumped(notebook), "a.ipynb", _whole(paper, notebook, touched))


def _whole(
    paper: Paper, notebook: object, touched: frozenset[str] | set[str] = frozenset()
) -> dict[str, str]:
    """The answers that still stand in a cell of their own."""
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    left = [c for c in cells if isinstance(c, dict)] if isinstance(cells, list) else []
    sources = {
        (c.get("cell_type"), "".join(c["source"]))
        for c in left
        if _is_text(c.get("source")) and isinstance(c.get("cell_type"), str)
    }
    return {
        slot.grade_id: source
        for slot in paper.edition.answers
        if slot.grade_id not in touched and (slot.kind, source := paper.answers[slot.grade_id]) in sources
    }


def _is_text(source: object) -> bool:
    return isinstance(source, str) or (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    )


def script(paper: Paper, rng: random.Random) -> Case:
    """A script in some dialect, with lines lost, doubled, and nasty ones between."""
    lines = DIALECTS[rng.choice(list(DIALECTS))](paper.solved()).splitlines()
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(lines))
        what = rng.randrange(4)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(at, rng.choice(NASTY))
        elif what == 2:
            lines.insert(at, lines[rng.randrange(len(lines))])
        else:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
    text = "\n".join(lines)
    whole = {
        slot.grade_id: source for slot in paper.exercises if (source := paper.answers[slot.grade_id]) in text
    }
    return Case(text.encode("utf-8", "surrogatepass"), "a.py", whole)


def raw(paper: Paper, rng: random.Random) -> Case:
    """The bytes themselves: cut, bent, filled, another encoding."""
    data = bytearray(written(paper.solved()))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(5)
        if what == 0:
            data[at:at] = rng.randbytes(rng.randrange(30))
        elif what == 1:
            del data[at : at + rng.randrange(300)]
        elif what == 2:
            data[at:at] = rng.choice(NASTY).encode("utf-8", "surrogatepass")
        elif what == 3:
            data[at:at] = rng.choice([b'"', b"{", b"[" * 500, b",", b"\\", b"\0", b'{"cell_type":'])
        else:
            del data[rng.randrange(len(data) // 2, len(data)) :]
    made = bytes(data)
    if rng.random() < 0.2:
        made = made.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))
    whole: dict[str, str] = {}
    with contextlib.suppress(ValueError, RecursionError):
        whole = _whole(paper, json.loads(made))
    return Case(made, rng.choice(["a.ipynb", "a.ipynb.txt", "a.json", "a.py"]), whole)


def archive(paper: Paper, rng: random.Random) -> bytes:
    """A zip of a class whose names and bytes are bent; it may hold platforms' own files."""
    names = [
        "Anna_1_assignsubmission_file_/a.ipynb",
        "ben/b.ipynb",
        "x/../../c.ipynb",
        "d" * 300 + "/d.ipynb",
        "e/e.zip",
        "\u202ef/f.py",
    ]
    files = {name: case(paper, rng).data for name in rng.sample(names, rng.randrange(1, len(names)))}
    if rng.random() < 0.5:
        files["assignment_1_export/submission_metadata.yml"] = yaml_text(rng).encode("utf-8", "surrogatepass")
        files["assignment_1_export/submission_1/a.ipynb"] = written(paper.solved())
        files["ben/submission_metadata.yml"] = yaml_text(rng).encode("utf-8", "surrogatepass")
        files["ben/timestamp.txt"] = rng.choice(NASTY).encode("utf-8", "surrogatepass")
    data = bytearray(platforms.zipped(files))
    for _ in range(rng.choice([0, 0, 1, 5])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def yaml_text(rng: random.Random) -> str:
    """YAML with all that a reader may stumble over."""
    pieces = [
        "a: !!bool maybe",
        "b: !!timestamp soon",
        "c: !!int three",
        "d: !!float [1]",
        "e: &e [*e, *e]",
        "f: {<<: *e}",
        "<<: [1]",
        ": :",
        "- - - -",
        "submission_1:\n  :submitters:\n  - :name: Anna\n    :sid: 7",
        "submission_1: !ruby/object:A {x: !!binary '~'}",
        "\t",
        "a" * 3000 + ": 1",
        "[" * 400,
        "? {a: b} : c",
        "g: !!python/object/apply:os.system [true]",
        "\u2028: \x07",
    ]
    bomb = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9))
    return "---\n" + "\n".join(rng.choices([*pieces, f"l0: &l0 x\n{bomb}"], k=rng.randrange(1, 8)))


def _dumped(notebook: dict) -> bytes:
    return json.dumps(notebook).encode()
