"""Keyword arguments of the Python API, converted to the engines' options."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from gramgan_cli.api.arguments import AnyPath, check_known
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.core.weights.mixing.square import DenoiseChoice
from gramgan_cli.engines.upscale.options import (
    BackendChoice,
    PrecisionChoice,
    TileChoice,
    UpscaleOptions,
    chosen_model,
)


class ModelArguments(TypedDict, total=False):
    """Keyword arguments of ``load``. Defaults are those of ``gramgan upscale``."""

    denoise: DenoiseChoice
    """Chooses the model: 0 for clean photos, 1 removes noise, blur and JPEG blocks, ``"auto"`` estimates it per
    photo."""
    style: float
    """Chooses the model: 0 is accurate, 1 is crisp and rich in texture, part of it invented."""
    reference: AnyPath
    """Photo to take texture from; only for models trained with references."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``xpu`` or ``mps``."""
    backend: BackendChoice
    """Library that runs the network: ``auto``, ``torch``, ``ncnn``, ``openvino`` or ``onnx``."""
    precision: PrecisionChoice
    """``auto``, ``fp32``, ``fp16`` or ``bf16``."""
    tile: TileChoice
    """Tile side in input pixels; 0 is the whole picture, ``auto`` fits the memory."""
    tta: bool
    """Average over the eight flips and rotations of the picture."""
    seamless: bool
    """Treat the picture as periodic: edges wrap around."""
    max_memory: int
    """Memory limit of the whole process in bytes."""


class UpscaleArguments(ModelArguments, total=False):
    """Keyword arguments of ``upscale`` and ``upscale_all``."""

    model: str
    """Name in the store, weights file, mixture (``a+b@0.5``) or interpolation (``lanczos``)."""
    format: FormatChoice
    """Format of results: ``png``, ``jpg``, ``webp``, ``tiff``, ``avif``, ``same`` or ``default``."""
    quality: int
    """Quality of lossy formats, 1 to 100."""
    outscale: float
    """Final factor, such as 2.5."""
    width: int
    """Final width in pixels."""
    height: int
    """Final height in pixels."""
    fit: tuple[int, int]
    """(width, height) in pixels of a box that the result is fitted into."""
    template: str
    """File name template of results; see ``--output-template``."""
    recursive: bool
    """Search subfolders."""
    overwrite: bool
    """Replace existing results."""
    skip_existing: bool
    """Leave existing results unchanged."""
    allow_truncated: bool
    """Use the readable part of damaged files."""


def upscale_options(arguments: UpscaleArguments) -> UpscaleOptions:
    """Convert keyword arguments to options.

    Raises:
        UsageError: arguments contradict each other.
        TypeError: an argument is unknown.
    """
    given = dict(arguments)
    check_known(given, UpscaleArguments)
    reference = Path(arguments["reference"]) if "reference" in arguments else None
    _check_contradictions(arguments)
    size = SizeChoice(*(given.pop(key, None) for key in ("outscale", "width", "height", "fit")))  # type: ignore[arg-type]
    model, denoise, style = (given.pop(key, None) for key in ("model", "denoise", "style"))
    chosen = chosen_model(model, denoise, style, reference)  # type: ignore[arg-type]
    given["reference"] = reference
    return UpscaleOptions(model=chosen, size=size, **given)  # type: ignore[arg-type]


def _check_contradictions(arguments: UpscaleArguments) -> None:
    """Raise UsageError for arguments that can't be combined, or a factor out of range."""
    if arguments.get("overwrite") and arguments.get("skip_existing"):
        raise UsageError("overwrite and skip_existing can't be combined.", "Pass one of them.")
    sides = "width" in arguments or "height" in arguments
    if sum(("outscale" in arguments, sides, "fit" in arguments)) > 1:
        raise UsageError(
            "outscale, width and height, and fit can't be combined: each sets the size.", "Pass one of them."
        )
    factor = arguments.get("outscale")
    if factor is not None and not 0 < factor <= 64:
        raise UsageError(f"The factor {factor:g} is not between 0 and 64.", "Pass a factor such as 2.5.")
