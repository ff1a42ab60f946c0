"""Devices and pipes that a command is told to write to: refused before the work, and left as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from photo_corpus import scene, with_pillow

from gramgan_cli.cli.app import main
from gramgan_cli.core.backends import onnx_file

COMMANDS = {
    "upscale": ("upscale photo.png --model nearest -o {}", ".png"),
    "bench": ("bench . -m bicubic --report {}", ".html"),
    "build-db": ("build-db --hr-dir . --out {}", ".safetensors"),
    "compare": ("compare photo.png -m nearest -o {}", ".png"),
    "compare, page": ("compare photo.png -m nearest -o {}", ".html"),
    "export": ("models export clean -o {}", ".safetensors"),
    "export, ONNX": ("models export clean -o {}", ".onnx"),
    "mask": ("mask photo.png -o {}", ".png"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_command_replaces_a_pipe(name, linked, tmp_path, monkeypatch, capsys):
    command, suffix = COMMANDS[name]
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(with_pillow(scene(3), "PNG"))
    os.mkfifo("pipe")
    target = Path(f"target{suffix}")
    if linked:
        target.symlink_to("pipe")
    else:
        Path("pipe").rename(target)
    before = target.lstat().st_ino
    monkeypatch.setattr(onnx_file, "write_onnx", lambda *_a, **_k: pytest.fail("it must be refused before the work"))
    monkeypatch.setattr("sys.argv", ["gramgan", *command.format(target).split(), "--overwrite"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert f"{target} is not a regular file, so it is not replaced" in "".join(capsys.readouterr()).replace("\n", " ")
    assert target.lstat().st_ino == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_not_read_from_a_pipe(suffix, tmp_path, monkeypatch, capsys):
    """Nobody writes to it: reading would wait for ever."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo(f"pipe{suffix}")
    monkeypatch.setattr("sys.argv", ["gramgan", "models", "import", f"pipe{suffix}", "--name", "x"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert f"pipe{suffix} is not a regular file" in "".join(capsys.readouterr()).replace("\n", " ")
