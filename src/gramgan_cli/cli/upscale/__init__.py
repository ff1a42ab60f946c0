"""``gramgan upscale``: its options, and what it shows."""
