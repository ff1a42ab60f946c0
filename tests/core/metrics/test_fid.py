"""FID against its formula in double precision and against torch-fidelity, on random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.metrics.fid import INCEPTION, Inception, frechet_distance

CPU = torch.device("cpu")


def plain_formula(first: np.ndarray, second: np.ndarray) -> float:
    """Heusel et al., equation 6, with scipy's root of a matrix."""
    apart = first.mean(0) - second.mean(0)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    return float(apart @ apart + np.trace(one + other - 2 * scipy.linalg.sqrtm(one @ other).real))


def test_the_distance_is_the_papers_formula() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(200, 12)) @ random.normal(size=(12, 12))
    second = random.normal(0.3, 1.5, (150, 12)) @ random.normal(size=(12, 12))
    assert frechet_distance(first, second) == pytest.approx(plain_formula(first, second), rel=1e-9)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_of_one_dimension_it_is_known() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2: with means 1 and 4, deviations 1 and 3, that is 9 + 4."""
    unit = np.array([[-1.0], [0.0], [1.0]])
    assert frechet_distance(1 + unit, 4 + 3 * unit) == pytest.approx(13)


def test_fewer_pictures_than_features() -> None:
    """The covariances are singular; the distance of two translated sets is how far they are apart."""
    rows = np.random.default_rng(0).normal(size=(5, 40))
    shift = np.arange(40) / 40
    assert frechet_distance(rows, rows + shift) == pytest.approx(shift @ shift, rel=1e-9)
    assert np.isnan(frechet_distance(rows[:1], rows))


@pytest.fixture
def fidelity() -> Any:
    """The library, where the extra is installed."""
    return pytest.importorskip("torch_fidelity", reason="needs the extra [metrics]")


@pytest.fixture
def weights(fidelity: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The network's file in the cache, where a user puts it by hand: random weights that keep the variance."""
    torch.save({}, tmp_path / "empty.pth")
    network_class = fidelity.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(network_class, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = network_class("inception-v3-compat", ["2048"], str(tmp_path / "empty.pth"))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    file = cache_dir() / "features" / Path(INCEPTION).name
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    return file


def test_the_weights_are_torch_fidelitys(fidelity: Any) -> None:
    assert fidelity.feature_extractor_inceptionv3.URL_INCEPTION_V3 == INCEPTION


@pytest.mark.usefixtures("fidelity")
def test_offline_the_error_says_which_file_goes_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    file = cache_dir() / "features" / Path(INCEPTION).name
    with pytest.raises(
        GramganError, match=r"Inception v3 are not in the cache.* Download https.*\.pth on another computer"
    ) as caught:
        Inception(CPU)
    assert str(file) in str(caught.value)
    file.parent.mkdir(parents=True)
    torch.save({"x": torch.zeros(2)}, file)
    with pytest.raises(GramganError, match="does not contain the weights of Inception v3"):
        Inception(CPU)
    file.write_bytes(b"damaged")
    with pytest.raises(GramganError, match="damaged"):
        Inception(CPU)


def test_bench_gives_torch_fidelitys_number_once_a_set(fidelity: Any, weights: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "set").mkdir()
    for name in "abc":
        noise = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        noise.resize((96, 72), Image.Resampling.BICUBIC).save(tmp_path / f"set/{name}.png")
    words = ["bench", str(tmp_path / "set"), "-m", "nearest", "--metric", "fid"]
    extra = ["--json", "--save-images", str(tmp_path / "out"), "--report", str(tmp_path / "x.csv")]
    run = CliRunner().invoke(app, [*words, *extra], catch_exceptions=False)
    document = json.loads(run.stdout)
    (result,) = document["results"]
    expected = fidelity.calculate_metrics(
        input1=str(tmp_path / "out/set" / result["model"]),
        input2=str(tmp_path / "set"),
        fid=True,
        feature_extractor_weights_path=str(weights),
        cuda=False,
        cache=False,
        verbose=False,
    )["frechet_inception_distance"]
    assert expected > 0.01
    assert result["fid"] == pytest.approx(expected, rel=1e-3)
    assert result["intervals"]["fid"] is None
    assert all("fid" not in image for image in result["images"])
    assert "Sets with too few images: set (3)" in document["convention"]["fid"]
    assert "fid" in (tmp_path / "x.csv").read_text().splitlines()[0]
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "FID" in shown.stdout
    assert "fewer than 2049 images" in shown.stderr
