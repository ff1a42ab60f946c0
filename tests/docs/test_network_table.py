"""The table of networks in docs/models.md has the parameters, scales and receptive fields of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
SCALES = range(1, 10)


def rows() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8").split("## Networks")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]


def scales_of(arch: str) -> list[int]:
    """Scales at which the network can be built."""
    found = []
    for scale in SCALES:
        try:
            with torch.device("meta"):
                archs.build(arch, {"scale": scale})
            found.append(scale)
        except GramganError:
            continue
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1][:24])
def test_each_row(row: list[str]) -> None:
    name, design, counts, scales, fields = row
    arch = name.strip("`")
    built = {"upsampler": "nearest"} if "`nearest`" in design else {}
    with torch.device("meta"):
        network = archs.build(arch, built)
    assert archs.parameter_count(network) == int(counts.split(";")[0].replace(" ", ""))
    expected = list(SCALES) if scales == "any" else [int(scale) for scale in scales.split(",")]
    assert scales_of(arch) == expected
    if radius := re.match(r"\d+", fields):
        assert archs.describe_network({"arch": arch} | built).receptive_radius == int(radius.group())


def test_every_network_has_a_row() -> None:
    assert {row[0].strip("`") for row in rows()} == set(archs.ARCHITECTURES)
