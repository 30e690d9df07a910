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
# # 10 · What came after: long skips and wide streams
#
# {{badge}}
#
# Lesson 9 ended with a question: transformers have a skip around every branch, a hundred layers and more, another
# norm and another kind of data. **Which of our explanations survive there?** This lesson goes to see. It looks at
# five things that were done with skips after 2015, each small enough to build and to test in minutes:
#
# 1. *long* skips, from the start of a network to its end;
# 2. the place of the *norm*, inside or behind the skip;
# 3. the stream as something that can be *read*;
# 4. blocks that are *left out* at random;
# 5. *several* streams side by side.
#
# **Objectives.** After this lesson you can
#
# - build the forward pass of a U-Net, and show by a rank what its long skips carry;
# - join a branch to a stream in three ways, and say what each does to the stream and to training;
# - split a network's answer exactly into what each of its layers has added;
# - say what stochastic depth and doubly stochastic mixing buy, and at which price.
#
# **Prerequisites.** Lessons 5, 7 and 9; convolutions; matrix products and singular values.
#
# **Time:** about {{minutes}} minutes without the parts marked *optional*; before section 3 is a good place for a
# break. {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Sources.** U-Net: Ronneberger et al. (2015), [arXiv:1505.04597](https://arxiv.org/abs/1505.04597). DeepNorm:
# > Wang et al. (2022), [arXiv:2203.00555](https://arxiv.org/abs/2203.00555). Stochastic depth: Huang et al. (2016),
# > [arXiv:1603.09382](https://arxiv.org/abs/1603.09382). Hyper-connections: Zhu et al. (2024),
# > [arXiv:2409.19606](https://arxiv.org/abs/2409.19606), and mHC: Xie et al. (2025),
# > [arXiv:2512.24880](https://arxiv.org/abs/2512.24880).
# >
# > **Five words.** *Stream* and *branch*: as in lesson 9. *Layer norm*: takes the mean over the units of one example
# > away and divides by their deviation. *Unembedding*: the matrix that makes logits of a stream. *Doubly
# > stochastic*: a matrix of numbers from 0 to 1 whose rows and columns all sum to 1. *Rank*: how many singular
# > values of a matrix are not 0.
# >
# > **Symbols.** $L$: number of layers. $N$: the width of a stream. $h$: the stream, $f$: a branch. $\alpha$: a factor on
# > the skip. $p$: the probability that the last block survives. $n$: number of streams. $M$: an $n \times n$ matrix that
# > mixes them.
#
# All symbols are on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import logsumexp, softmax

from helpers import datasets, drawings, figures, segmentation, segmentation_figures, stochastic_depth, streams
from helpers import streams_figures, training, transformer
from helpers.architectures import parameter_count
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import what_came_after as check
from helpers.statistics import interval
from helpers.transformer import layer_norm

torch.set_num_threads(1)

# %% parameters=true
SEED = 0  # every random draw of this lesson derives from it
NETWORKS = 3  # networks of each kind; their seeds are SEED, SEED + 1, ...
UNET_STEPS = 40  # training steps of the U-Nets
SUM_STEPS = 100  # training steps of the transformers
DIGIT_STEPS = 88  # training steps of the networks with stochastic depth: eight passes
DRAWS = 12  # random products of mixing matrices

# %% [markdown]
# ## 1 · Long skips
#
# The chapter that lesson 5 took its exercise from gives a second reason for skips, beside the gradient: for tasks
# like *segmentation*, where every pixel gets an answer, "some information was captured in the initial layers" and
# would otherwise be "too abstract". We have not tested that yet.
#
# Here is such a task: which pixels belong to a shape? A network has to see far to tell a shape from noise, so it
# halves the size again and again. But the answer has full size. A **U-Net** goes down and up again, and hands what
# it had on the way down over to the way up.

# %%
figures.show(*drawings.unet(segmentation.UNet(), side=16))

# %% [markdown]
# Unlike the skips of lesson 5 these *concatenate*, as lesson 8's do. And without them, everything that the way up
# knows has come through the bottom.
#
# ### Exercise 1 · The forward pass of a U-Net (5 points, medium, about 18 minutes)
#
# Write `unet_forward(net, x)`. On the way down, for each layer of `net.down` but the last: apply it, *keep* what it
# gives, then halve the size with `F.max_pool2d(h, 2)`. The last layer of `net.down` is the bottom. On the way up, for
# each layer of `net.up`: double the size with `F.interpolate(h, scale_factor=2)`; if `net.skips`, concatenate what was
# kept at this size behind the channels of $h$; then apply the layer. At the end `net.head` makes one number per pixel,
# a logit, as a single channel; the answer has no axis for it.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Follow one picture of 16 × 16 through the drawing with a pencil, and write its height and width beside each arrow. Which
# of the kept features does the first layer of `net.up` need?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# What is kept last is used first: a list with `append` and `pop`. Features are kept *before* pooling, so that their size is
# the one that upsampling comes back to. Channels are axis 1 of (batch, channels, height, width).
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# kept, h = [], x
# for layer in net.down[:-1]:
#     ...  # the layer, keep, pool
# h = ...  # the bottom
# for layer in net.up:
#     ...  # double the size
#     if net.skips:
#         h = torch.cat([..., ...], ...)
#     ...
# return ...  # (batch, height, width)
# ```
#
# </details>


# %% answer="unet_forward"
def unet_forward(net: segmentation.UNet, x: torch.Tensor) -> torch.Tensor:
    """Give one logit per pixel.

    Args:
        net: its parts `down`, `up` and `head`; `skips` says whether features are handed over. Its mode and
            its numbers are left as they are.
        x: pictures (batch, 1, height, width); both sides can be halved len(net.up) times.

    Returns:
        (batch, height, width), logits.
    """
    ### BEGIN SOLUTION
    kept, h = [], x
    for layer in net.down[:-1]:
        h = layer(h)
        kept.append(h)
        h = F.max_pool2d(h, 2)
    h = net.down[-1](h)
    for layer in net.up:
        h = F.interpolate(h, scale_factor=2)
        if net.skips:
            h = torch.cat([h, kept.pop()], 1)
        h = layer(h)
    return net.head(h)[:, 0]
    ### END SOLUTION


# %% check="unet_forward" points=5
check.unet_forward(unet_forward)

# %% [markdown]
# The pictures are made on the spot: three ellipses and a curve one pixel wide, under noise. A few nets of each kind
# learn from 256 of them, for `UNET_STEPS` steps of Adam, and are asked about 256 new ones. To be fair, the nets without
# skips are made *wider*, so that they have more parameters.
#
# We measure the *intersection over union*: of all pixels that belong to the true shapes, to the answer, or to both, the
# share that belongs to both. 1 is perfect.
#
# **Predict.** How large is it with long skips, and without? And the mistakes that are added when the skips are taken
# away: of which pixels do they spoil the larger share, of those next to the borders of the shapes, of those elsewhere,
# or about the same of both?

