import errno
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from edgekd.data.images import read_image
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, Region, Verdict, error_result
from edgekd.runner import Answer
from edgekd.runner.sinks import ROWS_AT_ONCE, ParquetLog, RotatingLog, parquet_log, write_heat_map

OK = AnomalyResult(0.25, 0.5, Verdict.OK, timings={"pre": 1.0, "inference": 2.0, "post": 3.0, "end_to_end": 6.0})


def test_the_log_holds_a_row_an_answer(tmp_path):
    path = tmp_path / "deep" / "verdicts.parquet"
    with parquet_log(path, threshold=0.5) as log:
        log.write("a", OK, ("scores have moved", "images are darker"))
        log.write("b", error_result("it is cut off"))
        log.write("c", AnomalyResult(2.0, 1.5, Verdict.NG, (Region(6, (1, 2, 3, 2), (2.0, 2.5), 4.5),)))
    rows = pl.read_parquet(path).to_dicts()
    assert rows[0] == {
        "name": "a",
        "score": 0.25,
        "severity": 0.5,
        "threshold": 0.5,
        "verdict": "OK",
        "error": None,
        "regions": "[]",
        "notice": "scores have moved; images are darker",
        "pre_ms": 1.0,
        "inference_ms": 2.0,
        "post_ms": 3.0,
        "end_to_end_ms": 6.0,
    }
    assert rows[1]["verdict"] == "ERROR"
    assert rows[1]["error"] == "it is cut off"
    assert math.isnan(rows[1]["score"])
    assert rows[1]["pre_ms"] is None
    assert rows[1]["notice"] is None
    (region,) = json.loads(rows[2]["regions"])
    assert region == {"area": 6, "box": [1, 2, 3, 2], "centroid": [2.0, 2.5], "peak": 4.5}


