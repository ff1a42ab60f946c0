"""PSNR and SSIM against naive float64 loops, scikit-image, and the benchmark images' reference numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from gramgan_cli.core.metrics import psnr_y, ssim_y
from gramgan_cli.core.metrics.ssim import gaussian_window
from gramgan_cli.core.resize.matlab import imresize, round_to_8bit

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture
def pair() -> Pair:
    """A smooth picture (27, 31, 3) with two different noises."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0:27, 0:31]
    base = 128 + 90 * np.sin(rows / 3)[..., None] * np.cos(columns[..., None] / np.array([2.0, 4.0, 5.0]))
    sr, hr = (np.clip(base + random.normal(0, noise, base.shape), 0, 255).astype(np.uint8) for noise in (9, 14))
    return sr, hr


def plain_luma(pixel: NDArray[np.uint8]) -> float:
    red, green, blue = (float(value) for value in pixel)
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


def plain_plane(image: NDArray[np.uint8], border: int) -> list[list[float]]:
    height, width = image.shape[:2]
    return [[plain_luma(image[r, c]) for c in range(border, width - border)] for r in range(border, height - border)]


def plain_ssim(x: list[list[float]], y: list[list[float]]) -> float:
    """SSIM by the paper's formula, one window at a time."""
    window = [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    total = math.fsum(map(math.fsum, window))
    values = []
    for top in range(len(x) - 10):
        for left in range(len(x[0]) - 10):
            cells = [
                (window[i][j] / total, x[top + i][left + j], y[top + i][left + j]) for i in range(11) for j in range(11)
            ]
            mx = math.fsum(w * a for w, a, _ in cells)
            my = math.fsum(w * b for w, _, b in cells)
            vx = math.fsum(w * (a - mx) ** 2 for w, a, _ in cells)
            vy = math.fsum(w * (b - my) ** 2 for w, _, b in cells)
            cov = math.fsum(w * (a - mx) * (b - my) for w, a, b in cells)
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return math.fsum(values) / len(values)


@pytest.mark.parametrize("border", [0, 4])
def test_psnr_equals_a_naive_loop(pair: Pair, border: int) -> None:
    x, y = (plain_plane(image, border) for image in pair)
    errors = [(a - b) ** 2 for row_x, row_y in zip(x, y, strict=True) for a, b in zip(row_x, row_y, strict=True)]
    expected = 10 * math.log10(255**2 / (math.fsum(errors) / len(errors)))
    assert psnr_y(*pair, border) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("border", [0, 4])
def test_ssim_equals_a_naive_loop(pair: Pair, border: int) -> None:
    assert ssim_y(*pair, border) == pytest.approx(plain_ssim(*(plain_plane(p, border) for p in pair)), abs=1e-10)


def test_ssim_equals_scikit_image(pair: Pair) -> None:
    planes = [np.array(plain_plane(image, 4)) for image in pair]
    _, full = structural_similarity(
        *planes, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert ssim_y(*pair, 4) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-10)


def test_equal_images_have_infinite_psnr(pair: Pair) -> None:
    assert psnr_y(pair[0], pair[0], 4) == math.inf
    assert ssim_y(pair[0], pair[0], 4) == pytest.approx(1.0, abs=1e-12)


def test_window_sums_to_one() -> None:
    assert gaussian_window().sum() == pytest.approx(1.0, abs=1e-15)


def test_wrong_input_names_expected_and_actual_shapes(pair: Pair) -> None:
    sr, hr = pair
    with pytest.raises(ValueError, match=r"SR has shape \(26, 31, 3\), HR has shape \(27, 31, 3\)"):
        psnr_y(sr[:-1], hr, 4)
    with pytest.raises(
        ValueError, match=r"HR: expected uint8 of shape \(H, W, 3\), got float64 of shape \(27, 31, 3\)"
    ):
        ssim_y(sr, hr.astype(float), 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got uint8 of shape \(27, 31\)"):
        psnr_y(sr[..., 0], hr[..., 0], 4)
    with pytest.raises(ValueError, match=r"at least 19 px with a border of 4, got shape \(18, 31, 3\)"):
        ssim_y(sr[:18], hr[:18], 4)
    assert ssim_y(sr[:19, :19], hr[:19, :19], 4) < 1


ROWS = {
    "pillow_nearest": Image.Resampling.NEAREST,
    "pillow_bilinear": Image.Resampling.BILINEAR,
    "pillow_bicubic": Image.Resampling.BICUBIC,
    "pillow_lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
def test_published_numbers_per_image(shared_data: Path, dataset: str) -> None:
    """Numbers from other code for the same images, for each interpolation."""
    truth = json.loads((shared_data.parent / "GROUND_TRUTH.json").read_text())["bench"][dataset]["per_image"]
    for name, rows in truth.items():
        lr = Image.open(shared_data / dataset / "LR_x4" / f"{name}.png")
        hr = np.asarray(Image.open(shared_data / dataset / "HR" / f"{name}.png").convert("RGB"))
        rgb = lr.convert("RGB")
        hr = hr[: lr.height * 4, : lr.width * 4]
        enlarged = {row: np.asarray(rgb.resize((rgb.width * 4, rgb.height * 4), how)) for row, how in ROWS.items()}
        enlarged["matlab_bicubic"] = round_to_8bit(imresize(np.asarray(rgb).astype(np.float64), 4))
        for row, sr in enlarged.items():
            # For grey images, only the bicubic row has RGB numbers.
            if lr.mode == "L" and row != "matlab_bicubic":
                continue
            key = "grey3_c4" if row == "matlab_bicubic" else "c4"
            assert psnr_y(sr, hr, 4) == pytest.approx(rows[row][f"psnr_y_{key}"], abs=1e-6), (name, row)
            assert ssim_y(sr, hr, 4) == pytest.approx(rows[row][f"ssim_y_{key}"], abs=1e-8), (name, row)
