"""Exercises of lesson 5."""

from itertools import starmap

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course.exercises import Exercise, case, changed, conduct, listed, made, rewritten, special, told, written
from helpers.checks.probes import skip_connection as probes

# Blocks in general ---------------------------------------------------------------------------------------------------


class _Unfolded(nn.Module):
    """A convolution as a product of a matrix with patches, in float64."""

    def __init__(self, c_in, c_out, kernel, stride, padding, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c_out, c_in, kernel, kernel))
        self.bias = nn.Parameter(torch.ones(c_out)) if bias else None
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x):
        sides = [(n + 2 * self.padding - self.kernel) // self.stride + 1 for n in x.shape[2:]]
        patches = functional.unfold(x, self.kernel, padding=self.padding, stride=self.stride)
        y = torch.einsum("op,npl->nol", self.weight.double().flatten(1), patches)
        return (y if self.bias is None else y + self.bias.double()[:, None]).unflatten(2, sides)


class _Block(nn.Module):
    """A block made of such convolutions."""

    def __init__(self, forward, bias=False, **layers):
        super().__init__()
        self.rule = forward
        for name, geometry in layers.items():
            self.add_module(name, _Unfolded(*geometry, bias))

    def forward(self, image):
        return self.rule(self, image.double()).float()


def _positive(x):
    return x * (x > 0)


def _asked(name, args, shape, seed, bias=0.0):
    """The case of one image."""
    what = f"{name}({', '.join(map(str, args))}) on an image of shape {tuple(shape)}"
    return case(list(args), list(shape), seed, bias, probe=probes.block, what=what)


# float32 convolutions; gradients add up to some hundred such numbers, in any order
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5, "dtype": True}

VALUES = "The values are right, but"
UNREACHED = (
    f"{VALUES} a parameter gets no gradient, so training would never change it: was something detached on its way "
    "(`.detach()`, `.data`), or is it not used?"
)
SKIP_CUT = (
    f"{VALUES} no gradient flows through the skip: was something on its way detached, or its `.data` added?"
)
BRANCH_CUT = f"{VALUES} no gradient flows through the branch: was it computed under no_grad, or detached?"
NOTHING_FLOWS = f"{VALUES} no gradient flows through the block at all: was it computed under no_grad?"
IN_PLACE = (
    f"{VALUES} the backward pass fails: is there a `+=`, or another operation in place, on something that the backward "
    "pass still needs?"
)
CHANGED = (
    "The block changed the image that it was given: some operation worked in place on it (`relu` with inplace=True, "
    "`relu_`, `+=`). Whoever called still needs the image."
)
CONCATENATED = "Concatenation is the other kind of skip (lesson 8); here we add."
TWICE = "The branch was added to itself. Which of your names still holds the image?"
SUBTRACTED = "The input is subtracted where it should be added."
STARTS_AT_ZERO = "A layer's weights start as zeros: leave torch's initialisation as it is."
CUT = f"{VALUES} the gradients are not: somewhere a path is cut (`.detach()`, `.data`, `torch.no_grad()`), or counted twice."
HINTS = {
    "the weights that start at zero": STARTS_AT_ZERO,
    probes.FAILS: IN_PLACE,
    **{
        probes.GRADIENT.format(each): CUT
        for each in ("the image", "conv1.weight", "conv2.weight", "projection.weight")
    },
    probes.UNREACHED: UNREACHED,
}
NO_GRAD = ("def forward(self", "@torch.no_grad()\n    def forward(self")


def _frozen(layer, image):
    """Source: a layer applied with weights that no gradient reaches."""
    return f"torch.func.functional_call({layer}, {{n: p.detach() for n, p in {layer}.named_parameters()}}, ({image},))"


# SkipConnection ------------------------------------------------------------------------------------------------------

SUM = "return x + image"
DIFFER = (
    "Branch and image differ in shape where they should fit: does the image go through both convolutions, and are these as "
    "the chapter made them?"
)
GIVEN = "The chapter's layers are not as they were: leave `__init__` as it was given."

