"""The square of weights: four trainings of one network, started from one another, so that mixtures work.

One axis is the damage of the photo (``denoise``: 0 is clean, 1 is photo), the other the amount of invented texture
(``style``: 0 is content, 1 is GAN).
"""

from __future__ import annotations

from typing import Literal

from gramgan_cli.core.errors import UsageError, check_share
from gramgan_cli.core.weights.catalogue import Square, read_square
from gramgan_cli.core.weights.embedded import CLEAN
from gramgan_cli.core.weights.mixing.mixture import Mixture, share_of

CLEAN_GAN, PHOTO, PHOTO_GAN = "clean-gan", "photo", "photo-gan"

CORNERS = {CLEAN, CLEAN_GAN, PHOTO, PHOTO_GAN}

DenoiseChoice = float | Literal["auto"]
"""A strength from 0 to 1, or 'auto': chosen for each photo."""

_AUTOMATIC = "auto@"

SAME_SHARE = 1e-5
"""Tolerance for shares that are written with six digits."""

COLUMNS = {CLEAN: 0.0, PHOTO: 1.0}
"""Content model -> its ``denoise``."""


def square_model(denoise: float, style: float) -> str:
    """Return the model at a position in the square, mixed bilinearly; corners with share 0 are left out.

    Args:
        denoise: 0, for clean photos, to 1, for damaged ones.
        style: 0, highest fidelity, to 1, most texture.
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
    """Return ``auto@STYLE``, which stands for a model if denoising is chosen for each photo."""
    return f"{_AUTOMATIC}{style:.6g}"


def automatic_style(model: str) -> float | None:
    """Return the style of an ``automatic_model``; None for other models. Raise UsageError if it is not in [0, 1]."""
    if not model.startswith(_AUTOMATIC):
        return None
    style = share_of(model.removeprefix(_AUTOMATIC))
    if style is None:
        raise UsageError(f"'{model}' has a style that is not between 0 and 1.", "For example: auto@0.5")
    return style


def chosen_model(model: str | None = None, denoise: DenoiseChoice | None = None, style: float | None = None) -> str:
    """Return the model that a user chose: the named one, or a position in the square, with the catalogue's defaults.

    ``clean`` and ``photo`` can be mixed with their GAN model by ``style``. With 'auto', see ``automatic_model``.

    Raises:
        UsageError: denoise or style is out of range, or set for a model that does not support it.
    """
    if denoise not in (None, "auto"):
        check_share("denoise", denoise)
    if style is not None:
        check_share("style", style)
    if model is None:
        usual: Square = read_square()
        style = usual.style if style is None else style
        if denoise == "auto":
            return automatic_model(style)
        return square_model(usual.denoise if denoise is None else denoise, style)
    if denoise is None and style is None:
        automatic = automatic_style(model)
        return model if automatic is None else automatic_model(automatic)
    if model in (CLEAN_GAN, PHOTO_GAN):
        raise UsageError(
            f"`model` {model} is one of the models that `denoise` and `style` mix.", "Leave out `model` to mix them."
        )
    if model not in COLUMNS:
        raise UsageError(
            f"`denoise` and `style` mix the embedded models, but '{model}' can't be mixed.",
            "Leave out `model`, or use clean or photo with `style`.",
        )
    if denoise is not None:
        raise UsageError(f"`model` {model} already sets how much to denoise.", "Leave out `model`, or `denoise`.")
    assert style is not None
    return square_model(COLUMNS[model], style)


def position_of(model: str) -> Square | None:
    """Return a corner's or mixture's position in the square; None for other models and mixtures of others."""
    share = _corner_shares(model)
    if share is None:
        return None
    denoise, style = share[PHOTO] + share[PHOTO_GAN], share[CLEAN_GAN] + share[PHOTO_GAN]
    if abs(denoise * style - share[PHOTO_GAN]) > SAME_SHARE:  # the other three shares follow from these
        return None
    return Square(round(denoise, 5), round(style, 5))


def denoise_of(model: str) -> float:
    """Return the share of ``photo`` and ``photo-gan`` in a mixture of corners; 0 for other models."""
    share = _corner_shares(model)
    return 0.0 if share is None else min(1.0, share[PHOTO] + share[PHOTO_GAN])


def cleaning_of(model: str) -> float:
    """Return how much of the photo's damage is removed before a mixture of corners runs, 0 to 1; 0 for other models.

    Of the damage, (1 - d)^2 stays, where d is ``denoise_of``: what stays is enlarged with the photo and seen as noise,
    and cleaning does little to a photo without damage (table in docs/models.md).
    """
    return 1.0 - (1.0 - denoise_of(model)) ** 2


def _corner_shares(model: str) -> dict[str, float] | None:
    """Shares of all corners in a corner or mixture; None for other models and mixtures of others."""
    mixture = Mixture({model: 1.0}) if model in CORNERS else Mixture.parse(model)
    if mixture is None or not mixture.shares.keys() <= CORNERS:
        return None
    return {name: mixture.shares.get(name, 0.0) for name in CORNERS}
