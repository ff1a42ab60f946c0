"""``gramgan_cli.upscale``, ``upscale_all``, ``upscale_batch`` and ``load``."""
