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
# # 6 · The shortcut layer: forward and backward by hand
#
# {{badge}}
#
# Lesson 5 ended with shapes that disagree. A branch that halves the image needs a shortcut that does so too,
# and a projection pays for that with weights. Can a shortcut join maps of *different* size and depth without
# any weights? What does it compute, forward and backward? And how do we know that a backward pass written by
# hand is right, without trusting whoever wrote it?
#
# Our source is the documentation of such a layer in a NumPy library. It is a good idea with a bad
# implementation. We build the idea, and meet two tests, autograd and the *adjoint test*, that would have caught
# most of its faults. The rest shows when we look at what a layer leaves behind.
#
# > **Source.** *The document*: the page "Shortcut Layer" of NumPyNet, a library for teaching by N. Curti and
# > M. Ceccarelli ([repository](https://github.com/Nico-Curti/NumPyNet), MIT licence). *The published code*: the
# > layer itself, [`shortcut_layer.py`](https://github.com/Nico-Curti/NumPyNet/blob/777db4f1f625d9ba61c944fee5b6073ea7e68f1a/NumPyNet/layers/shortcut_layer.py),
# > read at commit 777db4f of February 2024. ([All sources](../../docs/references.md))
# >
# > **Five words.** *Stride*: how many pixels a slice moves on at each step. *Transpose*: the matrix with rows
# > and columns exchanged. *Cotangent*: the gradient that arrives from above, of the shape of an output.
# > *Adjoint test*: a test that backward is the transpose of forward. *Accumulate*: add to what is there.
# >
# > **Symbols that hold here.** $x_1, x_2$ the inputs, $y$ the output, $\alpha, \beta$ their weights, $S$ what
# > makes $x_2$ fit, $v$ the cotangent of $y$, $\varphi$ the activation; in section 8, $L$ layers, width $N$ and
# > $g = N\,\mathrm{Var}(W)$, all as in lesson 4.
#
# **Objectives.** After this lesson you can
#
# - write a layer with two inputs in NumPy, forward and backward, for equal and unequal shapes;
# - derive a backward pass as the *transpose* of a linear map, and a slope from the output alone;
# - test any hand-written gradient by autograd and by the adjoint test, and say what each of them cannot see;
# - build ResNet's parameter-free shortcut, option A;
# - predict what weights other than 1 on skip and branch do over depth.
#
# **Prerequisites.** Lessons 4 and 5; slices with a step in NumPy.
#
# **Time:** about {{minutes}} minutes without the parts marked *optional*; section 4 ends at a good place for a
# break. {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# Symbols are listed on the [notation page](../../docs/notation.md), terms in the
# [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math

import numpy as np
import torch

from helpers import drawings, figures, panels, shortcut
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import shortcut_layer as check
from helpers.statistics import interval

torch.set_num_threads(1)

# %% parameters=true
SEED = 0  # every random draw of this lesson derives from it
NETWORKS = 10  # random networks per setting in section 8
WIDTH = 64  # their width
DEPTH = 50  # their layers

# %% [markdown]
# ## 1 · Which positions meet?
#
# The layer takes two batches of images in NHWC layout - batch, height, width, channels - and returns
#
# $$ y = \varphi\big(\alpha\, x_1 + \beta\, S(x_2)\big), $$
#
# an array of the shape of $x_1$. In a network, $x_1 = F(x)$ comes from the layer before and $x_2 = x$ from
# further back. $S$ makes $x_2$ fit:
#
# - if $x_2$ is *larger*, $S$ keeps every second (third, ...) row and column: it **subsamples**;
# - if $x_2$ is *smaller*, $S$ spreads it, with zeros between: it **inserts zeros**;
# - channels are matched one to one from the first; what only one of the two has stays alone.
#
# So a few positions of $x_1$ meet a few positions of $x_2$: `x1[:, ::stride1, ::stride1, :channels]` meets
# `x2[:, ::stride2, ::stride2, :channels]`. One of the two strides is always 1.
# Here they are 3 and 1, and two channels are common to both:

# %%
figures.show(*drawings.meeting((6, 6, 2), (2, 2, 3)))

# %% [markdown]
# (A *layout* says in which order the axes come. NumPy's `::2` is a slice with a step: every second entry.)
#
# **Predict.** `x1` is (5, 4, 4, 3) and `x2` is (5, 2, 2, 3). How many of the 48 numbers of each image of `x1`
# meet one of `x2`?

# %% predict="meet"
predict("meet", ...)

# %% [markdown]
# ### Exercise 1 · The overlap (4 points, medium, about 14 minutes)
#
# Write `overlap(shape1, shape2)`. Shapes fit if the batches are equal and one image is a whole multiple of
# the other, *in both directions by the same ratio*. Anything else is a `ValueError` whose message names both
# shapes: a layer that guesses is worse than one that refuses.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Draw two images one above the other, 4 × 4 and 2 × 2, and mark which rows of the first meet a row of the second. How far
# apart are they in the first image, and in the second? Then do the same with the images exchanged.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Along each axis one length divided by the other gives the ratio, if it is whole. The larger image is visited with this
# ratio as its stride, the smaller one with stride 1; channels that only one of the two has stay alone. Refuse first, then
# compute: the batches, "divides without a remainder", and "the same ratio in height and width" are three questions. Two
# ratios can be compared without dividing.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# (batch1, height1, width1, channels1), (batch2, height2, width2, channels2) = shape1, shape2
# whole = ...  # is the larger height a multiple of the smaller one?
# same = ...  # is the ratio of the widths that of the heights?
# if batch1 != batch2 or not whole or not same:
#     raise ValueError(f"... {shape1} ... {shape2} ...")
# return ..., ..., ...  # a stride is never 0
# ```
#
# </details>


