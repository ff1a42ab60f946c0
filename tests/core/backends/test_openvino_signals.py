"""Signals still reach a process that has loaded and dropped several networks on OpenVINO."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gramgan_cli.core.backends import choose

LOAD_AND_DROP = """
import gc, signal
import numpy as np
import gramgan_cli as gg

photo = np.zeros((16, 16, 3), np.uint8)
first, second = gg.load("clean", backend="openvino"), gg.load("clean", backend="openvino")
first(photo), second(photo)
del first
gc.collect()
del second
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_after_networks_were_dropped_in_order() -> None:
    """Two cores of OpenVINO, destroyed in the order of their creation, end the process at its next signal."""
    if not choose.is_installed("openvino"):
        pytest.skip("the extra [openvino] is not installed")
    if not choose.BACKENDS["openvino"].precisions():
        pytest.skip("OpenVINO does not run on this processor")
    # As the first line: a shell's background job, which the tests may be, starts with SIGINT ignored.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + LOAD_AND_DROP
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
