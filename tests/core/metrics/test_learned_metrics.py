"""LPIPS and DISTS against torchmetrics, with random weights, since the real ones are not available everywhere."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.archs.initialise import Uninitialised
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.metrics.dists import Dists
from gramgan_cli.core.metrics.lpips import ALEXNET, VGG16, Lpips, label_of
from gramgan_cli.engines.measure.metrics import open_metrics

pytest.importorskip("lpips", reason="needs the extra [metrics]")
pytest.importorskip("torchmetrics", reason="needs the extra [metrics]")


@pytest.fixture(scope="module")
def vgg16() -> dict[str, torch.Tensor]:
    """VGG16's convolutions with random weights, by torchvision's names."""
    torch.manual_seed(0)
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    return {f"features.{key}": value for key, value in layers.state_dict().items()}


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A picture (45, 70, 3) and a noisier version."""
    random = np.random.default_rng(0)
    hr = random.integers(0, 256, (45, 70, 3), dtype=np.uint8)
    return np.clip(hr + random.normal(0, 20, hr.shape), 0, 255).astype(np.uint8), hr


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.tensor(image.transpose(2, 0, 1)[None] / 255, dtype=torch.float32)


def test_lpips_equals_torchmetrics(
    vgg16: dict[str, torch.Tensor], pair: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """With the linear layers that torchmetrics includes."""
    module = importlib.import_module("torchmetrics.functional.image.lpips")
    with Uninitialised():
        theirs = module._LPIPS(pretrained=True, net="vgg", pnet_rand=True)
    theirs.net.load_state_dict({key: vgg16["features." + key.split(".", 1)[1]] for key in theirs.net.state_dict()})
    file = tmp_path / "vgg16_mine.safetensors"
    save_file(vgg16, file)
    expected = float(theirs.eval()(tensor(pair[0]), tensor(pair[1]), normalize=True))
    assert expected > 0.001
    assert Lpips(file).distance(*pair) == pytest.approx(expected, rel=1e-5)
    assert Lpips(file).distance(pair[0], pair[0]) == 0


def test_lpips_takes_alexnet_from_the_cache(
    pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    file = cache_dir() / "features" / Path(ALEXNET).name
    with pytest.raises(
        GramganError, match=r"AlexNet are not in the cache, and GRAMGAN_OFFLINE is set\. Download http.* put it at"
    ) as caught:
        Lpips()
    assert str(file) in str(caught.value)
    torch.manual_seed(0)
    with torch.device("cpu"):
        layers = torchvision.models.AlexNet().features
    file.parent.mkdir(parents=True)
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, file)
    module = importlib.import_module("torchmetrics.functional.image.lpips")
    with Uninitialised():
        theirs = module._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    weights = layers.state_dict()
    theirs.net.load_state_dict({key: weights[key.split(".", 1)[1]] for key in theirs.net.state_dict()})
    expected = float(theirs.eval()(tensor(pair[0]), tensor(pair[1]), normalize=True))
    assert Lpips().distance(*pair) == pytest.approx(expected, rel=1e-5)
    file.write_bytes(b"damaged")
    with pytest.raises(GramganError, match=r"damaged.*Delete the file"):
        Lpips()


def test_dists_equals_torchmetrics(
    vgg16: dict[str, torch.Tensor], pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("torchmetrics.functional.image.dists")
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    layers.load_state_dict({key.split(".", 1)[1]: value for key, value in vgg16.items()})
    holder = torch.nn.Module()
    holder.features = layers
    monkeypatch.setattr(module, "vgg16", lambda **_: holder)
    expected = float(module.DISTSNetwork()(tensor(pair[0]), tensor(pair[1])).detach())
    mine = Dists(vgg16)
    assert expected > 0.001
    assert mine.distance(*pair) == pytest.approx(expected, abs=2e-6)
    assert mine.distance(pair[1], pair[1]) == pytest.approx(0, abs=2e-6)
    same = tensor(pair[1])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert float(mine(same, same)) == pytest.approx(0, abs=2e-6)


def test_lpips_labels_name_their_network() -> None:
    """Only ImageNet's networks give the published LPIPS; others must not be labelled so."""
    assert label_of(None) == "LPIPS"
    assert label_of(Path("x") / Path(VGG16).name) == "LPIPS-VGG"
    assert label_of(Path("vgg16_hed.safetensors")) == "LPIPS-HED"
    assert label_of(Path("mine.pth")) == "LPIPS-MINE"
    assert label_of(Path("vgg16.pth")) == "LPIPS-VGG16"


def test_other_weights_than_vgg16_are_refused(vgg16: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"no file .*absent\.pth"):
        Lpips(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(GramganError, match=r"text\.pth can't be read as weights"):
        Lpips(tmp_path / "text.pth")
    save_file({key: value for key, value in vgg16.items() if "28" not in key}, tmp_path / "short.safetensors")
    with pytest.raises(GramganError, match=r"'features\.28\.weight' is missing in .*short\.safetensors"):
        Lpips(tmp_path / "short.safetensors")


def test_features_without_lpips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="LPIPS is not measured"):
        open_metrics(["gram"], torch.device("cpu"), tmp_path / "x.pth")


def test_bench_names_the_features(
    vgg16: dict[str, torch.Tensor], pair: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    save_file(vgg16, tmp_path / "vgg16_hed.safetensors")
    (tmp_path / "set").mkdir()
    Image.fromarray(pair[1]).save(tmp_path / "set" / "x.png")
    arguments = ["bench", str(tmp_path / "set"), "-m", "nearest", "--metric", "lpips"]
    arguments += ["--lpips-features", str(tmp_path / "vgg16_hed.safetensors")]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    document = json.loads(result.stdout)
    assert document["results"][0]["lpips_hed"] > 0
    assert "VGG16 of vgg16_hed.safetensors" in document["convention"]["lpips"]
    assert "LPIPS-HED" in CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
