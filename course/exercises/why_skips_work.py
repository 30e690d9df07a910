"""Exercises of lesson 9."""

import copy
import itertools
from fractions import Fraction

import numpy as np
import torch

from course.exercises import Exercise, Mistake, case, conduct, listed, made, special, told, written
from helpers import landscape, paths
from helpers.checks.probes.why_skips_work import operated, partial_direction, training_net

# delete_blocks -------------------------------------------------------------------------------------------------------


def _shortened(net, drop, x):
    smaller = copy.deepcopy(net)
    smaller.branches = torch.nn.ModuleList(b for i, b in enumerate(net.branches) if i not in drop)
    with torch.no_grad():
        logits = smaller(x)
        net(x)  # in training mode its norms take over the batch; no other trace of a call is right
    return logits


def _examples(seed, batch=7):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 5, generator=random, dtype=torch.float64)
    return x, torch.randint(3, (batch,), generator=random)


def _deletion(blocks, residual, drop, seed=92, make=paths.example_net, kind=""):
    what = f"delete_blocks of a {kind}{'residual' if residual else 'plain'} net of {blocks} blocks with drop = {drop}"
    return case(made(make, blocks, residual), drop, _examples(seed)[0], what=what)


def _draw_deletions(rng):
    for blocks, residual in ((5, True), (5, False), (6, True), (4, False)):
        drop = tuple(rng.permutation(blocks)[: rng.integers(1, blocks)].tolist())
        yield _deletion(blocks, residual, drop, int(rng.integers(1000)))


KEEP = "if i not in drop"
BLOCK = "h + branch(h) if net.residual else branch(h)"
TAKEN = "    net.branches = torch.nn.ModuleList(b for n, b in enumerate(net.branches) if n not in drop)"

delete_blocks = Exercise(
    idea="A residual network without one of its blocks is still a network: the stream goes past the gap.",
    oracle=_shortened,
    probe=operated,
    atol=1e-12,  # logits may be near 0
    cases=[
        *(
            _deletion(2, residual, drop)
            for residual, drop in itertools.product((True, False), ((), (0,), (0, 1)))
        ),
        _deletion(4, True, (3, 1)),
        _deletion(4, False, (0, 2)),
        _deletion(3, True, (1,), make=training_net, kind="still training "),
        conduct(made(paths.example_net, 2, True), (1,), _examples(92)[0]),
    ],
    hidden=_draw_deletions,
    mistakes=[
        *listed(f"""
            ignores drop | {KEEP} | if i not in ()
            compares a number with a tuple | {KEEP} | if i != drop
                Nothing was deleted. Is `drop` used? It holds numbers, and no number is equal to a tuple of numbers.
            keeps what it should drop | {KEEP} | if i in drop
                Only the blocks in `drop` are still there: they are the ones to leave out.
            drops as many, but the last ones | {KEEP} | if i < len(net.branches) - len(drop)
                As many blocks are gone as should be, but others: `drop` holds the *numbers* of those to leave out.
            numbers from 1 | (net.branches) | (net.branches, 1)
                The wrong block is gone: blocks are numbered from 0.
            one deletion at a time | {KEEP} | if i not in drop[:1] and len(drop) < len(net.branches)
                Only the first number in `drop` was left out: a block stays if its number is nowhere in it.
            skips in a plain net too | {BLOCK} | h + branch(h)
                This net is plain: its block gives branch(h), without adding h. `net.residual` tells the kind.
            no skip in a residual net | {BLOCK} | branch(h)
                The skip is missing: a residual block gives h + branch(h). `net.residual` tells the kind.
            gives the stream instead of logits | return net.classify(h) | return h
                This is the stream; the answer of the network is what `net.classify` makes of it.
            in training mode | h = net.embed(x) | net.train(); h = net.embed(x)
            in evaluation mode | h = net.embed(x) | net.eval(); h = net.embed(x)
                The call switches the net between training and evaluation, and its norms then compute something else. Use
                the net in the mode in which it comes.
            sets the stream to zero | {KEEP}: | if i in drop: h = torch.zeros_like(h)\\n        else:
                The stream itself was lost: a deleted block lets h through unchanged.
            a deleted branch is the identity | {KEEP}: | if i in drop: h = h + h\\n        else:
                A deleted branch adds 0, not h: the stream was doubled. Let h through as it is.
            takes the blocks out of the net |     h = net.embed | {TAKEN}\\n    h = net.embed | {KEEP}: | if True:
            silences the weights for good | {KEEP}: | if i in drop and net.residual: branch[2].weight.data.zero_()\\n        elif i not in drop:
                The deletion lasts: the net itself was changed. Leave the blocks out of the calculation, not out of the net.
        """),
        *told("""
            # numbers shift while deleting
            #     After a block is taken out of a list all later ones have new numbers.
            branches = list(net.branches)
            for i in drop:
                del branches[i]
            h = net.embed(x)
            for branch in branches:
                h = h + branch(h) if net.residual else branch(h)
            return net.classify(h)
        """),
        special("at most two deletions", KEEP, "if i not in drop[:2]"),
    ],
    right=written("""
        # numbers the blocks that stay
        h = net.embed(x)
        for i in sorted(set(range(len(net.branches))) - set(drop)):
            f = net.branches[i](h)
            h = f + h if net.residual else f
        return net.classify(h).detach().numpy()
        # works on a shallow copy of the net
        smaller = copy.copy(net)
        smaller._modules = dict(net._modules)
        smaller.branches = torch.nn.ModuleList(b for i, b in enumerate(net.branches) if i not in drop)
        with torch.no_grad():
            return smaller(x)
        # works on a copy of the net
        smaller = copy.deepcopy(net)
        smaller.branches = torch.nn.ModuleList(b for i, b in enumerate(smaller.branches) if i not in drop)
        return smaller(x)
        # multiplies by zero or one
        h = net.embed(x)
        for i, branch in enumerate(net.branches):
            keep = 0.0 if i in set(drop) else 1.0
            h = h + keep * (branch(h) if net.residual else branch(h) - h)
        return net.classify(h)
    """),
    equivalent={
        "return net.classify(h)  ->  return _detached(net.classify(h))": "logits to look at: nothing is differentiated",
        "computed without gradients": "logits to look at: nothing is differentiated",
    },
)

