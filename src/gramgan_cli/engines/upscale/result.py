"""Result of upscaling one picture, for ``--json``, the records of batch runs and the Python API."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from gramgan_cli.core.errors import GramganError

BATCH_ONLY = ("settings", "tries", "run", "finished", "output_bytes", "output_sha256")
"""Fields that only runs with records set."""


@dataclass
class Result:
    """Result of upscaling one picture."""

    input: str
    """Path or URL of the picture."""
    output: str | None = None
    """Path or URL of the result; None if it failed."""
    input_size: tuple[int, int] | None = None
    """Width and height in pixels of the first frame or page, after turning it upright."""
    output_size: tuple[int, int] | None = None
    frames: int | None = None
    """Number of frames or pages."""
    input_bytes: int | None = None
    """Size of the picture's file in bytes."""
    input_sha256: str | None = None
    input_modified: int | None = None
    """Modification time of the picture's file in nanoseconds since 1970; None if unknown."""
    output_bytes: int | None = None
    output_sha256: str | None = None
    model: str | None = None
    """Name of the model; None for an existing result that no run made."""
    model_sha256: str | None = None
    """SHA-256 of the weights file; None for interpolations."""
    settings: str = ""
    """JSON of the other options that affect the result."""
    denoise: float | None = None
    """Denoise amount, 0 to 1, with ``auto`` as chosen for this photo; None for models without amounts."""
    style: float | None = None
    """Style amount, 0 to 1; None for models without amounts."""
    noise: float | None = None
    """Estimated standard deviation of the photo's noise, in 8-bit levels."""
    blocking: float | None = None
    """Estimated JPEG blocking: 0 is none, 0.3 clearly visible."""
    sharpness: float | None = None
    """Estimated sharpness: from 0.6 sharp, below 0.5 blurred."""
    device: str = ""
    backend: str = ""
    """Library that ran the network; empty for interpolations."""
    tile: int = 0
    """Tile side in input pixels, 0 for the whole picture."""
    seconds: float | None = None
    """Time from decoded input to encoded output."""
    skipped: bool = False
    """Whether the result existed and was left unchanged."""
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    """Error message; None on success."""
    failure: GramganError | None = field(default=None, repr=False, compare=False)
    """The exception behind ``error``."""
    tries: int = 1
    run: str = ""
    """Identifier of the batch run; empty without records."""
    finished: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether there was no error."""
        return self.error is None

    def fail(self, error: GramganError) -> None:
        """Record an error."""
        self.error, self.failure = str(error), error

    def raise_for_error(self) -> None:
        """Raise the recorded exception, if there is one."""
        if self.failure is not None:
            raise self.failure

    def facts(self) -> dict[str, Any]:
        """The fields as plain data, for JSON and records; ``BATCH_ONLY`` fields only in batch runs."""
        left_out = ("failure",) if self.run else ("failure", *BATCH_ONLY)
        facts = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        if self.run and self.finished is not None:
            facts["finished"] = self.finished.isoformat()
        return facts
