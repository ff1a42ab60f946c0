"""Checks of ``gramgan upscale``'s options that need no file access."""

from __future__ import annotations

import sys
from pathlib import Path

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize.sizes import SizeChoice


def check_options(
    output: Path | None,
    inputs: list[str],
    overwrite: bool,
    skip_existing: bool,
    size: SizeChoice,
    json: bool,
) -> None:
    """Raise UsageError for options that contradict each other."""
    factor, width, height, fit = size.factor, size.width, size.height, size.fit
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing can't be combined.", "Use one of them.")
    if sum((factor is not None, width is not None or height is not None, fit is not None)) > 1:
        raise UsageError(
            "--outscale, --width/--height and --fit can't be combined: each sets the size.", "Use one of them."
        )
    if factor is not None and not 0 < factor <= 64:
        raise UsageError(f"--outscale {factor:g} is not between 0 and 64.", "Use a factor such as 2.5.")
    if "-" in inputs and len(inputs) > 1:
        raise UsageError("Standard input (-) can't be combined with files.", "Upscale the files with another command.")
    if "-" in inputs and output is None and sys.stdout.isatty() and not json:
        raise UsageError("The image would be written to the terminal.", "Choose a file with --output.")


def check_attention(ref: Path | None, save_attention: Path | None, inputs: list[str]) -> None:
    """Raise UsageError if ``--save-attention`` is used without a reference, or with input that can't be read twice."""
    if save_attention and ref is None:
        raise UsageError("--save-attention needs a reference.", "Pass one with --ref.")
    if save_attention and "-" in inputs:
        raise UsageError("--save-attention can't be used with standard input.", "Pass a file.")
