"""The tiled texture search and block-wise transfer against direct implementations."""

from __future__ import annotations

import math

import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.archs.ttsr.extractor import TextureExtractor
from gramgan_cli.core.archs.ttsr.search import Match, search, transfer
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.resize.torch_matlab import imresize


def direct_search(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """As in the paper: unfold both, normalise, multiply, take the maximum. Reference patches are not padded."""
    batch, _, height, width = query.shape
    queries = F.normalize(F.unfold(F.pad(query, (1, 1, 1, 1), mode="replicate"), 3), dim=1)
    keys = F.normalize(F.unfold(key, 3), dim=1)
    scores, flat = torch.bmm(keys.transpose(1, 2), queries).max(1)
    inner = key.shape[-1] - 2
    positions = (flat // inner + 1) * key.shape[-1] + flat % inner + 1
    return scores.view(batch, 1, height, width), positions.view(batch, height, width)


def direct_transfer(value: Tensor, match: Match) -> Tensor:
    """As in the paper: gather unfolded patches, fold, divide by the number of overlapping patches."""
    wk = match.reference_size[1]
    factor = value.shape[-1] // wk
    height, width = match.positions.shape[1:]
    patches = F.unfold(value, 3 * factor, stride=factor)
    y, x = match.positions // wk - 1, match.positions % wk - 1
    index = (y * (wk - 2) + x).flatten(1)
    chosen = patches.gather(2, index[:, None].expand(-1, patches.shape[1], -1))
    size = ((height + 2) * factor, (width + 2) * factor)
    folded = F.fold(chosen, size, 3 * factor, stride=factor)
    counts = F.fold(torch.ones_like(chosen), size, 3 * factor, stride=factor)
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    assert int(counts[inside].max()) <= 9
    return folded[inside] / counts[inside]


SIZES = [((10, 13), (9, 31)), ((5, 4), (3, 3)), ((7, 20), (40, 3)), ((1, 1), (5, 6)), ((12, 9), (3, 50))]


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
@pytest.mark.parametrize(("query_size", "key_size"), SIZES)
@pytest.mark.parametrize("budget", [1, 2_000, 4_000_000])
def test_search_equals_the_direct_form(
    query_size: tuple[int, int], key_size: tuple[int, int], budget: int, device: str
) -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 8, *query_size, dtype=torch.float64, device=device)
    key = torch.randn(2, 8, *key_size, dtype=torch.float64, device=device)
    scores, positions = direct_search(query, key)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            match = search(query, key, budget)
        assert torch.equal(match.positions, positions)
        torch.testing.assert_close(match.scores, scores, rtol=0, atol=1e-12)
        assert match.reference_size == key_size


def test_search_on_features_of_photos() -> None:
    """Real features are positive and similar, so candidates differ little; fp32 must be precise enough."""
    torch.manual_seed(0)
    extractor = TextureExtractor()
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    lr, ref = imresize(photo[..., 100:260, 152:332], 0.25), photo[..., 60:300, 140:400]
    with torch.no_grad():
        query = extractor(imresize(lr, 4.0)).level3
        key = extractor(imresize(imresize(ref, 0.25), 4.0)).level3
        match = search(query, key, 100_000)
    scores, positions = direct_search(query.double(), key.double())
    torch.testing.assert_close(match.scores.double(), scores, rtol=0, atol=1e-6)
    # A position may differ from float64's only if the scores are equal within fp32's precision.
    search64 = search(query.double(), key.double(), 100_000)
    assert torch.equal(search64.positions, positions)
    assert (match.positions == positions).double().mean() > 0.995
    # The LR is cut from the reference at (40, 12), on its grid of 4. Inside, each patch finds its own position.
    y, x = match.positions[0] // 65, match.positions[0] % 65
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(45), indexing="ij")
    own = (y == rows + 10) & (x == columns + 3)
    assert own[6:-6, 6:-6].double().mean() > 0.95


def test_equal_candidates_give_the_first() -> None:
    query, key = torch.ones(1, 4, 6, 6), torch.ones(1, 4, 20, 20)
    match = search(query, key, 700)
    assert (match.positions == 21).all()
    blank = search(torch.zeros(1, 4, 6, 6), key, 700)
    assert torch.isfinite(blank.scores).all()


@pytest.mark.parametrize("fill", [0.0, math.nan])
def test_no_patch_reaches_outside_the_reference(fill: float) -> None:
    torch.manual_seed(0)
    match = search(torch.full((1, 2, 9, 9), fill), -torch.rand(1, 2, 7, 8))
    y, x = match.positions // 8, match.positions % 8
    assert int(y.min()) >= 1
    assert int(y.max()) <= 5
    assert int(x.min()) >= 1
    assert int(x.max()) <= 6


def test_a_reference_smaller_than_a_patch_is_an_error() -> None:
    with pytest.raises(GramganError, match="8 x 40 pixels, but the search needs 12 x 12"):
        search(torch.rand(1, 2, 5, 5), torch.rand(1, 2, 10, 2))


def test_scores_have_the_gradient_of_the_direct_form() -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    key = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 4, 5, dtype=torch.float64)
    mine = torch.autograd.grad((search(query, key, 500).scores * weight).sum(), (query, key))
    direct = torch.autograd.grad((direct_search(query, key)[0] * weight).sum(), (query, key))
    for one, other in zip(mine, direct, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize(("query_size", "key_size"), SIZES)
def test_transfer_equals_gather_and_fold(factor: int, query_size: tuple[int, int], key_size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    (height, width), (hk, wk) = query_size, key_size
    y, x = torch.randint(1, hk - 1, (2, height, width)), torch.randint(1, wk - 1, (2, height, width))
    match = Match(y * wk + x, torch.rand(2, 1, height, width), key_size)
    value = torch.randn(2, 3, factor * hk, factor * wk, dtype=torch.float64, requires_grad=True)
    mine, direct = transfer(value, match), direct_transfer(value, match)
    torch.testing.assert_close(mine, direct, rtol=0, atol=1e-12)
    weight = torch.randn_like(mine)
    (one,) = torch.autograd.grad((mine * weight).sum(), value)
    (other,) = torch.autograd.grad((direct * weight).sum(), value)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_identity_match_copies_the_reference() -> None:
    value = torch.rand(1, 2, 16, 24)
    y, x = torch.meshgrid(torch.arange(1, 3), torch.arange(1, 5), indexing="ij")
    match = Match((y * 6 + x)[None], torch.ones(1, 1, 2, 4), (4, 6))
    torch.testing.assert_close(transfer(value, match), value[..., 4:-4, 4:-4])
