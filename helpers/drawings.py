"""Drawings of what the lessons build: chains, blocks, paths, nets. Numbers and modules in, a drawing out.

A colour means a part of the network (`figures.ROLES`), in every drawing. What a drawing says of shapes and factors is computed from
what it is given. Texts are large enough for a width of 10 cm, the paper is white on any page.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from helpers import figures

if TYPE_CHECKING:
    from torch import nn

WIDTH = 60  # of a drawing; the unit is a tenth of an inch
TEXT = 11  # points at 6 inches: 7 when the drawing is 10 cm wide
LETTER = 0.86  # width of a letter of this size, roughly


class Drawing(NamedTuple):
    """A figure and what it says in words: `figures.show(*drawing)`."""

    figure: Figure
    alt: str


@dataclass(frozen=True)
class Block:
    """A residual block as it is drawn.

    Args:
        branch: its steps, as from `steps`.
        behind: what stands behind the addition.
        shortcut: what stands on the skip; nothing if empty.
        formula: in words or symbols.
    """

    branch: Sequence[str]
    behind: Sequence[str] = ()
    shortcut: str = ""
    formula: str = ""


def steps(modules: Iterable[nn.Module]) -> list[str]:
    """Name the modules of a branch, with the numbers that they are made of.

    Args:
        modules: convolutions, linear layers, batch norms, ReLUs.

    Returns:
        A label a module, such as "conv 3 × 3, 3 → 6" for a convolution, with its stride where that is not 1.
    """
    return [_step(module) for module in modules]


def _step(module: Any) -> str:
    kind = type(module).__name__
    if kind.startswith("Conv"):
        size, stride = " × ".join(map(str, module.kernel_size)), module.stride[0]
        return (
            f"conv {size}\n{module.in_channels} → {module.out_channels}{f', stride {stride}' * (stride > 1)}"
        )
    return {"BatchNorm1d": "BN", "BatchNorm2d": "BN", "Linear": "W"}.get(kind, kind)


class _Board:
    """A white sheet with a title, WIDTH wide, on which things are drawn in tenths of an inch."""

    def __init__(self, height: float, title: str) -> None:
        with plt.rc_context(figures.STYLE):
            self.figure = Figure(figsize=(WIDTH / 10, height / 10), layout="none", facecolor="white")
            FigureCanvasAgg(self.figure)
            self.axis = self.figure.add_axes((0, 0, 1, 1))
        self.axis.set(xlim=(0, WIDTH), ylim=(0, height))
        self.axis.axis("off")
        self.text(1, height - 1, title, size=12, ha="left", va="top")

    def text(self, x: float, y: float, words: str, size: float = TEXT, **look: Any) -> None:
        self.axis.text(
            x, y, words, **{"ha": "center", "va": "center", "fontsize": size, "linespacing": 1.1} | look
        )

    def box(self, x: float, y: float, words: str, role: str, width: float | None = None) -> float:
        """Draw a box around words; give half its width."""
        lines = words.split("\n")
        wide = width or max(3.6, LETTER * max(map(len, lines)) + 1.2)
        high = 2.0 * len(lines) + 1.2
        look = {"facecolor": tint(role), "edgecolor": figures.ROLES[role], "linewidth": 1.4}
        shape = {"boxstyle": "round,pad=0,rounding_size=0.6"}
        self.axis.add_patch(FancyBboxPatch((x - wide / 2, y - high / 2), wide, high, **shape, **look))
        self.text(x, y, words)
        return wide / 2

    def arrow(self, points: Sequence[tuple[float, float]], role: str, head: bool = True) -> None:
        """Draw a line through points with a head at its end, in the look of the part it stands for."""
        look = figures.role(role)
        style = {"arrowstyle": "-|>,head_length=4,head_width=2.2" if head else "-", "joinstyle": "round"}
        line = {"color": look["color"], "linestyle": "-" if role in ("data", "stream", "branch") else "--"}
        path = Path(points)
        self.axis.add_patch(FancyArrowPatch(path=path, linewidth=1.6, shrinkA=0, shrinkB=0, **style, **line))

    def plus(self, x: float, y: float) -> None:
        """Draw an addition, 1.3 in radius."""
        self.axis.add_patch(
            Circle((x, y), 1.3, facecolor="white", edgecolor=figures.ROLES["data"], linewidth=1.4)
        )
        self.text(x, y, "+", size=13)

    def cell(
        self, x: float, y: float, side: float, colour: Any, edge: str = "0.4", width: float = 0.7
    ) -> None:
        """Draw a square with its lower left corner here."""
        self.axis.add_patch(Rectangle((x, y), side, side, facecolor=colour, edgecolor=edge, linewidth=width))


def tint(role: str, share: float = 0.18) -> tuple[float, float, float]:
    """Give a pale form of a part's colour.

    Args:
        role: a key of `figures.ROLES`.
        share: of the colour; the rest is white.

    Returns:
        Red, green and blue from 0 to 1.
    """
    red, green, blue = (1 - share + share * part for part in to_rgb(figures.ROLES[role]))
    return red, green, blue


def chain_of(x: float, weights: Sequence[float], skip: bool) -> tuple[list[float], list[float]]:
    """Run a chain of scalar tanh layers, and give the factor that a gradient meets in each.

    Args:
        x: the input.
        weights: one a layer.
        skip: whether a layer adds its input.

    Returns:
        The states z_0 ... z_n, and dz_i / dz_(i-1) for i = 1 ... n.
    """
    states, factors = [x], []
    for w in weights:
        t = math.tanh(w * states[-1])
        factors.append(w / math.cosh(w * states[-1]) ** 2 + skip)
        states.append(t + states[-1] * skip)
    return states, factors


def tanh_chain(x: float, weights: Sequence[float]) -> Drawing:
    """Draw a chain of tanh layers without and with skips: the states, and the factors of the way back.

    Args:
        x: the input.
        weights: one a layer, four or so.

    Returns:
        The drawing.
    """
    board = _Board(35, "Forward, the states; backward, the factors that a gradient meets")
    step, said = 50 / len(weights), []
    for skip, y in ((False, 24), (True, 8)):
        states, factors = chain_of(x, weights, skip)
        formula = "$z_i = \\tanh(w_i z_{i-1}) + z_{i-1}$" if skip else "$z_i = \\tanh(w_i z_{i-1})$"
        name = "with skips" if skip else "plain"
        board.text(1, y + (7.4 if skip else 5.2), f"{name}: {formula}", ha="left")
        for i, factor in enumerate(factors):
            left, middle, right = (5 + step * (i + part) for part in (0, 0.5, 1))
            board.arrow([(left + 2.8, y), (middle - 2.6, y)], "stream")
            half = board.box(middle, y, "tanh", "branch")
            board.arrow([(middle + half, y), (right - 2.8, y)], "stream")
            if skip:
                a, b, up = left + 0.7, right - 0.7, y + 4.4
                over = [(a, y + 1.4), (a, up), (b, up), (b, y + 1.5)]
                board.arrow(over, "skip")
            board.arrow([(right - 1, y - 3), (left + 1, y - 3)], "gradient")
            board.text(middle, y - 4.9, f"× {factor:.2g}", color=figures.ROLES["gradient"])
        for i, state in enumerate(states):
            board.text(5 + step * i, y, f"{state:.3g}")
        said.append(
            f"{name}: states {', '.join(f'{z:.3g}' for z in states)}, factors {', '.join(f'{f:.2g}' for f in factors)}"
        )
    return Drawing(board.figure, f"A chain of {len(weights)} tanh layers. " + "; ".join(said) + ".")


def operator(matrix: np.ndarray, pixel: int) -> Drawing:
    """Draw how one row of a convolution's matrix reads an image.

    Args:
        matrix: (n², n²), n about 4.
        pixel: which row; counted from 0.

    Returns:
        The drawing: the image with what this pixel reads, the matrix with its row.
    """
    n = math.isqrt(len(matrix))
    row, most = matrix[pixel], matrix.max()
    board = _Board(33, f"Row {pixel} of A: what the new pixel {pixel} reads of the old image")
    side, left, bottom = 4.6, 5, 5
    for k, weight in enumerate(row):
        x, y = left + side * (k % n), bottom + side * (n - 1 - k // n)
        board.cell(x, y, side, tint("data", 0.7 * weight / most))
        board.text(x + side / 2, y + side / 2, f"{weight:.2g}" if weight else "0")
    x, y = left + side * (pixel % n), bottom + side * (n - 1 - pixel // n)
    board.cell(x, y, side, "none", figures.ROLES["stream"], 2.4)
    board.text(left + side * n / 2, bottom - 2, f"image, {n} × {n}: weights of row {pixel}")
    small, right = side * n * 1.2 / len(matrix), 33
    for i, j in itertools.product(range(len(matrix)), repeat=2):
        place = (right + small * j, bottom + small * (len(matrix) - 1 - i))
        board.cell(*place, small, tint("data", 0.7 * matrix[i, j] / most), "0.85", 0.3)
    for k in range(0, len(matrix) + 1, n):
        end, at = small * len(matrix), small * k
        board.axis.plot([right + at] * 2, [bottom, bottom + end], color="0.4", lw=0.8)
        board.axis.plot([right, right + end], [bottom + at] * 2, color="0.4", lw=0.8)
    place, size = (right, bottom + small * (len(matrix) - 1 - pixel)), (small * len(matrix), small)
    frame = {"facecolor": "none", "edgecolor": figures.ROLES["stream"], "linewidth": 2}
    board.axis.add_patch(Rectangle(place, *size, **frame))
    board.text(
        right + small * len(matrix) / 2, bottom - 2, f"A, {len(matrix)} × {len(matrix)}: blocks of {n} × {n}"
    )
    read = ", ".join(f"{weight:.2g} of pixel {k}" for k, weight in enumerate(row) if weight)
    return Drawing(board.figure, f"Row {pixel} of the {len(matrix)} by {len(matrix)} matrix: {read}.")


def residual_blocks(blocks: Mapping[str, Block], title: str) -> Drawing:
    """Draw residual blocks below each other, each from left to right with its skip beneath the branch.

    Args:
        blocks: name -> block.
        title: the finding.

    Returns:
        The drawing.
    """
    pitch = 14
    board, said = _Board(pitch * len(blocks) + 4, title), []
    for i, (name, block) in enumerate(blocks.items()):
        y = pitch * (len(blocks) - i) - 6
        board.text(1, y + 5.2, f"{name}{':  ' * bool(block.formula)}{block.formula}", ha="left")
        _block(board, y, block)
        way = ", ".join(map(_said, block.branch))
        past = _said(block.shortcut) or "nothing"
        said.append(
            f"{name}: the branch is {way}; on the skip stands {past}; behind the addition {', '.join(block.behind) or 'nothing'}"
        )
    return Drawing(board.figure, ". ".join(said) + ".")


def _said(label: str) -> str:
    """A label in one line, without the signs of a formula."""
    return label.replace("\n", ", ").replace("$", "").replace("_", "")


def two_forms(chapter: Iterable[nn.Module], paper: Iterable[nn.Module]) -> Drawing:
    """Draw lesson 5's two residual blocks: that of the chapter, and that of the paper.

    Args:
        chapter: the branch that ends in a ReLU.
        paper: the branch without it; the ReLU stands behind the addition.

    Returns:
        The drawing.
    """
    blocks = {
        "The chapter": Block(steps(chapter), formula=r"$y = \mathrm{relu}(F(x)) + x$"),
        "He et al.": Block(steps(paper), ["ReLU"], formula=r"$y = \mathrm{relu}(F(x) + x)$"),
    }
    return residual_blocks(blocks, "The last ReLU stands in front of the addition, or behind it")


def two_orders() -> Drawing:
    """Draw the residual block of 2015, and that of 2016, in which norm and activation stand in front of the weights."""
    blocks = {
        "He et al. 2015": Block(["$W_1$", "BN", "ReLU", "$W_2$", "BN"], ["ReLU"]),
        "He et al. 2016, pre-activation": Block(["BN", "ReLU", "$W_1$", "BN", "ReLU", "$W_2$"]),
    }
    return residual_blocks(blocks, "In the later form nothing stands on the stream")


def _block(board: _Board, y: float, block: Block) -> None:
    """Draw one block around height y: input, branch, addition, what is behind it, output."""
    labels = [*block.branch, *block.behind]
    widths = [max(3.6, LETTER * max(map(len, label.split("\n"))) + 1.2) for label in labels]
    gap = min(4.0, (WIDTH - 11 - sum(widths)) / (len(labels) + 2))
    board.text(2, y, "$x$", size=13)
    x, fork = 3.2, 3.2 + gap / 2
    for k, (label, width) in enumerate(zip(labels, widths, strict=True)):
        first, behind = k == 0, k >= len(block.branch)
        role = "stream" if first or behind else "branch"
        board.arrow([(x, y), (x + gap, y)], role)
        x += gap
        board.box(x + width / 2, y, label, "stream" if behind else "branch", width)
        x += width
        if k == len(block.branch) - 1:
            board.arrow([(x, y), (x + gap, y)], "branch")
            x += gap + 1.3
            board.plus(x, y)
            low = y - (7 if block.shortcut else 5)
            board.arrow([(fork, y), (fork, low), (x, low), (x, y - 1.3)], "skip")
            if block.shortcut:
                board.box((fork + x) / 2, low, block.shortcut, "skip")
            x += 1.3
    board.arrow([(x, y), (x + gap, y)], "stream")
    board.text(x + gap + 1.3, y, "$y$", size=13)


def projection(branch: Iterable[nn.Module], shortcut: nn.Module, side: int) -> Drawing:
    """Draw a block whose shortcut changes the shape, with the shapes on both ways.

    Args:
        branch: convolutions and what stands between them.
        shortcut: a convolution.
        side: of the image that comes in, in pixels.

    Returns:
        The drawing.

    Raises:
        ValueError: if the two ways end in different shapes.
    """
    modules = list(branch)
    ends = {"branch": shape_behind(modules, side), "shortcut": shape_behind([shortcut], side)}
    if ends["branch"] != ends["shortcut"]:
        raise ValueError(f"the branch ends in {ends['branch']}, the shortcut in {ends['shortcut']}")
    channels = next(m.in_channels for m in modules if hasattr(m, "in_channels"))
    block = Block(steps(modules), ["ReLU"], _step(shortcut))
    shapes = [f"{c} × {n} × {n}" for c, n in ((channels, side), ends["branch"])]
    title = f"Both ways change {shapes[0]} into {shapes[1]}"
    board = _Board(21, title)
    _block(board, 11.5, block)
    board.text(1, 16, shapes[0], ha="left")
    board.text(WIDTH - 1, 16, shapes[1], ha="right")
    alt = residual_blocks({"block": block}, "").alt.removeprefix("block: ")
    return Drawing(board.figure, f"{title}: {alt}")


def shape_behind(modules: Iterable[nn.Module], side: int) -> tuple[int, int]:
    """Work out what convolutions make of an image.

    Args:
        modules: convolutions; others change no shape.
        side: in pixels.

    Returns:
        Channels and side.
    """
    channels = 0
    for module in modules:
        if hasattr(module, "kernel_size"):
            kernel, stride, padding = (
                _first(getattr(module, n)) for n in ("kernel_size", "stride", "padding")
            )
            channels, side = int(module.out_channels), (side + 2 * padding - kernel) // stride + 1
    return channels, side


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def dense(start: int, growth: int, layers: int, compression: float, side: int) -> Drawing:
    """Draw a dense block and the transition behind it: channels as heights.

    Args:
        start: channels that enter the block.
        growth: channels that each layer appends.
        layers: of the block, four or so.
        compression: share of the channels that the transition lets pass.
        side: height and width of the maps in the block, in pixels.

    Returns:
        The drawing.
    """
    widths = [start + growth * i for i in range(layers + 1)]
    out, unit = int(compression * widths[-1]), 15 / widths[-1]
    title = (
        f"Each layer reads all and appends {growth}: {widths[0]} → {widths[-1]}, then the transition: {out}"
    )
    board, base = _Board(31, figures.wrapped(title, 62)), 8.0
    places = [3 + 40 * i / layers for i in range(layers + 1)] + [54]

    def pile(x: float, pieces: Sequence[tuple[int, str]], below: str) -> None:
        bottom = base
        for channels, role in pieces:
            height = unit * channels
            look = {"facecolor": tint(role, 0.35), "edgecolor": figures.ROLES[role], "linewidth": 1.2}
            board.axis.add_patch(Rectangle((x - 1.5, bottom), 3, height, **look))
            bottom += height
        board.text(x, base - 1.5, below, va="top")

    for i, width in enumerate(widths):
        pieces = [(start, "stream"), *[(growth, "branch")] * i]
        pile(places[i], pieces, f"{width}" + f"\n{side} × {side}" * (i in (0, layers)))
        if i < layers:
            middle, top = (places[i] + places[i + 1]) / 2, base + unit * (width + growth / 2)
            board.arrow(
                [
                    (places[i] + 1.6, base + unit * width / 2),
                    (middle, base + unit * width / 2),
                    (middle, top),
                    (places[i + 1] - 1.6, top),
                ],
                "branch",
            )
            board.text(middle, base - 1.5, f"+{growth}", va="top")
    end, middle = base + unit * out / 2, (places[-2] + places[-1]) / 2
    board.arrow([(places[-2] + 1.6, end), (places[-1] - 1.6, end)], "stream")
    board.text(middle, end + 3.6, "1 × 1,\nthen pool")
    pile(places[-1], [(out, "stream")], f"{out}\n{side // 2} × {side // 2}")
    alt = f"Piles of channels: {', '.join(map(str, widths))} at {side} by {side} pixels. Each layer reads the whole pile and lays {growth} on top. Behind the transition {out} at {side // 2} by {side // 2}."
    return Drawing(board.figure, alt)


def meeting(shape1: tuple[int, int, int], shape2: tuple[int, int, int]) -> Drawing:
    """Draw which numbers of two images of unequal shapes are added in a shortcut layer.

    Args:
        shape1: height, width, channels of the branch's image; its height and width are multiples of the other's.
        shape2: of the image on the skip.

    Returns:
        The drawing: channels as sheets behind each other, what meets in colour.
    """
    stride, shared = shape1[0] // shape2[0], min(shape1[2], shape2[2])
    count = shape2[0] * shape2[1] * shared
    total = math.prod(shape1)
    board = _Board(31, f"{count} of the {total} numbers of $x_1$ meet a number of $x_2$")
    side = 15 / max(shape1[0], shape1[1])
    ways = ((4, "branch", shape1, stride, "$x_1$"), (39, "skip", shape2, 1, "$x_2$"))
    for left, role, (height, width, channels), step, name in ways:
        for channel in reversed(range(channels)):
            x0, y0 = left + 1.7 * channel, 6 + 1.7 * channel
            for i, j in itertools.product(range(height), range(width)):
                meets = channel < shared and i % step == 0 and j % step == 0
                colour = tint(role, 0.6) if meets else "white"
                board.cell(x0 + side * j, y0 + side * (height - 1 - i), side, colour)
        words = f"{name}: {height} × {width}, {channels} channel{'s' * (channels > 1)}"
        board.text(left, 3, words, ha="left")
    board.text(31, 12, "+", size=18)
    alt = f"Two piles of sheets. Of x1, {shape1[0]} by {shape1[1]} with {shape1[2]} channels, every {_nth(stride)} row and column of {shared} channels is coloured; all of x2, {shape2[0]} by {shape2[1]}, in {shared} of its {shape2[2]} channels: {count} pairs."
    return Drawing(board.figure, alt)


def _nth(number: int) -> str:
    return {1: "single", 2: "second", 3: "third"}.get(number, f"{number}th")


def paths(blocks: int) -> Drawing:
    """Draw a residual network of a few blocks and all paths through it, by their length.

    Args:
        blocks: three, or so.

    Returns:
        The drawing.
    """
    ways = sorted(
        itertools.product((0, 1), repeat=blocks), key=lambda way: (sum(way), [-step for step in way])
    )
    counts = [sum(sum(way) == k for way in ways) for k in range(blocks + 1)]
    board = _Board(32, f"{blocks} blocks, {len(ways)} paths: " + " + ".join(map(str, counts)))
    y, pitch = 23, 50 / blocks
    board.text(2, y, "$x$", size=13)
    for i in range(blocks):
        left, right = 4 + pitch * i, 4 + pitch * (i + 1)
        fork = left + (2.4 if i else 1)
        board.arrow([(left + 1.3 * (i > 0), y), (right - 1.3, y)], "skip")
        board.arrow([(fork, y), (fork, y + 3), (right - 0.9, y + 3), (right - 0.9, y + 1)], "branch")
        board.box((left + right) / 2, y + 3, f"$f_{{{i + 1}}}$", "branch", 5)
        if i < blocks - 1:
            board.plus(right, y)
    board.plus(4 + pitch * blocks, y)
    board.text(4 + pitch * blocks + 3, y, "$y$", size=13)
    columns, wide = blocks + 1, (WIDTH - 4) / (blocks + 1)
    rows = max(counts)
    for k in range(columns):
        x = 3 + wide * k
        board.text(x, 16.5, f"length {k}: {counts[k]}", ha="left")
        for at, way in enumerate(way for way in ways if sum(way) == k):
            low, piece = 12 - 13.5 / rows * at, (wide - 4) / blocks
            for i, through in enumerate(way):
                a, b = x + piece * i, x + piece * (i + 1)
                if through:
                    bump = [(a, low), (a + 0.25 * piece, low + 2), (a + 0.75 * piece, low + 2), (b, low)]
                    board.arrow(bump, "branch", head=False)
                else:
                    board.arrow([(a, low), (b, low)], "skip", head=False)
    alt = f"A residual network of {blocks} blocks, and its {len(ways)} paths: " + ", ".join(
        f"{count} through {k} branch{'es' * (k != 1)}" for k, count in enumerate(counts)
    )
    return Drawing(board.figure, alt + ".")


def unet(net: nn.Module, side: int) -> Drawing:
    """Draw a U-Net with the channels and sizes of its features.

    Args:
        net: has `down`, `up` and `skips`, as `segmentation.UNet`.
        side: of a picture, in pixels.

    Returns:
        The drawing: down on the left, up on the right, dashed arrows for what is handed over.
    """
    down = [layer[0].out_channels for layer in net.down]
    up = [(layer[0].in_channels, layer[0].out_channels) for layer in net.up]
    levels = len(up)
    sides = [side // 2**level for level in range(levels + 1)]
    title = f"{levels} levels down, {levels} up" + f", {levels} long skips that concatenate" * net.skips
    board, pitch = _Board(8 * levels + 14, title), 8
    top, across = 8 * levels + 6, 24 / levels
    handed = []
    for level, (channels, size) in enumerate(zip(down, sides, strict=True)):
        y, left, right = top - pitch * level, 6.3 + across * level, 53.7 - across * level
        here = 30 if level == levels else left
        board.box(here, y, f"{channels} channels\n{size} × {size}", "stream", 10.6)
        if level == levels:
            continue
        below = 30 if level == levels - 1 else left + across
        back = 30 if level == levels - 1 else right - across
        board.arrow([(left + 1.5, y - 2.6), (below - 3, y - pitch + 2.6)], "stream")
        board.arrow([(back + 3, y - pitch + 2.6), (right - 1.5, y - 2.6)], "stream")
        reads, gives = up[levels - 1 - level]
        board.box(right, y, f"{gives} channels\n{size} × {size}", "stream", 10.6)
        if net.skips:
            board.arrow([(left + 5.3, y), (right - 5.3, y)], "skip")
            handed.append(f"{channels} channels at {size} by {size}")
            if right - left > 22:
                board.text(
                    (left + right) / 2, y + 1.6, f"{reads - channels} + {channels} = {reads} channels in"
                )
    board.text(1, 2, "pool: half the size", ha="left")
    board.text(WIDTH - 1, 2, "repeat: twice the size", ha="right")
    way = ", ".join(f"{c} channels at {s} by {s}" for c, s in zip(down, sides, strict=True))
    alt = f"Boxes in the shape of a V. On the way down {way}, and the same sizes up again." + bool(handed) * (
        f" Dashed arrows hand over {', '.join(handed)}."
    )
    return Drawing(board.figure, alt)