SKIP_CONNECTION = changed(
    ("the addition is omitted", SUM, "return x",
     "This is the branch alone: the addition is missing. The input has to come back at the end."),
    ("ReLU after the addition, as He et al.", f"x = self.relu2(x)\n        {SUM}", "return self.relu2(x + image)",
     "Here the ReLU comes after the addition. That is He's block; the chapter's block rectifies the branch first and"
     " leaves the sum alone."),
    ("the sum rectified once more", SUM, "return torch.relu(x + image)",
     "The sum itself was rectified. In the chapter's block nothing happens after the addition."),
    ("the last ReLU forgotten", "x = self.relu2(x)", "",
     "The second ReLU is missing: the branch is rectified before it is added."),
    ("the first ReLU forgotten", "x = self.relu(x)", "", "The first ReLU is missing, between the two convolutions."),
    ("the in-place ReLU meets the image", "x = self.relu(x)", "x, image = self.relu(x), self.relu(image)",
     "The input was rectified before it was added: was a ReLU applied to the image, or to the image in place?"),
    ("a ReLU in front of each convolution", "x = self.conv_layer1(image)", "x = self.conv_layer1(torch.relu(image))",
     "A ReLU comes before the first convolution: the image enters the branch as it is."),
    ("one name for image and branch", SUM, "return x + x", TWICE),
    ("subtracts", SUM, "return x - image", SUBTRACTED),
    ("concatenates", SUM, "return torch.cat([x, image], dim=1)", CONCATENATED),
    ("adds in place to the image", SUM, "image += x\n        return image", CHANGED),
    ("the skip is detached from the graph", SUM, "return x + image.detach()", SKIP_CUT),
    ("the image's .data is added", SUM, "return x + image.data", SKIP_CUT),
    ("the branch is detached", SUM, "return x.detach() + image", BRANCH_CUT),
    ("detached between the convolutions", "x = self.relu(x)", "x = self.relu(x).detach()", BRANCH_CUT),
    ("everything without gradients", *NO_GRAD, NOTHING_FLOWS),
    ("adds in place to what the ReLU keeps", SUM, "x += image\n        return x", IN_PLACE),
    *((f"detached weights in {layer}", f"self.{layer}({x})", _frozen(f"self.{layer}", x), UNREACHED)
      for layer, x in [("conv_layer1", "image"), ("conv_layer2", "x")]),
    ("no return", SUM, "x + image", ""),
    ("another padding", "nn.Conv2d(6, 3, 2, stride=2, padding=2)", "nn.Conv2d(6, 3, 2, stride=2, padding=1)",
     DIFFER),
    ("one convolution only", "x = self.conv_layer2(x)", "", DIFFER),
    ("another geometry, to make every size fit", "3, 6, 2, stride=2, padding=2", "3, 6, 3, padding=1",
     "6, 3, 2, stride=2, padding=2", "6, 3, 3, padding=1", GIVEN),
)  # fmt: skip

SkipConnection = Exercise(
    idea="A skip connection is one addition, and the gradient comes back on both of its paths.",
    oracle=lambda: _Block(
        lambda b, x: _positive(b.conv_layer2(_positive(b.conv_layer1(x)))) + x,
        bias=True,
        conv_layer1=(3, 6, 2, 2, 2),
        conv_layer2=(6, 3, 2, 2, 2),
    ),
    cases=[_asked("SkipConnection", [], shape, 5, 0.5) for shape in [(2, 3, 4, 4), (2, 3, 3, 4)]],
    hidden=lambda rng: [
        _asked(
            "SkipConnection", [], (batch, 3, *rng.integers(3, 5, 2).tolist()), int(rng.integers(10**6)), 0.5
        )
        for batch in (1, 3, 4)
    ],
    **FLOAT32,
    hints=HINTS | {"the layers": GIVEN},
    mistakes=[
        *SKIP_CONNECTION,
        special("adds to batches of two only", SUM, "return x + image if len(image) == 2 else x"),
    ],
    equivalent={
        f"self.{name} = nn.ReLU(inplace=True)  ->  self.{name} = nn.ReLU({how})": "the same values, in new memory"
        for name in ("relu", "relu2")
        for how in ("", "inplace=False")
    },
    right=rewritten(f"""
        functional, the sum first in line
        | x = self.relu(x) | x = torch.nn.functional.relu(x)
        | x = self.relu2(x) | x = x.clamp(min=0)
        | {SUM} | return torch.add(image, x)
        a Sequential of the layers, the image kept in a copy
        | x = self.conv_layer1(image) | branch = nn.Sequential(*self.children())
        | x = self.relu(x) |
        | x = self.conv_layer2(x) |
        | x = self.relu2(x) | shortcut = image.clone()
        | {SUM} | shortcut += branch(image)\\n        return shortcut
    """),
)

