"""What learners and graders write, as HTML that can be shown: markdown and mathematics, sanitised, without script or network.

One way for the feedback pages and the reading desk. Formulas become MathML when the page is written, so that a browser
shows them with nothing loaded; a formula that is not understood is shown as it was typed.
"""

from __future__ import annotations

import html
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import nh3
from latex2mathml.converter import Converter
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

PROSE_TAGS = {"p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "a", "del"}  # fmt: skip
MATH_TAGS = {"math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "ms", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose"}  # fmt: skip
# What an element of a formula may say, and how: nothing that leads anywhere, colours, or pushes the rest of the page away.
_LENGTH = r"[+-]?(?:[0-3](?:\.\d{1,4})?|\.\d{1,4})em"
MATH_ATTRIBUTES = {
    "display": r"inline|block",
    "mathvariant": r"normal",
    "stretchy": r"true|false",
    "fence": r"true|false",
    "accent": r"true|false",
    "largeop": r"true|false",
    "movablelimits": r"true|false",
    "displaystyle": r"true|false",
    "scriptlevel": r"[+-]?[012]",
    "form": r"prefix|infix|postfix",
    "linethickness": r"0|0em",
    "columnalign": r"(?:left|right|center)(?: (?:left|right|center))*",
    "minsize": _LENGTH,
    "maxsize": _LENGTH,
    "width": _LENGTH,
}
# Of how many parts these are made; a formula that was not typed to its end has fewer.
PARTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
FORMULA = 1500  # characters of a formula; a longer one is shown as it was typed
# The converter leaves out that a delimiter may be sized, and knows the numbered environments only.
_DELIMITERS = {"lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "langle": "⟨", "rangle": "⟩"}
_SIZED = re.compile(r"(\\[bB]igg?[lr]?)\s*\\(" + "|".join(_DELIMITERS) + r")(?![A-Za-z])")
_ENVIRONMENT = re.compile(r"\\(begin|end)\{(?:aligned|gathered|split|eqnarray\*?|gather\*?|multline\*?)\}")
# Definitions can grow a short formula without end; a link, a style and a class are no mathematics.
_REFUSED = re.compile(
    r"\\(?:def|g?let|edef|(?:re)?newcommand|newenvironment|DeclareMathOperator|href|url|style|class|cssId|require|includegraphics)(?![A-Za-z])"
)
# Letters of their own for what browsers do not draw from an attribute: upper case, lower case, digits.
_BOLD = {
    "bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "bold-italic": (0x1D468, 0x1D482, 0x1D7CE),
}
# A run of a path's characters is looked at once: a pattern that tries each of its slashes takes time squared.
PATH = re.compile(r"(?<![\w.+@~:/-])(?:…|~|file://)?(/[\w.+@~/-]*)")


def prose(markdown: str) -> str:
    """Render markdown with mathematics to sanitised HTML: no raw HTML, scripts, pictures or frames; links stay links.

    Args:
        markdown: what somebody wrote, formulas between dollars.

    Returns:
        HTML for the body of a page; formulas are MathML.
    """
    return sanitised(_parser().render(hide_paths(markdown)))


def sanitised(text: str) -> str:
    """Keep the tags of prose and of formulas, and links that lead to a page or a mailbox."""
    return nh3.clean(
        text,
        tags=PROSE_TAGS | MATH_TAGS,
        attributes={"a": {"href"}} | {tag: set(MATH_ATTRIBUTES) for tag in MATH_TAGS},
        url_schemes={"http", "https", "mailto"},
    )


@cache
def _parser() -> MarkdownIt:
    """Markdown as notebooks understand it: commonmark, tables, formulas."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    dollarmath_plugin(
        parser,
        allow_labels=False,
        allow_space=False,  # so that "$5 and $6" is money
        allow_digits=False,
        double_inline=True,
        renderer=lambda tex, how: formula(tex, how["display_mode"]),
    )
    amsmath_plugin(parser, renderer=lambda tex: formula(tex, block=True))
    return parser


def formula(tex: str, block: bool = False) -> str:
    """Write a formula as MathML.

    Args:
        tex: LaTeX without its dollars.
        block: whether it stands on a line of its own.

    Returns:
        A `<math>` element; where the formula is not understood, its source as code.
    """
    tex = tex.strip()
    source = f"<code>{html.escape(tex)}</code>"
    if len(tex) > FORMULA or _REFUSED.search(tex):
        return source
    known = _SIZED.sub(lambda found: found[1] + _DELIMITERS[found[2]], tex)
    known = _ENVIRONMENT.sub(r"\\\1{align*}", known)
    try:
        tree = Converter(display="block" if block else "inline").convert_to_element(known)
        return _written(tree)
    except (
        Exception
    ):  # whatever the converter stumbles over, a RecursionError included: the reader sees what was typed
        return source


def _written(element: Element) -> str:
    """Write an element of a formula as text; the converter's own way leaves what is in it unescaped.

    Raises:
        ValueError: for a command that was not understood, a part that is missing, and an element that is none of a formula's.
    """
    if element.tag not in MATH_TAGS or len(element) != PARTS.get(element.tag, len(element)):
        raise ValueError(element.tag)
    text = html.unescape(element.text or "")
    if text.startswith("\\") and len(text) > 1:
        raise ValueError(text)
    said: dict[str, Any] = dict(element.attrib)
    tag = element.tag
    if tag == "mi" and text in _DELIMITERS.values():  # a bracket is an operator
        tag, said = "mo", said | {"stretchy": "false"}
    if said.get("mathvariant") in _BOLD:
        text = "".join(_bold(letter, *_BOLD[said["mathvariant"]]) for letter in text)
    kept = "".join(
        f' {name}="{value}"'
        for name, value in said.items()
        if re.fullmatch(MATH_ATTRIBUTES.get(name, r"(?!)"), value)
    )
    inner = html.escape(text, quote=False) + "".join(map(_written, element))
    tail = html.escape(html.unescape(element.tail or ""), quote=False)
    return f"<{tag}{kept}>{inner}</{tag}>{tail}"


def _bold(letter: str, upper: int, lower: int, digit: int) -> str:
    for first, last, start in (("A", "Z", upper), ("a", "z", lower), ("0", "9", digit)):
        if first <= letter <= last:
            return chr(start + ord(letter) - ord(first))
    return letter


def hide_paths(text: str) -> str:
    """Shorten absolute paths to their last part: where the grader's files lie is nobody's business."""
    for folder in _folders():
        text = text.replace(folder + "/", "…/")
    return PATH.sub(_shortened, text)


@cache
def _folders() -> tuple[str, ...]:
    """Folders whose names may hold blanks and brackets, which no pattern tells from prose: the checkout, this Python, home."""
    known = {str(Path(__file__).resolve().parents[1]), sys.prefix, sys.base_prefix, str(Path.home())}
    return tuple(sorted((folder for folder in known if len(folder) > 1), key=len, reverse=True))


def _shortened(found: re.Match[str]) -> str:
    """The last part of a path of at least two folders; what only looks like one stays."""
    path = found[1]
    if path.endswith("/") and found.string[found.end() : found.end() + 1] == "<":  # /usr/lib/<frozen ...>
        folders, last = path.strip("/"), ""
    else:
        folders, _, last = path.rstrip("/").rpartition("/")
        last += "/" * path.endswith("/")
    known = found[0].startswith("…")
    return f"…/{last}" if known or "/" in folders.strip("/") else found[0]
