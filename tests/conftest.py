"""Fixtures that several tests share, and the marks of those that start kernels or are slow.

`make quick` runs what is not marked. There a kernel that is started all the same is refused, so that the marks stay true.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import LocalProvisioner
from playwright.sync_api import Browser, Page

from course.config import load_course
from course.grading import kernel
from course.grading.template import TEMPLATES, Template
from course.model import Course
from tests import browser

# As `make test` does, before torch is imported: several tests run at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A blocking client would wait for the next output of an endless loop, and never interrupt it.
CLIENT = "jupyter_client.asynchronous.AsyncKernelClient"
# Modules whose tests start kernels: all of them, or those that use one of these fixtures. Single tests are marked where they stand.
ALL = {"request"}  # which the fixture below gives to every test
KERNELS = {
    "test_attacks": ALL,
    "test_grading": ALL,
    "test_sandbox": {"told", "walls"},
    "test_store": {"course"},  # a class that is collected and recorded in whole: seconds each
}
# A thousand answers, a published copy, browsers, mutated files. Single tests of over a second are marked where they stand.
SLOW = {"test_wrong_answers", "test_publish", "test_accessibility", "test_desk_browser", "test_fuzz"}
# Made in seconds and used by many: one worker makes them, and gets all tests that use them.
SHARED = {"published", "suite"}


def together(item: pytest.Item) -> str:
    """The group of tests with which one shares what takes seconds to make, "" if there is none.

    That is a notebook's kernel; a fixture; or, by the walls of its parameters, a template behind Landlock, or the trial that
    precedes a cold start.
    """
    if item.path.suffix == ".ipynb":
        return item.path.name
    for fixture in SHARED & set(getattr(item, "fixturenames", ())):
        return fixture
    for value in getattr(getattr(item, "callspec", None), "params", {}).values():
        walls, _, how = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if walls == "landlock":
            return walls
        if how in ("cold", "warm"):
            return value
    return ""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts kernels, and what is slow, by module and by fixture; and what shares something."""
    for item in items:
        if (group := together(item)) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group))
        module = item.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
        if KERNELS.get(module, set()) & set(getattr(item, "fixturenames", ())):
            item.add_marker("kernel")
        if module in SLOW:
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """nbgrader starts a program for every new gradebook, to ask for a number that is always the same: once is enough here."""
    if api := sys.modules.get("nbgrader.api"):
        api.get_alembic_version = functools.cache(api.get_alembic_version)


@pytest.fixture(autouse=True)
def no_kernel_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse a kernel to a test that is not marked; to one that is, a template that an attack of another test killed is forgiven."""
    if request.node.get_closest_marker("kernel"):
        TEMPLATES._failed.clear()
        return

    def refuse(*words: object, **more: object) -> None:
        raise AssertionError("this test starts a kernel: mark it with @pytest.mark.kernel")

    for owner, name in ((LocalProvisioner, "launch_kernel"), (kernel, "Started"), (Template, "fork")):
        monkeypatch.setattr(owner, name, refuse)


@pytest.fixture(scope="session")
def plain_kernel() -> Iterator[KernelManager]:
    """A kernel as Jupyter starts one, for one notebook after the other, since imports are dear: each begins with `jobs.EMPTIED`."""
    manager = KernelManager(kernel_name="python3", client_class=CLIENT)
    words = ["--HistoryManager.hist_file=:memory:", "--log-level=ERROR"]
    manager.start_kernel(
        extra_arguments=words, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=str(load_course().root)
    )
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="session")
def course() -> Course:
    """This checkout."""
    return load_course()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    with browser.started() as started:
        yield started


@pytest.fixture
def tab(chromium: Browser) -> Iterator[tuple[Page, list[str], list[str]]]:
    """A page, and what it complained of and asked for."""
    with browser.tab_of(chromium) as opened:
        yield opened.page, opened.said, opened.asked


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The website as `make site` builds it: who uses it belongs to the group "site", so that it is built once."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [Path(sys.executable).with_name("course"), "site", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder
