"""``gramgan bench``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.output import note, print_json, print_table
from gramgan_cli.cli.progress import counting


class Metric(StrEnum):
    """What can be measured beside PSNR and SSIM."""

    gram = "gram"
    spectrum = "spectrum"


def bench(
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET...", help="Folders, or names: Set5, Set14, BSD100, Urban100, ...")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model's name or file, or nearest, bilinear, bicubic, lanczos. Repeatable. "
            "\\[bicubic and what `gramgan upscale` uses]",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where named sets lie. \\[GRAMGAN_DATA, else the user's data folder]"),
    ] = None,
    metric: Annotated[
        list[Metric] | None,
        typer.Option(help="Also measure texture: distance of mean-removed Grams, or of power spectra. Repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps or xpu.")] = "auto",
    tile: Annotated[int | None, typer.Option(min=0, help="Side of a tile, 0 for whole images. \\[what fits]")] = None,
    save_images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every result as DIR/DATASET/MODEL/NAME.png.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report with pictures: FILE.html or FILE.md.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results and reports that exist.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure models: PSNR and SSIM on Y exactly as the papers' tables have them."""
    from gramgan_cli.core.backends.device import pick_device
    from gramgan_cli.core.data.datasets import find_dataset
    from gramgan_cli.core.io.folders import data_dir as default_dir
    from gramgan_cli.core.weights.catalogue import unnamed_model
    from gramgan_cli.engines.measure import bench as engine
    from gramgan_cli.engines.measure import report as reporting
    from gramgan_cli.engines.measure.enlargers import open_enlargers

    if report:
        reporting.check_report_path(report, overwrite)
    enlargers = open_enlargers(
        model or ["bicubic", unnamed_model()], pick_device(device), "auto" if tile is None else tile, note
    )
    scale = enlargers[0].scale
    sets = [find_dataset(name, [data_dir] if data_dir else [default_dir()], scale) for name in datasets]
    engine.check_names(sets)
    if save_images:
        engine.check_images(save_images, sets, enlargers, overwrite)
    gallery = reporting.Gallery()

    def on_result(result: engine.Result) -> None:
        if report:
            gallery.add(result)
        if save_images:
            engine.save_image(save_images, result)

    with counting("Measuring") as progress:
        scores, grey = engine.bench(sets, enlargers, [one.value for one in metric or []], on_result, progress)
    if report:
        reporting.write_report(report, scale, scores, gallery.rows)
        note(f"Report: {report}")
    if json:
        print_json(engine.as_document(scale, scores, grey))
        return
    print_table("", *reporting.accuracy_table(scores))
    texture = reporting.texture_table(scores)
    if texture:
        print_table(reporting.TEXTURE_TITLE, *texture)
    note(
        f"x{scale}; Y of BT.601, not rounded; {scale} px cut from each border; SSIM Gaussian 11x11, sigma 1.5; "
        "results rounded to 8 bit; mean of per-image values."
    )
    if grey:
        note(f"Grey images count as RGB: {', '.join(grey)}.")
