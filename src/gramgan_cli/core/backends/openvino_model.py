"""Conversion of a network to an OpenVINO model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gramgan_cli.core.backends.layers import Layer
from gramgan_cli.core.backends.without_telemetry import import_openvino

if TYPE_CHECKING:
    import openvino


def write_openvino(layers: Sequence[Layer], path: Path) -> None:
    """Write the model to ``path``, which ends in .xml, and its float32 weights to a .bin file beside it."""
    import_openvino().save_model(openvino_model(layers), path, compress_to_fp16=False)


def openvino_model(layers: Sequence[Layer]) -> openvino.Model:
    """Return a model that takes RGB (1, 3, h, w) of any size in float32."""
    openvino = import_openvino()
    ops = openvino.opset13
    results: dict[str, Any] = {}
    for layer in layers:
        results[layer.name] = _node(layer, results, ops)
    inputs = [results[layer.name] for layer in layers if layer.kind == "input"]
    return openvino.Model([results[layers[-1].name]], inputs, "network")


def _node(layer: Layer, results: Mapping[str, Any], ops: Any) -> Any:
    """Build one operation; see docs.openvino.ai, "Available operations sets", opset13."""
    inputs = [results[source] for source in layer.inputs]
    tensors = [ops.constant(tensor.float().numpy()) for tensor in layer.tensors]
    match layer.kind:
        case "input":
            return ops.parameter([1, 3, -1, -1], np.float32, "image")
        case "constant":
            return tensors[0]
        case "convolution":
            padding = list(layer.padding)
            convolved = ops.convolution(inputs[0], tensors[0], [1, 1], padding, padding, [1, 1])
            return ops.add(convolved, ops.constant(layer.tensors[1].float().numpy().reshape(1, -1, 1, 1)))
        case "prelu":
            return ops.prelu(inputs[0], tensors[0])
        case "leaky_relu":
            return ops.prelu(inputs[0], ops.constant(np.array([layer.number], np.float32)))
        case "tanh":
            return ops.tanh(inputs[0])
        case "concatenate":
            return ops.concat(inputs, 1)
        case "pixel_shuffle":
            return ops.depth_to_space(inputs[0], "depth_first", int(layer.number))
        case "pixel_unshuffle":
            return ops.space_to_depth(inputs[0], "depth_first", int(layer.number))
        case "enlarge":
            factors = ops.constant(np.full(2, layer.number, np.float32))
            return ops.interpolate(
                inputs[0],
                factors,
                "nearest",
                "scales",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
                axes=ops.constant(np.array([2, 3], np.int64)),
            )
        case "add" | "subtract" | "multiply" | "divide":
            number = [ops.constant(np.array(layer.number, np.float32))] if len(inputs) == 1 else []
            operands = [*number, *inputs] if layer.number_first else [*inputs, *number]
            return getattr(ops, layer.kind)(*operands)
