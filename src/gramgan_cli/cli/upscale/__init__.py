"""``gramgan upscale``: options and output."""
