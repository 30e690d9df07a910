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
# Take a trained network, delete one of its blocks, and ask the rest about the test images. **What happens?** In a
# plain network, and in a residual one?
#
# Lessons 7 and 8 settled *that* skips help. The answer to this little question opens the one that all the others
# left open: **why?** Several explanations are on the market. A residual network is a crowd of short paths. Its
# blocks refine one estimate step by step. Its loss surface is smoother. Its gradients no longer vanish, or no
# longer shatter. Each is a claim that we can test with what we have built. At the end we look back at the four
# documents that this course started from, and turn the same scepticism on our own experiments.
#
# **Objectives.** After this lesson you can
#
# - operate on a trained network: delete its blocks, swap them, read it out early, and tell what the network lost
#   from what the operation itself has spoilt;
# - split a gradient exactly into the paths it takes, and predict how much each length of path carries;
# - look at a loss surface through a filter-normalised slice, and say how much of a surface a slice can hide;
# - weigh rival explanations of one success against each other, and criticise the evidence, ours included.
#
# **Prerequisites.** Lessons 4 and 7; the binomial distribution; the chain rule with Jacobians.
#
# **Time:** about {{minutes}} minutes without the parts marked *optional*; before section 5 is a good place for a
# break. {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Sources.** Veit et al. (2016), [arXiv:1605.06431](https://arxiv.org/abs/1605.06431), on paths; Greff et al.
# > (2017), [arXiv:1612.07771](https://arxiv.org/abs/1612.07771), on refinement; Li et al. (2018),
# > [arXiv:1712.09913](https://arxiv.org/abs/1712.09913), on loss surfaces.
# >
# > **Five words.** *Stream*: the vector $h$ that a residual network carries from block to block. *Branch*: what a
# > block computes and adds to the stream. *Path*: one way from input to output, through some branches and past
# > the others. *Batch-norm statistics*: the mean and variance of each feature that a trained network has stored
# > and normalises with. *Not convex*: bent downwards in at least one direction.
# >
# > **Symbols.** $n$: number of blocks, numbered from 0. $k$: how many branches a path goes through. $h_i$: the
# > stream before block $i$. $F_i$, $J_i$: the branch of block $i$ and its Jacobian $\partial F_i/\partial h_i$.
# > $g$: by which factor a branch multiplies the *squared* length of a gradient, on average. $a$: a step along a
# > slice.
#
# All symbols are on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import copy
import functools
import math

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from helpers import datasets, drawings, figures, gradient_flow, landscape, panels
from helpers import paths, paths_figures, training
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import why_skips_work as check
from helpers.statistics import interval

torch.set_num_threads(1)

# %% parameters=true
SEED = 0  # every random draw of this lesson derives from it
NETWORKS = 5  # networks of each kind; their seeds are SEED, SEED + 1, ...
STEPS = 220  # training steps: twenty passes through the data
EARLY = 44  # training steps of the residual networks that are stopped early (section 5)
MORE = 110  # further steps, at a lower rate, of the plain networks in the same section
DRAWS = 6  # random orders or choices of blocks in section 2
RADIUS = 1.0  # how far a slice of the loss reaches, in lengths of the weights
POINTS = 21  # grid points per side of such a slice

# %% [markdown]
# ## 1 · Delete a block: what happens?
#
# We train ten blocks of width 32 on the digits of lesson 7, plain and residual, five networks each. A branch is
# $F_i(h) = W_i\,\mathrm{relu}(\mathrm{norm}(h))$ with batch norm; a plain block gives $F_i(h)$, a residual one
# $h + F_i(h)$. Nothing else differs, not even the initial weights.

# %% claim="same_start"
SEEDS = range(SEED, SEED + NETWORKS)
data = datasets.digits()
x_train, x_test = (torch.from_numpy(part).double() for part in (data.x_train, data.x_test))
y_train, y_test = (torch.from_numpy(part) for part in (data.y_train, data.y_test))

nets = {name: paths.BlockNet(residual=name == "residual", seeds=SEEDS) for name in ("plain", "residual")}
assert all(map(torch.equal, nets["plain"].parameters(), nets["residual"].parameters()))

# %% varies=true claim="both_train" effect="worst"
loss, whole = {}, {}
for name, net in nets.items():
    training.train_stacked(net, data.x_train, data.y_train, steps=STEPS)
    loss[name], _ = training.evaluate_stacked(net, data.x_train, data.y_train)
    whole[name] = training.evaluate_stacked(net, data.x_test, data.y_test)[1]
    print(
        f"{name:8} test accuracy {whole[name].mean():.3f} ± {whole[name].std(ddof=1):.3f}, "
        f"train loss {loss[name].mean():.4f}"
    )
worst = min(whole["plain"].min(), whole["residual"].min())
assert worst > 0.9

# %% [markdown]
# At this depth both kinds train well. That is on purpose: where the plain network fails, it differs in
# everything, and no comparison means much.
#
# **Predict.** We delete one block and let all others work on. What is the accuracy on the test digits then, averaged over
# the ten blocks that may be chosen: in the plain networks, and in the residual ones? (There are ten classes: guessing
# gives 0.1.)

# %% predict="plain_without_one"
predict("plain_without_one", ...)

# %% predict="residual_without_one"
predict("residual_without_one", ...)

# %% [markdown]
# ### Exercise 1 · Deleting blocks (4 points, easy, about 12 minutes)
#
# Write `delete_blocks(net, drop, x)`: what the network answers when the blocks in `drop` let the stream through
# unchanged. A network of this lesson has `net.embed(x)` for the start of the stream $h_0$, `net.branches` with
# the functions $F_i$, `net.residual` that tells the kind, and `net.classify(h)` for the end. The network itself
# has to stay whole.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Write down what the network does when nothing is deleted: start, one block after the other, end. Which line changes for a
# block that is deleted?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# A deleted block lets the stream through: `h` stays what it is, in either kind of network. All others do what they always
# do, and `net.residual` says what that is. Numbers come from `enumerate`. Nothing has to be taken out of `net` for that.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# h = ...  # the start of the stream
# for i, branch in enumerate(net.branches):
#     if ...:  # this block is still there
#         h = ...  # two kinds of network
# return ...
# ```
#
# </details>


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


