"""Finding and reading the HR and LR images of a benchmark set on this computer.

Supported folder layouts, in order of precedence (for x4; other scales likewise):

| layout | content |
|---|---|
| ``HR/`` + ``LR_x4/`` | the same file stems in both |
| ``GTmod12/`` + ``LRbicx4/`` | the same |
| ``DIV2K_valid_HR/`` + ``DIV2K_valid_LR_bicubic/X4/`` | LR stems may end in ``x4`` |
| ``*_HR.png`` + ``*_LR.png`` | in one folder |
| ``NNN_0.png`` + ``NNN_1.png`` ... ``NNN_5.png`` | CUFED5: HR, references by decreasing similarity |
| ``*_in.png`` + ``*_ref.png`` | HR, reference; LR is made |
| ``HR/``, ``GTmod12/``, ``DIV2K_valid_HR/`` or ``original/`` alone | LR is made |
| images directly inside | HR; LR is made |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

from gramgan_cli.core.data.catalogue import SOURCES
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import Channels, picture_errors, read_levels, read_rgb
from gramgan_cli.core.errors import GramganError, nearest
from gramgan_cli.core.images.formats.pillow import open_image
from gramgan_cli.core.resize.matlab import Levels, crop_to_multiple, make_lr

NAMES = ("Set5", "Set14", "BSD100", "Urban100", "Manga109", "CUFED5", "DIV2K")
"""Sets that papers report on, by folder name."""


@dataclass(frozen=True)
class PairOfFiles:
    """The files of one image of a set."""

    name: str
    """Stem of the HR file, without ``_HR``."""
    hr: Path
    lr: Path | None
    """None if LR is to be made from HR."""
    reference: Path | None = None
    """The most similar reference image, if the set has references."""


@dataclass(frozen=True)
class Dataset:
    """A set of images to measure on."""

    name: str
    folder: Path
    layout: str
    """Description of the images' location in ``folder``."""
    pairs: tuple[PairOfFiles, ...]

    def __post_init__(self) -> None:
        """Raise if two images have the same name, since names identify images in results and reports."""
        seen: dict[str, Path] = {}
        for pair in self.pairs:
            if pair.name in seen:
                raise GramganError(
                    f"{seen[pair.name]} and {pair.hr} are both called '{pair.name}'.", "Rename or remove one of them."
                )
            seen[pair.name] = pair.hr


@dataclass(frozen=True)
class Sample:
    """A decoded image with its LR."""

    name: str
    lr: Levels
    """(h, w, 3) ``uint8`` RGB, or (h, w, 1) ``uint16`` if grey was requested."""
    hr: Levels
    """(scale h, scale w, C), of LR's type."""
    grey: bool
    """Whether HR has no colour, that is, all three channels are equal."""
    reference: NDArray[np.uint8] | None = None
    """(H', W', 3), RGB, of any size."""
    one_channel: bool = False
    """Whether HR's file has a single grey channel, rather than colour channels that happen to be equal."""


def find_dataset(text: str, folders: Sequence[Path], scale: int) -> Dataset:
    """Return the set that ``text`` names: a known name below one of ``folders``, or a folder.

    A known name (in any case) is searched below ``folders`` in order, then as a folder. Other text is a folder, or a
    name below ``folders``. Raises GramganError if nothing is found, or if HR and LR files do not match.
    """
    folder, known = find_folder(text, folders)
    return open_dataset(folder, scale, known)


def find_folder(text: str, folders: Sequence[Path]) -> tuple[Path, str | None]:
    """Return the named folder, and the set's name if it is a known one.

    Known names (in any case) are searched below ``folders`` first, other names in the working folder first. Raises
    GramganError if there is no such folder.
    """
    known = {name.casefold(): name for name in NAMES}.get(text.casefold())
    inside = [folder / (known or text) for folder in folders]
    for folder in [*inside, Path(text), Path(known)] if known else [Path(text), *inside]:
        if folder.is_dir():
            return folder, known
    if known:
        raise missing_dataset(known, folders)
    looked = " or ".join(str(folder) for folder in folders)
    raise GramganError(f"There is no folder or dataset '{text}' (looked under {looked}).", nearest(text, NAMES))


def missing_dataset(name: str, folders: Sequence[Path]) -> GramganError:
    """Return the error for a known set that is missing, with instructions for online and offline use."""
    looked = " or ".join(str(folder) for folder in [*folders, Path.cwd()])
    target = folders[0] / name if folders else Path(name)
    missing = f"{name} is not on this computer (looked under {looked})."
    if not SOURCES[name].archives:
        return GramganError(
            missing, f"It can't be downloaded automatically: get it from {SOURCES[name].page} and put it into {target}."
        )
    return GramganError(
        missing,
        f"Download it with: gramgan data pull {name} (offline: put its images into {target}, "
        "or use a folder of your own images).",
    )


def open_dataset(folder: Path, scale: int, name: str | None = None) -> Dataset:
    """Return the set in ``folder``, of any layout. Raises GramganError for an empty folder or an unpaired file."""
    name = name or folder.resolve().name
    for hr, lr in (
        ("HR", f"LR_x{scale}"),
        ("GTmod12", f"LRbicx{scale}"),
        ("DIV2K_valid_HR", f"DIV2K_valid_LR_bicubic/X{scale}"),
    ):
        if (folder / hr).is_dir() and (folder / lr).is_dir():
            pairs = _match(list_pictures(folder / hr), list_pictures(folder / lr), "", scale)
            return Dataset(name, folder, f"{hr} + {lr}", pairs)
    for hr in ("HR", "GTmod12", "DIV2K_valid_HR", "original"):
        if (folder / hr).is_dir():
            return Dataset(name, folder, f"{hr}, LR is made", _alone(list_pictures(folder / hr)))
    pictures = list_pictures(folder)
    for layout, referenced in (
        ("*_0 with references *_1", _with_numbered_references(pictures)),
        ("*_in with references *_ref", _with_named_references(pictures)),
    ):
        if referenced:
            return Dataset(name, folder, f"{layout}, LR is made", referenced)
    hr_files = [path for path in pictures if path.stem.endswith("_HR")]
    lr_files = [path for path in pictures if path.stem.endswith("_LR")]
    if hr_files and lr_files:
        return Dataset(name, folder, "*_HR + *_LR", _match(hr_files, lr_files, "_HR", scale))
    return Dataset(name, folder, "HR right inside, LR is made", _alone(pictures))


