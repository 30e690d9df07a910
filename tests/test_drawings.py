"""Drawings say what the code does: shapes, factors and channels come from modules that run; texts are large and lie side by side."""

import itertools
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from scipy.signal import convolve2d
from torch import nn

from helpers import architectures, blocks, chain, convolution, drawings, figures, remedies, segmentation

KERNEL = convolution.binomial_kernel()
BRANCH = (nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1))
SHORTCUT = nn.Conv2d(4, 8, 1, 2)
FORMS = tuple(blocks.conv_branch(3, 6, 2, 2, 2, relu_last=last) for last in (True, False))
ALL = {  # as the lessons show them
    "operator": lambda: drawings.operator(convolution.operator_matrix(KERNEL, 4), 6),
    "chain": lambda: drawings.tanh_chain(10.0, [1.0] * 4),
    "forms": lambda: drawings.two_forms(*FORMS),
    "projection": lambda: drawings.projection(BRANCH, SHORTCUT, 16),
    "meeting": lambda: drawings.meeting((6, 6, 2), (2, 2, 3)),
    "orders": drawings.two_orders,
    "dense": lambda: drawings.dense(8, 4, 4, 0.5, 8),
    "paths": lambda: drawings.paths(3),
    "unet": lambda: drawings.unet(segmentation.UNet(), 16),
}
EACH = pytest.mark.parametrize("name", ALL)


def texts(drawing):
    return [text.get_text() for text in drawing.figure.axes[0].texts]


