import pytest
import torch
from torch.nn import functional

from edgekd.models.backbones.efficientnet_lite import EfficientNetLite
from edgekd.models.backbones.resnet import ResNet
from edgekd.models.normalisation import normalise
from edgekd.models.patch_features import PatchFeatures, PatchTeacher, patch_pooling_weights


def literal_features(maps):
    """What PatchCore and EfficientAD write: unfold, pool each vector to 1024, stack, pool to 384."""
    count, _, height, width = maps[0].shape
    vectors = []
    for layer in maps:
        patches = functional.unfold(layer, 3, padding=1).transpose(1, 2).reshape(count * height * width, 1, -1)
        vectors.append(functional.adaptive_avg_pool1d(patches, 1024).squeeze(1))
    stacked = torch.stack(vectors, dim=1).flatten(1).unsqueeze(1)
    features = functional.adaptive_avg_pool1d(stacked, 384).squeeze(1)
    return features.reshape(count, height, width, 384).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [[24, 40], [24, 40, 112], [512, 1024], [7]])
def test_the_convolution_is_unfold_and_the_two_poolings(channels):
    torch.manual_seed(0)
    maps = [torch.randn(2, width, 5, 6) for width in channels]
    weights = patch_pooling_weights(channels)
    assert [tuple(weight.shape) for weight in weights] == [(384, width, 3, 3) for width in channels]
    sums = [functional.conv2d(layer, weight, padding=1) for layer, weight in zip(maps, weights, strict=True)]
    torch.testing.assert_close(torch.stack(sums).sum(0), literal_features(maps), rtol=1e-4, atol=1e-5)


def test_features_of_a_backbone_have_one_grid_and_are_frozen():
    torch.manual_seed(0)
    features = PatchFeatures(EfficientNetLite("efficientnet_lite0"), (4, 8, 16), 8)
    assert features(torch.rand(2, 3, 64, 96) * 255).shape == (2, 384, 8, 12)
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert not features.backbone.training


def test_finer_maps_are_averaged_and_coarser_ones_interpolated_onto_the_grid():
    torch.manual_seed(0)
    backbone = EfficientNetLite("efficientnet_lite0").eval()
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.inference_mode():
        fine, same, coarse = backbone.features((images - 127) / 128, (4, 8, 16))
        pooled = [
            functional.conv2d(layer, weight, padding=1)
            for layer, weight in zip((fine, same, coarse), patch_pooling_weights([24, 40, 112]), strict=True)
        ]
        expected = functional.avg_pool2d(pooled[0], 2) + pooled[1]
        expected += functional.interpolate(pooled[2], (8, 8), mode="bilinear", align_corners=False)
        features = PatchFeatures(backbone, (4, 8, 16), 8)(images)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [lambda: EfficientNetLite("efficientnet_lite0"), lambda: ResNet("resnet18")])
def test_a_patch_teacher_reads_what_detectors_read_and_has_the_grid_of_a_pdn(build):
    torch.manual_seed(0)
    backbone = build()
    pixels = torch.randint(0, 256, (2, 3, 64, 96)).float()
    with torch.inference_mode():
        features = PatchTeacher(backbone).eval()(normalise(pixels))
        expected = PatchFeatures(backbone, (8, 16), 4)(pixels)[:, :, 4:-4, 4:-4]
    assert features.shape == (2, 384, 8, 16)
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def test_standardising_a_patch_teacher_standardises_its_features():
    torch.manual_seed(0)
    teacher = PatchTeacher(EfficientNetLite("efficientnet_lite0")).eval()
    images = torch.randn(1, 3, 64, 64)
    mean, std = torch.randn(384), torch.rand(384) + 0.5
    with torch.inference_mode():
        before = teacher(images)
        teacher.standardise(mean, std)
        after = teacher(images)
    torch.testing.assert_close(after, (before - mean.view(-1, 1, 1)) / std.view(-1, 1, 1), rtol=1e-4, atol=1e-4)
