"""The bootstrap cell in Colab: where helpers cannot be installed, it says in one sentence why, in front of real git and pip."""

import http.server
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from course.config import load_course
from course.editions.source import read_lesson

COURSE = replace(load_course(), repository="ada/skips", ref="term-2027")
CELL = next(c for c in read_lesson(COURSE, COURSE.lessons[0]).cells if c.id == "bootstrap").source
HOME = "https://github.com/ada/skips"
# As if helpers were not installed; a learner's kernel has no terminal that git could ask for a password.
WITHOUT = "import sys, types\nsys.modules['helpers'] = None\n"
COLAB = "sys.modules['google.colab'] = types.ModuleType('google.colab')\n"


class Private(http.server.BaseHTTPRequestHandler):
    """GitHub's answer to somebody unknown who asks for a private repository, or for one that is not there."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit."""
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True)
    return f"file://{tmp_path}"


@pytest.fixture
def private():
    """The address of a server that lets nobody in."""
    with http.server.HTTPServer(("127.0.0.1", 0), Private) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ada/skips"
        server.shutdown()


def said(tmp_path, address, before=WITHOUT + COLAB):
    """Run the cell where git takes one address for another; give the last line that a learner sees."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{address}"]\n\tinsteadOf = {HOME}\n')
    run = subprocess.run(
        [os.environ.get("LANE_PYTHON", sys.executable), "-c", before + CELL],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": str(config)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and "During handling" not in run.stderr
    return run.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_wrong_ref_is_named(tmp_path, repository):
    assert said(tmp_path, repository) == (
        "RuntimeError: helpers could not be installed: there is no branch, tag or commit term-2027 in "
        f"{HOME}: ask for this lesson's present link"
    )


@pytest.mark.slow
def test_a_private_repository_is_named(tmp_path, private):
    assert said(tmp_path, private) == (
        f"RuntimeError: helpers could not be installed: {HOME} is private, or is not there: ask whoever gave you this lesson for access"
    )


@pytest.mark.slow
def test_a_machine_that_is_offline_is_told_so(tmp_path):
    assert said(tmp_path, "https://nowhere.invalid/ada/skips") == (
        "RuntimeError: helpers could not be installed: this machine is offline: connect it, then run this cell again"
    )


@pytest.mark.slow
def test_anything_else_is_said_in_the_words_of_pip(tmp_path):
    assert "could not be installed: pip says: " in said(tmp_path, f"file://{tmp_path}/nothing")


def test_elsewhere_than_in_colab_make_lab_is_the_way(tmp_path):
    assert said(tmp_path, HOME, WITHOUT) == (
        "ModuleNotFoundError: helpers is missing: run `make lab` in the course's folder and open this notebook there"
    )
