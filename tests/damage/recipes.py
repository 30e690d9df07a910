"""The damage suite: one recipe a way in which a notebook arrives, with the triage and score it must get."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from course.intake.edition import Slot
from tests.damage.paper import Paper

FULL, NONE, UNGRADED = "full", "none", "ungraded"


@dataclass(frozen=True)
class Damage:
    """One file as it is handed in, and what must become of it.

    Args:
        name: what happened to it.
        content: its bytes.
        file: the name under which it is handed in.
        status: expected in the triage: "taken", "repaired" or "unreadable".
        mention: text that the triage must say of it.
        expected_score: "full", "none" (graded, no points), "ungraded" (nothing is placed), or the grade_ids of the
            answers that must count as if nothing had happened; the others count nothing.
    """

    name: str
    content: bytes
    file: str
    status: str
    mention: str
    expected_score: str | frozenset[str]

    def earns(self, grade_id: str) -> bool:
        """Whether an answer must score as in the undamaged notebook."""
        return self.expected_score == FULL or (
            not isinstance(self.expected_score, str) and grade_id in self.expected_score
        )


Score = str | Callable[[Paper], str | frozenset[str]]
_RECIPES: list[tuple[Callable[[Paper], bytes | dict], str, str, Score, str]] = []


def damages(paper: Paper) -> list[Damage]:
    """Make every damaged notebook from one solved lesson."""
    made = []
    for recipe, status, mention, score, file in _RECIPES:
        content = recipe(paper)
        if isinstance(content, dict):
            content = written(content)
        expected = score(paper) if callable(score) else score
        name = recipe.__name__.replace("_", " ").strip()
        made.append(Damage(name, content, file.format(lesson=paper.lesson), status, mention, expected))
    return made


def names() -> list[str]:
    """What happens in each recipe, in order."""
    return [recipe.__name__.replace("_", " ").strip() for recipe, *_ in _RECIPES]


def damage(status: str, mention: str = "", score: Score = FULL, file: str = "{lesson}.ipynb") -> Callable:
    """Add a recipe; the name of the function says what happened."""

    def add(recipe: Callable[[Paper], bytes | dict]) -> Callable:
        _RECIPES.append((recipe, status, mention, score, file))
        return recipe

    return add


def written(notebook: Mapping) -> bytes:
    """A notebook as Jupyter writes it, sources as lists of lines."""
    lined = copy.deepcopy(dict(notebook))
    for cell in lined.get("cells", []):
        if isinstance(cell, dict) and isinstance(cell.get("source"), str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    return (json.dumps(lined, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _extra(kind: str, source: str, **fields) -> dict:
    """A cell that a student adds."""
    cell = {"cell_type": kind, "metadata": {}, "source": source} | fields
    return cell | ({"outputs": [], "execution_count": 3} if kind == "code" else {})


def _grade_ids(places: list[Slot]) -> frozenset[str]:
    return frozenset(place.grade_id for place in places)


def _all_but_first_exercise(paper: Paper) -> frozenset[str]:
    return _grade_ids(paper.edition.answers) - {paper.exercises[0].grade_id}


def _exercises(paper: Paper) -> frozenset[str]:
    return _grade_ids(paper.exercises)


# Saved by other programs


@damage("taken")
def as_it_was_solved(paper):
    return paper.solved()


@damage("repaired", "byte order mark")
def utf8_with_a_byte_order_mark(paper):
    return b"\xef\xbb\xbf" + written(paper.solved())


@damage("repaired", "UTF-16")
def utf16_with_a_mark(paper):
    return written(paper.solved()).decode().encode("utf-16")


@damage("repaired", "UTF-16")
def utf16_big_endian_without_a_mark(paper):
    return written(paper.solved()).decode().encode("utf-16-be")


@damage("repaired", "UTF-32")
def utf32(paper):
    return written(paper.solved()).decode().encode("utf-32")


@damage("repaired", "Windows text")
def windows_text(paper):
    notebook = paper.solved()
    first = notebook["cells"][paper.exercises[0].index]
    first["source"] += "\n# größer als früher"
    for cell in notebook["cells"]:
        cell["source"] = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        cell["source"] = cell["source"].encode("cp1252", "ignore").decode("cp1252")
    return written(notebook).decode().encode("cp1252")


@damage("taken")
def carriage_returns_between_lines_of_json(paper):
    return written(paper.solved()).replace(b"\n", b"\r\n")


@damage("repaired", "line ends")
def carriage_returns_within_sources(paper):
    notebook = paper.solved()
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")
    return json.dumps(notebook).encode()


@damage("taken")
def sources_as_single_strings(paper):
    return json.dumps(paper.solved()).encode()


@damage("repaired", "nbformat 3")
def nbformat_3_with_worksheets(paper):
    cells = []
    for cell in paper.solved()["cells"]:
        old = {
            "cell_type": cell["cell_type"],
            "metadata": {k: v for k, v in cell["metadata"].items() if k != "id"},
        }
        old["input" if cell["cell_type"] == "code" else "source"] = cell["source"]
        cells.append(
            old
            | (
                {"language": "python", "outputs": [], "collapsed": False}
                if cell["cell_type"] == "code"
                else {}
            )
        )
    return {
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }


@damage("taken")
def nbformat_4_0_without_cell_ids(paper):
    notebook = paper.solved() | {"nbformat_minor": 0}
    for cell in notebook["cells"]:
        del cell["id"]
    return notebook


@damage("taken")
def nbformat_4_6_with_fields_of_the_future(paper):
    notebook = paper.solved() | {"nbformat_minor": 6, "future": {"x": 1}}
    for cell in notebook["cells"]:
        cell["future"] = [1, 2]
    return notebook


@damage("repaired", "nbformat 5")
def nbformat_5(paper):
    return paper.solved() | {"nbformat": 5}


@damage("repaired", "missing nbformat")
def format_and_metadata_missing(paper):
    return {"cells": paper.solved()["cells"]}


@damage("taken")
def another_kernel_and_no_language(paper):
    return paper.solved() | {"metadata": {"kernelspec": {"name": "ir", "display_name": "R"}}}


@damage("repaired", "bare list")
def a_bare_list_of_cells(paper):
    return json.dumps(paper.solved()["cells"]).encode()


@damage("repaired", "contents API")
def wrapped_by_the_contents_api(paper):
    return json.dumps({"type": "notebook", "format": "json", "content": paper.solved()}).encode()


@damage("repaired", "JSON within JSON")
def json_within_json(paper):
    return json.dumps(written(paper.solved()).decode()).encode()


@damage("repaired", "Python literal")
def printed_as_a_python_dictionary(paper):
    return str(paper.solved()).encode()


@damage("repaired", "gzip")
def gzipped(paper):
    return gzip.compress(written(paper.solved()))


@damage("repaired", "Python script", file="{lesson}.py")
def exported_as_percent_script(paper):
    blocks = []
    for cell in paper.solved()["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(
                "# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in source.splitlines())
            )
        else:
            blocks.append("# %%\n" + source)
    return "\n\n".join(blocks).encode()


@damage("repaired", "Python script", file="{lesson}.py")
def exported_by_nbconvert(paper):
    blocks = ["#!/usr/bin/env python\n# coding: utf-8"]
    for number, cell in enumerate(paper.solved()["cells"]):
        source = "".join(cell["source"])
        prose = "\n".join(f"# {line}" for line in source.splitlines())
        blocks.append(f"# In[{number}]:\n\n\n{source}" if cell["cell_type"] == "code" else prose)
    return "\n\n\n".join(blocks).encode()


@damage("repaired", "Python script", score=_exercises, file="{lesson}.py")
def exported_by_colab_as_a_script(paper):
    blocks = ['# -*- coding: utf-8 -*-\n"""Untitled\n\nAutomatically generated by Colab.\n"""']
    blocks += ["".join(cell["source"]) for cell in paper.solved()["cells"] if cell["cell_type"] == "code"]
    return "\n\n".join(blocks).encode()


# Colab


@damage("taken", "who ran which cell")
def saved_by_colab(paper):
    notebook = paper.solved() | {"nbformat_minor": 0}
    notebook["metadata"] |= {
        "colab": {"provenance": [{"file_id": "1x", "timestamp": 17}], "name": "Copy.ipynb"},
        "accelerator": "GPU",
    }
    for cell in notebook["cells"]:
        del cell["id"]
        cell["metadata"]["executionInfo"] = {
            "user": {"displayName": "Jane Doe", "userId": "0451"},
            "elapsed": 12,
        }
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hello\n"]}]
            cell["metadata"]["outputId"] = "e7"
    badge = '<a href="https://colab.research.google.com/x"><img src="https://colab.research.google.com/assets/colab-badge.svg"/></a>'
    notebook["cells"].insert(
        0, _extra("markdown", badge, metadata={"id": "view-in-github", "colab_type": "text"})
    )
    return notebook


@damage("repaired", "nbgrader's names")
def colab_with_ids_of_its_own(paper):
    rng = random.Random(1)
    notebook = paper.solved()
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"]["id"] = f"{rng.getrandbits(64):x}"
    return notebook


# Cells lost, moved, copied, edited, bent


def _without_any_metadata(notebook: dict) -> dict:
    for cell in notebook["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {}
    return notebook


@damage("repaired", "found by the name")
def all_metadata_stripped(paper):
    return _without_any_metadata(paper.solved())


@damage("repaired", "found by its place")
def all_metadata_stripped_and_prose_answers_alike(paper):
    notebook = _without_any_metadata(paper.solved())
    for place in paper.responses:
        notebook["cells"][place.index]["source"] = "The same short answer to every question."
    return notebook


@damage("repaired", "found by the name")
def metadata_of_the_answers_stripped(paper):
    notebook = paper.solved()
    for place in paper.edition.answers:
        notebook["cells"][place.index].pop("id")
        notebook["cells"][place.index]["metadata"] = {}
    return notebook


@damage("repaired", "found by the name")
def ids_and_names_replaced_by_random_ones(paper):
    rng = random.Random(2)
    notebook = paper.solved()
    for cell in notebook["cells"]:
        cell["id"] = f"{rng.getrandbits(32):08x}"
        cell["metadata"] = {"id": f"{rng.getrandbits(32):08x}"}
    return notebook


@damage("repaired", "deleted tests restored")
def tests_deleted(paper):
    notebook = paper.solved()
    notebook["cells"] = [
        c for c, p in zip(notebook["cells"], paper.edition.slots, strict=True) if not p.is_check
    ]
    return notebook


@damage("taken", "edited tests")
def tests_edited_to_pass(paper):
    notebook = paper.solved()
    for place in paper.edition.slots:
        if place.is_check:
            notebook["cells"][place.index]["source"] = "assert True"
    return notebook


@damage("taken")
def tests_moved_to_the_top(paper):
    notebook = paper.solved()
    is_check = {
        cell["id"]: place.is_check for cell, place in zip(notebook["cells"], paper.edition.slots, strict=True)
    }
    notebook["cells"].sort(key=lambda cell: not is_check[cell["id"]])
    return notebook


@damage("taken")
def cells_in_reverse_order(paper):
    notebook = paper.solved()
    notebook["cells"].reverse()
    return notebook


@damage("repaired", "copies")
def tests_copied(paper):
    notebook = paper.solved()
    notebook["cells"] += [
        copy.deepcopy(notebook["cells"][p.index]) for p in paper.edition.slots if p.is_check
    ]
    return notebook


@damage("repaired", "copies")
def a_blank_copy_of_an_answer_behind_it(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    notebook["cells"].insert(place.index + 1, paper.blank()["cells"][place.index])
    return notebook


@damage("repaired", "the last changed one counts")
def an_earlier_draft_of_an_answer_kept(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    draft = copy.deepcopy(notebook["cells"][place.index])
    draft["source"] = place.source.replace("raise NotImplementedError()", "return None")
    notebook["cells"].insert(place.index, draft)
    return notebook


@damage("repaired", "copies")
def the_whole_notebook_pasted_twice(paper):
    notebook = paper.solved()
    notebook["cells"] = paper.blank()["cells"] + notebook["cells"]
    return notebook


@damage("repaired", "found by the name")
def answers_given_the_ids_of_tests(paper):
    notebook = paper.solved()
    tests = [place for place in paper.edition.slots if place.is_check]
    for place, test in zip(paper.exercises, tests, strict=False):
        cell, other = notebook["cells"][place.index], notebook["cells"][test.index]
        cell["id"], cell["metadata"] = "x" + other["id"][:60], {}
    return notebook


@damage("repaired", "blank")
def tests_given_the_ids_of_answers(paper):
    notebook = paper.solved()
    cell, test = (notebook["cells"][paper.exercises[0].index + i] for i in (0, 1))
    cell["id"], cell["metadata"], test["id"], test["metadata"] = (
        test["id"],
        test["metadata"],
        cell["id"],
        cell["metadata"],
    )
    test["source"] = paper.exercises[0].source
    return notebook


@damage("taken")
def points_and_locks_forged(paper):
    notebook = paper.solved()
    for cell in notebook["cells"]:
        cell["metadata"].get("nbgrader", {}).update(points=1000, locked=False, grade=True, solution=True)
    return notebook


@damage("repaired", "taken from another cell")
def an_answer_in_a_cell_of_its_own_below_the_blank_one(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    notebook["cells"][place.index]["source"] = place.source
    notebook["cells"].insert(place.index + 1, _extra("code", paper.answers[place.grade_id]))
    return notebook


@damage("repaired", "taken from another cell")
def an_answer_above_the_blank_cell(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    notebook["cells"][place.index]["source"] = place.source
    notebook["cells"].insert(place.index, _extra("code", paper.answers[place.grade_id]))
    return notebook


@damage("repaired", "taken from another cell")
def an_answer_typed_into_the_test(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    notebook["cells"][place.index]["source"] = place.source
    notebook["cells"][place.index + 1]["source"] = paper.answers[place.grade_id]
    return notebook


@damage("repaired", "stands in the cell of")
def two_answers_merged_into_one_cell(paper):
    notebook = paper.solved()
    first, second = paper.exercises[:2]
    notebook["cells"][first.index]["source"] = (
        f"{paper.answers[first.grade_id]}\n\n\n{paper.answers[second.grade_id]}"
    )
    del notebook["cells"][second.index]
    return notebook


@damage("taken", "own: 1")
def an_answer_split_over_two_cells(paper):
    notebook = paper.solved()
    place = paper.exercises[0]
    notebook["cells"].insert(place.index + 1, _extra("code", paper.answers[place.grade_id]))
    notebook["cells"][place.index]["source"] = "helper = 1"
    return notebook


@damage("repaired", "turned into a markdown cell")
def an_answer_turned_into_prose(paper):
    notebook = paper.solved()
    cell = notebook["cells"][paper.exercises[0].index]
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]
    return notebook


@damage("repaired", "turned into a code cell")
def a_response_turned_into_code(paper):
    notebook = paper.solved()
    notebook["cells"][paper.responses[0].index].update(cell_type="code", outputs=[], execution_count=None)
    return notebook


@damage("repaired", "beside it")
def a_response_in_a_cell_of_its_own(paper):
    notebook = paper.solved()
    place = paper.responses[0]
    notebook["cells"][place.index]["source"] = place.source
    notebook["cells"].insert(place.index + 1, _extra("markdown", paper.answers[place.grade_id]))
    return notebook


@damage("repaired", "added to the question")
def a_response_typed_into_the_question(paper):
    notebook = paper.solved()
    place = paper.responses[0]
    notebook["cells"][place.index]["source"] = place.source
    notebook["cells"][place.index - 1]["source"] += "\n\n" + paper.answers[place.grade_id]
    return notebook


@damage("taken", "own: 3")
def cells_of_the_students_own(paper):
    notebook = paper.solved()
    notebook["cells"].insert(3, _extra("code", "scratch = 3\nscratch"))
    notebook["cells"].insert(5, _extra("markdown", "my notes"))
    notebook["cells"].append(_extra("code", "1 / 0"))
    return notebook


@damage("taken", "what it newly defines was kept")
def an_import_added_to_the_locked_setup(paper):
    notebook = paper.solved()
    place = next(p for p in paper.edition.slots if p.grade_id == "imports")
    notebook["cells"][place.index]["source"] = "import itertools\n" + place.source
    first = notebook["cells"][paper.exercises[0].index]
    first["source"] += "\n\n\nCOUNTER = itertools.count()"
    return notebook


@damage("taken", "released ones count")
def constants_of_the_setup_changed(paper):
    notebook = paper.solved()
    place = next(p for p in paper.edition.slots if p.grade_id == "imports")
    notebook["cells"][place.index]["source"] = place.source + "\nmath = None\nSTEP = 7"
    return notebook


@damage("repaired", "deleted cells of the lesson restored")
def all_prose_deleted(paper):
    notebook = paper.solved()
    keep = [p.kind == "code" or p.is_answer for p in paper.edition.slots]
    notebook["cells"] = [c for c, kept in zip(notebook["cells"], keep, strict=True) if kept]
    return notebook


@damage("taken", "no cell for it", score=_all_but_first_exercise)
def an_answer_deleted(paper):
    notebook = paper.solved()
    del notebook["cells"][paper.exercises[0].index]
    return notebook


@damage("taken", "", score=_all_but_first_exercise)
def an_answer_that_does_not_compile(paper):
    notebook = paper.solved()
    notebook["cells"][paper.exercises[0].index]["source"] += "\n    return ((("
    return notebook


@damage("taken", "no answer", score=NONE)
def the_release_unchanged(paper):
    return paper.blank()


@damage("taken")
def outputs_of_every_kind(paper):
    notebook = paper.solved()
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "x" * 200_000},
        {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": []},
        {"output_type": "nonsense"},
        7,
    ]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = outputs
    return notebook


# Damaged on the way


@damage("unreadable", "cut off", score=UNGRADED)
def cut_off_in_the_middle(paper):
    data = written(paper.solved())
    return data[: data.index(json.dumps(paper.edition.slots[paper.exercises[0].index + 2].ids[0]).encode())]


@damage("repaired", "whole cells")
def cut_off_behind_the_last_answer(paper):
    return written(paper.solved()).rstrip(b"\n }")


@damage("unreadable", "no whole cell", score=UNGRADED)
def cut_off_in_the_first_cell(paper):
    return written(paper.solved())[:40]


@damage("repaired", "trailing commas")
def trailing_commas(paper):
    return written(paper.solved()).replace(b"\n }", b",\n }").replace(b"\n ]", b",\n ]")


@damage("repaired", "after the end")
def rubbish_behind_the_end(paper):
    return written(paper.solved()) + b"</div>\n<!-- saved -->"


@damage("repaired", "after the end")
def written_twice_into_one_file(paper):
    return written(paper.solved()) * 2


@damage("repaired", "control characters")
def raw_line_breaks_within_strings(paper):
    notebook = paper.solved()
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\ue000")
    return json.dumps(notebook, ensure_ascii=False).replace("\ue000", "\n").encode()


@damage("unreadable", "no answer is left for", score=UNGRADED)
def one_cell_damaged(paper):
    notebook = paper.solved()
    notebook["cells"][paper.exercises[0].index]["source"] = ["@@"]
    return written(notebook).replace(b'"@@"', b'"@@')


@damage("repaired", "zero bytes")
def padded_with_zero_bytes(paper):
    return written(paper.solved()) + b"\0" * 4096


@damage("repaired", "damaged characters")
def half_a_character_in_a_note(paper):
    notebook = paper.solved()
    notebook["cells"].append(_extra("markdown", "halb \ud83d"))
    return json.dumps(notebook).encode()


@damage("repaired", "damaged characters")
def one_byte_damaged(paper):
    notebook = paper.solved()
    notebook["cells"].append(_extra("markdown", "Übung é @@"))
    return written(notebook).replace(b"@@", b"\xff")


@damage("repaired", "word processor")
def non_breaking_spaces_in_code(paper):
    notebook = paper.solved()
    cell = notebook["cells"][paper.exercises[0].index]
    cell["source"] = cell["source"].replace("    ", "\u00a0\u00a0\u00a0\u00a0").replace('"""', "“““")
    return notebook


