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
# # 1 · The signal that dies
#
# {{badge}}
#
# Deep networks with shortcuts train where equally deep networks without them do not. Before we ask why, we
# want to see something *die*. A short notebook that we found on the web promises exactly this: it applies one
# small convolution to an image again and again, and after a while every pixel is zero. Its author blames the
# "vanishing gradients problem".
#
# Is it? In this lesson we take that loop apart until we can predict, with pencil and paper, to within a few
# steps, when the last pixel disappears. Then we look for what decides those few steps.
#
# **Objectives.** After this lesson you can
#
# - write a convolution as a matrix and read its fate under iteration from one number, the spectral radius;
# - predict when an iterated signal leaves the range of a float format, at either end;
# - tell the end of a *format* from the end of a *signal*, and a vanishing activation from a vanishing
#   gradient.
#
# **Prerequisites.** NumPy; eigenvalues of a symmetric matrix; what a float is.
#
# **Time:** about {{minutes}} minutes, {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Where we start from.** The notebook that we take apart is
# > [`images/skip_connections.ipynb`](https://github.com/vadhri/ai-notebook/blob/main/images/skip_connections.ipynb)
# > by the GitHub user vadhri (repository `vadhri/ai-notebook`; we read commit `09ed812`, which names no licence;
# > more on the page of [sources](../../docs/references.md)). From here on it is *the original*.
# >
# > **Five words.** *Activation*: a number that a layer hands on, here a pixel. *Kernel*: the small table of
# > weights of a convolution. *Modulus*: the size $|\lambda|$ of an eigenvalue, whatever its sign. *Spectral
# > radius*: the largest modulus among a matrix's eigenvalues. *Unit*: here the smallest positive number of a
# > float format.
# >
# > **Symbols.** $K$ the kernel, $A$ the convolution as a matrix, $n$ the side of the image, $k$ the number of
# > convolutions so far, $x_k$ the image after them, $\rho$ the spectral radius, $L$ a loss.
# >
# > All symbols are on the [notation page](../../docs/notation.md), terms in the
# > [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math

import numpy as np
import torch
from scipy.signal import convolve2d

from helpers import convolution, convolution_figures, degradation_figures, drawings, figures, panels
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import iterated_convolution as check

torch.set_num_threads(1)
KERNEL = convolution.binomial_kernel()  # 0.05 * (1, 2, 1)^T (1, 2, 1), float64

# %% parameters=true
SEED = 0  # the two noise images of this lesson derive from it; everything else has no chance in it

# %% [markdown]
# ## Where this leads
#
# Here is the measurement that this course works towards; lesson 7 makes it. Networks of 2, 8 and 24 layers learn to
# read handwritten digits, and we look at the error on the very digits that they learn from.

# %%
plain, residual = degradation_figures.of_lesson_7().values()
losses = {"without shortcuts": plain, "with shortcuts": residual}
times = plain[-1].mean() / residual[-1].mean()
figures.show(
    degradation_figures.losses_by_depth(
        (2, 8, 24), losses, f"At 24 layers the loss is {times:.0f} times as high without shortcuts", "{kind}"
    ),
    alt=f"Training loss against depth, five networks each: at 24 layers those without shortcuts are at "
    f"{plain[-1].mean():.2f}, half way to guessing, and those with shortcuts at {residual[-1].mean():.2f}.",
)

# %% [markdown]
# More layers can make a plain network *worse*, even on what it has seen, and a path around its layers, which computes
# nothing at all, takes that away. By lesson 4 we can predict with pencil and paper what a layer does to a
# signal and to a gradient; by lesson 6 we have built the path ourselves, forwards and backwards; lessons 7 to 10
# train such networks and ask why it works. We begin with a network that is so simple that we can know everything
# about it: one convolution, again and again.
#
# **How a lesson works.** Where it says *Predict*, put your guess in place of the dots and run the cell; the cell that
# computes the answer tells you how near you were. Nothing hangs on it but your surprise. Exercises have hints, folded,
# and a check. Whoever is stuck writes `name = give_up("name")` as the answer: a stand-in then does the work, for no
# points, so that the rest of the lesson runs.

# %% [markdown]
# ## 1 · The claim
#
# The notebook starts from an 8 × 8 image of ones and a 3 × 3 kernel $K$, both float32. It says: *"The
# following logic will turn 0 at a certain iter due to vanishing gadients problem."* (The spelling is its
# own.)
#
# The weights of $K$ sum to 0.8, so each convolution should shrink the image by about a fifth. A float32 can
# hold numbers down to about $10^{-45}$.
#
# **Predict.** After how many convolutions is every pixel zero: 20, 100, 400, 2000, or never (`math.inf`)? The cell
# after the next is the loop of the original.

# %% predict="death"
predict("death", ...)

# %% claim="death_at_362"
image = np.ones((8, 8), dtype=np.float32)
kernel = np.array([[0.05, 0.10, 0.05], [0.10, 0.20, 0.10], [0.05, 0.10, 0.05]], dtype=np.float32)

for i in range(1000):
    image = convolve2d(image, kernel, mode="same", boundary="fill", fillvalue=0)

    if (image > 0).sum() == 0:
        print("All values are zero at iter =", i)
        break

death = i
assert death == 362
reveal("death", death, factor=1.5)

# %% [markdown]
# So the original is right about its number. Three remarks before we go on, because we shall be counting
# carefully:
#
# 1. The loop counts from 0: index 362 belongs to the **363rd** convolution.
# 2. `(image > 0).sum() == 0` asks whether no pixel is *positive*. That is not the same as zero: the next cell
#    shows an image for which the test fires at once. We shall use `not image.any()`.
# 3. Nobody has computed a gradient. What vanishes here is an **activation**. We come back to this at the end.

# %% claim="not_positive_is_not_zero"
after_one = convolve2d(np.ones((8, 8), np.float32), -kernel, mode="same")
print("no pixel is positive:", (after_one > 0).sum() == 0)
print("every pixel is zero: ", not after_one.any())
assert (after_one > 0).sum() == 0 and after_one.any()

