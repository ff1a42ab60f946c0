"""``gramgan runs``: list, show and compare training runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli.output import print_json, print_line, print_table
from gramgan_cli.cli.params import Json

if TYPE_CHECKING:
    from gramgan_cli.engines.train.run.read_runs import RunSummary

runs = typer.Typer(
    help="List, show and compare training runs.\n\n"
    "[bold]gramgan runs list[/bold]\n\n"
    "[bold]gramgan runs compare runs/first runs/second[/bold]",
    no_args_is_help=True,
)


@runs.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that contains the runs.")] = Path("runs"),
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one run folder per line.")] = False,
) -> None:
    """List the runs in a folder: recipe, network, steps done, best validation values.

    [bold]gramgan runs list[/bold]

    [bold]gramgan runs list runs/ --json[/bold]

    Y-PSNR (dB) and SSIM compare results with the originals in Y, the brightness. Larger values are better.
    """
    from gramgan_cli.api.runs import runs as runs_in

    found = runs_in(folder)
    if json:
        print_json({"runs": [_document(run) for run in found]})
    elif quiet:
        for run in found:
            print_line(run.path)
    else:
        columns = ["run", "recipe", "network", "steps", "best Y-PSNR (dB)", "best SSIM"]
        print_table("Runs", columns, [_row(run) for run in found])


@runs.command("show")
def show(run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")], json: Json = False) -> None:
    """Show one run: its steps, its best and last values, and the settings of its recipe.

    [bold]gramgan runs show runs/first[/bold]

    [bold]gramgan runs show runs/first --json[/bold]
    """
    from gramgan_cli.api.runs import run_settings, run_summary

    summary, settings = run_summary(run), run_settings(run)
    if json:
        print_json({**_document(summary), "settings": settings})
        return
    print_line(summary.path)
    state = "finished" if summary.finished else "unfinished"
    print_line(f"  steps: {summary.step} of {summary.steps} ({state})")
    for title, values in (("best", summary.best), ("last", summary.last), ("set", settings)):
        for key, value in values.items():
            print_line(f"  {title} {key}: {_text(value)}")


@runs.command("compare")
def compare(
    chosen: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Two or more run folders.")],
    json: Json = False,
) -> None:
    """Compare runs: the recipe keys in which they differ, and their best values.

    [bold]gramgan runs compare runs/first runs/second[/bold]

    [bold]gramgan runs compare runs/first runs/second --json[/bold]
    """
    from gramgan_cli.api.runs import compare_runs, run_summary

    keys = compare_runs(chosen)
    found = [run_summary(path) for path in chosen]
    if json:
        print_json({"runs": [_document(run) for run in found], "differences": keys})
        return
    rows = [[key, *map(_text, values)] for key, values in keys.items()]
    rows.append(["steps done", *(str(run.step) for run in found)])
    for metric in sorted({key for run in found for key in run.best}):
        rows.append([f"best {metric}", *(_text(run.best.get(metric)) for run in found)])
    print_table("", ["", *(run.path for run in found)], rows)


def _document(run: RunSummary) -> dict[str, Any]:
    return {**asdict(run), "finished": run.finished}


def _row(run: RunSummary) -> list[str]:
    psnr, ssim = run.best.get("psnr_y"), run.best.get("ssim_y")
    return [
        run.path,
        run.recipe,
        run.arch,
        f"{run.step} of {run.steps}",
        "" if psnr is None else f"{psnr:.2f}",
        "" if ssim is None else f"{ssim:.4f}",
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
