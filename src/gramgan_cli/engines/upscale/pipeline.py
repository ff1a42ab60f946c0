"""Upscaling files: decoding and encoding run in threads beside the network, one failure does not stop the others."""

from __future__ import annotations

import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.alpha import extend_colours
from gramgan_cli.core.images.formats.capabilities import format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice, Target, choose_format, plan_target
from gramgan_cli.core.images.photo import Frame, Photo
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.write import encode
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.resize.matlab import Border
from gramgan_cli.core.resize.rows import resized_bands
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale.plan import STANDARD, Job, same_place
from gramgan_cli.engines.upscale.session import BackendChoice, choose_backend
from gramgan_cli.engines.upscale.upscaler import Interpolator, PrecisionChoice, Upscaler

Array = NDArray[Any]

BANDS_AHEAD = 2
"""Finished bands that may wait for the encoder."""

ENCODER_BYTES = {"jpg": 4, "webp": 40, "avif": 48}
"""Bytes per pixel of the result that encoders hold which need the whole of it: the canvas, and, as measured on 12
megapixels of noise, their own work (libwebp 1.6 without loss: 33, libavif 1.4: 38)."""

TOO_LARGE = "needs more memory than there is. Pass a smaller --tile, or write PNG or TIFF, which need the least."

ALPHA_BYTES = 10
"""Bytes per pixel that ``extend_colours`` holds beside the picture and its result, as measured."""

RUNTIME_MEMORY = 700 * 2**20
"""Bytes that the interpreter and torch take before any picture is there."""


class BandSource(Protocol):
    """An ``Upscaler`` or an ``Interpolator``."""

    scale: int
    on_note: Callable[[str], None]

    @property
    def tile(self) -> int:
        """Tile side, 0 for the whole image."""

    def bands(self, image: Array) -> Iterator[Array]:
        """Finished rows, from top to bottom."""


@dataclass(frozen=True)
class Machine:
    """A model on a device, ready to run."""

    name: str
    device: str
    backend: str
    """What runs the network; empty for interpolations."""
    source: BandSource
    header: WeightsHeader | None
    """What its weights say of themselves; None for interpolations."""


@dataclass(frozen=True)
class Settings:
    """How each picture is treated."""

    format: FormatChoice = "default"
    quality: int | None = None
    """1 to 100, for lossy formats; None: 95, and lossless WebP for what was stored without loss."""
    size: SizeChoice = field(default_factory=SizeChoice)
    overwrite: bool = False
    skip_existing: bool = False
    allow_truncated: bool = False
    seamless: bool = False
    """The pictures' edges wrap around, also where the result is brought to another size."""
    max_memory: int | None = None
    """Bytes that the whole process should stay below."""


@dataclass
class Record:
    """What became of one picture; the entries of ``--json``."""

    input: str
    output: str | None = None
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    frames: int | None = None
    model: str = ""
    device: str = ""
    backend: str = ""
    tile: int = 0
    seconds: float | None = None
    skipped: bool = False
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


