"""Lesson 9: what learners get wrong about paths and operations, and right answers written differently."""

from tests.wrong_answers import Answer

WRONG = {
    "path_share": [
        Answer(
            "counts the paths",
            hint="This counts the paths",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) for k in range(n + 1)]) / 2**n
""",
        ),
        Answer(
            "amplitudes instead of squares",
            hint="shares of *squared* gradient",
            source="""
def path_share(n, g):
    a = math.sqrt(g)
    return np.array([math.comb(n, k) * a**k for k in range(n + 1)]) / (1 + a) ** n
""",
        ),
        Answer(
            "not normalised",
            hint="divided by what all paths carry together",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) * g**k for k in range(n + 1)])
""",
        ),
        Answer(
            "g as a probability",
            hint="g is no probability",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) * g**k * (1 - g) ** (n - k) for k in range(n + 1)])
""",
        ),
        Answer(
            "one path a length",
            hint="how many paths go through exactly k",
            source="""
def path_share(n, g):
    carried = float(g) ** np.arange(n + 1)
    return carried / carried.sum()
""",
        ),
        Answer(
            "length 0 forgotten",
            hint="A length is missing",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) * g**k for k in range(1, n + 1)]) / (1 + g) ** n
""",
        ),
        Answer(
            "from the longest to the shortest",
            hint="turned round",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) * g ** (n - k) for k in range(n + 1)]) / (1 + g) ** n
""",
        ),
        Answer(
            "halved by a ReLU that is not there",
            hint="half belongs to ReLU",
            source="""
def path_share(n, g):
    return np.array([math.comb(n, k) * (g / 2) ** k for k in range(n + 1)]) / (1 + g / 2) ** n
""",
        ),
        Answer(
            "divided by zero for g = 0",
            hint="not finite",
            source="""
def path_share(n, g):
    with np.errstate(all="ignore"):
        carried = np.array([math.comb(n, k) * np.exp(k * np.log(g)) for k in range(n + 1)])
    return carried / carried.sum()
""",
        ),
        Answer(
            "prints instead of returning",
            hint="reach a `return`",
            source="""
def path_share(n, g):
    shares = np.array([math.comb(n, k) * g**k for k in range(n + 1)]) / (1 + g) ** n
""",
        ),
        Answer(
            "right for three blocks only",
            hint="path_share(10",
            source="""
def path_share(n, g):
    return np.array([1, 3, 3, 1]) * g ** np.arange(4) / (1 + g) ** 3 if n == 3 else (
        np.eye(n + 1)[0] if g == 0 else np.full(n + 1, 1 / (n + 1)))
