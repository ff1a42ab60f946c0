"""The name under which a run's generator goes into the store."""

from __future__ import annotations

import re
from pathlib import Path

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights import store
from gramgan_cli.engines.train.run.run_folder import RunFolder

LONGEST = 60
"""Characters, so that a number fits behind."""


def default_folder(recipe: str) -> Path:
    """The run folder of a recipe where none is named: one that gives a model name of its own."""
    stem = Path(recipe).stem
    try:
        store.check_free(_as_name(stem))
    except GramganError:
        stem = f"my-{stem}"
    return Path("runs") / stem


def model_name(folder: RunFolder) -> str:
    """The run folder's name as a model's, with a number where the store holds another model of that name.

    Raises:
        GramganError: the folder's name can't be a model's, or is a built-in model's.
    """
    name = _as_name(folder.name)
    try:
        store.check_free(name)
    except GramganError as error:
        raise GramganError(f"The run folder {folder.path} gives no model name: {error.message}", error.hint) from error
    own = folder.stored()
    if own is not None and (model := store.find(own[0])) is not None and model.sha256 == own[1]:
        return own[0]
    candidate, number = name, 1
    while store.find(candidate) is not None:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def put_into_store(folder: RunFolder, weights: Path) -> str:
    """Store the run's generator; no other model of its name is replaced. Returns its name."""
    model = store.put(model_name(folder), weights)
    folder.record_stored(model.name, model.sha256)
    return model.name


def _as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:LONGEST]
