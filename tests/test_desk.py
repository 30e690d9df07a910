"""The reading desk: what readers see, what their keys do, what the gradebook holds afterwards, and who is let in."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader.apihandlers import CommentHandler, GradeHandler
from sklearn.metrics import cohen_kappa_score
from sqlalchemy.exc import OperationalError
from tornado.testing import AsyncHTTPTestCase

from course.config import CLASSROOM
from course.desk import book, marks
from course.desk.desk import Desk, pseudonym
from course.desk.likeness import groups
from course.desk.marks import Entry, Mark, agreements, kappa, pace
from course.desk.questions import Question, questions, rubric
from course.desk.server import application
from course.grading.gradebook import opened
from course.model import CourseError
from course.store import append
from tests.desk_class import LESSON, QUESTION, reading_class
from tests.test_feedback import HOSTILE, Elements


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return reading_class(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def classroom(made, tmp_path):
    """The class afresh for each test; what is read only is shared."""
    shutil.copytree(made.classroom, tmp_path / "classroom")
    return replace(made, classroom=tmp_path / "classroom")


@pytest.fixture
def sit(classroom):
    """Seats readers at desks of their own, each with its own connection to the gradebook."""
    with ExitStack() as stack:
        yield lambda reader="ann", share="waiting": Desk(
            classroom, stack.enter_context(opened(classroom)), reader, share
        )


def names(desk, *students):
    """Pseudonyms and digests of students' answers, as the page sends them."""
    question = desk.question(LESSON, QUESTION)
    rows = desk.state(LESSON, QUESTION)["rows"]
    return {pseudonym(question, s): rows[pseudonym(question, s)]["digest"] for s in students}


def row(desk, student):
    return desk.state(LESSON, QUESTION)["rows"][pseudonym(desk.question(LESSON, QUESTION), student)]


def mark(desk, student, score, comment="", **more):
    return desk.mark(LESSON, QUESTION, names(desk, student), score, comment, **more)


def rows(course):
    """What nbgrader's API tells of the question's grades and comments, but for the ids of rows."""
    with opened(course) as gradebook:
        found = {}
        for submission in gradebook.assignment_submissions(LESSON):
            (notebook,) = submission.notebooks
            kept = [*notebook.grades, *notebook.comments]
            found[submission.student.id] = sorted(
                (
                    {k: v for k, v in item.to_dict().items() if k != "id"}
                    for item in kept
                    if item.name == f"{QUESTION}_response"
                ),
                key=str,
            )
        return found


def test_questions_have_levels_sample_and_a_name(course):
    (found,) = questions(course, course.lesson("1"))
    assert found.title == "Question · 362 or 367, and why?"
    assert [level.points for level in found.levels] == [0, 1, 2, 3] and found.keys() == ("0", "1", "2", "3")
    assert "2.5 units" in found.levels[2].text and found.notes.startswith("Misconceptions")
    assert "MARK SCHEME" not in found.text and found.text.startswith("A friend computes")
    assert "SOLUTION" not in found.sample and found.sample.startswith("The slope")


def test_every_question_has_a_level_for_every_whole_point(course):
    for lesson in course.written:
        for question in questions(course, lesson):
            assert [x.points for x in question.levels] == list(range(int(question.points) + 1)), question
            assert all(level.text for level in question.levels)


def test_a_rubric_without_levels_gives_a_level_a_point():
    levels, notes = rubric("Be kind.", 2.0)
    assert [level.points for level in levels] == [0, 1, 2] and notes == "Be kind."


def test_levels_that_are_no_single_figures_get_keys_by_their_place():
    levels, _ = rubric("- 0: none\n- 0.5: half\n- 1: whole\n", 1.0)
    assert Question("l", "q", "t", 1.0, "", levels, "", "").keys() == ("1", "2", "3")


def test_equal_answers_are_one_and_like_ones_stand_together():
    places = groups(
        {
            "a": "It learns the difference.",
            "b": "something else altogether",
            "c": "it  learns\n**the difference**",
            "d": "It learns the differences!",
        }
    )
    assert places["a"].same == places["c"].same != places["d"].same
    assert places["a"].group == places["c"].group == places["d"].group != places["b"].group
    assert list(places)[-1] == "b" and places["d"].percent > 85


