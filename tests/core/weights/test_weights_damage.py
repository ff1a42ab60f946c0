"""Weights files with changed, removed or inserted bytes: each loads or gives one clear error."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.foreign import convert
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model

TINY = {"nf": 4, "nc": 1, "scale": 2}
HEAD = 900
"""Bytes at the start, which hold the structure; half of the damage is made there."""


def write_samples(folder: Path) -> list[Path]:
    """Write one small model in every supported format."""
    tensors = archs.build("compact", TINY).state_dict()
    save_weights(folder / "own.safetensors", tensors, WeightsHeader("compact", TINY, 2, training={"steps": 1}))
    torch.save({"params": tensors}, folder / "zip.pth")
    torch.save({"params": tensors}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    return sorted(folder.iterdir())


def damage(content: bytearray, rng: random.Random) -> None:
    """Make one random change in place."""
    at = rng.randrange(len(content) if rng.random() < 0.5 else min(HEAD, len(content)))
    kind = rng.choice(["bit", "bit", "bit", "byte", "cut", "insert"])
    if kind == "bit":
        content[at] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        content[at] = rng.randrange(256)
    elif kind == "cut":
        del content[at : at + rng.randrange(1, 20)]
    else:
        content[at:at] = rng.randbytes(rng.randrange(1, 20))


def try_damaged(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Load damaged copies; return the numbers of loaded and refused ones. Other exceptions are raised."""
    rng = random.Random(seed)
    counts = {"loaded": 0, "refused": 0}
    messages: list[str] = []
    samples = write_samples(folder)
    (folder / "damaged").mkdir()
    for _ in range(rounds):
        for sample in samples:
            content = bytearray(sample.read_bytes())
            for _ in range(rng.choice([1, 1, 2, 8])):
                damage(content, rng)
            damaged = folder / "damaged" / sample.name
            damaged.write_bytes(content)
            try:
                with warnings.catch_warnings(action="ignore"):
                    convert(damaged, None, {})
                    if sample.suffix == ".safetensors":
                        load_model(str(damaged))
                counts["loaded"] += 1
            except GramganError as error:
                messages.append(str(error))
                counts["refused"] += 1
    assert all(str(folder) in message for message in messages)
    return counts


def test_damaged_weights(tmp_path: Path) -> None:
    counts = try_damaged(tmp_path, rounds=100, seed=0)
    # Both occur: a changed bit of a value gives another model, a changed bit of the structure an error.
    assert counts["loaded"] > 20
    assert counts["refused"] > 100


@pytest.mark.fuzz
def test_damaged_weights_at_length(tmp_path: Path) -> None:
    try_damaged(tmp_path, rounds=4000, seed=1)