# %% [markdown]
# What does it look like when an image dies? Here are six moments. Each picture is drawn in shades of its *own*
# largest pixel, whose value stands above it: the shape of the image, not its size.

# %%
moments, image = {}, np.ones((8, 8), np.float32)
for k in range(death + 2):
    if k in (0, 20, 355, 360, 362, 363):
        moments[f"k = {k}\nlargest {image.max():.1e}"] = image
    image = convolve2d(image, kernel, mode="same")
figures.show(
    convolution_figures.dying_image(moments, f"One bump that fades, and then, at k = {death + 1}, nothing"),
    alt="Six heat maps: a flat image becomes a bump, keeps that shape for hundreds of convolutions, "
    f"breaks into a few flat steps, then four equal pixels, then, after convolution {death + 1}, "
    "nothing.",
)

# %% [markdown]
# A smooth bump for hundreds of convolutions; then, within a few, terraces, a small square, nothing. So there
# are two things to explain: the long way down, and the sudden end.

# %% [markdown]
# ## 2 · What happens on the way down
#
# One number at the end of a loop explains little. Let us watch the largest pixel after each convolution.
#
# **Predict.** On a logarithmic axis, will the curve be straight, bend down (dying faster and faster), or
# level off?

# %% predict="curve"
predict("curve", ..., ["straight", "bends down", "levels off"])


# %%
def blur(x):
    return convolution.convolve_same(x, kernel)


peaks = convolution.peak_history(blur, np.ones((8, 8), np.float32), death + 1)
factors = peaks[1:-1] / peaks[:-2]
rho = (peaks[300] / peaks[100]) ** (1 / 200)  # the factor of one convolution, from 200 of them
print("factor of convolution", ", ".join(f"{k + 1}: {factors[k]:.4f}" for k in (0, 1, 5, 20, 100, 300)))

# %%
fig, axis = figures.canvas(
    f"A straight line: a factor of {rho:.4f} per convolution", "convolutions k", convolution_figures.LOG_PEAK
)
axis.plot(np.log10(peaks[:-1]), **figures.series(0))
figures.show(
    fig,
    alt=f"The logarithm of the largest pixel falls on a straight line, by a factor {rho:.4f} per "
    "convolution.",
)
reveal("curve", "straight" if np.ptp(np.diff(np.log(peaks[20:300]))) < 0.001 else "bends down")

# %% [markdown]
# A straight line means a constant factor. The printed line shows that it is *not* 0.8, except at the very
# start.
#
# ## 3 · The operator behind the loop
#
# Convolution with zero padding is linear in the pixels. So if we write the image as one long column of pixels,
# row after row - this is what $\operatorname{vec}$ means - there is a matrix $A$ with
# $\operatorname{vec}(x * K) = A \operatorname{vec}(x)$, here 64 × 64. Iterating the loop means taking powers,
# $x_k = A^k x_0$. For powers of a symmetric matrix only one thing counts in the long run: the eigenvalue of
# largest modulus. That modulus is the **spectral radius** $\rho$.

# %% claim="operator"
A = convolution.operator_matrix(KERNEL, 8)
x = np.random.default_rng(SEED + 1).normal(size=(8, 8))
assert np.allclose(A @ x.ravel(), convolve2d(x, KERNEL, mode="same").ravel(), rtol=1e-9, atol=1e-12)
assert np.array_equal(A, A.T) and np.linalg.matrix_rank(KERNEL) == 1
print(f"A is {A.shape[0]} x {A.shape[1]} and symmetric; the kernel has rank 1 and sum {KERNEL.sum():.1f}.")

# %% [markdown]
# The drawing shows $A$ for an image of only 4 × 4 pixels: each row holds the kernel, spread out over what one new pixel reads.

# %%
figures.show(*drawings.operator(convolution.operator_matrix(KERNEL, 4), pixel=6))

# %% [markdown]
# Rank 1 is a gift. $K = 0.05\, u u^\top$ with $u = (1, 2, 1)$, so blurring the image is blurring its columns
# with $u$, then its rows. In one dimension, blurring a column of $n$ pixels is the matrix
#
# $$T = \begin{pmatrix} 2 & 1 & & \\ 1 & 2 & 1 & \\ & 1 & 2 & \ddots \\ & & \ddots & \ddots \end{pmatrix} \in \mathbb{R}^{n \times n},
# \qquad A = 0.05 \; T \otimes T .$$
#
# The **Kronecker product** $T \otimes T$ is $T$ with each of its entries $t$ replaced with the whole block
# $t\,T$. For a 2 × 2 image with the pixels $a, b$ above $c, d$ we have $\operatorname{vec}(x) = (a, b, c, d)$,
# and the next cell shows the 4 × 4 matrix: its blocks are $2T$, $1T$, $1T$, $2T$. The first row says that the new
# pixel $a$ is $0.05\,(4a + 2b + 2c + d)$, as the kernel wants it.

# %%
T = np.array([[2, 1], [1, 2]])
print(np.kron(T, T))
print("0.05 times it is A:", np.allclose(0.05 * np.kron(T, T), convolution.operator_matrix(KERNEL, 2)))

