"""Training photos from tar shards (WebDataset), read sequentially with a window of photos in memory.

The photos of all shards form an endless stream. In every epoch the shards are ordered at random by (seed, epoch), and
the photos of a shard keep their order. Steps draw their crops from a window of the stream, and windows follow one
another. The batch of a step is therefore a pure function of (seed, step), as for folders, and a resumed run reads only
the window of its step.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from gramgan_cli.core.data.crops import Batch, CropSampler, PhotosTooSmall
from gramgan_cli.core.data.listing import SUFFIXES
from gramgan_cli.core.data.prepared import Channels, PreparedPhoto, prepared_content
from gramgan_cli.core.errors import GramganError, MissingExtra
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.locations import LocalPath, locate

VERSION = 1


@dataclass(frozen=True)
class Shards:
    """Tar shards and the number of photos in each."""

    files: tuple[str, ...]
    """Paths or URLs."""
    counts: tuple[int, ...]

    @property
    def photos(self) -> int:
        """Total number of photos."""
        return sum(self.counts)


def find_shards(sources: Sequence[str]) -> list[str]:
    """Return the shards among the sources of training photos, in order. Folders of images and lists have none.

    A source is a tar file, a range of them (``train-{0000..0099}.tar``) or a folder of them, as a path or a URL.
    """
    return [file for source in sources for file in _shards_of(source)]


def is_shards(source: str) -> bool:
    """Return whether a source of training photos consists of tar shards."""
    return bool(_shards_of(source))


def _shards_of(source: str) -> list[str]:
    if source.endswith(".tar"):
        return list(_webdataset().shardlists.expand_urls(source))
    folder = locate(source)
    if not folder.is_folder():
        return []
    return [file.text for file in folder.files() if file.suffix == ".tar" and not file.name.startswith(".")]


def _webdataset() -> Any:
    try:
        import webdataset
        import webdataset.shardlists
        import webdataset.tariterators
    except ImportError as error:
        raise MissingExtra("Tar shards need webdataset, which is not installed.", "shards") from error
    return webdataset


def samples(file: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every photo in a shard, in order: the image of each WebDataset sample."""
    tar = _webdataset().tariterators
    where = locate(file)
    try:
        with _stream(file) as stream:
            members = tar.tar_file_expander([{"url": file, "stream": stream}])
            for sample in tar.group_by_keys(members):
                for kind, content in sample.items():
                    if f".{kind.rpartition('.')[2]}" in SUFFIXES:
                        yield f"{sample['__key__']}.{kind}", content
                        break
    except (OSError, ValueError, tarfile.TarError) as error:
        what = error.args[0] if error.args else error
        raise GramganError(f"{where.text} can't be read as a tar shard: {what}.") from error


def _stream(file: str) -> Any:
    where = locate(file)
    if isinstance(where, LocalPath):
        return where.path.open("rb")
    import fsspec

    return fsspec.open(file, "rb").open()


def count_photos(files: Sequence[str], cache: Path, progress: Callable[[int, int], None] | None = None) -> Shards:
    """Count the photos in each shard. A shard is read in full once; the count is then cached under ``cache``.

    A local shard is counted again if it changes; a shard at a URL is identified by its name.
    """
    counts = []
    for done, file in enumerate(files, 1):
        remembered = cache / f"{_key(file)}.count.json"
        count = _remembered(remembered)
        if count is None:
            count = sum(1 for _ in samples(file))
            if not count:
                raise GramganError(f"{file} contains no images.", f"Looked for {', '.join(sorted(SUFFIXES))}.")
            with replacing(remembered) as temporary:
                temporary.write_text(json.dumps({"shard": file, "photos": count}), encoding="utf-8")
        counts.append(count)
        if progress is not None:
            progress(done, len(files))
    return Shards(tuple(files), tuple(counts))


