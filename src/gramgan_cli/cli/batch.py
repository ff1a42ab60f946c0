"""``gramgan batch``."""

from __future__ import annotations

from typing import Annotated

import typer

from gramgan_cli.cli import output as out
from gramgan_cli.cli.errors import with_flags
from gramgan_cli.cli.params import Json

batch = typer.Typer(
    no_args_is_help=True,
    help="Show the records of batch runs over folders, lists and URLs of photographs.\n\n"
    "[bold]gramgan batch report larger/[/bold]\n\n"
    "[bold]gramgan batch report larger/ --quiet > failed.txt[/bold]",
)


@batch.callback()
def _batch() -> None:
    pass


@batch.command("report", no_args_is_help=True)
def report(
    manifests: Annotated[
        list[str],
        typer.Argument(
            metavar="MANIFEST...", help="Results folders, folders of records, or Parquet files, as paths or URLs."
        ),
    ],
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the paths of the failed photos: a list for another run.")
    ] = False,
) -> None:
    """Combine the records of all runs and shards, and show how many photos are done, and which failed and why.

    [bold]gramgan batch report larger/[/bold]

    [bold]gramgan batch report larger/ --quiet > failed.txt[/bold]

    The exit code is 1 if a photo failed or is not done yet.
    """
    from gramgan_cli.api.upscale.batch import batch_report

    found = batch_report(manifests)
    if json:
        out.print_json(
            {
                "photos": found.photos,
                "done": found.done,
                "failed": len(found.failures),
                "left": found.left,
                "models": list(found.models),
                "failures": [
                    {"input": failure.input, "error": with_flags(failure.error)} for failure in found.failures
                ],
            }
        )
    elif quiet:
        for failure in found.failures:
            out.print_line(failure.input)
    else:
        for failure in found.failures:
            error = with_flags(failure.error)
            out.print_line(error if failure.input in error else f"{failure.input}: {error}")
        of_all = f" of {found.photos}" if found.photos is not None else ""
        out.print_line(f"{found.done} done, {len(found.failures)} failed, {found.left} left{of_all}.")
    if found.failures or found.left:
        raise typer.Exit(1)