# %% [markdown]
# Why does this help? If $T v = \lambda v$, then the image $v v^\top$ is blurred to
# $0.05\, (T v)(T v)^\top = 0.05\, \lambda^2\, v v^\top$: it is an eigenvector of $A$. In general the
# eigenvalues of a Kronecker product are the products of the eigenvalues. The eigenvectors of $T$ are
# sampled sines that vanish just outside of the image, at positions 0 and $n + 1$:
#
# $$v^{(i)}_j = \sin\frac{\pi i j}{n + 1}, \qquad i = 1, \dots, n .$$
#
# Apply $T$ to $v^{(i)}$ and use $\sin(a - b) + \sin(a + b) = 2 \sin a \cos b$: the eigenvalue drops out.
#
# ### Exercise 1 · The spectral radius (4 points, medium, about 12 minutes)
#
# Write `spectral_radius(n)` for the zero-padded convolution of $n \times n$ images with our kernel. Derive
# the formula, or build the matrix: both are welcome. Should the answer be larger or smaller than 0.8? Decide
# first.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Some images keep their shape when they are blurred, and only lose size. The text above names them: the outer products
# of sines. Which of them loses least?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Two ways lead there. By hand: apply $T$ to the slowest sine ($i = 1$), read off its eigenvalue, square it for the two
# directions, and do not forget the factor of the kernel. By machine: `convolution.operator_matrix` builds the matrix that
# a convolution of $n \times n$ images is, and NumPy knows the eigenvalues of a symmetric matrix.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# matrix = convolution.operator_matrix(KERNEL, n)  # (n * n, n * n), symmetric
# eigenvalues = ...
# return ...  # the one of the largest size
# ```
#
# </details>


# %% answer="spectral_radius"
def spectral_radius(n: int) -> float:
    """Give the spectral radius of the zero-padded convolution with KERNEL.

    Args:
        n: side of the image, at least 1.

    Returns:
        rho(n), a float without unit.
    """
    ### BEGIN SOLUTION
    return 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4
    ### END SOLUTION


# %% check="spectral_radius" points=4
check.spectral_radius(spectral_radius)

# %% [markdown]
# **What we should see.** The factor that we measured is the largest eigenvalue, and the 0.8 is only its limit
# for large images. Pixels at the edge have neighbours that are always zero: a part of the image leaks out at
# each step, and a small image has more edge for its size.

# %% claim="slope_is_the_radius"
sides = np.arange(1, 21)
radii = [spectral_radius(n) for n in sides.tolist()]
assert round(radii[7], 6) == 0.752481
assert abs(rho - radii[7]) < 1e-6

# %%
title = f"Small images leak: ρ(8) = {radii[7]:.4f}, and 0.8 is only the limit"
fig, axis = figures.canvas(title, "side of the image n", "spectral radius", xticks=sides[1::2])
axis.plot(sides, radii, label="spectral radius", **figures.series(0, marker=True))
axis.axhline(KERNEL.sum(), label="sum of the kernel", **figures.series(1))
axis.legend()
figures.show(
    fig,
    alt=f"The spectral radius grows with the side of the image, {radii[7]:.4f} at 8, towards 0.8, the sum "
    "of the kernel.",
)

# %% [markdown]
# One more number and we can draw the whole line. An image of ones is not the slowest eigenvector, but like each
# image it is a sum of eigenvectors, and contains some of the slowest one. That part is called its *projection*
# on the eigenvector. It has the height $c(n)$ at its peak, and when all else has faded it is what is left:
#
# $$\max_{ij} x_k \approx c(n)\, \rho(n)^k .$$
#
# `convolution.peak_amplitude(n)` gives $c(n)$.

# %% claim="height_of_the_line"
c = convolution.peak_amplitude(8)
print(
    f"c(8) = {c:.6f}; peak / rho^k is",
    ", ".join(f"{peaks[k] / rho**k:.4f} at k = {k}" for k in (20, 100, 200)),
)
assert round(c, 6) == 1.540424 and np.allclose(peaks[50:200] / rho ** np.arange(50, 200), c, rtol=1e-4)

# %% [markdown]
# ## 4 · When does it die?
#
# The smallest positive float32 is $2^{-149}$, one *unit* from here on. It is a **subnormal** number: below
# $2^{-126}$ a float32 has used up its exponents and all that is left is a whole number of units. Results are
# rounded to the nearest one, so what lies below half a unit, $2^{-150}$, becomes zero.
#
# **Predict.** Solve $c \rho^k < 2^{-150}$: for which whole $k$ does it hold first?

# %% predict="naive"
predict("naive", ...)

# %% claim="naive_prediction"
unit = 2.0 ** -convolution.FORMATS["float32"].unit_exponent
assert unit == np.finfo(np.float32).smallest_subnormal
naive = math.log(unit / 2 / c) / math.log(rho)
print(f"c rho^k falls below half a unit at k = {naive:.2f}, so after {math.ceil(naive)} convolutions,")
print(f"which is loop index {math.ceil(naive) - 1}. The loop says {death}.")
assert math.ceil(naive) == 368
reveal("naive", math.ceil(naive), within=1)

# %% [markdown]
# Close, but five too late, and a straight line with the right slope and the right height should not
# miss. Something kills the image early. Here are its last moments in units (the upper left quarter; the rest
# is its mirror image).

# %% claim="last_units"
image = np.ones((8, 8), np.float32)
for i in range(death + 1):
    image = blur(image)
    if i >= death - 4:
        print(f"index {i}:", (image[:4, :4] / unit).astype(int).tolist())
assert not image.any()

# %% [markdown]
# Look at a centre pixel at index 360: 3 units, with neighbours of 3, 3, 2 and 2 beside it and 3, 2, 2 and 1 at its
# corners. Exact arithmetic would make $0.2 \cdot 3 + 0.1 \cdot 10 + 0.05 \cdot 8 = 2$ units of it. The computer makes
# **one**. It never sees that sum: it multiplies first and rounds each product to whole units, and only then adds.

# %% claim="products_below_three_units"
print("pixel (units)   * 0.05   * 0.10   * 0.20")
for m in range(1, 7):
    products = [np.float32(m * unit) * weight for weight in (kernel[0, 0], kernel[0, 1], kernel[1, 1])]
    print(f"{m:13d}", *(f"{int(p / unit):8d}" for p in products))
survives = [m for m in range(1, 20) if np.float32(m * unit) * kernel.max() > 0]
assert survives[0] == 3

