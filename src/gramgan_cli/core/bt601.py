"""Luma of ITU-R BT.601."""

from __future__ import annotations

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue."""
