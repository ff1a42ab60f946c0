"""Network interpolation: weighted sums of trainings of one network (Wang et al. 2018, "ESRGAN", section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import WeightsHeader

ONE_NETWORK = "only weights of the same network can be mixed."


def check_alike(first: WeightsHeader, second: WeightsHeader, names: tuple[str, str]) -> None:
    """Raise GramganError, naming the difference, if two headers do not describe the same network."""
    if first.arch != second.arch:
        raise GramganError(f"'{names[0]}' is a {first.arch} and '{names[1]}' a {second.arch}: {ONE_NETWORK}")
    mine, other = _complete(first), _complete(second)
    for key in mine | other:
        if mine.get(key) != other.get(key):
            raise GramganError(
                f"'{names[0]}' has {key} = {mine.get(key)} and '{names[1]}' {key} = {other.get(key)}: " + ONE_NETWORK
            )


def _complete(header: WeightsHeader) -> dict[str, Any]:
    """Return all hyperparameters, including defaults; sequences as lists, as in JSON."""
    given = header.hyperparameters
    values = dict(given) if header.arch == interop.ARCH else archs.complete(header.arch, given)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def interpolate(first: Mapping[str, Tensor], second: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Return (1 - alpha) * first + alpha * second, tensor by tensor; alpha in [0, 1]. See :func:`mixed`."""
    if not 0 <= alpha <= 1:
        raise GramganError(f"alpha is {alpha:g}, which is not between 0 (the first model) and 1 (the second).")
    return mixed([first, second], [1 - alpha, alpha])


def mixed(models: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Return the weighted sum of the models, tensor by tensor.

    It is computed in float64 and rounded once, so a model of share 1 is reproduced exactly. Integers, such as BN's
    number of batches, are the last model's; no network uses them at inference.

    Args:
        models: tensors by name, at least one model.
        shares: one per model, summing to 1.

    Raises:
        GramganError: names or shapes of the tensors differ.
    """
    first = models[0]
    for other in models[1:]:
        for name in first.keys() ^ other.keys():
            raise GramganError(f"Only one of the two models has '{name}': {ONE_NETWORK}")
    return {name: _mixed(name, [model[name] for model in models], shares) for name in first}


def _mixed(name: str, tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    first = tensors[0]
    for other in tensors[1:]:
        if first.shape != other.shape:
            raise GramganError(
                f"'{name}' has shape {tuple(first.shape)} in one model and {tuple(other.shape)} in the other."
            )
    if not first.is_floating_point():
        return tensors[-1].clone()
    weighted = [share * tensor.double() for tensor, share in zip(tensors, shares, strict=True)]
    return torch.stack(weighted).sum(dim=0).to(first.dtype)


def mixed_header(headers: Mapping[str, WeightsHeader], shares: Sequence[float]) -> WeightsHeader:
    """Return the header of a mixture: all origins and licences, and no metrics, since nothing was measured."""
    first = next(iter(headers.values()))
    licences = dict.fromkeys(header.licence for header in headers.values())
    purposes = dict.fromkeys(header.trained_for for header in headers.values() if header.trained_for)
    record = {"mixed": dict(zip(headers, shares, strict=True))}
    return WeightsHeader(
        first.arch,
        first.hyperparameters,
        first.scale,
        " AND ".join(licences),
        "; mixed with: ".join(purposes),
        record,
    )