# %% [markdown]
# A pixel of $m$ units hands on at most $0.2\, m$, to itself. If $0.2\, m < 0.5$ even that product is rounded
# to zero, and the pixel leaves nothing behind, neither to itself nor to a neighbour. So an image whose
# *largest* pixel is below **2.5 units** is wiped out by the next convolution, whatever its neighbours hold.
#
# ### Exercise 2 · Predict the death (4 points, medium, about 15 minutes)
#
# Turn that rule into `predict_death(n, exponent)`: the loop index (from 0) of the convolution that returns an
# image of zeros, in a format whose smallest positive number is $2^{-\text{exponent}}$. Let $k$ be the first
# number of convolutions after which $c(n) \rho(n)^k$ is below 2.5 units: which index does the *next*
# convolution have? Use logarithms: $2^{-1074}$ is the end of float64 itself.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Write the line $c(n)\, \rho(n)^k$ and the threshold $2.5 \cdot 2^{-\text{exponent}}$ on one sheet. Where do they cross?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Take the logarithm of both sides: $k$ times a negative number falls below a difference of logarithms. Dividing by a
# negative number turns the sign round; the first *whole* $k$ is what you get by rounding up. Then count: after $k$
# convolutions, which loop index does the next one have?
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# rho, c = ..., convolution.peak_amplitude(n)
# log_threshold = ...  # a sum of two logarithms, no power of two
# return math.ceil(...)  # how many convolutions until the line is below it
# ```
#
# </details>


# %% answer="predict_death"
def predict_death(n: int, exponent: int) -> int:
    """Predict the loop index at which an image of ones has become all zero.

    Args:
        n: side of the image, at least 1.
        exponent: the smallest positive number of the format is 2**-exponent (float16: 24,
            bfloat16: 133, float32: 149, float64: 1074).

    Returns:
        The index, counted from 0, of the first convolution that gives zeros only.
    """
    ### BEGIN SOLUTION
    rho = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4
    log_threshold = math.log(2.5) - exponent * math.log(2)
    return math.ceil((log_threshold - math.log(convolution.peak_amplitude(n))) / math.log(rho))
    ### END SOLUTION


# %% check="predict_death" points=4
check.predict_death(predict_death)

# %% [markdown]
# ### Does the rule hold elsewhere?
#
# One hit proves little: we found the rule by looking at the case that it now explains. The test is other
# sizes.


# %% claim="rule_within_one_step"
def death_index(kernel, n, steps=450):
    """Loop index at which an n x n image of ones is all zero, in the format of the kernel."""
    ones = np.ones((n, n), kernel.dtype)
    history = convolution.peak_history(lambda x: convolution.convolve_same(x, kernel), ones, steps)
    return int(np.flatnonzero(history == 0)[0]) - 1


rule = {n: predict_death(n, 149) for n in range(1, 13)}
measured = {n: death_index(kernel, n) for n in rule}
print("n:measured/rule ", "  ".join(f"{n}:{measured[n]}/{rule[n]}" for n in rule))
assert measured[8] == 362 and measured[4] == 243
assert max(abs(measured[n] - rule[n]) for n in rule) == 1

# %% [markdown]
# Within one step for each size up to 12. But look at how the rule was made. Its first half is exact: an image
# with no pixel above 2 units dies in the next convolution. Its second half is not: it assumes that the image
# follows $c \rho^k$ down to the last units, while each product is rounded there, up as well as down.
#
# One of these roundings is a coin on its edge. A pixel of 5 units hands $0.10 \cdot 5$ on to its neighbour: half
# a unit, a **tie**, and so is $0.05 \cdot 10$. A float32 cannot hold 0.05; it stores a number that is a little
# larger, and the tie is rounded up. `np.nextafter` gives us the float next to it, which is a little smaller than
# 0.05.
#
# **Predict.** The kernel changes in its eighth digit, so $\rho$, $c$ and 2.5 stay what they are. By how many steps does
# the death of the 8 × 8 image move?

# %% predict="moved"
predict("moved", ...)

# %% claim="last_steps_hang_on_a_tie"
smaller = np.nextafter(kernel, np.float32(0))
print(f"0.05 is stored as {kernel[0, 0]:.10f}; the float below it is {smaller[0, 0]:.10f}")
moved = {n: death_index(smaller, n) for n in (8, 9, 10, 11, 12)}
for n, index in moved.items():
    print(f"n = {n:2d}: rule {rule[n]}, kernel as stored {measured[n]}, one float smaller {index}")
assert moved[8] == 360 and max(rule[n] - moved[n] for n in moved) == 3
reveal("moved", abs(moved[8] - measured[8]))

# %% [markdown]
# From 362 to 360, and for larger images by three or four steps. So our rule is right *to within a few steps*,
# and more cannot be had from $\rho$, $c$ and 2.5: the last step hangs on which side 0.05 is rounded to. The
# original's 362, to the digit, is a fact about the number 0.05.
#
# ## 5 · The picture of this lesson
#
# Left, 350 steps on a straight line. Right, the last few of them, on a linear axis: the rounded image first
# lags *above* the line, then falls off below it. The line crosses 2.5 units where the image dies; 0.5 units
# would come several steps later. (The zero stands at $k = 363$: after 363 convolutions, loop index 362.)

# %%
line = c * rho ** np.arange(death + 9)
figures.show(
    convolution_figures.way_down(peaks, line, unit, {"2.5, our rule": 2.5, "0.5, naive": 0.5}),
    alt="The float32 peak follows c rho^k until a few units of 2^-149 are left; below 2.5 units the next "
    f"convolution, number {death + 1} with loop index {death}, gives zero.",
)

# %% [markdown]
# ## 6 · The end of a format
#
# If 362 is a property of float32, other formats must die at other times. Our rule needs only their smallest
# number: $2^{-24}$ for float16, $2^{-133}$ for bfloat16, $2^{-149}$ for float32, $2^{-1074}$ for float64.
# (bfloat16 is a float32 cut in half: all its exponents, but only 8 binary digits.)
#
# **Predict.** A float64 has twice as many digits as a float32. Is its death nearer to twice or to seven times 362?