def test_long_answers_that_differ_at_their_ends_are_not_equal():
    places = groups({"a": "word " * 1000 + "and so it grows", "b": "word " * 1000 + "and so it shrinks"})
    assert places["a"].group == places["b"].group and places["a"].same != places["b"].same


def test_kappa_is_that_of_scikit_learn():
    pairs = [(0, 0), (1, 2), (2, 2), (3, 3), (3, 2), (1, 1), (0, 1), (2, 2)]
    assert kappa(pairs) == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert kappa([(2, 2), (2, 2)]) is None


def given(reader, student, score, second=0, **more):
    words = {"settles": False, "counted": True, "digest": "d", "before": Entry(None, True, None)} | more
    time = f"2026-01-01T00:00:{second:02d}.000+00:00"
    return Mark(f"{reader}{student}{second}", time, reader, "l", "q", student, score, "", **words)


def test_agreement_leaves_out_what_settled_a_difference():
    found = marks.latest(
        [
            *(given("ann", "s", 1), given("bob", "s", 2), given("ann", "t", 1), given("bob", "t", 1)),
            given("cleo", "s", 2, settles=True),
        ],
        "l",
        "q",
    )
    (one,) = agreements(found)
    assert (one.readers, one.answers, one.equal) == (("ann", "bob"), 2, 1)


def test_the_pace_of_a_reader_leaves_breaks_out():
    assert pace([given("ann", "s", 1, second) for second in (0, 10, 20, 30, 50)], "ann") == 10
    assert pace([], "ann") == marks.A_WHILE


@pytest.mark.slow
def test_a_mark_writes_what_the_formgrader_writes(classroom, sit, tmp_path):
    """The same clicks through nbgrader's own handlers, on a copy of the classroom, leave the same rows."""
    other = replace(classroom, classroom=tmp_path / "other")
    shutil.copytree(classroom.classroom, other.classroom)
    desk = sit()
    mark(desk, "ada", 3, "Well *said*.")
    mark(desk, "felix", 0)
    with opened(other) as gradebook:
        formgrader(gradebook, "ada", {"manual_score": 3, "extra_credit": None}, "Well *said*.")
        formgrader(gradebook, "felix", {"manual_score": 0, "extra_credit": None})
    assert rows(classroom) == rows(other)
    assert rows(classroom)["ada"] != rows(classroom)["blaise"]


def formgrader(gradebook: Gradebook, student: str, grade: dict, comment: str | None = None) -> None:
    """Do what the Formgrader's page does: put a grade, and a comment, through nbgrader's own handlers."""
    name = f"{QUESTION}_response"
    sent = [(GradeHandler, gradebook.find_grade(name, LESSON, LESSON, student).id, grade)]
    if comment is not None:
        kept = gradebook.find_comment(name, LESSON, LESSON, student).id
        sent.append((CommentHandler, kept, {"manual_comment": comment}))
    for handler, number, body in sent:
        put = inspect.unwrap(handler.put)  # who is logged in is the Jupyter server's affair
        put(_Request(gradebook, body), number)


class _Request:
    """What nbgrader's handlers need of a request."""

    def __init__(self, gradebook, body):
        self.gradebook, self._body = gradebook, body

    def get_json_body(self):
        return self._body

    def write(self, text):
        json.loads(text)


def test_what_the_formgrader_wrote_is_shown(classroom, sit):
    desk = sit()
    with opened(classroom) as gradebook:
        formgrader(gradebook, "ada", {"manual_score": 2, "extra_credit": None}, "From there.")
    shown = row(desk, "ada")
    assert (shown["read"], shown["score"], shown["comment"]) == (True, 2, "From there.")
    assert shown["whose"] == "the Formgrader"
    assert "From there." in desk.state(LESSON, QUESTION)["comments"]


def test_a_blank_answer_is_not_read_and_no_name_is_sent(sit):
    sheet = sit().sheet(LESSON, QUESTION)
    assert sheet["blank"] == 1 and len(sheet["answers"]) == 5 and sheet["state"]["of"] == 5
    said = json.dumps(sheet).lower()
    assert not [name for name in ("ada", "blaise", "carl", "emmy", "felix") if f'"{name}"' in said]


