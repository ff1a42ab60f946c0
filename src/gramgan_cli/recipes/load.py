"""Finding a recipe by name or path: the package's own and the user's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from gramgan_cli.core.errors import GramganError, nearest
from gramgan_cli.core.folders import data_dir
from gramgan_cli.recipes.convert import merge, read_toml
from gramgan_cli.recipes.schema import Recipe


def user_recipe_folder() -> Path:
    """Where the user's own recipes lie, ``NAME.toml`` each."""
    return data_dir() / "recipes"


def _texts() -> dict[str, str]:
    """Recipe name -> TOML text. The user's own stand before the package's of the same name."""
    builtin = files("gramgan_cli.recipes") / "builtin"
    texts = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in builtin.iterdir()
        if entry.name.endswith(".toml")
    }
    own = user_recipe_folder()
    if own.is_dir():
        texts |= {path.stem: path.read_text(encoding="utf-8") for path in sorted(own.glob("*.toml"))}
    return texts


def recipe_names() -> list[str]:
    """Names of all recipes that can be asked for."""
    return sorted(_texts())


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of that name, or of that TOML file."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise GramganError(f"There is no recipe file {path}.")
        return merge(Recipe(name=path.stem), read_toml(path.read_text(encoding="utf-8"), str(path)))
    texts = _texts()
    if name_or_path not in texts:
        raise GramganError(f"There is no recipe '{name_or_path}'.", nearest(name_or_path, texts))
    return merge(Recipe(name=name_or_path), read_toml(texts[name_or_path], f"recipe {name_or_path}"))
