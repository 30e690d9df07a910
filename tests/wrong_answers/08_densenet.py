"""Lesson 8: what learners get wrong about concatenation, and the hint each must be given."""

from tests.wrong_answers import Answer

WRONG = {
    "channels": [
        Answer(
            "forgets what leaves the block",
            hint="One number is missing",
            source="""
def channels(k0, k, L):
    return [k0 + k * l for l in range(L)]
""",
        ),
        Answer(
            "begins after the first layer",
            hint="begin before the first layer has added its k",
            source="""
def channels(k0, k, L):
    return [k0 + k * l for l in range(1, L + 1)]
""",
        ),
        Answer(
            "what each layer adds",
            hint="what each layer *adds*",
            source="""
def channels(k0, k, L):
    return [k0] + [k] * L
""",
        ),
        Answer(
            "an addition does not grow",
            hint="channels of an addition",
            source="""
def channels(k0, k, L):
    return [k0] * (L + 1)
""",
        ),
        Answer(
            "adds k0 each time",
            hint="Yours adds k0 each time",
            source="""
def channels(k0, k, L):
    return [k0 * (l + 1) for l in range(L + 1)]
""",
        ),
        Answer(
            "doubles",
            hint="Yours doubles",
            source="""
def channels(k0, k, L):
    return [k0 * 2**l for l in range(L + 1)]
""",
        ),
        Answer(
            "growth that grows",
            hint="Every layer adds the same k channels",
            source="""
def channels(k0, k, L):
    widths = [k0]
    for l in range(L):
        widths.append(widths[-1] + k * (l + 1))
    return widths
""",
        ),
        Answer(
            "the last number only",
            hint="asks for a list",
            source="""
def channels(k0, k, L):
    return k0 + k * L
""",
        ),
        Answer(
            "exact numbers, but as floats",
            hint="should be [",
            source="""
def channels(k0, k, L):
    return [float(k0 + k * l) for l in range(L + 1)]
""",
        ),
    ],
    "dense_block": [
        Answer(
            "adds",
            hint="Your block adds",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = x + functional.conv2d(functional.relu(x), w, padding=1)
    return x
""",
        ),
        Answer(
            "joins along the batch",
            hint="along the batch (axis 0)",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w, padding=1)))
    return x
""",
        ),
        Answer(
            "joins along the height",
            hint="along the height (axis 2)",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w, padding=1)), dim=2)
    return x
""",
        ),
        Answer(
            "joins along the last axis",
            hint="along the width (axis 3)",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w, padding=1)), dim=-1)
    return x
""",
        ),
        Answer(
            "new channels in front",
            hint="The order is reversed",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((functional.conv2d(functional.relu(x), w, padding=1), x), dim=1)
    return x
""",
        ),
        Answer(
            "returns the new channels only",
            hint="The stream itself is missing",
            source="""
def dense_block(x, weights):
    new = []
    for w in weights:
        new.append(functional.conv2d(functional.relu(torch.cat([x, *new], 1)), w, padding=1))
    return torch.cat(new, 1)
""",
        ),
        Answer(
            "a layer reads the one before it only",
            hint="With one layer your block runs, with two or more it does not",
            source="""
def dense_block(x, weights):
    features = [x]
    for w in weights:
        features.append(functional.conv2d(functional.relu(features[-1]), w, padding=1))
    return torch.cat(features, 1)
""",
        ),
        Answer(
            "rectifies the stream",
            hint="The ReLU belongs to the layer, not to the stream",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = functional.relu(x)
        x = torch.cat((x, functional.conv2d(x, w, padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "rectifies the stream of a copy, in place",
            hint="The ReLU belongs to the layer, not to the stream",
            source="""
def dense_block(x, weights):
    x = x.clone()
    for w in weights:
        new = functional.conv2d(torch.relu_(x), w, padding=1)
        x = torch.cat((x, new), dim=1)
    return x
""",
        ),
        Answer(
            "changes the caller's x behind its back",
            hint="changed its caller's x",
            source="""
def dense_block(x, weights):
    kept = x.clone()
    features = torch.relu_(x)
    features = kept
    for w in weights:
        features = torch.cat((features, functional.conv2d(functional.relu(features), w, padding=1)), dim=1)
    return features
""",
        ),
        Answer(
            "no ReLU",
            hint="Layer 0 has no ReLU",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(x, w, padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "ReLU behind the convolution",
            hint="the ReLU comes after the convolution",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.relu(functional.conv2d(x, w, padding=1))), dim=1)
    return x
""",
        ),
        Answer(
            "ReLU before and behind",
            hint="a second ReLU",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.relu(functional.conv2d(functional.relu(x), w, padding=1))), dim=1)
    return x
