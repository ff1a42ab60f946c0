"""The examples of docs/python-api.md run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAMGAN_BACKEND", "torch")
    for name in ("photo.jpg", "photos/a.png", "photos/more/b.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)).save(name)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python-api.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 5
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python-api.md", "exec"), scope)
    assert Image.open("large.png").size == (128, 96)
    assert Path("enlarged/more/b_x4.png").is_file()
    assert scope["array"].shape == (128, 192, 3)
    assert not Path("cancelled.png").exists()
    assert scope["result"].finished
