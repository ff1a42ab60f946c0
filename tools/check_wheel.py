"""Install the built wheel into an empty environment and run it, with dependencies from this environment.

Run by ``make package`` with the development environment's Python: ``python tools/check_wheel.py dist``. The new
environment contains only the wheel. A ``.pth`` file gives it access to the packages of this environment, so that torch
is not installed twice; this checkout's editable installation is not visible through it.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

LARGEST_WHEEL = 10_000_000
"""Largest wheel in bytes; most of it is the five embedded models, of 1.7 MB each."""


def main() -> None:
    """Check the only wheel in the folder given on the command line."""
    (wheel,) = Path(sys.argv[1]).resolve().glob("*.whl")
    check_content(wheel)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        venv.create(environment, with_pip=True)
        scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
        python = scripts / "python"
        run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
        packages = Path(run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        installed = Path(run(str(python), "-c", "import gramgan_cli; print(gramgan_cli.__file__)"))
        assert installed.is_relative_to(environment), f"{installed} is not the wheel's"
        print(run(str(scripts / "gramgan"), "--version"))
        run(str(scripts / "gramgan"), "models", "list", "--json")
    print(f"{wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB) installs and runs.")


def check_content(wheel: Path) -> None:
    """Check that the wheel is small and has the typing marker, catalogue, credits and recipes, but no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("gramgan_cli/py.typed", "gramgan_cli/weights/catalogue.toml", "gramgan_cli/weights/CREDITS.md"):
        assert needed in names, f"{needed} is missing from {wheel.name}"
    assert any(name.startswith("gramgan_cli/recipes/") and name.endswith(".toml") for name in names), "no recipes"
    strangers = [name for name in names if not name.startswith(("gramgan_cli/", "gramgan_cli-"))]
    assert not strangers, f"{wheel.name} holds more than the package: {strangers}"
    assert wheel.stat().st_size <= LARGEST_WHEEL, f"{wheel.name} has {wheel.stat().st_size} bytes"


def run(*command: str) -> str:
    """Run a command outside the checkout; return its stripped stdout. It must succeed."""
    with tempfile.TemporaryDirectory() as elsewhere:
        result = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, check=False)
    assert result.returncode == 0, f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


if __name__ == "__main__":
    main()