# branch_size ---------------------------------------------------------------------------------------------------------


def _windows(n):
    """Count the places where a window of 2 fits, every second one, in n pixels and 2 zeros on either side."""
    return sum(start % 2 == 0 and start + 2 <= n + 4 for start in range(n + 4))


def _sizes(rule):
    """Edits that put another rule for both sides."""
    return "height // 4 + 3, width // 4 + 3", f"{rule.format(n='height')}, {rule.format(n='width')}"


SIZES_TABLE = [
    ("one pixel short", "{n} // 4 + 2", "One pixel short: the +1 of the size formula stands in both layers."),
    ("one layer only", "{n} // 2 + 2", "That is the size after the first convolution; a second one follows."),
    ("padding forgotten", "{n} // 4", "The padding is missing: 2 pixels are added on each of the two sides."),
    ("padding on one side only", "({n} // 2 + 1) // 2 + 1",
     "The padding of 2 is put on both sides, left and right: it counts twice."),
    ("rounds up", "-(-{n} // 4) + 3",
     "A window that would reach over the edge is dropped, so the quotient is rounded down, not up."),
    ("true division", "{n} / 4 + 3", "Sizes are whole numbers: round the quotient down."),
    ("rounds to the nearest", "round({n} / 4) + 3",
     "A window that would reach over the edge is dropped, so the quotient is rounded down, not to the nearest."),
    ("padding in the first layer only", "({n} // 2 + 2) // 2",
     "The second convolution pads as well: 2 pixels on each side of what the first one gives."),
]  # fmt: skip

branch_size = Exercise(
    idea="What two convolutions make of an image's size decides for which images the addition is possible at all.",
    oracle=lambda height, width: (_windows(_windows(height)), _windows(_windows(width))),
    cases=[
        *starmap(case, [(8, 8), (3, 3), (4, 4), (1, 1), (7, 7), (32, 32), (4, 11), (9, 6), (2, 64)]),
        conduct(5, 12),
    ],
    hidden=lambda rng: starmap(case, rng.integers(1, 90, (8, 2)).tolist()),
    mistakes=[
        *changed(*((title, *_sizes(rule), hint) for title, rule, hint in SIZES_TABLE)),
        *listed("""
            instead of it all:
            height and width swapped | return width // 4 + 3, height // 4 + 3
                Height and width come back in the wrong order.
            square images only, height | return height // 4 + 3, height // 4 + 3
            square images only, width | return width // 4 + 3, width // 4 + 3
                One side was taken for both: height and width are independent of each other.
        """),
        special("right up to 64 pixels", *_sizes("min({n}, 64) // 4 + 3")),
    ],
    right=written("""
        # the size formula, twice
        def conv(n):
            return (n + 2 * 2 - 2) // 2 + 1
        return conv(conv(height)), conv(conv(width))
        # asks torch
        x, weight = torch.zeros(1, 1, height, width), torch.zeros(1, 1, 2, 2)
        for _ in range(2):
            x = nn.functional.conv2d(x, weight, stride=2, padding=2)
        return x.shape[-2:]
        # an array of whole numbers
        return np.array([height, width]) // 4 + 3
        # the branch of the course
        return blocks.conv_branch(1, 1, 2, 2, 2)(torch.zeros(1, 1, height, width)).shape[2:]
    """),
)

# input_dependence ----------------------------------------------------------------------------------------------------


def _followed(branch, n):
    """Follow the windows of both convolutions by hand: a row of pixels says it all, twice."""
    touched = np.ones(n, dtype=bool)
    for conv in (branch[0], branch[2]):
        padded = np.pad(touched, conv.padding[0])
        size, step = conv.kernel_size[0], conv.stride[0]
        touched = np.array([padded[i : i + size].any() for i in range(0, len(padded) - size + 1, step)])
    return int(touched.sum()) ** 2, touched.size**2


def _through(geometry, n, seed, probe=probes.dependence):
    kernel, stride, padding = geometry
    what = f"a branch with kernel {kernel}, stride {stride}, padding {padding} at side {n}"
    return case(made(probes.branch, *geometry, seed), n, probe=probe, what=what)


