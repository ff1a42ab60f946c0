"""Networks with one channel: 16-bit grey in files, training, bench, export and upscaling."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.crops import to_tensor
from gramgan_cli.core.data.grey import read_grey
from gramgan_cli.core.data.prepared import prepare_photos
from gramgan_cli.core.resize.matlab import imresize
from gramgan_cli.core.weights.load import load_model

GREY = ["--set", "network.in_nc=1", "--set", "network.out_nc=1"]
SMALL = ["--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--hr-crop", "32", "--batch-size", "2"]


def scan(seed: int, side: int = 96) -> NDArray[np.uint16]:
    """Smooth grey within 400 of 65536 levels, like a scan; 8 bits would leave two levels."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 3)
    return (30000 + 400 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint16)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Four 16-bit grey files, two PNG and two TIFF."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(scan(number)).save(folder / f"{number}.{'png' if number % 2 else 'tif'}")
    return folder


def command(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def trained(scans: Path, out: Path) -> Path:
    words = ["train", "--recipe", "psnr", *SMALL, *GREY, "--hr-dir", scans, "--steps", 2, "--device", "cpu"]
    command(*words, "--no-store", "--quiet", "--out", out, "--set", "valid_loss=true")
    return out / "last.safetensors"


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_level_of_a_16_bit_file_is_read(suffix: str, tmp_path: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(levels).save(tmp_path / f"all.{suffix}")
    assert np.array_equal(read_grey(tmp_path / f"all.{suffix}")[:, :, 0], levels)
    photo = prepare_photos([tmp_path / f"all.{suffix}"], 4, tmp_path / "cache", channels=1)[0]
    assert np.array_equal(photo.hr[:, :, 0], levels)
    exact = imresize(levels.astype(np.float64), 0.25)
    assert np.abs(photo.lr[:, :, 0] - exact).max() <= 1, "LR is rounded to 16 bits, not to 8"
    assert np.array_equal(to_tensor([photo.hr])[0, 0].numpy(), levels.astype(np.float32) / np.float32(65535))


def test_8_bit_levels_and_colours_become_16_bit_grey(tmp_path: Path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "g.png")
    assert np.array_equal(read_grey(tmp_path / "g.png").ravel(), np.arange(256) * 257)
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "c.png")
    brightness = 257 * (0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2])
    assert np.abs(read_grey(tmp_path / "c.png")[:, :, 0] - brightness).max() <= 0.5 + 1e-6


def test_training_measures_what_bench_measures(scans: Path, tmp_path: Path) -> None:
    weights = trained(scans, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    (validated,) = [row for row in rows if "psnr_y" in row]
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    used = set(load_model(str(weights)).header.training["photo_names"])
    (left,) = [path for path in scans.iterdir() if path.name not in used]
    left.rename(held_out / left.name)
    words = ["bench", held_out, "-m", weights, "-m", "bicubic", "--convention", "grey", "--device", "cpu", "--json"]
    document = json.loads(command(*words))
    own = next(row for row in document["results"] if row["model"] == "last")
    assert own["psnr_y"] == pytest.approx(validated["psnr_y"], abs=1e-3)
    assert own["ssim_y"] == pytest.approx(validated["ssim_y"], abs=1e-5)
    assert document["convention"]["name"] == "grey"
    # Bicubic by the formula, in float64, with LR and result rounded to 16 bits.
    hr = np.asarray(Image.open(held_out / left.name)).astype(np.float64)
    lr = imresize(hr.astype(np.uint16), 0.25)
    sr = np.floor(imresize(lr.astype(np.float32), 4) + 0.5)
    error = np.mean((sr - hr)[4:-4, 4:-4] ** 2)
    bicubic = next(row for row in document["results"] if row["model"] == "bicubic")
    assert bicubic["psnr_y"] == pytest.approx(10 * np.log10(65535**2 / error), abs=1e-4)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_16_bit_picture_comes_out_as_the_network_gives_it(suffix: str, scans: Path, tmp_path: Path) -> None:
    weights = trained(scans, tmp_path / "run")
    source = scan(9, 24)
    Image.fromarray(source).save(tmp_path / f"in.{suffix}")
    out = tmp_path / f"out.{suffix}"
    command("upscale", tmp_path / f"in.{suffix}", "-o", out, "-m", weights, "--device", "cpu", "--precision", "fp32")
    network = load_model(str(weights)).network
    with torch.inference_mode():
        exact = network(torch.from_numpy(source.astype(np.float32) / 65535)[None, None])[0, 0].double().numpy()
    found = np.asarray(Image.open(out)).astype(np.int64)
    assert found.shape == (96, 96)
    assert np.abs(found - np.clip(exact, 0, 1) * 65535).max() <= 1


def test_colour_channels_are_upscaled_separately_by_grey_networks(scans: Path, tmp_path: Path) -> None:
    weights = trained(scans, tmp_path / "run")
    colour = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "c.png")
    command("upscale", tmp_path / "c.png", "-o", tmp_path / "o.png", "-m", weights, "--device", "cpu")
    for channel in range(3):
        Image.fromarray(colour[..., channel]).save(tmp_path / "g.png")
        command("upscale", tmp_path / "g.png", "-o", tmp_path / f"{channel}.png", "-m", weights, "--device", "cpu")
    merged = np.stack([np.asarray(Image.open(tmp_path / f"{channel}.png")) for channel in range(3)], axis=2)
    assert np.abs(np.asarray(Image.open(tmp_path / "o.png")).astype(int) - merged).max() <= 1


