"""``gramgan models interpolate``: mixed weights, errors, the strip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from typer.testing import CliRunner, Result

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, ModelExists
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, read_header, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.interpolate import interpolate

TINY: dict[str, Any] = {"nf": 4, "nb": 1}


def write(path: Path, seed: int, arch: str = "srresnet", licence: str = "MIT", **hyperparameters: Any) -> str:
    torch.manual_seed(seed)
    network = archs.build(arch, hyperparameters)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    save_weights(path, network.state_dict(), WeightsHeader(arch, hyperparameters, 4, licence))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", "interpolate", *arguments])


def test_every_weight_lies_between(tmp_path: Path) -> None:
    first = write(tmp_path / "psnr.safetensors", 1, **TINY)
    # The second one states a default explicitly, but it is the same network.
    second = write(tmp_path / "gan.safetensors", 2, licence="CC0-1.0", **TINY, output="linear")
    result = run(first, second, "--alpha", "0.8", "-o", "between")
    assert result.exit_code == 0, result.exception
    model = load_model("between")
    a, b = load_model(first).network.state_dict(), load_model(second).network.state_dict()
    for name, tensor in model.network.state_dict().items():
        expected = 0.2 * a[name].double().numpy() + 0.8 * b[name].double().numpy()
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-9)
    header = read_header(Path(result.stdout.strip()))
    assert header.licence == "MIT AND CC0-1.0"
    assert header.training == {"mixed": pytest.approx({"psnr": 0.2, "gan": 0.8})}
    again = run(first, second, "--alpha", "0.5", "-o", "between")
    assert isinstance(again.exception, GramganError)
    assert isinstance(again.exception, ModelExists)


def test_the_ends_are_the_models_themselves() -> None:
    torch.manual_seed(0)
    first, second = ({"w": torch.randn(5, 7), "n": torch.tensor(i)} for i in (3, 4))
    assert torch.equal(interpolate(first, second, 0.0)["w"], first["w"])
    assert torch.equal(interpolate(first, second, 1.0)["w"], second["w"])
    assert interpolate(first, second, 0.3)["n"].dtype == torch.int64


@pytest.mark.parametrize(
    ("arch", "hyperparameters", "message"),
    [
        ("compact", {"nf": 4, "nc": 1}, "'a' is a srresnet and 'b' a compact"),
        ("srresnet", {"nf": 5, "nb": 1}, "'a' has nf = 4 and 'b' nf = 5"),
        ("srresnet", {"nf": 4, "nb": 1, "output": "tanh"}, "'a' has output = linear and 'b' output = tanh"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, arch: str, hyperparameters: dict[str, Any], message: str) -> None:
    first = write(tmp_path / "a.safetensors", 1, **TINY)
    second = write(tmp_path / "b.safetensors", 2, arch, **hyperparameters)
    result = run(first, second, "--alpha", "0.5", "-o", "between")
    assert isinstance(result.exception, GramganError)
    assert message in str(result.exception)
    with pytest.raises(GramganError, match="no model"):
        load_model("between")


def test_alpha_outside_is_a_usage_error(tmp_path: Path) -> None:
    first = write(tmp_path / "a.safetensors", 1, **TINY)
    assert run(first, first, "--alpha", "1.2", "-o", "between").exit_code == 2
    with pytest.raises(GramganError, match="between 0"):
        interpolate({}, {}, -0.1)


def test_differing_tensors_are_named() -> None:
    with pytest.raises(GramganError, match="'extra'"):
        interpolate({"w": torch.zeros(2)}, {"w": torch.zeros(2), "extra": torch.zeros(1)}, 0.5)
    with pytest.raises(GramganError, match=r"'w' has shape \(2,\).*\(3,\)"):
        interpolate({"w": torch.zeros(2)}, {"w": torch.zeros(3)}, 0.5)


def test_the_strip_shows_the_models_at_its_ends(tmp_path: Path) -> None:
    first = write(tmp_path / "a.safetensors", 1, **TINY)
    second = write(tmp_path / "b.safetensors", 2, **TINY)
    photo = tmp_path / "cat.png"
    lr = data.chelsea()[:50, :90]
    Image.fromarray(lr).save(photo)
    result = run(first, second, "--alpha", "0.35", "-o", "between", "--strip", str(photo))
    assert result.exit_code == 0, result.exception
    path = tmp_path / "cat_between_strip.png"
    assert result.stdout.splitlines()[1] == str(path)
    strip = np.asarray(Image.open(path))
    height, width = 50 * 4, 64 * 4
    assert strip.shape == (height + 24 + 16, 7 * (width + 8) + 8, 3)
    for index, source in ((0, first), (6, second)):
        with torch.no_grad():
            x = torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255
            sr = load_model(source).network(x)[0].permute(1, 2, 0).mul(255).round().clamp(0, 255).numpy()
        left = 8 + index * (width + 8)
        panel = strip[32 : 32 + height, left : left + width].astype(float)
        assert np.abs(panel - sr[:, 13 * 4 : 13 * 4 + width]).max() <= 1
    refused = run(first, second, "--alpha", "0.35", "-o", "between", "--strip", str(photo))
    assert "already exists" in str(refused.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["-o", "out/mix"], "is not a valid model name"), (["-o", "mix", "--device", "abacus"], "abacus")],
)
def test_a_strip_that_can_t_be_made_is_refused_before_anything_is_stored(
    words: list[str], message: str, tmp_path: Path
) -> None:
    pair = [write(tmp_path / f"{seed}.safetensors", seed, **TINY) for seed in (1, 2)]
    photo = tmp_path / "cat.png"
    Image.fromarray(data.chelsea()[:50, :90]).save(photo)
    result = run(*pair, "--alpha", "0.5", "--strip", str(photo), *words)
    assert message in str(result.exception)
    assert store.find("mix") is None


def test_a_missing_device_is_refused_even_without_a_strip(tmp_path: Path) -> None:
    pair = [write(tmp_path / f"{seed}.safetensors", seed, **TINY) for seed in (1, 2)]
    result = run(*pair, "--alpha", "0.5", "-o", "mix", "--device", "abacus")
    assert "abacus" in str(result.exception)
    assert store.find("mix") is None


def test_a_mixture_is_a_model(tmp_path: Path) -> None:
    """``FIRST+SECOND@ALPHA`` can be used wherever a model can, and equals the mixed file."""
    for name, seed in (("one", 1), ("two", 2)):
        path = write(tmp_path / f"{name}.safetensors", seed, **TINY)
        CliRunner().invoke(app, ["models", "import", path, "--name", name], catch_exceptions=False)
    mixed = load_model("one+two@0.3")
    a, b = (load_model(name).network.state_dict() for name in ("one", "two"))
    for name, tensor in mixed.network.state_dict().items():
        np.testing.assert_allclose(tensor, 0.7 * a[name].double() + 0.3 * b[name].double(), rtol=1e-6, atol=1e-9)
    assert mixed.header.training == {"mixed": pytest.approx({"one": 0.7, "two": 0.3})}
    for wrong in ("one+two@1.5", "one+two@half", "one+two@nan"):
        with pytest.raises(GramganError, match="between 0 and 1"):
            load_model(wrong)
    with pytest.raises(GramganError, match="three"):
        load_model("one+three@0.5")
