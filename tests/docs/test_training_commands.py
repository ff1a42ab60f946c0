"""Commands in docs/training.md below a line ``<!-- train -->``, run on small photos for one step."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_file import save_random_vgg16
from PIL import Image
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.resize.matlab import make_lr

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
BLOCK = re.compile(r"^<!-- train -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALL = ["--batch-size", "2", "--hr-crop", "72", "--device", "cpu", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names."""
    for name in (
        "photos",
        "held-out",
        "faces",
        "streets",
        "answers",
        "scans/hr",
        "pairs/HR",
        "DIV2K/DIV2K_train_HR",
        "DIV2K/DIV2K_valid_HR",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        blurred_noise(tmp_path / name, 2, (96, 72), by=3)
    (tmp_path / "streets.txt").write_text("streets/0.png\nstreets/1.png\n", encoding="utf-8")
    for source, target, stem in (
        ("answers", "small", "{}"),
        ("held-out", "held-out-small", "{}"),
        ("scans/hr", "scans/lr", "{}"),
        ("pairs/HR", "pairs/LR_x4", "{}"),
        ("DIV2K/DIV2K_train_HR", "DIV2K/DIV2K_train_LR_bicubic/X4", "{}x4"),
        ("DIV2K/DIV2K_valid_HR", "DIV2K/DIV2K_valid_LR_bicubic/X4", "{}x4"),
    ):
        (tmp_path / target).mkdir(parents=True)
        for path in (tmp_path / source).iterdir():
            lr = make_lr(np.asarray(Image.open(path)), 4)
            Image.fromarray(lr).save(tmp_path / target / f"{stem.format(path.stem)}.png")
    (tmp_path / "grey").mkdir()
    levels = np.random.default_rng(0).integers(0, 65536, (3, 72, 96)).astype(np.uint16)
    for number, scan in enumerate(levels):
        Image.fromarray(scan).save(tmp_path / "grey" / f"{number}.tif")
    Image.fromarray(levels[0, :20, :24]).save(tmp_path / "scan.tif")
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / "photo.png")
    if importlib.util.find_spec("spandrel") is not None:
        from spandrel.architectures.SAFMN import SAFMN

        torch.save({"params": SAFMN(dim=8, n_blocks=1).state_dict()}, tmp_path / "4x-something.pth")
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "0.tar", "w") as tar:
        for path in sorted((tmp_path / "streets").iterdir()):
            tar.add(path, path.name)
    save_random_vgg16(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NEEDS = {
    "runs/further": "spandrel",
    "--hr-dir shards": "webdataset",
    "loss.dists": "torchmetrics",
    "--recipe clean-gan": "lpips",
}
"""Library of an extra that a command needs."""


def can_run(line: str) -> bool:
    return all(importlib.util.find_spec(library) for text, library in NEEDS.items() if text in line)


def shortened(words: list[str]) -> list[str]:
    """Shorten a training to one step (two if resumed); large networks are only checked, with --dry-run."""
    if words[0] != "train":
        return words
    if "--resume" in words:
        return [*words, "--steps", "2", "--device", "cpu", "--quiet"]
    large = "--arch" not in words and "--init" not in words
    length = ["--epochs", "1"] if "--epochs" in words else ["--steps", "1"]
    return [*words, *SMALL, *length, *(["--dry-run"] if large else [])]


def test_the_commands_of_the_page_run(folder: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 10
    for block in blocks:
        for line in filter(can_run, block.replace("\\\n", " ").splitlines()):
            words = shortened(shlex.split(line)[1:])
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, (line, result.output, result.exception)
