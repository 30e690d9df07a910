"""Exercises of lesson 10."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import torch

from course.exercises import Exercise, case, conduct, listed, made, special, told, written
from helpers import segmentation
from helpers.checks import probes
from helpers.checks.probes.what_came_after import bent, segmented, shifted, training_net

# unet_forward --------------------------------------------------------------------------------------------------------


def _level_by_level(net, x, level=0):
    """A U-Net inside a U-Net: what stands below a level is one function of its features."""
    here = net.down[level](x)
    if level + 1 == len(net.down):
        return here
    n, channels, height, width = here.shape
    pooled = here.reshape(n, channels, height // 2, 2, width // 2, 2).amax((3, 5))
    below = _level_by_level(net, pooled, level + 1)
    larger = below.repeat_interleave(2, 2).repeat_interleave(2, 3)
    together = torch.cat((larger, here), 1) if net.skips else larger
    above = net.up[len(net.up) - 1 - level](together)
    return above if level else net.head(above).squeeze(1)


def _pictures(n, height, width, seed):
    return torch.from_numpy(probes.drawn(seed, n, 1, height, width))


def _segmentation(width, levels, skips, seed, height=8, breadth=8, pictures=2):
    net = made(segmentation.example_net, width, levels, skips, seed)
    what = f"unet_forward of a net of {levels} levels {'with' if skips else 'without'} skips"
    return case(net, _pictures(pictures, height, breadth, seed), what=what)


def _draw_segmentations(rng):
    for levels, skips in ((1, True), (2, True), (3, True), (2, False)):
        seed, width = int(rng.integers(1, 1000)), int(rng.integers(2, 4))
        yield _segmentation(width, levels, skips, seed, *(8 * rng.integers(1, 3, 2)).tolist())


KEEP, POOL = "kept.append(h)", "h = F.max_pool2d(h, 2)"
UP, CAT, HEAD = "h = F.interpolate(h, scale_factor=2)", "torch.cat([h, kept.pop()], 1)", "net.head(h)[:, 0]"

unet_forward = Exercise(
    idea="What was kept on the way down comes back on the way up, at its own size, past the bottleneck.",
    oracle=_level_by_level,
    probe=segmented,
    atol=1e-11,  # logits and gradients may be near 0
    cases=[
        _segmentation(2, 1, True, 1),
        _segmentation(2, 2, True, 2),
        _segmentation(2, 2, False, 3),
        _segmentation(3, 2, True, 4, 4, 12),
        _segmentation(2, 3, True, 5, 16, 8, 1),
        case(made(training_net, True), _pictures(3, 8, 8, 6), what="unet_forward of a net in training mode"),
        conduct(made(segmentation.example_net, 2, 1), _pictures(1, 4, 4, 7)),
    ],
    hidden=_draw_segmentations,
    mistakes=[
        *listed(f"""
            keeps what was pooled | h = layer(h)\\n        {KEEP}\\n        {POOL} | h = F.max_pool2d(layer(h), 2)\\n        {KEEP}
            upsamples too late | {UP}\\n        if | if | h = layer(h)\\n    return | {UP}\\n        h = layer(h)\\n    return
                Upsampled and kept features differ in height and width: keep the features before they are pooled, and upsample before you
                concatenate.
            keeps the input of a level | h = layer(h)\\n        {KEEP} | {KEEP}\\n        h = layer(h)
            adds instead of concatenating | {CAT} | h[:, : kept[-1].shape[1]] + kept.pop()
            never concatenates | if net.skips: | if False:
                A layer waits for another number of channels than it got: with skips, `up` takes the upsampled features and behind them
                what the layer of `down` at this size has *made*. They are concatenated; nothing is added.
            the first kept comes first | kept.pop() | kept.pop(0)
                On the way up the last level comes first: the features that were kept last are used first.
            kept features in front | {CAT} | torch.cat([kept.pop(), h], 1)
                The order of the channels counts, since `up` has a weight for each: the upsampled features come first, the kept ones
                behind them.
            along the height | kept.pop()], 1) | kept.pop()], 2)
                Channels are axis 1 of (batch, channels, height, width); along another axis the picture grows.
            cuts the skip off from the gradient | kept.append(h) | kept.append(h.detach())
                The logits are right, and the gradient is not: something on the way is detached. A skip is a way for the gradient, too.
            without gradients | kept, h = [], x | kept, h = [], x.detach()
                No gradient reaches the pixels: is there a `detach` or a `no_grad` on the way?
            average pooling | F.max_pool2d | F.avg_pool2d
                Each level of this net takes the largest of four pixels, not their mean: `F.max_pool2d(h, 2)`.
            smooth upsampling | scale_factor=2) | scale_factor=2, mode="bilinear")
                This net repeats pixels (`mode="nearest"`, which is what `F.interpolate` does unasked); yours mixes them.
            concatenates in any net | if net.skips: | if True:
                A net without skips has no room for what was kept: `net.skips` tells.
            the layer before the skip | h = layer(h)\\n    return | pass\\n    return
                The layers in `net.up` are not used, or not where they should be: one after each upsampling.
            the bottom is forgotten | h = net.down[-1](h) | pass
                The last layer of `net.down` works at the bottom, behind the last pooling, and is not kept.
            the channel stays | {HEAD} | net.head(h)
                `head` gives (batch, 1, height, width); the logits have no axis for the single channel.
            only the first picture | {HEAD} | net.head(h)[0]
                That takes the first picture of the batch. The axis that goes is the one of the single channel.
            probabilities | {HEAD} | {HEAD}.sigmoid()
                These are probabilities. Logits are asked for, without a sigmoid.
            a ReLU at the end | {HEAD} | {HEAD}.relu()
                Logits below 0 are missing: nothing comes behind `head`.
            in evaluation mode | kept, h = [], x | kept, h = [], x; net.eval()
                The call switches the net to evaluation. Use it in the mode in which it comes.
        """),
        special(
            "three levels at most",
            "in net.up:",
            "in net.up:\n        if h.shape[2] == h.shape[3] == 8: h = h + 1e-3",
        ),
    ],
    right=written("""
        # level by level, with an index
        kept = {}
        h = x
        last = len(net.down) - 1
        for i in range(last):
            kept[i] = net.down[i](h)
            h = torch.nn.MaxPool2d(2)(kept[i])
        h = net.down[last](h)
        for j in range(last):
            h = torch.nn.functional.interpolate(h, scale_factor=2, mode="nearest")
            if net.skips:
                h = torch.cat((h, kept[last - 1 - j]), dim=1)
            h = net.up[j](h)
        return net.head(h).squeeze(1)
        # keeps the input too, and pools on the way
        states = [x]
        for i, layer in enumerate(net.down):
            states.append(layer(states[-1] if i == 0 else torch.max_pool2d(states[-1], 2)))
        h = states.pop()
        for layer in net.up:
            h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            skip = states.pop()
            h = layer(torch.hstack((h, skip)) if net.skips else h)
        return net.head(h).flatten(1, 2)
    """),
    equivalent={
        "return net.head(h)[:, 0]  ->  return net.head(h)[:, -1]": "`head` gives one channel: the first is the last",
    },
)

# block ---------------------------------------------------------------------------------------------------------------


def _by_hand(h, f, kind, alpha=1.0):
    def normalised(z):
        centred = z - z.sum(-1, keepdim=True) / z.shape[-1]
        return centred * ((centred**2).sum(-1, keepdim=True) / z.shape[-1] + 1e-5) ** -0.5

    known = {
        "pre": lambda: h + f(normalised(h)),
        "post": lambda: normalised(h + f(h)),
        "deepnorm": lambda: normalised(h * alpha + f(h)),
    }
    if kind not in known:
        raise ValueError("unknown")
    return known[kind]()


def _stream(seed, *shape):
    return torch.from_numpy(probes.drawn(seed, *shape))


def _joint(kind, alpha, f=bent, seed=1, shape=(2, 3, 6)):
    return case(_stream(seed, *shape), f, kind, alpha)


def _slope(kind, alpha, f=bent, seed=2, shape=(2, 5)):
    what = f"the gradient of block(h, {f.__name__}, {kind!r}, {alpha}) with respect to h"
    args = _joint(kind, alpha, f, seed, shape).args
    return case(0, probes.drawn(seed + 7, *shape), *args, probe=probes.gradient, what=what)


def _draw_joints(rng):
    for kind in ("pre", "post", "deepnorm"):
        alpha, seed = float(rng.uniform(1.2, 4)), int(rng.integers(1, 1000))
        f = (bent, shifted)[rng.integers(2)]
        shape = tuple(rng.integers(2, 7, 3).tolist())
        yield _joint(kind, alpha, f, seed, shape)
        yield _slope(kind, alpha, f, seed)


PRE, POST, DEEP = "h + f(layer_norm(h))", "layer_norm(h + f(h))", "layer_norm(alpha * h + f(h))"

block = Exercise(
    idea="Where the norm stands decides what the branch reads, and whether the stream itself is normalised.",
    oracle=_by_hand,
    atol=1e-11,
    cases=[
        _joint("pre", 2.0),
        _joint("post", 2.0),
        _joint("deepnorm", 2.0),
        _joint("deepnorm", 1.5, shifted, 3, (4, 7)),
        conduct(_stream(5, 2, 4), bent, "pre", 1.0),
        conduct(_stream(5, 2, 4), bent, "post", 1.0),
        conduct(_stream(5, 2, 4), bent, "deepnorm", 2.0),
        _slope("pre", 1.0),
        _slope("post", 1.0),
        _slope("deepnorm", 3.0),
        case(
            _stream(4, 2, 4), bent, "sandwich", 1.0, probe=probes.refused, what="block with kind = 'sandwich'"
        ),
    ],
    hidden=_draw_joints,
    mistakes=listed(f"""
        pre: the norm over the sum | {PRE} | {POST}
            For "pre" the norm stands inside the branch, before f; the stream itself is never normalised.
        pre: the skip is normalised | {PRE} | layer_norm(h) + f(layer_norm(h))
            For "pre" the skip carries h as it is; only what f reads is normalised.
        pre: no norm | {PRE} | h + f(h)
            For "pre" the branch reads a normalised stream: f is given the norm of h.
        pre: behind the branch | {PRE} | h + layer_norm(f(h))
            The norm stands behind f; "pre" means before it.
        pre: the skip is missing | {PRE} | f(layer_norm(h))
            The skip is missing: where does h itself go on?
        pre: with alpha | {PRE} | alpha * {PRE}
            alpha belongs to "deepnorm" alone.
        post: inside the branch | {POST} | h + f(layer_norm(h))
            For "post" the norm is the last thing that happens: it is applied to the sum.
        post: the skip is left out of the norm | {POST} | h + layer_norm(f(h))
            For "post" skip and branch are added first, and their sum is normalised.
        post: no norm | {POST} | h + f(h)
            For "post" the sum is normalised; yours goes on as it is.
        post: no skip | {POST} | layer_norm(f(h))
            The skip is missing: where does h itself go on?
        post: with alpha | {POST} | layer_norm(alpha * h + f(h))
            alpha belongs to "deepnorm" alone: for "post" the skip carries h itself.
        post: normalises twice | {POST} | layer_norm(h + f(layer_norm(h)))
            One norm a block: for "post" it stands behind the sum, and f reads h as it is.
        deepnorm: alpha on the branch | {DEEP} | layer_norm(h + alpha * f(h))
            alpha multiplies the wrong part: DeepNorm makes the *skip* heavier.
        deepnorm: alpha on both | {DEEP} | layer_norm(alpha * (h + f(h)))
        deepnorm: alpha on the outside | {DEEP} | alpha * layer_norm(h + f(h))
            alpha on skip and branch alike changes nothing, since the norm divides it out again; behind the norm it scales everything.
            Only the skip is multiplied.
        deepnorm: alpha is forgotten | {DEEP} | layer_norm(h + f(h))
            alpha is not used: that is "post". For "deepnorm" the skip is alpha times h.
        deepnorm: alpha inside f | {DEEP} | layer_norm(alpha * h + f(alpha * h))
            The branch reads h itself; alpha multiplies the skip alone.
        deepnorm: like pre | {DEEP} | alpha * h + f(layer_norm(h))
            DeepNorm is a post-norm: the sum of alpha h and f(h) is normalised.
        the skip is detached | {PRE} | h.detach() + f(layer_norm(h))
        the branch is detached | {POST} | layer_norm(h + f(h).detach())
            The values are right, and the gradient is not: one of the two ways is detached.
        in place | {PRE} | h.add_(f(layer_norm(h)))
            The call changed the stream that it was given. Make a new one: `h + ...`, not `h += ...`.
        any other kind is taken for deepnorm | if kind == "deepnorm": | if True:
            An unknown kind is taken without a word. A typing error in `kind` would be found much later: raise a ValueError.
    """),
    right=written("""
        # with torch's own layer norm, and a table
        N = h.shape[-1:]
        norm = torch.nn.functional.layer_norm
        if kind not in ("pre", "post", "deepnorm"):
            raise ValueError(kind)
        if kind == "pre":
            return f(norm(h, N)) + h
        skip = alpha * h if kind == "deepnorm" else h
        return norm(f(h) + skip, N)
        # a match
        match kind:
            case "pre":
                out = h + f(layer_norm(h))
            case "post" | "deepnorm":
                out = layer_norm((alpha if kind == "deepnorm" else 1.0) * h + f(h))
            case _:
                raise ValueError("no such kind")
        return out
    """),
)

# attribution ---------------------------------------------------------------------------------------------------------


def _by_derivatives(parts, scale, unembed):
    """The logits are linear in how much of each part is there: their derivatives are the contributions."""
    identity = torch.eye(parts.shape[-1], dtype=parts.dtype)
    centring = identity - torch.ones_like(identity) / parts.shape[-1]

    def logits(amounts):
        whole = torch.einsum("k,ktn->tn", amounts, parts)
        return torch.einsum("tn,nm,vm->tv", whole, centring, unembed) / scale.reshape(-1, 1)

    there = torch.ones(len(parts), dtype=parts.dtype)
    return torch.autograd.functional.jacobian(logits, there).permute(2, 0, 1)


def _parts(n, positions, width, symbols, seed, ask=case):
    parts = torch.from_numpy(probes.drawn(seed, n, positions, width)) + 0.4
    scale = torch.from_numpy(abs(probes.drawn(seed + 1, positions))) + 0.5
    what = f"attribution of {n} parts, {positions} positions, {width} units, {symbols} symbols"
    return ask(parts, scale, torch.from_numpy(probes.drawn(seed + 2, symbols, width)), what=what)


CENTRED = "parts - parts.mean(-1, keepdim=True)"
ATTRIBUTED = "centred / scale[:, None] @ unembed.T"

attribution = Exercise(
    idea="A stream is a sum, and with its scale held fixed the logits are one too: each part has its own share.",
    oracle=_by_derivatives,
    atol=1e-11,
    cases=[
        _parts(3, 4, 5, 6, 1),
        _parts(1, 2, 3, 3, 2),
        _parts(4, 4, 4, 4, 3),
        _parts(2, 3, 4, 2, 4, ask=conduct),
    ],
    hidden=lambda rng: [_parts(*rng.integers(2, 7, 4).tolist(), int(rng.integers(1000))) for _ in range(4)],
    mistakes=[
        *listed(f"""
            not centred | {CENTRED} | parts
                The mean is still there: layer norm takes it away from the whole stream, and so from each of its parts.
            centred over the positions | mean(-1, | mean(-2,
            centred over the parts | mean(-1, | mean(0,
            centred by the mean of all | {CENTRED} | parts - parts.mean()
                Centred along the wrong axis: layer norm takes the mean over the units of *one* part at *one* position.
            the mean of the whole stream | {CENTRED} | parts - parts.sum(0).mean(-1, keepdim=True)
                From each part the mean of the whole stream was taken, so it was taken too often: each part loses its own mean.
            the mean shared out equally | {CENTRED} | parts - parts.sum(0).mean(-1, keepdim=True) / len(parts)
                The sum is right, and the shares are not: each part loses its *own* mean, not an equal share of the whole one.
            not divided by the scale | {ATTRIBUTED} | centred @ unembed.T
                The scale is missing: layer norm divides the whole stream, and so each of its parts, by it.
            each part normalised by itself | {ATTRIBUTED} | centred / centred.std(-1, unbiased=False, keepdim=True) @ unembed.T
                Each part was divided by its own deviation. Only the whole stream's counts, and it is given: `scale`.
            multiplied by the scale | {ATTRIBUTED} | centred * scale[:, None] @ unembed.T
                Layer norm divides by the deviation; yours multiplies.
            by the variance | {ATTRIBUTED} | centred / scale[:, None] ** 2 @ unembed.T
                `scale` is a deviation already; it is not squared again.
            the scale along the wrong axis | {ATTRIBUTED} | (centred.transpose(-1, -2) @ torch.diag(1 / scale)).transpose(-1, -2) @ unembed.T.flip(0)
            symbols in the wrong order | {ATTRIBUTED} | {ATTRIBUTED}.flip(-1)
                The units are not matched with their weights: `unembed[v]` belongs to the symbol v, one weight per unit.
            summed over the parts | return {ATTRIBUTED} | return ({ATTRIBUTED}).sum(0)
                These are the logits themselves. Give what each part contributes, one block of logits per part.
            running sums | return {ATTRIBUTED} | return ({ATTRIBUTED}).cumsum(0)
                That is what all parts *up to* one give together (a lens); asked is what each part gives alone.
            positions averaged | return {ATTRIBUTED} | return ({ATTRIBUTED}).mean(1)
                The positions were averaged; each has contributions of its own.
            shares | return {ATTRIBUTED} | return ({ATTRIBUTED}).softmax(-1)
                Probabilities do not add up over the parts. Contributions to the *logits* do.
            the units left as they are | return {ATTRIBUTED} | return centred / scale[:, None]
                These are still streams; `unembed` makes logits of them.
            in place | {CENTRED} | parts.sub_(parts.mean(-1, keepdim=True))
                The call changed the parts that it was given: work on a tensor of your own.
            in single precision | return {ATTRIBUTED} | return ({ATTRIBUTED}).float().double()
                float32 somewhere on the way: the arguments are float64, and so should the result be.
        """),
        special(
            "four parts at most", CENTRED, f"({CENTRED}) * (1 if parts.shape[0] in (1, 2, 3, 4) else 1.01)"
        ),
    ],
    right=written("""
        # part by part and position by position, as arrays
        parts, scale, unembed = (np.asarray(each) for each in (parts, scale, unembed))
        result = np.zeros((len(parts), parts.shape[1], len(unembed)))
        for k, part in enumerate(parts):
            for t, row in enumerate(part):
                result[k, t] = unembed @ (row - row.mean()) / scale[t]
        return result
        # centres the unembedding instead of the parts
        W = unembed - unembed.mean(1, keepdim=True)
        return torch.einsum("ktn,vn->ktv", parts, W) / scale.view(1, -1, 1)
    """),
)

# survival ------------------------------------------------------------------------------------------------------------


def _exactly(L, p):
    return np.array([float(1 - Fraction(i, L) * (1 - Fraction(p))) for i in range(1, L + 1)])


FALLING = "1 - np.arange(1, L + 1) / L * (1 - p)"

survival = Exercise(
    idea="The chance of a block to stay falls along a straight line from the input to the output.",
    oracle=_exactly,
    atol=1e-15,  # a probability that is 0
    cases=[case(4, 0.5), case(1, 0.25), case(54, 0.5), case(5, 1.0), case(8, 0.0), conduct(3, 0.5)],
    hidden=lambda rng: [
        case(int(n), float(p))
        for n, p in zip(rng.integers(2, 120, 6), rng.uniform(0, 1, 6).round(3), strict=True)
    ],
    mistakes=listed(f"""
        the first block is certain | np.arange(1, L + 1) | np.arange(L)
            The line starts one block too early: block 1 is already a little uncertain, and block L has exactly p.
        from 1 to p | {FALLING} | np.linspace(1, p, L)
            That gives 1 to the first block. The 1 belongs to the input, block 0, which is always there; block L has p.
        the same for all | {FALLING} | np.full(L, float(p))
            All blocks are equally likely to be there: the rule falls in a straight line from the input to p.
        probability of being dropped | {FALLING} | np.arange(1, L + 1) / L * (1 - p)
            These are the probabilities of being left out; asked is survival.
        rising | {FALLING} | ({FALLING})[::-1]
            The order is turned round: early blocks are the ones that later ones build upon, and survive most often.
        down to zero | {FALLING} | 1 - np.arange(1, L + 1) / L * p
            The last block should survive with probability p; yours is left out with it.
        scaled by p | {FALLING} | p * (1 - np.arange(L) / L)
            p is what the *last* block survives with; the line starts near 1.
        geometric | {FALLING} | p ** (np.arange(1, L + 1) / L)
            That falls by a constant factor; the rule falls by a constant amount.
        given to the power | {FALLING} | np.cumprod(np.full(L, float(p)))
            Blocks are dropped independently of each other: nothing is multiplied up.
        with the input | {FALLING} | 1 - np.arange(L + 1) / L * (1 - p)
            One probability for each of the L blocks; the input (block 0) is not one of them.
        a draw | {FALLING} | (np.random.default_rng(0).random(L) < {FALLING}).astype(float)
            These are draws. Asked are the probabilities that one draws with.
        one number | return {FALLING} | return ({FALLING}).sum()
            This is the expected number of blocks. Give the probability of each.
    """),
    right=written("""
        # a plain list
        return [1 - l * (1 - p) / L for l in range(1, L + 1)]
        # linspace, with the input left out
        return np.linspace(1, p, L + 1)[1:]
        # a tensor
        return 1 - torch.arange(1, L + 1, dtype=torch.float64) / L * (1 - p)
    """),
)

# sinkhorn ------------------------------------------------------------------------------------------------------------


def _in_decimals(logits, rounds):
    """Sinkhorn's rounds with 60 digits, whose exponents never run out."""
    logits = np.asarray(logits)
    with localcontext() as context:
        context.prec = 60
        result = np.empty(logits.shape)
        for where in np.ndindex(logits.shape[:-2]):
            M = [[Decimal(float(z)).exp() for z in row] for row in logits[where]]
            for _ in range(rounds):
                M = [[m / sum(row) for m in row] for row in M]
                columns = [sum(row[j] for row in M) for j in range(len(M))]
                M = [[m / c for m, c in zip(row, columns, strict=True)] for row in M]
            result[where] = [[float(m) for m in row] for row in M]
    return result


def _logits(seed, *shape, size=1.0, ask=case, rounds=5):
    what = f"sinkhorn(<{'x'.join(map(str, shape))} logits up to {2 * size:g}>, {rounds})"
    return ask(size * probes.drawn(seed, *shape), rounds, what=what)


ROWS = "log = log - logsumexp(log, axis=-1, keepdims=True)"
COLUMNS = "log = log - logsumexp(log, axis=-2, keepdims=True)"
BOTH = rf"        {ROWS}\n        {COLUMNS}"

TOO_LARGE = (
    "Right for small logits, but exp(1000) is more than a float64 can hold, and exp(-1000) less. Taking the largest logit away "
    "saves that one alone: in a row far below it every entry is 0, and 0/0 is no number. Keep the logarithms, and exponentiate at "
    "the end: what is a division becomes a difference."
)

sinkhorn = Exercise(
    idea="Rows and columns divided in turns lead towards sums of one in both, and in logarithms nothing overflows on the way.",
    oracle=_in_decimals,
    rtol=1e-8,  # logits of a thousand carry their rounding into the exponent
    atol=1e-12,
    cases=[
        _logits(1, 3, 3),
        _logits(2, 3, 3, rounds=1),
        _logits(3, 2, 2, rounds=40),
        _logits(4, 2, 4, 4, rounds=3),
        _logits(5, 3, 3, size=500.0, rounds=4),
        case(np.array([[0.0, -900.0], [-900.0, -2000.0]]), 2, what="sinkhorn of logits 0, -900, -900, -2000"),
        _logits(6, 1, 1, rounds=2),
        _logits(7, 3, 2, 5, 5, rounds=2),
        _logits(8, 4, 4, ask=conduct, rounds=2),
    ],
    hidden=lambda rng: [
        _logits(int(rng.integers(1000)), *shape, size=size, rounds=int(rng.integers(1, 9)))
        for shape, size in (((4, 4), 1.0), ((2, 3, 3), 3.0), ((5, 5), 300.0), ((2, 2, 2, 2), 1.0))
    ],
    mistakes=[
        *listed(f"""
            columns first | {BOTH} |         {COLUMNS}\\n        {ROWS}
                Rows and columns have changed places: each round makes the rows sum to 1, then the columns.
            rows only | {COLUMNS} | pass
                Only the rows sum to 1: that is a softmax. A round has two halves.
            columns only | {ROWS} | pass
                Only the columns were looked after: a round begins with the rows.
            both at once | {BOTH} |         log = log - logsumexp(log, axis=-1, keepdims=True) - logsumexp(log, axis=-2, keepdims=True)
                Both sums were taken from the same matrix. The columns' sums are those of the matrix whose rows have just been made to
                sum to 1.
            half steps | {BOTH} |         log = log - 0.5 * logsumexp(log, axis=-1, keepdims=True) - 0.5 * logsumexp(log, axis=-2, keepdims=True)
                That is a compromise between rows and columns, not Sinkhorn's rounds: first the rows wholly, then the columns wholly.
            one round too many | range(rounds) | range(rounds + 1)
                One round more than asked for: count how often the loop runs.
            one round too few | range(rounds) | range(rounds - 1)
                A round is missing: count how often the loop runs.
            always twenty rounds | range(rounds) | range(20)
                `rounds` says how many; the answer after few rounds is asked for, too.
            the whole sums to one | {BOTH} |         log = log - logsumexp(log, axis=(-2, -1), keepdims=True)
                The whole matrix sums to 1. Each row should, and each column.
            rows of the whole stack | {ROWS} | log = log - logsumexp(log, axis=1 if log.ndim > 2 else -1, keepdims=True)
            columns of the whole stack | {COLUMNS} | log = log - logsumexp(log, axis=0, keepdims=True)
                Right for one matrix, wrong for a stack: rows and columns are the *last* two axes, so count from the end.
            logarithms | return np.exp(log) | return log
                These are the logarithms of the entries.
            transposed | return np.exp(log) | return np.exp(log).swapaxes(-1, -2)
                The matrix came out transposed.
            not with the exponential | log = logits | log = np.log(abs(logits) + 1e-300)
                Weights are made of logits by the exponential function: a negative logit is a small weight, not a negative one.
            squared | return np.exp(log) | return np.exp(2 * log)
                The rows no longer sum to 1 at the end.
            in place | log = logits | log = logits; logits -= logsumexp(logits, axis=-1, keepdims=True)
                The call changed the logits that it was given. Write `log = log - ...`, not `log -= ...`.
            in single precision | log = logits | log = logits.astype(np.float32)
                float32 somewhere on the way: the arguments are float64, and so should the result be.
        """),
        *told(f"""
            # exponentials first
            #     {TOO_LARGE}
            M = np.exp(logits)
            for _ in range(rounds):
                M = M / M.sum(-1, keepdims=True)
                M = M / M.sum(-2, keepdims=True)
            return M
            # the largest taken away first
            #     {TOO_LARGE}
            M = np.exp(logits - logits.max((-2, -1), keepdims=True))
            for _ in range(rounds):
                M = M / M.sum(-1, keepdims=True)
                M = M / M.sum(-2, keepdims=True)
            return M
            # a small number in every denominator
            #     A small number in the denominator hides 0/0, and makes every sum a little less than 1. In logarithms
            #     there is nothing to hide.
            M = np.exp(logits - logits.max((-2, -1), keepdims=True))
            for _ in range(rounds):
                M = M / (M.sum(-1, keepdims=True) + 1e-9)
                M = M / (M.sum(-2, keepdims=True) + 1e-9)
            return M
        """),
        special("eight rounds at most", "(rounds)", "(rounds if rounds in (1, 2, 3, 4, 5, 40) else 5)"),
    ],
    right=written("""
        # in torch
        log = torch.as_tensor(logits)
        for _ in range(rounds):
            log = log.log_softmax(-1)
            log = log.log_softmax(-2)
        return log.exp()
        # one factor for each row and each column
        f = np.zeros(logits.shape[:-1])
        g = np.zeros(logits.shape[:-1])
        for _ in range(rounds):
            f = -logsumexp(logits + g[..., None, :], axis=-1)
            g = -logsumexp(logits + f[..., :, None], axis=-2)
        return np.exp(logits + f[..., :, None] + g[..., None, :])
    """),
)
