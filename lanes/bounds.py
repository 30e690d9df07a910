"""Say of every requirement that a pyproject.toml states which version is installed, and refuse one above its lower bound.

python lanes/bounds.py pyproject.toml
"""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ANY = {
    "torch",
    "skip-connections",
}  # the oldest torch may have no CPU build here; the other one is this checkout


def above(project: Path) -> list[str]:
    """Requirements whose installed version is not the lowest that is stated, a sentence each; prints all."""
    stated = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    lines = [*stated["dependencies"], *stated.get("optional-dependencies", {}).get("lab", [])]
    found = []
    for requirement in map(Requirement, lines):
        here = Version(version(requirement.name))
        lowest = min((Version(s.version) for s in requirement.specifier if s.operator == ">="), default=here)
        print(f"{requirement.name}: at least {lowest}, here {here}")
        # 4.2 is met by the first release 4.2.x that was not withdrawn.
        if requirement.name not in ANY and here.release[: len(lowest.release)] != lowest.release:
            found.append(f"{requirement.name}: no version {lowest} can be had; {project} should state {here}")
    return found


if __name__ == "__main__":
    problems = above(Path(sys.argv[1]))
    print("\n".join(problems))
    sys.exit(bool(problems))
