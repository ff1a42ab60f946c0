"""A model on a device, ready to run: in torch, or as a converted copy in a runtime that is faster on the CPU."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
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
from gramgan_cli.core.images.mark import Mark
from gramgan_cli.core.io.files import UNFINISHED, clear_leftovers
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import LoadedModel, load_model, weights_file
from gramgan_cli.core.weights.mixing.mixture import Mixture
from gramgan_cli.engines.upscale.limits import tile_budget
from gramgan_cli.engines.upscale.options import BackendChoice, UpscaleOptions
from gramgan_cli.engines.upscale.upscaler import Interpolator, Upscaler

Array = NDArray[Any]

FORMAT = 1
"""Counted up when converted networks change; older ones are then made again."""

KEPT = 24
"""Converted networks that the store keeps; beyond, those that were made first go."""


class BandSource(Protocol):
    """An ``Upscaler``, an ``Interpolator`` or a ``ReferenceUpscaler``."""

    scale: int
    on_note: Callable[[str], None]

    @property
    def tile(self) -> int:
        """Tile side in input pixels, 0 for the whole image."""

    def bands(self, image: Array) -> Iterator[Array]:
        """Finished rows, from top to bottom."""


@dataclass(frozen=True)
class Session:
    """A model on a device, ready to run."""

    name: str
    """The model's."""
    device: str
    backend: str
    """What runs the network; empty for interpolations."""
    source: BandSource
    header: WeightsHeader | None
    """What its weights say of themselves; None for interpolations."""
    sha256: str | None
    """Checksum of its weights file; None for interpolations."""
    settings: str
    """``UpscaleOptions.described()``: what else decides how results look."""

    @property
    def scale(self) -> int:
        """Output side over input side."""
        return self.source.scale

    def mark(self, input_sha256: str) -> Mark:
        """The mark of a result that this session makes of a picture with this checksum."""
        facts = json.dumps([self.name, self.sha256, self.settings, input_sha256])
        return Mark(self.name, hashlib.sha256(facts.encode()).hexdigest()[:32])


def weights_content(model: str, loaded: LoadedModel) -> bytes:
    """The weights file of a loaded model; for a mixture the file that it would make."""
    if Mixture.parse(model) is None:
        return weights_file(model).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.safetensors"
        save_weights(path, loaded.network.state_dict(), loaded.header)
        return path.read_bytes()


def weights_sha256(model: str, loaded: LoadedModel) -> str:
    """The checksum of ``weights_content``."""
    return hashlib.sha256(weights_content(model, loaded)).hexdigest()


def open_session(options: UpscaleOptions, on_note: Callable[[str], None] = lambda _text: None) -> Session:
    """Load the model of ``options`` (or take the interpolation) for its device and backend.

    Args:
        options: model, reference, device, backend, precision, tile, tta, seamless and max_memory count.
        on_note: called with what the user should know, such as that the reference was reduced.

    Raises:
        GramganError: there is no such model, or its backend is not installed.
        UsageError: options that contradict the model or one another, or a device that is not there.
    """
    if options.reference is not None:
        from gramgan_cli.engines.upscale.reference import open_reference_session

        return open_reference_session(options, on_note)
    if options.model in BASELINES:
        return _open_interpolation(options)
    loaded = load_model(options.model)
    if loaded.descriptor.needs_reference:
        raise UsageError(f"The model '{loaded.name}' needs a reference picture.", "Name one with --ref PHOTO.")
    checksum = weights_sha256(options.model, loaded)
    chosen = choose_backend(options.backend, loaded, options.device, options.precision)
    limited = options.max_memory is not None and chosen.device.type == "cpu"
    upscaler = Upscaler(
        loaded,
        chosen.device,
        options.tile,
        options.precision,
        tta=options.tta,
        seamless=options.seamless,
        max_memory=tile_budget(options.max_memory or 0) if limited else None,
        converted=chosen.converted,
    )
    return Session(loaded.name, str(chosen.device), chosen.name, upscaler, loaded.header, checksum, options.described())


