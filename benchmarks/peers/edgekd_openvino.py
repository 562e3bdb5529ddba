"""edgekd itself: an exported detector in OpenVINO, from the picture to the verdict.

edgekd_openvino.py PICTURES SIZE THREADS ARTIFACT
"""

import sys
from pathlib import Path

from worker import read_pictures, serve

from edgekd.artifact import read_manifest
from edgekd.engines import open_engine
from edgekd.runner.pipeline import inspect_picture

pictures, _, threads, artifact = sys.argv[1:]
manifest = read_manifest(Path(artifact))
threshold = manifest["threshold"]["value"]
with open_engine(Path(artifact), "openvino", int(threads)) as engine:
    about = {
        "versions": {"openvino": engine.spec.version},
        "what": f"edgekd's {manifest['system']} in {manifest['precision']}, picture to verdict and map",
    }
    serve(about, read_pictures(Path(pictures)), lambda picture: inspect_picture(engine, picture, threshold).score)
