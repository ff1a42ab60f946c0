"""Importing and exporting weights: layouts, spandrel, ONNX."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, MissingExtra, ModelExists
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, read_header, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.commands import import_file
from gramgan_cli.engines.models.export import ExportOptions, export

COMPACT = {"nf": 16, "nc": 3}
RRDBNET = {"nf": 16, "nb": 2, "gc": 8, "upsampler": "nearest"}

Tensors = dict[str, Tensor]


def network_of(arch: str, hyperparameters: dict[str, Any], seed: int = 0) -> nn.Module:
    """A network with random biases and activations, too, so that swapped tensors are detected."""
    torch.manual_seed(seed)
    network = archs.build(arch, hyperparameters).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network


def upscaled(network: nn.Module, side: int = 12) -> Tensor:
    torch.manual_seed(9)
    with torch.no_grad():
        return network(torch.rand(1, 3, side, side))


def stored(tmp_path: Path, name: str, arch: str, hyperparameters: dict[str, Any]) -> nn.Module:
    network = network_of(arch, hyperparameters)
    scale = archs.describe(arch, hyperparameters).scale
    save_weights(tmp_path / "own.safetensors", network.state_dict(), WeightsHeader(arch, hyperparameters, scale))
    store.put(name, tmp_path / "own.safetensors")
    return network


def basicsr(tensors: Tensors) -> Tensors:
    """BasicSR's names, independent of the code under test."""
    renamed = {}
    for name, tensor in tensors.items():
        name = re.sub(r"^trunk\.", "body.", name)
        name = re.sub(r"^trunk_conv", "conv_body", name)
        name = re.sub(r"^upconv(\d)", r"conv_up\1", name)
        renamed[re.sub(r"^hr_conv", "conv_hr", name)] = tensor
    return renamed


def new_esrgan(tensors: Tensors) -> Tensors:
    """Names of the ESRGAN repository's newer version."""
    renamed = {}
    for name, tensor in tensors.items():
        name = re.sub(r"^trunk\.", "RRDB_trunk.", name).replace(".rdb", ".RDB")
        renamed[re.sub(r"^hr_conv", "HRconv", name)] = tensor
    return renamed


def old_esrgan(tensors: Tensors) -> Tensors:
    """Names of the ESRGAN repository's older version, by its published conversion script."""
    nb = RRDBNET["nb"]
    tail = {"conv_first": "0", "trunk_conv": f"1.sub.{nb}", "upconv1": "3", "upconv2": "6", "hr_conv": "8"}
    tail["conv_last"] = "10"
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer.startswith("trunk."):
            _, block, dense, conv = layer.split(".")
            renamed[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"] = tensor
        else:
            renamed[f"model.{tail[layer]}.{kind}"] = tensor
    return renamed


def bare(tensors: Tensors) -> dict[str, Any]:
    return dict(tensors)


def in_params_ema(tensors: Tensors) -> dict[str, Any]:
    return {"params": {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}, "params_ema": tensors}


def in_params(tensors: Tensors) -> dict[str, Any]:
    return {"params": tensors, "iteration": 5}


def in_state_dict_of_modules(tensors: Tensors) -> dict[str, Any]:
    return {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}, "epoch": 3}


@pytest.mark.parametrize("names", [basicsr, new_esrgan, old_esrgan])
@pytest.mark.parametrize("wrapped", [bare, in_params_ema, in_params, in_state_dict_of_modules])
def test_rrdbnet_comes_in_under_every_name(
    tmp_path: Path, names: Callable[[Tensors], Tensors], wrapped: Callable[[Tensors], dict[str, Any]]
) -> None:
    network = network_of("rrdbnet", RRDBNET)
    torch.save(wrapped(names(network.state_dict())), tmp_path / "x.pth")
    import_file(tmp_path / "x.pth", "x", "Apache-2.0", overwrite=False)
    model = load_model("x")
    assert torch.equal(upscaled(model.network), upscaled(network))
    assert model.header.licence == "Apache-2.0"
    assert model.header.training["imported_from"] == "x.pth"
    assert model.descriptor == archs.describe("rrdbnet", RRDBNET)


@pytest.mark.parametrize(
    ("scale", "upsampler"), [(1, "nearest"), (2, "nearest"), (4, "nearest"), (3, "pixelshuffle"), (4, "pixelshuffle")]
)
def test_scale_is_known_from_the_shapes(tmp_path: Path, scale: int, upsampler: str) -> None:
    network = network_of("rrdbnet", {**RRDBNET, "scale": scale, "upsampler": upsampler})
    save_file(basicsr(network.state_dict()), tmp_path / "x.safetensors")
    import_file(tmp_path / "x.safetensors", "x", None, overwrite=False)
    assert load_model("x").header.scale == scale
    assert torch.equal(upscaled(load_model("x").network), upscaled(network))


