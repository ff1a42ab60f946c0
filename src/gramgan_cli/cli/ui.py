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
        int, typer.Option(min=0, max=65535, help="Port on this computer; 0 takes a free one.", show_default="0")
    ] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Open a page in the browser: drop a photo, compare before and after, keep the result.

    [bold]gramgan ui[/bold]

    [bold]gramgan ui --no-browser --port 8765[/bold]

    The page is served by this computer and for this computer alone. Nothing is sent anywhere. Copies of dropped photos
    are deleted when the command ends.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise GramganError("gramgan ui needs the packages of the extra 'ui'.", install_command("ui"))
    from gramgan_cli.ui.serve import serve

    def on_address(address: str) -> None:
        output.print_line(address)
        sys.stdout.flush()  # for programs that wait for the URL in a pipe
        output.note("Open this address in a browser on this computer. Press Ctrl-C to stop.")

    serve(port, not no_browser, on_address)
    output.note("Stopped. The uploads are deleted.")
