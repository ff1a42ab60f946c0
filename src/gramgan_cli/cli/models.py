"""``gramgan models``: the store of weights, the catalogue, and other tools' files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from gramgan_cli.cli import output
from gramgan_cli.cli.interpolate import interpolate

models = typer.Typer(help="List, fetch, bring in, export and check models.", no_args_is_help=True)
models.command("interpolate")(interpolate)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model's name, as `gramgan models list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Licence = Annotated[str | None, typer.Option("--licence", help="SPDX identifier of the weights' licence.")]


class WeightsFormat(StrEnum):
    """What ``export`` writes."""

    safetensors = "safetensors"
    onnx = "onnx"


@models.command("list")
def list_(
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one name per line.")] = False,
) -> None:
    """List the models that are here, and those that can be fetched."""
    from gramgan_cli.core.weights.catalogue import unnamed_model
    from gramgan_cli.engines.models import commands as engine

    rows, problems = engine.list_models()
    for problem in problems:
        output.note(problem)
    if as_json:
        output.print_json({"models": [asdict(row) for row in rows]})
        return
    if quiet:
        for row in rows:
            output.print_line(row.name)
        return
    columns = ["name", "network", "scale", "parameters", "licence", "Y-PSNR (dB)"]
    output.print_table(
        "Models",
        columns,
        [
            [row.name, row.arch, f"x{row.scale}", _count(row.parameters), row.licence, _psnr(row.metrics)]
            for row in rows
        ],
    )
    output.note(f"gramgan upscale uses {unnamed_model()} where no model is named.")
    catalogue = engine.list_catalogue()
    if catalogue:
        output.print_table(
            "To be fetched with: gramgan models pull NAME",
            [*columns[:-1], "MB"],
            [
                [
                    entry.name,
                    entry.arch,
                    f"x{entry.scale}",
                    _count(entry.parameters),
                    entry.licence,
                    f"{entry.size / 1e6:.1f}",
                ]
                for entry in catalogue
            ],
        )


@models.command()
def info(name: Name, as_json: Json = False) -> None:
    """Show all that is known of a model: network, licence, training record, metrics, file, checksum."""
    from gramgan_cli.engines.models import commands as engine

    facts = engine.info(name)
    if as_json:
        output.print_json(facts)
        return
    for key, value in _flat(facts):
        output.print_line(f"{key}: {value}")


@models.command()
def path(name: Name) -> None:
    """Print where a model's weights file lies."""
    from gramgan_cli.engines.models import commands as engine

    output.print_line(str(engine.path_of(name)))


@models.command()
def pull(
    source: Annotated[
        str, typer.Argument(metavar="NAME|URL|FILE", help="A name from the catalogue, an address, or a file.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it; made of the file's name otherwise.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="The checksum that the file must have.")] = None,
    licence: Licence = None,
    overwrite: Overwrite = False,
) -> None:
    """Fetch a model into the store. A download that was cut off goes on where it stopped."""
    from gramgan_cli.engines.models import commands as engine

    with _progress_bar() as progress:
        model = engine.pull(source, name, sha256, licence, overwrite, progress)
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file.")],
    name: Annotated[str, typer.Option("--name", help="What to call it.")],
    licence: Licence = None,
    overwrite: Overwrite = False,
) -> None:
    """Bring in weights of ESRGAN, BasicSR, Real-ESRGAN or Compact; of many more with the extra \\[interop]."""
    from gramgan_cli.engines.models import commands as engine

    model = engine.import_file(file, name, licence, overwrite)
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))


@models.command()
def export(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model's name, or a weights file.")],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    file_format: Annotated[
        WeightsFormat | None, typer.Option("--format", help="By the file's suffix where it is not given.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for other tools: safetensors under BasicSR's names, or ONNX (extra \\[onnx])."""
    from gramgan_cli.core.weights import export as engine

    output.print_line(str(engine.export(name, out, file_format, overwrite)))


@models.command()
def rm(names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models to delete.")]) -> None:
    """Delete models from the store. Models that came with the package come back when they are used."""
    from gramgan_cli.core.weights import store

    for name in names:
        store.remove(name)
        output.note(f"Deleted '{name}'.")


@models.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All models where none is named.")
    ] = None,
) -> None:
    """Compare the stored files with their checksums. Exits with 1 where one is damaged."""
    from gramgan_cli.engines.models import commands as engine

    results = engine.verify(names or [])
    for model, problem in results:
        if problem is None:
            output.print_line(f"{model.name}: ok ({model.sha256})")
        else:
            output.fail(problem)
    if any(problem for _, problem in results):
        raise typer.Exit(1)


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr, shown from the first byte on, and only on a terminal."""
    columns = (TextColumn("fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.stderr, disable=not output.stderr.is_terminal) as bar:
        task = bar.add_task("fetching", total=None, visible=False)

        def update(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield update


def _count(parameters: int) -> str:
    return f"{parameters:,}".replace(",", " ") if parameters else "-"


def _psnr(metrics: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"{name} {values['psnr_y']:.2f}" for name, values in metrics.items() if "psnr_y" in values) or "-"


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested facts as 'training.recipe' and their values; empty ones are left out."""
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value not in ("", None):
            yield f"{prefix}{key}", value
