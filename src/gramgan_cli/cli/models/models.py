"""``gramgan models``: the models on this computer, the catalogue, and other tools' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli import output
from gramgan_cli.cli.completion import complete_catalogue, complete_stored
from gramgan_cli.cli.models.interpolate import interpolate
from gramgan_cli.cli.params import Json
from gramgan_cli.cli.progress import fetching

if TYPE_CHECKING:
    from gramgan_cli.api.models import Model

models = typer.Typer(
    help="List, download, import, export and check models.\n\n"
    "[bold]gramgan models list[/bold]\n\n"
    "[bold]gramgan models info photo[/bold]",
    no_args_is_help=True,
)
models.command("interpolate")(interpolate)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", autocompletion=complete_stored, help="Name of a model from `gramgan models list`."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing model.")]
Licence = Annotated[str | None, typer.Option("--licence", help="SPDX expression of the weights' licence, such as MIT.")]


class WeightsFormat(StrEnum):
    """File format of ``export``."""

    safetensors = "safetensors"
    onnx = "onnx"


class WeightsPrecision(StrEnum):
    """Precision of the weights that ``export`` writes."""

    fp32 = "fp32"
    fp16 = "fp16"


@models.command("list")
def list_(
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one name per line.")] = False,
) -> None:
    """List the models on this computer, and those that can be downloaded.

    [bold]gramgan models list[/bold]

    [bold]gramgan models list --json[/bold]

    The list also shows the speed on this computer of each model that gramgan bench has measured.
    """
    from gramgan_cli.api import models as api
    from gramgan_cli.core.weights.mixing.square import chosen_model

    rows = api.models(output.warn)
    if as_json:
        output.print_json({"models": [row.facts() for row in rows]})
        return
    if quiet:
        for row in rows:
            output.print_line(row.name)
        return
    columns = ["name", "made for", "scale", "size", "licence"]
    timed = any(row.speed for row in rows)
    output.print_table(
        "On this computer",
        [*columns, *(["1 megapixel"] if timed else [])],
        [
            [row.name, row.trained_for or row.arch, f"x{row.scale}", _size(row.size), row.licence]
            + ([_seconds(row)] if timed else [])
            for row in rows
        ],
        texts=2,
    )
    output.note(f"Without --model, gramgan upscale uses '{chosen_model()}'.")
    if timed:
        output.note("1 megapixel: seconds for a photo of this size, as measured by gramgan bench with torch.")
    else:
        output.note("To measure how fast a model is on this computer: gramgan bench FOLDER -m NAME")
    catalogue = api.model_catalogue()
    if catalogue:
        output.print_table(
            "Available to download with: gramgan models pull NAME",
            columns,
            [
                [entry.name, entry.trained_for, f"x{entry.scale}", _size(entry.size), entry.licence]
                for entry in catalogue
            ],
            texts=2,
        )
    output.note("Show a model's network, parameters and scores with: gramgan models info NAME")


@models.command()
def info(name: Name, as_json: Json = False) -> None:
    """Show what a model is made for, its network, licence, scores and file. --json prints the whole training record.

    [bold]gramgan models info photo[/bold]

    [bold]gramgan models info photo --json[/bold]
    """
    from gramgan_cli.api import models as api

    facts = api.model_info(name)
    if as_json:
        output.print_json(facts)
        return
    for line in _summary(facts):
        output.print_fact(line)
    output.note(f"Show everything with: gramgan models info {name} --json")


@models.command()
def path(name: Name) -> None:
    """Print the path of a model's weights file.

    [bold]gramgan models path photo[/bold]

    [bold]gramgan models path clean-gan[/bold]
    """
    from gramgan_cli.api import models as api

    output.print_line(str(api.model_path(name)))


@models.command()
def pull(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL|FILE",
            autocompletion=complete_catalogue,
            help="A name from the catalogue, a URL, or a file.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model on this computer. Default: made from the file name.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum that the file must have.")] = None,
    licence: Licence = None,
    overwrite: Overwrite = False,
) -> None:
    """Download a model. An interrupted download continues where it stopped.

    [bold]gramgan models pull realesrgan-x4plus[/bold]

    [bold]gramgan models pull https://example.org/4x-photo.safetensors --name my-photo --licence MIT[/bold]
    """
    from gramgan_cli.api import models as api

    with fetching() as bars:
        model = api.pull_model(
            source,
            name=name,
            sha256=sha256,
            licence=licence,
            overwrite=overwrite,
            on_progress=partial(bars, "downloading"),
        )
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file.")],
    name: Annotated[str, typer.Option("--name", help="Name of the model on this computer.")],
    licence: Licence = None,
    overwrite: Overwrite = False,
) -> None:
    """Import weights of ESRGAN, BasicSR, Real-ESRGAN or Compact, and with the extra \\[interop] of many more networks.

    [bold]gramgan models import 4x-photo.pth --name my-photo[/bold]

    [bold]gramgan models import 4x-photo.pth --name my-photo --licence MIT --overwrite[/bold]
    """
    from gramgan_cli.api import models as api

    model = api.import_model(file, name, licence=licence, overwrite=overwrite)
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))


@models.command()
def export(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", autocompletion=complete_stored, help="Name of a model, or a weights file."),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
    file_format: Annotated[
        WeightsFormat | None,
        typer.Option("--format", "-f", help="Format of the file. Default: chosen by the extension."),
    ] = None,
    precision: Annotated[
        WeightsPrecision, typer.Option("--precision", help="Precision of the stored weights.")
    ] = WeightsPrecision.fp32,
    opset: Annotated[
        int | None, typer.Option("--opset", help="Version of the ONNX operators, 18 to 23. Default: 18.", min=1)
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for other tools: safetensors with BasicSR's names, or ONNX (extra \\[onnx]).

    [bold]gramgan models export clean -o clean.safetensors[/bold]

    [bold]gramgan models export photo -o photo.onnx --precision fp16[/bold]
    """
    from gramgan_cli.api import models as api

    file = api.export_model(
        name,
        out,
        format=file_format.value if file_format else None,
        precision=precision.value,
        opset=opset,
        overwrite=overwrite,
        on_note=output.note,
    )
    output.print_line(str(file))


