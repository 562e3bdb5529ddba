import pytest
import torch

from edgekd.models.backbones.registry import build_backbone
from edgekd.models.backbones.resnet import RESNETS, Bottleneck, ResNet

PARAMETERS = {"resnet18": 11_689_512, "wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696}
CHANNELS = {"resnet18": (64, 128, 256, 512), "wide_resnet50_2": (256, 512, 1024, 2048)}


@pytest.mark.parametrize("name", list(RESNETS))
def test_parameters_are_those_that_torchvision_publishes(name):
    with torch.device("meta"):
        network = build_backbone(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", list(CHANNELS))
def test_features_have_the_grid_and_the_width_of_their_stride(name):
    with torch.device("meta"):
        maps = ResNet(name).features(torch.empty(2, 3, 96, 64), (4, 8, 16, 32))
    assert [tuple(layer.shape) for layer in maps] == [
        (2, width, 96 // stride, 64 // stride) for width, stride in zip(CHANNELS[name], (4, 8, 16, 32), strict=True)
    ]


def test_modules_are_named_as_in_torchvisions_files():
    with torch.device("meta"):
        small, wide = (ResNet(name).state_dict() for name in ("resnet18", "wide_resnet50_2"))
    # A tensor a convolution, five a batch norm, two of the classifier.
    assert (len(small), len(wide)) == (20 * 6 + 2, 53 * 6 + 2)
    assert tuple(small["layer2.0.downsample.0.weight"].shape) == (128, 64, 1, 1)
    assert "layer1.0.downsample.0.weight" not in small
    assert tuple(wide["layer1.0.downsample.0.weight"].shape) == (256, 64, 1, 1)
    assert tuple(wide["layer3.5.conv2.weight"].shape) == (512, 512, 3, 3)
    assert tuple(wide["layer4.2.conv3.weight"].shape) == (2048, 1024, 1, 1)
    assert tuple(small["fc.weight"].shape) == (1000, 512)


def test_a_bottlenecks_stride_is_in_its_3x3_convolution():
    block = Bottleneck(64, 64, width=2, stride=2)
    assert [convolution.stride for convolution in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]


def test_truncated_it_gives_the_same_features_and_holds_no_more():
    torch.manual_seed(0)
    network = ResNet("resnet18").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = network.features(images, (8, 16))
        network.truncate(16)
        after = network.features(images, (8, 16))
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert not any(name.startswith(("layer4", "fc")) for name in network.state_dict())


def test_the_logits_are_the_classifier_of_the_pooled_last_map():
    torch.manual_seed(0)
    network = ResNet("resnet18").eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        (last,) = network.features(images, (32,))
        torch.testing.assert_close(
            network(images), network.fc(torch.nn.functional.adaptive_avg_pool2d(last, 1).flatten(1))
        )
