"""edgekd itself: an exported detector in OpenVINO, from the image to the verdict.

edgekd_openvino.py IMAGES SIZE THREADS ARTIFACT
"""

import sys
from pathlib import Path

from worker import read_images, serve

from edgekd.artifact import read_manifest
from edgekd.engines import open_engine
from edgekd.runner.pipeline import inspect_image
from edgekd.verdicts.limits import Limits

images, _, threads, artifact = sys.argv[1:]
manifest = read_manifest(Path(artifact))
threshold = manifest["threshold"]["value"]
with open_engine(Path(artifact), "openvino", int(threads)) as engine:
    about = {
        "versions": {"openvino": engine.spec.version},
        "what": f"edgekd's {manifest['system']} in {manifest['precision']}, image to verdict and map",
    }
    serve(about, read_images(Path(images)), lambda image: inspect_image(engine, image, Limits(threshold)).score)
