"""LPIPS as a loss, against the authors' package with the same random VGG16."""

from __future__ import annotations

from pathlib import Path

import lpips
import pytest
import torch
from safetensors.torch import save_file

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.features import FeatureExtractor
from gramgan_cli.core.losses.optional.lpips_heads import TAPS, headed_distance, lpips_heads
from gramgan_cli.core.losses.perceptual import perceptual
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.recipes.convert import merge, parse_setting
from gramgan_cli.recipes.load import load_recipe


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_weights_1_give_the_authors_lpips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
    trunk = {f"features.{key.split('.', 1)[1]}": value for key, value in theirs.net.state_dict().items()}
    save_file(trunk, tmp_path / "random.safetensors")
    ours = FeatureExtractor("vgg16", TAPS, activated=True, weights=str(tmp_path / "random.safetensors"))
    sr, hr = torch.rand(2, 2, 3, 48, 40)
    wanted = theirs(sr, hr, normalize=True).mean()
    found = perceptual(ours(sr), ours(hr), dict.fromkeys(TAPS, 1.0), "lpips", lpips_heads())
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert wanted.item() > 1e-3


def test_a_position_with_zero_features_has_a_finite_gradient() -> None:
    sr = torch.zeros(1, 64, 4, 4, requires_grad=True)
    headed_distance(sr, torch.rand(1, 64, 4, 4), lpips_heads()["conv1_2"]).backward()  # type: ignore[no-untyped-call]
    assert sr.grad is not None
    assert bool(torch.isfinite(sr.grad).all())


@pytest.mark.parametrize(
    "settings",
    [
        ["features.extractor=vgg19"],
        ["features.extractor=vgg16", "features.activated=false"],
        ["features.extractor=vgg16", "features.activated=true", "features.taps={conv3_2=1.0}"],
    ],
)
def test_features_that_lpips_has_no_weights_for_are_refused(settings: list[str]) -> None:
    recipe = load_recipe("photo-gan")
    for setting in ["features.distance=lpips", *settings]:
        recipe = merge(recipe, parse_setting(setting))
    with pytest.raises(UsageError, match="needs VGG16's conv1_2"):
        check_recipe(recipe)