@pytest.mark.parametrize("hyperparameters", [COMPACT, {"nf": 8, "nc": 1, "scale": 2}, {"nf": 24, "nc": 5, "scale": 3}])
def test_compact_comes_in(tmp_path: Path, hyperparameters: dict[str, int]) -> None:
    network = network_of("compact", hyperparameters)
    torch.save({"params": network.state_dict()}, tmp_path / "x.pth")
    import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    found = load_model("x")
    assert {**COMPACT, "scale": 4, **hyperparameters}.items() <= found.header.hyperparameters.items()
    assert torch.equal(upscaled(found.network), upscaled(network))


def test_half_precision_stays_half_in_the_file_and_runs_in_full(tmp_path: Path) -> None:
    network = network_of("compact", COMPACT).half()
    save_file(network.state_dict(), tmp_path / "x.safetensors")
    path = import_file(tmp_path / "x.safetensors", "x", None, overwrite=False).path
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    assert torch.equal(upscaled(load_model("x").network), upscaled(network.float()))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.update({"body.0.rdb1.conv9.weight": torch.zeros(1)}), "rdb1.conv9.weight"),
        (lambda t: t.pop("conv_body.bias"), "trunk_conv.bias"),
        (lambda t: t.update({"conv_hr.weight": torch.zeros(16, 16, 5, 5)}), "hr_conv.weight"),
        (lambda t: t.update({"surplus": torch.zeros(1)}), "surplus"),
    ],
)
def test_a_key_that_does_not_fit_is_named(tmp_path: Path, change: Callable[[Tensors], object], named: str) -> None:
    tensors = basicsr(network_of("rrdbnet", RRDBNET).state_dict())
    change(tensors)
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(GramganError, match=rf"x\.pth.*{re.escape(named)}"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    assert store.find("x") is None


@pytest.mark.parametrize(
    ("arch", "hyperparameters", "channels"),
    [
        ("rrdbnet", {"in_nc": 2, "out_nc": 2}, "2 channels and returns 2"),
        ("rrdbnet", {"in_nc": 3, "out_nc": 1}, "3 channels and returns 1"),
        ("compact", {"in_nc": 4, "out_nc": 4}, "4 channels and returns 4"),
    ],
)
def test_networks_of_other_channels_than_rgb_are_refused(
    tmp_path: Path, arch: str, hyperparameters: dict[str, int], channels: str
) -> None:
    small = {"nf": 4, "nb": 1, "gc": 4, "upsampler": "nearest"} if arch == "rrdbnet" else {"nf": 4, "nc": 1}
    torch.save(network_of(arch, small | hyperparameters).state_dict(), tmp_path / "x.pth")
    with pytest.raises(GramganError, match=rf"x\.pth takes {channels}, not RGB"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)


@pytest.mark.parametrize(
    ("arch", "key", "shape"),
    [("rrdbnet", "conv_first.weight", (16,)), ("compact", "body.0.weight", (8, 0, 3, 3))],
)
def test_invalid_kernel_shapes_are_named(tmp_path: Path, arch: str, key: str, shape: tuple[int, ...]) -> None:
    tensors = network_of(arch, RRDBNET if arch == "rrdbnet" else {"nf": 8, "nc": 1}).state_dict()
    torch.save(tensors | {key: torch.zeros(shape)}, tmp_path / "x.pth")
    with pytest.raises(GramganError, match=rf"x\.pth: '{re.escape(key)}' has shape"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)


def test_names_that_share_one_tensor_come_in(tmp_path: Path) -> None:
    tensors = network_of("compact", {"nf": 8, "nc": 2}).state_dict()
    tensors["body.4.weight"] = tensors["body.2.weight"]
    torch.save(tensors, tmp_path / "x.pth")
    stored = import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    found = load_file(stored.path)
    assert torch.equal(found["body.4.weight"], found["body.2.weight"])


class _Runs:
    """A malicious pickle: unpickling it creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def test_nothing_in_a_pickle_is_executed(tmp_path: Path) -> None:
    torch.save({"params": _Runs(tmp_path / "executed")}, tmp_path / "x.pth")
    with pytest.raises(GramganError, match=r"x\.pth .*could run code"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken", b"\x80\x02"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_broken_files_are_one_sentence(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"x{suffix}"
    file.write_bytes(content)
    with pytest.raises(GramganError, match=re.escape(str(file))):
        import_file(file, "x", None, overwrite=False)


def test_truncated_checkpoints_are_one_sentence(tmp_path: Path) -> None:
    torch.save(network_of("compact", COMPACT).state_dict(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for length in (10, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(GramganError, match=r"cut\.pth"):
            import_file(tmp_path / "cut.pth", "x", None, overwrite=False)


def test_a_model_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    torch.save(network_of("compact", COMPACT).state_dict(), tmp_path / "x.pth")
    import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    with pytest.raises(ModelExists, match="already"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    import_file(tmp_path / "x.pth", "x", "MIT", overwrite=True)
    assert load_model("x").header.licence == "MIT"


@pytest.mark.parametrize(
    ("arch", "hyperparameters"),
    [
        ("compact", COMPACT),
        ("compact", {"nf": 64, "nc": 2, "scale": 2}),
        *[("rrdbnet", {**RRDBNET, "gc": 32, "nf": 64, "nb": 1, "scale": scale}) for scale in (1, 2, 4)],
    ],
)
def test_spandrel_loads_what_export_writes(tmp_path: Path, arch: str, hyperparameters: dict[str, Any]) -> None:
    spandrel = pytest.importorskip("spandrel")
    network = stored(tmp_path, "m", arch, hyperparameters)
    export("m", tmp_path / "out.safetensors", ExportOptions())
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "out.safetensors")
    assert theirs.scale == hyperparameters.get("scale", 4)
    ours = upscaled(network)
    with torch.no_grad():
        torch.manual_seed(9)
        assert torch.equal(theirs.model(torch.rand(1, 3, 12, 12)), ours)
    assert read_header(tmp_path / "out.safetensors").arch == arch
    assert torch.equal(upscaled(load_model(str(tmp_path / "out.safetensors")).network), ours)
    import_file(tmp_path / "out.safetensors", "again", None, overwrite=False)
    assert torch.equal(upscaled(load_model("again").network), ours)


def test_spandrel_loads_the_stored_compact_as_it_lies(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel")
    network = stored(tmp_path, "m", "compact", COMPACT)
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(store.get("m").path)
    with torch.no_grad():
        torch.manual_seed(9)
        assert torch.equal(theirs.model(torch.rand(1, 3, 12, 12)), upscaled(network))


def test_pixelshuffle_rrdbnet_is_sent_to_onnx(tmp_path: Path) -> None:
    stored(tmp_path, "m", "rrdbnet", {**RRDBNET, "upsampler": "pixelshuffle"})
    with pytest.raises(GramganError, match="Export it as ONNX"):
        export("m", tmp_path / "out.safetensors", ExportOptions())
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("arch", "hyperparameters"),
    [
        ("compact", COMPACT),
        ("rrdbnet", {**RRDBNET, "upsampler": "pixelshuffle"}),
        ("rrdbnet", {**RRDBNET, "scale": 2}),
        ("srresnet", {"nf": 8, "nb": 1, "input_range": "imagenet", "output": "tanh"}),
    ],
)
def test_onnxruntime_agrees_at_every_size(tmp_path: Path, arch: str, hyperparameters: dict[str, Any]) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    network = stored(tmp_path, "m", arch, hyperparameters)
    export("m", tmp_path / "m.onnx", ExportOptions())
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert "gramgan" in session.get_modelmeta().custom_metadata_map
    for batch, height, width in ((1, 16, 24), (2, 8, 6), (1, 34, 10)):
        x = torch.rand(batch, 3, height, width)
        (result,) = session.run(None, {"image": x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(result), network(x), rtol=0, atol=1e-4)


def test_a_network_with_a_reference_is_refused_for_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    stored(tmp_path, "m", "ttsr", {"nf": 4})
    with pytest.raises(GramganError, match="reference"):
        export("m", tmp_path / "m.onnx", ExportOptions())
    assert not (tmp_path / "m.onnx").exists()


def test_a_network_that_only_spandrel_supports(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.SPAN import SPAN

    torch.manual_seed(0)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2).eval()
    torch.save({"params": network.state_dict()}, tmp_path / "span.pth")
    import_file(tmp_path / "span.pth", "span", "MIT", overwrite=False)
    model = load_model("span")
    assert model.descriptor.arch == "SPAN"
    assert model.header.scale == 2
    assert torch.equal(upscaled(model.network), upscaled(network).clamp(0, 1))


def test_an_unknown_layout_names_a_tensor(tmp_path: Path) -> None:
    torch.save({"strange.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(GramganError, match=r"x\.pth.*strange\.weight"):
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)


def test_without_spandrel_an_unknown_layout_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    torch.save({"strange.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(MissingExtra, match=r"strange\.weight.*spandrel") as caught:
        import_file(tmp_path / "x.pth", "x", None, overwrite=False)
    assert caught.value.extra == "interop"
