"""Quantisation tables of common JPEG encoders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_STEP = 255
"""Largest step of a table in 8-bit JPEG (ITU-T T.81, B.2.4.1)."""


@dataclass(frozen=True)
class Tables:
    """Tables of an encoder at quality 50, each a tuple of 8 x 8 steps with the vertical frequency first."""

    luma: tuple[int, ...]
    chroma: tuple[int, ...]


_ROBINSON = (
    *(16, 16, 16, 18, 25, 37, 56, 85),
    *(16, 17, 20, 27, 34, 40, 53, 75),
    *(16, 20, 24, 31, 43, 62, 91, 135),
    *(18, 27, 31, 40, 53, 74, 106, 156),
    *(25, 34, 43, 53, 69, 94, 131, 189),
    *(37, 40, 62, 74, 94, 124, 169, 238),
    *(56, 53, 91, 106, 131, 169, 226, 311),
    *(85, 75, 135, 156, 189, 238, 311, 418),
)

ANNEX_K = Tables(
    luma=(
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ),
    chroma=(
        *(17, 18, 24, 47, 99, 99, 99, 99),
        *(18, 21, 26, 66, 99, 99, 99, 99),
        *(24, 26, 56, 99, 99, 99, 99, 99),
        *(47, 66, 99, 99, 99, 99, 99, 99),
        *(99,) * 32,
    ),
)
"""Tables of the standard's Annex K, used by libjpeg, libjpeg-turbo and most programs that build on them."""

MOZJPEG = Tables(_ROBINSON, _ROBINSON)
"""Tables that mozjpeg uses without options, by N. Robinson (mozjpeg's jcparam.c, table 3)."""

FAMILIES = (ANNEX_K, MOZJPEG)


def scaled(table: tuple[int, ...], quality: int) -> Tensor:
    """Return a table's steps at a quality from 1 to 100, as libjpeg scales it: (8, 8) float32."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = (torch.tensor(table) * percent + 50) // 100
    return steps.clamp(1, LARGEST_STEP).reshape(8, 8).float()
