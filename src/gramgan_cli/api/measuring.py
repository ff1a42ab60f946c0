"""``gramgan_cli.bench`` and ``compare``: models measured on datasets, and seen side by side on one photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, TypedDict, Unpack

from gramgan_cli.api.arguments import AnyPath, check_known, listed
from gramgan_cli.api.callbacks import ignore
from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.data.datasets import find_dataset
from gramgan_cli.core.io.folders import data_dir as default_dir
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.engines.measure.bench import (
    BenchOptions,
    Enlarged,
    Measured,
    check_images,
    save_image,
    with_distinct_names,
)
from gramgan_cli.engines.measure.bench import bench as run_bench
from gramgan_cli.engines.measure.compare import (
    CompareOptions,
    Comparison,
    check_comparison,
    result_size,
    with_bicubic,
)
from gramgan_cli.engines.measure.compare import compare as run_compare
from gramgan_cli.engines.measure.compare_grid import write_grid
from gramgan_cli.engines.measure.compare_page import check_size, write_page
from gramgan_cli.engines.measure.conventions import CONVENTIONS
from gramgan_cli.engines.measure.enlargers import open_enlargers
from gramgan_cli.engines.measure.metrics import open_metrics
from gramgan_cli.engines.measure.report import WITH_PICTURES, Gallery, check_report_path, write_report

__all__ = ["Comparison", "Measured", "bench", "compare"]


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
    report: AnyPath
    """Write a report: .html or .md with pictures, .csv or .tex."""
    save_images: AnyPath
    """Write every result as ``DIR/DATASET/MODEL/NAME.png``."""
    overwrite: bool
    """Replace results and reports that exist."""


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
    check_known(arguments, BenchArguments)
    output = _Output.of(arguments)
    device = pick_device(arguments.get("device", "auto"))
    chosen = models or ["bicubic", chosen_model()]
    enlargers = open_enlargers(chosen, device, arguments.get("tile", "auto"), on_note, arguments.get("scale"))
    folders = [Path(arguments["data_dir"])] if "data_dir" in arguments else [default_dir()]
    sets = with_distinct_names([find_dataset(one, folders, enlargers[0].scale) for one in listed(datasets)])
    if output.images:
        check_images(output.images, sets, enlargers, output.overwrite)
    features = arguments.get("lpips_features")
    options = BenchOptions(
        convention=CONVENTIONS[arguments.get("convention", "modern")],
        metrics=open_metrics(arguments.get("metrics", ()), device, Path(features) if features else None),
    )

    def result(enlarged: Enlarged) -> None:
        output.add(enlarged)
        on_result(enlarged)

    measured = run_bench(sets, enlargers, options, on_result=result, on_progress=on_progress)
    for file in output.finish(measured):
        on_note(f"Report: {file}")
    return measured


@dataclass
class _Output:
    """The files that a measurement writes beside what it returns."""

    report: Path | None
    images: Path | None
    overwrite: bool
    gallery: Gallery = field(default_factory=Gallery)

    @classmethod
    def of(cls, arguments: BenchArguments) -> Self:
        """Those that the arguments ask for; what can't be written is an error."""
        overwrite = arguments.get("overwrite", False)
        report = Path(arguments["report"]) if "report" in arguments else None
        if report:
            check_report_path(report, overwrite)
        return cls(report, Path(arguments["save_images"]) if "save_images" in arguments else None, overwrite)

    def add(self, enlarged: Enlarged) -> None:
        """One model's result for one picture."""
        if self.report and self.report.suffix.lower() in WITH_PICTURES:
            self.gallery.add(enlarged)
        if self.images:
            save_image(self.images, enlarged)

    def finish(self, measured: Measured) -> list[Path]:
        """Write the report, if one is asked for."""
        return write_report(self.report, measured, self.gallery.rows) if self.report else []


class CompareArguments(TypedDict, total=False):
    """How models are compared. Every default is that of ``gramgan compare``."""

    denoise: float | None
    """0: the photo is clean, 1: noise, blur and blocks are taken away; where no model is named."""
    style: float | None
    """0: right on average, 1: rich in texture; for the model that is used where none is named, clean and photo."""
    is_hr: bool
    """The photo is a sharp original: reduce it first, and measure the results against it."""
    halve: bool
    """Make the photo half as wide and high first (Lanczos)."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    tile: int | Literal["auto"]
    """Side of a tile in input pixels, 0 for the whole photo."""
    overwrite: bool
    """Replace a file that exists."""


def compare(
    photo: AnyPath,
    output: AnyPath | None = None,
    models: Sequence[str] | None = None,
    *,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[CompareArguments],
) -> Comparison:
    """See models side by side: a grid with enlarged crops, or a page with a before/after slider and zoom.

    Args:
        photo: the picture to enlarge in several ways.
        output: a picture (.png, .jpg, .webp) or a page (.html); ``PHOTO_compare.png`` beside the photo by default.
        models: names, files or mixtures; bicubic is always shown. None is what ``gramgan upscale`` uses.
        on_note: called with a sentence that the user should know.
        **arguments: ``CompareArguments``.

    Returns:
        The versions, each with its pixels and, with ``is_hr``, its PSNR and SSIM; and the file, as ``output``.

    Raises:
        UsageError: an output of another kind, or a model that needs a reference.
        TargetExists: ``output`` exists.
        GramganError: a photo that can't be read or is too small, or a model that can't be loaded.
    """
    check_known(arguments, CompareArguments)
    picture = Path(photo)
    target = picture.with_name(f"{picture.stem}_compare.png") if output is None else Path(output)
    check_comparison(target, picture, arguments.get("overwrite", False))
    named: Sequence[str | None] = models or [None]
    amounts = arguments.get("denoise"), arguments.get("style")
    names = [chosen_model(name, *amounts) for name in named if name != "bicubic"]
    device = pick_device(arguments.get("device", "auto"))
    enlargers = with_bicubic(open_enlargers(names, device, arguments.get("tile", "auto"), on_note))
    options = CompareOptions(is_hr=arguments.get("is_hr", False), halve=arguments.get("halve", False))
    if target.suffix.lower() == ".html":
        check_size(*result_size(picture, options, enlargers[0].scale), picture)
    comparison = run_compare(picture, enlargers, options)
    write = write_page if target.suffix.lower() == ".html" else write_grid
    write(target, comparison)
    return replace(comparison, output=target)
