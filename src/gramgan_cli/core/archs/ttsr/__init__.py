"""TTSR: super-resolution by transferring texture from a reference photo."""

from __future__ import annotations

from gramgan_cli.core.archs.ttsr.network import TTSR, Reference, Texture, describe_ttsr

__all__ = ["TTSR", "Reference", "Texture", "describe_ttsr"]
