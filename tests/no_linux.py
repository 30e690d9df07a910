"""Where there is no Linux: this machine, made to look like another one to the course's own code.

`python -m tests.no_linux win32 CHECKOUT` runs the verbs there and prints what they said, as JSON. Python modules and functions
of the operating system that Windows (or macOS) lacks are hidden from `course` and `helpers`, also in processes that they start;
third parties keep theirs, since on such a system they bring other ones.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import pkgutil
import shutil
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

MODULES = {"win32": {"resource", "fcntl", "pwd", "grp", "termios", "pty", "curses"}, "darwin": set()}
FUNCTIONS = {
    "win32": [
        "sysconf",
        "getuid",
        "geteuid",
        "getpgid",
        "setsid",
        "killpg",
        "fork",
        "chown",
        "sched_getaffinity",
    ],
    "darwin": ["sched_getaffinity", "memfd_create", "O_PATH", "pidfd_open"],
}
OURS = ("course", "helpers")
THIRD = """
    IPython.display ipykernel ipywidgets jupyter_client.manager jupyter_client.provisioning jupytext matplotlib.pyplot
    mnist1d.data nbclient nbconvert.exporters nbgrader.apps nbgrader.api nbval numpy pandas psutil pygments.lexers rapidfuzz.fuzz
    openpyxl rich.table rich.status scipy.sparse sklearn.neural_network sphinx.application torch typer.testing yaml filelock sqlalchemy asyncio
    zmq.asyncio multiprocessing.pool concurrent.futures.process concurrent.futures.thread
"""


def ours(frame: FrameType | None) -> bool:
    """Tell whether a call comes from the course's own code, the standard library's helpers in between passed over."""
    while frame:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] in OURS:
            return True
        if name.partition(".")[0] not in (
            "pathlib",
            "os",
            "genericpath",
            "posixpath",
            "shutil",
            "glob",
            "tests",
            "io",
        ):
            return False
        frame = frame.f_back
    return False


def hide(platform: str) -> None:
    """Hide the modules, and /proc; to be called before anything of the course is imported."""
    importing = builtins.__import__

    def imported(name: str, globals: Any = None, *rest: Any, **words: Any) -> Any:
        who = str((globals or {}).get("__name__", ""))
        if name in MODULES[platform] and who.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, globals, *rest, **words)

    builtins.__import__ = imported
    for owner, name in ((builtins, "open"), (os, "listdir"), (os, "scandir"), (os, "stat"), (os, "readlink")):
        setattr(owner, name, _without_proc(getattr(owner, name)))


def _without_proc(function: Any) -> Any:
    def called(path: Any = ".", *rest: Any, **words: Any) -> Any:
        if (
            isinstance(path, (str, os.PathLike))
            and os.fspath(path).startswith("/proc")
            and ours(sys._getframe(1))
        ):
            raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
        return function(path, *rest, **words)

    return called


def become(platform: str) -> None:
    """Look like another system from here on: third parties that choose their parts by it are loaded first."""
    for name in THIRD.split():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    hide(platform)
    sys.platform = platform
    for name in FUNCTIONS[platform]:
        if hasattr(os, name):
            delattr(os, name)


def hidden() -> dict[str, bool]:
    """Try the disguise: what code of the course can see of this machine."""
    names: dict[str, Any] = {"__name__": "course.disguise"}
    exec("import os\ndef fcntl():\n    import fcntl\ndef proc():\n    os.listdir('/proc')", names)
    found = {}
    for name in ("fcntl", "proc"):
        try:
            names[name]()
            found[name] = True
        except (ModuleNotFoundError, FileNotFoundError):
            found[name] = False
    return {**found, "sysconf": hasattr(os, "sysconf"), "linux": sys.platform == "linux"}


def import_everything() -> list[str]:
    """Import every module of the course and its helpers; give those that fail."""
    failed = []
    for root in OURS:
        package = importlib.import_module(root)
        for module in pkgutil.walk_packages(package.__path__, f"{root}."):
            try:
                importlib.import_module(module.name)
            except Exception as error:
                failed.append(f"{module.name}: {type(error).__name__}: {error}")
    return failed


def say(*words: str) -> dict[str, Any]:
    """Run the `course` command."""
    from typer.testing import CliRunner

    from course.cli import app
    from course.model import CourseError

    result = CliRunner().invoke(app, list(words), catch_exceptions=True)
    error = result.exception
    said = result.output + (f"{error}" if isinstance(error, CourseError) else "")
    crash = ""
    if error and not isinstance(error, (CourseError, SystemExit)):
        crash = "".join(traceback.format_exception(error))
    return {"code": result.exit_code, "said": said, "crash": crash}


def checkout(root: Path) -> Course:
    """Put up a copy of this checkout with its first lesson, which may be changed."""
    here = load_course()
    lesson = here.lessons[0]
    for folder in ("helpers", "stand_ins", f"solutions/{lesson.name}", f"notebooks/{lesson.name}", "course"):
        shutil.copytree(
            here.root / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(here.root / file, root)
    return load_course(root, root / "classroom")


def verbs(platform: str, root: Path) -> dict[str, Any]:
    """Build, collect, report, write feedback, look at the machine and try to grade; give what each verb said."""
    course = checkout(root)
    lesson = course.lessons[0]
    cli.load_course = lambda *a, **k: course
    found: dict[str, Any] = {}
    found["build"] = say("build", "1", *(["--force"] if platform == "darwin" else []))
    handed = root / "class" / "ada" / f"{lesson.name}.ipynb"
    handed.parent.mkdir(parents=True)
    shutil.copy(course.release(lesson), handed)
    found["collect"] = say("collect", str(root / "class"))
    found["early report"] = say("report")
    register(course, lesson)  # graded elsewhere, the classroom brought here
    with opened(course) as gradebook:
        gradebook.add_student("ada")
        gradebook.add_submission(lesson.name, "ada")
    shutil.copytree(course.classroom / "submitted", course.classroom / "autograded")
    found["report"] = say("report")
    found["feedback"] = say("feedback")
    found["grade"] = say("grade")
    found["unsafe"] = say("grade", "--unsafe")
    found["doctor"] = say("doctor")
    return found


if __name__ == "__main__":
    become(sys.argv[1])
    failed = import_everything()
    from course import cli
    from course.config import load_course
    from course.grading.gradebook import opened, register
    from course.model import Course

    print(json.dumps({"seen": hidden(), "imports": failed, **verbs(sys.argv[1], Path(sys.argv[2]))}))
