"""Labels and names of the models that are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from gramgan_cli.engines.measure.enlargers import distinct_labels

ROOT = Path("/").resolve()


@pytest.mark.parametrize(
    ("names", "paths", "labels"),
    [
        (["a", "b"], [None, None], ["a", "b"]),
        (["last", "last"], [ROOT / "r/a/last.x", ROOT / "r/b/last.x"], ["a/last", "b/last"]),
        (["last", "last"], [ROOT / "a/r/last.x", ROOT / "b/r/last.x"], ["a/r/last", "b/r/last"]),
        (["x", "x"], [ROOT / "twin/x.st", ROOT / "twin/x.ST"], [str(ROOT / "twin/x.st"), str(ROOT / "twin/x.ST")]),
        (["clean", "clean"], [None, ROOT / "clean.st"], ["clean", str(ROOT / "clean.st")]),
        (["clean", "clean"], [None, Path("clean")], ["clean", "clean (2)"]),
        (["a", "a", "a (2)"], [None, Path("a"), None], ["a", "a (3)", "a (2)"]),
    ],
)
def test_labels_are_distinct(names: list[str], paths: list[Path | None], labels: list[str]) -> None:
    assert distinct_labels(names, paths) == labels
