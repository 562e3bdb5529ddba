import pytest
import torch
from torch.nn import functional

from edgekd.models.backbones.pdn import PDNTrunk, pdn
from edgekd.models.backbones.registry import build_backbone
from edgekd.models.multiscale import MultiscaleTeacher, frame_entry
from edgekd.models.normalisation import normalise


@pytest.mark.parametrize(
    ("name", "widths"), [("efficientnet_lite0", (24, 40, 112)), ("resnet18", (64, 128, 256)), ("mobilenet_v2", None)]
)
def test_a_multiscale_teacher_outputs_the_backbones_own_maps_of_its_own_normalisation(name, widths):
    torch.manual_seed(0)
    backbone = build_backbone(name).eval()
    pixels = torch.randint(0, 256, (1, 3, 64, 64)).float()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input_mean, backbone.input_std))
    with torch.inference_mode():
        expected = backbone.features((pixels - mean) / std, (4, 8, 16))
        teacher = MultiscaleTeacher(backbone, (4, 8, 16))
        maps = teacher(normalise(pixels))
    assert teacher.widths == (widths or (24, 32, 96))
    assert [entry.shape[2:] for entry in maps] == [(16, 16), (8, 8), (4, 4)]
    for own, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-3, atol=1e-4)


def test_a_multiscale_teacher_is_frozen_and_holds_nothing_after_its_last_scale():
    teacher = MultiscaleTeacher(build_backbone("resnet18"), (4, 8, 16))
    assert sum(parameter.numel() for parameter in teacher.parameters()) == 2_782_784
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(key.startswith("backbone.") for key in teacher.state_dict())
    assert not teacher.backbone.training


def test_an_entry_changes_nothing_and_is_in_no_file():
    first, images = frame_entry(), torch.randn(2, 3, 5, 7)
    assert torch.equal(first(images), images)
    assert list(first.parameters()) == []
    assert first.state_dict() == {}


@pytest.mark.parametrize(("name", "widths"), [("pdn_small", (256, 256, 384)), ("pdn_medium", (512, 512, 384))])
def test_a_pdns_coarser_scales_are_averages_on_the_images_own_grids(name, widths):
    torch.manual_seed(0)
    trunk, images = PDNTrunk(name), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        maps = trunk.features(images, (4, 8, 16))
        whole = pdn(name, padded=True)
        whole.load_state_dict(trunk.network.state_dict())
        expected = functional.avg_pool2d(whole(images), 4)
    assert [entry.shape[1:] for entry in maps] == [
        (width, side, side) for width, side in zip(widths, (16, 8, 4), strict=True)
    ]
    torch.testing.assert_close(maps[-1], expected)
