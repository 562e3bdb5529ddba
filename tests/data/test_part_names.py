"""What names of folders and files say of the parts in them."""

import pytest

from edgekd.data.part_names import kind_of_name, kinds_of_names

GOOD = (
    "good GOOD OK ok Okay normal NORMAL Pass io IO i.O. OK2 lot1_OK NoDefects defect-free non_defective gut 良品 bons"
)
DEFECTIVE = (
    "bad NG Ng nok abnormal ABNORMAL Fail failed NIO n.i.O. nicht_io notOK not-good defect Defects_2 anomaly anomalies "
    "faulty rejects scrap broken_large damaged cracks Ausschuss beschädigt Fehler défauts lot1-NG 不良品 k.o. positive"
)


@pytest.mark.parametrize(
    ("names", "kind"),
    [(GOOD, "good"), (DEFECTIVE, "defective")],
)
def test_folders_of_good_and_defective_parts_are_known_by_their_names(names, kind):
    assert {name: kind_of_name(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


THINGS = "camera1 lot7 2024-01-01 io_board sound_box token passive book images train"


@pytest.mark.parametrize("name", THINGS.split())
def test_names_of_things_say_nothing(name):
    assert kind_of_name(name) is None


def test_what_is_denied_is_the_opposite():
    assert [kind_of_name(name) for name in ("not ok", "without defects", "fault free", "n_ok")] == [
        "defective",
        "good",
        "good",
        "defective",
    ]


def test_a_word_that_all_files_have_tells_none_from_another():
    assert kinds_of_names(["pass1_001", "pass2_001"]) == [None, None]
    assert kinds_of_names(["crack_line_ok_1", "crack_line_2", "crack_line_ng_3"]) == ["good", None, "defective"]
    assert kinds_of_names(["ok_1", "not_ok_1"]) == ["good", "defective"]
