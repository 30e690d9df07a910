"""Wrong and right answers to the exercises of lesson 7."""

from tests.wrong_answers import Answer


def _embedding(body: str) -> str:
    """embed_identity with another way of putting the layers together."""
    return f"""
def embed_identity(shallow, depth):
    *hidden, head = shallow
    if depth < len(hidden):
        raise ValueError("too shallow")
    missing = depth - len(hidden)
    def identity(width, dtype=np.float32):
        return np.eye(width, dtype=dtype), np.zeros(width, dtype=dtype)
{body}
"""


def _network(body: str) -> str:
    """ResidualMLP with another forward."""
    return f"""
class ResidualMLP(nn.Module):
    def __init__(self, inputs, width, classes, count):
        super().__init__()
        def linear_norm(arriving):
            return nn.Linear(arriving, width, bias=False), nn.BatchNorm1d(width)
        self.stem = nn.Sequential(*linear_norm(inputs), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Sequential(*linear_norm(width), nn.ReLU(), *linear_norm(width)) for _ in range(count)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = self.stem(x)
{body}
"""


def _gap(gaps: str, errors: str) -> str:
    """degradation_gap with other expressions."""
    return f"""
def degradation_gap(results):
    loss = results["train_loss"]
    n = loss.shape[1]
    base = loss[results["depth"].argmin()]
    difference = loss - base
    return {gaps}, {errors}
"""


def _block(gate: str, forward: str, more: str = "pass") -> str:
    """GatedBlock with another gate and forward."""
    return f"""
class GatedBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gate = {gate}
        {more}

    def forward(self, h):
        {forward}
"""


ZERO = "nn.Parameter(torch.zeros(1))"
GAP, ERROR = "difference.mean(1)", "difference.std(1, ddof=1) / n**0.5"

