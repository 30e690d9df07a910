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
# > **Sources.** *The chapter*: the seed document "Skip Connections" of lesson 5; *the other document*: the
# > notebook of lessons 1 and 2 ([vadhri/ai-notebook](https://github.com/vadhri/ai-notebook),
# > `images/skip_connections.ipynb`). Our copies name neither date nor licence
# > ([all sources](../../docs/references.md)). *The paper*: [Huang et al. (2017)](https://arxiv.org/abs/1608.06993).
# >
# > **Six words.** *Channel*: one of the maps that stand side by side at a place in the network (an RGB image
# > has three). *Stream*: all channels that are handed on at a place. *Stem*: the layers in front of the first
# > block. *Spec*: the few numbers that describe a network (layers per block, channels, ...).
# > *Multiply-accumulate* (MAC): one multiplication and one addition; a 3 × 3 convolution takes nine per
# > pixel and pair of channels. *Kept*: stored in the forward pass because the backward pass needs it.
# >
# > **Symbols that hold here.** $k$ growth rate (not a kernel), $k_0$ channels that enter a block, $L$ layers
# > of a block (not a loss), $\theta$ compression, $m$ channels at some place.
#
# **Objectives.** After this lesson you can
#
# - write a dense block and a transition layer, and say how wide each layer of them is;
# - count the parameters of a DenseNet from its spec, to the last one, and check them against the published
#   networks;
# - tell apart three meanings of "compact" - parameters, arithmetic, memory - and measure each;
# - compare two families of networks fairly: equal size, each at its best learning rate, and *enough* seeds.
#
# **Prerequisites.** Lessons 5 and 7; `torch.nn.functional.conv2d`. Section 4 speaks of singular values: by how
# much a matrix can stretch or shrink a vector.
#
# **Time:** about {{minutes}} minutes without the parts marked *optional*; section 5 ends at a good place for a break.
# {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
from dataclasses import asdict

import numpy as np
import torch
from torch.nn import functional

from helpers import architectures, datasets, dense1d, densenet_figures, drawings, figures, training
from helpers.checks import densenet as check
from helpers.checks import give_up, predict, progress, reveal
from helpers.statistics import interval

torch.set_num_threads(1)

# %% parameters=true
SEED = 0  # every draw below derives from it; the data set stays the published one
NETWORKS = 5  # of each kind that are trained here: seeds SEED, SEED + 1, ...
STEPS = 125  # of training, 64 curves each: four passes
RATE = 0.2  # learning rate: among the best for both small networks (section 8 shows it)

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
# **Predict.** After three steps, `features` holds four 8 × 8 images. How many numbers does `concatenated` hold? And how
# many should it hold, if the name is right?

# %% predict="holds"
predict("holds", ...)

# %% predict="should_hold"
predict("should_hold", ...)

# %% claim="a_sum"
features = [np.full((8, 8), value) for value in (1.0, 2.0, 4.0, 8.0)]
concatenated = np.stack(features, axis=0).sum(axis=0)
really = np.stack(features, axis=0)
print(f"the document's: {concatenated.shape}, all values {concatenated[0, 0]:g}")
print(f"a concatenation: {really.shape}")
assert concatenated.shape == (8, 8) and really.shape == (4, 8, 8)
reveal("holds", concatenated.size)
reveal("should_hold", really.size)

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

# %% claim="tied_weights" effect="difference"
rng = torch.Generator().manual_seed(SEED + 8)
a, b = torch.randn(2, 1, 3, 8, 8, generator=rng, dtype=torch.float64)
tied = torch.randn(5, 3, 3, 3, generator=rng, dtype=torch.float64)
beside = functional.conv2d(torch.cat((a, b), 1), torch.cat((tied, tied), 1), padding=1)
on_top = functional.conv2d(a + b, tied, padding=1)
difference = (beside - on_top).abs().max().item()
print("equal with tied weights:", difference < 1e-12)
assert difference < 1e-12

# %% [markdown]
# ## 2 · How wide does it get?
#
# A **dense block** starts with $k_0$ channels. Each of its $L$ layers reads everything that is there and
# appends $k$ channels of its own; $k$ is the **growth rate**.
#
# The drawing has $k_0 = 8$, $k = 4$ and four layers. Behind the last pile stands a *transition*, which section 5 explains.

# %%
figures.show(*drawings.dense(start=8, growth=4, layers=4, compression=0.5, side=8))

# %% [markdown]
# ### Exercise 1 · Channels (2 points, easy, about 8 minutes)
#
# Write `channels(k0, k, L)`: the channels that enter each of the layers $l = 0, \dots, L-1$, and, as the last
# number, those that leave the block.
#
# <details><summary>Hint 1: a nudge</summary>
#
# How many numbers does the list have for $L = 0$, a block without any layer? And for $L = 1$?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Layer $l$ reads the block's input and what the $l$ layers before it have appended, $k$ channels each. What leaves the
# block is what a layer $L$ would read, if there were one.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# widths = []
# for layer in range(...):
#     widths.append(...)
# return widths
# ```
#
# </details>


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

