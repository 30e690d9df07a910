"""Print what the lanes ran with and what came of it, as a table; 1 if one of them found something, or none ran.

python lanes/table.py
"""

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOM = Path(__file__).parents[1] / "build" / "lanes"


def main() -> int:
    """Print the table."""
    lanes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(ROOM.glob("*.json"))]
    runs = [lane for lane in lanes if "versions" in lane]
    names = list(dict.fromkeys(name for lane in runs for name in lane["versions"]))
    table = Table("", *(lane["lane"] for lane in runs))
    for name in names:
        table.add_row(name, *(lane["versions"].get(name, "") for lane in runs))
    table.add_section()
    table.add_row("lessons, both editions", *(str(len(lane["ran"])) for lane in runs))
    table.add_row("not as it should be", *(str(len(lane["problems"])) for lane in runs))
    Console(width=max(100, 14 * len(runs) + 30), markup=False).print(table)
    for lane in lanes:
        if "sandbox" in lane:
            print(f"{lane['lane']}: graded in {lane['sandbox']}: {len(lane['problems'])} problems")
        for problem in lane["problems"]:
            print(f"{lane['lane']}: {problem}")
    return not lanes or any(lane["problems"] for lane in lanes)


if __name__ == "__main__":
    sys.exit(main())