""",
        ),
        Answer(
            "no padding",
            hint="raised RuntimeError",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w)), dim=1)
    return x
""",
        ),
        Answer(
            "ignores every layer but the first",
            hint="should have shape",
            source="""
def dense_block(x, weights):
    return torch.cat((x, functional.conv2d(functional.relu(x), weights[0], padding=1)), dim=1)
""",
        ),
        Answer(
            "always float64",
            hint="should keep the dtype float32",
            source="""
def dense_block(x, weights):
    x = x.double()
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w.double(), padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "detaches what a layer adds",
            hint="not the slope of the output",
            source="""
def dense_block(x, weights):
    for w in weights:
        new = functional.conv2d(functional.relu(x), w, padding=1)
        x = torch.cat((x, new.detach()), dim=1)
    return x
""",
        ),
        Answer(
            "detaches the stream that later layers read",
            hint="the gradient with respect to x is not the slope",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x.detach()), w, padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "weights that cannot learn",
            hint="the gradient with respect to weights[0] is not the slope",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w.detach(), padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "all of it under no_grad",
            hint="no gradient can be computed",
            source="""
def dense_block(x, weights):
    with torch.no_grad():
        for w in weights:
            x = torch.cat((x, functional.conv2d(functional.relu(x), w, padding=1)), dim=1)
    return x
""",
        ),
        Answer(
            "writes into memory that the backward pass needs",
            hint="the backward pass raises",
            source="""
def dense_block(x, weights):
    start = x.shape[1]
    stream = x.new_empty(x.shape[0], start + sum(len(w) for w in weights), *x.shape[2:])
    stream[:, :start] = x
    for w in weights:
        stream[:, start : start + len(w)] = functional.conv2d(stream[:, :start].clamp(min=0), w, padding=1)
        start += len(w)
    return stream
""",
        ),
        Answer(
            "no return",
            hint="is None",
            source="""
def dense_block(x, weights):
    for w in weights:
        x = torch.cat((x, functional.conv2d(functional.relu(x), w, padding=1)), dim=1)
""",
        ),
    ],
    "transition": [
        Answer(
            "detaches its branch",
            hint="not the slope of the output",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.conv2d(functional.relu(x).detach(), weight), 2)
""",
        ),
        Answer(
            "under no_grad",
            hint="no gradient can be computed",
            source="""
def transition(x, weight):
    with torch.no_grad():
        return functional.avg_pool2d(functional.conv2d(functional.relu(x), weight), 2)
""",
        ),
        Answer(
            "a weight that cannot learn",
            hint="the gradient with respect to weight is not the slope",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.conv2d(functional.relu(x), weight.data), 2)
""",
        ),
        Answer(
            "max-pooling",
            hint="This is max-pooling",
            source="""
def transition(x, weight):
    return functional.max_pool2d(functional.conv2d(functional.relu(x), weight), 2)
""",
        ),
        Answer(
            "no pooling",
            hint="average pooling is missing",
            source="""
def transition(x, weight):
    return functional.conv2d(functional.relu(x), weight)
""",
        ),
        Answer(
            "no ReLU",
            hint="The ReLU is missing",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.conv2d(x, weight), 2)
""",
        ),
        Answer(
            "ReLU behind the convolution",
            hint="The ReLU comes after the convolution",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.relu(functional.conv2d(x, weight)), 2)
""",
        ),
        Answer(
            "pools before the ReLU",
            hint="You pool before the ReLU",
            source="""
def transition(x, weight):
    return functional.conv2d(functional.relu(functional.avg_pool2d(x, 2)), weight)
""",
        ),
        Answer(
            "rectifies the result",
            hint="a ReLU after the convolution",
            source="""
def transition(x, weight):
    return functional.relu(functional.avg_pool2d(functional.conv2d(functional.relu(x), weight), 2))
""",
        ),
        Answer(
            "a stride instead of an average",
            hint="keeps one pixel in four",
            source="""
def transition(x, weight):
    return functional.conv2d(functional.relu(x), weight, stride=2)
""",
        ),
        Answer(
            "sums the windows",
            hint="four times the average",
            source="""
def transition(x, weight):
    return 4 * functional.avg_pool2d(functional.conv2d(functional.relu(x), weight), 2)
