"""Choosing the backend that runs a model: torch, or a faster CPU runtime with a converted copy of the network."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.backends.layers import layers_of
from gramgan_cli.core.backends.ncnn_files import write_ncnn
from gramgan_cli.core.backends.networks import NcnnNetwork, OnnxNetwork, OpenVinoNetwork
from gramgan_cli.core.backends.openvino_model import write_openvino
from gramgan_cli.core.backends.without_telemetry import openvino_precisions
from gramgan_cli.core.errors import (
    GramganError,
    MissingExtra,
    ModelUnsupported,
    NotConvertible,
    PrecisionUnavailable,
    UsageError,
)
from gramgan_cli.core.io.files import UNFINISHED, clear_leftovers, unfinished_prefix
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.load import LoadedModel

FORMAT = 1
"""Format version of converted networks; older ones are converted again."""

KEPT = 24
"""Maximum number of converted networks in the store; the oldest are deleted first."""


@dataclass(frozen=True)
class Backend:
    """A runtime for converted networks."""

    packages: tuple[str, ...]
    """Modules that must be importable."""
    precisions: Callable[[], tuple[str, ...]]
    """Returns the precisions supported on this processor, if the backend is installed; 'auto' is fp32 on the CPU."""
    write: Callable[[LoadedModel, Path], None]
    """Converts a model into files in a folder."""
    read: Callable[[Path, int, str], nn.Module]
    """Loads the network from such a folder, for a number of threads and a precision."""


def _write_onnx(model: LoadedModel, folder: Path) -> None:
    from gramgan_cli.core.backends.onnx_file import write_onnx

    try:
        write_onnx(model, folder / "network.onnx", any_size=True)
    except ModelUnsupported as error:
        raise NotConvertible(error.message) from error


BACKENDS = {
    "ncnn": Backend(
        ("ncnn",),
        lambda: ("auto", "fp32"),
        lambda model, folder: write_ncnn(layers_of(model.network), folder / "network.param"),
        lambda folder, threads, _: NcnnNetwork(folder / "network.param", threads),
    ),
    "openvino": Backend(
        ("openvino",),
        openvino_precisions,
        lambda model, folder: write_openvino(layers_of(model.network), folder / "network.xml"),
        lambda folder, threads, precision: OpenVinoNetwork(folder / "network.xml", threads, precision),
    ),
    "onnx": Backend(
        ("onnxruntime", "onnx", "onnxscript"),
        lambda: ("auto", "fp32"),
        _write_onnx,
        lambda folder, threads, _: OnnxNetwork(folder / "network.onnx", threads),
    ),
}

FASTEST_FIRST = ("ncnn", "openvino")
"""Backends that are faster than torch on the CPU (docs/performance.md), fastest first. ONNX Runtime is not."""


@dataclass(frozen=True)
class Chosen:
    """The backend chosen for a model."""

    name: str
    """'torch', or a key of ``BACKENDS``."""
    device: torch.device
    converted: nn.Module | None
    """The converted network that replaces torch's; None for 'torch'."""


def choose_backend(wanted: str, model: LoadedModel, device: str, precision: str) -> Chosen:
    """Choose the backend for a model: the one of that name, or for 'auto' the fastest that is installed and suitable.

    Args:
        wanted: name of a backend, or 'auto', which uses torch on other devices than the CPU and for networks that can't
            be converted.
        model: the loaded model.
        device: name of a device, or 'auto'.
        precision: 'auto', 'fp32', 'fp16' or 'bf16'.

    Raises:
        UsageError: the backend does not run on that device.
        PrecisionUnavailable: the backend does not support that precision on this processor.
        MissingExtra: the backend is not installed.
        NotConvertible: the backend can't run this network.
    """
    if wanted == "auto":
        return _fastest(model, pick_device(device), precision)
    if wanted == "torch":
        return _torch(pick_device(device))
    if device not in ("auto", "cpu"):
        raise UsageError(f"The backend {wanted} runs on the CPU, not on {device}.", "Leave out one of the two.")
    if not is_installed(wanted):
        raise MissingExtra(f"{wanted} is not installed.", wanted)
    known = BACKENDS[wanted].precisions()
    if not known:
        raise PrecisionUnavailable(f"{wanted} gives wrong results on this processor.", "torch runs on every processor.")
    if precision not in known:
        raise PrecisionUnavailable(
            f"{wanted} does not support {precision} on this processor.", f"It supports {', '.join(known)}."
        )
    return _converted(wanted, model, precision)


def is_installed(name: str) -> bool:
    """Return whether a backend's packages are installed."""
    return all(importlib.util.find_spec(package) is not None for package in BACKENDS[name].packages)


def _fastest(model: LoadedModel, device: torch.device, precision: str) -> Chosen:
    if device.type == "cpu":
        for name in FASTEST_FIRST:
            if is_installed(name) and precision in BACKENDS[name].precisions():
                with suppress(NotConvertible):
                    return _converted(name, model, precision)
    return _torch(device)


def _torch(device: torch.device) -> Chosen:
    return Chosen("torch", device, None)


def _converted(name: str, model: LoadedModel, precision: str) -> Chosen:
    """Load the converted model, converting it first if the store does not have it."""
    if model.descriptor.needs_reference:
        raise NotConvertible(f"'{model.name}' takes a reference image, which only torch supports.")
    if model.descriptor.in_channels != 3:
        raise NotConvertible(f"'{model.name}' takes grey images, which only torch supports.")
    backend = BACKENDS[name]
    folder = store.store_dir() / "converted" / f"{_key(model)}.{name}.{FORMAT}"
    if not folder.is_dir():
        _convert(backend, model, folder)
    network = backend.read(folder, torch.get_num_threads(), "fp32" if precision == "auto" else precision)
    return Chosen(name, torch.device("cpu"), network.eval())


def _key(model: LoadedModel) -> str:
    """Return a hash of the network's architecture and weights."""
    digest = hashlib.sha256(f"{model.header.arch} {sorted(model.header.hyperparameters.items())}".encode())
    for name, tensor in model.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()[:40]


def _convert(backend: Backend, model: LoadedModel, folder: Path) -> None:
    """Write the converted files to a folder atomically. If two processes do so, the first one's folder is kept."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder.parent)
        _forget_the_oldest(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=unfinished_prefix(folder.name), suffix=UNFINISHED, dir=folder.parent))
    except OSError as error:
        raise GramganError(f"Can't write {folder.parent}: {error.strerror or error}.") from error
    try:
        backend.write(model, temporary)
        with suppress(FileExistsError):
            temporary.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise GramganError(f"Can't write {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _forget_the_oldest(folder: Path) -> None:
    """Delete the oldest converted networks. Mixed models are unlimited in number and quick to convert again."""
    made = sorted((path.stat().st_mtime, path) for path in folder.iterdir() if not path.name.startswith("."))
    for _, path in made[: max(0, len(made) + 1 - KEPT)]:
        shutil.rmtree(path, ignore_errors=True)