# %%
@torch.no_grad()
def accuracy_without(net, drop) -> np.ndarray:
    return paths.accuracy(delete_blocks(net, tuple(drop), x_test), y_test)


lesion = {name: np.array([accuracy_without(net, [i]) for i in range(10)]) for name, net in nets.items()}

# %% varies=true claim="one_deleted" effect="gap"
for name in nets:
    print(f"{name:8} one block deleted, mean of {NETWORKS} networks:", lesion[name].mean(1).round(2))
gap = lesion["residual"].mean(0) - lesion["plain"].mean(0)  # per network, mean over the deleted block
print(f"the residual networks keep {interval(gap):.2f} more accuracy (mean and 95 % interval)")
assert np.array_equal(accuracy_without(nets["residual"], []), whole["residual"])
assert lesion["plain"].mean(1).max() < 0.3 and lesion["residual"].mean(1).min() > 0.7 and gap.min() > 0.6
reveal("plain_without_one", lesion["plain"].mean(), within=0.1)
reveal("residual_without_one", lesion["residual"].mean(), within=0.05)

# %% varies=true
kept = {name: values.mean(1) for name, values in lesion.items()}  # one number a block
title = (
    f"Any one block gone: the residual nets keep {kept['residual'].mean():.0%}, "
    f"the plain ones {kept['plain'].mean():.0%}"
)
figures.show(
    paths_figures.deletions(lesion, title),
    alt="Test accuracy after deleting one block. "
    f"Residual: {kept['residual'].min():.2f} to {kept['residual'].max():.2f}; "
    f"plain: {kept['plain'].min():.2f} to {kept['plain'].max():.2f}, about guessing. "
    f"Bars: range of {NETWORKS} networks.",
)

# %% [markdown]
# A plain network is down to guessing, a residual one hardly notices. But look at what we did to it. Every batch
# norm behind the deleted block still normalises with the mean and variance of a stream that *is no longer there*. Is
# the network missing a block, or is it fed numbers on a wrong scale?
#
# We can tell these apart. The weights stay as they are; we only show the shortened network the training images
# once, so that each batch norm can **re-estimate its statistics**.


# %%
@torch.no_grad()
def accuracy_refreshed(net, drop) -> np.ndarray:
    patient = copy.deepcopy(net).train()  # in training mode a batch norm keeps the statistics of what it sees
    delete_blocks(patient, tuple(drop), x_train)
    return accuracy_without(patient.eval(), drop)


refreshed = {name: np.array([accuracy_refreshed(net, [i]) for i in range(10)]) for name, net in nets.items()}

# %% varies=true claim="first_block" effect="rank"
cost = {
    "as it was": whole["residual"] - lesion["residual"],
    "re-estimated": whole["residual"] - refreshed["residual"],
}
for name, per_block in cost.items():
    print(f"residual, cost of each block, statistics {name:12}:", per_block.mean(1).round(3))
print("plain, one block deleted, statistics re-estimated:", refreshed["plain"].mean(1).round(2))
rank = cost["as it was"][0] - cost["as it was"][1:].mean(0)  # how much dearer than the average of the others
saved = cost["as it was"][0] - cost["re-estimated"][0]
print(f"the first block costs {interval(rank):.2f} more than the others;")
print(f"re-estimating the statistics saves {interval(saved):.2f} of its price")
assert (rank > 0).sum() >= NETWORKS - 1 and saved.mean() > 0
assert cost["re-estimated"].mean(1).max() < 0.05 and refreshed["plain"].mean(1).max() < 0.3

# %% [markdown]
# The plain networks stay at guessing: they have lost their only way. In the residual ones even the first block,
# which is dearer than most, costs little once the statistics fit again. A good part of its price was the
# surgery's.

# %% [markdown]
# ## 2 · Read it out early, change the order
#
# One explanation says: a residual block *refines*. It moves the estimate in the stream a little, and the next
# block moves it further (Greff et al. 2017). Then we should be able to read out the network early. That needs no
# new tool: reading out after block $l$ is deleting all blocks behind it.
#
# **Predict.** We delete blocks of the residual networks and re-estimate the statistics. What accuracy is left without the
# last five? And without all ten, so that the head reads the stem's output? Then: what costs more, to delete the *last*
# few blocks or as many *anywhere*?

# %% predict="last_five"
predict("last_five", ...)

# %% predict="all_ten"
predict("all_ten", ...)

# %% predict="which_blocks"
predict("which_blocks", ..., ["the last", "anywhere", "no difference"])

# %%
rng = np.random.default_rng(SEED + 4)
last = {
    "statistics as they were": np.array(
        [accuracy_without(nets["residual"], range(10 - k, 10)) for k in range(11)]
    ),
    "statistics re-estimated": np.array(
        [accuracy_refreshed(nets["residual"], range(10 - k, 10)) for k in range(11)]
    ),
}
plain_last = np.array([accuracy_refreshed(nets["plain"], range(10 - k, 10)) for k in range(11)])

# %%
SOME = range(3, 8)  # how many blocks are deleted at random
scattered = np.array(
    [
        np.mean([accuracy_refreshed(nets["residual"], rng.permutation(10)[:k]) for _ in range(DRAWS)], 0)
        for k in SOME
    ]
)
linear = LogisticRegression(max_iter=2000).fit(data.x_train, data.y_train)
baseline = linear.score(data.x_test, data.y_test)

# %% varies=true
for name, values in last.items():
    print(f"residual, the last k deleted, {name}:", values.mean(1).round(2))
print("residual, any 3 to 7 deleted, re-estimated:             ", scattered.mean(1).round(2))
print("plain, the last k deleted, re-estimated:               ", plain_last.mean(1).round(2))
print(f"logistic regression on the 64 pixels: {baseline:.2f}")
stale, fresh = last.values()
reveal("last_five", fresh[5].mean(), within=0.03)
reveal("all_ten", fresh[10].mean(), within=0.1)