@pytest.mark.slow
def test_equal_answers_are_marked_at_once(classroom, sit):
    desk = sit()
    state = desk.mark(LESSON, QUESTION, names(desk, "blaise", "carl"), 1, "What is fitted?")
    assert state["read"] == 2 and row(desk, "carl")["score"] == row(desk, "blaise")["score"] == 1
    desk.undo(LESSON, QUESTION)
    assert desk.state(LESSON, QUESTION)["read"] == 0


def test_undo_puts_back_what_stood_there(classroom, sit):
    before, desk = rows(classroom), sit()
    mark(desk, "ada", 3, "Good.")
    once = rows(classroom)
    mark(desk, "ada", 1, "Not so good.")
    desk.undo(LESSON, QUESTION)
    assert rows(classroom) == once
    desk.undo(LESSON, QUESTION)
    assert rows(classroom) == before
    with pytest.raises(CourseError, match="ann has nothing to take back"):
        desk.undo(LESSON, QUESTION)


def test_undo_leaves_what_another_wrote_since(classroom, sit):
    ann, bob, cleo, before = sit("ann", "all"), sit("bob", "all"), sit("cleo"), rows(classroom)
    mark(ann, "ada", 2)
    mark(bob, "ada", 2)
    _, note = ann.undo(LESSON, QUESTION)
    assert "another mark in the gradebook since" in note and row(cleo, "ada")["score"] == 2
    bob.undo(LESSON, QUESTION)  # nobody's mark is left: not ann's, which she took back before
    assert rows(classroom) == before and not row(cleo, "ada")["read"]


@pytest.mark.slow
def test_undo_leaves_a_comment_that_the_formgrader_wrote_since(classroom, sit):
    desk = sit()
    mark(desk, "ada", 2, "Good.")
    with opened(classroom) as gradebook:
        grade_id = desk.question(LESSON, QUESTION).grade_id
        gradebook.find_comment(grade_id, LESSON, LESSON, "ada").manual_comment = "Good, and see me."
        gradebook.db.commit()
    _, note = desk.undo(LESSON, QUESTION)
    assert "that one stays" in note
    assert row(desk, "ada")["comment"] == "Good, and see me." and row(desk, "ada")["score"] == 2


def test_a_second_reader_is_told_nothing_before_reading(sit):
    ann, bob = sit("ann", "all"), sit("bob", "all")
    mark(ann, "ada", 3, "Good.")
    blind = row(bob, "ada")
    assert not blind["read"] and blind["score"] is None and not blind["comment"] and not blind["others"]
    mark(bob, "ada", 2)
    seen = row(bob, "ada")
    assert seen["others"] == {"ann": 3} and seen["differ"] and seen["whose"] == "bob" and seen["score"] == 2
    assert seen["comment"] == "Good."  # an empty comment takes nobody's away


def test_a_difference_is_settled_by_a_person_and_stays_settled(classroom, sit):
    ann, bob, cleo = sit("ann", "all"), sit("bob", "all"), sit("cleo")
    mark(ann, "ada", 3)
    mark(bob, "ada", 1)
    assert cleo.state(LESSON, QUESTION)["differ"] == 1
    mark(cleo, "ada", 2, settles=True)
    mark(ann, "ada", 3)
    shown = row(cleo, "ada")
    assert shown["score"] == 2 and shown["settled"] == "cleo" and not shown["differ"]
    assert shown["whose"] == "cleo, who settled it"


def test_two_halves_are_the_whole(sit):
    whole, one, other = (sit("ann", share) for share in ("all", "1/2", "2/2"))
    ids = [{a["id"] for a in desk.sheet(LESSON, QUESTION)["answers"]} for desk in (whole, one, other)]
    assert ids[0] == ids[1] | ids[2] and not ids[1] & ids[2]


