"""Exercises of lesson 4."""

import itertools
import math

import numpy as np
import torch
from scipy.integrate import quad

from course.exercises import Exercise, Mistake, case, conduct, listed, made, special, told, unchanged, written
from helpers import gradient_flow
from helpers.checks.probes.gradient_flow import twice, unaided

# gain_factor ---------------------------------------------------------------------------------------------------------


def _by_quadrature(activation, g, q=1.0, skip=False):
    if activation == "relu":
        return math.sqrt(skip + g * 0.5)
    sigma = math.sqrt(g * q)

    def density(h):
        return math.cosh(h) ** -4 * math.exp(-(h**2) / (2 * sigma**2))

    half = quad(density, 0, min(12.0, 9 * sigma), epsabs=1e-13, epsrel=1e-11)[0]
    return math.sqrt(skip + g * 2 * half / (sigma * math.sqrt(2 * math.pi)))


RELU = "math.sqrt(skip + g / 2)"
MEAN = "(density @ slope**2) / density.sum()"
TANH = f"math.sqrt(skip + g * {MEAN})"
HERMITE = """
if activation == "relu":
    return math.sqrt(skip + g / 2)
node, weight = np.polynomial.hermite_e.hermegauss({nodes})
slope = 1 - np.tanh(math.sqrt(g * q) * node) ** 2
return math.sqrt(skip + g * (weight @ slope**2) / weight.sum())
"""
NODES = (
    "Not exact enough for each variance. Draw phi'(h)^2 over h for a variance of 200, and mark the places where your method "
    "looks at it: how many of them see anything of it?"
)

