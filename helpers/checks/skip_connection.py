"""Checks of lesson 5: hints for the likely mistakes."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.functional import conv2d

from helpers import blocks
from helpers.checks.core import CheckFailed, after_call, beside, call, close, equal, exercise, expect, shown

__all__ = ["FixedBlock", "ProjectionBlock", "SkipConnection", "branch_size", "input_dependence"]


@exercise
def SkipConnection(answer):
    """The chapter's block against convolutions in NumPy, at the two sides that it accepts."""
    for side in (4, 3):
        skip_connection_at(answer, image_of((2, 3, side, side), seed=side))


@exercise
def branch_size(answer):
    """Heights and widths against torch's own convolutions, square and not."""
    for height, width in [(8, 8), (3, 3), (4, 4), (1, 1), (7, 7), (32, 32), (4, 11), (9, 6), (2, 64)]:
        branch_size_at(answer, height, width)


@exercise
def input_dependence(answer):
    """Counts against the windows of the two convolutions, followed by hand."""
    for geometry, side in [((2, 2, 2), 3), ((2, 2, 2), 4), ((2, 2, 2), 1), ((3, 1, 1), 5)]:
        input_dependence_at(answer, geometry, side, seed=side)


@exercise
def FixedBlock(answer):
    """relu(F(x) + x) against convolutions in NumPy, at sides that the chapter's block refuses."""
    pixel = image_of((2, 2, 1, 1), seed=0)
    _keeps_size(pixel, call(_instance(answer, 2), pixel.clone()), "FixedBlock(2) on a single pixel")
    for channels, height, width in [(2, 6, 6), (3, 5, 6), (4, 8, 2)]:
        fixed_block_at(answer, channels, image_of((2, channels, height, width), seed=height))


@exercise
def ProjectionBlock(answer):
    """relu(F(x) + W x) against convolutions in NumPy, with more channels and a stride."""
    for c_in, c_out, stride, side in [(4, 4, 2, 2), (3, 6, 2, 8), (2, 5, 1, 4), (3, 4, 2, 7), (3, 3, 1, 4)]:
        projection_block_at(answer, c_in, c_out, stride, image_of((2, c_in, side, side), seed=side))


