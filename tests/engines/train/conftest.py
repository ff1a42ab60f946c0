"""Photos and a bank for tests of GAN training; other test files have their own photos."""

from __future__ import annotations

from pathlib import Path

import pytest
from train_photos import blurred_noise

from gramgan_cli.engines.data.bank import build_bank


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blurred_noise(tmp_path_factory.mktemp("photos"), 5, (100, 80), by=2)


@pytest.fixture(scope="module")
def bank(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small texture bank of these photos."""
    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    build_bank(photos, path, max_patches=300)
    return path
