"""Checks of lesson 4: hints for the likely mistakes."""

import math

import numpy as np
import torch

from helpers import gradient_flow
from helpers.checks.core import beside, call, close, exercise, expect

__all__ = ["balance", "gain_factor", "gradient_correlation", "gradient_norms"]


@exercise
def gain_factor(answer):
    """The factor of a layer against adaptive quadrature."""
    cases = [
        ("relu", 1 / 3, 1.0, False),
        ("relu", 2.0, 5.0, False),
        ("relu", 0.8, 1.0, True),
        ("tanh", 1.0, 1.0, False),
        ("tanh", 1 / 3, 0.5, True),
        ("tanh", 2.0, 100.0, True),
    ]
    for activation, g, q, skip in cases:
        what = f"gain_factor({activation!r}, {g:.4g}, {q:g}, {skip})"
        if activation == "relu":
            truth, mistakes = math.sqrt(skip + g / 2), _relu_mistakes(g, skip)
        else:
            truth, mistakes = math.sqrt(skip + g * _slope(g * q, 2)), _tanh_mistakes(g, q, skip)
        close(call(answer, activation, g, q, skip), truth, what, rtol=1e-6, mistakes=mistakes)


def _slope(variance, power):
    """E tanh'(h)^power for h normal, by adaptive quadrature over the spike at 0 and the tails."""
    from scipy.integrate import quad

    scale = math.sqrt(variance)

    def density(h):
        return math.cosh(h) ** (-2 * power) * math.exp(-(h**2) / (2 * variance))

    edge = min(12.0, 9 * scale)
    return 2 * quad(density, 0, edge, epsabs=1e-13, epsrel=1e-11)[0] / (scale * math.sqrt(2 * math.pi))


def _relu_mistakes(g, skip):
    square = "You are asked for the factor of the gradient's size: take the square root of the factor of its mean square."
    mistakes = [
        (skip + g / 2, square),
        (
            math.sqrt(skip + g),
            "ReLU passes the gradient through half of its units only: E phi'(h)^2 is 1/2, not 1.",
        ),
        (math.sqrt(skip + g / 4), "phi' of ReLU is 0 or 1, so its square has the same mean, 1/2, not 1/4."),
        (math.sqrt(skip + 1 / (2 * g)), "g multiplies: a larger weight carries more gradient."),
    ]
    if skip:
        mistakes += [
            (
                1 + math.sqrt(g / 2),
                "The two paths add as squares, not as sizes: their cross term is 0 on average.",
            ),
            (math.sqrt(g / 2), "With skip=True the gradient has a second path, of factor 1."),
            (1.0, "A skip does not make the factor 1: the branch adds its own share."),
        ]
    return mistakes


def _tanh_mistakes(g, q, skip):
    slope = _slope(g * q, 2)
    gauss = (
        "This is a Gauss-Hermite rule with {n} nodes. Draw phi'(h)^2 over h for a variance of 200, and mark your nodes: "
        "how many of them see anything of it?"
    )
    mistakes = [
        (
            skip + g * slope,
            "Take the square root: you are asked for the factor of the size, not of the mean square.",
        ),
        (
            math.sqrt(skip + g * _slope(g * q, 1)),
            "You are asked for the mean of the square, E[phi'(h)^2], not the mean of phi'(h).",
        ),
        (
            math.sqrt(skip + g * _slope(g * q, 1) ** 2),
            "Square first, then average: E[phi'^2] is more than (E phi')^2.",
        ),
        (math.sqrt(skip + g * _slope(q, 2)), "The pre-activation h = W x has variance g q, not q."),
        (
            math.sqrt(skip + g * _slope((g * q) ** 2, 2)),
            "g q is the variance of h; its standard deviation is the root of that.",
        ),
        (math.sqrt(skip + g), "tanh has slope 1 at 0 only: average phi'(h)^2 over the distribution of h."),
        (math.sqrt(skip + g / 2), "1/2 is the mean squared slope of ReLU; for tanh you need an integral."),
        (math.sqrt(skip + slope), "g is missing: the weights carry the gradient too."),
    ]
    if skip:
        mistakes += [
            (
                1 + math.sqrt(g * slope),
                "The two paths add as squares, not as sizes: their cross term is 0 on average.",
            ),
            (math.sqrt(g * slope), "With skip=True the gradient has a second path, of factor 1."),
        ]
    for n in (10, 16, 20, 21, 30, 32, 40, 50, 51, 64, 80, 99, 100, 101, 128, 150, 200):
        node, weight = np.polynomial.hermite_e.hermegauss(n)
        value = weight @ np.cosh(math.sqrt(g * q) * node) ** -4.0 / weight.sum()
        if abs(value / slope - 1) > 1e-4:
            mistakes.append((math.sqrt(skip + g * value), gauss.format(n=n)))
    return mistakes