@damage("repaired", "types of cells")
def types_of_cells_missing(paper):
    notebook = paper.solved()
    for place in paper.exercises:
        del notebook["cells"][place.index]["cell_type"]
    return notebook


@damage("repaired", "no cells left out")
def entries_that_are_no_cells(paper):
    notebook = paper.solved()
    notebook["cells"] += [None, "text", 3, [], {"cell_type": "code", "source": None, "metadata": None}]
    return notebook


@damage("taken")
def metadata_of_wrong_types(paper):
    notebook = paper.solved()
    notebook["metadata"] = []
    for place in paper.edition.slots:
        if not place.is_answer:
            notebook["cells"][place.index]["metadata"] = "none"
    return notebook


# Not a notebook at all


@damage("unreadable", "empty", score=UNGRADED)
def empty(paper):
    return b""


@damage("unreadable", "empty", score=UNGRADED)
def nothing_but_blanks(paper):
    return b" \r\n\n"


@damage("unreadable", "zero bytes", score=UNGRADED)
def nothing_but_zeros(paper):
    return b"\0" * 10_000


@damage("unreadable", "web page", score=UNGRADED)
def a_web_page(paper):
    return b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"


@damage("unreadable", "link to https://colab", score=UNGRADED, file="{lesson}.html")
def a_page_that_links_to_colab(paper):
    return b'<html><head><meta http-equiv="refresh" content="0; url=https://colab.research.google.com/drive/1a"></head></html>'


