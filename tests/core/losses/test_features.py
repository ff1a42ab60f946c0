"""Feature taps against hooks on torchvision's networks."""

from __future__ import annotations

import hashlib
import re
import urllib.error
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.features import FeatureExtractor, weights_record
from gramgan_cli.core.losses.perceptual import perceptual
from gramgan_cli.engines.train.steps.terms import check_features
from gramgan_cli.recipes.load import load_recipe


def hooked(network: nn.Module, modules: dict[str, nn.Module], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Outputs of ``modules`` in torchvision's model, copied before in-place operations can change them."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: seen.__setitem__(name, output.clone())

    for name, module in modules.items():
        module.register_forward_hook(keep(name))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        network((x - mean) / std)
    return seen


@pytest.mark.parametrize("activated", [False, True])
def test_vgg_taps_are_indices_16_25_34(activated: bool) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):  # avoids allocating the linear layers' half gigabyte
        reference = torchvision.models.vgg19(weights=None).features
    extractor = FeatureExtractor("vgg19", ("conv3_4", "conv4_4", "conv5_4"), activated, "random")
    reference = reference.to_empty(device="cpu").eval()
    state = {f"{i}.{k}": v for i, layer in enumerate(extractor.layers) for k, v in layer.state_dict().items()}
    reference.load_state_dict(state)
    x = torch.rand(1, 3, 32, 32)
    indices = {"conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
    expected = hooked(reference, {name: reference[i + activated] for name, i in indices.items()}, x)
    features = extractor(x)
    assert set(features) == set(indices)
    for name, value in features.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-5)
        assert bool((value < 0).any()) != activated


@pytest.mark.parametrize(
    ("name", "tap", "stage", "index"),
    [("resnet18", "block4", "layer2", 1), ("resnet34", "block3", "layer1", 2), ("resnet34", "block5", "layer2", 1)],
)
def test_resnet_taps_are_basic_blocks_counted_from_one(
    name: str, tap: str, stage: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)(weights=None)
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    published = {key: value for key, value in reference.state_dict().items() if "num_batches_tracked" not in key}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: published)
    extractor = FeatureExtractor(name, (tap,))
    x = torch.rand(2, 3, 64, 64)
    expected = hooked(reference.eval(), {tap: getattr(reference, stage)[index]}, x)
    torch.testing.assert_close(extractor(x)[tap], expected[tap], rtol=1e-5, atol=1e-5)


def test_frozen_means_frozen_but_the_image_still_gets_gradient() -> None:
    extractor = FeatureExtractor("resnet18", ("block1",), weights="random")
    extractor.train()
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    before = {name: value.clone() for name, value in extractor.state_dict().items()}
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    extractor(x)["block1"].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    for name, value in extractor.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_random_weights_are_the_same_every_time() -> None:
    first = FeatureExtractor("vgg19", ("conv1_2",), weights="random")
    torch.rand(3)
    second = FeatureExtractor("vgg19", ("conv1_2",), weights="random")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "tap"), [("vgg19", "conv1_3"), ("vgg19", "conv6_1"), ("resnet18", "block9"), ("resnet34", "block0")]
)
def test_an_unknown_tap_says_which_there_are(name: str, tap: str) -> None:
    with pytest.raises(GramganError, match=f"{name} has no tap '{tap}'.*Its taps are"):
        FeatureExtractor(name, (tap,), weights="random")


