import pytest
import torch
from torch import nn

from edgekd.models.backbones.pdn import RECEPTIVE_FIELD, grid_size, nearest_legal_sizes, pdn


@pytest.mark.parametrize("name", ["pdn_small", "pdn_medium"])
def test_the_grid_of_256_pixels_is_56_and_nothing_is_padded(name):
    network = pdn(name).to("meta")
    assert network(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 384, 56, 56)
    assert all(layer.padding in (0, (0, 0)) for layer in network if isinstance(layer, nn.Conv2d | nn.AvgPool2d))


@pytest.mark.parametrize("size", [36, 40, 64, 100, 256])
def test_grid_size_is_the_networks_own(size):
    network = pdn("pdn_small").to("meta")
    assert network(torch.empty(1, 3, size, size, device="meta")).shape[2:] == (grid_size(size),) * 2


@pytest.mark.parametrize(("name", "places"), [("pdn_small", (0, 3, 6, 8)), ("pdn_medium", (0, 3, 6, 8, 10, 12))])
def test_the_state_dict_has_the_public_files_names(name, places):
    keys = [f"{place}.{kind}" for place in places for kind in ("weight", "bias")]
    assert list(pdn(name).state_dict()) == keys


def test_a_feature_sees_33_pixels_and_the_next_one_starts_4_further():
    torch.manual_seed(0)
    network = pdn("pdn_small").double()
    image = torch.randn(1, 3, 44, 44, dtype=torch.float64, requires_grad=True)
    network(image)[0, :, 1, 2].sum().backward()
    seen = image.grad[0].abs().sum(0).nonzero()
    (top, left), (bottom, right) = seen.min(0).values.tolist(), seen.max(0).values.tolist()
    assert (bottom - top + 1, right - left + 1) == (RECEPTIVE_FIELD, RECEPTIVE_FIELD)
    assert (top, left) == (4, 8)


@pytest.mark.parametrize(
    ("size", "nearest"), [(256, (256,)), (255, (252, 256)), (257, (256, 260)), (1, (36,)), (35, (36,)), (36, (36,))]
)
def test_nearest_legal_sizes_are_multiples_of_4_from_36(size, nearest):
    assert nearest_legal_sizes(size) == nearest


@pytest.mark.parametrize("name", ["pdn_small", "pdn_medium"])
def test_a_padded_pdn_covers_the_whole_image(name):
    with torch.device("meta"):
        for size in (64, 128, 256):
            assert pdn(name, padded=True)(torch.empty(1, 3, size, size)).shape == (1, 384, size // 4, size // 4)
