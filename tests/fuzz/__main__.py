"""`make fuzz`: read thousands of mutated files; counts at the end, exit code 1 if anything is wrong."""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from course.intake.workers import Workers
from tests.damage.paper import tiny_paper
from tests.fuzz.mutations import archive, case
from tests.fuzz.oracle import asked, collected, faults, told


def main(files: int = 2400, archives: int = 200, seed: int = 0) -> int:
    """Run.

    Args:
        files: notebooks and scripts.
        archives: zips, half of them with YAML.
        seed: of the first file; the others follow.
    """
    found: Counter[str] = Counter()
    wrong: list[str] = []
    workers: Workers = Workers()
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder, "notebooks")
        paper = tiny_paper(release)
        words = asked(release)
        cases = ((n, case(paper, random.Random(n))) for n in range(seed, seed + files))
        for (number, made), said, body in workers.map(((n, c), words, c.data) for n, c in cases):
            found[told(dict(said))] += 1
            wrong += [f"seed {number}: {fault}" for fault in faults(made, dict(said), body)]
        rows: Counter[str] = Counter()
        for number in range(seed, seed + archives):
            try:
                rows += collected(
                    archive(paper, random.Random(number)),
                    "c.zip",
                    release,
                    Path(folder, str(number)),
                    workers,
                )
            except Exception as error:
                wrong.append(f"archive, seed {number}: {type(error).__name__}: {error}")
    workers.close()
    print(f"{files} files: " + ", ".join(f"{n} {word}" for word, n in found.most_common()))
    print(f"{archives} archives: " + ", ".join(f"{n} {word}" for word, n in rows.most_common()))
    print("\n".join(wrong[:40]) or "nothing raised, stalled, or lost an answer without a word")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