@pytest.mark.slow
def test_two_readers_at_once_lose_nothing(classroom, monkeypatch):
    """Two desks, each with its own connection, mark all answers against each other, again and again."""
    students, failed, steps = ["ada", "blaise", "carl", "emmy", "felix"], [], []
    note, write = marks.note, book.write

    def slow_note(*words):
        steps.append(threading.get_ident())
        note(*words)
        time.sleep(0.01)  # time enough for another reader to come in between

    def noticed_write(*words):
        write(*words)
        steps.append(threading.get_ident())

    monkeypatch.setattr(marks, "note", slow_note)
    monkeypatch.setattr(book, "write", noticed_write)

    def read(reader, score):
        try:
            with opened(classroom) as gradebook:
                desk = Desk(classroom, gradebook, reader, "all")
                for _ in range(4):
                    for student in students:
                        mark(desk, student, score, f"from {reader}")
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read, args=words) for words in (("ann", 1), ("bob", 2))]
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    assert not failed
    standing = marks.standing(classroom.classroom)
    assert len(standing) == 2 * 4 * len(students)
    assert steps[::2] == steps[1::2]  # what one noted, the same one wrote next
    with opened(classroom) as gradebook:
        for student in students:
            last = [mark for mark in standing if mark.student == student][-1]
            grade = gradebook.find_grade(f"{QUESTION}_response", LESSON, LESSON, student)
            comment = gradebook.find_comment(f"{QUESTION}_response", LESSON, LESSON, student)
            assert (grade.manual_score, comment.manual_comment) == (last.score, last.comment)


def another_text(classroom, student):
    """Let another answer lie in the place of a student's."""
    path = classroom.classroom / "autograded" / student / LESSON / f"{LESSON}.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("costs only", "takes only"), encoding="utf-8")


def in_gradebook(classroom, student, waiting, **more):
    """Let an answer's row of the gradebook be another."""
    with opened(classroom) as gradebook:
        grade = gradebook.find_grade(f"{QUESTION}_response", LESSON, LESSON, student)
        grade.needs_manual_grade = waiting
        for name, value in more.items():
            setattr(grade, name, value)
        gradebook.db.commit()


def test_an_answer_that_was_handed_in_anew_is_read_anew(classroom, sit):
    desk = sit("ann", "all")
    seen = names(desk, "ada")
    mark(desk, "ada", 3)
    another_text(classroom, "ada")
    with pytest.raises(CourseError, match="handed in anew"):
        desk.mark(LESSON, QUESTION, seen, 3)
    assert not row(desk, "ada")["read"]


def test_the_mark_of_an_earlier_text_is_its_readers_and_not_the_formgraders(classroom, sit):
    nina, bob = sit("nina"), sit("bob")
    mark(nina, "ada", 3)
    mark(nina, "ada", 2)
    another_text(classroom, "ada")
    in_gradebook(classroom, "ada", waiting=True)  # so nbgrader leaves it where another text is graded
    for desk in (nina, bob):
        shown = row(desk, "ada")
        assert (shown["score"], shown["again"], shown["mine"]) == (2, True, None)
        assert shown["whose"] == "nina, for an earlier text"
    with opened(classroom) as gradebook:
        formgrader(gradebook, "ada", {"manual_score": 3, "extra_credit": None})
    assert row(bob, "ada")["whose"] == "the Formgrader"  # nina's 3 was replaced by herself
    mark(bob, "ada", 3)
    assert row(bob, "ada")["whose"] == "bob"


def test_what_a_lost_gradebook_held_is_shown_at_the_same_text_to_be_given_again(classroom, sit):
    nina, bob, blind = sit("nina"), sit("bob"), sit("cleo", "all")
    mark(nina, "ada", 2, "Why?")
    assert not row(nina, "ada")["lost"]
    with opened(classroom) as gradebook:
        gradebook.find_comment(f"{QUESTION}_response", LESSON, LESSON, "ada").manual_comment = None
        gradebook.db.commit()
    in_gradebook(classroom, "ada", waiting=True, manual_score=None)
    mine, others, unread = (row(desk, "ada") for desk in (nina, bob, blind))
    assert mine["lost"] and mine["mine"] == {"score": 2, "comment": "Why?"} and not mine["read"]
    assert others["lost"] and others["others"] == {"nina": 2} and others["comment"] == "Why?"
    assert not unread["lost"] and not unread["others"] and not unread["comment"]
    assert mine["score"] is None and mine["whose"] == ""
    mark(bob, "ada", 2, others["comment"])
    again = row(nina, "ada")
    assert not again["lost"] and again["read"] and (again["score"], again["comment"]) == (2, "Why?")


