"""Cost of a batch run: seconds per photo and megapixel of one worker, by stage, and the resulting hours and money.

    python benchmarks/bench_archive.py [--model clean] [--device cpu] [--backend auto] [--side 1024] [--price 0.04]

A worker's time for a photo is modelled as a + b * megapixels (of input). Both are measured with the same code as a
batch run: a with photos of 64 x 64, b with photos of SIDE x SIDE, from JPEG to JPEG or PNG. On CPUs, seconds are CPU
time (all threads), which other processes don't affect; on GPUs, wall time. --price is the price of an hour of the
worker's core (or of its GPU, with the cores that it needs).
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SMALL = 64

clock = time.process_time
"""CPU time in seconds; wall time for GPUs."""


def photo(side: int, seed: int) -> bytes:
    """A JPEG of smooth noise, with about as many bytes per pixel as photographs."""
    import numpy as np
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(content, "JPEG", quality=90)
    return content.getvalue()


def archive_seconds(folder: Path, side: int, count: int, session: object, model: str, form: str) -> float:
    """Seconds per photo of a run over ``count`` photos, with records, without loading the model."""
    from gramgan_cli.engines.batch.run import BatchOptions, Run
    from gramgan_cli.engines.batch.worker import Worker
    from gramgan_cli.engines.upscale.options import UpscaleOptions

    source, output = folder / f"in{side}", folder / f"out{side}{form}"
    source.mkdir(exist_ok=True)
    for index in range(count):
        (source / f"{index}.jpg").write_bytes(photo(side, index))
    upscale = UpscaleOptions(model=model, device="cpu", backend="torch", format=form, template="{stem}")  # type: ignore[arg-type]
    options = BatchOptions(inputs=[str(source)], output=str(output), upscale=upscale)
    began = clock()
    work = Run(options, lambda _row: None, lambda _counts: None)

    def engine(order, photos):  # type: ignore[no-untyped-def]
        worker = Worker(order, session)  # type: ignore[arg-type]
        yield from worker.process(photos)
        worker.close()

    counts = work.go(engine)
    assert counts.done == count
    return (clock() - began) / count


def timed(work: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)


def stages(side: int, session: object) -> dict[str, float]:
    """Seconds of each stage for one photo of SIDE x SIDE."""
    import hashlib

    from PIL import Image

    from gramgan_cli.core.images.read import open_photo

    content = photo(side, 0)
    image = next(iter(open_photo(content, "photo.jpg", False).decode()))
    list(session.source.bands(image[:64, :64]))  # type: ignore[attr-defined]
    result = Image.fromarray(image).resize((4 * side, 4 * side), Image.Resampling.BICUBIC)
    jpeg = io.BytesIO()
    result.save(jpeg, "JPEG", quality=95)
    return {
        "decode (JPEG)": timed(lambda: next(iter(open_photo(content, "photo.jpg", False).decode()))),
        "network": timed(lambda: list(session.source.bands(image)), 2),  # type: ignore[attr-defined]
        "encode (JPEG)": timed(lambda: result.save(io.BytesIO(), "JPEG", quality=95)),
        "SHA-256 of both": timed(lambda: (hashlib.sha256(content), hashlib.sha256(jpeg.getvalue()))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clean")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--price", type=float, default=0.04, help="per worker and hour")
    parser.add_argument("--megapixels", type=float, default=1.0, help="of the archive's photos")
    asked = parser.parse_args()
    global clock
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)

    import torch

    from gramgan_cli.engines.upscale.options import UpscaleOptions
    from gramgan_cli.engines.upscale.session import open_session

    torch.set_num_threads(asked.threads)
    session = open_session(UpscaleOptions(model=asked.model, device=asked.device, backend=asked.backend))
    if session.device != "cpu":
        clock = time.perf_counter
    megapixels = asked.side**2 / 1e6
    how = f"on {session.device} with {session.backend or 'numpy'}, {asked.threads} threads"
    print(f"{asked.model} {how}, {asked.side} x {asked.side}")
    for name, seconds in stages(asked.side, session).items():
        print(f"  {name:16} {seconds / megapixels:8.3f} s per megapixel of input")
    for form in ("jpg", "png"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            archive_seconds(folder, SMALL // 2, 4, session, asked.model, form)
            small = archive_seconds(folder, SMALL, 40, session, asked.model, form)
            large = archive_seconds(folder, asked.side, asked.count, session, asked.model, form)
            read = (folder / f"in{asked.side}/0.jpg").stat().st_size / megapixels / 1e6
            written = next((folder / f"out{asked.side}{form}").glob("0.*")).stat().st_size / megapixels / 1e6
        per_megapixel = (large - small) / (megapixels - SMALL**2 / 1e6)
        fixed = max(0.0, small - per_megapixel * SMALL**2 / 1e6)
        print(f"to {form}: a = {fixed:.3f} s per photo, b = {per_megapixel:.3f} s per megapixel")
        print(f"  {read:.2f} MB read and {written:.2f} MB written per megapixel of input")
        seconds = fixed + per_megapixel * asked.megapixels
        print(f"  photos of {asked.megapixels:g} MP: {seconds:.3f} s each")
        for power in range(3, 10):
            hours = 10**power * seconds / 3600
            print(f"    10^{power}: {hours:12,.1f} worker hours, cost {hours * asked.price:12,.2f}")


if __name__ == "__main__":
    main()
