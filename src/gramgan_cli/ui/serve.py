"""Serving the web interface on a local port, and cleaning up at the end."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locks import exclusive, is_held
from gramgan_cli.ui.app import create_app
from gramgan_cli.ui.guard import Guard

PREFIX = "gramgan-ui-"
"""Prefix of the temporary folders of uploads."""

LOCK = "in-use"
"""File in a temporary folder that its process keeps locked."""

GRACE_SECONDS = 2
"""Seconds that open connections may take to end after Ctrl-C."""


def serve(port: int, open_browser: bool, on_url: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, then delete the uploads.

    Args:
        port: port number; 0 for any free port.
        open_browser: open the URL in the user's browser, if there is a display.
        on_url: called with the URL once the server answers.

    Raises:
        GramganError: the port can't be used.
    """
    _clear_old_folders()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with exclusive(folder / LOCK), _listen(port) as listener:
            app, end = create_app(folder)
            guard = Guard(app, listener.getsockname()[1])
            server = uvicorn.Server(
                uvicorn.Config(
                    guard,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    ws="none",
                    timeout_graceful_shutdown=GRACE_SECONDS,
                )
            )
            threading.Thread(target=_announce, args=(server, guard.address, open_browser, on_url), daemon=True).start()
            try:
                with suppress(KeyboardInterrupt):  # uvicorn raises the signal that ended it again
                    server.run(sockets=[listener])
            finally:
                end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # on Windows, this option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise GramganError(
            f"Port {port} can't be used: {error.strerror or error}.", "Choose another, or leave it out."
        ) from error
    return listener


def _announce(server: uvicorn.Server, address: str, open_browser: bool, on_url: Callable[[str], None]) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    on_url(address)
    if open_browser and _has_screen():
        webbrowser.open(address)


def _has_screen() -> bool:
    """Whether there is a display for a graphical browser; a text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _clear_old_folders() -> None:
    """Delete the folders of uploads that killed processes left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, GramganError):
            if not is_held(folder / LOCK):
                shutil.rmtree(folder, ignore_errors=True)
