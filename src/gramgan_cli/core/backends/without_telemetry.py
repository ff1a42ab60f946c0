"""Runtimes that report to their makers, imported so that they don't; and what OpenVINO computes on this processor."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


@cache
def import_openvino() -> ModuleType:
    """The package ``openvino``. Every use of it in gramgan goes through here.

    On import OpenVINO counts its users: it posts to an analytics host and writes ``~/intel``, without asking. It has no
    switch for that, but does neither where its helper package ``openvino_telemetry`` can't be imported.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    module: ModuleType = openvino
    return module


@cache
def import_onnxruntime() -> ModuleType:
    """The package ``onnxruntime``. Every use of it in gramgan goes through here.

    Unless told otherwise before it starts, it keeps a database of what it would report in the home folder.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # the switch of older versions
    module: ModuleType = onnxruntime
    return module


@cache
def openvino_precisions() -> tuple[str, ...]:
    """'auto', 'fp32' and, on processors with instructions for it (AVX-512, AMX), 'bf16'.

    Elsewhere OpenVINO accepts bf16 and computes in fp32.
    """
    capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("auto", "fp32", *(["bf16"] if "BF16" in capabilities else []))
