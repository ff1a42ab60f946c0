"""``import gramgan_cli`` imports no heavy modules and has all public names."""

from __future__ import annotations

import subprocess
import sys

import gramgan_cli as gg


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, gramgan_cli; print([name for name in ('torch', 'numpy', 'PIL', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in gg.__all__:
        assert getattr(gg, name) is not None
    assert set(gg.__all__) <= set(dir(gg))
    assert not hasattr(gg, "no_such_name")


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert gg.__version__ == version("gramgan-cli")
