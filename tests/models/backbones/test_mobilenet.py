import pytest
import torch
from torch import nn

from edgekd.models.backbones.mobilenet import InvertedResidual, MobileNetV2
from edgekd.models.backbones.registry import build_backbone
from edgekd.models.counting import count

STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 32, 96, 320)


def test_parameters_and_macs_are_those_that_torchvision_publishes():
    network = build_backbone("mobilenet_v2")
    counted = count(network, 224)
    assert counted.parameters == 3_504_872
    assert round(counted.macs / 1e9, 3) == 0.301


@pytest.mark.parametrize(("height", "width"), [(96, 64), (97, 72)])
def test_features_have_the_grid_and_the_width_of_their_stride(height, width):
    with torch.device("meta"):
        maps = MobileNetV2("mobilenet_v2").features(torch.empty(2, 3, height, width), STRIDES)
    assert [tuple(layer.shape) for layer in maps] == [
        (2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]


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


@pytest.mark.parametrize("stride", STRIDES)
def test_strides_end_at_the_blocks_that_torchvisions_files_number(stride):
    last = {4: 3, 8: 6, 16: 13, 32: 17}[stride]
    torch.manual_seed(0)
    network = MobileNetV2("mobilenet_v2").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        (layer,) = network.features(images, (stride,))
        torch.testing.assert_close(layer, nn.Sequential(*list(network.features)[: last + 1])(images))


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


def test_nothing_behind_the_deepest_stride_is_computed():
    network = MobileNetV2("mobilenet_v2").eval()
    run = []
    for index, layer in enumerate(network.features):
        layer.register_forward_hook(lambda *_, index=index: run.append(index))
    with torch.inference_mode():
        network.features(torch.randn(1, 3, 32, 32), (4, 8))
    assert run == list(range(7))


def test_truncated_it_gives_the_same_features_and_holds_no_more():
    torch.manual_seed(0)
    network = MobileNetV2("mobilenet_v2").eval()
    names = list(network.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = network.features(images, (4, 8, 16))
        network.truncate(16)
        network.truncate(16)
        after = network.features(images, (4, 8, 16))
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert sum(parameter.numel() for parameter in network.parameters()) == 542_528
    behind = ("features.14.", "features.15.", "features.16.", "features.17.", "features.18.", "classifier.")
    assert list(network.state_dict()) == [name for name in names if not name.startswith(behind)]


def test_the_logits_are_the_classifier_of_the_pooled_head():
    torch.manual_seed(0)
    network = MobileNetV2("mobilenet_v2").eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        (last,) = network.features(images, (32,))
        head = torch.clamp(network.features[18][1](network.features[18][0](last)), 0, 6)
        pooled = nn.functional.adaptive_avg_pool2d(head, 1).flatten(1)
        torch.testing.assert_close(network(images), network.classifier[1](pooled))
