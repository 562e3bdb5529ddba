import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgekd.data.images import read_image
from edgekd.models.backbones.efficientnet_lite import EfficientNetLite
from edgekd.training.teachers.backbone_weights import backbone_weights, load_backbone
from edgekd.training.weight_files import read_weights

PARAMETERS = {"efficientnet_lite0": 4_652_008, "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072}


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_the_packages_weights_load_whole(name):
    network = load_backbone(name)
    state = read_weights(backbone_weights(name))
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    own = network.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], state[key]) for key in own)
    assert not network.training


@pytest.mark.parametrize("size", [64, 72])
def test_features_have_the_grid_of_their_stride(size):
    with torch.device("meta"):
        maps = EfficientNetLite("efficientnet_lite0").features(torch.empty(2, 3, size, size), (2, 4, 8, 16, 32))
    channels = (16, 24, 40, 112, 320)
    assert [tuple(layer.shape) for layer in maps] == [
        (2, width, -(-size // stride), -(-size // stride))
        for width, stride in zip(channels, (2, 4, 8, 16, 32), strict=True)
    ]


def test_wider_and_deeper_variants_scale_as_published():
    with torch.device("meta"):
        lite1, lite2 = EfficientNetLite("efficientnet_lite1"), EfficientNetLite("efficientnet_lite2")
        assert lite2.features(torch.empty(1, 3, 64, 64), (16,))[0].shape[1] == 120
    assert len(lite1._blocks) == len(lite2._blocks) == 1 + 3 + 3 + 4 + 4 + 5 + 1


def imagenet_view(path: Path, size: int) -> torch.Tensor:
    """The middle of an image at a network's own size."""
    image = read_image(path)
    side = round(min(image.shape[:2]) * 0.9)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    crop = image[top : top + side, left : left + side]
    shrinks = cv2.INTER_AREA if side > 2 * size else cv2.INTER_CUBIC
    view = cv2.resize(crop, (size, size), interpolation=shrinks)[..., ::-1]
    return torch.from_numpy((view.astype(np.float32) - 127) / 128).permute(2, 0, 1)


@pytest.mark.slow
@pytest.mark.skipif("EDGEKD_TEST_DATA" not in os.environ, reason="needs EDGEKD_TEST_DATA/imagenet_sample")
@pytest.mark.parametrize(
    ("name", "size"), [("efficientnet_lite0", 224), ("efficientnet_lite1", 240), ("efficientnet_lite2", 260)]
)
def test_it_names_what_real_images_show(name, size):
    """Of a thousand images, one a class, whose names sort in the order of the classes."""
    paths = sorted((Path(os.environ["EDGEKD_TEST_DATA"]) / "imagenet_sample").glob("*.jpg"))
    chosen = list(enumerate(paths))[::10]
    network = load_backbone(name)
    with torch.inference_mode():
        right = [int(network(imagenet_view(path, size)[None]).argmax()) == label for label, path in chosen]
    assert np.mean(right) >= 0.84
