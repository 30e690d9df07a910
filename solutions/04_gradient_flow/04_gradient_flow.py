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
# hundreds of units a layer, and before training its weights are random. Its factors are random matrices. Is
# there still one number that says what a layer does to the gradient?
#
# There is, and it can be computed with pencil and paper. We build an instrument on it, the **gradient
# x-ray**: measured and predicted gradient norms, layer by layer, for any activation, gain, normalisation and
# skip. With it we test three sentences that everybody knows: that early layers get the small gradients, that
# good initialisation solves it, and that batch normalisation does.
#
# **Objectives.** After this lesson you can
#
# - predict the factor by which a random layer multiplies the gradient, and check the prediction by
#   measurement;
# - say what the gain, the activation, padding, batch normalisation and a skip do to that factor;
# - tell apart "the early layers get less" and "all layers get little";
# - name a trouble that remains when all the norms are right.
#
# **Prerequisites.** Lesson 3; expectation and variance; `torch.autograd.grad` and `nn.Linear`.
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

from helpers import convolution, figures, gradient_flow
from helpers.checks import gradient_flow as check
from helpers.checks import progress

torch.set_num_threads(1)
SEEDS = range(5)

# %% [markdown]
# ## 1 · A random layer
#
# Our networks keep one width $N$ and have no biases. A layer is
#
# $$h = W x, \qquad x' = \varphi(h) \quad\text{(plain)}, \qquad x' = x + \varphi(h) \quad\text{(residual)},$$
#
# with independent weights of mean 0 and variance $g / N$. The **gain** $g$ is the number that an
# initialisation chooses: $g = 2$ is He's, $g = 1$ roughly Xavier's. And PyTorch's own default?
#
# **Predict.** If you write `nn.Linear(256, 256)` and change nothing, is $g$ about 2, 1, or less?

# %%
torch.manual_seed(0)
linear, conv = torch.nn.Linear(256, 256), torch.nn.Conv2d(64, 64, 3)
gains = {"nn.Linear": 256 * linear.weight.var().item(), "nn.Conv2d": 9 * 64 * conv.weight.var().item()}
for name, g in gains.items():
    print(f"{name}: g = {g:.2f}")
    assert abs(g - 1 / 3) < 0.01

# %% [markdown]
# A third. (The default draws uniformly from $\pm 1/\sqrt{N}$, which has variance $1/(3N)$.) So we shall meet
# $g = 1/3$ a lot: it is what we get when we do not ask.
#
# ## 2 · What our third source says
#
# The chapter that we read in lesson 3 continues: *"the gradient becomes very small as we approach the earlier
# layers in a deep network. In some cases, the gradient becomes zero, meaning that we do not update the early
# layers at all."* Let us look. We send a random gradient into the end of 20 plain ReLU layers and measure the
# root mean square of $\partial L / \partial x_l$ on its way to the front.
#
# **Predict.** With $g = 1/3$, by what factor does one layer shrink it?


# %%
def factors(**settings):
    """The factor by which a layer multiplies the gradient: one number for each seed, all layers together."""
    flows = [gradient_flow.xray(seed=seed, **settings).measured for seed in SEEDS]
    return np.array([flow.gradient[0] ** (1 / (len(flow.gradient) - 1)) for flow in flows])


default = factors(activation="relu", gain=1 / 3, depth=20)
print(
    f"a layer multiplies the gradient by {default.mean():.3f} (± {default.std(ddof=1):.3f} over {len(SEEDS)} networks)"
)
print(f"20 layers by {np.mean(default**20):.0e}")

# %% [markdown]
# The five networks have nothing in common but their shape, and yet they agree to about a per cent. With
# hundreds of units, chance averages out; something simple must be behind this.
#
# ## 3 · One number a layer
#
# Going backwards through a plain layer, $\delta = \partial L / \partial x'$ becomes
#
# $$\frac{\partial L}{\partial x_j} = \sum_i W_{ij}\, \varphi'(h_i)\, \delta_i .$$
#
# We take the mean square over the random weights. The $N$ terms are uncorrelated, since the weights are
# independent with mean 0. Each contributes
# $\tfrac{g}{N} \cdot \mathbb{E}[\varphi'(h)^2] \cdot \mathbb{E}[\delta^2]$. So
#
# $$\text{factor}^2 = g \; \mathbb{E}\!\left[\varphi'(h)^2\right] \quad\text{(plain)}, \qquad \text{factor}^2 = 1 + g \; \mathbb{E}\!\left[\varphi'(h)^2\right] \quad\text{(residual)},$$
#
# where $h$, a sum of many independent terms, is normal with mean 0 and variance $g q$, and $q$ is the mean
# square of an entry of $x$. One cheat is in this: the same $W$ made $h$, and we treat it as if it were
# independent of $\varphi'(h)$. Measurements will say whether that is forgivable.

