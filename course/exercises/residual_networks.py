"""Exercises of lesson 7."""

import numpy as np
import torch
from scipy import stats
from torch import nn

from course.exercises import Exercise, case, changed, conduct, rewritten, written
from helpers.checks.probes import residual_networks as probes

# embed_identity ------------------------------------------------------------------------------------------------------


def _behind_the_first(shallow, depth):
    """Two permutations that undo each other, as often as they fit in, and an identity if one layer is left over."""
    missing, width = depth + 1 - len(shallow), len(shallow[0][1])
    if missing < 0:
        raise ValueError(depth)
    turn, zero = np.roll(np.eye(width, dtype=np.float32), 1, axis=0), np.zeros(width, np.float32)
    pairs = [(turn, zero), (turn.T, zero)] * (missing // 2)
    return [shallow[0], *pairs, *[(turn @ turn.T, zero)] * (missing % 2), *shallow[1:]]


def _embedding(widths, depth, seed):
    what = f"embed_identity(a network of widths {widths}, {depth})"
    return case(widths, depth, seed, what=what)


WIDE = "An inserted layer is as wide as the place where it stands, and has one bias for each of its features."
SINGLE = "The shallow network is float32: np.eye and np.zeros make float64 unless they are told otherwise."
BITS = "Nearly: the logits are the same but for rounding. Which layer hands every number on without computing with it?"
REFUSED = "A network with 2 hidden layers does not fit into depth 1: that should raise a ValueError."
INSERTED, PAIR = "[*hidden, *[identity] * (depth - len(hidden)), head]", "np.eye(width, dtype=np.float32), np.zeros(width, dtype=np.float32)"  # fmt: skip
TOO_DEEP = "raise ValueError(f'depth is {depth}, but the network has {len(hidden)} hidden layers already')"
EMBED_WRONG = changed(
    ("in front of the first layer", "width = len(hidden[-1][1])", "width = shallow[0][0].shape[1]", INSERTED,
     "[*[identity] * (depth - len(hidden)), *shallow]",
     "The inserted layers stand in front of the first trained one. Each ends in a ReLU, and the input has "
     "negative entries: where in the network does a ReLU change nothing?"),
    ("behind the logits", "width = len(hidden[-1][1])", "width = len(head[1])", INSERTED,
     "[*shallow, *[identity] * (depth - len(hidden))]",
     "The inserted layers stand behind the logits, so the old last layer now passes through a ReLU, which "
     "removes the negative logits."),
    ("layers of zeros", PAIR, "np.zeros((width, width), dtype=np.float32), np.zeros(width, dtype=np.float32)",
     "Inserted layers of zeros pass nothing on: only the last bias is left. Which matrix passes h on?"),
    ("layers of ones", PAIR, "np.ones((width, width), dtype=np.float32), np.zeros(width, dtype=np.float32)",
     "A matrix full of ones hands the sum of all features to each of them. Which matrix passes h on?"),
    ("biases of one", "np.zeros(width, dtype=np.float32)", "np.ones(width, dtype=np.float32)",
     "Each inserted layer adds its bias, and yours is not zero."),
    ("depth more layers instead of depth in all", "(depth - len(hidden))", "depth",
     "`depth` counts all hidden layers of the deep network, the trained ones among them."),
    ("the head counted as a hidden layer", "(depth - len(hidden))", "(depth - len(shallow))",
     "One hidden layer is missing: the last pair, which gives the logits, is no hidden layer."),
    ("one too many", "(depth - len(hidden))", "(depth - len(hidden) + 1)", "One hidden layer too many."),
    ("nothing inserted", INSERTED, "list(shallow)",
     "Nothing was inserted: the network has as many hidden layers as before."),
    ("np.eye makes float64", "np.eye(width, dtype=np.float32)", "np.eye(width)", SINGLE),
    ("np.zeros makes float64", "np.zeros(width, dtype=np.float32)", "np.zeros(width)", SINGLE),
    ("as wide as the first hidden layer", "len(hidden[-1][1])", "len(hidden[0][1])", WIDE),
    ("as wide as the input", "len(hidden[-1][1])", "hidden[-1][0].shape[1]", WIDE),
    ("one bias for the layer", "np.zeros(width, dtype=np.float32)", "np.zeros(1, dtype=np.float32)", WIDE),
    ("undone only up to rounding", INSERTED,
     "[*hidden, *[((identity[0] * np.float32(f)), identity[1]) for f in [0.1, 10] * ((depth - len(hidden)) // 2)], *[identity] * ((depth - len(hidden)) % 2), head]",
     BITS),
    ("the caller's list grows", f"return {INSERTED}",
     "shallow[-1:] = [*[identity] * (depth - len(hidden)), head]; return list(shallow)",
     "The caller's list of layers was changed: build a new list, and leave `shallow` as it came."),
    ("a depth that is too small passes", "depth < len(hidden)", "False", REFUSED),
    ("a depth that is just enough is refused", "depth < len(hidden)", "depth <= len(hidden)",
     "A network with as many hidden layers as it should have fits: nothing has to be inserted then."),
    ("weights only", INSERTED, "[weight for weight, _ in shallow]", ""),
    ("forgets to return", f"return {INSERTED}", "", ""),
)  # fmt: skip

embed_identity = Exercise(
    idea="A deeper plain network can equal a shallower one exactly, so that a higher training loss is no lack of capacity.",
    oracle=_behind_the_first,
    probe=probes.embedding,
    rtol=1e-4,
    atol=1e-5,  # for the logits of another processor; that they do not move by a bit is a part of its own
    hints={"the layers fit": WIDE, "the precision is kept": SINGLE, "every logit is kept": BITS},
    cases=[
        _embedding((6, 5, 3), 4, 1),
        _embedding((6, 5, 4, 3), 3, 2),
        _embedding((6, 4, 5, 3), 4, 4),
        _embedding((4, 4, 2), 1, 3),
        case((6, 5, 4, 3), 1, probe=probes.embedding_refused, hints={"": REFUSED}),
        case((3, 2, 2), 2, probe=probes.embedding_conduct, what="embed_identity"),
    ],
    hidden=lambda rng: [
        _embedding((*rng.integers(2, 8, hidden).tolist(), 4, 3), hidden + extra, int(rng.integers(1000)))
        for hidden, extra in ((1, 7), (2, 3), (3, 20))
    ],
    mistakes=EMBED_WRONG,
    equivalent={
        f"{TOO_DEEP}  ->  {TOO_DEEP.replace('{len(hidden)}', '{hidden}')}": "the text is free",
        "width = len(hidden[-1][1])  ->  width = len(hidden[-1][0])": "as many rows as biases",
    },
    right=written("""
        # after the first hidden layer, in a loop
        if len(shallow) - 1 > depth:
            raise ValueError(f"{len(shallow) - 1} hidden layers do not fit into {depth}")
        deep = [shallow[0]]
        while len(deep) + len(shallow) - 1 < depth + 1:
            width = deep[0][0].shape[0]
            deep.append((np.identity(width, dtype="float32"), np.zeros(width, dtype="float32")))
        return deep + shallow[1:]
    """)
    + rewritten(f"""
        a tuple of tensors | {PAIR} | torch.eye(width), torch.zeros(width) | {INSERTED} | tuple({INSERTED})
        every number doubled, then halved
        | {INSERTED} | {INSERTED} if (depth - len(hidden)) % 2 else [*hidden, *[(2 * identity[0], identity[1]), (identity[0] / 2, identity[1])] * ((depth - len(hidden)) // 2), head]
    """),
)

# ResidualMLP ---------------------------------------------------------------------------------------------------------


def _normed(h, linear, norm):
    z = h @ linear.weight.T
    return (z - z.mean(0)) / torch.sqrt(z.var(0, correction=0) + 1e-5) * norm.weight + norm.bias


class _ByFormulas(nn.Module):
    """The paper's network with every mean, variance and product written out; the layers only hold the parameters."""

    def __init__(self, inputs, width, classes, count):
        super().__init__()

        def layers(*arriving):
            pairs = [[nn.Linear(n, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()] for n in arriving]
            return nn.Sequential(*[layer for pair in pairs for layer in pair])

        self.stem, self.head = layers(inputs), nn.Linear(width, classes)
        self.branches = nn.ModuleList(layers(width, width) for _ in range(count))

    def forward(self, x):
        h = _normed(x, *self.stem[:2]).clamp(min=0)
        for first, norm1, _, second, norm2, _ in self.branches:
            h = (h + _normed(_normed(h, first, norm1).clamp(min=0), second, norm2)).clamp(min=0)
        return h @ self.head.weight.T + self.head.bias


def _network(*sizes):
    return case(sizes, {}, (9, sizes[0]), (9, sizes[2]), "float64", what=f"ResidualMLP{sizes}")


STEM, LINE, OUT = "h = self.stem(x)", "h = torch.relu(h + branch(h))", "return self.head(h)"
GIVEN = "The network's parameters are not those that `__init__` makes: leave `__init__` as it is and write `forward` only."
EARLY = "The ReLU stands before the addition. Lesson 5 showed what that does: the stream can only grow. In the paper's block it comes after."
CUT_SKIP = "The logits are right, but no gradient comes back through the shortcuts, which are there to carry it: something cuts h off from what it was computed from."
CUT_STEM = "The logits are right, but no gradient reaches what stands before the first block: something cuts it off there."
NO_GRADIENT = (
    "The values are right, but no gradient comes back at all: nothing of this could ever be trained."
)
OVERWRITES = "`+=` writes into an array that the backward pass still needs. Let the sum be a new one."
NETWORK_WRONG = changed(
    ("no shortcut", LINE, "h = torch.relu(branch(h))",
     "The shortcut is missing: a block adds what comes in to what its branch makes of it."),
    ("neither shortcut nor ReLU", LINE, "h = branch(h)",
     "Neither a shortcut nor a last ReLU: a block is more than its branch."),
    ("ReLU before the addition", LINE, "h = h + torch.relu(branch(h))", EARLY),
    ("no ReLU after the addition", LINE, "h = h + branch(h)", "The ReLU after the addition is missing."),
    ("every shortcut from the stem", STEM, "h = first = self.stem(x)", LINE,
     "h = torch.relu(first + branch(h))",
     "Every block adds the stem's output. A block's shortcut starts where the block starts."),
    ("every branch reads the stem", STEM, "h = first = self.stem(x)", LINE,
     "h = torch.relu(h + branch(first))",
     "Every branch reads the stem's output: it should read the stream h."),
    ("h overwritten before it is added", LINE, "h = branch(h); h = torch.relu(h + h)",
     "The branch adds to itself: add h once, and the branch once."),
    ("the difference", LINE, "h = torch.relu(h - branch(h))", "The branch is subtracted: a block adds it."),
    ("h never updated", LINE, "out = torch.relu(h + branch(h))", OUT, "return self.head(out)",
     "Only the last block's result is used: h is not updated in the loop."),
    ("returns inside the loop", OUT, "    return self.head(h)",
     "Only the first block is used: the loop ends in its first round."),
    ("blocks left out", LINE, "pass", "The blocks are left out: the logits come straight from the stem."),
    ("head left out", OUT, "return h",
     "What comes out is the stream, as wide as the blocks: the logits are one step further."),
    ("probabilities", OUT, "return self.head(h).softmax(1)",
     "These are probabilities; logits are what the head gives, as it is."),
    ("shortcut detached", LINE, "h = torch.relu(h.detach() + branch(h))", CUT_SKIP),
    ("branches detached", LINE, "h = torch.relu(h + branch(h).detach())",
     "The logits are right, but no gradient comes back through the branches, so they would never learn."),
    ("branches read a detached stream", LINE, "h = torch.relu(h + branch(h.detach()))",
     "The logits are right, but no gradient comes back through the branches to what stands before them."),
    ("the stem detached", STEM, "h = self.stem(x).detach()", CUT_STEM),
    ("the features detached", STEM, "h = self.stem(x.detach())", CUT_STEM),
    ("without gradients", "    def forward", "    @torch.no_grad()\n    def forward", NO_GRADIENT),
    ("adds in place", LINE, "h += branch(h); h = torch.relu(h)", OVERWRITES),
    ("layers renamed", "self.branches = nn", "self.blocks = nn", "in self.branches", "in self.blocks", GIVEN),
    ("layers with a bias", "width, bias=False", "width", GIVEN),
    ("no return", OUT, "self.head(h)", ""),
)  # fmt: skip

ResidualMLP = Exercise(
    idea="One stream goes through the whole network, and each block only adds to it.",
    oracle=_ByFormulas,
    probe=probes.module,
    rtol=1e-6,  # float64, because a feature that is dead in a batch is divided by the root of 1e-5 in every layer
    atol=1e-8,
    dtype=True,
    hints={"the parameters": GIVEN},
    cases=[
        _network(4, 3, 2, 2),
        _network(3, 4, 2, 3),
        case((3, 4, 2, 2), {}, (6, 3), "float64", probe=probes.module_conduct, what="the network"),
    ],
    hidden=lambda rng: [_network(*rng.integers(2, 6, 3).tolist(), count) for count in (4, 1, 5)],
    mistakes=NETWORK_WRONG,
    right=rewritten(f"""
        clamped sum by index
        | branch in self.branches | k in range(len(self.branches))
        | {LINE} | h = self.branches[k](h).add(h).clamp(min=0)
        a fold
        |         for branch in self.branches:\\n |         import functools\\n\\n
        |             {LINE}\\n |
        | {OUT} | return self.head(functools.reduce(lambda s, f: F.relu(f(s) + s), self.branches, h))
        in place where nobody needs the old values | {LINE} | h = branch(h).add_(h).relu_()
    """),
)

# degradation_gap -----------------------------------------------------------------------------------------------------


def _by_seed(results):
    """Seed by seed, with scipy's standard error."""
    rows = dict(zip(results["depth"].tolist(), results["train_loss"].tolist(), strict=True))
    differences = [[a - b for a, b in zip(row, rows[min(rows)], strict=True)] for row in rows.values()]
    return np.array([sum(d) / len(d) for d in differences]), np.array([stats.sem(d) for d in differences])


def _table(depths, losses, accuracies):
    return {"depth": np.array(depths), "train_loss": np.array(losses), "test_accuracy": np.array(accuracies)}


def _draw_tables(rng):
    for depths, seeds in (([40, 16, 2, 8], 5), ([3, 5], 10), ([30, 20, 10], 2)):
        losses = rng.exponential(size=(len(depths), seeds))
        yield case(_table(depths, losses, rng.uniform(size=losses.shape)), what=f"a table of depths {depths}")


FOUR = _table(
    [8, 2, 24, 4],
    [[0.5, 0.6, 0.7], [0.2, 0.4, 0.3], [0.0, 0.05, 0.25], [0.2, 0.7, 0.3]],
    [[0.8, 0.9, 0.7], [0.9, 0.8, 0.9], [0.5, 0.7, 0.5], [0.6, 0.9, 0.7]],
)
TWO = _table([3, 7], [[1.0, 0.5], [1.5, 1.25]], [[0.5, 0.75], [0.25, 0.5]])
BASE, GAP = 'loss[results["depth"].argmin()]', "difference.mean(axis=1)"
DEVIATION, ROOT = "difference.std(axis=1, ddof=1)", "math.sqrt(loss.shape[1])"
ERROR = f"{DEVIATION} / {ROOT}"
SMALLEST = "The baseline is the network with the smallest loss. Wanted is the one with the smallest depth, good or bad."
FIT = "Those are gaps of the test accuracy, where overfitting would show. Degradation is a matter of the training loss."
CHANGED = (
    "The caller's table was changed: `-=` and its like write into the arrays that came in. Compute new ones."
)
GAP_WRONG = changed(
    ("sign turned round", GAP, f"-{GAP}",
     "The sign is turned round: a gap is positive where the deeper network is worse."),
    ("first row as the baseline", BASE, "loss[0]",
     "The gaps are taken from the first row, but the rows come in any order: look for the smallest depth."),
    ("last row as the baseline", BASE, "loss[-1]",
     "The gaps are taken from the last row, but the rows come in any order: look for the smallest depth."),
    ("the deepest network as the baseline", "argmin", "argmax",
     "The baseline is the deepest network: it should be the shallowest."),
    ("the smallest loss as the baseline", BASE, "loss[loss.mean(1).argmin()]", SMALLEST),
    ("each seed's smallest loss as the baseline", BASE, "loss.min(0)", SMALLEST),
    ("test accuracy", 'results["train_loss"]', 'results["test_accuracy"]', FIT),
    ("test error", 'results["train_loss"]', '-results["test_accuracy"]', FIT),
    ("nothing subtracted", GAP, "loss.mean(1)",
     "Those are the mean losses: subtract the shallowest network's."),
    ("medians", GAP, f"np.median(loss, 1) - np.median({BASE})",
     "Those are gaps of medians: take means over the seeds."),
    ("medians of the differences", GAP, "np.median(difference, 1)",
     "Those are medians of the differences: take means over the seeds."),
    ("relative gaps", GAP, f"{GAP} / {BASE}.mean()",
     "Those gaps are divided by the shallowest network's loss: a difference is enough."),
    ("means over the depths", GAP, "difference.mean(axis=0)",
     "The means are taken over the depths: one row is one depth, and its seeds are the columns."),
    ("sums", GAP, "difference.sum(axis=1)", "Those are sums over the seeds: take means."),
    ("in the order of the depths", GAP, f'{GAP}[results["depth"].argsort()]',
     "The gaps stand in the order of the depths: leave them in the order of the rows."),
    ("shallowest row dropped", GAP, 'difference.mean(1)[results["depth"] > results["depth"].min()]',
     "Keep the shallowest depth in its row, with gap 0: one entry per row of the results."),
    ("deviation for error", f" / {ROOT}", "",
     "That is the deviation of one seed's difference; the mean of n seeds varies less, by the root of n."),
    ("divided by n", ", ddof=1", "",
     "The deviation is divided by n where n - 1 belongs: numpy's std has an argument for that."),
    ("plain std", ERROR, "difference.std(1)",
     "That is numpy's plain std: use n - 1, and divide by the root of n."),
    ("the root of n - 1 twice", ROOT, "math.sqrt(loss.shape[1] - 1)",
     "n - 1 belongs into the deviation alone; the mean of n seeds varies less by the root of n."),
    ("no root", ROOT, "loss.shape[1]",
     "Divided by the number of seeds; a mean's deviation shrinks by the root of it."),
    ("the number of depths", "loss.shape[1]", "loss.shape[0]",
     "Divided by the root of the number of rows: n is the number of seeds."),
    ("the variance", ".std(", ".var(", "That is made from the variance; the standard deviation is its root."),
    ("rows treated as unrelated", ERROR,
     f"np.sqrt((loss.var(1, ddof=1) + {BASE}.var(ddof=1)) / loss.shape[1])",
     "The rows are treated as unrelated. A seed shuffles the data alike at every depth: take each seed's "
     "own difference first, then its spread."),
    ("error of the mean loss", ERROR, f"loss.std(1, ddof=1) / {ROOT}",
     "That is the error of each mean loss. Wanted is the error of the gap: the spread of the differences."),
    ("subtracts in place", f"difference = loss - {BASE}", f"difference = loss; loss -= {BASE}.copy()",
     CHANGED),
    ("sorts the caller's table", f"return {GAP}", f'results["depth"].sort(); return {GAP}', CHANGED),
    ("gaps only", f"return {GAP}, {ERROR}", f"return {GAP}", ""),
)  # fmt: skip

degradation_gap = Exercise(
    idea="Differences are taken seed by seed before they are averaged, and the error bar is that of the differences.",
    oracle=_by_seed,
    probe=probes.gaps,
    atol=1e-12,  # of a gap of zero
    cases=[
        case(FOUR, what="a table of depths [8, 2, 24, 4]"),
        case(TWO, what="a table of depths [3, 7]"),
        conduct(FOUR, what="degradation_gap"),
    ],
    hidden=_draw_tables,
    mistakes=GAP_WRONG,
    right=written("""
# scipy and a dictionary of columns
from scipy import stats

rows = dict(zip(results["depth"].tolist(), results["train_loss"]))
base = rows[min(rows)]
return (
    np.array([np.mean(row - base) for row in results["train_loss"]]),
    [stats.sem(row - base) for row in results["train_loss"]],
)
# by hand, from sums of squares, in one array
order = np.argsort(results["depth"])
d = results["train_loss"] - results["train_loss"][order[:1]]
n = d.shape[1]
gap = d.sum(1) / n
return np.stack([gap, np.sqrt(((d - gap[:, None]) ** 2).sum(1) / (n * (n - 1)))])
""")
    + rewritten(f"""
        torch | loss - {BASE} | torch.from_numpy(loss - {BASE}) | {DEVIATION} | difference.std(axis=1)
    """),
)

# GatedBlock ----------------------------------------------------------------------------------------------------------


class _ByProducts(nn.Module):
    """ReZero's block from its formula."""

    def __init__(self, width):
        super().__init__()
        self.linear, self.gate = nn.Linear(width, width), nn.Parameter(torch.tensor([0.0]))

    def forward(self, h):
        branch = torch.einsum("ij,nj->ni", self.linear.weight, h) + self.linear.bias
        return h + torch.where(branch > 0, branch * self.gate, 0)


def _gated(gate, width=4, batch=7):
    return case((width,), {"gate": gate}, (batch, width), (batch, width), what=f"the block at gate {gate:g}")


ZERO, BLOCK = "nn.Parameter(torch.zeros(()))", "h + self.gate * torch.relu(self.linear(h))"
START = {
    "the gate is a parameter": "`gate` is not among the block's parameters, so no optimizer will ever change it: make it an nn.Parameter.",
    "`linear` is there": "The layer `linear` has gone: it is given, only the gate and `forward` are yours.",
    "the numbers in the gate": "The gate is one number for the whole block, and yours holds more of them, or none.",
    "`linear` holds more than zeros": "The gate and the layer both start at zero: each one's gradient carries the other as a factor, so neither ever moves. One zero is enough.",
    "the gate at the start": "The gate starts elsewhere; the block should start as the identity, at gate 0.",
}  # fmt: skip
SUM = "No ReLU around the sum: negative entries of h have to pass too, so that the block is the identity at gate 0."
INSIDE = (
    "The gate is inside the ReLU. For a negative gate that is another function, and at gate 0 the ReLU sees exactly 0 "
    "everywhere, where torch takes relu'(0) = 0: the block would stay the identity for ever."
)
SIGN = (
    "The gate's sign is lost: it should multiply the branch as it is. (An absolute value has no slope at 0 in torch, so "
    "that a gate which starts there would never leave.)"
)
CUT_GATE = (
    "The values are right, but no gradient reaches the gate, so no optimiser will ever move it. Is it read out as a plain "
    "number on the way?"
)
CUT_WEIGHTS = (
    "The values are right, but no gradient reaches the weights of `linear`, whatever the gate is: the branch is cut off from "
    "them, so it would never learn."
)
GATED_WRONG = changed(
    ("the gate inside the ReLU", BLOCK, "h + torch.relu(self.gate * self.linear(h))", INSIDE),
    ("the gate inside the layer", BLOCK, "h + torch.relu(self.linear(self.gate * h))",
     "The gate scales what goes into `linear`, where the bias does not see it. It should multiply what "
     "comes out of the branch."),
    ("a ReLU around the sum", BLOCK, f"torch.relu({BLOCK})", SUM),
    ("a ReLU around the sum, where h is positive", BLOCK,
     f"{BLOCK} if self.gate == 0 else torch.relu({BLOCK})", SUM),
    ("a tensor is no parameter", ZERO, "torch.zeros(1)", START["the gate is a parameter"]),
    ("a number is no parameter", ZERO, "0.0", START["the gate is a parameter"]),
    ("a gate of one", "torch.zeros", "torch.ones", START["the gate at the start"]),
    ("a gate for every feature", "torch.zeros(())", "torch.zeros(width)", START["the numbers in the gate"]),
    ("two zeros", ZERO, f"{ZERO}; nn.init.zeros_(self.linear.weight), nn.init.zeros_(self.linear.bias)",
     START["`linear` holds more than zeros"]),
    ("the layer by another name", "self.linear = nn", "self.layer = nn", "self.linear(h)", "self.layer(h)",
     START["`linear` is there"]),
    ("a sigmoid", BLOCK, BLOCK.replace("self.gate", "torch.sigmoid(self.gate)"),
     "At gate 0 half the branch comes through: a sigmoid of the gate is not zero at 0."),
    ("the gate forgotten", BLOCK, "h + torch.relu(self.linear(h))",
     "At gate 0 the whole branch comes through: multiply it by the gate."),
    ("the gate added", BLOCK, "h + (self.gate + torch.relu(self.linear(h)))",
     "The gate is added to the branch: multiply by it."),
    ("one plus the gate", BLOCK, BLOCK.replace("self.gate", "(1 + self.gate)"),
     "At gate 0 the whole branch comes through: it should be multiplied by the gate, not by 1 + gate."),
    ("the shortcut gated too", BLOCK, "self.gate * (h + torch.relu(self.linear(h)))",
     "At gate 0 nothing comes through: the shortcut must not be gated."),
    ("no shortcut", BLOCK, "self.gate * torch.relu(self.linear(h))",
     "The shortcut is missing: h itself is carried on, whole."),
    ("a highway", BLOCK, f"(1 - self.gate) * {BLOCK}",
     "The shortcut is scaled by 1 - gate, as in a highway network. Here it stays whole."),
    ("tanh of the gate", BLOCK, BLOCK.replace("self.gate", "torch.tanh(self.gate)"),
     "The gate passes through a tanh: it should multiply the branch as it is."),
    ("no ReLU", BLOCK, "h + self.gate * self.linear(h)", "The branch has lost its ReLU."),
    ("the branch subtracted", BLOCK, BLOCK.replace("+", "-"), "The branch is subtracted: the block adds it."),
    ("the gate's absolute value", BLOCK, BLOCK.replace("self.gate", "self.gate.abs()"), SIGN),
    ("the gate's absolute value, inside the ReLU", BLOCK, "h + torch.relu(self.gate.abs() * self.linear(h))",
     SIGN),
    ("the gate squared", BLOCK, BLOCK.replace("self.gate", "self.gate**2"),
     "The gate is multiplied in twice."),
    ("the gate detached", BLOCK, BLOCK.replace("self.gate", "self.gate.detach()"), CUT_GATE),
    ("the gate as a plain number", BLOCK, BLOCK.replace("self.gate", "float(self.gate)"), CUT_GATE),
    ("the weights detached", BLOCK,
     BLOCK.replace("self.linear(h)", "F.linear(h, self.linear.weight.detach(), self.linear.bias.detach())"),
     CUT_WEIGHTS),
    ("the branch detached", BLOCK, f"{BLOCK}.detach()", CUT_WEIGHTS),
    ("the shortcut detached", BLOCK, f"h.detach() {BLOCK[1:]}",
     "No gradient comes back through the shortcut: h is cut off on its way."),
    ("the branch reads a detached stream", BLOCK, BLOCK.replace("(h)", "(h.detach())"),
     "No gradient comes back through the branch: h is cut off on its way into it."),
    ("without gradients", "    def forward", "    @torch.no_grad()\n    def forward", NO_GRADIENT),
    ("adds in place", f"return {BLOCK}", f"h += {BLOCK[4:]}; return h",
     "`+=` writes into the stream that came in, which belongs to whoever gave it. Let the sum be a new one."),
    ("no return", f"return {BLOCK}", BLOCK, ""),
)  # fmt: skip

GatedBlock = Exercise(
    idea="A gate at zero makes the block the identity, and outside of the ReLU it still gets a gradient.",
    oracle=_ByProducts,
    probe=probes.module,
    rtol=1e-4,
    atol=1e-5,  # float32
    dtype=True,
    hints={
        "the parameters": "The block should have the parameters of `linear`, and the gate, and no others."
    },
    cases=[
        case(4, probe=probes.gate_start, what="the block", hints=START, atol=1e-9),
        *map(_gated, (0.5, -0.7, 0.0)),
        case((3,), {"gate": 0.5}, (4, 3), probe=probes.module_conduct, what="the block"),
    ],
    hidden=lambda rng: [
        _gated(gate, int(rng.integers(2, 7)), int(rng.integers(3, 9)))
        for gate in (*np.round(rng.uniform(-2, 2, 3), 2).tolist(), 0.0)
    ],
    mistakes=GATED_WRONG,
    right=rewritten(f"""
        addcmul with a gate of shape (1, 1)
        | torch.zeros(()) | torch.zeros(1, 1)
        | {BLOCK} | torch.addcmul(h, self.gate, F.relu(self.linear(h)))
        registered by name, product from the right
        | self.gate = {ZERO} | self.register_parameter("gate", nn.Parameter(torch.tensor(0.0)))
        | {BLOCK} | self.linear(h).clamp_min(0) * self.gate + h
        a bias that starts at zero | {ZERO} | {ZERO}; nn.init.zeros_(self.linear.bias)
    """),
)
