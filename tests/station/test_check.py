"""`edgekd station --check`: everything is opened as a station would, and each thing that is wrong is named."""

import json
import shutil
import socket

import cv2
import numpy as np
import pytest

from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import next_revision, release

from ..engines.hand_made import graph, save
from ..run_command import main

pytest.importorskip("tomlkit")


def images(folder, levels):
    folder.mkdir()
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 32, 3), level, np.uint8))
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A station's folder: released recipes of two products, images for its camera."""
    root = tmp_path_factory.mktemp("station")
    images(root / "images", [10, 20, 30])
    detector = save(graph(), root, 120.0)
    for job, name in enumerate(("bolt", "nut"), start=1):
        folder = make_recipe(detector, root / "recipes", name, job, cameras=("top",), good=root / "images")
        release(folder, "Ann", "the first")
    return root


@pytest.fixture
def station(parts, tmp_path):
    """Checks a copy of that station; gives the exit code and what was found."""
    root = tmp_path / "station"
    shutil.copytree(parts, root)

    def check(capsys, port=0, **cameras):
        text = f'data = "data"\nrecipes = "recipes"\n[modbus]\nport = {port}\n'
        for name, source in ({"top": "images"} | cameras).items():
            text += f'[cameras.{name}]\nkind = "video"\nsource = "{source}"\n'
        text += '[[stations]]\nname = "press"\ncameras = ["top"]\njob = 1\n'
        (root / "station.toml").write_text(text)
        capsys.readouterr()
        code = main(["station", root / "station.toml", "--check", "--json", "-"])
        found = json.loads(capsys.readouterr().out)
        assert found["ok"] == (code == 0)
        return code, {(each["what"], each["name"]): (each["ok"], each["text"]) for each in found["findings"]}

    return root, check


def test_a_station_that_is_whole_passes(station, capsys):
    root, check = station
    code, found = check(capsys)
    assert code == 0
    assert {key: ok for key, (ok, _) in found.items()} == {
        ("record", str(root / "data")): True,
        ("modbus", "127.0.0.1:0"): True,
        ("recipe", "bolt/1"): True,
        ("recipe", "nut/1"): True,
        ("camera", "top"): True,
        ("self-test", "bolt/1"): True,
        ("self-test", "nut/1"): True,
    }
    assert main(["station", root / "station.toml", "--check"]) == 0
    assert "self-test" in capsys.readouterr().out


def test_what_is_wrong_is_named_and_the_rest_is_looked_at_all_the_same(station, capsys):
    root, check = station
    altered = root / "recipes" / "nut" / "1" / "references" / "ok_1.png"
    altered.chmod(0o644)
    altered.write_bytes(altered.read_bytes() + b"\0")
    second = next_revision(root / "recipes" / "bolt" / "1")
    references = sorted((second / "references").iterdir())
    references[0].write_bytes(references[-1].read_bytes())
    release(second, "Ann", "references that were mixed up")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, found = check(capsys, port=taken.getsockname()[1], spare="none")
        port = taken.getsockname()[1]
    assert code == 1
    wrong = {key: text for key, (ok, text) in found.items() if not ok}
    assert set(wrong) == {
        ("modbus", f"127.0.0.1:{port}"),
        ("recipe", "nut/1"),
        ("self-test", "bolt/2"),
        ("self-test", "nut/1"),
        ("camera", "spare"),
    }
    assert "in use" in wrong["modbus", f"127.0.0.1:{port}"]
    assert "references/ok_1.png was changed" in wrong["recipe", "nut/1"]
    assert found["recipe", "bolt/1"] == (True, "job 1, retired: no station uses it")
    assert found["note", ""] == (True, "the camera spare belongs to no station")


def test_a_camera_that_is_not_there_is_named(station, capsys):
    root, check = station
    shutil.rmtree(root / "recipes" / "nut")
    (root / "recipes" / "bolt" / "1.retired").touch()
    code, found = check(capsys, top="nothing")
    assert code == 1
    wrong = {key[0]: text for key, (ok, text) in found.items() if not ok}
    assert "nothing" in wrong["camera"]
    assert wrong["station"] == "starts with job 1, which no recipe has"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a configuration"),
        (["a.toml", "--simulate"], "not both"),
        (["--simulate", "--check"], "not both"),
        (["a.toml", "--parts", "3"], "belong to --simulate"),
        (["a.toml", "--json", "-"], "--json belongs to"),
        (["none.toml"], "No such file"),
        (["none.toml", "--check"], "No such file"),
        (["--simulate", "--run", "none"], "there is no run none: make one with 'edgekd demo'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["station", *words]) == 2
    assert message in capsys.readouterr().err
