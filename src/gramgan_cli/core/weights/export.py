"""Weights for other tools: safetensors under BasicSR's names, and ONNX."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import KEY, save_weights
from gramgan_cli.core.weights.layouts import basicsr_names
from gramgan_cli.core.weights.load import LoadedModel, load_model

FORMATS = ("safetensors", "onnx")
OPSET = 18
TRACED_SIDE = 32
"""Side of the picture that the ONNX exporter traces the network with; a multiple of all size requirements."""


def export(name: str, output: Path, file_format: str | None, overwrite: bool) -> Path:
    """Write the model ``name`` (or weights file) to ``output``.

    Args:
        name: a model of the store, or a weights file.
        output: the file to write.
        file_format: 'safetensors' or 'onnx'; by ``output``'s suffix where None, safetensors without one.
        overwrite: replace an existing file.
    """
    file_format = file_format or (output.suffix.lstrip(".").lower() or FORMATS[0])
    if file_format not in FORMATS:
        raise UsageError(f"'{file_format}' is not a format of weights.", f"--format takes {' or '.join(FORMATS)}.")
    if output.exists() and not overwrite:
        raise GramganError(f"{output} exists already.", "Replace it with --overwrite.")
    model = load_model(name)
    (export_onnx if file_format == "onnx" else export_safetensors)(model, output)
    return output


def export_safetensors(model: LoadedModel, output: Path) -> None:
    """BasicSR's names, fp32, with gramgan's header: other tools load it, and ``gramgan models import`` as well.

    Raises GramganError for the PixelShuffle RRDBNet, which no other tool's layout can express.
    """
    if model.header.arch == "rrdbnet" and model.header.hyperparameters.get("upsampler") != "nearest":
        raise GramganError(
            f"'{model.name}' is an RRDBNet with PixelShuffle, which no other tool's layout can express.",
            "Export it with --format onnx.",
        )
    save_weights(output, basicsr_names(model.header.arch, _plain(model.network).state_dict()), model.header)


def export_onnx(model: LoadedModel, output: Path) -> None:
    """One ONNX file: input 'image' (batch, 3, height, width), output 'upscaled', RGB in [0, 1], any size.

    The header lies in the metadata under ``gramgan``. Needs the extra ``[onnx]``.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter works through it)
    except ModuleNotFoundError as error:
        raise GramganError("Writing ONNX needs more packages.", "pip install 'gramgan-cli[onnx]'") from error
    descriptor = model.descriptor
    if descriptor.needs_reference:
        raise GramganError(f"'{model.name}' takes a second picture as its reference, which can't be written as ONNX.")
    example = torch.rand(2, descriptor.in_channels, TRACED_SIDE, TRACED_SIDE)
    program = torch.onnx.export(
        _plain(model.network),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["upscaled"],
        dynamic_shapes=(_dynamic_sides(descriptor.multiple_of),),
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    proto.metadata_props.append(onnx.StringStringEntryProto(key=KEY, value=json.dumps(asdict(model.header))))
    with replacing(output) as temporary:
        onnx.save(proto, temporary)


def _plain(network: nn.Module) -> nn.Module:
    """The network itself, out of the wrapper that pads for networks from elsewhere."""
    return network.network if isinstance(network, interop.SpandrelNetwork) else network


def _dynamic_sides(multiple_of: int) -> dict[int, Any]:
    """Batch, height and width of (B, C, H, W) are free; sides stay multiples of what the network asks for."""
    if multiple_of == 1:
        return {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
    return {0: Dim("batch"), 2: multiple_of * Dim("rows"), 3: multiple_of * Dim("columns")}
