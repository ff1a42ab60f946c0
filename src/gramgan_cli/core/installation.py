"""How this distribution was installed, and the command that installs one of its extras."""

from __future__ import annotations

import importlib.metadata
import re

DISTRIBUTION = "gramgan-cli"

_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_OWN_EXTRA = re.compile(rf"{DISTRIBUTION}\[([^\]]+)\]")


def install_command(extra: str) -> str:
    """Return the command that installs the packages of ``extra``.

    If the distribution was installed from a checkout or a file (PEP 610: ``direct_url.json``), the package index may
    not have it, so the command lists the packages themselves.
    """
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return f"pip install '{DISTRIBUTION}[{extra}]'"
    installer = (distribution.read_text("INSTALLER") or "pip").strip()
    command = "uv pip install" if installer == "uv" else "pip install"
    if distribution.read_text("direct_url.json") is None:
        return f"{command} '{DISTRIBUTION}[{extra}]'"
    packages = " ".join(f"'{package}'" for package in packages_of(extra))
    return f"{command} {packages}" if packages else f"{command} '{DISTRIBUTION}[{extra}]'"


def packages_of(extra: str) -> list[str]:
    """Return the requirements of an extra, such as ``ncnn>=1.0``, including those of nested extras."""
    found: dict[str, None] = {}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or []:
        package, _, marker = requirement.partition(";")
        match = _EXTRA.search(marker)
        if match is None or match[1] != extra:
            continue
        package = package.strip().replace(" ", "")
        if own := _OWN_EXTRA.fullmatch(package):
            found.update(dict.fromkeys(packages_of(own[1])))
        else:
            found[package] = None
    return list(found)
