"""``gg.upscale`` and ``gg.upscale_all`` write the same files as the command, and raise errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gramgan_cli as gg


def put(path: Path, seed: int = 0, **options: Any) -> Path:
    array = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.fromarray(array).save(path, exif=exif, dpi=(72, 72), **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "arguments", "words"),
    [
        ("png", {"model": "clean"}, ["--model", "clean"]),
        ("jpg", {"style": 0.5, "quality": 80}, ["--style", "0.5", "--quality", "80"]),
        ("png", {"model": "lanczos", "fit": (50, 50)}, ["--model", "lanczos", "--fit", "50x50"]),
        ("webp", {"model": "clean", "outscale": 2.5, "tta": True}, ["--model", "clean", "--outscale", "2.5", "--tta"]),
    ],
)
def test_files_are_equal_to_the_commands(
    tmp_path: Path, suffix: str, arguments: dict[str, Any], words: list[str]
) -> None:
    photo = put(tmp_path / f"photo.{suffix}")
    by_command, by_call = tmp_path / f"command.{suffix}", tmp_path / f"call.{suffix}"
    command = [sys.executable, "-m", "gramgan_cli", "upscale", str(photo), "-o", str(by_command), *words]
    subprocess.run([*command, "--device", "cpu", "--backend", "torch"], check=True, capture_output=True)
    result = gg.upscale(photo, by_call, device="cpu", backend="torch", **arguments)
    assert by_call.read_bytes() == by_command.read_bytes()
    with Image.open(by_call) as image:
        assert (result.output, result.output_size) == (str(by_call), image.size)


def test_a_folder_gives_results_in_order_and_goes_on_after_a_damaged_picture(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(3):
        put(folder / f"{index}.png", index)
    (folder / "1.png").write_bytes(b"no picture")
    done: list[float] = []
    results = list(gg.upscale_all(folder, tmp_path / "out", model="nearest", on_progress=done.append))
    assert [Path(result.input).name for result in results] == ["0.png", "1.png", "2.png"]
    assert [result.error is None for result in results] == [True, False, True]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0_x4.png", "2_x4.png"]
    assert done[-1] == 3
    with pytest.raises(gg.GramganError, match=r"1\.png"):
        results[1].raise_for_error()


def test_errors_are_raised_with_their_types(tmp_path: Path) -> None:
    photo = put(tmp_path / "a.png")
    gg.upscale(photo, model="nearest")
    with pytest.raises(gg.TargetExists, match="already exists"):
        gg.upscale(photo, model="nearest")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(photo.read_bytes()[:200])
    with pytest.raises(gg.ImageDamaged, match=r"damaged\.png"):
        gg.upscale(damaged, model="nearest")
    with pytest.raises(gg.ModelNotFound, match="no-such-model"):
        gg.upscale(photo, model="no-such-model", overwrite=True)
    assert gg.upscale(photo, model="nearest", skip_existing=True).skipped
    with pytest.raises(gg.UsageError, match="is a folder"):
        gg.upscale(tmp_path)
    with pytest.raises(gg.UsageError):
        gg.upscale("-", model="nearest")
    with pytest.raises(TypeError, match="colour"):
        gg.upscale(photo, colour=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tile", -5),
        ("tile", "large"),
        ("format", "bmp"),
        ("precision", "fp8"),
        ("backend", "tensorrt"),
        ("quality", 0),
        ("quality", 500),
        ("width", 0),
        ("height", -3),
        ("fit", (0, 10)),
        ("max_memory", 0),
        ("denoise", "0.5"),
        ("denoise", 2),
        ("style", -1),
    ],
)
def test_values_that_the_command_refuses_are_refused(tmp_path: Path, name: str, wrong: Any) -> None:
    with pytest.raises(gg.UsageError, match=f"`{name}`"):
        gg.upscale(put(tmp_path / "a.png"), **{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [*(("shard", shard) for shard in ((1, 0), (9, 8), (-1, 8), "3/2", ("1", "2"), (True, 2))), ("engine", "Ray")],
)
def test_batch_values_that_the_command_refuses_are_refused(tmp_path: Path, name: str, wrong: Any) -> None:
    put(tmp_path / "a.png")
    with pytest.raises(gg.UsageError, match=f"`{name}`"):
        gg.upscale_batch(tmp_path, tmp_path / "out", model="lanczos", **{name: wrong})


@pytest.mark.parametrize("kind", [RuntimeError, OSError, KeyError, gg.GramganError])
def test_an_exception_in_a_callback_stops_and_leaves_nothing(tmp_path: Path, kind: type[Exception]) -> None:
    photo = put(tmp_path / "a.png")

    def stop(_done: float) -> None:
        raise kind("enough")

    with pytest.raises(kind, match="enough"):
        gg.upscale(photo, tmp_path / "b.png", model="nearest", on_progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_models_are_those_of_the_command(tmp_path: Path) -> None:
    names = [model.name for model in gg.models()]
    done = subprocess.run(
        [sys.executable, "-m", "gramgan_cli", "models", "list", "--quiet"], capture_output=True, text=True, check=True
    )
    assert names == done.stdout.split()
    assert {"clean", "photo", "bicubic"} <= set(names)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gg.upscale(put(tmp_path / "a.png"), model="clean", device="cpu", backend="torch")
    gg.load("clean", device="cpu", backend="torch")(np.zeros((8, 8, 3), np.uint8))
    assert capfd.readouterr() == ("", "")
