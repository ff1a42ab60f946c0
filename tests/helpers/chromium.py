"""A headless Chromium for tests, driven over a pipe with real key and mouse events and without a package."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ANSWER_SECONDS = 300
"""Timeout of one command, long enough for busy computers."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--window-size=1200,1000",
]


class Chromium:
    """One page in its own browser. Skips the test if Chromium is not installed."""

    def __init__(self, folder: Path) -> None:
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if program is None or sys.platform == "win32":
            pytest.skip("needs Chromium, on a POSIX system")
        commands_out, self._commands = os.pipe()
        self._answers, answers_in = os.pipe()
        # The browser reads commands from file descriptor 3 and writes answers to 4.
        redirect = f'exec "$0" "$@" 3<&{commands_out} 4>&{answers_in}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, program, *FLAGS, f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(commands_out, answers_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_out)
        os.close(answers_in)
        self._numbers, self._rest, self._session = itertools.count(1), b"", ""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run one command of the DevTools protocol and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                ready, _, _ = select.select([self._answers], [], [], ANSWER_SECONDS)
                assert ready, f"the browser did not answer {method}"
                chunk = os.read(self._answers, 1 << 20)
                assert chunk, "the browser ended"
                self._rest += chunk
            line, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def open(self, page: Path, ready: str) -> None:
        """Load a file and wait until the expression ``ready`` is true; fails the test after half a minute."""
        self._send("Page.navigate", url=page.as_uri())
        for _ in range(600):
            if self.run(f"Boolean({ready})"):
                return
            time.sleep(0.05)
        pytest.fail(f"{page.name} did not become ready")

    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page; an exception there fails the test."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def key(self, key: str, code: str = "", number: int = 0, shift: bool = False) -> None:
        """Press and release a key."""
        facts = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self._send("Input.dispatchKeyEvent", type="rawKeyDown", **facts)
        self._send("Input.dispatchKeyEvent", type="keyUp", **facts)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send a mouse event at a position in the window."""
        self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
