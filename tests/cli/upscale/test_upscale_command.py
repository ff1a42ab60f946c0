"""``gramgan upscale`` as users call it: stdout and stderr, exit codes, pipes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from photo_corpus import scene, with_pillow
from PIL import Image
from torch.nn import functional as F

from gramgan_cli.cli.app import main
from gramgan_cli.core import archs
from gramgan_cli.core.resize.matlab import imresize
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.engines.upscale.upscaler import Interpolator

PNG = with_pillow(scene(3), "PNG")


@dataclass
class Done:
    returncode: int
    stdout: bytes
    stderr: bytes


@pytest.fixture
def gramgan(monkeypatch, capfdbinary):
    """Run the command in this process; return its exit code and output."""

    def call(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["gramgan", "upscale", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin), isatty=lambda: False))
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        sys.stdout.flush()
        printed = capfdbinary.readouterr()
        assert isinstance(code, int)
        return Done(code, printed.out, printed.err)

    return call


@pytest.mark.parametrize("words", [["N.png"], ["N.png", "-o", "out/"], ["a.png", "-o", "N/"]])
def test_names_that_the_system_refuses_give_one_message(gramgan, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    done = gramgan("--model", "nearest", *(word.replace("N", "n" * 300) for word in words))
    assert done.returncode == 1
    assert b"File name too long" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    hyperparameters = {"nf": 8, "nc": 1}
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    header = WeightsHeader("compact", hyperparameters, 4, "MIT", "sharp photographs")
    save_weights(path, archs.build("compact", hyperparameters).state_dict(), header)
    return path


def test_json_is_one_document_with_the_contract(gramgan, weights, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG[:-20])
    done = gramgan(tmp_path, "-o", tmp_path / "out", "--model", weights, "--json", "--device", "cpu")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["model"]["trained_for"] == "sharp photographs"
    good, bad = document["results"]
    assert {"input", "output", "model", "device", "tile", "seconds", "error", "warnings"} <= good.keys()
    assert (good["input_size"], good["output_size"]) == ([34, 21], [136, 84])
    assert (good["model"], good["device"], good["error"]) == ("tiny", "cpu", None)
    assert good["seconds"] > 0
    assert good["tile"] >= 16
    assert bad["output"] is None
    assert "b.png is damaged" in bad["error"]
    assert b"b.png" in done.stderr
    assert b"Traceback" not in done.stderr
    assert Image.open(good["output"]).size == (136, 84)


def test_quiet_prints_one_path_per_line_and_the_default_sizes(gramgan, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG)
    done = gramgan(tmp_path, "--model", "lanczos", "--quiet")
    assert done.stdout.decode().splitlines() == [str(tmp_path / "a_x4.png"), str(tmp_path / "b_x4.png")]
    done = gramgan(tmp_path, "--model", "lanczos", "--overwrite")
    assert b"a_x4.png (34x21 -> 136x84" in done.stdout
    assert b"2 upscaled, 0 skipped, 0 failed." in done.stderr


def test_pipes(gramgan, tmp_path):
    done = gramgan("-", "--model", "nearest", stdin=PNG)
    assert done.returncode == 0
    (tmp_path / "out.png").write_bytes(done.stdout)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png"))[::4, ::4], scene(3))
    done = gramgan("-", "-o", tmp_path / "file.tiff", "--model", "nearest", stdin=PNG)
    assert Image.open(tmp_path / "file.tiff").size == (136, 84)
    (tmp_path / "a.png").write_bytes(PNG)
    done = gramgan(tmp_path / "a.png", "-o", "-", "--format", "jpg", "--model", "nearest")
    assert done.stdout[:3] == b"\xff\xd8\xff"
    done = gramgan("-", "--model", "nearest", stdin=b"no picture")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"standard input is not an image" in done.stderr


def test_without_a_model_the_catalogue_s_is_used(gramgan, tmp_path):
    """Most users' photos are not clean; the catalogue names the default model for them."""
    (tmp_path / "a.png").write_bytes(PNG)
    done = gramgan(tmp_path / "a.png", "--json", "--device", "cpu")
    assert json.loads(done.stdout)["model"]["name"] == chosen_model()
    found = torch.from_numpy(np.array(Image.open(tmp_path / "a_x4.png")))
    lr = torch.from_numpy(scene(3)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        cleaned = F.pad(lr, [0, -lr.shape[3] % 8, 0, -lr.shape[2] % 8], "reflect")
        cleaned = load_model(RESTORE).network(cleaned)[:, :, : lr.shape[2], : lr.shape[3]].clamp(0, 1)
        apart = {
            name: (255 * load_model(name).network(seen)[0].clamp(0, 1).permute(1, 2, 0) - found).abs().max()
            for name, seen in ((chosen_model(), (cleaned * 255).round() / 255), ("clean", lr))
        }
    assert apart[chosen_model()] < 1 < apart["clean"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overwrite", "--skip-existing"], "can't be combined"),
        (["--outscale", "2", "--width", "50"], "Use one of them"),
        (["--fit", "wide"], "3840x2160"),
        (["--tile", "7"], "a number from 16"),
        (["--tile", "much"], "a number from 16"),
        (["--max-memory", "lots"], "4G"),
        (["--outscale", "0"], "between 0 and 64"),
        (["--device", "tpu"], "auto"),
        (["--format", "xyz"], "--format"),
        (["--output-template", "{x}"], "no field {x}"),
        (["-", "--json"], "combined with files"),
        (["--format", "png", "--quality", "80"], "--quality has no effect on PNG"),
        (["-o", "q.png", "--quality", "80"], "--quality has no effect on PNG"),
        (["--output-template", "{stem:{foo}}"], "can't be read"),
        (["--model", "lanczos", "--tta"], "--tta has no effect"),
        (["--model", "nearest", "--precision", "bf16"], "--precision has no effect"),
    ],
)
def test_usage_errors_exit_with_2_and_one_sentence(gramgan, arguments, message, weights, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    done = gramgan(tmp_path / "a.png", "--model", weights, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    if "--json" in arguments:
        assert message in json.loads(done.stdout)["error"]
    else:
        assert done.stdout == b""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.png", None, "There is no file or folder"),
        ("text.png", b"hello " * 100, "text.png is not an image that gramgan can read"),
        ("cut.png", PNG[:-20], "cut.png is damaged or cut off"),
        ("zero.png", b"", "zero.png is empty"),
    ],
)
def test_bad_input_exits_with_1_and_one_sentence(gramgan, name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = gramgan(tmp_path / name, "--model", "nearest")
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.decode().strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else [name])


