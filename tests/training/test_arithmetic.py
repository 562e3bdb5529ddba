"""What computes in bfloat16 and what stays in float32."""

import pytest
import torch
from torch import nn

from edgekd.training.arithmetic import mixed_precision

CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))


def computed(network, enabled):
    """The type of every layer's output."""
    types = []
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: types.append(output.dtype)) for layer in network]
    with mixed_precision(network, CPU, enabled):
        network(torch.randn(2, 3, 8, 8)).sum().backward()
    for hook in hooks:
        hook.remove()
    return types


def test_depthwise_convolutions_stay_in_float32_on_a_cpu(network):
    assert computed(network, True) == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


def test_everything_is_float32_where_it_is_off(network):
    assert computed(network, False) == [torch.float32] * 3


def test_nothing_is_left_behind(network):
    with pytest.raises(RuntimeError), mixed_precision(network, CPU, True):
        network(torch.randn(2, 5, 8, 8))  # Fails in the first layer.
    with pytest.raises(RuntimeError), mixed_precision(network, CPU, True):
        network[1](torch.randn(2, 5, 8, 8))  # Fails in the depthwise one.
    assert not torch.is_autocast_enabled("cpu")
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network)