# %% answer="overlap"
def overlap(shape1: tuple, shape2: tuple) -> tuple[int, int, int]:
    """Say which positions of two NHWC shapes meet.

    Args:
        shape1, shape2: (batch, height, width, channels), all at least 1.

    Returns:
        (stride1, stride2, channels): the strides, in pixels, at which x1 and x2 are visited, and the number
        of channels that both have.

    Raises:
        ValueError: if the batches differ, or the images do not divide each other by one whole ratio.
    """
    ### BEGIN SOLUTION
    (batch1, height1, width1, channels1), (batch2, height2, width2, channels2) = shape1, shape2
    whole = max(height1, height2) % min(height1, height2) == 0
    if batch1 != batch2 or height1 * width2 != height2 * width1 or not whole:
        raise ValueError(
            f"shapes {tuple(shape1)} and {tuple(shape2)} do not fit: batches must be equal, and height and "
            "width of one a whole multiple of the other's, by the same ratio"
        )
    return max(height1 // height2, 1), max(height2 // height1, 1), min(channels1, channels2)
    ### END SOLUTION


# %% check="overlap" points=4
check.overlap(overlap)

# %% claim="positions_that_meet"
stride1, stride2, channels = overlap((5, 4, 4, 3), (5, 2, 2, 3))
met = np.zeros((4, 4, 3), dtype=bool)
met[::stride1, ::stride1, :channels] = True
print(f"{met.sum()} of {met.size} numbers of x1 meet one of x2, at stride {stride1}")
assert met.sum() == 2 * 2 * 3
reveal("meet", met.sum())

# %% [markdown]
# ## 2 · Forward
#
# The document's own example is an image of ones, 4 × 4, joined by a 2 × 2 image of ones with
# $\alpha = \beta = 1$.
#
# **Predict.** Write down the first two rows of the output. What do the four numbers of the second row add up to?

# %% predict="second_row"
predict("second_row", ...)

# %% [markdown]
# Two promises of a good layer are easy to break in NumPy. It **never changes what it is given**
# (`z = x1; z += ...` would: `z` is then only another name for `x1`), and it **keeps the precision**: float32 in, float32 out.
#
# ### Exercise 2 · Forward (5 points, medium, about 18 minutes)
#
# Write `forward`. $\alpha$ belongs to the *whole* of $x_1$, on and off the overlap.
# `shortcut.activate(z, name)` applies an activation, and `shortcut.add_scaled(target, source, scale)` is
# `target += scale * source` without a temporary array; it takes views, and you may do without it. Keep on
# `self` what a backward pass will need, and work it out anew in every call: the next batch may have another
# shape.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Which positions of $x_1$ get something added, and which are only multiplied by $\alpha$? Write the 4 × 4 example on
# paper. Then ask of every line: does it make a new array, or does it write into one that somebody else owns?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Begin with a new array that holds $\alpha\, x_1$ everywhere. Two slices, made from what `overlap` gives, say where it meets
# $x_2$; one in-place addition on that view does the rest, and the activation comes last, over everything. NumPy keeps
# float32 as long as all you multiply by is a Python number.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# stride1, stride2, channels = overlap(x1.shape, x2.shape)
# self.here = np.s_[:, ::stride1, ::stride1, :channels]
# self.there = ...  # the same for x2
# z = ...  # a new array
# z[self.here] += ...
# self.output = ...
# return self.output
# ```
#
# </details>


# %% answer="ShortcutForward"
class ShortcutForward:
    """y = act(alpha x1 + beta S(x2)) for two NHWC arrays, S subsampling or inserting zeros.

    Args:
        alpha: weight of the first input.
        beta: weight of the second input.
        activation: "linear", "relu", "tanh" or "logistic".
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, activation: str = "linear"):
        self.alpha, self.beta, self.activation = float(alpha), float(beta), activation

    def forward(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Join the two inputs; neither is changed.

        Args:
            x1: (batch, height1, width1, channels1), float32 or float64.
            x2: (batch, height2, width2, channels2), of the same dtype.

        Returns:
            The output, a new array of x1's shape and dtype.

        Raises:
            ValueError: if the shapes do not fit (`overlap`).
        """
        ### BEGIN SOLUTION
        stride1, stride2, channels = overlap(x1.shape, x2.shape)
        self.here = np.s_[:, ::stride1, ::stride1, :channels]
        self.there = np.s_[:, ::stride2, ::stride2, :channels]
        z = self.alpha * x1
        shortcut.add_scaled(z[self.here], x2[self.there], self.beta)
        self.output = shortcut.activate(z, self.activation)
        return self.output
        ### END SOLUTION


# %% check="ShortcutForward" points=5
check.ShortcutForward(ShortcutForward)

# %% claim="the_documents_example"
example = ShortcutForward().forward(np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1)))[0, :, :, 0]
print(example.astype(int))
assert example.tolist() == [[2, 1, 2, 1], [1, 1, 1, 1], [2, 1, 2, 1], [1, 1, 1, 1]]
reveal("second_row", example[1].sum())

