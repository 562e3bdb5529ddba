"""`edgekd.workflows.inspect` as a function: answers as they come, and what is written down."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from edgekd.artifact import read_manifest
from edgekd.engines import opening, streams
from edgekd.engines.openvino import OpenVINOEngine
from edgekd.run_folder import VERDICTS_FILE
from edgekd.runner import Answer
from edgekd.verdicts.log_reading import LogReader
from edgekd.workflows import inspect as module
from edgekd.workflows.inspect import inspect


def test_answers_come_in_order_and_frames_are_kept_only_where_wanted(exported: Path, good_folder: Path) -> None:
    answers: list[Answer] = []
    result = inspect(
        exported, good_folder, backend="openvino", threshold=0.0, keep_frames=False, on_answer=answers.append
    )
    assert [answer.name for answer in answers] == sorted(path.name for path in good_folder.iterdir())
    assert all(answer.image is None and answer.result.anomaly_map is None for answer in answers)
    assert result.frames == []
    assert result.verdicts == {"OK": 0, "NG": 24, "ERROR": 0}
    assert not result.all_ok
    assert not result.live
    counted = {"images_not_written", "images_removed", "ignored"}
    assert set(result.to_dict()) == {"threshold", "verdicts", "dropped", "frames", "notices", *counted}


def test_heat_maps_are_written_for_ng_frames_or_for_all(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    stored = inspect(exported, good_folder, backend="openvino")
    ordered = sorted(frame["score"] for frame in stored.frames)
    middle = (ordered[11] + ordered[12]) / 2
    ng = inspect(exported, good_folder, backend="openvino", out=tmp_path / "ng", threshold=middle)
    assert ng.verdicts == {"OK": 12, "NG": 12, "ERROR": 0}
    assert len(list((tmp_path / "ng" / "heat_maps").glob("*.heat.jpg"))) == 12
    assert len(list((tmp_path / "ng" / "heat_maps").glob("*.original.png"))) == 12
    assert (tmp_path / "ng" / VERDICTS_FILE).is_file()
    inspect(exported, good_folder, backend="openvino", out=tmp_path / "all", threshold=middle, heat_maps="all")
    assert len(list((tmp_path / "all" / "heat_maps").glob("*.heat.jpg"))) == 24


def test_each_verdict_is_on_record_before_it_is_given(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    recorded: list[int] = []

    def count(answer: Answer) -> None:
        with LogReader(tmp_path / "out" / VERDICTS_FILE) as reader:
            recorded.append(reader.verdicts(("id",)).height)

    inspect(exported, good_folder, backend="openvino", out=tmp_path / "out", threshold=1e9, on_answer=count)
    assert recorded == list(range(1, 25))


def test_the_log_names_what_judged_and_a_second_run_adds(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    for limit in (1e9, 0.0):
        inspect(exported, good_folder, backend="openvino", out=tmp_path / "out", threshold=limit, keep_images=10)
    with LogReader(tmp_path / "out" / VERDICTS_FILE) as reader:
        rows = reader.verdicts(
            ("session_id", "verdict", "artifact_sha256", "source", "station", "threshold")
        ).to_dicts()
        assert reader.sessions() == {"total": 2, "open": 0}
        assert reader.images()["kept"] <= 10
    manifest = read_manifest(exported)
    assert [(row["session_id"], row["verdict"]) for row in rows] == [(1, "OK")] * 24 + [(2, "NG")] * 24
    assert {(row["artifact_sha256"], row["source"]) for row in rows} == {(manifest["sha256"], str(good_folder))}
    assert rows[0]["station"] == socket.gethostname()
    assert rows[0]["threshold"] == 1e9


def test_a_threshold_of_numpys_kind_is_on_record_as_a_number(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    found = inspect(exported, good_folder, out=tmp_path / "out", threshold=np.float32(0.5))  # type: ignore[arg-type]
    assert json.loads(json.dumps(found.to_dict()))["threshold"] == 0.5
    with LogReader(tmp_path / "out" / VERDICTS_FILE) as reader:
        assert set(reader.verdicts(["threshold"])["threshold"]) == {0.5}


def test_an_interrupted_run_keeps_what_it_answered(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    def interrupt(answer: Answer) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect(exported, good_folder, backend="openvino", out=tmp_path / "out", threshold=0.0, on_answer=interrupt)
    with LogReader(tmp_path / "out" / VERDICTS_FILE) as reader:
        assert reader.verdicts(("name",))["name"].to_list() == ["000.png"]
        assert reader.events()["text"].to_list() == ["ended by KeyboardInterrupt"]


def test_a_folder_without_a_defect_is_all_ok(exported: Path, good_folder: Path) -> None:
    result = inspect(exported, str(good_folder), backend="openvino", threshold=1e9)
    assert result.all_ok
    assert [frame["error"] for frame in result.frames] == [None] * 24


def test_many_frames_take_the_streams_that_were_measured_and_few_or_a_number_do_not(
    exported: Path, good_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setattr(streams, "_rate", lambda path, manifest, threads, count: float(count))
    opened: list[int] = []
    monkeypatch.setattr(opening, "_openvino", lambda *args: opened.append(args[4]) or OpenVINOEngine(*args[:4]))
    for most, wanted in ((24, None), (25, None), (24, 2)):
        monkeypatch.setattr(module, "WORTH_MEASURING", most)
        inspect(exported, good_folder, backend="openvino", threads=4, streams=wanted, threshold=1e9)
    assert opened == [4, 1, 2]
