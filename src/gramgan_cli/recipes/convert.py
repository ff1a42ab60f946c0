"""Between plain dictionaries (TOML, ``--set``) and the frozen recipe; unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from gramgan_cli.core.errors import GramganError, UsageError, nearest
from gramgan_cli.recipes.schema import LIMITS, OPEN_TABLES, Recipe


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value read from TOML is of the declared type (an int serves as a float)."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(get_args(kind)[0], item) for item in value)
    return isinstance(value, kind)


def _value(key: str, kind: Any, value: Any) -> Any:
    """A value as its field's type, or an error that names the key and what it takes."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UsageError(f"{key} is one of {', '.join(map(str, get_args(kind)))}, not {value!r}.")
        return value
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise UsageError(f"{key} is a table, not {value!r}.")
        (of,) = get_args(kind)[1:]
        empty = not value and key not in OPEN_TABLES
        if empty or not all(_fits(of, item) for item in value.values()):
            raise UsageError(f"{key} takes a {of.__name__} for each of its names, one at least, not {dict(value)!r}.")
        return dict(value)
    if not _fits(kind, value):
        wanted = f"a list of {get_args(kind)[0].__name__}" if get_origin(kind) is tuple else kind.__name__
        raise UsageError(f"{key} takes {wanted}, not {value!r}.")
    if kind is float:
        return float(value)
    return tuple(value) if get_origin(kind) is tuple else value


def _merge(record: Any, changes: Mapping[str, Any], prefix: str) -> Any:
    """A copy of a dataclass with ``changes`` applied, nested tables into nested dataclasses."""
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
                raise UsageError(f"network is a table, not {value!r}.", "For example: --set network.arch=compact")
            updated[name] = _merge_network(current, value)
        else:
            updated[name] = _value(key, kinds[name], value)
            if key in OPEN_TABLES:
                updated[name] = {**current, **updated[name]}
            if key in LIMITS and updated[name] not in LIMITS[key]:
                raise UsageError(f"{key} is {LIMITS[key]}, not {value!r}.")
    return dataclasses.replace(record, **updated)


def _merge_network(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters of another architecture don't carry over."""
    if not isinstance(changes.get("arch", ""), str):
        raise UsageError(f"network.arch takes str, not {changes['arch']!r}.", "For example: --set network.arch=compact")
    if changes.get("arch", current["arch"]) != current["arch"]:
        return dict(changes)
    return {**current, **changes}


def merge(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """``recipe`` with nested ``changes``. Unknown keys are errors that name the nearest known ones."""
    merged: Recipe = _merge(recipe, changes, "")
    return merged


def split_setting(text: str) -> tuple[str, Any]:
    """``loss.texture=0.5`` as ("loss.texture", 0.5). The value is TOML; bare words are taken as text."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set takes key=value, not '{text}'.", "For example: --set loss.texture=0.5")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return key.strip(), parsed


def parse_setting(text: str) -> dict[str, Any]:
    """``loss.texture=0.5`` as {"loss": {"texture": 0.5}}."""
    return nested(*split_setting(text))


def nested(key: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value as {"a": {"b": value}}; ``flat`` is the way back."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def to_toml(recipe: Recipe) -> str:
    """The whole recipe, every value written out, in TOML that ``merge`` reads back to an equal recipe."""
    return tomli_w.dumps(dataclasses.asdict(recipe))


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    rows: dict[str, Any] = {}
    for name, value in record.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows


def flatten(recipe: Recipe) -> dict[str, Any]:
    """A recipe's values by dotted key."""
    return flat(dataclasses.asdict(recipe))


def stated(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys whose values are not the defaults, with their values."""
    defaults = flatten(Recipe())
    return {key: value for key, value in flatten(recipe).items() if value != defaults.get(key)}


def differences(old: Recipe, new: Recipe) -> list[str]:
    """The dotted keys in which two recipes differ."""
    before, after = flatten(old), flatten(new)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


METHOD = ("degradation", "loss", "optimizer", "schedule", "discriminator", "features", "texture", "mask")
"""A recipe's tables that say how weights come about; the others say what, where and how fast."""


def method(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys of ``METHOD``'s tables whose values are not the defaults, with their values; no paths."""
    values, defaults = flatten(recipe), flatten(Recipe())
    return {
        key: value
        for key, value in values.items()
        if key.partition(".")[0] in METHOD and key != "texture.db" and value != defaults.get(key)
    }


def read_toml(text: str, origin: str) -> dict[str, Any]:
    """TOML text as nested dictionaries; a syntax error names the file."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GramganError(f"{origin} is not valid TOML: {error}.") from error
