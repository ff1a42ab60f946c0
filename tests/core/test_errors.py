"""Typed errors: they can be pickled, and the command line adds a hint for their type."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gramgan_cli.cli.errors import explain
from gramgan_cli.core import errors
from gramgan_cli.core.errors import GramganError


@pytest.mark.parametrize(
    "error",
    [
        GramganError("It failed.", "Do this."),
        errors.MissingExtra("x is not installed.", "ncnn"),
        errors.ModelNotPulled("'x' is not here.", "x"),
        errors.ForeignWeights("x.pth is another tool's.", Path("x.pth")),
    ],
)
def test_an_error_can_be_pickled(error: GramganError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GramganError("It failed.", "Do this."), "It failed. Do this."),
        (errors.TargetExists("a.png already exists."), "a.png already exists. Replace it with --overwrite."),
        (errors.ModelExists("The store has 'x'."), "The store has 'x'. Replace it with --overwrite."),
        (errors.ModelNotPulled("'x' is not here.", "x"), "'x' is not here. Download it with: gramgan models pull x"),
        (
            errors.DeviceNotFound("There is no device 'tpu' here.", "There are: auto, cpu."),
            "There is no device 'tpu' here. There are: auto, cpu. Choose one of them with --device.",
        ),
    ],
)
def test_the_command_line_adds_the_hint_of_the_most_special_class(error: GramganError, message: str) -> None:
    assert explain(error) == message


def test_core_names_no_option_of_the_command_line() -> None:
    """Hints with flags belong to cli/errors.py; here for the files of weights, backends, tiling and io."""
    core = Path(errors.__file__).parent
    for folder in ("weights", "backends", "tiling", "io"):
        for file in (core / folder).glob("*.py"):
            assert '"--' not in file.read_text(encoding="utf-8"), file
            assert " --overwrite" not in file.read_text(encoding="utf-8"), file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("It failed. Use `max_memory` 4G.", "It failed."),
        ("It failed. Choose another `output`.", "It failed. Choose another output."),
        ("It failed. Leave out `output`, or `tile`.", "It failed."),
        ("`max_memory` 3 is too small. Choose more.", "max memory 3 is too small. Choose more."),
        ("A. Photo.png: it failed. Copy it. Or use `tile`.", "A. Photo.png: it failed. Copy it."),
    ],
)
def test_plain_words_name_only_options_that_can_be_chosen(text: str, message: str) -> None:
    """For pages and reports, whose readers choose no options by name."""
    assert errors.in_plain_words(text, ("output",)) == message
