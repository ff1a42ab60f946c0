"""Second crops as references: the same content, shifted, rescaled and relit."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.feature import match_template

from gramgan_cli.core.data.reference_crops import EXPOSURE, GAMMA, TINT, reference_crop, relight


def test_equal_generators_give_equal_references() -> None:
    photo = data.astronaut()
    first = reference_crop(photo, 100, 200, 96, np.random.default_rng(5))
    assert np.array_equal(first, reference_crop(photo, 100, 200, 96, np.random.default_rng(5)))
    assert not np.array_equal(first, reference_crop(photo, 100, 200, 96, np.random.default_rng(6)))
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8


@pytest.mark.parametrize("corner", [(0, 0), (416, 416), (0, 416), (416, 0)])
def test_crops_at_the_photo_s_edges_stay_inside(corner: tuple[int, int]) -> None:
    photo = data.astronaut()
    for seed in range(20):
        assert reference_crop(photo, *corner, 96, np.random.default_rng(seed)).shape == (96, 96, 3)
    tight = photo[:96, :100]
    assert reference_crop(tight, 0, 2, 96, np.random.default_rng(0)).shape == (96, 96, 3)


def test_the_middle_of_the_crop_is_found_in_its_reference() -> None:
    photo = data.astronaut()
    inner = photo[160:224, 160:224].mean(axis=2)
    offsets = []
    for seed in range(12):
        reference = reference_crop(photo, 128, 128, 128, np.random.default_rng(seed)).mean(axis=2)
        score = match_template(reference, inner)
        assert score.max() > 0.5
        offsets.append(np.unravel_index(score.argmax(), score.shape))
    assert np.ptp(offsets, axis=0).min() > 15


def test_relighting_is_a_tone_curve_for_each_channel() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    seen = []
    for seed in range(40):
        lit = relight(ramp, np.random.default_rng(seed))[0].astype(float) / 255
        assert (np.diff(lit, axis=0) >= 0).all()
        # log(lit) = log(gain) + gamma log(x) at two points of the curve, away from rounding and clipping.
        x = np.array([100, 160]) / 255
        gamma = np.diff(np.log(lit[[100, 160]]), axis=0)[0] / np.diff(np.log(x))
        assert (gamma > 1 / GAMMA - 0.05).all()
        assert (gamma < GAMMA + 0.05).all()
        gain = lit[160] / x[1] ** gamma
        assert (gain < (1 + EXPOSURE) * (1 + TINT) + 0.05).all()
        seen.append(gain.mean())
    assert np.ptp(seen) > EXPOSURE
