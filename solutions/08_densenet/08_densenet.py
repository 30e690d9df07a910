# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8 · DenseNet: concatenation
#
# {{badge}}
#
# Lesson 7 kept very deep networks trainable by *adding* each block's output to the stream. An addition cannot
# be undone: once two maps are summed, no later layer can tell them apart. So a question was left: **what if
# we keep both, side by side?** That is the second kind of skip connection, and the chapter that gave us
# lesson 5's exercise praises it highly. It says that concatenation leads to
#
# > a) an **enormous amount of feature channels** on the last layers of the network; b) more **compact**
# > models; c) extreme **feature reusability**,
#
# and that it works by *connecting all layers directly with each other*. Four claims. We test them one by one.
#
# **Objectives.** After this lesson you can
#
# - write a dense block and a transition layer, and say how wide each layer of them is;
# - count the parameters of a DenseNet from its spec, to the last one, and check them against the published
#   networks;
# - tell apart three meanings of "compact" - parameters, arithmetic, memory - and measure each;
# - compare two families of networks fairly: equal size, several seeds, a spread.
#
# **Prerequisites.** Lessons 5 and 7; `torch.nn.functional.conv2d`.
#
# **Time:** about {{minutes}} minutes, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md). In this lesson $k$ is the growth rate, not a kernel.

# %% bootstrap=true

# %% setup="imports"
from dataclasses import asdict

import numpy as np
import torch
from torch.nn import functional

from helpers import architectures, datasets, dense1d, figures, training
from helpers.checks import densenet as check
from helpers.checks import progress
from helpers.statistics import interval

torch.set_num_threads(1)
SEEDS = range(5)

# %% [markdown]
# ## 1 · Beside, not on top
#
# One of our four documents has a cell that it introduces as a DenseNet: *the concatenation of all outputs so
# far*. This is its core (lesson 2 looks at what it computes):
#
# ```python
# concatenated = np.stack(features, axis=0).sum(axis=0)
# ```
#
# **Predict.** After three steps, `features` holds four 8 × 8 images. What is the shape of `concatenated`?
# What should it be, if the name is right?

# %%
features = [np.full((8, 8), value) for value in (1.0, 2.0, 4.0, 8.0)]
concatenated = np.stack(features, axis=0).sum(axis=0)
really = np.stack(features, axis=0)
print(
    f"the document's: {concatenated.shape}, all values {concatenated[0, 0]:g}; a concatenation: {really.shape}"
)
assert concatenated.shape == (8, 8) and really.shape == (4, 8, 8)

# %% [markdown]
# The stack lives for a moment, then `.sum` flattens it: 15 might be 1 + 2 + 4 + 8 or anything else. Nothing
# is concatenated; it is a residual stream.
#
# How far apart are the two ideas? Let a convolution read two maps $a$ and $b$ side by side. It has one block
# of weights for each:
#
# $$W \begin{pmatrix} a \\ b \end{pmatrix} = W_a\, a + W_b\, b .$$
#
# With $W_a = W_b$ this is $W_a (a + b)$: **an addition is a concatenation with tied weights.** So a layer
# that reads a concatenation can do all that a layer behind an addition can do, and more. It pays with
# weights: twice as many here.

# %%
rng = torch.Generator().manual_seed(8)
a, b = torch.randn(2, 1, 3, 8, 8, generator=rng, dtype=torch.float64)
tied = torch.randn(5, 3, 3, 3, generator=rng, dtype=torch.float64)
beside = functional.conv2d(torch.cat((a, b), 1), torch.cat((tied, tied), 1), padding=1)
on_top = functional.conv2d(a + b, tied, padding=1)
print("equal with tied weights:", torch.allclose(beside, on_top, rtol=0, atol=1e-12))
assert torch.allclose(beside, on_top, rtol=0, atol=1e-12)

# %% [markdown]
# ## 2 · How wide does it get?
#
# A **dense block** starts with $k_0$ channels. Each of its $L$ layers reads everything that is there and
# appends $k$ channels of its own; $k$ is the **growth rate**.
#
# ```
#  k0 ──┬──────────────┬──────────────┬─────────
#       └ layer 0 ─ k ─┴┬─────────────┼─────────
#                       └ layer 1 ─ k ┴┬────────      reads k0 + k
#                                      └ layer 2 ─    reads k0 + 2k
# ```
#
# ### Exercise 1 · Channels (2 points, about 4 minutes)
#
# Write `channels(k0, k, L)`: the channels that enter each of the layers $l = 0, \dots, L-1$, and, as the last
# number, those that leave the block.


# %% answer="channels"
def channels(k0: int, k: int, L: int) -> list[int]:
    """List the channels of a dense block in front of each layer, and behind the last.

    Args:
        k0: channels that enter the block, at least 1.
        k: growth rate, the channels that each layer appends, at least 1.
        L: number of layers, at least 0.

    Returns:
        L + 1 whole numbers.
    """
    ### BEGIN SOLUTION
    return [k0 + k * layer for layer in range(L + 1)]
    ### END SOLUTION


