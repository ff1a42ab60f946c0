"""How large a result is to be: a factor, a width, a height, or a box to fit into."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SizeChoice:
    """At most one of factor and fit; width and height may come together. Nothing set: the model's own scale."""

    factor: float | None = None
    """Output side over input side."""
    width: int | None = None
    """Pixels; the height follows, unless it is given too."""
    height: int | None = None
    """Pixels; the width follows, unless it is given too."""
    fit: tuple[int, int] | None = None
    """(width, height) of a box: the largest size of the same proportions that fits inside."""

    def of(self, width: int, height: int, scale: int) -> tuple[int, int]:
        """Width and height of a picture's result, for a model of this scale; rounded, at least 1."""
        if self.width and self.height:
            return self.width, self.height
        factor = float(self.factor or scale)
        if self.width:
            factor = self.width / width
        elif self.height:
            factor = self.height / height
        elif self.fit:
            factor = min(self.fit[0] / width, self.fit[1] / height)
        return max(1, round(width * factor)), max(1, round(height * factor))
