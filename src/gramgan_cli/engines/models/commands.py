"""The work of ``gramgan models``: list, describe, pull, import and verify."""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from safetensors import safe_open

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, ModelDamaged, ModelExists, ModelNotFound, UsageError, nearest
from gramgan_cli.core.io.download import SCHEMES, download, sha256_of
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.io.locks import exclusive
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.resize.baselines import SCALE as BASELINE_SCALE
from gramgan_cli.core.weights import interop, store
from gramgan_cli.core.weights.catalogue import CatalogueEntry, read_catalogue
from gramgan_cli.core.weights.embedded import embedded_models
from gramgan_cli.core.weights.foreign import convert
from gramgan_cli.core.weights.header import WeightsHeader, read_header, save_weights
from gramgan_cli.core.weights.load import check_header, describe
from gramgan_cli.core.weights.speeds import Speed, read_speeds
from gramgan_cli.core.weights.store import StoredModel

Progress = Callable[[int, int | None], None]

LARGEST_WEIGHTS = 4 * 2**30
"""Largest weights file, in bytes, outside the catalogue: four times the largest networks of the field."""


@dataclass(frozen=True)
class ModelRow:
    """One line of ``gramgan models list``."""

    name: str
    arch: str
    """Architecture, or 'interpolation' for models without weights."""
    scale: int
    parameters: int
    """Number of parameters."""
    licence: str
    trained_for: str
    """One line on the pictures that it is meant for."""
    size: int
    """Size of the weights file in bytes; 0 for models without one."""
    metrics: dict[str, dict[str, float]]
    """Scores per dataset: {"Set5": {"psnr_y": ..., "ssim_y": ...}}."""
    speed: Speed | None = None
    """Speed on this computer, if ``gramgan bench`` measured it."""

    def facts(self) -> dict[str, Any]:
        """The fields for JSON; ``speed`` is left out if it was not measured."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def list_models() -> tuple[list[ModelRow], list[str]]:
    """List the available models: those in the store, including the embedded ones, then interpolations.

    Returns the rows, and error messages about stored models that can't be listed.
    """
    rows: list[ModelRow] = []
    problems: list[str] = []
    for model in store.stored_models():
        try:
            rows.append(_row(model))
        except GramganError as error:
            problems.append(f"{error} Remove it with: gramgan models rm {model.name}")
    return [*rows, *(_baseline_row(name) for name in BASELINES)], problems


def list_catalogue() -> list[CatalogueEntry]:
    """Models of the catalogue that can be pulled and are not in the store."""
    present = {model.name for model in store.stored_models()}
    return [entry for name, entry in read_catalogue().items() if name not in present and entry.url]


def info(name: str) -> dict[str, Any]:
    """Describe one model: its row in the list, and for stored models also the file, checksum and header."""
    if name in BASELINES:
        return _baseline_row(name).facts()
    catalogue = read_catalogue()
    model = store.find(name)
    if model is None and name in catalogue:
        how = {"pull": f"gramgan models pull {name}"} if catalogue[name].url else {}
        return {**asdict(catalogue[name]), **how}
    model = store.get(name)
    header = read_header(model.path)
    return {
        **_row(model).facts(),
        "hyperparameters": header.hyperparameters,
        "receptive_radius": describe(header).receptive_radius,
        "training": header.training,
        "path": str(model.path),
        "sha256": model.sha256,
        "embedded": name in embedded_models(),
    }


def path_of(name: str) -> Path:
    """Path of a stored model's weights file. Raises ModelNotFound."""
    return store.get(name).path


def import_file(file: Path, name: str, licence: str | None, overwrite: bool) -> StoredModel:
    """Import a weights file, of gramgan or another tool, into the store."""
    licence = _checked_licence(licence)
    _check_target(name, overwrite)
    return _import(file, name, licence, {"imported_from": file.name})


