"""Batch runs with nearest neighbour, and a check of their records against the files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from batch_helpers import photo_bytes

from gramgan_cli.engines.batch.run import BatchOptions, Run, local_engine
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import open_session


def run(inputs: Path, output: Path, **options: object) -> tuple[Run, list[Result]]:
    """Run over a folder; return the run and its results."""
    results: list[Result] = []
    upscale = replace(UpscaleOptions(model="nearest", device="cpu"), **options)
    work = Run(BatchOptions(inputs=[str(inputs)], output=str(output), upscale=upscale), results.append, lambda _: None)
    work.go(local_engine(open_session(upscale)))
    return work, results


def put(path: Path, index: int = 0, kind: str = "png") -> Path:
    """Write a photo, different for each index."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo_bytes(index, kind))
    return path


def rows(output: Path) -> list[dict]:
    """All records."""
    return pq.read_table(output / ".gramgan-results").to_pylist()


def assert_records_are_true(output: Path) -> int:
    """Assert that each result's record has its file's checksum; return the number of results."""
    latest = {row["key"]: row for row in sorted(rows(output), key=lambda row: row["finished"]) if row["output"]}
    for row in latest.values():
        assert row["output_sha256"] == hashlib.sha256((output / row["output"]).read_bytes()).hexdigest()
    return len(latest)