# %% predict="with_long_skips"
predict("with_long_skips", ...)

# %% predict="without_long_skips"
predict("without_long_skips", ...)

# %% predict="wrong_pixels"
predict("wrong_pixels", ..., ["next to borders", "elsewhere", "about the same"])

# %%
SEEDS = range(SEED, SEED + NETWORKS)
pictures, truth = segmentation.shapes(256, seed=SEED)
new_pictures, new_truth = segmentation.shapes(256, seed=SEED + NETWORKS)
edge = segmentation.border(new_truth)

nets = {
    "long skips": [segmentation.UNet(8, skips=True, seed=seed) for seed in SEEDS],
    "no skips": [segmentation.UNet(10, skips=False, seed=seed) for seed in SEEDS],
}

# %%
for each in nets.values():
    for seed, net in zip(SEEDS, each, strict=True):
        segmentation.train(net, unet_forward, pictures, truth, steps=UNET_STEPS, seed=seed)
with torch.no_grad():
    said = {name: [unet_forward(net, new_pictures) for net in each] for name, each in nets.items()}

found, wrong = {}, {}
for name, answers in said.items():
    found[name] = np.array([segmentation.iou(logits, new_truth) for logits in answers])
    misses = [(logits > 0) != (new_truth > 0.5) for logits in answers]
    wrong[name] = np.array([[miss[edge].double().mean(), miss[~edge].double().mean()] for miss in misses])

# %% varies=true claim="long_skips_help" effect="gap"
for name, each in nets.items():
    size = f"{parameter_count(each[0]):,} parameters"
    print(f"{name:10} {size}, intersection over union {interval(found[name]):.3f}")
gap = found["long skips"] - found["no skips"]
more = wrong["no skips"] - wrong["long skips"]  # of each net: at borders, elsewhere
beside, beyond = more.mean(0)
print(f"gap {interval(gap):.3f}; more wrong pixels at borders by {beside:.3f}, elsewhere by {beyond:.3f}")
assert parameter_count(nets["no skips"][0]) > parameter_count(nets["long skips"][0])
assert gap.min() > 0.05 and (more[:, 0] > 2 * more[:, 1]).all()
reveal("with_long_skips", found["long skips"].mean(), within=0.05)
reveal("without_long_skips", found["no skips"].mean(), within=0.05)
where = "next to borders" if beside > beyond else "elsewhere"
reveal("wrong_pixels", "about the same" if 1 / 1.5 < beside / beyond < 1.5 else where)

# %%
share = {name: f"{values.mean():.2f}" for name, values in found.items()}
title = f"Intersection over union: {share['no skips']} without long skips, {share['long skips']} with"
rows = {
    "picture": new_pictures[:5, 0].numpy(),
    "truth": new_truth[:5].numpy(),
    "long skips": said["long skips"][0][:5].sigmoid().numpy(),
    "no skips": said["no skips"][0][:5].sigmoid().numpy(),
}
figures.show(
    segmentation_figures.masks(rows, title),
    alt="Five noisy pictures of ellipses and a curve, the true shapes, and what two nets say. "
    "With long skips the shapes have sharp borders, without them they are blurred blobs.",
)

# %% varies=true
with_skips, without = wrong["long skips"].mean(0), wrong["no skips"].mean(0)  # at borders, elsewhere
title = f"At borders {without[0]:.0%} of the pixels are wrong without skips, {with_skips[0]:.0%} with"
figures.show(
    segmentation_figures.errors(wrong, ["within a pixel of a border", "elsewhere"], title),
    alt="Share of wrong pixels. "
    f"At borders: {with_skips[0]:.2f} with long skips, {without[0]:.2f} without. "
    f"Elsewhere: {with_skips[1]:.3f} and {without[1]:.3f}.",
)

# %% [markdown]
# The chapter is right, and we can say what "too abstract" means: the net without skips knows *that* there is a
# shape, and not exactly *where* it ends. Is that a matter of training? Count what can come through. At the bottom
# there are 2 × 2 pixels with some channels, and without skips every logit is a function of these few numbers.
#
# **Predict.** A picture has 256 pixels, and the net gives 256 logits. What is the largest rank that the Jacobian of the
# logits with respect to the pixels (256 × 256) can have without skips, if the bottom has 8 channels?

# %% predict="largest_rank"
predict("largest_rank", ...)

