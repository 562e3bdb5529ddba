import pytest

from edgekd.errors import EdgekdError
from edgekd.models.registry import SYSTEMS, find_system
from edgekd.workflows.settings import checked_settings, parse_settings


def test_settings_take_the_type_of_the_papers_value():
    hkt = parse_settings("hkt", ["cbam=off", "projectors=on", "tap_weight=1"])
    assert hkt == {"cbam": False, "projectors": True, "tap_weight": 1.0}
    assert type(hkt["tap_weight"]) is float
    assert parse_settings("mhkd", ["middle_width=512", "dropout=0.1"]) == {"middle_width": 512, "dropout": 0.1}
    assert parse_settings("dskd", ["students=reverse"]) == {"students": "reverse"}


@pytest.mark.parametrize(
    ("system", "text", "complaint"),
    [
        ("hkt", "cbam", "setting 'cbam' has no value: write NAME=VALUE, such as cbam=off"),
        ("hkt", "cbma=off", "unknown setting of hkt 'cbma': did you mean cbam?"),
        ("hkt", "cbam=no", "setting cbam of hkt must be on or off, got 'no'"),
        ("mhkd", "middle_width=wide", "must be an integer of at least 1, such as 384, got 'wide'"),
        ("mhkd", "middle_width=0", "must be an integer of at least 1, such as 384, got '0'"),
        ("mhkd", "middle_width=1.5", "must be an integer of at least 1, such as 384, got '1.5'"),
        ("mhkd", "dropout=-0.1", "must be a number of at least 0, such as 0.2, got '-0.1'"),
        ("hkt", "tap_weight=nan", "must be a number of at least 0, such as 0.5, got 'nan'"),
        ("hkt", "tap_weight=inf", "must be a number of at least 0, such as 0.5, got 'inf'"),
        ("dskd", "students=none", "setting students of dskd must be both, forward or reverse, got 'none'"),
        ("mthf", "scale_fusion=mean", "setting scale_fusion of mthf must be product, sum or area, got 'mean'"),
        ("mhkd", "size=64", "unknown setting of mhkd 'size'"),
        ("mthf", "groups=a", "unknown setting of mthf 'groups'"),
        ("nosuch", "a=b", "unknown system 'nosuch'"),
    ],
)
def test_a_setting_that_cannot_be_names_what_was_expected(system, text, complaint):
    with pytest.raises(EdgekdError) as caught:
        parse_settings(system, [text])
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("system", "settings", "complaint"),
    [
        ("hkt", {"cbam": 0}, "setting cbam of hkt must be on or off, got '0'"),
        ("hkt", {"cbam": "off"}, "setting cbam of hkt must be on or off, got 'off'"),
        ("hkt", {"tap_weight": True}, "must be a number of at least 0, such as 0.5, got 'True'"),
        ("mhkd", {"middle_width": True}, "must be an integer of at least 1, such as 384, got 'True'"),
        ("dskd", {"fusion": None}, "must be learned, manual or area, got 'None'"),
        ("dskd", {"backbone": "resnet18"}, "unknown setting of dskd 'backbone'"),
    ],
)
def test_values_from_python_are_checked_alike(system, settings, complaint):
    with pytest.raises(EdgekdError) as caught:
        checked_settings(find_system(system), settings)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_default_is_a_legal_value(system):
    defaults = find_system(system).settings()
    assert checked_settings(find_system(system), defaults) == defaults
    texts = [f"{name}={str(value).lower()}" for name, value in defaults.items()]
    assert parse_settings(system, texts) == defaults