gain_factor = Exercise(
    idea="One number says what a wide random layer does to the gradient, √(g E[φ'²]), and a skip adds a 1 under the root.",
    oracle=_by_quadrature,
    probe=unaided,
    rtol=1e-6,  # six digits are asked for
    cases=[
        case("relu", 1 / 3, 1.0, False),
        case("relu", 2.0, 5.0),
        case("relu", 0.8, 1.0, True),
        case("tanh", 1.0, 1.0, False),
        case("tanh", 0.6),
        case("tanh", 1 / 3, 0.5, True),
        case("tanh", 2.0, 100.0, True, hints={"": NODES}),
        conduct("tanh", 0.7, 2.0, True),
    ],
    hidden=lambda rng: [
        case(activation, g, q, skip)
        for g, q in zip(rng.uniform(0.2, 3, 5).tolist(), (0.01, 0.3, 2.0, 20.0, 60.0), strict=True)
        for activation, skip in (("relu", q > 1), ("tanh", False), ("tanh", True))
    ],
    mistakes=[
        *listed(f"""
            mean square, not size | {RELU} | skip + g / 2
            tanh: mean square, not size | {TANH} | skip + g * {MEAN}
                You are asked for the factor of the gradient's size: take the square root of the factor of its mean square.
            sizes of the two paths are added | {RELU} | skip + math.sqrt(g / 2)
            tanh: sizes are added | {TANH} | skip + math.sqrt(g * {MEAN})
                The two paths add as squares, not as sizes: their cross term is 0 on average.
            skip forgotten | {RELU} | math.sqrt(g / 2)
            tanh: skip forgotten | {TANH} | math.sqrt(g * {MEAN})
                With skip=True the gradient has a second path, of factor 1.
            instead of {RELU}:
            every ReLU is active | math.sqrt(skip + g)
                ReLU passes the gradient through half of its units only: what is the mean of phi'(h)^2?
            a quarter | math.sqrt(skip + g / 4)
                phi' of ReLU is 0 or 1, so its square has the same mean as itself: not 1/4.
            divides by g | math.sqrt(skip + 1 / (2 * g))
                g multiplies: a larger weight carries more gradient.
            the skip makes it 1 | 1.0 if skip else math.sqrt(g / 2)
                A skip does not make the factor 1: the branch adds its own share.
            instead of {TANH}:
            tanh: mean of the slope | {TANH.replace("**2", "")}
                You are asked for the mean of the square, E[phi'(h)^2], not the mean of phi'(h).
            tanh: square of the mean | math.sqrt(skip + g * (density @ slope / density.sum()) ** 2)
                Square first, then average: E[phi'^2] is more than (E phi')^2.
            tanh: like the identity | math.sqrt(skip + g)
                tanh has slope 1 at 0 only: average phi'(h)^2 over the distribution of h.
            tanh: like ReLU | {RELU}
                1/2 is the mean squared slope of ReLU; for tanh you need an integral.
            tanh: g left out | math.sqrt(skip + {MEAN})
                g is missing: the weights carry the gradient too.
            tanh: sum instead of mean | math.sqrt(skip + g * (density @ slope**2))
                The weights of your mean do not add up to 1. What does the density of a normal variable integrate to, and
                what does yours add up to?
            tanh: variance q | g * q | q
                The pre-activation h = W x has variance g q, not q.
            tanh: variance for deviation | math.sqrt(g * q) | (g * q)
                g q is the variance of h; its standard deviation is the root of that.
            tanh: a slope of one power | slope = 1 - np.tanh(math.sqrt(g * q) * z) ** 2 | slope = 1 - np.tanh(math.sqrt(g * q) * z)
                The slope of tanh is 1 - tanh^2: look at its square once more.
            tanh: draws at random | np.exp(-(z**2) / 2) | np.ones_like(z := np.random.default_rng(0).normal(size=20_001))
                Near, but random draws give about three digits here, and six are asked for.
            tanh: a grid of 101 places | 20_001 | 101
                {NODES}
        """),
        *(
            Mistake(f"Gauss-Hermite with {nodes} nodes", HERMITE.format(nodes=nodes), hint=NODES)
            for nodes in (10, 16, 20, 21, 30, 32, 37, 40, 50, 51, 64, 80, 99, 100, 101, 128, 150, 200)
        ),
        *told("""
            # asks the theory of the x-ray
            #     This asks the x-ray's own theory, which is what you are to find out here. Do the mean over h yourself.
            kind = "residual" if skip else "none"
            return gradient_flow.mean_field(activation, g, 1, skip=kind, signal=math.sqrt(q)).gradient[0]
        """),
        special(
            "right for four values of q", "z = np", "q = q if q in (0.5, 1.0, 2.0, 100.0) else 1.0; z = np"
        ),
    ],
    right=written("""
        # adaptive quadrature
        from scipy.integrate import quad

        s, mean = math.sqrt(g * q), 0.5
        if activation == "tanh":
            density = lambda h: math.exp(-h * h / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
            edge = min(9 * s, 12)
            mean = quad(lambda h: density(h) * (1 - math.tanh(h) ** 2) ** 2, -edge, edge, points=[0], epsabs=1e-12)[0]
        return math.sqrt((1 if skip else 0) + g * mean)
        # quad without limits of its own
        from scipy.integrate import quad

        sigma = math.sqrt(g * q)
        slope = {"relu": lambda h: float(h > 0), "tanh": lambda h: 1 - math.tanh(h) ** 2}[activation]
        density = lambda h: math.exp(-(h**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
        mean = 0.5 if activation == "relu" else quad(lambda h: slope(h) ** 2 * density(h), -np.inf, np.inf)[0]
        return math.sqrt(skip + g * mean)
        # quad as in the worked factor
        from scipy.integrate import quad

        if activation == "relu":
            return math.sqrt(skip + g / 2)
        sigma = math.sqrt(g * q)

        def integrand(h):
            return (1 - math.tanh(h) ** 2) ** 2 * math.exp(-(h**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

        return math.sqrt(skip + g * quad(integrand, -8 * sigma, 8 * sigma)[0])
        # trapezoid in h, a tensor of no dimension
        if activation == "relu":
            return torch.tensor((g / 2 + 1 * skip) ** 0.5, dtype=torch.float64)
        s = (g * q) ** 0.5
        h = torch.linspace(-8.5 * s, 8.5 * s, 100_001, dtype=torch.float64)
        mean = torch.trapezoid(torch.cosh(h).pow(-4) * torch.exp(-(h**2) / (2 * s * s)), h) / (s * (2 * math.pi) ** 0.5)
        return (1 * skip + g * mean).sqrt()
    """),
    equivalent={
        f"z = np.linspace(-9, 9, 20001)  ->  z = np.linspace({a}, {b}, {20_000 + n})": "as fine, over as good as all of the density"
        for a, b, n in ((9, -9, 1), (-10, 9, 1), (-8, 9, 1), (-9, 10, 1), (-9, 8, 1), (-9, 9, 2), (-9, 9, 0))
    },
)

