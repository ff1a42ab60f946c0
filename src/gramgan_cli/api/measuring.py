"""``gramgan_cli.bench``: models measured on datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import fspath
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from gramgan_cli.api.callbacks import ignore
from gramgan_cli.api.options import AnyPath
from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.data.datasets import find_dataset
from gramgan_cli.core.io.folders import data_dir as default_dir
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.engines.measure.bench import BenchOptions, Enlarged, Measured, with_distinct_names
from gramgan_cli.engines.measure.bench import bench as run_bench
from gramgan_cli.engines.measure.conventions import CONVENTIONS
from gramgan_cli.engines.measure.enlargers import open_enlargers
from gramgan_cli.engines.measure.metrics import open_metrics

__all__ = ["Measured", "bench"]


class BenchArguments(TypedDict, total=False):
    """How models are measured. Every default is that of ``gramgan bench``."""

    metrics: Sequence[str]
    """What is measured beside PSNR and SSIM: gram, spectrum, lpips, dists, niqe, and plugins' metrics."""
    lpips_features: AnyPath
    """The VGG16 that LPIPS looks through, a file in torchvision's names. AlexNet of ImageNet by default."""
    convention: Literal["modern", "classic", "rgb", "grey"]
    """How PSNR and SSIM are measured."""
    scale: int
    """The factor, for interpolations."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    tile: int | Literal["auto"]
    """Side of a tile in input pixels, 0 for whole pictures."""
    data_dir: AnyPath
    """Where named sets lie."""


def bench(
    datasets: AnyPath | Sequence[AnyPath],
    models: Sequence[str] | None = None,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_result: Callable[[Enlarged], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[BenchArguments],
) -> Measured:
    """Measure models on datasets: PSNR and SSIM as the papers' tables have them, and more.

    Args:
        datasets: folders, or names such as ``Set5``; or one of them.
        models: names, files, mixtures or interpolations. None is bicubic and what ``gramgan upscale`` uses.
        on_progress: called with the pictures that are done, and all pictures. An exception that it raises stops.
        on_result: called with each result, for callers that want the pixels.
        on_note: called with a sentence that the user should know.
        **arguments: ``BenchArguments``.

    Returns:
        ``scores`` (for each dataset and model: means, speed, each picture's values) and ``failures``.

    Raises:
        GramganError: not one picture could be measured, or a model can't be loaded.
        UsageError: models of different scales, or one of them twice.
    """
    unknown = arguments.keys() - BenchArguments.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown argument '{min(unknown)}'")
    named = [datasets] if isinstance(datasets, str) or not isinstance(datasets, Sequence) else datasets
    device = pick_device(arguments.get("device", "auto"))
    chosen = models or ["bicubic", chosen_model()]
    enlargers = open_enlargers(chosen, device, arguments.get("tile", "auto"), on_note, arguments.get("scale"))
    folders = [Path(arguments["data_dir"])] if "data_dir" in arguments else [default_dir()]
    sets = with_distinct_names([find_dataset(fspath(one), folders, enlargers[0].scale) for one in named])
    features = arguments.get("lpips_features")
    options = BenchOptions(
        convention=CONVENTIONS[arguments.get("convention", "modern")],
        metrics=open_metrics(arguments.get("metrics", ()), device, Path(features) if features else None),
    )
    return run_bench(sets, enlargers, options, on_result=on_result, on_progress=on_progress)