# %% [markdown]
# The chapter's claim (a) is an *enormous* number of channels on the last layers. DenseNet-121 has 58 layers
# in four dense blocks, with $k = 32$; between the blocks, transitions halve the number of channels. We build it, and
# ResNet-50 beside it, on torch's device `meta`: that knows shapes only, so that no network is too big.
#
# **Predict.** How many channels reach its classifier? A factor of 1.5 is near enough. And is that more than in
# ResNet-50, fewer, or as many?

# %% predict="channels_at_the_end"
predict("channels_at_the_end", ...)

# %% predict="than_resnet"
predict("than_resnet", ..., ["more", "fewer", "as many"])

# %% claim="half_as_wide"
with torch.device("meta"):
    dense121 = architectures.build(architectures.densenet_spec(121))
    resnet50 = architectures.build(architectures.resnet_spec(50))
layers = [m for m in dense121 if isinstance(m, architectures.Append)]
reads = [layer.branch[0].num_features for layer in layers]  # the layer's first batch norm
adds = [layer.branch[-1].out_channels for layer in layers]
widths = {"DenseNet-121": dense121[-1].in_features, "ResNet-50": resnet50[-1].in_features}
print(f"{len(layers)} layers read {min(reads)} to {max(reads)} channels and add {set(adds)}")
print(f"channels that reach the classifier: {widths}")
assert len(layers) == 58 and set(adds) == {32}
assert 2 * widths["DenseNet-121"] == widths["ResNet-50"]
of_dense, of_resnet = widths.values()
reveal("channels_at_the_end", of_dense, factor=1.5)
reveal("than_resnet", "more" if of_dense > of_resnet else "fewer" if of_dense < of_resnet else "as many")

