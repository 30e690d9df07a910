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
# The smallest network that has a depth is a chain: one unit per layer, one weight per unit. Everything about
# it fits on a line of paper, and still it shows three different ways to lose a gradient that are often taken
# for one: **saturation**, **depth** and **rounding**. We shall need to tell them apart.
#
# > **Sources.** *The notebook*: a PyTorch exercise on the vanishing gradient problem; our copy names no
# > author, date or licence. *The chapter*: *Skip Connections*, a notebook of the workshop
# > [CUTe-EmbeddedAI/DLCV_Workshop](https://github.com/CUTe-EmbeddedAI/DLCV_Workshop) (2022, MIT licence); its
# > opening also stands in [an online course](https://www.educative.io/courses/intro-deep-learning/skip-connections).
# > No author is named. *The paper*: [He et al. (2016)](https://arxiv.org/abs/1512.03385).
# > ([All sources](../../docs/references.md))
# >
# > **Five words.** *Activation*: what a unit gives out. *Saturation*: an activation so near its limit that its
# > slope is (almost) 0. *Skip*: a layer's input, added to its output. *Branch*: the layer that the skip goes
# > around, here the tanh. *Factor of a layer*: $\partial z_i / \partial z_{i-1}$, by which it multiplies a
# > gradient on its way back.
# >
# > **Symbols that hold here.** $n$ layers, $w_i$ weights, $t_i$ the tanh of layer $i$, $z_i$ its output
# > ($z_0 = x$), $z_\text{obs}$ the target, $L$ the loss (not a depth), $\lambda$ the learning rate.
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

from helpers import chain, drawings, figures
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import tanh_chain as check

torch.set_num_threads(1)

# %% [markdown]
# ## 1 · The claim
#
# Our second source, the notebook, teaches skip connections with such a chain. Layer $i$ computes
#
# $$t_i = \tanh(w_i z_{i-1}), \qquad z_i = t_i \quad\text{(plain)} \qquad\text{or}\qquad z_i = t_i + z_{i-1} \quad\text{(skip)},$$
#
# with $z_0 = x = 10$, four layers, all weights 1, and the loss $L = \tfrac12 (z_n - 1)^2$. It prints the
# gradient with respect to every weight. Then the reader is supposed to switch on the skip, a line that stands
# there commented out. The conclusion follows in the next cell: *"Now that we have seen how implementing skip connections seemingly
# solve the problem of vanishing gradients, that's all the paper was saying"*.
#
# Here is its loop, a little shortened. (Its `torch.autograd.Variable` has been out of date for years; its
# imports of torchvision and its `np.random.seed` do nothing in it. It also stores `zprime_i` under the name
# `z_list`; remember that for Exercise 1.)
#
# **Predict.** Which of the four weights, 1 to 4, gets the smallest gradient? And by what factor is the largest larger:
# 3, 100, 10 million? (`math.inf` says that the smallest is exactly 0.)

# %% predict="smallest"
predict("smallest", ...)

# %% predict="largest_over_smallest"
predict("largest_over_smallest", ...)


# %%
def run_chain(x, w=1.0, n=4, skip=False, dtype=torch.float32):
    """The loop of the source: dL/dw of every layer, dL/dx, and the output z_n."""
    x = torch.tensor([x], dtype=dtype, requires_grad=True)
    z_prev, w_list = x, []
    for _ in range(n):
        w_i = torch.tensor([w], dtype=dtype, requires_grad=True)
        zprime_i = torch.tanh(z_prev * w_i)
        z_i = zprime_i + z_prev if skip else zprime_i
        w_list.append(w_i)
        z_prev = z_i
    (0.5 * (z_i - 1.0) ** 2).backward()
    return np.array([w_i.grad.item() for w_i in w_list]), x.grad.item(), z_i.item()


# %% claim="four_gradients"
plain, _, _ = run_chain(10.0)
print([f"{g:.4f}" for g in plain])
assert [f"{g:.4f}" for g in plain] == ["-0.0000", "-0.0727", "-0.1319", "-0.1892"]
assert plain[0] == 0.0
sizes = np.abs(plain)
reveal("smallest", sizes.argmin() + 1)
reveal("largest_over_smallest", sizes.max() / sizes.min() if sizes.min() else math.inf, factor=3)

# %% [markdown]
# These are the numbers of the source: $-0$, $-0.0727$, $-0.1319$, $-0.1892$. The first one is not small, it
# is exactly zero. Four layers are not deep. What happened?
#
# ## 2 · The first zero: saturation
#
# Let us change nothing but the precision.
#
# **Predict.** How large is the gradient of $w_1$, without its sign, in float64? Still 0? A factor of ten is near enough.

