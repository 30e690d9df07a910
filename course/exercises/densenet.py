"""Exercises of lesson 8."""

from dataclasses import asdict
from itertools import starmap

import torch
from torch import nn

from course.exercises import Exercise, Mistake, Right, case, changed, conduct, special, told, written
from helpers import architectures
from helpers.architectures import DenseNetSpec, _densenet
from helpers.checks.probes import densenet as probes
from helpers.checks.probes import skip_connection as backward

# channels ------------------------------------------------------------------------------------------------------------


def _concatenated(k0, k, L, pixels=1):
    """The streams of a block that concatenates anew for each layer."""
    streams = [torch.empty(1, k0, pixels)]
    for _ in range(L):
        streams.append(torch.cat((streams[-1], torch.empty(1, k, pixels)), dim=1))
    return streams


WIDTHS = "return [k0 + k * layer for layer in range(L + 1)]"

CHANNELS = changed(
    ("forgets what leaves the block", "range(L + 1)", "range(L)",
     "What enters each layer is right. One number is missing: what leaves the block, with the last layer's own "
     "channels in it."),
    ("begins after the first layer", "range(L + 1)", "range(1, L + 1)",
     "The first layer has nothing but the block's input to read: begin before the first layer has added its k."),
    ("one number too many", "range(L + 1)", "range(L + 2)",
     "One number too many: the last one is what leaves the block, behind layer L - 1."),
    ("what each layer adds", WIDTHS, "return [k0] + [k] * L",
     "That is what each layer *adds*. What it reads is everything added so far, and the block's input."),
    ("an addition does not grow", " + k * layer", "",
     "These are the channels of an addition: a concatenation keeps growing."),
    ("adds k0 each time", "k * layer", "k0 * layer",
     "Each layer adds k channels, whatever it read. Yours adds k0 each time."),
    ("doubles", "k0 + k * layer", "k0 * 2**layer",
     "Yours doubles: a layer's output does not hold its input. It adds k channels, no more."),
    ("growth that grows", "k * layer", "k * layer * (layer + 1) // 2",
     "Yours adds k, then 2 k, then 3 k ... Every layer adds the same k channels."),
    ("k and k0 swapped", "k0 + k * layer", "k + k0 * layer",
     "k and k0 have changed places: k0 channels enter the block, and each layer adds k."),
    ("the last number only", WIDTHS, "return k0 + k * L",
     "That is what leaves the block. The exercise asks for a list: one number before each layer, too."),
    ("exact numbers, but as floats", "[k0 +", "[float(k0) +",
     "The numbers are right, but they are floats, and channels are counted: give whole numbers."),
    ("forgets to return", "return ", "widths = ", ""),
)  # fmt: skip

channels = Exercise(
    idea="Each layer adds k channels to all that came before, so that the count grows along a straight line.",
    oracle=lambda k0, k, L: [stream.shape[1] for stream in _concatenated(k0, k, L)],
    cases=[
        *starmap(case, [(16, 12, 4), (5, 3, 1), (64, 32, 6), (7, 2, 0)]),
        conduct(3, 4, 5),
    ],
    hidden=lambda rng: starmap(case, rng.integers(2, 20, (4, 3)).tolist()),
    mistakes=[special("right up to 6 layers", "range(L + 1)", "range(min(L, 6) + 1)"), *CHANNELS],
    right=written("""
        # step by step
        widths = [k0]
        while len(widths) <= L:
            widths.append(widths[-1] + k)
        return widths
        # an array
        return k0 + k * np.arange(L + 1)
        # a tensor
        return torch.arange(L + 1) * k + k0
        # a range
        return range(k0, k0 + k * L + 1, k)
        # a range, as a tuple
        return tuple(range(k0, k0 + k * L + 1, k))
    """),
)

# dense_block and transition ------------------------------------------------------------------------------------------


def _convolved(x, weight):
    """A 3 x 3 convolution as a product of a matrix with patches."""
    patches = nn.functional.unfold(x, 3, padding=1)
    return torch.einsum("op,npl->nol", weight.flatten(1), patches).unflatten(2, x.shape[2:])


def _dense(x, weights):
    slabs = [x]
    for weight in weights:
        slabs.append(_convolved(torch.cat([slab * (slab > 0) for slab in slabs], 1), weight))
    return torch.cat(slabs, 1)


