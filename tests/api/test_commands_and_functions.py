"""Every command has a Python function, and every option an argument."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
import typer

import gramgan_cli as gg
from gramgan_cli.api.measuring import BenchArguments, CompareArguments
from gramgan_cli.api.texture import BankArguments
from gramgan_cli.api.training import TrainArguments
from gramgan_cli.api.upscale.batch import BatchArguments
from gramgan_cli.cli.app import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python-api.md"

SHOWN = {"json", "as_json", "quiet", "help"}
"""Options that only decide how a command prints."""

FUNCTIONS: dict[str, tuple[list[str], type | None, dict[str, str]]] = {
    "upscale": (
        ["upscale_all", "upscale_batch"],
        BatchArguments,
        {
            "inputs": "pictures",
            "target": "output",
            "ref": "reference",
            "output_template": "template",
            "results": "records",
            "records": "",  # set by calling upscale_batch
        },
    ),
    "batch report": (["batch_report"], None, {}),
    "models list": (["models"], None, {}),
    "models info": (["model_info"], None, {}),
    "models path": (["model_path"], None, {}),
    "models pull": (["pull_model"], None, {}),
    "models import": (["import_model"], None, {}),
    "models export": (["export_model"], None, {"out": "output", "file_format": "format"}),
    "models interpolate": (["mix_models"], None, {}),
    "models rm": (["remove_model"], None, {"names": "name"}),
    "models verify": (["verify_models"], None, {}),
    "bench": (["bench"], BenchArguments, {"model": "models", "metric": "metrics"}),
    "compare": (["compare"], CompareArguments, {"model": "models", "hr": "is_hr"}),
    "train": (
        ["train", "check_training", "list_recipes"],
        TrainArguments,
        {
            **dict.fromkeys(
                ("arch", "set_", "steps", "epochs", "batch_size", "hr_crop", "seed", "threads"), "settings"
            ),
            **dict.fromkeys(("valid_every", "save_every"), "settings"),
            "no_store": "store",
            "list_": "",
            "dry_run": "",
        },
    ),
    "runs list": (["runs"], None, {}),
    "runs show": (["run_summary", "run_settings"], None, {}),
    "runs compare": (["compare_runs"], None, {"chosen": "runs"}),
    "plot": (["plot"], None, {}),
    "build-db": (["build_bank", "bank_info"], BankArguments, {"info": "file"}),
    "mask": (["mask"], None, {}),
    "data make-lr": (["make_lr"], None, {}),
    "data degrade": (["degrade"], None, {}),
    "data pull": (["pull_dataset"], None, {}),
    "data list": (["datasets"], None, {}),
    "doctor": (["doctor"], None, {}),
}
"""Functions, TypedDict of keyword arguments, and options with a differently named argument, by command."""


def commands() -> dict[str, click.Command]:
    """All commands, by name."""
    found: dict[str, click.Command] = {}

    def collect(command: Any, words: str) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[words] = command
        for name, child in (children or {}).items():
            collect(child, f"{words} {name}".strip())

    collect(typer.main.get_command(app), "")
    return found


def test_every_command_has_a_function() -> None:
    assert set(commands()) - set(FUNCTIONS) == {"ui"}
    assert {name for names, _, _ in FUNCTIONS.values() for name in names} <= set(gg.__all__)


@pytest.mark.parametrize("words", sorted(FUNCTIONS))
def test_every_option_has_an_argument(words: str) -> None:
    names, typed, renamed = FUNCTIONS[words]
    arguments = {name for function in names for name in inspect.signature(getattr(gg, function)).parameters}
    arguments |= set(get_type_hints(typed)) if typed else set()
    options = {str(option.name) for option in commands()[words].params} - SHOWN
    assert {renamed.get(name, name) for name in options} - {""} <= arguments


@pytest.mark.parametrize("words", sorted(FUNCTIONS))
def test_defaults_are_the_commands(words: str) -> None:
    names, _, renamed = FUNCTIONS[words]
    options = {renamed.get(str(one.name), str(one.name)): one for one in commands()[words].params}
    for name in names:
        for argument, parameter in inspect.signature(getattr(gg, name)).parameters.items():
            default = options[argument].default if argument in options else None
            if default is None or callable(default) or parameter.default in (inspect.Parameter.empty, None):
                continue
            assert str(default) == str(parameter.default), (name, argument)


def test_the_page_names_every_command_and_every_function() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `gramgan ([^`]+)` \| (.+) \|$", page, re.MULTILINE))
    assert set(rows) - {"--plugin FILE"} == set(FUNCTIONS)
    for words, (names, _, _) in FUNCTIONS.items():
        assert all(f"`{name}`" in rows[words] for name in names), words
    functions = {name for name in gg.__all__ if inspect.isfunction(getattr(gg, name))}
    assert {name for name in functions if f"`{name}`" not in page} == set()
