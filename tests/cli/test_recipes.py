"""edgekd recipes make, list, release, retire, bring-back and revise."""

import json

import cv2
import numpy as np
import pytest

from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.record.opening import open_record
from edgekd.station.record.reading import RecordReader

from ..engines.hand_made import graph, save
from ..run_command import main

pytest.importorskip("tomlkit")


@pytest.fixture
def recipes(tmp_path, capsys):
    """A folder with the draft of one recipe."""
    good = tmp_path / "good"
    good.mkdir()
    cv2.imwrite(str(good / "a.png"), np.full((16, 16), 30, np.uint8))
    words = ["--recipes", tmp_path / "recipes", "--id", "bolt", "--job", "3", "--good", good, "--product", "M4"]
    words += ["--trigger", "free_run"]
    assert main(["recipes", "make", save(graph(), tmp_path, 120.0), *words]) == 0
    assert f"made the draft {tmp_path / 'recipes' / 'bolt' / '1'}" in capsys.readouterr().out.replace("\n", " ")
    return tmp_path / "recipes"


def test_the_draft_has_the_trigger_that_was_asked_for(recipes):
    assert 'trigger = "free_run"' in (recipes / "bolt" / "1" / "recipe.toml").read_text()


def listed(recipes, capsys):
    capsys.readouterr()
    assert main(["recipes", "list", recipes, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_recipe_goes_from_draft_to_retired_and_the_list_shows_it(recipes, capsys):
    first = recipes / "bolt" / "1"
    assert [(row["job"], row["status"], row["digest"]) for row in listed(recipes, capsys)] == [(3, "draft", None)]
    assert main(["recipes", "release", first, "--by", "Ann", "--reason", "the first"]) == 0
    digest = capsys.readouterr().out.split()[-1]
    assert listed(recipes, capsys)[0]["digest"] == digest
    assert main(["recipes", "revise", first]) == 0
    assert main(["recipes", "release", recipes / "bolt" / "2", "--by", "Bob", "--reason", "more"]) == 0
    assert main(["recipes", "retire", recipes / "bolt" / "2", "--by", "Bob", "--reason", "no longer made"]) == 0
    assert [(row["revision"], row["status"]) for row in listed(recipes, capsys)] == [(1, "retired"), (2, "retired")]
    assert main(["recipes", "list", recipes]) == 0
    assert digest[:12] in capsys.readouterr().out


def test_each_change_is_in_the_audit_trail_of_the_station_that_runs(recipes, tmp_path, fails):
    data, first, second = tmp_path / "data", recipes / "bolt" / "1", recipes / "bolt" / "2"
    words = ["--by", "Ann", "--reason", "new lamp", "--data", data]
    assert "data holds no record of a station" in fails("recipes", "release", first, *words)
    assert not (recipes / "bolt" / "1.sha256").exists()
    record, _ = open_record(data, "0")
    assert main(["recipes", "release", first, *words]) == 0
    assert main(["recipes", "revise", first, "--by", "Bob", "--data", data]) == 0
    assert main(["recipes", "release", second, *words]) == 0
    assert "there is no recipe" in fails("recipes", "retire", recipes / "bolt" / "3", *words)  # Which changes nothing.
    assert main(["recipes", "retire", second, *words]) == 0
    with RecordReader(data / VERDICTS_FILE) as reader:
        assert reader.trail().broken == ""
        found = [(each.who, each.action, each.subject, each.old, each.new[:6], each.why) for each in reader.entries(9)]
    record.close()
    assert sorted(found) == sorted(
        [
            ("Ann", "release recipe", "bolt/1", "", "digest", "new lamp"),
            ("Bob", "revise recipe", "bolt/1", "", "draft ", ""),
            ("Ann", "release recipe", "bolt/2", "bolt/1", "digest", "new lamp"),
            ("Ann", "retire recipe", "bolt/2", "released", "retire", "new lamp"),
        ]
    )


def test_an_earlier_release_is_brought_back_as_the_next_revision_and_the_trail_has_it(recipes, tmp_path, capsys, fails):
    data, first, second = tmp_path / "data", recipes / "bolt" / "1", recipes / "bolt" / "2"
    why = ["--by", "Ann", "--reason", "the lamp failed"]
    assert "was never released" in fails("recipes", "bring-back", first, *why)
    assert main(["recipes", "release", first, *why]) == 0
    assert "is in use already" in fails("recipes", "bring-back", first, *why)
    assert main(["recipes", "revise", first]) == 0
    assert main(["recipes", "release", second, *why]) == 0
    record, _ = open_record(data, "0")
    capsys.readouterr()
    assert main(["recipes", "bring-back", first, *why, "--data", data]) == 0
    told = capsys.readouterr().out
    assert f"brought {first} back as {recipes / 'bolt' / '3'}" in told
    rows = listed(recipes, capsys)
    assert [(row["revision"], row["status"]) for row in rows] == [(1, "retired"), (2, "retired"), (3, "released")]
    assert told.split()[-1] == rows[2]["digest"]
    with RecordReader(data / VERDICTS_FILE) as reader:
        (entry,) = reader.entries(9)
    record.close()
    assert (entry.who, entry.action, entry.subject, entry.old) == ("Ann", "bring back recipe", "bolt/3", "bolt/2")
    assert entry.new == f"bolt/3, digest {rows[2]['digest']}, as bolt/1"
    assert entry.why == "the lamp failed"


def test_a_file_that_was_changed_is_noted_in_the_list(recipes, capsys):
    first = recipes / "bolt" / "1"
    assert main(["recipes", "release", first, "--by", "Ann", "--reason", "the first"]) == 0
    (first / "x.json").chmod(0o644)
    (first / "x.json").write_text("{}")
    assert "x.json was changed since it was released" in listed(recipes, capsys)[0]["problem"]
    assert main(["recipes", "list", recipes]) == 0
    assert "note: bolt/1: " in capsys.readouterr().out


def test_a_change_needs_a_name_and_a_reason(recipes, fails):
    first = recipes / "bolt" / "1"
    assert "--reason" in fails("recipes", "release", first, "--by", "Ann")
    assert "who does it is missing" in fails("recipes", "release", first, "--by", " ", "--reason", "x")
    assert "is a draft, which no station uses" in fails("recipes", "retire", first, "--by", "Ann", "--reason", "x")
    assert "there is no recipe" in fails("recipes", "release", recipes / "bolt" / "9", "--by", "Ann", "--reason", "x")
    assert "no-such" in fails("recipes", "list", recipes / "no-such")


@pytest.mark.parametrize("command", ["release", "retire", "bring-back"])
def test_a_recipe_that_is_not_there_is_named_and_where_to_look(recipes, fails, command):
    missing = recipes / "bolt" / "99"
    said = fails("recipes", command, missing, "--by", "an engineer", "--reason", "to try")
    assert f"there is no recipe {missing}" in said
    assert said.endswith(f"edgekd recipes list {recipes}")  # As it is typed.
