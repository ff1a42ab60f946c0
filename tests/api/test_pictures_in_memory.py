"""A loaded model takes numpy arrays, PIL pictures and tensors, and returns the same type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gramgan_cli as gg

SIZE = (12, 17)


def picture(channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    # No pixel is fully transparent, since colours of such pixels are replaced.
    values = 0.1 + 0.9 * np.random.default_rng(channels).random((*SIZE, channels))
    if np.issubdtype(dtype, np.integer):
        return (values * np.iinfo(dtype).max).astype(dtype)
    return values.astype(dtype)


@pytest.fixture(scope="module")
def nearest() -> gg.Upscaler:
    """An interpolation with a known result: each pixel is repeated 4 x 4 times."""
    return gg.load("nearest")


def repeated(array: np.ndarray) -> np.ndarray:
    return array.repeat(4, axis=0).repeat(4, axis=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_arrays(nearest: gg.Upscaler, channels: int, dtype: Any) -> None:
    array = picture(channels, dtype)
    result = nearest(array)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, repeated(array), rtol=1e-6)


def test_an_array_without_channels_stays_one(nearest: gg.Upscaler) -> None:
    array = picture(1)[:, :, 0]
    np.testing.assert_array_equal(nearest(array), repeated(array))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_pictures(nearest: gg.Upscaler, mode: str) -> None:
    channels = len(Image.new(mode, (1, 1)).getbands())
    array = picture(channels, np.uint16 if mode == "I;16" else np.uint8)
    array = array[:, :, 0] if channels == 1 else array
    image = Image.fromarray(array)
    image.info["icc_profile"] = b"profile"
    result = nearest(image)
    assert result.mode == image.mode == mode
    assert result.size == (4 * SIZE[1], 4 * SIZE[0])
    assert result.info["icc_profile"] == b"profile"
    np.testing.assert_array_equal(np.asarray(result), repeated(np.asarray(image)))


def test_palettes_become_colours(nearest: gg.Upscaler) -> None:
    image = Image.fromarray(picture()).quantize(8)
    result = nearest(image)
    assert result.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result), repeated(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_and_batches(nearest: gg.Upscaler, dtype: torch.dtype) -> None:
    values = torch.from_numpy(picture().transpose(2, 0, 1).copy())
    tensor = values if dtype == torch.uint8 else (values / 255).to(dtype)
    batch = torch.stack([tensor, tensor.flip(2)])
    expected = batch.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    for given, wanted in ((tensor, expected[0]), (batch, expected)):
        result = nearest(given)
        assert result.dtype == dtype
        torch.testing.assert_close(result, wanted)


def test_bands_are_the_rows_of_the_result() -> None:
    up = gg.load("clean", device="cpu", backend="torch", tile=16)
    array = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    bands = list(up.bands(array))
    assert len(bands) > 1
    np.testing.assert_array_equal(np.concatenate(bands), up(array))


def test_progress_ends_at_one_and_an_exception_stops(nearest: gg.Upscaler) -> None:
    shares: list[float] = []
    nearest(picture(), on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(_share: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        nearest(picture(), on_progress=stop)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 3, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        torch.zeros(4, 4),
        Image.new("CMYK", (4, 4)),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'shape', '')}",
)
def test_non_pictures_are_a_usage_error(nearest: gg.Upscaler, wrong: Any) -> None:
    with pytest.raises(gg.UsageError):
        nearest(wrong)


def test_other_things_are_a_type_error(nearest: gg.Upscaler) -> None:
    with pytest.raises(TypeError, match="list"):
        nearest([1, 2])  # type: ignore[type-var]


def test_a_loaded_model_says_what_it_is(nearest: gg.Upscaler) -> None:
    assert (nearest.name, nearest.scale, nearest.device) == ("nearest", 4, "cpu")
    with pytest.raises(gg.ModelNotFound, match="no-such-model"):
        gg.load("no-such-model")
    with pytest.raises(TypeError, match="colour"):
        gg.load("nearest", colour=1)  # type: ignore[call-arg]
