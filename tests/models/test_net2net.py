import torch

from edgekd.models import net2net
from edgekd.models.backbones.pdn import pdn
from edgekd.models.net2net import pdn_medium_from_small
from edgekd.training.teachers.loading import load_teacher

from .detector_tester import real_images


def medium_and_small(paths):
    state = load_teacher("pdn_small").state
    small, medium = pdn("pdn_small"), pdn("pdn_medium")
    small.load_state_dict(state)
    medium.load_state_dict(pdn_medium_from_small(state))
    images = real_images(tuple(paths[:2]), 96)
    with torch.inference_mode():
        return medium(images), small(images)


def test_without_noise_the_medium_network_has_the_outputs_of_the_small_one(elpv_images, monkeypatch):
    monkeypatch.setattr(net2net, "NOISE", 0.0)
    grown, small = medium_and_small(elpv_images)
    torch.testing.assert_close(grown, small, rtol=1e-4, atol=1e-4)


def test_noise_tells_twins_apart_and_costs_little(elpv_images):
    torch.manual_seed(0)
    grown, small = medium_and_small(elpv_images)
    assert 0 < float((grown - small).square().mean() / small.var()) < 0.2
    weight = pdn_medium_from_small(load_teacher("pdn_small").state)["3.weight"]
    assert not torch.equal(weight[:256], weight[256:])
