"""Safe reading of torch checkpoints from any source: no code is executed, and memory is bounded by the file's size.

Three ways for a small file to use much memory are blocked: compressed records (torch stores records uncompressed),
tensors that repeat one number through a stride of 0, and sizes that exceed the file.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gramgan_cli.core.errors import GramganError, ModelDamaged, ModelUnsupported
from gramgan_cli.core.io.files import check_regular_source

MOST_SHARING = 4
"""Maximum total size of the tensors relative to the file, since several names may share a tensor."""


def read_pickle(path: Path) -> object:
    """Return the content of a checkpoint, on the CPU, read with torch's ``weights_only``.

    Raises:
        ModelUnsupported: a TorchScript program, or a pickle with more than tensors.
        ModelDamaged: the file can't be read, or is compressed.
        GramganError: there is no such file.
    """
    if not path.exists():
        raise GramganError(f"There is no file {path}.")
    check_regular_source(path)
    try:
        if zipfile.is_zipfile(path):
            _check_records(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelUnsupported(
            f"{path} is not a checkpoint, or it contains more than tensors. That could run code, so it was not loaded.",
            "Ask its publisher for a safetensors file.",
        ) from error
    except GramganError:
        raise
    except Exception as error:
        # torch's unpickler runs on arbitrary bytes and may raise anything.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelDamaged(f"{path} is not a readable checkpoint ({reason}).") from error


def _check_records(path: Path) -> None:
    """Raise for a zip file whose records are compressed, larger than the file, or part of a program."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
    if any("/code/" in f"/{record.filename}" or record.filename.endswith("constants.pkl") for record in records):
        raise ModelUnsupported(
            f"{path} is a TorchScript program, which gramgan does not run.", "Use its weights file instead."
        )
    packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
    if packed or sum(record.file_size for record in records) > path.stat().st_size:
        raise ModelDamaged(f"{path} has compressed content, unlike any checkpoint of torch, so it was refused.")


def check_size(tensors: dict[str, Tensor], path: Path) -> None:
    """Raise for tensors that are larger than their file, before anything copies them.

    Raises:
        ModelDamaged: with the name of the first tensor that the file can't hold.
    """
    size = path.stat().st_size
    total = 0
    for name, tensor in tensors.items():
        bytes_ = tensor.numel() * tensor.element_size()
        total += bytes_
        if bytes_ > size or total > MOST_SHARING * size:
            raise ModelDamaged(
                f"{path} has {size} bytes, but its tensor '{name}' alone needs {bytes_}, so it was refused."
                if bytes_ > size
                else f"{path} has {size} bytes, but its tensors need more than {total}, so it was refused."
            )


def is_plain(value: Any) -> bool:
    """Return whether ``value`` is a dense, real CPU tensor: not sparse, quantised, complex or on the meta device."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_complex())
    )