@pytest.mark.parametrize("lost", [{}, {"manual_score": None}], ids=["graded anew", "lost"])
def test_an_answer_that_waits_again_takes_a_mark_although_a_difference_was_settled(classroom, sit, lost):
    ann, cleo = sit("ann"), sit("cleo")
    mark(ann, "ada", 3)
    mark(cleo, "ada", 2, settles=True)
    in_gradebook(classroom, "ada", waiting=True, **lost)
    mark(ann, "ada", 1)
    shown = row(cleo, "ada")
    assert (shown["read"], shown["score"], shown["whose"]) == (True, 1, "ann")


@pytest.mark.parametrize(("score", "said"), [(4, "0 to 3"), (-1, "0 to 3"), (float("nan"), "0 to 3")])
def test_what_is_no_mark_is_refused(classroom, sit, score, said):
    before = rows(classroom)
    with pytest.raises(CourseError, match=said):
        mark(sit(), "ada", score)
    assert rows(classroom) == before and not marks.standing(classroom.classroom)


def test_a_gradebook_that_refuses_leaves_no_mark(classroom, sit, monkeypatch):
    desk = sit()
    answers = names(desk, "ada")

    def locked(*_):
        raise OperationalError("UPDATE grade", {}, Exception("database is locked"))

    monkeypatch.setattr("course.desk.book.write", locked)
    with pytest.raises(CourseError, match=r"database is locked.*nothing was marked"):
        desk.mark(LESSON, QUESTION, answers, 2)
    assert not marks.standing(classroom.classroom)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_comment_with_another_end_of_a_line_is_kept(tmp_path, end):
    given = Mark(
        "b",
        marks.now(),
        "ann",
        LESSON,
        QUESTION,
        "ada",
        1.0,
        f"one{end}two",
        False,
        True,
        "d",
        Entry(None, True, None),
    )
    marks.note(tmp_path, [given])
    assert marks.standing(tmp_path) == [given]


def test_a_torn_line_costs_no_other_mark(tmp_path):
    one, two = given("ann", "s", 1), given("bob", "s", 2)
    marks.note(tmp_path, [one])
    with open(tmp_path / marks.FILE, "ab") as file:
        file.write(b'{"batch": "torn')
    marks.note(tmp_path, [two])
    assert marks.standing(tmp_path) == [one, two]


def test_lines_are_added_whole(tmp_path):
    append(tmp_path / "new" / "lines", ["a"])
    append(tmp_path / "new" / "lines", ["b", "c"])
    assert (tmp_path / "new" / "lines").read_text() == "a\nb\nc\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_an_answer_or_a_comment_acts(classroom, sit, text):
    desk = sit()
    path = classroom.classroom / "autograded" / "ada" / LESSON / f"{LESSON}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == f"{QUESTION}_response":
            cell["source"] = f"Mine: {text} and ${text}$ and $\\text{{{text}}}$"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    name = pseudonym(desk.question(LESSON, QUESTION), "ada")
    (shown,) = [a["text"] for a in desk.sheet(LESSON, QUESTION)["answers"] if a["id"] == name]
    found = Elements(shown).found
    assert "Mine:" in shown
    assert not {tag for tag, _ in found} & {"script", "iframe", "svg", "form", "img", "style", "input"}
    for tag, attributes in found:
        assert not [a for a in attributes if a.startswith("on") or a in ("style", "src", "class")], tag
        assert not attributes.get("href", "").lower().startswith(("javascript", "data"))


