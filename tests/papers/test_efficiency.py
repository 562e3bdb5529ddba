"""What differs from the set-up of a paper's table of sizes and costs."""

import pytest

from edgekd.papers.efficiency import compare_efficiency


def differences(teacher, size=256):
    frames = {"frames": {"shape": [1, size, size, 3]}}
    manifest = {"system": "hkt", "precision": "fp32", "teachers": [{"name": teacher}], "inputs": frames}
    return compare_efficiency(manifest, on_cpu=False)["differences"]


@pytest.mark.parametrize("teacher", ["efficientad_small", "pdn_small"])
def test_a_teacher_of_the_same_network_is_no_difference(teacher):
    (line,) = differences(teacher)
    assert line.startswith("included: teacher, student, maps and score here; in the paper's figure ")


def test_another_network_and_another_size_are():
    assert differences("efficientnet_lite1", 128)[:2] == [
        "teacher: efficientnet_lite1; the paper's efficientad_small",
        "size: 128 pixels; the paper's 256",
    ]
