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
# # 3 · Chain rule and saturation
#
# {{badge}}
#
# Lesson 2 left us with a system whose activations are in perfect health while its gradient is dead, and with
# two questions. What does one layer with a weight and a nonlinearity do to the gradient? And can a skip bring
# a dead layer back? Looking at activations will not tell. We have to follow the gradient itself, factor by
# factor.
#
# The smallest network that has a depth is a chain: one unit a layer, one weight a unit. Everything about it
# fits on a line of paper, and still it shows three different ways to lose a gradient that are often taken for
# one: **saturation**, **depth** and **rounding**. We shall need to tell them apart.
#
# **Objectives.** After this lesson you can
#
# - write the gradient of a chain by hand, with and without skips, and have it agree with autograd;
# - say how fast a gradient shrinks with depth, and when it does not shrink exponentially at all;
# - say what a skip does for a saturated unit, and what it cannot do;
# - decide whether an update is large enough to change a weight.
#
# **Prerequisites.** The chain rule; lesson 1 (what a float is). A little PyTorch helps.
#
# **Time:** about {{minutes}} minutes, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math

import numpy as np
import torch

from helpers import chain, figures
from helpers.checks import progress
from helpers.checks import tanh_chain as check

torch.set_num_threads(1)

# %% [markdown]
# ## 1 · The claim
#
# Our second source is a notebook that teaches skip connections with such a chain. Layer $i$ computes
#
# $$t_i = \tanh(w_i z_{i-1}), \qquad z_i = t_i \quad\text{(plain)} \qquad\text{or}\qquad z_i = t_i + z_{i-1} \quad\text{(skip)},$$
#
# with $z_0 = x = 10$, four layers, all weights 1, and the loss $L = \tfrac12 (z_n - 1)^2$. It prints the
# gradient of every weight, then the reader is to switch on the skip, a line that stands there commented out.
# The conclusion follows in the next cell: *"Now that we have seen how implementing skip connections seemingly
# solve the problem of vanishing gradients, that's all the paper was saying"*.
#
# Here is its loop, a little shortened. (Its `torch.autograd.Variable` has been out of date for years; its
# imports of torchvision and its `np.random.seed` do nothing in it. It also stores `zprime_i` under the name
# `z_list`; remember that for Exercise 1.)
#
# **Predict.** Which of the four gradients is the smallest, and by what factor smaller than the largest: 3,
# 100, 10 million?


# %%
def run_chain(x, w=1.0, n=4, skip=False, dtype=torch.float32):
    """The loop of the source: the gradients of the weights, and that of the input."""
    x = torch.tensor([x], dtype=dtype, requires_grad=True)
    z_prev, w_list = x, []
    for _ in range(n):
        w_i = torch.tensor([w], dtype=dtype, requires_grad=True)
        zprime_i = torch.tanh(z_prev * w_i)
        z_i = zprime_i + z_prev if skip else zprime_i
        w_list.append(w_i)
        z_prev = z_i
    L = 0.5 * (z_i - 1.0) ** 2
    L.backward()
    return [w_i.grad.item() for w_i in w_list], x.grad.item()


plain, _ = run_chain(10.0)
print([f"{g:.4f}" for g in plain])
assert [f"{g:.4f}" for g in plain] == ["-0.0000", "-0.0727", "-0.1319", "-0.1892"]
assert plain[0] == 0.0

# %% [markdown]
# These are the numbers of the source: $-0$, $-0.0727$, $-0.1319$, $-0.1892$. The first one is not small, it
# is exactly zero. Four layers are not deep. What happened?
#
# ## 2 · The first zero: saturation
#
# Let us change nothing but the precision.
#
# **Predict.** Computed in float64, the gradient of $w_1$ is... still 0? Or of what order?

# %%
double, _ = run_chain(10.0, dtype=torch.float64)
print(f"float32: {plain[0]}    float64: {double[0]:.4g}")
assert math.isclose(double[0], -5.997e-9, rel_tol=1e-3)
assert np.allclose(plain[1:], double[1:], rtol=1e-5)

# %% [markdown]
# Not zero but $-6 \cdot 10^{-9}$, while the other three do not change. The number was lost in *one* place,
# the very first layer: $1 - \tanh^2(10) \approx 4e^{-20} \approx 8 \cdot 10^{-9}$, and the nearest float32 to
# $\tanh 10$ is 1. The slope $1 - t^2$ then is 0.
#
# This is **saturation**: a unit driven so far that its slope is gone. Below 1, numbers with $p$ binary digits
# lie $2^{-p}$ apart, so $\tanh x$ is rounded to 1 as soon as $1 - \tanh x \approx 2e^{-2x}$ is less than half
# of that:
#
# $$2 e^{-2x} < 2^{-(p+1)} \iff x > \tfrac12 (p + 2) \ln 2 .$$

