"""Exporting weights for other tools: safetensors with BasicSR's names, and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gramgan_cli.core.errors import ModelUnsupported, UsageError
from gramgan_cli.core.io.files import check_target
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.header import save_weights
from gramgan_cli.core.weights.layouts import basicsr_names
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.core.weights.mixing.square import cleaning_of

FORMATS = ("safetensors", "onnx")

USUAL_GC = 32
"""Growth channels that other tools assume for every RRDBNet."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of ``export``."""

    file_format: str | None = None
    """'safetensors' or 'onnx'; None means by the file's suffix, or safetensors without a suffix."""
    overwrite: bool = False
    """Replace an existing file."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Precision of the stored weights; ONNX files also compute in it."""
    opset: int | None = None
    """ONNX operator set version; None means the default."""


def export(
    name: str, output: Path, options: ExportOptions, on_note: Callable[[str], None] = lambda _text: None
) -> Path:
    """Export a model to ``output``.

    Args:
        name: model in the store, or weights file.
        output: file to write.
        options: format, precision and opset.
        on_note: called with messages about which tools can load the file.

    Raises:
        TargetExists: ``output`` exists and ``options.overwrite`` is not set.
        ModelUnsupported: the format can't express the network.
    """
    file_format = options.file_format or (output.suffix.lstrip(".").lower() or FORMATS[0])
    if file_format not in FORMATS:
        raise UsageError(f"'{file_format}' is not a format of weights.", f"Available: {', '.join(FORMATS)}.")
    if output.suffix.lower() != f".{file_format}" and output.suffix.lower().lstrip(".") in FORMATS:
        raise UsageError(f"{output} is not a name for {file_format}.", f"Use {output.with_suffix('.' + file_format)}.")
    if options.opset is not None and file_format != "onnx":
        raise UsageError("Only ONNX files have an opset.")
    check_target(output, options.overwrite)
    model, half = load_model(name), options.precision == "fp16"
    if file_format == "onnx":
        from gramgan_cli.core.backends.onnx_file import OPSET, write_onnx

        write_onnx(model, output, options.opset or OPSET, half, on_note=on_note)
    else:
        export_safetensors(model, output, half)
        _note_where_it_loads(model, on_note)
    if cleaning_of(name):
        on_note(f"`gramgan upscale` cleans photos with '{RESTORE}' before this model: export that one too.")
    return output


def export_safetensors(model: LoadedModel, output: Path, half: bool = False) -> None:
    """Write weights with BasicSR's names and gramgan's header, for other tools and ``gramgan models import``.

    Args:
        model: any model but an RRDBNet with PixelShuffle.
        output: file to write.
        half: store weights as float16.

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


def _note_where_it_loads(model: LoadedModel, on_note: Callable[[str], None]) -> None:
    """Report which tools can't load the file: they assume 32 growth channels, and none detects x3."""
    gc = model.header.hyperparameters.get("gc", USUAL_GC)
    if model.header.arch == "rrdbnet" and gc != USUAL_GC:
        on_note(
            f"This RRDBNet has {gc} growth channels. gramgan can load the file; BasicSR can if num_grow_ch = {gc} "
            f"is set; ComfyUI, chaiNNer and other tools expect {USUAL_GC} and refuse it."
        )
    if model.header.arch == "rrdbnet" and model.header.scale == 3:
        on_note(
            "This RRDBNet enlarges by 3. gramgan can load the file, but other tools take it for x2: use ONNX there."
        )
