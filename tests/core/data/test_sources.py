"""Sources of training photos: dataset halves, nested folders, file lists, given pairs, weights, rotation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.core.data.crops import Augmentation, CropOptions, CropSampler, rotated_pair
from gramgan_cli.core.data.holdout import split_held_out
from gramgan_cli.core.data.listing import find_photos
from gramgan_cli.core.data.prepared import PreparedPhoto, prepare_photos
from gramgan_cli.core.data.sources import given_pairs, locate_lr, locate_training, locate_validation
from gramgan_cli.core.errors import GramganError


def save(path: Path, width: int = 48, height: int = 40, level: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (level, level, level)).save(path)
    return path


@pytest.fixture
def div2k(tmp_path: Path) -> Path:
    """DIV2K's folders, with given LR for the training half."""
    for half, names in (("train", ("0001", "0002")), ("valid", ("0801",))):
        for name in names:
            save(tmp_path / "DIV2K" / f"DIV2K_{half}_HR" / f"{name}.png")
            save(tmp_path / "DIV2K" / f"DIV2K_{half}_LR_bicubic" / "X4" / f"{name}x4.png", 12, 10)
    return tmp_path / "DIV2K"


@pytest.mark.parametrize("how", ["data folder", "working folder", "explicit path"])
def test_a_known_dataset_gives_its_halves(how: str, div2k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "working folder":
        monkeypatch.chdir(div2k.parent)
    text = str(div2k) if how == "explicit path" else "div2k" if how == "data folder" else "DIV2K"
    folders = [div2k.parent] if how == "data folder" else []
    found = locate_training(text, folders)
    assert (found.location, found.valid) == (str(div2k / "DIV2K_train_HR"), str(div2k / "DIV2K_valid_HR"))
    assert locate_validation(text, folders) == str(div2k / "DIV2K_valid_HR")


@pytest.mark.parametrize("valid", ["valid", "val"])
def test_folders_called_train_and_valid_are_halves(valid: str, tmp_path: Path) -> None:
    """Without this, training would use the validation photos, as all subfolders are read."""
    save(tmp_path / "set" / "train" / "a.png")
    alone = locate_training(str(tmp_path / "set"), [])
    assert (alone.location, alone.valid) == (str(tmp_path / "set"), ""), "a folder of photos of trains"
    save(tmp_path / "set" / valid / "b.png")
    found = locate_training(str(tmp_path / "set"), [])
    assert (found.location, found.valid) == (str(tmp_path / "set" / "train"), str(tmp_path / "set" / valid))
    assert locate_validation(str(tmp_path / "set"), []) == found.valid


def test_known_names_are_found_in_the_working_folder_in_any_case(div2k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(div2k.parent)
    assert locate_training("div2k", [div2k / "elsewhere"]).location == str(div2k / "DIV2K_train_HR")


def test_the_training_half_itself_brings_its_validation_half(div2k: Path) -> None:
    assert locate_training(str(div2k / "DIV2K_train_HR"), []).valid == str(div2k / "DIV2K_valid_HR")


def test_a_validation_half_alone_is_no_training_data(tmp_path: Path) -> None:
    save(tmp_path / "DIV2K" / "DIV2K_valid_HR" / "0801.png")
    with pytest.raises(GramganError, match=r"DIV2K_valid_HR\) but no training photos"):
        locate_training("DIV2K", [tmp_path])


def test_a_missing_dataset_names_its_source_even_offline(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"gramgan data pull DIV2K \(offline: put") as error:
        locate_training("DIV2K", [tmp_path])
    assert str(tmp_path / "DIV2K") in str(error.value)


def test_nested_folders_but_no_reduced_pictures_hidden_ones_or_runs(tmp_path: Path) -> None:
    wanted = [save(tmp_path / name) for name in ("a.png", "cats/b.png", "cats/deep/c.png")]
    for name in (".hidden/d.png", "LR_x4/a.png", "X4/a.png", "set_LR_bicubic/a.png", "runs/r/samples/step.png"):
        save(tmp_path / name)
    (tmp_path / "runs" / "r" / "recipe.toml").write_text("")
    assert find_photos(tmp_path) == sorted(wanted)


def test_a_file_list_gives_its_photos_and_the_line_of_a_missing_one(tmp_path: Path) -> None:
    first, second = save(tmp_path / "x" / "b.png"), save(tmp_path / "a.png")
    listed = tmp_path / "photos.txt"
    listed.write_text(f"# two\n\nx/b.png\n{second}\n", encoding="utf-8")
    assert find_photos(listed) == [first, second]
    assert locate_training(str(listed), []).location == str(listed)
    listed.write_text("x/b.png\ngone.png\n", encoding="utf-8")
    with pytest.raises(GramganError, match=r"photos.txt, line 2: there is no file .*gone.png"):
        find_photos(listed)


def test_div2k_s_given_lr_is_found_from_any_of_its_folders(div2k: Path) -> None:
    hr, lr = str(div2k / "DIV2K_train_HR"), div2k / "DIV2K_train_LR_bicubic"
    for text in (div2k, lr, lr / "X4"):
        assert locate_lr(str(text), hr, 4, []) == str(lr / "X4")
    photos, partners = given_pairs(hr, str(lr / "X4"), 4)
    assert partners is not None
    assert [(a.name, b.name) for a, b in zip(photos, partners, strict=True)] == [
        ("0001.png", "0001x4.png"),
        ("0002.png", "0002x4.png"),
    ]
    valid = locate_lr(str(div2k), str(div2k / "DIV2K_valid_HR"), 4, [])
    assert valid == str(div2k / "DIV2K_valid_LR_bicubic" / "X4")


@pytest.mark.parametrize("layout", ["HR + LR_x4", "*_HR + *_LR"])
def test_layouts_of_pairs_are_given_pairs(layout: str, tmp_path: Path) -> None:
    names = ("HR/a.png", "LR_x4/a.png") if layout == "HR + LR_x4" else ("a_HR.png", "a_LR.png")
    hr, lr = (save(tmp_path / name, *size) for name, size in zip(names, ((48, 40), (12, 10)), strict=True))
    assert given_pairs(locate_training(str(tmp_path), []).location, "", 4) == ([hr], [lr])


def test_a_photo_without_its_lr_and_an_lr_of_another_size_are_named(tmp_path: Path) -> None:
    photo, small = save(tmp_path / "hr" / "a.png"), save(tmp_path / "lr" / "a.png", 11, 10)
    lonely = save(tmp_path / "hr" / "b.png")
    with pytest.raises(GramganError, match=r"b\.png has no LR image"):
        given_pairs(str(tmp_path / "hr"), str(tmp_path / "lr"), 4)
    lonely.unlink()
    with pytest.raises(
        GramganError, match=r"a.png has 11x10 pixels, but the x4 LR image of .*a.png \(48x40\) must have 12x10"
    ):
        prepare_photos([photo], 4, tmp_path / "cache", lr_paths=[small])


def test_given_lr_is_what_the_crops_show(tmp_path: Path) -> None:
    photo, lr = save(tmp_path / "hr.png", level=200), save(tmp_path / "lr.png", 12, 10, level=40)
    (prepared,) = prepare_photos([photo], 4, tmp_path / "cache", lr_paths=[lr])
    batch = CropSampler([prepared], 4, 32, 3, seed=0).batch(0)
    assert (batch.lr * 255).round().unique().tolist() == [40]
    assert (batch.hr * 255).round().unique().tolist() == [200]


def test_held_out_photos_are_spread_and_never_trained_on() -> None:
    rest, held_out = split_held_out(list(range(100)))
    assert held_out == [10, 30, 50, 70, 90]
    assert sorted([*rest, *held_out]) == list(range(100))
    assert split_held_out([7]) == ([7], [])


def flat_photo(level: int, side: int = 16) -> PreparedPhoto:
    lr = np.full((side, side, 3), level, np.uint8)
    return PreparedPhoto(f"{level}.png", lr, lr.repeat(4, 0).repeat(4, 1))


def test_shares_decide_how_often_each_photo_is_seen() -> None:
    """1 000 crops of two equally large photos with weights 3 : 1; 5 % tolerance is more than three sigma."""
    sampler = CropSampler([flat_photo(10), flat_photo(20)], 4, 32, 1000, seed=0, shares=[3.0, 1.0])
    first = sampler.batch(0).names.count("10.png")
    assert abs(first - 750) < 50


def test_augmentation_flips_as_much_as_it_is_asked_to() -> None:
    ramp = np.arange(64, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    photo = PreparedPhoto("ramp.png", ramp[::4, ::4], ramp)

    def seen(flips: str) -> set[tuple[float, float, float]]:
        options = CropOptions(augmentation=Augmentation(flips))  # type: ignore[arg-type]
        hr = CropSampler([photo], 4, 64, 200, seed=0, options=options).batch(0).hr[:, 0] * 255
        return {(float(x[0, 0].round()), float(x[0, -1].round()), float(x[-1, 0].round())) for x in hr}

    assert seen("none") == {(0, 63, 0)}
    assert seen("horizontal") == {(0, 63, 0), (63, 0, 63)}
    assert seen("turns") == {(0, 63, 0), (63, 0, 63), (0, 0, 63), (63, 63, 0)}


def test_rotation_turns_hr_about_the_middle_and_lr_with_it() -> None:
    """Rotating a plane a x + b y rotates its gradient. The photo's levels are rounded (error 0.5), and Pillow truncates
    its results to integers (error 1)."""
    degrees = 10.0
    y, x = np.mgrid[0:96, 0:96].astype(np.float64)
    photo = np.rint(np.clip(1.2 * x + 0.8 * y, 0, 255)).astype(np.uint8)[..., None].repeat(3, 2)
    lr, hr = rotated_pair(photo, 32, 32, 32, 4, degrees)
    assert (lr.shape, hr.shape) == ((8, 8, 3), (32, 32, 3))
    theta = np.deg2rad(degrees)
    dx, dy = x[32:64, 32:64] - 47.5, y[32:64, 32:64] - 47.5
    # counterclockwise with y pointing down: the pixel at (dx, dy) comes from the clockwise-rotated position
    source_x, source_y = dx * np.cos(theta) - dy * np.sin(theta), dx * np.sin(theta) + dy * np.cos(theta)
    expected = 1.2 * (source_x + 47.5) + 0.8 * (source_y + 47.5)
    assert np.abs(hr[..., 0] - expected).max() <= 2
    small = expected.reshape(8, 4, 8, 4).mean((1, 3))
    assert np.abs(lr[..., 0] - small).max() <= 2
