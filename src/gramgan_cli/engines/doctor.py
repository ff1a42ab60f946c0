"""``gramgan doctor``: versions, devices, folders, missing dependencies and ways to run faster."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from gramgan_cli import __version__
from gramgan_cli.core.backends.device import available_devices
from gramgan_cli.core.installation import DISTRIBUTION, install_command
from gramgan_cli.core.io.folders import cache_dir, data_dir
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.texture.patchdb.bank import default_bank
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.embedded import RESTORE, embedded_models
from gramgan_cli.core.weights.mixing.square import CORNERS
from gramgan_cli.engines.models.commands import verify

EXTRA_IS_FOR = {
    "heic": "reading HEIC photos",
    "jxl": "reading JPEG XL photos",
    "onnx": "gramgan models export --format onnx, gramgan upscale --backend onnx",
    "ncnn": "upscaling up to twice as fast on the CPU",
    "openvino": "upscaling up to twice as fast on the CPU",
    "interop": "gramgan models import of networks beyond ESRGAN and Compact",
    "tensorboard": "curves in TensorBoard while training",
    "plot": "gramgan plot",
    "metrics": "gramgan bench --metric lpips, --metric dists, --metric fid",
    "ray": "gramgan upscale --engine ray",
    "s3": "photos at s3:// locations",
    "gs": "photos at gs:// locations",
    "abfs": "photos at abfs:// locations (Azure)",
    "http": "photos at http:// and https:// URLs",
    "shards": "training from tar shards",
    "ui": "gramgan ui, the page in the browser",
}
"""What each extra is needed for."""

GIB = 2**30


@dataclass(frozen=True)
class Package:
    """A package that gramgan requires."""

    name: str
    version: str | None
    """Installed version; None if missing."""


@dataclass(frozen=True)
class Extra:
    """An extra of the distribution."""

    name: str
    needed_for: str
    missing: list[str]
    """Packages of the extra that are not installed."""


@dataclass(frozen=True)
class Device:
    """A device that networks can run on."""

    name: str
    """Value for ``--device``."""
    description: str
    memory_gib: float | None
    """Device memory; None if it has none of its own."""


@dataclass(frozen=True)
class Folder:
    """A folder that gramgan writes to."""

    name: str
    path: str
    variable: str
    """Environment variable that sets the path."""
    writable: bool
    free_gib: float


@dataclass(frozen=True)
class Missing:
    """A missing dependency, file or permission."""

    what: str
    needed_for: str
    how: str
    """How to get it."""


@dataclass(frozen=True)
class Faster:
    """A way to make gramgan faster on this computer."""

    what: str
    gain: str
    how: str
    """How to get it."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings of ``diagnose``."""

    gramgan: str
    python: str
    platform: str
    packages: list[Package]
    extras: list[Extra]
    devices: list[Device]
    backends: dict[str, bool]
    """Availability of torch's acceleration libraries, by name."""
    folders: list[Folder]
    models: list[str]
    environment: dict[str, str]
    """The ``GRAMGAN_*`` variables that are set."""
    missing: list[Missing]
    faster: list[Faster]
    """Ways to make gramgan faster; empty if none is known."""


def diagnose() -> Diagnosis:
    """Collect all findings. The only side effect is that embedded models are put into the store."""
    packages, extras = _requirements()
    devices = [_describe(name) for name in available_devices()]
    folders = [_folder("cache", cache_dir(), "GRAMGAN_CACHE"), _folder("data", data_dir(), "GRAMGAN_DATA")]
    models = [*(model.name for model in store.stored_models()), *BASELINES] if folders[0].writable else []
    return Diagnosis(
        gramgan=__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        platform=platform.platform(),
        packages=packages,
        extras=extras,
        devices=devices,
        backends=_backends(),
        folders=folders,
        models=models,
        environment={name: value for name, value in sorted(os.environ.items()) if name.startswith("GRAMGAN_")},
        missing=[
            *_missing_packages(packages, extras),
            *_missing_devices(devices),
            *_bad_folders(folders),
            *(_bad_models() if folders[0].writable else []),
            *_missing_for_training(),
        ],
        faster=_faster(devices, extras),
    )


