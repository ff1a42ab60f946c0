"""Masks against a cell-by-cell float64 computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.texture.masks import grid_mask, sliding_mask, texture_mask


def half_flat(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """8-bit noise that weakens from left to right, so that some cells are near the threshold."""
    rng = np.random.default_rng(seed)
    strength = np.linspace(4, 0.2, width)
    pixels = np.clip(np.round(128 + strength * rng.standard_normal((3, height, width))), 0, 255)
    return torch.from_numpy(pixels / 255).float()[None]


def plain_grid(image: np.ndarray, cell: int, delta: float) -> np.ndarray:
    out = np.zeros(image.shape[1:])
    for top in range(0, image.shape[1], cell):
        for left in range(0, image.shape[2], cell):
            block = image[:, top : top + cell, left : left + cell]
            textured = np.mean([np.std(channel) for channel in block]) >= delta
            out[top : top + cell, left : left + cell] = textured
    return out


@pytest.mark.parametrize(
    ("height", "width", "cell"), [(192, 192, 11), (193, 101, 11), (12, 23, 11), (7, 5, 11), (50, 64, 8)]
)
def test_grid_mask_is_the_definition(height: int, width: int, cell: int) -> None:
    hr = half_flat(height, width)
    expected = plain_grid(hr[0].double().numpy(), cell, 0.005)
    mask = grid_mask(hr, cell)
    assert mask.shape == (1, 1, height, width)
    np.testing.assert_array_equal(mask[0, 0].numpy(), expected)


def test_the_example_has_both_kinds_of_cells() -> None:
    assert 0.1 < grid_mask(half_flat(192, 192)).mean() < 0.9
    assert 0.1 < sliding_mask(half_flat(64, 64) * 3 - 1).mean() < 0.9


def test_cells_of_192_stay_aligned_to_11_pixels() -> None:
    """One noisy pixel switches on only its own cell; the last cells are 5 px wide."""
    for y, x, rows, columns in (
        (0, 0, (0, 11), (0, 11)),
        (176, 100, (176, 187), (99, 110)),
        (187, 191, (187, 192), (187, 192)),
    ):
        hr = torch.full((1, 3, 192, 192), 0.5)
        hr[..., y, x] = 1.0
        expected = torch.zeros(192, 192)
        expected[slice(*rows), slice(*columns)] = 1
        assert torch.equal(grid_mask(hr)[0, 0], expected)


def test_flat_images_are_empty_and_images_of_a_batch_independent() -> None:
    noise = half_flat(64, 64)
    both = torch.cat((torch.full((1, 3, 64, 64), 0.3), noise))
    for mode in ("grid", "sliding"):
        masks = texture_mask(both, mode)
        assert masks[0].sum() == 0
        assert torch.equal(masks[1:], texture_mask(noise, mode))


def test_deviation_is_averaged_over_channels_not_pooled() -> None:
    """Flat channels with different values are not texture."""
    hr = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 22, 22)
    assert grid_mask(hr).sum() == 0


def test_threshold_is_included() -> None:
    """A cell with two values at distance a, half each, has population deviation a / 2."""
    hr = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    hr[..., 0, :] = 0.5
    assert grid_mask(hr, 2, 0.25).all()
    assert not grid_mask(hr, 2, 0.2500001).any()


@pytest.mark.parametrize(("height", "width"), [(40, 40), (33, 21)])
def test_sliding_mask_is_the_definition(height: int, width: int) -> None:
    hr = half_flat(height, width, 1) * 3 - 1
    grey = np.tensordot([0.299, 0.587, 0.114], hr[0].double().numpy(), axes=1)
    padded = np.pad(grey, 5, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (11, 11))
    np.testing.assert_array_equal(sliding_mask(hr)[0, 0].numpy(), windows.std(axis=(2, 3)) >= 0.025)


def test_sliding_mask_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="odd"):
        sliding_mask(torch.rand(1, 3, 40, 40), cell=10)
    with pytest.raises(ValueError, match="more than 5 px"):
        sliding_mask(torch.rand(1, 3, 5, 40))


def test_masks_carry_no_gradient_and_keep_the_dtype() -> None:
    hr = torch.rand(1, 3, 22, 22, dtype=torch.bfloat16, requires_grad=True)
    mask = texture_mask(hr)
    assert mask.dtype == torch.bfloat16
    assert not mask.requires_grad
