"""ncnn's two files for a network: the graph as text, and the concatenated weights.

Format: ncnn's documentation, developer-guide/param-and-model-file-structure.md and operators.md.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from gramgan_cli.core.backends.layers import Layer
from gramgan_cli.core.io.files import replacing

MAGIC = 7767517
INPUT, OUTPUT = "data", "output"
"""Names of the input and output blobs; other programs that use ncnn expect these."""

OPERATORS = {"add": 0, "subtract": 1, "multiply": 2, "divide": 3}
NUMBER_FIRST = {"subtract": 7, "divide": 8}
"""Operation types of BinaryOp, and those with reversed operands."""


def ncnn_files(layers: Sequence[Layer]) -> tuple[str, bytes]:
    """Return the ``.param`` text and ``.bin`` content; the input is 'data' (3, h, w), the output 'output'."""
    uses = Counter(source for layer in layers for source in layer.inputs)
    names: dict[str, deque[str]] = {}
    lines: list[str] = []
    for layer in layers:
        kind, parameters = _kind(layer)
        bottoms = [names[source].popleft() for source in layer.inputs]
        last = layer is layers[-1]
        blob = INPUT if layer.kind == "input" else OUTPUT if last else layer.name
        lines.append(_line(kind, blob, bottoms, [blob], parameters))
        names[layer.name] = deque([blob])
        if uses[layer.name] > 1:  # layers work in place, so each consumer needs its own blob
            copies = [f"{blob}.{number}" for number in range(uses[layer.name])]
            lines.append(_line("Split", f"{blob}.split", [blob], copies, ()))
            names[layer.name] = deque(copies)
    blobs = sum(int(line.split()[3]) for line in lines)
    text = f"{MAGIC}\n{len(lines)} {blobs}\n" + "".join(line + "\n" for line in lines)
    return text, b"".join(_weights(layer) for layer in layers)


def write_ncnn(layers: Sequence[Layer], param: Path) -> None:
    """Write the text to ``param``, which ends in .param, and the weights to a .bin file beside it."""
    text, weights = ncnn_files(layers)
    with replacing(param.with_suffix(".bin")) as temporary:
        temporary.write_bytes(weights)
    with replacing(param) as temporary:
        temporary.write_text(text, encoding="ascii")


def _line(kind: str, name: str, bottoms: Sequence[str], tops: Sequence[str], parameters: Sequence[str]) -> str:
    return " ".join((kind, name, str(len(bottoms)), str(len(tops)), *bottoms, *tops, *parameters))


def _kind(layer: Layer) -> tuple[str, Sequence[str]]:
    """Return ncnn's name of the layer type, and its parameters ``id=value``."""
    match layer.kind:
        case "input":
            return "Input", ()
        case "constant":
            _, channels, height, width = layer.tensors[0].shape
            return "MemoryData", (f"0={width}", f"1={height}", f"2={channels}")
        case "convolution":
            weight, (top, left) = layer.tensors[0], layer.padding
            out, _, height, width = weight.shape
            sizes = (f"0={out}", f"1={width}", f"11={height}", f"4={left}", f"14={top}")
            return "Convolution", (*sizes, "5=1", f"6={weight.numel()}")
        case "prelu":
            return "PReLU", (f"0={layer.tensors[0].numel()}",)
        case "leaky_relu":
            return "ReLU", (f"0={layer.number:.9g}",)
        case "tanh":
            return "TanH", ()
        case "concatenate":
            return "Concat", ("0=0",)
        case "pixel_shuffle":
            return "PixelShuffle", (f"0={layer.number:.0f}",)
        case "pixel_unshuffle":
            return "Reorg", (f"0={layer.number:.0f}", "1=0")
        case "enlarge":
            return "Interp", ("0=1", f"1={layer.number:.9g}", f"2={layer.number:.9g}")
        case "add" | "subtract" | "multiply" | "divide":
            if len(layer.inputs) == 2:
                return "BinaryOp", (f"0={OPERATORS[layer.kind]}",)
            reversed_ = NUMBER_FIRST.get(layer.kind) if layer.number_first else None
            return "BinaryOp", (f"0={reversed_ or OPERATORS[layer.kind]}", "1=1", f"2={layer.number:.9g}")


def _weights(layer: Layer) -> bytes:
    """Return the layer's weights. Those of a convolution start with a flag word: 0 for plain float32."""
    numbers = b"".join(_bytes(tensor) for tensor in layer.tensors)
    return bytes(4) + numbers if layer.kind == "convolution" else numbers


def _bytes(tensor: Tensor) -> bytes:
    return tensor.float().contiguous().numpy().astype(np.dtype("<f4")).tobytes()
