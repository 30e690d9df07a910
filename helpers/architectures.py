"""ResNets and DenseNets of the papers: one readable spec each, built layer by layer.

A spec is a table row, `build` turns it into a module. Two connections are all the difference:
`Residual` adds what its branch computes to the stream, `Append` puts it beside the stream.

    with torch.device("meta"):                        # shapes only, no memory
        network = architectures.build(architectures.resnet_spec(50))
    architectures.parameter_count(network)            # 25557032

Source: He et al. 2015, arXiv:1512.03385; Huang et al. 2016, arXiv:1608.06993.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from helpers.training import evaluating


@dataclass(frozen=True)
class ResNetSpec:
    """A residual network, as a row of table 1 of He et al. 2015.

    Args:
        blocks: residual blocks in each stage.
        widths: channels of the 3x3 convolutions in each stage; every stage but the first halves the side.
        bottleneck: 1x1, 3x3, 1x1 (the last four times as wide) instead of 3x3, 3x3.
        stem: "imagenet" (7x7 stride 2, max-pooling stride 2) or "cifar" (3x3).
        option: what a shortcut does where the shape changes: "A" subsamples and appends zero
            channels, "B" projects by a 1x1 convolution.
        classes: outputs.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    bottleneck: bool = False
    stem: str = "imagenet"
    option: str = "B"
    classes: int = 1000


@dataclass(frozen=True)
class DenseNetSpec:
    """A densely connected network, as a row of table 1 of Huang et al. 2016.

    Args:
        layers: dense layers in each block; a transition between blocks halves the side.
        growth: k, the channels that each layer appends.
        stem_channels: k0, the channels in front of the first block.
        bottleneck: a 1x1 convolution to 4 k channels in front of each 3x3 convolution (the B of BC).
        compression: theta; a transition passes on floor(theta * channels) (theta < 1 is the C of BC).
        stem: "imagenet" (7x7 stride 2, max-pooling stride 2) or "cifar" (3x3).
        classes: outputs.
    """

    layers: tuple[int, ...]
    growth: int
    stem_channels: int
    bottleneck: bool = True
    compression: float = 0.5
    stem: str = "imagenet"
    classes: int = 1000


_BASIC = (64, 128, 256, 512)
RESNETS = {
    18: ResNetSpec(blocks=(2, 2, 2, 2), widths=_BASIC),
    34: ResNetSpec(blocks=(3, 4, 6, 3), widths=_BASIC),
    50: ResNetSpec(blocks=(3, 4, 6, 3), widths=_BASIC, bottleneck=True),
    101: ResNetSpec(blocks=(3, 4, 23, 3), widths=_BASIC, bottleneck=True),
    152: ResNetSpec(blocks=(3, 8, 36, 3), widths=_BASIC, bottleneck=True),
}
DENSENETS = {
    121: DenseNetSpec(layers=(6, 12, 24, 16), growth=32, stem_channels=64),
    169: DenseNetSpec(layers=(6, 12, 32, 32), growth=32, stem_channels=64),
    201: DenseNetSpec(layers=(6, 12, 48, 32), growth=32, stem_channels=64),
    161: DenseNetSpec(layers=(6, 12, 36, 24), growth=48, stem_channels=96),
}


def resnet_spec(depth: int) -> ResNetSpec:
    """Give the spec of ImageNet's ResNet-18, 34, 50, 101 or 152.

    Args:
        depth: convolutions on the main path, plus the last linear layer.

    Returns:
        The spec, for `build`. Bottlenecks have their stride on the 3x3 convolution, as torchvision has it.

    Raises:
        ValueError: for a depth that the paper does not have.

    Source: He et al. 2015, table 1.
    """
    return _row(RESNETS, "ResNet", depth)


def densenet_spec(depth: int) -> DenseNetSpec:
    """Give the spec of ImageNet's DenseNet-121, 169, 201 or 161.

    Args:
        depth: convolutions in all, plus the last linear layer.

    Returns:
        The spec, for `build`.

    Raises:
        ValueError: for a depth that the paper does not have.

    Source: Huang et al. 2016, table 1; DenseNet-161 (k = 48) is in its first version and code.
    """
    return _row(DENSENETS, "DenseNet", depth)


def _row(table: dict, family: str, depth: int):
    if depth not in table:
        raise ValueError(f"no {family}-{depth} in the paper: depth is one of {', '.join(map(str, table))}")
    return table[depth]


