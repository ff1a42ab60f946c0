"""The model of a batch run, identical for all workers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize import baselines
from gramgan_cli.core.weights.automatic import automatic_header, automatic_sha256
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.square import automatic_style, cleaning_of
from gramgan_cli.engines.upscale.session import weights_content, weights_sha256


@dataclass(frozen=True)
class Weights:
    """A model for all workers of a run."""

    name: str
    scale: int
    content: bytes | None
    """Content of the weights file for nodes that may lack it; None if all nodes open the model by its name."""
    sha256: str | None
    header: WeightsHeader | None
    restoration: str | None = None
    """SHA-256 of the weights that clean photos before; None if the model doesn't clean them."""


def look_up(model: str) -> Weights:
    """Load a model's weights and checksum; for a mixture, those of the file that saving it would give."""
    if model in baselines.BASELINES:
        return Weights(model, baselines.SCALE, None, None, None)
    style = automatic_style(model)
    if style is not None:  # all nodes have the embedded models
        header = automatic_header(style)
        return Weights(model, header.scale, None, automatic_sha256(), header, _restoration_sha256())
    loaded = load_model(model)
    if loaded.descriptor.needs_reference:
        raise UsageError(f"The model '{model}' needs a reference image for every photo.", "Choose another `model`.")
    content = weights_content(model, loaded)
    checksum = hashlib.sha256(content).hexdigest()
    scale, header = loaded.descriptor.scale, loaded.header
    if cleaning_of(model):  # all nodes have the embedded models, and a file would not say that photos are cleaned first
        return Weights(loaded.name, scale, None, checksum, header, _restoration_sha256())
    return Weights(loaded.name, scale, content, checksum, header)


def _restoration_sha256() -> str:
    return weights_sha256(RESTORE, load_model(RESTORE))