# %% [markdown]
# That is the matrix that the document prints: here, at last, its code and its example agree.
#
# ## 3 · Backward is the transpose
#
# Let $z = \alpha x_1 + \beta S x_2$, and let the cotangent $v = \partial L / \partial y$ come from the layer
# above. The chain rule has two steps. First through the activation,
#
# $$ \delta = v \odot \varphi'(z), $$
#
# then through two linear maps. $S$ is linear, so it is a matrix, and the gradient goes through its
# *transpose*:
#
# $$ \frac{\partial L}{\partial x_1} = \alpha\, \delta, \qquad \frac{\partial L}{\partial x_2} = \beta\, S^\top \delta . $$
#
# (Why the transpose? The number $i$ of $Sx$ is $\sum_j S_{ij} x_j$, so $x_j$ counts $S_{ij}$ times in it; its
# gradient collects $\sum_i S_{ij} \delta_i$, which is the number $j$ of $S^\top \delta$.)
#
# **Predict.** If $S$ inserts zeros, what does $S^\top$ do to a large image: subsample it, average blocks of pixels,
# or add up blocks of pixels?

# %% predict="transpose"
predict("transpose", ..., ["subsamples", "averages", "adds up"])

# %% [markdown]
# We let $S$ act on every unit vector of a 2 × 2 image, which gives the columns of its matrix.

# %% claim="transpose_subsamples"
S = np.zeros((16, 4))
for pixel in range(4):
    image = np.zeros((4, 4))
    image[::2, ::2].flat[pixel] = 1.0  # a one of the small image, spread into the large one
    S[:, pixel] = image.ravel()

large = np.arange(16.0).reshape(4, 4)
picked = (S.T @ large.ravel()).reshape(2, 2)
assert np.array_equal(picked, large[::2, ::2])  # the transpose subsamples
assert np.array_equal(S.T @ S, np.eye(4))
averages = large.reshape(2, 2, 2, 2).mean(axis=(1, 3))
done = {"subsamples": large[::2, ::2], "averages": averages, "adds up": 4 * averages}
reveal("transpose", next(word for word, image in done.items() if np.array_equal(image, picked)))

# %%
small = np.arange(1.0, 5.0).reshape(2, 2)
spread = (S @ small.ravel()).reshape(4, 4)
figures.show(
    shortcut.draw_transpose(small, spread, large, picked),
    alt="Four images with their numbers. Zero insertion spreads "
    f"{small.astype(int).tolist()} over every second row and column of a 4 by 4 image, zeros between. "
    "Its transpose takes the numbers 0 to 15 of a 4 by 4 image and keeps those places: "
    f"{picked.astype(int).tolist()}.",
)

# %% [markdown]
# So inserting zeros and subsampling are one matrix, read in two directions: if you have written one slice, you
# have written both.
#
# The slopes need no $z$: for our four activations they follow from the output alone, $1$, $[y > 0]$,
# $1 - y^2$ and $y(1 - y)$. `shortcut.slope(y, name)` gives them as a *new* array. That matters: the published
# code writes the ReLU's slopes into the output, and whoever reads the output next gets zeros and ones.
#
# And a backward pass **accumulates**. An $x$ that feeds two layers gets two shares of gradient, so each layer
# *adds* its share to an array that starts from zeros.
#
# ### Exercise 3 · Backward (6 points, hard, about 20 minutes)
#
# Write `backward(gradient, gradient1, gradient2)`, which adds $\partial L/\partial x_1$ to `gradient1` and
# $\partial L/\partial x_2$ to `gradient2`, in place, and returns nothing. `gradient` and the layer's output
# stay as they are.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Two arrays are filled, in two lines. Which numbers of `gradient` reach each position of $x_1$, and which reach those of
# $x_2$ that took part? Multiplied by what?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# First the activation: multiply the cotangent by the slope, in a new array. Then the two transposes. $x_1$ was multiplied by
# $\alpha$ everywhere, so its gradient is too. $x_2$ was read at the one slice and added at the other: its gradient is read
# where the sum was, and added where $x_2$ was read. Both slices are still on `self`.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# delta = ...  # the slope belongs to the output; `gradient` stays as it is
# gradient1 += ...
# gradient2[...] += ...  # the view of x2's shape, the view of x1's shape: which is which?
# ```
#
# </details>


# %% answer="Shortcut"
class Shortcut(ShortcutForward):
    """The shortcut layer with its backward pass."""

    def backward(self, gradient: np.ndarray, gradient1: np.ndarray, gradient2: np.ndarray) -> None:
        """Add the gradients with respect to both inputs of the last `forward` to two arrays, in place.

        Args:
            gradient: dL/dy, of the output's shape; unchanged.
            gradient1: collects dL/dx1, of x1's shape.
            gradient2: collects dL/dx2, of x2's shape.

        alpha and beta may be any numbers, 0 included.
        """
        ### BEGIN SOLUTION
        delta = gradient
        if self.activation != "linear":
            delta = gradient * shortcut.slope(self.output, self.activation)
        shortcut.add_scaled(gradient1, delta, self.alpha)
        shortcut.add_scaled(gradient2[self.there], delta[self.here], self.beta)
        ### END SOLUTION


# %% check="Shortcut" points=6
check.Shortcut(Shortcut)

# %% [markdown]
# ## 4 · Two tests that trust nobody
#
# **Autograd.** Torch knows the same layer as a sum of 1 × 1 convolutions - with a stride they subsample,
# transposed they insert zeros - and differentiates it by itself. The largest difference over output and both
# gradients, for equal and unequal shapes and all four activations:

# %%
CASES = {
    "equal shapes": ((5, 10, 10, 3), (5, 10, 10, 3)),
    "x2 smaller": ((2, 8, 4, 6), (2, 4, 2, 3)),
    "x2 larger": ((2, 3, 5, 2), (2, 9, 15, 7)),
    "other channels": ((3, 4, 4, 2), (3, 4, 4, 5)),
}

