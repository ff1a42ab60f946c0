"""Error handling: users get a message and an exit code, developers a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.cli import app, doctor
from gramgan_cli.core.errors import BankUnreadable, DeviceNotFound, GramganError, TargetExists, UsageError


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of a command that raises ``error``."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as caught:
        app.main()
    return int(str(caught.value.code))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (GramganError("It failed.", "Do this."), 1, "Error: It failed. Do this."),
        (TargetExists("a.png already exists."), 1, "Error: a.png already exists. Replace it with --overwrite."),
        (BankUnreadable("There is no texture bank x."), 1, "x. Build one with: gramgan build-db --hr-dir DIR"),
        (GramganError("`x` failed.", "Use `format` png."), 1, "Error: `x` failed. Use --format png."),
        (UsageError("A crop.", "Set `data.hr_crop` or x.y."), 2, "A crop. Set --hr-crop or x.y."),
        (DeviceNotFound("There is no device 'x' here."), 2, "--device"),
        (PermissionError(13, "Permission denied", "a.png"), 1, "Error: a.png: Permission denied."),
        (KeyError("params"), 1, "KeyError: 'params'"),
        (RuntimeError("Symlink loop from '/a'"), 1, "symbolic links form a loop"),
        (RecursionError("maximum depth\nexceeded"), 1, "RecursionError: maximum depth exceeded"),
        (GramganError("\x1b[2J"), 1, "\\x1b[2J"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_is_one_sentence(
    error: Exception, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAMGAN_DEBUG", raising=False)
    assert failing(error, monkeypatch) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_developer_gets_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_DEBUG", "1")

    def fail() -> None:
        raise KeyError("params")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(KeyError):
        app.main()


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_circular_links_give_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Circular links as the cache folder, which every command uses."""
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    monkeypatch.setenv("GRAMGAN_CACHE", str(tmp_path / "a" / "cache"))
    monkeypatch.setattr(app, "app", lambda: doctor.doctor())
    try:
        app.main()
    except SystemExit as error:
        assert error.code == 1  # noqa: PT017


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upscale", "a.png", "--nosuch"], "--nosuch"),
        (["upscale", "a.png", "--outscale", "abc"], "number"),
        (["upscale", "a.png", "--quality", "200"], "at most 100"),
        (["upscale", "a.png", "--width", "0"], "at least 1"),
        (["upscale", "a.png", "--format", "bmpp"], "bmpp"),
        (["upscale", "a.png", "--tile", "foo"], "foo"),
        (["upscale", "a.png", "--device", "foo"], "foo"),
        (["upscale"], "INPUT"),
        (["nosuch"], "nosuch"),
        (["models", "nosuch"], "nosuch"),
        (["batch", "report", "nosuch"], "nosuch"),
        (["bench", "--nosuch"], "--nosuch"),
    ],
)
def test_errors_found_before_the_work_are_a_document_too(arguments, message, monkeypatch, capsys) -> None:
    """Also, no library's wording reaches a user."""
    monkeypatch.setattr(sys, "argv", ["gramgan", *arguments, "--json"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    printed = capsys.readouterr()
    assert caught.value.code in (1, 2)
    assert message in json.loads(printed.out)["error"]
    assert "Input should" not in printed.out + printed.err
    assert "Value error" not in printed.out + printed.err


@pytest.mark.parametrize(
    "words",
    [
        "mask bad/a.jpg -o mask.png",
        "mask bad -o masks",
        "compare bad/a.jpg -o c.png --model bicubic",
        "compare bad/a.jpg --hr -o c.png --model bicubic",
        "bench bad --model bicubic --scale 2",
        "build-db --hr-dir bad --out bank.safetensors",
        "data make-lr bad lr",
        "data degrade bad lr --recipe photo",
        "train --recipe psnr-compact --hr-dir bad --out run --steps 1",
        "train --recipe psnr-compact --hr-dir bad --out run --steps 1 --set network.in_nc=1 --set network.out_nc=1",
        "upscale bad/a.jpg --model bicubic",
        "upscale bad -o out --model bicubic",
    ],
)
def test_a_hint_names_only_options_of_its_command(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A JPEG that is cut off can be read in part, which only upscale offers."""
    monkeypatch.chdir(tmp_path)
    for folder in ("good", "bad"):
        Path(folder).mkdir()
    scene = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8))
    scene.save("good/a.png")
    scene.save("bad/a.jpg")
    Path("bad/a.jpg").write_bytes(Path("bad/a.jpg").read_bytes()[:-3000])
    monkeypatch.setattr(sys, "argv", ["gramgan", *words.split()])
    with pytest.raises(SystemExit) as ended:
        app.main()
    message = capfd.readouterr().err
    assert ended.value.code == 1, message
    assert "bad/a.jpg" in message
    assert "Copy it again from its source" in message
    assert ("--allow-truncated" in message) == words.startswith("upscale")
