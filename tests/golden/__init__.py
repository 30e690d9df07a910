"""What the sample class, the damage suite and the attack suite gave when it was last looked at: scores, triage, hints.

`GOLDEN=write make test` writes the files anew; what changed is then read in the diff before it is committed.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path

from course.store import RECEIPT

FOLDER = Path(__file__).parent


def frozen(name: str, found: dict) -> str:
    """Compare with a golden file, or write it if the environment's GOLDEN is "write".

    Args:
        name: of the file, without its ending.
        found: plain values.

    Returns:
        The differences as a diff; empty if there are none.
    """
    path = FOLDER / f"{name}.json"
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    old, new = path.read_text(encoding="utf-8").splitlines(), text.splitlines()
    return "\n".join(difflib.unified_diff(old, new, "golden", "found", lineterm="", n=3))


def triage_of(triage) -> list[dict]:
    """A triage as plain rows; times are left out, they are of the machine."""
    return [
        {
            "student": row.student,
            "lesson": row.lesson,
            "file": row.file,
            "status": row.status,
            "reason": row.reason,
            "repairs": list(row.repairs),
            "notes": list(row.notes),
            "findings": [str(finding) for finding in row.findings],
            "unanswered": list(row.unanswered),
        }
        for row in triage.rows
    ]


def told_of(classroom: Path) -> dict:
    """What each graded student was told by each check: "student/lesson" -> grade_id -> "passed" or the hint."""
    receipts = {
        "/".join(path.parts[-3:-1]): json.loads(path.read_text(encoding="utf-8"))["verdicts"]
        for path in sorted(classroom.glob(f"autograded/*/*/{RECEIPT}"))
    }
    return {
        whose: {
            name: "passed" if verdict["passed"] else verdict["hint"] for name, verdict in verdicts.items()
        }
        for whose, verdicts in receipts.items()
    }
