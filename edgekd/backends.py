"""The back ends by name: what each computes on, and which run graphs or built engines. Everything else reads this."""

from __future__ import annotations

from typing import Literal

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
ONNXRUNTIME_CUDA, ONNXRUNTIME_TENSORRT = "onnxruntime:cuda", "onnxruntime:tensorrt"
OPENVINO_GPU, OPENVINO_NPU = "openvino:gpu", "openvino:npu"
TENSORRT, TENSORRT_RTX = "tensorrt", "tensorrt-rtx"

ON_CPU = (ONNXRUNTIME, OPENVINO)  # They run everywhere.
ON_CUDA = (ONNXRUNTIME_CUDA, ONNXRUNTIME_TENSORRT)
ACCELERATED = (*ON_CUDA, OPENVINO_GPU, OPENVINO_NPU)
BUILT = (TENSORRT, TENSORRT_RTX)  # They run what `edgekd build` makes, and no graph.
BUILDERS = (*BUILT, OPENVINO)
ALL_BACKENDS = (*ON_CPU, *ACCELERATED, *BUILT)
TITLES = {TENSORRT: "TensorRT", TENSORRT_RTX: "TensorRT for RTX", OPENVINO: "OpenVINO"}

# Other GPUs than the model it is built on that an engine of the standard TensorRT shall run on.
HardwareCompatibility = Literal["same-compute-capability", "ampere-plus"]