# %% varies=true claim="early_read_out" effect="repaired"
repaired = (fresh - stale)[5:].mean(0)  # per network, mean over five to ten deleted blocks
share = repaired.mean() / (whole["residual"] - stale[5:]).mean()
order = (fresh[SOME] - scattered).mean(0)  # per network, mean over three to seven deleted blocks
print(f"five to ten deleted: re-estimating brings back {interval(repaired):.2f}, {share:.0%} of the loss")
print(f"three to seven deleted: the last ones are cheaper than any, by {interval(order):.3f}")
assert interval(repaired).low > 0 and share > 0.6 and interval(order).low > 0 and fresh[5].mean() > 0.93
assert plain_last[1:].mean(1).max() < 0.3 and baseline > 0.94
dearer = "anywhere" if interval(order).low > 0 else "the last"
reveal("which_blocks", dearer if interval(order).excludes(0) else "no difference")

# %% varies=true
eight = f"{stale[8].mean():.2f} left, {fresh[8].mean():.2f} once the statistics fit"
title = f"Last eight blocks gone: {eight}; a linear model has {baseline:.2f}"
curves = {
    "plain, last k, re-estimated": plain_last,
    "residual, last k, re-estimated": fresh,
    "residual, last k, as it was": stale,
}
figures.show(
    paths_figures.read_outs(curves, SOME, scattered, baseline, title),
    alt="Test accuracy against the number of deleted blocks. Residual, last eight deleted: "
    f"{stale[8].mean():.2f} with the old statistics, {fresh[8].mean():.2f} with new ones; "
    f"plain, last one deleted: {plain_last[1].mean():.2f}; "
    f"logistic regression on the pixels: {baseline:.2f}.",
)

# %% [markdown]
# **What we should see.** With the old statistics reading out early looks like a slow decay, and one is tempted to
# call what is left the worth of the first blocks. About three quarters of that decay was the wrong scale.
# Re-estimated, a residual network without its last five blocks is nearly as good as the whole one. And it does
# matter, a little, which blocks go: the last ones are the cheapest.
#
# **What it does not show.**
#
# - That the first five blocks solve what ten were trained for. A logistic regression on the raw pixels is as good:
#   these digits are nearly a linear problem, and there is little left to refine. On a hard task the curve may look
#   different.
# - *Why* such a network trains well. We operated on networks that had trained already. And a plain network that
#   survives no deletion is not thereby a worse network: it was never asked to, and at ten blocks it is only a little
#   less accurate.
#
# ### The order of the blocks
#
# A crowd of independent voters would not care who speaks first. Do the blocks? We let four pairs of them change places:
# neighbours, or any two.

# %% varies=true claim="swaps" effect="price"
swapped = {}
for neighbours in (True, False):
    orders = [paths.swap_pairs(10, 4, rng, neighbours) for _ in range(DRAWS)]
    for name, net in nets.items():
        runs = [paths.accuracy_reordered(net, o, x_train, x_test, y_test) for o in orders]
        swapped[name, neighbours] = np.mean(runs, axis=0)  # per network
        which = "neighbouring" if neighbours else "random"
        print(f"{name:8} 4 {which:12} pairs swapped, re-estimated: {swapped[name, neighbours].mean():.2f}")
price = swapped["residual", True] - swapped["residual", False]  # of being sent far away
print(f"residual: distant swaps cost {interval(price):.3f} more than those of neighbours")
assert interval(price).low > 0 and swapped["residual", True].mean() > 0.94
assert max(swapped["plain", True].mean(), swapped["plain", False].mean()) < 0.3

# %% [markdown]
# These blocks hardly mind changing places with a neighbour, and mind it a little to be sent far away. Steps of a
# refinement would behave like that; so would a crowd whose members work at different scales.
#
# ## 3 · A crowd of paths
#
# Where does the residual network's toughness come from? Look at its gradient. Write $J_i$ for the Jacobian of
# branch $i$. Backward through $n$ residual blocks the gradient $v$ that arrives at the end of the stream meets
# the product
#
# $$ (I + J_0^\top)(I + J_1^\top) \cdots (I + J_{n-1}^\top)\, v \;=\; v + \sum_i J_i^\top v + \sum_{i<j} J_i^\top J_j^\top v + \dots $$
#
# Multiplied out these are $2^n$ terms, one for each choice of "through the branch" or "past it": $2^n$
# **paths** (Veit et al. 2016). A path of length $k$ goes through $k$ branches. The document that speaks of
# "an alternative path for the gradient" is right, and modest: ten blocks have 1024. Deleting one block leaves
# half of them; a plain network has one path, and every deletion cuts it. For three blocks we can draw them all:

# %%
figures.show(*drawings.paths(blocks=3))

# %% [markdown]
# Which of them carry the gradient? Let every branch be random and independent, with
# $\mathbb{E}\,|J_i^\top v|^2 = g\,|v|^2$. (For a linear branch this $g$ is lesson 4's gain; behind a ReLU it
# is half of that.) Then a path of length $k$ carries $g^k |v|^2$ on average, and different paths are
# uncorrelated (why? two paths differ in some block, whose $J_i$ has mean zero), so that their squares simply
# add up.
#
# **Predict** for $n = 10$ and $g = 1/3$ (torch's default for a linear layer): which length is the most
# frequent, and which carries the most?

# %% predict="most_frequent"
predict("most_frequent", ...)

# %% predict="carries_most"
predict("carries_most", ...)

# %% [markdown]
# ### Exercise 2 · The share of each length (3 points, easy, about 10 minutes)
#
# Write `path_share(n, g)`: the share of the expected squared gradient that all paths of length $k$ carry
# together, for $k = 0, \dots, n$.
#
# <details><summary>Hint 1: a nudge</summary>
#
# How many paths go through exactly $k$ of $n$ branches? And what does one of them carry?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Choosing $k$ of $n$ is what the binomial coefficient counts (`math.comb`); one path of length $k$ carries $g^k$, and the
# squares of different paths add up. A share is one length's part of what all lengths carry together. Does that sum have a
# short form? Compare it with the binomial theorem.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# carried = np.array([... for k in range(...)])  # how many paths, times what one carries
# return ...  # so that the entries add up to 1
# ```
#
# </details>


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


