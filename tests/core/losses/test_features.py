"""Feature taps against hooks on torchvision's own networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.features import FeatureExtractor
from gramgan_cli.engines.train.steps.terms import check_features
from gramgan_cli.recipes.load import load_recipe


def hooked(network: nn.Module, modules: dict[str, nn.Module], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Outputs of ``modules`` in torchvision's model, copied before anything in place can change them."""
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
    with torch.device("meta"):  # the linear layers' half gigabyte is never made
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
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: reference.state_dict())
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
    assert "--set loss.perceptual=0" in str(caught.value)


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