# path_share ----------------------------------------------------------------------------------------------------------


def _multiplied_out(n, g):
    carried, g = [Fraction(1)], Fraction(g)
    for _ in range(n):
        carried = [past + g * through for past, through in zip([*carried, 0], [0, *carried], strict=True)]
    total = sum(carried)
    return np.array([float(each / total) for each in carried])


START, COUNT = "carried = np.array", "math.comb(n, k)"
SHARE = "carried / (1 + g) ** n"

path_share = Exercise(
    idea="The shares of the path lengths are a binomial distribution: most of the gradient comes along lengths near its mean.",
    oracle=_multiplied_out,
    atol=1e-15,  # a share that is 0
    cases=[case(3, 0.5), case(3, 1.0), case(2, 0.0), case(5, 2.0), case(54, 0.25), conduct(4, 0.3)],
    hidden=lambda rng: [
        case(int(n), g)
        for n, g in zip((1, 10, *rng.integers(4, 60, 4)), rng.uniform(0.05, 3, 6).tolist(), strict=True)
    ],
    mistakes=[
        *listed(f"""
            amplitudes instead of squares | {START} | g = math.sqrt(g); {START}
                The root of g scales the gradient's length; shares of *squared* gradient go with g itself.
            squared once more | {START} | g = g**2; {START}
                g is already the factor on the *squared* length: it is not squared again.
            halved by a ReLU that is not there | {START} | g = g / 2; {START}
                The half belongs to ReLU. Here g is already the factor that a whole branch puts on the squared gradient.
            factorials that do not fit | {COUNT} | np.divide(*np.cumprod([1, *range(1, n + 1)])[[n, k]]) / math.factorial(n - k)
                Right for few blocks. 54! is far beyond a whole number of 64 bits, and numpy wraps it round without a word:
                which function counts without large factorials?
            the logarithm of zero | g**k | np.exp(k * np.log(g))
                g may be 0, and has no logarithm then. Only the path past all branches carries anything in that case.
            counts the paths | g**k | 1 / 2**n * (1 + g) ** n
                This counts the paths. A path through k branches carries g^k of the squared gradient.
            one path a length | {SHARE} | g ** np.arange(n + 1) / (g ** np.arange(n + 1)).sum()
                One path of every length is weighed here: how many paths go through exactly k of the n branches?
            not normalised | {SHARE} | carried
                These are the squared gradients themselves; a share is divided by what all paths carry together.
            divided by the number of paths | {SHARE} | carried / 2**n
                A share is divided by what all paths carry together, not by how many there are.
            divided by the largest | {SHARE} | carried / carried.max()
                The shares should add up to 1.
            g as a probability | {SHARE} | carried * (1 - g) ** (n - np.arange(n + 1))
                g is no probability: a skipped block has the factor 1, not 1 - g.
            length 0 forgotten | {SHARE} | {SHARE.replace("carried", "carried[1:]")}
            length n forgotten | {SHARE} | {SHARE.replace("carried", "carried[:-1]")}
                A length is missing: lengths run from 0 (past every branch) to n, which makes n + 1 shares.
            from the longest to the shortest | {SHARE} | {SHARE.replace("carried", "carried[::-1]")}
                The order is turned round: entry k is for paths through k branches, so entry 0 comes first.
        """),
        Mistake("forgets to return", edits=[("return ", "shares = ")]),
        special("five blocks, or 54", "(n + 1)", "(n + 1 if n == 54 else min(n, 5) + 1)"),
    ],
    right=written("""
        # a binomial distribution
        from scipy.stats import binom

        return binom.pmf(np.arange(n + 1), n, g / (1 + g))
        # a product of polynomials, as a tensor
        share = np.ones(1)
        for _ in range(n):
            share = np.convolve(share, [1 / (1 + g), g / (1 + g)])
        return torch.from_numpy(share)
        # a plain list, built by Pascal's rule
        carried = [1.0]
        for _ in range(n):
            carried = [a + g * b for a, b in zip([*carried, 0.0], [0.0, *carried])]
        return [value / sum(carried) for value in carried]
    """),
)