# %% predict="float64"
predict("float64", ..., ["twice", "seven times"])

# %% [markdown]
# ### Exercise 3 · The loop, done properly (4 points, hard, about 15 minutes)
#
# Write `iterate(image, kernel, dtype, boundary)`: the original's loop, but for any image, kernel, format and
# boundary, with an honest test for zero, and `None` when nothing has died. Pixels may be negative.
#
# Two hints: `convolve2d` refuses float16, `convolution.convolve_same(image, kernel, boundary)` takes it. And mind
# NumPy's promotion: a float32 image times a float64 kernel is a float64 image.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Print `image.dtype` inside the loop. Is it what `dtype` says, in every round?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Cast *both* image and kernel before the loop, convolve the image that the last round gave, and ask after each round
# whether any pixel differs from zero: neither a sum nor a comparison with `> 0` asks that. What if the loop ends?
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# image, kernel = ...  # both in dtype
# for index in range(limit):
#     image = ...
#     if ...:  # no pixel differs from zero
#         return index
# return ...
# ```
#
# </details>


# %% answer="iterate"
def iterate(
    image: np.ndarray, kernel: np.ndarray, dtype: str, boundary: str = "fill", limit: int = 3000
) -> int | None:
    """Convolve again and again until the image is all zero.

    Args:
        image: (n, n), any float dtype; it is not changed.
        kernel: (3, 3), any float dtype.
        dtype: "float16", "float32" or "float64": what every step is computed in.
        boundary: "fill", "wrap" or "symm", as in `convolution.convolve_same`.
        limit: how many convolutions are tried.

    Returns:
        The index, counted from 0, of the first convolution that gives zeros only; None if there is none.
    """
    ### BEGIN SOLUTION
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index
    return None
    ### END SOLUTION


# %% check="iterate" points=4
check.iterate(iterate)

# %% [markdown]
# NumPy has no `bfloat16`; the next cell runs it in torch, with each product and each sum rounded, as in float16.

# %% claim="deaths_by_format"
deaths = {d: iterate(np.ones((8, 8)), KERNEL, d) for d in ("float16", "float32", "float64")}
kernel_bf16 = convolution.cast(KERNEL, "bfloat16")
history = convolution.peak_history(
    lambda x: convolution.convolve_same(x, kernel_bf16), torch.ones(8, 8, dtype=torch.bfloat16), 400
)
deaths["bfloat16"] = int(np.flatnonzero(history == 0)[0]) - 1
for dtype, index in sorted(deaths.items(), key=lambda item: item[1]):
    exponent = convolution.FORMATS[dtype].unit_exponent
    print(f"{dtype:9s} 2^-{exponent:<5d} dies at {index:4d}, rule {predict_death(8, exponent):4d}")
assert deaths == {"float16": 55, "bfloat16": 324, "float32": 362, "float64": 2616}
assert predict_death(8, 1074) == 2617
reveal("float64", "twice" if deaths["float64"] < 4.5 * deaths["float32"] else "seven times")

# %% [markdown]
# The signal is the same in all four rows. What differs is the number at which the *format* gives up. Seven times
# the exponent, seven times the life. (float16 has the life of a mayfly: one reason why training in float16
# multiplies the loss by a large constant, *loss scaling*, and training in bfloat16 does not have to.)
#
# And the small differences from the rule? It is tempting to say that rounding errors add up on the way, and more
# so in formats with few digits. Let us look before we say it.
#
# **Predict.** float16 dies two steps before the rule says so, and two steps are a factor of $0.75^2 = 0.56$. Halfway
# down, after 20 convolutions: what share of the line will we measure, if you had to bet?

# %% predict="low"
predict("low", ...)

# %% claim="float16_dies_of_a_tie"
kernel16 = KERNEL.astype(np.float16)
half = convolution.peak_history(
    lambda x: convolution.convolve_same(x, kernel16), np.ones((8, 8), np.float16), 30
)
low = half[20] / (c * rho**20)
larger = np.nextafter(kernel16, np.float16(1))
print(
    f"after 20 convolutions the image is at {low:.3f} of the line: {math.log(low) / math.log(rho):.2f} steps"
)
print(f"0.05 is stored as {kernel16[0, 0]:.6f}, death {death_index(kernel16, 8)}")
print(f"one float larger  {larger[0, 0]:.6f}, death {death_index(larger, 8)}, rule {predict_death(8, 24)}")
assert math.log(low) / math.log(rho) < 0.05
assert death_index(larger, 8) == predict_death(8, 24) == 57
reveal("low", low, within=0.05)

# %% [markdown]
# Two steps would need a factor of $0.75^2$. The image is not even one per cent low, and that is a thirtieth of a
# step. It is the tie again: float16 stores 0.05 a little too *small*, so half a unit is rounded down; with the
# float next to it the image lives until 57, as the rule has it.
#
# For bfloat16 the reason is simpler. It stores 0.05 as 0.0500488, a thousandth too large, so the slope of the line
# is another:

# %% claim="bfloat16_has_another_slope"
stored = kernel_bf16.double().numpy()
slope = np.linalg.eigvalsh(convolution.operator_matrix(stored, 8)).max()
exact = (math.log(2.5 / c) - 133 * math.log(2)) / math.log(rho)
shifted = (math.log(2.5 / c) - 133 * math.log(2)) / math.log(slope)
print(f"rule with 0.05:      {exact:.1f}, so {math.ceil(exact)}")
print(f"rule with {stored[0, 0]:.7f}: {shifted:.1f}, so {math.ceil(shifted)}")
assert math.ceil(shifted) == deaths["bfloat16"] == math.ceil(exact) + 1

