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
# # 2 · Does the fix fix it?
#
# {{badge}}
#
# In lesson 1 an image died at iteration 362, and we could say why to the last unit. The notebook that we took
# it from goes on to repair the loop: once with a *skip connection* and a softmax, once with a *DenseNet*.
# After a thousand iterations both are alive.
#
# Two questions were left open. Does the skip do that? And is what stays alive worth having?
#
# **Objectives.** After this lesson you can
#
# - take a repair apart and find which of its pieces does the work;
# - measure what an iteration still knows about its input, forward (separation) and backward (the gradient);
# - say why a nonlinearity *after* the addition destroys the identity path, and recognise a residual stream
#   when it is called something else;
# - tell a result from rounding noise.
#
# **Prerequisites.** Lesson 1; gradients in torch; the softmax.
#
# **Time:** about {{minutes}} minutes, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Where we start from.** *The original* is again
# > [`skip_connections.ipynb`](https://github.com/vadhri/ai-notebook/blob/main/images/skip_connections.ipynb) by the
# > GitHub user vadhri (commit `09ed812`, which names no licence). It names two architectures: ResNet, by
# > [He et al., 2015](https://arxiv.org/abs/1512.03385), and DenseNet, by
# > [Huang et al., 2016](https://arxiv.org/abs/1608.06993).
# >
# > **Five words.** *Softmax*: take exponentials, divide by their sum; positive numbers that add up to 1.
# > *Jacobian*: the matrix of a step's derivatives, entry $(i, j)$ is $\partial y_i / \partial x_j$. *Cotangent*: the
# > gradient of the loss with respect to a step's output; what the backward pass starts from. *Stream*: what is
# > carried from step to step. *Branch*: what is computed from it, and added.
# >
# > **Symbols.** $A$ the convolution of lesson 1 as a matrix, $\rho$ its spectral radius (0.7525), $n$ or $k$ the
# > number of steps, $J$ a Jacobian, $v$ a cotangent, $p$ the output of a softmax, $D$ the Jacobian of a softmax.
# >
# > All symbols are on the [notation page](../../docs/notation.md), terms in the
# > [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import expm
from scipy.signal import convolve2d

from helpers import convolution, convolution_figures, figures, four_systems, panels
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import rescue_or_illusion as check

torch.set_num_threads(1)
KERNEL = convolution.binomial_kernel()  # 0.05 * (1, 2, 1)^T (1, 2, 1), float64
STEPS = convolution.STEPS  # the four systems of this lesson, name -> function of an image

# %% parameters=true
SEED = 0  # every random draw of this lesson derives from it
COTANGENTS = 5  # random gradients that we send back, and random images
CROWD = 16  # random images that run a thousand rounds of the dense sum
NETWORKS = 3  # trained networks per system

# %% [markdown]
# ## 1 · The repair
#
# *"To solve this issue we could use skip connection and add in numerical stability ( softmax ) using resnet
# method"*, says the original. One step is
#
# $$x \leftarrow \operatorname{softmax}(x + A x),$$
#
# where the softmax runs over all 64 pixels. The cell after the next is its loop.
#
# **Predict.** Without running anything: what is the mean pixel of the result? (What does a softmax add up
# to?)

# %% predict="mean"
predict("mean", ...)

# %% varies=true
kernel = KERNEL.astype(np.float32)
image = np.ones((8, 8), dtype=np.float32)
for _ in range(1000):
    residual = image.copy()
    image = convolve2d(image, kernel, mode="same", boundary="fill", fillvalue=0)
    image = convolution.softmax2d(residual + image)

with np.printoptions(precision=8):
    print(image)
reveal("mean", image.mean(), factor=1.05)

# %% [markdown]
# Here is what the original prints. Is it the same?

# %%
PRINTED = [
    [0.01556201, 0.01559918, 0.01559928, 0.01559928, 0.01559928, 0.01559928, 0.01559918, 0.01556201],
    [0.01559918, 0.01564896, 0.01564911, 0.01564912, 0.01564912, 0.01564911, 0.01564896, 0.01559918],
    [0.01559928, 0.01564911, 0.01564927, 0.01564928, 0.01564928, 0.01564927, 0.01564911, 0.01559928],
    [0.01559928, 0.01564912, 0.01564928, 0.01564928, 0.01564928, 0.01564928, 0.01564912, 0.01559928],
    [0.01559928, 0.01564912, 0.01564928, 0.01564928, 0.01564928, 0.01564928, 0.01564911, 0.01559928],
    [0.01559928, 0.01564911, 0.01564927, 0.01564928, 0.01564928, 0.01564927, 0.01564911, 0.01559928],
    [0.01559918, 0.01564896, 0.01564911, 0.01564911, 0.01564911, 0.01564911, 0.01564896, 0.01559918],
    [0.01556201, 0.01559918, 0.01559928, 0.01559928, 0.01559928, 0.01559928, 0.01559918, 0.01556201],
]

# %% claim="printed_digits" varies=true
print(f"largest difference {abs(image - PRINTED).max():.0e}, mean {image.mean():.6f} = 1/64")
assert np.allclose(image, PRINTED, rtol=0, atol=1e-8)

# %% [markdown]
# All 64 numbers come out as printed, to the eighth decimal. So the repair does what it says: the image is
# alive. Its mean is 1/64, of course: a softmax adds up to 1. It would do so after any number of iterations,
# and whatever it is given.
#
# ## 2 · Which piece does the work?
#
# The repair has two pieces, a skip and a softmax. The way to find out is to take out one at a time.
#
# **Predict.** Three loops are still to come: skip without softmax, softmax without skip, and neither. Which
# of them are alive after 1000 iterations, that is neither all zero nor infinite?

# %% predict="alive"
predict("alive", ..., ["none", "skip only", "softmax only", "skip only and softmax only"])


# %%
def skip_only(x):
    return x + convolution.plain_step(x)


systems = {
    "neither": convolution.plain_step,
    "skip only": skip_only,
    "softmax only": convolution.softmax_step,
    "skip and softmax": convolution.residual_softmax_step,
}

