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
# # 7 · The degradation problem on real data
#
# {{badge}}
#
# Lesson 6 left us with a shortcut that is right to the last digit, forwards and backwards, and with a claim
# that we have not tested: that deep networks *degrade*, so that more layers mean a higher error even on the
# training data. Is that true? Is it a matter of vanishing gradients? And do shortcuts cure it? So far all our
# networks were random. Now we train some, on real data, with several seeds, and look at who is right about
# what.
#
# We start with a small net that came with the claim *"that's all the paper was saying"*. It wasn't.
#
# **Objectives.** After this lesson you can
#
# - tell an experiment that supports a claim from one that only looks like it;
# - state the degradation problem, prove that a lack of capacity cannot be its cause, and measure it with a
#   spread;
# - write a residual network, and a gated branch that starts at zero and still trains;
# - say what else, besides residual blocks, makes a deep network trainable, and what does not.
#
# **Prerequisites.** Lessons 4 to 6; training a classifier in PyTorch.
#
# **Time:** about {{minutes}} minutes without the part marked *optional*; section 4 ends at a good place for a break.
# {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Sources.** He et al. (2015), [arXiv:1512.03385](https://arxiv.org/abs/1512.03385); the notebook with the
# > tanh chain of lesson 3, whose second half we read here (our copy names no author, date or licence).
# > ([All sources](../../docs/references.md))
# >
# > **Five words.** *Degradation*: the training loss rises with depth. *Batch normalisation* (BN): in every step
# > each feature is shifted and scaled to mean 0 and variance 1 over the batch. *Stem* and *head*: the first
# > layer, which brings the image to the width of the network, and the last, which gives the logits. *Stream* and
# > *branch*: what a shortcut carries on, and what a block adds to it. *Pass*: all training images seen once (11
# > steps here).
# >
# > **Symbols.** $h$: the stream. $F$: a branch. $g = N\,\mathrm{Var}(W)$: the gain of a random weight matrix
# > with $N$ inputs (lesson 4). $\gamma$: a learned number in front of a branch. The *depth* counts hidden layers
# > with weights. Losses are cross-entropies with the natural logarithm, in *nats*: to give ten classes the
# > same probability costs $\ln 10 = 2.30$.
#
# All symbols are on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers import architectures, datasets, degradation_figures, drawings, figures, gradient_flow
from helpers import panels, remedies, training
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import residual_networks as check
from helpers.statistics import interval

torch.set_num_threads(1)
DIGITS = datasets.digits()

# %% parameters=true
SEED = 0  # every random draw of this lesson derives from it
NETWORKS = 5  # networks of each kind and depth; their seeds are SEED, SEED + 1, ...
DEPTHS = [2, 8, 24]  # hidden layers of the networks whose losses we compare
STEPS = 110  # training steps for that comparison: ten passes
SHORT = 33  # training steps for the twelve remedies: three passes

# %%
SEEDS = range(SEED, SEED + NETWORKS)

# %% [markdown]
# ## 1 · A small net, and what it shows
#
# The notebook that we read in lesson 3 goes on with a network. It announces *"a simple example of an image
# processing problem where adding a skipped connection would be helpful"*, and draws images and labels like
# this:
#
# ```python
# torch.manual_seed(0)
# rand_train_data = torch.randn(num_input_images, 1, 28, 28)
# rand_test_data = torch.randn(num_input_images, 1, 28, 28)
# rand_labels = torch.LongTensor(num_input_images).random_(0, 10)
# ```
#
# As printed it does not run: its loop uses `rand_input` and `num_batches`, which are never defined. With
# `rand_train_data` for the first, and without the second, it does. We tidy up on the way:
#
# - attributes are set *after* `super().__init__()`, which needs no arguments (a number set before it passes,
#   a layer would not);
# - `Variable`, `torchvision`, NumPy's seed and `num_classes` are left out, since nothing uses them
#   (`Variable` does nothing any more: tensors carry gradients themselves);
# - the original tells the network its batch size, *"needed to configure"*; it is not, `flatten(1)` keeps
#   whatever comes;
# - two comments are wrong: `zero_grad` does not set weights to zero but **gradients**, and `backward` does
#   not compute weights but **gradients**; it is `step` that changes the weights.
#
# The argument `skip` is ours: the notebook's net has one convolution, and no skip at all.


# %%
class Net(nn.Module):
    def __init__(self, skip=False):
        super().__init__()
        self.skip = skip
        self.conv1 = nn.Conv2d(1, 5, 3)
        self.linearization = nn.Linear(5 * 26 * 26, 10)

    def forward(self, x):
        h = F.relu(self.conv1(x))
        if self.skip:
            h = h + x[:, :, 1:-1, 1:-1]  # the image without its rim, added to each of the five channels
        return self.linearization(h.flatten(1))


# %% [markdown]
# Three of these remarks can be tried out. First, a layer that is set too early:


# %%
class Early(nn.Module):
    def __init__(self):
        self.conv1 = nn.Conv2d(1, 5, 3)
        super().__init__()


try:
    Early()
except AttributeError as error:
    print("a layer before super().__init__():", error)

# %% [markdown]
# Then what a variable is, and what the two calls do to gradients and weights:

# %% claim="tidied_up"
print("a Variable is a", type(torch.autograd.Variable(torch.ones(1))).__name__)
net = Net()
before = [w.clone() for w in net.parameters()]
logits = net(torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(SEED)))  # of any batch size
F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
computed = all(w.grad.any() for w in net.parameters())
net.zero_grad()
cleared = all(w.grad is None for w in net.parameters())
untouched = all(map(torch.equal, before, net.parameters()))
print("backward computes gradients:", computed, " zero_grad clears them:", cleared)
print("neither has touched a weight:", untouched)
assert type(torch.autograd.Variable(torch.ones(1))) is torch.Tensor
assert computed and cleared and untouched

# %% [markdown]
# The notebook announces 100 epochs and prints 44 losses; so somebody stopped it on the way. Here are the ones
# that it prints.
#
# **Predict.** The labels are random numbers, ten kinds of them. After these 44 epochs, what per cent of its own
# training images will the net get right? And of the 100 test images, which the notebook draws and never looks at? Five
# per cent more or less are near enough.

# %% predict="own_images"
predict("own_images", ...)

# %% predict="test_images"
predict("test_images", ...)


# %%
def memorise(seed, skip, epochs):
    torch.manual_seed(seed)
    train_images, test_images = torch.randn(100, 1, 28, 28), torch.randn(100, 1, 28, 28)
    labels = torch.LongTensor(100).random_(0, 10)
    net = Net(skip).double()  # so that the digits below do not depend on the processor
    losses = training.train(
        net, train_images, labels, steps=epochs, batch=100, optimizer=lambda p: torch.optim.Adam(p, lr=1e-3)
    )
    return losses, *(training.evaluate(net, images, labels)[1] for images in (train_images, test_images))


