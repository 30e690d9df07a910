"""Checks of lesson 8: hints for the likely mistakes."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from helpers import architectures
from helpers.architectures import Append, DenseNetSpec
from helpers.checks.core import CheckFailed, after_call, beside, call, close, equal, exercise, expect, shown

__all__ = ["channels", "concat_bytes", "count_parameters", "dense_block", "transition"]


@exercise
def channels(answer):
    """Channels against those that a real dense block shows."""
    for k0, k, depth in [(16, 12, 4), (5, 3, 1), (64, 32, 6), (7, 2, 0)]:
        channels_at(answer, k0, k, depth)


@exercise
def dense_block(answer):
    """One layer first, then more: each slab of the output against everything in front of it."""
    for start, growth, depth in [(3, 3, 1), (4, 4, 1), (3, 2, 2), (2, 3, 4)]:
        dense_block_at(answer, start, growth, depth, side=6, seed=depth)


@exercise
def transition(answer):
    """ReLU, 1x1 convolution and averaging against NumPy."""
    transition_at(answer, (2, 4, 6, 6), 2, seed=1)
    transition_at(answer, (1, 3, 4, 8), 5, seed=2)


@exercise
def count_parameters(answer):
    """Counts against networks that were built, layer by layer."""
    count_parameters_at(answer, DenseNetSpec((2, 1, 2), 4, 6, False, 1.0, "cifar", 10))
    count_parameters_at(answer, DenseNetSpec((2, 3, 1), 4, 9, True, 0.5, "cifar", 10))
    count_parameters_at(answer, DenseNetSpec((1, 2), 4, 8, True, 0.5, "imagenet", 7))
    count_parameters_at(answer, architectures.cifar_densenet_spec(100, 12, True))


@exercise
def concat_bytes(answer):
    """Bytes against those that a naive block's concatenations really allocate."""
    for k0, k, depth, pixels in [(16, 12, 5, 64), (64, 32, 6, 3136), (3, 5, 1, 1)]:
        concat_bytes_at(answer, k0, k, depth, pixels)