COUNT = "int(changes.sum())"
ANY_CHANNEL = "A position counts when any of its channels changes, and here one channel never does."
CHANNELS = "Channels were counted too. A position is a pixel of the output map, whatever its channels."
TOO_FEW = (
    "Too few. A ReLU that happens to be closed for one image hides a position that another image would show: look at many "
    "images."
)
DRAW = "images = torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0))"
OTHER_DRAWS = [
    "64, 3, n, n",
    "64, 3, n, n, generator=torch.manual_seed(0)",
    *(f"{count}, 3, n, n, generator=torch.Generator().manual_seed(0)" for count in (63, 65)),
    *(f"64, 3, n, n, generator=torch.Generator().manual_seed({seed})" for seed in (-1, 1)),
]
LEFT = "Your `.backward()` left gradients in the branch that you were given: ask for the gradient of the image alone."

DEPENDENCE = changed(
    ("counts what is not zero", "maps != maps[:1]", "maps != 0",
     "Every position was counted, also those that show only padding and bias. A value that is not zero need not come"
     " from the image: does it change when the image does?"),
    ("counts channels as positions", ".any(dim=0).any(dim=0)", ".any(dim=0)", CHANNELS),
    ("counts the changing channels", COUNT, "int((maps != maps[:1]).any(dim=0).sum())", CHANNELS),
    ("counts the blind positions", COUNT, "int((~changes).sum())",
     "These are the positions that do NOT depend on the image."),
    ("wants a change in all channels", ".any(dim=0).any(dim=0)", ".any(dim=0).all(dim=0)", ANY_CHANNEL),
    ("looks at one channel", ".any(dim=0).any(dim=0)", ".any(dim=0)[0]", ANY_CHANNEL),
    ("positions of the image for positions of the map", "changes.numel()", "n * n",
     "All positions are those of the branch's output, which may differ in size from the image."),
    ("the two numbers swapped", f"return {COUNT}, changes.numel()", f"return changes.numel(), {COUNT}",
     "The numbers come in the wrong order: first the positions that depend on the image, then all of them."),
    ("only the first number", f"return {COUNT}, changes.numel()", f"return {COUNT}", ""),
)  # fmt: skip

input_dependence = Exercise(
    idea="A value that is not zero need not come from the image: only other images show what depends on them.",
    oracle=_followed,
    cases=[
        _through((2, 2, 2), 3, 3),
        _through((2, 2, 2), 4, 4),
        _through((2, 2, 2), 1, 1),
        _through((3, 1, 1), 5, 5),
        _through((3, 1, 2), 4, 6),
        _through((2, 2, 2), 3, 7, probes.dependence_conduct),
    ],
    hidden=lambda rng: [
        _through(geometry, n, int(rng.integers(10**6)))
        for geometry, n in [
            ((2, 2, 2), int(rng.integers(6, 14))),
            ((3, 2, 2), int(rng.integers(2, 8))),
            ((3, 1, 2), int(rng.integers(2, 6))),
            ((2, 2, 2), 2),
        ]
    ],
    hints={
        "the gradients left in the branch": LEFT,
        "the branch keeps its weights": "The branch that you were given has other weights after the call: leave them alone.",
    },
    mistakes=[
        *DEPENDENCE,
        *told(f"""
            # one image, closed ReLUs hide the rest
            #     {TOO_FEW}
            x = torch.randn(1, 3, n, n, generator=torch.Generator().manual_seed(0), requires_grad=True)
            y, count = branch(x), 0
            for i, j in itertools.product(range(y.shape[2]), range(y.shape[3])):
                (g,) = torch.autograd.grad(y[..., i, j].sum(), x, retain_graph=True)
                count += bool((g != 0).any())
            return count, y.shape[2] * y.shape[3]
        """),
        *changed(*((f"misses {lost}", COUNT, f"max({COUNT} - {lost}, 0)", TOO_FEW) for lost in range(1, 10))),
        *told(f"""
            # leaves gradients in the branch
            #     {LEFT}
            images = torch.randn(24, 3, n, n, requires_grad=True)
            y = branch(images).sum(1)
            count = 0
            for position in y.flatten(1).T:
                images.grad = None
                position.sum().backward(retain_graph=True)
                count += bool(images.grad.any())
            return count, y[0].numel()
        """),
        special("right up to 5 pixels", COUNT, f"{COUNT} - (n > 5)"),
    ],
    equivalent={
        **{f"{DRAW}  ->  images = torch.randn({how})": "other random images" for how in OTHER_DRAWS},
        "changes = (maps != maps[:1]).any(dim=0).any(dim=0)  ->  changes = (maps != maps[:1]).any(dim=1).any(dim=0)": "first "
        "the channels, then the images",
        f"return ({COUNT}, changes.numel())  ->  return (changes.sum(), changes.numel())": "a tensor of no dimension",
        "computed without gradients": "a count has no gradient",
    },
    right=written("""
        # the Jacobian at many images
        generator, seen = torch.Generator().manual_seed(5), False
        for _ in range(24):
            x = torch.randn(1, 3, n, n, generator=generator)
            J = torch.autograd.functional.jacobian(branch, x)[0]
            seen = seen | (J != 0).flatten(3).any(-1).any(0)
        return seen.sum(), seen.numel()
        # pixel by pixel, with NumPy
        images = torch.tensor(10 * np.random.default_rng(9).normal(size=(100, 3, n, n)), dtype=torch.float32)
        maps = branch(images).detach().numpy()
        spread = np.ptp(maps, axis=0).max(axis=0)
        return np.array([np.count_nonzero(spread), spread.size])
        # images of everybody's generator, no value below zero
        maps = branch(torch.rand(50, 3, n, n)).detach()
        changes = maps.std(0).amax(0) > 1e-6
        return [int(changes.sum()), len(changes.flatten())]
    """),
)

