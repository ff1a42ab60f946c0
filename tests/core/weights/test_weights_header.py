"""gramgan's weights file: round trips, and one message for damaged files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gramgan_cli.core import archs
from gramgan_cli.core.errors import ForeignWeights, GramganError
from gramgan_cli.core.weights.header import WeightsHeader, read_header, read_weights, save_weights
from gramgan_cli.core.weights.load import load_model

TINY = {"nf": 4, "nc": 1, "scale": 2}
HEADER = WeightsHeader(
    arch="compact",
    hyperparameters=TINY,
    scale=2,
    licence="CC0-1.0",
    trained_for="tests: ä, ✓",
    training={"recipe": "psnr", "data": ["a", "b"], "hours": 1.5, "seed": 0, "nested": {"deep": None}},
    metrics={"Set5": {"psnr_y": 31.25, "ssim_y": 0.88}},
)


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return archs.build("compact", TINY).state_dict()


def test_header_and_tensors_come_back(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", tensors(), HEADER)
    header, read = read_weights(tmp_path / "w.safetensors")
    assert header == HEADER
    assert read.keys() == tensors().keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors().items())


def test_the_header_is_json_in_the_safetensors_metadata(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", tensors(), HEADER)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        fields = json.loads(file.metadata()["gramgan"])
    assert fields["training"]["hours"] == 1.5
    assert fields["format"] == 1


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_weights(tmp_path / name, tensors(), HEADER)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_own_weights_never_use_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("a pickle was used")

    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    path = tmp_path / "w.safetensors"
    save_weights(path, tensors(), HEADER)
    load_model(str(path))
    # The safetensors format: a little-endian length, then JSON, then raw numbers.
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    described = json.loads(content[8 : 8 + length])
    end = max(entry["data_offsets"][1] for name, entry in described.items() if name != "__metadata__")
    assert len(content) == 8 + length + end


def with_metadata(path: Path, **changes: Any) -> Path:
    """A file with changed header fields; None removes a field."""
    fields = {"format": 1, **json.loads(HEADER.to_metadata()["gramgan"]), **changes}
    fields = {name: value for name, value in fields.items() if value is not None}
    save_file(tensors(), path, metadata={"gramgan": json.dumps(fields)})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": None},
        {"arch": "nothing"},
        {"arch": 5},
        {"arch": []},
        {"hyperparameters": None},
        {"hyperparameters": [1]},
        {"hyperparameters": "nf"},
        {"hyperparameters": {"nf": -4, "nc": 1, "scale": 2}},
        {"hyperparameters": {"nf": 10**12, "nc": 1, "scale": 2}},
        {"hyperparameters": {"nf": 4, "nc": 10**9, "scale": 2}},
        {"hyperparameters": {"nf": 4, "nc": 2, "scale": 2}},
        {"hyperparameters": {"nf": "4", "nc": 1, "scale": 2}},
        {"hyperparameters": {"nf": 4.5, "nc": 1, "scale": 2}},
        {"hyperparameters": {"nf": None, "nc": 1, "scale": 2}},
        {"hyperparameters": {"nf": 4, "nc": 1, "scale": 0}},
        {"hyperparameters": {"colour": 4}},
        {"scale": 4},
        {"scale": "2"},
        {"scale": None},
        {"format": 2},
        {"surplus": 1},
    ],
    ids=json.dumps,
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = with_metadata(tmp_path / "w.safetensors", **changes)
    with pytest.raises(GramganError, match=r"w\.safetensors"):
        load_model(str(path))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "{}", '{"format": 1}'])
def test_a_header_that_is_no_header_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(tensors(), path, metadata={"gramgan": text})
    with pytest.raises(GramganError, match=r"w\.safetensors"):
        read_header(path)


def test_a_foreign_file_is_sent_to_import(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "w.safetensors")
    with pytest.raises(ForeignWeights, match="no gramgan header"):
        load_model(str(tmp_path / "w.safetensors"))


def test_a_cut_file_is_refused_at_every_length(tmp_path: Path) -> None:
    whole = tmp_path / "w.safetensors"
    save_weights(whole, tensors(), HEADER)
    content = whole.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        (tmp_path / "cut.safetensors").write_bytes(content[:length])
        with pytest.raises(GramganError, match=r"cut\.safetensors"):
            load_model(str(tmp_path / "cut.safetensors"))