def pull(
    source: str, name: str | None, sha256: str | None, licence: str | None, overwrite: bool, progress: Progress
) -> StoredModel:
    """Get a model by catalogue name, URL or file, and import it into the store.

    A lock makes two processes that download the same URL take turns.

    Args:
        source: catalogue name, http(s) or file URL, or path.
        name: name in the store; None means the catalogue's name, or one derived from the file name.
        sha256: expected checksum; None means the catalogue's, or no check.
        licence: SPDX expression; None means the catalogue's.
        overwrite: replace a model of the same name.
        progress: called with (bytes downloaded, total or None).
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError("A SHA-256 has 64 hexadecimal digits.")
    licence = _checked_licence(licence)
    entry = read_catalogue().get(source)
    if source in embedded_models() or (entry is not None and not entry.url):
        return _already_here(source, entry, name, sha256, licence)
    if entry is not None:
        source, name = entry.url, name or entry.name
        sha256, licence = sha256 or entry.sha256, licence or entry.licence
    try:
        scheme = urlsplit(source).scheme
    except ValueError as error:
        raise UsageError(f"'{source}' is not a URL ({error}).", "Write it like https://host/file.pth.") from error
    if scheme not in SCHEMES:
        return _pull_file(source, name, sha256, licence, overwrite)
    name = name or _name_from(unquote(Path(urlsplit(source).path).name))
    # Only the suffix of the file's name is taken from the URL, so that it can't lead to another folder.
    suffix = ".safetensors" if urlsplit(source).path.lower().endswith(".safetensors") else ".pth"
    key = hashlib.sha256(source.encode()).hexdigest()
    target = cache_dir() / "downloads" / (key + suffix)
    with exclusive(cache_dir() / "locks" / f"{key}.lock"):
        _check_target(name, overwrite)
        if not target.is_file():
            largest = entry.size if entry else LARGEST_WEIGHTS
            checksum = sha256.lower() if sha256 else None
            download(source, target, sha256=checksum, largest=largest, progress=progress)
        try:
            record = {"imported_from": source, "sha256": _checked(target, sha256)}
            return _import(target, name, licence, record, entry.trained_for if entry else "")
        finally:
            target.unlink(missing_ok=True)


def _already_here(
    source: str, entry: CatalogueEntry | None, name: str | None, sha256: str | None, licence: str | None
) -> StoredModel:
    """A model that comes with the package. Raises UsageError if another name or licence is asked for."""
    model = store.get(source)
    own_licence = entry.licence if entry else read_header(model.path).licence
    if name not in (None, source) or licence not in (None, own_licence):
        raise UsageError(f"'{source}' comes with gramgan, so its name and licence can't be changed.", "Leave them out.")
    _checked(model.path, sha256)
    return model


def verify(names: list[str]) -> list[tuple[StoredModel, str | None]]:
    """Check the files of the named models (all if ``names`` is empty); pairs of model and error message or None."""
    models = [store.get(name) for name in names] if names else store.stored_models()
    results: list[tuple[StoredModel, str | None]] = []
    for model in models:
        try:
            store.verify(model)
            results.append((model, None))
        except GramganError as error:
            results.append((model, str(error)))
    return results


def _pull_file(source: str, name: str | None, sha256: str | None, licence: str | None, overwrite: bool) -> StoredModel:
    file = Path(source)
    if not file.is_file():
        known = [name for name, entry in read_catalogue().items() if entry.url]
        close = nearest(source, known)
        listed = f"Available models: {', '.join(known)}."
        raise ModelNotFound(
            f"'{source}' is not a model of the catalogue, a file or a URL.",
            f"{close} {listed}" if close.startswith("Did") else listed,
        )
    _checked(file, sha256)
    return import_file(file, name or _name_from(file.name), licence, overwrite)


def _checked(file: Path, sha256: str | None) -> str:
    """SHA-256 of the file. Raises GramganError if it differs from ``sha256``, if given."""
    found = sha256_of(file)
    if sha256 is not None and found != sha256.lower():
        raise GramganError(f"{file} does not match the SHA-256 {sha256.lower()}: it has {found}.")
    return found


def _checked_licence(licence: str | None) -> str | None:
    """The licence in SPDX's spelling (mit -> MIT). Raises UsageError if it is not an expression of known licences."""
    if licence is None:
        return None
    try:
        return canonicalize_license_expression(licence)
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"'{licence}' is not an SPDX licence expression.",
            "Write it like MIT, CC-BY-NC-4.0 or 'MIT OR Apache-2.0', a licence of your own like LicenseRef-NAME. "
            "https://spdx.org/licenses lists them.",
        ) from error


def _check_target(name: str, overwrite: bool) -> None:
    store.check_free(name)
    if not overwrite and store.find(name) is not None:
        raise ModelExists(f"The store already has a model '{name}'.")


def _name_from(file_name: str) -> str:
    """Derive a model name from a file name: 'RealESRGAN_x4plus.pth' -> 'realesrgan_x4plus'."""
    return store.check_name(store.name_like(Path(file_name).stem))


def _import(file: Path, name: str, licence: str | None, record: dict[str, Any], trained_for: str = "") -> StoredModel:
    """Convert ``file`` to gramgan's format and put it into the store."""
    header, tensors = convert(file, licence, record, trained_for)
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "converted.safetensors"
        save_weights(converted, tensors, header)
        return store.put(name, converted)


def _row(model: StoredModel) -> ModelRow:
    header = read_header(model.path)
    check_header(header, model.path)
    try:
        arch, parameters = describe(header).arch, _parameters(model.path, header)
    except GramganError:
        raise
    except Exception as error:
        # The header's numbers define the network, and invalid combinations can raise any exception in torch.
        raise ModelDamaged(f"No network can be built from the header of {model.path}.") from error
    return ModelRow(
        name=model.name,
        arch=arch,
        scale=header.scale,
        parameters=parameters,
        licence=header.licence,
        trained_for=header.trained_for,
        size=model.path.stat().st_size,
        metrics=header.metrics,
        speed=read_speeds().get(model.sha256),
    )


def _baseline_row(name: str) -> ModelRow:
    return ModelRow(name, "interpolation", BASELINE_SCALE, 0, "MIT", "a formula, not a network", 0, {})


def _parameters(path: Path, header: WeightsHeader) -> int:
    """Number of parameters, without reading tensors; for spandrel's networks, all values in the file."""
    if header.arch == interop.ARCH:
        with safe_open(path, framework="pt") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    with torch.device("meta"):
        return archs.parameter_count(archs.build(header.arch, header.hyperparameters))
