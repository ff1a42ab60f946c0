"""What became of one picture: one record for ``--json``, the records of batch runs and the Python API."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Result:
    """One picture's outcome."""

    input: str
    """Path or URL of the picture."""
    output: str | None = None
    """Path or URL of the result; None where it failed."""
    input_size: tuple[int, int] | None = None
    """Width and height in pixels, upright; of the first frame or page."""
    output_size: tuple[int, int] | None = None
    frames: int | None = None
    """Frames of an animation or pages, 1 for most."""
    input_bytes: int | None = None
    """Length of the picture's file."""
    input_sha256: str | None = None
    model: str | None = None
    device: str = ""
    backend: str = ""
    """What ran the network; empty for interpolations."""
    tile: int = 0
    """Side of a tile in input pixels, 0 for the whole picture."""
    seconds: float | None = None
    """From decoded input to encoded output."""
    skipped: bool = False
    """Whether the result existed and was left as it was."""
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    """One sentence; None where all went well."""

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.error is None