# %% [markdown]
# ### Exercise 1 · The factor of a random layer (5 points, about 15 minutes)
#
# Write `gain_factor(activation, g, q, skip)` for ReLU and tanh.
#
# For ReLU the expectation is a simple fraction. For tanh it is an integral,
# $\mathbb{E}[\varphi'(h)^2] = \int \operatorname{sech}^4(h)\, p(h)\, dh$ with the normal density $p$ of
# variance $g q$, and you have to do it numerically, to six digits, for $g q$ up to 200. Look at the integrand
# for a large variance before you choose a method.


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
### BEGIN HIDDEN TESTS
from scipy.integrate import quad

from helpers.checks import call, close

random = np.random.default_rng(41)
for g, q in zip(random.uniform(0.2, 3, 5).tolist(), (0.01, 0.3, 2.0, 20.0, 60.0), strict=True):
    sigma = math.sqrt(g * q)
    edge = min(8.5, 12 / sigma)
    mean = (
        2 * quad(lambda z, s=sigma: math.cosh(s * z) ** -4 * math.exp(-z * z / 2), 0, edge, epsrel=1e-11)[0]
    )
    for skip in (False, True):
        given = f"{g:.4f}, {q}, {skip})"
        tanh = math.sqrt(skip + g * mean / math.sqrt(2 * math.pi))
        close(call(gain_factor, "tanh", g, q, skip), tanh, f"gain_factor('tanh', {given}", rtol=1e-6)
        close(
            call(gain_factor, "relu", g, q, skip),
            math.sqrt(skip + g / 2),
            f"gain_factor('relu', {given}",
            rtol=1e-9,
        )
### END HIDDEN TESTS

# %% [markdown]
# ## 4 · The prediction against the measurement
#
# First ReLU, for which the signal's size $q$ does not matter. In the last row the skip is drawn around
# "activation, then weights" ($x' = x + W \varphi(x)$, the *pre-activation* order of He et al., 2016); the
# factor is the same.

# %%
table = {
    "plain, g = 1/3": (gain_factor("relu", 1 / 3), {"gain": 1 / 3}),
    "plain, g = 2": (gain_factor("relu", 2.0), {"gain": 2.0}),
    "pre-activation residual, g = 2": (
        gain_factor("relu", 2.0, skip=True),
        {"gain": 2.0, "skip": "pre-activation"},
    ),
}
for name, (predicted, settings) in table.items():
    measured = factors(activation="relu", depth=20, **settings)
    print(
        f"{name:31} predicted {predicted:.3f}   measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}"
    )
    assert abs(measured.mean() / predicted - 1) < 0.015
assert [round(predicted, 3) for predicted, _ in table.values()] == [0.408, 1.0, 1.414]

# %% [markdown]
# So the cheat is forgivable, and we can read off what an initialisation does. PyTorch's default multiplies
# the gradient by $\sqrt{1/6}$ a layer; He's $g = 2$ was *made* such that the factor is 1. A skip adds one
# inside the root: with $g = 2$ the gradient now *grows* by $\sqrt 2$ a layer. "Preserves the gradient", as
# the chapter has it, would need a small branch.
#
# For tanh the factor depends on $q$, which changes from layer to layer. We take the prediction of $q$ from
# the instrument (`mean_field`) and multiply your factors. As input we take what a first tanh layer hands on.
#
# **Predict.** After 50 tanh layers with skips and $g = 2$: does the gradient grow like
# $\sqrt{1 + g}^{\,50} \approx 10^{12}$, or less?

# %%
z = np.random.default_rng(0).normal(size=1_000_000)
start = float(np.sqrt(np.mean(np.tanh(z) ** 2)))


def predict_tanh(g, skip, factor=gain_factor, depth=50):
    """Gradient at the input of a deep tanh network, by multiplying the factors of its layers."""
    q = gradient_flow.mean_field("tanh", g, depth, skip=skip, signal=start).signal[:-1] ** 2
    return math.prod(factor("tanh", g, q_l, skip != "none") for q_l in q)


def measure_tanh(g, skip, depth=50, width=128):
    """The same, measured in one random network a seed."""
    nets = [gradient_flow.RandomNet("tanh", g, depth, width, skip=skip, seed=seed) for seed in SEEDS]
    return np.array([gradient_flow.measure(net, 64, start, i).gradient[0] for i, net in enumerate(nets)])


