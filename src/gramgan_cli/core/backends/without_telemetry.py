"""Imports of runtimes with their telemetry disabled, OpenVINO's core, and the precisions that it supports here."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from types import ModuleType


@cache
def import_openvino() -> ModuleType:
    """Return the module ``openvino``. All of gramgan imports it through this function.

    On import, OpenVINO posts usage data to an analytics host and writes ``~/intel``, without asking. It has no switch
    for that, but does neither if its helper package ``openvino_telemetry`` can't be imported.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    module: ModuleType = openvino
    return module


@cache
def openvino_core() -> Any:
    """Return this process's only OpenVINO core; it lives until the process ends.

    Each core gives the thread that creates it a stack for signal handlers, and frees that stack when it is destroyed.
    Two cores destroyed in the order of their creation, or one destroyed in another thread, leave the thread with a
    freed stack (OpenVINO 2026.4.1), on which the next signal, such as Ctrl-C, is a segmentation fault.
    """
    return import_openvino().Core()


@cache
def import_onnxruntime() -> ModuleType:
    """Return the module ``onnxruntime``. All of gramgan imports it through this function.

    Unless disabled before the import, it keeps a telemetry database in the home folder.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # the switch of older versions
    module: ModuleType = onnxruntime
    return module


@cache
def openvino_precisions() -> tuple[str, ...]:
    """Return 'auto', 'fp32' and, on processors with AVX-512 or AMX instructions for it, 'bf16'.

    Elsewhere OpenVINO accepts bf16 but computes in fp32. The result is empty on x86 processors without AVX2, where its
    convolutions give wrong values at widths that are not multiples of 8 (OpenVINO 2026.4.1, found under
    ``ONEDNN_MAX_CPU_ISA=SSE41``).
    """
    if platform.machine().lower() in ("x86_64", "amd64") and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return ()
    return ("auto", "fp32", *(["bf16"] if _computes_in_bf16() else []))


def _computes_in_bf16() -> bool:
    """Return whether the processor has the instructions and oneDNN may use them.

    OpenVINO asks the processor alone. Where ``ONEDNN_MAX_CPU_ISA`` forbids the instructions, it can't compile a
    convolution in bf16, so one is compiled here.
    """
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    openvino = import_openvino()
    image = openvino.opset13.parameter([1, 3, 8, 8], np.float32)
    kernels = openvino.opset13.constant(np.ones((3, 3, 3, 3), np.float32))
    convolved = openvino.opset13.convolution(image, kernels, [1, 1], [1, 1], [1, 1], [1, 1])
    try:
        core.compile_model(openvino.Model([convolved], [image]), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    except RuntimeError:
        return False
    return True
