"""Network interpolation (Wang et al. 2018, "ESRGAN", section 3.4): weights between two trainings of one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import WeightsHeader


def check_alike(first: WeightsHeader, second: WeightsHeader, names: tuple[str, str]) -> None:
    """Raise GramganError where two headers don't speak of one network: the difference is named."""
    if first.arch != second.arch:
        raise GramganError(
            f"'{names[0]}' is a {first.arch} and '{names[1]}' a {second.arch}: only weights of one network mix."
        )
    mine, other = _complete(first), _complete(second)
    for key in mine | other:
        if mine.get(key) != other.get(key):
            raise GramganError(
                f"'{names[0]}' has {key} = {mine.get(key)} and '{names[1]}' {key} = {other.get(key)}: "
                "only weights of one network mix."
            )


def _complete(header: WeightsHeader) -> dict[str, Any]:
    """Every hyperparameter, whether the header spells it out or not; sequences as lists, as JSON has them."""
    given = header.hyperparameters
    values = dict(given) if header.arch == interop.ARCH else archs.complete(header.arch, given)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def interpolate(first: Mapping[str, Tensor], second: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * first + alpha * second, tensor by tensor; alpha in [0, 1].

    Computed in float64 and rounded once, so alpha 0 and 1 give the two back exactly. Counters (whole numbers, such as
    BN's number of batches) are the second's: no network reads them when it runs.

    Raises:
        GramganError: alpha is outside [0, 1], or names or shapes of the tensors differ.
    """
    if not 0 <= alpha <= 1:
        raise GramganError(f"alpha is {alpha:g}, which is not between 0 (the first model) and 1 (the second).")
    for name in first.keys() ^ second.keys():
        raise GramganError(f"Only one of the two models has '{name}': only weights of one network mix.")
    return {name: _mixed(name, tensor, second[name], alpha) for name, tensor in first.items()}


def _mixed(name: str, first: Tensor, second: Tensor, alpha: float) -> Tensor:
    if first.shape != second.shape:
        raise GramganError(
            f"'{name}' has shape {tuple(first.shape)} in one model and {tuple(second.shape)} in the other."
        )
    if not first.is_floating_point():
        return second.clone()
    return ((1 - alpha) * first.double() + alpha * second.double()).to(first.dtype)


def interpolated_header(
    first: WeightsHeader, second: WeightsHeader, names: tuple[str, str], alpha: float
) -> WeightsHeader:
    """What the mixed file says of itself: both origins and both licences; no metrics, as nothing was measured."""
    licence = first.licence if first.licence == second.licence else f"{first.licence} AND {second.licence}"
    purposes = dict.fromkeys(purpose for purpose in (first.trained_for, second.trained_for) if purpose)
    trained_for = "; mixed with: ".join(purposes)
    record = {"interpolated": {"first": names[0], "second": names[1], "alpha": alpha}}
    return WeightsHeader(first.arch, first.hyperparameters, first.scale, licence, trained_for, record)
