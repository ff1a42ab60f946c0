"""Tiled results against the whole image at once."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.backends.device import available_devices, pick_device
from gramgan_cli.core.errors import GramganError, OutOfMemory, UsageError
from gramgan_cli.core.tiling.tiles import Tiling, spans, upscaled_bands
from gramgan_cli.engines.upscale.upscaler import Upscaler

CPU = torch.device("cpu")


def noise(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)


def model(arch: str, **hyperparameters: Any) -> SimpleNamespace:
    torch.manual_seed(0)
    network = archs.build(arch, hyperparameters)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics as in a trained network
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    if arch == "rrdbnet":  # its initial output is almost black
        nn.init.normal_(network.conv_last.weight, std=0.8)
        nn.init.constant_(network.conv_last.bias, 0.5)
    return SimpleNamespace(network=network, descriptor=archs.describe(arch, hyperparameters))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    ("length", "tile", "halo", "multiple"), list(itertools.product((1, 5, 64, 65, 130), (0, 16, 64), (0, 7), (1, 4)))
)
def test_spans_cover_the_axis_once_with_windows_of_one_size(length, tile, halo, multiple, wrap):
    tiling = Tiling(tile, halo, multiple, wrap)
    found = list(spans(length, tiling))
    kept = [span.stop - span.start for span in found]
    assert len(kept) == (-(-length // tile) if tile else 1)
    assert max(kept) <= -(-length // len(kept)) + multiple - 1
    assert [n for span in found for n in range(span.start, span.stop)] == list(range(length))
    assert len({span.size for span in found}) == 1
    for span in found:
        assert span.size % multiple == 0
        assert span.window <= span.start
        assert span.stop <= span.window + span.size
        if wrap:
            assert span.start - span.window >= halo
            assert span.window + span.size - span.stop >= halo
        else:
            assert span.window % multiple == 0
            assert 0 <= span.window <= max(0, span.start - halo)
            assert span.window + span.size >= min(length, span.stop + halo)


NETWORKS = [
    ("srresnet", {}),
    ("compact", {"nc": 16}),
    ("compact", {"nc": 16, "nf": 24, "scale": 2}),
    ("rrdbnet", {"nf": 8, "nb": 1, "gc": 4, "upsampler": "nearest"}),
    ("rrdbnet", {"nf": 8, "nb": 1, "gc": 4, "upsampler": "nearest", "scale": 2}),
]


@pytest.mark.parametrize(("arch", "hyperparameters"), NETWORKS)
@pytest.mark.parametrize(("height", "width"), [(75, 150), (151, 66)])
def test_tiled_equals_whole_within_one_level(arch, hyperparameters, height, width):
    image = noise(height, width)
    made = model(arch, **hyperparameters)
    assert made.descriptor.receptive_radius <= 64
    whole = Upscaler(made, CPU, tile=0).upscale(image)
    tiled = Upscaler(made, CPU, tile=64).upscale(image)
    assert whole.shape == (height * made.descriptor.scale, width * made.descriptor.scale, 3)
    assert whole.std() > 10, "a flat image would hide seams"
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_too_small_halo_shows_seams(monkeypatch):
    """Checks that the tests above can fail: without a halo, the same networks show seams."""
    image, made = noise(75, 150), model("srresnet")
    whole = Upscaler(made, CPU, tile=0).upscale(image)
    upscaler = Upscaler(made, CPU, tile=64)
    upscaler.tiling = Tiling(64, 0)
    assert np.abs(whole.astype(int) - upscaler.upscale(image)).max() > 1


def test_whole_equals_the_network_itself():
    made = model("compact", nf=8, nc=2)
    image = noise(20, 31)
    with torch.no_grad():
        out = made.network(torch.from_numpy(image).permute(2, 0, 1)[None].double().float() / 255)[0]
    expected = np.clip(np.floor(out.double().numpy().transpose(1, 2, 0) * 255 + 0.5), 0, 255)
    assert np.abs(Upscaler(made, CPU, tile=0).upscale(image) - expected).max() <= 1
    assert (Upscaler(made, CPU, tile=0).upscale(image) == expected).mean() > 0.999


class Nearest(nn.Module):
    """A network with a known output."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.largest = 10**9
        self.sides: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sides.append(x.shape[-1])
        if x.shape[-1] * x.shape[-2] > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return nn.functional.interpolate(x, scale_factor=4, mode="nearest")


def nearest_model() -> SimpleNamespace:
    return SimpleNamespace(
        network=Nearest(), descriptor=archs.Descriptor("nearest", 4, 3, 3, 1, 8, ("fp32", "bf16", "fp16"))
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("tta", [False, True])
def test_every_kind_of_pixel_passes_unchanged_through_the_identity(dtype, channels, tta):
    image = noise(40, 33, channels, dtype)
    out = Upscaler(nearest_model(), CPU, tile=16, tta=tta).upscale(image)
    assert out.dtype == dtype
    assert np.array_equal(out, image.repeat(4, 0).repeat(4, 1))


def test_floats_are_neither_clipped_nor_rounded():
    image = np.random.default_rng(0).uniform(-0.5, 1.5, (9, 12, 3)).astype(np.float32)
    assert np.array_equal(Upscaler(nearest_model(), CPU, tile=16).upscale(image), image.repeat(4, 0).repeat(4, 1))


def test_out_of_memory_halves_the_tile_and_redoes_only_that_band():
    made = nearest_model()
    made.network.largest = 50 * 50
    notes: list[str] = []
    image = noise(200, 100)
    upscaler = Upscaler(made, CPU, tile=64)
    upscaler.on_note = notes.append
    out = upscaler.upscale(image)
    assert np.array_equal(out, image.repeat(4, 0).repeat(4, 1))
    assert made.network.sides == [50 + 16] + [25 + 16] * (7 * 4)
    assert notes == ["Out of memory: continuing with tiles of 32 pixels."]
    assert upscaler.tile == 32
    upscaler.upscale(image)
    assert len(notes) == 1, "the next picture begins with the smaller tile"


def test_a_band_that_is_finished_is_not_redone():
    made = nearest_model()
    image = noise(64, 16)
    bands = Upscaler(made, CPU, tile=32).bands(image)
    next(bands)
    done = len(made.network.sides)
    made.network.largest = 40 * 16
    rest = list(bands)
    assert [band.shape[0] for band in rest] == [64, 64]
    assert made.network.sides[done:] == [16, 16, 16]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")],
)
def test_memory_too_small_for_any_tile_is_a_clear_error(error):
    made = nearest_model()
    made.network.forward = lambda _x: (_ for _ in ()).throw(error)  # type: ignore[method-assign]
    with pytest.raises(OutOfMemory, match="Out of memory on cpu"):
        Upscaler(made, CPU, tile=64).upscale(noise(50, 50))