# %% claim="agrees_with_autograd"
gaps = {
    name: max(
        shortcut.autograd_gap(Shortcut(0.75, 0.5, activation), *shapes, seed=SEED)
        for activation in shortcut.ACTIVATIONS
    )
    for name, shapes in CASES.items()
}
for name, gap in gaps.items():
    print(f"{name:15} {'rounding only' if gap < 1e-12 else f'{gap:.0e}'}")
assert max(gaps.values()) < 1e-12

# %% [markdown]
# **The adjoint test** needs no second library. A matrix and its transpose satisfy
# $\langle A x, v\rangle = \langle x, A^\top v \rangle$ for *all* $x$ and $v$. So for a linear layer, random
# numbers tell whether backward is the transpose of forward:
#
# $$ \text{gap} = \frac{\big|\langle y, v\rangle - \langle x_1, v_1\rangle - \langle x_2, v_2\rangle\big|}{\lVert y\rVert\,\lVert v\rVert}, \qquad y = \text{forward}(x_1, x_2), \quad (v_1, v_2) \text{ from backward}(v). $$
#
# It is a rounding error if backward is right, and far from it if an index is off by one anywhere.
#
# ### Exercise 4 · The adjoint test (4 points, medium, about 12 minutes)
#
# Write `adjoint_gap(layer, x1, x2, gradient)` for any layer with `forward` and `backward` as above. The
# document starts its gradients from random noise; think about what `backward` would do with that.
#
# <details><summary>Hint 1: a nudge</summary>
#
# The formula is on the left of `return`; all that is missing are $y$, $v_1$ and $v_2$. The layer gives the first, and writes
# the other two into arrays that you have to hand over. What should these hold before?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Make two arrays of zeros in the shapes of $x_1$ and $x_2$, go forward, then backward. An inner product of two arrays of any
# shape is the sum of the products of their entries: `np.vdot` gives it. The Euclidean norm over all entries is
# `np.linalg.norm`.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# gradient1, gradient2 = ...
# y = ...
# layer.backward(gradient, gradient1, gradient2)
# difference = np.vdot(y, gradient) - ... - ...
# return ...  # without its sign, relative to the two norms
# ```
#
# </details>


# %% answer="adjoint_gap"
def adjoint_gap(layer, x1: np.ndarray, x2: np.ndarray, gradient: np.ndarray) -> float:
    """Measure how far the backward pass of a linear layer is from the transpose of its forward pass.

    Args:
        layer: has forward(x1, x2) -> y and backward(gradient, gradient1, gradient2), which adds in place.
        x1, x2: inputs that fit the layer.
        gradient: dL/dy, of the output's shape.

    Returns:
        |<y, gradient> - <x1, gradient1> - <x2, gradient2>| / (|y| |gradient|), with Euclidean norms; no unit.
    """
    ### BEGIN SOLUTION
    gradient1, gradient2 = np.zeros_like(x1), np.zeros_like(x2)
    y = layer.forward(x1, x2)
    layer.backward(gradient, gradient1, gradient2)
    difference = np.vdot(y, gradient) - np.vdot(x1, gradient1) - np.vdot(x2, gradient2)
    return float(abs(difference) / (np.linalg.norm(y) * np.linalg.norm(gradient)))
    ### END SOLUTION


# %% check="adjoint_gap" points=4
check.adjoint_gap(adjoint_gap)

# %% claim="backward_is_the_transpose"
rng = np.random.default_rng(SEED + 64)
adjoint_gaps = {}
for name, (shape1, shape2) in CASES.items():
    arrays = [rng.normal(size=shape) for shape in (shape1, shape2, shape1)]
    adjoint_gaps[name] = adjoint_gap(Shortcut(0.75, 0.5), *arrays)
    print(f"{name:15} {'rounding only' if adjoint_gaps[name] < 1e-12 else f'{adjoint_gaps[name]:.0e}'}")
assert max(adjoint_gaps.values()) < 1e-12

# %% [markdown] question="blind"
# ### Question · What the adjoint test cannot see (2 points, about 7 minutes)
#
# A layer passes the adjoint test on a thousand random inputs. Name two things that may still be wrong with
# it, and say for each which other test would find it.
#
# === BEGIN MARK SCHEME ===
# - 0: "Nothing, the test is a proof", or only "rounding errors".
# - 1: One of these with its test, or two without.
# - 2: Two of: the forward pass computes the wrong linear map, and backward is its exact transpose (a worked
#   example or an independent implementation finds it); the activation's slope, since the test is for linear
#   layers (autograd, or finite differences); inputs or output overwritten (compare arrays before and after);
#   precision lost to another dtype (look at the dtype); shapes or states not tried, such as a second batch of
#   another shape (try them).
#
# Misconceptions: "passing means that the layer is right" (it means that backward fits forward); "random
# inputs may miss a wrong index" (with continuous random numbers they miss one with probability zero, on the
# path that was run).
# === END MARK SCHEME ===

# %% [markdown] response="blind" points=2
# ### BEGIN SOLUTION
# The test compares backward with forward, not forward with what we wanted. If forward repeats pixels where it
# should insert zeros, and backward sums them up, the gap is zero: only a worked example such as 2 1 2 1, or a
# second implementation, tells. And it is a test of linear layers: a wrong slope of the tanh does not show
# with a linear activation. Autograd or finite differences find it. (Nor does it see an input that was
# overwritten, or a state left by an earlier shape.)
# ### END SOLUTION

