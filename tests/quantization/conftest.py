import onnx
import pytest

from edgekd.data.good_images import read_frames
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import find_layers
from edgekd.quantization.scales import scales_of
from edgekd.quantization.splitting import split_concatenated


@pytest.fixture(scope="session")
def float_graph(exported):
    """The float32 graph of the trained HKT at 64 pixels. Read it, do not change it."""
    return onnx.load(exported)


@pytest.fixture(scope="session")
def frames(elpv_images):
    """Eight real good images of 64 pixels a side."""
    return read_frames(elpv_images[:8], 64)


@pytest.fixture(scope="session")
def unseen(elpv_images):
    """Four more that nothing is calibrated on."""
    return read_frames(elpv_images[300:304], 64)


@pytest.fixture(scope="session")
def parts(float_graph, frames):
    """The split graph, its layers, and their scales."""
    split = split_concatenated(float_graph)
    layers = find_layers(split)
    tensors = [layer.activation for layer in layers.quantizable] + list(layers.attended.values())
    return split, layers, scales_of(observe(split, tensors, frames), "min-max")
