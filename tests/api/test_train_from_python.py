"""``gg.train`` trains, reports, stops on request, and resumes to the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gramgan_cli as gg

SETTINGS = {"network.arch": "compact", "network.nf": 8, "network.nc": 1, "steps": 6, "batch_size": 2, "log_every": 1}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        array = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{index}.png")
    return folder


def test_a_run_reports_and_stops_and_resumes_to_the_same_weights(photos: Path, tmp_path: Path) -> None:
    rows: list[Mapping[str, Any]] = []
    seen: list[tuple[int, int]] = []
    settings = {**SETTINGS, "data.hr_crop": 32}

    def run(name: str, **more: Any) -> Any:
        where = tmp_path / name
        return gg.train("psnr", hr_dir=photos, out=where, settings=settings, device="cpu", store=False, **more)

    whole = run("whole", on_metrics=rows.append, on_progress=lambda done, total: seen.append((done, total)))
    assert (whole.steps, whole.finished) == (6, True)
    assert seen == [(step, 6) for step in range(7)]
    assert [row["step"] for row in rows if "loss.content" in row] == [1, 2, 3, 4, 5, 6]

    count = iter(range(10))
    stopped = run("parts", should_stop=lambda: next(count) == 2)
    assert (stopped.steps, stopped.finished) == (3, False)
    resumed = gg.train("psnr", out=tmp_path / "parts", resume=True, device="cpu", store=False)
    assert (resumed.steps, resumed.finished) == (6, True)
    array = np.random.default_rng(9).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    results = [gg.load(str(one.weights), device="cpu", backend="torch")(array) for one in (whole, resumed)]
    np.testing.assert_array_equal(results[0], results[1])
    recorded = (tmp_path / "parts" / "recipe.toml").read_text(encoding="utf-8")
    with pytest.raises(gg.UsageError, match="has done 6 steps, more than 5"):
        gg.train("psnr", out=tmp_path / "parts", resume=True, device="cpu", store=False, settings={"steps": 5})
    assert (tmp_path / "parts" / "recipe.toml").read_text(encoding="utf-8") == recorded


def test_invalid_training_arguments_are_errors(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(gg.UsageError, match="no key 'stpes'"):
        gg.train("psnr", hr_dir=photos, settings={"stpes": 1}, out=tmp_path / "run")
    with pytest.raises(gg.GramganError, match="no-such-recipe"):
        gg.train("no-such-recipe", hr_dir=photos, out=tmp_path / "run")
    with pytest.raises(gg.UsageError, match=r"x\.png is a file"):
        gg.check_training("psnr", hr_dir=photos, out=next(photos.iterdir()).rename(photos / "x.png"))
    with pytest.raises(TypeError, match="colour"):
        gg.train("psnr", colour=1)  # type: ignore[call-arg]
