"""``gramgan train``."""

from __future__ import annotations


def train() -> None:
    """Train a network."""
