import pytest
import torch

from edgekd.models.backbones.efficientnet_lite import EfficientNetLite
from edgekd.models.backbones.pdn import pdn
from edgekd.models.patch_features import PatchTeacher
from edgekd.models.standardisation import Places, Standardised

from .detector_tester import drawn_detector, real_images


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


def loud_maps(count):
    """Maps [N, 64, 64] of good images; the further to the right, the higher they are, and the more they differ."""
    loudness = torch.linspace(0.4, 1, 64)
    return loudness * (5 + torch.randn(count, 64, 64, generator=torch.Generator().manual_seed(0)))


def test_places_have_mean_0_and_deviation_1_over_the_good_images_wherever_they_were_loud():
    places, maps = Places(standardised=True), loud_maps(400)
    places.measure(iter(maps.split(7)))
    answer = places(maps)
    for half in (answer[..., :32], answer[..., 32:]):
        assert half.mean().item() == pytest.approx(0, abs=0.01)
        assert half.std().item() == pytest.approx(1, abs=0.07)


def test_a_defect_in_a_quiet_place_scores_above_good_images_once_places_are_standardised():
    places, maps = Places(standardised=True), loud_maps(100)
    defective = maps[:1].clone()
    defective[:, 10:14, 10:14] += 4
    assert defective.max() < maps.max()
    places.measure([maps])
    assert places(defective).max() > 1.5 * places(maps).max()


def test_places_that_are_not_standardised_stay_as_they_are():
    places, maps = Places(standardised=False), loud_maps(2)
    places.measure([maps])
    assert torch.equal(places(maps), maps)
    assert places.state_dict() == {}


@pytest.mark.parametrize("count", [5, 60])
def test_a_place_where_good_images_do_not_differ_differs_as_if_twenty_more_were_like_the_others(count):
    places, maps = Places(standardised=True), torch.randn(count, 32, 32, generator=torch.Generator().manual_seed(0))
    maps[:, :4, :4] = 3.0
    places.measure([maps])
    usual = maps.var(0, unbiased=False).mean().item()
    expected = (20 / (count + 20) * usual) ** 0.5
    assert places.std[:4, :4].flatten().tolist() == pytest.approx([expected] * 16, rel=1e-4)


def test_few_images_do_not_make_places_loud_by_chance():
    few = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))  # Alike everywhere, but for the draw.
    places = Places(standardised=True)
    places.measure([few])
    alone = few.std(0, unbiased=False)
    assert alone.max() / alone.min() > 10
    assert places.std.max() / places.std.min() < 2


def test_one_image_without_any_difference_is_enough():
    places = Places(standardised=True)
    places.measure([torch.ones(1, 32, 32)])
    assert torch.isfinite(places(torch.ones(1, 32, 32))).all()


@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (253, 130)])
def test_maps_of_any_size_have_places(shape):
    places = Places(standardised=True)
    places.measure([torch.full((3, *shape), 2.0) + torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1)])
    answer = places(torch.full((1, *shape), 3.0))
    assert answer.shape == (1, *shape)
    torch.testing.assert_close(answer, torch.full((1, *shape), 1.5**0.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("system", "teacher"),
    [
        ("hkt", {"teacher": "efficientnet_lite1", "border": False}),
        ("mhkd", {"teacher": "efficientnet_lite1"}),
        ("dskd", {"backbone": "efficientnet_lite1", "fusion": "manual"}),
        ("mthf", {"groups": ("efficientnet_lite0",)}),
    ],
)
def test_the_maps_of_a_system_are_standardised_by_images_of_the_training(system, teacher, elpv_images):
    images = real_images(tuple(elpv_images[:6]), 64)
    detector = drawn_detector(system, {**teacher, "standardise": True}, 64, 0).requires_grad_(False)
    detector.prepare(detector.targets(image[None]) for image in images)
    detector.fit_quantiles(image[None] for image in images)
    before = detector.anomaly_map(images)
    detector.fit_places(image[None] for image in images)
    after = detector.anomaly_map(images)
    assert after.mean().item() == pytest.approx(0, abs=0.1)
    assert after.std().item() == pytest.approx(1, abs=0.4)  # MHKD's are smoothed afterwards.
    assert before.mean(0).std() / before.std() > 2 * after.mean(0).std() / after.std()
