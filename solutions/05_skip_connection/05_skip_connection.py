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
# # 5 · The exercise: one skip connection, looked at closely
#
# {{badge}}
#
# Lesson 4 told us what a skip is supposed to do: it turns the gradient's factor of $\sqrt{g/2}$ per layer into
# $\sqrt{1 + g/2}$. That was a law about random matrices. Does a published block do it, with real sizes,
# paddings and ReLUs, and for which images does it work at all?
#
# A well-known chapter on skip connections ends in a small coding exercise: *write the `forward` function so
# that the input is added to the output of the two layers*. One line solves it. We write that line, and then
# ask everything the exercise does not ask: which images does this block accept, what does its branch see,
# what can it learn, and how do we build one that works everywhere?
#
# **Objectives.** After this lesson you can
#
# - write a residual block in PyTorch, and say what its gradient is;
# - work out the size of a branch before you run it, and spot an addition that broadcasts in silence;
# - say why it matters on which side of the addition the ReLU stands, and when working in place is a trap;
# - repair a block whose sizes do not fit, and count the parameters that a shortcut costs.
#
# **Prerequisites.** Lessons 3 and 4; `torch.nn.Module` and `nn.Conv2d`.
#
# **Time:** about {{minutes}} minutes without the part marked *optional*, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Source.** *Skip Connections*, a notebook of the workshop
# > [CUTe-EmbeddedAI/DLCV_Workshop](https://github.com/CUTe-EmbeddedAI/DLCV_Workshop) (2022, MIT licence), file
# > `220721_day7/11. Skip_connections.ipynb`, read at commit `f6284e7`; its opening also stands in
# > [an online course](https://www.educative.io/courses/intro-deep-learning/skip-connections). No author is named.
# > It is the chapter of lessons 3 and 4. The block it was made after is that of He et al.
# > ([All sources](../../docs/references.md))
# >
# > **Five words.** *Block*: a few layers with a skip around them. *Branch*: those layers. *Shortcut*: what the
# > skip carries past them. *Broadcasting*: torch repeats an axis of length 1 until an addition fits, and says
# > nothing. *Projection*: a 1 × 1 convolution on the shortcut, where shapes must change.
# >
# > **Symbols.** $k$, $s$, $p$: kernel size, stride, padding; $n$: height or width of an image in pixels; $F$: the
# > branch up to its last convolution; $B = \mathrm{relu}(F)$; $J_B$: its Jacobian; in $\partial L / \partial x$, $L$ is
# > the loss. All others are on the [notation page](../../docs/notation.md), terms in the
# > [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import itertools

import numpy as np
import torch
from torch import nn

from helpers import architectures, blocks, drawings, figures
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import skip_connection as check

torch.set_num_threads(1)
CHAPTER_SEED = 172

# %% parameters=true
SEED = 0  # every random draw of this lesson follows from it; only the block's weights are the chapter's
NETWORKS = 5  # stacks, or trained blocks, per form

# %% [markdown]
# ## 1 · The chapter's block
#
# The chapter gives us the layers and asks for `forward`. Its figure shows the block of He et al., but its
# solution puts the second ReLU *before* the addition. We follow the solution, and come back to the difference
# in section 4:

# %%
both = [blocks.conv_branch(3, 6, 2, 2, 2, relu_last=last) for last in (True, False)]
figures.show(*drawings.two_forms(*both))

# %% [markdown]
# Here and below $F$ is the branch up to and including its last convolution. The chapter calls the argument
# `input`; that hides Python's own `input`, so ours is called `image`.
#
# ### Exercise 1 · The skip connection (5 points, easy, about 10 minutes)
#
# Write `forward`: the image goes through both convolutions, each followed by its ReLU, and what comes out is
# added to the image, as in the upper half of the drawing. The layers are the chapter's; leave them as they
# are. The caller's image must come out of the call unchanged, and a gradient must find its way back on both
# paths.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Follow the upper half of the drawing with a finger. What does the plus get from the left, and what from below?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Give what travels through the layers a name of its own, so that `image` still means the image when you come to the
# addition. An operator that works in place (`+=`) would write into a tensor that somebody else still needs.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# x = ...  # the first convolution
# x = ...  # its ReLU
# x = ...  # the second convolution
# x = ...  # and its ReLU
# return ...
# ```
#
# </details>