# %% [markdown]
# ### Flushed to zero (optional)
#
# Some hardware has no subnormals, or has them turned off for speed: whatever lies below $2^{-126}$ is **flushed
# to zero**. Torch can switch the processor to that mode, and scipy then computes in it as well.
#
# **Predict.** Subnormals are the last 23 halvings before $2^{-149}$. By how many convolutions does it shorten
# the life of the float32 image if they are missing?

# %% predict="flushed"
predict("flushed", ...)

# %% claim="flushed_to_zero"
can_flush = torch.set_flush_denormal(True)  # False on a processor that has no such mode
history = convolution.peak_history(blur, np.ones((8, 8), np.float32), 400)
torch.set_flush_denormal(False)
flushed_death = int(np.flatnonzero(history == 0)[0]) - 1
first_idea = math.ceil((math.log(5 / c) - 126 * math.log(2)) / math.log(rho))
print(f"subnormals flushed to zero: dies at {flushed_death}, {death - flushed_death} convolutions earlier")
print(f"a peak below 5 * 2^-126, whose largest product is below 2^-126: {first_idea}")
assert flushed_death == (300 if can_flush else death)
reveal("flushed", death - flushed_death, factor=1.3)

# %% [markdown]
# The processor flushes each *product*, and a product is at most a fifth of its pixel. So the image must die once
# its peak is below $5 \cdot 2^{-126}$. It dies a little earlier still, since the smaller products, those with
# 0.05 and 0.10, are lost before, and are missed.
#
# ## 7 · Without an edge nothing dies
#
# The image leaks at its edges, and inside it still shrinks by 0.8 per convolution. So let us close the edges:
# `wrap` joins each edge to the opposite one, `symm` puts a mirror there. An image of ones then stays flat and is
# multiplied by exactly 0.8.
#
# **Predict.** At which index does float32 die now? (The rule with $\rho = 0.8$ and $c = 1$ says 459.)

# %% predict="closed"
predict("closed", ..., ["near 459", "much later", "never"])

# %% claim="stall_at_15_units" effect="stalled"
noise = np.random.default_rng(SEED + 3).random((8, 8), np.float32)
stalled = []
for boundary in ("wrap", "symm"):
    for name, image in {"ones": np.ones((8, 8), np.float32), "noise": noise}.items():
        for _ in range(1000):
            image = convolve2d(image, kernel, mode="same", boundary=boundary)
        stalled += [image.min() / unit, image.max() / unit]
        print(f"{boundary}, from {name}: every pixel is {image.max():.1e} = {image.max() / unit:.0f} units")
assert set(stalled) == {15.0}
reveal("closed", "never" if min(stalled) > 0 else "near 459")

# %% [markdown]
# It never dies. It **stalls** at 15 units. Rounding to nearest may also round *up*, and there are pixel
# values for which the nine rounded products add up to the pixel itself: fixed points of the rounded map,
# though the exact map has none but zero.

# %% claim="fixed_points_of_rounding"
fixed = []
for m in range(1, 60):
    flat = np.full((8, 8), m * unit, np.float32)
    if (convolve2d(flat, kernel, mode="same", boundary="wrap") == flat).all():
        fixed.append(m)
print("flat images that a convolution leaves unchanged, in units:", fixed)
assert fixed == [5, 10, 15]

# %% [markdown]
# Coming from above, the image meets 15 first and stays there. That is worth remembering: *"it is not zero"*
# does not mean *"it is a signal"*. Ones and noise end in the same 15 units: nothing of the input is left in
# them.

# %% [markdown] question="naive"
# ### Question · 362 or 367, and why? (3 points, about 10 minutes)
#
# A friend computes on paper: "$1.54 \cdot 0.7525^k$ falls below $2^{-150}$, half of the smallest float32,
# after 368 convolutions, so the loop must report index 367. It reports 362, so the computer is wrong." Answer
# the friend in a few sentences. Say what is right in the computation, what it leaves out, and name an
# experiment whose outcome would differ if *your* explanation were wrong. (After the question we run one.)
#
# === BEGIN MARK SCHEME ===
# - 0: no explanation, or "rounding errors" without saying which.
# - 1: says that below 2^-126 a float32 is a whole number of units of 2^-149, so that the linear law ends
#   there.
# - 2: and explains the early death: products are rounded one by one before they are added; a pixel of m units
#   vanishes when 0.2 m < 0.5, so images with a peak below 2.5 units die at the next convolution, though their
#   exact sum is still above half a unit.
# - 3: and names an experiment that could refute this: another n, format or kernel; one rounding per pixel
#   instead of one per product (accumulate in float64, round at the end) must live longer (it does: for ever
#   with the stored kernel, until 370 with the exact one; nobody has to know these numbers); a start of 2 units
#   against one of 3 units.
#
# Misconceptions: "float32 ends at 2^-126" (forgets subnormals, gives about 308); "rho is a little smaller
# than we think" (the slope fits to six digits over 300 steps); "rounding is random, so the index is luck" (it
# is deterministic; the rule holds to within a step for twelve sizes, and a tie decides the last steps);
# "rounding once per pixel gives the friend's 367" (it does not: pixels are still rounded to whole units on the
# way down); confusing the index 362 with the number of convolutions 363.
# === END MARK SCHEME ===

# %% [markdown] response="naive" points=3
# ### BEGIN SOLUTION
# The slope and the height of the line are right, and so is the smallest float. What the computation leaves
# out is how a pixel is computed: nine products, each rounded to a whole number of units of $2^{-149}$, then
# summed. Once the largest pixel has at most 2 units its largest product, 0.2 times the pixel, is below half a
# unit and rounds to zero, and so do all others. So the image dies when the peak falls below 2.5 units, not
# 0.5: $\ln 5 / \ln(1 / 0.7525) \approx 5.7$ convolutions earlier. To test it: compute each convolution in
# float64 and round each pixel once. If my explanation is right the image now survives longer than index 362;
# if rounding of products had no part in it the index would stay the same. I would not expect 367 either, since
# the pixels are still rounded to whole units on the way.
# ### END SOLUTION