# %% [markdown]
# ## 5 · The published layer: three faults that teach
#
# Now we turn the tests on the source. Its layer refuses any two images of different size by accident: its check
# of the shapes ends in a NameError. (In fairness: the docstring of the code says *"Now working only with same
# shapes input"*. It is the page that says *"it can actually deal with different sized inputs"*.)
# `shortcut.PublishedShortcut` leaves that check out and retells the rest, so that we can see how the others
# would have behaved. Three of its faults are worth a prediction each.
#
# **First: a weight that is missing here and not there.** Forward starts from `self.output = inpt.copy()` and
# multiplies only the overlap by $\alpha$; backward multiplies everything by $\alpha$. (We also repair, for the
# moment, an exchange of index sets that would stop backward: `exchanged=False`.)
#
# **Predict.** Does the adjoint test find it with $\alpha = 0.5$? And with $\alpha = 1$, the default?

# %% predict="finds"
predict("finds", ..., ["at 0.5 only", "at 1 only", "at both", "at neither"])

# %% claim="alpha_off_the_overlap" effect="found_at_half"
published = shortcut.PublishedShortcut
x1, g = rng.normal(size=(2, 1, 4, 4, 1))
x2 = rng.normal(size=(1, 2, 2, 1))
found = {}
for alpha in (0.5, 1.0):
    off = published(alpha).forward(np.ones_like(x1), np.ones_like(x2))[0, 1, 1, 0]
    found[alpha] = adjoint_gap(published(alpha, exchanged=False), x1, x2, g)
    told = "rounding only" if found[alpha] < 1e-12 else f"{found[alpha]:.1g}"
    print(f"alpha = {alpha}: value off the overlap {off}, adjoint gap {told}")
found_at_half = found[0.5]
assert found[1.0] < 1e-12 and found_at_half > 1e-8
assert published(0.5).forward(np.ones_like(x1), np.ones_like(x2))[0, 1, 1, 0] == 1.0  # 0.5 is right
seen = [f"at {alpha:g} only" for alpha, gap in found.items() if gap > 1e-8]
reveal("finds", seen[0] if len(seen) == 1 else "at both" if seen else "at neither")

# %% [markdown]
# At its default settings the fault is invisible: a test needs settings at which no term drops out. That is why
# ours use $\alpha$ and $\beta$ other than 1.
#
# **Second: a backward pass that writes into the output.** It puts the activation's slopes there, then multiplies the
# cotangent by them.
#
# **Predict.** With a ReLU, and one pass forward and one backward: what is wrong afterwards, the gradients that come
# out, the output that is left, or both?

# %% predict="wrong"
predict("wrong", ..., ["gradients", "output", "both"])

# %% claim="output_overwritten"
relu = published(activation="relu")
x1, x2, g = rng.normal(size=(3, 1, 4, 4, 1))
gradient1, gradient2 = np.zeros((2, *x1.shape))
before = relu.forward(x1, x2).copy()
relu.backward(g, gradient1, gradient2)
right = np.array_equal(gradient1, g * (before > 0)) and np.array_equal(gradient2, gradient1)
print("both gradients are right:", right)
print("output before and after: ", before[0, 0, :3, 0].round(2), relu.output[0, 0, :3, 0])
assert right and not np.array_equal(before, relu.output) and set(np.unique(relu.output)) <= {0.0, 1.0}
kept = np.array_equal(before, relu.output)
reveal("wrong", "output" if right else "gradients" if kept else "both")

# %% [markdown]
# The gradients are right, and the adjoint test is for linear layers, where there is no slope to write. What is
# ruined is the output, for the next one who reads it. Only a comparison of the arrays before and after tells.
#
# **Third: indices that stay.** The published layer works out its indices once.
#
# **Predict.** A layer has seen one batch in which $x_2$ was smaller. Now comes a batch in which both inputs have one
# shape. What does the adjoint test say: all is well, a large gap, or does an error stop it?

# %% predict="stale"
predict("stale", ..., ["all is well", "a large gap", "an error"])

# %% claim="stale_indices" effect="stale_gap"
stale = published()
stale.forward(np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1)))
new_gap, stale_gap = adjoint_gap(published(), x1, x2, g), adjoint_gap(stale, x1, x2, g)
print("adjoint gap of a new layer:    ", "rounding only" if new_gap < 1e-12 else f"{new_gap:.2f}")
print(f"adjoint gap after another shape: {stale_gap:.1g}")
assert new_gap < 1e-12 and stale_gap > 1e-8
reveal("stale", "a large gap" if stale_gap > 1e-8 else "all is well")

# %% [markdown]
# From then on the gradient of $x_2$ is silently wrong, and a test that makes a new layer for each case never
# sees it. This is why we asked you to work everything out anew in every call.
#
# One more is in the example of the page: it fills `delta` with random numbers before calling `backward`, which
# *adds*. Then the noise is part of the answer:

# %% claim="noise_stays"
noise, clean = rng.uniform(size=(1, 4, 4, 1)), np.zeros((1, 4, 4, 1))
noisy = noise.copy()
for start in (noisy, clean):
    layer = Shortcut(0.75, 0.5)
    layer.forward(x1, x2)
    layer.backward(g, start, np.zeros_like(x2))
print("the error is the noise itself:", np.allclose(noisy - clean, noise))
assert np.allclose(noisy - clean, noise)

# %% [markdown]
# ### The rest in a table (optional)
#
# Left: what the page or the code says, or is asked; right: what Python makes of it.

# %% claim="the_rest"
rest = shortcut.published_slips()
for asked, outcome in rest.items():
    print(f"{asked:52} {outcome}")
