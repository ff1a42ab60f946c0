"""Commands in docs/metrics.md whose metrics need an extra and a download, run with random weights in the cache."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import torch
import torchvision
from feature_file import random_vgg16, save_random_vgg16
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.metrics.fid import INCEPTION
from gramgan_cli.core.metrics.lpips import ALEXNET, VGG16

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LINE = re.compile(r"^gramgan bench .*--metric .*$", re.MULTILINE)
MEASURED = {"lpips": "LPIPS", "dists": "DISTS", "niqe": "NIQE", "fid": "FID"}
"""Column of each metric in the table."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sets that the page names, and the weights where a user without a network puts them."""
    for library in ("lpips", "torchmetrics", "torch_fidelity"):
        if importlib.util.find_spec(library) is None:
            pytest.skip("needs the extra [metrics]")
    from torch_fidelity import FeatureExtractorInceptionV3

    for name in ("Set5", "DIV2K", "photos"):
        blurred_noise(tmp_path / name, 2, (212, 204), by=3)
    torch.manual_seed(0)
    save_random_vgg16(tmp_path)
    alexnet = {f"features.{key}": value for key, value in torchvision.models.AlexNet().features.state_dict().items()}
    torch.save({}, tmp_path / "empty.pth")
    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(tmp_path / "empty.pth"))
    (cache_dir() / "features").mkdir(parents=True)
    for url, weights in ((ALEXNET, alexnet), (VGG16, random_vgg16()), (INCEPTION, network.state_dict())):
        torch.save(weights, cache_dir() / "features" / Path(url).name)
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_commands_with_further_metrics_run() -> None:
    """On bicubic instead of networks, to save time."""
    lines = LINE.findall(PAGE.read_text(encoding="utf-8"))
    asked = {word for line in lines for word in shlex.split(line) if word in MEASURED}
    assert asked == set(MEASURED), "the page shows a command for each"
    for line in lines:
        words = [word for word in shlex.split(line)[1:] if word not in ("-m", "photo", "bicubic")]
        result = CliRunner().invoke(app, [*words, "-m", "bicubic"], env={"COLUMNS": "200"})
        assert result.exit_code == 0, (line, result.output, result.exception)
        assert all(MEASURED[word] in result.stdout for word in words if word in MEASURED), line
