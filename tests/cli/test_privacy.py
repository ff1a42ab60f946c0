"""No command opens a connection unasked or writes into the home folder.

Commands run in separate processes, in which an audit hook (PEP 578) records every DNS query and connection, also in
child processes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from gramgan_cli.cli.app import app
from gramgan_cli.core.backends import choose

HOOK = """
import ipaddress, os, socket, sys

def _is_own(host):
    # Only this computer's own addresses can be bound.
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
        return True
    except (ValueError, OSError):
        return False

def _note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        # A family of sockets that has paths for addresses stays on this computer, and so does the loopback.
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        host = place[0] if isinstance(place, tuple) else place
        if isinstance(host, bytes):
            host = host.decode("utf-8", "replace")
        if event.startswith("socket.") and (host in (None, "", "localhost", "127.0.0.1", "::1") or "/" in str(host)):
            return
        if event.startswith("socket.") and _is_own(host):
            return  # Ray's processes on this computer speak to one another by its address
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{event} {host!r} in {sys.argv[1:3]}\\n")

sys.addaudithook(_note)
"""

DRIVER = """
import json, sys
from typer.testing import CliRunner
from gramgan_cli.cli.app import app

failed = {}
for words in json.load(open(sys.argv[1])):
    result = CliRunner().invoke(app, words)
    if result.exit_code:
        failed[" ".join(words)] = str(result.exception) + result.output
json.dump(failed, open(sys.argv[2], "w"))
"""

Run = Callable[[list[list[str]]], list[str]]


@pytest.fixture
def watched(tmp_path: Path) -> Run:
    """Run commands one after the other in a new process; return its connections. All commands must succeed."""
    hooks, home = tmp_path / "hooks", tmp_path / "home"
    hooks.mkdir()
    home.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    package = str(Path(choose.__file__).parents[3])

    def run(commands: list[list[str]]) -> list[str]:
        (tmp_path / "commands.json").write_text(json.dumps(commands))
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MPL"))},
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(hooks), package]),
            "SEEN": str(tmp_path / "seen"),
        }
        driver = [sys.executable, "-c", textwrap.dedent(DRIVER), "commands.json", "failed.json"]
        done = subprocess.run(driver, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "failed.json").read_text()) == {}
        assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == []
        seen = tmp_path / "seen"
        return seen.read_text().splitlines() if seen.exists() else []

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "c"):
        noise = np.random.default_rng(ord(name)).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{name}.png")
    return folder


def test_the_hook_sees_a_connection(watched: Run, tmp_path: Path) -> None:
    """Checks that the other tests can fail: a download from an external host is recorded."""
    with pytest.raises(AssertionError, match="pull"):
        watched([["models", "pull", "http://192.0.2.1:9/x.pth"]])
    assert "192.0.2.1" in (tmp_path / "seen").read_text()


def _all_commands(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _all_commands(command, *names, name)
        else:
            yield *names, name


ASKED_TO_CONNECT = {("models", "pull"), ("data", "pull"), ("ui",)}
"""Downloads; and the server of the page, which tests/ui/test_ui_server.py watches."""


@pytest.mark.slow
def test_no_command_connects_or_writes_into_the_home_folder(watched: Run, photos: Path) -> None:
    small = ["--set", "network.nf=8", "--set", "network.nc=1", "--steps", "2", "--batch-size", "2", "--hr-crop", "32"]
    commands = [
        ["upscale", "photos/a.png", "-o", "a.png"],
        ["upscale", "photos", "-o", "out", "--model", "nearest"],
        ["models", "list"],
        ["models", "info", "photo"],
        ["models", "verify"],
        ["models", "export", "photo", "-o", "photo.safetensors"],
        ["doctor"],
        ["mask", "photos/a.png", "-o", "mask.png"],
        ["build-db", "--hr-dir", "photos", "--max-patches", "50", "--out", "bank.safetensors"],
        ["data", "list"],
        ["data", "make-lr", "photos", "lr"],
        ["bench", "photos", "--model", "bicubic"],
        ["compare", "photos/a.png", "-o", "compare.png", "--model", "bicubic"],
        ["data", "degrade", "photos", "damaged", "--recipe", "photo"],
        ["batch", "report", "out"],
        ["train", "--recipe", "psnr-compact", "--hr-dir", "photos", "--out", "runs/x", *small],
        ["runs", "list", "runs"],
        ["runs", "show", "runs/x"],
        ["runs", "compare", "runs/x", "runs/x"],
        ["models", "path", "photo"],
        ["models", "interpolate", "photo", "clean", "--alpha", "0.5", "-o", "mixed"],
        ["models", "import", "photo.safetensors", "--name", "imported"],
        ["models", "rm", "imported"],
    ]
    if choose.is_installed("onnx"):
        commands.append(["models", "export", "photo", "-o", "photo.onnx"])
    if importlib.util.find_spec("matplotlib"):
        commands.append(["plot", "runs/x", "-o", "curves.png"])
    tried = {tuple(words[:length]) for words in commands for length in (1, 2)}
    left = set(_all_commands(typer.main.get_command(app))) - ASKED_TO_CONNECT - tried
    assert left <= {("plot",)}, "every command is tried"
    assert watched(commands) == []


@pytest.mark.parametrize("backend", ["ncnn", "openvino", "onnx"])
def test_no_backend_opens_a_connection(backend: str, watched: Run, photos: Path) -> None:
    if not choose.is_installed(backend):
        pytest.skip(f"the extra [{backend}] is not installed")
    if not choose.BACKENDS[backend].precisions():
        pytest.skip(f"{backend} does not run on this processor")
    assert watched([["upscale", "photos/a.png", "-o", "a.png", "--backend", backend, "--model", "clean"]]) == []


@pytest.mark.slow
def test_ray_opens_no_outside_connection(watched: Run, photos: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    command = ["upscale", "photos", "-o", "out", "--engine", "ray", "--workers", "1", "--model", "nearest"]
    assert watched([command]) == []
