"""What ``gramgan upscale`` prints of each picture and at the end, the same for single pictures and for folders."""

from __future__ import annotations

from collections.abc import Sequence

from gramgan_cli.cli import output as out


def there_already(result: str) -> str:
    """The line of a result that was left as it was."""
    return f"{result} (was there already)"


def enlarged(result: str, before: tuple[int, int], after: tuple[int, int], seconds: float | None) -> str:
    """The line of a result, with its sizes and, where it is known, the time."""
    sizes = f"{before[0]}x{before[1]} -> {after[0]}x{after[1]}"
    return f"{result} ({sizes})" if seconds is None else f"{result} ({sizes}, {seconds:.1f} s)"


def summarise(done: int, skipped: int, failed: Sequence[str], more: str = "") -> None:
    """Counts, and the failures once more by name."""
    out.note(f"{done} upscaled, {skipped} skipped, {len(failed)} failed.{more}")
    for name in failed:
        out.note(f"  failed: {name}")