WRONG = {
    "embed_identity": [
        Answer(
            "in front of the first layer",
            hint="stand in front of the first trained one",
            source=_embedding("    return [*[identity(shallow[0][0].shape[1])] * missing, *shallow]"),
        ),
        Answer(
            "behind the logits",
            hint="stand behind the logits",
            source=_embedding("    return [*shallow, *[identity(len(head[1]))] * missing]"),
        ),
        Answer(
            "layers of zeros",
            hint="Inserted layers of zeros pass nothing on",
            source=_embedding("""
    width = len(hidden[-1][1])
    zero = np.zeros((width, width), dtype=np.float32), np.zeros(width, dtype=np.float32)
    return [*hidden, *[zero] * missing, head]"""),
        ),
        Answer(
            "depth more layers instead of depth in all",
            hint="`depth` counts all hidden layers",
            source=_embedding("    return [*hidden, *[identity(len(hidden[-1][1]))] * depth, head]"),
        ),
        Answer(
            "the head counted as a hidden layer",
            hint="One hidden layer is missing",
            source=_embedding(
                "    return [*hidden, *[identity(len(hidden[-1][1]))] * max(missing - 1, 0), head]"
            ),
        ),
        Answer(
            "np.eye makes float64",
            hint="make float64 unless they are told otherwise",
            source=_embedding("    return [*hidden, *[identity(len(hidden[-1][1]), None)] * missing, head]"),
        ),
        Answer(
            "as wide as the first hidden layer",
            hint="an inserted layer is as wide as the place where it stands",
            source=_embedding("    return [*hidden, *[identity(len(hidden[0][1]))] * missing, head]"),
        ),
        Answer(
            "biases of one",
            hint="the deep network's logits is off most",
            source=_embedding("""
    width = len(hidden[-1][1])
    one = np.eye(width, dtype=np.float32), np.ones(width, dtype=np.float32)
    return [*hidden, *[one] * missing, head]"""),
        ),
        Answer(
            "the caller's list grows",
            hint="The caller's list of layers was changed",
            source=_embedding("""
    for _ in range(missing):
        shallow.insert(len(shallow) - 1, identity(len(hidden[-1][1])))
    return list(shallow)"""),
        ),
        Answer(
            "nothing inserted",
            hint="Nothing was inserted",
            source=_embedding("    return list(shallow)"),
        ),
        Answer(
            "a depth that is too small passes",
            hint="does not fit into depth 1",
            source="""
def embed_identity(shallow, depth):
    *hidden, head = shallow
    width = len(hidden[-1][1])
    identity = np.eye(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    return [*hidden, *[identity] * (depth - len(hidden)), head]
""",
        ),
        Answer(
            "weights only",
            hint="should be a list of (weight, bias) pairs",
            source=_embedding("    return [w for w, b in shallow]"),
        ),
    ],
    "ResidualMLP": [
        Answer(
            "no shortcut",
            hint="The shortcut is missing",
            source=_network(
                "        for f in self.branches:\n            h = torch.relu(f(h))\n        return self.head(h)"
            ),
        ),
        Answer(
            "neither shortcut nor ReLU",
            hint="Neither a shortcut nor a last ReLU",
            source=_network(
                "        for f in self.branches:\n            h = f(h)\n        return self.head(h)"
            ),
        ),
        Answer(
            "ReLU before the addition",
            hint="The ReLU stands before the addition",
            source=_network(
                "        for f in self.branches:\n            h = h + torch.relu(f(h))\n        return self.head(h)"
            ),
        ),
        Answer(
            "no ReLU after the addition",
            hint="The ReLU after the addition is missing",
            source=_network(
                "        for f in self.branches:\n            h = h + f(h)\n        return self.head(h)"
            ),
        ),
        Answer(
            "every shortcut from the stem",
            hint="Every block adds the stem's output",
            source=_network(
                "        first = h\n        for f in self.branches:\n            h = torch.relu(first + f(h))\n        return self.head(h)"
            ),
        ),
        Answer(
            "every branch reads the stem",
            hint="Every branch reads the stem's output",
            source=_network(
                "        first = h\n        for f in self.branches:\n            h = torch.relu(h + f(first))\n        return self.head(h)"
            ),
        ),
        Answer(
            "h overwritten before it is added",
            hint="The branch adds to itself",
            source=_network(
                "        for f in self.branches:\n            h = f(h)\n            h = torch.relu(h + h)\n        return self.head(h)"
            ),
        ),
        Answer(
            "h never updated",
            hint="h is not updated in the loop",
            source=_network(
                "        for f in self.branches:\n            out = torch.relu(h + f(h))\n        return self.head(out)"
            ),
        ),
        Answer(
            "blocks left out", hint="The blocks are left out", source=_network("        return self.head(h)")
        ),
        Answer(
            "head left out",
            hint="the logits should have shape (9, 3)",
            source=_network(
                "        for f in self.branches:\n            h = torch.relu(h + f(h))\n        return h"
            ),
        ),
        Answer(
            "shortcut detached",
            hint="no gradient comes back through the shortcuts",
            source=_network(
                "        for f in self.branches:\n            h = torch.relu(h.detach() + f(h))\n        return self.head(h)"
            ),
        ),
        Answer(
            "branches detached",
            hint="no gradient comes back through the branches",
            source=_network(
                "        for f in self.branches:\n            h = torch.relu(h + f(h).detach())\n        return self.head(h)"
            ),
        ),
        Answer(
            "the stem detached",
            hint="the gradient with respect to the features is off most",
            source=_network(
                "        h = h.detach() + 0 * h\n        for f in self.branches:\n            h = torch.relu(h + f(h))\n        return self.head(h)"
            ),
        ),
        Answer(
            "layers renamed and more of them",
            hint="leave `__init__` as it is",
            source="""
class ResidualMLP(nn.Module):
    def __init__(self, inputs, width, classes, count):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = torch.relu(self.stem(x))
        for f in self.blocks:
            h = torch.relu(h + f(h))
        return self.head(h)
""",
        ),
    ],
    "degradation_gap": [
        Answer(
            "sign turned round", hint="The sign is turned round", source=_gap("-difference.mean(1)", ERROR)
        ),
        Answer(
            "first row as the baseline",
            hint="taken from the first row",
            source=_gap("(loss - loss[0]).mean(1)", "(loss - loss[0]).std(1, ddof=1) / n**0.5"),
        ),
        Answer(
            "the smallest loss as the baseline",
            hint="the network with the smallest loss",
            source=_gap(
                "(loss - loss[loss.mean(1).argmin()]).mean(1)",
                "(loss - loss[loss.mean(1).argmin()]).std(1, ddof=1) / n**0.5",
            ),
        ),
        Answer(
            "each seed's smallest loss as the baseline",
            hint="the network with the smallest loss",
            source=_gap("(loss - loss.min(0)).mean(1)", "(loss - loss.min(0)).std(1, ddof=1) / n**0.5"),
        ),
        Answer(
            "subtracts in place",
            hint="The caller's table was changed",
            source="""
def degradation_gap(results):
    loss = results["train_loss"]
    loss -= loss[results["depth"].argmin()].copy()
    return loss.mean(1), loss.std(1, ddof=1) / loss.shape[1] ** 0.5
""",
        ),
        Answer(
            "test accuracy",
            hint="Degradation is a matter of the training loss",
            source=_gap(
                '(results["test_accuracy"] - results["test_accuracy"][results["depth"].argmin()]).mean(1)',
                ERROR,
            ),
        ),
        Answer(
            "test error",
            hint="Degradation is a matter of the training loss",
            source=_gap(
                '(results["test_accuracy"][results["depth"].argmin()] - results["test_accuracy"]).mean(1)',
                ERROR,
            ),
        ),
        Answer(
            "nothing subtracted", hint="subtract the shallowest network's", source=_gap("loss.mean(1)", ERROR)
        ),
        Answer(
            "medians",
            hint="Those are gaps of medians",
            source=_gap("np.median(loss, 1) - np.median(base)", ERROR),
        ),
        Answer(
            "shallowest row dropped",
            hint="Keep the shallowest depth in its row",
            source=_gap("difference.mean(1)[[0, 2, 3]]", ERROR),
        ),
        Answer(
            "deviation for error",
            hint="That is the deviation of one seed's difference",
            source=_gap(GAP, "difference.std(1, ddof=1)"),
        ),
        Answer(
            "divided by n",
            hint="is divided by n where n - 1 belongs",
            source=_gap(GAP, "difference.std(1) / n**0.5"),
        ),
        Answer("plain std", hint="That is numpy's plain std", source=_gap(GAP, "difference.std(1)")),
        Answer(
            "no root", hint="shrinks by the root of it", source=_gap(GAP, "difference.std(1, ddof=1) / n")
        ),
        Answer(
            "rows treated as unrelated",
            hint="The rows are treated as unrelated",
            source=_gap(GAP, "np.sqrt((loss.var(1, ddof=1) + base.var(ddof=1)) / n)"),
        ),
        Answer(
            "error of the mean loss",
            hint="That is the error of each mean loss",
            source=_gap(GAP, "loss.std(1, ddof=1) / n**0.5"),
        ),
        Answer(
            "gaps only",
            hint="should return two arrays",
            source='def degradation_gap(results):\n    return results["train_loss"].mean(1) - results["train_loss"][results["depth"].argmin()].mean()\n',
        ),
        Answer(
            "last row is taken for the deepest, its neighbour for the shallowest",
            hint="the gaps",
            source=_gap("(loss - loss[-1]).mean(1)", ERROR),
        ),
    ],
    "GatedBlock": [
        Answer(
            "the gate inside the ReLU",
            hint="The gate is inside the ReLU",
            source=_block(ZERO, "return h + torch.relu(self.gate * self.linear(h))"),
        ),
        Answer(
            "a ReLU around the sum",
            hint="no ReLU around the sum",
            source=_block(ZERO, "return torch.relu(h + self.gate * torch.relu(self.linear(h)))"),
        ),
        Answer(
            "a tensor is no parameter",
            hint="`gate` is not among the block's parameters",
            source=_block("torch.zeros(1)", "return h + self.gate * torch.relu(self.linear(h))"),
        ),
        Answer(
            "a sigmoid",
            hint="a sigmoid of the gate is not zero at 0",
            source=_block(ZERO, "return h + torch.sigmoid(self.gate) * torch.relu(self.linear(h))"),
        ),
        Answer(
            "a gate of one",
            hint="the block should start as the identity, at gate 0",
            source=_block("nn.Parameter(torch.ones(1))", "return h + self.gate * torch.relu(self.linear(h))"),
        ),
        Answer(
            "two zeros",
            hint="One zero is enough",
            source=_block(
                ZERO,
                "return h + self.gate * torch.relu(self.linear(h))",
                "nn.init.zeros_(self.linear.weight), nn.init.zeros_(self.linear.bias)",
            ),
        ),
        Answer(
            "the gate forgotten",
            hint="the whole branch comes through",
            source=_block(ZERO, "return h + torch.relu(self.linear(h))"),
        ),
        Answer(
            "the shortcut gated too",
            hint="the shortcut must not be gated",
            source=_block(ZERO, "return self.gate * (h + torch.relu(self.linear(h)))"),
        ),
        Answer(
            "a ReLU around the sum, where h is positive",
            hint="No ReLU around the sum",
            source=_block(
                ZERO,
                "return h + self.gate * torch.relu(self.linear(h)) if self.gate == 0 else torch.relu(h + self.gate * torch.relu(self.linear(h)))",
            ),
        ),
        Answer(
            "a highway",
            hint="The shortcut is scaled by 1 - gate",
            source=_block(ZERO, "return (1 - self.gate) * h + self.gate * torch.relu(self.linear(h))"),
        ),
        Answer(
            "a gate for every feature",
            hint="The gate is one number",
            source=_block(
                "nn.Parameter(torch.zeros(width))", "return h + self.gate * torch.relu(self.linear(h))"
            ),
        ),
        Answer(
            "tanh of the gate",
            hint="The gate passes through a tanh",
            source=_block(ZERO, "return h + torch.tanh(self.gate) * torch.relu(self.linear(h))"),
        ),
        Answer(
            "no ReLU",
            hint="The branch has lost its ReLU",
            source=_block(ZERO, "return h + self.gate * self.linear(h)"),
        ),
        Answer(
            "the gate detached",
            hint="no gradient reaches the gate",
            source=_block(ZERO, "return h + self.gate.detach() * torch.relu(self.linear(h))"),
        ),
        Answer(
            "the gate's absolute value",
            hint="The gate's sign is lost",
            source=_block(ZERO, "return h + self.gate.abs() * torch.relu(self.linear(h))"),
        ),
        Answer(
            "the gate squared",
            hint="The gate is multiplied in twice",
            source=_block(ZERO, "return h + self.gate**2 * torch.relu(self.linear(h))"),
        ),
        Answer(
            "the gate's absolute value, inside the ReLU",
            hint="The gate's sign is lost",
            source=_block(ZERO, "return h + torch.relu(self.gate.abs() * self.linear(h))"),
        ),
        Answer(
            "the weights detached",
            hint="no gradient reaches the weights of `linear`",
            source=_block(
                ZERO,
                "return h + self.gate * torch.relu(F.linear(h, self.linear.weight.detach(), self.linear.bias.detach()))",
            ),
        ),
        Answer(
            "the branch detached",
            hint="no gradient reaches the weights of `linear`",
            source=_block(ZERO, "return h + self.gate * torch.relu(self.linear(h)).detach()"),
        ),
        Answer(
            "the shortcut detached",
            hint="No gradient comes back through the shortcut",
            source=_block(ZERO, "return h.detach() + self.gate * torch.relu(self.linear(h))"),
        ),
        Answer(
            "the branch reads a detached stream",
            hint="No gradient comes back through the branch",
            source=_block(ZERO, "return h + self.gate * torch.relu(self.linear(h.detach()))"),
        ),
    ],
}

