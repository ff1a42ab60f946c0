"""What became of one picture: one record for ``--json``, the records of batch runs and the Python API."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from gramgan_cli.core.errors import GramganError

BATCH_ONLY = ("settings", "tries", "run", "finished", "output_bytes", "output_sha256")
"""What only runs with records know."""


@dataclass
class Result:
    """One picture's result."""

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
    input_modified: int | None = None
    """When the picture's file was last changed, in nanoseconds since 1970; None where that is not known."""
    output_bytes: int | None = None
    output_sha256: str | None = None
    model: str | None = None
    """None where a result was there that no run made."""
    model_sha256: str | None = None
    """Of the weights file; None for interpolations."""
    settings: str = ""
    """JSON: what else decides how the result looks."""
    denoise: float | None = None
    """Of the square of weights, 0 to 1: as asked, or with ``auto`` as chosen for this photo; None for other models."""
    style: float | None = None
    """0 to 1."""
    noise: float | None = None
    """How the photo looks, estimated: standard deviation of its noise, in levels of 255."""
    blocking: float | None = None
    """JPEG blocks: 0 none, 0.3 clearly seen."""
    sharpness: float | None = None
    """Fine detail: 0.6 and more where it is sharp, less than 0.5 where it is blurred."""
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
    failure: GramganError | None = field(default=None, repr=False, compare=False)
    """The error behind the sentence, with its type."""
    tries: int = 1
    run: str = ""
    """The batch run; empty without records."""
    finished: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.error is None

    def fail(self, error: GramganError) -> None:
        """Note what went wrong."""
        self.error, self.failure = str(error), error

    def raise_for_error(self) -> None:
        """Raise what went wrong, with its own type; nothing where all went well."""
        if self.failure is not None:
            raise self.failure

    def facts(self) -> dict[str, Any]:
        """All that is plain data, for JSON and records; what only batch runs know is left out without one."""
        left_out = ("failure",) if self.run else ("failure", *BATCH_ONLY)
        facts = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        if self.run and self.finished is not None:
            facts["finished"] = self.finished.isoformat()
        return facts
