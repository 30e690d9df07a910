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
# # 4 · Random deep networks
#
# {{badge}}
#
# In lesson 3 every layer of a chain multiplied the gradient by one number, $w (1 - t^2)$. A real network has
# hundreds of units per layer, and before training its weights are random. Its factors are random matrices. Is
# there still one number that says what a layer does to the gradient?
#
# There is, and it can be computed with pencil and paper. We build an instrument on it, the **gradient
# x-ray**: measured and predicted gradients, layer by layer, for any activation, gain, normalisation and
# skip. With it we test three sentences that everybody knows: that early layers get the small gradients, that
# good initialisation solves it, and that batch normalisation does.
#
# **Objectives.** After this lesson you can
#
# - predict the factor by which a random layer multiplies the gradient, and check the prediction by
#   measurement;
# - say what the gain, the activation and a skip do to that factor;
# - say in which networks the early layers get less, and in which all layers get equally little;
# - name a trouble that remains when all the norms are right.
#
# **Prerequisites.** Lesson 3; expectation and variance; `torch.autograd.grad` and `nn.Linear`.
#
# **Time:** about {{minutes}} minutes without the parts marked *optional*; section 8 ends at a good place for a
# break. {{cpu_seconds}} CPU seconds. **Points:** {{points}}.
#
# > **Source.** *Skip Connections*, a notebook of the workshop
# > [CUTe-EmbeddedAI/DLCV_Workshop](https://github.com/CUTe-EmbeddedAI/DLCV_Workshop) (2022, MIT licence), file
# > `220721_day7/11. Skip_connections.ipynb`, read at commit `f6284e7`; its opening also stands in
# > [an online course](https://www.educative.io/courses/intro-deep-learning/skip-connections). No author is named.
# > We call it *the chapter*. ([All sources](../../docs/references.md))
# >
# > **Five words.** *rms*, root mean square: the root of the mean of the squares, a typical size of an entry.
# > *Gain*: how large the random weights are, $g = N \operatorname{Var}(W)$. *Stream*: what travels from
# > layer to layer, $x_0, x_1, \dots$ *Branch*: what a skip leads past, here weights and activation.
# > *Mean field*: a theory for very wide layers, in which one number stands for a whole layer.
# >
# > **Symbols.** $N$ units per layer; $L$ is the number of layers, but in $\partial L / \partial x$ it is the loss; $g$
# > the gain; $q$ the mean square of an entry of $x$; $\varphi$ the activation, $\varphi'$ its slope; $h = W x$
# > what goes into it. All others are on the [notation page](../../docs/notation.md), terms in the
# > [glossary](../../docs/glossary.md).

# %% bootstrap=true

# %% setup="imports"
import math

import numpy as np
import torch

from helpers import convolution, figures, gradient_flow
from helpers.checks import give_up, predict, progress, reveal
from helpers.checks import gradient_flow as check

torch.set_num_threads(1)

# %% parameters=true
SEED = 0  # every random draw of this lesson follows from it
NETWORKS = 5  # random networks per measurement

# %% [markdown]
# ## 1 · A random layer
#
# Our networks keep one width $N$, and for now they have no biases. A layer is
#
# $$h = W x, \qquad x' = \varphi(h) \quad\text{(plain)}, \qquad x' = x + \varphi(h) \quad\text{(residual)},$$
#
# with independent weights of mean 0 and variance $g / N$. The **gain** $g$ is the number that an
# initialisation chooses: $g = 2$ is the proposal of He et al. (2015), $g = 1$ that of Glorot and Bengio
# (2010), also called Xavier's, for layers of equal width. And PyTorch's own default?
#
# **Predict.** If you write `nn.Linear(256, 256)` and change nothing, is $g$ about 2, 1, or less? Write a number.

# %% predict="gain"
predict("gain", ...)

# %% claim="torch_gain"
torch.manual_seed(SEED)
linear, conv = torch.nn.Linear(256, 256), torch.nn.Conv2d(64, 64, 3)
gains = {"nn.Linear": 256 * linear.weight.var().item(), "nn.Conv2d": 9 * 64 * conv.weight.var().item()}
for name, g in gains.items():
    print(f"{name}: g = {g:.2f}")
    assert abs(g - 1 / 3) < 0.01
reveal("gain", gains["nn.Linear"], factor=1.2)

# %% [markdown]
# A third. (The default draws uniformly from $\pm 1/\sqrt{N}$, which has variance $1/(3N)$.) The default draws
# biases too, from the same interval. They are so small that we leave them out until section 9 - remember
# that we did.
#
# ## 2 · What the chapter says
#
# The chapter that we met in lesson 3 continues: *"the gradient becomes very small as we approach the earlier
# layers in a deep network. In some cases, the gradient becomes zero, meaning that we do not update the early
# layers at all."* Let us look. We send a random gradient into the end of 20 plain ReLU layers and measure the
# rms of $\partial L / \partial x_l$ on its way to the front.
#
# **Predict.** With $g = 1/3$, by what number does one layer multiply it? (Half of the ReLUs are off.)

# %% predict="layer"
predict("layer", ...)

# %%
SEEDS = range(SEED, SEED + NETWORKS)


def factors(**settings):
    """The factor by which a layer multiplies the gradient: one number per network, from all its layers."""
    flows = [gradient_flow.xray(seed=seed, **settings).measured for seed in SEEDS]
    return np.array([flow.gradient[0] ** (1 / (len(flow.gradient) - 1)) for flow in flows])


default = factors(activation="relu", gain=1 / 3, depth=20)
print(f"a layer multiplies the gradient by {default.mean():.3f} (± {default.std(ddof=1):.3f})")
print(f"20 layers by {np.mean(default**20):.0e}")
reveal("layer", default.mean(), factor=1.1)

# %% [markdown]
# The five networks have nothing in common but their shape, and yet they agree to about a per cent. With
# hundreds of units, chance averages out; something simple must be behind this.
#
# ## 3 · One number per layer
#
# Here is what it is. In a wide random layer the rms of the gradient is multiplied by
#
# $$\text{factor} = \sqrt{g \; \mathbb{E}\!\left[\varphi'(h)^2\right]} \quad\text{(plain)}, \qquad \text{factor} = \sqrt{1 + g \; \mathbb{E}\!\left[\varphi'(h)^2\right]} \quad\text{(residual)}.$$
#
# $\mathbb{E}$ is the mean over $h$. Since $h = W x$ is a sum of many independent terms, $h$ is normally distributed,
# with mean 0 and variance $g q$, where $q$ is the mean square of an entry of $x$.
#
# ### Where that comes from (optional)
#
# On its way back through a plain layer the gradient $\delta = \partial L / \partial x'$ becomes
#
# $$\frac{\partial L}{\partial x_j} = \sum_i W_{ij}\, \varphi'(h_i)\, \delta_i ,$$
#
# a sum of $N$ terms. Square it and take the mean. Products of two *different* terms drop out, because the
# weights are independent and have mean 0. What is left are $N$ squares, each with mean
#
# $$\mathbb{E}[W_{ij}^2] \cdot \mathbb{E}[\varphi'(h_i)^2] \cdot \mathbb{E}[\delta_i^2] = \tfrac{g}{N} \cdot \mathbb{E}[\varphi'(h)^2] \cdot \mathbb{E}[\delta^2] .$$
#
# $N$ of these give the formula; the skip adds $\delta_j$ itself, hence the 1 (its products with the sum drop out,
# too). One step was not allowed: the mean of a product is the product of the means only for *independent* factors.
# But $h_i$ is made with the very weight $W_{ij}$ that stands beside it. We do as if it were not, and let measurements
# say whether that is forgivable.

