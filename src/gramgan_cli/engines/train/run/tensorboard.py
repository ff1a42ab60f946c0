"""TensorBoard files of a run, if the extra ``tensorboard`` is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class TensorBoard:
    """Writes metrics as scalars and sample grids as images; does nothing without the extra or a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.writer: Any = None
        if folder is not None and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder))

    def row(self, row: Mapping[str, Any]) -> None:
        """Add each number of the row as a scalar at its ``step``."""
        if self.writer is not None:
            for key, value in row.items():
                if key != "step":
                    self.writer.add_scalar(key.replace(".", "/"), value, row["step"])

    def picture(self, image: Image.Image, step: int) -> None:
        """Add the sample grid of a validation."""
        if self.writer is not None:
            self.writer.add_image("samples", np.asarray(image), step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close the files."""
        if self.writer is not None:
            self.writer.close()