tanh_cases = ((1 / 3, "none"), (1 / 3, "residual"), (1.0, "residual"), (2.0, "residual"))
tanh = {case: (predict_tanh(*case), measure_tanh(*case)) for case in tanh_cases}
for (g, skip), (predicted, measured) in tanh.items():
    print(
        f"{skip:8} g = {g:.2f}: predicted {predicted:7.3g}   measured {measured.mean():7.3g} ± {measured.std(ddof=1):.1g}"
    )
    assert abs(np.log(measured.mean() / predicted)) < 0.2

# %% [markdown]
# The plain network passes $10^{-12}$ of the gradient; with skips it grows by 15 to 176, far less than
# $10^{12}$: the stream gets larger with every layer, so that the units saturate and the branches fade. Yang
# and Schoenholz (2017) showed that such growth is slower than any exponential.
#
# A warning, because it happened to us. Gauss-Hermite quadrature is the textbook method for a normal
# expectation. With 101 nodes it integrates polynomials up to degree 201 exactly:


# %%
def gauss_hermite_factor(activation, g, q, skip):
    """The same factor with 101 Gauss-Hermite nodes."""
    node, weight = np.polynomial.hermite_e.hermegauss(101)
    return math.sqrt(skip + g * (weight @ np.cosh(math.sqrt(g * q) * node) ** -4.0) / weight.sum())


wrong = predict_tanh(2.0, "residual", gauss_hermite_factor)
right, measured = tanh[2.0, "residual"]
print(
    f"Gauss-Hermite {wrong:.0f}, equally spaced points {right:.0f}, measured {measured.mean():.0f} ± {measured.std(ddof=1):.0f}"
)
assert abs(wrong / 758 - 1) < 0.01 and abs(right / 176 - 1) < 0.01

# %% [markdown]
# Off by a factor of four. In a large stream $\operatorname{sech}^4$ is a thin spike at 0, nothing like a
# polynomial, and the node that happens to lie on it counts far too much. The mistake is small in each layer,
# but there are fifty. Without the measurement beside it we would have believed the number.
#
# ## 5 · Where the prediction fails
#
# ReLU with a skip around it, $x' = x + \operatorname{relu}(W x)$, which is how our third source builds its
# block. Every branch is positive, so the stream gets a mean, and along that one direction weights, signal and
# gradient are *not* independent.

# %%
excess = []
for width in (64, 128, 256):
    measured = factors(activation="relu", gain=2.0, depth=15, width=width, skip="residual")
    excess.append(measured.mean() / gain_factor("relu", 2.0, skip=True) - 1)
    print(
        f"width {width:3}: measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}, {excess[-1]:.0%} above the prediction"
    )
assert excess[0] > excess[1] > excess[2] > 0.02

# %% [markdown]
# Every width is above the prediction, and the excess shrinks as the network gets wider: the prediction is for
# infinite width, and here it is approached slowly. It is good to know where an instrument stops being exact.
# (We take that block apart in lesson 5.)
#
# ## 6 · Convolutions: an old friend
#
# A convolution is a linear map too. In a zero-padded 3 × 3 convolution with $g = 9 C \operatorname{Var}(W)$,
# each pixel of the gradient collects from nine neighbours, on average with weight $\tfrac19$ each. Pixels
# outside the image give nothing. So the *mean square* of the gradient, as an image, goes through the operator
# of lesson 1 with a box of ninths as its kernel, and in the long run only its spectral radius counts:
#
# $$\text{factor}^2 = \frac g2 \cdot \rho_\text{box}(n), \qquad \rho_\text{box}(n) = \frac{\left(1 + 2 \cos\frac{\pi}{n+1}\right)^2}{9}.$$
#
# **Predict.** For 8 × 8 images and $g = 1/3$, is the factor above or below that of the linear layer, 0.408?

# %%
box = convolution.operator_matrix(np.full((3, 3), 1 / 9), 8)
rho = np.linalg.eigvalsh(box).max()
assert math.isclose(rho, (1 + 2 * math.cos(math.pi / 9)) ** 2 / 9, rel_tol=1e-12)
flows = [gradient_flow.conv_gradient(side=8, gain=1 / 3, depth=20, seed=seed) for seed in SEEDS]
measured = np.array([(flow[3] / flow[17]) ** (1 / 14) for flow in flows])
print(f"predicted {math.sqrt(rho / 6):.3f}   measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}")
assert round(math.sqrt(rho / 6), 3) == 0.392 and abs(measured.mean() / math.sqrt(rho / 6) - 1) < 0.02