# %%
printed = """
    2.334779739 2.080829382 1.861109734 1.622286677 1.400859475 1.202180386 1.017591834 0.846471548
    0.694552362 0.565230429 0.457228959 0.367881387 0.295014948 0.236564592 0.190239340 0.153721631
    0.124971196 0.102331549 0.084487654 0.070390880 0.059205152 0.050271802 0.043081399 0.037246380
    0.032474276 0.028543197 0.025283527 0.022564409 0.020283177 0.018358616 0.016725943 0.015333105
    0.014138107 0.013107080 0.012212511 0.011432162 0.010747866 0.010144847 0.009610974 0.009136297
    0.008712566 0.008332919 0.007991624 0.007683828
"""

# %% claim="printed_losses"
printed = np.array(printed.split(), dtype=float)
losses, train_share, test_share = memorise(seed=0, skip=False, epochs=len(printed))  # the document's own seed
np.testing.assert_allclose(losses, printed, rtol=1e-4)
print(f"{len(printed)} losses agree:", " ".join(f"{loss:.5g}" for loss in losses))
print(f"right: {train_share:.0%} of the training images, {test_share:.0%} of the test images")
assert len(printed) == 44 and train_share == 1.0 and test_share == 0.08
reveal("own_images", 100 * train_share, within=5)
reveal("test_images", 100 * test_share, within=5)

# %% [markdown]
# All 44 numbers are right. They show a net that learns a phone book by heart: every training label is known,
# and on new images it does as well as a ten-sided die. A falling training loss is no sign that anything about
# images was learned; networks fit random labels with ease (Zhang et al. 2017).
#
# Would *"adding a skipped connection"* be *"helpful"*? Let us add it and look, with five seeds each.

# %% claim="skip_memorises_faster" effect="factor" varies=true
curves = {skip: np.array([memorise(seed, skip, epochs=14)[0] for seed in SEEDS]) for skip in (False, True)}
epochs_needed = {skip: (curve > 0.5).sum(1) for skip, curve in curves.items()}
for skip, needed in epochs_needed.items():
    print(f"skip {skip!s:5}  epochs until the loss is below 0.5:", needed)
factor = epochs_needed[False] / epochs_needed[True]
assert factor.min() > 1.5

# %% [markdown]
# In each of the five seeds the net with the skip is faster, by a factor of two or more. It would be a nice
# figure. **And it is no evidence at all** for skip connections in deep networks:
#
# - there is nothing to learn, so "faster" means that noise is memorised faster;
# - the skip hands the image itself, five times over, to the last layer. A linear layer alone can memorise 100
#   random images of 676 pixels; bigger features make it faster, much as a bigger learning rate would;
# - the net has one convolution. No gradient needs rescuing in a network of depth one.
#
# To test the claim we need data with something to learn, depth, and a question that could have been answered
# with "no".

# %% [markdown]
# ## 2 · Deeper cannot be worse
#
# He et al. (2015) do begin with vanishing gradients, and set them aside at once: good starting weights and
# normalisation, they write, have *"largely addressed"* them; networks of tens of layers do start to converge.
# Then comes the puzzle. On CIFAR-10 a plain network of 56 layers is worse than one of 20 (their figure 1), and
# not on the test images only, which overfitting would explain, but on the **training** images. On ImageNet they
# find the same with 34 layers and 18. They call it *degradation*.
#
# The puzzle is that the deep network contains the shallow one. Take a trained shallow network, and insert
# layers that compute the identity. A plain layer computes $\mathrm{relu}(W h + b)$. Which $W$ and $b$ make
# that $h$, and for which $h$ is it true?
#
# ### Exercise 1 · A deep network that equals a shallow one (4 points, medium, about 12 minutes)
#
# A plain network is given as a list of pairs `(weight, bias)`; every layer but the last ends in a ReLU. Write
# `embed_identity`: insert layers until there are `depth` hidden ones, so that **no logit changes, not even by
# rounding**. Each layer that you insert ends in a ReLU too.
#
# <details><summary>Hint 1: a nudge</summary>
#
# A new layer computes $\mathrm{relu}(W h + b)$ and should give back the $h$ that arrives. That cannot work for every $h$.
# At which places of a plain network are all features known to be non-negative?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Everything behind a ReLU is non-negative, so a further ReLU changes nothing there: insert behind a hidden layer, never in
# front of the first one or behind the logits. The matrix is the identity of that layer's width, the bias zero, both float32.
# How many are missing follows from `depth` and from how many hidden layers there are: all pairs but the last.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# *hidden, head = shallow
# if ...:
#     raise ValueError(...)
# width = ...  # of the last hidden layer
# identity = ..., ...  # a matrix and a bias, float32
# return [*hidden, *[identity] * (...), head]  # a new list
# ```
#
# </details>