def contrast(one, other):
    """The ratio of the luminances of two colours, as WCAG defines it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05

    low, high = sorted((luminance(one), luminance(other)))
    return high / low


@EACH
def test_texts_can_be_read_at_10_cm_and_none_lies_on_another(name):
    figure = ALL[name]().figure
    drawn = [text for text in figure.axes[0].texts if text.get_text()]
    renderer = figure.canvas.get_renderer()
    assert figure.get_size_inches()[0] == 6 and min(text.get_fontsize() for text in drawn) >= 11
    boxes = [text.get_window_extent(renderer) for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for (a, one), (b, other) in itertools.combinations(zip(drawn, boxes, strict=True), 2):
        assert not one.overlaps(other), (a, b)


@pytest.mark.slow
@EACH
def test_a_drawing_has_white_paper_on_any_page_and_says_itself_in_words(name):
    drawing = ALL[name]()
    assert drawing.figure.get_facecolor() == (1, 1, 1, 1)
    assert len(drawing.alt) > 60 and re.search(r"\d", drawing.alt) and "$" not in drawing.alt
    assert figures.png(drawing.figure) == figures.png(ALL[name]().figure)


@EACH
def test_a_line_has_the_colour_of_a_part_of_the_network(name):
    parts = {to_rgb(colour) for colour in figures.ROLES.values()}
    arrows = [p for p in ALL[name]().figure.axes[0].patches if type(p).__name__ == "FancyArrowPatch"]
    assert {to_rgb(arrow.get_edgecolor()) for arrow in arrows} <= parts


def test_the_colours_stand_off_the_paper_and_each_other():
    assert (
        min(contrast(colour, "white") for colour in figures.ROLES.values()) > 3
    )  # WCAG, for what is no text
    assert contrast(figures.ROLES["gradient"], "white") > 4.5  # it is written in, too
    assert len(set(figures.ROLES.values())) == len(figures.ROLES) == 5
    looks = [(look["linestyle"], look["marker"]) for look in map(figures.role, figures.ROLES)]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("skip", [False, True])
def test_the_chain_has_the_states_and_factors_of_the_chain(skip):
    weights = np.array([1.0, 0.5, -2.0, 1.5])
    states, factors = drawings.chain_of(0.7, weights.tolist(), skip)
    assert np.allclose(states, chain.forward(0.7, weights, skip)[0], rtol=1e-12)
    assert np.allclose(np.abs(np.cumprod(factors)), chain.sensitivity(0.7, weights, skip)[1:], rtol=1e-12)
    z = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.tanh(z) + z * skip, z)
    assert f"× {slope.item():.2g}" in texts(ALL["chain"]())


def test_the_operators_row_is_what_a_pixel_reads():
    said = [float(text) for text in texts(ALL["operator"]()) if re.fullmatch(r"[\d.]+", text)]
    impulses = np.eye(16).reshape(16, 4, 4)
    reads = [convolve2d(impulse, KERNEL, mode="same").ravel()[6] for impulse in impulses]
    assert np.allclose(said, reads)


@pytest.mark.parametrize("modules", [*FORMS, BRANCH, (SHORTCUT,)])
def test_shapes_are_those_of_modules_that_run(modules):
    modules = list(modules)
    image = torch.zeros(1, modules[0].in_channels, 16, 16)
    assert (*drawings.shape_behind(modules, 16),) == tuple(nn.Sequential(*modules)(image).shape[1:3])
    for module, label in zip(modules, drawings.steps(modules), strict=True):
        if isinstance(module, nn.Conv2d):
            assert f"{module.in_channels} → {module.out_channels}" in label
            assert ("stride 2" in label) == (module.stride == (2, 2))
            assert f"conv {module.kernel_size[0]} × {module.kernel_size[1]}" in label
        else:
            assert label == "ReLU"


def test_a_projection_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"\(8, 8\), the shortcut in \(8, 16\)"):
        drawings.projection(BRANCH, nn.Conv2d(4, 8, 1), 16)
    assert {"4 × 16 × 16", "8 × 8 × 8"} <= set(texts(ALL["projection"]()))


def test_the_orders_are_those_of_the_networks_of_the_papers():
    def order(modules):
        names = {nn.Conv2d: "W", nn.BatchNorm2d: "BN", nn.ReLU: "ReLU"}
        return [names[type(module)] for module in modules]

    residual = next(
        m for m in architectures.build(architectures.cifar_resnet_spec(8)) if hasattr(m, "shortcut")
    )
    dense = architectures.build(architectures.cifar_densenet_spec(10, 4, bottleneck=True))
    append = next(m for m in dense if isinstance(m, architectures.Append))
    drawn = re.findall(r"the branch is (.*?);.*?addition (\w+)", drawings.two_orders().alt)
    found = [(re.sub(r"W\d", "W", branch).split(", "), behind) for branch, behind in drawn]
    assert found == [(order(residual.branch), "ReLU"), (order(append.branch), "nothing")]
    pair = remedies.ResidualPair([torch.Generator().manual_seed(0)], 8, norm=True).double()
    h = -torch.ones(1, 8, 4, dtype=torch.float64)
    assert pair(h).min() >= 0  # the ReLU stands behind the addition


def test_the_dense_block_has_the_channels_of_a_densenet():
    spec = architectures.DenseNetSpec((4, 1), 4, 8, bottleneck=False, stem="cifar", classes=2)
    network, shapes = architectures.build(spec), []
    for module in network:
        module.register_forward_hook(lambda module, _, out: shapes.append((type(module).__name__, out.shape)))
    with torch.no_grad():
        network(torch.zeros(1, 3, 8, 8))
    block = [8, *(shape[1] for name, shape in shapes if name == "Append")][:5]
    pooled = next(shape for name, shape in shapes if name == "AvgPool2d")
    piles = [text for text in texts(drawings.dense(8, 4, 4, 0.5, 8)) if re.match(r"\d+(\n|$)", text)]
    drawn = [text.split("\n") for text in piles]
    assert [int(lines[0]) for lines in drawn] == [*block, pooled[1]]
    assert [lines[1] for lines in drawn if len(lines) > 1] == ["8 × 8", "8 × 8", f"{pooled[2]} × {pooled[3]}"]


def test_what_meets_is_what_a_transposed_convolution_reaches():
    keep = torch.eye(3, 2)[:, :, None, None]
    reached = nn.functional.conv_transpose2d(torch.ones(1, 3, 2, 2), keep, stride=3, output_padding=2)
    count = int(reached.count_nonzero())
    assert reached.shape == (1, 2, 6, 6)
    assert texts(drawings.meeting((6, 6, 2), (2, 2, 3)))[0].startswith(
        f"{count} of the {reached.numel()} numbers"
    )
    coloured = [p for p in ALL["meeting"]().figure.axes[0].patches if p.get_facecolor()[:3] != (1, 1, 1)]
    assert len(coloured) == 2 * count


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_paths_are_counted_by_the_binomial_theorem(blocks):
    counts = np.polynomial.Polynomial([1, 1]) ** blocks
    said = [text for text in texts(drawings.paths(blocks)) if text.startswith("length")]
    assert said == [f"length {k}: {count:.0f}" for k, count in enumerate(counts.coef)]


@pytest.mark.parametrize("skips", [True, False])
def test_the_u_net_has_the_features_of_one_that_runs(skips):
    net, seen = segmentation.UNet(4, 3, skips), []
    for layer in [*net.down, *net.up]:
        layer.register_forward_hook(lambda _, x, y: seen.append((x[0].shape[1], tuple(y.shape[1:]))))
    h, kept = torch.zeros(2, 1, 16, 16), []
    for layer in net.down[:-1]:
        kept.append(layer(h))
        h = nn.functional.max_pool2d(kept[-1], 2)
    h = net.down[-1](h)
    for layer in net.up:
        h = nn.functional.interpolate(h, scale_factor=2)
        h = layer(torch.cat([h, kept.pop()], 1) if skips else h)
    drawing = drawings.unet(net, 16)
    boxes = sorted(text for text in texts(drawing) if "\n" in text)
    assert boxes == sorted(f"{c} channels\n{n} × {n}" for _, (c, n, _) in seen)
    reads = [int(text.split("= ")[1].split()[0]) for text in texts(drawing) if "channels in" in text]
    assert reads == ([seen[-1][0], seen[-2][0]] if skips else [])