# %% check="channels" points=2
check.channels(channels)
### BEGIN HIDDEN TESTS
for start, growth, depth in np.random.default_rng(81).integers(2, 20, (4, 3)).tolist():
    check.channels_at(channels, start, growth, depth)
### END HIDDEN TESTS

# %% [markdown]
# The chapter's claim (a) is an *enormous* number of channels on the last layers. DenseNet-121 has 58 layers
# in four dense blocks, with $k = 32$; between the blocks, transitions halve the number of channels.
#
# **Predict.** How many channels reach its classifier? More or fewer than in ResNet-50?
#
# We build both on torch's device `meta`: it knows shapes only, so that no network is too big.

# %%
with torch.device("meta"):
    dense121 = architectures.build(architectures.densenet_spec(121))
    resnet50 = architectures.build(architectures.resnet_spec(50))
layers = [m for m in dense121 if isinstance(m, architectures.Append)]
reads = [layer.branch[0].num_features for layer in layers]  # the layer's first batch norm
adds = [layer.branch[-1].out_channels for layer in layers]
widths = {"DenseNet-121": dense121[-1].in_features, "ResNet-50": resnet50[-1].in_features}
print(
    f"{len(layers)} layers read {min(reads)} to {max(reads)} channels and add {set(adds)}; classifiers read {widths}"
)
assert len(layers) == 58 and set(adds) == {32}
assert 2 * widths["DenseNet-121"] == widths["ResNet-50"]

# %%
fig, ax = figures.canvas(
    "Layers read ever more, and add 32 channels each", "dense layer of DenseNet-121", "channels"
)
ax.step(range(1, 59), reads, where="mid", label="read by the layer", **figures.series(0))
ax.step(range(1, 59), adds, where="mid", label="added by the layer", **figures.series(1))
ax.legend()
figures.show(
    fig,
    alt=f"In each of the four blocks the channels read by a layer grow in a straight line, up to {max(reads)}; each layer adds only 32.",
)

# %% [markdown]
# **What we should see.** Within a block the stream grows in a straight line, not explosively, and a
# transition cuts it down. At the classifier there are 1,024 channels, *half* of ResNet-50's 2,048. So (a) is
# a matter of what we look at: the stream is wide, but each layer is very narrow. It computes 32 channels
# where a ResNet's layers compute hundreds. That is what makes the next claim possible.
#
# ## 3 · "All layers are connected with each other"
#
# Each layer of a block of $L$ reads all its predecessors and the block's input:
# $1 + 2 + \dots + L = L(L+1)/2$ connections, where a plain chain has $L$. But a concatenation needs maps of
# the same side, and a network that looks at larger and larger parts of an image has to shrink its maps
# somewhere.

