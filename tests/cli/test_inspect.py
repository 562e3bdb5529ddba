"""`edgekd inspect`: verdicts by frame, a log, heat maps, and what is refused."""

import json
import shutil
import socket

import cv2
import numpy as np
import polars as pl

from edgekd.artifact import manifest_path
from edgekd.workflows.inspect import inspect

from ..run_command import main


def test_the_command_and_the_function_give_the_same_answer(exported, good_folder, capsys):
    words = ["--engine", exported, "--source", good_folder, "--backend", "openvino", "--threshold", "0.5"]
    assert main(["inspect", *words, "--json", "-"]) == 0
    result = inspect(exported, good_folder, backend="openvino", threshold=0.5)
    assert json.loads(capsys.readouterr().out) == result.to_dict()
    assert len(result.frames) == 24


def test_each_frame_is_a_line_and_a_summary_follows(exported, good_folder, capsys):
    assert main(["inspect", "--engine", exported, "--source", good_folder, "--threshold", "1e9"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 24
    assert all(line.startswith("OK    ") and ".png  " in line for line in printed.out.splitlines())
    assert "24 frames: 24 OK, 0 NG, 0 ERROR\n" in printed.err


def test_a_run_stands_for_its_artifact(exported, good_folder, capsys):
    assert main(["inspect", "--engine", exported.parent, "--source", good_folder, "--json", "-"]) == 0
    stored = json.loads(manifest_path(exported).read_text())["threshold"]["value"]
    assert json.loads(capsys.readouterr().out)["threshold"] == stored


def test_readers_are_as_many_as_asked_for(exported, good_folder, tmp_path, capsys):
    words = ["--engine", str(exported), "--backend", "onnxruntime"]
    said = []
    for readers in ("1", "3"):
        file = tmp_path / f"{readers}.json"
        more = ["--source", str(good_folder), "--threshold", "1", "--readers", readers, "--json", str(file)]
        assert main(["inspect", *words, *more]) == 0
        said.append(json.loads(file.read_text()))
    assert said[0] == said[1]
    assert len(said[0]["frames"]) == 24
    assert main(["inspect", "--source", str(good_folder), *words, "--readers", "0"]) == 2


def test_inspect_tells_a_service_manager_that_it_is_up_and_alive(exported, good_folder, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        image = next(good_folder.iterdir())
        assert main(["inspect", "--engine", str(exported), "--source", str(image), "--threshold", "0"]) == 0
        assert [heard.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_inspect_writes_a_log_row_for_each_frame_and_heat_maps_of_the_ng_ones(exported, good_folder, tmp_path):
    out = tmp_path / "out"
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", out, "--threshold", "0"]
    assert main([str(word) for word in words]) == 0
    log = pl.read_parquet(out / "verdicts.parquet").to_dict(as_series=False)
    images = sorted(path.name for path in good_folder.iterdir())
    assert log["name"] == images
    assert set(log["verdict"]) == {"NG"}
    assert len(list((out / "heat_maps").iterdir())) == len(images)
    assert main([*map(str, words), "--fail-on-ng"]) == 1


def test_an_artifact_without_threshold_asks_for_one(exported, good_folder, tmp_path, capsys):
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    content = json.loads(manifest_path(exported).read_text())
    (tmp_path / manifest_path(exported).name).write_text(json.dumps(content | {"threshold": None}))
    assert main(["inspect", "--engine", tmp_path / exported.name, "--source", good_folder]) == 2
    line = capsys.readouterr().err
    assert "give one with --threshold" in line
    assert line.count("\n") == 1


def test_a_source_with_damaged_images_answers_error_for_them_and_goes_on(exported, good_folder, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    whole = sorted(good_folder.iterdir())[:2]
    for path in whole:
        shutil.copy(path, source / path.name)
    (source / "a_text.png").write_bytes(b"no image")
    cv2.imwrite(str(source / "tiny.png"), np.zeros((3, 1, 3), np.uint8))
    words = ["inspect", "--engine", exported, "--source", source, "--threshold", "1e9", "--json", "-", "--fail-on-ng"]
    assert main(list(map(str, words))) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdicts"] == {"OK": 2, "NG": 0, "ERROR": 2}
    errors = {frame["name"]: frame["error"] for frame in answer["frames"] if frame["verdict"] == "ERROR"}
    assert "cannot be read as an image" in errors["a_text.png"]
    assert "at least 16 a side" in errors["tiny.png"]


def test_a_source_without_images_is_named(exported, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    for source, complaint in ((tmp_path / "none", "no image in"), (tmp_path / "gone", "no such folder, image, video")):
        assert main(["inspect", "--engine", exported, "--source", source]) == 2
        assert complaint in capsys.readouterr().err


def test_an_empty_source_is_named(exported, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert main(["inspect", "--engine", str(exported), "--source", str(tmp_path / "none"), "--threshold", "0"]) == 2
    assert "no image in" in capsys.readouterr().err


def test_an_answer_that_could_not_be_written_is_refused_before_anything_is_inspected(
    exported, good_folder, tmp_path, capsys
):
    words = ["inspect", "--engine", exported, "--source", good_folder, "--threshold", "1", "--json", tmp_path]
    assert main([str(word) for word in words]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        f"edgekd: cannot write {tmp_path}: it is a folder, give the name of a file\n",
    )
