"""``gramgan_cli.bench`` and ``compare``: measuring models on datasets, and comparing them on one photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal, Self, TypedDict, Unpack

from gramgan_cli.api.arguments import AnyPath, check_known, check_scale, listed
from gramgan_cli.api.callbacks import ignore
from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.data.datasets import find_dataset
from gramgan_cli.core.errors import check_choice
from gramgan_cli.core.io.folders import data_dir as default_dir
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.core.weights.speeds import Speed, record_speeds
from gramgan_cli.engines.measure.bench import (
    BenchOptions,
    Enlarged,
    Measured,
    check_images,
    lr_note,
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
    """Keyword arguments of ``bench``. Defaults are those of ``gramgan bench``."""

    metrics: str | Sequence[str]
    """One or several metrics besides PSNR and SSIM: gram, spectrum, lpips, dists, niqe, fid, and plugins' metrics."""
    lpips_features: AnyPath
    """VGG16 weights for LPIPS, a file with torchvision's names; ImageNet's AlexNet by default."""
    convention: Literal["modern", "classic", "rgb", "grey"]
    """Convention of PSNR and SSIM."""
    scale: int
    """Scale factor of interpolations, 2 to 16."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    tile: int | Literal["auto"]
    """Tile side in input pixels; 0 for whole pictures."""
    data_dir: AnyPath
    """Folder of named datasets."""
    report: AnyPath
    """Report file: .html or .md with pictures, .csv or .tex."""
    save_images: AnyPath
    """Folder for all results, as ``DIR/DATASET/MODEL/NAME.png``."""
    overwrite: bool
    """Replace existing results and reports."""


def bench(
    datasets: AnyPath | Sequence[AnyPath],
    models: str | Sequence[str] | None = None,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_result: Callable[[Enlarged], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[BenchArguments],
) -> Measured:
    """Measure models on datasets: PSNR and SSIM by a convention used in papers, and further metrics.

    Args:
        datasets: one or several folders, or names such as ``Set5``.
        models: one or several names, files, mixtures or interpolations; bicubic and the default model by default.
        on_progress: called with (pictures done, total). An exception that it raises stops the run.
        on_result: called with each result and its pixels.
        on_note: called with messages for the user.
        **arguments: ``BenchArguments``.

    Returns:
        ``scores`` (per dataset and model: means, speed and each picture's values) and ``failures``.

    Raises:
        GramganError: no picture could be measured, or a model can't be loaded.
        UsageError: an argument has a value that it can't have, models have different scales, or one is given twice.
    """
    check_known(arguments, BenchArguments)
    convention = arguments.get("convention", "modern")
    check_choice("convention", convention, CONVENTIONS)
    if (scale := arguments.get("scale")) is not None:
        check_scale(scale)
    output = _Output.of(arguments)
    device = pick_device(arguments.get("device", "auto"))
    chosen = listed(models) if models else ["bicubic", chosen_model()]
    enlargers = open_enlargers(chosen, device, arguments.get("tile", "auto"), on_note, scale)
    folders = [Path(arguments["data_dir"])] if "data_dir" in arguments else [default_dir()]
    sets = with_distinct_names([find_dataset(one, folders, enlargers[0].scale) for one in listed(datasets)])
    if output.images:
        check_images(output.images, sets, enlargers, output.overwrite)
    features = arguments.get("lpips_features")
    options = BenchOptions(
        convention=CONVENTIONS[convention],
        metrics=open_metrics(listed(arguments.get("metrics", ())), device, Path(features) if features else None),
    )

    if note := lr_note(sets, enlargers, options.convention):
        on_note(note)

    def result(enlarged: Enlarged) -> None:
        output.add(enlarged)
        on_result(enlarged)

    measured = run_bench(sets, enlargers, options, on_result=result, on_progress=on_progress)
    for file in output.finish(measured):
        on_note(f"Report: {file}")
    record_speeds(_speeds(measured, dict(zip((one.name for one in enlargers), chosen, strict=True)), str(device)))
    return measured


LEAST_MEGAPIXELS = 0.25
"""Least size of all results of a model, from which its speed is kept: on less, start-up costs dominate."""


def _speeds(measured: Measured, names: Mapping[str, str], device: str) -> dict[str, Speed]:
    """Speeds of the stored models by SHA-256, over all datasets; ``names`` maps labels to the models' names."""
    speeds = {}
    for label, name in names.items():
        stored = None if Path(name).exists() else store.find(name)
        megapixels = sum(score.megapixels for score in measured.scores if score.model == label)
        seconds = sum(score.seconds for score in measured.scores if score.model == label)
        if stored is not None and seconds and megapixels >= LEAST_MEGAPIXELS:
            speeds[stored.sha256] = Speed(megapixels / seconds, device, date.today().isoformat())
    return speeds


@dataclass
class _Output:
    """Files that ``bench`` writes."""

    report: Path | None
    images: Path | None
    overwrite: bool
    gallery: Gallery = field(default_factory=Gallery)

    @classmethod
    def of(cls, arguments: BenchArguments) -> Self:
        """Files that the arguments ask for. Raises GramganError if one can't be written."""
        overwrite = arguments.get("overwrite", False)
        report = Path(arguments["report"]) if "report" in arguments else None
        if report:
            check_report_path(report, overwrite)
        return cls(report, Path(arguments["save_images"]) if "save_images" in arguments else None, overwrite)

    def add(self, enlarged: Enlarged) -> None:
        """Add one model's result for one picture."""
        if self.report and self.report.suffix.lower() in WITH_PICTURES:
            self.gallery.add(enlarged)
        if self.images:
            save_image(self.images, enlarged)

    def finish(self, measured: Measured) -> list[Path]:
        """Write the report, if requested; return its files."""
        return write_report(self.report, measured, self.gallery.rows) if self.report else []


class CompareArguments(TypedDict, total=False):
    """Keyword arguments of ``compare``. Defaults are those of ``gramgan compare``."""

    denoise: float | None
    """0 for a clean photo, 1 removes noise, blur and JPEG blocks. Chooses the model if none is named."""
    style: float | None
    """0 is accurate, 1 is rich in texture; for the default model, clean and photo."""
    is_hr: bool
    """The photo is HR: downscale it first, and measure the results against it."""
    halve: bool
    """Halve the photo's sides first (Lanczos)."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    tile: int | Literal["auto"]
    """Tile side in input pixels; 0 for the whole photo."""
    overwrite: bool
    """Replace an existing file."""


def compare(
    photo: AnyPath,
    output: AnyPath | None = None,
    models: str | Sequence[str] | None = None,
    *,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[CompareArguments],
) -> Comparison:
    """Compare models on one photo: a grid with zoomed crops, or a page with a before/after slider and zoom.

    Args:
        photo: picture to upscale.
        output: picture (.png, .jpg, .webp) or page (.html); ``PHOTO_compare.png`` next to the photo by default.
        models: one or several names, files or mixtures; the default model by default. Bicubic is always included.
        on_note: called with messages for the user.
        **arguments: ``CompareArguments``.

    Returns:
        The versions with their pixels and, with ``is_hr``, PSNR and SSIM; and the file, as ``output``.

    Raises:
        UsageError: ``output`` has an unsupported ending, or a model needs a reference.
        TargetExists: ``output`` exists.
        GramganError: the photo can't be read or is too small, or a model can't be loaded.
    """
    check_known(arguments, CompareArguments)
    picture = Path(photo)
    target = picture.with_name(f"{picture.stem}_compare.png") if output is None else Path(output)
    check_comparison(target, picture, arguments.get("overwrite", False))
    named: Sequence[str | None] = listed(models) if models else [None]
    amounts = arguments.get("denoise"), arguments.get("style")
    chosen = [chosen_model(name, *amounts) for name in named]  # of bicubic too: it refuses the amounts
    names = [name for name in chosen if name != "bicubic"]
    device = pick_device(arguments.get("device", "auto"))
    enlargers = with_bicubic(open_enlargers(names, device, arguments.get("tile", "auto"), on_note))
    options = CompareOptions(is_hr=arguments.get("is_hr", False), halve=arguments.get("halve", False))
    if target.suffix.lower() == ".html":
        check_size(*result_size(picture, options, enlargers[0].scale), picture)
    comparison = run_compare(picture, enlargers, options)
    write = write_page if target.suffix.lower() == ".html" else write_grid
    write(target, comparison)
    return replace(comparison, output=target)
