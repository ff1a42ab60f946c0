"""Networks as ONNX files, checked against torch if the network is imported.

Imported networks are exported in a separate process, because torch's exporter crashes on some of them. Many also fix
sizes at those of the traced image. The file is therefore run at other sizes; if the results are wrong, it is written
for one size only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.backends.without_telemetry import import_onnxruntime
from gramgan_cli.core.errors import GramganError, MissingExtra, ModelUnsupported, UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import KEY, save_weights
from gramgan_cli.core.weights.load import LoadedModel, load_model

OPSET = 18
"""Default opset, which all current runtimes read."""
OPSETS = range(18, 24)
"""Opsets that torch's exporter can write."""

TRACED_SIDE = 32
"""Side of the traced image, rounded up to the network's multiple."""
FIXED_SIDE = 64
"""Side of the only accepted image, if the network does not allow other sizes; rounded up likewise."""
TOLERANCE = 1e-3
"""Largest allowed difference from torch, on the [0, 1] scale."""


def write_onnx(
    model: LoadedModel,
    output: Path,
    opset: int = OPSET,
    half: bool = False,
    any_size: bool = False,
    on_note: Callable[[str], None] = lambda _text: None,
) -> None:
    """Write an ONNX file with input 'image' (batch, 3, height, width) and output 'upscaled', RGB in [0, 1], float32.

    Networks of one channel have (batch, 1, height, width). The header is stored in the metadata under ``gramgan``.
    Sizes are dynamic; if that is impossible, they are fixed, with a note.

    Args:
        model: any model that takes no reference image.
        output: the file to write.
        opset: version of the operator set, one of ``OPSETS``.
        half: store weights and compute in float16; input and output stay float32.
        any_size: raise for a network whose file would accept one image size only.
        on_note: called with messages for the user.

    Raises:
        UsageError: an unsupported opset.
        MissingExtra: onnx, onnxscript or onnxruntime is not installed.
        ModelUnsupported: the network can't be written as ONNX.
    """
    if opset not in OPSETS:
        raise UsageError(f"ONNX files can be written in opsets {OPSETS[0]} to {OPSETS[-1]}, not {opset}.")
    try:
        import_onnxruntime()  # for its converter to float16
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter works through it)
    except ModuleNotFoundError as error:
        raise MissingExtra("Writing ONNX needs packages that are not installed.", "onnx") from error
    if model.descriptor.needs_reference:
        raise ModelUnsupported(f"'{model.name}' takes a reference image, which the ONNX export does not support.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        if model.header.arch == interop.ARCH:
            _export_apart(model, file, opset, any_size, on_note)
        else:
            _export(model.network, file, model.descriptor, opset)
        proto = onnx.load(file)
    if half:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        proto = convert_float_to_float16(proto, keep_io_types=True)
    proto.metadata_props.append(onnx.StringStringEntryProto(key=KEY, value=json.dumps(asdict(model.header))))
    with replacing(output) as temporary:
        onnx.save(proto, temporary)


def _export(network: nn.Module, file: Path, described: Descriptor, opset: int, fixed: bool = False) -> None:
    """Write the file with torch's exporter, for any size or, with ``fixed``, for one."""
    side = _rounded(FIXED_SIDE if fixed else TRACED_SIDE, described.multiple_of)
    program = torch.onnx.export(
        network,
        (torch.rand(1 if fixed else 2, described.in_channels, side, side),),
        dynamo=True,
        opset_version=opset,
        input_names=["image"],
        output_names=["upscaled"],
        dynamic_shapes=None if fixed else (_dynamic_sides(described.multiple_of),),
        verbose=False,
    )
    assert program is not None
    program.save(file)


def _rounded(side: int, multiple_of: int) -> int:
    return -(-side // multiple_of) * multiple_of


def _dynamic_sides(multiple_of: int) -> dict[int, Any]:
    """Return dynamic batch, height and width of (B, C, H, W), with sides that are multiples of the network's."""
    if multiple_of == 1:
        return {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
    return {0: Dim("batch"), 2: multiple_of * Dim("rows"), 3: multiple_of * Dim("columns")}


def _export_apart(model: LoadedModel, file: Path, opset: int, any_size: bool, on_note: Callable[[str], None]) -> None:
    """Write and check the file in a separate process, for any size or else for one."""
    weights = file.with_name("weights.safetensors")
    network = model.network.network if isinstance(model.network, interop.SpandrelNetwork) else model.network
    save_weights(weights, network.state_dict(), model.header)
    for fixed in (False,) if any_size else (False, True):
        command = [sys.executable, "-m", __name__, str(weights), str(file), str(opset), *(["fixed"] if fixed else [])]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            if fixed:
                side = _rounded(FIXED_SIDE, model.descriptor.multiple_of)
                on_note(
                    f"This network ({model.descriptor.arch}) can't be exported for every size: the file takes images "
                    f"of {side}x{side} pixels, one at a time. Cut larger images into tiles of that size."
                )
            return
    raise ModelUnsupported(f"'{model.name}' is a {model.descriptor.arch} network, which can't be written as ONNX.")


def _check(network: nn.Module, file: Path, sides: list[tuple[int, int]]) -> None:
    """Raise ``GramganError`` if the file's output differs from torch's for images of these sizes."""
    session = import_onnxruntime().InferenceSession(file, providers=["CPUExecutionProvider"])
    for height, width in sides:
        image = torch.rand(1, 3, height, width)
        with torch.inference_mode():
            expected = network(image).numpy()
        (found,) = session.run(None, {"image": image.numpy()})
        if found.shape != expected.shape or not np.abs(found - expected).max() < TOLERANCE:
            raise GramganError(f"{file} gives wrong results for images of {width}x{height} pixels.")


def main(weights: str, file: str, opset: str, *fixed: str) -> None:
    """Export and check the file. Any failure here ends only this process."""
    model = load_model(weights)
    network = model.network.network if isinstance(model.network, interop.SpandrelNetwork) else model.network
    multiple_of = model.descriptor.multiple_of
    _export(network, Path(file), model.descriptor, int(opset), bool(fixed))
    side = _rounded(FIXED_SIDE if fixed else TRACED_SIDE, multiple_of)
    # Odd sizes, at which networks with internal padding have to pad.
    others = [(side + 5 * multiple_of, side + 3 * multiple_of), (side, 2 * side + multiple_of)]
    _check(network, Path(file), [(side, side)] if fixed else others)


if __name__ == "__main__":
    main(*sys.argv[1:])