slips, deeds = list(rest.values())[:6], list(rest.values())[6:]
assert slips == ["False", "AttributeError", "NameError", "AttributeError", "TypeError", "NameError"]
assert deeds == ["IndexError", "[0, 2]", "(1, 4, 4, 8)", "IndexError", "float64", "0"]

# %% [markdown]
# | asked | why it is wrong |
# |---|---|
# | `(...) is (None, ...)` | A tuple just made is never the same object as another, so no indices would ever be made. It mixes up the names, too: `ix`, `iy` and `kx` belong to two different inputs. |
# | `self.outpu`, `[:, ix, ...]` | A letter is missing; then, three times, `self.` |
# | `input.shape` | `input` is Python's own function; the example calls its images `input1` and `input2`. |
# | `backward(delta, copy=False)` | One gradient is missing, and the page's `backward` takes no `copy`. |
# | `layer.__class__` | Stands in the check of the shapes, where no `layer` exists: it is why no two images of different size run at all. (Maps that differ in their channels alone get further and raise a ValueError.) |
# | 8 × 4 with 4 × 2 | An array is right: the second side is ranged over the first, 4 instead of 2. |
# | channels reached | 0 and 1 is right: the spatial stride is used on channels. Backward is the transpose of that wrong forward, so the adjoint test is content; autograd is not. |
# | output shape | (1, 4, 4, 3) is right, $x_1$'s: the output's shape is found by comparing tuples. |
# | backward, unequal | The two index sets are exchanged. |
# | precision | float32 is right. |
# | arrays to learn | A comment of the example promises *updates for weights and bias*; the layer has none. |

# %% [markdown]
# ## 6 · Option A: a shortcut without parameters
#
# He et al. offer two shortcuts for blocks that halve the image and double the channels. Option B is lesson
# 5's projection. **Option A** keeps every second pixel and fills the new channels with zeros. Where the stride
# divides height and width, that is our layer with $x_1 = 0$: subsample, match the channels from the first, leave
# the others alone. Option A goes further, since it only has to take every second pixel: 5 × 7 becomes 3 × 4,
# which `overlap` would refuse.
#
# ### Exercise 5 · Option A (3 points, easy, about 8 minutes)
#
# Write `option_a(x, stride, channels)` in NumPy, with the new channels behind the old ones.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Two steps: some pixels go, some channels come. Which slice keeps every `stride`-th row and column?
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# A slice with a step rounds up by itself: `range(5)[::2]` has three entries. For the channels, `np.pad` takes a pair
# (before, behind) for each axis; or make zeros of the final shape, in $x$'s dtype, and write the pixels into a part of them.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# if channels < ...:
#     raise ValueError(...)
# kept = ...  # (batch, ceil(height / stride), ceil(width / stride), c)
# return np.pad(kept, [(0, 0), (0, 0), (0, 0), (..., ...)])
# ```
#
# </details>


# %% answer="option_a"
def option_a(x: np.ndarray, stride: int, channels: int) -> np.ndarray:
    """Subsample an image and fill it up with channels of zeros.

    Args:
        x: (batch, height, width, c), float32 or float64; unchanged.
        stride: at least 1, in pixels.
        channels: channels of the result, at least c.

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), channels), of x's dtype.

    Raises:
        ValueError: if there are fewer channels than x has.
    """
    ### BEGIN SOLUTION
    if channels < x.shape[3]:
        raise ValueError(f"channels is {channels}, but the image has {x.shape[3]} already: it can only grow")
    kept = x[:, ::stride, ::stride]
    return np.pad(kept, [(0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])])
    ### END SOLUTION


# %% check="option_a" points=3
check.option_a(option_a)

# %% claim="option_a_is_our_layer"
x = rng.normal(size=(2, 8, 8, 16))
same = np.array_equal(option_a(x, 2, 32), Shortcut().forward(np.zeros((2, 4, 4, 32)), x))
print("option A is our layer with zeros for x1:", same)
assert same
print("option A of a 5 × 7 image:", option_a(np.zeros((1, 5, 7, 1)), 2, 1).shape[1:3])

projection = torch.nn.Conv2d(16, 32, 1, stride=2, bias=False)
for name, weights in {"identity": 0, "option A": 0, "option B": projection.weight.numel()}.items():
    print(f"{name:8} {weights:4} extra parameters for 16 to 32 channels")
assert projection.weight.numel() == 16 * 32

# %% [markdown]
# "Without introducing extra parameters", the document says of all shortcuts. That holds for the identity and
# for option A. The projection, which He et al. use in their larger networks where shapes change, has
# $c_{in}\,c_{out}$ weights.
#
# ## 7 · How fast can it be? (optional)
#
# A layer that only adds is limited by memory, not by arithmetic. Count how often whole arrays must pass
# between memory and processor, for equal shapes and a linear activation:

# %% claim="passes_over_memory"
at_least = {"forward: read x1, x2, write y": 3, "backward: read v; read and write v1, v2": 5}
formula = {
    "alpha * x1, beta * x2: read and write each": 4,
    "their sum: read two, write one": 3,
    "alpha * v, beta * v: read and write each": 4,
    "v1 += ..., v2 += ...: read two, write one each": 6,
}
ours = {"alpha * x1: read and write": 2, "add_scaled, three times: read two, write one each": 9}
passes = {"at least": at_least, "our layer": ours, "plain formula": formula}
for name, steps in passes.items():
    print(f"{name:13} {sum(steps.values()):2} passes")
assert [sum(steps.values()) for steps in passes.values()] == [8, 11, 17]

