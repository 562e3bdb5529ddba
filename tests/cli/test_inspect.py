"""`edgekd inspect`: verdicts by frame, a log, heat maps, and what is refused."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edgekd.artifact import manifest_path
from edgekd.cli.types import size_in_bytes
from edgekd.run_folder import VERDICTS_FILE
from edgekd.verdicts.log_reading import LogReader
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


def test_a_line_that_gives_nothing_but_errors_is_not_alive(exported, good_folder, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.png").write_bytes(b"no image")
    shutil.copy(sorted(good_folder.iterdir())[0], source / "b.png")
    (source / "c.png").write_bytes(b"no image")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert main(["inspect", "--engine", str(exported), "--source", str(source), "--threshold", "0"]) == 0
        assert [heard.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_inspect_writes_a_log_row_for_each_frame_and_heat_maps_of_the_ng_ones(exported, good_folder, tmp_path):
    out = tmp_path / "out"
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", out, "--threshold", "0"]
    assert main([str(word) for word in words]) == 0
    log = rows_of(out)
    images = sorted(path.name for path in good_folder.iterdir())
    assert log["name"].to_list() == images
    assert set(log["verdict"]) == {"NG"}
    for kind, suffix in (("heat_map", "heat.jpg"), ("original", "original.png")):
        assert log[kind].to_list() == [f"heat_maps/{name}.{row:06}.{suffix}" for row, name in enumerate(images, 1)]
        assert all((out / path).is_file() for path in log[kind])
    assert main([*map(str, words), "--fail-on-ng"]) == 1


def rows_of(out):
    with LogReader(out / VERDICTS_FILE) as reader:
        return reader.verdicts(("name", "name_bytes", "verdict", "heat_map", "original"))


def command_of(*words):
    return [sys.executable, "-m", "edgekd", "inspect", *map(str, words)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_inspection_leaves_every_verdict_that_it_printed(exported, good_folder, tmp_path):
    out = tmp_path / "out"
    words = ("--engine", exported, "--source", good_folder, "--out", out, "--threshold", "0", "--threads", "1")
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command_of(*words), stdout=subprocess.PIPE, env=environment)
    printed = [process.stdout.readline() for _ in range(5)]
    os.kill(process.pid, signal.SIGKILL)
    printed += process.stdout.readlines()
    process.wait()
    names = [line.split()[1].decode() for line in printed if line.endswith(b"\n")]
    assert rows_of(out)["name"].to_list()[: len(names)] == names
    assert main(["log", out, "--json", tmp_path / "log.json"]) == 0
    content = json.loads((tmp_path / "log.json").read_text())
    assert content["sessions"] == {"total": 1, "open": 1}
    assert content["verdicts"]["NG"] >= len(names)


def test_a_disk_that_is_full_ends_the_run_with_every_verdict_that_was_given(exported, good_folder, small_disk):
    words = ("--engine", exported, "--source", good_folder, "--out", small_disk / "out", "--threshold", "0")
    process = subprocess.Popen(
        command_of(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    printed = [process.stdout.readline() for _ in range(3)]
    with (small_disk / "another program's").open("wb", buffering=0) as other:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                other.write(bytes(4096))
    printed += process.stdout.readlines()
    said = process.stderr.read()
    assert process.returncode == 3, said
    assert "edgekd: no room left on the disk" in said
    assert "Traceback" not in said
    assert 3 <= len(printed) < 24
    assert rows_of(small_disk / "out").height - len(printed) in (0, 1)  # Read though the disk is full.


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_too_long_or_with_control_characters_are_on_record(exported, good_folder, tmp_path):
    source = tmp_path / "odd"
    source.mkdir()
    names = [b"b_\xe4.png", b"a\n\x1b[2J.png", b"x" * 244 + b".png", "部品.png".encode()]
    for name in names:
        shutil.copy(good_folder / "000.png", os.fsencode(source) + b"/" + name)
    words = ("--engine", exported, "--source", source, "--out", tmp_path / "out", "--threshold", "0")
    done = subprocess.run(command_of(*words), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b"\n") == 4
    rows = rows_of(tmp_path / "out")
    exact = {kept or name.encode() for name, kept in rows.select("name", "name_bytes").iter_rows()}
    assert exact == set(names)
    assert all((tmp_path / "out" / path).is_file() for path in (*rows["heat_map"], *rows["original"]))


def test_a_frame_that_is_too_long_for_a_heat_map_does_not_end_the_run(exported, good_folder, tmp_path):
    source = tmp_path / "line_scan"
    source.mkdir()
    cv2.imwrite(str(source / "1.png"), np.full((20, 70_000, 3), 90, np.uint8))
    shutil.copy(good_folder / "000.png", source / "2.png")
    words = ("--engine", exported, "--source", source, "--out", tmp_path / "out", "--heat-maps", "all")
    assert main(["inspect", *words, "--threshold", "100"]) == 0
    rows = rows_of(tmp_path / "out")
    assert rows["name"].to_list() == ["1.png", "2.png"]
    assert None not in rows["heat_map"].to_list()


def test_images_are_kept_within_the_limit_and_what_was_removed_is_told(exported, good_folder, tmp_path, capsys):
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", tmp_path / "out", "--threshold", "0"]
    assert main([*words, "--keep-images", "4", "--keep-originals", "none"]) == 0
    assert "24 frames: 0 OK, 24 NG, 0 ERROR, 20 images removed" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "heat_maps").iterdir())) == 4
    assert main([*words, "--keep-free", "lots"]) == 2
    assert "must be a size such as 500MB or 5GB, got 'lots'" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("500mb", 5 * 10**8), ("1.5 G", 15 * 10**8), ("7", 7)])
def test_a_size_is_read_as_people_write_it(text, size):
    assert size_in_bytes(text) == size


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


def test_a_second_run_into_the_source_inspects_the_same_images(exported, good_folder, tmp_path):
    for number in range(2):
        words = ("--engine", exported, "--source", good_folder, "--out", good_folder / "results", "--heat-maps", "all")
        file = tmp_path / f"{number}.json"
        assert main(["inspect", *words, "--threshold", "0", "--json", file]) == 0
        content = json.loads(file.read_text())
        assert len(content["frames"]) == 24
        assert content["ignored"].get("results of inspections", 0) == 48 * number


def test_a_run_of_errors_ends_with_exit_code_3_and_keeps_its_rows(exported, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(9):
        (source / f"{number}.png").write_bytes(b"no image")
    words = ("--engine", exported, "--source", source, "--threshold", "0", "--out", tmp_path / "out")
    assert main(["inspect", *words, "--most-errors", "4"]) == 3
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 4
    assert "4 frames in a row are ERROR (the last one is 3.png: " in printed.err
    assert rows_of(tmp_path / "out")["verdict"].to_list() == ["ERROR"] * 4
    assert main(["inspect", *words]) == 0
    assert main(["inspect", *words, "--most-errors", "0", "--fail-on-ng"]) == 1


def test_a_video_that_was_cut_is_an_error_and_fails(exported, tmp_path, capsys):
    path = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (96, 96))
    random = np.random.default_rng(0)
    for _ in range(10):
        writer.write(random.integers(0, 256, (96, 96, 3), np.uint8))
    writer.release()
    words = ("--engine", exported, "--source", path, "--threshold", "1e9", "--fail-on-ng")
    more = [word for check in ("dark", "bright", "flat", "blurred", "size") for word in ("--ignore-check", check)]
    assert main(["inspect", *words, *more]) == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(["inspect", *words, *more]) == 1
    assert "of 10 frames that line.avi declares could be read" in capsys.readouterr().out


def test_a_single_frame_is_counted_as_one(exported, good_folder, capsys):
    words = ("--engine", exported, "--source", good_folder / "000.png", "--threshold", "100")
    assert main(["inspect", *words]) == 0
    assert "\n1 frame: 1 OK, 0 NG, 0 ERROR\n" in f"\n{capsys.readouterr().err}"