# %%
final = {}
for name, step in systems.items():
    x = np.ones((8, 8), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(1000):
            x = step(x)
    final[name] = x
    print(f"{name:17s} corner {x[0, 0]:.6f}   centre {x[3, 3]:.6f}")
alive = [name for name in list(systems)[:3] if final[name].any() and np.isfinite(final[name]).all()]
reveal("alive", " and ".join(alive) or "none")

# %% [markdown]
# The softmax is what keeps the numbers alive. Take out the skip, and the image is nearly the same; take out
# the softmax, and the skip explodes (lesson 1 gave us the very iteration). And the softmax keeps *anything*
# alive, in the plainest way: it divides by the sum.

# %% claim="softmax_keeps_alive"
change = abs(final["softmax only"] / final["skip and softmax"] - 1).max()
print(f"without the skip no pixel changes by more than {change:.1e} of itself")
assert not final["neither"].any() and not np.isfinite(final["skip only"]).any()
assert change < 1e-4 and abs(final["softmax only"][0, 0] - 0.01556299) < 2e-8

# %% [markdown]
# One word on *"numerical stability"*: that is not what a softmax is for. It is a normalisation: positive
# numbers that sum to 1. Stability is what the subtraction of the maximum *inside* the softmax gives to the
# computation of the exponentials:

# %% claim="softmax_is_a_normalisation"
large = np.array([[1000.0, 999.0]])
with np.errstate(over="ignore", invalid="ignore"):
    unprotected = np.exp(large) / np.exp(large).sum()
print("without subtracting the maximum:", unprotected.ravel())
print("with it:                        ", convolution.softmax2d(large).ravel().round(4))
assert np.isnan(unprotected).all() and math.isclose(convolution.softmax2d(large).sum(), 1)

# %% [markdown]
# ## 3 · Alive, but what does it know?
#
# A clock that always shows noon is alive too. What we want of a deep stack of layers is that its output still
# depends on its input. The simplest test: put in two different images, and see whether two different images
# come out.
#
# Some systems shrink, others grow, so we compare shapes: each image divided by its own largest absolute
# pixel. The **separation** after $n$ steps is
#
# $$s_n = \max_{ij} \left| \frac{a_n}{\max |a_n|} - \frac{b_n}{\max |b_n|} \right| .$$
#
# ### Exercise 1 · Separation (3 points, easy, about 10 minutes)
#
# Write `separation(step, a, b, n)`. An image that has died is left as it is: zero, not NaN. Why the maximum
# and not the Euclidean norm? Float32 pixels of $10^{-30}$ are healthy numbers, but their squares are not.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Two things happen, one after the other: both images go through all $n$ steps, and only then are the results
# compared. What should come out for $n = 0$?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Bring each image to a largest absolute pixel of 1, unless it has nothing but zeros. What is left is the largest
# absolute entry of a difference. NumPy does both without a loop over pixels.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# for _ in range(...):
#     ...  # one step for each image
# shapes = []
# for image in (a, b):
#     peak = ...
#     shapes.append(... if ... else image)
# return float(...)
# ```
#
# </details>


# %% answer="separation"
def separation(step: Callable, a: np.ndarray, b: np.ndarray, n: int) -> float:
    """Measure how different two images are in shape after n steps.

    Args:
        step: takes an image, gives the next one.
        a, b: (height, width), float32 or float64.
        n: number of steps, at least 0.

    Returns:
        max |a_n / max|a_n| - b_n / max|b_n||, a float without unit; an image of zeros is not divided.
    """
    ### BEGIN SOLUTION
    for _ in range(n):
        a, b = step(a), step(b)
    scaled = [x / abs(x).max() if x.any() else x for x in (a, b)]
    return float(abs(scaled[0] - scaled[1]).max())
    ### END SOLUTION


# %% check="separation" points=3
check.separation(separation)

# %% [markdown]
# **Predict.** Two random images in float64, which has 16 digits, and the repaired loop: after how many iterations is
# their separation below $10^{-14}$?

# %% predict="forgotten"
predict("forgotten", ...)

# %% claim="repair_forgets" effect="kept"
a, b = np.random.default_rng(SEED).random((2, 8, 8))
depths = [0, 1, 2, 3, 5, 7, 10]
measured = {name: [separation(step, a, b, n) for n in depths] for name, step in STEPS.items()}
for name, values in measured.items():
    shown = [f"{n}: {s:.0e}" for n, s in zip(depths, values, strict=True) if n in (0, 1, 5)]
    print(f"{name:19s}", "  ".join(shown))
kept = measured["dense sum"][-1]
assert measured["residual + softmax"][-1] < 1e-14 and kept > 0.5
below = (n for n in range(1, 1000) if separation(STEPS["residual + softmax"], a, b, n) < 1e-14)
reveal("forgotten", next(below), within=2)

# %%
title = f"The repaired loop has forgotten its input after {depths[-1]} steps"
fig, axis = figures.canvas(title, "steps n", r"$\log_{10}$ of the separation")
for i, (name, values) in enumerate(measured.items()):
    axis.plot(depths, np.log10(np.maximum(values, 1e-16)), label=name, **figures.series(i, marker=True))
axis.legend(fontsize=9)
figures.show(
    fig,
    alt="Separation of two random images: with residual and softmax it falls to rounding level within "
    f"{depths[-1]} steps, in the dense sum it is {kept:.2f} after {depths[-1]} steps.",
)

# %% [markdown]
# **What we should see.** Ten iterations, and two unrelated images are one image. The numbers that were so
# carefully kept from dying are the same numbers for every input. (The plain convolution forgets as well, but
# slowly: it is a sum of eigenvectors of $A$, its *modes*, and all of them fade faster than the slowest one, which
# is left.)
#
# One line hardly falls. We shall meet that system below, and see what it remembers after a thousand steps.
#
# ## 4 · The other direction: gradients
#
# A network learns by what comes back. The gradient of a loss $L$ with respect to the input, for a given **cotangent**
# $v = \partial L / \partial x_n$ at the output, is
#
# $$\frac{\partial L}{\partial x_0} = J_1^\top J_2^\top \cdots J_n^\top v, \qquad J_k = \frac{\partial x_k}{\partial x_{k-1}} .$$
#
# ### Exercise 2 · The gradient at the input (4 points, medium, about 14 minutes)
#
# Write `input_gradient(step, image, n, cotangent)`. Use `torch.autograd.grad`, or go through the layers
# backwards yourself. It may be tempting to sum the output and call `.backward()`: that is a cotangent of
# ones. Think about what the sum of a softmax is before you do. And leave the tensor that you are given as it is:
# whoever calls the function twice with the same image wants the same gradient twice.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Autograd records what happens to a tensor once it is marked with `requires_grad_`. The image belongs to the
# caller: which tensor can you mark instead?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# Run the $n$ steps on a tensor of your own. Then `torch.autograd.grad(outputs, inputs, grad_outputs)` multiplies by
# $J_n^\top$, then by $J_{n-1}^\top$, and so on down to the input. Which of its three arguments is $v$? What it gives
# is a tuple.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# x0 = ...  # a copy that autograd watches
# x = x0
# for _ in range(...):
#     x = ...
# (pulled,) = torch.autograd.grad(..., ..., ...)
# return pulled
# ```
#
# </details>


# %% answer="input_gradient"
def input_gradient(step: Callable, image: torch.Tensor, n: int, cotangent: torch.Tensor) -> torch.Tensor:
    """Pull a cotangent back through n steps to the input.

    Args:
        step: takes an image (a tensor), gives the next one, differentiable.
        image: (height, width), float32 or float64; it is not changed, nor marked as requiring a gradient.
        n: number of steps, at least 1.
        cotangent: (height, width), the gradient of the loss with respect to the image after n steps.

    Returns:
        The gradient of the loss with respect to the input image, (height, width), of the image's dtype.
    """
    ### BEGIN SOLUTION
    start = image.detach().clone().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output)
    (gradient,) = torch.autograd.grad(output, start, cotangent)
    return gradient
    ### END SOLUTION


