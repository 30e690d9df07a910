"""`course publish`: the learners' repository on disk, after a look at whether it gives anything away.

All files are made and looked at first, then written beside their places, and last moved in one after the other. What an
earlier publication holds is noted in it (`.published.json`): so it is known again, what has changed is told, and a file that
somebody changed there by hand is not lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from course.editions import leaks, learner
from course.editions.address import parsed
from course.model import Course, CourseError, Lesson
from course.store import write_text

NOTE = ".published.json"
KEPT = (".git", NOTE)
SHOWN = 10  # leaks that are listed before "and more"


@dataclass(frozen=True)
class Published:
    """What publishing did.

    Args:
        added, changed, removed: paths.
        files: how many there are now.
        secrets: kind -> how many were looked for in each of them.
        left_out: stand-ins for answers that learners do not get.
        others: files in the folder that are none of ours, left as they are.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    files: int
    secrets: Mapping[str, int]
    left_out: tuple[str, ...]
    others: tuple[str, ...]


def publish(
    course: Course,
    folder: Path,
    target: str = "",
    stand_ins: bool = False,
    told: Callable[[Lesson], None] = lambda lesson: None,
) -> Published:
    """Write the student edition as a repository of its own, or bring it up to date.

    Args:
        course: the checkout, every written lesson built.
        folder: where to: not there yet, empty but for .git, or an earlier publication.
        target: OWNER/NAME or OWNER/NAME@REF under which learners will find it; the course's own address if empty.
        stand_ins: whether data files that stand in for answers are part of it.
        told: is told each lesson when its notebook is made.

    Returns:
        What was done.

    Raises:
        CourseError: if the folder is something else, if a lesson is not built, or if anything would be given away; nothing is written then.
    """
    noted = earlier(course, folder)
    where = parsed(target) if target else (course.repository, course.ref)
    files = learner.repository(course, *where, told, stand_ins)
    secrets = [secret for lesson in course.written for secret in leaks.secrets(course, lesson)]
    holding = learner.standing_in(course)
    checked = {name: content for name, content in files.items() if name not in holding}
    if found := leaks.leaks(checked, secrets):
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise CourseError(
            "nothing was published, since it would give away:\n  "
            + "\n  ".join(map(str, found[:SHOWN]))
            + more
            + "\nMend the file; a line that learners may see stands in [tool.course.given] of pyproject.toml, with the reason."
        )
    edited = [
        name
        for name, digest in noted.items()
        if (folder / name).is_file()
        and _digest((folder / name).read_bytes()) not in (digest, _digest(files.get(name, b"")))
    ]
    if edited:
        raise CourseError(
            f"{folder / edited[0]} was changed after it was published: take the change over into the course, then delete the file there, "
            f"and publish again{f' ({len(edited)} files: ' + ', '.join(edited) + ')' if edited[1:] else ''}"
        )
    done = _write(folder, files, noted)
    others = tuple(
        sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file()
            and path.relative_to(folder).parts[0] not in KEPT
            and path.relative_to(folder).as_posix() not in files
        )
    )
    left_out = () if stand_ins else tuple(holding)
    return Published(*done, len(files), leaks.counted(secrets), left_out, others)


def earlier(course: Course, folder: Path) -> dict[str, str]:
    """What an earlier publication noted of itself.

    Args:
        course: the checkout.
        folder: where something is to be published.

    Returns:
        Path -> digest; empty where there is nothing yet.

    Raises:
        CourseError: if the folder is something else.
    """
    if folder.resolve() in (course.root, *course.root.parents):
        raise CourseError(f"{folder} is the course itself, or holds it: name a folder of its own")
    if folder.exists() and not folder.is_dir():
        raise CourseError(f"{folder} is a file: name a folder")
    if not folder.exists() or not [path for path in folder.iterdir() if path.name != ".git"]:
        return {}
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in note["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CourseError(
            f"{folder} holds something that `course publish` has not written (it has no readable {NOTE}): name an empty folder, "
            "or one that was published to before"
        ) from None


def _write(
    folder: Path, files: Mapping[str, bytes], noted: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Put the files in their places; give the paths that were added, changed and removed."""
    digests = {name: _digest(content) for name, content in files.items()}
    before = {name: _digest((folder / name).read_bytes()) for name in files if (folder / name).is_file()}
    added = tuple(sorted(files.keys() - before.keys()))
    changed = tuple(sorted(name for name in before if before[name] != digests[name]))
    removed = tuple(sorted(name for name in noted.keys() - files.keys() if (folder / name).is_file()))
    parent = folder.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name[:40]}-", dir=parent) as room:
        fresh = Path(room, "fresh")
        for name in files if not folder.exists() else (*added, *changed):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(files[name])
        if not folder.exists():
            write_text(fresh / NOTE, _note(digests))
            fresh.chmod(0o755)
            fresh.rename(folder)
            return added, changed, removed
        # Stopped from here on, it is still known as a publication: of both, the old and the new.
        write_text(folder / NOTE, _note({**noted, **{name: digests[name] for name in added}}))
        for name in (*added, *changed):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / name, folder / name)
        for name in removed:
            (folder / name).unlink()
            _prune(folder, Path(name).parent)
    write_text(folder / NOTE, _note(digests))
    return added, changed, removed


def _prune(folder: Path, inner: Path) -> None:
    """Remove folders that have become empty."""
    for part in (inner, *inner.parents):
        place = folder / part
        if place == folder or any(place.iterdir()):
            return
        shutil.rmtree(place)


def _note(digests: Mapping[str, str]) -> str:
    told = "Written by `course publish`, which knows its own files by it."
    return json.dumps({"note": told, "files": dict(sorted(digests.items()))}, indent=1) + "\n"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
