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
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import convolve2d

from helpers import convolution, figures
from helpers.checks import progress
from helpers.checks import rescue_or_illusion as check

torch.set_num_threads(1)
KERNEL = convolution.binomial_kernel()  # 0.05 * (1, 2, 1)^T (1, 2, 1), float64
STEPS = convolution.STEPS  # the four systems of this lesson, name -> function of an image

# %% [markdown]
# ## 1 · The repair
#
# *"To solve this issue we could use skip connection and add in numerical stability ( softmax ) using resnet
# method"*, says the original. One step is
#
# $$x \leftarrow \operatorname{softmax}(x + A x),$$
#
# where the softmax runs over all 64 pixels. Its printed result is below, and its loop after it.
#
# **Predict.** Without running anything: what is the mean pixel of the result? (What does a softmax add up
# to?)

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

# %% varies=true
kernel = KERNEL.astype(np.float32)
image = np.ones((8, 8), dtype=np.float32)
for _ in range(1000):
    residual = image.copy()
    image = convolve2d(image, kernel, mode="same", boundary="fill", fillvalue=0)
    image = convolution.softmax2d(residual + image)

with np.printoptions(precision=8):
    print(image)
print(f"mean {image.mean():.6f} = 1/64")
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
# **Predict.** Three lines are still to come: skip without softmax, softmax without skip, and neither. Which
# of them are alive after 1000 iterations?


# %%
def skip_only(x):
    return x + convolution.plain_step(x)


