"""``gramgan bench``, ``compare`` and ``plot``."""
