"""Running a network by something else than torch: ncnn, OpenVINO, ONNX Runtime, on the CPU."""