# %%
onset = {name: chain.saturation_onset(p) for name, p in (("float32", 24), ("float64", 53))}
for name, x_star in onset.items():
    below, above = torch.tanh(torch.tensor([x_star - 0.02, x_star + 0.02], dtype=getattr(torch, name)))
    print(
        f"{name}: tanh is 1 from x = {x_star:.2f} on:",
        f"1 - tanh = {1 - below:.1e} just below, {1 - above:.0f} just above",
    )
    assert below < 1 and above == 1
assert 9.0 < onset["float32"] < 9.02

# %% [markdown]
# The input 10 of the source lies just beyond the edge. To see whether depth has a part in it, we vary both.

# %%
x = np.linspace(0.1, 10, 67)
fig, axis = figures.canvas(
    f"Beyond x = {onset['float32']:.1f} the first gradient is gone, at any depth",
    "input x",
    "|dL/dw_1|, float32",
    yscale="log",
)
for i, n in enumerate((1, 4, 16)):
    first = np.array([abs(run_chain(float(v), n=n)[0][0]) for v in x])
    label = f"{n} layers" if n > 1 else "1 layer"
    axis.plot(x[first > 0], first[first > 0], **figures.series(i), label=label)
    assert not first[x > onset["float32"] + 0.05].any() and first[x < onset["float32"] - 0.05].all()
axis.axvline(onset["float32"], color="black", linewidth=1)
axis.legend(loc="lower left")
figures.show(
    fig,
    alt="The gradient of the first weight against the input, for 1, 4 and 16 layers. All three curves "
    f"fall steeply and end at x = {onset['float32']:.2f}, beyond which the gradient is exactly zero.",
)

# %% [markdown]
# **What we should see.** Three curves that end at the same input. Even a network of *one* layer has no
# gradient there. (With one layer the curve is steeper, because there the error $z_1 - 1$ goes to 0 together
# with the slope.) **What it does not show:** that depth is harmless. We look at depth below, with inputs that
# do not saturate.
#
# ## 3 · The second zero: what the skip does not do
#
# Now the line of the source that was commented out, `z_i = zprime_i + z_prev`.
#
# **Predict.** The first gradient was 0 without the skip. With the skip, how many of the four are 0? And the
# gradient of the *input*?

# %%
with_skip, input_gradient = run_chain(10.0, skip=True)
print("dL/dw:", with_skip, "   dL/dx:", input_gradient)
assert with_skip == [0.0, 0.0, 0.0, 0.0] and input_gradient == 13.0

# %% [markdown]
# The "fix" makes it worse: one zero has become four. The skip adds the input to every state, so
# $z = 10, 11, 12, 13, 14$, and all four units are saturated now, not only the first. At the same time
# $\partial L / \partial x = 13$, that is $(z_n - 1)$ times exactly 1: the gradient travels down the skips
# untouched.
#
# Both halves matter. **A skip carries the gradient past a saturated unit. It cannot revive the unit.** And a
# weight that gets no gradient gets no update, however long we train:

# %%
weights = torch.ones(4, requires_grad=True)
for _ in range(100):
    z = torch.tensor(10.0)
    for w_i in weights:
        z = torch.tanh(w_i * z) + z
    (0.5 * (z - 1) ** 2).backward()
    with torch.no_grad():
        weights -= 0.1 * weights.grad
        weights.grad.zero_()
print(f"after 100 steps: weights {weights.tolist()}, loss {0.5 * (z.item() - 1) ** 2}")
assert weights.tolist() == [1.0] * 4 and z.item() == 14.0

# %% [markdown]
# Was it an unfair test? With a smaller input there is something to see.
#
# **Predict.** At $x = 1$, in which layer is the gradient largest, without and with the skip?

# %%
rows = {skip: run_chain(1.0, skip=skip)[0] for skip in (False, True)}
for skip, row in rows.items():
    print("skip " if skip else "plain", "  ".join(f"{g:7.3f}" for g in row))
assert np.allclose(rows[False], [-0.060, -0.109, -0.157, -0.203], atol=6e-4)
assert np.allclose(rows[True], [1.759, 0.739, 0.178, 0.034], atol=6e-4)

# %% [markdown]
# Here the skip does help the early layers: the first gradient is about thirty times larger than before. But
# look at the *last* layers: they have become the weak ones, because the state grows by almost 1 a layer and
# drives them towards saturation. A skip without anything that keeps the stream in bounds moves the problem.
# We note this for lessons 4 and 7.
#
# ## 4 · The chain rule, written out
#
# All of this can be read off one formula. Going backwards through layer $j$ multiplies the gradient by
#
# $$\frac{\partial z_j}{\partial z_{j-1}} = w_j (1 - t_j^2) \;\;\text{(plain)}, \qquad 1 + w_j (1 - t_j^2) \;\;\text{(skip)},$$
#
# and in the plain chain
#
# $$\frac{\partial L}{\partial w_i} = (z_n - z_\text{obs})\;(1 - t_i^2)\, z_{i-1} \prod_{j > i} w_j (1 - t_j^2).$$
#
# Three things: the error at the end, what happens inside layer $i$, and the way back from the end to layer
# $i$. For a skip chain only the way back changes, and the $z$, of course.

