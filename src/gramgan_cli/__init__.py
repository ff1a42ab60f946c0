"""gramgan: photographs four times larger, and the training, measuring and comparing of the networks that do it.

The public names are loaded when they are first used, so importing the package takes no time and no torch::

    import gramgan_cli as gg

    gg.upscale("photo.jpg", "large.png")

docs/python-api.md describes them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gramgan_cli.api.measuring import Measured, bench
    from gramgan_cli.api.models import Model, models
    from gramgan_cli.api.training import TrainResult, train
    from gramgan_cli.api.upscaler import Upscaler, load
    from gramgan_cli.api.upscaling import upscale, upscale_all
    from gramgan_cli.core.errors import (
        ArchiveDamaged,
        DeviceNotFound,
        DownloadFailed,
        GramganError,
        ImageDamaged,
        ImageTooLarge,
        ImageUnsupported,
        MissingExtra,
        ModelDamaged,
        ModelExists,
        ModelNotFound,
        ModelNotPulled,
        ModelUnsupported,
        NotARegularFile,
        NotConvertible,
        Offline,
        OutOfMemory,
        PrecisionUnavailable,
        StateDamaged,
        TargetExists,
        UsageError,
    )
    from gramgan_cli.engines.upscale.result import Result

    __version__: str

__all__ = [
    "ArchiveDamaged",
    "DeviceNotFound",
    "DownloadFailed",
    "GramganError",
    "ImageDamaged",
    "ImageTooLarge",
    "ImageUnsupported",
    "Measured",
    "MissingExtra",
    "Model",
    "ModelDamaged",
    "ModelExists",
    "ModelNotFound",
    "ModelNotPulled",
    "ModelUnsupported",
    "NotARegularFile",
    "NotConvertible",
    "Offline",
    "OutOfMemory",
    "PrecisionUnavailable",
    "Result",
    "StateDamaged",
    "TargetExists",
    "TrainResult",
    "Upscaler",
    "UsageError",
    "__version__",
    "bench",
    "load",
    "models",
    "train",
    "upscale",
    "upscale_all",
]

_MODULES = {
    "bench": "api.measuring",
    "Measured": "api.measuring",
    "models": "api.models",
    "Model": "api.models",
    "train": "api.training",
    "TrainResult": "api.training",
    "load": "api.upscaler",
    "Upscaler": "api.upscaler",
    "upscale": "api.upscaling",
    "upscale_all": "api.upscaling",
    "Result": "engines.upscale.result",
}
"""Where the public names stand; those that are not here are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any
    if name == "__version__":
        from importlib.metadata import version

        value = version("gramgan-cli")
    else:
        module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'core.errors')}")
        value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
