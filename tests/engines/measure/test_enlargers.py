"""Labels and names of the models that are measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.mixing.mixture import Mixture
from gramgan_cli.engines.measure.enlargers import distinct_labels

ROOT = Path("/").resolve()


@pytest.mark.parametrize(
    ("names", "paths", "labels"),
    [
        (["a", "b"], [None, None], ["a", "b"]),
        (["last", "last"], [ROOT / "r/a/last.x", ROOT / "r/b/last.x"], ["a/last", "b/last"]),
        (["last", "last"], [ROOT / "a/r/last.x", ROOT / "b/r/last.x"], ["a/r/last", "b/r/last"]),
        (["x", "x"], [ROOT / "twin/x.st", ROOT / "twin/x.ST"], ["twin/x.st", "twin/x.ST"]),
        (["clean", "clean"], [None, ROOT / "clean.st"], ["clean", "clean.st"]),
        (["clean", "clean"], [None, ROOT / "clean"], ["clean", "clean (2)"]),
        (["a", "a", "a (2)"], [None, ROOT / "a", None], ["a", "a (3)", "a (2)"]),
    ],
)
def test_labels_are_distinct(names: list[str], paths: list[Path | None], labels: list[str]) -> None:
    assert distinct_labels(names, paths) == labels


@pytest.mark.parametrize("command", ["bench", "compare"])
def test_a_choice_for_each_photo_is_no_model_to_measure(tmp_path: Path, command: str) -> None:
    Image.effect_noise((32, 32), 60).save(tmp_path / "x.png")
    target = tmp_path if command == "bench" else tmp_path / "x.png"
    result = CliRunner().invoke(app, [command, str(target), "-m", "auto@1"])
    assert isinstance(result.exception, UsageError)
    assert "'auto@1' chooses a model for each photo" in str(result.exception)
    (mixture,) = re.findall(r"such as (\S+)\.$", str(result.exception))
    assert Mixture.parse(mixture) is not None
