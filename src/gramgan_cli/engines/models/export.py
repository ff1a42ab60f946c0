"""Weights for other tools: safetensors under BasicSR's names, and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gramgan_cli.core.errors import ModelUnsupported, TargetExists, UsageError
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import save_weights
from gramgan_cli.core.weights.layouts import basicsr_names
from gramgan_cli.core.weights.load import LoadedModel, load_model

FORMATS = ("safetensors", "onnx")

USUAL_GC = 32
"""The growth channels that other tools build every RRDBNet with."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a model is written."""

    file_format: str | None = None
    """'safetensors' or 'onnx'; by the file's suffix where None, safetensors without one."""
    overwrite: bool = False
    """Replace an existing file."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Of the stored weights; ONNX files compute in it, too."""
    opset: int | None = None
    """Version of ONNX's operators; None takes the default."""


def export(
    name: str, output: Path, options: ExportOptions, on_note: Callable[[str], None] = lambda _text: None
) -> Path:
    """Write the model ``name`` (or weights file) to ``output``.

    Args:
        name: a model of the store, or a weights file.
        output: the file to write.
        options: how.
        on_note: called with what the user should know of the file.

    Raises:
        TargetExists: ``output`` is there and may not be replaced.
        ModelUnsupported: the format can't express the network.
    """
    file_format = options.file_format or (output.suffix.lstrip(".").lower() or FORMATS[0])
    if file_format not in FORMATS:
        raise UsageError(f"'{file_format}' is not a format of weights.", f"There are: {', '.join(FORMATS)}.")
    if options.opset is not None and file_format != "onnx":
        raise UsageError("Only ONNX files have an opset.")
    if output.exists() and not options.overwrite:
        raise TargetExists(f"{output} exists already.")
    model, half = load_model(name), options.precision == "fp16"
    if file_format == "onnx":
        from gramgan_cli.core.backends.onnx_file import OPSET, write_onnx

        write_onnx(model, output, options.opset or OPSET, half, on_note=on_note)
    else:
        export_safetensors(model, output, half)
        _say_where_it_loads(model, on_note)
    return output


def export_safetensors(model: LoadedModel, output: Path, half: bool = False) -> None:
    """BasicSR's names with gramgan's header: other tools load it, and ``gramgan models import`` as well.

    Args:
        model: any but the RRDBNet with PixelShuffle.
        output: the file to write.
        half: store float16.

    Raises:
        ModelUnsupported: no other tool's layout can express the network.
    """
    if model.header.arch == "rrdbnet" and model.header.hyperparameters.get("upsampler") != "nearest":
        raise ModelUnsupported(
            f"'{model.name}' is an RRDBNet with PixelShuffle, which no other tool's layout can express.",
            "Export it as ONNX.",
        )
    network = model.network.network if isinstance(model.network, interop.SpandrelNetwork) else model.network
    tensors = basicsr_names(model.header.arch, network.state_dict())
    if half:
        tensors = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    save_weights(output, tensors, model.header)


def _say_where_it_loads(model: LoadedModel, on_note: Callable[[str], None]) -> None:
    """Other tools build every RRDBNet with 32 growth channels, and none reads x3 from a file."""
    gc = model.header.hyperparameters.get("gc", USUAL_GC)
    if model.header.arch == "rrdbnet" and gc != USUAL_GC:
        on_note(
            f"This RRDBNet has {gc} growth channels. gramgan loads the file; BasicSR loads it where num_grow_ch = {gc} "
            f"is set; ComfyUI, chaiNNer and other tools expect {USUAL_GC} and refuse it."
        )
    if model.header.arch == "rrdbnet" and model.header.scale == 3:
        on_note("This RRDBNet enlarges by 3. gramgan loads the file; other tools take it for x2: export ONNX for them.")
