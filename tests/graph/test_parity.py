import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.graph.parity import ENGINES_APART, noises_within_reach

RNG = np.random.default_rng(0)
MAPS = RNG.standard_normal((4, 64, 64)).astype(np.float32)


def rounded(noise):
    """The maps with the noise of an engine's own rounding."""
    return MAPS + np.float32(noise) * RNG.standard_normal(MAPS.shape).astype(np.float32)


def test_engines_that_round_by_chance_are_apart_by_more_than_the_noise_of_either():
    found = {"onnxruntime": rounded(0.06), "openvino": rounded(0.06)}
    assert np.std(found["openvino"] - found["onnxruntime"]) > 1.3 * 0.06 > ENGINES_APART
    assert noises_within_reach(MAPS, found, "int8") == pytest.approx({"onnxruntime": 0.06, "openvino": 0.06}, rel=0.05)


@pytest.mark.parametrize("wrong", ["onnxruntime", "openvino"])
def test_a_wrong_kernel_is_refused_whatever_the_noise_of_the_other_engine(wrong):
    found = {"onnxruntime": rounded(0.06), "openvino": rounded(0.06)}
    found[wrong] = rounded(0.2)
    with pytest.raises(EdgekdError, match=r"onnxruntime and openvino differ on the int8 graph by 0\.2"):
        noises_within_reach(MAPS, found, "int8")


def test_of_exact_engines_a_small_difference_is_refused():
    with pytest.raises(EdgekdError, match=r"by 0\.06 of the map's standard deviation"):
        noises_within_reach(MAPS, {"onnxruntime": MAPS, "openvino": rounded(0.06)}, "fp16")
