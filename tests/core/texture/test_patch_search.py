"""Nearest Gram matrix search: all indexes against float64 brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gramgan_cli.core.texture.gram import packed_gram, unpack
from gramgan_cli.core.texture.patchdb.faiss_index import APPROXIMATE_FROM, PROBES, FaissIndex
from gramgan_cli.core.texture.patchdb.query import BoxIndex, TreeIndex, build_index, combined_query


def random_grams(count: int, seed: int, clustered: bool = False) -> torch.Tensor:
    """Grams of patches of different brightness, as in photos."""
    generator = torch.Generator().manual_seed(seed)
    brightness = torch.rand(count, 3, 1, 1, generator=generator)
    if clustered:
        brightness = brightness.round()
    return packed_gram((brightness + 0.1 * torch.randn(count, 3, 4, 4, generator=generator)).clamp(0, 1))


IndexType = type[TreeIndex] | type[BoxIndex] | type[FaissIndex]
INDEX_TYPES: list[IndexType] = [TreeIndex, BoxIndex, FaissIndex]


@pytest.mark.parametrize("index_type", INDEX_TYPES)
@pytest.mark.parametrize("clustered", [False, True])
def test_find_best_is_brute_force_over_the_two_term_score(index_type: IndexType, clustered: bool) -> None:
    entries = random_grams(2000, 0, clustered)
    full = unpack(entries.double())
    index = index_type(entries)
    rng = np.random.default_rng(0)
    for alpha, beta in [(0.5, 0.5), (1.0, 0.0), (0.0, 2.0), *rng.uniform(0.01, 3, (3, 2))]:
        g, e = random_grams(60, int(alpha * 1e6) + 1), random_grams(60, int(beta * 1e6) + 2)
        score = alpha * (full - unpack(g.double())[:, None]).square().sum((-1, -2)) + beta * (
            full - unpack(e.double())[:, None]
        ).square().sum((-1, -2))
        found = index.find_best(combined_query(g.double(), e.double(), alpha, beta))
        assert torch.equal(found, score.argmin(dim=1))


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 1000])
def test_box_index_of_any_number_of_entries(count: int) -> None:
    entries = random_grams(count, 3)
    queries = random_grams(60, 4).view(3, 20, 6)
    distances = torch.cdist(queries.double().view(-1, 6), entries.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(BoxIndex(entries).find_best(queries), distances.argmin(dim=1).view(3, 20))


def test_box_index_with_equal_entries() -> None:
    entries = random_grams(1, 3).expand(600, 6).clone()
    entries[417] = 0.5
    assert BoxIndex(entries).find_best(torch.full((1, 6), 0.49)).item() == 417


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_queries_that_are_not_finite_do_not_stop_the_search(index_type: IndexType) -> None:
    entries = random_grams(300, 5)
    queries = entries[[7, 8, 9]].clone()
    queries[0, 2], queries[1, 0] = float("nan"), float("inf")
    found = index_type(entries).find_best(queries)
    assert found[2] == 9
    assert ((found >= 0) & (found < 300)).all()


@pytest.mark.parametrize("count", [1, 7, 20_000])
def test_the_exact_faiss_index_finds_what_the_tree_finds_among_near_ties(count: int) -> None:
    """Entries that float32 sums of squares can't distinguish."""
    generator = torch.Generator().manual_seed(8)
    entries = 5 + 1e-3 * torch.rand(count, 6, generator=generator)
    queries = 5 + 1e-3 * torch.rand(500, 6, dtype=torch.float64, generator=generator)
    distances = torch.cdist(queries, entries.double(), compute_mode="donot_use_mm_for_euclid_dist")
    found = FaissIndex(entries).find_best(queries)
    assert torch.equal(found, distances.argmin(dim=1))
    assert torch.equal(found, TreeIndex(entries).find_best(queries))


def test_the_approximate_faiss_index_finds_nearly_all_and_more_with_more_probes() -> None:
    entries, queries = random_grams(20_000, 9), random_grams(1000, 10)
    exact = TreeIndex(entries).find_best(queries)
    few, usual, all_cells = (
        (FaissIndex(entries, approximate=True, probes=probes).find_best(queries) == exact).double().mean().item()
        for probes in (1, PROBES, 10_000)
    )
    assert few < usual
    assert usual > 0.98
    assert all_cells == 1


def test_faiss_is_approximate_for_very_large_banks_only() -> None:
    entries = torch.zeros(10, 6)
    assert not FaissIndex(entries).approximate
    assert not FaissIndex(entries, approximate=False).approximate
    assert FaissIndex(entries, approximate=True).approximate
    assert APPROXIMATE_FROM == 10_000_000


@pytest.mark.parametrize(
    ("search", "expected"), [("auto", TreeIndex), ("tree", TreeIndex), ("boxes", BoxIndex), ("faiss", FaissIndex)]
)
def test_the_search_setting_selects_the_index(search: Any, expected: type) -> None:
    assert isinstance(build_index(random_grams(20, 0), torch.device("cpu"), search), expected)


def test_weights_must_make_sense() -> None:
    g = torch.zeros(1, 6)
    for alpha, beta in ((0.0, 0.0), (-1.0, 2.0)):
        with pytest.raises(ValueError, match="alpha and beta"):
            combined_query(g, g, alpha, beta)
