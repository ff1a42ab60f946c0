"""``gramgan data``: LR pictures from HR ones, and the benchmark sets."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.completion import complete_dataset
from gramgan_cli.cli.output import note, print_json, print_line, print_table
from gramgan_cli.cli.params import Json
from gramgan_cli.cli.progress import counting, fetching

data = typer.Typer(
    help="Make smaller pictures for training and measuring, and download and list benchmark sets.\n\n"
    "[bold]gramgan data list[/bold]\n\n"
    "[bold]gramgan data make-lr photos/ photos_x4/[/bold]",
    no_args_is_help=True,
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of the benchmark sets. Default: GRAMGAN_DATA, otherwise the user's data folder."
    ),
]
HrDir = Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of sharp pictures.")]
LrDir = Annotated[
    Path, typer.Argument(metavar="LR_DIR", help="Folder for the LR pictures: PNG files with the same names.")
]
Scale = Annotated[int, typer.Option(min=2, max=16, help="HR side divided by LR side.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing LR files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print one path per line.")]


class BorderChoice(StrEnum):
    """Border handling when downscaling."""

    symmetric = "symmetric"
    replicate = "replicate"


class Level(StrEnum):
    """Severity of a degradation."""

    mild = "mild"
    medium = "medium"
    strong = "strong"


@data.command("make-lr")
def make_lr(
    hr_dir: HrDir,
    lr_dir: LrDir,
    scale: Scale = 4,
    border: Annotated[
        BorderChoice,
        typer.Option(
            help="How to extend the border. symmetric: mirrored, as in MATLAB. replicate: repeated, "
            "as in commonly distributed LR sets."
        ),
    ] = BorderChoice.symmetric,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Reduce a folder of pictures in the same way as MATLAB's imresize (bicubic, 8 bits).

    [bold]gramgan data make-lr photos/ photos_x4/[/bold]

    [bold]gramgan data make-lr photos/ photos_x2/ --scale 2[/bold]

    HR are the sharp pictures. LR are the pictures that are reduced from them.
    """
    from gramgan_cli.api import datasets

    with counting("Reducing") as progress:
        written = datasets.make_lr(
            hr_dir, lr_dir, scale=scale, border=border.value, overwrite=overwrite, on_progress=progress
        )
    _print_written(written, lr_dir, {"scale": scale, "border": border.value}, quiet, json)


@data.command()
def degrade(
    hr_dir: HrDir,
    lr_dir: LrDir,
    scale: Scale = 4,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Recipe whose degradation table sets the strength. Default: photo-web, or photo with --level.",
        ),
    ] = None,
    level: Annotated[
        Level | None, typer.Option(help="Use this severity for every picture. For recipes with the model 'wide'.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed. The same seed degrades a picture of the same name in the same way.")
    ] = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Reduce a folder of pictures and damage them like real photos: blurred, noisy, compressed.

    [bold]gramgan data degrade photos/ damaged_x4/ --seed 1[/bold]

    [bold]gramgan data degrade photos/ damaged_x4/ --level strong --overwrite[/bold]

    HR are the sharp pictures. LR are the pictures that are made from them. To measure robust models, put HR and LR_x4
    into one folder, and run gramgan bench FOLDER.
    """
    from gramgan_cli.api import datasets

    with counting("Degrading") as progress:
        written = datasets.degrade(
            hr_dir,
            lr_dir,
            scale=scale,
            recipe=recipe,
            level=level.value if level else None,
            seed=seed,
            overwrite=overwrite,
            on_progress=progress,
        )
    used = datasets.damage_recipe(recipe, level)
    _print_written(written, lr_dir, {"scale": scale, "recipe": used, "level": level, "seed": seed}, quiet, json)


def _print_written(
    written: list[Path], folder: Path, how: Mapping[str, str | int | None], quiet: bool, json: bool
) -> None:
    """Print the LR files written, in the format of the options."""
    if json:
        print_json({**how, "written": [str(path) for path in written]})
    elif quiet:
        for path in written:
            print_line(str(path))
    else:
        print_line(f"{len(written)} LR images in {folder}")


@data.command()
def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_dataset,
            help="Name of the set: Set5, Set14, BSD100, Urban100 or DIV2K.",
        ),
    ],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Download a benchmark set from its public location. An interrupted download continues where it stopped.

    [bold]gramgan data pull Set5[/bold]

    [bold]gramgan data pull Urban100 --data-dir sets/[/bold]
    """
    from gramgan_cli.api import datasets
    from gramgan_cli.engines.data import prepare

    source = prepare.source_of(name)
    note(f"{source.name}: {source.licence} See {source.page}")
    with fetching() as progress:
        folder = datasets.pull_dataset(name, data_dir=data_dir, on_progress=progress)
    note(f"Measure models on it with: gramgan bench {source.name}")
    if json:
        print_json({"name": source.name, "folder": str(folder), "licence": source.licence})
    else:
        print_line(str(folder))


@data.command("list")
def list_(
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the folders of the sets on this computer, one per line.")
    ] = False,
) -> None:
    """List the benchmark sets on this computer, and those that can be downloaded.

    [bold]gramgan data list[/bold]

    [bold]gramgan data list --data-dir sets/ --json[/bold]
    """
    from gramgan_cli.api import datasets
    from gramgan_cli.core.io.folders import data_dir as default_dir

    folder = data_dir or default_dir()
    sets = datasets.datasets(folder)
    if json:
        rows = [
            {
                "name": one.name,
                "folder": str(one.folder) if one.folder else None,
                "pictures": one.pictures,
                "layout": one.layout or None,
                "licence": one.licence or None,
                "can_be_pulled": one.can_be_pulled,
            }
            for one in sets
        ]
        print_json({"datasets": rows})
    elif quiet:
        for one in sets:
            if one.folder:
                print_line(str(one.folder))
    else:
        print_table(
            f"Benchmark sets under {folder}",
            ["name", "pictures", "where"],
            [
                [
                    one.name,
                    str(one.pictures),
                    one.layout or (f"gramgan data pull {one.name}" if one.can_be_pulled else "-"),
                ]
                for one in sets
            ],
        )
