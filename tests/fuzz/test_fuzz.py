"""A few hundred of the thousands that `make fuzz` reads."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.intake.workers import shared_workers
from tests.damage.paper import tiny_paper
from tests.damage.recipes import written
from tests.fuzz.mutations import Case, archive, case
from tests.fuzz.oracle import asked, collected, faults

SEEDS = st.integers(0, 2**32)
OFTEN = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SELDOM = settings(OFTEN, max_examples=25)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Two tiny lessons."""
    return tmp_path_factory.mktemp("fuzz") / "notebooks"


@pytest.fixture(scope="module")
def paper(release):
    """The first of them, solved."""
    return tiny_paper(release)


@OFTEN
@given(seed=SEEDS)
def test_no_mutated_file_raises_stalls_or_loses_an_answer_without_a_word(paper, release, seed):
    made = case(paper, random.Random(seed))
    words, body = shared_workers().ask(asked(release), made.data)
    assert faults(made, dict(words), body) == []


@SELDOM
@given(seed=SEEDS)
def test_no_mutated_archive_or_yaml_stops_collecting(paper, release, tmp_path_factory, seed):
    data = archive(paper, random.Random(seed))
    assert collected(data, "c.zip", release, tmp_path_factory.mktemp("room") / "r", shared_workers())


def test_the_oracle_sees_an_answer_taken_away_and_a_file_given_up(paper, release):
    solved = written(paper.solved())
    words, body = shared_workers().ask(asked(release), solved)
    whole = dict(paper.answers)
    assert faults(Case(solved, "a.ipynb", whole), dict(words), body) == []
    assert faults(Case(solved, "a.ipynb", whole | {"double": "def double(n): pass"}), dict(words), body) == [
        "double was taken away"
    ]
    assert faults(Case(solved, "a.ipynb", {}), {"failed": "x"}, b"") == ["given up: x"]
    foreign, nothing = shared_workers().ask(asked(release), json.dumps({"cells": [{"source": "1"}]}).encode())
    assert faults(replace(Case(solved, "a.ipynb", whole)), dict(foreign), nothing) == [
        "answers, but no lesson"
    ]
