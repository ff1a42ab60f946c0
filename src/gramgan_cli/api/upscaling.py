"""``gramgan_cli.upscale`` and ``upscale_all``: picture files; metadata, colours, transparency and depth are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from os import fspath
from pathlib import Path
from typing import Unpack

from gramgan_cli.api.callbacks import ignore, stopping, until_stopped
from gramgan_cli.api.options import AnyPath, UpscaleArguments, upscale_options
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.pipeline import upscale_files
from gramgan_cli.engines.upscale.plan import plan_jobs
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import open_session


def upscale(
    picture: AnyPath,
    output: AnyPath | None = None,
    *,
    on_progress: Callable[[float], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[UpscaleArguments],
) -> Result:
    """Enlarge one picture file, as ``gramgan upscale`` does: the files are equal byte by byte.

    Args:
        picture: path of the picture.
        output: path of the result, or a folder for it. None: ``photo_x4.png`` beside ``photo.png``.
        on_progress: called with the share that is done, 0 to 1. An exception that it raises stops the work and reaches
            the caller; nothing unfinished stays.
        on_note: called with a sentence that the user should know.
        **arguments: ``UpscaleArguments``; every default is the command's.

    Returns:
        Where the result is, its size, and what was warned of.

    Raises:
        ImageDamaged: the picture can't be decoded.
        TargetExists: the result exists; pass ``overwrite=True``.
        ModelNotFound: no model has that name.
        GramganError: whatever else went wrong, in one sentence.
    """
    path = Path(picture)
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Pass it to upscale_all.")
    results = list(upscale_all([path], output, on_progress=on_progress, on_note=on_note, **arguments))
    result = results[0]
    result.raise_for_error()
    return result


def upscale_all(
    pictures: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    *,
    on_progress: Callable[[float], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[UpscaleArguments],
) -> Iterator[Result]:
    """Enlarge many picture files; decoding and encoding run beside the network.

    Args:
        pictures: picture files, folders and globs, or one of them.
        output: a folder for the results; None puts each beside its picture.
        on_progress: called with the number of pictures that are done, with fractions. An exception that it raises stops
            the work and reaches the caller.
        on_note: called with a sentence that the user should know.
        **arguments: ``UpscaleArguments``.

    Returns:
        An iterator of a result for each picture, in order, as it is finished. A picture that fails has its
        ``error`` set and stops no other. Close the iterator to stop; nothing unfinished stays.

    Raises:
        GramganError: what is wrong before the first picture, such as two results of one name.
    """
    listed = [pictures] if isinstance(pictures, str) or not isinstance(pictures, Sequence) else pictures
    options = upscale_options(arguments)
    if any(fspath(one) == STANDARD for one in listed):
        raise UsageError("Standard input is for the command line.", "Pass a path, or an array to load(...).")
    session = open_session(options, on_note)
    session.source.on_note = on_note
    plan = plan_jobs([fspath(one) for one in listed], None if output is None else fspath(output), options, session)
    results = upscale_files(plan.jobs, session, options, stopping(on_progress))
    return until_stopped(chain(plan.failures(), results))
