"""OpenVINO without its telemetry, and what it can compute on this processor."""

from __future__ import annotations

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
def openvino_precisions() -> tuple[str, ...]:
    """'auto', 'fp32' and, on processors with instructions for it (AVX-512, AMX), 'bf16'.

    Elsewhere OpenVINO accepts bf16 and computes in fp32.
    """
    capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("auto", "fp32", *(["bf16"] if "BF16" in capabilities else []))
