"""The attack suite, through `course collect` and `course grade`: nobody gets more than they should, and nobody else gets less."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests import golden
from tests.attacks.runner import (
    ATTACKS,
    GROUPS,
    HONEST,
    TIMED,
    class_harm,
    field_of_attack,
    grade_all,
    hand_in,
    harm,
    score_of,
)

pytestmark = [
    pytest.mark.xdist_group("attacks"),  # one class, graded once
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),  # about nbgrader's own queries
]


@pytest.fixture(scope="module")
def graded():
    """A class of hostile submissions with honest ones between them, graded once."""
    with (
        tempfile.TemporaryDirectory(prefix="at-", dir="/tmp") as folder,
        field_of_attack(Path(folder)) as ground,
    ):
        for student in HONEST:
            hand_in(ground, None, student)
        for attack in ATTACKS:
            hand_in(ground, attack, attack.name)
        grade_all(ground, jobs=4)  # more than processors: hostile submissions mostly wait for their limits
        yield ground


def test_the_suite_is_as_large_as_promised():
    groups = Counter(attack.group for attack in ATTACKS)
    assert sum(groups.values()) >= 60 and set(groups) == set(GROUPS) and min(groups.values()) >= 10
    assert all(attack.goal for attack in ATTACKS) and len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("name", [attack.name for attack in ATTACKS])
def test_an_attack_does_no_harm(graded, name):
    assert harm(graded, name) == []


def test_everybody_else_is_graded_in_full(graded):
    assert class_harm(graded) == []


def test_attacks_score_and_are_told_what_they_were(graded):
    """Which limit an attack of the kind "breaking" meets first is a matter of timing; "reading-open_files" reads the wake-ups of its
    own kernel away, which may then hear neither question nor interrupt; "reading-hint" shows this machine's frames: their scores
    are frozen, not their hints."""
    told = {
        whose: {
            name: re.sub(r"0x[0-9a-f]+|\S*/site-packages/|/\S*/(?=course/)", "…", hint)
            for name, hint in hints.items()
        }
        for whose, hints in golden.told_of(graded.course.classroom).items()
        if not whose.startswith((*TIMED, "reading-hint"))
    }
    found = {"scores": {a.name: score_of(graded, a.name) for a in ATTACKS}, "told": told}
    assert golden.frozen("attacks", found) == ""