systems = {
    "neither": convolution.plain_step,
    "skip only": skip_only,
    "softmax only": convolution.softmax_step,
    "skip and softmax": convolution.residual_softmax_step,
}
final = {}
for name, step in systems.items():
    x = np.ones((8, 8), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(1000):
            x = step(x)
    final[name] = x
    print(f"{name:17s} corner {x[0, 0]:.6f}   centre {x[3, 3]:.6f}")

# %% [markdown]
# The softmax is what keeps the numbers alive. Take out the skip, and the image is nearly the same; take out
# the softmax, and the skip explodes (lesson 1 gave us the very iteration). And the softmax keeps *anything*
# alive, in the plainest way: it divides by the sum.

# %%
change = abs(final["softmax only"] / final["skip and softmax"] - 1).max()
print(f"without the skip no pixel changes by more than {change:.1e} of itself")
assert not final["neither"].any() and not np.isfinite(final["skip only"]).any()
assert change < 1e-4 and abs(final["softmax only"][0, 0] - 0.01556299) < 2e-8

# %% [markdown]
# One word on *"numerical stability"*: that is not what a softmax is for. It is a normalisation: positive
# numbers that sum to 1. Stability is what the subtraction of the maximum *inside* the softmax gives to the
# computation of the exponentials:

# %%
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
# ### Exercise 1 · Separation (3 points, about 7 minutes)
#
# Write `separation(step, a, b, n)`. An image that has died is left as it is: zero, not NaN. Why the maximum
# and not the Euclidean norm? Float32 pixels of $10^{-30}$ are healthy numbers, but their squares are not.


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
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

rng = np.random.default_rng(22)
for name, n in [("plain", 7), ("residual + softmax", 3), ("dense sum", 12), ("softmax", 0)]:
    a, b = rng.normal(size=(2, 5, 6))
    p, q = a, b
    for _ in range(n):
        p, q = STEPS[name](p), STEPS[name](q)
    truth = np.ptp([p / np.abs(p).max(), q / np.abs(q).max()], axis=0).max()
    close(
        call(separation, STEPS[name], a, b, n),
        truth,
        f"separation({name!r} step, a, b, {n})",
        rtol=1e-9,
        atol=1e-13,
    )
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** Two random images, the repaired loop: after how many iterations are they the same to all 16
# digits of a float64?

# %%
a, b = np.random.default_rng(0).random((2, 8, 8))
depths = [0, 1, 2, 3, 5, 7, 10]
measured = {name: [separation(step, a, b, n) for n in depths] for name, step in STEPS.items()}
for name, values in measured.items():
    print(
        f"{name:19s}",
        "  ".join(f"{n}: {s:.0e}" for n, s in zip(depths, values, strict=True) if n in (0, 1, 5)),
    )
assert measured["residual + softmax"][-1] < 1e-14 and measured["dense sum"][-1] > 0.5

# %%
fig, axis = figures.canvas(
    f"The repaired loop has forgotten its input after {depths[-1]} steps",
    "steps n",
    r"$\log_{10}$ of the separation",
)
for i, (name, values) in enumerate(measured.items()):
    axis.plot(depths, np.log10(np.maximum(values, 1e-16)), label=name, **figures.series(i, marker=True))
axis.legend(fontsize=9)
figures.show(
    fig,
    alt=f"Separation of two random images: with residual and softmax it falls to rounding level within {depths[-1]} steps, in the dense sum it hardly falls.",
)

# %% [markdown]
# **What we should see.** Ten iterations, and two unrelated images are one image. The numbers that were so
# carefully kept from dying are the same numbers for every input. (The plain convolution forgets as well, but
# slowly: everything that is not the slowest mode fades faster than the mode itself.)
#
# One line does not fall. We shall meet that system below.
#
# ## 4 · The other direction: gradients
#
# A network learns by what comes back. The gradient of a loss $L$ by the input, for a given **cotangent**
# $v = \partial L / \partial x_n$ at the output, is
#
# $$\frac{\partial L}{\partial x_0} = J_1^\top J_2^\top \cdots J_n^\top v, \qquad J_k = \frac{\partial x_k}{\partial x_{k-1}} .$$
#
# ### Exercise 2 · The gradient at the input (4 points, about 9 minutes)
#
# Write `input_gradient(step, image, n, cotangent)`. Use `torch.autograd.grad`, or go through the layers
# backwards yourself. It may be tempting to sum the output and call `.backward()`: that is a cotangent of
# ones. Think about what the sum of a softmax is before you do.


# %% answer="input_gradient"
def input_gradient(step: Callable, image: torch.Tensor, n: int, cotangent: torch.Tensor) -> torch.Tensor:
    """Pull a cotangent back through n steps to the input.

    Args:
        step: takes an image (a tensor), gives the next one, differentiable.
        image: (height, width), float32 or float64; it is not changed.
        n: number of steps, at least 1.
        cotangent: (height, width), the gradient of the loss by the image after n steps.

    Returns:
        The gradient of the loss by the input image, (height, width), of the image's dtype.
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
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

rng = np.random.default_rng(23)
for name, n in [("softmax", 2), ("residual + softmax", 3), ("dense sum", 6), ("plain", 4)]:
    x, v = (torch.tensor(rng.normal(size=(5, 5))) for _ in range(2))
    jacobians, y = [], x
    for _ in range(n):
        jacobians.append(torch.autograd.functional.jacobian(STEPS[name], y).reshape(25, 25).numpy())
        y = STEPS[name](y)
    pulled = v.numpy().ravel()
    for jacobian in reversed(jacobians):
        pulled = jacobian.T @ pulled
    close(
        call(input_gradient, STEPS[name], x, n, v),
        pulled.reshape(5, 5),
        f"input_gradient({name!r} step, x, {n}, v)",
        rtol=1e-6,
        atol=1e-9 * abs(pulled).max(),
    )
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** The activations of the repaired loop live for ever. At which depth is the gradient at its input
# exactly zero in float32? For comparison: with a single factor of $\rho = 0.7525$ a step, as in the
# unrepaired loop, we should have to wait for about 350 steps.

# %%
ones = torch.ones(8, 8)
noise = [torch.randn(8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(5)]


def gradient_death(step, cotangent, start):
    """Give the first depth, from `start` on, at which the whole input gradient is zero."""
    depth = start
    while input_gradient(step, ones, depth, cotangent).any():
        depth += 1
    return depth


starts = {"softmax": 21, "residual + softmax": 27}  # 1 works as well, and takes longer
deaths = {name: [gradient_death(STEPS[name], v, start) for v in noise] for name, start in starts.items()}
for name, values in deaths.items():
    print(f"{name:19s} gradients die at depth {values}")

# %% [markdown]
# For the plain convolution we need no autograd: $A^\top = A$, so pulling a cotangent back *is* convolving it.
# Five random cotangents again:

# %%
deaths["plain"] = []
for v in noise:
    gradient, depth = v.numpy(), 0
    while gradient.any():
        gradient, depth = convolution.plain_step(gradient), depth + 1
    deaths["plain"].append(depth)
print("plain               gradients die at depth", deaths["plain"])
plain_death, repaired_death = round(np.mean(deaths["plain"])), deaths["residual + softmax"][0]
assert (
    set(deaths["residual + softmax"]) == {29}
    and 340 <= min(deaths["plain"]) <= 353 <= max(deaths["plain"]) <= 360
)

# %% [markdown]
# The repair makes gradients vanish **twelve times sooner**: healthy activations, dead gradients. If we want a
# network to learn, this is the worse of the two diseases, and no look at the activations will ever show it.
#
# ### Why 29?
#
# The Jacobian of a softmax with output $p$ is $D = \operatorname{diag}(p) - p p^\top$. All 64 entries of $p$
# are close to 1/64, so a step multiplies a gradient by
#
# $$J = D \, (I + A), \qquad \rho(J) \lesssim \tfrac{1}{64} (1 + \rho(A)) .$$
#
# **Predict.** Compute that bound ($\rho(A) = 0.7525$), and from it the depth at which a gradient of size 1
# falls below $2^{-150}$.

# %%
x = torch.ones(8, 8, dtype=torch.float64)
for _ in range(30):
    x = convolution.residual_softmax_step(x)
J = torch.autograd.functional.jacobian(convolution.residual_softmax_step, x).reshape(64, 64).numpy()
radius = np.abs(np.linalg.eigvals(J)).max()
depth = -150 * math.log(2) / math.log(radius)
print(f"spectral radius of the Jacobian at the fixed point: {radius:.5f}; below 2^-150 at depth {depth:.1f}")
assert round(radius, 5) == 0.02635 and round(depth, 1) == 28.6 and math.ceil(depth) == repaired_death

# %% [markdown]
# The formula shows where the skip went. With the softmax *after* the addition, $D$ multiplies the identity as
# well: $D(I + A)$, not $I + \ldots$. There is no path through the network without a factor of 1/64 a layer.
# He and others call the clean version *identity mappings*; what they tried on the shortcut, and most of what
# they tried after the addition, made very deep residual networks harder to train.
#
# And the cotangent of ones? A softmax always sums to 1, so the gradient of its sum is exactly zero, at every
# depth. Whoever measures with `.sum().backward()` here sees nothing but rounding noise:

# %%
random_image = torch.tensor(np.random.default_rng(1).random((8, 8)))
for name, v in {"ones": torch.ones(8, 8, dtype=torch.float64), "random": noise[0].double()}.items():
    gradient = input_gradient(convolution.residual_softmax_step, random_image, 1, v)
    print(f"cotangent of {name}: a gradient of noise size:", bool(gradient.abs().max() < 1e-15))

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
# is ever added; the maps are **summed**. Write $S_k$ for the sum of the first maps $x_0, \dots, x_k$.
#
# **Predict.** How does $S_{k+1}$ follow from $S_k$? Which architecture has this form?
#
# ### Exercise 3 · The dense sum as a residual stream (3 points, about 6 minutes)
#
# Write `dense_sum_as_residual(f, x, n)`: the sum $S_n$ of all maps after $n$ rounds of
# $x_{k+1} = f(x_0 + \dots + x_k)$, without a list. One array in memory is enough.


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
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

rng = np.random.default_rng(24)
for f, n in [(convolution.softmax_step, 25), (convolution.plain_step, 9), (convolution.softmax2d, 4)]:
    maps = [rng.normal(size=(4, 6))]
    for _ in range(n):
        maps.append(f(np.sum(maps, axis=0)))
    close(
        call(dense_sum_as_residual, f, maps[0], n),
        np.sum(maps, axis=0),
        f"dense_sum_as_residual({f.__name__}, x, {n})",
        rtol=1e-9,
    )
### END HIDDEN TESTS

# %%
total = dense_sum_as_residual(convolution.softmax_step, np.ones((8, 8), np.float32), 1000)
difference = abs(total - np.stack(features).sum(axis=0)).max()
print(f"largest difference between the list of 1001 maps and one running sum: {difference}")
assert difference == 0.0

# %% [markdown]
# Not a small difference: **none**, $S \leftarrow S + \operatorname{softmax}(A S)$ to the last bit. The cell
# that is called a DenseNet is a residual network, with a clean identity path:
#
# $$J = I + D A .$$
#
# It is the *only* true residual stream in the original. The cell that is called a ResNet has none, and a real
# DenseNet concatenates (lesson 8). That is the line that did not fall in our first figure.
#
# ## 6 · All four systems at once
#
# Now the picture of this lesson. Forward: the largest pixel at depth $k$. Backward: the largest entry of the
# gradient at the input of a network of depth $k$.
#
# **Predict.** Eight curves. Which two will you want to be in?

# %%
sampled = {name: [1, 5, 10, 15, 20, 25, 30] for name in STEPS}
for name in ("plain", "dense sum"):
    sampled[name] = [1, 20, 60, 140, 260]
activations = {name: convolution.peak_history(step, ones.numpy(), 300) for name, step in STEPS.items()}
gradients = {
    name: [float(input_gradient(STEPS[name], ones, k, noise[0]).abs().max()) for k in sampled[name]]
    for name in STEPS
}
assert min(activations["residual + softmax"]) > 0.01 and gradients["residual + softmax"][-1] == 0
assert min(gradients["dense sum"]) > 1

# %%
fig, (left, right) = figures.panels(
    ["activations", "gradients"],
    title=f"Healthy activations, dead gradients: {repaired_death} steps instead of {plain_death}",
    xlabel="depth k",
)
for i, name in enumerate(STEPS):
    alive = [(k, g) for k, g in zip(sampled[name], gradients[name], strict=True) if g > 0]
    left.plot(np.log10(activations[name]), label=name, **figures.series(i))
    right.plot(
        *np.transpose([(k, math.log10(g)) for k, g in alive]), label=name, **figures.series(i, marker=True)
    )
left.set_ylabel(r"$\log_{10}$ of the largest pixel")
right.set_ylabel(r"$\log_{10}$ of the largest gradient")
fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
figures.show(
    fig,
    alt=f"Activations of three systems stay alive, those of the plain convolution fall. Gradients of both softmax systems vanish within {repaired_death} steps; only the dense sum keeps them.",
)

# %% [markdown]
# **What it does not show.** The gradient of the dense sum does not vanish. It *grows*, slowly at first and
# then not so slowly. Something unstable is going on in there, and its output has a strange look:

# %% varies=true
one_hot = {
    (2, 2): 1.4251205e-42,
    (2, 3): 9.2476806e-30,
    (2, 4): 1.4026722e-37,
    (3, 2): 4.6814219e-30,
    (3, 3): 1.0,
}
one_hot |= {(3, 4): 1.9949366e-16, (3, 5): 1.4012985e-45}
one_hot |= {(4, 2): 3.5945632e-38, (4, 3): 2.5879985e-17, (4, 4): 2.9516086e-25}
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
# **Predict.** What would exact arithmetic leave on each of the four? And what happens to the winner if we add
# up the nine products of the convolution in another order?


# %%
orders = {
    "as written": lambda x: x,
    "rows reversed": np.flipud,
    "columns reversed": np.fliplr,
    "both reversed": np.flip,
}
winners = {}
for name, turn in orders.items():
    total = np.ones((8, 8), np.float32)
    for _ in range(1000):
        out = convolution.softmax2d(turn(convolution.plain_step(turn(total))))
        total = total + out
    winners[name] = tuple(map(int, np.unravel_index(out.argmax(), out.shape)))
    print(f"{name:17s} the weight {out.max():.1f} is on pixel {winners[name]}")
assert len(set(winners.values())) == 4 and set(winners.values()) == {(3, 3), (3, 4), (4, 3), (4, 4)}

# %% [markdown]
# Turning the image, convolving and turning back is the *same* function on paper: only the order of the nine
# additions changes. Each order elects its own pixel. And if we restore the symmetry after every round, as
# exact arithmetic would, there is no winner at all:

# %%
total = np.ones((8, 8))
for _ in range(1000):
    out = convolution.softmax_step(total)
    total = total + out
    total = (total + np.flipud(total)) / 2
    total = (total + np.fliplr(total)) / 2
print(out[3:5, 3:5].round(12), f"and {1 - out[3:5, 3:5].sum():.0e} elsewhere")
assert np.allclose(out[3:5, 3:5], 1 / 4, rtol=1e-12)

# %% [markdown]
# So the truth is 1/4 on each centre pixel, and the one-hot image is rounding noise that was **amplified**. By
# how much a round? Here is the tied state: softmax output 1/4 on a 2 × 2 block, nothing elsewhere. Push the
# sum by a small $\xi$ on the block. One round later it is
#
# $$\xi' = \xi + D A_\square\, \xi, \qquad D = \tfrac14 \left( I - \tfrac14 \mathbf{1} \mathbf{1}^\top \right),$$
#
# where $A_\square$ is the convolution within the block. By symmetry the patterns of $\xi$ do not mix: all
# equal ($D$ removes it), left against right, top against bottom, and chequered.
#
# ### Exercise 4 · How fast a tie breaks (4 points, about 9 minutes)
#
# Write `tie_growth(kernel)`: the factor by which the fastest growing of the three unequal patterns grows a
# round, for any 3 × 3 kernel that equals its mirror images. For our kernel, guess first: is it closer to 1.04
# or to 1.4?


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
### BEGIN HIDDEN TESTS
from helpers.checks import call, close

for seed in (25, 26, 27):
    quarter = np.random.default_rng(seed).normal(size=(2, 2))
    weights = quarter[np.ix_([0, 1, 0], [0, 1, 0])]
    tied, mirrored = torch.zeros(2, 2, dtype=torch.float64), torch.tensor(weights)
    softmax_jacobian, _ = torch.autograd.functional.jacobian(
        lambda s, k: convolution.softmax2d(convolution.convolve_same(s, k)), (tied, mirrored)
    )
    jacobian = np.eye(4) + softmax_jacobian.reshape(4, 4).numpy()
    patterns = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    truth = max(pattern @ jacobian @ pattern for pattern in patterns)
    close(call(tie_growth, weights), truth, f"tie_growth(mirrored kernel {seed})", rtol=1e-9)
### END HIDDEN TESTS

# %%
total, spread = np.ones((8, 8)), []
for _ in range(1000):
    out = convolution.softmax_step(total)
    total = total + out
    spread.append(np.ptp(out[3:5, 3:5]))
growth = (spread[900] / spread[600]) ** (1 / 300)
print(
    f"measured growth of the asymmetry in float64: {growth:.5f} a round; predicted: {tie_growth(KERNEL):.5f}"
)
assert round(growth, 5) == 1.0375 and abs(tie_growth(KERNEL) - growth) < 1e-6

# %%
rounds = np.arange(1000)
fig, axis = figures.canvas(
    f"Rounding noise, amplified by {growth:.4f} a round", "round", r"$\log_{10}$ of the asymmetry"
)
axis.plot(
    rounds, np.log10(np.maximum(spread, 1e-18)), label="largest - smallest centre pixel", **figures.series(0)
)
axis.plot(
    rounds[150:],
    np.log10(spread[900]) + (rounds[150:] - 900) * math.log10(growth),
    label="straight line",
    **figures.series(1),
)
axis.legend()
figures.show(
    fig,
    alt=f"In float64 the asymmetry of the four centre pixels starts at 1e-17, rounding noise, and grows by a factor {growth:.4f} a round.",
)

# %% [markdown]
# In float64 a thousand rounds are not even enough to break the tie; float32 starts from noise $2^{29}$ times
# larger, and finishes. The digits of the original's one-hot image are reproducible, and they mean nothing.
#
# ## 8 · Two repairs that keep the identity
#
# Can the skip of lesson 1 be kept from overflowing *without* a softmax? Two proposals:
#
# - **divide** by the growth, $x \leftarrow (x + A x) / (1 + \rho)$;
# - take **small steps**, $x \leftarrow x + \frac1n A x$ in a network of depth $n$.
#
# **Predict.** Neither vanishes nor explodes. Do both keep two images apart?

# %%
rho = np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, 8)).max()
depths = [1, 10, 30, 100, 300]
divided = [separation(lambda x: (x + convolution.plain_step(x)) / (1 + rho), a, b, n) for n in depths]
small = [separation(lambda x, n=n: x + convolution.plain_step(x) / n, a, b, n) for n in depths]
print(f"two images at the start: {separation(skip_only, a, b, 0):.2f}")
for n, *values in zip(depths, divided, small, strict=True):
    print(f"depth {n:3d}: divided {values[0]:.6f}   small steps {values[1]:.2f}")
assert divided[-1] < 1e-6 and min(small) > 0.5

# %% [markdown]
# Dividing makes the largest factor exactly 1, and all the others less: the image converges to the slowest
# mode, the same for all inputs. It is power iteration, the standard way to *find* an eigenvector. Small steps
# tend to $e^{A} x$ as the depth grows, a fixed map that can be undone. So depth by itself need not forget:
# what counts is how large a step each layer takes. Lesson 7 meets this again as the factor
# $1/\sqrt{\text{blocks}}$ on the branch; the limit of small steps is the view of residual networks as
# differential equations.

# %%
fig, axis = figures.canvas(
    "Divide and forget, or take small steps and remember",
    "depth n",
    r"$\log_{10}$ of the separation",
    xscale="log",
)
for i, (name, values) in enumerate({"(x + Ax) / (1 + ρ)": divided, "x + Ax / n": small}.items()):
    axis.plot(depths, np.log10(values), label=name, **figures.series(i, marker=True))
axis.legend()
figures.show(
    fig,
    alt=f"Separation against depth: divided by 1 + rho it falls to {divided[-1]:.0e} at depth {depths[-1]}, with steps of 1/n it stays at {small[-1]:.2f}.",
)

# %% [markdown] question="train"
# ### Question · Which of the four would train? (4 points, about 8 minutes)
#
# Imagine that every step had weights of its own and that a loss sat on top of 100 of them. Which of the four
# systems (plain, softmax, residual + softmax, dense sum) could be trained, and why? Use the Jacobian of one
# step and at least one measurement of this lesson for each of the four. Say what your verdict does *not*
# follow from.
#
# === BEGIN MARK SCHEME ===
# - 0: judges by the activations alone ("the softmax ones, as they stay alive").
# - 1: says that the gradient at the early layers decides, and names one system rightly.
# - 2: orders all four: softmax and residual + softmax worst (factor about 1/64 a layer, dead at 23 and 29),
#   plain slow death (0.75 a layer, 1e-12 after 100), dense sum keeps its gradient.
# - 3: gives the reason: J = A, D A, D (I + A) against I + D A; only the last has an identity term that
#   nothing multiplies.
# - 4: and limits the verdict: a surviving gradient is necessary, not sufficient. The dense sum amplifies
#   noise (1.0375 a round, gradients grow), its softmax saturates to one pixel; the weights here are fixed,
#   equal and positive; nothing was trained.
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
# the gradient at depth 100 is as large as at depth 1, and two images stay apart. So it is the only candidate.
# This does not prove that it would train: its gradients grow later on, it blows rounding noise up by 1.0375 a
# round, the softmax ends on one pixel where $D$ is zero and the branch learns nothing. And all of this was
# measured with one fixed positive kernel, without any training.
# ### END SOLUTION

# %% [markdown]
# ## 9 · Play
#
# Choose a system and a pair of images. Watch three quantities at once: how large the image is, how far two
# images are apart, and how much of a gradient comes back. Which of the four systems keeps all three away from
# the floor?


# %%
def draw_health(system="residual + softmax", depth=60, seed=0):
    step, points = STEPS[system], np.unique(np.linspace(1, depth, 8).astype(int))
    pair = np.random.default_rng(seed).random((2, 8, 8)).astype(np.float32)
    curves = {
        "largest pixel": [convolution.peak_history(step, pair[0], k)[-1] for k in points],
        "separation": [separation(step, *pair, k) for k in points],
        "gradient": [
            float(input_gradient(step, torch.tensor(pair[0]), k, noise[0]).abs().max()) for k in points
        ],
    }
    fig, axis = figures.canvas(f"{system}: what is left after k steps", "depth k", r"$\log_{10}$")
    for i, (name, values) in enumerate(curves.items()):
        axis.plot(points, np.log10(np.maximum(values, 1e-46)), label=name, **figures.series(i, marker=True))
    axis.set_ylim(-47, 6)
    axis.legend()
    return fig


figures.show(
    draw_health(),
    alt="Residual and softmax: the largest pixel stays, separation and gradient fall to the floor.",
)

# %% live=true
figures.explore(draw_health, system=list(STEPS), depth=(10, 100, 10), seed=(0, 9, 1))

# %% [markdown]
# ## What we have learnt
#
# - The softmax keeps the numbers alive, the skip does not; and it keeps nothing but the numbers.
# - Activations and gradients are two questions. The repair answers one of them and makes the other one worse:
#   29 steps instead of about 350.
# - What makes a shortcut a shortcut is an identity in the Jacobian that *nothing* multiplies. The original
#   has one, under the name of a DenseNet.
# - A reproducible digit is not yet a result.

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
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep residual learning for image recognition* (2016).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity mappings in deep residual networks* (2016): what may stand on
#   the shortcut and after the addition. [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, *Densely connected convolutional networks* (2017).
#   [arXiv:1608.06993](https://arxiv.org/abs/1608.06993)
# - E. Haber, L. Ruthotto, *Stable architectures for deep neural networks* (2017): small steps.
#   [arXiv:1705.03341](https://arxiv.org/abs/1705.03341)
# - R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, *Neural ordinary differential equations* (2018).
#   [arXiv:1806.07366](https://arxiv.org/abs/1806.07366)
