"""Conversion between dictionaries (TOML) and Recipe. Unknown keys and wrong types raise UsageError."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from gramgan_cli.core.errors import GramganError, UsageError, nearest, type_name
from gramgan_cli.recipes.schema import LIMITS, OPEN_TABLES, Recipe

EXAMPLE = "For example: `settings` network.arch=compact"
"""Hint for errors about the network's table."""

_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}
"""Names of the types that lists in recipes contain."""


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value read from TOML has the declared type (an int is accepted as a float)."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(get_args(kind)[0], item) for item in value)
    return isinstance(value, kind)


def _value(key: str, kind: Any, value: Any) -> Any:
    """Convert a value to its field's type. Raises UsageError that names the key and the expected type."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UsageError(f"{key} must be one of {', '.join(map(str, get_args(kind)))}, not {value!r}.")
        return value
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise UsageError(f"{key} must be a table, not {value!r}.")
        (of,) = get_args(kind)[1:]
        empty = not value and key not in OPEN_TABLES
        if empty or not all(_fits(of, item) for item in value.values()):
            raise UsageError(f"{key} must have at least one name, and {type_name(of)} for each, not {dict(value)!r}.")
        return dict(value)
    if not _fits(kind, value):
        wanted = f"a list of {_PLURALS[get_args(kind)[0]]}" if get_origin(kind) is tuple else type_name(kind)
        raise UsageError(f"{key} must be {wanted}, not {value!r}.")
    if kind is float:
        return float(value)
    return tuple(value) if get_origin(kind) is tuple else value


def _merge(record: Any, changes: Mapping[str, Any], prefix: str) -> Any:
    """Copy a dataclass with ``changes`` applied; nested tables go into nested dataclasses."""
    kinds = get_type_hints(type(record))
    updated = {}
    for name, value in changes.items():
        key = prefix + name
        if name not in kinds:
            raise UsageError(f"A recipe has no key '{key}'.", nearest(key, (prefix + known for known in kinds)))
        current = getattr(record, name)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise UsageError(f"{key} is a table; set one of its keys.", nearest(key, get_type_hints(type(current))))
            updated[name] = _merge(current, value, key + ".")
        elif name == "network":
            if not isinstance(value, Mapping):
                raise UsageError(f"network must be a table, not {value!r}.", EXAMPLE)
            updated[name] = _merge_network(current, value)
        else:
            updated[name] = _value(key, kinds[name], value)
            if key in OPEN_TABLES:
                updated[name] = {**current, **updated[name]}
            if key in LIMITS and updated[name] not in LIMITS[key]:
                raise UsageError(f"{key} must be {LIMITS[key]}, not {value!r}.")
    return dataclasses.replace(record, **updated)


def _merge_network(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The network table with ``changes``. Hyperparameters of another architecture are dropped."""
    if not isinstance(changes.get("arch", ""), str):
        raise UsageError(f"network.arch must be text, not {changes['arch']!r}.", EXAMPLE)
    if changes.get("arch", current["arch"]) != current["arch"]:
        return dict(changes)
    return {**current, **changes}


def merge(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Apply nested ``changes`` to a recipe. An unknown key raises UsageError with the nearest known ones."""
    merged: Recipe = _merge(recipe, changes, "")
    return merged


def merge_all(recipe: Recipe, settings: Iterable[Mapping[str, Any]]) -> Recipe:
    """Apply settings in order. A table that is given key by key keeps all of them; the last value of a key wins."""
    united: dict[str, Any] = {}
    for setting in settings:
        # An architecture replaces the hyperparameters before it, so settings of the network are not united.
        united = _united(united, {name: value for name, value in setting.items() if name != "network"})
        recipe = merge(recipe, united | {name: value for name, value in setting.items() if name == "network"})
    return recipe


def _united(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries with the keys of both; values of ``second`` win."""
    united = dict(first)
    for name, value in second.items():
        both = isinstance(value, Mapping) and isinstance(united.get(name), Mapping)
        united[name] = _united(united[name], value) if both else value
    return united


def split_setting(text: str) -> tuple[str, Any]:
    """Split ``loss.texture=0.5`` into ("loss.texture", 0.5). The value is TOML; anything else is a string."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"`settings` must be key=value, not '{text}'.", "For example: `settings` loss.texture=0.5")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return key.strip(), parsed


def parse_setting(text: str) -> dict[str, Any]:
    """Parse ``loss.texture=0.5`` into {"loss": {"texture": 0.5}}."""
    return nested(*split_setting(text))


def nested(key: str, value: Any) -> dict[str, Any]:
    """Nest a value under a dotted key: ``a.b`` gives {"a": {"b": value}}. Inverse of ``flat``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML with every value written out, which ``merge`` turns back into an equal recipe."""
    return tomli_w.dumps(dataclasses.asdict(recipe))


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries into one with dotted keys."""
    rows: dict[str, Any] = {}
    for name, value in record.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows


def flatten(recipe: Recipe) -> dict[str, Any]:
    """All values of a recipe by dotted key."""
    return flat(dataclasses.asdict(recipe))


def stated(recipe: Recipe) -> dict[str, Any]:
    """Values that differ from the defaults, by dotted key."""
    defaults = flatten(Recipe())
    return {key: value for key, value in flatten(recipe).items() if value != defaults.get(key)}


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Dotted keys in which two recipes differ, sorted."""
    before, after = flatten(old), flatten(new)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


METHOD = ("degradation", "loss", "optimizer", "schedule", "discriminator", "features", "texture", "mask")
"""Tables of a recipe that define the training method; the others set data, hardware and intervals."""


def method(recipe: Recipe) -> dict[str, Any]:
    """Values of the ``METHOD`` tables that differ from the defaults, by dotted key, without the bank's path."""
    values, defaults = flatten(recipe), flatten(Recipe())
    return {
        key: value
        for key, value in values.items()
        if key.partition(".")[0] in METHOD and key != "texture.db" and value != defaults.get(key)
    }


def read_toml(text: str, origin: str) -> dict[str, Any]:
    """Parse TOML text. Raises GramganError, naming ``origin``, on a syntax error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GramganError(f"{origin} is not valid TOML: {error}.") from error
