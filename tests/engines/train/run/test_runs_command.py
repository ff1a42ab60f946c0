"""``gramgan runs`` on run folders written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, rate, rows in (
        ("a", 1e-3, [(5, 20.0, 0.5), (10, 22.0, 0.4)]),
        ("b", 2e-3, [(5, 23.5, 0.45)]),
    ):
        folder = RunFolder(tmp_path / "runs" / name)
        folder.path.mkdir(parents=True)
        folder.record(merge(load_recipe("psnr"), {"steps": 10, "optimizer": {"rate": rate}}))
        for step, psnr, ssim in rows:
            folder.append_metrics({"step": step, "psnr_y": psnr, "ssim_y": ssim})
    return tmp_path / "runs"


def gramgan(*words: object) -> str:
    result = CliRunner().invoke(app, ["runs", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list(runs: Path) -> None:
    found = json.loads(gramgan("list", runs, "--json"))["runs"]
    assert [(Path(run["path"]).name, run["step"], run["steps"], run["finished"]) for run in found] == [
        ("a", 10, 10, True),
        ("b", 5, 10, False),
    ]
    assert found[0]["best"] == {"psnr_y": 22.0, "ssim_y": 0.5}
    assert found[0]["last"] == {"psnr_y": 22.0, "ssim_y": 0.4}
    assert gramgan("list", runs, "--quiet").splitlines() == [str(runs / "a"), str(runs / "b")]
    assert "22.00" in gramgan("list", runs)


def test_show(runs: Path) -> None:
    assert json.loads(gramgan("show", runs / "b", "--json"))["settings"]["optimizer.rate"] == 2e-3
    text = gramgan("show", runs / "b")
    assert "steps: 5 of 10 (unfinished)" in text
    assert "set optimizer.rate: 0.002" in text


def test_compare(runs: Path) -> None:
    document = json.loads(gramgan("compare", runs / "a", runs / "b", "--json"))
    assert document["differences"] == {"optimizer.rate": [1e-3, 2e-3]}
    assert "23.5" in gramgan("compare", runs / "a", runs / "b")


def test_folders_without_a_run_are_errors(runs: Path) -> None:
    for words, kind in ((["show", "nowhere"], GramganError), (["compare", runs / "a"], UsageError)):
        result = CliRunner().invoke(app, ["runs", *map(str, words)])
        assert isinstance(result.exception, kind)
    assert isinstance(CliRunner().invoke(app, ["runs", "list", "nowhere"]).exception, GramganError)
