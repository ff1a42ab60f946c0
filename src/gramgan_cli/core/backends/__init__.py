"""Backends other than torch for running networks on the CPU: ncnn, OpenVINO, ONNX Runtime."""
