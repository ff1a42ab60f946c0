"""The install hint is a command that suits gramgan's own installation."""

from __future__ import annotations

import importlib.metadata

import pytest

from gramgan_cli.core.installation import install_command, packages_of

REQUIRES = [
    "torch>=2.6",
    "ncnn>=1.0.20240820; extra == 'ncnn'",
    'onnx>=1.17; extra == "onnx"',
    "onnxruntime>=1.20; extra == 'onnx'",
    "pyarrow>=16; extra == 'archive'",
    "gramgan-cli[archive]; extra == 's3'",
    "s3fs>=2025.3; extra == 's3'",
]


class Installed:
    """A distribution with given metadata files."""

    def __init__(self, **files: str) -> None:
        self.files = {"INSTALLER": "pip\n", **files}

    def read_text(self, name: str) -> str | None:
        return self.files.get(name.replace(".", "_"))


@pytest.mark.parametrize(
    ("files", "extra", "command"),
    [
        ({}, "ncnn", "pip install 'gramgan-cli[ncnn]'"),
        ({"INSTALLER": "uv\n"}, "ncnn", "uv pip install 'gramgan-cli[ncnn]'"),
        ({"direct_url_json": "{}"}, "ncnn", "pip install 'ncnn>=1.0.20240820'"),
        ({"direct_url_json": "{}"}, "onnx", "pip install 'onnx>=1.17' 'onnxruntime>=1.20'"),
        ({"direct_url_json": "{}"}, "s3", "pip install 'pyarrow>=16' 's3fs>=2025.3'"),
    ],
    ids=["index", "index, uv", "checkout or file", "several packages", "an extra within an extra"],
)
def test_the_command_fits_the_installation(
    files: dict[str, str], extra: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: Installed(**files))
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: REQUIRES)
    assert install_command(extra) == command


def test_without_an_installation_the_hint_uses_the_package_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert install_command("ncnn") == "pip install 'gramgan-cli[ncnn]'"


def test_every_extra_of_this_distribution_has_packages() -> None:
    for extra in importlib.metadata.metadata("gramgan-cli").get_all("Provides-Extra") or []:
        assert packages_of(extra), extra