class TestServer(AsyncHTTPTestCase):
    """Who is let in, and what the page sends and gets."""

    @pytest.fixture(autouse=True)
    def _class(self, classroom, sit, monkeypatch):
        monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "300")  # of Tornado's: its 5 seconds are the machine's
        self.desk = sit()

    def get_app(self):
        self.app = application(self.desk, self.get_http_port(), "secret", (LESSON, QUESTION))
        return self.app

    def ask(self, path, body=None, cookie="secret", **headers):
        port = self.get_http_port()
        sent = {"Host": f"127.0.0.1:{port}", "Cookie": f"desk-{port}={cookie}"} | headers
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            return self.fetch(path, method="POST", body=json.dumps(body), headers=sent)
        return self.fetch(path, headers=sent, follow_redirects=False)

    def a_mark(self, **more):
        answers = names(self.desk, "ada")
        return {"lesson": LESSON, "question": QUESTION, "answers": answers, "score": 2} | more

    def test_the_token_becomes_a_cookie(self):
        reply = self.ask("/?token=secret", cookie="")
        cookie = reply.headers["Set-Cookie"]
        assert reply.code == 302 and reply.headers["Location"] == "/"
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert self.ask("/").code == 200

    def test_nobody_else_is_let_in(self):
        for path in ("/", "/desk.js", "/api/questions", f"/api/question?lesson={LESSON}&question={QUESTION}"):
            assert self.ask(path, cookie="").code == 403
            assert self.ask(path, cookie="wrong").code == 403
            assert self.ask(path, Host="evil.example").code == 403
            assert self.ask(path).code == 200
        assert self.ask("/?token=wrong", cookie="").code == 403
        assert self.ask("/etc/passwd").code == 404

    def test_no_other_page_can_mark(self):
        before = marks.standing(self.desk._course.classroom)
        for headers in (
            {"Origin": "http://127.0.0.1:8888"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ):
            assert self.ask("/api/mark", self.a_mark(), **headers).code in (403, 415), headers
        assert self.ask("/api/mark", self.a_mark(), cookie="").code == 403
        assert marks.standing(self.desk._course.classroom) == before == []

    def test_every_answer_says_what_may_run(self):
        for path in ("/", "/desk.js", "/api/questions", "/nowhere"):
            headers = self.ask(path).headers
            assert headers["Content-Security-Policy"].startswith("default-src 'self'")
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in headers and "Server" not in headers

    def test_a_mark_and_an_undo(self):
        reply = json.loads(self.ask("/api/mark", self.a_mark()).body)
        assert reply["read"] == 1 and reply["undo"]
        where = {"lesson": LESSON, "question": QUESTION}
        undone = json.loads(self.ask("/api/undo", where).body)
        assert undone["state"]["read"] == 0 and undone["answers"] == list(names(self.desk, "ada"))

    def test_what_is_no_mark_is_a_sentence(self):
        for body in (
            [],
            {},
            self.a_mark(score="many"),
            self.a_mark(answers={"x": "y"}),
            self.a_mark(score=9),
        ):
            reply = self.ask("/api/mark", body)
            assert reply.code == 409 and json.loads(reply.body)["error"]
        assert marks.standing(self.desk._course.classroom) == []

    def test_the_page_holds_no_script_and_no_style_of_its_own(self):
        page = self.ask("/").body.decode()
        for tag, attributes in Elements(page).found:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
            assert "//" not in attributes.get("src", "") + attributes.get("href", "")


def test_a_desk_needs_a_share_and_a_name(sit):
    with pytest.raises(CourseError, match="no share 'some'"):
        sit("ann", "some")
    with pytest.raises(CourseError, match="no name for a reader"):
        sit(" ")


@pytest.mark.slow
def test_the_command_says_where_to_read_and_ends_at_once_when_told(classroom):
    command = [Path(sys.executable).with_name("course"), "read", "5", QUESTION, "--as", "ann"]
    environment = {**os.environ, CLASSROOM: str(classroom.classroom), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    said = []
    while not (said and "Ctrl-C" in said[-1]):
        said.append(process.stdout.readline())
        assert said[-1], "".join(said)
    address = next(line.strip() for line in said if "http://127.0.0.1:" in line)
    with pytest.raises(HTTPError):
        urlopen(address.partition("?")[0])  # without its token
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert "15 answers are still to be read" in process.stdout.read()  # five to each of three questions
    assert list((classroom.classroom / "backups").glob("gradebook-*.db"))


@pytest.mark.slow
def test_the_command_says_what_there_is(classroom, tmp_path):
    for words, sentence in (
        (["read", "5", "nothing"], "has no open question 'nothing'; it has: fitting, parameters, kernels"),
        (["read", "1"], "holds no answer to an open question: run `course grade` first"),
        (["read", "--share", "most"], "there is no share 'most'"),
    ):
        environment = {**os.environ, CLASSROOM: str(classroom.classroom)}
        command = [Path(sys.executable).with_name("course"), *words]
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert run.returncode == 1 and sentence in run.stderr