# %% claim="bottom_bounds_the_rank"
picture = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
rank = {}
for skips in (True, False):
    net = segmentation.example_net(4, 3, skips, SEED)
    J = segmentation.jacobian(net, unet_forward, picture)
    rank[skips] = np.linalg.matrix_rank(J, rtol=1e-10)
    bottom = net.down[-1][0].out_channels * (16 // 2 ** len(net.up)) ** 2  # channels times pixels
    print(f"skips {skips!s:5} rank of the Jacobian {rank[skips]} of {len(J)}; numbers at the bottom {bottom}")
assert rank[False] <= bottom == 8 * 2 * 2 < 200 < rank[True]
reveal("largest_rank", bottom)

# %% [markdown]
# No training can lift that bound: the Jacobian is a product of two, pixels to bottom and bottom to logits, and so small
# changes of a picture reach the answer in at most 32 directions. (Fewer here: where a ReLU gives 0, at the bottom or on
# the way up, directions are lost.) Long skips go around the bottleneck. This merit is not in lesson 9's table, and no gradient has to
# vanish for it.
#
# **What it does not show.** That concatenation is needed. Adding what was kept, where the channels fit, goes around
# the bottom as well.
#
# ## 2 · Where the norm stands
#
# Back to short skips. A transformer reads a *sequence*, here of numbers, and answers at each of its positions. Its stream
# holds one vector of $N$ numbers for each position; at the start that is a learned vector for the symbol that stands
# there, plus one for the place. A layer has two branches: *attention*, which lets a position read the vectors at earlier
# ones, and an *MLP*, two linear maps with a ReLU between them, for each position by itself. Both are joined to the
# stream in the same way, and the question is where the norm goes:
#
# $$ \text{pre:}\; h + f(\mathrm{norm}(h)) \qquad \text{post:}\; \mathrm{norm}(h + f(h)) \qquad \text{DeepNorm:}\; \mathrm{norm}(\alpha h + f(h)) $$
#
# The first transformers were *post*. *Pre* is lesson 9's way and keeps the skip clean. DeepNorm (Wang et al. 2022)
# is *post* with a heavier skip, $\alpha = (2L)^{1/4} > 1$, and with branches whose weights start smaller, by a factor of
# $(8L)^{-1/4}$.
#
# ### Exercise 2 · Three ways to join (4 points, easy, about 10 minutes)
#
# Write `block(h, f, kind, alpha)`. `layer_norm(h)` normalises the last axis. An unknown kind is a `ValueError`.
#
# <details><summary>Hint 1: a nudge</summary>
#
# For each of the three formulas: what does the branch read, and what goes on as the stream?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# "Pre" normalises what the branch *reads*, and nothing else. The other two normalise the *sum*, and the branch reads $h$
# itself. `alpha` belongs to the skip of "deepnorm" alone. Do not change `h` in place: others still use it.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# if kind == "pre":
#     return ... + f(...)
# if kind == "post":
#     return layer_norm(...)
# if kind == "deepnorm":
#     return ...
# raise ValueError(...)
# ```
#
# </details>


# %% answer="block"
def block(h: torch.Tensor, f, kind: str, alpha: float = 1.0) -> torch.Tensor:
    """Join a branch to the stream.

    Args:
        h: the stream, (..., N); unchanged after the call.
        f: the branch, from (..., N) to the same shape.
        kind: "pre", "post" or "deepnorm".
        alpha: factor on the skip; counts for "deepnorm" only.

    Returns:
        The stream behind the branch, (..., N).

    Raises:
        ValueError: for an unknown kind.
    """
    ### BEGIN SOLUTION
    if kind == "pre":
        return h + f(layer_norm(h))
    if kind == "post":
        return layer_norm(h + f(h))
    if kind == "deepnorm":
        return layer_norm(alpha * h + f(h))
    raise ValueError(f"kind is {kind!r}: give 'pre', 'post' or 'deepnorm'")
    ### END SOLUTION


# %% check="block" points=4
check.block(block)

# %% [markdown]
# First the start, before any training: 32 layers of width 64. We look at the size of the stream, its rms over all
# units, behind each layer, and at the gradient of each layer's last weights. Beside "pre" and "post" there is "pre" with
# all branches multiplied by 0.01 (the start of *LayerScale*, Touvron et al. 2021, which learns such a factor a unit).
#
# **Predict.** With "pre" every branch reads a normalised stream, whatever the size of $h$, and so adds something of
# about the same size in every layer. How does the size of the stream grow with the number of layers $L$? And with
# "post": by what factor is the gradient of the first layer's weights larger (or smaller) than that of the last layer's
# weights? Popular accounts say that it vanishes. A factor of ten is near enough.

# %% predict="stream"
predict("stream", ..., ["like L", "like the root of L", "exponentially"])

# %% predict="first_to_last"
predict("first_to_last", ...)


# %%
def layer_scaled(h, f, kind, alpha):
    return block(h, lambda z: 0.01 * f(z), kind, alpha)  # small branches at the start: LayerScale


def at_the_start(way, kind: str, seed: int) -> tuple[list[float], list[float]]:
    """Size of the stream behind each layer, and of the gradient of each layer's last weights."""
    net = transformer.Transformer(way, kind, layers=32, width=64, seed=seed)
    states = net.stream(x)
    F.cross_entropy(net.read_out(states[-1]).flatten(0, 1), y.flatten()).backward()
    sizes = [h.detach().square().mean().sqrt().item() for h in states]
    return sizes, [layer.down.grad.norm().item() for layer in net.layers]


# %%
x, y = transformer.sums(8, torch.Generator().manual_seed(SEED))
ways = {"pre": (block, "pre"), "post": (block, "post"), "pre, branches × 0.01": (layer_scaled, "pre")}
starts = {name: [at_the_start(*way, seed) for seed in SEEDS] for name, way in ways.items()}
rms, slopes = ({name: np.array([run[i] for run in runs]).T for name, runs in starts.items()} for i in (0, 1))

# %% varies=true claim="stream_grows_as_root" effect="halfway"
growth = rms["pre"] ** 2 - rms["pre"][0] ** 2
halfway = growth[16] / growth[32]  # 0.5 if the square grows in a straight line
ratio = {name: each[0] / each[-1] for name, each in slopes.items()}
for name in ways:
    size = f"size at the end {rms[name][-1].mean():.2f}"
    print(f"{name:21} {size}, gradient first/last layer {ratio[name].mean():.1f}")
print(f"pre: after half of the layers the square has grown by {halfway.mean():.2f} of all it will")
assert abs(halfway.mean() - 0.5) < 0.2 and rms["pre"][-1].min() > 3
assert np.allclose(rms["post"][1:], 1, atol=1e-3) and 0.05 < ratio["post"].min() < ratio["post"].max() < 20
assert np.allclose(rms["pre, branches × 0.01"][-1] / rms["pre, branches × 0.01"][0], 1, atol=0.01)
laws = {"like the root of L": 1 / 2, "like L": 1 / 4, "exponentially": 0}  # what each says of `halfway`
reveal("stream", min(laws, key=lambda law: abs(laws[law] - halfway.mean())))
reveal("first_to_last", ratio["post"].mean(), factor=10)

# %%
line = np.sqrt(rms["pre"][0].mean() ** 2 + np.linspace(0, 1, 33) * growth[32].mean())
start, end = rms["pre"][[0, -1]].mean(1)
title = f"Pre-norm: the stream grows like a root of depth, {end / start:.1f}-fold in 32 layers"
figures.show(
    streams_figures.sizes(rms, line, title),
    alt=f"Size of the stream over 32 layers. Pre: from {start:.1f} to {end:.1f}, near the root of a straight "
    "line. Post: 1 throughout. Pre with small branches: constant.",
)

# %% [markdown]
# **What we should see.** With "pre" the branches add up like independent things: their *squares* add, so that the
# stream grows like $\sqrt{L}$: the dotted line is a stream whose square grows by the same in every layer. (It is lesson
# 4's way of counting, with a branch that stays as it is while the stream grows.) And it means that a late branch
# changes the stream by ever less. With "post" the stream has size 1 always, and the gradient of the first layer is of
# the size of the last one's (with other seeds a fifth of it, or four times as much): **nowhere near vanishing**, after
# 32 layers. LayerScale (and ReZero, which starts at 0) makes branches so small that the stream does not grow at all:
# lesson 7's remedy under a new name.
#
# So "pre" and "post" both start healthily. Do both train? The task: sequences of eight numbers from 0 to 10; say at each
# place the sum of this number and the one before, modulo 11. (The first has none before it: there the number itself is
# to be said, and no share of right answers counts that place.) Guessing costs $\ln 11 = 2.40$ nats.
#
# Eight layers, 150 steps of Adam: too long for a notebook. We trained them beforehand, each kind at its best of
# three learning rates (`python -m tests.reproduce_transformer`; what it measured, when and where stands at the top of
# `helpers/transformer_runs.py`). Post-norm is often trained with a *warm-up*, a learning rate that rises from 0 in the
# first steps, here in 50; we tried it with and without.
#
# **Predict.** Twenty networks of each kind, after 150 steps: which have the lower training loss?

# %% predict="ahead"
predict("ahead", ..., ["pre", "post", "neither"])

# %% claim="post_norm_trains_badly" effect="behind"
settings = {
    "pre": ("pre", 0.01, 0),
    "post": ("post", 0.001, 0),
    "post, warm-up": ("post", 0.001, 50),
    "DeepNorm": ("deepnorm", 0.01, 0),
}
loss = {name: transformer.measured("loss", *setting).ravel() for name, setting in settings.items()}
for name, values in loss.items():
    print(f"{name:14} loss after 150 steps {interval(values):.2f}, {values.size} networks")
behind = loss["post, warm-up"] - loss["pre"]
assert interval(behind).low > 1 and loss["DeepNorm"].max() < loss["post, warm-up"].min()
assert loss["post"].min() > 1.5 > loss["pre"].max()
ahead = "pre" if behind.mean() > 0 else "post"
reveal("ahead", ahead if interval(behind).excludes(0) else "neither")

# %%
curves = {name: transformer.measured("curve", *setting) for name, setting in settings.items()}
at_end = {name: f"{values.mean():.1f}" for name, values in loss.items()}
title = f"After 150 steps: post {at_end['post']} nats, pre {at_end['pre']}, DeepNorm {at_end['DeepNorm']}"
figures.show(
    streams_figures.training(curves, 10, np.log(11), title),
    alt="Training loss over 150 steps, mean and range over sets of five networks. "
    + "; ".join(f"{name}: {values.mean():.2f} at the end" for name, values in loss.items()),
)

# %% [markdown]
# Is it the learning rate? We tried three for each kind. If the best one is in the middle, a rate still further out would
# hardly have saved it. And is post-norm unable to learn the sums, or slow? We gave it four times the steps.

# %% claim="slow_not_unable"
tried = {"pre": (0.003, 0.01, 0.03), "post": (0.0003, 0.001, 0.003), "deepnorm": (0.003, 0.01, 0.03)}
at_rate = {
    (kind, rate): transformer.measured("loss", kind, rate, 50 if kind == "post" else 0)[0].mean()
    for kind, rates in tried.items()
    for rate in rates
}
for (kind, rate), value in at_rate.items():
    print(f"{kind:9} rate {rate:<7} loss {value:.2f}")
longer = transformer.measured("loss", "post", 0.001, 50, steps=600)[0]
print(f"post, warm-up, 600 steps at rate 0.001: {interval(longer):.2f}")
assert all(min(rates, key=lambda r: at_rate[kind, r]) == rates[1] for kind, rates in tried.items())
assert longer.max() < 0.2 < loss["post, warm-up"].min()

# %% [markdown]
# Training lets rounding errors grow, and older processors add up in another order. So we also trained with the
# instructions of two of them: one without AVX-512 ("avx2"), and one with what every 64-bit x86 has ("baseline").

# %% claim="the_same_elsewhere"
for old in ("avx2", "baseline"):
    there = {
        name: transformer.measured("loss", *setting, processor=old) for name, setting in settings.items()
    }
    print(f"{old:9}", ", ".join(f"{name} {values.mean():.2f}" for name, values in there.items()))
    assert there["post, warm-up"].min() > there["pre"].max() + 0.5 and there["DeepNorm"].max() < 1

# %% [markdown]
# **What we should see.** Healthy gradients at the start, and still post-norm trains badly: lesson 7's finding again, on
# another architecture. *Vanishing gradients* are not what ails it. A start nearer to the identity helps again: DeepNorm
# is post-norm with a heavy skip, which is a small branch said from the other end. And after four times the steps
# post-norm knows its sums as well: **slow, not unable**, as the plain networks of lesson 7.
#
# **What it does not show.** Which kind is better in the end, or on language. Many large models are "pre" today,
# some are not.
#
# ## 3 · Reading the stream
#
# With "pre" the stream is a *sum*: the start, plus what each layer has added. Only at the very end a norm and the
# unembedding make logits of it. So we may read it out anywhere: apply this norm and this matrix to the stream behind some
# earlier layer, as lesson 9 did (here it is called the *logit lens*). And more: what stands between the sum and the
# logits is *nearly* linear. Layer norm takes a mean away, which is linear; then it divides by a deviation, which is not.
# But once the whole stream is known, that deviation is a number.
#
# ### Exercise 3 · What each part adds (4 points, medium, about 12 minutes)
#
# Write `attribution(parts, scale, unembed)`: what each part of a stream contributes to the logits $U (h - \bar h) / s$.
# Here $U$ is the unembedding, $\bar h$ the mean of $h$ over its units, and $s$ the deviation of the *whole* stream; `scale`
# holds it for each position. All contributions together must give the logits.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Write the logits down for a stream $a + b$ of two parts. Where does $b$ come in?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# The mean of $a + b$ is the mean of $a$ plus that of $b$, so each part loses its own mean over the units. The divisor is the
# same for all parts. What is left is a matrix product with the unembedding, one row per symbol.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# centred = parts - ...  # each part, each position: its own mean over the units
# return centred / ... @ ...  # (parts, positions, symbols)
# ```
#
# </details>


# %% answer="attribution"
def attribution(parts: torch.Tensor, scale: torch.Tensor, unembed: torch.Tensor) -> torch.Tensor:
    """Split logits into what each part of the stream contributes.

    Args:
        parts: (K, positions, N); their sum over the first axis is the stream. Unchanged after the call.
        scale: (positions,), deviation of the whole stream over its N units.
        unembed: (symbols, N): the logits are unembed (h - mean(h)) / scale.

    Returns:
        (K, positions, symbols), of the parts' dtype: entry k is what part k adds to the logits.
    """
    ### BEGIN SOLUTION
    centred = parts - parts.mean(-1, keepdim=True)
    return centred / scale[:, None] @ unembed.T
    ### END SOLUTION


# %% check="attribution" points=4
check.attribution(attribution)

# %% [markdown]
# Now a transformer that has learned its sums: three layers, pre-norm, built with *your* block. It is small enough
# to be trained here.
#
# **Predict.** Read out behind the start and behind each of the three layers: where does the share of right answers rise,
# step by step, or nearly all of it at one place?

# %% predict="lens"
predict("lens", ..., ["step by step", "in the first layer", "in the second", "in the third"])

# %%
adders = [transformer.Transformer(block, "pre", layers=3, seed=seed) for seed in SEEDS]
transformer.train(adders, steps=SUM_STEPS, lr=0.006)
x, y = transformer.sums(256, torch.Generator().manual_seed(SEED + 99))
lens = transformer.lens(adders, x, y)

# %%
added, error = [], []
for net in adders:
    with torch.no_grad():
        states = torch.stack(net.stream(x)).flatten(1, 2)  # (layers + 1, positions, N)
        parts = torch.diff(states, dim=0, prepend=torch.zeros_like(states[:1]))
        scale = (states[-1].var(-1, unbiased=False) + transformer.EPSILON).sqrt()
        logits = attribution(parts, scale, net.unembed)
        error.append((logits.sum(0) - net(x).flatten(0, 1)).abs().max().item())
    right = logits.gather(2, y.flatten().expand(len(parts), -1).unsqueeze(-1))[..., 0]
    added.append((right - logits.mean(-1)).mean(1).tolist())
added = np.array(added).T

# %% varies=true claim="parts_add_up" effect="late"
print("read out behind the start and each layer:", lens.mean(1).round(2))
print("added to the right symbol's logit:       ", added.mean(1).round(2))
print("largest gap between the sum of all parts and the logits < 1e-4:", max(error) < 1e-4)
late = added[1:].sum(0) / added.sum(0)
assert max(error) < 1e-4  # float32
assert lens[0].max() < 0.25 and lens[-1].mean() > 0.6 and (lens[-1] > lens[1]).all() and late.min() > 0.9
rise = np.diff(lens.mean(1))
place = ["in the first layer", "in the second", "in the third"][rise.argmax()]
reveal("lens", place if rise.max() > 0.8 * rise.sum() else "step by step")

# %% varies=true
title = f"The answer builds up: {', '.join(f'{share:.2f}' for share in lens.mean(1))}"
figures.show(
    streams_figures.reading(lens, added, title),
    alt="Left: share of right answers read out behind each layer, "
    f"from {lens[0].mean():.2f} to {lens[-1].mean():.2f}. "
    "Right: what each part adds to the right symbol's logit: "
    f"{', '.join(f'{part:.1f}' for part in added.mean(1))}.",
)

# %% [markdown]
# **What we should see.** (On the right an addition is what raises the right symbol's logit above the mean of all
# eleven: what raises all of them alike changes no answer; it is the mean over all eight places.) The start is at guessing: each position holds its own number
# only, and the sum needs two. Each layer adds to the right logit, and the parts add up to the logits exactly, but for
# rounding. That is *refinement*, on a task that is not linear: this explanation of lesson 9 does survive here. (There
# the statistics had to be re-estimated after each cut. Layer norm has none to go stale: it takes them from the example
# in front of it.)
#
# Do all layers matter equally? In the eight-layer "pre" networks of section 2 we deleted each layer once.
#
# **Predict.** Which one costs most, 1 to 8?

# %% predict="dearest"
predict("dearest", ...)

# %% claim="later_layers_matter_less" effect="slope" varies=true
without = transformer.measured("deletions", "pre", 0.01)  # (sets, layers)
whole = transformer.measured("lens", "pre", 0.01)[:, -1]
print("accuracy without layer 1 to 8:", without.mean(0).round(2), "- with all:", whole.mean().round(2))
slope = np.array([np.polyfit(np.arange(8), each, 1)[0] for each in without])
assert (
    (slope > 0).all()
    and (without[:, 0] < without[:, 1]).all()
    and (without[:, 1] < without[:, 2:].min(1)).all()
)
reveal("dearest", 1 + without.mean(0).argmin())

# %% varies=true
first, last = without[:, [0, -1]].mean(0)
title = f"Without the first layer {first:.2f} is left, without the last {last:.2f}"
fig, ax = figures.canvas(title, "deleted layer", "share of right answers", ylim=(0, 1.02))
figures.band(ax, range(1, 9), without.T, 0, "one layer deleted, sets of five networks")
ax.axhline(whole.mean(), **figures.series(5) | {"linewidth": 1}, label="all layers")
ax.legend(loc="lower right")
figures.show(
    fig,
    alt="Share of right answers without one layer: "
    + ", ".join(f"layer {i + 1} {value:.2f}" for i, value in enumerate(without.mean(0))),
)

# %% [markdown]
# Without the first layer nothing works: all others have been trained on what it adds. The later a layer, the less it
# matters. It is what section 2's growing stream suggests: a branch of size 1 is a large step where the stream has size 1,
# and a smaller one the more it has grown (there to 6, behind 32 layers). In large language models something like it was found and named the *curse of
# depth* (Sun et al. 2025). The skip that makes depth trainable also makes it cheap to leave depth unused.
#
# **What it does not show.** That late layers are idle *because* of the norm. Our sums may simply not need eight layers.
#
# ## 4 · Blocks that are left out
#
# If a deleted block costs so little, why not leave blocks out *while training*? **Stochastic depth** (Huang et al.
# 2016) keeps block $l$ of $L$ with probability $p_l$ in each step of the training; otherwise its branch is 0 in that step.
# When the training is over all blocks are there, and block $l$'s branch is multiplied by $p_l$, so that it adds what it
# added on average. The probabilities fall in a straight line from 1 at the input, which counts as block 0 and is always
# there, to $p$ at the last block.
#
# ### Exercise 4 · The probability of survival (3 points, easy, about 6 minutes)
#
# Write `survival(L, p)`: $p_1, \dots, p_L$.
#
# <details><summary>Hint 1: a nudge</summary>
#
# For $L = 2$ and $p = 0.5$: which number does the last block have, and which one lies halfway to the input's 1?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# A straight line through the points $(0, 1)$ and $(L, p)$, read at $1, \dots, L$. The input's own 1 is not among the answers.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# l = ...  # 1 to L
# return 1 - ...
# ```
#
# </details>


# %% answer="survival"
def survival(L: int, p: float) -> np.ndarray:
    """Give the probabilities with which the blocks of a network are kept.

    Args:
        L: number of blocks, at least 1.
        p: probability of the last one, from 0 to 1.

    Returns:
        (L,), float64: entry l - 1 is that of block l.
    """
    ### BEGIN SOLUTION
    return 1 - np.arange(1, L + 1) / L * (1 - p)
    ### END SOLUTION


# %% check="survival" points=3
check.survival(survival)

# %% [markdown]
# A residual network of 110 layers, as Veit et al. measured it (lesson 9), has 54 blocks. How many of them are there in a
# step, on average?

# %% claim="forty_of_54"
kept = survival(54, 0.5)
print(f"54 blocks, p = 0.5: {kept.sum():.2f} blocks are there on average, a quarter of the work is saved")
assert np.isclose(kept.sum(), 40.25)

# %% [markdown]
# Now lesson 9's ten-block networks on its digits, with $p = 1$ (nothing is ever left out) and $p = 0.5$. After training
# we delete five or eight of the ten blocks, drawn at random, four times each, and re-estimate the batch norms'
# statistics, as we have learned to.
#
# **Predict.** Which test accuracy is left with two blocks of ten: of the ordinary networks ($p = 1$), and of those that
# had trained with $p = 0.5$? And what becomes of the *training* loss of the whole network, after the same number of
# steps, if blocks are left out on the way?

# %% predict="two_left_ordinary"
predict("two_left_ordinary", ...)

# %% predict="two_left_dropped"
predict("two_left_dropped", ...)

# %% predict="price"
predict("price", ..., ["it is higher", "it is lower", "it is the same"])

# %%
data = datasets.digits()
x_train, x_test = (torch.from_numpy(part).double() for part in (data.x_train, data.x_test))
y_test = torch.from_numpy(data.y_test)
rng = np.random.default_rng(SEED)
cuts = {k: [rng.permutation(10)[:k] for _ in range(4)] for k in (5, 8)}

# %%
nets = {p: stochastic_depth.DroppingNet(survival(10, p), SEEDS) for p in (1.0, 0.5)}
left, train_loss = {}, {}
for p, net in nets.items():
    training.train_stacked(net, data.x_train, data.y_train, steps=DIGIT_STEPS)
    train_loss[p], _ = training.evaluate_stacked(net, data.x_train, data.y_train)
    for k, drops in {0: [()], **cuts}.items():
        runs = [stochastic_depth.accuracy_without(net, drop, x_train, x_test, y_test) for drop in drops]
        left[p, k] = np.mean(runs, 0)  # per network

# %% varies=true claim="stochastic_depth_toughens" effect="kept_more"
for p in (1.0, 0.5):
    print(
        f"p = {p}: test accuracy {left[p, 0].mean():.3f}, without five blocks {left[p, 5].mean():.2f}, "
        f"without eight {left[p, 8].mean():.2f}; training loss {train_loss[p].mean():.3f}"
    )
kept_more = left[0.5, 8] - left[1.0, 8]
assert kept_more.mean() > 0.03 and left[0.5, 5].mean() > left[1.0, 5].mean()
assert train_loss[0.5].mean() > train_loss[1.0].mean()
reveal("two_left_ordinary", left[1.0, 8].mean(), within=0.05)
reveal("two_left_dropped", left[0.5, 8].mean(), within=0.03)
dearer = train_loss[0.5].mean() / train_loss[1.0].mean()
reveal("price", "it is the same" if 0.9 < dearer < 1.1 else f"it is {'higher' if dearer > 1 else 'lower'}")

# %% varies=true
ordinary, dropped = left[1.0, 8].mean(), left[0.5, 8].mean()
title = f"Eight of ten blocks gone: {dropped:.2f} left after stochastic depth, {ordinary:.2f} without it"
fig, ax = figures.canvas(title, "blocks deleted, of ten", "test accuracy", xticks=(0, 5, 8))
for i, p in enumerate((1.0, 0.5)):
    figures.band(ax, (0, 5, 8), np.array([left[p, k] for k in (0, 5, 8)]), i, f"trained with p = {p}")
ax.legend(loc="lower left")
figures.show(
    fig,
    alt="Test accuracy after deleting 0, 5, 8 blocks: "
    + "; ".join(f"p = {p}: " + ", ".join(f"{left[p, k].mean():.2f}" for k in (0, 5, 8)) for p in (1.0, 0.5)),
)

# %% [markdown]
# **What we should see.** A network that was trained in pieces survives in pieces: lesson 9's crowd of paths is here
# made true on purpose. The price is a higher training loss at the same number of steps.
#
# **What it does not show.** That it generalises better: on these easy digits the test accuracy is about the same. Nor
# that time is saved: our networks compute all branches and multiply some by 0, since several networks share one
# product of matrices.
#
# ## 5 · Several streams
#
# So far there was *one* stream, and its skip was the identity. **Hyper-connections** (Zhu et al. 2024) carry $n$
# streams, an $n \times N$ matrix $H$. A layer mixes them, reads one input, and writes one output to all of them:
#
# $$ H \;\leftarrow\; M H + w\, f(r H), \qquad M \in \mathbb{R}^{n \times n} \text{ and } r, w \text{ of length } n . $$
#
# Here $r H$ is one vector of $N$ numbers, a weighted sum of the streams; the branch makes another one of it, and $w$ says
# how much of that each stream gets. All of $M$, $r$ and $w$ are learned.
#
# But look at the skips alone: over $L$ layers they multiply up to $M_L \cdots M_2 M_1$. Lessons 1 to 4 have taught us to
# be afraid of products. The largest sum of absolute values in a *row* of this one says by how much a signal's largest
# entry can grow. A gradient comes back through the transpose, so for it the largest sum in a *column* counts.
#
# Xie et al. (2025) ask for mixers that are **doubly stochastic**: all entries from 0 to 1, rows and columns sum to 1.
# Then rows of a product sum to 1 as well, and so do its columns (try it with two matrices of 2 × 2). How does one get
# such a matrix from $n \times n$ learned numbers of any size, its logits? Make them positive with $e^x$, then divide each
# row by its sum, then each column, and again. Each half spoils what the other has repaired, a little less every time
# (Sinkhorn).
#
# ### Exercise 5 · Sinkhorn's rounds (5 points, hard, about 18 minutes)
#
# Write `sinkhorn(logits, rounds)`. Start from $e^{\text{logits}}$. Each round divides every row by its sum, then every
# column by its sum. Logits may be as large as $\pm 2000$, and there may be a whole stack of matrices.
# `logsumexp(a, axis, keepdims=True)` is imported from SciPy.
#
# <details><summary>Hint 1: a nudge</summary>
#
# What is $e^{1000}$ in float64? And if you take the largest logit away first: what becomes of a row whose logits are all a
# thousand below it?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Keep the *logarithms* of the entries all the time. Dividing a row by its sum is then subtracting the logarithm of that sum,
# and `logsumexp` computes it without leaving the logarithms. Rows and columns are the last two axes.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# log = logits
# for _ in range(rounds):
#     log = log - ...  # rows: summed over the columns, the last axis
#     log = log - ...
# return ...
# ```
#
# </details>


# %% answer="sinkhorn"
def sinkhorn(logits: np.ndarray, rounds: int) -> np.ndarray:
    """Make matrices (nearly) doubly stochastic.

    Args:
        logits: (..., n, n), float64, finite; unchanged after the call.
        rounds: how often rows, then columns, are divided by their sums; at least 1.

    Returns:
        (..., n, n), float64: columns sum to 1, rows nearly.
    """
    ### BEGIN SOLUTION
    log = logits
    for _ in range(rounds):
        log = log - logsumexp(log, axis=-1, keepdims=True)
        log = log - logsumexp(log, axis=-2, keepdims=True)
    return np.exp(log)
    ### END SOLUTION


# %% check="sinkhorn" points=5
check.sinkhorn(sinkhorn)

# %% [markdown]
# For two streams the limit is known: from weights $a, b, c, d$ (row by row) comes a matrix with
# $\sqrt{ad} / (\sqrt{ad} + \sqrt{bc})$ on its diagonal.

# %% claim="two_streams"
a, b, c, d = 1.0, 4.0, 2.0, 3.0
limit = sinkhorn(np.log([[a, b], [c, d]]), 50)
print(limit.round(4).tolist())
assert np.allclose(limit[0, 0], np.sqrt(a * d) / (np.sqrt(a * d) + np.sqrt(b * c)))

# %% [markdown]
# We compare three kinds of mixers for four streams: free ones, the identity plus noise of deviation 0.2; some whose
# rows sum to 1 (a softmax over each row of logits, which are drawn from a normal distribution); and doubly stochastic
# ones, from the same logits.
#
# **Predict.** By which factor can a signal grow through 256 layers of free mixers (a factor of ten is near enough), and by
# which through doubly stochastic ones?

# %% predict="free_gain"
predict("free_gain", ...)

# %% predict="tamed_gain"
predict("tamed_gain", ...)

# %%
rng = np.random.default_rng(SEED)
normal = rng.normal(size=(DRAWS, 256, 4, 4))
mixers = {
    "free": np.array([streams.free_mixers(256, 4, rng) for _ in range(DRAWS)]),
    "rows sum to 1": softmax(normal, -1),
    "doubly stochastic": sinkhorn(normal, 20),
}
product = {name: np.array([streams.products(each) for each in many]) for name, many in mixers.items()}
gain = {name: np.median(streams.gain(each), 0) for name, each in product.items()}  # (layers, 2)

# %% varies=true claim="gains" effect="powers"
for name, each in gain.items():
    for L in (16, 256):
        print(f"{name:18} {L:3} layers: forward {each[L - 1, 0]:.3g}, backward {each[L - 1, 1]:.3g}")
powers = np.log10(gain["free"][-1, 0])  # of ten
assert powers > 3 and np.allclose(gain["doubly stochastic"], 1, atol=0.01)
assert np.allclose(gain["rows sum to 1"][:, 0], 1) and gain["rows sum to 1"][-1, 1] > 1.2
reveal("free_gain", gain["free"][-1, 0], factor=10)
reveal("tamed_gain", gain["doubly stochastic"][-1, 0], within=0.02)

# %%
title = f"256 layers of free mixing: a gain above $10^{{{int(powers)}}}$; doubly stochastic: 1"
forward = {name: streams.gain(each)[..., 0].T for name, each in product.items() if name != "rows sum to 1"}
figures.show(
    streams_figures.gains(forward, title),
    alt="Largest gain over 256 layers, both axes logarithmic: "
    f"free mixers reach {gain['free'][-1, 0]:.0e} in the median, doubly stochastic ones stay at 1.",
)

# %% [markdown]
# Tamed: neither signal nor gradient can grow. (With rows alone a gradient still can, a little, as the printed numbers show.) If
# this reminds you of lesson 2, it should. There a softmax kept activations healthy, and the images became equal. A
# healthy *norm* is not a healthy *signal*. How much of $n$ different streams is still different behind the product? Its
# singular values say. The largest is 1 and belongs to what all streams have in common, which every mixer lets through.
# The second says how much is left, at most, of a *difference* between streams.
#
# We draw the mixers from logits as before, and others that *lean towards the identity*: 6 is added to the logits on the
# diagonal.
#
# **Predict.** How large is the second singular value after 16 layers, without the lean? A factor of 100 is near enough.

# %% predict="second"
predict("second", ...)

# %%
leaning = {f"logits + {bias} on the diagonal": sinkhorn(normal + bias * np.eye(4), 20) for bias in (0, 6)}
second = {
    name: np.linalg.svd(np.array([streams.products(each) for each in many]), compute_uv=False)[..., 1].T
    for name, many in leaning.items()
}

# %% varies=true claim="lost_streams" effect="remembered"
for name, each in second.items():
    medians = f"16 layers {np.median(each[15]):.1e}, 64 layers {np.median(each[63]):.1e}"
    print(f"{name:27} second singular value, median: {medians}")
plain, leaned = second.values()
remembered = np.median(leaned[63])
assert np.median(plain[15]) < 1e-6 and 0.1 < remembered < 0.7
reveal("second", np.median(plain[15]), factor=100)

# %%
title = (
    f"Mixed well, four streams are one after 16 layers; near the identity {remembered:.0%} is left after 64"
)
figures.show(
    streams_figures.survivors(second, title),
    alt="Second singular value of the product of doubly stochastic mixers. Without a lean it falls below "
    f"1e-6 within 16 layers; with 6 added on the diagonal of the logits it is {remembered:.2f} after 64.",
)

# %% [markdown]
# **What we should see.** Doubly stochastic mixers average, and an average of averages forgets: after 16 layers all four
# streams are the same. All that is left is their mean. (The floor at $10^{-16}$ is rounding.) Unless every mixer *leans
# towards the identity*: then streams forget so slowly that some of their differences reach the end of a deep network.
# It is the moral of lessons 6, 7 and 9 once more: **the skip should be nearly clean.**
#
# **What it does not show.** What training makes of it. We multiplied random matrices and left the branches out. A
# trained network may write new differences into its streams in each layer.
#
# ## 6 · The other end: infinitely many layers (optional)
#
# One more view, for the road. If the branch is $f(h)/L$, a residual network makes $L$ small steps along $f$: *Euler's
# method* for the differential equation $\dot h = f(h)$ until time 1. Lesson 2 saw that such steps keep two images
# apart. Here the stream has two units, and $f(h) = Ah$ turns and shrinks it.
#
# **Predict.** Twice the layers, each with half the step: by which number is the distance between the stream's end and
# that of the exact flow multiplied?

# %% predict="euler"
predict("euler", ...)

# %% claim="euler_order"
start, depths = np.array([1.0, 0.0]), np.array([16, 32, 64, 128, 256])
end = streams.flow(start, [1.0])[0]
off = np.array([np.linalg.norm(streams.residual_steps(start, L, 1 / L)[-1] - end) for L in depths])
for L, each in zip(depths, off, strict=True):
    print(f"L = {L:3d}: the end is off by {each:.4f}")
assert 1.9 < off[-2] / off[-1] < 2.1
far = np.linalg.norm(streams.residual_steps(start, 256, 256**-0.5)[-1] - end)
print(f"L = 256, branches times 1 / 16 instead: off by {far:.2f}")
assert far > 10 * off[-1]
reveal("euler", off[-1] / off[-2], within=0.05)

# %%
streams_figures.TRAJECTORY.show()

# %% [markdown]
# The distance halves: with $1/L$ a residual network *has* a limit at infinite depth. Move the depth with the other
# scales: $1/\sqrt L$ is small enough for *independent* branches, whose squares add up (section 2), but when all branches
# pull the same way it is too much; a constant step goes round and round, the farther the deeper.

# %% live=true
streams_figures.TRAJECTORY.live()

# %% [markdown]
# ## 7 · Ten years later

# %% [markdown] question="today"
# ### Question · What has survived? (5 points, about 15 minutes)
#
# The second of our four documents ends: *"max's questions: was this a good paper when it was released? Is it a good
# paper now? What has changed between now and it's initial release point? What other methods are there of solving
# the vanishing gradient problem?"* You have judged the paper in lesson 7. Now its afterlife. In about 250 words:
# **(a)** which of lesson 9's six explanations (vanishing gradients, shattered gradients, short paths, refinement,
# near identity, smoother loss) survives in the architectures of this lesson? Take at least three, each with a
# measurement of *this* lesson or with the measurement that is missing. **(b)** What has changed since 2015 in how
# skips are built, and which property did all these changes keep or restore? **(c)** Name one use of skips that has
# nothing to do with gradients.
#
# === BEGIN MARK SCHEME ===
# - 0: No answer, or only that skips are still in use.
# - 1: One explanation discussed with a measurement, or (b) or (c) alone.
# - 2: Two explanations with measurements; or one with (b) and (c).
# - 3: Three explanations, each with a verdict, but measurements are missing or misread; (b) or (c) right.
# - 4: Three explanations rightly judged with measurements, and one of (b), (c).
# - 5: All three parts. (a) for example: *vanishing gradients* - no: post-norm starts with healthy gradients and trains
#   badly; *near identity* - yes: DeepNorm's heavy skip, small branches, mixers that lean towards the identity;
#   *refinement* - yes: the lens improves layer by layer on a task that is not linear, and parts add up;
#   *short paths* - in part: a later layer matters less, and stochastic depth makes the network a crowd of
#   shorter ones; *shattered gradients*, *smoother loss* - not measured here: says what one would measure. (b) norm inside the branch
#   or heavier skips, learned scales, long skips that concatenate, several streams; what was kept or restored is
#   a way through that is the identity or near to it. (c) long skips carry positions around the bottleneck (the rank).
#
# Misconceptions: "transformers need skips because gradients vanish" (post-norm: they do not, and it trains badly);
# "the norm decides alone" (DeepNorm has post-norm's place and pre-norm's success); "doubly stochastic mixing preserves the
# signal" (it preserves sums, and forgets differences); "a U-Net's skips are residual connections" (they
# concatenate, and carry what the bottom cannot); "the lens shows what a layer thinks" (it shows what the *last* read-out makes of
# the stream there).
# === END MARK SCHEME ===

# %% [markdown] response="today" points=5
# ### BEGIN SOLUTION
# (a) *Vanishing gradients* do not survive as an explanation: in 32 post-norm layers the first gradient is of the size of the
# last, and still eight such layers hardly learned in 150 steps, at the best of three rates, while pre-norm and DeepNorm did. *Near identity*
# survives best. What trains has a skip that dominates: clean (pre), made heavier (DeepNorm), or with branches times
# a small number; mixers of several streams forget all differences within 16 layers unless they lean towards the
# identity. *Refinement* survives: read out layer by layer, the share of right sums rises, and each layer's contribution adds to
# the right logit. *Short paths* in part: deleting a late layer costs little, and stochastic depth trains a
# network to live without most of its blocks. *Shattered gradients* and *smoothness* we did not measure here; I
# would compare the cosine of the input gradients of two sequences in pre- and post-norm networks at the start.
#
# (b) The ReLU behind the addition went first (2016), then the norm moved into the branch, scales were added, and the
# stream was made wide. Wherever the identity was lost (post-norm, free mixers) something was done to restore it. So
# the paper's construction was good in 2015 and is now; of its reason, "residuals are easier to fit near the
# identity", more has survived than of the gradients that others read into it.
#
# (c) A U-Net's long skips: without them the Jacobian's rank is at most 32, with them it was 256, as many as there are pixels.
# ### END SOLUTION

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Pictures of 32 × 32 go through a U-Net without long skips that halves the size three times; its bottom has 16
# channels. By what is the rank of its Jacobian bounded, and could more training, or more layers on the way up, help?
#
# <details><summary>An answer</summary>
#
# The bottom has 4 × 4 pixels of 16 channels: 256 numbers, for 1024 logits. So the rank is at most 256. Neither training
# nor layers behind the bottom change that, since all they can read is those numbers. Four times the channels would lift
# the bound to 1024; long skips do it without them.
#
# </details>
#
# **2.** A stream starts with size 1, and every layer adds a branch of size 1 at a right angle to it (independent
# vectors of many units nearly are). By what angle does the first layer turn the stream, by what angle the sixteenth?
#
# <details><summary>An answer</summary>
#
# The square of the size grows by 1 a layer. The first layer adds 1 to a stream of size 1: $\arctan 1 = 45°$. Before the
# sixteenth the stream has size $\sqrt{16} = 4$, and the turn is $\arctan(1/4) = 14°$. So a pre-norm network comes nearer
# to the identity with each layer, and its late layers are cheap to delete.
#
# </details>
#
# **3.** Two streams are mixed by the same matrix in each of 64 layers, with $1 - c$ on the diagonal and $c$ beside it.
# How large may $c$ be, so that half of the difference between them is left?
#
# <details><summary>An answer</summary>
#
# A layer keeps the sum and multiplies the difference by $1 - 2c$. From $(1 - 2c)^{64} = 1/2$ follows $c = 0.0054$: half
# a per cent. Doubly stochastic is not enough, the mixer has to be nearly the identity, and the nearer the deeper the
# network.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## Where this course ends
#
# We began with a signal that died at iteration 362, and asked what a path around a layer changes. Ten lessons
# later the answer fits in a line: *it gives a deep network a start from which every layer can be ignored, and
# lets training decide which ones to use.* Most of what came after keeps that line open, in a new place.
#
# What we cannot tell you is whether it is needed. The next architecture may do without. If you meet one that does, you
# know what to measure first.
#
# ## References
#
# - O. Ronneberger, P. Fischer, T. Brox, *U-Net: convolutional networks for biomedical image segmentation* (2015).
#   [arXiv:1505.04597](https://arxiv.org/abs/1505.04597)
# - G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger, *Deep networks with stochastic depth* (2016).
#   [arXiv:1603.09382](https://arxiv.org/abs/1603.09382)
# - H. Wang, S. Ma, L. Dong, S. Huang, D. Zhang, F. Wei, *DeepNet: scaling transformers to 1,000 layers* (2022).
#   [arXiv:2203.00555](https://arxiv.org/abs/2203.00555)
# - W. Sun, X. Song, P. Li, L. Yin, Y. Zheng, S. Liu, *The curse of depth in large language models* (2025).
#   [arXiv:2502.05795](https://arxiv.org/abs/2502.05795)
# - D. Zhu, H. Huang, Z. Huang, Y. Zeng, Y. Mao, B. Wu, Q. Min, X. Zhou, *Hyper-connections* (2024).
#   [arXiv:2409.19606](https://arxiv.org/abs/2409.19606)
# - Z. Xie et al., *mHC: manifold-constrained hyper-connections* (2025).
#   [arXiv:2512.24880](https://arxiv.org/abs/2512.24880)
# - H. Touvron, M. Cord, A. Sablayrolles, G. Synnaeve, H. Jégou, *Going deeper with image transformers* (2021), with
#   LayerScale. [arXiv:2103.17239](https://arxiv.org/abs/2103.17239)
# - T. Bachlechner, B. P. Majumder, H. H. Mao, G. W. Cottrell, J. McAuley, *ReZero is all you need: fast convergence at
#   large depth* (2020). [arXiv:2003.04887](https://arxiv.org/abs/2003.04887)
