"""Plugins of installed packages: entry points, and name conflicts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gramgan_cli.core import archs, plugins
from gramgan_cli.core.errors import GramganError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with entry points."""
    (tmp_path / "my_package.py").write_text(
        "from gramgan_cli.core.archs import Architecture, ARCHITECTURES\n"
        "compact = ARCHITECTURES['compact']\n"
        "SMALL = Architecture('small', compact.build, compact.describe, 'compact by another name')\n",
        encoding="utf-8",
    )
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
    entries = "[gramgan.architectures]\nsmall = my_package:SMALL\nwrong = my_package:compact\n"
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    return tmp_path


def test_an_installed_package_offers_a_network(installed: Path) -> None:
    assert archs.parameter_count(archs.build("small", {"nf": 8, "nc": 1})) > 0
    with pytest.raises(GramganError, match="'wrong' is not an Architecture"):
        archs.build("wrong", {})
    with pytest.raises(GramganError, match=r"no architecture 'smal'.*small"):
        archs.build("smal", {})


def test_two_plugins_with_one_name_are_an_error(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = installed / "again.py"
    file.write_text("architectures = {'small': None}", encoding="utf-8")
    monkeypatch.setenv(plugins.VARIABLE, str(file))
    with pytest.raises(GramganError, match="'small'"):
        plugins.plugins("architectures")


def test_files_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.VARIABLE, "")
    file = tmp_path / "a.py"
    file.write_text("losses = {'one': min}", encoding="utf-8")
    plugins.add_plugin_file(file)
    plugins.add_plugin_file(file)
    assert plugins.plugin_files() == [file.resolve()]
    assert plugins.plugins("losses") == {"one": min}