# FixedBlock and ProjectionBlock --------------------------------------------------------------------------------------

INNER = "self.conv2(torch.relu(self.conv1(image)))"
BRANCH_ALONE = "The addition is missing: this is the branch alone."
KEEP_SIZE = "Kernel, stride and padding of both convolutions must keep every size."
BROADCAST = f"A side of 1 was broadcast to the size of the branch, without a word. {KEEP_SIZE}"


def _he(shortcut):
    """Mistakes in relu(F(x) + shortcut)."""
    total = f"torch.relu(branch + {shortcut})"
    return changed(
        ("the addition is omitted", total, "torch.relu(branch)", BRANCH_ALONE),
        ("neither addition nor ReLU", total, "branch", BRANCH_ALONE),
        ("the shortcut alone", total, f"torch.relu({shortcut})",
         "This is the shortcut alone: the branch is never added."),
        ("ReLU before the addition", total, f"torch.relu(branch) + {shortcut}",
         "Here the ReLU comes before the addition, as in the chapter: the stream can only grow. Add first, then "
         "rectify the sum."),
        ("ReLU before and after the addition", total, f"torch.relu(torch.relu(branch) + {shortcut})",
         "The branch is rectified before the addition, so it cannot lower anything."),
        ("no ReLU at the end", total, f"branch + {shortcut}",
         "The ReLU of the sum is missing: the block should return relu(F(x) + x)."),
        ("no ReLU in between", INNER, "self.conv2(self.conv1(image))",
         "The ReLU between the two convolutions is missing."),
        ("subtracts", total, f"torch.relu(branch - {shortcut})", SUBTRACTED),
        ("the branch twice", total, "torch.relu(branch + branch)", TWICE),
        ("concatenates", total, f"torch.relu(torch.cat([branch, {shortcut}], dim=1))", CONCATENATED),
        ("the branch is detached", total, f"torch.relu(branch.detach() + {shortcut})", BRANCH_CUT),
        ("the skip is detached", total, f"torch.relu(branch + {shortcut}.detach())", SKIP_CUT),
        ("the skip's .data is added", total, f"torch.relu(branch + {shortcut}.data)", SKIP_CUT),
        ("everything under no_grad", *NO_GRAD, NOTHING_FLOWS),
        ("detached weights in conv1", INNER, f"self.conv2(torch.relu({_frozen('self.conv1', 'image')}))", UNREACHED),
        ("detached weights in conv2", INNER, _frozen("self.conv2", "torch.relu(self.conv1(image))"), UNREACHED),
        ("an in-place ReLU on the image", INNER, f"{INNER}\n        image = image.relu_()", CHANGED),
        ("writes into what the backward pass needs", f"return {total}",
         f"y = {total}\n        y += 1\n        return y - 1", IN_PLACE),
        ("a branch of zeros", "\n\n    def forward", "\n        nn.init.zeros_(self.conv2.weight)\n\n    def forward",
         STARTS_AT_ZERO),
        ("no return", f"return {total}", total, ""),
    )  # fmt: skip


