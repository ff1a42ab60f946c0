"""Damaged photos are cleaned at their own size before the network enlarges them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from jpeg_photos import reduced_photo
from torch import nn

from gramgan_cli.core.archs import parameter_count
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.core.weights.mixing.square import automatic_model, square_model
from gramgan_cli.engines.measure.enlargers import open_enlargers
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import Session, open_session
from gramgan_cli.engines.upscale.upscaler import Restoration, Upscaler

CPU = torch.device("cpu")


def noisy(height: int = 72, width: int = 90) -> np.ndarray:
    """A corner of a photo with noise of 12 levels."""
    photo = reduced_photo()[:height, :width].astype(float)
    return (photo + np.random.default_rng(0).normal(0, 12, photo.shape)).clip(0, 255).round().astype(np.uint8)


def cleaned(image: np.ndarray) -> np.ndarray:
    """What the network makes of an image whose sides are multiples of 8, in float64, levels not rounded."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    with torch.inference_mode():
        y = load_model(RESTORE).network.double()(x)
    return y[0].permute(1, 2, 0).clamp(0, 1).mul(255).numpy()


def session(model: str) -> Session:
    return open_session(UpscaleOptions(model=model, device="cpu", backend="torch"))


def result_of(model: str, image: np.ndarray) -> np.ndarray:
    return np.concatenate(list(session(model).source.bands(image)))


def restored(image: np.ndarray, strength: float = 1.0, tile: int | str = "auto", seamless: bool = False) -> np.ndarray:
    cleaner = Upscaler(load_model(RESTORE), CPU, tile=tile, seamless=seamless)
    cleaning = Restoration(cleaner, strength).begin(image)
    cleaning.clean_until(image.shape[0])
    return cleaning.image


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_strength_mixes_the_photo_with_the_cleaned_one(strength: float) -> None:
    image = noisy(72, 88)
    expected = image + strength * (cleaned(image) - image)
    assert np.abs(restored(image, strength) - expected).max() <= 1  # rounded twice


@pytest.mark.parametrize(("denoise", "strength"), [(0.0, 0.0), (0.25, 0.4375), (0.5, 0.75), (1.0, 1.0)])
def test_damage_decreases_with_the_square_of_denoise(denoise: float, strength: float) -> None:
    model, image = square_model(denoise, 1), noisy()
    seen = restored(image, strength) if denoise else image
    np.testing.assert_array_equal(result_of(model, image), Upscaler(load_model(model), CPU).upscale(seen))


def test_noise_becomes_less() -> None:
    photo = reduced_photo()[:72, :88].astype(float)
    image = noisy(72, 88)
    assert np.abs(restored(image) - photo).mean() < 0.7 * np.abs(image - photo).mean()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_picture(kind: type, channels: int) -> None:
    white = 1 if kind is np.float32 else np.iinfo(kind).max
    colours = noisy(40, 48)[:, :, : 1 if channels < 3 else 3]
    image = (colours / 255 * white).astype(kind)
    if channels in (2, 4):
        image = np.dstack((image, np.tile(np.linspace(0, white, 48).astype(kind), (40, 1))))
    found = restored(image)
    assert found.dtype == kind
    assert found.shape == image.shape
    of_bytes = restored(colours).astype(float)
    assert np.abs(found[:, :, : colours.shape[2]] / white * 255 - of_bytes).max() <= 1.6
    if channels in (2, 4):
        np.testing.assert_array_equal(found[:, :, -1], image[:, :, -1])


def test_the_photo_itself_is_not_changed() -> None:
    image = noisy()
    before = image.copy()
    restored(image)
    np.testing.assert_array_equal(image, before)


def test_rows_are_cleaned_when_they_are_needed() -> None:
    image = noisy(200, 96)
    cleaning = Restoration(Upscaler(load_model(RESTORE), CPU, tile=32), 1.0).begin(image)
    whole = restored(image, tile=32)
    cleaning.clean_until(33)
    np.testing.assert_array_equal(cleaning.image[:64], whole[:64])
    np.testing.assert_array_equal(cleaning.image[64:], image[64:])
    cleaning.clean_until(200)
    np.testing.assert_array_equal(cleaning.image, whole)


