"""Lesson 5: what learners get wrong about one skip connection, and right answers written differently."""

from tests.wrong_answers import Answer

LAYERS = """
import torch
from torch import nn
from torch.nn import functional


class SkipConnection(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, image):
"""

FIXED = """
import torch
from torch import nn
from torch.nn import functional


class FixedBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image):
"""

PROJECTION = """
import torch
from torch import nn
from torch.nn import functional


class ProjectionBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.projection = nn.Conv2d(c_in, c_out, 1, stride=stride)

    def forward(self, image):
"""


def _body(head: str, lines: str) -> str:
    """A class with this `forward`; each line of the body on its own, without indentation."""
    return head + "".join(f"        {line}\n" for line in lines.strip().splitlines())


WRONG = {
    "SkipConnection": [
        Answer(
            "the addition is omitted",
            hint="the addition is missing",
            source=_body(LAYERS, "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))))"),
        ),
        Answer(
            "ReLU after the addition, as He et al.",
            hint="ReLU comes after the addition",
            source=_body(
                LAYERS, "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))) + image)"
            ),
        ),
        Answer(
            "the sum rectified once more",
            hint="The sum itself was rectified",
            source=_body(
                LAYERS,
                "return functional.relu(self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image)",
            ),
        ),
        Answer(
            "adds in place to the image",
            hint="changed the image",
            source=_body(
                LAYERS,
                "image += self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))))\nreturn image",
            ),
        ),
        Answer(
            "the in-place ReLU meets the image",
            hint="The input was rectified before it was added",
            source=_body(
                LAYERS,
                "x = self.conv_layer1(image)\nself.relu(image)\nreturn self.relu2(self.conv_layer2(x.relu())) + image",
            ),
        ),
        Answer(
            "the last ReLU forgotten",
            hint="The second ReLU is missing",
            source=_body(LAYERS, "return self.conv_layer2(self.relu(self.conv_layer1(image))) + image"),
        ),
        Answer(
            "the first ReLU forgotten",
            hint="The first ReLU is missing",
            source=_body(LAYERS, "return self.relu2(self.conv_layer2(self.conv_layer1(image))) + image"),
        ),
        Answer(
            "one name for image and branch",
            hint="The branch was added to itself",
            source=_body(
                LAYERS,
                "image = self.relu(self.conv_layer1(image))\nimage = self.relu2(self.conv_layer2(image))\nreturn image + image",
            ),
        ),
        Answer(
            "concatenates",
            hint="Concatenation is the other kind",
            source=_body(
                LAYERS,
                "x = self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))))\nreturn torch.cat([x, image], dim=1)",
            ),
        ),
        Answer(
            "the skip is detached from the graph",
            hint="no gradient flows through the skip",
            source=_body(
                LAYERS,
                "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image.detach()",
            ),
        ),
        Answer(
            "the image's .data is added",
            hint="no gradient flows through the skip",
            source=_body(
                LAYERS,
                "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image.data",
            ),
        ),
        Answer(
            "adds in place to what the ReLU keeps",
            hint="the backward pass through it fails",
            source=_body(
                LAYERS,
                "x = self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))))\nx += image\nreturn x",
            ),
        ),
        Answer(
            "everything without gradients",
            hint="through the block at all",
            source=_body(
                LAYERS,
                "with torch.no_grad():\n    return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image",
            ),
        ),
        Answer(
            "detached between the convolutions",
            hint="no gradient flows through the branch",
            source=_body(
                LAYERS,
                "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)).detach())) + image",
            ),
        ),
        Answer(
            "detached weights",
            hint="to `conv_layer1.weight`, so training would never change it",
            source=_body(
                LAYERS,
                "x = functional.conv2d(image, self.conv_layer1.weight.detach(), self.conv_layer1.bias, 2, 2)\n"
                "return self.relu2(self.conv_layer2(self.relu(x))) + image",
            ),
        ),
        Answer(
            "the branch is computed without gradients",
            hint="no gradient flows through the branch",
            source=_body(
                LAYERS,
                "with torch.no_grad():\n    x = self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image))))\nreturn x + image",
            ),
        ),
        Answer(
            "no return",
            hint="return",
            source=_body(
                LAYERS, "x = self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image"
            ),
        ),
        Answer(
            "another geometry, to make every size fit",
            hint="leave `__init__` as it was given",
            source=_body(
                LAYERS, "return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(image)))) + image"
            ).replace("2, stride=2, padding=2", "3, padding=1"),
        ),
        Answer("the stub", hint="no answer here yet", source=_body(LAYERS, "raise NotImplementedError")),
    ],
    "branch_size": [
        Answer(
            "one pixel short",
            hint="One pixel short",
            source="def branch_size(h, w):\n    return h // 4 + 2, w // 4 + 2\n",
        ),
        Answer(
            "one layer only",
            hint="after the first convolution",
            source="def branch_size(h, w):\n    return h // 2 + 2, w // 2 + 2\n",
        ),
        Answer(
            "padding forgotten",
            hint="padding is missing",
            source="def branch_size(h, w):\n    return h // 4, w // 4\n",
        ),
        Answer(
            "padding on one side only",
            hint="it counts twice",
            source="def branch_size(h, w):\n    f = lambda n: (n + 2 - 2) // 2 + 1\n    return f(f(h)), f(f(w))\n",
        ),
        Answer(
            "rounds up",
            hint="rounded down, not up",
            source="def branch_size(h, w):\n    return -(-h // 4) + 3, -(-w // 4) + 3\n",
        ),
        Answer(
            "height and width swapped",
            hint="wrong order",
            source="def branch_size(h, w):\n    return w // 4 + 3, h // 4 + 3\n",
        ),
        Answer(
            "square images only",
            hint="independent of each other",
            source="def branch_size(h, w):\n    return h // 4 + 3, h // 4 + 3\n",
        ),
        Answer(
            "true division",
            hint="whole numbers",
            source="def branch_size(h, w):\n    return h / 4 + 3, w / 4 + 3\n",
        ),
    ],
    "input_dependence": [
        Answer(
            "counts what is not zero",
            hint="does it change when the image does",
            source="""
import torch

def input_dependence(branch, n):
    with torch.no_grad():
        y = branch(torch.randn(8, 3, n, n, generator=torch.Generator().manual_seed(0)))
    seen = (y != 0).any(0).any(0)
    return int(seen.sum()), seen.numel()
""",
        ),
        Answer(
            "counts channels as positions",
            hint="Channels were counted too",
            source="""
import torch

def input_dependence(branch, n):
    with torch.no_grad():
        y = branch(torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0)))
    seen = (y != y[:1]).any(0)
    return int(seen.sum()), seen.numel()
""",
        ),
        Answer(
            "one image, closed ReLUs hide the rest",
            hint="ReLU that happens to be closed",
            source="""
import torch

def input_dependence(branch, n):
    x = torch.randn(1, 3, n, n, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = branch(x)
    count = 0
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            (g,) = torch.autograd.grad(y[..., i, j].sum(), x, retain_graph=True)
            count += bool((g != 0).any())
    return count, y.shape[2] * y.shape[3]
""",
        ),
        Answer(
            "counts the blind positions",
            hint="do NOT depend",
            source="""
import torch

def input_dependence(branch, n):
    with torch.no_grad():
        y = branch(torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0)))
    blind = (y == y[:1]).all(0).all(0)
    return int(blind.sum()), blind.numel()
""",
        ),
        Answer(
            "positions of the image for positions of the map",
            hint="differ in size from the image",
            source="""
import torch

def input_dependence(branch, n):
    with torch.no_grad():
        y = branch(torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0)))
    return int((y != y[:1]).any(0).any(0).sum()), n * n
""",
        ),
        Answer(
            "only the first number",
            hint="two whole numbers",
            source="""
import torch

def input_dependence(branch, n):
    with torch.no_grad():
        y = branch(torch.randn(64, 3, n, n, generator=torch.Generator().manual_seed(0)))
    return int((y != y[:1]).any(0).any(0).sum())
""",
        ),
    ],
    "FixedBlock": [
        Answer(
            "the chapter's geometry: one pixel broadcasts",
            hint="broadcast",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image)"
            ).replace("channels, 3, padding=1", "channels, 2, stride=2, padding=2"),
        ),
        Answer(
            "no padding",
            hint="raised RuntimeError",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image)"
            ).replace(", padding=1", ""),
        ),
        Answer(
            "1 x 1 kernels keep the size too",
            hint="should have shape (2, 2, 3, 3)",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image)"
            ).replace(", 3, padding=1", ", 1"),
        ),
        Answer(
            "the addition is omitted",
            hint="The addition is missing",
            source=_body(FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))))"),
        ),
        Answer(
            "ReLU before the addition",
            hint="ReLU comes before the addition",
            source=_body(FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image)))) + image"),
        ),
        Answer(
            "no ReLU at the end",
            hint="The ReLU of the sum is missing",
            source=_body(FIXED, "return self.conv2(torch.relu(self.conv1(image))) + image"),
        ),
        Answer(
            "no ReLU in between",
            hint="between the two convolutions is missing",
            source=_body(FIXED, "return torch.relu(self.conv2(self.conv1(image)) + image)"),
        ),
        Answer(
            "adds in place to the image",
            hint="changed the image",
            source=_body(
                FIXED, "image += self.conv2(torch.relu(self.conv1(image)))\nreturn torch.relu(image)"
            ),
        ),
        Answer(
            "the skip is detached",
            hint="no gradient flows through the skip",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image.detach())"
            ),
        ),
        Answer(
            "the image's .data is added",
            hint="no gradient flows through the skip",
            source=_body(FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image.data)"),
        ),
        Answer(
            "the branch is detached",
            hint="no gradient flows through the branch",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))).detach() + image)"
            ),
        ),
        Answer(
            "everything under no_grad",
            hint="through the block at all",
            source=_body(
                FIXED,
                "with torch.no_grad():\n    return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image)",
            ),
        ),
        Answer(
            "weights that training would not reach",
            hint="to `conv2.weight`, so training would never change it",
            source=_body(
                FIXED,
                "hidden = torch.relu(self.conv1(image))\n"
                "branch = functional.conv2d(hidden, self.conv2.weight.data, self.conv2.bias, padding=1)\n"
                "return torch.relu(branch + image)",
            ),
        ),
        Answer(
            "a branch of zeros",
            hint="zero everywhere",
            source=_body(
                FIXED, "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + image)"
            ).replace("\n    def forward", "        nn.init.zeros_(self.conv2.weight)\n\n    def forward"),
        ),
        Answer(
            "layers with other names",
            hint="no layer called `conv1`",
            source=_body(FIXED, "return torch.relu(self.second(torch.relu(self.first(image))) + image)")
            .replace("self.conv1", "self.first")
            .replace("self.conv2", "self.second"),
        ),
    ],
    "ProjectionBlock": [
        Answer(
            "the projection fixes the shape, the skip is gone",
            hint="the skip is gone",
            source=_body(
                PROJECTION,
                "shortcut = self.projection(image)\nreturn torch.relu(self.conv2(torch.relu(self.conv1(image))))",
            ),
        ),
        Answer(
            "the projection has no stride: one pixel broadcasts",
            hint="broadcasts it",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + self.projection(image))",
            ).replace("c_out, 1, stride=stride", "c_out, 1"),
        ),
        Answer(
            "the branch has no stride: one pixel broadcasts",
            hint="broadcasts it",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + self.projection(image))",
            ).replace("3, stride=stride, padding=1", "3, padding=1"),
        ),
        Answer(
            "the input as it is, without projection",
            hint="raised RuntimeError",
            source=_body(
                PROJECTION,
                "x = image if image.shape[2] == 2 else image\n"
                "shortcut = self.projection(image) if image.shape[1] == 4 else image\n"
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + shortcut)",
            ),
        ),
        Answer(
            "ReLU before the addition",
            hint="ReLU comes before the addition",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image)))) + self.projection(image)",
            ),
        ),
        Answer(
            "the projection is detached",
            hint="no gradient flows through the skip",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + self.projection(image).detach())",
            ),
        ),
        Answer(
            "the image is detached before the projection",
            hint="no gradient flows through the skip",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + self.projection(image.detach()))",
            ),
        ),
        Answer(
            "the branch is computed under no_grad",
            hint="no gradient flows through the branch",
            source=_body(
                PROJECTION,
                "with torch.no_grad():\n    branch = self.conv2(torch.relu(self.conv1(image)))\n"
                "return torch.relu(branch + self.projection(image))",
            ),
        ),
        Answer(
            "the image as it is where the shapes agree",
            hint="Here the shapes agree",
            source=_body(
                PROJECTION,
                "branch = self.conv2(torch.relu(self.conv1(image)))\n"
                "shortcut = image if image.shape == branch.shape else self.projection(image)\n"
                "return torch.relu(branch + shortcut)",
            ),
        ),
        Answer(
            "a rectified shortcut",
            hint="The shortcut was rectified",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + torch.relu(self.projection(image)))",
            ),
        ),
        Answer(
            "no ReLU at the end",
            hint="The ReLU of the sum is missing",
            source=_body(
                PROJECTION, "return self.conv2(torch.relu(self.conv1(image))) + self.projection(image)"
            ),
        ),
        Answer(
            "a 3 x 3 projection",
            hint="`projection.weight` should have shape (4, 4, 1, 1)",
            source=_body(
                PROJECTION,
                "return torch.relu(self.conv2(torch.relu(self.conv1(image))) + self.projection(image))",
            ).replace("c_out, 1, stride=stride", "c_out, 3, stride=stride, padding=1"),
        ),
        Answer(
            "an in-place ReLU on the image",
            hint="changed the image",
            source=_body(
                PROJECTION,
                "y = self.conv2(torch.relu(self.conv1(image))) + self.projection(image)\nimage.relu_()\nreturn y.relu()",
            ),
        ),
    ],
}

