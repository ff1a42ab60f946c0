"""gramgan: upscaling photographs by four, and training, measuring and comparing the networks for it.

Public names are loaded on first use, so importing the package is fast and does not import torch::

    import gramgan_cli as gg

    gg.upscale("photo.jpg", "large.png")

See docs/python-api.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gramgan_cli.api.datasets import Presence, datasets, degrade, make_lr, pull_dataset
    from gramgan_cli.api.installation import Diagnosis, add_plugin, doctor
    from gramgan_cli.api.measuring import Comparison, Measured, bench, compare
    from gramgan_cli.api.models import (
        Model,
        StoredModel,
        export_model,
        import_model,
        mix_models,
        model_catalogue,
        model_info,
        model_path,
        models,
        pull_model,
        remove_model,
        verify_models,
    )
    from gramgan_cli.api.runs import RunSummary, compare_runs, plot, run_settings, run_summary, runs
    from gramgan_cli.api.texture import Bank, MaskMade, bank_info, build_bank, mask
    from gramgan_cli.api.training import TrainResult, check_training, train
    from gramgan_cli.api.upscale.batch import BatchResult, batch_report, upscale_batch
    from gramgan_cli.api.upscale.files import upscale, upscale_all
    from gramgan_cli.api.upscale.upscaler import Upscaler, load
    from gramgan_cli.core.errors import (
        ArchiveDamaged,
        BankUnreadable,
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
    from gramgan_cli.engines.batch.report import Report
    from gramgan_cli.engines.upscale.result import Result
    from gramgan_cli.recipes.load import list_recipes
    from gramgan_cli.recipes.schema import Recipe

    __version__: str

__all__ = [
    "ArchiveDamaged",
    "Bank",
    "BankUnreadable",
    "BatchResult",
    "Comparison",
    "DeviceNotFound",
    "Diagnosis",
    "DownloadFailed",
    "GramganError",
    "ImageDamaged",
    "ImageTooLarge",
    "ImageUnsupported",
    "MaskMade",
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
    "Presence",
    "Recipe",
    "Report",
    "Result",
    "RunSummary",
    "StateDamaged",
    "StoredModel",
    "TargetExists",
    "TrainResult",
    "Upscaler",
    "UsageError",
    "__version__",
    "add_plugin",
    "bank_info",
    "batch_report",
    "bench",
    "build_bank",
    "check_training",
    "compare",
    "compare_runs",
    "datasets",
    "degrade",
    "doctor",
    "export_model",
    "import_model",
    "list_recipes",
    "load",
    "make_lr",
    "mask",
    "mix_models",
    "model_catalogue",
    "model_info",
    "model_path",
    "models",
    "plot",
    "pull_dataset",
    "pull_model",
    "remove_model",
    "run_settings",
    "run_summary",
    "runs",
    "train",
    "upscale",
    "upscale_all",
    "upscale_batch",
    "verify_models",
]

_MODULES = {
    "api.datasets": (
        "Presence",
        "datasets",
        "degrade",
        "make_lr",
        "pull_dataset",
    ),
    "api.installation": (
        "Diagnosis",
        "add_plugin",
        "doctor",
    ),
    "api.measuring": (
        "Comparison",
        "Measured",
        "bench",
        "compare",
    ),
    "api.models": (
        "Model",
        "StoredModel",
        "export_model",
        "import_model",
        "mix_models",
        "model_catalogue",
        "model_info",
        "model_path",
        "models",
        "pull_model",
        "remove_model",
        "verify_models",
    ),
    "api.runs": (
        "RunSummary",
        "compare_runs",
        "plot",
        "run_settings",
        "run_summary",
        "runs",
    ),
    "api.texture": (
        "Bank",
        "MaskMade",
        "bank_info",
        "build_bank",
        "mask",
    ),
    "api.training": (
        "TrainResult",
        "check_training",
        "train",
    ),
    "api.upscale.batch": (
        "BatchResult",
        "batch_report",
        "upscale_batch",
    ),
    "api.upscale.files": (
        "upscale",
        "upscale_all",
    ),
    "api.upscale.upscaler": (
        "Upscaler",
        "load",
    ),
    "recipes.load": ("list_recipes",),
    "recipes.schema": ("Recipe",),
    "engines.batch.report": ("Report",),
    "engines.upscale.result": ("Result",),
}
"""Public names by module; those not listed are errors from core.errors."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any
    if name == "__version__":
        from importlib.metadata import version

        value = version("gramgan-cli")
    else:
        module = importlib.import_module(f"{__name__}.{_MODULE_OF.get(name, 'core.errors')}")
        value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
