"""The desk and the feedback pages in a real browser: keys work, nothing of a student's runs, nothing is asked of the network."""

import threading
from asyncio import new_event_loop, set_event_loop

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from playwright.sync_api import expect

from course.desk.desk import Desk
from course.desk.server import listening
from course.grading.gradebook import opened
from course.reports.feedback import page as feedback_page
from tests.desk_class import ANSWERS, LESSON, QUESTION, reading_class
from tests.test_feedback import GRADING, HOSTILE

pytestmark = pytest.mark.xdist_group("desk browser")  # one browser for all
# What would show in the page's title if it ran.
ACTS = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script> $\\text{<script>document.title='pwned'</script>}$ "


@pytest.fixture
def served(tmp_path):
    """A desk on a class one of whose students is hostile, served from a thread; its address, and the course."""
    course = reading_class(tmp_path, ANSWERS | {"felix": ACTS + "\n\n".join(HOSTILE)})
    started, held = threading.Event(), {}

    def serve():
        loop = new_event_loop()
        set_event_loop(loop)
        with opened(course) as gradebook:
            server, held["address"] = listening(Desk(course, gradebook, "ann"), first=(LESSON, QUESTION))
            held["stop"] = lambda: loop.call_soon_threadsafe(loop.stop)
            started.set()
            loop.run_forever()
            server.stop()

    thread = threading.Thread(target=serve)
    thread.start()
    assert started.wait(60)
    yield held["address"], course
    held["stop"]()
    thread.join()


def grades(course):
    with opened(course) as gradebook:
        found = {}
        for student in ANSWERS:
            grade = gradebook.find_grade(f"{QUESTION}_response", LESSON, LESSON, student)
            comment = gradebook.find_comment(f"{QUESTION}_response", LESSON, LESSON, student)
            found[student] = (grade.manual_score, grade.needs_manual_grade, comment.manual_comment)
        return found


def test_a_question_is_read_by_keys_alone(tab, served):
    page, said, asked = tab
    address, course = served
    page.goto(address)
    page.wait_for_selector(".level")
    assert "token" not in page.url
    assert "learns the difference" in page.inner_text("#answer")  # what most say comes first
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.keyboard.type("What is fitted? 3")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("#progress")).to_contain_text("2 of 5")
    for number in (3, 4, 5):
        page.keyboard.press("0")
        expect(page.locator("#progress")).to_contain_text(f"{number} of 5")
    page.keyboard.press("u")
    expect(page.locator("#progress")).to_contain_text("4 of 5")
    found = grades(course)
    assert found["blaise"] == found["carl"] == (1.0, False, "What is fitted? 3")
    unread = {student for student, (score, _, _) in found.items() if score is None}
    assert "dora" in unread and len(unread) == 2  # she left hers blank; one was taken back
    assert page.title() == "The reading desk" and said == []
    assert {url.split("/")[2] for url in asked} == {address.split("/")[2]}


def test_arrows_go_through_all_answers_and_none_of_them_acts(tab, served):
    page, said, _ = tab
    page.goto(served[0])
    page.wait_for_selector(".level")
    seen = set()
    for _ in range(5):
        seen.add(page.inner_text("#place").split()[0])
        page.keyboard.press("ArrowRight")
    assert len(seen) == 5 and page.inner_text("#place").split()[0] in seen
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(200)
    assert page.title() == "The reading desk" and said == []
    assert page.locator("#answer script, #answer img, #answer iframe").count() == 0


def test_after_the_last_answer_enter_goes_on_to_the_next_question_until_all_are_read(tab, served):
    page, errors, _ = tab
    page.goto(served[0])
    page.wait_for_selector(".level")
    titles = page.locator("#questions option").all_inner_texts()
    assert len(titles) > 1
    for at in range(len(titles)):
        title = page.inner_text("#title")
        for number in range(1, 6):
            page.keyboard.press("0")
            expect(page.locator("#progress")).to_contain_text(f"{number} of 5")
        if at + 1 < len(titles):
            expect(page.locator("#said")).to_contain_text("Enter goes on to: 5 · ")
            page.keyboard.press("Enter")
            expect(page.locator("#title")).not_to_have_text(title)
            expect(page.locator("#progress")).to_contain_text("0 of 5")
    expect(page.locator("#said")).to_have_text("Every answer of your share is read.")
    assert errors == []


def test_what_a_key_unfolds_comes_into_sight(tab, served):
    page, _, _ = tab
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(served[0])
    page.wait_for_selector(".level")
    assert page.locator("#sample-box").evaluate("e => e.getBoundingClientRect().top > innerHeight")
    page.keyboard.press("s")
    expect(page.locator("#sample")).to_be_in_viewport()


def test_enter_after_a_click_on_a_level_is_no_second_mark(tab, served):
    page, _, _ = tab
    page.goto(served[0])
    page.click(".level:nth-child(2)")
    expect(page.locator("#progress")).to_contain_text("1 of 5")
    page.keyboard.press("Enter")
    page.fill("#comment", "Not sent: this answer has no mark yet.")
    page.keyboard.press("Escape")
    page.keyboard.press(
        "u"
    )  # keystrokes are sent in their order, so after this all that were pressed have been
    expect(page.locator("#progress")).to_contain_text("0 of 5")
    assert [score for score, _, _ in grades(served[1]).values()] == [None] * 6


def test_formulas_are_drawn_as_formulas(tab, served):
    page, _, _ = tab
    page.goto(served[0])
    page.wait_for_selector(".level")
    for _ in range(5):
        if page.locator("#answer math").count():
            break
        page.keyboard.press("ArrowRight")
    box = page.locator("#answer math").first.bounding_box()
    assert box and box["width"] > 20 and "$" not in page.inner_text("#answer p")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_feedback_page_runs_nothing_asks_for_nothing_and_fits(tab, tmp_path, scheme, width):
    page, said, asked = tab
    meta = {"grade": True, "solution": True, "locked": False, "grade_id": "why_response", "points": 3.0}
    meta |= {"score": 1.0, "comment": ACTS + "\n\n".join(HOSTILE) + " $\\frac{a}{b}$"}
    cells = [new_markdown_cell(ACTS + text) for text in HOSTILE]
    cells.append(new_markdown_cell(ACTS, metadata={"nbgrader": meta}))
    path = tmp_path / "page.html"
    path.write_text(feedback_page(new_notebook(cells=cells), "A title", GRADING, set()), encoding="utf-8")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    assert page.title() == "A title: feedback" and said == [] and asked == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("math mfrac").count() == 1
    assert page.evaluate("document.scripts.length") == 0