RIGHT = {
    "SkipConnection": [
        Answer(
            "functional, the sum first in line",
            source=_body(
                LAYERS,
                "hidden = functional.relu(self.conv_layer1(image))\n"
                "branch = self.conv_layer2(hidden).clamp(min=0)\n"
                "return torch.add(image, branch)",
            ),
        ),
        Answer(
            "a Sequential of the layers, the image kept in a copy",
            source=_body(
                LAYERS,
                "shortcut = image.clone()\n"
                "branch = nn.Sequential(self.conv_layer1, self.relu, self.conv_layer2, self.relu2)\n"
                "shortcut += branch(image)\nreturn shortcut",
            ),
        ),
    ],
    "branch_size": [
        Answer(
            "the size formula, twice",
            source="""
def branch_size(height, width):
    def conv(n):
        return (n + 2 * 2 - 2) // 2 + 1
    return conv(conv(height)), conv(conv(width))
""",
        ),
        Answer(
            "asks torch",
            source="""
import torch

def branch_size(height, width):
    x = torch.zeros(1, 1, height, width)
    weight = torch.zeros(1, 1, 2, 2)
    for _ in range(2):
        x = torch.nn.functional.conv2d(x, weight, stride=2, padding=2)
    return tuple(x.shape[-2:])
""",
        ),
    ],
    "input_dependence": [
        Answer(
            "the Jacobian at many images",
            source="""
import torch

def input_dependence(branch, n):
    generator = torch.Generator().manual_seed(5)
    seen = None
    for _ in range(24):
        x = torch.randn(1, 3, n, n, generator=generator)
        J = torch.autograd.functional.jacobian(branch, x)[0]
        touched = (J != 0).flatten(3).any(-1).any(0)
        seen = touched if seen is None else seen | touched
    return int(seen.sum()), seen.numel()
""",
        ),
        Answer(
            "pixel by pixel, with NumPy",
            source="""
import numpy as np
import torch

def input_dependence(branch, n):
    rng = np.random.default_rng(9)
    images = torch.tensor(10 * rng.normal(size=(100, 3, n, n)), dtype=torch.float32)
    maps = branch(images).detach().numpy()
    seen = [(i, j) for i in range(maps.shape[2]) for j in range(maps.shape[3]) if np.ptp(maps[:, :, i, j], axis=0).max() > 0]
    return len(seen), maps.shape[2] * maps.shape[3]
""",
        ),
    ],
    "FixedBlock": [
        Answer(
            "padding='same' and clamp",
            source=_body(
                FIXED, "return (image + self.conv2(self.conv1(image).clamp(min=0))).clamp(min=0)"
            ).replace("padding=1", "padding='same'"),
        ),
        Answer(
            "modules, an in-place ReLU where it is safe, no bias",
            source=_body(
                FIXED,
                "relu = nn.ReLU(inplace=True)\nbranch = self.conv2(relu(self.conv1(image)))\nbranch += image\nreturn relu(branch)",
            ).replace("padding=1", "padding=1, bias=False"),
        ),
    ],
    "ProjectionBlock": [
        Answer(
            "functional, no bias in the projection",
            source=_body(
                PROJECTION,
                "branch = functional.conv2d(functional.relu(self.conv1(image)), self.conv2.weight, self.conv2.bias, padding=1)\n"
                "return functional.relu(torch.add(self.projection(image), branch))",
            ).replace("c_out, 1, stride=stride", "c_out, 1, stride=stride, bias=False"),
        ),
        Answer(
            "subsample first, then a 1 x 1 convolution without stride",
            source=_body(
                PROJECTION,
                "step = self.conv1.stride[0]\n"
                "shortcut = self.projection(image[:, :, ::step, ::step])\n"
                "return (shortcut + self.conv2(self.conv1(image).relu())).relu()",
            ).replace("c_out, 1, stride=stride", "c_out, 1"),
        ),
    ],
}
