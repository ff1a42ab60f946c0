"""The bank file: memory-mapped safetensors, with its provenance as JSON in the metadata.

The file does not depend on the time or the number of workers, so the same photos in the same folder give the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gramgan_cli.core.errors import BankUnreadable, GramganError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.folders import data_dir

KEY = "gramgan-bank"
FORMAT = 1


@dataclass(frozen=True)
class Photo:
    """A photo that the bank was sampled from."""

    name: str
    """File name inside the folder."""
    sha256: str
    height: int
    width: int
    positions: int
    """Number of positions sampled from the photo."""


@dataclass(frozen=True)
class Provenance:
    """The sources and settings that a bank was made from."""

    hr_dir: str
    """Absolute path of the folder of photos."""
    photos: list[Photo]
    seed: int
    max_patches: int
    positions: int
    """Number of sampled positions; each has one patch per version."""
    patch_size: int
    versions: list[str]
    affine: dict[str, float]
    """Standard deviations of the affine version's parameters."""
    libraries: dict[str, str]
    """Versions of the libraries that made the bank."""

    @property
    def entries(self) -> int:
        """Number of patches in the bank, over all versions."""
        return self.positions * len(self.versions)

    @property
    def checksum(self) -> str:
        """SHA-256 of all that the patches depend on, in hexadecimal: the same in another folder."""
        sources = {key: value for key, value in asdict(self).items() if key != "hr_dir"}
        return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Bank:
    """A bank whose tensors are mapped from its file."""

    path: Path
    provenance: Provenance
    patches: Tensor
    """(versions, positions, 3, size, size), uint8."""
    corners: Tensor
    """(positions, 3), int32: photo index and top left corner (y, x) of each position."""
    raw_grams: Tensor
    """(versions, positions, 6), float32: packed Gram matrices."""
    centered_grams: Tensor
    """The same for patches with each channel's mean removed."""

    def grams(self, centered: bool) -> Tensor:
        """Return the packed Gram matrices of all entries, (versions x positions, 6), raw or centred."""
        return (self.centered_grams if centered else self.raw_grams).flatten(0, 1)


def default_bank() -> Path:
    """Return the path of the default bank, in the user's data folder."""
    return data_dir() / "bank.safetensors"


def save_bank(
    path: Path, provenance: Provenance, *, patches: Tensor, corners: Tensor, raw_grams: Tensor, centered_grams: Tensor
) -> Bank:
    """Write the file atomically and open it. The tensors are those of ``Bank``."""
    tensors = {"patches": patches, "corners": corners, "grams": raw_grams, "grams_centered": centered_grams}
    metadata = {KEY: json.dumps({"format": FORMAT, **asdict(provenance)}, sort_keys=True)}
    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata=metadata)
    return load_bank(path)


def _parse(metadata: dict[str, str] | None, path: Path) -> Provenance:
    """Return the provenance stored in a file's metadata."""
    if not metadata or KEY not in metadata:
        raise BankUnreadable(f"{path} is not a texture bank.")
    try:
        fields: dict[str, Any] = json.loads(metadata[KEY])
        if fields.pop("format") != FORMAT:
            raise GramganError(
                f"{path} was written by a newer version of gramgan.", "Upgrade with: pip install -U gramgan-cli"
            )
        photos = [Photo(**photo) for photo in fields.pop("photos")]
        return Provenance(photos=photos, **fields)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BankUnreadable(f"The header of {path} is damaged or from another version of gramgan.") from error


def load_bank(path: Path) -> Bank:
    """Map a bank file into memory. Processes that load the same file share its pages."""
    try:
        with safe_open(path, framework="pt") as file:
            provenance = _parse(file.metadata(), path)
            return Bank(
                path,
                provenance,
                patches=file.get_tensor("patches"),
                corners=file.get_tensor("corners"),
                raw_grams=file.get_tensor("grams"),
                centered_grams=file.get_tensor("grams_centered"),
            )
    except FileNotFoundError as error:
        raise BankUnreadable(f"There is no texture bank {path}.") from error
    except (SafetensorError, OSError) as error:
        raise BankUnreadable(f"{path} is not a readable texture bank ({error}).") from error
