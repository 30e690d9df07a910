"""Lesson 4: what learners get wrong about random deep networks, and the hint for it."""

from tests.wrong_answers import Answer

FACTOR = """
def gain_factor(activation, g, q=1.0, skip=False):
    if activation == "relu":
        return {relu}
    z = np.linspace(-9, 9, 20001)
    density = np.exp(-z**2 / 2) / np.exp(-z**2 / 2).sum()
    slope = 1 - np.tanh({h}) ** 2
    return {tanh}
"""


def _factor(
    relu="math.sqrt(skip + g / 2)",
    h="math.sqrt(g * q) * z",
    tanh="math.sqrt(skip + g * (density @ slope**2))",
):
    return FACTOR.format(relu=relu, h=h, tanh=tanh)


GAUSS_HERMITE = """
def gain_factor(activation, g, q=1.0, skip=False):
    if activation == "relu":
        return math.sqrt(skip + g / 2)
    node, weight = np.polynomial.hermite_e.hermegauss({nodes})
    slope = 1 - np.tanh(math.sqrt(g * q) * node) ** 2
    return math.sqrt(skip + g * (weight @ slope**2) / weight.sum())
"""

NORMS = """
def gradient_norms(net, x, y):
    parameters = {parameters}
    loss = torch.nn.functional.cross_entropy(net(x), y{loss})
    gradients = torch.autograd.grad(loss, parameters)
    return np.array({result})
"""


def _norms(
    parameters="[layer.weight for layer in net if isinstance(layer, torch.nn.Linear)]",
    loss="",
    result="[g.norm().item() for g in gradients]",
):
    return NORMS.format(parameters=parameters, loss=loss, result=result)


BALANCE = """
def balance(net, x, y):
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    weights = [layer.weight for layer in layers]
    loss = torch.nn.functional.cross_entropy(net(x), y{loss})
    gradients = torch.autograd.grad(loss, weights)
    pairs = list(zip(weights, gradients))
    return {result}
"""


def _balance(loss="", result="np.array([(w * g).sum().item() for w, g in pairs])"):
    return BALANCE.format(loss=loss, result=result)


CORRELATION = """
def gradient_correlation(net, x):
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    rows = {rows}
    cosines = rows @ rows.T
    off = ~torch.eye(len(x), dtype=torch.bool)
    return {result}
"""


def _correlation(rows="gradient / gradient.norm(dim=1, keepdim=True)", result="cosines[off].mean().item()"):
    return CORRELATION.format(rows=rows, result=result)


