"""``gramgan data``, ``build-db`` and ``mask``."""