# %%
figures.show(
    densenet_figures.widths(reads, adds),
    alt="In each of the four blocks the channels read by a layer grow in a straight line, up to "
    f"{max(reads)}; each layer adds only {max(adds)}.",
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
# the same height and width, and a network that looks at larger and larger parts of an image has to shrink its
# maps somewhere.

# %% claim="within_a_block"
connections = [depth * (depth + 1) // 2 for depth in architectures.densenet_spec(121).layers]
assert connections == [sum(range(1, depth + 1)) for depth in architectures.densenet_spec(121).layers]
share = sum(connections) / (58 * 59 // 2)
print(f"connections within the blocks: {connections}, {share:.0%} of those between all 58 layers")
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
# ### Exercise 2 · A dense block (4 points, medium, about 12 minutes)
#
# Write `dense_block(x, weights)`. Layer $l$ computes `conv(relu(everything so far))` with `weights[l]`,
# zero-padded so that height and width stay. Gradients should flow through all of it. The block returns everything: the
# input's channels first, untouched, then layer 0's, then layer 1's, and so on.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Take a pencil and two layers: which channels does layer 0 read, which does layer 1, and in what order does the block
# hand them on?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Let one name hold everything so far. Each layer reads all of it, through a ReLU that leaves it as it is, and what the
# layer computes is put behind it, along the axis of the channels. Adding up is lesson 5.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# for each in weights:
#     new = ...  # ReLU, then a zero-padded convolution, of everything so far
#     x = ...  # everything so far, now with the new channels behind it
# return ...
# ```
#
# </details>


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

# %% [markdown]
# What happens to gradients? The chapter says of the residual skip that the gradient is "simply multiplied by
# one"; the truth was $I + J_F$ (lesson 5). A dense layer $x \mapsto (x, F(x))$ has the Jacobian
#
# $$J = \begin{pmatrix} I \\ J_F \end{pmatrix}, \qquad J^\top J = I + J_F^\top J_F .$$
#
# The identity stands *above* the branch instead of being added to it.
#
# **Predict.** How small can a singular value of $J$ become, whatever the weights of the layer are?

# %% predict="smallest_value"
predict("smallest_value", ...)

# %% claim="nothing_is_lost" effect="smallest"
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(SEED)
    branch = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Conv2d(2, 3, 3, padding=1)).double()
x = torch.randn(1, 2, 4, 4, generator=rng, dtype=torch.float64)
jacobian = torch.autograd.functional.jacobian(architectures.Append(branch), x).reshape(-1, x.numel())
upper, lower = jacobian[: x.numel()], jacobian[x.numel() :]
values = torch.linalg.svdvals(jacobian)
smallest = values.min().item()
print(f"{jacobian.shape[0]} rows, {jacobian.shape[1]} columns; smallest singular value {smallest:.3f}")
assert torch.equal(upper, torch.eye(x.numel(), dtype=torch.float64))
assert smallest >= 1 - 1e-12
assert torch.allclose(values.square(), 1 + torch.linalg.eigvalsh(lower.T @ lower).flip(0))
reveal("smallest_value", smallest, within=0.01)

# %% [markdown]
# Never below 1. Take two channels of one pixel each and a layer that appends one: $J$ has three rows and two columns,
# and $|Jv|^2 = |v|^2 + |J_F v|^2$ is never less than $|v|^2$. Identity and branch cannot cancel, and inside a block no
# direction of the input is lost. A residual block has no such guarantee ($F = -x$ wipes everything out).
#
# But mind the direction. Backwards we apply $J^\top$.
# In this example it has two rows and three columns, so some gradients that arrive at the three channels
# give 0 at the two. Such a gradient exists wherever a block appends channels: what the new channels ask of
# the input and what the old ones ask of it can cancel. And between two blocks there is no identity at all.
#
# ## 5 · The transition layer
#
# Between two blocks stands: BN, ReLU, a 1 × 1 convolution that passes on $\lfloor \theta\, m \rfloor$ of $m$
# channels ($\theta$ is the **compression**, 1/2 in most DenseNets), and an average pooling 2 × 2.
#
# ### Exercise 3 · A transition (3 points, easy, about 8 minutes)
#
# Write `transition(x, weight)`: ReLU, 1 × 1 convolution, average over windows of 2 × 2 pixels.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Three steps in a row, each a function of `torch.nn.functional`. Which of them changes the channels, which the height and
# width?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# `relu` gives a new tensor and leaves its input alone, `conv2d` with a 1 × 1 kernel mixes channels at every pixel, and
# `avg_pool2d` takes the size of its window.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# rectified = ...
# mixed = ...  # (N, m', H, W)
# return ...  # (N, m', H / 2, W / 2)
# ```
#
# </details>


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

# %% [markdown]
# The published order is convolution, then pooling. Both are linear and act on different axes, so they
# commute.
#
# **Predict.** If we pool first instead, how many per cent of a transition's multiply-accumulates do we save?

# %% predict="saved"
predict("saved", ...)

# %%
x = torch.randn(1, 64, 8, 8, generator=rng, dtype=torch.float64).relu()
mix = torch.randn(32, 64, 1, 1, generator=rng, dtype=torch.float64)
late = functional.avg_pool2d(functional.conv2d(x, mix), 2)
early = functional.conv2d(functional.avg_pool2d(x, 2), mix)
same = torch.allclose(late, early, rtol=0, atol=1e-12)
print("the same result in either order:", same)

# %% claim="pool_first"
sides = {256: 56, 512: 28, 1024: 14}  # channels that enter DenseNet-121's transitions, and their sides
spent = sum(m * (m // 2) * side**2 for m, side in sides.items())
pooled = sum(m * (m // 2) * (side // 2) ** 2 for m, side in sides.items())
total = architectures.multiply_accumulates(dense121, 224)
print(f"the transitions take {spent / total:.0%} of DenseNet-121's multiply-accumulates,")
print(f"and {pooled / total:.0%} if we pool first")
assert same and round(spent / total, 2) == 0.11
reveal("saved", 100 * (1 - pooled / spent), within=5)

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
#
# A *depth* counts all layers with weights: three blocks of $L = 12$, the stem, two transitions and the
# classifier make $3 \cdot 12 + 4 = 40$.

# %% claim="block_formula"
k0, k, L = 16, 12, 12  # the first block of the basic DenseNet with depth 40
with torch.device("meta"):
    basic40 = architectures.build(architectures.cifar_densenet_spec(40, k, bottleneck=False))
block = [m for m in basic40 if isinstance(m, architectures.Append)][:L]
weights_in_block = sum(layer.branch[-1].weight.numel() for layer in block)
print(f"3 x 3 weights of the first block: {weights_in_block:,}")
assert weights_in_block == 9 * k * (L * k0 + k * L * (L - 1) // 2)

# %% [markdown]
# ### Exercise 4 · Count a DenseNet (5 points, hard, about 30 minutes)
#
# Write `count_parameters(spec)`, in plain arithmetic, for a spec like the one below. This is everything that
# a DenseNet consists of; convolutions have no bias, a batch norm has two trainable numbers per channel
# (scale and shift), images have 3 channels:
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
#
# <details><summary>Hint 1: a nudge</summary>
#
# Walk through the table from top to bottom as an image would, with one running total and one number that says how wide the
# stream is at the moment. Which rows make the stream wider, and which one narrower?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# A convolution has (channels in) · (channels out) · (kernel size)² weights, a batch norm two per channel that it *reads*.
# In a bottleneck the 3 × 3 convolution reads 4 · `growth` channels, whatever the stream holds. A transition comes in front
# of every block but the first; rounding down is what `int` does to a positive number. Count one small network by hand,
# then compare row by row.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# width = spec["stem_channels"]
# total = ...  # the stem
# for number, layers in enumerate(spec["layers"]):
#     if ...:  # a transition stands in front of this block
#         total += ...
#         width = ...
#     for _ in range(layers):
#         total += ...  # one layer: with a bottleneck, or without
#         width += ...
# return total + ...  # the end
# ```
#
# </details>

# %%
for key, value in asdict(architectures.cifar_densenet_spec(100, 12, bottleneck=True)).items():
    print(f"{key:>14}: {value!r}")


# %% answer="count_parameters"
def count_parameters(spec: dict) -> int:
    """Count the trainable parameters of a DenseNet.

    Args:
        spec: "layers" (tuple of whole numbers, one a block), "growth", "stem_channels", "classes" (whole
            numbers), "bottleneck" (bool), "compression" (float, 0 < theta <= 1), "stem" ("cifar" or
            "imagenet").

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

# %% [markdown]
# That was the hard part. Now the machine counts: six networks of the two papers, built and measured. (The
# numbers are those of the papers' tables and of the usual model zoos.)

# %% claim="published_sizes"
specs = {f"ResNet-{depth}": architectures.resnet_spec(depth) for depth in (18, 50)}
specs |= {f"DenseNet-{depth}": architectures.densenet_spec(depth) for depth in (121, 201)}
specs["basic, depth 40"] = architectures.cifar_densenet_spec(40, 12, bottleneck=False)
specs["BC, depth 100"] = architectures.cifar_densenet_spec(100, 12, bottleneck=True)
with torch.device("meta"):
    networks = {name: architectures.build(spec) for name, spec in specs.items()}
parameters = {name: architectures.parameter_count(network) for name, network in networks.items()}
for name, count in parameters.items():
    print(f"{name:<16}{count:>11,} parameters")
assert list(parameters.values()) == [11_689_512, 25_557_032, 7_978_856, 20_013_928, 1_019_722, 769_162]

# %% [markdown]
# Note how the bottleneck and the compression work: with 100 layers DenseNet-BC is *smaller* than the basic
# form with 40. And DenseNet-121 has fewer parameters than ResNet-18.
#
# Claim (b) is thus true, of parameters. But a parameter of a convolution is used at every pixel, and what a
# layer computes must be kept until the backward pass has used it. How do arithmetic and memory compare?
#
# **Predict.** DenseNet-121 has less than a third of ResNet-50's parameters. How many times as many multiply-accumulates
# does it take (below 1: fewer), and how many times as much memory for training? A quarter more or less is near enough.

# %% predict="arithmetic"
predict("arithmetic", ...)

# %% predict="memory"
predict("memory", ...)

# %% claim="three_meanings"
ratios = {"parameters": parameters["DenseNet-121"] / parameters["ResNet-50"]}
gmacs, kept = {}, {}
for name in ("ResNet-50", "DenseNet-121"):
    gmacs[name] = architectures.multiply_accumulates(networks[name], 224) / 1e9
    kept[name] = architectures.activation_bytes(networks[name], (2, 3, 224, 224)) / 2e6
    print(f"{name:<13}{gmacs[name]:6.3f} billion MACs and {kept[name]:4.0f} MB kept per image")
ratios["multiply-accumulates"] = gmacs["DenseNet-121"] / gmacs["ResNet-50"]
ratios["kept activations"] = kept["DenseNet-121"] / kept["ResNet-50"]
assert [round(ratio, 2) for ratio in ratios.values()] == [0.31, 0.69, 1.52]
reveal("arithmetic", ratios["multiply-accumulates"], factor=1.25)
reveal("memory", ratios["kept activations"], factor=1.25)

# %%
figures.show(
    densenet_figures.ratios(ratios, "Compact in parameters, not in memory", "DenseNet-121 / ResNet-50"),
    alt="DenseNet-121 divided by ResNet-50: "
    + ", ".join(f"{what} {ratio:.2f}" for what, ratio in ratios.items())
    + ".",
)

# %% [markdown]
# **What we should see.** DenseNet-121 has 0.31 of ResNet-50's parameters, 0.69 of its multiply-accumulates,
# and keeps *one and a half times* as many bytes for the backward pass. "Compact" is three different words.
#
# **What it does not show.** How good the networks are. The DenseNet paper reports that on ImageNet DenseNets
# are on par with ResNets of about twice as many parameters (its section 4.4). We cannot train on ImageNet
# here; a small experiment of our own follows in section 8.
#
# ## 7 · Where the memory goes
#
# Why so much? Look at what `torch.cat` does: it allocates a *new* tensor and copies everything into it, the
# old channels too. Autograd keeps them all, because each layer needs its input when gradients are computed.
#
# ### Exercise 5 · The price of a naive concatenation (3 points, easy, about 8 minutes)
#
# A block of $L$ layers is written as in Exercise 2: behind each layer, one `torch.cat` makes a new float32
# tensor. Write `concat_bytes(k0, k, L, pixels)`: how many bytes do these $L$ tensors take for one image with
# `pixels` pixels?
#
# <details><summary>Hint 1: a nudge</summary>
#
# Which tensor does the first `torch.cat` make, and how many channels does it have? Which one does the last?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# The result of the concatenation behind layer $l$ holds everything up to then: the block's input once more, and $k$
# channels of each of the $l + 1$ layers. Each channel has `pixels` numbers, each number four bytes; add up all $L$ results.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# total = 0
# for layer in range(L):
#     held = ...  # channels of the concatenation behind this layer
#     total += ...
# return total
# ```
#
# </details>


# %% answer="concat_bytes"
def concat_bytes(k0: int, k: int, L: int, pixels: int) -> int:
    """Count the bytes that the L concatenations of a naive dense block allocate for one image.

    Args:
        k0: channels that enter the block.
        k: growth rate.
        L: number of layers, at least 1.
        pixels: pixels of a map (height times width).

    Returns:
        Bytes, all L results together, four bytes per number.
    """
    ### BEGIN SOLUTION
    return 4 * pixels * sum(k0 + k * layer for layer in range(1, L + 1))
    ### END SOLUTION


# %% check="concat_bytes" points=3
check.concat_bytes(concat_bytes)

# %% [markdown]
# The features themselves take $k_0 + kL$ channels: linear in $L$. The copies take $L k_0 + k L(L+1)/2$:
# quadratic. An implementation that lets all layers share one piece of memory, and computes batch norm again
# in the backward pass, gets back to linear, for some extra time (Pleiss et al. 2017). The figure measures the
# copies with a counter on `torch.cat`.

# %%
densenet_figures.COPIES.show()

# %% live=true
densenet_figures.COPIES.live()

# %% [markdown]
# ## 8 · Does it learn better?
#
# Counting is not training. MNIST-1D is made for questions like ours: ten classes of curves on 40 points,
# derived from digits, shifted, sheared and noisy. It is generated on the spot; we take 2,500 curves, 2,000 of
# them to train on.

# %%
data = datasets.mnist1d(examples=2500)
fig, axes = figures.panels(
    [str(digit) for digit in range(5)], title="Two curves of each of five classes", height=2.2
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
# *nearly the same number of parameters*; the third is a wider ResNet. Arithmetic and memory are measured:

# %% claim="equal_parameters"
makers = {
    "ResNet, width 8": lambda seeds: dense1d.resnet(8, 1, seeds),
    "DenseNet, k = 4": lambda seeds: dense1d.densenet(4, 2, seeds),
    "ResNet, width 16": lambda seeds: dense1d.resnet(16, 1, seeds),
}
cost = {}
for name, make in makers.items():
    one = make([0])
    count, operations = architectures.parameter_count(one), architectures.multiply_accumulates(one, (1, 40))
    cost[name] = count, architectures.activation_bytes(one, (64, 40)) / 64 / 1000
    print(f"{name:<17}{count:>6,} parameters {operations:>8,} MACs {cost[name][1]:5.1f} kB kept per curve")
assert [count for count, _ in cost.values()] == [1_378, 1_386, 5_050]

# %% [markdown]
# All seeds of a network train at once, with stacked weights; no seed sees another (lesson 7). What we compare
# is the *gap*: seed by seed, the DenseNet's accuracy minus the ResNet's.
#
# **Predict.** Take the two networks of about 1,380 parameters, after four passes over the training curves. Which has the
# better test accuracy, in the mean over very many seeds? And are five seeds of each enough, as a rule, to tell?

# %% predict="better"
predict("better", ..., ["ResNet", "DenseNet", "neither"])

# %% predict="five_seeds"
predict("five_seeds", ..., ["enough", "not enough"])

# %%
trained, accuracy = {}, {}
seeds = range(SEED, SEED + NETWORKS)
for name, make in makers.items():
    trained[name] = make(seeds)
    training.train_stacked(trained[name], data.x_train, data.y_train, steps=STEPS, batch=64, lr=RATE)
    accuracy[name] = training.evaluate_stacked(trained[name], data.x_test, data.y_test)[1]
narrow, dense, wide = accuracy.values()

# %% varies=true
gap = dense - narrow
print("gap, seed by seed:", ", ".join(f"{each:+.3f}" for each in gap))
print(f"mean and 95 % interval: {interval(gap):.3f}")
print("ResNet of width 16 minus DenseNet:", f"{interval(wide - dense):.3f}")

# %% [markdown]
# Look at the spread of the gap from seed to seed, and at the interval: it says where the true mean gap may
# lie, given these five. If it contains 0, five seeds have not told us which network is ahead. If it does not, we
# may have been lucky.
#
# ### How many seeds does it take?
#
# The half-width of the interval is about $2 s / \sqrt{n}$ for $n$ seeds whose gaps have the standard
# deviation $s$. To see a gap $d$ with some certainty the half-width should be no more than $d/2$, so
# $n \ge (4 s / d)^2$.
#
# That is more training than a notebook has time for. So we trained 20 sets of five seeds beforehand
# (`python -m tests.reproduce_densenet`; what it measured, when and on which processor stands at the top of
# `helpers/densenet_runs.py`). Set $k$ holds the seeds $1000 k$ to $1000 k + 4$: with `SEED = 3000` above you
# would have met set 3, and drawn your conclusion from it.

# %% claim="five_seeds_do_not_tell"
stored = dense1d.measured("densenet4") - dense1d.measured("resnet8")  # 20 sets of five
whole = interval(stored)
told = sum(interval(five).excludes(0) for five in stored)
needed = (4 * stored.std(ddof=1) / whole.mean) ** 2
print(f"gap over {stored.size} seeds: {whole:.3f}; one seed differs from the next by {stored.std():.2f}")
print(f"sets of five whose interval excludes 0: {told} of {len(stored)}; seeds needed: about {needed:.0f}")
assert whole.low > 0 and whole.mean < stored.std()
assert told <= len(stored) / 2
reveal("better", "DenseNet" if whole.low > 0 else "ResNet" if whole.high < 0 else "neither")
reveal("five_seeds", "enough" if told > len(stored) / 2 else "not enough")

# %%
title = f"The same experiment {len(stored)} times: five seeds tell {told} times, {stored.size} do"
figures.show(
    densenet_figures.verdicts(stored, title),
    alt=f"Gap between DenseNet and ResNet with its 95 % interval for {len(stored)} sets of five seeds, from "
    f"{stored.mean(1).min():+.3f} to {stored.mean(1).max():+.3f}: {told} of the intervals exclude 0. "
    f"Over all {stored.size} seeds the gap is {whole:.3f}.",
)

# %% [markdown]
# **What we should see.** At equal parameters the DenseNet is ahead *a little*: by four to six points of
# accuracy in the mean, as seeds and processors go, while one seed differs from the next by more than that. Most
# sets of five cannot tell. An earlier edition of this lesson had met a lucky set (at another learning rate) and
# said "ahead by more than the spread": true for its five seeds, false for most others.
#
# Does your own run fit? The mean of five should lie within a few standard errors of the stored mean, on
# whatever processor; and the stored runs were repeated with the instructions of two older ones.

# %% claim="live_as_stored" effect="live" varies=true
live, error = gap.mean(), stored.std(ddof=1) / np.sqrt(NETWORKS)
print(f"here {live:.3f}, stored {whole.mean:.3f}: {abs(live - whole.mean) / error:.1f} standard errors apart")
others = {}
for old in ("avx2", "baseline"):
    dense_old, narrow_old = (dense1d.measured(name, processor=old) for name in ("densenet4", "resnet8"))
    others[old] = interval(dense_old - narrow_old)
    print(f"{old}: gap over {dense_old.size} seeds {others[old]:.3f}")
assert abs(live - whole.mean) < 4 * error
assert all(other.low > 0 for other in others.values())

# %% [markdown]
# ### At which learning rate?
#
# A comparison is fair if each side may choose its own learning rate, and if the best one does not lie at the
# edge of what was tried.
#
# **Predict.** We try six rates from 0.025 to 0.8. With another one, could we have published the *opposite* (somewhere
# the ResNet is ahead, its interval without 0), at most a *tie* (somewhere the interval holds 0), or *the same* at each?

# %% predict="other_rates"
predict("other_rates", ..., ["opposite", "tie", "the same"])

# %% claim="gap_depends_on_rate"
rates = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
names = {"ResNet, width 8": "resnet8", "DenseNet, k = 4": "densenet4"}
by_rate = {label: {r: dense1d.measured(name, r).ravel() for r in rates} for label, name in names.items()}
of_resnet, of_densenet = by_rate.values()
gaps = {r: interval(of_densenet[r] - of_resnet[r]) for r in rates}
best = [max(rates, key=lambda r: found[r].mean()) for found in (of_resnet, of_densenet)]
tuned = interval(of_densenet[best[1]] - of_resnet[best[0]])
for r in rates:
    print(f"rate {r:<6} gap {gaps[r]:.3f}")
print(f"best rates: ResNet {best[0]}, DenseNet {best[1]}; gap between the two at their best: {tuned:.3f}")
assert not {rates[0], rates[-1]} & set(best) and tuned.low > 0
assert gaps[0.025].high < gaps[0.8].low
worst = "opposite" if min(gap.high for gap in gaps.values()) < 0 else "tie"
reveal("other_rates", worst if min(gap.low for gap in gaps.values()) <= 0 else "the same")

# %%
title = f"Gap {gaps[0.025].mean:+.2f} at the smallest rate, {gaps[0.8].mean:+.2f} at the largest"
figures.show(
    densenet_figures.rates(by_rate, title),
    alt="Test accuracy against learning rate, mean and interval over 50 or 100 seeds: both networks are best "
    "in the middle; the DenseNet loses less where the rate is large. "
    f"The gap goes from {gaps[0.025].mean:+.3f} to {gaps[0.8].mean:+.3f}.",
)

# %% [markdown]
# At a small rate there is nothing between them; at a large one the DenseNet is far ahead, because the
# ResNet stumbles there. If you pick the rate, you pick the size of the gap. Only at the best rate of each does
# it say something about the networks.
#
# ### And by memory? (optional)

# %% claim="memory_buys_more" effect="ahead"
stored_names = dict(zip(makers, ("resnet8", "densenet4", "resnet16"), strict=True))
points = {name: (*cost[name], dense1d.measured(key).ravel()) for name, key in stored_names.items()}
(_, low, of_narrow), (_, middle, of_dense), (_, high, of_wide) = points.values()
line = of_narrow + (of_wide - of_narrow) * (middle - low) / (high - low)
print(f"keeps {middle / low:.1f} times the bytes of the ResNet of its size")
print(f"at equal memory, line between the ResNets minus DenseNet: {interval(line - of_dense):.3f}")
ahead = wide - dense
assert interval(line - of_dense).low > 0 and ahead.mean() > 0

# %%
families = {"ResNet": ["ResNet, width 8", "ResNet, width 16"], "DenseNet": ["DenseNet, k = 4"]}
behind = interval(line - of_dense).mean
title = f"By parameters the DenseNet is ahead; by memory it is {behind:.2f} behind the ResNets' line"
figures.show(
    densenet_figures.costs(points, families, title),
    alt="Test accuracy of three networks, mean and interval over 100 seeds: against parameters the DenseNet "
    "lies above the ResNet of its size, against memory below the line between the two ResNets.",
)

# %% [markdown]
# **What we should see.** The DenseNet keeps 1.6 times as many bytes as the ResNet of its size, and by memory it
# lies *below* the line between the two ResNets: if you spend the memory on a wider ResNet, you get more for
# it. (That one needs about four times the parameters and the arithmetic. Each meaning of "compact" has its own
# winner.)
#
# ### Does the gap last? (optional)
#
# All this does not show that DenseNets learn better. Four passes are not a finished training, and networks
# of this size are toys. So here are more passes over more curves.

# %% claim="longer_training"
long_rates, long = (0.05, 0.1, 0.2, 0.4), {}
for name in ("resnet8", "densenet4"):
    tried = [dense1d.measured(name, r, steps=500, curves=5000).ravel() for r in long_rates]
    long[name] = max(tried, key=np.mean)
    print(
        f"{name:<10} "
        + ", ".join(f"rate {r}: {a.mean():.3f}" for r, a in zip(long_rates, tried, strict=True))
    )
longer = interval(long["densenet4"] - long["resnet8"])
print(f"500 steps, 4,000 curves, each at its best rate: gap over {long['resnet8'].size} seeds {longer:.3f}")
assert longer.high < tuned.mean

# %% [markdown]
# It shrinks. After four times the steps, on twice the curves, both networks classify more than nine curves in ten,
# and of the five points that it was at the best rates about one is left. So what we saw is a network that is *faster* early on, at one size,
# on one data set. It is no more than that.
#
# Larger networks still, trained for ten passes, take minutes: `python -m tests.reproduce_densenet full` in the
# course's folder. Clocks do not repeat, so no time is printed here. Measure your own: the next cell compares one
# training step of the three networks. By its multiply-accumulates the DenseNet should be the faster of the two
# small ones.

# %% live=true
import time

for name, make in makers.items():
    network = make(seeds)
    training.train_stacked(network, data.x_train[:64], data.y_train[:64], steps=5, batch=64)
    start = time.process_time()
    training.train_stacked(network, data.x_train[:64], data.y_train[:64], steps=40, batch=64)
    print(f"{name:<17}{(time.process_time() - start) / 40 * 1e3:6.1f} CPU ms per step (five seeds)")

# %% [markdown]
# ## 9 · Are old features used again?
#
# Claim (c) is *extreme feature reusability*. It can be tested with a scalpel. In our trained DenseNet each
# block ends with 16 channels: 8 that entered it, then 4 of layer 0, then 4 of layer 1. What stands behind the
# block (the transition, or the classifier) reads them all. We blind it to four channels of one age at a time,
# in all three blocks, and look at the accuracy. The layers inside the blocks still see everything.
#
# But what do we put in their place? A channel that is zero along a whole curve is hardly ever met in training,
# so part of the damage may be mere shock. The channel's *mean* over the training curves says as little about
# the curve at hand, and keeps the averages as everything behind knows them.
#
# **Predict.** If old features were just carried along, blinding the exits to them would cost nothing. How many points of
# accuracy, out of 100, does it cost in the mean to lose the oldest four (their mean in their place)? Ten points are near
# enough. Which four cost more, the oldest or the newest? And how many per cent of the loss with zeros are mere
# shock, and gone once the channels show their mean? Fifteen are near enough.

# %% predict="oldest_four"
predict("oldest_four", ...)

# %% predict="costs_more"
predict("costs_more", ..., ["the oldest", "the newest"])

# %% predict="mere_shock"
predict("mere_shock", ...)

# %%
ages = {"entered\n(first 4)": 0, "entered\n(last 4)": 4, "layer 0": 8, "layer 1": 12}
network, lost = trained["DenseNet, k = 4"], {}
for filling, curves in {"zeros": None, "their mean": data.x_train}.items():
    blind = {age: dense1d.blind_exits(network, first, 4, curves) for age, first in ages.items()}
    scores = {age: training.evaluate_stacked(b, data.x_test, data.y_test)[1] for age, b in blind.items()}
    lost[filling] = {age: dense - score for age, score in scores.items()}

# %% claim="every_age_is_read" effect="newest"
by_mean = np.array(list(lost["their mean"].values()))  # (ages, seeds)
least = by_mean.mean(1).min()
newest = by_mean[-1] - by_mean[0]
real = by_mean.mean() / np.mean(list(lost["zeros"].values()))
print("every age costs more than 0.1 in the mean:", bool(least > 0.1))
print("the newest four cost more than the oldest, in the mean:", bool(newest.mean() > 0))
print("most of the loss stays when zeros become means:", bool(real > 0.5))
assert least > 0.1 and newest.mean() > 0 and real > 0.5
reveal("oldest_four", 100 * by_mean[0].mean(), within=10)
reveal("costs_more", "the newest" if newest.mean() > 0 else "the oldest")
reveal("mere_shock", 100 * (1 - real), within=15)

# %% varies=true
most = (by_mean.argmax(0) == len(ages) - 1).sum()
figures.show(
    densenet_figures.ablation(lost, f"Newest channels needed most in {most} of {by_mean.shape[1]} networks"),
    alt=f"Accuracy lost without four channels of one age, {by_mean.shape[1]} networks, with zeros or their "
    "mean in their place: a clear loss for every age. The points of different ages overlap; the newest cost "
    f"most in {most} networks.",
)

# %% [markdown]
# **What we should see.** Every age counts, and hardly less so when the channels show their mean instead of
# zeros: what is lost is information. So reuse is real: what stands behind a block reads channels that were
# there before the block's own layers, and needs them. In the mean over the networks the newest four cost more than the oldest
# four. But look at the points: they overlap, and in a single network another age may be the one that is
# needed most.
#
# **What it does not show.** Networks *retrained* without these channels would lose less: here everything behind
# was trained to rely on them. Our blocks have two layers; the paper's figure of weights, for blocks of 12,
# shows reuse over longer distances. And "extreme" is not a number.
#
# ## 10 · What is left of the claims
#
# | the chapter | what we found |
# |---|---|
# | "connecting all layers directly with each other" | within a block; in DenseNet-121 that is 31 % of all pairs (section 3) |
# | (a) "an enormous amount of feature channels on the last layers" | a wide stream, half as wide as ResNet-50's, written by layers of 32 channels (section 2) |
# | (b) "more compact models" | in parameters, yes, and a little ahead at equal parameters; in arithmetic, less so; in memory, the reverse (sections 6 to 8) |
# | (c) "extreme feature reusability" | old features are read again by what stands behind the block, those of no age are idle (section 9) |
# | the other document's "DenseNet": "the concatenation of all outputs so far" | a sum (section 1) |

# %% [markdown] question="compact"
# ### Question · Compact in what? (3 points, about 12 minutes)
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
# activations per image against 86, because every layer reads a concatenation, and each concatenation is a new
# copy that must be kept for the backward pass. The phone only runs the network: it may throw each map away
# once it was read, so it needs the parameters and the widest part of the stream, not the sum. Time we should
# measure on the phone, as section 8 does on our machine: narrow layers and copies move much memory for little
# arithmetic, so that fewer multiply-accumulates need not be faster. So: a good choice if the download counts,
# an open one for speed, a poor one for a training machine with little memory, unless its implementation
# shares memory between the layers.
# ### END SOLUTION

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Two dense blocks have the same input and as many channels at their end: one with $L$ layers of growth $2k$, one
# with $2L$ layers of growth $k$. Which has more weights in its 3 × 3 convolutions?
#
# <details><summary>An answer</summary>
#
# Both add $2kL$ channels in all. Each weight belongs to a new channel and one that it reads. In the block of $2L$ layers
# half of the new channels, every second layer's, read $k$ channels more than their like in the other block, and
# the rest read as many. So it has more, $9 k^2 L$ of them: with $k_0 = 16$, $k = 12$ and $L = 6$ there are 106,272
# against 98,496.
#
# </details>
#
# **2.** Why can a network with fewer parameters need more memory while it trains? Name the number that each of the two
# is proportional to.
#
# <details><summary>An answer</summary>
#
# Parameters count pairs of channels: each weight is stored once, however many pixels it serves. What training keeps
# counts channels times *pixels*, times the images of the batch. Many layers that each read a wide stream on a large map
# keep much, even if each of them writes a few channels only.
#
# </details>
#
# **3.** Two papers compare the same two networks with five seeds each. One finds a gap with an interval of [0.01, 0.09],
# the other one of [-0.03, 0.07]. Do they contradict each other?
#
# <details><summary>An answer</summary>
#
# No. The two intervals overlap widely, and a true gap of 0.05 fits both. That one excludes 0 and the other does not says
# little: of our 20 sets of five, a quarter did, and all were drawn from one and the same pair of networks. Pool the seeds,
# or run as many as the spread asks for.
#
# </details>

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