# %% check="input_gradient" points=4
check.input_gradient(input_gradient)

# %% [markdown]
# **Predict.** The activations of the repaired loop live for ever. At which depth is the gradient at its input
# exactly zero in float32? For comparison: with a factor of $\rho = 0.7525$ per step, as in the unrepaired loop, we
# should have to wait for about 350 steps.

# %% predict="gradient_death"
predict("gradient_death", ...)

# %%
ones = torch.ones(8, 8)
seeds = range(SEED, SEED + COTANGENTS)
noise = [torch.randn(8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


# %%
def gradient_death(step, cotangent):
    """Halve an interval down to the first depth at which the whole input gradient is zero."""
    alive, dead = 0, 64
    while dead - alive > 1:
        middle = (alive + dead) // 2
        if input_gradient(step, ones, middle, cotangent).any():
            alive = middle
        else:
            dead = middle
    return dead


# %%
deaths = {name: [gradient_death(STEPS[name], v) for v in noise] for name in ("softmax", "residual + softmax")}
for name, values in deaths.items():
    print(f"{name:19s} gradients die at depth {values}")
reveal("gradient_death", np.median(deaths["residual + softmax"]), factor=1.3)

# %% [markdown]
# For the plain convolution we need no autograd: $A^\top = A$, so pulling a cotangent back *is* convolving it.
# Five random cotangents again:

# %% claim="gradients_die_sooner" effect="sooner"
deaths["plain"] = []
for v in noise:
    gradient, depth = v.numpy(), 0
    while gradient.any():
        gradient, depth = convolution.plain_step(gradient), depth + 1
    deaths["plain"].append(depth)
print("plain               gradients die at depth", deaths["plain"])
sooner = np.divide(deaths["plain"], deaths["residual + softmax"])
print("times sooner:", sooner.round(1))
assert set(deaths["residual + softmax"]) <= {28, 29}
assert sooner.min() > 11 and sooner.max() < 13

# %% [markdown]
# The repair makes gradients vanish **twelve times sooner**: healthy activations, dead gradients. If we want a
# network to learn, this is the worse of the two diseases, and no look at the activations will ever show it.
#
# ### Why so soon?
#
# Why 28 or 29 steps? The Jacobian of a softmax with output $p$ is $D = \operatorname{diag}(p) - p p^\top$. All 64
# entries of $p$ are close to 1/64, so $D$ takes the mean out of an image and divides the rest by about 64. The Jacobian
# of a step is
#
# $$J = D \, (I + A), \qquad \rho(J) \lesssim \tfrac{1}{64} (1 + \rho(A)) .$$
#
# ($\lesssim$: at most, or about that.)
#
# **Predict.** With $\rho(A) = 0.7525$: by which factor is a gradient multiplied per step? And does it fall below
# $2^{-150}$ where we saw it die?

# %% predict="radius"
predict("radius", ...)

# %% claim="jacobian_of_the_repair"
x = torch.ones(8, 8, dtype=torch.float64)
for _ in range(30):
    x = convolution.residual_softmax_step(x)
J = torch.autograd.functional.jacobian(convolution.residual_softmax_step, x).reshape(64, 64).numpy()
radius = np.abs(np.linalg.eigvals(J)).max()
depth = -150 * math.log(2) / math.log(radius)
print(f"spectral radius of the Jacobian at the fixed point: {radius:.5f}; below 2^-150 at depth {depth:.1f}")
assert round(radius, 5) == 0.02635 and round(depth, 1) == 28.6
reveal("radius", radius, factor=1.1)

# %% [markdown]
# The formula shows where the skip went. With the softmax *after* the addition, $D$ multiplies the identity as
# well: $D(I + A)$, not $I + \ldots$. There is no path through the network without a factor of 1/64 per layer.
# He et al. call the clean version *identity mappings* (2016).
#
# And the cotangent of ones? A softmax always sums to 1, so the gradient of its sum is exactly zero, at each
# depth. Whoever measures with `.sum().backward()` here sees nothing but rounding noise:

# %% claim="a_sum_has_no_gradient" effect="largest"
random_image = torch.tensor(np.random.default_rng(SEED + 1).random((8, 8)))
largest = []
cotangents = {"ones": torch.ones(8, 8, dtype=torch.float64), "random": noise[0].double()}
for name, cotangent in cotangents.items():
    gradient = input_gradient(convolution.residual_softmax_step, random_image, 1, cotangent)
    largest.append(gradient.abs().max().item())
    print(f"cotangent of {name}: a gradient of noise size:", largest[-1] < 1e-15)
assert largest[0] < 1e-15 and largest[1] > 1e-3

# %% [markdown]
# ## 5 · The "DenseNet"
#
# The original's last cell keeps a list of all maps so far and says: *"A densenet arch will allow the
# concatenation of all outputs so far"*. This is its loop.

# %%
features = [np.ones((8, 8), dtype=np.float32)]
for _ in range(1000):
    concatenated = np.stack(features, axis=0).sum(axis=0)
    out = convolve2d(concatenated, kernel, mode="same", boundary="fill", fillvalue=0)
    features.append(convolution.softmax2d(out))
last = features[-1]

# %% [markdown]
# Look at the line that makes `concatenated`: it ends in `.sum(axis=0)`. Nothing is concatenated, no channel
# is ever added; the maps are **summed**. Write $S_k$ for the sum of the first maps $x_0, \dots, x_k$. How does
# $S_{k+1}$ follow from $S_k$, and which architecture has this form?
#
# ### Exercise 3 · The dense sum as a residual stream (3 points, easy, about 10 minutes)
#
# Write `dense_sum_as_residual(f, x, n)`: the sum $S_n$ of all maps after $n$ rounds of
# $x_{k+1} = f(x_0 + \dots + x_k)$, without a list. One array in memory is enough.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Write down $S_0$, $S_1$ and $S_2$ as sums of maps. What is in $S_2$ that is not in $S_1$?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# The map that is new in a round is $f$ of a sum, and you hold that sum already. Mind that `+=` would write into the
# array that you were given.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# running = ...
# for _ in range(...):
#     running = ...  # a new array: the sum so far and one more map
# return running
# ```
#
# </details>


# %% answer="dense_sum_as_residual"
def dense_sum_as_residual(f: Callable, x: np.ndarray, n: int) -> np.ndarray:
    """Run n rounds of the original's "DenseNet" with a single running array.

    Args:
        f: takes the sum of all maps so far, gives the next map.
        x: (height, width), the first map; it is not changed.
        n: number of rounds, at least 0.

    Returns:
        S_n = x_0 + ... + x_n, (height, width), of the dtype of x.
    """
    ### BEGIN SOLUTION
    total = x
    for _ in range(n):
        total = total + f(total)
    return total
    ### END SOLUTION


# %% check="dense_sum_as_residual" points=3
check.dense_sum_as_residual(dense_sum_as_residual)

# %% [markdown]
# **Predict.** A list of 1001 maps that is summed at the end, and your one array: both are float32. Do they agree to
# the last bit, up to rounding (some $10^{-7}$ of a pixel), or not even that?

# %% predict="one_array"
predict("one_array", ..., ["to the last bit", "up to rounding", "not even that"])

# %% claim="dense_sum_is_a_residual_stream"
total = dense_sum_as_residual(convolution.softmax_step, np.ones((8, 8), np.float32), 1000)
difference = abs(total - np.stack(features).sum(axis=0)).max()
print(f"largest difference between the list of 1001 maps and one running sum: {difference}")
assert difference == 0.0
apart = "up to rounding" if difference < 1e-6 * abs(total).max() else "not even that"
reveal("one_array", "to the last bit" if difference == 0 else apart)

# %% [markdown]
# Not a small difference: **none**, $S \leftarrow S + \operatorname{softmax}(A S)$ to the last bit. The cell
# that is called a DenseNet is a residual network, with a clean identity path:
#
# $$J = I + D A .$$
#
# It is the *only* true residual stream in the original. The cell that is called a ResNet has none, and a real
# DenseNet concatenates (lesson 8). That is the line that hardly fell in our first figure.
#
# ## 6 · All four systems at once
#
# Now the picture of this lesson. Forward: the largest pixel at depth $k$. Backward: the largest entry of the
# gradient at the input of a network of depth $k$.
#
# **Predict.** The identity of the dense sum lets its gradient through. From depth 1 to depth 400: does the gradient
# shrink, keep its size to within a factor of two, or grow?

# %% predict="carried"
predict("carried", ..., ["it shrinks", "it keeps its size", "it grows"])

# %%
activations = {name: convolution.peak_history(step, ones.numpy(), 400) for name, step in STEPS.items()}
gradients = {
    name: {
        k: input_gradient(STEPS[name], ones, k, noise[0]).abs().max().item()
        for k in range(1, deaths[name][0])
    }
    for name in ("softmax", "residual + softmax")
}
v = noise[0].numpy()
gradients["plain"] = dict(
    enumerate(convolution.peak_history(convolution.plain_step, v, deaths["plain"][0] - 1))
)

# %% claim="only_the_dense_sum_keeps_its_gradient" effect="carried"
gradients["dense sum"] = dict(enumerate(convolution.dense_sum_gradients(ones.numpy(), v, 400), start=1))
carried = min(gradients["dense sum"].values())
assert min(activations["residual + softmax"]) > 0.01 and carried > 1
grown = gradients["dense sum"][400] / gradients["dense sum"][1]
print(f"dense sum: from depth 1 to depth 400 the gradient changes by a factor of {grown:.2g}")
reveal("carried", "it grows" if grown > 2 else "it shrinks" if grown < 1 / 2 else "it keeps its size")

# %%
first = {name: values[0] for name, values in deaths.items()}
title = (
    f"Healthy activations, dead gradients: {first['residual + softmax']} steps instead of {first['plain']}"
)
gradients = {name: gradients[name] for name in STEPS}
figures.show(
    convolution_figures.four_systems(activations, gradients, first, title),
    alt="Activations of three systems stay alive, those of the plain convolution die. Gradients, for one "
    f"random cotangent: softmax dead at {first['softmax']}, residual and softmax at "
    f"{first['residual + softmax']}, plain at {first['plain']}; only the dense sum keeps them.",
)

# %% [markdown]
# A cross marks the depth at which a curve has become exactly zero.
#
# **What it does not show.** The gradient of the dense sum does not vanish. It *grows*, slowly at first and
# then not so slowly. Does it run away? That depends on the start, as we shall see in a moment. First, the output
# of the original after 1000 rounds, which has a strange look. These are the pixels that it prints; all others are 0:

# %%
one_hot = {
    (2, 2): 1.4251205e-42,
    (2, 3): 9.2476806e-30,
    (2, 4): 1.4026722e-37,
    (3, 2): 4.6814219e-30,
    (3, 3): 1.0,
}
one_hot |= {(3, 4): 1.9949366e-16, (3, 5): 1.4012985e-45}
one_hot |= {(4, 2): 3.5945632e-38, (4, 3): 2.5879985e-17, (4, 4): 2.9516086e-25}

# %% varies=true
same = all(np.isclose(last[pixel], value, rtol=1e-6, atol=0) for pixel, value in one_hot.items())
print(last)
print(
    "all digits that the original prints, on this machine:", same and np.count_nonzero(last) == len(one_hot)
)

# %% [markdown]
# After 1000 rounds all weight sits on a single pixel, (3, 3): a one-hot image. That is what the original
# printed, digit by digit.
#
# ## 7 · A result made of noise
#
# The start is an image of ones, the kernel is symmetric: whatever comes out must have the symmetry of the
# square. A square of even side has *four* centre pixels. So why (3, 3), and not (3, 4), (4, 3) or (4, 4)?
#
# **Predict.** What part of the weight would exact arithmetic leave on each of the four? And if the computer adds up the
# nine products of the convolution in four different orders: how many different pixels win?

# %% predict="share"
predict("share", ...)

# %% predict="elected"
predict("elected", ...)

# %%
orders = {
    "as written": lambda x: x,
    "rows reversed": np.flipud,
    "columns reversed": np.fliplr,
    "both reversed": np.flip,
}


# %% claim="each_order_elects_its_pixel"
winners = {}
for name, turn in orders.items():
    total = np.ones((8, 8), np.float32)
    for _ in range(1000):
        out = convolution.softmax2d(turn(convolution.plain_step(turn(total))))
        total = total + out
    winners[name] = tuple(map(int, np.unravel_index(out.argmax(), out.shape)))
    print(f"{name:17s} the weight {out.max():.1f} is on pixel {winners[name]}")
assert len(set(winners.values())) == 4 and set(winners.values()) == {(3, 3), (3, 4), (4, 3), (4, 4)}
reveal("elected", len(set(winners.values())))

# %% [markdown]
# Turning the image, convolving and turning back is the *same* function on paper: only the order of the nine
# additions changes. Each order elects its own pixel. And if we restore the symmetry after each round, as
# exact arithmetic would?

# %% claim="exact_arithmetic_keeps_the_tie"
total = np.ones((8, 8))
for _ in range(1000):
    out = convolution.softmax_step(total)
    total = total + out
    total = (total + np.flipud(total)) / 2
    total = (total + np.fliplr(total)) / 2
print(out[3:5, 3:5].round(12), f"and {1 - out[3:5, 3:5].sum():.0e} elsewhere")
assert np.allclose(out[3:5, 3:5], 1 / 4, rtol=1e-12)
reveal("share", out[3, 3], within=0.01)

# %% [markdown]
# No winner at all. So the truth is 1/4 on each centre pixel, and the one-hot image is rounding noise that was **amplified**. By
# how much per round? Here is the tied state: softmax output 1/4 on a 2 × 2 block, nothing elsewhere. Push the
# sum by a small $\xi$ on the block. One round later it is
#
# $$\xi' = \xi + D A_\square\, \xi, \qquad D = \tfrac14 \left( I - \tfrac14 \mathbf{1} \mathbf{1}^\top \right),$$
#
# where $A_\square$ is the convolution within the block. By symmetry the patterns of $\xi$ do not mix: all
# equal ($D$ removes it), left against right, top against bottom, and chequered. A positive factor multiplies
# each of the last three; if it is below 1 for all of them, the tie heals.
#
# ### Exercise 4 · How fast a tie breaks (4 points, hard, about 14 minutes)
#
# Write `tie_growth(kernel)`: the factor by which the fastest growing of the three unequal patterns grows per
# round, for any 3 × 3 kernel that equals its mirror images. For our kernel, guess first: is it closer to 1.04
# or to 1.4?
#
# <details><summary>Hint 1: a nudge</summary>
#
# Take one pattern, left against right: $\xi = (1, -1; 1, -1)$ on the block. Its sum is zero. What does $D$ make of a
# pattern whose sum is zero?
#
# </details>
#
# <details><summary>Hint 2: the idea</summary>
#
# In a 2 × 2 block each pixel sees itself and three neighbours: one beside it, one above or below, one across the
# corner. Each comes with its weight in the kernel, and with the sign that the pattern gives it. So $A_\square$
# multiplies a pattern by a number; a different number for each of the three.
#
# </details>
#
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# middle, beside, above, diagonal = kernel[1, 1], ..., ..., ...
# factors = [
#     ...,  # left against right: which of the four get a minus?
#     ...,  # top against bottom
#     ...,  # chequered
# ]
# return 1 + ...
# ```
#
# </details>


# %% answer="tie_growth"
def tie_growth(kernel: np.ndarray) -> float:
    """Give the growth per round of the fastest asymmetry of a four-fold tie in the dense sum.

    Args:
        kernel: (3, 3), equal to its left-right and top-bottom mirror images.

    Returns:
        The largest factor of the patterns left-right, top-bottom and chequered, without unit.
    """
    ### BEGIN SOLUTION
    centre, across, down, corner = kernel[1, 1], kernel[1, 0], kernel[0, 1], kernel[0, 0]
    left_right = centre - across + down - corner
    top_bottom = centre + across - down - corner
    chequered = centre - across - down + corner
    return 1 + max(left_right, top_bottom, chequered) / 4
    ### END SOLUTION


# %% check="tie_growth" points=4
check.tie_growth(tie_growth)

# %% claim="growth_of_the_asymmetry"
total, spread = np.ones((8, 8)), []
for _ in range(1000):
    out = convolution.softmax_step(total)
    total = total + out
    spread.append(np.ptp(out[3:5, 3:5]))
growth = (spread[900] / spread[600]) ** (1 / 300)
print(f"the asymmetry in float64 grows by {growth:.5f} per round; predicted: {tie_growth(KERNEL):.5f}")
assert round(growth, 5) == 1.0375 and abs(tie_growth(KERNEL) - growth) < 1e-6

# %%
rounds = np.arange(1000)
line = np.log10(spread[900]) + (rounds - 900) * math.log10(growth)
heights = np.log10(np.maximum(spread, 1e-18))
title = f"Rounding noise, amplified by {growth:.4f} per round"
fig, axis = figures.canvas(title, "round", r"$\log_{10}$ of the asymmetry")
axis.plot(rounds, heights, label="largest - smallest centre pixel", **figures.series(0))
axis.plot(rounds[150:], line[150:], label="straight line", **figures.series(1))
axis.legend()
figures.show(
    fig,
    alt="In float64 the asymmetry of the four centre pixels starts at 1e-17, rounding noise, and grows by "
    f"a factor {growth:.4f} per round.",
)

# %% [markdown]
# In float64 a thousand rounds are not even enough to break the tie; float32 starts from noise $2^{29}$ times
# larger, and finishes. The digits of the original's one-hot image are reproducible, and they mean nothing.
#
# ### What does the dense sum remember?
#
# Two questions about the dense sum are still open. Its gradient grows: for ever? And it kept two images apart for
# ten steps: for a thousand?
#
# **Predict.** A random image has no tie to break. Once one pixel has won, the softmax gives 1 there and 0
# elsewhere. What is its Jacobian $D$ then, what does $J = I + D A$ become, and so: by what factor does the gradient of
# a random image change from depth 500 to depth 1000?

# %% predict="levels"
predict("levels", ...)

# %% claim="gradients_level_off" effect="level" varies=true
crowd = np.random.default_rng(SEED + 2).random((CROWD, 8, 8)).astype(np.float32)
tied = convolution.dense_sum_gradients(ones.numpy(), noise[0].numpy(), 1000)
free = [convolution.dense_sum_gradients(x, v.numpy(), 1000) for x, v in zip(crowd, noise, strict=False)]
at_500, level = np.array([(sizes[499], sizes[999]) for sizes in free]).T
print(f"tied start:    largest gradient {tied[499]:.0e} at depth 500, {tied[999]:.0e} at depth 1000")
print(f"random images: {at_500.round().astype(int)} at depth 500, {level.round().astype(int)} at depth 1000")
assert tied[-1] > 1e7 and level.max() < 1e5
assert np.median(level / at_500) < 1.01
reveal("levels", np.median(level / at_500), factor=1.05)

# %% [markdown]
# The runaway gradient belongs to the tied start: there the softmax stays undecided for some six hundred rounds, and
# once only the four centre pixels are left in it, each round multiplies their asymmetry. From a random image a pixel
# wins sooner. Once one has won, $D$ becomes zero, $J$ becomes the identity, and the gradient stays where it is: that of the tied start, too, but near
# $10^8$; for most random images at a few dozen or a few hundred.

# %% claim="only_the_winner_is_remembered" effect="contrast"
sums = [dense_sum_as_residual(convolution.softmax_step, x.astype(float), 1000) for x in crowd]
shapes, winners = [x / x.max() for x in sums], [int(x.argmax()) for x in sums]
pairs = [(i, j) for i in range(CROWD) for j in range(i)]
gaps = np.array([abs(shapes[i] - shapes[j]).max() for i, j in pairs])
same_winner = np.array([winners[i] == winners[j] for i, j in pairs])
contrast = gaps[~same_winner].min() - gaps[same_winner].max()
print(f"{len(pairs)} pairs of images at depth 1000; in {same_winner.sum()} of them the same pixel has won")
print(f"separation: same winner at most {gaps[same_winner].max():.2f}")
print(f"            other winners at least {gaps[~same_winner].min():.2f}")
assert contrast > 0.7

# %% [markdown]
# So "two images stay apart" is true at depth 10 and at depth 100. Deep down it means less and less: the running sum
# is dominated by the one pixel that won. Two images with the same winner are nearly one image, and what tells two
# others apart is that their winners differ. **A thousand rounds remember which pixel won.**
#
# ## 8 · Two repairs that keep the identity
#
# Can the skip of lesson 1 be kept from overflowing *without* a softmax? Two proposals:
#
# - **divide** by the growth, $x \leftarrow (x + A x) / (1 + \rho)$;
# - take **small steps**, $x \leftarrow x + \frac1n A x$ in a network of depth $n$.
#
# **Predict.** Neither vanishes nor explodes. Which of them keeps two images apart at depth 300, by a separation of 0.1 or
# more?

# %% predict="apart"
predict("apart", ..., ["none", "divide", "small steps", "divide and small steps"])

# %% claim="small_steps_remember" effect="remembered"
*_, second, rho = np.unique(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, 8)).round(12))
fade = (1 + second) / (1 + rho)  # per step, of what is not the slowest mode
depths = [1, 10, 30, 100, 300]
divided = [separation(lambda x: (x + convolution.plain_step(x)) / (1 + rho), a, b, n) for n in depths]
small = [separation(lambda x, n=n: x + convolution.plain_step(x) / n, a, b, n) for n in depths]
print(f"two images at the start: {separation(skip_only, a, b, 0):.2f}")
for n, *values in zip(depths, divided, small, strict=True):
    print(f"depth {n:3d}: divided {values[0]:.6f}   small steps {values[1]:.2f}")
