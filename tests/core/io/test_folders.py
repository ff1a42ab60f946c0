"""Locations of gramgan's folders, and errors for locations that can't be a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.folders import cache_dir, data_dir


@pytest.mark.parametrize(("variable", "folder"), [("GRAMGAN_CACHE", cache_dir), ("GRAMGAN_DATA", data_dir)])
def test_an_unknown_users_home_folder_gives_one_message(
    variable: str, folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "~no-such-user/x")
    with pytest.raises(GramganError, match=rf"{variable} is '~no-such-user/x'"):
        folder()


def test_a_tilde_means_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("GRAMGAN_CACHE", "~/x")
    assert cache_dir() == tmp_path / "x"