WRONG = {
    "gain_factor": [
        Answer("mean square, not size", hint="take the square root", source=_factor(relu="skip + g / 2")),
        Answer(
            "every ReLU is active", hint="half of its units only", source=_factor(relu="math.sqrt(skip + g)")
        ),
        Answer("a quarter", hint="not 1/4", source=_factor(relu="math.sqrt(skip + g / 4)")),
        Answer(
            "sizes of the two paths are added",
            hint="add as squares",
            source=_factor(relu="skip + math.sqrt(g / 2)"),
        ),
        Answer(
            "the skip makes it 1",
            hint="adds its own share",
            source=_factor(relu="1.0 if skip else math.sqrt(g / 2)"),
        ),
        Answer("skip forgotten", hint="a second path", source=_factor(relu="math.sqrt(g / 2)")),
        Answer(
            "Gauss-Hermite with 101 nodes",
            hint="Gauss-Hermite rule with 101 nodes",
            source=GAUSS_HERMITE.format(nodes=101),
        ),
        Answer(
            "Gauss-Hermite with 20 nodes",
            hint="Gauss-Hermite rule with 20 nodes",
            source=GAUSS_HERMITE.format(nodes=20),
        ),
        Answer(
            "Gauss-Hermite with an unusual number of nodes",
            hint="should be",
            source=GAUSS_HERMITE.format(nodes=37),
        ),
        Answer(
            "tanh: mean of the slope",
            hint="not the mean of phi'(h)",
            source=_factor(tanh="math.sqrt(skip + g * (density @ slope))"),
        ),
        Answer(
            "tanh: square of the mean",
            hint="Square first, then average",
            source=_factor(tanh="math.sqrt(skip + g * (density @ slope) ** 2)"),
        ),
        Answer(
            "tanh: variance q",
            hint="variance g q, not q",
            source=_factor(h="math.sqrt(q / g) * z * g / math.sqrt(g)"),
        ),
        Answer(
            "tanh: variance for deviation",
            hint="standard deviation is the root",
            source=_factor(h="g * q * z"),
        ),
        Answer(
            "tanh like the identity", hint="slope 1 at 0 only", source=_factor(tanh="math.sqrt(skip + g)")
        ),
        Answer(
            "tanh like ReLU",
            hint="mean squared slope of ReLU",
            source=_factor(tanh="math.sqrt(skip + g / 2)"),
        ),
        Answer(
            "tanh: g left out",
            hint="g is missing",
            source=_factor(tanh="math.sqrt(skip + density @ slope**2)"),
        ),
    ],
    "gradient_norms": [
        Answer(
            "biases are listed too",
            hint="gradients of the biases too",
            source=_norms(parameters="list(net.parameters())"),
        ),
        Answer(
            "biases in the norms",
            hint="norms include the biases",
            source=_norms(
                parameters="list(net.parameters())",
                result="[math.hypot(a.norm().item(), b.norm().item()) for a, b in zip(gradients[::2], gradients[1::2])]",
            ),
        ),
        Answer(
            "only the biases",
            hint="not of the weights",
            source=_norms(parameters="[layer.bias for layer in net if isinstance(layer, torch.nn.Linear)]"),
        ),
        Answer(
            "norms of the weights",
            hint="weights themselves",
            source=_norms(result="[p.norm().item() for p in parameters]"),
        ),
        Answer(
            "squared", hint="take the root", source=_norms(result="[(g**2).sum().item() for g in gradients]")
        ),
        Answer("sum over the batch", hint="mean over the batch", source=_norms(loss=", reduction='sum'")),
        Answer(
            "last layer first",
            hint="wrong order",
            source=_norms(result="[g.norm().item() for g in gradients][::-1]"),
        ),
        Answer(
            "root mean square",
            hint="root mean square",
            source=_norms(result="[(g**2).mean().sqrt().item() for g in gradients]"),
        ),
        Answer(
            "1-norm",
            hint="sum of the absolute values",
            source=_norms(result="[g.abs().sum().item() for g in gradients]"),
        ),
        Answer(
            "spectral norm",
            hint="spectral norm",
            source=_norms(result="[torch.linalg.matrix_norm(g, 2).item() for g in gradients]"),
        ),
        Answer(
            "largest entry",
            hint="largest entry",
            source=_norms(result="[g.abs().max().item() for g in gradients]"),
        ),
        Answer(
            "gradients pile up",
            hint="adds to what is in",
            source="""
def gradient_norms(net, x, y):
    torch.nn.functional.cross_entropy(net(x), y).backward()
    return np.array([m.weight.grad.norm().item() for m in net if isinstance(m, torch.nn.Linear)])
""",
        ),
    ],
    "balance": [
        Answer(
            "norms of the gradients",
            hint="norms of gradients",
            source=_balance(result="np.array([g.norm().item() for w, g in pairs])"),
        ),
        Answer(
            "cosine",
            hint="do not divide by the norms",
            source=_balance(
                result="np.array([((w * g).sum() / w.norm() / g.norm()).item() for w, g in pairs])"
            ),
        ),
        Answer(
            "one number for the network",
            hint="One number for each layer",
            source=_balance(result="float(sum((w * g).sum().item() for w, g in pairs))"),
        ),
        Answer(
            "mean over entries",
            hint="summed, not averaged",
            source=_balance(result="np.array([(w * g).mean().item() for w, g in pairs])"),
        ),
        Answer(
            "absolute values",
            hint="no absolute values",
            source=_balance(result="np.array([(w * g).abs().sum().item() for w, g in pairs])"),
        ),
        Answer(
            "product of norms",
            hint="product of two norms",
            source=_balance(result="np.array([w.norm().item() * g.norm().item() for w, g in pairs])"),
        ),
        Answer("sum over the batch", hint="mean over the batch", source=_balance(loss=", reduction='sum'")),
        Answer(
            "sign",
            hint="sign is turned round",
            source=_balance(result="-np.array([(w * g).sum().item() for w, g in pairs])"),
        ),
        Answer(
            "trace of a matrix product",
            hint="raised RuntimeError",
            source=_balance(result="np.array([(w @ g).trace().item() for w, g in pairs])"),
        ),
        Answer(
            "biases are in",
            hint="The biases are in",
            source="""
def balance(net, x, y):
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    loss = torch.nn.functional.cross_entropy(net(x), y)
    result = []
    for layer in layers:
        parameters = list(layer.parameters())
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        result.append(sum((p * g).sum().item() for p, g in zip(parameters, gradients)))
    return np.array(result)
""",
        ),
        Answer(
            "gradients pile up",
            hint="adds to what is in",
            source="""
def balance(net, x, y):
    torch.nn.functional.cross_entropy(net(x), y).backward()
    return np.array([(m.weight * m.weight.grad).sum().item() for m in net if isinstance(m, torch.nn.Linear)])
""",
        ),
        Answer(
            "tensors that remember their graph",
            hint="still remember how they were computed",
            source=_balance(result="[(w * g).sum() for w, g in pairs]"),
        ),
        Answer(
            "one tensor that remembers its graph",
            hint="still remember how they were computed",
            source=_balance(result="torch.stack([(w * g).sum() for w, g in pairs])"),
        ),
        Answer(
            "the invariant itself, whatever the net",
            hint="with biases",
            source="""
def balance(net, x, y):
    f = net(x).detach().requires_grad_()
    (error,) = torch.autograd.grad(torch.nn.functional.cross_entropy(f, y), f)
    depth = sum(isinstance(m, torch.nn.Linear) for m in net)
    return np.full(depth, (f * error).sum().item())
""",
        ),
    ],
    "gradient_correlation": [
        Answer(
            "diagonal included",
            hint="leave the diagonal out",
            source=_correlation(result="cosines.mean().item()"),
        ),
        Answer("inner products", hint="divide by both norms", source=_correlation(rows="gradient")),
        Answer(
            "covariance over mean variance",
            hint="its own two norms",
            source=_correlation(
                rows="gradient", result="(cosines[off].mean() / cosines.diagonal().mean()).item()"
            ),
        ),
        Answer(
            "absolute cosines",
            hint="no absolute values",
            source=_correlation(result="cosines[off].abs().mean().item()"),
        ),
        Answer(
            "sum over pairs", hint="not the sum", source=_correlation(result="cosines[off].sum().item() / 2")
        ),
        Answer(
            "divided by B squared",
            hint="B (B - 1)",
            source=_correlation(result="cosines[off].sum().item() / len(x)**2"),
        ),
        Answer("first pair only", hint="first pair only", source=_correlation(result="cosines[0, 1].item()")),
        Answer(
            "cosines of the inputs",
            hint="cosines of the inputs",
            source=_correlation(rows="x.detach() / x.detach().norm(dim=1, keepdim=True)"),
        ),
        Answer(
            "numpy's correlation coefficient",
            hint="subtracts each gradient's mean",
            source=_correlation(result="np.corrcoef(gradient.numpy())[off.numpy()].mean()"),
        ),
        Answer(
            "gradients pile up in the caller's x",
            hint="keeps something of the call",
            source="""
def gradient_correlation(net, x):
    x.requires_grad_()
    net(x).sum().backward()
    unit = x.grad / x.grad.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    return ((cosines.sum() - cosines.trace()) / (len(x) * (len(x) - 1))).item()
""",
        ),
        Answer(
            "the caller's x asks for gradients afterwards",
            hint="keeps something of the call",
            source="""
def gradient_correlation(net, x):
    (g,) = torch.autograd.grad(net(x.requires_grad_()).sum(), x)
    unit = g / g.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    return ((cosines.sum() - cosines.trace()) / (len(x) * (len(x) - 1))).item()
""",
        ),
        Answer(
            "the caller's x is overwritten",
            hint="was changed by the call",
            source=_correlation()
            .replace("x = x.detach()", "original = x\n    x = x.detach()")
            .replace("    rows =", "    original.zero_()\n    rows ="),
        ),
        Answer(
            "normalised along the batch",
            hint="should be",
            source=_correlation(rows="gradient / gradient.norm(dim=0, keepdim=True)"),
        ),
        Answer(
            "one gradient for all examples",
            hint="All gradients came out alike",
            source="""
def gradient_correlation(net, x):
    shift = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    (g,) = torch.autograd.grad(net(x + shift).sum(), shift)
    unit = (g / g.norm()).repeat(len(x), 1)
    cosines = unit @ unit.T
    return ((cosines.sum() - cosines.trace()) / (len(x) * (len(x) - 1))).item()
""",
        ),
    ],
}

