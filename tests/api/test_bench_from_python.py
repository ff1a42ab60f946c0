"""``gg.bench`` gives the same results as the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gramgan_cli as gg


def test_the_figures_are_those_of_the_command(tmp_path: Path) -> None:
    for index in range(2):
        array = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(array).save(tmp_path / f"{index}.png")
    words = ["bench", str(tmp_path), "-m", "bicubic", "-m", "nearest", "--metric", "gram", "--json"]
    done = subprocess.run([sys.executable, "-m", "gramgan_cli", *words], capture_output=True, text=True, check=True)
    seen: list[tuple[int, int]] = []
    measured = gg.bench(
        tmp_path, ["bicubic", "nearest"], metrics=["gram"], on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (2, 2)
    text = json.dumps(json.loads(done.stdout))
    for score in measured.scores:
        for value in score.values.values():
            assert json.dumps(value) in text
    with pytest.raises(TypeError, match="colour"):
        gg.bench(tmp_path, colour=1)  # type: ignore[call-arg]


def test_a_plugins_metric_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import numpy as np\n"
        "def largest(sr, hr, border):\n"
        "    return float(np.abs(sr.astype(int) - hr).max())\n"
        "metrics = {'largest': largest}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("GRAMGAN_PLUGINS", str(plugin))
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(photos / "a.png")
    expected: list[int] = []
    measured = gg.bench(
        photos,
        ["nearest"],
        metrics=["largest"],
        on_result=lambda result: expected.append(int(np.abs(result.sr.astype(int) - result.target).max())),
    )
    assert measured.scores[0].values["largest"] == expected[0] > 0
    with pytest.raises(gg.UsageError, match=r"no metric 'larges'.*largest"):
        gg.bench(photos, ["nearest"], metrics=["larges"])
