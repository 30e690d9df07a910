"""Print what the lanes ran with and what came of it, as a table; 1 if one of them found something, or none ran.

python lanes/table.py [--write]      --write puts the table into lanes/README.md as well
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from course.config import load_course

ROOM = Path(__file__).parents[1] / "build" / "lanes"
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- made by lanes/table.py --write -->\n", "<!-- end -->\n"
PASSED, NOT_RUN = FINE = ("passed", "could not run")


def main() -> int:
    """Print the table."""
    lanes, lessons = results(), len(load_course().written)
    lines = rows(lanes, lessons)
    table = Table("", *lanes)
    for name, cells in lines.items():
        table.add_row(name, *cells)
    Console(width=max(100, 16 * len(lanes) + 32), markup=False).print(table)
    told = remarks(lanes)
    print("\n".join(told))
    if "--write" in sys.argv[1:]:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        README.write_text(before + BEGIN + markdown(lines, list(lanes), told) + END + after, encoding="utf-8")
    return not lanes or any(outcome(lane, lessons) not in FINE for lane in lanes.values())


def results() -> dict[str, dict[str, Any]]:
    """What was written down, by lane; the parts of a lane are put together."""
    lanes: dict[str, dict[str, Any]] = {}
    for path in sorted(ROOM.glob("*.json")):
        part = json.loads(path.read_text(encoding="utf-8"))
        lane = lanes.setdefault(part["lane"], {})
        lane.update(part, date=max(part["date"], lane.get("date", "")))
    return lanes


def problems(lane: dict[str, Any]) -> list[str]:
    """What is not as it should be in a lane, a line each."""
    cells = [
        f"{lesson}, {edition}: {problem}"
        for lesson, editions in lane.get("ran", {}).items()
        for edition, found in editions.items()
        for problem in found
    ]
    return cells + lane.get("imports", []) + lane.get("problems", [])


def outcome(lane: dict[str, Any], lessons: int) -> str:
    """What came of a lane in a few words; one of FINE if nothing is to be mended."""
    if found := problems(lane):
        return f"{len(found)} problems"
    if "not_run" in lane:
        return NOT_RUN
    # The lessons' part is whole when the import of every module was tried at its end; other parts are written down in one go.
    stopped = "ran" in lane and (len(lane["ran"]) < lessons or "imports" not in lane)
    return "stopped" if stopped else PASSED


def rows(lanes: dict[str, dict[str, Any]], lessons: int) -> dict[str, list[str]]:
    """The table's lines by name, a cell a lane.

    Args:
        lanes: what `results` gives.
        lessons: how many there are.
    """
    names = dict.fromkeys(name for lane in lanes.values() for name in lane.get("versions", {}))
    lines = {name: [lane.get("versions", {}).get(name, "") for lane in lanes.values()] for name in names}
    lines["lessons run, solved and blank"] = [_share(lane.get("ran", {}), lessons) for lane in lanes.values()]
    lines["lessons graded, solved and blank"] = [
        f"{_share(lane['graded'], lessons)} ({lane['sandbox']})" if "graded" in lane else ""
        for lane in lanes.values()
    ]
    lines["outcome"] = [outcome(lane, lessons) for lane in lanes.values()]
    lines["on"] = [lane["date"] for lane in lanes.values()]
    return lines


def remarks(lanes: dict[str, dict[str, Any]]) -> list[str]:
    """Everything that is not as it should be, why a lane could not run, and which did not, a line each."""
    scripts = {path.stem for path in README.parent.glob("*.sh")} - {"all"}
    missing = ", ".join(sorted(scripts - set(lanes)))
    return [f"without a result here: {missing}"] * bool(missing) + [
        f"{name}: {said}"
        for name, lane in lanes.items()
        for said in [*([lane["not_run"]] if "not_run" in lane else []), *problems(lane)]
    ]


def markdown(lines: dict[str, list[str]], lanes: list[str], told: list[str]) -> str:
    """The same for a page."""
    table = [["", *(f"`{lane}`" for lane in lanes)], ["---"] * (len(lanes) + 1)]
    table += [[name, *cells] for name, cells in lines.items()]
    text = "".join("| " + " | ".join(row) + " |\n" for row in table)
    return "\n" + text + "\n" + "".join(f"- {line}\n" for line in told) + ("\n" if told else "")


def _share(found: Any, lessons: int) -> str:
    return f"{len(found)} of {lessons}" if found else ""


if __name__ == "__main__":
    sys.exit(main())
