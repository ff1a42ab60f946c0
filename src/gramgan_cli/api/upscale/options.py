"""Keyword arguments of the Python functions as the options that the engines take."""

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
    """What decides how arrays are enlarged. Every default is that of ``gramgan upscale``."""

    denoise: DenoiseChoice
    """0: the photo is clean, 1: noise, blur and blocks are taken away, ``"auto"``: by what each photo looks like.
    Chooses the model."""
    style: float
    """0: right on average, 1: crisp and rich in texture, partly invented; chooses the model."""
    reference: AnyPath
    """A photo to take texture from, for models that were trained for it."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``xpu`` or ``mps``."""
    backend: BackendChoice
    """What runs the network: ``auto``, ``torch``, ``ncnn``, ``openvino`` or ``onnx``."""
    precision: PrecisionChoice
    """``auto``, ``fp32``, ``fp16`` or ``bf16``."""
    tile: TileChoice
    """Side of a tile in input pixels; 0: the whole picture; ``auto``."""
    tta: bool
    """Average over eight flips and turns."""
    seamless: bool
    """Edges wrap around."""
    max_memory: int
    """Bytes that the whole process should stay below."""


class UpscaleArguments(ModelArguments, total=False):
    """What decides how files are upscaled, beside the model's arguments."""

    model: str
    """A name in the store, a weights file, a mixture (``a+b@0.5``) or an interpolation (``lanczos``)."""
    format: FormatChoice
    """Format of results: ``png``, ``jpg``, ``webp``, ``tiff``, ``avif``, ``same`` or ``default``."""
    quality: int
    """1 to 100, for lossy formats."""
    outscale: float
    """Final factor, such as 2.5."""
    width: int
    """Final width in pixels."""
    height: int
    """Final height in pixels."""
    fit: tuple[int, int]
    """(width, height) of a box to fit into."""
    template: str
    """Names of results."""
    recursive: bool
    """Folders inside folders too."""
    overwrite: bool
    """Replace results that exist."""
    skip_existing: bool
    """Leave results that exist as they are."""
    allow_truncated: bool
    """Use what can be read of damaged files."""


def upscale_options(arguments: UpscaleArguments) -> UpscaleOptions:
    """The options that these arguments mean.

    Raises:
        UsageError: arguments that contradict each other.
        TypeError: an argument that does not exist.
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
    """Refuse arguments of which one would do nothing."""
    if arguments.get("overwrite") and arguments.get("skip_existing"):
        raise UsageError("overwrite and skip_existing contradict each other.", "Pass one of them.")
    sides = "width" in arguments or "height" in arguments
    if sum(("outscale" in arguments, sides, "fit" in arguments)) > 1:
        raise UsageError("outscale, width and height, and fit each decide the size.", "Pass one of them.")
    factor = arguments.get("outscale")
    if factor is not None and not 0 < factor <= 64:
        raise UsageError(f"The factor {factor:g} is not between 0 and 64.", "Pass a factor such as 2.5.")
