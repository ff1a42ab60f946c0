"""Animated PNG: reading frames and composing each on the frames before it (PNG 3rd edition, 4.9 and 11.3.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats.png.chunks import INFLATION, Chunk, DamagedPng, Header, pack_header, rebuilt

Array = NDArray[Any]

TO_BACKGROUND, TO_PREVIOUS = 1, 2
"""How a frame's area is disposed of before the next frame (dispose_op)."""
OVER = 1
"""Composite the frame over the canvas (blend_op); otherwise it replaces its area."""


@dataclass(frozen=True)
class Part:
    """One frame as stored: an image, its position on the canvas, its duration, and how it is composed."""

    header: Header
    x: int
    y: int
    milliseconds: float
    disposal: int
    blending: int
    data: list[bytes] = field(default_factory=list)
    """Contents of its IDAT chunks."""

    def file(self, palette: Sequence[Chunk]) -> bytes:
        """Return the frame as a PNG file; ``palette`` are the PLTE and tRNS chunks of the animation."""
        return rebuilt([(b"IHDR", pack_header(self.header)), *palette, (b"IDAT", b"".join(self.data)), (b"IEND", b"")])


def read_parts(chunks: Sequence[Chunk], header: Header, lenient: bool = False) -> list[Part]:
    """Return the frames of an animated PNG, in order; none if it is not animated.

    The IDAT image is a frame only if a frame control precedes it. Raises DamagedPng if a frame is damaged or out of
    sequence; if ``lenient``, the frames before it are returned instead.
    """
    kinds = [kind for kind, _ in chunks]
    if b"acTL" not in kinds or b"IDAT" not in kinds or kinds.index(b"acTL") > kinds.index(b"IDAT"):
        return []
    parts: list[Part] = []
    try:
        for part in _parts(chunks, header):
            parts.append(part)
    except DamagedPng:
        if not lenient:
            raise
    return parts


def _parts(chunks: Sequence[Chunk], header: Header) -> Iterator[Part]:
    """Yield each frame once it is complete (section 11.3.4: fcTL and fdAT share one sequence number)."""
    part: Part | None = None
    count = 0
    for kind, content in chunks:
        if kind == b"fcTL" and part is not None:
            yield _whole(part)
        if kind in (b"fcTL", b"fdAT"):
            if content[:4] != count.to_bytes(4, "big"):
                raise DamagedPng("the frames of its animation are out of order")
            count += 1
        if kind == b"fcTL":
            part = _part(content, header)
        elif part is not None and kind in (b"IDAT", b"fdAT"):
            part.data.append(content if kind == b"IDAT" else content[4:])
    if part is not None:
        yield _whole(part)


def _whole(part: Part) -> Part:
    if part.header.raw_size() > INFLATION * sum(map(len, part.data)):
        raise DamagedPng("a frame has less data than its size requires")
    return part


def announced_frames(chunks: Sequence[Chunk]) -> int | None:
    """Return the number of frames in the animation control, or None if there is none."""
    return next((int.from_bytes(content[:4], "big") for kind, content in chunks if kind == b"acTL"), None)


def still_apart(chunks: Sequence[Chunk]) -> bool:
    """Return whether the IDAT image is not a frame of the animation; viewers of the animation do not show it."""
    kinds = [kind for kind, _ in chunks]
    return b"fcTL" in kinds and kinds.index(b"IDAT") < kinds.index(b"fcTL")


def plays(chunks: Sequence[Chunk]) -> int:
    """Return how many times the animation plays; 0 is for ever."""
    content = next(content for kind, content in chunks if kind == b"acTL")
    if len(content) != 8:
        raise DamagedPng("its animation control chunk is invalid")
    return int.from_bytes(content[4:], "big")


def _part(content: bytes, canvas: Header) -> Part:
    if len(content) != 26:
        raise DamagedPng("a frame control chunk is invalid")
    _, width, height, x, y, numerator, denominator, disposal, blending = struct.unpack(">IIIIIHHBB", content)
    if not width or not height or x + width > canvas.width or y + height > canvas.height:
        raise DamagedPng("a frame extends outside the image")
    header = Header(width, height, canvas.depth, canvas.colour, canvas.interlaced)
    return Part(header, x, y, 1000 * numerator / (denominator or 100), disposal, blending)


def composed(canvas: Header, parts: Sequence[Part], decode: Callable[[Part], Array], white: int) -> Iterator[Array]:
    """Yield each composed frame, (H, W, 2 or 4) with straight alpha, in the sample type of ``decode``.

    Args:
        canvas: header of the animation.
        parts: from ``read_parts``.
        decode: decodes a part's own pixels, (h, w, 1 to 4).
        white: full intensity of the samples.
    """
    screen: Array | None = None
    for number, part in enumerate(parts):
        pixels = _with_alpha(decode(part), white)
        if screen is None:
            screen = np.zeros((canvas.height, canvas.width, pixels.shape[2]), pixels.dtype)
        region = screen[part.y : part.y + part.header.height, part.x : part.x + part.header.width]
        before = region.copy()
        region[...] = _over(pixels, before, white) if part.blending == OVER else pixels
        yield screen.copy()
        if part.disposal == TO_PREVIOUS and number > 0:
            region[...] = before
        elif part.disposal in (TO_BACKGROUND, TO_PREVIOUS):
            region[...] = 0


def _with_alpha(pixels: Array, white: int) -> Array:
    if pixels.shape[2] in (2, 4):
        return pixels
    return np.concatenate((pixels, np.full_like(pixels[:, :, :1], white)), axis=2)


def _over(above: Array, below: Array, white: int) -> Array:
    """Porter-Duff 'over' with straight alpha, rounded half up; exact if ``above`` is opaque or transparent."""
    a, b = (layer[:, :, -1:] / white for layer in (above, below))
    alpha = a + b * (1 - a)
    colours = above[:, :, :-1] * a + below[:, :, :-1] * b * (1 - a)
    colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    mixed = np.floor(np.concatenate((colours, alpha * white), axis=2) + 0.5).astype(above.dtype)
    out: Array = np.where(a == 1, above, np.where(a == 0, below, mixed))
    return out
