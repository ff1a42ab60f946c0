"""Loading a recipe by name or path: built-in ones and the user's."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError, nearest
from gramgan_cli.core.io.folders import data_dir
from gramgan_cli.recipes.convert import merge, read_toml
from gramgan_cli.recipes.schema import Recipe


def user_recipe_folder() -> Path:
    """Folder of the user's recipes, ``NAME.toml`` each."""
    return data_dir() / "recipes"


def _files() -> dict[str, Traversable]:
    """TOML files by recipe name. The user's override built-in ones of the same name."""
    builtin = files("gramgan_cli.recipes") / "builtin"
    found = {entry.name.removesuffix(".toml"): entry for entry in builtin.iterdir() if entry.name.endswith(".toml")}
    own = user_recipe_folder()
    if own.is_dir():
        found |= {path.stem: path for path in sorted(own.glob("*.toml"))}
    return found


def _read(file: Traversable, origin: str) -> dict[str, Any]:
    """Read a recipe file's tables. Raises GramganError, naming the file, if it can't be read."""
    try:
        return read_toml(file.read_text(encoding="utf-8"), origin)
    except (OSError, UnicodeDecodeError) as error:
        raise GramganError(f"{origin} can't be read as a recipe: {error}.", "Save it as UTF-8 text.") from error


def recipe_names() -> list[str]:
    """Names of all built-in and user recipes, sorted."""
    return sorted(_files())


def read_recipe(name_or_path: str) -> dict[str, Any]:
    """Tables of a recipe as its file states them; arguments and errors as for ``load_recipe``."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise GramganError(f"There is no recipe file {path}.")
        return _read(path, str(path))
    found = _files()
    if name_or_path not in found:
        raise GramganError(f"There is no recipe '{name_or_path}'.", nearest(name_or_path, found))
    return _read(found[name_or_path], f"recipe {name_or_path}")


def load_recipe(name_or_path: str) -> Recipe:
    """Load a recipe by its name or from a TOML file. Raises GramganError if there is none."""
    path = Path(name_or_path)
    name = path.stem if path.suffix == ".toml" else name_or_path
    return merge(Recipe(name=name), read_recipe(name_or_path))


def list_recipes() -> list[Recipe]:
    """Load all built-in and user recipes, sorted by name."""
    return [load_recipe(name) for name in recipe_names()]