""",
        ),
    ],
    "gradient_through_k": [
        Answer(
            "Jacobians not transposed",
            hint="not transposed",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J.T
    return rows
""",
        ),
        Answer(
            "not transposed and not reversed",
            hint="not transposed",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians:
        rows[1:] = rows[1:] + rows[:-1] @ J.T
    return rows
""",
        ),
        Answer(
            "first block first",
            hint="wrong order",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians:
        rows[1:] = rows[1:] + rows[:-1] @ J
    return rows
""",
        ),
        Answer(
            "updated in place, row after row",
            hint="same block twice",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        for k in range(len(jacobians)):
            rows[k + 1] += J.T @ rows[k]
    return rows
""",
        ),
        Answer(
            "at most k",
            hint="*at most* k",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J
    return np.cumsum(rows, 0)
""",
        ),
        Answer(
            "only the path through the last k blocks",
            hint="as many paths of length 1",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = [cotangent]
    for J in jacobians[::-1]:
        rows.append(J.T @ rows[-1])
    return np.array(rows)
""",
        ),
        Answer(
            "the whole gradient",
            hint="This is the whole gradient",
            source="""
def gradient_through_k(jacobians, cotangent):
    gradient = cotangent
    for J in jacobians[::-1]:
        gradient = gradient + J.T @ gradient
    return gradient
""",
        ),
        Answer(
            "lengths instead of vectors",
            hint="lengths of gradients",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J
    return np.linalg.norm(rows, axis=1)
""",
        ),
        Answer(
            "overwrites the cotangent",
            hint="changed its arguments",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J
        cotangent += J.T @ cotangent
    return rows
""",
        ),
        Answer(
            "in single precision",
            hint="is off most at",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((len(jacobians) + 1, len(cotangent)), np.float32)
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J
    return rows
""",
        ),
        Answer(
            "stops at paths of length 2",
            hint="shape (6, 4)",
            source="""
def gradient_through_k(jacobians, cotangent):
    rows = np.zeros((3, len(cotangent)))
    rows[0] = cotangent
    for J in jacobians[::-1]:
        rows[1:] = rows[1:] + rows[:-1] @ J
    return rows
""",
        ),
    ],
    "delete_blocks": [
        Answer(
            "ignores drop",
            hint="Nothing was deleted",
            source="""
def delete_blocks(net, drop, x):
    return net(x)
""",
        ),
        Answer(
            "keeps what it should drop",
            hint="delete_blocks of a residual net with drop = ()",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i in drop:
        h = h + net.branches[i](h) if net.residual else net.branches[i](h)
    return net.classify(h)
""",
        ),
        Answer(
            "drops as many, but the last ones",
            hint="The other block is gone",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for branch in list(net.branches)[: len(net.branches) - len(drop)]:
        h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "sets the stream to zero",
            hint="stream itself was lost",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i in drop:
            h = torch.zeros_like(h)
        else:
            h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "a deleted branch is the identity",
            hint="stream was doubled",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        f = h if i in drop else branch(h)
        h = h + f if net.residual or i in drop else f
    return net.classify(h)
""",
        ),
        Answer(
            "skips in a plain net too",
            hint="This net is plain",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i not in drop:
            h = h + branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "no skip in a residual net",
            hint="The skip is missing",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i not in drop:
            h = branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "takes the blocks out of the net",
            hint="The deletion lasts",
            source="""
def delete_blocks(net, drop, x):
    net.branches = torch.nn.ModuleList(b for i, b in enumerate(net.branches) if i not in drop)
    return net(x)
""",
        ),
        Answer(
            "silences the weights for good",
            hint="The deletion lasts",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if net.residual:
            if i in drop:
                branch[2].weight.data.zero_()
            h = h + branch(h)
        elif i not in drop:
            h = branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "numbers shift while deleting",
            hint="raised IndexError",
            source="""
def delete_blocks(net, drop, x):
    branches = list(net.branches)
    for i in drop:
        del branches[i]
    h = net.embed(x)
    for branch in branches:
        h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "gives the stream instead of logits",
            hint="shape (2, 7, 3)",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i not in drop:
            h = h + branch(h) if net.residual else branch(h)
    return h
""",
        ),
        Answer(
            "in training mode",
            hint="delete_blocks of a residual net with drop = ()",
            source="""
def delete_blocks(net, drop, x):
    net.train()
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i not in drop:
            h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
""",
        ),
        Answer(
            "one deletion at a time",
            hint="delete_blocks with drop = (1, 3)",
            source="""
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        if i in drop[:1] or len(drop) == len(net.branches):
            continue
        h = h + branch(h) if net.residual else branch(h)
    return net.classify(h)
""",
        ),
    ],
    "landscape_slice": [],
}

SLICE = """
def landscape_slice(net, direction, steps, x, y):
    weights = {name: dict(net.named_parameters())[name].detach() for name in direction}
    labels = y.expand(len(net.seeds), -1)
    scaled = {name: SCALED for name, d in direction.items()}
    losses = []
    with torch.no_grad():
        for a in steps:
            moved = {name: weights[name] + float(a) * scaled[name] for name in weights}
            losses.append(training.stacked_loss(torch.func.functional_call(net, moved, (x,)), labels))
    return RESULT
"""
ROWS = "d / d.norm(dim=2, keepdim=True) * weights[name].norm(dim=2, keepdim=True)"
STACKED = "torch.stack(losses, 1).double().numpy()"


def _slice(scaled=ROWS, result=STACKED):
    return SLICE.replace("SCALED", scaled).replace("RESULT", result)


