"""Every count that HKT's paper prints, to its last digit, from the real modules."""

import pytest
import torch
from torch import nn

from edgekd.models.counting import Count, count
from edgekd.models.description import describe_systems
from edgekd.models.registry import find_system

BARE = {"cbam": False, "projectors": False}

# system, settings, exact parameters, GFLOPs as printed (thop's MACs, truncated), convolutions' GMACs alone
ROWS = [
    ("hkt", BARE, 2_694_144, 15.31, 15.3109),
    ("hkt_plus", BARE, 8_026_624, 52.03, 52.0299),
    ("hkt", {}, 2_852_804, 20.31, 20.2946),
    ("hkt_plus", {}, 8_529_830, 63.21, 63.1842),
    ("hkt_plus", {"projectors": False}, 8_086_310, 52.07, 52.0389),
    ("hkt_plus", {"cbam": False}, 8_470_144, 63.18, 63.1751),
]


@pytest.mark.parametrize(("system", "settings", "parameters", "gflops", "conv_gmacs"), ROWS)
def test_the_students_counts_are_the_papers(system, settings, parameters, gflops, conv_gmacs):
    counted = count(find_system(system).detector(256, settings).trainable())
    assert counted.parameters == parameters
    assert counted.thop_macs // 10**7 / 100 == gflops
    assert round(counted.macs / 1e9, 4) == conv_gmacs


@pytest.mark.parametrize(("system", "parameters"), [("hkt", 2_694_144), ("hkt_plus", 8_026_624)])
def test_a_teacher_is_its_bare_student(system, parameters):
    detector = find_system(system).build(**BARE)
    assert count(detector.teacher) == count(detector.trainable())
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


# RCM, AFF, PCAR; exact parameters; GMACs: the rows of PFADSeg's ablation, DeSTSeg first, PFADSeg last.
PFADSEG_ROWS = [
    (False, False, False, 35_154_177, 38.44),
    (True, False, False, 31_230_209, 22.64),
    (False, True, False, 36_710_529, 38.85),
    (False, False, True, 63_183_121, 52.94),
    (True, False, True, 59_259_153, 37.14),
    (False, True, True, 64_739_473, 53.34),
    (True, True, True, 60_815_505, 37.54),
]


@pytest.mark.parametrize(("rcm", "aff", "pcar", "parameters", "gmacs"), PFADSEG_ROWS)
def test_pfadsegs_ablations_count_what_their_blocks_do(rcm, aff, pcar, parameters, gmacs):
    with torch.device("meta"):
        counted = count(find_system("pfadseg").detector(256, {"rcm": rcm, "aff": aff, "pcar": pcar}))
    assert counted.parameters == parameters
    colours = 9 * 256 * 256  # Bringing images to the backbone's own normalisation, which no paper counts.
    assert round((counted.macs - colours) / 1e9, 2) == gmacs


@pytest.mark.parametrize(
    ("groups", "bare", "parameters_m", "gmacs"),
    [
        (("resnet18",), False, 6.66, 4.49),
        (("mobilenet_v2",), False, 1.21, 0.64),
        (("efficientnet_b0",), False, 1.88, 0.75),
        (("resnet18", "mobilenet_v2", "efficientnet_b0"), False, 9.76, 5.87),
        (("resnet18", "mobilenet_v2", "efficientnet_b0"), True, 8.35, 4.85),
    ],
)
def test_mthfs_paper_like_groups_are_as_light_as_they_should_be(groups, bare, parameters_m, gmacs):
    with torch.device("meta"):
        settings = {"groups": groups, "fusion": not bare, "attention": not bare}
        counted = count(find_system("mthf").detector(256, settings))
    assert round(counted.parameters / 1e6, 2) == parameters_m
    assert round(counted.macs / 1e9, 2) == gmacs


@pytest.fixture(scope="module")
def described():
    return {system["system"]: system for system in describe_systems()}


def test_all_six_systems_are_described_by_their_parts(described):
    parts = {name: set(system["parts"]) - {"whole", "deployed"} for name, system in described.items()}
    with_lite1 = "deployed with efficientnet_lite1"
    groups = ("efficientnet_lite0", "efficientnet_lite1")
    assert parts == {
        "hkt": {"teacher", "student", with_lite1},
        "hkt_plus": {"teacher", "student", with_lite1},
        "mhkd": {"teacher", "student", with_lite1},
        "pfadseg": {"teacher", "student", "segmentation network"},
        "dskd": {"teacher", "forward student", "reverse student", "fusion"},
        "mthf": {f"{role} {name}" for role in ("teacher", "student") for name in groups},
    }


def test_the_systems_descriptions_hold_the_exact_counts(described):
    parameters = {
        name: {part: figures["parameters"] for part, figures in system["parts"].items()}
        for name, system in described.items()
    }
    assert parameters["mhkd"]["whole"] == parameters["mhkd"]["deployed"] == 35_502_336
    assert parameters["mhkd"]["student"] == 27_475_712
    assert parameters["pfadseg"]["whole"] == 60_815_505
    assert parameters["pfadseg"]["student"] == 51_703_344
    assert parameters["pfadseg"]["segmentation network"] == 6_329_377
    assert parameters["dskd"]["reverse student"] == 108_880_774
    assert parameters["dskd"]["teacher"] == 66_834_240
    macs = {name: system["parts"]["whole"]["macs"] for name, system in described.items()}
    assert round(2 * macs["mhkd"] / 1e9, 2) == 234.00
    assert round(macs["pfadseg"] / 1e9, 2) == 37.54
    assert round(described["dskd"]["parts"]["reverse student"]["macs"] / 1e9, 2) == 23.42


def test_the_systems_descriptions_hold_the_printed_figure_of_every_row(described):
    for name, system in described.items():
        for row in system["paper"]["rows"]:
            if row["paper_gflops"] is not None:
                assert row["gflops"] == row["paper_gflops"], (name, row)
            if "counted" in row["row"] or "behind" in row["row"]:
                continue  # What the paper counts besides is not built.
            if row["paper_parameters_m"] is not None:
                digits = 2 if name.startswith("hkt") else 0
                assert int(row["parameters"] / 1e6 * 10**digits) / 10**digits == row["paper_parameters_m"], (name, row)
    assert [row["parameters"] for row in described["dskd"]["paper"]["rows"]] == [66_834_240, 24_862_528, 108_880_774]
    released = described["mhkd"]["paper"]["rows"][1]
    assert (released["parameters"], released["gflops"]) == (37_337_472, 236.15)


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
