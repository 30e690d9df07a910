"""A feedback page shows work, scores and hints, and nothing that a submission or the grader should not show."""

import base64
import os
import re
import shutil
import sys
import time
import zipfile
from html.parser import HTMLParser

import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.server_extensions.formgrader import handlers

from course import markup
from course.config import grader_config, load_course
from course.csvfile import write_csv
from course.grading.gradebook import opened
from course.intake.archive import BY_HAND
from course.intake.triage import COLUMNS
from course.markup import hide_paths, prose
from course.model import CourseError
from course.reports import feedback
from course.reports.feedback import formgrader_prose, page, without_regions
from course.reports.feedback_files import BROWSERS, canvas_name, moodle_name, pack, print_pages
from tests.desk_class import LESSON, reading_class

GRADING = {"student": "ada, <b>countess</b>", "score": 3.0, "max_score": 4.0, "late_penalty": 0}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


class Elements(HTMLParser):
    """Collects (tag, attributes) of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def render(*cells):
    notebook = new_notebook(cells=list(cells))
    return page(notebook, "Lesson 1 · A title", GRADING, released=set())


def extra(*outputs, source="1"):
    return new_code_cell(source, outputs=list(outputs))


HOSTILE = [
    "<script>fetch('https://evil.example')</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/p.png)",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "<iframe src='https://evil.example'></iframe>",
    "<style>@import 'https://evil.example'</style>",
    "<svg onload=alert(1)>",
    "<a href='x' onclick='alert(1)'>x</a>",
    "<form action='https://evil.example'><input name=q></form>",
    "</pre></section><script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_submission_runs_or_loads(text):
    outputs = [
        new_output("stream", name="stdout", text=text),
        new_output(
            "display_data", data={"text/html": text, "application/javascript": text, "image/svg+xml": text}
        ),
        new_output("display_data", data={"text/plain": text, "text/latex": text}),
        new_output("error", ename=text, evalue=text, traceback=[text]),
        new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": f'"{text}'}}),
    ]
    shown = Elements(render(new_markdown_cell(text), extra(*outputs, source=text)))
    tags = {tag for tag, _ in shown.found}
    assert not tags & {"script", "iframe", "svg", "form", "input", "object", "embed", "link", "base"}
    for tag, attributes in shown.found:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "img":
            assert attributes["src"].startswith("data:image/png;base64,")
        assert not attributes.get("href", "").lower().startswith(("javascript", "data"))
    assert "default-src 'none'" in render()


def test_only_what_is_a_picture_is_shown_as_one():
    fake = new_output("display_data", data={"image/png": base64.b64encode(b"<svg onload=x>").decode()})
    large = new_output(
        "display_data", data={"image/jpeg": base64.b64encode(b"\xff\xd8\xff" + b"0" * 600_000).decode()}
    )
    broken = new_output("display_data", data={"image/png": "not base64 é", "text/plain": "a figure"})
    html = render(extra(fake, large, broken))
    assert "<img" not in html
    assert "a figure" in html and "is not shown" in html


def test_long_output_is_cut_and_says_so():
    html = render(extra(new_output("stream", name="stdout", text="x" * 50_000)))
    assert len(html) < 20_000
    assert "40000 characters left out" in html


def test_regions_of_hidden_tests_and_mark_schemes_are_left_out():
    check = "check.f(f)\n### BEGIN HIDDEN TESTS\nsecret = 1\n### END HIDDEN TESTS"
    question = "Why?\n\n=== BEGIN MARK SCHEME ===\n3: all\n=== END MARK SCHEME ==="
    assert without_regions(check) == "check.f(f)"
    assert without_regions(question) == "Why?"
    meta = {
        "grade": True,
        "solution": False,
        "locked": True,
        "grade_id": "f_check",
        "score": 4.0,
        "points": 4.0,
    }
    html = render(new_code_cell(check, metadata={"nbgrader": meta}))
    assert "secret" not in html and re.search(r"4 / 4", html)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("File /root/.pyenv/versions/3.11.7/lib/python3.11/site-packages/numpy/x.py:3", "File …/x.py:3"),
        ("/home/prof/course/solutions/01/01.ipynb", "…/01.ipynb"),
        ("ratio 1/2 and a/b/c", "ratio 1/2 and a/b/c"),
        ("https://arxiv.org/abs/1512.03385", "https://arxiv.org/abs/1512.03385"),
        ("in ~/teaching/skips/lesson.py", "in …/lesson.py"),
        ("/usr/lib/<frozen importlib>", "…/<frozen importlib>"),
        ("two dirs: /home/prof/course/", "two dirs: …/course/"),
        ("/a/b alone", "/a/b alone"),
        ("/+" * 5, "…/+"),
    ],
)
def test_paths_of_the_grader_are_hidden(text, shown):
    assert hide_paths(text) == shown


def test_a_checkout_whose_name_no_pattern_knows_is_hidden(monkeypatch):
    monkeypatch.setattr(markup, "_folders", lambda: ("/srv/Kurs (2026) [WS]", "/srv"))
    assert hide_paths("at /srv/Kurs (2026) [WS]/helpers/chain.py:87, in f") == "at …/chain.py:87, in f"


SLOW = {
    "slashes": extra(new_output("stream", name="stdout", text="/+" * 500_000)),
    "slashes of a list": extra(new_output("display_data", data={"text/plain": ["/+" * 500_000] * 2})),
    "slashes in an error": extra(
        new_output("error", ename="E", evalue="/+" * 500_000, traceback=["/+" * 500_000])
    ),
    "slashes in prose": new_markdown_cell("/+" * 500_000),
    "blank lines of code": extra(source=(" " * 50 + "\n") * 20_000),
    "a table": new_markdown_cell("a|b\n-|-\n" * 100_000),
    "stars": new_markdown_cell("*a " * 300_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SLOW)
def test_class_22_no_cell_takes_long_to_show(what):
    start = time.process_time()
    html = render(SLOW[what])
    assert (
        time.process_time() - start < 30
    )  # CPU seconds: minutes to hours, where time grows with the square of the text
    assert "characters left out" in html and len(html) < 500_000


@pytest.mark.slow
def test_class_22_all_pictures_of_a_page_share_one_budget():
    large = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 400_000).decode()
    figures = [extra(new_output("display_data", data={"image/png": large})) for _ in range(200)]
    html = render(*figures)
    assert 8_000_000 > len(html) > 4_000_000
    assert html.count("<img") == 8_000_000 // (len(large) + len("data:image/png;base64,"))
    assert "figures are too large together" in html


def test_all_texts_of_a_page_share_one_budget():
    said = [new_output("stream", name="stdout", text="x" * 9_000) for _ in range(150)]
    html = render(extra(*said), extra(*said))
    assert len(html) < 2_000_000 and "shows too much text" in html


def test_prose_keeps_what_learners_write():
    html = prose(
        "Because **two** ways:\n\n- `x + F(x)`\n- [paper](https://arxiv.org/abs/1512.03385)\n\na < b & c"
    )
    assert "<strong>two</strong>" in html and "<code>x + F(x)</code>" in html
    assert 'href="https://arxiv.org/abs/1512.03385"' in html and "a &lt; b &amp; c" in html


def test_lesson_text_is_left_out_and_own_cells_are_shown():
    notebook = new_notebook(
        cells=[new_markdown_cell("The lesson.", id="prose"), new_markdown_cell("My note.", id="mine")]
    )
    html = page(notebook, "Lesson", GRADING, released={"prose"})
    assert "My note." in html and "The lesson." not in html


def test_waiting_answers_are_said_to_wait():
    meta = {
        "grade": True,
        "solution": True,
        "locked": False,
        "grade_id": "why_response",
        "score": 0.0,
        "points": 3.0,
        "waiting": True,
    }
    html = render(new_markdown_cell("Because.", metadata={"nbgrader": meta}))
    assert "to be read" in html and "worth 3 points" in html
    assert "ada, &lt;b&gt;countess&lt;/b&gt;" in html


@pytest.mark.slow
def test_a_page_calls_its_student_by_the_name_that_the_gradebook_knows(tmp_path):
    course = reading_class(tmp_path, {"ada": "A text.", "bo": "A text."})
    with opened(course) as gradebook:
        gradebook.update_or_create_student("ada", first_name="Ada <b>", last_name="Lovelace")
    named, nameless = (p.read_text("utf-8") for p in feedback.feedback(course, [course.lesson(LESSON)]))
    assert "Handed in by Ada &lt;b&gt; Lovelace." in named and "Handed in by bo." in nameless


def graded_folders(folder, *students):
    course = load_course(classroom=folder / "classroom")
    for student in students:
        course.classroom.joinpath("autograded", student, course.lessons[0].name).mkdir(parents=True)
    return course


def test_a_page_that_fails_stops_no_other(tmp_path, monkeypatch):
    course = graded_folders(tmp_path, "ada", "blaise", "carl")

    def convert(converter, what):
        if "blaise" in what:
            raise CourseError(f"nbgrader failed at {what}: cut off")

    monkeypatch.setattr(feedback, "run_quietly", convert)
    pages, writing = [], feedback.feedback(course, [course.lessons[0]])
    with pytest.raises(CourseError, match=r"1 of 3 pages could not be written.*\n.*blaise.*cut off"):
        pages.extend(writing)
    assert [page.parts[-3] for page in pages] == ["ada", "carl"]


def test_whose_work_was_never_graded_is_named(tmp_path):
    course = graded_folders(tmp_path, "ada")
    with pytest.raises(CourseError, match=r"nothing of nobody in .*autograded.*course grade"):
        list(feedback.feedback(course, [course.lessons[0]], ["nobody"]))


def test_the_page_is_utf8_and_named():
    html = render(new_markdown_cell("Größe ∂L/∂x"))
    assert '<meta charset="utf-8">' in html and "Größe ∂L/∂x" in html
    assert "<title>Lesson 1 · A title: feedback</title>" in html


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_the_formgrader_runs_nothing_of_a_submission(text):
    exporter = HTMLExporter(
        config=grader_config(load_course()),
        template_name="formgrade",
        extra_template_basedirs=[handlers.template_path],
    )
    meta = {"grade": True, "solution": True, "locked": False, "grade_id": "why_response", "points": 3}
    cells = [
        new_markdown_cell(f"Mine: {text}"),
        new_markdown_cell(f"Mine: {text}", metadata={"nbgrader": meta}),
        extra(new_output("display_data", data={"text/html": text, "text/markdown": text}), source=text),
    ]
    resources = dict.fromkeys(("assignment_id", "notebook_id", "submission_id", "base_url", "student"), "")
    html, _ = exporter.from_notebook_node(new_notebook(cells=cells), {**resources, "index": 0, "total": 1})
    own = Elements(html[html.index("Mine:") :]).found
    assert not {tag for tag, _ in own} & {"script", "iframe", "svg", "form", "style"}
    for tag, attributes in own:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert "evil.example" not in attributes.get("src", "")
        assert not attributes.get("href", "").lower().startswith(("javascript", "data"))


def test_the_formgrader_keeps_formulas_and_what_learners_write():
    html = formgrader_prose(r"Because **two** ways: $x_1 < y_2$, $\href{javascript:alert(1)}{x}$")
    assert "<strong>two</strong>" in html and "$x_1 &lt; y_2$" in html and r"\href" not in html


def test_formulas_of_a_question_are_mathematics():
    meta = {"grade": False, "solution": False, "locked": True, "grade_id": "why_question"}
    html = render(new_markdown_cell("Why $2^{-150}$?", metadata={"nbgrader": meta}))
    assert "<msup><mn>2</mn><mrow><mo>−</mo><mn>150</mn></mrow></msup>" in html


def test_notes_for_the_instructor_stay_out_of_the_feedback():
    # nbgrader copies whatever stands beside the graded notebook; the receipt holds tracebacks of hidden tests.
    ignored = set(grader_config(load_course()).CourseDirectory.ignore)
    assert "graded.json" in ignored


def test_parts_carry_the_names_that_people_use():
    heading = "### Exercise 3 · The gain factor (4 points, medium, about 10 minutes)\n\nWrite `gain`."
    answer = {"grade": False, "solution": True, "locked": False, "grade_id": "gain"}
    check = {"grade": True, "solution": False, "locked": True, "grade_id": "gain_check", "score": 0.0}
    hint = new_output("error", ename="CheckFailed", evalue="Twice.", traceback=["Twice <b>too large</b>."])
    html = render(
        new_markdown_cell(heading),
        new_code_cell("def gain(): ...", metadata={"nbgrader": answer}),
        new_code_cell("check.gain(gain)", outputs=[hint], metadata={"nbgrader": check | {"points": 4.0}}),
    )
    assert html.count("Exercise 3 · The gain factor") == 3  # its own cell here, the table, its part
    assert 'class="hint">Twice &lt;b&gt;too large&lt;/b&gt;.' in html and "check.gain" not in html
    assert "gain_check" not in html and "0 / 4" in html


def with_triage(course, *rows):
    write_csv(course.classroom / "triage.csv", COLUMNS, [dict.fromkeys(COLUMNS, "") | row for row in rows])


def test_who_has_no_grade_gets_a_page_that_says_so(tmp_path, monkeypatch):
    course = graded_folders(tmp_path, "ada")
    lesson = course.lessons[0]
    reason = "cut off or damaged: no answer is left for naive_response; ask for the file again"
    with_triage(
        course,
        {"student": "ada", "lesson": lesson.name, "status": "taken"},
        {"student": "max", "name": "Max <b>M</b>", "lesson": lesson.name, "status": "unreadable", "reason": reason},
        {"student": "nora", "lesson": lesson.name, "status": "nothing"},
        {"student": "otto", "lesson": course.lessons[1].name, "status": "nothing"},
        {"student": "pia", "status": "unreadable", "reason": "neither a notebook nor a Python script"},
        {"student": "max", "status": "unreadable", "reason": "a text"},
        {"student": "ada", "status": "unreadable", "reason": "a text"},
    )  # fmt: skip
    monkeypatch.setattr(feedback, "run_quietly", lambda *_: None)
    pages = list(feedback.feedback(course, list(course.lessons[:2])))
    # Lesson 2 was not graded: nobody is missing there.
    assert [page.parts[-3] for page in pages] == ["ada", "max", "nora", "pia"]
    unreadable, nothing = (page.read_text(encoding="utf-8") for page in pages[1:3])
    assert "neither a notebook" in pages[3].read_text(encoding="utf-8")
    assert "cannot be read" in unreadable and "Question · 362 or 367, and why?" in unreadable
    assert "ask for" not in unreadable and "Max &lt;b&gt;" in unreadable and "not a zero" in unreadable
    assert "nothing of yours" in nothing and "not a zero" in nothing


def test_a_triage_table_that_lost_a_column_is_one_sentence(tmp_path):
    course = graded_folders(tmp_path, "ada")
    (course.classroom / "triage.csv").write_text("Student;lesson;file;name;reason\nada;01;;;\n")
    with pytest.raises(CourseError, match="has no column 'status' any more: `course collect` writes"):
        list(feedback.feedback(course, list(course.lessons[:1])))


# As Moodle 4.1 and later, older ones, and without folders; and as Canvas names files.
@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("x.zip/Ada L_17_assignsubmission_file/a b.ipynb", "Ada L_17_assignsubmission_file/01_feedback.html"),
        ("x.zip/Ada L_17_assignsubmission_file_/a.ipynb", "Ada L_17_assignsubmission_file_/01_feedback.html"),
        (
            "x.zip/Ada L_17_assignsubmission_file_a_b.ipynb",
            "Ada L_17_assignsubmission_file_/01_feedback.html",
        ),
        ("x.zip/ada/01.ipynb", ""),
        (
            "CS_7_assignsubmission_file_old.zip/Ada L_17_assignsubmission_file/a.ipynb",
            "Ada L_17_assignsubmission_file/01_feedback.html",
        ),
        ("CS_7_assignsubmission_file.zip/ada/01.ipynb", ""),
        ("Ada L_17_assignsubmission_file_a.ipynb", "Ada L_17_assignsubmission_file_/01_feedback.html"),
    ],
)
def test_a_zip_for_moodle_names_pages_as_its_download(file, named):
    assert moodle_name(file, "01") == named
    if named:  # what Moodle itself reads in it
        who, kind = named.split("_")[1], named.partition("/")[0].split("_")[2:4]
        assert who == "17" and kind == ["assignsubmission", "file"]


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("s.zip/lovelaceada_123_4567_01.ipynb", "lovelaceada_123_4567_01.html"),
        ("s.zip/lovelaceada_LATE_123_4567_01_x-2.ipynb", "lovelaceada_LATE_123_4567_01_x-2.html"),
        ("s.zip/o.brienpat_123_4567_a.b.ipynb", "o.brienpat_123_4567_a.b.html"),
        ("class.zip/ada/01.ipynb", ""),
        ("course_101_2026_week.zip/lovelaceada_123_4567_01.ipynb", "lovelaceada_123_4567_01.html"),
        ("course_101_2026_week.zip/ada/01.ipynb", ""),
        ("lovelaceada_123_4567_01.ipynb", "lovelaceada_123_4567_01.html"),
    ],
)
def test_a_zip_for_canvas_names_pages_as_its_download(file, named):
    assert canvas_name(file, "01") == named
    if named:  # what Canvas itself reads in it: the first two numbers between underscores
        assert [word for word in named.split("_") if word.isdigit()][:2] == ["123", "4567"]


def test_a_zip_holds_the_pages_of_those_who_came_by_the_platform(tmp_path):
    course = graded_folders(tmp_path)
    lesson = course.lessons[0]
    pages = []
    for student in ("ada", "blaise", "emmy", "grace", "mary", "zuse"):
        path = feedback.place(course, student, lesson)
        path.parent.mkdir(parents=True)
        path.write_text(student)
        pages += (
            [path] if student != "emmy" else []
        )  # hers is a notice of last week: her work came, and waits to be graded
    other = feedback.place(course, "ada", course.lessons[1])
    rows = [
        {"student": "emmy", "status": "taken", "file": "s.zip/emmy_3_30_x.ipynb"},
        {"student": "ada", "status": "older", "file": "s.zip/ada_1_10_x.ipynb"},
        {"student": "ada", "status": "taken", "file": "s.zip/ada_1_11_x.ipynb"},
        {"student": "blaise", "status": "taken", "file": "by mail/x.ipynb"},
        # Of a pair only one uploaded: the other's was collected by hand, as `--student blaise@uni.edu`, and would be sent to the one.
        {
            "student": "blaise",
            "status": "taken",
            "file": "ada_1_11_x-0123abcd/blaise@uni.edu/ada_1_11_x.ipynb",
        },
        *(
            {"student": name, "status": "taken", "file": "s.zip/team_7_70_x.ipynb"}
            for name in ("grace", "mary")
        ),
    ]
    lost = {"student": "zuse", "lesson": "", "status": "unreadable", "file": "s.zip/zuse_5_50_photo.png"}
    elsewhere = [{"student": "ada", "lesson": "", "status": "unreadable", "file": "s.zip/ada_1_12_photo.png"}, {"student": "blaise", "lesson": "", "status": "unreadable", "file": "t.zip/blaise_2_20_photo.png"}]  # fmt: skip
    with_triage(course, *(row | {"lesson": lesson.name} for row in rows), lost, *elsewhere)
    (course.classroom / "downloaded" / BY_HAND / "ada_1_11_x-0123abcd").mkdir(parents=True)
    target, left = pack(course, lesson, "canvas", [*pages, other])
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["ada_1_11_x.html", "zuse_5_50_photo.html"]  # who needs it most
        assert archive.read("ada_1_11_x.html") == b"ada"
    assert left == ["blaise", "grace", "mary"]
    with pytest.raises(CourseError, match=r"no page of .* can go to moodle"):
        pack(course, lesson, "moodle", pages)


def test_without_a_browser_printing_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CourseError, match=r"no Chromium is installed.*print them there"):
        list(print_pages([]))


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, BROWSERS)) and not (os.environ.get("CI") and sys.platform == "linux"),
    reason="no Chromium here: install `chromium`",
)
def test_a_page_is_printed(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render(new_markdown_cell("Größe $x^2$")), encoding="utf-8")
    (made,) = print_pages([path])
    assert made == path.with_suffix(".pdf") and made.read_bytes().startswith(b"%PDF-")
