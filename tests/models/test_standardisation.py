import pytest
import torch

from edgekd.models.backbones.efficientnet_lite import EfficientNetLite
from edgekd.models.backbones.pdn import pdn
from edgekd.models.patch_features import PatchTeacher
from edgekd.models.standardisation import Standardised


def uneven_features(count):
    """Features [N, 384, 4, 4] whose channels differ in mean and spread, and whose images differ in mean."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.5, 3, 384).view(-1, 1, 1)
    shift = torch.linspace(-2, 2, count).view(-1, 1, 1, 1)
    return torch.randn(count, 384, 4, 4, generator=generator) * spread + 7 + shift


def test_it_changes_nothing_before_it_has_measured():
    features = uneven_features(2)
    assert torch.equal(Standardised(384)(features), features)


def test_mean_and_spread_are_those_of_all_images_together_however_they_come():
    standardised, features = Standardised(384), uneven_features(5)
    standardised.measure(iter(torch.split(features, [1, 3, 1])))
    # The mean of the images' means; the mean of the images' mean squared distances from that one mean.
    mean = torch.stack([image.mean((1, 2)) for image in features]).mean(0)
    squares = torch.stack([(image - mean.view(-1, 1, 1)).square().mean((1, 2)) for image in features])
    torch.testing.assert_close(standardised.mean, mean)
    torch.testing.assert_close(standardised.std, squares.mean(0).sqrt())
    answer = standardised(features)
    torch.testing.assert_close(answer.mean((0, 2, 3)), torch.zeros(384), rtol=0, atol=1e-5)
    torch.testing.assert_close(answer.var((0, 2, 3), unbiased=False), torch.ones(384))


def test_measuring_again_forgets_what_was_measured_before():
    standardised, features = Standardised(384), uneven_features(4)
    standardised.measure([torch.full((1, 384, 4, 4), 100.0), torch.zeros(1, 384, 4, 4)])
    standardised.measure([features])
    torch.testing.assert_close(standardised.mean, features.mean((0, 2, 3)))


def test_a_small_spread_far_from_zero_is_not_lost_to_rounding():
    standardised = Standardised(1)
    features = torch.tensor([1000.0, 1000.5]).view(2, 1, 1, 1).expand(2, 1, 3, 3)
    standardised.measure(torch.split(features, 1))
    assert standardised.mean.item() == 1000.25
    assert standardised.std.item() == 0.25


def test_a_channel_that_never_changes_stays_finite():
    standardised = Standardised(2)
    features = torch.stack([torch.full((4, 4), 3.0), torch.arange(16.0).view(4, 4)]).unsqueeze(0)
    standardised.measure([features])
    answer = standardised(features)
    assert torch.equal(answer[0, 0], torch.zeros(4, 4))
    assert torch.isfinite(standardised(features + 1)).all()


def test_what_was_measured_travels_with_the_weights():
    measured, other = Standardised(384), Standardised(384)
    measured.measure([uneven_features(2)])
    other.load_state_dict(measured.state_dict())
    assert torch.equal(other(uneven_features(3)), measured(uneven_features(3)))


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: pdn("pdn_small"), 40),
        (lambda: pdn("pdn_small", padded=True), 16),
        (lambda: PatchTeacher(EfficientNetLite("efficientnet_lite0")), 64),
        (lambda: PatchTeacher(EfficientNetLite("efficientnet_lite0"), padded=True), 32),
    ],
    ids=["pdn", "padded-pdn", "patch-teacher", "padded-patch-teacher"],
)
def test_folded_into_a_teacher_it_is_what_the_teacher_says(build, size):
    torch.manual_seed(0)
    teacher, standardised, images = build().eval(), Standardised(384), torch.randn(2, 3, size, size)
    standardised.measure([uneven_features(3)])
    with torch.inference_mode():
        before = teacher(images)
        folded = standardised.fold_into(teacher)
        after = folded(images)
    assert folded is teacher
    mean, std = standardised.mean.view(1, -1, 1, 1), standardised.std.view(1, -1, 1, 1)
    torch.testing.assert_close(after, (before - mean) / std, rtol=1e-4, atol=1e-4)
    assert float((after - before).abs().mean()) > 1