def cifar_resnet_spec(depth: int, option: str = "A") -> ResNetSpec:
    """Give the spec of CIFAR-10's ResNet-20, 32, 44, 56, 110, or any depth 6 n + 2.

    Args:
        depth: 6 n + 2, for n blocks in each of three stages.
        option: "A" (zero channels) or "B" (projection) for the two shortcuts that change the shape.

    Returns:
        The spec, for `build`.

    Raises:
        ValueError: for another depth or option.

    Source: He et al. 2015, section 4.2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a CIFAR ResNet has depth 6 n + 2 with n >= 1 (8, 14, 20, ...), not {depth}")
    _check_option(option)
    return ResNetSpec(((depth - 2) // 6,) * 3, (16, 32, 64), stem="cifar", option=option, classes=10)


def cifar_densenet_spec(depth: int, growth: int, bottleneck: bool) -> DenseNetSpec:
    """Give the spec of CIFAR-10's DenseNet (basic) or DenseNet-BC.

    Args:
        depth: L, convolutions in all plus the last linear layer: 3 n + 4 (basic) or 6 n + 4 (BC).
        growth: k, the channels that each layer appends.
        bottleneck: True for BC: bottlenecks, compression 0.5 and 2 k channels at the start;
            False for the basic form with 16 channels at the start.

    Returns:
        The spec, for `build`.

    Raises:
        ValueError: for a depth that does not give three equal blocks.

    Source: Huang et al. 2016, section 3, "Implementation Details".
    """
    each = 6 if bottleneck else 3
    if depth <= 4 or (depth - 4) % each:
        form = "DenseNet-BC" if bottleneck else "basic DenseNet"
        raise ValueError(
            f"a CIFAR {form} has depth {each} n + 4 ({each + 4}, {2 * each + 4}, ...), not {depth}"
        )
    layers = ((depth - 4) // each,) * 3
    basic = DenseNetSpec(layers, growth, 16, bottleneck=False, compression=1.0, stem="cifar", classes=10)
    return replace(basic, stem_channels=2 * growth, bottleneck=True, compression=0.5) if bottleneck else basic


class Residual(nn.Module):
    """Adds: x -> relu(shortcut(x) + branch(x)).

    Args:
        branch, shortcut: modules whose outputs have the same shape.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch of the branch's input shape to one of its output shape."""
        return torch.relu(self.shortcut(x) + self.branch(x))


