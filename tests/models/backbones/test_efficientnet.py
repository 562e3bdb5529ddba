import pytest
import torch
from torch import nn

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError
from edgekd.models.backbones.efficientnet import EfficientNetB0, InvertedResidual
from edgekd.models.backbones.registry import build_backbone
from edgekd.models.counting import count
from edgekd.training.teachers.catalogue import CATALOGUE
from edgekd.training.teachers.store import PUBLISHED_NAME, verify_name

STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 40, 112, 320)


def test_parameters_and_macs_are_those_that_torchvision_publishes():
    network = build_backbone("efficientnet_b0")
    counted = count(network, 224)
    assert counted.parameters == 5_288_548
    assert round(counted.macs / 1e9, 3) == 0.386


@pytest.mark.parametrize(("height", "width"), [(96, 64), (97, 72)])
def test_features_have_the_grid_and_the_width_of_their_stride(height, width):
    with torch.device("meta"):
        maps = EfficientNetB0("efficientnet_b0").features(torch.empty(2, 3, height, width), STRIDES)
    assert [tuple(layer.shape) for layer in maps] == [
        (2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]


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


@pytest.mark.parametrize("stride", STRIDES)
def test_strides_end_at_the_stages_that_torchvisions_files_number(stride):
    last = {4: 2, 8: 3, 16: 5, 32: 7}[stride]
    torch.manual_seed(0)
    network = EfficientNetB0("efficientnet_b0").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        (layer,) = network.features(images, (stride,))
        torch.testing.assert_close(layer, nn.Sequential(*list(network.features)[: last + 1])(images))


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


def test_batch_norms_have_the_epsilon_of_torchvisions_training():
    network = EfficientNetB0("efficientnet_b0")
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}


def test_nothing_behind_the_deepest_stride_is_computed():
    network = EfficientNetB0("efficientnet_b0").eval()
    run = []
    for index, layer in enumerate(network.features):
        layer.register_forward_hook(lambda *_, index=index: run.append(index))
    with torch.inference_mode():
        network.features(torch.randn(1, 3, 32, 32), (4, 8))
    assert run == list(range(4))


def test_truncated_it_gives_the_same_features_and_holds_no_more():
    torch.manual_seed(0)
    network = EfficientNetB0("efficientnet_b0").eval()
    names = list(network.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = network.features(images, (4, 8, 16))
        network.truncate(16)
        network.truncate(16)
        after = network.features(images, (4, 8, 16))
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert sum(parameter.numel() for parameter in network.parameters()) == 851_808
    behind = ("features.6.", "features.7.", "features.8.", "classifier.")
    assert list(network.state_dict()) == [name for name in names if not name.startswith(behind)]


def test_the_logits_are_the_classifier_of_the_pooled_head():
    torch.manual_seed(0)
    network = EfficientNetB0("efficientnet_b0").eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        (last,) = network.features(images, (32,))
        head = nn.functional.silu(network.features[8][1](network.features[8][0](last)))
        pooled = nn.functional.adaptive_avg_pool2d(head, 1).flatten(1)
        torch.testing.assert_close(network(images), network.classifier[1](pooled))


def test_the_hash_in_a_name_that_says_whose_weights_they_are_is_checked(tmp_path):
    published = PUBLISHED_NAME.fullmatch(CATALOGUE["efficientnet_b0"].file_name)
    assert published["digest"] == "7f5810bc"
    file = tmp_path / "new.pth"
    file.write_bytes(b"weights")
    digest = sha256(file)
    file = file.rename(tmp_path / f"{published['network']}-{digest[:8]}.pth")
    assert verify_name(file) == digest
    with pytest.raises(ArtifactError, match="damaged"):
        verify_name(file.rename(tmp_path / f"{published['network']}-7f5810bc.pth"))
