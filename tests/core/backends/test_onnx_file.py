"""ONNX files: input sizes, precisions, operator sets, and exporters that crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.backends import onnx_file
from gramgan_cli.core.errors import GramganError, ModelUnsupported, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.commands import import_file
from gramgan_cli.engines.models.export import ExportOptions, export

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A stored network that gramgan builds."""
    torch.manual_seed(0)
    hyperparameters = {"nf": 8, "nc": 1}
    network = archs.build("compact", hyperparameters)
    save_weights(tmp_path / "tiny.safetensors", network.state_dict(), WeightsHeader("compact", hyperparameters, 4))
    store.put("tiny", tmp_path / "tiny.safetensors")
    return "tiny"


@pytest.fixture
def span(tmp_path: Path) -> str:
    """A stored network that spandrel builds."""
    architectures = pytest.importorskip("spandrel.architectures.SPAN", reason="needs the extra interop")
    torch.manual_seed(0)
    network = architectures.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2)
    torch.save(network.state_dict(), tmp_path / "span.pth")
    import_file(tmp_path / "span.pth", "span", None, False)
    return "span"


def test_half_precision_and_the_operator_set_follow_the_options(tiny: str, tmp_path: Path) -> None:
    export(tiny, tmp_path / "m.onnx", ExportOptions(precision="fp16", opset=20))
    model = onnx.load(tmp_path / "m.onnx")
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 20
    stored = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
    assert stored == {onnx.TensorProto.FLOAT16}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    picture = np.random.default_rng(0).random((1, 3, 20, 14), np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": picture})
    with torch.inference_mode():
        expected = load_model(tiny).network(torch.from_numpy(picture)).numpy()
    assert 0 < np.abs(found - expected).max() < 5e-3


def test_half_precision_in_safetensors(tiny: str, tmp_path: Path) -> None:
    export(tiny, tmp_path / "m.safetensors", ExportOptions(precision="fp16"))
    again, before = load_model(str(tmp_path / "m.safetensors")), load_model(tiny)
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor.half().float())


@pytest.mark.parametrize(("suffix", "opset"), [("onnx", 7), ("onnx", 99), ("safetensors", 18)])
def test_operator_sets_that_can_not_be_are_refused(suffix: str, opset: int, tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="opset"):
        export(tiny, tmp_path / f"m.{suffix}", ExportOptions(opset=opset))


def test_a_format_that_contradicts_the_name_is_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.safetensors is not a name for onnx.*Use .*m\.onnx"):
        export(tiny, tmp_path / "m.safetensors", ExportOptions(file_format="onnx"))


def test_an_exporter_that_crashes_gives_a_message(span: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example with signal 11, a segmentation fault."""
    asked: list[list[str]] = []

    def crash(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return subprocess.CompletedProcess(command, -11)

    monkeypatch.setattr(onnx_file.subprocess, "run", crash)
    with pytest.raises(ModelUnsupported, match="'span' is a SPAN network, which can't be written as ONNX"):
        export(span, tmp_path / "m.onnx", ExportOptions())
    assert not (tmp_path / "m.onnx").exists()
    assert len(asked) == 2, "for any size, then for one"


@pytest.mark.parametrize("gc", [8, 32])
def test_growth_channels_that_other_tools_refuse_are_reported(gc: int, tmp_path: Path) -> None:
    hyperparameters = {"nf": 8, "nb": 1, "gc": gc, "upsampler": "nearest"}
    network = archs.build("rrdbnet", hyperparameters)
    save_weights(tmp_path / "own.safetensors", network.state_dict(), WeightsHeader("rrdbnet", hyperparameters, 4))
    notes: list[str] = []
    export(str(tmp_path / "own.safetensors"), tmp_path / "out.safetensors", ExportOptions(), notes.append)
    assert [f"{gc} growth channels" in note for note in notes] == ([] if gc == 32 else [True])
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    try:
        spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "out.safetensors")
        loads = True
    except RuntimeError:
        loads = False
    assert loads == (gc == 32), "the note says what is so"


@pytest.mark.slow
@pytest.mark.parametrize("design", ["SPAN", "SwinIR", "OmniSR", "HAT", "RealCUGAN"])
def test_a_foreign_network_is_right_at_the_sizes_that_its_file_takes(design: str, tmp_path: Path) -> None:
    """Or it is refused; in any case the process survives."""
    architectures = pytest.importorskip(f"spandrel.architectures.{design}", reason="needs the extra interop")
    torch.manual_seed(0)
    windowed = {"upscale": 2, "window_size": 8, "embed_dim": 12, "depths": [2], "num_heads": [2], "mlp_ratio": 2}
    network = {
        "SPAN": lambda module: module.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2),
        "SwinIR": lambda module: module.SwinIR(**windowed, upsampler="pixelshuffledirect"),
        "OmniSR": lambda module: module.OmniSR(num_feat=16, res_num=1, up_scale=2),
        "HAT": lambda module: module.HAT(**windowed, squeeze_factor=4, num_feat=16),
        "RealCUGAN": lambda module: module.UpCunet2x(),
    }[design](architectures)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    import_file(tmp_path / "x.pth", "x", None, False)
    notes: list[str] = []
    try:
        export("x", tmp_path / "x.onnx", ExportOptions(), notes.append)
    except GramganError:
        assert not (tmp_path / "x.onnx").exists()
        return
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    sides = session.get_inputs()[0].shape[2:]
    fixed = all(isinstance(side, int) for side in sides)
    assert fixed == bool(notes)
    step = load_model("x").descriptor.multiple_of
    for height, width in [tuple(sides)] if fixed else [(41 * step, 35 * step), (32 * step, 57 * step)]:
        picture = torch.rand(1, 3, height, width)
        (found,) = session.run(None, {"image": picture.numpy()})
        with torch.inference_mode():
            expected = load_model("x").network(picture).numpy()
        assert np.abs(found.clip(0, 1) - expected).max() < 1e-3


@pytest.mark.slow
def test_the_given_network_does_not_crash_the_process(shared_cases: Path, tmp_path: Path) -> None:
    import_file(shared_cases / "span_onnx_segfault.pth", "x", None, False)
    try:
        export("x", tmp_path / "x.onnx", ExportOptions())
    except ModelUnsupported:
        assert not (tmp_path / "x.onnx").exists()
