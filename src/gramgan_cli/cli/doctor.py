"""``gramgan doctor``."""

from __future__ import annotations

from dataclasses import asdict

from gramgan_cli.cli import output
from gramgan_cli.cli.params import Json


def doctor(as_json: Json = False) -> None:
    """Show versions, devices, backends and folders, missing dependencies, and what would make gramgan faster here.

    [bold]gramgan doctor[/bold]

    [bold]gramgan doctor --json[/bold]
    """
    from gramgan_cli.api.installation import doctor as diagnose

    found = diagnose()
    if as_json:
        output.print_json(asdict(found))
        return
    _section("gramgan", [("gramgan", found.gramgan), ("Python", found.python), ("system", found.platform)])
    _section("Packages", [(package.name, package.version or "MISSING") for package in found.packages])
    _section("Extras", [(extra.name, _state(extra.missing)) for extra in found.extras])
    _section(
        "Devices",
        [
            (device.name, device.description + (f", {device.memory_gib} GiB" if device.memory_gib else ""))
            for device in found.devices
        ],
    )
    _section("Backends", [(name, "yes" if there else "no") for name, there in found.backends.items()])
    _section(
        "Folders",
        [
            (
                folder.name,
                f"{folder.path} ({'writable' if folder.writable else 'NOT WRITABLE'}, {folder.free_gib} GiB free)",
            )
            for folder in found.folders
        ],
    )
    _section("Models", [("available", ", ".join(found.models))])
    _section("Environment", list(found.environment.items()))
    _section("Missing", [(item.what, f"for {item.needed_for}: {item.how}") for item in found.missing])
    faster = [(item.what, f"{item.gain} as fast: {item.how}") for item in found.faster]
    _section("What would make it faster", faster or [("nothing known", "the fastest way is in use")])


def _section(title: str, lines: list[tuple[str, str]]) -> None:
    """Print a title and its lines with aligned names; nothing if there are no lines."""
    if not lines:
        return
    output.print_line(title)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        output.print_fact(f"  {name:<{width}}  {value}")


def _state(missing: list[str]) -> str:
    return f"not installed ({', '.join(missing)})" if missing else "installed"