print(f"the second slowest mode fades by {fade:.4f} per step, by {fade**300:.0e} in 300")
remembered = small[-1]
assert divided[-1] < fade**300 and remembered > 0.4
apart = [name for name, values in {"divide": divided, "small steps": small}.items() if values[-1] > 0.1]
reveal("apart", " and ".join(apart) or "none")

# %% [markdown]
# Dividing makes the largest factor exactly 1, and all the others less: the image converges to the slowest
# mode, the same for all inputs, as fast as the second slowest fades. It is power iteration, the standard way to
# *find* an eigenvector.
#
# Small steps remember. But look at what they compute: $(I + A/n)^n$ tends to the matrix exponential
# $e^{A} = I + A + \tfrac12 A^2 + \tfrac16 A^3 + \dots$, just as $(1 + a/n)^n$ tends to $e^a$ for a number: a fixed map
# that can be undone.
#
# **Predict.** How far is a network of only 10 layers from that limit, in per cent of its largest pixel? A factor of two
# is near enough.

# %% predict="ten_layers"
predict("ten_layers", ...)

# %% claim="depth_buys_nothing" effect="differences"
limit = (expm(convolution.operator_matrix(KERNEL, 8)) @ a.ravel()).reshape(8, 8)
differences = []
for n in depths:
    x = a
    for _ in range(n):
        x = x + convolution.plain_step(x) / n
    differences.append(abs(x - limit).max() / limit.max())
    print(f"depth {n:3d}: {differences[-1]:.1%} from exp(A) x")