# %% [markdown]
# `shortcut.add_scaled` saves the temporary arrays: it hands contiguous arrays to BLAS, the library of linear
# algebra under NumPy (its routine is called `axpy`), which reads two and writes one. That is how the layer of
# our solution comes to 11 passes; 8 would take two loops that NumPy does not have, one that reads $x_1$ and $x_2$
# together and one that reads $v$ once for both gradients. Timings differ from machine to machine, so they are no part of this notebook; `python tests/bench_shortcut.py`
# measures the solution's layer on yours, against the plain formula and the time that eight passes take.
#
# ## 8 · Weights other than one, over depth
#
# What are $\alpha$ and $\beta$ for? We stack $L$ shortcut layers, $x_{l+1} = \alpha F_l(x_l) + \beta x_l$, with
# linear branches $F_l(x) = W_l x$ of gain $g = N\,\mathrm{Var}(W)$ as in lesson 4. A gradient then goes
# through $\beta I + \alpha W_l^\top$ in every layer, and since $W_l$ is random and independent of what
# arrives,
#
# $$ \mathbb{E}\,\big\lVert(\beta I + \alpha W^\top)\,\delta\big\rVert^2 = (\beta^2 + g\,\alpha^2)\,\lVert\delta\rVert^2 . $$
#
# (For $W^\top \delta$ alone the factor is $g$, lesson 4; the mixed term $2 \alpha\beta\, \delta^\top W^\top \delta$ is
# as often positive as negative.) Below $g = 1$.
#
# **Predict.** We try four settings over 50 layers: $\alpha = \beta = 1$; $\alpha = 1/\sqrt{L}$ with $\beta = 1$;
# $\alpha = \beta = 1/\sqrt{2}$; $\alpha = \beta = 1/2$. In how many of them does the gradient keep its size to within
# a factor of ten?

# %% predict="keep"
predict("keep", ...)


# %%
def gradient_norms(alpha: float, beta: float, depth: int, seed: int) -> np.ndarray:
    """Norms of dL/dx from the last layer to the first, relative to the one at the end, with g = 1."""
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=WIDTH)
    norms = [np.linalg.norm(delta)]
    for _ in range(depth):
        W = rng.normal(size=(WIDTH, WIDTH)) / math.sqrt(WIDTH)
        delta = beta * delta + alpha * (W.T @ delta)
        norms.append(np.linalg.norm(delta))
    return np.array(norms) / norms[0]


# %%
settings = {
    "α = 1, β = 1": (1.0, 1.0),
    "α = 1/√L, β = 1": (1 / math.sqrt(DEPTH), 1.0),
    "α = β = 1/√2": (math.sqrt(0.5), math.sqrt(0.5)),
    "α = β = 1/2": (0.5, 0.5),
}
seeds = range(SEED, SEED + NETWORKS)
factors = {name: math.hypot(alpha, beta) for name, (alpha, beta) in settings.items()}
runs = {
    name: np.array([gradient_norms(*setting, DEPTH, seed) for seed in seeds])
    for name, setting in settings.items()
}

# %% claim="size_over_depth" effect="grown"
predicted = {name: DEPTH * math.log10(factor) for name, factor in factors.items()}
logs = {name: np.log10(norms[:, -1]) for name, norms in runs.items()}
print(f"gradient norm after {DEPTH} layers:")
for name in settings:
    print(f"{name:16} 10^({predicted[name]:5.2f}) predicted, 10^({interval(logs[name]):.1f}) measured")
    assert abs(logs[name].mean() - predicted[name]) < 0.5
grown = logs["α = 1, β = 1"]
assert grown.min() > 5 and logs["α = β = 1/2"].max() < -5
reveal("keep", sum(abs(log.mean()) < 1 for log in logs.values()))

# %% [markdown]
# The first explodes, the last vanishes, and the two in between keep the gradient's size. (The brackets hold the
# 95 % interval of the mean of the exponents over the networks. The means lie a little below the prediction, because that is one
# for the mean of the *squares*, in which the largest count most.)

# %%
kept = [np.median(norms[:, -1]) for name, norms in runs.items() if 0.95 < factors[name] < 1.05]
figures.show(
    shortcut.draw_depth(runs, factors, "The gradient keeps its size where β² + g α² is near 1"),
    alt=f"Gradient norm over {DEPTH} layers, {NETWORKS} networks with their range, for four settings of "
    "alpha and beta, each along its predicted line: "
    f"both 1 explodes to {np.median(runs['α = 1, β = 1'][:, -1]):.0e}, "
    f"both 1/2 vanishes to {np.median(runs['α = β = 1/2'][:, -1]):.0e}, "
    f"the other two stay between {min(kept):.1f} and {max(kept):.1f}.",
)


# %%
def over_depth(alpha="1", beta="1", depth=50, seed=0):
    weights = [shortcut.WEIGHTS[weight](depth) for weight in (alpha, beta)]
    seeds = range(SEED + 10 * seed, SEED + 10 * seed + 5)
    norms = np.array([gradient_norms(*weights, depth, one) for one in seeds])
    return shortcut.depth_shot(norms, *weights)


panel = panels.Panel(over_depth, shortcut.depth_stage, shortcut.DEPTH_CONTROLS)
panel.show(alpha="1/2", beta="1")

# %% live=true
panel.live()

# %% [markdown]
# **What it does not show.** Branches with ReLUs and normalisation behave differently, and a gradient of the
# right size need not be a *useful* one. Compare the two settings that keep the size: do they do it in the
# same way?