def image_of(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Draw a float32 image with positive and negative values."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def skip_connection_at(answer, image: torch.Tensor) -> None:
    """Compare one call of the chapter's block with relu(conv2(relu(conv1(x)))) + x."""
    block = _instance(answer)
    conv1, conv2 = _layers(block, ("conv_layer1", "conv_layer2"), 2, 2)
    _chapters_weights(block)
    x = _plain(image)
    linear = conv2(_relu(conv1(x)))
    branch = _relu(linear)
    what = f"your block on an image of shape {tuple(image.shape)}"
    output = call(block, image.clone())
    _compare(
        output,
        branch + x,
        what,
        [
            (
                branch,
                "This is the branch alone: the addition is missing. The input has to come back at the end.",
            ),
            (
                _relu(linear + x),
                "Here the ReLU comes after the addition. That is He's block; the chapter's block "
                "rectifies the branch first and leaves the sum alone.",
            ),
            (
                _relu(branch + x),
                "The sum itself was rectified. In the chapter's block nothing happens after the addition.",
            ),
            (linear + x, "The second ReLU is missing: the branch is rectified before it is added."),
            (_relu(conv2(conv1(x))) + x, "The first ReLU is missing, between the two convolutions."),
            (
                branch + _relu(x),
                "The input was rectified before it was added: was the first ReLU applied to the image, "
                "or to the image in place?",
            ),
            (2 * branch, "The branch was added to itself. Which of your names still holds the image?"),
            (branch - x, "The input is subtracted where it should be added."),
            (_concatenated(branch, x), "Concatenation is the other kind of skip (lesson 8); here we add."),
        ],
    )
    _unchanged(block, image)

    def forward(p, x, skip=_kept, branch=_kept):
        hidden = _conv2d(p, "conv_layer1", x, 2, 2).relu()
        return branch(_conv2d(p, "conv_layer2", hidden, 2, 2).relu()) + skip(x)

    _gradients_flow(block, image, forward, what)


def branch_size_at(answer, height: int, width: int) -> None:
    """Compare one size with the output of the chapter's two convolutions in torch."""
    with torch.no_grad():
        branch = blocks.conv_branch(1, 1, 2, 2, 2)(torch.zeros(1, 1, height, width))
    truth = tuple(branch.shape[2:])

    def sizes(rule):
        return rule(height), rule(width)

    equal(
        call(answer, height, width),
        truth,
        f"branch_size({height}, {width})",
        mistakes=[
            (truth[::-1], "Height and width come back in the wrong order."),
            (
                (truth[0], truth[0]),
                "The width was taken from the height: the two are independent of each other.",
            ),
            (
                sizes(lambda n: n // 4 + 2),
                "One pixel short: the +1 of the size formula stands in both layers.",
            ),
            (
                sizes(lambda n: n // 2 + 2),
                "That is the size after the first convolution; a second one follows.",
            ),
            (sizes(lambda n: n // 4), "The padding is missing: 2 pixels are added on each of the two sides."),
            (
                sizes(lambda n: (n // 2 + 1) // 2 + 1),
                "The padding of 2 is put on both sides, left and right: it counts twice.",
            ),
            (
                sizes(lambda n: -(-n // 4) + 3),
                "A window that would reach over the edge is dropped, so the quotient is rounded down, not up.",
            ),
            (sizes(lambda n: n / 4 + 3), "Sizes are whole numbers: round the quotient down."),
        ],
    )


def input_dependence_at(answer, geometry: tuple[int, int, int], side: int, seed: int) -> None:
    """Compare one count with the windows that reach the image."""
    kernel, stride, padding = geometry
    branch = beside(answer, blocks.conv_branch, 3, 1, *geometry, relu_last=False, seed=seed)
    seen, total = reach(geometry, side)
    where = f"a branch with kernel {kernel}, stride {stride}, padding {padding} at side {side}"
    result = call(answer, branch, side)
    expect(
        isinstance(result, (tuple, list)) and len(result) == 2,
        "input_dependence should return two whole numbers: positions that depend on the image, all positions.",
    )
    equal(result[1], total, f"the number of all positions, for {where}", mistakes=[
        (3 * total, "Channels were counted too. A position is a pixel of the output map, whatever its channels."),
        (side * side, "All positions are those of the branch's output, which may differ in size from the image."),
    ])  # fmt: skip
    equal(result[0], seen, f"the number of positions that depend on the image, for {where}", mistakes=[
        (3 * seen, "Channels were counted too. A position is a pixel of the output map, whatever its channels."),
        (total - seen, "These are the positions that do NOT depend on the image."),
    ] + ([
        (total, "Every position was counted, also those that show only padding and bias. A value that is not "
                "zero need not come from the image: does it change when the image does?"),
    ] if seen < total else []) + [
        (count, "Too few. A ReLU that happens to be closed for one image hides a position that another image "
                "would show: look at many images.") for count in range(seen)
    ])  # fmt: skip


def reach(geometry: tuple[int, int, int], side: int) -> tuple[int, int]:
    """Count the output positions of two equal convolutions whose windows touch the image, and all positions."""
    kernel, stride, padding = geometry
    touched = np.ones(side, dtype=bool)
    for _ in range(2):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(touched, padding), kernel)[::stride]
        touched = windows.any(axis=1)
    return int(touched.sum()) ** 2, touched.size**2


def fixed_block_at(answer, channels: int, image: torch.Tensor) -> None:
    """Compare one call of the repaired block with relu(conv2(relu(conv1(x))) + x)."""
    block = _instance(answer, channels)
    what = f"FixedBlock({channels}) on an image of shape {tuple(image.shape)}"
    output = call(block, image.clone())
    _keeps_size(image, output, what)
    _shapes(block, {"conv1.weight": (channels, channels, 3, 3), "conv2.weight": (channels, channels, 3, 3)})
    conv1, conv2 = _layers(block, ("conv1", "conv2"), 1, 1)
    x = _plain(image)
    branch = conv2(_relu(conv1(x)))
    _compare(output, _relu(branch + x), what, _he_mistakes(branch, x, conv2(conv1(x))))
    _unchanged(block, image)

    def forward(p, x, skip=_kept, branch=_kept):
        hidden = _conv2d(p, "conv1", x, 1, 1).relu()
        return (branch(_conv2d(p, "conv2", hidden, 1, 1)) + skip(x)).relu()

    _gradients_flow(block, image, forward, what)


def projection_block_at(answer, c_in: int, c_out: int, stride: int, image: torch.Tensor) -> None:
    """Compare one call of the projection block with relu(conv2(relu(conv1(x))) + projection(x))."""
    block = _instance(answer, c_in, c_out, stride)
    _shapes(
        block,
        {
            "conv1.weight": (c_out, c_in, 3, 3),
            "conv2.weight": (c_out, c_out, 3, 3),
            "projection.weight": (c_out, c_in, 1, 1),
        },
    )
    arrays = _parameters(block)
    conv1, conv2 = _convolution(arrays, "conv1", stride, 1), _convolution(arrays, "conv2", 1, 1)
    x = _plain(image)
    shortcut = _convolution(arrays, "projection", stride, 0)(x)
    branch = conv2(_relu(conv1(x)))
    what = f"ProjectionBlock({c_in}, {c_out}, {stride}) on an image of shape {tuple(image.shape)}"
    output = call(block, image.clone())
    side = tuple(image.shape)[2]
    expect(
        tuple(getattr(output, "shape", shortcut.shape)) == shortcut.shape or stride == 1,
        f"{what} gives shape {tuple(output.shape)}, not {shortcut.shape}. Branch and projection must both take "
        f"the stride; where one of them has a single pixel, torch broadcasts it and says nothing (side {side}).",
    )
    mistakes = _he_mistakes(branch, shortcut, conv2(conv1(x)))
    mistakes[0] = (
        _relu(branch),
        "The shape is right, but the skip is gone: the projected input is never added.",
    )
    mistakes.insert(1, (_relu(shortcut), "This is the shortcut alone: the branch is never added."))
    mistakes.insert(
        1,
        (
            _relu(branch + _relu(shortcut)),
            "The shortcut was rectified. A shortcut carries the signal as it is.",
        ),
    )
    if x.shape == shortcut.shape:
        mistakes.append(
            (
                _relu(branch + x),
                "Here the shapes agree, and your block adds the image itself. A projection block always projects: "
                "what it computes must not hang on whether the shapes happen to agree.",
            )
        )
    _compare(output, _relu(branch + shortcut), what, mistakes)
    _unchanged(block, image)

    def forward(p, x, skip=_kept, branch=_kept):
        hidden = _conv2d(p, "conv1", x, stride, 1).relu()
        projected = skip(_conv2d(p, "projection", x, stride, 0))
        return (branch(_conv2d(p, "conv2", hidden, 1, 1)) + projected).relu()

    _gradients_flow(block, image, forward, what)


def _instance(answer, *args: int):
    """Make the learner's block with the chapter's seed, so that its hints are the same in every run."""
    call(answer, *args)
    return beside(answer, blocks.seeded, answer, *args, seed=172)


def _chapters_weights(block) -> None:
    """With the chapter's seed, the chapter's layers have these weights and no others."""
    expected = blocks.parameter_arrays(blocks.conv_branch(3, 6, 2, 2, 2, seed=172))
    names = ("conv_layer1.weight", "conv_layer1.bias", "conv_layer2.weight", "conv_layer2.bias")
    arrays = _parameters(block)
    for name, truth in zip(names, expected.values(), strict=True):
        same = name in arrays and arrays[name].shape == truth.shape and np.allclose(arrays[name], truth)
        expect(
            same, f"`{name}` is not what the chapter's layers start with: leave `__init__` as it was given."
        )


def _he_mistakes(branch: np.ndarray, shortcut: np.ndarray, without_relu: np.ndarray) -> list:
    return [
        (_relu(branch), "The addition is missing: this is the branch alone."),
        (branch, "The addition is missing: this is the branch alone."),
        (
            _relu(branch) + shortcut,
            "Here the ReLU comes before the addition, as in the chapter: the stream can only grow. "
            "Add first, then rectify the sum.",
        ),
        (
            _relu(_relu(branch) + shortcut),
            "The branch is rectified before the addition, so it cannot lower anything.",
        ),
        (branch + shortcut, "The ReLU of the sum is missing: the block should return relu(F(x) + x)."),
        (_relu(without_relu + shortcut), "The ReLU between the two convolutions is missing."),
        (_relu(branch - shortcut), "The input is subtracted where it should be added."),
        (_relu(2 * branch), "The branch was added to itself. Which of your names still holds the image?"),
        (_concatenated(branch, shortcut), "Concatenation is the other kind of skip (lesson 8); here we add."),
    ]


def _compare(output, truth: np.ndarray, what: str, mistakes: list) -> None:
    expect(output is not None, f"{what} gives None: does `forward` reach its `return`?")
    close(output, truth, what, rtol=1e-4, atol=1e-5, dtype="float32", mistakes=mistakes)


def _unchanged(block, image: torch.Tensor) -> None:
    (after,) = after_call(block, image)
    close(after, image, "the image after the call", mistakes=[(after, (
        "The block changed the image that it was given: some operation worked in place on it (`relu` with "
        "inplace=True, `relu_`, `+=`). Whoever called still needs the image."
    ))])  # fmt: skip


def _gradients_flow(block, image: torch.Tensor, forward: Callable, what: str) -> None:
    """Compare one backward pass with autograd through `forward`: for the image and for every parameter.

    Args:
        block: the learner's.
        image: (N, C, H, W), float32.
        forward: takes parameters by name, the image, and what happens to skip and branch before the addition.
        what: names the call in a hint.
    """
    arrays = _parameters(block)
    shape = forward({k: torch.from_numpy(v) for k, v in arrays.items()}, image).shape
    cotangent = image_of(tuple(shape), seed=image.shape[2] + 100)
    try:
        found = beside(block, _backward, block, image, cotangent)
    except RuntimeError as error:
        raise CheckFailed(
            f"The values of {what} are right, but the backward pass through it fails: {str(error).splitlines()[0]} "
            "Is there a `+=`, or another operation in place, on something that the backward pass still needs?"
        ) from error
    truth = _differentiated(forward, arrays, image, cotangent)
    cut = {
        name: _differentiated(forward, arrays, image, cotangent, **{name: torch.Tensor.detach})["image"]
        for name in ("skip", "branch")
    }
    right = f"The values of {what} are right, but no gradient flows"
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    close(
        found["image"],
        truth["image"],
        f"the gradient with respect to the image, for {what},",
        **tolerance,
        mistakes=[
            (
                cut["skip"],
                f"{right} through the skip: was something on its way detached, or its `.data` added?",
            ),
            (cut["branch"], f"{right} through the branch: was it computed under no_grad, or detached?"),
            (np.zeros(image.shape), f"{right} through the block at all: was it computed under no_grad?"),
        ],
    )
    for name, gradient in truth.items():
        close(
            found[name],
            gradient,
            f"the gradient with respect to `{name}`, for {what},",
            **tolerance,
            mistakes=[
                (
                    np.zeros(gradient.shape),
                    f"{right} to `{name}`, so training would never change it: was something detached there?",
                )
            ],
        )


def _backward(block, image: torch.Tensor, cotangent: torch.Tensor) -> dict[str, np.ndarray]:
    """Gradients of sum(cotangent * block(image)), of the image and of each parameter; zeros where none arrives."""
    leaf = torch.as_tensor(image).clone().requires_grad_(True)
    named = {"image": leaf, **dict(block.named_parameters())}
    output = block(leaf)
    found = [None] * len(named)
    if output.requires_grad:
        asked = [p for p in named.values() if p.requires_grad]
        given = iter(torch.autograd.grad(output, asked, torch.as_tensor(cotangent), allow_unused=True))
        found = [next(given) if p.requires_grad else None for p in named.values()]
    return {
        name: (torch.zeros_like(p) if g is None else g).detach().numpy().copy()
        for (name, p), g in zip(named.items(), found, strict=True)
    }


def _differentiated(
    forward: Callable, arrays: dict, image, cotangent, **cut: Callable
) -> dict[str, np.ndarray]:
    """The same through `forward`, in float64."""
    p = {k: torch.from_numpy(v.astype(float)).requires_grad_(True) for k, v in arrays.items()}
    leaf = image.double().requires_grad_(True)
    asked = {"image": leaf, **p}
    found = torch.autograd.grad(
        forward(p, leaf, **cut), list(asked.values()), cotangent.double(), allow_unused=True
    )
    return {
        k: (torch.zeros_like(asked[k]) if g is None else g).numpy() for k, g in zip(asked, found, strict=True)
    }


def _kept(x: torch.Tensor) -> torch.Tensor:
    """What happens to skip and branch in a block that lets gradients through: nothing."""
    return x


def _conv2d(
    p: dict[str, torch.Tensor], name: str, x: torch.Tensor, stride: int, padding: int
) -> torch.Tensor:
    """A convolution with the parameters of this name."""
    return conv2d(x, p[f"{name}.weight"], p.get(f"{name}.bias"), stride, padding)


def _keeps_size(image: torch.Tensor, output, what: str) -> None:
    shape, side = getattr(output, "shape", None), image.shape[2]
    expect(shape is not None, f"{what} gives {shown(output)}: does `forward` reach its `return`?")
    grown = side == 1 and len(shape) == 4 and shape[2] > 1
    expect(
        tuple(shape[2:]) == tuple(image.shape[2:]),
        f"{what} gives shape {tuple(shape)}. "
        + ("A side of 1 was broadcast to the size of the branch, without a word. " if grown else "")
        + "Kernel, stride and padding of both convolutions must keep every size.",
    )


def _parameters(block, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read the block's parameters as arrays; the layers must have the names that the exercise asks for."""
    arrays = beside(block, blocks.parameter_arrays, block)
    for name in names:
        expect(
            f"{name}.weight" in arrays,
            f"The block has no layer called `{name}` with weights. Its layers hold: {', '.join(arrays) or 'nothing'}.",
        )
    return arrays


def _shapes(block, shapes: dict[str, tuple[int, ...]]) -> None:
    arrays = _parameters(block, [name.removesuffix(".weight") for name in shapes])
    for name, shape in shapes.items():
        expect(
            arrays[name].shape == shape,
            f"`{name}` should have shape {shape} (out, in, height, width), but yours is {arrays[name].shape}.",
        )
        expect(np.any(arrays[name]), f"`{name}` is zero everywhere: leave torch's initialisation as it is.")


def _layers(block, names: Sequence[str], stride: int, padding: int) -> list:
    arrays = _parameters(block, names)
    return [_convolution(arrays, name, stride, padding) for name in names]


def _convolution(
    arrays: dict[str, np.ndarray], name: str, stride: int, padding: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A convolution in NumPy, float64: windows of the padded image times the weights."""
    weight = arrays[f"{name}.weight"].astype(float)
    bias = arrays.get(f"{name}.bias", np.zeros(len(weight))).astype(float)

    def convolve(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
        if windows.shape[1] != weight.shape[1]:
            return np.full((1,), np.nan)
        out = np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weight)
        return out + bias[:, None, None]

    return convolve


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def _plain(image: torch.Tensor) -> np.ndarray:
    return image.numpy().astype(float)


def _concatenated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.concatenate([a, b], axis=1) if a.shape[2:] == b.shape[2:] else np.zeros(())