@pytest.mark.parametrize("seamless", [False, True])
def test_enlarging_begins_before_the_end_of_cleaning(seamless: bool) -> None:
    """Bands equal those of a photo that is cleaned completely first."""
    image = noisy(200, 96)
    photo, cleaner = load_model("photo"), load_model(RESTORE)
    tiled = Restoration(Upscaler(cleaner, CPU, tile=32, seamless=seamless), 1.0)
    both = Upscaler(photo, CPU, tile=48, seamless=seamless, restoration=tiled)
    alone = Upscaler(photo, CPU, tile=48, seamless=seamless)
    np.testing.assert_array_equal(both.upscale(image), alone.upscale(restored(image, tile=32, seamless=seamless)))


def test_automatic_denoise_loads_the_cleaning_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def counted(model: str) -> LoadedModel:
        loaded.append(model)
        return load_model(model)

    monkeypatch.setattr("gramgan_cli.engines.upscale.session.load_model", counted)
    session(automatic_model(1.0))
    assert loaded.count(RESTORE) == 1


class LittleMemory(nn.Module):
    """Keeps the image; memory is enough for widths below 80 px."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[3] >= 80:
            raise torch.OutOfMemoryError("out of memory")
        return x


@pytest.mark.parametrize("preview", [False, True])
def test_the_user_hears_of_smaller_tiles(preview: bool) -> None:
    descriptor = replace(load_model(RESTORE).descriptor, receptive_radius=16)
    cleaner = Upscaler(SimpleNamespace(network=LittleMemory(), descriptor=descriptor), CPU, tile=64)
    upscaler, notes = Upscaler(load_model("photo"), CPU, restoration=Restoration(cleaner, 1.0)), []
    upscaler.on_note = notes.append
    if preview:
        upscaler.prepared_part(noisy(80, 96), slice(0, 80), slice(0, 96))
    else:
        upscaler.upscale(noisy(80, 96))
    assert notes == ["Out of memory: continuing with tiles of 32 pixels."]


def test_a_part_is_cleaned_as_in_the_whole() -> None:
    image = noisy(300, 280)
    upscaler = Upscaler(load_model("photo"), CPU, restoration=Restoration(Upscaler(load_model(RESTORE), CPU), 1.0))
    rows, columns = slice(101, 190), slice(113, 300)
    whole = restored(image)[rows, columns].astype(int)
    assert np.abs(upscaler.prepared_part(image, rows, columns) - whole).max() <= 1


def test_measuring_cleans_too_and_counts_the_work() -> None:
    image = noisy()
    (enlarger, other) = open_enlargers(["photo", "clean"], CPU, "auto", lambda _note: None)
    np.testing.assert_array_equal(enlarger.enlarge(image, None), result_of("photo", image))
    cleaner = load_model(RESTORE).network
    assert enlarger.parameters is not None
    assert other.parameters is not None
    assert enlarger.parameters - other.parameters == parameter_count(cleaner)
    per_pixel = {  # of each level, by the side of its pixels
        1: 32 * 27 + 8 * 32 * 32 * 9 + 32 * 27,
        2: 8 * 60 * 60 * 9 + 2 * 32 * 60 * 4,
        4: 8 * 92 * 92 * 9 + 2 * 60 * 92 * 4,
        8: 4 * 104 * 104 * 9 + 2 * 92 * 104 * 4,
    }
    work = sum(count * 320 * 184 // side**2 for side, count in per_pixel.items())
    assert enlarger.multiply_adds is not None
    assert other.multiply_adds is not None
    assert enlarger.multiply_adds - other.multiply_adds == work


def test_results_are_marked_with_the_weights_that_cleaned() -> None:
    damaged, clean = session("photo-gan"), session("clean-gan")
    assert (damaged.restoration is None, clean.restoration is None) == (False, True)
    other = replace(damaged, restoration="0" * 64)
    assert damaged.mark("1" * 64) != other.mark("1" * 64)
    facts = json.dumps([clean.name, clean.sha256, clean.settings, "1" * 64])
    assert clean.mark("1" * 64).digest == hashlib.sha256(facts.encode()).hexdigest()[:32], "as in earlier versions"
