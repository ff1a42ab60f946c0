"""All backends and precisions match torch in fp32; conversions are cached; unsupported combinations are errors."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.backends import choose as backends
from gramgan_cli.core.backends.choose import BACKENDS, choose_backend
from gramgan_cli.core.backends.without_telemetry import openvino_precisions
from gramgan_cli.core.errors import GramganError, MissingExtra, PrecisionUnavailable, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.engines.upscale.upscaler import Upscaler

CPU = torch.device("cpu")

needs_openvino = pytest.mark.skipif(
    not backends.is_installed("openvino"), reason="the extra [openvino] is not installed"
)

NETWORKS = {
    "compact": ("compact", {"nf": 16, "nc": 3}),
    "drunet": ("drunet", {"nc": [8, 12, 16, 20], "nb": 1}),
    "compact-x2": ("compact", {"nf": 16, "nc": 3, "scale": 2}),
    "rrdbnet": ("rrdbnet", {"nb": 2, "nf": 16, "gc": 8}),
    "rrdbnet-nearest": ("rrdbnet", {"nb": 2, "nf": 16, "gc": 8, "upsampler": "nearest"}),
    "rrdbnet-x2": ("rrdbnet", {"nb": 1, "nf": 16, "gc": 8, "scale": 2}),
    "rrdbnet-x1": ("rrdbnet", {"nb": 1, "nf": 16, "gc": 8, "scale": 1}),
    "srresnet": ("srresnet", {"nb": 2, "nf": 16}),
    "srresnet-tanh": ("srresnet", {"nb": 2, "nf": 16, "scale": 2, "input_range": "imagenet", "output": "tanh"}),
}


@pytest.fixture(params=["ncnn", "openvino", "onnx"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each installed backend."""
    if not backends.is_installed(request.param):
        pytest.skip(f"the extra [{request.param}] is not installed")
    if not BACKENDS[request.param].precisions():
        pytest.skip(f"{request.param} does not run on this processor")
    return str(request.param)


@pytest.fixture(scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conversions")


@pytest.fixture
def kept(conversions: Path, private_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares converted networks between tests, since torch's ONNX exporter takes seconds for each."""
    monkeypatch.setenv("GRAMGAN_CACHE", str(conversions))


def model(name: str) -> LoadedModel:
    """A random network whose batch norms are not the identity and whose output is not just an upscaled input."""
    arch, hyperparameters = NETWORKS[name]
    torch.manual_seed(0)
    network = archs.build(arch, hyperparameters)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 2.0)):
                assert tensor is not None
                tensor.uniform_(low, high)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
    descriptor = archs.describe(arch, hyperparameters)
    header = WeightsHeader(arch, hyperparameters, descriptor.scale)
    return LoadedModel(name, network.eval(), header, descriptor)


def upscaler(loaded: LoadedModel, name: str, precision: str = "fp32", **options: object) -> Upscaler:
    chosen = choose_backend(name, loaded, "cpu", precision)  # type: ignore[arg-type]
    assert chosen.name == name
    return Upscaler(loaded, CPU, precision=precision, converted=chosen.converted, **options)  # type: ignore[arg-type]


