"""The colour space of pixel losses against Pillow's, and its use by a recipe's terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.losses.colours import CHROMA, luma_and_differences
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.generate import Generated
from gramgan_cli.engines.train.steps.terms import PictureTerms
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

CPU = torch.device("cpu")


def recipe_with(**loss: object) -> Recipe:
    return merge(load_recipe("psnr"), {"network": {"arch": "compact", "nf": 4, "nc": 1}, "loss": loss})


def test_loss_colours_are_jpegs_with_weaker_differences() -> None:
    """Pillow rounds to 8 bits and centres the differences at 128."""
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(rgb).convert("YCbCr")).astype(np.float64) - [0, 128, 128]
    got = luma_and_differences(torch.from_numpy(rgb).permute(2, 0, 1)[None].double() / 255)[0].permute(1, 2, 0) * 255
    assert np.abs(got.numpy() / [1, CHROMA, CHROMA] - expected).max() < 1.01


def test_an_error_of_luma_counts_whole_and_one_of_colour_less() -> None:
    recipe = recipe_with(colours="ycbcr", frequency=10.0)
    terms = PictureTerms(archs.build("compact", {"nf": 4, "nc": 1}), recipe, "fp32", CPU, Group())
    hr = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    grey = terms(Generated(hr + 0.1, None), hr, 0)
    assert float(grey["content"]) == pytest.approx(0.1 / 3, rel=1e-4)
    coloured = torch.tensor([0.1, 0.0, -0.1 * 0.299 / 0.114]).view(3, 1, 1)  # luma is unchanged
    seen = terms(Generated(hr + coloured, None), hr, 0)
    differences = 0.3 * 0.5 * np.array([0.1 * 0.299 / 0.114 / (1 - 0.114), 0.1 / (1 - 0.299)])
    assert float(seen["content"]) == pytest.approx(differences.sum() / 3, rel=1e-4)
    # The spectrum of a constant is 16 times its value at one of 16 x 9 frequencies, without an imaginary part.
    assert float(seen["frequency"]) == pytest.approx(differences.sum() / 3 * 16 / (16 * 9) / 2, rel=1e-4)


def test_loss_colours_without_a_term_that_uses_them_are_refused() -> None:
    with pytest.raises(GramganError, match=r"loss\.colours"):
        check_recipe(recipe_with(colours="ycbcr", content=0.0, texture=1.0))
