"""Models that are mixed on the fly from two stored ones: ``FIRST+SECOND@ALPHA``.

The signs occur in no model's name, so wherever a command takes a model it takes a mixture as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.embedded import CLEAN

CLEAN_GAN = "clean-gan"
"""The embedded model clean's network after GramGAN training."""

_NOTATION = re.compile(r"([a-z0-9._-]+)\+([a-z0-9._-]+)@(.+)")


@dataclass(frozen=True)
class Mixture:
    """(1 - alpha) * first + alpha * second (Wang et al. 2018, section 3.4)."""

    first: str
    """A model's name."""
    second: str
    """Another model's name, of the same network."""
    alpha: float
    """Share of the second, 0 to 1."""

    def __str__(self) -> str:
        return f"{self.first}+{self.second}@{self.alpha:g}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The mixture that ``text`` writes down; None where it is no mixture. A share outside [0, 1] is an error."""
        match = _NOTATION.fullmatch(text)
        if match is None:
            return None
        try:
            alpha = float(match[3])
        except ValueError:
            alpha = -1.0
        if not 0 <= alpha <= 1:
            raise UsageError(f"'{text}' mixes by {match[3]}, which is not between 0 and 1.", "For example: a+b@0.5")
        return cls(match[1], match[2], alpha)


def style(amount: float) -> str:
    """The model of a style: 0 faithful (the embedded model clean), 1 rich in texture, a mixture between."""
    if amount in (0, 1):
        return CLEAN_GAN if amount else CLEAN
    return str(Mixture(CLEAN, CLEAN_GAN, amount))
