"""The training loop waits for the device only at logging steps, checked by counting calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from train_photos import plain_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.engines.train.trainer import Trainer

WAITING = {
    getattr(Tensor, name)
    for name in (
        *("item", "tolist", "numpy", "cpu", "nonzero", "unique", "masked_select"),
        *("__bool__", "__float__", "__int__", "__index__", "__array__", "__contains__"),
    )
} | {torch.nonzero, torch.masked_select, torch.unique, torch.equal, torch.allclose}
"""Methods that make the host wait until the device has computed a value."""


class Watch(TorchFunctionMode):
    """Counts waiting calls, separately where they are allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = False
        self.waits: list[str] = []
        self.allowed_waits = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in WAITING:
            if self.allowed:
                self.allowed_waits += 1
            else:
                self.waits.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return plain_noise(tmp_path / "photos", 3, 96)


GENERATOR = ["--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--batch-size", "2"]
WITHOUT_BANK = ["--set", "loss.texture=0", "--set", "loss.perceptual=0", "--init", "none"]


@pytest.mark.parametrize(
    "words",
    [
        ["--recipe", "psnr", "--hr-crop", "32"],
        ["--recipe", "gramgan", "--hr-crop", "64", "--set", "discriminator.nf=8", *WITHOUT_BANK],
        ["--recipe", "psnr", "--hr-crop", "32", "--set", "optimizer.clip=0.1", "--set", "optimizer.accumulate=2"],
    ],
    ids=["content", "gan", "clipped"],
)
def test_only_print_steps_wait(photos: Path, tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()

    def apart(method: Callable[..., Any]) -> Callable[..., Any]:
        def allowed(*arguments: Any) -> Any:
            watch.allowed = True
            try:
                return method(*arguments)
            finally:
                watch.allowed = False

        return allowed

    for name in ("log", "validate", "save"):
        monkeypatch.setattr(Trainer, name, apart(getattr(Trainer, name)))
    loop = Trainer.loop

    def watched(run: Trainer) -> Any:
        with watch:
            return loop(run)

    monkeypatch.setattr(Trainer, "loop", watched)
    common = ["train", "--device", "cpu", "--hr-dir", str(photos), "--out", str(tmp_path / "run"), "--steps", "12"]
    result = CliRunner().invoke(app, [*common, "--set", "log_every=4", *GENERATOR, *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert watch.allowed_waits >= 3, "the print steps were not seen"
    assert watch.waits == []