# %%
def shares_of_length(n=10, g=1 / 3):
    return paths_figures.share_shot(path_share(n, 1.0), path_share(n, g), g)


panel = panels.Panel(shares_of_length, paths_figures.share_stage, paths_figures.SHARE_CONTROLS)
panel.show()
reveal("most_frequent", path_share(10, 1.0).argmax())
reveal("carries_most", path_share(10, 1 / 3).argmax())

# %% [markdown]
# Move the sliders: how large must $g$ be for the typical path to be carrying the most? What does depth alone
# do at a fixed $g$?

# %% live=true
panel.live()

# %% claim="binomial_shares"
shares = path_share(10, 1 / 3)
print("lengths 0, 1, 2 carry", shares[:3].round(4), "- mean length", round(float(shares @ np.arange(11)), 2))
assert np.allclose(shares[:3], [0.0563, 0.1877, 0.2816], atol=5e-5)
assert math.isclose(shares @ np.arange(11), 10 * (1 / 3) / (1 + 1 / 3))

# %% [markdown]
# The shares are a binomial distribution with $p = g/(1+g)$: the mean length is $np$. Depth does not make the
# gradient's paths as long as the network, only $p$ times as long.
#
# ### The count of Veit et al. (optional)
#
# Veit et al. measured a residual network of 110 layers, which has 54 blocks of two layers. Almost all of its
# gradient, they report, came along paths of 5 to 17 blocks. But they count differently: they multiply the number
# of paths of a length by the mean *magnitude* of the gradient on such a path, its length, not its square.
# Magnitudes add up if all paths point the same way, squares if they point in unrelated directions. Let $a$ be
# the factor by which one more branch multiplies the magnitude; then $g = a^2$. What do both counts say?

# %% claim="veit_amplitude"
blocks = np.arange(55)
in_range = (blocks >= 5) & (blocks <= 17)
middle = (5 + 17) / 2
amplitude = middle / (54 - middle)  # the a whose mean length 54 a / (1 + a) lies in the middle of the range
by_magnitude, by_square = path_share(54, amplitude), path_share(54, amplitude**2)

print(f"the range holds {path_share(54, 1.0)[in_range].sum():.2%} of the paths")
print(f"a = {amplitude:.3f} puts {by_magnitude[in_range].sum():.0%} of the summed magnitudes there")
print(
    f"g = a² = {amplitude**2:.3f}: the squared gradient has the mean length {by_square @ blocks:.1f} blocks"
)
assert by_magnitude[in_range].sum() > 0.95 and path_share(54, 1.0)[in_range].sum() < 0.01
assert by_square @ blocks < 4 and by_square[in_range].sum() < 0.3

# %% [markdown]
# One number is enough to tell their story, down to the share of the paths, which they give as 0.45 %. Counted by
# squares, the same network would have paths of three blocks only. So before we ask how long the effective paths
# are we have to know whether paths point the same way. And a formula with a free parameter can be made to fit a
# range.
#
# ## 4 · The gradient, path by path
#
# So far the branches were random and independent. Those of a trained network are neither, so we measure. There is no
# need to sample paths. The sum over all paths of one length can be computed exactly, backwards
# through the network, without listing $2^n$ of them. How? Think of what a block does to a gradient that has
# come through $k$ branches so far.
#
# ### Exercise 3 · The gradient through exactly k branches (5 points, hard, about 20 minutes)
#
# Write `gradient_through_k(jacobians, cotangent)`. Row $k$ of the result is the sum over all paths through
# exactly $k$ branches, so that the rows add up to the whole gradient. `jacobians[i]` is
# $J_i = \partial F_i / \partial h_i$; block 0 is next to the input, and the gradient meets the last block
# first. (A *cotangent* is the gradient that arrives, here $v$.)
#
# <details><summary>Hint 1: a nudge</summary>
#
# Do it by hand for two blocks: which terms does $(I + J_0^\top)(I + J_1^\top)\, v$ have, and how many factors does each of
# them have?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Go backwards through the network and keep one row for each number of branches so far; at the start everything is in row 0.
# What is in row $k$ behind a block has two origins: what was in row $k$ and went past the branch, and what was in row
# $k - 1$ and came through it, with $J^\top$. Make sure that you use the *old* row $k - 1$.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# rows = np.zeros(...)
# rows[0] = ...
# for J in ...:  # which block does the gradient meet first?
#     through = ...  # what each row becomes if it goes through this branch
#     ...  # it moves on by one row, and adds to what went past
# return rows
# ```
#
# </details>


