"""Converted networks as torch modules: (1, 3, h, w) -> (1, 3, scale h, scale w), on the CPU."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gramgan_cli.core.backends.ncnn_files import INPUT, OUTPUT
from gramgan_cli.core.backends.without_telemetry import import_onnxruntime, openvino_core
from gramgan_cli.core.errors import GramganError

SHAPES = 4
"""Number of input shapes that an OpenVINO network keeps compiled. A tiled image has one; folders have few."""


NCNN_WITHOUT = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_storage",
    "use_bf16_packed",
    "use_winograd23_convolution",
    "use_winograd63_convolution",
)
"""Disabled options. The fp16 and bf16 ones round more than float32 does. The Winograd variants besides 4x4 are no
faster (RRDBNet is a tenth slower), differ more from torch, and keep their own transformed weights."""


def _unreadable(path: Path) -> GramganError:
    return GramganError(
        f"The converted network {path} can't be read.", "Delete it: it will be created again when needed."
    )


class NcnnNetwork(nn.Module):
    """ncnn in fp32, with Winograd convolutions.

    Args:
        param: the graph's file; the weights are beside it.
        threads: number of threads.
    """

    def __init__(self, param: Path, threads: int) -> None:
        import ncnn

        super().__init__()
        self._ncnn = ncnn
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        for name in NCNN_WITHOUT:
            setattr(options, name, False)
        if self._net.load_param(str(param)) or self._net.load_model(str(param.with_suffix(".bin"))):
            raise _unreadable(param)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (1, 3, h, w) -> RGB (1, 3, scale h, scale w)."""
        pixels = x[0].contiguous().numpy()  # must outlive the extractor, which reads it in place
        extractor = self._net.create_extractor()
        extractor.input(INPUT, self._ncnn.Mat(pixels))
        failed, out = extractor.extract(OUTPUT)
        if failed:
            raise MemoryError("ncnn ran out of memory for a tile")
        return torch.from_numpy(np.array(out))[None]


class OpenVinoNetwork(nn.Module):
    """OpenVINO, compiled for each input shape on first use.

    Args:
        path: the .xml file.
        threads: number of threads.
        precision: 'fp32' or 'bf16'. It is always set, because OpenVINO's own choice is the fastest, which would change
            results.
    """

    def __init__(self, path: Path, threads: int, precision: str) -> None:
        super().__init__()
        self._core = openvino_core()
        self._path = path
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        }

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return the compiled request for inputs of this shape."""
        if shape not in self._requests:
            try:
                model = self._core.read_model(self._path)
            except RuntimeError as error:
                raise _unreadable(self._path) from error
            model.reshape(list(shape))
            while len(self._requests) >= SHAPES:
                self._requests.popitem(last=False)
            self._requests[shape] = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        self._requests.move_to_end(shape)
        return self._requests[shape]

    def forward(self, x: Tensor) -> Tensor:
        """RGB (1, 3, h, w) -> RGB (1, 3, scale h, scale w)."""
        request = self._request(tuple(x.shape))
        request.infer({0: x.contiguous().numpy()}, share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data.copy())


class OnnxNetwork(nn.Module):
    """ONNX Runtime in fp32.

    Args:
        path: the .onnx file.
        threads: number of threads.
    """

    def __init__(self, path: Path, threads: int) -> None:
        onnxruntime = import_onnxruntime()
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no narrower base class
            raise _unreadable(path) from error

    def forward(self, x: Tensor) -> Tensor:
        """RGB (1, 3, h, w) -> RGB (1, 3, scale h, scale w)."""
        try:
            (out,) = self._session.run(None, {"image": x.contiguous().numpy()})
        except Exception as error:  # as above; callers recognise lack of memory by the text
            raise RuntimeError(str(error)) from error
        return torch.from_numpy(out)