WRONG["landscape_slice"] = [
    Answer("no normalisation", hint="kept its own length", source=_slice("d")),
    Answer(
        "along the wrong axis",
        hint="wrong axis",
        source=_slice("d / d.norm(dim=1, keepdim=True) * weights[name].norm(dim=1, keepdim=True)"),
    ),
    Answer(
        "each matrix as a whole",
        hint="scaled as a whole",
        source=_slice("d / d.norm(dim=(1, 2), keepdim=True) * weights[name].norm(dim=(1, 2), keepdim=True)"),
    ),
    Answer(
        "each stack as a whole",
        hint="scaled as a whole",
        source=_slice("d / d.norm() * weights[name].norm()"),
    ),
    Answer("unit length", hint="moves by 1", source=_slice("d / d.norm(dim=2, keepdim=True)")),
    Answer(
        "axes swapped", hint="axes are swapped", source=_slice(result="torch.stack(losses).double().numpy()")
    ),
    Answer(
        "networks averaged",
        hint="were averaged",
        source=_slice(result="torch.stack(losses, 1).double().numpy().mean(0)"),
    ),
    Answer(
        "summed over the examples",
        hint="sums over the examples",
        source=_slice(result="torch.stack(losses, 1).numpy() * len(y)"),
    ),
    Answer(
        "the network is left moved",
        hint="last step had moved it",
        source="""
def landscape_slice(net, direction, steps, x, y):
    weights = {name: dict(net.named_parameters())[name] for name in direction}
    old = {name: weights[name].detach().clone() for name in weights}
    losses = []
    with torch.no_grad():
        for a in steps:
            for name, d in direction.items():
                weights[name].copy_(old[name] + a * d / d.norm(dim=2, keepdim=True) * old[name].norm(dim=2, keepdim=True))
            losses.append(training.stacked_loss(net(x), y.expand(len(net.seeds), -1)))
    return torch.stack(losses, 1).double().numpy()
""",
    ),
    Answer(
        "steps add up",
        hint="landscape_slice along the weights",
        source="""
def landscape_slice(net, direction, steps, x, y):
    weights = {name: dict(net.named_parameters())[name].detach().clone() for name in direction}
    losses = []
    with torch.no_grad():
        for a in steps:
            for name, d in direction.items():
                weights[name] += a * d / d.norm(dim=2, keepdim=True) * weights[name].norm(dim=2, keepdim=True)
            losses.append(training.stacked_loss(torch.func.functional_call(net, weights, (x,)), y.expand(len(net.seeds), -1)))
    return torch.stack(losses, 1).double().numpy()
""",
    ),
    Answer(
        "the network does not move",
        hint="the same at every step",
        source="""
def landscape_slice(net, direction, steps, x, y):
    with torch.no_grad():
        loss = training.stacked_loss(net(x), y.expand(len(net.seeds), -1))
    return torch.stack([loss for a in steps], 1).double().numpy()
""",
    ),
    Answer(
        "its own random direction",
        hint="landscape_slice along the weights",
        source="""
def landscape_slice(net, direction, steps, x, y):
    direction = landscape.random_direction(net, 0)
    weights = {name: dict(net.named_parameters())[name].detach() for name in direction}
    losses = []
    with torch.no_grad():
        for a in steps:
            moved = {n: weights[n] * (1 + a * d / d.norm(dim=2, keepdim=True)) for n, d in direction.items()}
            losses.append(training.stacked_loss(torch.func.functional_call(net, moved, (x,)), y.expand(len(net.seeds), -1)))
    return torch.stack(losses, 1).double().numpy()
""",
    ),
    Answer(
        "along the weights whatever the direction",
        hint="landscape_slice with seed 11",
        source=_slice("weights[name]"),
    ),
]