# %% answer="gradient_through_k"
def gradient_through_k(jacobians: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Split the gradient through n residual blocks h + F_i(h) by how many branches it came through.

    Args:
        jacobians: (n, N, N), float64: jacobians[i][a, b] is dF_i,a / dh_b; block 0 comes first in the net.
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

# %% [markdown]
# First the case that the formula was made for: 20 draws of 10 random linear branches, $g = 1/3$, width 256.

# %% claim="independent_paths" effect="squares"
rng = np.random.default_rng(SEED)
squares = []
for _ in range(20):
    rows = gradient_through_k(paths.random_jacobians(10, 256, 1 / 3, rng), rng.normal(size=256))
    squares.append((rows**2).sum(1) / (rows**2).sum())
measured, error = np.mean(squares, 0), np.std(squares, 0, ddof=1) / math.sqrt(20)
print("predicted", shares[:5].round(3))
print("measured ", measured[:5].round(3), "±", error[:5].round(3))
assert (abs(measured - shares) < 4 * error + 1e-3).all()

# %% [markdown]
# Formula and measurement agree. Now the residual networks of section 1, before and after their training.
#
# **Predict.** Every branch starts with $g = 1/3$ and a ReLU, which lets half through: $g/2 = 1/6$. Before training: is
# the gain of a branch, $|J_i|_F^2 / N$ (the sum of its squared entries over the width), the same in all ten blocks, or
# does it rise or fall from the first block to the last? And does training make the gradient's paths longer or shorter?

# %% predict="gains"
predict("gains", ..., ["the same", "rises", "falls"])

# %% predict="paths_by_training"
predict("paths_by_training", ..., ["longer", "shorter"])

# %%
untrained = paths.BlockNet(residual=True, seeds=SEEDS)
with torch.no_grad():
    untrained(x_train)  # batch norm takes its statistics from a pass in training mode
untrained = untrained.eval()


# %%
def by_paths(net, batch: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Jacobians (seeds, examples, n, N, N), and the gradient by length of path (..., n + 1, N)."""
    jacobians = paths.branch_jacobians(net, x_test[:batch])
    cotangents = paths.end_gradient(net, x_test[:batch], y_test[:batch])
    cotangents /= np.linalg.norm(cotangents, axis=-1, keepdims=True)
    rows = [
        [gradient_through_k(J, c) for J, c in zip(*examples, strict=True)]
        for examples in zip(jacobians, cotangents, strict=True)
    ]
    return jacobians, np.array(rows)


# %%
def path_lengths(net) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain of each branch; per network the share of each length, and |sum of paths|² / sum of |paths|²."""
    jacobians, rows = by_paths(net)
    by_length = (rows**2).sum(-1).mean(1)
    whole_gradient = (rows.sum(2) ** 2).sum(-1).mean(1)
    gains = (jacobians**2).sum((-1, -2)).mean((0, 1)) / jacobians.shape[-1]
    return gains, by_length / by_length.sum(1, keepdims=True), whole_gradient / by_length.sum(1)


# %% varies=true
both = {"untrained": path_lengths(untrained), "trained": path_lengths(nets["residual"])}
gains, observed, coherence = ({name: found[i] for name, found in both.items()} for i in range(3))
for name in both:
    print(f"{name:9} gains {gains[name].round(2)}")
    print(f"{'':9} |sum|² / sum of squares, per network: {coherence[name].round(1)}")
fall = gains["untrained"][0] / gains["untrained"][-1]
reveal("gains", "the same" if 0.8 < fall < 1.25 else "falls" if fall > 1 else "rises")

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
stem, stem_weights = {}, {}
with torch.no_grad():
    for name, net in {"untrained": untrained, "trained": nets["residual"]}.items():
        stem[name] = net.embed(x_test).pow(2).mean((1, 2)).sqrt().numpy()
        stem_weights[name] = net.stem.weight.flatten(1).norm(dim=1).numpy()

# %% varies=true claim="training_shortens_paths" effect="shorter"
for name in observed:
    print(
        f"{name:9} mean length {mean_length[name].mean():.2f} ± {mean_length[name].std(ddof=1):.2f}, "
        f"if paths were independent {independent[name] @ np.arange(11):.2f}"
    )
grown = [(size["trained"] / size["untrained"]).mean() for size in (stem, stem_weights)]
print(f"the stem's output grows {grown[0]:.2f}-fold, the length of its weights {grown[1]:.2f}-fold")
shorter = mean_length["untrained"] - mean_length["trained"]
print(f"shorter by {interval(shorter):.2f} branches")
assert (np.diff(gains["untrained"]) < 0.03).all() and gains["untrained"][0] > 3 * gains["untrained"][-1]
assert abs(mean_length["untrained"].mean() - independent["untrained"] @ np.arange(11)) < 0.25
assert shorter.min() > 0 and coherence["untrained"].max() < 1.6 < coherence["trained"].mean()
assert observed["trained"][:, :3].sum(1).min() > 0.75 and (stem["trained"] > stem["untrained"]).all()
reveal("paths_by_training", "shorter" if shorter.mean() > 0 else "longer")

# %% varies=true
titles = [f"{name}: mean length {mean_length[name].mean():.1f}" for name in observed]
title = f"Gradient by path length, all {NETWORKS} networks: training shortens the paths"
figures.show(
    paths_figures.lengths(observed, independent, titles, title),
    alt="Share of the squared gradient by path length. Untrained, the measurement follows the prediction for "
    f"independent paths, mean length {mean_length['untrained'].mean():.1f}. "
    f"Trained, the paths are shorter, {mean_length['trained'].mean():.1f}; "
    f"independent ones would have {independent['trained'] @ np.arange(11):.1f}.",
)

# %% [markdown]
# **What we should see.** In every network training shortens the paths, until about four fifths of the squared
# gradient of a ten-block network passes at most two branches. So far Veit et al. are right, at our small scale.
#
# **What it does not show.**
#
# - *Why* they get shorter. One part is plain bookkeeping: training makes the stem's output larger, as the printed
#   factors show (its weights grow, and turn towards what differs between the images), so that batch norm divides by
#   more and every branch weighs less. Nothing clever need have happened in the blocks.
# - That the paths are independent voices. Before training, the squares add up, more or less (the ratio, the
#   **coherence**, is near 1). After training the square of the sum is about twice the sum of squares: paths of
#   different length *point the same way*. So the squares of section 3 leave out that the paths agree. (The magnitudes of
#   its optional part take for granted that they agree completely: neither count is right.)
# - That the long paths are useless: the forward pass needs what they compute.

# %% [markdown] question="ensemble"
# ### Question · Ensemble or iterative refinement? (4 points, about 12 minutes)
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
# Deleting one block costs a few per cent, most where it is the first, less with re-estimated statistics: both readings predict it,
# a crowd loses half its members but keeps as many, a refinement loses one small step. The gradient runs along
# paths of one or two branches, as the ensemble reading says. But after training the paths point the same way
# (the square of the sum is about twice the sum of squares), so their contributions are not those of independent
# members. With re-estimated statistics reading out early costs less than deleting as many blocks anywhere, and
# neighbours can be swapped almost for free, while distant swaps hurt a little: order matters as in a refinement;
# voters have no order. The first block being the dearest also speaks against members that can replace each
# other. (All this on digits that a linear model nearly solves.)
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
# ### Exercise 4 · A slice through the loss (5 points, hard, about 18 minutes)
#
# Write `landscape_slice(net, direction, steps, x, y)`: the mean cross-entropy of every network of the stack
# at $w + a\,d$ for each step $a$, with $d$ filter-normalised.
# `torch.func.functional_call(net, weights, (x,))` computes with other weights than the net's own, and
# `training.stacked_loss(logits, labels)` gives one mean loss per network for logits (S, batch, classes) and
# labels (S, batch). The network must come out as it went in.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Two things are asked for: a direction in which each unit's part is as long as the unit's weights, and the loss at a few
# points along it. Which axis of `weight[s, u, :]` is one unit's vector?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# `weight.norm(dim=..., keepdim=True)` gives one length for each unit, in a shape that can be divided by. Build a dict of
# moved weights for each step, from the weights themselves and not from those of the last step, and hand it to
# `torch.func.functional_call`: the network keeps its own. `stacked_loss` wants labels for each network: `y.expand(S, -1)`.
# Under `torch.no_grad()` the losses come without a graph.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# weights = ...  # name -> tensor, for the names in direction
# scaled = ...  # name -> the direction, each unit's part as long as its weights
# losses = []
# with torch.no_grad():
#     for a in steps:
#         moved = ...
#         logits = torch.func.functional_call(net, moved, (x,))
#         losses.append(...)  # (S,)
# return ...  # (S, number of steps)
# ```
#
# </details>


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
        direction: name of a weight -> tensor of its shape (S, units, inputs), no part of it zero;
            `weight[s, u, :]` goes into unit u of network s. Parameters that are not named stay as they are.
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

# %% varies=true
line = np.linspace(-RADIUS, RADIUS, 41)
few, labels = x_train[:128], y_train[:128]
slices = {
    name: landscape_slice(net, landscape.random_direction(net, SEED + 1), line, few, labels)
    for name, net in nets.items()
}
highest = {name: values.max(1) for name, values in slices.items()}
for name, values in highest.items():
    print(f"{name:8} highest loss on the slice: {values.mean():5.1f} ± {values.std(ddof=1):.1f} nats")

# %%
titles = [f"{name}: up to {highest[name].max():.0f} nats" for name in slices]
title = f"The loss along one line through the weights, {NETWORKS} networks of each kind"
top = 1.05 * max(values.max() for values in highest.values())
fig, axes = figures.panels(titles, title, xlabel="step $a$ / length of the weights", ylim=(0, top))
for i, (ax, name) in enumerate(zip(axes, slices, strict=True)):
    ax.plot(line, slices[name].T, color=figures.COLOURS[i], linewidth=1.1)
axes[0].set_ylabel("loss / nats")
figures.show(
    fig,
    alt="Loss along one random filter-normalised line through the weights. The highest values are "
    f"{highest['plain'].mean():.0f} nats in the plain nets on average, "
    f"{highest['residual'].mean():.0f} in the residual ones.",
)

# %% [markdown]
# One line tells little. Which kind rises higher along it hangs on the networks and on the direction: with other
# seeds the order may turn round. So we assert nothing here.
#
# Now two directions, a grid of 21 × 21 points, and a number beside the picture. At every inner point we take
# the Hessian of the slice, its 2 × 2 matrix of second derivatives, from the heights at the points around; its
# eigenvalues are the **principal curvatures**. Where the smaller one is negative, the surface is **not convex**.
#
# **Predict.** At which share of the points, from 0 to 1, is the surface not convex: around plain networks, and around
# residual ones?

# %% predict="rough_plain"
predict("rough_plain", ...)

# %% predict="rough_residual"
predict("rough_residual", ...)

# %% varies=true claim="rougher" effect="difference"
spacing = 2 * RADIUS / (POINTS - 1)


def heights(net) -> np.ndarray:
    return landscape.surface(net, (SEED + 1, SEED + 2), RADIUS, POINTS, few, labels)


surfaces = {name: heights(net) for name, net in nets.items()}
rough = {name: landscape.non_convex_share(h, spacing) for name, h in surfaces.items()}
for name, values in rough.items():
    print(f"{name:8} not convex: {interval(values):.2f}, per network {values.round(2)}")
difference = rough["plain"] - rough["residual"]
assert difference.min() > 0.03 and interval(difference).low > 0.05
reveal("rough_plain", rough["plain"].mean(), within=0.1)
reveal("rough_residual", rough["residual"].mean(), within=0.03)

# %% varies=true
steps = np.linspace(-RADIUS, RADIUS, POINTS)
titles = [f"{name}: {rough[name][0]:.1%} not convex" for name in surfaces]
title = "The loss around the weights of the first network of each kind (orange: bent downwards)"
figures.show(
    paths_figures.surfaces({name: h[0] for name, h in surfaces.items()}, steps, titles, title),
    alt="Contours of the loss of one plain and one residual net over two filter-normalised directions, "
    "with the points that are not convex in orange: "
    f"{rough['plain'][0]:.0%} of the plain surface and {rough['residual'][0]:.1%} of the residual one.",
)

# %% [markdown]
# In every pair of networks the residual surface is the smoother one. But the plain networks also ended at a
# higher training loss. Is their surface rough *because they trained less well*?
#
# That can be answered. We train the plain networks further, at a lower rate, to a loss near the residual ones',
# and stop residual networks early, while their loss is still **higher** than that of any of those plain ones.
#
# **Predict.** If bad training makes a surface rough, the residual networks should now be the rougher ones. If the
# architecture does, it should still be the plain ones. Which are?

# %% predict="rougher_now"
predict("rougher_now", ..., ["plain", "residual", "neither"])

# %%
stopped = paths.BlockNet(residual=True, seeds=SEEDS)
training.train_stacked(stopped, data.x_train, data.y_train, steps=EARLY)
further = copy.deepcopy(nets["plain"])
training.train_stacked(further, data.x_train, data.y_train, steps=MORE, lr=0.02)
cases = {
    "plain": nets["plain"],
    "residual": nets["residual"],
    "plain, trained further": further,
    "residual, stopped early": stopped,
}

# %%
for name in list(cases)[2:]:
    rough[name] = landscape.non_convex_share(heights(cases[name]), spacing)
    loss[name], _ = training.evaluate_stacked(cases[name], data.x_train, data.y_train)

# %% varies=true claim="rough_at_equal_loss" effect="still_rougher"
for name, values in rough.items():
    print(f"{name:24} train loss {loss[name].mean():.4f}, not convex {interval(values):.3f}")
still_rougher = rough["plain, trained further"] - rough["residual, stopped early"]
assert loss["residual, stopped early"].min() > 3 * loss["plain, trained further"].max()
assert still_rougher.min() > 0.03
apart = interval(still_rougher)
reveal("rougher_now", "plain" if apart.low > 0 else "residual" if apart.high < 0 else "neither")

# %%
title = (
    f"Stopped at a higher loss, residual nets are at most {rough['residual, stopped early'].max():.1%} "
    f"not convex, plain nets trained further at least {rough['plain, trained further'].min():.0%}"
)
figures.show(
    paths_figures.roughness(loss, rough, title),
    alt="Share of points that are not convex against training loss, one mark per network. "
    + "; ".join(f"{name}: {values.min():.0%} to {values.max():.0%}" for name, values in rough.items()),
)

# %% [markdown]
# A residual network that was stopped at a higher loss sits in a bowl; a plain one that was trained further sits
# among dents. **At these losses the roughness comes from the architecture, not from the state of training.** Of all that this lesson measures
# this is the strongest claim: the rival explanation was named, tested, and failed.
#
# **What it does not show.**
#
# - Two directions out of thousands. A slice that is bent downwards proves that the whole surface is (its
#   curvature is a weighted mean of the true ones); a slice that looks like a bowl proves nothing.
# - That roughness makes training slow: cause or effect of what else differs.
# - The shares depend on the radius, on depth and on data. Take them as a comparison under equal conditions, not
#   as a property of "skip connections".
#
# ## 6 · Two suspects from earlier lessons, and the verdict
#
# **Vanishing gradients.** Three of the four documents say that skips cure them; the fourth, on the shortcut layer,
# speaks of degradation, as He et al. (2015) do. Lesson 7 measured: with batch norm the gradient of a plain
# network *grows* towards the input. Nothing vanishes there, and the networks are slow.
#
# **Shattered gradients** (Balduzzi et al. 2017). In plain nets the gradients at two different inputs have ever
# less to do with each other, so that a step that helps one example means nothing to the next. Lesson 4 has the
# prediction for wide ReLU networks without normalisation, at two orthogonal inputs. How much of it is the skip,
# and how much the small weights that come with it?

# %% claim="shattering"
alike = {
    (skip, gain): gradient_flow.shattering(10, gain=gain, skip=skip)[-1]
    for skip in ("none", "pre-activation")
    for gain in (1 / 3, 1, 2)
}
for (skip, gain), cosine in alike.items():
    print(f"skip {skip:14} g = {gain:.2f}: cosine of the two input gradients after 10 layers {cosine:.3f}")
assert alike["none", 1 / 3] == alike["none", 2]
assert alike["pre-activation", 1 / 3] > 3 * alike["pre-activation", 2] > 9 * alike["none", 2]

# %% [markdown]
# Without a skip the weights' scale does not matter. With one it does: at He's $g = 2$ the skip keeps a quarter of
# what it keeps at torch's default $g = 1/3$. So it takes the skip *and* small branches, as in lesson 7.
#
# | explanation | what it says | what we measured | what is left open |
# |---|---|---|---|
# | gradients vanish without skips | the norm shrinks with depth | with batch norm it *grows* (lesson 7); without norm and with a poor start it does shrink (lessons 3, 4) | says nothing on nets whose norms are healthy |
# | shattered gradients (Balduzzi et al. 2017) | plain gradients decorrelate | yes, at initialisation, and less so with skips and small branches; nearly equal networks part within ten steps only if they are plain *and* have batch norm (lesson 7) | whether it makes them slow: without batch norm they do not part, and are slow |
# | short paths (Veit et al. 2016) | gradient travels along short paths | yes, and shorter after training; but the paths are not independent | why forward depth still helps |
# | refinement (Greff et al. 2017) | blocks improve one estimate | early read-out and swaps fit, once the statistics are re-estimated; but the task is nearly linear | what exactly is refined |
# | near identity (De and Smith 2020) | batch norm shrinks branches | gains fall with the block's number | remedies without norm work too (lesson 7) |
# | smoother loss (Li et al. 2018) | skips make the surface convex more widely | yes, in our slices, and not because plain nets are trained less well | does smoothness make training faster? |
#
# The paper itself (He et al. 2015) claimed less than is told of it: plain networks get *harder to optimise*
# with depth, a block that has to learn only the difference from the identity is easier to fit, and the effect survives where gradients are
# healthy. The follow-up (He et al. 2016) adds why the identity should stay clean: any factor $\beta \ne 1$ on
# the shortcut becomes $\beta^n$ over $n$ blocks (lesson 6).

# %% claim="clean_identity"
for factor in (0.8, 1.0, 1.2):
    ten, many = factor ** (2 * 10), factor ** (2 * 54)
    print(
        f"shortcut × {factor}: past all 10 blocks comes {ten:8.4f} of the squared gradient, "
        f"past 54 blocks {many:.1e}"
    )
assert 0.8 ** (2 * 54) < 1e-10 < 1e8 < 1.2 ** (2 * 54)

# %% [markdown]
# ## 7 · The four documents, once more (optional)
#
# The course grew out of four documents: the notebook on an iterated convolution by the GitHub user vadhri (lessons
# 1 and 2), a notebook with a tanh chain, a small net and questions (3 and 7; our copy names neither author nor
# licence), a chapter "Skip Connections" with its exercise (3, 5 and 8), and the page "Shortcut Layer" of NumPyNet
# by N. Curti and M. Ceccarelli (6). Those lessons cite them in full. One line of code for each, of what they
# showed us:

# %%
from scipy.signal import convolve2d

image, death = np.ones((8, 8), np.float32), 0
kernel = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) * np.float32(0.05)
while (image := convolve2d(image, kernel, mode="same")).any():
    death += 1
saturated = torch.tanh(torch.tensor(10.0)).item()
overlap = np.ones((4, 4))
overlap[::2, ::2] += np.ones((2, 2))

# %%
print("iterated convolution:  all zero at iteration", death)
print(
    "tanh chain:            tanh(10) in float32 is", saturated, "so the first gradient is", 1 - saturated**2
)
print("chapter and exercise:  the block fits images of side", [n for n in range(1, 100) if n // 4 + 3 == n])
print("shortcut layer:        rows", overlap[0], overlap[1])

# %% claim="four_documents"
assert death == 362 and saturated == 1.0
assert overlap[:2].tolist() == [[2, 1, 2, 1], [1, 1, 1, 1]]
eye, J = np.eye(3), np.random.default_rng(SEED).normal(size=(3, 3))
print("chapter again:         (I + J)ᵀ v is v:", np.allclose((eye + J).T @ np.ones(3), np.ones(3)))
assert not np.allclose((eye + J).T @ np.ones(3), np.ones(3))  # "multiplied by one" forgets J

# %% [markdown]
# | document | right | wrong | where |
# |---|---|---|---|
# | **iterated convolution** | the signal dies, at 362; every printed digit reproduces | what dies there is the *activation*; softmax, not the skip, keeps values alive, and makes the *gradient* die twelve times sooner; its "DenseNet" concatenates nothing but sums, and is the only true residual stream in it; its one-hot result is rounding noise | 1, 2 |
# | **tanh chain, small net, questions** | the four gradients; a good set of questions | the first gradient is zero from saturation, not depth, and its own skip line makes all four zero; the small net has no skip and memorises random labels; "that's all the paper was saying" | 3, 7 |
# | **chapter and exercise** | extra paths for the gradient (1024 of them for ten blocks); concatenation keeps early features | the update rule's derivative; "multiplied by one" is $I + J$; its ReLU lets the stream only grow; its block fits sides of 3 and 4 alone; a stalled loss has many causes; dense connections end at the block | 3, 5, 8 |
# | **shortcut layer** | it names the degradation problem, on the *training* set; a weighted sum, strides, and the transpose backward | `is (None, None, None)` never holds, so no unequal shapes; swapped indices; weights that forward and backward do not share; gradients that start as noise; "no extra parameters" only for identity and option A | 6 |
#
# A fair reading: the documents' *code* was mostly honest, it printed what it computed. It was the sentences
# around the code that said more than the code showed. That is the temptation of any notebook, and ours is no
# exception.
#
# ## 8 · And this course?

# %% [markdown] question="criticism"
# ### Question · Criticise this course (4 points, about 15 minutes)
#
# Our own experiments were small: in lessons 7 and 9 images of 8 × 8 pixels, 1437 of them, networks of width 32 and five to
# ten seeds; in lesson 8 2,000 curves of 40 points, smaller networks still and up to 100 seeds; minutes of training in all.
# Pick **two** claims of the course that rest on training (lessons 7 to 9). For each: what exactly was
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
#   room for differences, and a linear model reaches .96; width 32, where theory is for infinite width; full knowledge of the test set while
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
# be deleted. *Claim 2, lesson 9:* "the residual loss surface is smoother, at equal training loss too". Shown for
# two random directions, one radius, ten blocks, one learning rate for both kinds and plain nets that train. A
# convolutional net with weight decay and learning-rate drops ends elsewhere, in a place that may be smoother.
#
# *Experiment for claim 2:* CIFAR-10, a 20-layer network with and without skips, 10 seeds each. Tune the
# learning rate for each kind with the same number of trials on a validation set, keep checkpoints, and compare
# the share of non-convex points at checkpoints of the same training loss, in five pairs of directions at three
# radii. If at equal training loss the intervals overlap, I give up "skips make the surface smooth" and keep only
# "small nets on digits did so".
# ### END SOLUTION

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Twenty residual blocks with independent branches of $g = 1/4$. How long is the gradient's path, on average? We
# delete ten of the blocks: what becomes of that length, and how many of the paths are left?
#
# <details><summary>An answer</summary>
#
# $p = g / (1 + g) = 0.2$, so the mean length is $20 \cdot 0.2 = 4$ branches, and $10 \cdot 0.2 = 2$ after the deletion: the
# share of the blocks that a path goes through stays. Of the $2^{20}$ paths $2^{10}$ are left, one in 1024. In a plain
# network nothing is left of the only path.
#
# </details>
#
# **2.** "Without block 7 the accuracy falls from 0.97 to 0.60, so block 7 knows more than a third of the task." What
# would you measure before you believe that?
#
# <details><summary>An answer</summary>
#
# The accuracy without block 7 once whatever the later blocks have stored about the stream, here the batch norms'
# statistics, fits the shortened network. The operation has a price of its own, and only what then remains is the
# block's. And the same for other blocks: is 7 special? Even so it is what *this* network loses without the block; one
# that had trained without it might lose nothing.
#
# </details>
#
# **3.** At some point a loss has 1000 principal curvatures: 990 of them are 1, ten are −10. What do random slices
# through it look like?
#
# <details><summary>An answer</summary>
#
# Like bowls, nearly always. The curvature along a random direction is a mean of all 1000, about
# $(990 - 100) / 1000 = 0.89$, and it seldom strays far: a hundred thousand random directions that we drew gave from 0.55
# to 1.00. And yet the surface falls steeply in ten directions. So a slice that is bent downwards proves something, one
# that looks like a bowl does not.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# We began with a signal that dies at iteration 362, and have now six explanations, each of them half tested.
# All were tested on networks of 2015. Transformers add a skip around every branch too, a hundred layers and more,
# with another norm and on another kind of data. *Which of the six explanations would you expect to survive there,
# and what would you measure first?* Write it down: lesson 10 goes to see.
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
