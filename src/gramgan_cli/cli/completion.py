"""Shell completion of models, recipes and benchmark sets. This module does not import torch."""

from __future__ import annotations


def model_names() -> list[str]:
    """Names of embedded, stored and catalogue models, and of interpolations."""
    from gramgan_cli.core.resize.baselines import BASELINES
    from gramgan_cli.core.weights.catalogue import read_catalogue

    return sorted({*stored_names(), *read_catalogue(), *BASELINES})


def stored_names() -> list[str]:
    """Names of models that need no download."""
    from gramgan_cli.core.io.folders import cache_dir
    from gramgan_cli.core.weights.embedded import embedded_models

    # Files are called NAME.SHA256.safetensors. The store module would import torch, which is too slow for completion.
    pulled = {path.name.rsplit(".", 2)[0] for path in (cache_dir() / "models").glob("*.*.safetensors")}
    return sorted({*embedded_models(), *pulled})


def catalogue_names() -> list[str]:
    """Names of models that can be downloaded."""
    from gramgan_cli.core.weights.catalogue import read_catalogue

    return sorted(name for name, entry in read_catalogue().items() if entry.url)


def recipes() -> list[str]:
    """Names of built-in and user recipes."""
    from gramgan_cli.recipes.load import recipe_names

    return recipe_names()


def dataset_names() -> list[str]:
    """Names of benchmark sets that can be pulled."""
    from gramgan_cli.core.data.catalogue import SOURCES

    return sorted(SOURCES)


def offered(names: list[str], incomplete: str) -> list[str]:
    """The names that start with ``incomplete``."""
    return [name for name in names if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Complete an option that takes a model."""
    return offered(model_names(), incomplete)


def complete_stored(incomplete: str) -> list[str]:
    """Complete an argument that takes a stored model."""
    return offered(stored_names(), incomplete)


def complete_catalogue(incomplete: str) -> list[str]:
    """Complete the argument of ``models pull``."""
    return offered(catalogue_names(), incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """Complete an option that takes a recipe."""
    return offered(recipes(), incomplete)


def complete_dataset(incomplete: str) -> list[str]:
    """Complete an argument that takes a benchmark set."""
    return offered(dataset_names(), incomplete)
