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
# # 9 · Why skips work: paths and the paper
#
# {{badge}}
#
# Addition (lesson 7) and concatenation (lesson 8) have one thing in common: between any early layer and the
# loss there is a way that passes no weights at all. Both made deep networks trainable. So *that* skips help
# is settled. This lesson asks the question that all the others left open: **why?**
#
# Several answers are on the market. Gradients no longer vanish, or no longer shatter. A residual network is a
# crowd of short paths. Its blocks refine one estimate step by step. Its loss surface is smoother. Each is a
# claim that we can test with what we have built. At the end we look back at the four documents that this
# course started from, and turn the same scepticism on our own experiments.
#
# **Objectives.** After this lesson you can
#
# - split a gradient exactly into the paths it takes, and predict how much each length of path carries;
# - operate on a trained network: delete its blocks, swap them, read it out early, and say what each result
#   means;
# - look at a loss surface through a filter-normalised slice, and say how much of a surface a slice can hide;
# - weigh rival explanations of one success against each other, and criticise the evidence, ours included.
#
# **Prerequisites.** Lessons 4 and 7; the binomial distribution; the chain rule with Jacobians.
#
# **Time:** about {{minutes}} minutes, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import functools
import math

import numpy as np
import torch
from scipy.signal import convolve2d

from helpers import datasets, figures, gradient_flow, landscape, paths, training
from helpers.checks import progress
from helpers.checks import why_skips_work as check

torch.set_num_threads(1)

# %% [markdown]
# ## 1 · The first suspect: vanishing gradients
#
# Three of the four documents say that skips cure the vanishing gradient; the fourth, on the shortcut layer,
# speaks of degradation, as He et al. (2015) do. They argue that vanishing gradients are *not* what ailed
# their deep plain networks: with batch norm, they report, the gradients are healthy, and the networks still
# get worse with depth.
#
# **Predict.** In a random plain network with batch norm and ReLU, 40 layers deep, is the gradient at the
# input smaller or larger than at the output, and by what factor?
#
# The gradient x-ray of lesson 4 tells, with the mean-field prediction beside it.

# %%
plain_xray = gradient_flow.xray("relu", depth=40, normalisation="batch")
residual_xray = gradient_flow.xray("relu", depth=40, normalisation="batch", skip="pre-activation", gain=1 / 3)
for name, picture in {"plain": plain_xray, "residual": residual_xray}.items():
    growth = picture.measured.gradient[0]
    print(f"{name:8}  gradient at the input / at the output: {growth:8.1f}, a layer {growth ** (1 / 40):.3f}")

# %%
rate = plain_xray.measured.gradient[0] ** (1 / 40)
assert abs(rate / math.sqrt(math.pi / (math.pi - 1)) - 1) < 0.02 and residual_xray.measured.gradient[0] > 1

fig, ax = figures.canvas(
    f"With batch norm nothing vanishes: × {rate:.2f} a plain layer",
    "layer $l$ (0 is the input)",
    "gradient, root mean square",
    yscale="log",
)
for i, (name, picture) in enumerate({"residual": residual_xray, "plain": plain_xray}.items()):
    look = figures.series(i, marker=True)
    ax.plot(picture.predicted.gradient, **figures.series(i), label=f"{name}, predicted")
    ax.plot(
        range(0, 41, 4), picture.measured.gradient[::4], **look | {"linestyle": ""}, label=f"{name}, measured"
    )
ax.legend()
figures.show(
    fig,
    alt=f"Gradient along 40 layers with batch norm. In the plain net it grows towards the input by a factor {rate:.2f} a layer, to {plain_xray.measured.gradient[0]:.0f}; "
    f"in the residual net it stays within a factor {residual_xray.measured.gradient.max():.1f}. Measured points lie near the predicted lines.",
)

# %% [markdown]
# The gradient *explodes*, as lesson 4 derived. That is a trouble of its own, but it is not vanishing. And the
# norm of a gradient says only how much arrives, not whether it is of use. Lesson 4 had a hint of that too:
# **shattering** (Balduzzi et al. 2017). In plain nets the gradients at two different inputs have ever less to
# do with each other, so that a step that helps one example means nothing to the next. Here is its prediction
# for wide ReLU networks without normalisation:

# %%
alike = {skip: gradient_flow.shattering(10, gain=1 / 3, skip=skip)[-1] for skip in ("none", "pre-activation")}
print(
    "cosine of the input gradients at two orthogonal inputs, 10 layers:",
    {k: round(float(v), 3) for k, v in alike.items()},
)
assert alike["pre-activation"] > 10 * alike["none"]

# %% [markdown]
# So the skip keeps a gradient *coherent*. Through which part of the network does that coherent part travel?
#
# ## 2 · A crowd of paths
#
# Write $J_i$ for the Jacobian of branch $i$. Backward through $n$ residual blocks the cotangent $v$ meets the
# product
#
# $$ (I + J_0^\top)(I + J_1^\top) \cdots (I + J_{n-1}^\top)\, v \;=\; v + \sum_i J_i^\top v + \sum_{i<j} J_i^\top J_j^\top v + \dots $$
#
# Multiplied out these are $2^n$ terms, one for each choice of "through the branch" or "past it": $2^n$
# **paths** (Veit et al. 2016). A path of length $k$ goes through $k$ branches. The document that speaks of
# "an alternative path for the gradient" is right, and modest: ten blocks have 1024.
#
# Which of them carry the gradient? Let every branch be random and independent, with
# $\mathbb{E}\,|J_i^\top v|^2 = g\,|v|^2$. (For a linear branch this $g$ is lesson 4's gain; behind a ReLU it
# is half of that.) Then a path of length $k$ carries $g^k |v|^2$ on average, and different paths are
# uncorrelated (why? two paths differ in some block, whose $J_i$ has mean zero), so that their squares simply
# add up.
#
# **Predict** for $n = 10$ and $g = 1/3$ (torch's default for a linear layer): which length is the most
# frequent, and which carries the most?
#
# ### Exercise 1 · The share of each length (3 points, about 8 minutes)
#
# Write `path_share(n, g)`: the share of the expected squared gradient that all paths of length $k$ carry
# together, for $k = 0, \dots, n$.