def test_the_running_models_are_named(gramgan, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    words = ("-o", tmp_path / "out.png", "--device", "cpu", "--backend", "torch", "--overwrite")
    done = gramgan(tmp_path / "a.png", "--model", "clean", *words)
    assert b"Running clean (denoise 0, style 0) on cpu with torch." in done.stderr
    done = gramgan(tmp_path / "a.png", "--style", "0.5", *words)
    assert re.search(rb"Running photo and photo-gan \(denoise 1, style 0\.5\) on cpu with torch\.", done.stderr)


def test_nothing_runs_without_a_picture(gramgan, tmp_path):
    done = gramgan(tmp_path / "absent.png", "--model", "clean")
    assert done.returncode == 1
    assert b"Running" not in done.stderr


def test_json_is_a_document_for_errors_before_the_work_too(gramgan, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(PNG)
    for words in (["absent.png"], [tmp_path / "in", "-o", tmp_path / "out", "--model", "absent"]):
        done = gramgan(*words, "--json")
        assert done.returncode == 1
        document = json.loads(done.stdout)
        assert "absent" in document["error"]
        assert document["results"] == []


@pytest.mark.parametrize("folder", [False, True], ids=["a picture", "a folder"])
def test_hints_name_flags(gramgan, folder, tmp_path):
    """On the terminal and in JSON; in Python hints name arguments."""
    (tmp_path / "in").mkdir()
    frames = [Image.fromarray(scene(3)), Image.fromarray(255 - scene(3))]
    (tmp_path / "in/a.gif").write_bytes(with_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    words = [*([tmp_path / "in", "-o", tmp_path / "out"] if folder else [tmp_path / "in/a.gif"]), "--format", "jpg"]
    done = gramgan(*words, "--model", "nearest", "--json")
    assert done.returncode == 1
    assert b"Use --format png or webp." in done.stderr
    results = json.loads(done.stdout)["results"]
    assert [one["error"].endswith("Use --format png or webp.") for one in results] == [True]


def test_a_name_that_ends_in_a_slash_is_a_folder(gramgan, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    for name in ("2024.05.02/", "large.png/"):
        done = gramgan(tmp_path / "a.png", "-o", f"{tmp_path}/{name}", "--model", "nearest", "--quiet")
        assert done.stdout.decode().strip() == f"{tmp_path}/{name}a_x4.png"


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", ".jpg"), ("tif", ".tif"), ("tiff", ".tif")])
def test_formats_have_their_usual_names(gramgan, name, suffix, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    done = gramgan(tmp_path / "a.png", "--format", name, "--model", "nearest", "--quiet")
    assert done.stdout.decode().strip() == str(tmp_path / f"a_x4{suffix}")


def test_a_missing_device_is_refused_for_files_and_folders(gramgan, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(PNG)
    for words in ([tmp_path / "in/a.png"], [tmp_path / "in", "-o", tmp_path / "out"]):
        done = gramgan(*words, "--model", "nearest", "--device", "foo")
        assert done.returncode == 2
        assert b"'foo'" in done.stderr


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A run over three photos with Ctrl-C during the second."""
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(PNG)
    real, calls = Interpolator.bands, []

    def bands(self, image):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, image)

    monkeypatch.setattr(Interpolator, "bands", bands)
    return sorted(tmp_path.glob("*.png"))


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(gramgan, tmp_path, interrupted):
    done = gramgan(*interrupted, "--model", "nearest", "-o", tmp_path / "out")
    assert done.returncode == 130
    assert re.search(rb"Stopped after [01] of 3\. .*--skip-existing", done.stderr)
    done = gramgan(*interrupted, "--model", "nearest", "-o", tmp_path / "out", "--skip-existing")
    assert done.returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_ctrl_c_in_a_folder_with_records_goes_on_by_itself(gramgan, tmp_path, interrupted):
    pytest.importorskip("pyarrow", reason="needs the extra archive")
    done = gramgan(tmp_path, "--model", "nearest", "-o", tmp_path / "out")
    assert done.returncode == 130
    assert re.search(rb"Stopped after [01] of 3 photos\. To continue, run the same command again", done.stderr)
    assert gramgan(tmp_path, "--model", "nearest", "-o", tmp_path / "out").returncode == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == len(interrupted)


def test_an_unknown_model_names_the_nearest(gramgan, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    done = gramgan(tmp_path / "a.png", "--model", "lanzcos")
    assert done.returncode == 1
    assert "Did you mean" in done.stderr.decode()
    assert "lanczos" in done.stderr.decode()


def test_every_option_of_the_model_run_changes_what_it_says_it_does(gramgan, weights, tmp_path):
    """No option is without effect."""
    (tmp_path / "a.png").write_bytes(
        with_pillow(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8), "PNG")
    )
    seen = {}
    for name, options in {
        "plain": [],
        "tta": ["--tta"],
        "seamless": ["--seamless"],
        "bf16": ["--precision", "bf16"],
    }.items():
        done = gramgan(tmp_path / "a.png", "-o", tmp_path / f"{name}.png", "--model", weights, *options)
        assert done.returncode == 0, done.stderr
        seen[name] = (tmp_path / f"{name}.png").read_bytes()
    assert len(set(seen.values())) == 4


def test_a_seamless_result_laid_twice_shows_no_edge(gramgan, weights, tmp_path):
    """A periodic texture: the step across the result's own border is no larger than steps inside it."""
    y, x = np.mgrid[0:48, 0:48] * (2 * np.pi / 48)
    wave = np.stack([np.sin(x + 2 * y), np.cos(2 * x - y), np.sin(x) * np.cos(y)], axis=2)
    (tmp_path / "a.png").write_bytes(with_pillow((127 + 100 * wave).astype(np.uint8), "PNG"))
    assert gramgan(tmp_path / "a.png", "--seamless", "--model", weights).returncode == 0
    once = np.asarray(Image.open(tmp_path / "a_x4.png")).astype(int)
    twice = np.tile(once, (2, 2, 1))
    for axis in (0, 1):
        steps = np.abs(np.diff(twice, axis=axis)).max(axis=(1 - axis, 2))
        phase = steps[3::4]  # between source pixels, where steps are largest
        assert phase[once.shape[axis] // 4 - 1] <= 1.1 * np.median(phase)


@pytest.mark.parametrize("side", [96, 120, 500])
def test_a_seamless_result_of_another_size_goes_on_across_its_edges(gramgan, weights, side, tmp_path):
    """It equals the middle of a repeated result, resized."""
    texture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(with_pillow(texture, "PNG"))
    for name, size in (("whole", []), ("sized", ["--width", side])):
        options = ["--seamless", "--model", weights, "-o", tmp_path / f"{name}.png", *size]
        assert gramgan(tmp_path / "a.png", *options).returncode == 0
    repeated = np.tile(np.asarray(Image.open(tmp_path / "whole.png")), (3, 3, 1)).astype(float)
    expected = imresize(repeated, side / 192, size=(3 * side, 3 * side))[side : 2 * side, side : 2 * side]
    found = np.asarray(Image.open(tmp_path / "sized.png"))
    assert np.abs(found - expected.clip(0, 255)).max() <= 1


@pytest.mark.parametrize("name", ["ünï 日本.png", os.fsdecode(b"\xff\xfe.png")], ids=["not ASCII", "not UTF-8"])
@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-8:strict"])
@pytest.mark.skipif(sys.platform != "linux", reason="names there are not bytes")
def test_names_that_the_terminal_can_not_show_are_printed_as_they_are_stored(name, encoding, tmp_path):
    (tmp_path / name).write_bytes(PNG)
    command = [sys.executable, "-m", "gramgan_cli", "upscale", name, "--model", "nearest", "--overwrite"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    expected = os.fsencode(name.removesuffix(".png") + "_x4.png")
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "timeout": 120}
    done = subprocess.run([*command, "--quiet"], **run)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected + b"\n"
    done = subprocess.run([*command, "--json"], **run)
    assert os.fsencode(json.loads(done.stdout)["results"][0]["output"]) == expected
