"""``gramgan ui``."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated

import typer

from gramgan_cli.cli import output
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.installation import install_command


def ui(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this computer. 0: any free port.", show_default="0")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
    ] = False,
) -> None:
    """Open a page in the browser: drop a photo, compare before and after, and save the result.

    [bold]gramgan ui[/bold]

    [bold]gramgan ui --no-browser --port 8765[/bold]

    This computer serves the page only to itself. Nothing is sent anywhere. gramgan deletes its copies of dropped photos
    when the command ends.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise GramganError("gramgan ui needs the packages of the extra 'ui'.", install_command("ui"))
    from gramgan_cli.ui.serve import serve

    def on_url(url: str) -> None:
        output.print_line(url)
        sys.stdout.flush()  # for programs that wait for the URL in a pipe
        output.note("Open this address in a browser on this computer. Press Ctrl-C to stop.")

    serve(port, not no_browser, on_url)
    output.note("Stopped. The uploads are deleted.")
