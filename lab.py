"""Lay the lessons out in a folder of your own, `my-lessons/`, and open JupyterLab there: `make lab`, or `python lab.py`.

What you work on is a copy that git does not know: `git pull` brings new lessons and never touches it. Where a lesson
that you have begun has a newer release, that is laid beside yours.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OWN = ROOT / "my-lessons"
RECORD = ".released.json"  # lesson -> digest of the release that was laid out last
FIRST = "notebooks/01_iterated_convolution/01_iterated_convolution.ipynb"


def lay_out(root: Path, own: Path) -> list[str]:
    """Copy the student edition and the pages that it links to; what a learner has changed is never written over.

    Args:
        root: the checkout.
        own: the learner's folder; made if it is not there.

    Returns:
        What is worth saying, a sentence each.
    """
    record = own / RECORD
    before = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    said, released, linked = [], {}, set()
    for path in sorted((root / "notebooks").rglob("*")):
        if not path.is_file() or ".ipynb_checkpoints" in path.parts:
            continue
        name = path.relative_to(root).as_posix()
        released[name] = _digest(path)
        if path.suffix == ".ipynb":
            linked |= set(re.findall(r"\]\(\.\./\.\./(docs/[\w/]+\.md)", path.read_text(encoding="utf-8")))
        mine = own / name
        if mine.exists() and released[name] in (before.get(name), _digest(mine)):
            continue  # nothing new
        if not mine.exists() or _digest(mine) == before.get(name):
            _copy(path, mine)
        else:
            beside = _beside(mine, released[name])
            _copy(path, beside)
            said.append(f"{mine.name} has a newer release: it lies beside yours, as {beside.name}.")
    for page in sorted(linked):
        if (root / page).is_file():
            _copy(root / page, own / page)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(released, indent=1), encoding="utf-8")
    return said


def _beside(mine: Path, digest: str) -> Path:
    """A free name beside a learner's file."""
    number = 1
    while True:
        path = mine.with_name(f"{mine.stem}-newer{'' if number == 1 else f'-{number}'}{mine.suffix}")
        if not path.exists() or _digest(path) == digest:
            return path
        number += 1


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    """Lay the lessons out, say what is new, and open JupyterLab; further words go to it."""
    for sentence in lay_out(ROOT, OWN):
        print(sentence)
    print(f"Your lessons lie in {OWN}.")
    lab = [
        sys.executable,
        "-m",
        "jupyterlab",  # `jupyter lab` would look for it on the path, and may find another Python's
        f"--ServerApp.root_dir={OWN}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
    ]
    return subprocess.run([*lab, *sys.argv[1:]], cwd=OWN).returncode


if __name__ == "__main__":
    sys.exit(main())