RIGHT = {
    "gain_factor": [
        Answer(
            "adaptive quadrature",
            source="""
def gain_factor(activation, g, q=1.0, skip=False):
    from scipy.integrate import quad

    if activation == "relu":
        mean = 0.5
    else:
        s = math.sqrt(g * q)
        density = lambda h: math.exp(-h * h / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
        edge = min(9 * s, 12)
        mean = quad(lambda h: density(h) * (1 - math.tanh(h) ** 2) ** 2, -edge, edge, points=[0], epsabs=1e-12)[0]
    return math.sqrt((1 if skip else 0) + g * mean)
""",
        ),
        Answer(
            "quad without limits of its own",
            source="""
def gain_factor(activation, g, q=1.0, skip=False):
    from scipy.integrate import quad

    sigma = math.sqrt(g * q)
    slope = {"relu": lambda h: float(h > 0), "tanh": lambda h: 1 - math.tanh(h) ** 2}[activation]
    density = lambda h: math.exp(-(h**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    mean = 0.5 if activation == "relu" else quad(lambda h: slope(h) ** 2 * density(h), -np.inf, np.inf)[0]
    return math.sqrt(skip + g * mean)
""",
        ),
        Answer(
            "quad as in the worked factor",
            source="""
def gain_factor(activation, g, q=1.0, skip=False):
    from scipy.integrate import quad

    if activation == "relu":
        return math.sqrt(skip + g / 2)
    sigma = math.sqrt(g * q)

    def integrand(h):
        return (1 - math.tanh(h) ** 2) ** 2 * math.exp(-(h**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    return math.sqrt(skip + g * quad(integrand, -8 * sigma, 8 * sigma)[0])
""",
        ),
        Answer(
            "trapezoid in h, torch",
            source="""
def gain_factor(activation, g, q=1.0, skip=False):
    if activation == "relu":
        return (g / 2 + 1 * skip) ** 0.5
    s = (g * q) ** 0.5
    h = torch.linspace(-8.5 * s, 8.5 * s, 100_001, dtype=torch.float64)
    slope = torch.cosh(h).pow(-4)
    mean = torch.trapezoid(slope * torch.exp(-(h**2) / (2 * s * s)), h) / (s * (2 * math.pi) ** 0.5)
    return float((1 * skip + g * mean).sqrt())
""",
        ),
    ],
    "gradient_norms": [
        Answer(
            "backward, with clearing",
            source="""
def gradient_norms(net, x, y):
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    norms = [m.weight.grad.norm().item() for m in net.modules() if isinstance(m, torch.nn.Linear)]
    net.zero_grad()
    return np.array(norms)
""",
        ),
        Answer(
            "by name, as a tensor",
            source="""
def gradient_norms(net, x, y):
    named = {n: p for n, p in net.named_parameters() if n.endswith("weight")}
    loss = -torch.log_softmax(net(x), dim=1).gather(1, y[:, None]).mean()
    gradients = torch.autograd.grad(loss, list(named.values()))
    return torch.stack([torch.sqrt((g * g).sum()) for g in gradients])
""",
        ),
    ],
    "balance": [
        Answer(
            "a list of plain numbers, through .data",
            source="""
def balance(net, x, y):
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    return [float((m.weight.data * m.weight.grad).sum()) for m in net if isinstance(m, torch.nn.Linear)]
""",
        ),
        Answer(
            "derivative by a common scale of the layer",
            source="""
def balance(net, x, y):
    weights = [m.weight for m in net if isinstance(m, torch.nn.Linear)]
    loss = torch.nn.CrossEntropyLoss()(net(x), y)
    gradients = torch.autograd.grad(loss, weights)
    return np.array([torch.dot(w.detach().flatten(), g.flatten()) for w, g in zip(weights, gradients)])
""",
        ),
        Answer(
            "trace of W^T G",
            source="""
def balance(net, x, y):
    net.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(net(x), y).backward()
    with torch.no_grad():
        return torch.stack([(m.weight.T @ m.weight.grad).trace() for m in net if hasattr(m, "weight")])
""",
        ),
    ],
    "gradient_correlation": [
        Answer(
            "one example at a time",
            source="""
def gradient_correlation(net, x):
    rows = []
    for row in x:
        row = row.clone().requires_grad_()
        net(row[None]).backward()
        rows.append(row.grad / row.grad.norm())
    values = [float(a @ b) for i, a in enumerate(rows) for b in rows[:i]]
    return sum(values) / len(values)
""",
        ),
        Answer(
            "square of the sum",
            source="""
def gradient_correlation(net, x):
    x = x.clone().requires_grad_()
    g = torch.autograd.grad(net(x).sum(), x)[0].numpy()
    unit = g / np.linalg.norm(g, axis=1)[:, None]
    n = len(unit)
    return (np.sum(unit.sum(0) ** 2) - n) / (n * (n - 1))
""",
        ),
    ],
}
