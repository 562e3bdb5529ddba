"""The trained detector in torch, eager, as it was trained.

torch_eager.py IMAGES SIZE THREADS RUN
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch_detector import as_images, load_detector
from worker import read_images, serve

images, size, threads, run = sys.argv[1:]
torch.set_num_threads(int(threads))
detector = load_detector(Path(run))


@torch.inference_mode()
def inspect(image: np.ndarray) -> float:
    scores, _ = detector.predict(torch.from_numpy(as_images(image, int(size))))
    return float(scores[0])


about = {
    "versions": {"torch": torch.__version__},
    "what": "the trained network, eager, image to score and map",
}
serve(about, read_images(Path(images)), inspect)
