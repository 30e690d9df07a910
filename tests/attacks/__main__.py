"""`python -m tests.attacks [NAME...]`: how the attacks fare with stock nbgrader and with ours, in two columns.

COURSE_SANDBOX=landlock and --cold choose how ours is run.

Stock nbgrader runs students' code unconfined. So that this stays harmless, each attack on it gets a throw-away
machine: bubblewrap around grader and all, with an empty /tmp and no network but its own loopback.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.attacks.runner import (
    ATTACKS,
    HONEST,
    class_harm,
    field_of_attack,
    grade_all,
    grade_all_stock,
    hand_in,
    harm,
)

MACHINE = [
    "bwrap",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--size",
    "4000000000",
    "--tmpfs",
    "/tmp",
    "--unshare-all",
    "--die-with-parent",
    "--setenv",
    "HOME",
    "/tmp",
    "--setenv",
    "COURSE_SANDBOX",
    "unsafe",
]
STOCK_SECONDS = 120


def ours(names: list[str], cold: bool = False) -> dict[str, list[str]]:
    """Grade the named attacks in one class with ours; give each one's harm, and the class's under the name ""."""
    with (
        tempfile.TemporaryDirectory(prefix="at-", dir="/tmp") as folder,
        field_of_attack(Path(folder)) as ground,
    ):
        for student in HONEST:
            hand_in(ground, None, student)
        for attack in ATTACKS:
            if attack.name in names:
                hand_in(ground, attack, attack.name)
        grade_all(ground, cold=cold)
        return {name: harm(ground, name) for name in names} | {"": class_harm(ground)}


def stock(name: str) -> list[str]:
    """Grade one attack and an honest submission with stock nbgrader on a throw-away machine; give the harm."""
    command = [*MACHINE, sys.executable, "-m", "tests.attacks", "--inside", name]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=STOCK_SECONDS, cwd=Path(__file__).parents[2]
        )
        return json.loads(run.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return ["grading never ended"]
    except (ValueError, IndexError):
        return [f"the grader ended with {run.returncode}"]


def inside(name: str) -> list[str]:
    """What `stock` does on its machine."""
    with (
        tempfile.TemporaryDirectory(prefix="at-", dir="/tmp") as folder,
        field_of_attack(Path(folder)) as ground,
    ):
        hand_in(ground, next(a for a in ATTACKS if a.name == name), name)
        hand_in(ground, None, "zoe")
        grade_all_stock(ground)
        return harm(ground, name) + class_harm(ground)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Run the attack suite.")
    parser.add_argument("names", nargs="*", help="attacks; all if none is named")
    parser.add_argument("--only", choices=["ours", "stock"], help="one column instead of two")
    parser.add_argument("--cold", action="store_true", help="start every kernel by itself")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(inside(options.inside)))
        return
    names = options.names or [attack.name for attack in ATTACKS]
    if strangers := set(names) - {attack.name for attack in ATTACKS}:
        parser.error(f"there is no attack called {', '.join(sorted(strangers))}")
    columns: dict[str, dict[str, list[str]]] = {}
    if options.only != "ours":
        with ThreadPoolExecutor(2) as pool:
            columns["stock nbgrader"] = dict(
                zip(names, track(pool.map(stock, names), "stock nbgrader", len(names)), strict=True)
            )
    if options.only != "stock":
        columns["ours"] = ours(names, options.cold)
    table = Table("attack", "success would be", *columns)
    for attack in ATTACKS:
        if attack.name in names:
            table.add_row(
                attack.name, attack.goal, *("; ".join(c[attack.name]) or "-" for c in columns.values())
            )
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(table)
    for title, column in columns.items():
        hits = sum(bool(column[name]) for name in names)
        console.print(f"{title}: {hits} of {len(names)} succeed. {'; '.join(column.get('', []))}")


if __name__ == "__main__":
    main()