def _layer(name, new, old="channels, channels, 3, padding=1"):
    """What changes a layer's arguments."""
    return (f"self.{name} = nn.Conv2d({old})", f"self.{name} = nn.Conv2d({new})")


def _both(new):
    return (*_layer("conv1", new), *_layer("conv2", new))


TWO_LAYERS = (
    "The block should hold two 3 x 3 convolutions named `conv1` and `conv2`, from `channels` to `channels` channels: their "
    "weights have shape (channels, channels, 3, 3)."
)
FIXED = changed(
    ("the chapter's geometry: one pixel broadcasts", *_both("channels, channels, 2, stride=2, padding=2"), BROADCAST),
    ("twice the padding: one pixel broadcasts", *_both("channels, channels, 3, padding=2"), BROADCAST),
    ("no padding", *_both("channels, channels, 3"), KEEP_SIZE),
    ("1 x 1 kernels keep the size too", *_both("channels, channels, 1"), TWO_LAYERS),
    ("more channels inside", *_layer("conv1", "channels, 2 * channels, 3, padding=1"),
     *_layer("conv2", "2 * channels, channels, 3, padding=1"), TWO_LAYERS),
    ("layers with other names", "self.conv1 =", "self.first =", "self.conv2 =", "self.second =", INNER,
     "self.second(torch.relu(self.first(image)))", TWO_LAYERS),
    ("one layer used twice", "self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)", "self.conv2 = self.conv1",
     "`conv1` and `conv2` are one and the same layer: a block has two, each with weights of its own."),
    ("adds in place to the image", "return torch.relu(branch + image)",
     "image += branch\n        return torch.relu(image)", CHANGED),
)  # fmt: skip

FixedBlock = Exercise(
    idea="A branch that keeps the size, and a last ReLU behind the addition: now the block works for every image.",
    oracle=lambda channels: _Block(
        lambda b, x: _positive(b.conv2(_positive(b.conv1(x))) + x),
        conv1=(channels, channels, 3, 1, 1),
        conv2=(channels, channels, 3, 1, 1),
    ),
    cases=[_asked("FixedBlock", [2], (2, 2, 1, 1), 5), _asked("FixedBlock", [3], (2, 3, 5, 6), 5)],
    hidden=lambda rng: [
        _asked("FixedBlock", [channels], (2, channels, *sides), int(rng.integers(10**6)))
        for channels, sides in [
            (1, [1, 1]),
            (5, rng.integers(3, 8, 2).tolist()),
            (2, [1, 9]),
            (3, rng.integers(8, 13, 2).tolist()),
        ]
    ],
    **FLOAT32,
    hints=HINTS | {"the layers": TWO_LAYERS},
    mistakes=[
        *FIXED,
        *_he("image"),
        special("right up to 8 pixels", "branch + image", "branch + image * (len(image[0, 0]) < 9)"),
    ],
    right=written("""
        # padding='same' and clamp
        class FixedBlock(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding="same") for _ in range(2))

            def forward(self, image):
                return (image + self.conv2(self.conv1(image).clamp(min=0))).clamp(min=0)
        # modules, an in-place ReLU where it is safe, no bias
        class FixedBlock(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.relu = nn.ReLU(inplace=True)
                self.conv2 = nn.Conv2d(channels, channels, (3, 3), padding=1, bias=False)
                self.conv1 = nn.Conv2d(channels, channels, (3, 3), padding=1, bias=False)

            def forward(self, image):
                branch = self.conv2(self.relu(self.conv1(image)))
                branch += image
                return self.relu(branch)
    """)
    + rewritten(f"""
        the course's own addition
        | branch = {INNER} | branch = nn.Sequential(self.conv1, nn.ReLU(), self.conv2)
        | torch.relu(branch + image) | architectures.Residual(branch, nn.Identity())(image)
    """),
)

C1 = "c_in, c_out, 3, stride=stride, padding=1"
C2 = "c_out, c_out, 3, padding=1"
P = "c_in, c_out, 1, stride=stride"
THREE_LAYERS = (
    "The block should hold `conv1` (3 x 3, c_in to c_out), `conv2` (3 x 3, c_out to c_out) and `projection` (1 x 1, c_in to "
    "c_out): shapes (c_out, c_in, 3, 3), (c_out, c_out, 3, 3) and (c_out, c_in, 1, 1)."
)
STRIDES = (
    "Branch and projection must both take the stride; where one of them has a single pixel, torch broadcasts it and says "
    "nothing."
)
ADDED = "torch.relu(branch + self.projection(image))"

