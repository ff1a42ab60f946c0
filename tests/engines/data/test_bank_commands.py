"""``gramgan build-db`` and ``gramgan mask`` as users call them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.cli.errors import explain
from gramgan_cli.core.errors import GramganError, TargetExists, UsageError

runner = CliRunner()


def call(*arguments: object) -> str:
    """stdout of a successful call; a GramganError is raised."""
    result = runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        noise = rng.integers(0, 255, (60, 70, 3), dtype=np.uint8)
        noise[:, :33] = 90
        Image.fromarray(noise).save(folder / f"{name}.png")
    return folder


def test_build_db_goes_to_the_data_folder_and_info_prints_it(photos: Path, private_folders: Path) -> None:
    bank = private_folders / "data" / "bank.safetensors"
    assert call(
        "build-db", "--hr-dir", photos, "--valid-dir", photos, "--max-patches", 200, "--quiet"
    ).splitlines() == [str(bank)]
    output = json.loads(call("build-db", "--info", bank, "--json"))
    assert (output["entries"], output["positions"], output["seed"], output["patch_size"]) == (600, 200, 0, 4)
    assert output["hr_dir"] == str(photos.resolve())
    assert [photo["name"] for photo in output["photos"]] == ["a.png", "b.png"]
    assert "600 (200 positions, each raw, down-up, affine)" in call("build-db", "--info", bank)
    with pytest.raises(TargetExists, match=r"bank\.safetensors already exists") as caught:
        call("build-db", "--hr-dir", photos)
    assert "--overwrite" in explain(caught.value)
    call("build-db", "--hr-dir", photos, "--max-patches", 100, "--overwrite")
    assert json.loads(call("build-db", "--info", bank, "--json"))["positions"] == 100


def test_two_builds_with_one_seed_are_identical_at_any_path(photos: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.safetensors", tmp_path / "sub" / "other.safetensors"
    call("build-db", "--hr-dir", photos, "--out", one, "--max-patches", 300, "--workers", 1, "--seed", 3)
    call("build-db", "--hr-dir", photos, "--out", other, "--max-patches", 300, "--workers", 3, "--seed", 3)
    assert one.read_bytes() == other.read_bytes()


def test_a_datasets_name_means_its_training_photos(photos: Path, private_folders: Path, tmp_path: Path) -> None:
    training = private_folders / "data" / "DIV2K" / "DIV2K_train_HR"
    training.parent.mkdir(parents=True)
    photos.rename(training)
    output = json.loads(
        call("build-db", "--hr-dir", "div2k", "--out", tmp_path / "b.safetensors", "--max-patches", 50, "--json")
    )
    assert output["hr_dir"] == str(training.resolve())


def test_build_db_says_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.safetensors"
    with pytest.raises(GramganError, match=r"DIV2K is not on this computer.*gramgan data pull DIV2K"):
        call("build-db", "--hr-dir", "DIV2K", "--out", out)
    with pytest.raises(GramganError, match="nowhere"):
        call("build-db", "--hr-dir", tmp_path / "nowhere", "--out", out)
    (photos / "c.png").write_text("no picture")
    with pytest.raises(GramganError, match=r"c\.png can't be read as an image"):
        call("build-db", "--hr-dir", photos, "--out", out)
    assert not out.exists()
    with pytest.raises(UsageError, match="--hr-dir"):
        call("build-db", "--seed", 1)
    assert runner.invoke(app, ["build-db", "--hr-dir", str(photos), "--patch-size", "3"]).exit_code == 2
    with pytest.raises(UsageError, match=r"--info shows.*--max-patches, --workers"):
        call("build-db", "--info", out, "--max-patches", 5, "--workers", 1)


def test_photos_that_validate_the_training_stay_out_of_the_bank(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(GramganError, match="held-outt"):
        call("build-db", "--hr-dir", photos, "--valid-dir", tmp_path / "held-outt", "--out", tmp_path / "x.safetensors")
    (photos / "valid").mkdir()
    (photos / "b.png").rename(photos / "valid" / "b.png")
    out = tmp_path / "bank.safetensors"
    record = call("build-db", "--hr-dir", photos, "--valid-dir", photos / "valid", "--out", out, "--json")
    assert [photo["name"] for photo in json.loads(record)["photos"]] == ["a.png"]


def test_a_truncated_photo_stops_the_build_and_leaves_no_file(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out" / "bank.safetensors"
    with pytest.raises(GramganError, match=r"b\.png can't be read"):
        call("build-db", "--hr-dir", photos, "--valid-dir", photos, "--out", out, "--max-patches", 500)
    assert not list(tmp_path.glob("out/*"))


def test_mask_of_one_photo_is_grey_of_its_size(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mask.png"
    output = call("mask", photos / "a.png", "-o", out)
    with Image.open(out) as image:
        assert (image.mode, image.size) == ("L", (70, 60))
        mask = np.asarray(image)
    assert set(np.unique(mask)) == {0, 255}
    assert not mask[:, :33].any()
    assert mask[:, 33:].all()
    assert f"{37 / 70:.1%}" in output


def test_masks_of_a_folder_go_to_a_folder(photos: Path, tmp_path: Path) -> None:
    output = json.loads(call("mask", photos, "-o", tmp_path / "masks", "--json"))["results"]
    assert [Path(row["output"]).name for row in output] == ["a.png", "b.png"]
    assert all(row["textured"] == pytest.approx(37 / 70) for row in output)
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "b.png"]


def test_overlay_keeps_textured_pixels_and_covers_the_others(photos: Path, tmp_path: Path) -> None:
    call("mask", photos / "a.png", "-o", tmp_path / "o.png", "--overlay")
    before, after = (np.asarray(Image.open(path)) for path in (photos / "a.png", tmp_path / "o.png"))
    assert np.array_equal(before[:, 33:], after[:, 33:])
    assert (before[:, :33] != after[:, :33]).any(axis=2).all()


def test_mask_options_reach_the_mask(photos: Path, tmp_path: Path) -> None:
    """A cell as large as the photo mixes both halves; a threshold above all deviations leaves no texture."""
    assert "100.0%" in call("mask", photos / "a.png", "-o", tmp_path / "1.png", "--cell", 100)
    assert ": 0.0%" in call("mask", photos / "a.png", "-o", tmp_path / "2.png", "--delta", 0.6)
    call("mask", photos / "a.png", "-o", tmp_path / "3.png", "--mode", "sliding")
    sliding = np.asarray(Image.open(tmp_path / "3.png"))
    assert not sliding[:, :28].any()
    assert sliding[:, 28:].all()


def test_mask_says_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for arguments, message in (
        ((tmp_path / "none.png", "-o", tmp_path / "m.png"), r"no photo or folder .*none\.png"),
        ((photos, "-o", photos / "a.png"), "is a file"),
        ((photos / "a.png", "-o", tmp_path / "folder"), "is a folder"),
        ((photos / "a.png", "-o", tmp_path / "m.jpg"), "PNG"),
        ((photos / "a.png", "-o", photos / "a.png", "--overwrite"), "replace the photo"),
        ((photos, "-o", tmp_path / "m", "--mode", "sliding", "--cell", 10), "odd"),
    ):
        with pytest.raises(GramganError, match=message):
            call("mask", *arguments)


def test_one_bad_picture_does_not_fail_the_others(photos: Path, tmp_path: Path) -> None:
    (photos / "c.png").write_text("no picture")
    # ExtraSamples as text, which Pillow can't write when it rotates the photo.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x52\0\x02\0\0\0\x02x\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    Image.open(photos / "a.png").convert("RGB").save(photos / "d.jpg", exif=exif)
    result = runner.invoke(app, ["mask", str(photos), "-o", str(tmp_path / "m")])
    assert result.exit_code == 1
    assert "c.png can't be read" in result.stderr
    assert "d.jpg can't be read" in result.stderr
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["a.png", "b.png"]


def test_a_photo_of_an_absurd_size_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(GramganError, match=r"a\.png is too large"):
        call("build-db", "--hr-dir", photos, "--out", tmp_path / "bank.safetensors")