def _remembered(file: Path) -> int | None:
    """Return the count that an earlier run left; None if there is none, or it is damaged."""
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["photos"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _key(file: str) -> str:
    where = locate(file)
    facts: list[Any] = [VERSION, where.text]
    if isinstance(where, LocalPath):
        if not where.path.is_file():
            raise GramganError(f"There is no shard {where.text}.")
        facts += [where.path.stat().st_size, where.path.stat().st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def photos_at(shards: Shards, order: Sequence[int], first: int, last: int) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the photos ``first`` to ``last`` - 1, numbered through the shards in ``order``."""
    ends = list(accumulate(shards.counts[shard] for shard in order))
    at = bisect_right(ends, first)
    while first < last:
        start = ends[at] - shards.counts[order[at]]
        file = shards.files[order[at]]
        taken = 0
        for number, sample in enumerate(samples(file), start):
            if first <= number < last:
                yield sample
                taken += 1
            if number + 1 >= last:
                break
        if taken != min(last, ends[at]) - first:
            raise GramganError(f"{file} contains fewer photos than when they were counted.", "Start the run again.")
        first, at = ends[at], at + 1


class ShardSampler:
    """Draws the batch of any step from shards; see the module's description.

    Args:
        shards: from ``count_photos``.
        held_out: indices of photos, numbered through the shards in their original order, to exclude from batches.
        scale: HR side over LR side.
        window: photos in memory at once (twice as many while the next window is read).
        window_steps: steps that draw from one window.
        seed: seed of the run.
        sampler: makes the sampler of a window's photos.
        channels: channels of the photos.
    """

    def __init__(
        self,
        shards: Shards,
        held_out: Sequence[int],
        scale: int,
        window: int,
        window_steps: int,
        seed: int,
        sampler: Callable[[list[PreparedPhoto]], CropSampler],
        channels: Channels = 3,
    ) -> None:
        self.shards, self._held_out, self._scale, self._channels = shards, set(held_out), scale, channels
        self._window, self._steps, self._seed, self._sampler = window, window_steps, seed, sampler
        self._starts = [0, *accumulate(shards.counts)]
        self._pool = ThreadPoolExecutor(1)
        self._made: tuple[int, CropSampler] | None = None
        self._next: tuple[int, Future[CropSampler]] | None = None

    def batch(self, step: int) -> Batch:
        """Return this process's crops of ``step``."""
        return self._of_window(step // self._steps).batch(step)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last`` - 1; the next window is read in the background."""
        while first < last:
            window = first // self._steps
            sampler = self._of_window(window)
            end = min(last, (window + 1) * self._steps)
            if end < last:
                self._next = (window + 1, self._pool.submit(self._read, window + 1))
            yield from sampler.batches(first, end)
            first = end

    def _of_window(self, window: int) -> CropSampler:
        if self._made is None or self._made[0] != window:
            if self._next is not None and self._next[0] == window:
                made = self._next[1].result()
            else:
                made = self._read(window)
            self._made = (window, made)
        return self._made[1]

    def _read(self, window: int) -> CropSampler:
        """Return the sampler of a window, without held-out photos.

        If all of its photos are held out or smaller than the crops, the next windows' photos take their part.
        """
        last = window + -(-self.shards.photos // self._window)  # an epoch further on: every photo was seen
        for number in range(window, last):
            try:
                return self._sampler_of(number)
            except PhotosTooSmall:
                continue
        return self._sampler_of(last)

    def _sampler_of(self, window: int) -> CropSampler:
        with ThreadPoolExecutor(2) as decoders:
            contents = self.contents(window)
            waiting = [
                decoders.submit(prepared_content, name, content, self._scale, self._channels)
                for name, content in contents
            ]
            return self._sampler([ready.result() for ready in waiting])

    def contents(self, window: int) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each photo of a window, undecoded."""
        total = self.shards.photos
        first, last = window * self._window, (window + 1) * self._window
        while first < last:
            epoch, first_in_epoch = divmod(first, total)
            count = min(last - first, total - first_in_epoch)
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self.shards.files)).tolist()
            indices = _OrderToIndex(self._starts, order)
            found = photos_at(self.shards, order, first_in_epoch, first_in_epoch + count)
            for number, sample in enumerate(found, first_in_epoch):
                if indices[number] not in self._held_out:
                    yield sample
            first += count


class _OrderToIndex:
    """Maps a photo's number in an epoch's order to its index in the shards' original order."""

    def __init__(self, starts: Sequence[int], order: Sequence[int]) -> None:
        self._starts, self._order = starts, order
        self._ends = list(accumulate(starts[shard + 1] - starts[shard] for shard in order))

    def __getitem__(self, number: int) -> int:
        at = bisect_right(self._ends, number)
        shard = self._order[at]
        before = self._ends[at - 1] if at else 0
        return self._starts[shard] + number - before


def prepared_at(shards: Shards, indices: Sequence[int], scale: int, channels: Channels = 3) -> list[PreparedPhoto]:
    """Return the photos at the given indices, prepared for validation."""
    order = range(len(shards.files))
    return [
        prepared_content(name, content, scale, channels)
        for number in indices
        for name, content in photos_at(shards, order, number, number + 1)
    ]