# %% predict="in_float64"
predict("in_float64", ...)

# %% claim="lost_to_rounding"
double, _, _ = run_chain(10.0, dtype=torch.float64)
print(f"float32: {plain[0]}    float64: {double[0]:.4g}")
assert math.isclose(double[0], -5.997e-9, rel_tol=1e-3)
assert np.allclose(plain[1:], double[1:], rtol=1e-5)
reveal("in_float64", abs(double[0]), factor=10)

# %% [markdown]
# Not zero but $-6 \cdot 10^{-9}$, while the other three do not change. The number was lost in *one* place,
# the very first layer: $1 - \tanh^2(10) \approx 4e^{-20} \approx 8 \cdot 10^{-9}$, and the nearest float32 to
# $\tanh 10$ is 1. The slope $1 - t^2$ then is 0.
#
# This is **saturation**: a unit driven so far that its slope is gone. Below 1, numbers with $p$ binary digits
# lie $2^{-p}$ apart, so the float nearest to $\tanh x$ is 1 as soon as $1 - \tanh x \approx 2e^{-2x}$ is less
# than half of that:
#
# $$2 e^{-2x} < 2^{-(p+1)} \iff x > \tfrac12 (p + 2) \ln 2 .$$
#
# That is the edge for a tanh that is rounded perfectly. A library's tanh may be off in the last digit, and the
# last digit is what we look at here. So we also ask the libraries on this machine where their tanh becomes 1.
# (Their numbers may differ from those printed here: they change with version and processor.)

# %% claim="saturation_onset" varies=true
onset = {name: chain.saturation_onset(p) for name, p in (("float32", 24), ("float64", 53))}
edge = {
    name: chain.first_one(lambda x, name=name: torch.tanh(torch.tensor([x], dtype=getattr(torch, name))))
    for name in onset
}
for name in onset:
    numpy_edge = chain.first_one(lambda x, name=name: np.tanh(np.dtype(name).type(x)))
    print(
        f"{name}: 1 from x = {onset[name]:.2f} (formula), {edge[name]:.2f} (torch), {numpy_edge:.2f} (numpy)"
    )
    assert abs(edge[name] / onset[name] - 1) < 0.05

# %% [markdown]
# By the formula and in torch about 9 in float32, about 19 in float64. (A library whose last digit is off gets there
# earlier or later: see NumPy.) The source uses torch, and its input 10 lies just beyond torch's first edge. To see
# whether depth has a part in it, we vary both.

# %% claim="saturation_at_any_depth" varies=true
x = np.linspace(0.1, 12, 67)
first = {
    f"{n} layer{'s' if n > 1 else ''}": np.array([abs(run_chain(float(v), n=n)[0][0]) for v in x])
    for n in (1, 4, 16)
}
for values in first.values():
    assert not values[x > edge["float32"] + 0.05].any() and values[x < edge["float32"] - 0.05].all()
