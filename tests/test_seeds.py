"""The four documents that the course answers: what they print is printed again, and what they get wrong is put right."""

import re
from dataclasses import dataclass

import nbformat
import numpy as np
import pytest

from course.config import load_course
from course.editions.source import read_lesson

COURSE = load_course()
LESSONS = {int(lesson.name[:2]): lesson for lesson in COURSE.written}


def outputs(number: int) -> str:
    """All text that a built lesson has printed."""
    notebook = nbformat.read(COURSE.solution(LESSONS[number]), as_version=4)
    streams = [
        o.text
        for c in notebook.cells
        if c.cell_type == "code"
        for o in c.outputs
        if o.output_type == "stream"
    ]
    return "\n".join(streams)


def printed_images(number: int) -> list[list[str]]:
    """The 8 x 8 arrays among a lesson's outputs: each as its 64 numbers, digit for digit."""
    arrays = [
        re.findall(r"[-+.e\d]+", block) for block in re.findall(r"\[\[.*?\]\]", outputs(number), re.DOTALL)
    ]
    return [numbers for numbers in arrays if len(numbers) == 64]


# --- What the documents print, copied from them.

SOFTMAX = """
0.01556201 0.01559918 0.01559928 0.01559928 0.01559928 0.01559928 0.01559918 0.01556201
0.01559918 0.01564896 0.01564911 0.01564912 0.01564912 0.01564911 0.01564896 0.01559918
0.01559928 0.01564911 0.01564927 0.01564928 0.01564928 0.01564927 0.01564911 0.01559928
0.01559928 0.01564912 0.01564928 0.01564928 0.01564928 0.01564928 0.01564912 0.01559928
0.01559928 0.01564912 0.01564928 0.01564928 0.01564928 0.01564928 0.01564911 0.01559928
0.01559928 0.01564911 0.01564927 0.01564928 0.01564928 0.01564927 0.01564911 0.01559928
0.01559918 0.01564896 0.01564911 0.01564911 0.01564911 0.01564911 0.01564896 0.01559918
0.01556201 0.01559918 0.01559928 0.01559928 0.01559928 0.01559928 0.01559918 0.01556201
"""
ONE_HOT = """
0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 1.4251205e-42 9.2476806e-30 1.4026722e-37 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 4.6814219e-30 1.0000000e+00 1.9949366e-16 1.4012985e-45 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 3.5945632e-38 2.5879985e-17 2.9516086e-25 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00
0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00 0.0000000e+00
"""
LOSSES = """
2.334779739379883 2.080829381942749 1.861109733581543 1.6222866773605347 1.4008594751358032 1.2021803855895996
1.0175918340682983 0.8464715480804443 0.6945523619651794 0.5652304291725159 0.45722895860671997 0.3678813874721527
0.2950149476528168 0.23656459152698517 0.1902393400669098 0.1537216305732727 0.12497119605541229
0.10233154892921448 0.08448765426874161 0.07039088010787964 0.059205152094364166 0.05027180165052414
0.04308139905333519 0.037246380001306534 0.032474275678396225 0.028543196618556976 0.02528352662920952
0.02256440930068493 0.020283177495002747 0.018358616158366203 0.016725943922042847 0.015333104878664017
0.014138107188045979 0.01310708001255989 0.012212511152029037 0.01143216248601675 0.01074786577373743
0.010144847445189953 0.009610974229872227 0.009136296808719635 0.008712565526366234 0.008332919329404831
0.007991624064743519 0.00768382847309112
"""


def test_the_iteration_at_which_all_is_zero():
    assert "All values are zero at iter = 362\n" in outputs(1)


@pytest.mark.parametrize("image", [SOFTMAX, ONE_HOT], ids=["softmax", "one-hot"])
def test_the_two_images_digit_for_digit(image):
    assert image.split() in printed_images(2)


def test_the_four_gradients_of_the_chain():
    assert str(["-0.0000", "-0.0727", "-0.1319", "-0.1892"]) in outputs(3)


def test_the_numbers_of_the_update():
    line = next(line for line in outputs(3).splitlines() if "Adam" in line)
    assert "gradient 1e-15, learning rate 1e-04:" in line and line.endswith("gradient descent -1.0e-19")
    assert re.search(r"^w = +1: an update of -1e-19 is lost$", outputs(3), re.MULTILINE)