class Append(nn.Module):
    """Concatenates: x -> (x, branch(x)), the stream first, along the channels.

    Args:
        branch: a module that keeps the sides.
    """

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, ...) to (batch, channels + the branch's, ...)."""
        return torch.cat((x, self.branch(x)), dim=1)


def build(spec: ResNetSpec | DenseNetSpec) -> nn.Module:
    """Build the network of a spec; inside `with torch.device("meta")` it takes no memory.

    Args:
        spec: from one of the `..._spec` functions, or your own.

    Returns:
        A module from images (batch, 3, side, side) to scores (batch, classes).

    Raises:
        TypeError: if `spec` is no spec.
    """
    if isinstance(spec, ResNetSpec):
        return nn.Sequential(*_resnet(spec))
    if isinstance(spec, DenseNetSpec):
        return nn.Sequential(*_densenet(spec))
    raise TypeError(f"build takes a ResNetSpec or a DenseNetSpec, not {spec!r}; try build(resnet_spec(18))")


def _check_option(option: str) -> None:
    if option not in ("A", "B"):
        raise ValueError(f'option is "A" (zero channels) or "B" (projection), not {option!r}')


def _resnet(spec: ResNetSpec) -> list[nn.Module]:
    _check_option(spec.option)
    channels = spec.widths[0]
    rows = _stem(spec.stem, channels)
    for stage, (count, width) in enumerate(zip(spec.blocks, spec.widths, strict=True)):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            rows.append(_residual(channels, width, stride, spec))
            channels = 4 * width if spec.bottleneck else width
    return [*rows, *_head(channels, spec.classes)]


def _residual(inward: int, width: int, stride: int, spec: ResNetSpec) -> Residual:
    relu = nn.ReLU()
    if spec.bottleneck:
        out = 4 * width
        branch = [*_conv_norm(inward, width, 1), relu, *_conv_norm(width, width, 3, stride), relu]
        branch += _conv_norm(width, out, 1)
    else:
        out = width
        branch = [*_conv_norm(inward, width, 3, stride), relu, *_conv_norm(width, width, 3)]
    if stride == 1 and inward == out:
        shortcut = nn.Identity()
    elif spec.option == "A":
        # every stride-th pixel, then zeros behind the channels: to ZeroPad3d they are a depth
        shortcut = nn.Sequential(nn.MaxPool2d(1, stride), nn.ZeroPad3d((0, 0, 0, 0, 0, out - inward)))
    else:
        shortcut = nn.Sequential(*_conv_norm(inward, out, 1, stride))
    return Residual(nn.Sequential(*branch), shortcut)


def _densenet(spec: DenseNetSpec) -> list[nn.Module]:
    channels = spec.stem_channels
    rows = _stem(spec.stem, channels, norm=spec.stem == "imagenet")
    for block, count in enumerate(spec.layers):
        if block > 0:
            out = int(spec.compression * channels)
            rows += [*_norm_conv(channels, out, 1), nn.AvgPool2d(2)]
            channels = out
        for _ in range(count):
            inner = 4 * spec.growth if spec.bottleneck else channels
            branch = _norm_conv(channels, inner, 1) if spec.bottleneck else []
            rows.append(Append(nn.Sequential(*branch, *_norm_conv(inner, spec.growth, 3))))
            channels += spec.growth
    return [*rows, nn.BatchNorm2d(channels), nn.ReLU(), *_head(channels, spec.classes)]


def _conv(inward: int, out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inward, out, size, stride=stride, padding=size // 2, bias=False)


def _conv_norm(inward: int, out: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [_conv(inward, out, size, stride), nn.BatchNorm2d(out)]


def _norm_conv(inward: int, out: int, size: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(inward), nn.ReLU(), _conv(inward, out, size)]


def _stem(kind: str, channels: int, norm: bool = True) -> list[nn.Module]:
    if kind not in ("imagenet", "cifar"):
        raise ValueError(f'stem is "imagenet" or "cifar", not {kind!r}')
    first = _conv(3, channels, 7, 2) if kind == "imagenet" else _conv(3, channels, 3)
    rows = [first, nn.BatchNorm2d(channels), nn.ReLU()] if norm else [first]
    return [*rows, nn.MaxPool2d(3, 2, padding=1)] if kind == "imagenet" else rows


def _head(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def parameter_count(network: nn.Module) -> int:
    """Count the trainable numbers of a module, on any device (also "meta").

    Args:
        network: any module.

    Returns:
        How many numbers its parameters hold; running means and variances are not parameters.
    """
    return sum(p.numel() for p in network.parameters())


def multiply_accumulates(network: nn.Module, size: int | tuple[int, ...]) -> int:
    """Count the multiply-accumulates of convolutions and linear layers in one forward pass.

    Args:
        network: from `build`; on the device "meta" nothing is computed or allocated.
        size: side of one RGB image in pixels, or the shape of a whole batch.

    Returns:
        Multiply-accumulates, half of torch's count of floating-point operations.
    """
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(_batch(network, size))
    return counter.get_total_flops() // 2


def activation_bytes(network: nn.Module, size: int | tuple[int, ...]) -> int:
    """Count the bytes that one forward pass keeps for the backward pass, parameters and buffers left out.

    Args:
        network: in the mode to be measured, best on the device "meta": off it, a pass in training mode
            updates batch norm's running statistics.
        size: side of one RGB image in pixels, or the shape of a whole batch.

    Returns:
        Bytes of all tensors that autograd holds, those that share memory counted once.
    """
    own = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(_batch(network, size))
    return sum(storage.nbytes() for key, storage in kept.items() if key not in own)


def concatenation_bytes(network: nn.Module, size: int | tuple[int, ...]) -> int:
    """Count the bytes that `torch.cat` allocates in one forward pass.

    Args:
        network: any module.
        size: side of one RGB image in pixels, or the shape of a whole batch.

    Returns:
        Bytes of the outputs of all concatenations.
    """
    with evaluating(network), _Concatenations() as watch:
        network(_batch(network, size))
    return watch.bytes


class _Concatenations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        output = operation(*args, **(kwargs or {}))
        if operation is torch.ops.aten.cat.default:
            self.bytes += output.nbytes
        return output


def _batch(network: nn.Module, size: int | tuple[int, ...]) -> Tensor:
    shape = (1, 3, size, size) if isinstance(size, int) else size
    device = next((p.device for p in network.parameters()), torch.device("meta"))
    return torch.zeros(shape, device=device)
