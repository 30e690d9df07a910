"""The class report: its numbers by hand and by scipy, its page against hostile names, and nothing that asks for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from scipy.stats import binomtest

from course.grading.changes import Change, differences, note_changes, other_parts, read_changes
from course.intake.roster import Person
from course.model import Lesson, Mark, Score
from course.reports.class_facts import (
    ClassFacts,
    common_hints,
    lesson_facts,
    needs_a_person,
    read_class,
    wilson,
)
from course.reports.class_page import duration_of, page
from course.reports.ledger import Sources, Status, ledger, read_ledger
from course.store import Store
from tests.large_class import large_class
from tests.test_feedback import HOSTILE

LESSON = Lesson("01_toy", "Toy", 1)
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


class Elements(HTMLParser):
    """Collects (tag, attributes) of a page, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self._within = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within == "script":
            self.scripts.append(data)


@pytest.mark.parametrize(("solved", "count"), [(0, 20), (7, 12), (20, 20), (205, 270), (1, 1)])
def test_the_interval_is_wilsons(solved, count):
    expected = binomtest(solved, count).proportion_ci(method="wilson")
    assert wilson(solved, count) == pytest.approx((expected.low, expected.high))


def test_of_nobody_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)


def test_hints_that_differ_in_numbers_alone_are_one():
    told = [
        "got 0.25, not 1",
        "got 3e-05, not 1",
        "got 0.25, not 1",
        "wrong shape",
        "other",
        "third",
        "third",
    ]
    assert common_hints(told) == (("got 0.25, not 1", 3), ("third", 2), ("other", 1))


def small() -> ClassFacts:
    """Two students, two exercises and a question."""
    people = [Person("ada", "Ada"), Person("bo", "Bo"), Person("cy")]
    scores = [Score("ada", LESSON.name, 6.0, 9.0, True), Score("bo", LESSON.name, 2.0, 9.0, False)]
    of = [
        Mark("ada", LESSON.name, "f_check", 4.0, 4.0, False, False),
        Mark("bo", LESSON.name, "f_check", 0.0, 4.0, False, False),
        Mark("ada", LESSON.name, "g_check", 2.0, 2.0, False, False),
        Mark("bo", LESSON.name, "g_check", 2.0, 2.0, False, False),
        Mark("ada", LESSON.name, "why_response", 0.0, 3.0, True, True),
        Mark("bo", LESSON.name, "why_response", 0.0, 3.0, False, True),
    ]
    receipts = {"bo": {"verdicts": {"f_check": {"passed": False, "hint": "no"}}, "cpu_seconds": 2.0}}
    made = ledger([LESSON], Sources(people, scores), NOW)
    return ClassFacts(made, (lesson_facts(LESSON, of, receipts, made),))


def test_each_exercise_is_counted_and_what_waits_is_not_zero():
    (facts,) = small().lessons
    f, g, why = facts.exercises
    assert (f.name, f.solved, f.count, f.hints) == ("f", 1, 2, (("no", 1),))
    assert (g.solved, g.count, g.hints) == (2, 2, ()) and (why.solved, why.count, why.waiting) == (0, 1, 1)
    assert facts.students == ("ada", "bo") and facts.shares == ((1.0, 0.0), (1.0, 1.0), (None, 0.0))
    assert facts.marks == (2.0,) and facts.partial == (6.0,) and facts.cpu == {"bo": 2.0}
    assert small().reading == 2.0 and duration_of(135) == "2 h 15 min"


def test_a_mark_on_doubtful_work_is_listed_for_a_person():
    rows = [{"student": "ada", "lesson": LESSON.name, "status": "taken", "doubts": "x.ipynb holds more"}]
    made = ledger([LESSON], Sources([], [Score("ada", LESSON.name, 6.0, 9.0, False)], triage=rows), NOW)
    assert needs_a_person(made) == [("ada (ada)", LESSON.name, Status.GRADED, "x.ipynb holds more")]


def test_exercises_stand_in_the_lessons_order_under_its_names():
    names = {
        "why_response": "Question · Why $x$, and is there no shorter way to say the same?",
        "g_check": "Exercise 1 · The gain",
    }
    of = [Mark("ada", LESSON.name, cell, 1.0, 2.0, False, cell in names) for cell in ("f_check", "g_check", "why_response")]  # fmt: skip
    made = ledger([LESSON], Sources([Person("ada")], [Score("ada", LESSON.name, 3.0, 6.0, False)]), NOW)
    facts = lesson_facts(LESSON, of, {}, made, names)
    assert [exercise.name for exercise in facts.exercises] == [*names.values(), "f"]
    assert [exercise.label for exercise in facts.exercises] == ["Q · Why $x$, and is there no shorter …", "1 · The gain", "f"]  # fmt: skip
    assert page(ClassFacts(made, (facts,)), NOW).count(">1 · The gain<") == 2  # beside both plots