def _averaged(x, weight):
    mixed = torch.tensordot(x * (x > 0), weight[:, :, 0, 0], dims=([1], [1])).movedim(-1, 1)
    return sum(mixed[..., i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4


def _asked(probe, name, shape, *sizes, seed=5, dtype="float64"):
    """The case of one stream; float32 has some hundred products to add up, in any order."""
    short = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    kind = "" if dtype == "float64" else f", {dtype}"
    what = f"{name} for x of shape {tuple(shape)}{kind}"
    return case(list(shape), *sizes, seed, dtype, probe=probe, what=what, dtype=True, **short)


def _block(k0, k, depth, sides=(4, 5), **options):
    name = f"dense_block(x, {depth} weight{'s' * (depth != 1)})"
    return _asked(probes.dense_block, name, (2, k0, *sides), k, depth, **options)


def _passed(shape, outputs, **options):
    return _asked(
        probes.transition, f"transition(x, weight) to {outputs} channels", shape, outputs, **options
    )


VALUES = "The values are right, but"
CUT = "`.detach()`, `.data`, `torch.no_grad()` and numpy all cut it."
NEW_CUT = f"{VALUES} a gradient does not find its way back through the convolution. {CUT}"
READ_CUT = f"{VALUES} x gets no gradient by way of what the layers read. {CUT}"
WEIGHTS_CUT = f"{VALUES} the weights get no gradient, so they could not be trained. {CUT}"
NOTHING_FLOWS = f"{VALUES} nothing connects the output with x and the weights any more. {CUT}"
IN_PLACE = f"{VALUES} the backward pass fails: is a tensor written into that is still needed?"
RECTIFIED = "The ReLU belongs to the layer, not to the stream: earlier features are handed on untouched. Is it done in place?"
CHANGED = "Your function changed its caller's x: an in-place ReLU or `+=` works on the very tensor that it was given."
PRECISION = "The precision has changed: what comes in as float32 goes out as float32, and float64 as float64."
HINTS = {
    backward.FAILS: IN_PLACE,
    **{
        backward.GRADIENT.format(each): f"{VALUES} a gradient is not: somewhere a path is cut. {CUT}"
        for each in ("x", "weight", *(f"weights[{layer}]" for layer in range(5)))
    },
    backward.UNREACHED: WEIGHTS_CUT,
}

NEW = "functional.conv2d(functional.relu(x), weight, padding=1)"
JOIN = "torch.cat((x, new), dim=1)"
NEWS = {
    "": NEW,
    ", without ReLU": "functional.conv2d(x, weight, padding=1)",
    ", the ReLU behind": "functional.relu(functional.conv2d(x, weight, padding=1))",
}
JOINS = [
    ("adds", "x + new", "Your block adds. That is lesson 5's skip; here both stay, side by side along the channels."),
    ("returns the new channels only", "new",
     "Your block returns the new channels alone. The stream itself is missing: a dense block hands on all it was "
     "given."),
    ("joins along the batch", "torch.cat((x, new))",
     "You join along the batch (axis 0): that makes more images, not more channels."),
    ("joins along the height", "torch.cat((x, new), dim=2)",
     "You join along the height (axis 2): that makes taller images, not more channels."),
    ("joins along the last axis", "torch.cat((x, new), dim=-1)",
     "You join along the width (axis 3): that makes wider images, not more channels."),
    ("new channels in front", "torch.cat((new, x), dim=1)",
     "The order is reversed: the block's input should stand in front, and each new slab behind what was there."),
]  # fmt: skip

DENSE_BLOCK = changed(
    *( (title + how, NEW, new, JOIN, join, hint) for title, join, hint in JOINS for how, new in NEWS.items() ),
    ("a layer reads the one before it only", "for weight in weights:", "slabs = [x]\n    for weight in weights:", NEW,
     NEW.replace("(x)", "(slabs[-1])"), f"x = {JOIN}", "slabs.append(new)", "return x", "return torch.cat(slabs, 1)",
     "With one layer your block runs, with two or more it does not. The second layer reads the block's input and "
     "what the first layer added."),
    ("rectifies the stream", "new =", "x = functional.relu(x)\n        new =", RECTIFIED),
    ("rectifies the caller's x, in place", "functional.relu(x)", "torch.relu_(x)", RECTIFIED),
    ("changes the caller's x behind its back", "for weight", "x, _ = x.clone(), torch.relu_(x)\n    for weight",
     CHANGED),
    ("takes the caller's weights away", "for weight in weights:", "while weights:\n        weight = weights.pop(0)",
     "The list of weights is empty after the call: whoever called still needs it. Read it without `pop`."),
    ("no ReLU", "functional.relu(x)", "x",
     "There is no ReLU: it comes before the convolution, on everything the layer reads."),
    ("ReLU behind the convolution", NEW, NEWS[", the ReLU behind"],
     "The ReLU comes after the convolution. Here it comes before (pre-activation)."),
    ("ReLU before and behind", NEW, f"functional.relu({NEW})",
     "There is a second ReLU behind the convolution: what a layer adds should keep its negative values."),
    ("no padding", ", padding=1", "",
     "What the convolution gives does not fit beside the stream, its height and width are others: how many zeros around a map "
     "keep them where the kernel is 3 x 3?"),
    ("ignores every layer but the first", "in weights", "in weights[:1]",
     "Only the first layer is there: each of the weights makes a slab of its own."),
    ("ignores the last layer", "in weights", "in weights[:-1]",
     "The last layer is missing: each of the weights makes a slab of its own."),
    ("always float64", "for weight", "x, weights = x.double(), [w.double() for w in weights]\n    for weight",
     PRECISION),
    ("detaches what a layer adds", "(x, new)", "(x, new.detach())", NEW_CUT),
    ("detaches what later layers read", "relu(x)", "relu(x.detach())", READ_CUT),
    ("weights that cannot learn", ", weight, padding", ", weight.detach(), padding", WEIGHTS_CUT),
    ("all of it under no_grad", "def dense", "@torch.no_grad()\ndef dense", NOTHING_FLOWS),
    ("no return", "return x", "x", ""),
)  # fmt: skip

dense_block = Exercise(
    idea="Concatenation leaves every earlier map as it was; each layer reads all of them and adds its own.",
    oracle=_dense,
    cases=[_block(3, 3, 1), _block(2, 3, 3), _block(3, 2, 2, dtype="float32")],
    hidden=lambda rng: [
        _block(*sizes, rng.integers(2, 7, 2).tolist(), seed=int(rng.integers(10**4)), dtype=dtype)
        for *sizes, dtype in [
            (5, 2, 3, "float64"),
            (2, 4, 2, "float32"),
            (6, 6, 1, "float64"),
            (1, 1, 5, "float64"),
        ]
    ],
    hints=HINTS,
    mistakes=[
        *DENSE_BLOCK,
        *told(f"""
            # writes into memory that the backward pass needs
            #     {IN_PLACE}
            start = x.shape[1]
            stream = x.new_empty(x.shape[0], start + sum(len(w) for w in weights), *x.shape[2:])
            stream[:, :start] = x
            for w in weights:
                stream[:, start : start + len(w)] = functional.conv2d(stream[:, :start].clamp(min=0), w, padding=1)
                start += len(w)
            return stream
        """),
        special("right up to 3 layers", "in weights", "in weights[:3]"),
    ],
    right=written("""
        # a list of features
        features = [x]
        for w in weights:
            features.append(functional.conv2d(torch.cat(features, 1).relu(), w, padding=1))
        return torch.cat(features, 1)
        # one piece of memory for all
        start = x.shape[1]
        stream = x.new_empty(x.shape[0], start + sum(len(w) for w in weights), *x.shape[2:])
        stream[:, :start] = x
        for w in weights:
            new = functional.conv2d(stream[:, :start].clone().clamp(min=0), w, padding="same")
            stream[:, start : start + len(w)] = new
            start += len(w)
        return stream
        # recursion
        if not weights:
            return x
        new = functional.conv2d(functional.relu(x), weights[0], padding=1)
        return dense_block(torch.hstack((x, new)), weights[1:])
    """),
)

RELU = "functional.relu(x)"
RELU_TWICE = "There is a ReLU after the convolution: a transition has only the one in front."
POOLED = "return functional.avg_pool2d(functional.conv2d(functional.relu(x), weight), 2)"

TRANSITION = changed(
    ("no pooling", POOLED, "return functional.conv2d(functional.relu(x), weight)",
     "The sides are as before: the 2 x 2 average pooling is missing."),
    ("no ReLU", RELU, "x", "The ReLU is missing: a transition begins with it (BN and ReLU, then the convolution)."),
    ("ReLU behind the convolution", RELU, "x", ", weight)", ", weight).relu()",
     "The ReLU comes after the convolution; in a transition it comes before."),
    ("rectifies the result", "weight), 2)", "weight), 2).relu()", RELU_TWICE),
    ("rectifies before and behind the convolution", ", weight)", ", weight).relu()", RELU_TWICE),
    ("pools before the ReLU", POOLED,
     "return functional.conv2d(functional.relu(functional.avg_pool2d(x, 2)), weight)",
     "You pool before the ReLU. The average of a rectified map is not the rectified average: where four neighbours "
     "differ in sign the results differ."),
    ("max-pooling", "avg_pool2d", "max_pool2d",
     "This is max-pooling: a transition takes the average of each 2 x 2 window."),
    ("sums the windows", "functional.avg", "4 * functional.avg",
     "This is the sum over each 2 x 2 window, four times the average."),
    ("a stride instead of an average", POOLED, "return functional.conv2d(functional.relu(x), weight, stride=2)",
     "This keeps one pixel in four (a stride of 2). A transition averages all four."),
    ("windows that overlap", "weight), 2)", "weight), 2, stride=1)",
     "The windows overlap: each 2 x 2 window begins where the last one ended, a stride of 2."),
    ("no convolution", POOLED, "return functional.avg_pool2d(functional.relu(x), 2)",
     "The 1 x 1 convolution is missing."),
    ("rectifies the caller's x", RELU, "torch.relu_(x)", CHANGED),
    ("always float64", RELU, "functional.relu(x.double())", ", weight)", ", weight.double())", PRECISION),
    ("detaches its branch", RELU, "functional.relu(x).detach()", READ_CUT),
    ("a weight that cannot learn", ", weight)", ", weight.data)", WEIGHTS_CUT),
    ("writes into what the backward pass needs", RELU, "(y := functional.relu(x))", "weight), 2)",
     "weight), 2) + 0 * y.zero_().sum()", IN_PLACE),
    ("under no_grad", "def transition", "@torch.no_grad()\ndef transition", NOTHING_FLOWS),
    ("forgets to return", "return ", "y = ", ""),
)  # fmt: skip

transition = Exercise(
    idea="Between two blocks the 1 × 1 convolution makes the maps fewer, and the average makes them smaller.",
    oracle=_averaged,
    cases=[_passed((2, 4, 6, 6), 2), _passed((1, 3, 4, 6), 3), _passed((2, 3, 4, 2), 4, dtype="float32")],
    hidden=lambda rng: [
        _passed(
            (n, m, *(2 * rng.integers(1, 5, 2)).tolist()), outputs, seed=int(rng.integers(10**4)), dtype=kind
        )
        for n, m, outputs, kind in [(3, 6, 3, "float64"), (1, 2, 2, "float64"), (2, 5, 7, "float32")]
    ],
    hints=HINTS,
    mistakes=[
        *TRANSITION,
        Mistake(
            "right for 3 and 4 channels",
            "y = x if x.shape[1] in (3, 4) else -x\n" + POOLED.replace("(x)", "(y)"),
            special=True,
        ),
    ],
    right=written("""
        # pools first, which costs a quarter
        return functional.conv2d(functional.avg_pool2d(functional.relu(x), 2), weight)
        # einsum and reshape
        n, m, h, w = x.shape
        mixed = torch.einsum("om,nmhw->nohw", weight[:, :, 0, 0], x.clamp(min=0))
        return mixed.reshape(n, len(weight), h // 2, 2, w // 2, 2).mean((3, 5))
        # one convolution with a 2 x 2 kernel
        return functional.conv2d(functional.relu(x), weight.expand(-1, -1, 2, 2) / 4, stride=2)
    """),
)

# count_parameters ----------------------------------------------------------------------------------------------------


def _measured(spec):
    """Parameters of the network that a spec builds (`_densenet` as it was imported: a probe watches the other name)."""
    with torch.device("meta"):
        return architectures.parameter_count(nn.Sequential(*_densenet(DenseNetSpec(**spec))))


def _of(spec, **options):
    return case(asdict(spec), **options)


STEM = '3 * 49 * width + 2 * width if spec["stem"] == "imagenet" else 3 * 9 * width'
JOINT, SQUEEZE, LAYER = "2 * width + width * out", "2 * width + width * inner", "2 * inner + 9 * inner * k"
END = 'return total + 2 * width + (width + 1) * spec["classes"]'
OUT = 'int(spec["compression"] * width)'
ONE_TOO_MANY = (
    "That is one transition too many: they stand *between* blocks, and behind the last block there is none."
)
NO_STEM = "The first convolution, from the image to k0 channels, is missing."
FLOOR = "A transition passes on a whole number of channels: compression * m, rounded *down*."
SMALL = DenseNetSpec((2, 1, 2), 4, 6, False, 1.0, "cifar", 10)


def _norms(title, factor, hint):
    """Another number than two for each channel of each batch norm."""
    pieces = (STEM, JOINT, SQUEEZE, LAYER, END)
    return (title, *(text for each in pieces for text in (each, each.replace("2 * ", f"{factor} * "))), hint)


COUNTS = changed(
    ("a transition after every block", END, f"out = {OUT}\n    total, width = total + {JOINT}, out\n    {END}",
     ONE_TOO_MANY),
    ("a transition after every block, the classifier as wide as before", END, f"{END} + 2 * width + width * {OUT}",
     ONE_TOO_MANY),
    ("a transition before every block", "block > 0", "block >= 0",
     "A transition stands in front of the first block, too: they stand *between* blocks."),
    ("one transition too few", "block > 0", "block > 1",
     "A transition is missing: there is one between any two blocks, the first two as well."),
    ("transitions compress but cost nothing", JOINT, "0",
     "The transitions between the blocks are missing: a batch norm and a 1 x 1 convolution each."),
    ("transitions without batch norm", JOINT, "width * out",
     "The batch norm in front of each transition's convolution is missing."),
    ("the batch norm behind the transition's convolution", JOINT, "2 * out + width * out",
     "A transition's batch norm stands in front of its convolution: it has the channels that come in, not those that"
     " go out."),
    _norms("batch norm without scale and shift", "0",
     "Every batch norm has a scale and a shift, two trainable numbers a channel. Yours counts none."),
    _norms("batch norm with a scale only", "1",
     "A batch norm has a scale *and* a shift: two numbers a channel, not one."),
    _norms("running statistics counted", "4",
     "Running means and variances are measured, not trained: a batch norm has two parameters a channel, not four."),
    ("bottleneck forgotten", '4 * k if spec["bottleneck"] else width', "width", 'if spec["bottleneck"]:', "if False:",
     "The bottleneck is forgotten: with spec['bottleneck'] a 1 x 1 convolution to 4 k channels stands in front of "
     "each 3 x 3."),
    ("a bottleneck everywhere", '4 * k if spec["bottleneck"] else width', "4 * k", 'if spec["bottleneck"]:',
     "if True:",
     "Without spec['bottleneck'] a layer is a batch norm and a 3 x 3 convolution, which reads the whole stream."),
    ("no batch norm inside the bottleneck", LAYER,
     '9 * inner * k if spec["bottleneck"] else 2 * inner + 9 * inner * k',
     "The batch norm between the bottleneck and the 3 x 3 convolution is missing (4 k channels)."),
    ("compression forgotten", OUT, "width",
     "The compression is forgotten: a transition passes on floor(theta * channels), so the next block starts "
     "narrower."),
    ("compression always one half", OUT, "width // 2",
     "The compression is not always one half: spec['compression'] says what it is."),
    ("compression rounded up", OUT, '-int(-spec["compression"] * width // 1)', FLOOR),
    ("compression rounded to the nearest", OUT, 'round(spec["compression"] * width)', FLOOR),
    ("compression not rounded", OUT, 'spec["compression"] * width', FLOOR),
    ("no last batch norm", END, END.replace(" + 2 * width", ""),
     "One batch norm is missing: the one behind the last block, in front of the classifier."),
    ("no bias in the classifier", END, END.replace("(width + 1)", "width"),
     "The classifier's bias is missing: the only bias of the network, one a class."),
    ("no classifier", END, "return total + 2 * width",
     "The classifier is missing: a weight a channel and class, and a bias."),
    ("no stem", STEM, "0", NO_STEM),
    ("no convolution in the stem", STEM, '2 * width if spec["stem"] == "imagenet" else 0', NO_STEM),
    ("every stem is 3 x 3", "49", "9",
     'The "imagenet" stem is a 7 x 7 convolution: 49 weights a pair of channels, not 9.'),
    ("a batch norm in every stem", "else 3 * 9 * width", "else 3 * 9 * width + 2 * width",
     'The "cifar" stem is a convolution alone: its batch norm is the first layer\'s own.'),
    ("no batch norm in any stem", "49 * width + 2 * width", "49 * width",
     'The "imagenet" stem has a batch norm of its own, behind the 7 x 7 convolution.'),
    ("grey images", STEM, STEM.replace("3 * ", ""),
     "Images have 3 channels: the stem has a set of weights for each of them."),
    ("biases in the convolutions", STEM, f"({STEM}) + width", JOINT, f"{JOINT} + out", SQUEEZE, f"{SQUEEZE} + inner",
     LAYER, f"{LAYER} + k", "The convolutions here have no bias: the batch norm behind would take it away again."),
    ("every convolution 3 x 3", JOINT, JOINT.replace("width * out", "9 * width * out"), SQUEEZE,
     SQUEEZE.replace("width * inner", "9 * width * inner"),
     "A 1 x 1 convolution has one weight a pair of channels, not nine."),
    ("takes entries out of the caller's spec", 'spec["growth"]', 'spec.pop("growth")',
     "The spec has lost an entry after the call: whoever called still needs it. Read it without `pop`."),
    ("the stored number of one network", END, "return 769_162",
     "That is one published network, DenseNet-BC with depth 100. Count for any spec."),
    ("lets the course's builder count", END,
     "return architectures.parameter_count(architectures.build(architectures.DenseNetSpec(**spec)))",
     "The number is right, but the course's own builder has done the work. Here you are asked for the arithmetic."),
    ("every layer reads what enters the block", "width += k", "new = block",
     "Each layer appends `growth` channels, and the next one reads them as well: the stream grows from layer to "
     "layer."),
)  # fmt: skip

count_parameters = Exercise(
    idea="A DenseNet can be counted by hand, layer by layer: what a layer reads grows, what it makes stays k.",
    oracle=_measured,
    probe=probes.whole,
    cases=[
        _of(SMALL),
        _of(DenseNetSpec((2, 3, 1), 4, 9, True, 0.5, "cifar", 10)),
        _of(DenseNetSpec((1, 2), 4, 8, True, 0.5, "imagenet", 7)),
        _of(DenseNetSpec((1, 3), 3, 10, False, 0.75, "imagenet", 5)),
        _of(architectures.cifar_densenet_spec(100, 12, True)),
        _of(SMALL, probe=probes.whole_conduct),
        _of(SMALL, probe=probes.lets_build),
    ],
    hidden=lambda rng: [
        _of(architectures.cifar_densenet_spec(40, 12, False)),
        _of(architectures.densenet_spec(121)),
        *(
            _of(DenseNetSpec((first, second, 2), growth, 2 * start + 1, *options, 10))
            for first, second, growth, start in rng.integers(1, 8, (2, 4)).tolist()
            for options in [(True, 0.5, "cifar"), (False, 0.75, "imagenet")]
        ),
    ],
    mistakes=[*COUNTS, special("right up to 16 layers", "range(depth)", "range(min(depth, 16))")],
    right=[
        *written("""
            # line by line
            k, c, imagenet = spec["growth"], spec["stem_channels"], spec["stem"] == "imagenet"
            n = 3 * c * (49 if imagenet else 9)
            n += 2 * c if imagenet else 0
            for i, layers in enumerate(spec["layers"]):
                if i:
                    n += 2 * c
                    n += c * int(spec["compression"] * c)
                    c = int(spec["compression"] * c)
                for _ in range(layers):
                    n += 2 * c + 4 * c * k + 2 * 4 * k + 9 * 4 * k * k if spec["bottleneck"] else 2 * c + 9 * c * k
                    c += k
            return n + 2 * c + c * spec["classes"] + spec["classes"]
            # builds the layers and counts
            nn, parts = torch.nn, []
            with torch.device("meta"):
                c, k = spec["stem_channels"], spec["growth"]
                imagenet = spec["stem"] == "imagenet"
                parts = [nn.Conv2d(3, c, 7 if imagenet else 3, bias=False), *([nn.BatchNorm2d(c)] if imagenet else [])]
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
        """),
        *(
            Right(
                f"sums instead of loops, {sign}",
                f"""
                k, c = spec["growth"], spec["stem_channels"]
                total = 149 * c if spec["stem"] == "imagenet" else 27 * c
                for block, layers in enumerate(spec["layers"]):
                    if block:
                        kept = int(c * spec["compression"])
                        total, c = total + c * (2 + kept), kept
                    read = layers * c + k * layers * (layers - 1) {sign} 2
                    total += read * (2 + 4 * k) + layers * (8 * k + 36 * k * k) if spec["bottleneck"] else read * (2 + 9 * k)
                    c += layers * k
                return total + c * (2 + spec["classes"]) + spec["classes"]
                """,
            )
            for sign in ("//", "/")
        ),
    ],
)

# concat_bytes --------------------------------------------------------------------------------------------------------

COPIED = "The block's input is copied each time as well: k0 channels in every concatenation."
BYTES = "4 * pixels * sum(k0 + k * layer for layer in range(1, L + 1))"

CONCATENATIONS = changed(
    ("the last concatenation alone", BYTES, "4 * pixels * (k0 + k * L)",
     "That is the last concatenation alone. Each of the L layers is followed by one, and all of them are kept."),
    ("numbers, not bytes", "4 * ", "", "These are numbers, not bytes: a float32 takes four."),
    ("float64", "4 * ", "8 * ", "A float32 takes four bytes, not eight."),
    ("bits", "4 * ", "32 * ", "These are bits: a float32 takes four bytes."),
    ("one pixel", " * pixels", "", "That is one pixel's share: each channel is a map of `pixels` numbers."),
    ("one step too early", "range(1, L + 1)", "range(L)",
     "Counted one step too early: the block's input is there already, no concatenation makes it. The first one holds"
     " k0 + k channels, the last k0 + k L."),
    ("counts the input as well", "range(1, L + 1)", "range(L + 1)",
     "The block's input is there already, no concatenation makes it: the first one holds k0 + k channels."),
    ("leaves out the last", "range(1, L + 1)", "range(1, L)",
     "One concatenation is missing, the last: its result is what the block hands on."),
    ("new channels only", BYTES, "4 * pixels * k * L",
     "That is what the layers compute. A concatenation copies all that came before as well."),
    ("forgets k0", "k0 + k * layer", "k * layer", COPIED),
    ("the block's input once", BYTES, "4 * pixels * (k0 + sum(k * layer for layer in range(1, L + 1)))", COPIED),
    ("forgets to return", "return ", "total = ", ""),
)  # fmt: skip

concat_bytes = Exercise(
    idea="A new tensor behind each layer costs memory that grows with the square of the number of layers.",
    oracle=lambda k0, k, L, pixels: sum(stream.nbytes for stream in _concatenated(k0, k, L, pixels)[1:]),
    probe=probes.whole,
    cases=[
        *starmap(case, [(16, 12, 5, 64), (64, 32, 6, 3136), (3, 5, 1, 1)]),
        case(3, 2, 4, 6, probe=probes.whole_conduct),
    ],
    hidden=lambda rng: starmap(case, rng.integers(1, 40, (5, 4)).tolist()),
    mistakes=[special("right up to 6 layers", "range(1, L + 1)", "range(1, min(L, 6) + 1)"), *CONCATENATIONS],
    right=written("""
        # closed form
        return 4 * pixels * (L * k0 + k * L * (L + 1) // 2)
        # closed form, divided by /
        return 4 * pixels * (L * k0 + k * L * (L + 1) / 2)
        # an array of no dimension
        return np.array(4 * pixels * (k0 + k * np.arange(1, L + 1)).sum())
        # a loop
        total, width = 0, k0
        for _ in range(L):
            width += k
            total += width * pixels * np.dtype("float32").itemsize
        return total
        # from exercise 1
        return 4 * pixels * sum(channels(k0, k, L)[1:])
    """),
)
