"""The trained detector in torch, eager, as it was trained.

torch_eager.py PICTURES SIZE THREADS RUN
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch_detector import as_images, load_detector
from worker import read_pictures, serve

pictures, size, threads, run = sys.argv[1:]
torch.set_num_threads(int(threads))
detector = load_detector(Path(run))


@torch.inference_mode()
def inspect(picture: np.ndarray) -> float:
    scores, _ = detector.answer(torch.from_numpy(as_images(picture, int(size))))
    return float(scores[0])


about = {
    "versions": {"torch": torch.__version__},
    "what": "the trained network, eager, picture to score and map",
}
serve(about, read_pictures(Path(pictures)), inspect)
