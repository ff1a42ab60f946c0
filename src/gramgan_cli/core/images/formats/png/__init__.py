"""PNG: chunks, animation, reading and writing (PNG 3rd edition, W3C 2025)."""