# %% [markdown]
# The edge costs four per cent a layer, on top of everything else. Small images lose more.
#
# ## 7 · Batch normalisation: the factor that nobody set
#
# Batch norm rescales every unit to variance 1 over the batch. Now the weights' gain cancels: double $W$ and
# nothing changes. It looks as if the factor had to be 1.
#
# Let us compute. After batch norm, $h$ is standard normal. Its ReLU has mean square $\tfrac12$ and mean
# $1/\sqrt{2\pi}$, so its *variance* is $\tfrac12 - \tfrac1{2\pi} = \tfrac{\pi - 1}{2\pi}$. The next batch
# norm divides by the root of $g$ times this; the gradient, too, is divided by it on its way back. ReLU halves
# the mean square. Together
#
# $$\text{factor}^2 = \frac{g}{2} \Big/ \left(g\, \frac{\pi - 1}{2 \pi}\right) = \frac{\pi}{\pi - 1} > 1 .$$
#
# **Predict.** What is left of a gradient, or rather: what has become of it, after 50 layers?

# %%
limit = math.sqrt(math.pi / (math.pi - 1))
nets = [
    gradient_flow.xray(activation="relu", depth=50, normalisation="batch", seed=seed).measured
    for seed in SEEDS
]
measured = np.array([(net.gradient[10] / net.gradient[40]) ** (1 / 30) for net in nets])
print(f"predicted {limit:.3f}   measured {measured.mean():.3f} ± {measured.std(ddof=1):.3f}")
print(f"after 50 layers: {np.mean([net.gradient[0] for net in nets]):,.0f} times as large")
assert round(limit, 3) == 1.211 and abs(measured.mean() / limit - 1) < 0.01

# %% [markdown]
# It **explodes**, whatever the gain. Batch norm keeps the *activations* at their size, and the gradient pays.
# Healthy activations say nothing about gradients: lesson 2 once more, from the other side. (Yang et al.,
# 2019, show that no choice of the weights' variance avoids it, and that it is the weaker the closer the
# network is to linear.)
#
# ## 8 · The x-ray
#
# Here are five networks of 50 layers in one picture: points are measured, lines predicted.

# %%
networks = {
    "plain, g = 1/3": {"gain": 1 / 3},
    "plain, g = 2": {},
    "batch norm": {"normalisation": "batch"},
    "residual": {"skip": "pre-activation"},
    "residual, branch / √50": {"skip": "pre-activation", "branch_scale": 50**-0.5},
}
xrays = {name: gradient_flow.xray(activation="relu", depth=50, **case) for name, case in networks.items()}
ends = {name: picture.measured.gradient[0] for name, picture in xrays.items()}
fig, axis = figures.canvas(
    f"Two of five networks keep their gradient: times {ends['plain, g = 2']:.1f} and {ends['residual, branch / √50']:.1f} after 50 layers",
    "layer l",
    "gradient in the stream, rms",
    yscale="log",
)
for i, (name, picture) in enumerate(xrays.items()):
    axis.plot(picture.predicted.gradient, **figures.series(i), label=name)
    axis.plot(picture.measured.gradient, **figures.series(i, marker=True) | {"linestyle": "", "markevery": 5})
axis.legend(loc="lower right", fontsize=9)
figures.show(
    fig,
    alt="Gradient against layer for five 50-layer ReLU networks. "
    + "; ".join(f"{name}: {end:.1e} at the input" for name, end in ends.items())
    + ". Measured points lie on the predicted lines.",
)
assert 0.2 < ends["plain, g = 2"] < 5 and 1 < ends["residual, branch / √50"] < 3

# %% [markdown]
# **What we should see.** Straight lines, since a layer's factor does not change along the way, except near
# the input of the batch-norm net. Two of the five keep their gradient at its size: the plain net with
# $g = 2$, and the residual net whose branches are scaled by $1 / \sqrt{L}$, for which
# $(1 + 1/L)^{L/2} \approx \sqrt{e}$.
#
# **What it does not show.** Training. All this is the first instant.
#
# ## 9 · "The early layers get the small gradients"
#
# In the figure the gradient *in the stream* shrinks towards the input. But a weight is not trained by
# $\partial L / \partial x$. Its gradient is
#
# $$\frac{\partial L}{\partial W_l} = (\text{what comes back to } h_l) \cdot (\text{what came in},\ x_{l-1})^\top .$$
#
# **Predict.** In a plain ReLU net with $g = 1/3$ and 20 layers, how many times larger is the weight gradient
# of the last layers than that of the first: a million times, a hundred, twice?