""",
        ),
        Answer(
            "rectifies the caller's x",
            hint="changed its caller's x",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.conv2d(torch.relu_(x), weight), 2)
""",
        ),
        Answer(
            "always float64",
            hint="should keep the dtype float32",
            source="""
def transition(x, weight):
    return functional.avg_pool2d(functional.conv2d(functional.relu(x.double()), weight.double()), 2)
""",
        ),
    ],
    "count_parameters": [],
    "concat_bytes": [
        Answer(
            "the last concatenation alone",
            hint="the last concatenation alone",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * (k0 + k * L)
""",
        ),
        Answer(
            "numbers, not bytes",
            hint="a float32 takes four",
            source="""
def concat_bytes(k0, k, L, pixels):
    return pixels * sum(k0 + k * l for l in range(1, L + 1))
""",
        ),
        Answer(
            "float64",
            hint="four bytes, not eight",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 8 * pixels * sum(k0 + k * l for l in range(1, L + 1))
""",
        ),
        Answer(
            "one step too early",
            hint="Counted one step too early",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * sum(k0 + k * l for l in range(L))
""",
        ),
        Answer(
            "counts the input as well",
            hint="no concatenation makes it",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * sum(k0 + k * l for l in range(L + 1))
""",
        ),
        Answer(
            "leaves out the last",
            hint="One concatenation is missing, the last",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * sum(k0 + k * l for l in range(1, L))
""",
        ),
        Answer(
            "new channels only",
            hint="copies all that came before",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * k * L
""",
        ),
        Answer(
            "forgets k0",
            hint="k0 channels in every concatenation",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * k * L * (L + 1) // 2
""",
        ),
        Answer(
            "one pixel",
            hint="one pixel's share",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * (L * k0 + k * L * (L + 1) // 2)
""",
        ),
    ],
}

# One right count, and what becomes of it when one line is wrong.
COUNT = """
def count_parameters(spec):
    k, c, theta = spec["growth"], spec["stem_channels"], spec["compression"]
    imagenet = spec["stem"] == "imagenet"
    n = 3 * c * (49 if imagenet else 9)
    n += 2 * c if imagenet else 0
    for i, layers in enumerate(spec["layers"]):
        if i:
            d = int(theta * c)
            n += 2 * c
            n += c * d
            c = d
        for _ in range(layers):
            if spec["bottleneck"]:
                n += 2 * c + 4 * c * k
                n += 2 * 4 * k
                n += 9 * 4 * k * k
            else:
                n += 2 * c + 9 * c * k
            c += k
    n += 2 * c
    n += c * spec["classes"]
    n += spec["classes"]
    return n
"""


def _with(*changes: tuple[str, str]) -> str:
    """The right count with some of its text replaced."""
    source = COUNT
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