figures.show(
    chain.draw_saturation(x, first, edge["float32"]),
    alt=f"The gradient with respect to the first weight against the input, for {', '.join(first)}. All "
    f"{len(first)} curves fall steeply and end at x = {edge['float32']:.1f}, beyond which the gradient is "
    "exactly zero.",
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
# **Predict.** The first gradient was 0 without the skip. With the skip, how many of the four are 0? And how large is the
# gradient of the *input*, $\partial L / \partial x$?

# %% predict="zeros"
predict("zeros", ...)

# %% predict="at_the_input"
predict("at_the_input", ...)

# %% claim="skip_revives_nothing"
with_skip, input_gradient, _ = run_chain(10.0, skip=True)
print("dL/dw:", with_skip.tolist(), "   dL/dx:", input_gradient)
assert with_skip.tolist() == [0.0, 0.0, 0.0, 0.0] and input_gradient == 13.0
reveal("zeros", (with_skip == 0).sum())
reveal("at_the_input", input_gradient, within=1)

# %% [markdown]
# The "fix" makes it worse: one zero has become four. The skip adds the input to every state, so
# $z = 10, 11, 12, 13, 14$, and all four units are saturated now, not only the first. At the same time
# $\partial L / \partial x = 13$, that is $(z_n - 1)$ times exactly 1: the gradient travels down the skips
# untouched. Both chains side by side, forward and back:

# %%
figures.show(*drawings.tanh_chain(x=10.0, weights=[1.0] * 4))

# %% [markdown]
# Both halves matter. **A skip carries the gradient past a saturated unit. It cannot revive the unit.** And a
# weight that gets no gradient gets no update, however long we train:

# %% claim="no_update_ever"
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
# **Predict.** At $x = 1$, in which layer, 1 to 4, is the gradient largest, without the skip and with it?

# %% predict="largest_plain"
predict("largest_plain", ...)

# %% predict="largest_with_skip"
predict("largest_with_skip", ...)

# %% claim="skip_at_one"
rows = {skip: run_chain(1.0, skip=skip) for skip in (False, True)}
for skip, (row, _, _) in rows.items():
    print("skip " if skip else "plain", "dL/dw  ", "  ".join(f"{g:7.3f}" for g in row))
assert np.allclose(rows[False][0], [-0.060, -0.109, -0.157, -0.203], atol=6e-4)
assert np.allclose(rows[True][0], [1.759, 0.739, 0.178, 0.034], atol=6e-4)
print(f"first gradient: {abs(rows[True][0][0] / rows[False][0][0]):.1f} times larger with the skip")
reveal("largest_plain", abs(rows[False][0]).argmax() + 1)
reveal("largest_with_skip", abs(rows[True][0]).argmax() + 1)

# %% [markdown]
# So the skip makes the first gradient about thirty times larger. Is that its merit as a *path*? A gradient is
# the error at the end times what the chain makes of it,
#
# $$\frac{\partial L}{\partial w_i} = (z_n - z_\text{obs}) \cdot \frac{\partial z_n}{\partial w_i} ,$$
#
# and the two chains do not end at the same $z_n$.
#
# **Predict.** The factor of thirty is one of the error times one of the path. How large is that of the path,
# $\partial z_n / \partial w_1$?

# %% predict="path"
predict("path", ...)

# %% claim="error_and_transport"
error = {skip: z_n - 1 for skip, (_, _, z_n) in rows.items()}
transport = {skip: rows[skip][0] / error[skip] for skip in rows}
for skip in rows:
    print("skip " if skip else "plain", f"error {error[skip]:6.3f},  dz_n/dw ", transport[skip].round(3))
ratio = transport[True] / transport[False]
print(f"skip : plain  error {abs(error[True] / error[False]):.2f},  dz_n/dw ", ratio.round(2))
assert ratio[0] > 3 and (ratio[1:] < 1).all() and abs(error[True] / error[False]) > 7
reveal("path", ratio[0], factor=1.5)

# %% [markdown]
# Most of the thirty is a larger *error*: with the skip the chain misses its target by more. As a path the skip
# helps the first layer by a factor of about four. And look at the *last* layers: their $\partial z_n/\partial
# w_i$ has become smaller, by a factor of more than forty at the end, because the state grows by almost 1 per layer and drives
# them towards saturation. A skip without anything that keeps the state in bounds moves the problem. We note
# this for lessons 4 and 7.
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
# ### Exercise 1 · The gradients of the chain (5 points, hard, about 18 minutes)
#
# Write `chain_gradients(x, weights, target, skip)`: the derivatives of
# $L = \tfrac12 (z_n - \text{target})^2$ with respect to every weight and to the input. Do it by the chain rule,
# in NumPy and float64: one loop forward, one backward. No torch, please, nor another package that can
# differentiate: here the autograd is you.
#
# Take care of what you store on the way forward: with the skip, $t_i$ and $z_i$ are different numbers, and
# the formula needs both.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Go backwards with one number in hand: the derivative of the loss with respect to the state that you stand at. At
# the end that is $\partial L / \partial z_n$. What do you multiply it by to pass one layer?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# On the way forward keep all $z_0 \dots z_n$ and all $t_1 \dots t_n$. On the way back, at layer $i$, the number in hand
# is $\partial L / \partial z_i$. Two things follow from it: the gradient of $w_i$ (what is $\partial z_i / \partial w_i$?),
# and the next number in hand, $\partial L / \partial z_{i-1}$ (one term without the skip, two with it). What is in
# your hand at the end?
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# states, tanhs = [x], []
# for w in ...:
#     tanhs.append(...)
#     states.append(... if skip else ...)
# gradient = np.zeros(...)
# in_hand = ...  # dL/dz_n
# for i in ...:  # from the last layer to the first
#     gradient[i] = in_hand * ...
#     in_hand = in_hand * ...
# return gradient, ...
# ```
#
# </details>


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

# %% [markdown]
# With the closed form in hand we can look at all the numbers above once more, in one call each.

# %% claim="by_hand"
for x in (10.0, 1.0):
    for skip in (False, True):
        by_weights, by_input = chain_gradients(x, np.ones(4), 1.0, skip)
        shown = "  ".join(f"{g:8.1e}" for g in by_weights)
        print(f"x = {x:2.0f}  {'skip ' if skip else 'plain'}  dL/dx = {by_input:9.2e}  dL/dw = {shown}")
assert np.allclose(chain_gradients(10.0, np.ones(4), 1.0, False)[0], double, rtol=1e-6)

# %% [markdown]
# And we can settle what the source kept: its `z_list` holds $t_i$, which is $z_i$ in the plain chain only.
# With the skip, a gradient computed from that list would be wrong.

# %% claim="z_list"
for skip in (False, True):
    z, z_list = chain.forward(1.0, np.ones(4), skip)
    print("skip " if skip else "plain", f"z_list of the source {z_list.round(3)}, outputs z {z[1:].round(3)}")
    assert np.array_equal(z_list, z[1:]) != skip

# %% [markdown]
# ## 5 · "Multiplied by one"?
#
# Our third source, the chapter, explains the skip like this: *"The gradient would then simply be
# multiplied by one and its value will be maintained in the earlier layers."* In the formula above, the factor
# of a layer with a skip is $1 + w (1 - t^2)$: the 1 comes from the skip, the rest from the branch. (For a layer
# with many units it is a matrix, $I + J_F$, where $J_F$ holds the derivatives of the branch, its *Jacobian*.)
# That is one only if the branch is flat.
#
# **Predict.** For which weight does a layer *with* a skip let no gradient through at all, at $z = 0$? (`math.inf` says: for
# none.)

# %% predict="blocked"
predict("blocked", ...)

# %% claim="not_one"
factors = {
    w: float(chain.sensitivity(1e-9, np.array([w]), skip=True)[1]) for w in (-1.0, -0.5, 0.0, 0.5, 1.0)
}
for w, factor in factors.items():
    print(f"w = {w:4.1f}: a layer with skip multiplies the gradient at z = 0 by {factor:.2f}")
assert factors[-1.0] < 1e-15 and factors[1.0] == 2.0 and factors[0.0] == 1.0
reveal("blocked", next((w for w, factor in factors.items() if factor < 1e-15), math.inf))

# %% [markdown]
# At $w = -1$ and $z = 0$ the branch cancels the skip and the factor is 0; at $w = 1$ and $z = 0$ it is 2,
# which over 50 such layers is $2^{50}$. What the skip does is to move the factor from "near 0" to "near 1",
# around which the branch may still do harm. It is a good place to start from, not a guarantee.
#
# ## 6 · How fast does a plain chain die?
#
# Now to depth. The chapter says: *"if we multiply many things together that are less than one, the
# resulting gradient will be very small."* Many things less than one: yes. But how small depends on *how much*
# less than one, and the three cases differ in kind. Far down the chain the state settles on a fixed point
# $z^* = \tanh(w z^*)$, and then every further layer multiplies by the same number:
#
# - $w < 1$: the state dies out, $z^* = 0$;
# - $w > 1$: the state settles at some $z^* > 0$;
# - $w = 1$: the state creeps to 0 so slowly that the limit never tells the story.
#
# All of this is for $x > 0$ and $w > 0$. (A negative weight only turns the sign round from layer to layer; the
# sizes are those of $|w|$.)

# %% [markdown]
# ### Exercise 2 · The factor of a layer (4 points, medium, about 14 minutes)
#
# Write `layer_factor(w)`: by what factor a layer far down the plain chain multiplies
# $\partial z_n / \partial x$, that is the limit of $\partial z_{l+1} / \partial z_l$ as $l \to \infty$, for
# equal weights $w > 0$ and an input $x > 0$. For $w > 1$ you need the fixed point; solve for it numerically,
# to about ten digits. (The limit also exists for $w = 1$.)
#
# <details><summary>Hint 1: a nudge</summary>
#
# What is the derivative of $\tanh(w z)$ with respect to $z$? And at which $z$ does a layer far down stand, for
# $w = 0.5$ and for $w = 2$?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# For $w \le 1$ the state ends at 0, and you know the slope there without any loop. For $w > 1$ it ends at the positive
# solution of $z = \tanh(w z)$: run the chain until it stands still, or halve an interval, or let `scipy.optimize` search.
# (0 is a solution too. Keep the search away from it.)
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# if ...:  # the state dies out, or creeps to 0
#     return ...
# fixed_point = ...  # the positive one
# return w * ...
# ```
#
# </details>


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

# %% [markdown]
# **Predict.** For $w = 1.1$, a weight *above* one, does the gradient shrink, stay or grow with depth?

# %% predict="above_one"
predict("above_one", ..., ["it shrinks", "it stays", "it grows"])

# %% claim="larger_weight_dies_faster"
for w in (0.9, 1.0, 1.1):
    print(f"w = {w}: factor {layer_factor(w):.4f} per layer, {layer_factor(w) ** 100:.1e} after 100")
assert round(layer_factor(1.1), 4) == 0.8218 and layer_factor(0.9) == 0.9 and layer_factor(1.0) == 1.0
above = layer_factor(1.1)
reveal("above_one", "it shrinks" if above < 0.999 else "it grows" if above > 1.001 else "it stays")

# %% [markdown]
# A surprise: the *larger* weight loses gradient *faster*. With $w = 1.1$ the state settles at
# $z^* \approx 0.5$, where tanh is flat enough to cost more than the weight gains. Is there any weight at which
# a plain chain keeps its gradient? Only one candidate is left, $w = 1$.
#
# ## 7 · The case in between is a power law
#
# For $w = 1$ the limit of the factor is 1, and so it promises nothing. Here is a closer look. Near 0,
# $\tanh z \approx z - z^3 / 3$, so $z_{l+1} - z_l \approx -z_l^3 / 3$, which gives
# $z_l \approx \sqrt{3 / (2l)}$. The factors are $1 - z_l^2 \approx 1 - \tfrac{3}{2l}$, and their product is
#
# $$\prod_{2 \le l \le n} \left(1 - \frac{3}{2l}\right) \propto n^{-3/2}$$
#
# for large $n$. (The approximation is one for large $l$; the first layers only set the constant.)
#
# Not exponential at all! The gradient of the source's own chain (its weights are 1) decays like a **power**
# of the depth.
#
# **Predict.** In the figure both axes are logarithmic. Which of the three plain chains falls along a straight line? And
# the chain with skips ($w = 1$): each of its factors, $1 + (1 - t^2)$, lies between 1 and 2. By what factor has its
# gradient grown after 1000 layers?

# %% predict="straight"
predict("straight", ..., ["w = 0.9", "w = 1.0", "w = 1.1", "none"])

# %% predict="with_skips"
predict("with_skips", ...)

# %% claim="power_law_figure"
depth = 1000
curves = {f"plain, w = {w}": chain.sensitivity(1.0, np.full(depth, w)) for w in (0.9, 1.0, 1.1)}
curves["skip, w = 1.0"] = chain.sensitivity(1.0, np.ones(depth), skip=True)
exponent = chain.decay_exponent(curves["plain, w = 1.0"], 100, 1000)
gone = max(int(np.argmax(curves[f"plain, w = {w}"] < 1e-10)) for w in (0.9, 1.1))
assert 0 < gone < 300 and abs(exponent + 1.5) < 0.03
bend = {  # how much steeper the second part is than the first
    name: abs(chain.decay_exponent(curve, 300, 1000) - chain.decay_exponent(curve, 100, 300))
    for name, curve in curves.items()
}
straight = [f"w = {w}" for w in (0.9, 1.0, 1.1) if bend[f"plain, w = {w}"] < 0.1]
reveal("straight", " and ".join(straight) or "none")
reveal("with_skips", curves["skip, w = 1.0"][-1], factor=1.25)

# %%
title = f"Of the three plain chains only w = 1 escapes exponential death: $n^{{{exponent:.2f}}}$"
figures.show(
    chain.draw_decay(curves, title),
    alt="Sensitivity of the output to the input against depth, logarithmic axes. For w = 0.9 and 1.1 the "
    f"curves are below 1e-10 from depth {gone} on; for w = 1 the curve becomes a straight line of slope "
    f"{exponent:.2f}; with skips it levels off near {curves['skip, w = 1.0'][-1]:.1f}.",
)

# %% [markdown]
# **What we should see.** Two curves plunge, one becomes straight, and the chain with skips levels off: its
# state grows, its units saturate one after the other, and from then on each layer's factor is exactly what
# the chapter promised, one. The gradient gets through *because* the later layers have stopped doing anything.
#
# Theory says $-3/2$. How close are we? The loss adds a factor $(z_n - 1)$ that still creeps towards $-1$; so
# we measure with and without it, over two ranges.

# %% claim="power_law"
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
# The one exception is an input that is no input: at $x = 0$ the state stays 0, where the slope of tanh is
# exactly 1, and a chain with $w = 1$ keeps its gradient for ever. And $w = -1$ does as $w = 1$ does.

# %% claim="exceptions"
zero = chain.sensitivity(0.0, np.ones(10_000))[-1]
mirrored = chain.sensitivity(1.0, -np.ones(10_000))
print(f"x = 0, w = 1, 10000 layers: |dz_n/dx| = {zero:.0f}")
print(f"x = 1, w = -1: dz_n/dx ~ n^{chain.decay_exponent(mirrored, 1000, 10_000):.3f}")
assert zero == 1.0 and np.allclose(mirrored, sensitivity, rtol=1e-12)

# %% [markdown]
# ## 8 · Play
#
# Four controls, one question each: which $x$ kills a gradient? Can a skip bring it back? Does a larger $w$
# help? Does depth matter more than $x$? The figure shows the case of the source with its skip line switched
# on.

# %%
chain.PANEL.show(skip=True)

# %% live=true
chain.PANEL.live()

# %% [markdown]
# ## 9 · When is a gradient too small?
#
# The chapter defines the update of gradient descent as $w_i' = w_i + \Delta w_i$ and goes on:
#
# > where $\Delta w_{i} = - \lambda \frac{\delta C}{\delta \Delta w_{i}}$
#
# Three slips: the loss was called $L$ a line before and is $C$ now; $\delta$ stands for $\partial$; and, the
# one that matters, the derivative is with respect to the *weight*, not to its change:
#
# $$\Delta w_i = -\lambda \, \frac{\partial L}{\partial w_i}.$$
#
# Then comes an example: a gradient of $10^{-15}$ and a learning rate of $10^{-4}$ make an update of
# $10^{-19}$, so *"you don't actually observe any change in the model"*. Is this so? It depends on what the
# $10^{-19}$ is added to.
#
# **Predict.** In float32, how small must a weight be so that an update of $10^{-19}$ still changes it: 1,
# $10^{-4}$, $10^{-8}$, $10^{-12}$, $10^{-16}$? Or can no weight but 0 be changed? A factor of ten is near enough.

# %% predict="small_enough"
predict("small_enough", ...)

# %% [markdown]
# ### Exercise 3 · Does the update survive? (3 points, easy, about 8 minutes)
#
# Write `update_survives(w, update, dtype)`: whether the stored weight changes if `update` is added to it in
# that format.
#
# <details><summary>Hint 1: a nudge</summary>
#
# You could work out how far apart the floats lie near `w`. Or who else knows?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Let NumPy do in that format what the computer would do when it trains: store, add, look. Two numbers are stored in
# `dtype`. `np.dtype(dtype).type` makes such numbers.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# number = np.dtype(dtype).type
# before = number(...)
# after = ...
# return bool(...)
# ```
#
# </details>


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

# %% [markdown]
# Now the numbers of the chapter: first at $w = 1$, then at smaller weights.

# %% claim="weight_remembers"
seen = {w: update_survives(w, -1e-19, "float32") for w in (1.0, 1e-4, 1e-8, 1e-12, 1e-16, 0.0)}
for w, survives in seen.items():
    print(f"w = {w:6g}: an update of -1e-19 is", "seen" if survives else "lost")
assert not update_survives(1.0, -1e-19, "float32") and not update_survives(1.0, -1e-19, "float64")
assert update_survives(0.0, -1e-19, "float32") and update_survives(1.8e-12, -1e-19, "float32")
assert not update_survives(2e-12, -1e-19, "float32")
reveal("small_enough", max(w for w, survives in seen.items() if survives), factor=10)

# %% [markdown]
# The edge lies at $2^{-39} \approx 1.8 \cdot 10^{-12}$. So the chapter is right for ordinary weights. At a
# weight or bias that starts at 0 it is wrong about the *weight*: that takes the same update and remembers it.
#
# And the model?
#
# **Predict.** A unit computes $\tanh(0.3 + b)$ in float64. Its bias $b$ goes from 0 to $10^{-19}$. Is the unit's output
# the same afterwards? And after a million such updates?

# %% predict="one_update"
predict("one_update", ..., ["the same", "changed"])

# %% predict="million_updates"
predict("million_updates", ..., ["the same", "changed"])

# %% claim="output_does_not_see_it"
b, output = 1e-19, {}
for times in (1, 1_000_000):
    output[times] = "changed" if math.tanh(0.3 + times * b) != math.tanh(0.3) else "the same"
    print(f"updates of the bias: {times:8,}   bias {times * b:.0e}   output {output[times]}")
needed = float(chain.lost_below(np.float32(0.3))) / b
print(f"a float32 sum 0.3 + b first moves after some {needed:.0e} updates")
assert math.tanh(0.3 + b) == math.tanh(0.3) != math.tanh(0.3 + 1_000_000 * b)
reveal("one_update", output[1])
reveal("million_updates", output[1_000_000])

# %% [markdown]
# The weight remembers, the output does not notice: there the $10^{-19}$ is added to 0.3 after all. But what is
# remembered adds up, if slowly. An update that is *lost* never does, however often it comes.
#
# What is the largest update that is lost? Rounding goes to the nearest float, so half the distance to the
# next one. And as floats are spaced relative to their size, so is the threshold.

# %% claim="half_a_spacing"
edge_at_one = {name: float(chain.lost_below(np.ones(1, dtype=name))[0]) for name in ("float32", "float64")}
for name, size in edge_at_one.items():
    print(f"{name}: at w = 1, anything up to {size:.3g} towards zero is lost")
    assert not update_survives(1.0, -size, name) and update_survives(1.0, -1.01 * size, name)
assert edge_at_one["float32"] == 2.0**-25 and edge_at_one["float64"] == 2.0**-54

figures.show(
    chain.draw_lost_updates(1e-19),
    alt="Largest lost update against the size of the weight: rising staircases for float16, float32 and "
    "float64. The chapter's update 1e-19 lies below the float32 line for weights above about "
    f"{2.0**-39:.1e}.",
)

# %% [markdown]
# **What we should see.** Straight staircases of slope 1, a factor $2^{13}$ apart from float16 to float32, and
# $2^{29}$ from there to float64. (On the left float16 leaves its line and stays flat: that is the subnormal
# range of lesson 1.)
#
# ## 10 · The same gradient under Adam
#
# One more thing is silently assumed in that example: that the update is the gradient times the learning rate.
# Adam, another optimiser, divides by a running size of the gradient. It keeps two averages over the steps, $m$ of
# the gradient and $v$ of its square. Both start at 0, so after the first step, with the gradient $g$:
#
# $$m = (1 - \beta_1)\, g, \quad v = (1 - \beta_2)\, g^2, \qquad \hat m = \frac{m}{1 - \beta_1}, \quad \hat v = \frac{v}{1 - \beta_2}, \qquad \Delta w = -\lambda \frac{\hat m}{\sqrt{\hat v} + \epsilon}.$$
#
# **Predict.** For $g = 10^{-15}$ and $\lambda = 10^{-4}$ the step of plain gradient descent is $10^{-19}$.
# How large is Adam's: still about $10^{-19}$, about $10^{-11}$, about $10^{-4}$? Put the number alone, without a sign.

# %% predict="adam"
predict("adam", ...)

# %% [markdown]
# ### Exercise 4 · Adam's first step (3 points, easy, about 8 minutes)
#
# Write `adam_first_step(g, lr)`, with the defaults $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\epsilon = 10^{-8}$.
# Two of the three drop out.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Put $m$ into $\hat m$ and $v$ into $\hat v$. What is left of the two $\beta$?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# $\sqrt{g^2}$ is not $g$: try $g = -1$. And mind where $\epsilon$ stands: outside the root, and it matters as soon as $g$
# is as small as $\epsilon$.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# root = ...  # of v-hat
# return -lr * ... / (...)
# ```
#
# </details>


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

# %% claim="adam_lifts_the_step"
step = adam_first_step(1e-15, 1e-4)
print(
    f"gradient {1e-15:.0e}, learning rate {1e-4:.0e}: Adam {step:.1e}, gradient descent {-1e-4 * 1e-15:.1e}"
)
for w in (1.0, 1e-4, 1e-6):
    print(f"at w = {w:g} Adam's step is", "seen" if update_survives(w, step, "float32") else "lost")
assert math.isclose(step, -1e-11, rel_tol=1e-6)
assert not update_survives(1.0, step, "float32") and update_survives(1e-4, step, "float32")
reveal("adam", abs(step), factor=10)

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
# each after 300 steps of training. All four stand still, short of their goal. In the first all weights start at 30,
# where tanh is saturated. The second has a tiny learning rate, $10^{-7}$, the third a huge one, $10^3$. The fourth
# should reach 1.5. (No draw is involved: every weight starts at the same number.)
#
# **Predict.** In how many of the four is the gradient exactly 0 at the end? And in how many of these is it the culprit?
# (Keep your answer to the second question in mind.)

# %% predict="dead"
predict("dead", ...)


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


# %% claim="four_causes"
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
reveal("dead", sum(size == 0 for _, _, size in ends.values()))

# %% [markdown]
# Four flat curves, four causes; and the loss curve alone does not tell them apart. With a tiny learning rate
# the gradient is perfectly healthy. The huge one *threw* the weights into saturation: there the dead gradient
# is a symptom, not the cause. An output of tanh never reaches 1.5, so the fourth chain is as good as it gets.
# Even where gradients are small, then, measure first, then name the cause.
#
# ## 12 · And "that's all the paper was saying"?
#
# The notebook closes its demonstration with that sentence. The paper it speaks of (He et al., 2016; first on
# arXiv in December 2015) says something else. Its plain networks use batch normalisation (each layer's
# activations are rescaled to mean 0 and variance 1); the authors checked that their gradients have healthy
# norms, and argue that vanishing gradients are *unlikely* to be why the deep plain networks train
# worse. They call it an optimisation difficulty, the *degradation problem*. We repeat their experiment at our
# size in lesson 7, together with the rest of the source's code, its little network.

# %% [markdown] question="vanishing"
# ### Question · What is it? (3 points, about 9 minutes)
#
# The first question of the notebook: *"What is the vanishing gradient problem, and what is its primary cause?"*
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
# multiplies the gradient by $8 \cdot 10^{-9}$. It becomes an exact zero only by rounding, in float32 from
# $x \approx 9$ on. Whether a small gradient matters is another question of rounding and of the optimiser: an
# update of $10^{-19}$ is lost at $w = 1$ but not at $w = 0$. And the decay need not be exponential: with
# $w = 1$ and $x > 0$ it is the power law $n^{-3/2}$.
# ### END SOLUTION

# %% [markdown] question="skip"
# ### Question · What does a skip resolve? (3 points, about 9 minutes)
#
# The fifth question of the notebook: *"How do skip connections resolve the 'vanishing gradient' problem?"* Say
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
# - In a plain tanh chain with $x > 0$ and equal weights $w > 0$ the gradient dies like $n^{-3/2}$ at $w = 1$, and
#   exponentially at any other weight.
# - A skip turns the factor $w (1 - t^2)$ into $1 + w (1 - t^2)$. It leads the gradient past a dead unit but
#   does not revive it.
# - A larger gradient may come from a larger error: look at $\partial z_n / \partial w$ as well.
# - Before you blame the gradient, measure it.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** A chain of four layers with $x = 1$. All weights are 0.5, but the second is 50. Which weights get a gradient with
# skips, and which without?
#
# <details><summary>An answer</summary>
#
# With skips all but the second: that unit is saturated, and its slope stands in its own gradient. The others are reached
# over its skip. Without skips the second *and the first* get none, since the way back to the first leads through the
# saturated unit; the third and the fourth lie behind it and do not notice.
#
# </details>
#
# **2.** A plain chain is made four times as deep, from 200 to 800 layers. By what factor does $\partial z_n / \partial x$
# shrink with $w = 1$? And with $w = 0.9$?
#
# <details><summary>An answer</summary>
#
# With $w = 1$ by about $4^{3/2} = 8$ (counted: 7.9). With $w = 0.9$ every one of the 600 new layers takes its factor of
# 0.9: $0.9^{600} \approx 4 \cdot 10^{-28}$. A power law asks by what factor the depth grows, an exponential one by how many
# layers.
#
# </details>
#
# **3.** Somebody trains in float16. The weights are about 1, the gradients about 0.1, the learning rate is $10^{-3}$, and
# nothing moves. Have the gradients vanished?
#
# <details><summary>An answer</summary>
#
# No, 0.1 is in good health. But the update is $10^{-4}$, and float16 has 11 binary digits: just below 1 its numbers lie
# $2^{-11}$ apart, so that anything up to $2^{-12} \approx 2.4 \cdot 10^{-4}$ is lost. Keeping the weights in float32, or
# a larger learning rate, would help; a skip would not.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# A chain has one unit per layer, and its weights were ours to choose. A real network has hundreds of units per
# layer and *random* weights. The factors become random matrices. Is there still a single number that says
# what a layer does to the gradient?
#
# ## References
#
# - S. Hochreiter, Y. Bengio, P. Frasconi, J. Schmidhuber, *Gradient flow in recurrent nets: the difficulty of
#   learning long-term dependencies*, in: A Field Guide to Dynamical Recurrent Neural Networks (2001).
# - Y. Bengio, P. Simard, P. Frasconi, *Learning long-term dependencies with gradient descent is difficult*,
#   IEEE Transactions on Neural Networks 5 (1994). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition*, CVPR (2016).
#   [doi:10.1109/CVPR.2016.90](https://doi.org/10.1109/CVPR.2016.90),
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - *Skip Connections*, notebook `220721_day7/11. Skip_connections.ipynb` of the workshop
#   [CUTe-EmbeddedAI/DLCV_Workshop](https://github.com/CUTe-EmbeddedAI/DLCV_Workshop) (2022), read at commit `f6284e7`.
# - D. P. Kingma, J. Ba, *Adam: a method for stochastic optimization* (2015).
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