def test_the_seed_of_the_exercise():
    assert re.search(r"^seed: 172 ", outputs(5), re.MULTILINE)


def test_the_four_rows_of_the_shortcut_layer():
    assert "[[2 1 2 1]\n [1 1 1 1]\n [2 1 2 1]\n [1 1 1 1]]" in outputs(6)


def test_the_44_losses():
    line = next(line for line in outputs(7).splitlines() if line.startswith("44 losses agree: "))
    seed = np.array(LOSSES.split(), dtype=float)
    again = np.array(line.partition(": ")[2].split(), dtype=float)
    assert len(seed) == 44
    np.testing.assert_allclose(again, seed, rtol=1e-4)


# --- What the documents get wrong, numbered as in the course's list of their errors.


@dataclass(frozen=True)
class Taught:
    """Where an error is treated: the lesson, words of its prose, and what its code asserts or computes.

    An empty `proof` marks a fact about the document's own text, of which there is nothing to compute.
    """

    lesson: int
    prose: str
    proof: str


ERRATA = {
    # 000, the iterated convolution
    ("000", 1): Taught(
        1,
        "Nobody has computed a gradient. What vanishes here is an **activation**",
        "assert torch.allclose(y.detach(), gradient, rtol=1e-4, atol=0)",
    ),
    ("000", 2): Taught(
        2,
        "The softmax is what keeps the numbers alive. Take out the skip, and the image is nearly the same",
        "assert change < 1e-4",
    ),
    ("000", 3): Taught(
        2,
        "The repair makes gradients vanish **twelve times sooner**",
        'set(deaths["residual + softmax"]) <= {28, 29}',
    ),
    ("000", 4): Taught(
        2,
        "With the softmax *after* the addition, $D$ multiplies the identity as well",
        "assert round(radius, 5) == 0.02635",
    ),
    ("000", "4, the sum"): Taught(
        2, "It is the *only* true residual stream in the original", "assert difference == 0.0"
    ),
    ("000", 5): Taught(
        2,
        "the one-hot image is rounding noise that was **amplified**",
        "assert np.allclose(out[3:5, 3:5], 1 / 4, rtol=1e-12)",
    ),
    ("000", 6): Taught(
        2, "It is a normalisation: positive numbers that sum to 1", "assert np.isnan(unprotected).all()"
    ),
    ("000", 7): Taught(
        1, "asks whether no pixel is *positive*", "assert (after_one > 0).sum() == 0 and after_one.any()"
    ),
    # 002, the chain, the small net, the questions
    ("002", 1): Taught(
        3,
        "one zero has become four",
        "assert with_skip.tolist() == [0.0, 0.0, 0.0, 0.0] and input_gradient == 13.0",
    ),
    ("002", 2): Taught(
        3,
        "The number was lost in *one* place, the very first layer",
        "assert math.isclose(double[0], -5.997e-9, rel_tol=1e-3)",
    ),
    ("002", 3): Taught(
        7,
        "its loop uses `rand_input` and `num_batches`, which are never defined",
        "assert type(torch.autograd.Variable(torch.ones(1))) is torch.Tensor",
    ),
    ("002", "3, z_list"): Taught(
        3,
        "its `z_list` holds $t_i$, which is $z_i$ in the plain chain only",
        "assert np.array_equal(z_list, z[1:]) != skip",
    ),
    ("002", "3, the test data"): Taught(
        7, "which the notebook draws and never looks at", "test_share == 0.08"
    ),
    ("002", 4): Taught(
        7,
        "`zero_grad` does not set weights to zero but **gradients**",
        "assert computed and cleared and untouched",
    ),
    ("002", "4, backward"): Taught(
        7,
        "`backward` does not compute weights but **gradients**",
        "untouched = all(map(torch.equal, before, net.parameters()))",
    ),
    ("002", "4, the batch size"): Taught(
        7, "it is not, `flatten(1)` keeps whatever comes", "logits = net(torch.randn(3, 1, 28, 28"
    ),
    ("002", 5): Taught(
        7,
        "attributes are set *after* `super().__init__()`, which needs no arguments",
        "except AttributeError as error:",
    ),
    ("002", 6): Taught(
        7,
        "every training label is known, and on new images it does as well as a ten-sided die",
        "train_share == 1.0 and test_share == 0.08",
    ),
    ("002", 7): Taught(7, '*"unlikely to be caused by vanishing gradients"*', 'ratio["plain"] > 300'),
    ("002", "7, in the chain"): Taught(
        3, "argue that vanishing gradients are *unlikely* to be why the deep plain networks train worse", ""
    ),
    ("002", 8): Taught(
        7, "The notebook announces 100 epochs and prints 44 losses", "assert len(printed) == 44"
    ),
    # 003, the chapter and its exercise
    ("003", 1): Taught(
        3,
        "the derivative is with respect to the *weight*, not to its change",
        'assert not update_survives(1.0, -1e-19, "float32")',
    ),
    ("003", 2): Taught(
        5,
        "One is the part of the skip; the branch adds its Jacobian $J_B$",
        "assert torch.allclose(J, torch.eye(48) + J_B, atol=1e-6)",
    ),
    ("003", "2, in the chain"): Taught(
        3, "That is one only if the branch is flat", "assert factors[-1.0] < 1e-15 and factors[1.0] == 2.0"
    ),
    ("003", 3): Taught(
        5,
        "The chapter's branch ends in a ReLU, so what it adds is never negative",
        "assert lowered[chapter].max() == 0.0",
    ),
    ("003", "3, the figure"): Taught(
        5,
        "Its figure shows the block of He et al., but its solution puts the second ReLU *before* the addition",
        "",
    ),
    ("003", 4): Taught(
        5,
        "torch *broadcasts* it to 3 × 3 and says nothing",
        'assert [n for n in outcomes if outcomes[n] == "fits"] == [3, 4]',
    ),
    ("003", 5): Taught(
        5,
        "most of what it adds to the image is a learned constant: padding and bias",
        "assert seen[3] == (4, 9) and seen[4] == (4, 16)",
    ),
    ("003", 6): Taught(
        5,
        "an in-place ReLU rectifies the image *that the skip still needs*",
        "assert torch.equal(torch.relu_(h) + h, 2 * torch.relu(x))",
    ),
    ("003", 7): Taught(5, "that hides Python's own `input`", ""),
    ("003", "7, images and chapter"): Taught(
        5, "that chapter is not in the document, and its images are links to another site", ""
    ),
    ("003", 8): Taught(
        8,
        "So the claim is true *within a block* only",
        "assert sum(connections) == 535 and round(share, 2) == 0.31",
    ),
    ("003", 9): Taught(3, "Four flat curves, four causes", 'ends["the learning rate is tiny"][2] > 0.1'),
    ("003", "9, with digits"): Taught(
        7,
        "Four losses that end at guessing or above, and one gradient that vanished on its way",
        "assert after[1:3].min() > 1e-2 and after[3] == 0",
    ),
    # 004, the shortcut layer
    ("004", 1): Taught(6, "so no indices would ever be made", 'slips == ["False", "AttributeError"'),
    ("004", 2): Taught(
        6,
        "`ix`, `iy` and `kx` belong to two different inputs",
        'slips == ["False", "AttributeError", "NameError", "AttributeError", "TypeError", "NameError"]',
    ),
    ("004", 3): Taught(
        6,
        "multiplies only the overlap by $\\alpha$; backward multiplies everything by $\\alpha$",
        "assert published(0.5).forward(np.ones_like(x1), np.ones_like(x2))[0, 1, 1, 0] == 1.0",
    ),
    ("004", 4): Taught(
        6, "The two index sets are exchanged", '"(1, 4, 4, 8)", "IndexError", "float64", "0"]'
    ),
    ("004", 5): Taught(6, "`input` is Python's own function", "rest = shortcut.published_slips()"),
    ("004", 6): Taught(6, "One gradient is missing", "rest = shortcut.published_slips()"),
    ("004", 7): Taught(6, "Then the noise is part of the answer", "assert np.allclose(noisy - clean, noise)"),
    ("004", 8): Taught(6, "promises *updates for weights and bias*; the layer has none", '"float64", "0"]'),
    ("004", 9): Taught(
        6, "That holds for the identity and for option A", "assert projection.weight.numel() == 16 * 32"
    ),
    # 004, the published code
    ("004", "no unequal shape runs"): Taught(
        6,
        "it is why no two images of different size run at all",
        '"AttributeError", "TypeError", "NameError"]',
    ),
    ("004", "height by width"): Taught(
        6, "the second side is ranged over the first", 'deeds == ["IndexError", "[0, 2]"'
    ),
    ("004", "stride on channels"): Taught(
        6, "the spatial stride is used on channels", 'deeds == ["IndexError", "[0, 2]"'
    ),
    ("004", "stale indices"): Taught(
        6, "The published layer works out its indices once", "assert new_gap < 1e-12 and stale_gap > 1e-8"
    ),
    ("004", "relu overwrites"): Taught(
        6, "writes the ReLU's slopes into the output", "not np.array_equal(before, relu.output)"
    ),
    ("004", "output by tuples"): Taught(
        6, "the output's shape is found by comparing tuples", '"(1, 4, 4, 8)", "IndexError", "float64"'
    ),
    ("004", "float64"): Taught(
        6, "it **keeps the precision**: float32 in, float32 out", '"IndexError", "float64", "0"]'
    ),
}


