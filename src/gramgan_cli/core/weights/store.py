"""The user's store of models: one safetensors file per name in the cache folder.

A model's file is ``<cache>/models/NAME.SHA256.safetensors``. The checksum is part of the file name, so content and
checksum appear in one rename and always agree, even if a process is killed. Writers take a lock. Readers need none: if
two files of one name exist for a moment, the newer one is used.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gramgan_cli.core.errors import (
    GramganError,
    ModelDamaged,
    ModelNotFound,
    ModelNotPulled,
    nearest,
)
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.io.locks import exclusive
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import SUFFIX, embedded_models
from gramgan_cli.core.weights.header import read_header
from gramgan_cli.core.weights.repository_models import checkout_model

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE = re.compile(rf"({_NAME.pattern})\.([0-9a-f]{{64}}){re.escape(SUFFIX)}")

PICKLES = {".pth", ".pt", ".ckpt", ".bin", ".pkl"}
"""Suffixes of other tools' checkpoints, which must be imported and can't be loaded directly."""

FILE_SUFFIXES = {*PICKLES, SUFFIX}
"""Suffixes by which a text means a file of weights, and not a model's name."""

NOT_PUBLISHED = "It is only in the repository: use a checkout with the complete weights/{}.safetensors."
"""Hint for a model that is not published yet."""

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
"""Names that Windows reserves for devices, with any extension."""


@dataclass(frozen=True)
class StoredModel:
    """A model in the store."""

    name: str
    """Name in commands."""
    path: Path
    """Path of the safetensors file."""
    sha256: str
    """Checksum of the file when it was stored, 64 hexadecimal digits."""


def store_dir() -> Path:
    """Return the store's folder, which may not exist yet."""
    return cache_dir() / "models"


def check_name(name: str) -> str:
    """Return ``name`` if it is valid: at most 64 lower-case letters, digits, '.', '_' and '-', and not a path.

    Upper case is not allowed, because some file systems do not distinguish 'A' from 'a', and neither is the suffix of a
    file of weights, which commands would take for a file.
    """
    if not _is_name(name):
        proposal = name_like(name)
        raise GramganError(
            f"'{name}' is not a valid model name.",
            "Use up to 64 lower-case letters, digits, '.', '_' and '-', and no ending of weights files"
            + (f", for example '{proposal}'." if _is_name(proposal) else "."),
        )
    return name


def name_like(text: str) -> str:
    """Return a model name made from a text such as a file's name: 'RealESRGAN x4.pth.tar' -> 'realesrgan-x4'.

    It is not valid if nothing useful is left of the text.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")
    while Path(name).suffix in {*FILE_SUFFIXES, ".tar"}:
        name = Path(name).stem
    return name[:64].rstrip("._-")


def _is_name(name: str) -> bool:
    """Return whether ``check_name`` accepts the name."""
    fits = _NAME.fullmatch(name) is not None and name.partition(".")[0] not in _DEVICES
    return fits and Path(name).suffix not in FILE_SUFFIXES


def check_free(name: str) -> str:
    """Return ``name`` if a model may be stored under it, that is unless it is a built-in model's."""
    check_name(name)
    if is_builtin(name):
        raise GramganError(f"'{name}' is the name of a built-in model.", "Choose another name.")
    return name


def is_builtin(name: str) -> bool:
    """Return whether the package or the checkout contains a model of that name."""
    return name in BASELINES or _carried(name) is not None


def stored_models() -> list[StoredModel]:
    """Return all models in the store by name, including embedded models and those of a checkout."""
    for name in (*embedded_models(), *read_catalogue()):
        _refresh(name)
    return [_newest(files) for _, files in sorted(_files().items())]


def find(name: str) -> StoredModel | None:
    """Return the model of that name, or None. Models of the package or a checkout are copied into the store first."""
    if carried := _refresh(name):
        return carried
    files = _files().get(name)
    return _newest(files) if files else None


def get(name: str) -> StoredModel:
    """Return the model of that name; raise with suggestions, or with how to download it."""
    if name in BASELINES:
        raise GramganError(f"'{name}' is an interpolation, which has no weights file.")
    model = find(name)
    if model is None and (entry := read_catalogue().get(name)):
        missing = f"The model '{name}' has not been downloaded yet."
        raise ModelNotPulled(missing, name) if entry.url else GramganError(missing, NOT_PUBLISHED.format(name))
    if model is None:
        known = [*BASELINES, *(model.name for model in stored_models())]
        raise ModelNotFound(f"There is no model '{name}'.", nearest(name, known))
    return model


def put(name: str, source: Path) -> StoredModel:
    """Copy a weights file with gramgan's header into the store, replacing a model of that name."""
    check_free(name)
    read_header(source)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise GramganError(f"Can't read {source}: {error.strerror or error}.") from error
    return _put(name, content)


def remove(name: str) -> None:
    """Delete a model from the store. An embedded model is restored when it is next used."""
    get(name)
    with exclusive(_lock_file()):
        for model in _files().get(name, []):
            try:
                model.path.unlink(missing_ok=True)
            except OSError as error:
                raise GramganError(f"Can't delete {model.path}: {error.strerror or error}.") from error


def verify(model: StoredModel) -> None:
    """Compare the file with its checksum; raise GramganError if it differs or can't be read."""
    try:
        with model.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise GramganError(f"Can't read {model.path}: {error.strerror or error}.") from error
    if found != model.sha256:
        raise ModelDamaged(
            f"The file of model '{model.name}' is damaged: {model.path} does not match its SHA-256.",
            f"Remove it with: gramgan models rm {model.name}, then get it again.",
        )


def _lock_file() -> Path:
    return store_dir() / ".lock"


def _files() -> dict[str, list[StoredModel]]:
    """Return the files by model name. There are several only during a write, or after a writer was killed."""
    found: dict[str, list[StoredModel]] = {}
    if store_dir().is_dir():
        for path in store_dir().iterdir():
            if match := _FILE.fullmatch(path.name):
                found.setdefault(match[1], []).append(StoredModel(match[1], path, match[2]))
    return found


def _newest(models: list[StoredModel]) -> StoredModel:
    """Return the model written last. A file that is deleted meanwhile counts as the oldest."""

    def written(model: StoredModel) -> int:
        try:
            return model.path.stat().st_mtime_ns
        except FileNotFoundError:
            return -1

    return max(models, key=written)


def _carried(name: str) -> bytes | None:
    """Return the weights of that name in the package or checkout, or None."""
    embedded = embedded_models().get(name)
    return embedded.read_bytes() if embedded else checkout_model(name)


def _refresh(name: str) -> StoredModel | None:
    """Make sure that the store has the package's or checkout's current version of the model, if there is one."""
    content = _carried(name)
    if content is None:
        return None
    model = _model(name, content)
    return model if model.path.is_file() else _put(name, content)


def _model(name: str, content: bytes) -> StoredModel:
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredModel(name, store_dir() / f"{name}.{sha256}{SUFFIX}", sha256)


def _put(name: str, content: bytes) -> StoredModel:
    """Write the file under its checksum, then delete the previous files of that name."""
    model = _model(name, content)
    with exclusive(_lock_file()):
        with replacing(model.path) as temporary:
            temporary.write_bytes(content)
        for other in _files()[name]:
            if other.path != model.path:
                # Windows refuses while another process reads the old file; it stays, unused, until the next put.
                with suppress(PermissionError):
                    other.path.unlink(missing_ok=True)
    return model