# %% [markdown] question="weights"
# ### Question · Weights other than one (3 points, about 10 minutes)
#
# Over $L$ layers, what do $\alpha$ and $\beta$ other than 1 do to the gradient? Consider the factor per
# layer, and the one path that goes through all $L$ skips and through no branch. Compare
# $\alpha = \beta = 1/\sqrt{2}$ with $\alpha = 1/\sqrt{L}$, $\beta = 1$.
#
# === BEGIN MARK SCHEME ===
# - 0: "Nothing, training adapts", or the factor without depth.
# - 1: Only "smaller than one vanishes, larger than one explodes".
# - 2: Exponential behaviour with the right factor, and $\beta^L$ for the skip path, without the comparison.
# - 3: The squared norm changes by $\beta^2 + g\alpha^2$ per layer, so it vanishes or explodes exponentially
#   unless that is 1 (or near it by $O(1/L)$). The path through all skips has weight $\beta^L$: for
#   $\beta = 1/\sqrt2$ it is $2^{-L/2}$, the identity path is lost though the size is kept (what arrives has
#   gone through about half of the branches); for $\beta = 1$ it is 1, and $\alpha = 1/\sqrt L$ keeps the
#   total below $e^{g/2}$.
#
# Misconceptions: "any skip preserves the gradient" (only $\beta = 1$ does); "alpha only scales the branch, so
# it does not matter for the gradient"; "keeping the variance is all that counts".
# === END MARK SCHEME ===

# %% [markdown] response="weights" points=3
# ### BEGIN SOLUTION
# Each layer multiplies the mean square of the gradient by $\beta^2 + g\alpha^2$, so that $L$ layers change its
# size by $(\beta^2 + g\alpha^2)^{L/2}$: with $g = 1$ and $\alpha = \beta = 1$ it grows as $2^{L/2}$, with $1/2$
# each it vanishes as fast.
# $\alpha = \beta = 1/\sqrt2$ keeps the size, but the identity path has the weight $\beta^L = 2^{-L/2}$:
# nearly all that arrives went through about $L/2$ random branches. With $\beta = 1$ the identity path keeps
# weight 1 at any depth, and $\alpha = 1/\sqrt L$ bounds the size of the whole:
# $(1 + g/L)^{L/2} < e^{g/2}$. So the skip should be weighted by one, and the branch be scaled down.
# ### END SOLUTION

# %% [markdown]
# ## What we have learnt
#
# - A backward pass is the transpose of the forward pass: inserting zeros and subsampling are one matrix, read
#   in two directions.
# - Autograd and the adjoint test trust nobody. The second compares backward with forward, and neither of them
#   with what we wanted.
# - A layer that guesses, overwrites or remembers goes wrong in silence. So: refuse, copy, start anew.
# - A shortcut needs no weights of its own, and $\beta = 1$: any other weight is a power over depth.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** Another library makes a small image fit by *repeating* each pixel over a block of 2 × 2. What must its backward
# pass do, and what would the adjoint test say to one that subsamples?
#
# <details><summary>An answer</summary>
#
# Add up the four gradients of each block. Every small pixel now counts four times in the output: its column of $S$ holds
# four ones, and so does its row of $S^\top$. Subsampling keeps one of the four gradients. It is the transpose of
# another forward pass, inserting zeros, so that the gap is far from a rounding error.
#
# </details>
#
# **2.** An $x$ feeds a convolution and a shortcut around it. In the backward pass of the convolution somebody wrote
# `gradient[:] = ...` into the shared array where `gradient[:] += ...` belongs. What is lost?
#
# <details><summary>An answer</summary>
#
# Whatever came before it. If the shortcut's share is written first it is overwritten, and what goes on is the gradient
# of a network without the shortcut, though the forward pass has one. If the convolution comes first nothing is lost:
# the fault hangs on the order. A test of the one layer, from zeros, cannot see it; one that starts from an array
# of ones, and asks whether they are still in it, can.
#
# </details>
#
# **3.** Somebody weighs the shortcut by $\beta = 0.9$, at $g = 1$ and 50 layers, and reports that the gradient has kept
# its size. Which $\alpha$ was it, and what is left of the path through all shortcuts?
#
# <details><summary>An answer</summary>
#
# $\beta^2 + \alpha^2 = 1$, so $\alpha = \sqrt{0.19} = 0.44$. The path through the shortcuts alone has the weight
# $0.9^{50} = 0.005$. The size is right, but only half a per cent of the gradient that set out arrives as it was; all else
# has gone through random branches.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# We can now build a skip of any shape, differentiate it by hand and weigh it. All of that was about gradients
# of *random* networks. The document opens with a different claim: that deep networks *degrade*, that more
# layers mean a higher error *on the training data*. Is that true, is it a matter of vanishing gradients, and
# do skips cure it?
#
# ## References
#
# - N. Curti, M. Ceccarelli, *NumPyNet* (2019), MIT licence, at commit 777db4f: the page
#   [Shortcut Layer](https://github.com/Nico-Curti/NumPyNet/blob/777db4f1f625d9ba61c944fee5b6073ea7e68f1a/docs/NumPyNet/layers/shortcut_layer.md)
#   and the code of the layer.
# - K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, CVPR (2016): options A
#   and B. [doi:10.1109/CVPR.2016.90](https://doi.org/10.1109/CVPR.2016.90),
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity Mappings in Deep Residual Networks*, ECCV (2016): scaled
#   shortcuts. [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning* (2016): transposed
#   convolution. [arXiv:1603.07285](https://arxiv.org/abs/1603.07285)
