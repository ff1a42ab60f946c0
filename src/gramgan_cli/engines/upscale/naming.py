"""File names of results, from ``--output`` and a template."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.capabilities import FORMATS, READ_SUFFIXES, Format, format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.io.locations import is_url, locate
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.options import TEMPLATE, UpscaleOptions

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.plan import Named

LONGEST_NAME = 255
"""Longest file name in bytes on common file systems."""

FIELDS = ("stem", "scale", "model", "ext")
"""Fields of an output template."""


def check_template(template: str) -> None:
    """Raise UsageError if an output template is malformed, has unknown fields, folders or a file format's ending."""
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise UsageError(
            f"`template` '{template}' can't be read ({error}).", "Write it like {stem}_x{scale}."
        ) from error
    if unknown := fields - set(FIELDS):
        raise UsageError(
            f"`template` has no field {{{sorted(unknown)[0]}}}.", f"Fields: {', '.join(map(repr, FIELDS))}."
        )
    if "/" in template or "\\" in template or not template:
        raise UsageError("`template` must be a file name without folders.", "Choose the folder with `output`.")
    try:
        sample = template.format(stem="a", scale="4", model="b", ext="png")
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"`template` '{template}' can't be read ({error}).", "Its fields are text: write {stem}_x{scale}."
        ) from error
    if format_of_suffix(Path(sample).suffix):
        raise UsageError(
            f"`template` '{template}' has a suffix, but the format sets the suffix.",
            f"Leave out {'.{ext}' if template.endswith('{ext}') else Path(sample).suffix} and use `format`.",
        )


@dataclass(frozen=True)
class OutputTarget:
    """Parsed ``--output``."""

    folder: str | None
    """Folder of the results; None means next to each picture."""
    name: str | None = None
    """File name of a single result, if the user gave one."""


def output_target(output: str | None, single: bool, choice: FormatChoice) -> OutputTarget:
    """Parse ``--output`` as the file of a single result or as a folder (e.g. if it ends in a slash)."""
    if output is None:
        return OutputTarget(None)
    if output == STANDARD:
        if not single:
            raise UsageError("Standard output takes only one photo.", "Choose a folder with `output`.")
        return OutputTarget(STANDARD)
    where = locate(output)
    if output.endswith(("/", os.sep)) or where.is_folder() or not where.suffix:
        return OutputTarget(where.text if is_url(output) else str(Path(output)))
    form = format_of_suffix(where.suffix)
    if not single:
        if where.suffix.lower() in READ_SUFFIXES or (not is_url(output) and Path(output).is_file()):
            raise UsageError(f"`output` {output} is a file, but there are several photos.", "Choose a folder.")
        return OutputTarget(where.text if is_url(output) else str(Path(output)))
    check_ending(output, form, choice)
    return OutputTarget(where.parent.text if is_url(output) else str(Path(output).parent), where.name)


def check_ending(output: str, form: Format | None, choice: FormatChoice) -> None:
    """Raise UsageError if the format of the file ``output`` can't be written or contradicts ``choice``."""
    if form is None:
        raise UsageError(
            f"gramgan does not write '{PurePosixPath(output).suffix}' files.",
            f"It writes: {', '.join(suffix for row in FORMATS.values() for suffix in row.suffixes)}. "
            "If it is a folder, end it with /.",
        )
    if choice not in ("default", "same", form.name):
        raise UsageError(f"`output` {output} is a {form.label} file, but `format` is {choice}.", "Leave out `format`.")


def stem_of(source: str, options: UpscaleOptions, model: Named) -> str:
    """File name of a picture's result, without the ending, shortened if too long."""
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
    """Value of {scale}: the factor, or the result's size, such as 300x200, if the user asked for a size in pixels."""
    size = options.size
    if not (size.width or size.height or size.fit):
        return f"{size.factor or model.scale:g}"
    if size.width and size.height:
        return f"{size.width}x{size.height}"
    if source != STANDARD and not is_url(source):
        try:
            frame = open_photo(locate(source).read(), source, options.allow_truncated).frames[0]
            return "{}x{}".format(*size.of(frame.width, frame.height, model.scale))
        except GramganError:  # the run reports it
            pass
    # The picture was not opened, so the name has only the sides that the user gave.
    return f"{(size.fit or (size.width, 0))[0] or ''}x{(size.fit or (0, size.height))[1] or ''}"


def _shortened(stem: str, room: int) -> str:
    """Cut a stem to at most ``room`` bytes, at a character boundary."""
    stored = os.fsencode(stem)
    return stem if len(stored) <= room else stored[:room].decode("utf-8", "ignore")