def channels_at(answer, k0: int, k: int, depth: int) -> None:
    """Compare one answer of `channels` with the features that pass through a block."""
    block, features = _naive_block(k0, k, depth), torch.empty(1, k0, 2, 2, device="meta")
    truth = [k0]
    for layer in block:
        features = layer(features)
        truth.append(features.shape[1])
    steps = range(depth + 1)
    equal(
        _listed(call(answer, k0, k, depth)),
        truth,
        f"channels({k0}, {k}, {depth})",
        mistakes=[
            (
                truth[:-1],
                "What enters each layer is right. One number is missing: what leaves the block, "
                "with the last layer's own channels in it.",
            ),
            (
                truth[1:],
                "The first layer has nothing but the block's input to read: begin before the first layer has added its k.",
            ),
            (
                [k0, *[k] * depth],
                "That is what each layer *adds*. What it reads is everything added so far, and the block's input.",
            ),
            ([k0] * (depth + 1), "These are the channels of an addition: a concatenation keeps growing."),
            (
                [k0 + k0 * step for step in steps],
                "Each layer adds k channels, whatever it read. Yours adds k0 each time.",
            ),
            (
                [k0 * 2**step for step in steps],
                "Yours doubles: a layer's output does not hold its input. It adds k channels, no more.",
            ),
            (
                [k0 + k * step * (step + 1) // 2 for step in steps],
                "Yours adds k, then 2 k, then 3 k ... Every layer adds the same k channels.",
            ),
            (
                truth[-1],
                "That is what leaves the block. The exercise asks for a list: one number before each layer, too.",
            ),
        ],
    )


def dense_block_at(answer, start: int, growth: int, depth: int, side: int, seed: int) -> None:
    """Compare one call of `dense_block`, slab by slab, with the layers it should consist of."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(2, start, side, side + 1)))
    weights = [
        torch.from_numpy(rng.normal(size=(growth, start + growth * i, 3, 3)) / 3) for i in range(depth)
    ]
    what = f"dense_block(x, {depth} weight{'s' * (depth != 1)})"
    try:
        output = _values(call(answer, x.clone(), [w.clone() for w in weights]), what)
    except CheckFailed as failure:
        expect(
            depth == 1,
            "With one layer your block runs, with two or more it does not. The second layer reads the block's input and "
            f"what the first layer added, {start} + {growth} channels here. {failure}",
        )
        raise
    if depth == 1:
        _recognise(output, x, weights[0])
    wide = (2, start + depth * growth, *x.shape[2:])
    expect(
        output.shape == wide,
        f"{what} should have shape {wide}, but yours has shape {tuple(output.shape)}: "
        "the block's input and every layer's channels, side by side.",
    )
    close(
        output[:, :start],
        x,
        f"the first {start} channels of {what}",
        mistakes=[
            (
                functional.relu(x),
                "The ReLU belongs to the layer, not to the stream: earlier features are handed on untouched. Is it done in place?",
            )
        ],
    )
    for layer, weight in enumerate(weights):
        seen = start + layer * growth
        slab = output[:, seen : seen + growth]
        close(
            slab,
            functional.conv2d(functional.relu(output[:, :seen]), weight, padding=1),
            f"the {growth} channels that layer {layer} adds in {what}",
            rtol=1e-6,
            atol=1e-9,
            mistakes=[
                (
                    functional.conv2d(output[:, :seen], weight, padding=1),
                    f"Layer {layer} has no ReLU: it comes before the convolution, on everything the layer reads.",
                ),
                (
                    functional.relu(functional.conv2d(output[:, :seen], weight, padding=1)),
                    f"In layer {layer} the ReLU comes after the convolution. Here it comes before (pre-activation).",
                ),
                (
                    functional.relu(functional.conv2d(functional.relu(output[:, :seen]), weight, padding=1)),
                    f"Layer {layer} has a second ReLU behind the convolution: what it adds should keep its negative values.",
                ),
            ],
        )
    left = after_call(answer, x, weights)
    expect(
        torch.equal(torch.as_tensor(left[0]), x),
        "Your block changed its caller's x: an in-place ReLU or `+=` works on the very tensor it was given.",
    )
    _differentiable(answer, [x, *weights], _block_gradients, [f"weights[{i}]" for i in range(depth)])
    short = call(answer, x.float(), [w.float() for w in weights])
    close(short, output, f"{what} in float32", rtol=1e-3, atol=1e-4, dtype="float32")


def _recognise(output: Tensor, x: Tensor, weight: Tensor) -> None:
    """Recognise what a single layer gives when it is joined to the stream in another way."""
    for name, new in [
        ("conv(relu(x))", functional.conv2d(functional.relu(x), weight, padding=1)),
        ("conv(x)", functional.conv2d(x, weight, padding=1)),
        ("relu(conv(x))", functional.relu(functional.conv2d(x, weight, padding=1))),
    ]:
        for wrong, hint in [
            (
                x + new,
                "Your block adds. That is lesson 5's skip; here both stay, side by side along the channels.",
            ),
            (
                new,
                f"Your block returns {name} alone. The stream itself is missing: a dense block hands on all it was given.",
            ),
            (
                torch.cat((x, new), 0),
                "You join along the batch (axis 0): that makes more images, not more channels.",
            ),
            (
                torch.cat((x, new), 2),
                "You join along the height (axis 2): that makes taller images, not more channels.",
            ),
            (
                torch.cat((x, new), 3),
                "You join along the width (axis 3): that makes wider images, not more channels.",
            ),
            (
                torch.cat((new, x), 1),
                "The order is reversed: the block's input should stand in front, and each new slab behind what was there.",
            ),
        ]:
            expect(output.shape != wrong.shape or not torch.allclose(output, wrong), hint)


def _differentiable(answer, inputs: list[Tensor], gradients, weights: list[str]) -> None:
    """Compare autograd's gradients through an answer with slopes of its own values: nothing may be cut off."""
    rng = np.random.default_rng(len(inputs))
    directions = [torch.from_numpy(rng.normal(size=t.shape)) for t in inputs]
    found = beside(answer, gradients, answer, inputs)
    expect(not isinstance(found, str), f"Your values are right, but no gradient can be computed: {found}")
    for index, (name, direction) in enumerate(zip(["x", *weights], directions, strict=True)):
        shifted = [
            [t + sign * 1e-6 * direction if i == index else t for i, t in enumerate(inputs)]
            for sign in (1, -1)
        ]
        ahead, behind = (float(beside(answer, gradients, answer, each, True)) for each in shifted)
        slope = (ahead - behind) / 2e-6
        along = float((torch.as_tensor(found[index]) * direction).sum())
        expect(
            abs(along - slope) <= 1e-4 * max(1.0, abs(slope)),
            f"The values are right, but the gradient with respect to {name} is not the slope of the output: "
            "somewhere a path is cut. `.detach()`, `.data`, `torch.no_grad()` and numpy all cut it.",
        )


def _block_gradients(answer, inputs: list[Tensor], value: bool = False) -> list[np.ndarray] | float | str:
    """Differentiate a weighted sum of `answer(x, weights)` beside it; with `value`, give the sum alone."""
    return _gradients(lambda x, *weights: answer(x, list(weights)), inputs, value)


def _transition_gradients(
    answer, inputs: list[Tensor], value: bool = False
) -> list[np.ndarray] | float | str:
    """The same for `answer(x, weight)`."""
    return _gradients(answer, inputs, value)


def _gradients(answer, inputs: list[Tensor], value: bool) -> list[np.ndarray] | float | str:
    leaves = [torch.as_tensor(t).clone().requires_grad_() for t in inputs]
    output = answer(*leaves)
    total = (output * torch.arange(output.numel()).reshape(output.shape).sin()).sum()
    if value:
        return total.item()
    if not total.requires_grad:
        return "nothing connects the output with x. `torch.no_grad()`, `.detach()` and numpy cut that connection."
    try:
        grads = torch.autograd.grad(total, leaves, allow_unused=True)
    except RuntimeError as error:
        return f"the backward pass raises {error} Is a tensor written into that is still needed?"
    return [(torch.zeros_like(t) if g is None else g).numpy() for g, t in zip(grads, leaves, strict=True)]


def _values(output: object, what: str) -> Tensor:
    """The answer's numbers as a float64 tensor; `close` says so where it has none."""
    close(output, output, what)
    return torch.as_tensor(output).detach().double()


def transition_at(answer, shape: tuple[int, int, int, int], outputs: int, seed: int) -> None:
    """Compare one call of `transition` with the same in NumPy, in float64 and float32."""
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=shape), rng.normal(size=(outputs, shape[1], 1, 1))
    mix = weight[:, :, 0, 0]
    each = np.einsum("oc,nchw->nohw", mix, np.maximum(x, 0))
    windows = each.reshape(*each.shape[:2], shape[2] // 2, 2, shape[3] // 2, 2)
    truth = windows.mean((3, 5))
    unrectified = np.einsum("oc,nchw->nohw", mix, x)
    pooled = x.reshape(*shape[:2], shape[2] // 2, 2, shape[3] // 2, 2).mean((3, 5))

    def halved(maps: np.ndarray) -> np.ndarray:
        return maps.reshape(windows.shape).mean((3, 5))

    mistakes = [
        (each, "The sides are as before: the 2 x 2 average pooling is missing."),
        (
            halved(unrectified),
            "The ReLU is missing: a transition begins with it (BN and ReLU, then the convolution).",
        ),
        (
            halved(np.maximum(unrectified, 0)),
            "The ReLU comes after the convolution; in a transition it comes before.",
        ),
        (
            np.maximum(truth, 0),
            "There is a ReLU after the convolution: a transition has only the one in front.",
        ),
        (
            np.einsum("oc,nchw->nohw", mix, np.maximum(pooled, 0)),
            "You pool before the ReLU. The average of a rectified map is not the rectified average: where four neighbours differ in sign the results differ.",
        ),
        (windows.max((3, 5)), "This is max-pooling: a transition takes the average of each 2 x 2 window."),
        (windows.sum((3, 5)), "This is the sum over each 2 x 2 window, four times the average."),
        (
            windows[:, :, :, 0, :, 0],
            "This keeps one pixel in four (a stride of 2). A transition averages all four.",
        ),
        (halved(np.maximum(x, 0)) if outputs == shape[1] else each, "The 1 x 1 convolution is missing."),
    ]
    output = call(answer, torch.tensor(x), torch.tensor(weight))
    close(
        output,
        truth,
        f"transition(x, weight) for x of shape {shape} and {outputs} output channels",
        atol=1e-12,
        mistakes=mistakes,
    )
    left = after_call(answer, torch.tensor(x), torch.tensor(weight))
    expect(
        np.array_equal(np.asarray(left[0]), x),
        "Your transition changed its caller's x: is the ReLU done in place?",
    )
    _differentiable(answer, [torch.tensor(x), torch.tensor(weight)], _transition_gradients, ["weight"])
    short = call(answer, torch.tensor(x).float(), torch.tensor(weight).float())
    close(short, truth, "transition(x, weight) in float32", rtol=1e-3, atol=1e-4, dtype="float32")


def count_parameters_at(answer, spec: DenseNetSpec) -> None:
    """Compare one count with the network that the spec builds."""
    network = _on_meta(spec)
    truth = architectures.parameter_count(network)
    modules = list(network.modules())
    convs = [m for m in modules if isinstance(m, nn.Conv2d)]
    norms = sum(2 * m.num_features for m in modules if isinstance(m, nn.BatchNorm2d))
    linear = modules[-1]
    transitions = _transitions(network)
    joints = sum(architectures.parameter_count(m) for pair in transitions for m in pair)
    stem = next(n for n, m in enumerate(network) if isinstance(m, (Append, nn.MaxPool2d)))
    stem_norm = sum(architectures.parameter_count(m) for m in network[:stem] if isinstance(m, nn.BatchNorm2d))
    mistakes = [
        (
            truth - norms,
            "Every batch norm has a scale and a shift, two trainable numbers a channel. Yours counts none.",
        ),
        (truth - norms // 2, "A batch norm has a scale *and* a shift: two numbers a channel, not one."),
        (
            truth + norms,
            "Running means and variances are measured, not trained: a batch norm has two parameters a channel, not four.",
        ),
        (
            truth - joints,
            "The transitions between the blocks are missing: a batch norm and a 1 x 1 convolution each.",
        ),
        (
            truth - sum(architectures.parameter_count(norm) for norm, _ in transitions),
            "The batch norm in front of each transition's convolution is missing.",
        ),
        (
            truth - 2 * linear.in_features,
            "One batch norm is missing: the one behind the last block, in front of the classifier.",
        ),
        (
            truth - linear.out_features,
            "The classifier's bias is missing: the only bias of the network, one a class.",
        ),
        (
            truth - architectures.parameter_count(linear),
            "The classifier is missing: a weight a channel and class, and a bias.",
        ),
        (
            truth + sum(c.out_channels for c in convs),
            "The convolutions here have no bias: the batch norm behind would take it away again.",
        ),
        (
            truth - convs[0].weight.numel(),
            "The first convolution, from the image to k0 channels, is missing.",
        ),
        (
            truth + 8 * sum(c.weight.numel() for c in convs if c.kernel_size == (1, 1)),
            "A 1 x 1 convolution has one weight a pair of channels, not nine.",
        ),
    ]
    if stem_norm:
        mistakes.append(
            (
                truth - stem_norm,
                'The "imagenet" stem has a batch norm of its own, behind the 7 x 7 convolution.',
            )
        )
        mistakes.append(
            (
                truth - 40 * 3 * spec.stem_channels,
                'The "imagenet" stem is a 7 x 7 convolution: 49 weights a pair of channels, not 9.',
            )
        )
    else:
        mistakes.append(
            (
                truth + 2 * spec.stem_channels,
                'The "cifar" stem is a convolution alone: its batch norm is the first layer\'s own.',
            )
        )
    if spec.bottleneck:
        other = architectures.parameter_count(_on_meta(replace(spec, bottleneck=False)))
        inner = sum(
            architectures.parameter_count(m.branch[3])
            for m in modules
            if isinstance(m, Append) and len(m.branch) > 3
        )
        mistakes += [
            (
                other,
                "The bottleneck is forgotten: with spec['bottleneck'] a 1 x 1 convolution to 4 k channels stands in front of each 3 x 3.",
            ),
            (
                truth - inner,
                "The batch norm between the bottleneck and the 3 x 3 convolution is missing (4 k channels).",
            ),
        ]
    if spec.compression < 1:
        mistakes.append(
            (
                architectures.parameter_count(_on_meta(replace(spec, compression=1.0))),
                "The compression is forgotten: a transition passes on floor(theta * channels), so the next block starts narrower.",
            )
        )
    out = int(spec.compression * linear.in_features)
    ending = 2 * linear.in_features + linear.in_features * out
    narrower = (linear.in_features - out) * (2 + linear.out_features)
    one_too_many = "That is one transition too many: they stand *between* blocks, and behind the last block there is none."
    mistakes += [(truth + ending - narrower, one_too_many), (truth + ending, one_too_many)]
    equal(
        _whole(call(answer, asdict(spec))),
        truth,
        f"count_parameters({shown(asdict(spec), 200)})",
        mistakes=mistakes,
    )


def concat_bytes_at(answer, k0: int, k: int, depth: int, pixels: int) -> None:
    """Compare one answer with the bytes that `torch.cat` allocates in a naive block."""
    truth = architectures.concatenation_bytes(_naive_block(k0, k, depth), (1, k0, pixels, 1))
    last = 4 * pixels * (k0 + k * depth)
    equal(
        _whole(call(answer, k0, k, depth, pixels)),
        truth,
        f"concat_bytes({k0}, {k}, {depth}, {pixels})",
        mistakes=[
            (
                last,
                "That is the last concatenation alone. Each of the L layers is followed by one, and all of them are kept.",
            ),
            (truth // 4, "These are numbers, not bytes: a float32 takes four."),
            (2 * truth, "A float32 takes four bytes, not eight."),
            (truth // pixels, "That is one pixel's share: each channel is a map of `pixels` numbers."),
            (
                truth - last + 4 * pixels * k0,
                "Counted one step too early: the block's input is there already, no concatenation makes it. "
                "The first one holds k0 + k channels, the last k0 + k L.",
            ),
            (
                truth + 4 * pixels * k0,
                "The block's input is there already, no concatenation makes it: the first one holds k0 + k channels.",
            ),
            (truth - last, "One concatenation is missing, the last: its result is what the block hands on."),
            (
                4 * pixels * k * depth,
                "That is what the layers compute. A concatenation copies all that came before as well.",
            ),
            (
                4 * pixels * k * depth * (depth + 1) // 2,
                "The block's input is copied each time as well: k0 channels in every concatenation.",
            ),
        ],
    )


def _listed(value: object) -> object:
    """An array, a range or a tuple of whole numbers serves as well as a list."""
    return list(value) if isinstance(value, range) else value.tolist() if hasattr(value, "tolist") else value


def _whole(value: object) -> object:
    """A float without a fraction serves as a whole number: `/` divides exactly here, and gives a float."""
    plain = value.item() if getattr(value, "shape", None) == () else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else value


def _naive_block(k0: int, k: int, depth: int) -> nn.Sequential:
    """Layers that concatenate anew each time, on the meta device."""
    with torch.device("meta"):
        return nn.Sequential(*[Append(nn.Conv2d(k0 + k * i, k, 1)) for i in range(depth)])


def _on_meta(spec: DenseNetSpec) -> nn.Sequential:
    with torch.device("meta"):
        return architectures.build(spec)


def _transitions(network: nn.Sequential) -> list[tuple[nn.Module, nn.Module]]:
    """The batch norm and the convolution of each transition: what stands before an average pooling."""
    rows = list(network)
    return [(rows[i - 3], rows[i - 1]) for i, row in enumerate(rows) if isinstance(row, nn.AvgPool2d)]
