import pytest
import torch

from edgekd.artifact import read_json, write_json
from edgekd.errors import EdgekdError
from edgekd.models.backbones.pdn import pdn
from edgekd.training.teachers import distillation as teacher_distillation
from edgekd.training.teachers.distillation import CropSource, TeacherDistillation
from edgekd.training.teachers.distilled import prepare_distillation, save_teacher
from edgekd.training.teachers.loading import load_teacher

RECIPE = {
    "teacher": "pdn_small",
    "backbone": "efficientnet_lite0",
    "iterations": 6,
    "batch": 2,
    "learning_rate": 1e-3,
    "crop": 256,
    "strides": [4, 8],
    "start_from": None,
    "seed": 0,
}


@pytest.fixture(scope="module")
def distillation(elpv_images):
    """Ready to run; its statistics come from few crops, to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_distillation, "STATISTICS_CROPS", 8)
        return prepare_distillation(RECIPE, elpv_images[:24], torch.device("cpu"))


def test_the_same_number_gives_the_same_crops_and_another_gives_others(elpv_images):
    first, again = (CropSource(elpv_images[:6], batch=3, side=256, seed=4) for _ in range(2))
    crops = first.batch_at(7)
    assert crops.shape == (3, 3, 256, 256)
    assert crops.dtype == torch.uint8
    again.batch_at(0)
    assert torch.equal(again.batch_at(7), crops)
    assert not torch.equal(first.batch_at(8), crops)
    assert not torch.equal(CropSource(elpv_images[:6], batch=3, side=256, seed=5).batch_at(7), crops)
    assert len({crop.sum().item() for crop in crops}) == 3


@torch.no_grad()
def test_the_pdn_is_compared_position_by_position_with_the_backbones_inner_grid(distillation):
    crops = distillation._held_out[:1]
    predicted, target = distillation._predict(crops)
    assert predicted.shape == target.shape == (1, 384, 24, 24)
    assert pdn("pdn_small").to("meta")(torch.empty(1, 3, 128, 128, device="meta")).shape[2:] == (24, 24)
    spotted = crops.clone()
    spotted[:, :, 128:136, 64:72] = 255 - spotted[:, :, 128:136, 64:72]
    moved, moved_target = distillation._predict(spotted)
    # Pixel 132, 68 of the backbone's image is its cell 16, 8, which is 12, 4 without the border of 4.
    for after, before in ((moved, predicted), (moved_target, target)):
        change = (after - before).abs().sum(1)[0]
        rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
        assert float((change * rows).sum() / change.sum()) == pytest.approx(12, abs=1.5)
        assert float((change * columns).sum() / change.sum()) == pytest.approx(4, abs=1.5)


def test_targets_are_standardised_channel_by_channel(distillation):
    crops = torch.cat([distillation._crops.batch_at(number) for number in range(100, 103)])
    with torch.inference_mode():
        target = (distillation.features(crops.float()) - distillation.mean) / distillation.std
    assert abs(float(target.mean())) < 0.2
    assert 0.5 < float(target.std()) < 1.5


def test_a_few_iterations_lower_the_error_and_the_teacher_goes_round(distillation, tmp_path):
    before = distillation.held_out_error()
    steps = []
    distillation.run(tmp_path / "checkpoint.pt", lambda iteration, loss: steps.append(iteration))
    assert steps == [6]
    assert distillation.held_out_error() < 0.99 * before
    save_teacher(tmp_path / "teacher.safetensors", distillation, {"made_from": "cells"})
    teacher = load_teacher(str(tmp_path / "teacher.safetensors"))
    assert teacher.provenance == {"made_from": "cells"}
    own = distillation.network.state_dict()
    assert teacher.state.keys() == own.keys()
    assert all(torch.equal(teacher.state[key], own[key].half().float()) for key in own)


def test_it_goes_on_from_a_teacher_and_a_small_one_grows(elpv_images, tiny_teacher, monkeypatch):
    monkeypatch.setattr(teacher_distillation, "STATISTICS_CROPS", 2)
    recipe = RECIPE | {"start_from": str(tiny_teacher)}
    small = prepare_distillation(recipe, elpv_images[:4], torch.device("cpu"))
    state = load_teacher(str(tiny_teacher)).state
    assert all(torch.equal(value, state[key]) for key, value in small.network.state_dict().items())
    grown = prepare_distillation(recipe | {"teacher": "pdn_medium"}, elpv_images[:4], torch.device("cpu"))
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        difference, spread = grown.network(image) - small.network(image), small.network(image).std()
    assert float(difference.std()) < 0.1 * float(spread)


def test_it_goes_on_to_the_low_rates_where_the_held_out_error_stands_still(distillation, tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "held_out_error", lambda: 0.6)
    history = tmp_path / "held_out_errors.json"
    write_json(history, {"500": 0.9, "7000": 0.1})  # What is beyond the checkpoint belongs to an older run.
    for number in range(2, 12):
        distillation._record_error(500 * number, history)
    assert read_json(history) == {"500": 0.9} | {str(500 * number): 0.6 for number in range(2, 12)}


def test_the_learning_rate_warms_up_and_falls_to_nothing(distillation):
    rates = [distillation._learning_rate_at(iteration) for iteration in range(7)]
    assert rates[0] == pytest.approx(1e-3 / 30)
    assert rates[3] == pytest.approx(1e-3 * 4 / 30 * 0.5)
    assert rates[6] == pytest.approx(0)


def test_unknown_names_and_too_few_images_are_refused(distillation, elpv_images):
    with pytest.raises(EdgekdError, match="did you mean pdn_small"):
        prepare_distillation(RECIPE | {"teacher": "pdn_smal"}, elpv_images[:4], torch.device("cpu"))
    with pytest.raises(EdgekdError, match="unknown backbone"):
        prepare_distillation(RECIPE | {"backbone": "vgg"}, elpv_images[:4], torch.device("cpu"))
    with pytest.raises(EdgekdError, match="1 image is too few"):
        TeacherDistillation(
            pdn("pdn_small"), distillation.features, elpv_images[:1], distillation.settings, torch.device("cpu")
        )
