"""Opening one picture for the network: read it, check the output path, plan the result, check limits, decode."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError, TargetExists
from gramgan_cli.core.images.alpha import extend_colours
from gramgan_cli.core.images.capabilities import Format, format_of_suffix
from gramgan_cli.core.images.output_format import Target, choose_format, plan_target
from gramgan_cli.core.images.photo import Frame, Photo
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.result_mark import marked, read_mark
from gramgan_cli.core.io.files import check_regular_target
from gramgan_cli.core.metrics.damage import Damage, automatic_denoise, estimate_damage
from gramgan_cli.core.weights.mixing.square import automatic_style, position_of
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.limits import TOO_LARGE, check_memory, check_space
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session

Array = NDArray[Any]


@dataclass
class Opened:
    """A picture that is ready for the network, or has failed or been skipped (see ``result``)."""

    job: Job
    result: Result
    path: Path | None = None
    target: Target | None = None
    frames: Iterator[Array] | None = None
    nodata: tuple[float | None, ...] = ()
    """No-data value that the file declares, per frame."""


def open_job(job: Job, session: Session, options: UpscaleOptions) -> Opened:
    """Read, check, plan and decode one picture. Errors are recorded in its result."""
    name = "standard input" if job.source == STANDARD else job.source
    result = Result(name, model=session.name, device=session.device, backend=session.backend, tile=session.source.tile)
    result.model_sha256, result.settings = session.sha256, session.settings
    opened = Opened(job, result)
    try:
        if options.skip_existing and not job.outdated and job.expected != STANDARD and holds_something(job.expected):
            result.skipped, result.output = True, job.expected
            result.warnings += _stale(job, session)
            return opened
        result.input_modified = modified(job.source)
        data = _bytes(job.source, name)
        result.input_bytes, result.input_sha256 = len(data), hashlib.sha256(data).hexdigest()
        photo = open_photo(data, name, options.allow_truncated)
        form = choose_format(photo, options.format)
        if job.named:
            form = format_of_suffix(job.suffix) or form
        result.output = job.path(form)
        opened.path = Path(result.output)
        _check_output(opened, options)
        if not result.skipped:
            _decide(opened, photo, form, len(data), session, options)
    except GramganError as error:
        result.fail(error)
    except MemoryError:
        result.fail(GramganError(f"{name} {TOO_LARGE}"))
    return opened


def _decide(
    opened: Opened, photo: Photo, form: Format, file_bytes: int, session: Session, options: UpscaleOptions
) -> None:
    """Plan the result, check memory and disk space, and decode the first frame."""
    result, path, scale = opened.result, opened.path, session.scale
    assert path is not None
    sizes = tuple(options.size.of(frame.width, frame.height, scale) for frame in photo.frames)
    target, notes = plan_target(photo, form, sizes, options.quality)
    assert result.input_sha256 is not None
    opened.target = marked(target, session.mark(result.input_sha256))
    result.input_size = (photo.frames[0].width, photo.frames[0].height)
    result.output_size, result.frames = sizes[0], len(photo.frames)
    result.warnings += [*photo.warnings, *notes, *_size_notes(photo.frames[0], sizes[0], scale)]
    if options.quality is not None and (form.name in ("png", "tiff")):
        result.warnings.append(f"The quality has no effect on {form.label}, which is lossless.")
    source = session.source
    check_memory(photo, opened.target, scale, source.tile, file_bytes, options.max_memory, source.smooths)
    if result.output != STANDARD:
        check_space(path, opened.target)
    opened.nodata = tuple(photo.nodata_of(index) for index in range(len(photo.frames)))
    opened.frames = _prepared(photo, result)
    _note_amounts(result, session.name)


def _stale(job: Job, session: Session) -> list[str]:
    """Warning for an existing result that is older than its picture and has a different mark."""
    changed, made = modified(job.source), modified(job.expected)
    if changed is None or made is None or changed <= made:
        return []
    mark = read_mark(Path(job.expected))
    try:
        own = session.mark(hashlib.sha256(_bytes(job.source, job.source)).hexdigest())
    except GramganError:
        return []  # a photo that can't be read isn't needed: its result stays
    if mark in (None, own):
        return []
    return [f"{job.expected} already existed, made with another model or options, or from another photo."]


def holds_something(path: str) -> bool:
    """Whether a non-empty file exists. A full disk or a lost connection leaves empty ones."""
    return Path(path).is_file() and Path(path).stat().st_size > 0


def modified(path: str) -> int | None:
    """Modification time of a file in nanoseconds since 1970; None for standard input or a missing file."""
    try:
        return None if path == STANDARD else Path(path).stat().st_mtime_ns
    except OSError:
        return None


def _bytes(text: str, name: str) -> bytes:
    if text == STANDARD:
        return sys.stdin.buffer.read()
    source = Path(text)
    if source.exists() and not source.is_file():  # reading a pipe could block for ever
        raise GramganError(f"{name} is not a regular file.", "Pipe it in, with - as its name.")
    try:
        return source.read_bytes()
    except OSError as error:
        raise GramganError(
            f"Can't read {name}: {error.strerror or error}.",
            "Check that it exists and that you have permission to read it.",
        ) from error


def _check_output(opened: Opened, options: UpscaleOptions) -> None:
    """Skip, replace or refuse an existing result, as the options say."""
    path, source = opened.path, opened.job.source
    assert path is not None
    if opened.result.output == STANDARD:
        return
    check_regular_target(path)
    if not path.exists():
        return
    if source != STANDARD and path.samefile(source):
        raise GramganError(f"The result of {source} would replace the photo itself.", "Choose another `output`.")
    if opened.job.outdated or path.stat().st_size == 0:
        return
    if options.skip_existing:
        opened.result.skipped = True
    elif not options.overwrite:
        raise TargetExists(f"{path} already exists.", "Replace it with `overwrite`, or keep it with `skip_existing`.")


def _size_notes(frame: Frame, size: tuple[int, int], scale: int) -> list[str]:
    """Warnings about sizes above the model's scale or with another aspect ratio than the picture's."""
    notes = []
    if size[0] > frame.width * scale or size[1] > frame.height * scale:
        notes.append(f"The model enlarges by {scale}: the rest is bicubic interpolation.")
    if (
        abs(size[0] - frame.width * size[1] / frame.height) >= 1
        and abs(size[1] - frame.height * size[0] / frame.width) >= 1
    ):
        notes.append(
            f"{size[0]}x{size[1]} has another aspect ratio than {frame.width}x{frame.height}: the result is distorted."
        )
    return notes


def _note_amounts(result: Result, model: str) -> None:
    """Record denoise and style amounts in the result; with ``--denoise auto`` as estimated from the photo."""
    style = automatic_style(model)
    if style is not None:
        damage = Damage(result.noise or 0.0, result.blocking or 0.0, result.sharpness or 0.0)
        result.denoise, result.style = automatic_denoise(damage), style
    elif position := position_of(model):
        result.denoise, result.style = position.denoise, position.style


def _prepared(photo: Photo, result: Result) -> Iterator[Array]:
    """Decoded frames, ready for the network. The first is decoded and measured at once, in the reading thread."""
    frames = photo.decode()
    decoded = next(frames)
    damage = estimate_damage(decoded)
    result.noise, result.blocking, result.sharpness = (
        round(value, 3) for value in (damage.noise, damage.blocking, damage.sharpness)
    )
    first = _ready(decoded)

    def all_frames() -> Iterator[Array]:
        yield first
        for frame in frames:
            yield _ready(frame)

    return all_frames()


def _ready(image: Array) -> Array:
    """Extend colours under transparent pixels, if there is an alpha channel."""
    return extend_colours(image) if image.shape[2] in (2, 4) else image