assert differences[0] > 0.1 and differences[1] < 0.04 and differences[-1] < 0.002
reveal("ten_layers", 100 * differences[depths.index(10)], factor=2)

# %% [markdown]
# Ten layers compute the map of three hundred to a few per cent: here **depth buys nothing**. It does no harm
# either: nothing vanishes, nothing explodes, nothing is forgotten. Lessons 4 and 7 meet its cousin, the factor
# $1/\sqrt L$ on the branches of $L$ layers: branches with random weights of their own add up as squares, so that
# the root is enough. (Here, with the same $A$ in every step, it would explode.) The limit of small steps is the view
# of residual networks as differential equations.

# %%
title = "Divide and forget, or take small steps and remember"
fig, axis = figures.canvas(title, "depth n", r"$\log_{10}$ of the separation", xscale="log")
for i, (name, values) in enumerate({"(x + Ax) / (1 + ρ)": divided, "x + Ax / n": small}.items()):
    axis.plot(depths, np.log10(values), label=name, **figures.series(i, marker=True))
axis.legend()
figures.show(
    fig,
    alt=f"Separation against depth: divided by 1 + rho it falls to {divided[-1]:.0e} at depth {depths[-1]}, "
    f"with steps of 1/n it stays at {small[-1]:.2f}.",
)