# %% [markdown]
# ### Exercise 1 · The gradients of the chain (5 points, about 12 minutes)
#
# Write `chain_gradients(x, weights, target, skip)` in NumPy: the derivatives of
# $L = \tfrac12 (z_n - \text{target})^2$ by every weight and by the input. Do it by the chain rule, in
# float64, without autograd: one loop forward, one backward.
#
# Take care of what you store on the way forward: with the skip, $t_i$ and $z_i$ are different numbers, and
# the formula needs both.


# %% answer="chain_gradients"
def chain_gradients(x: float, weights: np.ndarray, target: float, skip: bool) -> tuple[np.ndarray, float]:
    """Differentiate the loss of a tanh chain.

    Args:
        x: the input z_0.
        weights: (n,) float64, w_1 ... w_n.
        target: z_obs.
        skip: False: z_i = tanh(w_i z_(i-1)); True: z_i = tanh(w_i z_(i-1)) + z_(i-1).

    Returns:
        dL/dw, (n,) float64, layer 1 first, and dL/dx, a float.
    """
    ### BEGIN SOLUTION
    z, t = [x], []
    for w in weights:
        t.append(np.tanh(w * z[-1]))
        z.append(t[-1] + z[-1] if skip else t[-1])
    by_weights = np.zeros(len(weights))
    cotangent = z[-1] - target
    for i in reversed(range(len(weights))):
        slope = 1 - t[i] ** 2
        by_weights[i] = cotangent * slope * z[i]
        cotangent = cotangent * (weights[i] * slope + (1 if skip else 0))
    return by_weights, float(cotangent)
    ### END SOLUTION


# %% check="chain_gradients" points=5
check.chain_gradients(chain_gradients)
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

random = np.random.default_rng(31)
for n in (1, 2, 5, 9):
    for skip in (False, True):
        x, target, weights = random.normal(), random.normal(), random.normal(size=n)
        w = torch.tensor(weights, requires_grad=True)
        start = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        z = start
        for w_i in w:
            z = torch.tanh(w_i * z) + (z if skip else 0)
        (0.5 * (z - target) ** 2).backward()
        by_weights, by_input = call(chain_gradients, x, weights, target, skip)
        given = f"chain_gradients({x:.3f}, {n} weights, {target:.3f}, {skip})"
        close(by_weights, w.grad.numpy(), f"dL/dw of {given}", rtol=1e-9, atol=1e-13)
        close(by_input, start.grad.item(), f"dL/dx of {given}", rtol=1e-9, atol=1e-13)
### END HIDDEN TESTS

# %% [markdown]
# With the closed form in hand we can look at all the numbers above once more, in one call each. And we can
# settle what the source kept: its `z_list` holds $t_i$, which is $z_i$ in the plain chain only. With the
# skip, a gradient computed from that list would be wrong.

# %%
for x in (10.0, 1.0):
    for skip in (False, True):
        by_weights, by_input = chain_gradients(x, np.ones(4), 1.0, skip)
        print(
            f"x = {x:4.0f}  skip {skip!s:5}  dL/dx = {by_input:9.2e}  dL/dw =",
            [f"{g:.1e}" for g in by_weights],
        )
assert np.allclose(chain_gradients(10.0, np.ones(4), 1.0, False)[0], double, rtol=1e-6)
for skip in (False, True):
    z, z_list = chain.forward(1.0, np.ones(4), skip)
    print(f"skip {skip!s:5}  z_list of the source {z_list.round(3)}, outputs z {z[1:].round(3)}")
    assert np.array_equal(z_list, z[1:]) != skip

# %% [markdown]
# ## 5 · "Multiplied by one"?
#
# Our third source, a textbook chapter, explains the skip like this: *"The gradient would then simply be
# multiplied by one and its value will be maintained in the earlier layers."* In the formula above, the factor
# of a layer with a skip is $1 + w (1 - t^2)$; for a layer with many units, $I + J_F$ with the Jacobian $J_F$
# of the branch. That is one only if the branch is flat.
#
# **Predict.** Is there a weight for which a layer *with* a skip lets no gradient through at all?

# %%
factors = {
    w: float(chain.sensitivity(1e-9, np.array([w]), skip=True)[1]) for w in (-1.0, -0.5, 0.0, 0.5, 1.0)
}
for w, factor in factors.items():
    print(f"w = {w:4.1f}: a layer with skip multiplies the gradient at z = 0 by {factor:.2f}")