def test_a_grey_network_is_exported(scans: Path, tmp_path: Path) -> None:
    weights = trained(scans, tmp_path / "run")
    x = torch.rand(1, 1, 17, 19)
    with torch.inference_mode():
        expected = load_model(str(weights)).network(x).numpy()
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    command("models", "export", weights, "-o", tmp_path / "grey.safetensors")
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "grey.safetensors")
    with torch.inference_mode():
        assert np.abs(theirs.model(x).numpy() - expected).max() < 1e-6
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    command("models", "export", weights, "-o", tmp_path / "grey.onnx")
    (found,) = onnxruntime.InferenceSession(tmp_path / "grey.onnx").run(None, {"image": x.numpy()})
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "degradation.share=0.5"],
        ["--set", "network.out_nc=3"],
        ["--arch", "srresnet", "--set", "network.input_range=imagenet"],
    ],
)
def test_settings_that_grey_networks_do_not_support_are_refused(words: list[str], scans: Path, tmp_path: Path) -> None:
    every = ["train", "--recipe", "psnr", *SMALL, *GREY, "--hr-dir", scans, "--out", tmp_path / "r", *words]
    if "--arch" in words:
        every = [word for word in every if word not in ("network.nf=8", "network.nc=2")]
        every = ["train", "--recipe", "psnr", *GREY, "--hr-dir", scans, "--out", tmp_path / "r", *words]
    result = CliRunner().invoke(app, [str(word) for word in every])
    assert result.exit_code in (1, 2)
    assert not (tmp_path / "r").exists()


def test_a_discriminator_sees_grey_in_three_channels(scans: Path, tmp_path: Path) -> None:
    words = ["train", "--recipe", "psnr", *SMALL, *GREY, "--hr-dir", scans, "--steps", 1, "--device", "cpu"]
    gan = ["--set", "discriminator.arch=unet", "--set", "discriminator.nf=4", "--set", "loss.adversarial=0.1"]
    command(*words, *gan, "--set", "loss.ssim=0.1", "--no-store", "--quiet", "--out", tmp_path / "gan")
    assert (tmp_path / "gan" / "last.safetensors").is_file()


def test_rotated_grey_keeps_its_levels(scans: Path, tmp_path: Path) -> None:
    words = ["train", "--recipe", "psnr", *SMALL, *GREY, "--hr-dir", scans, "--steps", 1, "--device", "cpu"]
    command(*words, "--set", "data.rotation=10", "--no-store", "--quiet", "--out", tmp_path / "turned")
    assert (tmp_path / "turned" / "last.safetensors").is_file()
