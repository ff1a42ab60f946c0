"""Malicious checkpoints, and ones that only resemble known layouts: one message, and little memory used."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, ModelDamaged, ModelUnsupported
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.foreign import read_state_dict
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.commands import import_file

COMPACT = {"nf": 8, "nc": 1}
NF = 16


def peak() -> int:
    """Peak memory of this process in bytes."""
    resource = pytest.importorskip("resource", reason="needs Unix")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(archs.build("compact", COMPACT).state_dict())


def repacked(path: Path, method: int) -> None:
    """The same checkpoint with its records compressed."""
    with zipfile.ZipFile(path) as before:
        records = {info.filename: before.read(info) for info in before.infolist()}
    with zipfile.ZipFile(path, "w", method) as after:
        for name, content in records.items():
            after.writestr(name, content)


def test_a_tensor_larger_than_its_file_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """With stride 0, one number represents 2**30 in a file of a kilobyte."""
    bomb = torch.zeros(1).expand(2**30)
    torch.save({"body.0.weight": bomb}, tmp_path / "bomb.pth")
    before = peak()
    with pytest.raises(ModelDamaged, match=rf"'body.0.weight' alone needs {4 * 2**30}"):
        read_state_dict(tmp_path / "bomb.pth")
    assert peak() - before < 2**28


def test_many_tensors_that_share_one_are_refused_together(tmp_path: Path) -> None:
    shared = torch.zeros(5000)
    torch.save({f"a{number}": shared for number in range(50)}, tmp_path / "bomb.pth")
    with pytest.raises(ModelDamaged, match="need more than"):
        read_state_dict(tmp_path / "bomb.pth")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_records_are_refused(tmp_path: Path, method: int) -> None:
    torch.save({"x": torch.zeros(2**22)}, tmp_path / "bomb.pth")
    repacked(tmp_path / "bomb.pth", method)
    before = peak()
    with pytest.raises(ModelDamaged, match="compressed content"):
        read_state_dict(tmp_path / "bomb.pth")
    assert peak() - before < 2**23


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, device="meta"),
        torch.eye(3).to_sparse(),
        torch.zeros(3, dtype=torch.complex64),
    ],
    ids=["without content", "sparse", "complex"],
)
def test_tensors_that_are_not_plain_are_named(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({"body.0.weight": tensor}, tmp_path / "x.pth")
    with pytest.raises(GramganError, match=r"body\.0\.weight|not a readable checkpoint"):
        import_file(tmp_path / "x.pth", "x", None, False)


@pytest.mark.parametrize(
    "wrapper", ["params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net"]
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_every_wrapper_and_prefix_comes_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    tensors = state()
    torch.save({wrapper: {prefix + name: tensor for name, tensor in tensors.items()}}, tmp_path / "x.pth")
    found = read_state_dict(tmp_path / "x.pth")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_a_torchscript_program_is_refused_by_name(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Conv2d(3, 3, 3), torch.rand(1, 3, 8, 8)), tmp_path / "x.pt")
    with pytest.raises(ModelUnsupported, match="TorchScript"):
        import_file(tmp_path / "x.pt", "x", None, False)


@pytest.mark.parametrize("index", ["999999", "9" * 5000])
def test_a_key_that_stands_for_millions_of_layers_is_refused_at_once(tmp_path: Path, index: str) -> None:
    torch.save({**state(), f"body.{index}.weight": torch.zeros(12, 8, 3, 3)}, tmp_path / "x.pth")
    with pytest.raises(GramganError):
        import_file(tmp_path / "x.pth", "x", None, False)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("layers.0.residual_group.blocks.0.attn.aligned_relative_position_index", "SRFormer"),
        ("stylegan_decoder.style_mlp.1.weight", "GFPGAN"),
        ("stylegan_decoderUDC.style_mlp.1.weight", "GFPGAN"),
    ],
)
def test_common_unsupported_checkpoints_are_refused_with_one_short_message(
    tmp_path: Path, key: str, message: str
) -> None:
    torch.save({"params_ema": {key: torch.zeros(3, 3)}}, tmp_path / "x.pth")
    with pytest.raises(ModelUnsupported, match=message) as caught:
        import_file(tmp_path / "x.pth", "x", None, False)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 120


class Dense(nn.Module):
    """ESRGAN's residual dense block (Wang et al. 2018); ESRGAN+ adds a 1x1 convolution (Rakotonirina 2020)."""

    def __init__(self, plus: bool) -> None:
        super().__init__()
        for number in range(5):
            self.add_module(f"conv{number + 1}", nn.Conv2d(NF + 32 * number, 32 if number < 4 else NF, 3, padding=1))
        if plus:
            self.conv1x1 = nn.Conv2d(NF, 32, 1, bias=False)
        self.plus = plus

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for number in range(4):
            out = F.leaky_relu(self.get_submodule(f"conv{number + 1}")(torch.cat(found, 1)), 0.2)
            if self.plus and number == 1:
                out = out + self.conv1x1(x)
            if self.plus and number == 3:
                out = out + found[2]
            found.append(out)
        return x + 0.2 * self.conv5(torch.cat(found, 1))


