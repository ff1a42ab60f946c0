"""Names that the shell offers: models, recipes and benchmark sets. Nothing here loads torch."""

from __future__ import annotations


def model_names() -> list[str]:
    """Models on this computer, in the package and in the catalogue, and the interpolations."""
    from gramgan_cli.core.resize.baselines import BASELINES
    from gramgan_cli.core.weights.catalogue import read_catalogue

    return sorted({*stored_names(), *read_catalogue(), *BASELINES})


def stored_names() -> list[str]:
    """Models that are there without a download."""
    from gramgan_cli.core.io.folders import cache_dir
    from gramgan_cli.core.weights.embedded import embedded_models

    # NAME.SHA256.safetensors. The store itself would load torch, and the shell waits for this at every key.
    pulled = {path.name.rsplit(".", 2)[0] for path in (cache_dir() / "models").glob("*.*.safetensors")}
    return sorted({*embedded_models(), *pulled})


def catalogue_names() -> list[str]:
    """Models that can be downloaded."""
    from gramgan_cli.core.weights.catalogue import read_catalogue

    return sorted(name for name, entry in read_catalogue().items() if entry.url)


def recipes() -> list[str]:
    """Recipes of the package and of the user."""
    from gramgan_cli.recipes.load import recipe_names

    return recipe_names()


def dataset_names() -> list[str]:
    """Benchmark sets that can be fetched."""
    from gramgan_cli.core.data.catalogue import SOURCES

    return sorted(SOURCES)


def offered(names: list[str], incomplete: str) -> list[str]:
    """Those of the names that begin as the user has begun."""
    return [name for name in names if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """For options that take a model."""
    return offered(model_names(), incomplete)


def complete_stored(incomplete: str) -> list[str]:
    """For commands on models that are there."""
    return offered(stored_names(), incomplete)


def complete_catalogue(incomplete: str) -> list[str]:
    """For ``models pull``."""
    return offered(catalogue_names(), incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """For options that take a recipe."""
    return offered(recipes(), incomplete)


def complete_dataset(incomplete: str) -> list[str]:
    """For arguments that take a benchmark set or a folder."""
    return offered(dataset_names(), incomplete)
