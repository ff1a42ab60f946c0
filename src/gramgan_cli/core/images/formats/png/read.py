"""Reading PNG and animated PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.formats.png.apng import (
    Part,
    announced_frames,
    composed,
    plays,
    read_parts,
    still_apart,
)
from gramgan_cli.core.images.formats.png.chunks import (
    ANCILLARY,
    INFLATION,
    SAFE_TO_COPY,
    SAMPLES,
    Chunk,
    DamagedPng,
    Header,
    end_of,
    header_of,
    interlacing_passes,
    read_chunks,
    rebuilt,
    repaired,
    unpack_profile,
    unpack_text,
    unpack_xmp,
)
from gramgan_cli.core.images.limits import IF_REAL, check_size, check_total
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Animation, Frame, Metadata, Photo, after_end, left_out, plausible_dpi
from gramgan_cli.core.images.samples import EIGHT, SIXTEEN

Array = NDArray[Any]

PASSED_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tIME"))
"""Chunks that stay valid for a larger image of any colour type."""

KEPT_CHUNKS = PASSED_CHUNKS | {b"pHYs", b"eXIf", b"iCCP", b"bKGD"}
"""Chunks whose content is kept in the result."""

IMAGE_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
"""Chunks of the (still) image itself."""

UNTRUE_CHUNKS = frozenset((b"acTL", b"fcTL", b"fdAT", b"sBIT", b"hIST", b"sPLT", b"iDOT"))
"""Chunks about the storage of this file's pixels, which the result has of its own."""

NAMED_CHUNKS = {
    b"oFFs": "the page offset (oFFs)",
    b"vpAg": "the page size (vpAg)",
    b"caNv": "the canvas size (caNv)",
    b"sCAL": "the physical scale of the subject (sCAL)",
    b"pCAL": "the calibration of the pixel values (pCAL)",
    b"sTER": "the stereo image layout (sTER)",
    b"dSIG": "the digital signature (dSIG)",
}
"""Chunks that are lost -> their description."""


