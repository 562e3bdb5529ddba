import math

import numpy as np
import pyarrow.parquet
import pytest

from edgekd.data.images import read_image
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, Verdict, error_result
from edgekd.runner import Answer
from edgekd.runner.sinks import ROWS_AT_ONCE, RotatingLog, parquet_log, write_heat_map

OK = AnomalyResult(0.25, Verdict.OK, timings={"pre": 1.0, "inference": 2.0, "post": 3.0, "end_to_end": 6.0})


def test_the_log_holds_a_row_an_answer(tmp_path):
    path = tmp_path / "deep" / "verdicts.parquet"
    with parquet_log(path, threshold=0.5) as log:
        log.write("a", OK)
        log.write("b", error_result("it is cut off"))
    rows = pyarrow.parquet.read_table(path).to_pylist()
    assert rows[0] == {
        "name": "a",
        "score": 0.25,
        "threshold": 0.5,
        "verdict": "OK",
        "error": None,
        "pre_ms": 1.0,
        "inference_ms": 2.0,
        "post_ms": 3.0,
        "end_to_end_ms": 6.0,
    }
    assert rows[1]["verdict"] == "ERROR"
    assert rows[1]["error"] == "it is cut off"
    assert math.isnan(rows[1]["score"])
    assert rows[1]["pre_ms"] is None


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
    assert pyarrow.parquet.read_table(path)["name"].to_pylist() == [str(number) for number in range(count)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdicts.parquet"]


def test_a_rotating_log_closes_a_file_before_it_begins_the_next(tmp_path):
    with RotatingLog(tmp_path, 0.5, seconds=0.0) as log:
        for number in range(3):
            log.write(str(number), OK)
            whole = sorted(tmp_path.glob("*Z.parquet"))
            named = [name for path in whole for name in pyarrow.parquet.read_table(path)["name"].to_pylist()]
            assert named == [str(before) for before in range(number)]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_rotating_log_keeps_to_one_file_within_its_time(tmp_path):
    with RotatingLog(tmp_path, 0.5) as log:
        for number in range(5):
            log.write(str(number), OK)
    (path,) = tmp_path.iterdir()
    assert pyarrow.parquet.read_table(path).num_rows == 5


def test_a_log_of_nothing_is_a_table_with_its_columns(tmp_path):
    with parquet_log(tmp_path / "v.parquet", 0.5):
        pass
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
    assert table.num_rows == 0
    assert table.column_names[:5] == ["name", "score", "threshold", "verdict", "error"]


def test_a_log_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="cannot write"), parquet_log(tmp_path / "file" / "v.parquet", 0.5):
        pass


def test_a_heat_map_glows_where_the_map_is_high_and_keeps_the_folders_name(tmp_path):
    image = np.full((80, 100, 3), 90, np.uint8)
    anomaly_map = np.zeros((40, 50), np.float32)
    anomaly_map[10:20, 30:40] = 2.0
    answer = Answer("shift/video.avi#000003", image, AnomalyResult(2.0, Verdict.NG, anomaly_map))
    path = write_heat_map(tmp_path, answer, low=0.5, high=2.0)
    assert path == tmp_path / "shift" / "video.avi#000003.heat.jpg"
    drawn = read_image(path).astype(int)
    assert drawn.shape == image.shape
    assert np.abs(drawn[60:, :40] - 90).max() <= 6
    assert np.abs(drawn[25:35, 65:75] - 90).mean() > 40
