"""Reads and writes mutated pictures in a separate process: ``python fuzz_photos.py COUNT SEED``.

A crash, a hang (ten seconds) or an exception other than GramganError ends the process with an error. Prints JSON with
the numbers of mutated pictures with a result and with an error, the slowest time and the peak memory.
"""

from __future__ import annotations

import faulthandler
import io
import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import hypothesis
import imagecodecs
import numpy as np
from fuzz_structure import OPERATIONS, restructured
from hypothesis import strategies as st
from photo_cases import CASES
from photo_corpus import exif_with, scene, with_pillow
from photo_parts import ADOBE_RGB, XMP, drawn_frames, make_apng, with_thumbnail
from PIL import Image

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import FORMATS
from gramgan_cli.core.images.output_format import choose_format, plan_target
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.write import encode

TIME_LIMIT = 120  # seconds for one picture, so that a hang ends even on a slow machine


def seeds() -> list[bytes]:
    """One file of each kind in the corpus, and some with all metadata, frames and pages."""
    frames = [Image.fromarray(np.roll(scene(3), 4 * index, axis=1)) for index in range(3)]
    everything = {"exif": exif_with(6), "icc_profile": ADOBE_RGB, "xmp": XMP}
    rich = [with_pillow(scene(3), form, **everything) for form in ("JPEG", "WEBP", "AVIF")]
    rich += [with_pillow(scene(3), "JPEG", exif=b"Exif\0\0" + with_thumbnail(order)) for order in "<>"]
    rich += [
        with_pillow(frames[0], form, save_all=True, append_images=frames[1:]) for form in ("GIF", "PNG", "WEBP", "TIFF")
    ]
    rich += [make_apng(drawn_frames(channels, 0), 8, colour, [(1, 10)] * 7) for channels, colour in ((3, 2), (4, 6))]
    deep = [(np.roll(scene(4, np.uint16), index, axis=1), 0, 0, 1, 1) for index in range(3)]
    rich.append(make_apng(deep, 16, 6, [(1, 30)] * 3, still=True))
    rich += [imagecodecs.jpegxl_encode(scene(3, dtype), lossless=True) for dtype in (np.uint8, np.uint16)]
    return [case.make() for case in CASES] + rich


NUMBERS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\0\1\0\0", b"\xff\xff", b"\0\0"]

STRUCTURAL = {f"part: {operation}": operation for operation in OPERATIONS}
"""Mutations of whole parts, by their names among the others."""

position = st.floats(0, 1, exclude_max=True)
mutation = st.one_of(
    st.tuples(st.just("flip"), position, st.integers(0, 7)),
    st.tuples(st.just("early flip"), position, st.integers(0, 7)),
    st.tuples(st.just("byte"), position, st.integers(0, 255)),
    st.tuples(st.just("number"), position, st.sampled_from(NUMBERS)),
    st.tuples(st.just("early number"), position, st.sampled_from(NUMBERS)),
    st.tuples(st.just("cut"), position, st.just(0)),
    st.tuples(st.just("remove"), position, st.integers(1, 40)),
    st.tuples(st.just("repeat"), position, st.integers(1, 40)),
    st.tuples(st.just("insert"), position, st.binary(min_size=1, max_size=16)),
    *(st.tuples(st.just(operation), position, st.integers(0, 40)) for operation in STRUCTURAL),
)
"""Strategy for (kind of mutation, position as a fraction of the length, value)."""


def mutated(data: bytes, mutations: list[tuple[str, float, object]]) -> bytes:
    """Apply all mutations to a file."""
    out = bytearray(data)
    for kind, part, value in mutations:
        if not out:
            break
        if kind in STRUCTURAL:
            out[:] = restructured(bytes(out), STRUCTURAL[kind], part, value)
            continue
        length = min(len(out), 120) if kind.startswith("early") else len(out)
        at = int(part * length)
        if kind.endswith("flip"):
            out[at] ^= 1 << value
        elif kind == "byte":
            out[at] = value
        elif kind.endswith("number"):
            out[at : at + len(value)] = value
        elif kind == "cut":
            del out[at:]
        elif kind == "remove":
            del out[at : at + value]
        elif kind == "repeat":
            out[at:at] = out[at : at + value]
        else:
            out[at:at] = value
    return bytes(out)


def read_and_write(data: bytes, allow_truncated: bool, form: str | None) -> None:
    """Read, plan and write a picture; only read it if the result would be huge."""
    photo = open_photo(data, "x", allow_truncated)
    frames = list(photo.decode())
    target, _ = plan_target(
        photo,
        FORMATS[form] if form else choose_format(photo, "default"),
        tuple((frame.width, frame.height) for frame in photo.frames),
        90,
    )
    for array, frame in zip(frames, photo.frames, strict=True):
        assert array.shape == (frame.height, frame.width, frame.channels)
        assert array.dtype == frame.dtype
    if sum(frame.width * frame.height for frame in photo.frames) < 10**6:
        file = io.BytesIO()
        encode(target, [[np.nan_to_num(array)] for array in frames], file)
        again = open_photo(file.getvalue(), "result")
        assert sum(1 for _ in again.decode()) == len(frames)


def main(count: int, seed: int) -> None:
    """Run ``count`` mutated pictures; a warning of numpy's ends the process, too."""
    warnings.simplefilter("error", RuntimeWarning)
    files = seeds()
    counts: Counter[str] = Counter()
    slowest = 0.0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,  # the watchdog below also ends calls that never return
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        st.integers(0, len(files) - 1),
        st.lists(mutation, min_size=1, max_size=6),
        st.booleans(),
        st.sampled_from([None, *FORMATS]),
    )
    def survives(number: int, mutations: list[tuple[str, float, object]], allow: bool, form: str | None) -> None:
        nonlocal slowest
        broken = mutated(files[number], mutations)
        faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
        started = time.perf_counter()
        try:
            read_and_write(broken, allow, form)
            counts["results"] += 1
        except GramganError as error:
            assert "\n" not in str(error)  # noqa: PT017  (not a test of pytest's)
            counts["errors"] += 1
        finally:
            faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, time.perf_counter() - started)

    survives()
    print(json.dumps({**counts, "slowest_s": round(slowest, 2), "peak_mb": peak_megabytes()}))


def peak_megabytes() -> int | None:
    """Peak resident memory of this process in MB; None if the system does not report it.

    Read from Linux's status file, since getrusage includes the memory of the process that forked this one.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) // 2**10


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