# %% [markdown]
# ### One factor, worked out
#
# Before you do two, here is a third. Take $\varphi = \sin$, so $\varphi' = \cos$. The mean over a normal $h$ of
# variance $\sigma^2 = g q$ is an integral, $\int \cos^2(h)\, p(h)\, dh$ with the density
# $p(h) = e^{-h^2 / 2\sigma^2} / (\sigma \sqrt{2\pi})$. `scipy.integrate.quad` computes an integral from a
# function and two limits. For the cosine there is a formula to compare with: the mean is
# $(1 + e^{-2\sigma^2})/2$.

# %% claim="worked_factor"
from scipy.integrate import quad

g, q = 1.5, 0.4
sigma = math.sqrt(g * q)


def integrand(h):
    return math.cos(h) ** 2 * math.exp(-(h**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


mean_square_slope, error = quad(integrand, -8 * sigma, 8 * sigma)
print(f"E[cos(h)^2] = {mean_square_slope:.6f}, by formula {(1 + math.exp(-2 * sigma**2)) / 2:.6f}")
print(f"factor of a plain sine layer: {math.sqrt(g * mean_square_slope):.4f}")
assert math.isclose(mean_square_slope, (1 + math.exp(-2 * sigma**2)) / 2, rel_tol=1e-9)

# %% [markdown]
# ### Exercise 1 · The factor of a random layer (5 points, hard, about 30 minutes)
#
# Write `gain_factor(activation, g, q, skip)` for ReLU and tanh.
#
# For ReLU the expectation is a simple fraction. For tanh it is an integral,
# $\mathbb{E}[\varphi'(h)^2] = \int \operatorname{sech}^4(h)\, p(h)\, dh$ (the slope of tanh is
# $\operatorname{sech}^2 = 1 - \tanh^2$), and you have to do it numerically, to six digits, for $g q$ up to 200;
# a mean over random draws of $h$ has three or four.
# Look at the integrand for a large variance before you choose a method.
# (The theory of the x-ray, `gradient_flow.mean_field`, knows the answer; asking it does not count.)
#
# <details><summary>Hint 1: a nudge</summary>
#
# How often is a ReLU unit active, and what is its slope then? For tanh, draw $\operatorname{sech}^4(h)$ and the density
# $p(h)$ in one figure, once for a variance of 1 and once for a variance of 200.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Section 3 has the formula; only $\mathbb{E}[\varphi'(h)^2]$ is missing. For ReLU it is the probability of $h > 0$. For
# tanh it is a mean over a normal $h$ of variance $g q$, that is of standard deviation $\sqrt{g q}$. Any method will do
# whose places lie close together where the integrand lives, within a few units of 0, however wide the density is:
# `quad` as in the worked factor, or a fine, even grid whose weights add up to 1.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# sigma = ...  # standard deviation of h
# integral = ...  # over h: the squared slope of tanh times the density
# mean_square_slope = ... if activation == "relu" else integral
# return ...  # one root; does the skip add its share inside or outside of it?
# ```
#
# </details>


# %% answer="gain_factor"
def gain_factor(activation: str, g: float, q: float = 1.0, skip: bool = False) -> float:
    """Give the factor by which a wide random layer multiplies the root mean square of the gradient.

    Args:
        activation: "relu" or "tanh".
        g: the gain, N times the variance of a weight.
        q: mean square of an entry of the layer's input x.
        skip: False: x' = phi(W x); True: x' = x + phi(W x).

    Returns:
        The factor, a float.
    """
    ### BEGIN SOLUTION
    if activation == "relu":
        return math.sqrt(skip + g / 2)
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-(z**2) / 2)
    slope = 1 - np.tanh(math.sqrt(g * q) * z) ** 2
    return math.sqrt(skip + g * (density @ slope**2) / density.sum())
    ### END SOLUTION


# %% check="gain_factor" points=5
check.gain_factor(gain_factor)

# %% [markdown]
# ## 4 · The prediction against the measurement
#
# First ReLU, for which the signal's size $q$ does not matter. In the last row the skip is drawn around
# "activation, then weights" ($x' = x + W \varphi(x)$, the *pre-activation* order of He et al., 2016); the
# factor is the same.

# %% claim="relu_factors" effect="ratios"
table = {
    "plain, g = 1/3": (gain_factor("relu", 1 / 3), {"gain": 1 / 3}),
    "plain, g = 2": (gain_factor("relu", 2.0), {"gain": 2.0}),
    "residual, g = 2": (gain_factor("relu", 2.0, skip=True), {"gain": 2.0, "skip": "pre-activation"}),
}
ratios = []
for name, (predicted, settings) in table.items():
    measured = factors(activation="relu", depth=20, **settings)
    print(
        f"{name:16} predicted {predicted:.3f}   measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}"
    )
    ratios.append(measured.mean() / predicted)
assert [round(predicted, 3) for predicted, _ in table.values()] == [0.408, 1.0, 1.414]
assert max(abs(ratio - 1) for ratio in ratios) < 0.03

# %% [markdown]
# So the forbidden step is forgivable: prediction and measurement agree within three per cent. Now we can read
# off what an initialisation does. PyTorch's default multiplies the gradient by $\sqrt{1/6}$ per layer; He's
# $g = 2$ was *made* such that the factor is 1. A skip adds one inside the root: with $g = 2$ the gradient now
# *grows* by $\sqrt 2$ per layer. "Preserves the gradient", as the chapter has it, would need a small branch.
#
# For tanh the factor depends on $q$, and $q$ changes from layer to layer: the next one is
# $q' = \mathbb{E}[\varphi(h)^2]$ in a plain network and $q' = q + \mathbb{E}[\varphi(h)^2]$ with a skip, again with
# $h$ normally distributed, of variance $g q$. The instrument's `mean_field` iterates this rule; your factors, one per layer,
# are multiplied. (Where to start? We let the entries of the input be as large as those that a tanh layer with $g = 1$
# makes of an input of size 1; the next cell calls that `start`.)
#
# **Predict.** After 50 tanh layers with skips and $g = 2$: does the gradient grow like
# $\sqrt{1 + g}^{\,50} \approx 10^{12}$, or less? Write its growth as a number; a factor of ten is near enough.

# %% predict="growth"
predict("growth", ...)

# %%
start = float(gradient_flow.mean_field("tanh", gain=1.0, depth=1).signal[1])


def predict_tanh(g, skip, factor=gain_factor, depth=50):
    """Gradient at the input of a deep tanh network, by multiplying the factors of its layers."""
    q = gradient_flow.mean_field("tanh", g, depth, skip=skip, signal=start).signal[:-1] ** 2
    return math.prod(factor("tanh", g, q_l, skip != "none") for q_l in q)


def measure_tanh(g, skip, depth=50, width=128):
    """The same, measured: one number per network."""
    nets = [gradient_flow.RandomNet("tanh", g, depth, width, skip=skip, seed=seed) for seed in SEEDS]
    flows = [gradient_flow.measure(net, 32, start, seed) for seed, net in zip(SEEDS, nets, strict=True)]
    return np.array([flow.gradient[0] for flow in flows])


# %% claim="tanh_factors" effect="log_ratios"
tanh_cases = ((1 / 3, "none"), (1 / 3, "residual"), (2.0, "residual"))
tanh = {case: (predict_tanh(*case), measure_tanh(*case)) for case in tanh_cases}
for (g, skip), (predicted, measured) in tanh.items():
    print(
        f"{skip:8} g = {g:.2f}: predicted {predicted:7.3g}   "
        f"measured {measured.mean():7.3g} ± {measured.std(ddof=1):.1g}"
    )
log_ratios = [float(np.log(measured.mean() / predicted)) for predicted, measured in tanh.values()]
assert max(map(abs, log_ratios)) < math.log(1.35)
reveal("growth", tanh[2.0, "residual"][1].mean(), factor=10)

# %% [markdown]
# Over fifty layers measurement and prediction stay within a third of each other: less than one per cent per layer,
# for a theory of infinite width at 128 units. The plain network passes $10^{-12}$ of the gradient; with skips it is
# predicted to grow by a factor of 15 ($g = 1/3$) or 176 ($g = 2$), far less than $10^{12}$: the stream gets larger
# with every layer, so that the units saturate and the branches fade. Yang and Schoenholz (2017) showed that such
# growth is slower than any exponential.
#
# ### A warning (optional)
#
# *Quadrature* is the computing of an integral from the values at a few points, the *nodes*. Gauss-Hermite
# quadrature is the textbook method for the mean over a normal distribution: with 101 nodes it is exact for
# polynomials up to degree 201. We used it here first.


# %% claim="gauss_hermite"
def gauss_hermite_factor(activation, g, q, skip):
    """The same factor with 101 Gauss-Hermite nodes."""
    node, weight = np.polynomial.hermite_e.hermegauss(101)
    return math.sqrt(skip + g * (weight @ np.cosh(math.sqrt(g * q) * node) ** -4.0) / weight.sum())


wrong, right = predict_tanh(2.0, "residual", gauss_hermite_factor), tanh[2.0, "residual"][0]
print(f"Gauss-Hermite {wrong:.0f}, many points {right:.0f}, measured {tanh[2.0, 'residual'][1].mean():.0f}")
assert (round(wrong), round(right)) == (758, 176)

# %% [markdown]
# Off by a factor of four. In a large stream $\operatorname{sech}^4$ is a thin spike at 0, nothing like a
# polynomial, and the node that happens to lie on it counts far too much. The mistake is small in each layer,
# but there are fifty. Without the measurement beside it we would have believed the number.
#
# ## 5 · Where the prediction fails
#
# ReLU with a skip around it, $x' = x + \operatorname{relu}(W x)$, which is how the chapter builds its block.
# No entry of such a branch is negative, so with every layer all entries of the stream drift upwards together: along one
# direction, that of $(1, 1, \dots, 1)$. And along it weights, signal and gradient are *not* independent: of the units
# that are on, most have weights with a positive sum.
#
# **Predict.** The prediction is for very wide layers. We start from 15 layers of width 32. What brings the
# measurement nearer to it: four times the width, or a third of the layers?

# %% predict="helps"
predict("helps", ..., ["more width", "fewer layers"])


# %%
def excess(width, depth):
    """By what share the factor per layer is above the prediction: one number per network."""
    case = {"depth": depth, "width": width, "skip": "residual", "batch": 32}
    seeds = range(SEED, SEED + 4 * NETWORKS)
    flows = [gradient_flow.xray("relu", 2.0, seed=seed, **case).measured for seed in seeds]
    return np.array([f.gradient[0] ** (1 / depth) for f in flows]) / gain_factor("relu", 2.0, skip=True) - 1


# %% claim="finite_width" effect="deeper"
wider = {width: excess(width, 15) for width in (32, 128)}
for width, e in wider.items():
    print(f"15 layers, width {width:3}: {e.mean():.0%} above the prediction")
by_depth = {depth: excess(32, depth) for depth in (5, 15, 50)}
for depth, e in by_depth.items():
    print(f"width 32, {depth:2} layers: {e.mean():.0%}")
deeper = by_depth[50] - by_depth[5]
assert wider[32].mean() > wider[128].mean() + 0.02 and deeper.min() > 0.05
assert by_depth[5].mean() < by_depth[15].mean() < by_depth[50].mean()
reveal("helps", "fewer layers" if by_depth[5].mean() < wider[128].mean() else "more width")

# %% [markdown]
# At a given depth the excess shrinks as the network gets wider; at a given width it grows with depth. The
# direction of the mean is one of many, so it counts for little at first, but what it carries grows faster than
# the rest, and after enough layers it is all that is left. A wider network only puts that off. It is good to
# know where an instrument stops being exact. (We take this block apart in lesson 5.)
#
# ## 6 · Convolutions: an old friend (optional)
#
# A convolution is a linear map too. In a zero-padded 3 × 3 convolution with $C$ channels and
# $g = 9 C \operatorname{Var}(W)$, each pixel of the gradient collects from nine neighbours, on average with weight
# $\tfrac19$ each. Pixels outside the image give nothing. So the *mean square* of the gradient, as an image,
# goes through the operator of lesson 1 with a box of ninths as its kernel, and in the long run only its
# spectral radius counts:
#
# $$\text{factor}^2 = \frac g2 \cdot \rho_\text{box}(n), \qquad \rho_\text{box}(n) = \frac{\left(1 + 2 \cos\frac{\pi}{n+1}\right)^2}{9}.$$
#
# **Predict.** For 8 × 8 images and $g = 1/3$, is the factor above or below that of the linear layer, 0.408?

# %% predict="padding"
predict("padding", ..., ["above", "below"])

# %% claim="zero_padding" effect="measured"
box = convolution.operator_matrix(np.full((3, 3), 1 / 9), 8)
rho = np.linalg.eigvalsh(box).max()
assert math.isclose(rho, (1 + 2 * math.cos(math.pi / 9)) ** 2 / 9, rel_tol=1e-12)
flows = [gradient_flow.conv_gradient(side=8, gain=1 / 3, depth=20, seed=seed) for seed in SEEDS]
measured = np.array([(flow[3] / flow[17]) ** (1 / 14) for flow in flows])
print(f"predicted {math.sqrt(rho / 6):.3f}   measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}")
assert round(math.sqrt(rho / 6), 3) == 0.392 and abs(measured.mean() / math.sqrt(rho / 6) - 1) < 0.03
reveal("padding", "below" if measured.mean() < math.sqrt(1 / 6) else "above")

# %% [markdown]
# The edge costs four per cent per layer, on top of everything else. Small images lose more.
#
# ## 7 · Batch normalisation: the factor that nobody set (optional)
#
# Batch norm subtracts from every unit its mean over the batch and divides by its standard deviation, so that
# the unit has variance 1. Now the weights' gain cancels: double $W$ and nothing changes. It looks as if the
# factor had to be 1.
#
# Let us compute, for a large batch. After batch norm, $h$ is standard normal. Its ReLU has mean square
# $\tfrac12$ and mean $1/\sqrt{2\pi}$, so its *variance* is
# $\tfrac12 - \tfrac1{2\pi} = \tfrac{\pi - 1}{2\pi}$. The weights multiply that by $g$, and the next batch norm
# divides $h$ by $\sigma$, the root of the result. The slope of $h / \sigma$ with respect to $h$ is
# $1/\sigma$, so on its way back the gradient is divided by $\sigma$ too. ReLU halves the mean square. Together
#
# $$\text{factor}^2 = \frac{g}{2} \Big/ \left(g\, \frac{\pi - 1}{2 \pi}\right) = \frac{\pi}{\pi - 1} > 1 .$$
#
# **Predict.** By what factor has a gradient grown after 50 such layers? A factor of ten is near enough. And does it
# grow more or less with a small batch?

# %% predict="batch_norm"
predict("batch_norm", ...)

# %% predict="small_batch"
predict("small_batch", ..., ["more", "less"])

# %% claim="batch_norm_explodes" effect="small"
limit = math.sqrt(math.pi / (math.pi - 1))
print(f"predicted for a large batch: {limit:.3f} per layer, {limit**50:,.0f} over 50")
by_batch = {}
for batch in (4, 16, 128):
    case = {"activation": "relu", "depth": 30, "normalisation": "batch", "batch": batch}
    nets = [gradient_flow.xray(seed=seed, **case).measured.gradient for seed in SEEDS]
    by_batch[batch] = np.array([(net[8] / net[24]) ** (1 / 16) for net in nets])
    print(f"batch of {batch:3}: {by_batch[batch].mean():.2f} ± {by_batch[batch].std(ddof=1):.2f} per layer")
small = by_batch[4]
assert round(limit, 3) == 1.211 and abs(by_batch[128].mean() / limit - 1) < 0.02
assert small.mean() > by_batch[16].mean() > by_batch[128].mean() and small.min() > 1.4
reveal("batch_norm", limit**50, factor=10)
reveal("small_batch", "more" if small.mean() > by_batch[128].mean() else "less")

# %% [markdown]
# It **explodes**, whatever the gain, and the more so the smaller the batch. Batch norm keeps the
# *activations* at their size, and the gradient pays. Healthy activations say nothing about gradients: lesson
# 2 once more, from the other side. (Yang et al., 2019, show that no choice of the weights' variance avoids it,
# and that it weakens as the network gets closer to linear.)
#
# ## 8 · The x-ray
#
# Here are five ReLU networks of 50 layers in one picture, all but the first with $g = 2$: points are measured, lines
# predicted. The backward pass begins at the right, with a gradient of size 1; what is left of it at the input stands at
# the left.

# %%
networks = {
    "plain, g = 1/3": {"gain": 1 / 3},
    "plain, g = 2": {},
    "batch norm": {"normalisation": "batch"},
    "residual": {"skip": "pre-activation"},
    "residual, branch / √50": {"skip": "pre-activation", "branch_scale": 50**-0.5},
}

# %% claim="two_of_five" effect="ends_log"
xrays = {
    name: gradient_flow.xray(activation="relu", depth=50, seed=SEED, **case)
    for name, case in networks.items()
}
ends = {name: picture.measured.gradient[0] for name, picture in xrays.items()}
kept = [name for name, end in ends.items() if 0.1 < end < 10]
ends_log = [math.log10(ends[name]) for name in kept]
assert kept == ["plain, g = 2", "residual, branch / √50"]

# %%
figures.show(
    gradient_flow.draw_streams(
        xrays, f"{len(kept)} of {len(ends)} networks keep their gradient within a factor of ten"
    ),
    alt="Gradient against layer for five 50-layer ReLU networks. "
    + "; ".join(f"{name}: {end:.1e} at the input" for name, end in ends.items())
    + ". Measured points lie on the predicted lines.",
)

# %% [markdown]
# **What we should see.** Straight lines, since a layer's factor does not change along the way, except near
# the input of the batch-norm net. Two of the five keep their gradient at its size: the plain net with
# $g = 2$, and the residual net whose branches are scaled by $1 / \sqrt{L}$, for which
# $(1 + 1/L)^{L/2} \approx \sqrt{e}$.
#
# **What it does not show.** Training. All this is the first instant.
#
# *Half time.* So far we followed the gradient with respect to the stream. The second half asks what that means
# for the weights, and whether a gradient of the right size is a useful one.
#
# ## 9 · "The early layers get the small gradients"
#
# In the first of the five networks, the one with PyTorch's gain, the gradient *in the stream* shrinks towards the
# input. But a weight is not trained by $\partial L / \partial x$. Its gradient is
#
# $$\frac{\partial L}{\partial W_l} = (\text{what comes back to } h_l) \cdot (\text{what came in},\ x_{l-1})^\top .$$
#
# **Predict.** A plain ReLU net of 20 layers, initialised as PyTorch does it ($g = 1/3$): by what factor is the
# weight gradient of the last layer larger than that of the first - a million, a hundred, about one? Answer
# twice: without biases, and with the small biases that `nn.Linear` draws. A factor of ten is near enough.

# %% predict="without_biases"
predict("without_biases", ...)

# %% predict="with_biases"
predict("with_biases", ...)

# %% [markdown]
# ### Exercise 2 · Gradient norms (4 points, medium, about 12 minutes)
#
# Write `gradient_norms(net, x, y)` for a classifier: for each `nn.Linear` in the network, in order, the
# Frobenius norm of $\partial L / \partial W$ (the root of the sum of all its squared entries). Weight matrices
# only: networks may have biases, but those do not count. Calling it twice must give the same.
#
# <details><summary>Hint 1: a nudge</summary>
#
# Autograd differentiates with respect to any tensor that the loss was computed from, and a weight matrix is one:
# `layer.weight` of each `nn.Linear`.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Collect the weight matrices, compute the loss (`torch.nn.functional.cross_entropy` takes the mean over the batch), and ask
# `torch.autograd.grad` for the gradients with respect to the whole list. Unlike `.backward()` it leaves nothing behind in
# `.grad` that a second call would add to.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# weights = [...]  # one matrix for each nn.Linear in net, in order
# loss = ...
# gradients = ...  # one for each of the weights
# return np.array([... for g in gradients])
# ```
#
# </details>


# %% answer="gradient_norms"
def gradient_norms(net: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Measure the gradient of the loss with respect to each weight matrix.

    Args:
        net: nn.Linear layers with activations between them; (batch, inputs) to (batch, classes), float64.
        x: (batch, inputs) float64.
        y: (batch,) int64, the labels. The loss is the mean cross-entropy of the batch.

    Returns:
        (number of linear layers,) the Frobenius norm of dL/dW, input side first.
    """
    ### BEGIN SOLUTION
    weights = [layer.weight for layer in net if isinstance(layer, torch.nn.Linear)]
    loss = torch.nn.functional.cross_entropy(net(x), y)
    return np.array([g.norm().item() for g in torch.autograd.grad(loss, weights)])
    ### END SOLUTION


# %% check="gradient_norms" points=4
check.gradient_norms(gradient_norms)

# %% [markdown]
# Now five kinds of classifiers, all with 20 layers of 128 × 128 weights between a first and a last one, on
# random data. We look at the 20.

# %%
widths = [64, *[128] * 21, 10]
random = torch.Generator().manual_seed(SEED + 4)
x, y = torch.randn(64, 64, generator=random, dtype=torch.float64), torch.randint(10, (64,), generator=random)
kinds = {
    "ReLU, no biases": lambda seed: gradient_flow.mlp(widths, "relu", 1 / 3, seed=seed),
    "tanh, no biases": lambda seed: gradient_flow.mlp(widths, "tanh", 1 / 3, seed=seed),
    "ReLU, nn.Linear as it comes": lambda seed: gradient_flow.torch_mlp(widths, "relu", seed),
    "tanh, nn.Linear as it comes": lambda seed: gradient_flow.torch_mlp(widths, "tanh", seed),
    "sigmoid, no biases, g = 1": lambda seed: gradient_flow.mlp(widths, "sigmoid", 1.0, seed=seed),
}

# %%
norms = {
    name: np.array([gradient_norms(make(seed), x, y)[1:-1] for seed in SEEDS]) for name, make in kinds.items()
}

# %% claim="early_layers" effect="decades"
last_to_first = {name: values[:, -1] / values[:, 0] for name, values in norms.items()}
for name, ratio in last_to_first.items():
    print(f"{name:27} last / first layer: {ratio.min():.1g} to {ratio.max():.1g}")
unbiased = [
    norms[name].max(axis=1) / norms[name].min(axis=1) for name in ("ReLU, no biases", "tanh, no biases")
]
decades = np.log10(last_to_first["ReLU, nn.Linear as it comes"])
assert max(spread.max() for spread in unbiased) < 5
assert decades.min() > 5.5 and last_to_first["tanh, nn.Linear as it comes"].min() > 1000
assert last_to_first["sigmoid, no biases, g = 1"].min() > 1e11
first = {name: float(np.median(values[:, 0])) for name, values in norms.items()}
without, with_biases = first["ReLU, no biases"], first["ReLU, nn.Linear as it comes"]
print(f"ReLU, first layer: {without:.0e} without biases, {with_biases:.0e} with")
assert 1 / 4 < with_biases / without < 4
reveal("without_biases", np.median(last_to_first["ReLU, no biases"]), factor=10)
reveal("with_biases", np.median(last_to_first["ReLU, nn.Linear as it comes"]), factor=10)

# %%
without, with_biases = (
    np.median(last_to_first[f"ReLU, {how}"]) for how in ("no biases", "nn.Linear as it comes")
)
title = (
    f"ReLU, last / first layer: {without:.1f} without biases, {with_biases / 1e6:.0f} million with PyTorch's"
)
figures.show(
    gradient_flow.draw_weight_gradients(norms, title),
    alt="Weight-gradient norms of 20 layers for five kinds of networks. ReLU and tanh without biases: flat. "
    f"With PyTorch's biases they rise towards the last layer, for ReLU by a factor of {with_biases:.0e}. "
    "Sigmoid rises most.",
)

# %% [markdown]
# **What we should see.** (Lines are medians of five networks, bands hold all five.) Without biases the lines of ReLU
# and tanh are flat: largest and smallest differ by less than a factor of five, while *all* of them are tiny. Early
# layers see a small error but a large input; late layers see a large error but an input that the layers before have
# shrunk. The product is the same everywhere. In such a network *no* layer is given much to learn from.
#
# With the biases that PyTorch draws by default, the chapter is right: the first layer gets less than a millionth
# of what the last one gets. How can biases that small matter so much?

# %% claim="signal_floor" effect="above_floor"
floor = math.sqrt(1 / (5 * 128))
signals = {}
for bias in (False, True):
    flows = [gradient_flow.xray("relu", 1 / 3, 20, bias=bias, seed=seed).measured for seed in SEEDS]
    signals[bias] = np.array([flow.signal[-1] for flow in flows])
    back = np.mean([flow.gradient[0] ** (1 / 20) for flow in flows])
    print(
        f"biases: {bias!s:5}  signal after 20 layers {signals[bias].mean():.1e}, "
        f"gradient x {back:.2f} per layer"
    )
print(f"floor: {floor:.4f}")
above_floor = signals[True] / floor
assert abs(above_floor.mean() - 1) < 0.2 and signals[False].max() < 1e-6

# %% [markdown]
# They hold the **signal** up. In a layer with biases of variance $1/(3N)$ the rule for $q$ reads $q' = \tfrac12
# \left(\tfrac13 q + \tfrac1{3N}\right)$. It stops falling where $q' = q$: at $q = \tfrac{1}{5N}$, an rms of 0.0395
# for $N = 128$. The *gradient* is not refilled: a bias adds nothing on the way back, so a layer still multiplies it
# by 0.41. Now the two no longer cancel, and a weight's gradient shrinks as the stream's does.
#
# Look at the left end of the figure, too. With and without biases the first layer gets about the same. Biases
# take nothing from the early layers; they give the late ones more.
#
# Sigmoid is the same story without biases: its outputs stay near $\tfrac12$ however deep we go, while its
# gradient shrinks. So the sentence deserves its condition: *early layers get the small gradients where
# something keeps the signal up while the gradient shrinks.* Biases do, sigmoid does. Where signal and gradient
# shrink together, all layers get equally little.
#
# ## 10 · An exact law behind it
#
# Without biases a small error met a large input, and the other way round, and the two cancelled, roughly. Was that an
# accident? No. A bias-free ReLU network is **homogeneous** in each layer: multiply $W_l$ by $c > 0$ and the output $f$
# is multiplied by $c$. So there are two ways to differentiate the loss with respect to $c$ at $c = 1$, through the
# weights and through the output, and they give the same (Euler's theorem). With $\langle a, b \rangle$ for the *inner
# product*, the sum over all entries of their products:
#
# $$\left\langle W_l, \frac{\partial L}{\partial W_l} \right\rangle = \left\langle f, \frac{\partial L}{\partial f} \right\rangle \quad \text{for every layer } l .$$
#
# The right side does not know $l$.

# %% [markdown]
# ### Exercise 3 · The balance (3 points, easy, about 8 minutes)
#
# Write `balance(net, x, y)`: the inner product $\langle W_l, \partial L / \partial W_l \rangle$ for each linear
# layer. Again without biases, and the same when called twice.
#
# <details><summary>Hint 1: a nudge</summary>
#
# It begins as Exercise 2 does. What is new is what you do with each pair of a weight matrix and its gradient.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Both matrices have the same shape. Multiply them entry by entry, sum up, and make a plain number of the result: a weight
# asks for gradients, and so does everything that is computed from it.
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# weights = ...
# gradients = ...
# return np.array([... for w, g in zip(weights, gradients)])  # one plain number for each pair
# ```
#
# </details>


# %% answer="balance"
def balance(net: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Measure <W, dL/dW> for each weight matrix.

    Args:
        net: nn.Linear layers with activations between them; (batch, inputs) to (batch, classes), float64.
        x: (batch, inputs) float64.
        y: (batch,) int64, the labels. The loss is the mean cross-entropy of the batch.

    Returns:
        (number of linear layers,) the inner products, input side first.
    """
    ### BEGIN SOLUTION
    weights = [layer.weight for layer in net if isinstance(layer, torch.nn.Linear)]
    loss = torch.nn.functional.cross_entropy(net(x), y)
    gradients = torch.autograd.grad(loss, weights)
    return np.array([(w * g).sum().item() for w, g in zip(weights, gradients, strict=True)])
    ### END SOLUTION


# %% check="balance" points=3
check.balance(balance)

# %% claim="balance_law"
deep = [64, *[96] * 11, 10]
values = balance(gradient_flow.mlp(deep, "relu", 2.0, seed=SEED + 1), x, y)
others = {
    "with biases": balance(gradient_flow.mlp(deep, "relu", 2.0, bias=True, seed=SEED + 1), x, y),
    "with tanh": balance(gradient_flow.mlp(deep, "tanh", 2.0, seed=SEED + 1), x, y),
}
equal = np.ptp(values) < 1e-12 * abs(values[0])
print(f"ReLU, no biases: {values[0]:.4f} in each of {len(values)} layers; equal to 12 digits: {equal}")
for name, v in others.items():
    print(f"{name}: from {v.min():.3f} to {v.max():.3f}")
assert equal and all(np.ptp(v) > 0.01 for v in others.values())

# %% [markdown]
# The same number in every layer, up to the rounding of float64. With biases or with tanh the law is gone.
#
# It has a consequence. A small step $\lambda$ of gradient descent takes $\lambda\, \partial L/\partial W_l$ from $W_l$, so
# $\|W_l\|^2$ changes by $-2 \lambda \langle W_l, \partial L/\partial W_l \rangle$, up to a term with $\lambda^2$. If this is the same for all layers, the *differences*
# between their squared norms never change (Du, Hu and Lee, 2018): the layers grow and shrink in step.
#
# **Predict.** If we train for the same total time with steps a tenth the size, by what factor does the
# remaining drift of the differences fall?

# %% predict="drift"
predict("drift", ...)


# %%
def norm_drift(lr, time=2.0):
    """Change of ||W_l||^2 in training, and how far the layers disagree about it."""
    net = gradient_flow.mlp([64, 32, 32, 10], "relu", 2.0, seed=SEED + 2)
    weights = list(net.parameters())
    before = torch.stack([w.detach().square().sum() for w in weights])
    for _ in range(round(time / lr)):
        gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y), weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w -= lr * g
    change = torch.stack([w.detach().square().sum() for w in weights]) - before
    return change.mean().item(), (change.max() - change.min()).item()


# %% claim="drift" effect="fall"
drift = {lr: norm_drift(lr) for lr in (0.02, 0.002)}
for lr, (change, disagreement) in drift.items():
    print(f"steps of {lr}: squared norms change by {change:.3f}, and differ in that by {disagreement:.5f}")
fall = drift[0.02][1] / drift[0.002][1]
print(f"the disagreement falls by a factor of {fall:.1f}")
assert 8 < fall < 12
reveal("drift", fall, factor=1.3)

# %% [markdown]
# A tenth of the step, a tenth of the drift: in the limit of infinitely small steps the law holds exactly.
#
# ## 11 · If the norms are right, are we done?
#
# With $g = 2$ a plain ReLU network keeps its gradients at any depth. Then what are skips for? One more thing
# can go wrong, and no norm shows it: the *direction*. A gradient is useful for learning if similar inputs ask
# for similar changes. So we take two inputs and compare the directions of their input gradients. The measure
# is the cosine of the angle between two vectors, $\langle a, b \rangle / (\|a\| \|b\|)$: 1 if they point the same
# way, 0 if they stand at a right angle and have nothing in common.
#
# **Predict.** Two unrelated inputs (cosine 0), one plain ReLU layer: is the cosine of their gradients 0, ½, or
# 1? And for two similar inputs (cosine 0.9), after sixteen layers?

# %% predict="one_layer"
predict("one_layer", ...)

# %% predict="sixteen_layers"
predict("sixteen_layers", ...)

# %% [markdown]
# ### Exercise 4 · Gradient correlation (4 points, medium, about 20 minutes)
#
# Write `gradient_correlation(net, x)` for a network with one output: for each of the $B$ examples take the
# gradient of *its* output with respect to *its* input, and return the mean cosine between the gradients of two
# different examples. (The network treats examples independently: the third output depends on the third input
# alone. So one backward pass from the *sum* of all outputs is enough; think why.) The caller's `x` must
# come out of the call as it went in.
#
# <details><summary>Hint 1: a nudge</summary>
#
# The gradient with respect to a batch of inputs has the shape of the batch: one row for each example. And a cosine between
# two vectors is the inner product of two vectors of length 1.
#
# </details>
# <details><summary>Hint 2: the idea</summary>
#
# Make a tensor of your own from `x` and let *it* ask for gradients. Differentiate the sum of the outputs with respect to it,
# divide each row by its length, and multiply the matrix of rows with its transpose: that holds all cosines at once. Its
# diagonal, each gradient with itself, does not count. How many entries are left?
#
# </details>
# <details><summary>Hint 3: a skeleton</summary>
#
# ```python
# own = ...  # same numbers as x, and the caller's x notices nothing
# (gradient,) = torch.autograd.grad(..., own)
# unit = ...  # rows of length 1
# cosines = ...  # (B, B)
# return ...  # the mean of what stands beside the diagonal
# ```
#
# </details>


# %% answer="gradient_correlation"
def gradient_correlation(net: torch.nn.Module, x: torch.Tensor) -> float:
    """Measure how alike the input gradients of different examples are.

    Args:
        net: maps (batch, N) to (batch, 1), each example for itself; float64.
        x: (B, N) float64, B at least 2.

    Returns:
        The mean of cos(gradient i, gradient j) over all pairs i != j.
    """
    ### BEGIN SOLUTION
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    unit = gradient / gradient.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    pairs = len(x) * (len(x) - 1)
    return float((cosines.sum() - cosines.trace()) / pairs)
    ### END SOLUTION


# %% check="gradient_correlation" points=4
check.gradient_correlation(gradient_correlation)

# %% [markdown]
# We measure at 16 inputs, and predict from two facts about a pair of normal numbers (Cho and Saul, 2009). If
# two inputs enclose the angle $\theta$, a ReLU unit that is active for one is active for the other with
# probability $1 - \theta / \pi$; by that factor a *plain* layer multiplies the cosine of the gradients. A skip's 1 takes
# part in the mean: $\big(1 + s^2 \tfrac g2 (1 - \theta/\pi)\big) / \big(1 + s^2 \tfrac g2\big)$, with $s$ the factor on
# the branch. And the angle itself shrinks from layer to layer.
#
# Three networks with $g = 2$: plain; residual; residual with the branches of section 8, scaled by
# $1/\sqrt{L}$.

# %%
depths, cosines = (1, 2, 4, 16, 50), (0.0, 0.9)
three = {
    "plain": lambda depth: {"skip": "none"},
    "residual": lambda depth: {"skip": "pre-activation"},
    "residual, branch / √L": lambda depth: {"skip": "pre-activation", "branch_scale": depth**-0.5},
}

# %%
inputs = [[gradient_flow.inputs_at_angle(c, width=128, seed=seed) for seed in SEEDS] for c in cosines]


def correlations(case, depth):
    """Gradient correlation at unrelated and at similar inputs: (2, networks)."""
    nets = [gradient_flow.scalar_net("relu", 2.0, depth, 128, seed=seed, **case(depth)) for seed in SEEDS]
    return [list(map(gradient_correlation, nets, drawn)) for drawn in inputs]


alike = {
    name: np.array([correlations(case, depth) for depth in depths]).swapaxes(0, 1)
    for name, case in three.items()
}

# %%
theory = {
    name: np.array([[gradient_flow.shattering(d, cosine=c, **case(d))[-1] for d in depths] for c in cosines])
    for name, case in three.items()
}

# %% claim="shattering" effect="apart"
for name, values in alike.items():
    for pair, c in enumerate(cosines):
        row = zip(depths, values[pair].mean(axis=1), theory[name][pair], strict=True)
        print(f"{name:21} cosine {c}: " + ", ".join(f"L = {n}: {m:.2f} ({p:.3f})" for n, m, p in row))
plain, residual, scaled = alike.values()
apart = (scaled - plain)[:, -1].min(axis=0)  # at 50 layers, the smaller of both kinds of inputs
assert apart.mean() > 0.45 and (scaled[:, -1].mean(axis=1) > [0.55, 0.8]).all()
assert all(
    (a[:, -2].mean(axis=1) > b[:, -2].mean(axis=1)).all() for a, b in ((scaled, residual), (residual, plain))
)
assert [round(p, 3) for p in theory["plain"][0][:3]] == [0.5, 0.302, 0.142]
reveal("one_layer", plain[0, 0].mean(), within=0.1)
reveal("sixteen_layers", plain[1, 3].mean(), within=0.1)

# %%
at_50 = {name: values[0, -1].mean() for name, values in alike.items()}
higher = alike["residual"][1, -1].mean() / theory["residual"][1][-1]
title = (
    f"Unrelated inputs, 50 layers: plain gradients have {at_50['plain']:.2f} in common, "
    f"with small branches {at_50['residual, branch / √L']:.2f}"
)
figures.show(
    gradient_flow.draw_shattering(alike, theory, depths, title),
    alt="Cosine between the input gradients of two inputs against depth, for unrelated and similar inputs. "
    + "; ".join(f"{name}: {value:.2f} at 50 layers for unrelated inputs" for name, value in at_50.items())
    + ". Measured points lie near the predicted curves, but for those of residual with similar inputs "
    f"at 50 layers, which are {higher:.0f} times as high.",
)

# %% [markdown]
# **What we should see.** The plain network's gradients lose what they have in common: for unrelated inputs ½ is
# predicted after one layer, 0.302 after two, 0.142 after four; at fifty they are all but unrelated although their
# *norms* are perfect. Similar inputs lose it later, but lose it too. Skips slow this down. With branches scaled by
# $1/\sqrt{L}$ it *stops*: the more layers, the less each of them does, and about 0.64 is left at fifty layers.
# (Points and bars are mean and deviation of five networks. Deep ones lie above their lines, those of "residual" for
# similar inputs at twice the height: the lines are for infinite width, and these networks have 128 units.) Balduzzi
# et al. (2017) call the loss **shattering**.
#
# So sections 8 and 11 end at the same network: a skip with a small branch keeps both the size of the gradient
# and its direction.
#
# **What it does not show.** That the fall is exponential, as the paper's abstract puts it for standard
# networks: here (no biases, no batch norm) it is slower than halving, because deep layers see their inputs
# under ever smaller angles. The next cell shows the power of $L$ that it follows far down. Nor does it show that shattered gradients
# cannot train: this too is the first instant.

# %% claim="power_law"
for name in ("plain", "residual"):
    curve = gradient_flow.shattering(4000, **three[name](4000))
    exponent = math.log(curve[4000] / curve[2000]) / math.log(2)
    print(f"{name:9} predicted correlation at depth 4000: {curve[4000]:.0e}, decaying as L^{exponent:.2f}")
    assert abs(exponent + 3) < 0.05
small = gradient_flow.shattering(1000, skip="pre-activation", branch_scale=1000**-0.5)[-1]
print(f"branch / √L: {small:.3f} at depth 1000")
assert round(small, 3) == 0.634

# %% [markdown]
# ## 12 · Play
#
# All of this lesson's knobs on one instrument. Some questions to take along: which single knob turns an
# exploding batch-norm net into a healthy one? What do biases do to the stream, and what to the weights? Where
# do points leave their lines? How small must a branch be at 50 layers?

# %%
gradient_flow.PANEL.show(seed=SEED)

# %% live=true
gradient_flow.PANEL.live()

# %% [markdown] question="limits"
# ### Question · Four limits (4 points, about 12 minutes)
#
# The second question of our second source (the notebook of lesson 3): *"What are 4 limitations to optimizing a
# deep convolutional neural network?"* Name four, each with a reason, and for at least two of them point to a
# measurement of lessons 1 to 4 (or say that we have none yet).
#
# === BEGIN MARK SCHEME ===
# One point for each limitation that is (a) about optimising, (b) different from the others and (c) given with
# a reason; the fourth point only if two of them are tied to a measurement, or are honestly marked as not
# measured yet.
#
# - 0: none, or only keywords.
# - 1: one such limitation.
# - 2: two.
# - 3: three; or four without evidence.
# - 4: four, two of them with evidence.
#
# Expected among others: gradients that vanish (factor sqrt(g/2) = 0.408 per layer by default); early layers
# that get millions of times less than late ones (true with PyTorch's default biases, and for sigmoid; section
# 9); gradients that explode (batch norm 1.211 per layer or more; residual 1.414); saturation (lesson 3); zero
# padding, which costs signal and gradient at the edges (0.392 against 0.408; lesson 1); sensitivity to
# initialisation and learning rate; shattered gradients; degradation: deeper plain nets reach a higher
# *training* loss (lesson 7); updates lost to rounding (lesson 3); cost in memory and time, which grows with
# depth; a loss surface that is not convex (lesson 9).
#
# "The early layers get the small gradients" earns its point where a network is named in which it holds, or
# where nothing is said against: by default it holds. It is a mistake only as a statement on *every* network.
#
# Misconceptions: overfitting is named as a problem of optimisation (it is one of generalisation); "early
# layers get less in every network" (in bias-free ReLU networks all get alike); "batch norm solves vanishing
# and exploding gradients"; "skips make the factor 1".
# === END MARK SCHEME ===

# %% [markdown] response="limits" points=4
# ### BEGIN SOLUTION
# 1. *Gradients vanish.* A layer multiplies them by $\sqrt{g/2}$; with PyTorch's default that is 0.41
#    (measured 0.41), so 20 layers leave about $10^{-8}$. With the default biases it is the early layers that
#    starve: the first got less than a millionth of the last's gradient. Without biases all layers starve alike.
# 2. *Gradients explode.* Batch norm with ReLU multiplies by 1.21 per layer or more, whatever the weights, and
#    a residual net with $g = 2$ by 1.41: 50 layers give factors of some ten thousand and some thirty million.
# 3. *Gradients shatter.* Even where the norms are right, the gradients of different inputs have less and less
#    in common as a plain net gets deeper (0.5, 0.30, 0.14 at 1, 2, 4 layers), so that a step that is good for
#    one input says little about another.
# 4. *Degradation.* Deeper plain networks are reported to reach a higher training error although a solution at
#    least as good exists (copy the shallow net, add identities). We have not measured this yet; lesson 7
#    does.
# ### END SOLUTION

# %% [markdown]
# ## What we have learnt
#
# - A wide random layer multiplies the gradient by $\sqrt{g\,\mathbb{E}[\varphi'^2]}$, with a skip by
#   $\sqrt{1 + g\,\mathbb{E}[\varphi'^2]}$. It can be computed and measured, and should be both.
# - Zero padding costs a few per cent per layer; batch norm alone makes gradients explode; a skip needs a small
#   branch.
# - Early layers get the small gradients where something holds the signal up while the gradient shrinks: with
#   PyTorch's default biases, and with sigmoid. In a bias-free ReLU network
#   $\langle W_l, \partial L / \partial W_l\rangle$ is the same in every layer.
# - Norms are not all. Gradients can have the right size and nothing in common; a skip with a small branch keeps
#   both.

# %% [markdown]
# ## Check yourself
#
# Answer each in a sentence before you unfold ours.
#
# **1.** A plain tanh network with $g = 1$ has a hundred layers. Does its gradient grow, shrink or stay on its way back?
#
# <details><summary>An answer</summary>
#
# It shrinks: the slope of tanh is at most 1 and below 1 wherever $h \neq 0$, so that
# $\sqrt{g\, \mathbb{E}[\varphi'^2]} < 1$. But the signal shrinks too, $q' = \mathbb{E}[\tanh^2 h] < q$, and the smaller
# it is, the nearer the factor comes to 1: the gradient shrinks ever more slowly.
#
# </details>
#
# **2.** In a network that you are given, the first layer's weight gradient is a millionth of the last layer's. What
# would you look at first?
#
# <details><summary>An answer</summary>
#
# At the size of the signal, layer by layer. A weight's gradient is what comes back times what came in. If both shrank
# alike all layers would get equally little; so something holds the signal up while the gradient shrinks: biases, or an
# activation such as sigmoid whose outputs stay far from 0.
#
# </details>
#
# **3.** All gradients of a deep network have the same norm, in every layer. Why is that not enough?
#
# <details><summary>An answer</summary>
#
# Two inputs may ask for changes that have nothing in common, however large they are: in a plain ReLU network with
# $g = 2$ the norms are right and the directions shatter. And all this is the first instant; training may change it.
#
# </details>

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# We know what a skip is supposed to do. But does the block of the chapter do it, line for line as it was
# published? And for which images does it work at all?
#
# ## References
#
# - X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS
#   (2010). [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - K. He, X. Zhang, S. Ren, J. Sun, *Delving deep into rectifiers: surpassing human-level performance on ImageNet
#   classification* (2015). [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - K. He, X. Zhang, S. Ren, J. Sun, *Identity mappings in deep residual networks* (2016).
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
# - S. S. Schoenholz, J. Gilmer, S. Ganguli, J. Sohl-Dickstein, *Deep information propagation* (2017).
#   [arXiv:1611.01232](https://arxiv.org/abs/1611.01232)
# - G. Yang, S. S. Schoenholz, *Mean field residual networks: on the edge of chaos* (2017).
#   [arXiv:1712.08969](https://arxiv.org/abs/1712.08969)
# - G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein, S. S. Schoenholz, *A mean field theory of batch
#   normalization* (2019). [arXiv:1902.08129](https://arxiv.org/abs/1902.08129)
# - S. S. Du, W. Hu, J. D. Lee, *Algorithmic regularization in learning deep homogeneous models: layers are
#   automatically balanced* (2018). [arXiv:1806.00900](https://arxiv.org/abs/1806.00900)
# - D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma, B. McWilliams, *The shattered gradients
#   problem: if resnets are the answer, then what is the question?* (2017).
#   [arXiv:1702.08591](https://arxiv.org/abs/1702.08591)
# - Y. Cho, L. K. Saul, *Kernel methods for deep learning*, NIPS (2009).
