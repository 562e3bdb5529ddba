import pytest

from edgekd.cli.switches import read_switches
from edgekd.errors import EdgekdError
from edgekd.models.registry import find_system


def test_switches_take_the_type_of_the_papers_value():
    assert read_switches(["cbam=off", "projectors=on", "tap_weight=1"], find_system("hkt")) == {
        "cbam": False,
        "projectors": True,
        "tap_weight": 1.0,
    }
    assert read_switches(["middle_width=512", "dropout=0.1"], find_system("mhkd")) == {
        "middle_width": 512,
        "dropout": 0.1,
    }
    assert read_switches(["students=reverse"], find_system("dskd")) == {"students": "reverse"}


@pytest.mark.parametrize(
    ("system", "text", "complaint"),
    [
        ("hkt", "cbam", "--switch cbam has no value: write NAME=VALUE, such as cbam=off"),
        ("hkt", "cbma=off", "unknown switch of hkt 'cbma': did you mean cbam?"),
        ("hkt", "cbam=no", "--switch cbam=no: use on or off"),
        ("mhkd", "middle_width=wide", "--switch middle_width=wide: a number such as 384 is needed"),
        ("mhkd", "middle_width=0", "--switch middle_width=0: a number from 1 upward is needed, such as 384"),
        ("mhkd", "dropout=-0.1", "--switch dropout=-0.1: a number from 0 upward is needed, such as 0.2"),
        ("hkt", "tap_weight=nan", "--switch tap_weight=nan: a number from 0 upward"),
        ("hkt", "tap_weight=inf", "--switch tap_weight=inf: a number from 0 upward"),
        ("mhkd", "size=64", "unknown switch of mhkd 'size'"),
        ("mthf", "groups=a", "unknown switch of mthf 'groups'"),
    ],
)
def test_a_switch_that_cannot_be_says_why(system, text, complaint):
    with pytest.raises(EdgekdError) as caught:
        read_switches([text], find_system(system))
    assert complaint in str(caught.value)
