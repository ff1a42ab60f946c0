"""A network as a flat list of layers, from which other runtimes' graphs are built.

Only layers of super-resolution networks are supported. Batch norms and constant factors are folded into the preceding
convolution.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from gramgan_cli.core.errors import NotConvertible

Kind = Literal[
    "input",
    "constant",
    "convolution",
    "prelu",
    "leaky_relu",
    "tanh",
    "concatenate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "enlarge",
    "add",
    "subtract",
    "multiply",
    "divide",
]

ARITHMETIC: dict[Any, Kind] = {
    operator.add: "add",
    operator.sub: "subtract",
    operator.mul: "multiply",
    operator.truediv: "divide",
}


@dataclass(frozen=True)
class Layer:
    """One operation on an image (1, C, h, w)."""

    kind: Kind
    name: str
    """Unique name, by which other layers refer to the result."""
    inputs: tuple[str, ...] = ()
    """Names of the layers whose results it takes."""
    number: float = 0.0
    """leaky_relu: slope. Shuffles and enlarge (nearest neighbour): factor. Arithmetic with one input: the other
    operand."""
    number_first: bool = False
    """Whether the number is the left operand."""
    padding: tuple[int, int] = (0, 0)
    """convolution: zero padding (top and bottom, left and right)."""
    tensors: tuple[Tensor, ...] = field(default=(), compare=False)
    """convolution: weight (out, in, kh, kw) and bias (out,). prelu: slopes (C,). constant: (1, C, h, w)."""


def layers_of(network: nn.Module) -> list[Layer]:
    """Return the layers of a network in evaluation mode, in execution order. The last one gives the network's output.

    Raises NotConvertible for unsupported operations.
    """
    try:
        graph = fx.symbolic_trace(network)
    except Exception as error:  # tracing runs the network's own code on proxies, which may raise anything
        raise _unknown(" ".join(str(error).split())[:200]) from error
    layers = [layer for node in graph.graph.nodes if node.op != "output" for layer in _layers(graph, node)]
    return _folded(layers)


def _unknown(what: str) -> NotConvertible:
    return NotConvertible(f"The network can't be converted: {what}.")


def _layers(graph: fx.GraphModule, node: fx.Node) -> list[Layer]:
    """Convert one node of the traced graph; the last layer has its name."""
    inputs = tuple(source.name for source in _sources(node.args))
    if node.op == "placeholder":
        return [Layer("input", node.name)]
    if node.op == "get_attr":
        return [Layer("constant", node.name, tensors=(operator.attrgetter(str(node.target))(graph).detach(),))]
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        return _reshaping(node.name, inputs, module) or [_module(node.name, inputs, module)]
    if node.op == "call_function":
        return [_function(node, inputs)]
    raise _unknown(f"it calls {node.target}")


def _reshaping(name: str, inputs: tuple[str, ...], module: nn.Module) -> list[Layer]:
    """Convert a convolution or transposed convolution whose kernel is as large as its stride; others give no layers.

    Its windows don't overlap, so it is a 1x1 convolution on pixels that are rearranged into channels (Shi et al. 2016).
    """
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or module.kernel_size != module.stride:
        return []
    factor = module.stride[0]
    plain = module.padding == module.output_padding == (0, 0) and module.dilation == (1, 1) and module.groups == 1
    if not plain or module.stride != (factor, factor) or factor == 1:
        return []
    bias = module.bias.detach() if module.bias is not None else torch.zeros(module.out_channels)
    weight = module.weight.detach()
    if isinstance(module, nn.Conv2d):
        kernel = weight.flatten(1)[:, :, None, None]
        moved = Layer("pixel_unshuffle", f"{name}_pixels", inputs, factor)
        return [moved, Layer("convolution", name, (moved.name,), tensors=(kernel, bias))]
    kernel = weight.permute(1, 2, 3, 0).flatten(0, 2)[:, :, None, None]
    mixed = Layer("convolution", f"{name}_channels", inputs, tensors=(kernel, bias.repeat_interleave(factor**2)))
    return [mixed, Layer("pixel_shuffle", name, (mixed.name,), factor)]


def _module(name: str, inputs: tuple[str, ...], module: nn.Module) -> Layer:
    """Convert a module. A batch norm becomes a 1x1 convolution per channel, which is folded later."""
    if isinstance(module, nn.Conv2d):
        plain = module.stride == module.dilation == (1, 1) and module.groups == 1 and module.padding_mode == "zeros"
        if not plain or isinstance(module.padding, str):
            raise _unknown(f"its convolution {name} has strides, groups or a padding other than zeros")
        bias = module.bias if module.bias is not None else torch.zeros(module.out_channels)
        top, left = module.padding
        return Layer("convolution", name, inputs, padding=(top, left), tensors=(module.weight.detach(), bias.detach()))
    if isinstance(module, nn.BatchNorm2d) and module.running_var is not None and module.running_mean is not None:
        factor = module.weight.detach() / (module.running_var + module.eps).sqrt()
        shift = module.bias.detach() - module.running_mean * factor
        return Layer("convolution", name, inputs, tensors=(factor, shift))
    if isinstance(module, nn.PReLU):
        return Layer("prelu", name, inputs, tensors=(module.weight.detach(),))
    if isinstance(module, nn.ReLU):
        return Layer("leaky_relu", name, inputs, 0.0)
    if isinstance(module, nn.LeakyReLU):
        return Layer("leaky_relu", name, inputs, module.negative_slope)
    raise _unknown(f"it contains a {type(module).__name__}")


def _function(node: fx.Node, inputs: tuple[str, ...]) -> Layer:
    """Convert a function call."""
    target: Any = node.target
    if target in ARITHMETIC:
        numbers = [value for value in node.args if isinstance(value, int | float)]
        first = bool(numbers) and node.args[0] is numbers[0]
        return Layer(ARITHMETIC[target], node.name, inputs, numbers[0] if numbers else 0.0, first)
    if target is torch.cat and _argument(node, 1, "dim") == 1:
        return Layer("concatenate", node.name, inputs)
    if target is torch.tanh:
        return Layer("tanh", node.name, inputs)
    if target is F.leaky_relu:
        return Layer("leaky_relu", node.name, inputs, _argument(node, 1, "negative_slope"))
    if target is F.pixel_shuffle:
        return Layer("pixel_shuffle", node.name, inputs, _argument(node, 1, "upscale_factor"))
    if target is F.pixel_unshuffle:
        return Layer("pixel_unshuffle", node.name, inputs, _argument(node, 1, "downscale_factor"))
    if target is F.interpolate and _argument(node, 3, "mode") == "nearest" and _argument(node, 2, "scale_factor"):
        return Layer("enlarge", node.name, inputs, _argument(node, 2, "scale_factor"))
    raise _unknown(f"it calls {getattr(target, '__name__', target)} in an unsupported way")


def _sources(arguments: Any) -> Iterator[fx.Node]:
    """Yield the nodes among nested arguments, in order, with repetitions."""
    if isinstance(arguments, fx.Node):
        yield arguments
    elif isinstance(arguments, list | tuple):
        for argument in arguments:
            yield from _sources(argument)


def _argument(node: fx.Node, index: int, name: str) -> Any:
    """Return an argument of a call, whether passed by position or by keyword."""
    return node.args[index] if len(node.args) > index else node.kwargs.get(name)


def _folded(layers: list[Layer]) -> list[Layer]:
    """Fold batch norms and constant factors into the preceding convolution, if nothing else uses its output."""
    uses = Counter(source for layer in layers for source in layer.inputs)
    made: dict[str, Layer] = {}
    renamed: dict[str, str] = {}
    for layer in layers:
        layer = replace(layer, inputs=tuple(renamed.get(source, source) for source in layer.inputs))
        before = made.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        norm = layer.kind == "convolution" and layer.tensors[0].dim() == 1
        scaled = layer.kind == "multiply" and len(layer.inputs) == 1
        if before is not None and before.kind == "convolution" and uses[before.name] == 1 and (norm or scaled):
            weight, bias = before.tensors
            factor = layer.tensors[0] if norm else torch.full_like(bias, layer.number)
            shift = layer.tensors[1] if norm else torch.zeros_like(bias)
            tensors = (weight * factor[:, None, None, None], bias * factor + shift)
            made[before.name] = replace(before, tensors=tensors)
            renamed[layer.name] = before.name
            uses[before.name] = uses[layer.name]
        elif norm:
            raise _unknown(f"its batch norm {layer.name} does not follow a convolution")
        else:
            made[layer.name] = layer
    return list(made.values())