def _alone(hr_files: Sequence[Path]) -> tuple[PairOfFiles, ...]:
    """Return pairs of HR images whose LR is to be made."""
    return tuple(PairOfFiles(path.stem, path, None) for path in hr_files)


def _with_numbered_references(pictures: Sequence[Path]) -> tuple[PairOfFiles, ...]:
    """Return HR images with their most similar references, NAME_0 and NAME_1.

    Empty unless every image is one of NAME_0 and NAME_1 or of CUFED5's NAME_0 to NAME_5, all of which are there: series
    of photos are numbered in this way too.
    """
    kinds = _by_kind(pictures, r"(.+)_([0-5])")
    complete = all("".join(sorted(files)) in ("01", "012345") for files in kinds.values())
    if not complete or sum(map(len, kinds.values())) < len(pictures):
        return ()
    return tuple(PairOfFiles(name, files["0"], None, files["1"]) for name, files in kinds.items())


def _with_named_references(pictures: Sequence[Path]) -> tuple[PairOfFiles, ...]:
    """Return HR images with references, NAME_in and NAME_ref.

    Empty if no image has both kinds. Otherwise a file without its counterpart raises an error.
    """
    kinds = _by_kind(pictures, r"(.+)_(in|ref)")
    if not any(len(files) == 2 for files in kinds.values()):
        return ()
    for name, files in kinds.items():
        if len(files) < 2:
            (path,) = files.values()
            missing = f"{name}_{'ref' if 'in' in files else 'in'}"
            raise GramganError(f"{path} has no partner: {missing} is missing.")
    return tuple(PairOfFiles(name, files["in"], None, files["ref"]) for name, files in kinds.items())


def _by_kind(pictures: Sequence[Path], pattern: str) -> dict[str, dict[str, Path]]:
    """Return the images by name and kind, into which the pattern splits their stems; others are left out."""
    kinds: dict[str, dict[str, Path]] = {}
    for path in pictures:
        found = re.fullmatch(pattern, path.stem)
        if found:
            kinds.setdefault(found[1], {})[found[2]] = path
    return kinds


def _match(hr_files: Sequence[Path], lr_files: Sequence[Path], suffix: str, scale: int) -> tuple[PairOfFiles, ...]:
    """Pair HR and LR files by name; raise for a file without counterpart on either side."""
    lr_suffix = suffix.replace("HR", "LR")
    left_over = {path.stem.removesuffix(lr_suffix): path for path in lr_files}
    counts = f"({len(hr_files)} HR and {len(lr_files)} LR images)"
    pairs = []
    for hr in hr_files:
        name = hr.stem.removesuffix(suffix)
        lr = left_over.pop(name, None) or left_over.pop(f"{name}x{scale}", None)
        if lr is None:
            raise GramganError(f"{hr} has no LR image of the same name in {lr_files[0].parent} {counts}.")
        pairs.append(PairOfFiles(name, hr, lr))
    for lr in left_over.values():
        raise GramganError(f"{lr} has no HR image of the same name in {hr_files[0].parent} {counts}.")
    return tuple(pairs)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read an image as 8-bit RGB (H, W, 3), upright. Raises GramganError if it is missing, unreadable or too large."""
    _check_there(path)
    return read_rgb(path)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise GramganError(f"There is no file {path}.")


def picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an upright image from its header. Raises GramganError as ``read_picture`` does."""
    if not path.is_file():
        raise GramganError(f"There is no file {path}.")
    with picture_errors(str(path)), open_image(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def read_sample(pair: PairOfFiles, scale: int, channels: Channels = 3) -> Sample:
    """Decode a pair. HR is cropped at the right and bottom to a multiple of ``scale``; missing LR is made.

    Args:
        pair: the files.
        scale: HR side over LR side.
        channels: 3 for RGB of 8 bits, 1 for grey of 16 bits.

    Raises GramganError for unreadable files and if the size of LR is not 1/``scale`` of HR's.
    """
    for path in (pair.hr, pair.lr, pair.reference):
        if path is not None:
            _check_there(path)
    whole = read_levels(pair.hr, channels)
    hr = crop_to_multiple(whole, scale)
    lr = make_lr(hr, scale) if pair.lr is None else read_levels(pair.lr, channels)
    if lr.shape[0] * scale != hr.shape[0] or lr.shape[1] * scale != hr.shape[1]:
        raise GramganError(
            f"{pair.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, but the x{scale} LR image of {pair.hr} "
            f"({whole.shape[1]}x{whole.shape[0]}) must have {hr.shape[1] // scale}x{hr.shape[0] // scale}."
        )
    grey = bool(np.all(hr == hr[..., :1]))
    reference = read_picture(pair.reference) if pair.reference else None
    return Sample(pair.name, lr, hr, grey, reference, one_channel=grey and _has_one_channel(pair.hr))


def _has_one_channel(path: Path) -> bool:
    """Return whether an image file has a grey channel only, with or without transparency."""
    with picture_errors(str(path)), open_image(path) as image:
        return image.mode.startswith(("L", "1", "I", "F"))