# %% answer="SkipConnection"
class SkipConnection(nn.Module):
    """The chapter's block: two convolutions, each followed by a ReLU, plus the image itself."""

    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Add the image to what the two layers make of it.

        Args:
            image: (N, 3, H, W), float32.

        Returns:
            The sum, (N, 3, H, W), float32.
        """
        ### BEGIN SOLUTION
        x = self.conv_layer1(image)
        x = self.relu(x)
        x = self.conv_layer2(x)
        x = self.relu2(x)
        return x + image
        ### END SOLUTION


# %% check="SkipConnection" points=5
check.SkipConnection(SkipConnection)

# %% [markdown]
# With the chapter's seed, 172, everybody gets the same weights and the same output.
#
# **Predict.** How many parameters does the block have? And in an image of ones: can an output pixel be below 1.0?

# %% predict="parameters"
predict("parameters", ...)

# %% predict="below_one"
predict("below_one", ..., ["yes", "no"])

# %% claim="chapters_block"
torch.manual_seed(CHAPTER_SEED)
block = SkipConnection()
ones = torch.ones(1, 3, 4, 4)
output = block(ones).detach()

print("seed:", CHAPTER_SEED, "  parameters:", architectures.parameter_count(block))
print("smallest output:", round(output.min().item(), 4))
print(output[0, 0].numpy().round(4))
assert architectures.parameter_count(block) == (3 * 6 * 2 * 2 + 6) + (6 * 3 * 2 * 2 + 3) == 153
assert torch.equal(output - ones, (output - ones).relu())
reveal("parameters", architectures.parameter_count(block))
reveal("below_one", "yes" if output.min() < 1 else "no")

# %% [markdown]
# Look at the matrix again: its first and last row and column are one constant, as if the block had drawn a
# frame around four pixels. Two sections on we know why.
#
# ## 2 · Which images fit?
#
# `x + image` needs two tensors of the same size. A convolution with kernel $k$, stride $s$ and padding $p$
# makes of $n$ pixels
#
# $$ n' = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1 , $$
#
# and the chapter's layers have $k = s = p = 2$, twice.
#
# ### Exercise 2 · The size of the branch (3 points, easy, about 8 minutes)
#
# Write `branch_size(height, width)`: the size of the map that comes out of the chapter's second convolution.
# Use the formula twice, or simplify it by hand first.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Height and width go their own ways. Begin with one number: what do 8 pixels become after the first convolution?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Put $k = s = p = 2$ into the formula: $\lfloor (n + 4 - 2) / 2 \rfloor + 1$. What comes out is the $n$ of the second
# convolution. In Python `//` divides and rounds down.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# def after_one(n):
#     return ...  # the size formula with k = s = p = 2
#
# return after_one(...), ...
# ```
#
# </details>


# %% answer="branch_size"
def branch_size(height: int, width: int) -> tuple[int, int]:
    """Give the size of the branch's output for an image of this size.

    Args:
        height, width: of the image in pixels, each at least 1.

    Returns:
        (height, width) after both convolutions of the chapter (kernel 2, stride 2, padding 2).
    """
    ### BEGIN SOLUTION
    return height // 4 + 3, width // 4 + 3
    ### END SOLUTION


# %% check="branch_size" points=3
check.branch_size(branch_size)

# %% [markdown]
# **Predict.** Of the 144 sizes from 1 × 1 to 12 × 12, for how many does the block give an answer at all? We let torch
# try them.

# %% predict="answers"
predict("answers", ...)

# %% claim="sizes"
chapter_branch = blocks.conv_branch(3, 6, 2, 2, 2, seed=CHAPTER_SEED)  # the branch alone, same weights
sizes = {}
for size in itertools.product(range(1, 13), repeat=2):
    with torch.no_grad():
        shape = tuple(chapter_branch(torch.zeros(1, 3, *size)).shape)
    sizes[size] = blocks.addition_outcome((1, 3, *size), shape)
fitting = [size for size in sizes if sizes[size] == "fits"]
broadcasting = [size for size in sizes if sizes[size] == "broadcasts"]
print("fits:", *fitting)
print("broadcasts:", *broadcasting)
assert fitting == [(3, 3), (3, 4), (4, 3), (4, 4)]
assert broadcasting == [(1, 1), (1, 3), (1, 4), (3, 1), (4, 1)]
reveal("answers", len(fitting) + len(broadcasting))

# %% claim="sizes_that_fit"
outcomes = {n: sizes[n, n] for n in range(1, 13)}
assert [n for n in outcomes if outcomes[n] == "fits"] == [3, 4]
title = f"Of {len(sizes)} sizes {len(fitting)} fit, {len(broadcasting)} broadcast in silence"
figures.show(
    blocks.draw_sizes(sizes, title),
    alt=f"Map of heights and widths from 1 to 12: the addition fits for {len(fitting)} sizes, with 3 or 4 on "
    f"each side; it broadcasts for {len(broadcasting)} with a side of 1; all others raise.",
)

# %% [markdown]
# The equation $n = \lfloor n/4 \rfloor + 3$ has two solutions, 3 and 4, so four sizes fit. Most others are
# refused, which is the good case. Five are worse. The branch makes 3 × 3 of a single pixel; torch *broadcasts* it
# to 3 × 3 and says nothing, and likewise for strips one pixel wide whose other side fits. A shape that comes
# out right is no proof that the addition meant what we meant.

# %%
blocks.PANEL.show()

# %% [markdown]
# Change the three settings: which kernels and paddings make the staircase lie on the diagonal? (With stride 1
# it is $2p = k - 1$; with stride 2 there is no way.)

# %% live=true
blocks.PANEL.live()

# %% [markdown]
# ## 3 · What the branch sees
#
# The part of the image that an output can see is its **receptive field**. A padding of 2 with a kernel of 2
# is odd: the first window of every layer lies on the padding alone, and its receptive field is empty.
#
# We send two different images through the branch (without its last ReLU, which could hide a change) and look
# at where the outputs differ.
#
# **Predict.** Of the 16 output positions at side 4, how many can change when the image changes?

# %% predict="positions"
predict("positions", ...)

# %% claim="blind_frame"
linear_branch = blocks.conv_branch(3, 6, 2, 2, 2, relu_last=False, seed=CHAPTER_SEED)
pair = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(SEED))
with torch.no_grad():
    first, second = linear_branch(pair)
difference = (first - second).abs().amax(0).numpy()  # over the channels
changed = int((difference > 0).sum())
print(f"{changed} of {difference.size} positions differ")
assert (changed, difference.size) == (4, 16)
reveal("positions", changed)

# %%
figures.show(
    blocks.draw_blind(first, second, f"Only {changed} of {difference.size} branch outputs see the image"),
    alt="Outputs of the branch at side 4 for two different images, and their difference: it is not zero in "
    f"{changed} positions in the middle; the frame around them is the same for both images.",
)

# %% [markdown]
# Now the same for any branch and any side. Two images may not be enough: where a ReLU happens to be closed
# for both, a connection stays invisible.
#
# ### Exercise 3 · Dependence on the input (4 points, medium, about 15 minutes)
#
# Write `input_dependence(branch, n)`: in how many positions *can* the output change when the image does, and
# how many positions are there? A position is a pixel of the output map; it counts when any of its channels
# changes. Comparing the outputs of a few dozen random images is enough.
#
# <details><summary>Hint 1: a nudge</summary>
#
# A value that is not zero need not come from the image: padding and bias give values, too. How does a value show that
# it *does* come from the image?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Send many different images through the branch at once. A position depends on the image where some output differs from
# that of the first image, for any image and in any channel. Two images may not be enough: a ReLU can be closed for both.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# images = torch.randn(64, 3, n, n)
# maps = ...  # what the branch makes of them, (64, channels, n', n'), without gradients
# differs = ...  # where a map is not like the first one: (64, channels, n', n')
# changes = ...  # one True or False per position
# return ...
# ```
#
# </details>


# %% answer="input_dependence"
def input_dependence(branch: nn.Module, n: int) -> tuple[int, int]:
    """Count the output positions of a branch that depend on the image.

    Args:
        branch: takes images of shape (N, 3, n, n), float32; returns (N, C, n', n').
        n: side of the image in pixels, at least 1.

    Returns:
        (positions that depend on the image, all positions n' * n').
    """
    ### BEGIN SOLUTION
    images = torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = branch(images)
    changes = (maps != maps[:1]).any(dim=0).any(dim=0)
    return int(changes.sum()), changes.numel()
    ### END SOLUTION


# %% check="input_dependence" points=4
check.input_dependence(input_dependence)

# %% claim="blind_sides"
seen = {n: input_dependence(linear_branch, n) for n in (1, 2, 3, 4, 8, 16, 64)}
for n, (count, total) in seen.items():
    print(f"side {n:2}: {count:3} of {total:3} positions see the image ({count / total:.0%})")
assert seen[3] == (4, 9) and seen[4] == (4, 16)

# %% [markdown]
# So at the sides that the block accepts, most of what it adds to the image is a learned constant: padding and
# bias. That was the frame in the first output. None of this is a mistake in *adding*; the exercise checks the
# one line that is right.
#
# ## 4 · What the skip does to the gradient, and what the ReLU does to the stream
#
# ### "Multiplied by one"
#
# The chapter says that the gradient through the skip is *simply multiplied by one*. For $y = x + B(x)$ with
# the branch $B$ the chain rule gives
#
# $$ \frac{\partial L}{\partial x} = (I + J_B)^\top \frac{\partial L}{\partial y} . $$
#
# One is the part of the skip; the branch adds its Jacobian $J_B$. Let us look at all 48 × 48 entries, for a few
# random images. An image of 4 × 4 pixels with three channels has 48 values; row $i$ of $J_B$ belongs to output
# value $i$, column $j$ to input value $j$.
#
# **Predict.** In section 3 only 4 of 16 positions saw the image. For how many of the 48 input values is the
# gradient multiplied by exactly one, for most images?

# %% predict="exactly_one"
predict("exactly_one", ...)

# %% claim="one_nowhere" effect="columns"
rows, columns, stretch = [], [], []
for seed in range(SEED + 1, SEED + 1 + NETWORKS):
    image = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    J = torch.autograd.functional.jacobian(block, image).reshape(48, 48)
    J_B = torch.autograd.functional.jacobian(chapter_branch, image).reshape(48, 48)
    assert torch.allclose(J, torch.eye(48) + J_B, atol=1e-6)
    rows.append(int((J_B != 0).any(1).sum()))
    columns.append(int((J_B != 0).any(0).sum()))
    stretch += torch.linalg.svdvals(J)[[0, -1]].tolist()
print(f"not zero, of 48: {min(rows)} to {max(rows)} rows, {min(columns)} to {max(columns)} columns of J_B")
print(f"gradients are stretched by {min(stretch):.2f} to {max(stretch):.2f}")
assert max(rows) <= 3 * changed and min(columns) > 24
reveal("exactly_one", 48 - np.median(columns))

# %% [markdown]
# The rows say what we knew: most outputs are blind, at most 4 × 3 of 48 are not. But the gradient reads the
# *columns*: $\partial L / \partial x_j$ is $v_j + \sum_i (J_B)_{ij} v_i$, with $v = \partial L / \partial y$. It is
# multiplied by exactly one only where column $j$ is zero. Since every pixel is seen by *some* output, that
# happens only where the ReLUs are closed for the image at hand: for none of the 48 input values in most
# images, for twelve (four pixels) now and then.
#
# Depending on its direction a gradient is stretched by the factors that the last line prints. (They are the
# smallest and largest *singular values* of $J$: how much a matrix shortens or lengthens a vector at most.) And
# the identity does not *preserve* a gradient by itself: if $J_B$ came near $-I$, the two would cancel.
#
# ### A stream that can only grow
#
# The chapter's branch ends in a ReLU, so what it adds is never negative. He et al. add first and rectify the
# sum.
#
# **Predict.** Stack 20 blocks of either kind. How many per cent of the values get smaller from one block to the next, in
# the chapter's form and in that of He et al.? (For the second, ten more or less count.)

# %% predict="chapter_lowers"
predict("chapter_lowers", ...)

# %% predict="he_lowers"
predict("he_lowers", ...)

# %%
FORMS = {
    "chapter: x + relu(F(x))": lambda x, f: x + f.relu(),
    "He et al.: relu(x + F(x))": lambda x, f: (x + f).relu(),
}
chapter, he = FORMS


# %%
def stream(form, seed: int, depth: int = 20, channels: int = 8) -> tuple[list, list]:
    """Mean activation after each block, and the share of values that each block lowered."""
    x = torch.rand(8, channels, 8, 8, generator=torch.Generator().manual_seed(seed))
    means, lowered = [x.mean().item()], []
    for layer in range(depth):
        f = blocks.conv_branch(channels, channels, relu_last=False, seed=1000 * seed + layer)(x)
        after = form(x, f)
        lowered.append((after < x).float().mean().item())
        means.append(after.mean().item())
        x = after
    return means, lowered


# %%
with torch.no_grad():
    streams = {
        name: [stream(form, seed) for seed in range(SEED, SEED + NETWORKS)] for name, form in FORMS.items()
    }
growth = {name: [means[-1] / means[0] for means, _ in runs] for name, runs in streams.items()}
lowered = {name: np.array([shares for _, shares in runs]) for name, runs in streams.items()}

# %% claim="only_grows" effect="ratio"
for name, times in growth.items():
    spread = np.std(times, ddof=1)
    print(f"{name:26} mean × {np.mean(times):.1f} ± {spread:.1f}, lowered {lowered[name].mean():.0%}")
ratio = np.array(growth[chapter]) / np.array(growth[he])
assert lowered[chapter].max() == 0.0 and lowered[he].mean(axis=1).min() > 0.3
assert ratio.min() > 2
reveal("chapter_lowers", 100 * lowered[chapter].mean())
reveal("he_lowers", 100 * lowered[he].mean(), within=10)

# %%
title = "A ReLU before the addition: the stream only grows"
fig, ax = figures.canvas(title, "blocks passed", "mean activation (start = 1)", xticks=range(0, 21, 5))
for index, (name, runs) in enumerate(streams.items()):
    curves = np.array([np.array(means) / means[0] for means, _ in runs])
    figures.band(ax, range(21), curves.T, index, name)
ax.legend()
figures.show(
    fig,
    alt=f"Mean activation over 20 random blocks, {NETWORKS} seeds with their range. The chapter's form grows "
    f"by a factor {np.mean(growth[chapter]):.1f} and never lowers a value; He's form ends at a factor "
    f"{np.mean(growth[he]):.1f}.",
)

# %% [markdown]
# **What it does not show.** That growth must hurt. Normalisation can hide it, and He's form too is kept
# non-negative by its last ReLU. What *can* be shown is a task that one form cannot do.
#
# ### A loss that stalls where the block can do no better
#
# "All you see is that the training loss stops decreasing but is still far away from the desired value": so
# the chapter introduces vanishing gradients. But a loss stalls for many reasons. Here is one at depth *one*.
# The target is half the image, $y = x/2$, and the images, like real pixels, have no negative values. A block that can
# only add is then best off adding nothing, and its loss cannot fall below that of the identity, the mean of
# $(x/2)^2$.


# %%
def descend(weights, velocity, gradients) -> None:
    """One step of gradient descent with momentum."""
    with torch.no_grad():
        for w, v, g in zip(weights, velocity, gradients, strict=True):
            w -= 0.3 * v.mul_(0.9).add_(g)


# %%
def train(form, seed: int, low: float = 0.0, steps: int = 80) -> tuple[list, float]:
    """Fit y = x / 2: losses / the identity's loss, and the norm of the last gradient."""
    x = low + (1 - low) * torch.rand(32, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    branch = blocks.conv_branch(3, 6, relu_last=False, seed=seed)
    weights, losses = list(branch.parameters()), []
    velocity = [torch.zeros_like(w) for w in weights]
    for _ in range(steps):
        loss = (form(x, branch(x)) - x / 2).square().mean()
        gradients = torch.autograd.grad(loss, weights)
        losses.append(loss.item() / (x / 2).square().mean().item())
        descend(weights, velocity, gradients)
    return losses, sum(g.square().sum().item() for g in gradients) ** 0.5


# %% claim="stalls" effect="advantage"
seeds = range(SEED, SEED + NETWORKS)
runs = {name: [train(form, seed) for seed in seeds] for name, form in FORMS.items()}
final = {name: np.array([losses[-1] for losses, _ in results]) for name, results in runs.items()}
for name in FORMS:
    print(f"{name:26} last loss {final[name].mean():.2f} ± {final[name].std(ddof=1):.2f} of the identity's")
advantage = final[chapter] - final[he]
assert np.allclose(final[chapter], 1, atol=1e-4) and max(norm for _, norm in runs[chapter]) == 0.0
assert final[he].mean() < 0.25

# %%
stays, goes = final[chapter].mean(), final[he].mean()
title = f"On y = x/2 the chapter's block stays at {stays:.2f}, He's goes to {goes:.2f}"
fig, ax = figures.canvas(title, "step", "loss / loss of the identity", yscale="log", ylim=(0.08, 2))
ax.set_yticks([0.1, 0.2, 0.5, 1, 2], labels=["0.1", "0.2", "0.5", "1", "2"])
ax.minorticks_off()
for index, (name, results) in enumerate(runs.items()):
    figures.band(ax, range(80), np.array([losses for losses, _ in results]).T, index, name)
ax.legend()
figures.show(
    fig,
    alt=f"Training loss divided by the loss of the identity, {NETWORKS} seeds with their range: the "
    f"chapter's form stops at {stays:.2f}, He's form goes down to {goes:.2f}.",
)

# %% [markdown]
# The gradient of the stalled block is exactly zero: its last ReLU is closed everywhere, as a tanh was saturated in
# lesson 3, and that at a depth of one. But here the zero is no cause. To add nothing is the best that this form can
# do. A stalled loss alone says nothing about vanishing with depth.
#
# ### Is He's form simply the better one? (optional)
#
# The same target, $y = x/2$, but images with values between -1 and 1. Now compare what each form cannot do.
#
# **Predict.** Whatever their weights, how low can the two losses come at best, as a share of the identity's? (0: all the
# way down; 1: no better than adding nothing.)

# %% predict="best_of_the_chapter"
predict("best_of_the_chapter", ...)

# %% predict="best_of_he"
predict("best_of_he", ...)

# %%
signed = {
    name: np.array([train(form, seed, low=-1.0, steps=40)[0][-1] for seed in seeds])
    for name, form in FORMS.items()
}
x = 2 * torch.rand(32, 3, 4, 4, generator=torch.Generator().manual_seed(SEED)) - 1

# %% claim="neither" effect="best"
best = {
    chapter: (x.clamp(min=0).square().sum() / x.square().sum()).item(),  # it cannot lower what is positive
    he: (x.clamp(max=0).square().sum() / x.square().sum()).item(),  # it cannot give what is negative
}
for name, ends in signed.items():
    print(f"{name:26} last losses from {ends.min():.2f} to {ends.max():.2f}, best {best[name]:.2f}")
reveal("best_of_the_chapter", best[chapter], within=0.1)
reveal("best_of_he", best[he], within=0.1)
best = list(best.values())
assert max(abs(b - 0.5) for b in best) < 0.1 and min(v.min() for v in signed.values()) > 0.4

# %% [markdown]
# Now each form fails on one half. The chapter's block can raise negative values but not lower positive ones;
# He's block can lower positive values, but its last ReLU never gives a negative one. Whatever its weights, each
# leaves about half of the identity's loss: what they *can* do is now worth the same. (In these forty steps He's
# block comes closer to its best. That is training, which is another question.) So a toy target says nothing
# about which form trains better on data: it shows what a form cannot represent, and for which inputs.

# %% [markdown] question="fitting"
# ### Question · What is fitted? (3 points, about 8 minutes)
#
# In terms of how a given block of a network is "fitted", what is the key difference between using skip
# connections and traditional blocks? Use $H(x)$ for what the block should compute, and say for which $H$ each
# kind has an easy task.
#
# === BEGIN MARK SCHEME ===
# - 0: No difference named, or a wrong one.
# - 1: Only "the input is added" or "it learns the difference", without $H$.
# - 2: $F = H - x$ and the remark on the identity, but nothing on ease against capacity.
# - 3: A traditional block fits $H(x)$ itself; a residual block fits the residual $F(x) = H(x) - x$ and adds
#   $x$ back. So the identity (or a map near it) costs a residual block only $F = 0$, weights pushed to zero,
#   while stacked nonlinear layers have to build it. Says that the reformulation changes how easy the search
#   is, not (up to the ReLU's place) what can be represented.
#
# Misconceptions: "skip connections let layers be left out, so there are fewer parameters"; "the residual is
# the training error"; "a residual block can represent more functions"; "the gradient is multiplied by one,
# therefore".
# === END MARK SCHEME ===

# %% [markdown] response="fitting" points=3
# ### BEGIN SOLUTION
# A traditional block has to fit the wanted map $H(x)$ directly. A residual block returns $F(x) + x$, so its
# layers fit only the residual $F(x) = H(x) - x$. If the best $H$ is near the identity, the residual block has
# next to nothing to do: $F = 0$ is reached by pushing weights to zero. Stacked layers with ReLUs would have
# to construct the identity. Capacity hardly changes; what changes is where the search starts and how easy its
# target is. (The chapter's block, whose branch is rectified, can only fit residuals that are not negative.)
# ### END SOLUTION

# %% [markdown]
# ## 5 · A block that fits every size
#
# Two repairs: kernel 3 with stride 1 and padding 1 keeps every size, since $2p = k - 1$ (and the window is
# centred on its pixel); and the sum comes before the ReLU.
#
# ### Exercise 4 · The repaired block (4 points, medium, about 10 minutes)
#
# Write `FixedBlock(channels)`: two 3 × 3 convolutions named `conv1` and `conv2`, `channels` to `channels`,
# that keep the size of any image, and $y = \mathrm{relu}(F(x) + x)$ with a ReLU between the convolutions. No
# normalisation. A gradient must come back on both paths.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Exercise 1 again, with two things changed: the layers keep every size, and the ReLU has moved. Where does it stand now?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# With kernel 3 and stride 1, $2p = k - 1$ gives the padding. In `forward` the branch ends with its second convolution:
# add first, and rectify the sum. As before, keep `image` as it is.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# # in __init__
# self.conv1 = nn.Conv2d(channels, channels, 3, padding=...)
# self.conv2 = ...
#
# # in forward
# branch = ...  # conv1, ReLU, conv2
# return ...
# ```
#
# </details>


# %% answer="FixedBlock"
class FixedBlock(nn.Module):
    """He's basic block without normalisation, at any size of image."""

    def __init__(self, channels: int):
        """Make `conv1` and `conv2`.

        Args:
            channels: channels of the image, at least 1.
        """
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        ### END SOLUTION

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Add the image to the branch, then rectify.

        Args:
            image: (N, channels, H, W), float32; unchanged after the call.

        Returns:
            relu(F(image) + image), of the image's shape and dtype.
        """
        ### BEGIN SOLUTION
        branch = self.conv2(torch.relu(self.conv1(image)))
        return torch.relu(branch + image)
        ### END SOLUTION


# %% check="FixedBlock" points=4
check.FixedBlock(FixedBlock)

# %% claim="every_size_fits"
torch.manual_seed(CHAPTER_SEED)
fixed = FixedBlock(3)
fixed_branch = nn.Sequential(fixed.conv1, nn.ReLU(), fixed.conv2)
fits = all(fixed(torch.zeros(1, 3, *size)).shape[2:] == size for size in sizes)
sees = all(input_dependence(fixed_branch, n) == (n * n, n * n) for n in (1, 3, 4, 8))
print(f"all {len(sizes)} sizes fit: {fits}; every position sees the image: {sees}")
assert fits and sees

# %% [markdown]
# ## 6 · In place: safe here, a trap nearby
#
# The chapter writes `nn.ReLU(inplace=True)`: the result overwrites its input, which saves memory. In its
# block that is safe: what is overwritten is the output of a convolution, and nobody needs that again, neither
# the addition nor the backward pass. One step to the side it is not. Three attempts at $\mathrm{relu}(x) + x$ and its
# gradient, for an $x$ that we made ourselves and that asks for its gradient (a *leaf* with `requires_grad`):
#
# 1. `torch.relu_(x) + x`
# 2. `h = 1 * x`, as if an earlier layer had given it (no leaf); then `torch.relu_(h) + h`
# 3. `y = torch.relu(x)`, then `y += x` and `y.sum().backward()`
#
# **Predict.** For each of the three: is it right, an error, or silently wrong?

# %% predict="leaf"
predict("leaf", ..., ["right", "an error", "silently wrong"])

# %% predict="no_leaf"
predict("no_leaf", ..., ["right", "an error", "silently wrong"])

# %% predict="in_place_sum"
predict("in_place_sum", ..., ["right", "an error", "silently wrong"])


# %%
def outcome(action) -> str:
    try:
        return action()
    except RuntimeError as error:
        return "raises: " + str(error).split(".")[0].split(":")[0]


def verdict(got, wanted) -> str:
    return "an error" if str(got).startswith("raises") else "right" if got == wanted else "silently wrong"


# %%
x = torch.tensor([-1.0, 2.0], requires_grad=True)  # a leaf: we made it ourselves
wanted = (torch.relu(x) + x).tolist()
got = outcome(lambda: (torch.relu_(x) + x).tolist())
leaf = verdict(got, wanted)
print("1.", got)
reveal("leaf", leaf)

h = 1 * x  # not a leaf: the output of some earlier layer
got = outcome(lambda: (torch.relu_(h) + h).tolist())
no_leaf = verdict(got, wanted)
print("2.", got, "- wanted", wanted)
reveal("no_leaf", no_leaf)

# %%
y = torch.relu(x)
y += x
got = outcome(lambda: y.sum().backward())
in_place_sum = verdict(got, None)  # None is what a backward pass returns when all is well
print("3.", got)
reveal("in_place_sum", in_place_sum)

# %% claim="in_place"
assert outcome(lambda: torch.relu_(x) + x).startswith("raises: a leaf Variable")
h = 1 * x
assert torch.equal(torch.relu_(h) + h, 2 * torch.relu(x))
assert outcome(lambda: y.sum().backward()).startswith(
    "raises: one of the variables needed for gradient computation has been modified"
)

# %% [markdown]
# The second is the dangerous one: as the first operation of a branch, an in-place ReLU rectifies the image
# *that the skip still needs*, and $\mathrm{relu}(x) + x$ becomes $2\,\mathrm{relu}(x)$. Inside a network the
# image is the output of the layer before, no leaf; in front of the first block it is data, a leaf that asks for no
# gradient. Nothing complains in either place. The third fails because ReLU
# keeps its *output* for the backward pass, and `+=` changed it.
#
# ## 7 · When the shapes must change
#
# Networks halve the image and double the channels now and then. Then $x$ and $F(x)$ differ in shape *by
# design*, and the shortcut needs a map of its own: a 1 × 1 convolution with the branch's stride, the
# *projection*.
#
# $$ y = \mathrm{relu}\big(F(x) + W_s\, x\big) $$
#
# In the drawing 4 channels become 8; both ways halve the image.

# %%
with torch.device("meta"):  # shapes alone: no weights are drawn
    layers = nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(4, 8, 1, 2)
figures.show(*drawings.projection(layers[:3], shortcut=layers[3], side=16))

# %% [markdown]
# ### Exercise 5 · The projection block (4 points, medium, about 12 minutes)
#
# Write `ProjectionBlock(c_in, c_out, stride)` with three layers: `conv1` (3 × 3, `c_in` to `c_out`, padding
# 1, takes the stride), `conv2` (3 × 3, `c_out` to `c_out`, padding 1, stride 1) and `projection` (1 × 1,
# `c_in` to `c_out`). The image is always projected, also where the shapes agree. Beware of images so small that
# an addition would broadcast.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Write down the shapes on both ways for 3 channels of 8 × 8 pixels, `c_out = 6` and `stride = 2`. Which layers have to
# change the shape?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Two layers take the stride, one on either way: the first convolution of the branch, and the projection. All that was
# `image` in the sum of Exercise 4 is the projected image now; nothing else happens to it.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# # in __init__
# self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=..., padding=1)
# self.conv2 = nn.Conv2d(..., ..., 3, padding=1)
# self.projection = nn.Conv2d(c_in, c_out, 1, ...)
#
# # in forward
# branch = ...
# shortcut = ...
# return ...
# ```
#
# </details>


# %% answer="ProjectionBlock"
class ProjectionBlock(nn.Module):
    """A residual block that changes channels and size."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        """Make `conv1`, `conv2` and `projection`.

        Args:
            c_in, c_out: channels before and after.
            stride: 1 keeps the size, 2 halves it (rounded up).
        """
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.projection = nn.Conv2d(c_in, c_out, 1, stride=stride)
        ### END SOLUTION

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Add the projected image to the branch, then rectify.

        Args:
            image: (N, c_in, H, W), float32; unchanged after the call.

        Returns:
            relu(F(image) + projection(image)), (N, c_out, ceil(H / stride), ceil(W / stride)), float32.
        """
        ### BEGIN SOLUTION
        branch = self.conv2(torch.relu(self.conv1(image)))
        return torch.relu(branch + self.projection(image))
        ### END SOLUTION


# %% check="ProjectionBlock" points=4
check.ProjectionBlock(ProjectionBlock)

# %% claim="cost_of_a_projection"
count = architectures.parameter_count
narrowing = ProjectionBlock(16, 32, 2)
whole, projection = count(narrowing), count(narrowing.projection)
print(f"identity block, 16 channels: {count(FixedBlock(16)):6} parameters, 0 of them in the shortcut")
print(
    f"projection block, 16 to 32:  {whole:6}, {projection} of them in the shortcut ({projection / whole:.1%})"
)
assert projection == 16 * 32 + 32 and count(FixedBlock(16)) == 2 * (9 * 16 * 16 + 16)

# %% [markdown] question="parameters"
# ### Question · What does a ResNet add? (2 points, about 6 minutes)
#
# In the context of model hyper-parameters, what additional parameters are added in the ResNet implementation?
# Tell parameters (learned) from hyper-parameters (chosen), and the kinds of shortcut from each other.
#
# === BEGIN MARK SCHEME ===
# - 0: "Every skip has its own weights", or nothing that fits.
# - 1: One of the two kinds right, or learned and chosen not told apart.
# - 2: Identity shortcuts add no learned parameters (and only one addition per value). A projection adds
#   $c_{in} c_{out}$ weights (plus bias or normalisation), where shapes change. Hyper-parameters that come in
#   are choices: how many layers a shortcut spans, which kind of shortcut where shapes change, where ReLU and
#   normalisation stand.
#
# Misconceptions: "the skip has a learned scale" (a highway network's has, its gate; ReZero's learned number stands on the branch); "addition doubles
# the channels" (that is concatenation); "a ResNet is larger than the plain net of the same depth".
# === END MARK SCHEME ===

# %% [markdown] response="parameters" points=2
# ### BEGIN SOLUTION
# None, where the shortcut is the identity: the addition has nothing to learn. Where channels or size change,
# a projection has learned weights: $c_{in} \cdot c_{out}$ for the 1 × 1 convolution, plus its bias or batch
# norm; a few per cent of the block. What one chooses in addition, the hyper-parameters: the number of layers
# a shortcut spans, its kind (identity with zero padding, or projection), and the order of addition, ReLU and
# normalisation.
# ### END SOLUTION

# %% [markdown] question="kernels"
# ### Question · An analogy (2 points, about 6 minutes)
#
# Give an appropriate analogy for how kernels are used to extract features from images - sanding wood, for
# example - and say where your analogy breaks down.
#
# === BEGIN MARK SCHEME ===
# - 0: No local operation (for example "a filter makes the image smaller").
# - 1: A local tool moved over the image, but without its response to a pattern, or without a limit.
# - 2: The analogy has a small tool applied in the same way everywhere (shared weights, sliding), whose make
#   decides what it responds to; and it names a limit of the analogy (a kernel measures and writes a new map,
#   it does not wear the image down; kernels are learned; layers respond to what earlier layers found).
#
# Misconceptions: "each kernel looks at one part of the image"; "a kernel removes what is unimportant";
# "kernels are designed by hand".
# === END MARK SCHEME ===

# %% [markdown] response="kernels" points=2
# ### BEGIN SOLUTION
# A fingertip moving over a carved table top: the same fingertip everywhere, feeling only what is under it,
# and reporting how strongly it meets an edge. Other fingertips are tuned to grooves or grain; a second hand
# reads the first hand's reports and so feels corners and shapes. Sandpaper shares the sliding and the
# sameness, and coarse paper finds other bumps than fine paper. Both break down where sanding changes the
# wood: a kernel leaves the image as it is and writes a new map. And nobody chooses the grit: training does.
# ### END SOLUTION

# %% [markdown]
# ## 8 · The chapter's claims, one by one
#
# | the chapter | what we found |
# |---|---|
# | the gradient is *simply multiplied by one* | the factor is $I + J_B$ (section 4) |
# | its figure shows $\mathrm{relu}(F(x) + x)$ | its code adds after the ReLU, so the stream can only grow (section 4) |
# | "the input is added to the output of the two layers" | for four sizes of image up to 12 × 12; five broadcast in silence, the others raise (section 2) |
# | a network of two convolutional layers | most of what it adds, at these sizes, is padding and bias (section 3) |
# | `inplace=True` | safe here, silently wrong one step to the side (section 6) |
# | a stalled loss shows vanishing gradients | one cause among many (section 4) |
# | "as explained in the previous chapter" | that chapter is not in the document, and its images are links to another site: our figures are drawn here, by code |
#
# Its update rule was lesson 3's business; that "all layers" are connected in a DenseNet is lesson 8's.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Somebody changes the chapter's stride from 2 to 1 and keeps kernel and padding. For which image sizes does the
# addition fit now?
#
# <details><summary>An answer</summary>
#
# For none: each convolution makes $n + 4 - 2 + 1 = n + 3$ of $n$ pixels, the two together $n + 6$. (And a single pixel
# still broadcasts, to 7 × 7.) To keep the size at stride 1 takes $2p = k - 1$, and no padding that is the same on both
# sides does that for an even kernel.
#
# </details>
#
# **2.** A block's output has the shape that we expect, and its loss falls. Which slip of this lesson may still be in
# it, and how would you find out?
#
# <details><summary>An answer</summary>
#
# An addition that broadcasts, or an in-place ReLU that has rectified the image before the skip took it. For the first
# compare the two shapes *before* the addition. For the second keep a copy of an image with negative values, and see
# after the call whether the image is still what it was.
#
# </details>
#
# **3.** The projection block halves the image on both ways, by a stride of 2. What part of the image's pixels does the
# shortcut look at, and what part the branch?
#
# <details><summary>An answer</summary>
#
# The shortcut looks at a quarter: a 1 × 1 convolution with stride 2 reads every second pixel of every second row, and its
# gradient reaches only those. The branch reads all of them, since the windows of a 3 × 3 convolution with stride 2
# overlap.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# Shapes that disagree were refused, repaired by design, or projected with new weights. There is a fourth way:
# a shortcut that joins maps of *different* size and depth and has no weights at all. What should it compute,
# forward and backward, and how would we know that a backward pass written by hand is right?
#
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, CVPR (2016).
#   [doi:10.1109/CVPR.2016.90](https://doi.org/10.1109/CVPR.2016.90),
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity Mappings in Deep Residual Networks*, ECCV (2016).
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning* (2016).
#   [arXiv:1603.07285](https://arxiv.org/abs/1603.07285)
