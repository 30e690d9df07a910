"""`make demo`: a messy sample class goes through collect, grade and feedback, and the grades are shown.

Run as `python -m tests.demo FOLDER`; the folder is made anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from course.config import CLASSROOM
from tests.sample_class import messy_zip, roster

STEPS = ("collect {zip} --roster {roster}", "grade 1 5", "feedback 1 5", "report")


def main(folder: Path) -> None:
    """Make the class, then run the same commands that an instructor types."""
    console = Console(highlight=False)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = {"zip": messy_zip(folder / "class.zip"), "roster": roster(folder / "roster.csv")}
    environment = {**os.environ, CLASSROOM: str(folder / "classroom")}
    for step in STEPS:
        words = step.format(**files).split()
        console.rule(f"course {' '.join(words)}")
        subprocess.run([Path(sys.executable).with_name("course"), *words], env=environment, check=True)
    console.print(
        f"\nFeedback pages: {folder / 'classroom' / 'feedback'}/<student>/<lesson>/<lesson>.html",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
