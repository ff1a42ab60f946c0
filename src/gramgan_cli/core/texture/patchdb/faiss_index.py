"""FAISS search among packed Gram matrices: flat for ordinary banks, approximate (IVF) for very large ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.texture.gram import PACKED

APPROXIMATE_FROM = 10_000_000
"""Number of entries from which flat search is too slow for training: 18 432 queries would take minutes."""

SHORTLIST = 8
"""Number of entries that FAISS proposes in float32 for each query; the nearest of them is chosen in float64."""

PROBES = 8
"""Number of cells that an approximate search reads, out of about sqrt(entries)."""

SAMPLES_PER_CELL = 64
"""Number of entries per cell for training the centroids; FAISS asks for at least 39."""

AT_ONCE = 4096
"""Queries per chunk, which bounds memory."""

_NEVER = 2**31 - 1
"""A threshold that no call reaches, in FAISS's unit."""


class FaissIndex:
    """FAISS index of entries (N, 6), searched on the CPU.

    The flat index (``IndexFlatL2``) compares each query with every entry and is exact: FAISS proposes the nearest
    entries by float32 differences, and float64 decides among them. The approximate index (``IndexIVFFlat``) sorts the
    entries into about sqrt(N) cells and reads the ``PROBES`` cells nearest to a query.

    Args:
        entries: (N, 6), N at least 1.
        approximate: use the approximate index; None: from ``APPROXIMATE_FROM`` entries.
        probes: number of cells that an approximate search reads; more give better recall and take longer.
    """

    def __init__(self, entries: Tensor, *, approximate: bool | None = None, probes: int = PROBES) -> None:
        # Imported here because FAISS loads an OpenMP library of its own.
        import faiss

        self._entries = np.ascontiguousarray(entries.detach().cpu().float().numpy())
        self.approximate = len(self._entries) >= APPROXIMATE_FROM if approximate is None else approximate
        faiss.omp_set_num_threads(torch.get_num_threads())
        self._index: Any = faiss.IndexFlatL2(PACKED)
        if self.approximate:
            cells = max(1, math.isqrt(len(self._entries)))
            self._index = faiss.IndexIVFFlat(self._index, PACKED, cells)
            self._index.nprobe = min(probes, cells)
            self._index.train(self._sample(cells * SAMPLES_PER_CELL))
        self._index.add(self._entries)

    def find_best(self, queries: Tensor) -> Tensor:
        """Return the index of the nearest entry: (..., 6) -> (...), int64. Non-finite queries get any entry."""
        points = queries.detach().cpu().double().nan_to_num(0, 0, 0).reshape(-1, PACKED).numpy()
        best = np.concatenate(
            [self._search(points[start : start + AT_ONCE]) for start in range(0, len(points), AT_ONCE)]
        )
        return torch.from_numpy(best).view(queries.shape[:-1]).to(queries.device)

    def _search(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the index of the nearest entry for each of (n, 6) points: (n,)."""
        import faiss

        before = faiss.cvar.distance_compute_blas_threshold
        # For many queries FAISS computes |q|^2 - 2 q.e + |e|^2 in float32, which cannot separate near entries.
        faiss.cvar.distance_compute_blas_threshold = _NEVER
        try:
            _, proposed = self._index.search(points.astype(np.float32), min(SHORTLIST, len(self._entries)))
        finally:
            faiss.cvar.distance_compute_blas_threshold = before
        distances = np.square(self._entries[proposed].astype(np.float64) - points[:, None]).sum(axis=2)
        distances[proposed < 0] = np.inf  # the probed cells hold fewer entries than requested
        best: NDArray[np.int64] = np.take_along_axis(proposed, distances.argmin(axis=1)[:, None], axis=1)[:, 0]
        return best

    def _sample(self, count: int) -> NDArray[np.float32]:
        """Return at most ``count`` evenly spaced entries, so that equal banks give equal cells."""
        return self._entries[:: max(1, len(self._entries) // count)]