def open_machine(
    model: str,
    device: str,
    tile: int | None,
    precision: PrecisionChoice = "auto",
    tta: bool = False,
    seamless: bool = False,
    max_memory: int | None = None,
    backend: BackendChoice = "torch",
) -> Machine:
    """The model of that name or file (or an interpolation) on the device; ``tile`` None chooses by memory."""
    if model in BASELINES:
        if tta or precision != "auto":
            raise UsageError(
                f"{'--tta' if tta else '--precision'} changes nothing for an interpolation.", "Leave it out."
            )
        if backend not in ("auto", "torch"):
            raise UsageError(f"'{model}' is a formula: {backend} has nothing to run.", "Leave out --backend.")
        return Machine(model, "cpu", "", Interpolator(model, "auto" if tile is None else tile, seamless), None)
    loaded = load_model(model)
    if loaded.descriptor.needs_reference:
        raise UsageError(f"The model '{loaded.name}' needs a reference picture.", "Name one with --ref PHOTO.")
    chosen = choose_backend(backend, loaded, device, precision)
    budget = None
    if max_memory is not None and chosen.device.type == "cpu":
        budget = max(16 * 2**20, (max_memory - RUNTIME_MEMORY) // 3)
    upscaler = Upscaler(
        loaded,
        chosen.device,
        "auto" if tile is None else tile,
        precision,
        tta=tta,
        seamless=seamless,
        max_memory=budget,
        converted=chosen.converted,
    )
    return Machine(loaded.name, str(chosen.device), chosen.name, upscaler, loaded.header)


@dataclass
class _Opened:
    """A picture that is ready for the network, or why it is not."""

    job: Job
    record: Record
    path: Path | None = None
    target: Target | None = None
    photo: Photo | None = None
    frames: Iterator[Array] | None = None


def upscale_files(
    jobs: Iterable[Job],
    machine: Machine,
    settings: Settings,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> Iterator[Record]:
    """Upscale all jobs; a record for each, in order, as it is finished.

    Args:
        jobs: from ``plan_jobs``; they are taken one by one, at most two ahead of the network.
        machine: from ``open_machine``.
        settings: the same for all.
        on_progress: told how many pictures are done, with fractions.
    """
    finishing: deque[tuple[_Opened, _Writing]] = deque()
    claimed: dict[str, Path] = {}
    inputs = _places(jobs)
    ahead = _ahead(settings)
    stop = threading.Event()
    readers, writers = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
    try:
        for number, opened in enumerate(_opened_ahead(jobs, machine, settings, readers, stop)):
            _claim(opened, claimed, inputs)
            if opened.record.error is None and not opened.record.skipped:
                writing = _Writing(opened, writers)
                finishing.append((opened, writing))
                _work(opened, machine, settings, writing, lambda part, n=number: on_progress(n + part))  # type: ignore[misc]
            else:
                finishing.append((opened, _Writing.nothing()))
            opened.photo = opened.frames = None
            while finishing and (len(finishing) > ahead or finishing[0][1].done):
                yield _finished(*finishing.popleft())
            on_progress(number + 1)
        while finishing:
            yield _finished(*finishing.popleft())
    finally:
        stop.set()
        for _, writing in finishing:
            writing.abort()
        readers.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)


def _ahead(settings: Settings) -> int:
    """Pictures that are opened before, and written after, the one at hand: none where memory is limited."""
    return 1 if settings.max_memory is None else 0


def _opened_ahead(
    jobs: Iterable[Job], machine: Machine, settings: Settings, readers: ThreadPoolExecutor, stop: threading.Event
) -> Iterator[_Opened]:
    """Open the pictures in a thread, as many ahead of the network as there may be."""
    waiting: deque[Future[_Opened]] = deque()

    def submit(job: Job) -> None:
        if not stop.is_set():
            waiting.append(readers.submit(_open, job, machine, settings))

    for job in jobs:
        submit(job)
        if len(waiting) > _ahead(settings):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _open(job: Job, machine: Machine, settings: Settings) -> _Opened:
    """Read, check, plan and decode one picture; what fails is noted in its record."""
    name = "standard input" if job.source == STANDARD else str(job.source)
    record = Record(name, model=machine.name, device=machine.device, backend=machine.backend, tile=machine.source.tile)
    opened = _Opened(job, record)
    try:
        if settings.skip_existing and job.expected != STANDARD and job.expected.is_file():
            record.skipped, record.output = True, str(job.expected)
            return opened
        data = _bytes(job.source, name)
        photo = open_photo(data, name, settings.allow_truncated)
        form = choose_format(photo, settings.format)
        if job.fixed is not None and job.fixed != STANDARD:
            form = format_of_suffix(job.fixed.suffix) or form
        opened.path = job.path(form)
        record.output = str(opened.path)
        _check_output(opened, settings)
        if record.skipped:
            return opened
        sizes = tuple(settings.size.of(frame.width, frame.height, machine.source.scale) for frame in photo.frames)
        opened.target, notes = plan_target(photo, form, sizes, settings.quality)
        record.input_size = (photo.frames[0].width, photo.frames[0].height)
        record.output_size, record.frames = sizes[0], len(photo.frames)
        record.warnings += [*photo.warnings, *notes, *_scale_note(photo.frames[0], sizes[0], machine.source.scale)]
        _check_memory(photo, opened.target, machine, settings, len(data))
        _check_space(opened.path, opened.target)
        opened.photo = photo
        opened.frames = _prepared(photo, record)
    except GramganError as error:
        record.error = str(error)
    except MemoryError:
        record.error = f"{name} {TOO_LARGE}"
    return opened


def _bytes(source: Path, name: str) -> bytes:
    if source == STANDARD:
        return sys.stdin.buffer.read()
    if source.exists() and not source.is_file():  # reading a pipe would wait for ever
        raise GramganError(f"{name} is not a regular file.", "Pipe it in, with - for its name.")
    try:
        return source.read_bytes()
    except OSError as error:
        raise GramganError(
            f"Can't read {name}: {error.strerror or error}.", "Check that it is there and that you may read it."
        ) from error


def _check_output(opened: _Opened, settings: Settings) -> None:
    """An existing result is skipped, replaced or refused, as the person chose."""
    path, source = opened.path, opened.job.source
    assert path is not None
    if path == STANDARD:
        return
    if path.is_dir():
        raise GramganError(
            f"{path} is a folder, so the result of {source} can't be written there.",
            "Choose another --output-template.",
        )
    if not path.exists():
        return
    if source != STANDARD and path.samefile(source):
        raise GramganError(f"The result of {source} would replace the picture itself.", "Choose another --output.")
    if settings.skip_existing:
        opened.record.skipped = True
    elif not settings.overwrite:
        raise GramganError(f"{path} exists already.", "Replace it with --overwrite, or pass --skip-existing.")


def _scale_note(frame: Frame, size: tuple[int, int], scale: int) -> list[str]:
    """Said where the person asks for more than the model gives."""
    if size[0] <= frame.width * scale and size[1] <= frame.height * scale:
        return []
    return [f"The model enlarges by {scale}; the rest is bicubic interpolation."]


def _check_memory(photo: Photo, target: Target, machine: Machine, settings: Settings, file_bytes: int) -> None:
    """Refuse before the work what ``--max-memory`` does not allow."""
    if settings.max_memory is None:
        return
    frames = zip(photo.frames, target.frames, strict=True)
    # The file is held whole; to check and rebuild it takes as much twice more.
    needed = (
        RUNTIME_MEMORY
        + 3 * file_bytes
        + max(_needed_memory(before, after, machine, target) for before, after in frames)
    )
    if needed > settings.max_memory:
        raise GramganError(
            f"{photo.name} needs about {needed / 2**30:.1f} GB, more than --max-memory allows.",
            "Allow more, pass a smaller --tile, or write PNG or TIFF, which need the least.",
        )


def _needed_memory(before: Frame, after: Frame, machine: Machine, target: Target) -> int:
    """Bytes: the decoded picture twice (while it is turned upright), the bands, and what the encoder holds."""
    scale = machine.source.scale
    rows = min(before.height, machine.source.tile or before.height) * scale
    band = rows * before.width * scale * before.channels * before.dtype.itemsize
    resized = 0
    if (after.width, after.height) != (before.width * scale, before.height * scale):
        resized = 3 * rows * after.width * after.channels * 4  # in float32: what is held, and two steps of the sum
    encoder = ENCODER_BYTES.get(target.format.name, 0) * after.width * after.height
    return 2 * before.byte_count + _alpha_memory(before) + (2 + BANDS_AHEAD) * band + resized + encoder


def _alpha_memory(frame: Frame) -> int:
    """Bytes: to extend colours under transparency takes masks and coordinates per pixel, and a second picture."""
    return ALPHA_BYTES * frame.height * frame.width + frame.byte_count if frame.channels in (2, 4) else 0


def _check_space(path: Path, target: Target) -> None:
    """Refuse before the work what can't fit on the disk: no photograph shrinks to a sixteenth without loss."""
    if path == STANDARD or target.format.name not in ("png", "tiff"):
        return
    least = sum(frame.byte_count for frame in target.frames) // 16
    free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else least
    if free < least and least > 2**24:
        raise GramganError(
            f"The disk of {path.parent} has {free / 2**20:.0f} MB left, too little for the result of about "
            f"{8 * least / 2**20:.0f} MB.",
            "Make room, or name another --output.",
        )


def _prepared(photo: Photo, record: Record) -> Iterator[Array]:
    """The decoded frames, ready for the network; the first one is decoded now, in the reading thread."""
    frames = photo.decode()
    first = _ready(next(frames), record)

    def all_frames() -> Iterator[Array]:
        yield first
        for frame in frames:
            yield _ready(frame, record)

    return all_frames()


def _ready(image: Array, record: Record) -> Array:
    """Colours extended under transparency; numbers that are not finite replaced."""
    if image.dtype == np.float32 and not np.isfinite(image).all():
        record.warnings.append("Values that are not finite were replaced by 0.")
        image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    return extend_colours(image) if image.shape[2] in (2, 4) else image


def _places(jobs: Iterable[Job]) -> dict[str, Path]:
    """Where the pictures lie, for lists of jobs: no result may replace one of them. A stream's are not known."""
    listed = jobs if isinstance(jobs, Sequence) else ()
    return {same_place(job.source): job.source for job in listed if job.source != STANDARD}


def _claim(opened: _Opened, claimed: dict[str, Path], inputs: Mapping[str, Path]) -> None:
    """Hold each result's path for one picture: contents may lead to other endings than names did."""
    if opened.path is None or opened.path == STANDARD or opened.record.error or opened.record.skipped:
        return
    key = same_place(opened.path)
    if key in claimed:
        opened.record.error = f"{claimed[key]} and {opened.job.source} would both be written to {opened.path}."
    if key in inputs:
        opened.record.error = (
            f"The result of {opened.job.source} would replace the input {inputs[key]}. "
            "Choose another --output or --output-template."
        )
    claimed.setdefault(key, opened.job.source)


class _Aborted(Exception):
    """Ends the encoder of a picture that failed elsewhere."""


_FRAME_END = object()


class _Writing:
    """One result on its way into its file, in the writing thread, fed with bands."""

    def __init__(self, opened: _Opened, pool: ThreadPoolExecutor) -> None:
        assert opened.target is not None
        assert opened.path is not None
        self._bands: queue.Queue[Any] = queue.Queue(BANDS_AHEAD)
        self._target, self._path = opened.target, opened.path
        self.started = time.perf_counter()
        self.ended = 0.0
        self._future: Future[None] | None = pool.submit(self._write)

    @classmethod
    def nothing(cls) -> _Writing:
        """What stands in for a picture that is not written."""
        made = cls.__new__(cls)
        made._future = None
        return made

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self._future is None or self._future.done()

    def put(self, item: object) -> None:
        """Hand a band (or a frame's end) over; raises what made the encoder fail."""
        assert self._future is not None
        while True:
            if self._future.done():
                self._future.result()
            try:
                return self._bands.put(item, timeout=0.2)
            except queue.Full:
                continue

    def abort(self) -> None:
        """Make the encoder give up; its temporary file goes."""
        if self._future is None or self._future.done():
            return
        self._future.cancel()
        while not self._future.done():
            try:
                self._bands.put(_Aborted(), timeout=0.2)
            except queue.Full:
                continue

    def result(self) -> float:
        """Wait for the file; seconds from decoded input to encoded output. Raises what made the encoder fail."""
        assert self._future is not None
        self._future.result()
        return self.ended - self.started

    def _frames(self) -> Iterator[Iterator[Array]]:
        for _ in self._target.frames:
            yield self._one_frame()

    def _one_frame(self) -> Iterator[Array]:
        while (item := self._bands.get()) is not _FRAME_END:
            if isinstance(item, _Aborted):
                raise item
            yield item

    def _write(self) -> None:
        if self._path == STANDARD:
            with tempfile.TemporaryFile() as file:
                self._encode(cast(BinaryIO, file))
                file.seek(0)
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        else:
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                self._encode(file)
        self.ended = time.perf_counter()

    def _encode(self, file: BinaryIO) -> None:
        """Encode the picture; encoders raise what they like for what they can't write."""
        try:
            encode(self._target, self._frames(), file)
        except (GramganError, OSError, _Aborted):
            raise
        except Exception as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
            raise GramganError(
                f"Can't write {self._path} as {self._target.format.label} ({reason}).", "Choose another --format."
            ) from error


def _work(
    opened: _Opened, machine: Machine, settings: Settings, writing: _Writing, on_part: Callable[[float], None]
) -> None:
    """Run the network over one picture's frames; a failure ends this picture only."""
    record, target = opened.record, opened.target
    assert opened.frames is not None
    assert target is not None
    machine.source.on_note = record.warnings.append
    border: Border = "wrap" if settings.seamless else "symmetric"
    try:
        for index, image in enumerate(opened.frames):
            done = 0
            for band in _final_bands(image, machine.source, target.frames[index], record, border):
                writing.put(band)
                done += len(band)
                on_part((index + min(1.0, done / target.frames[index].height)) / len(target.frames))
            writing.put(_FRAME_END)
    except GramganError as error:
        record.error = record.error or f"{record.input}: {error}" if record.input not in str(error) else str(error)
        writing.abort()
    except OSError as error:
        record.error = f"Can't write {record.output}: {error.strerror or error}."
        writing.abort()
    except MemoryError:
        record.error = f"{record.input} {TOO_LARGE}"
        writing.abort()
    except RuntimeError as error:  # torch: a driver or a device failed
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        record.error = f"{record.input}: the device {machine.device} failed ({reason}). Try --device cpu."
        writing.abort()
    record.tile = machine.source.tile


def _final_bands(image: Array, source: BandSource, frame: Frame, record: Record, border: Border) -> Iterator[Array]:
    """The network's bands, resized where another size than the model's own was asked for."""
    bands = _in_own_range(image, source, record) if image.dtype == np.float32 else source.bands(image)
    size = (image.shape[0] * source.scale, image.shape[1] * source.scale)
    if size == (frame.height, frame.width):
        return bands
    return resized_bands(bands, size, (frame.height, frame.width), border)


def _in_own_range(image: Array, source: BandSource, record: Record) -> Iterator[Array]:
    """Floating point pictures may go beyond [0, 1]: they are brought into it for the network, and back."""
    low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    if (low, high) == (0.0, 1.0):
        return source.bands(image)
    record.warnings.append(f"Values from {low:g} to {high:g} were scaled to 0..1 for the network, and back.")
    return (band * (high - low) + low for band in source.bands((image - low) / (high - low)))


def _finished(opened: _Opened, writing: _Writing) -> Record:
    """The record, once the file is there or has failed."""
    record = opened.record
    if record.error is None and not record.skipped:
        try:
            record.seconds = round(writing.result(), 3)
        except GramganError as error:
            record.error = str(error)
        except OSError as error:
            record.error = f"Can't write {record.output}: {error.strerror or error}."
    if record.error is not None:
        record.output = None
    return replace(record, warnings=list(dict.fromkeys(record.warnings)))
