"""``gramgan ui`` in a separate process, and a browser to use it."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from chromium import Chromium

WAIT_SECONDS = 120
"""Timeout of all waits, long enough for busy computers."""


class UiServer:
    """A running ``gramgan ui``, ended by Ctrl-C at the end of the block.

    Args:
        temporary: folder for its temporary files.
        command: command to run instead of ``python -m gramgan_cli``.
    """

    def __init__(self, temporary: Path, *arguments: str, command: tuple[str, ...] = ("-m", "gramgan_cli")) -> None:
        temporary.mkdir(exist_ok=True)
        self.temporary = temporary
        self.process = subprocess.Popen(
            [sys.executable, *command, "ui", "--no-browser", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "OMP_NUM_THREADS": "2"},
            # Shells start background jobs, which tests may be, with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.process.communicate()[1]
        self.origin = self.address.partition("/?")[0]
        self.port = int(self.origin.rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.interrupt()

    def interrupt(self) -> tuple[int, str]:
        """Send Ctrl-C; return the exit code and stderr."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, errors


class Browser(Chromium):
    """Chromium with functions for a served page: URLs, file drops, tabs, window sizes, screenshots."""

    def goto(self, address: str) -> None:
        """Open the page and wait until it is ready."""
        self._send("Page.enable")
        self._send("Page.navigate", url=address)
        self.wait("document.body && document.body.dataset.ready")

    def wait(self, expression: str) -> None:
        """Wait until the JavaScript expression is true, or not null."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if self.run(f"Boolean({expression})"):
                return
            time.sleep(0.05)
        pytest.fail(f"never came true: {expression}; the page says: {self.run('document.body.innerText')}")

    def drop(self, *files: Path) -> None:
        """Drop files on the page, like from a file manager."""
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._send("Input.dispatchDragEvent", type=kind, x=200, y=120, data=data)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a file input."""
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def click(self, selector: str) -> None:
        """Click the centre of an element with the mouse."""
        self.wait(f"document.querySelector('{selector}')")
        self.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def middle(self, selector: str) -> tuple[float, float]:
        """Position of an element's centre in the window."""
        x, y = self.run(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('{selector}')"
            ".getBoundingClientRect())"
        )
        return x, y

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Send a touch event with a finger at each point."""
        positions = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._send("Input.dispatchTouchEvent", type=kind, touchPoints=positions)

    def window(self, width: int, height: int, dark: bool = False) -> None:
        """Set the window's size and the dark colour scheme."""
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Screenshot of the window, or of the whole page, as a PNG."""
        picture = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    def save_downloads(self, folder: Path) -> None:
        """Save downloads into a folder without asking."""
        session, self._session = self._session, ""
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self._session = session

    def new_tab(self) -> str:
        """Open another tab and use it; return the previous tab, for ``use_tab``."""
        before, self._session = self._session, ""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return before

    def use_tab(self, tab: str) -> str:
        """Use a tab, which comes to the front: Chromium may draw nothing in hidden tabs. Return the previous one."""
        before, self._session = self._session, tab
        self._send("Page.bringToFront")
        return before
