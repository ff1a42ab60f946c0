"""``gramgan upscale``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gramgan_cli.cli import output as out
from gramgan_cli.cli.completion import complete_model
from gramgan_cli.cli.errors import explain
from gramgan_cli.cli.params import Denoise, Json, Style, denoise_of, device_option, tile_of, tile_option
from gramgan_cli.cli.upscale import batch_run as batch
from gramgan_cli.cli.upscale.checks import check_attention, check_options
from gramgan_cli.cli.upscale.lines import DamageNote, PhotoBar, foreign, in_flags, left_out, line_of, runs, summarise
from gramgan_cli.cli.upscale.values import box_of, bytes_of, format_of
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.capabilities import FORMATS, format_of_suffix
from gramgan_cli.core.resize.sizes import SizeChoice

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.options import UpscaleOptions
    from gramgan_cli.engines.upscale.plan import Job
    from gramgan_cli.engines.upscale.result import Result
    from gramgan_cli.engines.upscale.session import Session

RESULT, SIZE, PHOTO, WORK, REFERENCE = "Result", "Size", "Kinds of pictures", "Speed and memory", "Reference"
RECORDS, CLUSTER = "Records of batch runs", "Ray cluster"


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders or globs, as paths or URLs (s3://...); or lists of them (.txt, .jsonl, "
            "or .parquet with a column 'path'). - reads standard input.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="File or folder for the results. - writes to standard output. Default: photo_x4.png next to "
            "photo.png.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE",
            autocompletion=complete_model,
            help="A model from 'gramgan models list', a weights file, or nearest, bilinear, bicubic, "
            "lanczos. Default: a mix of the embedded models, set by --denoise and --style.",
        ),
    ] = None,
    denoise: Denoise = None,
    style: Style = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Include subfolders. The output folder gets the same subfolders.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Keep existing results, even if they were made with other settings."),
    ] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the paths of the results.")] = False,
    format: Annotated[
        Literal["png", "jpg", "jpeg", "webp", "tiff", "tif", "avif", "same"] | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            help="Format of the results. Default: JPEG and WebP keep their format (quality 95); lossless "
            "pictures become PNG.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Quality of JPEG, WebP and AVIF results, 1 to 100. Default: 95, but WebP from a lossless "
            "picture is lossless.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    output_template: Annotated[
        str,
        typer.Option(help="Names of the results. Fields: {stem} {scale} {model} {ext}.", rich_help_panel=RESULT),
    ] = "{stem}_x{scale}",
    outscale: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR",
            help="Enlargement factor, such as 2.5. Default: the factor of the model, 4.",
            rich_help_panel=SIZE,
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Width of the result in pixels. The height follows from it.", rich_help_panel=SIZE),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(min=1, help="Height of the result in pixels. The width follows from it.", rich_help_panel=SIZE),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="Largest size that fits in this box of pixels, such as 3840x2160.", rich_help_panel=SIZE
        ),
    ] = None,
    seamless: Annotated[
        bool,
        typer.Option("--seamless", help="For textures that tile: opposite edges match.", rich_help_panel=PHOTO),
    ] = False,
    allow_truncated: Annotated[
        bool,
        typer.Option("--allow-truncated", help="Recover the readable part of truncated files.", rich_help_panel=PHOTO),
    ] = False,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta", help="Average over 8 flips and rotations: slightly better, 8 times slower.", rich_help_panel=WORK
        ),
    ] = False,
    device: Annotated[str, device_option(WORK)] = "auto",
    tile: Annotated[str, tile_option(WORK)] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16"],
        typer.Option(
            help="Precision of the calculation. auto: fp16 for 8-bit pictures on CUDA, otherwise fp32.",
            rich_help_panel=WORK,
        ),
    ] = "auto",
    backend: Annotated[
        Literal["auto", "torch", "ncnn", "openvino", "onnx"],
        typer.Option(
            help="Runtime of the network. auto: the fastest one that is installed. ncnn, openvino and onnx are extras.",
            envvar="GRAMGAN_BACKEND",
            rich_help_panel=WORK,
        ),
    ] = "auto",
    max_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Largest amount of memory to use, such as 4G or 900M.", rich_help_panel=WORK),
    ] = None,
    ref: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="Reference photo of a similar subject to take texture from. Needs a model that was trained for it.",
            rich_help_panel=REFERENCE,
        ),
    ] = None,
    save_attention: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --ref: folder for pictures that show which texture was taken from where, and how "
            "reliable each match is.",
            rich_help_panel=REFERENCE,
        ),
    ] = None,
    records: Annotated[
        bool | None,
        typer.Option(
            "--records/--no-records",
            help="Keep records, so that the same command can continue the run. Default: on for folders, "
            "lists and URLs with an --output folder.",
            show_default=False,
            rich_help_panel=RECORDS,
        ),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Folder for the records. Default: OUT/.gramgan-results.", rich_help_panel=RECORDS
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Process only part I of N fixed parts, such as 3/8.", rich_help_panel=RECORDS),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"] | None,
        typer.Option(
            help="Where to upscale the photos: on this computer (local) or on a Ray cluster.",
            show_default="local",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST",
            help="Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Default: the cluster on this computer, or "
            "a new one.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="With Ray: number of workers. Default: as many as fit.", rich_help_panel=CLUSTER),
    ] = None,
    cores_per_worker: Annotated[
        int, typer.Option(min=1, help="With Ray: CPU cores per worker.", rich_help_panel=CLUSTER)
    ] = 1,
) -> None:
    """Make photographs four times larger, and keep their metadata, colours, transparency and bit depth.

    [bold]gramgan upscale photo.jpg[/bold]

    [bold]gramgan upscale holiday/ -o larger/ --skip-existing[/bold]

    [bold]gramgan upscale scan.tif --denoise auto --style 0.5 --format jpg[/bold]
    """
    output = None if target is None else Path(target)
    chosen_format = format_of(format)
    size = SizeChoice(outscale, width, height, box_of(fit))
    check_options(output, inputs, overwrite, skip_existing, size, json)
    suffix = output.suffix if output and not output.is_dir() else ""
    form = FORMATS.get(chosen_format) if format else format_of_suffix(suffix)
    if quality is not None and form is not None and form.name in ("png", "tiff"):
        raise UsageError(f"--quality has no effect on {form.label}, which is lossless.", "Leave it out.")
    check_attention(ref, save_attention, inputs)

    from gramgan_cli.engines.upscale.options import UpscaleOptions, chosen_model

    options = UpscaleOptions(
        model=chosen_model(model, denoise_of(denoise), style, ref),
        reference=ref,
        device=device,
        backend=backend,
        precision=precision,
        tile=tile_of(tile),
        tta=tta,
        seamless=seamless,
        max_memory=bytes_of(max_memory),
        format=chosen_format,
        quality=quality,
        size=size,
        template=output_template,
        recursive=recursive,
        overwrite=overwrite,
        skip_existing=skip_existing,
        allow_truncated=allow_truncated,
    )
    asked = batch.Asked(engine, address, workers, cores_per_worker, shard, results, records)
    called = batch.batch_call(tuple(inputs), target, options, asked)
    with _document_of_errors(json):
        if called is not None:
            _refuse("batch runs", {"--save-attention": save_attention})
            batch.run(called, json, quiet)
        else:
            _run_files(inputs, target, options, save_attention, json, quiet)


@contextmanager
def _document_of_errors(json: bool) -> Iterator[None]:
    """Context that prints a GramganError as the JSON document, if ``json``, and re-raises it."""
    try:
        yield
    except GramganError as error:
        if json:
            out.print_json({"model": None, "results": [], "error": explain(error)})
        raise


def _run_files(
    inputs: list[str], output: str | None, options: UpscaleOptions, save_attention: Path | None, json: bool, quiet: bool
) -> None:
    """Upscale pictures without records and show the results. Exits with 1 if one failed."""
    from gramgan_cli.api.upscale.files import FileRun
    from gramgan_cli.engines.upscale.inputs import STANDARD

    work = FileRun(options, out.note)
    plan = work.prepare(inputs, output, save_attention)
    if not quiet and work.session.backend:  # interpolations have no backend to report
        out.note(runs(work.session))
    jobs = plan.jobs
    if plan.results and not quiet:
        out.note(left_out(plan.results))
    if plan.foreign and not quiet:
        out.note(foreign(plan.foreign))
    to_stdout = any(job.folder == STANDARD for job in jobs)
    if to_stdout and json:
        raise UsageError("--json and the image can't both go to standard output.", "Choose a file with --output.")
    done: list[Result] = []
    note_damage = DamageNote(options.model)
    with PhotoBar(len(jobs)) as bar, _stopped_at(jobs, options.overwrite):
        for result in map(in_flags, work.results(bar.advance)):
            done.append(result)
            if not quiet:
                note_damage(result)
            _print_result(result, bar, quiet, json, to_stdout)
    if json:
        out.print_json({"model": _model_facts(work.session), "results": [result.facts() for result in done]})
    elif len(done) > 1:
        failed = [result.input for result in done if result.error]
        skipped = sum(result.skipped for result in done)
        summarise(len(done) - len(failed) - skipped, skipped, failed)
    if any(result.error for result in done):
        raise typer.Exit(1)


def _refuse(where: str, options: dict[str, Any]) -> None:
    """Raise UsageError for options that have no effect in this kind of run."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} has no effect in {where}.", "Leave it out.")


@contextmanager
def _stopped_at(jobs: list[Job], overwrite: bool) -> Iterator[None]:
    """Context that reports, after Ctrl-C, how many results there are and how to resume."""
    from gramgan_cli.engines.upscale.plan import finished_since

    began = time.time()
    try:
        yield
    except KeyboardInterrupt:
        done = finished_since(jobs, began if overwrite else None)
        out.note(f"Stopped after {done} of {len(jobs)}. To continue, add --skip-existing to the same command.")
        raise


def _print_result(result: Result, bar: PhotoBar, quiet: bool, json: bool, to_stdout: bool) -> None:
    """Print one picture's result to stdout, errors and warnings to stderr."""
    if result.error:
        out.fail(result.error)
        return
    if not quiet:
        for warning in result.warnings:
            out.warn(f"{result.input}: {warning}")
    if not (json or to_stdout):
        bar.print(line_of(result, quiet))


def _model_facts(session: Session) -> dict[str, Any]:
    """Description of the model for the JSON document."""
    header = session.header
    return {
        "name": session.name,
        "scale": session.source.scale,
        "arch": header.arch if header else None,
        "trained_for": header.trained_for if header else "an interpolation: not trained",
        "licence": header.licence if header else None,
    }
