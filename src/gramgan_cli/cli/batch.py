"""``gramgan batch``."""

from __future__ import annotations

from typing import Annotated

import typer

from gramgan_cli.cli import output as out
from gramgan_cli.cli.errors import with_flags

batch = typer.Typer(
    no_args_is_help=True,
    help="Records of batch runs: folders, lists and URLs of photographs.\n\n"
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
            metavar="MANIFEST...", help="Folders of results, folders of records, or Parquet files; URLs too."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the failed photos' paths: a list for another run.")
    ] = False,
) -> None:
    """Put the records of all runs and shards together: how many photos are done, which failed and why.

    [bold]gramgan batch report larger/[/bold]

    [bold]gramgan batch report larger/ --quiet > failed.txt[/bold]

    Exits with 1 while photos have failed or are still to be done.
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
