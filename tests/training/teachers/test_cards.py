import json
import shutil

import pytest

from edgekd.errors import ArtifactError, EdgekdError
from edgekd.run_folder import TEACHER_CARDS_FILE
from edgekd.training.teachers.cards import read_card, read_teacher_cards
from edgekd.training.teachers.files import SHIPPED, shipped_teachers, store_folder
from edgekd.training.teachers.loading import load_teacher


@pytest.mark.parametrize("name", shipped_teachers())
def test_the_cards_that_ship_are_read(name):
    assert read_card(SHIPPED / f"{name}.json")["teacher"] == name


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([], "card.json holds a list in place of an object"),
        (
            {"sha256": "f00"},
            "card.json: sha256 must be a SHA-256, 64 hexadecimal digits in lower case, got 'f00'",
        ),
        ({"network": 7}, "card.json: network must be text, got 7; correct it"),
        ({"made_from": {"resnet18": "x"}}, "card.json: made_from must be a SHA-256"),
    ],
)
def test_a_wrong_card_is_refused_with_its_field(tmp_path, content, complaint):
    (tmp_path / "card.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=complaint):
        read_card(tmp_path / "card.json")


def test_a_runs_cards_are_read_or_refused_with_their_field(tmp_path):
    cards = [{"name": "pdn_small", "sha256": "0" * 64, "card": {"iterations": 7}}]
    (tmp_path / TEACHER_CARDS_FILE).write_text(json.dumps(cards))
    assert read_teacher_cards(tmp_path) == cards
    (tmp_path / TEACHER_CARDS_FILE).write_text(json.dumps([cards[0] | {"name": None}]))
    with pytest.raises(ArtifactError, match=r"teachers\.json: \[0\]\.name must be text, got null; train again"):
        read_teacher_cards(tmp_path)


def test_another_programs_json_beside_a_users_teacher_is_refused(tiny_teacher, tmp_path):
    shutil.copy(tiny_teacher, tmp_path / "mine.safetensors")
    (tmp_path / "mine.json").write_text('["layers", 3]')
    with pytest.raises(ArtifactError, match=r"mine\.json holds a list in place of an object"):
        load_teacher(str(tmp_path / "mine.safetensors"))


def test_a_name_that_leads_out_of_the_store_is_no_teacher(tiny_teacher, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))
    shutil.copy(tiny_teacher, tmp_path / "outside.safetensors")
    (tmp_path / "outside.json").write_text("{}")
    assert (store_folder() / "../outside.safetensors").resolve() == tmp_path / "outside.safetensors"
    (tmp_path / "store").mkdir()
    with pytest.raises(EdgekdError, match=r"unknown teacher '\.\./outside'"):
        load_teacher("../outside")
