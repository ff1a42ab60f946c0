"""The texture bank: versions, sampling, file and search against independent computations."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from gramgan_cli.core.errors import BankUnreadable, GramganError
from gramgan_cli.core.resize.matlab import imresize
from gramgan_cli.core.texture.gram import packed_gram, unpack
from gramgan_cli.core.texture.patchdb.bank import Bank, load_bank
from gramgan_cli.core.texture.patchdb.candidates import MatchOptions, TextureTargets, image_candidates
from gramgan_cli.core.texture.patchdb.sampling import draw_positions
from gramgan_cli.core.texture.patchdb.versions import MARGIN, affine_patches, down_up_patches
from gramgan_cli.engines.data.bank import build_bank


def textured(height: int, width: int, seed: int) -> np.ndarray:
    """8-bit noise with some structure."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = 60 * np.sin(x / rng.uniform(2, 9) + y / rng.uniform(2, 9))[..., None] * rng.uniform(0, 1, 3)
    return np.clip(rng.uniform(60, 190, 3) + waves + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of very different sizes, one too small for a patch."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (height, width) in enumerate([(200, 300), (90, 80), (64, 400), (150, 150), (12, 300)]):
        Image.fromarray(textured(height, width, number)).save(folder / f"photo{number}.png")
    return folder


@pytest.fixture(scope="module")
def bank(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return build_bank(photos, tmp_path_factory.mktemp("bank") / "bank.safetensors", max_patches=3000, seed=5)


# ---- versions


@pytest.mark.parametrize("size", [4, 5, 16])
def test_down_up_is_matlab_bicubic_of_the_surroundings(size: int) -> None:
    """Equals halving and doubling the whole photo, cropped so that the patch's corner is even, away from borders."""
    photo = textured(70, 61, 1).astype(np.float64)
    for y, x in ((MARGIN, MARGIN), (21, 14), (70 - size - MARGIN, 61 - size - MARGIN)):
        whole = photo[y % 2 :, x % 2 :]
        whole = whole[: len(whole) // 2 * 2, : whole.shape[1] // 2 * 2]
        expected = imresize(imresize(whole, 0.5), 2.0)[y - y % 2 :, x - x % 2 :][:size, :size]
        mine = down_up_patches(torch.from_numpy(photo).permute(2, 0, 1)[None], torch.tensor([[[y, x]]]), size)
        np.testing.assert_allclose(mine[0, 0].permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-9)


def test_derived_versions_never_read_beyond_the_margin() -> None:
    """Pixels outside the margin, even NaN, don't affect the patch, even with six-sigma maps."""
    photo = torch.full((1, 3, 64, 64), float("nan"), dtype=torch.float64)
    for size in (4, 16):
        inside = slice(20 - MARGIN, 20 + size + MARGIN)
        photo[..., inside, inside] = torch.rand(3, size + 2 * MARGIN, size + 2 * MARGIN, dtype=torch.float64)
        positions = torch.tensor([[[20, 20]]])
        assert down_up_patches(photo, positions, size).isfinite().all()
        for signs in torch.cartesian_prod(*[torch.tensor([-9.0, 9.0], dtype=torch.float64)] * 5):
            assert affine_patches(photo, positions, size, signs.view(1, 1, 5)).isfinite().all()
        photo[:] = float("nan")


def keys(t: float) -> float:
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0


def test_affine_version_is_the_map_about_the_patch_centre() -> None:
    """Pixel by pixel by the definition: shear, rotate and scale about the centre, then shift; bicubic sampling."""
    rng = np.random.default_rng(2)
    photo = rng.random((40, 40))
    numbers = rng.standard_normal(5)
    top, left, size = 15, 17, 4
    angle, shear = math.radians(1.08 * numbers[0]), math.radians(0.06 * numbers[1])
    zoom, down, right = 1 + 0.003 * numbers[2], 0.576 * numbers[3], 0.576 * numbers[4]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = zoom * turn @ np.array([[1, math.tan(shear)], [0, 1]])
    expected = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            dx, dy = matrix @ np.array([j - 1.5, i - 1.5])
            y, x = top + 1.5 + dy + down, left + 1.5 + dx + right
            expected[i, j] = sum(
                keys(y - v) * keys(x - u) * photo[v, u]
                for v in range(math.floor(y) - 1, math.floor(y) + 3)
                for u in range(math.floor(x) - 1, math.floor(x) + 3)
            )
    mine = affine_patches(
        torch.from_numpy(photo)[None, None],
        torch.tensor([[[top, left]]]),
        size,
        torch.from_numpy(numbers)[None, None],
    )
    np.testing.assert_allclose(mine[0, 0, 0].numpy(), expected, rtol=0, atol=1e-12)


def test_affine_map_of_zeros_changes_nothing() -> None:
    photo = torch.rand(2, 3, 40, 40)
    positions = torch.tensor([[[12, 20]], [[8, 9]]])
    patches = affine_patches(photo, positions, 7, torch.zeros(2, 1, 5))
    assert torch.equal(patches[1, 0], photo[1, :, 8:15, 9:16])


# ---- sampling


def test_positions_are_uniform_over_the_pixels_of_the_whole_set() -> None:
    """Chi-square tests over files, against their numbers of possible positions, and over the parts of one file."""
    sizes = [(200, 300), (90, 80), (64, 400), (500, 37), (10, 500)]
    draw = draw_positions(sizes, 20_000, 4, seed=1)
    possible = np.array([max(0, h - 19) * max(0, w - 19) for h, w in sizes], dtype=float)
    counts = np.array([len(corners) for corners in draw.corners])
    assert counts[4] == 0
    assert scipy.stats.chisquare(counts[:4], counts.sum() * possible[:4] / possible.sum()).pvalue > 1e-3
    first = draw.corners[0]
    cells, _, _ = np.histogram2d(first[:, 0], first[:, 1], bins=[4, 5], range=[[8, 189], [8, 289]])
    lengths = np.outer(np.histogram(np.arange(8, 189), 4, (8, 189))[0], np.histogram(np.arange(8, 289), 5, (8, 289))[0])
    assert scipy.stats.chisquare(cells.ravel(), len(first) * lengths.ravel() / lengths.sum()).pvalue > 1e-3


def test_positions_are_distinct_and_inside() -> None:
    sizes = [(40, 50), (30, 31)]
    draw = draw_positions(sizes, 500, 6, seed=0)
    for corners, (height, width) in zip(draw.corners, sizes, strict=True):
        assert len(np.unique(corners, axis=0)) == len(corners)
        assert corners.min() >= MARGIN
        assert (corners.max(axis=0) + 6 + MARGIN <= (height, width)).all()


def test_a_small_set_gives_all_its_places() -> None:
    draw = draw_positions([(20, 21), (24, 20)], 10_000, 4, seed=0)
    assert [len(corners) for corners in draw.corners] == [2, 5]
    with pytest.raises(GramganError, match="No photo is large enough for patches of 4 px"):
        draw_positions([(19, 400)], 10, 4, seed=0)


def test_seeds_differ() -> None:
    one, other, again = (draw_positions([(100, 100)], 500, 4, seed=s) for s in (0, 1, 0))
    assert np.array_equal(one.corners[0], again.corners[0])
    assert np.array_equal(one.normals[0], again.normals[0])
    assert not np.array_equal(one.corners[0], other.corners[0])


# ---- the file


def test_any_number_of_workers_gives_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{workers}" / f"bank{workers}.safetensors" for workers in (1, 2, 5)]
    digests = set()
    for file, workers in zip(files, (1, 2, 5), strict=True):
        build_bank(photos, file, max_patches=1000, seed=7, workers=workers)
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1
    build_bank(photos, files[0], max_patches=1000, seed=8)
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() not in digests


def test_the_bank_holds_the_photos_patches(bank: Bank, photos: Path) -> None:
    files = sorted(photos.iterdir())
    pixels = [np.asarray(Image.open(file)) for file in files]
    for position in range(0, 3000, 311):
        photo, y, x = bank.corners[position].tolist()
        raw = bank.patches[0, position].permute(1, 2, 0).numpy()
        assert np.array_equal(raw, pixels[photo][y : y + 4, x : x + 4])
        whole = pixels[photo][y % 2 :, x % 2 :].astype(np.float64)
        whole = whole[: len(whole) // 2 * 2, : whole.shape[1] // 2 * 2]
        soft = imresize(imresize(whole, 0.5), 2.0)[y - y % 2 :, x - x % 2 :][:4, :4]
        soft = np.clip(np.floor(soft + 0.5), 0, 255)
        assert np.array_equal(bank.patches[1, position].permute(1, 2, 0).numpy(), soft)
    differences = (bank.patches[2].float() - bank.patches[0].float()).abs().mean(dim=(1, 2, 3))
    assert 0 < differences.median() < 30


@pytest.mark.parametrize("centered", [False, True])
def test_the_bank_holds_the_grams_of_its_own_patches(bank: Bank, centered: bool) -> None:
    grams = bank.grams(centered)
    assert grams.shape == (9000, 6)
    patches = bank.patches.flatten(0, 1).double().flatten(2).numpy() / 255
    if centered:
        patches = patches - patches.mean(axis=2, keepdims=True)
    expected = np.einsum("nak,nbk->nab", patches, patches)
    np.testing.assert_allclose(unpack(grams.double()).numpy(), expected, rtol=1e-6, atol=1e-7)


def test_provenance_says_where_the_bank_comes_from(bank: Bank, photos: Path) -> None:
    provenance = bank.provenance
    assert provenance.hr_dir == str(photos.resolve())
    assert (provenance.seed, provenance.patch_size, provenance.max_patches) == (5, 4, 3000)
    assert (provenance.positions, provenance.entries) == (3000, 9000)
    assert provenance.versions == ["raw", "down-up", "affine"]
    for photo, file in zip(provenance.photos, sorted(photos.iterdir()), strict=True):
        assert photo.name == file.name
        assert photo.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert sum(photo.positions for photo in provenance.photos) == 3000
    text = json.dumps(provenance.__dict__, default=lambda o: o.__dict__)
    assert str(bank.path) not in text


def test_the_bank_is_mapped_not_read(bank: Bank) -> None:
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("needs /proc")
    assert str(bank.path.resolve()) in maps.read_text()


def test_damaged_and_foreign_files_are_named(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(BankUnreadable, match=r"no texture bank .*none\.safetensors"):
        load_bank(tmp_path / "none.safetensors")
    half = tmp_path / "half.safetensors"
    half.write_bytes(bank.path.read_bytes()[:5000])
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    for file in (half, text):
        with pytest.raises(BankUnreadable, match=f"{file.name} is not a readable texture bank"):
            load_bank(file)
    foreign = tmp_path / "foreign.safetensors"
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, foreign)
    with pytest.raises(BankUnreadable, match=r"foreign\.safetensors is not a texture bank"):
        load_bank(foreign)


@pytest.mark.parametrize(
    "header",
    ["{", "[1]", "[" * 100_000, "{}", '{"format": 1, "photos": [{"places": 3}]}', '{"format": 1, "photos": 3}'],
)
def test_a_header_that_does_not_fit_is_one_plain_sentence(header: str, bank: Bank, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(bank.path, framework="pt") as file:
        (key,) = file.metadata()
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, other, metadata={key: header})
    with pytest.raises(BankUnreadable) as caught:
        load_bank(other)
    assert str(caught.value) == f"The header of {other} is damaged or from another version of gramgan."


# ---- candidates


@pytest.mark.parametrize("centered", [False, True])
def test_database_targets_minimise_the_score_over_the_bank(bank: Bank, centered: bool) -> None:
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 9, 3, 4, 4), torch.rand(2, 9, 3, 4, 4)
    targets = TextureTargets("database", 4, MatchOptions(centered=centered, alpha=0.3, beta=1.1), bank=bank)
    found = targets.find_best(sr, hr, torch.zeros(2, 3, 12, 12))
    entries = unpack(bank.grams(centered).double())
    full = [p.double() - (p.double().mean((-1, -2), keepdim=True) if centered else 0) for p in (sr, hr)]
    e, g = (torch.einsum("bkcyx,bkdyx->bkcd", p, p) for p in full)
    for b in range(2):
        for k in range(9):
            score = 0.3 * (entries - g[b, k]).square().sum((1, 2)) + 1.1 * (entries - e[b, k]).square().sum((1, 2))
            torch.testing.assert_close(unpack(found[b, k].double()), entries[score.argmin()], rtol=1e-6, atol=1e-6)
    assert not found.requires_grad


def test_image_candidates_are_the_images_own_patches() -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 32, 28)
    candidates = image_candidates(hr, 4, centered=False, generator=torch.Generator().manual_seed(0))
    assert candidates.shape == (2, 8 * 7 + 2 * 4 * 3, 6)
    own = packed_gram(hr[1, :, 4:8, 8:12])
    torch.testing.assert_close(candidates[1, 1 * 7 + 2], own)
    whole = hr[1].permute(1, 2, 0).double().numpy()
    soft = imresize(imresize(whole, 0.5), 2.0)[12:16, 8:12]
    expected = packed_gram(torch.from_numpy(soft).permute(2, 0, 1)).float()
    torch.testing.assert_close(candidates[1, 56 + 3], expected, rtol=1e-4, atol=1e-4)


def test_image_source_finds_the_patch_itself_and_only_in_its_own_image() -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 16, 16)
    patches = torch.stack((hr[0, :, 4:8, 8:12], hr[1, :, 4:8, 8:12]))[:, None]
    targets = TextureTargets("image", 4, generator=torch.Generator())
    torch.testing.assert_close(targets.find_best(patches, patches, hr), packed_gram(patches))
    crossed = targets.find_best(patches.flip(0), patches.flip(0), hr)
    assert (crossed - packed_gram(patches.flip(0))).abs().max() > 1e-3


def test_candidates_both_takes_the_nearer_one(bank: Bank) -> None:
    torch.manual_seed(0)
    hr = torch.rand(1, 3, 24, 24)
    from_image = hr[:, None, :, 4:8, 8:12]
    from_bank = bank.patches[0, 5].float().div(255).view(1, 1, 3, 4, 4)
    wanted = torch.cat((from_image, from_bank), dim=1)
    found = TextureTargets("both", 4, bank=bank, generator=torch.Generator()).find_best(wanted, wanted, hr)
    torch.testing.assert_close(found, packed_gram(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", ["database", "image", "both"])
def test_every_exact_search_gives_the_same_targets(bank: Bank, source: Any) -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 32, 32)
    sr = torch.rand(2, 12, 3, 4, 4)
    found = [
        TextureTargets(
            source, 4, MatchOptions(search=search), bank=bank, generator=torch.Generator().manual_seed(1)
        ).find_best(sr, hr[:, None, :, 4:8, 4:8].expand(-1, 12, -1, -1, -1), hr)
        for search in ("tree", "boxes", "faiss")
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_targets_say_what_they_need(bank: Bank) -> None:
    with pytest.raises(ValueError, match="need a bank"):
        TextureTargets("both", 4)
    with pytest.raises(ValueError, match="4 px, not 8"):
        TextureTargets("database", 8, bank=bank)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_photos_turned_by_exif_are_cut_upright(suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(textured(30, 60, 0)).save(folder / f"turned.{suffix}", exif=exif)
    bank = build_bank(folder, tmp_path / "bank.safetensors", max_patches=50)
    photo = bank.provenance.photos[0]
    assert (photo.height, photo.width) == (60, 30)
    upright = np.rot90(textured(30, 60, 0), k=-1)
    if suffix == "jpg":
        upright = np.rot90(np.asarray(Image.open(folder / "turned.jpg")), k=-1)
    for entry, (_, y, x) in enumerate(bank.corners.tolist()):
        assert np.array_equal(bank.patches[0, entry].permute(1, 2, 0).numpy(), upright[y : y + 4, x : x + 4])
