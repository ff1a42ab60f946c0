"""``gramgan build-db``."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli.output import note, print_json, print_line
from gramgan_cli.cli.params import Json
from gramgan_cli.cli.progress import counting
from gramgan_cli.core.errors import UsageError

if TYPE_CHECKING:
    from gramgan_cli.core.texture.patchdb.bank import Bank

SAMPLING = "Sampling"


def build_db(
    context: typer.Context,
    hr_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|LIST",
            help="Folder of sharp photos (including subfolders), a .txt list of photos, or the name of a "
            "known dataset.",
        ),
    ] = None,
    valid_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Photos that training will validate on. Without this option, the bank leaves out the photos "
            "that `train` holds out.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File for the bank. Default: bank.safetensors in the data folder."),
    ] = None,
    info: Annotated[
        Path | None, typer.Option("--info", metavar="FILE", help="Print how this bank was built, and build nothing.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing bank.")] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path of the bank.")] = False,
    max_patches: Annotated[
        int,
        typer.Option(
            min=1, help="Number of positions to sample. The bank stores 3 versions of each.", rich_help_panel=SAMPLING
        ),
    ] = 200_000,
    patch_size: Annotated[
        int, typer.Option(min=4, max=16, help="Side of a patch in pixels.", rich_help_panel=SAMPLING)
    ] = 4,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Random seed. The same seed and photos give an identical file.", rich_help_panel=SAMPLING
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of photos to read at once. Default: one per CPU.", rich_help_panel=SAMPLING),
    ] = None,
) -> None:
    """Sample a bank of real texture patches from a folder of photos, for `gramgan train`.

    [bold]gramgan build-db --hr-dir photos/[/bold]

    [bold]gramgan build-db --hr-dir photos/ --out bank.safetensors --max-patches 50000[/bold]

    [bold]gramgan build-db --info bank.safetensors[/bold]

    HR are sharp photos. In training with GramGAN, patches of the bank with a similar Gram matrix (covariance of the
    colours in a patch) show what texture should look like.
    """
    from gramgan_cli.api import texture

    if info is not None:
        _refuse_building(context)
        _print_bank(texture.bank_info(info), json, quiet)
        return
    if hr_dir is None:
        raise UsageError(
            "build-db needs photos.", "Pass their folder with --hr-dir DIR, or show an existing bank with --info FILE."
        )
    with counting("Sampling photos") as progress:
        bank = texture.build_bank(
            hr_dir,
            out,
            valid_dir=valid_dir,
            overwrite=overwrite,
            on_progress=progress,
            on_note=(lambda _text: None) if quiet else note,
            max_patches=max_patches,
            patch_size=patch_size,
            seed=seed,
            workers=workers or os.cpu_count() or 1,
        )
    _print_bank(bank, json, quiet)
    if not quiet:
        note("Train with this bank: gramgan train" + ("" if out is None else f" --db {bank.path}"))


def _refuse_building(context: typer.Context) -> None:
    """Raise UsageError if the user gave an option that only building uses."""
    given = [
        name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    unused = [f"--{name.replace('_', '-')}" for name in given if name not in ("info", "json", "quiet")]
    if unused:
        raise UsageError("--info shows an existing bank and builds none.", f"Leave out {', '.join(unused)}.")


def _print_bank(bank: Bank, json: bool, quiet: bool) -> None:
    """Print the bank's provenance, in the format of the options."""
    provenance = bank.provenance
    if json:
        print_json({"file": str(bank.path), "entries": provenance.entries, **asdict(provenance)})
    elif quiet:
        print_line(str(bank.path))
    else:
        used = sum(photo.positions > 0 for photo in provenance.photos)
        versions = ", ".join(provenance.versions)
        rows: dict[str, Any] = {
            "patches": f"{provenance.entries} ({provenance.positions} positions, each {versions})",
            "patch size": f"{provenance.patch_size} px",
            "photos": f"{used} of {len(provenance.photos)} in {provenance.hr_dir}",
            "seed": provenance.seed,
            "made with": ", ".join(f"{name} {number}" for name, number in provenance.libraries.items()),
        }
        print_line(str(bank.path))
        for name, value in rows.items():
            print_line(f"  {name:12}{value}")