# %% [markdown]
# ### The friend's computer
#
# Suppose the friend's computer adds up the nine products in float64 and rounds each pixel once, at the end. If
# the rounding of *products* kills the image early, it must live longer there.
#
# We run it twice: with the kernel as float32 stores it, and with a float64 kernel, whose 0.05 is right to 17 digits.
#
# **Predict.** At which index does the image die with the float64 kernel: at 367, as the friend says?

# %% predict="friend"
predict("friend", ...)

# %% claim="one_rounding_per_pixel"
ends = {}
for name, weights in {"float32 kernel": kernel.astype(float), "float64 kernel": KERNEL}.items():
    image, ends[name] = np.ones((8, 8), np.float32), None
    for index in range(1000):
        image = convolution.convolve_same(image.astype(float), weights).astype(np.float32)
        if not image.any():
            ends[name] = index
            break
    left = f"the largest pixel is {image.max() / unit:.0f} units, {np.count_nonzero(image)} are not zero"
    print(f"{name}: dies at {ends[name]}; {left}")
assert ends == {"float32 kernel": None, "float64 kernel": 370} and deaths["float32"] == 362
reveal("friend", ends["float64 kernel"], within=1)

# %% [markdown]
# It lives longer, so the explanation stands. But it does not die at 367 either. With the exact kernel it dies at
# 370, since pixels are still rounded to whole units, up as well as down, on their way. With the stored kernel it
# **never** dies: sixty pixels of one unit hold each other up, only the corners are zero. Each pixel next to a
# corner becomes $0.2 + 0.1 + 0.1 + 0.05 + 0.05 = 0.5$ units, a tie once more, and the stored 0.05 is a little too
# large, so it is rounded up, to the one unit that it was.

# %% [markdown]
# ## 8 · Is it a vanishing gradient?
#
# The original speaks of gradients. Let us compute one: the gradient of a loss $L$ with respect to the input. One
# step is $y = A x$, that is $y_i = \sum_j A_{ij} x_j$, and the chain rule gives
#
# $$\frac{\partial L}{\partial x_j} = \sum_i \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x_j}
# = \sum_i A_{ij} \frac{\partial L}{\partial y_i} .$$
#
# The sum now runs over the *rows* of $A$: that is a product with $A^\top$. After $k$ steps
#
# $$\frac{\partial L}{\partial x_0} = (A^\top)^k \, \frac{\partial L}{\partial x_k} .$$
#
# **Predict.** $A$ is symmetric. How does the gradient's fate differ from that of the image?

# %% predict="fate"
predict("fate", ..., ["it dies sooner", "it dies later", "not at all"])

# %% claim="gradient_equals_image"
x = torch.ones(8, 8, requires_grad=True)
y = x
for _ in range(100):
    y = convolution.plain_step(y)
(gradient,) = torch.autograd.grad(y, x, torch.ones(8, 8))
print(f"100 convolutions: largest activation {y.max():.3e}, largest gradient {gradient.max():.3e}")
assert torch.allclose(y.detach(), gradient, rtol=1e-4, atol=0)
reveal("fate", "not at all" if torch.allclose(y.detach(), gradient, rtol=1e-4, atol=0) else "it dies sooner")

# %% [markdown]
# Here the two are the same thing, since $A^\top = A$: send a gradient of ones back through a hundred convolutions
# and you get the image of ones after a hundred convolutions. The same *pace* needs less: $A^\top$ has the
# eigenvalues of $A$, so in any loop that is linear signal and gradient die equally fast. So the gradient dies as
# well, and the original is right *because its loop is linear*. With a nonlinearity the two part: in the next lesson
# the activations are in perfect health while the gradients die twelve times sooner.
#
# ## 9 · The opposite end
#
# A residual step adds the input back: $x \leftarrow x + A x$. What is computed, $A x$, is called the **branch**;
# what is carried along, $x$, the **stream**. The operator is now $I + A$ with spectral radius $1 + \rho$, about
# 1.75. Nothing vanishes any more.
#
# **Predict.** The largest float32 is about $3.4 \cdot 10^{38}$. After how many steps do we get there? More or
# fewer than 362?

# %% predict="overflow"
predict("overflow", ...)

# %% [markdown]
# ### Exercise 4 · Too much of a good thing (3 points, easy, about 10 minutes)
#
# Write `overflow_iteration(n, dtype)`: start from ones, repeat $x \leftarrow x + A x$ in the given format,
# and return the first loop index (from 0) at which some pixel is not finite. Running the loop is fine, so is
# a formula. (`with np.errstate(over="ignore"):` keeps NumPy from warning about what we are looking for.)
#
# <details><summary>Hint 1: a nudge</summary>
#
# It is the loop of Exercise 3 with another step and another question at its end.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Start from ones in the given format, cast the kernel too, add what the convolution gives to the image, and stop at the
# first round after which not every pixel is finite. Count from 0. The formula: which power of the growth passes the
# largest number of the format, and how does $c(n)$ enter?
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# image, kernel, index = np.ones((n, n), dtype), ..., -1
# with np.errstate(over="ignore", invalid="ignore"):
#     while ...:  # all pixels are finite
#         image = ...
#         index += 1
# return index
# ```
#
# </details>


# %% answer="overflow_iteration"
def overflow_iteration(n: int, dtype: str) -> int:
    """Find the loop index at which x <- x + A x, started from ones, overflows.

    Args:
        n: side of the image, 2 to 12.
        dtype: "float32" or "float64": what every step is computed in.

    Returns:
        The index, counted from 0, of the first step that gives a pixel that is not finite.
    """
    ### BEGIN SOLUTION
    image, kernel = np.ones((n, n), dtype), KERNEL.astype(dtype)
    index = -1
    with np.errstate(over="ignore", invalid="ignore"):
        while np.isfinite(image).all():
            image = image + convolution.convolve_same(image, kernel)
            index += 1
    return index
    ### END SOLUTION


