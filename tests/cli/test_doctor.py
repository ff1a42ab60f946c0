"""``gramgan doctor``."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from gramgan_cli import __version__
from gramgan_cli.cli.app import app
from gramgan_cli.core.installation import install_command
from gramgan_cli.engines import doctor


def report(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_tells_versions_devices_and_folders(private_folders: Path) -> None:
    found = json.loads(report("--json"))
    assert found["gramgan"] == __version__
    versions = {package["name"]: package["version"] for package in found["packages"]}
    assert versions["torch"] == importlib.metadata.version("torch")
    assert versions["faiss-cpu"] == importlib.metadata.version("faiss-cpu")
    assert found["devices"][-1]["name"] == "cpu"
    assert {folder["path"] for folder in found["folders"]} == {
        str(private_folders / "cache"),
        str(private_folders / "data"),
    }
    assert found["environment"]["GRAMGAN_CACHE"] == str(private_folders / "cache")
    assert not any(private_folders.joinpath("data").glob("*"))


def test_every_extra_has_a_description() -> None:
    extras = set(importlib.metadata.metadata("gramgan-cli").get_all("Provides-Extra") or [])
    assert extras == {extra["name"] for extra in json.loads(report("--json"))["extras"]}
    assert extras <= doctor.EXTRA_IS_FOR.keys()


def test_missing_dependencies_are_named_with_the_command_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def without_onnx(name: str) -> str:
        if name.startswith("onnx"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without_onnx)
    text = report()
    assert re.search(rf"\[onnx\].*export --format onnx.*{re.escape(install_command('onnx'))}", text)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("GRAMGAN_CACHE", str(blocker / "cache"))
    assert "NOT WRITABLE" in report()
    assert f"write access to {blocker / 'cache'}" in report()


def test_missing_training_files_are_named(private_folders: Path) -> None:
    assert "gramgan build-db" in report()
    assert "VGG19" in report()
    (private_folders / "cache" / "features").mkdir(parents=True)
    (private_folders / "cache" / "features" / "vgg19-dcbb9e9d.pth").touch()
    assert "VGG19" not in report()


@pytest.mark.skipif(torch.cuda.is_available() or sys.platform == "darwin", reason="has a GPU")
def test_a_missing_gpu_is_said() -> None:
    assert "a GPU" in report()


def test_doctor_ends_with_ways_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a computer without a GPU, without ncnn, and limited to one of four threads."""
    real = importlib.metadata.version

    def without_ncnn(name: str) -> str:
        if name == "ncnn":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without_ncnn)
    monkeypatch.setattr(doctor, "available_devices", lambda: ["cpu"])
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    _, title, end = report().partition("What would make it faster\n")
    assert title
    assert install_command("ncnn") in end
    assert re.search(r"all 4 cores .*up to 4\.0 times", end)


def test_a_fully_equipped_computer_gets_no_suggestions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_faster", lambda *_: [])
    assert "the fastest way is in use" in report().splitlines()[-1]
