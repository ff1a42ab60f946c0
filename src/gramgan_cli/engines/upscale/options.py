"""What a user asks of an upscaling run: one object from the command or the Python call to the worker."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.core.weights.mixing import square

TileChoice = int | Literal["auto"]
PrecisionChoice = Literal["auto", "fp32", "fp16", "bf16"]
BackendChoice = Literal["auto", "torch", "ncnn", "openvino", "onnx"]

TEMPLATE = "{stem}_x{scale}"
"""Names of results, where the user chooses no other."""

REFERENCE_MODEL = "ttsr"
"""The model that is used where only a reference is named."""


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """Everything that decides how pictures are upscaled, and what happens to results that exist."""

    model: str = field(default_factory=square.chosen_model)
    """A name in the store, a weights file, a mixture (``a+b@0.5``), an interpolation (``lanczos``), ``auto@STYLE``."""
    reference: Path | None = None
    """A photo to take texture from, for models that were trained for it."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``xpu`` or ``mps``."""
    backend: BackendChoice = "auto"
    """What runs the network; ``auto`` takes the fastest that is installed."""
    precision: PrecisionChoice = "auto"
    """``auto`` is fp16 for 8-bit pictures on CUDA, else fp32."""
    tile: TileChoice = "auto"
    """Side of a tile in input pixels; 0 is the whole picture, ``auto`` what memory allows."""
    tta: bool = False
    """Average over eight flips and turns."""
    seamless: bool = False
    """Edges wrap around, also where the result is brought to another size."""
    max_memory: int | None = None
    """Bytes that the whole process should stay below."""
    format: FormatChoice = "default"
    """``default`` is PNG for what was stored losslessly; JPEG and WebP stay what they are."""
    quality: int | None = None
    """1 to 100, for lossy formats; None: 95, and lossless WebP for what was stored losslessly."""
    size: SizeChoice = field(default_factory=SizeChoice)
    """The result's size; the model's own scale where nothing is set."""
    template: str = TEMPLATE
    """File name of results without the ending; fields: stem, scale, model, ext."""
    recursive: bool = False
    """Search folders inside folders."""
    overwrite: bool = False
    """Replace results that exist."""
    skip_existing: bool = False
    """Leave results that exist as they are."""
    allow_truncated: bool = False
    """Use what can be read of damaged files."""

    def described(self) -> str:
        """What decides how a result looks besides the model and the picture, as JSON: for records and marks."""
        names = ["format", "quality", "size", "allow_truncated", "precision", "tta", "seamless", "backend"]
        every = asdict(self)
        facts = {name: every[name] for name in names}
        if self.reference is not None:
            facts["reference"] = hashlib.sha256(self.reference.read_bytes()).hexdigest()
        return json.dumps(facts, sort_keys=True)


def chosen_model(
    model: str | None, denoise: square.DenoiseChoice | None, style: float | None, reference: Path | None
) -> str:
    """The model that a user means by a name, by amounts or by a reference; what is used where none of them is given.

    Args:
        model: a name or file.
        denoise: 0 (clean photos) to 1 (damaged ones), or ``auto``: what each photo looks to need.
        style: 0 (right on average) to 1 (rich in texture).
        reference: a photo to take texture from.

    Raises:
        UsageError: an amount beside a model that it does not go with, or beside a reference.
    """
    if reference is None:
        return square.chosen_model(model, denoise, style)
    if denoise is not None or style is not None:
        raise UsageError("--denoise and --style choose the model themselves.", "Leave out --ref, or them.")
    return model or REFERENCE_MODEL
