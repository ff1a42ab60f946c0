"""Models and their store: list, download, import, export, mix and verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import fspath
from pathlib import Path
from typing import Any, Literal, get_args

from gramgan_cli.api.arguments import AnyPath, listed
from gramgan_cli.api.callbacks import ignore
from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import check_choice, check_share
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.catalogue import CatalogueEntry
from gramgan_cli.core.weights.store import StoredModel
from gramgan_cli.engines.models import commands, interpolate
from gramgan_cli.engines.models.commands import ModelRow as Model
from gramgan_cli.engines.models.export import ExportOptions, export

__all__ = ["Model", "StoredModel", "models"]

Format = Literal["safetensors", "onnx"]
"""File formats of exported models."""
Precision = Literal["fp32", "fp16"]
"""Precisions of exported weights."""


def models(on_note: Callable[[str], None] = ignore) -> list[Model]:
    """List the models of the package and the store, then the interpolations.

    Args:
        on_note: called with a message for each stored model whose file is damaged.

    Returns:
        Name, architecture, scale, number of parameters, licence and scores of each.
    """
    rows, problems = commands.list_models()
    for problem in problems:
        on_note(problem)
    return rows


def model_catalogue() -> list[CatalogueEntry]:
    """List models that can be downloaded and are not in the store yet."""
    return commands.list_catalogue()


def model_info(name: str) -> Mapping[str, Any]:
    """Describe one model; the content of ``gramgan models info NAME --json``.

    Raises:
        ModelNotFound: there is no such model.
    """
    return commands.info(name)


def model_path(name: str) -> Path:
    """Path of a model's weights file.

    Raises:
        ModelNotFound: there is no such model with weights.
    """
    return commands.path_of(name)


def pull_model(
    source: AnyPath,
    *,
    name: str | None = None,
    sha256: str | None = None,
    licence: str | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> StoredModel:
    """Download a model into the store. An interrupted download is resumed.

    Args:
        source: name in the catalogue, http(s) URL, or file.
        name: name in the store; by default the catalogue's, or one derived from the file name.
        sha256: expected checksum; by default the catalogue's.
        licence: SPDX expression of the weights' licence, such as 'MIT'.
        overwrite: replace a model of the same name.
        on_progress: called with (bytes done, total bytes or None).

    Returns:
        Name, file and checksum of the stored model.

    Raises:
        ModelNotFound: ``source`` is not a known model, file or URL.
        ModelExists: the store already has a model of that name.
        DownloadFailed, Offline: the download failed.
        UsageError: the licence is not an SPDX expression, or the source not a URL.
        GramganError: the checksum does not match, or the file has no weights that gramgan knows.
    """
    return commands.pull(fspath(source), name, sha256, licence, overwrite, on_progress)


def import_model(file: AnyPath, name: str, *, licence: str | None = None, overwrite: bool = False) -> StoredModel:
    """Import a .pth or .safetensors file of another tool into the store.

    Args:
        file: weights of ESRGAN, BasicSR, Real-ESRGAN or Compact; with the extra [interop], of many more networks.
        name: name in the store.
        licence: SPDX expression of the weights' licence, such as 'MIT'.
        overwrite: replace a model of the same name.

    Raises:
        ModelExists: the store already has a model of that name.
        ModelUnsupported: the weights are not of a known network.
        UsageError: the licence is not an SPDX expression.
    """
    return commands.import_file(Path(file), name, licence, overwrite)


def export_model(
    name: str,
    output: AnyPath,
    *,
    format: Format | None = None,
    precision: Precision = "fp32",
    opset: int | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] = ignore,
) -> Path:
    """Export a model for other tools: safetensors with BasicSR's names, or ONNX.

    Args:
        name: name of a model, or weights file.
        output: file to write.
        format: file format; by default that of the suffix.
        precision: precision of the stored weights; ONNX files also compute in it.
        opset: ONNX operator set version, 18 to 23; 18 by default.
        overwrite: replace an existing file.
        on_note: called with messages about which tools can load the file.

    Returns:
        The file written.

    Raises:
        UsageError: the format or the precision is unknown.
        TargetExists: ``output`` exists.
        ModelUnsupported: the format can't express the network.
        MissingExtra: ONNX needs the extra [onnx].
    """
    if format is not None:
        check_choice("format", format, get_args(Format))
    check_choice("precision", precision, get_args(Precision))
    options = ExportOptions(file_format=format, overwrite=overwrite, precision=precision, opset=opset)
    return export(name, Path(output), options, on_note)


def mix_models(
    first: str,
    second: str,
    alpha: float,
    name: str,
    *,
    strip: AnyPath | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> tuple[StoredModel, Path | None]:
    """Interpolate the weights of two models, (1 - alpha) first + alpha second, and store the result.

    Args:
        first: name or file of a model.
        second: name or file of a model with the same network.
        alpha: weight of ``second``, 0 to 1.
        name: name of the result in the store.
        strip: photo for a picture that compares its centre at alpha 0, 0.2, ... 1.
        device: device for the strip.
        overwrite: replace an existing model and strip.

    Returns:
        The stored model, and the strip's file or None.

    Raises:
        UsageError: ``alpha`` is out of range, the models have different networks, or there is no such device.
        ModelExists, TargetExists: the model or the strip exists.
    """
    check_share("alpha", alpha)
    pick_device(device)  # a device that does not exist is an error, even if no strip needs it
    pair = interpolate.open_pair(first, second)
    photo = None if strip is None else Path(strip)
    picture = interpolate.check_strip(pair, photo, name, overwrite, device) if photo else None
    model = interpolate.store_interpolated(pair, alpha, name, overwrite)
    if photo and picture:
        interpolate.write_strip(pair, alpha, photo, picture, device)
    return model, picture


def remove_model(name: str) -> None:
    """Delete a model from the store. Models of the package are restored when they are used.

    Raises:
        ModelNotFound: there is no such model.
    """
    store.remove(name)


def verify_models(names: str | Sequence[str] = ()) -> list[tuple[StoredModel, str | None]]:
    """Verify the checksums of stored models.

    Args:
        names: one or several models; all models by default.

    Returns:
        Pairs of model and error message, or None for an intact file.

    Raises:
        ModelNotFound: one of the models does not exist.
    """
    return commands.verify(listed(names))
