"""``gramgan models``."""