# %% answer="path_share"
def path_share(n: int, g: float) -> np.ndarray:
    """Give the share of the squared gradient that paths of each length carry.

    Args:
        n: number of residual blocks, at least 1.
        g: factor that a branch puts on the squared length of a cotangent, on average; at least 0.

    Returns:
        (n + 1,), float64: entry k is the share of all paths through exactly k branches.
    """
    ### BEGIN SOLUTION
    carried = np.array([math.comb(n, k) * g**k for k in range(n + 1)])
    return carried / (1 + g) ** n
    ### END SOLUTION


# %% check="path_share" points=3
check.path_share(path_share)
### BEGIN HIDDEN TESTS
from scipy.stats import binom

from helpers.checks import call, close

rng = np.random.default_rng(901)
for n, g in [
    (10, 1 / 3),
    (1, 2.5),
    (54, 0.25),
    *zip(rng.integers(4, 40, 4).tolist(), rng.uniform(0.05, 3, 4).tolist(), strict=True),
]:
    # Multiplied out, (1 + g)^n is a binomial distribution with success probability g / (1 + g).
    close(
        call(path_share, n, g),
        binom.pmf(np.arange(n + 1), n, g / (1 + g)),
        f"path_share({n}, {g:.3g})",
        rtol=1e-9,
    )
### END HIDDEN TESTS


# %%
def draw_paths(g: float = 1 / 3, n: int = 10):
    lengths = np.arange(n + 1)
    frequency, share = path_share(n, 1.0), path_share(n, g)
    fig, ax = figures.canvas(
        f"n = {n}, g = {g:.2g}: most paths go through {frequency.argmax()} branches, most gradient through {share.argmax()}",
        "length of the path / branches",
        "share",
    )
    ax.plot(lengths, frequency, **figures.series(1, marker=True), label="of the paths")
    ax.plot(lengths, share, **figures.series(0, marker=True), label="of the squared gradient")
    ax.legend()
    return fig


figures.show(
    draw_paths(),
    alt="Share of the paths and of the squared gradient against the length of the path, for 10 blocks with g = 1/3. "
    f"The number of paths peaks at length {path_share(10, 1.0).argmax()}, the gradient at length {path_share(10, 1 / 3).argmax()}.",
)

# %% [markdown]
# Move the sliders: how large must $g$ be for the typical path to be carrying the most? What does depth alone
# do at a fixed $g$?

# %% live=true
figures.explore(draw_paths, g=(0.05, 2.0, 0.05), n=(2, 60, 1))

# %%
shares = path_share(10, 1 / 3)
print("lengths 0, 1, 2 carry", shares[:3].round(4), "- mean length", round(float(shares @ np.arange(11)), 2))
assert np.allclose(shares[:3], [0.0563, 0.1877, 0.2816], atol=5e-5)
assert math.isclose(shares @ np.arange(11), 10 * (1 / 3) / (1 + 1 / 3))

# %% [markdown]
# The shares are a binomial distribution with $p = g/(1+g)$: the mean length is $np$. Depth does not make the
# gradient's paths as long as the network, only $p$ times as long.
#
# Veit et al. measured a residual network of 110 layers, which has 54 blocks of two layers. Most of its
# gradient, they report, came along paths 10 to 34 layers deep: 5 to 17 blocks. What would our formula need to
# say the same?

# %%
blocks = np.arange(55)
in_range = (blocks >= 5) & (blocks <= 17)
middle = (5 + 17) / 2
needed = middle / (54 - middle)  # the g whose mean length 54 g / (1 + g) lies in the middle of the range

print(
    f"g = {needed:.3f} puts {path_share(54, needed)[in_range].sum():.0%} of the squared gradient into that range,"
)
print(f"which holds {path_share(54, 1.0)[in_range].sum():.2%} of the paths")
assert path_share(54, needed)[in_range].sum() > 0.95 and path_share(54, 1.0)[in_range].sum() < 0.01

# %% [markdown]
# One number, $g$, is enough to tell their story. That does *not* show that it is the right story: a formula
# with a free parameter can be made to fit a range. So we measure.
#
# ## 3 · The gradient, path by path
#
# There is no need to sample paths. The sum over all paths of one length can be computed exactly, backwards
# through the network, without listing $2^n$ of them. How? Think of what a block does to a cotangent that has
# come through $k$ branches so far.
#
# ### Exercise 2 · The gradient through exactly k branches (5 points, about 15 minutes)
#
# Write `gradient_through_k(jacobians, cotangent)`. Row $k$ of the result is the sum over all paths through
# exactly $k$ branches, so that the rows add up to the whole gradient. `jacobians[i]` is
# $J_i = \partial F_i / \partial h_i$; block 0 is next to the input, and the gradient meets the last block
# first.


