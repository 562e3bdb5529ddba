"""Every count that HKT's paper prints, to its last digit, from the real modules."""

import pytest
import torch
from torch import nn

from edgekd.models.counting import Count, count
from edgekd.models.registry import describe_systems, find_system

BARE = {"cbam": False, "projectors": False}

# system, switches, exact parameters, GFLOPs as printed (thop's MACs, truncated), convolutions' GMACs alone
ROWS = [
    ("hkt", BARE, 2_694_144, 15.31, 15.3109),
    ("hkt_plus", BARE, 8_026_624, 52.03, 52.0299),
    ("hkt", {}, 2_852_804, 20.31, 20.2946),
    ("hkt_plus", {}, 8_529_830, 63.21, 63.1842),
    ("hkt_plus", {"projectors": False}, 8_086_310, 52.07, 52.0389),
    ("hkt_plus", {"cbam": False}, 8_470_144, 63.18, 63.1751),
]


@pytest.mark.parametrize(("system", "switches", "parameters", "gflops", "conv_gmacs"), ROWS)
def test_the_students_counts_are_the_papers(system, switches, parameters, gflops, conv_gmacs):
    counted = count(find_system(system).build(**switches).learning())
    assert counted.parameters == parameters
    assert counted.thop_macs // 10**7 / 100 == gflops
    assert round(counted.macs / 1e9, 4) == conv_gmacs


@pytest.mark.parametrize(("system", "parameters"), [("hkt", 2_694_144), ("hkt_plus", 8_026_624)])
def test_a_teacher_is_its_bare_student(system, parameters):
    detector = find_system(system).build(**BARE)
    assert count(detector.teacher) == count(detector.learning())
    assert count(detector.teacher).parameters == parameters


def test_the_deployed_network_has_lost_its_projectors_and_one_bias():
    deployed = count(find_system("hkt").build().deployed())
    projectors = (128 + 256) * 384 + 2 * 384
    assert deployed.parameters == 5_398_340
    assert deployed.parameters == 2_694_144 + 2_852_804 - projectors - 384
    assert deployed.macs == 2 * 15_310_903_296 + attention_macs()


def attention_macs() -> int:
    """HKT's CBAMs at their three places: both branches of the gate's two layers, and the 7 x 7 on two maps."""
    total = 0
    for channels, side in ((128, 253), (256, 123), (256, 59)):
        total += 2 * 2 * channels * (channels // 16) + 7 * 7 * 2 * side * side
    return total


def test_the_systems_descriptions_hold_the_printed_figure_of_every_row():
    for system in describe_systems():
        assert set(system["parts"]) == {"teacher", "student", "deployed", "deployed with efficientnet_lite1"}
        for row in system["paper"]["rows"]:
            assert row["gflops"] == row["paper_gflops"]
            assert row["parameters"] // 10**4 / 100 == row["paper_parameters_m"]


class Small(nn.Module):
    """One of each layer that is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(3, 6, (3, 1), stride=2, groups=3)
        self.pool = nn.AvgPool2d(2)
        self.adaptive = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(6, 5, bias=False)

    def forward(self, x):
        return self.linear(self.adaptive(self.pool(self.grouped(x))).flatten(1))


def test_a_small_network_counts_as_by_hand():
    # On 9 x 9: the convolution gives 6 x 4 x 5, each of 3 taps on one channel; the pool 6 x 2 x 2; then 6; then 5.
    macs = 6 * 4 * 5 * 3 + 6 * 5
    additions = 6 * 2 * 2 + 6 * (4 + 1)
    assert count(Small(), 9) == Count(6 * 3 + 6 + 30, macs, macs + additions)


def test_a_shared_layer_holds_its_weights_once_and_counts_at_each_use():
    shared = nn.Conv2d(3, 3, 1)
    network = nn.Sequential(shared, shared)
    assert count(network, 2) == Count(12, 2 * 9 * 4, 2 * 9 * 4)


def test_counting_computes_nothing_and_leaves_the_network_alone():
    network = nn.Sequential(nn.Conv2d(3, 2, 1))
    before = network[0].weight.clone()
    count(network, 4)
    assert network[0].weight.device.type == "cpu"
    assert torch.equal(network[0].weight, before)
    assert not network[0]._forward_hooks