# %% [markdown]
# ### Exercise 2 · Gradient norms (4 points, about 8 minutes)
#
# Write `gradient_norms(net, x, y)` for a classifier: the Frobenius norm of $\partial L / \partial W$ for each
# `nn.Linear` in the network, in order. Weight matrices only: networks may have biases, but those do not
# count. Calling it twice must give the same.


# %% answer="gradient_norms"
def gradient_norms(net: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Measure the gradient of the loss by each weight matrix.

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
### BEGIN HIDDEN TESTS
from helpers.checks import beside, call, close

for seed, (sizes, activation, bias) in enumerate(
    (((3, 2), "linear", True), ((8, 8, 8, 8, 5), "sigmoid", True), ((5, 12, 3), "relu", False))
):
    random = torch.Generator().manual_seed(420 + seed)
    inputs = torch.randn(7, sizes[0], generator=random, dtype=torch.float64)
    labels = torch.randint(sizes[-1], (7,), generator=random)
    own = gradient_flow.mlp(sizes, activation, 2.0, bias, seed)
    loss = -torch.log_softmax(own(inputs), 1)[torch.arange(7), labels].mean()
    weights = [p for p in own.parameters() if p.ndim == 2]
    truth = np.array([torch.sqrt((g**2).sum()).item() for g in torch.autograd.grad(loss, weights)])
    net = beside(gradient_norms, gradient_flow.mlp, sizes, activation, 2.0, bias, seed)
    close(
        call(gradient_norms, net, inputs, labels),
        truth,
        f"gradient_norms of a {activation} net {sizes}",
        rtol=1e-9,
    )
### END HIDDEN TESTS

# %% [markdown]
# Now three classifiers with 20 layers of 128 × 128 weights between a first and a last one, on random data. We
# look at the 20.

# %%
widths = [64, *[128] * 21, 10]
random = torch.Generator().manual_seed(4)
x, y = torch.randn(64, 64, generator=random, dtype=torch.float64), torch.randint(10, (64,), generator=random)
cases = {
    "ReLU, g = 1/3": ("relu", 1 / 3),
    "tanh, g = 1/3": ("tanh", 1 / 3),
    "sigmoid, g = 1": ("sigmoid", 1.0),
}
norms = {
    name: np.array(
        [gradient_norms(gradient_flow.mlp(widths, *case, seed=seed), x, y)[1:-1] for seed in SEEDS]
    )
    for name, case in cases.items()
}
spread = {name: np.sort(v.max(axis=1) / v.min(axis=1)) for name, v in norms.items()}
for name, ratio in spread.items():
    print(
        f"{name:15} norms about {np.median(norms[name]):.0e}, largest / smallest: {ratio[0]:.2g} to {ratio[-1]:.2g}"
    )
assert (
    max(spread["ReLU, g = 1/3"][-1], spread["tanh, g = 1/3"][-1]) < 3 and spread["sigmoid, g = 1"][0] > 1e11
)

# %%
fig, axis = figures.canvas(
    "Vanishing early layers: true for sigmoid only",
    "layer l",
    "norm of dL/dW",
    yscale="log",
    xticks=(1, 5, 10, 15, 20),
)
for i, (name, values) in enumerate(norms.items()):
    axis.plot(np.arange(1, 21), np.median(values, axis=0), **figures.series(i, marker=True), label=name)
axis.legend(loc="lower right")
figures.show(
    fig,
    alt="Weight-gradient norms of 20 layers for three networks. ReLU and tanh with gain 1/3: flat lines, tiny everywhere. "
    f"Sigmoid with gain 1: a steep line that rises by a factor of {np.median(spread['sigmoid, g = 1']):.0e} from early to late layers.",
)

# %% [markdown]
# **What we should see.** For ReLU and tanh the lines are flat: largest and smallest differ by less than a
# factor of three, while *all* of them are tiny. Early layers see a small error but a large input; late layers
# see a large error but an input that the layers before have shrunk. The product is the same everywhere. Only
# sigmoid behaves as the sentence says, because its outputs stay near $\tfrac12$ however deep we go while its
# gradient shrinks.
#
# So "early layers do not learn" is half true. The whole truth for ReLU and tanh with a small gain is: *no*
# layer learns.
#
# ## 10 · An exact law behind it
#
# Two approximate reasons may cancel by accident. These do not. A bias-free ReLU network is **homogeneous** in
# each layer: multiply $W_l$ by $c > 0$ and the output $f$ is multiplied by $c$. Differentiate by $c$ at 1
# (Euler's theorem):
#
# $$\left\langle W_l, \frac{\partial L}{\partial W_l} \right\rangle = \left\langle f, \frac{\partial L}{\partial f} \right\rangle \quad \text{for every layer } l .$$
#
# The right side does not know $l$.

# %% [markdown]
# ### Exercise 3 · The balance (3 points, about 6 minutes)
#
# Write `balance(net, x, y)`: the inner product $\langle W_l, \partial L / \partial W_l \rangle$, the sum over
# entries of their products, for each linear layer. Again without biases, and the same when called twice.


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
### BEGIN HIDDEN TESTS
from helpers.checks import beside, call, close

for seed, depth in enumerate((1, 3, 8)):
    sizes = (6, *[10] * (depth - 1), 3)
    random = torch.Generator().manual_seed(430 + seed)
    inputs = torch.randn(9, 6, generator=random, dtype=torch.float64)
    labels = torch.randint(3, (9,), generator=random)
    f = gradient_flow.mlp(sizes, "relu", 2.0, False, seed)(inputs).detach().requires_grad_()
    loss = -torch.log_softmax(f, 1)[torch.arange(9), labels].mean()
    (error,) = torch.autograd.grad(loss, f)
    net = beside(balance, gradient_flow.mlp, sizes, "relu", 2.0, False, seed)
    close(
        call(balance, net, inputs, labels),
        np.full(depth, (f * error).sum().item()),
        f"balance of a {depth}-layer net",
        rtol=1e-8,
    )
### END HIDDEN TESTS

# %%
deep = [64, *[96] * 11, 10]
values = balance(gradient_flow.mlp(deep, "relu", 2.0, seed=1), x, y)
others = {
    "with biases": balance(gradient_flow.mlp(deep, "relu", 2.0, bias=True, seed=1), x, y),
    "with tanh": balance(gradient_flow.mlp(deep, "tanh", 2.0, seed=1), x, y),
}
print(
    f"ReLU, no biases: {values[0]:.4f} in each of {len(values)} layers; equal to 13 digits: {np.ptp(values) < 1e-13 * values[0]}"
)
for name, v in others.items():
    print(f"{name}: from {v.min():.3f} to {v.max():.3f}")
assert np.ptp(values) < 1e-13 * values[0] and all(np.ptp(v) > 0.01 for v in others.values())

# %% [markdown]
# The same number in every layer, up to the rounding of float64. With biases or with tanh the law is gone.
#
# It has a consequence. In training by small steps, $\|W_l\|^2$ changes at the rate
# $-2 \langle W_l, \partial L/\partial W_l \rangle$. If this is the same for all layers, the *differences*
# between their squared norms never change (Du, Hu and Lee, 2018): the layers grow and shrink in step.
#
# **Predict.** If we train for the same total time with steps a tenth the size, by what factor does the
# remaining drift of the differences fall?


# %%
def norm_drift(lr, time=2.0):
    """Change of ||W_l||^2 in training, and how far the layers disagree about it."""
    net = gradient_flow.mlp([64, 32, 32, 10], "relu", 2.0, seed=2)
    weights = list(net.parameters())
    before = torch.stack([w.detach().square().sum() for w in weights])
    for _ in range(round(time / lr)):
        gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y), weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w -= lr * g
    change = torch.stack([w.detach().square().sum() for w in weights]) - before
    return change.mean().item(), (change.max() - change.min()).item()


