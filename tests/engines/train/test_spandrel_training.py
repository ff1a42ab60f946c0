"""Fine-tuning other projects' networks, from their files to files that they can load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.load import load_model

spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
from spandrel.architectures.DITN import DITN  # noqa: E402
from spandrel.architectures.SAFMN import SAFMN  # noqa: E402


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return blurred_noise(tmp_path / "photos", 3, (96, 72), by=3)


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def checkpoint(path: Path, design: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {
        "SAFMN": lambda: SAFMN(dim=8, n_blocks=1, upscaling_factor=4),
        "DITN": lambda: DITN(dim=8, ITL_blocks=1, SAL_blocks=1, UFONE_blocks=1, patch_size=4, upscale=4),
    }
    state = made[design]().state_dict()
    torch.save({"params_ema": state}, path)
    return dict(state)


@pytest.mark.parametrize("design", ["SAFMN", "DITN"])
def test_a_checkpoint_is_trained_further_and_goes_back_in_its_own_names(
    design: str, photos: Path, tmp_path: Path
) -> None:
    before = checkpoint(tmp_path / "4x-theirs.pth", design)
    out = tmp_path / "run"
    words = ["train", "--recipe", "psnr", "--init", tmp_path / "4x-theirs.pth", "--hr-dir", photos, "--hr-crop", 32]
    result = command(*words, "--batch-size", 2, "--steps", 2, "--device", "cpu", "--no-store", "--quiet", "--out", out)
    assert result.exit_code == 0, (result.output, result.exception)
    model = load_model(str(out / "last.safetensors"))
    assert (model.descriptor.arch, model.header.licence) == (design, "unknown")
    assert model.header.training["init"]["model"] == "4x-theirs"
    exported = tmp_path / "back.safetensors"
    result = command("models", "export", out / "last.safetensors", "-o", exported)
    assert result.exit_code == 0, (result.output, result.exception)
    after = load_file(exported)
    assert after.keys() == before.keys()
    assert any(not torch.equal(after[key], before[key]) for key in before), "it learned"
    save_file(after, tmp_path / "bare.safetensors")
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "bare.safetensors")
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(theirs(x), model.network(x))


def test_a_resumed_run_ends_as_one_that_never_stopped(photos: Path, tmp_path: Path) -> None:
    checkpoint(tmp_path / "theirs.pth", "SAFMN")
    words = ["train", "--recipe", "psnr", "--hr-dir", photos, "--hr-crop", 32, "--batch-size", 2, "--device", "cpu"]
    words += ["--no-store", "--quiet", "--init", tmp_path / "theirs.pth", "--threads", 1, "--set", "schedule.period=4"]
    for out, steps in (("whole", 4), ("parts", 2)):
        result = command(*words, "--steps", steps, "--out", tmp_path / out)
        assert result.exit_code == 0, (result.output, result.exception)
    (tmp_path / "theirs.pth").unlink()
    resumed = ["--recipe", "psnr", "--resume", "--steps", 4, "--device", "cpu", "--no-store", "--quiet"]
    result = command("train", *resumed, "--out", tmp_path / "parts")
    assert result.exit_code == 0, (result.output, result.exception)
    whole, parts = (load_file(tmp_path / out / "last.safetensors") for out in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_known_layout_becomes_our_own_network(photos: Path, tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact

    torch.save(Compact(num_feat=8, num_conv=2).state_dict(), tmp_path / "realesr.pth")
    words = ["train", "--recipe", "psnr", "--init", tmp_path / "realesr.pth", "--hr-dir", photos, "--hr-crop", 32]
    more = ["--batch-size", 2, "--steps", 1, "--device", "cpu", "--no-store", "--quiet", "--out", tmp_path / "run"]
    result = command(*words, *more)
    assert result.exit_code == 0, (result.output, result.exception)
    assert load_model(str(tmp_path / "run" / "last.safetensors")).descriptor.arch == "compact"


def test_networks_of_spandrel_need_initial_weights(photos: Path, tmp_path: Path) -> None:
    result = command("train", "--recipe", "psnr", "--arch", "spandrel", "--hr-dir", photos, "--out", tmp_path / "r")
    assert isinstance(result.exception, UsageError)
    assert "`init`" in (result.exception.hint or "")
