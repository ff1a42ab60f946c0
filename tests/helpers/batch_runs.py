"""Helpers for batch runs in one process: options, plan, run and records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gramgan_cli.engines.batch.run import BatchOptions, Run, local_engine
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.session import open_session

pa = pytest.importorskip("pyarrow", reason="needs the extra archive")
pq = pytest.importorskip("pyarrow.parquet")


def batch_options(inputs: object, output: object, shard: tuple[int, int] = (0, 1), **options: object) -> BatchOptions:
    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    upscale = replace(UpscaleOptions(model="nearest", device="cpu"), **options)
    return BatchOptions(inputs=[str(text) for text in inputs], output=str(output), upscale=upscale, shard=shard)


def planned(inputs: object, output: object) -> list[Job]:
    """Jobs of a run, without starting it."""
    return Run(batch_options(inputs, output), lambda _result: None, lambda _counts: None).plan.jobs


def run(inputs: object, output: object, **options: object) -> tuple[Run, list]:
    rows: list = []
    work = Run(batch_options(inputs, output, **options), rows.append, lambda _counts: None)
    work.go(local_engine(open_session(work.options.upscale)))
    return work, rows


def table(output: Path) -> list[dict]:
    return pq.read_table(output / ".gramgan-results").to_pylist()