def test_other_errors_of_torch_are_not_taken_for_lack_of_memory():
    made = nearest_model()
    made.network.forward = lambda _x: (_ for _ in ()).throw(RuntimeError("shape mismatch"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        Upscaler(made, CPU, tile=64).upscale(noise(50, 50))


class OverflowsInHalf(Nearest):
    """Returns infinity in reduced precision, like too large activations in fp16."""

    def forward(self, x: Tensor) -> Tensor:
        half = torch.is_autocast_enabled("cpu")
        return super().forward(x) * (float("inf") if half else 1.0)


def test_a_tile_that_is_not_finite_is_repeated_in_fp32_and_said():
    made = nearest_model()
    made.network = OverflowsInHalf()
    notes: list[str] = []
    image = noise(20, 20)
    upscaler = Upscaler(made, CPU, tile=0, precision="bf16")
    upscaler.on_note = notes.append
    out = upscaler.upscale(image)
    assert np.array_equal(out, image.repeat(4, 0).repeat(4, 1))
    assert notes == ["A tile had values that were not finite in bf16, so it was computed again in fp32."]


def test_not_finite_in_fp32_is_an_error():
    made = model("compact", nf=8, nc=1)
    with torch.no_grad():
        made.network.body[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(GramganError, match="not finite"):
        Upscaler(made, CPU, tile=0).upscale(noise(20, 20))


def test_the_self_ensemble_commutes_with_turning_the_image():
    made = model("compact", nf=8, nc=2)
    image = noise(24, 24)
    plain, ensemble = Upscaler(made, CPU, tile=0), Upscaler(made, CPU, tile=0, tta=True)
    turned = np.ascontiguousarray(np.rot90(image))
    assert np.abs(np.rot90(ensemble.upscale(image)).astype(int) - ensemble.upscale(turned)).max() <= 1
    assert np.abs(np.rot90(plain.upscale(image)).astype(int) - plain.upscale(turned)).max() > 1


@pytest.mark.parametrize(("arch", "hyperparameters"), [("srresnet", {"nf": 16, "nb": 4}), NETWORKS[4]])
def test_seamless_equals_the_middle_of_a_repeated_texture(arch, hyperparameters):
    """The result is that of an infinitely repeated texture."""
    made = model(arch, **hyperparameters)
    scale = made.descriptor.scale
    image = noise(44, 60)
    repeated = np.tile(image, (3, 3, 1))
    plane = Upscaler(made, CPU, tile=0).upscale(repeated)
    expected = plane[44 * scale : 88 * scale, 60 * scale : 120 * scale]
    for tile in (0, 16):
        out = Upscaler(made, CPU, tile=tile, seamless=True).upscale(image)
        assert np.abs(out.astype(int) - expected).max() <= 1


def test_bands_need_only_windows_of_the_input():
    """With a function that doubles the size, bands are complete for all sizes."""
    image = noise(37, 23, 1)
    bands = list(upscaled_bands(image, 2, Tiling(10, 3), lambda window: window.repeat(2, 0).repeat(2, 1)))
    assert [band.shape[0] for band in bands] == [20, 20, 20, 14]
    assert np.array_equal(np.concatenate(bands), image.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("wrap", [False, True])
def test_rows_are_asked_for_before_they_are_read(wrap):
    """An image whose rows are filled in when they are asked for gives the result of the whole image."""
    image = noise(90, 23, 1)
    filled, asked = np.zeros_like(image), []

    def fill(rows: int) -> None:
        asked.append(rows)
        filled[:rows] = image[:rows]

    def shifted(window: np.ndarray) -> np.ndarray:
        return np.roll(window, (3, -3), (0, 1)) + np.roll(window, -3, 0)

    found = np.concatenate(list(upscaled_bands(filled, 1, Tiling(30, 3, wrap=wrap), shifted, before_rows=fill)))
    assert np.array_equal(found, np.concatenate(list(upscaled_bands(image, 1, Tiling(30, 3, wrap=wrap), shifted))))
    assert asked == ([90, 63, 90] if wrap else [36, 63, 90])


def test_the_cpu_is_always_there_and_auto_takes_the_first():
    assert available_devices()[-1] == "cpu"
    assert pick_device("auto").type == available_devices()[0]
    assert pick_device("cpu") == CPU


def test_a_missing_device_is_an_error_that_lists_existing_ones():
    with pytest.raises(UsageError, match=r"no device 'tpu'.*auto, .*cpu"):
        pick_device("tpu")
