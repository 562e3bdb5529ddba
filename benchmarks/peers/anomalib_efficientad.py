"""anomalib's EfficientAD, exported by anomalib to OpenVINO and run by anomalib's own inferencer.

anomalib_efficientad.py IMAGES SIZE THREADS small|medium

Untrained: it is here for its time, which does not depend on the values of the weights.
"""

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torchvision_operators  # noqa: F401  Before anomalib.
from anomalib.deploy import ExportType, OpenVINOInferencer
from anomalib.engine import Engine
from anomalib.models import EfficientAd
from worker import read_images, serve

images, size, threads, model_size = sys.argv[1:]
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)  # The inferencer keeps a cache where it is started.
shape = (int(size), int(size))
model = EfficientAd(model_size=model_size, pre_processor=EfficientAd.configure_pre_processor(image_size=shape))
exported = Engine(logger=False).export(model, ExportType.OPENVINO, export_root=Path(folder.name))
assert exported is not None
inferencer = OpenVINOInferencer(exported, device="CPU", config={"INFERENCE_NUM_THREADS": int(threads)})


def inspect(image: np.ndarray) -> float:
    # It takes RGB of any size; resizing is in the exported graph.
    return float(np.asarray(inferencer.predict(image[:, :, ::-1]).pred_score).ravel()[0])


about = {
    "versions": {name: version(name) for name in ("anomalib", "openvino", "torch")},
    "what": f"EfficientAD ({model_size}), anomalib's export to OpenVINO and its inferencer, image to score and map; "
    "untrained weights",
}
serve(about, read_images(Path(images)), inspect)
