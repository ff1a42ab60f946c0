"""How results are called: the template of their file names."""

from __future__ import annotations

import os
import string
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.capabilities import format_of_suffix
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.io.locations import is_url, locate
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.options import TEMPLATE, UpscaleOptions

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.plan import Named

LONGEST_NAME = 255
"""Bytes of a file name on the common file systems."""

FIELDS = ("stem", "scale", "model", "ext")
"""What an output template may contain."""


def check_template(template: str) -> None:
    """Raise UsageError where ``--output-template`` has unknown fields or is a path."""
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise UsageError(
            f"--output-template '{template}' can't be read ({error}).", "Write it like {stem}_x{scale}."
        ) from error
    if unknown := fields - set(FIELDS):
        raise UsageError(
            f"--output-template has no field {{{sorted(unknown)[0]}}}.", f"Fields: {', '.join(map(repr, FIELDS))}."
        )
    if "/" in template or "\\" in template or not template:
        raise UsageError("--output-template is a file name without folders.", "Name the folder with --output.")
    try:
        sample = template.format(stem="a", scale="4", model="b", ext="png")
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"--output-template '{template}' can't be read ({error}).", "Its fields are texts: write {stem}_x{scale}."
        ) from error
    if format_of_suffix(Path(sample).suffix):
        raise UsageError(
            f"--output-template '{template}' names an ending, which follows from the format.",
            f"Leave out {'.{ext}' if template.endswith('{ext}') else Path(sample).suffix}, and choose with --format.",
        )


def stem_of(source: str, options: UpscaleOptions, model: Named) -> str:
    """The file name, without the ending, of a picture's result; a name that would be too long is shortened."""
    path = PurePosixPath(source)
    name = "stdin" if source == STANDARD else path.stem
    template, scale = options.template, _scale(source, options, model)
    if "x" in scale and template == TEMPLATE:
        template = "{stem}_{scale}"  # photo_300x200
    fields = {"stem": name, "scale": scale, "model": model.name, "ext": path.suffix[1:].lower()}
    longest_suffix = max(len(path.suffix), 5)
    room = LONGEST_NAME - longest_suffix - len(os.fsencode(template.format(**{**fields, "stem": ""})))
    return template.format(**{**fields, "stem": _shortened(name, room)})


def _scale(source: str, options: UpscaleOptions, model: Named) -> str:
    """What {scale} stands for: the factor, or where a size in pixels is asked for, the result's, such as 300x200."""
    size = options.size
    if not (size.width or size.height or size.fit):
        return f"{size.factor or model.scale:g}"
    if size.width and size.height:
        return f"{size.width}x{size.height}"
    if source != STANDARD and not is_url(source):
        try:
            frame = open_photo(locate(source).read(), source, options.allow_truncated).frames[0]
            return "{}x{}".format(*size.of(frame.width, frame.height, model.scale))
        except GramganError:  # which the run will say of it
            pass
    # Not looked into: what was asked for.
    return f"{(size.fit or (size.width, 0))[0] or ''}x{(size.fit or (0, size.height))[1] or ''}"


def _shortened(stem: str, room: int) -> str:
    """The stem, cut to so many bytes where it is longer; no character is cut in two."""
    stored = os.fsencode(stem)
    return stem if len(stored) <= room else stored[:room].decode("utf-8", "ignore")