drift = {lr: norm_drift(lr) for lr in (0.1, 0.01)}
for lr, (change, disagreement) in drift.items():
    print(f"steps of {lr}: squared norms change by {change:.3f}, and differ in that by {disagreement:.4f}")
assert 7 < drift[0.1][1] / drift[0.01][1] < 13 and drift[0.01][1] < 0.02 * abs(drift[0.01][0])

# %% [markdown]
# A tenth of the step, a tenth of the drift: in the limit of infinitely small steps the law holds exactly.
#
# ## 11 · If the norms are right, are we done?
#
# With $g = 2$ a plain ReLU network keeps its gradients at any depth. Then what are skips for? One more thing
# can go wrong, and no norm shows it: the *direction*. A gradient is useful for learning if similar inputs ask
# for similar changes. Take two inputs and compare the directions of their input gradients, by the cosine
# between them.
#
# **Predict.** Two unrelated inputs (at a right angle), one plain ReLU layer: is the cosine of their gradients
# 0, ½, or 1? And after four layers?

# %% [markdown]
# ### Exercise 4 · Gradient correlation (4 points, about 8 minutes)
#
# Write `gradient_correlation(net, x)` for a network with one output: for each of the $B$ examples take the
# gradient of *its* output by *its* input, and return the mean cosine between the gradients of two different
# examples. (The network treats examples independently. So one backward pass for all of them is enough; think
# why.)


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
### BEGIN HIDDEN TESTS
from helpers.checks import beside, call, close