# %% [markdown] question="train"
# ### Question · Which of the four would train? (4 points, about 13 minutes)
#
# Imagine that each step had a kernel of its own and that a loss sat on top of 100 of them. Which of the four
# systems (plain, softmax, residual + softmax, dense sum) could be trained, and why? Use the Jacobian of one
# step and at least one measurement of this lesson for each of the four. Say what your verdict does *not*
# follow from. (After the question we try it. Write your verdict down first.)
#
# === BEGIN MARK SCHEME ===
# - 0: judges by the activations alone ("the softmax ones, as they stay alive").
# - 1: says that the gradient at the early layers decides, and names one system rightly.
# - 2: orders all four: softmax and residual + softmax worst (factor about 1/64 per layer, dead at 23 and 28
#   or 29), plain slow death (0.75 per layer, 1e-12 after 100), dense sum keeps its gradient.
# - 3: gives the reason: J = A, D A, D (I + A) against I + D A; only the last has an identity term that
#   nothing multiplies.
# - 4: and limits the verdict: a surviving gradient is necessary, not sufficient. The dense sum amplifies
#   noise (1.0375 per round, gradients grow), deep down it remembers one pixel only; the weights here are fixed,
#   equal and positive; nothing was trained so far. (A learner who has run the next section may use it.)
#
# Misconceptions: "residual + softmax is a ResNet, so it trains" (the softmax stands after the addition); "the
# dense sum is a DenseNet" (nothing is concatenated); "the softmax stabilises the training" (it normalises;
# its Jacobian is about 1/64); "the gradient of the sum is zero, so nothing can be learned" (an artefact of a
# cotangent of ones).
# === END MARK SCHEME ===

