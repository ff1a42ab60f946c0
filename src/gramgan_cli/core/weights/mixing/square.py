"""The square of weights: four trainings of one network, from one another, so that what lies between is a model too.

One side is the damage that the photo has (``denoise``: clean, 0, to photo, 1), the other how much texture is
invented (``style``: content, 0, to GAN, 1).
"""

from __future__ import annotations

import re
from typing import Literal

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.catalogue import Square, read_square
from gramgan_cli.core.weights.embedded import CLEAN
from gramgan_cli.core.weights.mixing.mixture import Mixture

CLEAN_GAN, PHOTO, PHOTO_GAN = "clean-gan", "photo", "photo-gan"

CORNERS = {CLEAN, CLEAN_GAN, PHOTO, PHOTO_GAN}

DenoiseChoice = float | Literal["auto"]
"""An amount from 0 to 1, or what each photo needs."""

_AUTOMATIC = re.compile(r"auto@([\d.e-]+)")

COLUMNS = {CLEAN: 0.0, PHOTO: 1.0}
"""Content corner -> its amount of ``denoise``."""


def square_model(denoise: float, style: float) -> str:
    """The model at a position in the square: bilinear between the corners; corners without a share are left out.

    Args:
        denoise: 0, for clean photos, to 1, for damaged ones.
        style: 0, right on average, to 1, rich in texture.
    """
    shares = {
        CLEAN: (1 - denoise) * (1 - style),
        CLEAN_GAN: (1 - denoise) * style,
        PHOTO: denoise * (1 - style),
        PHOTO_GAN: denoise * style,
    }
    held = {name: share for name, share in shares.items() if share}
    return next(iter(held)) if len(held) == 1 else str(Mixture(held))


def automatic_model(style: float) -> str:
    """What stands for a model where the amount of denoising is chosen photo by photo: ``auto@STYLE``."""
    return f"auto@{style:.6g}"


def automatic_style(model: str) -> float | None:
    """The style of ``automatic_model``; None for the name of a model."""
    match = _AUTOMATIC.fullmatch(model)
    return float(match[1]) if match else None


def chosen_model(model: str | None = None, denoise: DenoiseChoice | None = None, style: float | None = None) -> str:
    """The model that a user means: the named one, or the position in the square, at the catalogue's where not said.

    ``clean`` and ``photo`` with a style mix inside their column; ``auto`` is ``automatic_model``.

    Raises:
        UsageError: an amount beside a model that it does not go with.
    """
    if model is None:
        usual: Square = read_square()
        style = usual.style if style is None else style
        if denoise == "auto":
            return automatic_model(style)
        return square_model(usual.denoise if denoise is None else denoise, style)
    if denoise is None and style is None:
        return model
    if model not in COLUMNS:
        raise UsageError(
            f"`denoise` and `style` mix the embedded models; '{model}' is not mixed.",
            "Leave out `model`, or name clean or photo with `style`.",
        )
    if denoise is not None:
        raise UsageError(f"`model` {model} says how much to denoise.", "Leave out `model`, or `denoise`.")
    assert style is not None
    return square_model(COLUMNS[model], style)


def position_of(model: str) -> Square | None:
    """Where a corner or a mixture stands in the square; None for other models, and for mixtures of others."""
    mixture = Mixture({model: 1.0}) if model in CORNERS else Mixture.parse(model)
    if mixture is None or not mixture.shares.keys() <= CORNERS:
        return None
    share = {name: mixture.shares.get(name, 0.0) for name in CORNERS}
    position = Square(round(share[PHOTO] + share[PHOTO_GAN], 4), round(share[CLEAN_GAN] + share[PHOTO_GAN], 4))
    return position if square_model(position.denoise, position.style) == model else None