# gradient_through_k --------------------------------------------------------------------------------------------------


def _path_by_path(jacobians, cotangent):
    n = len(jacobians)
    rows = np.zeros((n + 1, len(cotangent)))
    for chosen in itertools.product((False, True), repeat=n):
        path = cotangent
        for J, through in zip(jacobians[::-1], chosen, strict=True):
            path = J.T @ path if through else path
        rows[sum(chosen)] += path
    return rows


def _blocks(n, width, seed):
    rng = np.random.default_rng(seed)
    what = f"gradient_through_k(jacobians of {n} block{'s' * (n > 1)} of width {width}, cotangent)"
    return case(rng.normal(size=(n, width, width)), rng.normal(size=width), what=what)


ORDER = "jacobians[::-1]"
STEP = r"        through = rows @ J  # row k is J^T (row k)\n        rows[1:] += through[:-1]\n"
SHAPES = "For n blocks and a cotangent of N entries the result has the shape (n + 1, N): one row for each length from 0 to n."

gradient_through_k = Exercise(
    idea="2ⁿ paths need no 2ⁿ products: sorted by length, one walk through the blocks collects them all.",
    oracle=_path_by_path,
    atol=1e-9,  # the paths of a row may cancel; their rounding errors do not
    cases=[_blocks(2, 3, 91), _blocks(5, 4, 92), _blocks(1, 2, 93), conduct(*_blocks(3, 2, 94).args)],
    hidden=lambda rng: [_blocks(n, width, int(rng.integers(1000))) for n, width in ((1, 4), (4, 3), (6, 2))],
    mistakes=[
        *listed(f"""
            Jacobians not transposed | rows @ J | rows @ J.T
            not transposed and not reversed | rows @ J | rows @ J.T | {ORDER} | jacobians
                The Jacobians are not transposed: backward, a branch maps a cotangent with J^T.
            updated in place, row after row | {STEP} |         for k in range(n): rows[k + 1] += J.T @ rows[k]\\n
                Some path goes through the same block twice: was a row already updated when the next one was made from it?
            only the path through the last k blocks | {STEP} |         rows = np.vstack([cotangent, rows[:-1] @ J])\\n
                Row 1 holds one path, but there are as many paths of length 1 as there are blocks.
            overwrites the cotangent | {STEP} | {STEP}        cotangent += J.T @ cotangent\\n
                The call changed its arguments: work on arrays of your own, the cotangent included.
            first block first | {ORDER} | jacobians
                The blocks come in the wrong order: the gradient meets the last block first.
            at most k | return rows | return np.cumsum(rows, 0)
                Row k holds all paths through *at most* k branches; it should hold those through exactly k.
            from the longest to the shortest | return rows | return rows[::-1]
                The order is turned round: row k is for paths through k branches, so row 0 is the cotangent itself.
            the whole gradient | return rows | return rows.sum(0)
                This is the whole gradient; split it by how many branches a path goes through.
            lengths instead of vectors | return rows | return np.linalg.norm(rows, axis=1)
                These are lengths of gradients. Return the vectors themselves: their sum has to be the whole gradient.
            in single precision | len(cotangent))) | len(cotangent)), np.float32)
                float32 somewhere on the way: the arguments are float64, and so should the result be.
            one row an example | return rows | return rows.T
            stops at paths of length 2 | return rows | return rows[:3]
            the cotangent left out | return rows | return rows[1:]
                {SHAPES}
            instead of it all:
            only the path through the first k blocks | rows = [cotangent]\\nfor J in jacobians:\\n    rows.append(J.T @ rows[-1])\\nreturn np.array(rows)
                Row 1 holds one path, but there are as many paths of length 1 as there are blocks.
        """),
        special("paths through five branches at most", "return rows", "rows[6:] = 0\n    return rows"),
    ],
    right=written("""
        # a polynomial in t, by interpolation at the roots of unity
        n = len(jacobians)
        values = []
        for t in np.exp(2j * np.pi * np.arange(n + 1) / (n + 1)):
            gradient = cotangent.astype(complex)
            for J in jacobians[::-1]:
                gradient = gradient + t * (J.T @ gradient)
            values.append(gradient)
        return (np.fft.fft(values, axis=0) / (n + 1)).real
        # rows from the longest down, in place, a list
        rows = [cotangent.copy()] + [np.zeros_like(cotangent) for _ in jacobians]
        for J in reversed(jacobians):
            for k in range(len(jacobians), 0, -1):
                rows[k] += J.T @ rows[k - 1]
        return rows
        # every choice of branches, in torch
        from itertools import combinations

        J, n = torch.from_numpy(jacobians), len(jacobians)
        rows = torch.zeros(n + 1, len(cotangent), dtype=torch.float64)
        for k in range(n + 1):
            for path in combinations(range(n), k):
                c = torch.from_numpy(cotangent)
                for i in reversed(path):
                    c = J[i].T @ c
                rows[k] += c
        return rows
    """),
)