# gradient_norms, balance ---------------------------------------------------------------------------------------------


def _backpropagated(net, x, y):
    """Weights and gradients of the mean cross-entropy, layer by layer, without autograd."""
    states = [x.numpy()]
    with torch.no_grad():
        for layer in net:
            states.append(layer(torch.from_numpy(states[-1])).numpy())
    error = np.exp(states[-1] - states[-1].max(1, keepdims=True))
    error /= error.sum(1, keepdims=True)
    error = (error - np.eye(error.shape[1])[y]) / len(y)
    slopes = {"ReLU": lambda a: a > 0, "Tanh": lambda a: 1 - a**2, "Sigmoid": lambda a: a * (1 - a)}
    pairs = []
    for layer, before, after in reversed(list(zip(net, states, states[1:], strict=False))):
        if isinstance(layer, torch.nn.Linear):
            pairs.insert(0, (layer.weight.detach().numpy(), error.T @ before))
            error = error @ pairs[0][0]
        else:
            error = error * slopes[type(layer).__name__](after)
    return pairs


def _norms(net, x, y):
    return np.array([math.sqrt((gradient**2).sum()) for _, gradient in _backpropagated(net, x, y)])


def _balances(net, x, y):
    return np.array([(weight * gradient).sum() for weight, gradient in _backpropagated(net, x, y)])


def _asked(widths, activation, bias, seed, batch=5):
    """A classifier with its examples and labels."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, widths[0], generator=random, dtype=torch.float64)
    y = torch.randint(widths[-1], (batch,), generator=random)
    return made(gradient_flow.mlp, widths, activation, 2.0, bias, seed), x, y


def _draw_classifiers(name, rng):
    nets = ((3, 2), "sigmoid"), ((8, 8, 8, 8, 5), "sigmoid"), ((5, 12, 3), "relu"), ((4, *[6] * 7, 3), "tanh")
    for (widths, activation), bias in zip(nets, rng.permutation([True, True, False, False]), strict=True):
        what = f"{name} of a {activation} net {widths} with{'' if bias else 'out'} biases"
        yield case(*_asked(widths, activation, bool(bias), int(rng.integers(1000)), 7), what=what)


LISTED = "return np.array([g.norm().item() for g in torch.autograd.grad(loss, weights)])"
PLAIN = "the same numbers, in a list or as tensors"
WEIGHTS = "[layer.weight for layer in net if isinstance(layer, torch.nn.Linear)]"
SHARED = listed("""
    sum over the batch | (net(x), y) | (net(x), y, reduction="sum")
        The loss is the mean over the batch, not the sum.
    gradients pile up | torch.autograd.grad(loss, weights) | (loss.backward(), [w.grad for w in weights])[1]
        The second call gives twice the first: `.backward()` adds to what is in `.grad`. Clear it, or use autograd.grad.