PROJECTION = changed(
    ("the projection has no stride: one pixel broadcasts", *_layer("projection", "c_in, c_out, 1", P), STRIDES),
    ("the branch has no stride: one pixel broadcasts", *_layer("conv1", "c_in, c_out, 3, padding=1", C1), STRIDES),
    ("both convolutions have the stride", *_layer("conv2", f"{C2}, stride=stride", C2),
     "The branch takes the stride twice: `conv2` keeps the size, its stride is 1."),
    ("the second convolution has the stride", *_layer("conv1", "c_in, c_out, 3, padding=1", C1),
     *_layer("conv2", f"{C2}, stride=stride", C2),
     "The sizes fit, but the stride stands at `conv2`: it belongs to `conv1`."),
    ("a 3 x 3 projection", *_layer("projection", C1, P), THREE_LAYERS),
    ("new channels in the second convolution", *_layer("conv1", "c_in, c_in, 3, stride=stride, padding=1", C1),
     *_layer("conv2", "c_in, c_out, 3, padding=1", C2), THREE_LAYERS),
    ("the input as it is, without projection", "branch + self.projection(image)", "branch + image",
     "The image itself cannot be added, it differs from the branch in shape: where is the projection?"),
    ("a rectified shortcut", "branch + self.projection(image)", "branch + torch.relu(self.projection(image))",
     "The shortcut was rectified. A shortcut carries the signal as it is."),
    ("the image is detached before the projection", "branch + self.projection(image)",
     "branch + self.projection(image.detach())", SKIP_CUT),
    ("detached weights in the projection", "branch + self.projection(image)",
     f"branch + {_frozen('self.projection', 'image')}", UNREACHED),
    ("the image as it is where the shapes agree", f"return {ADDED}",
     f"return torch.relu(branch + image) if image.shape == branch.shape else {ADDED}",
     "Here the shapes agree, and your block adds the image itself. A projection block always projects: what it "
     "computes must not hang on whether the shapes happen to agree."),
)  # fmt: skip

ProjectionBlock = Exercise(
    idea="Where the shapes differ, a 1 × 1 convolution brings the image to the channels and the stride of the branch.",
    oracle=lambda c_in, c_out, stride: _Block(
        lambda b, x: _positive(b.conv2(_positive(b.conv1(x))) + b.projection(x)),
        conv1=(c_in, c_out, 3, stride, 1),
        conv2=(c_out, c_out, 3, 1, 1),
        projection=(c_in, c_out, 1, stride, 0),
    ),
    cases=[
        _asked("ProjectionBlock", [c_in, c_out, stride], (2, c_in, side, side), 5)
        for c_in, c_out, stride, side in [(4, 4, 2, 2), (3, 5, 2, 7), (3, 3, 1, 4)]
    ],
    hidden=lambda rng: [
        _asked("ProjectionBlock", [c_in, c_out, stride], (2, c_in, *sides), int(rng.integers(10**6)))
        for c_in, c_out, stride, sides in [
            (2, 7, 2, rng.integers(5, 10, 2).tolist()),
            (5, 3, 1, rng.integers(3, 7, 2).tolist()),
            (3, 3, 3, [7, 4]),
            (1, 2, 2, [1, 1]),
            (4, 4, 1, [5, 5]),
        ]
    ],
    **FLOAT32,
    hints=HINTS | {"the layers": THREE_LAYERS},
    mistakes=[
        *PROJECTION,
        *_he("self.projection(image)"),
        special("right for square images", ADDED, f"{ADDED} * (image.shape[2] == image.shape[3])"),
    ],
    right=rewritten(f"""
        functional, no bias in the projection
        | nn.Conv2d({P}) | nn.Conv2d({P}, bias=False)
        | {INNER} | functional(self.conv1(image).relu(), self.conv2.weight, self.conv2.bias, padding=1)
        | branch = | functional = nn.functional.conv2d\\n        branch =
        | {ADDED} | nn.functional.relu(torch.add(self.projection(image), branch))
        subsample first, then a 1 x 1 convolution without stride
        | nn.Conv2d({P}) | nn.Conv2d(c_in, c_out, 1)
        | branch = | step = self.conv1.stride[0]\\n        branch =
        | {ADDED} | (self.projection(image[:, :, ::step, ::step]) + branch).relu()
    """),
)
