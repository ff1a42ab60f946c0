"""Nearest neighbours in six dimensions by several methods: queries per second, and errors against float64.

    python benchmarks/bench_search.py [--entries 600000] [--queries 18432] [--large 10000000] [--json FILE]

Entries and queries are Gram matrices of 4x4 patches of scikit-image's photographs, with a little noise added to
entries if there are too few. FAISS's flat indices and the blocked matrix product are timed on a part of the queries
and scaled. Recall is the share of results that are as near as the k-d tree's. ``--large`` times the k-d tree and
FAISS's approximate index on that many entries mapped from a file, and measures the tree's memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import skimage.data
import torch
from common import Goal, keep, parser, seconds
from scipy.spatial import cKDTree

from gramgan_cli.core.texture.patchdb.faiss_index import PROBES, FaissIndex
from gramgan_cli.core.texture.patchdb.query import BoxIndex, TreeIndex

PART = 256
"""Number of queries that slow methods are timed on."""


def grams(count: int, seed: int) -> np.ndarray:
    """Upper triangles (count, 6), float32, of the Gram matrices of random 4x4 patches."""
    rng = np.random.default_rng(seed)
    pictures = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()]
    parts = []
    for picture in pictures:
        share = -(-count // len(pictures))
        top, left = (rng.integers(0, side - 4, share) for side in picture.shape[:2])
        rows, columns = top[:, None, None] + np.arange(4)[:, None], left[:, None, None] + np.arange(4)
        patches = picture[rows, columns].astype(np.float32).reshape(share, 16, 3) / 255
        patches += rng.normal(0, 0.004, patches.shape).astype(np.float32)
        gram = np.einsum("npc,npd->ncd", patches, patches)
        parts.append(gram[:, *np.triu_indices(3)])
    return np.concatenate(parts)[:count].astype(np.float32)


def blocked(entries: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Brute force in float64: |q|^2 - 2 q.e + |e|^2 by one matrix product per block of queries."""
    squares = entries.square().sum(1)
    return torch.cat([(squares - 2 * part @ entries.T).argmin(1) for part in queries.split(64)])


def excess(entries: np.ndarray, queries: np.ndarray, answer: np.ndarray) -> float:
    """Largest excess of a result's squared distance over that of float64 brute force, on some queries."""
    worst = 0.0
    for query, found in zip(queries[::701].astype(np.float64), answer[::701], strict=False):
        distances = ((entries.astype(np.float64) - query) ** 2).sum(1)
        worst = max(worst, float(distances[found] - distances.min()))
    return worst


def recall(entries: np.ndarray, queries: np.ndarray, answer: np.ndarray, exact: np.ndarray) -> float:
    """Share of results that are as near to their query as the exact ones."""
    found, best = (
        np.square(entries[which].astype(np.float64) - queries.astype(np.float64)).sum(1) for which in (answer, exact)
    )
    return float((found <= best * (1 + 1e-9)).mean())


def ways(entries: np.ndarray, queries: np.ndarray) -> dict[str, tuple[float, Callable[[np.ndarray], np.ndarray], int]]:
    """Methods by name: (seconds to build, search function, number of queries to time)."""
    tensor = torch.from_numpy(entries)
    made: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray], int]] = {}
    indices: dict[str, Any] = {}

    def build(name: str, make: Callable[[], Any]) -> float:
        def run() -> None:
            indices[name] = make()

        return seconds(run)

    def add(name: str, make: Callable[[], Any], search: Callable[[Any, np.ndarray], np.ndarray], part: int) -> None:
        made[name] = (build(name, make), lambda q: search(indices[name], q), part)

    def flat() -> Any:
        index = faiss.IndexFlatL2(6)
        index.add(entries)
        return index

    threads = torch.get_num_threads()
    every = len(queries)
    add("gramgan (k-d tree)", lambda: TreeIndex(tensor), lambda i, q: i.find_best(torch.from_numpy(q)).numpy(), every)
    add("scipy cKDTree as it comes", lambda: cKDTree(entries), lambda i, q: i.query(q, workers=threads)[1], every)
    add(
        "gramgan's boxes (GPU form)",
        lambda: BoxIndex(tensor),
        lambda i, q: i.find_best(torch.from_numpy(q)).numpy(),
        every,
    )
    for name, approximate, part in (("FAISS flat, exact", False, PART), ("FAISS approximate", True, every)):
        add(
            f"gramgan ({name})",
            lambda approximate=approximate: FaissIndex(tensor, approximate=approximate),
            lambda i, q: i.find_best(torch.from_numpy(q)).numpy(),
            part,
        )
    add("FAISS flat", flat, lambda i, q: i.search(q, 1)[1][:, 0], PART)
    double = tensor.double()
    add("blocked product, torch", lambda: double, lambda i, q: blocked(i, torch.from_numpy(q).double()).numpy(), PART)
    return made