def _example(seed, widths=(6, 9, 7, 4), batch=5):
    """Inputs and labels for a small classifier."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, widths[0], generator=random, dtype=torch.float64)
    return x, torch.randint(widths[-1], (batch,), generator=random)


def _gradients(net, x, y, **loss):
    """Weights, their gradients and those of the biases, by autograd."""
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    parameters = [p for layer in layers for p in layer.parameters()]
    value = torch.nn.functional.cross_entropy(net(x), y, **loss)
    found = dict(zip(map(id, parameters), torch.autograd.grad(value, parameters), strict=True))
    weights = [layer.weight.detach() for layer in layers]
    biases = [found[id(layer.bias)] for layer in layers if layer.bias is not None]
    return weights, [found[id(layer.weight)] for layer in layers], biases


def _norms(tensors, order=None):
    return [t.norm().item() if order is None else torch.linalg.norm(t, order).item() for t in tensors]


@exercise
def gradient_norms(answer):
    """Norms of dL/dW in a small perceptron with biases against autograd."""
    widths = (6, 9, 7, 4)
    x, y = _example(1, widths)
    make = (gradient_flow.mlp, widths, "tanh", 2.0, True, 3)
    net = beside(answer, *make)
    weights, gradients, biases = _gradients(make[0](*make[1:]), x, y)
    summed = _gradients(make[0](*make[1:]), x, y, reduction="sum")[1]
    truth = np.array(_norms(gradients))
    both = [g for pair in zip(gradients, biases, strict=True) for g in pair]
    mistakes = [
        (
            _norms(both),
            "These are the gradients of the biases too: you are asked for the weight matrices of the linear layers only.",
        ),
        (_norms(biases), "These are the gradients of the biases, not of the weights."),
        (
            np.hypot(truth, _norms(biases)),
            "The norms include the biases: take `layer.weight` alone, not all parameters of a layer.",
        ),
        (_norms(weights), "These are the norms of the weights themselves, not of their gradients."),
        (truth**2, "These are squared norms: take the root."),
        (_norms(summed), "The loss is the mean over the batch, not the sum."),
        (truth[::-1], "The layers come in the wrong order: the first is the one next to the input."),
        (
            [g.square().mean().sqrt().item() for g in gradients],
            "This is the root mean square of an entry, not the norm.",
        ),
        (
            [g.abs().sum().item() for g in gradients],
            "This is the sum of the absolute values; the Frobenius norm sums squares.",
        ),
        ([g.abs().max().item() for g in gradients], "This is the largest entry, not the norm."),
        ([g.abs().mean().item() for g in gradients], "This is the mean absolute entry, not the norm."),
        (
            _norms(gradients, 2),
            "This is the spectral norm (the largest singular value), not the Frobenius norm.",
        ),
    ]
    close(call(answer, net, x, y), truth, "gradient_norms(net, x, y)", rtol=1e-9, mistakes=mistakes)
    close(
        call(answer, net, x, y),
        truth,
        "gradient_norms, called a second time,",
        rtol=1e-9,
        mistakes=[
            (
                2 * truth,
                "The second call gives twice the first: `.backward()` adds to what is in `.grad`. Clear it, or use autograd.grad.",
            )
        ],
    )


@exercise
def balance(answer):
    """<W, dL/dW> of each layer, without biases against Euler's theorem, with biases against autograd."""
    widths = (6, 9, 7, 4)
    x, y = _example(2, widths)
    plain = (gradient_flow.mlp, widths, "relu", 2.0, False, 4)
    logits = plain[0](*plain[1:])(x).detach()
    error = torch.softmax(logits, 1) - torch.nn.functional.one_hot(y, widths[-1])
    euler = np.full(3, (logits * error).sum().item() / len(x))
    for make, truth in ((plain, euler), ((gradient_flow.mlp, widths, "tanh", 1.0, True, 5), None)):
        net = beside(answer, *make)
        own = make[0](*make[1:])
        weights, gradients, biases = _gradients(own, x, y)
        inner = np.array([(w * g).sum().item() for w, g in zip(weights, gradients, strict=True)])
        truth = inner if truth is None else truth
        mistakes = [
            (
                _norms(gradients),
                "These are norms of gradients: multiply with the weights entry by entry, then sum.",
            ),
            (
                inner / np.multiply(_norms(weights), _norms(gradients)),
                "This is the cosine between weights and gradient: do not divide by the norms.",
            ),
            (inner.mean(), "One number for each layer, please: they are to be compared."),
            (inner.sum(), "One number for each layer, please: they are to be compared."),
            (
                [(w * g).mean().item() for w, g in zip(weights, gradients, strict=True)],
                "The entries are summed, not averaged.",
            ),
            (
                [(w * g).abs().sum().item() for w, g in zip(weights, gradients, strict=True)],
                "Products of either sign count: no absolute values.",
            ),
            (
                np.multiply(_norms(weights), _norms(gradients)),
                "The product of two norms is not the inner product: multiply entry by entry, then sum.",
            ),
            (len(x) * inner, "The loss is the mean over the batch, not the sum."),
            (inner[::-1], "The layers come in the wrong order: the first is the one next to the input."),
            (-inner, "The sign is turned round."),
        ]
        if biases:
            linear = [layer for layer in own if isinstance(layer, torch.nn.Linear)]
            with_bias = [
                v + (layer.bias.detach() * b).sum().item()
                for v, layer, b in zip(inner, linear, biases, strict=True)
            ]
            mistakes.append((with_bias, "The biases are in: take the weight matrices alone."))
        what = f"balance of a {make[2]} net {'with' if biases else 'without'} biases"
        returned = call(answer, net, x, y)
        expect(
            not beside(answer, _remembers_its_graph, answer, beside(answer, *make), x, y),
            "What comes back are tensors that still remember how they were computed, and nobody can plot them. "
            "Give plain numbers: ask yourself where a tensor ends and its value begins.",
        )
        close(returned, truth, what, rtol=1e-8, mistakes=mistakes)
        close(
            call(answer, net, x, y),
            truth,
            f"{what}, called a second time,",
            rtol=1e-8,
            mistakes=[
                (
                    2 * truth,
                    "The second call gives twice the first: `.backward()` adds to what is in `.grad`.",
                )
            ],
        )


