"""Recording a run's results: rows are written now and then, and leases go once their rows are safe."""

from __future__ import annotations

import time

from gramgan_cli.core.io.locations import Location
from gramgan_cli.engines.batch.leases import release
from gramgan_cli.engines.batch.records import RecordWriter, Row

FLUSH_ROWS, FLUSH_SECONDS = 1_000, 15.0
"""How many rows, and for how long, may wait before they are written."""


class RecordBuffer:
    """The rows that wait to be written, with their leases: these go once the rows are safe."""

    def __init__(self, writer: RecordWriter, records: Location) -> None:
        self._writer, self._records = writer, records
        self._leases: list[tuple[str, int]] = []
        self._flushed = time.monotonic()

    def add(self, row: Row, lease: tuple[str, int]) -> None:
        """Take a row and its lease; write them if it is time."""
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
        """Flush, and put the run's files together."""
        self.flush()
        self._writer.close()
