"""The trained detector through torch.onnx.export, without edgekd's export, in ONNX Runtime with its defaults.

plain_onnx.py IMAGES SIZE THREADS RUN
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch_detector import as_images, load_detector
from worker import read_images, serve


class Answer(nn.Module):
    """The detector with what an export needs: a forward that gives scores and maps."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores, maps = self.detector.predict(images)
        return scores, maps


image_folder, size, threads, run = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "plain.onnx"
    example = torch.zeros(1, 3, int(size), int(size))
    torch.onnx.export(Answer(load_detector(Path(run))).eval(), (example,), path, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


def inspect(image: np.ndarray) -> float:
    scores, _ = session.run(None, {name: as_images(image, int(size))})
    return float(scores[0])


about = {
    "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    "what": "the trained network by torch.onnx.export in ONNX Runtime, image to score and map",
}
serve(about, read_images(Path(image_folder)), inspect)
