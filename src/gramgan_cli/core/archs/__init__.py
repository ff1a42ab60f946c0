"""Table of architectures: each row has a name, a network and a descriptor."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from gramgan_cli.core.archs.compact import Compact, describe_compact
from gramgan_cli.core.archs.descriptor import Architecture, Descriptor, Hyperparameters
from gramgan_cli.core.archs.drunet import DRUNet, describe_drunet
from gramgan_cli.core.archs.plksr import PLKSR, describe_plksr
from gramgan_cli.core.archs.rrdbnet import RRDBNet, describe_rrdbnet
from gramgan_cli.core.archs.span import SPAN, describe_span
from gramgan_cli.core.archs.spandrel_networks import OTHER
from gramgan_cli.core.archs.srresnet import SRResNet, describe_srresnet
from gramgan_cli.core.archs.ttsr import TTSR, describe_ttsr
from gramgan_cli.core.errors import GramganError, nearest, type_name
from gramgan_cli.core.plugins import plugins

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Descriptor",
    "build",
    "complete",
    "describe",
    "describe_network",
    "parameter_count",
]

ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (
        Architecture("compact", Compact, describe_compact, "plain 3x3 stack at LR size, fast (SRVGGNetCompact)"),
        Architecture("drunet", DRUNet, describe_drunet, "residual U-Net that cleans an image at its own size (DRUNet)"),
        Architecture("plksr", PLKSR, describe_plksr, "large kernels on some of the channels, at LR size (PLKSR)"),
        Architecture("rrdbnet", RRDBNet, describe_rrdbnet, "residual-in-residual dense blocks (ESRGAN, GramGAN)"),
        Architecture("span", SPAN, describe_span, "parameter-free attention at LR size, fast (SPAN)"),
        Architecture("srresnet", SRResNet, describe_srresnet, "residual blocks with batch norm (SRGAN)"),
        Architecture("ttsr", TTSR, describe_ttsr, "texture transfer from a reference photo (TTSR)"),
    )
}


def architecture(name: str) -> Architecture:
    """Return the architecture of that name, built-in or from a plugin. Raise with suggestions for an unknown name."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name == OTHER.name:
        return OTHER
    offered = plugins("architectures")
    if name not in offered:
        raise GramganError(f"There is no architecture '{name}'.", nearest(name, [*ARCHITECTURES, *offered]))
    row = offered[name]
    if not isinstance(row, Architecture) or row.name != name:
        raise GramganError(f"The plugin's architecture '{name}' is not an Architecture of that name.")
    return row


BLOCKS = ("nb", "nc")
"""Hyperparameters that may be 0 (numbers of blocks or layers). All other integers are at least 1."""


def check_hyperparameters(name: str, hyperparameters: Hyperparameters) -> None:
    """Raise ``GramganError`` for unknown hyperparameters, wrong types, and numbers that are too small."""
    known = inspect.signature(architecture(name).build).parameters
    for key, value in hyperparameters.items():
        if key not in known:
            raise GramganError(f"{name} has no hyperparameter '{key}'.", nearest(key, known))
        _check_value(f"{name}'s hyperparameter '{key}'", known[key].default, 0 if key in BLOCKS else 1, value)


def _check_value(which: str, default: Any, least: int, value: Any) -> None:
    """Raise if the value's type differs from that of its default, or if an integer is below ``least``."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise GramganError(f"{which} must be a list, not {value!r}.")
        for member in value:
            _check_value(which, default[0], 0, member)
    elif type(value) is not type(default):
        raise GramganError(f"{which} must be {type_name(type(default))}, not {value!r}.")
    elif isinstance(value, int) and not isinstance(value, bool) and value < least:
        raise GramganError(f"{which} must be at least {least}, not {value}.")


def complete(name: str, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return all hyperparameters of a network, with the architecture's defaults for those not given."""
    check_hyperparameters(name, hyperparameters)
    known = inspect.signature(architecture(name).build).parameters
    return {key: parameter.default for key, parameter in known.items()} | dict(hyperparameters)


def build(name: str, hyperparameters: Hyperparameters) -> nn.Module:
    """Build a newly initialised network. Raise ``GramganError`` for unknown or invalid hyperparameters."""
    check_hyperparameters(name, hyperparameters)
    with _naming(name, hyperparameters):
        return architecture(name).build(**hyperparameters)


def describe(name: str, hyperparameters: Hyperparameters) -> Descriptor:
    """Return the descriptor of the network that ``build`` makes from the same arguments.

    Raises ``GramganError`` for unknown hyperparameters, and for values from which there is nothing to describe.
    """
    check_hyperparameters(name, hyperparameters)
    with _naming(name, hyperparameters):
        return architecture(name).describe(**hyperparameters)


@contextmanager
def _naming(name: str, hyperparameters: Hyperparameters) -> Iterator[None]:
    """Raise the errors of impossible values as ``GramganError`` that names network and values."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise GramganError(f"{name} can't be built from {dict(hyperparameters)}: {error}.") from error


def describe_network(network: Mapping[str, Any]) -> Descriptor:
    """Return the descriptor of a recipe's network: ``arch`` and hyperparameters in one mapping."""
    hyperparameters = dict(network)
    return describe(hyperparameters.pop("arch"), hyperparameters)


def parameter_count(network: nn.Module) -> int:
    """Return the number of learned values."""
    return sum(p.numel() for p in network.parameters())