# %% answer="gradient_through_k"
def gradient_through_k(jacobians: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Split the gradient through n residual blocks h + F_i(h) by how many branches it came through.

    Args:
        jacobians: (n, N, N), float64: jacobians[i][a, b] is dF_i,a / dh_b; block 0 comes first in the network.
        cotangent: (N,), float64: dLoss / dh_n behind the last block.

    Returns:
        (n + 1, N), float64: row k is the part of dLoss / dh_0 that came through exactly k branches.
    """
    ### BEGIN SOLUTION
    n = len(jacobians)
    rows = np.zeros((n + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        through = rows @ J  # row k is J^T (row k)
        rows[1:] += through[:-1]
    return rows
    ### END SOLUTION


# %% check="gradient_through_k" points=5
check.gradient_through_k(gradient_through_k)
### BEGIN HIDDEN TESTS
import itertools

from helpers.checks import call, close

rng = np.random.default_rng(902)
for n, width in [(1, 4), (4, 3), (6, 2)]:
    jacobians, c = rng.normal(size=(n, width, width)), rng.normal(size=width)
    rows = np.zeros((n + 1, width))
    for chosen in itertools.product([False, True], repeat=n):  # every path, one by one
        path = c
        for J, through in zip(jacobians[::-1], chosen[::-1], strict=True):
            path = J.T @ path if through else path
        rows[sum(chosen)] += path
    close(
        call(gradient_through_k, jacobians, c),
        rows,
        f"gradient_through_k of {n} blocks",
        rtol=1e-9,
        atol=1e-9,
    )
### END HIDDEN TESTS

# %% [markdown]
# First the case that the formula was made for: 20 draws of 10 random linear branches, $g = 1/3$, width 256.

# %%
rng = np.random.default_rng(0)
squares = []
for _ in range(20):
    rows = gradient_through_k(paths.random_jacobians(10, 256, 1 / 3, rng), rng.normal(size=256))
    squares.append((rows**2).sum(1) / (rows**2).sum())
measured, error = np.mean(squares, 0), np.std(squares, 0, ddof=1) / math.sqrt(20)
print("predicted", shares[:5].round(4))
print("measured ", measured[:5].round(4), "±", error[:5].round(4))
assert (abs(measured - shares) < 4 * error + 1e-4).all()

# %% [markdown]
# Formula and measurement agree. Now a network that does something. We train ten blocks of width 32 on the
# digits of lesson 7, plain and residual, five seeds each. A branch is
# $F_i(h) = W_i\,\mathrm{relu}(\mathrm{norm}(h))$ with batch norm; a plain block gives $F_i(h)$, a residual
# one $h + F_i(h)$. Nothing else differs, not even the initial weights.

# %%
data = datasets.digits()
x_train, x_test = (torch.from_numpy(part).double() for part in (data.x_train, data.x_test))
y_train, y_test = (torch.from_numpy(part) for part in (data.y_train, data.y_test))

untrained = paths.BlockNet(residual=True)
with torch.no_grad():
    untrained(x_train)  # batch norm takes its statistics from a pass in training mode
untrained = untrained.eval()

# %%
nets = {"plain": paths.BlockNet(residual=False), "residual": paths.BlockNet(residual=True)}
assert all(map(torch.equal, nets["plain"].parameters(), nets["residual"].parameters()))
final_loss, whole = {}, {}
for name, net in nets.items():
    training.train_stacked(net, data.x_train, data.y_train)
    final_loss[name], _ = training.evaluate_stacked(net, data.x_train, data.y_train)
    whole[name] = training.evaluate_stacked(net, data.x_test, data.y_test)[1]
    print(
        f"{name:8} test accuracy {whole[name].mean():.3f} ± {whole[name].std(ddof=1):.3f}, train loss {final_loss[name].mean():.4f}"
    )
assert min(whole["plain"].min(), whole["residual"].min()) > 0.92

# %% [markdown]
# At this depth both kinds train well. That is on purpose: where the plain network fails, it differs in
# everything, and no comparison means much.
#
# **Predict.** Every branch of the residual net starts with $g = 1/3$ and a ReLU, which lets half through:
# $g/2 = 1/6$. Is the gain of a branch, $|J_i|_F^2 / N$, the same in all ten blocks? And does training make
# the gradient's paths longer or shorter?


# %%
def path_lengths(net, batch: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain of each branch (n,), share of each length (seeds, n + 1), |sum of paths|^2 / sum of |paths|^2 (seeds,)."""
    jacobians = paths.branch_jacobians(net, x_test[:batch])
    cotangents = paths.end_gradient(net, x_test[:batch], y_test[:batch])
    cotangents /= np.linalg.norm(cotangents, axis=-1, keepdims=True)
    rows = np.array(
        [
            [gradient_through_k(J, c) for J, c in zip(*examples, strict=True)]
            for examples in zip(jacobians, cotangents, strict=True)
        ]
    )
    by_length = (rows**2).sum(-1).mean(1)
    whole_gradient = (rows.sum(2) ** 2).sum(-1).mean(1)
    gains = (jacobians**2).sum((-1, -2)).mean((0, 1)) / jacobians.shape[-1]
    return gains, by_length / by_length.sum(1, keepdims=True), whole_gradient / by_length.sum(1)


both = {"untrained": path_lengths(untrained), "trained": path_lengths(nets["residual"])}
gains, observed, coherence = ({name: found[i] for name, found in both.items()} for i in range(3))
for name in both:
    print(f"{name:9} gains {gains[name].round(2)}")
    print(f"{'':9} |sum|² / sum of squares, by seed: {coherence[name].round(1)}")

# %% [markdown]
# Neither one number nor a constant: the gain *falls* from block to block. Batch norm divides by the size of
# the stream, and the stream grows with every block that is added. So batch norm turns each block towards the
# identity, the more the deeper it sits (De and Smith 2020). With unequal gains the shares are no binomial any
# more, but the coefficients of
#
# $$ \prod_i \frac{1 + g_i t}{1 + g_i} \quad\text{in powers of } t , $$
#
# and a product of polynomials is a convolution of their coefficients: one line.

# %%
independent = {
    name: functools.reduce(np.convolve, [[1 / (1 + g), g / (1 + g)] for g in gains[name]]) for name in gains
}
mean_length = {name: observed[name] @ np.arange(11) for name in observed}
for name in observed:
    print(
        f"{name:9} mean length {mean_length[name].mean():.2f} ± {mean_length[name].std(ddof=1):.2f}, "
        f"if paths were independent {independent[name] @ np.arange(11):.2f}"
    )

# %%
assert (np.diff(gains["untrained"]) < 0).all() and gains["untrained"][0] > 3 * gains["untrained"][-1]
assert abs(mean_length["untrained"].mean() - independent["untrained"] @ np.arange(11)) < 0.25
assert mean_length["trained"].max() < mean_length["untrained"].min()
assert coherence["untrained"].max() < 1.5 < coherence["trained"].min()
assert observed["trained"][:, :3].sum(1).min() > 0.8

fig, axes = figures.panels(
    list(observed),
    f"Training shortens the paths: {mean_length['untrained'].mean():.1f} → {mean_length['trained'].mean():.1f} of 10 branches",
    xlabel="length of the path / branches",
    ylim=(0, 0.5),
    xticks=range(0, 11, 2),
)
for ax, name in zip(axes, observed, strict=True):
    ax.plot(independent[name], **figures.series(1), label="independent paths")
    spread = abs(observed[name].mean(0) - [observed[name].min(0), observed[name].max(0)])
    ax.errorbar(
        range(11),
        observed[name].mean(0),
        spread,
        **figures.series(0, marker=True),
        capsize=3,
        label="measured, 5 seeds",
    )
axes[0].set_ylabel("share of squared gradient")
axes[1].legend()
figures.show(
    fig,
    alt=f"Share of the squared gradient by path length. Untrained, the measurement follows the prediction for independent paths, mean length {mean_length['untrained'].mean():.1f}. "
    f"Trained, the paths are shorter, {mean_length['trained'].mean():.1f}, and longer than the prediction {independent['trained'] @ np.arange(11):.1f}.",
)

# %% [markdown]
# **What we should see.** In all five seeds, training shortens the paths, until more than four fifths of the
# squared gradient of a ten-block network passes at most two branches. So far Veit et al. are right, at our
# small scale.
#
# **What it does not show.** That the paths are independent voices. Before training, the squares add up, more
# or less (the ratio, the **coherence**, is near 1). After training the square of the sum is more than twice
# the sum of squares: paths of different length *point the same way*, and the formula for independent paths is
# off. Short paths carry the gradient; they do not act alone. Nor does any of this say that the long paths are
# useless: the forward pass needs what they compute.
#
# ## 4 · Operating on a trained network
#
# If a residual network is a crowd of paths, then deleting one block halves the crowd and leaves the rest
# intact. In a plain network there is one path, and every deletion cuts it.
#
# **Predict.** Accuracy on the test digits after deleting one block, plain and residual.
#
# ### Exercise 3 · Deleting blocks (4 points, about 10 minutes)
#
# Write `delete_blocks(net, drop, x)`: what the network answers when the blocks in `drop` let the stream
# through unchanged. A network of this lesson has `net.embed(x)` for the start of the stream $h_0$,
# `net.branches` with the functions $F_i$, `net.residual` that tells the kind, and `net.classify(h)` for the
# end. The network itself has to stay whole.


# %% answer="delete_blocks"
def delete_blocks(net: paths.BlockNet, drop: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    """Give the logits of a stack of networks without some of their blocks.

    Args:
        net: S networks; residual blocks give h + F_i(h), plain ones F_i(h). Unchanged after the call.
        drop: numbers of the blocks to leave out, from 0; () leaves none out.
        x: (batch, inputs), of the networks' dtype.

    Returns:
        Logits, (S, batch, classes); what is deleted passes its input on.
    """
    ### BEGIN SOLUTION
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i not in drop:
            h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
    ### END SOLUTION


# %% check="delete_blocks" points=4
check.delete_blocks(delete_blocks)
### BEGIN HIDDEN TESTS
from helpers.checks import beside, call, close

rng = np.random.default_rng(903)
for n, residual, drop in [
    (5, True, (1, 3)),
    (5, False, (0, 4)),
    (6, True, (5, 0, 2)),
    (4, False, (2,)),
    (3, True, ()),
]:
    x = torch.from_numpy(rng.normal(size=(6, 5)))
    local, remote = (
        paths.example_net(n, residual, seed=n),
        beside(delete_blocks, paths.example_net, n, residual, seed=n),
    )
    local.branches = torch.nn.ModuleList(b for i, b in enumerate(local.branches) if i not in drop)
    close(
        call(delete_blocks, remote, drop, x),
        local(x).detach(),
        f"delete_blocks with drop = {drop} of {n} blocks",
        rtol=1e-9,
    )
### END HIDDEN TESTS


# %%
@torch.no_grad()
def accuracy_without(net, drop) -> np.ndarray:
    return paths.accuracy(delete_blocks(net, tuple(drop), x_test), y_test)


lesion = {name: np.array([accuracy_without(net, [i]) for i in range(10)]) for name, net in nets.items()}
for name in nets:
    print(f"{name:8} one block deleted, mean of 5 seeds:", lesion[name].mean(1).round(2))
cost = (whole["residual"] - lesion["residual"]).mean(1)
print("residual: the cost of each block     :", cost.round(3))

# %%
assert np.array_equal(accuracy_without(nets["residual"], []), whole["residual"])
assert lesion["plain"].mean(1).max() < 0.25 and lesion["residual"].mean(1).min() > 0.8
assert cost.argmax() == 0 and cost[1:].max() < 0.05

fig, ax = figures.canvas(
    "Any one block gone: the residual net hardly notices, the plain net is down to guessing",
    "deleted block",
    "test accuracy",
    ylim=(0, 1.02),
    xticks=range(10),
)
for i, name in enumerate(("residual", "plain")):
    mean = lesion[name].mean(1)
    spread = abs(mean - [lesion[name].min(1), lesion[name].max(1)])
    ax.errorbar(
        range(10), mean, spread, **figures.series(i, marker=True), capsize=3, label=f"{name}, 5 seeds"
    )
ax.axhline(0.1, **figures.series(5) | {"linewidth": 1}, label="guessing")
ax.legend(loc="center right")
figures.show(
    fig,
    alt=f"Test accuracy after deleting one block. Residual: from {lesion['residual'].mean(1).min():.2f} for block 0 to {lesion['residual'].mean(1).max():.2f}; "
    f"plain: {lesion['plain'].mean(1).min():.2f} to {lesion['plain'].mean(1).max():.2f}, about guessing. Bars: range of 5 seeds.",
)

# %% [markdown]
# Not all blocks are equal. The first is the dearest in the residual net, and it is also the one with the
# largest gain: where the stream is short, a branch weighs more. So "a crowd" hides an order of rank.
#
# The rival explanation says: a residual block *refines*. It moves the estimate in the stream a little, and
# the next block moves it further (Greff et al. 2017). Then we should be able to read out the network early.
# That needs no new tool: reading out after block $l$ is deleting all blocks behind it.
#
# **Predict.** Which costs more, deleting the last five blocks, or five at random? And what will it cost to
# let neighbours swap places, or any two?

# %%
rng = np.random.default_rng(4)
last = {
    name: np.array([accuracy_without(net, range(10 - k, 10)) for k in range(11)])
    for name, net in nets.items()
}
scattered = np.array(
    [
        np.mean([accuracy_without(nets["residual"], rng.permutation(10)[:k]) for _ in range(10)], 0)
        for k in range(11)
    ]
)
print("residual, the last k deleted:  ", last["residual"].mean(1).round(2))
print("residual, any k deleted:       ", scattered.mean(1).round(2))
print("plain, the last k deleted:     ", last["plain"].mean(1).round(2))

# %%
assert (np.diff(last["residual"].mean(1)) < 0.005).all() and last["plain"].mean(1)[1:].max() < 0.3
assert (last["residual"][5] > scattered[5]).all()

fig, ax = figures.canvas(
    "The residual net can be read out early",
    "number of blocks deleted",
    "test accuracy",
    ylim=(0, 1.02),
    xticks=range(11),
)
curves = {
    "residual, the last k": last["residual"],
    "plain, the last k": last["plain"],
    "residual, any k": scattered,
}
for i, (name, values) in enumerate(curves.items()):
    ax.plot(values.mean(1), **figures.series(i, marker=True), label=name)
    ax.fill_between(range(11), values.min(1), values.max(1), color=figures.COLOURS[i], alpha=0.2)
ax.legend(loc=(0.14, 0.28))
figures.show(
    fig,
    alt=f"Test accuracy against the number of deleted blocks, 5 seeds with range. Residual net, last five deleted: {last['residual'][5].mean():.2f}; "
    f"any five deleted: {scattered[5].mean():.2f}; plain net, last one deleted: {last['plain'][1].mean():.2f}.",
)

# %%
swapped = {}
for neighbours in (True, False):
    for pairs in (1, 4):
        orders = [paths.swap_pairs(10, pairs, rng, neighbours) for _ in range(20)]
        with torch.no_grad():
            runs = [
                [paths.accuracy(paths.reordered(net, o)(x_test), y_test) for o in orders]
                for net in nets.values()
            ]
        swapped[neighbours, pairs] = np.mean(runs, axis=1)  # (plain and residual, seeds)
        plain, residual = (f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" for v in swapped[neighbours, pairs])
        print(
            f"{pairs} {'neighbouring' if neighbours else 'random':12} pairs swapped: plain {plain}, residual {residual}"
        )

# %%
assert all(plain.max() < 0.35 for plain, _ in swapped.values())
assert (swapped[True, 4][1] > 0.93).all() and (swapped[True, 4][1] > swapped[False, 4][1] + 0.03).all()
assert (swapped[False, 4][1] > 0.75).all()

# %% [markdown]
# A crowd of independent voters would not care who speaks first. These blocks do not mind changing places with
# a neighbour, and they mind being sent far away. Steps of a refinement would behave like that.
#
# **What it does not show.** *Why* such a network trains well. We operated on networks that had trained
# already. And a plain network that survives no deletion is not thereby a worse network: it was never asked
# to, and at ten blocks it is only a little less accurate (section 3).

# %% [markdown] question="ensemble"
# ### Question · Ensemble or iterative refinement? (4 points, about 8 minutes)
#
# Two readings of a residual network: an *ensemble* of many short paths (Veit et al. 2016), or an *iterative
# refinement* of one estimate (Greff et al. 2017). Use at least three of our measurements (path lengths,
# coherence, deleting, reading out early, swapping). Say for each which reading it favours and why, whether
# the two readings exclude each other, and name one experiment that could decide further.
#
# === BEGIN MARK SCHEME ===
# - 0: A choice without evidence.
# - 1: One reading chosen with one measurement.
# - 2: Two measurements rightly read, or three without reasons.
# - 3: Three measurements rightly read, but either the relation of the readings or the further experiment is
#   missing.
# - 4: Three or more measurements, each with the reading it favours and a reason (for example: single
#   deletions cost little - both; short paths carry the gradient - ensemble; trained paths add coherently
#   instead of independently - against an ensemble of independent members; reading out early improves step by
#   step, neighbours may swap and distant blocks may not - refinement; the first block matters most - against
#   interchangeable members). Says that the readings are not exclusive (the sum over paths is an identity; the
#   question is how the terms depend on each other) and proposes a test with an outcome that would differ.
#
# Misconceptions: "2^n paths, so 2^n networks were trained" (they share all weights and are not trained
# apart); "deleting a block is harmless, so the block is useless"; "an ensemble explains why training works"
# (the deletions are done after training); "short paths carry most gradient, so the long ones could be removed
# from the forward pass".
# === END MARK SCHEME ===

# %% [markdown] response="ensemble" points=4
# ### BEGIN SOLUTION
# Deleting one block costs a few per cent at most: both readings predict it, a crowd loses half its members
# but keeps as many, a refinement loses one small step. The gradient runs along paths of one or two branches,
# as the ensemble reading says. But after training the paths point the same way (the square of the sum is
# twice the sum of squares), so their contributions are not those of independent members. Reading out early
# shows accuracy rising from block to block, neighbours can be swapped almost for free, while distant swaps
# hurt: order matters as in a refinement; voters have no order. The first block being the dearest also speaks
# against members that can replace each other.
#
# The readings do not exclude each other. That the output is a sum over paths is algebra, true for any
# residual network; refinement is a statement on how these terms are related. I would test it by training
# blocks in a random order in every batch: if order is of no use, nothing is lost; if the blocks refine,
# accuracy suffers. Or compare with a true ensemble: average ten networks that were trained apart and delete
# members.
# ### END SOLUTION

# %% [markdown]
# ## 5 · The shape of the loss
#
# The last suspect is the loss surface. Li et al. (2018) drew it: take the trained weights $w$, two random
# directions $d$ and $e$, and plot the loss at $w + a\,d + b\,e$. With skips the pictures look like a bowl,
# without like a mountain range.
#
# A random direction alone means little. A unit with large weights hardly feels a step of length one, a unit
# with small weights is destroyed by it; and with batch norm behind it the scale of a unit's weights is
# arbitrary. So each direction is **filter-normalised**: the part of $d$ that belongs to one unit is scaled to
# the length of the weights *into* that unit,
#
# $$ d_{u} \leftarrow \frac{d_{u}}{|d_{u}|}\,|w_{u}| . $$
#
# Then $a = 1$ moves every unit by its own length. Biases and norms stay as they are.
#
# ### Exercise 4 · A slice through the loss (5 points, about 15 minutes)
#
# Write `landscape_slice(net, direction, steps, x, y)`: the mean cross-entropy of every network of the stack
# at $w + a\,d$ for each step $a$, with $d$ filter-normalised.
# `torch.func.functional_call(net, weights, (x,))` computes with other weights than the net's own, and
# `training.stacked_loss(logits, labels)` gives one mean loss a network for logits (S, batch, classes) and
# labels (S, batch). The network must come out as it went in.


# %% answer="landscape_slice"
def landscape_slice(
    net: paths.BlockNet,
    direction: dict[str, torch.Tensor],
    steps: np.ndarray,
    x: torch.Tensor,
    y: torch.Tensor,
) -> np.ndarray:
    """Give the loss of each network along a filter-normalised line through its weights.

    Args:
        net: S networks in evaluation mode, unchanged after the call.
        direction: name of a weight -> tensor of its shape (S, units, inputs), no part of it zero; `weight[s, u, :]` goes into
            unit u of network s. Parameters that are not named stay where they are.
        steps: (k,), float64; 0 is the network itself.
        x: (batch, inputs), of the networks' dtype.
        y: (batch,), int64, classes.

    Returns:
        (S, k), float64: mean cross-entropy over the batch in nats, one row a network, one column a step.
    """
    ### BEGIN SOLUTION
    weights = {name: dict(net.named_parameters())[name].detach() for name in direction}
    labels = y.expand(len(net.seeds), -1)
    scaled = {}
    for name, d in direction.items():
        scaled[name] = d / d.norm(dim=2, keepdim=True) * weights[name].norm(dim=2, keepdim=True)
    losses = []
    with torch.no_grad():
        for a in steps:
            moved = {name: weights[name] + float(a) * scaled[name] for name in weights}
            losses.append(training.stacked_loss(torch.func.functional_call(net, moved, (x,)), labels))
    return torch.stack(losses, 1).double().numpy()
    ### END SOLUTION


# %% check="landscape_slice" points=5
check.landscape_slice(landscape_slice)
### BEGIN HIDDEN TESTS
import copy

from helpers.checks import beside, call, close

rng = np.random.default_rng(904)
for residual, seed in [(True, 11), (False, 12)]:
    local, remote = (
        paths.example_net(3, residual, seed=seed),
        beside(landscape_slice, paths.example_net, 3, residual, seed=seed),
    )
    x, y = torch.from_numpy(rng.normal(size=(8, 5))), torch.from_numpy(rng.integers(0, 3, 8))
    direction = landscape.random_direction(local, seed)
    steps = np.array([0.7, 0.0, -0.3, 0.1])
    truth = np.empty((2, 4))
    for column, a in enumerate(steps):
        moved = copy.deepcopy(local)
        for name, weight in moved.named_parameters():
            for s, u in np.ndindex(*weight.shape[:2]) if name in direction else ():
                d = direction[name][s, u]
                weight.data[s, u] += a * d * math.sqrt((weight.data[s, u] ** 2).sum() / (d**2).sum())
        log_p = torch.log_softmax(moved(x).detach(), -1)
        truth[:, column] = -log_p[:, torch.arange(8), y].mean(1)
    close(
        call(landscape_slice, remote, direction, steps, x, y),
        truth,
        f"landscape_slice with seed {seed}",
        rtol=1e-8,
    )
### END HIDDEN TESTS

# %%
line = np.linspace(-1, 1, 41)
few, labels = x_train[:256], y_train[:256]
slices = {
    name: landscape_slice(net, landscape.random_direction(net, 1), line, few, labels)
    for name, net in nets.items()
}
highest = {name: values.max(1) for name, values in slices.items()}
for name, values in highest.items():
    print(f"{name:8} highest loss on the slice: {values.mean():5.1f} ± {values.std(ddof=1):.1f} nats")
assert highest["plain"].min() > highest["residual"].max()

fig, ax = figures.canvas(
    "The plain net's loss rises higher, and not evenly",
    "step $a$ / length of the weights",
    "loss / nats",
    yscale="log",
)
for i, name in enumerate(("residual", "plain")):
    lines = ax.plot(line, slices[name].T, **figures.series(i) | {"linewidth": 1.1})
    lines[0].set_label(name)
ax.legend()
figures.show(
    fig,
    alt=f"Loss along one random filter-normalised line through the weights, 5 seeds each. The plain nets reach {highest['plain'].mean():.0f} nats on average, "
    f"the residual nets {highest['residual'].mean():.1f}.",
)

# %% [markdown]
# Now two directions, a grid of 21 × 21 points, and a number beside the picture. At every inner point we take
# the Hessian of the slice by central differences; its eigenvalues are the **principal curvatures**. Where the
# smaller one is negative, the surface is **not convex**.
#
# **Predict.** The share of points that are not convex, plain and residual.

# %%
RADIUS, POINTS = 1.0, 21
heights = {name: landscape.surface(net, (1, 2), RADIUS, POINTS, few, labels) for name, net in nets.items()}
spacing = 2 * RADIUS / (POINTS - 1)
rough = {name: landscape.non_convex_share(h, spacing) for name, h in heights.items()}
for name, values in rough.items():
    inner = landscape.non_convex_share(heights[name][:, 5:16, 5:16], spacing)
    print(
        f"{name:8} not convex: {values.mean():.2f} ± {values.std(ddof=1):.2f}, within half the radius {inner.mean():.2f}"
    )

# %%
assert rough["plain"].min() > rough["residual"].max() and rough["residual"].max() < 0.05

steps = np.linspace(-RADIUS, RADIUS, POINTS)
fig, axes = figures.panels(
    [f"{name}: {rough[name].mean():.1%} not convex" for name in rough],
    "The loss around the weights: dents without skips, a bowl with",
    4.2,
    xlabel="first direction",
    aspect="equal",
)
levels = np.geomspace(0.001, 10, 13)
for ax, name in zip(axes, rough, strict=True):
    drawn = ax.contourf(steps, steps, heights[name][0].T, levels, norm="log", cmap="cividis", extend="both")
    ax.contour(steps, steps, heights[name][0].T, levels, colors="black", linewidths=0.5)
    bent = landscape.curvatures(heights[name][0], spacing)[..., 0] < 0
    ax.plot(
        *steps[1 + np.argwhere(bent)].T,
        "o",
        color="white",
        markeredgecolor="black",
        markeredgewidth=0.5,
        markersize=3,
    )
    ax.grid(False)
axes[0].set_ylabel("second direction")
fig.colorbar(
    drawn,
    ax=axes,
    label="loss / nats",
    location="bottom",
    shrink=0.7,
    aspect=30,
    ticks=[0.001, 0.01, 0.1, 1, 10],
)
figures.show(
    fig,
    alt=f"Contours of the loss of one plain and one residual net over two filter-normalised random directions. White dots mark points that are not convex: "
    f"{rough['plain'].mean():.0%} of the plain surface and {rough['residual'].mean():.1%} of the residual one, means of 5 seeds.",
)

# %% [markdown]
# In all five seeds the residual surface is the smoother one.
#
# **What it does not show.**
#
# - Two directions out of thousands. A slice that is bent downwards proves that the whole surface is (its
#   curvature is a weighted mean of the true ones); a slice that looks like a bowl proves nothing.
# - The plain nets sit at a higher loss to begin with. Is the surface rough because training went less well,
#   or the other way round? A picture of the end cannot tell.
# - The numbers depend on the radius, as the last output shows, and on depth and data as well. Take them as a
#   comparison under equal conditions, not as a property of "skip connections".
#
# ## 6 · The verdict
#
# | explanation | what it says | what we measured | what is left open |
# |---|---|---|---|
# | gradients vanish without skips | the norm shrinks with depth | with batch norm it *grows*; without norm and with a poor start it does shrink (lessons 3, 4) | says nothing on nets whose norms are healthy |
# | shattered gradients (Balduzzi et al. 2017) | plain gradients decorrelate | yes, at initialisation (lesson 4); nearly equal plain networks part within ten steps (lesson 7) | how much of the slowness that explains |
# | short paths (Veit et al. 2016) | gradient travels along short paths | yes, and shorter after training; but the paths are not independent | why forward depth still helps |
# | refinement (Greff et al. 2017) | blocks improve one estimate | early read-out and swaps fit | what exactly is refined |
# | near identity (De and Smith 2020) | batch norm shrinks branches | gains fall with the block's number | remedies without norm work too (lesson 7) |
# | smoother loss (Li et al. 2018) | skips make the surface convex more widely | yes, in our slices | cause or effect |
#
# The paper itself (He et al. 2015) claimed less than is told of it: plain networks get *harder to optimise*
# with depth, a block that starts near the identity is easier, and the effect survives where gradients are
# healthy. The follow-up (He et al. 2016) adds why the identity should stay clean: any factor $\beta \ne 1$ on
# the shortcut becomes $\beta^n$ over $n$ blocks (lesson 6).

# %%
for factor in (0.8, 1.0, 1.2):
    print(
        f"shortcut × {factor}: the path past all 10 blocks carries {factor ** (2 * 10):8.4f} of the squared gradient, past 54 blocks {factor ** (2 * 54):.1e}"
    )
assert 0.8 ** (2 * 54) < 1e-10 < 1e8 < 1.2 ** (2 * 54)

# %% [markdown]
# ## 7 · The four documents, once more
#
# The course grew out of four documents. One line of code for each, of what they showed us:

# %%
image, kernel, death = (
    np.ones((8, 8), np.float32),
    np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) * np.float32(0.05),
    0,
)
while (image := convolve2d(image, kernel, mode="same")).any():
    death += 1
saturated = torch.tanh(torch.tensor(10.0)).item()
overlap = np.ones((4, 4))
overlap[::2, ::2] += np.ones((2, 2))

print("iterated convolution:  all zero at iteration", death)
print(
    "tanh chain:            tanh(10) in float32 is", saturated, "so the first gradient is", 1 - saturated**2
)
print("chapter and exercise:  the block fits images of side", [n for n in range(1, 100) if n // 4 + 3 == n])
print("shortcut layer:        rows", overlap[0], overlap[1])

# %%
assert death == 362 and saturated == 1.0
assert overlap[:2].tolist() == [[2, 1, 2, 1], [1, 1, 1, 1]]
eye, J = np.eye(3), np.random.default_rng(0).normal(size=(3, 3))
assert not np.allclose((eye + J).T @ np.ones(3), np.ones(3))  # "multiplied by one" forgets J

# %% [markdown]
# | document | right | wrong | where |
# |---|---|---|---|
# | **iterated convolution** | the signal dies, at 362; every printed digit reproduces | what dies there is the *activation*; softmax, not the skip, keeps values alive, and makes the *gradient* die twelve times sooner; its "DenseNet" concatenates nothing but sums, and is the only true residual stream in it; its one-hot result is rounding noise | 1, 2 |
# | **tanh chain, small net, questions** | the four gradients; a good set of questions | the first gradient is zero from saturation, not depth, and its own skip line makes all four zero; the small net has no skip and memorises random labels; "that's all the paper was saying" | 3, 7 |
# | **chapter and exercise** | extra paths for the gradient (1024 of them for ten blocks); concatenation keeps early features | the update rule's derivative; "multiplied by one" is $I + J$; its ReLU lets the stream only grow; its block fits two sizes; a stalled loss has many causes; dense connections end at the block | 3, 5, 8 |
# | **shortcut layer** | it names the degradation problem, on the *training* set; a weighted sum, strides, and the transpose backward | `is (None, None, None)` never holds, so no unequal shapes; swapped indices; weights that forward and backward do not share; gradients that start as noise; "no extra parameters" only for identity and option A | 6 |
#
# A fair reading: the documents' *code* was mostly honest, it printed what it computed. It was the sentences
# around the code that said more than the code showed. That is the temptation of any notebook, and ours is no
# exception.

# %% [markdown] question="criticism"
# ### Question · Criticise this course (4 points, about 10 minutes)
#
# Our own experiments used 1437 images of 8 × 8 pixels, networks of width 32, minutes of training, five to ten
# seeds. Pick **two** claims of the course that rest on training (lessons 7 to 9). For each: what exactly was
# shown, what may not carry over to a convolutional network on a million photographs, and why. Then design
# **one** experiment that you could run on one graphics card in a day and that would test one of the two: what
# varies, what is held equal, how many runs, and which outcome would make you give up the claim.
#
# === BEGIN MARK SCHEME ===
# - 0: No criticism, or the claims are merely repeated.
# - 1: General remarks ("small data, small nets") without a mechanism.
# - 2: Two claims with reasons but no usable experiment, or one claim treated fully.
# - 3: As for 4, but the experiment lacks one of control, repetitions, refuting outcome.
# - 4: Two claims stated with their conditions (data, width, depth, optimiser, number of seeds). For each a
#   specific reason why scale might change it (for example: a saturated data set, where accuracy .97 leaves no
#   room for differences; width 32, where theory is for infinite width; full knowledge of the test set while
#   choosing settings; one learning rate for both kinds; five seeds estimate a spread poorly; only one
#   architecture family; slices at the end of training). An experiment with a control, an equal budget for
#   both kinds, repetitions and an outcome that would refute the claim.
#
# Misconceptions: "more seeds repair a wrong comparison" (they make a bias more certain); "small experiments
# prove nothing" (they can refute a general claim: one counterexample is enough); "five seeds agree, so it is
# true of all networks" (the seeds vary the start and the batches, not data, width or task).
# === END MARK SCHEME ===

# %% [markdown] response="criticism" points=4
# ### BEGIN SOLUTION
# *Claim 1, lesson 9:* "deleting one block of a residual net costs little". Shown for ten one-layer blocks of
# width 32 on digits. These are nearly solved by a linear model, so a network can afford to lose a block; on a
# hard task each block may be needed. Real networks also have blocks that change size, and those cannot simply
# be deleted. *Claim 2, lesson 9:* "the residual loss surface is smoother". Shown for two random directions,
# one radius, the end of training, and plain nets whose training loss was several times higher: roughness and
# bad training are confounded.
#
# *Experiment for claim 2:* CIFAR-10, a 20-layer network with and without skips, 10 seeds each. Tune the
# learning rate for each kind with the same number of trials on a validation set, stop both kinds at the same
# training loss, and compare the share of non-convex points in five pairs of directions at three radii, also
# at checkpoints during training. If at equal training loss the shares overlap, I give up "skips make the
# surface smooth" and keep only "badly trained nets sit in rough places".
# ### END SOLUTION

# %%
progress(check, globals())

# %% [markdown]
# ## The next question is yours
#
# We began with a signal that dies at iteration 362, and end with six explanations, each of them half tested.
# Here is one that we cannot answer: transformers add a skip around every block too, a hundred layers and
# more, with another norm and on another kind of data. *Which of the six explanations would you expect to
# survive there, and what would you measure first?*
#
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition* (2015).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity mappings in deep residual networks* (2016).
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - A. Veit, M. Wilber, S. Belongie, *Residual networks behave like ensembles of relatively shallow networks*
#   (2016). [arXiv:1605.06431](https://arxiv.org/abs/1605.06431)
# - K. Greff, R. K. Srivastava, J. Schmidhuber, *Highway and residual networks learn unrolled iterative
#   estimation* (2017). [arXiv:1612.07771](https://arxiv.org/abs/1612.07771)
# - D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma, B. McWilliams, *The shattered gradients
#   problem: if ResNets are the answer, then what is the question?* (2017).
#   [arXiv:1702.08591](https://arxiv.org/abs/1702.08591)
# - H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, *Visualizing the loss landscape of neural nets* (2018).
#   [arXiv:1712.09913](https://arxiv.org/abs/1712.09913)
# - S. De, S. L. Smith, *Batch normalization biases residual blocks towards the identity function in deep
#   networks* (2020). [arXiv:2002.10444](https://arxiv.org/abs/2002.10444)