# %% check="overflow_iteration" points=3
check.overflow_iteration(overflow_iteration)

# %% claim="overflow"
overflows = {dtype: overflow_iteration(8, dtype) for dtype in ("float32", "float64")}
print("x + A x overflows at", overflows)
assert overflows == {"float32": 157, "float64": 1264}
reveal("overflow", overflows["float32"], factor=1.3)

# %% [markdown]
# Faster than it died. A bare shortcut does not cure the disease, it replaces it with the opposite one:
# $(1 + \rho)^k$ instead of $\rho^k$. Real residual networks need something that keeps the branch small (a factor
# in front of $A x$) or brings the stream back to size now and then (a *normalisation*). Lesson 4 measures both
# for random networks.

# %%
with np.errstate(over="ignore", invalid="ignore"):
    grown = convolution.peak_history(lambda x: x + blur(x), np.ones((8, 8), np.float32), overflows["float32"])
histories = {f"x ← A x, factor {rho:.3f}": peaks[:-1], f"x ← x + A x, factor {1 + rho:.3f}": grown}
limits = {"smallest float32": unit, "largest float32": np.finfo(np.float32).max}
title = f"The shortcut turns death at {death} into overflow at {overflows['float32']}"
figures.show(
    convolution_figures.two_ends(histories, limits, title),
    alt=f"In float32 the plain convolution falls to the smallest float at step {death}; with a shortcut it "
    f"rises to the largest at step {overflows['float32']}.",
)

# %% [markdown]
# ## 10 · Play
#
# The size of the image, the format and a factor on the kernel decide everything. Which of the three changes the
# slope, which the height, and which only the floor? The axes stay where they are, so that pictures can be compared
# (float64 goes on far below them). Find a scale at which the image neither dies nor explodes, and ask what that is
# worth.


# %%
def decay(n=8, dtype="float32", scale=1.0):
    kernel, ones = convolution.cast(scale * KERNEL, dtype), convolution.cast(np.ones((n, n)), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        history = convolution.peak_history(lambda x: convolution.convolve_same(x, kernel), ones, 900)
    return convolution_figures.decay(history, n, dtype, scale, scale * spectral_radius(n))


panel = panels.Panel(decay, convolution_figures.decay_stage, convolution_figures.DECAY)
panel.show(n=12, dtype="float16", scale=1.1)

# %% live=true
panel.live()

# %% [markdown]
# ## What we have learnt
#
# - An iterated linear map lives and dies by its spectral radius; the format only decides when we notice.
# - The 362 of the original follows, within a few steps, from three numbers: $\rho = 0.7525$, $c = 1.54$, and a
#   threshold of 2.5 units. The last step hangs on which side 0.05 is rounded to.
# - Activations vanished. The gradient did too, at the same pace, because each step is linear and $A^\top$ has the
#   eigenvalues of $A$. (Here even $A^\top = A$, so that the numbers agree as well.)
#
# None of this is a network yet: there are no weights to learn, no nonlinearity, nothing random. What carries
# over is the question to ask of any deep stack of layers: *which factor does one layer apply, forward and
# backward?*

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Somebody halves the kernel. What happens to the slope, the height and the death of the image?
#
# <details><summary>An answer</summary>
#
# $\rho$ halves, to 0.376: the line falls more steeply. Its height $c$ stays, since the eigenvectors do. A pixel now
# hands on at most a tenth of itself, so that the image is lost below 5 units, not 2.5. That is after
# $\ln(1.54 \cdot 2^{149} / 5) / \ln(1 / 0.376) = 104.4$ convolutions, so at index 105, as the loop confirms.
#
# </details>
#
# **2.** An image is still there after a million rounds. Does it hold anything of what we put in?
#
# <details><summary>An answer</summary>
#
# That it is not zero says nothing. With closed edges ones and noise end in the same 15 units: the roundings hold the
# image up, and all of the input is gone. Put in two images and see whether what comes out differs.
#
# </details>
#
# **3.** When do activations and gradients die at the same pace?
#
# <details><summary>An answer</summary>
#
# When all that a layer does is to multiply, always by the same matrix: forwards by $A$, backwards by $A^\top$, and the
# two have the same eigenvalues. Here they are even the same matrix. Where a layer is not linear its slope is another
# number than what it makes of the signal, and the two part: lesson 2 shows how far.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# The original goes on: *"To solve this issue we could use skip connection and add in numerical stability (
# softmax ) using resnet method."* It does so, and after a thousand iterations the image is alive. Does the
# skip do that? And is what stays alive worth having?
#
# ## References
#
# - IEEE Standard for Floating-Point Arithmetic, IEEE 754-2019.
#   [doi:10.1109/IEEESTD.2019.8766229](https://doi.org/10.1109/IEEESTD.2019.8766229)
# - GitHub user vadhri, *skip_connections.ipynb*, repository `vadhri/ai-notebook`, folder `images`, read at commit
#   `09ed812a5456f3a5f02f6cd311b67045ac10cef3`, which names no licence: the loop and the sentences quoted in
#   lessons 1 and 2. [github.com/vadhri/ai-notebook](https://github.com/vadhri/ai-notebook)
# - D. Goldberg, *What every computer scientist should know about floating-point arithmetic*, ACM Computing
#   Surveys 23 (1991). [doi:10.1145/103162.103163](https://doi.org/10.1145/103162.103163)
# - G. Strang, *The discrete cosine transform*, SIAM Review 41 (1999): sines and cosines as eigenvectors of
#   such matrices. [doi:10.1137/S0036144598336745](https://doi.org/10.1137/S0036144598336745)
# - S. Hochreiter, *The vanishing gradient problem during learning recurrent neural nets and problem
#   solutions* (1998). [doi:10.1142/S0218488598000094](https://doi.org/10.1142/S0218488598000094)
# - P. Micikevicius et al., *Mixed precision training* (2018): loss scaling.
#   [arXiv:1710.03740](https://arxiv.org/abs/1710.03740)