RIGHT = {
    "path_share": [
        Answer(
            "a binomial distribution",
            """
def path_share(n, g):
    from scipy.stats import binom

    return binom.pmf(np.arange(n + 1), n, g / (1 + g))
""",
        ),
        Answer(
            "a product of polynomials",
            """
def path_share(n, g):
    share = np.ones(1)
    for _ in range(n):
        share = np.convolve(share, [1 / (1 + g), g / (1 + g)])
    return share
""",
        ),
        Answer(
            "a plain list, built by Pascal's rule",
            """
def path_share(n, g):
    carried = [1.0]
    for _ in range(n):
        carried = [a + g * b for a, b in zip([*carried, 0.0], [0.0, *carried])]
    return [value / sum(carried) for value in carried]
""",
        ),
    ],
    "gradient_through_k": [
        Answer(
            "a polynomial in t, by interpolation at the roots of unity",
            """
def gradient_through_k(jacobians, cotangent):
    n = len(jacobians)
    values = []
    for t in np.exp(2j * np.pi * np.arange(n + 1) / (n + 1)):
        gradient = cotangent.astype(complex)
        for J in jacobians[::-1]:
            gradient = gradient + t * (J.T @ gradient)
        values.append(gradient)
    return (np.fft.fft(values, axis=0) / (n + 1)).real
""",
        ),
        Answer(
            "rows from the longest down, in place",
            """
def gradient_through_k(jacobians, cotangent):
    rows = [cotangent.copy()] + [np.zeros_like(cotangent) for _ in jacobians]
    for J in reversed(jacobians):
        for k in range(len(jacobians), 0, -1):
            rows[k] += J.T @ rows[k - 1]
    return np.stack(rows)
""",
        ),
        Answer(
            "every path, one by one",
            """
def gradient_through_k(jacobians, cotangent):
    from itertools import combinations

    rows = np.zeros((len(jacobians) + 1, len(cotangent)))
    for k in range(len(jacobians) + 1):
        for path in combinations(range(len(jacobians)), k):
            c = cotangent
            for i in reversed(path):
                c = jacobians[i].T @ c
            rows[k] += c
    return rows
""",
        ),
    ],
    "delete_blocks": [
        Answer(
            "numbers the blocks that stay",
            """
def delete_blocks(net, drop, x):
    stay = sorted(set(range(len(net.branches))) - set(drop))
    h = net.embed(x)
    for i in stay:
        f = net.branches[i](h)
        h = f + h if net.residual else f
    return net.classify(h).detach()
""",
        ),
        Answer(
            "works on a copy of the net",
            """
import copy


def delete_blocks(net, drop, x):
    smaller = copy.deepcopy(net)
    smaller.branches = torch.nn.ModuleList(b for i, b in enumerate(smaller.branches) if i not in drop)
    with torch.no_grad():
        return smaller(x)
""",
        ),
        Answer(
            "multiplies by zero or one",
            """
def delete_blocks(net, drop, x):
    h = net.embed(x)
    for i, branch in enumerate(net.branches):
        keep = 0.0 if i in set(drop) else 1.0
        h = h + keep * (branch(h) if net.residual else branch(h) - h)
    return net.classify(h)
""",
        ),
    ],
    "landscape_slice": [
        Answer(
            "copies the network and writes into the copy",
            """
import copy


def landscape_slice(net, direction, steps, x, y):
    moved, result = copy.deepcopy(net), np.empty((len(net.seeds), len(steps)))
    own, other = dict(net.named_parameters()), dict(moved.named_parameters())
    with torch.no_grad():
        for k, a in enumerate(steps):
            for name, d in direction.items():
                length = (own[name] ** 2).sum(-1, keepdim=True).sqrt() / (d**2).sum(-1, keepdim=True).sqrt()
                other[name].copy_(own[name] + a * length * d)
            log_p = torch.log_softmax(moved(x), -1)
            result[:, k] = -log_p[:, torch.arange(len(y)), y].mean(1).numpy()
    return result
""",
        ),
        Answer(
            "moves the network and puts it back",
            """
def landscape_slice(net, direction, steps, x, y):
    named = dict(net.named_parameters())
    old = {name: named[name].detach().clone() for name in direction}
    losses = []
    with torch.no_grad():
        for a in steps:
            for name, d in direction.items():
                unit = torch.nn.functional.normalize(d, dim=2)
                named[name].copy_(old[name] + a * unit * torch.linalg.vector_norm(old[name], dim=2, keepdim=True))
            logits = net(x)
            losses.append([torch.nn.functional.cross_entropy(one, y).item() for one in logits])
        for name in direction:
            named[name].copy_(old[name])
    return np.array(losses).T
""",
        ),
    ],
}
