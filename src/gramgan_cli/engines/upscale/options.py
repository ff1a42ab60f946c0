"""Options of an upscaling run: one object from the command or Python call to the worker."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from gramgan_cli.core.errors import UsageError, check_choice, check_number
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.core.weights.mixing import square

TileChoice = int | Literal["auto"]
PrecisionChoice = Literal["auto", "fp32", "fp16", "bf16"]
BackendChoice = Literal["auto", "torch", "ncnn", "openvino", "onnx"]

TEMPLATE = "{stem}_x{scale}"
"""Default template of results' file names."""

REFERENCE_MODEL = "ttsr"
"""Model used if only a reference is given."""


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """How pictures are upscaled and existing results are treated."""

    model: str = field(default_factory=square.chosen_model)
    """Name in the store, weights file, mixture (``a+b@0.5``), interpolation (``lanczos``) or ``auto@STYLE``."""
    reference: Path | None = None
    """Photo to take texture from; only for models trained with references."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``xpu`` or ``mps``."""
    backend: BackendChoice = "auto"
    """Library that runs the network; ``auto`` is the fastest that is installed."""
    precision: PrecisionChoice = "auto"
    """``auto`` is fp16 for 8-bit pictures on CUDA, else fp32."""
    tile: TileChoice = "auto"
    """Tile side in input pixels; 0 is the whole picture, ``auto`` fits the memory."""
    tta: bool = False
    """Average over the eight flips and rotations of the picture."""
    seamless: bool = False
    """Treat the picture as periodic: edges wrap around, also in a final resize."""
    max_memory: int | None = None
    """Memory limit of the whole process in bytes; None for no limit."""
    format: FormatChoice = "default"
    """``default`` keeps JPEG and WebP; everything else becomes PNG, or TIFF where PNG can't hold it."""
    quality: int | None = None
    """Quality of lossy formats, 1 to 100. None is 95, and lossless WebP for losslessly stored pictures."""
    size: SizeChoice = field(default_factory=SizeChoice)
    """Size of the result; by default the model's scale."""
    template: str = TEMPLATE
    """File name of results without the ending. Fields: stem, scale, model, ext."""
    recursive: bool = False
    """Search subfolders."""
    overwrite: bool = False
    """Replace existing results."""
    skip_existing: bool = False
    """Leave existing results unchanged."""
    allow_truncated: bool = False
    """Use the readable part of damaged files."""

    def __post_init__(self) -> None:
        check_choice("backend", self.backend, get_args(BackendChoice))
        check_choice("precision", self.precision, get_args(PrecisionChoice))
        check_choice("format", self.format, get_args(FormatChoice))
        if self.tile != "auto":
            check_number("tile", self.tile, 0)
        if self.quality is not None:
            check_number("quality", self.quality, 1, 100)
        if self.max_memory is not None:
            check_number("max_memory", self.max_memory, 1)

    def described(self, restoration: str | None = None) -> str:
        """The options that affect a result's pixels or file, besides the model, as JSON for records and marks.

        ``restoration`` is the checksum of the weights that clean photos first; marks have it apart.
        """
        names = ["format", "quality", "size", "allow_truncated", "precision", "tta", "seamless", "backend"]
        every = asdict(self)
        facts = {name: every[name] for name in names}
        if self.reference is not None:
            facts["reference"] = hashlib.sha256(self.reference.read_bytes()).hexdigest()
        if restoration is not None:
            facts["restoration"] = restoration
        return json.dumps(facts, sort_keys=True)


def chosen_model(
    model: str | None, denoise: square.DenoiseChoice | None, style: float | None, reference: Path | None
) -> str:
    """Resolve the model from a name, denoise and style amounts, or a reference; the default model if all are None.

    Args:
        model: name or file.
        denoise: 0 (clean photos) to 1 (damaged photos), or ``auto`` to estimate it per photo.
        style: 0 (accurate) to 1 (rich in texture).
        reference: photo to take texture from.

    Raises:
        UsageError: an amount was given together with a reference or a model that has none.
    """
    if reference is None:
        return square.chosen_model(model, denoise, style)
    if denoise is not None or style is not None:
        raise UsageError(
            "`denoise` and `style` choose a model that takes no reference.",
            "Leave out `reference`, or `denoise` and `style`.",
        )
    return model or REFERENCE_MODEL