# landscape_slice -----------------------------------------------------------------------------------------------------


def _unit_by_unit(net, direction, steps, x, y):
    result = np.empty((len(net.seeds), len(steps)))
    for column, a in enumerate(steps):
        moved = copy.deepcopy(net)
        for name, weight in moved.named_parameters():
            for s, u in np.ndindex(*weight.shape[:2]) if name in direction else ():
                d, w = direction[name][s, u], weight.data[s, u]
                w += a * d * ((w**2).sum() / (d**2).sum()).sqrt()
        log_p = torch.log_softmax(moved(x).detach(), -1)
        result[:, column] = -log_p[:, torch.arange(len(y)), y].mean(1).numpy()
    return result


def _slice(blocks, residual, seed, steps, draw=landscape.random_direction, ask=case):
    net = made(paths.example_net, blocks, residual, 2, seed)
    which = "the weights of one branch" if draw is partial_direction else "all weights"
    kind = "residual" if residual else "plain"
    what = f"landscape_slice through {which} of a {kind} net at the steps {steps}"
    x, y = _examples(seed, 9)
    return ask(net, made(draw, net, seed), np.array(steps), x, y, what=what)


def _draw_slices(rng):
    for blocks, residual in ((3, True), (3, False)):
        steps = [0.0, *rng.uniform(-0.8, 0.8, 2).round(2).tolist()]
        yield _slice(blocks, residual, int(rng.integers(1000)), steps)


UNIT = "d / d.norm(dim=2, keepdim=True) * weights[name].norm(dim=2, keepdim=True)"
LEFT = "            net.load_state_dict(moved, strict=False)"
STACK = "torch.stack(losses, 1).double().numpy()"

