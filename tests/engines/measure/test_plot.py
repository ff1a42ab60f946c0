"""``gramgan plot``: the plotted values are those that the runs recorded."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import GramganError, TargetExists, UsageError
from gramgan_cli.engines.measure.plot import check_output, draw_curves, panels_of, read_curves


def make_run(folder: Path, rows: list[dict[str, float]], tail: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + tail, encoding="utf-8")
    return folder


ROWS = [
    {"step": 10, "lr": 1e-4, "loss.content": 0.3, "loss.texture": 2.0},
    {"step": 20, "psnr_y": 27.5, "ssim_y": 0.78, "valid_loss": 0.5},
    {"step": 20, "resumed_from": 20},
    {"step": 30, "lr": 5e-5, "loss.content": 0.2, "loss.texture": 1.0},
    {"step": 40, "psnr_y": 28.5, "ssim_y": 0.80},
]


def test_curves_are_the_rows(tmp_path: Path) -> None:
    curves = read_curves(make_run(tmp_path / "first", ROWS, tail='{"step": 50, "lo'))
    assert curves.name == "first"
    assert curves.series == {
        "lr": [(10, 1e-4), (30, 5e-5)],
        "loss.content": [(10, 0.3), (30, 0.2)],
        "loss.texture": [(10, 2.0), (30, 1.0)],
        "psnr_y": [(20, 27.5), (40, 28.5)],
        "ssim_y": [(20, 0.78), (40, 0.80)],
        "valid_loss": [(20, 0.5)],
    }
    assert curves.resumed == [20]
    assert panels_of([curves]) == ["psnr_y", "ssim_y", "valid_loss", "loss.content", "loss.texture", "lr"]


def test_the_figure_holds_every_run_in_every_panel(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")
    other = [{"step": 5, "lr": 1.0, "loss.content": 9.0}]
    runs = [read_curves(make_run(tmp_path / "a", ROWS)), read_curves(make_run(tmp_path / "b", other))]
    figure = draw_curves(runs)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == [
        "validation PSNR on Y, dB",
        "validation SSIM on Y",
        "validation loss",
        "loss: content",
        "loss: texture",
        "learning rate",
    ]
    lines = {line.get_label(): line.get_xydata().tolist() for line in shown[3].lines}
    assert lines["a"] == [[10, 0.3], [30, 0.2]]
    assert lines["b"] == [[5, 9.0]]
    assert [text.get_text() for text in shown[0].get_legend().get_texts()] == ["a", "b"]


@pytest.mark.parametrize("names", [["$a_{$", "_b", "c$"], ["$a_{$"]])
def test_names_are_drawn_as_they_are(tmp_path: Path, names: list[str]) -> None:
    """matplotlib reads '$' as the start of a formula, and hides labels that begin with '_'."""
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")
    runs = [make_run(tmp_path / name, [{"step": 1, "$l^$": 1.0}, {"step": 2, "$l^$": 2.0}]) for name in names]
    target = tmp_path / "curves.svg"
    words = ["plot", *map(str, runs), "-o", str(target)]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    drawn = re.findall("<!-- (.*?) -->", target.read_text(encoding="utf-8"))
    for text in [*names, "$l^$"]:
        assert text in drawn


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_command_draws(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")
    runs = [make_run(tmp_path / position / "run", ROWS) for position in ("x", "y")]
    target = tmp_path / "out" / f"curves.{suffix}"
    result = CliRunner().invoke(app, ["plot", *map(str, runs), "-o", str(target)], catch_exceptions=False)
    assert result.stdout.strip() == str(target)
    if suffix == "png":
        pixels = np.asarray(Image.open(target).convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    else:
        assert "</svg>" in target.read_text(encoding="utf-8")


def test_refusals_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"There is no run at .*absent"):
        read_curves(tmp_path / "absent")
    with pytest.raises(GramganError, match="contains no metrics yet"):
        read_curves(make_run(tmp_path / "a", []))
    damaged = make_run(tmp_path / "b", [])
    (damaged / "metrics.jsonl").write_text('{"step"\n{"step": 1, "lr": 2}\n')
    with pytest.raises(GramganError, match=r"metrics\.jsonl, line 1, is not JSON"):
        read_curves(damaged)
    with pytest.raises(GramganError, match="a row without a step"):
        read_curves(make_run(tmp_path / "c", [{"lr": 1.0}]))
    noise = tmp_path / "photo.png"
    Image.effect_noise((8, 8), 50).save(noise)
    with pytest.raises(
        GramganError, match=r"photo\.png is not a run's metrics.*Pass a folder that gramgan train wrote"
    ):
        read_curves(noise)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(GramganError, match=r"notes\.txt, line 1, is not JSON"):
        read_curves(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match=r"not 'x\.gif'"):
        check_output(tmp_path / "x.gif", overwrite=False)
    (tmp_path / "x.png").write_text("old")
    with pytest.raises(TargetExists, match=r"x\.png already exists"):
        check_output(tmp_path / "x.png", overwrite=False)


def test_a_run_that_writes_its_first_row_has_no_metrics_yet(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match="contains no metrics yet"):
        read_curves(make_run(tmp_path / "a", [], tail='{"step": 1, "l'))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(GramganError, match="not a regular file"):
        check_output(tmp_path / "x.png", overwrite=True)