def _open_interpolation(options: UpscaleOptions) -> Session:
    """An interpolation is a formula: what would change a network changes nothing."""
    pick_device(options.device)
    if options.tta or options.precision != "auto":
        raise UsageError(
            f"{'--tta' if options.tta else '--precision'} changes nothing for an interpolation.", "Leave it out."
        )
    if options.backend not in ("auto", "torch"):
        raise UsageError(
            f"'{options.model}' is a formula: {options.backend} has nothing to run.", "Leave out --backend."
        )
    source = Interpolator(options.model, options.tile, options.seamless)
    return Session(options.model, "cpu", "", source, None, None, options.described())


@dataclass(frozen=True)
class Backend:
    """A runtime for converted networks."""

    packages: tuple[str, ...]
    """Modules that must be importable."""
    precisions: Callable[[], tuple[str, ...]]
    """What it computes in on this processor, once it is installed; 'auto' means fp32 on the CPU."""
    write: Callable[[LoadedModel, Path], None]
    """Convert a model into files in a folder."""
    read: Callable[[Path, int, str], nn.Module]
    """The network of such a folder, for a number of threads and a precision."""


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
"""What is faster than torch on the CPU, by docs/performance.md; ONNX Runtime is not."""


@dataclass(frozen=True)
class Chosen:
    """What runs a model's network."""

    name: str
    """'torch', or a key of ``BACKENDS``."""
    device: torch.device
    converted: nn.Module | None
    """What runs in the place of torch's network; None for 'torch'."""


def choose_backend(wanted: BackendChoice, model: LoadedModel, device: str, precision: str) -> Chosen:
    """What runs the model: the backend of that name, or for 'auto' the fastest that is installed and can.

    Args:
        wanted: 'auto' takes torch on anything but the CPU, and for networks that can't be converted.
        model: with its network.
        device: what ``--device`` says.
        precision: what ``--precision`` says.

    Raises:
        UsageError: the backend does not run on that device.
        PrecisionUnavailable: it does not compute in that precision on this processor.
        MissingExtra: it is not installed.
        NotConvertible: it can't run this network.
    """
    if wanted == "auto":
        return _fastest(model, pick_device(device), precision)
    if wanted == "torch":
        return _torch(pick_device(device))
    if device not in ("auto", "cpu"):
        raise UsageError(f"--backend {wanted} runs on the CPU, not on {device}.", "Leave out --device or --backend.")
    if not is_installed(wanted):
        raise MissingExtra(f"{wanted} is not installed.", wanted)
    known = BACKENDS[wanted].precisions()
    if precision not in known:
        raise PrecisionUnavailable(
            f"{wanted} does not compute in {precision} on this processor.", f"It computes in {', '.join(known)}."
        )
    return _converted(wanted, model, precision)


def is_installed(name: str) -> bool:
    """Whether a backend's packages are here."""
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
    """The model in that runtime; converted once, then found in the store."""
    if model.descriptor.needs_reference:
        raise NotConvertible(f"'{model.name}' takes a reference picture, which only torch can run.")
    backend = BACKENDS[name]
    folder = store.store_dir() / "converted" / f"{_key(model)}.{name}.{FORMAT}"
    if not folder.is_dir():
        _convert(backend, model, folder)
    network = backend.read(folder, torch.get_num_threads(), "fp32" if precision == "auto" else precision)
    return Chosen(name, torch.device("cpu"), network.eval())


def _key(model: LoadedModel) -> str:
    """SHA-256 of the network's kind and all its numbers."""
    digest = hashlib.sha256(f"{model.header.arch} {sorted(model.header.hyperparameters.items())}".encode())
    for name, tensor in model.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()[:40]


def _convert(backend: Backend, model: LoadedModel, folder: Path) -> None:
    """Write the converted files into a folder that appears whole; of two processes doing so, the first one's stays."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder.parent)
        _forget_the_oldest(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".", suffix=UNFINISHED, dir=folder.parent))
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
    """Mixed models come in any number; each is quick to convert again."""
    made = sorted((path.stat().st_mtime, path) for path in folder.iterdir() if not path.name.startswith("."))
    for _, path in made[: max(0, len(made) + 1 - KEPT)]:
        shutil.rmtree(path, ignore_errors=True)