def approximate(entries: torch.Tensor, queries: np.ndarray, exact: np.ndarray, probes: int) -> dict[str, float]:
    """FAISS's approximate index with a number of probed cells, compared with exact results."""
    start = time.perf_counter()
    index = FaissIndex(entries, approximate=True, probes=probes)
    built = time.perf_counter()
    answer = index.find_best(torch.from_numpy(queries)).numpy()
    done = time.perf_counter()
    share = recall(entries.numpy(), queries, answer, exact)
    return {"probes": probes, "build": built - start, "search": done - built, "recall": share}


def large(count: int, queries: np.ndarray) -> dict[str, Any]:
    """The k-d tree and FAISS's approximate index on entries mapped from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "entries.npy"
        mapped = np.lib.format.open_memmap(path, "w+", np.float32, (count, 6))
        for start in range(0, count, 1_000_000):
            stop = min(start + 1_000_000, count)
            mapped[start:stop] = grams(stop - start, start)
        mapped.flush()
        entries = torch.from_numpy(np.load(path, mmap_mode="c"))
        made: list[TreeIndex] = []
        build = seconds(lambda: made.append(TreeIndex(entries)))
        search = seconds(lambda: made[0].find_best(torch.from_numpy(queries)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        exact = made.pop().find_best(torch.from_numpy(queries)).numpy()
        rows = [approximate(entries, queries, exact, probes) for probes in (PROBES // 4, PROBES, 4 * PROBES)]
    return {"entries": count, "build": build, "search": search, "peak_gib": peak / 2**30, "approximate": rows}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--entries", type=int, default=600_000)
    options.add_argument("--queries", type=int, default=18_432)
    options.add_argument("--large", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args()
    entries, queries = grams(arguments.entries, 0), grams(arguments.queries, 1)
    found = ways(entries, queries)
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(arguments.rounds):
        for name, (_, search, part) in found.items():
            times[name].append(seconds(lambda s=search, p=part: s(queries[:p])) / part)
    rows: list[dict[str, Any]] = []
    exact = next(iter(found.values()))[1](queries)
    print(f"{len(queries)} queries in {len(entries)} entries")
    for name, (build, search, part) in found.items():
        each = statistics.median(times[name])
        answer = search(queries[:part])
        wrong, share = excess(entries, queries[:part], answer), recall(entries, queries[:part], answer, exact[:part])
        rows.append({"way": name, "build": build, "queries_per_second": 1 / each, "excess": wrong, "recall": share})
        print(
            f"{name:28} built in {build:6.2f} s {1 / each:12.0f} queries/s, above float64 by {wrong:.1e}, "
            f"recall {share:.2%}",
            flush=True,
        )
    fastest = rows[0]["queries_per_second"]
    flat = next(row["queries_per_second"] for row in rows if row["way"] == "FAISS flat")
    goals = [Goal("gramgan's search over FAISS flat", fastest / flat, ">=", 1.0)]
    if arguments.large:
        row = large(arguments.large, queries)
        print(
            f"{row['entries']} entries from a file: tree in {row['build']:.1f} s, queries in {row['search']:.2f} s, "
            f"peak {row['peak_gib']:.2f} GiB"
        )
        for index in row["approximate"]:
            print(
                f"  FAISS approximate, {index['probes']:3} cells read: built in {index['build']:.1f} s, queries in "
                f"{index['search']:.2f} s, recall {index['recall']:.2%}"
            )
        rows.append(row)
    keep("search", arguments.json, rows, goals)


if __name__ == "__main__":
    main()