@models.command()
def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", autocompletion=complete_stored, help="Models to delete.")
    ],
) -> None:
    """Delete models. Models that are part of the package return when you next use them.

    [bold]gramgan models rm my-photo[/bold]

    [bold]gramgan models rm my-photo mild[/bold]
    """
    from gramgan_cli.api import models as api

    for name in names:
        api.remove_model(name)
        output.note(f"Deleted '{name}'.")


@models.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", autocompletion=complete_stored, help="Models to check. Default: all."),
    ] = None,
) -> None:
    """Compare the stored files with their checksums. The exit code is 1 if one is damaged.

    [bold]gramgan models verify[/bold]

    [bold]gramgan models verify photo clean[/bold]
    """
    from gramgan_cli.api import models as api

    results = api.verify_models(names or ())
    for model, problem in results:
        if problem is None:
            output.print_line(f"{model.name}: ok ({model.sha256})")
        else:
            output.fail(problem)
    if any(problem for _, problem in results):
        raise typer.Exit(1)


def _count(parameters: int) -> str:
    return f"{parameters:,}".replace(",", " ")


def _seconds(row: Model) -> str:
    """Measured seconds of a model for a photo of 1 megapixel, or '-'."""
    return f"{row.speed.seconds(row.scale):.3g} s" if row.speed else "-"


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e6:.1f} MB" if bytes_ else "-"


SUMMARY = ("name", "trained_for", "arch", "scale", "parameters", "licence", "path", "url", "size", "sha256", "pull")
"""Keys shown in a summary, in order."""
MOST_LINES = 6
"""Most score lines, and most training record lines, in a summary."""
LONGEST_LINE = 160


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    """Summarise a model in about twenty lines, to fit a screen."""
    for key in SUMMARY:
        value = facts.get(key)
        if value not in (None, "", 0):
            shown = {"parameters": _count, "size": _size}.get(key, str)(value)
            yield f"{key}: {shown}"[:LONGEST_LINE]
    for dataset, scores in list(facts.get("metrics", {}).items())[:MOST_LINES]:
        yield f"metrics.{dataset}: {', '.join(f'{name} {value:.4g}' for name, value in scores.items())}"[:LONGEST_LINE]
    plain = {key: value for key, value in facts.get("training", {}).items() if isinstance(value, str | int | float)}
    for key, value in list(plain.items())[:MOST_LINES]:
        yield f"training.{key}: {value}".splitlines()[0][:LONGEST_LINE]
