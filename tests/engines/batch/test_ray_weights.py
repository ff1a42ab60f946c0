"""Which weights a Ray cluster's nodes read from the records folder, and which they open by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gramgan_cli.core.io.locations import locate
from gramgan_cli.core.weights.mixing.square import square_model
from gramgan_cli.engines.batch.ray_engine import shipped_weights
from gramgan_cli.engines.batch.weights import look_up


@pytest.mark.parametrize("model", ["clean", "clean+clean-gan@0.5"])
def test_models_without_cleaning_are_read_from_a_file(model: str, tmp_path: Path) -> None:
    weights = look_up(model)
    shipped = shipped_weights(locate(str(tmp_path)), weights)
    assert shipped is not None
    assert locate(shipped).read() == weights.content


@pytest.mark.parametrize("model", ["photo-gan", square_model(0.25, 0.5), "auto@1", "lanczos"])
def test_models_that_clean_photos_are_opened_by_name(model: str, tmp_path: Path) -> None:
    """A file does not say that the photo is cleaned before."""
    assert shipped_weights(locate(str(tmp_path)), look_up(model)) is None
    assert not list(tmp_path.iterdir())