@exercise
def gradient_correlation(answer):
    """The mean cosine of input gradients against the explicit Jacobian."""
    for skip in ("none", "pre-activation"):
        make = (gradient_flow.scalar_net, "relu", 2.0, 3, 24, skip, 1.0, 6)
        net, own = beside(answer, *make), make[0](*make[1:])
        x = torch.randn(4, 24, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        rows = torch.stack(
            [torch.autograd.functional.jacobian(own, row[None]).reshape(-1) for row in x]
        ).numpy()
        cosines = _cosines(rows)
        off = ~np.eye(4, dtype=bool)
        inner = rows @ rows.T
        states = own[0](x).detach().numpy()
        mistakes = [
            (
                cosines.mean(),
                "The mean takes in each gradient with itself (cosine 1): leave the diagonal out.",
            ),
            (
                inner[off].mean(),
                "These are inner products: divide by both norms, so that the size of the gradients drops out.",
            ),
            (
                inner[off].mean() / np.diag(inner).mean(),
                "Divide each inner product by its own two norms, then average.",
            ),
            (np.abs(cosines[off]).mean(), "Cosines of either sign count: no absolute values."),
            ((cosines[off] ** 2).mean(), "Average the cosines, not their squares."),
            (cosines[off].sum(), "You are asked for the mean over the pairs, not the sum."),
            (cosines[off].sum() / 2, "You are asked for the mean over the pairs, not the sum."),
            (
                cosines[off].sum() / 16,
                "The sum runs over pairs i != j: there are B (B - 1) of them, not B^2.",
            ),
            (
                cosines[off].sum() / 24,
                "The mean is half of what it should be: count the pairs (i, j) with i < j once.",
            ),
            (cosines[0, 1], "This is the first pair only: average over all pairs."),
            (
                _cosines(x.numpy())[off].mean(),
                "These are the cosines of the inputs, not of the gradients there.",
            ),
            (
                _cosines(states)[off].mean(),
                "These are the cosines of the outputs of the body, not of the input gradients.",
            ),
            (
                np.corrcoef(rows)[off].mean(),
                "np.corrcoef subtracts each gradient's mean entry first; a cosine does not.",
            ),
            (
                1.0,
                "All gradients came out alike: is it the gradient of each example, or their sum for all of them?",
            ),
        ]
        what = f"gradient_correlation, skip={skip!r}"
        close(call(answer, net, x.clone()), cosines[off].mean(), what, rtol=1e-9, mistakes=mistakes)
        x_after, grad = beside(answer, _left_behind, answer, net, x)
        close(
            x_after,
            x,
            "the caller's x after the call",
            mistakes=[(x_after, "The caller's x was changed by the call: work on a copy of it.")],
        )
        expect(
            not grad,
            "The caller's x keeps something of the call: it asks for gradients now, or holds one in `.grad`, and "
            "`.backward()` adds the next one to it. Work on a tensor of your own.",
        )


def _remembers_its_graph(answer, net, x, y):
    """Tell whether what the answer returns, or an entry of it, still requires a gradient."""
    returned = answer(net, x, y)
    entries = [returned, *(returned if isinstance(returned, (list, tuple)) else ())]
    return any(bool(getattr(entry, "requires_grad", False)) for entry in entries)


def _left_behind(answer, net, x):
    """The x that was handed over as a call leaves it, and whether it then requires or holds a gradient."""
    handed = x.clone()
    answer(net, handed)
    return handed.detach().clone(), bool(handed.requires_grad or handed.grad is not None)


def _cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T