@damage("unreadable", "link", score=UNGRADED, file="{lesson}.url")
def an_internet_shortcut(paper):
    return b"[InternetShortcut]\r\nURL=https://drive.google.com/file/d/1a/view\r\n"


@damage("unreadable", "Google Drive", score=UNGRADED)
def a_placeholder_of_google_drive(paper):
    return b'{"":"WARNING!","doc_id":"1a","resource_key":"","email":"jane@example.org"}'


@damage("unreadable", "LFS", score=UNGRADED)
def a_git_lfs_pointer(paper):
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@damage("unreadable", "merge conflict", score=UNGRADED)
def an_unresolved_merge_conflict(paper):
    lines = written(paper.solved()).decode().splitlines()
    return "\n".join(
        [*lines[:9], "<<<<<<< HEAD", lines[9], "=======", lines[9], ">>>>>>> mine", *lines[10:]]
    ).encode()


@damage("unreadable", "PDF", score=UNGRADED, file="{lesson}.pdf")
def a_pdf(paper):
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


@damage("unreadable", "picture", score=UNGRADED)
def a_screenshot(paper):
    return b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@damage("unreadable", "office document", score=UNGRADED, file="{lesson}.docx")
def a_word_document(paper):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<x/>")
    return file.getvalue()


@damage("unreadable", "RAR", score=UNGRADED)
def a_rar_archive(paper):
    return b"Rar!\x1a\x07\x01\0" + b"x" * 50