# %% [markdown] response="train" points=4
# ### BEGIN SOLUTION
# What a layer near the input learns from is the product of the Jacobians above it. Plain: $J = A$, factor
# 0.75, so about $10^{-12}$ after 100 layers: in principle not zero, in practice hopeless without rescaling.
# Softmax: $J = D A$ with $D \approx I / 64$, dead at 23. Residual + softmax: $J = D (I + A)$, dead at 29 in
# spite of its healthy activations, since the softmax comes after the addition and multiplies the skip as
# well; it also maps two images to one within 10 steps. Dense sum: $J = I + D A$; the identity is untouched,
# the gradient at depth 100 is no smaller than at depth 1, and two images stay apart. So it is the only candidate.
# This does not prove that it would train: its gradients grow later on, it blows rounding noise up by 1.0375 per
# round, the softmax ends on one pixel where $D$ is zero and the branch learns nothing. And all of this was
# measured with one fixed positive kernel, without any training.
# ### END SOLUTION

# %% [markdown]
# ### We try it
#
# A hundred steps, each with a kernel of its own, the kernel of this lesson with ten per cent of noise. On top a
# linear **read-out**: ten weighted sums of the last image, one per class. The task is small: learn twenty random
# images with random labels by heart. Three networks per system; a loss of $\ln 10 \approx 2.30$ is guessing.
#
# **Predict.** In how many of the four systems does the loss fall below 1? And in a system where it does, we freeze all
# hundred kernels, so that only the read-out learns: where does the loss end then?

# %% predict="trains"
predict("trains", ...)

# %% predict="frozen"
predict("frozen", ..., ["near guessing", "about halfway", "as low as before"])

# %%
draw = np.random.default_rng(SEED + 7)
images = torch.tensor(draw.normal(size=(20, 8, 8)), dtype=torch.float32)
labels = torch.tensor(draw.integers(0, 10, 20))
seeds = range(SEED, SEED + NETWORKS)
runs = {name: four_systems.train(name, images, labels, seeds) for name in STEPS}
runs["dense sum, kernels frozen"] = four_systems.train("dense sum", images, labels, seeds, freeze=True)

