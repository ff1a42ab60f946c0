"""``gramgan train`` and ``gramgan runs``."""