@damage("unreadable", "no cells", score=UNGRADED)
def json_of_something_else(paper):
    return b'{"grades": [1, 2, 3]}'


@damage("unreadable", "without a single cell", score=UNGRADED)
def a_notebook_without_cells(paper):
    return {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@damage("unreadable", "nested too deeply", score=UNGRADED)
def json_nested_a_million_deep(paper):
    return b'{"cells": ' + b"[" * 1_000_000


@damage("unreadable", "not valid JSON", score=UNGRADED)
def json_with_an_endless_number(paper):
    return b'{"nbformat": ' + b"9" * 20_000 + b', "cells": []}'


@damage("unreadable", "none of its cells belongs", score=UNGRADED)
def a_notebook_of_another_course(paper):
    return {"cells": [_extra("code", "print('hello')")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@damage("unreadable", "", score=UNGRADED)
def random_bytes(paper):
    return random.Random(3).randbytes(5000)


@damage("unreadable", "neither", score=UNGRADED, file="{lesson}.ipynb.txt")
def a_message_in_words(paper):
    return b"Dear professor, my laptop broke, sorry!"


# Under other names


@damage("taken", file="Copy of {lesson}.ipynb")
def named_as_a_copy(paper):
    return paper.solved()


@damage("taken", file="{lesson} (3).ipynb")
def named_with_a_counter(paper):
    return paper.solved()


@damage("taken", file="UNTITLED7.IPYNB")
def named_untitled_in_capitals(paper):
    return paper.solved()


@damage("taken", file="{lesson}.ipynb.txt")
def named_as_text(paper):
    return paper.solved()


@damage("taken", file="09_why_skips_work.ipynb")
def named_as_another_lesson(paper):
    return paper.solved()


@damage("taken", file="übung ½ ‮gnp.ipynb")
def named_in_unicode_with_a_direction_mark(paper):
    return paper.solved()


@damage("taken", file="{lesson}.zip")
def zipped_by_the_student(paper):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("homework/data/.DS_Store", b"x")
        archive.writestr("__MACOSX/homework/._notebook.ipynb", b"\0\5\x16\7")
        archive.writestr("homework/notebook.ipynb", written(paper.solved()))
    return file.getvalue()


@damage("taken", file="homework.ipynb")
def a_zip_named_as_a_notebook(paper):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{paper.lesson}.ipynb", written(paper.solved()))
    return file.getvalue()
