"""environment.yml under conda-forge: resolved by conda's own kind of solver for every Python that it allows, if the channel can be had.

python lanes/conda.py

Without the channel each line is still read as conda reads it (that it asks for what pyproject.toml asks for is a test's matter); then
this lane could not run, which is said, written down and told by exit code 77.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import yaml
from lessons import write
from rattler import BuildString, Gateway, GenericVirtualPackage, MatchSpec, PackageName, Version, solve
from rattler.exceptions import FetchRepoDataError, GatewayError, SolverError

NOT_RUN = 77  # the exit code of a lane that could not run
PYTHONS = ("3.11", "3.12", "3.13")
# What packages may ask of a system, by name and version.
PLATFORMS = {
    "linux-64": (("__unix", "0"), ("__linux", "5.15"), ("__glibc", "2.35")),
    "osx-arm64": (("__unix", "0"), ("__osx", "14.0")),
    "win-64": (("__win", "10"),),
}
SHOWN = (
    "python",
    "numpy",
    "scipy",
    "pytorch",
    "matplotlib-base",
    "ipython",
    "ipywidgets",
    "scikit-learn",
    "jupyterlab",
    "nbgrader",
)


async def resolved(specs: list[MatchSpec], python: str, platform: str) -> dict[str, str]:
    """The versions that a solver chooses."""
    records = await solve(
        ["conda-forge"],
        [*specs, MatchSpec(f"python {python}.*")],
        gateway=Gateway(),
        platforms=[platform, "noarch"],
        virtual_packages=[
            GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))
            for name, version in PLATFORMS[platform]
        ],
    )
    return {record.name.normalized: str(record.version) for record in records}


def main() -> int:
    """Resolve; 0 if every Python on every platform has a solution, 77 if the channel cannot be had."""
    root = Path(__file__).parents[1]
    lines = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    specs = [MatchSpec(line) for line in lines if isinstance(line, str)]
    print(f"{len(specs)} lines of environment.yml are match specifications of conda")
    versions: dict[str, str] = {}
    problems: list[str] = []
    for platform in PLATFORMS:
        for python in PYTHONS:
            what = f"{platform}, Python {python}"
            try:
                found = asyncio.run(resolved(specs, python, platform))
            except SolverError as error:
                problems.append(f"{what}: no solution: {' '.join(str(error).split())[:500]}")
                print(problems[-1])
                continue
            except (FetchRepoDataError, GatewayError, OSError) as error:
                why = f"conda-forge cannot be had here: the {len(specs)} lines of environment.yml were read, not resolved"
                print(f"{why} ({str(error).splitlines()[0][:100]})")
                write("conda", "", not_run=why)
                return NOT_RUN
            print(f"{what}: " + ", ".join(f"{name} {found[name]}" for name in SHOWN if name in found))
            versions = {name: found[name] for name in SHOWN if name in found}
    write("conda", "", versions=versions, problems=problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