WRONG["count_parameters"] = [
    Answer(
        "a transition after every block",
        hint="one transition too many",
        source="""
def count_parameters(spec):
    k, c = spec["growth"], spec["stem_channels"]
    total = 149 * c if spec["stem"] == "imagenet" else 27 * c
    for layers in spec["layers"]:
        for _ in range(layers):
            total += 2 * c + 4 * c * k + 8 * k + 36 * k * k if spec["bottleneck"] else 2 * c + 9 * c * k
            c += k
        out = int(c * spec["compression"])
        total, c = total + 2 * c + c * out, out
    return total + 2 * c + (c + 1) * spec["classes"]
""",
    ),
    Answer(
        "a transition after every block, the classifier as wide as before",
        hint="one transition too many",
        source=_with(
            (
                "    n += 2 * c\n    n += c *",
                "    n += 2 * c + c * int(theta * c)\n    n += 2 * c\n    n += c *",
            )
        ),
    ),
    Answer(
        "batch norm without scale and shift",
        hint="Yours counts none",
        source=_with(
            ("2 * c + ", ""),
            ("n += 2 * c\n", "n += 0\n"),
            ("n += 2 * c if imagenet", "n += 0 if imagenet"),
            ("n += 2 * 4 * k", "n += 0"),
        ),
    ),
    Answer(
        "batch norm with a scale only",
        hint="two numbers a channel, not one",
        source=_with(
            ("2 * c + ", "c + "),
            ("n += 2 * c\n", "n += c\n"),
            ("n += 2 * c if imagenet", "n += c if imagenet"),
            ("n += 2 * 4 * k", "n += 4 * k"),
        ),
    ),
    Answer(
        "running statistics counted",
        hint="measured, not trained",
        source=_with(
            ("2 * c + ", "4 * c + "),
            ("n += 2 * c\n", "n += 4 * c\n"),
            ("n += 2 * c if imagenet", "n += 4 * c if imagenet"),
            ("n += 2 * 4 * k", "n += 4 * 4 * k"),
        ),
    ),
    Answer(
        "bottleneck forgotten",
        hint="The bottleneck is forgotten",
        source=_with(('if spec["bottleneck"]', "if False")),
    ),
    Answer(
        "no batch norm inside the bottleneck",
        hint="between the bottleneck and the 3 x 3",
        source=_with(("n += 2 * 4 * k", "n += 0")),
    ),
    Answer(
        "compression forgotten", hint="The compression is forgotten", source=_with(("int(theta * c)", "c"))
    ),
    Answer(
        "compression rounded up",
        hint="count_parameters(",
        source=_with(("int(theta * c)", "-int(-theta * c // 1)")),
    ),
    Answer(
        "transitions compress but cost nothing",
        hint="The transitions between the blocks are missing",
        source=_with(("            n += 2 * c\n            n += c * d\n", "")),
    ),
    Answer(
        "transitions without batch norm",
        hint="in front of each transition's convolution",
        source=_with(("            n += 2 * c\n            n += c * d", "            n += c * d")),
    ),
    Answer(
        "no last batch norm",
        hint="the one behind the last block",
        source=_with(("    n += 2 * c\n    n += c *", "    n += c *")),
    ),
    Answer(
        "no bias in the classifier",
        hint="The classifier's bias is missing",
        source=_with(('    n += spec["classes"]\n', "")),
    ),
    Answer(
        "no classifier",
        hint="The classifier is missing",
        source=_with(('    n += c * spec["classes"]\n    n += spec["classes"]\n', "")),
    ),
    Answer(
        "no stem",
        hint="The first convolution",
        source=_with(("n = 3 * c * (49 if imagenet else 9)", "n = 0")),
    ),
    Answer("every stem is 3 x 3", hint="a 7 x 7 convolution", source=_with(("(49 if imagenet else 9)", "9"))),
    Answer(
        "a batch norm in every stem",
        hint="is a convolution alone",
        source=_with(("2 * c if imagenet else 0", "2 * c")),
    ),
    Answer(
        "no batch norm in any stem",
        hint="has a batch norm of its own",
        source=_with(("2 * c if imagenet else 0", "0")),
    ),
    Answer(
        "biases in the convolutions",
        hint="have no bias",
        source=_with(
            ("n = 3 * c * (49 if imagenet else 9)", "n = 3 * c * (49 if imagenet else 9) + c"),
            ("n += c * d", "n += c * d + d"),
            ("2 * c + 4 * c * k", "2 * c + 4 * c * k + 4 * k"),
            ("9 * 4 * k * k", "9 * 4 * k * k + k"),
            ("2 * c + 9 * c * k", "2 * c + 9 * c * k + k"),
        ),
    ),
    Answer(
        "every convolution 3 x 3",
        hint="one weight a pair of channels, not nine",
        source=_with(("n += c * d", "n += 9 * c * d"), ("4 * c * k\n", "9 * 4 * c * k\n")),
    ),
    Answer(
        "the stored number of one network",
        hint="count_parameters(",
        source="""
def count_parameters(spec):
    return 769_162
""",
    ),
]