def open_png(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a still or animated PNG."""
    chunks, wrong = read_chunks(data, whole=not lenient)
    header = header_of(chunks)
    chunks = [_scaled_key(chunk, header) for chunk in chunks]
    check_size(name, header.width, header.height, len(data))
    if not lenient and header.raw_size() > INFLATION * len(data):
        declared = f"{header.width}x{header.height} pixels in {len(data)} bytes"
        raise GramganError(f"{name} declares {declared}, so gramgan refuses to open it.", IF_REAL)
    metadata, notes = _png_metadata(chunks)
    if chunks[-1][0] != b"IEND":
        notes += [] if lenient else ["Its end is missing: its image is complete, but anything that followed is lost."]
        chunks.append((b"IEND", b""))
    metadata = replace(metadata, png_chunks=(*metadata.png_chunks, *_background(chunks, header)))
    orientation, metadata, damaged = pillow.oriented(metadata)
    notes += [*damaged, *(f"The checksum of its chunk {kind} is wrong, so the chunk was left out." for kind in wrong)]
    notes += left_out(_lost(chunks, data))
    parts = read_parts(chunks, header, lenient)
    if lenient:
        parts = list(_decodable(chunks, parts))
    notes += _other_count(announced_frames(chunks), len(parts))
    if len(parts) > 1 or (parts and still_apart(chunks)):
        return _animated_png(chunks, header, parts, name, metadata, orientation, notes)
    # Text and profiles may decompress to gigabytes, which decoders reject; pass only the chunks of the image.
    essential = [chunk for chunk in chunks if chunk[0] in IMAGE_CHUNKS]
    if not any(kind == b"IDAT" for kind, _ in essential):
        raise DamagedPng("it has no image data")
    image_data = repaired(chunks) if lenient else rebuilt(essential)
    key = next((content for kind, content in chunks if kind == b"tRNS"), None)
    if header.depth == 16:
        channels, dtype = SAMPLES[header.colour] + (key is not None and header.colour in (0, 2)), SIXTEEN
    else:
        channels, dtype = pillow.kind_of(pillow.image_of(image_data, False))

    def decode() -> Iterator[Array]:
        if header.depth == 16:
            stored = _deep_png(image_data, header, key)
        else:
            stored = pillow.array_of(pillow.image_of(image_data, False), channels, None)
        yield upright(stored, orientation)

    frame = Frame(*upright_size(header.width, header.height, orientation), channels, dtype)
    return Photo(name, "png", (frame,), True, decode, metadata, warnings=tuple(notes))


def _scaled_key(chunk: Chunk, header: Header) -> Chunk:
    """Convert a transparent grey of 2 or 4 bits to 8 bits, which Pillow compares with stretched samples."""
    kind, content = chunk
    if kind != b"tRNS" or header.colour != 0 or header.depth not in (2, 4):
        return chunk
    stretched = int.from_bytes(content[:2], "big") * 255 // (2**header.depth - 1)
    return kind, stretched.to_bytes(4, "big")[-2:]


def _animated_png(
    chunks: Sequence[Chunk],
    header: Header,
    parts: Sequence[Part],
    name: str,
    metadata: Metadata,
    orientation: int,
    notes: list[str],
) -> Photo:
    pixels, deep = _part_decoder(chunks), header.depth == 16
    check_total(name, header.width * header.height * len(parts), sum(len(content) for _, content in chunks))
    white = 65535 if deep else 255
    opaque = all(frame[:, :, -1].min() == white for frame in composed(header, parts, pixels, white))
    channels = (1 if header.colour in (0, 4) else 3) + (not opaque)

    def decode() -> Iterator[Array]:
        for frame in composed(header, parts, pixels, white):
            yield upright(frame[:, :, :channels], orientation)

    if still_apart(chunks):
        notes.append("The still image for programs that can't show animations was left out.")
    width, height = upright_size(header.width, header.height, orientation)
    frames = (Frame(width, height, channels, SIXTEEN if deep else EIGHT),) * len(parts)
    timing = Animation(tuple(part.milliseconds for part in parts), plays(chunks))
    return Photo(name, "png", frames, True, decode, metadata, timing, tuple(notes))


def _part_decoder(chunks: Sequence[Chunk]) -> Callable[[Part], Array]:
    """Return a function that decodes the pixels of a stored frame."""
    palette = [chunk for chunk in chunks if chunk[0] in (b"PLTE", b"tRNS")]
    key = next((content for kind, content in palette if kind == b"tRNS"), None)

    def pixels(part: Part) -> Array:
        file = part.file(palette)
        if part.header.depth == 16:
            return _deep_png(file, part.header, key)
        image = pillow.image_of(file, False)
        return pillow.array_of(image, pillow.kind_of(image)[0], None)

    return pixels


def _decodable(chunks: Sequence[Chunk], parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the frames before the first one that can't be decoded."""
    pixels = _part_decoder(chunks)
    for part in parts:
        try:
            pixels(part)
        except Exception:  # Pillow and imagecodecs may raise anything for damaged data
            return
        yield part


def _other_count(announced: int | None, found: int) -> list[str]:
    """Return a warning if an animation's number of frames differs from the announced one."""
    if announced is None or announced == found:
        return []
    frames = f"{announced} frame{'s' * (announced != 1)}"
    if not found:
        return [f"Its animation of {frames} is damaged: only its still image was used."]
    return [f"Its animation declares {frames}, but {found} can be read."]


def _deep_png(data: bytes, header: Header, key: bytes | None) -> Array:
    """Decode 16-bit samples, (H, W, C); a transparent colour (tRNS) becomes an alpha channel."""
    essential = [chunk for chunk in read_chunks(data)[0] if chunk[0] in (b"IHDR", b"IDAT", b"IEND")]
    # Without tRNS, with which the decoder would swap bytes; and pass by pass, because it warns about interlacing.
    array = np.empty((header.height, header.width, SAMPLES[header.colour]), np.uint16)
    if header.interlaced:
        for (first_x, first_y, step_x, step_y), part in interlacing_passes(essential):
            samples = array[first_y::step_y, first_x::step_x]
            samples[...] = imagecodecs.png_decode(part).reshape(samples.shape)
    else:
        array[...] = imagecodecs.png_decode(rebuilt(essential)).reshape(array.shape)
    if key is None or header.colour not in (0, 2):
        return array
    colour = np.frombuffer(key[: 2 * array.shape[2]], ">u2")
    alpha = np.where((array == colour).all(axis=2, keepdims=True), 0, 65535).astype(np.uint16)
    return np.concatenate((array, alpha), axis=2)


def _background(chunks: Sequence[Chunk], header: Header) -> Iterator[Chunk]:
    """Yield the background colour (bKGD), converted to the result's samples: no palette, 8 or 16 bits."""
    first = dict(reversed(chunks))
    content, palette = first.get(b"bKGD", b""), first.get(b"PLTE", b"")
    if header.colour == 3 and len(content) == 1 and len(palette) >= 3 * content[0] + 3:
        colour = palette[3 * content[0] : 3 * content[0] + 3]
        yield b"bKGD", b"".join(bytes([0, value]) for value in colour)
    elif header.colour in (0, 4) and len(content) == 2:
        scale = 255 // (2**header.depth - 1) if header.depth < 8 else 1
        yield b"bKGD", (min(int.from_bytes(content, "big"), 2**header.depth - 1) * scale).to_bytes(2, "big")
    elif header.colour in (2, 6) and len(content) == 6:
        yield b"bKGD", content


def _lost(chunks: Sequence[Chunk], data: bytes) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    kinds = dict.fromkeys(kind for kind, _ in chunks)
    if b"caBX" in kinds:
        yield "the C2PA manifest (content credentials)"
    for kind, named in NAMED_CHUNKS.items():
        if kind in kinds:
            yield named
    known = IMAGE_CHUNKS | KEPT_CHUNKS | UNTRUE_CHUNKS | NAMED_CHUNKS.keys() | {b"caBX"}
    unknown = [kind.decode("latin-1") for kind in kinds if kind not in known and not kind[3] & SAFE_TO_COPY]
    if unknown:
        yield f"the private chunk{'s' * (len(unknown) > 1)} {', '.join(unknown)}"
    yield from after_end(data[end_of(data) :])


def _png_metadata(chunks: Sequence[Chunk]) -> tuple[Metadata, list[str]]:
    first: dict[bytes, bytes] = {}
    for kind, content in chunks:
        first.setdefault(kind, content)
    notes = []
    icc = unpack_profile(first[b"iCCP"]) if b"iCCP" in first else None
    if b"iCCP" in first and icc is None:
        notes.append("Its ICC profile is damaged and was left out.")
    packets, passed = list[bytes](), list[Chunk]()
    for kind, content in chunks:
        if kind == b"iTXt" and (packet := unpack_xmp(content)) is not None:
            packets.append(packet)
        elif kind in PASSED_CHUNKS or _is_safe_to_copy(kind) or _is_square(kind, content):
            passed.append((kind, content))
    if len(packets) > 1:
        notes += left_out(["the second XMP packet"])
    comments = (unpack_text(kind, content) for kind, content in passed if content.startswith(b"Comment\0"))
    comment = next((text for text in comments if text is not None), None)
    return Metadata(
        icc=icc,
        exif=first.get(b"eXIf"),
        xmp=packets[0] if packets else None,
        dpi=_png_resolution(first.get(b"pHYs", b"")),
        pixel_aspect=_pixel_aspect(first.get(b"pHYs", b"")),
        comment=comment,
        png_chunks=tuple(passed),
    ), notes


def _png_resolution(content: bytes) -> tuple[float, float] | None:
    """Return the resolution of a pHYs chunk in metres, in pixels per inch."""
    if len(content) != 9 or content[8] != 1:
        return None
    return plausible_dpi(*(int.from_bytes(content[at : at + 4], "big") * 0.0254 for at in (0, 4)))


def _pixel_aspect(content: bytes) -> tuple[int, int] | None:
    """Return the pixel aspect ratio of a pHYs chunk without a unit, if pixels are not square."""
    if len(content) != 9 or content[8] != 0:
        return None
    x, y = int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")
    return (x, y) if x != y and min(x, y) > 0 and max(x, y) <= 65535 else None


def _is_square(kind: bytes, content: bytes) -> bool:
    """Return whether a pHYs chunk only states that pixels are square."""
    return kind == b"pHYs" and _png_resolution(content) is None and _pixel_aspect(content) is None


def _is_safe_to_copy(kind: bytes) -> bool:
    """Return whether an unknown chunk may be copied to a modified image (PNG 3rd edition, 5.4 and 14.2)."""
    known = IMAGE_CHUNKS | KEPT_CHUNKS | UNTRUE_CHUNKS | NAMED_CHUNKS.keys() | {b"caBX"}
    return kind not in known and bool(kind[3] & SAFE_TO_COPY) and bool(kind[0] & ANCILLARY)
