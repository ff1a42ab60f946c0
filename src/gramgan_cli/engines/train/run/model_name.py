"""The name under which a run's generator goes into the store."""

from __future__ import annotations

from pathlib import Path

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights import store
from gramgan_cli.engines.train.run.run_folder import RunFolder

LONGEST = 60
"""Characters of a name, leaving room for a number suffix."""


def default_folder(recipe: str) -> Path:
    """Default run folder of a recipe, named so that it does not give the name of a built-in model."""
    stem = Path(recipe).stem
    try:
        store.check_free(_as_name(stem))
    except GramganError:
        stem = f"my-{stem}"
    return Path("runs") / stem


def model_name(folder: RunFolder) -> str:
    """Model name of a run: the folder's name, with a number if the store has another model of that name.

    Raises:
        GramganError: the folder's name is not a valid model name, or is that of a built-in model.
    """
    name = _as_name(folder.name)
    try:
        store.check_free(name)
    except GramganError as error:
        raise GramganError(
            f"The name of the run folder {folder.path} can't be a model name: {error.message}", error.hint
        ) from error
    own = folder.stored()
    if own is not None and (model := store.find(own[0])) is not None and model.sha256 == own[1]:
        return own[0]
    candidate, number = name, 1
    while store.find(candidate) is not None:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def put_into_store(folder: RunFolder, weights: Path) -> str:
    """Put the run's generator into the store, without replacing another run's model; return its name."""
    model = store.put(model_name(folder), weights)
    folder.record_stored(model.name, model.sha256)
    return model.name


def _as_name(text: str) -> str:
    return store.name_like(text)[:LONGEST]
