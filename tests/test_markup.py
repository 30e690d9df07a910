"""Markdown and mathematics as HTML: formulas are MathML, what is not understood stays as it was typed, nothing acts."""

import re
from xml.etree import ElementTree

import pytest

from course.editions.names import exercise_names
from course.editions.source import read_lesson
from course.markup import MATH_ATTRIBUTES, MATH_TAGS, formula, prose, sanitised
from tests.test_feedback import HOSTILE, Elements


def formulas(course):
    for lesson in course.written:
        for cell in read_lesson(course, lesson).cells:
            if cell.cell_type == "markdown":
                text = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
                for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, re.DOTALL):
                    yield block or inline


@pytest.mark.slow
def test_every_formula_of_the_lessons_is_understood(course):
    known = list(formulas(course))
    assert len(known) > 500
    assert [tex for tex in known if not formula(tex).startswith("<math")] == []


@pytest.mark.slow
def test_what_is_written_is_well_formed_and_passes_the_sanitiser_as_it_is(course):
    for tex in list(formulas(course))[::7]:
        made = formula(tex)
        ElementTree.fromstring(made)
        assert sanitised(made).replace("&nbsp;", "\u00a0") == made


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\frac{a}{b}", "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"),
        (r"x_1 < y", "<mo>&lt;</mo>"),
        (r"\mathbf x", "<mi>𝐱</mi>"),
        (r"\big\lVert x \big\rVert", "‖"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "<mtable"),
        (r"\mathrm{relu}(x)", '<mi mathvariant="normal">r</mi>'),
    ],
)
def test_formulas_become_mathml(tex, part):
    assert part in formula(tex)


@pytest.mark.parametrize(
    "tex",
    [
        r"\unknown{x}",
        r"\frac{a",
        r"x^",
        "",
        "{" * 700,
        "x" * 2000,
        r"\def\a{\b\b}\def\b{xx}\a",
        r"\newcommand{\a}{x}\a",
        r"\href{javascript:alert(1)}{x}",
        r"\style{position:fixed}{x}",
        r"\class{x}{y}",
    ],
)
def test_what_is_not_understood_or_not_wanted_is_shown_as_it_was_typed(tex):
    assert formula(tex).startswith("<code>") and "<math" not in formula(tex)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "around", [r"$\text{%s}$", r"$%s$", r"$$\mathrm{%s}$$", r"\begin{align}%s\end{align}", r"$\color{%s}{x}$"]
)
def test_no_formula_acts(text, around):
    for tag, attributes in Elements(prose(around % text)).found:
        assert tag in MATH_TAGS | {"p", "code", "a", "em", "pre"}
        if tag in MATH_TAGS:
            assert not attributes or set(attributes) <= set(MATH_ATTRIBUTES)
        assert not attributes.get("href", "").lower().startswith(("javascript", "data"))


def test_no_formula_pushes_the_page_away():
    assert "width" not in formula(r"\hspace{999em}x") and "999" not in formula(r"\hspace{999em}x")


def test_dollars_are_money_where_they_are_money():
    assert "<math" not in prose("It costs $5 and $6.") and "<math" in prose("It costs $5x$.")
    assert "<math" not in prose("`$x$`")


def test_an_exercise_is_called_by_its_heading_and_a_cell_without_one_by_its_id():
    def cell(kind, source="", **meta):
        return {"cell_type": kind, "source": source, "metadata": {"nbgrader": meta} if meta else {}}

    assert exercise_names(
        [
            cell("markdown", "### Exercise 2 · The size (of it) (3 points, easy, about 5 minutes)"),
            cell("code", grade_id="size", solution=True),
            cell("markdown", "### Exercise 9 · Somebody's own", grade_id="x", solution=True, locked=False),
            cell("code", grade_id="size_check", grade=True, locked=True),
            cell("code", grade_id="the_rest", solution=True),
        ]
    ) == {
        "size": "Exercise 2 · The size (of it)",
        "x": "Exercise 2 · The size (of it)",
        "size_check": "Exercise 2 · The size (of it)",
        "the_rest": "the rest",
    }
