"""Recording a run's results. Rows are written in batches; a lease is released once its row is on disk."""

from __future__ import annotations

import time

from gramgan_cli.core.io.locations import Location
from gramgan_cli.engines.batch.leases import release
from gramgan_cli.engines.batch.records import RecordWriter, Row

FLUSH_ROWS, FLUSH_SECONDS = 1_000, 15.0
"""Most rows to buffer, and most seconds between flushes."""


class RecordBuffer:
    """Buffers rows and their leases; leases are released once their rows are on disk."""

    def __init__(self, writer: RecordWriter, records: Location) -> None:
        self._writer, self._records = writer, records
        self._leases: list[tuple[str, int]] = []
        self._flushed = time.monotonic()

    def add(self, row: Row, lease: tuple[str, int]) -> None:
        """Add a row and its lease; flush if the buffer is full or old."""
        self._writer.add(row)
        self._leases.append(lease)
        if self._writer.waiting >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows, then release their leases."""
        self._writer.flush()
        release(self._records, self._leases)
        self._leases.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and merge the run's files."""
        self.flush()
        self._writer.close()