def test_the_log_is_whole_after_ctrl_c(tmp_path):
    path = tmp_path / "verdicts.parquet"
    count = 2 * ROWS_AT_ONCE + 7

    def interrupted():
        with parquet_log(path, threshold=0.5) as log:
            for number in range(count):
                log.write(str(number), OK)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert pl.read_parquet(path)["name"].to_list() == [str(number) for number in range(count)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdicts.parquet"]


def test_a_rotating_log_closes_a_file_before_it_begins_the_next(tmp_path):
    with RotatingLog(tmp_path, 0.5, seconds=0.0) as log:
        for number in range(3):
            log.write(str(number), OK)
            whole = sorted(tmp_path.glob("*Z.parquet"))
            named = [name for path in whole for name in pl.read_parquet(path)["name"].to_list()]
            assert named == [str(before) for before in range(number)]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_rotating_log_keeps_to_one_file_within_its_time(tmp_path):
    with RotatingLog(tmp_path, 0.5) as log:
        for number in range(5):
            log.write(str(number), OK)
    (path,) = tmp_path.iterdir()
    assert pl.read_parquet(path).height == 5


def test_a_log_of_nothing_is_a_table_with_its_columns(tmp_path):
    with parquet_log(tmp_path / "v.parquet", 0.5):
        pass
    table = pl.read_parquet(tmp_path / "v.parquet")
    assert table.height == 0
    assert table.columns[:5] == ["name", "score", "severity", "threshold", "verdict"]
    assert table.dtypes[:5] == [pl.String, pl.Float64, pl.Float64, pl.Float64, pl.String]


def test_rows_leave_memory_as_whole_files_before_the_log_ends(tmp_path):
    with parquet_log(tmp_path / "v.parquet", 0.5) as log:
        for number in range(2 * ROWS_AT_ONCE + 1):
            log.write(str(number), OK)
        parts = sorted(tmp_path.glob(".v.*.rows/*.parquet"))
        assert [pl.read_parquet(part)["name"][0] for part in parts] == ["0", str(ROWS_AT_ONCE)]
        assert not (tmp_path / "v.parquet").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.parquet"]


LIMITED = """
import resource, sys
from pathlib import Path
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, Verdict
from edgekd.runner.sinks import ROWS_AT_ONCE, parquet_log
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    with parquet_log(Path(sys.argv[1]), 0.5) as log:
        for number in range(int(sys.argv[2]) * ROWS_AT_ONCE):
            log.write(f"{hash(str(number))}", AnomalyResult(hash(str(number + 0.5)) / 7, 0.5, Verdict.OK))
except EdgekdError as error:
    print(error)
"""


@pytest.mark.parametrize(("limited", "parts"), [("the table", 8), ("nothing", 1)])
def test_a_file_that_grows_too_large_is_one_error_and_leaves_nothing(tmp_path, limited, parts):
    path = tmp_path / "v.parquet"
    words = [sys.executable, "-c", LIMITED, str(path), str(parts)]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert printed == (f"cannot write {path}: File too large\n" if limited == "the table" else "")
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if limited == "the table" else ["v.parquet"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_the_operating_systems_error():
    log = ParquetLog(Path("/dev/full"), 0.5)
    log.write("a", OK)
    with pytest.raises(OSError, match="No space left on device") as caught:
        log.close()
    assert caught.value.errno == errno.ENOSPC


def test_a_log_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="cannot write"), parquet_log(tmp_path / "file" / "v.parquet", 0.5):
        pass


def test_a_heat_map_glows_where_the_map_is_high_and_keeps_the_folders_name(tmp_path):
    image = np.full((320, 400, 3), 90, np.uint8)
    anomaly_map = np.zeros((40, 50), np.float32)
    anomaly_map[10:20, 30:40] = 2.0
    answer = Answer("shift/video.avi#000003", image, AnomalyResult(2.0, 1.5, Verdict.NG, (), anomaly_map))
    path = write_heat_map(tmp_path, answer, low=0.5, high=2.0)
    assert path == tmp_path / "shift" / "video.avi#000003.heat.jpg"
    drawn = read_image(path).astype(int)
    assert drawn.shape == image.shape
    assert np.abs(drawn[240:, :160] - 90).max() <= 6
    assert np.abs(drawn[100:140, 260:300] - 90).mean() > 40


def test_verdict_and_severity_stand_in_the_corner_of_a_heat_map_whatever_the_image(tmp_path):
    for level in (0, 255):
        image = np.full((320, 400, 3), level, np.uint8)
        answer = Answer(f"{level}", image, AnomalyResult(2.0, 1.5, Verdict.NG, (), np.zeros((40, 50), np.float32)))
        corner = read_image(write_heat_map(tmp_path, answer, low=0.5, high=2.0))[:20, :150]
        assert (corner < 40).mean() > 0.4  # The dark box,
        assert (corner > 200).mean() > 0.03  # and the letters on it.


def test_a_heat_map_outlines_and_numbers_regions_and_a_small_image_is_enlarged(tmp_path):
    image = np.full((64, 80, 3), 90, np.uint8)
    anomaly_map = np.zeros((32, 40), np.float32)
    anomaly_map[16:24, 20:30] = 2.0
    region = Region(320, (40, 32, 20, 16), (49.5, 39.5), 2.0)
    without = Answer("part", image, AnomalyResult(2.0, 1.5, Verdict.NG, (), anomaly_map))
    plain = read_image(write_heat_map(tmp_path, without, low=1.0, high=4.0, pixel_limit=1.0))
    answer = Answer("part", image, AnomalyResult(2.0, 1.5, Verdict.NG, (region,), anomaly_map))
    drawn = read_image(write_heat_map(tmp_path, answer, low=1.0, high=4.0, pixel_limit=1.0))
    assert drawn.shape == (256, 320, 3)
    changed = np.argwhere(np.abs(drawn.astype(int) - plain).max(axis=2) > 60)
    assert changed.min(axis=0).tolist() == pytest.approx([110, 158], abs=12)  # The number stands on the corner.
    assert changed.max(axis=0).tolist() == pytest.approx([192, 240], abs=6)
    inside = (slice(140, 180), slice(175, 230))
    assert np.abs(drawn[inside].astype(int) - plain[inside]).max() < 20