# %% claim="only_the_dense_sum_trains" effect="lead" varies=true
for name, run in runs.items():
    start, end = run.losses[:, [0, -1]].mean(axis=0)
    print(f"{name:26s} loss {start:.2f} -> {end:.2f}, first kernel moved by {run.moved.mean():.1%}")
stuck = np.min([runs[name].losses[:, -1] for name in ("plain", "softmax", "residual + softmax")], axis=0)
lead = stuck - runs["dense sum"].losses[:, -1]
assert lead.min() > 1.5 and stuck.min() > 2
assert runs["dense sum, kernels frozen"].losses[:, -1].max() < 0.2
assert runs["dense sum"].moved.min() > 0.01 and max(runs[name].moved.max() for name in list(STEPS)[:3]) == 0
ends = {name: run.losses[:, -1].mean() for name, run in runs.items()}
reveal("trains", sum(ends[name] < 1 for name in STEPS))
frozen = ends["dense sum, kernels frozen"] / math.log(10)  # guessing is 1
reveal("frozen", "as low as before" if frozen < 0.2 else "about halfway" if frozen < 0.8 else "near guessing")

# %% [markdown]
# Only the dense sum learns, as its Jacobian promised. In the other three the first kernel does not move by one bit.
# (`python -m tests.reproduce_four_systems` tries other rates, and Adam: they stay at guessing, or learn how frequent
# each label is, which needs no image.)
#
# **What it does not show.** Look at the last line. With all kernels frozen the loss falls just as far: what learns is
# the read-out, and the hundred layers do no more than let the image through to it. That is more than the other three
# do. It is not yet a reason to have a hundred layers; lesson 7 asks for one.

# %% [markdown]
# ## 9 · Play
#
# Choose a system and a pair of images. Watch three quantities at once: how large the image is, how far two
# images are apart, and how much of a gradient comes back. Which of the four systems keeps all three away from
# the floor?


# %%
def health(system="residual + softmax", depth=60, seed=0):
    step, depths = STEPS[system], convolution_figures.health_depths(depth)
    pair = np.random.default_rng(SEED + seed).random((2, 8, 8)).astype(np.float32)
    start = torch.tensor(pair[0])
    sizes = {
        "largest pixel": convolution.peak_history(step, pair[0], depth)[depths],
        "separation": [separation(step, *pair, k) for k in depths],
        "gradient": [input_gradient(step, start, k, noise[0]).abs().max().item() for k in depths],
    }
    return convolution_figures.health(system, depths, sizes)


# %%
controls = convolution_figures.health_controls(list(STEPS))
panel = panels.Panel(health, convolution_figures.health_stage, controls)
panel.show()

# %% live=true
panel.live()

# %% [markdown]
# ## What we have learnt
#
# - The softmax keeps the numbers alive, the skip does not; and it keeps nothing but the numbers.
# - Activations and gradients are two questions. The repair answers one of them and makes the other one worse:
#   28 or 29 steps instead of about 350.
# - What makes a shortcut a shortcut is an identity in the Jacobian that *nothing* multiplies. The original
#   has one, under the name of a DenseNet, and of the four it is the only one that trains.
# - A gradient that survives is not yet a memory: after a thousand rounds the dense sum knows one pixel.
# - A reproducible digit is not yet a result.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** The repaired loop runs on an image of 16 × 16. Do its gradients die sooner or later than with 8 × 8, and at which
# depth, roughly?
#
# <details><summary>An answer</summary>
#
# Sooner. The softmax now shares its 1 among 256 pixels, so that $D$ divides by 256 instead of 64, while $\rho(A)$ grows
# only from 0.75 to 0.79. A step shrinks a gradient by $1.79 / 256 = 0.007$, and
# $150 \ln 2 / \ln(1 / 0.007) \approx 21$: five random cotangents all die at depth 21.
#
# </details>
#
# **2.** We run the dense sum for a thousand rounds from a random image, not from ones, and add up the nine products in
# all four orders. How many different pixels win?
#
# <details><summary>An answer</summary>
#
# One: with each of the sixteen random images of section 7 it is the same pixel in every order. Rounding is as noisy
# there as it is with ones, but exact arithmetic leaves nothing for it to decide: the pixels differ by far more than the
# noise. Noise elects a winner only where there is a tie.
#
# </details>
#
# **3.** A deep network's activations are neither tiny nor huge, in any layer. What do you know now, and what would you
# measure next?
#
# <details><summary>An answer</summary>
#
# That the numbers are alive, and no more: a normalisation sees to that whatever comes in. Two measurements say more.
# Put in two different inputs: do the outputs differ? And send a *random* cotangent back: what reaches the first layer?
# (Not a cotangent of ones: if the outputs sum to 1, their sum has no gradient at all.)
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# All our layers were the same linear map, with a softmax at best. Real layers have weights and a nonlinearity
# each, and the weights are what we want the gradient *of*. Take the smallest such network, a chain of single
# neurons with a tanh: what does one layer do to the gradient there, and can a skip bring a layer back that is
# dead?
#
# ## References
#
# - GitHub user vadhri, *skip_connections.ipynb*, repository `vadhri/ai-notebook`, folder `images`, read at commit
#   `09ed812a5456f3a5f02f6cd311b67045ac10cef3`, which names no licence.
#   [github.com/vadhri/ai-notebook](https://github.com/vadhri/ai-notebook)
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition* (arXiv 2015, CVPR 2016).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity mappings in deep residual networks* (arXiv and ECCV 2016): what
#   may stand on the shortcut and after the addition. [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, *Densely connected convolutional networks* (arXiv
#   2016, CVPR 2017).
#   [arXiv:1608.06993](https://arxiv.org/abs/1608.06993)
# - E. Haber, L. Ruthotto, *Stable architectures for deep neural networks* (2017): small steps.
#   [arXiv:1705.03341](https://arxiv.org/abs/1705.03341)
# - R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, *Neural ordinary differential equations* (2018).
#   [arXiv:1806.07366](https://arxiv.org/abs/1806.07366)