assert factors[-1.0] < 1e-15 and factors[1.0] == 2.0 and factors[0.0] == 1.0

# %% [markdown]
# At $w = -1$ and $z = 0$ the branch cancels the skip and the factor is 0; at $w = 1$ and $z = 0$ it is 2,
# which over 50 such layers is $2^{50}$. What the skip does is to move the factor from "near 0" to "near 1",
# around which the branch may still do harm. It is a good place to start from, not a guarantee.
#
# ## 6 · How fast does a plain chain die?
#
# Now to depth. The same chapter says: *"if we multiply many things together that are less than one, the
# resulting gradient will be very small."* Many things less than one: yes. But how small depends on *how much*
# less than one, and the three cases differ in kind. Far down the chain the state settles on a fixed point
# $z^* = \tanh(w z^*)$, and then every further layer multiplies by the same number:
#
# - $w < 1$: the state dies out, $z^* = 0$;
# - $w > 1$: the state settles at some $z^* > 0$;
# - $w = 1$: the state creeps to 0 so slowly that the limit never tells the story.

# %% [markdown]
# ### Exercise 2 · The factor of a layer (4 points, about 10 minutes)
#
# Write `layer_factor(w)`: by what factor a layer far down the plain chain multiplies
# $\partial z_n / \partial x$, that is the limit of $\partial z_{l+1} / \partial z_l$ as $l \to \infty$, for
# equal weights $w > 0$ and an input $x > 0$. For $w > 1$ you need the fixed point; solve for it numerically,
# to about ten digits. (The limit also exists for $w = 1$.)


# %% answer="layer_factor"
def layer_factor(w: float) -> float:
    """Give the factor by which a layer far down the plain tanh chain multiplies the gradient.

    Args:
        w: the weight of every layer, above 0.

    Returns:
        The limit of dz_(l+1)/dz_l for an input x > 0.
    """
    ### BEGIN SOLUTION
    from scipy.optimize import brentq

    if w <= 1:
        return float(w)
    # The upper fixed point lies between where tanh(w z) - z is largest and 1.
    peak = math.atanh(math.sqrt(1 - 1 / w)) / w
    z = brentq(lambda z: math.tanh(w * z) - z, peak, 1.0, xtol=1e-15)
    return w * (1 - z * z)
    ### END SOLUTION


# %% check="layer_factor" points=4
check.layer_factor(layer_factor)
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

for w in (*np.random.default_rng(32).uniform(0.2, 0.95, 3), *np.random.default_rng(33).uniform(1.05, 4.0, 4)):
    z, slope = 1.0, 1.0
    for _ in range(3000):
        z = math.tanh(w * z)
        slope = 1 - z * z
    close(call(layer_factor, float(w)), w * slope, f"layer_factor({w:.4f})", rtol=1e-6)
