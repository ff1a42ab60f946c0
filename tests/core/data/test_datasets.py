"""Finding and pairing benchmark pictures, in generated folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.core.data.datasets import find_dataset, open_dataset, read_sample
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.resize.matlab import make_lr


def picture(path: Path, width: int = 24, height: int = 16, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


PAIRED = [("HR/{}.png", "LR_x4/{}.png"), ("GTmod12/{}.png", "LRbicx4/{}.png"), ("{}_HR.png", "{}_LR.png")]
PAIRED += [("DIV2K_valid_HR/{}.png", "DIV2K_valid_LR_bicubic/X4/{}x4.png"), ("HR/{}.png", "LR_x4/{}x4.png")]


@pytest.mark.parametrize(("hr", "lr"), PAIRED)
def test_paired_layouts(tmp_path: Path, hr: str, lr: str) -> None:
    for index, name in enumerate(("a", "b.c", "ü")):
        picture(tmp_path / hr.format(name), seed=index)
        picture(tmp_path / lr.format(name), 6, 4, seed=10 + index)
    dataset = open_dataset(tmp_path, 4)
    assert {pair.name for pair in dataset.pairs} == {"a", "b.c", "ü"}
    for pair in dataset.pairs:
        assert pair.lr is not None
        sample = read_sample(pair, 4)
        assert np.array_equal(sample.hr, np.asarray(Image.open(tmp_path / hr.format(pair.name))))
        assert np.array_equal(sample.lr, np.asarray(Image.open(tmp_path / lr.format(pair.name))))


@pytest.mark.parametrize("hr", ["HR/{}.png", "GTmod12/{}.png", "original/{}.png", "{}.png"])
def test_layouts_whose_lr_is_made(tmp_path: Path, hr: str) -> None:
    pixels = picture(tmp_path / hr.format("a"), 27, 18)
    (pair,) = open_dataset(tmp_path, 4).pairs
    assert pair.lr is None
    sample = read_sample(pair, 4)
    assert np.array_equal(sample.hr, pixels[:16, :24])
    assert np.array_equal(sample.lr, make_lr(pixels, 4))


@pytest.mark.parametrize(
    ("hr", "reference", "others"), [("0", "1", []), ("0", "1", ["2", "3", "4", "5"]), ("in", "ref", [])]
)
def test_layouts_with_references(tmp_path: Path, hr: str, reference: str, others: list[str]) -> None:
    pixels = {kind: picture(tmp_path / f"003_{kind}.png", seed=n) for n, kind in enumerate([hr, reference, *others])}
    (pair,) = open_dataset(tmp_path, 4).pairs
    sample = read_sample(pair, 4)
    assert pair.name == "003"
    assert np.array_equal(sample.hr, pixels[hr])
    assert np.array_equal(sample.lr, make_lr(pixels[hr], 4))
    assert sample.reference is not None
    assert np.array_equal(sample.reference, pixels[reference])


def test_an_input_without_its_reference_is_named(tmp_path: Path) -> None:
    for name in ("003_in", "003_ref", "004_in"):
        picture(tmp_path / f"{name}.png")
    with pytest.raises(GramganError, match=r"004_in\.png has no partner: 004_ref is missing"):
        open_dataset(tmp_path, 4)


@pytest.mark.parametrize(
    "names",
    [
        ["a_0", "b_1", "c_2"],
        ["photo_0", "photo_1", "photo_2", "photo_3"],
        ["a_0", "a_1", "b_0"],
        ["a_0", "a_1", "b"],
        [f"photo_{number}" for number in range(8)],
    ],
)
def test_numbered_photos_are_a_plain_folder(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        picture(tmp_path / f"{name}.png")
    pairs = open_dataset(tmp_path, 4).pairs
    assert [pair.name for pair in pairs] == names
    assert all(pair.reference is None for pair in pairs)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(GramganError, match=r"a\.png is too large: Image size \(384 pixels\) exceeds"):
        read_sample(open_dataset(tmp_path, 4).pairs[0], 4)


def test_names_are_looked_for_in_order_and_in_any_case(tmp_path: Path) -> None:
    picture(tmp_path / "second" / "Set5" / "HR" / "x.png")
    assert find_dataset("set5", [tmp_path / "first", tmp_path / "second"], 4).folder == tmp_path / "second" / "Set5"
    picture(tmp_path / "first" / "Set5" / "HR" / "y.png")
    found = find_dataset("SET5", [tmp_path / "first", tmp_path / "second"], 4)
    assert (found.name, found.pairs[0].name) == ("Set5", "y")
    picture(tmp_path / "second" / "own" / "z.png")
    assert find_dataset("own", [tmp_path / "first", tmp_path / "second"], 4).pairs[0].name == "z"
    assert find_dataset(str(tmp_path / "first" / "Set5"), [], 4).pairs[0].name == "y"


def test_missing_datasets_are_named(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"Set14 is not on this computer .*gramgan data pull Set14"):
        find_dataset("Set14", [tmp_path], 4)
    with pytest.raises(GramganError, match=r"no folder or dataset 'Set15'.*Did you mean Set"):
        find_dataset("Set15", [tmp_path], 4)
    with pytest.raises(GramganError, match="no images in"):
        open_dataset(tmp_path, 4)


def test_a_file_without_its_pair_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "HR" / f"{name}.png")
    picture(tmp_path / "LR_x4" / "a.png", 6, 4)
    with pytest.raises(GramganError, match=r"HR.b\.png has no LR image .*\(2 HR and 1 LR images\)"):
        open_dataset(tmp_path, 4)
    picture(tmp_path / "LR_x4" / "b.png", 6, 4)
    picture(tmp_path / "LR_x4" / "c.png", 6, 4)
    with pytest.raises(GramganError, match=r"LR_x4.c\.png has no HR image .*\(2 HR and 3 LR images\)"):
        open_dataset(tmp_path, 4)


def test_two_pictures_of_one_name_are_named(tmp_path: Path) -> None:
    """Results and reports identify pictures by their names."""
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.webp")
    with pytest.raises(GramganError, match=r"a\.png and .*a\.webp are both called 'a'"):
        open_dataset(tmp_path, 4)


def test_a_pair_of_wrong_sizes_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "HR" / "a.png", 27, 18)
    picture(tmp_path / "LR_x4" / "a.png", 7, 4)
    (pair,) = open_dataset(tmp_path, 4).pairs
    with pytest.raises(
        GramganError, match=r"a\.png has 7x4 pixels, but the x4 LR image of .*a\.png \(27x18\) must have 6x4"
    ):
        read_sample(pair, 4)


def test_grey_counts_as_rgb_and_is_known(tmp_path: Path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "grey.png")
    picture(tmp_path / "rgb.png")
    grey, rgb = (read_sample(pair, 4) for pair in open_dataset(tmp_path, 4).pairs)
    assert (grey.grey, rgb.grey) == (True, False)
    assert grey.hr.shape == (16, 16, 3)


def test_the_shared_sets_are_found(shared_data: Path) -> None:
    assert [len(find_dataset(name, [shared_data], 4).pairs) for name in ("Set5", "Set14")] == [5, 14]