def test_offline_without_the_file_says_where_to_put_it(private_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    with pytest.raises(GramganError) as caught:
        FeatureExtractor("vgg19", ("conv3_4",))
    message = str(caught.value)
    assert str(private_folders / "cache" / "features" / "vgg19-dcbb9e9d.pth") in message
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in message
    with pytest.raises(GramganError) as caught:
        check_features(load_recipe("esrgan"))
    assert message in str(caught.value)
    assert "`settings` loss.perceptual=0" in str(caught.value)


def test_without_a_connection_the_error_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.delenv("GRAMGAN_OFFLINE", raising=False)
    said = r"can't be downloaded \(Name or service not known\)\. Download http"
    with pytest.raises(GramganError, match=said) as caught:
        FeatureExtractor("vgg19", ("conv1_1",))
    assert re.search(r"put it at \S+vgg19\S+\.pth\.", str(caught.value))


def test_a_file_in_the_cache_is_used_and_a_damaged_one_named(
    private_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    file = private_folders / "cache" / "features" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    reference = torchvision.models.resnet18(weights=None)
    torch.save(reference.state_dict(), file)
    extractor = FeatureExtractor("resnet18", ("block1",))
    assert torch.equal(extractor.layers[1].conv1.weight, reference.layer1[0].conv1.weight)
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(GramganError, match=r"resnet18-f37072fd\.pth are damaged"):
        FeatureExtractor("resnet18", ("block1",))


def vgg16_file(path: Path, seed: int = 0) -> nn.Sequential:
    """A file with the convolutions of torchvision's VGG16, and their network."""
    torch.manual_seed(seed)
    with torch.device("meta"):  # avoids allocating the linear layers' half gigabyte
        network = torchvision.models.vgg16(weights=None).features
    network = network.to_empty(device="cpu").eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.uniform_(module.bias)
    tensors = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    if path.suffix == ".pth":
        torch.save({**tensors, "classifier.0.weight": torch.zeros(2, 2)}, path)
    else:
        save_file(tensors, path)
    assert isinstance(network, nn.Sequential)
    return network


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vgg16_from_a_file_is_torchvisions(suffix: str, tmp_path: Path) -> None:
    reference = vgg16_file(tmp_path / f"vgg{suffix}")
    indices = {"conv1_2": 2, "conv3_3": 14, "conv4_3": 21, "conv5_3": 28}
    extractor = FeatureExtractor("vgg16", tuple(indices), weights=str(tmp_path / f"vgg{suffix}"))
    x = torch.rand(1, 3, 32, 32)
    expected = hooked(reference, {name: reference[i] for name, i in indices.items()}, x)
    for name, value in extractor(x).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-4)


def test_feature_weights_are_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_CACHE", str(tmp_path))
    (tmp_path / "features").mkdir()
    vgg16_file(tmp_path / "features" / "vgg.safetensors")
    assert set(FeatureExtractor("vgg16", ("conv1_2",), weights="vgg.safetensors")(torch.rand(1, 3, 16, 16))) == {
        "conv1_2"
    }
    recorded = weights_record("vgg.safetensors")
    assert hashlib.sha256((tmp_path / "features" / "vgg.safetensors").read_bytes()).hexdigest() in recorded
    with pytest.raises(GramganError, match=r"no file of feature weights other\.safetensors or"):
        FeatureExtractor("vgg16", ("conv1_2",), weights="other.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.0.weight": None}, r"vgg16's tensor 'features\.0\.weight' is missing from"),
        ({"features.99.weight": torch.zeros(1)}, r"vgg16's tensor 'features\.99\.weight' is not expected in"),
        ({"features.2.weight": torch.zeros(64, 3, 3, 3)}, r"'features\.2\.weight' in .* has shape \(64, 3, 3, 3\)"),
    ],
)
def test_a_file_of_another_network_is_refused_by_the_key(
    change: dict[str, torch.Tensor | None], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "vgg.safetensors"
    vgg16_file(file)
    tensors = {key: value for key, value in {**load_file(file), **change}.items() if value is not None}
    save_file(tensors, file)
    with pytest.raises(GramganError, match=message):
        FeatureExtractor("vgg16", ("conv1_2",), weights=str(file))


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    for name in ("vgg.pth", "vgg.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(GramganError, match="can't be read as weights"):
            FeatureExtractor("vgg16", ("conv1_2",), weights=str(tmp_path / name))


def test_taps_divided_by_their_sizes_have_size_one() -> None:
    extractor = FeatureExtractor("vgg16", ("conv1_2", "conv3_3"), weights="random")
    pictures = [torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)]
    plain = {tap: torch.cat([extractor(p)[tap] for p in pictures]).abs().mean() for tap in ("conv1_2", "conv3_3")}
    extractor.sizes = extractor.mean_sizes(pictures)
    for tap, size in extractor.sizes.items():
        assert size == pytest.approx(float(plain[tap]), rel=1e-4)
        assert float(torch.cat([extractor(p)[tap] for p in pictures]).abs().mean()) == pytest.approx(1, rel=1e-4)


def test_cosine_distance_is_half_the_squared_distance_of_unit_vectors() -> None:
    torch.manual_seed(0)
    sr, hr = ({"conv1_2": torch.randn(2, 5, 4, 6, dtype=torch.float64)} for _ in range(2))
    a, b = (f["conv1_2"].numpy() / np.linalg.norm(f["conv1_2"].numpy(), axis=1, keepdims=True) for f in (sr, hr))
    expected = 0.5 * float(((a - b) ** 2).sum(axis=1).mean())
    assert float(perceptual(sr, hr, {"conv1_2": 2.0}, "cosine")) == pytest.approx(2 * expected, rel=1e-5)
    assert float(perceptual(sr, {"conv1_2": 3 * sr["conv1_2"]}, {"conv1_2": 1.0}, "cosine")) == pytest.approx(
        0, abs=1e-6
    )
