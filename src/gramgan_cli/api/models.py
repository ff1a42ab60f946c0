"""What can be given as a model's name, and the store of models: list, download, import, export, mix, check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import fspath
from pathlib import Path
from typing import Any, Literal

from gramgan_cli.api.arguments import AnyPath
from gramgan_cli.api.callbacks import ignore
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.catalogue import CatalogueEntry
from gramgan_cli.core.weights.store import StoredModel
from gramgan_cli.engines.models import commands, interpolate
from gramgan_cli.engines.models.commands import ModelRow as Model
from gramgan_cli.engines.models.export import ExportOptions, export

__all__ = ["Model", "StoredModel", "models"]


def models(on_note: Callable[[str], None] = ignore) -> list[Model]:
    """The models that are here: those of the package and of the store, then the interpolations.

    Args:
        on_note: called with a sentence for each stored model that can't be listed, because its file is damaged.

    Returns:
        Name, architecture, scale, number of learned values, licence and measured figures of each.
    """
    rows, problems = commands.list_models()
    for problem in problems:
        on_note(problem)
    return rows


def model_catalogue() -> list[CatalogueEntry]:
    """The models that can be downloaded and are not here yet."""
    return commands.list_catalogue()


def model_info(name: str) -> Mapping[str, Any]:
    """All that is known of one model: what ``gramgan models info NAME --json`` prints.

    Raises:
        ModelNotFound: no model has that name.
    """
    return commands.info(name)


def model_path(name: str) -> Path:
    """The weights file of a model.

    Raises:
        ModelNotFound: no model with weights has that name.
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
    """Download a model into the store. A download that was cut off continues where it stopped.

    Args:
        source: a name of the catalogue, an http(s) URL, or a file.
        name: its name in the store; by default the catalogue's, or one made of the file's name.
        sha256: the checksum that the file must have; by default the catalogue's.
        licence: SPDX identifier of the weights' licence.
        overwrite: replace a model of that name.
        on_progress: called with the bytes that have come, and all bytes where that is known.

    Returns:
        Name, file and checksum.

    Raises:
        ModelNotFound: ``source`` is no model, no file and no URL.
        ModelExists: the store has a model of that name.
        DownloadFailed, Offline: it could not be downloaded.
        GramganError: the file is not what the checksum says, or holds no weights that gramgan knows.
    """
    return commands.pull(fspath(source), name, sha256, licence, overwrite, on_progress)


def import_model(file: AnyPath, name: str, *, licence: str | None = None, overwrite: bool = False) -> StoredModel:
    """Bring a .pth or .safetensors file of another tool into the store.

    Args:
        file: weights of ESRGAN, BasicSR, Real-ESRGAN or Compact; with the extra [interop], of many more networks.
        name: its name in the store.
        licence: SPDX identifier of the weights' licence.
        overwrite: replace a model of that name.

    Raises:
        ModelExists: the store has a model of that name.
        ModelUnsupported: no network is known that these weights fit.
    """
    return commands.import_file(Path(file), name, licence, overwrite)


def export_model(
    name: str,
    output: AnyPath,
    *,
    format: Literal["safetensors", "onnx"] | None = None,
    precision: Literal["fp32", "fp16"] = "fp32",
    opset: int | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] = ignore,
) -> Path:
    """Write a model for other tools: safetensors under BasicSR's names, or ONNX.

    Args:
        name: a model's name, or a weights file.
        output: the file to write.
        format: by default that of the file's suffix.
        precision: of the stored weights.
        opset: version of ONNX's operators, 18 to 23; 18 by default.
        overwrite: replace a file that exists.
        on_note: called with a sentence that the user should know of the file.

    Returns:
        The file.

    Raises:
        TargetExists: ``output`` exists.
        ModelUnsupported: the format can't express the network.
        MissingExtra: ONNX without the extra [onnx].
    """
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
    """Mix two trainings of one network, (1 - alpha) first + alpha second, and store the result.

    Args:
        first: a model's name or file.
        second: another training of the same network.
        alpha: 0 to 1.
        name: the result's name in the store.
        strip: a photo, of which a picture shows the middle at alpha 0, 0.2, ... 1.
        device: for the strip.
        overwrite: replace a model and a picture that exist.

    Returns:
        The stored model, and the file of the strip where one was made.

    Raises:
        UsageError: the models are of different networks.
        ModelExists, TargetExists: something is there already.
    """
    pair = interpolate.open_pair(first, second)
    photo = None if strip is None else Path(strip)
    picture = interpolate.check_strip(pair, photo, name, overwrite, device) if photo else None
    model = interpolate.store_interpolated(pair, alpha, name, overwrite)
    if photo and picture:
        interpolate.write_strip(pair, alpha, photo, picture, device)
    return model, picture


def remove_model(name: str) -> None:
    """Delete a model from the store. Those of the package come back when they are used.

    Raises:
        ModelNotFound: no model has that name.
    """
    store.remove(name)


def verify_models(names: Sequence[str] = ()) -> list[tuple[StoredModel, str | None]]:
    """Compare stored files with their checksums.

    Args:
        names: the models; all where there are none.

    Returns:
        Each model with a sentence on what is wrong with its file, or None.

    Raises:
        ModelNotFound: no model has such a name.
    """
    return commands.verify(list(names))