RIGHT = {
    "channels": [
        Answer(
            "step by step",
            source="""
def channels(k0, k, L):
    widths = [k0]
    while len(widths) <= L:
        widths.append(widths[-1] + k)
    return widths
""",
        ),
        Answer(
            "an array",
            source="""
def channels(k0, k, L):
    return k0 + k * np.arange(L + 1)
""",
        ),
        Answer(
            "a range",
            source="""
def channels(k0, k, L):
    return range(k0, k0 + k * L + 1, k)
""",
        ),
        Answer(
            "a range, as a tuple",
            source="""
def channels(k0, k, L):
    return tuple(range(k0, k0 + k * L + 1, k))
""",
        ),
    ],
    "dense_block": [
        Answer(
            "a list of features",
            source="""
def dense_block(x, weights):
    features = [x]
    for w in weights:
        features.append(functional.conv2d(torch.cat(features, 1).relu(), w, padding=1))
    return torch.cat(features, 1)
""",
        ),
        Answer(
            "one piece of memory for all",
            source="""
def dense_block(x, weights):
    start = x.shape[1]
    stream = x.new_empty(x.shape[0], start + sum(len(w) for w in weights), *x.shape[2:])
    stream[:, :start] = x
    for w in weights:
        stream[:, start : start + len(w)] = functional.conv2d(stream[:, :start].clone().clamp(min=0), w, padding="same")
        start += len(w)
    return stream
""",
        ),
        Answer(
            "recursion",
            source="""
def dense_block(x, weights):
    if not weights:
        return x
    new = functional.conv2d(functional.relu(x), weights[0], padding=1)
    return dense_block(torch.hstack((x, new)), weights[1:])
""",
        ),
    ],
    "transition": [
        Answer(
            "pools first, which costs a quarter",
            source="""
def transition(x, weight):
    return functional.conv2d(functional.avg_pool2d(functional.relu(x), 2), weight)
""",
        ),
        Answer(
            "einsum and reshape",
            source="""
def transition(x, weight):
    n, m, h, w = x.shape
    mixed = torch.einsum("om,nmhw->nohw", weight[:, :, 0, 0], x.clamp(min=0))
    return mixed.reshape(n, len(weight), h // 2, 2, w // 2, 2).mean((3, 5))
""",
        ),
        Answer(
            "one convolution with a 2 x 2 kernel",
            source="""
def transition(x, weight):
    return functional.conv2d(functional.relu(x), weight.expand(-1, -1, 2, 2) / 4, stride=2)
""",
        ),
    ],
    "count_parameters": [
        Answer("line by line", source=COUNT),
        Answer(
            "sums instead of loops",
            source="""
def count_parameters(spec):
    k, c = spec["growth"], spec["stem_channels"]
    total = 149 * c if spec["stem"] == "imagenet" else 27 * c
    for block, layers in enumerate(spec["layers"]):
        if block:
            kept = int(c * spec["compression"])
            total, c = total + c * (2 + kept), kept
        read = layers * c + k * layers * (layers - 1) // 2
        total += read * (2 + 4 * k) + layers * (8 * k + 36 * k * k) if spec["bottleneck"] else read * (2 + 9 * k)
        c += layers * k
    return total + c * (2 + spec["classes"]) + spec["classes"]
""",
        ),
        Answer(
            "closed form, divided by /",
            source="""
def count_parameters(spec):
    k, c = spec["growth"], spec["stem_channels"]
    total = 149 * c if spec["stem"] == "imagenet" else 27 * c
    for block, layers in enumerate(spec["layers"]):
        if block:
            kept = int(c * spec["compression"])
            total, c = total + c * (2 + kept), kept
        read = layers * c + k * layers * (layers - 1) / 2
        total += read * (2 + 4 * k) + layers * (8 * k + 36 * k * k) if spec["bottleneck"] else read * (2 + 9 * k)
        c += layers * k
    return total + c * (2 + spec["classes"]) + spec["classes"]
""",
        ),
        Answer(
            "builds the layers and counts",
            source="""
def count_parameters(spec):
    nn = torch.nn
    with torch.device("meta"):
        c, k = spec["stem_channels"], spec["growth"]
        if spec["stem"] == "imagenet":
            parts = [nn.Conv2d(3, c, 7, bias=False), nn.BatchNorm2d(c)]
        else:
            parts = [nn.Conv2d(3, c, 3, bias=False)]
        for block, layers in enumerate(spec["layers"]):
            if block > 0:
                out = int(c * spec["compression"])
                parts += [nn.BatchNorm2d(c), nn.Conv2d(c, out, 1, bias=False)]
                c = out
            for _ in range(layers):
                inner = c
                if spec["bottleneck"]:
                    inner = 4 * k
                    parts += [nn.BatchNorm2d(c), nn.Conv2d(c, inner, 1, bias=False)]
                parts += [nn.BatchNorm2d(inner), nn.Conv2d(inner, k, 3, bias=False)]
                c += k
        parts += [nn.BatchNorm2d(c), nn.Linear(c, spec["classes"])]
    return sum(p.numel() for part in parts for p in part.parameters())
""",
        ),
    ],
    "concat_bytes": [
        Answer(
            "closed form",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * (L * k0 + k * L * (L + 1) // 2)
""",
        ),
        Answer(
            "closed form, divided by /",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * (L * k0 + k * L * (L + 1) / 2)
""",
        ),
        Answer(
            "a loop",
            source="""
def concat_bytes(k0, k, L, pixels):
    total, width = 0, k0
    for _ in range(L):
        width += k
        total += width * pixels * np.dtype("float32").itemsize
    return total
""",
        ),
        Answer(
            "from exercise 1",
            source="""
def concat_bytes(k0, k, L, pixels):
    return 4 * pixels * sum(channels(k0, k, L)[1:])
""",
        ),
    ],
}
