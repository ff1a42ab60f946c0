"""Runtimes that report to their makers, imported so that they don't; and what OpenVINO computes on this processor."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from typing import TYPE_CHECKING

import torch

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

    Elsewhere OpenVINO accepts bf16 and computes in fp32. Nothing on x86 processors without AVX2: there its convolutions
    give wrong values at widths that don't divide by 8 (OpenVINO 2026.4.1, found under ``ONEDNN_MAX_CPU_ISA=SSE41``).
    """
    if platform.machine().lower() in ("x86_64", "amd64") and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return ()
    capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("auto", "fp32", *(["bf16"] if "BF16" in capabilities else []))