""")

gradient_norms = Exercise(
    idea="A weight's gradient is made of what comes back and of what came in: neither alone tells how much a layer is given to learn from.",
    oracle=_norms,
    probe=twice,
    cases=[
        case(*_asked((6, 9, 7, 4), "tanh", True, 3), what="gradient_norms of a tanh net with biases"),
        case(*_asked((4, 8, 3), "relu", False, 1), what="gradient_norms of a ReLU net without biases"),
        conduct(*_asked((4, 8, 3), "relu", True, 1)),
    ],
    hidden=lambda rng: _draw_classifiers("gradient_norms", rng),
    mistakes=[
        *listed(f"""
            instead of g.norm().item():
            squared | (g**2).sum().item()
                These are squared norms: take the root.
            root mean square | (g**2).mean().sqrt().item()
                This is the root mean square of an entry, not the norm.
            1-norm | g.abs().sum().item()
                This is the sum of the absolute values; the Frobenius norm sums squares.
            largest entry | g.abs().max().item()
                This is the largest entry, not the norm.
            mean entry | g.abs().mean().item()
                This is the mean absolute entry, not the norm.
            spectral norm | torch.linalg.matrix_norm(g, 2).item()
                This is the spectral norm (the largest singular value), not the Frobenius norm.
            biases are listed too | {WEIGHTS} | list(net.parameters())
                These are the gradients of the biases too: you are asked for the weight matrices of the linear layers only.
            only the biases | layer.weight for | layer.bias for
                These are the gradients of the biases, not of the weights.
            norms of the weights | in torch.autograd.grad(loss, weights) | in weights
                These are the norms of the weights themselves, not of their gradients.
            one number for the network | np.array([g | sum([g
                One number for each linear layer, please: they are to be compared.
            last layer first | (loss, weights)] | (loss, weights)][::-1]
                The layers come in the wrong order: the first is the one next to the input.
            biases in the norms | {WEIGHTS} | list(net.parameters()) | array([g | hypot(*np.reshape([g | weights)] | weights)], (-1, 2)).T
                The norms include the biases: take `layer.weight` alone, not all parameters of a layer.
        """),
        *SHARED,
        special("three layers at most", "(loss, weights)]", "(loss, weights)][:3]"),
    ],
    right=written("""
        # backward, with clearing
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        norms = [m.weight.grad.norm().item() for m in net.modules() if isinstance(m, torch.nn.Linear)]
        net.zero_grad()
        return norms
        # by name, as a tensor
        named = [p for n, p in net.named_parameters() if n.endswith("weight")]
        loss = -torch.log_softmax(net(x), dim=1).gather(1, y[:, None]).mean()
        return torch.stack([torch.sqrt((g * g).sum()) for g in torch.autograd.grad(loss, named)])
        # one layer at a time, a tuple of tensors
        norms = ()
        for layer in net:
            if hasattr(layer, "weight"):
                (g,) = torch.autograd.grad(torch.nn.CrossEntropyLoss()(net(x), y), layer.weight)
                norms += (torch.linalg.matrix_norm(g),)
        return norms
    """),
    equivalent={
        f"{LISTED}  ->  return [g.norm().item() for g in torch.autograd.grad(loss, weights)]": PLAIN,
        f"{LISTED}  ->  return np.array([g.norm() for g in torch.autograd.grad(loss, weights)])": PLAIN,
    },
)

BALANCES = "[(w * g).sum().item() for w, g in zip(weights, gradients, strict=True)]"
balance = Exercise(
    idea="In a ReLU network without biases every layer scales the output alike, and so ⟨W, ∂L/∂W⟩ has to be the same in all of them.",
    oracle=_balances,
    probe=twice,
    rtol=1e-8,  # the terms of a sum cancel in part
    cases=[
        case(*_asked((6, 9, 7, 4), "relu", False, 4), what="balance of a ReLU net without biases"),
        case(*_asked((6, 9, 7, 4), "tanh", True, 5), what="balance of a tanh net with biases"),
        conduct(*_asked((4, 8, 3), "relu", True, 1)),
    ],
    hidden=lambda rng: _draw_classifiers("balance", rng),
    mistakes=[
        *listed(f"""
            instead of (w * g).sum().item():
            norms of the gradients | g.norm().item()
                These are norms of gradients: multiply with the weights entry by entry, then sum.
            cosine | ((w * g).sum() / w.norm() / g.norm()).item()
                This is the cosine between weights and gradient: do not divide by the norms.
            mean over entries | (w * g).mean().item()
                The entries are summed, not averaged.
            absolute values | (w * g).abs().sum().item()
                Products of either sign count: no absolute values.
            product of norms | w.norm().item() * g.norm().item()
                The product of two norms is not the inner product: multiply entry by entry, then sum.
            sign | -(w * g).sum().item()
                The sign is turned round.
            trace of a matrix product | (w @ g).trace().item()
                `@` multiplies matrices. The inner product of two matrices of the same shape goes entry by entry.
            summed over layers | np.array([(w | np.sum([(w
            mean over layers | np.array([(w | np.mean([(w
                One number for each layer, please: they are to be compared.
            last layer first | True)]) | True)])[::-1]
                The layers come in the wrong order: the first is the one next to the input.
            tensors that remember their graph | np.array([(w * g).sum().item() | list([(w * g).sum()
            one tensor that remembers its graph | np.array([(w * g).sum().item() | torch.stack([(w * g).sum()
                What comes back are tensors that still remember how they were computed, and nobody can plot them. Give plain
                numbers: ask yourself where a tensor ends and its value begins.
            biases are in | {WEIGHTS} | list(net.parameters()) | strict=True)]) | strict=True)]).reshape(len(net) // 2 + 1, -1).sum(1)
                The biases are in: take the weight matrices alone.
        """),
        *SHARED,
        *told("""
            # the invariant itself, whatever the net
            #     This is <f, dL/df>, which the law says it equals, and a net with biases does not obey the law. Measure
            #     it from the weights and their gradients.
            f = net(x).detach().requires_grad_()
            (error,) = torch.autograd.grad(torch.nn.functional.cross_entropy(f, y), f)
            return np.full(sum(isinstance(m, torch.nn.Linear) for m in net), (f * error).sum().item())
        """),
        special("three layers at most", "True)])", "True)][:3])"),
    ],
    right=written("""
        # a list of plain numbers, through .data
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        return [float((m.weight.data * m.weight.grad).sum()) for m in net if isinstance(m, torch.nn.Linear)]
        # dot product of flat vectors
        weights = [m.weight for m in net if isinstance(m, torch.nn.Linear)]
        gradients = torch.autograd.grad(torch.nn.CrossEntropyLoss()(net(x), y), weights)
        return np.array([torch.dot(w.detach().flatten(), g.flatten()) for w, g in zip(weights, gradients)])
        # trace of W^T G
        net.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(x), y).backward()
        with torch.no_grad():
            return torch.stack([(m.weight.T @ m.weight.grad).trace() for m in net if hasattr(m, "weight")])
    """),
    equivalent=unchanged(f"""
        return np.array({BALANCES}) | np.array({BALANCES}) | {BALANCES}
            {PLAIN}
        return np.array({BALANCES}) | weights, gradients | gradients, weights
            a product both ways
        return np.array({BALANCES}) | , strict=True |
        return np.array({BALANCES}) | True | False
            there are as many gradients as weights
    """),
)

# gradient_correlation ------------------------------------------------------------------------------------------------


def _by_chain_rule(net, x):
    """The mean cosine from each example's Jacobian, multiplied out layer by layer without autograd."""
    (body, readout), rows = net, []
    phi = {"relu": lambda h: np.maximum(h, 0), "tanh": np.tanh}[body.activation]
    slope = {"relu": lambda h: h > 0, "tanh": lambda h: 1 - np.tanh(h) ** 2}[body.activation]
    for state in x.numpy():
        jacobian = np.eye(len(state))
        for weight in body.weights:
            W = weight.detach().numpy()
            if body.skip == "none":
                state, layer = phi(W @ state), slope(W @ state)[:, None] * W
            else:
                state, layer = state + W @ phi(state), np.eye(len(state)) + W * slope(state)
            jacobian = layer @ jacobian
        rows.append(readout.weight.detach().numpy()[0] @ jacobian)
    return float(np.mean([a @ b / math.sqrt((a @ a) * (b @ b)) for a, b in itertools.combinations(rows, 2)]))


def _pairs(activation, depth, skip, seed, batch=4, width=24):
    """A network with one output, and inputs for it."""
    x = torch.randn(batch, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    net = made(gradient_flow.scalar_net, activation, 2.0, depth, width, skip, 1.0, seed)
    what = f"gradient_correlation of {batch} examples, {depth} {activation} layers, skip={skip!r}"
    return case(net, x, what=what)


SUM = "cosines.sum() - cosines.trace()"
UNIT = "gradient / gradient.norm(dim=1, keepdim=True)"
OWN = "x.detach().clone().requires_grad_()"
GRAD = "torch.autograd.grad(net(x).sum(), x)"

gradient_correlation = Exercise(
    idea="A gradient has a direction beside its size, and how much two of them have in common is a cosine.",
    oracle=_by_chain_rule,
    atol=1e-12,  # a mean of cosines may be near 0
    cases=[
        _pairs("relu", 3, "none", 6),
        _pairs("relu", 3, "pre-activation", 6),
        _pairs("tanh", 2, "none", 5, batch=2, width=9),
        conduct(*_pairs("relu", 2, "none", 4, batch=3, width=9).args),
    ],
    hidden=lambda rng: [
        _pairs(activation, depth, "none", int(rng.integers(1000)), batch, 20)
        for activation, depth, batch in (("relu", 1, 2), ("tanh", 4, 5), ("relu", 6, 7))
    ],
    mistakes=[
        *listed(f"""
            instead of ({SUM}) / pairs:
            diagonal included | cosines.mean()
                The mean takes in each gradient with itself (cosine 1): leave the diagonal out.
            absolute cosines | (cosines.abs().sum() - len(x)) / pairs
                Cosines of either sign count: no absolute values.
            squared cosines | ((cosines**2).sum() - len(x)) / pairs
                Average the cosines, not their squares.
            sum over ordered pairs | {SUM}
            sum over pairs | ({SUM}) / 2
                You are asked for the mean over the pairs, not the sum.
            divided by B squared | ({SUM}) / len(x) ** 2
                The sum runs over pairs i != j: there are B (B - 1) of them, not B^2.
            half of the pairs, all counted | cosines.triu(1).sum() / pairs
                The mean is half of what it should be: count the pairs (i, j) with i < j once.
            first pair only | cosines[0, 1]
                This is the first pair only: average over all pairs.
            instead of {UNIT}:
            inner products | gradient
                These are inner products: divide by both norms, so that the size of the gradients drops out.
            cosines of the inputs | x.detach() / x.detach().norm(dim=1, keepdim=True)
                These are the cosines of the inputs, not of the gradients there.
            cosines of the body's outputs | torch.nn.functional.normalize(net[0](x).detach(), dim=1)
                These are the cosines of the outputs of the body, not of the input gradients.
            one norm for all | gradient / gradient.norm()
                One norm for all of them together: each example's gradient, a row, has its own.
            normalised along the batch | {UNIT.replace("1", "0")}
                The norm runs along the batch: each *example* has its gradient, a row, and each row its own norm.
            one gradient for all examples | torch.nn.functional.normalize(gradient.sum(0, keepdim=True)).expand_as(x)
                All gradients came out alike: is it the gradient of each example, or their sum for all of them?
            numpy's correlation coefficient | unit @ unit.T | torch.from_numpy(np.corrcoef(gradient.numpy()))
                np.corrcoef subtracts each gradient's mean entry first; a cosine does not.
            covariance over mean variance | {UNIT} | gradient | ({SUM}) / pairs | ({SUM}) / cosines.trace() / (len(x) - 1)
                Divide each inner product by its own two norms, then average.
            the caller's x asks for gradients afterwards | {OWN} | x.requires_grad_()
            gradients pile up in the caller's x | {OWN} | x.requires_grad_() | (gradient,) = {GRAD} | net(x).sum().backward(); gradient = x.grad
                The caller's x keeps something of the call: it asks for gradients now, or holds one in `.grad`, and `.backward()`
                adds the next one to it. Work on a tensor of your own.
            the caller's x is overwritten | x = x.detach() | original, x = x, x.detach() |     pairs |     original.zero_()\\n    pairs
                The caller's x was changed by the call: work on a copy of it.
        """),
        special("four examples at most", "x.detach()", "x[:4].detach()"),
    ],
    right=written("""
        # one example at a time
        rows = []
        for row in x:
            row = row.clone().requires_grad_()
            net(row[None]).backward()
            rows.append(row.grad / row.grad.norm())
        values = [float(a @ b) for i, a in enumerate(rows) for b in rows[:i]]
        return sum(values) / len(values)
        # square of the sum, in numpy
        x = x.clone().requires_grad_()
        g = torch.autograd.grad(net(x).sum(), x)[0].numpy()
        unit = g / np.linalg.norm(g, axis=1)[:, None]
        n = len(unit)
        return (np.sum(unit.sum(0) ** 2) - n) / (n * (n - 1))
        # the Jacobian's blocks, a tensor of no dimension
        full = torch.autograd.functional.jacobian(net, x)[:, 0]
        rows = torch.nn.functional.normalize(torch.stack([full[i, i] for i in range(len(x))]))
        return (rows @ rows.T)[~torch.eye(len(x), dtype=torch.bool)].mean()
    """),
    equivalent={
        "x = x.detach().clone().requires_grad_()  ->  x = x.detach().requires_grad_()": "detach makes a tensor of its own; "
        "nothing is written into the numbers that it shares",
        "x = x.detach().clone().requires_grad_()  ->  x = x.clone().requires_grad_()": "a copy is not the caller's x",
        "gradient, = torch.autograd.grad(net(x).sum(), x)  ->  gradient, = torch.autograd.grad(net(x).mean(), x)": "a common "
        "factor of all gradients leaves their cosines",
        f"return float(({SUM}) / pairs)  ->  return ({SUM}) / pairs": "a tensor of no dimension is a number, too",
    },
)
