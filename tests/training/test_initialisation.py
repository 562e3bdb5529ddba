"""Initial weights that fit the images."""

import pytest
import torch
from torch import nn

from edgekd.models.hkt import HKTStudent
from edgekd.models.mhkd import MHKDStudent
from edgekd.training.initialisation import scale_layers


@pytest.fixture
def images():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def drawn(network):
    torch.manual_seed(0)
    return network().eval()


@pytest.mark.parametrize(
    "student",
    [
        lambda: HKTStudent("pdn_small"),
        lambda: HKTStudent("pdn_medium", cbam=False),
        lambda: MHKDStudent((16, 16), 384, True, 0.2),
    ],
)
def test_outputs_that_were_almost_dead_have_mean_0_and_deviation_1(student, images):
    network = drawn(student)
    with torch.no_grad():
        before = [output for output in network(images) if isinstance(output, torch.Tensor)]
        scale_layers(network, images)
        after = [output for output in network(images) if isinstance(output, torch.Tensor)]
    assert max(float(output.std()) for output in before) < 0.1
    for output in after:
        assert output.mean((0, 2, 3)).abs().max() < 0.02
        assert output.std((0, 2, 3)) == pytest.approx(torch.ones(output.shape[1]), abs=0.02)


def test_gates_stay_as_they_are_drawn(images):
    network = drawn(lambda: HKTStudent("pdn_small"))
    gates = {key: value.clone() for key, value in network.cbams.state_dict().items()}
    scale_layers(network, images)
    assert all(torch.equal(value, gates[key]) for key, value in network.cbams.state_dict().items())


def test_a_projector_of_several_places_is_scaled_at_the_first(images):
    network = drawn(lambda: HKTStudent("pdn_small"))
    scale_layers(network, images)
    with torch.no_grad():
        taps = network(images).taps
    assert float(taps[1].std()) == pytest.approx(1, abs=0.1)  # The 256 channels of the second place.


def test_a_dead_channel_stays_finite(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    nn.init.zeros_(network[0].weight)
    scale_layers(network, images)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