for seed, (activation, depth, batch) in enumerate((("relu", 1, 2), ("tanh", 4, 5), ("relu", 6, 7))):
    settings = (activation, 2.0, depth, 20, "none", 1.0, 440 + seed)
    inputs = torch.randn(batch, 20, generator=torch.Generator().manual_seed(450 + seed), dtype=torch.float64)
    own = gradient_flow.scalar_net(*settings)
    rows = [torch.autograd.functional.jacobian(own, row[None]).reshape(-1).numpy() for row in inputs]
    cosines = [a @ b / math.sqrt((a @ a) * (b @ b)) for i, a in enumerate(rows) for b in rows[:i]]
    net = beside(gradient_correlation, gradient_flow.scalar_net, *settings)
    close(
        call(gradient_correlation, net, inputs),
        np.mean(cosines),
        f"gradient_correlation of {depth} layers",
        rtol=1e-9,
        atol=1e-12,
    )
### END HIDDEN TESTS

# %% [markdown]
# We measure at 16 inputs that stand at right angles to each other, and predict from two facts about a pair of
# normal numbers (Cho and Saul, 2009). If two inputs enclose the angle $\theta$, a ReLU unit that is active
# for one is active for the other with probability $1 - \theta / \pi$; that is the factor of the gradients'
# correlation. And the angle itself shrinks from layer to layer.


# %%
def correlations(depth, skip, width=256):
    """Gradient correlation at orthogonal inputs, one number a network."""
    values = []
    for seed in SEEDS:
        random = torch.Generator().manual_seed(900 + seed)
        inputs = torch.linalg.qr(torch.randn(width, 16, generator=random, dtype=torch.float64))[
            0
        ].T * math.sqrt(width)
        values.append(
            gradient_correlation(gradient_flow.scalar_net("relu", 2.0, depth, width, skip, seed=seed), inputs)
        )
    return np.array(values)


depths = (1, 2, 4, 8, 16)
measured = {
    skip: np.array([correlations(depth, skip) for depth in depths]) for skip in ("none", "pre-activation")
}
predicted = {skip: gradient_flow.shattering(16, skip=skip) for skip in measured}
for skip, values in measured.items():
    print(
        skip,
        ", ".join(
            f"L = {n}: {v.mean():.2f} ± {v.std(ddof=1):.2f} ({predicted[skip][n]:.3f})"
            for n, v in zip(depths, values, strict=True)
        ),
    )
    assert all(abs(v.mean() - predicted[skip][n]) < 0.05 for n, v in zip(depths, values, strict=True))
assert [round(predicted["none"][n], 3) for n in (1, 2, 4)] == [0.5, 0.302, 0.142]

# %%
fig, axis = figures.canvas(
    f"At 16 layers plain gradients have {predicted['none'][16]:.3f} in common, residual ones {predicted['pre-activation'][16]:.2f}",
    "depth L (layers)",
    "cosine of two gradients",
    xscale="log",
    yscale="log",
    xticks=depths,
    xticklabels=depths,
)
layers = np.arange(1, 17)
for i, (skip, name) in enumerate((("none", "plain"), ("pre-activation", "residual"))):
    axis.plot(layers, predicted[skip][1:], **figures.series(i), label=f"{name}, predicted")
    look = {"color": figures.COLOURS[i], "marker": figures.MARKERS[i], "linestyle": "", "capsize": 3}
    axis.errorbar(
        depths,
        measured[skip].mean(axis=1),
        measured[skip].std(axis=1, ddof=1),
        **look,
        label=f"{name}, {len(SEEDS)} networks",
    )
axis.plot(layers[:8], 2.0 ** -layers[:8], **figures.series(3), label="halved by every layer")
axis.minorticks_off()
axis.legend(loc="lower left", fontsize=9)
figures.show(
    fig,
    alt="Cosine between the input gradients of two orthogonal inputs against depth. Plain: 0.5 at one layer, "
    f"{predicted['none'][4]:.2f} at four, {predicted['none'][16]:.3f} at sixteen. Residual: {predicted['pre-activation'][4]:.2f} at four, "
    f"{predicted['pre-activation'][16]:.2f} at sixteen. Measured points follow the predicted curves.",
)