class Block(nn.Module):
    def __init__(self, plus: bool) -> None:
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = Dense(plus), Dense(plus), Dense(plus)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.RDB3(self.RDB2(self.RDB1(x)))


class Plain(nn.Module):
    """ESRGAN's network with its newer names, for any power of two, without pixel-unshuffling (BSRGANx2's layout)."""

    def __init__(self, scale: int, plus: bool = False) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, NF, 3, padding=1)
        self.RRDB_trunk = nn.Sequential(Block(plus))
        self.trunk_conv = nn.Conv2d(NF, NF, 3, padding=1)
        self.steps = scale.bit_length() - 1
        for number in range(self.steps):
            self.add_module(f"upconv{number + 1}", nn.Conv2d(NF, NF, 3, padding=1))
        self.HRconv = nn.Conv2d(NF, NF, 3, padding=1)
        self.conv_last = nn.Conv2d(NF, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        x = x + self.trunk_conv(self.RRDB_trunk(x))
        for number in range(self.steps):
            x = F.interpolate(x, scale_factor=2)
            x = F.leaky_relu(self.get_submodule(f"upconv{number + 1}")(x), 0.2)
        return self.conv_last(F.leaky_relu(self.HRconv(x), 0.2))


def rrdbnet(scale: int, plus: bool = False) -> nn.Module:
    pytest.importorskip("spandrel", reason="needs the extra interop")
    torch.manual_seed(0)
    network = Plain(scale, plus).eval()
    with torch.no_grad():  # keeps results between black and white
        network.conv_last.weight.normal_(std=0.2)
        network.conv_last.bias.fill_(0.5)
    return network


@pytest.mark.parametrize(
    ("scale", "options"),
    [(1, {}), (2, {}), (8, {}), (16, {}), (4, {"plus": True})],
    ids=["x1", "x2", "x8", "x16", "plus"],
)
def test_rrdbnets_of_other_layouts_come_in_through_spandrel(
    tmp_path: Path, scale: int, options: dict[str, Any]
) -> None:
    """No pixel-unshuffle at x1 and x2, more upsamplers at x8 and x16, ESRGAN+'s extra convolution."""
    network = rrdbnet(scale, **options)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    import_file(tmp_path / "x.pth", "x", None, False)
    loaded = load_model("x")
    assert loaded.descriptor.scale == scale
    picture = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        expected, found = network(picture).clamp(0, 1), loaded.network(picture)
    assert expected.std() > 0.01
    assert (found - expected).abs().max() < 1 / 255


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors: tensors.update({"conv_first.weight": torch.zeros(3)}),
        lambda tensors: tensors.pop("conv_last.weight"),
        lambda tensors: tensors.update({name: torch.zeros(0) for name in tensors}),
    ],
)
def test_long_spandrel_errors_become_one_message(tmp_path: Path, damage: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = dict(rrdbnet(8).state_dict())
    damage(tensors)
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(GramganError) as caught:
        import_file(tmp_path / "x.pth", "x", None, False)
    message = str(caught.value).replace(str(tmp_path), "")
    assert len(message) < 300
    assert "\n" not in message
    assert not re.search("state_dict|Traceback|Error", message)


@pytest.mark.parametrize("name", ["wrap_params-ema.pth", "rrdb_x1_basicsr.pth"])
def test_given_cases_equal_spandrel(name: str, shared_cases: Path, tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    import_file(shared_cases / name, "x", None, False)
    picture = torch.rand(1, 3, 16, 20)
    expected = spandrel.ModelLoader(device="cpu").load_from_file(shared_cases / name)
    with torch.no_grad():
        assert (load_model("x").network(picture).clamp(0, 1) - expected(picture)).abs().max() < 1 / 255


def test_the_given_bomb_is_refused(shared_cases: Path) -> None:
    with pytest.raises(ModelDamaged):
        read_state_dict(shared_cases / "stride_bomb.pth")


def test_random_bytes_as_a_zip_are_one_sentence(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state(), buffer)
    content = bytearray(buffer.getvalue())
    for position in range(40, len(content), len(content) // 60):
        broken = bytes([*content[:position], content[position] ^ 0xFF, *content[position + 1 :]])
        (tmp_path / "x.pth").write_bytes(broken)
        with suppress(GramganError):  # anything else fails the test
            import_file(tmp_path / "x.pth", "x", None, True)


def test_interop_needs_spandrel_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert not interop.is_installed()
