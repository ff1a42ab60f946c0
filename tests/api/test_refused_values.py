"""Python functions refuse values that their commands refuse, and take one name where they take several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import gramgan_cli as gg


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one small photo."""
    (tmp_path / "set").mkdir()
    Image.effect_noise((64, 64), 60).save(tmp_path / "set" / "x.png")
    return tmp_path / "set"


CALLS: dict[str, Callable[[Path, Path], object]] = {
    "`scale` can't be 0": lambda photos, out: gg.make_lr(photos, out, scale=0),
    "`scale` can't be 2.5": lambda photos, out: gg.make_lr(photos, out, scale=2.5),
    "`border` can't be 'none'": lambda photos, out: gg.make_lr(photos, out, border="none"),
    "`scale` can't be 1": lambda photos, out: gg.degrade(photos, out, scale=1),
    "`level` can't be 'foo'": lambda photos, out: gg.degrade(photos, out, level="foo"),
    "`seed` can't be -1": lambda photos, out: gg.degrade(photos, out, seed=-1),
    "`scale` can't be 17": lambda photos, _: gg.bench(photos, ["bicubic"], scale=17),
    "`convention` can't be 'old'": lambda photos, _: gg.bench(photos, ["bicubic"], convention="old"),
    "`alpha` can't be 2.0": lambda _, __: gg.mix_models("clean", "photo", 2.0, "mixed"),
    "`alpha` can't be '1'": lambda _, __: gg.mix_models("clean", "photo", "1", "mixed"),
    "`precision` can't be 'bf16'": lambda _, out: gg.export_model("clean", out / "x.onnx", precision="bf16"),
    "`mode` can't be 'x'": lambda photos, out: gg.mask(photos / "x.png", out / "m.png", mode="x"),
    "`max_patches` can't be 0": lambda photos, out: gg.build_bank(photos, out / "b.safetensors", max_patches=0),
    "`patch_size` can't be 17": lambda photos, out: gg.build_bank(photos, out / "b.safetensors", patch_size=17),
    "The recipe 'psnr' does not damage photos": lambda photos, out: gg.degrade(photos, out, recipe="psnr"),
    "`format` can't be 'pth'": lambda _, out: gg.export_model("clean", out / "x.pth", format="pth"),
}


@pytest.mark.parametrize("message", CALLS)
def test_values_are_refused_before_any_work(photos: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(gg.UsageError) as refused:
        CALLS[message](photos, tmp_path / "out")
    assert str(refused.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_one_name_is_one_model(photos: Path, tmp_path: Path) -> None:
    measured = gg.bench(photos, "bicubic", metrics="spectrum")
    assert [score.model for score in measured.scores] == ["bicubic"]
    assert measured.scores[0].values.keys() == {"psnr_y", "ssim_y", "spectrum"}
    compared = gg.compare(photos / "x.png", tmp_path / "g.png", "bicubic")
    assert [version.label for version in compared.versions] == ["input", "bicubic"]
    ((stored, problem),) = gg.verify_models("clean")
    assert (stored.name, problem) == ("clean", None)
