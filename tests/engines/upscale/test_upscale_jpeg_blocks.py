"""Which pictures have JPEG's blocks smoothed before the network runs, and how much."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from jpeg_photos import compressed, reduced_photo
from PIL import Image

from gramgan_cli.core.images.capabilities import FORMATS
from gramgan_cli.core.images.output_format import plan_target
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.jpeg.detect import detect_compression
from gramgan_cli.core.jpeg.smoothing import smooth_blocks, workspace
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.square import cleaning_of, denoise_of, square_model
from gramgan_cli.engines.measure.enlargers import open_enlargers
from gramgan_cli.engines.upscale import limits
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import open_session
from gramgan_cli.engines.upscale.upscaler import Restoration, Upscaler

CPU = torch.device("cpu")
JPEG = compressed(reduced_photo()[:96, :128], 25)


def cleaned(image: np.ndarray, strength: float = 1.0, seamless: bool = False) -> np.ndarray:
    """The image mixed with the restoration network's result, without smoothing; a fourth channel is kept."""
    colours = image[:, :, :3]
    network = Upscaler(load_model(RESTORE), CPU, seamless=seamless).upscale(np.ascontiguousarray(colours))
    mixed = network
    if strength != 1:
        mixed = np.floor(colours + strength * (network.astype(float) - colours) + 0.5).astype(image.dtype)
    return np.dstack((mixed, image[:, :, 3:]))


def through_the_network(model: str, image: np.ndarray, seamless: bool = False) -> np.ndarray:
    """The result without smoothing, but with restoration where the model has it."""
    strength = cleaning_of(model)
    seen = cleaned(image, strength, seamless) if strength else image
    return Upscaler(load_model(model), CPU, seamless=seamless).upscale(seen)


def with_restoration(seamless: bool = False) -> Upscaler:
    cleaner = Upscaler(load_model(RESTORE), CPU, seamless=seamless)
    return Upscaler(load_model("photo"), CPU, seamless=seamless, restoration=Restoration(cleaner, 1.0))


def smoothed(amount: float) -> np.ndarray:
    compression = detect_compression(JPEG)
    assert compression is not None
    return smooth_blocks(JPEG, compression, amount)


@pytest.mark.parametrize("denoise", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("style", [0.0, 1.0])
def test_blocks_are_smoothed_as_much_as_damage_is_removed(denoise: float, style: float) -> None:
    model = square_model(denoise, style)
    session = open_session(UpscaleOptions(model=model, device="cpu", backend="torch"))
    result = np.concatenate(list(session.source.bands(JPEG)))
    expected = through_the_network(model, smoothed(1 - (1 - denoise) ** 2) if denoise else JPEG)
    np.testing.assert_array_equal(result, expected)
    assert (result != through_the_network(model, JPEG)).any() == (denoise > 0)


@pytest.mark.parametrize(
    ("model", "amount"),
    [
        ("photo", 1.0),
        ("photo-gan", 1.0),
        ("clean-gan", 0.0),
        (square_model(1 / 3, 0.123456), 1 / 3),
        ("photo+photo-gan@0.3", 1.0),
        ("photo-gan+clean@0.25", 0.75),
        ("photo+other@0.5", 0.0),
        ("realesrgan-x4plus", 0.0),
    ],
)
def test_the_amount_is_the_share_of_photo_models(model: str, amount: float) -> None:
    assert denoise_of(model) == pytest.approx(amount, abs=1e-6)


def test_measuring_uses_the_same_pixels() -> None:
    (enlarger,) = open_enlargers(["photo"], CPU, "auto", lambda _note: None)
    np.testing.assert_array_equal(enlarger.enlarge(JPEG, None), through_the_network("photo", smoothed(1.0)))


@pytest.mark.parametrize(
    ("image", "seamless"),
    [
        pytest.param(reduced_photo()[:64, :64], False, id="not compressed"),
        pytest.param(JPEG[:, :, :1], False, id="grey"),
        pytest.param(JPEG.astype(np.uint16) * 257, False, id="16 bits"),
        pytest.param((JPEG / np.float32(255)).astype(np.float32), False, id="floating point"),
        pytest.param(np.dstack((JPEG, JPEG[:, :, 0])), False, id="transparency"),
        pytest.param(JPEG, True, id="seamless"),
    ],
)
def test_other_pictures_go_to_the_network_as_they_are(image: np.ndarray, seamless: bool) -> None:
    upscaler = with_restoration(seamless)
    np.testing.assert_array_equal(upscaler.upscale(image), through_the_network("photo", image, seamless))
    level = 1 if image.dtype == np.uint8 else 257 if image.dtype == np.uint16 else 1 / 255
    expected = cleaned(image, seamless=seamless).astype(float)[3:20, 5:60]
    if not seamless:  # a part is continued at its own border
        assert np.abs(upscaler.prepared_part(image, slice(3, 20), slice(5, 60)) - expected).max() <= level


def test_models_of_others_get_the_picture_as_it_is() -> None:
    session = open_session(UpscaleOptions(model="rrdbnet-small", device="cpu", backend="torch"))
    result = np.concatenate(list(session.source.bands(JPEG)))
    np.testing.assert_array_equal(result, through_the_network("rrdbnet-small", JPEG))


def test_a_part_is_smoothed_along_the_blocks_of_the_whole() -> None:
    part = with_restoration().prepared_part(JPEG, slice(13, 70), slice(21, 99)).astype(int)
    assert np.abs(part - cleaned(smoothed(1.0))[13:70, 21:99]).max() <= 1


@pytest.mark.parametrize(
    ("options", "smooths"),
    [
        (UpscaleOptions(model="photo-gan"), True),
        (UpscaleOptions(model="auto@1"), True),
        (UpscaleOptions(model="clean"), False),
        (UpscaleOptions(model="photo-gan", seamless=True), False),
        (UpscaleOptions(model="lanczos"), False),
    ],
)
def test_memory_is_reserved_only_where_blocks_are_smoothed(options: UpscaleOptions, smooths: bool) -> None:
    assert open_session(replace(options, device="cpu", backend="torch")).source.smooths is smooths


def test_memory_counts_the_smoothed_picture_while_it_is_cleaned() -> None:
    image = np.tile(JPEG, (4, 4, 1))
    restoration = Restoration(Upscaler(load_model(RESTORE), CPU), 1.0)
    tracemalloc.start()
    try:
        cleaning = restoration.begin(image)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held > 1.9 * image.nbytes, "beside the picture itself"
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    photo = open_photo(buffer.getvalue(), "a.png")
    sizes = ((image.shape[1] * 16, image.shape[0] * 16),)  # the encoder needs more than smoothing, which is over then
    (before,), target = photo.frames, plan_target(photo, FORMATS["webp"], sizes, None)[0]
    with_smoothing, without = (
        limits.needed_memory(before, target.frames[0], 4, 0, target, smooths) for smooths in (True, False)
    )
    assert with_smoothing - without >= cleaning.image.nbytes >= held - image.nbytes - 2**16


def test_the_memory_of_smoothing_is_bounded() -> None:
    assert workspace(100, 200) < workspace(2000, 3000) == workspace(10**6, 10**6) < 2**29
