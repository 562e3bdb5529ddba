import torch

from edgekd.models.backbones.mobilenet import InvertedResidual, MobileNetV2

from .trunk_tester import TrunkTester


class TestMobileNetV2(TrunkTester):
    name = "mobilenet_v2"
    parameters = 3_504_872
    gmacs = 0.301
    channels = (24, 32, 96, 320)
    last = (3, 6, 13, 17)
    parameters_to_stride_16 = 542_528

    @staticmethod
    def activation(x):
        return torch.clamp(x, 0, 6)


def test_modules_are_named_as_in_torchvisions_files():
    with torch.device("meta"):
        state = MobileNetV2("mobilenet_v2").state_dict()
    # A tensor a convolution, five a batch norm, two of the classifier.
    assert len(state) == 52 * 6 + 2
    assert tuple(state["features.0.0.weight"].shape) == (32, 3, 3, 3)
    assert tuple(state["features.1.conv.0.0.weight"].shape) == (32, 1, 3, 3)
    assert tuple(state["features.1.conv.1.weight"].shape) == (16, 32, 1, 1)
    assert "features.1.conv.2.running_var" in state
    assert tuple(state["features.2.conv.0.0.weight"].shape) == (96, 16, 1, 1)
    assert tuple(state["features.17.conv.2.weight"].shape) == (320, 960, 1, 1)
    assert "features.17.conv.3.running_var" in state
    assert tuple(state["features.18.0.weight"].shape) == (1280, 320, 1, 1)
    assert tuple(state["classifier.1.weight"].shape) == (1000, 1280)


def test_a_block_is_linear_behind_its_projection_and_shortcut_where_the_shape_stays():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 6)
    for outputs, stride, shortcut in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = InvertedResidual(8, outputs, 3, stride, 6).eval()
        expand, depthwise, project, norm = block.conv
        assert depthwise[0].stride == (stride, stride)
        y = torch.clamp(expand[1](expand[0](x)), 0, 6)
        y = norm(project(torch.clamp(depthwise[1](depthwise[0](y)), 0, 6)))
        torch.testing.assert_close(block(x), x + y if shortcut else y)