# %% answer="embed_identity"
def embed_identity(shallow: list, depth: int) -> list:
    """Embed a plain network into a deeper one that computes the same function.

    Args:
        shallow: (weight, bias) of each layer, float32 arrays (outputs, inputs) and (outputs,); the last
            layer gives the logits, the others are hidden. Left unchanged.
        depth: hidden layers that the deep network shall have, the shallow one's counted in.

    Returns:
        (weight, bias) of each of the depth + 1 layers, float32.

    Raises:
        ValueError: if the shallow network has more than `depth` hidden layers.
    """
    ### BEGIN SOLUTION
    *hidden, head = shallow
    if depth < len(hidden):
        raise ValueError(f"depth is {depth}, but the network has {len(hidden)} hidden layers already")
    width = len(hidden[-1][1])
    identity = np.eye(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    return [*hidden, *[identity] * (depth - len(hidden)), head]
    ### END SOLUTION


# %% check="embed_identity" points=4
check.embed_identity(embed_identity)

# %% [markdown]
# Now with a network that has learned something. The data for the rest of this lesson, `DIGITS`, are
# scikit-learn's 8 × 8 handwritten digits: 1437 to train on, 360 to test on. We train two hidden layers of
# width 32, and embed them among 22 identity layers.

# %%
torch.manual_seed(SEED)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
training.train(net, DIGITS.x_train, DIGITS.y_train, steps=110, seed=SEED)
shallow = [
    (layer.weight.detach().numpy(), layer.bias.detach().numpy())
    for layer in net
    if isinstance(layer, nn.Linear)
]
share = training.evaluate(net, DIGITS.x_test, DIGITS.y_test)[1]
print(f"two hidden layers: {share:.0%} of the test digits right")

# %% claim="embedded_exactly"
deep = embed_identity(shallow, 24)
difference = remedies.relu_mlp(deep, DIGITS.x_test) - remedies.relu_mlp(shallow, DIGITS.x_test)
print("largest difference of a logit between 2 and 24 hidden layers:", np.abs(difference).max())
assert len(deep) == 25 and np.abs(difference).max() == 0.0

# %% [markdown]
# Not nearly the same function: the same, bit for bit. So among all 24-layer networks there is one whose
# training loss is as low as that of two layers. A deep network that ends with a higher training loss has not
# too little *capacity*. Its optimiser did not **find** what is there. (With batch normalisation it is there, too:
# scale and shift can undo the mean and deviation that a layer has stored.)
#
# That turns the question round: if the extra layers should be near the identity, why make that hard? A plain
# layer must learn the matrix $I$, one particular point among 32 × 32 numbers. A residual block $h + F(h)$ has
# the identity for nothing, at $F = 0$.

# %% [markdown]
# ## 3 · A residual network
#
# The block of He et al. has two layers, each followed by batch normalisation (BN), and its ReLU comes *after*
# the addition:
#
# $$ h_{k+1} = \mathrm{relu}\bigl(h_k + \underbrace{\mathrm{BN}(W_2\,\mathrm{relu}(\mathrm{BN}(W_1 h_k)))}_{\text{branch } F(h_k)}\bigr). $$
#
# A year later the same authors moved BN and ReLU in front of the weights ([arXiv:1603.05027](https://arxiv.org/abs/1603.05027));
# then nothing stands on the stream. The drawing shows both forms; in this lesson we take the upper one.

# %%
figures.show(*drawings.two_orders())

# %% [markdown]
# ### Exercise 2 · A residual network (5 points, easy, about 12 minutes)
#
# The layers are given. Write `forward`: through the stem, through every block, through the head. A branch is
# a module that you call on $h$.
#
# <details><summary>Hint 1: a nudge</summary>
#
# The formula above is one round of a loop. Which name carries the stream from one round to the next?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Let the stem make $h$ from the features. Each branch in `self.branches` is called on the present $h$; what it gives is added
# to $h$, the ReLU is applied to the sum, and the result is the next $h$. The head sees only the last one.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# h = ...  # through the stem
# for branch in self.branches:
#     h = ...  # the sum first, then the ReLU
# return ...  # through the head
# ```
#
# </details>


# %% answer="ResidualMLP"
class ResidualMLP(nn.Module):
    """A residual multilayer perceptron: a stem, blocks of two layers each, a linear head.

    Args:
        inputs, width, classes: features at the entry, inside and at the exit.
        count: number of residual blocks.
    """

    def __init__(self, inputs: int, width: int, classes: int, count: int):
        super().__init__()

        def linear_norm(arriving):
            return nn.Linear(arriving, width, bias=False), nn.BatchNorm1d(width)

        self.stem = nn.Sequential(*linear_norm(inputs), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Sequential(*linear_norm(width), nn.ReLU(), *linear_norm(width)) for _ in range(count)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to logits.

        Args:
            x: (batch, inputs), float32.

        Returns:
            Logits, (batch, classes), float32.
        """
        ### BEGIN SOLUTION
        h = self.stem(x)
        for branch in self.branches:
            h = torch.relu(h + branch(h))
        return self.head(h)
        ### END SOLUTION


# %% check="ResidualMLP" points=5
check.ResidualMLP(ResidualMLP)

# %% [markdown]
# Your network, with 12 blocks of 2 layers each. Does it train?

# %% varies=true claim="yours_trains" effect="share"
torch.manual_seed(SEED)
mine = ResidualMLP(64, 32, 10, count=12).double()
training.train(mine, DIGITS.x_train, DIGITS.y_train, steps=55, seed=SEED)
loss, share = training.evaluate(mine, DIGITS.x_test, DIGITS.y_test)
print(f"24 hidden layers, 55 steps: {share:.1%} of the test digits right")
assert share > 0.8

# %% [markdown]
# ## 4 · Measuring degradation
#
# One network is an anecdote. For the measurement we train five seeds of each depth, *plain* and *residual*,
# all else equal: width 32, He's starting weights, batch normalisation, and ten passes through the data:
# 110 steps of SGD (learning rate 0.05, momentum 0.9, batches of 128). `helpers.training` holds the five seeds
# in one tensor with a leading axis and trains them side by side; no seed sees another.
#
# **Predict.** By what factor is the training loss with 24 layers larger than that with two (1: equal, below 1: the
# deeper network is better)? Answer twice, for plain and for residual networks. A factor of three is near enough.

# %% predict="plain_factor"
predict("plain_factor", ...)

# %% predict="residual_factor"
predict("residual_factor", ...)


# %%
def train_seeds(remedy, depth, **options):
    network = remedies.build(remedy, SEEDS, depth, DIGITS.x_train)
    history = training.train_stacked(network, DIGITS.x_train, DIGITS.y_train, **options)
    train_loss, _ = training.evaluate_stacked(network, DIGITS.x_train, DIGITS.y_train)
    _, test_accuracy = training.evaluate_stacked(network, DIGITS.x_test, DIGITS.y_test)
    return history, train_loss, test_accuracy


KINDS = {"plain": "plain + BN", "residual": "residual + BN"}
runs = {
    (kind, depth): train_seeds(remedy, depth, steps=STEPS)
    for kind, remedy in KINDS.items()
    for depth in DEPTHS
}

# %% varies=true
results = {}
for kind in KINDS:
    _, train_loss, test_accuracy = map(np.array, zip(*(runs[kind, depth] for depth in DEPTHS), strict=True))
    results[kind] = {"depth": np.array(DEPTHS), "train_loss": train_loss, "test_accuracy": test_accuracy}
    for depth, loss, share in zip(DEPTHS, train_loss, test_accuracy, strict=True):
        told = f"training loss {loss.mean():.4f} ± {loss.std(ddof=1):.4f}  test {share.mean():.1%}"
        print(f"{kind:8s} depth {depth:2d}  {told}")
rise = {kind: r["train_loss"][-1].mean() / r["train_loss"][0].mean() for kind, r in results.items()}
reveal("plain_factor", rise["plain"], factor=3)
reveal("residual_factor", rise["residual"], factor=3)

# %% varies=true
losses = {kind: results[kind]["train_loss"] for kind in KINDS}
factor = losses["plain"][-1].mean() / losses["residual"][-1].mean()
deepest = DEPTHS[-1]
title = f"At {deepest} layers the plain networks' training loss\nis {factor:.0f} times the residual ones'"
figures.show(
    degradation_figures.losses_by_depth(DEPTHS, losses, title),
    alt="Training loss against depth: the plain networks rise towards guessing, to "
    f"{losses['plain'][-1].mean():.2f} at {deepest} layers; the residual ones stay near "
    f"{losses['residual'][-1].mean():.3f}.",
)

# %% [markdown]
# That is the degradation problem on a laptop. With 8 layers the plain networks are about as good as with 2;
# with 24 they fit the data that they *see* far worse than two layers do, in every seed. With shortcuts the
# same depth costs nothing.
#
# How sure are we? Five networks scatter. For a difference we want an error bar on the **difference**. The
# networks come in pairs: those of one seed see the data in the same order at every depth. So we subtract within
# each seed first; what is left of the scatter is what matters.
#
# ### Exercise 3 · The gap and its error (4 points, medium, about 12 minutes)
#
# Write `degradation_gap`. Degradation is a matter of the *training* loss; the baseline is the shallowest
# network, wherever in the table it stands. The standard error of the mean of $n$ differences is their
# standard deviation (with $n - 1$ in the denominator) over $\sqrt{n}$.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Which row is the baseline? And for each seed: what is subtracted from what, before any mean is taken?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# `argmin` finds the row of the smallest depth. That row, subtracted from the whole table, gives every network's difference to
# the baseline *of its own seed*: NumPy lines up the columns by itself. A mean over each row gives the gaps. The spread of the
# same differences, over the root of how many there are, gives the errors; `std` divides by $n$ unless it is told `ddof=1`.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# loss = results["train_loss"]  # (depths, seeds)
# difference = ...  # the same shape; a new array
# return difference.mean(axis=...), ...
# ```
#
# </details>


# %% answer="degradation_gap"
def degradation_gap(results: dict) -> tuple[np.ndarray, np.ndarray]:
    """Compare the training loss at every depth with that at the smallest depth.

    Args:
        results: arrays, one row per depth in any order, left unchanged: "depth" (depths,) int, "train_loss"
            and "test_accuracy" (depths, seeds) float64; a column is one seed.

    Returns:
        The mean over the seeds of (training loss minus the same seed's at the smallest depth), and the
        standard error of that mean: two float64 arrays (depths,), in the rows' order.
    """
    ### BEGIN SOLUTION
    loss = results["train_loss"]
    difference = loss - loss[results["depth"].argmin()]
    return difference.mean(axis=1), difference.std(axis=1, ddof=1) / math.sqrt(loss.shape[1])
    ### END SOLUTION


# %% check="degradation_gap" points=4
check.degradation_gap(degradation_gap)

# %% varies=true claim="degradation" effect="gap"
for kind in KINDS:
    gaps, errors = degradation_gap(results[kind])
    print(
        f"{kind:8s}",
        ", ".join(f"depth {d}: {g:+.4f} ± {e:.4f}" for d, g, e in zip(DEPTHS, gaps, errors, strict=True)),
    )
gap = losses["plain"][-1] - losses["plain"][0]
residual_gap = losses["residual"][-1] - losses["residual"][0]
print(f"plain, {DEPTHS[-1]} layers against {DEPTHS[0]}: {interval(gap):+.2f} nats (mean and 95 % interval)")
print(f"residual: {interval(residual_gap):+.3f} nats")
assert interval(gap).low > 0 and gap.min() > 10 * abs(residual_gap).max()

# %% [markdown]
# The interval of the plain gap lies far from zero: with another five networks we would find degradation again.
# The residual gap is smaller than the smallest plain one by a factor of ten and more.

# %% [markdown]
# ## 5 · Is it the vanishing gradient?
#
# *"Now that we have seen how implementing skip connections seemingly solve the problem of vanishing
# gradients, that's all the paper was saying"*, says the notebook of section 1. He et al. say something else
# (section 4.1). Their plain networks use batch normalisation, they looked at the gradients, found them healthy,
# and concluded that the difficulty is *"unlikely to be caused by vanishing gradients"*. What they offer instead
# is a conjecture: deep plain networks may have *"exponentially low convergence rates"*. In a footnote they add
# that three times as many iterations did not make the degradation go away.
#
# **Predict.** In a plain network with batch normalisation, 40 layers deep and untrained: by what factor is the gradient
# of the first layer's weights larger than that of the last (below 1: smaller)? Lesson 4 found a law for it; a factor of
# ten is near enough.

# %% predict="first_to_last"
predict("first_to_last", ...)

# %% claim="nothing_vanishes" effect="growths"
norms = {}
for kind, remedy in KINDS.items():
    network = remedies.build(remedy, SEEDS, 40, DIGITS.x_train)
    norms[kind] = remedies.stacked_gradient_norms(network, DIGITS.x_train[:256], DIGITS.y_train[:256])
law = gradient_flow.mean_field("relu", gain=2.0, depth=40, normalisation="batch").gradient
growth = (law[1] / law[-1]) ** (1 / 39)
ratio = {kind: np.exp(np.log(norm[0] / norm[-1]).mean()) for kind, norm in norms.items()}
for kind in KINDS:
    print(f"{kind:8s} first / last gradient {ratio[kind]:6.2g}: × {ratio[kind] ** (1 / 39):.2f} per layer")
print(f"lesson 4's law for plain networks with BN: × {growth:.2f} per layer")
growths = np.log10(norms["plain"][0] / norms["plain"][-1])  # how many powers of ten
assert abs(growth - math.sqrt(math.pi / (math.pi - 1))) < 0.01
assert ratio["plain"] > 300 and ratio["residual"] < 20
reveal("first_to_last", ratio["plain"], factor=10)

# %%
fold = f"{round(ratio['plain'], -2):.0f}-fold"
title = f"Plain + BN: towards the input the gradient explodes,\n{fold} over 40 layers; nothing vanishes"
figures.show(
    degradation_figures.gradients(norms, growth, title),
    alt=f"Gradient norms at the start over 40 layers: plain networks grow about {fold} from the last layer "
    f"to the first, along lesson 4's law; residual networks {ratio['residual']:.0f}-fold.",
)

# %% [markdown]
# The opposite of vanishing: each plain layer with BN multiplies the gradient by about $\sqrt{\pi/(\pi-1)} = 1.21$ on
# its way back. So the paper is right that nothing vanishes, and the notebook's summary is wrong; whether so
# large a factor is still "healthy" is another matter. (An exploding gradient at the start does not prove that
# it is the *cause* either. It only rules the other explanation out.)
#
# Is a deep plain network untrainable, then? Look at its whole curve.

# %% varies=true claim="slow_not_stuck" effect="fall"
smooth = {
    kind: np.apply_along_axis(np.convolve, 0, runs[kind, DEPTHS[-1]][0], np.ones(11) / 11, mode="valid")
    for kind in KINDS
}
before, now = smooth["plain"][[-60, -1]]
fall = before - now  # per network, over the last 60 steps
print(f"plain, {DEPTHS[-1]} layers: the loss fell by {interval(fall):.2f} nats in the last 60 steps")
assert interval(fall).low > 0

# %% varies=true
fallen = f"from {before.mean():.2f} to {now.mean():.2f}"
title = f"Slow, not stuck: over the last 60 steps the plain\nnetworks still fall {fallen}"
fig, axis = figures.canvas(title, "step (mean over 11, one pass)", "minibatch loss (nats)", yscale="log")
for i, (kind, curve) in enumerate(smooth.items()):
    figures.band(axis, np.arange(len(curve)) + 11, curve, i, f"{kind} + BN, {DEPTHS[-1]} layers")
axis.legend()
figures.show(
    fig,
    alt=f"Training curves at {DEPTHS[-1]} layers: the residual networks drop at once; the plain ones fall "
    f"slowly, {fallen} over the last 60 steps.",
)

# %% [markdown]
# So what makes them slow? One more measurement. Every network gets a *twin*: the stem's weights for a single
# pixel are larger by one part in $10^{10}$, and nothing else differs. We train both in the same way and look at
# how far apart their losses are. Besides our two kinds there is now a third: plain networks *without* batch
# normalisation.
#
# **Predict.** In which of the three kinds have the losses of network and twin come furthest apart after ten steps? And
# how many of the three kinds are slow, with a loss after two passes that is more than 1.3 times the lowest of the three?

# %% predict="furthest"
predict("furthest", ..., ["plain + BN", "residual + BN", "plain, no BN"])

# %% predict="slow"
predict("slow", ...)


# %%
def trained(remedy, nudge):
    return remedies.nudged_losses(
        remedy, SEEDS, DEPTHS[-1], DIGITS.x_train, DIGITS.y_train, steps=22, nudge=nudge
    )


one = {
    "plain + BN": runs["plain", DEPTHS[-1]][0][:22],  # trained in section 4
    "residual + BN": runs["residual", DEPTHS[-1]][0][:22],
    "plain, no BN": trained("He init", 0.0),
}
other = {kind: trained("He init" if "no BN" in kind else kind, 1e-10) for kind in one}
apart = {kind: np.abs(one[kind] - other[kind]) for kind in one}
slow = {kind: losses[-5:].mean(0) for kind, losses in one.items()}

# %% varies=true claim="twins_part" effect="powers"
for kind, distance in apart.items():
    after_ten = f"distance after ten steps {np.median(distance[10]):.0e}"
    print(f"{kind:13s} {after_ten}, loss in steps 18 to 22 {slow[kind].mean():.1f}")
together = max(apart["residual + BN"].max(), apart["plain, no BN"].max())
powers = np.log10(apart["plain + BN"][10] / together)  # how many powers of ten the plain + BN twins are ahead
assert together < 1e-6 and np.median(powers) > 3
assert min(slow["plain + BN"].min(), slow["plain, no BN"].min()) > 1.3 * slow["residual + BN"].max()
reveal("furthest", max(apart, key=lambda kind: np.median(apart[kind][10])))
late = [losses.mean() for losses in slow.values()]
reveal("slow", sum(loss > 1.3 * min(late) for loss in late))

# %% varies=true
split = [kind for kind, distance in apart.items() if np.median(distance[10]) > 1e-4]
those = f"those of {' and '.join(split)}"
title = f"Twins that differ by one part in 10¹⁰: within ten steps\n{those} part, the others stay together"
figures.show(
    degradation_figures.twins(apart, title),
    alt=f"Distance between the losses of a 24-layer network and its twin, for {', '.join(apart)}: after "
    f"ten steps {those} are {np.median(apart[split[0]][10]):.0e} apart, the others never more than "
    f"{together:.0e}."
    if split
    else "Distance between the losses of a network and its twin: no kind parts.",
)

# %% [markdown]
# With batch normalisation and without shortcuts, a difference in the tenth decimal becomes another network
# within one pass. An explanation lies near: in lesson 4 the gradients shattered from one input to the next, so here
# they might from one set of weights to the next, and a step along a gradient that has turned at its end leads
# nowhere. (It would fit the law above, too: each such layer stretches what comes back by 1.21.)
#
# But look at the third kind. Without BN the twins of plain networks stay together as well as those of residual
# ones, and these networks are slow **all the same**. So plain layers *and* batch normalisation are needed for
# the twins to part, and parting cannot be *the* reason why plain networks are slow. A fine explanation, refuted
# by one more curve.
#
# The measurement has a practical side. The digits printed above for 24 plain layers are not the ones that
# *your* machine prints: another processor adds up in another order, and that is a nudge like ours. What does
# not depend on it is what we claim: the order of the two, and that the gap is far from zero.
#
# **What it does not show.** One data set of 1437 small images, one width, one optimiser, one learning rate,
# and a fixed number of steps. We took some of that further outside the notebook:
# `python tests/reproduce_degradation.py` (some minutes) trains 10 seeds, 40 layers, width 128, Adam, many
# learning rates, 220 steps and ten times as many, and prints every spread. In all of these the contrast at 24
# layers remains, but with ten times the steps the plain networks come down far: ours are *slow*, not incapable.
# (He et al., with three times the iterations, still saw degradation; their networks are not ours, and what fully
# connected networks of width 32 do is no proof for convolutional ones on ImageNet.)

# %% [markdown]
# ## 6 · What else solves it?
#
# If a good start for the signal or a free path for it is the point, other means might do. The decade around
# the paper found many:
#
# | name | idea |
# |---|---|
# | default, Xavier, He, orthogonal init | weights whose variance is $g/N$ with $g = 1/3$, $1$, $2$; or rotations times $\sqrt 2$, which makes $g = 2$ |
# | LSUV init | orthogonal, then rescaled layer by layer until the data have variance 1 |
# | batch normalisation | rescale in every step |
# | highway | $h + t\,(\mathrm{relu}(Wh) - h)$ with a learned gate $t$ that starts almost closed |
# | scaled residual | $\mathrm{relu}(h + \alpha F(h))$ with $\alpha = 1/\sqrt{\text{number of blocks}}$, no BN |
# | SkipInit | the same with a learned factor that starts at **zero** |
# | ReZero | $h + \gamma\,\mathrm{relu}(Wh)$ with a learned $\gamma$ that starts at **zero** |
#
# The last two rows sound wrong. If the branch is multiplied by zero, how can it learn?
#
# ### Exercise 4 · A gated branch that trains from zero (4 points, medium, about 15 minutes)
#
# Write ReZero's block. It carries $h$ on, whole, and adds the branch $\mathrm{relu}(W h + b)$ times one
# learned number $\gamma$, called `gate`, that starts at zero. At the start the block is the identity. After
# the first step of an optimiser it must not be any more.
#
# There is a trap. For every $\gamma > 0$ we have $\gamma\,\mathrm{relu}(z) = \mathrm{relu}(\gamma z)$, so
# there seem to be two ways to write the same block.
#
# <details><summary>Hint 1: a nudge</summary>
#
# What makes a number one that an optimiser changes? And of the two ways to write the block: which of them has, at
# $\gamma = 0$, a gradient with respect to $\gamma$?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# A tensor becomes a parameter of the module when it is wrapped in `nn.Parameter` and set as an attribute. Write
# $h + \gamma\, \mathrm{relu}(z)$ and $h + \mathrm{relu}(\gamma z)$ side by side, differentiate both with respect to $\gamma$,
# and put in $\gamma = 0$: torch takes $\mathrm{relu}'(0) = 0$. Nothing stands around the sum.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# self.gate = nn.Parameter(...)  # in __init__: one number
#
# branch = ...  # in forward: a linear layer, then its ReLU
# return ...  # the stream, whole, and the branch times the gate
# ```
#
# </details>


# %% answer="GatedBlock"
class GatedBlock(nn.Module):
    """A residual block whose branch relu(linear(h)) is scaled by one learned number, zero at the start.

    Args:
        width: features of the stream.
    """

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)
        # and the learned number, as self.gate
        ### BEGIN SOLUTION
        self.gate = nn.Parameter(torch.zeros(()))
        ### END SOLUTION

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Add the gated branch to the stream.

        Args:
            h: (batch, width), float32, of either sign.

        Returns:
            The stream after the block, (batch, width), float32.
        """
        ### BEGIN SOLUTION
        return h + self.gate * torch.relu(self.linear(h))
        ### END SOLUTION


# %% check="GatedBlock" points=4
check.GatedBlock(GatedBlock)

# %% [markdown]
# With $L = \text{loss}$ and $\delta = \partial L/\partial h_{k+1}$ the gradients of your block are
#
# $$ \frac{\partial L}{\partial \gamma} = \bigl\langle \delta,\ \mathrm{relu}(Wh + b) \bigr\rangle, \qquad \frac{\partial L}{\partial W} \propto \gamma. $$
#
# At $\gamma = 0$ the weights stand still, but the gate does not. One step later it is not zero any more, and
# the weights move too. With the gate *inside* the ReLU both gradients carry the factor $\mathrm{relu}'(0)$,
# which torch takes to be 0: the block stays the identity for ever. (Were $W$ zero as well, each gradient
# would wait for the other.)
#
# Now all twelve, at 24 layers: five starts, batch normalisation, highway, and residual networks with nothing, BN, the
# scale, SkipInit and ReZero. For a fair race each runs at the learning rate that was best *for these three passes*
# on five other networks. `remedies.THREE_PASSES` holds them: the script of section 5 tried 15 rates from 0.0001 to 1.6,
# each twice the one before, with seeds 100 to 104. For every remedy that learns anything, the best rate lies inside
# that range, not at its edge.
#
# **Predict.** How many of the twelve have a training loss below 1 in the third pass through the data? One more or less
# is near enough.

# %% predict="below_one"
predict("below_one", ...)

# %%
first, short = {}, {}
for name, rate in remedies.THREE_PASSES.items():
    network = remedies.build(name, SEEDS, 24, DIGITS.x_train).float()  # faster, and no digit matters here
    history = training.train_stacked(network, DIGITS.x_train, DIGITS.y_train, steps=SHORT, lr=rate)
    first[name], short[name] = history[0], history[-11:].mean(0)  # before the first step, in the third pass

# %% varies=true claim="remedies" effect="margin"
for name, loss in short.items():
    told = f"loss {first[name].mean():6.2f} -> {loss.mean():.2f} ± {loss.std(ddof=1):.2f}"
    print(f"{name:16s} learning rate {remedies.THREE_PASSES[name]:<7} {told}")
without_skip, untamed, tamed = list(short)[:6], list(short)[:7], list(short)[7:]
best_untamed = np.nanmin([short[name] for name in untamed], axis=0)  # "nan": a network that has diverged
margin = best_untamed - np.max([short[name] for name in tamed], axis=0)  # per seed
assert np.max([short[name] for name in tamed]) < 1 < best_untamed.min()
assert first["residual"].min() > 3 * math.log(10)
reveal("below_one", sum(loss.mean() < 1 for loss in short.values()), within=1)

# %% [markdown]
# Does this order hang on the rates? Here are the networks with batch norm alone and with a shortcut alone, at a
# quarter of their rate and at four times it.

# %% varies=true claim="remedies_at_other_rates" effect="closest"
elsewhere = {}
for name in ("plain + BN", "residual"):
    for factor in (1 / 4, 4):
        network = remedies.build(name, SEEDS, 24, DIGITS.x_train).float()
        rate = factor * remedies.THREE_PASSES[name]
        history = training.train_stacked(network, DIGITS.x_train, DIGITS.y_train, steps=SHORT, lr=rate)
        elsewhere[name, rate] = history[-11:].mean(0)
        print(f"{name:16s} learning rate {rate:<7.3g} loss {elsewhere[name, rate].mean():.2f}")
closest = np.nanmin(list(elsewhere.values()), axis=0)  # per seed; "nan" is a network that diverged
assert closest.min() > 1

# %%
below = [name for name, loss in short.items() if loss.max() < 1]
title = f"After three passes {len(below)} of twelve are below 1: a shortcut with\na branch that starts small"
figures.show(
    degradation_figures.remedies(short, without_skip, title),
    alt=f"Training loss in the third pass for twelve networks of 24 layers, {NETWORKS} seeds each. Below 1 "
    f"in every seed: {', '.join(below)}. The others stay above.",
)

# %% [markdown]
# Four remarks. (The rates come from other networks; among those tried here another may do a little better, but none
# brings batch norm or a shortcut alone below 1.)
#
# - **A shortcut alone is not enough**, not in three passes with SGD. Without normalisation each block adds to
#   the stream, which grows by a constant factor per block (lesson 4: $\sqrt{1 + g/2}$ per layer): look at the
#   loss that "residual" starts from. Large rates make it diverge, small ones leave it near guessing. That is a
#   matter of time and of the optimiser, too: the script gives it 220 steps, at a rate of 0.001, and Adam, and
#   both bring it down. A branch that starts *small* - by $1/\sqrt{\text{blocks}}$, by zero, by BN - needs no such
#   care.
# - **Batch normalisation alone is not enough** at this depth and in this time: its losses overlap those of the
#   He start without it.
# - **The start matters.** PyTorch's default, $g = 1/3$, has not moved from $\ln 10$ at any rate: here the gradient
#   does vanish. With He, orthogonal and LSUV starts the loss has begun to fall.
# - The last five differ by less than we should make of it: three passes, one width, learning rates a factor of
#   two apart. With more steps orthogonal and LSUV starts come down as well, as the script prints.
#
# ### A loss that stalls
#
# One of our source texts says that if *"the training loss stops decreasing but is still far away from the
# desired value"*, we have *"definitely observed the so-called vanishing gradient problem"*. Here are four
# networks that are no better than guessing ($\ln 10 = 2.30$) after 44 steps. Look at the gradient before you believe a diagnosis.

# %%
shuffled = np.random.default_rng(SEED + 1).permutation(DIGITS.y_train)
cases = {
    "default init, 24 layers": ("default init", 24, DIGITS.y_train, 0.05),
    "a learning rate far too small": ("He init", 2, DIGITS.y_train, 1e-6),
    "labels in the wrong order": ("He init", 2, shuffled, 0.005),
    "a learning rate far too large": ("He init", 2, DIGITS.y_train, 0.5),
}

# %% varies=true
stalled = {}
for case, (remedy, depth, labels, rate) in cases.items():
    network = remedies.build(remedy, SEEDS, depth, DIGITS.x_train)
    before = np.nanmedian(remedies.stacked_gradient_norms(network, DIGITS.x_train, labels)[0])
    losses = training.train_stacked(network, DIGITS.x_train, labels, steps=44, lr=rate)
    after = np.nanmedian(remedies.stacked_gradient_norms(network, DIGITS.x_train, labels)[0])
    stalled[case] = np.nanmedian(losses[-11:]), before, after  # "nan": a network that has diverged
    print(f"{case:30s} loss {stalled[case][0]:.2f}   first layer's gradient {before:.0e} -> {after:.0e}")

# %% claim="four_causes" effect="before"
loss, before, after = np.array(list(stalled.values())).T
assert loss.min() > 2.1
assert before[0] < 1e-6 and before[1:].min() > 1e-2
assert after[1:3].min() > 1e-2 and after[3] == 0

# %% [markdown]
# Four losses that end at guessing or above, and one gradient that vanished on its way through the layers. The
# second and the third network have healthy gradients, and nothing to do with depth. In the last one the gradient
# was healthy too, until one of the steps pushed every ReLU of a layer below zero: a *dead* network, of two hidden
# layers. The loss curve does not tell these apart. The gradient's norm, before and after, does.
#
# ## 7 · Play
#
# Three 24-layer networks, 16 steps of 64 examples, trained while you wait. Pick a remedy and a learning
# rate. Which remedies forgive a rate that is ten times too large? Which need exactly the right one?


# %%
def remedy_at(remedy="residual + BN", rate=0.0512):
    network = remedies.build(remedy, SEEDS[:3], 24, DIGITS.x_train).float()
    losses = training.train_stacked(
        network, DIGITS.x_train, DIGITS.y_train, steps=degradation_figures.PANEL_STEPS, batch=64, lr=rate
    )
    return degradation_figures.remedy_shot(remedy, rate, losses)


# %% varies=true
controls = degradation_figures.REMEDY_CONTROLS
panel = panels.Panel(remedy_at, degradation_figures.remedy_stage, controls)
panel.show()

# %% live=true
panel.live()

# %% [markdown]
# ## 8 · The real ones (optional)
#
# The networks of the paper are this lesson's block with convolutions, repeated. `helpers.architectures`
# builds each from one row of the paper's tables; on PyTorch's `meta` device that takes no memory, only
# shapes.
#
# **Predict.** ResNet-50 has 16 more layers than ResNet-34, and 16 blocks like it. How much does that add to
# the number of parameters: a sixth, a half, or as many again?

# %% predict="added"
predict("added", ..., ["a sixth", "a half", "as many again"])

# %% claim="resnet_sizes"
with torch.device("meta"):
    imagenet = {
        depth: architectures.build(architectures.resnet_spec(depth)) for depth in architectures.RESNETS
    }
counts = {depth: architectures.parameter_count(network) for depth, network in imagenet.items()}
for depth, count in counts.items():
    print(f"ResNet-{depth:<3d} {count:12,d} parameters")
assert list(counts.values()) == [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808]
assert round(counts[34] / (counts[50] - counts[34])) == 6
shares = {"a sixth": 1 / 6, "a half": 1 / 2, "as many again": 1}
reveal("added", min(shares, key=lambda word: abs(counts[50] / counts[34] - 1 - shares[word])))

# %% [markdown]
# A sixth. Bottlenecks (1×1 down, 3×3, 1×1 up) buy depth cheaply. For CIFAR-10 the paper's table 6 gives the
# sizes in millions; ours must round to the same.
#
# And what do the shortcuts themselves cost? Option A (subsample, append zero channels: lesson 6's `option_a`)
# has nothing to learn; option B projects.

# %% claim="cifar_sizes"
in_the_paper = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}  # millions, table 6
for depth, millions in in_the_paper.items():
    with torch.device("meta"):
        options = [architectures.build(architectures.cifar_resnet_spec(depth, option)) for option in "AB"]
    count, projected = map(architectures.parameter_count, options)
    print(f"ResNet-{depth:<3d} {count:10,d} parameters, {projected - count:,} more with option B")
    assert f"{count / 1e6:.2f}".startswith(str(millions)) and projected - count == 2752

# %% claim="price_of_shortcuts"
cost = {
    depth: sum(
        architectures.parameter_count(block.shortcut)
        for block in network
        if isinstance(block, architectures.Residual)
    )
    for depth, network in imagenet.items()
}
for depth, shortcuts in cost.items():
    print(f"ResNet-{depth:<3d} shortcuts hold {shortcuts / counts[depth]:5.1%} of the parameters")
assert all(share < 0.12 * counts[depth] for depth, share in cost.items())

# %% [markdown]
# ## 9 · Your turn to judge
#
# The notebook of section 1 ends with a question that its author calls "max's": was this a good paper when it
# was released? Is it a good paper now? What has changed between then and now? What other methods are there of
# solving the vanishing gradient problem?

# %% [markdown] question="good_paper"
# ### Question · Was it a good paper, and is it one now? (6 points, about 15 minutes)
#
# Answer in about 250 words: **(a)** what the paper showed in 2015, and what it claimed without showing;
# **(b)** how its explanation stands today, in the light of this lesson's measurements; **(c)** at least three
# other ways to make deep networks trainable, each with the reason why it works, and with what you measured
# for it here.
#
# === BEGIN MARK SCHEME ===
# - 0: nothing relevant, or only the claim that the paper solved vanishing gradients.
# - 1: single correct facts ("skip connections are everywhere today"), with degradation and vanishing
#   gradients taken for the same.
# - 2: one part right.
# - 3: two parts right; or all three as a list without reasons.
# - 4: all three parts right, but without measurements or with most reasons missing.
# - 5: all three parts right, but one without a measurement or without a reason.
# - 6: all of (a) degradation is a rise of the *training* error, shown with plain and residual networks of
#   equal depth, width and parameter count; the reason given ("residuals are easier to fit") is a hypothesis,
#   and vanishing gradients are explicitly ruled out; (b) separates the lasting construction (in nearly every
#   deep network since) from the explanation, which later work replaced or sharpened (small branches at the
#   start, pre-activation, shattered gradients, paths, landscape), and uses at least two measurements of the
#   lesson; (c) three or more methods with reasons, and their measured limits, such as "a shortcut without
#   normalisation or scaling does not train".
#
# Misconceptions:
#
# - "The paper solved the vanishing gradient problem." Good starts and batch normalisation had; the paper says
#   so.
# - "Degradation is overfitting." It is the training loss that rises.
# - "Plain deep networks cannot represent it." Exercise 1 builds the network.
# - "A skip connection is sufficient." Residual without normalisation or scaling still guessed after three passes
#   of SGD, at the best of 15 rates.
# - "Batch normalisation prevents exploding gradients." In plain networks it causes a growth of 1.21 per layer
#   at the start.
# - "Plain networks are slow because twins part." Without BN they are slow, and the twins stay together.
# - "The small net of section 1 shows that skips help."
# === END MARK SCHEME ===

# %% [markdown] response="good_paper" points=6
# ### BEGIN SOLUTION
# (a) The paper showed, on ImageNet and CIFAR-10, that deeper plain networks can end with a higher *training*
# error, that networks of the same depth and size with identity shortcuts do not, and that these keep
# improving to over 100 layers. The comparison is fair (option A adds no parameter), the idea simple. Why it
# works it only supposed: it should be easier to push a residual to zero than to fit an identity. It said that
# vanishing gradients were unlikely to be the cause, since batch normalisation kept the norms healthy, and it
# conjectured, without showing it, that deep plain networks converge exponentially slowly.
#
# (b) As a construction it has lasted: residual streams are in nearly every deep network, transformers
# included. As an explanation it has been sharpened: the ReLU after the addition was moved away by the same
# authors (2016); others point at shattered gradients, at the many short paths, at smoother loss surfaces, and
# at BN making the branch small at the start. Our measurements agree that nothing vanishes: at 40 layers
# plain + BN gradients *grew* more than a hundredfold towards the input. Twenty-four plain layers were slow,
# not incapable. What has changed is that normalisation is one choice among several, and that we know the
# branch must start small.
#
# (c) Careful starts (He, orthogonal, LSUV) keep the variance of the signal: better than the default, which
# stalled at ln 10, but none below 1 after three passes. Batch normalisation rescales in every step: not enough
# alone at 24 layers. Gates (highway) carry the signal past the layer: trained. Zero or scaled
# branches (SkipInit, ReZero, $1/\sqrt{n}$) start at or near the identity: trained without BN, while the
# unscaled residual network still guessed after three passes. Dense concatenation comes next.
# ### END SOLUTION

# %% [markdown]
# ## What we have learnt
#
# - Degradation is a training loss that rises with depth. The good deep network exists (Exercise 1 built it);
#   the optimiser is slow to find it.
# - With batch normalisation nothing vanishes in the plain network. The shortcut's merit is a start near the
#   identity, not only a path for the gradient.
# - Twins that differ in the tenth decimal part within ten steps if the layers are plain *and* have batch
#   normalisation. Without it they stay together, and the networks are slow all the same.
# - In three passes of SGD it takes a shortcut *and* a branch that starts small. Which device makes it small
#   matters less.
# - A falling loss on random labels, or a single seed, shows nothing.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** With 24 layers a network has a higher *test* error than with 8. Is that degradation? What else do you want to see?
#
# <details><summary>An answer</summary>
#
# It may be plain overfitting. We want the *training* loss of both: if the deep network's is lower there, it has learnt too
# much by heart; if it is higher, the optimiser has not found what the network could do, and that is degradation. And we
# want it from several seeds, subtracted seed by seed.
#
# </details>
#
# **2.** Somebody starts all weights of the branches $F$ at exactly zero, and the network has neither batch normalisation
# nor a gate: $F(h) = W_2\,\mathrm{relu}(W_1 h)$. Every block is the identity at the start. Will it train?
#
# <details><summary>An answer</summary>
#
# The branches will not: the gradient of $W_2$ has the factor $\mathrm{relu}(W_1 h) = 0$, that of $W_1$ the factor
# $W_2 = 0$, and so each waits for the other for ever. Stem and head alone learn. With $W_2 = 0$ and a random $W_1$ all
# is well: $W_2$ moves in the first step, $W_1$ from the second on.
#
# </details>
#
# **3.** At 24 layers a friend's plain network without batch normalisation stays at a loss of 2.30 on ten classes, whatever
# the learning rate. Which one measurement would you ask for, and what would two different results tell you?
#
# <details><summary>An answer</summary>
#
# The norm of the first layer's gradient, before and after the first steps. If it is next to nothing from the start, such
# as $10^{-10}$, it does vanish on its way, and the starting weights are too small ($g < 2$ with ReLUs). If it is
# healthy at first and exactly 0 later, the steps have killed the ReLUs. If it stays healthy, look at the data and their
# labels: 2.30 is $\ln 10$, what guessing costs.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# All our remedies that work *add* to a stream, and whatever a block adds, the next can overwrite. What if
# nothing were ever added up, and each layer's features were kept beside those of all layers before, for good?
#
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition* (2015).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity mappings in deep residual networks* (2016).
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals, *Understanding deep learning requires rethinking
#   generalization* (2017). [arXiv:1611.03530](https://arxiv.org/abs/1611.03530)
# - S. Ioffe, C. Szegedy, *Batch normalization: accelerating deep network training by reducing internal covariate
#   shift* (2015). [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - K. He, X. Zhang, S. Ren, J. Sun, *Delving deep into rectifiers: surpassing human-level performance on ImageNet
#   classification* (2015): He init. [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - A. Saxe, J. McClelland, S. Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep linear
#   neural networks* (2013): orthogonal init. [arXiv:1312.6120](https://arxiv.org/abs/1312.6120)
# - D. Mishkin, J. Matas, *All you need is a good init* (2015): LSUV.
#   [arXiv:1511.06422](https://arxiv.org/abs/1511.06422)
# - R. K. Srivastava, K. Greff, J. Schmidhuber, *Highway networks* (2015).
#   [arXiv:1505.00387](https://arxiv.org/abs/1505.00387)
# - S. De, S. Smith, *Batch normalization biases residual blocks towards the identity function in deep
#   networks* (2020): SkipInit. [arXiv:2002.10444](https://arxiv.org/abs/2002.10444)
# - T. Bachlechner, B. P. Majumder, H. H. Mao, G. W. Cottrell, J. McAuley, *ReZero is all you need: fast convergence
#   at large depth* (2020). [arXiv:2003.04887](https://arxiv.org/abs/2003.04887)
