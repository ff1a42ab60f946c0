"""Fixtures that several test files share."""

from __future__ import annotations

import os

# Before torch is imported, here and in every process that a test starts: the tests' networks are so small that a second
# thread mostly waits, and where cores are scarce two waiting threads are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the open training and measuring photos beside the checkout; tests that need it skip without."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("needs the data folder beside the checkout")
    return data


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small files that once failed, beside the checkout; tests that need it skip without."""
    cases = SHARED / "cases"
    if not cases.is_dir():
        pytest.skip("needs the folder of cases beside the checkout")
    return cases


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache and a data folder of its own: none touches the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GRAMGAN_CACHE", str(folder / "cache"))
    monkeypatch.setenv("GRAMGAN_DATA", str(folder / "data"))
    return folder