close(call(layer_factor, 1.0), 1.0, "layer_factor(1.0)", rtol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# **Predict** before you run: for $w = 1.1$, a weight *above* one, does the gradient shrink, stay or grow with
# depth?

# %%
for w in (0.9, 1.0, 1.1):
    print(f"w = {w}: factor {layer_factor(w):.4f} a layer, {layer_factor(w) ** 100:.1e} after 100")
assert round(layer_factor(1.1), 4) == 0.8218 and layer_factor(0.9) == 0.9 and layer_factor(1.0) == 1.0

# %% [markdown]
# A surprise: the *larger* weight loses gradient *faster*. With $w = 1.1$ the state settles at
# $z^* \approx 0.5$, where tanh is flat enough to cost more than the weight gains. There is no weight at which
# a plain tanh chain keeps its gradient.
#
# ## 7 · The case in between is a power law
#
# For $w = 1$ the limit of the factor is 1, and so it promises nothing. Here is a closer look. Near 0,
# $\tanh z \approx z - z^3 / 3$, so $z_{l+1} - z_l \approx -z_l^3 / 3$, which gives
# $z_l \approx \sqrt{3 / (2l)}$. The factors are $1 - z_l^2 \approx 1 - \tfrac{3}{2l}$, and their product is
#
# $$\prod_{l \le n} \left(1 - \frac{3}{2l}\right) \sim n^{-3/2}.$$
#
# Not exponential at all! The gradient of the source's own chain (its weights are 1) decays like a **power**
# of the depth.
#
# **Predict.** In the figure, both axes are logarithmic. Which of the four curves will be straight lines?

# %%
depth = 1000
curves = {f"plain, w = {w}": chain.sensitivity(1.0, np.full(depth, w)) for w in (0.9, 1.0, 1.1)}
curves["skip, w = 1.0"] = chain.sensitivity(1.0, np.ones(depth), skip=True)
exponent = chain.decay_exponent(curves["plain, w = 1.0"], 100, 1000)
fig, axis = figures.canvas(
    f"Only w = 1 escapes exponential death: it decays as n^{exponent:.2f}",
    "depth n (layers)",
    "|dz_n / dx|",
    xscale="log",
    yscale="log",
    ylim=(1e-10, 100),
)
for i, (label, curve) in enumerate(curves.items()):
    axis.plot(np.arange(1, depth + 1), curve[1:], **figures.series(i), label=label)
axis.legend(loc="lower left")
figures.show(
    fig,
    alt="Sensitivity of the output to the input against depth, logarithmic axes. For w = 0.9 and 1.1 the curves plunge before "
    f"depth 200; for w = 1 the curve becomes a straight line of slope {exponent:.2f}; with skips it levels off near {curves['skip, w = 1.0'][-1]:.1f}.",
)

# %% [markdown]
# **What we should see.** Two curves plunge, one becomes straight, and the chain with skips levels off: its
# state grows, its units saturate one after the other, and from then on each layer's factor is exactly what
# the chapter promised, one. The gradient gets through *because* the later layers have stopped doing anything.
#
# Theory says $-3/2$. How close are we? The loss adds a factor $(z_n - 1)$ that still creeps towards $-1$; so
# we measure with and without it, over two ranges.

# %%
states, _ = chain.forward(1.0, np.ones(10_000))
sensitivity = chain.sensitivity(1.0, np.ones(10_000))
loss_gradient = sensitivity * np.abs(states - 1)
for first, last in ((100, 1000), (1000, 10_000)):
    a, b = (chain.decay_exponent(v, first, last) for v in (sensitivity, loss_gradient))
    print(f"depth {first:4} to {last:5}: dz_n/dx ~ n^{a:.3f},  dL/dx ~ n^{b:.3f}")
assert round(chain.decay_exponent(loss_gradient, 100, 1000), 2) == -1.45
assert abs(chain.decay_exponent(sensitivity, 1000, 10_000) + 1.5) < 0.002
assert np.isclose(states[-1], math.sqrt(3 / (2 * 10_000)), rtol=1e-3)

# %% [markdown]
# The exponent of $\partial L / \partial x$ is $-1.45$ between 100 and 1000 layers and moves towards $-3/2$ as
# the theory wants.
#
# ## 8 · Play
#
# Four controls, one question each: which $x$ kills a gradient? Can a skip bring it back? Does a larger $w$
# help? Does depth matter more than $x$? The figure shows the case of the source with its skip line switched
# on.

# %%
fig = chain.draw_chain(x=10.0, w=1.0, depth=4, skip=True)
figures.show(
    fig,
    alt="Gradient of each weight of the chain with skips at x = 10: between 1e-6 and 1e-9 in float64, "
    "exactly zero in all four layers in float32.",
)

# %% live=true
figures.explore(chain.draw_chain, x=(0.5, 12.0, 0.5), w=(0.1, 3.0, 0.1), depth=(1, 40, 1), skip=[False, True])

# %% [markdown]
# ## 9 · When is a gradient too small?
#
# The chapter defines the update of gradient descent as $w_i' = w_i + \Delta w_i$ and goes on:
#
# > where $\Delta w_{i} = - \lambda \frac{\delta C}{\delta \Delta w_{i}}$
#
# Three slips: the loss was called $L$ a line before and is $C$ now; $\delta$ stands for $\partial$; and, the
# one that matters, the derivative is by the *weight*, not by its change:
#
# $$\Delta w_i = -\lambda \, \frac{\partial L}{\partial w_i}.$$
#
# Then comes an example: a gradient of $10^{-15}$ and a learning rate of $10^{-4}$ make an update of
# $10^{-19}$, so *"you don't actually observe any change in the model"*. Is this so? It depends on what the
# $10^{-19}$ is added to.
#
# **Predict.** In float32, which weights can an update of $10^{-19}$ still change: all below 1, below
# $10^{-6}$, below $10^{-11}$, none?

# %% [markdown]
# ### Exercise 3 · Does the update survive? (3 points, about 6 minutes)
#
# Write `update_survives(w, update, dtype)`: whether the stored weight changes if `update` is added to it in
# that format.


# %% answer="update_survives"
def update_survives(w: float, update: float, dtype: str) -> bool:
    """Tell whether adding an update changes a weight.

    Args:
        w: the weight.
        update: what is added, of either sign.
        dtype: in which both are stored and added: "float16", "float32" or "float64".

    Returns:
        True if the weight is another number afterwards.
    """
    ### BEGIN SOLUTION
    stored = np.dtype(dtype).type(w)
    return bool(stored + np.dtype(dtype).type(update) != stored)
    ### END SOLUTION


# %% check="update_survives" points=3
check.update_survives(update_survives)
### BEGIN HIDDEN TESTS
from helpers.checks import call, equal

random = np.random.default_rng(34)
for dtype in ("float16", "float32", "float64"):
    for w in random.normal(size=4):
        stored = np.dtype(dtype).type(w)
        for towards in (-10, 10):
            step = float(np.nextafter(stored, np.dtype(dtype).type(towards))) - float(stored)
            for part, truth in ((0.45, False), (0.55, True), (3.0, True)):
                answered = call(update_survives, float(stored), part * step, dtype)
                equal(answered, truth, f"update_survives({float(stored)}, {part * step}, {dtype!r})")
### END HIDDEN TESTS

# %% [markdown]
# Now the numbers of the chapter: first at $w = 1$, then at smaller weights.

# %%
for w in (1.0, 1e-6, 2e-12, 1.8e-12, 0.0):
    print(f"w = {w:7g}: an update of -1e-19 is", "seen" if update_survives(w, -1e-19, "float32") else "lost")
assert not update_survives(1.0, -1e-19, "float32") and not update_survives(1.0, -1e-19, "float64")
assert update_survives(0.0, -1e-19, "float32") and update_survives(1.8e-12, -1e-19, "float32")
assert not update_survives(2e-12, -1e-19, "float32")

# %% [markdown]
# So the chapter is right for ordinary weights and wrong in general: a bias that starts at 0 takes the same
# update and remembers it.
#
# What is the largest update that is lost? Rounding goes to the nearest float, so half the distance to the
# next one. And as floats are spaced relative to their size, so is the threshold.

# %%
edge = {name: float(chain.lost_below(np.ones(1, dtype=name))[0]) for name in ("float32", "float64")}
for name, size in edge.items():
    print(f"{name}: at w = 1, anything up to {size:.3g} towards zero is lost")
    assert not update_survives(1.0, -size, name) and update_survives(1.0, -1.01 * size, name)
assert edge["float32"] == 2.0**-25 and edge["float64"] == 2.0**-54

w = np.logspace(-14, 1, 200)
fig, axis = figures.canvas(
    "An update counts in proportion to its weight",
    "weight |w|",
    "largest update that is lost",
    xscale="log",
    yscale="log",
)
for i, name in enumerate(("float16", "float32", "float64")):
    stored = w.astype(name)
    axis.plot(w[stored > 0], chain.lost_below(stored[stored > 0]), **figures.series(i), label=name)
axis.axhline(1e-19, color="black", linewidth=1)
axis.text(1e-10, 2e-19, "the chapter's update", fontsize=9)
axis.legend(loc="upper left")
figures.show(
    fig,
    alt="Largest lost update against the size of the weight: rising staircases for float16, float32 and float64. The chapter's update 1e-19 "
    "lies below the float32 line for weights above about 2e-12.",
)

# %% [markdown]
# **What we should see.** Straight staircases of slope 1, a factor $2^{13}$ apart from float16 to float32, and
# $2^{29}$ from there to float64. (On the left float16 leaves its line and stays flat: that is the subnormal
# range of lesson 1.)
#
# ## 10 · The same gradient under Adam
#
# One more thing is silently assumed in that example: that the update is the gradient times the learning rate.
# Adam divides by a running size of the gradient. With $g$ the gradient, $m$ and $v$ starting at 0:
#
# $$m = (1 - \beta_1)\, g, \quad v = (1 - \beta_2)\, g^2, \qquad \hat m = \frac{m}{1 - \beta_1}, \quad \hat v = \frac{v}{1 - \beta_2}, \qquad \Delta w = -\lambda \frac{\hat m}{\sqrt{\hat v} + \epsilon}.$$
#
# **Predict.** For $g = 10^{-15}$ and $\lambda = 10^{-4}$ the step of plain gradient descent is $10^{-19}$.
# Adam's?

# %% [markdown]
# ### Exercise 4 · Adam's first step (3 points, about 6 minutes)
#
# Write `adam_first_step(g, lr)`, with the defaults $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\epsilon = 10^{-8}$.
# Two of the three drop out.


# %% answer="adam_first_step"
def adam_first_step(g: float, lr: float) -> float:
    """Give the change of a weight in the first step of Adam.

    Args:
        g: the gradient dL/dw.
        lr: the learning rate.

    Returns:
        The change of w; it has the sign opposite to g.
    """
    ### BEGIN SOLUTION
    return -lr * g / (abs(g) + 1e-8)
    ### END SOLUTION


# %% check="adam_first_step" points=3
check.adam_first_step(adam_first_step)
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

for exponent in np.random.default_rng(35).uniform(-17, 2, 8):
    for sign in (-1.0, 1.0):
        w = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        w.grad = torch.tensor(sign * 10.0**exponent, dtype=torch.float64)
        torch.optim.Adam([w], lr=0.003, foreach=False).step()
        close(
            call(adam_first_step, w.grad.item(), 0.003),
            w.item(),
            f"adam_first_step({w.grad.item():.3g}, 0.003)",
            rtol=1e-6,
        )
### END HIDDEN TESTS

# %%
step = adam_first_step(1e-15, 1e-4)
print(
    f"gradient {1e-15:.0e}, learning rate {1e-4:.0e}: Adam {step:.1e}, gradient descent {-1e-4 * 1e-15:.1e}"
)
for w in (1.0, 1e-4, 1e-6):
    print(f"at w = {w:g} Adam's step is", "seen" if update_survives(w, step, "float32") else "lost")
assert math.isclose(step, -1e-11, rel_tol=1e-6)
assert not update_survives(1.0, step, "float32") and update_survives(1e-4, step, "float32")

# %% [markdown]
# Adam lifts the step by a factor of about $1/\epsilon$, eight orders of magnitude, to $10^{-11}$. That is
# still lost at $w = 1$, but not at a weight of $10^{-4}$. For gradients well above $\epsilon$ their size does
# not matter at all. *Small gradients* and *small updates* are two things, and an optimiser stands between
# them.
#
# ## 11 · A loss that stands still
#
# The chapter opens with a scene: the loss has stopped decreasing far from its goal, and the culprit is the
# vanishing gradient. We have now met enough to be careful. Here are four chains of four layers ($x = 1$),
# each after 300 steps of training. All four stand still, short of their goal.
#
# **Predict.** In which of them is the gradient the culprit?


# %%
def train(target=0.8, lr=0.5, start=1.0, steps=300):
    """Descend on a plain chain of 4 layers from x = 1: first loss, last loss, last gradient."""
    w, losses = torch.full((4,), start, requires_grad=True), []
    for _ in range(steps):
        z = torch.tensor(1.0)
        for w_i in w:
            z = torch.tanh(w_i * z)
        loss = 0.5 * (z - target) ** 2
        (gradient,) = torch.autograd.grad(loss, w)
        losses.append(loss.item())
        w = (w - lr * gradient).detach().requires_grad_()
    return losses[0], losses[-1], gradient.abs().max().item()


cases = {
    "the start is saturated": {"start": 30.0},
    "the learning rate is tiny": {"lr": 1e-7},
    "the learning rate is huge": {"lr": 1e3},
    "the target is out of reach": {"target": 1.5},
}
ends = {name: train(**case) for name, case in cases.items()}
for name, (first, last, size) in ends.items():
    print(f"{name:27}: loss {first:.3f} -> {last:.3f}, largest |dL/dw| at the end {size:.0e}")
assert train()[1] < 1e-6  # the same chain, well treated, learns
assert ends["the start is saturated"][2] == 0.0 and ends["the learning rate is huge"][2] == 0.0
assert ends["the learning rate is tiny"][2] > 0.1 and ends["the target is out of reach"][1] > 0.5 * 0.5**2

# %% [markdown]
# Four flat curves, four causes; and the loss curve alone does not tell them apart. With a tiny learning rate
# the gradient is perfectly healthy. The huge one *threw* the weights into saturation: there the dead gradient
# is a symptom, not the cause. An output of tanh never reaches 1.5, so the fourth chain is as good as it gets.
# Even where gradients are small, then, measure first, then name the cause.
#
# ## 12 · And "that's all the paper was saying"?
#
# The source closes its demonstration with that sentence. The paper it speaks of (He et al., 2015) says
# something else. Its plain networks use batch normalisation; the authors checked that their gradients have
# healthy norms, and argue that vanishing gradients are *unlikely* to be why the deep plain networks train
# worse. They call it an optimisation difficulty, the *degradation problem*. We repeat their experiment at our
# size in lesson 7, together with the rest of the source's code, its little network.

# %% [markdown] question="vanishing"
# ### Question · What is it? (3 points, about 6 minutes)
#
# The first question of the source: *"What is the vanishing gradient problem, and what is its primary cause?"*
# Answer in five to eight sentences. Use the formula of this lesson, and keep apart what depth, saturation and
# rounding contribute.
#
# === BEGIN MARK SCHEME ===
# - 0: no answer, or only that "gradients become small" or "values become zero".
# - 1: gradients of early layers become too small to learn from, because a product over the layers is taken;
#   no account of the factors.
# - 2: names the factors w (or the weight matrix) and the slope of the activation, says that the product is
#   exponential in depth if they are typically below one, and that saturation is one way (a local one) to make
#   a factor small.
# - 3: besides, keeps apart depth (a product, even of harmless factors), saturation (one factor, also in one
#   layer, e.g. x = 10 here) and rounding (whether a small number or update still counts, which depends on
#   format and weight), or says with reason when the decay is not exponential (w = 1).
#
# Misconceptions: activations that vanish are taken for gradients that vanish (lessons 1 and 2); "tanh is
# bounded, so gradients vanish" (the slope matters, not the bound); the exact 0 at x = 10 is an effect of four
# layers; larger weights always help (w = 1.1 dies faster than 0.9 here); a stalled loss proves it.
# === END MARK SCHEME ===

# %% [markdown] response="vanishing" points=3
# ### BEGIN SOLUTION
# The gradient of an early weight is a product: the error at the output, the layer's own slope and input, and
# one factor $w_j (1 - t_j^2)$ for every later layer. If these factors are typically below one in size, the
# product shrinks exponentially with the number of layers between the weight and the loss, and the early
# layers learn far more slowly than the late ones or not at all. That is the vanishing gradient problem, and
# its primary cause is this repeated multiplication by Jacobians that contract: small weights, flat
# activations, or both.
#
# Saturation is one way to make a factor small, and it needs no depth: at $x = 10$ the first unit alone
# reduces the gradient by $8 \cdot 10^{-9}$. It becomes an exact zero only by rounding, in float32 from
# $x \approx 9$ on. Whether a small gradient matters is another question of rounding and of the optimiser: an
# update of $10^{-19}$ is lost at $w = 1$ but not at $w = 0$. And the decay need not be exponential: with
# $w = 1$ it is the power law $n^{-3/2}$.
# ### END SOLUTION

# %% [markdown] question="skip"
# ### Question · What does a skip resolve? (3 points, about 6 minutes)
#
# The fifth question of the source: *"How do skip connections resolve the 'vanishing gradient' problem?"* Say
# what they do to the factor of a layer, and give one case of this lesson that they do *not* resolve.
#
# === BEGIN MARK SCHEME ===
# - 0: no answer, or "they solve it".
# - 1: says that the gradient has a second, direct path, without saying what happens to the factors.
# - 2: the factor changes from w (1 - t^2) to 1 + w (1 - t^2), or I + J_F: the product contains the path
#   through all identities, so it does not go to zero when the branches are flat or small; OR a correct
#   account of a case they do not resolve.
# - 3: both, the case being correct: a saturated unit gets no gradient for its own weight although dL/dx = 13;
#   the stream grows and saturates later units; factors above 1 can explode; a factor can be 0 where w (1 -
#   t^2) = -1.
#
# Misconceptions: the gradient is multiplied by exactly one; the skip repairs or revives a saturated unit;
# with skips gradients can no longer vanish or explode; the benefit of ResNets is nothing but this (He et al.
# argue otherwise).
# === END MARK SCHEME ===

# %% [markdown] response="skip" points=3
# ### BEGIN SOLUTION
# Without a skip a layer multiplies the gradient by $w (1 - t^2)$, with a skip by $1 + w (1 - t^2)$ (in
# general $I + J_F$). Multiplied out over all layers, one term of the product is the path that takes only
# identities, and it is 1: even if every branch is flat, the gradient reaches the first layer. So the typical
# factor moves from somewhere near 0 to somewhere near 1.
#
# What it does not resolve: the gradient of a weight still contains the slope of its own unit. At $x = 10$ the
# gradient passes by all units unharmed, $\partial L / \partial x = 13$, but all four weight gradients are
# exactly 0 in float32 and training never moves. The skip even made that worse, because the growing stream
# saturates the later units as well.
# ### END SOLUTION

# %% [markdown]
# ## What we have learnt
#
# - A gradient is a product. It dies by many factors a little below one (depth), by one factor near zero
#   (saturation), or is thrown away at the end (rounding).
# - At $w = 1$ the plain tanh chain loses its gradient like $n^{-3/2}$; for any other weight exponentially.
# - A skip turns the factor $w (1 - t^2)$ into $1 + w (1 - t^2)$. It leads the gradient past a dead unit but
#   does not revive it.
# - Before you blame the gradient, measure it.

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# A chain has one unit a layer, and its weights were ours to choose. A real network has hundreds of units a
# layer and *random* weights. The factors become random matrices. Is there still a single number that says
# what a layer does to the gradient?
#
# ## References
#
# - S. Hochreiter, Y. Bengio, P. Frasconi, J. Schmidhuber, *Gradient flow in recurrent nets: the difficulty of
#   learning long-term dependencies*, in: A Field Guide to Dynamical Recurrent Neural Networks (2001).
# - Y. Bengio, P. Simard, P. Frasconi, *Learning long-term dependencies with gradient descent is difficult*,
#   IEEE Transactions on Neural Networks 5 (1994). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition* (2015).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - D. P. Kingma, J. Ba, *Adam: a method for stochastic optimization* (2015).
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
