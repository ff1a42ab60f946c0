"""The examples in docs/python-api.md run."""

from __future__ import annotations

import importlib.util
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
    Path("mine.py").write_text("metrics = {'largest': lambda sr, hr, border: 0.0}\n", encoding="utf-8")
    monkeypatch.setenv("GRAMGAN_PLUGINS", "")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python-api.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 5
    scope: dict[str, Any] = {}
    for block in blocks:
        if "gg.plot(" in block and importlib.util.find_spec("matplotlib") is None:
            continue
        exec(compile(block, "docs/python-api.md", "exec"), scope)
    assert Image.open("large.png").size == (128, 96)
    assert Path("enlarged/more/b_x4.png").is_file()
    assert scope["array"].shape == (128, 192, 3)
    assert not Path("cancelled.png").exists()
    assert scope["result"].finished
    assert scope["again"].counts.before == scope["batch"].counts.done == scope["report"].done == 2
    assert Path("done/more/b_x4.png").read_bytes() == Path("enlarged/more/b_x4.png").read_bytes()
    assert scope["model"].sha256 == scope["pulled"].sha256
    assert [version.label for version in scope["comparison"].versions] == ["input", "bicubic", "photo", "lanczos"]
    assert scope["plan"]["stages"][0]["steps"] == 2
    assert Image.open("photos_x4/a.png").size == (8, 6)
    assert Image.open("damaged_x4/a.png").size == (8, 6)
    assert scope["bank"].provenance.entries > 0
    assert Image.open("masks/a.png").size == (32, 24)
