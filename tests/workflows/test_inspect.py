"""`edgekd.workflows.inspect` as a function: answers as they come, and what is written down."""

from __future__ import annotations

from pathlib import Path

from edgekd.runner import Answer
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
    assert set(result.to_dict()) == {"threshold", "verdicts", "dropped", "frames", "notices"}


def test_heat_maps_are_written_for_ng_frames_or_for_all(exported: Path, good_folder: Path, tmp_path: Path) -> None:
    stored = inspect(exported, good_folder, backend="openvino")
    ordered = sorted(frame["score"] for frame in stored.frames)
    middle = (ordered[11] + ordered[12]) / 2
    ng = inspect(exported, good_folder, backend="openvino", out=tmp_path / "ng", threshold=middle)
    assert ng.verdicts == {"OK": 12, "NG": 12, "ERROR": 0}
    assert len(list((tmp_path / "ng" / "heat_maps").iterdir())) == 12
    assert (tmp_path / "ng" / "verdicts.parquet").is_file()
    inspect(exported, good_folder, backend="openvino", out=tmp_path / "all", threshold=middle, heat_maps="all")
    assert len(list((tmp_path / "all" / "heat_maps").iterdir())) == 24


def test_a_folder_without_a_defect_is_all_ok(exported: Path, good_folder: Path) -> None:
    result = inspect(exported, str(good_folder), backend="openvino", threshold=1e9)
    assert result.all_ok
    assert [frame["error"] for frame in result.frames] == [None] * 24
