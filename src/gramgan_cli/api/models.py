"""``gramgan_cli.models``: what can be given as a model's name."""

from __future__ import annotations

from collections.abc import Callable

from gramgan_cli.api.callbacks import ignore
from gramgan_cli.engines.models.commands import ModelRow as Model
from gramgan_cli.engines.models.commands import list_models

__all__ = ["Model", "models"]


def models(on_note: Callable[[str], None] = ignore) -> list[Model]:
    """The models that are here: those of the package and of the store, then the interpolations.

    Args:
        on_note: called with a sentence for each stored model that can't be listed, because its file is damaged.

    Returns:
        Name, architecture, scale, number of learned values, licence and measured figures of each.
    """
    rows, problems = list_models()
    for problem in problems:
        on_note(problem)
    return rows
