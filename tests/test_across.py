"""Nothing of one submission is visible to another, or changed by it: behind all walls, warm and cold."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.attacks.across import ATTACKS, betrayed_alone, harm
from tests.test_sandbox import WAYS


@pytest.fixture(scope="module")
def host() -> Iterator[int]:
    """A process of the grader's that nobody may reach."""
    victim = subprocess.Popen(["sleep", "3600"])
    yield victim.pid
    assert victim.poll() is None
    victim.kill()
    victim.wait()


@pytest.mark.kernel
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_second_submission_betrays_nothing(way, attack, host, monkeypatch):
    monkeypatch.setenv("CANARY_ACROSS", "a password")
    assert harm(way, attack, host) == []


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.alone], ids=lambda attack: attack.name)
def test_without_walls_it_would(attack):
    """Each attack works where nothing stands in its way: else its silence behind walls would say nothing."""
    assert betrayed_alone(attack)


def test_they_are_as_many_as_promised():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 12