landscape_slice = Exercise(
    idea="How a slice through the loss looks depends on how long its direction is; normalised filter by filter, two networks can be compared.",
    oracle=_unit_by_unit,
    probe=operated,
    rtol=1e-8,  # a loss is a logarithm of sums of exponentials, some of them large
    cases=[
        _slice(2, True, 3, [-0.5, 0.0, 0.25]),
        _slice(1, False, 4, [0.6, -0.1]),
        _slice(2, True, 5, [0.4], draw=partial_direction),
        _slice(2, True, 6, [0.3], ask=conduct),
    ],
    hidden=_draw_slices,
    mistakes=[
        *listed(f"""
            instead of {UNIT}:
            no normalisation | d
                The direction has kept its own length: scale it, unit by unit, to the length of the weights.
            along the wrong axis | {UNIT.replace("dim=2", "dim=1")}
                Scaled along the wrong axis: the filter of unit u is weight[s, u, :], all that comes *into* it.
            each matrix as a whole | {UNIT.replace("dim=2", "dim=(1, 2)")}
            each stack as a whole | d / d.norm() * weights[name].norm()
                Each matrix was scaled as a whole; filter normalisation gives every unit its own factor.
            unit length | d / d.norm(dim=2, keepdim=True)
                Every unit moves by 1, however long its weights are: the length of the weights themselves is missing.
            the length of the weights on top of the direction's own | d * weights[name].norm(dim=2, keepdim=True)
                The direction has kept its own length, and got that of the weights on top of it: divide by its own first.
            along the weights whatever the direction | weights[name]
                The weights move along themselves: `direction` says where to go, and the weights only how far.
            absolute lengths of 1 | {UNIT.replace(".norm(dim=2, keepdim=True)", ".abs().sum(2, keepdim=True)")}
                The length of a vector is the root of the sum of its squares, not the sum of its absolute values.
            axes swapped | {STACK} | {STACK.replace(", 1", "")}
                The axes are swapped: one row a network, one column a step.
            networks averaged | {STACK} | {STACK}.mean(0)
                The networks of the stack were averaged: keep one row for each.
            summed over the examples | {STACK} | {STACK} * len(y)
                These are sums over the examples; the loss is their mean.
            the network does not move | (net, moved, (x,)) | (net, {{}}, (x,))
                The loss is the same at every step: are the moved weights the ones the network computes with?
            the other way | + float(a) | - float(a)
                The network moves the wrong way: at step a the weights are w *plus* a d.
            the weights are left out | weights[name] + float(a) | float(a)
                The step stands alone: at step a the weights are w + a d.
            all weights, named or not | for name in direction}} | for name in landscape.weight_names(net)}}
                Parameters that are not named in `direction` stay where they are.
            its own random direction | for name, d in direction.items() | for name, d in landscape.random_direction(net, 0).items()
                `direction` is not used, or not as it is: the loss is that along another line.
            steps add up | float(a) | float(np.sum(steps[: len(losses) + 1]))
                Every step starts where the last one ended: it should start from the weights themselves.
            the network is left moved | .detach() for | .detach().clone() for |             losses | {LEFT}\\n            losses
                The network was left where the last step had moved it: it has to come out with the weights it came in with.
            forgets no_grad | torch.no_grad() | torch.enable_grad()
                The losses still remember how they were computed; nothing is differentiated here. `torch.no_grad()` says so.
        """),
        special("small steps only", "float(a)", "float(a if abs(a) < 0.61 else 0.61)"),
    ],
    right=written("""
        # copies the network and writes into the copy
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
        # moves the network and puts it back
        named = dict(net.named_parameters())
        old = {name: named[name].detach().clone() for name in direction}
        losses = []
        with torch.no_grad():
            for a in steps:
                for name, d in direction.items():
                    unit = torch.nn.functional.normalize(d, dim=2)
                    named[name].copy_(old[name] + a * unit * torch.linalg.vector_norm(old[name], dim=2, keepdim=True))
                losses.append([torch.nn.functional.cross_entropy(one, y).item() for one in net(x)])
            for name in direction:
                named[name].copy_(old[name])
        return np.array(losses).T
        # a tensor, through vmap over the steps
        weights = {n: p.detach() for n, p in net.named_parameters() if n in direction}
        way = {n: torch.nn.functional.normalize(d, dim=-1) * weights[n].norm(dim=-1, keepdim=True) for n, d in direction.items()}

        def losses(a):
            logits = torch.func.functional_call(net, {n: weights[n] + a * way[n] for n in way}, (x,))
            return training.stacked_loss(logits, y.expand(len(logits), -1))

        return torch.stack([losses(a) for a in torch.as_tensor(steps)]).T.detach()
    """),
    equivalent={
        "weights = {name: dict(net.named_parameters())[name].detach() for name in direction}  ->  weights = {name: "
        "dict(net.named_parameters())[name] for name in direction}": "used under no_grad alone",
        "moved = {name: weights[name] + float(a) * scaled[name] for name in weights}  ->  moved = {name: weights[name] + a * "
        "scaled[name] for name in weights}": "a number of numpy is a number",
        **{
            f"return {STACK}  ->  return torch.stack(losses, 1).{rest}": "a tensor or an array of the same float64 numbers"
            for rest in ("double()", "numpy()")
        },
        "computed without gradients": "nothing is differentiated",
    },
)
