"""Nothing of one submission is visible to another, or changed by it: behind all walls, warm and cold."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.across import ATTACKS, Across, betrayed_alone, companies, harm
from tests.test_sandbox import WAYS

TRIED_ALONE = [attack for attack in ATTACKS if attack.alone]


@pytest.fixture(scope="module")
def host() -> Iterator[int]:
    """A process of the grader's that nobody may reach."""
    victim = subprocess.Popen(["sleep", "3600"])
    yield victim.pid
    assert victim.poll() is None
    victim.kill()
    victim.wait()


@pytest.fixture(scope="module")
def harm_of(host: int) -> Callable[[str, Across], list[str]]:
    """What harm an attack does, the company that it goes in being let loose once: all attacks of a way are tried by one worker."""

    @functools.cache
    def once(way: str, attacks: tuple[Across, ...]) -> dict[str, list[str]]:
        return harm(way, attacks, host)

    return lambda way, attack: once(way, next(c for c in companies() if attack in c))[attack.name]


@functools.cache
def betrayed(attacks: tuple[Across, ...]) -> set[str]:
    return betrayed_alone(attacks)


@pytest.mark.kernel
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_second_submission_betrays_nothing(way, attack, harm_of, monkeypatch):
    monkeypatch.setenv("CANARY_ACROSS", "a password")
    assert harm_of(way, attack) == []


@pytest.mark.slow
@pytest.mark.xdist_group("across alone")
@pytest.mark.parametrize("attack", TRIED_ALONE, ids=lambda attack: attack.name)
def test_without_walls_it_would(attack):
    """Each attack works where nothing stands in its way, also in its company: else its silence behind walls would say nothing."""
    company = next(c for c in companies() if attack in c)
    assert attack.name in betrayed(tuple(a for a in company if a.alone))


def test_they_are_as_many_as_promised():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 12