def _requirements() -> tuple[list[Package], list[Extra]]:
    """Required packages and extras, from the distribution's metadata."""
    packages: list[Package] = []
    missing: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        version = _version(name)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
        if extra is None:
            packages.append(Package(name, version))
        else:
            missing.setdefault(extra[1], []).extend([] if version else [name])
    extras = [Extra(name, EXTRA_IS_FOR.get(name, ""), packages) for name, packages in sorted(missing.items())]
    return packages, extras


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _describe(name: str) -> Device:
    if name.startswith("cuda"):
        properties = torch.cuda.get_device_properties(torch.device(name))
        return Device(name, properties.name, round(properties.total_memory / GIB, 1))
    if name == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        return Device(name, f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {capability}", None)
    return Device(name, {"mps": "Apple GPU", "xpu": "Intel GPU"}[name], None)


def _backends() -> dict[str, bool]:
    return {
        "cuda build": torch.backends.cuda.is_built(),  # type: ignore[no-untyped-call]
        "cudnn": torch.backends.cudnn.is_available(),  # type: ignore[no-untyped-call]
        "onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "openmp": torch.backends.openmp.is_available(),  # type: ignore[no-untyped-call]
    }


def _folder(name: str, path: Path, variable: str) -> Folder:
    """Describe a folder by its nearest existing parent, since it is created at first use."""
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    return Folder(
        name=name,
        path=str(path),
        variable=variable,
        writable=there.is_dir() and os.access(there, os.W_OK),
        free_gib=round(shutil.disk_usage(there).free / GIB, 1),
    )


def _missing_packages(packages: list[Package], extras: list[Extra]) -> list[Missing]:
    lacking = [
        Missing(package.name, "running gramgan", f"pip install {package.name}")
        for package in packages
        if package.version is None
    ]
    optional = [
        Missing(f"the extra [{extra.name}]", extra.needed_for, install_command(extra.name))
        for extra in extras
        if extra.missing
    ]
    return [*lacking, *optional]


def _missing_devices(devices: list[Device]) -> list[Missing]:
    if any(device.name != "cpu" for device in devices):
        return []
    return [
        Missing("a GPU", "fast training and large networks", "the CPU does the same work slowly; see docs/install.md")
    ]


def _faster(devices: list[Device], extras: list[Extra]) -> list[Faster]:
    """Known ways to be faster on this computer, with the figures of docs/performance.md."""
    found = []
    on_cpu = all(device.name == "cpu" for device in devices)
    if on_cpu and shutil.which("nvidia-smi"):
        what = "this computer's NVIDIA GPU, which torch does not detect"
        found.append(Faster(what, "many times", "install torch with CUDA, see https://pytorch.org/get-started/locally"))
    if on_cpu and any(extra.name == "ncnn" and extra.missing for extra in extras):
        found.append(Faster("ncnn for upscaling on the CPU", "about 1.1 to 1.6 times", install_command("ncnn")))
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    if on_cpu and threads < cores and "OMP_NUM_THREADS" in os.environ:
        what = f"all {cores} cores (OMP_NUM_THREADS allows {threads})"
        found.append(Faster(what, f"up to {cores / threads:.1f} times", "unset OMP_NUM_THREADS"))
    return found


def _bad_folders(folders: list[Folder]) -> list[Missing]:
    return [
        Missing(
            f"write access to {folder.path}", f"the {folder.name} folder", f"set {folder.variable} to another folder"
        )
        for folder in folders
        if not folder.writable
    ]


def _bad_models() -> list[Missing]:
    missing = []
    if not embedded_models().keys() >= {*CORNERS, RESTORE}:
        missing.append(Missing("the embedded models", "gramgan upscale without --model", "Install a released package"))
    for model, problem in verify([]):
        if problem is not None:
            missing.append(Missing(f"an undamaged file of '{model.name}'", "using that model", problem))
    return missing


def _missing_for_training() -> list[Missing]:
    missing = []
    if not default_bank().is_file():
        missing.append(
            Missing("the default texture bank", "gramgan train --recipe gramgan", "gramgan build-db --hr-dir PHOTOS")
        )
    features = cache_dir() / "features"
    if not list(features.glob("vgg19-*.pth")):
        missing.append(
            Missing(
                "VGG19's ImageNet weights",
                "training with perceptual losses",
                f"the first such training downloads them (0.5 GB) to {features}",
            )
        )
    return missing