def render(facts: ClassFacts) -> Elements:
    return Elements(page(facts, NOW))


def test_the_page_asks_for_nothing_and_runs_its_own_script_alone():
    html = page(small(), NOW)
    made = Elements(html)
    (script,) = made.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for _, a in made.found if a.get("http-equiv")]
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    for tag, attributes in made.found:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png")), (tag, attributes)
    figures = [a for tag, a in made.found if tag == "figure"]
    assert len(figures) == 3 and all(a["role"] == "img" and a["aria-label"] for a in figures)
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    ids = [a["id"] for _, a in made.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert page(small(), NOW) == html


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_hint_or_file_acts_on_the_page(text):
    of = [Mark(text, LESSON.name, f"{text}_check", 0.0, 4.0, False, False)]
    receipts = {text: {"verdicts": {f"{text}_check": {"passed": False, "hint": text}}, "cpu_seconds": 1}}
    lost = [{"student": "", "lesson": LESSON.name, "status": "unreadable", "file": text, "reason": text}]
    bad = [{"student": "x", "lesson": LESSON.name, "status": "unreadable", "file": text, "reason": text}]
    people = [Person(text, text, text), Person("x", text)]
    made = ledger([LESSON], Sources(people, [Score(text, LESSON.name, 0.0, 4.0, False)], [*lost, *bad]), NOW)
    facts = ClassFacts(
        made,
        (lesson_facts(LESSON, of, receipts, made),),
        ((text, text, text),),
        (Change(text, text, text, text, 0.0, 1.0, text),),
    )
    found = render(facts)
    tags = [tag for tag, _ in found.found]
    assert not set(tags) & {"iframe", "img", "form", "input", "object", "embed", "link", "base"}
    assert tags.count("script") == 1 and len(found.scripts) == 1
    for tag, attributes in found.found:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert attributes.get("href", "#").startswith(("#", "data:image/png"))


def test_who_was_changed_by_how_much_and_why(tmp_path):
    old = [Mark("ada", "01", "f", 4.0, 4.0, False, False), Mark("bo", "01", "f", 4.0, 4.0, False, False)]
    new = [*[Mark(s, "01", "f", 2.0, 4.0, False, False) for s in ("ada", "cy")], old[1]]
    new.append(Mark("ada", "01", "g", 1.0, 4.0, False, False))  # a cell that is new
    why = {(s, "01"): "another lesson" for s in ("ada", "bo", "cy")}
    found = differences(old, new, why, NOW)
    assert [(c.student, c.cell, c.before, c.after) for c in found] == [
        ("ada", "f", 4.0, 2.0),
        ("ada", "g", 0.0, 1.0),
    ]
    note_changes(Store(tmp_path), found[:1])
    note_changes(Store(tmp_path), found[1:])
    assert read_changes(Store(tmp_path)) == found
    parts = {"lesson": "a", "checker": "b"}
    assert other_parts(parts, parts | {"lesson": "c"}) == "another lesson"
    assert other_parts(parts, parts) == "graded again" and "not known" in other_parts({}, parts)


@pytest.mark.slow
def test_a_large_class_on_one_page(tmp_path):
    course = large_class(tmp_path / "classroom")
    made = read_ledger(course)
    facts = read_class(course, made)
    html = page(facts, NOW)
    first = {exercise.cell: exercise for exercise in facts.lessons[0].exercises}
    assert first["iterate_check"].count == 270
    assert len(re.findall(r"<tr><td>[^<]* \d+</td><td>s\d{4}</td>", html)) == 300
    assert len(needs_a_person(made)) == 30 and len(facts.flags) > 0
    assert len(html) < 1_000_000


@pytest.mark.slow
def test_a_large_classs_exercises_are_called_as_in_the_lesson(tmp_path):
    course = large_class(tmp_path / "classroom", 20)
    facts = read_class(course, read_ledger(course)).lessons[0]
    headings = re.findall(r"^#+ ((?:Exercise \d|Question) · .*?)(?: \(|$)", "".join(
        "".join(cell["source"]) + "\n" for cell in json.loads(course.release(facts.lesson).read_text())["cells"] if cell["cell_type"] == "markdown"
    ), re.M)  # fmt: skip
    assert [exercise.name for exercise in facts.exercises] == headings