# --- What the documents ask: the notebook's seventh question, and the chapter's second reason for skips.


@dataclass(frozen=True)
class Asked:
    """A question of a document: the lesson's own question that takes it up, and words that its rubric has to hold."""

    lesson: int
    question: str
    words: tuple[str, ...]
    rubric: tuple[str, ...]


ASKED = {
    "in lesson 7": Asked(
        7,
        "good_paper",
        ("Was it a good paper, and is it one now?",),
        ("degradation is a rise of the *training* error", "three or more methods with reasons"),
    ),
    "ten years later": Asked(
        10,
        "today",
        (
            "was this a good paper when it was released",
            "What has changed between now and it's initial release point?",
            "What other methods are there of solving the vanishing gradient problem?",
        ),
        ("*vanishing gradients* - no", "*near identity* - yes", "what was kept or restored is a way through"),
    ),
}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_entry_of_the_list_has_a_place():
    length = {"000": 7, "002": 8, "003": 9, "004": 9}
    entries = {(seed, number) for seed, count in length.items() for number in range(1, count + 1)}
    assert entries == {key for key in ERRATA if isinstance(key[1], int)}


@pytest.mark.slow
@pytest.mark.parametrize("entry", ERRATA, ids=lambda entry: " ".join(map(str, entry)))
def test_what_a_document_gets_wrong_is_put_right(entry):
    taught = ERRATA[entry]
    cells = read_lesson(COURSE, LESSONS[taught.lesson]).cells
    prose, code = (
        flat("\n".join(c.source for c in cells if c.cell_type == kind)) for kind in ("markdown", "code")
    )
    assert flat(taught.prose) in prose
    assert flat(taught.proof) in code


@pytest.mark.parametrize("when", ASKED)
def test_the_seventh_question_of_the_notebook_has_a_rubric(when):
    asked = ASKED[when]
    cells = {c.id: flat(c.source) for c in read_lesson(COURSE, LESSONS[asked.lesson]).cells}
    [text] = [source for name, source in cells.items() if name.startswith(asked.question.replace("_", "-"))
              and "BEGIN MARK SCHEME" in source]  # fmt: skip
    question, _, scheme = text.partition("=== BEGIN MARK SCHEME ===")
    assert all(flat(words) in question for words in asked.words)
    assert all(flat(words) in scheme for words in asked.rubric)


def test_the_chapters_second_reason_for_skips_is_tested():
    """Segmentation: "some information was captured in the initial layers", and would have "turned too abstract"."""
    cells = read_lesson(COURSE, LESSONS[10]).cells
    prose, code = (flat("\n".join(c.source for c in cells if c.cell_type == k)) for k in ("markdown", "code"))
    assert (
        '"some information was captured in the initial layers" and would otherwise be "too abstract"' in prose
    )
    assert (
        "assert gap.min() > 0.05" in code
        and "assert rank[False] <= bottom == 8 * 2 * 2 < 200 < rank[True]" in code
    )