def apart(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def noise(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_converted_network_equals_torch(name: str, backend: str, kept: None) -> None:
    loaded = model(name)
    x = torch.from_numpy(np.random.default_rng(1).random((1, 3, 24, 32), np.float32))
    converted = choose_backend(backend, loaded, "cpu", "fp32").converted  # type: ignore[arg-type]
    assert converted is not None
    with torch.inference_mode():
        expected = loaded.network.double()(x.double())
        found = converted(x)
    assert (found - expected).abs().max() < 1e-5
    assert expected.std() > 0.01


@pytest.mark.parametrize("shape", [(45, 70, 3), (45, 70, 1), (33, 50, 4), (16, 16, 3), (5, 3, 3)], ids=str)
def test_pictures_are_within_a_level(shape: tuple[int, ...], backend: str, kept: None) -> None:
    """Tiled with a halo smaller than the picture, so that windows of several sizes run, some more than once."""
    loaded, image = model("compact"), noise(*shape)
    expected = upscaler(loaded, "torch").upscale(image)
    assert apart(upscaler(loaded, backend, tile=16).upscale(image), expected) <= 1


def test_sixteen_bits_self_ensemble_and_seams(backend: str, kept: None) -> None:
    loaded, image = model("rrdbnet-x2"), noise(20, 25, 3, kind=np.uint16)
    for options in ({}, {"tta": True}, {"seamless": True}):
        expected = upscaler(loaded, "torch", **options).upscale(image)
        assert apart(upscaler(loaded, backend, **options).upscale(image), expected) <= 2


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.astronaut()[40:136, 150:262]


def test_the_default_model_on_a_photo(photo: np.ndarray, backend: str, kept: None) -> None:
    loaded = load_model("clean")
    expected = upscaler(loaded, "torch").upscale(photo)
    assert apart(upscaler(loaded, backend).upscale(photo), expected) <= 1


@pytest.mark.parametrize(
    ("name", "precision", "most", "mean"),
    [("torch", "bf16", 4, 0.3), ("torch", "fp16", 1, 0.05), ("openvino", "bf16", 4, 0.3)],
)
def test_half_precisions_stay_near(photo: np.ndarray, name: str, precision: str, most: int, mean: float) -> None:
    """Largest and mean difference in 8-bit levels, as stated in docs/performance.md."""
    if name in BACKENDS and not backends.is_installed(name):
        pytest.skip(f"the extra [{name}] is not installed")
    if name in BACKENDS and precision not in BACKENDS[name].precisions():
        pytest.skip(f"{name} does not compute in {precision} on this processor; see the test of that")
    loaded = load_model("clean")
    expected = upscaler(loaded, "torch").upscale(photo)
    found = upscaler(loaded, name, precision).upscale(photo)
    assert apart(found, expected) <= most
    assert np.abs(found.astype(float) - expected).mean() <= mean


def converted_folders() -> list[Path]:
    folder = store.store_dir() / "converted"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_a_network_is_converted_once(backend: str) -> None:
    loaded = model("compact")
    choose_backend(backend, loaded, "cpu", "fp32")  # type: ignore[arg-type]
    (folder,) = converted_folders()
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    choose_backend(backend, model("compact"), "cpu", "fp32")  # type: ignore[arg-type]
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())} == before
    other = model("compact")
    with torch.no_grad():
        next(other.network.parameters())[0] += 1e-3
    choose_backend(backend, other, "cpu", "fp32")  # type: ignore[arg-type]
    assert len(converted_folders()) == 2


def test_a_damaged_conversion_is_named(backend: str) -> None:
    loaded = model("compact")
    upscaler(loaded, backend)
    (folder,) = converted_folders()
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(GramganError, match="can't be read") as caught:
        upscaler(loaded, backend).upscale(noise(8, 8, 3))
    assert str(folder) in str(caught.value)


def test_old_conversions_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    if not backends.is_installed("ncnn"):
        pytest.skip("the extra [ncnn] is not installed")
    monkeypatch.setattr(backends, "KEPT", 2)
    made: list[Path] = []
    for name in ("compact", "rrdbnet", "srresnet"):
        upscaler(model(name), "ncnn")
        made += [path for path in converted_folders() if path not in made]
    assert converted_folders() == sorted(made[1:])


def test_leftovers_of_killed_conversions_are_deleted(backend: str) -> None:
    old, young = (store.store_dir() / "converted" / f".{name}.gramgan.part" for name in ("old", "young"))
    for left in (old, young):
        left.mkdir(parents=True)
        (left / "network.bin").touch()
    os.utime(old, (1, 1))
    upscaler(model("compact"), backend)
    assert not old.exists()
    assert young.exists(), "it may belong to a run that goes on"


