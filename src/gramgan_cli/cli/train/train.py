"""``gramgan train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gramgan_cli.cli.completion import complete_recipe
from gramgan_cli.cli.errors import with_flags
from gramgan_cli.cli.output import note, print_json, print_line
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.options import DEFAULT_RECIPE

PHOTOS, NETWORK, LENGTH, COMPUTING = "Other photos", "Network", "Length", "Devices"


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_recipe,
            show_default=DEFAULT_RECIPE,
            help="Name of a recipe (see --list) or a TOML file. With --out and --resume: the run's own.",
        ),
    ] = None,
    hr_dir: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR|LIST|TAR",
            help="Sharp photos to train on: a folder (including subfolders), a .txt list of files, a known "
            "dataset such as DIV2K, or tar shards (WebDataset; a folder, a file, or a pattern such as "
            "train-{0000..0099}.tar, as a path or URL). Repeatable.",
        ),
    ] = None,
    valid_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|LIST",
            help="Photos to validate on, or a known dataset. Default: some photos of --hr-dir are held out.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. The model gets its name. Default: runs/RECIPE.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out exactly where it stopped.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key of the recipe, such as --set optimizer.rate=1e-4. Repeatable."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes and exit.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check options, files and weights, and print the plan, but don't train."),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, one event per line, with the result last (with --list: one document)."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path of the weights.")] = False,
    lr_dir: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR",
            help="Folder of your own LR pictures for --hr-dir, one for each: the same names, or names ending "
            "in x4. Default: LR is made from HR.",
            rich_help_panel=PHOTOS,
        ),
    ] = None,
    valid_lr_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder of your own LR pictures for --valid-dir. Default: LR is made from HR.",
            rich_help_panel=PHOTOS,
        ),
    ] = None,
    ref_dir: Annotated[
        Path | None,
        typer.Option(
            help="Reference photos, for networks that use them: the same stem, or *_ref for *_in.",
            rich_help_panel=PHOTOS,
        ),
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(
            help="Texture bank made by `gramgan build-db`. Default: the one in the data folder.", rich_help_panel=PHOTOS
        ),
    ] = None,
    hr_crop: Annotated[
        int | None, typer.Option(min=4, help="Side of the HR crops in pixels.", rich_help_panel=PHOTOS)
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Network: rrdbnet, plksr, span, srresnet or compact.", rich_help_panel=NETWORK)
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Weights to start from: the name of a model or a file, which also sets the network; or 'none'.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    no_store: Annotated[
        bool,
        typer.Option(
            "--no-store", help="Keep the result only in --out, and add no model to the store.", rich_help_panel=NETWORK
        ),
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of training steps.", rich_help_panel=LENGTH)] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Number of passes over the photos, instead of --steps. Each pass uses one crop of each photo.",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Number of crops per step.", rich_help_panel=LENGTH)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Random seed. Runs with the same seed give identical results.", rich_help_panel=LENGTH
        ),
    ] = None,
    valid_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between validations.", rich_help_panel=LENGTH)
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between saved states.", rich_help_panel=LENGTH)
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device that runs the network: auto, cpu, cuda, mps or xpu.", rich_help_panel=COMPUTING)
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of CPU threads.", rich_help_panel=COMPUTING)
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(help="Train on several GPUs, with one process each, such as 0,1.", rich_help_panel=COMPUTING),
    ] = None,
) -> None:
    """Train a network on a folder of photos.

    [bold]gramgan train --recipe psnr-compact --hr-dir photos/[/bold]

    [bold]gramgan train --recipe psnr-compact --hr-dir photos/ --resume[/bold]

    [bold]gramgan train --recipe photo --hr-dir photos/ --set optimizer.rate=1e-4 --dry-run[/bold]

    HR is a sharp photo. LR is the same photo made smaller. The network learns to turn LR into HR. For a first run on a
    CPU, use psnr-compact, a small network that is trained on pixels alone. The default is GramGAN, which also compares
    colour covariances (Gram matrices) of small patches with those of a bank (see gramgan build-db).

    Each run has one folder with its recipe, metrics, weights, samples and everything that resuming needs. You can stop
    a run with Ctrl-C and continue it with --resume, also after a power cut. The result is bit-identical.
    """
    if list_:
        _print_recipes(json)
        return
    from functools import partial

    from gramgan_cli.api import training
    from gramgan_cli.cli.train.display import TrainDisplay
    from gramgan_cli.cli.train.events import TrainEvents, print_event
    from gramgan_cli.engines.train import launch
    from gramgan_cli.engines.train.parallel.processes import parse_gpus

    if gpus and device != "auto":
        raise UsageError("--gpus and --device can't be combined.", "Leave one of them out.")
    if steps and epochs:
        raise UsageError("--steps and --epochs can't be combined.", "Leave one of them out.")
    named = {
        "network.arch": arch,
        "steps": steps,
        "epochs": epochs,
        "batch_size": batch_size,
        "data.hr_crop": hr_crop,
        "seed": seed,
        "compute.threads": threads,
        "valid_every": valid_every,
        "save_every": save_every,
    }
    given: dict[str, Any] = {
        "hr_dir": hr_dir,
        "lr_dir": lr_dir,
        "valid_dir": valid_dir,
        "valid_lr_dir": valid_lr_dir,
        "ref_dir": ref_dir,
        "db": db,
        "init": init,
        "out": out,
        "gpus": parse_gpus(gpus) if gpus else None,
    }
    arguments: training.TrainArguments = {
        "settings": _settings(named, set_ or []),
        "resume": resume,
        "device": device,
        "store": not no_store,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[typeddict-item]
    }
    if dry_run:
        print_json(_planned(training.check_training(recipe, **arguments)))
        return
    options = training.train_options(recipe, arguments)
    result = launch.train(options, TrainEvents if json else partial(TrainDisplay, quiet))
    if json:
        print_event("result", steps=result.steps, finished=result.finished, weights=str(result.weights))
    elif quiet:
        print_line(str(result.weights))
    elif result.finished:
        print_line(f"Trained {result.steps} steps. Weights: {result.weights}")
    if not result.finished:
        note(
            f"Stopped after step {result.steps}; everything is saved. To continue, run the same command with --resume."
        )
        raise typer.Exit(130)


def _settings(named: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, Any]:
    """Recipe settings from the options, by key. ``--set`` overrides the others; the last one of a key applies."""
    from gramgan_cli.recipes.convert import split_setting

    settings = {key: value for key, value in named.items() if value is not None}
    for key, value in map(split_setting, chosen):
        settings.pop(key, None)
        settings[key] = value
    return settings


def _planned(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The document of ``--dry-run``."""
    return {**plan, "data": with_flags(plan["data"]), "dry_run": True}


def _print_recipes(json: bool) -> None:
    """Print all recipes as a table or a JSON document."""
    from gramgan_cli.cli.output import print_table
    from gramgan_cli.recipes.load import list_recipes

    recipes = list_recipes()
    if json:
        rows = [{"name": r.name, "network": dict(r.network), "summary": r.summary, "source": r.source} for r in recipes]
        print_json({"recipes": rows})
        return
    print_table("", ["recipe", "network", "what"], [[r.name, r.network["arch"], r.summary] for r in recipes])
