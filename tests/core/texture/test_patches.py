"""Patch positions of the texture loss against their definition, and cut patches against slices."""

from __future__ import annotations

import pytest
import torch

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.texture.patches import Selection, choose_positions, cut_patches, parse_selection


def test_dense_without_a_generator_tiles_from_the_corner() -> None:
    positions = choose_positions(Selection("dense"), 2, 10, 13, 4)
    expected = [[y, x] for y in (0, 4) for x in (0, 4, 8)]
    assert positions.tolist() == [expected, expected]


def test_dense_with_a_generator_starts_everywhere_and_never_overlaps() -> None:
    corners = set()
    for seed in range(200):
        positions = choose_positions(Selection("dense"), 1, 19, 18, 4, torch.Generator().manual_seed(seed))[0]
        covered = torch.zeros(19, 18)
        for y, x in positions.tolist():
            covered[y : y + 4, x : x + 4] += 1
        assert covered.max() == 1
        assert int(covered.sum()) == 16 * len(positions)
        corners.add(tuple(positions[0].tolist()))
    assert corners == {(y, x) for y in range(4) for x in range(4)}


def test_a_patch_as_large_as_the_image_is_taken_whole() -> None:
    for seed in range(5):
        positions = choose_positions(Selection("dense"), 1, 4, 4, 4, torch.Generator().manual_seed(seed))
        assert positions.tolist() == [[[0, 0]]]


def test_center_and_random() -> None:
    assert choose_positions(Selection("center"), 1, 10, 13, 4).tolist() == [[[3, 4]]]
    positions = choose_positions(Selection("random", 500), 2, 6, 7, 4, torch.Generator().manual_seed(0))
    assert positions.shape == (2, 500, 2)
    assert {tuple(position) for position in positions.flatten(0, 1).tolist()} == {
        (y, x) for y in range(3) for x in range(4)
    }


def test_cuts_are_slices() -> None:
    images = torch.rand(2, 3, 9, 11)
    positions = choose_positions(Selection("random", 6), 2, 9, 11, 4, torch.Generator().manual_seed(1))
    patches = cut_patches(images, positions, 4)
    for b in range(2):
        for k, (y, x) in enumerate(positions[b].tolist()):
            assert torch.equal(patches[b, k], images[b, :, y : y + 4, x : x + 4])


@pytest.mark.parametrize("text", ["", "middle", "random", "random:", "random:0", "random:-3", "dense:2"])
def test_unknown_selections_say_what_there_is(text: str) -> None:
    with pytest.raises(GramganError, match="random:K"):
        parse_selection(text)
