import pytest
import torch
from torch import nn

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError
from edgekd.models.backbones.efficientnet import EfficientNetB0, InvertedResidual
from edgekd.training.teachers.catalogue import CATALOGUE
from edgekd.training.teachers.store import PUBLISHED_NAME, verify_name

from .trunk_tester import TrunkTester


class TestEfficientNetB0(TrunkTester):
    name = "efficientnet_b0"
    parameters = 5_288_548
    gmacs = 0.386
    channels = (24, 40, 112, 320)
    last = (2, 3, 5, 7)
    parameters_to_stride_16 = 851_808
    activation = staticmethod(nn.functional.silu)


def test_modules_are_named_as_in_torchvisions_files():
    with torch.device("meta"):
        state = EfficientNetB0("efficientnet_b0").state_dict()
    # A tensor a convolution, five a batch norm, four a squeeze-and-excitation, two of the classifier.
    assert len(state) == 49 * 6 + 16 * 4 + 2
    assert tuple(state["features.0.0.weight"].shape) == (32, 3, 3, 3)
    assert tuple(state["features.1.0.block.0.0.weight"].shape) == (32, 1, 3, 3)
    assert tuple(state["features.1.0.block.1.fc1.weight"].shape) == (8, 32, 1, 1)
    assert tuple(state["features.1.0.block.2.0.weight"].shape) == (16, 32, 1, 1)
    assert tuple(state["features.2.0.block.0.0.weight"].shape) == (96, 16, 1, 1)
    assert tuple(state["features.6.3.block.1.0.weight"].shape) == (1152, 1, 5, 5)
    assert tuple(state["features.6.3.block.2.fc1.weight"].shape) == (48, 1152, 1, 1)
    assert tuple(state["features.6.3.block.2.fc2.bias"].shape) == (1152,)
    assert "features.7.0.block.3.1.running_var" in state
    assert tuple(state["features.8.0.weight"].shape) == (1280, 320, 1, 1)
    assert tuple(state["classifier.1.weight"].shape) == (1000, 1280)


def test_a_block_gates_its_channels_and_is_linear_behind_its_projection():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 6)
    silu = nn.functional.silu
    for outputs, stride, shortcut in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = InvertedResidual(8, outputs, 5, stride, 6).eval()
        expand, depthwise, gates, project = block.block
        assert depthwise[0].stride == (stride, stride)
        y = silu(expand[1](expand[0](x)))
        y = silu(depthwise[1](depthwise[0](y)))
        y = y * torch.sigmoid(gates.fc2(silu(gates.fc1(nn.functional.adaptive_avg_pool2d(y, 1)))))
        y = project[1](project[0](y))
        torch.testing.assert_close(block(x), x + y if shortcut else y)


def test_the_hash_in_a_name_that_says_whose_weights_they_are_is_checked(tmp_path):
    published = PUBLISHED_NAME.fullmatch(CATALOGUE["efficientnet_b0"].file_name)
    assert published["digest"] == "7f5810bc"
    file = tmp_path / "new.pth"
    file.write_bytes(b"weights")
    digest = sha256(file)
    file = file.rename(tmp_path / f"{published['network']}-{digest[:8]}.pth")
    verify_name(file, digest)
    with pytest.raises(ArtifactError, match="damaged"):
        verify_name(file.rename(tmp_path / f"{published['network']}-7f5810bc.pth"), digest)
