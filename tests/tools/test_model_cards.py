"""Every model in the package or repository has a card that agrees with the file's header."""

from __future__ import annotations

from pathlib import Path

import pytest

from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import embedded_models
from gramgan_cli.core.weights.load import load_model

UNPUBLISHED = [name for name, entry in read_catalogue().items() if not entry.url]
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", [*sorted(embedded_models()), *UNPUBLISHED])
def test_the_card_says_what_the_header_says(name: str) -> None:
    card = (DOCS / "models" / f"{name}.md").read_text(encoding="utf-8")
    header = load_model(name).header
    row = next(line for line in card.splitlines() if line.startswith(f"| **{name}** |"))
    for dataset in ("Set5", "Set14"):
        metrics = header.metrics[dataset]
        assert f"{metrics['psnr_y']:.2f} / {metrics['ssim_y']:.4f}" in row, dataset
    assert header.licence in card
    for word in ("CREDITS.md", "Not good at", "steps"):
        assert word in card, word
    assert f"models/{name}.md" in (DOCS / "models.md").read_text(encoding="utf-8")