# %%
connections = [depth * (depth + 1) // 2 for depth in architectures.densenet_spec(121).layers]
assert connections == [sum(range(1, depth + 1)) for depth in architectures.densenet_spec(121).layers]
share = sum(connections) / (58 * 59 // 2)
print(
    f"connections within the blocks: {connections}, {share:.0%} of those between 58 layers that all see each other"
)
try:
    torch.cat((torch.zeros(1, 64, 8, 8), torch.zeros(1, 32, 4, 4)), dim=1)
except RuntimeError as error:
    print(f"across a transition: {str(error).split('.')[0]}")
assert sum(connections) == 535 and round(share, 2) == 0.31

# %% [markdown]
# So the claim is true *within a block* only. Over the whole of DenseNet-121 three connections in ten exist;
# what a later block learns of an earlier one has passed the transition's 1 × 1 convolution, with weights,
# like everything else.
#
# ## 4 · The dense block
#
# In a DenseNet a layer is BN, ReLU, 3 × 3 convolution, in that order (pre-activation). To keep the code
# plain, we leave batch norm out in this exercise and the next; it changes no shape, and comes back when we
# count.
#
# ### Exercise 2 · A dense block (4 points, about 10 minutes)
#
# Write `dense_block(x, weights)`. Layer $l$ computes `conv(relu(everything so far))` with `weights[l]`,
# zero-padded so that the side stays. The block returns everything: the input's channels first, untouched,
# then layer 0's, then layer 1's, and so on.


# %% answer="dense_block"
def dense_block(x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Run a dense block of 3 x 3 convolutions without bias or batch norm.

    Args:
        x: (N, k0, H, W), float32 or float64; stays unchanged.
        weights: weights[l] has shape (k, k0 + k l, 3, 3) and the dtype of x.

    Returns:
        (N, k0 + k L, H, W), L = len(weights), in the dtype of x.
    """
    ### BEGIN SOLUTION
    for weight in weights:
        new = functional.conv2d(functional.relu(x), weight, padding=1)
        x = torch.cat((x, new), dim=1)
    return x
    ### END SOLUTION


# %% check="dense_block" points=4
check.dense_block(dense_block)
### BEGIN HIDDEN TESTS
for start, growth, depth, seed in [(5, 2, 3, 811), (2, 4, 2, 812), (6, 6, 1, 813), (1, 1, 6, 814)]:
    check.dense_block_at(dense_block, start, growth, depth, side=5, seed=seed)
### END HIDDEN TESTS

# %% [markdown]
# What happens to gradients? The chapter says of the residual skip that the gradient is "simply multiplied by
# one"; the truth was $I + J_F$ (lesson 5). A dense layer $x \mapsto (x, F(x))$ has the Jacobian
#
# $$J = \begin{pmatrix} I \\ J_F \end{pmatrix}, \qquad J^\top J = I + J_F^\top J_F .$$
#
# The identity stands *above* the branch instead of being added to it, so the two can never cancel.
# **Predict.** How small can a singular value of $J$ become?

# %%
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    branch = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Conv2d(2, 3, 3, padding=1)).double()
x = torch.randn(1, 2, 4, 4, generator=rng, dtype=torch.float64)
jacobian = torch.autograd.functional.jacobian(architectures.Append(branch), x).reshape(-1, x.numel())
upper, lower = jacobian[: x.numel()], jacobian[x.numel() :]
values = torch.linalg.svdvals(jacobian)
print(
    f"upper part is the identity: {torch.equal(upper, torch.eye(x.numel()).double())}; smallest singular value {values.min():.3f}"
)
assert torch.equal(upper, torch.eye(x.numel(), dtype=torch.float64))
assert values.min() >= 1 - 1e-12
assert torch.allclose(values.square(), 1 + torch.linalg.eigvalsh(lower.T @ lower).flip(0))

# %% [markdown]
# Never below 1: inside a block no direction of the input is lost, whatever the weights are. A residual block
# has no such guarantee ($F = -x$ wipes everything out). But mind the direction. Backwards we apply $J^\top$,
# which is *wider* than tall: a gradient that arrives at the new channels only, and is orthogonal to the
# columns of $J_F$, still vanishes. And between two blocks there is no identity at all.
#
# ## 5 · The transition layer
#
# Between two blocks stands: BN, ReLU, a 1 × 1 convolution that passes on $\lfloor \theta\, m \rfloor$ of $m$
# channels ($\theta$ is the **compression**, 1/2 in most DenseNets), and an average pooling 2 × 2.
#
# ### Exercise 3 · A transition (3 points, about 6 minutes)
#
# Write `transition(x, weight)`: ReLU, 1 × 1 convolution, average over windows of 2 × 2 pixels.


# %% answer="transition"
def transition(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Pass a stream from one dense block to the next: ReLU, 1 x 1 convolution, 2 x 2 average pooling.

    Args:
        x: (N, m, H, W) with even H and W, float32 or float64; stays unchanged.
        weight: (m', m, 1, 1), dtype of x.

    Returns:
        (N, m', H / 2, W / 2), in the dtype of x.
    """
    ### BEGIN SOLUTION
    return functional.avg_pool2d(functional.conv2d(functional.relu(x), weight), 2)
    ### END SOLUTION


# %% check="transition" points=3
check.transition(transition)
### BEGIN HIDDEN TESTS
for shape, outputs, seed in [((3, 6, 4, 4), 3, 821), ((1, 2, 8, 2), 2, 822), ((2, 5, 2, 6), 7, 823)]:
    check.transition_at(transition, shape, outputs, seed=seed)
### END HIDDEN TESTS

# %% [markdown]
# The published order is convolution, then pooling. Both are linear and act on different axes, so they
# commute.
#
# **Predict.** What do we save if we pool first?

# %%
x = torch.randn(1, 64, 8, 8, generator=rng, dtype=torch.float64).relu()
mix = torch.randn(32, 64, 1, 1, generator=rng, dtype=torch.float64)
late = functional.avg_pool2d(functional.conv2d(x, mix), 2)
early = functional.conv2d(functional.avg_pool2d(x, 2), mix)
assert torch.allclose(late, early, rtol=0, atol=1e-12)

sides = {256: 56, 512: 28, 1024: 14}  # channels that enter DenseNet-121's transitions, and their sides
spent = sum(m * (m // 2) * side**2 for m, side in sides.items())
total = architectures.multiply_accumulates(dense121, 224)
print(
    f"same result; the transitions take {spent / total:.0%} of DenseNet-121's multiply-accumulates, a quarter of that if we pool first"
)
assert round(spent / total, 2) == 0.11

# %% [markdown]
# ## 6 · Compact in parameters
#
# Now we count. A dense layer's 3 × 3 convolution has $9 \cdot (\text{channels in}) \cdot k$ weights, so a
# whole basic block has
#
# $$\sum_{l=0}^{L-1} 9\,k\,(k_0 + k\,l) \;=\; 9\,k \left( L\,k_0 + k\,\frac{L(L-1)}{2} \right).$$
#
# The square of $L$ is the price of connecting everything. Two remedies make the "BC" of DenseNet-BC: a
# **bottleneck** (a 1 × 1 convolution to $4k$ channels in front of each 3 × 3) and the **compression** in the
# transitions.

# %%
k0, k, L = 16, 12, 12  # the first block of the basic DenseNet with depth 40
with torch.device("meta"):
    basic40 = architectures.build(architectures.cifar_densenet_spec(40, k, bottleneck=False))
block = [m for m in basic40 if isinstance(m, architectures.Append)][:L]
weights_in_block = sum(layer.branch[-1].weight.numel() for layer in block)
print(f"3 x 3 weights of the first block: {weights_in_block:,}")
assert weights_in_block == 9 * k * (L * k0 + k * L * (L - 1) // 2)

# %% [markdown]
# ### Exercise 4 · Count a DenseNet (5 points, about 14 minutes)
#
# Write `count_parameters(spec)`, in plain arithmetic, for a spec like the one below. This is everything that
# a DenseNet consists of; convolutions have no bias, a batch norm has two trainable numbers a channel (scale
# and shift), images have 3 channels:
#
# | part | layers |
# |---|---|
# | stem `"cifar"` | 3 × 3 convolution to `stem_channels` |
# | stem `"imagenet"` | 7 × 7 convolution to `stem_channels`, batch norm |
# | layer, basic | batch norm, 3 × 3 convolution to `growth` channels |
# | layer, with `bottleneck` | batch norm, 1 × 1 convolution to 4 · `growth`, batch norm, 3 × 3 convolution to `growth` |
# | transition, between two blocks | batch norm, 1 × 1 convolution from $m$ to $\lfloor$ `compression` · $m \rfloor$ channels |
# | end | batch norm, linear layer to `classes`, with bias |
#
# `layers` holds the number of layers of each block.

# %%
for key, value in asdict(architectures.cifar_densenet_spec(100, 12, bottleneck=True)).items():
    print(f"{key:>14}: {value!r}")


# %% answer="count_parameters"
def count_parameters(spec: dict) -> int:
    """Count the trainable parameters of a DenseNet.

    Args:
        spec: "layers" (tuple of whole numbers, one a block), "growth", "stem_channels", "classes" (whole numbers),
            "bottleneck" (bool), "compression" (float, 0 < theta <= 1), "stem" ("cifar" or "imagenet").

    Returns:
        The number of parameters, a whole number.
    """
    ### BEGIN SOLUTION
    k, width = spec["growth"], spec["stem_channels"]
    total = 3 * 49 * width + 2 * width if spec["stem"] == "imagenet" else 3 * 9 * width
    for block, depth in enumerate(spec["layers"]):
        if block > 0:
            out = int(spec["compression"] * width)
            total += 2 * width + width * out
            width = out
        for _ in range(depth):
            inner = 4 * k if spec["bottleneck"] else width
            if spec["bottleneck"]:
                total += 2 * width + width * inner
            total += 2 * inner + 9 * inner * k
            width += k
    return total + 2 * width + (width + 1) * spec["classes"]
    ### END SOLUTION


# %% check="count_parameters" points=5
check.count_parameters(count_parameters)
### BEGIN HIDDEN TESTS
check.count_parameters_at(count_parameters, architectures.cifar_densenet_spec(40, 12, False))
check.count_parameters_at(count_parameters, architectures.densenet_spec(121))
for first, second, growth, start in np.random.default_rng(84).integers(1, 8, (4, 4)).tolist():
    for bottleneck, compression, stem in [(True, 0.5, "cifar"), (False, 0.7, "imagenet")]:
        spec = architectures.DenseNetSpec(
            (first, second, 2), growth, 2 * start + 1, bottleneck, compression, stem, 10
        )
        check.count_parameters_at(count_parameters, spec)
### END HIDDEN TESTS

# %% [markdown]
# The networks of the two papers, built and counted. Compare the numbers with the tables that you find in
# papers and model zoos.

# %%
family = {f"ResNet-{d}": architectures.resnet_spec(d) for d in (18, 34, 50, 101, 152)}
family |= {f"DenseNet-{d}": architectures.densenet_spec(d) for d in (121, 169, 201, 161)}
networks = {}
with torch.device("meta"):
    for name, spec in family.items():
        networks[name] = architectures.build(spec)
parameters = {name: architectures.parameter_count(network) for name, network in networks.items()}
for name, count in parameters.items():
    print(f"{name:<13}{count:>12,}")

# %%
cifar = {
    f"DenseNet{'-BC' * bc} k={k} L={depth}": architectures.cifar_densenet_spec(depth, k, bc)
    for k, depth, bc in [(12, 40, False), (12, 100, True), (24, 250, True), (40, 190, True)]
}
cifar |= {f"ResNet-{depth}": architectures.cifar_resnet_spec(depth, "A") for depth in (20, 32, 44, 56, 110)}
with torch.device("meta"):
    small = {name: architectures.parameter_count(architectures.build(spec)) for name, spec in cifar.items()}
for name, count in small.items():
    print(f"{name:<22}{count:>12,}")

# %%
assert list(parameters.values())[:5] == [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808]
assert list(parameters.values())[5:] == [7_978_856, 14_149_480, 20_013_928, 28_681_000]
assert list(small.values())[:4] == [1_019_722, 769_162, 15_324_406, 25_624_430]
assert list(small.values())[4:] == [269_722, 464_154, 658_586, 853_018, 1_727_962]

# %% [markdown]
# Note how the bottleneck and the compression work: with 100 layers DenseNet-BC is *smaller* than the basic
# form with 40. And DenseNet-121 has fewer parameters than ResNet-18.
#
# Claim (b) is thus true, of parameters. But a parameter of a convolution is used at every pixel, and what a
# layer computes must be stored until the backward pass has used it. How do arithmetic and memory compare?
# **Predict.** DenseNet-121 has less than a third of ResNet-50's parameters. What share of its
# multiply-accumulates? Of its memory for training?

# %%
rivals = ["ResNet-50", "DenseNet-121", "DenseNet-169", "DenseNet-201", "DenseNet-161"]
gmacs = {name: architectures.multiply_accumulates(networks[name], 224) / 1e9 for name in rivals}
for name in rivals:
    print(f"{name:<13}{parameters[name] / 1e6:6.1f} M parameters {gmacs[name]:7.3f} GMACs an image")
assert [round(gmacs[name], 3) for name in rivals] == [4.089, 2.834, 3.360, 4.291, 7.728]

# %%
kept = {
    name: architectures.activation_bytes(networks[name], (2, 3, 224, 224)) / 2e6
    for name in ("ResNet-50", "DenseNet-121")
}
print(
    {name: f"{megabytes:.0f} MB kept for the backward pass of an image" for name, megabytes in kept.items()}
)
ratios = {
    what: values["DenseNet-121"] / values["ResNet-50"]
    for what, values in [
        ("parameters", parameters),
        ("multiply-accumulates", gmacs),
        ("kept activations", kept),
    ]
}
assert [round(ratio, 2) for ratio in ratios.values()] == [0.31, 0.69, 1.52]

# %%
fig, ax = figures.canvas(
    "Compact in parameters, not in memory", "", "DenseNet-121 / ResNet-50", ylim=(0, 1.75)
)
bars = ax.bar(range(3), ratios.values(), width=0.5, color=figures.COLOURS[0])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.axhline(1, label="equal", **figures.series(1))
ax.set_xticks(range(3), ["parameters", "multiply-\naccumulates", "kept\nactivations"])
ax.legend()
figures.show(
    fig,
    alt="DenseNet-121 divided by ResNet-50: "
    + ", ".join(f"{what} {ratio:.2f}" for what, ratio in ratios.items())
    + ".",
)

# %% [markdown]
# **What we should see.** DenseNet-121 has 0.31 of ResNet-50's parameters, 0.69 of its multiply-accumulates,
# and keeps *one and a half times* as many bytes for the backward pass. "Compact" is three different words.
#
# **What it does not show.** How good the networks are. The DenseNet paper reports that DenseNet-201, with 20
# million parameters, has about the validation error of ResNet-101 with more than 40 million. We cannot train
# on ImageNet here; a small experiment of our own follows in section 8.
#
# ## 7 · Where the memory goes
#
# Why so much? Look at what `torch.cat` does: it allocates a *new* tensor and copies everything into it, the
# old channels too. Autograd keeps them all, because each layer needs its input when gradients are computed.
#
# ### Exercise 5 · The price of a naive concatenation (3 points, about 6 minutes)
#
# A block of $L$ layers is written as in Exercise 2: behind each layer, one `torch.cat` makes a new float32
# tensor. Write `concat_bytes(k0, k, L, pixels)`: how many bytes do these $L$ tensors take for one image with
# `pixels` pixels?


# %% answer="concat_bytes"
def concat_bytes(k0: int, k: int, L: int, pixels: int) -> int:
    """Count the bytes that the L concatenations of a naive dense block allocate for one image.

    Args:
        k0: channels that enter the block.
        k: growth rate.
        L: number of layers, at least 1.
        pixels: pixels of a map (height times width).

    Returns:
        Bytes, all L results together, four bytes a number.
    """
    ### BEGIN SOLUTION
    return 4 * pixels * sum(k0 + k * layer for layer in range(1, L + 1))
    ### END SOLUTION


# %% check="concat_bytes" points=3
check.concat_bytes(concat_bytes)
### BEGIN HIDDEN TESTS
for start, growth, depth, pixels in np.random.default_rng(85).integers(1, 40, (5, 4)).tolist():
    check.concat_bytes_at(concat_bytes, start, growth, depth, pixels)
### END HIDDEN TESTS

# %% [markdown]
# The features themselves take $k_0 + kL$ channels: linear in $L$. The copies take $L k_0 + k L(L+1)/2$:
# quadratic. An implementation that lets all layers share one piece of memory, and computes batch norm again
# in the backward pass, gets back to linear, for some extra time (Pleiss et al. 2017). The figure measures the
# copies with a counter on `torch.cat`.


# %%
def draw_block(growth: int, layers: int, start: int):
    """Draw what a naive dense block copies, and what its features need, over the number of layers."""
    image = torch.empty(1, start, 56, 56, device="meta")
    convs = [torch.nn.Conv2d(start + growth * i, growth, 1, device="meta") for i in range(layers)]
    block = torch.nn.Sequential(*map(architectures.Append, convs))
    depths = range(1, layers + 1)
    copied = [architectures.concatenation_bytes(block[:depth], tuple(image.shape)) / 1e6 for depth in depths]
    needed = [block[:depth](image).nbytes / 1e6 for depth in depths]
    fig, ax = figures.canvas(
        f"{layers} layers copy {copied[-1] / needed[-1]:.1f} times what they need",
        "layers in the block",
        "MB an image (56 x 56 pixels)",
    )
    ax.plot(depths, copied, label="copies of a naive block", **figures.series(0))
    ax.plot(depths, needed, label="the features themselves", **figures.series(1))
    ax.legend()
    return fig


# %%
figures.show(
    draw_block(growth=32, layers=24, start=256),
    alt="The bytes copied by a naive dense block grow with the square of its layers, those of the features in a straight line.",
)

# %% live=true
figures.explore(draw_block, growth=(4, 48, 4), layers=(2, 40, 1), start=(16, 512, 16))

# %% [markdown]
# ## 8 · Does it learn better?
#
# Counting is not training. MNIST-1D is made for questions like ours: ten classes of curves on 40 points,
# derived from digits, shifted, sheared and noisy. It is generated on the spot; we take 2,500 curves, 2,000 of
# them to train on.

# %%
data = datasets.mnist1d(examples=2500)
fig, axes = figures.panels(
    [str(digit) for digit in range(5)], title="Two curves each of five classes", height=2.2
)
for digit, ax in enumerate(axes):
    for index, curve in enumerate(data.x_train[data.y_train == digit][:2]):
        ax.plot(curve, **figures.series(index))
    ax.set(xticks=[0, 39], yticks=[], xlabel="point")
figures.show(
    fig, alt="Two examples each of the classes 0 to 4: the same shape appears at different places and slants."
)

# %% [markdown]
# We need a fair comparison. Our networks are those of the papers in one dimension: three stages (or blocks),
# the length halved between them, convolutions of 3 points, batch norm, the same training for all. Two have
# *nearly the same number of parameters*; the third is a wider ResNet.
#
# The formulas of section 2 tell us the sizes; arithmetic and memory are measured on one seed.

# %%
makers = {
    "ResNet, width 8": lambda seeds: dense1d.resnet(8, 1, seeds),
    "DenseNet, k = 4": lambda seeds: dense1d.densenet(4, 2, seeds),
    "ResNet, width 16": lambda seeds: dense1d.resnet(16, 1, seeds),
}
cost = {}
for name, make in makers.items():
    one = make([0])
    count, operations = architectures.parameter_count(one), architectures.multiply_accumulates(one, (1, 40))
    cost[name] = count, operations, architectures.activation_bytes(one, (64, 40)) / 64
    print(
        f"{name:<17}{count:>6,} parameters {operations:>8,} multiply-accumulates {cost[name][2] / 1e3:5.1f} kB kept a curve"
    )

# %% [markdown]
# **Predict** for the two networks of about 1,380 parameters, after 4 passes over the training curves: which
# one has the better test accuracy, and is the difference larger than the spread between seeds?
#
# All five seeds of a network train at once, with stacked weights; no seed sees another (lesson 7).

# %%
trained, accuracy = {}, {}
for name, make in makers.items():
    trained[name] = make(SEEDS)
    training.train_stacked(trained[name], data.x_train, data.y_train, steps=125, batch=64, lr=0.1)
    accuracy[name] = training.evaluate_stacked(trained[name], data.x_test, data.y_test)[1]

# %%
families = {"ResNet": ["ResNet, width 8", "ResNet, width 16"], "DenseNet": ["DenseNet, k = 4"]}
fig, axes = figures.panels(
    ["by parameters", "by memory"],
    title="Three networks after four passes, five seeds each",
    ylim=(0.6, 1),
    height=3.6,
)
for index, (family_name, names) in enumerate(families.items()):
    look = figures.series(index, marker=True)
    means, spreads = zip(*[(accuracy[n].mean(), accuracy[n].std(ddof=1)) for n in names], strict=True)
    for ax, place in zip(axes, (0, 2), strict=True):
        sizes = [cost[n][place] / (1000 if place else 1) for n in names]
        ax.errorbar(sizes, means, spreads, capsize=4, label=family_name, **look)
        for size, name in zip(sizes, names, strict=True):
            ax.plot([size] * 5, accuracy[name], alpha=0.35, **look | {"linestyle": "none"})
axes[0].set(xlabel="parameters", ylabel="test accuracy")
axes[1].set(xlabel="kB kept a curve")
axes[0].legend(loc="lower right")
figures.show(
    fig,
    alt="Test accuracy of three networks, five seeds each, with mean and standard deviation. The wider ResNet is ahead of both small networks.",
)

# %% varies=true
narrow, dense, wide = accuracy.values()
gap = dense - narrow  # one number a seed
print(f"equal parameters, DenseNet - ResNet: {interval(gap):.3f}")
print(f"ResNet, width 16 - DenseNet: {interval(wide - dense):.3f}")
assert interval(wide - dense).low > 0

# %% [markdown]
# **What we should see.** At equal parameters five seeds do not decide: the interval is as wide as the gap
# itself. (Over 40 seeds the gap is about 0.03 ± 0.01: the DenseNet is ahead a little, by less than one seed
# differs from the next.) It keeps 1.6 times as many bytes for that; the ResNet of width 16, which keeps still
# more, is clearly ahead, and needs four times the multiply-accumulates.
#
# **What it does not show.** That DenseNets learn better. Four passes are not a finished training (a loss that
# has not come down yet has many causes, vanishing gradients being one of them; here it is simply early), and
# networks of this size are toys. Above all, *this setting was not drawn by lot*. We tried three lengths of
# training and kept the shortest, because it fits into this notebook; it is also the one with the largest gap.
# `python -m tests.reproduce_densenet short`, in the course's folder, prints all three: the gap shrinks with
# more steps and more curves, in the longest to nothing. Five seeds tell how far chance reaches *within* a
# setting. They say nothing about the choice of the setting, and this is how honest people publish gaps that
# are not there.
#
# Without the word `short` the script trains five larger networks for 10 passes over all 4,000 curves, with
# two learning rates, and takes about ten minutes. There, too, the spread decides what can be said: compare
# its last two networks, of which one has 2.7 times the parameters of the other, in accuracy *and* in CPU
# time. These are their sizes:

# %%
larger = {
    "ResNet, width 16, 2 blocks a stage": dense1d.resnet(16, 2, [0]),
    "DenseNet, k = 4, 4 layers a block": dense1d.densenet(4, 4, [0]),
    "DenseNet, k = 8, 3 layers a block": dense1d.densenet(8, 3, [0]),
    "DenseNet, k = 8, 5 layers a block": dense1d.densenet(8, 5, [0]),
    "ResNet, width 32, 3 blocks a stage": dense1d.resnet(32, 3, [0]),
}
for name, network in larger.items():
    operations = architectures.multiply_accumulates(network, (1, 40))
    print(
        f"{name:<36}{architectures.parameter_count(network):>7,} parameters {operations:>10,} multiply-accumulates"
    )
sizes = [architectures.parameter_count(network) for network in larger.values()]
assert sizes == [9_850, 4_090, 8_942, 21_454, 56_938] and round(sizes[4] / sizes[3], 1) == 2.7

# %% [markdown]
# Clocks do not repeat, so no time is printed here. Measure your own: the next cell compares one training step
# of the two equal-sized networks. By their multiply-accumulates the DenseNet should be the faster one.

# %% live=true
import time

for name, make in makers.items():
    network = make(SEEDS)
    training.train_stacked(network, data.x_train[:64], data.y_train[:64], steps=5, batch=64)
    start = time.process_time()
    training.train_stacked(network, data.x_train[:64], data.y_train[:64], steps=40, batch=64)
    print(f"{name:<17}{(time.process_time() - start) / 40 * 1e3:6.1f} CPU ms a step (five seeds)")

# %% [markdown]
# ## 9 · Are old features used again?
#
# Claim (c) is *extreme feature reusability*. It can be tested with a scalpel. In our trained DenseNet each
# block ends with 16 channels: 8 that entered it, then 4 of layer 0, then 4 of layer 1. What stands behind the
# block (the transition, or the classifier) reads them all. We blind it to four channels of one age at a time,
# in all three blocks, and look at the accuracy. The layers inside the blocks still see everything.
#
# **Predict.** If old features were just carried along, blinding the exits to them would cost nothing. What do
# you expect for the oldest four, what for the newest?

# %%
ages = {"entered\n(first 4)": 0, "entered\n(last 4)": 4, "layer 0": 8, "layer 1": 12}
network = trained["DenseNet, k = 4"]
without = {
    age: training.evaluate_stacked(dense1d.blind_exits(network, first, 4), data.x_test, data.y_test)[1]
    for age, first in ages.items()
}
loss = {age: dense - scores for age, scores in without.items()}
assert all((lost > 0.1).all() for lost in loss.values())
assert loss["entered\n(first 4)"].mean() > dense.mean() / 2
assert loss["layer 1"].mean() > max(loss[age].mean() for age in ages if age != "layer 1")

# %%
fig, ax = figures.canvas(
    "Old features are needed, the newest most",
    "channels that the exits no longer see",
    "accuracy lost",
    ylim=(0, 1),
)
for place, lost in enumerate(loss.values()):
    ax.plot([place] * len(lost), lost, alpha=0.4, **figures.series(0, marker=True) | {"linestyle": "none"})
    ax.errorbar([place + 0.1], [lost.mean()], lost.std(ddof=1), capsize=4, **figures.series(1, marker=True))
ax.set_xticks(range(len(loss)), list(loss))
figures.show(
    fig,
    alt="Accuracy lost when the transitions and the classifier no longer see four channels of one age, five seeds each: a large loss for every age, the largest for the newest channels.",
)

# %% [markdown]
# **What we should see.** Every age counts: even without the oldest four channels most of the accuracy is
# gone. So reuse is real. It is not *extreme*: the newest channels matter most.
#
# **What it does not show.** A network that was trained with these channels and then loses them is out of its
# depth for two reasons: what they told it is missing, and everything behind them gets unusual inputs.
# Networks retrained without them would lose less. And our blocks have two layers; the paper's figure of
# weights, for blocks of 12, shows reuse over longer distances.
#
# ## 10 · What is left of the claims
#
# | the chapter | what we found |
# |---|---|
# | "connecting all layers directly with each other" | within a block; in DenseNet-121 that is 31 % of all pairs (section 3) |
# | (a) "an enormous amount of feature channels on the last layers" | a wide stream, half as wide as ResNet-50's, written by layers of 32 channels (section 2) |
# | (b) "more compact models" | in parameters, yes; in arithmetic, less so; in memory, the reverse (sections 6 to 8) |
# | (c) "extreme feature reusability" | old features are needed, the newest most (section 9) |
# | the other document's "DenseNet": "the concatenation of all outputs so far" | a sum (section 1) |

# %% [markdown] question="compact"
# ### Question · Compact in what? (3 points, about 7 minutes)
#
# A colleague wants to put an image classifier on a phone and says: "Let us take DenseNet-121, it is three
# times as compact as ResNet-50." Answer in five to eight sentences: compact in what - parameters, memory or
# time? What does the phone need, when it only runs the network, and what would a machine need that trains it?
# Use numbers from this lesson.
#
# === BEGIN MARK SCHEME ===
# - 0: Takes the number of parameters for size, memory and speed alike.
# - 1: Says that fewer parameters need not mean less memory or time, without numbers or with one of the three
#   only.
# - 2: Keeps the three apart with numbers, but without a reason, or without telling training from running.
# - 3: Keeps apart parameters (0.31), arithmetic (0.69) and activation memory (1.5 times, in training), with
#   numbers; says why they differ (weights are shared by all pixels, concatenations are copied and kept,
#   narrow layers move much memory for little arithmetic); and draws the consequence: storage or download of
#   the model gains threefold, running time less or not at all, training memory loses; kept activations matter
#   in training only, at run time a phone needs the widest part, not the sum.
#
# Misconceptions: "fewer parameters run faster"; "multiply-accumulates are time"; "concatenation costs nothing
# because it computes nothing"; "activation memory is the same when running as when training"; "DenseNet has
# more parameters because it has more connections".
# === END MARK SCHEME ===

# %% [markdown] response="compact" points=3
# ### BEGIN SOLUTION
# In parameters it is: 8.0 million against 25.6, so the file to download is about three times smaller. In
# arithmetic the gain is smaller, 2.8 against 4.1 GMACs, because a convolution's weight is used at every pixel
# and DenseNet works with many layers on large maps. In memory for training it is the reverse: 131 MB of kept
# activations an image against 86, because every layer reads a concatenation, and each concatenation is a new
# copy that must be kept for the backward pass. The phone only runs the network: it may throw each map away
# once it was read, so it needs the parameters and the widest part of the stream, not the sum. Time we should
# measure on the phone, as section 8 does on our machine: narrow layers and copies move much memory for little
# arithmetic, so that fewer multiply-accumulates need not be faster. So: a good choice if the download counts,
# an open one for speed, a poor one for a training machine with little memory, unless its implementation
# shares memory between the layers.
# ### END SOLUTION

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# Lesson 7 added, this lesson concatenated, and both get their information and their gradients around the
# layers in between. Both work. We can say *what* they cost and *that* they train - but not **why they work**.
# Because gradients survive? Because a deep network with skips is really many shallow ones? Because its loss
# is smoother?
#
# ## References
#
# - G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, *Densely Connected Convolutional Networks*, CVPR
#   (2017). [doi:10.1109/CVPR.2017.243](https://doi.org/10.1109/CVPR.2017.243),
#   [arXiv:1608.06993](https://arxiv.org/abs/1608.06993)
# - G. Pleiss, D. Chen, G. Huang, T. Li, L. van der Maaten, K. Q. Weinberger, *Memory-Efficient Implementation
#   of DenseNets* (2017). [arXiv:1707.06990](https://arxiv.org/abs/1707.06990)
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, CVPR (2016).
#   [doi:10.1109/CVPR.2016.90](https://doi.org/10.1109/CVPR.2016.90),
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - S. Greydanus, D. Kobak, *Scaling Down Deep Learning with MNIST-1D* (2020).
#   [arXiv:2011.14439](https://arxiv.org/abs/2011.14439)
