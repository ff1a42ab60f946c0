"""Choice of a result's size: by factor, width, height, or a box to fit into."""

from __future__ import annotations

from dataclasses import dataclass

from gramgan_cli.core.errors import check_number


@dataclass(frozen=True)
class SizeChoice:
    """Requested output size. Set one of factor, fit, or width and height; with none set, the model's scale is used."""

    factor: float | None = None
    """Output side over input side."""
    width: int | None = None
    """Width in pixels; the height keeps the proportions unless it is given too."""
    height: int | None = None
    """Height in pixels; the width keeps the proportions unless it is given too."""
    fit: tuple[int, int] | None = None
    """(width, height) of a box; the result is the largest size of the same proportions that fits inside."""

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height), *(("fit", side) for side in self.fit or ())):
            if side is not None:
                check_number(name, side, 1)

    def of(self, width: int, height: int, scale: int) -> tuple[int, int]:
        """Return the output (width, height) for an image of this size and a model of this scale, at least 1 each."""
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
