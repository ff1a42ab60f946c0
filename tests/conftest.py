"""Fixtures shared by several test files."""

from __future__ import annotations

import os

# Set before torch is imported, here and in all processes that tests start. The tests' networks are so small that a
# second thread mostly waits, and with few cores, two waiting threads are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

from gramgan_cli.cli.errors import running_command_has

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with photos for training and measuring next to the checkout; tests that need it are skipped without."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("needs the data folder beside the checkout")
    return data


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of small files that once failed, next to the checkout; tests that need it are skipped without."""
    cases = SHARED / "cases"
    if not cases.is_dir():
        pytest.skip("needs the folder of cases beside the checkout")
    return cases


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own cache and data folder, so that none touches the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GRAMGAN_CACHE", str(folder / "cache"))
    monkeypatch.setenv("GRAMGAN_DATA", str(folder / "data"))
    return folder


@pytest.fixture(autouse=True)
def no_running_command() -> None:
    """Forget the command that an earlier test ran in this process: hints depend on its options."""
    running_command_has(None)
