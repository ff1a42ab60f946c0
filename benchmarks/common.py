"""Common parts of the benchmarks: computer, photos, and results with their goals, saved as JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "ncnn", "openvino", "onnxruntime", "spandrel", "scipy", "faiss-cpu", "numpy")


@dataclass(frozen=True)
class Goal:
    """A measured value and its goal."""

    name: str
    value: float | None
    """The measured value; None if not measured."""
    sense: Literal[">=", "<="]
    goal: float
    required: float | None = None
    note: str = ""

    def reached(self, bound: float) -> bool:
        assert self.value is not None
        return self.value >= bound if self.sense == ">=" else self.value <= bound

    def line(self) -> str:
        """One line for the terminal."""
        if self.value is None:
            result, value = "not measured", "-"
        else:
            value = f"{self.value:.3g}"
            result = "reached" if self.reached(self.goal) else "missed"
            if result == "missed" and self.required is not None and self.reached(self.required):
                result = "required reached"
        required = "" if self.required is None else f" (required {self.sense} {self.required:g})"
        note = f"  {self.note}" if self.note else ""
        return f"{self.name:58} {value:>8}  goal {self.sense} {self.goal:g}{required}: {result}{note}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Argument parser with the options of all benchmarks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="where the result goes; default: benchmarks/results/NAME.json")
    return made


def cpu_name() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Processor, cores, system, versions and date, without names of hosts or folders."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions,
        "date": datetime.now(UTC).date().isoformat(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def keep(name: str, path: Path | None, rows: Any, goals: Sequence[Goal]) -> None:
    """Print the goals and write all results."""
    for goal in goals:
        print(goal.line())
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"benchmark": name, "machine": machine(), "rows": rows, "goals": [asdict(goal) for goal in goals]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def seconds(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def median_seconds(run: Callable[[], object], repetitions: int) -> float:
    """Median seconds of several calls, after a warm-up."""
    run()
    return statistics.median(seconds(run) for _ in range(repetitions))


def write_photos(folder: Path, count: int, size: tuple[int, int], suffix: str = ".jpg") -> list[Path]:
    """Write different photos of (width, height), made from upscaled windows of scikit-image's examples."""
    import numpy as np
    import skimage.data
    from PIL import Image

    sources = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        source = Image.fromarray(sources[number % len(sources)])
        side = int(min(source.size) * rng.uniform(0.6, 0.95))
        left, top = (int(rng.integers(0, length - side)) for length in source.size)
        photo = source.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.BICUBIC)
        path = folder / f"{number:03}{suffix}"
        photo.save(path, quality=92)
        paths.append(path)
    return paths


def write_bank(folder: Path) -> Path:
    """Write a texture bank of such photos."""
    from gramgan_cli.engines.data.bank import build_bank

    photos = folder / "photos"
    photos.mkdir()
    write_photos(photos, 8, (768, 512))
    build_bank(photos, folder / "bank.safetensors", max_patches=50_000)
    return folder / "bank.safetensors"