class Unusual(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(4, 2).repeat_interleave(4, 3)


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "network",
    [
        Unusual(),
        Deciding(),
        nn.Conv2d(3, 3, 2, 2, dilation=2),
        nn.ConvTranspose2d(3, 3, 2, 2, output_padding=1),
        nn.ConvTranspose2d(3, 3, 3, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["ncnn", "openvino"])
def test_networks_that_can_not_be_converted_run_in_torch(network: nn.Module, name: str) -> None:
    if not backends.is_installed(name):
        pytest.skip(f"the extra [{name}] is not installed")
    if not BACKENDS[name].precisions():
        pytest.skip(f"{name} does not run on this processor")
    loaded = replace(model("compact"), network=network)
    with pytest.raises(GramganError, match="can't be converted"):
        choose_backend(name, loaded, "cpu", "fp32")  # type: ignore[arg-type]
    assert choose_backend("auto", loaded, "cpu", "fp32").name == "torch"
    assert not converted_folders()


@pytest.mark.parametrize(
    ("installed", "bf16", "precision", "expected"),
    [
        ({"ncnn", "openvino", "onnx"}, True, "auto", "ncnn"),
        ({"ncnn", "openvino", "onnx"}, True, "bf16", "openvino"),
        ({"ncnn", "openvino", "onnx"}, False, "bf16", "torch"),
        ({"ncnn", "openvino", "onnx"}, True, "fp16", "torch"),
        ({"openvino", "onnx"}, False, "fp32", "openvino"),
        ({"onnx"}, True, "auto", "torch"),
        (set(), True, "auto", "torch"),
    ],
)
def test_auto_takes_the_fastest(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], bf16: bool, precision: str, expected: str
) -> None:
    """On both kinds of processors: the test sets whether OpenVINO can compute in bf16."""
    monkeypatch.setattr(backends, "is_installed", lambda name: name in installed)
    stand_in: Callable[..., nn.Module] = lambda *_: nn.Identity()  # noqa: E731
    for name, entry in list(BACKENDS.items()):
        monkeypatch.setitem(BACKENDS, name, replace(entry, write=lambda *_: None, read=stand_in))
    capable = replace(BACKENDS["openvino"], precisions=lambda: ("auto", "fp32", "bf16") if bf16 else ("auto", "fp32"))
    monkeypatch.setitem(BACKENDS, "openvino", capable)
    chosen = choose_backend("auto", model("compact"), "cpu", precision)
    assert (chosen.name, chosen.converted is None) == (expected, expected == "torch")


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="runs on the CPU"):
        choose_backend("ncnn", model("compact"), "cuda", "auto")
    monkeypatch.setattr(backends, "is_installed", lambda _: True)
    with pytest.raises(PrecisionUnavailable, match="does not support bf16"):
        choose_backend("ncnn", model("compact"), "cpu", "bf16")
    without = replace(BACKENDS["openvino"], precisions=lambda: ("auto", "fp32"))
    monkeypatch.setitem(BACKENDS, "openvino", without)
    with pytest.raises(PrecisionUnavailable, match="does not support bf16 on this processor"):
        choose_backend("openvino", model("compact"), "cpu", "bf16")
    monkeypatch.setattr(backends, "is_installed", lambda _: False)
    with pytest.raises(MissingExtra, match="not installed") as caught:
        choose_backend("openvino", model("compact"), "auto", "auto")
    assert caught.value.extra == "openvino"


@needs_openvino
def test_openvino_computes_in_the_precision_that_it_reports(photo: np.ndarray) -> None:
    """bf16 has 8 significant bits, so its result always differs from that of fp32."""
    loaded = load_model("clean")
    if "bf16" in BACKENDS["openvino"].precisions():
        found = [upscaler(loaded, "openvino", precision).upscale(photo) for precision in ("fp32", "bf16")]
        assert not np.array_equal(*found)
    else:
        with pytest.raises(PrecisionUnavailable):
            choose_backend("openvino", loaded, "cpu", "bf16")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "small.png"
    Image.fromarray(noise(12, 14, 3)).save(path)
    return path


def test_the_command_reports_the_backend(picture: Path, backend: str, kept: None) -> None:
    result = CliRunner().invoke(app, ["upscale", str(picture), "--device", "cpu", "--backend", backend, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["results"][0]["backend"] == backend
    assert f"Running photo-gan (denoise 1, style 1) on cpu with {backend}." in result.stderr


@pytest.mark.parametrize("words", [["--model", "lanczos"], ["--ref", "photo.png"]])
def test_the_command_refuses_what_a_backend_can_not(picture: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["upscale", str(picture), "--backend", "ncnn", *words])
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2


@needs_openvino
def test_openvino_is_refused_where_it_computes_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    """On x86 processors without AVX2; 'auto' chooses another backend."""
    openvino_precisions.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr(backends, "FASTEST_FIRST", ("openvino",))
    try:
        with pytest.raises(PrecisionUnavailable, match="openvino gives wrong results on this processor"):
            choose_backend("openvino", model("compact"), "cpu", "fp32")
        assert choose_backend("auto", model("compact"), "cpu", "fp32").name == "torch"
    finally:
        openvino_precisions.cache_clear()


@needs_openvino
def test_openvino_has_no_bf16_where_onednn_may_not_use_it() -> None:
    """OpenVINO names bf16 as supported there, but can't compile a network in it."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("ONEDNN_MAX_CPU_ISA=AVX2 limits x86 processors only")
    code = "from gramgan_cli.core.backends.without_telemetry import openvino_precisions as f; print(*f())"
    limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=limited, check=True)
    assert "bf16" not in result.stdout