# %% [markdown]
# **What we should see.** The plain network's gradients lose what they have in common: ½, then 0.302, then
# 0.142 after four layers; after sixteen they are all but unrelated although their *norms* are perfect. With
# skips the correlation falls more slowly. Balduzzi et al. (2017) call this **shattering**.
#
# **What it does not show.** That the fall is exponential, as their abstract puts it for standard networks. In
# this one (no biases, no batch norm) it is slower than halving, because deep layers see their inputs under
# ever smaller angles. The next cell shows the local exponent: a power law, $L^{-3}$, in both cases. Nor does
# it show that shattered gradients cannot train: this too is the first instant.

# %%
for skip in ("none", "pre-activation"):
    curve = gradient_flow.shattering(4000, skip=skip)
    exponent = math.log(curve[4000] / curve[2000]) / math.log(2)
    print(f"{skip:15} predicted correlation at depth 4000: {curve[4000]:.0e}, decaying as L^{exponent:.2f}")
    assert abs(exponent + 3) < 0.05

# %% [markdown]
# ## 12 · Play
#
# All of this lesson's knobs on one instrument. Some questions to take along: which single knob turns an
# exploding batch-norm net into a healthy one? For which activation do stream and weights tell different
# stories? Where do points leave their lines? How small must a branch be at 50 layers?

# %%
fig = gradient_flow.draw_xray(activation="tanh", gain=1 / 3, depth=50)
figures.show(
    fig,
    alt="X-ray of a plain tanh network of 50 layers with gain 1/3: the gradient in the stream falls from 1 at the output to about 1e-12 at the input; "
    "the gradients of the weights are equally tiny in all layers. Measured points lie on the predicted lines.",
)

# %% live=true
figures.explore(
    gradient_flow.draw_xray,
    activation=["relu", "tanh", "sigmoid", "linear"],
    gain=(0.25, 3.0, 0.25),
    depth=(5, 50, 5),
    normalisation=["none", "batch", "layer"],
    skip=["none", "residual", "pre-activation"],
    branch_scale=(0.1, 1.0, 0.1),
    seed=(0, 9, 1),
)

# %% [markdown] question="limits"
# ### Question · Four limits (4 points, about 8 minutes)
#
# The second question of our second source: *"What are 4 limitations to optimizing a deep convolutional neural
# network?"* Name four, each with a reason, and for at least two of them point to a measurement of lessons 1
# to 4 (or say that we have none yet).
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
# Expected among others: gradients that vanish (factor sqrt(g/2) = 0.408 a layer by default) or explode (batch
# norm 1.211 a layer; residual 1.414); saturation (lesson 3); zero padding, which costs signal and gradient at
# the edges (0.392 against 0.408; lesson 1); sensitivity to initialisation and learning rate; shattered
# gradients; degradation: deeper plain nets reach a higher *training* loss (lesson 7); updates lost to
# rounding (lesson 3); cost in memory and time, which grows with depth; a loss surface that is not convex
# (lesson 9).
#
# Misconceptions: overfitting is named as a problem of optimisation (it is one of generalisation); "early
# layers always get less" (for ReLU all layers get the same); "batch norm solves vanishing and exploding
# gradients"; "skips make the factor 1".
# === END MARK SCHEME ===

# %% [markdown] response="limits" points=4
# ### BEGIN SOLUTION
# 1. *Gradients vanish.* A layer multiplies them by $\sqrt{g/2}$; with PyTorch's default that is 0.41
#    (measured 0.41), so 20 layers leave about $10^{-8}$, in all layers alike.
# 2. *Gradients explode.* Batch norm with ReLU multiplies by 1.21 a layer whatever the weights, and a residual
#    net with $g = 2$ by 1.41: 50 layers give factors of ten thousand and of ten million.
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
# - Zero padding costs a few per cent a layer; batch norm alone makes gradients explode; a skip needs a small
#   branch.
# - In a bias-free ReLU network $\langle W_l, \partial L / \partial W_l\rangle$ is the same in every layer: in
#   this measure none vanishes alone.
# - Norms are not all. Gradients can have the right size and nothing in common.

# %%
progress(check, globals())

# %% [markdown]
# ## The question for the next lesson
#
# We know what a skip is to do. But does the block of our third source do it, line for line as it was
# published? And for which images does it work at all?
#
# ## References
#
# - X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS
#   (2010). [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - K. He, X. Zhang, S. Ren, J. Sun, *Delving deep into rectifiers* (2015).
#   [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
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