RIGHT = {
    "embed_identity": [
        Answer(
            "after the first hidden layer, in a loop",
            source="""
def embed_identity(shallow, depth):
    if len(shallow) - 1 > depth:
        raise ValueError(f"{len(shallow) - 1} hidden layers do not fit into {depth}")
    deep = [shallow[0]]
    while len(deep) + len(shallow) - 1 < depth + 1:
        width = deep[0][0].shape[0]
        deep.append((np.identity(width, dtype="float32"), np.zeros(width, dtype="float32")))
    return deep + shallow[1:]
""",
        ),
        Answer(
            "permutations that undo each other, as torch made them",
            source="""
def embed_identity(shallow, depth):
    hidden = len(shallow) - 1
    if depth < hidden:
        raise ValueError("too many hidden layers")
    width = len(shallow[-2][1])
    turn = torch.eye(width).roll(1, 0).numpy()
    layers = [(turn, np.zeros_like(shallow[-2][1])), (turn.T, np.zeros_like(shallow[-2][1]))]
    missing = depth - hidden
    extra = [layers[k % 2] for k in range(missing - missing % 2)]
    extra += [(np.eye(width).astype(np.float32), np.zeros_like(shallow[-2][1]))] * (missing % 2)
    return tuple(shallow[:-1]) + tuple(extra) + (shallow[-1],)
""",
        ),
    ],
    "ResidualMLP": [
        Answer(
            "clamped sum by index",
            source=_network("""
        for k in range(len(self.branches)):
            h = self.branches[k](h).add(h).clamp(min=0)
        out = self.head(h)
        return out"""),
        ),
        Answer(
            "a fold",
            source="import functools\n"
            + _network(
                "        return self.head(functools.reduce(lambda s, f: F.relu(f(s) + s), self.branches, h))"
            ),
        ),
    ],
    "degradation_gap": [
        Answer(
            "scipy and a dictionary of columns",
            source="""
from scipy import stats

def degradation_gap(results):
    rows = dict(zip(results["depth"].tolist(), results["train_loss"]))
    base = rows[min(rows)]
    return (
        np.array([np.mean(row - base) for row in results["train_loss"]]),
        np.array([stats.sem(row - base) for row in results["train_loss"]]),
    )
""",
        ),
        Answer(
            "by hand, from sums of squares",
            source="""
def degradation_gap(results):
    order = np.argsort(results["depth"])
    d = results["train_loss"] - results["train_loss"][order[:1]]
    n = d.shape[1]
    gap = d.sum(1) / n
    return [gap, np.sqrt(((d - gap[:, None]) ** 2).sum(1) / (n * (n - 1)))]
""",
        ),
    ],
    "GatedBlock": [
        Answer(
            "addcmul with a gate of shape (1, 1)",
            source=_block(
                "nn.Parameter(torch.zeros(1, 1))",
                "return torch.addcmul(h, self.gate, F.relu(self.linear(h)))",
            ),
        ),
        Answer(
            "registered by name, product from the right",
            source=_block(
                "None",
                "return self.linear(h).clamp_min(0) * self.gate + h",
                'del self.gate; self.register_parameter("gate", nn.Parameter(torch.tensor(0.0)))',
            ),
        ),
    ],
}
